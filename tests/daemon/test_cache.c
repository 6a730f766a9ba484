/*
 * cache.db: what comes back, what does not fit, what goes, and what is done about damage.
 */
#include "daemon/cache.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/support/unit.h"

static char directory[] = "/tmp/wasmedged-cache-XXXXXX";
static char path[64];
static unsigned seen[4]; /* events by kind */

static void
count_event(void *env, const struct cache_event *event)
{
	(void)env;
	seen[event->kind]++;
}

static void
make_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/cache.db", directory);
	memset(seen, 0, sizeof seen);
}

static void
remove_directory(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

/* Of the build made of that byte, on a processor with these features. */
static struct cache *
open_as(uint8_t build, uint64_t features, uint64_t bytes_max)
{
	struct cache_options options = {
		.directory = directory,
		.bytes_max = bytes_max,
		.cpu_features = features,
		.event_fn = count_event,
	};

	memset(options.build, build, sizeof options.build);
	struct cache *cache = cache_open(&options);
	ck_assert_ptr_nonnull(cache);
	return cache;
}

#define ROOM (UINT64_C(1) << 30)

static struct cache *
open_usual(void)
{
	return open_as(7, 3, ROOM);
}

static struct digest
module_of(unsigned number)
{
	struct digest digest;

	digest_of(&number, sizeof number, &digest);
	return digest;
}

/* size bytes that tell the module. */
static bool
put(struct cache *cache, unsigned module, bool is_metered, enum vm_compile_level level, size_t size)
{
	struct cache_artifact artifact = {
		.module = module_of(module),
		.level = level,
		.is_metered = is_metered,
		.size_bytes = size,
		.compile_us = 1234,
	};
	uint8_t *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + module);
	memset(artifact.mac, (int)module, sizeof artifact.mac);
	bool ok = cache_put(cache, &artifact, bytes, NULL);
	free(bytes);
	return ok;
}

/* Whether it is there, and is what put() put. */
static enum cache_found
find(struct cache *cache, unsigned module, bool is_metered, struct cache_artifact *out)
{
	const struct digest digest = module_of(module);
	struct cache_artifact artifact;
	uint8_t *bytes = NULL;

	enum cache_found found = cache_find(cache, &digest, is_metered, &artifact, &bytes);
	if (found != CACHE_HIT) {
		ck_assert_ptr_null(bytes);
		return found;
	}
	size_t same = 0;
	while (same < artifact.size_bytes && bytes[same] == (uint8_t)(same * 7 + module))
		same++;
	ck_assert_uint_eq(same, artifact.size_bytes);
	ck_assert_uint_eq(artifact.mac[0], module);
	ck_assert(artifact.is_metered == is_metered);
	free(bytes);
	if (out != NULL)
		*out = artifact;
	return CACHE_HIT;
}

START_TEST(what_was_put_comes_back_after_a_restart)
{
	static const size_t sizes[] = { 1, 262143, 262144, 262145, 3000000 };
	struct cache_artifact found;
	struct cache *cache = open_usual();

	for (unsigned i = 0; i < 5; i++)
		ck_assert(put(cache, i, false, VM_COMPILE_BEST, sizes[i]));
	cache_close(cache);
	cache = open_usual();
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(find(cache, i, false, &found), CACHE_HIT);
		ck_assert_uint_eq(found.size_bytes, sizes[i]);
		ck_assert_uint_eq(found.compile_us, 1234);
		ck_assert(found.fits && !found.is_pinned);
	}
	ck_assert_int_eq(find(cache, 5, false, NULL), CACHE_MISS);
	ck_assert_int_eq(find(cache, 0, true, NULL), CACHE_MISS);
	cache_close(cache);
}
END_TEST

START_TEST(nobody_else_can_read_the_file)
{
	struct stat st;
	struct cache *cache = open_usual();

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	cache_close(cache);
}
END_TEST

START_TEST(code_of_another_build_or_processor_is_a_miss)
{
	struct cache_artifact *artifacts;
	struct digest digest = module_of(1);
	size_t count;
	struct cache *cache = open_usual();

	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 1000));
	cache_close(cache);
	for (int other = 0; other < 2; other++) {
		cache = other == 0 ? open_as(8, 3, ROOM) : open_as(7, 2, ROOM);
		ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_MISS);
		ck_assert(cache_list(cache, &digest, &artifacts, &count));
		ck_assert_uint_eq(count, 1);
		ck_assert(!artifacts[0].fits);
		free(artifacts);
		cache_close(cache);
	}
	cache = open_usual();
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_HIT);
	cache_close(cache);
	ck_assert_uint_eq(seen[CACHE_DAMAGED] + seen[CACHE_RENEWED] + seen[CACHE_FAILING], 0);
}
END_TEST

START_TEST(the_better_level_is_found_first)
{
	struct cache_artifact found;
	struct cache *cache = open_usual();

	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 10));
	ck_assert(put(cache, 1, false, VM_COMPILE_FAST, 20));
	ck_assert_int_eq(find(cache, 1, false, &found), CACHE_HIT);
	ck_assert_int_eq(found.level, VM_COMPILE_BEST);
	cache_discard(cache, &found, "for the test");
	ck_assert_uint_eq(seen[CACHE_DAMAGED], 1);
	ck_assert_int_eq(find(cache, 1, false, &found), CACHE_HIT);
	ck_assert_int_eq(found.level, VM_COMPILE_FAST);
	cache_close(cache);
}
END_TEST

