/*
 * calls.c - calls and tail calls: arguments in their slots are the start of the callee's frame.
 */
#include "vm/interp/translation.h"

/* Arguments into their slots, everything else out of the accumulators. Returns the first slot. */
static uint32_t
put_arguments(struct translation *t, const struct vm_type *callee)
{
	uint32_t count = callee->func.param_count;
	uint32_t slots = callee->param_slots > callee->result_slots ? callee->param_slots
	                                                             : callee->result_slots;

	place_flush_top(t, count);
	place_spill(t, &t->acc);
	place_spill(t, &t->vacc);
	if (t->failed != VM_OK)
		return 0;
	t->depth -= count;
	uint32_t base = place_top_slot(t);
	place_need_frame(t, (uint64_t)base + slots + LINK_SLOTS);
	return base;
}

void
call_direct(struct translation *t, const struct walk_insn *insn)
{
	const struct vm_type *callee = insn->callee;
	uint32_t imports = t->func->module->module->func_import_count;
	uint32_t index = insn->imm.index.index;
	uint32_t base = put_arguments(t, callee);

	if (index < imports) {
		emit_d_imm(t, h_call_import, base, index);
	} else {
		union word *at = emit_words(t, h_call, 3);

		at[1].d = (uint16_t)base;
		at[2].func = &t->func->module->funcs[index - imports];
	}
	emit_position(t);
	place_push_types(t, callee->func.results, callee->func.result_count);
}

static void
set_indirect(union word *at, const struct walk_insn *insn)
{
	at[2].type = insn->callee;
	at[3].u64 = insn->imm.index.index2 | (uint64_t)insn->is_64 << 32;
}

void
call_indirect(struct translation *t, const struct walk_insn *insn)
{
	const struct vm_type *callee = insn->callee;
	struct entry index = place_pop(t);
	bool in_acc = index.place == PLACE_ACC;
	uint32_t slot = in_acc ? 0 : place_in_slot(t, &index);
	uint32_t base = put_arguments(t, callee);
	union word *at = emit_words(t, in_acc ? h_call_indirect_A : h_call_indirect_S, 4);

	at[1].d = (uint16_t)base;
	at[1].a = (uint16_t)slot;
	set_indirect(at, insn);
	emit_position(t);
	place_push_types(t, callee->func.results, callee->func.result_count);
}

void
call_ref(struct translation *t, const struct walk_insn *insn)
{
	const struct vm_type *callee = insn->callee;
	struct entry ref = place_pop(t);
	uint32_t slot = place_in_slot(t, &ref);
	uint32_t base = put_arguments(t, callee);

	emit_da(t, h_call_ref, base, slot);
	emit_position(t);
	place_push_types(t, callee->func.results, callee->func.result_count);
}

void
call_tail(struct translation *t, const struct walk_insn *insn)
{
	const struct vm_type *callee = insn->callee;
	uint32_t imports = t->func->module->module->func_import_count;
	struct entry target = { .letter = 'i' };
	uint32_t slot = 0;
	union word *at;

	if (insn->op != VM_OP_RETURN_CALL) {
		target = place_pop(t);
		slot = place_in_slot(t, &target);
	}
	uint32_t base = put_arguments(t, callee);
	if (insn->op == VM_OP_RETURN_CALL_REF) {
		at = emit_words(t, h_tail_call_ref, 2);
	} else if (insn->op == VM_OP_RETURN_CALL_INDIRECT) {
		at = emit_words(t, h_tail_call_indirect, 4);
		set_indirect(at, insn);
	} else if (insn->imm.index.index < imports) {
		at = emit_words(t, h_tail_call_import, 3);
		at[2].u64 = insn->imm.index.index;
	} else {
		at = emit_words(t, h_tail_call, 3);
		at[2].func = &t->func->module->funcs[insn->imm.index.index - imports];
	}
	at[1].d = (uint16_t)base;
	at[1].a = (uint16_t)t->link_slot;
	at[1].b = (uint16_t)callee->param_slots;
	at[1].e = (uint16_t)slot;
	emit_position(t);
}
