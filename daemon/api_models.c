/*
 * api_models.c - models: kept, described, asked.
 *
 * A model is loaded by its plug-in before it is stored, so what is in the catalogue has been
 * understood once. An inference is asked for with the digest of the model; a plug-in that does not
 * have it (any more) is given the bytes and asked again. All of that happens on an operator.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/metrics.h"
#include "daemon/models.h"
#include "daemon/operate.h"
#include "daemon/plugins.h"

#define BYTES_TYPE "application/octet-stream"
#define JSON_TYPE "application/json"
#define JSON_LENGTH_FIELD "Inference-Header-Content-Length"

#define NAME_SIZE (STORE_NAME_MAX + 1)

/* The {name} of the path; replies and returns false when no model can be called so. */
static bool
take_name(struct request *r, char out[NAME_SIZE])
{
	struct rpc_str name = rpc_match_param(&r->match, "name");

	if (store_name_is_valid(name.data, name.len)) {
		memcpy(out, name.data, name.len);
		out[name.len] = '\0';
		return true;
	}
	request_fail(r, RPC_MODEL_NOT_FOUND,
	             "a model's name has 1 to %d of A-Z, a-z, 0-9, '.', '_', '-', and begins "
	             "with a letter, digit or '_'", STORE_NAME_MAX);
	return false;
}

/* The plug-in that runs a format, if it is loaded; else why not, in words that outlive the call. */
static const struct vm_plugin *
find_plugin(const struct daemon *daemon, const struct model_format *format, const char **out_why)
{
	struct vm_plugins *set = plugins_set(daemon->plugins);
	int32_t index = vm_plugins_find(set, format->plugin);
	struct vm_plugins_info info = { .why_not = "it is not installed" };

	if (index >= 0)
		vm_plugins_look(set, (uint32_t)index, &info);
	*out_why = info.plugin == NULL ? info.why_not : NULL;
	return info.plugin;
}

/* One of its operations; NULL: *problem says why there is none. */
static const struct vm_plugin_operation *
find_operation(const struct daemon *daemon, const struct model_format *format, const char *name,
               struct rpc_problem *problem)
{
	const char *why_not = NULL;
	const struct vm_plugin *plugin = find_plugin(daemon, format, &why_not);

	for (uint32_t i = 0; plugin != NULL && i < plugin->operation_count; i++)
		if (strcmp(plugin->operations[i].name, name) == 0)
			return &plugin->operations[i];
	rpc_problem_set(problem, RPC_PLUGIN_UNAVAILABLE,
	                "models of the format %s need the plug-in %s: %s", format->name,
	                format->plugin, plugin == NULL ? why_not : "it has no such operation");
	return NULL;
}

static bool
ask(struct operate *operate, const struct model_format *format, const char *name,
    const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
    struct rpc_problem *problem)
{
	const struct vm_plugin_operation *operation =
	    find_operation(operate->daemon, format, name, problem);

	return operation != NULL &&
	       operate_ask(operate, format->plugin, operation, request, reply, problem);
}

/* Have a plug-in load the bytes under a digest; it answers with a description. */
static bool
load(struct operate *operate, const struct model_format *format, const char *digest,
     const uint8_t *bytes, size_t len, struct vm_plugin_reply *reply, struct rpc_problem *problem)
{
	const struct vm_str buffer = { (const char *)bytes, len };
	char json[200];

	int size = snprintf(json, sizeof json, "{\"model\":\"%s\",\"format\":\"%s\"}", digest,
	                    format->name);
	const struct vm_plugin_request request = { .json = { json, (size_t)size },
		                                   .buffers = &buffer, .buffer_count = 1 };
	metric_add(METRIC_MODEL_LOADS, 0, 0, 1);
	if (ask(operate, format, "load", &request, reply, problem))
		return true;
	if (problem->code == RPC_DATA_INVALID || problem->code == RPC_BAD_REQUEST)
		problem->code = RPC_MODEL_INVALID;
	return false;
}

