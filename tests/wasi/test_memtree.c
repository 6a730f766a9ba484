/*
 * test_memtree.c - in-memory trees as the embedder fills, bounds and reads them.
 */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/wasi/sandbox.h"

static struct vm_wasi_tree *
tree_new(uint64_t bytes_max)
{
	struct vm_wasi_tree *tree;

	ck_assert_int_eq(vm_wasi_tree_new(bytes_max, &tree, NULL), VM_OK);
	return tree;
}

static struct vm_str
str(const char *text)
{
	return (struct vm_str){ text, strlen(text) };
}

static enum vm_status
put(struct vm_wasi_tree *tree, const char *path, const char *text, struct vm_error *err)
{
	return vm_wasi_tree_put(tree, str(path), text, strlen(text), err);
}

/* Collected paths and contents, as "path=contents;". */
static enum vm_status
append(void *env, struct vm_str path, const void *data, size_t len, struct vm_error *err)
{
	char *out = env;
	size_t at = strlen(out);

	if (len > 100)
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET, "too long");
	sprintf(out + at, "%.*s=%.*s;", (int)path.len, path.data, (int)len, (const char *)data);
	return VM_OK;
}

static const struct pattern_case {
	const char *pattern;
	const char *want;
} pattern_cases[] = {
	{ "/out/*", "/out/a.txt=1;/out/b.txt=2;" },
	{ "/out/a.txt", "/out/a.txt=1;" },
	{ "/out/*.txt", "/out/a.txt=1;/out/b.txt=2;" },
	{ "/out/?.txt", "" },
	{ "/out/**", "/out/a.txt=1;/out/b.txt=2;/out/sub/c.txt=3;/out/sub/deep/d.bin=4;" },
	{ "/**/*.txt", "/out/a.txt=1;/out/b.txt=2;/out/sub/c.txt=3;" },
	{ "/**", "/in=0;/out/a.txt=1;/out/b.txt=2;/out/sub/c.txt=3;/out/sub/deep/d.bin=4;" },
	{ "/*", "/in=0;" },
	{ "**d*", "/out/sub/deep/d.bin=4;" },
	{ "/out/*/c*", "/out/sub/c.txt=3;" },
	{ "/*/*/*", "/out/sub/c.txt=3;" },
	{ "", "" },
	{ "out/*", "" },
	{ "/out/a.txt*", "/out/a.txt=1;" },
	{ "/out/a.tx", "" },
	{ "*******************************a", "" },
};

START_TEST(files_are_collected_by_pattern_in_order)
{
	struct vm_wasi_tree *tree = tree_new(1 << 20);
	char got[512];

	ck_assert_int_eq(put(tree, "out/sub/deep/d.bin", "4", NULL), VM_OK);
	ck_assert_int_eq(put(tree, "/out/b.txt", "2", NULL), VM_OK);
	ck_assert_int_eq(put(tree, "/in", "0", NULL), VM_OK);
	ck_assert_int_eq(put(tree, "/out/a.txt", "one", NULL), VM_OK);
	ck_assert_int_eq(put(tree, "/out/a.txt", "1", NULL), VM_OK); /* replaced */
	ck_assert_int_eq(put(tree, "/out/sub/c.txt", "3", NULL), VM_OK);
	for (size_t i = 0; i < sizeof pattern_cases / sizeof *pattern_cases; i++) {
		got[0] = '\0';
		ck_assert_int_eq(
		    vm_wasi_tree_collect(tree, str(pattern_cases[i].pattern), append, got, NULL),
		    VM_OK);
		ck_assert_msg(strcmp(got, pattern_cases[i].want) == 0, "%s: got %s, want %s",
		              pattern_cases[i].pattern, got, pattern_cases[i].want);
	}
	vm_wasi_tree_free(tree);
}
END_TEST

