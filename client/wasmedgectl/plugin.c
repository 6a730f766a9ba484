/* plugin.c - the verbs about plug-ins: what there is, and their operations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/list.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"
#include "rpc/route.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define IMAGE_PLUGIN "wasmedge_image"
#define BYTES_TYPE "application/octet-stream"

/* --- looking --- */

static void
print_plugin_name(FILE *out, const json_t *plugin)
{
	const char *name = ctl_text(plugin, "name");

	output_text(out, name, strlen(name));
}

static void
add_plugin(struct list *list, const json_t *plugin)
{
	const char *why_not = ctl_text(plugin, "why_not");

	output_table_add(&list->table, ctl_text(plugin, "name"));
	output_table_add(&list->table, ctl_text(plugin, "version"));
	output_table_add_format(&list->table, "%zu",
	                        json_array_size(json_object_get(plugin, "operations")));
	output_table_add(&list->table, why_not[0] != '\0' ? why_not : ctl_text(plugin, "summary"));
}

int
verb_plugin_ls(void *context, const struct cli_args *args)
{
	static const struct output_column columns[] = {
		{ "NAME", OUTPUT_LEFT, false },
		{ "VERSION", OUTPUT_LEFT, false },
		{ "OPERATIONS", OUTPUT_RIGHT, false },
		{ "SUMMARY, OR WHY NOT", OUTPUT_LEFT, true },
	};
	static const struct list_kind kind = { columns, 4, print_plugin_name, add_plugin };

	struct ctl *ctl = context;
	struct http_response response = { 0 };
	json_t *json = NULL, *plugin;
	struct list list;
	size_t i;

	(void)args;
	int code = ctl_get(ctl, "/v1/plugins", &response, &json);
	if (code != 0)
		return code;
	if (ctl_wants_document(ctl)) {
		code = ctl_document(ctl, &response);
	} else {
		list_init(&list, ctl, &kind);
		json_array_foreach (json_object_get(json, "items"), i, plugin)
			list_add(&list, plugin);
		code = list_print(&list);
		list_clear(&list);
	}
	json_decref(json);
	http_response_clear(&response);
	return code;
}

static void
print_types(FILE *out, const json_t *types)
{
	size_t i;
	json_t *type;

	json_array_foreach (types, i, type)
		fprintf(out, "%s%s", i == 0 ? "" : " ", json_string_value(type));
}

static void
print_modules(FILE *out, const json_t *plugin)
{
	size_t i, k;
	json_t *module, *function;

	json_array_foreach (json_object_get(plugin, "modules"), i, module) {
		output_field(out, "module    ", ctl_text(module, "name"));
		json_array_foreach (json_object_get(module, "functions"), k, function) {
			const char *name = ctl_text(function, "name");
			fputs("  ", out);
			output_text(out, name, strlen(name));
			fputs(" (", out);
			print_types(out, json_object_get(function, "params"));
			fputs(") -> (", out);
			print_types(out, json_object_get(function, "results"));
			fputs(")\n", out);
		}
	}
}

/* " width:integer layout:string", what may be given with --set. */
static void
print_inputs(FILE *out, const json_t *operation)
{
	json_t *properties =
	    json_object_get(json_object_get(operation, "input_schema"), "properties");
	const char *name;
	json_t *schema;

	json_object_foreach (properties, name, schema) {
		const char *type = ctl_text(schema, "type");
		fputs("  --set ", out);
		output_text(out, name, strlen(name));
		fputc('=', out);
		output_text(out, type, strlen(type));
		fprintf(out, "%s\n", type[0] == '\0' ? "text" : "");
	}
}

static void
print_operations(FILE *out, const json_t *plugin)
{
	size_t i;
	json_t *operation;

	json_array_foreach (json_object_get(plugin, "operations"), i, operation) {
		if (!json_is_true(json_object_get(operation, "http")))
			continue;
		output_field(out, "operation ", ctl_text(operation, "name"));
		output_field(out, "  ", ctl_text(operation, "summary"));
		print_inputs(out, operation);
	}
}

