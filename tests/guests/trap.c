/*
 * trap.c - a function for each way in which a guest can trap by itself.
 *
 * None is inlined or optimised away, so that backtraces have the frames that the source has.
 * "outer" traps three calls deep.
 */
#include "guest.h"

#include <stddef.h>
#include <stdint.h>

#define KEEP __attribute__((noinline))

static volatile int32_t zero;

EXPORT("divide_by_zero")
int32_t
divide_by_zero(int32_t n)
{
	int32_t quotient;

	__asm__ volatile("local.get %1\n\tlocal.get %2\n\ti32.div_s\n\tlocal.set %0"
	                 : "=r"(quotient)
	                 : "r"(n), "r"(zero));
	return quotient;
}

EXPORT("unreachable")
void
unreachable_now(void)
{
	__builtin_trap();
}

/* Reads the byte at an address: traps where there is none. */
EXPORT("peek")
int32_t
peek(uint32_t address)
{
	return *(volatile uint8_t *)(uintptr_t)address;
}

EXPORT("poke")
void
poke(uint32_t address, int32_t byte)
{
	*(volatile uint8_t *)(uintptr_t)address = (uint8_t)byte;
}

EXPORT("to_int")
int32_t
to_int(double d)
{
	int32_t result;

	__asm__ volatile("local.get %1\n\ti32.trunc_f64_s\n\tlocal.set %0" : "=r"(result) : "r"(d));
	return result;
}

/* Uses up the call stack long before it ends. */
EXPORT("recurse")
KEEP uint32_t
recurse(uint32_t n)
{
	uint32_t sum = n == UINT32_MAX ? 0 : recurse(n + 1);

	__asm__("" : "+r"(sum)); /* keeps the call from becoming a jump */
	return sum + n;
}

KEEP static int32_t
indirect_target(int32_t n)
{
	return n + zero;
}

static int32_t (*volatile targets[2])(int32_t) = { indirect_target, NULL };

/* which: 0 works, 1 calls a null pointer (traps), 2 through a pointer of another type (traps). */
EXPORT("indirect")
int32_t
indirect(uint32_t which)
{
	if (which == 2) {
		void (*untyped)(void) = (void (*)(void))targets[0];
		int64_t (*volatile wrong)(int64_t) = (int64_t (*)(int64_t))untyped;

		return (int32_t)wrong(1);
	}
	return targets[which & 1](41);
}

KEEP static int32_t
inner(int32_t n)
{
	return divide_by_zero(n) + 1;
}

KEEP static int32_t
middle(int32_t n)
{
	return inner(n) + 1;
}

EXPORT("outer")
int32_t
outer(int32_t n)
{
	return middle(n) + 1;
}
