/*
 * run.c - wasmedge run: instantiate a module and run its _start, or one of its functions.
 *
 * One store holds everything. A deadline counts from the moment that guest code may first run,
 * by the monotonic clock, and covers instantiation, _initialize and the function together.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/wasmedge/file.h"
#include "client/wasmedge/native.h"
#include "client/wasmedge/options.h"
#include "client/wasmedge/plugins.h"
#include "client/wasmedge/report.h"
#include "client/wasmedge/runner.h"
#include "client/wasmedge/text.h"
#include "client/wasmedge/values.h"
#include "vm/vm.h"

struct run {
	const struct runner *runner;
	const struct run_options *options;
	const char *file;
	const char *const *words; /* behind the file */
	size_t word_count;

	struct vm_engine *engine;
	struct vm_plugins *plugins; /* NULL: nothing is imported from any */
	struct vm_linker *linker;
	struct vm_store *store;
	struct vm_module *module;
	struct vm_instance *instance;
	struct vm_module *linking; /* which one was last tried to instantiate */
	struct vm_module **libraries; /* of --module, as many as the options have */
	uint64_t start_ns; /* of CLOCK_MONOTONIC, when the guest could first run, if it is needed */
};

static uint64_t
clock_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static struct vm_str
str_of(const char *text)
{
	return (struct vm_str){ text, strlen(text) };
}

/* --- failures ------------------------------------------------------------------------------- */

static int
exit_code_of(enum vm_status status, const struct vm_error *err)
{
	if (status == VM_OK)
		return EXIT_DONE;
	if (status == VM_EXIT) /* the system keeps eight bits: 256 must not become success */
		return err->exit_code >= 0 && err->exit_code <= 255 ? err->exit_code : 255;
	return status == VM_TRAP || status == VM_EXCEPTION ? EXIT_TRAPPED : EXIT_REFUSED;
}

/* Report, unless the guest only asked to exit. Returns the exit code. */
static int
failed(const struct run *run, const char *file, enum vm_status status, const struct vm_error *err)
{
	if (status == VM_OK || status == VM_EXIT)
		return exit_code_of(status, err);
	fflush(stdout);
	report_error(file, run->module, err);
	if (status == VM_TRAP && err->trap == VM_TRAP_DEADLINE) {
		report_begin();
		fprintf(stderr, "stopped by --time-limit %" PRIu64 "\n",
		        run->options->time_limit_ms);
	}
	if (status == VM_TRAP && err->trap == VM_TRAP_FUEL) {
		report_begin();
		fprintf(stderr, "stopped by --gas-limit %" PRIu64 "\n", run->options->gas_limit);
	}
	return exit_code_of(status, err);
}

/*
 * Failures before the function runs: a start function or a segment that traps makes the module
 * one that cannot be instantiated, unless it was one of our limits that ended it.
 */
static int
failed_instantiation(const struct run *run, const char *file, enum vm_status status,
                     const struct vm_error *err)
{
	int code = failed(run, file, status, err);

	if (status == VM_TRAP && !vm_trap_is_limit(err->trap))
		return EXIT_REFUSED;
	return code;
}

/* --- set-up --------------------------------------------------------------------------------- */

static bool
str_equal(struct vm_str a, struct vm_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A module of vm/wasi.h. */
static bool
is_wasi(struct vm_str name)
{
	return str_equal(name, VM_STR("wasi_snapshot_preview1")) ||
	       str_equal(name, VM_STR("wasi_unstable"));
}

static bool
imports_wasi(const struct vm_module *module)
{
	for (uint32_t i = 0; i < vm_module_import_count(module); i++) {
		struct vm_import import;

		vm_module_import(module, i, &import);
		if (is_wasi(import.module))
			return true;
	}
	return false;
}

/* Plug-ins write to the streams that WASI has. */
static bool
needs_wasi(const struct run *run)
{
	bool needed = run->plugins != NULL || imports_wasi(run->module);

	for (size_t i = 0; i < run->options->module_count; i++)
		needed = needed || imports_wasi(run->libraries[i]);
	return needed;
}

/* argv[0] of the guest: the file's own name, with ".wasm" in place of its extension. */
static char *
guest_name(const char *file)
{
	const char *slash = strrchr(file, '/');
	const char *base = slash != NULL ? slash + 1 : file;
	const char *dot = strrchr(base, '.');
	size_t stem_len = dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base);
	char *name = malloc(stem_len + sizeof ".wasm");

	if (name != NULL) {
		memcpy(name, base, stem_len);
		memcpy(name + stem_len, ".wasm", sizeof ".wasm");
	}
	return name;
}

