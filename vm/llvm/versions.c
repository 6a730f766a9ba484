#include "vm/llvm/versions.h"

#include <stdlib.h>
#include <string.h>

/* Larger loops gain little, and the copy costs compile time. */
enum { LOOP_INSNS_MAX = 256, LOOP_ACCESSES_MAX = 32, EXPR_DEPTH_MAX = 24 };

/* Loops that are known to run no more often are unrolled instead. */
enum { RUNS_MIN = 8 };

/* A guest access of the loop: bytes [index + low, index + high) where index changes by delta. */
struct access {
	LLVMValueRef insn;
	LLVMValueRef base;  /* the memory's first byte */
	LLVMValueRef index; /* i32, as the loop computes it */
	int64_t delta;
	uint64_t low, high; /* constant offset, and behind the last byte */
};

/* How often the loop runs: it goes on while value (by delta) stands in relation to bound. */
struct exit_test {
	LLVMIntPredicate predicate; /* NE, or ULT after mirroring and biasing */
	LLVMValueRef value, bound;
	int64_t delta;
	unsigned int width;
	bool is_signed;   /* compare as signed: both get the sign bit flipped */
	bool is_mirrored; /* goes down: both are complemented */
	bool or_equal;
};

struct loop {
	const struct emit *e;
	LLVMValueRef function;
	LLVMBasicBlockRef block, before, after;
	LLVMValueRef term;
	bool stays_on_true;
	struct exit_test exit;
	struct access accesses[LOOP_ACCESSES_MAX];
	unsigned int access_count;
	LLVMValueRef old[LOOP_INSNS_MAX], new[LOOP_INSNS_MAX];
	unsigned int insn_count;
};

/* --- expressions ---------------------------------------------------------------------------- */

static bool
is_inside(const struct loop *loop, LLVMValueRef value)
{
	return LLVMIsAInstruction(value) != NULL &&
	       LLVMGetInstructionParent(value) == loop->block;
}

static LLVMValueRef
phi_incoming(LLVMValueRef phi, LLVMBasicBlockRef from)
{
	unsigned int count = LLVMCountIncoming(phi);

	for (unsigned int i = 0; i < count; i++)
		if (LLVMGetIncomingBlock(phi, i) == from)
			return LLVMGetIncomingValue(phi, i);
	return NULL;
}

static bool
constant_of(LLVMValueRef value, int64_t *out)
{
	if (LLVMIsAConstantInt(value) == NULL)
		return false;
	*out = LLVMConstIntGetSExtValue(value);
	return true;
}

/* A step between two runs of the loop has to be small, so that sums of them stay far from 2^63. */
static bool
step_is_sane(int64_t delta)
{
	return delta > -(INT64_C(1) << 31) && delta < INT64_C(1) << 31;
}

static bool affine(const struct loop *loop, LLVMValueRef value, unsigned int depth, int64_t *out);

/* phi = [start, before], [phi + constant, block] */
static bool
affine_phi(const struct loop *loop, LLVMValueRef phi, int64_t *out_delta)
{
	LLVMValueRef next = phi_incoming(phi, loop->block);
	int64_t constant;

	if (next == NULL || LLVMIsABinaryOperator(next) == NULL)
		return false;
	LLVMOpcode op = LLVMGetInstructionOpcode(next);
	LLVMValueRef left = LLVMGetOperand(next, 0);
	LLVMValueRef right = LLVMGetOperand(next, 1);
	if (op == LLVMAdd && right == phi) {
		right = left;
		left = phi;
	}
	if ((op != LLVMAdd && op != LLVMSub) || left != phi || !constant_of(right, &constant))
		return false;
	*out_delta = op == LLVMAdd ? constant : -constant;
	return step_is_sane(*out_delta);
}

