#include "daemon/store/internal.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/clock.h"

/* ---- names ---- */

bool
store_name_is_valid(const char *text, size_t size)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";

	if (size == 0 || size > STORE_NAME_MAX || text[0] == '.' || text[0] == '-')
		return false;
	for (size_t i = 0; i < size; i++)
		if (memchr(allowed, text[i], sizeof allowed - 1) == NULL)
			return false;
	return true;
}

bool
tag_part_is_valid(const char *part)
{
	return part != NULL && store_name_is_valid(part, strlen(part));
}

bool
tag_name_is_valid(const struct store_tag_name *name)
{
	return tag_part_is_valid(name->ns) && tag_part_is_valid(name->name) &&
	       tag_part_is_valid(name->tag);
}

struct store_tag_name
tag_name_copy(struct answer *answer, const struct store_tag_name *name)
{
	return (struct store_tag_name){ answer_copy(answer, name->ns),
					answer_copy(answer, name->name),
					answer_copy(answer, name->tag) };
}

/* ---- rows ---- */

static void
tag_seal(const struct store_tag *tag, uint8_t out[SEAL_BYTES])
{
	struct seal seal;

	seal_init(&seal);
	seal_bytes(&seal, tag->ns, strlen(tag->ns));
	seal_bytes(&seal, tag->name, strlen(tag->name));
	seal_bytes(&seal, tag->tag, strlen(tag->tag));
	seal_bytes(&seal, tag->digest.bytes, DIGEST_BYTES);
	seal_int(&seal, tag->rev);
	seal_int(&seal, tag->updated_us);
	seal_bytes(&seal, tag->updated_by, strlen(tag->updated_by));
	seal_finish(&seal, out);
}

/* Whether the row is intact; *tag is filled either way. */
static bool
tag_from_row(struct db *db, sqlite3_stmt *row, struct answer *answer, struct store_tag *tag)
{
	uint8_t seal[SEAL_BYTES];

	tag->ns = answer_text(answer, db, row, 0);
	tag->name = answer_text(answer, db, row, 1);
	tag->tag = answer_text(answer, db, row, 2);
	bool has_digest = db_column_digest(row, 3, &tag->digest);
	tag->rev = sqlite3_column_int64(row, 4);
	tag->updated_us = sqlite3_column_int64(row, 5);
	tag->updated_by = answer_text(answer, db, row, 6);
	tag_seal(tag, seal);
	return has_digest && seal_equals_column(seal, row, 7);
}

static struct store_tag *
add_tag(struct answer *answer)
{
	void *array = answer->public.tags;
	struct store_tag *tag =
	    answer_append(answer, &array, answer->public.tag_count, sizeof *tag);

	if (tag != NULL) {
		answer->public.tags = array;
		answer->public.tag_count++;
	}
	return tag;
}

enum tag_found
tag_append(struct db *db, const struct store_tag_name *name, struct answer *answer)
{
	sqlite3_stmt *row = db_bind(db, SQL_TAG_GET, "ttt", name->ns, name->name, name->tag);
	enum tag_found found = TAG_NONE;

	if (!db_row(db, row))
		return TAG_NONE;
	struct store_tag *tag = add_tag(answer);
	if (tag != NULL)
		found = tag_from_row(db, row, answer, tag) ? TAG_FOUND : TAG_DAMAGED;
	db_end(row);
	return found;
}

void
tag_append_all_of(struct db *db, const struct digest *digest, struct answer *answer)
{
	sqlite3_stmt *row = db_bind(db, SQL_TAG_OF_MODULE, "d", digest);

	while (db_row(db, row)) {
		struct store_tag *tag = add_tag(answer);

		if (tag == NULL) {
			db_end(row);
			return;
		}
		(void)tag_from_row(db, row, answer, tag);
	}
}

bool
tag_load_all(struct store *store, struct db *db)
{
	sqlite3_stmt *row = db_bind(db, SQL_TAG_ALL, "");
	bool ok = true;

	while (ok && db_row(db, row)) {
		struct answer *scratch = answer_new(); /* one a row: memory stays small */
		struct store_tag tag;

		if (scratch == NULL) {
			ok = false;
			break;
		}
		bool intact = tag_from_row(db, row, scratch, &tag);
		const struct store_tag_name name = { tag.ns, tag.name, tag.tag };
		struct tag_entry *entry = tag_name_is_valid(&name) ? tag_entry_new(&name) : NULL;
		ok = !scratch->nomem && !db_failed(db) && (entry != NULL || !intact);
		if (!intact)
			store->totals.quarantined++;
		if (entry != NULL) {
			entry->digest = tag.digest;
			entry->rev = tag.rev;
			entry->damaged = !intact;
			tagmap_put(&store->tags, entry);
		}
		store_reply_free(&scratch->public);
	}
	db_end(row);
	store->totals.tags = store->tags.count;
	return ok && !db_failed(db);
}

