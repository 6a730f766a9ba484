#include "daemon/store/internal.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/clock.h"

static const char damaged_format[] =
    "module %s: its stored bytes do not match their digest; upload it again to repair it";

/* ---- rows ---- */

static void
module_seal(const struct store_module *module, uint8_t out[SEAL_BYTES])
{
	struct seal seal;

	seal_init(&seal);
	seal_bytes(&seal, module->digest.bytes, DIGEST_BYTES);
	seal_int(&seal, (int64_t)module->size_bytes);
	seal_int(&seal, (int64_t)module->features);
	seal_int(&seal, module->created_us);
	seal_bytes(&seal, module->info, strlen(module->info));
	seal_finish(&seal, out);
}

static void
module_from_row(struct db *db, sqlite3_stmt *row, struct answer *answer,
		struct store_module *module)
{
	uint8_t seal[SEAL_BYTES];
	size_t state_size;

	bool has_digest = db_column_digest(row, 0, &module->digest);
	module->size_bytes = (uint64_t)sqlite3_column_int64(row, 1);
	module->features = (uint64_t)sqlite3_column_int64(row, 2);
	module->created_us = sqlite3_column_int64(row, 3);
	const char *state = db_column_text(db, row, 4, &state_size);
	bool is_ok = strcmp(state, "ok") == 0;
	module->info = answer_text(answer, db, row, 5);
	module->tags = answer_text(answer, db, row, 7);
	module_seal(module, seal);
	bool intact = is_ok && has_digest && seal_equals_column(seal, row, 6);
	module->state = intact ? STORE_MODULE_OK : STORE_MODULE_QUARANTINED;
	if (!intact)
		module->info = "{}"; /* it may say anything */
}

static struct store_module *
add_module(struct answer *answer)
{
	void *array = answer->public.modules;
	struct store_module *module =
	    answer_append(answer, &array, answer->public.module_count, sizeof *module);

	if (module != NULL) {
		answer->public.modules = array;
		answer->public.module_count++;
	}
	return module;
}

bool
module_append(struct db *db, const struct digest *digest, struct answer *answer)
{
	sqlite3_stmt *row = db_bind(db, SQL_MODULE_GET, "d", digest);

	if (!db_row(db, row))
		return false;
	struct store_module *module = add_module(answer);
	if (module != NULL)
		module_from_row(db, row, answer, module);
	db_end(row);
	return module != NULL;
}

void
module_count(struct store *store, struct db *db)
{
	sqlite3_stmt *row = db_bind(db, SQL_MODULE_TOTALS, "");

	if (!db_row(db, row))
		return;
	store->totals.modules = (uint64_t)sqlite3_column_int64(row, 0);
	store->totals.module_bytes = (uint64_t)sqlite3_column_int64(row, 1);
	db_end(row);
}

static void
fail_not_found(struct db *db, struct answer *answer, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	if (!db_failed(db) && !answer->nomem)
		store_fail(&answer->public.error, STORE_E_NOT_FOUND, "no module %s",
			   digest_format(digest, text));
}

/* ---- put ---- */

struct put_params {
	struct store_module_put put; /* texts in the arena; bytes the caller's */
	struct tag_change tag;       /* when put.tag.name is not NULL */
	bool tag_created;
};

static void
insert_module(struct db *db, const struct store_module_put *put)
{
	const struct store_module module = {
		.digest = put->digest,
		.size_bytes = put->size_bytes,
		.features = put->features,
		.created_us = clock_unix_us(),
		.info = put->info,
	};
	uint8_t seal[SEAL_BYTES];

	module_seal(&module, seal);
	blob_put(db, &put->digest, put->bytes, put->size_bytes);
	db_run(db, SQL_MODULE_INSERT, "dtiib", &put->digest, put->info, (int64_t)put->features,
	       module.created_us, (const void *)seal, sizeof seal);
}

/* What is known about a module that is there already, if it is not the same. */
static void
renew_module(struct db *db, const struct store_module_put *put, const struct store_module *old)
{
	struct store_module module = *old;
	uint8_t seal[SEAL_BYTES];

	if (old->state == STORE_MODULE_OK && old->features == put->features &&
	    strcmp(old->info, put->info) == 0)
		return;
	module.size_bytes = put->size_bytes;
	module.features = put->features;
	module.info = put->info;
	module_seal(&module, seal);
	db_run(db, SQL_MODULE_UPDATE, "dtib", &put->digest, put->info, (int64_t)put->features,
	       (const void *)seal, sizeof seal);
}