static bool
affine_binary(const struct loop *loop, LLVMValueRef value, unsigned int depth, int64_t *out)
{
	LLVMOpcode op = LLVMGetInstructionOpcode(value);
	int64_t left, right, constant;

	if (!affine(loop, LLVMGetOperand(value, 0), depth, &left) ||
	    !affine(loop, LLVMGetOperand(value, 1), depth, &right))
		return false;
	switch ((int)op) {
	case LLVMAdd:
		*out = left + right;
		return true;
	case LLVMSub:
		*out = left - right;
		return true;
	case LLVMOr: /* of different bits it is an addition */
		*out = left + right;
		return LLVMGetIsDisjoint(value);
	case LLVMMul:
		if (constant_of(LLVMGetOperand(value, 1), &constant) && step_is_sane(constant)) {
			*out = left * constant;
			return true;
		}
		return false;
	case LLVMShl:
		if (constant_of(LLVMGetOperand(value, 1), &constant) && constant >= 0 &&
		    constant < 31) {
			*out = left * (INT64_C(1) << constant);
			return true;
		}
		return false;
	default:
		return false;
	}
}

/*
 * Whether an integer changes by a constant from one run of the loop to the next, in arithmetic
 * modulo its width; by 0 when it does not depend on the loop.
 */
static bool
affine(const struct loop *loop, LLVMValueRef value, unsigned int depth, int64_t *out)
{
	*out = 0;
	if (!is_inside(loop, value))
		return true;
	if (depth == 0)
		return false;
	if (LLVMIsAPHINode(value) != NULL)
		return affine_phi(loop, value, out);
	if (LLVMIsABinaryOperator(value) == NULL)
		return false;
	return affine_binary(loop, value, depth - 1, out) && step_is_sane(*out);
}

/* The value that an affine expression has in the first run, computed where the builder is. */
static LLVMValueRef
first_value(const struct loop *loop, LLVMValueRef value)
{
	if (!is_inside(loop, value))
		return value;
	if (LLVMIsAPHINode(value) != NULL)
		return phi_incoming(value, loop->before);
	return LLVMBuildBinOp(loop->e->builder, LLVMGetInstructionOpcode(value),
	                      first_value(loop, LLVMGetOperand(value, 0)),
	                      first_value(loop, LLVMGetOperand(value, 1)), "");
}

/* --- what a loop may contain ---------------------------------------------------------------- */

static uint64_t
type_bytes(LLVMTypeRef type)
{
	switch ((int)LLVMGetTypeKind(type)) {
	case LLVMIntegerTypeKind:
		return (LLVMGetIntTypeWidth(type) + 7) / 8;
	case LLVMFloatTypeKind:
		return 4;
	case LLVMDoubleTypeKind:
		return 8;
	default:
		return 0;
	}
}

/* Add a constant number of bytes, far from wrapping. */
static bool
offset_add(uint64_t *sum, LLVMValueRef value)
{
	int64_t constant;

	if (!constant_of(value, &constant) || constant < 0 || constant > INT64_C(1) << 33)
		return false;
	*sum += (uint64_t)constant;
	return true;
}

/* i64 = zext(i32 index) [+ constant that cannot wrap] */
static bool
index_find(LLVMValueRef value, struct access *out)
{
	if (LLVMIsABinaryOperator(value) != NULL && LLVMGetInstructionOpcode(value) == LLVMAdd &&
	    LLVMGetNUW(value)) {
		if (!offset_add(&out->low, LLVMGetOperand(value, 1)))
			return false;
		value = LLVMGetOperand(value, 0);
	}
	if (LLVMIsAZExtInst(value) == NULL)
		return false;
	out->index = LLVMGetOperand(value, 0);
	return LLVMTypeOf(out->index) == LLVMInt32TypeInContext(
	                                     LLVMGetTypeContext(LLVMTypeOf(out->index)));
}

/* Memory 0 begins where the instance says so: emit_memory_base loads it. */
static bool
is_memory_base(const struct loop *loop, LLVMValueRef value)
{
	int64_t offset;

	if (is_inside(loop, value) || LLVMIsALoadInst(value) == NULL)
		return false;
	LLVMValueRef from = LLVMGetOperand(value, 0);
	return LLVMIsAGetElementPtrInst(from) != NULL && LLVMGetNumOperands(from) == 2 &&
	       LLVMGetOperand(from, 0) == LLVMGetParam(loop->function, 0) &&
	       LLVMGetGEPSourceElementType(from) == loop->e->t.i8 &&
	       constant_of(LLVMGetOperand(from, 1), &offset) &&
	       offset == (int64_t)offsetof(struct vm_instance, memory0);
}

