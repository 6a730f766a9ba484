/*
 * engine.h - the engine object.
 *
 * Owns:    the type registry, the pools of the runtime
 * Threads: counted atomically; every part has its own lock
 */
#pragma once

#include <stdatomic.h>
#include "vm/engine.h"

struct type_registry;
struct rt_pool;

struct vm_engine {
	atomic_uint refs;
	vm_features features;
	struct vm_limits limits;
	struct vm_allocator alloc;
	uint32_t stack_bytes;
	uint32_t memory_slots_kept;
	int stop_signal;
	struct type_registry *types; /* core/type.c */
	struct rt_pool *pool;        /* rt/pool.c: reservations, stacks, the watchdog */
};

/* All of the engine's own memory. Sizes of arrays are multiplied with a check. NULL: none left. */
void *engine_alloc(const struct vm_engine *engine, size_t size_bytes);
void *engine_alloc_zeroed(const struct vm_engine *engine, size_t count, size_t size_bytes);
void *engine_realloc_array(const struct vm_engine *engine, void *old, size_t count,
                           size_t size_bytes);
void engine_free(const struct vm_engine *engine, void *old); /* NULL is fine */
