/*
 * wasitest - runs WASI test programs and compares what they do with what is expected.
 *
 *     wasitest [TIER] [-v] [--tree host|walk|memory] PATH...
 *
 * TIER are the options of tests/support/tier.h; where there is no compiler for native code nothing
 * runs, and one thing is skipped.
 * A path is a program (NAME.wasm, with NAME.json beside it saying how to run it and what to
 * expect) or a folder of such; in a folder with a manifest.json, that lists the programs. The
 * keys of NAME.json: args, env, root, exit_code, stdout; of a manifest's entry: wasm, args,
 * stdin, dir, stdout_sha1, stdout_contains, or invoke for a function of a module without WASI
 * whose floating-point result has to be positive.
 *
 * Each program runs in a process of its own, for at most ten seconds (a minute from a manifest;
 * another one where it has to be compiled), with a fresh copy of its root folder. --tree says over
 * what: the host's folder with the kernel's path resolution (the default), with the walk that
 * replaces it, or a copy in memory. Programs that need threads or other features that are switched
 * off are skipped. -v lists failed and skipped programs.
 *
 * The last line is "N passed, N failed, N skipped"; the exit status is 1 when one failed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <jansson.h>
#include <nettle/sha1.h>
#include "tests/support/tier.h"
#include "vm/vm.h"
#include "vm/wasi/beneath.h"

enum tree_kind { TREE_HOST, TREE_WALK, TREE_MEMORY };

/* What a trap's exit status is taken for: that of a program killed by abort(). */
#define TRAP_STATUS 134

enum outcome { CRASHED, EXITED, SKIPPED, BROKEN };

/* Written by the child, in memory shared with the parent. */
struct result {
	enum outcome outcome;
	int64_t exit_code;
	char message[400];
};

struct test {
	const char *wasm; /* path */
	json_t *spec;     /* the JSON file's or manifest entry's object, or NULL */
	bool from_manifest;
	char *scratch; /* folder of this test: root, stdout, stderr */
};

static bool verbose;
static enum tree_kind tree_kind;
static struct tier tier;
static unsigned passed, failed, skipped;

static void
die(const char *what)
{
	fprintf(stderr, "wasitest: %s: %s\n", what, strerror(errno));
	exit(2);
}

static char *
path_join(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		die("out of memory");
	return path;
}

/* --- files -------------------------------------------------------------------------------- */

/* The whole file, with a NUL behind it; NULL with errno. */
static char *
read_file(const char *path, size_t *out_len)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;
	size_t len = 0;
	size_t n;

	if (file == NULL)
		return NULL;
	do {
		data = realloc(data, len + 65536 + 1);
		if (data == NULL)
			die("out of memory");
		n = fread(data + len, 1, 65536, file);
		len += n;
	} while (n > 0);
	fclose(file);
	data[len] = '\0';
	*out_len = len;
	return data;
}

static void
write_file(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "wb");

	if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0)
		die(path);
}

