#include "tests/support/unit.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "vm/native/compiler.h"
#include "vm/vm.h"

/* The functions are large enough together for several chunks. */
enum { FUNCTIONS = 300, ADDITIONS = 400, BODY_BYTES = 3 * ADDITIONS + 4 };

static struct vm_engine *engine;
static const struct native_compiler *compiler;
static struct vm_compile_options options;
static struct native_objects objects;
static struct vm_error err;

static void
setup(void)
{
	struct vm_engine_config config;
	void *library = dlopen(getenv("WASMEDGE_LLVM_LIBRARY"), RTLD_NOW | RTLD_LOCAL);

	ck_assert_msg(library != NULL, "%s", dlerror());
	compiler = dlsym(library, NATIVE_COMPILER_SYMBOL);
	ck_assert_ptr_nonnull(compiler);
	vm_engine_config_init(&config);
	ck_assert_int_eq(vm_engine_new(&config, &engine, &err), VM_OK);
	vm_compile_options_init(&options);
	options.level = VM_COMPILE_FAST;
	options.cpu = VM_STR("baseline");
	options.jobs = 1;
	objects = (struct native_objects){ NULL, 0 };
}

static void
teardown(void)
{
	for (uint32_t i = 0; i < objects.count; i++)
		free(objects.items[i].bytes);
	free(objects.items);
	vm_engine_unref(engine);
}

/* --- modules -------------------------------------------------------------------------------- */

static uint8_t *
put_leb(uint8_t *at, uint32_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

/* Sizes of this many bytes, so that they need not be known before what they count is written. */
static void
put_size(uint8_t *at, size_t size_bytes)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)((size_bytes >> 7 * i & 0x7f) | (i < 3 ? 0x80 : 0));
}

/* count functions (i32) -> i32 that add to their parameter. */
static struct vm_module *
module_of(uint32_t count)
{
	static uint8_t bytes[64 + FUNCTIONS * (BODY_BYTES + 8)];
	static const uint8_t start[] = { 0, 'a', 's', 'm',  1, 0,    0, 0,
		                         1, 6,   1,   0x60, 1, 0x7f, 1, 0x7f };
	uint8_t *at = bytes + sizeof start;
	struct vm_module *module;

	memcpy(bytes, start, sizeof start);
	*at++ = 3;
	uint8_t *size = at;
	at = put_leb(at + 4, count);
	memset(at, 0, count);
	at += count;
	put_size(size, (size_t)(at - size - 4));
	*at++ = 10;
	size = at;
	at = put_leb(at + 4, count);
	for (uint32_t i = 0; i < count; i++) {
		at = put_leb(at, BODY_BYTES);
		*at++ = 0; /* no locals */
		*at++ = 0x20;
		*at++ = 0;
		for (int j = 0; j < ADDITIONS; j++) {
			*at++ = 0x41;
			*at++ = (uint8_t)(j & 0x3f);
			*at++ = 0x6a;
		}
		*at++ = 0x0b;
	}
	put_size(size, (size_t)(at - size - 4));
	enum vm_status st = vm_module_load(engine, bytes, (size_t)(at - bytes), &module, &err);
	ck_assert_msg(st == VM_OK, "%s", err.message);
	return module;
}

/* Count the functions that the object defines, by name. */
static void
count_functions(const struct native_object *object, unsigned int seen[FUNCTIONS])
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)object->bytes;
	const Elf64_Shdr *sections =
	    (const Elf64_Shdr *)(const void *)(object->bytes + header->e_shoff);

	for (int s = 0; s < header->e_shnum; s++) {
		if (sections[s].sh_type != SHT_SYMTAB)
			continue;
		const Elf64_Sym *symbols =
		    (const Elf64_Sym *)(const void *)(object->bytes + sections[s].sh_offset);
		const char *names = (const char *)object->bytes +
		                    sections[sections[s].sh_link].sh_offset;
		for (size_t i = 0; i < sections[s].sh_size / sizeof *symbols; i++) {
			const char *name = names + symbols[i].st_name;

			if (ELF64_ST_BIND(symbols[i].st_info) == STB_LOCAL ||
			    symbols[i].st_shndx == SHN_UNDEF)
				continue;
			unsigned long number = strtoul(name + 1, NULL, 10);
			ck_assert_msg(name[0] == 'f' && number < FUNCTIONS, "symbol %s", name);
			seen[number]++;
		}
	}
}

/* --- what is compiled ------------------------------------------------------------------------- */