/* Every star could stand for every part of the path: that must not take its time. */
START_TEST(no_pattern_takes_long)
{
	struct vm_wasi_tree *tree = tree_new(1 << 20);
	char path[4000];
	char pattern[300];
	char got[8192] = "";

	for (size_t i = 0; i < sizeof path; i++)
		path[i] = i % 200 ? 'a' : '/';
	ck_assert_int_eq(vm_wasi_tree_put(tree, (struct vm_str){ path, sizeof path }, "", 0, NULL),
	                 VM_OK);
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = "**a*a"[i % 5];
	ck_assert_int_eq(
	    vm_wasi_tree_collect(tree, (struct vm_str){ pattern, 250 }, append, got, NULL), VM_OK);
	pattern[249] = 'b';
	got[0] = '\0';
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(
		    vm_wasi_tree_collect(tree, (struct vm_str){ pattern, 250 }, append, got, NULL),
		    VM_OK);
	ck_assert_str_eq(got, "");
	memset(pattern, 'x', sizeof pattern);
	ck_assert_int_eq(
	    vm_wasi_tree_collect(tree, (struct vm_str){ pattern, 255 }, append, got, NULL), VM_OK);
	ck_assert_int_eq(
	    vm_wasi_tree_collect(tree, (struct vm_str){ pattern, 256 }, append, got, NULL),
	    VM_E_ARGUMENT);
	vm_wasi_tree_free(tree);
}
END_TEST

START_TEST(a_visitor_may_end_the_walk)
{
	struct vm_wasi_tree *tree = tree_new(1 << 20);
	struct vm_error err;
	char got[512] = "";
	char text[200] = "";

	memset(text, 'x', 150);
	ck_assert_int_eq(put(tree, "a", "", NULL), VM_OK);
	ck_assert_int_eq(put(tree, "b", text, NULL), VM_OK);
	ck_assert_int_eq(put(tree, "c", "", NULL), VM_OK);
	ck_assert_int_eq(vm_wasi_tree_collect(tree, str("/*"), append, got, &err), VM_E_LIMIT);
	ck_assert_str_eq(got, "/a=;");
	vm_wasi_tree_free(tree);
}
END_TEST

START_TEST(senseless_paths_are_refused)
{
	static const char *const paths[] = { "",    "/",    "a//b", "a/",    "//a",
		                             "./a", "a/..", "../a", "a/./b", "/.." };
	struct vm_wasi_tree *tree = tree_new(1 << 20);
	struct vm_error err;
	char name[300];

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		ck_assert_msg(put(tree, paths[i], "x", &err) == VM_E_ARGUMENT, "\"%s\"", paths[i]);
	ck_assert_int_eq(vm_wasi_tree_put(tree, (struct vm_str){ "a\0b", 3 }, "x", 1, &err),
	                 VM_E_ARGUMENT);
	memset(name, 'a', 256);
	name[256] = '\0';
	ck_assert_int_eq(put(tree, name, "x", &err), VM_E_ARGUMENT);
	ck_assert_int_eq(put(tree, "\xff", "x", &err), VM_E_ARGUMENT);
	ck_assert_int_eq(put(tree, "...", "x", &err), VM_OK);
	ck_assert_int_eq(put(tree, "f", "x", &err), VM_OK);
	ck_assert_int_eq(put(tree, "f/g", "x", &err), VM_E_ARGUMENT);
	ck_assert_int_eq(put(tree, "d/g", "x", &err), VM_OK);
	ck_assert_int_eq(put(tree, "d", "x", &err), VM_E_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.message, "\"d\""));
	vm_wasi_tree_free(tree);
}
END_TEST

START_TEST(trees_are_bounded)
{
	const uint64_t file = MEM_NODE_BYTES + MEM_ENTRY_BYTES + 1;
	struct vm_wasi_tree *tree;
	struct vm_error err;
	char big[2000];
	char name[16];
	int count = 0;

	ck_assert_int_eq(vm_wasi_tree_new(10, &tree, &err), VM_E_LIMIT);
	tree = tree_new(MEM_NODE_BYTES + 3 * file);
	memset(big, 'x', sizeof big);
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("f"), big, sizeof big, &err), VM_E_LIMIT);
	ck_assert_uint_eq(tree->bytes_used, MEM_NODE_BYTES); /* nothing is left behind */
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("f"), big, 100, &err), VM_OK);
	ck_assert_uint_eq(tree->bytes_used, MEM_NODE_BYTES + file + 100);
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("f"), big, file, &err), VM_OK);
	for (; count < 10; count++) {
		snprintf(name, sizeof name, "%d", count);
		if (put(tree, name, "", &err) != VM_OK)
			break;
	}
	ck_assert_int_eq(count, 1);
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("f"), big, 0, &err), VM_OK);
	ck_assert_int_eq(put(tree, "1", "", &err), VM_OK);
	vm_wasi_tree_free(tree);
}
END_TEST

