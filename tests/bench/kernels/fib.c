/* fib.c - Fibonacci numbers by double recursion: calls and returns. */
#include "kernel.h"

__attribute__((noinline)) static uint32_t
fib(uint32_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum = mix(sum, fib(18 + i % 3));
	return sum;
}