/* An address is base + index + constants, by any number of GEPs over bytes. */
static bool
address_find(const struct loop *loop, LLVMValueRef address, struct access *out)
{
	for (unsigned int depth = 0; depth < EXPR_DEPTH_MAX; depth++) {
		if (LLVMIsAGetElementPtrInst(address) == NULL)
			break;
		if (LLVMGetNumOperands(address) != 2 ||
		    LLVMGetGEPSourceElementType(address) != loop->e->t.i8)
			return false;
		LLVMValueRef by = LLVMGetOperand(address, 1);
		address = LLVMGetOperand(address, 0);
		if (LLVMIsAConstantInt(by) != NULL) {
			if (!offset_add(&out->low, by))
				return false;
		} else if (out->index != NULL || !index_find(by, out)) {
			return false;
		}
	}
	out->base = address;
	return out->index != NULL && is_memory_base(loop, address);
}

static bool
access_add(struct loop *loop, LLVMValueRef insn)
{
	bool is_load = LLVMIsALoadInst(insn) != NULL;
	LLVMTypeRef type = is_load ? LLVMTypeOf(insn) : LLVMTypeOf(LLVMGetOperand(insn, 0));
	struct access access = { .insn = insn };

	if (loop->access_count == LOOP_ACCESSES_MAX || type_bytes(type) == 0 ||
	    !address_find(loop, LLVMGetOperand(insn, is_load ? 0 : 1), &access) ||
	    !affine(loop, access.index, EXPR_DEPTH_MAX, &access.delta))
		return false;
	access.high = access.low + type_bytes(type);
	loop->accesses[loop->access_count++] = access;
	return true;
}

static bool
is_harmless_call(LLVMValueRef insn)
{
	static const char *const names[] = {
		"llvm.abs.",      "llvm.bitreverse.", "llvm.bswap.",    "llvm.ceil.",
		"llvm.copysign.", "llvm.ctlz.",       "llvm.ctpop.",    "llvm.cttz.",
		"llvm.fabs.",     "llvm.floor.",      "llvm.fsh",       "llvm.maximum.",
		"llvm.minimum.",  "llvm.roundeven.",  "llvm.sadd.sat.", "llvm.smax.",
		"llvm.smin.",     "llvm.sqrt.",       "llvm.ssub.sat.", "llvm.trunc.",
		"llvm.uadd.sat.", "llvm.umax.",       "llvm.umin.",     "llvm.usub.sat.",
	};
	LLVMValueRef callee = LLVMGetCalledValue(insn);
	size_t len;

	if (LLVMIsAFunction(callee) == NULL || LLVMGetIntrinsicID(callee) == 0)
		return false;
	const char *name = LLVMGetValueName2(callee, &len);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* A sum of floats may not be reordered; what the run before has loaded is no such thing. */
static bool
phi_is_vectorisable(const struct loop *loop, LLVMValueRef phi)
{
	if (LLVMCountIncoming(phi) != 2)
		return false;
	return LLVMGetTypeKind(LLVMTypeOf(phi)) == LLVMIntegerTypeKind ||
	       LLVMIsALoadInst(phi_incoming(phi, loop->block)) != NULL;
}

static bool
insn_is_fit(struct loop *loop, LLVMValueRef insn)
{
	LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(insn));

	if (kind == LLVMVectorTypeKind)
		return false;
	switch ((int)LLVMGetInstructionOpcode(insn)) {
	case LLVMPHI:
		return phi_is_vectorisable(loop, insn);
	case LLVMLoad:
	case LLVMStore:
		return access_add(loop, insn);
	case LLVMCall:
		return is_harmless_call(insn);
	case LLVMUDiv:
	case LLVMSDiv:
	case LLVMURem:
	case LLVMSRem:
		return LLVMIsAConstantInt(LLVMGetOperand(insn, 1)) != NULL;
	case LLVMSelect:
	case LLVMICmp:
	case LLVMFCmp:
	case LLVMGetElementPtr:
	case LLVMFNeg:
	case LLVMFreeze:
	case LLVMBr:
		return true;
	default:
		return LLVMIsABinaryOperator(insn) != NULL || LLVMIsACastInst(insn) != NULL;
	}
}

