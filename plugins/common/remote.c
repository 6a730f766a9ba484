#include "plugins/common/remote.h"

#include <stdlib.h>
#include <string.h>
#include "plugins/common/digest.h"

#define MESSAGES_MAX 20u

static enum vm_status
no_memory(const struct vm_plugin_call *call, struct vm_error *err)
{
	return vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
}

/* --- making --------------------------------------------------------------------------------- */

static enum vm_status
load(const struct vm_plugin_call *call, const struct nn_remote *remote,
     struct vm_plugin_reply *reply, struct vm_error *err)
{
	const struct vm_str bytes = { (const char *)remote->bytes, remote->len };
	const struct vm_plugin_request request = {
		.json = { remote->load_json, strlen(remote->load_json) },
		.buffers = &bytes,
		.buffer_count = remote->has_bytes ? 1 : 0,
	};

	return vm_plugin_operate(call, remote->plugin, "load", &request, reply, err);
}

static enum vm_status
load_first(const struct vm_plugin_call *call, struct nn_remote *remote, struct vm_error *err)
{
	struct vm_plugin_reply reply;
	json_t *json = NULL;
	enum vm_status st = load(call, remote, &reply, err);

	if (st == VM_E_IO) {
		/* The process that did it may have ended for reasons of its own. */
		vm_plugin_reply_clear(call->host, &reply);
		st = load(call, remote, &reply, err);
	}
	if (st == VM_OK) {
		json = nn_reply_parse(call->host, reply.json, err);
		st = json != NULL ? VM_OK : VM_E_IO;
	}
	if (st == VM_OK)
		st = nn_list_read(call->host, json_object_get(json, "inputs"), "inputs",
		                  &remote->inputs, err);
	if (st == VM_OK)
		st = nn_list_read(call->host, json_object_get(json, "outputs"), "outputs",
		                  &remote->outputs, err);
	json_decref(json);
	vm_plugin_reply_clear(call->host, &reply);
	return st;
}

/* Takes the reference of json, which may be NULL: out of memory. */
static enum vm_status
finish(const struct vm_plugin_call *call, struct nn_remote *remote, json_t *json,
       struct nn_remote **out, struct vm_error *err)
{
	enum vm_status st;

	if (json_object_set_new(json, "model", json_string(remote->key)) == 0)
		remote->load_json = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	st = remote->load_json != NULL ? load_first(call, remote, err) : no_memory(call, err);
	if (st != VM_OK) {
		nn_remote_unref(call, remote);
		return st;
	}
	*out = remote;
	return VM_OK;
}

enum vm_status
nn_remote_new(const struct vm_plugin_call *call, const char *plugin, const char *format,
              struct vm_str bytes, struct nn_remote **out, struct vm_error *err)
{
	struct nn_remote *remote = calloc(1, sizeof *remote);
	json_t *json;

	if (remote == NULL)
		return no_memory(call, err);
	remote->users = 1;
	remote->plugin = plugin;
	if (!vm_plugin_take(call, bytes.len)) {
		nn_remote_unref(call, remote);
		return vm_plugin_fail(call->host, err, VM_E_NOMEM,
		                      "a model of %zu bytes exceeds the program's memory",
		                      bytes.len);
	}
	remote->charged = bytes.len;
	remote->bytes = malloc(bytes.len + 1);
	if (remote->bytes == NULL) {
		nn_remote_unref(call, remote);
		return no_memory(call, err);
	}
	if (bytes.len > 0)
		memcpy(remote->bytes, bytes.data, bytes.len);
	remote->len = bytes.len;
	remote->has_bytes = true;
	nn_digest_text((struct vm_str){ (const char *)remote->bytes, remote->len }, remote->key);
	json = json_object();
	if (format != NULL && json_object_set_new(json, "format", json_string(format)) != 0) {
		json_decref(json);
		json = NULL;
	}
	return finish(call, remote, json, out, err);
}

enum vm_status
nn_remote_new_saved(const struct vm_plugin_call *call, const char *path, json_t *tags,
                    struct nn_remote **out, struct vm_error *err)
{
	struct nn_remote *remote = calloc(1, sizeof *remote);
	json_t *json = json_object();
	char *text;

	if (remote == NULL || json_object_set_new(json, "tags", tags) != 0 ||
	    json_object_set_new(json, "path", json_string(path)) != 0 ||
	    json_object_set_new(json, "format", json_string("saved-model")) != 0) {
		free(remote);
		json_decref(json);
		return no_memory(call, err);
	}
	remote->users = 1;
	text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL) {
		nn_remote_unref(call, remote);
		json_decref(json);
		return no_memory(call, err);
	}
	memcpy(remote->key, "saved-", sizeof "saved-");
	nn_digest_text((struct vm_str){ text, strlen(text) }, remote->key + sizeof "saved-" - 1);
	free(text);
	return finish(call, remote, json, out, err);
}

void
nn_remote_ref(struct nn_remote *remote)
{
	remote->users++;
}

void
nn_remote_unref(const struct vm_plugin_call *call, struct nn_remote *remote)
{
	if (remote == NULL || --remote->users > 0)
		return;
	if (call != NULL)
		vm_plugin_give(call, remote->charged);
	nn_list_clear(&remote->inputs);
	nn_list_clear(&remote->outputs);
	free(remote->load_json);
	free(remote->bytes);
	free(remote);
}

