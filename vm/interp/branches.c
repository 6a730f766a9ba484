/*
 * branches.c - labels, distances to patch, branches with what they move, and returns.
 *
 * At a label every value that it takes is in its canonical slot. What is emitted only on one side
 * of a branch must not change the recorded places.
 */
#include "vm/interp/translation.h"

#include <string.h>

/*
 * Instructions of two operands A that give an i32: what a branch on the result can be fused with.
 * The others have no branch.
 */
struct fusible {
	char in;         /* letter of A */
	uint16_t branch; /* its handlers in the table: [form][sense][backward]; 0 for none */
};

#define ROW_COMPARE(symbol, A) [VM_OP_##symbol] = { #A[0], HANDLER_INDEX(branch_##symbol) },
#define ROW_BINARY(symbol, A, R)
#define ROW_UNARY(symbol, A, R)
#define ROW_LOAD(symbol, R)
#define ROW_STORE(symbol, A)
#define ROW_VECTOR(symbol, imm, sig)
#define ROW_OTHER(symbol)

static const struct fusible fusible[VM_OP_COUNT] = {
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"
};

/* The comparison that gives the same with its operands exchanged; VM_OP_COUNT when none does. */
static enum vm_op
exchanged(enum vm_op op)
{
	static const enum vm_op pairs[][2] = {
		{ VM_OP_I32_EQ, VM_OP_I32_EQ },     { VM_OP_I32_NE, VM_OP_I32_NE },
		{ VM_OP_I32_LT_S, VM_OP_I32_GT_S }, { VM_OP_I32_LT_U, VM_OP_I32_GT_U },
		{ VM_OP_I32_LE_S, VM_OP_I32_GE_S }, { VM_OP_I32_LE_U, VM_OP_I32_GE_U },
		{ VM_OP_I64_EQ, VM_OP_I64_EQ },     { VM_OP_I64_NE, VM_OP_I64_NE },
		{ VM_OP_I64_LT_S, VM_OP_I64_GT_S }, { VM_OP_I64_LT_U, VM_OP_I64_GT_U },
		{ VM_OP_I64_LE_S, VM_OP_I64_GE_S }, { VM_OP_I64_LE_U, VM_OP_I64_GE_U },
		{ VM_OP_F32_EQ, VM_OP_F32_EQ },     { VM_OP_F32_NE, VM_OP_F32_NE },
		{ VM_OP_F32_LT, VM_OP_F32_GT },     { VM_OP_F32_LE, VM_OP_F32_GE },
		{ VM_OP_F64_EQ, VM_OP_F64_EQ },     { VM_OP_F64_NE, VM_OP_F64_NE },
		{ VM_OP_F64_LT, VM_OP_F64_GT },     { VM_OP_F64_LE, VM_OP_F64_GE },
		{ VM_OP_I32_ADD, VM_OP_I32_ADD },   { VM_OP_I32_AND, VM_OP_I32_AND },
		{ VM_OP_I32_OR, VM_OP_I32_OR },     { VM_OP_I32_XOR, VM_OP_I32_XOR },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (pairs[i][0] == op)
			return pairs[i][1];
		if (pairs[i][1] == op)
			return pairs[i][0];
	}
	return VM_OP_COUNT;
}

/* --- labels -------------------------------------------------------------------------------- */

void
branch_bind(struct translation *t)
{
	t->last = NO_WORD;
}

void
branch_chain(struct translation *t, uint32_t *head, uint32_t at)
{
	if (t->failed == VM_OK)
		t->code[at + 1].imm = (int32_t)*head;
	*head = at;
}

void
branch_resolve(struct translation *t, uint32_t *head)
{
	uint32_t at = *head;

	*head = NO_WORD;
	while (at != NO_WORD && t->failed == VM_OK) {
		uint32_t next = (uint32_t)t->code[at + 1].imm;

		t->code[at + 1].imm = (int32_t)(t->count - at);
		at = next;
	}
	branch_bind(t);
}

/* Words of tables hold the previous one of their chain, and above it their instruction. */
static void
chain_table(struct translation *t, uint32_t *head, uint32_t table, uint32_t word)
{
	t->code[word].u64 = *head | (uint64_t)table << 32;
	*head = word;
}

void
branch_resolve_table(struct translation *t, uint32_t *head)
{
	uint32_t word = *head;

	*head = NO_WORD;
	while (word != NO_WORD && t->failed == VM_OK) {
		uint32_t next = (uint32_t)t->code[word].u64;
		uint32_t table = (uint32_t)(t->code[word].u64 >> 32);

		t->code[word].offset = (int64_t)t->count - table;
		word = next;
	}
	branch_bind(t);
}

struct control *
branch_control(struct translation *t, uint32_t label)
{
	return &t->controls[t->control_depth - 1 - label];
}

/* Let the branch at that word go to a label. */
static void
aim(struct translation *t, struct control *target, uint32_t at)
{
	if (target->op != VM_OP_LOOP)
		branch_chain(t, &target->patches, at);
	else if (t->failed == VM_OK)
		t->code[at + 1].imm = (int32_t)(target->start - at);
}

