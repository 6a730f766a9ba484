/* model.c - the verbs that send, list, show and delete models, and have them infer. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/bar.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/list.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"
#include "rpc/infer.h"
#include "rpc/route.h"

#define BYTES_TYPE "application/octet-stream"
#define LENGTH_FIELD "Inference-Header-Content-Length"
#define FILE_BYTES_MAX ((size_t)1 << 30)
#define VALUES_SHOWN 8 /* of an output, in a table */

/* "/v1/models/NAME" and what follows; the caller frees it. */
static int
model_path(struct ctl *ctl, const char *name, const char *rest, char **out)
{
	char *encoded = malloc(3 * strlen(name) + 1);

	if (encoded == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
	rpc_percent_encode(name, strlen(name), encoded);
	int code = ctl_format(ctl, out, "/v1/models/%s%s", encoded, rest);
	free(encoded);
	return code;
}

/* --- put, list, delete --------------------------------------------------------------------- */

static int
show_put(struct ctl *ctl, const struct http_response *response)
{
	char size[OUTPUT_SHORT_MAX];
	json_t *json = NULL;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &json);
	if (code != 0)
		return code;
	output_field(ctl->out, "", ctl_text(json, "digest"));
	if (ctl->format == CTL_TABLE)
		ctl_note(ctl, "%s, %s, %s",
		         json_is_true(json_object_get(json, "created")) ? "stored" : "replaced",
		         ctl_text(json, "format"), output_size(ctl_uint(json, "size"), size));
	json_decref(json);
	return 0;
}

static int
put_path(struct ctl *ctl, const struct cli_args *args, char **out)
{
	int code = model_path(ctl, args->words[0], "?", out);

	if (code == 0)
		code = ctl_add_query(ctl, out, "format", cli_value(args, "format"));
	if (code == 0)
		(*out)[strlen(*out) - 1] = '\0'; /* '?' or '&' */
	return code;
}

int
verb_model_put(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "PUT", .accept = "application/json" };
	struct http_response response = { 0 };
	struct bar bar = { .name = args->words[1] };
	char *path = NULL;

	if (cli_has(args, "new"))
		request.fields[0] = "If-None-Match: *";
	int code = put_path(ctl, args, &path);
	if (code == 0)
		code = ctl_open_body(ctl, args->words[1], BYTES_TYPE, &request);
	if (code == 0)
		code = ctl_connect(ctl);
	if (code == 0) {
		request.path = path;
		request.timeout_ms = ctl->timeout_ms;
		request.progress = bar_draw;
		request.progress_context = &bar;
		if (ctl->err_is_terminal && !cli_has(args, "no-progress"))
			bar.out = ctl->err;
		enum http_result result = http_perform(ctl->http, &request, &response);
		bar_end(&bar); /* before anything else is said */
		code = ctl_check(ctl, result, &response);
	}
	if (code == 0)
		code = show_put(ctl, &response);
	http_response_clear(&response);
	ctl_close_body(&request);
	free(path);
	return code;
}

static void
print_model_name(FILE *out, const json_t *model)
{
	const char *name = ctl_text(model, "name");

	output_text(out, name, strlen(name));
}

static void
add_model(struct list *list, const json_t *model)
{
	char text[OUTPUT_SHORT_MAX], shortened[24];

	output_table_add(&list->table, ctl_text(model, "name"));
	output_table_add(&list->table, ctl_text(model, "format"));
	output_table_add(&list->table, output_size(ctl_uint(model, "size"), text));
	output_table_add(&list->table, ctl_text(model, "state"));
	output_table_add(&list->table, ctl_short_digest(ctl_text(model, "digest"), shortened));
	output_table_add(&list->table,
	                 output_age(ctl_text(model, "created_at"), list->now_s, text));
}

static const struct output_column model_columns[] = {
	{ "NAME", OUTPUT_LEFT, true },    { "FORMAT", OUTPUT_LEFT, false },
	{ "SIZE", OUTPUT_RIGHT, false },  { "STATE", OUTPUT_LEFT, false },
	{ "DIGEST", OUTPUT_LEFT, false }, { "STORED", OUTPUT_LEFT, false },
};

