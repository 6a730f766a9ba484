/*
 * recurse.c - a program that calls itself until the call stack is used up: recurse.wasm [DEPTH]
 *
 * With a depth that fits it prints the sum of the numbers up to there.
 */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static unsigned long
sum_to(unsigned long n)
{
	unsigned long sum = n == 0 ? 0 : sum_to(n - 1);

	__asm__("" : "+r"(sum)); /* keeps the call from becoming a jump */
	return sum + n;
}

int
main(int argc, char **argv)
{
	unsigned long depth = argc > 1 ? strtoul(argv[1], NULL, 10) : (unsigned long)-1;

	printf("%lu\n", sum_to(depth));
	return 0;
}
