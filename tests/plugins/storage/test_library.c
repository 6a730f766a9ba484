/*
 * test_library.c - the storage as a library: what is stored, by whom, and what crashes leave.
 *
 * CRASH_ROUNDS says how often a writer is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "plugins/storage/native.h"
#include "plugins/storage/storage.h"
#include "tests/support/unit.h"

#define STR(text) ((struct wasmedge_storage_bytes){ (text), strlen(text) })

static char folder[] = "/tmp/test-storage-XXXXXX";
static char path[64];
static struct wasmedge_storage *storage;
static struct wasmedge_storage_error err;

static struct wasmedge_storage *
open_storage(void)
{
	struct wasmedge_storage_options options = { .path = path, .value_bytes_max = 1000000,
		                                    .busy_ms = 60000 };
	struct wasmedge_storage *opened = NULL;

	ck_assert_msg(wasmedge_storage_open(&options, &opened, &err) == WASMEDGE_STORAGE_OK, "%s",
	              err.message);
	return opened;
}

static void
setup(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/kv.db", folder);
	storage = open_storage();
}

static void
teardown(void)
{
	char command[128];

	wasmedge_storage_close(storage);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static struct wasmedge_storage_name
name(const char *ns, const char *key)
{
	return (struct wasmedge_storage_name){ STR("tenant"), STR(ns), STR(key) };
}

/* Store; returns the status, and the revision in *out. */
static enum wasmedge_storage_status
put(const char *key, const char *value, enum wasmedge_storage_match match, uint64_t *revision)
{
	struct wasmedge_storage_name where = name("app", key);
	struct wasmedge_storage_value what = { .bytes = STR(value) };
	struct wasmedge_storage_condition condition = { match, *revision };
	struct wasmedge_storage_change change = { .revision = *revision };
	enum wasmedge_storage_status status =
	    wasmedge_storage_put(storage, &where, &what, &condition, &change, &err);

	*revision = change.revision;
	return status;
}

static void
put_plain(const char *key, const char *value)
{
	uint64_t revision = 0;

	ck_assert_int_eq(put(key, value, WASMEDGE_STORAGE_ANY, &revision), WASMEDGE_STORAGE_OK);
}

static void
expect(const char *key, const char *value)
{
	struct wasmedge_storage_name where = name("app", key);
	struct wasmedge_storage_entry entry;

	ck_assert_msg(wasmedge_storage_get(storage, &where, &entry, &err) == WASMEDGE_STORAGE_OK,
	              "%s", err.message);
	ck_assert_uint_eq(entry.value.len, strlen(value));
	ck_assert_mem_eq(entry.value.data, value, strlen(value));
	wasmedge_storage_entry_clear(&entry);
}

static void
expect_none(const char *key)
{
	struct wasmedge_storage_name where = name("app", key);
	struct wasmedge_storage_entry entry;

	ck_assert_int_eq(wasmedge_storage_get(storage, &where, &entry, &err),
	                 WASMEDGE_STORAGE_NOT_FOUND);
}

/* --- one value ------------------------------------------------------------------------------ */

START_TEST(values_are_kept)
{
	struct wasmedge_storage_name where = name("app", "a");
	struct wasmedge_storage_value what = { .bytes = { "\0\xff", 2 },
		                               .type = "image/x; a=\"b\"" };
	struct wasmedge_storage_change change;
	struct wasmedge_storage_entry entry;

	ck_assert_int_eq(wasmedge_storage_put(storage, &where, &what, NULL, &change, &err), 0);
	ck_assert(change.created && change.revision > 0 && change.expires_us == 0);
	wasmedge_storage_close(storage);
	storage = open_storage();
	ck_assert_int_eq(wasmedge_storage_get(storage, &where, &entry, &err), 0);
	ck_assert_uint_eq(entry.value.len, 2);
	ck_assert_mem_eq(entry.value.data, "\0\xff", 2);
	ck_assert_str_eq(entry.type, what.type);
	ck_assert_uint_eq(entry.revision, change.revision);
	ck_assert_int_eq(entry.updated_us, change.updated_us);
	wasmedge_storage_entry_clear(&entry);
	ck_assert_int_eq(wasmedge_storage_head(storage, &where, &entry, &err), 0);
	ck_assert(entry.value.data == NULL && entry.value.len == 2);
	wasmedge_storage_entry_clear(&entry);
}
END_TEST