static const struct list_kind model_list = {
	.columns = model_columns,
	.column_count = sizeof(model_columns) / sizeof(model_columns[0]),
	.print_name = print_model_name,
	.add_row = add_model,
};

int
verb_model_ls(void *context, const struct cli_args *args)
{
	return list_show(context, args, &model_list, "/v1/models?");
}

int
verb_model_rm(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "DELETE" };
	char *path = NULL;
	int code = model_path(ctl, args->words[0], "", &path);

	request.path = path;
	if (code == 0)
		code = ctl_perform(ctl, &request, NULL);
	free(path);
	return code;
}

/* --- inspect ------------------------------------------------------------------------------- */

/* "[2 224 224 3]"; a dimension that is open is "?". */
static void
print_shape(FILE *out, const json_t *shape)
{
	fputc('[', out);
	for (size_t i = 0; i < json_array_size(shape); i++) {
		json_int_t dim = json_integer_value(json_array_get(shape, i));
		if (i > 0)
			fputc(' ', out);
		if (dim < 0)
			fputc('?', out);
		else
			fprintf(out, "%" JSON_INTEGER_FORMAT, dim);
	}
	fputc(']', out);
}

static void
print_tensors(FILE *out, const char *title, const json_t *tensors)
{
	fprintf(out, "%s\n", title);
	for (size_t i = 0; i < json_array_size(tensors); i++) {
		const json_t *tensor = json_array_get(tensors, i);
		const char *name = ctl_text(tensor, "name");
		const char *datatype = ctl_text(tensor, "datatype");
		const json_t *shape = json_object_get(tensor, "shape");

		fputs("  ", out);
		output_text(out, name, strlen(name));
		fputc(' ', out);
		output_text(out, datatype, strlen(datatype));
		fputc(' ', out);
		if (shape != NULL)
			print_shape(out, shape);
		else
			fputs("of any shape", out);
		fputc('\n', out);
	}
}

static int
show_model(struct ctl *ctl, const struct http_response *response)
{
	char size[OUTPUT_SHORT_MAX];
	json_t *json = NULL;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &json);
	if (code != 0)
		return code;
	if (ctl->format == CTL_PLAIN_NAME) {
		output_field(ctl->out, "", ctl_text(json, "digest"));
	} else {
		output_field(ctl->out, "name", ctl_text(json, "name"));
		output_field(ctl->out, "digest", ctl_text(json, "digest"));
		output_field(ctl->out, "format", ctl_text(json, "format"));
		output_field(ctl->out, "size", output_size(ctl_uint(json, "size"), size));
		output_field(ctl->out, "stored", ctl_text(json, "created_at"));
		output_field(ctl->out, "state", ctl_text(json, "state"));
		output_field(ctl->out, "why not", ctl_text(json, "why_not"));
		print_tensors(ctl->out, "inputs", json_object_get(json, "inputs"));
		print_tensors(ctl->out, "outputs", json_object_get(json, "outputs"));
	}
	json_decref(json);
	return 0;
}

int
verb_model_inspect(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .accept = "application/json" };
	char *path = NULL;
	int code = model_path(ctl, args->words[0], "", &path);

	request.path = path;
	if (code == 0)
		code = ctl_perform(ctl, &request, show_model);
	free(path);
	return code;
}

/* --- infer: what is asked ------------------------------------------------------------------ */

/* A request while it is made: the JSON, and the bytes of files behind it. */
struct infer {
	struct ctl *ctl;
	const struct cli_args *args;
	const char *model;
	const char *out;   /* where the bytes of the one output go, or NULL */
	json_t *described; /* the model, when it is needed */
	json_t *head;
	char *body;
	size_t body_len;
	char field[64];
};

static void
infer_clear(struct infer *infer)
{
	json_decref(infer->described);
	json_decref(infer->head);
	free(infer->body);
}

static int
no_memory(const struct infer *infer)
{
	return ctl_fail(infer->ctl, EXIT_CODE_FAILED, "out of memory");
}

static int
describe(struct infer *infer)
{
	struct http_response response = { 0 };
	char *path = NULL;

	if (infer->described != NULL)
		return 0;
	int code = model_path(infer->ctl, infer->model, "", &path);
	if (code == 0)
		code = ctl_get(infer->ctl, path, &response, &infer->described);
	if (code == 0)
		http_response_clear(&response);
	free(path);
	return code;
}

