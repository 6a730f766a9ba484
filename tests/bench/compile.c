/*
 * compile.c - what compiling a module costs:
 *
 *     compile [--level fast|best] [--metered] [--jobs N] MODULE
 *
 * Prints processor time, wall time, the largest resident size of the process with and without the
 * compilation, and the size of what came out. One compilation a process, so that sizes are its
 * own; all processors are used where --jobs does not say otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/bench/bench.h"

static struct rusage
usage_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage;
}

static double
seconds(const struct rusage *usage)
{
	return (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec / 1e6 +
	       (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec / 1e6;
}

/* False when the command line is wrong. */
static bool
read_options(int argc, char **argv, struct vm_compile_options *out)
{
	for (int i = 1; i < argc - 1; i++) {
		if (strcmp(argv[i], "--metered") == 0)
			out->metered = true;
		else if (strcmp(argv[i], "--level") == 0 && i + 1 < argc - 1)
			out->level = strcmp(argv[++i], "fast") == 0 ? VM_COMPILE_FAST
			                                            : VM_COMPILE_BEST;
		else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc - 1)
			out->jobs = (uint32_t)strtoul(argv[++i], NULL, 10);
		else
			return false;
	}
	return argc > 1;
}

int
main(int argc, char **argv)
{
	struct vm_compile_options options;
	struct vm_engine *engine;
	struct vm_bytes artifact;
	struct vm_error err;
	size_t len;

	vm_compile_options_init(&options);
	if (!read_options(argc, argv, &options)) {
		fprintf(stderr, "usage: %s [--level fast|best] [--metered] [--jobs N] MODULE\n",
		        argv[0]);
		return 2;
	}
	bench_check(vm_engine_new(NULL, &engine, &err), &err, "engine");
	struct vm_module *module = bench_load(engine, argv[argc - 1]);
	vm_module_bytes(module, &len);
	const struct rusage before = usage_now();
	const uint64_t start = bench_now_ns();
	bench_check(vm_compile(module, &options, &artifact, &err), &err, argv[argc - 1]);
	const uint64_t wall_ns = bench_now_ns() - start;
	const struct rusage after = usage_now();
	printf("%s%s: %.2f MB: %.2f s of processor time, %.2f s by the clock, "
	       "%.0f MiB resident (%.0f before), %.2f MB of artifact\n",
	       options.level == VM_COMPILE_FAST ? "fast" : "best",
	       options.metered ? ", metered" : "", (double)len / 1e6,
	       seconds(&after) - seconds(&before), (double)wall_ns / 1e9,
	       (double)after.ru_maxrss / 1024, (double)before.ru_maxrss / 1024,
	       (double)artifact.size_bytes / 1e6);
	vm_bytes_free(&artifact);
	vm_module_unref(module);
	vm_engine_unref(engine);
	return 0;
}
