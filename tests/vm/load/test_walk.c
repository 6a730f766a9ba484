/*
 * test_walk.c - what the walker tells a back-end, and what it refuses.
 */
#include "tests/support/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "tests/vm/load/build.h"
#include "vm/load/walk.h"
#include "vm/vm.h"

static struct vm_engine *engine;
static struct vm_error err;

static void
setup(void)
{
	ck_assert_int_eq(vm_engine_new(NULL, &engine, &err), VM_OK);
}

static void
teardown(void)
{
	vm_engine_unref(engine);
}

/*
 * The module around a body: type 0 is () -> (), type 1 (i32) -> (i32), type 2 () -> (i32), type 3
 * (i32 i32) -> (i32 i32). Function 0 is of type 1, function 1 (the body's) of type 2. There are a
 * 32-bit memory, a mutable i32 global, a table of functions, a tag with an i32.
 */
static struct build
around(const uint8_t *body, size_t len)
{
	struct build b = build_new();
	uint8_t code[120] = { 2, 4, 0, 0x20, 0, 0x0b, (uint8_t)len };

	SECTION(&b, 1, 5, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 1, 0x7f, 0x60, 2, 0x7f,
	        0x7f, 2, 0x7f, 0x7f, 0x60, 1, 0x7f, 0);
	SECTION(&b, 3, 2, 1, 2);
	SECTION(&b, 4, 1, 0x70, 0, 1);
	SECTION(&b, 5, 1, 0, 1);
	SECTION(&b, 13, 1, 0, 4);
	SECTION(&b, 6, 1, 0x7f, 1, 0x41, 0, 0x0b);
	ck_assert_uint_le(len, sizeof code - 7);
	memcpy(code + 7, body, len);
	build_section(&b, 10, code, len + 7);
	return b;
}

/* --- a back-end that writes down what it is told --------------------------------------------- */

struct recorder {
	struct vm_backend base;
	char text[1024];
	size_t len;
};

static enum vm_status VM_PRINTF(2, 3)
note(struct vm_backend *b, const char *format, ...)
{
	struct recorder *r = (struct recorder *)(void *)b;
	va_list args;

	va_start(args, format);
	r->len += (size_t)vsnprintf(r->text + r->len, sizeof r->text - r->len, format, args);
	va_end(args);
	ck_assert_uint_lt(r->len, sizeof r->text);
	return VM_OK;
}

static enum vm_status
on_begin(struct vm_backend *b, const struct walk_func *func, struct vm_error *e)
{
	(void)e;
	return note(b, "begin:%u", func->local_count);
}

static enum vm_status
on_op(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *e)
{
	(void)e;
	return note(b, " %s", opcode_table[insn->op].text);
}

static enum vm_status
on_enter(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
         struct vm_error *e)
{
	(void)e;
	return note(b, " %s:%u", opcode_table[insn->op].text, label->height);
}

static enum vm_status
on_else(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
        bool live, struct vm_error *e)
{
	(void)insn;
	(void)label;
	(void)e;
	return note(b, live ? " else" : " else:dead");
}

static enum vm_status
on_end(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
       bool live, struct vm_error *e)
{
	(void)insn;
	(void)e;
	return note(b, " end%s%s", live ? "" : ":dead", label->is_target ? ":target" : "");
}

static enum vm_status
on_branch(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *e)
{
	(void)e;
	return note(b, " %s:%u", opcode_table[insn->op].text, insn->imm.labels.depths[0]);
}

static enum vm_status
on_return(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *e)
{
	(void)insn;
	(void)e;
	return note(b, " return");
}

static enum vm_status
on_end_function(struct vm_backend *b, struct vm_error *e)
{
	(void)e;
	return note(b, " .");
}

static void
on_charge(struct vm_backend *b, uint32_t block)
{
	(void)note(b, " [%u", block);
}

static void
on_charge_total(struct vm_backend *b, uint32_t block, uint32_t cost)
{
	(void)note(b, " %u:%u]", block, cost);
}

static const struct vm_backend_ops recorder_ops = {
	.begin = on_begin,
	.op = on_op,
	.enter = on_enter,
	.else_ = on_else,
	.end = on_end,
	.branch = on_branch,
	.return_ = on_return,
	.end_function = on_end_function,
	.charge = on_charge,
	.charge_total = on_charge_total,
};