/* What --shape or --datatype says of an input: the text behind "NAME=", or NULL. */
static const char *
said_of(const struct infer *infer, const char *option, const char *name, size_t len)
{
	const char *said = NULL;
	size_t position = 0;
	const char *text;

	while ((text = cli_next(infer->args, option, &position)) != NULL)
		if (strncmp(text, name, len) == 0 && text[len] == '=')
			said = text + len + 1;
	return said;
}

/* "2x224x224x3" */
static int
parse_shape(struct infer *infer, const char *text, json_t **out)
{
	json_t *shape = json_array();

	for (const char *p = text; *p != '\0';) {
		char *end;
		long long dim = strtoll(p, &end, 10);
		if (*p < '0' || *p > '9' || (*end != 'x' && *end != '\0') ||
		    (*end == 'x' && end[1] == '\0') ||
		    json_array_append_new(shape, json_integer(dim)) != 0) {
			json_decref(shape);
			return ctl_fail(infer->ctl, EXIT_CODE_USAGE,
			                "--shape: expected NAME=2x224x224x3, found %s", text);
		}
		p = *end == 'x' ? end + 1 : end;
	}
	*out = shape;
	return 0;
}

static const json_t *
find_input(const struct infer *infer, const char *name, size_t len)
{
	const json_t *inputs = json_object_get(infer->described, "inputs");

	for (size_t i = 0; i < json_array_size(inputs); i++) {
		const json_t *input = json_array_get(inputs, i);
		if (strlen(ctl_text(input, "name")) == len &&
		    strncmp(ctl_text(input, "name"), name, len) == 0)
			return input;
	}
	return NULL;
}

/* The shape that the model describes; one open dimension is what the bytes leave for it. */
static int
complete_shape(struct infer *infer, const json_t *input, enum rpc_datatype datatype, size_t size,
               json_t **out)
{
	const json_t *described = json_object_get(input, "shape");
	struct rpc_tensor tensor = { .datatype = datatype };
	size_t open = SIZE_MAX;
	uint64_t count;

	json_t *shape = json_deep_copy(described);
	tensor.rank = (uint32_t)json_array_size(shape);
	for (size_t i = 0; i < tensor.rank && i < RPC_TENSOR_RANK_MAX; i++) {
		tensor.shape[i] = json_integer_value(json_array_get(shape, i));
		if (tensor.shape[i] < 0 && open == SIZE_MAX) {
			open = i;
			tensor.shape[i] = 1;
		}
	}
	if (described == NULL || tensor.rank > RPC_TENSOR_RANK_MAX ||
	    !rpc_tensor_elements(&tensor, size > 0 ? size : 1, &count) ||
	    (open != SIZE_MAX && (count == 0 || rpc_datatype_size(datatype) == 0))) {
		json_decref(shape);
		return ctl_fail(infer->ctl, EXIT_CODE_USAGE,
		                "the shape of %s cannot be told from %zu bytes: give --shape "
		                "%s=2x3", ctl_text(input, "name"), size, ctl_text(input, "name"));
	}
	if (open != SIZE_MAX)
		json_array_set_new(shape, open, json_integer((json_int_t)(
		    size / rpc_datatype_size(datatype) / count)));
	*out = shape;
	return 0;
}

/* What an input is, by the options or else by the model. */
static int
describe_input(struct infer *infer, const char *name, size_t len, size_t size,
               const char **out_datatype, json_t **out_shape)
{
	const char *said_shape = said_of(infer, "shape", name, len);
	const char *type = said_of(infer, "datatype", name, len);
	const json_t *input = NULL;
	enum rpc_datatype datatype;

	if (said_shape == NULL || type == NULL) {
		int code = describe(infer);
		if (code != 0)
			return code;
		input = find_input(infer, name, len);
		if (input == NULL)
			return ctl_fail(infer->ctl, EXIT_CODE_USAGE,
			                "the model has no input %.*s; see: wasmedgectl model "
			                "inspect %s", (int)len, name, infer->model);
	}
	if (type == NULL)
		type = ctl_text(input, "datatype");
	if (!rpc_datatype_find(type, strlen(type), &datatype))
		return ctl_fail(infer->ctl, EXIT_CODE_USAGE, "--datatype: no datatype is called %s",
		                type);
	*out_datatype = rpc_datatype_text(datatype);
	if (said_shape != NULL)
		return parse_shape(infer, said_shape, out_shape);
	return complete_shape(infer, input, datatype, size, out_shape);
}

