/*
 * call.c - what a warm call of a guest function costs: call CALC.WASM
 *
 * Calls add(2, 40) of one instance again and again, interpreted and as native code (where there is
 * a compiler), through vm_func_call_slots and through vm_func_call, which checks its arguments.
 * Prints nanoseconds a call.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bench.h"
#include "tests/support/tier.h"

enum { SAMPLES = 200, BATCH = 20000 };

static void
call_slots(struct vm_func *add)
{
	union vm_slot slots[2];
	struct vm_error err;

	slots[0].i32 = 2;
	slots[1].i32 = 40;
	bench_check(vm_func_call_slots(add, slots, &err), &err, "add");
}

static void
call_checked(struct vm_func *add)
{
	struct vm_value args[2];
	struct vm_value result;
	struct vm_error err;

	args[0].type = args[1].type = VM_I32;
	args[0].of.i32 = 2;
	args[1].of.i32 = 40;
	bench_check(vm_func_call(add, args, 2, &result, 1, &err), &err, "add");
}

static void
measure(const char *tier, const char *what, struct vm_func *add, void (*call)(struct vm_func *add))
{
	static uint64_t samples[SAMPLES];

	for (int i = 0; i < SAMPLES; i++) {
		const uint64_t start = bench_now_ns();

		for (int j = 0; j < BATCH; j++)
			call(add);
		samples[i] = bench_now_ns() - start;
	}
	bench_sort(samples, SAMPLES);
	printf("%s, %-20s least %6.2f ns, median %6.2f ns\n", tier, what,
	       (double)samples[0] / BATCH,
	       (double)bench_quantile(samples, SAMPLES, 0.5) / BATCH);
}

static void
measure_tier(struct vm_engine *engine, const struct tier *tier, const char *path)
{
	struct vm_module *module = bench_load(engine, path);
	char text[TIER_TEXT_MAX];
	struct vm_store *store;
	struct vm_linker *linker;
	struct vm_instance *instance;
	struct vm_extern add;
	struct vm_error err;

	bench_check(tier_prepare(tier, module, &err), &err, path);
	bench_check(tier_store_new(tier, engine, &store, &err), &err, "store");
	bench_check(vm_linker_new(engine, &linker, &err), &err, "linker");
	bench_check(vm_linker_instantiate(linker, store, module, &instance, &err), &err, path);
	bench_check(vm_instance_export(instance, VM_STR("add"), &add, &err), &err, "add");
	tier_text(tier, text, sizeof text);
	measure(text, "vm_func_call_slots", add.of.func, call_slots);
	measure(text, "vm_func_call", add.of.func, call_checked);
	vm_linker_free(linker);
	vm_store_free(store);
	vm_module_unref(module);
}

int
main(int argc, char **argv)
{
	struct tier tier;
	struct vm_engine *engine;
	struct vm_error err;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CALC.WASM\n", argv[0]);
		return 2;
	}
	bench_check(vm_engine_new(NULL, &engine, &err), &err, "engine");
	tier_init(&tier);
	measure_tier(engine, &tier, argv[1]);
	tier.is_native = true;
	if (tier_is_available(&tier, &err))
		measure_tier(engine, &tier, argv[1]);
	else
		printf("no native code here: %s\n", err.message);
	vm_engine_unref(engine);
	return 0;
}
