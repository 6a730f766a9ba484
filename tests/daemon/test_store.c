/*
 * The catalogue: what is acknowledged stays, what is damaged is found, what fails leaves no trace.
 *
 * CRASH_ROUNDS (10) sets how many times a writing process is killed.
 */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "daemon/clock.h"
#include "daemon/store/internal.h"
#include "daemon/store/schema.h"
#include "tests/support/storecall.h"
#include "tests/support/unit.h"

#define SECOND_US UINT64_C(1000000)

/* ---- a folder for each test ---- */

static char directory[64];

static void
make_place(void)
{
	snprintf(directory, sizeof directory, "/tmp/wasmedged-test-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
remove_place(void)
{
	nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct store_options
options_here(void)
{
	return (struct store_options){ .directory = directory, .module_bytes_max = 64 << 20 };
}

static struct store *
open_with(const struct store_options *options)
{
	struct store *store = NULL;
	struct store_error err = { 0 };

	enum store_status status = store_open(options, &store, &err);

	ck_assert_msg(status == STORE_OK, "%s", err.message);
	return store;
}

static struct store *
open_here(void)
{
	struct store_options options = options_here();

	return open_with(&options);
}

static const char *
catalogue_path(void)
{
	static char path[96];

	snprintf(path, sizeof path, "%s/catalog.db", directory);
	return path;
}

/* Change the database behind the store's back; the store is closed. */
static void
tamper(const char *sql)
{
	sqlite3 *db;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open(catalogue_path(), &db), SQLITE_OK);
	int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
	ck_assert_msg(rc == SQLITE_OK, "%s: %s", sql, message);
	sqlite3_close(db);
}

/* ---- waiting for an answer ---- */

static store_done_fn *const answer = storecall_answer;

static struct store_reply *
ask(enum store_status submitted, struct storecall *call)
{
	ck_assert_int_eq(submitted, STORE_OK);
	return storecall_wait(call);
}

/* The reply of a request whose last parameters are `answer, &call`. */
#define ASK(request) ask((request), &call)

static enum store_status
status_and_free(struct store_reply *reply)
{
	enum store_status status = reply->error.status;

	store_reply_free(reply);
	return status;
}

/* ---- modules to store ---- */

static uint8_t *
bytes_of(uint64_t seed, size_t size)
{
	uint8_t *bytes = malloc(size + 8);

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < size; i += 8) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(bytes + i, &seed, 8);
	}
	return bytes;
}

static struct store_reply *
put(struct store *store, uint64_t seed, size_t size, const char *info,
    const struct store_tag_name *tag)
{
	uint8_t *bytes = bytes_of(seed, size);
	struct storecall call = STORECALL_INIT;
	struct store_module_put module = { .bytes = bytes, .size_bytes = size, .info = info };

	digest_of(bytes, size, &module.digest);
	if (tag != NULL)
		module.tag = *tag;
	struct store_reply *reply = ASK(store_module_put(store, &module, answer, &call));
	free(bytes);
	return reply;
}

static struct digest
digest_of_seed(uint64_t seed, size_t size)
{
	uint8_t *bytes = bytes_of(seed, size);
	struct digest digest;

	digest_of(bytes, size, &digest);
	free(bytes);
	return digest;
}

static struct digest
put_ok(struct store *store, uint64_t seed, size_t size)
{
	struct store_reply *reply = put(store, seed, size, "{}", NULL);

	ck_assert_msg(reply->error.status == STORE_OK, "%s", reply->error.message);
	struct digest digest = reply->modules[0].digest;
	store_reply_free(reply);
	return digest;
}

static struct store_reply *
get(struct store *store, const struct digest *digest, bool want_bytes)
{
	struct storecall call = STORECALL_INIT;

	return ASK(store_module_get(store, digest, want_bytes, answer, &call));
}

static const struct store_tag_name app1 = { "demo", "app", "1" };

static enum store_status
tag_to(struct store *store, const struct store_tag_name *name, const struct digest *digest)
{
	struct storecall call = STORECALL_INIT;

	return status_and_free(ASK(store_tag_put(store, name, digest, NULL, "me", answer, &call)));
}

/* ---- modules ---- */

static const size_t sizes[] = {
	1, 8191, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 17
};

START_TEST(a_module_is_read_as_it_was_put_also_after_reopening)
{
	size_t size = sizes[_i];
	uint8_t *bytes = bytes_of(7, size);
	struct store *store = open_here();

	struct store_reply *reply = put(store, 7, size, "{\"a\":1}", NULL);
	ck_assert_int_eq(reply->error.status, STORE_OK);
	ck_assert(reply->created);
	struct digest digest = reply->modules[0].digest;
	store_reply_free(reply);
	for (int round = 0; round < 2; round++) {
		reply = get(store, &digest, true);
		ck_assert_msg(reply->error.status == STORE_OK, "%s", reply->error.message);
		ck_assert_uint_eq(reply->size_bytes, size);
		ck_assert_mem_eq(reply->bytes, bytes, size);
		ck_assert_str_eq(reply->modules[0].info, "{\"a\":1}");
		ck_assert_str_eq(reply->modules[0].tags, "[]");
		store_reply_free(reply);
		store_close(store);
		store = open_here();
	}
	store_close(store);
	free(bytes);
}
END_TEST

START_TEST(the_same_module_again_is_known_and_its_info_renewed)
{
	struct store *store = open_here();

	put_ok(store, 1, 1000);
	struct store_reply *reply = put(store, 1, 1000, "{\"b\":2}", &app1);
	ck_assert_int_eq(reply->error.status, STORE_OK);
	ck_assert(!reply->created);
	ck_assert_str_eq(reply->modules[0].info, "{\"b\":2}");
	ck_assert_str_eq(reply->modules[0].tags, "[\"demo/app:1\"]");
	ck_assert_uint_eq(reply->tag_count, 1);
	ck_assert_int_eq(reply->tags[0].rev, 1);
	store_reply_free(reply);
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.modules, 1);
	ck_assert_uint_eq(totals.module_bytes, 1000);
	ck_assert_uint_eq(totals.tags, 1);
	store_close(store);
}
END_TEST

START_TEST(what_cannot_be_a_module_is_refused)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	uint8_t bytes[4] = { 0 };
	struct store_module_put module = { .bytes = bytes, .size_bytes = 4, .info = "{}" };

	struct store_reply *reply = ASK(store_module_put(store, &module, answer, &call));
	ck_assert_int_eq(reply->error.status, STORE_E_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(reply->error.message, "expected sha256:000000"));
	store_reply_free(reply);
	module.size_bytes = 0;
	ck_assert_int_eq(store_module_put(store, &module, answer, &call), STORE_E_ARGUMENT);
	module.size_bytes = (64 << 20) + 1;
	ck_assert_int_eq(store_module_put(store, &module, answer, &call), STORE_E_ARGUMENT);
	module.size_bytes = 4;
	module.tag = (struct store_tag_name){ "demo", "../app", "1" };
	ck_assert_int_eq(store_module_put(store, &module, answer, &call), STORE_E_ARGUMENT);
	struct digest unknown = { { 1 } };
	ck_assert_int_eq(status_and_free(get(store, &unknown, true)), STORE_E_NOT_FOUND);
	store_close(store);
}
END_TEST