START_TEST(the_same_key_is_replaced)
{
	struct cache_totals totals;
	struct cache_artifact found;
	struct cache *cache = open_usual();

	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 10));
	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 30));
	ck_assert_int_eq(find(cache, 1, false, &found), CACHE_HIT);
	ck_assert_uint_eq(found.size_bytes, 30);
	cache_get_totals(cache, &totals);
	ck_assert_uint_eq(totals.artifacts, 1);
	ck_assert_uint_eq(totals.bytes, 30);
	cache_close(cache);
}
END_TEST

START_TEST(the_least_recently_used_goes)
{
	struct cache_artifact found;
	struct cache_totals totals;
	struct cache *cache = open_as(7, 3, 3000);

	for (unsigned i = 0; i < 3; i++)
		ck_assert(put(cache, i, false, VM_COMPILE_BEST, 1000));
	ck_assert_int_eq(find(cache, 0, false, &found), CACHE_HIT);
	usleep(2000); /* times are microseconds */
	cache_touch(cache, found.id);
	ck_assert(put(cache, 3, false, VM_COMPILE_BEST, 1000));
	ck_assert_uint_eq(seen[CACHE_EVICTED], 1);
	ck_assert_int_eq(find(cache, 0, false, &found), CACHE_HIT);
	ck_assert_uint_eq(found.uses, 1);
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_MISS);
	ck_assert_int_eq(find(cache, 2, false, NULL), CACHE_HIT);
	ck_assert_int_eq(find(cache, 3, false, NULL), CACHE_HIT);

	cache_set_bytes_max(cache, 1500);
	ck_assert(!put(cache, 4, false, VM_COMPILE_BEST, 1501));
	ck_assert(put(cache, 4, false, VM_COMPILE_BEST, 600));
	cache_get_totals(cache, &totals);
	ck_assert_uint_le(totals.bytes, 1500);
	cache_close(cache);
}
END_TEST

START_TEST(what_is_in_use_is_not_the_oldest)
{
	struct cache_artifact before, found;
	struct cache *cache = open_as(7, 3, 3000);

	for (unsigned i = 0; i < 3; i++)
		ck_assert(put(cache, i, i == 1, VM_COMPILE_BEST, 1000));
	ck_assert_int_eq(find(cache, 2, false, &before), CACHE_HIT);
	usleep(2000); /* times are microseconds */
	const struct cache_use uses[] = {
		{ module_of(0), false },
		{ module_of(1), true },
		{ module_of(2), true }, /* of which there is nothing */
		{ module_of(9), false },
	};
	cache_touch_used(cache, uses, sizeof uses / sizeof uses[0]);
	ck_assert_int_eq(find(cache, 2, false, &found), CACHE_HIT);
	ck_assert_int_eq(found.used_us, before.used_us);
	ck_assert_int_eq(find(cache, 1, true, &found), CACHE_HIT);
	ck_assert_int_gt(found.used_us, before.used_us);
	ck_assert_uint_eq(found.uses, 0);
	ck_assert(put(cache, 3, false, VM_COMPILE_BEST, 1000));
	ck_assert_int_eq(find(cache, 2, false, NULL), CACHE_MISS);
	ck_assert_int_eq(find(cache, 0, false, NULL), CACHE_HIT);
	ck_assert_int_eq(find(cache, 1, true, NULL), CACHE_HIT);
	cache_close(cache);
}
END_TEST

START_TEST(artifacts_are_removed_one_by_one_or_all)
{
	struct digest first = module_of(1), second = module_of(2);
	struct cache_artifact found;
	struct cache *cache = open_usual();

	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 10));
	ck_assert(put(cache, 1, true, VM_COMPILE_BEST, 10));
	ck_assert(put(cache, 2, false, VM_COMPILE_BEST, 10));
	ck_assert_int_eq(find(cache, 1, true, &found), CACHE_HIT);
	ck_assert_uint_eq(cache_remove(cache, &second, found.id), 0); /* another module's */
	ck_assert_uint_eq(cache_remove(cache, &first, found.id), 1);
	ck_assert_int_eq(find(cache, 1, true, NULL), CACHE_MISS);
	ck_assert_uint_eq(cache_remove(cache, &first, 0), 1);
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_MISS);
	ck_assert_int_eq(find(cache, 2, false, NULL), CACHE_HIT);
	cache_close(cache);
}
END_TEST

START_TEST(a_pinned_variant_stays_pinned)
{
	struct digest digest = module_of(1);
	struct cache *cache = open_usual();

	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 10));
	ck_assert(put(cache, 1, true, VM_COMPILE_BEST, 10));
	ck_assert(cache_pin(cache, &digest, false));
	cache_close(cache);
	cache = open_usual();
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_PINNED);
	ck_assert_int_eq(find(cache, 1, true, NULL), CACHE_HIT);
	ck_assert_uint_eq(cache_remove(cache, &digest, 0), 2);
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_MISS);
	cache_close(cache);
}
END_TEST

