/*
 * options.h - the command line of wasmedge and its kin: one table, and what "run" makes of it.
 *
 * Grammar: wasmedge [run] [OPTION...] FILE [ARG...]
 *          wasmedge VERB [OPTION...] WORD...
 * Everything behind FILE belongs to the guest, also words that begin with a dash.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "client/cli/cli.h"
#include "client/cli/complete.h"
#include "vm/vm.h"

/*
 * The verbs, in run.c, compile.c, inspect.c, plugins.c and options.c; each returns an exit code.
 * Their context is the struct runner of runner.h.
 */
int verb_run(void *context, const struct cli_args *args);
int verb_compile(void *context, const struct cli_args *args);
int verb_validate(void *context, const struct cli_args *args);
int verb_wat2wasm(void *context, const struct cli_args *args);
int verb_parse(void *context, const struct cli_args *args);
int verb_plugins(void *context, const struct cli_args *args);
int verb_completion(void *context, const struct cli_args *args);

extern const struct cli_program wasmedge_program;

/*
 * The rows of verbs that other programs have too. A program of this family begins its table with
 * RUNNER_VERBS: what reads the command line takes the first verb for that of a mere FILE.
 */
extern const struct cli_option run_option_rows[];
extern const struct cli_option plugins_option_rows[];
extern const struct cli_option no_option_rows[];
extern const struct cli_option program_option_rows[];

/* clang-format off */
#define RUNNER_VERBS \
	{ "run", "FILE [ARG...]", "@file|@file", 1, SIZE_MAX, 0, \
	  "Run a WASI command, or call a function of a module", run_option_rows, verb_run }, \
	{ "", "FILE [ARG...]", "@file|@file", 1, SIZE_MAX, 0, "The same as run", run_option_rows, \
	  verb_run }, \
	{ "plugins", "", "", 0, 0, 0, "List the plug-ins that guests can import from", \
	  plugins_option_rows, verb_plugins }, \
	{ "completion", CLI_SHELLS, CLI_SHELLS, 1, 1, 0, \
	  "Print the completion script for a shell", no_option_rows, verb_completion }
/* clang-format on */

#define OPTIONS_MESSAGE_MAX CLI_MESSAGE_BYTES

/*
 * Rewrite argv so that cli_parse can read it: with the program's first verb where none is named,
 * and behind that a "--" in front of FILE, so that nothing after it is taken for an option.
 *
 * out_argv has room for argc + 3 pointers; a NULL ends it. Returns its count of words.
 */
int options_normalise(const struct cli_program *program, int argc, char *const *argv,
                      char **out_argv);

enum options_answer { OPTIONS_NONE, OPTIONS_HELP, OPTIONS_VERSION };

/*
 * Does the command line, before any file or verb, only ask who we are? *out_plugin_path is set to
 * the --plugin-path in front of the question, if there is one.
 */
enum options_answer options_question(const struct cli_program *program, int argc,
                                     char *const *argv, const char **out_plugin_path);

/* --module NAME:PATH */
struct module_option {
	struct vm_str name;
	const char *path;
};

/* Which plug-ins are loaded, and how they are set. */
struct plugin_options {
	const char *path;       /* NULL: none given */
	const char **forbidden; /* names */
	size_t forbidden_count;
	struct vm_plugins_setting *settings;
	size_t setting_count;
	char **texts; /* those of settings that had to be taken apart, owned */
	size_t text_count;
};

struct run_options {
	struct plugin_options plugins;
	bool reactor;
	bool verbose;
	enum vm_tier_policy tier;
	vm_features features;
	struct vm_wasi_preopen *preopens;
	char **host_paths; /* those of the preopens, owned */
	size_t preopen_count;
	struct vm_str *env;
	size_t env_count;
	struct module_option *modules;
	size_t module_count;
	bool has_gas_limit;
	uint64_t gas_limit;
	uint64_t time_limit_ms;     /* 0: none */
	uint64_t memory_page_limit; /* UINT64_MAX: none given */
	bool count_instructions;
	bool measure_gas;
	bool measure_time;
};

/*
 * Read the values of "run" strictly. On success the caller clears *out, some of whose strings
 * point into the command line; on failure message says which option is wrong and what it should be.
 */
bool run_options_read(const struct cli_args *args, struct run_options *out,
                      char message[OPTIONS_MESSAGE_MAX]);
void run_options_clear(struct run_options *options);

/* Read the options about plug-ins, of "run" or "plugins", in the same way. */
bool plugin_options_read(const struct cli_args *args, struct plugin_options *out,
                         char message[OPTIONS_MESSAGE_MAX]);
void plugin_options_clear(struct plugin_options *options);

struct compile_options {
	struct vm_compile_options compile; /* of both variants */
	vm_features features;
	bool metered; /* the variant that counts instructions too */
};

/* Read the values of "compile" strictly, as run_options_read does. */
bool compile_options_read(const struct cli_args *args, struct compile_options *out,
                          char message[OPTIONS_MESSAGE_MAX]);

/* The set of --wasm-1, --disable-simd and the like, which every verb that loads modules takes. */
vm_features options_features(const struct cli_args *args);
