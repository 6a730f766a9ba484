/*
 * fuzz_storage.c - requests of the storage's operations.
 *
 * The first byte chooses the operation, the rest is JSON. What is accepted keeps what the
 * documentation promises; a key and a cursor that are written as an entry are read as the same
 * bytes again.
 */
#include "tests/fuzz/fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugins/storage/message.h"

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static enum vm_status VM_PRINTF(3, 4)
fail(struct vm_error *err, enum vm_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	check(err->message[0] != '\0');
	return status;
}

static const struct vm_plugin_host host = { .fail = fail };

/* An entry of that key, whose cursor leads behind it. */
static void
check_key(struct wasmedge_storage_bytes key)
{
	const struct wasmedge_storage_entry entry = { .key = key, .type = "" };
	struct storage_request again;
	struct vm_error err;

	json_t *json = storage_entry_json(&entry);
	check(json != NULL);
	json_t *request = json_pack("{s:s, s:O, s:o}", "namespace", "n", "prefix",
	                            json_object_get(json, "key"), "cursor",
	                            storage_cursor_json(key));
	char *text = json_dumps(request, JSON_COMPACT);
	check(storage_request_read(&host, STORAGE_LIST, (struct vm_str){ text, strlen(text) },
	                           &again, &err) == VM_OK);
	check(again.key.len == key.len && again.cursor.len == key.len);
	check(key.len == 0 || (memcmp(again.key.data, key.data, key.len) == 0 &&
	                       memcmp(again.cursor.data, key.data, key.len) == 0));
	storage_request_clear(&again);
	free(text);
	json_decref(request);
	json_decref(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct storage_request request;
	struct vm_error err = { 0 };

	if (size < 1)
		return 0;
	const enum storage_verb verb = (enum storage_verb)(data[0] % (STORAGE_LIST + 1));
	if (storage_request_read(&host, verb,
	                         (struct vm_str){ (const char *)data + 1, size - 1 }, &request,
	                         &err) == VM_OK) {
		check(request.ns.data != NULL);
		check(verb == STORAGE_LIST || request.key.data != NULL);
		check(request.limit >= 1 && request.limit <= WASMEDGE_STORAGE_LIST_MAX);
		if (request.key.len <= WASMEDGE_STORAGE_KEY_MAX)
			check_key(request.key);
	}
	storage_request_clear(&request);
	return 0;
}
