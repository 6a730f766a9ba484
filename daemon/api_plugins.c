/*
 * api_plugins.c - plug-ins: what there is, and their operations for clients without a guest.
 *
 * An operation is asked for in two forms:
 *
 *	application/json        {"input": {...}, "buffers": [{"base64": "..."}]}
 *	the buffer's own type   that buffer; the input is in the query, typed by the input's schema
 *
 * and answers in two: {"output": {...}, "buffers": [...]}, or its single buffer alone, with the
 * output in the field Plugin-Result.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/operate.h"
#include "daemon/plugins.h"
#include "rpc/base64.h"
#include "rpc/json.h"

#define RESULT_MAX 1000 /* of the field Plugin-Result */
#define MEDIA_MAX 16    /* media types of an operation that are looked at */
#define JSON_TYPE "application/json"

/* --- lists of media types ------------------------------------------------------------------- */

/* Texts of a list that is divided by blanks; they point into copy. */
struct media {
	char copy[512];
	const char *types[MEDIA_MAX + 1];
	size_t count;
};

static void
media_init(struct media *media, const char *list)
{
	char *rest = media->copy;

	media->count = 0;
	if (list == NULL || strlen(list) >= sizeof media->copy)
		return;
	strcpy(media->copy, list);
	for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL && media->count < MEDIA_MAX;)
		media->types[media->count++] = word;
}

static void
write_media(struct rpc_writer *w, const char *key, const char *list)
{
	struct media media;

	if (list == NULL)
		return;
	media_init(&media, list);
	rpc_write_key(w, key);
	rpc_write_array_begin(w);
	for (size_t i = 0; i < media.count; i++)
		rpc_write_text(w, media.types[i]);
	rpc_write_array_end(w);
}

/* --- describing ----------------------------------------------------------------------------- */

static void
write_signature(struct rpc_writer *w, const char *key, const char *letters)
{
	rpc_write_key(w, key);
	rpc_write_array_begin(w);
	for (; *letters != '\0'; letters++)
		rpc_write_text(w, *letters == 'i'   ? "i32"
		                  : *letters == 'l' ? "i64"
		                  : *letters == 'f' ? "f32"
		                                    : "f64");
	rpc_write_array_end(w);
}

static void
write_module(struct rpc_writer *w, const struct vm_plugin_module *module)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "name", module->name);
	rpc_member_text(w, "summary", module->summary);
	rpc_write_key(w, "functions");
	rpc_write_array_begin(w);
	for (uint32_t i = 0; i < module->func_count; i++) {
		rpc_write_object_begin(w);
		rpc_member_text(w, "name", module->funcs[i].name);
		rpc_member_text(w, "kind", "func");
		write_signature(w, "params", module->funcs[i].params);
		write_signature(w, "results", module->funcs[i].results);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
	rpc_write_object_end(w);
}

/* A plug-in's mistake must not make our document one. */
static void
write_schema(struct rpc_writer *w, const char *key, const char *text)
{
	json_t *tree = NULL;
	size_t len = strlen(text);

	rpc_write_key(w, key);
	if (rpc_json_parse(text, len, len, &tree, NULL) == RPC_OK && json_is_object(tree))
		rpc_write_raw(w, text, len);
	else
		rpc_write_raw(w, "{}", 2);
	json_decref(tree);
}

static void
write_operation(struct rpc_writer *w, const struct vm_plugin *plugin,
                const struct vm_plugin_operation *operation)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "name", operation->name);
	rpc_member_text(w, "summary", operation->summary);
	rpc_member_bool(w, "http", (operation->flags & VM_PLUGIN_PRIVATE) == 0);
	rpc_member_bool(w, "guests", plugin->module_count > 0);
	rpc_member_bool(w, "sandboxed", (operation->flags & VM_PLUGIN_SANDBOX) != 0);
	write_schema(w, "input_schema", operation->input_schema);
	write_schema(w, "output_schema", operation->output_schema);
	write_media(w, "input_media", operation->input_media);
	write_media(w, "output_media", operation->output_media);
	rpc_write_object_end(w);
}

