/*
 * test_memory.c - memories, tables and globals of the embedder; what one tenant leaves the next.
 */
#include "tests/support/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "vm/rt/pool.h"
#include "vm/rt/store.h"
#include "vm/vm.h"

static struct vm_engine *engine;
static struct vm_store *store;

static void
setup(void)
{
	ck_assert_int_eq(vm_engine_new(NULL, &engine, NULL), VM_OK);
	ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
}

/* A sanitizer's own handler, which reports and exits, is put away first. */
static void
setup_with_default_action(void)
{
	(void)signal(SIGSEGV, SIG_DFL);
	setup();
}

static void
teardown(void)
{
	vm_store_free(store);
	vm_engine_unref(engine);
}

/* --- memory types and growth ------------------------------------------------------------------ */

static const struct type_case {
	const char *name;
	struct vm_memorytype type;
	enum vm_status want;
} type_cases[] = {
	{ "empty", { .min = 0 }, VM_OK },
	{ "one page", { .min = 1, .has_max = true, .max = 1 }, VM_OK },
	{ "all of 32 bits", { .min = 65536 }, VM_OK },
	{ "more than 32 bits", { .min = 65537 }, VM_E_ARGUMENT },
	{ "maximum too large", { .min = 1, .has_max = true, .max = 65537 }, VM_E_ARGUMENT },
	{ "minimum above maximum", { .min = 2, .has_max = true, .max = 1 }, VM_E_ARGUMENT },
	{ "64-bit", { .is_64 = true, .min = 1 }, VM_OK },
	{ "64-bit, widest", { .is_64 = true, .has_max = true, .max = UINT64_C(1) << 48 }, VM_OK },
	{ "64-bit, too wide",
	  { .is_64 = true, .has_max = true, .max = (UINT64_C(1) << 48) + 1 },
	  VM_E_ARGUMENT },
	{ "64-bit, more than the store allows", { .is_64 = true, .min = 65537 }, VM_E_LIMIT },
	{ "64-bit, wraps when multiplied",
	  { .is_64 = true, .min = UINT64_C(1) << 48 },
	  VM_E_LIMIT },
	{ "shared", { .is_shared = true, .min = 1, .has_max = true, .max = 1 }, VM_E_UNSUPPORTED },
};

START_TEST(memory_type_is_checked)
{
	const struct type_case *c = &type_cases[_i];
	struct vm_memory *memory = NULL;
	struct vm_memorytype type;
	struct vm_error err;

	enum vm_status st = vm_memory_new(store, &c->type, &memory, &err);
	ck_assert_msg(st == c->want, "%s: got %s", c->name, vm_status_name(st));
	if (st != VM_OK) {
		ck_assert_ptr_null(memory);
		return;
	}
	vm_memory_type(memory, &type);
	ck_assert_int_eq(type.is_64, c->type.is_64);
	ck_assert_uint_eq(type.min, c->type.min);
	ck_assert_uint_eq(vm_memory_size(memory), c->type.min * 65536);
}
END_TEST

