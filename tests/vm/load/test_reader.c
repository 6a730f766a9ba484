#include "tests/support/unit.h"

#include <string.h>
#include "vm/load/reader.h"

static const struct u32_case {
	const char *name;
	uint8_t bytes[6];
	size_t len;
	enum vm_status want;
	uint32_t value;
	size_t size;
} u32_cases[] = {
	{ "zero", { 0x00 }, 1, VM_OK, 0, 1 },
	{ "one byte", { 0x7f, 0xff }, 2, VM_OK, 127, 1 },
	{ "two bytes", { 0x80, 0x01 }, 2, VM_OK, 128, 2 },
	{ "zero, padded", { 0x80, 0x80, 0x80, 0x80, 0x00 }, 5, VM_OK, 0, 5 },
	{ "widest value", { 0xff, 0xff, 0xff, 0xff, 0x0f }, 5, VM_OK, UINT32_MAX, 5 },
	{ "nothing", { 0 }, 0, VM_E_TRUNCATED, 0, 0 },
	{ "ends inside a number", { 0x80 }, 1, VM_E_TRUNCATED, 0, 0 },
	{ "bits above 31", { 0xff, 0xff, 0xff, 0xff, 0x1f }, 5, VM_E_LEB_TOO_LARGE, 0, 0 },
	{ "six bytes", { 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 }, 6, VM_E_LEB_TOO_LONG, 0, 0 },
};

START_TEST(u32_is_decoded_or_refused)
{
	const struct u32_case *c = &u32_cases[_i];
	struct reader r = reader_make(c->bytes, c->len);
	uint32_t got = 0xdeadbeef;

	enum vm_status st = reader_read_u32(&r, &got);

	ck_assert_msg(st == c->want, "%s: got %s, want %s", c->name, vm_status_name(st),
	              vm_status_name(c->want));
	ck_assert_uint_eq(got, st == VM_OK ? c->value : 0xdeadbeef);
	ck_assert_ptr_eq(r.next, c->bytes + c->size);
}
END_TEST

enum width { S32, S33, S64, U64 };

static const struct wide_case {
	const char *name;
	enum width width;
	uint8_t bytes[11];
	size_t len;
	enum vm_status want;
	int64_t value;
} wide_cases[] = {
	{ "-1", S32, { 0x7f }, 1, VM_OK, -1 },
	{ "63", S32, { 0x3f }, 1, VM_OK, 63 },
	{ "-64", S32, { 0x40 }, 1, VM_OK, -64 },
	{ "-1, padded", S32, { 0xff, 0xff, 0xff, 0xff, 0x7f }, 5, VM_OK, -1 },
	{ "least", S32, { 0x80, 0x80, 0x80, 0x80, 0x78 }, 5, VM_OK, INT32_MIN },
	{ "most", S32, { 0xff, 0xff, 0xff, 0xff, 0x07 }, 5, VM_OK, INT32_MAX },
	{ "sign not repeated", S32, { 0xff, 0xff, 0xff, 0xff, 0x0f }, 5, VM_E_LEB_TOO_LARGE, 0 },
	{ "sign repeated wrongly", S32, { 0x80, 0x80, 0x80, 0x80, 0x70 }, 5, VM_E_LEB_TOO_LARGE,
	  0 },
	{ "too long", S32, { 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 }, 6, VM_E_LEB_TOO_LONG, 0 },
	{ "ends", S32, { 0xff, 0xff }, 2, VM_E_TRUNCATED, 0 },
	{ "an index", S33, { 0x80, 0x01 }, 2, VM_OK, 128 },
	{ "a block type", S33, { 0x40 }, 1, VM_OK, -64 },
	{ "most", S33, { 0xff, 0xff, 0xff, 0xff, 0x0f }, 5, VM_OK, UINT32_MAX },
	{ "least", S33, { 0x80, 0x80, 0x80, 0x80, 0x70 }, 5, VM_OK, -INT64_C(0x100000000) },
	{ "sign not repeated", S33, { 0xff, 0xff, 0xff, 0xff, 0x1f }, 5, VM_E_LEB_TOO_LARGE, 0 },
	{ "least", S64, { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f }, 10, VM_OK,
	  INT64_MIN },
	{ "most", S64, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00 }, 10, VM_OK,
	  INT64_MAX },
	{ "bits above 63", S64, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 10,
	  VM_E_LEB_TOO_LARGE, 0 },
	{ "too long", S64,
	  { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }, 11,
	  VM_E_LEB_TOO_LONG, 0 },
	{ "most", U64, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 10, VM_OK,
	  -1 },
	{ "bit 64", U64, { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02 }, 10,
	  VM_E_LEB_TOO_LARGE, 0 },
};