static const struct report {
	const char *name;
	uint8_t body[64];
	size_t len;
	const char *plain;   /* what the back-end is told */
	const char *metered; /* likewise when it wants fuel */
} reports[] = {
	{ "a constant", { 0, 0x41, 1, 0x0b }, 4, "begin:0 i32.const return .",
	  "begin:0 [0 i32.const return 0:1] ." },
	{ "locals", { 1, 3, 0x7f, 0x20, 2, 0x0b }, 6, "begin:3 local.get return .",
	  "begin:3 [0 local.get return 0:1] ." },
	{ "many locals",
	  { 2, 0xac, 0x02, 0x7f, 10, 0x7e, 0x20, 0xb1, 0x02, 0xa7, 0x0b }, 11,
	  "begin:310 local.get i32.wrap_i64 return .",
	  "begin:310 [0 local.get i32.wrap_i64 return 0:2] ." },
	/* unreachable  i32.const 1  drop  block  end */
	{ "nothing of dead code", { 0, 0x00, 0x41, 1, 0x1a, 0x02, 0x40, 0x0b, 0x0b }, 9,
	  "begin:0 unreachable .", "begin:0 [0 unreachable 0:1] ." },
	/* (block unreachable end) i32.const 1: typed, but dead */
	{ "nothing behind a dead block", { 0, 0x02, 0x40, 0x00, 0x0b, 0x41, 1, 0x0b }, 8,
	  "begin:0 block:0 unreachable end:dead .",
	  "begin:0 [0 block:0 unreachable 0:1] end:dead ." },
	/* (block (br 0)) i32.const 1 */
	{ "a block that is left by a branch", { 0, 0x02, 0x40, 0x0c, 0, 0x0b, 0x41, 1, 0x0b }, 9,
	  "begin:0 block:0 br:0 end:dead:target i32.const return .",
	  "begin:0 [0 block:0 br:0 0:1] end:dead:target [1 i32.const return 1:1] ." },
	/* (block nop) i32.const 1 */
	{ "a block that nobody leaves early", { 0, 0x02, 0x40, 0x01, 0x0b, 0x41, 1, 0x0b }, 8,
	  "begin:0 block:0 nop end i32.const return .",
	  "begin:0 [0 block:0 nop end i32.const return 0:1] ." },
	/* i32.const 7  (loop (param i32) (result i32) i32.const 0  br_if 0) */
	{ "a loop with an operand", { 0, 0x41, 7, 0x03, 1, 0x41, 0, 0x0d, 0, 0x0b, 0x0b }, 11,
	  "begin:0 i32.const loop:0 i32.const br_if:0 end:target return .",
	  "begin:0 [0 i32.const 0:1] loop:0 [1 i32.const br_if:0 1:2] [2 end:target return 2:0] ."
	},
	/* i32.const 0  (if (result i32) i32.const 1 else i32.const 2) */
	{ "both arms", { 0, 0x41, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x41, 2, 0x0b, 0x0b }, 12,
	  "begin:0 i32.const if:0 i32.const else i32.const end:target return .",
	  "begin:0 [0 i32.const 0:2] if:0 [1 i32.const 1:1] else [2 i32.const 2:1] end:target "
	  "[3 return 3:0] ." },
	/* i32.const 0  (if (result i32) i32.const 1 else unreachable) */
	{ "a first arm that goes on", { 0, 0x41, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x00, 0x0b, 0x0b },
	  11, "begin:0 i32.const if:0 i32.const else unreachable end:dead:target return .",
	  "begin:0 [0 i32.const 0:2] if:0 [1 i32.const 1:1] else [2 unreachable 2:1] "
	  "end:dead:target [3 return 3:0] ." },
	/* i32.const 0  (if (result i32) unreachable else i32.const 1) */
	{ "a second arm that goes on", { 0, 0x41, 0, 0x04, 0x7f, 0x00, 0x05, 0x41, 1, 0x0b, 0x0b },
	  11, "begin:0 i32.const if:0 unreachable else:dead i32.const end return .",
	  "begin:0 [0 i32.const 0:2] if:0 [1 unreachable 1:1] else:dead [2 i32.const 2:1] end "
	  "[3 return 3:0] ." },
	/* i32.const 0  (if unreachable)  i32.const 1 */
	{ "an if without else", { 0, 0x41, 0, 0x04, 0x40, 0x00, 0x0b, 0x41, 1, 0x0b }, 10,
	  "begin:0 i32.const if:0 unreachable end:dead i32.const return .",
	  "begin:0 [0 i32.const 0:2] if:0 [1 unreachable 1:1] end:dead [2 i32.const return 2:1] ."
	},
	/* (block (br_table 0 0 (i32.const 1))) i32.const 1 */
	{ "a table of branches",
	  { 0, 0x02, 0x40, 0x41, 1, 0x0e, 1, 0, 0, 0x0b, 0x41, 1, 0x0b }, 13,
	  "begin:0 block:0 i32.const br_table:0 end:dead:target i32.const return .",
	  "begin:0 [0 block:0 i32.const br_table:0 0:2] end:dead:target [1 i32.const return 1:1] ."
	},
	/* i32.const 1  return_call 0 */
	{ "a tail call", { 0, 0x41, 1, 0x12, 0, 0x0b }, 6, "begin:0 i32.const return_call .",
	  "begin:0 [0 i32.const return_call 0:2] ." },
	/* i32.const 1  return  (block br 0 end) */
	{ "no targets from dead code", { 0, 0x41, 1, 0x0f, 0x02, 0x40, 0x0c, 0, 0x0b, 0x0b }, 10,
	  "begin:0 i32.const return .", "begin:0 [0 i32.const return 0:2] ." },
};

