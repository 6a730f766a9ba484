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
