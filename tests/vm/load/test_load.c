#include "tests/support/unit.h"

#include <string.h>
#include "tests/vm/load/build.h"
#include "vm/core/module.h"
#include "vm/vm.h"

static struct vm_engine *engine;
static struct vm_error err;

static struct vm_engine *
engine_with(vm_features features)
{
	struct vm_engine_config config;
	struct vm_engine *made;

	vm_engine_config_init(&config);
	config.features = features;
	ck_assert_int_eq(vm_engine_new(&config, &made, &err), VM_OK);
	return made;
}

static void
setup(void)
{
	engine = engine_with(vm_features_of_version(30));
}

static void
teardown(void)
{
	vm_engine_unref(engine);
}

static enum vm_status
load(struct vm_engine *in, const struct build *b, struct vm_module **out)
{
	*out = NULL;
	return vm_module_load(in, b->bytes, b->len, out, &err);
}

static struct vm_module *
load_ok(const struct build *b)
{
	struct vm_module *module;

	ck_assert_msg(load(engine, b, &module) == VM_OK, "%s", err.message);
	return module;
}

/* --- refusals -------------------------------------------------------------------------------- */

/* Contents behind the preamble, or whole files. */
static const struct refusal {
	const char *name;
	bool is_whole;
	uint8_t bytes[48];
	size_t len;
	enum vm_status want;
	uint64_t offset;
} refusals[] = {
	{ "an empty file", true, { 0 }, 0, VM_E_TRUNCATED, 0 },
	{ "no magic number", true, { 'M', 'Z', 0, 0, 1, 0, 0, 0 }, 8, VM_E_MAGIC, 0 },
	{ "half a preamble", true, { 0, 'a', 's', 'm', 1 }, 5, VM_E_TRUNCATED, 4 },
	{ "another version", true, { 0, 'a', 's', 'm', 13, 0, 1, 0 }, 8, VM_E_VERSION, 4 },
	{ "an unknown section", false, { 14, 0 }, 2, VM_E_MALFORMED, 8 },
	{ "a section beyond the end", false, { 1, 2, 0 }, 3, VM_E_TRUNCATED, 8 },
	{ "sections out of order", false, { 3, 1, 0, 1, 1, 0 }, 6, VM_E_MALFORMED, 11 },
	{ "a section twice", false, { 1, 1, 0, 1, 1, 0 }, 6, VM_E_MALFORMED, 11 },
	{ "bytes left in a section", false, { 1, 2, 0, 0 }, 4, VM_E_MALFORMED, 11 },
	{ "a count that cannot be", false, { 1, 5, 0xff, 0xff, 0xff, 0xff, 0x00 }, 7,
	  VM_E_LIMIT, 10 },
	{ "a count beyond the section", false, { 1, 1, 3 }, 3, VM_E_TRUNCATED, 10 },
	{ "a value type that is none", false, { 1, 4, 1, 0x60, 1, 0x01 }, 6, VM_E_MALFORMED, 13 },
	{ "an unknown type of a function", false, { 3, 2, 1, 0 }, 4, VM_E_INVALID, 11 },
	{ "functions without code", false, { 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0 }, 10, VM_E_MALFORMED,
	  18 },
	{ "a data count without data", false, { 12, 1, 1 }, 3, VM_E_MALFORMED, 11 },
	{ "an import of nothing", false, { 2, 4, 1, 0, 0, 5 }, 6, VM_E_MALFORMED, 13 },
	{ "a name that is not UTF-8", false, { 2, 5, 1, 1, 0xff, 0, 0 }, 7, VM_E_UTF8, 11 },
	{ "a custom section without a name", false, { 0, 0 }, 2, VM_E_TRUNCATED, 10 },
	{ "an export twice", false, { 5, 3, 1, 0, 0, 7, 7, 2, 0, 2, 0, 0, 2, 0 }, 14, VM_E_INVALID,
	  15 },
	{ "an export of nothing", false, { 7, 4, 1, 0, 2, 0 }, 6, VM_E_INVALID, 13 },
	{ "a memory beyond 4 GiB", false, { 5, 5, 1, 0, 0x81, 0x80, 0x04 }, 7, VM_E_INVALID, 11 },
	{ "a minimum above the maximum", false, { 5, 4, 1, 1, 2, 1 }, 6, VM_E_INVALID, 11 },
	{ "limits of no kind", false, { 5, 3, 1, 8, 0 }, 5, VM_E_MALFORMED, 11 },
	{ "a shared memory", false, { 5, 4, 1, 3, 1, 2 }, 6, VM_E_UNSUPPORTED, 11 },
	{ "a start function that is none", false, { 8, 1, 0 }, 3, VM_E_INVALID, 10 },
	{ "a global of another type", false, { 6, 6, 1, 0x7f, 0, 0x42, 0, 0x0b }, 8, VM_E_INVALID,
	  15 },
	{ "a global that sees itself", false, { 6, 6, 1, 0x7f, 0, 0x23, 0, 0x0b }, 8, VM_E_INVALID,
	  13 },
	{ "an expression that is not constant", false, { 6, 5, 1, 0x7f, 0, 0x01, 0x0b }, 7,
	  VM_E_INVALID, 13 },
	{ "a super type that comes later", false, { 1, 6, 1, 0x50, 1, 0, 0x5f, 0 }, 8,
	  VM_E_INVALID, 13 },
	{ "a sub type of a final type", false, { 1, 8, 2, 0x5f, 0, 0x50, 1, 0, 0x5f, 0 }, 10,
	  VM_E_INVALID, 13 },
};

