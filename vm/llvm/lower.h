/*
 * lower.h - what the files that lower instructions without effects share.
 *
 *     num.c       the table of scalar instructions, integers
 *     float.c     floating-point arithmetic, scalar and lane by lane
 *     convert.c   conversions, scalar and lane by lane
 *     simd.c      the table of vector instructions, integer lanes
 *     lanes.c     vector instructions that move, widen or narrow lanes
 *     simd_x64.c  vector instructions that x86-64 has and LLVM does not find by itself
 *
 * An instruction is a row of a table: a function that makes LLVM's values, and what it differs in
 * from others of its kind. Most functions serve scalars and vectors alike, since they see the
 * operands of vector instructions as lanes already. What is computed is said in vm/rt/num.h and
 * vm/rt/simd.h; everything here has to agree with it, bit for bit but for the payloads of NaNs.
 *
 * About NaNs. LLVM may fold arithmetic that leaves numbers as they are, such as x - 0, and a
 * signalling NaN would come out as it went in; wasm demands that it be quiet. All these folds need
 * a constant, so float constants are hidden (emit_hidden) before arithmetic sees them. It also
 * keeps LLVM from computing NaNs with its own rules. Constants that appear only later (a local's on
 * all ways to where they meet, integers converted after propagation) are not caught.
 */
#pragma once

#include "vm/llvm/emit.h"

/* As what an instruction sees its vector operands. */
enum lower_shape { SCALAR, I8X16, I16X8, I32X4, I64X2, F32X4, F64X2 };

struct lower_rule;

struct lowering {
	struct emit *e;
	const struct lower_rule *rule;
	const struct walk_insn *insn;
	LLVMTypeRef result; /* of a scalar; v128 otherwise */
	LLVMValueRef v[3];  /* the operands; vectors in the rule's shape */
};

/* Results that are vectors may have any shape of 128 bits. */
typedef LLVMValueRef (*lower_fn)(const struct lowering *l);

struct lower_rule {
	lower_fn fn;
	int code;              /* opcode, predicate or whatever fn makes of it */
	enum lower_shape shape;
	const char *intrinsic; /* or NULL */
};

/* An instruction by its rule, which may be an empty row: then NULL. */
LLVMValueRef lower(struct emit *e, const struct lower_rule *rule, const struct walk_insn *insn,
                   LLVMValueRef *operands);

/* --- helpers (lower.c) ---------------------------------------------------------------------- */

LLVMTypeRef lower_shape_type(const struct emit *e, enum lower_shape shape);
bool lower_is_vector(LLVMTypeRef type);
/* Integers as wide as the floats of a scalar or vector type. */
LLVMTypeRef lower_integer_type(const struct emit *e, LLVMTypeRef type);
/* Bits of an integer or of a lane. */
unsigned int lower_bits(LLVMTypeRef type);
/* The same constant in every lane. */
LLVMValueRef lower_integer(LLVMTypeRef type, uint64_t value);
LLVMValueRef lower_float(LLVMTypeRef type, double value);
/* A scalar in every one of count lanes. */
LLVMValueRef lower_splat(const struct emit *e, LLVMValueRef scalar, unsigned int count);
/* Lanes first, first + step, ... of a vector, or of two behind one another (b may be NULL). */
LLVMValueRef lower_take(const struct emit *e, LLVMValueRef a, LLVMValueRef b, unsigned int first,
                        unsigned int step, unsigned int count);
