#include "tests/support/unit.h"

#include <stdlib.h>
#include "vm/core/type.h"

static struct vm_engine *engine;
static struct vm_error err;

static void
setup(void)
{
	ck_assert_int_eq(vm_engine_new(NULL, &engine, &err), VM_OK);
}

static void
teardown(void)
{
	vm_engine_unref(engine);
}

#define IN_GROUP(index) (TYPE_IN_GROUP + (index))
#define HEAP(type) (VM_HEAP_CONCRETE + (type)->number)

/* Intern a group that has to be fine. */
static void
intern(const struct type_source *sources, uint32_t count, const struct vm_type **out)
{
	uint32_t bad;

	ck_assert_msg(types_intern(engine, sources, count, out, &bad, &err) == VM_OK, "%s",
	              err.message);
}

static void
drop(const struct vm_type *type)
{
	rec_group_unref(engine, type->group);
}

/* A structure with one field, open to sub types. */
static struct type_source
structure(const struct field_type *fields, uint32_t count)
{
	return (struct type_source){ .kind = COMP_STRUCT, .fields = fields, .field_count = count };
}

START_TEST(equal_groups_are_one)
{
	/* rec { struct (ref null of the second), array of (ref null of the first) } */
	const struct field_type to_second = { VM_REF_NULL(IN_GROUP(1)), true };
	const struct field_type to_first = { VM_REF_NULL(IN_GROUP(0)), false };
	const struct type_source sources[] = {
		structure(&to_second, 1),
		{ .kind = COMP_ARRAY, .is_final = true, .fields = &to_first, .field_count = 1 },
	};
	const struct type_source swapped[] = { sources[1], sources[0] };
	const struct vm_type *a[2], *b[2], *c[2];

	intern(sources, 2, a);
	intern(sources, 2, b);
	intern(swapped, 2, c);
	ck_assert_ptr_eq(a[0], b[0]);
	ck_assert_ptr_eq(a[1], b[1]);
	ck_assert_ptr_ne(a[0], c[1]);
	ck_assert_uint_eq(a[0]->fields[0].storage, VM_REF_NULL(HEAP(a[1])));
	ck_assert_uint_eq(a[1]->fields[0].storage, VM_REF_NULL(HEAP(a[0])));
	ck_assert_ptr_eq(type_by_number(engine, a[1]->number), a[1]);
	ck_assert_uint_eq(rec_group_count(a[0]->group), 2);
	drop(a[0]);
	drop(b[0]);
	drop(c[0]);
}
END_TEST

/* A type that names itself is another one than an equal one that names the first (3.3). */
START_TEST(groups_are_equal_by_structure_not_by_unfolding)
{
	const struct field_type self = { VM_REF_NULL(IN_GROUP(0)), false };
	const struct type_source recursive = structure(&self, 1);
	const struct vm_type *first, *outer;

	intern(&recursive, 1, &first);
	const struct field_type named = { VM_REF_NULL(HEAP(first)), false };
	const struct type_source unfolded = structure(&named, 1);
	intern(&unfolded, 1, &outer);
	ck_assert_ptr_ne(first, outer);
	drop(first);
	/* The outer one holds it. */
	ck_assert_ptr_eq(type_of_heap(engine, vm_valtype_heap(outer->fields[0].storage)), first);
	drop(outer);
}
END_TEST

START_TEST(numbers_are_used_again)
{
	const vm_valtype params[] = { VM_I32, VM_V128, VM_I64 };
	const struct vm_functype func = { params, params, 3, 1 };
	const struct vm_type *type;
	uint32_t highest = 0;

	for (int i = 0; i < 5000; i++) {
		ck_assert_int_eq(types_intern_func(engine, &func, &type, &err), VM_OK);
		highest = type->number > highest ? type->number : highest;
		ck_assert_uint_eq(type->param_slots, 4);
		ck_assert_uint_eq(type->result_slots, 1);
		drop(type);
	}
	ck_assert_uint_le(highest, 1);
}
END_TEST

