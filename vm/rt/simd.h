/*
 * simd.h - what vector instructions compute, once for every tier.
 *
 * simd_<SYMBOL>(operands...) is the meaning of VM_OP_<SYMBOL>, lane by lane; compilers turn the
 * loops into vector code. Lanes of floats follow num.h.
 *
 * Relaxed instructions make one choice, the same on every tier and machine: madd rounds twice,
 * min and max are the strict ones, swizzle and truncation those of plain SIMD, lane selection
 * is bit selection, and the dot product takes both operands as signed.
 *
 * Spec: Core 3.0, section 4.3.5 and 4.3.6
 */
#pragma once

#include "vm/rt/num.h"

union v128 {
	uint8_t u8[16];
	int8_t i8[16];
	uint16_t u16[8];
	int16_t i16[8];
	uint32_t u32[4];
	int32_t i32[4];
	uint64_t u64[2];
	int64_t i64[2];
	float f32[4];
	double f64[2];
};

#define SIMD_FN static inline __attribute__((always_inline))

/* --- makers of functions ---------------------------------------------------------------------- */

/* One lane after another; i is the lane, a b c the operands, trap for functions of num.h. */
#define SIMD_UNARY(symbol, count, to, expr)                                                        \
	SIMD_FN union v128 simd_##symbol(union v128 a)                                             \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		union v128 r;                                                                      \
		(void)trap;                                                                        \
		for (int i = 0; i < (count); i++)                                                  \
			r.to[i] = (expr);                                                          \
		return r;                                                                          \
	}

#define SIMD_BINARY(symbol, count, to, expr)                                                       \
	SIMD_FN union v128 simd_##symbol(union v128 a, union v128 b)                               \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		union v128 r;                                                                      \
		(void)trap;                                                                        \
		for (int i = 0; i < (count); i++)                                                  \
			r.to[i] = (expr);                                                          \
		return r;                                                                          \
	}

#define SIMD_TERNARY(symbol, count, to, expr)                                                      \
	SIMD_FN union v128 simd_##symbol(union v128 a, union v128 b, union v128 c)                 \
	{                                                                                          \
		union v128 r;                                                                      \
		for (int i = 0; i < (count); i++)                                                  \
			r.to[i] = (expr);                                                          \
		return r;                                                                          \
	}

#define SIMD_SHIFT(symbol, count, to, bits, expr)                                                  \
	SIMD_FN union v128 simd_##symbol(union v128 a, uint32_t by)                                \
	{                                                                                          \
		union v128 r;                                                                      \
		by &= (bits) - 1;                                                                  \
		for (int i = 0; i < (count); i++)                                                  \
			r.to[i] = (expr);                                                          \
		return r;                                                                          \
	}

/* --- saturation ---------------------------------------------------------------------------- */

SIMD_FN int32_t
simd_clamp(int32_t value, int32_t low, int32_t high)
{
	return value < low ? low : value > high ? high : value;
}

#define SAT_I8(v) ((int8_t)simd_clamp((v), -128, 127))
#define SAT_U8(v) ((uint8_t)simd_clamp((v), 0, 255))
#define SAT_I16(v) ((int16_t)simd_clamp((v), -32768, 32767))
#define SAT_U16(v) ((uint16_t)simd_clamp((v), 0, 65535))

/* --- bits ---------------------------------------------------------------------------------- */

SIMD_UNARY(V128_NOT, 2, u64, ~a.u64[i])
SIMD_BINARY(V128_AND, 2, u64, a.u64[i] & b.u64[i])
SIMD_BINARY(V128_ANDNOT, 2, u64, a.u64[i] & ~b.u64[i])
SIMD_BINARY(V128_OR, 2, u64, a.u64[i] | b.u64[i])
SIMD_BINARY(V128_XOR, 2, u64, a.u64[i] ^ b.u64[i])
SIMD_TERNARY(V128_BITSELECT, 2, u64, (a.u64[i] & c.u64[i]) | (b.u64[i] & ~c.u64[i]))

SIMD_FN uint32_t
simd_V128_ANY_TRUE(union v128 a)
{
	return (a.u64[0] | a.u64[1]) != 0;
}

/* --- integer lanes ------------------------------------------------------------------------- */

