#include "daemon/store/internal.h"

#include <string.h>
#include "daemon/clock.h"

/* ---- rows ---- */

static void
model_seal(const struct store_model *model, uint8_t out[SEAL_BYTES])
{
	struct seal seal;

	seal_init(&seal);
	seal_bytes(&seal, model->name, strlen(model->name));
	seal_bytes(&seal, model->digest.bytes, DIGEST_BYTES);
	seal_bytes(&seal, model->format, strlen(model->format));
	seal_bytes(&seal, model->info, strlen(model->info));
	seal_int(&seal, model->created_us);
	seal_finish(&seal, out);
}

/* Append the row that the statement stands on. False: no memory. */
static bool
append_row(struct db *db, sqlite3_stmt *row, struct answer *answer)
{
	void *array = answer->public.models;
	struct store_model *model =
	    answer_append(answer, &array, answer->public.model_count, sizeof *model);
	uint8_t seal[SEAL_BYTES];

	if (model == NULL)
		return false;
	answer->public.models = array;
	answer->public.model_count++;
	model->name = answer_text(answer, db, row, 0);
	bool has_digest = db_column_digest(row, 1, &model->digest);
	model->size_bytes = (uint64_t)sqlite3_column_int64(row, 2);
	model->format = answer_text(answer, db, row, 3);
	model->info = answer_text(answer, db, row, 4);
	model->created_us = sqlite3_column_int64(row, 5);
	model_seal(model, seal);
	model->is_damaged = !has_digest || !seal_equals_column(seal, row, 6);
	if (model->is_damaged)
		model->info = "{}"; /* it may say anything */
	return true;
}

/* The model of that name into answer->models. False: none, or db_failed(), or no memory. */
static bool
append_named(struct db *db, const char *name, struct answer *answer)
{
	sqlite3_stmt *row = db_bind(db, SQL_MODEL_GET, "t", name);

	if (!db_row(db, row))
		return false;
	bool ok = append_row(db, row, answer);
	db_end(row);
	return ok;
}

void
model_count(struct store *store, struct db *db)
{
	sqlite3_stmt *row = db_bind(db, SQL_MODEL_TOTALS, "");

	if (!db_row(db, row))
		return;
	store->totals.models = (uint64_t)sqlite3_column_int64(row, 0);
	store->totals.model_bytes = (uint64_t)sqlite3_column_int64(row, 1);
	db_end(row);
}

static void
fail_not_found(struct db *db, struct answer *answer, const char *name)
{
	if (!db_failed(db) && !answer->nomem)
		store_fail(&answer->public.error, STORE_E_NOT_FOUND, "no model %s", name);
}

/* ---- put ---- */

struct put_params {
	struct store_model_put put; /* texts in the arena; bytes the caller's */
	uint64_t replaced_bytes;
};

static void
write_model(struct db *db, const struct store_model_put *put)
{
	struct store_model model = {
		.name = put->name,
		.digest = put->digest,
		.format = put->format,
		.info = put->info,
		.created_us = clock_unix_us(),
	};
	uint8_t seal[SEAL_BYTES];

	model_seal(&model, seal);
	blob_put(db, &put->digest, put->bytes, put->size_bytes);
	db_run(db, SQL_MODEL_PUT, "tdttib", put->name, &put->digest, put->format, put->info,
	       model.created_us, (const void *)seal, sizeof seal);
}

static void
put_run(struct store *store, struct db *db, struct op *op)
{
	struct put_params *params = op->params;
	const struct store_model_put *put = &params->put;
	struct answer *answer = op->answer;
	struct store_reply *public = &answer->public;
	static const struct digest nobody;
	struct digest old = nobody;

	bool known = append_named(db, put->name, answer);
	if (db_failed(db) || answer->nomem)
		return;
	if (known && !public->models[0].is_damaged)
		old = public->models[0].digest;
	params->replaced_bytes = known ? public->models[0].size_bytes : 0;
	if (!condition_holds(known ? &old : NULL, &put->condition, "model", &public->error) ||
	    !blob_check(store, &put->digest, put->bytes, put->size_bytes, &public->error))
		return;
	/* Damaged or not, the row says whose bytes may now be nobody's. */
	struct digest left = known ? public->models[0].digest : nobody;
	write_model(db, put);
	db_run(db, SQL_BLOB_DELETE, "d", &left);
	public->created = !known;
	public->model_count = 0; /* once more, as it stands now */
	if (!append_named(db, put->name, answer))
		fail_not_found(db, answer, put->name);
}

