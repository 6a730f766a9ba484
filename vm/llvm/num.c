#include "vm/llvm/lower.h"

/* --- any integers --------------------------------------------------------------------------- */

LLVMValueRef
lower_binary(const struct lowering *l)
{
	return LLVMBuildBinOp(l->e->builder, (LLVMOpcode)l->rule->code, l->v[0], l->v[1], "");
}

LLVMValueRef
lower_binary_intrinsic(const struct lowering *l)
{
	return lower_call2(l->e, l->rule->intrinsic, l->v[0], l->v[1]);
}

LLVMValueRef
lower_unary_intrinsic(const struct lowering *l)
{
	return lower_call1(l->e, l->rule->intrinsic, l->v[0]);
}

LLVMValueRef
lower_truth(const struct lowering *l, LLVMValueRef bits)
{
	LLVMTypeRef operand = LLVMTypeOf(l->v[0]);

	if (lower_is_vector(operand))
		return LLVMBuildSExt(l->e->builder, bits, lower_integer_type(l->e, operand), "");
	return LLVMBuildZExt(l->e->builder, bits, l->e->t.i32, "");
}

LLVMValueRef
lower_compare(const struct lowering *l)
{
	return lower_truth(
	    l, LLVMBuildICmp(l->e->builder, (LLVMIntPredicate)l->rule->code, l->v[0], l->v[1], ""));
}

LLVMValueRef
lower_neg(const struct lowering *l)
{
	return LLVMBuildNeg(l->e->builder, l->v[0], "");
}

/* --- scalars -------------------------------------------------------------------------------- */

static LLVMValueRef
lower_eqz(const struct lowering *l)
{
	return lower_truth(l, LLVMBuildICmp(l->e->builder, LLVMIntEQ, l->v[0],
	                                    LLVMConstNull(LLVMTypeOf(l->v[0])), ""));
}

/* The count is modulo the width; LLVM's shifts by more are undefined. */
static LLVMValueRef
lower_shift(const struct lowering *l)
{
	LLVMBuilderRef b = l->e->builder;
	LLVMValueRef by =
	    LLVMBuildAnd(b, l->v[1], lower_integer(l->result, lower_bits(l->result) - 1), "");

	return LLVMBuildBinOp(b, (LLVMOpcode)l->rule->code, l->v[0], by, "");
}

static LLVMValueRef
lower_rotate(const struct lowering *l)
{
	LLVMValueRef args[3] = { l->v[0], l->v[0], l->v[1] };
	LLVMTypeRef type = l->result;

	return emit_intrinsic(l->e, l->rule->intrinsic, &type, 1, args, 3);
}

/* Leading or trailing zeros: all of them for 0. */
static LLVMValueRef
lower_count_zeros(const struct lowering *l)
{
	return lower_call2(l->e, l->rule->intrinsic, l->v[0], LLVMConstNull(l->e->t.i1));
}

/* Constant divisors are common, and need no check. */
static void
trap_unless_false(struct emit *e, LLVMValueRef condition, enum vm_trap trap)
{
	if (LLVMIsAConstantInt(condition) == NULL || LLVMConstIntGetZExtValue(condition) != 0)
		emit_trap_if(e, condition, trap);
}

static LLVMValueRef
lower_divide(const struct lowering *l)
{
	struct emit *e = l->e;
	LLVMBuilderRef b = e->builder;
	LLVMValueRef by = l->v[1];
	LLVMValueRef minus1 = LLVMBuildICmp(b, LLVMIntEQ, by, LLVMConstAllOnes(l->result), "");

	trap_unless_false(e, LLVMBuildICmp(b, LLVMIntEQ, by, LLVMConstNull(l->result), ""),
	                  VM_TRAP_DIVIDE_BY_ZERO);
	if (l->rule->code == LLVMSDiv) {
		uint64_t lowest = UINT64_C(1) << (lower_bits(l->result) - 1);
		LLVMValueRef is_lowest =
		    LLVMBuildICmp(b, LLVMIntEQ, l->v[0], lower_integer(l->result, lowest), "");

		trap_unless_false(e, LLVMBuildAnd(b, minus1, is_lowest, ""),
		                  VM_TRAP_INTEGER_OVERFLOW);
	} else if (l->rule->code == LLVMSRem) {
		/* Of the lowest integer by -1 it is 0, as by 1; LLVM's, and the processor's, trap.
		 */
		by = LLVMBuildSelect(b, minus1, lower_integer(l->result, 1), by, "");
	}
	return LLVMBuildBinOp(b, (LLVMOpcode)l->rule->code, l->v[0], by, "");
}