START_TEST(a_tagged_module_is_deleted_only_by_force)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	struct digest digest, found;

	struct store_reply *reply = put(store, 1, 600000, "{}", &app1);
	digest = reply->modules[0].digest;
	store_reply_free(reply);
	reply = ASK(store_module_delete(store, &digest, false, "me", answer, &call));
	ck_assert_int_eq(reply->error.status, STORE_E_CONFLICT);
	ck_assert_uint_eq(reply->tag_count, 1);
	store_reply_free(reply);
	ck_assert_int_eq(store_tag_resolve(store, &app1, &found, NULL), STORE_OK);
	ck_assert(digest_equal(&digest, &found));

	reply = ASK(store_module_delete(store, &digest, true, "me", answer, &call));
	ck_assert_msg(reply->error.status == STORE_OK, "%s", reply->error.message);
	store_reply_free(reply);
	ck_assert_int_eq(store_tag_resolve(store, &app1, &found, NULL), STORE_E_NOT_FOUND);
	ck_assert_int_eq(status_and_free(get(store, &digest, false)), STORE_E_NOT_FOUND);
	reply = ASK(store_module_delete(store, &digest, true, NULL, answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_E_NOT_FOUND);
	reply = ASK(store_tag_history(store, &app1, 0, 10, answer, &call));
	ck_assert_uint_eq(reply->change_count, 2);
	ck_assert(reply->changes[0].has_old && !reply->changes[0].has_new);
	store_reply_free(reply);
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.modules + totals.module_bytes + totals.tags, 0);
	store_close(store);
}
END_TEST

START_TEST(a_list_is_read_in_pages_newest_first)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	struct store_module_query query = { .limit = 10 };
	unsigned seen[25] = { 0 };

	for (unsigned i = 0; i < 25; i++)
		put_ok(store, i, 100);
	for (unsigned page = 0; page < 3; page++) {
		struct store_reply *reply = ASK(store_module_list(store, &query, answer, &call));

		ck_assert_int_eq(reply->error.status, STORE_OK);
		ck_assert_uint_eq(reply->module_count, page < 2 ? 10 : 5);
		ck_assert_int_eq(reply->has_next, page < 2);
		for (size_t i = 0; i < reply->module_count; i++)
			for (unsigned s = 0; s < 25; s++) {
				struct digest digest = digest_of_seed(s, 100);

				seen[s] += digest_equal(&digest, &reply->modules[i].digest);
			}
		if (page == 0) {
			struct digest newest = digest_of_seed(24, 100);

			ck_assert(digest_equal(&reply->modules[0].digest, &newest));
		}
		query.cursor = reply->next;
		store_reply_free(reply);
	}
	for (unsigned s = 0; s < 25; s++)
		ck_assert_uint_eq(seen[s], 1);
	memset(query.cursor.key, 'x', sizeof query.cursor.key);
	ck_assert_int_eq(store_module_list(store, &query, answer, &call), STORE_E_ARGUMENT);
	store_close(store);
}
END_TEST

static const struct filter_case {
	const char *name;
	struct store_module_query query;
	size_t want;
} filter_cases[] = {
	{ "none", { .limit = 5 }, 2 },
	{ "tag's space", { .limit = 5, .tag = "demo" }, 1 },
	{ "tag's name", { .limit = 5, .tag = "demo/app" }, 1 },
	{ "whole tag", { .limit = 5, .tag = "demo/app:1" }, 1 },
	{ "other tag", { .limit = 5, .tag = "demo/app:2" }, 0 },
	{ "export", { .limit = 5, .export = "add" }, 1 },
	{ "export by quote", { .limit = 5, .export = "a'd" }, 0 },
	{ "import module", { .limit = 5, .import = "env" }, 1 },
	{ "import", { .limit = 5, .import = "env.log" }, 1 },
	{ "other import", { .limit = 5, .import = "env.lo" }, 0 },
	{ "feature", { .limit = 5, .features = 4 }, 1 },
	{ "both features", { .limit = 5, .features = 5 }, 1 },
	{ "absent feature", { .limit = 5, .features = 8 }, 0 },
	{ "export and tag of different ones", { .limit = 5, .tag = "demo", .import = "env" }, 0 },
};

START_TEST(a_list_is_filtered)
{
	const struct filter_case *c = &filter_cases[_i];
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	uint8_t bytes[2] = { 1, 2 };
	struct store_module_put module = {
		.bytes = bytes,
		.size_bytes = 2,
		.info = "{\"imports\":[{\"module\":\"env\",\"name\":\"log\"}]}",
		.features = 5,
	};

	store_reply_free(put(store, 1, 10, "{\"exports\":[{\"name\":\"add\"}]}", &app1));
	digest_of(bytes, 2, &module.digest);
	store_reply_free(ASK(store_module_put(store, &module, answer, &call)));
	struct store_reply *reply = ASK(store_module_list(store, &c->query, answer, &call));
	ck_assert_msg(reply->error.status == STORE_OK, "%s: %s", c->name, reply->error.message);
	ck_assert_msg(reply->module_count == c->want, "%s: got %zu, want %zu", c->name,
	              reply->module_count, c->want);
	store_reply_free(reply);
	store_close(store);
}
END_TEST

/* ---- models ---- */

static enum store_status
put_model(struct store *store, const char *name, uint64_t seed, size_t size,
          const struct store_condition *condition)
{
	uint8_t *bytes = bytes_of(seed, size);
	struct storecall call = STORECALL_INIT;
	struct store_model_put model = { .name = name, .bytes = bytes, .size_bytes = size,
		                         .format = "tflite", .info = "{\"inputs\":[]}" };

	if (condition != NULL)
		model.condition = *condition;
	digest_of(bytes, size, &model.digest);
	enum store_status status = status_and_free(ASK(store_model_put(store, &model, answer,
	                                                               &call)));
	free(bytes);
	return status;
}

static struct store_reply *
get_model(struct store *store, const char *name, bool want_bytes)
{
	struct storecall call = STORECALL_INIT;

	return ASK(store_model_get(store, name, want_bytes, answer, &call));
}

static enum store_status
delete_model(struct store *store, const char *name, const struct store_condition *condition)
{
	static const struct store_condition any;
	struct storecall call = STORECALL_INIT;

	return status_and_free(ASK(store_model_delete(
	    store, name, condition != NULL ? condition : &any, answer, &call)));
}

static int64_t
count_blobs(void)
{
	struct store_error err = { 0 };
	struct db db;

	ck_assert_int_eq(db_open(&db, catalogue_path(), DB_READER, &err), STORE_OK);
	int64_t count = db_query_int(&db, "SELECT count(*) FROM blob");
	db_close(&db);
	return count;
}

START_TEST(a_model_is_read_as_it_was_put_also_after_reopening)
{
	size_t size = sizes[_i];
	uint8_t *bytes = bytes_of(7, size);
	struct store *store = open_here();

	ck_assert_int_eq(put_model(store, "net.v-1_A", 7, size, NULL), STORE_OK);
	for (int round = 0; round < 2; round++) {
		struct store_reply *reply = get_model(store, "net.v-1_A", true);
		ck_assert_msg(reply->error.status == STORE_OK, "%s", reply->error.message);
		ck_assert_uint_eq(reply->size_bytes, size);
		ck_assert_mem_eq(reply->bytes, bytes, size);
		ck_assert_str_eq(reply->models[0].format, "tflite");
		ck_assert_str_eq(reply->models[0].info, "{\"inputs\":[]}");
		store_reply_free(reply);
		store_close(store);
		store = open_here();
	}
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.models, 1);
	ck_assert_uint_eq(totals.model_bytes, size);
	store_close(store);
	free(bytes);
}
END_TEST

START_TEST(bytes_of_a_model_go_with_the_last_that_has_them)
{
	struct store *store = open_here();

	ck_assert_int_eq(put_model(store, "a", 1, 1000, NULL), STORE_OK);
	ck_assert_int_eq(put_model(store, "b", 1, 1000, NULL), STORE_OK);
	struct digest digest = put_ok(store, 1, 1000); /* as a module, too */
	ck_assert_int_eq(count_blobs(), 1);
	ck_assert_int_eq(put_model(store, "a", 2, 2000, NULL), STORE_OK);
	ck_assert_int_eq(count_blobs(), 2);
	ck_assert_int_eq(put_model(store, "a", 3, 500, NULL), STORE_OK);
	ck_assert_int_eq(count_blobs(), 2);
	ck_assert_int_eq(delete_model(store, "b", NULL), STORE_OK);
	ck_assert_int_eq(status_and_free(get(store, &digest, true)), STORE_OK);
	struct storecall call = STORECALL_INIT;
	ck_assert_int_eq(status_and_free(ASK(store_module_delete(store, &digest, false, "me",
	                                                         answer, &call))), STORE_OK);
	ck_assert_int_eq(count_blobs(), 1);
	ck_assert_int_eq(delete_model(store, "a", NULL), STORE_OK);
	ck_assert_int_eq(count_blobs(), 0);
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.models, 0);
	ck_assert_uint_eq(totals.model_bytes, 0);
	ck_assert_int_eq(delete_model(store, "a", NULL), STORE_E_NOT_FOUND);
	store_close(store);
}
END_TEST