static void
put_run(struct store *store, struct db *db, struct op *op)
{
	struct put_params *params = op->params;
	const struct store_module_put *put = &params->put;
	struct answer *answer = op->answer;
	struct store_reply *public = &answer->public;

	bool known = module_append(db, &put->digest, answer);
	if (db_failed(db) || answer->nomem)
		return;
	bool intact = known && public->modules[0].state == STORE_MODULE_OK;
	if (!intact &&
	    !blob_check(store, &put->digest, put->bytes, put->size_bytes, &public->error))
		return;
	if (!known)
		insert_module(db, put);
	else if (!intact)
		blob_put(db, &put->digest, put->bytes, put->size_bytes);
	if (known)
		renew_module(db, put, &public->modules[0]);
	public->created = !known;
	if (put->tag.name != NULL)
		tag_point(store, db, &params->tag, answer, &params->tag_created);
	if (public->error.status != STORE_OK)
		return;
	public->module_count = 0; /* once more, as it stands now */
	if (!module_append(db, &put->digest, answer))
		fail_not_found(db, answer, &put->digest);
}

static void
put_committed(struct store *store, struct op *op)
{
	struct put_params *params = op->params;

	if (op->answer->public.created) {
		store->totals.modules++;
		store->totals.module_bytes += params->put.size_bytes;
	}
	if (params->put.tag.name != NULL)
		tag_pointed(store, &params->tag);
}

static void
put_drop(struct op *op)
{
	struct put_params *params = op->params;

	free(params->tag.entry);
	params->tag.entry = NULL;
}

enum store_status
store_module_put(struct store *store, const struct store_module_put *put, store_done_fn *done,
		 void *arg)
{
	if (put->size_bytes == 0 || put->size_bytes > store->module_bytes_max)
		return STORE_E_ARGUMENT;
	if (put->tag.name != NULL && !tag_name_is_valid(&put->tag))
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof(struct put_params), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	struct put_params *params = op->params;
	struct answer *answer = op->answer;
	params->put = *put;
	params->put.info = answer_copy(answer, put->info);
	if (put->tag.name != NULL) {
		params->put.tag = tag_name_copy(answer, &put->tag);
		params->tag.name = params->put.tag;
		params->tag.digest = put->digest;
		params->tag.condition = put->tag_if;
		params->tag.by = answer_copy(answer, put->by != NULL ? put->by : "");
	}
	op->weight_bytes = put->size_bytes + ROW_BYTES;
	op->run = put_run;
	op->committed = put_committed;
	op->drop = put_drop;
	return op_submit(&store->writes, op);
}

/* ---- quarantine ---- */

static void
quarantine_run(struct store *store, struct db *db, struct op *op)
{
	(void)store;
	if (db_run(db, SQL_MODULE_QUARANTINE, "d", (const struct digest *)op->params))
		op->answer->public.affected = (uint64_t)sqlite3_changes64(db->handle);
}

static void
quarantine_committed(struct store *store, struct op *op)
{
	store->totals.quarantined += op->answer->public.affected;
}

void
module_quarantine(struct store *store, const struct digest *digest)
{
	struct op *op = op_new(sizeof *digest, NULL, NULL);

	if (op == NULL)
		return;
	*(struct digest *)op->params = *digest;
	op->run = quarantine_run;
	op->committed = quarantine_committed;
	(void)op_submit(&store->writes, op); /* the next read finds the damage again */
}

/* ---- get ---- */

struct get_params {
	struct digest digest;
	bool want_bytes;
};

static void
get_run(struct store *store, struct db *db, struct op *op)
{
	const struct get_params *params = op->params;
	struct answer *answer = op->answer;
	char text[DIGEST_TEXT_SIZE];

	if (!module_append(db, &params->digest, answer)) {
		fail_not_found(db, answer, &params->digest);
		return;
	}
	struct store_module *module = &answer->public.modules[0];
	if (module->state == STORE_MODULE_OK &&
	    (!params->want_bytes || blob_read(db, &module->digest, module->size_bytes, answer)))
		return;
	if (db_failed(db) || answer->nomem)
		return;
	module->state = STORE_MODULE_QUARANTINED;
	module_quarantine(store, &params->digest);
	store_fail(&answer->public.error, STORE_E_DAMAGED, damaged_format,
		   digest_format(&params->digest, text));
}

enum store_status
store_module_get(struct store *store, const struct digest *digest, bool want_bytes,
		 store_done_fn *done, void *arg)
{
	struct op *op = op_new(sizeof(struct get_params), done, arg);

	if (op == NULL)
		return STORE_E_NOMEM;
	*(struct get_params *)op->params = (struct get_params){ *digest, want_bytes };
	op->run = get_run;
	return op_submit(&store->reads, op);
}

/* ---- list ---- */

