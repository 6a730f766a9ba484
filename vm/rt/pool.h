/*
 * pool.h - what an engine keeps for reuse: memory reservations, idle stores, ended instances.
 *
 * Making a mapping, a stack or a page table entry costs more than a request should; so they are
 * made once and handed from tenant to tenant. Whoever gives something back has cleaned it before:
 * nothing in the pool holds a tenant's data.
 *
 * A thread that makes and frees one store at a time gets the same one again, from its lane,
 * without a lock; so it does with a program's kept instances (see keep.h), which wait with their
 * program. The pool only counts those, and frees those of programs that are not used when others
 * need the room.
 *
 * Owns:    idle slots and stores, the list of programs with kept instances; all bounded
 * Threads: any; one lock, never held over a system call
 */
#pragma once

#include <pthread.h>
#include "vm/core/engine.h"
#include "vm/rt/watchdog.h"

struct vm_store;
struct vm_program;

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

enum { POOL_STORES_MAX = 64, POOL_INSTANCES_MAX = 64, POOL_LANES = 16 };

/* One idle store, apart from its neighbours in the processors' caches. */
struct pool_lane {
	_Alignas(64) _Atomic(struct vm_store *) store;
};

struct rt_pool {
	pthread_mutex_t lock;
	struct vm_store *idle_stores;
	uint32_t idle_store_count;
	struct memory_slot *slots; /* room for engine->memory_slots_kept */
	uint32_t slot_count;
	struct vm_program *kept_first, *kept_last; /* programs, in the order to look at them */
	uint32_t kept_instances;                   /* of all of them */
	uint32_t kept_slots;                       /* that those have, besides slots */
	struct watchdog watchdog;
	atomic_ullong next_serial;
	struct pool_lane lanes[POOL_LANES];
};

VM_MUST_CHECK enum vm_status pool_new(struct vm_engine *engine, struct vm_error *err);
/* Frees everything idle; engine->pool may be NULL. */
void pool_free(struct vm_engine *engine);

/* A number of the calling thread: threads that follow one another have different ones. */
unsigned int pool_lane(void);

/* An idle store or NULL. */
struct vm_store *pool_take_store(struct vm_engine *engine);
/* False when the pool is full: the store stays the caller's. */
bool pool_give_store(struct vm_engine *engine, struct vm_store *store);
/* The next of POOL_SERIALS numbers for stores. 0 is none of them. */
uint64_t pool_take_serials(struct vm_engine *engine);
enum { POOL_SERIALS = 1024 };

/* An idle slot, by preference with that many bytes committed; false when there is none. */
bool pool_take_slot(struct vm_engine *engine, uint64_t committed_bytes, struct memory_slot *out);
/* False when the pool is full: the slot stays the caller's. */
bool pool_give_slot(struct vm_engine *engine, struct memory_slot slot);

/*
 * Count one more kept instance, with so many slots, of a program; others that wait may be freed
 * for it. False when there is no room.
 */
bool pool_keep_reserve(struct vm_engine *engine, struct vm_program *program, uint32_t slots);
/* Count one less. */
void pool_keep_release(struct vm_engine *engine, struct vm_program *program, uint32_t slots);
/* Before a program that nobody uses is freed: free its kept instances. */
void pool_forget_program(struct vm_engine *engine, struct vm_program *program);
