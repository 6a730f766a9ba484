/*
 * link.h - from the compiler's objects to an artifact.
 *
 * All references between sections and objects are resolved relative to one another, so that an
 * artifact needs no relocation when it is loaded. What cannot be resolved like that is refused:
 * absolute addresses, symbols of other libraries, writable data.
 */
#pragma once

#include "vm/native/artifact.h"
#include "vm/native/compiler.h"

/*
 * info says what the artifact is for. Symbols "f<index>" have to be defined for every function
 * that the module defines. Returns VM_E_MALFORMED for objects that are not as they should be,
 * VM_E_LIMIT for more than an artifact may hold, VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status native_link(const struct vm_module *module,
                                         const struct native_objects *objects,
                                         const struct vm_artifact_info *info,
                                         struct vm_bytes *out, struct vm_error *err);