START_TEST(modules_are_refused_saying_where)
{
	const struct refusal *r = &refusals[_i];
	struct build b = build_new();
	struct vm_module *module;

	if (r->is_whole)
		b.len = 0;
	memcpy(b.bytes + b.len, r->bytes, r->len);
	b.len += r->len;
	enum vm_status st = load(engine, &b, &module);
	ck_assert_msg(st == r->want, "%s: got %s, want %s: %s", r->name, vm_status_name(st),
	              vm_status_name(r->want), st != VM_OK ? err.message : "");
	ck_assert_msg(err.offset == r->offset, "%s: at 0x%llx, want 0x%llx: %s", r->name,
	              (unsigned long long)err.offset, (unsigned long long)r->offset, err.message);
	ck_assert_uint_eq(err.function, VM_NO_FUNCTION);
	ck_assert_ptr_null(module);
}
END_TEST

START_TEST(a_bad_function_is_named)
{
	struct build b = build_new();
	struct vm_module *module;

	SECTION(&b, 1, 1, 0x60, 0, 1, 0x7f);
	SECTION(&b, 3, 2, 0, 0);
	SECTION(&b, 10, 2, 4, 0, 0x41, 1, 0x0b, 4, 0, 0x42, 1, 0x0b);
	ck_assert_int_eq(load(engine, &b, &module), VM_E_INVALID);
	ck_assert_uint_eq(err.function, 1);
	ck_assert_uint_eq(err.offset, b.len - 1);
	ck_assert_str_eq(err.message,
	                 "function 1 at 0x20: type mismatch: end expected i32, got i64");
}
END_TEST

START_TEST(errors_may_go_nowhere)
{
	static const uint8_t bytes[] = { 0, 'a', 's', 'm', 1, 0, 0, 0, 14, 0 };
	struct vm_module *module = NULL;

	ck_assert_int_eq(vm_module_load(engine, bytes, sizeof bytes, &module, NULL),
	                 VM_E_MALFORMED);
	ck_assert_ptr_null(module);
	vm_module_unref(NULL);
}
END_TEST

/* --- versions -------------------------------------------------------------------------------- */