/* --- describing ---------------------------------------------------------------------------- */

/* Members of an object that is `info` of the catalogue. */
static void
write_info(struct rpc_writer *w, const char *info)
{
	struct rpc_model model;

	if (rpc_model_parse(info, strlen(info), &model, NULL) == RPC_OK)
		rpc_model_write(w, &model);
	rpc_model_clear(&model);
}

static void
write_model(struct rpc_writer *w, const struct daemon *daemon, const struct store_model *model,
            bool with_info)
{
	const struct model_format *format = model_format_find(model->format);
	const char *why_not = "this service does not know the format";
	const char *state = "ready";
	char digest[DIGEST_TEXT_SIZE];

	if (model->is_damaged)
		state = "damaged";
	else if (format == NULL || find_plugin(daemon, format, &why_not) == NULL)
		state = "unavailable";
	rpc_member_text(w, "name", model->name);
	rpc_member_text(w, "format", model->format);
	rpc_member_text(w, "plugin", format == NULL ? NULL : format->plugin);
	rpc_member_text(w, "digest", digest_format(&model->digest, digest));
	rpc_member_uint(w, "size", model->size_bytes);
	rpc_write_key(w, "created_at");
	rpc_write_time_us(w, model->created_us);
	rpc_member_text(w, "state", state);
	if (strcmp(state, "unavailable") == 0)
		rpc_member_text(w, "why_not", why_not);
	if (with_info)
		write_info(w, model->info);
}

static void
set_headers(struct reply *reply, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	reply_header(reply, "ETag", "\"%s\"", digest_format(digest, text));
	reply_header(reply, "Vary", "Accept");
}

/* --- put: the body arrives ----------------------------------------------------------------- */

struct put {
	struct operate operate;
	char name[NAME_SIZE];
	const struct model_format *format; /* as stated; NULL: by the bytes */
	struct digest_state state;
	struct digest digest;
	struct store_condition condition;
	uint8_t *bytes;
	size_t len;
	bool is_pretty;
};

static void
put_free(struct operate *operate)
{
	struct put *put = (struct put *)operate;

	free(put->bytes);
	free(put);
}

static void
put_drop(void *state)
{
	put_free(state);
}

static void
on_data(struct request *r, const char *data, size_t len)
{
	struct put *put = r->state;

	digest_update(&put->state, data, len);
	(void)request_append(r, data, len);
}

static bool
begin_format(struct request *r, struct put *put)
{
	const char *const types[] = { BYTES_TYPE, model_formats[0].media, model_formats[1].media,
		                      model_formats[2].media };
	const char *name = rpc_query_text(&r->query, "format", NULL);
	int type = api_content_type(r, types, 1 + MODEL_FORMAT_COUNT, true);

	_Static_assert(MODEL_FORMAT_COUNT == 3, "a type for each format");
	if (type < 0)
		return false;
	if (name != NULL)
		put->format = model_format_find(name);
	else if (type > 0)
		put->format = &model_formats[type - 1];
	return true;
}

static bool
begin_room(struct request *r)
{
	if (!r->facts.has_length && !r->facts.is_chunked)
		request_fail(r, RPC_LENGTH_REQUIRED,
		             "send Content-Length, or Transfer-Encoding: chunked");
	else if (!store_has_room(api_daemon(r)->store, r->facts.length))
		request_fail(r, RPC_DISK_FULL, "the disk has no room for %" PRIu64 " bytes more",
		             r->facts.length);
	else
		return true;
	return false;
}

void
model_put_begin(struct request *request)
{
	struct put *put = calloc(1, sizeof *put);

	if (put == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the model");
		return;
	}
	request->state = put;
	request->state_free = put_drop;
	request->on_data = on_data;
	digest_init(&put->state);
	if (take_name(request, put->name) && begin_format(request, put) && begin_room(request))
		(void)request_expect_body(request, api_daemon(request)->config->limits_model_bytes);
}

/* --- put: on an operator ------------------------------------------------------------------- */

