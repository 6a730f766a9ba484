/*
 * engine.h - the root object: configuration, types and pooled resources shared by everything.
 *
 * One engine a process is the normal case. An engine may be used by any number of threads.
 */
#pragma once

#include "vm/error.h"
#include "vm/limits.h"

enum vm_feature {
#define FEATURE(symbol, name, since) VM_FEATURE_##symbol,
#include "vm/feature.def"
#undef FEATURE
	VM_FEATURE_COUNT
};

/* A set of features: bit VM_FEATURE_x. */
typedef uint64_t vm_features;
#define VM_FEATURE_BIT(symbol) (UINT64_C(1) << VM_FEATURE_##symbol)

VM_EXPORT vm_features vm_features_of_version(int version); /* 10, 20 or 30; 0 for others */
VM_EXPORT const char *vm_feature_name(enum vm_feature feature); /* "bulk-memory" */
/* False when there is no feature of that name. */
VM_EXPORT bool vm_feature_find(struct vm_str name, enum vm_feature *out);

/*
 * Where the engine's own memory comes from (not guest memories, which are mapped). Functions
 * behave like the C library's; free_fn gets NULL never. They are called from any thread.
 */
struct vm_allocator {
	void *(*alloc_fn)(void *self, size_t size_bytes);
	void *(*realloc_fn)(void *self, void *old, size_t size_bytes);
	void (*free_fn)(void *self, void *old);
	void *self;
};

struct vm_engine_config {
	vm_features features;    /* what modules may use; default: WebAssembly 3.0 */
	struct vm_limits limits; /* default: limits.def */
	const struct vm_allocator *allocator; /* copied; NULL: malloc */
	uint32_t stack_bytes;    /* guest call stack of a store; default 4 MiB, 64 KiB..1 GiB */
	uint32_t memory_slots_kept; /* idle 32-bit memory reservations kept for reuse; default 64 */
	int stop_signal;         /* real-time, kept for native code's stops; 0: SIGRTMIN + 5 */
};

struct vm_engine;

/* Fill in the defaults. */
VM_EXPORT void vm_engine_config_init(struct vm_engine_config *config);

/*
 * config may be NULL for the defaults. The first engine of a process installs handlers for
 * SIGSEGV and SIGBUS; faults outside guest code go to the handlers that were there before. The
 * handlers stay, so the library must not be unloaded.
 *
 * Returns VM_E_ARGUMENT a configured value is out of range
 *         VM_E_NOMEM, VM_E_IO
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_engine_new(const struct vm_engine_config *config,
                                                     struct vm_engine **out_engine,
                                                     struct vm_error *err);

/* Modules, linkers and stores hold the engine by themselves, so the order of frees is free. */
VM_EXPORT struct vm_engine *vm_engine_ref(struct vm_engine *engine);
VM_EXPORT void vm_engine_unref(struct vm_engine *engine); /* NULL is fine */

/* Release version of the library: "0.1.0". */
VM_EXPORT const char *vm_version(void);
