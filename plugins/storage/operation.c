/*
 * operation.c - get, put, delete, list, for people. They work on the same file as guests do, so
 * they are not for a process without rights.
 */
#include <string.h>
#include "plugins/storage/message.h"
#include "plugins/storage/plugin.h"

/* An operation under way. */
struct operation {
	const struct vm_plugin_host *host;
	struct wasmedge_storage *storage;
	struct wasmedge_storage_bytes tenant;
	struct storage_request request;
	const struct vm_plugin_request *asked;
	struct vm_plugin_reply *reply;
	struct vm_error *err;
};

typedef enum vm_status step_fn(struct operation *op);

static enum vm_status
out_of_memory(const struct operation *op)
{
	return vm_plugin_fail(op->host, op->err, VM_E_NOMEM, "out of memory");
}

static struct wasmedge_storage_name
name_of(const struct operation *op)
{
	return (struct wasmedge_storage_name){ op->tenant, op->request.ns, op->request.key };
}

/* What all have in common around the one step. */
static enum vm_status
operate(const struct vm_plugin_host *host, void *plugin, enum storage_verb verb,
        const struct vm_plugin_request *request, struct vm_plugin_reply *reply, step_fn *step,
        struct vm_error *err)
{
	const uint32_t expected = verb == STORAGE_PUT;
	struct operation op = {
		.host = host,
		.tenant = storage_bytes(request->tenant),
		.asked = request,
		.reply = reply,
		.err = err,
	};

	if (request->buffer_count != expected)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "expected %s, got %u buffers",
		                      expected ? "the value in one buffer" : "no buffer",
		                      request->buffer_count);
	enum vm_status st = storage_request_read(host, verb, request->json, &op.request, err);
	if (st == VM_OK)
		st = storage_plugin_open(host, plugin, &op.storage, err);
	if (st == VM_OK)
		st = step(&op);
	storage_request_clear(&op.request);
	return st;
}

static enum vm_status
get(struct operation *op)
{
	const struct wasmedge_storage_name name = name_of(op);
	struct wasmedge_storage_entry entry;
	struct wasmedge_storage_error why;
	enum vm_status st = VM_OK;

	if (wasmedge_storage_get(op->storage, &name, &entry, &why) != WASMEDGE_STORAGE_OK)
		return storage_plugin_fail(op->host, &why, op->err);
	uint8_t *value = vm_plugin_reply_buffer(op->host, op->reply, entry.value.len);
	if (value == NULL || !storage_reply_set(op->host, op->reply, storage_entry_json(&entry)))
		st = out_of_memory(op);
	else if (entry.value.len > 0)
		memcpy(value, entry.value.data, entry.value.len);
	wasmedge_storage_entry_clear(&entry);
	return st;
}

static enum vm_status
put(struct operation *op)
{
	const struct storage_request *request = &op->request;
	const struct wasmedge_storage_name name = name_of(op);
	const struct wasmedge_storage_value value = {
		.bytes = storage_bytes(op->asked->buffers[0]),
		.type = request->type,
		.ttl_ms = request->ttl_ms,
	};
	struct wasmedge_storage_change change;
	struct wasmedge_storage_error why;

	if (wasmedge_storage_put(op->storage, &name, &value, &request->condition, &change, &why) !=
	    WASMEDGE_STORAGE_OK)
		return storage_plugin_fail(op->host, &why, op->err);
	const struct wasmedge_storage_entry entry = {
		.key = request->key,
		.value = { NULL, value.bytes.len },
		.type = request->type != NULL ? request->type : "",
		.revision = change.revision,
		.updated_us = change.updated_us,
		.expires_us = change.expires_us,
	};
	json_t *json = storage_entry_json(&entry);
	if (json_object_set_new(json, "created", json_boolean(change.created)) != 0) {
		json_decref(json);
		return out_of_memory(op);
	}
	return storage_reply_set(op->host, op->reply, json) ? VM_OK : out_of_memory(op);
}

static enum vm_status
delete(struct operation *op)
{
	const struct wasmedge_storage_name name = name_of(op);
	struct wasmedge_storage_error why;

	return wasmedge_storage_delete(op->storage, &name, &op->request.condition, &why) ==
	               WASMEDGE_STORAGE_OK
	           ? VM_OK
	           : storage_plugin_fail(op->host, &why, op->err);
}