static void
reply_put(struct put *put, const struct store_reply *done)
{
	struct reply *reply = &put->operate.reply;
	struct rpc_writer w;

	rpc_writer_init(&w);
	w.pretty = put->is_pretty;
	rpc_write_object_begin(&w);
	write_model(&w, put->operate.daemon, &done->models[0], true);
	rpc_member_bool(&w, "created", done->created);
	rpc_write_object_end(&w);
	reply_json(reply, done->created ? 201 : 200, &w);
	set_headers(reply, &put->digest);
	reply_header(reply, "Location", "/v1/models/%s", put->name);
}

/* What the plug-in said of the model, as the catalogue keeps it; NULL: *problem says why not. */
static char *
take_description(const struct vm_plugin_reply *reply, struct rpc_problem *problem)
{
	struct rpc_model model;
	struct rpc_writer w;
	size_t len;

	enum rpc_code code = rpc_model_parse(reply->json.data, reply->json.len, &model, problem);
	if (code != RPC_OK) {
		rpc_model_clear(&model);
		if (code != RPC_OUT_OF_MEMORY)
			problem->code = RPC_PLUGIN_CRASHED;
		return NULL;
	}
	rpc_writer_init(&w);
	rpc_write_object_begin(&w);
	rpc_model_write(&w, &model);
	rpc_write_object_end(&w);
	rpc_model_clear(&model);
	char *info = rpc_writer_take(&w, &len);
	if (info == NULL)
		rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "no memory to describe the model");
	return info;
}

static enum rpc_code
store_put(struct put *put, const char *info, struct rpc_problem *problem)
{
	const struct store_model_put what = {
		.name = put->name,
		.digest = put->digest,
		.bytes = put->bytes,
		.size_bytes = put->len,
		.format = put->format->name,
		.info = info,
		.condition = put->condition,
	};

	struct store_reply *done = models_put(put->operate.daemon->models, &what, problem);
	if (done == NULL)
		return problem->code;
	reply_put(put, done);
	store_reply_free(done);
	return RPC_OK;
}

static enum rpc_code
put_model(struct put *put, struct rpc_problem *problem)
{
	struct vm_plugin_reply reply = { 0 };
	char digest[DIGEST_TEXT_SIZE];
	enum rpc_code code = RPC_OK;
	char *info = NULL;

	if (put->format == NULL)
		put->format = model_format_sniff(put->bytes, put->len);
	if (put->format == NULL)
		return rpc_problem_set(problem, RPC_MODEL_INVALID,
		                       "the bytes do not begin like those of any format that is "
		                       "known; ?format= says which it is");
	if (!load(&put->operate, put->format, digest_format(&put->digest, digest), put->bytes,
	          put->len, &reply, problem) ||
	    (info = take_description(&reply, problem)) == NULL)
		code = problem->code;
	vm_plugins_reply_clear(&reply);
	if (code == RPC_OK)
		code = store_put(put, info, problem);
	free(info);
	return code;
}

static void
run_put(struct operate *operate)
{
	struct rpc_problem problem;

	if (put_model((struct put *)operate, &problem) != RPC_OK)
		reply_problem(&operate->reply, &problem, operate->request->id);
}

/* --- put: the body is there ---------------------------------------------------------------- */

static bool
has_conditions(struct request *r)
{
	return request_header(r, "If-Match") != NULL || request_header(r, "If-None-Match") != NULL;
}

/*
 * What If-Match and If-None-Match ask for, compared with what there was a moment ago; the store is
 * told to make sure that it still is. Replies and returns false when they do not hold.
 */
