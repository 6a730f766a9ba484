/*
 * api_kv.c - values under keys: read, store, remove, list.
 *
 * The loop's thread reads what is asked and writes the reply; in between the storage is used on one
 * of its own threads (kv.h). A caller sees the namespaces of its own tenant only. The entity tag of
 * a value is its revision, which never comes again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/api.h"
#include "daemon/kv.h"
#include "rpc/base64.h"
#include "rpc/utf8.h"

#define ETAG_MAX 24
#define TTL_MS_MAX (UINT64_C(100) * 366 * 86400 * 1000)
#define LIST_STANDARD 100
#define LIST_LETTER 'k' /* of cursors */

/* A request that is at the storage, or on its way there. */
struct kv_call {
	struct letter letter;
	struct job job;
	struct request *request;
	void (*work)(struct kv_call *call, struct wasmedge_storage *storage);
	void (*done)(struct kv_call *call);

	/* what is asked; texts belong to the request */
	struct wasmedge_storage_name name;
	uint8_t key_bytes[WASMEDGE_STORAGE_KEY_MAX]; /* of one in hexadecimal */
	const char *if_match;
	const char *if_none_match;
	struct wasmedge_storage_value value;
	struct wasmedge_storage_query query;
	uint8_t after[CURSOR_DATA_MAX + 1];

	/* what came of it */
	enum wasmedge_storage_status status;
	struct wasmedge_storage_error err;
	struct wasmedge_storage_entry entry;
	struct wasmedge_storage_change change;
	struct wasmedge_storage_list list;
};

static void
call_free(void *state)
{
	struct kv_call *call = state;

	wasmedge_storage_entry_clear(&call->entry);
	wasmedge_storage_list_clear(&call->list);
	free(call);
}

/* --- to the storage and back ---------------------------------------------------------------- */

static void
open_call(struct letter *letter)
{
	struct kv_call *call = (struct kv_call *)letter;

	call->done(call);
}

static void
run_call(struct job *job)
{
	struct kv_call *call = (struct kv_call *)((char *)job - offsetof(struct kv_call, job));
	struct daemon *daemon = api_daemon(call->request);
	struct wasmedge_storage *storage;

	call->status = kv_open(daemon->kv, &storage, &call->err);
	if (call->status == WASMEDGE_STORAGE_OK)
		call->work(call, storage);
	mailbox_post(&daemon->mailbox, &call->letter, open_call);
}

static void
submit(struct kv_call *call)
{
	struct jobpool *jobs = kv_jobs(api_daemon(call->request)->kv);

	if (!jobpool_submit(jobs, &call->job, run_call))
		api_fail_full(call->request, jobs, "too many requests wait for the storage");
}

static enum rpc_code
code_of(enum wasmedge_storage_status status)
{
	switch (status) {
	case WASMEDGE_STORAGE_NOT_FOUND:
		return RPC_KEY_NOT_FOUND;
	case WASMEDGE_STORAGE_CONFLICT:
		return RPC_PRECONDITION_FAILED;
	case WASMEDGE_STORAGE_ARGUMENT:
		return RPC_BAD_KEY;
	case WASMEDGE_STORAGE_LIMIT:
		return RPC_BODY_TOO_LARGE;
	case WASMEDGE_STORAGE_FULL:
		return RPC_DISK_FULL;
	case WASMEDGE_STORAGE_NOMEM:
		return RPC_OUT_OF_MEMORY;
	case WASMEDGE_STORAGE_OK:
	case WASMEDGE_STORAGE_BUSY:
	case WASMEDGE_STORAGE_DAMAGED:
	case WASMEDGE_STORAGE_IO:
		break;
	}
	return RPC_NOT_READY;
}

/* Reply unless all went well; true then. */
static bool
is_done(struct kv_call *call)
{
	if (call->status == WASMEDGE_STORAGE_OK)
		return true;
	request_fail(call->request, code_of(call->status), "%s", call->err.message);
	return false;
}