START_TEST(no_bytes_are_a_value)
{
	put_plain("empty", "");
	expect("empty", "");
}
END_TEST

START_TEST(tenants_and_namespaces_are_apart)
{
	struct wasmedge_storage_name others[] = { name("app", "a"), name("other", "a") };
	struct wasmedge_storage_entry entry;

	others[0].tenant = STR("");
	put_plain("a", "1");
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(wasmedge_storage_get(storage, &others[i], &entry, &err),
		                 WASMEDGE_STORAGE_NOT_FOUND);
	ck_assert_str_eq(err.message, "there is no value under the key \"a\" in namespace other");
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(wasmedge_storage_delete(storage, &others[i], NULL, &err),
		                 WASMEDGE_STORAGE_NOT_FOUND);
	expect("a", "1");
}
END_TEST

START_TEST(deleted_values_are_gone_and_revisions_never_come_again)
{
	struct wasmedge_storage_name where = name("app", "a");
	uint64_t first = 0;
	uint64_t second = 0;

	ck_assert_int_eq(put("a", "1", WASMEDGE_STORAGE_ANY, &first), 0);
	ck_assert_int_eq(wasmedge_storage_delete(storage, &where, NULL, &err), 0);
	expect_none("a");
	ck_assert_int_eq(wasmedge_storage_delete(storage, &where, NULL, &err),
	                 WASMEDGE_STORAGE_NOT_FOUND);
	wasmedge_storage_close(storage);
	storage = open_storage();
	ck_assert_int_eq(put("a", "1", WASMEDGE_STORAGE_ANY, &second), 0);
	ck_assert_uint_gt(second, first);
}
END_TEST

START_TEST(conditions_are_kept)
{
	struct wasmedge_storage_name where = name("app", "a");
	struct wasmedge_storage_condition condition = { WASMEDGE_STORAGE_REVISION, 0 };
	uint64_t revision = 7;

	ck_assert_int_eq(put("a", "1", WASMEDGE_STORAGE_REVISION, &revision),
	                 WASMEDGE_STORAGE_CONFLICT);
	ck_assert_str_eq(err.message, "there is no value under the key \"a\" in namespace app");
	ck_assert_int_eq(put("a", "1", WASMEDGE_STORAGE_PRESENT, &revision),
	                 WASMEDGE_STORAGE_CONFLICT);
	ck_assert_int_eq(put("a", "1", WASMEDGE_STORAGE_ABSENT, &revision), WASMEDGE_STORAGE_OK);
	uint64_t now = revision;
	ck_assert_int_eq(put("a", "2", WASMEDGE_STORAGE_ABSENT, &now), WASMEDGE_STORAGE_CONFLICT);
	now = revision + 1;
	ck_assert_int_eq(put("a", "2", WASMEDGE_STORAGE_REVISION, &now),
	                 WASMEDGE_STORAGE_CONFLICT);
	ck_assert_str_eq(err.message, "the key \"a\" is at revision 1");
	expect("a", "1");
	condition.revision = now;
	ck_assert_int_eq(wasmedge_storage_delete(storage, &where, &condition, &err),
	                 WASMEDGE_STORAGE_CONFLICT);
	now = revision;
	ck_assert_int_eq(put("a", "2", WASMEDGE_STORAGE_REVISION, &now), WASMEDGE_STORAGE_OK);
	ck_assert_int_eq(put("a", "3", WASMEDGE_STORAGE_PRESENT, &now), WASMEDGE_STORAGE_OK);
	condition.revision = now;
	ck_assert_int_eq(wasmedge_storage_delete(storage, &where, &condition, &err),
	                 WASMEDGE_STORAGE_OK);
	ck_assert_int_eq(wasmedge_storage_delete(storage, &where, &condition, &err),
	                 WASMEDGE_STORAGE_CONFLICT);
}
END_TEST

