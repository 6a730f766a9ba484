/*
 * test_call.c - calls: checked values, host functions, nesting, traps and stops.
 */
#include "tests/vm/rt/fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "vm/rt/thread.h"

/* --- values --------------------------------------------------------------------------------- */

START_TEST(values_travel_unchanged)
{
	struct vm_instance *instance = instantiate(WASM(identity));
	struct vm_func *func = func_of(instance, "identity");
	int thing;
	struct vm_value args[7] = {
		{ .type = VM_I32, .of.i32 = INT32_MIN },
		{ .type = VM_I64, .of.i64 = INT64_MIN },
		{ .type = VM_F32, .of.f32_bits = 0x7fa00001 }, /* signalling NaN */
		{ .type = VM_F64, .of.f64_bits = UINT64_C(0xfff4000000000001) },
		{ .type = VM_V128,
		  .of.v128 = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } },
		{ .type = VM_FUNCREF, .of.ref = func },
		{ .type = VM_EXTERNREF, .of.ref = &thing },
	};
	struct vm_value results[7];

	ck_assert_int_eq(vm_func_call(func, args, 7, results, 7, &err), VM_OK);
	ck_assert_int_eq(results[0].of.i32, INT32_MIN);
	ck_assert_int_eq(results[1].of.i64, INT64_MIN);
	ck_assert_uint_eq(results[2].of.f32_bits, 0x7fa00001);
	ck_assert_uint_eq(results[3].of.f64_bits, UINT64_C(0xfff4000000000001));
	ck_assert_mem_eq(results[4].of.v128, args[4].of.v128, 16);
	ck_assert_ptr_eq(results[5].of.ref, func);
	ck_assert_ptr_eq(results[6].of.ref, &thing);
	for (int i = 0; i < 7; i++)
		ck_assert_uint_eq(results[i].type, args[i].type);
}
END_TEST

static int a_thing;

static const struct argument_case {
	const char *name;
	size_t at;
	struct vm_value value;
	const char *message;
} argument_cases[] = {
	{ "i64 for i32", 0, { .type = VM_I64 }, "argument 0: expected i32, got i64" },
	{ "f32 for f64", 3, { .type = VM_F32 }, "argument 3: expected f64, got f32" },
	{ "i32 for v128", 4, { .type = VM_I32 }, "argument 4: expected v128, got i32" },
	{ "number for a reference",
	  5,
	  { .type = VM_I32 },
	  "argument 5: expected funcref, got i32" },
	{ "null of another hierarchy",
	  5,
	  { .type = VM_EXTERNREF },
	  "argument 5: expected funcref" },
	{ "host pointer for a function",
	  5,
	  { .type = VM_EXTERNREF, .of.ref = &a_thing },
	  "argument 5: expected funcref" },
	{ "function for a host pointer",
	  6,
	  { .type = VM_FUNCREF },
	  "argument 6: expected externref" },
	{ "no type at all", 0, { .type = 0 }, "argument 0: expected i32" },
	{ "no type for a reference", 5, { .type = 0 }, "argument 5: expected funcref" },
};

START_TEST(argument_of_the_wrong_type_is_refused)
{
	const struct argument_case *c = &argument_cases[_i];
	struct vm_instance *instance = instantiate(WASM(identity));
	struct vm_value args[7] = {
		{ .type = VM_I32 },       { .type = VM_I64 },  { .type = VM_F32 },
		{ .type = VM_F64 },       { .type = VM_V128 }, { .type = VM_FUNCREF },
		{ .type = VM_EXTERNREF },
	};
	struct vm_value results[7];

	args[c->at] = c->value;
	ck_assert_int_eq(vm_func_call(func_of(instance, "identity"), args, 7, results, 7, &err),
	                 VM_E_ARGUMENT);
	ck_assert_msg(strncmp(err.message, c->message, strlen(c->message)) == 0, "%s: %s", c->name,
	              err.message);
}
END_TEST

