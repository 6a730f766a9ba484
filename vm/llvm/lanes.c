#include "vm/llvm/lower.h"

/* --- single lanes --------------------------------------------------------------------------- */

static LLVMTypeRef
lane_type(const struct lowering *l)
{
	return LLVMGetElementType(lower_shape_type(l->e, l->rule->shape));
}

static unsigned int
lane_count(const struct lowering *l)
{
	return LLVMGetVectorSize(lower_shape_type(l->e, l->rule->shape));
}

/* An i32 operand loses the bits that a narrow lane has not. */
static LLVMValueRef
as_lane(const struct lowering *l, LLVMValueRef scalar)
{
	LLVMTypeRef lane = lane_type(l);

	return LLVMTypeOf(scalar) == lane ? scalar
	                                  : LLVMBuildTrunc(l->e->builder, scalar, lane, "");
}

LLVMValueRef
lower_splat_lanes(const struct lowering *l)
{
	return lower_splat(l->e, as_lane(l, l->v[0]), lane_count(l));
}

LLVMValueRef
lower_extract(const struct lowering *l)
{
	LLVMBuilderRef b = l->e->builder;
	LLVMValueRef lane =
	    LLVMBuildExtractElement(b, l->v[0], emit_i32(l->e, l->insn->imm.lane), "");

	if (LLVMTypeOf(lane) == l->result)
		return LLVMGetTypeKind(l->result) == LLVMIntegerTypeKind
		           ? lane
		           : lower_operand(l->e, lane);
	return l->rule->code == LOWER_SIGNED ? LLVMBuildSExt(b, lane, l->result, "")
	                                     : LLVMBuildZExt(b, lane, l->result, "");
}

LLVMValueRef
lower_replace(const struct lowering *l)
{
	return LLVMBuildInsertElement(l->e->builder, l->v[0], as_lane(l, l->v[1]),
	                              emit_i32(l->e, l->insn->imm.lane), "");
}

/* --- lanes in another order ----------------------------------------------------------------- */

LLVMValueRef
lower_shuffle(const struct lowering *l)
{
	LLVMValueRef lanes[16];

	for (unsigned int i = 0; i < 16; i++)
		lanes[i] = emit_i32(l->e, l->insn->imm.v128[i]);
	return LLVMBuildShuffleVector(l->e->builder, l->v[0], l->v[1], LLVMConstVector(lanes, 16),
	                              "");
}

static LLVMValueRef
swizzle_by_lanes(const struct emit *e, LLVMValueRef bytes, LLVMValueRef indices)
{
	LLVMBuilderRef b = e->builder;
	LLVMValueRef result = LLVMConstNull(e->t.i8x16);

	for (unsigned int i = 0; i < 16; i++) {
		LLVMValueRef index = LLVMBuildExtractElement(b, indices, emit_i32(e, i), "");
		LLVMValueRef is_inside =
		    LLVMBuildICmp(b, LLVMIntULT, index, LLVMConstInt(e->t.i8, 16, false), "");
		LLVMValueRef safe = LLVMBuildAnd(b, index, LLVMConstInt(e->t.i8, 15, false), "");
		LLVMValueRef byte = LLVMBuildExtractElement(b, bytes, safe, "");

		byte = LLVMBuildSelect(b, is_inside, byte, LLVMConstNull(e->t.i8), "");
		result = LLVMBuildInsertElement(b, result, byte, emit_i32(e, i), "");
	}
	return result;
}

/* Indices that are known make a shuffle with a vector of zeros. */
static LLVMValueRef
swizzle_by_constant(const struct emit *e, LLVMValueRef bytes, LLVMValueRef indices)
{
	LLVMValueRef lanes[16];

	for (unsigned int i = 0; i < 16; i++) {
		LLVMValueRef lane = LLVMGetAggregateElement(indices, i);

		if (lane == NULL || LLVMIsAConstantInt(lane) == NULL)
			return NULL;
		uint64_t index = LLVMConstIntGetZExtValue(lane);
		lanes[i] = emit_i32(e, index < 16 ? (uint32_t)index : 16);
	}
	return LLVMBuildShuffleVector(e->builder, bytes, LLVMConstNull(e->t.i8x16),
	                              LLVMConstVector(lanes, 16), "");
}

LLVMValueRef
lower_swizzle(const struct lowering *l)
{
	LLVMValueRef value = NULL;

	if (LLVMIsConstant(l->v[1]))
		value = swizzle_by_constant(l->e, l->v[0], l->v[1]);
	if (value == NULL)
		value = lower_x64_swizzle(l->e, l->v[0], l->v[1]);
	return value != NULL ? value : swizzle_by_lanes(l->e, l->v[0], l->v[1]);
}

/* --- narrower and wider --------------------------------------------------------------------- */