/* --- conditions ---------------------------------------------------------------------------- */

/* A branch on i32 or i64 when it is not zero (sense) or zero: the handler. */
static handler
plain_branch(bool is_64, bool sense, bool in_acc, bool backward)
{
	return handler_at(&handler_table.branch_value[is_64][sense][in_acc][backward]);
}

/* Fuse with the eqz that was emitted last. False, with nothing changed, when it cannot be. */
static bool
fuse_eqz(struct translation *t, const struct entry *condition, bool sense, bool backward)
{
	enum vm_op op = t->acc.op;
	uint8_t form = t->acc.form;

	if ((op != VM_OP_I32_EQZ && op != VM_OP_I64_EQZ) ||
	    !place_take_back(t, &t->acc, condition))
		return false;
	uint16_t slot = t->code[t->count + 1].a;
	emit_d_imm(t, plain_branch(op == VM_OP_I64_EQZ, !sense, form == FORM_A, backward), slot, 0);
	return true;
}

/* The same with an instruction of two operands that gives an i32. */
static bool
fuse_comparison(struct translation *t, const struct entry *condition, bool sense, bool backward)
{
	enum vm_op op = t->acc.op;
	uint8_t form = t->acc.form;

	if (fusible[op].branch == 0)
		return false;
	bool swap = form == FORM_SA || form == FORM_IS || form == FORM_IA;
	enum vm_op used = swap ? exchanged(op) : op;
	union word made[3];
	memcpy(made, t->code + t->last, (t->count - t->last) * sizeof(made[0]));
	bool from_acc = form == FORM_AS || form == FORM_SA || form == FORM_AI || form == FORM_IA;
	bool has_imm = form == FORM_SI || form == FORM_AI || form == FORM_IS || form == FORM_IA;
	bool is_wide = has_imm && letter_is_float(fusible[op].in);
	bool fits = !has_imm || is_wide || made[1].imm == (int16_t)made[1].imm;

	if (used == VM_OP_COUNT || !fits || !place_take_back(t, &t->acc, condition))
		return false;
	enum form_branch kind = has_imm ? (from_acc ? BRANCH_AI : BRANCH_SI)
	                                : (from_acc ? BRANCH_AS : BRANCH_SS);
	handler fn = handler_at(handler_ref(fusible[used].branch) + kind * 4 + !sense * 2 +
	                        backward);
	union word *at = emit_words(t, fn, is_wide ? 3 : 2);

	/* d and a: the operands in order; one slot is in a unless there is a constant */
	if (kind == BRANCH_SS) {
		at[1].d_ = made[1].a;
		at[1].a_ = made[1].b;
	} else if (kind == BRANCH_AS) {
		at[1].a_ = form == FORM_AS ? made[1].b : made[1].a;
	} else {
		at[1].d_ = made[1].a;
		if (is_wide)
			at[2] = made[2];
		else
			at[1].a_ = (uint16_t)made[1].imm;
	}
	return true;
}

uint32_t
branch_if(struct translation *t, struct entry *condition, bool sense, bool backward)
{
	enum vm_op op = t->acc.op;
	bool fresh = place_is_acc(condition) && t->failed == VM_OK && t->acc.at == t->last &&
	             op != VM_OP_COUNT && !(opcode_table[op].flags & OPF_TRAP);

	if (fresh && (fuse_eqz(t, condition, sense, backward) ||
	              fuse_comparison(t, condition, sense, backward)))
		return t->last;
	bool in_acc = condition->place == PLACE_ACC;
	uint32_t slot = in_acc ? 0 : place_in_slot(t, condition);
	emit_d_imm(t, plain_branch(false, sense, in_acc, backward), slot, 0);
	return t->last;
}

/* --- what a branch moves ------------------------------------------------------------------- */

/* Types that a branch to the label carries. */
static uint32_t
label_arity(const struct walk_label *label)
{
	return label->op == VM_OP_LOOP ? label->param_count : label->result_count;
}

/*
 * Move the top arity operands down to slots from base on, for a branch. Nothing above is changed
 * for code that goes on (a br_if not taken): the stack is left as it is.
 */
static void
emit_transfer(struct translation *t, uint32_t arity, uint32_t base)
{
	if (arity == 0 || t->failed != VM_OK)
		return;
	if (arity > 1)
		place_flush_top(t, arity); /* several could overwrite one another */
	uint32_t slot = base;
	for (uint32_t i = t->depth - arity; i < t->depth && t->failed == VM_OK; i++) {
		place_copy(t, &t->stack[i], slot);
		slot += letter_slots(t->stack[i].letter);
	}
}

/* True when the top operands are, once flushed, where the label wants them. */
static bool
is_in_place(const struct translation *t, uint32_t arity, uint32_t base)
{
	return arity == 0 || t->failed != VM_OK || t->stack[t->depth - arity].slot == base;
}

/* --- branches and returns ------------------------------------------------------------------ */

