/*
 * test_instance.c - instantiation: constants, segments, start functions, and how it fails.
 */
#include "tests/vm/rt/fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static uint8_t *
bytes_of(struct vm_instance *instance)
{
	return vm_memory_data(export_of(instance, "memory").of.memory);
}

/* --- constants and exports ------------------------------------------------------------------ */

START_TEST(constant_expressions_are_evaluated)
{
	(void)provide("lib", WASM(lib));
	struct vm_instance *instance = instantiate(WASM(constants));
	struct vm_value value;

	ck_assert_int_eq(global_of(instance, "sum").of.i32, 7 - 300);
	ck_assert_int_eq(global_of(instance, "wide").of.i64, INT64_MIN);
	value = global_of(instance, "func");
	ck_assert_ptr_eq(value.of.ref, func_of(instance, "f"));
	ck_assert_uint_eq(value.type, VM_FUNCREF);
	value = global_of(instance, "null");
	ck_assert_ptr_null(value.of.ref);
	value = global_of(instance, "vector");
	ck_assert_uint_eq(value.of.v128[0], 1);
	ck_assert_uint_eq(value.of.v128[8], 2);
	ck_assert_uint_eq(global_of(instance, "float").of.f32_bits, 0x3fc00000u);
	ck_assert_uint_eq(global_of(instance, "double").of.f64_bits, UINT64_C(1) << 63);
	ck_assert_int_eq(global_of(instance, "copy").of.i32, 7);
	ck_assert_mem_eq(bytes_of(instance) + 10, "ten", 3);
}
END_TEST

START_TEST(exports_are_found_by_name_and_index)
{
	struct vm_instance *instance = instantiate(WASM(lib));
	struct vm_extern ext;
	struct vm_externtype type;

	ck_assert_int_eq(vm_instance_export(instance, VM_STR("absent"), &ext, &err),
	                 VM_E_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "absent"));
	vm_instance_export_at(instance, 0, &ext);
	ck_assert_ptr_eq(ext.of.memory, export_of(instance, "memory").of.memory);
	vm_extern_type(&ext, &type);
	ck_assert_int_eq(type.kind, VM_EXTERN_MEMORY);
	ck_assert_uint_eq(type.of.memory.max, 3);
	ext = export_of(instance, "var");
	vm_extern_type(&ext, &type);
	ck_assert(type.of.global.is_mutable);
	ck_assert_uint_eq(type.of.global.content, VM_I64);
	ext = export_of(instance, "table");
	vm_extern_type(&ext, &type);
	ck_assert_uint_eq(type.of.table.min, 4);
	ext = export_of(instance, "peek");
	vm_extern_type(&ext, &type);
	ck_assert_uint_eq(type.of.func.param_count, 1);
	ck_assert_ptr_eq(vm_instance_store(instance), store);
	ck_assert_uint_eq(vm_module_export_count(vm_instance_module(instance)), 6);
}
END_TEST

/* --- segments ------------------------------------------------------------------------------- */

START_TEST(misfit_keeps_what_was_written_before)
{
	struct vm_instance *lib = provide("lib", WASM(lib)), *instance = NULL;

	ck_assert_int_eq(try_instantiate(WASM(late_misfit), &instance), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_MEMORY_BOUNDS);
	ck_assert_ptr_nonnull(strstr(err.message, "data segment 1 has 2 bytes for address 65535"));
	ck_assert_uint_ne(err.offset, VM_NO_OFFSET);
	ck_assert_ptr_null(instance);
	ck_assert_mem_eq(bytes_of(lib) + 100, "AB\0", 3); /* not the third segment */
	ck_assert_uint_eq(bytes_of(lib)[65535], 0);       /* nor half of the second */
	ck_assert_int_eq(call1(lib, "is_null", 0), 1);
	ck_assert_int_eq(call1(lib, "is_null", 1), 0); /* its function stays usable */
}
END_TEST

START_TEST(element_misfit_comes_before_data)
{
	struct vm_instance *lib = provide("lib", WASM(lib)), *instance = NULL;

	ck_assert_int_eq(try_instantiate(WASM(elem_misfit), &instance), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_TABLE_BOUNDS);
	ck_assert_ptr_nonnull(strstr(err.message, "element segment 1 has 1 elements for index 4"));
	ck_assert_int_eq(call1(lib, "is_null", 0), 0);
	ck_assert_uint_eq(bytes_of(lib)[100], 0);
}
END_TEST

