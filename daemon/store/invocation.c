#include "daemon/store/internal.h"

#include <string.h>

static bool
id_is_valid(const char *id)
{
	size_t size = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return size > 0 && size <= STORE_ID_MAX && id[size] == '\0';
}

/* ---- rows ---- */

static void
invocation_from_row(struct db *db, sqlite3_stmt *row, struct reply *reply,
                    struct store_invocation *invocation)
{
	bool has_spec = sqlite3_column_type(row, 7) != SQLITE_NULL;
	bool has_result = sqlite3_column_type(row, 8) != SQLITE_NULL;

	invocation->id = reply_text(reply, db, row, 0);
	invocation->token = reply_text(reply, db, row, 1);
	(void)db_column_digest(row, 2, &invocation->digest);
	invocation->function = reply_text(reply, db, row, 3);
	invocation->state = reply_text(reply, db, row, 4);
	invocation->created_us = sqlite3_column_int64(row, 5);
	invocation->done_us = sqlite3_column_int64(row, 6);
	invocation->spec = has_spec ? reply_text(reply, db, row, 7) : NULL;
	invocation->result = has_result ? reply_text(reply, db, row, 8) : NULL;
}

static struct store_invocation *
add_invocation(struct reply *reply)
{
	void *array = reply->public.invocations;
	struct store_invocation *invocation =
	    reply_append(reply, &array, reply->public.invocation_count, sizeof *invocation);

	if (invocation != NULL) {
		reply->public.invocations = array;
		reply->public.invocation_count++;
	}
	return invocation;
}

/* False: there is none, or a failure. */
static bool
invocation_append(struct db *db, const char *id, struct reply *reply)
{
	sqlite3_stmt *row = db_bind(db, SQL_INVOCATION_GET, "t", id);

	if (!db_row(db, row))
		return false;
	struct store_invocation *invocation = add_invocation(reply);
	if (invocation != NULL)
		invocation_from_row(db, row, reply, invocation);
	db_end(row);
	return invocation != NULL;
}

static void
fail_not_found(struct db *db, struct reply *reply, const char *id)
{
	if (!db_failed(db) && !reply->nomem)
		store_fail(&reply->public.error, STORE_E_NOT_FOUND, "no invocation %s", id);
}

void
invocation_recover(struct store *store, struct db *db)
{
	db_run(db, SQL_INVOCATION_LOST, "i", store_unix_us());
	sqlite3_stmt *row = db_bind(db, SQL_INVOCATION_COUNT, "");
	if (db_row(db, row)) {
		store->totals.invocations = (uint64_t)sqlite3_column_int64(row, 0);
		db_end(row);
	}
}

/* ---- requests that write ---- */

static void
add_run(struct store *store, struct db *db, struct request *request)
{
	const struct store_invocation_new *invocation = request->params;
	struct reply *reply = request->reply;

	(void)store;
	db_run(db, SQL_INVOCATION_INSERT, "ttdttti", invocation->id, invocation->token,
	       &invocation->digest, invocation->function, invocation->state, invocation->spec,
	       store_unix_us());
	if (db_failed(db))
		return;
	if (sqlite3_changes(db->handle) == 0)
		store_fail(&reply->public.error, STORE_E_CONFLICT, "invocation %s exists already",
		           invocation->id);
	else
		(void)invocation_append(db, invocation->id, reply);
}

static void
add_committed(struct store *store, struct request *request)
{
	(void)request;
	store->totals.invocations++;
}

enum store_status
store_invocation_add(struct store *store, const struct store_invocation_new *invocation,
                     store_done_fn *done, void *arg)
{
	if (!id_is_valid(invocation->id))
		return STORE_E_ARGUMENT;
	struct request *request = request_new(sizeof *invocation, done, arg);
	if (request == NULL)
		return STORE_E_NOMEM;
	struct store_invocation_new *copy = request->params;
	struct reply *reply = request->reply;
	copy->id = reply_copy(reply, invocation->id);
	copy->token = reply_copy(reply, invocation->token != NULL ? invocation->token : "");
	copy->digest = invocation->digest;
	copy->function = reply_copy(reply, invocation->function != NULL ? invocation->function : "");
	copy->state = reply_copy(reply, invocation->state);
	copy->spec = reply_copy(reply, invocation->spec);
	request->weight_bytes = strlen(invocation->spec);
	request->run = add_run;
	request->committed = add_committed;
	return request_submit(&store->writes, request);
}

struct update_params {
	const char *id;
	const char *state;
	const char *result;
	bool finished;
};

