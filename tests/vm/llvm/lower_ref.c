#include "tests/vm/llvm/lower.h"

#include <stdlib.h>
#include <string.h>

/* --- operands ------------------------------------------------------------------------------- */

vm_valtype
case_operand(const struct lower_case *c, unsigned int i)
{
	const struct opcode_sig *sig = &opcode_sig_table[c->op];

	if (i >= sig->operand_count)
		return 0;
	if (sig->operands[i] == SIG_ADDRESS)
		return c->imm.memarg.is_64 ? VM_I64 : VM_I32;
	return sig->operands[i];
}

vm_valtype
case_result(const struct lower_case *c)
{
	return opcode_sig_table[c->op].result;
}

size_t
value_bytes(vm_valtype type)
{
	return type == VM_V128 ? 16 : type == VM_I64 || type == VM_F64 ? 8 : 4;
}

/* --- names ---------------------------------------------------------------------------------- */

/* What follows the point: "load8_s" of "i32.load8_s". */
static const char *
verb_of(enum vm_op op)
{
	const char *point = strchr(opcode_table[op].text, '.');

	return point == NULL ? "" : point + 1;
}

/* Bits of a lane or scalar, as the name begins: 16 of i16x8.neg, 64 of f64.add. */
static unsigned int
lane_bits(enum vm_op op)
{
	return (unsigned int)strtoul(opcode_table[op].text + 1, NULL, 10);
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

unsigned int
reference_nan_bits(enum vm_op op)
{
	static const char *const verbs[] = { "add",   "sub",  "mul",     "div", "sqrt", "ceil",
		                             "floor", "trunc", "nearest", "min", "max",  "madd",
		                             "nmadd" };
	const char *verb = verb_of(op);

	if (opcode_table[op].text[0] != 'f')
		return 0;
	if (begins(verb, "promote") || begins(verb, "demote"))
		return lane_bits(op);
	if (begins(verb, "relaxed_"))
		verb += strlen("relaxed_");
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verb, verbs[i]) == 0)
			return lane_bits(op);
	return 0;
}

/* --- numbers -------------------------------------------------------------------------------- */

#define GET_i(v) (v).u32[0]
#define GET_l(v) (v).u64[0]
#define GET_f(v) (v).f32[0]
#define GET_d(v) (v).f64[0]

#define UNARY(s, A, R)                                                                             \
	case VM_OP_##s:                                                                            \
		GET_##R(*out) = num_##s(GET_##A(in[0]), &trap);                                    \
		return trap;
#define BINARY(s, A, R)                                                                            \
	case VM_OP_##s:                                                                            \
		GET_##R(*out) = num_##s(GET_##A(in[0]), GET_##A(in[1]), &trap);                    \
		return trap;

static enum vm_trap
run_num(enum vm_op op, const union v128 *in, union v128 *out)
{
	enum vm_trap trap = VM_TRAP_NONE;

	switch ((int)op) {
#define ROW_COMPARE(s, A) BINARY(s, A, i)
#define ROW_BINARY(s, A, R) BINARY(s, A, R)
#define ROW_UNARY(s, A, R) UNARY(s, A, R)
#define ROW_LOAD(s, R)
#define ROW_STORE(s, A)
#define ROW_VECTOR(s, imm, sig)
#define ROW_OTHER(s)
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"
#undef ROW_COMPARE
#undef ROW_BINARY
#undef ROW_UNARY
#undef ROW_VECTOR
	default:
		return trap;
	}
}

/* --- vectors -------------------------------------------------------------------------------- */

#define V(s, result, ...)                                                                          \
	case VM_OP_##s:                                                                            \
		result = simd_##s(__VA_ARGS__);                                                    \
		break;
#define VECTOR_NONE_v_v(s) V(s, *out, in[0])
#define VECTOR_NONE_vv_v(s) V(s, *out, in[0], in[1])
#define VECTOR_NONE_vvv_v(s) V(s, *out, in[0], in[1], in[2])
#define VECTOR_NONE_vi_v(s) V(s, *out, in[0], in[1].u32[0])
#define VECTOR_NONE_v_i(s) V(s, out->u32[0], in[0])
#define VECTOR_SHUFFLE_vv_v(s) V(s, *out, in[0], in[1], c->imm.v128)
/* Rows of which vm/rt/simd.h knows nothing. */
#define VECTOR_NONE_i_v(s)
#define VECTOR_NONE_l_v(s)
#define VECTOR_NONE_f_v(s)
#define VECTOR_NONE_d_v(s)
#define VECTOR_LANE_v_i(s)
#define VECTOR_LANE_v_l(s)
#define VECTOR_LANE_v_f(s)
#define VECTOR_LANE_v_d(s)
#define VECTOR_LANE_vi_v(s)
#define VECTOR_LANE_vl_v(s)
#define VECTOR_LANE_vf_v(s)
#define VECTOR_LANE_vd_v(s)
#define VECTOR_MEMARG_a_v(s)
#define VECTOR_MEMARG_av_(s)
#define VECTOR_MEMARG_LANE_av_v(s)
#define VECTOR_MEMARG_LANE_av_(s)

/* The value of some bytes, extended to 8. */
static uint64_t
extended(const uint8_t *bytes, size_t count, bool is_signed)
{
	uint64_t value = 0;
	unsigned int shift = 64 - 8 * (unsigned int)count;

	memcpy(&value, bytes, count);
	return is_signed ? (uint64_t)((int64_t)(value << shift) >> shift) : value;
}