static int64_t
row_count(void)
{
	sqlite3 *db;
	sqlite3_stmt *statement;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_prepare_v2(db, "SELECT count(*) FROM entry", -1, &statement, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
	int64_t count = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return count;
}

START_TEST(values_expire)
{
	struct wasmedge_storage_name where = name("app", "short");
	struct wasmedge_storage_name list_of = name("app", "");
	struct wasmedge_storage_query query = { list_of.tenant, list_of.ns, STR(""), STR(""), 10 };
	struct wasmedge_storage_value what = { .bytes = STR("1"), .ttl_ms = 1 };
	struct wasmedge_storage_change change;
	struct wasmedge_storage_list list;
	uint64_t revision = 0;

	ck_assert_int_eq(wasmedge_storage_put(storage, &where, &what, NULL, &change, &err), 0);
	ck_assert_int_eq(change.expires_us, change.updated_us + 1000);
	usleep(3000);
	expect_none("short");
	ck_assert_int_eq(wasmedge_storage_list(storage, &query, &list, &err), 0);
	ck_assert_uint_eq(list.count, 0);
	wasmedge_storage_list_clear(&list);
	ck_assert_int_eq(wasmedge_storage_delete(storage, &where, NULL, &err),
	                 WASMEDGE_STORAGE_NOT_FOUND);
	ck_assert_int_eq(row_count(), 0); /* any write takes it away */
	ck_assert_int_eq(put("short", "2", WASMEDGE_STORAGE_ABSENT, &revision), 0);

	what.ttl_ms = UINT64_MAX;
	ck_assert_int_eq(wasmedge_storage_put(storage, &where, &what, NULL, &change, &err), 0);
	expect("short", "1");
	what.ttl_ms = 0; /* a new value has no end unless it says so */
	ck_assert_int_eq(wasmedge_storage_put(storage, &where, &what, NULL, &change, &err), 0);
	ck_assert_int_eq(change.expires_us, 0);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
	char long_key[WASMEDGE_STORAGE_KEY_MAX + 2];
	const struct {
		struct wasmedge_storage_name name;
		const char *message;
	} cases[] = {
		{ name("", "a"), "a namespace has" },
		{ name(".app", "a"), "a namespace has" },
		{ name("app/x", "a"), "a namespace has" },
		{ name("a\xc3\xa4""a", "a"), "a namespace has" },
		{ name("app", ""), "the key has 0 bytes" },
		{ name("app", "long"), "the key has 513 bytes" },
	};
	struct wasmedge_storage_value value = { .bytes = STR("x") };
	struct wasmedge_storage_entry entry;

	memset(long_key, 'k', sizeof long_key - 1);
	long_key[sizeof long_key - 1] = '\0';
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wasmedge_storage_name where = cases[i].name;
		if (strcmp(where.key.data, "long") == 0)
			where.key = STR(long_key);
		ck_assert_int_eq(wasmedge_storage_put(storage, &where, &value, NULL, NULL, &err),
		                 WASMEDGE_STORAGE_ARGUMENT);
		ck_assert_msg(strstr(err.message, cases[i].message) != NULL, "%s", err.message);
		ck_assert_int_eq(wasmedge_storage_get(storage, &where, &entry, NULL),
		                 WASMEDGE_STORAGE_ARGUMENT);
	}
	struct wasmedge_storage_name where = name("app", "a");
	value.type = "a\nb";
	ck_assert_int_eq(wasmedge_storage_put(storage, &where, &value, NULL, NULL, &err),
	                 WASMEDGE_STORAGE_ARGUMENT);
	value = (struct wasmedge_storage_value){ .bytes = { calloc(1, 1000001), 1000001 } };
	ck_assert_int_eq(wasmedge_storage_put(storage, &where, &value, NULL, NULL, &err),
	                 WASMEDGE_STORAGE_LIMIT);
	ck_assert_str_eq(err.message, "the value has 1000001 bytes, at most 1000000 are allowed");
	value.bytes.len--;
	ck_assert_int_eq(wasmedge_storage_put(storage, &where, &value, NULL, NULL, &err), 0);
	free((void *)(uintptr_t)value.bytes.data);
}
END_TEST

/* --- lists ---------------------------------------------------------------------------------- */