struct list_params {
	int64_t before_us;
	struct digest before;
	char *ns; /* of the tag filter, with its parts; NULL: none */
	char *name;
	char *tag;
	const char *import;
	const char *export;
	int64_t features;
	unsigned limit;
};

static void
set_next(struct store_reply *public)
{
	const struct store_module *last = &public->modules[public->module_count - 1];

	public->has_next = true;
	public->next.created_us = last->created_us;
	digest_hex(&last->digest, public->next.key);
}

static void
list_run(struct store *store, struct db *db, struct op *op)
{
	const struct list_params *params = op->params;
	struct answer *answer = op->answer;
	sqlite3_stmt *row =
	    db_bind(db, SQL_MODULE_LIST, "idtttttii", params->before_us, &params->before,
		    params->ns, params->name, params->tag, params->import, params->export,
		    params->features, (int64_t)params->limit + 1);

	(void)store;
	while (db_row(db, row)) {
		struct store_module *module = NULL;

		if (answer->public.module_count == params->limit)
			set_next(&answer->public);
		else
			module = add_module(answer);
		if (module == NULL) {
			db_end(row);
			return;
		}
		module_from_row(db, row, answer, module);
	}
}

/* "ns/name:tag" into its parts, in place. */
static void
split_filter(struct list_params *params)
{
	if (params->ns == NULL)
		return;
	params->name = strchr(params->ns, '/');
	if (params->name == NULL)
		return;
	*params->name++ = '\0';
	params->tag = strchr(params->name, ':');
	if (params->tag != NULL)
		*params->tag++ = '\0';
}

enum store_status
store_module_list(struct store *store, const struct store_module_query *query, store_done_fn *done,
		  void *arg)
{
	struct list_params start = { .before_us = INT64_MAX };

	if (query->limit == 0 || query->limit > STORE_LIST_MAX)
		return STORE_E_ARGUMENT;
	if (query->cursor.key[0] != '\0') {
		if (memchr(query->cursor.key, '\0', sizeof query->cursor.key) == NULL ||
		    !digest_from_hex(query->cursor.key, &start.before))
			return STORE_E_ARGUMENT;
		start.before_us = query->cursor.created_us;
	}
	struct op *op = op_new(sizeof(struct list_params), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	struct list_params *params = op->params;
	*params = start;
	params->ns = answer_copy(op->answer, query->tag);
	split_filter(params);
	params->import = answer_copy(op->answer, query->import);
	params->export = answer_copy(op->answer, query->export);
	params->features = (int64_t)query->features;
	params->limit = query->limit;
	op->run = list_run;
	return op_submit(&store->reads, op);
}

/* ---- delete ---- */

struct delete_params {
	struct digest digest;
	bool force;
	const char *by;
};

static void
delete_run(struct store *store, struct db *db, struct op *op)
{
	const struct delete_params *params = op->params;
	struct answer *answer = op->answer;
	struct store_reply *public = &answer->public;
	char text[DIGEST_TEXT_SIZE];

	(void)store;
	if (!module_append(db, &params->digest, answer)) {
		fail_not_found(db, answer, &params->digest);
		return;
	}
	tag_append_all_of(db, &params->digest, answer);
	if (db_failed(db) || answer->nomem)
		return;
	if (public->tag_count > 0 && !params->force) {
		store_fail(&public->error, STORE_E_CONFLICT,
			   "module %s has %zu tags; remove them first, or force",
			   digest_format(&params->digest, text), public->tag_count);
		return;
	}
	for (size_t i = 0; i < public->tag_count; i++)
		tag_remove(store, db, &public->tags[i], params->by);
	db_run(db, SQL_MODULE_DELETE, "d", &params->digest);
	db_run(db, SQL_BLOB_DELETE, "d", &params->digest);
}

static void
delete_committed(struct store *store, struct op *op)
{
	const struct store_reply *public = &op->answer->public;

	store->totals.modules--;
	store->totals.module_bytes -= public->modules[0].size_bytes;
	for (size_t i = 0; i < public->tag_count; i++) {
		const struct store_tag *tag = &public->tags[i];

		if (tagmap_remove(&store->tags,
				  &(struct store_tag_name){ tag->ns, tag->name, tag->tag }))
			store->totals.tags--;
	}
}

enum store_status
store_module_delete(struct store *store, const struct digest *digest, bool force, const char *by,
		    store_done_fn *done, void *arg)
{
	struct op *op = op_new(sizeof(struct delete_params), done, arg);

	if (op == NULL)
		return STORE_E_NOMEM;
	*(struct delete_params *)op->params =
	    (struct delete_params){ *digest, force, answer_copy(op->answer, by != NULL ? by : "") };
	op->run = delete_run;
	op->committed = delete_committed;
	return op_submit(&store->writes, op);
}
