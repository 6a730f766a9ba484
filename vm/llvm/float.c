#include "vm/llvm/lower.h"

/* --- NaNs ----------------------------------------------------------------------------------- */

LLVMValueRef
emit_hidden(struct emit *e, LLVMValueRef value)
{
	/* Canonical results are made of whatever arithmetic gives. */
	if (e->options->canonical_nans)
		return value;
	return lower_call1(e, "llvm.arithmetic.fence", value);
}

LLVMValueRef
lower_operand(struct emit *e, LLVMValueRef value)
{
	return LLVMIsConstant(value) ? emit_hidden(e, value) : value;
}

LLVMValueRef
lower_canonical(struct emit *e, LLVMValueRef value)
{
	LLVMTypeRef type = LLVMTypeOf(value);
	uint64_t bits = lower_bits(type) == 32 ? 0x7fc00000 : UINT64_C(0x7ff8000000000000);

	if (!e->options->canonical_nans)
		return value;
	LLVMValueRef canonical =
	    LLVMConstBitCast(lower_integer(lower_integer_type(e, type), bits), type);
	LLVMValueRef is_nan = LLVMBuildFCmp(e->builder, LLVMRealUNO, value, value, "");
	return LLVMBuildSelect(e->builder, is_nan, canonical, value, "");
}

/* --- arithmetic ----------------------------------------------------------------------------- */

LLVMValueRef
lower_float_compare(const struct lowering *l)
{
	return lower_truth(l, LLVMBuildFCmp(l->e->builder, (LLVMRealPredicate)l->rule->code,
	                                    l->v[0], l->v[1], ""));
}

LLVMValueRef
lower_float_binary(const struct lowering *l)
{
	LLVMValueRef a = lower_operand(l->e, l->v[0]);
	LLVMValueRef b = lower_operand(l->e, l->v[1]);

	return lower_canonical(l->e,
	                       LLVMBuildBinOp(l->e->builder, (LLVMOpcode)l->rule->code, a, b, ""));
}

/* Changes the sign of a NaN too, and nothing else of it. */
LLVMValueRef
lower_float_neg(const struct lowering *l)
{
	return LLVMBuildFNeg(l->e->builder, l->v[0], "");
}

LLVMValueRef
lower_sqrt(const struct lowering *l)
{
	return lower_canonical(l->e, lower_call1(l->e, "llvm.sqrt", lower_operand(l->e, l->v[0])));
}

/*
 * Before SSE4.1 there is no instruction, and LLVM would call the C library, which native code
 * is not linked with.
 */
static LLVMValueRef
round_by_builtin(const struct lowering *l)
{
	struct emit *e = l->e;
	enum native_builtin builtin = (enum native_builtin)l->rule->code;
	LLVMValueRef value = l->v[0];

	if (!lower_is_vector(LLVMTypeOf(value)))
		return emit_builtin(e, builtin, &value, 1);
	unsigned int count = LLVMGetVectorSize(LLVMTypeOf(value));
	for (unsigned int i = 0; i < count; i++) {
		LLVMValueRef lane = LLVMBuildExtractElement(e->builder, value, emit_i32(e, i), "");

		lane = emit_builtin(e, builtin, &lane, 1);
		value = LLVMBuildInsertElement(e->builder, value, lane, emit_i32(e, i), "");
	}
	return value;
}

LLVMValueRef
lower_round(const struct lowering *l)
{
	LLVMValueRef rounded =
	    emit_has_cpu(l->e, CPU_BIT(SSE41))
		? lower_call1(l->e, l->rule->intrinsic, lower_operand(l->e, l->v[0]))
		: round_by_builtin(l);

	return lower_canonical(l->e, rounded);
}

/* The first operand where it compares so with the second, else the second. */
static LLVMValueRef
pick(const struct emit *e, LLVMRealPredicate predicate, LLVMValueRef a, LLVMValueRef b)
{
	return LLVMBuildSelect(e->builder, LLVMBuildFCmp(e->builder, predicate, a, b, ""), a, b,
	                       "");
}

/*
 * The two selections, which are one instruction each, differ only in zeros of different sign and
 * in NaNs: their bits, put together, are the right zero; a sum is the right NaN.
 * (llvm.minimum does not make NaNs quiet here.)
 */
LLVMValueRef
lower_min_max(const struct lowering *l)
{
	struct emit *e = l->e;
	LLVMBuilderRef b = e->builder;
	bool is_min = l->rule->code == LOWER_MIN;
	LLVMRealPredicate predicate = is_min ? LLVMRealOLT : LLVMRealOGT;
	LLVMValueRef x = lower_operand(e, l->v[0]);
	LLVMValueRef y = lower_operand(e, l->v[1]);
	LLVMTypeRef type = LLVMTypeOf(x);
	LLVMTypeRef bits = lower_integer_type(e, type);

	LLVMValueRef one = lower_bitcast(e, pick(e, predicate, x, y), bits);
	LLVMValueRef other = lower_bitcast(e, pick(e, predicate, y, x), bits);
	LLVMValueRef both = LLVMBuildBinOp(b, is_min ? LLVMOr : LLVMAnd, one, other, "");
	LLVMValueRef is_nan = LLVMBuildFCmp(b, LLVMRealUNO, x, y, "");
	LLVMValueRef sum = LLVMBuildFAdd(b, x, y, "");
	return lower_canonical(e,
	                       LLVMBuildSelect(b, is_nan, sum, lower_bitcast(e, both, type), ""));
}

/* One of the operands, bit for bit: the first unless the second compares less (more). */
LLVMValueRef
lower_pseudo_min_max(const struct lowering *l)
{
	bool is_min = l->rule->code == LOWER_MIN;

	return pick(l->e, is_min ? LLVMRealOLT : LLVMRealOGT, l->v[1], l->v[0]);
}

/* Rounds twice, on every processor. */
LLVMValueRef
lower_madd(const struct lowering *l)
{
	struct emit *e = l->e;
	LLVMValueRef product =
	    LLVMBuildFMul(e->builder, lower_operand(e, l->v[0]), lower_operand(e, l->v[1]), "");

	if (l->rule->code)
		product = LLVMBuildFNeg(e->builder, product, "");
	return lower_canonical(e,
	                       LLVMBuildFAdd(e->builder, product, lower_operand(e, l->v[2]), ""));
}
