/*
 * message.h - what the operations are asked and answer, in JSON.
 *
 *     key      text, or {"hex": "00ff"}, or {"base64": "AP8="}
 *     get      {"namespace", "key"}                     -> {entry}, and the value's bytes
 *     put      {"namespace", "key", "content_type"?, "ttl_ms"?, "if_revision"?, "if_absent"?},
 *              and the value's bytes                    -> {entry, "created"}
 *     delete   {"namespace", "key", "if_revision"?}     -> {}
 *     list     {"namespace", "prefix"?, "cursor"?, "limit"?} -> {"items": [entry], "next_cursor"?}
 *     entry    "key", "revision", "size", "updated_at", "content_type"?, "expires_at"?
 *
 * Keys that are printable text are written as such, others in hexadecimal.
 */
#pragma once

#include <jansson.h>
#include "plugins/storage/storage.h"
#include "vm/plugin.h"

enum storage_verb { STORAGE_GET, STORAGE_PUT, STORAGE_DELETE, STORAGE_LIST };

struct storage_request {
	json_t *json; /* owns texts */
	struct wasmedge_storage_bytes ns;
	struct wasmedge_storage_bytes key;    /* list: the prefix; in key_bytes or json */
	struct wasmedge_storage_bytes cursor; /* in cursor_bytes */
	const char *type;                     /* NULL: none */
	uint64_t ttl_ms;
	unsigned limit;
	struct wasmedge_storage_condition condition;
	uint8_t key_bytes[WASMEDGE_STORAGE_KEY_MAX];
	uint8_t cursor_bytes[WASMEDGE_STORAGE_KEY_MAX];
};

/*
 * Read a request; unknown members are refused. Cleared by the caller, also after a failure; it must
 * not be moved. Returns VM_E_ARGUMENT, naming the member; VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status storage_request_read(const struct vm_plugin_host *host,
                                                  enum storage_verb verb, struct vm_str text,
                                                  struct storage_request *out,
                                                  struct vm_error *err);
void storage_request_clear(struct storage_request *request);

/* An entry as JSON; NULL: out of memory. */
json_t *storage_entry_json(const struct wasmedge_storage_entry *entry);
/* Where to go on behind this key. */
json_t *storage_cursor_json(struct wasmedge_storage_bytes key);
/* Set the reply's text and drop json, which may be NULL. False: out of memory. */
bool storage_reply_set(const struct vm_plugin_host *host, struct vm_plugin_reply *reply,
                       json_t *json);
