/*
 * test_text.c - text becomes the bytes it stands for, or is refused at the right place.
 *
 * The specification's own scripts (tests/spec) cover the grammar; here are the choices that it
 * leaves to us, places of errors, and what happens without memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/unit.h"
#include "vm/vm.h"

static struct vm_engine *
engine_new(const struct vm_allocator *allocator)
{
	struct vm_engine_config config;
	struct vm_engine *engine = NULL;
	struct vm_error err;

	vm_engine_config_init(&config);
	config.allocator = allocator;
	ck_assert_msg(vm_engine_new(&config, &engine, &err) == VM_OK, "%s", err.message);
	return engine;
}

/* Bytes as hexadecimal digits, behind the eight of the preamble. */
static void
to_hex(const uint8_t *bytes, size_t len, char *out)
{
	for (size_t i = 8; i < len; i++)
		out += sprintf(out, "%02x", bytes[i]);
	*out = '\0';
}

static const struct encoding {
	const char *text;
	unsigned options;
	const char *hex;
} encodings[] = {
	{ "", 0, "" },
	{ "(module)", 0, "" },
	{ "(module $name)", 0, "" },
	{ "(module $name)", VM_TEXT_NAMES, "000c046e616d650005046e616d65" },
	/* types that are the same are one; what is not written comes last */
	{ "(func) (func (param i32)) (func) (type (func (param i32)))", 0,
	  "010802" "60017f00" "600000" "0304030100" "01" "0a0a03" "02000b" "02000b" "02000b" },
	/* a block type that needs no type has none */
	{ "(func block end block (result i32) i32.const 1 end drop)", 0,
	  "010401600000" "03020100" "0a0d010b00" "02400b" "027f41010b" "1a0b" },
	/* folded: operands first */
	{ "(func (drop (i32.add (i32.const 1) (i32.const 2))))", 0,
	  "010401600000" "03020100" "0a0a010800" "410141026a1a0b" },
	{ "(func (if (i32.const 1) (then (nop)) (else)))", 0,
	  "010401600000" "03020100" "0a0b010900" "41010440" "01050b0b" },
	/* labels by name, from the inside */
	{ "(func (block $a (loop $b (br $a) (br $b) (br 2))))", 0,
	  "010401600000" "03020100" "0a10010e00" "0240" "0340" "0c010c000c02" "0b0b0b" },
	{ "(func block $a block $a br $a end br $a end)", 0,
	  "010401600000" "03020100" "0a0e010c00" "0240" "0240" "0c000b" "0c000b0b" },
	/* runs of locals */
	{ "(func (local i32 i32) (local $x i64) (local i32))", 0,
	  "010401600000" "03020100" "0a0a010803" "027f017e017f0b" },
	/* a memory with its data: as many pages as it takes */
	{ "(memory (data \"ab\" \"\\00\\u{e9}\"))", 0,
	  "05040101" "0101" "0b0b01004100" "0b056162" "00c3a9" },
	{ "(table funcref (elem $f)) (func $f)", 0,
	  "010401600000" "03020100" "04050170" "010101" "0907010041000b0100" "0a040102000b" },
	/* a data count only where it is needed */
	{ "(memory 1) (data $d \"x\") (func (data.drop $d))", 0,
	  "010401600000" "03020100" "0503010001" "0c0101" "0a07010500fc09000b" "0b0401010178" },
	/* identifiers are kept when that is asked for */
	{ "(func $f (param $p i32) (local i32) (local $q i32))", VM_TEXT_NAMES,
	  "01050160017f00" "03020100" "0a06010401027f0b"
	  "0016046e616d65" "0104010001" "66" "020901000200017002" "0171" },
	{ "(module binary \"\\00asm\" \"\\01\\00\\00\\00\")", 0, "" },
	{ "(module quote \"(memory\" \" 1)\")", 0, "0503010001" },
	/* comments and annotations stand for nothing */
	{ ";; one\n(; two (; three ;) ;)(@four (\")\" five))(memory (@six) 1)", 0, "0503010001" },
	{ "(memory $\"\\61 b\" 1) (export \"m\" (memory $\"a b\"))", 0,
	  "0503010001" "070501016d0200" },
};

START_TEST(text_becomes_these_bytes)
{
	const struct encoding *e = &encodings[_i];
	struct vm_engine *engine = engine_new(NULL);
	struct vm_error err;
	uint8_t *bytes;
	char hex[1024];
	size_t len;

	enum vm_status st = vm_text_parse(engine, e->text, strlen(e->text), e->options, &bytes,
	                                  &len, &err);
	ck_assert_msg(st == VM_OK, "%s: %s", e->text, st == VM_OK ? "" : err.message);
	ck_assert_mem_eq(bytes, "\0asm\1\0\0\0", 8);
	to_hex(bytes, len, hex);
	ck_assert_msg(strcmp(hex, e->hex) == 0, "%s\n     got %s\nexpected %s", e->text, hex,
	              e->hex);
	vm_text_free(engine, bytes);
	vm_engine_unref(engine);
}
END_TEST

