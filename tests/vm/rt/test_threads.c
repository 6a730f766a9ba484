/*
 * test_threads.c - one engine, one program, many threads. Also meant for ThreadSanitizer.
 */
#include "tests/vm/rt/fixture.h"

#include <pthread.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 300 };

static struct vm_program *program;

static enum vm_status
count_call(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *e)
{
	(void)env;
	(void)caller;
	(void)e;
	slots[0].i32 = slots[0].i32 + (int32_t)slots[1].i64;
	return VM_OK;
}

/* A message, or NULL when all went well: asserts of the framework belong to the main thread. */
static const char *
one_request(int round)
{
	struct vm_store *s = NULL;
	struct vm_instance *instance;
	struct vm_extern call;
	struct vm_error e;
	const char *wrong = NULL;
	union vm_slot slots[2] = { { .i32 = round }, { .i64 = 1 } };

	if (vm_store_new(engine, NULL, &s, &e) != VM_OK)
		return "store";
	if (round % 3 == 0 && vm_store_set_deadline(s, UINT64_C(1) << 62, &e) != VM_OK)
		wrong = "deadline";
	else if (vm_program_instantiate(program, s, &instance, &e) != VM_OK)
		wrong = "instantiate";
	else if (vm_instance_export(instance, VM_STR("call"), &call, &e) != VM_OK)
		wrong = "export";
	else if (vm_func_call_slots(call.of.func, slots, &e) != VM_OK)
		wrong = "call";
	else if (slots[0].i32 != round + 1)
		wrong = "result";
	vm_store_free(s);
	return wrong;
}

static void *
requests(void *arg)
{
	const char *wrong = NULL;

	(void)arg;
	for (int round = 0; round < ROUNDS && wrong == NULL; round++)
		wrong = one_request(round);
	return (void *)(uintptr_t)wrong;
}

START_TEST(program_is_shared_by_threads)
{
	static const vm_valtype params[] = { VM_I32, VM_I64 }, results[] = { VM_I32 };
	const struct vm_functype type = { params, results, 2, 1 };
	struct vm_module *module = load(WASM(calls_host));
	pthread_t threads[THREADS];

	ck_assert_int_eq(vm_linker_define_func(linker, VM_STR("host"), VM_STR("f"), &type,
	                                       count_call, NULL, &err),
	                 VM_OK);
	ck_assert_int_eq(vm_program_new(linker, module, &program, &err), VM_OK);
	vm_module_unref(module);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, requests, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_msg(wrong == NULL, "thread %d: %s", i, (const char *)wrong);
	}
	vm_program_unref(program);
}
END_TEST

/* --- tenants of one pool -------------------------------------------------------------------- */

/* Fills its memory and looks whether it was empty. */
static void *
tenants(void *arg)
{
	static const uint64_t pages[] = { 1, 2, 9, 1, 20 };
	uint8_t mark = *(const uint8_t *)arg;

	for (int round = 0; round < ROUNDS / 3; round++) {
		const struct vm_memorytype type = { .min = pages[round % 5] };
		struct vm_store *s;
		struct vm_memory *memory;
		struct vm_error e;

		if (vm_store_new(engine, NULL, &s, &e) != VM_OK)
			return arg;
		if (vm_memory_new(s, &type, &memory, &e) != VM_OK) {
			vm_store_free(s);
			return arg;
		}
		uint8_t *p = vm_memory_data(memory);
		uint64_t size = vm_memory_size(memory);
		bool is_empty = p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
		memset(p, mark, size);
		vm_store_free(s);
		if (!is_empty)
			return arg;
	}
	return NULL;
}

START_TEST(tenants_never_meet)
{
	static uint8_t marks[THREADS] = { 1, 2, 3, 4 };
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, tenants, &marks[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

/* --- stops from everywhere ------------------------------------------------------------------ */

static void *
stopper(void *arg)
{
	for (unsigned int reason = VM_TRAP_CANCELLED; reason <= VM_TRAP_MEMORY_LIMIT; reason++)
		vm_store_stop(arg, (enum vm_trap)reason);
	return NULL;
}

START_TEST(stops_race_and_one_wins)
{
	for (int round = 0; round < 50; round++) {
		pthread_t threads[THREADS];
		struct vm_store *s;

		ck_assert_int_eq(vm_store_new(engine, NULL, &s, &err), VM_OK);
		for (int i = 0; i < THREADS; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL, stopper, s), 0);
		ck_assert_int_ge(vm_store_stop_fd(s), 0);
		ck_assert_int_eq(vm_store_set_deadline(s, 1, &err), VM_OK);
		for (int i = 0; i < THREADS; i++)
			ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_int_ne(vm_store_stopped(s), VM_TRAP_NONE);
		vm_store_free(s);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("rt/threads");
	TCase *tc = tcase_create("threads");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, program_is_shared_by_threads);
	tcase_add_test(tc, tenants_never_meet);
	tcase_add_test(tc, stops_race_and_one_wins);
	suite_add_tcase(suite, tc);
	return suite;
}