/* The operands are signed whatever the result is. */
LLVMValueRef
lower_narrow(const struct lowering *l)
{
	struct emit *e = l->e;
	unsigned int count = 2 * lane_count(l);
	unsigned int bits = lower_bits(lane_type(l)) / 2;
	LLVMValueRef both = lower_take(e, l->v[0], l->v[1], 0, 1, count);
	int64_t span = (INT64_C(1) << bits) - 1;

	both = l->rule->code == LOWER_SIGNED ? lower_clamp(e, both, -(span / 2) - 1, span / 2)
	                                     : lower_clamp(e, both, 0, span);
	return LLVMBuildTrunc(e->builder, both,
	                      LLVMVectorType(LLVMIntTypeInContext(e->context, bits), count), "");
}

LLVMValueRef
lower_widened(const struct emit *e, LLVMValueRef lanes, bool is_signed)
{
	LLVMTypeRef type = LLVMTypeOf(lanes);
	LLVMTypeRef wide = LLVMVectorType(LLVMIntTypeInContext(e->context, 2 * lower_bits(type)),
	                                  LLVMGetVectorSize(type));

	return LLVMBuildCast(e->builder, is_signed ? LLVMSExt : LLVMZExt, lanes, wide, "");
}

/* One half of the lanes, each twice as wide. */
static LLVMValueRef
widened_half(const struct lowering *l, LLVMValueRef lanes)
{
	unsigned int half = lane_count(l) / 2;
	unsigned int first = (l->rule->code & LOWER_HIGH) != 0 ? half : 0;

	return lower_widened(l->e, lower_take(l->e, lanes, NULL, first, 1, half),
	                     (l->rule->code & LOWER_SIGNED) != 0);
}

LLVMValueRef
lower_widen(const struct lowering *l)
{
	return widened_half(l, l->v[0]);
}

LLVMValueRef
lower_widen_mul(const struct lowering *l)
{
	return LLVMBuildMul(l->e->builder, widened_half(l, l->v[0]), widened_half(l, l->v[1]), "");
}

/* --- neighbours ----------------------------------------------------------------------------- */

/*
 * Lanes 0, 2, ... or 1, 3, ..., each twice as wide: two neighbours are one such lane already, of
 * which shifts leave one half.
 */
static LLVMValueRef
widened_every_other(const struct emit *e, LLVMValueRef lanes, unsigned int first, bool is_signed)
{
	LLVMBuilderRef b = e->builder;
	unsigned int bits = lower_bits(LLVMTypeOf(lanes));
	LLVMTypeRef wide = LLVMVectorType(LLVMIntTypeInContext(e->context, 2 * bits),
	                                  LLVMGetVectorSize(LLVMTypeOf(lanes)) / 2);
	LLVMValueRef by = lower_integer(wide, bits);
	LLVMValueRef pairs = lower_bitcast(e, lanes, wide);

	if (first == 0)
		pairs = LLVMBuildShl(b, pairs, by, "");
	return LLVMBuildBinOp(b, is_signed ? LLVMAShr : LLVMLShr, pairs, by, "");
}

static LLVMValueRef
pair_sums(struct emit *e, LLVMValueRef lanes, bool is_signed)
{
	LLVMValueRef value = is_signed ? lower_x64_pair_sums(e, lanes) : NULL;

	if (value != NULL)
		return value;
	return LLVMBuildAdd(e->builder, widened_every_other(e, lanes, 0, is_signed),
	                    widened_every_other(e, lanes, 1, is_signed), "");
}

static LLVMValueRef
products(const struct emit *e, LLVMValueRef a, LLVMValueRef b, unsigned int first)
{
	return LLVMBuildMul(e->builder, widened_every_other(e, a, first, true),
	                    widened_every_other(e, b, first, true), "");
}

LLVMValueRef
lower_pairs(const struct lowering *l)
{
	return pair_sums(l->e, l->v[0], l->rule->code == LOWER_SIGNED);
}

LLVMValueRef
lower_dot(const struct lowering *l)
{
	LLVMValueRef value = lower_x64_dot(l->e, l->v[0], l->v[1]);

	if (value != NULL)
		return value;
	return LLVMBuildAdd(l->e->builder, products(l->e, l->v[0], l->v[1], 0),
	                    products(l->e, l->v[0], l->v[1], 1), "");
}

/* Sums saturate: -128 * -128 twice does not fit. */
LLVMValueRef
lower_dot_bytes(const struct lowering *l)
{
	return lower_call2(l->e, "llvm.sadd.sat", products(l->e, l->v[0], l->v[1], 0),
	                   products(l->e, l->v[0], l->v[1], 1));
}

LLVMValueRef
lower_dot_bytes_add(const struct lowering *l)
{
	LLVMValueRef sums = pair_sums(l->e, lower_dot_bytes(l), true);

	return LLVMBuildAdd(l->e->builder, sums, lower_bitcast(l->e, l->v[2], l->e->t.i32x4), "");
}
