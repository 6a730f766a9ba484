/*
 * calc.c - a module of plain typed functions: no imports, no start, nothing but arithmetic.
 *
 * add(2, 40) is the first thing that anybody calls here. divide traps when b is 0, or when the
 * quotient does not fit.
 */
#include "guest.h"

#include <stdint.h>

EXPORT("add")
int32_t
add(int32_t a, int32_t b)
{
	return (int32_t)((uint32_t)a + (uint32_t)b);
}

EXPORT("sub")
int32_t
sub(int32_t a, int32_t b)
{
	return (int32_t)((uint32_t)a - (uint32_t)b);
}

EXPORT("mul")
int32_t
mul(int32_t a, int32_t b)
{
	return (int32_t)((uint32_t)a * (uint32_t)b);
}

/* The builtin's undefined cases would let the compiler drop the instruction, and its trap. */
EXPORT("div")
int32_t
divide(int32_t a, int32_t b)
{
	int32_t quotient;

	__asm__("local.get %1\n\tlocal.get %2\n\ti32.div_s\n\tlocal.set %0"
	        : "=r"(quotient)
	        : "r"(a), "r"(b));
	return quotient;
}

EXPORT("add64")
int64_t
add64(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

EXPORT("addf32")
float
addf32(float a, float b)
{
	return a + b;
}

EXPORT("addf64")
double
addf64(double a, double b)
{
	return a + b;
}

/* Deliberately the slow way: work that grows with n. */
EXPORT("fib")
uint64_t
fib(uint32_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

EXPORT("gcd")
uint64_t
gcd(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}
