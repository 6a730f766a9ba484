/*
 * spectest.c - runs conformance scripts in the form of JSON command files.
 *
 *     spectest [TIER] [--features SET] [--validate-only] [-v] PATH...
 *
 * TIER are the options of tests/support/tier.h. Where there is no compiler for native code nothing
 * runs, and the last line says that one thing was skipped.
 *
 * A PATH is a command file or a folder with any number of them at any depth. SET is a version
 * (1.0, 2.0, 3.0), followed by any number of +feature and -feature: "2.0+threads". Without it a
 * file's own member "features" decides, else the folder it is in: a part of the path that is one
 * of the group names below; else it is 3.0.
 *
 * Each file runs in a process of its own, so that a crash or a hang costs only that file. The last
 * line is "N passed, N failed, N skipped", by commands.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/spec/script.h"

enum { FILE_SECONDS = 120 };

static const struct group {
	const char *folder;
	const char *features;
} groups[] = {
	{ "wasm-1.0", "1.0" },
	{ "wasm-2.0", "2.0" },
	{ "threads", "2.0+threads" },
	{ "exception-handling-legacy", "3.0+legacy-exceptions" },
};

struct run {
	struct script_options options;
	const char *features; /* of --features, or NULL */
	struct tally *shared; /* of the file being run */
	struct tally sum;
	bool is_broken;       /* something was no command file */
};

/* --- features -------------------------------------------------------------------------------- */

/* One +feature or -feature at *text; moves past it. */
static bool
parse_change(const char **text, vm_features *features)
{
	const char sign = **text;
	const size_t len = strcspn(*text + 1, "+-");
	enum vm_feature feature;
	size_t whole = len;

	/* Names have hyphens themselves: take the longest that is one. */
	while ((*text)[1 + whole] == '-')
		whole += 1 + strcspn(*text + 1 + whole + 1, "+-");
	while (!vm_feature_find((struct vm_str){ *text + 1, whole }, &feature)) {
		while (whole > 0 && (*text)[whole] != '-')
			whole--;
		if (whole == 0)
			return false;
		whole--;
	}
	if (sign == '+')
		*features |= UINT64_C(1) << feature;
	else
		*features &= ~(UINT64_C(1) << feature);
	*text += 1 + whole;
	return true;
}

static bool
parse_features(const char *text, vm_features *out)
{
	static const struct {
		const char *name;
		int version;
	} versions[] = { { "1.0", 10 }, { "2.0", 20 }, { "3.0", 30 } };
	vm_features features = 0;

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		if (strncmp(text, versions[i].name, 3) == 0)
			features = vm_features_of_version(versions[i].version);
	}
	if (features == 0)
		return false;
	text += 3;
	while (*text != '\0') {
		if ((*text != '+' && *text != '-') || !parse_change(&text, &features))
			return false;
	}
	*out = features;
	return true;
}

/* Is name one of the path's parts? */
static bool
path_has_part(const char *path, const char *name)
{
	const size_t len = strlen(name);

	for (const char *at = path; (at = strstr(at, name)) != NULL; at += len) {
		if ((at == path || at[-1] == '/') && at[len] == '/')
			return true;
	}
	return false;
}

static vm_features
features_of_path(const char *path)
{
	char *absolute = realpath(path, NULL);
	const char *text = "3.0";
	vm_features features = 0;

	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		if (path_has_part(absolute != NULL ? absolute : path, groups[i].folder))
			text = groups[i].features;
	}
	free(absolute);
	(void)parse_features(text, &features);
	return features;
}

/* The member "features" of a command file; false when it has none. */
static bool
features_of_file(const char *path, vm_features *out)
{
	json_t *document = json_load_file(path, JSON_ALLOW_NUL, NULL);
	const char *text = json_string_value(json_object_get(document, "features"));
	const bool found = text != NULL && parse_features(text, out);

	json_decref(document);
	return found;
}

/* --- files ----------------------------------------------------------------------------------- */

static _Noreturn void
run_child(struct run *run, const char *path)
{
	struct script_options options = run->options;
	char message[1024];

	alarm(FILE_SECONDS);
	if (run->features == NULL && !features_of_file(path, &options.features))
		options.features = features_of_path(path);
	if (!script_run(path, &options, run->shared, message, sizeof message)) {
		printf("%s: %s\n", path, message);
		fflush(stdout);
		_exit(2);
	}
	fflush(stdout);
	exit(EXIT_SUCCESS); /* with the checks that sanitizers make at the end */
}

