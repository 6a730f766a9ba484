#include "vm/llvm/counters.h"

enum { USERS_MAX = 64 };

/* counter = phi [start, before], [next, loop]; next = counter + step */
struct counter {
	LLVMValueRef phi, next, start, step;
	unsigned int from_outside; /* which of the two incoming edges */
};

/* value + constant, by an addition, or by an or of different bits. */
static bool
is_sum_with(LLVMValueRef insn, LLVMValueRef value)
{
	if (LLVMIsABinaryOperator(insn) == NULL || LLVMGetOperand(insn, 0) != value ||
	    LLVMIsAConstantInt(LLVMGetOperand(insn, 1)) == NULL)
		return false;
	LLVMOpcode op = LLVMGetInstructionOpcode(insn);
	return op == LLVMAdd || (op == LLVMOr && LLVMGetIsDisjoint(insn));
}

static bool
counter_find(const struct emit *e, LLVMValueRef phi, struct counter *out)
{
	if (LLVMTypeOf(phi) != e->t.i32 || LLVMCountIncoming(phi) != 2)
		return false;
	unsigned int outside = LLVMIsAConstantInt(LLVMGetIncomingValue(phi, 0)) != NULL ? 0 : 1;
	LLVMValueRef start = LLVMGetIncomingValue(phi, outside);
	LLVMValueRef next = LLVMGetIncomingValue(phi, 1 - outside);
	if (LLVMIsAConstantInt(start) == NULL || LLVMConstIntGetSExtValue(start) >= 0 ||
	    !is_sum_with(next, phi))
		return false;
	*out = (struct counter){ phi, next, start, LLVMGetOperand(next, 1), outside };
	return true;
}

/* The instructions that use a value, but for one; false when there are too many. */
static bool
users_of(LLVMValueRef value, LLVMValueRef except, LLVMValueRef *out, unsigned int *out_count)
{
	for (LLVMUseRef use = LLVMGetFirstUse(value); use != NULL; use = LLVMGetNextUse(use)) {
		LLVMValueRef user = LLVMGetUser(use);

		if (user == except)
			continue;
		if (*out_count == USERS_MAX)
			return false;
		out[(*out_count)++] = user;
	}
	return true;
}

static bool
is_equality_with(LLVMValueRef insn, LLVMValueRef value)
{
	if (LLVMIsAICmpInst(insn) == NULL || LLVMGetOperand(insn, 0) != value ||
	    LLVMIsAConstantInt(LLVMGetOperand(insn, 1)) == NULL)
		return false;
	LLVMIntPredicate predicate = LLVMGetICmpPredicate(insn);
	return predicate == LLVMIntEQ || predicate == LLVMIntNE;
}

/* Uses of old in an instruction become uses of new. */
static void
operand_replace(LLVMValueRef user, LLVMValueRef old, LLVMValueRef new)
{
	int count = LLVMGetNumOperands(user);

	for (int i = 0; i < count; i++)
		if (LLVMGetOperand(user, (unsigned int)i) == old)
			LLVMSetOperand(user, (unsigned int)i, new);
}

/*
 * Let users of old have rebased + start, which whole is. Constants are put together at once,
 * since the passes that follow look for them.
 */
static void
users_rewrite(const struct emit *e, LLVMValueRef *users, unsigned int count, LLVMValueRef old,
              LLVMValueRef rebased, LLVMValueRef whole, LLVMValueRef start)
{
	for (unsigned int i = 0; i < count; i++) {
		LLVMValueRef user = users[i];

		if (is_equality_with(user, old)) {
			LLVMValueRef with = LLVMGetOperand(user, 1);

			LLVMSetOperand(user, 0, rebased);
			LLVMSetOperand(user, 1, LLVMConstSub(with, start));
		} else if (is_sum_with(user, old)) {
			LLVMValueRef by = LLVMConstAdd(LLVMGetOperand(user, 1), start);

			LLVMPositionBuilderBefore(e->builder, user);
			LLVMReplaceAllUsesWith(user, LLVMBuildAdd(e->builder, rebased, by, ""));
			LLVMInstructionEraseFromParent(user);
		} else {
			operand_replace(user, old, whole);
		}
	}
}

static LLVMValueRef
first_behind_phis(LLVMValueRef phi)
{
	while (LLVMIsAPHINode(phi) != NULL)
		phi = LLVMGetNextInstruction(phi);
	return phi;
}

static void
counter_rebase(const struct emit *e, const struct counter *c)
{
	LLVMBuilderRef b = e->builder;
	LLVMValueRef of_phi[USERS_MAX], of_next[USERS_MAX];
	unsigned int of_phi_count = 0, of_next_count = 0;
	LLVMBasicBlockRef blocks[2] = { LLVMGetIncomingBlock(c->phi, c->from_outside),
		                        LLVMGetIncomingBlock(c->phi, 1 - c->from_outside) };

	if (!users_of(c->phi, c->next, of_phi, &of_phi_count) ||
	    !users_of(c->next, c->phi, of_next, &of_next_count))
		return;
	LLVMPositionBuilderBefore(b, c->phi);
	LLVMValueRef phi = LLVMBuildPhi(b, e->t.i32, "");
	LLVMPositionBuilderBefore(b, first_behind_phis(c->phi));
	LLVMValueRef phi_whole = LLVMBuildAdd(b, phi, c->start, "");
	LLVMPositionBuilderBefore(b, c->next);
	LLVMValueRef next = LLVMBuildAdd(b, phi, c->step, "");
	LLVMValueRef next_whole = LLVMBuildAdd(b, next, c->start, "");
	LLVMValueRef values[2] = { LLVMConstNull(e->t.i32), next };
	LLVMAddIncoming(phi, values, blocks, 2);

	users_rewrite(e, of_phi, of_phi_count, c->phi, phi, phi_whole, c->start);
	users_rewrite(e, of_next, of_next_count, c->next, next, next_whole, c->start);
	/* The two have only each other now. */
	LLVMReplaceAllUsesWith(c->phi, LLVMGetPoison(e->t.i32));
	LLVMInstructionEraseFromParent(c->phi);
	LLVMInstructionEraseFromParent(c->next);
}

static void
block_visit(const struct emit *e, LLVMBasicBlockRef block)
{
	LLVMValueRef phi = LLVMGetFirstInstruction(block);
	struct counter counter;

	while (phi != NULL && LLVMIsAPHINode(phi) != NULL) {
		LLVMValueRef following = LLVMGetNextInstruction(phi);

		if (counter_find(e, phi, &counter))
			counter_rebase(e, &counter);
		phi = following;
	}
}

void
counters_rebase(const struct emit *e)
{
	for (LLVMValueRef f = LLVMGetFirstFunction(e->llvm); f != NULL; f = LLVMGetNextFunction(f))
		for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block != NULL;
		     block = LLVMGetNextBasicBlock(block))
			block_visit(e, block);
}