START_TEST(a_model_is_replaced_only_if_the_condition_holds)
{
	struct store_condition absent = { .match = STORE_MATCH_ABSENT };
	struct store_condition first = { STORE_MATCH_DIGEST, digest_of_seed(1, 1000) };
	struct store *store = open_here();

	ck_assert_int_eq(put_model(store, "a", 1, 1000, &first), STORE_E_CONFLICT);
	ck_assert_int_eq(put_model(store, "a", 1, 1000, &absent), STORE_OK);
	ck_assert_int_eq(put_model(store, "a", 2, 1000, &absent), STORE_E_CONFLICT);
	ck_assert_int_eq(put_model(store, "a", 2, 1000, &first), STORE_OK);
	ck_assert_int_eq(delete_model(store, "a", &first), STORE_E_CONFLICT);
	store_close(store);
}
END_TEST

START_TEST(models_are_listed_in_pages_by_name)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	static const char *const names[] = { "c", "a", "b", "Z", "a.b" };
	static const char *const in_order[] = { "Z", "a", "a.b", "b", "c" };
	char after[STORE_NAME_MAX + 1] = "";
	size_t seen = 0;

	for (size_t i = 0; i < 5; i++)
		ck_assert_int_eq(put_model(store, names[i], i, 100, NULL), STORE_OK);
	for (bool more = true; more;) {
		struct store_reply *reply = ASK(store_model_list(store, after, 2, answer, &call));
		ck_assert_int_eq(reply->error.status, STORE_OK);
		for (size_t i = 0; i < reply->model_count; i++)
			ck_assert_str_eq(reply->models[i].name, in_order[seen++]);
		strcpy(after, reply->models[reply->model_count - 1].name);
		more = reply->has_next;
		store_reply_free(reply);
	}
	ck_assert_uint_eq(seen, 5);
	store_close(store);
}
END_TEST

START_TEST(a_damaged_model_is_not_handed_out_and_repaired_by_a_new_put)
{
	static const char *const damage[] = {
		"UPDATE chunk SET data = zeroblob(length(data)) WHERE n = 1",
		"DELETE FROM chunk WHERE n = 1",
		"UPDATE model SET info = '{}'",
		"UPDATE model SET format = 'onnx'",
	};
	struct store *store = open_here();

	ck_assert_int_eq(put_model(store, "a", 1, 2 * CHUNK_BYTES, NULL), STORE_OK);
	store_close(store);
	tamper(damage[_i]);
	store = open_here();
	ck_assert_int_eq(status_and_free(get_model(store, "a", true)), STORE_E_DAMAGED);
	ck_assert_int_eq(put_model(store, "a", 1, 2 * CHUNK_BYTES, NULL), STORE_OK);
	ck_assert_int_eq(status_and_free(get_model(store, "a", true)), STORE_OK);
	store_close(store);
}
END_TEST

START_TEST(what_cannot_be_a_model_is_refused)
{
	static const char *const bad[] = { "", ".a", "-a", "a/b", "a b", NULL };
	struct store *store = open_here();
	struct store_model_put model = { .bytes = (const uint8_t *)"a", .size_bytes = 1,
		                         .format = "onnx", .info = "{}" };

	for (size_t i = 0; bad[i] != NULL; i++) {
		model.name = bad[i];
		ck_assert_int_eq(store_model_put(store, &model, NULL, NULL), STORE_E_ARGUMENT);
	}
	model.name = "a"; /* and not of that digest */
	struct storecall call = STORECALL_INIT;
	ck_assert_int_eq(status_and_free(ASK(store_model_put(store, &model, answer, &call))),
	                 STORE_E_ARGUMENT);
	model.size_bytes = 0;
	ck_assert_int_eq(store_model_put(store, &model, NULL, NULL), STORE_E_ARGUMENT);
	store_close(store);
}
END_TEST

/* ---- tags ---- */