START_TEST(version_1_checks_all_segments_first)
{
	struct vm_instance *lib, *instance = NULL;
	vm_features bulk = VM_FEATURE_BIT(BULK_MEMORY);

	/* the modules are of 1.0; reference types is for the table.get of the other one */
	fixture_teardown();
	fixture_config.features &= ~bulk;
	fixture_setup();
	lib = provide("lib", WASM(lib));
	ck_assert_int_eq(try_instantiate(WASM(late_misfit), &instance), VM_E_LINK);
	ck_assert_int_eq(err.status, VM_E_LINK);
	ck_assert_int_eq(err.trap, VM_TRAP_NONE);
	ck_assert_uint_eq(bytes_of(lib)[100], 0);
	ck_assert_int_eq(call1(lib, "is_null", 1), 1);
	ck_assert_int_eq(try_instantiate(WASM(elem_misfit), &instance), VM_E_LINK);
	ck_assert_int_eq(call1(lib, "is_null", 0), 1);
	ck_assert_int_eq(try_instantiate(WASM(start_runs), &instance), VM_OK);
	ck_assert_uint_eq(bytes_of(lib)[61], 5);
}
END_TEST

static const struct segment_case {
	const char *name;
	const char *func;
	int32_t args[3];
	size_t arg_count;
	enum vm_trap want;
} segment_cases[] = {
	{ "part of a data segment", "init", { 10, 3, 4 }, 3, VM_TRAP_NONE },
	{ "all of a data segment", "init", { 0, 0, 10 }, 3, VM_TRAP_NONE },
	{ "more than a data segment", "init", { 0, 1, 10 }, 3, VM_TRAP_MEMORY_BOUNDS },
	{ "beyond the memory", "init", { 65530, 0, 7 }, 3, VM_TRAP_MEMORY_BOUNDS },
	{ "nothing at the ends", "init", { 65536, 10, 0 }, 3, VM_TRAP_NONE },
	{ "nothing beyond the memory", "init", { 65537, 0, 0 }, 3, VM_TRAP_MEMORY_BOUNDS },
	{ "nothing beyond the segment", "init", { 0, 11, 0 }, 3, VM_TRAP_MEMORY_BOUNDS },
	{ "an active segment is dropped", "init_active", { 0 }, 0, VM_TRAP_MEMORY_BOUNDS },
	{ "functions", "init_funcs", { 2, 0, 2 }, 3, VM_TRAP_NONE },
	{ "too many functions", "init_funcs", { 0, 1, 2 }, 3, VM_TRAP_TABLE_BOUNDS },
	{ "beyond the table", "init_funcs", { 3, 0, 2 }, 3, VM_TRAP_TABLE_BOUNDS },
	{ "expressions", "init_exprs", { 0, 0, 2 }, 3, VM_TRAP_NONE },
	{ "too many expressions", "init_exprs", { 0, 2, 1 }, 3, VM_TRAP_TABLE_BOUNDS },
	{ "a declared segment is dropped", "init_declared", { 0 }, 0, VM_TRAP_TABLE_BOUNDS },
};

START_TEST(segments_are_copied_within_bounds)
{
	const struct segment_case *c = &segment_cases[_i];
	struct vm_instance *instance = instantiate(WASM(segments));

	ck_assert_mem_eq(bytes_of(instance), "gone", 4);
	enum vm_status st = call_i32(instance, c->func, c->args, c->arg_count, NULL);
	ck_assert_msg(st == (c->want == VM_TRAP_NONE ? VM_OK : VM_TRAP), "%s: got %s", c->name,
	              vm_status_name(st));
	if (st != VM_OK)
		ck_assert_msg(err.trap == c->want, "%s: got %s", c->name, vm_trap_name(err.trap));
}
END_TEST

