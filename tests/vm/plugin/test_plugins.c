/*
 * test_plugins.c - plug-ins are found, loaded or refused with a reason, and called.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/support/unit.h"
#include "vm/vm.h"

static struct vm_engine *engine;
static struct vm_plugins *plugins;
static char messages[4096];

static void
on_message(void *env, const char *plugin, enum vm_plugin_level level, const char *text)
{
	size_t len = strlen(messages);

	(void)env;
	(void)level;
	snprintf(messages + len, sizeof messages - len, "%s: %s\n", plugin, text);
}

static void
load(struct vm_plugins_config *config)
{
	struct vm_error err;

	messages[0] = '\0';
	config->log = on_message;
	ck_assert_msg(vm_engine_new(NULL, &engine, &err) == VM_OK, "%s", err.message);
	ck_assert_msg(vm_plugins_load(config, &plugins, &err) == VM_OK, "%s", err.message);
}

static void
unload(void)
{
	vm_plugins_free(plugins);
	vm_engine_unref(engine);
}

/* --- loading -------------------------------------------------------------------------------- */

START_TEST(the_example_is_found_and_described)
{
	struct vm_plugins_config config = { .path = EXAMPLE_DIR };
	struct vm_plugins_info info;

	load(&config);
	int32_t index = vm_plugins_find(plugins, "example");
	ck_assert_int_ge(index, 0);
	vm_plugins_info(plugins, (uint32_t)index, &info);
	ck_assert_str_eq(info.name, "example");
	ck_assert_ptr_null(info.why_not);
	ck_assert_str_eq(info.plugin->version, "1.0.0");
	ck_assert_ptr_nonnull(strstr(info.path, "/example.so"));
	unload();
}
END_TEST

static const struct refusal {
	const char *name;
	const char *why;
} refusals[] = {
	{ "broken_abi", "version 9999 of the plug-in interface" },
	{ "broken_name", "calls itself other" },
	{ "broken_open", "the moon is missing: get one" },
	{ "broken_symbol", "no function vm_plugin_broken_symbol" },
};

START_TEST(what_cannot_be_loaded_says_why)
{
	const struct refusal *refusal = &refusals[_i];
	struct vm_plugins_config config = { .path = "/does/not/exist:" BROKEN_DIR };
	struct vm_plugins_info info;

	load(&config);
	int32_t index = vm_plugins_find(plugins, refusal->name);
	ck_assert_int_ge(index, 0);
	vm_plugins_info(plugins, (uint32_t)index, &info);
	ck_assert_ptr_null(info.plugin);
	ck_assert_ptr_nonnull(info.why_not);
	ck_assert_msg(strstr(info.why_not, refusal->why) != NULL, "%s: %s", refusal->name,
	              info.why_not);
	unload();
}
END_TEST

START_TEST(files_that_are_no_objects_or_anybodys_are_refused)
{
	char folder[] = "/tmp/test-plugins-XXXXXX";
	char text[128];
	char open_to_all[128];
	struct vm_plugins_info info;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(text, sizeof text, "%s/text.so", folder);
	snprintf(open_to_all, sizeof open_to_all, "%s/wide.so", folder);
	FILE *file = fopen(text, "w");
	fputs("this is no object", file);
	fclose(file);
	file = fopen(open_to_all, "w");
	fclose(file);
	ck_assert_int_eq(chmod(open_to_all, 0666), 0);

	struct vm_plugins_config config = { .path = folder };
	load(&config);
	ck_assert_uint_eq(vm_plugins_count(plugins), 2);
	vm_plugins_info(plugins, 0, &info);
	ck_assert_str_eq(info.name, "text");
	ck_assert_ptr_nonnull(info.why_not);
	vm_plugins_info(plugins, 1, &info);
	ck_assert_ptr_nonnull(strstr(info.why_not, "everybody may write to it"));
	unload();
	unlink(text);
	unlink(open_to_all);
	rmdir(folder);
}
END_TEST

/* --- options -------------------------------------------------------------------------------- */

static uint64_t numbers[4];
static char words[64];

static enum vm_status
open_options(const struct vm_plugin_host *host, const struct vm_plugin_value *values, void **out,
             struct vm_error *err)
{
	(void)host;
	(void)out;
	(void)err;
	for (size_t i = 0; i < 4; i++)
		numbers[i] = values[i].number;
	const char *word = values[3].text;
	words[0] = '\0';
	for (uint64_t i = 0; i < values[3].number; i++, word += strlen(word) + 1) {
		strcat(words, word);
		strcat(words, ",");
	}
	return VM_OK;
}

