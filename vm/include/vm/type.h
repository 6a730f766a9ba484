/*
 * type.h - WebAssembly types as the embedder sees them.
 *
 * A value type is one integer, so that equal types compare equal:
 *
 *     bits 0..7    the binary format's code: 0x7f i32 ... 0x7b v128, 0x63 ref null, 0x64 ref
 *     bits 8..31   references only, the heap type: an abstract one as its binary code
 *                  (0x70 func, 0x6f extern, ...), else VM_HEAP_CONCRETE plus the number of a
 *                  defined type, which is canonical in its engine (equal types, equal numbers)
 *
 * Spec: Core 3.0, sections 2.3 and 5.3
 */
#pragma once

#include <stdbool.h>
#include "vm/common.h"

typedef uint32_t vm_valtype;

enum {
	VM_I32 = 0x7f,
	VM_I64 = 0x7e,
	VM_F32 = 0x7d,
	VM_F64 = 0x7c,
	VM_V128 = 0x7b,
	VM_CODE_REF_NULL = 0x63,
	VM_CODE_REF = 0x64,
};

enum vm_heap {
	VM_HEAP_NOEXN = 0x74,
	VM_HEAP_NOFUNC = 0x73,
	VM_HEAP_NOEXTERN = 0x72,
	VM_HEAP_NONE = 0x71,
	VM_HEAP_FUNC = 0x70,
	VM_HEAP_EXTERN = 0x6f,
	VM_HEAP_ANY = 0x6e,
	VM_HEAP_EQ = 0x6d,
	VM_HEAP_I31 = 0x6c,
	VM_HEAP_STRUCT = 0x6b,
	VM_HEAP_ARRAY = 0x6a,
	VM_HEAP_EXN = 0x69,
	VM_HEAP_CONCRETE = 0x100, /* heap types from here on are VM_HEAP_CONCRETE + type number */
};

#define VM_REF_NULL(heap) ((vm_valtype)(VM_CODE_REF_NULL | (uint32_t)(heap) << 8))
#define VM_REF(heap) ((vm_valtype)(VM_CODE_REF | (uint32_t)(heap) << 8))
#define VM_FUNCREF VM_REF_NULL(VM_HEAP_FUNC)
#define VM_EXTERNREF VM_REF_NULL(VM_HEAP_EXTERN)

static inline bool
vm_valtype_is_ref(vm_valtype type)
{
	return (type & 0xff) == VM_CODE_REF_NULL || (type & 0xff) == VM_CODE_REF;
}

static inline bool
vm_valtype_is_nullable(vm_valtype type)
{
	return (type & 0xff) == VM_CODE_REF_NULL;
}

static inline uint32_t
vm_valtype_heap(vm_valtype type)
{
	return type >> 8;
}

/* 8-byte slots that a value of the type takes in a call (struct vm_slot arrays): 1, v128 2. */
static inline uint32_t
vm_valtype_slots(vm_valtype type)
{
	return type == VM_V128 ? 2 : 1;
}

/*
 * Write the type's text-format name ("i32", "funcref", "(ref null 7)") into buf, cut to size,
 * NUL-terminated. Returns buf. The number of a concrete type is its engine's, not its module's.
 */
#define VM_VALTYPE_TEXT_MAX 32
VM_EXPORT const char *vm_valtype_text(vm_valtype type, char *buf, size_t size);

/* A view: the arrays belong to whoever gave it and live as long as that. */
struct vm_functype {
	const vm_valtype *params;
	const vm_valtype *results;
	uint32_t param_count;
	uint32_t result_count;
};

enum vm_extern_kind { VM_EXTERN_FUNC, VM_EXTERN_TABLE, VM_EXTERN_MEMORY, VM_EXTERN_GLOBAL,
	VM_EXTERN_TAG };

/* "func", "table", "memory", "global", "tag". */
VM_EXPORT const char *vm_extern_kind_text(enum vm_extern_kind kind);

#define VM_PAGE_SIZE 65536u

struct vm_tabletype {
	vm_valtype element;
	bool is_64;
	bool has_max;
	uint64_t min; /* elements */
	uint64_t max;
};

struct vm_memorytype {
	bool is_64;
	bool is_shared;
	bool has_max;
	uint64_t min; /* pages of VM_PAGE_SIZE bytes */
	uint64_t max;
};

struct vm_globaltype {
	vm_valtype content;
	bool is_mutable;
};

struct vm_externtype {
	enum vm_extern_kind kind;
	union {
		struct vm_functype func; /* also the type of a tag, without results */
		struct vm_tabletype table;
		struct vm_memorytype memory;
		struct vm_globaltype global;
	} of;
};