START_TEST(segments_have_the_right_contents_until_dropped)
{
	static const int32_t part[] = { 10, 3, 4 }, one[] = { 0, 0, 1 }, two[] = { 0, 0, 2 };
	static const int32_t none[] = { 0, 0, 0 };
	struct vm_instance *instance = instantiate(WASM(segments));
	struct vm_table *table = export_of(instance, "table").of.table;
	struct vm_value value;

	ck_assert_int_eq(call_i32(instance, "init", part, 3, NULL), VM_OK);
	ck_assert_mem_eq(bytes_of(instance) + 10, "3456\0", 5);
	ck_assert_int_eq(call_i32(instance, "init_exprs", two, 3, NULL), VM_OK);
	ck_assert_int_eq(vm_table_get(table, 0, &value, &err), VM_OK);
	ck_assert_ptr_null(value.of.ref);
	ck_assert_int_eq(vm_table_get(table, 1, &value, &err), VM_OK);
	ck_assert_ptr_eq(value.of.ref, func_of(instance, "f"));
	ck_assert_int_eq(call_i32(instance, "init_funcs", one, 3, NULL), VM_OK);
	ck_assert_int_eq(vm_table_get(table, 0, &value, &err), VM_OK);
	ck_assert_ptr_eq(value.of.ref, func_of(instance, "f"));

	ck_assert_int_eq(call_i32(instance, "drop", NULL, 0, NULL), VM_OK);
	ck_assert_int_eq(call_i32(instance, "drop_funcs", NULL, 0, NULL), VM_OK);
	ck_assert_int_eq(call_i32(instance, "init", none, 3, NULL), VM_OK);
	ck_assert_int_eq(call_i32(instance, "init", one, 3, NULL), VM_TRAP);
	ck_assert_int_eq(call_i32(instance, "init_funcs", none, 3, NULL), VM_OK);
	ck_assert_int_eq(call_i32(instance, "init_funcs", one, 3, NULL), VM_TRAP);
}
END_TEST

START_TEST(each_instance_has_its_own_state)
{
	struct vm_instance *a = instantiate(WASM(segments)), *b = instantiate(WASM(segments));
	static const int32_t one[] = { 0, 0, 1 };

	ck_assert_int_eq(call_i32(a, "drop", NULL, 0, NULL), VM_OK);
	bytes_of(a)[0] = 'X';
	ck_assert_int_eq(call_i32(b, "init", one, 3, NULL), VM_OK);
	ck_assert_mem_eq(bytes_of(b), "0one", 4);
}
END_TEST

/* --- images --------------------------------------------------------------------------------- */

enum { PAGES = 20, LARGE_AT = 70000, LARGE_BYTES = 40000, SMALL_AT = 80000 };

/* LEB128 of exactly three bytes: enough for what is written here. */
static void
put_leb3(uint8_t **at, uint32_t value)
{
	*(*at)++ = (uint8_t)(value & 0x7f) | 0x80;
	*(*at)++ = (uint8_t)(value >> 7 & 0x7f) | 0x80;
	*(*at)++ = (uint8_t)(value >> 14 & 0x7f);
}

static void
put(uint8_t **at, const void *bytes, size_t len)
{
	memcpy(*at, bytes, len);
	*at += len;
}

/*
 * (module (memory (export "memory") 20 100)
 *   (data (i32.const 70000) 40000 bytes)
 *   (data (i32.const 80000) "later"))
 */
static struct wasm
large_module(void)
{
	static uint8_t bytes[LARGE_BYTES + 200];
	static const uint8_t head[] = { 0,   'a', 's', 'm',   1,   0,   0,  0, 5,
		                        4,   1,   1,   PAGES, 100, 7,   10, 1, 6,
		                        'm', 'e', 'm', 'o',   'r', 'y', 2,  0 };
	uint8_t *at = bytes;

	put(&at, head, sizeof(head));
	*at++ = 11;
	put_leb3(&at, 1 + 6 + 3 + LARGE_BYTES + 6 + 1 + 5);
	*at++ = 2;
	put(&at, "\0\x41", 2);
	put_leb3(&at, LARGE_AT);
	*at++ = 0x0b;
	put_leb3(&at, LARGE_BYTES);
	for (uint32_t i = 0; i < LARGE_BYTES; i++)
		*at++ = (uint8_t)(i % 255 + 1);
	put(&at, "\0\x41", 2);
	put_leb3(&at, SMALL_AT);
	put(&at, "\x0b\5later", 7);
	return (struct wasm){ bytes, (size_t)(at - bytes) };
}

static bool
is_as_loaded(const uint8_t *memory, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++) {
		uint8_t want = 0;

		if (i >= LARGE_AT && i < LARGE_AT + LARGE_BYTES)
			want = (uint8_t)((i - LARGE_AT) % 255 + 1);
		if (i >= SMALL_AT && i < SMALL_AT + 5)
			want = (uint8_t)"later"[i - SMALL_AT];
		if (memory[i] != want)
			return false;
	}
	return true;
}

/* One tenant: what it finds is right, what it leaves is noise. */
static void
use_program(struct vm_program *program, bool is_mapped)
{
	struct vm_instance *instance;
	struct vm_store *one;

	ck_assert_int_eq(vm_store_new(engine, NULL, &one, &err), VM_OK);
	ck_assert_int_eq(vm_program_instantiate(program, one, &instance, &err), VM_OK);
	struct vm_memory *memory = export_of(instance, "memory").of.memory;
	ck_assert_int_eq(memory->image_bytes > 0, is_mapped);
	ck_assert_int_eq(vm_memory_grow(memory, 2), PAGES);
	ck_assert(is_as_loaded(memory->base, memory->size));
	memset(vm_memory_data(memory), 0xee, memory->size);
	vm_store_free(one);
}

