/*
 * layout.h - where the parts of an instance lie in its allocation.
 *
 * An instance is one allocation: the object, what the module defines, the index spaces, and
 * function objects. Native code has these offsets built in, so they follow from the module alone;
 * only what comes last depends on how its imports are satisfied.
 */
#pragma once

#include "vm/core/module.h"

/* Offsets in bytes. */
struct instance_layout {
	size_t own_memories, own_tables, own_globals, own_tags;
	size_t memories, tables, globals, tags; /* index spaces: arrays of pointers */
	size_t imported_funcs;
	size_t data_sizes, elems;
	size_t funcs;      /* objects of functions with a slot; what is before begins as zeros */
	size_t host_funcs; /* objects of imported host functions */
	size_t size_bytes;
};

/* host_count: imports that are host functions. Offsets do not depend on it, the size does. */
void instance_layout_make(struct instance_layout *out, const struct vm_module *module,
                          uint32_t host_count);
