#include "vm/llvm/bases.h"

#include <string.h>

/*
 * Static objects lie behind the first 1024 bytes, where linkers leave a hole; members of structures
 * have smaller offsets. What lies near a hidden address is reached from it, by a constant that
 * stays in sight: neighbours in an array belong together.
 */
enum { STATIC_OFFSET_MIN = 1024, NEAR_BYTES = 1024, BASES_MAX = 64 };

/* memory + offset, hidden. */
struct base {
	LLVMValueRef memory;
	int64_t offset;
	LLVMValueRef value;
};

struct bases {
	const struct emit *e;
	struct base items[BASES_MAX]; /* of a function */
	unsigned int count;
};

/* pointer + by, over bytes. */
static bool
is_sum(const struct emit *e, LLVMValueRef value)
{
	return LLVMIsAGetElementPtrInst(value) != NULL && LLVMGetNumOperands(value) == 2 &&
	       LLVMGetGEPSourceElementType(value) == e->t.i8 &&
	       LLVMTypeOf(LLVMGetOperand(value, 1)) == e->t.i64;
}

static bool
static_offset(const struct emit *e, LLVMValueRef value, int64_t *out)
{
	if (!is_sum(e, value) || LLVMIsAConstantInt(LLVMGetOperand(value, 1)) == NULL)
		return false;
	*out = LLVMConstIntGetSExtValue(LLVMGetOperand(value, 1));
	return *out >= STATIC_OFFSET_MIN;
}

static LLVMValueRef
sum(const struct emit *e, LLVMValueRef pointer, LLVMValueRef by)
{
	return LLVMBuildInBoundsGEP2(e->builder, e->t.i8, pointer, &by, 1, "");
}

/* Made right behind the load of the memory's address, so that it can be used wherever that is. */
static LLVMValueRef
hidden(const struct emit *e, LLVMValueRef memory, int64_t offset)
{
	static const char name[] = "llvm.strip.invariant.group";
	unsigned int id = LLVMLookupIntrinsicID(name, strlen(name));
	LLVMTypeRef ptr = e->t.ptr;

	LLVMPositionBuilderBefore(e->builder, LLVMGetNextInstruction(memory));
	LLVMValueRef plain = sum(e, memory, emit_i64(e, (uint64_t)offset));
	return LLVMBuildCall2(e->builder, LLVMIntrinsicGetType(e->context, id, &ptr, 1),
	                      LLVMGetIntrinsicDeclaration(e->llvm, id, &ptr, 1), &plain, 1, "");
}

/* The hidden address near memory + offset; NULL when there are too many. */
static const struct base *
base_find(struct bases *bases, LLVMValueRef memory, int64_t offset)
{
	for (unsigned int i = 0; i < bases->count; i++) {
		const struct base *base = &bases->items[i];

		if (base->memory == memory && offset > base->offset - NEAR_BYTES &&
		    offset < base->offset + NEAR_BYTES)
			return base;
	}
	if (bases->count == BASES_MAX)
		return NULL;
	struct base *base = &bases->items[bases->count++];
	*base = (struct base){ memory, offset, hidden(bases->e, memory, offset) };
	return base;
}

/* An address by another way; by is what is added to memory + offset, or NULL. */
static void
address_replace(struct bases *bases, LLVMValueRef address, LLVMValueRef memory, int64_t offset,
                LLVMValueRef by)
{
	const struct emit *e = bases->e;
	const struct base *base = base_find(bases, memory, offset);

	if (base == NULL)
		return;
	LLVMValueRef value = base->value;
	LLVMPositionBuilderBefore(e->builder, address);
	if (by != NULL)
		value = sum(e, value, by);
	if (offset != base->offset)
		value = sum(e, value, emit_i64(e, (uint64_t)(offset - base->offset)));
	LLVMReplaceAllUsesWith(address, value);
}

static bool
has_index(const struct emit *e, LLVMValueRef address)
{
	for (LLVMUseRef use = LLVMGetFirstUse(address); use != NULL; use = LLVMGetNextUse(use)) {
		LLVMValueRef user = LLVMGetUser(use);

		if (is_sum(e, user) && LLVMIsAConstantInt(LLVMGetOperand(user, 1)) == NULL)
			return true;
	}
	return false;
}

/* (memory + offset), to which an index is added; or (memory + index) + offset. */
static void
address_visit(struct bases *bases, LLVMValueRef address)
{
	int64_t offset;

	if (!static_offset(bases->e, address, &offset))
		return;
	LLVMValueRef pointer = LLVMGetOperand(address, 0);
	if (LLVMIsALoadInst(pointer) != NULL) {
		if (has_index(bases->e, address))
			address_replace(bases, address, pointer, offset, NULL);
	} else if (is_sum(bases->e, pointer) &&
	           LLVMIsALoadInst(LLVMGetOperand(pointer, 0)) != NULL) {
		address_replace(bases, address, LLVMGetOperand(pointer, 0), offset,
		                LLVMGetOperand(pointer, 1));
	}
}

void
bases_hide(const struct emit *e)
{
	LLVMSetCurrentDebugLocation2(e->builder, NULL);
	for (LLVMValueRef f = LLVMGetFirstFunction(e->llvm); f != NULL;
	     f = LLVMGetNextFunction(f)) {
		struct bases bases = { .e = e };

		for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block != NULL;
		     block = LLVMGetNextBasicBlock(block))
			for (LLVMValueRef i = LLVMGetFirstInstruction(block); i != NULL;
			     i = LLVMGetNextInstruction(i))
				address_visit(&bases, i);
	}
}