/* Contents behind the preamble, which load from some version on. */
static const struct version_case {
	const char *name;
	uint8_t bytes[40];
	size_t len;
	int since;
	vm_features uses;
} version_cases[] = {
	{ "nothing", { 0 }, 0, 10, 0 },
	{ "a mutable global, exported", { 6, 6, 1, 0x7f, 1, 0x41, 0, 0x0b, 7, 4, 1, 0, 3, 0 }, 14,
	  10, VM_FEATURE_BIT(MUTABLE_GLOBALS) },
	{ "two results", { 1, 6, 1, 0x60, 0, 2, 0x7f, 0x7f }, 8, 20, VM_FEATURE_BIT(MULTI_VALUE) },
	{ "a vector", { 1, 5, 1, 0x60, 1, 0x7b, 0 }, 7, 20, VM_FEATURE_BIT(SIMD) },
	{ "two tables", { 4, 7, 2, 0x70, 0, 0, 0x70, 0, 0 }, 9, 20,
	  VM_FEATURE_BIT(REFERENCE_TYPES) },
	{ "a passive segment", { 11, 4, 1, 1, 1, 'x' }, 6, 20, VM_FEATURE_BIT(BULK_MEMORY) },
	{ "a data count", { 12, 1, 0 }, 3, 20, VM_FEATURE_BIT(BULK_MEMORY) },
	{ "two memories", { 5, 5, 2, 0, 0, 0, 0 }, 7, 30, VM_FEATURE_BIT(MULTI_MEMORY) },
	{ "a 64-bit memory", { 5, 3, 1, 4, 0 }, 5, 30, VM_FEATURE_BIT(MEMORY64) },
	{ "a sum as a constant", { 6, 9, 1, 0x7f, 0, 0x41, 1, 0x41, 2, 0x6a, 0x0b }, 11, 30,
	  VM_FEATURE_BIT(EXTENDED_CONST) },
	{ "a typed reference", { 1, 8, 2, 0x60, 0, 0, 0x60, 1, 0x64, 0x00 }, 10, 99, 0 },
	{ "a structure", { 1, 5, 1, 0x5f, 1, 0x7f, 0 }, 7, 30, VM_FEATURE_BIT(GC) },
	{ "a tag", { 1, 4, 1, 0x60, 0, 0, 13, 3, 1, 0, 0 }, 11, 30, VM_FEATURE_BIT(EXCEPTIONS) },
	{ "an earlier global", { 6, 11, 2, 0x7f, 0, 0x41, 0, 0x0b, 0x7f, 0, 0x23, 0, 0x0b }, 13,
	  30, VM_FEATURE_BIT(GC) },
};

START_TEST(versions_know_what_they_know)
{
	const struct version_case *c = &version_cases[_i];
	const int versions[] = { 10, 20, 30 };

	for (size_t i = 0; i < 3; i++) {
		struct vm_engine *old = engine_with(vm_features_of_version(versions[i]));
		struct build b = build_new();
		struct vm_module *module;

		memcpy(b.bytes + b.len, c->bytes, c->len);
		b.len += c->len;
		enum vm_status st = load(old, &b, &module);
		ck_assert_msg((st == VM_OK) == (versions[i] >= c->since), "%s in %d: %s", c->name,
		              versions[i], st != VM_OK ? err.message : "accepted");
		if (st == VM_OK)
			ck_assert_uint_eq(vm_module_features(module), c->uses);
		vm_module_unref(module);
		vm_engine_unref(old);
	}
}
END_TEST

/* --- what a module tells --------------------------------------------------------------------- */

