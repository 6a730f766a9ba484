/*
 * crash_store.c - what test_crash_points.py ends at every point, and what looks at the remains.
 *
 *	crash_store prepare OPERATION DIRECTORY
 *		make what the operation starts from
 *	crash_store run OPERATION DIRECTORY
 *		do it; a line on standard output for each thing that the store has acknowledged
 *	crash_store verify OPERATION DIRECTORY LINES
 *		see whether what is there is legal and has all of these
 *
 * Exits with 0, or with 1 and what is wrong on standard error.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/store/db.h"
#include "daemon/store/schema.h"
#include "tests/support/storecall.h"

#define OLD_BYTES 300000 /* two chunks */
#define NEW_BYTES 600000 /* three */

static const struct store_tag_name app = { "demo", "app", "1" };
static const struct store_tag_name tool = { "demo", "tool", "1" };

static const char *directory;
static const char *acknowledged = ""; /* lines, in verify */

static void VM_PRINTF(2, 3)
check(bool ok, const char *format, ...)
{
	va_list args;

	if (ok)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

/* At once, for the next call may be the last. */
static void
acknowledge(const char *what)
{
	dprintf(STDOUT_FILENO, "%s\n", what);
}

static bool
is_acknowledged(const char *what)
{
	return strstr(acknowledged, what) != NULL;
}

static const char *
catalogue_path(void)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/catalog.db", directory);
	return path;
}

/* ---- requests ---- */

static struct store *
open_store(void)
{
	struct store_options options = { .directory = directory,
		                         .module_bytes_max = 1 << 20,
		                         .readers = 1,
		                         .check = true };
	struct store *store = NULL;
	struct store_error err = { 0 };

	check(store_open(&options, &store, &err) == STORE_OK, "the store does not open: %s",
	      err.message);
	return store;
}

static struct store_reply *
wait_for(enum store_status submitted, struct storecall *call)
{
	check(submitted == STORE_OK, "a request is not taken: %s", store_status_text(submitted));
	return storecall_wait(call);
}

#define ASK(request) wait_for((request), &call)

static void
expect_ok(struct store_reply *reply)
{
	check(reply->error.status == STORE_OK, "%s", reply->error.message);
	store_reply_free(reply);
}

static struct digest
fill(uint8_t *bytes, size_t size)
{
	struct digest digest;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 253 + size);
	digest_of(bytes, size, &digest);
	return digest;
}

static struct digest
digest_of_size(size_t size)
{
	static uint8_t bytes[NEW_BYTES];

	return fill(bytes, size);
}

static void
put(struct store *store, size_t size, const struct store_tag_name *tag)
{
	static uint8_t bytes[NEW_BYTES];
	struct storecall call = STORECALL_INIT;
	struct store_module_put module = { .digest = fill(bytes, size),
		                           .bytes = bytes,
		                           .size_bytes = size,
		                           .info = "{}" };

	if (tag != NULL)
		module.tag = *tag;
	expect_ok(ASK(store_module_put(store, &module, storecall_answer, &call)));
}

static void
point(struct store *store, const struct store_tag_name *tag, size_t size)
{
	struct storecall call = STORECALL_INIT;
	const struct digest digest = digest_of_size(size);

	expect_ok(ASK(store_tag_put(store, tag, &digest, NULL, "me", storecall_answer, &call)));
}

/* Whether the module of that size is there; then it is whole. */
static bool
has_module(struct store *store, size_t size)
{
	struct storecall call = STORECALL_INIT;
	const struct digest digest = digest_of_size(size);
	struct digest found;

	struct store_reply *reply =
	    ASK(store_module_get(store, &digest, true, storecall_answer, &call));
	enum store_status status = reply->error.status;
	check(status == STORE_OK || status == STORE_E_NOT_FOUND, "a module of %zu bytes: %s", size,
	      reply->error.message);
	if (status == STORE_OK) {
		digest_of(reply->bytes, reply->size_bytes, &found);
		check(digest_equal(&found, &digest), "other bytes in a module of %zu", size);
	}
	store_reply_free(reply);
	return status == STORE_OK;
}

/* The size of the module that a tag names, 0 without a tag; the latest change says the same. */
static size_t
tag_target(struct store *store, const struct store_tag_name *tag)
{
	const struct digest older = digest_of_size(OLD_BYTES), newer = digest_of_size(NEW_BYTES);
	struct storecall call = STORECALL_INIT;
	struct digest digest;

	enum store_status status = store_tag_resolve(store, tag, &digest, NULL);
	check(status == STORE_OK || status == STORE_E_NOT_FOUND, "a tag: %s",
	      store_status_text(status));
	struct store_reply *reply =
	    ASK(store_tag_history(store, tag, 0, 1, storecall_answer, &call));
	bool points = reply->change_count == 1 && reply->changes[0].has_new;
	check(points == (status == STORE_OK) &&
	          (!points || digest_equal(&reply->changes[0].new_digest, &digest)),
	      "a tag and its history differ");
	store_reply_free(reply);
	if (status == STORE_E_NOT_FOUND)
		return 0;
	check(digest_equal(&digest, &older) || digest_equal(&digest, &newer), "a tag to nowhere");
	size_t size = digest_equal(&digest, &older) ? OLD_BYTES : NEW_BYTES;
	check(has_module(store, size), "a tag to a module that is not there");
	return size;
}