/* Outside, values of the loop are used only by phis of the block behind it (LCSSA). */
static bool
uses_are_fit(const struct loop *loop, LLVMValueRef insn)
{
	for (LLVMUseRef use = LLVMGetFirstUse(insn); use != NULL; use = LLVMGetNextUse(use)) {
		LLVMValueRef user = LLVMGetUser(use);

		if (LLVMIsAInstruction(user) == NULL)
			return false;
		LLVMBasicBlockRef at = LLVMGetInstructionParent(user);
		if (at != loop->block && (at != loop->after || LLVMIsAPHINode(user) == NULL))
			return false;
	}
	return true;
}

static bool
body_is_fit(struct loop *loop)
{
	for (LLVMValueRef insn = LLVMGetFirstInstruction(loop->block); insn != NULL;
	     insn = LLVMGetNextInstruction(insn)) {
		if (loop->insn_count == LOOP_INSNS_MAX || !insn_is_fit(loop, insn) ||
		    !uses_are_fit(loop, insn))
			return false;
		loop->old[loop->insn_count++] = insn;
	}
	return loop->access_count > 0;
}

/* --- how often it runs ---------------------------------------------------------------------- */

static LLVMIntPredicate
inverse(LLVMIntPredicate predicate)
{
	switch (predicate) {
	case LLVMIntEQ:
		return LLVMIntNE;
	case LLVMIntNE:
		return LLVMIntEQ;
	case LLVMIntUGT:
		return LLVMIntULE;
	case LLVMIntUGE:
		return LLVMIntULT;
	case LLVMIntULT:
		return LLVMIntUGE;
	case LLVMIntULE:
		return LLVMIntUGT;
	case LLVMIntSGT:
		return LLVMIntSLE;
	case LLVMIntSGE:
		return LLVMIntSLT;
	case LLVMIntSLT:
		return LLVMIntSGE;
	case LLVMIntSLE:
	default:
		return LLVMIntSGT;
	}
}

static LLVMIntPredicate
swapped(LLVMIntPredicate predicate)
{
	switch (predicate) {
	case LLVMIntUGT:
		return LLVMIntULT;
	case LLVMIntUGE:
		return LLVMIntULE;
	case LLVMIntULT:
		return LLVMIntUGT;
	case LLVMIntULE:
		return LLVMIntUGE;
	case LLVMIntSGT:
		return LLVMIntSLT;
	case LLVMIntSGE:
		return LLVMIntSLE;
	case LLVMIntSLT:
		return LLVMIntSGT;
	case LLVMIntSLE:
		return LLVMIntSGE;
	case LLVMIntEQ:
	case LLVMIntNE:
	default:
		return predicate;
	}
}

/* Make "less than, going up" of any inequality that ends. */
static bool
inequality_set(struct exit_test *exit, LLVMIntPredicate predicate)
{
	bool goes_up = predicate == LLVMIntULT || predicate == LLVMIntULE ||
	               predicate == LLVMIntSLT || predicate == LLVMIntSLE;

	if (exit->width != 32 || goes_up != (exit->delta > 0))
		return false;
	exit->predicate = LLVMIntULT;
	exit->is_mirrored = !goes_up;
	exit->is_signed = predicate == LLVMIntSLT || predicate == LLVMIntSLE ||
	                  predicate == LLVMIntSGT || predicate == LLVMIntSGE;
	exit->or_equal = predicate == LLVMIntULE || predicate == LLVMIntSLE ||
	                 predicate == LLVMIntUGE || predicate == LLVMIntSGE;
	return true;
}

static bool
exit_find(struct loop *loop)
{
	struct exit_test *exit = &loop->exit;
	LLVMValueRef test = LLVMGetCondition(loop->term);

	if (LLVMIsAICmpInst(test) == NULL || !is_inside(loop, test))
		return false;
	LLVMIntPredicate predicate = LLVMGetICmpPredicate(test);
	exit->value = LLVMGetOperand(test, 0);
	exit->bound = LLVMGetOperand(test, 1);
	if (LLVMGetTypeKind(LLVMTypeOf(exit->value)) != LLVMIntegerTypeKind)
		return false;
	if (!is_inside(loop, exit->value)) {
		LLVMValueRef value = exit->bound;

		exit->bound = exit->value;
		exit->value = value;
		predicate = swapped(predicate);
	}
	if (!loop->stays_on_true)
		predicate = inverse(predicate);
	exit->width = LLVMGetIntTypeWidth(LLVMTypeOf(exit->value));
	if ((exit->width != 32 && exit->width != 64) || is_inside(loop, exit->bound) ||
	    !affine(loop, exit->value, EXPR_DEPTH_MAX, &exit->delta) || exit->delta == 0)
		return false;
	if (predicate == LLVMIntNE) {
		exit->predicate = LLVMIntNE;
		return true;
	}
	return predicate != LLVMIntEQ && inequality_set(exit, predicate);
}

