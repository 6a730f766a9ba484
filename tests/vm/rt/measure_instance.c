/*
 * measure_instance.c - what a fresh store, an instance of a module with one page of memory, a call
 * and the end of the store cost, and where the time goes. Run by hand: ./measure_instance [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "vm/vm.h"

/*
 * (module (memory (export "memory") 1 2)
 *   (data (i32.const 16) "hello")
 *   (func (export "add") (param i32 i32) (result i32)
 *     local.get 0  local.get 1  i32.add))
 */
static uint8_t add_wasm[] = {
	0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x07, 0x01, 0x60, 0x02, 0x7f,
	0x7f, 0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x05, 0x04, 0x01, 0x01, 0x01, 0x02, 0x07,
	0x10, 0x02, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x03, 0x61, 0x64,
	0x64, 0x00, 0x00, 0x0a, 0x09, 0x01, 0x07, 0x00, 0x20, 0x00, 0x20, 0x01, 0x6a, 0x0b,
	0x0b, 0x0b, 0x01, 0x00, 0x41, 0x10, 0x0b, 0x05, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
};
enum { MEMORY_MIN_AT = 25, MEMORY_MAX_AT = 26 };

static void
must(enum vm_status st, const struct vm_error *err)
{
	if (st == VM_OK)
		return;
	(void)fprintf(stderr, "measure_instance: %s\n", err->message);
	exit(1);
}

static double
now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void
call_add(struct vm_instance *instance)
{
	const struct vm_value args[] = { { .type = VM_I32, .of.i32 = 2 },
		                         { .type = VM_I32, .of.i32 = 40 } };
	struct vm_value result;
	struct vm_extern add;
	struct vm_error err;

	must(vm_instance_export(instance, VM_STR("add"), &add, &err), &err);
	must(vm_func_call(add.of.func, args, 2, &result, 1, &err), &err);
	if (result.of.i32 != 42)
		exit(1);
}

/* Best of some runs: the machine's other work does not count. */
static double
measure(struct vm_engine *engine, struct vm_program *program, bool with_instance, bool with_call,
        long rounds)
{
	double best = 1e9;
	struct vm_error err;

	for (int run = 0; run < 7; run++) {
		double start = now_us();
		for (long i = 0; i < rounds; i++) {
			struct vm_instance *instance;
			struct vm_store *store;

			must(vm_store_new(engine, NULL, &store, &err), &err);
			if (with_instance)
				must(vm_program_instantiate(program, store, &instance, &err), &err);
			if (with_instance && with_call)
				call_add(instance);
			vm_store_free(store);
		}
		double each = (now_us() - start) / (double)rounds;
		if (each < best)
			best = each;
	}
	return best;
}

static double
measure_calls(struct vm_engine *engine, struct vm_program *program, long rounds)
{
	struct vm_instance *instance;
	struct vm_store *store;
	struct vm_error err;
	double best = 1e9;

	must(vm_store_new(engine, NULL, &store, &err), &err);
	must(vm_program_instantiate(program, store, &instance, &err), &err);
	for (int run = 0; run < 7; run++) {
		double start = now_us();
		for (long i = 0; i < rounds; i++)
			call_add(instance);
		double each = (now_us() - start) / (double)rounds;
		if (each < best)
			best = each;
	}
	vm_store_free(store);
	return best;
}

int
main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 20000;
	struct vm_engine *engine;
	struct vm_linker *linker;
	struct vm_error err;

	must(vm_engine_new(NULL, &engine, &err), &err);
	must(vm_linker_new(engine, &linker, &err), &err);
	printf("%6s %10s %10s %10s %10s   (microseconds)\n", "pages", "store", "+instance", "+add",
	       "add alone");
	for (uint8_t pages = 1; pages <= 32; pages = (uint8_t)(pages * 2)) {
		struct vm_module *module;
		struct vm_program *program;

		add_wasm[MEMORY_MIN_AT] = pages;
		add_wasm[MEMORY_MAX_AT] = 64;
		must(vm_module_load(engine, add_wasm, sizeof(add_wasm), &module, &err), &err);
		must(vm_program_new(linker, module, &program, &err), &err);
		printf("%6d %10.3f %10.3f %10.3f %10.3f\n", pages,
		       measure(engine, program, false, false, rounds),
		       measure(engine, program, true, false, rounds),
		       measure(engine, program, true, true, rounds),
		       measure_calls(engine, program, rounds));
		vm_program_unref(program);
		vm_module_unref(module);
	}
	vm_linker_free(linker);
	vm_engine_unref(engine);
	return 0;
}