START_TEST(a_tag_is_compared_and_swapped)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	struct digest a = put_ok(store, 1, 10), b = put_ok(store, 2, 10), found;
	struct store_condition absent = { .match = STORE_MATCH_ABSENT };
	struct store_condition was_a = { .match = STORE_MATCH_DIGEST, .digest = a };
	int64_t rev;

	struct store_reply *reply =
	    ASK(store_tag_put(store, &app1, &b, &was_a, "me", answer, &call));
	ck_assert_int_eq(reply->error.status, STORE_E_CONFLICT);
	ck_assert_uint_eq(reply->tag_count, 0);
	store_reply_free(reply);
	reply = ASK(store_tag_put(store, &app1, &a, &absent, "me", answer, &call));
	ck_assert_int_eq(reply->error.status, STORE_OK);
	ck_assert(reply->created);
	ck_assert_str_eq(reply->tags[0].updated_by, "me");
	store_reply_free(reply);
	reply = ASK(store_tag_put(store, &app1, &b, &absent, "me", answer, &call));
	ck_assert_int_eq(reply->error.status, STORE_E_CONFLICT);
	ck_assert(digest_equal(&reply->tags[0].digest, &a));
	store_reply_free(reply);
	reply = ASK(store_tag_put(store, &app1, &b, &was_a, "you", answer, &call));
	ck_assert_int_eq(reply->error.status, STORE_OK);
	ck_assert(!reply->created);
	store_reply_free(reply);
	ck_assert_int_eq(store_tag_resolve(store, &app1, &found, &rev), STORE_OK);
	ck_assert(digest_equal(&found, &b));
	ck_assert_int_eq(rev, 2);
	ck_assert_int_eq(tag_to(store, &app1, &b), STORE_OK); /* as it is: no new revision */
	ck_assert_int_eq(store_tag_resolve(store, &app1, &found, &rev), STORE_OK);
	ck_assert_int_eq(rev, 2);
	reply = ASK(store_tag_delete(store, &app1, &was_a, "me", answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_E_CONFLICT);
	reply = ASK(store_tag_delete(store, &app1, NULL, "me", answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_OK);
	ck_assert_int_eq(store_tag_resolve(store, &app1, &found, &rev), STORE_E_NOT_FOUND);
	reply = ASK(store_tag_delete(store, &app1, NULL, "me", answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_E_NOT_FOUND);

	reply = ASK(store_tag_history(store, &app1, 0, 2, answer, &call));
	ck_assert_uint_eq(reply->change_count, 2);
	ck_assert(reply->has_next);
	ck_assert_int_eq(reply->changes[0].rev, 3);
	ck_assert(reply->changes[1].has_old && reply->changes[1].has_new);
	ck_assert_str_eq(reply->changes[1].by, "you");
	store_reply_free(reply);
	store_close(store);
}
END_TEST

/* The latest change of a name is always there, so that no revision comes a second time. */
START_TEST(of_each_name_the_latest_changes_are_kept)
{
	const struct store_tag_name app2 = { "demo", "app", "2" }, other = { "demo", "tool", "1" };
	const struct store_tag_name app = { "demo", "app", NULL };
	struct store_options options = options_here();
	struct storecall call = STORECALL_INIT;

	options.tag_history_max = 3;
	struct store *store = open_with(&options);
	const struct digest digests[] = { put_ok(store, 1, 10), put_ok(store, 2, 10) };
	ck_assert_int_eq(tag_to(store, &other, &digests[0]), STORE_OK);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(tag_to(store, i % 2 == 0 ? &app2 : &app1, &digests[i / 2 % 2]),
				 STORE_OK);
	struct store_reply *reply = ASK(store_tag_history(store, &app, 0, 100, answer, &call));
	ck_assert_uint_eq(reply->change_count, 3);
	ck_assert_int_eq(reply->changes[0].rev, 11);
	ck_assert_int_eq(reply->changes[2].rev, 9);
	store_reply_free(reply);
	reply = ASK(store_tag_history(store, &other, 0, 100, answer, &call));
	ck_assert_uint_eq(reply->change_count, 1);
	store_reply_free(reply);

	store_set_tag_history_max(store, 1);
	reply = ASK(store_tag_delete(store, &app1, NULL, "me", answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_OK);
	reply = ASK(store_tag_history(store, &app, 0, 100, answer, &call));
	ck_assert_uint_eq(reply->change_count, 1);
	ck_assert_int_eq(reply->changes[0].rev, 12);
	ck_assert(!reply->changes[0].has_new);
	store_reply_free(reply);
	ck_assert_int_eq(tag_to(store, &app1, &digests[0]), STORE_OK);
	int64_t rev = 0;
	struct digest found;
	ck_assert_int_eq(store_tag_resolve(store, &app1, &found, &rev), STORE_OK);
	ck_assert_int_eq(rev, 13);
	store_close(store);
}
END_TEST

START_TEST(a_put_whose_tag_conflicts_stores_nothing)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	uint8_t bytes[2] = { 1, 2 };
	struct store_module_put module = { .bytes = bytes,
		                           .size_bytes = 2,
		                           .info = "{}",
		                           .tag = app1,
		                           .tag_if = { .match = STORE_MATCH_DIGEST } };

	digest_of(bytes, 2, &module.digest);
	struct store_reply *reply = ASK(store_module_put(store, &module, answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_E_CONFLICT);
	ck_assert_int_eq(status_and_free(get(store, &module.digest, false)), STORE_E_NOT_FOUND);
	ck_assert_int_eq(tag_to(store, &app1, &module.digest), STORE_E_NOT_FOUND);
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.modules, 0);
	store_close(store);
}
END_TEST

START_TEST(tags_are_listed_in_order_of_their_names)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	struct digest a = put_ok(store, 1, 10);
	static const struct store_tag_name names[] = {
		{ "b", "x", "2" },
		{ "a", "y", "1" },
		{ "b", "x", "1" },
		{ "b", "w", "9" },
	};

	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(tag_to(store, &names[i], &a), STORE_OK);
	struct store_reply *reply = ASK(store_tag_list(store, NULL, NULL, NULL, 3, answer, &call));
	ck_assert_uint_eq(reply->tag_count, 3);
	ck_assert(reply->has_next);
	ck_assert_str_eq(reply->tags[0].ns, "a");
	ck_assert_str_eq(reply->tags[2].tag, "1");
	struct store_tag_name after = { reply->tags[2].ns, reply->tags[2].name,
		                        reply->tags[2].tag };
	struct store_reply *rest = ASK(store_tag_list(store, NULL, NULL, &after, 3, answer, &call));
	ck_assert_uint_eq(rest->tag_count, 1);
	ck_assert(!rest->has_next);
	ck_assert_str_eq(rest->tags[0].tag, "2");
	store_reply_free(rest);
	store_reply_free(reply);
	reply = ASK(store_tag_list(store, "b", "x", NULL, 10, answer, &call));
	ck_assert_uint_eq(reply->tag_count, 2);
	store_reply_free(reply);
	ck_assert_int_eq(store_tag_list(store, NULL, "x", NULL, 10, answer, &call),
	                 STORE_E_ARGUMENT);
	store_close(store);
}
END_TEST

START_TEST(many_tags_are_resolved_after_reopening)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	struct digest a = put_ok(store, 1, 10), found;
	char text[16];
	struct store_tag_name name = { "many", "t", text };

	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "%d", i);
		if (i < 999)
			ck_assert_int_eq(store_tag_put(store, &name, &a, NULL, NULL, NULL, NULL),
			                 STORE_OK);
		else
			store_reply_free(
			    ASK(store_tag_put(store, &name, &a, NULL, NULL, answer, &call)));
	}
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.tags, 1000);
	ck_assert_msg(totals.commits < 500, "%" PRIu64 " commits for 1001 changes", totals.commits);
	store_close(store);
	store = open_here();
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "%d", i);
		ck_assert_int_eq(store_tag_resolve(store, &name, &found, NULL), STORE_OK);
		ck_assert(digest_equal(&found, &a));
	}
	store_close(store);
}
END_TEST

/* ---- invocations ---- */

static enum store_status
add_invocation(struct store *store, const char *id, const char *token)
{
	struct storecall call = STORECALL_INIT;
	struct store_invocation_new invocation = {
		.id = id, .token = token, .function = "add", .state = "queued", .spec = "{}"
	};

	return status_and_free(ASK(store_invocation_add(store, &invocation, answer, &call)));
}

START_TEST(an_invocation_goes_through_its_states_once)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;

	ck_assert_int_eq(add_invocation(store, "inv_1", "t"), STORE_OK);
	ck_assert_int_eq(add_invocation(store, "inv_1", "t"), STORE_E_CONFLICT);
	struct store_reply *reply =
	    ASK(store_invocation_update(store, "inv_1", "running", NULL, false, answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_OK);
	reply = ASK(
	    store_invocation_update(store, "inv_1", "returned", "{\"r\":1}", true, answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_OK);
	reply =
	    ASK(store_invocation_update(store, "inv_1", "cancelled", NULL, true, answer, &call));
	ck_assert_int_eq(reply->error.status, STORE_E_CONFLICT);
	ck_assert_str_eq(reply->invocations[0].state, "returned");
	store_reply_free(reply);
	reply = ASK(store_invocation_update(store, "inv_2", "running", NULL, false, answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_E_NOT_FOUND);
	reply = ASK(store_invocation_get(store, "inv_1", answer, &call));
	ck_assert_int_eq(reply->error.status, STORE_OK);
	ck_assert_str_eq(reply->invocations[0].result, "{\"r\":1}");
	ck_assert_str_eq(reply->invocations[0].spec, "{}");
	ck_assert_str_eq(reply->invocations[0].token, "t");
	ck_assert_int_gt(reply->invocations[0].done_us, 0);
	store_reply_free(reply);
	store_close(store);
}
END_TEST

START_TEST(unfinished_invocations_are_lost_with_the_process)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;

	ck_assert_int_eq(add_invocation(store, "inv_1", NULL), STORE_OK);
	ck_assert_int_eq(add_invocation(store, "inv_2", NULL), STORE_OK);
	store_reply_free(
	    ASK(store_invocation_update(store, "inv_2", "exited", "{}", true, answer, &call)));
	store_close(store);
	store = open_here();
	struct store_reply *reply = ASK(store_invocation_get(store, "inv_1", answer, &call));
	ck_assert_str_eq(reply->invocations[0].state, "lost");
	ck_assert_ptr_null(reply->invocations[0].result);
	ck_assert_int_gt(reply->invocations[0].done_us, 0);
	store_reply_free(reply);
	reply = ASK(store_invocation_get(store, "inv_2", answer, &call));
	ck_assert_str_eq(reply->invocations[0].state, "exited");
	store_reply_free(reply);
	store_close(store);
}
END_TEST

START_TEST(invocations_are_listed_and_pruned)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	char id[16];

	for (int i = 0; i < 7; i++) {
		snprintf(id, sizeof id, "inv_%d", i);
		ck_assert_int_eq(add_invocation(store, id, i < 3 ? "a" : "b"), STORE_OK);
	}
	struct store_invocation_query query = { .limit = 4 };
	struct store_reply *reply = ASK(store_invocation_list(store, &query, answer, &call));
	ck_assert_uint_eq(reply->invocation_count, 4);
	ck_assert_str_eq(reply->invocations[0].id, "inv_6");
	ck_assert_ptr_null(reply->invocations[0].spec);
	ck_assert(reply->has_next);
	query.cursor = reply->next;
	store_reply_free(reply);
	reply = ASK(store_invocation_list(store, &query, answer, &call));
	ck_assert_uint_eq(reply->invocation_count, 3);
	ck_assert_str_eq(reply->invocations[2].id, "inv_0");
	ck_assert(!reply->has_next);
	store_reply_free(reply);
	query = (struct store_invocation_query){ .limit = 100, .token = "a", .state = "queued" };
	reply = ASK(store_invocation_list(store, &query, answer, &call));
	ck_assert_uint_eq(reply->invocation_count, 3);
	store_reply_free(reply);

	store_reply_free(
	    ASK(store_invocation_update(store, "inv_3", "exited", "{}", true, answer, &call)));
	reply = ASK(store_invocation_prune(store, clock_unix_us() + 1, answer, &call));
	ck_assert_uint_eq(reply->affected, 1);
	store_reply_free(reply);
	reply = ASK(store_invocation_get(store, "inv_3", answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_E_NOT_FOUND);
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.invocations, 6);
	store_close(store);
}
END_TEST