START_TEST(growth_obeys_every_limit)
{
	const struct vm_memorytype plain = { .min = 1 };
	const struct vm_memorytype bounded = { .min = 1, .has_max = true, .max = 3 };
	const struct vm_memorytype wide = { .is_64 = true, .min = 1 };
	struct vm_store_config config;
	struct vm_memory *memory;
	struct vm_store *small;

	/* the declared maximum */
	ck_assert_int_eq(vm_memory_new(store, &bounded, &memory, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_grow(memory, 3), -1);
	ck_assert_int_eq(vm_memory_grow(memory, UINT64_MAX), -1);
	ck_assert_int_eq(vm_memory_grow(memory, 2), 1);
	ck_assert_int_eq(vm_memory_grow(memory, 0), 3);
	ck_assert_int_eq(vm_memory_grow(memory, 1), -1);
	/* what the address type can reach */
	ck_assert_int_eq(vm_memory_new(store, &plain, &memory, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_grow(memory, 65536), -1);
	ck_assert_int_eq(vm_memory_grow(memory, 65535), 1);
	ck_assert_uint_eq(vm_memory_size(memory), UINT64_C(1) << 32);
	vm_memory_data(memory)[UINT32_MAX] = 1;

	/* pages of the store, and bytes of all memories */
	vm_store_config_init(&config);
	config.memory_pages_max = 10;
	config.memory_bytes_max = 12 * 65536;
	ck_assert_int_eq(vm_store_new(engine, &config, &small, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_new(small, &wide, &memory, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_grow(memory, 10), -1);
	ck_assert_int_eq(vm_memory_grow(memory, 9), 1);
	ck_assert_int_eq(vm_memory_new(small, &plain, &memory, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_grow(memory, 2), -1);
	ck_assert_int_eq(vm_memory_grow(memory, 1), 1);
	ck_assert_int_eq(vm_memory_new(small, &plain, &memory, NULL), VM_E_LIMIT);
	vm_store_free(small);
}
END_TEST

START_TEST(memory_never_moves_and_keeps_its_bytes)
{
	const struct vm_memorytype type = { .is_64 = true, .min = 1 };
	struct vm_memory *memory;

	ck_assert_int_eq(vm_memory_new(store, &type, &memory, NULL), VM_OK);
	uint8_t *base = vm_memory_data(memory);
	memset(base, 7, 65536);
	for (int i = 1; i < 100; i++) {
		ck_assert_int_eq(vm_memory_grow(memory, 1), i);
		ck_assert_uint_eq(base[(size_t)i * 65536], 0);
		base[(size_t)i * 65536] = 7;
	}
	ck_assert_ptr_eq(vm_memory_data(memory), base);
	ck_assert_uint_eq(base[65535], 7);
}
END_TEST

START_TEST(large_64_bit_memory_grows_in_place)
{
	const struct vm_memorytype type = { .is_64 = true, .min = 1 };
	struct vm_store_config config;
	struct vm_store *large;
	struct vm_memory *memory;

	vm_store_config_init(&config);
	config.memory_pages_max = UINT64_MAX;
	ck_assert_int_eq(vm_store_new(engine, &config, &large, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_new(large, &type, &memory, NULL), VM_OK);
	uint8_t *base = vm_memory_data(memory);
	ck_assert_int_eq(vm_memory_grow(memory, 200000), 1); /* 12 GiB: more than a slot */
	ck_assert_ptr_eq(vm_memory_data(memory), base);
	base[vm_memory_size(memory) - 1] = 1;
	ck_assert_int_eq(vm_memory_grow(memory, UINT64_C(1) << 45), -1);
	ck_assert_int_eq(vm_memory_grow(memory, UINT64_MAX), -1);
	vm_store_free(large);
}
END_TEST

START_TEST(ranges_are_inside_or_refused)
{
	const struct vm_memorytype type = { .min = 1 };
	struct vm_memory *memory;

	ck_assert_int_eq(vm_memory_new(store, &type, &memory, NULL), VM_OK);
	uint8_t *base = vm_memory_data(memory);
	ck_assert_ptr_eq(vm_memory_range(memory, 0, 65536), base);
	ck_assert_ptr_eq(vm_memory_range(memory, 65536, 0), base + 65536);
	ck_assert_ptr_null(vm_memory_range(memory, 65536, 1));
	ck_assert_ptr_null(vm_memory_range(memory, 65537, 0));
	ck_assert_ptr_null(vm_memory_range(memory, 1, UINT64_MAX));
	ck_assert_ptr_null(vm_memory_range(memory, UINT64_MAX, 2));
}
END_TEST

START_TEST(refused_reservation_is_an_error)
{
	const struct rlimit limit = { UINT64_C(2) << 30, UINT64_C(2) << 30 };
	const struct vm_memorytype type = { .min = 1 };
	struct vm_memory *memory = NULL;
	struct vm_store_usage usage;
	struct vm_error err;

	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	ck_assert_int_eq(vm_memory_new(store, &type, &memory, &err), VM_E_NOMEM);
	ck_assert_ptr_nonnull(strstr(err.message, "address space"));
	vm_store_usage(store, &usage);
	ck_assert_uint_eq(usage.memory_bytes, 0);
}
END_TEST

/* --- between tenants -------------------------------------------------------------------------- */

static bool
is_zero(const uint8_t *p, uint64_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* Pages of one tenant, pages it grows by, pages of the next. */
static const struct tenants_case {
	uint64_t pages, grown, next_pages, next_grown;
} tenants_cases[] = {
	{ 1, 0, 1, 0 }, /* wiped */
	{ 1, 3, 1, 3 }, /* what the second grows into was the first's */
	{ 4, 0, 1, 3 },   { 1, 0, 9, 0 },    { 17, 0, 17, 0 }, /* dropped */
	{ 3, 30, 2, 40 }, { 64, 0, 1, 100 }, { 0, 5, 0, 5 },
};

START_TEST(next_tenant_finds_zeros)
{
	const struct tenants_case *c = &tenants_cases[_i];
	const struct vm_memorytype first = { .min = c->pages }, second = { .min = c->next_pages };
	struct vm_memory *memory;

	ck_assert_int_eq(vm_memory_new(store, &first, &memory, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_grow(memory, c->grown), (int64_t)c->pages);
	uint8_t *base = vm_memory_data(memory);
	memset(base, 0xa5, vm_memory_size(memory));
	vm_store_free(store);

	ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_new(store, &second, &memory, NULL), VM_OK);
	ck_assert_ptr_eq(vm_memory_data(memory), base); /* or this test shows nothing */
	ck_assert(is_zero(base, vm_memory_size(memory)));
	ck_assert_int_eq(vm_memory_grow(memory, c->next_grown), (int64_t)c->next_pages);
	ck_assert(is_zero(base, vm_memory_size(memory)));
}
END_TEST

START_TEST(next_tenant_cannot_reach_beyond_its_size)
{
	const struct vm_memorytype large = { .min = 4 }, small = { .min = 1 };
	struct vm_memory *memory;

	ck_assert_int_eq(vm_memory_new(store, &large, &memory, NULL), VM_OK);
	vm_store_free(store);
	ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_new(store, &small, &memory, NULL), VM_OK);
	*(volatile uint8_t *)(vm_memory_data(memory) + 65536) = 1; /* SIGSEGV */
}
END_TEST

START_TEST(slot_of_the_wanted_size_is_preferred)
{
	const struct vm_memorytype sizes[] = { { .min = 1 }, { .min = 5 }, { .min = 2 } };
	struct vm_memory *memory;
	uint8_t *bases[3];

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(vm_memory_new(store, &sizes[i], &memory, NULL), VM_OK);
		bases[i] = vm_memory_data(memory);
	}
	vm_store_free(store);
	ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_new(store, &sizes[1], &memory, NULL), VM_OK);
	ck_assert_ptr_eq(vm_memory_data(memory), bases[1]);
	ck_assert_int_eq(vm_memory_new(store, &sizes[0], &memory, NULL), VM_OK);
	ck_assert_ptr_eq(vm_memory_data(memory), bases[0]);
}
END_TEST

START_TEST(pool_is_bounded)
{
	const struct vm_memorytype type = { .min = 0 };
	struct vm_engine_config config;
	struct vm_engine *frugal;
	struct vm_store *one;

	vm_engine_config_init(&config);
	config.memory_slots_kept = 3;
	ck_assert_int_eq(vm_engine_new(&config, &frugal, NULL), VM_OK);
	ck_assert_int_eq(vm_store_new(frugal, NULL, &one, NULL), VM_OK);
	for (int i = 0; i < 10; i++) {
		struct vm_memory *memory;
		ck_assert_int_eq(vm_memory_new(one, &type, &memory, NULL), VM_OK);
	}
	vm_store_free(one);
	ck_assert_uint_eq(frugal->pool->slot_count, 3);

	struct vm_store *many[POOL_STORES_MAX + 5];
	for (int i = 0; i < POOL_STORES_MAX + 5; i++)
		ck_assert_int_eq(vm_store_new(frugal, NULL, &many[i], NULL), VM_OK);
	for (int i = 0; i < POOL_STORES_MAX + 5; i++)
		vm_store_free(many[i]);
	ck_assert_uint_eq(frugal->pool->idle_store_count, POOL_STORES_MAX);
	vm_engine_unref(frugal);
}
END_TEST

/* --- bulk operations -------------------------------------------------------------------------- */

static bool
counts_up(const uint8_t *p, uint64_t len)
{
	uint64_t i = 0;

	while (i < len && p[i] == i % 251)
		i++;
	return i == len;
}

START_TEST(bulk_operations_check_and_move)
{
	const struct vm_memorytype type = { .min = 64 };
	struct vm_run *run = &store->run;
	struct vm_memory *m;
	uint64_t size = 64 * 65536;

	ck_assert_int_eq(vm_memory_new(store, &type, &m, NULL), VM_OK);
	ck_assert_int_eq(memory_fill(run, m, 0, 1, size), VM_TRAP_NONE);
	ck_assert_int_eq(memory_fill(run, m, size, 1, 0), VM_TRAP_NONE);
	ck_assert_int_eq(memory_fill(run, m, size, 1, 1), VM_TRAP_MEMORY_BOUNDS);
	ck_assert_int_eq(memory_fill(run, m, size + 1, 1, 0), VM_TRAP_MEMORY_BOUNDS);
	ck_assert_int_eq(memory_fill(run, m, 1, 1, UINT64_MAX), VM_TRAP_MEMORY_BOUNDS);

	/* overlapping, larger than a part, both ways */
	for (uint64_t i = 0; i < size; i++)
		m->base[i] = (uint8_t)(i % 251);
	uint64_t len = 3 << 20;
	ck_assert_int_eq(memory_copy(run, m, 1000, m, 0, len), VM_TRAP_NONE);
	ck_assert(counts_up(m->base + 1000, len));
	ck_assert_int_eq(memory_copy(run, m, 0, m, 1000, len), VM_TRAP_NONE);
	ck_assert(counts_up(m->base, len));
	ck_assert_int_eq(memory_copy(run, m, size, m, 0, 1), VM_TRAP_MEMORY_BOUNDS);
	ck_assert_int_eq(memory_copy(run, m, 0, m, size, 1), VM_TRAP_MEMORY_BOUNDS);
	ck_assert_int_eq(memory_copy(run, m, size, m, size, 0), VM_TRAP_NONE);
}
END_TEST

START_TEST(bulk_operations_are_interrupted)
{
	const struct vm_memorytype type = { .min = 64 };
	const struct vm_tabletype table_type = { .element = VM_EXTERNREF, .min = 1000000 };
	const struct vm_value null = { .type = VM_EXTERNREF };
	struct vm_run *run = &store->run;
	struct vm_table *t;
	struct vm_memory *m;

	ck_assert_int_eq(vm_memory_new(store, &type, &m, NULL), VM_OK);
	ck_assert_int_eq(vm_table_new(store, &table_type, &null, &t, NULL), VM_OK);
	vm_store_stop(store, VM_TRAP_CANCELLED);
	ck_assert_int_eq(memory_fill(run, m, 0, 1, 4 << 20), VM_TRAP_CANCELLED);
	ck_assert_uint_eq(m->base[0], 1);
	ck_assert_uint_eq(m->base[(4 << 20) - 1], 0);
	ck_assert_int_eq(memory_copy(run, m, 0, m, 1, 3 << 20), VM_TRAP_CANCELLED);
	ck_assert_int_eq(table_fill(run, t, 0, NULL, 1000000), VM_TRAP_CANCELLED);
	ck_assert_int_eq(table_copy(run, t, 1, t, 0, 999999), VM_TRAP_CANCELLED);
}
END_TEST

/* --- tables and globals ----------------------------------------------------------------------- */

START_TEST(tables_hold_references_of_their_type)
{
	const struct vm_tabletype type = {
		.element = VM_EXTERNREF, .min = 2, .has_max = true, .max = 100
	};
	int thing;
	const struct vm_value null = { .type = VM_EXTERNREF };
	const struct vm_value something = { .type = VM_EXTERNREF, .of.ref = &thing };
	const struct vm_value null_func = { .type = VM_FUNCREF }, number = { .type = VM_I32 };
	struct vm_table *table;
	struct vm_value got;
	struct vm_error err;

	ck_assert_int_eq(vm_table_new(store, &type, &number, &table, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_table_new(store, &type, &null, &table, &err), VM_OK);
	ck_assert_int_eq(vm_table_set(table, 1, &something, &err), VM_OK);
	ck_assert_int_eq(vm_table_set(table, 2, &something, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_table_set(table, 0, &null_func, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_table_get(table, 1, &got, &err), VM_OK);
	ck_assert_ptr_eq(got.of.ref, &thing);
	ck_assert_uint_eq(got.type, VM_EXTERNREF);
	ck_assert_int_eq(vm_table_get(table, 2, &got, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_table_grow(table, 99, &null), -1);
	ck_assert_int_eq(vm_table_grow(table, UINT64_MAX, &null), -1);
	ck_assert_int_eq(vm_table_grow(table, 1, &number), -1);
	for (int i = 2; i < 100; i++)
		ck_assert_int_eq(vm_table_grow(table, 1, &something), i);
	ck_assert_uint_eq(vm_table_size(table), 100);
	ck_assert_int_eq(vm_table_get(table, 99, &got, &err), VM_OK);
	ck_assert_ptr_eq(got.of.ref, &thing);
}
END_TEST

START_TEST(table_limits_are_obeyed)
{
	const struct vm_tabletype huge = { .element = VM_FUNCREF, .min = 10000001 };
	const struct vm_tabletype wrong = { .element = VM_I32, .min = 1 };
	const struct vm_tabletype odd = {
		.element = VM_FUNCREF, .min = 2, .has_max = true, .max = 1
	};
	const struct vm_tabletype wide = { .element = VM_FUNCREF, .is_64 = true, .min = 1 };
	const struct vm_tabletype endless = { .element = VM_FUNCREF,
		                              .is_64 = true,
		                              .min = UINT64_MAX };
	const struct vm_value null = { .type = VM_FUNCREF }, zero = { .type = VM_I32 };
	struct vm_store_config config;
	struct vm_store *small;
	struct vm_table *table;
	struct vm_error err;

	ck_assert_int_eq(vm_table_new(store, &huge, &null, &table, &err), VM_E_LIMIT);
	ck_assert_int_eq(vm_table_new(store, &endless, &null, &table, &err), VM_E_LIMIT);
	ck_assert_int_eq(vm_table_new(store, &wrong, &zero, &table, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_table_new(store, &odd, &null, &table, &err), VM_E_ARGUMENT);
	vm_store_config_init(&config);
	config.memory_bytes_max = 800;
	ck_assert_int_eq(vm_store_new(engine, &config, &small, NULL), VM_OK);
	ck_assert_int_eq(vm_table_new(small, &wide, &null, &table, &err), VM_OK);
	ck_assert_int_eq(vm_table_grow(table, 100, &null), -1);
	ck_assert_int_eq(vm_table_grow(table, 99, &null), 1);
	vm_store_free(small);
}
END_TEST

START_TEST(globals_are_typed_and_may_be_immutable)
{
	const struct vm_globaltype constant = { .content = VM_I64 };
	const struct vm_globaltype variable = { .content = VM_V128, .is_mutable = true };
	const struct vm_value number = { .type = VM_I64, .of.i64 = -5 };
	struct vm_value vector = { .type = VM_V128 }, got;
	struct vm_global *global;
	struct vm_globaltype type;
	struct vm_error err;

	for (uint8_t i = 0; i < 16; i++)
		vector.of.v128[i] = i;
	const struct vm_globaltype odd = { .content = 0x12 };
	const struct vm_value odd_value = { .type = 0x12 };
	ck_assert_int_eq(vm_global_new(store, &odd, &odd_value, &global, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_global_new(store, &constant, &vector, &global, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_global_new(store, &constant, &number, &global, &err), VM_OK);
	vm_global_get(global, &got);
	ck_assert_int_eq(got.of.i64, -5);
	ck_assert_int_eq(vm_global_set(global, &number, &err), VM_E_ARGUMENT);

	ck_assert_int_eq(vm_global_new(store, &variable, &vector, &global, &err), VM_OK);
	vm_global_type(global, &type);
	ck_assert(type.is_mutable);
	vector.of.v128[15] = 99;
	ck_assert_int_eq(vm_global_set(global, &vector, &err), VM_OK);
	ck_assert_int_eq(vm_global_set(global, &number, &err), VM_E_ARGUMENT);
	vm_global_get(global, &got);
	ck_assert_mem_eq(got.of.v128, vector.of.v128, 16);
}
END_TEST

/* There when the program is built with AddressSanitizer. */
extern void __asan_init(void) __attribute__((weak));

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("rt/memory");
	TCase *memories = tcase_create("memories");
	TCase *tenants = tcase_create("tenants");
	TCase *fatal = tcase_create("fatal");
	TCase *bulk = tcase_create("bulk");
	TCase *others = tcase_create("tables and globals");

	tcase_add_checked_fixture(memories, setup, teardown);
	tcase_add_loop_test(memories, memory_type_is_checked, 0,
	                    sizeof(type_cases) / sizeof(type_cases[0]));
	tcase_add_test(memories, growth_obeys_every_limit);
	tcase_add_test(memories, memory_never_moves_and_keeps_its_bytes);
	tcase_add_test(memories, large_64_bit_memory_grows_in_place);
	tcase_add_test(memories, ranges_are_inside_or_refused);
	if (__asan_init == NULL) /* its shadow does not fit into a small address space */
		tcase_add_test(memories, refused_reservation_is_an_error);
	suite_add_tcase(suite, memories);

	tcase_add_checked_fixture(tenants, setup, teardown);
	tcase_add_loop_test(tenants, next_tenant_finds_zeros, 0,
	                    sizeof(tenants_cases) / sizeof(tenants_cases[0]));
	tcase_add_test(tenants, slot_of_the_wanted_size_is_preferred);
	tcase_add_test(tenants, pool_is_bounded);
	suite_add_tcase(suite, tenants);

	tcase_add_checked_fixture(fatal, setup_with_default_action, NULL);
	tcase_add_test_raise_signal(fatal, next_tenant_cannot_reach_beyond_its_size, SIGSEGV);
	suite_add_tcase(suite, fatal);

	tcase_add_checked_fixture(bulk, setup, teardown);
	tcase_add_test(bulk, bulk_operations_check_and_move);
	tcase_add_test(bulk, bulk_operations_are_interrupted);
	suite_add_tcase(suite, bulk);

	tcase_add_checked_fixture(others, setup, teardown);
	tcase_add_test(others, tables_hold_references_of_their_type);
	tcase_add_test(others, table_limits_are_obeyed);
	tcase_add_test(others, globals_are_typed_and_may_be_immutable);
	suite_add_tcase(suite, others);
	return suite;
}
