#include "vm/llvm/lower.h"

/* --- bits ----------------------------------------------------------------------------------- */

static LLVMValueRef
lower_const(const struct lowering *l)
{
	LLVMValueRef bytes[16];

	for (unsigned int i = 0; i < 16; i++)
		bytes[i] = LLVMConstInt(l->e->t.i8, l->insn->imm.v128[i], false);
	return LLVMConstBitCast(LLVMConstVector(bytes, 16), l->e->t.v128);
}

static LLVMValueRef
lower_not(const struct lowering *l)
{
	return LLVMBuildNot(l->e->builder, l->v[0], "");
}

static LLVMValueRef
and_not(const struct emit *e, LLVMValueRef a, LLVMValueRef b)
{
	return LLVMBuildAnd(e->builder, a, LLVMBuildNot(e->builder, b, ""), "");
}

static LLVMValueRef
lower_andnot(const struct lowering *l)
{
	return and_not(l->e, l->v[0], l->v[1]);
}

static LLVMValueRef
lower_bitselect(const struct lowering *l)
{
	LLVMBuilderRef b = l->e->builder;

	return LLVMBuildOr(b, LLVMBuildAnd(b, l->v[0], l->v[2], ""),
	                   and_not(l->e, l->v[1], l->v[2]), "");
}

/* --- vectors as one answer ------------------------------------------------------------------ */

static LLVMValueRef
lower_any_true(const struct lowering *l)
{
	LLVMBuilderRef b = l->e->builder;
	LLVMValueRef all = LLVMBuildBitCast(b, l->v[0], l->e->t.i128, "");
	LLVMValueRef any = LLVMBuildICmp(b, LLVMIntNE, all, LLVMConstNull(l->e->t.i128), "");

	return LLVMBuildZExt(b, any, l->e->t.i32, "");
}

/* A bit a lane, whether it compares so with zero: lane 0 is the lowest. */
static LLVMValueRef
lane_bits(const struct lowering *l, LLVMIntPredicate predicate)
{
	LLVMTypeRef type = LLVMTypeOf(l->v[0]);
	LLVMValueRef bits =
	    LLVMBuildICmp(l->e->builder, predicate, l->v[0], LLVMConstNull(type), "");

	return LLVMBuildBitCast(l->e->builder, bits,
	                        LLVMIntTypeInContext(l->e->context, LLVMGetVectorSize(type)), "");
}

static LLVMValueRef
lower_all_true(const struct lowering *l)
{
	LLVMValueRef zeros = lane_bits(l, LLVMIntEQ);
	LLVMValueRef none =
	    LLVMBuildICmp(l->e->builder, LLVMIntEQ, zeros, LLVMConstNull(LLVMTypeOf(zeros)), "");

	return LLVMBuildZExt(l->e->builder, none, l->e->t.i32, "");
}

static LLVMValueRef
lower_bitmask(const struct lowering *l)
{
	return LLVMBuildZExt(l->e->builder, lane_bits(l, LLVMIntSLT), l->e->t.i32, "");
}

/* --- integer lanes -------------------------------------------------------------------------- */

/* Of the lowest integer it is that integer. */
static LLVMValueRef
lower_abs(const struct lowering *l)
{
	return lower_call2(l->e, "llvm.abs", l->v[0], LLVMConstNull(l->e->t.i1));
}

/* All lanes by one count, modulo their width. */
static LLVMValueRef
lower_lane_shift(const struct lowering *l)
{
	LLVMBuilderRef b = l->e->builder;
	LLVMTypeRef type = LLVMTypeOf(l->v[0]);
	LLVMValueRef by = LLVMBuildAnd(b, l->v[1], emit_i32(l->e, lower_bits(type) - 1), "");

	by = LLVMBuildIntCast2(b, by, LLVMGetElementType(type), false, "");
	return LLVMBuildBinOp(b, (LLVMOpcode)l->rule->code, l->v[0],
	                      lower_splat(l->e, by, LLVMGetVectorSize(type)), "");
}