static LLVMValueRef
constant64(const struct loop *loop, uint64_t value)
{
	return LLVMConstInt(loop->e->t.i64, value, false);
}

static LLVMValueRef
both(const struct loop *loop, LLVMValueRef left, LLVMValueRef right)
{
	return left == NULL ? right : LLVMBuildAnd(loop->e->builder, left, right, "");
}

/* value != bound: the distance modulo 2^width has to be a multiple of the step. */
static LLVMValueRef
runs_until_equal(const struct loop *loop, LLVMValueRef *ok)
{
	const struct exit_test *exit = &loop->exit;
	LLVMBuilderRef b = loop->e->builder;
	LLVMValueRef first = first_value(loop, exit->value);
	uint64_t step = (uint64_t)(exit->delta > 0 ? exit->delta : -exit->delta);
	LLVMValueRef distance = exit->delta > 0 ? LLVMBuildSub(b, exit->bound, first, "")
	                                        : LLVMBuildSub(b, first, exit->bound, "");

	if (exit->width == 32)
		distance = LLVMBuildZExt(b, distance, loop->e->t.i64, "");
	/* Of a 64-bit counter, only what fits the sums that follow. */
	*ok = both(loop, *ok,
	           LLVMBuildICmp(b, LLVMIntULT, distance, constant64(loop, UINT64_C(1) << 32), ""));
	if (step == 1)
		return distance;
	LLVMValueRef by = constant64(loop, step);
	*ok = both(loop, *ok,
	           LLVMBuildICmp(b, LLVMIntEQ, LLVMBuildURem(b, distance, by, ""),
	                         constant64(loop, 0), ""));
	return LLVMBuildUDiv(b, distance, by, "");
}

/* value < bound, 32 bits wide, going up, after flipping what has to be flipped. */
static LLVMValueRef
runs_while_less(const struct loop *loop, LLVMValueRef *ok)
{
	const struct exit_test *exit = &loop->exit;
	LLVMBuilderRef b = loop->e->builder;
	LLVMTypeRef i64 = loop->e->t.i64;
	uint64_t step = (uint64_t)(exit->delta > 0 ? exit->delta : -exit->delta);
	uint32_t flip = (exit->is_signed ? UINT32_C(1) << 31 : 0) ^
	                (exit->is_mirrored ? UINT32_MAX : 0);
	LLVMValueRef mask = LLVMConstInt(loop->e->t.i32, flip, false);
	LLVMValueRef first = LLVMBuildXor(b, first_value(loop, exit->value), mask, "");
	LLVMValueRef bound = LLVMBuildXor(b, exit->bound, mask, "");

	first = LLVMBuildZExt(b, first, i64, "");
	bound = LLVMBuildZExt(b, bound, i64, "");
	if (exit->or_equal)
		bound = LLVMBuildAdd(b, bound, constant64(loop, 1), "");
	LLVMValueRef ends_at_once = LLVMBuildICmp(b, LLVMIntUGE, first, bound, "");
	LLVMValueRef distance = LLVMBuildSub(b, bound, first, "");
	LLVMValueRef rounded = LLVMBuildAdd(b, distance, constant64(loop, step - 1), "");
	LLVMValueRef runs = step == 1 ? rounded
	                              : LLVMBuildUDiv(b, rounded, constant64(loop, step), "");
	runs = LLVMBuildSelect(b, ends_at_once, constant64(loop, 0), runs, "");
	/* The counter must not wrap before it gets there. */
	LLVMValueRef last =
	    LLVMBuildAdd(b, first, LLVMBuildMul(b, runs, constant64(loop, step), ""), "");
	*ok = both(loop, *ok,
	           LLVMBuildICmp(b, LLVMIntULE, last, constant64(loop, UINT32_MAX), ""));
	return runs;
}