static const struct {
	const char *prefix;
	const char *after;
	unsigned limit;
	const char *keys; /* separated by blanks, "..." when there are more */
} lists[] = {
	{ "", "", 100, "a a/1 a/2 b \xff \xff\xff" },
	{ "a/", "", 100, "a/1 a/2" },
	{ "a/", "a/1", 100, "a/2" },
	{ "a/", "A", 100, "a/1 a/2" },
	{ "a/", "b", 100, "" },
	{ "", "", 2, "a a/1 ..." },
	{ "", "a/1", 2, "a/2 b ..." },
	{ "", "b", 2, "\xff \xff\xff" },
	{ "\xff", "", 1, "\xff ..." },
	{ "c", "", 10, "" },
};

START_TEST(lists_are_in_order_and_in_pages)
{
	static const char *const keys[] = { "b", "a/2", "\xff\xff", "a", "\xff", "a/1" };
	struct wasmedge_storage_query query = {
		STR("tenant"), STR("app"), STR(lists[_i].prefix), STR(lists[_i].after),
		lists[_i].limit,
	};
	struct wasmedge_storage_list list;
	char text[200] = "";

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		put_plain(keys[i], "value");
	ck_assert_int_eq(wasmedge_storage_list(storage, &query, &list, &err), 0);
	for (size_t i = 0; i < list.count; i++) {
		strcat(text, i > 0 ? " " : "");
		strncat(text, list.entries[i].key.data, list.entries[i].key.len);
		ck_assert_uint_eq(list.entries[i].value.len, 5);
	}
	strcat(text, list.has_more ? " ..." : "");
	ck_assert_str_eq(text, lists[_i].keys);
	wasmedge_storage_list_clear(&list);
}
END_TEST

START_TEST(keys_are_shown_to_people)
{
	char text[WASMEDGE_STORAGE_KEY_TEXT_MAX];
	char wide[WASMEDGE_STORAGE_KEY_MAX + 1] = "";

	ck_assert_str_eq(wasmedge_storage_key_text(STR("a b"), text), "\"a b\"");
	ck_assert_str_eq(wasmedge_storage_key_text(STR("\x01\xfe"), text), "01fe");
	memset(wide, 'x', WASMEDGE_STORAGE_KEY_MAX);
	ck_assert_ptr_nonnull(strstr(wasmedge_storage_key_text(STR(wide), text), "xxx..."));
	memset(wide, 1, WASMEDGE_STORAGE_KEY_MAX);
	ck_assert_ptr_nonnull(strstr(wasmedge_storage_key_text(STR(wide), text), "0101..."));
}
END_TEST

/* --- files ---------------------------------------------------------------------------------- */

START_TEST(a_file_of_somebody_else_is_refused)
{
	struct wasmedge_storage_options options = { .path = path };
	struct wasmedge_storage *other;
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/other.db", folder);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_eq(wasmedge_storage_open(&options, &other, &err), WASMEDGE_STORAGE_DAMAGED);
	ck_assert_msg(strstr(err.message, "this is no storage but another") != NULL, "%s",
	              err.message);

	snprintf(path, sizeof path, "%s/text.db", folder);
	FILE *file = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", file);
	fclose(file);
	ck_assert_int_eq(wasmedge_storage_open(&options, &other, &err), WASMEDGE_STORAGE_DAMAGED);

	options.path = "/nowhere/at/all.db";
	ck_assert_int_eq(wasmedge_storage_open(&options, &other, &err), WASMEDGE_STORAGE_IO);
	ck_assert_str_eq(err.message,
	                 "/nowhere/at/all.db: cannot open it: No such file or directory");
}
END_TEST

START_TEST(a_newer_version_is_refused)
{
	struct wasmedge_storage_options options = { .path = path };
	struct wasmedge_storage *other;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_eq(wasmedge_storage_open(&options, &other, &err), WASMEDGE_STORAGE_DAMAGED);
	ck_assert_msg(strstr(err.message, "newer version (schema 2, expected 1)") != NULL, "%s",
	              err.message);
}
END_TEST