static json_t *
list_json(const struct wasmedge_storage_list *list)
{
	json_t *items = json_array();
	json_t *json = json_pack("{s:o}", "items", items);

	for (size_t i = 0; json != NULL && i < list->count; i++)
		if (json_array_append_new(items, storage_entry_json(&list->entries[i])) != 0) {
			json_decref(json);
			return NULL;
		}
	if (json != NULL && list->has_more &&
	    json_object_set_new(json, "next_cursor",
	                        storage_cursor_json(list->entries[list->count - 1].key)) != 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static enum vm_status
list(struct operation *op)
{
	const struct wasmedge_storage_query query = {
		.tenant = op->tenant,
		.ns = op->request.ns,
		.prefix = op->request.key,
		.after = op->request.cursor,
		.limit = op->request.limit,
	};
	struct wasmedge_storage_list found;
	struct wasmedge_storage_error why;

	if (wasmedge_storage_list(op->storage, &query, &found, &why) != WASMEDGE_STORAGE_OK)
		return storage_plugin_fail(op->host, &why, op->err);
	const bool is_set = storage_reply_set(op->host, op->reply, list_json(&found));
	wasmedge_storage_list_clear(&found);
	return is_set ? VM_OK : out_of_memory(op);
}

#define OPERATION(name, verb)                                                                    \
	static enum vm_status operation_##name(                                                  \
	    const struct vm_plugin_host *host, void *plugin,                                     \
	    const struct vm_plugin_request *request, struct vm_plugin_reply *reply,              \
	    struct vm_error *err)                                                                \
	{                                                                                        \
		return operate(host, plugin, verb, request, reply, name, err);                   \
	}

OPERATION(get, STORAGE_GET)
OPERATION(put, STORAGE_PUT)
OPERATION(delete, STORAGE_DELETE)
OPERATION(list, STORAGE_LIST)

/* --- schemas -------------------------------------------------------------------------------- */

#define NAMESPACE_SCHEMA                                                                         \
	"\"namespace\":{\"type\":\"string\",\"pattern\":"                                        \
	"\"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$\",\"description\":\"Guests' values "  \
	"are in storage\"}"
#define BYTES_SCHEMA                                                                             \
	"{\"description\":\"1 to 512 bytes: text, or encoded\",\"oneOf\":["                      \
	"{\"type\":\"string\",\"maxLength\":512},"                                               \
	"{\"type\":\"object\",\"properties\":{\"hex\":{\"type\":\"string\"}},"                   \
	"\"required\":[\"hex\"],\"additionalProperties\":false},"                                \
	"{\"type\":\"object\",\"properties\":{\"base64\":{\"type\":\"string\"}},"                \
	"\"required\":[\"base64\"],\"additionalProperties\":false}]}"
#define INPUT_SCHEMA(more, required)                                                             \
	"{\"type\":\"object\",\"properties\":{" NAMESPACE_SCHEMA more "},"                       \
	"\"required\":[" required "],\"additionalProperties\":false}"
#define KEY_SCHEMA ",\"key\":" BYTES_SCHEMA
#define IF_REVISION_SCHEMA                                                                       \
	",\"if_revision\":{\"type\":\"integer\",\"minimum\":1,"                                  \
	"\"description\":\"Only when the value is at this revision\"}"
#define ENTRY_MEMBERS                                                                            \
	"\"key\":" BYTES_SCHEMA                                                                  \
	",\"revision\":{\"type\":\"integer\"},\"size\":{\"type\":\"integer\"},"                  \
	"\"updated_at\":{\"type\":\"string\"},\"content_type\":{\"type\":\"string\"},"           \
	"\"expires_at\":{\"type\":\"string\"}"
#define ENTRY_SCHEMA(more)                                                                       \
	"{\"type\":\"object\",\"properties\":{" ENTRY_MEMBERS more "},"                          \
	"\"required\":[\"key\",\"revision\",\"size\",\"updated_at\"]}"

const struct vm_plugin_operation storage_operations[STORAGE_OPERATION_COUNT] = {
	{ "get", "Read the value under a key", 0,
	  INPUT_SCHEMA(KEY_SCHEMA, "\"namespace\",\"key\""), ENTRY_SCHEMA(""), "",
	  "application/octet-stream", operation_get },
	{ "put", "Store a value under a key", 0,
	  INPUT_SCHEMA(KEY_SCHEMA IF_REVISION_SCHEMA
	               ",\"if_absent\":{\"type\":\"boolean\","
	               "\"description\":\"Only when there is no value\"},"
	               "\"content_type\":{\"type\":\"string\",\"maxLength\":255},"
	               "\"ttl_ms\":{\"type\":\"integer\",\"minimum\":1,"
	               "\"description\":\"Gone after so many milliseconds\"}",
	               "\"namespace\",\"key\""),
	  ENTRY_SCHEMA(",\"created\":{\"type\":\"boolean\"}"), "application/octet-stream", "",
	  operation_put },
	{ "delete", "Remove the value under a key", 0,
	  INPUT_SCHEMA(KEY_SCHEMA IF_REVISION_SCHEMA, "\"namespace\",\"key\""),
	  "{\"type\":\"object\"}", "", "", operation_delete },
	{ "list", "List keys in the order of their bytes", 0,
	  INPUT_SCHEMA(",\"prefix\":" BYTES_SCHEMA
	               ",\"cursor\":{\"type\":\"string\","
	               "\"description\":\"next_cursor of the answer before\"},"
	               "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}",
	               "\"namespace\""),
	  "{\"type\":\"object\",\"properties\":{"
	  "\"items\":{\"type\":\"array\",\"items\":" ENTRY_SCHEMA("") "},"
	  "\"next_cursor\":{\"type\":\"string\"}},\"required\":[\"items\"]}",
	  "", "", operation_list },
};
