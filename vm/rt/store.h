/*
 * store.h - a store from the inside.
 *
 * A store with its guest stack is kept by the engine's pool when it is freed, and handed out
 * again: everything that one tenant could leave for the next is cleared in store_clear.
 *
 * Owns:    the guest stack, all objects of the store (in blocks), attachments, the stop descriptor
 * Borrows: nothing; it holds the engine while in use
 * Threads: one at a time, but for run.stop and stop_fd
 */
#pragma once

#include "vm/rt/runtime.h"

/* One allocation that lives as long as the store; the object lies behind. */
struct store_block {
	_Alignas(16) struct store_block *next;
};

struct attachment {
	const void *key;
	void *data;
	void (*free_fn)(void *data);
};

struct vm_store {
	struct vm_run run; /* first */
	struct vm_engine *engine;
	struct vm_store_config config;
	uint64_t serial; /* differs for every vm_store_new, so that stale definitions are noticed */
	uint32_t stack_uses; /* since the stacks' memory was given back to the system */
	uint8_t *guest_stack; /* mapping of native code's stack, its guard first, or NULL */

	struct vm_instance *instances;
	uint32_t instance_count;
	struct vm_memory *memories;
	struct vm_table *tables;
	struct vm_global *globals; /* the embedder's */
	struct store_block *blocks;

	struct attachment *attachments;
	uint32_t attachment_count, attachment_room;

	uint64_t memory_bytes, memory_bytes_peak;
	uint64_t pages, pages_peak;
	uint64_t fuel_limit; /* given to the last vm_store_set_fuel; UINT64_MAX none */
	uint64_t fuel_spent; /* before that */

	atomic_int stop_fd;                           /* -1 none */
	uint64_t deadline_ns;                         /* 0 none; the owner thread's */
	struct vm_store *watch_next, *watch_previous; /* the watchdog's list, under its lock */
	bool is_watched;
	uint8_t absences; /* how often the watchdog saw no thread in native code, once stopped */

	struct vm_store *next_idle; /* in the pool */
	struct vm_error scratch;    /* where details go that nobody asked for */
};

/* Free an idle store for good. */
void store_destroy(struct vm_store *store);

/*
 * Memory for objects of the store, aligned to 16 bytes, not initialised, freed with the store.
 * NULL when there is none.
 */
void *store_alloc(struct vm_store *store, size_t size_bytes);

/*
 * Native code's stack: engine->stack_bytes above a guard of GUEST_GUARD_BYTES, mapped on first use
 * and kept with the store; for a run that is in no native code. Sets run->guest_sp to its upper
 * end, run->guest_stack_low, and run->extra to room for values beyond. False when there is no
 * memory for it.
 */
enum { GUEST_GUARD_BYTES = 64 << 10 };
bool store_guest_stack(struct vm_store *store);

/* Set run->stop, unless there is a reason already, and what tells host functions. */
void store_stop_request(struct vm_store *store, enum vm_trap reason);

/* Count pages of memories, up or down. */
void store_pages_add(struct vm_store *store, uint64_t pages);

/* True when a memory of the store could fault there: beyond its size, within its reservation. */
bool store_owns_fault(const struct vm_store *store, uintptr_t address);
