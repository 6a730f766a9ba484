/*
 * test_nomem.c - loading when memory runs out: every allocation gets to fail.
 */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include "vm/vm.h"

enum { NEVER = -1, STEPS_MAX = 100000 };

static long blocks_out; /* allocated and not freed */
static long left = NEVER; /* allocations until one fails */

static bool
runs_out(void)
{
	if (left == NEVER)
		return false;
	return left == 0 || left-- == 0;
}

static void *
failing_alloc(void *self, size_t size_bytes)
{
	(void)self;
	if (runs_out())
		return NULL;
	blocks_out++;
	return malloc(size_bytes);
}

static void *
failing_realloc(void *self, void *old, size_t size_bytes)
{
	(void)self;
	return runs_out() ? NULL : realloc(old, size_bytes);
}

static void
failing_free(void *self, void *old)
{
	(void)self;
	blocks_out--;
	free(old);
}

static const struct vm_allocator failing = { failing_alloc, failing_realloc, failing_free, NULL };

/* The modules are the seeds of the fuzz target: small, and of every kind. */
static const char *const seeds[] = { "bulk", "core", "empty", "gc", "minimal", "refs", "wide" };

static size_t
read_seed(const char *name, uint8_t *bytes, size_t size)
{
	const char *top_srcdir = getenv("top_srcdir");
	char path[4096];

	snprintf(path, sizeof path, "%s/tests/fuzz/corpus/module/%s.wasm",
	         top_srcdir != NULL ? top_srcdir : ".", name);
	FILE *file = fopen(path, "rb");
	ck_assert_msg(file != NULL, "cannot open %s", path);
	const size_t len = fread(bytes, 1, size, file);
	fclose(file);
	return len;
}

START_TEST(loading_survives_any_failed_allocation)
{
	struct vm_engine_config config;
	struct vm_engine *engine;
	struct vm_module *module = NULL;
	struct vm_error err;
	uint8_t bytes[4096];
	const size_t len = read_seed(seeds[_i], bytes, sizeof bytes);
	enum vm_status st = VM_E_NOMEM;
	long step = 0;

	vm_engine_config_init(&config);
	config.allocator = &failing;
	for (; st != VM_OK && step < STEPS_MAX; step++) {
		/* A new engine each time, so that what it keeps has to be allocated too. */
		left = NEVER;
		ck_assert_int_eq(vm_engine_new(&config, &engine, &err), VM_OK);
		left = step;
		st = vm_module_load(engine, bytes, len, &module, &err);
		left = NEVER;
		ck_assert_msg(st == VM_OK || st == VM_E_NOMEM, "%s, allocation %ld: %s", seeds[_i],
		              step, err.message);
		ck_assert(st == VM_OK || err.status == VM_E_NOMEM);
		if (st == VM_OK)
			vm_module_unref(module);
		vm_engine_unref(engine);
		ck_assert_int_eq(blocks_out, 0);
	}
	ck_assert_int_eq(st, VM_OK);
	ck_assert_int_gt(step, 3);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("nomem");
	TCase *tc = tcase_create("load");

	tcase_add_loop_test(tc, loading_survives_any_failed_allocation, 0,
	                    sizeof seeds / sizeof seeds[0]);
	suite_add_tcase(suite, tc);
	return suite;
}