/* ---- damage ---- */

static const struct damage_case {
	const char *name;
	const char *sql;
	bool only_bytes; /* what is known about the module is intact */
} damage_cases[] = {
	{ "a bit of a chunk",
	  "UPDATE chunk SET data = CAST(x'ff' || substr(data, 2) AS BLOB) WHERE n = 1", true },
	{ "a chunk with its digest",
	  "UPDATE chunk SET (data, sha256) = (SELECT data, sha256 FROM chunk WHERE n = 0) WHERE n "
	  "= 1",
	  true },
	{ "a missing chunk", "DELETE FROM chunk WHERE n = 0", true },
	{ "a short chunk", "UPDATE chunk SET data = substr(data, 1, 100) WHERE n = 0", true },
	{ "one chunk more",
	  "INSERT INTO chunk SELECT digest, 9, sha256, data FROM chunk WHERE n = 0", true },
	{ "a digest that is none", "UPDATE chunk SET sha256 = x'00' WHERE n = 0", true },
	{ "the size", "UPDATE blob SET size = 1 << 40", false },
	{ "the info", "UPDATE module SET info = '{\"exports\":[]}'", false },
	{ "the features", "UPDATE module SET features = 1", false },
	{ "the seal", "UPDATE module SET seal = x'00'", false },
};

START_TEST(damage_is_found_and_repaired_by_a_new_put)
{
	const struct damage_case *c = &damage_cases[_i];
	const size_t size = 2 * CHUNK_BYTES;
	struct store *store = open_here();

	struct digest digest = put_ok(store, 5, size);
	store_close(store);
	tamper(c->sql);
	store = open_here();
	struct store_reply *reply = get(store, &digest, false);
	ck_assert_msg((reply->error.status == STORE_OK) == c->only_bytes, "%s: %s", c->name,
	              store_status_text(reply->error.status));
	store_reply_free(reply);
	reply = get(store, &digest, true);
	ck_assert_msg(reply->error.status == STORE_E_DAMAGED, "%s: %s", c->name,
	              store_status_text(reply->error.status));
	ck_assert_ptr_null(reply->bytes);
	ck_assert_int_eq(reply->modules[0].state, STORE_MODULE_QUARANTINED);
	store_reply_free(reply);

	reply = put(store, 5, size, "{}", NULL); /* queued behind the quarantine */
	ck_assert_msg(reply->error.status == STORE_OK, "%s: %s", c->name, reply->error.message);
	ck_assert(!reply->created);
	ck_assert_int_eq(reply->modules[0].state, STORE_MODULE_OK);
	store_reply_free(reply);
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.quarantined, 1);
	reply = get(store, &digest, true);
	ck_assert_msg(reply->error.status == STORE_OK, "%s: %s", c->name, reply->error.message);
	store_reply_free(reply);
	store_close(store);
}
END_TEST

START_TEST(a_damaged_tag_is_not_followed)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	struct digest a = put_ok(store, 1, 10), b = put_ok(store, 2, 10), found;
	char text[DIGEST_TEXT_SIZE], sql[160];

	ck_assert_int_eq(tag_to(store, &app1, &a), STORE_OK);
	store_close(store);
	snprintf(sql, sizeof sql, "UPDATE tag SET digest = x'%s'", digest_format(&b, text) + 7);
	tamper(sql);
	store = open_here();
	ck_assert_int_eq(store_tag_resolve(store, &app1, &found, NULL), STORE_E_DAMAGED);
	struct store_reply *reply = ASK(store_tag_get(store, &app1, answer, &call));
	ck_assert_int_eq(status_and_free(reply), STORE_E_DAMAGED);
	ck_assert_int_eq(tag_to(store, &app1, &a), STORE_OK);
	ck_assert_int_eq(store_tag_resolve(store, &app1, &found, NULL), STORE_OK);
	ck_assert(digest_equal(&found, &a));
	store_close(store);
}
END_TEST

/* Flip bits anywhere in the file: an error or the right bytes, never others, never a crash. */
START_TEST(random_bit_flips_never_give_wrong_bytes)
{
	const size_t size = 40000;
	struct store *store = open_here();
	struct store_options options = options_here();
	uint64_t random = 42;

	struct digest digest = put_ok(store, 9, size);
	uint8_t *bytes = bytes_of(9, size);
	store_close(store);
	FILE *file = fopen(catalogue_path(), "r+b");
	ck_assert_ptr_nonnull(file);
	fseek(file, 0, SEEK_END);
	size_t file_size = (size_t)ftell(file);
	for (int round = 0; round < 12; round++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		long at = (long)((random >> 20) % file_size);
		struct store_error err;

		fseek(file, at, SEEK_SET);
		int byte = fgetc(file);
		fseek(file, at, SEEK_SET);
		fputc(byte ^ (1 << (random >> 61)), file);
		fflush(file);
		if (store_open(&options, &store, &err) == STORE_OK) {
			struct store_reply *reply = get(store, &digest, true);

			if (reply->error.status == STORE_OK)
				ck_assert_mem_eq(reply->bytes, bytes, size);
			else
				ck_assert_ptr_null(reply->bytes);
			store_reply_free(reply);
			store_close(store);
		}
		/* The file has been written to meanwhile (quarantine): start afresh. */
		fclose(file);
		remove_place();
		ck_assert_int_eq(mkdir(directory, 0700), 0);
		store = open_here();
		put_ok(store, 9, size);
		store_close(store);
		file = fopen(catalogue_path(), "r+b");
		ck_assert_ptr_nonnull(file);
	}
	fclose(file);
	free(bytes);
}
END_TEST

/* ---- opening ---- */

START_TEST(a_folder_belongs_to_one_store)
{
	struct store *store = open_here(), *second = NULL;
	struct store_options options = options_here();
	struct store_error err;
	char pid[32];

	ck_assert_int_eq(store_open(&options, &second, &err), STORE_E_LOCKED);
	snprintf(pid, sizeof pid, "process %d", (int)getpid());
	ck_assert_msg(strstr(err.message, pid) != NULL, "%s", err.message);
	ck_assert_ptr_null(second);
	store_close(store);
	store_close(open_here());
}
END_TEST

START_TEST(only_the_owner_may_read_the_files)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof path, "%s/new", directory);
	struct store_options options = { .directory = path, .module_bytes_max = 100 };
	struct store *store = open_with(&options);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0700);
	static const char *const names[] = { "catalog.db", "catalog.db-wal", "catalog.db-shm",
		                             "wasmedged.lock" };
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/new/%s", directory, names[i]);
		ck_assert_msg(stat(path, &st) == 0, "%s", path);
		ck_assert_int_eq(st.st_mode & 0777, 0600);
	}
	store_close(store);
}
END_TEST

static const struct open_case {
	const char *name;
	const char *sql;
	enum store_status want;
	const char *message;
} open_cases[] = {
	{ "newer", "PRAGMA user_version = 99", STORE_E_VERSION, "version 99" },
	{ "somebody else's", "PRAGMA application_id = 1", STORE_E_DAMAGED, "not a catalogue" },
	{ "a table is missing", "DROP TABLE tag_history", STORE_E_IO, "tag_history" },
};

