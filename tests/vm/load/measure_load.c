/*
 * measure_load.c - how quickly modules load (decode and validate): measure_load FILE...
 *
 * For each file the best of several rounds, in MB/s of the whole file and of its code section.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "vm/vm.h"

enum { ROUNDS = 7, SECTION_CODE = 10 };

static double
seconds_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t
code_bytes(const struct vm_module *module)
{
	for (uint32_t i = 0; i < vm_module_section_count(module); i++) {
		struct vm_section section;

		vm_module_section(module, i, &section);
		if (section.id == SECTION_CODE)
			return section.size_bytes;
	}
	return 0;
}

static bool
measure(struct vm_engine *engine, const char *path, const uint8_t *bytes, size_t len)
{
	struct vm_error err;
	double best = 1e9;
	uint64_t code = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct vm_module *module;
		const double begin = seconds_now();

		if (vm_module_load(engine, bytes, len, &module, &err) != VM_OK) {
			fprintf(stderr, "%s: %s\n", path, err.message);
			return false;
		}
		const double took = seconds_now() - begin;
		best = took < best ? took : best;
		code = code_bytes(module);
		vm_module_unref(module);
	}
	printf("%s: %.2f ms, %.0f MB/s; code alone at least %.0f MB/s\n", path, best * 1e3,
	       (double)len / best / 1e6, (double)code / best / 1e6);
	return true;
}

static bool
measure_file(struct vm_engine *engine, const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	bool ok = false;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
		perror(path);
		return false;
	}
	const long len = ftell(file);
	rewind(file);
	if (len > 0)
		bytes = malloc((size_t)len);
	if (bytes != NULL && fread(bytes, 1, (size_t)len, file) == (size_t)len)
		ok = measure(engine, path, bytes, (size_t)len);
	free(bytes);
	fclose(file);
	return ok;
}

int
main(int argc, char **argv)
{
	struct vm_engine *engine;
	struct vm_error err;
	bool ok = true;

	if (vm_engine_new(NULL, &engine, &err) != VM_OK) {
		fprintf(stderr, "measure_load: %s\n", err.message);
		return EXIT_FAILURE;
	}
	for (int i = 1; i < argc; i++)
		ok = measure_file(engine, argv[i]) && ok;
	vm_engine_unref(engine);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