/* ---- changes ---- */

/*
 * Note a change; returns its revision. Of each name the latest changes are kept, this one in any
 * case: revisions count on from it.
 */
static int64_t
history_add(struct store *store, struct db *db, const struct store_tag_name *name,
	    const struct digest *old_digest, const struct digest *new_digest, int64_t at_us,
	    const char *by)
{
	db_run(db, SQL_HISTORY_ADD, "tttddit", name->ns, name->name, name->tag, old_digest,
	       new_digest, at_us, by);
	int64_t rev = sqlite3_last_insert_rowid(db->handle);
	db_run(db, SQL_HISTORY_TRIM, "tti", name->ns, name->name, (int64_t)store->history_max);
	return rev;
}

void
tag_remove(struct store *store, struct db *db, const struct store_tag *tag, const char *by)
{
	const struct store_tag_name name = { tag->ns, tag->name, tag->tag };

	db_run(db, SQL_TAG_DELETE, "ttt", tag->ns, tag->name, tag->tag);
	history_add(store, db, &name, &tag->digest, NULL, clock_unix_us(), by);
}

static void
tag_write(struct db *db, const struct store_tag *tag)
{
	uint8_t seal[SEAL_BYTES];

	tag_seal(tag, seal);
	db_run(db, SQL_TAG_PUT, "tttdiitb", tag->ns, tag->name, tag->tag, &tag->digest, tag->rev,
	       tag->updated_us, tag->updated_by, (const void *)seal, sizeof seal);
}

/* What a condition is compared with: a damaged tag is there, and is no digest's. */
static const struct digest *
digest_now(enum tag_found found, const struct store_tag *tag)
{
	static const struct digest nobody;

	if (found == TAG_NONE)
		return NULL;
	return found == TAG_FOUND ? &tag->digest : &nobody;
}

bool
condition_holds(const struct digest *now, const struct store_condition *condition,
		const char *what, struct store_error *err)
{
	char text[DIGEST_TEXT_SIZE];

	switch (condition->match) {
	case STORE_MATCH_ANY:
		return true;
	case STORE_MATCH_ABSENT:
		if (now == NULL)
			return true;
		store_fail(err, STORE_E_CONFLICT, "%s exists already", what);
		return false;
	case STORE_MATCH_DIGEST:
		if (now != NULL && digest_equal(now, &condition->digest))
			return true;
		if (now == NULL)
			store_fail(err, STORE_E_CONFLICT, "%s does not exist", what);
		else
			store_fail(err, STORE_E_CONFLICT, "%s is %s now", what,
				   digest_format(now, text));
		return false;
	}
	store_fail(err, STORE_E_ARGUMENT, "unknown condition %d", (int)condition->match);
	return false;
}

/* The entry for the map, made while failing is still possible. */
static void
prepare_entry(struct tag_change *change, const struct store_tag *tag, struct answer *answer)
{
	if (change->entry == NULL)
		change->entry = tag_entry_new(&change->name);
	if (change->entry == NULL) {
		answer->nomem = true;
		return;
	}
	change->entry->digest = tag->digest;
	change->entry->rev = tag->rev;
}

void
tag_point(struct store *store, struct db *db, struct tag_change *change, struct answer *answer,
	  bool *out_created)
{
	enum tag_found found = tag_append(db, &change->name, answer);

	*out_created = found == TAG_NONE;
	if (db_failed(db) || answer->nomem)
		return;
	struct store_tag *tag = found == TAG_NONE ? add_tag(answer) : answer->public.tags;
	if (tag == NULL)
		return;
	if (!condition_holds(digest_now(found, tag), &change->condition, "tag",
			     &answer->public.error)) {
		answer->public.tag_count = found == TAG_FOUND ? 1 : 0;
		return;
	}
	if (found != TAG_FOUND || !digest_equal(&tag->digest, &change->digest)) {
		int64_t now_us = clock_unix_us();

		tag->rev = history_add(store, db, &change->name,
				       found == TAG_FOUND ? &tag->digest : NULL, &change->digest,
				       now_us, change->by);
		tag->ns = change->name.ns;
		tag->name = change->name.name;
		tag->tag = change->name.tag;
		tag->digest = change->digest;
		tag->updated_us = now_us;
		tag->updated_by = change->by;
		tag_write(db, tag);
	}
	prepare_entry(change, tag, answer);
}

