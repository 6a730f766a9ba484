/*
 * table.h - tables: arrays of references, on the engine's heap.
 *
 * Spec: Core 3.0, section 4.2.7
 */
#pragma once

#include "vm/rt/store.h"

/*
 * Allocate a table of the type in *table, all elements init; it joins the store.
 * Returns VM_E_LIMIT, VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status table_make(struct vm_table *table, struct vm_store *store,
                                        const struct vm_tabletype *type, void *init,
                                        struct vm_error *err);
/* Free what it has; the table stays in the store's list, which goes away. */
void table_clear(struct vm_engine *engine, struct vm_table *table);

/* For tables that are kept with their instance, as for memories: see rt/memory.h. */
bool table_fits(const struct vm_table *table, const struct vm_store *store);
void table_join(struct vm_table *table, struct vm_store *store);
