#include "plugins/storage/message.h"

#include <inttypes.h>
#include <nettle/base16.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_STANDARD 100
#define TTL_MS_MAX ((json_int_t)100 * 366 * 86400 * 1000)
#define TIME_TEXT_MAX 48
#define HEX_TEXT_MAX (2 * WASMEDGE_STORAGE_KEY_MAX + 1)

/* --- reading -------------------------------------------------------------------------------- */

/* A reader of one member: fills in the request. */
struct reading {
	const struct vm_plugin_host *host;
	struct storage_request *request;
	struct vm_error *err;
};

static enum vm_status
refuse(const struct reading *r, const char *member, const char *expected)
{
	return vm_plugin_fail(r->host, r->err, VM_E_ARGUMENT, "%s: expected %s", member, expected);
}

static enum vm_status
read_ns(const struct reading *r, const json_t *value)
{
	if (!json_is_string(value))
		return refuse(r, "namespace", "a text");
	r->request->ns = (struct wasmedge_storage_bytes){ json_string_value(value),
		                                          json_string_length(value) };
	return VM_OK;
}

/* Encoded text of no more than a key. False: it is not, or too long. */
static bool
decode(const json_t *value, bool is_hex, uint8_t out[WASMEDGE_STORAGE_KEY_MAX], size_t *out_len)
{
	uint8_t bytes[BASE64_DECODE_LENGTH(2 * WASMEDGE_STORAGE_KEY_MAX)];
	const char *text = json_string_value(value);
	const size_t text_len = json_string_length(value);
	struct base16_decode_ctx hex;
	struct base64_decode_ctx base64;
	size_t len = sizeof bytes;

	if (text == NULL || text_len > 2 * WASMEDGE_STORAGE_KEY_MAX)
		return false;
	if (is_hex) {
		base16_decode_init(&hex);
		if (!base16_decode_update(&hex, &len, bytes, text_len, text) ||
		    !base16_decode_final(&hex))
			return false;
	} else {
		base64_decode_init(&base64);
		if (!base64_decode_update(&base64, &len, bytes, text_len, text) ||
		    !base64_decode_final(&base64))
			return false;
	}
	if (len > WASMEDGE_STORAGE_KEY_MAX)
		return false;
	memcpy(out, bytes, len);
	*out_len = len;
	return true;
}

static enum vm_status
read_key(const struct reading *r, const char *member, const json_t *value)
{
	struct storage_request *request = r->request;
	const json_t *hex = json_object_get(value, "hex");
	const json_t *base64 = json_object_get(value, "base64");

	if (json_is_string(value)) {
		request->key = (struct wasmedge_storage_bytes){ json_string_value(value),
			                                        json_string_length(value) };
		return VM_OK;
	}
	if (json_object_size(value) != 1 || (hex == NULL && base64 == NULL) ||
	    !decode(hex != NULL ? hex : base64, hex != NULL, request->key_bytes,
	            &request->key.len))
		return refuse(r, member,
		              "a text, {\"hex\": ...} or {\"base64\": ...} of at most 512 bytes");
	request->key.data = request->key_bytes;
	return VM_OK;
}

static enum vm_status
read_cursor(const struct reading *r, const json_t *value)
{
	struct storage_request *request = r->request;

	if (!decode(value, true, request->cursor_bytes, &request->cursor.len))
		return refuse(r, "cursor", "the next_cursor of an earlier answer");
	request->cursor.data = request->cursor_bytes;
	return VM_OK;
}

static enum vm_status
read_type(const struct reading *r, const json_t *value)
{
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return refuse(r, "content_type", "a text");
	r->request->type = json_string_value(value);
	return VM_OK;
}

static enum vm_status
read_uint(const struct reading *r, const char *member, const json_t *value, json_int_t max,
          uint64_t *out)
{
	char expected[64];

	if (json_is_integer(value) && json_integer_value(value) >= 1 &&
	    json_integer_value(value) <= max) {
		*out = (uint64_t)json_integer_value(value);
		return VM_OK;
	}
	(void)snprintf(expected, sizeof expected, "a number from 1 to %" JSON_INTEGER_FORMAT, max);
	return refuse(r, member, expected);
}

static enum vm_status
read_condition(const struct reading *r, const char *member, const json_t *value,
               enum wasmedge_storage_match match)
{
	struct wasmedge_storage_condition *condition = &r->request->condition;

	if (condition->match != WASMEDGE_STORAGE_ANY)
		return vm_plugin_fail(r->host, r->err, VM_E_ARGUMENT,
		                      "if_revision and if_absent exclude one another");
	if (match == WASMEDGE_STORAGE_ABSENT) {
		if (!json_is_boolean(value))
			return refuse(r, member, "true or false");
		condition->match = json_is_true(value) ? match : WASMEDGE_STORAGE_ANY;
		return VM_OK;
	}
	condition->match = match;
	return read_uint(r, member, value, INT64_MAX, &condition->revision);
}

enum member { NAMESPACE, KEY, PREFIX, CURSOR, LIMIT, CONTENT_TYPE, TTL_MS, IF_REVISION, IF_ABSENT };