static void
write_options(struct rpc_writer *w, const struct vm_plugin *plugin)
{
	static const char *const types[] = {
		[VM_PLUGIN_TEXT] = "text", [VM_PLUGIN_BOOL] = "bool", [VM_PLUGIN_UINT] = "uint",
		[VM_PLUGIN_SIZE] = "size", [VM_PLUGIN_LIST] = "list",
	};

	rpc_write_key(w, "options");
	rpc_write_array_begin(w);
	for (uint32_t i = 0; i < plugin->option_count; i++) {
		const struct vm_plugin_option *option = &plugin->options[i];
		rpc_write_object_begin(w);
		rpc_member_text(w, "name", option->name);
		rpc_member_text(w, "type", types[option->type]);
		rpc_member_text(w, "default", option->standard);
		rpc_member_text(w, "summary", option->summary);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

static void
write_contents(struct rpc_writer *w, const struct vm_plugin *plugin)
{
	rpc_write_key(w, "modules");
	rpc_write_array_begin(w);
	for (uint32_t i = 0; plugin != NULL && i < plugin->module_count; i++)
		write_module(w, &plugin->modules[i]);
	rpc_write_array_end(w);
	rpc_write_key(w, "operations");
	rpc_write_array_begin(w);
	for (uint32_t i = 0; plugin != NULL && i < plugin->operation_count; i++)
		write_operation(w, plugin, &plugin->operations[i]);
	rpc_write_array_end(w);
}

/* On an operator: it may take a while to find out what is missing. */
static void
write_plugin(struct rpc_writer *w, struct plugins *plugins, uint32_t index)
{
	char why_not[VM_ERROR_MESSAGE_MAX];
	struct vm_plugins_info info;

	vm_plugins_look(plugins_set(plugins), index, &info);
	plugins_why_not(plugins, index, why_not, sizeof why_not);
	rpc_write_object_begin(w);
	rpc_member_text(w, "name", info.name);
	if (info.plugin != NULL) {
		rpc_member_text(w, "version", info.plugin->version);
		rpc_member_text(w, "summary", info.plugin->summary);
	}
	rpc_member_bool(w, "available", why_not[0] == '\0');
	if (why_not[0] != '\0')
		rpc_member_text(w, "why_not", why_not);
	if (info.plugin != NULL)
		write_options(w, info.plugin);
	write_contents(w, info.plugin);
	rpc_write_object_end(w);
}

/* A description on its way: of one plug-in, or of all. */
struct description {
	struct operate operate;
	bool is_list;
	bool is_pretty;
	uint32_t index;
};

static void
describe(struct operate *operate)
{
	struct description *description = (struct description *)operate;
	struct plugins *plugins = operate->daemon->plugins;
	struct rpc_writer w;

	rpc_writer_init(&w);
	w.pretty = description->is_pretty;
	if (description->is_list) {
		rpc_write_object_begin(&w);
		rpc_write_key(&w, "items");
		rpc_write_array_begin(&w);
		for (uint32_t i = 0; i < vm_plugins_count(plugins_set(plugins)); i++)
			write_plugin(&w, plugins, i);
		rpc_write_array_end(&w);
		rpc_write_object_end(&w);
	} else {
		write_plugin(&w, plugins, description->index);
	}
	reply_json(&operate->reply, 200, &w);
}

static void
description_free(struct operate *operate)
{
	free(operate);
}

static void
start_description(struct request *request, bool is_list, uint32_t index)
{
	struct description *description = calloc(1, sizeof *description);

	if (description == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the description");
		return;
	}
	description->operate.run = describe;
	description->operate.free = description_free;
	description->is_list = is_list;
	description->is_pretty = rpc_query_bool(&request->query, "pretty", false);
	description->index = index;
	operate_start(&description->operate, request);
}

void
plugins_list(struct request *request)
{
	start_description(request, true, 0);
}

/* The {name} of the path; replies and returns false when there is none. */
static bool
find_plugin(struct request *request, struct vm_plugins_info *out, uint32_t *out_index)
{
	struct vm_plugins *set = plugins_set(api_daemon(request)->plugins);
	struct rpc_str name = rpc_match_param(&request->match, "name");

	for (uint32_t i = 0; i < vm_plugins_count(set); i++) {
		vm_plugins_look(set, i, out);
		if (rpc_str_is(name, out->name)) {
			*out_index = i;
			return true;
		}
	}
	request_fail(request, RPC_PLUGIN_NOT_FOUND, "no plug-in is called %.*s",
	             (int)(name.len < 80 ? name.len : 80), name.data);
	return false;
}

void
plugins_get(struct request *request)
{
	struct vm_plugins_info info;
	uint32_t index;

	if (find_plugin(request, &info, &index))
		start_description(request, false, index);
}

/* --- a call: before its body ---------------------------------------------------------------- */

/* The {operation} of the path; replies and returns NULL when there is none for clients. */
static const struct vm_plugin_operation *
find_operation(struct request *request, struct vm_plugins_info *out)
{
	struct rpc_str name = rpc_match_param(&request->match, "operation");
	uint32_t index;

	if (!find_plugin(request, out, &index))
		return NULL;
	if (out->plugin == NULL) {
		request_fail(request, RPC_PLUGIN_UNAVAILABLE, "plug-in %s: %s", out->name,
		             out->why_not);
		return NULL;
	}
	for (uint32_t i = 0; i < out->plugin->operation_count; i++) {
		const struct vm_plugin_operation *operation = &out->plugin->operations[i];
		if (rpc_str_is(name, operation->name) &&
		    (operation->flags & VM_PLUGIN_PRIVATE) == 0)
			return operation;
	}
	request_fail(request, RPC_OPERATION_NOT_FOUND, "plug-in %s has no operation %.*s for "
	             "clients", out->name, (int)(name.len < 80 ? name.len : 80), name.data);
	return NULL;
}

/*
 * What the body is: 0 for JSON, otherwise the buffer itself; replies and returns -1 when it is
 * neither.
 */
static int
form_of(struct request *request, const struct vm_plugin_operation *operation)
{
	struct media media;
	const char *types[MEDIA_MAX + 1];
	const char *field = request_header(request, "Content-Type");

	media_init(&media, operation->input_media);
	types[0] = JSON_TYPE;
	for (size_t i = 0; i < media.count; i++)
		types[i + 1] = media.types[i];
	/* An operation that takes anything is not asked for a list. */
	for (size_t i = 0; i < media.count; i++)
		if (strcmp(media.types[i], "*/*") == 0 && field != NULL &&
		    strncmp(field, JSON_TYPE, strlen(JSON_TYPE)) != 0)
			return 1;
	return api_content_type(request, types, media.count + 1, true);
}

void
plugins_call_begin(struct request *request)
{
	struct vm_plugins_info info;
	const struct vm_plugin_operation *operation = find_operation(request, &info);

	if (operation != NULL && form_of(request, operation) >= 0)
		(void)request_expect_body(request, api_daemon(request)->config->limits_body_bytes);
}

/* --- a call: what is asked ------------------------------------------------------------------ */

struct call {
	struct operate operate;
	const char *plugin;
	const struct vm_plugin_operation *operation;
	struct media output; /* media types of what it gives */
	int offer;           /* index of the one that Accept prefers, or -1 for JSON */
	bool is_raw;         /* the body is the buffer */
	bool is_pretty;
	struct rpc_query query; /* RAW: the input */
	char *body;
	size_t body_len;
	/* made of them on the operator */
	char *input;
	struct vm_str buffers[VM_PLUGIN_BUFFERS_MAX];
	void *decoded[VM_PLUGIN_BUFFERS_MAX]; /* that are memory of ours */
	uint32_t buffer_count;
};

static void
call_free(struct operate *operate)
{
	struct call *call = (struct call *)operate;

	for (uint32_t i = 0; i < call->buffer_count; i++)
		free(call->decoded[i]);
	rpc_query_clear(&call->query);
	free(call->input);
	free(call->body);
	free(call);
}

static enum rpc_code
no_memory(struct rpc_problem *problem)
{
	return rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "no memory for the request");
}

/* {"base64": "..."} or {"text": "..."}; the text stays in the tree, so it is copied. */
static enum rpc_code
read_buffer(struct call *call, json_t *json, const struct rpc_at *at, struct rpc_problem *problem)
{
	struct rpc_str text = { NULL, 0 };
	struct rpc_str base64 = { NULL, 0 };
	struct rpc_object obj;
	size_t len, bad;

	rpc_object_open(&obj, json, at, problem);
	rpc_object_text(&obj, "text", RPC_OPTIONAL, 0, SIZE_MAX, &text);
	rpc_object_text(&obj, "base64", RPC_OPTIONAL, 0, SIZE_MAX, &base64);
	enum rpc_code code = rpc_object_close(&obj);
	if (code != RPC_OK)
		return code;
	if ((text.data == NULL) == (base64.data == NULL))
		return rpc_problem_here(problem, RPC_BAD_REQUEST, at,
		                        "expected either text or base64, found %s",
		                        text.data == NULL ? "neither" : "both");
	uint8_t *bytes = malloc(1 + (text.data != NULL ? text.len
	                                               : rpc_base64_decoded_max(base64.len)));
	if (bytes == NULL)
		return no_memory(problem);
	if (text.data != NULL) {
		memcpy(bytes, text.data, text.len);
		len = text.len;
	} else if (!rpc_base64_decode(base64.data, base64.len, bytes, &len, &bad)) {
		free(bytes);
		return rpc_problem_here(problem, RPC_BAD_REQUEST, at,
		                        "base64: wrong at character %zu, or without its padding",
		                        bad);
	}
	call->decoded[call->buffer_count] = bytes;
	call->buffers[call->buffer_count++] = (struct vm_str){ (const char *)bytes, len };
	return RPC_OK;
}

static enum rpc_code
take_input(struct call *call, const json_t *input, struct rpc_problem *problem)
{
	call->input = json_dumps(input, JSON_COMPACT);
	return call->input != NULL ? RPC_OK : no_memory(problem);
}

static enum rpc_code
read_tree(struct call *call, json_t *tree, struct rpc_problem *problem)
{
	const struct rpc_at all = { .key = "buffers" };
	struct rpc_object obj;
	json_t *input = NULL;
	json_t *buffers = NULL;

	rpc_object_open(&obj, tree, NULL, problem);
	rpc_object_object(&obj, "input", RPC_OPTIONAL, SIZE_MAX, &input);
	rpc_object_array(&obj, "buffers", RPC_OPTIONAL, VM_PLUGIN_BUFFERS_MAX, &buffers);
	enum rpc_code code = rpc_object_close(&obj);
	for (size_t i = 0; code == RPC_OK && i < json_array_size(buffers); i++) {
		const struct rpc_at at = { .up = &all, .index = i };
		code = read_buffer(call, json_array_get(buffers, i), &at, problem);
	}
	if (code == RPC_OK && input != NULL)
		code = take_input(call, input, problem);
	return code;
}

static enum rpc_code
read_json(struct call *call, struct rpc_problem *problem)
{
	json_t *tree = NULL;

	if (call->body_len == 0)
		return RPC_OK;
	enum rpc_code code =
	    rpc_json_parse(call->body, call->body_len, call->body_len, &tree, problem);
	if (code == RPC_OK)
		code = read_tree(call, tree, problem);
	json_decref(tree);
	free(call->body);
	call->body = NULL;
	return code;
}

/* --- a call: input in the query ------------------------------------------------------------- */

/* The type that a schema gives; of several the first. NULL: it does not say. */
static const char *
type_of(const json_t *schema)
{
	const json_t *type = json_object_get(schema, "type");

	return json_string_value(json_is_array(type) ? json_array_get(type, 0) : type);
}

/* A parameter's value as the schema's type has it; NULL: it cannot be one. */
static json_t *
value_of(const char *type, struct rpc_str text)
{
	char *end;

	if (type == NULL || strcmp(type, "string") == 0)
		return json_stringn(text.data, text.len);
	if (strcmp(type, "boolean") == 0) {
		bool is_true = text.len == 0 || rpc_str_is(text, "true");
		return is_true || rpc_str_is(text, "false") ? json_boolean(is_true) : NULL;
	}
	errno = 0;
	if (text.len == 0 || text.data[strspn(text.data, "+-.0123456789eE")] != '\0')
		return NULL;
	if (strcmp(type, "integer") == 0) {
		long long number = strtoll(text.data, &end, 10);
		return *end == '\0' && errno == 0 ? json_integer(number) : NULL;
	}
	if (strcmp(type, "number") == 0) {
		double number = strtod(text.data, &end);
		return *end == '\0' && errno == 0 ? json_real(number) : NULL;
	}
	return NULL;
}

static enum rpc_code
add_member(json_t *input, const struct rpc_query_entry *entry, const json_t *properties,
           struct rpc_problem *problem)
{
	const json_t *schema = json_object_get(properties, entry->name.data);
	const char *type = type_of(schema);
	bool is_array = type != NULL && strcmp(type, "array") == 0;
	json_t *there = json_object_get(input, entry->name.data);

	if (schema == NULL)
		return rpc_problem_in(problem, RPC_BAD_QUERY, entry->name.data,
		                      "%.64s: the operation has no such input", entry->name.data);
	if (there != NULL && !is_array)
		return rpc_problem_in(problem, RPC_BAD_QUERY, entry->name.data,
		                      "%.64s: given twice", entry->name.data);
	if (is_array)
		type = type_of(json_object_get(schema, "items"));
	json_t *value = value_of(type, entry->text);
	if (value == NULL)
		return rpc_problem_in(problem, RPC_BAD_QUERY, entry->name.data,
		                      "%.64s: expected a value of type %s%s, found \"%.40s\"",
		                      entry->name.data, type == NULL ? "string" : type,
		                      is_array ? " for each" : "", entry->text.data);
	if (is_array && there == NULL) {
		there = json_array();
		if (json_object_set_new(input, entry->name.data, there) != 0)
			there = NULL;
	}
	bool is_set = is_array ? json_array_append_new(there, value) == 0
	                       : json_object_set_new(input, entry->name.data, value) == 0;
	return is_set ? RPC_OK : no_memory(problem);
}

static enum rpc_code
read_query(struct call *call, struct rpc_problem *problem)
{
	const char *text = call->operation->input_schema;
	size_t len = strlen(text);
	json_t *schema = NULL;
	json_t *input = json_object();
	enum rpc_code code = input == NULL ? no_memory(problem) : RPC_OK;

	/* Without a sound schema there is no member that a parameter could be. */
	if (code == RPC_OK &&
	    rpc_json_parse(text, len, len, &schema, problem) == RPC_OUT_OF_MEMORY)
		code = RPC_OUT_OF_MEMORY;
	const json_t *properties = json_object_get(schema, "properties");
	for (size_t i = 0; code == RPC_OK && i < call->query.count; i++)
		if (call->query.entries[i].param->type == RPC_QUERY_OPEN)
			code = add_member(input, &call->query.entries[i], properties, problem);
	if (code == RPC_OK && json_object_size(input) > 0)
		code = take_input(call, input, problem);
	json_decref(schema);
	json_decref(input);
	return code;
}

static enum rpc_code
read_call(struct call *call, struct rpc_problem *problem)
{
	if (!call->is_raw) {
		enum rpc_code code = read_json(call, problem);
		if (code != RPC_OK || call->query.count == 0)
			return code;
		/* The input has one place. */
		for (size_t i = 0; i < call->query.count; i++)
			if (call->query.entries[i].param->type == RPC_QUERY_OPEN)
				return rpc_problem_in(problem, RPC_BAD_QUERY,
				                      call->query.entries[i].name.data,
				                      "%.64s: with a body of JSON the input is its "
				                      "member", call->query.entries[i].name.data);
		return RPC_OK;
	}
	call->buffers[0] = (struct vm_str){ call->body, call->body_len };
	call->decoded[0] = NULL;
	call->buffer_count = 1;
	return read_query(call, problem);
}

/* --- a call: what is answered --------------------------------------------------------------- */

/* The media type of a buffer, or NULL: what the output says, or the only one there is. */
static const char *
media_of(const struct call *call, const json_t *output)
{
	const char *said = json_string_value(json_object_get(output, "media_type"));

	for (size_t i = 0; said != NULL && i < call->output.count; i++)
		if (strcmp(said, call->output.types[i]) == 0)
			return call->output.types[i];
	return call->output.count == 1 ? call->output.types[0] : NULL;
}

static void
answer_json(struct call *call, const struct vm_plugin_reply *reply, const json_t *output)
{
	const char *media = media_of(call, output);
	struct rpc_writer w;

	rpc_writer_init(&w);
	w.pretty = call->is_pretty;
	rpc_write_object_begin(&w);
	rpc_write_key(&w, "output");
	if (reply->json.len > 0)
		rpc_write_raw(&w, reply->json.data, reply->json.len);
	else
		rpc_write_raw(&w, "{}", 2);
	rpc_write_key(&w, "buffers");
	rpc_write_array_begin(&w);
	for (uint32_t i = 0; i < reply->buffer_count; i++) {
		rpc_write_object_begin(&w);
		rpc_write_key(&w, "base64");
		rpc_write_base64(&w, reply->buffers[i].data, reply->buffers[i].len);
		if (reply->buffer_count == 1)
			rpc_member_text(&w, "media_type", media);
		rpc_write_object_end(&w);
	}
	rpc_write_array_end(&w);
	rpc_write_object_end(&w);
	reply_json(&call->operate.reply, 200, &w);
}

static void
answer_raw(struct call *call, struct vm_plugin_reply *reply, const json_t *output)
{
	char *result = json_dumps(output, JSON_COMPACT | JSON_ENSURE_ASCII);
	struct vm_plugin_bytes buffer = reply->buffers[0];
	const char *media = media_of(call, output);
	struct reply *out = &call->operate.reply;

	if (media == NULL)
		media = call->output.types[call->offer];
	reply_init(out, 200);
	reply_take(out, media, (char *)buffer.data, buffer.len);
	reply->buffers[0] = (struct vm_plugin_bytes){ NULL, 0 };
	if (result != NULL && strlen(result) <= RESULT_MAX)
		reply_header(out, "Plugin-Result", "%s", result);
	free(result);
}

static void
answer(struct call *call, struct vm_plugin_reply *reply)
{
	json_t *output = json_object();
	json_t *parsed = NULL;

	/* Not every operation ran in a process whose answers have been looked at. */
	if (reply->json.len > 0 &&
	    (rpc_json_parse(reply->json.data, reply->json.len, reply->json.len, &parsed, NULL) !=
	         RPC_OK ||
	     !json_is_object(parsed)))
		reply_fail(&call->operate.reply, call->operate.request->id, RPC_INTERNAL,
		           "plug-in %s answered what is not a JSON object", call->plugin);
	else if (call->offer >= 0 && reply->buffer_count == 1)
		answer_raw(call, reply, parsed != NULL ? parsed : output);
	else
		answer_json(call, reply, parsed != NULL ? parsed : output);
	json_decref(parsed);
	json_decref(output);
}

static void
run_call(struct operate *operate)
{
	struct call *call = (struct call *)operate;
	struct vm_plugin_reply reply = { 0 };
	struct rpc_problem problem;

	if (read_call(call, &problem) != RPC_OK) {
		reply_problem(&operate->reply, &problem, operate->request->id);
		return;
	}
	const struct vm_plugin_request request = {
		.json = { call->input != NULL ? call->input : "",
		          call->input != NULL ? strlen(call->input) : 0 },
		.buffers = call->buffers,
		.buffer_count = call->buffer_count,
	};
	if (operate_ask(operate, call->plugin, call->operation, &request, &reply, &problem))
		answer(call, &reply);
	else
		reply_problem(&operate->reply, &problem, operate->request->id);
	vm_plugins_reply_clear(&reply);
}

/* --- a call: its start ---------------------------------------------------------------------- */

/* -2 when it was replied to. */
static int
choose_offer(struct request *request, const struct media *output)
{
	const char *offers[MEDIA_MAX + 1];

	offers[0] = JSON_TYPE;
	for (size_t i = 0; i < output->count; i++)
		offers[i + 1] = output->types[i];
	return api_accept(request, offers, output->count + 1) - 1;
}

void
plugins_call(struct request *request)
{
	struct vm_plugins_info info;
	const struct vm_plugin_operation *operation = find_operation(request, &info);
	struct call *call;

	if (operation == NULL)
		return; /* it was replied to */
	call = calloc(1, sizeof *call);
	if (call == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the operation");
		return;
	}
	media_init(&call->output, operation->output_media);
	call->is_raw = form_of(request, operation) > 0;
	call->offer = choose_offer(request, &call->output);
	if (call->offer < -1) {
		free(call);
		return;
	}
	call->operate.run = run_call;
	call->operate.free = call_free;
	call->plugin = info.name;
	call->operation = operation;
	call->is_pretty = rpc_query_bool(&request->query, "pretty", false);
	call->query = request->query; /* the input points into it */
	memset(&request->query, 0, sizeof request->query);
	call->body_len = request->body_len;
	call->body = request_take_body(request);
	if (call->body == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the body");
		call_free(&call->operate);
		return;
	}
	operate_start(&call->operate, request);
}