static void
expect_path(const char *asked, const char *expected)
{
	struct wasmedge_storage_options options = { .path = asked };
	struct wasmedge_storage *opened;
	struct stat found;
	char full[128];

	snprintf(full, sizeof full, "%s/%s", folder, expected);
	ck_assert_msg(wasmedge_storage_open(&options, &opened, &err) == WASMEDGE_STORAGE_OK, "%s",
	              err.message);
	ck_assert_str_eq(wasmedge_storage_path(opened), full);
	ck_assert_int_eq(stat(full, &found), 0);
	ck_assert_int_eq(found.st_mode & 0777, 0600);
	wasmedge_storage_close(opened);
}

START_TEST(the_file_is_where_it_was_asked_for)
{
	char text[128];

	expect_path(folder, "storage.db");
	snprintf(text, sizeof text, "%s/from-environment", folder);
	setenv("STORAGE_INTERFACE_DB_PATH", text, 1);
	expect_path(NULL, "from-environment");
	unsetenv("STORAGE_INTERFACE_DB_PATH");
	setenv("HOME", folder, 1);
	unsetenv("XDG_STATE_HOME");
	expect_path("", ".local/state/wasmedge/storage.db");
	snprintf(text, sizeof text, "%s/state", folder);
	setenv("XDG_STATE_HOME", text, 1);
	expect_path("", "state/wasmedge/storage.db");
	unsetenv("XDG_STATE_HOME");
	unsetenv("HOME");
	ck_assert_int_eq(wasmedge_storage_open(NULL, &storage, &err), WASMEDGE_STORAGE_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.message, "STORAGE_INTERFACE_DB_PATH"));
}
END_TEST

/* --- several at a time ---------------------------------------------------------------------- */

/* Add one to the number under a key, whatever others do meanwhile. */
static void
add_one(struct wasmedge_storage *to, const char *key)
{
	struct wasmedge_storage_name where = name("app", key);

	for (;;) {
		struct wasmedge_storage_condition condition = { WASMEDGE_STORAGE_ABSENT, 0 };
		struct wasmedge_storage_entry entry = { 0 };
		struct wasmedge_storage_error why;
		unsigned long number = 0;
		char text[32];

		if (wasmedge_storage_get(to, &where, &entry, &why) == WASMEDGE_STORAGE_OK) {
			condition = (struct wasmedge_storage_condition){ WASMEDGE_STORAGE_REVISION,
				                                         entry.revision };
			snprintf(text, sizeof text, "%.*s", (int)entry.value.len,
			         (const char *)entry.value.data);
			number = strtoul(text, NULL, 10);
			wasmedge_storage_entry_clear(&entry);
		}
		snprintf(text, sizeof text, "%lu", number + 1);
		struct wasmedge_storage_value value = { .bytes = STR(text) };
		enum wasmedge_storage_status status =
		    wasmedge_storage_put(to, &where, &value, &condition, NULL, &why);
		if (status == WASMEDGE_STORAGE_OK)
			return;
		if (status != WASMEDGE_STORAGE_CONFLICT) {
			fprintf(stderr, "%s\n", why.message);
			abort();
		}
	}
}

#define PROCESSES 8
#define THREADS 2
#define ADDITIONS 10

static void *
add_many(void *to)
{
	for (int i = 0; i < ADDITIONS; i++)
		add_one(to, "counter");
	return NULL;
}

/* In a process of its own, with a storage of its own: one thread or more. */
static void
add_and_exit(void)
{
	struct wasmedge_storage_options options = { .path = path, .busy_ms = 60000 };
	struct wasmedge_storage *own;
	pthread_t threads[THREADS];

	if (wasmedge_storage_open(&options, &own, &err) != WASMEDGE_STORAGE_OK)
		_exit(2);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, add_many, own) != 0)
			_exit(3);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	wasmedge_storage_close(own);
	_exit(0);
}

START_TEST(no_update_is_lost)
{
	char text[32];
	int status;

	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0)
			add_and_exit();
	for (int i = 0; i < PROCESSES; i++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	snprintf(text, sizeof text, "%d", PROCESSES * THREADS * ADDITIONS);
	expect("counter", text);
}
END_TEST

