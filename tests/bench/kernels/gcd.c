/* gcd.c - greatest common divisors: 32-bit and 64-bit remainders. */
#include "kernel.h"

static uint32_t
gcd32(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static uint64_t
gcd64(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint32_t
run(uint32_t n)
{
	uint32_t seed = 1, sum = 0;

	for (uint32_t i = 0; i < n * 16; i++) {
		uint32_t a = random_next(&seed), b = random_next(&seed);

		sum = mix(sum, gcd32(a, b));
		sum = mix(sum, (uint32_t)gcd64((uint64_t)a << 20 | b, (uint64_t)b << 16 | a));
	}
	return sum;
}
