#include "vm/llvm/lower.h"
#include "vm/rt/pool.h"

/*
 * An instruction accesses 2^width bytes at an address, exactly once. What it reads or writes is
 * one value: an integer of that many bits, a float, or a whole vector.
 */
enum access_kind {
	ACCESS_NONE,
	ACCESS_LOAD,   /* the value, extended to the result's type */
	ACCESS_STORE,  /* the operand's low bits */
	ACCESS_SPLAT,  /* in every lane */
	ACCESS_ZERO,   /* in the lowest lane, the others zero */
	ACCESS_WIDEN,  /* 8 bytes as lanes, each twice as wide */
	ACCESS_LOAD_LANE,
	ACCESS_STORE_LANE,
};

struct access_rule {
	enum access_kind kind;
	bool is_signed;
	enum lower_shape shape; /* of vectors: the lanes of the result */
};

#define ROW(symbol, k, sign, lanes) [VM_OP_##symbol] = { k, sign, lanes }
#define PLAIN(symbol, k) ROW(symbol, k, false, SCALAR)

#define LANES(bits, shape)                                                                         \
	ROW(V128_LOAD##bits##_SPLAT, ACCESS_SPLAT, false, shape),                                  \
	ROW(V128_LOAD##bits##_LANE, ACCESS_LOAD_LANE, false, shape),                               \
	ROW(V128_STORE##bits##_LANE, ACCESS_STORE_LANE, false, shape)

#define NARROW_LOAD(name)                                                                          \
	ROW(name##_S, ACCESS_LOAD, true, SCALAR),                                                  \
	ROW(name##_U, ACCESS_LOAD, false, SCALAR)

#define WIDEN(name, shape)                                                                         \
	ROW(V128_LOAD##name##_S, ACCESS_WIDEN, true, shape),                                       \
	ROW(V128_LOAD##name##_U, ACCESS_WIDEN, false, shape)

static const struct access_rule rules[VM_OP_COUNT] = {
	PLAIN(I32_LOAD, ACCESS_LOAD),
	PLAIN(I64_LOAD, ACCESS_LOAD),
	PLAIN(F32_LOAD, ACCESS_LOAD),
	PLAIN(F64_LOAD, ACCESS_LOAD),
	PLAIN(V128_LOAD, ACCESS_LOAD),
	NARROW_LOAD(I32_LOAD8),
	NARROW_LOAD(I32_LOAD16),
	NARROW_LOAD(I64_LOAD8),
	NARROW_LOAD(I64_LOAD16),
	NARROW_LOAD(I64_LOAD32),
	PLAIN(I32_STORE, ACCESS_STORE),
	PLAIN(I64_STORE, ACCESS_STORE),
	PLAIN(F32_STORE, ACCESS_STORE),
	PLAIN(F64_STORE, ACCESS_STORE),
	PLAIN(V128_STORE, ACCESS_STORE),
	PLAIN(I32_STORE8, ACCESS_STORE),
	PLAIN(I32_STORE16, ACCESS_STORE),
	PLAIN(I64_STORE8, ACCESS_STORE),
	PLAIN(I64_STORE16, ACCESS_STORE),
	PLAIN(I64_STORE32, ACCESS_STORE),
	LANES(8, I8X16),
	LANES(16, I16X8),
	LANES(32, I32X4),
	LANES(64, I64X2),
	/* As floats they go straight to a vector register. */
	ROW(V128_LOAD32_ZERO, ACCESS_ZERO, false, F32X4),
	ROW(V128_LOAD64_ZERO, ACCESS_ZERO, false, F64X2),
	WIDEN(8X8, I16X8),
	WIDEN(16X4, I32X4),
	WIDEN(32X2, I64X2),
};

/* --- addresses ------------------------------------------------------------------------------ */

/*
 * Trap unless index + offset + bytes <= size. What lies behind a memory's size faults, so it is
 * enough that the index is below the size where offset + bytes fits the guard. Otherwise
 * offset + bytes - 1 is taken off the size, which becomes 0 if it is smaller: then no index is
 * below it.
 */
static void
check_bounds(struct emit *e, const struct walk_memarg *memarg, LLVMValueRef index, uint64_t bytes)
{
	LLVMValueRef size = emit_field(e, e->t.i64, emit_memory_object(e, memarg->memory),
	                               offsetof(struct vm_memory, size), REGION_INSTANCE);

	if (memarg->offset > MEMORY_GUARD_BYTES - bytes) {
		/* No memory has 2^64 - 16 bytes, so the sum may stop there. */
		uint64_t last =
		    memarg->offset < UINT64_MAX - bytes ? memarg->offset + bytes - 1 : UINT64_MAX;

		size = lower_call2(e, "llvm.usub.sat", size, emit_i64(e, last));
	}
	emit_trap_if(e, LLVMBuildICmp(e->builder, LLVMIntUGE, index, size, ""),
	             VM_TRAP_MEMORY_BOUNDS);
}

static LLVMValueRef
add_bytes(const struct emit *e, LLVMValueRef address, LLVMValueRef bytes)
{
	return LLVMBuildInBoundsGEP2(e->builder, e->t.i8, address, &bytes, 1, "");
}

/*
 * base + index + offset, in this shape, so that the processor adds them in the access itself. In
 * 32-bit memories the sum is inside the reservation whatever the index is.
 */
static LLVMValueRef
address_of(struct emit *e, const struct walk_memarg *memarg, LLVMValueRef index, uint64_t bytes)
{
	LLVMValueRef address = emit_memory_base(e, memarg->memory);

	if (memarg->is_64)
		check_bounds(e, memarg, index, bytes);
	else
		index = LLVMBuildZExt(e->builder, index, e->t.i64, "");
	address = add_bytes(e, address, index);
	return memarg->offset == 0 ? address : add_bytes(e, address, emit_i64(e, memarg->offset));
}

/* --- accesses ------------------------------------------------------------------------------- */

/* The alignment of an instruction is a promise that need not be kept. */
static void
access_mark(const struct emit *e, LLVMValueRef access)
{
	LLVMSetAlignment(access, 1);
	emit_set_region(e, access, REGION_GUEST);
	emit_set_effect(e, access);
}

static LLVMValueRef
load(struct emit *e, LLVMTypeRef type, LLVMValueRef address)
{
	LLVMValueRef value = LLVMBuildLoad2(e->builder, type, address, "");

	access_mark(e, value);
	return value;
}

static void
store(struct emit *e, LLVMValueRef value, LLVMValueRef address)
{
	access_mark(e, LLVMBuildStore(e->builder, value, address));
}

/* --- what comes of the value ---------------------------------------------------------------- */

/* What is in memory, of a value of the type: fewer bits where the instruction is narrow. */
static LLVMTypeRef
stored_type(const struct emit *e, LLVMTypeRef value, unsigned int bits)
{
	if (LLVMGetTypeKind(value) != LLVMIntegerTypeKind)
		return value;
	return LLVMIntTypeInContext(e->context, bits);
}

static LLVMValueRef
load_extended(struct emit *e, const struct access_rule *rule, LLVMTypeRef result, unsigned int bits,
              LLVMValueRef address)
{
	LLVMTypeRef type = stored_type(e, result, bits);
	LLVMValueRef value = load(e, type, address);

	if (type == result)
		return value;
	return LLVMBuildCast(e->builder, rule->is_signed ? LLVMSExt : LLVMZExt, value, result, "");
}

static void
store_low(struct emit *e, LLVMValueRef value, unsigned int bits, LLVMValueRef address)
{
	LLVMTypeRef type = stored_type(e, LLVMTypeOf(value), bits);

	if (type != LLVMTypeOf(value))
		value = LLVMBuildTrunc(e->builder, value, type, "");
	store(e, value, address);
}

/* A double rather than an i64, for the same reason as above. */
static LLVMValueRef
load_widened(struct emit *e, const struct access_rule *rule, LLVMValueRef address)
{
	LLVMTypeRef wide = lower_shape_type(e, rule->shape);
	LLVMTypeRef lane = LLVMIntTypeInContext(e->context, lower_bits(wide) / 2);
	LLVMTypeRef narrow = LLVMVectorType(lane, LLVMGetVectorSize(wide));
	LLVMValueRef lanes = lower_bitcast(e, load(e, e->t.f64, address), narrow);

	return lower_widened(e, lanes, rule->is_signed);
}

/* vector is what the other lanes come from, in the rule's shape. */
static LLVMValueRef
load_lane(struct emit *e, LLVMValueRef vector, uint32_t lane, LLVMValueRef address)
{
	LLVMValueRef value = load(e, LLVMGetElementType(LLVMTypeOf(vector)), address);

	return LLVMBuildInsertElement(e->builder, vector, value, emit_i32(e, lane), "");
}

static void
store_lane(struct emit *e, LLVMValueRef vector, uint32_t lane, LLVMValueRef address)
{
	store(e, LLVMBuildExtractElement(e->builder, vector, emit_i32(e, lane), ""), address);
}

/* The vector operand, in the rule's shape. */
static LLVMValueRef
lanes_of(const struct emit *e, const struct access_rule *rule, LLVMValueRef vector)
{
	return lower_bitcast(e, vector, lower_shape_type(e, rule->shape));
}

bool
emit_memory(struct emit *e, const struct walk_insn *insn, LLVMValueRef *operands,
            LLVMValueRef *out_result)
{
	const struct access_rule *rule = &rules[insn->op];
	const struct walk_memarg *memarg = &insn->imm.memarg;
	unsigned int bytes = 1u << opcode_table[insn->op].width;
	LLVMTypeRef shape = lower_shape_type(e, rule->shape);
	LLVMValueRef value = NULL;

	if (rule->kind == ACCESS_NONE)
		return false;
	LLVMValueRef address = address_of(e, memarg, operands[0], bytes);
	switch (rule->kind) {
	case ACCESS_NONE:
		break;
	case ACCESS_LOAD:
		value = load_extended(e, rule, emit_type(e, opcode_sig_table[insn->op].result),
		                      8 * bytes, address);
		break;
	case ACCESS_STORE:
		store_low(e, operands[1], 8 * bytes, address);
		break;
	case ACCESS_SPLAT:
		value = lower_splat(e, load(e, LLVMGetElementType(shape), address),
		                    LLVMGetVectorSize(shape));
		break;
	case ACCESS_ZERO:
		value = load_lane(e, LLVMConstNull(shape), 0, address);
		break;
	case ACCESS_WIDEN:
		value = load_widened(e, rule, address);
		break;
	case ACCESS_LOAD_LANE:
		value = load_lane(e, lanes_of(e, rule, operands[1]), memarg->lane, address);
		break;
	case ACCESS_STORE_LANE:
		store_lane(e, lanes_of(e, rule, operands[1]), memarg->lane, address);
		break;
	}
	*out_result = value == NULL                        ? NULL
	              : lower_is_vector(LLVMTypeOf(value)) ? lower_bitcast(e, value, e->t.v128)
	                                                   : value;
	return true;
}