/* Folders that were large do not keep what nobody is charged for. */
START_TEST(emptied_folders_give_back_their_room)
{
	struct vm_wasi_tree *tree = tree_new(1 << 22);
	struct mem_dir *dir = &tree->root->of.dir;
	char name[16];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "%d", i);
		ck_assert_int_eq(put(tree, name, "", NULL), VM_OK);
	}
	ck_assert_uint_ge(dir->capacity, 5000);
	for (int i = 0; i < 5000; i++) {
		/* From both ends. */
		int n = i % 2 ? i / 2 : 4999 - i / 2;
		int len = snprintf(name, sizeof name, "%d", n);
		mem_name_remove(tree, tree->root, name, (size_t)len);
		ck_assert_uint_eq(dir->count, 4999 - i);
		ck_assert(dir->capacity <= MEM_DIR_CAPACITY_MIN ||
		          dir->capacity <= 4 * (dir->count + 1));
		ck_assert_uint_le(dir->age_count, 2 * dir->count);
	}
	ck_assert_uint_eq(tree->bytes_used, MEM_NODE_BYTES);
	vm_wasi_tree_free(tree);
}
END_TEST

START_TEST(guests_are_charged_and_stopped_at_the_bound)
{
	struct sandbox box;
	struct vm_store_usage usage;
	uint32_t fd;

	sandbox_open(&box, MEMORY, false, NULL);
	vm_store_usage(box.store, &usage);
	const uint64_t before = usage.memory_bytes;
	EXPECT(open_at(&box, ROOT_FD, "f", 0, WASI_CREAT, RIGHTS_RW, 0, &fd), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_filestat_set_size, fd, 100000), WASI_SUCCESS);
	vm_store_usage(box.store, &usage);
	ck_assert_uint_ge(usage.memory_bytes - before, 100000);
	EXPECT(CALL(&box, fd_filestat_set_size, fd, 2 << 20), WASI_ENOSPC);
	EXPECT(CALL(&box, fd_filestat_set_size, fd, UINT64_MAX), WASI_ENOSPC);
	EXPECT(CALL(&box, fd_allocate, fd, 0, 2 << 20), WASI_ENOSPC);
	EXPECT(CALL(&box, fd_seek, fd, 2 << 20, 0, OUT), WASI_SUCCESS);
	EXPECT(write_fd(&box, fd, "x"), WASI_ENOSPC);
	EXPECT(CALL(&box, fd_seek, fd, INT64_MAX, 0, OUT), WASI_SUCCESS);
	EXPECT(write_fd(&box, fd, "x"), WASI_EFBIG);
	EXPECT(CALL(&box, fd_seek, fd, INT64_MAX, 1, OUT), WASI_EOVERFLOW);
	/* Open, without a name: the bytes still count. */
	EXPECT(unlink_at(&box, ROOT_FD, "f"), WASI_SUCCESS);
	vm_store_usage(box.store, &usage);
	ck_assert_uint_ge(usage.memory_bytes - before, 100000);
	EXPECT(CALL(&box, fd_close, fd), WASI_SUCCESS);
	vm_store_usage(box.store, &usage);
	ck_assert_uint_eq(usage.memory_bytes, before);
	enum wasi_errno e = WASI_SUCCESS;
	char name[16];
	for (int i = 0; i < 10000 && e == WASI_SUCCESS; i++) {
		snprintf(name, sizeof name, "d%d", i);
		e = mkdir_at(&box, ROOT_FD, name);
	}
	EXPECT(e, WASI_ENOSPC);
	EXPECT(symlink_at(&box, "x", ROOT_FD, "l"), WASI_ENOSPC);
	EXPECT(rename_at(&box, "d0", "d1"), WASI_SUCCESS); /* takes no room */
	sandbox_close(&box);
}
END_TEST

