/* indirect.c - calls through a table of functions, picked by data. */
#include "kernel.h"

static uint32_t add(uint32_t a, uint32_t b) { return a + b; }
static uint32_t sub(uint32_t a, uint32_t b) { return a - b; }
static uint32_t mul(uint32_t a, uint32_t b) { return a * (b | 1); }
static uint32_t xor(uint32_t a, uint32_t b) { return a ^ b; }
static uint32_t shl(uint32_t a, uint32_t b) { return a << (b & 3) | 1; }
static uint32_t shr(uint32_t a, uint32_t b) { return (a >> (b & 3)) + b; }
static uint32_t min(uint32_t a, uint32_t b) { return a < b ? a + 1 : b; }
static uint32_t not(uint32_t a, uint32_t b) { return ~a + b; }

static uint32_t (*volatile table[8])(uint32_t, uint32_t) = { add, sub, mul, xor,
	                                                     shl, shr, min, not };

uint32_t
run(uint32_t n)
{
	uint32_t seed = 3, value = 1;

	for (uint32_t i = 0; i < n * 1000; i++) {
		uint32_t random = random_next(&seed);

		value = table[random & 7](value, random);
	}
	return value;
}