START_TEST(many_groups_are_told_apart)
{
	enum { COUNT = 5000 };
	const struct vm_type **types = calloc(COUNT, sizeof(struct vm_type *));
	vm_valtype params[16];

	for (unsigned i = 0; i < COUNT; i++) {
		for (unsigned bit = 0; bit < 16; bit++)
			params[bit] = (i >> bit & 1) != 0 ? VM_I32 : VM_I64;
		const struct vm_functype func = { .params = params, .param_count = 16 };
		ck_assert_int_eq(types_intern_func(engine, &func, &types[i], &err), VM_OK);
		ck_assert(i == 0 || types[i] != types[i - 1]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		ck_assert_ptr_eq(type_by_number(engine, types[i]->number), types[i]);
	for (unsigned i = 0; i < COUNT; i++)
		drop(types[i]);
	free(types);
}
END_TEST

/* Each group names the one before; letting go of the last frees all, without recursion. */
START_TEST(long_chains_are_freed)
{
	const struct vm_type *last = NULL, *type;

	for (int i = 0; i < 200000; i++) {
		const struct field_type field = {
			last != NULL ? VM_REF_NULL(HEAP(last)) : (vm_valtype)VM_I32, false
		};
		const struct type_source source = structure(&field, 1);

		intern(&source, 1, &type);
		if (last != NULL)
			drop(last);
		last = type;
	}
	drop(last);
	const struct vm_functype none = { NULL, NULL, 0, 0 };
	ck_assert_int_eq(types_intern_func(engine, &none, &type, &err), VM_OK);
	drop(type);
}
END_TEST

START_TEST(sub_types_have_displays)
{
	const struct field_type fields[] = { { VM_I32, false }, { VM_I64, true } };
	const struct type_source sources[] = {
		structure(fields, 0),
		{ .kind = COMP_STRUCT, .has_super = true, .super = IN_GROUP(0), .fields = fields,
		  .field_count = 1 },
		{ .kind = COMP_STRUCT, .is_final = true, .has_super = true, .super = IN_GROUP(1),
		  .fields = fields, .field_count = 2 },
	};
	const struct vm_type *t[3];

	intern(sources, 3, t);
	ck_assert_uint_eq(t[2]->depth, 2);
	ck_assert_ptr_eq(t[2]->display[0], t[0]);
	ck_assert_ptr_eq(t[2]->display[1], t[1]);
	ck_assert_ptr_eq(t[2]->display[2], t[2]);
	ck_assert(type_is_subtype(t[2], t[0]));
	ck_assert(!type_is_subtype(t[0], t[2]));
	ck_assert(heap_is_subtype(engine, HEAP(t[2]), HEAP(t[1])));
	ck_assert(!heap_is_subtype(engine, HEAP(t[1]), HEAP(t[2])));
	ck_assert(heap_is_subtype(engine, HEAP(t[1]), VM_HEAP_STRUCT));
	ck_assert(heap_is_subtype(engine, HEAP(t[1]), VM_HEAP_ANY));
	ck_assert(!heap_is_subtype(engine, HEAP(t[1]), VM_HEAP_ARRAY));
	ck_assert(!heap_is_subtype(engine, HEAP(t[1]), VM_HEAP_FUNC));
	ck_assert(heap_is_subtype(engine, VM_HEAP_NONE, HEAP(t[2])));
	ck_assert(!heap_is_subtype(engine, VM_HEAP_NOFUNC, HEAP(t[2])));
	ck_assert_uint_eq(heap_top(engine, HEAP(t[2])), VM_HEAP_ANY);
	drop(t[0]);
}
END_TEST

static const struct refusal {
	const char *name;
	struct type_source super, sub;
} refusals[] = {
	{ "a final super type", { .kind = COMP_STRUCT, .is_final = true },
	  { .kind = COMP_STRUCT } },
	{ "another kind", { .kind = COMP_STRUCT }, { .kind = COMP_FUNC } },
	{ "fewer fields",
	  { .kind = COMP_STRUCT, .fields = &(const struct field_type){ VM_I32, false },
	    .field_count = 1 },
	  { .kind = COMP_STRUCT } },
	{ "a mutable field for a constant one",
	  { .kind = COMP_STRUCT, .fields = &(const struct field_type){ VM_I32, false },
	    .field_count = 1 },
	  { .kind = COMP_STRUCT, .fields = &(const struct field_type){ VM_I32, true },
	    .field_count = 1 } },
	{ "a narrower mutable field",
	  { .kind = COMP_ARRAY, .fields = &(const struct field_type){ VM_FUNCREF, true },
	    .field_count = 1 },
	  { .kind = COMP_ARRAY, .fields = &(const struct field_type){ VM_REF(VM_HEAP_FUNC), true },
	    .field_count = 1 } },
	{ "a packed field for a number",
	  { .kind = COMP_ARRAY, .fields = &(const struct field_type){ VM_I32, false },
	    .field_count = 1 },
	  { .kind = COMP_ARRAY, .fields = &(const struct field_type){ STORAGE_I8, false },
	    .field_count = 1 } },
	{ "narrower parameters",
	  { .kind = COMP_FUNC, .func = { (const vm_valtype[]){ VM_FUNCREF }, NULL, 1, 0 } },
	  { .kind = COMP_FUNC,
	    .func = { (const vm_valtype[]){ VM_REF(VM_HEAP_FUNC) }, NULL, 1, 0 } } },
	{ "wider results",
	  { .kind = COMP_FUNC,
	    .func = { NULL, (const vm_valtype[]){ VM_REF(VM_HEAP_FUNC) }, 0, 1 } },
	  { .kind = COMP_FUNC, .func = { NULL, (const vm_valtype[]){ VM_FUNCREF }, 0, 1 } } },
	{ "more results", { .kind = COMP_FUNC },
	  { .kind = COMP_FUNC, .func = { NULL, (const vm_valtype[]){ VM_I32 }, 0, 1 } } },
};

START_TEST(super_types_have_to_fit)
{
	const struct refusal *r = &refusals[_i];
	struct type_source sources[] = { r->super, r->sub };
	const struct vm_type *t[2];
	uint32_t bad;

	sources[1].has_super = true;
	sources[1].super = IN_GROUP(0);
	ck_assert_msg(types_intern(engine, sources, 2, t, &bad, &err) == VM_E_INVALID,
	              "%s was accepted", r->name);
	ck_assert_uint_eq(bad, 1);
}
END_TEST

START_TEST(depth_is_limited)
{
	struct type_source sources[65] = { { .kind = COMP_STRUCT } };
	const struct vm_type *t[65];
	uint32_t bad;

	for (uint32_t i = 1; i < 65; i++)
		sources[i] = (struct type_source){ .kind = COMP_STRUCT, .has_super = true,
			                           .super = IN_GROUP(i - 1) };
	ck_assert_int_eq(types_intern(engine, sources, 65, t, &bad, &err), VM_E_LIMIT);
	ck_assert_uint_eq(bad, 64);
	intern(sources, 64, t);
	drop(t[0]);
}
END_TEST

static const struct pair {
	vm_valtype sub, super;
	bool holds;
} pairs[] = {
	{ VM_I32, VM_I32, true },
	{ VM_I32, VM_I64, false },
	{ VM_VALTYPE_BOTTOM, VM_V128, true },
	{ VM_VALTYPE_BOTTOM, VM_REF(VM_HEAP_EXN), true },
	{ VM_REF(VM_HEAP_FUNC), VM_FUNCREF, true },
	{ VM_FUNCREF, VM_REF(VM_HEAP_FUNC), false },
	{ VM_REF_NULL(VM_HEAP_NOFUNC), VM_FUNCREF, true },
	{ VM_REF_NULL(VM_HEAP_NOEXTERN), VM_EXTERNREF, true },
	{ VM_REF_NULL(VM_HEAP_NOEXN), VM_REF_NULL(VM_HEAP_EXN), true },
	{ VM_REF_NULL(VM_HEAP_NONE), VM_REF_NULL(VM_HEAP_I31), true },
	{ VM_REF_NULL(VM_HEAP_NONE), VM_REF_NULL(VM_HEAP_ANY), true },
	{ VM_REF_NULL(VM_HEAP_I31), VM_REF_NULL(VM_HEAP_EQ), true },
	{ VM_REF_NULL(VM_HEAP_ARRAY), VM_REF_NULL(VM_HEAP_ANY), true },
	{ VM_REF_NULL(VM_HEAP_STRUCT), VM_REF_NULL(VM_HEAP_ARRAY), false },
	{ VM_REF_NULL(VM_HEAP_ANY), VM_REF_NULL(VM_HEAP_EQ), false },
	{ VM_REF_NULL(VM_HEAP_NONE), VM_FUNCREF, false },
	{ VM_EXTERNREF, VM_REF_NULL(VM_HEAP_ANY), false },
	{ VM_FUNCREF, VM_I32, false },
};

START_TEST(abstract_types_form_hierarchies)
{
	const struct pair *p = &pairs[_i];
	char sub[VM_VALTYPE_TEXT_MAX], super[VM_VALTYPE_TEXT_MAX];

	ck_assert_msg(valtype_is_subtype(engine, p->sub, p->super) == p->holds, "%s <: %s",
	              vm_valtype_text(p->sub, sub, sizeof sub),
	              vm_valtype_text(p->super, super, sizeof super));
}
END_TEST

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("type");
	TCase *tc = tcase_create("type");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, equal_groups_are_one);
	tcase_add_test(tc, groups_are_equal_by_structure_not_by_unfolding);
	tcase_add_test(tc, numbers_are_used_again);
	tcase_add_test(tc, many_groups_are_told_apart);
	tcase_add_test(tc, long_chains_are_freed);
	tcase_add_test(tc, sub_types_have_displays);
	tcase_add_loop_test(tc, super_types_have_to_fit, 0, COUNT_OF(refusals));
	tcase_add_test(tc, depth_is_limited);
	tcase_add_loop_test(tc, abstract_types_form_hierarchies, 0, COUNT_OF(pairs));
	suite_add_tcase(suite, tc);
	return suite;
}
