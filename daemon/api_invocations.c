/*
 * api_invocations.c - invocations as resources: state, result, output, events, cancelling.
 *
 * What is in memory answers first; an asynchronous invocation that has left memory is answered
 * from its record in the store.
 */
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/invocations.h"

/* The {id} of the path, NUL-terminated; false, and replied, when none can be like that. */
static bool
take_id(struct request *r, char out[STORE_ID_MAX + 1])
{
	struct rpc_str id = rpc_match_param(&r->match, "id");

	if (id.len == 0 || id.len > STORE_ID_MAX || memchr(id.data, '\0', id.len) != NULL) {
		request_fail(r, RPC_INVOCATION_NOT_FOUND, "no invocation has this id");
		return false;
	}
	memcpy(out, id.data, id.len);
	out[id.len] = '\0';
	return true;
}

static struct invocation *
find(struct request *r, const char *id)
{
	return invocations_find(api_daemon(r)->invocations, id, r->principal);
}

static void
reply_record(struct request *r, unsigned status, const struct invocation *inv)
{
	struct rpc_writer w;

	api_writer_init(r, &w);
	invocation_write_record(&w, inv);
	api_reply_json(r, status, &w);
}

/* --- records of the store ----------------------------------------------------------------- */

static enum rpc_state
state_of(const char *text)
{
	for (int i = RPC_QUEUED; i <= RPC_LOST; i++)
		if (strcmp(rpc_state_text((enum rpc_state)i), text) == 0)
			return (enum rpc_state)i;
	return RPC_LOST;
}

static void
write_stored(struct rpc_writer *w, const struct store_invocation *stored)
{
	bool is_run = stored->function == NULL || stored->function[0] == '\0';
	struct rpc_invocation record = {
		.id = stored->id,
		.state = state_of(stored->state),
		.is_run = is_run,
		.module = stored->digest.bytes,
		.function = is_run ? NULL : stored->function,
		.owner = stored->token,
		.created_us = stored->created_us,
		.done_us = stored->done_us,
		.result = stored->result,
		.result_len = stored->result == NULL ? 0 : strlen(stored->result),
	};

	rpc_invocation_write(w, &record);
}

/* The stored record, when this caller may see it; else replied. */
static const struct store_invocation *
stored_of(struct request *r, const struct store_call *call)
{
	const struct store_invocation *stored = call->reply->invocations;

	if (!store_call_ok(r, call->reply, RPC_INVOCATION_NOT_FOUND))
		return NULL;
	if (invocations_may_see(r->principal, stored->token))
		return stored;
	request_fail(r, RPC_INVOCATION_NOT_FOUND, "no invocation of yours has this id");
	return NULL;
}

static void
on_stored(struct request *r, struct store_call *call)
{
	const struct store_invocation *stored = stored_of(r, call);
	struct rpc_writer w;

	if (stored == NULL)
		return;
	api_writer_init(r, &w);
	write_stored(&w, stored);
	api_reply_json(r, 200, &w);
}

static void
ask_store(struct request *r, const char *id,
          void (*done)(struct request *r, struct store_call *call))
{
	struct store_call *call = store_call_new(r, done);

	if (call != NULL)
		store_call_check(call, store_invocation_get(api_daemon(r)->store, id,
		                                            store_call_answer, call));
}

/* --- state and cancelling ----------------------------------------------------------------- */

void
invocation_get(struct request *request)
{
	char id[STORE_ID_MAX + 1];

	if (!take_id(request, id))
		return;
	struct invocation *inv = find(request, id);
	if (inv != NULL)
		reply_record(request, 200, inv);
	else
		ask_store(request, id, on_stored);
}

void
invocation_cancel(struct request *request)
{
	char id[STORE_ID_MAX + 1];

	if (!take_id(request, id))
		return;
	struct invocation *inv = find(request, id);
	if (inv == NULL) {
		ask_store(request, id, on_stored); /* not in memory: it has ended */
	} else if (!inv->is_active) {
		reply_record(request, 200, inv);
	} else {
		/* Written before: one that was still queued ends, and may go, at once. */
		reply_record(request, 202, inv);
		invocation_cancel_now(inv);
	}
}

/* --- list --------------------------------------------------------------------------------- */

#define CURSOR_OF_INVOCATIONS 'i'

static void
on_listed(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	struct rpc_writer w;

	if (!store_call_ok(r, found, RPC_INVOCATION_NOT_FOUND))
		return;
	api_page_begin(r, &w);
	for (size_t i = 0; i < found->invocation_count; i++)
		write_stored(&w, &found->invocations[i]);
	api_keyset_end(r, &w, CURSOR_OF_INVOCATIONS, found);
}

void
invocation_list(struct request *request)
{
	bool is_admin = auth_permits(request->principal, AUTH_ADMIN, NULL);
	struct store_invocation_query query = {
		.limit = (unsigned)rpc_query_uint(&request->query, "limit", 100),
		.state = rpc_query_text(&request->query, "state", NULL),
		.token = is_admin ? NULL : auth_principal_id(request->principal),
	};

	if (!api_keyset_read(request, CURSOR_OF_INVOCATIONS, &query.cursor))
		return;
	struct store_call *call = store_call_new(request, on_listed);
	if (call != NULL)
		store_call_check(call, store_invocation_list(api_daemon(request)->store, &query,
		                                             store_call_answer, call));
}