static const struct {
	const char *name;
	unsigned verbs; /* that have it, as bits */
} members[] = {
	[NAMESPACE] = { "namespace", 15 },
	[KEY] = { "key", 1 << STORAGE_GET | 1 << STORAGE_PUT | 1 << STORAGE_DELETE },
	[PREFIX] = { "prefix", 1 << STORAGE_LIST },
	[CURSOR] = { "cursor", 1 << STORAGE_LIST },
	[LIMIT] = { "limit", 1 << STORAGE_LIST },
	[CONTENT_TYPE] = { "content_type", 1 << STORAGE_PUT },
	[TTL_MS] = { "ttl_ms", 1 << STORAGE_PUT },
	[IF_REVISION] = { "if_revision", 1 << STORAGE_PUT | 1 << STORAGE_DELETE },
	[IF_ABSENT] = { "if_absent", 1 << STORAGE_PUT },
};
#define MEMBER_COUNT (sizeof members / sizeof *members)

static enum vm_status
read_member(const struct reading *r, enum member member, const json_t *value)
{
	uint64_t limit = 0;
	enum vm_status st;

	switch (member) {
	case NAMESPACE:
		return read_ns(r, value);
	case KEY:
	case PREFIX:
		return read_key(r, members[member].name, value);
	case CURSOR:
		return read_cursor(r, value);
	case LIMIT:
		st = read_uint(r, "limit", value, WASMEDGE_STORAGE_LIST_MAX, &limit);
		r->request->limit = (unsigned)limit;
		return st;
	case CONTENT_TYPE:
		return read_type(r, value);
	case TTL_MS:
		return read_uint(r, "ttl_ms", value, TTL_MS_MAX, &r->request->ttl_ms);
	case IF_REVISION:
		return read_condition(r, "if_revision", value, WASMEDGE_STORAGE_REVISION);
	case IF_ABSENT:
		return read_condition(r, "if_absent", value, WASMEDGE_STORAGE_ABSENT);
	}
	return VM_E_ARGUMENT;
}

static enum vm_status
read_members(const struct reading *r, enum storage_verb verb, json_t *json)
{
	const char *name;
	json_t *value;

	json_object_foreach(json, name, value) {
		size_t i = 0;
		while (i < MEMBER_COUNT && ((members[i].verbs & 1u << verb) == 0 ||
		                            strcmp(members[i].name, name) != 0))
			i++;
		if (i == MEMBER_COUNT)
			return vm_plugin_fail(r->host, r->err, VM_E_ARGUMENT,
			                      "unknown member %.64s", name);
		enum vm_status st = read_member(r, (enum member)i, value);
		if (st != VM_OK)
			return st;
	}
	if (r->request->ns.data == NULL)
		return refuse(r, "namespace", "this member");
	if (r->request->key.data == NULL && verb != STORAGE_LIST)
		return refuse(r, "key", "this member");
	return VM_OK;
}

enum vm_status
storage_request_read(const struct vm_plugin_host *host, enum storage_verb verb, struct vm_str text,
                     struct storage_request *out, struct vm_error *err)
{
	const struct reading reading = { host, out, err };
	json_error_t error;

	memset(out, 0, sizeof *out);
	out->limit = LIST_STANDARD;
	out->json = json_loadb(text.len > 0 ? text.data : "{}", text.len > 0 ? text.len : 2,
	                       JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (out->json == NULL)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "request, position %d: %s",
		                      error.position, error.text);
	if (!json_is_object(out->json))
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "the request has to be an object");
	return read_members(&reading, verb, out->json);
}

void
storage_request_clear(struct storage_request *request)
{
	json_decref(request->json);
	request->json = NULL;
}

/* --- writing -------------------------------------------------------------------------------- */

static bool
is_plain(struct wasmedge_storage_bytes key)
{
	const unsigned char *bytes = key.data;

	for (size_t i = 0; i < key.len; i++)
		if (bytes[i] < 0x20 || bytes[i] == 0x7f)
			return false;
	return true;
}

static json_t *
hex_json(struct wasmedge_storage_bytes bytes)
{
	char text[HEX_TEXT_MAX];

	base16_encode_update(text, bytes.len, bytes.data);
	return json_stringn(text, 2 * bytes.len);
}

static json_t *
key_json(struct wasmedge_storage_bytes key)
{
	/* jansson refuses what is not UTF-8. */
	json_t *text = is_plain(key) ? json_stringn(key.data, key.len) : NULL;

	return text != NULL ? text : json_pack("{s:o}", "hex", hex_json(key));
}

json_t *
storage_cursor_json(struct wasmedge_storage_bytes key)
{
	return hex_json(key);
}

/* 2026-01-31T12:00:00.000001Z */
static json_t *
time_json(int64_t time_us)
{
	const time_t seconds = (time_t)(time_us / 1000000);
	char text[TIME_TEXT_MAX];
	struct tm parts;

	if (gmtime_r(&seconds, &parts) == NULL)
		return json_null();
	size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(text + len, sizeof text - len, ".%06dZ", (int)(time_us % 1000000));
	return json_string(text);
}

json_t *
storage_entry_json(const struct wasmedge_storage_entry *entry)
{
	json_t *json = json_pack("{s:o, s:I, s:I, s:o}", "key", key_json(entry->key), "revision",
	                         (json_int_t)entry->revision, "size",
	                         (json_int_t)entry->value.len, "updated_at",
	                         time_json(entry->updated_us));

	if (json == NULL ||
	    (entry->type[0] != '\0' &&
	     json_object_set_new(json, "content_type", json_string(entry->type)) != 0) ||
	    (entry->expires_us != 0 &&
	     json_object_set_new(json, "expires_at", time_json(entry->expires_us)) != 0)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

bool
storage_reply_set(const struct vm_plugin_host *host, struct vm_plugin_reply *reply, json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	const bool is_set =
	    text != NULL && vm_plugin_reply_json(host, reply, text, strlen(text));

	free(text);
	json_decref(json);
	return is_set;
}
