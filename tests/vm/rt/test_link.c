/*
 * test_link.c - linkers: definitions, their replacement, matching of imports; programs.
 */
#include "tests/vm/rt/fixture.h"

#include <stdio.h>
#include <string.h>

static const vm_valtype i32_i64[] = { VM_I32, VM_I64 };
static const vm_valtype i32[] = { VM_I32 };
static const struct vm_functype f_type = { i32_i64, i32, 2, 1 };

static enum vm_status
sum(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *e)
{
	(void)caller;
	(void)e;
	slots[0].i32 = slots[0].i32 + (int32_t)slots[1].i64 + *(const int *)env;
	return VM_OK;
}

static int zero = 0, thousand = 1000;

static void
define_f(int *env)
{
	ck_assert_int_eq(
	    vm_linker_define_func(linker, VM_STR("host"), VM_STR("f"), &f_type, sum, env, &err),
	    VM_OK);
}

static int32_t
call_f(struct vm_instance *instance)
{
	const struct vm_value args[] = { { .type = VM_I32, .of.i32 = 2 },
		                         { .type = VM_I64, .of.i64 = 40 } };
	struct vm_value result;

	ck_assert_int_eq(vm_func_call(func_of(instance, "call"), args, 2, &result, 1, &err), VM_OK);
	return result.of.i32;
}

/* --- the table of names --------------------------------------------------------------------- */

START_TEST(names_are_found_and_replaced)
{
	enum { COUNT = 500 };
	static char texts[COUNT][8];
	static struct name_entry entries[COUNT], twin;
	struct name_entry *old;
	struct name_table table;

	names_init(&table);
	ck_assert_ptr_null(names_find(&table, VM_STR("m"), VM_STR("n")));
	for (int i = 0; i < COUNT; i++) {
		int len = snprintf(texts[i], sizeof(texts[i]), "%d", i);
		entries[i].module = (struct vm_str){ texts[i], (size_t)len };
		entries[i].name = VM_STR("n");
		ck_assert(names_put(&table, engine, &entries[i], &old));
		ck_assert_ptr_null(old);
	}
	for (int i = 0; i < COUNT; i++)
		ck_assert_ptr_eq(names_find(&table, entries[i].module, VM_STR("n")), &entries[i]);
	twin.module = VM_STR("77");
	twin.name = VM_STR("n");
	ck_assert(names_put(&table, engine, &twin, &old));
	ck_assert_ptr_eq(old, &entries[77]);
	ck_assert_uint_eq(table.count, COUNT);
	/* the border between the two names counts; so does a NUL */
	ck_assert_ptr_null(names_find(&table, VM_STR("7"), VM_STR("7n")));
	ck_assert_ptr_null(names_find(&table, VM_STR("77\0"), VM_STR("n")));
	names_clear(&table, engine);
}
END_TEST

/* --- definitions ---------------------------------------------------------------------------- */

START_TEST(host_function_is_called)
{
	define_f(&zero);
	ck_assert_int_eq(call_f(instantiate(WASM(calls_host))), 42);
}
END_TEST

START_TEST(later_definition_replaces_an_earlier_one)
{
	define_f(&zero);
	struct vm_instance *before = instantiate(WASM(calls_host));
	define_f(&thousand);
	struct vm_instance *after = instantiate(WASM(calls_host));
	ck_assert_int_eq(call_f(before), 42);
	ck_assert_int_eq(call_f(after), 1042);
	/* the linker may go before the instances */
	vm_linker_free(linker);
	ck_assert_int_eq(call_f(before), 42);
	ck_assert_int_eq(vm_linker_new(engine, &linker, &err), VM_OK);
}
END_TEST

START_TEST(missing_import_is_named)
{
	struct vm_instance *instance = NULL;

	ck_assert_int_eq(try_instantiate(WASM(calls_host), &instance), VM_E_LINK);
	ck_assert_ptr_null(instance);
	ck_assert_ptr_nonnull(strstr(err.message, "\"host\" \"f\""));
	ck_assert_ptr_nonnull(strstr(err.message, "func (i32, i64) -> (i32)"));
}
END_TEST

START_TEST(host_function_of_another_type_is_refused)
{
	const struct vm_functype wrong = { i32, NULL, 1, 0 };
	struct vm_instance *instance = NULL;

	ck_assert_int_eq(
	    vm_linker_define_func(linker, VM_STR("host"), VM_STR("f"), &wrong, sum, &zero, &err),
	    VM_OK);
	ck_assert_int_eq(try_instantiate(WASM(calls_host), &instance), VM_E_LINK);
	ck_assert_ptr_nonnull(strstr(err.message, "func (i32) -> ()"));
}
END_TEST