static void
write_active(struct rpc_writer *w, const struct invocation *first, enum rpc_state state)
{
	for (const struct invocation *inv = first; inv != NULL; inv = inv->next)
		if (invocation_state(inv) == state)
			invocation_write_record(w, inv);
}

void
activity(struct request *request)
{
	struct daemon *daemon = api_daemon(request);
	const struct invocation *first = invocations_active(daemon->invocations);
	struct jobpool_figures pool;
	struct rpc_writer w;

	jobpool_get_figures(daemon->workers, &pool);
	api_writer_init(request, &w);
	rpc_write_object_begin(&w);
	rpc_write_key(&w, "items");
	rpc_write_array_begin(&w);
	write_active(&w, first, RPC_RUNNING);
	write_active(&w, first, RPC_QUEUED);
	rpc_write_array_end(&w);
	rpc_member_uint(&w, "running", pool.busy_count);
	rpc_member_uint(&w, "queued", pool.waiting_count);
	rpc_member_uint(&w, "workers", pool.thread_count);
	rpc_write_object_end(&w);
	api_reply_json(request, 200, &w);
}

/* --- events ------------------------------------------------------------------------------- */

/* One that has left memory has one event left to tell: how it ended. */
static void
on_stored_events(struct request *r, struct store_call *call)
{
	const struct store_invocation *stored = stored_of(r, call);
	struct rpc_writer w;
	struct reply reply;
	size_t len;

	if (stored == NULL)
		return;
	rpc_writer_init(&w);
	rpc_write_verbatim(&w, "event: result\ndata: ", 20);
	rpc_write_verbatim(&w, stored->result == NULL ? "{}" : stored->result,
	                   stored->result == NULL ? 2 : strlen(stored->result));
	rpc_write_verbatim(&w, "\n\n", 2);
	char *text = rpc_writer_take(&w, &len);
	if (text == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the events");
		return;
	}
	reply_init(&reply, 200);
	reply_take(&reply, "text/event-stream", text, len);
	reply_header(&reply, "Cache-Control", "no-store");
	request_reply(r, &reply);
}

void
invocation_events(struct request *request)
{
	static const char *const offers[] = { "text/event-stream" };
	const char *last = request_header(request, "Last-Event-ID");
	char id[STORE_ID_MAX + 1];

	if (!take_id(request, id) || api_accept(request, offers, 1) < 0)
		return;
	struct invocation *inv = find(request, id);
	if (inv == NULL)
		ask_store(request, id, on_stored_events);
	else if (inv->events == NULL)
		request_fail(request, RPC_INVOCATION_NOT_FOUND,
		             "only asynchronous invocations can be followed");
	else
		/* What is not a number is no event's: begin with the first that is kept. */
		invocation_follow(inv, request, last == NULL ? 0 : strtoull(last, NULL, 10));
}

/* --- output and files --------------------------------------------------------------------- */

static void
reply_copy(struct request *r, const void *data, size_t len)
{
	char *copy = malloc(len + 1);
	struct reply reply;

	if (copy == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the bytes");
		return;
	}
	if (len > 0)
		memcpy(copy, data, len);
	reply_init(&reply, 200);
	api_reply_bytes(r, &reply, "application/octet-stream", copy, len, free, copy);
}

/* There is a record, so it has ended and has left memory, with all that it wrote. */
static void
on_output_gone(struct request *r, struct store_call *call)
{
	const struct store_invocation *stored = stored_of(r, call);

	if (stored != NULL)
		request_fail(r, RPC_OUTPUT_GONE,
		             "the invocation has ended (%s); what it wrote was kept for a while, "
		             "and its answer is at /v1/invocations/%s", stored->state, stored->id);
}

/* The invocation in memory that has ended; else it is replied, or will be. */
static struct invocation *
find_ended(struct request *r)
{
	char id[STORE_ID_MAX + 1];

	if (!take_id(r, id))
		return NULL;
	struct invocation *inv = find(r, id);
	if (inv != NULL && !inv->is_active)
		return inv;
	if (inv != NULL)
		request_fail(r, RPC_INVOCATION_NOT_FOUND,
		             "the invocation has not ended yet; follow its events");
	else
		ask_store(r, id, on_output_gone);
	return NULL;
}

void
invocation_stdout(struct request *request)
{
	struct invocation *inv = find_ended(request);

	if (inv != NULL)
		reply_copy(request, inv->out.data, inv->out.len);
}

void
invocation_stderr(struct request *request)
{
	struct invocation *inv = find_ended(request);

	if (inv != NULL)
		reply_copy(request, inv->err.data, inv->err.len);
}

void
invocation_file(struct request *request)
{
	struct rpc_str path = rpc_match_param(&request->match, "path");
	struct invocation *inv = find_ended(request);

	if (inv == NULL)
		return;
	for (size_t i = 0; i < inv->file_count; i++) {
		const char *kept = inv->files[i].path;
		/* The path of a file begins with a slash, the rest of the target does not. */
		if (strlen(kept) == path.len + 1 && memcmp(kept + 1, path.data, path.len) == 0) {
			reply_copy(request, inv->files[i].data, inv->files[i].len);
			return;
		}
	}
	request_fail(request, RPC_FILE_NOT_FOUND, "the invocation left no file /%.*s",
	             (int)path.len, path.data);
}