/* --- the check in front --------------------------------------------------------------------- */

static LLVMValueRef
field(const struct loop *loop, LLVMTypeRef type, LLVMValueRef object, uint64_t offset)
{
	LLVMBuilderRef b = loop->e->builder;
	LLVMValueRef by = constant64(loop, offset);
	LLVMValueRef at = LLVMBuildInBoundsGEP2(b, loop->e->t.i8, object, &by, 1, "");
	LLVMValueRef value = LLVMBuildLoad2(b, type, at, "");

	emit_set_region(loop->e, value, REGION_INSTANCE);
	return value;
}

/* Bytes of memory 0 now: its object is part of the instance, or imported. */
static LLVMValueRef
memory_size(const struct loop *loop)
{
	const struct emit *e = loop->e;
	LLVMValueRef instance = LLVMGetParam(loop->function, 0);
	const uint64_t offset = offsetof(struct vm_memory, size);

	if (e->module->memory_import_count == 0)
		return field(loop, e->t.i64, instance, e->layout->own_memories + offset);
	return field(loop, e->t.i64, field(loop, e->t.ptr, instance, e->layout->memories), offset);
}

/* All addresses from the first to the last run are below the memory's size, and none wraps. */
static LLVMValueRef
access_check(const struct loop *loop, const struct access *access, LLVMValueRef first,
             LLVMValueRef more_runs, LLVMValueRef size)
{
	LLVMBuilderRef b = loop->e->builder;
	uint64_t step = (uint64_t)(access->delta > 0 ? access->delta : -access->delta);
	LLVMValueRef way = LLVMBuildMul(b, more_runs, constant64(loop, step), "");
	LLVMValueRef highest = access->delta > 0 ? LLVMBuildAdd(b, first, way, "") : first;
	LLVMValueRef end = LLVMBuildAdd(b, highest, constant64(loop, access->high), "");
	LLVMValueRef ok = LLVMBuildICmp(b, LLVMIntULE, end, size, "");

	if (access->delta < 0)
		ok = both(loop, ok, LLVMBuildICmp(b, LLVMIntUGE, first, way, ""));
	return ok;
}

/* --- the copy ------------------------------------------------------------------------------- */

static LLVMValueRef
mapped(const struct loop *loop, LLVMValueRef value)
{
	if (is_inside(loop, value))
		for (unsigned int i = 0; i < loop->insn_count; i++)
			if (loop->old[i] == value)
				return loop->new[i];
	return value;
}

static void
copy_phi(struct loop *loop, unsigned int i)
{
	LLVMValueRef old = loop->old[i];

	loop->new[i] = LLVMBuildPhi(loop->e->builder, LLVMTypeOf(old), "");
}

static void
copy_insn(struct loop *loop, unsigned int i)
{
	LLVMValueRef old = loop->old[i];
	LLVMValueRef new = LLVMInstructionClone(old);
	int operands = LLVMGetNumOperands(old);

	for (int k = 0; k < operands; k++)
		LLVMSetOperand(new, (unsigned int)k,
		               mapped(loop, LLVMGetOperand(old, (unsigned int)k)));
	LLVMInsertIntoBuilder(loop->e->builder, new);
	loop->new[i] = new;
}

/* The address again, as base + (first + run * step) in 64 bits, which is known not to wrap. */
static void
access_rewrite(struct loop *loop, const struct access *access, LLVMValueRef new,
               LLVMValueRef first, LLVMValueRef run)
{
	LLVMBuilderRef b = loop->e->builder;
	bool is_load = LLVMIsALoadInst(new) != NULL;

	LLVMPositionBuilderBefore(b, new);
	LLVMValueRef way =
	    LLVMBuildMul(b, run, constant64(loop, (uint64_t)access->delta), "");
	LLVMSetNSW(way, true);
	LLVMValueRef sum = LLVMBuildAdd(b, first, way, "");
	LLVMSetNSW(sum, true);
	LLVMValueRef low = constant64(loop, access->low);
	LLVMValueRef at = LLVMBuildInBoundsGEP2(b, loop->e->t.i8, access->base, &sum, 1, "");
	if (access->low != 0)
		at = LLVMBuildInBoundsGEP2(b, loop->e->t.i8, at, &low, 1, "");
	LLVMSetOperand(new, is_load ? 0 : 1, at);
	LLVMSetVolatile(new, false);
}