static bool
take_conditions(struct request *r, const struct store_reply *found, struct store_condition *out)
{
	bool exists = found->error.status == STORE_OK;
	struct api_conditions conditions;

	if (found->error.status != STORE_E_NOT_FOUND &&
	    !store_call_ok(r, found, RPC_MODEL_NOT_FOUND))
		return false;
	const struct digest *now = exists ? &found->models[0].digest : NULL;
	if (!api_conditions(r, now, &conditions))
		return false;
	if (!conditions.match_holds || conditions.is_unchanged ||
	    (!exists && request_header(r, "If-Match") != NULL)) {
		request_fail(r, RPC_PRECONDITION_FAILED, "the model %s",
		             exists ? "is another one, or exists" : "does not exist");
		return false;
	}
	if (exists)
		*out = (struct store_condition){ STORE_MATCH_DIGEST, *now };
	else
		out->match = STORE_MATCH_ABSENT;
	return true;
}

static void
start_put(struct request *r)
{
	struct put *put = r->state;

	r->state = NULL;
	r->state_free = NULL;
	operate_start(&put->operate, r);
}

static void
on_found_for_put(struct request *r, struct store_call *call)
{
	struct put *put = r->state;

	if (take_conditions(r, call->reply, &put->condition))
		start_put(r);
}

void
model_put(struct request *request)
{
	struct daemon *daemon = api_daemon(request);
	struct put *put = request->state;

	if (request->body_len == 0) {
		request_fail(request, RPC_MODEL_INVALID, "the body has no bytes");
		return;
	}
	digest_finish(&put->state, &put->digest);
	put->len = request->body_len;
	put->bytes = (uint8_t *)request_take_body(request);
	put->is_pretty = rpc_query_bool(&request->query, "pretty", false);
	put->operate.run = run_put;
	put->operate.free = put_free;
	if (put->bytes == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the model");
		return;
	}
	if (!has_conditions(request)) {
		start_put(request);
		return;
	}
	struct store_call *call = store_call_new(request, on_found_for_put);
	if (call != NULL)
		store_call_check(call, store_model_get(daemon->store, put->name, false,
		                                       store_call_answer, call));
}

/* --- list ---------------------------------------------------------------------------------- */

static void
on_listed(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	struct rpc_writer w;

	if (!store_call_ok(r, found, RPC_MODEL_NOT_FOUND))
		return;
	api_page_begin(r, &w);
	for (size_t i = 0; i < found->model_count; i++) {
		rpc_write_object_begin(&w);
		write_model(&w, api_daemon(r), &found->models[i], false);
		rpc_write_object_end(&w);
	}
	api_page_end(r, &w, found->has_next ? found->models[found->model_count - 1].name : NULL);
}

void
model_list(struct request *request)
{
	char after[CURSOR_DATA_MAX + 1];

	if (!api_cursor_read(request, after))
		return;
	struct store_call *call = store_call_new(request, on_listed);
	if (call != NULL)
		store_call_check(call, store_model_list(
		    api_daemon(request)->store, after,
		    (unsigned)rpc_query_uint(&request->query, "limit", 100), store_call_answer,
		    call));
}

/* --- inspect and fetch --------------------------------------------------------------------- */

static void
free_reply(void *reply)
{
	store_reply_free(reply);
}

/* Whether there is something to send; else it has been replied: missing, or unchanged. */
static bool
is_wanted(struct request *r, const struct store_reply *found)
{
	struct api_conditions conditions;
	struct reply reply;

	if (!store_call_ok(r, found, RPC_MODEL_NOT_FOUND) ||
	    !api_conditions(r, &found->models[0].digest, &conditions))
		return false;
	if (!conditions.is_unchanged)
		return true;
	reply_init(&reply, 304);
	set_headers(&reply, &found->models[0].digest);
	request_reply(r, &reply);
	return false;
}

static void
on_got(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	bool is_damaged = found->error.status == STORE_E_DAMAGED && found->model_count > 0;
	struct rpc_writer w;
	struct reply reply;

	/* That it is damaged can be said without the bytes. */
	if (!is_damaged && !is_wanted(r, found))
		return;
	api_writer_init(r, &w);
	rpc_write_object_begin(&w);
	write_model(&w, api_daemon(r), &found->models[0], true);
	rpc_write_object_end(&w);
	reply_json(&reply, 200, &w);
	set_headers(&reply, &found->models[0].digest);
	request_reply(r, &reply);
}

