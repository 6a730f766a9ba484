#include "vm/load/walker.h"

/* --- blocks ---------------------------------------------------------------------------------- */

static enum vm_status
report_enter(struct walker *w)
{
	struct vm_backend *b = w->listener;

	return b == NULL ? VM_OK : b->ops->enter(b, &w->insn, &walk_top(w)->label, w->in.err);
}

/* Take the block's parameters and open it. */
static enum vm_status
open_block(struct walker *w)
{
	enum vm_status st = walk_pop_many(w, w->block_type.params, w->block_type.param_count);

	if (st == VM_OK)
		st = walk_push_frame(w, w->insn.op, &w->block_type, w->block_has_single);
	return st == VM_OK ? report_enter(w) : st;
}

/* block, loop */
enum vm_status
walk_rule_block(struct walker *w)
{
	if (w->insn.op == VM_OP_LOOP)
		walk_count_end(w);
	enum vm_status st = open_block(w);
	if (st == VM_OK && w->insn.op == VM_OP_LOOP)
		walk_count_begin(w);
	return st;
}

enum vm_status
walk_rule_if(struct walker *w)
{
	enum vm_status st = walk_pop(w, VM_I32);

	if (st != VM_OK)
		return st;
	walk_count_end(w);
	st = open_block(w);
	if (st == VM_OK)
		walk_count_begin(w);
	return st;
}

enum vm_status
walk_rule_else(struct walker *w)
{
	struct walk_frame *frame = walk_top(w);

	if (frame->label.op != VM_OP_IF || frame->label.has_else)
		return walk_fail(w, VM_E_MALFORMED,
		                 "END opcode expected, got an else without an if");
	enum vm_status st = walk_close_frame(w);
	if (st != VM_OK)
		return st;
	walk_count_end(w);
	const bool was_live = w->is_live;
	frame->label.has_else = true;
	frame->label.is_target |= was_live; /* the first arm goes on behind the second */
	frame->is_polymorphic = false;
	walk_set_live(w, frame->is_reported);
	if (w->backend != NULL && frame->is_reported) {
		st = w->backend->ops->else_(w->backend, &w->insn, &frame->label, was_live,
		                            w->in.err);
		if (st != VM_OK)
			return st;
	}
	walk_count_begin(w);
	return walk_push_many(w, frame->label.params, frame->label.param_count);
}

/* An if without else hands its parameters on, so they have to do as results. */
static enum vm_status
check_missing_else(struct walker *w, const struct walk_label *label)
{
	if (label->param_count != label->result_count)
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: an if without else that takes %u operands "
		                 "cannot have %u results", (unsigned)label->param_count,
		                 (unsigned)label->result_count);
	return walk_check_subtypes(w, label->params, label->results, label->param_count);
}

/* The end of a block that is not the function. */
static enum vm_status
end_block(struct walker *w)
{
	struct walk_frame *frame = walk_top(w);
	const struct walk_label *label = &frame->label;
	const bool is_if = label->op == VM_OP_IF;
	const bool meets = is_if || (label->op != VM_OP_LOOP && label->is_target);
	const bool was_live = w->is_live;
	enum vm_status st;

	if (meets)
		walk_count_end(w);
	if (frame->is_reported) {
		walk_set_live(w, was_live || (label->op != VM_OP_LOOP && label->is_target) ||
		                     (is_if && !label->has_else));
		if (w->backend != NULL) {
			st = w->backend->ops->end(w->backend, &w->insn, label, was_live, w->in.err);
			if (st != VM_OK)
				return st;
		}
	}
	walk_pop_frame(w);
	st = walk_push_many(w, label->results, label->result_count);
	if (meets)
		walk_count_begin(w);
	return st;
}

/* The end of the function, or of a constant expression. */
static enum vm_status
end_outermost(struct walker *w)
{
	enum vm_status st = walk_report_return(w);

	walk_count_end(w);
	walk_pop_frame(w);
	return st;
}

enum vm_status
walk_rule_end(struct walker *w)
{
	const struct walk_label *label = &walk_top(w)->label;
	enum vm_status st = walk_close_frame(w);

	if (st == VM_OK && label->op == VM_OP_IF && !label->has_else)
		st = check_missing_else(w, label);
	if (st != VM_OK)
		return st;
	return w->frame_count == 1 ? end_outermost(w) : end_block(w);
}

/* --- branches -------------------------------------------------------------------------------- */

static void
mark_target(struct walker *w, struct walk_frame *frame)
{
	if (w->is_live)
		frame->label.is_target = true;
}

