/*
 * codespace.h - where machine code of modules lies: one range of addresses for the process.
 *
 * The signal handlers have to know whether a program counter is in such code, at any moment and
 * without locks. So all of it is mapped inside one reservation, made when the first is attached,
 * and the question is a comparison. What is not in use is not accessible.
 *
 * Owns:    the reservation, for ever
 * Threads: any; one lock
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Read by the handlers; both 0 before anything is attached. */
extern atomic_uintptr_t codespace_start, codespace_end;

static inline bool
codespace_contains(uintptr_t pc)
{
	return pc >= atomic_load_explicit(&codespace_start, memory_order_relaxed) &&
	       pc < atomic_load_explicit(&codespace_end, memory_order_relaxed);
}

/* False as long as there is no native code in the process. */
static inline bool
codespace_is_used(void)
{
	return atomic_load(&codespace_end) != 0;
}

/*
 * A range of whole pages, not accessible, to map over with MAP_FIXED. NULL, with errno set, when
 * there is no room or memory.
 */
uint8_t *codespace_take(size_t size_bytes);
/* Unmap what was mapped there and give the range back. */
void codespace_give(uint8_t *start, size_t size_bytes);
