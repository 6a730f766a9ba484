/*
 * translate.c - how fast modules are read: translate MODULE...
 *
 * Prints, for each module, the best of several rounds of decoding with validation and of
 * translating every function for the interpreter, in megabytes of the code section's bodies a
 * second.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bench.h"
#include "vm/core/module.h"
#include "vm/interp/code.h"

#define ROUNDS 5

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
code_bytes(const struct vm_module *module)
{
	uint64_t bytes = 0;

	for (uint32_t i = module->func_import_count; i < module->func_count; i++)
		bytes += module->funcs[i].body_size;
	return bytes;
}

static void
translate_all(struct vm_module *module)
{
	struct vm_error err;
	void *code;

	bench_check(vm_tier_interp.module_code(module, false, &code, &err), &err, "module");
	for (uint32_t i = module->func_import_count; i < module->func_count; i++)
		bench_check(interp_translate(vm_tier_interp.func_code(code, i), &err), &err,
		            "function");
}

static void
measure(struct vm_engine *engine, const char *path)
{
	uint64_t load_ns = UINT64_MAX, translate_ns = UINT64_MAX, bytes = 0;
	struct vm_error err;
	size_t len;
	uint8_t *file = bench_read(path, &len);

	for (int i = 0; i < ROUNDS; i++) {
		struct vm_module *module;
		uint64_t start = bench_now_ns();

		bench_check(vm_module_load(engine, file, len, &module, &err), &err, path);
		uint64_t middle = bench_now_ns();

		translate_all(module);
		translate_ns = least(translate_ns, bench_now_ns() - middle);
		load_ns = least(load_ns, middle - start);
		bytes = code_bytes(module);
		vm_module_unref(module);
	}
	free(file);
	printf("%s: %.2f MB of code, loaded at %.1f MB/s, translated at %.1f MB/s\n", path,
	       (double)bytes / 1e6, (double)bytes * 1e3 / (double)load_ns,
	       (double)bytes * 1e3 / (double)translate_ns);
}

int
main(int argc, char **argv)
{
	struct vm_engine *engine;
	struct vm_error err;

	if (argc < 2) {
		fprintf(stderr, "usage: %s MODULE...\n", argv[0]);
		return 2;
	}
	bench_check(vm_engine_new(NULL, &engine, &err), &err, "engine");
	for (int i = 1; i < argc; i++)
		measure(engine, argv[i]);
	vm_engine_unref(engine);
	return 0;
}
