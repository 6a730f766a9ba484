/*
 * A catalogue whose rows hold anything: wrong types, sizes, digests, numbers of chunks, rows that
 * are missing. Whatever it is, the store opens or says why not, answers every request, and serves
 * no bytes that do not have the digest they were asked by.
 *
 * The input is a list of changes, each of them
 *	table, column, row, kind of value, [value]
 * made with SQLite to a copy of a sound catalogue whose tables have lost what would refuse them.
 */
#include "tests/fuzz/fuzz.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/support/storecall.h"

#define MODULES 3
#define CHANGES_MAX 24
#define PAGES_MAX 40

static void
check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

/* ---- the sound catalogue ---- */

static char directory[64];
static char path[96];
static uint8_t *template_bytes;
static size_t template_len;
static struct digest digests[MODULES];

static const struct store_tag_name tag_names[] = {
	{ "demo", "app", "1" },
	{ "demo", "app", "2" },
	{ "demo", "tool", "latest" },
};

static const size_t module_sizes[MODULES] = { 10, 300000, 600000 };

static void
remove_files(void)
{
	static const char *const names[] = { "catalog.db", "catalog.db-wal", "catalog.db-shm",
		                             "wasmedged.lock" };
	char name[160];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(name, sizeof name, "%s/%s", directory, names[i]);
		unlink(name);
	}
}

static void
remove_directory(void)
{
	remove_files();
	rmdir(directory);
}

static void
make_directory(void)
{
	const char *memory = "/dev/shm"; /* where no flush takes time */

	snprintf(directory, sizeof directory, "%s/wasmedged-fuzz-store-XXXXXX",
	         access(memory, W_OK) == 0 ? memory : "/tmp");
	check(mkdtemp(directory) != NULL, "no folder");
	snprintf(path, sizeof path, "%s/catalog.db", directory);
	atexit(remove_directory);
}

static enum store_status
open_store(struct store **out)
{
	struct store_options options = { .directory = directory,
		                         .module_bytes_max = 1 << 20,
		                         .readers = 1 };
	struct store_error err = { 0 };

	enum store_status status = store_open(&options, out, &err);
	check(status == STORE_OK || err.message[0] != '\0', "refused without a word");
	return status;
}

static struct store_reply *
wait_for(enum store_status status, struct storecall *call)
{
	check(status == STORE_OK, "a request is not taken");
	struct store_reply *reply = storecall_wait(call);
	check(reply->error.status == STORE_OK || reply->error.message[0] != '\0',
	      "failed without a word");
	return reply;
}

#define ASK(request) wait_for((request), &call)
#define ASK_AND_FREE(request) store_reply_free(ASK(request))

static void
put_module(struct store *store, size_t number, const struct store_tag_name *tag)
{
	static uint8_t bytes[1 << 20];
	struct storecall call = STORECALL_INIT;
	struct store_module_put put = { .bytes = bytes,
		                        .size_bytes = module_sizes[number],
		                        .info =
		                            "{\"exports\":[{\"name\":\"add\"}],"
		                            "\"imports\":[{\"module\":\"env\",\"name\":\"f\"}]}",
		                        .features = 5,
		                        .by = "me" };

	for (size_t i = 0; i < put.size_bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + number);
	digest_of(bytes, put.size_bytes, &put.digest);
	digests[number] = put.digest;
	if (tag != NULL)
		put.tag = *tag;
	ASK_AND_FREE(store_module_put(store, &put, storecall_answer, &call));
}

static void
add_invocation(struct store *store, const char *id)
{
	struct storecall call = STORECALL_INIT;
	struct store_invocation_new invocation = { .id = id,
		                                   .token = "me",
		                                   .digest = digests[0],
		                                   .function = "add",
		                                   .state = "queued",
		                                   .spec = "{}" };

	ASK_AND_FREE(store_invocation_add(store, &invocation, storecall_answer, &call));
}

