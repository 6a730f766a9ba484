/*
 * test_guestvalue.c - the value encoding of the guests' storage library.
 */
#include <stdlib.h>
#include "rpc/guestvalue.h"
#include "tests/support/unit.h"

#define WORDS_MAX 8

static const struct encoding {
	const char *type;
	const char *text;
	uint32_t words[WORDS_MAX];
	size_t count;
} encodings[] = {
	{ "bool", "true", { 1 }, 1 },
	{ "bool", "false", { 0 }, 1 },
	{ "char", "a", { 97 }, 1 },
	{ "char", "\xe2\x82\xac", { 1226130172 }, 1 },
	{ "char", "\xf0\x9f\x98\x80", { 1240159152, 128 }, 2 },
	{ "i8", "-2", { 254 }, 1 },
	{ "i8", "127", { 127 }, 1 },
	{ "i16", "-2", { 2000254255 }, 1 },
	{ "u8", "100", { 100 }, 1 },
	{ "u8", "255", { 255 }, 1 },
	{ "i32", "1234567890", { 1210002150, 73 }, 2 },
	{ "i32", "-2147483648", { 1000000000, 128 }, 2 },
	{ "i64", "9223372036854775807", { 1255255255, 1255255255, 2000255127 }, 3 },
	{ "i64", "-1", { 1255255255, 1255255255, 2000255255 }, 3 },
	{ "u64", "18446744073709551615", { 1255255255, 1255255255, 2000255255 }, 3 },
	{ "f32", "1.5", { 1000000192, 63 }, 2 },
	{ "f64", "-0.1", { 1154153153, 1153153153, 2000185191 }, 3 },
	{ "f64", "inf", { 1000000000, 1000000000, 2000240127 }, 3 },
	{ "string", "", { 1000000000, 1000000000, 2000000000 }, 3 },
	{ "string", "hi", { 1002000000, 1000000000, 1000000104, 105 }, 4 },
	{ "bytes", "", { 0 }, 0 },
	{ "bytes", "abcd", { 1097098099, 100 }, 2 },
	{ "bytes", "abcde", { 1097098099, 2000100101 }, 2 },
	{ "i32-vector", "[]", { 0 }, 0 },
	{ "i32-vector", "[1,-2,2147483647]", { 1, 0xfffffffe, 2147483647 }, 3 },
};

static size_t
store(const uint32_t *words, size_t count, uint8_t *out)
{
	const size_t said = count;

	for (size_t i = 0; i <= count; i++) {
		const uint32_t word = i == 0 ? (uint32_t)said : words[i - 1];
		for (size_t k = 0; k < 4; k++)
			out[4 * i + k] = (uint8_t)(word >> 8 * k);
	}
	return 4 * (count + 1);
}

START_TEST(values_are_written_and_read)
{
	const struct encoding *e = &encodings[_i];
	uint8_t stored[4 * (WORDS_MAX + 1)];
	const size_t stored_len = store(e->words, e->count, stored);
	char error[RPC_GUEST_ERROR_MAX] = "";
	enum rpc_guest_type type;
	uint8_t *bytes = NULL;
	char *text = NULL;
	size_t len = 0;

	ck_assert(rpc_guest_type_find(e->type, &type));
	ck_assert_str_eq(rpc_guest_type_text(type), e->type);
	ck_assert_msg(rpc_guest_encode(type, e->text, strlen(e->text), &bytes, &len, error),
	              "%s %s: %s", e->type, e->text, error);
	ck_assert_msg(len == stored_len && memcmp(bytes, stored, len) == 0, "%s %s", e->type,
	              e->text);
	ck_assert_msg(rpc_guest_decode(type, stored, stored_len, &text, &len, error), "%s %s: %s",
	              e->type, e->text, error);
	ck_assert_str_eq(text, e->text);
	ck_assert_uint_eq(len, strlen(e->text));
	free(bytes);
	free(text);
}
END_TEST

