/*
 * sandbox.c - what an operation costs in a process of its own: the same one there and here.
 *
 *     WASMEDGE_PLUGIN_PATH=$PWD/tests/plugins/sandbox/.libs \
 *     WASMEDGED_PLUGINS_HELPER=$PWD/wasmedged-plugin tests/bench/sandbox [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/config.h"
#include "daemon/plugins.h"
#include "tests/bench/bench.h"

#define MIB ((size_t)1 << 20)

struct bench {
	struct plugins *plugins;
	struct vm_plugin_request request;
	bool is_here;
};

static void
fail(const char *why)
{
	fprintf(stderr, "sandbox: %s\n", why);
	exit(EXIT_FAILURE);
}

static void
ask(const struct bench *bench)
{
	const struct sandbox_ask ask = { .plugin = "trial", .operation = "echo",
		                         .request = &bench->request, .stop_fd = -1 };
	struct vm_plugin_reply reply;
	enum sandbox_end end;
	struct vm_error err;
	enum vm_status status;

	if (bench->is_here)
		status = vm_plugins_operate_here(plugins_set(bench->plugins), "trial", "echo",
		                                 &bench->request, &reply, &err);
	else
		status = sandbox_operate(plugins_sandbox(bench->plugins), &ask, &reply, &end, &err);
	if (status != VM_OK)
		fail(err.message);
	vm_plugins_reply_clear(&reply);
}

static void
measure(struct bench *bench, const char *what, unsigned rounds, unsigned repeats)
{
	uint64_t *times = calloc(rounds, sizeof *times);

	if (times == NULL)
		fail("no memory");
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t began = bench_now_ns();
		for (unsigned k = 0; k < repeats; k++)
			ask(bench);
		times[i] = (bench_now_ns() - began) / repeats;
	}
	bench_sort(times, rounds);
	printf("%-20s %-8s %9.2f us at least, median %9.2f\n", what,
	       bench->is_here ? "here" : "process", (double)times[0] / 1e3,
	       (double)bench_quantile(times, rounds, 0.5) / 1e3);
	free(times);
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 101;
	const char *const sets[] = { "plugins.processes=1", "log.level=error", NULL };
	const struct config_sources sources = { NULL, (const char *const *)environ, sets };
	struct bench bench = { .request = { .json = VM_STR("{}") } };
	struct config_error config_err;
	struct config *config;
	struct vm_error err;
	struct vm_str buffer = { calloc(1, MIB), MIB };

	if (buffer.data == NULL || rounds == 0)
		fail("no memory");
	if (!config_load(&sources, &config, &config_err))
		fail(config_err.message);
	if (plugins_new(config, &bench.plugins, &err) != VM_OK)
		fail(err.message);
	uint64_t began = bench_now_ns();
	ask(&bench);
	printf("the first one, with its process: %.2f ms\n",
	       (double)(bench_now_ns() - began) / 1e6);
	for (int large = 0; large < 2; large++) {
		bench.request.buffers = &buffer;
		bench.request.buffer_count = (uint32_t)large;
		for (int here = 0; here < 2; here++) {
			bench.is_here = here == 1;
			measure(&bench, large ? "1 MiB there and back" : "an empty request", rounds,
			        large ? 20 : 200);
		}
	}
	plugins_free(bench.plugins);
	config_unref(config);
	free((char *)(uintptr_t)buffer.data);
	return EXIT_SUCCESS;
}