static int
show_plugin(struct ctl *ctl, const struct http_response *response)
{
	json_t *plugin = NULL;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &plugin);
	if (code != 0)
		return code;
	output_field(ctl->out, "name      ", ctl_text(plugin, "name"));
	output_field(ctl->out, "version   ", ctl_text(plugin, "version"));
	output_field(ctl->out, "summary   ", ctl_text(plugin, "summary"));
	output_field(ctl->out, "why not   ", ctl_text(plugin, "why_not"));
	print_modules(ctl->out, plugin);
	print_operations(ctl->out, plugin);
	json_decref(plugin);
	return 0;
}

/* "/v1/plugins/NAME" and, unless it is NULL, "/OPERATION"; what the user wrote is encoded. */
static int
plugin_path(struct ctl *ctl, const char *name, const char *operation, char **out)
{
	size_t rest = operation == NULL ? 0 : strlen(operation);
	char *encoded = malloc(3 * (strlen(name) + rest) + 2);

	if (encoded == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
	size_t len = rpc_percent_encode(name, strlen(name), encoded);
	if (operation != NULL) {
		encoded[len++] = '/';
		len += rpc_percent_encode(operation, rest, encoded + len);
	}
	encoded[len] = '\0';
	int code = ctl_format(ctl, out, "/v1/plugins/%s", encoded);
	free(encoded);
	return code;
}

int
verb_plugin_inspect(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .accept = "application/json" };
	char *path = NULL;
	int code = plugin_path(ctl, args->words[0], NULL, &path);

	request.path = path;
	if (code == 0)
		code = ctl_perform(ctl, &request, show_plugin);
	free(path);
	return code;
}

/* --- a call: what is asked --- */

/* Everything of one, on its way. */
struct call {
	struct ctl *ctl;
	const char *plugin;
	const char *operation;
	const char *file;  /* NULL: none */
	const char *media; /* of the file, as the user says; or NULL */
	const char *out;   /* where a buffer goes; or NULL */
	json_t *description; /* of the operation; NULL until it was asked for */
	char *url;
	char *body;
	size_t body_len;
	char type[128];
	char accept[256];
};

static void
call_clear(struct call *call)
{
	json_decref(call->description);
	free(call->url);
	free(call->body);
}

/* Ask the daemon what the operation takes and gives. */
static int
describe(struct call *call)
{
	struct http_response response = { 0 };
	json_t *plugin = NULL, *operation;
	char *path = NULL;
	size_t i;

	int code = plugin_path(call->ctl, call->plugin, NULL, &path);
	if (code == 0)
		code = ctl_get(call->ctl, path, &response, &plugin);
	free(path);
	if (code != 0)
		return code;
	json_array_foreach (json_object_get(plugin, "operations"), i, operation)
		if (strcmp(ctl_text(operation, "name"), call->operation) == 0)
			call->description = json_incref(operation);
	json_decref(plugin);
	http_response_clear(&response);
	return 0; /* one that there is not is the daemon's to refuse */
}

