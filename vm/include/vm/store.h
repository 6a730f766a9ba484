/*
 * store.h - where instances live and run.
 *
 * A store belongs to one thread at a time. Its limits bound everything that its instances use;
 * a stop request, the deadline and the fuel apply to whatever runs in it. Making and freeing a
 * store is cheap: a fresh one for every request is the intended use.
 *
 * A store in which a call ended with VM_TRAP because of a limit (vm_trap_is_limit) or with
 * VM_EXIT must not be called again; free it.
 */
#pragma once

#include "vm/engine.h"

struct vm_store;

/* Which tier runs the instances of a store. */
enum vm_tier_policy {
	VM_TIER_BEST,   /* native where the module has native code of the store's variant */
	VM_TIER_INTERP,
	VM_TIER_NATIVE, /* instantiating a module without such code is VM_E_UNSUPPORTED */
};

struct vm_store_config {
	uint64_t memory_pages_max;   /* of each memory; default 65536; memory.grow answers -1 */
	uint64_t memory_bytes_max;   /* of all memories and tables together; default UINT64_MAX */
	uint64_t table_elements_max; /* elements of each table; default 10,000,000 */
	uint32_t instances_max;      /* default 10,000 */
	bool metered;                /* count instructions; implied by a fuel limit */
	enum vm_tier_policy tier;    /* default: best */
};

VM_EXPORT void vm_store_config_init(struct vm_store_config *config);

/* config may be NULL for the defaults. Returns VM_E_NOMEM, VM_E_ARGUMENT. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_store_new(struct vm_engine *engine,
                                                    const struct vm_store_config *config,
                                                    struct vm_store **out_store,
                                                    struct vm_error *err);

/* Free the store and all that lives in it: instances, memories, host references. NULL is fine. */
VM_EXPORT void vm_store_free(struct vm_store *store);

/*
 * Ask whatever runs in the store, or will, to end with the given trap (VM_TRAP_CANCELLED, a
 * limit). Any thread may call this while the store exists; the first reason stays. Guest code
 * ends within milliseconds, a blocking host function when it next looks.
 */
VM_EXPORT void vm_store_stop(struct vm_store *store, enum vm_trap reason);

/* The reason given to vm_store_stop, or VM_TRAP_NONE. For host functions in long loops. */
VM_EXPORT enum vm_trap vm_store_stopped(const struct vm_store *store);

/*
 * A descriptor that becomes readable when the store is stopped, for host functions that block:
 * add it to the poll set. It belongs to the store. Returns -1 when none can be made.
 */
VM_EXPORT int vm_store_stop_fd(struct vm_store *store);

/*
 * Stop the store with VM_TRAP_DEADLINE at the given time of CLOCK_MONOTONIC in nanoseconds, 0
 * for never. Replaces the earlier deadline. Owner thread only. Returns VM_E_NOMEM, VM_E_IO
 * when the watchdog thread cannot be started.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_store_set_deadline(struct vm_store *store,
                                                             uint64_t monotonic_ns,
                                                             struct vm_error *err);

/*
 * Metered stores: how many units of fuel may still be used (UINT64_MAX: no limit), and how many
 * were. Each instruction costs one, host functions what they take. Running out is
 * VM_TRAP_FUEL. A basic block is charged whole when it is entered.
 */
VM_EXPORT void vm_store_set_fuel(struct vm_store *store, uint64_t fuel);
VM_EXPORT uint64_t vm_store_fuel(const struct vm_store *store);
VM_EXPORT uint64_t vm_store_fuel_used(const struct vm_store *store);
/* For host functions: charge units; VM_TRAP when there are not enough. No effect unmetered. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_store_charge(struct vm_store *store, uint64_t units,
                                                       struct vm_error *err);

/*
 * Charge host memory kept on behalf of the guest against memory_bytes_max, and give it back.
 * Returns false, changing nothing, when it would exceed the limit.
 */
VM_EXPORT bool vm_store_memory_take(struct vm_store *store, uint64_t size_bytes);
VM_EXPORT void vm_store_memory_give(struct vm_store *store, uint64_t size_bytes);

struct vm_store_usage {
	uint64_t memory_bytes;      /* memories, tables and host memory now */
	uint64_t memory_bytes_peak;
	uint64_t memory_pages_peak; /* largest sum of pages of all memories */
	uint64_t host_calls;
};

VM_EXPORT void vm_store_usage(const struct vm_store *store, struct vm_store_usage *out);

/*
 * Attach data of a host module to the store. key is an address unique to that module. free_fn
 * (may be NULL) is called when the store is freed, in reverse order of attaching, before the
 * memories go. Returns VM_E_NOMEM, VM_E_ARGUMENT when the key is taken.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_store_attach(struct vm_store *store, const void *key,
                                                       void *data, void (*free_fn)(void *data),
                                                       struct vm_error *err);
VM_EXPORT void *vm_store_attachment(const struct vm_store *store, const void *key);

VM_EXPORT struct vm_engine *vm_store_engine(const struct vm_store *store);