START_TEST(several_processes_make_a_new_file)
{
	int status;

	snprintf(path, sizeof path, "%s/new.db", folder);
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			struct wasmedge_storage_options options = { .path = path };
			struct wasmedge_storage *own;
			struct wasmedge_storage_name where = name("app", "a");
			struct wasmedge_storage_value value = { .bytes = STR("x") };
			if (wasmedge_storage_open(&options, &own, &err) != 0 ||
			    wasmedge_storage_put(own, &where, &value, NULL, NULL, &err) != 0) {
				fprintf(stderr, "%s\n", err.message);
				_exit(1);
			}
			_exit(0);
		}
	for (int i = 0; i < PROCESSES; i++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

START_TEST(a_storage_does_not_pass_to_a_child)
{
	int status;

	if (fork() == 0) {
		struct wasmedge_storage_name where = name("app", "a");
		struct wasmedge_storage_entry entry;
		enum wasmedge_storage_status got =
		    wasmedge_storage_get(storage, &where, &entry, &err);
		_exit(got == WASMEDGE_STORAGE_IO && strstr(err.message, "fork()") != NULL ? 0 : 1);
	}
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(another_writer_is_waited_for_and_not_forever)
{
	struct wasmedge_storage_options options = { .path = path, .busy_ms = 50 };
	struct wasmedge_storage_name where = name("app", "a");
	struct wasmedge_storage_value value = { .bytes = STR("x") };
	struct wasmedge_storage *other;
	sqlite3 *db;

	ck_assert_int_eq(wasmedge_storage_open(&options, &other, &err), 0);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(wasmedge_storage_put(other, &where, &value, NULL, NULL, &err),
	                 WASMEDGE_STORAGE_BUSY);
	ck_assert_str_eq(err.message,
	                 "cannot write: another process has been writing for 50 ms; try again");
	expect_none("a"); /* reading goes on */
	ck_assert_int_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_eq(wasmedge_storage_put(other, &where, &value, NULL, NULL, &err), 0);
	wasmedge_storage_close(other);
	expect("a", "x");
}
END_TEST

/* --- crashes -------------------------------------------------------------------------------- */

/* Write numbers under growing keys until somebody ends it; each that is stored goes to fd. */
static void
write_until_killed(int fd, uint32_t first)
{
	struct wasmedge_storage_options options = { .path = path, .busy_ms = 60000 };
	struct wasmedge_storage *own;
	char key[32];

	if (wasmedge_storage_open(&options, &own, &err) != WASMEDGE_STORAGE_OK)
		_exit(2);
	for (uint32_t number = first;; number++) {
		snprintf(key, sizeof key, "n%u", number % 500);
		struct wasmedge_storage_name where = name("app", key);
		struct wasmedge_storage_value value = { .bytes = { &number, sizeof number } };
		if (wasmedge_storage_put(own, &where, &value, NULL, NULL, &err) != 0 ||
		    write(fd, &number, sizeof number) != sizeof number)
			_exit(3);
	}
}

static uint32_t
stored_number(uint32_t number)
{
	struct wasmedge_storage_entry entry;
	uint32_t found;
	char key[32];

	snprintf(key, sizeof key, "n%u", number % 500);
	struct wasmedge_storage_name where = name("app", key);
	ck_assert_msg(wasmedge_storage_get(storage, &where, &entry, &err) == WASMEDGE_STORAGE_OK,
	              "number %u is lost: %s", number, err.message);
	ck_assert_uint_eq(entry.value.len, sizeof found);
	memcpy(&found, entry.value.data, sizeof found);
	wasmedge_storage_entry_clear(&entry);
	return found;
}

START_TEST(nothing_acknowledged_is_lost_when_the_writer_is_killed)
{
	const char *rounds_text = getenv("CRASH_ROUNDS");
	const int rounds = rounds_text != NULL ? atoi(rounds_text) : 10;
	uint32_t next = 0;
	uint32_t acknowledged = 0;
	unsigned seed = 1;

	for (int round = 0; round < rounds; round++) {
		int fds[2];
		ck_assert_int_eq(pipe(fds), 0);
		wasmedge_storage_close(storage);
		storage = NULL;
		pid_t child = fork();
		if (child == 0)
			write_until_killed(fds[1], next);
		close(fds[1]);
		const uint32_t first = next;
		usleep(2000 + (useconds_t)(rand_r(&seed) % 40000));
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		storage = open_storage();
		while (read(fds[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged)
			next = acknowledged + 1;
		close(fds[0]);
		for (uint32_t n = next > first + 500 ? next - 500 : first; n < next; n++)
			ck_assert_uint_ge(stored_number(n), n);
		if (next > first)
			next += 500; /* the one under way must not be taken for a later one */
	}
	ck_assert_uint_gt(acknowledged, 0);
}
END_TEST

/* --- the older functions -------------------------------------------------------------------- */

START_TEST(native_programs_share_the_values_of_guests)
{
	struct wasmedge_storage_name where = { STR(""), STR(WASMEDGE_STORAGE_GUEST_NS), STR("k") };
	struct wasmedge_storage_entry entry;

	setenv("STORAGE_INTERFACE_DB_PATH", path, 1);
	store_byte_array("k", 1, "one\0two", 7);
	ck_assert_str_eq(wasmedge_storage_native_error(), "");
	ck_assert_uint_eq(get_byte_array_length("k", 1), 7);
	char *copy = get_byte_array_pointer("k", 1);
	ck_assert_mem_eq(copy, "one\0two", 7);
	free_byte_array_pointer(copy, 7);
	ck_assert_int_eq(wasmedge_storage_get(storage, &where, &entry, &err), 0);
	ck_assert_uint_eq(entry.value.len, 7);
	wasmedge_storage_entry_clear(&entry);
}
END_TEST

START_TEST(native_programs_do_not_end_by_a_missing_key)
{
	setenv("STORAGE_INTERFACE_DB_PATH", path, 1);
	ck_assert_ptr_null(get_byte_array_pointer("none", 4));
	ck_assert_str_eq(wasmedge_storage_native_error(),
	                 "there is no value under the key \"none\" in namespace storage");
	ck_assert_uint_eq(get_byte_array_length("none", 4), 0);
	store_byte_array(NULL, 4, "x", 1);
	ck_assert_str_eq(wasmedge_storage_native_error(),
	                 "the key or the value is a NULL pointer");
	store_byte_array("e", 1, "", 0);
	ck_assert_uint_eq(get_byte_array_length("e", 1), 0);
	ck_assert_str_eq(wasmedge_storage_native_error(), "");
	char *copy = get_byte_array_pointer("e", 1);
	ck_assert_ptr_nonnull(copy);
	free_byte_array_pointer(copy, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("storage");
	TCase *tcase = tcase_create("library");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, values_are_kept);
	tcase_add_test(tcase, no_bytes_are_a_value);
	tcase_add_test(tcase, tenants_and_namespaces_are_apart);
	tcase_add_test(tcase, deleted_values_are_gone_and_revisions_never_come_again);
	tcase_add_test(tcase, conditions_are_kept);
	tcase_add_test(tcase, values_expire);
	tcase_add_test(tcase, what_cannot_be_is_refused);
	tcase_add_loop_test(tcase, lists_are_in_order_and_in_pages, 0,
	                    (int)(sizeof lists / sizeof *lists));
	tcase_add_test(tcase, keys_are_shown_to_people);
	tcase_add_test(tcase, a_file_of_somebody_else_is_refused);
	tcase_add_test(tcase, a_newer_version_is_refused);
	tcase_add_test(tcase, the_file_is_where_it_was_asked_for);
	tcase_add_test(tcase, no_update_is_lost);
	tcase_add_test(tcase, several_processes_make_a_new_file);
	tcase_add_test(tcase, a_storage_does_not_pass_to_a_child);
	tcase_add_test(tcase, another_writer_is_waited_for_and_not_forever);
	tcase_add_test(tcase, nothing_acknowledged_is_lost_when_the_writer_is_killed);
	tcase_add_test(tcase, native_programs_share_the_values_of_guests);
	tcase_add_test(tcase, native_programs_do_not_end_by_a_missing_key);
	suite_add_tcase(suite, tcase);
	return suite;
}
