#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t
bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void
bench_sort(uint64_t *samples, size_t count)
{
	qsort(samples, count, sizeof *samples, compare);
}

uint64_t
bench_quantile(const uint64_t *sorted, size_t count, double q)
{
	size_t index = (size_t)(q * (double)count);

	return sorted[index < count ? index : count - 1];
}

void
bench_check(enum vm_status status, const struct vm_error *err, const char *what)
{
	if (status == VM_OK)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, vm_status_text(status), err->message);
	exit(EXIT_FAILURE);
}

uint8_t *
bench_read(const char *path, size_t *out_len)
{
	FILE *file = fopen(path, "rb");
	size_t capacity = 1 << 16;
	size_t len = 0;
	uint8_t *bytes = malloc(capacity);

	while (file != NULL && bytes != NULL) {
		len += fread(bytes + len, 1, capacity - len, file);
		if (len < capacity)
			break;
		capacity *= 2;
		bytes = realloc(bytes, capacity);
	}
	if (file == NULL || bytes == NULL || ferror(file)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	fclose(file);
	*out_len = len;
	return bytes;
}

struct vm_module *
bench_load(struct vm_engine *engine, const char *path)
{
	struct vm_module *module;
	struct vm_error err;
	size_t len;
	uint8_t *bytes = bench_read(path, &len);

	bench_check(vm_module_load(engine, bytes, len, &module, &err), &err, path);
	free(bytes);
	return module;
}
