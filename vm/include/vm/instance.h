/*
 * instance.h - instances and what they export.
 *
 * All objects here live in a store, belong to it, and may only be used by the thread that
 * owns the store.
 */
#pragma once

#include "vm/module.h"
#include "vm/store.h"
#include "vm/value.h"

struct vm_instance;
struct vm_func;
struct vm_table;
struct vm_memory;
struct vm_global;
struct vm_tag;

struct vm_extern {
	enum vm_extern_kind kind;
	union {
		struct vm_func *func;
		struct vm_table *table;
		struct vm_memory *memory;
		struct vm_global *global;
		struct vm_tag *tag;
	} of;
};

/* Returns VM_E_NOT_FOUND, naming the export. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_instance_export(struct vm_instance *instance,
                                                          struct vm_str name,
                                                          struct vm_extern *out,
                                                          struct vm_error *err);
/* By index of the module's export, below its count. */
VM_EXPORT void vm_instance_export_at(struct vm_instance *instance, uint32_t index,
                                     struct vm_extern *out);
VM_EXPORT struct vm_module *vm_instance_module(const struct vm_instance *instance);
VM_EXPORT struct vm_store *vm_instance_store(const struct vm_instance *instance);
/* What runs it: "interp" or "native". */
VM_EXPORT const char *vm_instance_tier(const struct vm_instance *instance);

/* The type, as a view that lives as long as the object. */
VM_EXPORT void vm_extern_type(const struct vm_extern *ext, struct vm_externtype *out);

/* A memory by its index in the module, imported ones counted; NULL when there is none. */
VM_EXPORT struct vm_memory *vm_instance_memory(const struct vm_instance *instance, uint32_t index);

/* --- functions ---------------------------------------------------------------------------- */

VM_EXPORT struct vm_functype vm_func_type(const struct vm_func *func);

/*
 * Call a function. Counts and types of args are checked against its type; results has to have
 * room for all results, whose count has to be result_count.
 * The calling thread needs 256 KiB of free stack, or the call ends as an exhausted call stack.
 *
 * Guests compute in the default floating-point environment. Whether the thread has another, which
 * is then put aside and comes back, is looked at when it first calls into a store, or calls after
 * another thread has: to look takes as long as half a call. A thread that changes its
 * rounding or flushing later makes a store for the guests that it calls then.
 *
 * Returns VM_E_ARGUMENT wrong count or type, saying which
 *         VM_TRAP       the guest trapped or was stopped: err->trap, message, frames
 *         VM_EXIT       a host function ended the program: err->exit_code
 *         VM_EXCEPTION  an exception was not caught
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_func_call(struct vm_func *func,
                                                    const struct vm_value *args, size_t arg_count,
                                                    struct vm_value *results, size_t result_count,
                                                    struct vm_error *err);

/*
 * The same without checks: slots holds the arguments, and the results afterwards, and has room
 * for the larger of the two (a v128 takes two slots).
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_func_call_slots(struct vm_func *func,
                                                          union vm_slot *slots,
                                                          struct vm_error *err);

/* --- memories ----------------------------------------------------------------------------- */

VM_EXPORT void vm_memory_type(const struct vm_memory *memory, struct vm_memorytype *out);
/* First byte; never moves while the store lives. */
VM_EXPORT uint8_t *vm_memory_data(const struct vm_memory *memory);
/* Bytes that may be accessed now; only grows. */
VM_EXPORT uint64_t vm_memory_size(const struct vm_memory *memory);
/* Pages before, or -1 when a limit or the system refuses. */
VM_EXPORT int64_t vm_memory_grow(struct vm_memory *memory, uint64_t delta_pages);

/*
 * The len bytes at a guest address, or NULL when they are not all inside. Zero bytes at the very
 * end are inside. The only way in which host functions should reach guest memory.
 */
static inline void *
vm_memory_range(const struct vm_memory *memory, uint64_t address, uint64_t len)
{
	uint64_t size = vm_memory_size(memory);

	if (address > size || len > size - address)
		return NULL;
	return vm_memory_data(memory) + address;
}

/* --- tables ------------------------------------------------------------------------------- */

VM_EXPORT void vm_table_type(const struct vm_table *table, struct vm_tabletype *out);
VM_EXPORT uint64_t vm_table_size(const struct vm_table *table);
/* Returns VM_E_ARGUMENT for an index out of bounds or a value of the wrong type. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_table_get(const struct vm_table *table, uint64_t index,
                                                    struct vm_value *out, struct vm_error *err);
VM_EXPORT VM_MUST_CHECK enum vm_status vm_table_set(struct vm_table *table, uint64_t index,
                                                    const struct vm_value *value,
                                                    struct vm_error *err);
/* Elements before, or -1 when a limit refuses; value has to be of the element type. */
VM_EXPORT int64_t vm_table_grow(struct vm_table *table, uint64_t delta,
                                const struct vm_value *value);

/* --- globals ------------------------------------------------------------------------------ */

VM_EXPORT void vm_global_type(const struct vm_global *global, struct vm_globaltype *out);
VM_EXPORT void vm_global_get(const struct vm_global *global, struct vm_value *out);
/* Returns VM_E_ARGUMENT for an immutable global or a value of the wrong type. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_global_set(struct vm_global *global,
                                                     const struct vm_value *value,
                                                     struct vm_error *err);

/* --- objects of the embedder -------------------------------------------------------------- */

VM_EXPORT VM_MUST_CHECK enum vm_status vm_memory_new(struct vm_store *store,
                                                     const struct vm_memorytype *type,
                                                     struct vm_memory **out, struct vm_error *err);
VM_EXPORT VM_MUST_CHECK enum vm_status vm_table_new(struct vm_store *store,
                                                    const struct vm_tabletype *type,
                                                    const struct vm_value *init,
                                                    struct vm_table **out, struct vm_error *err);
VM_EXPORT VM_MUST_CHECK enum vm_status vm_global_new(struct vm_store *store,
                                                     const struct vm_globaltype *type,
                                                     const struct vm_value *init,
                                                     struct vm_global **out, struct vm_error *err);