static enum vm_status
attach_wasi(const struct run *run, struct vm_error *err)
{
	const struct run_options *options = run->options;
	char *name = guest_name(run->file);
	struct vm_str *args = calloc(run->word_count + 1, sizeof *args);
	enum vm_status st;

	if (name == NULL || args == NULL) {
		st = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
		goto done;
	}
	args[0] = str_of(name);
	for (size_t i = 0; i < run->word_count; i++)
		args[i + 1] = str_of(run->words[i]);
	const struct vm_wasi_config config = {
		.args = args,
		.arg_count = run->word_count + 1,
		.env = options->env,
		.env_count = options->env_count,
		.preopens = options->preopens,
		.preopen_count = options->preopen_count,
		.stdin_stream = { .kind = VM_WASI_FD, .fd = 0 },
		.stdout_stream = { .kind = VM_WASI_FD, .fd = 1 },
		.stderr_stream = { .kind = VM_WASI_FD, .fd = 2 },
	};
	st = vm_wasi_define_imports(run->linker, run->module, err);
	for (size_t i = 0; st == VM_OK && i < options->module_count; i++)
		st = vm_wasi_define_imports(run->linker, run->libraries[i], err);
	if (st == VM_OK)
		st = vm_wasi_attach(run->store, &config, err);
done:
	free(args);
	free(name);
	return st;
}

static bool
is_metered(const struct run_options *options)
{
	return options->has_gas_limit || options->measure_gas || options->count_instructions;
}

static enum vm_status
make_store(struct run *run, struct vm_error *err)
{
	const struct run_options *options = run->options;
	struct vm_store_config config;

	vm_store_config_init(&config);
	config.metered = is_metered(options);
	config.tier = options->tier;
	if (options->memory_page_limit != UINT64_MAX)
		config.memory_pages_max = options->memory_page_limit;
	enum vm_status st = vm_store_new(run->engine, &config, &run->store, err);
	if (st == VM_OK && options->has_gas_limit)
		vm_store_set_fuel(run->store, options->gas_limit);
	return st;
}

static enum vm_status
make_engine(struct run *run, struct vm_error *err)
{
	struct vm_engine_config config;

	vm_engine_config_init(&config);
	config.features = run->options->features;
	enum vm_status st = vm_engine_new(&config, &run->engine, err);
	if (st == VM_OK)
		st = vm_linker_new(run->engine, &run->linker, err);
	return st;
}

/* Does a --module give what is imported? */
static bool
is_given(const struct run *run, const struct vm_import *import)
{
	for (size_t i = 0; i < run->options->module_count; i++) {
		if (str_equal(import->module, run->options->modules[i].name))
			return true;
	}
	return false;
}

/* Does the module import functions that neither WASI nor a --module gives? */
static bool
imports_plugins(const struct run *run, const struct vm_module *module)
{
	for (uint32_t i = 0; i < vm_module_import_count(module); i++) {
		struct vm_import import;

		vm_module_import(module, i, &import);
		if (import.type.kind == VM_EXTERN_FUNC && !is_wasi(import.module) &&
		    !is_given(run, &import))
			return true;
	}
	return false;
}

/* Options that were given are checked, also where no plug-in is needed. */
static bool
needs_plugins(const struct run *run)
{
	bool needed = run->options->plugins.text_count > 0 || imports_plugins(run, run->module);

	for (size_t i = 0; i < run->options->module_count; i++)
		needed = needed || imports_plugins(run, run->libraries[i]);
	return needed;
}

static enum vm_status
load_plugins(struct run *run, const char **file, struct vm_error *err)
{
	const struct run_options *options = run->options;
	enum vm_status st = plugins_load(run->runner, &options->plugins, &run->plugins, err);

	if (st == VM_OK)
		st = plugins_define_imports(run->plugins, run->linker, run->module, err);
	for (size_t i = 0; st == VM_OK && i < options->module_count; i++)
		st = plugins_define_imports(run->plugins, run->linker, run->libraries[i], err);
	if (st != VM_OK)
		*file = NULL; /* it is the options that are wrong */
	return st;
}

/* Imports that could not be linked may be for a plug-in: the first of those says why. */
static void
explain_link(const struct run *run, const struct vm_module *module)
{
	bool is_told = run->plugins == NULL;

	for (uint32_t i = 0; i < vm_module_import_count(module) && !is_told; i++) {
		struct vm_import import;

		vm_module_import(module, i, &import);
		is_told = !is_given(run, &import) && plugins_explain(run->plugins, &import);
	}
}

/* The time limit counts from here. */
static enum vm_status
start_clock(struct run *run, struct vm_error *err)
{
	uint64_t limit_ms = run->options->time_limit_ms;

	if (limit_ms > 0 || run->options->measure_time)
		run->start_ns = clock_now_ns();
	if (limit_ms == 0)
		return VM_OK;
	return vm_store_set_deadline(run->store, run->start_ns + limit_ms * UINT64_C(1000000), err);
}