START_TEST(every_function_is_in_one_object)
{
	static const uint32_t jobs[] = { 1, 2, 7 };
	struct vm_module *module = module_of(FUNCTIONS);
	unsigned int seen[FUNCTIONS] = { 0 };

	options.jobs = jobs[_i];
	enum vm_status st = compiler->compile(module, &options, 0, &objects, &err);
	ck_assert_msg(st == VM_OK, "%s", err.message);
	ck_assert_uint_gt(objects.count, 2);
	for (uint32_t i = 0; i < objects.count; i++)
		count_functions(&objects.items[i], seen);
	for (uint32_t i = 0; i < FUNCTIONS; i++)
		ck_assert_msg(seen[i] == 1, "function %u is defined %u times", i, seen[i]);
	vm_module_unref(module);
}
END_TEST

START_TEST(jobs_make_no_difference)
{
	struct vm_module *module = module_of(FUNCTIONS);
	struct native_objects others;

	ck_assert_int_eq(compiler->compile(module, &options, 0, &objects, &err), VM_OK);
	options.jobs = 3;
	ck_assert_int_eq(compiler->compile(module, &options, 0, &others, &err), VM_OK);
	ck_assert_uint_eq(objects.count, others.count);
	for (uint32_t i = 0; i < others.count; i++) {
		ck_assert_uint_eq(objects.items[i].size_bytes, others.items[i].size_bytes);
		ck_assert_mem_eq(objects.items[i].bytes, others.items[i].bytes,
		                 others.items[i].size_bytes);
		free(others.items[i].bytes);
	}
	free(others.items);
	vm_module_unref(module);
}
END_TEST

START_TEST(a_module_without_functions_has_no_objects)
{
	struct vm_module *module = module_of(0);

	ck_assert_int_eq(compiler->compile(module, &options, 0, &objects, &err), VM_OK);
	ck_assert_uint_eq(objects.count, 0);
	vm_module_unref(module);
}
END_TEST

/* --- what is refused, and progress ------------------------------------------------------------ */

START_TEST(metered_code_has_no_relaxed_traps)
{
	struct vm_module *module = module_of(1);

	options.metered = true;
	options.relaxed_traps = true;
	ck_assert_int_eq(compiler->compile(module, &options, 0, &objects, &err), VM_E_ARGUMENT);
	ck_assert_uint_eq(objects.count, 0);
	ck_assert_ptr_null(objects.items);
	vm_module_unref(module);
}
END_TEST

struct progress {
	unsigned int calls, ends_at;
	uint64_t done, total;
};

static bool
on_progress(void *env, uint64_t done_bytes, uint64_t total_bytes)
{
	struct progress *progress = env;

	ck_assert_uint_gt(done_bytes, progress->done);
	ck_assert_uint_le(done_bytes, total_bytes);
	progress->done = done_bytes;
	progress->total = total_bytes;
	return ++progress->calls != progress->ends_at;
}

START_TEST(progress_goes_up_to_the_end)
{
	struct vm_module *module = module_of(FUNCTIONS);
	struct progress progress = { 0, 0, 0, 0 };

	options.jobs = 2;
	options.progress_fn = on_progress;
	options.progress_env = &progress;
	ck_assert_int_eq(compiler->compile(module, &options, 0, &objects, &err), VM_OK);
	ck_assert_uint_eq(progress.calls, objects.count);
	ck_assert_uint_eq(progress.done, progress.total);
	vm_module_unref(module);
}
END_TEST

START_TEST(progress_can_end_it)
{
	struct vm_module *module = module_of(FUNCTIONS);
	struct progress progress = { .ends_at = 2 };

	options.jobs = 2;
	options.progress_fn = on_progress;
	options.progress_env = &progress;
	ck_assert_int_eq(compiler->compile(module, &options, 0, &objects, &err), VM_E_LIMIT);
	ck_assert_uint_eq(progress.calls, 2);
	ck_assert_uint_eq(objects.count, 0);
	ck_assert_ptr_nonnull(strstr(err.message, "was ended after"));
	vm_module_unref(module);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("llvm driver");
	TCase *tc = tcase_create("modules");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, every_function_is_in_one_object, 0, 3);
	tcase_add_test(tc, jobs_make_no_difference);
	tcase_add_test(tc, a_module_without_functions_has_no_objects);
	tcase_add_test(tc, metered_code_has_no_relaxed_traps);
	tcase_add_test(tc, progress_goes_up_to_the_end);
	tcase_add_test(tc, progress_can_end_it);
	suite_add_tcase(suite, tc);
	return suite;
}