void
tag_pointed(struct store *store, struct tag_change *change)
{
	if (tagmap_put(&store->tags, change->entry))
		store->totals.tags++;
	change->entry = NULL;
}

/* ---- ops that write ---- */

static void
change_drop(struct op *op)
{
	struct tag_change *change = op->params;

	free(change->entry);
	change->entry = NULL;
}

static bool
module_exists(struct db *db, const struct digest *digest)
{
	sqlite3_stmt *row = db_bind(db, SQL_MODULE_GET, "d", digest);
	bool exists = db_row(db, row);

	if (exists)
		db_end(row);
	return exists;
}

static void
put_run(struct store *store, struct db *db, struct op *op)
{
	struct tag_change *change = op->params;
	struct answer *answer = op->answer;
	char text[DIGEST_TEXT_SIZE];

	if (!module_exists(db, &change->digest)) {
		if (!db_failed(db))
			store_fail(&answer->public.error, STORE_E_NOT_FOUND, "no module %s",
				   digest_format(&change->digest, text));
		return;
	}
	tag_point(store, db, change, answer, &answer->public.created);
}

static void
put_committed(struct store *store, struct op *op)
{
	tag_pointed(store, op->params);
}

/* What both ops need. NULL: no memory or a bad name, as *out_status says. */
static struct op *
change_new(const struct store_tag_name *name, const struct store_condition *condition,
	   const char *by, store_done_fn *done, void *arg, enum store_status *out_status)
{
	if (!tag_name_is_valid(name)) {
		*out_status = STORE_E_ARGUMENT;
		return NULL;
	}
	struct op *op = op_new(sizeof(struct tag_change), done, arg);
	*out_status = STORE_E_NOMEM;
	if (op == NULL)
		return NULL;
	struct tag_change *change = op->params;
	change->name = tag_name_copy(op->answer, name);
	change->by = answer_copy(op->answer, by != NULL ? by : "");
	if (condition != NULL)
		change->condition = *condition;
	op->drop = change_drop;
	return op;
}

enum store_status
store_tag_put(struct store *store, const struct store_tag_name *name, const struct digest *digest,
	      const struct store_condition *condition, const char *by, store_done_fn *done,
	      void *arg)
{
	enum store_status status;
	struct op *op = change_new(name, condition, by, done, arg, &status);

	if (op == NULL)
		return status;
	((struct tag_change *)op->params)->digest = *digest;
	op->run = put_run;
	op->committed = put_committed;
	return op_submit(&store->writes, op);
}

static void
delete_run(struct store *store, struct db *db, struct op *op)
{
	const struct tag_change *change = op->params;
	struct answer *answer = op->answer;
	enum tag_found found = tag_append(db, &change->name, answer);

	if (db_failed(db) || answer->nomem)
		return;
	if (found == TAG_NONE) {
		store_fail(&answer->public.error, STORE_E_NOT_FOUND, "no tag %s/%s:%s",
			   change->name.ns, change->name.name, change->name.tag);
		return;
	}
	if (condition_holds(digest_now(found, answer->public.tags), &change->condition, "tag",
			    &answer->public.error))
		tag_remove(store, db, answer->public.tags, change->by);
}

static void
delete_committed(struct store *store, struct op *op)
{
	const struct tag_change *change = op->params;

	if (tagmap_remove(&store->tags, &change->name))
		store->totals.tags--;
}

enum store_status
store_tag_delete(struct store *store, const struct store_tag_name *name,
		 const struct store_condition *condition, const char *by, store_done_fn *done,
		 void *arg)
{
	enum store_status status;
	struct op *op = change_new(name, condition, by, done, arg, &status);

	if (op == NULL)
		return status;
	op->run = delete_run;
	op->committed = delete_committed;
	return op_submit(&store->writes, op);
}

/* ---- ops that read ---- */

enum store_status
store_tag_resolve(struct store *store, const struct store_tag_name *name, struct digest *out_digest,
		  int64_t *out_rev)
{
	if (!tag_name_is_valid(name))
		return STORE_E_NOT_FOUND;
	return tagmap_find(&store->tags, name, out_digest, out_rev);
}

