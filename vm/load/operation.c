#include "vm/load/walker.h"

/* The address type of a table or memory. */
static vm_valtype
address_type(bool is_64)
{
	return is_64 ? VM_I64 : VM_I32;
}

/* Between two of them: lengths have the smaller type. */
static vm_valtype
length_type(const struct walk_insn *insn)
{
	return address_type(insn->is_64 && insn->is_64_source);
}

/* Pop `count` operands, the last one first, then report. */
static enum vm_status
pop_and_report(struct walker *w, const vm_valtype *types, uint32_t count)
{
	enum vm_status st = walk_pop_many(w, types, count);

	return st == VM_OK ? walk_report_op(w) : st;
}

static inline enum vm_status
push_and_report(struct walker *w, vm_valtype type)
{
	enum vm_status st = walk_push(w, type);

	return st == VM_OK ? walk_report_op(w) : st;
}

/* --- parametric ------------------------------------------------------------------------------ */

enum vm_status
walk_rule_drop(struct walker *w)
{
	enum vm_status st = walk_pop_any(w, &w->insn.type);

	return st == VM_OK ? walk_report_op(w) : st;
}

enum vm_status
walk_rule_select(struct walker *w)
{
	vm_valtype first, second;
	enum vm_status st = walk_pop(w, VM_I32);

	if (st == VM_OK)
		st = walk_pop_any(w, &second);
	if (st == VM_OK)
		st = walk_pop_any(w, &first);
	if (st != VM_OK)
		return st;
	if (vm_valtype_is_ref(first) || vm_valtype_is_ref(second))
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: select of references has to state their type");
	if (first != second && first != VM_VALTYPE_BOTTOM && second != VM_VALTYPE_BOTTOM)
		return walk_fail_type(w, first, second);
	w->insn.type = first == VM_VALTYPE_BOTTOM ? second : first;
	return push_and_report(w, w->insn.type);
}

enum vm_status
walk_rule_select_t(struct walker *w)
{
	const vm_valtype operands[] = { w->insn.type, w->insn.type, VM_I32 };
	enum vm_status st = walk_pop_many(w, operands, 3);

	return st == VM_OK ? push_and_report(w, w->insn.type) : st;
}

/* --- globals --------------------------------------------------------------------------------- */

enum vm_status
walk_rule_global_get(struct walker *w)
{
	w->insn.type = w->module->globals[w->insn.imm.index.index].type.content;
	return push_and_report(w, w->insn.type);
}

enum vm_status
walk_rule_global_set(struct walker *w)
{
	const struct vm_globaltype *type = &w->module->globals[w->insn.imm.index.index].type;

	if (!type->is_mutable)
		return walk_fail(w, VM_E_INVALID, "immutable global %u cannot be set",
		                 (unsigned)w->insn.imm.index.index);
	w->insn.type = type->content;
	return pop_and_report(w, &w->insn.type, 1);
}

/* --- tables ---------------------------------------------------------------------------------- */

static vm_valtype
table_element(const struct walker *w, uint32_t table)
{
	return w->module->tables[table].type.element;
}

enum vm_status
walk_rule_table_get(struct walker *w)
{
	enum vm_status st = walk_pop(w, address_type(w->insn.is_64));

	w->insn.type = table_element(w, w->insn.imm.index.index);
	return st == VM_OK ? push_and_report(w, w->insn.type) : st;
}

enum vm_status
walk_rule_table_set(struct walker *w)
{
	w->insn.type = table_element(w, w->insn.imm.index.index);
	const vm_valtype operands[] = { address_type(w->insn.is_64), w->insn.type };

	return pop_and_report(w, operands, 2);
}

enum vm_status
walk_rule_table_init(struct walker *w)
{
	const vm_valtype operands[] = { address_type(w->insn.is_64), VM_I32, VM_I32 };
	const struct module_elem *segment = &w->module->elems[w->insn.imm.index.index];
	enum vm_status st = walk_check_subtype(w, segment->type,
	                                       table_element(w, w->insn.imm.index.index2));

	return st == VM_OK ? pop_and_report(w, operands, 3) : st;
}

enum vm_status
walk_rule_table_copy(struct walker *w)
{
	const vm_valtype operands[] = {
		address_type(w->insn.is_64),
		address_type(w->insn.is_64_source),
		length_type(&w->insn),
	};
	enum vm_status st = walk_check_subtype(w, table_element(w, w->insn.imm.index.index2),
	                                       table_element(w, w->insn.imm.index.index));

	return st == VM_OK ? pop_and_report(w, operands, 3) : st;
}

enum vm_status
walk_rule_table_grow(struct walker *w)
{
	w->insn.type = table_element(w, w->insn.imm.index.index);
	const vm_valtype operands[] = { w->insn.type, address_type(w->insn.is_64) };
	enum vm_status st = walk_pop_many(w, operands, 2);

	return st == VM_OK ? push_and_report(w, address_type(w->insn.is_64)) : st;
}

enum vm_status
walk_rule_table_size(struct walker *w)
{
	return push_and_report(w, address_type(w->insn.is_64));
}

enum vm_status
walk_rule_table_fill(struct walker *w)
{
	const vm_valtype address = address_type(w->insn.is_64);

	w->insn.type = table_element(w, w->insn.imm.index.index);
	const vm_valtype operands[] = { address, w->insn.type, address };
	return pop_and_report(w, operands, 3);
}

enum vm_status
walk_rule_memory_copy(struct walker *w)
{
	const vm_valtype operands[] = {
		address_type(w->insn.is_64),
		address_type(w->insn.is_64_source),
		length_type(&w->insn),
	};

	return pop_and_report(w, operands, 3);
}

/* --- references ------------------------------------------------------------------------------ */

enum vm_status
walk_rule_ref_null(struct walker *w)
{
	w->insn.type = VM_REF_NULL(w->insn.imm.heap);
	return push_and_report(w, w->insn.type);
}

enum vm_status
walk_rule_ref_is_null(struct walker *w)
{
	vm_valtype ref;
	enum vm_status st = walk_pop_ref(w, &ref);

	return st == VM_OK ? push_and_report(w, VM_I32) : st;
}

enum vm_status
walk_rule_ref_func(struct walker *w)
{
	const uint32_t index = w->insn.imm.index.index;
	const struct module_func *func = &w->module->funcs[index];

	if (w->is_const && w->declares != NULL)
		w->declares[index].is_declared = true;
	if (!w->is_const && !func->is_declared)
		return walk_fail(w, VM_E_INVALID,
		                 "undeclared function reference: function %u is neither exported "
		                 "nor in an element segment or a global", (unsigned)index);
	w->insn.type = VM_REF(VM_HEAP_CONCRETE + func->type->number);
	return push_and_report(w, w->insn.type);
}

enum vm_status
walk_rule_ref_eq(struct walker *w)
{
	const vm_valtype operands[] = { VM_REF_NULL(VM_HEAP_EQ), VM_REF_NULL(VM_HEAP_EQ) };
	enum vm_status st = walk_pop_many(w, operands, 2);

	return st == VM_OK ? push_and_report(w, VM_I32) : st;
}

enum vm_status
walk_rule_ref_as_non_null(struct walker *w)
{
	vm_valtype ref;
	enum vm_status st = walk_pop_ref(w, &ref);

	if (st != VM_OK)
		return st;
	return push_and_report(w, ref == VM_VALTYPE_BOTTOM ? ref : VM_REF(vm_valtype_heap(ref)));
}