/* ---- the first start, and an upload ---- */

static void
prepare_nothing(void)
{
}

static void
run_create(void)
{
	struct store *store = open_store();

	put(store, OLD_BYTES, &app);
	acknowledge("stored");
	store_close(store);
}

static void
verify_create(struct store *store)
{
	bool stored = has_module(store, OLD_BYTES);

	check(stored || !is_acknowledged("stored"), "an acknowledged module is lost");
	check(tag_target(store, &app) == (stored ? OLD_BYTES : 0), "half of an upload is there");
}

static void
prepare_old(void)
{
	struct store *store = open_store();

	put(store, OLD_BYTES, &app);
	store_close(store);
}

static void
run_upload(void)
{
	struct store *store = open_store();

	put(store, NEW_BYTES, &app);
	acknowledge("stored");
	store_close(store);
}

static void
verify_upload(struct store *store)
{
	bool stored = has_module(store, NEW_BYTES);

	check(stored || !is_acknowledged("stored"), "an acknowledged module is lost");
	check(has_module(store, OLD_BYTES), "the module from before is lost");
	check(tag_target(store, &app) == (stored ? NEW_BYTES : OLD_BYTES),
	      "half of an upload is there");
}

/* ---- a tag that moves ---- */

static void
prepare_both(void)
{
	struct store *store = open_store();

	put(store, OLD_BYTES, &app);
	put(store, NEW_BYTES, &tool);
	store_close(store);
}

static void
run_swap(void)
{
	struct store *store = open_store();

	point(store, &app, NEW_BYTES);
	acknowledge("moved");
	point(store, &tool, OLD_BYTES);
	acknowledge("swapped");
	store_close(store);
}

static void
verify_swap(struct store *store)
{
	size_t first = tag_target(store, &app), second = tag_target(store, &tool);

	check(first == NEW_BYTES || !is_acknowledged("moved"), "an acknowledged move is lost");
	check(second == OLD_BYTES || !is_acknowledged("swapped"), "an acknowledged move is lost");
	check(first != 0 && second != 0, "a tag is lost");
	check(first == NEW_BYTES || second == NEW_BYTES, "the second move came before the first");
}

/* ---- a module that is deleted, with its tag ---- */

static void
run_delete(void)
{
	const struct digest digest = digest_of_size(NEW_BYTES);
	struct storecall call = STORECALL_INIT;
	struct store *store = open_store();

	expect_ok(ASK(store_module_delete(store, &digest, true, "me", storecall_answer, &call)));
	acknowledge("deleted");
	store_close(store);
}

static void
verify_delete(struct store *store)
{
	bool stays = has_module(store, NEW_BYTES);
	struct store_totals totals;

	check(!stays || !is_acknowledged("deleted"), "a module that was deleted is back");
	check(tag_target(store, &tool) == (stays ? NEW_BYTES : 0), "half of a deletion is there");
	check(tag_target(store, &app) == OLD_BYTES, "another module's tag is lost");
	store_get_totals(store, &totals);
	check(totals.module_bytes == OLD_BYTES + (stays ? NEW_BYTES : 0), "%llu bytes are counted",
	      (unsigned long long)totals.module_bytes);
}

/* ---- an invocation ---- */

static void
run_invocation(void)
{
	struct storecall call = STORECALL_INIT;
	struct store *store = open_store();
	struct store_invocation_new invocation = { .id = "inv_1",
		                                   .digest = digest_of_size(OLD_BYTES),
		                                   .function = "add",
		                                   .state = "queued",
		                                   .spec = "{}" };

	expect_ok(ASK(store_invocation_add(store, &invocation, storecall_answer, &call)));
	acknowledge("added");
	expect_ok(ASK(store_invocation_update(store, "inv_1", "returned", "{\"r\":1}", true,
	                                      storecall_answer, &call)));
	acknowledge("ended");
	store_close(store);
}

static void
verify_invocation(struct store *store)
{
	struct storecall call = STORECALL_INIT;

	struct store_reply *reply =
	    ASK(store_invocation_get(store, "inv_1", storecall_answer, &call));
	bool known = reply->error.status == STORE_OK;
	check(known || !is_acknowledged("added"), "an acknowledged invocation is lost");
	const char *state = known ? reply->invocations[0].state : "";
	const char *result = known ? reply->invocations[0].result : NULL;
	check(strcmp(state, "returned") == 0 || !is_acknowledged("ended"), "an end is lost");
	check((strcmp(state, "returned") == 0) == (result != NULL && strstr(result, "r") != NULL),
	      "an end without its result");
	check(!known || strcmp(state, "returned") == 0 || strcmp(state, "lost") == 0,
	      "what was interrupted is called %s", state);
	store_reply_free(reply);
}