static const struct refusal {
	const char *text;
	enum vm_status status;
	uint64_t offset;
	const char *message;
} refusals[] = {
	{ "(module", VM_E_MALFORMED, 7, "line 1, column 8: the text ends, expected ) behind" },
	{ "(module)\n  x", VM_E_MALFORMED, 11,
	  "line 2, column 3: unexpected `x`, expected the end" },
	{ "(func\n\t(i32.adx))", VM_E_MALFORMED, 8,
	  "line 2, column 3: unexpected `i32.adx`, expected an instruction" },
	{ "(func\r\n\r\xc3\xa9)", VM_E_MALFORMED, 8, "line 3, column 1: unexpected character" },
	{ "(func (;\xc3\xa9;) i32.const 99999999999)", VM_E_MALFORMED, 23,
	  "line 1, column 23: not an i32, or out of its range" },
	{ "(func (local.get $x))", VM_E_MALFORMED, 17, "unknown local $x" },
	{ "(func (param $x i32)) (func (local.get $x))", VM_E_MALFORMED, 39, "unknown local $x" },
	{ "(func (br $l) (block $l))", VM_E_MALFORMED, 10, "unknown label $l" },
	{ "(func (call $f))", VM_E_MALFORMED, 12, "unknown function $f" },
	{ "(func $f) (func $f)", VM_E_MALFORMED, 16, "duplicate function $f" },
	{ "(func (param $x i32) (local $x i32))", VM_E_MALFORMED, 31, "duplicate local $x" },
	{ "(type (struct (field $a i32) (field $a i32)))", VM_E_MALFORMED, 14,
	  "two fields of the structure have the same name" },
	{ "(func) (import \"\" \"\" (func))", VM_E_MALFORMED, 15, "an import has to come before" },
	{ "(func block $a end $b)", VM_E_MALFORMED, 19, "mismatching label" },
	{ "(func block)", VM_E_MALFORMED, 11, "the block has no end" },
	{ "(func end)", VM_E_MALFORMED, 6, "end without a block" },
	{ "(func else)", VM_E_MALFORMED, 6, "else without an if" },
	{ "(func (if (i32.const 1)))", VM_E_MALFORMED, 23, "the if has no (then" },
	{ "(func (i32.add i32.const 1))", VM_E_MALFORMED, 15, "expected a folded instruction" },
	{ "(func (i32.load align=3 (i32.const 0)))", VM_E_MALFORMED, 16, "power of two" },
	{ "(func (type 0) (param i64)) (type (func))", VM_E_MALFORMED, 6, "inline function type" },
	{ "(func (f32.const 1e39))", VM_E_MALFORMED, 17, "out of range of f32" },
	{ "(func (f32.const nan:0x800000))", VM_E_MALFORMED, 17, "out of range of f32" },
	{ "(data \"\n\")", VM_E_MALFORMED, 7, "character 0x0a in a string" },
	{ "(data \"\\q\")", VM_E_MALFORMED, 7, "unknown escape" },
	{ "(data \"x)", VM_E_MALFORMED, 6, "the string has no end" },
	{ "(func (;)", VM_E_MALFORMED, 6, "the comment has no end" },
	{ "(@)", VM_E_MALFORMED, 0, "the annotation has no name" },
	{ "(@a (", VM_E_MALFORMED, 0, "the annotation has no end" },
	{ "(export \"\\ff\" (func 0))", VM_E_MALFORMED, 8, "malformed UTF-8 encoding in a name" },
	{ "(start 0) (start 0)", VM_E_MALFORMED, 17, "multiple start" },
	{ "(func) \xff", VM_E_UTF8, 7, "line 1, column 8: malformed UTF-8" },
	{ "(module quote \"(x)\")", VM_E_MALFORMED, 1, "line 1, column 2: unexpected `x`" },
};

START_TEST(what_is_wrong_is_said_with_its_place)
{
	const struct refusal *r = &refusals[_i];
	struct vm_engine *engine = engine_new(NULL);
	struct vm_error err;
	uint8_t *bytes = NULL;
	size_t len = 0;

	enum vm_status st = vm_text_parse(engine, r->text, strlen(r->text), 0, &bytes, &len, &err);
	ck_assert_msg(st == r->status, "%s: got %s", r->text, vm_status_text(st));
	ck_assert_msg(strstr(err.message, r->message) != NULL, "%s: %s", r->text, err.message);
	ck_assert_msg(err.offset == r->offset, "%s: at %llu, expected %llu", r->text,
	              (unsigned long long)err.offset, (unsigned long long)r->offset);
	ck_assert_ptr_null(bytes);
	vm_engine_unref(engine);
}
END_TEST

