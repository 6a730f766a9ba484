/*
 * test_interp.c - what the specification's scripts do not show of the interpreter: running out of
 * memory, where traps happened, stopping, fuel, tail calls between instances, threads that share
 * code.
 */
#include "tests/vm/rt/fixture.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "tests/vm/interp/modules.h"
#include "vm/interp/handlers.h"

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- the table of handlers ------------------------------------------------------------------ */

/* The assembler's table and the struct that describes it are both made from the rows. */
START_TEST(the_handler_table_has_the_layout_of_its_struct)
{
	ck_assert(handler_at(&handler_table.end) == h_exit);
	ck_assert(handler_at(&handler_table.branch_value[1][0][0][1]) == h_branch_z64_S_back);
	ck_assert(handler_at(&handler_table.branch_value[0][1][1][0]) == h_branch_nz_A);
}
END_TEST

/* --- memory runs out ------------------------------------------------------------------------ */

static long blocks_out;            /* allocated and not freed */
static long left_until = LONG_MAX; /* allocations until all fail */

static bool
runs_out(void)
{
	return left_until <= 0 || (left_until < LONG_MAX && left_until-- == 0);
}

static void *
failing_alloc(void *self, size_t size_bytes)
{
	void *block = runs_out() ? NULL : malloc(size_bytes);

	(void)self;
	blocks_out += block != NULL;
	return block;
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
	blocks_out -= old != NULL;
	free(old);
}

/* What the translator keeps from function to function is good after each failure. */
START_TEST(translating_survives_any_failed_allocation)
{
	const struct vm_allocator failing = { failing_alloc, failing_realloc, failing_free, NULL };
	const struct wasm wasm = WASM(traps);
	struct vm_engine_config config;
	struct vm_engine *frail;
	struct vm_module *module;
	void *code;

	vm_engine_config_init(&config);
	config.allocator = &failing;
	ck_assert_int_eq(vm_engine_new(&config, &frail, &err), VM_OK);
	ck_assert_int_eq(vm_module_load(frail, wasm.bytes, wasm.len, &module, &err), VM_OK);
	ck_assert_int_eq(vm_tier_interp.module_code(module, false, &code, &err), VM_OK);
	for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
		struct interp_func *func = vm_tier_interp.func_code(code, i);
		enum vm_status st = VM_E_NOMEM;

		for (long step = 0; st != VM_OK; step++) {
			ck_assert_int_lt(step, 1000);
			left_until = step;
			st = interp_translate(func, &err);
			left_until = LONG_MAX;
			ck_assert_int_eq(st, st == VM_OK ? VM_OK : VM_E_NOMEM);
		}
		ck_assert_uint_gt(func->word_count, 0);
	}
	vm_module_unref(module);
	vm_engine_unref(frail);
	ck_assert_int_eq(blocks_out, 0);
}
END_TEST

/* --- positions ----------------------------------------------------------------------------- */

static void
check_frame(uint32_t at, uint32_t function, const char *name, uint64_t offset)
{
	ck_assert_uint_lt(at, err.frame_count);
	ck_assert_uint_eq(err.frames[at].function, function);
	ck_assert_str_eq(err.frames[at].name, name);
	ck_assert_uint_eq(err.frames[at].offset, offset);
}