static void
get_run(struct store *store, struct db *db, struct op *op)
{
	const struct store_tag_name *name = op->params;
	struct store_reply *public = &op->answer->public;

	(void)store;
	switch (tag_append(db, name, op->answer)) {
	case TAG_FOUND:
		break;
	case TAG_NONE:
		if (!db_failed(db))
			store_fail(&public->error, STORE_E_NOT_FOUND, "no tag %s/%s:%s", name->ns,
				   name->name, name->tag);
		break;
	case TAG_DAMAGED:
		public
		->tag_count = 0;
		store_fail(&public->error, STORE_E_DAMAGED,
			   "tag %s/%s:%s is damaged; point it at its module again", name->ns,
			   name->name, name->tag);
		break;
	}
}

enum store_status
store_tag_get(struct store *store, const struct store_tag_name *name, store_done_fn *done,
	      void *arg)
{
	if (!tag_name_is_valid(name))
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof(struct store_tag_name), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	*(struct store_tag_name *)op->params = tag_name_copy(op->answer, name);
	op->run = get_run;
	return op_submit(&store->reads, op);
}

struct list_params {
	const char *ns;
	const char *name;
	struct store_tag_name after;
	unsigned limit;
};

static void
list_run(struct store *store, struct db *db, struct op *op)
{
	const struct list_params *params = op->params;
	struct answer *answer = op->answer;
	sqlite3_stmt *row =
	    db_bind(db, SQL_TAG_LIST, "ttttti", params->after.ns, params->after.name,
		    params->after.tag, params->ns, params->name, (int64_t)params->limit + 1);

	(void)store;
	while (db_row(db, row)) {
		struct store_tag *tag = NULL;

		if (answer->public.tag_count == params->limit)
			answer->public.has_next = true;
		else
			tag = add_tag(answer);
		if (tag == NULL) {
			db_end(row);
			return;
		}
		if (!tag_from_row(db, row, answer, tag))
			answer->public.tag_count--; /* damaged: resolving it says so */
	}
}

enum store_status
store_tag_list(struct store *store, const char *ns, const char *name,
	       const struct store_tag_name *after, unsigned limit, store_done_fn *done, void *arg)
{
	static const struct store_tag_name start = { "", "", "" };

	if (limit == 0 || limit > STORE_LIST_MAX || (name != NULL && ns == NULL))
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof(struct list_params), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	struct list_params *params = op->params;
	params->ns = answer_copy(op->answer, ns);
	params->name = answer_copy(op->answer, name);
	params->after =
	    tag_name_copy(op->answer, after != NULL && after->ns != NULL ? after : &start);
	params->limit = limit;
	op->run = list_run;
	return op_submit(&store->reads, op);
}

struct history_params {
	struct store_tag_name name;
	int64_t before;
	unsigned limit;
};

static void
change_from_row(struct db *db, sqlite3_stmt *row, struct answer *answer,
		struct store_tag_change *change)
{
	change->rev = sqlite3_column_int64(row, 0);
	change->ns = answer_text(answer, db, row, 1);
	change->name = answer_text(answer, db, row, 2);
	change->tag = answer_text(answer, db, row, 3);
	change->has_old = db_column_digest(row, 4, &change->old_digest);
	change->has_new = db_column_digest(row, 5, &change->new_digest);
	change->at_us = sqlite3_column_int64(row, 6);
	change->by = answer_text(answer, db, row, 7);
}

static void
history_run(struct store *store, struct db *db, struct op *op)
{
	const struct history_params *params = op->params;
	struct store_reply *public = &op->answer->public;
	sqlite3_stmt *row =
	    db_bind(db, SQL_HISTORY_LIST, "tttii", params->name.ns, params->name.name,
		    params->name.tag, params->before, (int64_t)params->limit + 1);

	(void)store;
	while (db_row(db, row)) {
		void *array = public->changes;
		struct store_tag_change *change = NULL;

		if (public->change_count == params->limit)
		public->has_next = true;
		else change =
		    answer_append(op->answer, &array, public->change_count, sizeof *change);
		if (change == NULL) {
			db_end(row);
			return;
		}
		public->changes = array;
		public->change_count++;
		change_from_row(db, row, op->answer, change);
	}
}

enum store_status
store_tag_history(struct store *store, const struct store_tag_name *name, int64_t before,
		  unsigned limit, store_done_fn *done, void *arg)
{
	if (limit == 0 || limit > STORE_LIST_MAX || name->ns == NULL || name->name == NULL)
		return STORE_E_ARGUMENT;
	struct op *op = op_new(sizeof(struct history_params), done, arg);
	if (op == NULL)
		return STORE_E_NOMEM;
	struct history_params *params = op->params;
	params->name = tag_name_copy(op->answer, name);
	params->before = before > 0 ? before : INT64_MAX;
	params->limit = limit;
	op->run = history_run;
	return op_submit(&store->reads, op);
}