/* A branch that may not be taken has been checked: report it, and start a basic block. */
static enum vm_status
end_conditional(struct walker *w)
{
	enum vm_status st = walk_report_branch(w);

	walk_count_end(w);
	walk_count_begin(w);
	return st;
}

/* The operands that a conditional branch takes along stay, with the types of the label. */
static enum vm_status
pass_label_types(struct walker *w, const vm_valtype *types, uint32_t count)
{
	if (count == 0)
		return VM_OK;
	enum vm_status st = walk_pop_many(w, types, count);
	return st == VM_OK ? walk_push_many(w, types, count) : st;
}

static enum vm_status
find_branch_target(struct walker *w, struct walk_frame **out, const vm_valtype **out_types,
                   uint32_t *out_count)
{
	enum vm_status st = walk_find_label(w, w->insn.imm.labels.depths[0], out);

	if (st == VM_OK)
		*out_types = walk_label_types(&(*out)->label, out_count);
	return st;
}

enum vm_status
walk_rule_br(struct walker *w)
{
	struct walk_frame *target;
	const vm_valtype *types;
	uint32_t count;
	enum vm_status st = find_branch_target(w, &target, &types, &count);

	if (st == VM_OK)
		st = walk_pop_many(w, types, count);
	if (st != VM_OK)
		return st;
	mark_target(w, target);
	st = walk_report_branch(w);
	walk_set_dead(w);
	return st;
}

enum vm_status
walk_rule_br_if(struct walker *w)
{
	struct walk_frame *target;
	const vm_valtype *types;
	uint32_t count;
	enum vm_status st = find_branch_target(w, &target, &types, &count);

	if (st == VM_OK)
		st = walk_pop(w, VM_I32);
	if (st == VM_OK)
		st = pass_label_types(w, types, count);
	if (st != VM_OK)
		return st;
	mark_target(w, target);
	return end_conditional(w);
}

/* One label of a br_table: it takes as many operands as the default, of types that fit. */
static enum vm_status
check_table_label(struct walker *w, uint32_t depth, uint32_t arity)
{
	struct walk_frame *target;
	uint32_t count;
	enum vm_status st = walk_find_label(w, depth, &target);

	/* Tables name few labels many times: each is checked once a round. */
	if (st != VM_OK || target->branch_round == w->branch_round)
		return st;
	target->branch_round = w->branch_round;
	const vm_valtype *types = walk_label_types(&target->label, &count);
	if (count != arity)
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: label %u takes %u operands, the default %u",
		                 (unsigned)depth, (unsigned)count, (unsigned)arity);
	mark_target(w, target);
	return walk_peek_many(w, types, count);
}

enum vm_status
walk_rule_br_table(struct walker *w)
{
	const struct walk_labels *labels = &w->insn.imm.labels;
	struct walk_frame *target;
	uint32_t arity;
	enum vm_status st = walk_find_label(w, labels->depths[labels->count], &target);

	if (st == VM_OK)
		st = walk_pop(w, VM_I32);
	if (st != VM_OK)
		return st;
	(void)walk_label_types(&target->label, &arity);
	w->branch_round++;
	for (uint32_t i = 0; i <= labels->count && st == VM_OK; i++)
		st = check_table_label(w, labels->depths[i], arity);
	if (st != VM_OK)
		return st;
	st = walk_report_branch(w);
	walk_set_dead(w);
	return st;
}

enum vm_status
walk_rule_br_on_null(struct walker *w)
{
	struct walk_frame *target;
	const vm_valtype *types;
	vm_valtype ref;
	uint32_t count;
	enum vm_status st = find_branch_target(w, &target, &types, &count);

	if (st == VM_OK)
		st = walk_pop_ref(w, &ref);
	if (st == VM_OK)
		st = pass_label_types(w, types, count);
	if (st != VM_OK)
		return st;
	mark_target(w, target);
	st = end_conditional(w);
	if (st != VM_OK)
		return st;
	return walk_push(w, ref == VM_VALTYPE_BOTTOM ? ref : VM_REF(vm_valtype_heap(ref)));
}

/* The label's last type, which has to be one of a reference, and how many there are below it. */
static enum vm_status
split_label(struct walker *w, const vm_valtype *types, uint32_t count, vm_valtype *out_last)
{
	if (count == 0 || !vm_valtype_is_ref(types[count - 1]))
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: the label of %s has to take a reference",
		                 opcode_table[w->insn.op].text);
	*out_last = types[count - 1];
	return VM_OK;
}

