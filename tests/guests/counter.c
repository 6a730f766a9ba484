/*
 * counter.c - state that must not outlive its instance: a global, and bytes of memory.
 */
#include "guest.h"

#include <stdint.h>

static uint32_t count;
static unsigned char notes[1 << 16];

/* 1 in a fresh instance. */
EXPORT("next")
uint32_t
next(void)
{
	return ++count;
}

/* Fill the notes; returns how many of them were not zero before. */
EXPORT("write")
uint32_t
write_notes(uint32_t byte)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < sizeof notes; i++) {
		found += notes[i] != 0;
		notes[i] = (unsigned char)byte;
	}
	return found;
}

EXPORT("grow")
int32_t
grow(uint32_t pages)
{
	return (int32_t)__builtin_wasm_memory_grow(0, pages);
}
