/*
 * tiers.c - runs generated modules on several tiers and compares what they do.
 *
 *     tiers [-v] [--strict] [--variant plain|metered|both] [--level fast|best|both]
 *           [--canonical-nans] FILE.wasm...
 *
 * Without more ado a module's trace (trace.h) on the interpreter is compared with those on native
 * code of both levels; once more in metered stores, fuel included; and once more with a share of
 * the fuel that the module needs, so that it runs out somewhere. With --canonical-nans native code
 * of the fast level is compared with the best, and every bit of a NaN counts: for modules of the
 * generator's profile "raw".
 *
 * Code of the best level may give a trap the offset of a neighbour in the same function, which is
 * counted and is a failure with --strict only; everything else has to be equal.
 *
 * A process of its own runs the modules, and a new one when that crashes or hangs, so that it costs
 * one module only. Without a compiler nothing is compared and all are skipped. The last line is
 * "N passed, N failed, N skipped", by modules.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/generated/trace.h"

enum { MODULE_SECONDS = 120, STACK_BYTES = 256 << 20, SHOWN_BYTES = 6000 };

/* Written by the process that runs the modules. */
struct progress {
	int at; /* index of the module being run */
	unsigned passed, failed, steps, traps, out_of_fuel, offsets;
	char doing[TIER_TEXT_MAX];
};

struct options {
	bool verbose;
	bool strict;
	bool plain, metered;
	bool fast, best;
	bool canonical_nans;
};

static struct options options = { .plain = true, .metered = true, .fast = true, .best = true };
static struct progress *progress;

