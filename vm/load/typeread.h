/*
 * typeread.h - value types and their parts in the binary.
 *
 * Spec: Core 3.0, section 5.3
 */
#pragma once

#include "vm/core/module.h"
#include "vm/load/input.h"

/*
 * Which types an index can name: the module's so far, and, inside a recursive group, group_count
 * more, which come out as TYPE_IN_GROUP + their place in the group.
 */
struct type_scope {
	const struct vm_module *module;
	uint32_t group_count;
};

/* A heap type as in vm_valtype. */
VM_MUST_CHECK enum vm_status type_read_heap(struct input *in, const struct type_scope *scope,
                                            uint32_t *out);
/* Returns VM_E_MALFORMED for what is no reference type. */
VM_MUST_CHECK enum vm_status type_read_ref(struct input *in, const struct type_scope *scope,
                                           vm_valtype *out);
VM_MUST_CHECK enum vm_status type_read_value(struct input *in, const struct type_scope *scope,
                                             vm_valtype *out);

/* The heap type of a type index (of any kind): VM_E_INVALID when there is no such type. */
VM_MUST_CHECK enum vm_status type_read_index(struct input *in, const struct type_scope *scope,
                                             uint32_t *out_heap);

/*
 * The text of a type in terms of the module: "(ref null 3)" with 3 an index of its type section.
 * Returns buf, which should have VM_VALTYPE_TEXT_MAX bytes.
 */
const char *type_text(const struct vm_module *module, vm_valtype type, char *buf, size_t size);