/* Intrinsics overloaded on the type of their first argument. */
LLVMValueRef lower_call1(struct emit *e, const char *intrinsic, LLVMValueRef a);
LLVMValueRef lower_call2(struct emit *e, const char *intrinsic, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef lower_bitcast(const struct emit *e, LLVMValueRef value, LLVMTypeRef type);
/* The smaller or larger of signed lanes, and both: low <= value <= high. */
LLVMValueRef lower_clamp(struct emit *e, LLVMValueRef value, int64_t low, int64_t high);

/* --- num.c: scalars and lanes --------------------------------------------------------------- */

LLVMValueRef lower_binary(const struct lowering *l);           /* code: LLVMOpcode */
LLVMValueRef lower_binary_intrinsic(const struct lowering *l);
LLVMValueRef lower_unary_intrinsic(const struct lowering *l);
LLVMValueRef lower_compare(const struct lowering *l);          /* code: LLVMIntPredicate */
LLVMValueRef lower_neg(const struct lowering *l);
/* What a comparison says: 0 or 1, in lanes 0 or -1. */
LLVMValueRef lower_truth(const struct lowering *l, LLVMValueRef bits);

/* --- float.c -------------------------------------------------------------------------------- */

/* The result of arithmetic, whose NaNs become canonical if that is asked for. */
LLVMValueRef lower_canonical(struct emit *e, LLVMValueRef value);
/* An operand of arithmetic. */
LLVMValueRef lower_operand(struct emit *e, LLVMValueRef value);

LLVMValueRef lower_float_compare(const struct lowering *l); /* code: LLVMRealPredicate */
LLVMValueRef lower_float_binary(const struct lowering *l);  /* code: LLVMOpcode */
LLVMValueRef lower_float_neg(const struct lowering *l);
LLVMValueRef lower_sqrt(const struct lowering *l);
LLVMValueRef lower_round(const struct lowering *l);         /* code: enum native_builtin */
LLVMValueRef lower_min_max(const struct lowering *l);       /* code: enum lower_extreme */
LLVMValueRef lower_pseudo_min_max(const struct lowering *l);
LLVMValueRef lower_madd(const struct lowering *l);          /* code: take the product away */

enum lower_extreme { LOWER_MIN, LOWER_MAX };

/* --- convert.c ------------------------------------------------------------------------------ */

/* code of conversions between integers and floats: sign of the integer, and special forms */
enum { LOWER_UNSIGNED = 0, LOWER_SIGNED = 1 };

LLVMValueRef lower_cast(const struct lowering *l);        /* code: LLVMOpcode */
LLVMValueRef lower_reinterpret(const struct lowering *l);
LLVMValueRef lower_extend_low(const struct lowering *l);  /* code: bits to extend from */
LLVMValueRef lower_promote(const struct lowering *l);
LLVMValueRef lower_demote(const struct lowering *l);
LLVMValueRef lower_trunc(const struct lowering *l);       /* code: sign */
LLVMValueRef lower_trunc_sat(const struct lowering *l);   /* code: sign */
LLVMValueRef lower_lanes_convert(const struct lowering *l);     /* code: sign */
LLVMValueRef lower_lanes_convert_low(const struct lowering *l); /* code: sign */
LLVMValueRef lower_lanes_promote_low(const struct lowering *l);
LLVMValueRef lower_lanes_demote_zero(const struct lowering *l);
LLVMValueRef lower_lanes_trunc_sat(const struct lowering *l);      /* code: sign */
LLVMValueRef lower_lanes_trunc_sat_zero(const struct lowering *l); /* code: sign */

/* --- lanes.c -------------------------------------------------------------------------------- */

/* code of instructions that widen: which half of the lanes, and how */
enum { LOWER_LOW = 0, LOWER_HIGH = 2 };

LLVMValueRef lower_splat_lanes(const struct lowering *l);
LLVMValueRef lower_extract(const struct lowering *l);   /* code: sign */
LLVMValueRef lower_replace(const struct lowering *l);
LLVMValueRef lower_shuffle(const struct lowering *l);
LLVMValueRef lower_swizzle(const struct lowering *l);
LLVMValueRef lower_narrow(const struct lowering *l);    /* code: sign of the result */
LLVMValueRef lower_widen(const struct lowering *l);     /* code: half | sign */
LLVMValueRef lower_widen_mul(const struct lowering *l); /* code: half | sign */
LLVMValueRef lower_pairs(const struct lowering *l);     /* code: sign */
LLVMValueRef lower_dot(const struct lowering *l);
LLVMValueRef lower_dot_bytes(const struct lowering *l);
LLVMValueRef lower_dot_bytes_add(const struct lowering *l);
/* Twice as wide lanes made of a vector's lanes. */
LLVMValueRef lower_widened(const struct emit *e, LLVMValueRef lanes, bool is_signed);

/* --- simd_x64.c ----------------------------------------------------------------------------- */

/* Each returns NULL where the processor has nothing better than the general form. */
LLVMValueRef lower_x64_swizzle(struct emit *e, LLVMValueRef bytes, LLVMValueRef indices);
LLVMValueRef lower_x64_mul_q15(struct emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef lower_x64_dot(struct emit *e, LLVMValueRef a, LLVMValueRef b);
/* Sums of two neighbours, signed, twice as wide. */
LLVMValueRef lower_x64_pair_sums(struct emit *e, LLVMValueRef lanes);
/* f32x4 to i32x4; f64x2 to the low half of i32x4, the rest zero. */
LLVMValueRef lower_x64_trunc_sat(struct emit *e, LLVMValueRef floats, bool is_signed);