START_TEST(host_function_type_is_checked)
{
	static const vm_valtype odd[] = { VM_I32, 0 }, no_heap[] = { VM_REF(0x12) };
	static vm_valtype many[1001];
	const struct vm_functype types[] = {
		{ odd, NULL, 2, 0 },
		{ i32, no_heap, 1, 1 },
		{ many, NULL, 1001, 0 },
		{ NULL, NULL, UINT32_MAX, UINT32_MAX },
	};

	for (int i = 0; i < 1001; i++)
		many[i] = VM_I32;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(vm_linker_define_func(linker, VM_STR("host"), VM_STR("f"),
		                                       &types[i], sum, &zero, &err),
		                 i < 2 ? VM_E_ARGUMENT : VM_E_LIMIT);
}
END_TEST

START_TEST(import_fits_or_is_refused)
{
	const struct import_case *c = &import_cases[_i];
	struct vm_instance *instance = NULL;

	(void)provide("lib", WASM(lib));
	enum vm_status st = try_instantiate((struct wasm){ c->bytes, c->len }, &instance);
	ck_assert_msg(st == (c->fits ? VM_OK : VM_E_LINK), "%s: got %s", c->description,
	              vm_status_name(st));
	ck_assert_msg((instance != NULL) == c->fits, "%s", c->description);
	if (!c->fits)
		ck_assert_msg(strstr(err.message, "expected ") != NULL, "%s: %s", c->description,
		              err.message);
}
END_TEST

START_TEST(grown_objects_match_by_their_size)
{
	struct vm_instance *lib = provide("lib", WASM(lib)), *instance;
	const struct import_case *two_pages = &import_cases[2];

	ck_assert_str_eq(two_pages->description, "\"memory\" (memory 2)");
	ck_assert_int_eq(vm_memory_grow(export_of(lib, "memory").of.memory, 1), 1);
	ck_assert_int_eq(
	    try_instantiate((struct wasm){ two_pages->bytes, two_pages->len }, &instance), VM_OK);
}
END_TEST

START_TEST(tags_match_by_type)
{
	struct vm_instance *instance = NULL;

	(void)provide("lib", WASM(tag));
	ck_assert_int_eq(try_instantiate(WASM(imports_tag), &instance), VM_OK);
	ck_assert_int_eq(try_instantiate(WASM(imports_other_tag), &instance), VM_E_LINK);
	ck_assert_ptr_nonnull(strstr(err.message, "tag (i64)"));
}
END_TEST

START_TEST(host_function_passes_through_instances)
{
	/* "again" is the imported host function itself, exported once more */
	define_f(&zero);
	struct vm_instance *first = instantiate(WASM(calls_host));
	struct vm_extern again = export_of(first, "again");
	ck_assert_int_eq(vm_linker_define(linker, VM_STR("host"), VM_STR("f"), &again, &err),
	                 VM_OK);
	ck_assert_int_eq(call_f(instantiate(WASM(calls_host))), 42);
}
END_TEST

/* --- stores --------------------------------------------------------------------------------- */

START_TEST(definitions_of_another_store_are_refused)
{
	struct vm_store *other;
	struct vm_instance *instance = NULL;
	struct vm_module *module = load(WASM(start_runs));

	(void)provide("lib", WASM(lib));
	ck_assert_int_eq(vm_store_new(engine, NULL, &other, &err), VM_OK);
	ck_assert_int_eq(vm_linker_instantiate(linker, other, module, &instance, &err), VM_E_LINK);
	ck_assert_ptr_nonnull(strstr(err.message, "another store"));
	vm_store_free(other);
	vm_module_unref(module);
}
END_TEST

START_TEST(definitions_of_a_freed_store_are_refused)
{
	struct vm_store *before = store;
	struct vm_instance *instance = NULL;

	(void)provide("lib", WASM(lib));
	vm_store_free(store);
	ck_assert_int_eq(vm_store_new(engine, NULL, &store, &err), VM_OK);
	ck_assert_ptr_eq(store, before); /* the pool's: a pointer alone does not tell them apart */
	ck_assert_int_eq(try_instantiate(WASM(start_runs), &instance), VM_E_LINK);
}
END_TEST

