#include "vm/type.h"

#include <stdio.h>

static const char *
number_text(vm_valtype type)
{
	switch (type) {
	case VM_I32:
		return "i32";
	case VM_I64:
		return "i64";
	case VM_F32:
		return "f32";
	case VM_F64:
		return "f64";
	case VM_V128:
		return "v128";
	default:
		return "unknown";
	}
}

/* Abstract heap types, the lowest code first, and the short form of their nullable references. */
static const struct heap_text {
	const char *heap;
	const char *nullable;
} heap_texts[] = {
	{ "exn", "exnref" },
	{ "array", "arrayref" },
	{ "struct", "structref" },
	{ "i31", "i31ref" },
	{ "eq", "eqref" },
	{ "any", "anyref" },
	{ "extern", "externref" },
	{ "func", "funcref" },
	{ "none", "nullref" },
	{ "noextern", "nullexternref" },
	{ "nofunc", "nullfuncref" },
	{ "noexn", "nullexnref" },
};
_Static_assert(VM_HEAP_NOEXN - VM_HEAP_EXN + 1 == sizeof heap_texts / sizeof heap_texts[0],
               "a row for each abstract heap type");

const char *
vm_valtype_text(vm_valtype type, char *buf, size_t size)
{
	const uint32_t heap = vm_valtype_heap(type);
	const char *null = vm_valtype_is_nullable(type) ? "null " : "";

	if (!vm_valtype_is_ref(type))
		snprintf(buf, size, "%s", number_text(type));
	else if (heap >= VM_HEAP_CONCRETE)
		snprintf(buf, size, "(ref %s%u)", null, heap - VM_HEAP_CONCRETE);
	else if (heap < VM_HEAP_EXN || heap > VM_HEAP_NOEXN)
		snprintf(buf, size, "unknown");
	else if (vm_valtype_is_nullable(type))
		snprintf(buf, size, "%s", heap_texts[heap - VM_HEAP_EXN].nullable);
	else
		snprintf(buf, size, "(ref %s)", heap_texts[heap - VM_HEAP_EXN].heap);
	return buf;
}

const char *
vm_extern_kind_text(enum vm_extern_kind kind)
{
	switch (kind) {
	case VM_EXTERN_FUNC:
		return "func";
	case VM_EXTERN_TABLE:
		return "table";
	case VM_EXTERN_MEMORY:
		return "memory";
	case VM_EXTERN_GLOBAL:
		return "global";
	case VM_EXTERN_TAG:
		return "tag";
	default:
		return "unknown";
	}
}
