#include <math.h>

#include "vm/llvm/lower.h"

/* --- scalars -------------------------------------------------------------------------------- */

/* An integer constant can become a float constant here. */
LLVMValueRef
lower_cast(const struct lowering *l)
{
	LLVMOpcode code = (LLVMOpcode)l->rule->code;
	LLVMValueRef value = LLVMBuildCast(l->e->builder, code, l->v[0], l->result, "");

	return code == LLVMSIToFP || code == LLVMUIToFP ? lower_operand(l->e, value) : value;
}

LLVMValueRef
lower_reinterpret(const struct lowering *l)
{
	LLVMValueRef value = lower_bitcast(l->e, l->v[0], l->result);
	bool is_float = LLVMGetTypeKind(l->result) != LLVMIntegerTypeKind;

	return is_float ? lower_operand(l->e, value) : value;
}

LLVMValueRef
lower_extend_low(const struct lowering *l)
{
	LLVMTypeRef low = LLVMIntTypeInContext(l->e->context, (unsigned int)l->rule->code);

	return LLVMBuildSExt(l->e->builder, LLVMBuildTrunc(l->e->builder, l->v[0], low, ""),
	                     l->result, "");
}

/* Hidden, since LLVM takes the demotion of a promotion for the operand. */
static LLVMValueRef
promoted(struct emit *e, LLVMValueRef value, LLVMTypeRef type)
{
	value = LLVMBuildFPExt(e->builder, lower_operand(e, value), type, "");
	return lower_canonical(e, emit_hidden(e, value));
}

LLVMValueRef
lower_promote(const struct lowering *l)
{
	return promoted(l->e, l->v[0], l->result);
}

static LLVMValueRef
demoted(struct emit *e, LLVMValueRef value, LLVMTypeRef type)
{
	return lower_canonical(e, LLVMBuildFPTrunc(e->builder, lower_operand(e, value), type, ""));
}

LLVMValueRef
lower_demote(const struct lowering *l)
{
	return demoted(l->e, l->v[0], l->result);
}

/*
 * Whether a float is too small, too large or no number to become an integer of some bits when it
 * is cut. The range's lower end is open at one below the lowest integer, unless the float has
 * no such value: then it is closed at the lowest.
 */
static LLVMValueRef
is_outside(const struct emit *e, LLVMValueRef value, unsigned int bits, bool is_signed)
{
	LLVMTypeRef type = LLVMTypeOf(value);
	double high = ldexp(1, (int)bits - is_signed);
	double lowest = is_signed ? -high : 0;
	bool has_below = !is_signed || (lower_bits(type) == 64 && bits == 32);

	LLVMValueRef too_small =
	    LLVMBuildFCmp(e->builder, has_below ? LLVMRealULE : LLVMRealULT, value,
	                  LLVMConstReal(type, has_below ? lowest - 1 : lowest), "");
	LLVMValueRef too_large =
	    LLVMBuildFCmp(e->builder, LLVMRealUGE, value, LLVMConstReal(type, high), "");
	return LLVMBuildOr(e->builder, too_small, too_large, "");
}

/* One branch on the way of numbers that fit; which trap it is is found out behind it. */
LLVMValueRef
lower_trunc(const struct lowering *l)
{
	struct emit *e = l->e;
	LLVMValueRef value = l->v[0];
	bool is_signed = l->rule->code == LOWER_SIGNED;
	LLVMBasicBlockRef cold = emit_block(e, "outside");

	emit_unlikely(e, is_outside(e, value, lower_bits(l->result), is_signed), cold);
	LLVMBasicBlockRef fits = LLVMGetInsertBlock(e->builder);
	LLVMPositionBuilderAtEnd(e->builder, cold);
	emit_trap_if(e, LLVMBuildFCmp(e->builder, LLVMRealUNO, value, value, ""),
	             VM_TRAP_INVALID_CONVERSION);
	emit_trap(e, VM_TRAP_INTEGER_OVERFLOW);
	LLVMPositionBuilderAtEnd(e->builder, fits);
	return LLVMBuildCast(e->builder, is_signed ? LLVMFPToSI : LLVMFPToUI, value, l->result, "");
}

static LLVMValueRef
saturated(struct emit *e, LLVMValueRef value, LLVMTypeRef type, bool is_signed)
{
	LLVMTypeRef types[2] = { type, LLVMTypeOf(value) };

	return emit_intrinsic(e, is_signed ? "llvm.fptosi.sat" : "llvm.fptoui.sat", types, 2,
	                      &value, 1);
}

LLVMValueRef
lower_trunc_sat(const struct lowering *l)
{
	return saturated(l->e, l->v[0], l->result, l->rule->code == LOWER_SIGNED);
}

/* --- lanes ---------------------------------------------------------------------------------- */

static LLVMValueRef
floats_of(const struct lowering *l, LLVMValueRef integers, LLVMTypeRef type)
{
	return LLVMBuildCast(l->e->builder, l->rule->code == LOWER_SIGNED ? LLVMSIToFP : LLVMUIToFP,
	                     integers, type, "");
}

LLVMValueRef
lower_lanes_convert(const struct lowering *l)
{
	return floats_of(l, l->v[0], l->e->t.f32x4);
}

LLVMValueRef
lower_lanes_convert_low(const struct lowering *l)
{
	return floats_of(l, lower_take(l->e, l->v[0], NULL, 0, 1, 2), l->e->t.f64x2);
}

LLVMValueRef
lower_lanes_promote_low(const struct lowering *l)
{
	return promoted(l->e, lower_take(l->e, l->v[0], NULL, 0, 1, 2), l->e->t.f64x2);
}

/* Two lanes, and two of zeros behind them. */
static LLVMValueRef
with_zeros(const struct emit *e, LLVMValueRef low)
{
	return lower_take(e, low, LLVMConstNull(LLVMTypeOf(low)), 0, 1, 4);
}

LLVMValueRef
lower_lanes_demote_zero(const struct lowering *l)
{
	return with_zeros(l->e, demoted(l->e, l->v[0], LLVMVectorType(l->e->t.f32, 2)));
}

LLVMValueRef
lower_lanes_trunc_sat(const struct lowering *l)
{
	bool is_signed = l->rule->code == LOWER_SIGNED;
	LLVMValueRef value = lower_x64_trunc_sat(l->e, l->v[0], is_signed);

	return value != NULL ? value : saturated(l->e, l->v[0], l->e->t.i32x4, is_signed);
}

LLVMValueRef
lower_lanes_trunc_sat_zero(const struct lowering *l)
{
	bool is_signed = l->rule->code == LOWER_SIGNED;
	LLVMValueRef value = lower_x64_trunc_sat(l->e, l->v[0], is_signed);
	LLVMTypeRef pair = LLVMVectorType(l->e->t.i32, 2);

	return value != NULL ? value : with_zeros(l->e, saturated(l->e, l->v[0], pair, is_signed));
}
