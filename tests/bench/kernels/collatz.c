/* collatz.c - lengths of Collatz sequences: 64-bit integers, unpredictable branches. */
#include "kernel.h"

static uint32_t
sequence_length(uint64_t value)
{
	uint32_t length = 1;

	while (value != 1) {
		value = value % 2 == 0 ? value / 2 : 3 * value + 1;
		length++;
	}
	return length;
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		for (uint64_t start = 1; start < 100; start++)
			sum = mix(sum, sequence_length(start + i % 1000 * 100));
	return sum;
}