enum vm_status
walk_rule_br_on_non_null(struct walker *w)
{
	struct walk_frame *target;
	const vm_valtype *types;
	vm_valtype ref, last = VM_VALTYPE_BOTTOM;
	uint32_t count;
	enum vm_status st = find_branch_target(w, &target, &types, &count);

	if (st == VM_OK)
		st = split_label(w, types, count, &last);
	if (st == VM_OK)
		st = walk_pop_ref(w, &ref);
	if (st == VM_OK && ref != VM_VALTYPE_BOTTOM)
		st = walk_check_subtype(w, VM_REF(vm_valtype_heap(ref)), last);
	if (st == VM_OK)
		st = pass_label_types(w, types, count - 1);
	if (st != VM_OK)
		return st;
	mark_target(w, target);
	return end_conditional(w);
}

static vm_valtype
ref_type(uint32_t heap, bool is_nullable)
{
	return is_nullable ? VM_REF_NULL(heap) : VM_REF(heap);
}

/*
 * The cast takes a reference of type `from`; where it is of type `to` it has that type, else the
 * difference of the two. One of them goes to the label, the other falls through.
 */
static enum vm_status
branch_on_cast(struct walker *w, bool branches_on_success)
{
	struct walk_frame *target;
	vm_valtype last = VM_VALTYPE_BOTTOM;
	uint32_t count;
	const vm_valtype from = ref_type(w->insn.imm.cast.from, w->insn.imm.cast.from_null);
	const vm_valtype to = ref_type(w->insn.imm.cast.to, w->insn.imm.cast.to_null);
	const vm_valtype rest = ref_type(w->insn.imm.cast.from, w->insn.imm.cast.from_null &&
	                                                            !w->insn.imm.cast.to_null);
	enum vm_status st = walk_find_label(w, w->insn.imm.cast.depth, &target);

	if (st == VM_OK)
		st = walk_check_subtype(w, to, from);
	if (st != VM_OK)
		return st;
	const vm_valtype *types = walk_label_types(&target->label, &count);
	st = split_label(w, types, count, &last);
	if (st == VM_OK)
		st = walk_check_subtype(w, branches_on_success ? to : rest, last);
	if (st == VM_OK)
		st = walk_pop(w, from);
	if (st == VM_OK)
		st = pass_label_types(w, types, count - 1);
	if (st != VM_OK)
		return st;
	w->insn.type = from;
	mark_target(w, target);
	st = end_conditional(w);
	return st == VM_OK ? walk_push(w, branches_on_success ? rest : to) : st;
}

enum vm_status
walk_rule_br_on_cast(struct walker *w)
{
	return branch_on_cast(w, true);
}

enum vm_status
walk_rule_br_on_cast_fail(struct walker *w)
{
	return branch_on_cast(w, false);
}

/* --- ends of control ------------------------------------------------------------------------- */

/* Report the instruction; what follows cannot be reached. */
static enum vm_status
end_unconditional(struct walker *w)
{
	enum vm_status st = walk_report_op(w);

	walk_set_dead(w);
	return st;
}

enum vm_status
walk_rule_unreachable(struct walker *w)
{
	return end_unconditional(w);
}

enum vm_status
walk_rule_return(struct walker *w)
{
	const struct walk_label *label = &w->frames[0].label;
	enum vm_status st = walk_pop_many(w, label->results, label->result_count);

	if (st == VM_OK)
		st = walk_report_return(w);
	if (st == VM_OK)
		walk_set_dead(w);
	return st;
}

/* --- calls ----------------------------------------------------------------------------------- */

static enum vm_status
check_callee(struct walker *w, const struct vm_type *type)
{
	if (type->kind != COMP_FUNC)
		return walk_fail(w, VM_E_INVALID, "type mismatch: type %u is not a function type",
		                 (unsigned)w->insn.imm.index.index);
	w->insn.callee = type;
	return VM_OK;
}

static enum vm_status
end_call(struct walker *w)
{
	const struct vm_functype *type = &w->insn.callee->func;
	enum vm_status st = walk_pop_many(w, type->params, type->param_count);

	if (st == VM_OK)
		st = walk_push_many(w, type->results, type->result_count);
	return st == VM_OK ? walk_report_op(w) : st;
}