START_TEST(counts_have_to_be_right)
{
	struct vm_func *func = func_of(instantiate(WASM(add)), "add");
	const struct vm_value args[3] = { { .type = VM_I32 },
		                          { .type = VM_I32 },
		                          { .type = VM_I32 } };
	struct vm_value results[2];

	ck_assert_int_eq(vm_func_call(func, args, 1, results, 1, &err), VM_E_ARGUMENT);
	ck_assert_str_eq(err.message, "wrong number of arguments: expected 2, got 1");
	ck_assert_int_eq(vm_func_call(func, args, 3, results, 1, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_func_call(func, args, 2, results, 0, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_func_call(func, args, 2, results, 2, &err), VM_E_ARGUMENT);
	ck_assert_int_eq(vm_func_call(func, args, 2, results, 1, NULL), VM_OK);
}
END_TEST

START_TEST(function_of_another_store_is_refused)
{
	struct vm_instance *instance = instantiate(WASM(identity));
	struct vm_module *module = load(WASM(add));
	struct vm_store *other;
	struct vm_instance *foreign;
	struct vm_value args[7] = {
		{ .type = VM_I32 },       { .type = VM_I64 },  { .type = VM_F32 },
		{ .type = VM_F64 },       { .type = VM_V128 }, { .type = VM_FUNCREF },
		{ .type = VM_EXTERNREF },
	};
	struct vm_value results[7];

	ck_assert_int_eq(vm_store_new(engine, NULL, &other, &err), VM_OK);
	ck_assert_int_eq(vm_linker_instantiate(linker, other, module, &foreign, &err), VM_OK);
	args[5].of.ref = func_of(foreign, "add");
	ck_assert_int_eq(vm_func_call(func_of(instance, "identity"), args, 7, results, 7, &err),
	                 VM_E_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.message, "another store"));
	vm_store_free(other);
	vm_module_unref(module);
}
END_TEST

START_TEST(slots_are_called_without_checks)
{
	union vm_slot slots[2] = { { .i32 = 2 }, { .i32 = 40 } };

	ck_assert_int_eq(vm_func_call_slots(func_of(instantiate(WASM(add)), "add"), slots, &err),
	                 VM_OK);
	ck_assert_int_eq(slots[0].i32, 42);
}
END_TEST

/* --- traps ---------------------------------------------------------------------------------- */

START_TEST(access_out_of_bounds_is_a_trap)
{
	struct vm_instance *instance = instantiate(WASM(load));
	static const int32_t addresses[] = { 65533, 65536, -1, -4 };

	ck_assert_int_eq(call1(instance, "load", 65532), 0);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(call_i32(instance, "load", &addresses[i], 1, NULL), VM_TRAP);
		ck_assert_int_eq(err.trap, VM_TRAP_MEMORY_BOUNDS);
		ck_assert_uint_eq(err.frame_count, 1);
		ck_assert_str_eq(err.frames[0].name, "load");
		ck_assert_int_eq(call_i32(instance, "far", &addresses[i], 1, NULL), VM_TRAP);
		ck_assert_int_eq(err.trap, VM_TRAP_MEMORY_BOUNDS);
	}
	ck_assert_int_eq(call1(instance, "load", 0), 0); /* and the store goes on */
}
END_TEST

START_TEST(endless_recursion_is_a_trap)
{
	struct vm_instance *instance = instantiate(WASM(recurse));
	int32_t zero = 0;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(call_i32(instance, "recurse", &zero, 1, NULL), VM_TRAP);
		ck_assert_int_eq(err.trap, VM_TRAP_STACK_OVERFLOW);
	}
}
END_TEST

/* --- stopping ------------------------------------------------------------------------------- */

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

START_TEST(deadline_ends_an_endless_loop)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		struct vm_instance *instance = instantiate(WASM(spin));
		uint64_t deadline = now_ns() + 5000000;

		ck_assert_int_eq(vm_store_set_deadline(store, deadline, &err), VM_OK);
		ck_assert_int_eq(call_i32(instance, "spin", NULL, 0, NULL), VM_TRAP);
		uint64_t late = now_ns() - deadline;
		ck_assert_int_eq(err.trap, VM_TRAP_DEADLINE);
		ck_assert_int_eq(err.status, VM_TRAP);
		best = late < best ? late : best;
		/* it stays stopped */
		ck_assert_int_eq(call_i32(instance, "spin", NULL, 0, NULL), VM_TRAP);
		ck_assert_int_eq(err.trap, VM_TRAP_DEADLINE);
		vm_store_free(store);
		ck_assert_int_eq(vm_store_new(engine, NULL, &store, &err), VM_OK);
	}
	ck_assert_uint_lt(best, 100000000); /* idle machines: below 1 ms */
}
END_TEST

static void *
cancel_soon(void *arg)
{
	(void)usleep(3000);
	vm_store_stop(arg, VM_TRAP_CANCELLED);
	return NULL;
}

START_TEST(another_thread_cancels)
{
	struct vm_instance *instance = instantiate(WASM(spin));
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, store), 0);
	ck_assert_int_eq(call_i32(instance, "spin", NULL, 0, NULL), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_CANCELLED);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* --- host functions ------------------------------------------------------------------------- */