/* (a + b + 1) / 2, in lanes with room for the sum; x86 has it as one instruction. */
static LLVMValueRef
lower_average(const struct lowering *l)
{
	LLVMBuilderRef b = l->e->builder;
	LLVMValueRef sum = LLVMBuildAdd(b, lower_widened(l->e, l->v[0], false),
	                                lower_widened(l->e, l->v[1], false), "");
	LLVMValueRef one = lower_integer(LLVMTypeOf(sum), 1);

	sum = LLVMBuildLShr(b, LLVMBuildAdd(b, sum, one, ""), one, "");
	return LLVMBuildTrunc(b, sum, LLVMTypeOf(l->v[0]), "");
}

/* Fractions of 15 bits, rounded; only the square of -1 does not fit. */
static LLVMValueRef
lower_mul_q15(const struct lowering *l)
{
	LLVMBuilderRef b = l->e->builder;
	LLVMValueRef value = lower_x64_mul_q15(l->e, l->v[0], l->v[1]);

	if (value != NULL)
		return value;
	LLVMValueRef product = LLVMBuildMul(b, lower_widened(l->e, l->v[0], true),
	                                    lower_widened(l->e, l->v[1], true), "");
	LLVMTypeRef wide = LLVMTypeOf(product);
	product = LLVMBuildAdd(b, product, lower_integer(wide, 0x4000), "");
	product = LLVMBuildAShr(b, product, lower_integer(wide, 15), "");
	product = lower_call2(l->e, "llvm.smin", product, lower_integer(wide, 0x7fff));
	return LLVMBuildTrunc(b, product, l->e->t.i16x8, "");
}

/* --- the table ------------------------------------------------------------------------------ */