START_TEST(a_tree_belongs_to_one_store_at_a_time)
{
	struct sandbox box;
	struct vm_wasi_preopen preopens[2] = { { .guest_path = VM_STR("/a") },
		                               { .guest_path = VM_STR("/b") } };
	struct vm_wasi_config config = { .preopens = preopens, .preopen_count = 2 };
	struct vm_wasi_tree *tree = tree_new(1 << 20);
	struct vm_store *store;
	struct vm_error err;
	char got[64] = "";

	sandbox_open(&box, MEMORY, false, NULL);
	preopens[0].tree = preopens[1].tree = box.tree;
	ck_assert_int_eq(vm_store_new(box.engine, NULL, &store, NULL), VM_OK);
	ck_assert_int_eq(vm_wasi_attach(store, &config, &err), VM_E_ARGUMENT);
	preopens[0].tree = preopens[1].tree = tree; /* twice in one store is fine */
	ck_assert_int_eq(put(tree, "f", "x", NULL), VM_OK);
	ck_assert_int_eq(vm_wasi_attach(store, &config, &err), VM_OK);
	vm_store_free(store);
	ck_assert_int_eq(vm_wasi_tree_collect(tree, str("/f"), append, got, NULL), VM_OK);
	ck_assert_str_eq(got, "/f=x;");
	vm_wasi_tree_free(tree);
	sandbox_close(&box);
}
END_TEST

START_TEST(trees_larger_than_the_store_allows_are_refused)
{
	struct vm_engine *engine;
	struct vm_store *store;
	struct vm_store_config store_config;
	struct vm_wasi_tree *tree = tree_new(1 << 20);
	struct vm_wasi_preopen preopen = { .guest_path = VM_STR("/"), .tree = tree };
	struct vm_wasi_config config = { .preopens = &preopen, .preopen_count = 1 };
	struct vm_error err;
	char *big = calloc(1, 50000);

	vm_store_config_init(&store_config);
	store_config.memory_bytes_max = 40000;
	ck_assert_int_eq(vm_engine_new(NULL, &engine, NULL), VM_OK);
	ck_assert_int_eq(vm_store_new(engine, &store_config, &store, NULL), VM_OK);
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("f"), big, 50000, &err), VM_OK);
	ck_assert_int_eq(vm_wasi_attach(store, &config, &err), VM_E_LIMIT);
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("f"), big, 10000, &err), VM_OK);
	ck_assert_int_eq(vm_wasi_attach(store, &config, &err), VM_OK);
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("g"), big, 35000, &err), VM_E_LIMIT);
	vm_store_free(store);
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("g"), big, 35000, &err), VM_OK);
	vm_wasi_tree_free(tree);
	vm_engine_unref(engine);
	free(big);
}
END_TEST

/* Depth is the guest's choice: neither freeing nor collecting may recurse. */
START_TEST(deep_trees_cost_no_stack)
{
	struct sandbox box;
	uint32_t fd = ROOT_FD;
	uint32_t next;
	char *got = calloc(1, 20000);

	sandbox_open(&box, MEMORY, false, NULL);
	for (int i = 0; i < 2200; i++) {
		ck_assert_int_eq((int)mkdir_at(&box, fd, "d"), WASI_SUCCESS);
		EXPECT(open_at(&box, fd, "d", 0, WASI_OPEN_DIRECTORY, RIGHTS_DIR, 0, &next),
		       WASI_SUCCESS);
		if (fd != ROOT_FD)
			EXPECT(CALL(&box, fd_close, fd), WASI_SUCCESS);
		fd = next;
	}
	EXPECT(open_at(&box, fd, "f", 0, WASI_CREAT, RIGHTS_RW, 0, NULL), WASI_SUCCESS);
	EXPECT(open_at(&box, ROOT_FD, "d/d/f", 0, WASI_CREAT, RIGHTS_RW, 0, NULL), WASI_SUCCESS);
	/* What no path could name is not collected. */
	ck_assert_int_eq(vm_wasi_tree_collect(box.tree, str("**f"), append, got, NULL), VM_OK);
	ck_assert_str_eq(got, "/d/d/f=;");
	sandbox_close(&box);
	free(got);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("wasi in-memory trees");
	TCase *tc = tcase_create("trees");

	tcase_add_test(tc, files_are_collected_by_pattern_in_order);
	tcase_add_test(tc, no_pattern_takes_long);
	tcase_add_test(tc, a_visitor_may_end_the_walk);
	tcase_add_test(tc, senseless_paths_are_refused);
	tcase_add_test(tc, trees_are_bounded);
	tcase_add_test(tc, emptied_folders_give_back_their_room);
	tcase_add_test(tc, guests_are_charged_and_stopped_at_the_bound);
	tcase_add_test(tc, a_tree_belongs_to_one_store_at_a_time);
	tcase_add_test(tc, trees_larger_than_the_store_allows_are_refused);
	tcase_add_test(tc, deep_trees_cost_no_stack);
	suite_add_tcase(suite, tc);
	return suite;
}
