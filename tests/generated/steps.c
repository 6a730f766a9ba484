/*
 * steps.c - prints what a generated module does on one tier, call by call (trace.h).
 *
 *     steps [TIER] [--bare] [--exact-nans] [--call NAME[,INTEGER...]] FILE.wasm [FAR.wasm]
 *
 * TIER are the options of tests/support/tier.h. --bare leaves out positions and fuel. FAR.wasm is
 * the other half of a module that split.py has made two of; that half runs on the tier then, and
 * the first on the interpreter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/bench/bench.h"
#include "tests/generated/trace.h"

enum { STACK_BYTES = 256 << 20 };

static _Noreturn void
usage(void)
{
	fputs("usage: steps " TIER_USAGE "\n"
	      "             [--bare] [--exact-nans] [--call NAME[,INTEGER...]]\n"
	      "             FILE.wasm [FAR.wasm]\n",
	      stderr);
	exit(2);
}

static int
read_options(int argc, char **argv, struct trace_options *out, bool *out_bare)
{
	int at = 1;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--bare") == 0)
			out->no_fuel = *out_bare = true;
		else if (strcmp(argv[at], "--exact-nans") == 0)
			out->exact_nans = true;
		else if (strcmp(argv[at], "--call") == 0 && at + 1 < argc)
			out->call = argv[++at];
		else if (!tier_option(&out->tier, argc, argv, &at))
			usage();
	}
	if (argc - at != 1 && argc - at != 2)
		usage();
	return at;
}

static void
print_steps(const struct trace *trace, bool bare)
{
	static char text[16384];

	for (size_t i = 0; i < trace->count; i++)
		printf("%zu: %s\n", i,
		       bare ? trace->steps[i].text : trace_text(trace, i, text, sizeof text));
}

int
main(int argc, char **argv)
{
	struct trace_options options = { .fuel = UINT64_MAX };
	struct vm_engine_config config;
	struct vm_engine *engine;
	struct trace trace;
	struct vm_error err;
	bool bare = false;

	tier_init(&options.tier);
	const int at = read_options(argc, argv, &options, &bare);
	vm_engine_config_init(&config);
	config.stack_bytes = STACK_BYTES;
	bench_check(vm_engine_new(&config, &engine, &err), &err, "engine");
	struct vm_module *module = bench_load(engine, argv[at]);
	if (at + 1 < argc)
		options.far = bench_load(engine, argv[at + 1]);
	bench_check(trace_make(engine, module, &options, &trace, &err), &err, argv[at]);
	print_steps(&trace, bare);
	trace_clear(&trace);
	vm_module_unref(options.far);
	vm_module_unref(module);
	vm_engine_unref(engine);
	return EXIT_SUCCESS;
}
