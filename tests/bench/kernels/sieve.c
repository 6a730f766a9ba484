/* sieve.c - the sieve of Eratosthenes: byte stores in strides. */
#include "kernel.h"

#define LIMIT 65536u

static uint8_t composite[LIMIT];

static uint32_t
sieve_once(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < LIMIT; i++)
		composite[i] = 0;
	for (uint32_t i = 2; i < LIMIT; i++) {
		if (composite[i])
			continue;
		count++;
		for (uint32_t j = i + i; j < LIMIT; j += i)
			composite[j] = 1;
	}
	return count;
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum = mix(sum, sieve_once() + i);
	return sum;
}
