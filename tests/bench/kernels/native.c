/*
 * native.c - runs a kernel natively: PROGRAM N prints the checksum of run(N) and its nanoseconds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernel.h"

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s N\n", argv[0]);
		return 2;
	}
	uint32_t n = (uint32_t)strtoul(argv[1], NULL, 10);
	uint64_t start = now_ns();
	uint32_t sum = run(n);
	uint64_t elapsed = now_ns() - start;
	printf("%" PRIu32 " %" PRIu64 "\n", sum, elapsed);
	return 0;
}