/* Copy files and folders; other kinds are left out. */
static void
copy_tree(const char *from, const char *to)
{
	struct dirent *entry;
	DIR *dir = opendir(from);

	if (dir == NULL || (mkdir(to, 0755) != 0 && errno != EEXIST))
		die(from);
	while ((entry = readdir(dir)) != NULL) {
		struct stat st;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		char *source = path_join(from, entry->d_name);
		char *target = path_join(to, entry->d_name);
		if (lstat(source, &st) != 0)
			die(source);
		if (S_ISDIR(st.st_mode)) {
			copy_tree(source, target);
		} else if (S_ISREG(st.st_mode)) {
			size_t len;
			char *data = read_file(source, &len);
			if (data == NULL)
				die(source);
			write_file(target, data, len);
			free(data);
		}
		free(source);
		free(target);
	}
	closedir(dir);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* Put a host folder's contents into an in-memory tree. Empty folders are lost, but for a file. */
static void
fill_tree(struct vm_wasi_tree *tree, const char *from, const char *name)
{
	struct dirent *entry;
	struct vm_error err;
	DIR *dir = opendir(from);

	if (dir == NULL)
		die(from);
	while ((entry = readdir(dir)) != NULL) {
		struct stat st;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		char *source = path_join(from, entry->d_name);
		char *target = path_join(name, entry->d_name);
		if (stat(source, &st) != 0)
			die(source);
		if (S_ISDIR(st.st_mode)) {
			fill_tree(tree, source, target);
		} else {
			size_t len;
			char *data = read_file(source, &len);
			if (data == NULL ||
			    vm_wasi_tree_put(tree, (struct vm_str){ target, strlen(target) }, data,
			                     len, &err) != VM_OK)
				die(target);
			free(data);
		}
		free(source);
		free(target);
	}
	closedir(dir);
}

/* --- in the child ------------------------------------------------------------------------- */

struct run {
	const struct test *test;
	struct vm_engine *engine;
	struct vm_store *store;
	struct vm_linker *linker;
	struct vm_module *module;
	struct vm_instance *instance;
	struct vm_wasi_tree *tree;
};

static const char *
spec_string(const struct test *test, const char *key)
{
	return test->spec == NULL ? NULL : json_string_value(json_object_get(test->spec, key));
}

/* The program's name and args, as vm_str; the array is the caller's to free. */
static struct vm_str *
make_args(const struct test *test, size_t *out_count)
{
	json_t *list = test->spec == NULL ? NULL : json_object_get(test->spec, "args");
	const char *slash = strrchr(test->wasm, '/');
	const char *name = slash == NULL ? test->wasm : slash + 1;
	struct vm_str *args = calloc(json_array_size(list) + 1, sizeof *args);
	json_t *value;
	size_t i;

	if (args == NULL)
		die("out of memory");
	args[0] = (struct vm_str){ name, strlen(name) };
	json_array_foreach (list, i, value)
		args[i + 1] =
		    (struct vm_str){ json_string_value(value), json_string_length(value) };
	*out_count = json_array_size(list) + 1;
	return args;
}

static struct vm_str *
make_env(const struct test *test, size_t *out_count)
{
	json_t *object = test->spec == NULL ? NULL : json_object_get(test->spec, "env");
	struct vm_str *env = calloc(json_object_size(object) + 1, sizeof *env);
	const char *name;
	json_t *value;
	size_t count = 0;

	if (env == NULL)
		die("out of memory");
	json_object_foreach (object, name, value) {
		char *text;
		int len = asprintf(&text, "%s=%s", name, json_string_value(value));
		if (len < 0)
			die("out of memory");
		env[count++] = (struct vm_str){ text, (size_t)len };
	}
	*out_count = count;
	return env;
}

static struct vm_wasi_stream
file_stream(const char *folder, const char *name, int flags)
{
	char *path = path_join(folder, name);
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		die(path);
	free(path);
	return (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = fd };
}

/* The folder beside the test, and as what it is preopened; NULL for none. */
static const char *
root_of(const struct test *test, const char **out_name)
{
	*out_name = test->from_manifest ? "." : "/";
	return spec_string(test, test->from_manifest ? "dir" : "root");
}

static char *
folder_of(const struct test *test)
{
	const char *slash = strrchr(test->wasm, '/');
	char *folder =
	    slash == NULL ? strdup(".") : strndup(test->wasm, (size_t)(slash - test->wasm));

	if (folder == NULL)
		die("out of memory");
	return folder;
}

static enum vm_status
make_preopen(struct run *run, struct vm_wasi_preopen *out, bool *has, struct vm_error *err)
{
	char *folder = folder_of(run->test);
	const char *name;
	const char *root = root_of(run->test, &name);
	enum vm_status st = VM_OK;

	*has = root != NULL;
	if (*has) {
		char *from = path_join(folder, root);
		char *copy = path_join(run->test->scratch, "root");
		*out = (struct vm_wasi_preopen){ .guest_path = { name, strlen(name) } };
		if (tree_kind == TREE_MEMORY) {
			st = vm_wasi_tree_new(64 << 20, &run->tree, err);
			if (st == VM_OK)
				fill_tree(run->tree, from, "");
			out->tree = run->tree;
		} else {
			copy_tree(from, copy);
			out->host_path = copy;
		}
		free(from);
	}
	free(folder);
	return st;
}

static enum vm_status
attach_wasi(struct run *run, struct vm_error *err)
{
	const char *input = spec_string(run->test, "stdin");
	struct vm_wasi_config config = { 0 };
	struct vm_wasi_preopen preopen;
	bool has_preopen;

	config.args = make_args(run->test, &config.arg_count);
	config.env = make_env(run->test, &config.env_count);
	if (input != NULL) {
		char *folder = folder_of(run->test);
		config.stdin_stream = file_stream(folder, input, O_RDONLY);
		free(folder);
	}
	config.stdout_stream = file_stream(run->test->scratch, "stdout", O_WRONLY | O_CREAT);
	config.stderr_stream = file_stream(run->test->scratch, "stderr", O_WRONLY | O_CREAT);
	enum vm_status st = make_preopen(run, &preopen, &has_preopen, err);
	config.preopens = &preopen;
	config.preopen_count = has_preopen;
	if (st == VM_OK)
		st = vm_wasi_define(run->linker, err);
	if (st == VM_OK)
		st = vm_wasi_attach(run->store, &config, err);
	return st;
}

/*
 * Benchmarks measure for ten seconds of env.clock_ms, which would be long for a test. They find out
 * how much they do in a second first and fail when the rest takes less than ten, so that clock is
 * the thread's own: what else the machine does does not count.
 */
#define CLOCK_RATE 10

/* env.clock_ms of modules without WASI; an i32 is the lower half of the slot. */
static enum vm_status
clock_ms(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	struct timespec now;

	(void)env, (void)caller, (void)err;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	uint64_t us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	slots[0].u64 = us * CLOCK_RATE / 1000;
	return VM_OK;
}

/* Define it as the module wants it: with a result of 32 or 64 bits. */
static enum vm_status
define_host(struct run *run, struct vm_error *err)
{
	enum vm_status st = VM_OK;

	for (uint32_t i = 0; i < vm_module_import_count(run->module) && st == VM_OK; i++) {
		struct vm_import import;
		vm_module_import(run->module, i, &import);
		if (import.type.kind != VM_EXTERN_FUNC || import.type.of.func.result_count != 1)
			continue;
		const vm_valtype result =
		    import.type.of.func.results[0] == VM_I64 ? VM_I64 : VM_I32;
		const struct vm_functype type = { .results = &result, .result_count = 1 };
		st = vm_linker_define_func(run->linker, VM_STR("env"), VM_STR("clock_ms"), &type,
		                           clock_ms, NULL, err);
	}
	return st;
}

/* Programs with threads bring a memory to import, or import from "wasi". */
static bool
needs_threads(const struct vm_module *module)
{
	for (uint32_t i = 0; i < vm_module_import_count(module); i++) {
		struct vm_import import;
		vm_module_import(module, i, &import);
		if (import.type.kind == VM_EXTERN_MEMORY ||
		    (import.module.len == 4 && memcmp(import.module.data, "wasi", 4) == 0))
			return true;
	}
	return false;
}

static enum vm_status
load(struct run *run, struct vm_error *err)
{
	size_t len;
	char *bytes = read_file(run->test->wasm, &len);
	enum vm_status st;

	if (bytes == NULL)
		die(run->test->wasm);
	st = vm_engine_new(NULL, &run->engine, err);
	if (st == VM_OK)
		st = vm_linker_new(run->engine, &run->linker, err);
	if (st == VM_OK)
		st = tier_store_new(&tier, run->engine, &run->store, err);
	if (st == VM_OK)
		st = vm_module_load(run->engine, (const uint8_t *)bytes, len, &run->module, err);
	free(bytes);
	return st;
}

static enum vm_status
call_export(struct run *run, const char *name, struct vm_value *results, size_t result_count,
            struct vm_error *err)
{
	struct vm_extern export;
	enum vm_status st =
	    vm_linker_instantiate(run->linker, run->store, run->module, &run->instance, err);

	if (st == VM_OK)
		st = vm_instance_export(run->instance, (struct vm_str){ name, strlen(name) },
		                        &export, err);
	if (st == VM_OK && export.kind != VM_EXTERN_FUNC)
		st = vm_error_set(err, VM_E_NOT_FOUND, VM_NO_OFFSET, "%s is no function", name);
	if (st == VM_OK)
		st = vm_func_call(export.of.func, NULL, 0, results, result_count, err);
	return st;
}

/* Call the named function, whose score has to be positive. */
static enum vm_status
run_invoke(struct run *run, const char *name, struct result *result, struct vm_error *err)
{
	struct vm_value score;
	float value;
	enum vm_status st = define_host(run, err);

	if (st == VM_OK)
		st = call_export(run, name, &score, 1, err);
	if (st != VM_OK)
		return st;
	memcpy(&value, &score.of.f32_bits, sizeof value);
	result->exit_code = value > 0 ? 0 : 1;
	snprintf(result->message, sizeof result->message, "%s() = %g", name, (double)value);
	return VM_OK;
}

static enum vm_status
run_command(struct run *run, struct vm_error *err)
{
	enum vm_status st = attach_wasi(run, err);

	return st != VM_OK ? st : call_export(run, "_start", NULL, 0, err);
}

static void
free_run(struct run *run)
{
	vm_store_free(run->store);
	vm_wasi_tree_free(run->tree);
	vm_module_unref(run->module);
	vm_linker_free(run->linker);
	vm_engine_unref(run->engine);
}

static void
run_test(const struct test *test, struct result *result)
{
	const char *invoke = spec_string(test, "invoke");
	struct run run = { .test = test };
	struct vm_error err = { .message = "" };
	enum vm_status st = load(&run, &err);

	wasi_beneath_walk_only = tree_kind == TREE_WALK;
	if (st == VM_OK && needs_threads(run.module)) {
		result->outcome = SKIPPED;
		snprintf(result->message, sizeof result->message, "needs threads");
		free_run(&run);
		return;
	}
	enum outcome outcome = EXITED;
	if (st == VM_OK)
		st = tier_prepare(&tier, run.module, &err);
	if (st == VM_OK)
		st = invoke != NULL ? run_invoke(&run, invoke, result, &err)
		                    : run_command(&run, &err);
	if (st == VM_EXIT) {
		result->exit_code = err.exit_code;
	} else if (st == VM_TRAP) {
		result->exit_code = TRAP_STATUS;
		snprintf(result->message, sizeof result->message, "trap: %s", err.message);
	} else if (st != VM_OK) {
		outcome = st == VM_E_UNSUPPORTED ? SKIPPED : BROKEN;
		snprintf(result->message, sizeof result->message, "%s: %s", vm_status_name(st),
		         err.message);
	}
	free_run(&run);
	result->outcome = outcome; /* only now: until here it has crashed, if it ends */
}

/* --- in the parent ------------------------------------------------------------------------ */

/* False when it had to be killed. */
static bool
wait_for(pid_t child, int seconds)
{
	const struct timespec tick = { .tv_nsec = 2000000 };
	struct timespec start;
	struct timespec now;
	int status;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		pid_t got = waitpid(child, &status, WNOHANG);
		if (got == child)
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (got < 0 || now.tv_sec - start.tv_sec > seconds)
			break;
		nanosleep(&tick, NULL);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return false;
}

static char *
output_of(const struct test *test, const char *name, size_t *out_len)
{
	char *path = path_join(test->scratch, name);
	char *data = read_file(path, out_len);

	free(path);
	if (data == NULL) {
		*out_len = 0;
		data = calloc(1, 1);
	}
	return data;
}

static bool
sha1_is(const char *data, size_t len, const char *want)
{
	struct sha1_ctx ctx;
	uint8_t digest[SHA1_DIGEST_SIZE];
	char hex[2 * SHA1_DIGEST_SIZE + 1];

	sha1_init(&ctx);
	sha1_update(&ctx, len, (const uint8_t *)data);
	sha1_digest(&ctx, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return strcmp(hex, want) == 0;
}

/* NULL when the output is as expected, else what is wrong with it. */
static const char *
check_output(const struct test *test, const char *data, size_t len)
{
	const char *sha1 = spec_string(test, "stdout_sha1");
	json_t *parts = json_object_get(test->spec, "stdout_contains");
	json_t *text = json_object_get(test->spec, "stdout");
	json_t *part;
	size_t i;

	if (json_is_string(text) &&
	    (json_string_length(text) != len || memcmp(json_string_value(text), data, len) != 0))
		return "standard output differs from what is expected";
	if (sha1 != NULL && !sha1_is(data, len, sha1))
		return "standard output has another SHA-1 than expected";
	const char *from = data;
	json_array_foreach (parts, i, part) {
		from = strstr(from, json_string_value(part));
		if (from == NULL)
			return "standard output lacks an expected part";
		from += json_string_length(part);
	}
	return NULL;
}

static void
report(const char *verdict, const struct test *test, const char *why, bool with_stderr)
{
	size_t len;

	if (!verbose)
		return;
	printf("%s %s: %s\n", verdict, test->wasm, why);
	char *text = output_of(test, "stderr", &len);
	if (with_stderr && len > 0)
		printf("    stderr: %.600s\n", text);
	free(text);
}

static void
judge(const struct test *test, const struct result *result)
{
	json_t *code = test->spec == NULL ? NULL : json_object_get(test->spec, "exit_code");
	char why[500];
	size_t len;
	char *output = output_of(test, "stdout", &len);
	const char *wrong = test->spec == NULL ? NULL : check_output(test, output, len);

	if (result->outcome == SKIPPED) {
		skipped++;
		report("SKIPPED", test, result->message, false);
	} else if (result->outcome != EXITED || result->exit_code != json_integer_value(code)) {
		failed++;
		snprintf(why, sizeof why, "exit status %lld, expected %lld; %s",
		         (long long)result->exit_code, (long long)json_integer_value(code),
		         result->message);
		report("FAILED", test, result->outcome == EXITED ? why : result->message, true);
	} else if (wrong != NULL) {
		failed++;
		report("FAILED", test, wrong, true);
	} else {
		passed++;
	}
	free(output);
}

static void
run_one(const char *wasm, json_t *spec, bool from_manifest)
{
	char scratch[] = "/tmp/wasitest-XXXXXX";
	struct test test = { .wasm = wasm, .spec = spec, .from_manifest = from_manifest };
	struct result *result =
	    mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (result == MAP_FAILED || mkdtemp(scratch) == NULL)
		die("scratch folder");
	test.scratch = scratch;
	snprintf(result->message, sizeof result->message, "the runner crashed");
	fflush(stdout);
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		run_test(&test, result);
		_exit(0);
	}
	const int compile_seconds = tier.is_native ? 60 : 0;
	if (!wait_for(child, (from_manifest ? 60 : 10) + compile_seconds)) {
		result->outcome = BROKEN;
		snprintf(result->message, sizeof result->message, "time limit exceeded");
	}
	judge(&test, result);
	nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	munmap(result, sizeof *result);
}

/* --- finding tests ------------------------------------------------------------------------ */

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);
	size_t suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

