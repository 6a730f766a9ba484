/*
 * options.h - the command line of wasmedge: one table, and what "run" makes of it.
 *
 * Grammar: wasmedge [run] [OPTION...] FILE [ARG...]
 *          wasmedge VERB [OPTION...] WORD...
 * Everything behind FILE belongs to the guest, also words that begin with a dash.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "client/cli/cli.h"
#include "vm/vm.h"

/* The verbs, in run.c, compile.c, inspect.c and options.c; each returns an exit code. */
int verb_run(void *context, const struct cli_args *args);
int verb_compile(void *context, const struct cli_args *args);
int verb_validate(void *context, const struct cli_args *args);
int verb_parse(void *context, const struct cli_args *args);
int verb_completion(void *context, const struct cli_args *args);

extern const struct cli_program wasmedge_program;

#define OPTIONS_MESSAGE_MAX CLI_MESSAGE_BYTES

/*
 * Rewrite argv so that cli_parse can read it: with the verb "run" where none is named, and a "--"
 * in front of FILE, so that nothing behind it is taken for an option.
 *
 * out_argv has room for argc + 3 pointers; a NULL ends it. Returns its count of words.
 */
int options_normalise(int argc, char *const *argv, char **out_argv);

enum options_answer { OPTIONS_NONE, OPTIONS_HELP, OPTIONS_VERSION };

/* Does the command line, before any file or verb, only ask who we are? */
enum options_answer options_question(int argc, char *const *argv);

/* --module NAME:PATH */
struct module_option {
	struct vm_str name;
	const char *path;
};

struct run_options {
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