/* --- constants ------------------------------------------------------------------------------ */

static LLVMValueRef
lower_const(const struct lowering *l)
{
	const union walk_imm *imm = &l->insn->imm;
	struct emit *e = l->e;

	switch (opcode_sig_table[l->insn->op].imm) {
	case IMM_I32:
		return emit_i32(e, (uint32_t)imm->i32);
	case IMM_I64:
		return emit_i64(e, (uint64_t)imm->i64);
	case IMM_F32:
		return emit_hidden(e, LLVMConstBitCast(emit_i32(e, imm->f32_bits), e->t.f32));
	default:
		return emit_hidden(e, LLVMConstBitCast(emit_i64(e, imm->f64_bits), e->t.f64));
	}
}

/* --- the table ------------------------------------------------------------------------------ */

#define ROW(symbol, ...) [VM_OP_##symbol] = { .fn = __VA_ARGS__ }

#define INTEGER(I)                                                                                 \
	ROW(I##_CONST, lower_const),                                                               \
	ROW(I##_EQZ, lower_eqz),                                                                   \
	ROW(I##_EQ, lower_compare, .code = LLVMIntEQ),                                             \
	ROW(I##_NE, lower_compare, .code = LLVMIntNE),                                             \
	ROW(I##_LT_S, lower_compare, .code = LLVMIntSLT),                                          \
	ROW(I##_LT_U, lower_compare, .code = LLVMIntULT),                                          \
	ROW(I##_GT_S, lower_compare, .code = LLVMIntSGT),                                          \
	ROW(I##_GT_U, lower_compare, .code = LLVMIntUGT),                                          \
	ROW(I##_LE_S, lower_compare, .code = LLVMIntSLE),                                          \
	ROW(I##_LE_U, lower_compare, .code = LLVMIntULE),                                          \
	ROW(I##_GE_S, lower_compare, .code = LLVMIntSGE),                                          \
	ROW(I##_GE_U, lower_compare, .code = LLVMIntUGE),                                          \
	ROW(I##_CLZ, lower_count_zeros, .intrinsic = "llvm.ctlz"),                                 \
	ROW(I##_CTZ, lower_count_zeros, .intrinsic = "llvm.cttz"),                                 \
	ROW(I##_POPCNT, lower_unary_intrinsic, .intrinsic = "llvm.ctpop"),                         \
	ROW(I##_ADD, lower_binary, .code = LLVMAdd),                                               \
	ROW(I##_SUB, lower_binary, .code = LLVMSub),                                               \
	ROW(I##_MUL, lower_binary, .code = LLVMMul),                                               \
	ROW(I##_DIV_S, lower_divide, .code = LLVMSDiv),                                            \
	ROW(I##_DIV_U, lower_divide, .code = LLVMUDiv),                                            \
	ROW(I##_REM_S, lower_divide, .code = LLVMSRem),                                            \
	ROW(I##_REM_U, lower_divide, .code = LLVMURem),                                            \
	ROW(I##_AND, lower_binary, .code = LLVMAnd),                                               \
	ROW(I##_OR, lower_binary, .code = LLVMOr),                                                 \
	ROW(I##_XOR, lower_binary, .code = LLVMXor),                                               \
	ROW(I##_SHL, lower_shift, .code = LLVMShl),                                                \
	ROW(I##_SHR_S, lower_shift, .code = LLVMAShr),                                             \
	ROW(I##_SHR_U, lower_shift, .code = LLVMLShr),                                             \
	ROW(I##_ROTL, lower_rotate, .intrinsic = "llvm.fshl"),                                     \
	ROW(I##_ROTR, lower_rotate, .intrinsic = "llvm.fshr"),                                     \
	ROW(I##_EXTEND8_S, lower_extend_low, .code = 8),                                           \
	ROW(I##_EXTEND16_S, lower_extend_low, .code = 16)

#define FLOAT(F)                                                                                   \
	ROW(F##_CONST, lower_const),                                                               \
	ROW(F##_EQ, lower_float_compare, .code = LLVMRealOEQ),                                     \
	ROW(F##_NE, lower_float_compare, .code = LLVMRealUNE),                                     \
	ROW(F##_LT, lower_float_compare, .code = LLVMRealOLT),                                     \
	ROW(F##_GT, lower_float_compare, .code = LLVMRealOGT),                                     \
	ROW(F##_LE, lower_float_compare, .code = LLVMRealOLE),                                     \
	ROW(F##_GE, lower_float_compare, .code = LLVMRealOGE),                                     \
	ROW(F##_ABS, lower_unary_intrinsic, .intrinsic = "llvm.fabs"),                             \
	ROW(F##_NEG, lower_float_neg),                                                             \
	ROW(F##_CEIL, lower_round, .code = NATIVE_##F##_CEIL, .intrinsic = "llvm.ceil"),           \
	ROW(F##_FLOOR, lower_round, .code = NATIVE_##F##_FLOOR, .intrinsic = "llvm.floor"),        \
	ROW(F##_TRUNC, lower_round, .code = NATIVE_##F##_TRUNC, .intrinsic = "llvm.trunc"),        \
	ROW(F##_NEAREST, lower_round, .code = NATIVE_##F##_NEAREST,                                \
	    .intrinsic = "llvm.roundeven"),                                                        \
	ROW(F##_SQRT, lower_sqrt),                                                                 \
	ROW(F##_ADD, lower_float_binary, .code = LLVMFAdd),                                        \
	ROW(F##_SUB, lower_float_binary, .code = LLVMFSub),                                        \
	ROW(F##_MUL, lower_float_binary, .code = LLVMFMul),                                        \
	ROW(F##_DIV, lower_float_binary, .code = LLVMFDiv),                                        \
	ROW(F##_MIN, lower_min_max, .code = LOWER_MIN),                                            \
	ROW(F##_MAX, lower_min_max, .code = LOWER_MAX),                                            \
	ROW(F##_COPYSIGN, lower_binary_intrinsic, .intrinsic = "llvm.copysign"),                   \
	ROW(F##_CONVERT_I32_S, lower_cast, .code = LLVMSIToFP),                                    \
	ROW(F##_CONVERT_I32_U, lower_cast, .code = LLVMUIToFP),                                    \
	ROW(F##_CONVERT_I64_S, lower_cast, .code = LLVMSIToFP),                                    \
	ROW(F##_CONVERT_I64_U, lower_cast, .code = LLVMUIToFP),                                    \
	ROW(I32_TRUNC_##F##_S, lower_trunc, .code = LOWER_SIGNED),                                 \
	ROW(I32_TRUNC_##F##_U, lower_trunc, .code = LOWER_UNSIGNED),                               \
	ROW(I64_TRUNC_##F##_S, lower_trunc, .code = LOWER_SIGNED),                                 \
	ROW(I64_TRUNC_##F##_U, lower_trunc, .code = LOWER_UNSIGNED),                               \
	ROW(I32_TRUNC_SAT_##F##_S, lower_trunc_sat, .code = LOWER_SIGNED),                         \
	ROW(I32_TRUNC_SAT_##F##_U, lower_trunc_sat, .code = LOWER_UNSIGNED),                       \
	ROW(I64_TRUNC_SAT_##F##_S, lower_trunc_sat, .code = LOWER_SIGNED),                         \
	ROW(I64_TRUNC_SAT_##F##_U, lower_trunc_sat, .code = LOWER_UNSIGNED)

static const struct lower_rule rules[VM_OP_COUNT] = {
	INTEGER(I32),
	INTEGER(I64),
	ROW(I64_EXTEND32_S, lower_extend_low, .code = 32),
	ROW(I32_WRAP_I64, lower_cast, .code = LLVMTrunc),
	ROW(I64_EXTEND_I32_S, lower_cast, .code = LLVMSExt),
	ROW(I64_EXTEND_I32_U, lower_cast, .code = LLVMZExt),
	FLOAT(F32),
	FLOAT(F64),
	ROW(F32_DEMOTE_F64, lower_demote),
	ROW(F64_PROMOTE_F32, lower_promote),
	ROW(I32_REINTERPRET_F32, lower_reinterpret),
	ROW(I64_REINTERPRET_F64, lower_reinterpret),
	ROW(F32_REINTERPRET_I32, lower_reinterpret),
	ROW(F64_REINTERPRET_I64, lower_reinterpret),
};

LLVMValueRef
emit_num(struct emit *e, const struct walk_insn *insn, LLVMValueRef *operands)
{
	return lower(e, &rules[insn->op], insn, operands);
}
