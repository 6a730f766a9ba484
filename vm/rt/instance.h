/*
 * instance.h - making instances of programs.
 *
 * An instance is one allocation: the object, what the module defines, and the index spaces, at
 * offsets that the program worked out once (layout.h).
 *
 * Spec: Core 3.0, sections 4.7.2 to 4.7.4
 */
#pragma once

#include "vm/rt/program.h"
#include "vm/rt/store.h"

/* The tier that the store's policy means for a module. */
const struct vm_tier *instance_tier(const struct vm_module *module, const struct vm_store *store);

/*
 * Make an instance with a tier. The imports have been matched. An instance that was begun stays
 * in the store also when this fails.
 */
VM_MUST_CHECK enum vm_status instance_make(struct vm_program *program, struct vm_store *store,
                                           const struct vm_tier *tier,
                                           struct vm_instance **out_instance, struct vm_error *err);
/*
 * The end of an instance, whose memories and tables have been cleared unless they are kept. It is
 * freed, or reset and given to its program.
 */
void instance_end(struct vm_instance *instance);
