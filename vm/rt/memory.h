/*
 * memory.h - linear memories.
 *
 * A memory is the start of a reservation from the engine's pool. Its size in bytes is what is
 * readable and writable; the rest faults. 64-bit memories are checked in software against size,
 * and get a reservation of their own when they need more than a slot.
 *
 * Spec: Core 3.0, sections 4.2.8, 4.7.3 (allocation)
 */
#pragma once

#include "vm/rt/store.h"

/*
 * Allocate a memory of the type in *memory, which joins the store.
 *
 * Returns VM_E_LIMIT more than the store allows
 *         VM_E_NOMEM the system refuses the reservation
 */
VM_MUST_CHECK enum vm_status memory_make(struct vm_memory *memory, struct vm_store *store,
                                         const struct vm_memorytype *type, struct vm_error *err);
/* True when memories of the type are dropped at their end, and do not keep their pages. */
bool memory_is_dropped(const struct vm_memorytype *type);

struct memory_image;

/*
 * Map the initial contents. False when the system refuses; then the memory has lost its pages,
 * and its instance must not be used.
 */
bool memory_map_image(struct vm_memory *memory, const struct memory_image *image);

/* Give the reservation back, wiped; the memory stays in the store's list, which goes away. */
void memory_clear(struct vm_engine *engine, struct vm_memory *memory);

/*
 * Wipe a memory that keeps its reservation, and take away what lies beyond its initial size; an
 * image has its contents again. False when the system refuses.
 */
VM_MUST_CHECK bool memory_reset(struct vm_memory *memory);
/* Whether the store's limits allow a memory that was reset, and call for no other reservation. */
bool memory_fits(const struct vm_memory *memory, const struct vm_store *store);
/* Hand a memory to a store: into its list, its count of pages and its limit. Nothing is charged. */
void memory_join(struct vm_memory *memory, struct vm_store *store);

/* Copy bytes of the host into a memory, as the bulk operations do. */
enum vm_trap memory_write(struct vm_run *run, struct vm_memory *memory, uint64_t address,
                          const uint8_t *bytes, uint64_t len);