enum behaviour {
	SUCCEED,
	TRAP_HOST,
	TRAP_LIMIT,
	EXIT_7,
	SILENT_TRAP,
	SILENT_EXIT,
	ODD_STATUS,
	SILENT_ODD,
	STOP,
	LIE,
};

static struct vm_instance *importer;

static enum vm_status
behave(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *e)
{
	switch (*(const enum behaviour *)env) {
	case SUCCEED:
		slots[0].i32 = caller->store == store && caller->instance == importer;
		return VM_OK;
	case TRAP_HOST:
		return vm_error_trap(e, VM_TRAP_HOST, "no such colour");
	case TRAP_LIMIT:
		return vm_error_trap(e, VM_TRAP_OUTPUT_LIMIT, "too much");
	case EXIT_7:
		return vm_error_exit(e, 7);
	case SILENT_TRAP:
		return VM_TRAP;
	case SILENT_EXIT:
		return VM_EXIT;
	case ODD_STATUS:
		return vm_error_set(e, VM_E_NOMEM, VM_NO_OFFSET, "full");
	case SILENT_ODD:
		return VM_E_NOT_FOUND;
	case STOP:
		vm_store_stop(caller->store, VM_TRAP_CANCELLED);
		return VM_OK;
	case LIE:
		(void)vm_error_exit(e, 3);
		return VM_TRAP;
	}
	return VM_OK;
}

static const struct host_case {
	enum behaviour behaviour;
	enum vm_status want;
	enum vm_trap trap;
	const char *message; /* part of it */
} host_cases[] = {
	{ SUCCEED, VM_OK, VM_TRAP_NONE, "" },
	{ TRAP_HOST, VM_TRAP, VM_TRAP_HOST, "no such colour" },
	{ TRAP_LIMIT, VM_TRAP, VM_TRAP_OUTPUT_LIMIT, "too much" },
	{ EXIT_7, VM_EXIT, VM_TRAP_NONE, "" },
	{ SILENT_TRAP, VM_TRAP, VM_TRAP_HOST, "without saying why" },
	{ SILENT_EXIT, VM_EXIT, VM_TRAP_NONE, "" },
	{ ODD_STATUS, VM_TRAP, VM_TRAP_HOST, "out of memory" },
	{ SILENT_ODD, VM_TRAP, VM_TRAP_HOST, "E_NOT_FOUND" },
	{ STOP, VM_TRAP, VM_TRAP_CANCELLED, "cancelled" },
	{ LIE, VM_TRAP, VM_TRAP_HOST, "without saying why" },
};

static const vm_valtype i32_i64[] = { VM_I32, VM_I64 };
static const vm_valtype i32[] = { VM_I32 };

START_TEST(host_function_ends_as_it_says)
{
	const struct host_case *c = &host_cases[_i];
	const struct vm_functype type = { i32_i64, i32, 2, 1 };
	enum behaviour behaviour = c->behaviour;
	const struct vm_value args[] = { { .type = VM_I32 }, { .type = VM_I64 } };
	struct vm_value result;
	struct vm_store_usage usage;

	ck_assert_int_eq(vm_linker_define_func(linker, VM_STR("host"), VM_STR("f"), &type, behave,
	                                       &behaviour, &err),
	                 VM_OK);
	struct vm_instance *instance = importer = instantiate(WASM(calls_host));
	enum vm_status st = vm_func_call(func_of(instance, "call"), args, 2, &result, 1, &err);
	ck_assert_msg(st == c->want, "%d: got %s", c->behaviour, vm_status_name(st));
	vm_store_usage(store, &usage);
	ck_assert_uint_eq(usage.host_calls, 1);
	if (st == VM_OK) {
		ck_assert_int_eq(result.of.i32, 1);
		return;
	}
	ck_assert_int_eq(err.status, c->want);
	if (c->want == VM_TRAP)
		ck_assert_int_eq(err.trap, c->trap);
	if (c->behaviour == EXIT_7)
		ck_assert_int_eq(err.exit_code, 7);
	ck_assert_msg(strstr(err.message, c->message) != NULL, "%d: %s", c->behaviour, err.message);
}
END_TEST

START_TEST(host_function_is_called_by_the_embedder)
{
	const struct vm_functype type = { i32_i64, i32, 2, 1 };
	enum behaviour behaviour = SUCCEED;
	const struct vm_value args[] = { { .type = VM_I32 }, { .type = VM_I64 } };
	struct vm_value result;

	ck_assert_int_eq(vm_linker_define_func(linker, VM_STR("host"), VM_STR("f"), &type, behave,
	                                       &behaviour, &err),
	                 VM_OK);
	struct vm_instance *instance = importer = instantiate(WASM(calls_host));
	ck_assert_int_eq(vm_func_call(func_of(instance, "again"), args, 2, &result, 1, &err),
	                 VM_OK);
	ck_assert_int_eq(result.of.i32, 1); /* the instance is still the one that imported it */
	behaviour = TRAP_HOST;
	ck_assert_int_eq(vm_func_call(func_of(instance, "again"), args, 2, &result, 1, NULL),
	                 VM_TRAP);
}
END_TEST