static const struct vm_plugin_option options[] = {
	{ "strict", VM_PLUGIN_BOOL, "no", "Whether" },
	{ "count", VM_PLUGIN_UINT, "7", "How many" },
	{ "bytes", VM_PLUGIN_SIZE, "64KiB", "How large" },
	{ "names", VM_PLUGIN_LIST, "a b", "Who" },
};
static const struct vm_plugin optional = {
	.abi = VM_PLUGIN_ABI, .name = "optional", .version = "1.0.0", .summary = "Has options",
	.options = options, .option_count = 4, .open = open_options,
};
static const struct vm_plugin *const linked[] = { &optional };

START_TEST(options_have_their_standards_until_they_are_set)
{
	static const struct vm_plugins_setting settings[] = {
		{ "optional", "strict", "yes", NULL, false },
		{ "optional", "count", "18446744073709551615", NULL, false },
		{ "optional", "bytes", "3MiB", NULL, false },
		{ "optional", "names", "x  y", NULL, false },
		{ "optional", "names", "z", NULL, false },
	};
	struct vm_plugins_config config = { .path = "", .linked = linked, .linked_count = 1 };

	load(&config);
	ck_assert_uint_eq(numbers[0], 0);
	ck_assert_uint_eq(numbers[1], 7);
	ck_assert_uint_eq(numbers[2], 65536);
	ck_assert_str_eq(words, "a,b,");
	unload();
	config.settings = settings;
	config.setting_count = 5;
	load(&config);
	ck_assert_uint_eq(numbers[0], 1);
	ck_assert_uint_eq(numbers[1], UINT64_MAX);
	ck_assert_uint_eq(numbers[2], 3u << 20);
	ck_assert_str_eq(words, "x,y,z,");
	unload();
}
END_TEST

static const struct bad_setting {
	struct vm_plugins_setting setting;
	const char *message;
} bad_settings[] = {
	{ { "optional", "strict", "maybe", "f:7", false },
	  "f:7: option strict of plug-in optional has to be true or false" },
	{ { "optional", "count", "-1", NULL, false }, "has to be a decimal number" },
	{ { "optional", "count", "18446744073709551616", NULL, false },
	  "has to be a decimal number" },
	{ { "optional", "bytes", "17179869184GiB", NULL, false },
	  "has to be a number of bytes" },
	{ { "optional", "bytes", "1TiB", NULL, false }, "has to be a number of bytes" },
	{ { "optional", "colour", "red", NULL, false }, "has no option colour" },
	{ { "nobody", "strict", "yes", "--set", false },
	  "--set: option strict is for plug-in nobody, which is not installed" },
};

START_TEST(only_the_wanted_plug_in_is_loaded)
{
	struct vm_plugins_config config = { .path = "", .linked = linked, .linked_count = 1,
		                            .wanted = "another" };

	load(&config);
	ck_assert_uint_eq(vm_plugins_count(plugins), 0);
	unload();
	config.wanted = "optional";
	load(&config);
	ck_assert_uint_eq(vm_plugins_count(plugins), 1);
	unload();
}
END_TEST

START_TEST(a_wrong_setting_is_refused)
{
	const struct bad_setting *bad = &bad_settings[_i];
	struct vm_plugins_config config = { .path = "", .linked = linked, .linked_count = 1,
		                            .settings = &bad->setting, .setting_count = 1 };
	struct vm_plugins *set = NULL;
	struct vm_error err;

	ck_assert_int_eq(vm_plugins_load(&config, &set, &err), VM_E_ARGUMENT);
	ck_assert_msg(strstr(err.message, bad->message) != NULL, "%s", err.message);
	ck_assert_ptr_null(set);
}
END_TEST

/* --- calls ---------------------------------------------------------------------------------- */

/*
 * (import "demo" "shout" (func (param i32 i32))) (import "demo" "count" (func (result i32)))
 * (memory 1) (data (i32.const 8) "quiet!") (export "shout" (func 0)) (export "count" (func 1))
 * The exports are the imports, seen through functions that call them.
 */