static void
on_fetched(struct request *r, struct store_call *call)
{
	struct store_reply *found = call->reply;
	struct reply reply;

	if (!is_wanted(r, found))
		return;
	reply_init(&reply, 200);
	set_headers(&reply, &found->models[0].digest);
	call->reply = NULL; /* the bytes are sent from where they are */
	api_reply_bytes(r, &reply, BYTES_TYPE, found->bytes, found->size_bytes, free_reply, found);
}

static void
get(struct request *r, bool wants_bytes,
    void (*done)(struct request *request, struct store_call *call))
{
	char name[NAME_SIZE];

	if (!take_name(r, name))
		return;
	struct store_call *call = store_call_new(r, done);
	if (call != NULL)
		store_call_check(call, store_model_get(api_daemon(r)->store, name, wants_bytes,
		                                       store_call_answer, call));
}

void
model_get(struct request *request)
{
	static const char *const offers[] = { JSON_TYPE, BYTES_TYPE };
	int offer = api_accept(request, offers, 2);

	if (offer >= 0)
		get(request, offer == 1, offer == 1 ? on_fetched : on_got);
}

/* --- delete -------------------------------------------------------------------------------- */

static void
on_deleted(struct request *r, struct store_call *call)
{
	const struct store_reply *gone = call->reply;
	struct reply reply;

	if (gone->error.status == STORE_E_CONFLICT) {
		request_fail(r, RPC_PRECONDITION_FAILED, "%s", gone->error.message);
		return;
	}
	if (!store_call_ok(r, gone, RPC_MODEL_NOT_FOUND))
		return;
	models_forget(api_daemon(r)->models, gone->models[0].name);
	reply_init(&reply, 204);
	request_reply(r, &reply);
}

static void
delete_if(struct request *r, const struct store_condition *condition)
{
	char name[NAME_SIZE];

	if (!take_name(r, name))
		return;
	struct store_call *call = store_call_new(r, on_deleted);
	if (call != NULL)
		store_call_check(call, store_model_delete(api_daemon(r)->store, name, condition,
		                                          store_call_answer, call));
}

static void
on_found_for_delete(struct request *r, struct store_call *call)
{
	struct store_condition condition = { .match = STORE_MATCH_ANY };

	if (take_conditions(r, call->reply, &condition))
		delete_if(r, &condition);
}

void
model_delete(struct request *request)
{
	static const struct store_condition any = { .match = STORE_MATCH_ANY };

	if (has_conditions(request))
		get(request, false, on_found_for_delete);
	else
		delete_if(request, &any);
}

/* --- infer --------------------------------------------------------------------------------- */

struct infer {
	struct operate operate;
	char name[NAME_SIZE];
	char version[DIGEST_TEXT_SIZE]; /* that is wanted; "" for whichever there is */
	uint64_t json_len;
	char *body;
	size_t body_len;
	struct rpc_infer request;
	struct model *model;
};

static void
infer_free(struct operate *operate)
{
	struct infer *infer = (struct infer *)operate;

	rpc_infer_clear(&infer->request);
	model_unref(infer->model);
	free(infer->body);
	free(infer);
}