START_TEST(objects_of_another_engine_are_refused)
{
	struct vm_engine *other;
	struct vm_store *foreign;
	struct vm_linker *foreign_linker;
	struct vm_instance *instance = NULL, *lib = instantiate(WASM(lib));
	struct vm_module *module = load(WASM(add));
	struct vm_program *program;
	struct vm_extern memory = export_of(lib, "memory");

	ck_assert_int_eq(vm_engine_new(NULL, &other, &err), VM_OK);
	ck_assert_int_eq(vm_store_new(other, NULL, &foreign, &err), VM_OK);
	ck_assert_int_eq(vm_linker_new(other, &foreign_linker, &err), VM_OK);
	ck_assert_int_eq(vm_linker_define(foreign_linker, VM_STR("a"), VM_STR("b"), &memory, &err),
	                 VM_E_ARGUMENT);
	ck_assert_int_eq(vm_linker_instantiate(foreign_linker, foreign, module, &instance, &err),
	                 VM_E_ARGUMENT);
	ck_assert_int_eq(vm_linker_instantiate(linker, foreign, module, &instance, &err),
	                 VM_E_ARGUMENT);
	ck_assert_int_eq(vm_program_new(linker, module, &program, &err), VM_OK);
	ck_assert_int_eq(vm_program_instantiate(program, foreign, &instance, &err), VM_E_ARGUMENT);
	vm_program_unref(program);
	vm_module_unref(module);
	vm_linker_free(foreign_linker);
	vm_store_free(foreign);
	vm_engine_unref(other);
}
END_TEST

/* --- programs ------------------------------------------------------------------------------- */

START_TEST(program_outlives_linker_and_module_and_serves_many_stores)
{
	struct vm_module *module = load(WASM(calls_host));
	struct vm_program *program = NULL;

	define_f(&thousand);
	ck_assert_int_eq(vm_program_new(linker, module, &program, &err), VM_OK);
	ck_assert_ptr_eq(vm_program_module(program), module);
	vm_module_unref(module);
	vm_linker_free(linker);
	vm_program_unref(vm_program_ref(program));
	for (int i = 0; i < 3; i++) {
		struct vm_store *one;
		struct vm_instance *instance;

		ck_assert_int_eq(vm_store_new(engine, NULL, &one, &err), VM_OK);
		ck_assert_int_eq(vm_program_instantiate(program, one, &instance, &err), VM_OK);
		ck_assert_ptr_eq(vm_instance_store(instance), one);
		if (i == 2)
			vm_program_unref(program); /* the instance keeps what it needs */
		ck_assert_int_eq(call_f(instance), 1042);
		vm_store_free(one);
	}
	ck_assert_int_eq(vm_linker_new(engine, &linker, &err), VM_OK);
}
END_TEST

START_TEST(program_takes_host_functions_only)
{
	struct vm_module *module = load(WASM(start_runs));
	struct vm_program *program = NULL;

	ck_assert_int_eq(vm_program_new(linker, module, &program, &err), VM_E_LINK);
	(void)provide("lib", WASM(lib));
	ck_assert_int_eq(vm_program_new(linker, module, &program, &err), VM_E_LINK);
	ck_assert_ptr_nonnull(strstr(err.message, "host functions only"));
	ck_assert_ptr_null(program);
	vm_program_unref(NULL);
	vm_linker_free(NULL);
	vm_module_unref(module);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("rt/link");
	TCase *tc = tcase_create("link");

	tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
	tcase_add_test(tc, names_are_found_and_replaced);
	tcase_add_test(tc, host_function_is_called);
	tcase_add_test(tc, later_definition_replaces_an_earlier_one);
	tcase_add_test(tc, missing_import_is_named);
	tcase_add_test(tc, host_function_of_another_type_is_refused);
	tcase_add_test(tc, host_function_type_is_checked);
	tcase_add_loop_test(tc, import_fits_or_is_refused, 0,
	                    sizeof(import_cases) / sizeof(import_cases[0]));
	tcase_add_test(tc, grown_objects_match_by_their_size);
	tcase_add_test(tc, tags_match_by_type);
	tcase_add_test(tc, host_function_passes_through_instances);
	tcase_add_test(tc, definitions_of_another_store_are_refused);
	tcase_add_test(tc, definitions_of_a_freed_store_are_refused);
	tcase_add_test(tc, objects_of_another_engine_are_refused);
	tcase_add_test(tc, program_outlives_linker_and_module_and_serves_many_stores);
	tcase_add_test(tc, program_takes_host_functions_only);
	suite_add_tcase(suite, tc);
	return suite;
}