static void
update_run(struct store *store, struct db *db, struct request *request)
{
	const struct update_params *params = request->params;
	struct reply *reply = request->reply;
	int64_t done_us = params->finished ? store_unix_us() : 0;

	(void)store;
	db_run(db, SQL_INVOCATION_UPDATE, "ttti", params->id, params->state, params->result, done_us);
	if (db_failed(db) || sqlite3_changes(db->handle) > 0)
		return;
	if (invocation_append(db, params->id, reply))
		store_fail(&reply->public.error, STORE_E_CONFLICT,
		           "invocation %s has finished already: %s", params->id,
		           reply->public.invocations[0].state);
	else
		fail_not_found(db, reply, params->id);
}

enum store_status
store_invocation_update(struct store *store, const char *id, const char *state,
                        const char *result, bool finished, store_done_fn *done, void *arg)
{
	if (!id_is_valid(id))
		return STORE_E_ARGUMENT;
	struct request *request = request_new(sizeof(struct update_params), done, arg);
	if (request == NULL)
		return STORE_E_NOMEM;
	struct update_params *params = request->params;
	params->id = reply_copy(request->reply, id);
	params->state = reply_copy(request->reply, state);
	params->result = reply_copy(request->reply, result);
	params->finished = finished;
	request->weight_bytes = result != NULL ? strlen(result) : 0;
	request->run = update_run;
	return request_submit(&store->writes, request);
}

static void
prune_run(struct store *store, struct db *db, struct request *request)
{
	const int64_t *done_before_us = request->params;

	(void)store;
	if (db_run(db, SQL_INVOCATION_PRUNE, "i", *done_before_us))
		request->reply->public.affected = (uint64_t)sqlite3_changes64(db->handle);
}

static void
prune_committed(struct store *store, struct request *request)
{
	store->totals.invocations -= request->reply->public.affected;
}

enum store_status
store_invocation_prune(struct store *store, int64_t done_before_us, store_done_fn *done, void *arg)
{
	struct request *request = request_new(sizeof done_before_us, done, arg);

	if (request == NULL)
		return STORE_E_NOMEM;
	*(int64_t *)request->params = done_before_us;
	request->run = prune_run;
	request->committed = prune_committed;
	return request_submit(&store->writes, request);
}

/* ---- requests that read ---- */

static void
get_run(struct store *store, struct db *db, struct request *request)
{
	const char *id = request->params;

	(void)store;
	if (!invocation_append(db, id, request->reply))
		fail_not_found(db, request->reply, id);
}

enum store_status
store_invocation_get(struct store *store, const char *id, store_done_fn *done, void *arg)
{
	if (!id_is_valid(id))
		return STORE_E_NOT_FOUND;
	struct request *request = request_new(strlen(id) + 1, done, arg);
	if (request == NULL)
		return STORE_E_NOMEM;
	memcpy(request->params, id, strlen(id));
	request->run = get_run;
	return request_submit(&store->reads, request);
}

struct list_params {
	struct store_invocation_query query;
	struct digest digest; /* where query.digest points, when it does */
};

/* The list goes on after its last element. */
static void
set_next(struct store_reply *public)
{
	const struct store_invocation *last = &public->invocations[public->invocation_count - 1];

	public->has_next = true;
	public->next.created_us = last->created_us;
	memcpy(public->next.key, last->id, strnlen(last->id, STORE_ID_MAX));
}

static void
list_run(struct store *store, struct db *db, struct request *request)
{
	const struct list_params *params = request->params;
	const struct store_invocation_query *query = &params->query;
	struct store_reply *public = &request->reply->public;
	sqlite3_stmt *row =
	    db_bind(db, SQL_INVOCATION_LIST, "itttdi", query->cursor.created_us, query->cursor.key,
	            query->state, query->token, query->digest, (int64_t)query->limit + 1);

	(void)store;
	while (db_row(db, row)) {
		struct store_invocation *invocation = NULL;

		if (public->invocation_count == query->limit)
			set_next(public);
		else
			invocation = add_invocation(request->reply);
		if (invocation == NULL) {
			db_end(row);
			return;
		}
		invocation_from_row(db, row, request->reply, invocation);
	}
}

enum store_status
store_invocation_list(struct store *store, const struct store_invocation_query *query,
                      store_done_fn *done, void *arg)
{
	if (query->limit == 0 || query->limit > STORE_LIST_MAX)
		return STORE_E_ARGUMENT;
	struct request *request = request_new(sizeof(struct list_params), done, arg);
	if (request == NULL)
		return STORE_E_NOMEM;
	struct list_params *params = request->params;
	params->query = *query;
	params->query.cursor.key[sizeof query->cursor.key - 1] = '\0';
	if (query->cursor.key[0] == '\0')
		params->query.cursor.created_us = INT64_MAX;
	params->query.state = reply_copy(request->reply, query->state);
	params->query.token = reply_copy(request->reply, query->token);
	if (query->digest != NULL) {
		params->digest = *query->digest;
		params->query.digest = &params->digest;
	}
	request->run = list_run;
	return request_submit(&store->reads, request);
}