START_TEST(back_ends_are_told_of_live_code)
{
	const struct report *c = &reports[_i];
	const struct build b = around(c->body, c->len);
	struct vm_module *module;

	ck_assert_msg(vm_module_load(engine, b.bytes, b.len, &module, &err) == VM_OK, "%s: %s",
	              c->name, err.message);
	struct walker *walker = walker_new(module);
	for (int fuel = 0; fuel < 2; fuel++) {
		struct recorder r = { .base = { &recorder_ops, fuel == 1 } };

		ck_assert_int_eq(walker_run(walker, 1, &r.base, &err), VM_OK);
		ck_assert_str_eq(r.text, fuel == 1 ? c->metered : c->plain);
	}
	walker_free(walker);
	vm_module_unref(module);
}
END_TEST

/* --- refusals -------------------------------------------------------------------------------- */

static const struct refusal {
	const char *name;
	uint8_t body[64];
	size_t len;
	enum vm_status want;
	const char *says;
} refusals[] = {
	{ "no result", { 0, 0x0b }, 2, VM_E_INVALID,
	  "end expected i32, but the block has no operand left" },
	{ "another result", { 0, 0x42, 0, 0x0b }, 4, VM_E_INVALID, "expected i32, got i64" },
	{ "too many results", { 0, 0x41, 0, 0x41, 0, 0x0b }, 6, VM_E_INVALID,
	  "1 operands too many" },
	{ "no end", { 0, 0x41, 0 }, 3, VM_E_TRUNCATED, "expected an instruction" },
	{ "code behind the end", { 0, 0x41, 0, 0x0b, 0x0b }, 5, VM_E_MALFORMED,
	  "END opcode expected" },
	{ "an unknown opcode", { 0, 0x06, 0x0b }, 3, VM_E_MALFORMED, "illegal opcode 0x06" },
	{ "an unknown opcode behind a prefix", { 0, 0xfc, 0x7f, 0x0b }, 4, VM_E_MALFORMED,
	  "illegal opcode 0xfc 0x7f" },
	{ "an unknown local", { 0, 0x20, 0, 0x0b }, 4, VM_E_INVALID, "unknown local 0" },
	{ "an unknown function", { 0, 0x10, 2, 0x0b }, 4, VM_E_INVALID, "unknown function 2" },
	{ "an unknown label", { 0, 0x0c, 1, 0x0b }, 4, VM_E_INVALID, "unknown label 1" },
	{ "an unknown memory", { 0, 0x3f, 1, 0x0b }, 4, VM_E_INVALID, "unknown memory 1" },
	{ "too large an alignment", { 0, 0x41, 0, 0x28, 3, 0, 0x0b }, 7, VM_E_INVALID,
	  "alignment 2^3 must not be larger than natural, 2^2" },
	{ "an else without an if", { 0, 0x05, 0x0b }, 3, VM_E_MALFORMED, "else without an if" },
	{ "an if without else, with a result",
	  { 0, 0x41, 0, 0x04, 0x7f, 0x41, 0, 0x0b, 0x0b }, 9, VM_E_INVALID, "if without else" },
	{ "an operand of the block around", { 0, 0x41, 0, 0x02, 0x40, 0x1a, 0x0b, 0x0b }, 8,
	  VM_E_INVALID, "drop expected an operand" },
	{ "polymorphic code of the wrong type", { 0, 0x00, 0x42, 0, 0x6a, 0x0b }, 6, VM_E_INVALID,
	  "i32.add expected i32, got i64" },
	{ "labels of a table that differ",
	  { 0, 0x02, 0x40, 0x41, 0, 0x41, 0, 0x0e, 1, 0, 1, 0x0b, 0x41, 0, 0x0b }, 15,
	  VM_E_INVALID, "label 0 takes 0 operands, the default 1" },
	{ "select of references", { 0, 0xd0, 0x70, 0xd0, 0x70, 0x41, 0, 0x1b, 0x0b }, 9,
	  VM_E_INVALID, "select of references" },
	{ "an undeclared function reference", { 0, 0xd2, 0, 0x0b }, 4, VM_E_INVALID,
	  "undeclared function reference" },
	{ "a local that has not been set",
	  { 1, 1, 0x64, 0x70, 0x20, 0, 0x1a, 0x41, 0, 0x0b }, 10, VM_E_INVALID,
	  "uninitialized local 0" },
	{ "a local that was set in a block",
	  { 1, 1, 0x64, 0x70, 0x02, 0x40, 0x00, 0x21, 0, 0x0b, 0x20, 0, 0x1a, 0x41, 0, 0x0b }, 16,
	  VM_E_INVALID, "uninitialized local 0" },
	{ "a data segment without a count", { 0, 0xfc, 9, 0, 0x0b }, 5, VM_E_MALFORMED,
	  "data count section required" },
	{ "a lane beyond the vector", { 0, 0x00, 0xfd, 0x1b, 4, 0x0b }, 6, VM_E_INVALID,
	  "invalid lane index 4" },
	{ "too many locals", { 1, 0xd1, 0x86, 0x03, 0x7f, 0x41, 0, 0x0b }, 8, VM_E_LIMIT,
	  "too many locals" },
	{ "a local of another type, far behind",
	  { 2, 0xac, 0x02, 0x7f, 10, 0x7e, 0x20, 0xb1, 0x02, 0x0b }, 10, VM_E_INVALID,
	  "expected i32, got i64" },
	{ "more locals than can be counted",
	  { 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 1, 0x7f, 0x41, 0, 0x0b }, 12, VM_E_LIMIT,
	  "too many locals" },
	{ "vector locals that need too many slots", { 1, 0xd0, 0x86, 0x03, 0x7b, 0x41, 0, 0x0b }, 8,
	  VM_E_LIMIT, "more than 65000 slots" },
	{ "a catch clause with other operands",
	  { 0, 0x1f, 0x40, 1, 0, 0, 1, 0x0b, 0x41, 0, 0x0b }, 11, VM_E_INVALID, "unknown label" },
};

START_TEST(bodies_are_refused_saying_why)
{
	const struct refusal *c = &refusals[_i];
	const struct build b = around(c->body, c->len);
	struct vm_module *module;
	enum vm_status st = vm_module_load(engine, b.bytes, b.len, &module, &err);

	ck_assert_msg(st == c->want, "%s: got %s, want %s: %s", c->name, vm_status_name(st),
	              vm_status_name(c->want), st != VM_OK ? err.message : "");
	ck_assert_msg(strstr(err.message, c->says) != NULL, "%s: %s", c->name, err.message);
	ck_assert_uint_eq(err.function, 1);
	ck_assert_uint_ne(err.offset, VM_NO_OFFSET);
}
END_TEST

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("walk");
	TCase *tc = tcase_create("walk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, back_ends_are_told_of_live_code, 0, COUNT_OF(reports));
	tcase_add_loop_test(tc, bodies_are_refused_saying_why, 0, COUNT_OF(refusals));
	suite_add_tcase(suite, tc);
	return suite;
}
