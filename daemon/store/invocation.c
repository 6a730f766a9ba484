#include "daemon/store/internal.h"

#include <string.h>
#include "daemon/clock.h"

static bool
id_is_valid(const char *id)
{
	size_t size =
	    strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return size > 0 && size <= STORE_ID_MAX && id[size] == '\0';
}

/* ---- rows ---- */

static void
invocation_from_row(struct db *db, sqlite3_stmt *row, struct answer *answer,
		    struct store_invocation *invocation)
{
	bool has_spec = sqlite3_column_type(row, 7) != SQLITE_NULL;
	bool has_result = sqlite3_column_type(row, 8) != SQLITE_NULL;

	invocation->id = answer_text(answer, db, row, 0);
	invocation->token = answer_text(answer, db, row, 1);
	(void)db_column_digest(row, 2, &invocation->digest);
	invocation->function = answer_text(answer, db, row, 3);
	invocation->state = answer_text(answer, db, row, 4);
	invocation->created_us = sqlite3_column_int64(row, 5);
	invocation->done_us = sqlite3_column_int64(row, 6);
	invocation->spec = has_spec ? answer_text(answer, db, row, 7) : NULL;
	invocation->result = has_result ? answer_text(answer, db, row, 8) : NULL;
}

static struct store_invocation *
add_invocation(struct answer *answer)
{
	void *array = answer->public.invocations;
	struct store_invocation *invocation =
	    answer_append(answer, &array, answer->public.invocation_count, sizeof *invocation);

	if (invocation != NULL) {
		answer->public.invocations = array;
		answer->public.invocation_count++;
	}
	return invocation;
}

/* False: there is none, or a failure. */
static bool
invocation_append(struct db *db, const char *id, struct answer *answer)
{
	sqlite3_stmt *row = db_bind(db, SQL_INVOCATION_GET, "t", id);

	if (!db_row(db, row))
		return false;
	struct store_invocation *invocation = add_invocation(answer);
	if (invocation != NULL)
		invocation_from_row(db, row, answer, invocation);
	db_end(row);
	return invocation != NULL;
}

static void
fail_not_found(struct db *db, struct answer *answer, const char *id)
{
	if (!db_failed(db) && !answer->nomem)
		store_fail(&answer->public.error, STORE_E_NOT_FOUND, "no invocation %s", id);
}

void
invocation_recover(struct store *store, struct db *db)
{
	db_run(db, SQL_INVOCATION_LOST, "i", clock_unix_us());
	sqlite3_stmt *row = db_bind(db, SQL_INVOCATION_COUNT, "");
	if (db_row(db, row)) {
		store->totals.invocations = (uint64_t)sqlite3_column_int64(row, 0);
		db_end(row);
	}
}

/* ---- ops that write ---- */

static void
add_run(struct store *store, struct db *db, struct op *op)
{
	const struct store_invocation_new *invocation = op->params;
	struct answer *answer = op->answer;

	(void)store;
	db_run(db, SQL_INVOCATION_INSERT, "ttdttti", invocation->id, invocation->token,
	       &invocation->digest, invocation->function, invocation->state, invocation->spec,
	       clock_unix_us());
	if (db_failed(db))
		return;
	if (sqlite3_changes(db->handle) == 0)
		store_fail(&answer->public.error, STORE_E_CONFLICT, "invocation %s exists already",
			   invocation->id);
	else
		(void)invocation_append(db, invocation->id, answer);
}

static void
add_committed(struct store *store, struct op *op)
{
	(void)op;
	store->totals.invocations++;
}

enum store_status
store_invocation_add(struct store *store, const struct store_invocation_new *invocation,
		     store_done_fn *done, void *arg)
{
	if (!id_is_valid(invocation->id))
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof *invocation, done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	struct store_invocation_new *copy = op->params;
	struct answer *answer = op->answer;
	copy->id = answer_copy(answer, invocation->id);
	copy->token = answer_copy(answer, invocation->token != NULL ? invocation->token : "");
	copy->digest = invocation->digest;
	copy->function =
	    answer_copy(answer, invocation->function != NULL ? invocation->function : "");
	copy->state = answer_copy(answer, invocation->state);
	copy->spec = answer_copy(answer, invocation->spec);
	op->weight_bytes = strlen(invocation->spec);
	op->run = add_run;
	op->committed = add_committed;
	return op_submit(&store->writes, op);
}