START_TEST(positions_count_characters_and_all_kinds_of_lines)
{
	static const char text[] = "a\n\xc3\xa9x\r\ny\rz";
	static const uint64_t places[][3] = { { 0, 1, 1 }, { 2, 2, 1 }, { 4, 2, 2 }, { 7, 3, 1 },
		                              { 9, 4, 1 }, { 99, 4, 2 } };

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		uint64_t line, column;
		vm_text_position(text, strlen(text), places[i][0], &line, &column);
		ck_assert_msg(line == places[i][1] && column == places[i][2],
		              "offset %llu: %llu:%llu", (unsigned long long)places[i][0],
		              (unsigned long long)line, (unsigned long long)column);
	}
}
END_TEST

/* --- depth and memory ----------------------------------------------------------------------- */

/* A text that repeats something before and behind a middle. */
static char *
nested(const char *before, const char *middle, const char *behind, size_t times)
{
	size_t before_len = strlen(before), behind_len = strlen(behind);
	char *text = malloc(times * (before_len + behind_len) + strlen(middle) + 64);
	char *to = text + sprintf(text, "(func ");

	for (size_t i = 0; i < times; i++, to += before_len)
		memcpy(to, before, before_len);
	to += sprintf(to, "%s", middle);
	for (size_t i = 0; i < times; i++, to += behind_len)
		memcpy(to, behind, behind_len);
	strcpy(to, ")");
	return text;
}

START_TEST(nesting_needs_no_stack)
{
	static const char *const shapes[][3] = {
		{ "(block $a ", "(br $a)", ")" },
		{ "(i32.eqz ", "(i32.const 0)", ")" },
		{ "block $a ", "br $a ", "end " },
		{ "(if (i32.const 1) (then ", "", "))" },
		{ "(; ", "", " ;) " },
		{ "(@a ", "", ") " },
	};
	struct vm_engine *engine = engine_new(NULL);
	struct vm_error err;

	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		char *text = nested(shapes[i][0], shapes[i][1], shapes[i][2], 200000);
		uint8_t *bytes;
		size_t len;
		enum vm_status st =
		    vm_text_parse(engine, text, strlen(text), 0, &bytes, &len, &err);
		ck_assert_msg(st == VM_OK, "%s: %s", shapes[i][0], err.message);
		vm_text_free(engine, bytes);
		free(text);
	}
	vm_engine_unref(engine);
}
END_TEST

/* Fails the n-th allocation and all behind it. */
struct failing {
	size_t left;
	size_t alive;
};

static void *
failing_alloc(void *self, size_t size)
{
	struct failing *f = self;

	if (f->left == 0)
		return NULL;
	f->left--;
	f->alive++;
	return malloc(size);
}

static void *
failing_realloc(void *self, void *old, size_t size)
{
	struct failing *f = self;

	if (old == NULL)
		return failing_alloc(self, size);
	if (f->left == 0)
		return NULL;
	f->left--;
	return realloc(old, size);
}

static void
failing_free(void *self, void *old)
{
	((struct failing *)self)->alive--;
	free(old);
}

START_TEST(every_allocation_may_fail)
{
	static const char text[] =
	    "(module $m (rec (type $s (struct (field $a i32) (field i8)))) (type (array (mut f64)))"
	    "(import \"a\" \"b\" (func $i (param i64))) (table 1 funcref) (memory (data \"x\"))"
	    "(global $\"g\" (mut i32) (i32.const 1)) (tag (param i32)) (export \"e\" (func $f))"
	    "(elem (i32.const 0) $f) (start $f) (data \"y\")"
	    "(func $f (local $x i32) (block $l (br_table $l 0 (i32.const 1))) (data.drop 1)"
	    "  (if (local.get $x) (then (call_indirect (param f32) (f32.const 0x1p-3)"
	    "  (i32.const 0))))))";
	struct failing failing = { .left = SIZE_MAX };
	const struct vm_allocator allocator = { failing_alloc, failing_realloc, failing_free,
		                                &failing };
	struct vm_engine *engine = engine_new(&allocator);
	size_t before = failing.alive;
	enum vm_status st = VM_E_NOMEM;

	for (size_t n = 0; st != VM_OK; n++) {
		struct vm_error err;
		uint8_t *bytes = NULL;
		size_t len;
		failing.left = n;
		st = vm_text_parse(engine, text, strlen(text), VM_TEXT_NAMES, &bytes, &len, &err);
		failing.left = SIZE_MAX;
		ck_assert_msg(st == VM_OK || st == VM_E_NOMEM, "%zu: %s", n, err.message);
		vm_text_free(engine, bytes);
		ck_assert_uint_eq(failing.alive, before);
		ck_assert_uint_lt(n, 1000);
	}
	vm_engine_unref(engine);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("text");
	TCase *tc = tcase_create("text");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, text_becomes_these_bytes, 0,
	                    (int)(sizeof encodings / sizeof *encodings));
	tcase_add_loop_test(tc, what_is_wrong_is_said_with_its_place, 0,
	                    (int)(sizeof refusals / sizeof *refusals));
	tcase_add_test(tc, positions_count_characters_and_all_kinds_of_lines);
	tcase_add_test(tc, nesting_needs_no_stack);
	tcase_add_test(tc, every_allocation_may_fail);
	suite_add_tcase(suite, tc);
	return suite;
}
