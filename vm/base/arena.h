/*
 * arena.h - memory that is freed all at once.
 *
 * Owns:    its blocks
 * Threads: one at a time
 */
#pragma once

#include <stddef.h>
#include "vm/engine.h"

struct arena;

/* alloc is copied. NULL when out of memory. */
struct arena *arena_new(const struct vm_allocator *alloc);
void arena_free(struct arena *arena); /* NULL is fine */

/* size_bytes of memory aligned for any type, not initialised; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
/* count elements of size_bytes, zeroed; NULL when out of memory or when the product overflows. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size_bytes);
/* Forget all that was allocated, keeping one block for what comes next. */
void arena_reset(struct arena *arena);
/* Bytes taken from the allocator. */
size_t arena_bytes(const struct arena *arena);
