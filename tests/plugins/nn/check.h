/*
 * check.h - for the guests of these tests: comparisons that are told when they fail, and files.
 */
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

static int failures;
static int checks;

/* Both are compared as 64-bit numbers. */
#define IS(got, want) check(__LINE__, #got, (int64_t)(got), (int64_t)(want))

static inline void
check(int line, const char *what, int64_t got, int64_t want)
{
	checks++;
	if (got == want)
		return;
	failures++;
	printf("line %d: %s is %lld, expected %lld\n", line, what, (long long)got, (long long)want);
}

static inline int
verdict(void)
{
	printf("%d checks, %d failures\n", checks, failures);
	return failures == 0 ? 0 : 1;
}

struct bytes {
	uint8_t *data;
	uint32_t len;
};

/* A file of the folder /m. */
static inline struct bytes
file(const char *name)
{
	char path[64];
	struct bytes bytes = { malloc(1 << 20), 0 };

	snprintf(path, sizeof path, "/m/%s", name);
	FILE *stream = fopen(path, "rb");
	if (stream == NULL || bytes.data == NULL) {
		printf("cannot open %s\n", path);
		exit(99);
	}
	bytes.len = (uint32_t)fread(bytes.data, 1, 1 << 20, stream);
	fclose(stream);
	return bytes;
}

/* Are so many floats equal to 1e-5? */
static inline int
is_near(const void *got, const void *want, int count)
{
	const float *a = got;
	const float *b = want;

	for (int i = 0; i < count; i++) {
		if (!(fabsf(a[i] - b[i]) <= 1e-5f))
			return 0;
	}
	return 1;
}

/* An address where 4 bytes are partly outside of the memory, and one where all are. */
#define EDGE ((void *)(uintptr_t)(__builtin_wasm_memory_size(0) * 65536 - 2))
#define FAR ((void *)(uintptr_t)0xfffffff0u)
