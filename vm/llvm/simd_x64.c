#include "vm/llvm/lower.h"

static LLVMValueRef
call1(struct emit *e, const char *intrinsic, LLVMValueRef a)
{
	return emit_intrinsic(e, intrinsic, NULL, 0, &a, 1);
}

static LLVMValueRef
call2(struct emit *e, const char *intrinsic, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef args[2] = { a, b };

	return emit_intrinsic(e, intrinsic, NULL, 0, args, 2);
}

/* pshufb makes a zero of indices with the top bit set; adding 0x70 sets it from 16 on. */
LLVMValueRef
lower_x64_swizzle(struct emit *e, LLVMValueRef bytes, LLVMValueRef indices)
{
	if (!emit_has_cpu(e, CPU_BIT(SSSE3)))
		return NULL;
	indices = lower_call2(e, "llvm.uadd.sat", indices, lower_integer(e->t.i8x16, 0x70));
	return call2(e, "llvm.x86.ssse3.pshuf.b.128", bytes, indices);
}

/* pmulhrsw is right but for the square of -1, which is -1 there. */
LLVMValueRef
lower_x64_mul_q15(struct emit *e, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef lowest = lower_integer(e->t.i16x8, 0x8000);

	if (!emit_has_cpu(e, CPU_BIT(SSSE3)))
		return NULL;
	LLVMValueRef product = call2(e, "llvm.x86.ssse3.pmul.hr.sw.128", a, b);
	LLVMValueRef is_square = LLVMBuildICmp(e->builder, LLVMIntEQ, product, lowest, "");
	return LLVMBuildXor(e->builder, product,
	                    LLVMBuildSExt(e->builder, is_square, e->t.i16x8, ""), "");
}

LLVMValueRef
lower_x64_dot(struct emit *e, LLVMValueRef a, LLVMValueRef b)
{
	return call2(e, "llvm.x86.sse2.pmadd.wd", a, b);
}

/* Products with ones, which are summed in pairs. */
LLVMValueRef
lower_x64_pair_sums(struct emit *e, LLVMValueRef lanes)
{
	LLVMValueRef ones = lower_integer(LLVMTypeOf(lanes), 1);

	if (LLVMTypeOf(lanes) == e->t.i16x8)
		return lower_x64_dot(e, lanes, ones);
	/* Unsigned bytes times signed ones. */
	return emit_has_cpu(e, CPU_BIT(SSSE3))
	           ? call2(e, "llvm.x86.ssse3.pmadd.ub.sw.128", ones, lanes)
	           : NULL;
}

/* --- truncation ----------------------------------------------------------------------------- */

/* What a conversion gives for lanes out of range, NaNs among them: 0x80000000. */
static LLVMValueRef
cut(struct emit *e, LLVMValueRef floats)
{
	bool is_f32 = LLVMTypeOf(floats) == e->t.f32x4;

	return call1(e, is_f32 ? "llvm.x86.sse2.cvttps2dq" : "llvm.x86.sse2.cvttpd2dq", floats);
}

/* a where a and b compare so, else b: as minps and maxps do it, b where one is a NaN. */
static LLVMValueRef
pick(const struct emit *e, LLVMRealPredicate predicate, LLVMValueRef a, LLVMValueRef b)
{
	return LLVMBuildSelect(e->builder, LLVMBuildFCmp(e->builder, predicate, a, b, ""), a, b,
	                       "");
}

/* All ones in lanes of i32x4 where the float is at least the limit. */
static LLVMValueRef
reaches(const struct emit *e, LLVMValueRef f32x4, double limit)
{
	return LLVMBuildSExt(
	    e->builder,
	    LLVMBuildFCmp(e->builder, LLVMRealOGE, f32x4, lower_float(e->t.f32x4, limit), ""),
	    e->t.i32x4, "");
}

/* A NaN becomes 0 first; 0x80000000 is right for what is too small, inverted for the others. */
static LLVMValueRef
trunc_f32_s(struct emit *e, LLVMValueRef floats)
{
	LLVMBuilderRef b = e->builder;
	LLVMValueRef is_number = LLVMBuildFCmp(b, LLVMRealORD, floats, floats, "");
	LLVMValueRef numbers = LLVMBuildSelect(b, is_number, floats, LLVMConstNull(e->t.f32x4), "");

	return LLVMBuildXor(b, cut(e, numbers), reaches(e, floats, 0x1p31), "");
}

/* 0 for a NaN, and at most 2^31 - 1, which is a double. */
static LLVMValueRef
trunc_f64_s(struct emit *e, LLVMValueRef floats)
{
	LLVMBuilderRef b = e->builder;
	LLVMValueRef is_number = LLVMBuildFCmp(b, LLVMRealORD, floats, floats, "");
	LLVMValueRef highest = LLVMBuildSelect(b, is_number, lower_float(e->t.f64x2, 0x1p31 - 1),
	                                       LLVMConstNull(e->t.f64x2), "");

	return cut(e, pick(e, LLVMRealOLT, floats, highest));
}

/*
 * The integers of floats in [0, 2^32): below 2^31 by one conversion. From there on that gives
 * 0x80000000, its sign says so, and the rest is the conversion of what is left of the float.
 */
static LLVMValueRef
cut_unsigned(struct emit *e, LLVMValueRef floats)
{
	LLVMBuilderRef b = e->builder;
	LLVMValueRef low = cut(e, floats);
	LLVMValueRef rest =
	    cut(e, LLVMBuildFSub(b, floats, lower_float(LLVMTypeOf(floats), 0x1p31), ""));
	LLVMValueRef is_high = LLVMBuildAShr(b, low, lower_integer(e->t.i32x4, 31), "");

	return LLVMBuildOr(b, low, LLVMBuildAnd(b, rest, is_high, ""), "");
}

LLVMValueRef
lower_x64_trunc_sat(struct emit *e, LLVMValueRef floats, bool is_signed)
{
	LLVMTypeRef type = LLVMTypeOf(floats);
	bool is_f32 = type == e->t.f32x4;

	if (is_signed)
		return is_f32 ? trunc_f32_s(e, floats) : trunc_f64_s(e, floats);
	LLVMValueRef positive = pick(e, LLVMRealOGT, floats, LLVMConstNull(type));
	if (is_f32) /* 2^32 - 1 is none: what reaches 2^32 gets all ones */
		return LLVMBuildOr(e->builder, cut_unsigned(e, positive),
		                   reaches(e, floats, 0x1p32), "");
	return cut_unsigned(e, pick(e, LLVMRealOLT, positive, lower_float(type, 0x1p32 - 1)));
}