struct update_params {
	const char *id;
	const char *state;
	const char *result;
	bool finished;
};

static void
update_run(struct store *store, struct db *db, struct op *op)
{
	const struct update_params *params = op->params;
	struct answer *answer = op->answer;
	int64_t done_us = params->finished ? clock_unix_us() : 0;

	(void)store;
	db_run(db, SQL_INVOCATION_UPDATE, "ttti", params->id, params->state, params->result,
	       done_us);
	if (db_failed(db) || sqlite3_changes(db->handle) > 0)
		return;
	if (invocation_append(db, params->id, answer))
		store_fail(&answer->public.error, STORE_E_CONFLICT,
			   "invocation %s has finished already: %s", params->id,
			   answer->public.invocations[0].state);
	else
		fail_not_found(db, answer, params->id);
}

enum store_status
store_invocation_update(struct store *store, const char *id, const char *state, const char *result,
			bool finished, store_done_fn *done, void *arg)
{
	if (!id_is_valid(id))
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof(struct update_params), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	struct update_params *params = op->params;
	params->id = answer_copy(op->answer, id);
	params->state = answer_copy(op->answer, state);
	params->result = answer_copy(op->answer, result);
	params->finished = finished;
	op->weight_bytes = result != NULL ? strlen(result) : 0;
	op->run = update_run;
	return op_submit(&store->writes, op);
}

static void
prune_run(struct store *store, struct db *db, struct op *op)
{
	const int64_t *done_before_us = op->params;

	(void)store;
	if (db_run(db, SQL_INVOCATION_PRUNE, "i", *done_before_us))
		op->answer->public.affected = (uint64_t)sqlite3_changes64(db->handle);
}

static void
prune_committed(struct store *store, struct op *op)
{
	store->totals.invocations -= op->answer->public.affected;
}

enum store_status
store_invocation_prune(struct store *store, int64_t done_before_us, store_done_fn *done, void *arg)
{
	struct op *op = op_new(sizeof done_before_us, done, arg);

	if (op == NULL)
		return STORE_E_NOMEM;
	*(int64_t *)op->params = done_before_us;
	op->run = prune_run;
	op->committed = prune_committed;
	return op_submit(&store->writes, op);
}

/* ---- ops that read ---- */

static void
get_run(struct store *store, struct db *db, struct op *op)
{
	const char *id = op->params;

	(void)store;
	if (!invocation_append(db, id, op->answer))
		fail_not_found(db, op->answer, id);
}

enum store_status
store_invocation_get(struct store *store, const char *id, store_done_fn *done, void *arg)
{
	if (!id_is_valid(id))
		return STORE_E_NOT_FOUND;
	struct op *op = op_new(strlen(id) + 1, done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	memcpy(op->params, id, strlen(id));
	op->run = get_run;
	return op_submit(&store->reads, op);
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
list_run(struct store *store, struct db *db, struct op *op)
{
	const struct list_params *params = op->params;
	const struct store_invocation_query *query = &params->query;
	struct store_reply *public = &op->answer->public;
	sqlite3_stmt *row =
	    db_bind(db, SQL_INVOCATION_LIST, "itttdi", query->cursor.created_us, query->cursor.key,
		    query->state, query->token, query->digest, (int64_t)query->limit + 1);

	(void)store;
	while (db_row(db, row)) {
		struct store_invocation *invocation = NULL;

		if (public->invocation_count == query->limit)
			set_next(public);
		else
			invocation = add_invocation(op->answer);
		if (invocation == NULL) {
			db_end(row);
			return;
		}
		invocation_from_row(db, row, op->answer, invocation);
	}
}

enum store_status
store_invocation_list(struct store *store, const struct store_invocation_query *query,
		      store_done_fn *done, void *arg)
{
	if (query->limit == 0 || query->limit > STORE_LIST_MAX)
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof(struct list_params), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	struct list_params *params = op->params;
	params->query = *query;
	params->query.cursor.key[sizeof query->cursor.key - 1] = '\0';
	if (query->cursor.key[0] == '\0')
		params->query.cursor.created_us = INT64_MAX;
	params->query.state = answer_copy(op->answer, query->state);
	params->query.token = answer_copy(op->answer, query->token);
	if (query->digest != NULL) {
		params->digest = *query->digest;
		params->query.digest = &params->digest;
	}
	op->run = list_run;
	return op_submit(&store->reads, op);
}
