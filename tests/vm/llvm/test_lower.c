#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "tests/vm/llvm/lower.h"

/* LOWER_LONG asks for many more constants. */
static bool is_long;

/* --- values --------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t
random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static const uint64_t edges_8[] = { 0, 1, 2, 15, 16, 17, 0x40, 0x7f, 0x80, 0x81, 0xf0, 0xff };

static const uint64_t edges_16[] = { 0,      1,      0x7f,   0x80,   0xff,   0x100, 0x4000,
	                             0x7fff, 0x8000, 0x8001, 0xff7f, 0xff80, 0xffff };

static const uint64_t edges_32[] = {
	0,          1,          2,          7,          31,         32,
	33,         0x7f,       0x80,       0xff,       0x7fff,     0x8000,
	0xffff,     0x10000,    0x1000001,  0x7fffffff, 0x80000000, 0x80000001,
	0xaaaaaaaa, 0xffff8000, 0xffffff80, 0xfffffffe, 0xffffffff,
};

static const uint64_t edges_64[] = {
	0,
	1,
	2,
	63,
	64,
	0x7fffffff,
	0x80000000,
	0xffffffff,
	0x100000000,
	0x20000000000001,
	0x7fffffffffffffff,
	0x8000000000000000,
	0x8000000000000001,
	0x8000008000000001,
	0xffffffff80000000,
	0xfffffffffffffffe,
	0xffffffffffffffff,
};

/* Positive floats; each is used with both signs. The last three are NaNs: canonical ones first. */
static const uint32_t edges_f32[] = {
	0x00000000, 0x00000001, 0x007fffff, 0x00800000, 0x3effffff, 0x3f000000,
	0x3f000001, 0x3f7fffff, 0x3f800000, 0x3fc00000, 0x40000000, 0x40200000,
	0x4affffff, 0x4b000000, 0x4b000001, 0x4effffff, 0x4f000000, 0x4f000001,
	0x4f7fffff, 0x4f800000, 0x5effffff, 0x5f000000, 0x5f7fffff, 0x5f800000,
	0x7f7fffff, 0x7f800000, 0x7fc00000, 0x7fc12345, 0x7f812345,
};