static void
phis_finish(struct loop *loop, LLVMBasicBlockRef copy)
{
	LLVMBasicBlockRef blocks[2] = { loop->before, copy };

	for (unsigned int i = 0; i < loop->insn_count; i++) {
		LLVMValueRef old = loop->old[i];

		if (LLVMIsAPHINode(old) == NULL)
			break;
		LLVMValueRef values[2] = { phi_incoming(old, loop->before),
			                   mapped(loop, phi_incoming(old, loop->block)) };
		LLVMAddIncoming(loop->new[i], values, blocks, 2);
	}
	for (LLVMValueRef phi = LLVMGetFirstInstruction(loop->after);
	     phi != NULL && LLVMIsAPHINode(phi) != NULL; phi = LLVMGetNextInstruction(phi)) {
		LLVMValueRef value = mapped(loop, phi_incoming(phi, loop->block));

		LLVMAddIncoming(phi, &value, &copy, 1);
	}
}

/* The plain loop: its own counter decides when it ends. */
static LLVMBasicBlockRef
copy_make(struct loop *loop, const LLVMValueRef *firsts, LLVMValueRef more_runs)
{
	LLVMBuilderRef b = loop->e->builder;
	LLVMBasicBlockRef copy = LLVMInsertBasicBlockInContext(loop->e->context, loop->block, "");

	LLVMPositionBuilderAtEnd(b, copy);
	LLVMValueRef run = LLVMBuildPhi(b, loop->e->t.i64, "");
	for (unsigned int i = 0; i < loop->insn_count; i++) {
		if (LLVMIsAPHINode(loop->old[i]) != NULL)
			copy_phi(loop, i);
		else if (loop->old[i] != loop->term)
			copy_insn(loop, i);
	}
	LLVMValueRef next = LLVMBuildAdd(b, run, constant64(loop, 1), "");
	LLVMSetNUW(next, true);
	LLVMSetNSW(next, true);
	LLVMValueRef is_last = LLVMBuildICmp(b, LLVMIntEQ, run, more_runs, "");
	(void)LLVMBuildCondBr(b, is_last, loop->after, copy);

	LLVMBasicBlockRef blocks[2] = { loop->before, copy };
	LLVMValueRef values[2] = { constant64(loop, 0), next };
	LLVMAddIncoming(run, values, blocks, 2);
	phis_finish(loop, copy);
	for (unsigned int i = 0; i < loop->access_count; i++)
		access_rewrite(loop, &loop->accesses[i], mapped(loop, loop->accesses[i].insn),
		               firsts[i], run);
	return copy;
}

/*
 * Plain accesses must not move across what lies around the loop: an access there may trap, and
 * then what the loop has written, or not yet written, is seen.
 */
static void
fence(const struct loop *loop)
{
	static const char clobbers[] = "~{memory}";
	LLVMTypeRef type = LLVMFunctionType(loop->e->t.void_, NULL, 0, false);
	LLVMValueRef nothing = LLVMGetInlineAsm(type, "", 0, clobbers, sizeof(clobbers) - 1, true,
	                                        false, LLVMInlineAsmDialectATT, false);

	(void)LLVMBuildCall2(loop->e->builder, type, nothing, NULL, 0, "");
}

static void
fence_behind(const struct loop *loop)
{
	LLVMValueRef insn = LLVMGetFirstInstruction(loop->after);

	while (LLVMIsAPHINode(insn) != NULL)
		insn = LLVMGetNextInstruction(insn);
	LLVMPositionBuilderBefore(loop->e->builder, insn);
	fence(loop);
}

/* The checked version is the one to expect. */
static void
expect_first(const struct loop *loop, LLVMValueRef branch)
{
	LLVMContextRef c = loop->e->context;
	LLVMMetadataRef parts[3] = {
		LLVMMDStringInContext2(c, "branch_weights", strlen("branch_weights")),
		LLVMValueAsMetadata(LLVMConstInt(loop->e->t.i32, 2000, false)),
		LLVMValueAsMetadata(LLVMConstInt(loop->e->t.i32, 1, false)),
	};
	LLVMMetadataRef node = LLVMMDNodeInContext2(c, parts, 3);

	LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(c, "prof", 4),
	                LLVMMetadataAsValue(c, node));
}

