#include "vm/llvm/lower.h"

#include "vm/core/opcode.h"

LLVMTypeRef
lower_shape_type(const struct emit *e, enum lower_shape shape)
{
	switch (shape) {
	case I8X16:
		return e->t.i8x16;
	case I16X8:
		return e->t.i16x8;
	case I32X4:
		return e->t.i32x4;
	case F32X4:
		return e->t.f32x4;
	case F64X2:
		return e->t.f64x2;
	case SCALAR:
	case I64X2:
		break;
	}
	return e->t.i64x2;
}

bool
lower_is_vector(LLVMTypeRef type)
{
	return LLVMGetTypeKind(type) == LLVMVectorTypeKind;
}

static LLVMTypeRef
lane_type(LLVMTypeRef type)
{
	return lower_is_vector(type) ? LLVMGetElementType(type) : type;
}

unsigned int
lower_bits(LLVMTypeRef type)
{
	LLVMTypeRef lane = lane_type(type);
	LLVMTypeKind kind = LLVMGetTypeKind(lane);

	return kind == LLVMFloatTypeKind    ? 32
	       : kind == LLVMDoubleTypeKind ? 64
	                                    : LLVMGetIntTypeWidth(lane);
}

LLVMTypeRef
lower_integer_type(const struct emit *e, LLVMTypeRef type)
{
	LLVMTypeRef lane = LLVMIntTypeInContext(e->context, lower_bits(type));

	return lower_is_vector(type) ? LLVMVectorType(lane, LLVMGetVectorSize(type)) : lane;
}

/* --- constants ------------------------------------------------------------------------------ */

static LLVMValueRef
in_every_lane(LLVMTypeRef type, LLVMValueRef value)
{
	LLVMValueRef lanes[16];

	if (!lower_is_vector(type))
		return value;
	unsigned int count = LLVMGetVectorSize(type);
	for (unsigned int i = 0; i < count; i++)
		lanes[i] = value;
	return LLVMConstVector(lanes, count);
}

LLVMValueRef
lower_integer(LLVMTypeRef type, uint64_t value)
{
	return in_every_lane(type, LLVMConstInt(lane_type(type), value, false));
}

LLVMValueRef
lower_float(LLVMTypeRef type, double value)
{
	return in_every_lane(type, LLVMConstReal(lane_type(type), value));
}

/* --- values --------------------------------------------------------------------------------- */

LLVMValueRef
lower_bitcast(const struct emit *e, LLVMValueRef value, LLVMTypeRef type)
{
	return LLVMTypeOf(value) == type ? value : LLVMBuildBitCast(e->builder, value, type, "");
}

LLVMValueRef
lower_splat(const struct emit *e, LLVMValueRef scalar, unsigned int count)
{
	LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), count);
	LLVMValueRef one =
	    LLVMBuildInsertElement(e->builder, LLVMGetPoison(type), scalar, emit_i32(e, 0), "");

	return LLVMBuildShuffleVector(e->builder, one, LLVMGetPoison(type),
	                              LLVMConstNull(LLVMVectorType(e->t.i32, count)), "");
}

LLVMValueRef
lower_take(const struct emit *e, LLVMValueRef a, LLVMValueRef b, unsigned int first,
           unsigned int step, unsigned int count)
{
	LLVMValueRef lanes[16];

	if (b == NULL)
		b = LLVMGetPoison(LLVMTypeOf(a));
	for (unsigned int i = 0; i < count; i++)
		lanes[i] = emit_i32(e, first + step * i);
	return LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(lanes, count), "");
}

LLVMValueRef
lower_call1(struct emit *e, const char *intrinsic, LLVMValueRef a)
{
	LLVMTypeRef type = LLVMTypeOf(a);

	return emit_intrinsic(e, intrinsic, &type, 1, &a, 1);
}

LLVMValueRef
lower_call2(struct emit *e, const char *intrinsic, LLVMValueRef a, LLVMValueRef b)
{
	LLVMTypeRef type = LLVMTypeOf(a);
	LLVMValueRef args[2] = { a, b };

	return emit_intrinsic(e, intrinsic, &type, 1, args, 2);
}

LLVMValueRef
lower_clamp(struct emit *e, LLVMValueRef value, int64_t low, int64_t high)
{
	LLVMTypeRef type = LLVMTypeOf(value);

	value = lower_call2(e, "llvm.smax", value, lower_integer(type, (uint64_t)low));
	return lower_call2(e, "llvm.smin", value, lower_integer(type, (uint64_t)high));
}

/* --- one instruction ------------------------------------------------------------------------ */

LLVMValueRef
lower(struct emit *e, const struct lower_rule *rule, const struct walk_insn *insn,
      LLVMValueRef *operands)
{
	const struct opcode_sig *sig = &opcode_sig_table[insn->op];
	struct lowering l = { .e = e, .rule = rule, .insn = insn };

	if (rule->fn == NULL)
		return NULL;
	l.result = emit_type(e, sig->result);
	for (unsigned int i = 0; i < sig->operand_count; i++)
		l.v[i] = sig->operands[i] == VM_V128
		             ? lower_bitcast(e, operands[i], lower_shape_type(e, rule->shape))
		             : operands[i];
	return lower_bitcast(e, rule->fn(&l), l.result);
}