static const uint8_t guest[] = {
	0, 'a', 's', 'm', 1, 0, 0, 0,
	1, 10, 2, 0x60, 2, 0x7f, 0x7f, 0, 0x60, 0, 1, 0x7f,
	2, 27, 2, 4, 'd', 'e', 'm', 'o', 5, 's', 'h', 'o', 'u', 't', 0, 0,
	4, 'd', 'e', 'm', 'o', 5, 'c', 'o', 'u', 'n', 't', 0, 1,
	3, 3, 2, 0, 1,
	5, 3, 1, 0, 1,
	7, 17, 2, 5, 's', 'h', 'o', 'u', 't', 0, 2, 5, 'c', 'o', 'u', 'n', 't', 0, 3,
	10, 15, 2, 8, 0, 0x20, 0, 0x20, 1, 0x10, 0, 0x0b, 4, 0, 0x10, 1, 0x0b,
	11, 12, 1, 0, 0x41, 8, 0x0b, 6, 'q', 'u', 'i', 'e', 't', '!',
};

static struct vm_instance *
instantiate(const uint8_t *bytes, size_t len, struct vm_store **out_store)
{
	struct vm_module *module;
	struct vm_linker *linker;
	struct vm_instance *instance;
	struct vm_error err;

	ck_assert_msg(vm_module_load(engine, bytes, len, &module, &err) == VM_OK, "%s at %llu",
	              err.message, (unsigned long long)err.offset);
	ck_assert_int_eq(vm_linker_new(engine, &linker, &err), VM_OK);
	ck_assert_int_eq(vm_plugins_define_imports(plugins, linker, module, &err), VM_OK);
	ck_assert_int_eq(vm_store_new(engine, NULL, out_store, &err), VM_OK);
	enum vm_status st = vm_linker_instantiate(linker, *out_store, module, &instance, &err);
	ck_assert_msg(st == VM_OK, "%s", err.message);
	vm_linker_free(linker);
	vm_module_unref(module);
	return instance;
}

static enum vm_status
call(struct vm_instance *instance, const char *name, uint32_t a, uint32_t b, uint32_t *out,
     struct vm_error *err)
{
	union vm_slot slots[2] = { { .u64 = a }, { .u64 = b } };
	struct vm_extern ext;

	ck_assert_int_eq(vm_instance_export(instance, (struct vm_str){ name, strlen(name) }, &ext,
	                                    err), VM_OK);
	enum vm_status st = vm_func_call_slots(ext.of.func, slots, err);
	if (out != NULL)
		*out = slots[0].u32;
	return st;
}

START_TEST(guests_call_and_keep_their_own_state)
{
	struct vm_plugins_config config = { .path = EXAMPLE_DIR };
	struct vm_store *stores[2];
	struct vm_instance *instances[2];
	struct vm_error err;
	uint32_t count;

	load(&config);
	for (int i = 0; i < 2; i++)
		instances[i] = instantiate(guest, sizeof guest, &stores[i]);
	ck_assert_int_eq(call(instances[0], "shout", 8, 6, NULL, &err), VM_OK);
	ck_assert_int_eq(call(instances[0], "shout", 8, 3, NULL, &err), VM_OK);
	ck_assert_mem_eq(vm_memory_data(vm_instance_memory(instances[0], 0)) + 8, "QUIET!", 6);
	ck_assert_mem_eq(vm_memory_data(vm_instance_memory(instances[1], 0)) + 8, "quiet!", 6);
	ck_assert_int_eq(call(instances[0], "count", 0, 0, &count, &err), VM_OK);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(call(instances[1], "count", 0, 0, &count, &err), VM_OK);
	ck_assert_uint_eq(count, 0);
	ck_assert_ptr_null(vm_instance_memory(instances[0], 1));
	vm_store_free(stores[0]);
	vm_store_free(stores[1]);
	unload();
}
END_TEST

START_TEST(addresses_outside_of_the_memory_trap)
{
	static const uint32_t ranges[][2] = { { 65536, 1 }, { 65530, 7 }, { 0, 0xffffffff },
		                              { 0xffffffff, 0xffffffff } };
	struct vm_plugins_config config = { .path = EXAMPLE_DIR };
	struct vm_store *store;
	struct vm_error err;

	load(&config);
	struct vm_instance *instance = instantiate(guest, sizeof guest, &store);
	ck_assert_int_eq(call(instance, "shout", ranges[_i][0], ranges[_i][1], NULL, &err),
	                 VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_MEMORY_BOUNDS);
	vm_store_free(store);
	unload();
}
END_TEST