/* --- what is asked -------------------------------------------------------------------------- */

static bool
fail_key(struct request *r, const char *why)
{
	request_fail(r, RPC_BAD_KEY, "%s", why);
	return false;
}

/* A key as text, or in hexadecimal digits. */
static bool
take_bytes(struct kv_call *call, struct rpc_str text, struct wasmedge_storage_bytes *out)
{
	struct request *r = call->request;
	const char *encoding = rpc_query_text(&r->query, "encoding", "text");

	*out = (struct wasmedge_storage_bytes){ text.data, text.len };
	if (strcmp(encoding, "hex") != 0)
		return true;
	if (text.len % 2 != 0 || text.len / 2 > sizeof call->key_bytes ||
	    !rpc_hex_decode(text.data, text.len, call->key_bytes, text.len / 2))
		return fail_key(r, "with encoding=hex a key is 1 to 512 pairs of digits 0 to f");
	*out = (struct wasmedge_storage_bytes){ call->key_bytes, text.len / 2 };
	return true;
}

static bool
take_condition(struct request *r, const char *field, const char **out)
{
	struct rpc_problem problem;

	*out = request_header(r, field);
	if (*out == NULL || rpc_etag_find(*out, NULL, true) != RPC_ETAG_MALFORMED)
		return true;
	rpc_problem_in(&problem, RPC_BAD_HEADER, field,
	               "expected '*' or a list of entity tags, such as \"17\"");
	request_problem(r, &problem);
	return false;
}

/* NULL, replied, when it cannot be. */
static struct kv_call *
call_new(struct request *r, void (*work)(struct kv_call *, struct wasmedge_storage *),
         void (*done)(struct kv_call *))
{
	const struct rpc_str ns = rpc_match_param(&r->match, "ns");
	const struct vm_str tenant = auth_principal_tenant(r->principal);
	struct kv_call *call = calloc(1, sizeof *call);

	if (call == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the request");
		return NULL;
	}
	r->state = call;
	r->state_free = call_free;
	call->request = r;
	call->work = work;
	call->done = done;
	call->name.tenant = (struct wasmedge_storage_bytes){ tenant.data, tenant.len };
	call->name.ns = (struct wasmedge_storage_bytes){ ns.data, ns.len };
	return call;
}

/* A call about one key. */
static struct kv_call *
call_new_key(struct request *r, void (*work)(struct kv_call *, struct wasmedge_storage *),
             void (*done)(struct kv_call *))
{
	struct kv_call *call = call_new(r, work, done);

	if (call == NULL || !take_bytes(call, rpc_match_param(&r->match, "key"), &call->name.key) ||
	    !take_condition(r, "If-Match", &call->if_match) ||
	    !take_condition(r, "If-None-Match", &call->if_none_match))
		return NULL;
	return call;
}

/* --- entity tags ---------------------------------------------------------------------------- */

static void
write_etag(uint64_t revision, char out[ETAG_MAX])
{
	snprintf(out, ETAG_MAX, "%" PRIu64, revision);
}

/* Does the field name the tag? etag NULL: there is nothing, which no tag names. */
static bool
names(const char *field, const char *etag, bool is_weak)
{
	const enum rpc_etag_match match = rpc_etag_find(field, etag, is_weak);

	return match == RPC_ETAG_YES || (match == RPC_ETAG_ANY && etag != NULL);
}

/*
 * Look at the conditions with the value as it is now, and ask the storage to change just that one:
 * false when they do not hold, or it could not be read.
 */
static bool
settle_condition(struct kv_call *call, struct wasmedge_storage *storage,
                 struct wasmedge_storage_condition *out)
{
	struct wasmedge_storage_entry now = { 0 };
	char etag[ETAG_MAX];