/* --- nesting -------------------------------------------------------------------------------- */

static struct vm_func *down;
static int deepest;

/* Guest -> host -> guest, as deep as slots[0] says; the depth comes back. Uses 64 KiB of stack. */
static enum vm_status
back(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *e)
{
	volatile char waste[65536];
	struct vm_instance *instance = caller->instance;
	const struct vm_value arg = { .type = VM_I32, .of.i32 = slots[0].i32 - 1 };
	struct vm_value result;

	(void)env;
	for (size_t i = 0; i < sizeof(waste); i += 512)
		waste[i] = 1;
	deepest++;
	if (slots[0].i32 <= 0)
		return VM_OK;
	enum vm_status st = vm_func_call(down, &arg, 1, &result, 1, e);
	if (st != VM_OK)
		return st;
	if (caller->instance != instance)
		return VM_TRAP;
	slots[0].i32 = result.of.i32 + waste[0];
	return VM_OK;
}

static struct vm_instance *
nesting_instance(void)
{
	const struct vm_functype type = { i32, i32, 1, 1 };

	ck_assert_int_eq(
	    vm_linker_define_func(linker, VM_STR("host"), VM_STR("back"), &type, back, NULL, &err),
	    VM_OK);
	struct vm_instance *instance = instantiate(WASM(calls_back));
	down = func_of(instance, "down");
	return instance;
}

/* On a thread with that much stack: how deep an endless recursion got, 0 when it went wrong. */
static void *
nest_endlessly(void *arg)
{
	int32_t endless = 100000;

	(void)arg;
	deepest = 0;
	if (call_i32(down->instance, "down", &endless, 1, NULL) != VM_TRAP ||
	    err.trap != VM_TRAP_STACK_OVERFLOW)
		return NULL;
	return &deepest;
}

static int
depth_on_stack(size_t stack_bytes)
{
	pthread_attr_t attr;
	pthread_t thread;
	void *result = NULL;

	ck_assert_int_eq(pthread_attr_init(&attr), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, stack_bytes), 0);
	ck_assert_int_eq(pthread_create(&thread, &attr, nest_endlessly, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	(void)pthread_attr_destroy(&attr);
	ck_assert_ptr_nonnull(result);
	return deepest;
}

START_TEST(calls_nest_up_to_a_limit)
{
	struct vm_instance *instance = nesting_instance();

	ck_assert_int_eq(call1(instance, "down", 20), 20);
	ck_assert_int_eq(depth_on_stack(64 << 20), RT_DEPTH_MAX);
	/* and everything is back in place */
	ck_assert_int_eq(call1(instance, "down", 20), 20);
}
END_TEST

START_TEST(host_functions_always_find_some_stack)
{
	(void)nesting_instance();
	/* 12 of 64 KiB fit above the reserve, less what the calls themselves take */
	int depth = depth_on_stack(1 << 20);
	ck_assert_int_gt(depth, 5);
	ck_assert_int_le(depth, 12);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("rt/call");
	TCase *tc = tcase_create("call");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, values_travel_unchanged);
	tcase_add_loop_test(tc, argument_of_the_wrong_type_is_refused, 0,
	                    sizeof(argument_cases) / sizeof(argument_cases[0]));
	tcase_add_test(tc, counts_have_to_be_right);
	tcase_add_test(tc, function_of_another_store_is_refused);
	tcase_add_test(tc, slots_are_called_without_checks);
	tcase_add_test(tc, access_out_of_bounds_is_a_trap);
	tcase_add_test(tc, endless_recursion_is_a_trap);
	tcase_add_test(tc, deadline_ends_an_endless_loop);
	tcase_add_test(tc, another_thread_cancels);
	tcase_add_loop_test(tc, host_function_ends_as_it_says, 0,
	                    sizeof(host_cases) / sizeof(host_cases[0]));
	tcase_add_test(tc, host_function_is_called_by_the_embedder);
	tcase_add_test(tc, calls_nest_up_to_a_limit);
	tcase_add_test(tc, host_functions_always_find_some_stack);
	suite_add_tcase(suite, tc);
	return suite;
}