/* --- using ---------------------------------------------------------------------------------- */

/* Ask, and once more after loading when the model was not there. Takes the reference of json. */
static enum vm_status
ask(const struct vm_plugin_call *call, struct nn_remote *remote, const char *operation,
    json_t *json,
    const struct vm_str *buffers, uint32_t buffer_count, struct vm_plugin_reply *reply,
    struct vm_error *err)
{
	char *text = NULL;
	enum vm_status st;

	*reply = (struct vm_plugin_reply){ 0 };
	if (json_object_set_new(json, "model", json_string(remote->key)) == 0)
		text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		return no_memory(call, err);
	const struct vm_plugin_request request = { .json = { text, strlen(text) },
		                                   .buffers = buffers,
		                                   .buffer_count = buffer_count };
	st = vm_plugin_operate(call, remote->plugin, operation, &request, reply, err);
	if (st == VM_E_NOT_FOUND || st == VM_E_IO) {
		vm_plugin_reply_clear(call->host, reply);
		st = load(call, remote, reply, err);
		if (st == VM_OK) {
			vm_plugin_reply_clear(call->host, reply);
			st = vm_plugin_operate(call, remote->plugin, operation, &request, reply,
			                       err);
		}
	}
	free(text);
	return st;
}

static json_t *
names_json(const struct nn_list *list)
{
	json_t *array = json_array();

	for (uint32_t i = 0; array != NULL && i < list->count; i++) {
		if (json_array_append_new(array, json_pack("{s:s}", "name",
		                                           list->items[i].name)) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* Does the reply have a buffer for each tensor, as large as its shape says? */
static bool
is_consistent(const struct vm_plugin_reply *reply, const struct nn_list *tensors,
              const struct nn_list *asked)
{
	if (tensors->count != asked->count || reply->buffer_count != asked->count)
		return false;
	for (uint32_t i = 0; i < tensors->count; i++) {
		if (!nn_tensor_holds(&tensors->items[i], reply->buffers[i].data,
		                     reply->buffers[i].len))
			return false;
	}
	return true;
}

enum vm_status
nn_remote_infer(const struct vm_plugin_call *call, struct nn_remote *remote,
                const struct nn_list *inputs, const struct vm_str *data,
                const struct nn_list *outputs, struct vm_plugin_reply *reply,
                struct nn_list *out, struct vm_error *err)
{
	json_t *json = json_object();

	*reply = (struct vm_plugin_reply){ 0 };
	if (json_object_set_new(json, "inputs", nn_list_json(inputs)) != 0 ||
	    json_object_set_new(json, "outputs", names_json(outputs)) != 0) {
		json_decref(json);
		return no_memory(call, err);
	}
	enum vm_status st = ask(call, remote, "infer", json, data, inputs->count, reply, err);
	if (st != VM_OK)
		return st;
	json = nn_reply_parse(call->host, reply->json, err);
	if (json == NULL)
		return VM_E_IO;
	st = nn_list_read(call->host, json_object_get(json, "outputs"), "outputs", out, err);
	json_decref(json);
	if (st == VM_OK && !is_consistent(reply, out, outputs))
		st = vm_plugin_fail(call->host, err, VM_E_IO,
		                    "the outputs are not what their description says");
	return st;
}

enum vm_status
nn_remote_describe(const struct vm_plugin_call *call, struct nn_remote *remote, const char *name,
                   bool *out_is_there, struct nn_tensor *out, struct vm_error *err)
{
	struct vm_plugin_reply reply;
	struct nn_list found = { 0 };
	json_t *json = json_pack("{s:[s]}", "names", name);

	if (json == NULL) {
		/* Not UTF-8 (or no memory): no tensor that could be named has it. */
		*out_is_there = false;
		return VM_OK;
	}
	enum vm_status st = ask(call, remote, "describe", json, NULL, 0, &reply, err);
	json = st == VM_OK ? nn_reply_parse(call->host, reply.json, err) : NULL;
	if (st == VM_OK && json == NULL)
		st = VM_E_IO;
	if (st == VM_OK) {
		json_t *tensors = json_object_get(json, "tensors");
		*out_is_there = json_array_size(tensors) == 1 &&
		                !json_is_null(json_array_get(tensors, 0));
		if (*out_is_there)
			st = nn_list_read(call->host, tensors, "tensors", &found, err);
		if (st == VM_OK && *out_is_there)
			*out = (struct nn_tensor){ NULL, found.items[0].type,
			                          found.items[0].shape };
	}
	nn_list_clear(&found);
	json_decref(json);
	vm_plugin_reply_clear(call->host, &reply);
	return st;
}

void
nn_tell(const struct vm_plugin_call *call, uint32_t *count, const char *what,
        const struct vm_error *err)
{
	char text[VM_ERROR_MESSAGE_MAX];
	size_t len = 0;

	if (*count == MESSAGES_MAX)
		return;
	++*count;
	for (const char *c = err->message; *c != '\0' && len < sizeof text - 1; c++)
		text[len++] = *c >= ' ' && *c <= '~' ? *c : '?';
	text[len] = '\0';
	vm_plugin_log(call->host, VM_PLUGIN_WARNING, "%s: %s%s", what, text,
	              *count == MESSAGES_MAX ? " (the last message about this program)" : "");
}
