#include "vm/load/typeread.h"

#include <stdio.h>

static enum vm_status
index_to_heap(struct input *in, const struct type_scope *scope, uint64_t offset, uint64_t index,
              uint32_t *out)
{
	const struct vm_module *module = scope->module;

	if (index < module->type_count) {
		*out = VM_HEAP_CONCRETE + module->types[index]->number;
		return VM_OK;
	}
	if (index - module->type_count < scope->group_count) {
		*out = TYPE_IN_GROUP + (uint32_t)(index - module->type_count);
		return VM_OK;
	}
	return input_fail(in, VM_E_INVALID, offset, "unknown type %llu, there are %u",
	                  (unsigned long long)index,
	                  (unsigned)(module->type_count + scope->group_count));
}

/* The feature that an abstract heap type came with; false when the code is none. */
static bool
heap_feature(uint8_t code, enum vm_feature *out)
{
	switch (code) {
	case VM_HEAP_FUNC:
	case VM_HEAP_EXTERN:
		*out = VM_FEATURE_REFERENCE_TYPES;
		return true;
	case VM_HEAP_EXN:
	case VM_HEAP_NOEXN:
		*out = VM_FEATURE_EXCEPTIONS;
		return true;
	case VM_HEAP_NOFUNC:
	case VM_HEAP_NOEXTERN:
	case VM_HEAP_NONE:
	case VM_HEAP_ANY:
	case VM_HEAP_EQ:
	case VM_HEAP_I31:
	case VM_HEAP_STRUCT:
	case VM_HEAP_ARRAY:
		*out = VM_FEATURE_GC;
		return true;
	default:
		return false;
	}
}

enum vm_status
type_read_index(struct input *in, const struct type_scope *scope, uint32_t *out_heap)
{
	const uint64_t offset = reader_offset(&in->r);
	uint32_t index;
	enum vm_status st = input_u32(in, "a type index", &index);

	return st == VM_OK ? index_to_heap(in, scope, offset, index, out_heap) : st;
}

enum vm_status
type_read_heap(struct input *in, const struct type_scope *scope, uint32_t *out)
{
	const uint64_t offset = reader_offset(&in->r);
	enum vm_feature feature;
	int64_t value;
	enum vm_status st = reader_read_s33(&in->r, &value);

	if (st != VM_OK)
		return input_fail_read(in, st, "a heap type");
	if (value >= 0) {
		st = input_use(in, VM_FEATURE_FUNCTION_REFERENCES, offset,
		               "a reference to a defined type");
		return st == VM_OK ? index_to_heap(in, scope, offset, (uint64_t)value, out) : st;
	}
	/* Abstract types are single bytes: negative numbers from -64 on. */
	if (reader_offset(&in->r) - offset != 1 || !heap_feature((uint8_t)(value & 0x7f), &feature))
		return input_fail(in, VM_E_MALFORMED, offset, "malformed heap type");
	*out = (uint32_t)(value & 0x7f);
	return input_use(in, feature, offset, "the heap type");
}

static enum vm_status
read_after_code(struct input *in, const struct type_scope *scope, uint8_t code, uint64_t offset,
                const char *expected, vm_valtype *out)
{
	enum vm_feature feature;
	uint32_t heap;
	enum vm_status st;

	if (code == VM_CODE_REF || code == VM_CODE_REF_NULL) {
		st = input_use(in, VM_FEATURE_FUNCTION_REFERENCES, offset, "the reference type");
		if (st == VM_OK)
			st = type_read_heap(in, scope, &heap);
		if (st == VM_OK)
			*out = code | heap << 8;
		return st;
	}
	if (!heap_feature(code, &feature))
		return input_fail(in, VM_E_MALFORMED, offset, "malformed %s type: 0x%02x", expected,
		                  code);
	*out = VM_REF_NULL(code);
	return input_use(in, feature, offset, "the reference type");
}

enum vm_status
type_read_ref(struct input *in, const struct type_scope *scope, vm_valtype *out)
{
	const uint64_t offset = reader_offset(&in->r);
	uint8_t code;
	enum vm_status st = input_u8(in, "a reference type", &code);

	if (st != VM_OK)
		return st;
	/* Tables of functions are as old as WebAssembly. */
	if (code == VM_HEAP_FUNC) {
		*out = VM_FUNCREF;
		return VM_OK;
	}
	return read_after_code(in, scope, code, offset, "reference", out);
}

enum vm_status
type_read_value(struct input *in, const struct type_scope *scope, vm_valtype *out)
{
	const uint64_t offset = reader_offset(&in->r);
	uint8_t code;
	enum vm_status st = input_u8(in, "a value type", &code);

	if (st != VM_OK)
		return st;
	switch (code) {
	case VM_I32:
	case VM_I64:
	case VM_F32:
	case VM_F64:
		*out = code;
		return VM_OK;
	case VM_V128:
		*out = code;
		return input_use(in, VM_FEATURE_SIMD, offset, "the type v128");
	default:
		return read_after_code(in, scope, code, offset, "value", out);
	}
}

const char *
type_text(const struct vm_module *module, vm_valtype type, char *buf, size_t size)
{
	const uint32_t heap = vm_valtype_heap(type);

	if (!vm_valtype_is_ref(type) || heap < VM_HEAP_CONCRETE)
		return vm_valtype_text(type, buf, size);
	for (uint32_t i = 0; i < module->type_count; i++) {
		if (module->types[i]->number == heap - VM_HEAP_CONCRETE) {
			snprintf(buf, size, "(ref %s%u)",
			         vm_valtype_is_nullable(type) ? "null " : "", (unsigned)i);
			return buf;
		}
	}
	return vm_valtype_text(type, buf, size); /* of another module's type */
}