START_TEST(a_fault_knows_its_instruction_and_its_callers)
{
	struct vm_instance *instance = instantiate(WASM(traps));
	int32_t end = 65536 - 8;

	ck_assert_int_eq(call1(instance, "outer", end), 2);
	end++;
	ck_assert_int_eq(call_i32(instance, "outer", &end, 1, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_MEMORY_BOUNDS);
	ck_assert_uint_eq(err.frame_count, 3);
	check_frame(0, 0, "load", 0x85);
	check_frame(1, 1, "middle", 0x8e);
	check_frame(2, 2, "outer", 0x98);
	ck_assert_uint_eq(err.function, 0);
	ck_assert_uint_eq(err.offset, 0x85);
}
END_TEST

/* The addition is fused with the load, so the position is that of the pair's second half. */
START_TEST(a_fault_in_a_fused_load_and_in_a_store_is_found_too)
{
	struct vm_instance *instance = instantiate(WASM(traps));
	int32_t address = 40000;

	ck_assert_int_eq(call_i32(instance, "sum", &address, 1, NULL), VM_TRAP);
	check_frame(0, 3, "sum", 0xa5);
	address = -1;
	ck_assert_int_eq(call_i32(instance, "store", &address, 1, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_MEMORY_BOUNDS);
	check_frame(0, 4, "store", 0xaf);
	/* The store stays usable. */
	ck_assert_int_eq(call1(instance, "load", 0), 1);
}
END_TEST

START_TEST(a_deep_backtrace_is_cut_and_says_so)
{
	struct vm_instance *instance = instantiate(WASM(traps));

	ck_assert_int_eq(call_i32(instance, "forever", NULL, 0, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_STACK_OVERFLOW);
	ck_assert_uint_eq(err.frame_count, VM_ERROR_FRAMES_MAX);
	ck_assert_uint_gt(err.frames_omitted, 1000);
	check_frame(VM_ERROR_FRAMES_MAX - 1, 7, "forever", 0xd3);
	ck_assert_int_eq(call1(instance, "down", 10000), 10000);
}
END_TEST

/* --- stopping ------------------------------------------------------------------------------ */


START_TEST(a_stopped_store_ends_loops)
{
	struct vm_instance *instance = instantiate(WASM(traps));
	uint64_t start = now_ns();

	ck_assert_int_eq(vm_store_set_deadline(store, start + 20000000, &err), VM_OK);
	ck_assert_int_eq(call_i32(instance, "spin", NULL, 0, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_DEADLINE);
	ck_assert_uint_eq(err.frame_count, 1);
	ck_assert_str_eq(err.frames[0].name, "spin");
	ck_assert_uint_lt(now_ns() - start, 5000000000u);
	/* It stays stopped. */
	ck_assert_int_eq(call_i32(instance, "forever", NULL, 0, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_DEADLINE);
}
END_TEST

/* --- fuel ---------------------------------------------------------------------------------- */

static struct vm_instance *
instantiate_metered(uint64_t fuel)
{
	vm_store_set_fuel(store, fuel);
	return instantiate(WASM(traps));
}

START_TEST(every_instruction_costs_one)
{
	struct vm_instance *instance = instantiate_metered(1000000);

	ck_assert_int_eq(call1(instance, "straight", 5), 19);
	ck_assert_uint_eq(vm_store_fuel_used(store), 5);
	ck_assert_int_eq(call1(instance, "count", 100), 200);
	ck_assert_uint_eq(vm_store_fuel_used(store), 5 + 9 * 100 + 1);
	ck_assert_uint_eq(vm_store_fuel(store), 1000000 - 906);
}
END_TEST

START_TEST(running_out_of_fuel_is_a_trap_and_exactly_enough_is_enough)
{
	struct vm_instance *instance = instantiate_metered(9 * 10 + 1);
	int32_t rounds = 10;

	ck_assert_int_eq(call1(instance, "count", rounds), 20);
	ck_assert_uint_eq(vm_store_fuel(store), 0);
	vm_store_set_fuel(store, 9 * 10);
	ck_assert_int_eq(call_i32(instance, "count", &rounds, 1, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_FUEL);
	ck_assert_uint_eq(vm_store_fuel(store), 0);
}
END_TEST

/* --- between instances --------------------------------------------------------------------- */

static enum vm_status
twice(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *out_err)
{
	(void)env;
	(void)caller;
	if (slots[0].i32 == 13)
		return vm_error_trap(out_err, VM_TRAP_HOST, "thirteen is not liked");
	slots[0].u64 = UINT64_C(0xffffffff00000000) | (uint32_t)(slots[0].i32 * 2);
	return VM_OK;
}

static void
define_twice(void)
{
	const vm_valtype i32 = VM_I32;
	const struct vm_functype type = { &i32, &i32, 1, 1 };

	enum vm_status st = vm_linker_define_func(linker, VM_STR("host"), VM_STR("twice"), &type,
	                                          twice, NULL, &err);

	ck_assert_int_eq(st, VM_OK);
}

/* Two instances that tail-call each other use no stack, however often. */
START_TEST(tail_calls_across_instances_take_no_stack)
{
	provide("other", WASM(hop));
	struct vm_instance *instance = instantiate(WASM(bounce));

	ck_assert_int_eq(call1(instance, "bounce", 1000000), 7);
}
END_TEST

START_TEST(calls_across_instances_nest_like_any_others)
{
	provide("other", WASM(hop));
	define_twice();
	struct vm_instance *instance = instantiate(WASM(across));
	int32_t deep = 100000000;

	ck_assert_int_eq(call1(instance, "deep", 3000), 6000);
	ck_assert_int_eq(call_i32(instance, "deep", &deep, 1, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_STACK_OVERFLOW);
	/* Frames of both modules are in the backtrace. */
	ck_assert_uint_ne(err.frames[0].offset, err.frames[1].offset);
	ck_assert_uint_eq(err.frames[0].offset, err.frames[2].offset);
	ck_assert_int_eq(call1(instance, "deep", 10), 20);
}
END_TEST

/* A host function may leave anything above an i32. */
START_TEST(host_functions_are_called_and_tail_called)
{
	provide("other", WASM(hop));
	define_twice();
	struct vm_instance *instance = instantiate(WASM(across));
	int32_t unliked = 12;

	ck_assert_int_eq(call1(instance, "tail_host", 20), 42);
	ck_assert_int_eq(call1(instance, "both", 5), 210);
	ck_assert_int_eq(call_i32(instance, "tail_host", &unliked, 1, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_HOST);
	ck_assert_str_eq(err.message, "thirteen is not liked");
	ck_assert_str_eq(err.frames[0].name, "tail_host");
}
END_TEST

/* --- threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 50 };

struct shared {
	struct vm_program *program;
	pthread_barrier_t barrier;
};

/* All threads call a function first at the same time; each has a store of its own. */
static void *
call_first(void *arg)
{
	struct shared *shared = arg;
	struct vm_store *own;
	struct vm_instance *instance;
	struct vm_extern ext;
	struct vm_value value = { .type = VM_I32, .of.i32 = 20 };
	uintptr_t wrong = 1;

	if (vm_store_new(engine, NULL, &own, NULL) != VM_OK)
		return (void *)wrong;
	(void)pthread_barrier_wait(&shared->barrier);
	if (vm_program_instantiate(shared->program, own, &instance, NULL) == VM_OK &&
	    vm_instance_export(instance, VM_STR("down"), &ext, NULL) == VM_OK &&
	    vm_func_call(ext.of.func, &value, 1, &value, 1, NULL) == VM_OK && value.of.i32 == 20)
		wrong = 0;
	vm_store_free(own);
	return (void *)wrong;
}

START_TEST(threads_may_translate_the_same_function_at_once)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct vm_module *module = load(WASM(traps));
		struct shared shared;
		pthread_t threads[THREADS];

		ck_assert_int_eq(vm_program_new(linker, module, &shared.program, &err), VM_OK);
		vm_module_unref(module);
		ck_assert_int_eq(pthread_barrier_init(&shared.barrier, NULL, THREADS), 0);
		for (int i = 0; i < THREADS; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL, call_first, &shared), 0);
		for (int i = 0; i < THREADS; i++) {
			void *wrong;

			ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
			ck_assert_ptr_null(wrong);
		}
		(void)pthread_barrier_destroy(&shared.barrier);
		vm_program_unref(shared.program);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("interp");
	TCase *tcase = tcase_create("interp");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
	tcase_add_test(tcase, the_handler_table_has_the_layout_of_its_struct);
	tcase_add_test(tcase, translating_survives_any_failed_allocation);
	tcase_add_test(tcase, a_fault_knows_its_instruction_and_its_callers);
	tcase_add_test(tcase, a_fault_in_a_fused_load_and_in_a_store_is_found_too);
	tcase_add_test(tcase, a_deep_backtrace_is_cut_and_says_so);
	tcase_add_test(tcase, a_stopped_store_ends_loops);
	tcase_add_test(tcase, every_instruction_costs_one);
	tcase_add_test(tcase, running_out_of_fuel_is_a_trap_and_exactly_enough_is_enough);
	tcase_add_test(tcase, tail_calls_across_instances_take_no_stack);
	tcase_add_test(tcase, calls_across_instances_nest_like_any_others);
	tcase_add_test(tcase, host_functions_are_called_and_tail_called);
	tcase_add_test(tcase, threads_may_translate_the_same_function_at_once);
	suite_add_tcase(suite, tcase);
	return suite;
}