static void
write_asked(struct rpc_writer *w, const struct infer *infer)
{
	const struct rpc_tensors *outputs = &infer->request.outputs;

	rpc_write_object_begin(w);
	rpc_member_text(w, "model", infer->model->digest);
	rpc_tensors_write(w, "inputs", &infer->request.inputs);
	rpc_write_key(w, "outputs");
	rpc_write_array_begin(w);
	for (size_t i = 0; i < outputs->count; i++) {
		rpc_write_object_begin(w);
		rpc_member_text(w, "name", outputs->items[i].name);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
	rpc_write_object_end(w);
}

/* The plug-in does not have the model (any more): give it the bytes. */
static bool
load_again(struct infer *infer, struct rpc_problem *problem)
{
	struct operate *operate = &infer->operate;
	struct vm_plugin_reply reply = { 0 };
	uint8_t *bytes = NULL;
	size_t len = 0;

	bool ok = models_fetch(operate->daemon->models, infer->model, &bytes, &len, problem) ==
	              RPC_OK &&
	          load(operate, infer->model->format, infer->model->digest, bytes, len, &reply,
	               problem);
	vm_plugins_reply_clear(&reply);
	free(bytes);
	return ok;
}

/* Ask; once more when the model had to be loaded. */
static enum rpc_code
ask_infer(struct infer *infer, struct vm_plugin_reply *reply, struct rpc_problem *problem)
{
	const struct rpc_tensors *inputs = &infer->request.inputs;
	struct vm_str buffers[RPC_TENSORS_MAX];
	struct rpc_writer w;

	_Static_assert(RPC_TENSORS_MAX <= VM_PLUGIN_BUFFERS_MAX, "a buffer for each tensor");
	for (size_t i = 0; i < inputs->count; i++)
		buffers[i] = (struct vm_str){ (const char *)inputs->items[i].data,
			                      inputs->items[i].size_bytes };
	rpc_writer_init(&w);
	write_asked(&w, infer);
	if (!rpc_writer_ok(&w)) {
		rpc_writer_clear(&w);
		return rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "no memory for the request");
	}
	const struct vm_plugin_request request = { .json = { w.data, w.len }, .buffers = buffers,
		                                   .buffer_count = (uint32_t)inputs->count };
	const struct model_format *format = infer->model->format;
	bool ok = ask(&infer->operate, format, "infer", &request, reply, problem);
	if (!ok && problem->code == RPC_OPERAND_NOT_FOUND && load_again(infer, problem)) {
		vm_plugins_reply_clear(reply);
		ok = ask(&infer->operate, format, "infer", &request, reply, problem);
	}
	rpc_writer_clear(&w);
	if (ok)
		return RPC_OK;
	if (problem->code == RPC_BAD_REQUEST)
		problem->code = RPC_TENSOR_MISMATCH;
	else if (problem->code == RPC_DATA_INVALID)
		problem->code = RPC_MODEL_INVALID;
	else if (problem->code == RPC_OPERAND_NOT_FOUND) /* there is no room to keep it */
		problem->code = RPC_DATA_TOO_LARGE;
	return problem->code;
}

/* Put what the plug-in answered, which is not believed, in the place of what was asked for. */
static bool
take_output(struct rpc_tensor *wanted, const struct rpc_model *answer,
            const struct vm_plugin_reply *reply)
{
	for (size_t i = 0; i < answer->outputs.count && i < reply->buffer_count; i++) {
		struct rpc_tensor tensor = answer->outputs.items[i];

		if (strcmp(tensor.name, wanted->name) != 0)
			continue;
		/* No bytes may have no address. */
		tensor.data = reply->buffers[i].data != NULL ? reply->buffers[i].data
		                                             : (const uint8_t *)"";
		tensor.size_bytes = reply->buffers[i].len;
		tensor.is_binary = wanted->is_binary;
		*wanted = tensor;
		return rpc_tensor_fits(wanted);
	}
	return false;
}

static enum rpc_code
reply_outputs(struct infer *infer, struct rpc_problem *problem)
{
	const struct rpc_infer_reply outputs = { infer->model->name, infer->model->digest,
		                                 infer->request.id, &infer->request.outputs };
	struct reply *reply = &infer->operate.reply;
	struct rpc_writer w;
	uint64_t json_len;
	size_t len;

	rpc_writer_init(&w);
	w.bytes_max = infer->operate.daemon->config->plugins_bytes;
	enum rpc_code code = rpc_infer_write(&w, &outputs, &json_len, problem);
	if (code == RPC_OK && !rpc_writer_ok(&w))
		code = rpc_problem_set(problem, RPC_DATA_TOO_LARGE,
		                       "the outputs need more than the %zu bytes that "
		                       "plugins.bytes allows; binary ones are smaller",
		                       w.bytes_max);
	if (code != RPC_OK) {
		rpc_writer_clear(&w);
		return code;
	}
	char *body = rpc_writer_take(&w, &len);
	reply_init(reply, 200);
	reply_take(reply, json_len == RPC_UNSET ? JSON_TYPE : BYTES_TYPE, body, len);
	if (json_len != RPC_UNSET)
		reply_header(reply, JSON_LENGTH_FIELD, "%" PRIu64, json_len);
	return RPC_OK;
}