/*
 * A program that may have to hand over does so before it reads a file that can only be read once.
 * Where there is nobody to hand over to, it gets as far as it can.
 */
static void
hand_over_pipes(const struct run *run)
{
	const struct run_options *options = run->options;
	struct vm_error err;

	if (run->runner->hand_over == NULL)
		return;
	bool has_pipe = file_is_read_once(run->file);
	for (size_t i = 0; i < options->module_count; i++)
		has_pipe = has_pipe || file_is_read_once(options->modules[i].path);
	if (has_pipe)
		(void)run->runner->hand_over(&err);
}

static enum vm_status
load_modules(struct run *run, const char **file, struct vm_error *err)
{
	const struct run_options *options = run->options;
	const struct native_options native = { options->tier, is_metered(options),
		                               options->verbose };

	hand_over_pipes(run);
	enum vm_status st =
	    native_load_file(run->engine, run->file, &native, &run->module, err);
	for (size_t i = 0; st == VM_OK && i < options->module_count; i++) {
		*file = options->modules[i].path;
		st = native_load_file(run->engine, *file, &native, &run->libraries[i], err);
	}
	if (st == VM_OK)
		*file = run->file;
	return st;
}

static enum vm_status
instantiate_modules(struct run *run, const char **file, struct vm_error *err)
{
	const struct run_options *options = run->options;

	for (size_t i = 0; i < options->module_count; i++) {
		const struct module_option *option = &options->modules[i];
		struct vm_instance *library;

		*file = option->path;
		run->linking = run->libraries[i];
		enum vm_status st = vm_linker_instantiate(run->linker, run->store,
		                                          run->libraries[i], &library, err);
		if (st == VM_OK)
			st = vm_linker_define_instance(run->linker, option->name, library, err);
		if (st != VM_OK)
			return st;
	}
	*file = run->file;
	run->linking = run->module;
	return vm_linker_instantiate(run->linker, run->store, run->module, &run->instance, err);
}

/* Load, link and instantiate everything. Returns an exit code. */
static int
set_up(struct run *run)
{
	const char *file = run->file; /* which one an error is about */
	struct vm_error err;
	enum vm_status st = make_engine(run, &err);

	if (st == VM_OK)
		st = load_modules(run, &file, &err);
	if (st == VM_OK)
		st = make_store(run, &err);
	if (st == VM_OK && needs_plugins(run))
		st = load_plugins(run, &file, &err);
	if (st == VM_OK && needs_wasi(run))
		st = attach_wasi(run, &err);
	/* From here on we are the ones who finish this: see handover.c. */
	if (st == VM_OK)
		fflush(stderr);
	if (st == VM_OK)
		st = start_clock(run, &err);
	if (st == VM_OK)
		st = instantiate_modules(run, &file, &err);
	int code = failed_instantiation(run, file, st, &err);
	if (st == VM_E_LINK)
		explain_link(run, run->linking);
	return code;
}

/* --- running -------------------------------------------------------------------------------- */

/* The exported function of that name, or NULL. */
static struct vm_func *
find_function(const struct run *run, struct vm_str name)
{
	struct vm_extern ext;
	uint32_t index;

	if (!vm_module_find_export(run->module, name, &index))
		return NULL;
	vm_instance_export_at(run->instance, index, &ext);
	return ext.kind == VM_EXTERN_FUNC ? ext.of.func : NULL;
}

static bool
is_command_entry(const struct vm_func *func)
{
	struct vm_functype type = vm_func_type(func);

	return type.param_count == 0 && type.result_count == 0;
}

/* Says on standard error what is wrong with the words, which have to be as many as parameters. */
static bool
read_arguments(const char *name, const struct vm_functype *type, const char *const *words,
               size_t word_count, struct vm_value *out)
{
	char text[VM_VALTYPE_TEXT_MAX];

	if (word_count != type->param_count) {
		report_begin();
		fputs("function ", stderr);
		text_write_c(stderr, name);
		fprintf(stderr, " expects %" PRIu32 " argument(s), got %zu\n", type->param_count,
		        word_count);
		return false;
	}
	for (uint32_t i = 0; i < type->param_count; i++) {
		enum value_error error = value_read(words[i], type->params[i], &out[i]);

		if (error == VALUE_OK)
			continue;
		report_begin();
		fputs("invalid argument '", stderr);
		text_write_c(stderr, words[i]);
		fprintf(stderr, "' for parameter %" PRIu32 " of function ", i + 1);
		text_write_c(stderr, name);
		fprintf(stderr, ": %s %s\n",
		        error == VALUE_MALFORMED ? "expected" : "out of range for",
		        vm_valtype_text(type->params[i], text, sizeof text));
		return false;
	}
	return true;
}