/* ---- migrations ---- */

#define MIGRATIONS_MAX 16

static void
migrate(void)
{
	static const struct migration later[] = {
		{ "ALTER TABLE module ADD COLUMN crash_note TEXT;"
		  "UPDATE module SET crash_note = 'first'" },
		{ "CREATE TABLE crash_table (x BLOB NOT NULL) STRICT;"
		  "INSERT INTO crash_table SELECT data FROM chunk" },
	};
	struct migration all[MIGRATIONS_MAX];
	size_t count = 0;
	struct store_error err = { 0 };
	struct db db;

	check(schema_migration_count + 2 <= MIGRATIONS_MAX, "more migrations than expected");
	for (; count < schema_migration_count; count++)
		all[count] = schema_migrations[count];
	all[count++] = later[0];
	all[count++] = later[1];
	check(db_open(&db, catalogue_path(), DB_WRITER, &err) == STORE_OK, "%s", err.message);
	check(schema_migrate(&db, catalogue_path(), all, count, &err) == STORE_OK, "%s",
	      err.message);
	acknowledge("migrated");
	db_close(&db);
}

/* A query's number, from a database that is whole. */
static int64_t
query(const char *path, const char *sql)
{
	struct store_error err = { 0 };
	struct db db;

	check(db_open(&db, path, DB_WRITER, &err) == STORE_OK, "%s: %s", path, err.message);
	check(db_query_int(&db, "SELECT count(*) FROM pragma_integrity_check "
	                        "WHERE integrity_check <> 'ok'") == 0, "%s is damaged", path);
	int64_t number = db_query_int(&db, sql);
	check(!db_failed(&db), "%s: %s fails", path, sql);
	db_close(&db);
	return number;
}

static void
verify_migration(void)
{
	int64_t base = (int64_t)schema_migration_count;
	char copy[4200];

	int64_t done = query(catalogue_path(), "PRAGMA user_version") - base;
	check(done >= 0 && done <= 2, "version %lld", (long long)(done + base));
	check(done == 2 || !is_acknowledged("migrated"), "a migration is lost");
	check(query(catalogue_path(), "SELECT count(*) FROM pragma_table_info('module') "
	                              "WHERE name = 'crash_note'") == (done >= 1),
	      "half of the first migration is there");
	check(query(catalogue_path(), "SELECT count(*) FROM sqlite_schema "
	                              "WHERE name = 'crash_table'") == (done == 2),
	      "half of the second migration is there");
	snprintf(copy, sizeof copy, "%s.version-%lld", catalogue_path(), (long long)base);
	check(access(copy, F_OK) == 0 || done == 0, "a migration without a copy");
	if (access(copy, F_OK) == 0) {
		check(query(copy, "PRAGMA user_version") == base, "the copy has another version");
		check(query(copy, "SELECT count(*) FROM chunk") == 2, "the copy is not complete");
	}
	migrate(); /* goes on from wherever it was */
	check(query(catalogue_path(), "SELECT count(*) FROM crash_table") == 2, "rows are lost");
}

/* ---- which of them ---- */

static const struct operation {
	const char *name;
	void (*prepare)(void);
	void (*run)(void);
	void (*verify)(struct store *store); /* NULL: not a store's version any more */
} operations[] = {
	{ "create", prepare_nothing, run_create, verify_create },
	{ "upload", prepare_old, run_upload, verify_upload },
	{ "swap", prepare_both, run_swap, verify_swap },
	{ "delete", prepare_both, run_delete, verify_delete },
	{ "invocation", prepare_old, run_invocation, verify_invocation },
	{ "migration", prepare_old, migrate, NULL },
};

static void
verify(const struct operation *operation)
{
	struct store *store;

	if (operation->verify == NULL) {
		verify_migration();
		return;
	}
	store = open_store();
	operation->verify(store);
	put(store, 1000, &app); /* and work goes on */
	store_close(store);
}

int
main(int argc, char **argv)
{
	if (argc < 4) {
		for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
			puts(operations[i].name);
		return argc == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	directory = argv[3];
	if (argc > 4)
		acknowledged = argv[4];
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		const struct operation *operation = &operations[i];

		if (strcmp(operation->name, argv[2]) != 0)
			continue;
		if (strcmp(argv[1], "verify") == 0)
			verify(operation);
		else
			(strcmp(argv[1], "run") == 0 ? operation->run : operation->prepare)();
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "no operation %s\n", argv[2]);
	return EXIT_FAILURE;
}