static json_t *
load_json(const char *path)
{
	json_error_t error;
	json_t *json = json_load_file(path, JSON_ALLOW_NUL, &error);

	if (json == NULL) {
		fprintf(stderr, "wasitest: %s:%d: %s\n", path, error.line, error.text);
		exit(2);
	}
	return json;
}

static void
run_file(const char *wasm)
{
	json_t *spec = NULL;
	char *path;

	if (asprintf(&path, "%.*s.json", (int)(strlen(wasm) - strlen(".wasm")), wasm) < 0)
		die("out of memory");
	if (access(path, R_OK) == 0)
		spec = load_json(path);
	run_one(wasm, spec, false);
	json_decref(spec);
	free(path);
}

static void
run_manifest(const char *folder, const char *path)
{
	json_t *list = load_json(path);
	json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		const char *name = json_string_value(json_object_get(entry, "wasm"));
		char *wasm = path_join(folder, name == NULL ? "" : name);
		run_one(wasm, entry, true);
		free(wasm);
	}
	json_decref(list);
}

static void
run_path(const char *path)
{
	struct dirent **entries;
	struct stat st;

	if (stat(path, &st) != 0)
		die(path);
	if (!S_ISDIR(st.st_mode)) {
		if (has_suffix(path, ".wasm"))
			run_file(path);
		return;
	}
	char *manifest = path_join(path, "manifest.json");
	if (access(manifest, R_OK) == 0) {
		run_manifest(path, manifest);
		free(manifest);
		return;
	}
	free(manifest);
	int count = scandir(path, &entries, NULL, alphasort);
	if (count < 0)
		die(path);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			char *child = path_join(path, entries[i]->d_name);
			run_path(child);
			free(child);
		}
		free(entries[i]);
	}
	free(entries);
}

static void
usage(void)
{
	fputs("usage: wasitest " TIER_USAGE "\n"
	      "                [-v] [--tree host|walk|memory] PATH...\n", stderr);
	exit(2);
}

static enum tree_kind
parse_tree(const char *name)
{
	static const char *const names[] = {
		[TREE_HOST] = "host", [TREE_WALK] = "walk", [TREE_MEMORY] = "memory"
	};

	for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++) {
		if (strcmp(name, names[i]) == 0)
			return (enum tree_kind)i;
	}
	usage();
	return TREE_HOST;
}

int
main(int argc, char **argv)
{
	struct vm_error err;
	int i = 1;

	tier_init(&tier);
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-v") == 0)
			verbose = true;
		else if (strcmp(argv[i], "--tree") == 0)
			tree_kind = parse_tree(argv[++i]);
		else if (!tier_option(&tier, argc, argv, &i))
			usage();
	}
	if (i == argc)
		usage();
	if (!tier_is_available(&tier, &err)) {
		printf("no native code here: %s\n0 passed, 0 failed, 1 skipped\n", err.message);
		return 0;
	}
	for (; i < argc; i++)
		run_path(argv[i]);
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed == 0 ? 0 : 1;
}
