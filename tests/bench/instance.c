/*
 * instance.c - what a fresh instance costs in-process: instance CALC.WASM
 *
 * One sample is a store, an instance, add(2, 40) and the end of both, next to what wiping 64 KiB
 * costs, measured in turns with it. Prints medians and 99th percentiles in nanoseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

#define SAMPLES 2000
#define BATCH 50 /* of one sample, so that the clock's own cost does not count */

static void
instance_once(struct vm_engine *engine, struct vm_program *program, uint32_t add_index)
{
	struct vm_store *store;
	struct vm_instance *instance;
	struct vm_extern add;
	struct vm_error err;
	union vm_slot slots[2];

	bench_check(vm_store_new(engine, NULL, &store, &err), &err, "store");
	bench_check(vm_program_instantiate(program, store, &instance, &err), &err, "instance");
	vm_instance_export_at(instance, add_index, &add);
	slots[0].i32 = 2;
	slots[1].i32 = 40;
	bench_check(vm_func_call_slots(add.of.func, slots, &err), &err, "add");
	if (slots[0].i32 != 42) {
		fprintf(stderr, "add(2, 40) is %d here\n", (int)slots[0].i32);
		exit(EXIT_FAILURE);
	}
	vm_store_free(store);
}

static void
print(const char *what, uint64_t *samples)
{
	bench_sort(samples, SAMPLES);
	printf("%-28s median %6llu ns, p99 %6llu ns\n", what,
	       (unsigned long long)bench_quantile(samples, SAMPLES, 0.5) / BATCH,
	       (unsigned long long)bench_quantile(samples, SAMPLES, 0.99) / BATCH);
}

int
main(int argc, char **argv)
{
	static uint64_t instances[SAMPLES], wipes[SAMPLES];
	static uint8_t block[65536];
	struct vm_engine *engine;
	struct vm_linker *linker;
	struct vm_program *program;
	struct vm_error err;
	uint32_t add_index;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CALC.WASM\n", argv[0]);
		return 2;
	}
	bench_check(vm_engine_new(NULL, &engine, &err), &err, "engine");
	struct vm_module *module = bench_load(engine, argv[1]);
	bench_check(vm_linker_new(engine, &linker, &err), &err, "linker");
	bench_check(vm_program_new(linker, module, &program, &err), &err, "program");
	if (!vm_module_find_export(module, VM_STR("add"), &add_index)) {
		fprintf(stderr, "%s exports no add\n", argv[1]);
		return 1;
	}
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t start = bench_now_ns();
		for (int j = 0; j < BATCH; j++)
			instance_once(engine, program, add_index);
		uint64_t middle = bench_now_ns();
		for (int j = 0; j < BATCH; j++) {
			memset(block, j, sizeof block);
			__asm__ volatile("" : : "r"(block) : "memory");
		}
		instances[i] = middle - start;
		wipes[i] = bench_now_ns() - middle;
	}
	print("instance + add + destroy", instances);
	print("memset of 64 KiB", wipes);
	vm_program_unref(program);
	vm_linker_free(linker);
	vm_module_unref(module);
	vm_engine_unref(engine);
	return 0;
}
