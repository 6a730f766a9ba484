#include "vm/load/walker.h"

/* What a field holds on the operand stack: packed ones are i32. */
static vm_valtype
unpacked(const struct field_type *field)
{
	return field->storage == STORAGE_I8 || field->storage == STORAGE_I16 ? VM_I32
	                                                                     : field->storage;
}

static bool
is_packed(const struct field_type *field)
{
	return field->storage == STORAGE_I8 || field->storage == STORAGE_I16;
}

/* The type that the instruction names first, which has to be of a kind. */
static enum vm_status
named_type(struct walker *w, uint32_t index, enum comp_kind kind, const struct vm_type **out)
{
	*out = w->module->types[index];
	if ((*out)->kind == kind)
		return VM_OK;
	return walk_fail(w, VM_E_INVALID, "type mismatch: %s expected type %u to be %s",
	                 opcode_table[w->insn.op].text, (unsigned)index,
	                 kind == COMP_STRUCT ? "a structure" : "an array");
}

static enum vm_status
named_struct(struct walker *w, const struct vm_type **out)
{
	return named_type(w, w->insn.imm.index.index, COMP_STRUCT, out);
}

static enum vm_status
named_array(struct walker *w, const struct vm_type **out)
{
	return named_type(w, w->insn.imm.index.index, COMP_ARRAY, out);
}

static vm_valtype
ref_to(const struct vm_type *type)
{
	return VM_REF(VM_HEAP_CONCRETE + type->number);
}

static vm_valtype
ref_null_to(const struct vm_type *type)
{
	return VM_REF_NULL(VM_HEAP_CONCRETE + type->number);
}

/* Pop operands, the last one first; push a result unless it is 0; report. */
static enum vm_status
finish(struct walker *w, const vm_valtype *operands, uint32_t count, vm_valtype result)
{
	enum vm_status st = walk_pop_many(w, operands, count);

	if (st == VM_OK && result != 0)
		st = walk_push(w, result);
	return st == VM_OK ? walk_report_op(w) : st;
}

static enum vm_status
check_mutable(struct walker *w, const struct field_type *field, const char *what)
{
	return field->is_mutable ? VM_OK : walk_fail(w, VM_E_INVALID, "immutable %s", what);
}

static enum vm_status
check_defaultable(struct walker *w, const struct field_type *field)
{
	char text[VM_VALTYPE_TEXT_MAX];

	if (valtype_is_defaultable(field->storage))
		return VM_OK;
	return walk_fail(w, VM_E_INVALID, "type mismatch: %s has no default value",
	                 type_text(w->module, field->storage, text, sizeof text));
}

/* Reading a packed field says how to extend it; reading another one does not. */
static enum vm_status
check_extension(struct walker *w, const struct field_type *field, bool extends)
{
	if (extends == is_packed(field))
		return VM_OK;
	return walk_fail(w, VM_E_INVALID, "type mismatch: %s of %s field",
	                 opcode_table[w->insn.op].text, extends ? "an unpacked" : "a packed");
}

/* --- structures ------------------------------------------------------------------------------ */

enum vm_status
walk_rule_struct_new(struct walker *w)
{
	const struct vm_type *type;
	enum vm_status st = named_struct(w, &type);

	if (st != VM_OK)
		return st;
	for (uint32_t i = type->field_count; i > 0 && st == VM_OK && !walk_is_bottomless(w); i--)
		st = walk_pop(w, unpacked(&type->fields[i - 1]));
	return st == VM_OK ? finish(w, NULL, 0, ref_to(type)) : st;
}

enum vm_status
walk_rule_struct_new_default(struct walker *w)
{
	const struct vm_type *type;
	enum vm_status st = named_struct(w, &type);

	if (st != VM_OK)
		return st;
	for (uint32_t i = 0; !type->is_defaultable && i < type->field_count && st == VM_OK; i++)
		st = check_defaultable(w, &type->fields[i]);
	return st == VM_OK ? finish(w, NULL, 0, ref_to(type)) : st;
}

static enum vm_status
named_field(struct walker *w, const struct vm_type **out_type, const struct field_type **out)
{
	const uint32_t index = w->insn.imm.index.index2;
	enum vm_status st = named_struct(w, out_type);

	if (st != VM_OK)
		return st;
	if (index >= (*out_type)->field_count)
		return walk_fail(w, VM_E_INVALID, "unknown field %u, there are %u", (unsigned)index,
		                 (unsigned)(*out_type)->field_count);
	*out = &(*out_type)->fields[index];
	return VM_OK;
}

