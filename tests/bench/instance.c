/*
 * instance.c - what a fresh instance costs in-process: instance CALC.WASM
 *
 * One sample is a store, an instance, add(2, 40) and the end of both, next to what wiping 64 KiB
 * costs, measured in turns with it: once for the module given, whose add leaves the memory alone,
 * and once for one with a page of memory that add writes to, which therefore is wiped. Prints
 * medians and 99th percentiles in nanoseconds, and how the medians compare.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

#define SAMPLES 2000
#define BATCH 50 /* of one sample, so that the clock's own cost does not count */

/*
 * (module (memory 1)
 *   (func (export "add") (param i32 i32) (result i32)
 *     (i32.store (i32.const 16) (local.get 0))
 *     (i32.add (i32.load (i32.const 16)) (local.get 1))))
 */
static const uint8_t writes_wasm[] = {
	0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f,
	0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x07, 0x01, 0x03,
	0x61, 0x64, 0x64, 0x00, 0x00, 0x0a, 0x13, 0x01, 0x11, 0x00, 0x41, 0x10, 0x20, 0x00, 0x36,
	0x02, 0x00, 0x41, 0x10, 0x28, 0x02, 0x00, 0x20, 0x01, 0x6a, 0x0b,
};

struct subject {
	struct vm_module *module;
	struct vm_program *program;
	uint32_t add_index;
	uint64_t samples[SAMPLES];
};

static void
instance_once(struct vm_engine *engine, const struct subject *subject)
{
	struct vm_store *store;
	struct vm_instance *instance;
	struct vm_extern add;
	struct vm_error err;
	union vm_slot slots[2];

	bench_check(vm_store_new(engine, NULL, &store, &err), &err, "store");
	bench_check(vm_program_instantiate(subject->program, store, &instance, &err), &err,
	            "instance");
	vm_instance_export_at(instance, subject->add_index, &add);
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
subject_init(struct subject *subject, struct vm_linker *linker, struct vm_module *module)
{
	struct vm_error err;

	subject->module = module;
	bench_check(vm_program_new(linker, module, &subject->program, &err), &err, "program");
	if (!vm_module_find_export(module, VM_STR("add"), &subject->add_index)) {
		fprintf(stderr, "the module exports no add\n");
		exit(EXIT_FAILURE);
	}
}

static void
subject_clear(struct subject *subject)
{
	vm_program_unref(subject->program);
	vm_module_unref(subject->module);
}

static void
sample_instances(struct vm_engine *engine, struct subject *subject, int sample)
{
	uint64_t start = bench_now_ns();

	for (int i = 0; i < BATCH; i++)
		instance_once(engine, subject);
	subject->samples[sample] = bench_now_ns() - start;
}

static uint64_t
sample_wipes(void)
{
	static uint8_t block[65536];
	uint64_t start = bench_now_ns();

	for (int i = 0; i < BATCH; i++) {
		memset(block, i, sizeof block);
		__asm__ volatile("" : : "r"(block) : "memory");
	}
	return bench_now_ns() - start;
}

/* Sort and print, with the median's ratio to another one; returns the median. */
static uint64_t
print(const char *what, uint64_t *samples, uint64_t other)
{
	bench_sort(samples, SAMPLES);
	uint64_t median = bench_quantile(samples, SAMPLES, 0.5);
	printf("%-42s median %6llu ns, p99 %6llu ns, ratio %5.2f\n", what,
	       (unsigned long long)median / BATCH,
	       (unsigned long long)bench_quantile(samples, SAMPLES, 0.99) / BATCH,
	       (double)median / (double)(other != 0 ? other : median));
	return median;
}

int
main(int argc, char **argv)
{
	static struct subject given, writes;
	static uint64_t wipes[SAMPLES];
	struct vm_engine *engine;
	struct vm_linker *linker;
	struct vm_module *module;
	struct vm_error err;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CALC.WASM\n", argv[0]);
		return 2;
	}
	bench_check(vm_engine_new(NULL, &engine, &err), &err, "engine");
	bench_check(vm_linker_new(engine, &linker, &err), &err, "linker");
	subject_init(&given, linker, bench_load(engine, argv[1]));
	bench_check(vm_module_load(engine, writes_wasm, sizeof writes_wasm, &module, &err), &err,
	            "module");
	subject_init(&writes, linker, module);
	for (int i = 0; i < SAMPLES; i++) {
		sample_instances(engine, &given, i);
		wipes[i] = sample_wipes();
		sample_instances(engine, &writes, i);
	}
	uint64_t wipe = print("memset of 64 KiB", wipes, 0);
	(void)print("instance + add + destroy", given.samples, wipe);
	(void)print("instance + writing one page + destroy", writes.samples, wipe);
	subject_clear(&given);
	subject_clear(&writes);
	vm_linker_free(linker);
	vm_engine_unref(engine);
	return 0;
}