static void
fill_store(void)
{
	struct storecall call = STORECALL_INIT;
	struct store *store;

	check(open_store(&store) == STORE_OK, "a new store does not open");
	for (size_t i = 0; i < MODULES; i++)
		put_module(store, i, i < 2 ? &tag_names[i] : NULL);
	ASK_AND_FREE(store_tag_put(store, &tag_names[2], &digests[2], NULL, "me",
	                           storecall_answer, &call));
	ASK_AND_FREE(store_tag_put(store, &tag_names[0], &digests[1], NULL, "you",
	                           storecall_answer, &call));
	add_invocation(store, "inv_1");
	add_invocation(store, "inv_2");
	ASK_AND_FREE(store_invocation_update(store, "inv_2", "returned", "{\"r\":1}", true,
	                                     storecall_answer, &call));
	store_close(store);
}

/* Tables without types, constraints and what SQLite checks of them. */
static void
loosen_tables(void)
{
	sqlite3 *db;

	check(sqlite3_open(path, &db) == SQLITE_OK, "the catalogue does not open");
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	int rc = sqlite3_exec(
	    db,
	    "PRAGMA journal_mode = DELETE; PRAGMA writable_schema = ON;"
	    "UPDATE sqlite_schema SET sql = replace(replace(replace("
	    "sql, ') STRICT, WITHOUT', ') WITHOUT'), ') STRICT', ')'), ' NOT NULL', '')"
	    "WHERE type = 'table';"
	    "PRAGMA writable_schema = RESET; PRAGMA journal_mode = WAL;",
	    NULL, NULL, NULL);
	check(rc == SQLITE_OK, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void
read_template(void)
{
	struct stat st;
	FILE *file = fopen(path, "rb");

	check(file != NULL && fstat(fileno(file), &st) == 0, "no catalogue");
	template_len = (size_t)st.st_size;
	template_bytes = malloc(template_len);
	check(template_bytes != NULL && fread(template_bytes, template_len, 1, file) == 1,
	      "the catalogue cannot be read");
	fclose(file);
}

static void
prepare_once(void)
{
	if (template_bytes != NULL)
		return;
	make_directory();
	fill_store();
	loosen_tables();
	read_template();
}

/* ---- changes ---- */

struct bytes {
	const uint8_t *next;
	size_t left;
};

static uint8_t
take_byte(struct bytes *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->next++;
}

static struct bytes
take_bytes(struct bytes *in, size_t len)
{
	struct bytes taken = { in->next, len < in->left ? len : in->left };

	in->next += taken.left;
	in->left -= taken.left;
	return taken;
}

static const struct table {
	const char *name;
	const char *key;
	const char *columns[10];
	unsigned column_count;
} tables[] = {
	{ "blob", "digest", { "digest", "size", "chunk_size", "created_us", "digest" }, 5 },
	{ "chunk", "digest, n", { "digest", "n", "sha256", "data" }, 4 },
	{ "module", "digest",
	  { "digest", "info", "features", "state", "created_us", "seal" }, 6 },
	{ "tag", "ns, name, tag",
	  { "ns", "name", "tag", "digest", "rev", "updated_us", "updated_by", "seal" }, 8 },
	{ "tag_history", "rev", { "rev", "ns", "name", "tag", "old", "new", "at_us", "by" }, 8 },
	{ "invocation", "id",
	  { "id", "token", "digest", "function", "state", "spec", "result", "created_us",
	    "done_us" }, 9 },
};

enum value_kind {
	VALUE_NULL,
	VALUE_SMALL,
	VALUE_INT,
	VALUE_REAL,
	VALUE_TEXT,
	VALUE_BLOB,
	VALUE_ZEROS,   /* a large blob */
	VALUE_DIGEST,  /* that of another module */
	VALUE_SIBLING, /* what another row has there */
	VALUE_GONE,    /* the row is deleted */
	VALUE_KINDS,
};

static void
bind_value(sqlite3_stmt *statement, enum value_kind kind, struct bytes *in)
{
	struct bytes value;
	int64_t number = 0;
	double real = 0;

	switch (kind) {
	case VALUE_NULL:
	case VALUE_SIBLING:
	case VALUE_GONE:
	case VALUE_KINDS:
		break;
	case VALUE_SMALL:
		sqlite3_bind_int64(statement, 1, (int8_t)take_byte(in));
		break;
	case VALUE_INT:
		value = take_bytes(in, sizeof number);
		memcpy(&number, value.next, value.left);
		sqlite3_bind_int64(statement, 1, number);
		break;
	case VALUE_REAL:
		value = take_bytes(in, sizeof real);
		memcpy(&real, value.next, value.left);
		sqlite3_bind_double(statement, 1, real);
		break;
	case VALUE_TEXT:
		value = take_bytes(in, take_byte(in));
		sqlite3_bind_text(statement, 1, (const char *)value.next, (int)value.left,
		                  SQLITE_TRANSIENT);
		break;
	case VALUE_BLOB:
		value = take_bytes(in, take_byte(in));
		sqlite3_bind_blob(statement, 1, value.next, (int)value.left, SQLITE_TRANSIENT);
		break;
	case VALUE_ZEROS:
		sqlite3_bind_zeroblob(statement, 1, take_byte(in) * 4096 + 1);
		break;
	case VALUE_DIGEST:
		sqlite3_bind_blob(statement, 1, digests[take_byte(in) % MODULES].bytes,
		                  DIGEST_BYTES, SQLITE_STATIC);
		break;
	}
}

/* One change; those that even loose tables refuse (a key twice) are not made. */
static void
change(sqlite3 *db, struct bytes *in)
{
	const struct table *table = &tables[take_byte(in) % (sizeof tables / sizeof tables[0])];
	const char *column = table->columns[take_byte(in) % table->column_count];
	int row = take_byte(in) % 8;
	enum value_kind kind = (enum value_kind)(take_byte(in) % VALUE_KINDS);
	sqlite3_stmt *statement;
	char sql[512], value[128] = "?1";

	if (kind == VALUE_SIBLING)
		snprintf(value, sizeof value, "(SELECT %s FROM %s LIMIT 1 OFFSET %u)", column,
		         table->name, take_byte(in) % 8u);
	if (kind == VALUE_GONE)
		snprintf(sql, sizeof sql, "DELETE FROM %s", table->name);
	else
		snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET %s = %s", table->name, column,
		         value);
	size_t used = strlen(sql);
	snprintf(sql + used, sizeof sql - used,
	         " WHERE (%s) = (SELECT %s FROM %s LIMIT 1 OFFSET %d)", table->key, table->key,
	         table->name, row);
	check(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, sqlite3_errmsg(db));
	if (kind != VALUE_SIBLING && kind != VALUE_GONE)
		bind_value(statement, kind, in);
	sqlite3_step(statement);
	sqlite3_finalize(statement);
}

static void
write_catalogue(struct bytes *in)
{
	sqlite3 *db;
	FILE *file = fopen(path, "wb");

	check(file != NULL && fwrite(template_bytes, template_len, 1, file) == 1, "cannot write");
	fclose(file);
	check(sqlite3_open(path, &db) == SQLITE_OK, "the template does not open");
	sqlite3_exec(db,
	             "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;"
	             "PRAGMA synchronous = OFF; BEGIN",
	             NULL, NULL, NULL);
	for (unsigned i = 0; i < CHANGES_MAX && in->left > 0; i++)
		change(db, in);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(db);
}

/* ---- reading all of it ---- */

static void
get_bytes(struct store *store, const struct digest *digest)
{
	struct storecall call = STORECALL_INIT;
	struct digest found;

	struct store_reply *reply =
	    ASK(store_module_get(store, digest, true, storecall_answer, &call));
	if (reply->error.status == STORE_OK) {
		digest_of(reply->bytes, reply->size_bytes, &found);
		check(digest_equal(&found, digest), "bytes of another digest are served");
		check(reply->module_count == 1 &&
		          digest_equal(&reply->modules[0].digest, digest) &&
		          reply->modules[0].info != NULL && reply->modules[0].tags != NULL,
		      "a module is not the one that was asked for");
	} else {
		check(reply->bytes == NULL, "bytes come with a failure");
	}
	store_reply_free(reply);
	ASK_AND_FREE(store_module_get(store, digest, false, storecall_answer, &call));
}

static void
list_modules(struct store *store, struct store_module_query query)
{
	struct storecall call = STORECALL_INIT;
	bool has_next = true;

	query.limit = 2;
	for (unsigned page = 0; has_next && page < PAGES_MAX; page++) {
		struct store_reply *reply =
		    ASK(store_module_list(store, &query, storecall_answer, &call));
		for (size_t i = 0; i < reply->module_count; i++)
			get_bytes(store, &reply->modules[i].digest);
		has_next = reply->has_next;
		query.cursor = reply->next;
		store_reply_free(reply);
	}
}

static void
read_tags(struct store *store)
{
	struct storecall call = STORECALL_INIT;
	struct digest digest;

	for (size_t i = 0; i < sizeof tag_names / sizeof tag_names[0]; i++) {
		const struct store_tag_name *name = &tag_names[i];

		if (store_tag_resolve(store, name, &digest, NULL) == STORE_OK)
			get_bytes(store, &digest);
		ASK_AND_FREE(store_tag_get(store, name, storecall_answer, &call));
		ASK_AND_FREE(store_tag_history(store, name, 0, 3, storecall_answer, &call));
	}
	struct store_reply *reply =
	    ASK(store_tag_list(store, NULL, NULL, NULL, 100, storecall_answer, &call));
	for (size_t i = 0; i < reply->tag_count; i++) {
		const struct store_tag *tag = &reply->tags[i];
		const struct store_tag_name name = { tag->ns, tag->name, tag->tag };

		check(tag->ns != NULL && tag->name != NULL && tag->tag != NULL &&
		          tag->updated_by != NULL, "a tag without a name");
		(void)!store_tag_resolve(store, &name, &digest, NULL);
	}
	store_reply_free(reply);
	const struct store_tag_name all = { "demo", "app", NULL };
	ASK_AND_FREE(store_tag_history(store, &all, 0, 100, storecall_answer, &call));
}

static void
read_invocations(struct store *store)
{
	struct store_invocation_query query = { .limit = 1 };
	struct storecall call = STORECALL_INIT;
	bool has_next = true;

	ASK_AND_FREE(store_invocation_get(store, "inv_1", storecall_answer, &call));
	ASK_AND_FREE(store_invocation_get(store, "inv_2", storecall_answer, &call));
	for (unsigned page = 0; has_next && page < PAGES_MAX; page++) {
		struct store_reply *reply =
		    ASK(store_invocation_list(store, &query, storecall_answer, &call));
		has_next = reply->has_next;
		query.cursor = reply->next;
		store_reply_free(reply);
	}
}

/* Changes meet hostile rows, too. */
static void
write_some(struct store *store)
{
	struct storecall call = STORECALL_INIT;

	put_module(store, 0, &tag_names[0]);
	get_bytes(store, &digests[0]);
	ASK_AND_FREE(store_tag_put(store, &tag_names[1], &digests[2], NULL, "me",
	                           storecall_answer, &call));
	ASK_AND_FREE(store_tag_delete(store, &tag_names[2], NULL, "me", storecall_answer, &call));
	ASK_AND_FREE(store_module_delete(store, &digests[1], true, "me", storecall_answer, &call));
	ASK_AND_FREE(store_invocation_update(store, "inv_1", "exited", "{}", true,
	                                     storecall_answer, &call));
	ASK_AND_FREE(store_invocation_prune(store, INT64_MAX, storecall_answer, &call));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct store *store;

	prepare_once();
	remove_files();
	write_catalogue(&in);
	if (open_store(&store) != STORE_OK)
		return 0;
	for (size_t i = 0; i < MODULES; i++)
		get_bytes(store, &digests[i]);
	list_modules(store, (struct store_module_query){ 0 });
	list_modules(store, (struct store_module_query){ .tag = "demo/app" });
	list_modules(store, (struct store_module_query){ .export = "add", .import = "env.f" });
	read_tags(store);
	read_invocations(store);
	write_some(store);
	list_modules(store, (struct store_module_query){ .features = 1 });
	store_close(store);
	return 0;
}