static enum rpc_code
answer_infer(struct infer *infer, const struct vm_plugin_reply *reply, struct rpc_problem *problem)
{
	struct rpc_tensors *outputs = &infer->request.outputs;
	struct rpc_model answer;

	enum rpc_code code = rpc_model_parse(reply->json.data, reply->json.len, &answer, problem);
	bool ok = code == RPC_OK;
	for (size_t i = 0; ok && i < outputs->count; i++)
		ok = take_output(&outputs->items[i], &answer, reply);
	if (ok)
		code = reply_outputs(infer, problem);
	else if (code != RPC_OUT_OF_MEMORY)
		code = rpc_problem_set(problem, RPC_PLUGIN_CRASHED,
		                       "plug-in %s did not answer with the outputs that were "
		                       "asked for",
		                       infer->model->format->plugin);
	rpc_model_clear(&answer);
	return code;
}

static enum rpc_code
do_infer(struct infer *infer, struct rpc_problem *problem)
{
	struct daemon *daemon = infer->operate.daemon;
	struct vm_plugin_reply reply = { 0 };

	enum rpc_code code = models_get(daemon->models, infer->name, &infer->model, problem);
	if (code != RPC_OK)
		return code;
	if (infer->version[0] != '\0' && strcmp(infer->version, infer->model->digest) != 0)
		return rpc_problem_set(problem, RPC_MODEL_NOT_FOUND, "the model %s is %s now",
		                       infer->name, infer->model->digest);
	code = rpc_infer_parse(infer->body, infer->body_len, infer->json_len,
	                       daemon->config->plugins_bytes, &infer->request, problem);
	if (code == RPC_OK)
		code = rpc_infer_match(&infer->request, &infer->model->description, problem);
	if (code == RPC_OK)
		code = ask_infer(infer, &reply, problem);
	if (code == RPC_OK)
		code = answer_infer(infer, &reply, problem);
	vm_plugins_reply_clear(&reply);
	return code;
}

static void
run_infer(struct operate *operate)
{
	struct rpc_problem problem;

	if (do_infer((struct infer *)operate, &problem) != RPC_OK)
		reply_problem(&operate->reply, &problem, operate->request->id);
}

void
model_infer_begin(struct request *request)
{
	static const char *const types[] = { JSON_TYPE, BYTES_TYPE };

	if (api_content_type(request, types, 2, true) >= 0)
		(void)request_expect_body(request, api_daemon(request)->config->limits_body_bytes);
}

/* The length of the JSON, when a field gives it. Replies and returns false when it is malformed. */
static bool
take_json_length(struct request *r, uint64_t *out)
{
	const char *field = request_header(r, JSON_LENGTH_FIELD);
	struct rpc_problem problem;

	*out = RPC_UNSET;
	if (field == NULL)
		return true;
	size_t digits = strspn(field, "0123456789");
	if (digits > 0 && digits < 19 && field[digits] == '\0') {
		*out = strtoull(field, NULL, 10);
		return true;
	}
	rpc_problem_in(&problem, RPC_BAD_HEADER, JSON_LENGTH_FIELD, "expected decimal digits");
	request_problem(r, &problem);
	return false;
}

