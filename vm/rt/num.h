/*
 * num.h - what numeric instructions compute, once for every tier.
 *
 * num_<SYMBOL>(operands..., &trap) is the meaning of VM_OP_<SYMBOL>. i32 and i64 are unsigned
 * here. *trap is set, and the result meaningless, only by instructions that can trap; for the
 * others the compiler drops it. The symbols are those of opcode.def, so that tables can be
 * made from its rows.
 *
 * Spec: Core 3.0, section 4.3
 */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>
#include "vm/error.h"

#define NUM_UNARY(symbol, result, operand, expr)                                                   \
	static inline result num_##symbol(operand a, enum vm_trap *trap)                           \
	{                                                                                          \
		(void)trap;                                                                        \
		return (result)(expr);                                                             \
	}

#define NUM_BINARY(symbol, result, operand, expr)                                                  \
	static inline result num_##symbol(operand a, operand b, enum vm_trap *trap)                \
	{                                                                                          \
		(void)trap;                                                                        \
		return (result)(expr);                                                             \
	}

/* --- bit patterns ------------------------------------------------------------------------- */

static inline uint32_t
num_f32_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline uint64_t
num_f64_bits(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline float
num_f32_of_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline double
num_f64_of_bits(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* --- integers ----------------------------------------------------------------------------- */

#define NUM_INTEGER(W, U, S, BITS, SMIN)                                                           \
	NUM_UNARY(W##_EQZ, uint32_t, U, a == 0)                                                    \
	NUM_BINARY(W##_EQ, uint32_t, U, a == b)                                                    \
	NUM_BINARY(W##_NE, uint32_t, U, a != b)                                                    \
	NUM_BINARY(W##_LT_S, uint32_t, U, (S)a < (S)b)                                             \
	NUM_BINARY(W##_LT_U, uint32_t, U, a < b)                                                   \
	NUM_BINARY(W##_GT_S, uint32_t, U, (S)a > (S)b)                                             \
	NUM_BINARY(W##_GT_U, uint32_t, U, a > b)                                                   \
	NUM_BINARY(W##_LE_S, uint32_t, U, (S)a <= (S)b)                                            \
	NUM_BINARY(W##_LE_U, uint32_t, U, a <= b)                                                  \
	NUM_BINARY(W##_GE_S, uint32_t, U, (S)a >= (S)b)                                            \
	NUM_BINARY(W##_GE_U, uint32_t, U, a >= b)                                                  \
	NUM_BINARY(W##_ADD, U, U, a + b)                                                           \
	NUM_BINARY(W##_SUB, U, U, a - b)                                                           \
	NUM_BINARY(W##_MUL, U, U, a *b)                                                            \
	NUM_BINARY(W##_AND, U, U, a &b)                                                            \
	NUM_BINARY(W##_OR, U, U, a | b)                                                            \
	NUM_BINARY(W##_XOR, U, U, a ^ b)                                                           \
	NUM_BINARY(W##_SHL, U, U, a << (b & (BITS - 1)))                                           \
	NUM_BINARY(W##_SHR_U, U, U, a >> (b & (BITS - 1)))                                         \
	NUM_BINARY(W##_SHR_S, U, U, (S)a >> (b & (BITS - 1)))                                      \
	NUM_BINARY(W##_ROTL, U, U, a << (b & (BITS - 1)) | a >> (-b & (BITS - 1)))                 \
	NUM_BINARY(W##_ROTR, U, U, a >> (b & (BITS - 1)) | a << (-b & (BITS - 1)))                 \
	static inline U num_##W##_DIV_U(U a, U b, enum vm_trap *trap)                              \
	{                                                                                          \
		if (b == 0) {                                                                      \
			*trap = VM_TRAP_DIVIDE_BY_ZERO;                                            \
			return 0;                                                                  \
		}                                                                                  \
		return a / b;                                                                      \
	}                                                                                          \
	static inline U num_##W##_REM_U(U a, U b, enum vm_trap *trap)                              \
	{                                                                                          \
		if (b == 0) {                                                                      \
			*trap = VM_TRAP_DIVIDE_BY_ZERO;                                            \
			return 0;                                                                  \
		}                                                                                  \
		return a % b;                                                                      \
	}                                                                                          \
	static inline U num_##W##_DIV_S(U a, U b, enum vm_trap *trap)                              \
	{                                                                                          \
		if (b == 0) {                                                                      \
			*trap = VM_TRAP_DIVIDE_BY_ZERO;                                            \
			return 0;                                                                  \
		}                                                                                  \
		if (a == (U)SMIN && b == (U)-1) {                                                  \
			*trap = VM_TRAP_INTEGER_OVERFLOW;                                          \
			return 0;                                                                  \
		}                                                                                  \
		return (U)((S)a / (S)b);                                                           \
	}                                                                                          \
	static inline U num_##W##_REM_S(U a, U b, enum vm_trap *trap)                              \
	{                                                                                          \
		if (b == 0) {                                                                      \
			*trap = VM_TRAP_DIVIDE_BY_ZERO;                                            \
			return 0;                                                                  \
		}                                                                                  \
		if (b == (U)-1) /* SMIN % -1 overflows in C */                                     \
			return 0;                                                                  \
		return (U)((S)a % (S)b);                                                           \
	}

NUM_INTEGER(I32, uint32_t, int32_t, 32, INT32_MIN)
NUM_INTEGER(I64, uint64_t, int64_t, 64, INT64_MIN)

NUM_UNARY(I32_CLZ, uint32_t, uint32_t, a == 0 ? 32 : __builtin_clz(a))
NUM_UNARY(I32_CTZ, uint32_t, uint32_t, a == 0 ? 32 : __builtin_ctz(a))
NUM_UNARY(I64_CLZ, uint64_t, uint64_t, a == 0 ? 64 : __builtin_clzll(a))
NUM_UNARY(I64_CTZ, uint64_t, uint64_t, a == 0 ? 64 : __builtin_ctzll(a))

/* By halves, so that no library call is made where the processor has no instruction for it. */
static inline uint64_t
num_I64_POPCNT(uint64_t a, enum vm_trap *trap)
{
	(void)trap;
	a -= a >> 1 & 0x5555555555555555u;
	a = (a & 0x3333333333333333u) + (a >> 2 & 0x3333333333333333u);
	a = (a + (a >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return a * 0x0101010101010101u >> 56;
}

NUM_UNARY(I32_POPCNT, uint32_t, uint32_t, num_I64_POPCNT(a, trap))

NUM_UNARY(I32_WRAP_I64, uint32_t, uint64_t, a)
NUM_UNARY(I64_EXTEND_I32_S, uint64_t, uint32_t, (int64_t)(int32_t)a)
NUM_UNARY(I64_EXTEND_I32_U, uint64_t, uint32_t, a)
NUM_UNARY(I32_EXTEND8_S, uint32_t, uint32_t, (int32_t)(int8_t)a)
NUM_UNARY(I32_EXTEND16_S, uint32_t, uint32_t, (int32_t)(int16_t)a)
NUM_UNARY(I64_EXTEND8_S, uint64_t, uint64_t, (int64_t)(int8_t)a)
NUM_UNARY(I64_EXTEND16_S, uint64_t, uint64_t, (int64_t)(int16_t)a)
NUM_UNARY(I64_EXTEND32_S, uint64_t, uint64_t, (int64_t)(int32_t)a)

/* --- floats ------------------------------------------------------------------------------- */

/*
 * Rounding without library calls: adding and taking away 2^23 (2^52) leaves an integer for
 * magnitudes below it, rounded to nearest even; larger ones and infinities are integers already,
 * and a NaN is made quiet by an addition (not of zero: compilers drop that). copysign keeps -0.
 */
#define NUM_ROUNDING(F, T, ABS, COPYSIGN, BIG)                                                     \
	static inline T num_##F##_NEAREST(T a, enum vm_trap *trap)                                 \
	{                                                                                          \
		T magnitude = ABS(a);                                                              \
                                                                                                   \
		(void)trap;                                                                        \
		if (!(magnitude < BIG))                                                            \
			return a != a ? a + a : a;                                                 \
		return COPYSIGN((T)((T)(magnitude + BIG) - BIG), a);                               \
	}                                                                                          \
	static inline T num_##F##_FLOOR(T a, enum vm_trap *trap)                                   \
	{                                                                                          \
		T near = num_##F##_NEAREST(a, trap);                                               \
                                                                                                   \
		return near > a ? COPYSIGN(near - 1, a) : near;                                    \
	}                                                                                          \
	static inline T num_##F##_CEIL(T a, enum vm_trap *trap)                                    \
	{                                                                                          \
		T near = num_##F##_NEAREST(a, trap);                                               \
                                                                                                   \
		return near < a ? COPYSIGN(near + 1, a) : near;                                    \
	}                                                                                          \
	static inline T num_##F##_TRUNC(T a, enum vm_trap *trap)                                   \
	{                                                                                          \
		T down = num_##F##_FLOOR(ABS(a), trap);                                            \
                                                                                                   \
		return COPYSIGN(down, a);                                                          \
	}

NUM_ROUNDING(F32, float, __builtin_fabsf, __builtin_copysignf, 8388608.0f)
NUM_ROUNDING(F64, double, __builtin_fabs, __builtin_copysign, 4503599627370496.0)

/* min and max: NaN if either is, and -0 is less than +0. */
#define NUM_FLOAT(F, T, U, ABS, COPYSIGN, SQRT, BITS, OF_BITS)                                     \
	NUM_BINARY(F##_EQ, uint32_t, T, a == b)                                                    \
	NUM_BINARY(F##_NE, uint32_t, T, a != b)                                                    \
	NUM_BINARY(F##_LT, uint32_t, T, a < b)                                                     \
	NUM_BINARY(F##_GT, uint32_t, T, a > b)                                                     \
	NUM_BINARY(F##_LE, uint32_t, T, a <= b)                                                    \
	NUM_BINARY(F##_GE, uint32_t, T, a >= b)                                                    \
	NUM_UNARY(F##_ABS, T, T, ABS(a))                                                           \
	NUM_UNARY(F##_NEG, T, T, -a)                                                               \
	NUM_UNARY(F##_SQRT, T, T, SQRT(a))                                                         \
	NUM_BINARY(F##_ADD, T, T, a + b)                                                           \
	NUM_BINARY(F##_SUB, T, T, a - b)                                                           \
	NUM_BINARY(F##_MUL, T, T, a *b)                                                            \
	NUM_BINARY(F##_DIV, T, T, a / b)                                                           \
	NUM_BINARY(F##_COPYSIGN, T, T, COPYSIGN(a, b))                                             \
	static inline T num_##F##_MIN(T a, T b, enum vm_trap *trap)                                \
	{                                                                                          \
		(void)trap;                                                                        \
		if (a < b)                                                                         \
			return a;                                                                  \
		if (b < a)                                                                         \
			return b;                                                                  \
		if (a == b)                                                                        \
			return OF_BITS(BITS(a) | BITS(b));                                         \
		return a + b;                                                                      \
	}                                                                                          \
	static inline T num_##F##_MAX(T a, T b, enum vm_trap *trap)                                \
	{                                                                                          \
		(void)trap;                                                                        \
		if (a > b)                                                                         \
			return a;                                                                  \
		if (b > a)                                                                         \
			return b;                                                                  \
		if (a == b)                                                                        \
			return OF_BITS(BITS(a) & BITS(b));                                         \
		return a + b;                                                                      \
	}

NUM_FLOAT(F32, float, uint32_t, __builtin_fabsf, __builtin_copysignf, __builtin_sqrtf,
          num_f32_bits, num_f32_of_bits)
NUM_FLOAT(F64, double, uint64_t, __builtin_fabs, __builtin_copysign, __builtin_sqrt, num_f64_bits,
          num_f64_of_bits)

NUM_UNARY(F32_CONVERT_I32_S, float, uint32_t, (float)(int32_t)a)
NUM_UNARY(F32_CONVERT_I32_U, float, uint32_t, (float)a)
NUM_UNARY(F32_CONVERT_I64_S, float, uint64_t, (float)(int64_t)a)
NUM_UNARY(F32_CONVERT_I64_U, float, uint64_t, (float)a)
NUM_UNARY(F64_CONVERT_I32_S, double, uint32_t, (double)(int32_t)a)
NUM_UNARY(F64_CONVERT_I32_U, double, uint32_t, (double)a)
NUM_UNARY(F64_CONVERT_I64_S, double, uint64_t, (double)(int64_t)a)
NUM_UNARY(F64_CONVERT_I64_U, double, uint64_t, (double)a)
NUM_UNARY(F32_DEMOTE_F64, float, double, (float)a)
NUM_UNARY(F64_PROMOTE_F32, double, float, (double)a)
NUM_UNARY(I32_REINTERPRET_F32, uint32_t, float, num_f32_bits(a))
NUM_UNARY(I64_REINTERPRET_F64, uint64_t, double, num_f64_bits(a))
NUM_UNARY(F32_REINTERPRET_I32, float, uint32_t, num_f32_of_bits(a))
NUM_UNARY(F64_REINTERPRET_I64, double, uint64_t, num_f64_of_bits(a))

/*
 * Float to integer. LOW and HIGH are the floats just outside the range of the truncated result
 * where such floats exist, compared with > and <; where the range's end is itself a float
 * (-2^31 in f32), LOW_OK is >=.
 */
#define NUM_TRUNC(I, F, U, S, T, LOW_OK, LOW, HIGH, IMIN, IMAX)                                    \
	static inline U num_##I##_TRUNC_##F(T a, enum vm_trap *trap)                               \
	{                                                                                          \
		if (a LOW_OK LOW && a < HIGH)                                                      \
			return (U)(S)a;                                                            \
		*trap = a != a ? VM_TRAP_INVALID_CONVERSION : VM_TRAP_INTEGER_OVERFLOW;            \
		return 0;                                                                          \
	}                                                                                          \
	static inline U num_##I##_TRUNC_SAT_##F(T a, enum vm_trap *trap)                           \
	{                                                                                          \
		(void)trap;                                                                        \
		if (a LOW_OK LOW && a < HIGH)                                                      \
			return (U)(S)a;                                                            \
		if (a != a)                                                                        \
			return 0;                                                                  \
		return a < 0 ? (U)IMIN : (U)IMAX;                                                  \
	}

NUM_TRUNC(I32, F32_S, uint32_t, int32_t, float, >=, -2147483648.0f, 2147483648.0f, INT32_MIN,
          INT32_MAX)
NUM_TRUNC(I32, F32_U, uint32_t, uint32_t, float, >, -1.0f, 4294967296.0f, 0, UINT32_MAX)
NUM_TRUNC(I32, F64_S, uint32_t, int32_t, double, >, -2147483649.0, 2147483648.0, INT32_MIN,
          INT32_MAX)
NUM_TRUNC(I32, F64_U, uint32_t, uint32_t, double, >, -1.0, 4294967296.0, 0, UINT32_MAX)
NUM_TRUNC(I64, F32_S, uint64_t, int64_t, float, >=, -9223372036854775808.0f,
          9223372036854775808.0f, INT64_MIN, INT64_MAX)
NUM_TRUNC(I64, F32_U, uint64_t, uint64_t, float, >, -1.0f, 18446744073709551616.0f, 0, UINT64_MAX)
NUM_TRUNC(I64, F64_S, uint64_t, int64_t, double, >=, -9223372036854775808.0,
          9223372036854775808.0, INT64_MIN, INT64_MAX)
NUM_TRUNC(I64, F64_U, uint64_t, uint64_t, double, >, -1.0, 18446744073709551616.0, 0, UINT64_MAX)