static void
write_file(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static void
run_sql(const char *sql)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

START_TEST(a_file_that_is_none_of_ours_is_moved_aside)
{
	char damaged[80];

	if (_i == 0)
		write_file("this is no database, but it is long enough to look at", 53);
	else if (_i == 1)
		run_sql("CREATE TABLE artifact (x); PRAGMA user_version = 1");
	else
		run_sql("PRAGMA application_id = 0x77736d63; PRAGMA user_version = 99;"
		        "CREATE TABLE artifact (later)");
	struct cache *cache = open_usual();
	ck_assert_uint_eq(seen[CACHE_RENEWED], 1);
	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 10));
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_HIT);
	cache_close(cache);
	snprintf(damaged, sizeof damaged, "%s.damaged", path);
	ck_assert_int_eq(access(damaged, F_OK), 0);
}
END_TEST

START_TEST(incomplete_artifacts_are_removed)
{
	static const char *const damages[] = {
		"DELETE FROM artifact_chunk WHERE n = 1",
		"UPDATE artifact_chunk SET n = 7 WHERE n = 1",
		"UPDATE artifact_chunk SET data = zeroblob(5) WHERE n = 0",
		"UPDATE artifact SET size = size + 1",
		"UPDATE artifact SET size = -1",
		"UPDATE artifact SET size = 0",
		"UPDATE artifact SET mac = x'00'",
	};
	struct cache *cache = open_usual();

	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 600000));
	cache_close(cache);
	run_sql(damages[_i]);
	cache = open_usual();
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_MISS);
	ck_assert_uint_eq(seen[CACHE_DAMAGED], 1);
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_MISS);
	ck_assert_uint_eq(seen[CACHE_DAMAGED], 1); /* it is gone */
	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 600000));
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_HIT);
	cache_close(cache);
}
END_TEST

START_TEST(a_file_damaged_while_open_is_begun_anew)
{
	struct stat st;
	struct cache *cache = open_usual();

	for (unsigned i = 0; i < 20; i++)
		ck_assert(put(cache, i, false, VM_COMPILE_BEST, 300000));
	cache_close(cache);
	cache = open_usual();
	ck_assert_int_eq(stat(path, &st), 0);
	int fd = open(path, O_WRONLY);
	char *noise = malloc((size_t)st.st_size);
	memset(noise, 0xa5, (size_t)st.st_size);
	ck_assert_int_gt(pwrite(fd, noise, (size_t)st.st_size - 4096, 4096), 0);
	free(noise);
	close(fd);
	for (unsigned i = 0; i < 20; i++)
		(void)!find(cache, i, false, NULL);
	ck_assert_uint_ge(seen[CACHE_RENEWED] + seen[CACHE_DAMAGED], 1);
	ck_assert(put(cache, 1, false, VM_COMPILE_BEST, 10) ||
	          put(cache, 1, false, VM_COMPILE_BEST, 10));
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_HIT);
	cache_close(cache);
}
END_TEST

START_TEST(where_no_file_can_be_everything_is_a_miss)
{
	ck_assert_int_eq(mkdir(path, 0700), 0); /* a folder of that name */
	struct cache *cache = open_usual();
	struct digest digest = module_of(1);
	struct cache_artifact *artifacts;
	size_t count;

	ck_assert_uint_ge(seen[CACHE_FAILING], 1);
	ck_assert(!put(cache, 1, false, VM_COMPILE_BEST, 10));
	ck_assert_int_eq(find(cache, 1, false, NULL), CACHE_MISS);
	ck_assert(cache_list(cache, &digest, &artifacts, &count));
	ck_assert_uint_eq(count, 0);
	ck_assert_uint_eq(cache_remove(cache, &digest, 0), 0);
	ck_assert(!cache_pin(cache, &digest, false));
	cache_touch(cache, 1);
	cache_close(cache);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("cache");
	TCase *tcase = tcase_create("cache");

	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_test(tcase, what_was_put_comes_back_after_a_restart);
	tcase_add_test(tcase, nobody_else_can_read_the_file);
	tcase_add_test(tcase, code_of_another_build_or_processor_is_a_miss);
	tcase_add_test(tcase, the_better_level_is_found_first);
	tcase_add_test(tcase, the_same_key_is_replaced);
	tcase_add_test(tcase, the_least_recently_used_goes);
	tcase_add_test(tcase, what_is_in_use_is_not_the_oldest);
	tcase_add_test(tcase, artifacts_are_removed_one_by_one_or_all);
	tcase_add_test(tcase, a_pinned_variant_stays_pinned);
	tcase_add_loop_test(tcase, a_file_that_is_none_of_ours_is_moved_aside, 0, 3);
	tcase_add_loop_test(tcase, incomplete_artifacts_are_removed, 0, 7);
	tcase_add_test(tcase, a_file_damaged_while_open_is_begun_anew);
	tcase_add_test(tcase, where_no_file_can_be_everything_is_a_miss);
	suite_add_tcase(suite, tcase);
	return suite;
}
