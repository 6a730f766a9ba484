/*
 * When two runs of a call count as the same.
 */
#include "daemon/shadow.h"

#include <string.h>
#include "tests/support/unit.h"

#define NAN32 0x7fc00000u
#define NAN64 UINT64_C(0x7ff8000000000000)

static struct vm_value
i32(int32_t number)
{
	return (struct vm_value){ .type = VM_I32, .of.i32 = number };
}

static struct vm_value
f32(uint32_t bits)
{
	return (struct vm_value){ .type = VM_F32, .of.f32_bits = bits };
}

static struct vm_value
f64(uint64_t bits)
{
	return (struct vm_value){ .type = VM_F64, .of.f64_bits = bits };
}

static struct vm_value
lanes32(uint32_t a, uint32_t b)
{
	const uint32_t lanes[4] = { a, b, 0, 0 };
	struct vm_value value = { .type = VM_V128 };

	memcpy(value.of.v128, lanes, 16);
	return value;
}

static enum shadow_verdict
compare_values(struct vm_value a, struct vm_value b)
{
	const struct shadow_run first = { .results = &a, .result_count = 1 };
	const struct shadow_run second = { .results = &b, .result_count = 1 };
	const char *what = "";

	enum shadow_verdict verdict = shadow_compare(&first, &second, &what);
	if (verdict == SHADOW_DIFFERENT)
		ck_assert_str_eq(what, "results");
	return verdict;
}

START_TEST(values_are_the_same_but_for_the_payload_of_nans)
{
	ck_assert_int_eq(compare_values(i32(7), i32(7)), SHADOW_SAME);
	ck_assert_int_eq(compare_values(i32(7), i32(8)), SHADOW_DIFFERENT);
	ck_assert_int_eq(compare_values(f32(NAN32), f32(NAN32 | 1u << 31 | 5)), SHADOW_SAME);
	ck_assert_int_eq(compare_values(f32(NAN32), f32(0x7f800000)), SHADOW_DIFFERENT);
	ck_assert_int_eq(compare_values(f32(0), f32(1u << 31)), SHADOW_DIFFERENT);
	ck_assert_int_eq(compare_values(f64(NAN64), f64(NAN64 + 1)), SHADOW_SAME);
	ck_assert_int_eq(compare_values(f64(1), f64(2)), SHADOW_DIFFERENT);
	ck_assert_int_eq(compare_values(lanes32(1, 2), lanes32(1, 2)), SHADOW_SAME);
	ck_assert_int_eq(compare_values(lanes32(1, 2), lanes32(1, 3)), SHADOW_DIFFERENT);
	ck_assert_int_eq(compare_values(lanes32(1, NAN32), lanes32(1, NAN32 + 3)), SHADOW_SAME);
	/* as lanes of 64 bits they are NaNs */
	ck_assert_int_eq(compare_values(lanes32(1, 0x7ff80000), lanes32(2, 0x7ff80003)),
	                 SHADOW_SAME);
	ck_assert_int_eq(compare_values(lanes32(1, 1), lanes32(2, 1)), SHADOW_DIFFERENT);
}
END_TEST

static const struct ending {
	enum vm_status status;
	enum vm_trap trap;
	int32_t exit_code;
} endings[] = {
	{ VM_OK, VM_TRAP_NONE, 0 },
	{ VM_EXIT, VM_TRAP_NONE, 0 },
	{ VM_EXIT, VM_TRAP_NONE, 1 },
	{ VM_TRAP, VM_TRAP_UNREACHABLE, 0 },
	{ VM_TRAP, VM_TRAP_DIVIDE_BY_ZERO, 0 },
	{ VM_TRAP, VM_TRAP_FUEL, 0 },
	/* from here on nothing is decided */
	{ VM_TRAP, VM_TRAP_STACK_OVERFLOW, 0 },
	{ VM_TRAP, VM_TRAP_DEADLINE, 0 },
	{ VM_TRAP, VM_TRAP_CANCELLED, 0 },
	{ VM_TRAP, VM_TRAP_MEMORY_LIMIT, 0 },
	{ VM_E_NOMEM, VM_TRAP_NONE, 0 },
};
#define ENDINGS (sizeof endings / sizeof endings[0])
#define DECIDED 6

START_TEST(endings_are_compared_where_they_are_decided)
{
	for (size_t i = 0; i < ENDINGS; i++)
		for (size_t k = 0; k < ENDINGS; k++) {
			const struct vm_error a = { .trap = endings[i].trap,
				                    .exit_code = endings[i].exit_code };
			const struct vm_error b = { .trap = endings[k].trap,
				                    .exit_code = endings[k].exit_code };
			const struct shadow_run first = { .status = endings[i].status, .err = &a };
			const struct shadow_run second = { .status = endings[k].status, .err = &b };
			enum shadow_verdict want = i >= DECIDED || k >= DECIDED ? SHADOW_UNDECIDED
			                           : i == k                     ? SHADOW_SAME
			                                                        : SHADOW_DIFFERENT;
			const char *what = "";
			ck_assert_msg(shadow_compare(&first, &second, &what) == want,
			              "endings %zu and %zu", i, k);
		}
}
END_TEST

START_TEST(output_and_files_are_compared)
{
	struct vm_wasi_tree *tree = NULL;
	struct vm_error err;
	const char *what = "";
	const struct shadow_run none = { .status = VM_OK };
	const struct shadow_run a = { .out = { "a", 1, 1 } };
	const struct shadow_run b = { .out = { "b", 1, 1 } };
	const struct shadow_run cut = { .out = { "a", 1, 9 } };
	const struct shadow_run on_error = { .error = { "a", 1, 1 } };

	ck_assert_int_eq(shadow_compare(&a, &a, &what), SHADOW_SAME);
	ck_assert_int_eq(shadow_compare(&a, &b, &what), SHADOW_DIFFERENT);
	ck_assert_str_eq(what, "output");
	ck_assert_int_eq(shadow_compare(&a, &cut, &what), SHADOW_DIFFERENT);
	ck_assert_int_eq(shadow_compare(&a, &on_error, &what), SHADOW_DIFFERENT);

	ck_assert_int_eq(vm_wasi_tree_new(1 << 20, &tree, &err), VM_OK);
	struct shadow_run left = { .tree = tree };
	ck_assert_int_eq(shadow_compare(&left, &none, &what), SHADOW_SAME);
	ck_assert_int_eq(vm_wasi_tree_put(tree, VM_STR("/x"), "1", 1, &err), VM_OK);
	ck_assert_int_eq(shadow_compare(&left, &none, &what), SHADOW_DIFFERENT);
	ck_assert_str_eq(what, "files");
	ck_assert_int_eq(shadow_compare(&left, &left, &what), SHADOW_SAME);
	vm_wasi_tree_free(tree);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("shadow");
	TCase *tcase = tcase_create("shadow");

	tcase_add_test(tcase, values_are_the_same_but_for_the_payload_of_nans);
	tcase_add_test(tcase, endings_are_compared_where_they_are_decided);
	tcase_add_test(tcase, output_and_files_are_compared);
	suite_add_tcase(suite, tcase);
	return suite;
}