/* Call a function without arguments and results; *out_code is the exit code it stands for. */
static enum vm_status
call_plain(const struct run *run, struct vm_func *func, int *out_code)
{
	struct vm_error err;
	enum vm_status st = vm_func_call(func, NULL, 0, NULL, 0, &err);

	*out_code = failed(run, run->file, st, &err);
	return st;
}

/* Call the function with the words as its arguments and print its results, one a line. */
static int
call_typed(const struct run *run, struct vm_func *func, const char *name, const char *const *words,
           size_t word_count)
{
	struct vm_functype type = vm_func_type(func);
	struct vm_value *values =
	    calloc((size_t)type.param_count + type.result_count + 1, sizeof *values);
	int code = EXIT_REFUSED;

	if (values == NULL) {
		report_usage("out of memory");
		return code;
	}
	struct vm_value *results = values + type.param_count;
	if (!read_arguments(name, &type, words, word_count, values))
		goto done;
	struct vm_error err;
	enum vm_status st =
	    vm_func_call(func, values, type.param_count, results, type.result_count, &err);
	code = failed(run, run->file, st, &err);
	for (uint32_t i = 0; st == VM_OK && i < type.result_count; i++) {
		value_write(stdout, &results[i], run->runner->unsigned_results);
		putchar('\n');
	}
done:
	free(values);
	return code;
}

/* Reactor mode: the first word names the function, unless it is a _start that takes arguments. */
static int
call_reactor(const struct run *run, const char *name, const char *const *words, size_t word_count)
{
	struct vm_func *initialize = find_function(run, VM_STR("_initialize"));
	struct vm_func *func = find_function(run, str_of(name));

	if (func == NULL) {
		report_begin();
		fputs("function \"", stderr);
		text_write_c(stderr, name);
		fputs("\" not found in the module export list\n", stderr);
		return EXIT_REFUSED;
	}
	int code;
	if (initialize != NULL && initialize != func && call_plain(run, initialize, &code) != VM_OK)
		return code;
	return call_typed(run, func, name, words, word_count);
}

static int
run_guest(const struct run *run)
{
	struct vm_func *start = find_function(run, VM_STR("_start"));
	int code;

	if (!run->options->reactor && start != NULL && is_command_entry(start)) {
		call_plain(run, start, &code);
		return code;
	}
	if (!run->options->reactor && start != NULL)
		return call_reactor(run, "_start", run->words, run->word_count);
	if (run->word_count > 0)
		return call_reactor(run, run->words[0], run->words + 1, run->word_count - 1);
	report_usage(run->options->reactor
	                 ? "a function name is required when reactor mode is enabled"
	                 : "the module exports no _start: name the function to call behind FILE");
	return EXIT_REFUSED;
}

/* --- statistics ----------------------------------------------------------------------------- */

static void
write_statistics(const struct run *run)
{
	const struct run_options *options = run->options;

	if (!options->measure_time && !options->count_instructions && !options->measure_gas)
		return;
	uint64_t elapsed_ns = options->measure_time ? clock_now_ns() - run->start_ns : 0;
	uint64_t cost = is_metered(options) ? vm_store_fuel_used(run->store) : 0;

	fflush(stdout);
	fputs("====================  Statistics  ====================\n", stderr);
	if (options->measure_time)
		fprintf(stderr, " Total execution time: %" PRIu64 " ns\n", elapsed_ns);
	if (options->count_instructions)
		fprintf(stderr, " Executed wasm instructions count: %" PRIu64 "\n", cost);
	if (options->measure_gas)
		fprintf(stderr, " Gas costs: %" PRIu64 "\n", cost);
	if (options->measure_time && options->count_instructions && elapsed_ns > 0)
		fprintf(stderr, " Instructions per second: %.0f\n",
		        (double)cost * 1e9 / (double)elapsed_ns);
	fputs("=======================   End   ======================\n", stderr);
}

/*
 * Nothing is freed: the process is about to end, and taking the guest's memory apart in good order
 * would cost more than many a guest does. All of it hangs on one static, for leak checkers.
 */
int
verb_run(void *context, const struct cli_args *args)
{
	static struct run run;
	static struct run_options options;
	char message[OPTIONS_MESSAGE_MAX];

	if (!run_options_read(args, &options, message)) {
		report_usage(message);
		return EXIT_REFUSED;
	}
	run = (struct run){
		.runner = context,
		.options = &options,
		.file = args->words[0],
		.words = args->words + 1,
		.word_count = args->word_count - 1,
		.libraries = calloc(options.module_count + 1, sizeof *run.libraries),
	};
	if (run.libraries == NULL) {
		report_usage("out of memory");
		return EXIT_REFUSED;
	}
	int code = set_up(&run);
	if (run.instance != NULL) {
		code = run_guest(&run);
		write_statistics(&run);
	}
	return code;
}
