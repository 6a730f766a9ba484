/*
 * compile_main.c - wasmedged-compile: compiles one module for the daemon, and ends.
 *
 * A process of its own, because an optimiser may run out of memory, out of time, or into a fault;
 * see compile_wire.h for what it is given and what it says.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "daemon/compile_wire.h"
#include "daemon/confine.h"
#include "vm/vm.h"

#define MODULE_BYTES_MAX ((size_t)1 << 30)
#define READ_BYTES ((size_t)1 << 20)
#define PROGRESS_NS 100000000 /* between two words about it */
#define NS_PER_S INT64_C(1000000000)

struct options {
	struct vm_compile_options compile;
	struct confine_limits limits;
};

static int
fail(int status, const char *what)
{
	dprintf(COMPILE_SAY_FD, "error %s\n", what);
	return status;
}

/* --- command line ------------------------------------------------------------------------- */

static bool
parse_number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	uint64_t number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
		return false;
	*out = number;
	return true;
}

static bool
parse_level(const char *text, enum vm_compile_level *out)
{
	bool is_best = strcmp(text, "best") == 0;

	if (!is_best && strcmp(text, "fast") != 0)
		return false;
	*out = is_best ? VM_COMPILE_BEST : VM_COMPILE_FAST;
	return true;
}

static bool
parse_options(int argc, char **argv, struct options *out)
{
	static const struct option names[] = {
		{ "level", required_argument, NULL, 'l' },
		{ "metered", no_argument, NULL, 'm' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "memory", required_argument, NULL, 'a' },
		{ "time", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t jobs = 0, time_ms = 0;
	bool ok = true;
	int option;

	vm_compile_options_init(&out->compile);
	while (ok && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 'l':
			ok = parse_level(optarg, &out->compile.level);
			break;
		case 'm':
			out->compile.metered = true;
			break;
		case 'j':
			ok = parse_number(optarg, &jobs) && jobs <= 1024;
			break;
		case 'a':
			ok = parse_number(optarg, &out->limits.memory_bytes);
			break;
		case 't':
			ok = parse_number(optarg, &time_ms) && time_ms < UINT64_MAX / 4096;
			break;
		default:
			ok = false;
		}
	}
	if (!ok || optind != argc || out->limits.memory_bytes == 0 || time_ms == 0)
		return false;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t threads = jobs > 0 ? jobs : processors > 0 ? (uint64_t)processors : 1;
	out->compile.jobs = (uint32_t)jobs;
	out->limits.file_bytes = out->limits.memory_bytes;
	out->limits.descriptors_kept = COMPILE_SAY_FD + 1;
	out->limits.is_background = true;
	out->limits.cpu_s = (time_ms / 1000 + 1) * threads;
	return true;
}

/* --- in and out --------------------------------------------------------------------------- */

/* All of descriptor 0. NULL: it cannot be read, is too large, or there is no memory. */
static uint8_t *
read_module(size_t *out_len)
{
	uint8_t *bytes = NULL;
	size_t len = 0;
	size_t capacity = 0;

	for (;;) {
		if (len == capacity) {
			capacity = capacity == 0 ? READ_BYTES : 2 * capacity;
			uint8_t *more = len >= MODULE_BYTES_MAX ? NULL : realloc(bytes, capacity);
			if (more == NULL)
				break;
			bytes = more;
		}
		ssize_t got = read(COMPILE_IN_FD, bytes + len, capacity - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		if (got == 0) {
			*out_len = len;
			return bytes;
		}
		len += (size_t)got;
	}
	free(bytes);
	return NULL;
}

static bool
write_artifact(const struct vm_bytes *artifact)
{
	size_t written = 0;

	while (written < artifact->size_bytes) {
		ssize_t put = write(COMPILE_OUT_FD, artifact->data + written,
		                    artifact->size_bytes - written);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		written += (size_t)put;
	}
	return true;
}

/* --- compiling ---------------------------------------------------------------------------- */

/* Not more often than anybody reads. The daemon's end ends us, too: it is a broken pipe. */
static bool
say_progress(void *env, uint64_t done_bytes, uint64_t total_bytes)
{
	int64_t *said_ns = env;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t now_ns = now.tv_sec * NS_PER_S + now.tv_nsec;
	if (now_ns - *said_ns < PROGRESS_NS && done_bytes != total_bytes)
		return true;
	*said_ns = now_ns;
	return dprintf(COMPILE_SAY_FD, "progress %llu %llu\n", (unsigned long long)done_bytes,
	               (unsigned long long)total_bytes) > 0;
}

/* Whether the empty module compiles; where not even that does, there is no compiler. */
static bool
has_compiler(struct vm_engine *engine)
{
	static const uint8_t empty[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
	struct vm_compile_options options;
	struct vm_module *module = NULL;
	struct vm_bytes artifact = { 0 };

	vm_compile_options_init(&options);
	options.jobs = 1;
	if (vm_module_load(engine, empty, sizeof empty, &module, NULL) != VM_OK)
		return true;
	enum vm_status status = vm_compile(module, &options, &artifact, NULL);
	vm_bytes_free(&artifact);
	vm_module_unref(module);
	return status != VM_E_UNSUPPORTED;
}

static int
compile(struct vm_engine *engine, const struct vm_compile_options *options, const uint8_t *bytes,
        size_t len)
{
	struct vm_module *module = NULL;
	struct vm_bytes artifact = { 0 };
	struct vm_error err;

	enum vm_status status = vm_module_load(engine, bytes, len, &module, &err);
	if (status == VM_OK)
		status = vm_compile(module, options, &artifact, &err);
	vm_module_unref(module);
	if (status == VM_E_UNSUPPORTED && !has_compiler(engine))
		return fail(COMPILE_EXIT_ABSENT, err.message);
	if (status != VM_OK)
		return fail(COMPILE_EXIT_FAILED, err.message);
	bool ok = write_artifact(&artifact);
	vm_bytes_free(&artifact);
	return ok ? COMPILE_EXIT_OK : fail(COMPILE_EXIT_FAILED, strerror(errno));
}

int
main(int argc, char **argv)
{
	struct options options = { 0 };
	struct vm_engine_config config;
	struct vm_engine *engine = NULL;
	struct vm_error err;
	int64_t said_ns = 0;
	size_t len = 0;

	opterr = 0;
	if (!parse_options(argc, argv, &options))
		return fail(COMPILE_EXIT_USAGE, "this program is started by wasmedged(8)");
	confine_resources(&options.limits);
	(void)confine_calls(); /* where there is none, the other bounds hold */
	options.compile.progress_fn = say_progress;
	options.compile.progress_env = &said_ns;
	uint8_t *bytes = read_module(&len);
	if (bytes == NULL)
		return fail(COMPILE_EXIT_FAILED, "the module cannot be read");
	vm_engine_config_init(&config);
	config.limits.module_bytes_max = MODULE_BYTES_MAX;
	int status = vm_engine_new(&config, &engine, &err) == VM_OK
	                 ? compile(engine, &options.compile, bytes, len)
	                 : fail(COMPILE_EXIT_FAILED, err.message);
	vm_engine_unref(engine);
	free(bytes);
	return status;
}