static uint8_t *
read_file(const char *path, size_t *out_len)
{
	FILE *file = fopen(path, "rb");
	long len;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (len = ftell(file)) < 0) {
		fprintf(stderr, "tiers: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	uint8_t *bytes = malloc((size_t)len + 1);
	rewind(file);
	if (bytes == NULL || fread(bytes, 1, (size_t)len, file) != (size_t)len) {
		fprintf(stderr, "tiers: %s: cannot be read\n", path);
		exit(2);
	}
	fclose(file);
	*out_len = (size_t)len;
	return bytes;
}

/* --- one module ------------------------------------------------------------------------------ */

/* Levels need modules of their own: code of a variant is attached once. */
struct subject {
	struct tier tier;
	struct vm_module *module;
};

struct bench {
	const char *path;
	struct vm_engine *engine;
	const uint8_t *bytes;
	size_t len;
};

static bool
subject_init(const struct bench *bench, const struct tier *tier, struct subject *out)
{
	struct vm_error err;

	out->tier = *tier;
	if (vm_module_load(bench->engine, bench->bytes, bench->len, &out->module, &err) == VM_OK)
		return true;
	printf("FAIL %s: does not load: %s\n", bench->path, err.message);
	return false;
}

static bool
trace_subject(const struct bench *bench, const struct subject *subject, uint64_t fuel,
              struct trace *out)
{
	const struct trace_options how = { .tier = subject->tier, .fuel = fuel,
		                           .exact_nans = options.canonical_nans };
	struct vm_error err;
	char text[TIER_TEXT_MAX];

	tier_text(&subject->tier, progress->doing, sizeof progress->doing);
	if (trace_make(bench->engine, subject->module, &how, out, &err) == VM_OK)
		return true;
	printf("FAIL %s (%s): %s\n", bench->path, tier_text(&subject->tier, text, sizeof text),
	       err.message);
	return false;
}

static void
print_difference(const struct bench *bench, const struct subject *a, const struct trace *trace_a,
                 const struct subject *b, const struct trace *trace_b, size_t step)
{
	static char shown[SHOWN_BYTES];
	char text[TIER_TEXT_MAX];

	printf("FAIL %s: call %zu differs\n", bench->path, step);
	printf("  %s:\n  %s\n", tier_text(&a->tier, text, sizeof text),
	       trace_text(trace_a, step, shown, sizeof shown));
	printf("  %s:\n  %s\n", tier_text(&b->tier, text, sizeof text),
	       trace_text(trace_b, step, shown, sizeof shown));
}

/* Is that good enough? Prints and counts what is not equal. */
static bool
accept(const struct bench *bench, const struct subject *a, const struct trace *trace_a,
       const struct subject *b, const struct trace *trace_b)
{
	size_t step = 0;
	const enum trace_relation relation = trace_compare(trace_a, trace_b, &step);
	const bool ok = relation == TRACE_EQUAL ||
	                (relation == TRACE_OFFSETS_DIFFER && !options.strict &&
	                 b->tier.level == VM_COMPILE_BEST);

	progress->offsets += relation == TRACE_OFFSETS_DIFFER;
	if (!ok)
		print_difference(bench, a, trace_a, b, trace_b, step);
	return ok;
}

/* Compare the others with the first, with so much fuel. */
static bool
compare(const struct bench *bench, const struct subject *subjects, size_t count, uint64_t fuel,
        uint64_t *out_fuel_used)
{
	struct trace reference, other;
	bool ok = trace_subject(bench, &subjects[0], fuel, &reference);

	if (!ok)
		return false;
	progress->steps += (unsigned)reference.count;
	for (size_t i = 0; i < reference.count; i++) {
		progress->traps += reference.steps[i].trap != VM_TRAP_NONE;
		progress->out_of_fuel += reference.steps[i].trap == VM_TRAP_FUEL;
	}
	*out_fuel_used = reference.fuel_used;
	for (size_t i = 1; i < count; i++) {
		if (!trace_subject(bench, &subjects[i], fuel, &other)) {
			ok = false;
			continue;
		}
		if (!accept(bench, &subjects[0], &reference, &subjects[i], &other))
			ok = false;
		trace_clear(&other);
	}
	trace_clear(&reference);
	return ok;
}

/* All levels of one variant. */
static bool
compare_variant(const struct bench *bench, bool is_metered)
{
	struct subject subjects[3];
	size_t count = 0;
	uint64_t fuel_used = 0;
	bool ok = true;

	for (int i = 0; i < 3; i++) {
		const struct tier tier = {
			.is_native = i > 0,
			.is_metered = is_metered,
			.canonical_nans = options.canonical_nans,
			.level = i == 1 ? VM_COMPILE_FAST : VM_COMPILE_BEST,
		};

		if ((i == 0 && options.canonical_nans) || (i == 1 && !options.fast) ||
		    (i == 2 && !options.best))
			continue;
		if (!subject_init(bench, &tier, &subjects[count]))
			ok = false;
		else
			count++;
	}
	if (ok)
		ok = compare(bench, subjects, count, UINT64_MAX, &fuel_used);
	if (ok && is_metered && fuel_used > 1) /* a share that depends on the module alone */
		ok =
		    compare(bench, subjects, count, fuel_used * (bench->len % 97) / 97, &fuel_used);
	for (size_t i = 0; i < count; i++)
		vm_module_unref(subjects[i].module);
	return ok;
}

static bool
compare_module(struct vm_engine *engine, const char *path)
{
	struct bench bench = { .path = path, .engine = engine };
	uint8_t *bytes = read_file(path, &bench.len);

	bench.bytes = bytes;
	bool ok = !options.plain || compare_variant(&bench, false);
	if (options.metered)
		ok = compare_variant(&bench, true) && ok;
	free(bytes);
	return ok;
}

/* --- processes ------------------------------------------------------------------------------- */

static _Noreturn void
run_modules(char *const *files, int count)
{
	struct vm_engine_config config;
	struct vm_engine *engine;
	struct vm_error err;

	vm_engine_config_init(&config);
	config.stack_bytes = STACK_BYTES;
	if (vm_engine_new(&config, &engine, &err) != VM_OK) {
		fprintf(stderr, "tiers: %s\n", err.message);
		exit(2);
	}
	for (; progress->at < count; progress->at++) {
		alarm(MODULE_SECONDS);
		const bool ok = compare_module(engine, files[progress->at]);

		progress->passed += ok;
		progress->failed += !ok;
		if (options.verbose)
			printf("%s %s\n", ok ? "ok  " : "FAIL", files[progress->at]);
		fflush(stdout);
	}
	alarm(0);
	vm_engine_unref(engine);
	exit(EXIT_SUCCESS);
}

static void
run_all(char *const *files, int count)
{
	while (progress->at < count) {
		int status;
		fflush(stdout);
		const pid_t child = fork();

		if (child == 0)
			run_modules(files, count);
		if (child < 0 || waitpid(child, &status, 0) != child) {
			perror("tiers");
			exit(2);
		}
		if (status == 0)
			continue;
		if (WIFEXITED(status) && progress->at >= count) {
			printf("FAIL: the process ended with %d\n", WEXITSTATUS(status));
			progress->failed++;
			return;
		}
		printf("FAIL %s (%s): the process ended by %s %d\n", files[progress->at],
		       progress->doing, WIFSIGNALED(status) ? "signal" : "exit status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		progress->failed++;
		progress->at++;
	}
}

/* --- the program ----------------------------------------------------------------------------- */

static _Noreturn void
usage(void)
{
	fputs("usage: tiers [-v] [--strict] [--variant plain|metered|both]\n"
	      "             [--level fast|best|both] [--canonical-nans] FILE.wasm...\n",
	      stderr);
	exit(2);
}

/* Which of two things, or both, the value of an option names. */
static void
read_choice(const char *value, const char *first, const char *second, bool *out_first,
            bool *out_second)
{
	const bool both = value != NULL && strcmp(value, "both") == 0;

	*out_first = both || (value != NULL && strcmp(value, first) == 0);
	*out_second = both || (value != NULL && strcmp(value, second) == 0);
	if (!*out_first && !*out_second)
		usage();
}

static int
read_options(int argc, char **argv)
{
	int at = 1;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "-v") == 0)
			options.verbose = true;
		else if (strcmp(argv[at], "--strict") == 0)
			options.strict = true;
		else if (strcmp(argv[at], "--canonical-nans") == 0)
			options.canonical_nans = true;
		else if (strcmp(argv[at], "--variant") == 0)
			read_choice(argv[++at], "plain", "metered", &options.plain,
			            &options.metered);
		else if (strcmp(argv[at], "--level") == 0)
			read_choice(argv[++at], "fast", "best", &options.fast, &options.best);
		else
			usage();
	}
	if (at >= argc || (options.canonical_nans && !(options.fast && options.best)))
		usage();
	return at;
}

int
main(int argc, char **argv)
{
	const struct tier native = { .is_native = true };
	struct vm_error err;
	const int first = read_options(argc, argv);

	if (!tier_is_available(&native, &err)) {
		printf("no native code here: %s\n0 passed, 0 failed, %d skipped\n", err.message,
		       argc - first);
		return EXIT_SUCCESS;
	}
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED) {
		perror("tiers");
		return 2;
	}
	run_all(argv + first, argc - first);
	printf("%u calls of modules, of which %u trapped, %u for lack of fuel; "
	       "%u runs with other offsets of traps\n", progress->steps, progress->traps,
	       progress->out_of_fuel, progress->offsets);
	printf("%u passed, %u failed, 0 skipped\n", progress->passed, progress->failed);
	return progress->failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