/* The {version} of a path that has one: the digest. Others cannot be that of any model. */
static bool
take_version(struct request *r, char out[DIGEST_TEXT_SIZE])
{
	struct rpc_str version = rpc_match_param(&r->match, "version");

	if (version.len >= DIGEST_TEXT_SIZE) {
		request_fail(r, RPC_MODEL_NOT_FOUND, "the version of a model is its digest");
		return false;
	}
	memcpy(out, version.len == 0 ? "" : version.data, version.len);
	out[version.len] = '\0';
	return true;
}

void
model_infer(struct request *request)
{
	struct infer *infer = calloc(1, sizeof *infer);

	if (infer == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the inference");
		return;
	}
	infer->operate.run = run_infer;
	infer->operate.free = infer_free;
	if (!take_name(request, infer->name) || !take_version(request, infer->version) ||
	    !take_json_length(request, &infer->json_len)) {
		infer_free(&infer->operate);
		return;
	}
	infer->body_len = request->body_len;
	infer->body = request_take_body(request);
	if (infer->body == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the body");
		infer_free(&infer->operate);
		return;
	}
	operate_start(&infer->operate, request);
}

/* --- what the open inference protocol has besides ------------------------------------------ */

/* The model is there, in the version that the path may ask for. Else it has been replied. */
static bool
is_version(struct request *r, const struct store_reply *found)
{
	char wanted[DIGEST_TEXT_SIZE];
	char digest[DIGEST_TEXT_SIZE];

	if (!store_call_ok(r, found, RPC_MODEL_NOT_FOUND) || !take_version(r, wanted))
		return false;
	digest_format(&found->models[0].digest, digest);
	if (wanted[0] == '\0' || strcmp(wanted, digest) == 0)
		return true;
	request_fail(r, RPC_MODEL_NOT_FOUND, "the model %s is %s now", found->models[0].name,
	             digest);
	return false;
}

static void
on_v2_model(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	char digest[DIGEST_TEXT_SIZE];
	struct rpc_writer w;

	if (!is_version(r, found))
		return;
	const struct store_model *model = &found->models[0];
	const struct model_format *format = model_format_find(model->format);
	api_writer_init(r, &w);
	rpc_write_object_begin(&w);
	rpc_member_text(&w, "name", model->name);
	rpc_write_key(&w, "versions");
	rpc_write_array_begin(&w);
	rpc_write_text(&w, digest_format(&model->digest, digest));
	rpc_write_array_end(&w);
	rpc_member_text(&w, "platform", format == NULL ? model->format : format->platform);
	write_info(&w, model->info);
	rpc_write_object_end(&w);
	api_reply_json(r, 200, &w);
}

static void
on_v2_ready(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	const char *why_not = "this service does not know the format";
	struct rpc_writer w;

	if (!is_version(r, found))
		return;
	const struct model_format *format = model_format_find(found->models[0].format);
	if (format == NULL || find_plugin(api_daemon(r), format, &why_not) == NULL) {
		request_fail(r, RPC_PLUGIN_UNAVAILABLE, "models of the format %s cannot be run: %s",
		             found->models[0].format, why_not);
		return;
	}
	api_writer_init(r, &w);
	rpc_write_object_begin(&w);
	rpc_member_text(&w, "name", found->models[0].name);
	rpc_member_bool(&w, "ready", true);
	rpc_write_object_end(&w);
	api_reply_json(r, 200, &w);
}

void
v2_model(struct request *request)
{
	get(request, false, on_v2_model);
}

void
v2_model_ready(struct request *request)
{
	get(request, false, on_v2_ready);
}

void
v2_server(struct request *request)
{
	struct rpc_writer w;

	api_writer_init(request, &w);
	rpc_write_object_begin(&w);
	rpc_member_text(&w, "name", "wasmedged");
	rpc_member_text(&w, "version", vm_version());
	rpc_write_key(&w, "extensions");
	rpc_write_array_begin(&w);
	rpc_write_text(&w, "binary_tensor_data");
	rpc_write_array_end(&w);
	rpc_write_object_end(&w);
	api_reply_json(request, 200, &w);
}