START_TEST(large_data_is_mapped_from_the_second_time_on)
{
	const struct vm_memorytype type = { .min = PAGES + 2 };
	struct vm_module *module = load(large_module());
	struct vm_program *program;
	struct vm_memory *memory;

	ck_assert_int_eq(vm_program_new(linker, module, &program, &err), VM_OK);
	vm_module_unref(module);
	for (int i = 0; i < 5; i++)
		use_program(program, i > 0);
	/* nothing of it in what the pool hands to others */
	ck_assert_int_eq(vm_memory_new(store, &type, &memory, &err), VM_OK);
	ck_assert(memory->base[0] == 0 &&
	          memcmp(memory->base, memory->base + 1, memory->size - 1) == 0);
	vm_program_unref(program);
}
END_TEST

START_TEST(data_is_copied_when_no_image_can_be_made)
{
	struct vm_module *module = load(large_module());
	struct vm_program *program;
	struct rlimit before, none;

	ck_assert_int_eq(vm_program_new(linker, module, &program, &err), VM_OK);
	vm_module_unref(module);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 3; i++)
		use_program(program, false);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	vm_program_unref(program);
}
END_TEST

/* --- start functions ------------------------------------------------------------------------ */

START_TEST(start_runs_behind_the_segments)
{
	struct vm_instance *lib = provide("lib", WASM(lib));

	(void)instantiate(WASM(start_runs));
	ck_assert_uint_eq(bytes_of(lib)[61], 5);
}
END_TEST

START_TEST(failed_start_keeps_its_effects)
{
	struct vm_instance *lib = provide("lib", WASM(lib)), *instance = NULL;

	ck_assert_int_eq(try_instantiate(WASM(start_traps), &instance), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_UNREACHABLE);
	ck_assert_ptr_null(instance);
	ck_assert_uint_eq(bytes_of(lib)[50], 9);
}
END_TEST

/* --- limits and refusals -------------------------------------------------------------------- */

START_TEST(limits_of_the_store_are_obeyed)
{
	struct vm_instance *instance = NULL;
	struct vm_store_config config;

	vm_store_free(store);
	vm_store_config_init(&config);
	config.memory_pages_max = 99;
	config.table_elements_max = 999;
	config.instances_max = 3;
	ck_assert_int_eq(vm_store_new(engine, &config, &store, &err), VM_OK);
	ck_assert_int_eq(try_instantiate(WASM(big_memory), &instance), VM_E_LIMIT);
	ck_assert_ptr_nonnull(strstr(err.message, "100 pages, the limit is 99"));
	ck_assert_int_eq(try_instantiate(WASM(big_table), &instance), VM_E_LIMIT);
	ck_assert_ptr_nonnull(strstr(err.message, "1000 elements, the limit is 999"));
	/* those that failed count too */
	ck_assert_int_eq(try_instantiate(WASM(add), &instance), VM_OK);
	ck_assert_int_eq(try_instantiate(WASM(add), &instance), VM_E_LIMIT);
	ck_assert_ptr_nonnull(strstr(err.message, "3 instances"));
}
END_TEST

START_TEST(stopped_store_makes_no_instances)
{
	struct vm_instance *instance = NULL;

	vm_store_stop(store, VM_TRAP_CANCELLED);
	ck_assert_int_eq(try_instantiate(WASM(add), &instance), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_CANCELLED);
}
END_TEST

START_TEST(feature_that_the_tier_lacks_is_named)
{
	struct vm_tier tier = vm_tier_interp;
	struct vm_instance *instance = NULL;
	struct vm_module *module = load(WASM(uses_simd));
	struct vm_program *program;

	tier.unsupported |= VM_FEATURE_BIT(SIMD);
	ck_assert_int_eq(vm_program_new(linker, module, &program, &err), VM_OK);
	ck_assert_int_eq(instance_make(program, store, &tier, &instance, &err), VM_E_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.message, "simd"));
	ck_assert_int_eq(vm_program_instantiate(program, store, &instance, &err), VM_OK);
	vm_program_unref(program);
	vm_module_unref(module);
}
END_TEST

/* --- running out of memory ------------------------------------------------------------------ */

static long until_failure = -1, blocks;

