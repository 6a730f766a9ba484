/*
 * test_limits.c - what commands of a guest take is charged to it and given back, and they end when
 * somebody stops the guest.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/support/unit.h"
#include "vm/vm.h"

static struct vm_engine *engine;
static struct vm_plugins *plugins;
static struct vm_store *store;

static void
set_up(void)
{
	const struct vm_plugins_setting setting = {
		.plugin = "wasmedge_process", .option = "allow_all", .value = "yes"
	};
	const struct vm_plugins_config config = {
		.path = PLUGIN_DIR, .settings = &setting, .setting_count = 1
	};
	struct vm_error err;

	ck_assert_int_eq(vm_engine_new(NULL, &engine, &err), VM_OK);
	ck_assert_msg(vm_plugins_load(&config, &plugins, &err) == VM_OK, "%s", err.message);
}

static void
tear_down(void)
{
	vm_store_free(store);
	vm_plugins_free(plugins);
	vm_engine_unref(engine);
	store = NULL;
}

/* The guest's module, or NULL where none could be compiled. */
static struct vm_module *
load_guest(void)
{
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(GUEST, "rb");
	struct vm_module *module;
	struct vm_error err;

	if (file == NULL)
		return NULL;
	size_t len = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	ck_assert_msg(vm_module_load(engine, bytes, len, &module, &err) == VM_OK, "%s",
	              err.message);
	return module;
}

/* Make a store with the guest in it, whose words these are. */
static struct vm_func *
instantiate(struct vm_module *module, const char *const *words, uint64_t memory_bytes_max)
{
	struct vm_store_config config;
	struct vm_wasi_config wasi = { .arg_count = 1 };
	struct vm_str args[400] = { VM_STR("guest") };
	struct vm_instance *instance;
	struct vm_linker *linker;
	struct vm_extern ext;
	struct vm_error err;

	for (; *words != NULL; words++)
		args[wasi.arg_count++] = (struct vm_str){ *words, strlen(*words) };
	wasi.args = args;
	vm_store_config_init(&config);
	config.memory_bytes_max = memory_bytes_max;
	ck_assert_int_eq(vm_store_new(engine, &config, &store, &err), VM_OK);
	ck_assert_int_eq(vm_wasi_attach(store, &wasi, &err), VM_OK);
	ck_assert_int_eq(vm_linker_new(engine, &linker, &err), VM_OK);
	ck_assert_int_eq(vm_wasi_define_imports(linker, module, &err), VM_OK);
	ck_assert_int_eq(vm_plugins_define_imports(plugins, linker, module, &err), VM_OK);
	enum vm_status st = vm_linker_instantiate(linker, store, module, &instance, &err);
	ck_assert_msg(st == VM_OK, "%s", err.message);
	vm_linker_free(linker);
	ck_assert_int_eq(vm_instance_export(instance, VM_STR("_start"), &ext, &err), VM_OK);
	return ext.of.func;
}

#define MIB (UINT64_C(1) << 20)

static const char *const rounds[] = { "fill", "1000000", "name", "cat", "run" };

START_TEST(what_a_run_took_is_given_back)
{
	const char *words[5 * 20 + 1] = { NULL };
	struct vm_module *module = load_guest();
	struct vm_error err;

	if (module == NULL) {
		unit_skip("what_a_run_took_is_given_back", "no " GUEST);
		return;
	}
	for (size_t i = 0; i < 5 * 20; i++)
		words[i] = rounds[i % 5];
	/* one round takes 1 MB of input, up to 4 MB of output, and 2 MB in the guest */
	struct vm_func *start = instantiate(module, words, 10 * MIB);
	enum vm_status st = vm_func_call(start, NULL, 0, NULL, 0, &err);
	ck_assert_msg(st == VM_OK, "%s", err.message);
	vm_module_unref(module);
}
END_TEST

static const struct limit_case {
	const char *name;
	const char *words[16];
} limit_cases[] = {
	{ "input", { "fill", "1000000", "fill", "1000000", "fill", "1000000", "fill", "1000000" } },
	{ "output", { "name", "head", "arg", "-c", "arg", "9000000", "arg", "/dev/zero", "run" } },
};

START_TEST(memory_of_commands_is_the_guests)
{
	const struct limit_case *c = &limit_cases[_i];
	struct vm_module *module = load_guest();
	struct vm_error err;

	if (module == NULL) {
		unit_skip("memory_of_commands_is_the_guests", "no " GUEST);
		return;
	}
	struct vm_func *start = instantiate(module, c->words, 5 * MIB);
	ck_assert_int_eq(vm_func_call(start, NULL, 0, NULL, 0, &err), VM_TRAP);
	ck_assert_msg(err.trap == VM_TRAP_MEMORY_LIMIT, "%s: %s", c->name, err.message);
	vm_module_unref(module);
}
END_TEST

/* Stops the guest as soon as its command has made the file. */
static void *
stop_when_marked(void *path)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (access(path, F_OK) != 0)
		nanosleep(&pause, NULL);
	vm_store_stop(store, VM_TRAP_CANCELLED);
	return NULL;
}

START_TEST(stopping_the_guest_ends_its_command)
{
	char folder[] = "/tmp/test-limits-XXXXXX";
	char mark[64];
	char script[128];
	struct vm_module *module = load_guest();
	pthread_t stopper;
	struct vm_error err;

	if (module == NULL) {
		unit_skip("stopping_the_guest_ends_its_command", "no " GUEST);
		return;
	}
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(mark, sizeof mark, "%s/mark", folder);
	snprintf(script, sizeof script, ": > %s; exec sleep 1000", mark);
	const char *const words[] = { "timeout", "1000000", "name", "sh", "arg", "-c", "arg",
		                      script, "run", NULL };
	struct vm_func *start = instantiate(module, words, UINT64_MAX);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop_when_marked, mark), 0);
	ck_assert_int_eq(vm_func_call(start, NULL, 0, NULL, 0, &err), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_CANCELLED);
	ck_assert_ptr_nonnull(strstr(err.message, "command \"sh\""));
	pthread_join(stopper, NULL);
	unlink(mark);
	rmdir(folder);
	vm_module_unref(module);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("wasmedge_process");
	TCase *limits = tcase_create("limits");

	tcase_set_timeout(limits, 60);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_test(limits, what_a_run_took_is_given_back);
	tcase_add_loop_test(limits, memory_of_commands_is_the_guests, 0, 2);
	tcase_add_test(limits, stopping_the_guest_ends_its_command);
	suite_add_tcase(suite, limits);
	return suite;
}