START_TEST(a_foreign_or_newer_database_is_refused)
{
	const struct open_case *c = &open_cases[_i];
	struct store_options options = options_here();
	struct store *store = open_here();
	struct store_error err;

	store_close(store);
	tamper(c->sql);
	enum store_status status = store_open(&options, &store, &err);
	ck_assert_msg(status == c->want, "%s: %s", c->name, err.message);
	ck_assert_msg(strstr(err.message, c->message) != NULL, "%s: %s", c->name, err.message);
}
END_TEST

START_TEST(what_is_no_database_is_refused_and_not_touched)
{
	struct store_options options = options_here();
	struct store *store;
	struct store_error err;
	char text[2048];

	FILE *file = fopen(catalogue_path(), "w");
	memset(text, 'x', sizeof text);
	fwrite(text, 1, sizeof text, file);
	fclose(file);
	ck_assert_int_eq(store_open(&options, &store, &err), STORE_E_DAMAGED);
	struct stat st;
	ck_assert_int_eq(stat(catalogue_path(), &st), 0);
	ck_assert_int_eq(st.st_size, sizeof text);
}
END_TEST

START_TEST(a_quick_check_finds_a_broken_tree)
{
	struct store_options options = options_here();
	struct store *store = open_here();
	struct store_error err;

	for (uint64_t i = 0; i < 10; i++)
		put_ok(store, i, 20000);
	store_close(store);
	FILE *file = fopen(catalogue_path(), "r+b");
	for (long page = 3; page < 12; page++) {
		fseek(file, page * 8192, SEEK_SET);
		for (int i = 0; i < 64; i++)
			fputc(0xee, file);
	}
	fclose(file);
	options.check = true;
	enum store_status status = store_open(&options, &store, &err);
	ck_assert_msg(status == STORE_E_DAMAGED, "%d %s", status, err.message);
}
END_TEST

#define MIGRATIONS_MAX 16

START_TEST(migrations_go_forward_after_a_copy)
{
	static const struct migration more[] = { { "CREATE TABLE a (x) STRICT" },
		                                 { "ALTER TABLE module ADD COLUMN extra TEXT" },
		                                 { "CREATE TABLE b (y INTEGER) STRICT" } };
	const int64_t base = (int64_t)schema_migration_count;
	struct migration all[MIGRATIONS_MAX];
	struct store *store = open_here();
	struct store_error err = { 0 };
	struct db db;
	char copy[128];

	put_ok(store, 1, 300000);
	store_close(store);
	ck_assert_int_le(base + 2, MIGRATIONS_MAX);
	memcpy(all, schema_migrations, sizeof all[0] * schema_migration_count);
	all[base] = more[1];
	all[base + 1] = more[2];
	ck_assert_int_eq(db_open(&db, catalogue_path(), DB_WRITER, &err), STORE_OK);
	ck_assert_msg(schema_migrate(&db, catalogue_path(), all, (size_t)base + 2, &err) ==
	                  STORE_OK, "%s", err.message);
	ck_assert_int_eq(db_query_int(&db, "PRAGMA user_version"), base + 2);
	db_close(&db);

	snprintf(copy, sizeof copy, "%s.version-%d", catalogue_path(), (int)base);
	struct stat st;
	ck_assert_int_eq(stat(copy, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(db_open(&db, copy, DB_WRITER, &err), STORE_OK);
	ck_assert_int_eq(db_query_int(&db, "PRAGMA user_version"), base);
	ck_assert_int_eq(db_query_int(&db, "SELECT count(*) FROM chunk"), 2);
	db_close(&db);

	all[base + 1] = more[0]; /* not STRICT: fails half way, nothing of it stays */
	all[base] = (struct migration){ "CREATE TABLE c (y INTEGER) STRICT; CREATE TABLE c (z)" };
	remove_place();
	ck_assert_int_eq(mkdir(directory, 0700), 0);
	store_close(open_here());
	ck_assert_int_eq(db_open(&db, catalogue_path(), DB_WRITER, &err), STORE_OK);
	ck_assert_int_ne(schema_migrate(&db, catalogue_path(), all, (size_t)base + 2, &err),
	                 STORE_OK);
	db_clear(&db);
	ck_assert_int_eq(db_query_int(&db, "PRAGMA user_version"), base);
	ck_assert_int_eq(db_query_int(&db, "SELECT count(*) FROM sqlite_schema WHERE name = 'c'"),
	                 0);
	db_close(&db);
}
END_TEST

START_TEST(a_catalogue_of_the_first_version_is_brought_up_to_date)
{
	struct store_error err = { 0 };
	struct db db;

	close(open(catalogue_path(), O_RDWR | O_CREAT, 0600));
	ck_assert_int_eq(db_open(&db, catalogue_path(), DB_WRITER, &err), STORE_OK);
	ck_assert_int_eq(schema_migrate(&db, catalogue_path(), schema_migrations, 1, &err),
	                 STORE_OK);
	db_close(&db);
	struct store *store = open_here();
	put_ok(store, 1, 1000);
	ck_assert_int_eq(put_model(store, "m", 1, 1000, NULL), STORE_OK);
	store_close(store);
}
END_TEST

START_TEST(ten_thousand_modules_open_within_a_second)
{
	struct store *store = open_here();
	struct storecall call = STORECALL_INIT;
	uint8_t *bytes = malloc(10000 * 8);

	for (uint64_t i = 0; i < 10000; i++) {
		struct store_module_put module = { .bytes = bytes + 8 * i,
			                           .size_bytes = 8,
			                           .info = "{\"exports\":[]}" };
		enum store_status status;

		memcpy(bytes + 8 * i, &i, 8);
		digest_of(bytes + 8 * i, 8, &module.digest);
		while ((status = store_module_put(store, &module, NULL, NULL)) == STORE_E_BUSY)
			usleep(500);
		ck_assert_int_eq(status, STORE_OK);
	}
	store_reply_free(ASK(store_invocation_prune(store, 0, answer, &call))); /* all are done */
	store_close(store);
	free(bytes);
	uint64_t start_us = clock_monotonic_us();
	store = open_here();
	uint64_t took_us = clock_monotonic_us() - start_us;
	struct store_totals totals;
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.modules, 10000);
	ck_assert_msg(took_us < SECOND_US, "%" PRIu64 " us", took_us);
	store_close(store);
}
END_TEST

/* ---- limits of the queue and the disk ---- */

START_TEST(a_full_queue_says_busy_and_loses_nothing)
{
	struct store_options options = options_here();
	struct store_totals totals;
	uint64_t accepted = 0, refused = 0;
	char id[16];
	struct store_invocation_new invocation = { .id = id, .state = "queued", .spec = "{}" };

	options.queue_length = 4;
	struct store *store = open_with(&options);
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof id, "i%d", i);
		enum store_status status = store_invocation_add(store, &invocation, NULL, NULL);

		accepted += status == STORE_OK;
		refused += status == STORE_E_BUSY;
	}
	ck_assert_uint_eq(accepted + refused, 2000);
	ck_assert_uint_gt(refused, 0);
	store_close(store);
	store = open_here();
	store_get_totals(store, &totals);
	ck_assert_uint_eq(totals.invocations, accepted);
	store_close(store);
}
END_TEST

START_TEST(below_the_floor_nothing_new_is_taken)
{
	struct store_options options = options_here();

	struct store *store = open_with(&options);
	put_ok(store, 1, 1000);
	store_set_free_space_floor(store, UINT64_MAX / 2);
	ck_assert(!store_has_room(store, 1));
	struct store_reply *reply = put(store, 2, 1000, "{}", NULL);
	ck_assert_int_eq(reply->error.status, STORE_E_FULL);
	ck_assert_ptr_nonnull(strstr(reply->error.message, "free_space_floor"));
	store_reply_free(reply);
	ck_assert_int_eq(store_health(store, NULL, 0), STORE_HEALTHY);
	reply = put(store, 1, 1000, "{}", &app1); /* needs no room to speak of */
	ck_assert_int_eq(status_and_free(reply), STORE_OK);
	store_set_free_space_floor(store, 0);
	ck_assert(store_has_room(store, 1));
	put_ok(store, 2, 1000);
	store_close(store);
}
END_TEST