static void *
failing_alloc(void *self, size_t size_bytes)
{
	(void)self;
	if (until_failure >= 0 && until_failure-- == 0)
		return NULL;
	blocks++;
	return malloc(size_bytes);
}

static void *
failing_realloc(void *self, void *old, size_t size_bytes)
{
	(void)self;
	if (until_failure >= 0 && until_failure-- == 0)
		return NULL;
	blocks += old == NULL;
	return realloc(old, size_bytes);
}

static void
failing_free(void *self, void *old)
{
	(void)self;
	blocks--;
	free(old);
}

static enum vm_status
nothing(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *e)
{
	(void)env;
	(void)caller;
	(void)slots;
	(void)e;
	return VM_OK;
}

/* Link two modules with each other and with a host function, as far as it goes. */
static enum vm_status
link_and_run(void)
{
	static const vm_valtype params[] = { VM_I32, VM_I64 }, results[] = { VM_I32 };
	const struct vm_functype type = { params, results, 2, 1 };
	const struct wasm modules[] = { WASM(lib), WASM(constants), WASM(segments),
		                        WASM(calls_host) };
	struct vm_instance *instance;
	struct vm_linker *l = NULL;
	struct vm_store *s = NULL;
	enum vm_status st = vm_store_new(engine, NULL, &s, &err);

	if (st == VM_OK)
		st = vm_linker_new(engine, &l, &err);
	if (st == VM_OK)
		st = vm_linker_define_func(l, VM_STR("host"), VM_STR("f"), &type, nothing, NULL,
		                           &err);
	for (size_t i = 0; st == VM_OK && i < 4; i++) {
		struct vm_module *module = NULL;

		st = vm_module_load(engine, modules[i].bytes, modules[i].len, &module, &err);
		if (st == VM_OK)
			st = vm_linker_instantiate(l, s, module, &instance, &err);
		if (st == VM_OK && i == 0)
			st = vm_linker_define_instance(l, VM_STR("lib"), instance, &err);
		vm_module_unref(module);
	}
	vm_linker_free(l);
	vm_store_free(s);
	return st;
}

START_TEST(every_allocation_may_fail)
{
	const struct vm_allocator alloc = { failing_alloc, failing_realloc, failing_free, NULL };
	enum vm_status st = VM_E_NOMEM;

	fixture_teardown();
	fixture_config.allocator = &alloc;
	fixture_setup();
	ck_assert_int_eq(link_and_run(), VM_OK); /* what is made once and kept */
	long before = blocks;
	for (long n = 0; st != VM_OK; n++) {
		ck_assert_int_lt(n, 2000);
		until_failure = n;
		st = link_and_run();
		until_failure = -1;
		ck_assert_msg(st == VM_OK || st == VM_E_NOMEM || st == VM_E_LIMIT,
		              "allocation %ld fails: %s: %s", n, vm_status_name(st), err.message);
		ck_assert_msg(blocks <= before + 4,
		              "allocation %ld fails: %ld blocks left, had %ld", n, blocks, before);
	}
	fixture_teardown();
	ck_assert_int_eq(blocks, 0);
	fixture_config.allocator = NULL;
	fixture_setup();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("rt/instance");
	TCase *tc = tcase_create("instance");

	vm_engine_config_init(&fixture_config);
	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_add_test(tc, constant_expressions_are_evaluated);
	tcase_add_test(tc, exports_are_found_by_name_and_index);
	tcase_add_test(tc, misfit_keeps_what_was_written_before);
	tcase_add_test(tc, element_misfit_comes_before_data);
	tcase_add_test(tc, version_1_checks_all_segments_first);
	tcase_add_loop_test(tc, segments_are_copied_within_bounds, 0,
	                    sizeof(segment_cases) / sizeof(segment_cases[0]));
	tcase_add_test(tc, segments_have_the_right_contents_until_dropped);
	tcase_add_test(tc, each_instance_has_its_own_state);
	tcase_add_test(tc, large_data_is_mapped_from_the_second_time_on);
	tcase_add_test(tc, data_is_copied_when_no_image_can_be_made);
	tcase_add_test(tc, start_runs_behind_the_segments);
	tcase_add_test(tc, failed_start_keeps_its_effects);
	tcase_add_test(tc, limits_of_the_store_are_obeyed);
	tcase_add_test(tc, stopped_store_makes_no_instances);
	tcase_add_test(tc, feature_that_the_tier_lacks_is_named);
	tcase_add_test(tc, every_allocation_may_fail);
	suite_add_tcase(suite, tc);
	return suite;
}
