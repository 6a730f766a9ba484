/*
 * kernel.h - what a benchmark kernel is.
 *
 * Each file of this folder defines run(): n rounds of some work, all state made anew, and a
 * checksum that depends on all of it. Time is proportional to n. The same file is compiled
 * natively (with native.c) and to WebAssembly, where it has no library and no imports; the
 * checksums have to be equal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined __wasm__
__attribute__((export_name("run")))
#endif
uint32_t
run(uint32_t n);

/* xorshift32; *state must not be 0. */
static inline uint32_t
random_next(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

static inline uint32_t
mix(uint32_t sum, uint32_t value)
{
	return (sum << 5 | sum >> 27) ^ value;
}

/* The bits of a double, folded. */
static inline uint32_t
fold(double number)
{
	uint64_t bits;

	__builtin_memcpy(&bits, &number, sizeof bits);
	return (uint32_t)(bits ^ bits >> 32);
}