	*out = (struct wasmedge_storage_condition){ WASMEDGE_STORAGE_ANY, 0 };
	if (call->if_match == NULL && call->if_none_match == NULL)
		return true;
	call->status = wasmedge_storage_head(storage, &call->name, &now, &call->err);
	if (call->status != WASMEDGE_STORAGE_OK && call->status != WASMEDGE_STORAGE_NOT_FOUND)
		return false;
	const bool exists = call->status == WASMEDGE_STORAGE_OK;
	write_etag(now.revision, etag);
	wasmedge_storage_entry_clear(&now);
	if ((call->if_match != NULL && !names(call->if_match, exists ? etag : NULL, false)) ||
	    (call->if_none_match != NULL &&
	     names(call->if_none_match, exists ? etag : NULL, true))) {
		call->status = WASMEDGE_STORAGE_CONFLICT;
		snprintf(call->err.message, sizeof call->err.message,
		         exists ? "the value has the entity tag \"%s\"" : "there is no value",
		         etag);
		return false;
	}
	*out = exists ? (struct wasmedge_storage_condition){ WASMEDGE_STORAGE_REVISION,
		                                             strtoull(etag, NULL, 10) }
	              : (struct wasmedge_storage_condition){ WASMEDGE_STORAGE_ABSENT, 0 };
	return true;
}

/* --- one value ------------------------------------------------------------------------------ */

static void
write_time_header(struct reply *reply, const char *name, int64_t time_us)
{
	const time_t seconds = (time_t)(time_us / 1000000);
	struct tm parts;
	char text[64];

	if (gmtime_r(&seconds, &parts) != NULL &&
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) > 0)
		reply_header(reply, name, "%s.%06dZ", text, (int)(time_us % 1000000));
}

/* Of a value that is there: its tag, and when it goes. */
static void
write_state_headers(struct reply *reply, uint64_t revision, int64_t expires_us)
{
	reply_header(reply, "ETag", "\"%" PRIu64 "\"", revision);
	if (expires_us != 0)
		write_time_header(reply, "Kv-Expires-At", expires_us);
}

static void
work_get(struct kv_call *call, struct wasmedge_storage *storage)
{
	call->status = wasmedge_storage_get(storage, &call->name, &call->entry, &call->err);
}

/* What clients stored may be anything: no browser is to take it for a page of the service. */
static void
done_get(struct kv_call *call)
{
	struct request *r = call->request;
	const struct wasmedge_storage_entry *entry = &call->entry;
	char etag[ETAG_MAX];
	struct reply reply;

	if (!is_done(call))
		return;
	write_etag(entry->revision, etag);
	if (call->if_match != NULL && !names(call->if_match, etag, false)) {
		request_fail(r, RPC_PRECONDITION_FAILED, "the value has the entity tag \"%s\"",
		             etag);
		return;
	}
	const bool is_unchanged =
	    call->if_none_match != NULL && names(call->if_none_match, etag, true);
	reply_init(&reply, is_unchanged ? 304 : 200);
	write_state_headers(&reply, entry->revision, entry->expires_us);
	if (is_unchanged) {
		request_reply(r, &reply);
		return;
	}
	reply_header(&reply, "X-Content-Type-Options", "nosniff");
	reply_header(&reply, "Content-Security-Policy", "sandbox");
	void *memory = call->entry.memory;
	call->entry.memory = NULL;
	api_reply_bytes(r, &reply,
	                entry->type[0] != '\0' ? entry->type : "application/octet-stream",
	                entry->value.data, entry->value.len, free, memory);
}

void
kv_get(struct request *request)
{
	struct kv_call *call = call_new_key(request, work_get, done_get);

	if (call != NULL)
		submit(call);
}

static void
work_delete(struct kv_call *call, struct wasmedge_storage *storage)
{
	struct wasmedge_storage_condition condition;

	if (settle_condition(call, storage, &condition))
		call->status =
		    wasmedge_storage_delete(storage, &call->name, &condition, &call->err);
}

static void
done_delete(struct kv_call *call)
{
	struct reply reply;

	if (!is_done(call))
		return;
	reply_init(&reply, 204);
	request_reply(call->request, &reply);
}