/* "NAME=FILE": the bytes behind those that are there, and what they are into the JSON. */
static int
add_raw(struct infer *infer, const char *word, size_t len)
{
	const char *datatype = NULL;
	json_t *shape = NULL;
	char *bytes = NULL;
	size_t size = 0;

	int code = ctl_read_file(infer->ctl, word + len + 1, FILE_BYTES_MAX - infer->body_len,
	                         &bytes, &size);
	if (code == 0)
		code = describe_input(infer, word, len, size, &datatype, &shape);
	if (code == 0) {
		json_t *input = json_pack("{s:s%,s:s,s:o,s:{s:I}}", "name", word, len, "datatype",
		                          datatype, "shape", shape, "parameters",
		                          "binary_data_size", (json_int_t)size);
		char *body = realloc(infer->body, infer->body_len + size + 1);
		if (body != NULL)
			infer->body = body;
		if (body == NULL || input == NULL ||
		    json_array_append_new(json_object_get(infer->head, "inputs"), input) != 0) {
			code = no_memory(infer);
		} else {
			memcpy(body + infer->body_len, bytes, size);
			infer->body_len += size;
		}
	}
	free(bytes);
	return code;
}

static int
add_wanted(struct infer *infer)
{
	json_t *outputs = json_array();
	size_t position = 0;
	const char *name;
	bool ok = true;

	while (ok && (name = cli_next(infer->args, "want", &position)) != NULL)
		ok = json_array_append_new(outputs, json_pack("{s:s}", "name", name)) == 0;
	ok = json_object_set_new(infer->head, "outputs", outputs) == 0 && ok;
	return ok ? 0 : no_memory(infer);
}

/* The JSON in front of the bytes. */
static int
join(struct infer *infer)
{
	char *head = json_dumps(infer->head, JSON_COMPACT);
	size_t head_len = head == NULL ? 0 : strlen(head);
	char *body = head == NULL ? NULL : malloc(head_len + infer->body_len + 1);

	if (body == NULL) {
		free(head);
		return no_memory(infer);
	}
	memcpy(body, head, head_len);
	if (infer->body_len > 0)
		memcpy(body + head_len, infer->body, infer->body_len);
	free(head);
	free(infer->body);
	infer->body = body;
	infer->body_len += head_len;
	snprintf(infer->field, sizeof infer->field, LENGTH_FIELD ": %zu", head_len);
	return 0;
}

/* From files of bytes. */
static int
make_raw(struct infer *infer)
{
	int code = 0;

	infer->head = json_pack("{s:[],s:{s:b}}", "inputs", "parameters", "binary_data_output",
	                        infer->out != NULL);
	if (infer->head == NULL)
		return no_memory(infer);
	for (size_t i = 1; code == 0 && i < infer->args->word_count; i++) {
		const char *word = infer->args->words[i];
		const char *sign = strchr(word, '=');
		if (sign == NULL || sign == word)
			return ctl_fail(infer->ctl, EXIT_CODE_USAGE,
			                "expected INPUT=FILE, found %s", word);
		code = add_raw(infer, word, (size_t)(sign - word));
	}
	if (code == 0)
		code = add_wanted(infer);
	return code == 0 ? join(infer) : code;
}

/* From a file that is the request, as it is. */
static int
make_json(struct infer *infer, const char *file)
{
	if (cli_has(infer->args, "shape") || cli_has(infer->args, "datatype") ||
	    cli_has(infer->args, "want") || infer->out != NULL)
		return ctl_fail(infer->ctl, EXIT_CODE_USAGE,
		                "--shape, --datatype, --want and -O are for inputs INPUT=FILE; the "
		                "request in %s says all of it itself", file);
	return ctl_read_file(infer->ctl, file, FILE_BYTES_MAX, &infer->body, &infer->body_len);
}

/* --- infer: what is answered --------------------------------------------------------------- */