static struct build
rich_module(void)
{
	struct build b = build_new();

	SECTION(&b, 1, 2, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7e);
	SECTION(&b, 2, 2, 1, 'm', 1, 'f', 0, 1, 1, 'm', 1, 'g', 3, 0x7f, 0);
	SECTION(&b, 3, 2, 0, 1);
	SECTION(&b, 4, 1, 0x70, 1, 1, 5);
	SECTION(&b, 5, 1, 0, 1);
	SECTION(&b, 6, 1, 0x7e, 1, 0x42, 0x7f, 0x0b);
	SECTION(&b, 7, 3, 1, 'z', 0, 2, 1, 'a', 2, 0, 0, 3, 1);
	SECTION(&b, 8, 1);
	SECTION(&b, 9, 2, 0, 0x23, 0, 0x0b, 1, 0, 3, 0, 1, 2);
	SECTION(&b, 10, 2, 2, 0, 0x0b, 4, 0, 0x42, 5, 0x0b);
	SECTION(&b, 11, 1, 0, 0x41, 3, 0x0b, 2, 'h', 'i');
	SECTION(&b, 0, 4, 'n', 'a', 'm', 'e', 1, 9, 2, 1, 2, 'g', 'o', 9, 2, 'n', 'o');
	return b;
}

START_TEST(a_module_tells_what_is_in_it)
{
	const struct build b = rich_module();
	struct vm_module *module = load_ok(&b);
	struct vm_import import;
	struct vm_export export;
	struct vm_section section;
	uint64_t offset, size_bytes;
	uint32_t index;
	size_t len;

	ck_assert_int_eq(memcmp(vm_module_bytes(module, &len), b.bytes, b.len), 0);
	ck_assert_uint_eq(len, b.len);
	ck_assert_uint_eq(vm_module_import_count(module), 2);
	vm_module_import(module, 0, &import);
	ck_assert_int_eq(import.type.kind, VM_EXTERN_FUNC);
	ck_assert_uint_eq(import.type.of.func.params[0], VM_I32);
	vm_module_import(module, 1, &import);
	ck_assert_int_eq(memcmp(import.name.data, "g", 1), 0);
	ck_assert_int_eq(import.type.kind, VM_EXTERN_GLOBAL);
	ck_assert_uint_eq(import.type.of.global.content, VM_I32);
	ck_assert_uint_eq(vm_module_export_count(module), 3);
	ck_assert(vm_module_find_export(module, VM_STR(""), &index) && index == 2);
	ck_assert(vm_module_find_export(module, VM_STR("a"), &index) && index == 1);
	ck_assert(vm_module_find_export(module, VM_STR("z"), &index) && index == 0);
	ck_assert(!vm_module_find_export(module, VM_STR("zz"), &index));
	vm_module_export(module, 2, &export);
	ck_assert_int_eq(export.type.kind, VM_EXTERN_GLOBAL);
	ck_assert(export.type.of.global.is_mutable);
	ck_assert_uint_eq(vm_module_section_count(module), 12);
	vm_module_section(module, 9, &section);
	ck_assert_uint_eq(section.id, 10);
	ck_assert_uint_eq(section.count, 2);
	vm_module_section(module, 11, &section);
	ck_assert_uint_eq(section.id, 0);
	ck_assert_uint_eq(section.size_bytes, 11);
	ck_assert_int_eq(memcmp(section.name.data, "name", 4), 0);
	ck_assert_uint_eq(vm_module_function_count(module), 3);
	ck_assert_int_eq(memcmp(vm_module_function_name(module, 1).data, "go", 2), 0);
	ck_assert_int_eq(memcmp(vm_module_function_name(module, 2).data, "z", 1), 0);
	ck_assert_uint_eq(vm_module_function_name(module, 0).len, 0);
	ck_assert_uint_eq(vm_module_function_type(module, 2).result_count, 1);
	vm_module_function_body(module, 2, &offset, &size_bytes);
	ck_assert_uint_eq(size_bytes, 4);
	ck_assert_uint_eq(b.bytes[offset + 1], 0x42);
	vm_module_function_body(module, 0, &offset, &size_bytes);
	ck_assert_uint_eq(size_bytes, 0);
	vm_module_unref(vm_module_ref(module));
	vm_module_unref(module);
}
END_TEST

