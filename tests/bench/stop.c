/*
 * stop.c - how late a guest that never ends is stopped: stop LOOP.WASM
 *
 * "spin" is a bare loop, "fill" one long bulk operation after another. A sample is the time from
 * the deadline, or from another thread's request, to the return of the call. Interpreted, and as
 * native code where there is a compiler.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/bench.h"

#define SAMPLES 200
#define RUN_NS UINT64_C(5000000)

struct request {
	struct vm_store *store;
	uint64_t at_ns;
};

/* Sleep until the time, then ask the store to stop. */
static void *
request_stop(void *arg)
{
	struct request *request = arg;
	struct timespec at = { .tv_sec = (time_t)(request->at_ns / 1000000000u),
		               .tv_nsec = (long)(request->at_ns % 1000000000u) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	request->at_ns = bench_now_ns();
	vm_store_stop(request->store, VM_TRAP_CANCELLED);
	return NULL;
}

/* Nanoseconds from the moment at which the guest should have ended to when it did. */
static uint64_t
sample(struct vm_engine *engine, struct vm_program *program, enum vm_tier_policy tier,
       struct vm_str name, bool by_deadline)
{
	struct vm_store_config config;
	struct vm_store *store;
	struct vm_instance *instance;
	struct vm_extern func;
	struct vm_error err;
	pthread_t thread;

	vm_store_config_init(&config);
	config.tier = tier;
	bench_check(vm_store_new(engine, &config, &store, &err), &err, "store");
	bench_check(vm_program_instantiate(program, store, &instance, &err), &err, "instance");
	bench_check(vm_instance_export(instance, name, &func, &err), &err, "export");
	struct request request = { store, bench_now_ns() + RUN_NS };
	if (by_deadline)
		bench_check(vm_store_set_deadline(store, request.at_ns, &err), &err, "deadline");
	else if (pthread_create(&thread, NULL, request_stop, &request) != 0)
		exit(EXIT_FAILURE);
	enum vm_status status = vm_func_call(func.of.func, NULL, 0, NULL, 0, &err);
	uint64_t end = bench_now_ns();
	if (status != VM_TRAP || !vm_trap_is_limit(err.trap)) {
		fprintf(stderr, "the guest ended otherwise: %s\n", vm_status_text(status));
		exit(EXIT_FAILURE);
	}
	if (!by_deadline)
		pthread_join(thread, NULL);
	vm_store_free(store);
	return end > request.at_ns ? end - request.at_ns : 0;
}

static void
measure(struct vm_engine *engine, struct vm_program *program, enum vm_tier_policy tier,
        const char *what, struct vm_str name, bool by_deadline)
{
	static uint64_t samples[SAMPLES];

	for (int i = 0; i < SAMPLES; i++)
		samples[i] = sample(engine, program, tier, name, by_deadline);
	bench_sort(samples, SAMPLES);
	printf("%-22s p50 %7.1f us, p99 %7.1f us, most %7.1f us\n", what,
	       (double)bench_quantile(samples, SAMPLES, 0.5) / 1e3,
	       (double)bench_quantile(samples, SAMPLES, 0.99) / 1e3,
	       (double)samples[SAMPLES - 1] / 1e3);
}

static void
measure_tier(struct vm_engine *engine, struct vm_program *program, enum vm_tier_policy tier)
{
	printf("%s\n", tier == VM_TIER_NATIVE ? "native code" : "interpreter");
	measure(engine, program, tier, "deadline, spin", VM_STR("spin"), true);
	measure(engine, program, tier, "deadline, fill", VM_STR("fill"), true);
	measure(engine, program, tier, "cancel, spin", VM_STR("spin"), false);
	measure(engine, program, tier, "cancel, fill", VM_STR("fill"), false);
}

/* Give the module native code; false, saying why, when that cannot be done here. */
static bool
compile(struct vm_module *module)
{
	static const uint8_t key[VM_MAC_KEY_BYTES] = { 1 };
	uint8_t mac[VM_MAC_BYTES];
	struct vm_bytes artifact;
	struct vm_error err;

	if (vm_compile(module, NULL, &artifact, &err) != VM_OK) {
		printf("no native code here: %s\n", err.message);
		return false;
	}
	vm_artifact_mac(key, artifact.data, artifact.size_bytes, mac);
	bench_check(
	    vm_module_attach(module, artifact.data, artifact.size_bytes, mac, key, &err), &err,
	    "attach");
	vm_bytes_free(&artifact);
	return true;
}

int
main(int argc, char **argv)
{
	struct vm_engine *engine;
	struct vm_linker *linker;
	struct vm_program *program;
	struct vm_error err;

	if (argc != 2) {
		fprintf(stderr, "usage: %s LOOP.WASM\n", argv[0]);
		return 2;
	}
	bench_check(vm_engine_new(NULL, &engine, &err), &err, "engine");
	struct vm_module *module = bench_load(engine, argv[1]);
	bench_check(vm_linker_new(engine, &linker, &err), &err, "linker");
	bench_check(vm_wasi_define(linker, &err), &err, "WASI");
	bench_check(vm_program_new(linker, module, &program, &err), &err, "program");
	measure_tier(engine, program, VM_TIER_INTERP);
	if (compile(module))
		measure_tier(engine, program, VM_TIER_NATIVE);
	vm_program_unref(program);
	vm_linker_free(linker);
	vm_module_unref(module);
	vm_engine_unref(engine);
	return 0;
}
