/*
 * match.h - does what a linker found fit what a module imports?
 *
 * Spec: Core 3.0, section 3.5.5 (external types)
 */
#pragma once

#include "vm/rt/runtime.h"

/*
 * True when the object has a type that the import accepts. Sizes of tables and memories are those
 * of now.
 */
bool match_extern(const struct vm_module *module, const struct module_import *import,
                  const struct vm_extern *found);
/* The same for a host function. */
bool match_func(const struct vm_module *module, const struct module_import *import,
                const struct vm_type *found);

/*
 * Fail with VM_E_LINK, saying what was imported and what was found: one of an object, a function
 * type (found_func), or neither when nothing was found.
 */
enum vm_status match_failed(const struct vm_module *module, uint32_t import,
                            const struct vm_extern *found, const struct vm_type *found_func,
                            struct vm_error *err);