/* A file whose process did not end well: what it did not get to has failed. */
static void
note_bad_end(struct run *run, const char *path, int status)
{
	struct tally *tally = run->shared;
	const uint32_t done = tally->passed + tally->failed + tally->skipped;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		run->is_broken = true;
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("FAIL %s:%u: not done after %d seconds\n", path, (unsigned)tally->line,
		       FILE_SECONDS);
	else if (WIFSIGNALED(status))
		printf("FAIL %s:%u: ended by signal %d\n", path, (unsigned)tally->line,
		       WTERMSIG(status));
	else
		printf("FAIL %s: ended with %d\n", path, WEXITSTATUS(status));
	tally->failed += tally->total > done ? tally->total - done : 1;
}

static void
add_tally(struct tally *sum, const struct tally *part)
{
	sum->passed += part->passed;
	sum->failed += part->failed;
	sum->skipped += part->skipped;
	sum->unsupported += part->unsupported;
	sum->no_threads += part->no_threads;
	sum->late += part->late;
	sum->early += part->early;
}

static void
run_file(struct run *run, const char *path)
{
	int status = 0;

	*run->shared = (struct tally){ 0 };
	fflush(stdout);
	const pid_t child = fork();
	if (child == 0)
		run_child(run, path);
	if (child < 0 || waitpid(child, &status, 0) < 0) {
		printf("%s: cannot be run: %s\n", path, strerror(errno));
		run->is_broken = true;
		return;
	}
	if (status != 0)
		note_bad_end(run, path, status);
	add_tally(&run->sum, run->shared);
}

static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool
is_command_file(const char *path)
{
	const size_t len = strlen(path);

	return len > 5 && strcmp(path + len - 5, ".json") == 0;
}

static void
run_path(struct run *run, const char *path, bool is_given)
{
	struct stat st;
	struct dirent **entries;

	if (stat(path, &st) != 0) {
		printf("%s: %s\n", path, strerror(errno));
		run->is_broken = true;
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		if (is_given || is_command_file(path))
			run_file(run, path);
		return;
	}
	const int count = scandir(path, &entries, is_visible, alphasort);
	for (int i = 0; i < count; i++) {
		char *child;

		if (asprintf(&child, "%s/%s", path, entries[i]->d_name) >= 0) {
			run_path(run, child, false);
			free(child);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

/* --- the program ----------------------------------------------------------------------------- */

static _Noreturn void
usage(const char *problem)
{
	if (problem != NULL)
		fprintf(stderr, "spectest: %s\n", problem);
	fprintf(stderr, "usage: spectest " TIER_USAGE "\n"
	                "                [--features SET] [--validate-only] [-v] PATH...\n");
	exit(2);
}

static const char *
option_value(int argc, char **argv, int *at)
{
	if (*at + 1 >= argc)
		usage("an option lacks its value");
	return argv[++*at];
}

/* Options come first; returns the index of the first PATH. */
static int
parse_options(int argc, char **argv, struct run *run)
{
	int at = 1;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "-v") == 0)
			run->options.verbose = true;
		else if (strcmp(argv[at], "--validate-only") == 0)
			run->options.validate_only = true;
		else if (strcmp(argv[at], "--features") == 0)
			run->features = option_value(argc, argv, &at);
		else if (!tier_option(&run->options.tier, argc, argv, &at))
			usage("unknown option, or a wrong value");
	}
	if (run->features != NULL && !parse_features(run->features, &run->options.features))
		usage("--features is a version (1.0, 2.0, 3.0) and +feature or -feature");
	if (at == argc)
		usage("no PATH given");
	return at;
}

static void
print_notes(const struct run *run)
{
	const struct tally *sum = &run->sum;

	if (sum->unsupported > 0)
		printf("skipped, feature that no tier here runs: %u\n", (unsigned)sum->unsupported);
	if (sum->no_threads > 0)
		printf("skipped, threads of the host: %u\n", (unsigned)sum->no_threads);
	if (sum->late > 0)
		printf("malformed modules refused by validation, not decoding: %u\n",
		       (unsigned)sum->late);
	if (sum->early > 0)
		printf("invalid modules refused by decoding, not validation: %u\n",
		       (unsigned)sum->early);
}

int
main(int argc, char **argv)
{
	struct run run = { .options = { 0 } };
	struct vm_error err;

	tier_init(&run.options.tier);
	int at = parse_options(argc, argv, &run);
	if (!tier_is_available(&run.options.tier, &err)) {
		printf("no native code here: %s\n0 passed, 0 failed, 1 skipped\n", err.message);
		return EXIT_SUCCESS;
	}
	run.shared = mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE,
	                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.shared == MAP_FAILED) {
		perror("spectest");
		return 2;
	}
	for (; at < argc; at++)
		run_path(&run, argv[at], true);
	print_notes(&run);
	printf("%u passed, %u failed, %u skipped\n", (unsigned)run.sum.passed,
	       (unsigned)run.sum.failed, (unsigned)run.sum.skipped);
	return run.sum.failed > 0 || run.is_broken ? EXIT_FAILURE : EXIT_SUCCESS;
}