/* One output with its bytes: they go where the user says. */
static int
keep_bytes(struct infer *infer, const struct http_response *response)
{
	const char *field = http_response_field(response, LENGTH_FIELD);
	size_t len = field == NULL ? SIZE_MAX : strtoull(field, NULL, 10);
	json_t *json = NULL;

	if (len > response->body_len)
		return ctl_fail(infer->ctl, EXIT_CODE_FAILED, "the reply has no binary outputs");
	if (rpc_json_parse(response->body, len, len, &json, NULL) != RPC_OK)
		return ctl_fail(infer->ctl, EXIT_CODE_FAILED, "the reply is not JSON");
	size_t count = json_array_size(json_object_get(json, "outputs"));
	json_decref(json);
	if (count != 1)
		return ctl_fail(infer->ctl, EXIT_CODE_USAGE,
		                "the model gave %zu outputs: say which one with --want", count);
	return ctl_write_file(infer->ctl, infer->out, response->body + len,
	                      response->body_len - len);
}

static void
add_values(struct output_table *table, const json_t *data)
{
	size_t count = json_array_size(data);
	char text[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < count && i < VALUES_SHOWN && used < sizeof text; i++) {
		char *value = json_dumps(json_array_get(data, i),
		                         JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? "" : " ",
		                         value == NULL ? "" : value);
		free(value);
	}
	if (count > VALUES_SHOWN && used < sizeof text)
		snprintf(text + used, sizeof text - used, " ... %zu more", count - VALUES_SHOWN);
	output_table_add(table, text);
}

static int
show_outputs(struct ctl *ctl, const struct http_response *response)
{
	static const struct output_column columns[] = {
		{ "OUTPUT", OUTPUT_LEFT, true },
		{ "DATATYPE", OUTPUT_LEFT, false },
		{ "SHAPE", OUTPUT_LEFT, false },
		{ "VALUES", OUTPUT_LEFT, true },
	};
	struct output_table table;
	json_t *json = NULL;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &json);
	if (code != 0)
		return code;
	const json_t *outputs = json_object_get(json, "outputs");
	output_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < json_array_size(outputs); i++) {
		const json_t *output = json_array_get(outputs, i);
		char *shape = json_dumps(json_object_get(output, "shape"), 0);

		if (ctl->format == CTL_PLAIN_NAME)
			output_field(ctl->out, "", ctl_text(output, "name"));
		output_table_add(&table, ctl_text(output, "name"));
		output_table_add(&table, ctl_text(output, "datatype"));
		output_table_add(&table, shape);
		add_values(&table, json_object_get(output, "data"));
		free(shape);
	}
	code = ctl_table(ctl, &table);
	output_table_clear(&table);
	json_decref(json);
	return code;
}

static int
perform(struct infer *infer)
{
	struct ctl *ctl = infer->ctl;
	struct http_request request = { .method = "POST" };
	struct http_response response = { 0 };
	char *path = NULL;
	int code = model_path(ctl, infer->model, "/infer", &path);

	if (code == 0) {
		request.path = path;
		request.body = infer->body;
		request.body_len = infer->body_len;
		request.content_type = infer->field[0] == '\0' ? "application/json" : BYTES_TYPE;
		request.fields[0] = infer->field[0] == '\0' ? NULL : infer->field;
		code = ctl_request(ctl, &request, &response);
	}
	if (code == 0)
		code = infer->out != NULL ? keep_bytes(infer, &response)
		                          : show_outputs(ctl, &response);
	http_response_clear(&response);
	free(path);
	return code;
}

int
verb_model_infer(void *context, const struct cli_args *args)
{
	struct infer infer = { .ctl = context, .args = args, .model = args->words[0],
		               .out = cli_value(args, "out") };
	bool is_json = args->word_count == 2 && strchr(args->words[1], '=') == NULL;

	if (infer.out != NULL && strcmp(infer.out, "-") == 0 && infer.ctl->out_is_terminal)
		return ctl_fail(infer.ctl, EXIT_CODE_USAGE,
		                "bytes are no text for a terminal: give -O FILE");
	int code = is_json ? make_json(&infer, args->words[1]) : make_raw(&infer);
	if (code == 0)
		code = perform(&infer);
	infer_clear(&infer);
	return code;
}