START_TEST(constants_segments_and_slots_are_decoded)
{
	const struct build b = rich_module();
	struct vm_module *module = load_ok(&b);

	ck_assert_int_eq(module->globals[1].init.kind, CONST_VALUE);
	ck_assert_uint_eq(module->globals[1].init.bits[0], UINT64_MAX);
	ck_assert_int_eq(module->elems[0].offset.kind, CONST_GLOBAL_GET);
	ck_assert_uint_eq(module->elems[0].count, 1);
	ck_assert_uint_eq(module->elems[0].funcs[0], 0);
	ck_assert_int_eq(module->elems[1].mode, SEGMENT_DECLARATIVE);
	ck_assert_uint_eq(module->datas[0].offset.bits[0], 3);
	ck_assert_int_eq(memcmp(module->datas[0].bytes, "hi", 2), 0);
	ck_assert_uint_eq(module->func_slot_count, 2);
	ck_assert_uint_eq(module->funcs[0].slot, FUNC_NO_SLOT);
	ck_assert_uint_eq(module->funcs[1].slot, 0);
	ck_assert_uint_eq(module->funcs[2].slot, 1);
	vm_module_unref(module);
}
END_TEST

START_TEST(damaged_name_sections_are_passed_over)
{
	const uint8_t names[][8] = {
		{ 1, 0x7f },                   /* longer than the section */
		{ 1, 4, 9, 0, 1, 0xff },       /* not UTF-8, fewer than announced */
		{ 1, 3, 1, 0x80, 0x80 },       /* a number that does not end */
		{ 7 },
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct build b = build_new();
		uint8_t contents[13] = { 4, 'n', 'a', 'm', 'e' };

		memcpy(contents + 5, names[i], 8);
		build_section(&b, 0, contents, sizeof contents);
		vm_module_unref(load_ok(&b));
	}
}
END_TEST

START_TEST(types_of_modules_are_shared_and_freed)
{
	const struct build b = rich_module();
	struct vm_module *first = load_ok(&b), *second = load_ok(&b);
	const struct vm_type *type = first->types[1];

	ck_assert_ptr_eq(second->types[1], type);
	vm_module_unref(first);
	ck_assert_ptr_eq(type_by_number(engine, type->number), type);
	vm_module_unref(second);
}
END_TEST

START_TEST(limits_bound_modules)
{
	struct vm_engine_config config;
	struct vm_engine *small;
	struct vm_module *module;
	const struct build b = rich_module();

	vm_engine_config_init(&config);
	config.limits.functions_max = 2;
	ck_assert_int_eq(vm_engine_new(&config, &small, &err), VM_OK);
	ck_assert_int_eq(load(small, &b, &module), VM_E_LIMIT);
	vm_engine_unref(small);
	config.limits.functions_max = 3;
	config.limits.module_bytes_max = b.len - 1;
	ck_assert_int_eq(vm_engine_new(&config, &small, &err), VM_OK);
	ck_assert_int_eq(load(small, &b, &module), VM_E_LIMIT);
	vm_engine_unref(small);
}
END_TEST

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("load");
	TCase *tc = tcase_create("load");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, modules_are_refused_saying_where, 0, COUNT_OF(refusals));
	tcase_add_test(tc, a_bad_function_is_named);
	tcase_add_test(tc, errors_may_go_nowhere);
	tcase_add_loop_test(tc, versions_know_what_they_know, 0, COUNT_OF(version_cases));
	tcase_add_test(tc, a_module_tells_what_is_in_it);
	tcase_add_test(tc, constants_segments_and_slots_are_decoded);
	tcase_add_test(tc, damaged_name_sections_are_passed_over);
	tcase_add_test(tc, types_of_modules_are_shared_and_freed);
	tcase_add_test(tc, limits_bound_modules);
	suite_add_tcase(suite, tc);
	return suite;
}