#define ROW(symbol, s, ...) [VM_OP_##symbol] = { .shape = s, .fn = __VA_ARGS__ }
#define INTRINSIC(symbol, s, function, name)                                                       \
	[VM_OP_##symbol] = { .shape = s, .fn = function, .intrinsic = name }

#define INTEGERS(S)                                                                                \
	ROW(S##_SPLAT, S, lower_splat_lanes),                                                      \
	ROW(S##_REPLACE_LANE, S, lower_replace),                                                   \
	ROW(S##_EQ, S, lower_compare, .code = LLVMIntEQ),                                          \
	ROW(S##_NE, S, lower_compare, .code = LLVMIntNE),                                          \
	ROW(S##_LT_S, S, lower_compare, .code = LLVMIntSLT),                                       \
	ROW(S##_GT_S, S, lower_compare, .code = LLVMIntSGT),                                       \
	ROW(S##_LE_S, S, lower_compare, .code = LLVMIntSLE),                                       \
	ROW(S##_GE_S, S, lower_compare, .code = LLVMIntSGE),                                       \
	ROW(S##_ABS, S, lower_abs),                                                                \
	ROW(S##_NEG, S, lower_neg),                                                                \
	ROW(S##_ALL_TRUE, S, lower_all_true),                                                      \
	ROW(S##_BITMASK, S, lower_bitmask),                                                        \
	ROW(S##_SHL, S, lower_lane_shift, .code = LLVMShl),                                        \
	ROW(S##_SHR_S, S, lower_lane_shift, .code = LLVMAShr),                                     \
	ROW(S##_SHR_U, S, lower_lane_shift, .code = LLVMLShr),                                     \
	ROW(S##_ADD, S, lower_binary, .code = LLVMAdd),                                            \
	ROW(S##_SUB, S, lower_binary, .code = LLVMSub)

/* All but i64x2. */
#define ORDERED(S)                                                                                 \
	ROW(S##_LT_U, S, lower_compare, .code = LLVMIntULT),                                       \
	ROW(S##_GT_U, S, lower_compare, .code = LLVMIntUGT),                                       \
	ROW(S##_LE_U, S, lower_compare, .code = LLVMIntULE),                                       \
	ROW(S##_GE_U, S, lower_compare, .code = LLVMIntUGE),                                       \
	INTRINSIC(S##_MIN_S, S, lower_binary_intrinsic, "llvm.smin"),                              \
	INTRINSIC(S##_MIN_U, S, lower_binary_intrinsic, "llvm.umin"),                              \
	INTRINSIC(S##_MAX_S, S, lower_binary_intrinsic, "llvm.smax"),                              \
	INTRINSIC(S##_MAX_U, S, lower_binary_intrinsic, "llvm.umax")

/* Lanes of 8 and 16 bits. */
#define SMALL(S)                                                                                   \
	ROW(S##_EXTRACT_LANE_S, S, lower_extract, .code = LOWER_SIGNED),                           \
	ROW(S##_EXTRACT_LANE_U, S, lower_extract, .code = LOWER_UNSIGNED),                         \
	INTRINSIC(S##_ADD_SAT_S, S, lower_binary_intrinsic, "llvm.sadd.sat"),                      \
	INTRINSIC(S##_ADD_SAT_U, S, lower_binary_intrinsic, "llvm.uadd.sat"),                      \
	INTRINSIC(S##_SUB_SAT_S, S, lower_binary_intrinsic, "llvm.ssub.sat"),                      \
	INTRINSIC(S##_SUB_SAT_U, S, lower_binary_intrinsic, "llvm.usub.sat"),                      \
	ROW(S##_AVGR_U, S, lower_average)

/* From lanes FROM to those twice as wide. */
#define WIDEN(TO, FROM)                                                                            \
	ROW(TO##_EXTEND_LOW_##FROM##_S, FROM, lower_widen, .code = LOWER_LOW | LOWER_SIGNED),      \
	ROW(TO##_EXTEND_HIGH_##FROM##_S, FROM, lower_widen, .code = LOWER_HIGH | LOWER_SIGNED),    \
	ROW(TO##_EXTEND_LOW_##FROM##_U, FROM, lower_widen, .code = LOWER_LOW),                     \
	ROW(TO##_EXTEND_HIGH_##FROM##_U, FROM, lower_widen, .code = LOWER_HIGH),                   \
	ROW(TO##_EXTMUL_LOW_##FROM##_S, FROM, lower_widen_mul,                                     \
	    .code = LOWER_LOW | LOWER_SIGNED),                                                     \
	ROW(TO##_EXTMUL_HIGH_##FROM##_S, FROM, lower_widen_mul,                                    \
	    .code = LOWER_HIGH | LOWER_SIGNED),                                                    \
	ROW(TO##_EXTMUL_LOW_##FROM##_U, FROM, lower_widen_mul, .code = LOWER_LOW),                 \
	ROW(TO##_EXTMUL_HIGH_##FROM##_U, FROM, lower_widen_mul, .code = LOWER_HIGH)

#define NARROW(TO, FROM)                                                                           \
	ROW(TO##_NARROW_##FROM##_S, FROM, lower_narrow, .code = LOWER_SIGNED),                     \
	ROW(TO##_NARROW_##FROM##_U, FROM, lower_narrow, .code = LOWER_UNSIGNED),                   \
	ROW(FROM##_EXTADD_PAIRWISE_##TO##_S, TO, lower_pairs, .code = LOWER_SIGNED),               \
	ROW(FROM##_EXTADD_PAIRWISE_##TO##_U, TO, lower_pairs, .code = LOWER_UNSIGNED)

#define FLOATS(S, F)                                                                               \
	ROW(S##_SPLAT, S, lower_splat_lanes),                                                      \
	ROW(S##_EXTRACT_LANE, S, lower_extract),                                                   \
	ROW(S##_REPLACE_LANE, S, lower_replace),                                                   \
	ROW(S##_EQ, S, lower_float_compare, .code = LLVMRealOEQ),                                  \
	ROW(S##_NE, S, lower_float_compare, .code = LLVMRealUNE),                                  \
	ROW(S##_LT, S, lower_float_compare, .code = LLVMRealOLT),                                  \
	ROW(S##_GT, S, lower_float_compare, .code = LLVMRealOGT),                                  \
	ROW(S##_LE, S, lower_float_compare, .code = LLVMRealOLE),                                  \
	ROW(S##_GE, S, lower_float_compare, .code = LLVMRealOGE),                                  \
	INTRINSIC(S##_ABS, S, lower_unary_intrinsic, "llvm.fabs"),                                 \
	ROW(S##_NEG, S, lower_float_neg),                                                          \
	ROW(S##_SQRT, S, lower_sqrt),                                                              \
	ROW(S##_CEIL, S, lower_round, .code = NATIVE_##F##_CEIL, .intrinsic = "llvm.ceil"),        \
	ROW(S##_FLOOR, S, lower_round, .code = NATIVE_##F##_FLOOR, .intrinsic = "llvm.floor"),     \
	ROW(S##_TRUNC, S, lower_round, .code = NATIVE_##F##_TRUNC, .intrinsic = "llvm.trunc"),     \
	ROW(S##_NEAREST, S, lower_round, .code = NATIVE_##F##_NEAREST,                             \
	    .intrinsic = "llvm.roundeven"),                                                        \
	ROW(S##_ADD, S, lower_float_binary, .code = LLVMFAdd),                                     \
	ROW(S##_SUB, S, lower_float_binary, .code = LLVMFSub),                                     \
	ROW(S##_MUL, S, lower_float_binary, .code = LLVMFMul),                                     \
	ROW(S##_DIV, S, lower_float_binary, .code = LLVMFDiv),                                     \
	ROW(S##_MIN, S, lower_min_max, .code = LOWER_MIN),                                         \
	ROW(S##_MAX, S, lower_min_max, .code = LOWER_MAX),                                         \
	ROW(S##_RELAXED_MIN, S, lower_min_max, .code = LOWER_MIN),                                 \
	ROW(S##_RELAXED_MAX, S, lower_min_max, .code = LOWER_MAX),                                 \
	ROW(S##_PMIN, S, lower_pseudo_min_max, .code = LOWER_MIN),                                 \
	ROW(S##_PMAX, S, lower_pseudo_min_max, .code = LOWER_MAX),                                 \
	ROW(S##_RELAXED_MADD, S, lower_madd, .code = false),                                       \
	ROW(S##_RELAXED_NMADD, S, lower_madd, .code = true)

static const struct lower_rule rules[VM_OP_COUNT] = {
	ROW(V128_CONST, I64X2, lower_const),
	ROW(V128_NOT, I64X2, lower_not),
	ROW(V128_AND, I64X2, lower_binary, .code = LLVMAnd),
	ROW(V128_ANDNOT, I64X2, lower_andnot),
	ROW(V128_OR, I64X2, lower_binary, .code = LLVMOr),
	ROW(V128_XOR, I64X2, lower_binary, .code = LLVMXor),
	ROW(V128_BITSELECT, I64X2, lower_bitselect),
	ROW(I8X16_RELAXED_LANESELECT, I64X2, lower_bitselect),
	ROW(I16X8_RELAXED_LANESELECT, I64X2, lower_bitselect),
	ROW(I32X4_RELAXED_LANESELECT, I64X2, lower_bitselect),
	ROW(I64X2_RELAXED_LANESELECT, I64X2, lower_bitselect),
	ROW(V128_ANY_TRUE, I64X2, lower_any_true),
	INTEGERS(I8X16),
	INTEGERS(I16X8),
	INTEGERS(I32X4),
	INTEGERS(I64X2),
	ORDERED(I8X16),
	ORDERED(I16X8),
	ORDERED(I32X4),
	SMALL(I8X16),
	SMALL(I16X8),
	ROW(I32X4_EXTRACT_LANE, I32X4, lower_extract),
	ROW(I64X2_EXTRACT_LANE, I64X2, lower_extract),
	INTRINSIC(I8X16_POPCNT, I8X16, lower_unary_intrinsic, "llvm.ctpop"),
	ROW(I16X8_MUL, I16X8, lower_binary, .code = LLVMMul),
	ROW(I32X4_MUL, I32X4, lower_binary, .code = LLVMMul),
	ROW(I64X2_MUL, I64X2, lower_binary, .code = LLVMMul),
	ROW(I16X8_Q15MULR_SAT_S, I16X8, lower_mul_q15),
	ROW(I16X8_RELAXED_Q15MULR_S, I16X8, lower_mul_q15),
	ROW(I32X4_DOT_I16X8_S, I16X8, lower_dot),
	ROW(I16X8_RELAXED_DOT_I8X16_I7X16_S, I8X16, lower_dot_bytes),
	ROW(I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S, I8X16, lower_dot_bytes_add),
	WIDEN(I16X8, I8X16),
	WIDEN(I32X4, I16X8),
	WIDEN(I64X2, I32X4),
	NARROW(I8X16, I16X8),
	NARROW(I16X8, I32X4),
	ROW(I8X16_SHUFFLE, I8X16, lower_shuffle),
	ROW(I8X16_SWIZZLE, I8X16, lower_swizzle),
	ROW(I8X16_RELAXED_SWIZZLE, I8X16, lower_swizzle),
	FLOATS(F32X4, F32),
	FLOATS(F64X2, F64),
	ROW(F32X4_CONVERT_I32X4_S, I32X4, lower_lanes_convert, .code = LOWER_SIGNED),
	ROW(F32X4_CONVERT_I32X4_U, I32X4, lower_lanes_convert, .code = LOWER_UNSIGNED),
	ROW(F64X2_CONVERT_LOW_I32X4_S, I32X4, lower_lanes_convert_low, .code = LOWER_SIGNED),
	ROW(F64X2_CONVERT_LOW_I32X4_U, I32X4, lower_lanes_convert_low, .code = LOWER_UNSIGNED),
	ROW(F64X2_PROMOTE_LOW_F32X4, F32X4, lower_lanes_promote_low),
	ROW(F32X4_DEMOTE_F64X2_ZERO, F64X2, lower_lanes_demote_zero),
	ROW(I32X4_TRUNC_SAT_F32X4_S, F32X4, lower_lanes_trunc_sat, .code = LOWER_SIGNED),
	ROW(I32X4_TRUNC_SAT_F32X4_U, F32X4, lower_lanes_trunc_sat, .code = LOWER_UNSIGNED),
	ROW(I32X4_TRUNC_SAT_F64X2_S_ZERO, F64X2, lower_lanes_trunc_sat_zero, .code = LOWER_SIGNED),
	ROW(I32X4_TRUNC_SAT_F64X2_U_ZERO, F64X2, lower_lanes_trunc_sat_zero,
	    .code = LOWER_UNSIGNED),
	ROW(I32X4_RELAXED_TRUNC_F32X4_S, F32X4, lower_lanes_trunc_sat, .code = LOWER_SIGNED),
	ROW(I32X4_RELAXED_TRUNC_F32X4_U, F32X4, lower_lanes_trunc_sat, .code = LOWER_UNSIGNED),
	ROW(I32X4_RELAXED_TRUNC_F64X2_S_ZERO, F64X2, lower_lanes_trunc_sat_zero,
	    .code = LOWER_SIGNED),
	ROW(I32X4_RELAXED_TRUNC_F64X2_U_ZERO, F64X2, lower_lanes_trunc_sat_zero,
	    .code = LOWER_UNSIGNED),
};

LLVMValueRef
emit_simd(struct emit *e, const struct walk_insn *insn, LLVMValueRef *operands)
{
	return lower(e, &rules[insn->op], insn, operands);
}
