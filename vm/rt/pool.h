/*
 * pool.h - what an engine keeps for reuse: memory reservations and idle stores.
 *
 * Making a mapping, a stack or a page table entry costs more than a request should; so they are
 * made once and handed from tenant to tenant. Whoever gives something back has cleaned it before:
 * nothing in the pool holds a tenant's data.
 *
 * Owns:    idle slots and stores; how many is bounded
 * Threads: any; one lock, never held over a system call
 */
#pragma once

#include <pthread.h>
#include "vm/core/engine.h"
#include "vm/rt/watchdog.h"

struct vm_store;

/*
 * A reservation of MEMORY_SLOT_BYTES and the guard behind, all zero. The first committed_bytes
 * are readable and writable, the rest is not accessible.
 */
struct memory_slot {
	uint8_t *base;
	uint64_t committed_bytes;
};

/* Every address that a 32-bit index and a 32-bit offset make, and 16 bytes behind, is inside. */
#define MEMORY_SLOT_BYTES (UINT64_C(8) << 30)
#define MEMORY_GUARD_BYTES (UINT64_C(64) << 10)

enum { POOL_STORES_MAX = 64 };

struct rt_pool {
	pthread_mutex_t lock;
	struct vm_store *idle_stores;
	uint32_t idle_store_count;
	uint64_t next_serial;
	struct memory_slot *slots; /* room for engine->memory_slots_kept */
	uint32_t slot_count;
	struct watchdog watchdog;
};

VM_MUST_CHECK enum vm_status pool_new(struct vm_engine *engine, struct vm_error *err);
/* Frees everything idle; engine->pool may be NULL. */
void pool_free(struct vm_engine *engine);

/* An idle store or NULL, and the number of the next store either way. */
struct vm_store *pool_take_store(struct vm_engine *engine, uint64_t *out_serial);
/* False when the pool is full: the store stays the caller's. */
bool pool_give_store(struct vm_engine *engine, struct vm_store *store);

/* An idle slot, by preference with that many bytes committed; false when there is none. */
bool pool_take_slot(struct vm_engine *engine, uint64_t committed_bytes, struct memory_slot *out);
/* False when the pool is full: the slot stays the caller's. */
bool pool_give_slot(struct vm_engine *engine, struct memory_slot slot);