#define SIMD_COMPARE_LANES(SHAPE, count, u, s)                                                     \
	SIMD_BINARY(SHAPE##_EQ, count, s, a.u[i] == b.u[i] ? -1 : 0)                               \
	SIMD_BINARY(SHAPE##_NE, count, s, a.u[i] != b.u[i] ? -1 : 0)                               \
	SIMD_BINARY(SHAPE##_LT_S, count, s, a.s[i] < b.s[i] ? -1 : 0)                              \
	SIMD_BINARY(SHAPE##_GT_S, count, s, a.s[i] > b.s[i] ? -1 : 0)                              \
	SIMD_BINARY(SHAPE##_LE_S, count, s, a.s[i] <= b.s[i] ? -1 : 0)                             \
	SIMD_BINARY(SHAPE##_GE_S, count, s, a.s[i] >= b.s[i] ? -1 : 0)

#define SIMD_COMPARE_UNSIGNED(SHAPE, count, u, s)                                                  \
	SIMD_BINARY(SHAPE##_LT_U, count, s, a.u[i] < b.u[i] ? -1 : 0)                              \
	SIMD_BINARY(SHAPE##_GT_U, count, s, a.u[i] > b.u[i] ? -1 : 0)                              \
	SIMD_BINARY(SHAPE##_LE_U, count, s, a.u[i] <= b.u[i] ? -1 : 0)                             \
	SIMD_BINARY(SHAPE##_GE_U, count, s, a.u[i] >= b.u[i] ? -1 : 0)

#define SIMD_MIN_MAX(SHAPE, count, u, s)                                                           \
	SIMD_BINARY(SHAPE##_MIN_S, count, s, a.s[i] < b.s[i] ? a.s[i] : b.s[i])                    \
	SIMD_BINARY(SHAPE##_MIN_U, count, u, a.u[i] < b.u[i] ? a.u[i] : b.u[i])                    \
	SIMD_BINARY(SHAPE##_MAX_S, count, s, a.s[i] > b.s[i] ? a.s[i] : b.s[i])                    \
	SIMD_BINARY(SHAPE##_MAX_U, count, u, a.u[i] > b.u[i] ? a.u[i] : b.u[i])

/* U and S are the lane's types: sums wrap, the shift to the left is of the unsigned one. */
#define SIMD_ARITHMETIC(SHAPE, count, bits, u, s, U, S)                                            \
	SIMD_COMPARE_LANES(SHAPE, count, u, s)                                                     \
	SIMD_BINARY(SHAPE##_ADD, count, u, (U)(a.u[i] + b.u[i]))                                   \
	SIMD_BINARY(SHAPE##_SUB, count, u, (U)(a.u[i] - b.u[i]))                                   \
	SIMD_UNARY(SHAPE##_NEG, count, u, (U)(0u - a.u[i]))                                        \
	SIMD_UNARY(SHAPE##_ABS, count, u, a.s[i] < 0 ? (U)(0u - a.u[i]) : a.u[i])                  \
	SIMD_SHIFT(SHAPE##_SHL, count, u, bits, (U)(a.u[i] << by))                                 \
	SIMD_SHIFT(SHAPE##_SHR_U, count, u, bits, (U)(a.u[i] >> by))                               \
	SIMD_SHIFT(SHAPE##_SHR_S, count, s, bits, (S)(a.s[i] >> by))                               \
	SIMD_FN uint32_t simd_##SHAPE##_ALL_TRUE(union v128 a)                                     \
	{                                                                                          \
		uint32_t all = 1;                                                                  \
		for (int i = 0; i < (count); i++)                                                  \
			all &= a.u[i] != 0;                                                        \
		return all;                                                                        \
	}                                                                                          \
	SIMD_FN uint32_t simd_##SHAPE##_BITMASK(union v128 a)                                      \
	{                                                                                          \
		uint32_t mask = 0;                                                                 \
		for (int i = 0; i < (count); i++)                                                  \
			mask |= (uint32_t)(a.s[i] < 0) << i;                                       \
		return mask;                                                                       \
	}

SIMD_ARITHMETIC(I8X16, 16, 8, u8, i8, uint8_t, int8_t)
SIMD_ARITHMETIC(I16X8, 8, 16, u16, i16, uint16_t, int16_t)
SIMD_ARITHMETIC(I32X4, 4, 32, u32, i32, uint32_t, int32_t)
SIMD_ARITHMETIC(I64X2, 2, 64, u64, i64, uint64_t, int64_t)
SIMD_COMPARE_UNSIGNED(I8X16, 16, u8, i8)
SIMD_COMPARE_UNSIGNED(I16X8, 8, u16, i16)
SIMD_COMPARE_UNSIGNED(I32X4, 4, u32, i32)
SIMD_MIN_MAX(I8X16, 16, u8, i8)
SIMD_MIN_MAX(I16X8, 8, u16, i16)
SIMD_MIN_MAX(I32X4, 4, u32, i32)

SIMD_BINARY(I8X16_ADD_SAT_S, 16, i8, SAT_I8(a.i8[i] + b.i8[i]))
SIMD_BINARY(I8X16_ADD_SAT_U, 16, u8, SAT_U8(a.u8[i] + b.u8[i]))
SIMD_BINARY(I8X16_SUB_SAT_S, 16, i8, SAT_I8(a.i8[i] - b.i8[i]))
SIMD_BINARY(I8X16_SUB_SAT_U, 16, u8, SAT_U8(a.u8[i] - b.u8[i]))
SIMD_BINARY(I16X8_ADD_SAT_S, 8, i16, SAT_I16(a.i16[i] + b.i16[i]))
SIMD_BINARY(I16X8_ADD_SAT_U, 8, u16, SAT_U16(a.u16[i] + b.u16[i]))
SIMD_BINARY(I16X8_SUB_SAT_S, 8, i16, SAT_I16(a.i16[i] - b.i16[i]))
SIMD_BINARY(I16X8_SUB_SAT_U, 8, u16, SAT_U16(a.u16[i] - b.u16[i]))
SIMD_BINARY(I8X16_AVGR_U, 16, u8, (uint8_t)((a.u8[i] + b.u8[i] + 1) / 2))
SIMD_BINARY(I16X8_AVGR_U, 8, u16, (uint16_t)((a.u16[i] + b.u16[i] + 1) / 2))
SIMD_BINARY(I16X8_MUL, 8, u16, (uint16_t)((uint32_t)a.u16[i] * b.u16[i]))
SIMD_BINARY(I32X4_MUL, 4, u32, a.u32[i] * b.u32[i])
SIMD_BINARY(I64X2_MUL, 2, u64, a.u64[i] * b.u64[i])
SIMD_BINARY(I16X8_Q15MULR_SAT_S, 8, i16, SAT_I16((a.i16[i] * b.i16[i] + 0x4000) >> 15))
SIMD_BINARY(I32X4_DOT_I16X8_S, 4, u32,
            (uint32_t)(a.i16[2 * i] * b.i16[2 * i]) +
                (uint32_t)(a.i16[2 * i + 1] * b.i16[2 * i + 1]))

SIMD_FN uint8_t
simd_popcount8(uint8_t v)
{
	v = (uint8_t)(v - (v >> 1 & 0x55));
	v = (uint8_t)((v & 0x33) + (v >> 2 & 0x33));
	return (uint8_t)((v + (v >> 4)) & 0x0f);
}

SIMD_UNARY(I8X16_POPCNT, 16, u8, simd_popcount8(a.u8[i]))

/* --- widths -------------------------------------------------------------------------------- */

SIMD_BINARY(I8X16_NARROW_I16X8_S, 16, i8, SAT_I8(i < 8 ? a.i16[i & 7] : b.i16[i & 7]))
SIMD_BINARY(I8X16_NARROW_I16X8_U, 16, u8, SAT_U8(i < 8 ? a.i16[i & 7] : b.i16[i & 7]))
SIMD_BINARY(I16X8_NARROW_I32X4_S, 8, i16, SAT_I16(i < 4 ? a.i32[i & 3] : b.i32[i & 3]))
SIMD_BINARY(I16X8_NARROW_I32X4_U, 8, u16, SAT_U16(i < 4 ? a.i32[i & 3] : b.i32[i & 3]))

/* TO and FROM are shapes, tu and ts the wide lanes, fu and fs the narrow ones, W their types. */
#define SIMD_WIDEN(TO, FROM, count, tu, ts, fu, fs, WU, WS)                                        \
	SIMD_UNARY(TO##_EXTEND_LOW_##FROM##_S, count, ts, a.fs[i])                                 \
	SIMD_UNARY(TO##_EXTEND_HIGH_##FROM##_S, count, ts, a.fs[i + (count)])                      \
	SIMD_UNARY(TO##_EXTEND_LOW_##FROM##_U, count, tu, a.fu[i])                                 \
	SIMD_UNARY(TO##_EXTEND_HIGH_##FROM##_U, count, tu, a.fu[i + (count)])                      \
	SIMD_BINARY(TO##_EXTMUL_LOW_##FROM##_S, count, ts, (WS)((WS)a.fs[i] * (WS)b.fs[i]))        \
	SIMD_BINARY(TO##_EXTMUL_HIGH_##FROM##_S, count, ts,                                        \
	            (WS)((WS)a.fs[i + (count)] * (WS)b.fs[i + (count)]))                           \
	SIMD_BINARY(TO##_EXTMUL_LOW_##FROM##_U, count, tu,                                         \
	            (WU)((uint64_t)a.fu[i] * (uint64_t)b.fu[i]))                                   \
	SIMD_BINARY(TO##_EXTMUL_HIGH_##FROM##_U, count, tu,                                        \
	            (WU)((uint64_t)a.fu[i + (count)] * (uint64_t)b.fu[i + (count)]))

SIMD_WIDEN(I16X8, I8X16, 8, u16, i16, u8, i8, uint16_t, int16_t)
SIMD_WIDEN(I32X4, I16X8, 4, u32, i32, u16, i16, uint32_t, int32_t)
SIMD_WIDEN(I64X2, I32X4, 2, u64, i64, u32, i32, uint64_t, int64_t)

SIMD_UNARY(I16X8_EXTADD_PAIRWISE_I8X16_S, 8, i16, (int16_t)(a.i8[2 * i] + a.i8[2 * i + 1]))
SIMD_UNARY(I16X8_EXTADD_PAIRWISE_I8X16_U, 8, u16, (uint16_t)(a.u8[2 * i] + a.u8[2 * i + 1]))
SIMD_UNARY(I32X4_EXTADD_PAIRWISE_I16X8_S, 4, i32, a.i16[2 * i] + a.i16[2 * i + 1])
SIMD_UNARY(I32X4_EXTADD_PAIRWISE_I16X8_U, 4, u32, (uint32_t)a.u16[2 * i] + a.u16[2 * i + 1])

/* --- float lanes --------------------------------------------------------------------------- */

#define SIMD_FLOAT(SHAPE, F, count, f, s)                                                          \
	SIMD_BINARY(SHAPE##_EQ, count, s, a.f[i] == b.f[i] ? -1 : 0)                               \
	SIMD_BINARY(SHAPE##_NE, count, s, a.f[i] != b.f[i] ? -1 : 0)                               \
	SIMD_BINARY(SHAPE##_LT, count, s, a.f[i] < b.f[i] ? -1 : 0)                                \
	SIMD_BINARY(SHAPE##_GT, count, s, a.f[i] > b.f[i] ? -1 : 0)                                \
	SIMD_BINARY(SHAPE##_LE, count, s, a.f[i] <= b.f[i] ? -1 : 0)                               \
	SIMD_BINARY(SHAPE##_GE, count, s, a.f[i] >= b.f[i] ? -1 : 0)                               \
	SIMD_UNARY(SHAPE##_ABS, count, f, num_##F##_ABS(a.f[i], &trap))                            \
	SIMD_UNARY(SHAPE##_NEG, count, f, -a.f[i])                                                 \
	SIMD_UNARY(SHAPE##_SQRT, count, f, num_##F##_SQRT(a.f[i], &trap))                          \
	SIMD_UNARY(SHAPE##_CEIL, count, f, num_##F##_CEIL(a.f[i], &trap))                          \
	SIMD_UNARY(SHAPE##_FLOOR, count, f, num_##F##_FLOOR(a.f[i], &trap))                        \
	SIMD_UNARY(SHAPE##_TRUNC, count, f, num_##F##_TRUNC(a.f[i], &trap))                        \
	SIMD_UNARY(SHAPE##_NEAREST, count, f, num_##F##_NEAREST(a.f[i], &trap))                    \
	SIMD_BINARY(SHAPE##_ADD, count, f, a.f[i] + b.f[i])                                        \
	SIMD_BINARY(SHAPE##_SUB, count, f, a.f[i] - b.f[i])                                        \
	SIMD_BINARY(SHAPE##_MUL, count, f, a.f[i] * b.f[i])                                        \
	SIMD_BINARY(SHAPE##_DIV, count, f, a.f[i] / b.f[i])                                        \
	SIMD_BINARY(SHAPE##_MIN, count, f, num_##F##_MIN(a.f[i], b.f[i], &trap))                   \
	SIMD_BINARY(SHAPE##_MAX, count, f, num_##F##_MAX(a.f[i], b.f[i], &trap))                   \
	SIMD_BINARY(SHAPE##_PMIN, count, f, b.f[i] < a.f[i] ? b.f[i] : a.f[i])                     \
	SIMD_BINARY(SHAPE##_PMAX, count, f, a.f[i] < b.f[i] ? b.f[i] : a.f[i])                     \
	SIMD_BINARY(SHAPE##_RELAXED_MIN, count, f, num_##F##_MIN(a.f[i], b.f[i], &trap))           \
	SIMD_BINARY(SHAPE##_RELAXED_MAX, count, f, num_##F##_MAX(a.f[i], b.f[i], &trap))           \
	SIMD_TERNARY(SHAPE##_RELAXED_MADD, count, f, a.f[i] * b.f[i] + c.f[i])                     \
	SIMD_TERNARY(SHAPE##_RELAXED_NMADD, count, f, -(a.f[i] * b.f[i]) + c.f[i])

SIMD_FLOAT(F32X4, F32, 4, f32, i32)
SIMD_FLOAT(F64X2, F64, 2, f64, i64)

SIMD_UNARY(F32X4_CONVERT_I32X4_S, 4, f32, (float)a.i32[i])
SIMD_UNARY(F32X4_CONVERT_I32X4_U, 4, f32, (float)a.u32[i])
SIMD_UNARY(F64X2_CONVERT_LOW_I32X4_S, 2, f64, (double)a.i32[i])
SIMD_UNARY(F64X2_CONVERT_LOW_I32X4_U, 2, f64, (double)a.u32[i])
SIMD_UNARY(F64X2_PROMOTE_LOW_F32X4, 2, f64, (double)a.f32[i])
SIMD_UNARY(F32X4_DEMOTE_F64X2_ZERO, 4, f32, i < 2 ? (float)a.f64[i & 1] : 0.0f)
SIMD_UNARY(I32X4_TRUNC_SAT_F32X4_S, 4, u32, num_I32_TRUNC_SAT_F32_S(a.f32[i], &trap))
SIMD_UNARY(I32X4_TRUNC_SAT_F32X4_U, 4, u32, num_I32_TRUNC_SAT_F32_U(a.f32[i], &trap))
SIMD_UNARY(I32X4_TRUNC_SAT_F64X2_S_ZERO, 4, u32,
           i < 2 ? num_I32_TRUNC_SAT_F64_S(a.f64[i & 1], &trap) : 0)
SIMD_UNARY(I32X4_TRUNC_SAT_F64X2_U_ZERO, 4, u32,
           i < 2 ? num_I32_TRUNC_SAT_F64_U(a.f64[i & 1], &trap) : 0)

/* --- lanes rearranged ---------------------------------------------------------------------- */

SIMD_BINARY(I8X16_SWIZZLE, 16, u8, b.u8[i] < 16 ? a.u8[b.u8[i] & 15] : 0)

SIMD_FN union v128
simd_I8X16_SHUFFLE(union v128 a, union v128 b, const uint8_t lanes[16])
{
	uint8_t both[32];
	union v128 r;

	memcpy(both, a.u8, 16);
	memcpy(both + 16, b.u8, 16);
	for (int i = 0; i < 16; i++)
		r.u8[i] = both[lanes[i] & 31];
	return r;
}

/* --- relaxed ------------------------------------------------------------------------------- */

#define simd_I8X16_RELAXED_SWIZZLE simd_I8X16_SWIZZLE
#define simd_I32X4_RELAXED_TRUNC_F32X4_S simd_I32X4_TRUNC_SAT_F32X4_S
#define simd_I32X4_RELAXED_TRUNC_F32X4_U simd_I32X4_TRUNC_SAT_F32X4_U
#define simd_I32X4_RELAXED_TRUNC_F64X2_S_ZERO simd_I32X4_TRUNC_SAT_F64X2_S_ZERO
#define simd_I32X4_RELAXED_TRUNC_F64X2_U_ZERO simd_I32X4_TRUNC_SAT_F64X2_U_ZERO
#define simd_I8X16_RELAXED_LANESELECT simd_V128_BITSELECT
#define simd_I16X8_RELAXED_LANESELECT simd_V128_BITSELECT
#define simd_I32X4_RELAXED_LANESELECT simd_V128_BITSELECT
#define simd_I64X2_RELAXED_LANESELECT simd_V128_BITSELECT
#define simd_I16X8_RELAXED_Q15MULR_S simd_I16X8_Q15MULR_SAT_S

SIMD_BINARY(I16X8_RELAXED_DOT_I8X16_I7X16_S, 8, i16,
            SAT_I16(a.i8[2 * i] * b.i8[2 * i] + a.i8[2 * i + 1] * b.i8[2 * i + 1]))

SIMD_FN union v128
simd_I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S(union v128 a, union v128 b, union v128 c)
{
	union v128 pairs = simd_I16X8_RELAXED_DOT_I8X16_I7X16_S(a, b);
	union v128 sums = simd_I32X4_EXTADD_PAIRWISE_I16X8_S(pairs);

	return simd_I32X4_ADD(sums, c);
}