static _Atomic int health_seen;

static void
note_health(void *arg, enum store_health health, const char *reason)
{
	(void)arg;
	(void)reason;
	health_seen = (int)health;
}

/* A limit on the size of files stands for a disk that is full: SQLite sees a failed write. */
START_TEST(a_full_disk_refuses_writes_serves_reads_and_recovers)
{
	struct store_options options = options_here();
	struct rlimit limit = { 400000, RLIM_INFINITY };
	char reason[200];

	signal(SIGXFSZ, SIG_IGN);
	options.health_fn = note_health;
	struct store *store = open_with(&options);
	struct digest digest = put_ok(store, 1, 1000);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	struct store_reply *reply = put(store, 2, 2000000, "{}", &app1);
	ck_assert_msg(reply->error.status == STORE_E_FULL, "%s", reply->error.message);
	ck_assert_uint_eq(reply->module_count, 0);
	store_reply_free(reply);
	ck_assert_int_eq(store_health(store, reason, sizeof reason), STORE_DISK_FULL);
	ck_assert_str_ne(reason, "");
	ck_assert_int_eq(status_and_free(get(store, &digest, true)), STORE_OK);

	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	uint64_t end_us = clock_monotonic_us() + 5 * SECOND_US;
	while (store_health(store, NULL, 0) != STORE_HEALTHY && clock_monotonic_us() < end_us)
		usleep(10000);
	ck_assert_int_eq(store_health(store, NULL, 0), STORE_HEALTHY);
	ck_assert_int_eq(health_seen, STORE_HEALTHY);
	reply = put(store, 2, 2000000, "{}", &app1);
	ck_assert_int_eq(status_and_free(reply), STORE_OK);
	ck_assert_int_eq(status_and_free(get(store, &digest, true)), STORE_OK);
	store_close(store);
}
END_TEST

START_TEST(one_request_too_large_for_the_disk_does_not_take_others_down)
{
	struct store *store = open_here();
	struct rlimit limit = { 1000000, RLIM_INFINITY };
	struct storecall calls[3] = { STORECALL_INIT, STORECALL_INIT, STORECALL_INIT };
	static const size_t module_sizes[3] = { 1000, 3000000, 2000 };
	uint8_t *bytes[3];

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct store_module_put module = { .size_bytes = module_sizes[i], .info = "{}" };

		bytes[i] = bytes_of(i, module_sizes[i]);
		module.bytes = bytes[i];
		digest_of(bytes[i], module_sizes[i], &module.digest);
		ck_assert_int_eq(store_module_put(store, &module, answer, &calls[i]), STORE_OK);
	}
	for (unsigned i = 0; i < 3; i++) {
		struct store_reply *reply = storecall_wait(&calls[i]);

		ck_assert_msg(reply->error.status == (i == 1 ? STORE_E_FULL : STORE_OK), "%u: %s",
		              i, reply->error.message);
		store_reply_free(reply);
		free(bytes[i]);
	}
	store_close(store);
}
END_TEST

/* A file system of our own, which only this process sees. False where that is not allowed. */
static bool
mount_small(const char *size)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", directory, "tmpfs", 0, size) == 0;
}

static void
fill_disk(const char *path)
{
	static const char zeros[4096];
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	while (write(fd, zeros, sizeof zeros) > 0)
		;
	close(fd);
}

START_TEST(a_store_opens_on_a_full_disk_and_recovers)
{
	char filler[96];

	if (!mount_small("size=8m")) {
		unit_skip("a_store_opens_on_a_full_disk_and_recovers",
		          "mounting is not allowed here");
		return;
	}
	struct store *store = open_here();
	struct digest digest = put_ok(store, 1, 300000);
	ck_assert_int_eq(add_invocation(store, "inv_1", NULL), STORE_OK);
	snprintf(filler, sizeof filler, "%s/filler", directory);
	fill_disk(filler);
	struct store_reply *reply = put(store, 2, 300000, "{}", NULL);
	ck_assert_int_eq(status_and_free(reply), STORE_E_FULL);
	store_close(store);
	fill_disk(filler); /* what closing freed */

	store = open_here();
	ck_assert_int_eq(status_and_free(get(store, &digest, true)), STORE_OK);
	ck_assert_int_eq(unlink(filler), 0);
	uint64_t end_us = clock_monotonic_us() + 5 * SECOND_US;
	while (store_health(store, NULL, 0) != STORE_HEALTHY && clock_monotonic_us() < end_us)
		usleep(10000);
	reply = put(store, 2, 300000, "{}", &app1);
	ck_assert_msg(reply->error.status == STORE_OK, "%s", reply->error.message);
	store_reply_free(reply);
	struct storecall call = STORECALL_INIT;
	reply = ASK(store_invocation_get(store, "inv_1", answer, &call));
	ck_assert_str_eq(reply->invocations[0].state, "lost");
	store_reply_free(reply);
	store_close(store);
	umount(directory);
}
END_TEST

START_TEST(another_program_that_holds_the_database_makes_writes_wait_not_fail_for_ever)
{
	struct store *store = open_here();
	struct storecall calls[8] = {
		STORECALL_INIT, STORECALL_INIT, STORECALL_INIT, STORECALL_INIT,
		STORECALL_INIT, STORECALL_INIT, STORECALL_INIT, STORECALL_INIT,
	};
	struct digest digest = put_ok(store, 1, 10);
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(catalogue_path(), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	uint64_t start_us = clock_monotonic_us();
	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_eq(
		    store_tag_put(store, &app1, &digest, NULL, NULL, answer, &calls[i]), STORE_OK);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_eq(status_and_free(storecall_wait(&calls[i])), STORE_E_BUSY);
	ck_assert_uint_lt(clock_monotonic_us() - start_us, 4 * SECOND_US);
	ck_assert_int_eq(store_health(store, NULL, 0), STORE_HEALTHY);
	ck_assert_int_eq(status_and_free(get(store, &digest, true)), STORE_OK);
	sqlite3_close(db);
	ck_assert_int_eq(tag_to(store, &app1, &digest), STORE_OK);
	store_close(store);
}
END_TEST

/* ---- memory runs out ---- */

static sqlite3_mem_methods real_memory;
static _Atomic long allocations_left = -1; /* the one that finds 0 fails; negative: none does */

static bool
allocation_fails(void)
{
	long left = allocations_left;

	if (left < 0)
		return false;
	allocations_left = left - 1;
	return left == 0;
}

static void *
failing_malloc(int size)
{
	return allocation_fails() ? NULL : real_memory.xMalloc(size);
}

static void *
failing_realloc(void *old, int size)
{
	return allocation_fails() ? NULL : real_memory.xRealloc(old, size);
}

START_TEST(any_failing_allocation_leaves_the_store_whole)
{
	struct store_options options = options_here();
	sqlite3_mem_methods memory;
	long succeeded_at = -1;
	uint64_t end_us = clock_monotonic_us() + 3 * SECOND_US / 2;

	ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
	memory = real_memory;
	memory.xMalloc = failing_malloc;
	memory.xRealloc = failing_realloc;
	ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory), SQLITE_OK);
	options.readers = 1;
	/* Steps grow, so that the later allocations are reached within the time. */
	for (long n = 0; succeeded_at < 0 && clock_monotonic_us() < end_us; n += 1 + n / 40) {
		struct store *store = NULL;
		struct store_error err;
		struct digest digest = digest_of_seed((uint64_t)n, 300000);

		allocations_left = n;
		enum store_status status = store_open(&options, &store, &err);
		if (status != STORE_OK) {
			ck_assert_msg(status == STORE_E_NOMEM || status == STORE_E_IO, "%s",
			              err.message);
			allocations_left = -1;
			continue;
		}
		struct store_reply *reply = put(store, (uint64_t)n, 300000, "{}", &app1);
		bool stored = reply->error.status == STORE_OK;
		store_reply_free(reply);
		reply = get(store, &digest, true);
		if (reply->error.status == STORE_OK)
			ck_assert_uint_eq(reply->size_bytes, 300000);
		else
			ck_assert_int_ne(reply->error.status, STORE_E_DAMAGED);
		store_reply_free(reply);
		if (allocations_left >= 0)
			succeeded_at = n;
		allocations_left = -1;
		ck_assert_int_eq(status_and_free(get(store, &digest, true)),
		                 stored ? STORE_OK : STORE_E_NOT_FOUND);
		store_close(store);
	}
	store_close(open_here());
}
END_TEST