void
kv_delete(struct request *request)
{
	struct kv_call *call = call_new_key(request, work_delete, done_delete);

	if (call != NULL)
		submit(call);
}

/* --- storing -------------------------------------------------------------------------------- */

static void
work_put(struct kv_call *call, struct wasmedge_storage *storage)
{
	struct wasmedge_storage_condition condition;

	if (settle_condition(call, storage, &condition))
		call->status = wasmedge_storage_put(storage, &call->name, &call->value, &condition,
		                                    &call->change, &call->err);
}

/* A key as JSON has it: text, or {"hex": ...}. */
static void
write_key(struct rpc_writer *w, struct wasmedge_storage_bytes key)
{
	char hex[2 * WASMEDGE_STORAGE_KEY_MAX];
	const unsigned char *bytes = key.data;
	bool is_text = rpc_utf8_valid(key.data, key.len);

	for (size_t i = 0; i < key.len; i++)
		is_text = is_text && bytes[i] >= 0x20 && bytes[i] != 0x7f;
	rpc_write_key(w, "key");
	if (is_text) {
		rpc_write_string(w, key.data, key.len);
		return;
	}
	rpc_hex_encode(key.data, key.len, hex);
	rpc_write_object_begin(w);
	rpc_write_key(w, "hex");
	rpc_write_string(w, hex, 2 * key.len);
	rpc_write_object_end(w);
}

static void
write_entry(struct rpc_writer *w, const struct wasmedge_storage_entry *entry)
{
	write_key(w, entry->key);
	rpc_member_uint(w, "revision", entry->revision);
	rpc_member_uint(w, "size", entry->value.len);
	if (entry->type[0] != '\0')
		rpc_member_text(w, "content_type", entry->type);
	rpc_write_key(w, "updated_at");
	rpc_write_time_us(w, entry->updated_us);
	if (entry->expires_us != 0) {
		rpc_write_key(w, "expires_at");
		rpc_write_time_us(w, entry->expires_us);
	}
}

static void
done_put(struct kv_call *call)
{
	struct request *r = call->request;
	const struct wasmedge_storage_change *change = &call->change;
	const struct wasmedge_storage_entry entry = {
		.key = call->name.key,
		.value = { NULL, call->value.bytes.len },
		.type = call->value.type != NULL ? call->value.type : "",
		.revision = change->revision,
		.updated_us = change->updated_us,
		.expires_us = change->expires_us,
	};
	struct rpc_writer w;
	struct reply reply;

	if (!is_done(call))
		return;
	api_writer_init(r, &w);
	rpc_write_object_begin(&w);
	rpc_write_key(&w, "namespace");
	rpc_write_string(&w, call->name.ns.data, call->name.ns.len);
	write_entry(&w, &entry);
	rpc_member_bool(&w, "created", change->created);
	rpc_write_object_end(&w);
	reply_json(&reply, change->created ? 201 : 200, &w);
	write_state_headers(&reply, change->revision, change->expires_us);
	if (change->created)
		reply_header(&reply, "Location", "%.*s%s", (int)r->facts.path.len,
		             r->facts.path.data,
		             call->name.key.data == call->key_bytes ? "?encoding=hex" : "");
	request_reply(r, &reply);
}

/* "500ms", "30s", "5m", "2h", "7d", "90" (seconds): to milliseconds. */
static bool
parse_duration(const char *text, uint64_t *out_ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "ms", 1 },        { "s", 1000 },        { "", 1000 },
		      { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 86400 * 1000 } };
	const size_t digits = strspn(text, "0123456789");
	uint64_t number = 0;

	if (digits == 0 || digits > 15)
		return false;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (uint64_t)(text[i] - '0');
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(text + digits, units[i].unit) == 0) {
			*out_ms = number * units[i].ms;
			return number >= 1 && number <= TTL_MS_MAX / units[i].ms;
		}
	return false;
}