/*
 * (import "wasmedge_image" "load_jpg" (func (param i32) (result i32)))
 * (export "f" (func 1)), which calls it; and the same for other modules of names as long.
 */
static const uint8_t absent_guest[] = {
	0, 'a', 's', 'm', 1, 0, 0, 0,
	1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f,
	2, 27, 1, 14, 'w', 'a', 's', 'm', 'e', 'd', 'g', 'e', '_', 'i', 'm', 'a', 'g', 'e',
	8, 'l', 'o', 'a', 'd', '_', 'j', 'p', 'g', 0, 0,
	3, 2, 1, 0,
	7, 5, 1, 1, 'f', 0, 1,
	10, 8, 1, 6, 0, 0x20, 0, 0x10, 0, 0x0b,
};

START_TEST(functions_of_absent_plugins_answer_that_they_failed)
{
	struct vm_plugins_config config = { .path = "" };
	struct vm_store *store;
	struct vm_error err;
	uint32_t result;

	load(&config);
	struct vm_instance *instance = instantiate(absent_guest, sizeof absent_guest, &store);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(call(instance, "f", 5, 0, &result, &err), VM_OK);
		ck_assert_uint_eq(result, 1);
	}
	ck_assert_str_eq(messages, "wasmedge_image: a guest called a function of it: it is not "
	                           "installed\n");
	vm_store_free(store);
	unload();
}
END_TEST

START_TEST(functions_of_dummies_answer_zero)
{
	static const char *const names[] = { "wasmedge_image" };
	struct vm_plugins_config config = { .path = "", .dummies = names, .dummy_count = 1 };
	struct vm_store *store;
	struct vm_error err;
	uint32_t result;

	load(&config);
	struct vm_instance *instance = instantiate(absent_guest, sizeof absent_guest, &store);
	ck_assert_int_eq(call(instance, "f", 5, 0, &result, &err), VM_OK);
	ck_assert_uint_eq(result, 0);
	ck_assert_str_eq(messages, "");
	vm_store_free(store);
	unload();
}
END_TEST

/* --- operations ----------------------------------------------------------------------------- */

START_TEST(operations_are_asked_for_by_name)
{
	struct vm_plugins_config config = { .path = EXAMPLE_DIR };
	const struct vm_str text = VM_STR("speak up");
	const struct vm_plugin_request request = { .buffers = &text, .buffer_count = 1 };
	struct vm_plugin_reply reply;
	struct vm_error err;

	load(&config);
	ck_assert_int_eq(vm_plugins_operate(plugins, "example", "shout", &request, &reply, &err),
	                 VM_OK);
	ck_assert_uint_eq(reply.buffer_count, 1);
	ck_assert_uint_eq(reply.buffers[0].len, text.len);
	ck_assert_mem_eq(reply.buffers[0].data, "SPEAK UP", text.len);
	vm_plugins_reply_clear(&reply);
	ck_assert_int_eq(vm_plugins_operate(plugins, "example", "whisper", &request, &reply, &err),
	                 VM_E_UNSUPPORTED);
	ck_assert_int_eq(vm_plugins_operate(plugins, "nobody", "shout", &request, &reply, &err),
	                 VM_E_UNSUPPORTED);
	ck_assert_str_eq(err.message, "plug-in nobody is not installed");
	vm_plugins_reply_clear(&reply);
	unload();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("plugins");
	TCase *tc = tcase_create("plugins");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_example_is_found_and_described);
	tcase_add_loop_test(tc, what_cannot_be_loaded_says_why, 0,
	                    (int)(sizeof refusals / sizeof *refusals));
	tcase_add_test(tc, files_that_are_no_objects_or_anybodys_are_refused);
	tcase_add_test(tc, options_have_their_standards_until_they_are_set);
	tcase_add_test(tc, only_the_wanted_plug_in_is_loaded);
	tcase_add_loop_test(tc, a_wrong_setting_is_refused, 0,
	                    (int)(sizeof bad_settings / sizeof *bad_settings));
	tcase_add_test(tc, guests_call_and_keep_their_own_state);
	tcase_add_loop_test(tc, addresses_outside_of_the_memory_trap, 0, 4);
	tcase_add_test(tc, functions_of_absent_plugins_answer_that_they_failed);
	tcase_add_test(tc, functions_of_dummies_answer_zero);
	tcase_add_test(tc, operations_are_asked_for_by_name);
	suite_add_tcase(suite, tc);
	return suite;
}
