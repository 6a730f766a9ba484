/* switch.c - a big switch on pseudo-random values: jump tables and short bodies. */
#include "kernel.h"

static uint32_t
step(uint32_t kind, uint32_t x)
{
	switch (kind) {
	case 0: return x + 0x1234567;
	case 1: return x ^ x >> 3;
	case 2: return x * 3;
	case 3: return x - 77;
	case 4: return ~x;
	case 5: return x << 1 | x >> 31;
	case 6: return x + (x >> 7);
	case 7: return x ^ 0x55aa55aa;
	case 8: return x % 1000003 + 5;
	case 9: return x / 3 + 9;
	case 10: return x * x;
	case 11: return x & 0x7fffffff;
	case 12: return x | 0x10001;
	case 13: return x - (x >> 9);
	case 14: return x >> 13 | x << 19;
	case 15: return x + x % 17;
	case 16: return x ^ x << 5;
	case 17: return x * 2654435761u;
	case 18: return x + 1;
	case 19: return x < 1000 ? x + 99991 : x - 1;
	case 20: return (x ^ 0xff) + 3;
	case 21: return x * 7 + 11;
	case 22: return x >> 1;
	case 23: return x + 0x80000001u;
	default: return x ^ kind;
	}
}

uint32_t
run(uint32_t n)
{
	uint32_t seed = 9, value = 1;

	for (uint32_t i = 0; i < n * 1000; i++)
		value = step(random_next(&seed) >> 4 & 31, value);
	return value;
}