static const struct refusal {
	const char *type;
	const char *text; /* to be encoded; NULL: words to be decoded */
	uint32_t words[WORDS_MAX];
	size_t count;
	const char *why;
} refusals[] = {
	{ "bool", "yes", { 0 }, 0, "expected true or false" },
	{ "char", "ab", { 0 }, 0, "expected one character" },
	{ "char", "", { 0 }, 0, "expected one character" },
	{ "i8", "128", { 0 }, 0, "128 does not fit i8" },
	{ "i8", "-129", { 0 }, 0, "-129 does not fit i8" },
	{ "u8", "256", { 0 }, 0, "256 does not fit u8" },
	{ "u8", "-1", { 0 }, 0, "-1 does not fit u8" },
	{ "i64", "1.5", { 0 }, 0, "1.5 is no i64" },
	{ "f64", "x", { 0 }, 0, "x is no f64" },
	{ "string", "\xff", { 0 }, 0, "the text is not UTF-8" },
	{ "i32-vector", "[1,x]", { 0 }, 0, "x is no i32" },
	{ "bool", NULL, { 2 }, 1, "a bool is 0 or 1, not 2" },
	{ "bool", NULL, { 0 }, 0, "bool has 1 bytes, the value has 0" },
	{ "i16", NULL, { 1001002003 }, 1, "i16 has 2 bytes, the value has 3" },
	{ "i32", NULL, { 256 }, 1, "word 0 is 256, which is no group of bytes" },
	{ "i32", NULL, { 1000000000, 1256000000 }, 2, "word 1 is 1256000000" },
	{ "i32", NULL, { 1000000256 }, 1, "word 0 is 1000000256" },
	{ "i32", NULL, { 2001000000 }, 1, "word 0 is 2001000000" },
	{ "i32", NULL, { 2000255256 }, 1, "word 0 is 2000255256" },
	{ "i32", NULL, { 999999999 }, 1, "word 0 is 999999999" },
	{ "i32", NULL, { 0xffffffff }, 1, "word 0 is 4294967295" },
	{ "char", NULL, { 1097098099 }, 1, "the 3 bytes are no character" },
	{ "string", NULL, { 97 }, 1, "no text with its length in front" },
	{ "string", NULL, { 1009000000, 1000000000, 1000000104, 105 }, 4, "no text with its" },
	{ "string", NULL, { 1001000000, 1000000000, 1000000255 }, 3, "the text is not UTF-8" },
};

START_TEST(what_is_none_is_refused)
{
	const struct refusal *r = &refusals[_i];
	uint8_t stored[4 * (WORDS_MAX + 1)];
	const size_t stored_len = store(r->words, r->count, stored);
	char error[RPC_GUEST_ERROR_MAX] = "";
	enum rpc_guest_type type;
	uint8_t *bytes = NULL;
	char *text = NULL;
	size_t len = 0;
	bool done;

	ck_assert(rpc_guest_type_find(r->type, &type));
	if (r->text != NULL)
		done = rpc_guest_encode(type, r->text, strlen(r->text), &bytes, &len, error);
	else
		done = rpc_guest_decode(type, stored, stored_len, &text, &len, error);
	ck_assert_msg(!done && strstr(error, r->why) != NULL, "%s: %s", r->why, error);
}
END_TEST

START_TEST(counts_have_to_fit)
{
	static const uint8_t stored[] = { 2, 0, 0, 0, 1, 0, 0, 0 };
	char error[RPC_GUEST_ERROR_MAX] = "";
	char *text = NULL;
	size_t len;

	for (size_t size = 0; size < sizeof stored; size++)
		if (size != 4)
			ck_assert(!rpc_guest_decode(RPC_GUEST_BYTES, stored, size, &text, &len,
			                            error) &&
			          strstr(error, "words of 4 bytes") != NULL);
	ck_assert(!rpc_guest_decode(RPC_GUEST_I32_VECTOR, stored, 8, &text, &len, error));
	ck_assert_str_eq(error, "the value says that it has 2 words, and has 1");
}
END_TEST

START_TEST(vectors_may_be_written_with_blanks)
{
	char error[RPC_GUEST_ERROR_MAX];
	uint8_t *bytes;
	char *text;
	size_t len;

	ck_assert(rpc_guest_encode(RPC_GUEST_I32_VECTOR, " 1 2,\n3", 7, &bytes, &len, error));
	ck_assert(rpc_guest_decode(RPC_GUEST_I32_VECTOR, bytes, len, &text, &len, error));
	ck_assert_str_eq(text, "[1,2,3]");
	free(bytes);
	free(text);
}
END_TEST

START_TEST(other_names_are_no_types)
{
	enum rpc_guest_type type;

	ck_assert(!rpc_guest_type_find("u16", &type));
	ck_assert(!rpc_guest_type_find("", &type));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("guestvalue");
	TCase *tcase = tcase_create("guestvalue");

	tcase_add_loop_test(tcase, values_are_written_and_read, 0,
	                    (int)(sizeof encodings / sizeof *encodings));
	tcase_add_loop_test(tcase, what_is_none_is_refused, 0,
	                    (int)(sizeof refusals / sizeof *refusals));
	tcase_add_test(tcase, counts_have_to_fit);
	tcase_add_test(tcase, vectors_may_be_written_with_blanks);
	tcase_add_test(tcase, other_names_are_no_types);
	suite_add_tcase(suite, tcase);
	return suite;
}