/* What the bytes look like. */
static const char *
guess_media(const char *bytes, size_t len)
{
	static const struct {
		const char *media;
		const char *start;
		size_t len;
	} kinds[] = {
		{ "image/jpeg", "\xff\xd8\xff", 3 },
		{ "image/png", "\x89PNG\r\n\x1a\n", 8 },
		{ "application/wasm", "\0asm", 4 },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (len >= kinds[i].len && memcmp(bytes, kinds[i].start, kinds[i].len) == 0)
			return kinds[i].media;
	return BYTES_TYPE;
}

static bool
has_text(const json_t *array, const char *text)
{
	size_t i;
	json_t *item;

	json_array_foreach (array, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

/* The media type that the file is sent with. */
static int
choose_type(struct call *call)
{
	const json_t *takes = json_object_get(call->description, "input_media");
	const char *media = call->media;

	if (media == NULL && json_array_size(takes) == 1)
		media = json_string_value(json_array_get(takes, 0));
	if (media == NULL || strcmp(media, "*/*") == 0)
		media = guess_media(call->body, call->body_len);
	if (call->media == NULL && json_array_size(takes) > 1 && !has_text(takes, media))
		return ctl_fail(call->ctl, EXIT_CODE_USAGE,
		                "%s: what it is cannot be told from its bytes: give --type",
		                call->file);
	snprintf(call->type, sizeof call->type, "%s", media);
	return 0;
}

/* With a file to be written, its bytes alone are asked for; else JSON. */
static void
choose_accept(struct call *call)
{
	const json_t *gives = json_object_get(call->description, "output_media");
	size_t i, used = 0;
	json_t *media;

	snprintf(call->accept, sizeof call->accept, "application/json");
	if (call->out == NULL || json_array_size(gives) == 0)
		return;
	json_array_foreach (gives, i, media)
		if (used < sizeof call->accept && json_is_string(media))
			used += (size_t)snprintf(call->accept + used, sizeof call->accept - used,
			                         "%s%s", i == 0 ? "" : ", ",
			                         json_string_value(media));
}

/* NAME=VALUE as a parameter of the query. */
static int
add_set(struct call *call, const char *set)
{
	const char *equals = strchr(set, '=');
	size_t len = equals == NULL ? 0 : (size_t)(equals - set);

	if (len == 0)
		return ctl_fail(call->ctl, EXIT_CODE_USAGE, "--set: expected NAME=VALUE, found %s",
		                set);
	char *name = strndup(set, len);
	if (name == NULL)
		return ctl_fail(call->ctl, EXIT_CODE_FAILED, "out of memory");
	int code = ctl_add_query(call->ctl, &call->url, name, equals + 1);
	free(name);
	return code;
}

/* The same as a member: JSON where the value is, a text where it is not. */
static int
add_member(struct call *call, json_t *input, const char *set)
{
	const char *equals = strchr(set, '=');
	size_t len = equals == NULL ? 0 : (size_t)(equals - set);

	if (len == 0)
		return ctl_fail(call->ctl, EXIT_CODE_USAGE, "--set: expected NAME=VALUE, found %s",
		                set);
	json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
	if (value == NULL)
		value = json_string(equals + 1);
	if (value == NULL)
		return ctl_fail(call->ctl, EXIT_CODE_USAGE, "--set: %s is not UTF-8", set);
	if (json_object_setn_new(input, set, len, value) != 0)
		return ctl_fail(call->ctl, EXIT_CODE_FAILED, "out of memory");
	return 0;
}

static int
make_json(struct call *call, const struct cli_args *args)
{
	json_t *input = json_object();
	size_t position = 0;
	const char *set;
	int code = 0;

	while (code == 0 && (set = cli_next(args, "set", &position)) != NULL)
		code = add_member(call, input, set);
	json_t *body = code == 0 ? json_pack("{s:O}", "input", input) : NULL;
	call->body = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
	json_decref(body);
	json_decref(input);
	if (code == 0 && call->body == NULL)
		return ctl_fail(call->ctl, EXIT_CODE_FAILED, "out of memory");
	call->body_len = code == 0 ? strlen(call->body) : 0;
	snprintf(call->type, sizeof call->type, "application/json");
	return code;
}

static int
make_raw(struct call *call, const struct cli_args *args)
{
	size_t position = 0;
	const char *set;
	int code = 0;

	while (code == 0 && (set = cli_next(args, "set", &position)) != NULL)
		code = add_set(call, set);
	if (code == 0)
		code = ctl_read_file(call->ctl, call->file, FILE_BYTES_MAX, &call->body,
		                     &call->body_len);
	return code != 0 ? code : choose_type(call);
}

/* --- a call: what is answered --- */

/* {"base64":...} as it is sent: the rest of the answer says how much. */
static int
show_json(struct ctl *ctl, const struct http_response *response)
{
	json_t *answer = NULL, *buffer;
	size_t i;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &answer);
	if (code != 0)
		return code;
	char *text = json_dumps(json_object_get(answer, "output"),
	                        JSON_INDENT(2) | JSON_ENSURE_ASCII);
	if (text != NULL)
		fprintf(ctl->out, "%s\n", text);
	free(text);
	json_array_foreach (json_object_get(answer, "buffers"), i, buffer) {
		size_t characters = strlen(ctl_text(buffer, "base64"));
		char size[OUTPUT_SHORT_MAX];
		ctl_note(ctl, "buffer %zu has %s; -o json shows it, -O FILE keeps it", i + 1,
		         output_size(characters / 4 * 3, size));
	}
	json_decref(answer);
	return 0;
}

/* A buffer alone: it goes where the user says, and what the operation says besides is shown. */
static int
keep_buffer(const struct call *call, const struct http_response *response)
{
	struct ctl *ctl = call->ctl;
	const char *result = http_response_field(response, "Plugin-Result");

	int code = ctl_write_file(ctl, call->out, response->body, response->body_len);
	if (code == 0 && result != NULL && strcmp(call->out, "-") != 0)
		output_field(ctl->out, "", result);
	return code;
}

static int
show_answer(const struct call *call, const struct http_response *response)
{
	const char *type = http_response_field(response, "Content-Type");
	bool is_json = type != NULL && strncmp(type, "application/json", 16) == 0;

	if (!is_json && call->out != NULL)
		return keep_buffer(call, response);
	if (call->out != NULL)
		return ctl_fail(call->ctl, EXIT_CODE_FAILED,
		                "the operation did not give a single buffer, so %s was not written",
		                call->out);
	return show_json(call->ctl, response);
}

static int
perform(struct call *call, const struct cli_args *args)
{
	struct ctl *ctl = call->ctl;
	struct http_request request = { .method = "POST" };
	struct http_response response = { 0 };
	char *path = NULL;

	if (call->out != NULL && strcmp(call->out, "-") == 0 && ctl->out_is_terminal)
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "bytes are no text for a terminal: give -O FILE");
	int code = plugin_path(ctl, call->plugin, call->operation, &path);
	if (code == 0)
		code = ctl_format(ctl, &call->url, "%s?", path);
	free(path);
	if (code == 0 && (call->file != NULL || call->out != NULL))
		code = describe(call);
	if (code == 0)
		code = call->file != NULL ? make_raw(call, args) : make_json(call, args);
	if (code != 0)
		return code;
	choose_accept(call);
	call->url[strlen(call->url) - 1] = '\0'; /* '?' or '&' */
	request.path = call->url;
	request.accept = call->accept;
	request.content_type = call->type;
	request.body = call->body;
	request.body_len = call->body_len;
	code = ctl_request(ctl, &request, &response);
	if (code == 0)
		code = show_answer(call, &response);
	http_response_clear(&response);
	return code;
}

int
verb_plugin_call(void *context, const struct cli_args *args)
{
	struct call call = {
		.ctl = context,
		.plugin = args->words[0],
		.operation = args->words[1],
		.file = args->word_count > 2 ? args->words[2] : NULL,
		.media = cli_value(args, "type"),
		.out = cli_value(args, "out"),
	};

	int code = perform(&call, args);
	call_clear(&call);
	return code;
}

/* --- image decode --- */

/* The options of the verb are inputs of the operation, by the same names. */
static int
add_image_options(struct call *call, const struct cli_args *args)
{
	static const char *const names[] = { "width", "height", "layout" };
	int code = 0;

	for (size_t i = 0; code == 0 && i < sizeof names / sizeof names[0]; i++)
		code = ctl_add_query(call->ctl, &call->url, names[i], cli_value(args, names[i]));
	return code;
}

int
verb_image_decode(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "POST" };
	struct http_response response = { 0 };
	struct call call = { .ctl = ctl, .plugin = IMAGE_PLUGIN, .operation = "decode",
		             .file = args->words[0], .out = cli_value(args, "out") };
	const char *layout = cli_value(args, "layout");
	bool is_png = layout != NULL && strcmp(layout, "png") == 0;

	if (call.out != NULL && strcmp(call.out, "-") == 0 && ctl->out_is_terminal)
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "pixels are no text for a terminal: give -O FILE");
	int code = ctl_format(ctl, &call.url, "/v1/plugins/" IMAGE_PLUGIN "/decode?");
	if (code == 0)
		code = add_image_options(&call, args);
	if (code == 0)
		code = ctl_read_file(ctl, call.file, FILE_BYTES_MAX, &call.body, &call.body_len);
	if (code == 0) {
		call.url[strlen(call.url) - 1] = '\0'; /* '?' or '&' */
		request.path = call.url;
		request.accept = call.out == NULL ? "application/json"
		                 : is_png         ? "image/png"
		                                  : BYTES_TYPE;
		request.content_type = guess_media(call.body, call.body_len);
		request.body = call.body;
		request.body_len = call.body_len;
		code = ctl_request(ctl, &request, &response);
	}
	if (code == 0)
		code = show_answer(&call, &response);
	http_response_clear(&response);
	call_clear(&call);
	return code;
}