/* struct.get, struct.get_s, struct.get_u */
enum vm_status
walk_rule_struct_get(struct walker *w)
{
	const struct vm_type *type;
	const struct field_type *field;
	enum vm_status st = named_field(w, &type, &field);

	if (st == VM_OK)
		st = check_extension(w, field, w->insn.op != VM_OP_STRUCT_GET);
	if (st != VM_OK)
		return st;
	const vm_valtype ref = ref_null_to(type);
	return finish(w, &ref, 1, unpacked(field));
}

enum vm_status
walk_rule_struct_set(struct walker *w)
{
	const struct vm_type *type;
	const struct field_type *field;
	enum vm_status st = named_field(w, &type, &field);

	if (st == VM_OK)
		st = check_mutable(w, field, "field");
	if (st != VM_OK)
		return st;
	const vm_valtype operands[] = { ref_null_to(type), unpacked(field) };
	return finish(w, operands, 2, 0);
}

/* --- arrays ---------------------------------------------------------------------------------- */

enum vm_status
walk_rule_array_new(struct walker *w)
{
	const struct vm_type *type;
	enum vm_status st = named_array(w, &type);

	if (st != VM_OK)
		return st;
	const vm_valtype operands[] = { unpacked(type->fields), VM_I32 };
	return finish(w, operands, 2, ref_to(type));
}

enum vm_status
walk_rule_array_new_default(struct walker *w)
{
	const vm_valtype length = VM_I32;
	const struct vm_type *type;
	enum vm_status st = named_array(w, &type);

	if (st == VM_OK)
		st = check_defaultable(w, type->fields);
	return st == VM_OK ? finish(w, &length, 1, ref_to(type)) : st;
}

enum vm_status
walk_rule_array_new_fixed(struct walker *w)
{
	const uint32_t count = w->insn.imm.index.index2;
	const struct vm_type *type;
	enum vm_status st = named_array(w, &type);

	if (st != VM_OK)
		return st;
	for (uint32_t i = 0; i < count && st == VM_OK && !walk_is_bottomless(w); i++)
		st = walk_pop(w, unpacked(type->fields));
	return st == VM_OK ? finish(w, NULL, 0, ref_to(type)) : st;
}

/* An array whose elements can be read from a data segment. */
static enum vm_status
named_data_array(struct walker *w, const struct vm_type **out)
{
	enum vm_status st = named_array(w, out);

	if (st == VM_OK && vm_valtype_is_ref((*out)->fields[0].storage))
		st = walk_fail(w, VM_E_INVALID, "array type is not numeric or vector");
	return st;
}

/* An array that can hold what an element segment has. */
static enum vm_status
named_elem_array(struct walker *w, const struct vm_type **out)
{
	enum vm_status st = named_array(w, out);

	if (st != VM_OK)
		return st;
	return walk_check_subtype(w, w->module->elems[w->insn.imm.index.index2].type,
	                          (*out)->fields[0].storage);
}

enum vm_status
walk_rule_array_new_data(struct walker *w)
{
	const vm_valtype operands[] = { VM_I32, VM_I32 };
	const struct vm_type *type;
	enum vm_status st = named_data_array(w, &type);

	return st == VM_OK ? finish(w, operands, 2, ref_to(type)) : st;
}

enum vm_status
walk_rule_array_new_elem(struct walker *w)
{
	const vm_valtype operands[] = { VM_I32, VM_I32 };
	const struct vm_type *type;
	enum vm_status st = named_elem_array(w, &type);

	return st == VM_OK ? finish(w, operands, 2, ref_to(type)) : st;
}

/* array.get, array.get_s, array.get_u */
enum vm_status
walk_rule_array_get(struct walker *w)
{
	const struct vm_type *type;
	enum vm_status st = named_array(w, &type);

	if (st == VM_OK)
		st = check_extension(w, type->fields, w->insn.op != VM_OP_ARRAY_GET);
	if (st != VM_OK)
		return st;
	const vm_valtype operands[] = { ref_null_to(type), VM_I32 };
	return finish(w, operands, 2, unpacked(type->fields));
}

enum vm_status
walk_rule_array_set(struct walker *w)
{
	const struct vm_type *type;
	enum vm_status st = named_array(w, &type);

	if (st == VM_OK)
		st = check_mutable(w, type->fields, "array");
	if (st != VM_OK)
		return st;
	const vm_valtype operands[] = { ref_null_to(type), VM_I32, unpacked(type->fields) };
	return finish(w, operands, 3, 0);
}