static bool
is_signed_form(enum vm_op op)
{
	size_t len = strlen(opcode_table[op].text);

	return opcode_table[op].text[len - 2] == '_' && opcode_table[op].text[len - 1] == 's';
}

static void
run_lanes(const struct lower_case *c, const union v128 *in, union v128 *out)
{
	size_t bytes = lane_bits(c->op) / 8;
	const char *verb = verb_of(c->op);

	if (strcmp(verb, "splat") == 0) {
		for (size_t i = 0; i < 16; i++)
			out->u8[i] = in[0].u8[i % bytes];
	} else if (begins(verb, "extract_lane")) {
		out->u64[0] =
		    extended(in[0].u8 + c->imm.lane * bytes, bytes, is_signed_form(c->op));
	} else if (begins(verb, "replace_lane")) {
		*out = in[0];
		memcpy(out->u8 + c->imm.lane * bytes, in[1].u8, bytes);
	}
}

static void
run_vector(const struct lower_case *c, const union v128 *in, union v128 *out)
{
	switch ((int)c->op) {
#define ROW_COMPARE(s, A)
#define ROW_BINARY(s, A, R)
#define ROW_UNARY(s, A, R)
#define ROW_VECTOR(s, imm, sig) VECTOR_##imm##_##sig(s)
#include "vm/def/opcode.def"
#undef OP
	case VM_OP_V128_CONST:
		memcpy(out->u8, c->imm.v128, 16);
		break;
	default:
		run_lanes(c, in, out);
		break;
	}
}

/* --- memory --------------------------------------------------------------------------------- */

size_t
reference_access(enum vm_op op)
{
	uint8_t imm = opcode_sig_table[op].imm;
	const char *verb = verb_of(op);

	if ((imm != IMM_MEMARG && imm != IMM_MEMARG_LANE) || opcode_sig_table[op].is_poly ||
	    (!begins(verb, "load") && !begins(verb, "store")))
		return 0;
	const char *number = verb + strcspn(verb, "0123456789_");
	char *end;
	size_t bits = strtoul(number, &end, 10);
	if (bits == 0)
		return value_bytes(opcode_sig_table[op].result != 0
		                       ? opcode_sig_table[op].result
		                       : opcode_sig_table[op].operands[1]);
	return *end == 'x' ? 8 : bits / 8;
}

/* load8x8_s and others: 8 bytes as lanes, each twice as wide. */
static void
load_wide(enum vm_op op, const uint8_t *at, union v128 *out)
{
	size_t bytes = strtoul(verb_of(op) + strlen("load"), NULL, 10) / 8;

	for (size_t i = 0; i < 8 / bytes; i++) {
		uint64_t lane = extended(at + i * bytes, bytes, is_signed_form(op));

		memcpy(out->u8 + 2 * i * bytes, &lane, 2 * bytes);
	}
}

static void
run_load(const struct lower_case *c, const uint8_t *at, const union v128 *in, union v128 *out)
{
	size_t bytes = reference_access(c->op);
	const char *verb = verb_of(c->op);

	memset(out, 0, sizeof *out);
	if (strchr(verb, 'x') != NULL) {
		load_wide(c->op, at, out);
	} else if (strstr(verb, "_splat") != NULL) {
		for (size_t i = 0; i < 16; i++)
			out->u8[i] = at[i % bytes];
	} else if (strstr(verb, "_lane") != NULL) {
		*out = in[1];
		memcpy(out->u8 + c->imm.memarg.lane * bytes, at, bytes);
	} else if (bytes == 16) {
		memcpy(out, at, 16);
	} else {
		out->u64[0] = extended(at, bytes, is_signed_form(c->op));
	}
}

static enum vm_trap
run_memory(const struct lower_case *c, const union v128 *in, union v128 *out, uint8_t *memory)
{
	size_t bytes = reference_access(c->op);
	uint64_t index = c->imm.memarg.is_64 ? in[0].u64[0] : in[0].u32[0];
	uint8_t *at = memory + index + c->imm.memarg.offset;

	if (begins(verb_of(c->op), "load"))
		run_load(c, at, in, out);
	else
		memcpy(at, in[1].u8 + c->imm.memarg.lane * bytes, bytes);
	return VM_TRAP_NONE;
}

/* --- any ------------------------------------------------------------------------------------ */

bool
reference_has(enum vm_op op)
{
	uint8_t imm = opcode_sig_table[op].imm;

	if (opcode_sig_table[op].is_poly || op == VM_OP_NOP)
		return false;
	return imm == IMM_NONE || imm == IMM_LANE || imm == IMM_SHUFFLE || imm == IMM_V128 ||
	       imm == IMM_I32 || imm == IMM_I64 || imm == IMM_F32 || imm == IMM_F64 ||
	       reference_access(op) != 0;
}

enum vm_trap
reference_run(const struct lower_case *c, const union v128 *in, union v128 *out, uint8_t *memory)
{
	const struct opcode_sig *sig = &opcode_sig_table[c->op];
	bool is_vector = sig->result == VM_V128;

	for (unsigned int i = 0; i < sig->operand_count; i++)
		is_vector = is_vector || sig->operands[i] == VM_V128;
	switch (sig->imm) {
	case IMM_I32:
	case IMM_I64:
	case IMM_F32:
	case IMM_F64:
		out->u64[0] = c->imm.f64_bits;
		return VM_TRAP_NONE;
	default:
		if (reference_access(c->op) != 0)
			return run_memory(c, in, out, memory);
		if (!is_vector)
			return run_num(c->op, in, out);
		run_vector(c, in, out);
		return VM_TRAP_NONE;
	}
}