static const uint64_t edges_f64[] = {
	0x0000000000000000, 0x0000000000000001, 0x000fffffffffffff, 0x0010000000000000,
	0x3690000000000000, 0x380fffffffffffff, 0x3810000000000000, 0x3fdfffffffffffff,
	0x3fe0000000000000, 0x3fe0000000000001, 0x3fefffffffffffff, 0x3ff0000000000000,
	0x3ff8000000000000, 0x4000000000000000, 0x4004000000000000, 0x41dfffffffbfffff,
	0x41dfffffffc00000, 0x41dfffffffdfffff, 0x41e0000000000000, 0x41e0000000000001,
	0x41e0000000100000, 0x41e0000000200000, 0x41efffffffe00000, 0x41efffffffffffff,
	0x41f0000000000000, 0x432fffffffffffff, 0x4330000000000000, 0x4340000000000001,
	0x43dfffffffffffff, 0x43e0000000000000, 0x43efffffffffffff, 0x43f0000000000000,
	0x47efffffe0000000, 0x47f0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000,
	0x7ff8000000000000, 0x7ff8000012345678, 0x7ff0000012345678,
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The bits of the i-th edge, positive and negative in turn, or random ones from there on. */
static uint32_t
value_f32(uint64_t i)
{
	return i / 2 < COUNT(edges_f32) ? edges_f32[i / 2] | (uint32_t)(i % 2) << 31
	                                : (uint32_t)random_next();
}

static uint64_t
value_f64(uint64_t i)
{
	return i / 2 < COUNT(edges_f64) ? edges_f64[i / 2] | i % 2 << 63 : random_next();
}

static uint64_t
edge_or_random(const uint64_t *edges, size_t count, uint64_t i)
{
	return i < count ? edges[i] : random_next();
}

/* How many edges a scalar type has, and the i-th value of it. */
static uint64_t
edge_count(vm_valtype type)
{
	switch (type) {
	case VM_I32:
		return COUNT(edges_32);
	case VM_I64:
		return COUNT(edges_64);
	case VM_F32:
		return 2 * COUNT(edges_f32);
	case VM_F64:
		return 2 * COUNT(edges_f64);
	default:
		return 40;
	}
}

/* Lanes of one kind, edges mostly. */
static void
vector_make(union v128 *out)
{
	uint64_t kind = random_next() % 6;

	for (unsigned int i = 0; i < 16; i++)
		out->u8[i] = (uint8_t)edge_or_random(edges_8, COUNT(edges_8), random_next() % 16);
	for (unsigned int i = 0; i < 8 && kind == 1; i++)
		out->u16[i] =
		    (uint16_t)edge_or_random(edges_16, COUNT(edges_16), random_next() % 16);
	for (unsigned int i = 0; i < 4 && kind == 2; i++)
		out->u32[i] =
		    (uint32_t)edge_or_random(edges_32, COUNT(edges_32), random_next() % 32);
	for (unsigned int i = 0; i < 2 && kind == 3; i++)
		out->u64[i] = edge_or_random(edges_64, COUNT(edges_64), random_next() % 20);
	for (unsigned int i = 0; i < 4 && kind == 4; i++)
		out->u32[i] = value_f32(random_next() % 64);
	for (unsigned int i = 0; i < 2 && kind == 5; i++)
		out->u64[i] = value_f64(random_next() % 84);
}

static void
value_make(union v128 *out, vm_valtype type, uint64_t i)
{
	memset(out, 0, sizeof *out);
	switch (type) {
	case VM_I32:
		out->u32[0] = (uint32_t)edge_or_random(edges_32, COUNT(edges_32), i);
		break;
	case VM_I64:
		out->u64[0] = edge_or_random(edges_64, COUNT(edges_64), i);
		break;
	case VM_F32:
		out->u32[0] = value_f32(i);
		break;
	case VM_F64:
		out->u64[0] = value_f64(i);
		break;
	default:
		vector_make(out);
		break;
	}
}

/* --- memory --------------------------------------------------------------------------------- */

/* What 32-bit indices and offsets reach; accessible at its start and around 4 GiB. */
enum { MEMORY_BYTES = 3 << 16, WINDOW = 64 };

static const uint64_t memory_reserved = UINT64_C(8) << 30;
static const uint64_t memory_high = (UINT64_C(4) << 30) - MEMORY_BYTES / 2;

static uint8_t *
memory_map(void)
{
	uint8_t *memory = mmap(NULL, memory_reserved, PROT_NONE,
	                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(mprotect(memory, MEMORY_BYTES, PROT_READ | PROT_WRITE), 0);
	ck_assert_int_eq(mprotect(memory + memory_high, MEMORY_BYTES, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < MEMORY_BYTES; i += 8) {
		uint64_t bits = random_next();

		memcpy(memory + i, &bits, 8);
		memcpy(memory + memory_high + i, &bits, 8);
	}
	return memory;
}

/*
 * An index for an access: inside of the memory, or, with a bounds check, far enough outside that
 * the check and not the guard has to find it. *out_inside says which.
 */
static uint64_t
index_make(const struct lower_case *c, bool *out_inside)
{
	const struct walk_memarg *memarg = &c->imm.memarg;
	uint64_t bytes = reference_access(c->op);
	uint64_t end = MEMORY_BYTES;
	uint64_t choice = random_next() % 8;

	*out_inside = true;
	if (!memarg->is_64 && memarg->offset > MEMORY_BYTES)
		end = memory_high + MEMORY_BYTES;
	uint64_t last = end - bytes - memarg->offset; /* largest index inside */
	if (memarg->is_64 && (memarg->offset > end - bytes || choice < 3)) {
		static const uint64_t outside[] = { MEMORY_BYTES,      MEMORY_BYTES + 1,
			                            UINT64_C(1) << 32, UINT64_C(1) << 63,
			                            UINT64_MAX - 7,    UINT64_MAX };

		*out_inside = false;
		if (memarg->offset > UINT64_C(1) << 16 && memarg->offset < end && choice == 0)
			return last + 1;
		return outside[random_next() % COUNT(outside)];
	}
	return choice == 7 ? last : last - random_next() % 4096;
}

/* --- one case ------------------------------------------------------------------------------- */

struct run {
	const struct lower_case *c;
	code_fn code;
	uint8_t *memory;
	bool canonical_nans;
	union v128 in[OPERANDS_MAX];
	uint32_t index; /* of the case, for reports */
};

static void
hex(char *out, const union v128 *value, size_t bytes)
{
	for (size_t i = bytes; i-- > 0; out += 2)
		(void)sprintf(out, "%02x", value->u8[i]);
}

static void
report(const struct run *run, const char *what, const union v128 *got, const union v128 *want)
{
	char operands[3][40] = { "", "", "" }, texts[2][40];

	for (unsigned int i = 0; i < OPERANDS_MAX && case_operand(run->c, i) != 0; i++)
		hex(operands[i], &run->in[i], value_bytes(case_operand(run->c, i)));
	hex(texts[0], got, value_bytes(case_result(run->c)));
	hex(texts[1], want, value_bytes(case_result(run->c)));
	ck_abort_msg("%s (case%u, constants %x) of %s %s %s: %s: got %s, want %s",
	             opcode_table[run->c->op].text, run->index, run->c->constants, operands[0],
	             operands[1], operands[2], what, texts[0], texts[1]);
}

static bool
is_odd_nan(uint64_t bits, bool is_f32)
{
	uint64_t infinity = is_f32 ? 0x7f800000 : UINT64_C(0x7ff0000000000000);
	uint64_t canonical = is_f32 ? 0x7fc00000 : UINT64_C(0x7ff8000000000000);

	bits &= is_f32 ? 0x7fffffff : UINT64_C(0x7fffffffffffffff);
	return bits > infinity && bits != canonical;
}

/* Whether every NaN among the operands is the canonical one: then the result's has to be. */
static bool
operands_are_tame(const struct run *run)
{
	unsigned int bits = reference_nan_bits(run->c->op);
	const char *text = opcode_table[run->c->op].text;

	if (strstr(text, "demote") != NULL || strstr(text, "promote") != NULL)
		bits = 96 - bits;
	for (unsigned int i = 0; i < OPERANDS_MAX && case_operand(run->c, i) != 0; i++) {
		size_t count = 8 * value_bytes(case_operand(run->c, i)) / bits;

		for (size_t k = 0; k < count; k++)
			if (bits == 32 ? is_odd_nan(run->in[i].u32[k], true)
			               : is_odd_nan(run->in[i].u64[k], false))
				return false;
	}
	return true;
}

/* Whether a NaN is one that arithmetic may give where the reference gives some NaN. */
static bool
nan_is_fit(const struct run *run, uint64_t bits, bool is_f32)
{
	uint64_t canonical = is_f32 ? 0x7fc00000 : UINT64_C(0x7ff8000000000000);

	if (run->canonical_nans)
		return bits == canonical;
	return (bits & canonical) == canonical &&
	       (!is_odd_nan(bits, is_f32) || !operands_are_tame(run));
}

static bool
lanes_agree(const struct run *run, const union v128 *got, const union v128 *want, size_t bytes)
{
	unsigned int bits = reference_nan_bits(run->c->op);

	if (bits == 0)
		return memcmp(got, want, bytes) == 0;
	for (size_t i = 0; i < bytes * 8 / bits; i++) {
		uint64_t g = bits == 32 ? got->u32[i] : got->u64[i];
		uint64_t w = bits == 32 ? want->u32[i] : want->u64[i];
		bool is_nan =
		    bits == 32 ? want->f32[i] != want->f32[i] : want->f64[i] != want->f64[i];

		if (is_nan ? !nan_is_fit(run, g, bits == 32) : g != w)
			return false;
	}
	return true;
}

static void
run_number(const struct run *run)
{
	union v128 got = { .u64 = { 0, 0 } }, want = { .u64 = { 0, 0 } };
	uint32_t trap = VM_TRAP_NONE;
	enum vm_trap want_trap = reference_run(run->c, run->in, &want, run->memory);

	run->code(run->in, &got, &trap, run->memory);
	if (trap != want_trap)
		report(run, vm_trap_text((enum vm_trap)trap), &got, &want);
	if (trap == VM_TRAP_NONE &&
	    !lanes_agree(run, &got, &want, value_bytes(case_result(run->c))))
		report(run, "another value", &got, &want);
}

/* Both ways on the same bytes; a window around them shows what else was touched. */
static void
run_access(const struct run *run, bool inside)
{
	bool is_64 = run->c->imm.memarg.is_64;
	uint64_t index = is_64 ? run->in[0].u64[0] : run->in[0].u32[0];
	uint8_t before[WINDOW], after[WINDOW];
	union v128 got = { .u64 = { 0, 0 } }, want = { .u64 = { 0, 0 } };
	uint32_t trap = VM_TRAP_NONE;

	if (!inside) {
		run->code(run->in, &got, &trap, run->memory);
		if (trap != VM_TRAP_MEMORY_BOUNDS)
			report(run, "no trap", &got, &want);
		return;
	}
	uint8_t *window = run->memory + ((index + run->c->imm.memarg.offset) & ~UINT64_C(31));
	size_t bytes = WINDOW;
	if (window + WINDOW > run->memory + MEMORY_BYTES && window < run->memory + MEMORY_BYTES)
		bytes = (size_t)(run->memory + MEMORY_BYTES - window);
	if (window + WINDOW > run->memory + memory_high + MEMORY_BYTES)
		bytes = (size_t)(run->memory + memory_high + MEMORY_BYTES - window);
	memcpy(before, window, bytes);
	run->code(run->in, &got, &trap, run->memory);
	memcpy(after, window, bytes);
	memcpy(window, before, bytes);
	(void)reference_run(run->c, run->in, &want, run->memory);
	if (trap != VM_TRAP_NONE || memcmp(window, after, bytes) != 0)
		report(run, trap != VM_TRAP_NONE ? "a trap" : "another memory", &got, &want);
	if (case_result(run->c) != 0 && memcmp(&got, &want, value_bytes(case_result(run->c))) != 0)
		report(run, "another value", &got, &want);
}

/* The round-th operands: all pairs of edges of scalars, then random ones. */
static void
operands_make(struct run *run, uint64_t round)
{
	for (unsigned int i = 0; i < OPERANDS_MAX && case_operand(run->c, i) != 0; i++) {
		vm_valtype type = case_operand(run->c, i);
		uint64_t edges = edge_count(type);

		if ((run->c->constants & 1u << i) != 0)
			run->in[i] = run->c->values[i];
		else
			value_make(&run->in[i], type, round % (edges + 4));
		round /= edges + 4;
	}
}

static uint64_t
rounds_of(const struct lower_case *c)
{
	uint64_t rounds = 1;
	bool has_vector = false;

	for (unsigned int i = 0; i < OPERANDS_MAX && case_operand(c, i) != 0; i++) {
		has_vector = has_vector || case_operand(c, i) == VM_V128;
		if ((c->constants & 1u << i) == 0)
			rounds *= edge_count(case_operand(c, i)) + 4;
	}
	if (reference_access(c->op) != 0)
		return c->constants != 0 ? 16 : 200;
	if (has_vector)
		return c->constants != 0 ? 100 : 2000;
	return rounds;
}

static void
case_run(struct run *run)
{
	uint64_t rounds = rounds_of(run->c);
	bool is_access = reference_access(run->c->op) != 0;
	bool inside = true;

	for (uint64_t round = 0; round < rounds; round++) {
		operands_make(run, round);
		if (!is_access) {
			run_number(run);
			continue;
		}
		if ((run->c->constants & 1) == 0)
			run->in[0].u64[0] = index_make(run->c, &inside);
		run_access(run, inside);
	}
}

/* --- all cases ------------------------------------------------------------------------------ */

struct cases {
	struct lower_case *items;
	uint32_t count, capacity;
};

static void
cases_add(struct cases *cases, const struct lower_case *c)
{
	if (cases->count == cases->capacity) {
		cases->capacity = cases->capacity * 2 + 64;
		cases->items = realloc(cases->items, cases->capacity * sizeof *cases->items);
		ck_assert_ptr_nonnull(cases->items);
	}
	cases->items[cases->count++] = *c;
}

/* An operand as a constant: an index inside of the memory, or any value. */
static void
constant_make(struct lower_case *c, unsigned int i, uint64_t which)
{
	unsigned int bits = reference_nan_bits(c->op);
	bool inside;

	value_make(&c->values[i], case_operand(c, i), which);
	/* The same float in all lanes. */
	for (unsigned int k = 0; k < 4 && case_operand(c, i) == VM_V128 && bits == 32; k++)
		c->values[i].u32[k] = value_f32(which);
	for (unsigned int k = 0; k < 2 && case_operand(c, i) == VM_V128 && bits == 64; k++)
		c->values[i].u64[k] = value_f64(which);
	if (i == 0 && reference_access(c->op) != 0)
		do
			c->values[i].u64[0] = index_make(c, &inside);
		while (!inside);
	c->constants |= 1u << i;
}

/*
 * Constants worth trying for an operand. Zeros, ones, infinities and NaNs of both signs are what
 * LLVM may have a rule for.
 */
static uint64_t
pick(const struct lower_case *c, unsigned int i, uint64_t k)
{
	static const uint64_t f32[] = { 0, 1, 16, 17, 50, 51, 52, 57 };
	static const uint64_t f64[] = { 0, 1, 22, 23, 70, 71, 72, 77 };
	unsigned int bits = reference_nan_bits(c->op);

	if (bits != 0 && k < COUNT(f32))
		return bits == 32 ? f32[k] : f64[k];
	return random_next() % edge_count(case_operand(c, i));
}

/* With immediates set: as it is, with each operand constant, with all of them constant. */
static void
cases_add_constants(struct cases *cases, const struct lower_case *base)
{
	bool is_access = reference_access(base->op) != 0;
	bool is_float = reference_nan_bits(base->op) != 0;
	uint64_t picks = is_long ? 60 : is_float ? 8 : 2;
	struct lower_case c = *base;

	cases_add(cases, base);
	if (is_access && (base->imm.memarg.offset != 0 || base->imm.memarg.is_64))
		return;
	for (unsigned int i = 0; i < OPERANDS_MAX && case_operand(base, i) != 0; i++) {
		for (uint64_t k = 0; k < picks; k++) {
			c = *base;
			constant_make(&c, i, pick(&c, i, k));
			cases_add(cases, &c);
		}
	}
	c = *base;
	for (unsigned int i = 0; i < OPERANDS_MAX && case_operand(base, i) != 0; i++)
		constant_make(&c, i, random_next() % edge_count(case_operand(base, i)));
	if (c.constants != 0)
		cases_add(cases, &c);
}

static void
cases_add_access(struct cases *cases, struct lower_case *c)
{
	static const uint64_t offsets[] = { 0, 1, 4096, (1 << 16) - 8, 70000 };
	static const uint64_t offsets_32[] = { 0xffffffff, 0x80000000 };
	static const uint64_t offsets_64[] = { UINT64_MAX, UINT64_MAX - 15, UINT64_C(1) << 33 };

	c->imm.memarg.lane = opcode_sig_table[c->op].imm == IMM_MEMARG_LANE
	                         ? (uint8_t)(random_next() % (16 / reference_access(c->op)))
	                         : 0;
	for (unsigned int is_64 = 0; is_64 < 2; is_64++) {
		c->imm.memarg.is_64 = is_64 != 0;
		for (size_t i = 0; i < COUNT(offsets); i++) {
			c->imm.memarg.offset = offsets[i];
			cases_add_constants(cases, c);
		}
	}
	for (size_t i = 0; i < COUNT(offsets_64); i++) {
		c->imm.memarg.offset = offsets_64[i];
		cases_add_constants(cases, c);
	}
	c->imm.memarg.is_64 = false;
	for (size_t i = 0; i < COUNT(offsets_32); i++) {
		c->imm.memarg.offset = offsets_32[i];
		cases_add_constants(cases, c);
	}
}

static void
cases_add_op(struct cases *cases, enum vm_op op)
{
	struct lower_case c = { .op = op };
	const uint8_t width = opcode_table[op].width;

	switch (opcode_sig_table[op].imm) {
	case IMM_MEMARG:
	case IMM_MEMARG_LANE:
		cases_add_access(cases, &c);
		return;
	case IMM_LANE:
		for (c.imm.lane = 0; c.imm.lane < 16 >> width; c.imm.lane++)
			cases_add_constants(cases, &c);
		return;
	case IMM_NONE:
		cases_add_constants(cases, &c);
		return;
	default:
		for (unsigned int k = 0; k < 20; k++) {
			vm_valtype type = case_result(&c);
			union v128 value;

			value_make(&value, type, random_next() % edge_count(type));
			memcpy(c.imm.v128, value.u8, 16);
			for (unsigned int i = 0; i < 16 && op == VM_OP_I8X16_SHUFFLE; i++)
				c.imm.v128[i] = (uint8_t)(random_next() % 32);
			cases_add_constants(cases, &c);
		}
	}
}

static const struct configuration {
	const char *name;
	bool host_cpu;
	bool canonical_nans;
} configurations[] = {
	{ "this processor", true, false },
	{ "any x86-64", false, false },
	{ "this processor, canonical NaNs", true, true },
	{ "any x86-64, canonical NaNs", false, true },
};

START_TEST(every_row_computes_what_the_interpreter_does)
{
	const struct configuration *config = &configurations[_i];
	struct cases cases = { NULL, 0, 0 };

	is_long = getenv("LOWER_LONG") != NULL;
	random_state = 0x9e3779b97f4a7c15;
	struct code *code = code_new(config->host_cpu, config->canonical_nans, MEMORY_BYTES);
	ck_assert_ptr_nonnull(code);
	for (unsigned int op = 0; op < VM_OP_COUNT; op++)
		if (reference_has((enum vm_op)op) &&
		    (!config->canonical_nans || reference_nan_bits((enum vm_op)op) != 0))
			cases_add_op(&cases, (enum vm_op)op);
	for (uint32_t i = 0; i < cases.count; i++)
		ck_assert_msg(code_add(code, &cases.items[i]), "%s: nothing lowers %s",
		              config->name, opcode_table[cases.items[i].op].text);
	char *why = code_finish(code);
	ck_assert_msg(why == NULL, "%s: %s", config->name, why);
	uint8_t *memory = memory_map();
	for (uint32_t i = 0; i < cases.count; i++) {
		struct run run = { .c = &cases.items[i],
			           .code = code_get(code, i, cases.items[i].op),
			           .memory = memory,
			           .canonical_nans = config->canonical_nans,
			           .index = i };

		ck_assert_ptr_nonnull(run.code);
		case_run(&run);
	}
	(void)munmap(memory, memory_reserved);
	code_free(code);
	free(cases.items);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("lower");
	TCase *tcase = tcase_create("rows");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, every_row_computes_what_the_interpreter_does, 0,
	                    (int)COUNT(configurations));
	suite_add_tcase(suite, tcase);
	return suite;
}