static void
put_committed(struct store *store, struct op *op)
{
	const struct put_params *params = op->params;

	store->totals.models += op->answer->public.created;
	store->totals.model_bytes += params->put.size_bytes - params->replaced_bytes;
}

enum store_status
store_model_put(struct store *store, const struct store_model_put *put, store_done_fn *done,
		void *arg)
{
	if (put->size_bytes == 0 || put->size_bytes > STORED_BYTES_MAX ||
	    !tag_part_is_valid(put->name) || strlen(put->format) > STORE_FORMAT_MAX)
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof(struct put_params), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	struct put_params *params = op->params;
	params->put = *put;
	params->put.name = answer_copy(op->answer, put->name);
	params->put.format = answer_copy(op->answer, put->format);
	params->put.info = answer_copy(op->answer, put->info);
	op->weight_bytes = put->size_bytes + ROW_BYTES;
	op->run = put_run;
	op->committed = put_committed;
	return op_submit(&store->writes, op);
}

/* ---- get ---- */

struct get_params {
	const char *name;
	bool want_bytes;
};

static void
get_run(struct store *store, struct db *db, struct op *op)
{
	const struct get_params *params = op->params;
	struct answer *answer = op->answer;

	(void)store;
	if (!append_named(db, params->name, answer)) {
		fail_not_found(db, answer, params->name);
		return;
	}
	struct store_model *model = &answer->public.models[0];
	if (!model->is_damaged &&
	    (!params->want_bytes || blob_read(db, &model->digest, model->size_bytes, answer)))
		return;
	if (db_failed(db) || answer->nomem)
		return;
	model->is_damaged = true;
	store_fail(&answer->public.error, STORE_E_DAMAGED,
		   "model %s: what is stored does not match its digest; send it again to repair it",
		   params->name);
}

enum store_status
store_model_get(struct store *store, const char *name, bool want_bytes, store_done_fn *done,
		void *arg)
{
	struct op *op = op_new(sizeof(struct get_params), done, arg);

	if (op == NULL)
		return STORE_E_NOMEM;
	*(struct get_params *)op->params =
	    (struct get_params){ answer_copy(op->answer, name), want_bytes };
	op->run = get_run;
	return op_submit(&store->reads, op);
}

/* ---- list ---- */

struct list_params {
	const char *after;
	unsigned limit;
};

static void
list_run(struct store *store, struct db *db, struct op *op)
{
	const struct list_params *params = op->params;
	struct answer *answer = op->answer;
	sqlite3_stmt *row =
	    db_bind(db, SQL_MODEL_LIST, "ti", params->after, (int64_t)params->limit + 1);

	(void)store;
	while (db_row(db, row)) {
		answer->public.has_next = answer->public.model_count == params->limit;
		if (answer->public.has_next || !append_row(db, row, answer)) {
			db_end(row);
			return;
		}
	}
}

enum store_status
store_model_list(struct store *store, const char *after, unsigned limit, store_done_fn *done,
		 void *arg)
{
	if (limit == 0 || limit > STORE_LIST_MAX)
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof(struct list_params), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	*(struct list_params *)op->params =
	    (struct list_params){ answer_copy(op->answer, after != NULL ? after : ""), limit };
	op->run = list_run;
	return op_submit(&store->reads, op);
}

/* ---- delete ---- */

struct delete_params {
	const char *name;
	struct store_condition condition;
};

static void
delete_run(struct store *store, struct db *db, struct op *op)
{
	const struct delete_params *params = op->params;
	struct answer *answer = op->answer;
	static const struct digest nobody;

	(void)store;
	if (!append_named(db, params->name, answer)) {
		fail_not_found(db, answer, params->name);
		return;
	}
	const struct store_model *model = &answer->public.models[0];
	if (!condition_holds(model->is_damaged ? &nobody : &model->digest, &params->condition,
			     "model", &answer->public.error))
		return;
	db_run(db, SQL_MODEL_DELETE, "t", params->name);
	db_run(db, SQL_BLOB_DELETE, "d", &model->digest);
}

static void
delete_committed(struct store *store, struct op *op)
{
	store->totals.models--;
	store->totals.model_bytes -= op->answer->public.models[0].size_bytes;
}

enum store_status
store_model_delete(struct store *store, const char *name, const struct store_condition *condition,
		   store_done_fn *done, void *arg)
{
	struct op *op = op_new(sizeof(struct delete_params), done, arg);

	if (op == NULL)
		return STORE_E_NOMEM;
	*(struct delete_params *)op->params =
	    (struct delete_params){ answer_copy(op->answer, name), *condition };
	op->run = delete_run;
	op->committed = delete_committed;
	return op_submit(&store->writes, op);
}