static bool
take_ttl(struct kv_call *call)
{
	struct request *r = call->request;
	const char *text = rpc_query_text(&r->query, "ttl", NULL);
	struct rpc_problem problem;

	if (text == NULL || parse_duration(text, &call->value.ttl_ms))
		return true;
	rpc_problem_in(&problem, RPC_BAD_QUERY, "ttl",
	               "expected a time from 1ms to 36600d, such as 500ms, 30s, 10m, 2h or 7d");
	request_problem(r, &problem);
	return false;
}

/* It is kept and given back as it came, so it has to be one. */
static bool
take_type(struct kv_call *call)
{
	struct request *r = call->request;
	struct rpc_media_type media;
	struct rpc_problem problem;

	call->value.type = request_header(r, "Content-Type");
	if (call->value.type == NULL)
		return true;
	if (strlen(call->value.type) > WASMEDGE_STORAGE_TYPE_MAX)
		rpc_problem_in(&problem, RPC_BAD_HEADER, "Content-Type",
		               "at most %d characters are kept", WASMEDGE_STORAGE_TYPE_MAX);
	else if (rpc_media_type_parse(call->value.type, &media, &problem) == RPC_OK)
		return true;
	request_problem(r, &problem);
	return false;
}

static bool
has_room(struct request *r)
{
	if (store_has_room(api_daemon(r)->store, r->facts.length))
		return true;
	request_fail(r, RPC_DISK_FULL, "the disk has no room for %llu bytes more",
	             (unsigned long long)r->facts.length);
	return false;
}

void
kv_put_begin(struct request *request)
{
	struct kv_call *call = call_new_key(request, work_put, done_put);

	if (call != NULL && take_ttl(call) && take_type(call) && has_room(request))
		(void)request_expect_body(request, api_daemon(request)->config->limits_value_bytes);
}

void
kv_put(struct request *request)
{
	struct kv_call *call = request->state;

	call->value.bytes = (struct wasmedge_storage_bytes){ request->body, request->body_len };
	submit(call);
}

/* --- lists ---------------------------------------------------------------------------------- */

static void
work_list(struct kv_call *call, struct wasmedge_storage *storage)
{
	call->status = wasmedge_storage_list(storage, &call->query, &call->list, &call->err);
}

static void
done_list(struct kv_call *call)
{
	struct request *r = call->request;
	const struct wasmedge_storage_list *list = &call->list;
	char next[CURSOR_DATA_MAX + 1];
	struct rpc_writer w;

	if (!is_done(call))
		return;
	api_page_begin(r, &w);
	for (size_t i = 0; i < list->count; i++) {
		rpc_write_object_begin(&w);
		write_entry(&w, &list->entries[i]);
		rpc_write_object_end(&w);
	}
	if (list->has_more) {
		const struct wasmedge_storage_bytes last = list->entries[list->count - 1].key;
		next[0] = LIST_LETTER;
		next[1 + rpc_base64_encode(last.data, last.len, next + 1)] = '\0';
	}
	api_page_end(r, &w, list->has_more ? next : NULL);
}

/* Where the page before ended: a letter and the key, as only this process can have written it. */
static bool
take_cursor(struct kv_call *call)
{
	char position[CURSOR_DATA_MAX + 1];
	size_t len;

	if (!api_cursor_read(call->request, position))
		return false;
	if (position[0] == LIST_LETTER &&
	    rpc_base64_decode(position + 1, strlen(position + 1), call->after, &len, &len))
		call->query.after = (struct wasmedge_storage_bytes){ call->after, len };
	return true;
}

void
kv_list(struct request *request)
{
	struct kv_call *call = call_new(request, work_list, done_list);

	if (call == NULL)
		return;
	call->query = (struct wasmedge_storage_query){
		.tenant = call->name.tenant,
		.ns = call->name.ns,
		.limit = (unsigned)rpc_query_uint(&request->query, "limit", LIST_STANDARD),
	};
	const struct rpc_str prefix =
	    rpc_str_make(rpc_query_text(&request->query, "prefix", ""));
	if (take_bytes(call, prefix, &call->query.prefix) && take_cursor(call))
		submit(call);
}