/* ---- crashes ---- */

/* What the child says when a change has been acknowledged. */
struct ack {
	uint32_t seed;
	uint32_t size;
};

struct writer {
	struct store *store;
	int fd;
	uint32_t first_seed;
};

/* Acknowledged means written to the pipe: after that the parent counts on it. */
static void *
write_modules(void *arg)
{
	const struct writer *writer = arg;
	char text[16];
	struct store_tag_name tag = { "crash", "t", text };

	for (uint32_t seed = writer->first_seed;; seed += 8) {
		struct ack ack = { seed, 1 + seed * 7919 % (2 * CHUNK_BYTES) };

		snprintf(text, sizeof text, "%u", seed);
		struct store_reply *reply = put(writer->store, seed, ack.size, "{}", &tag);
		if (reply->error.status == STORE_OK && write(writer->fd, &ack, sizeof ack) < 0)
			_exit(1);
		store_reply_free(reply);
	}
	return NULL;
}

static _Noreturn void
crash_child(int fd, uint32_t first_seed)
{
	struct store *store = open_here();
	struct writer writers[8];
	pthread_t threads[8];

	for (uint32_t i = 0; i < 8; i++) {
		writers[i] = (struct writer){ store, fd, first_seed + i };
		pthread_create(&threads[i], NULL, write_modules, &writers[i]);
	}
	for (;;)
		pause();
}

/* Everything acknowledged is there, whole, and tagged. */
static void
check_acknowledged(struct store *store, const struct ack *acks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct digest digest = digest_of_seed(acks[i].seed, acks[i].size), found;
		char text[16];
		struct store_tag_name tag = { "crash", "t", text };
		struct store_reply *reply = get(store, &digest, true);

		ck_assert_msg(reply->error.status == STORE_OK, "seed %u: %s", acks[i].seed,
		              reply->error.message);
		store_reply_free(reply);
		snprintf(text, sizeof text, "%u", acks[i].seed);
		ck_assert_int_eq(store_tag_resolve(store, &tag, &found, NULL), STORE_OK);
		ck_assert(digest_equal(&digest, &found));
	}
}

START_TEST(what_was_acknowledged_survives_kill_9)
{
	const char *setting = getenv("CRASH_ROUNDS");
	unsigned rounds = setting != NULL ? (unsigned)atoi(setting) : 10;
	uint32_t seed = 0;
	size_t total = 0;

	for (unsigned round = 0; round < rounds; round++) {
		struct ack acks[4096];
		size_t count = 0;
		int fds[2];

		ck_assert_int_eq(pipe(fds), 0);
		pid_t child = fork();
		if (child == 0) {
			close(fds[0]);
			crash_child(fds[1], seed);
		}
		close(fds[1]);
		usleep(20000 + round * 37987 % 150000);
		kill(child, SIGKILL);
		while (count < 4096 && read(fds[0], &acks[count], sizeof acks[0]) == sizeof acks[0])
			count++;
		close(fds[0]);
		waitpid(child, NULL, 0);
		struct store_options options = options_here();
		options.check = true;
		struct store *store = open_with(&options);
		check_acknowledged(store, acks, count);
		store_close(store);
		for (size_t i = 0; i < count; i++)
			seed = acks[i].seed >= seed ? acks[i].seed + 8 : seed;
		seed = (seed + 7) / 8 * 8;
		total += count;
	}
	ck_assert_uint_gt(total, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("daemon/store");
	TCase *tcase = tcase_create("store");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, make_place, remove_place);
	tcase_add_loop_test(tcase, a_module_is_read_as_it_was_put_also_after_reopening, 0,
	                    sizeof sizes / sizeof sizes[0]);
	tcase_add_test(tcase, the_same_module_again_is_known_and_its_info_renewed);
	tcase_add_test(tcase, what_cannot_be_a_module_is_refused);
	tcase_add_test(tcase, a_tagged_module_is_deleted_only_by_force);
	tcase_add_test(tcase, a_list_is_read_in_pages_newest_first);
	tcase_add_loop_test(tcase, a_list_is_filtered, 0,
	                    sizeof filter_cases / sizeof filter_cases[0]);
	tcase_add_loop_test(tcase, a_model_is_read_as_it_was_put_also_after_reopening, 0,
	                    sizeof sizes / sizeof sizes[0]);
	tcase_add_test(tcase, bytes_of_a_model_go_with_the_last_that_has_them);
	tcase_add_test(tcase, a_model_is_replaced_only_if_the_condition_holds);
	tcase_add_test(tcase, models_are_listed_in_pages_by_name);
	tcase_add_loop_test(tcase, a_damaged_model_is_not_handed_out_and_repaired_by_a_new_put, 0,
	                    4);
	tcase_add_test(tcase, what_cannot_be_a_model_is_refused);
	tcase_add_test(tcase, a_tag_is_compared_and_swapped);
	tcase_add_test(tcase, of_each_name_the_latest_changes_are_kept);
	tcase_add_test(tcase, a_put_whose_tag_conflicts_stores_nothing);
	tcase_add_test(tcase, tags_are_listed_in_order_of_their_names);
	tcase_add_test(tcase, many_tags_are_resolved_after_reopening);
	tcase_add_test(tcase, an_invocation_goes_through_its_states_once);
	tcase_add_test(tcase, unfinished_invocations_are_lost_with_the_process);
	tcase_add_test(tcase, invocations_are_listed_and_pruned);
	tcase_add_loop_test(tcase, damage_is_found_and_repaired_by_a_new_put, 0,
	                    sizeof damage_cases / sizeof damage_cases[0]);
	tcase_add_test(tcase, a_damaged_tag_is_not_followed);
	tcase_add_test(tcase, random_bit_flips_never_give_wrong_bytes);
	tcase_add_test(tcase, a_folder_belongs_to_one_store);
	tcase_add_test(tcase, only_the_owner_may_read_the_files);
	tcase_add_loop_test(tcase, a_foreign_or_newer_database_is_refused, 0,
	                    sizeof open_cases / sizeof open_cases[0]);
	tcase_add_test(tcase, what_is_no_database_is_refused_and_not_touched);
	tcase_add_test(tcase, a_quick_check_finds_a_broken_tree);
	tcase_add_test(tcase, migrations_go_forward_after_a_copy);
	tcase_add_test(tcase, a_catalogue_of_the_first_version_is_brought_up_to_date);
	tcase_add_test(tcase, ten_thousand_modules_open_within_a_second);
	tcase_add_test(tcase, a_full_queue_says_busy_and_loses_nothing);
	tcase_add_test(tcase, below_the_floor_nothing_new_is_taken);
	tcase_add_test(tcase, a_full_disk_refuses_writes_serves_reads_and_recovers);
	tcase_add_test(tcase, a_store_opens_on_a_full_disk_and_recovers);
	tcase_add_test(tcase, one_request_too_large_for_the_disk_does_not_take_others_down);
	tcase_add_test(tcase,
	               another_program_that_holds_the_database_makes_writes_wait_not_fail_for_ever);
	tcase_add_test(tcase, any_failing_allocation_leaves_the_store_whole);
	tcase_add_test(tcase, what_was_acknowledged_survives_kill_9);
	suite_add_tcase(suite, tcase);
	return suite;
}