/* A tail call has to give what the function gives. */
static enum vm_status
end_return_call(struct walker *w)
{
	const struct vm_functype *callee = &w->insn.callee->func;
	const struct vm_functype *self = &w->func.type->func;

	if (callee->result_count != self->result_count)
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: %s has %u results, but the function %u",
		                 opcode_table[w->insn.op].text, (unsigned)callee->result_count,
		                 (unsigned)self->result_count);
	enum vm_status st = walk_check_subtypes(w, callee->results, self->results,
	                                        self->result_count);
	if (st == VM_OK)
		st = walk_pop_many(w, callee->params, callee->param_count);
	return st == VM_OK ? end_unconditional(w) : st;
}

enum vm_status
walk_rule_call(struct walker *w)
{
	w->insn.callee = w->module->funcs[w->insn.imm.index.index].type;
	return end_call(w);
}

enum vm_status
walk_rule_return_call(struct walker *w)
{
	w->insn.callee = w->module->funcs[w->insn.imm.index.index].type;
	return end_return_call(w);
}

static enum vm_status
begin_indirect(struct walker *w)
{
	const struct vm_tabletype *table = &w->module->tables[w->insn.imm.index.index2].type;
	enum vm_status st = check_callee(w, w->module->types[w->insn.imm.index.index]);

	if (st == VM_OK)
		st = walk_check_subtype(w, table->element, VM_FUNCREF);
	return st == VM_OK ? walk_pop(w, table->is_64 ? VM_I64 : VM_I32) : st;
}

enum vm_status
walk_rule_call_indirect(struct walker *w)
{
	enum vm_status st = begin_indirect(w);

	return st == VM_OK ? end_call(w) : st;
}

enum vm_status
walk_rule_return_call_indirect(struct walker *w)
{
	enum vm_status st = begin_indirect(w);

	return st == VM_OK ? end_return_call(w) : st;
}

static enum vm_status
begin_call_ref(struct walker *w)
{
	const struct vm_type *type = w->module->types[w->insn.imm.index.index];
	enum vm_status st = check_callee(w, type);

	return st == VM_OK ? walk_pop(w, VM_REF_NULL(VM_HEAP_CONCRETE + type->number)) : st;
}

enum vm_status
walk_rule_call_ref(struct walker *w)
{
	enum vm_status st = begin_call_ref(w);

	return st == VM_OK ? end_call(w) : st;
}

enum vm_status
walk_rule_return_call_ref(struct walker *w)
{
	enum vm_status st = begin_call_ref(w);

	return st == VM_OK ? end_return_call(w) : st;
}

/* --- exceptions ------------------------------------------------------------------------------ */

enum vm_status
walk_rule_throw(struct walker *w)
{
	const struct vm_type *tag = w->module->tags[w->insn.imm.index.index];
	enum vm_status st = walk_pop_many(w, tag->func.params, tag->func.param_count);

	w->insn.callee = tag;
	return st == VM_OK ? end_unconditional(w) : st;
}

enum vm_status
walk_rule_throw_ref(struct walker *w)
{
	enum vm_status st = walk_pop(w, VM_REF_NULL(VM_HEAP_EXN));

	w->insn.type = VM_REF_NULL(VM_HEAP_EXN);
	return st == VM_OK ? end_unconditional(w) : st;
}

/* A clause branches with the tag's parameters and, where it asks for it, the exception. */
static enum vm_status
check_catch(struct walker *w, const struct walk_catch *clause)
{
	const bool has_tag = clause->kind == CATCH || clause->kind == CATCH_REF;
	const bool has_ref = clause->kind == CATCH_REF || clause->kind == CATCH_ALL_REF;
	const struct vm_functype *tag = has_tag ? &w->module->tags[clause->tag]->func : NULL;
	const uint32_t tag_count = has_tag ? tag->param_count : 0;
	struct walk_frame *target;
	uint32_t count;
	enum vm_status st = walk_find_label(w, clause->depth, &target);

	if (st != VM_OK)
		return st;
	const vm_valtype *types = walk_label_types(&target->label, &count);
	if (count != tag_count + has_ref)
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: the catch clause has %u operands, its label "
		                 "takes %u", (unsigned)(tag_count + has_ref), (unsigned)count);
	if (has_tag)
		st = walk_check_subtypes(w, tag->params, types, tag_count);
	if (st == VM_OK && has_ref)
		st = walk_check_subtype(w, VM_REF(VM_HEAP_EXN), types[tag_count]);
	mark_target(w, target);
	return st;
}

enum vm_status
walk_rule_try_table(struct walker *w)
{
	enum vm_status st = VM_OK;

	for (uint32_t i = 0; i < w->insn.imm.catches.count && st == VM_OK; i++)
		st = check_catch(w, &w->insn.imm.catches.clauses[i]);
	return st == VM_OK ? open_block(w) : st;
}