/* Returns false for a loop that is better left alone. */
static bool
version(struct loop *loop)
{
	LLVMBuilderRef b = loop->e->builder;
	LLVMValueRef old_branch = LLVMGetBasicBlockTerminator(loop->before);
	LLVMValueRef firsts[LOOP_ACCESSES_MAX];
	LLVMValueRef ok = NULL;

	LLVMSetCurrentDebugLocation2(b, NULL);
	LLVMPositionBuilderBefore(b, old_branch);
	LLVMValueRef more_runs = loop->exit.predicate == LLVMIntNE ? runs_until_equal(loop, &ok)
	                                                           : runs_while_less(loop, &ok);
	if (LLVMIsAConstantInt(more_runs) != NULL && LLVMConstIntGetZExtValue(more_runs) < RUNS_MIN)
		return false; /* what was built so far is removed as dead */
	LLVMValueRef size = memory_size(loop);
	for (unsigned int i = 0; i < loop->access_count; i++) {
		const struct access *access = &loop->accesses[i];

		firsts[i] = LLVMBuildZExt(b, first_value(loop, access->index), loop->e->t.i64, "");
		ok = both(loop, ok, access_check(loop, access, firsts[i], more_runs, size));
	}
	LLVMBasicBlockRef copy = copy_make(loop, firsts, more_runs);
	fence_behind(loop);
	LLVMPositionBuilderBefore(b, old_branch);
	fence(loop);
	expect_first(loop, LLVMBuildCondBr(b, ok, copy, loop->block));
	LLVMInstructionEraseFromParent(old_branch);
	return true;
}

/* --- candidates ----------------------------------------------------------------------------- */

/* The only block besides itself that jumps to it, by a plain branch; NULL when there is none. */
static LLVMBasicBlockRef
block_before(LLVMBasicBlockRef block)
{
	LLVMValueRef phi = LLVMGetFirstInstruction(block);

	if (phi == NULL || LLVMIsAPHINode(phi) == NULL || LLVMCountIncoming(phi) != 2)
		return NULL;
	LLVMBasicBlockRef before = LLVMGetIncomingBlock(phi, 0);
	if (before == block)
		before = LLVMGetIncomingBlock(phi, 1);
	LLVMValueRef term = LLVMGetBasicBlockTerminator(before);
	if (before == block || LLVMGetInstructionOpcode(term) != LLVMBr || LLVMIsConditional(term))
		return NULL;
	return before;
}

static bool
loop_find(struct loop *loop, const struct emit *e, LLVMValueRef function, LLVMBasicBlockRef block)
{
	LLVMValueRef term = LLVMGetBasicBlockTerminator(block);

	if (term == NULL || LLVMGetInstructionOpcode(term) != LLVMBr || !LLVMIsConditional(term))
		return false;
	LLVMBasicBlockRef on_true = LLVMGetSuccessor(term, 0);
	LLVMBasicBlockRef on_false = LLVMGetSuccessor(term, 1);
	if ((on_true == block) == (on_false == block))
		return false;
	*loop = (struct loop){
		.e = e,
		.function = function,
		.block = block,
		.before = block_before(block),
		.after = on_true == block ? on_false : on_true,
		.term = term,
		.stays_on_true = on_true == block,
	};
	return loop->before != NULL && exit_find(loop) && body_is_fit(loop);
}

unsigned int
versions_make(const struct emit *e, LLVMValueRef function)
{
	unsigned int count = 0;
	struct loop *loop;

	if (e->module->memory_count == 0 || e->module->memories[0].is_64)
		return 0;
	loop = malloc(sizeof(*loop));
	if (loop == NULL)
		return 0; /* the loops work as they are */
	/* Copies come to lie before their block, so that they are not met again. */
	for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block != NULL;
	     block = LLVMGetNextBasicBlock(block)) {
		if (loop_find(loop, e, function, block) && version(loop))
			count++;
	}
	free(loop);
	return count;
}