void
branch_return(struct translation *t)
{
	const struct vm_functype *type = &t->type->func;
	uint32_t link = t->link_slot;

	if (type->result_count == 1 && type->results[0] != VM_V128 && t->failed == VM_OK) {
		struct entry e = t->stack[t->depth - 1];

		if (place_is_acc(&e)) {
			emit_da(t, e.letter == 'f'   ? h_return_F
			           : e.letter == 'd' ? h_return_D
			                             : h_return_A,
			        0, link);
			return;
		}
		if (e.place == PLACE_CONST) {
			emit_const(t, e.slot, e.bits); /* its slot is free */
			emit_da(t, h_return_S, e.slot, link);
			return;
		}
		emit_da(t, h_return_S, e.place == PLACE_LOCAL ? e.local : e.slot, link);
		return;
	}
	emit_transfer(t, type->result_count, 0);
	emit_da(t, h_return_, 0, link);
}

static bool
is_function_label(const struct translation *t, uint32_t label)
{
	return label + 1 == t->control_depth;
}

void
branch_always(struct translation *t, uint32_t label)
{
	if (is_function_label(t, label)) {
		branch_return(t);
		return;
	}
	struct control *target = branch_control(t, label);
	uint32_t arity = label_arity(walker_label(t->walker, label));

	if (is_in_place(t, arity, target->base_slot))
		place_flush_top(t, arity);
	else
		emit_transfer(t, arity, target->base_slot);
	emit_d_imm(t, target->op == VM_OP_LOOP ? h_jump_back : h_jump, 0, 0);
	aim(t, target, t->last);
}

void
branch_conditional(struct translation *t, uint32_t label, struct entry *condition)
{
	struct control *target = branch_control(t, label);
	uint32_t arity = label_arity(walker_label(t->walker, label));
	bool to_function = is_function_label(t, label);

	if (!to_function && is_in_place(t, arity, target->base_slot)) {
		place_flush_top(t, arity);
		uint32_t at = branch_if(t, condition, true, target->op == VM_OP_LOOP);

		aim(t, target, at);
		return;
	}
	/*
	 * What the transfer would change must be seen on both ways: several values are flushed, and
	 * one that is in an accumulator cannot be there for one way and in its slot for the other.
	 */
	if (arity > 1)
		place_flush_top(t, arity);
	else if (arity == 1 && t->failed == VM_OK && place_is_acc(&t->stack[t->depth - 1]))
		place_materialise(t, &t->stack[t->depth - 1]);
	uint32_t skip = NO_WORD;
	branch_chain(t, &skip, branch_if(t, condition, false, false));
	branch_always(t, label);
	branch_resolve(t, &skip);
}

void
branch_on_null(struct translation *t, uint32_t label, bool when_null)
{
	/*
	 * The reference stays for the way on (br_on_null) or goes along (br_on_non_null). All that
	 * moves is in its slot beforehand, so that both ways see it there.
	 */
	place_flush(t);
	place_flush_top(t, label_arity(walker_label(t->walker, label)) + when_null);
	if (t->failed != VM_OK)
		return;
	struct entry ref = t->stack[t->depth - 1];
	if (when_null)
		(void)place_pop(t);
	uint32_t skip = NO_WORD;
	emit_d_imm(t, when_null ? h_branch_nz64_S : h_branch_z64_S, ref.slot, 0);
	branch_chain(t, &skip, t->last);
	branch_always(t, label);
	branch_resolve(t, &skip);
	if (when_null)
		place_push_slot(t, 'l');
	else
		(void)place_pop(t);
}

/* Where a table's word for the label goes: straight to it, or to a landing that moves values. */
static void
aim_table(struct translation *t, uint32_t table, uint32_t word, uint32_t label)
{
	struct control *target = branch_control(t, label);
	uint32_t arity = label_arity(walker_label(t->walker, label));

	if (t->failed != VM_OK)
		return;
	if (!is_function_label(t, label) && is_in_place(t, arity, target->base_slot)) {
		if (target->op == VM_OP_LOOP)
			t->code[word].offset = (int64_t)target->start - table;
		else
			chain_table(t, &target->table_patches, table, word);
		return;
	}
	if (target->table != table) {
		target->table = table;
		target->landing = t->count;
		branch_bind(t);
		branch_always(t, label);
		if (t->failed != VM_OK)
			return;
	}
	t->code[word].offset = (int64_t)target->landing - table;
}

void
branch_table(struct translation *t, const struct walk_labels *labels)
{
	struct entry index = place_pop(t);
	bool in_acc = index.place == PLACE_ACC;
	uint32_t slot = in_acc ? 0 : place_in_slot(t, &index);
	uint32_t arity = label_arity(walker_label(t->walker, labels->depths[labels->count]));

	place_flush_top(t, arity);
	union word *at = emit_words(t, in_acc ? h_table_A : h_table_S, 2);
	at[1].d_ = (uint16_t)slot;
	at[1].imm = (int32_t)labels->count;
	uint32_t table = t->last;
	for (uint32_t i = 0; i <= labels->count && t->failed == VM_OK; i++)
		(void)emit_words(t, NULL, 1);
	for (uint32_t i = 0; i <= labels->count; i++)
		aim_table(t, table, table + 2 + i, labels->depths[i]);
}
