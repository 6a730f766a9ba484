/*
 * test_nomem.c - every allocation gets to fail: the 1st, the 2nd, ... until all succeed.
 *
 * The linker puts the functions below in the place of the C library's (--wrap). Nothing may
 * crash, leak (the sanitizers look) or stay charged.
 */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>
#include "tests/wasi/sandbox.h"

/* Allocations until the one that fails, of those made while armed: the tests' own do not count. */
static unsigned countdown;
static bool armed;
static bool has_failed;

static void
arm(bool on)
{
	armed = on;
}

/* Begin a round in which the nth allocation fails. */
static void
begin(unsigned nth)
{
	has_failed = false;
	countdown = nth;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static bool
fails(void)
{
	if (!armed || countdown == 0 || --countdown > 0)
		return false;
	has_failed = true;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

/* What a guest does that needs memory. Errors are expected, and not to be ENOSPC. */
static void
use_everything(struct sandbox *box)
{
	uint32_t fd;
	uint32_t len;

	for (int i = 0; i < 12; i++) {
		char name[] = "d?";
		name[1] = (char)('a' + i);
		EXPECT(mkdir_at(box, ROOT_FD, name) == WASI_ENOSPC, false);
	}
	if (open_at(box, ROOT_FD, "f", 0, WASI_CREAT, RIGHTS_RW, 0, &fd) == WASI_SUCCESS) {
		memset(at(box, BUF), 'x', 5000);
		wasi_put_u32(at(box, IOVECS), BUF);
		wasi_put_u32(at(box, IOVECS + 4), 5000);
		EXPECT(CALL(box, fd_write, fd, IOVECS, 1, OUT) == WASI_ENOSPC, false);
		EXPECT(CALL(box, fd_filestat_set_size, fd, 10) == WASI_ENOSPC, false);
		EXPECT(CALL(box, fd_close, fd), WASI_SUCCESS);
	}
	EXPECT(symlink_at(box, "f", ROOT_FD, "l") == WASI_ENOSPC, false);
	EXPECT(link_at(box, "f", "g") == WASI_ENOSPC, false);
	EXPECT(rename_at(box, "f", "da/f") == WASI_ENOSPC, false);
	EXPECT(rename_at(box, "da/f", "g") == WASI_ENOSPC, false);
	len = put_path(box, PATH_A, "l");
	EXPECT(CALL(box, path_readlink, ROOT_FD, PATH_A, len, BUF, 100, OUT) == WASI_ENOMEM, false);
	EXPECT(CALL(box, fd_readdir, ROOT_FD, BUF, 1000, 0, OUT) == WASI_ENOMEM, false);
	memset(at(box, BUF), 0, 48);
	wasi_put_u32(at(box, BUF + 16), WASI_CLOCK_MONOTONIC);
	enum wasi_errno e = CALL(box, poll_oneoff, BUF, BUF + 1000, 1, OUT);
	ck_assert(e == WASI_SUCCESS || e == WASI_ENOMEM);
}

/* _i: the backend. */
START_TEST(calls_survive_without_memory)
{
	struct sandbox box;
	unsigned nth = 0;

	do {
		sandbox_open(&box, _i ? MEMORY : HOST_KERNEL, false, NULL);
		begin(++nth);
		sandbox_around_call = arm;
		use_everything(&box);
		sandbox_around_call = NULL;
		if (box.tree != NULL) {
			struct vm_store_usage usage;
			vm_store_usage(box.store, &usage);
			ck_assert_uint_ge(usage.memory_bytes, box.tree->bytes_used);
		}
		sandbox_close(&box);
	} while (has_failed && nth < 1000);
	ck_assert_uint_gt(nth, _i ? 30 : 3);
	ck_assert_uint_lt(nth, 1000);
}
END_TEST

START_TEST(attaching_survives_without_memory)
{
	const struct vm_str args[] = { VM_STR("a"), VM_STR("b") };
	const struct vm_str env[] = { VM_STR("A=b") };
	struct vm_wasi_tree *tree;
	struct sandbox box;
	struct vm_store *store;
	enum vm_status st = VM_OK;
	unsigned nth = 0;

	sandbox_open(&box, HOST_KERNEL, false, NULL);
	ck_assert_int_eq(vm_wasi_tree_new(1 << 20, &tree, NULL), VM_OK);
	const struct vm_wasi_preopen preopens[] = {
		{ .guest_path = VM_STR("/"), .host_path = box.root },
		{ .guest_path = VM_STR("/m"), .tree = tree },
	};
	const struct vm_wasi_config config = { .args = args,
		                               .arg_count = 2,
		                               .env = env,
		                               .env_count = 1,
		                               .preopens = preopens,
		                               .preopen_count = 2,
		                               .stdin_stream = { .kind = VM_WASI_FD, .fd = 0 } };
	do {
		ck_assert_int_eq(vm_store_new(box.engine, NULL, &store, NULL), VM_OK);
		begin(++nth);
		arm(true);
		st = vm_wasi_attach(store, &config, NULL);
		arm(false);
		ck_assert(st == VM_OK || has_failed);
		vm_store_free(store);
		ck_assert_ptr_null(tree->store);
	} while (has_failed && nth < 100);
	ck_assert_int_eq(st, VM_OK);
	ck_assert_uint_gt(nth, 8);
	vm_wasi_tree_free(tree);
	sandbox_close(&box);
}
END_TEST

static enum vm_status
visit(void *env, struct vm_str path, const void *data, size_t len, struct vm_error *err)
{
	(void)env, (void)path, (void)data, (void)len, (void)err;
	return VM_OK;
}

START_TEST(trees_survive_without_memory)
{
	struct vm_wasi_tree *tree = NULL;
	enum vm_status st;
	unsigned nth = 0;

	do {
		begin(++nth);
		arm(true);
		st = vm_wasi_tree_new(1 << 20, &tree, NULL);
		if (st == VM_OK) {
			st = vm_wasi_tree_put(tree, VM_STR("/a/b/c"), "text", 4, NULL);
			if (st == VM_OK)
				st = vm_wasi_tree_collect(tree, VM_STR("**"), visit, NULL, NULL);
			vm_wasi_tree_free(tree);
		}
		arm(false);
		ck_assert_int_eq(st, has_failed ? VM_E_NOMEM : VM_OK);
	} while (has_failed && nth < 100);
	ck_assert_uint_gt(nth, 10);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("wasi without memory");
	TCase *tc = tcase_create("every allocation fails once");

	tcase_add_loop_test(tc, calls_survive_without_memory, 0, 2);
	tcase_add_test(tc, attaching_survives_without_memory);
	tcase_add_test(tc, trees_survive_without_memory);
	suite_add_tcase(suite, tc);
	return suite;
}