enum vm_status
walk_rule_array_len(struct walker *w)
{
	const vm_valtype ref = VM_REF_NULL(VM_HEAP_ARRAY);

	return finish(w, &ref, 1, VM_I32);
}

enum vm_status
walk_rule_array_fill(struct walker *w)
{
	const struct vm_type *type;
	enum vm_status st = named_array(w, &type);

	if (st == VM_OK)
		st = check_mutable(w, type->fields, "array");
	if (st != VM_OK)
		return st;
	const vm_valtype operands[] = { ref_null_to(type), VM_I32, unpacked(type->fields), VM_I32 };
	return finish(w, operands, 4, 0);
}

enum vm_status
walk_rule_array_copy(struct walker *w)
{
	const struct vm_type *to, *from;
	enum vm_status st = named_array(w, &to);

	if (st == VM_OK)
		st = named_type(w, w->insn.imm.index.index2, COMP_ARRAY, &from);
	if (st == VM_OK)
		st = check_mutable(w, to->fields, "array");
	if (st != VM_OK)
		return st;
	if (!valtype_is_subtype(w->in.engine, from->fields[0].storage, to->fields[0].storage))
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: array types do not match: elements of type %u "
		                 "cannot be copied to type %u", (unsigned)w->insn.imm.index.index2,
		                 (unsigned)w->insn.imm.index.index);
	const vm_valtype operands[] = { ref_null_to(to), VM_I32, ref_null_to(from), VM_I32,
		                        VM_I32 };
	return finish(w, operands, 5, 0);
}

static enum vm_status
finish_init(struct walker *w, const struct vm_type *type)
{
	const vm_valtype operands[] = { ref_null_to(type), VM_I32, VM_I32, VM_I32 };
	enum vm_status st = check_mutable(w, type->fields, "array");

	return st == VM_OK ? finish(w, operands, 4, 0) : st;
}

enum vm_status
walk_rule_array_init_data(struct walker *w)
{
	const struct vm_type *type;
	enum vm_status st = named_data_array(w, &type);

	return st == VM_OK ? finish_init(w, type) : st;
}

enum vm_status
walk_rule_array_init_elem(struct walker *w)
{
	const struct vm_type *type;
	enum vm_status st = named_elem_array(w, &type);

	return st == VM_OK ? finish_init(w, type) : st;
}

/* --- casts and conversions ------------------------------------------------------------------- */

/* Any reference of the hierarchy that a heap type belongs to. */
static vm_valtype
castable_to(const struct walker *w, uint32_t heap)
{
	return VM_REF_NULL(heap_top(w->in.engine, heap));
}

/* ref.test and ref.cast, each with a nullable form. */
enum vm_status
walk_rule_ref_test(struct walker *w)
{
	w->insn.type = castable_to(w, w->insn.imm.heap);
	return finish(w, &w->insn.type, 1, VM_I32);
}

enum vm_status
walk_rule_ref_cast(struct walker *w)
{
	const uint32_t heap = w->insn.imm.heap;

	w->insn.type = castable_to(w, heap);
	return finish(w, &w->insn.type, 1,
	              w->insn.op == VM_OP_REF_CAST_NULL ? VM_REF_NULL(heap) : VM_REF(heap));
}

/* Between the hierarchies of any and extern; null stays possible where it was. */
static enum vm_status
convert(struct walker *w, uint32_t from, uint32_t to)
{
	vm_valtype ref;
	enum vm_status st = walk_pop_ref(w, &ref);

	if (st == VM_OK)
		st = walk_check_subtype(w, ref, VM_REF_NULL(from));
	if (st != VM_OK)
		return st;
	const bool is_non_null = ref == VM_VALTYPE_BOTTOM || !vm_valtype_is_nullable(ref);
	return finish(w, NULL, 0, is_non_null ? VM_REF(to) : VM_REF_NULL(to));
}

enum vm_status
walk_rule_any_convert_extern(struct walker *w)
{
	return convert(w, VM_HEAP_EXTERN, VM_HEAP_ANY);
}

enum vm_status
walk_rule_extern_convert_any(struct walker *w)
{
	return convert(w, VM_HEAP_ANY, VM_HEAP_EXTERN);
}

enum vm_status
walk_rule_ref_i31(struct walker *w)
{
	const vm_valtype operand = VM_I32;

	return finish(w, &operand, 1, VM_REF(VM_HEAP_I31));
}

/* i31.get_s, i31.get_u */
enum vm_status
walk_rule_i31_get(struct walker *w)
{
	const vm_valtype ref = VM_REF_NULL(VM_HEAP_I31);

	return finish(w, &ref, 1, VM_I32);
}
