#include "tests/support/unit.h"

#include <stdlib.h>
#include "vm/base/arena.h"

/* An allocator that counts what is out, and can be made to fail. */
static size_t blocks_out;
static bool is_exhausted;

static void *
counting_alloc(void *self, size_t size_bytes)
{
	(void)self;
	if (is_exhausted)
		return NULL;
	blocks_out++;
	return malloc(size_bytes);
}

static void *
counting_realloc(void *self, void *old, size_t size_bytes)
{
	(void)self;
	return is_exhausted ? NULL : realloc(old, size_bytes);
}

static void
counting_free(void *self, void *old)
{
	(void)self;
	blocks_out--;
	free(old);
}

static const struct vm_allocator counting = { counting_alloc, counting_realloc, counting_free,
	                                      NULL };

START_TEST(memory_is_aligned_apart_and_freed_at_once)
{
	struct arena *arena = arena_new(&counting);
	uint8_t *last = NULL;

	for (size_t size = 0; size < 3000; size += 7) {
		uint8_t *p = arena_alloc(arena, size);

		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		ck_assert_ptr_ne(p, last);
		for (size_t i = 0; i < size; i++)
			p[i] = (uint8_t)size;
		last = size > 0 ? p : last;
	}
	ck_assert_uint_ge(arena_bytes(arena), 3000 * 3000 / 14);
	arena_free(arena);
	ck_assert_uint_eq(blocks_out, 0);
}
END_TEST

START_TEST(arrays_are_zeroed_and_products_checked)
{
	struct arena *arena = arena_new(&counting);
	uint32_t *array = arena_alloc_array(arena, 100, sizeof *array);

	for (size_t i = 0; i < 100; i++)
		ck_assert_uint_eq(array[i], 0);
	ck_assert_ptr_null(arena_alloc_array(arena, SIZE_MAX / 2, 4));
	ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX));
	arena_free(arena);
}
END_TEST

START_TEST(reset_keeps_one_block)
{
	struct arena *arena = arena_new(&counting);

	for (int i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(arena_alloc(arena, 1000));
	arena_reset(arena);
	ck_assert_uint_eq(blocks_out, 2); /* the arena and a block */
	ck_assert_ptr_nonnull(arena_alloc(arena, 1000));
	arena_free(arena);
	ck_assert_uint_eq(blocks_out, 0);
}
END_TEST

START_TEST(without_memory_there_is_null)
{
	is_exhausted = true;
	ck_assert_ptr_null(arena_new(&counting));
	is_exhausted = false;
	struct arena *arena = arena_new(&counting);
	is_exhausted = true;
	ck_assert_ptr_null(arena_alloc(arena, 1));
	arena_reset(arena);
	is_exhausted = false;
	arena_free(arena);
	arena_free(NULL);
	ck_assert_uint_eq(blocks_out, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("arena");
	TCase *tc = tcase_create("arena");

	tcase_add_test(tc, memory_is_aligned_apart_and_freed_at_once);
	tcase_add_test(tc, arrays_are_zeroed_and_products_checked);
	tcase_add_test(tc, reset_keeps_one_block);
	tcase_add_test(tc, without_memory_there_is_null);
	suite_add_tcase(suite, tc);
	return suite;
}