static enum vm_status
read_wide(struct reader *r, enum width width, int64_t *out)
{
	int32_t narrow;
	uint64_t wide;
	enum vm_status st;

	switch (width) {
	case S32:
		st = reader_read_s32(r, &narrow);
		*out = st == VM_OK ? narrow : *out;
		return st;
	case S33:
		return reader_read_s33(r, out);
	case S64:
		return reader_read_s64(r, out);
	case U64:
	default:
		st = reader_read_u64(r, &wide);
		*out = st == VM_OK ? (int64_t)wide : *out;
		return st;
	}
}

START_TEST(wide_and_signed_numbers_are_decoded_or_refused)
{
	const struct wide_case *c = &wide_cases[_i];
	struct reader r = reader_make(c->bytes, c->len);
	int64_t got = 77;

	enum vm_status st = read_wide(&r, c->width, &got);

	ck_assert_msg(st == c->want, "%s (%d): got %s, want %s", c->name, c->width,
	              vm_status_name(st), vm_status_name(c->want));
	ck_assert_int_eq(got, st == VM_OK ? c->value : 77);
	ck_assert_ptr_eq(r.next, st == VM_OK ? c->bytes + c->len : c->bytes);
}
END_TEST

START_TEST(bytes_and_names_end_with_the_input)
{
	static const uint8_t bytes[] = { 3, 'a', 0xc3, 0xa4, 2, 0xc3, 'x', 9, 'y' };
	struct reader r = reader_make(bytes, sizeof bytes);
	const uint8_t *at;
	struct vm_str name;
	uint32_t narrow = 0;
	uint64_t wide;
	uint8_t byte;

	ck_assert_int_eq(reader_read_name(&r, &name), VM_OK);
	ck_assert_uint_eq(name.len, 3);
	ck_assert_int_eq(memcmp(name.data, "a\xc3\xa4", 3), 0);
	ck_assert_int_eq(reader_read_name(&r, &name), VM_E_UTF8);
	ck_assert_uint_eq(reader_offset(&r), 4);
	ck_assert_int_eq(reader_read_le32(&r, &narrow), VM_OK);
	ck_assert_uint_eq(narrow, 0x0978c302);
	ck_assert_int_eq(reader_read_le64(&r, &wide), VM_E_TRUNCATED);
	ck_assert_int_eq(reader_read_bytes(&r, UINT64_MAX, &at), VM_E_TRUNCATED);
	ck_assert_uint_eq(reader_left(&r), 1);
	ck_assert_int_eq(reader_read_u8(&r, &byte), VM_OK);
	ck_assert_int_eq(reader_read_u8(&r, &byte), VM_E_TRUNCATED);
	ck_assert_int_eq(reader_read_bytes(&r, 0, &at), VM_OK);
}
END_TEST

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("reader");
	TCase *tc = tcase_create("reader");

	tcase_add_loop_test(tc, u32_is_decoded_or_refused, 0, COUNT_OF(u32_cases));
	tcase_add_loop_test(tc, wide_and_signed_numbers_are_decoded_or_refused, 0,
	                    COUNT_OF(wide_cases));
	tcase_add_test(tc, bytes_and_names_end_with_the_input);
	suite_add_tcase(suite, tc);
	return suite;
}
