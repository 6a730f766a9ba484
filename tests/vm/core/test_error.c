#include "tests/support/unit.h"

#include <string.h>
#include "vm/engine.h"
#include "vm/error.h"
#include "vm/type.h"

START_TEST(errors_are_filled_in)
{
	struct vm_error err;

	memset(&err, 0x5a, sizeof err);
	ck_assert_int_eq(vm_error_set(&err, VM_E_INVALID, 0x2f3, "expected %s", "i32"),
	                 VM_E_INVALID);
	ck_assert_int_eq(err.status, VM_E_INVALID);
	ck_assert_uint_eq(err.offset, 0x2f3);
	ck_assert_uint_eq(err.function, VM_NO_FUNCTION);
	ck_assert_uint_eq(err.frame_count, 0);
	ck_assert_int_eq(err.trap, VM_TRAP_NONE);
	ck_assert_str_eq(err.message, "expected i32");
	ck_assert_int_eq(vm_error_trap(&err, VM_TRAP_FUEL, "after %d", 7), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_FUEL);
	ck_assert_str_eq(err.message, "after 7");
	ck_assert_int_eq(vm_error_exit(&err, -3), VM_EXIT);
	ck_assert_int_eq(err.exit_code, -3);
	ck_assert_int_eq(vm_error_set(NULL, VM_E_IO, 0, "nobody listens"), VM_E_IO);
}
END_TEST

START_TEST(long_messages_are_cut_at_a_character)
{
	struct vm_error err;
	char text[VM_ERROR_MESSAGE_MAX + 1] = "";

	memset(text, 'x', VM_ERROR_MESSAGE_MAX - 2);
	memcpy(text + VM_ERROR_MESSAGE_MAX - 2, "\xc3\xa4", 2);
	vm_error_set(&err, VM_E_IO, 0, "%s", text);
	ck_assert_uint_eq(strlen(err.message), VM_ERROR_MESSAGE_MAX - 2);
	ck_assert_int_eq(err.message[VM_ERROR_MESSAGE_MAX - 3], 'x');
}
END_TEST

START_TEST(statuses_and_traps_have_texts)
{
	ck_assert_str_eq(vm_status_text(VM_E_NOMEM), "out of memory");
	ck_assert_str_eq(vm_status_name(VM_E_NOMEM), "E_NOMEM");
	ck_assert_str_eq(vm_status_name(VM_OK), "OK");
	ck_assert_str_eq(vm_trap_text(VM_TRAP_DIVIDE_BY_ZERO), "integer divide by zero");
	ck_assert_str_eq(vm_trap_name(VM_TRAP_DIVIDE_BY_ZERO), "integer-divide-by-zero");
	ck_assert_ptr_nonnull(vm_status_text((enum vm_status)12345));
	ck_assert_ptr_nonnull(vm_status_name((enum vm_status)12345));
	ck_assert_ptr_nonnull(vm_trap_text((enum vm_trap)12345));
	ck_assert_ptr_nonnull(vm_trap_name((enum vm_trap)12345));
	ck_assert(vm_trap_is_limit(VM_TRAP_DEADLINE));
	ck_assert(!vm_trap_is_limit(VM_TRAP_HOST));
	ck_assert(!vm_trap_is_limit(VM_TRAP_STACK_OVERFLOW));
	ck_assert(!vm_trap_is_limit((enum vm_trap)12345));
}
END_TEST

START_TEST(features_go_by_version_and_name)
{
	enum vm_feature feature;

	ck_assert_uint_eq(vm_features_of_version(10),
	                  VM_FEATURE_BIT(MVP) | VM_FEATURE_BIT(MUTABLE_GLOBALS));
	ck_assert(vm_features_of_version(20) & VM_FEATURE_BIT(SIMD));
	ck_assert(!(vm_features_of_version(20) & VM_FEATURE_BIT(GC)));
	ck_assert(vm_features_of_version(30) & VM_FEATURE_BIT(GC));
	ck_assert(!(vm_features_of_version(30) & VM_FEATURE_BIT(THREADS)));
	ck_assert_uint_eq(vm_features_of_version(99), 0);
	for (unsigned i = 0; i < VM_FEATURE_COUNT; i++) {
		const char *name = vm_feature_name((enum vm_feature)i);

		ck_assert(vm_feature_find((struct vm_str){ name, strlen(name) }, &feature));
		ck_assert_uint_eq(feature, i);
	}
	ck_assert(!vm_feature_find(VM_STR("simdx"), &feature));
	ck_assert(!vm_feature_find(VM_STR(""), &feature));
	ck_assert_str_eq(vm_feature_name(VM_FEATURE_COUNT), "unknown");
	ck_assert_uint_gt(strlen(vm_version()), 0);
}
END_TEST

static const struct text_case {
	vm_valtype type;
	const char *want;
} text_cases[] = {
	{ VM_I32, "i32" },
	{ VM_V128, "v128" },
	{ VM_FUNCREF, "funcref" },
	{ VM_EXTERNREF, "externref" },
	{ VM_REF(VM_HEAP_FUNC), "(ref func)" },
	{ VM_REF_NULL(VM_HEAP_NONE), "nullref" },
	{ VM_REF_NULL(VM_HEAP_NOEXN), "nullexnref" },
	{ VM_REF_NULL(VM_HEAP_EXN), "exnref" },
	{ VM_REF(VM_HEAP_I31), "(ref i31)" },
	{ VM_REF(VM_HEAP_CONCRETE + 7), "(ref 7)" },
	{ VM_REF_NULL(VM_HEAP_CONCRETE), "(ref null 0)" },
	{ 0, "unknown" },
	{ VM_REF(1), "unknown" },
};

START_TEST(types_have_texts)
{
	const struct text_case *c = &text_cases[_i];
	char text[VM_VALTYPE_TEXT_MAX];

	ck_assert_str_eq(vm_valtype_text(c->type, text, sizeof text), c->want);
	ck_assert_str_eq(vm_valtype_text(VM_EXTERNREF, text, 5), "exte");
}
END_TEST

START_TEST(kinds_have_texts)
{
	ck_assert_str_eq(vm_extern_kind_text(VM_EXTERN_FUNC), "func");
	ck_assert_str_eq(vm_extern_kind_text(VM_EXTERN_TAG), "tag");
	ck_assert_str_eq(vm_extern_kind_text((enum vm_extern_kind)9), "unknown");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("error");
	TCase *tc = tcase_create("texts");

	tcase_add_test(tc, errors_are_filled_in);
	tcase_add_test(tc, long_messages_are_cut_at_a_character);
	tcase_add_test(tc, statuses_and_traps_have_texts);
	tcase_add_test(tc, features_go_by_version_and_name);
	tcase_add_loop_test(tc, types_have_texts, 0, sizeof text_cases / sizeof text_cases[0]);
	tcase_add_test(tc, kinds_have_texts);
	suite_add_tcase(suite, tc);
	return suite;
}
