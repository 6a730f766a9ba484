/*
 * ops_simd.c - handlers of vector instructions, made from the rows of the opcode table.
 *
 * Operands and results are in slots, see vector() in instructions.c.
 *
 * Spec: Core 3.0, sections 4.3.5 and 4.4.3
 */
#include "vm/interp/ops.h"

#include "vm/rt/simd.h"

static inline __attribute__((always_inline)) union v128
v128_from(const void *from)
{
	union v128 v;

	memcpy(&v, from, sizeof(v));
	return v;
}

static inline __attribute__((always_inline)) void
v128_to(void *to, union v128 v)
{
	memcpy(to, &v, sizeof(v));
}

#define V(n) v128_from(fp + (n))
#define TO_V(value) v128_to(fp + ip[1].d, (value))

/* Each shape's handler computes into value, then stores it. */
#define VECTOR_HANDLER(symbol, ...)                                                                \
	HANDLER(h_##symbol)                                                                        \
	{                                                                                          \
		__VA_ARGS__                                                                        \
		NEXT(2);                                                                           \
	}

#define VECTOR_NONE_v_v(symbol) VECTOR_HANDLER(symbol, TO_V(simd_##symbol(V(ip[1].a)));)
#define VECTOR_NONE_vv_v(symbol)                                                                   \
	VECTOR_HANDLER(symbol, TO_V(simd_##symbol(V(ip[1].a), V(ip[1].b)));)
#define VECTOR_NONE_vvv_v(symbol)                                                                  \
	VECTOR_HANDLER(symbol, TO_V(simd_##symbol(V(ip[1].a), V(ip[1].b), V(ip[1].e)));)
#define VECTOR_NONE_vi_v(symbol)                                                                   \
	VECTOR_HANDLER(symbol, TO_V(simd_##symbol(V(ip[1].a), fp[ip[1].b].u32));)
#define VECTOR_NONE_v_i(symbol)                                                                    \
	VECTOR_HANDLER(symbol, TO_SLOT_i(ip[1].d, simd_##symbol(V(ip[1].a)));)

/* --- lanes --------------------------------------------------------------------------------- */

/* The lane field of a shape, by symbol. */
#define LANES_I8X16_SPLAT u8
#define LANES_I16X8_SPLAT u16
#define LANES_I32X4_SPLAT u32
#define LANES_I64X2_SPLAT u64
#define LANES_F32X4_SPLAT f32
#define LANES_F64X2_SPLAT f64
#define LANES_I8X16_EXTRACT_LANE_S i8
#define LANES_I8X16_EXTRACT_LANE_U u8
#define LANES_I16X8_EXTRACT_LANE_S i16
#define LANES_I16X8_EXTRACT_LANE_U u16
#define LANES_I32X4_EXTRACT_LANE u32
#define LANES_I64X2_EXTRACT_LANE u64
#define LANES_F32X4_EXTRACT_LANE u32 /* as bits: a NaN stays as it is */
#define LANES_F64X2_EXTRACT_LANE u64
#define LANES_I8X16_REPLACE_LANE u8
#define LANES_I16X8_REPLACE_LANE u16
#define LANES_I32X4_REPLACE_LANE u32
#define LANES_I64X2_REPLACE_LANE u64
#define LANES_F32X4_REPLACE_LANE u32
#define LANES_F64X2_REPLACE_LANE u64

#define COUNT(lanes) (sizeof(((union v128 *)NULL)->lanes) / sizeof(((union v128 *)NULL)->lanes[0]))

#define SPLAT(symbol, lanes, from)                                                                 \
	VECTOR_HANDLER(symbol, {                                                                   \
		union v128 v;                                                                      \
		for (size_t i = 0; i < COUNT(lanes); i++)                                          \
			v.lanes[i] = from;                                                         \
		TO_V(v);                                                                           \
	})

#define CAST_u8(v) ((uint8_t)(v))
#define CAST_u16(v) ((uint16_t)(v))
#define CAST_u32(v) ((uint32_t)(v))
#define CAST_u64(v) (v)

#define VECTOR_NONE_i_v(symbol) SPLAT_INT(symbol, LANES_##symbol)
#define VECTOR_NONE_l_v(symbol) SPLAT_INT(symbol, LANES_##symbol)
#define SPLAT_INT(symbol, lanes) SPLAT_INT_(symbol, lanes)
#define SPLAT_INT_(symbol, lanes) SPLAT(symbol, lanes, CAST_##lanes(fp[ip[1].a].u64))
#define VECTOR_NONE_f_v(symbol) SPLAT(symbol, u32, fp[ip[1].a].u32)
#define VECTOR_NONE_d_v(symbol) SPLAT(symbol, u64, fp[ip[1].a].u64)

#define EXTRACT(symbol, lanes, T)                                                                  \
	VECTOR_HANDLER(symbol, {                                                                   \
		union v128 v = V(ip[1].a);                                                         \
		fp[ip[1].d].u64 = (T)v.lanes[ip[1].e & (COUNT(lanes) - 1)];                        \
	})
#define EXTRACT_(symbol, lanes, T) EXTRACT(symbol, lanes, T)
#define VECTOR_LANE_v_i(symbol) EXTRACT_(symbol, LANES_##symbol, uint32_t)
#define VECTOR_LANE_v_f(symbol) EXTRACT_(symbol, LANES_##symbol, uint32_t)
#define VECTOR_LANE_v_l(symbol) EXTRACT_(symbol, LANES_##symbol, uint64_t)
#define VECTOR_LANE_v_d(symbol) EXTRACT_(symbol, LANES_##symbol, uint64_t)

#define REPLACE(symbol, lanes)                                                                     \
	VECTOR_HANDLER(symbol, {                                                                   \
		union v128 v = V(ip[1].a);                                                         \
		v.lanes[ip[1].e & (COUNT(lanes) - 1)] = CAST_##lanes(fp[ip[1].b].u64);             \
		TO_V(v);                                                                           \
	})
#define REPLACE_(symbol, lanes) REPLACE(symbol, lanes)
#define VECTOR_LANE_vi_v(symbol) REPLACE_(symbol, LANES_##symbol)
#define VECTOR_LANE_vl_v(symbol) REPLACE_(symbol, LANES_##symbol)
#define VECTOR_LANE_vf_v(symbol) REPLACE_(symbol, LANES_##symbol)
#define VECTOR_LANE_vd_v(symbol) REPLACE_(symbol, LANES_##symbol)

#define VECTOR_SHUFFLE_vv_v(symbol)                                                                \
	HANDLER(h_##symbol)                                                                        \
	{                                                                                          \
		uint8_t lanes[16];                                                                 \
		memcpy(lanes, &ip[2], sizeof(lanes));                                              \
		TO_V(simd_I8X16_SHUFFLE(V(ip[1].a), V(ip[1].b), lanes));                           \
		NEXT(4);                                                                           \
	}

/* --- memory -------------------------------------------------------------------------------- */

/*
 * How many bytes, and what they become (loads) or come from (stores): v the vector, p the bytes
 * in memory, lane the lane.
 */
#define WIDTH_V128_LOAD 16
#define WIDTH_V128_LOAD8X8_S 8
#define WIDTH_V128_LOAD8X8_U 8
#define WIDTH_V128_LOAD16X4_S 8
#define WIDTH_V128_LOAD16X4_U 8
#define WIDTH_V128_LOAD32X2_S 8
#define WIDTH_V128_LOAD32X2_U 8
#define WIDTH_V128_LOAD8_SPLAT 1
#define WIDTH_V128_LOAD16_SPLAT 2
#define WIDTH_V128_LOAD32_SPLAT 4
#define WIDTH_V128_LOAD64_SPLAT 8
#define WIDTH_V128_LOAD32_ZERO 4
#define WIDTH_V128_LOAD64_ZERO 8
#define WIDTH_V128_STORE 16
#define WIDTH_V128_LOAD8_LANE 1
#define WIDTH_V128_LOAD16_LANE 2
#define WIDTH_V128_LOAD32_LANE 4
#define WIDTH_V128_LOAD64_LANE 8
#define WIDTH_V128_STORE8_LANE 1
#define WIDTH_V128_STORE16_LANE 2
#define WIDTH_V128_STORE32_LANE 4
#define WIDTH_V128_STORE64_LANE 8

static inline __attribute__((always_inline)) union v128
low_half(const uint8_t *p)
{
	union v128 v = { .u64 = { 0, 0 } };

	memcpy(&v, p, 8);
	return v;
}

#define WIDENED(TO, FROM, S, p) simd_##TO##_EXTEND_LOW_##FROM##_##S(low_half(p))
#define LOADED_V128_LOAD(p) v128_from(p)
#define LOADED_V128_LOAD8X8_S(p) WIDENED(I16X8, I8X16, S, p)
#define LOADED_V128_LOAD8X8_U(p) WIDENED(I16X8, I8X16, U, p)
#define LOADED_V128_LOAD16X4_S(p) WIDENED(I32X4, I16X8, S, p)
#define LOADED_V128_LOAD16X4_U(p) WIDENED(I32X4, I16X8, U, p)
#define LOADED_V128_LOAD32X2_S(p) WIDENED(I64X2, I32X4, S, p)
#define LOADED_V128_LOAD32X2_U(p) WIDENED(I64X2, I32X4, U, p)
#define LOADED_V128_LOAD8_SPLAT(p) splat_bytes(p, 1)
#define LOADED_V128_LOAD16_SPLAT(p) splat_bytes(p, 2)
#define LOADED_V128_LOAD32_SPLAT(p) splat_bytes(p, 4)
#define LOADED_V128_LOAD64_SPLAT(p) splat_bytes(p, 8)
#define LOADED_V128_LOAD32_ZERO(p) zero_extended(p, 4)
#define LOADED_V128_LOAD64_ZERO(p) zero_extended(p, 8)

static inline __attribute__((always_inline)) union v128
splat_bytes(const uint8_t *p, size_t width)
{
	union v128 v;

	for (size_t i = 0; i < sizeof(v); i += width)
		memcpy(v.u8 + i, p, width);
	return v;
}

static inline __attribute__((always_inline)) union v128
zero_extended(const uint8_t *p, size_t width)
{
	union v128 v = { .u64 = { 0, 0 } };

	memcpy(&v, p, width);
	return v;
}

/* Word 2 the offset, word 3 the memory and above it the lane. */
#define VECTOR_ACCESS(symbol, ...)                                                                 \
	HANDLER(h_##symbol)                                                                        \
	{                                                                                          \
		uint8_t *p = checked_address(inst->memories[(uint32_t)ip[3].u64], fp[ip[1].a],     \
		                             ip[2].u64, WIDTH_##symbol);                           \
		uint32_t lane = (uint32_t)(ip[3].u64 >> 32);                                       \
		(void)lane;                                                                        \
		if (unlikely(p == NULL))                                                           \
			TRAP(VM_TRAP_MEMORY_BOUNDS);                                               \
		__VA_ARGS__                                                                        \
		NEXT(4);                                                                           \
	}

#define VECTOR_MEMARG_a_v(symbol) VECTOR_ACCESS(symbol, TO_V(LOADED_##symbol(p));)
#define VECTOR_MEMARG_av_(symbol) VECTOR_ACCESS(symbol, v128_to(p, V(ip[1].b));)
#define VECTOR_MEMARG_LANE_av_v(symbol)                                                            \
	VECTOR_ACCESS(symbol, {                                                                    \
		union v128 v = V(ip[1].b);                                                         \
		memcpy(v.u8 + lane % (16 / WIDTH_##symbol) * WIDTH_##symbol, p, WIDTH_##symbol);   \
		TO_V(v);                                                                           \
	})
#define VECTOR_MEMARG_LANE_av_(symbol)                                                             \
	VECTOR_ACCESS(symbol, {                                                                    \
		union v128 v = V(ip[1].b);                                                         \
		memcpy(p, v.u8 + lane % (16 / WIDTH_##symbol) * WIDTH_##symbol, WIDTH_##symbol);   \
	})

/* --- rows ---------------------------------------------------------------------------------- */

#define ROW_COMPARE(symbol, A)
#define ROW_BINARY(symbol, A, R)
#define ROW_UNARY(symbol, A, R)
#define ROW_LOAD(symbol, R)
#define ROW_STORE(symbol, A)
#define ROW_VECTOR(symbol, imm, sig) VECTOR_##imm##_##sig(symbol)
#define ROW_OTHER(symbol)
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"
