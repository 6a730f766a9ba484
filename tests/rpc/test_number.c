#include "rpc/number.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/support/unit.h"

/* --- floats -------------------------------------------------------------------------------- */

static const struct f64_case {
	const char *text; /* printed */
	uint64_t bits;
} f64_cases[] = {
	{ "0", 0 },
	{ "-0.0", UINT64_C(0x8000000000000000) },
	{ "1", UINT64_C(0x3ff0000000000000) },
	{ "-1.5", UINT64_C(0xbff8000000000000) },
	{ "0.1", UINT64_C(0x3fb999999999999a) },
	{ "0.3333333333333333", UINT64_C(0x3fd5555555555555) },
	{ "123456789", UINT64_C(0x419d6f3454000000) },
	{ "9007199254740991", UINT64_C(0x433fffffffffffff) },
	{ "9.007199254740992e15", UINT64_C(0x4340000000000000) },
	{ "1e22", UINT64_C(0x4480f0cf064dd592) },
	{ "1e23", UINT64_C(0x44b52d02c7e14af6) },
	{ "0.000001", UINT64_C(0x3eb0c6f7a0b5ed8d) },
	{ "1e-7", UINT64_C(0x3e7ad7f29abcaf48) },
	{ "5e-324", 1 },
	{ "2.2250738585072014e-308", UINT64_C(0x0010000000000000) },
	{ "2.225073858507201e-308", UINT64_C(0x000fffffffffffff) },
	{ "1.7976931348623157e308", UINT64_C(0x7fefffffffffffff) },
	{ "9.5367431640625e-7", UINT64_C(0x3eb0000000000000) },
	{ "inf", UINT64_C(0x7ff0000000000000) },
	{ "-inf", UINT64_C(0xfff0000000000000) },
	{ "nan", UINT64_C(0x7ff8000000000000) },
	{ "-nan", UINT64_C(0xfff8000000000000) },
	{ "nan:0x1", UINT64_C(0x7ff0000000000001) },
	{ "-nan:0xfffffffffffff", UINT64_C(0xffffffffffffffff) },
	{ "nan:0x4000000000000", UINT64_C(0x7ff4000000000000) },
};

START_TEST(f64_is_printed_and_read_back)
{
	const struct f64_case *c = &f64_cases[_i];
	char buf[RPC_NUMBER_TEXT_MAX];
	uint64_t bits = 42;

	size_t len = rpc_f64_print(c->bits, buf);

	ck_assert_str_eq(buf, c->text);
	ck_assert_uint_eq(len, strlen(buf));
	ck_assert_int_eq(rpc_f64_read(c->text, strlen(c->text), &bits), RPC_NUMBER_OK);
	ck_assert_msg(bits == c->bits, "%s: got %" PRIx64, c->text, bits);
}
END_TEST

static const struct f32_case {
	const char *text;
	uint32_t bits;
} f32_cases[] = {
	{ "0", 0 },
	{ "-0.0", 0x80000000 },
	{ "0.1", 0x3dcccccd },
	{ "3.4028235e38", 0x7f7fffff },
	{ "1e-45", 1 },
	{ "1.1754944e-38", 0x00800000 },
	{ "16777215", 0x4b7fffff },
	{ "1.6777216e7", 0x4b800000 },
	{ "2.684355e8", 0x4d800001 },
	{ "0.33333334", 0x3eaaaaab },
	{ "9.8607613e-32", 0x0c000000 },
	{ "inf", 0x7f800000 },
	{ "nan", 0x7fc00000 },
	{ "nan:0x200000", 0x7fa00000 },
	{ "-nan:0x7fffff", 0xffffffff },
};

START_TEST(f32_is_printed_and_read_back)
{
	const struct f32_case *c = &f32_cases[_i];
	char buf[RPC_NUMBER_TEXT_MAX];
	uint32_t bits = 42;

	rpc_f32_print(c->bits, buf);

	ck_assert_str_eq(buf, c->text);
	ck_assert_int_eq(rpc_f32_read(c->text, strlen(c->text), &bits), RPC_NUMBER_OK);
	ck_assert_msg(bits == c->bits, "%s: got %" PRIx32, c->text, bits);
}
END_TEST

/* A simple generator, so that every run tests the same numbers. */
static uint64_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state ^ *state >> 29;
}

START_TEST(any_bits_survive_text)
{
	uint64_t state = 1;

	for (int i = 0; i < 20000; i++) {
		char buf[RPC_NUMBER_TEXT_MAX];
		uint64_t want = next_random(&state);
		uint64_t got64 = 0;
		uint32_t got32 = 0;
		size_t len = rpc_f64_print(want, buf);
		ck_assert(rpc_f64_read(buf, len, &got64) == RPC_NUMBER_OK && got64 == want);
		len = rpc_f32_print((uint32_t)want, buf);
		ck_assert(rpc_f32_read(buf, len, &got32) == RPC_NUMBER_OK &&
		          got32 == (uint32_t)want);
	}
}
END_TEST

/* Significant digits of a printed number. */
static int
digit_count(const char *text)
{
	char digits[40];
	int count = 0;

	for (; *text != '\0' && *text != 'e'; text++)
		if (*text >= '0' && *text <= '9' && (count > 0 || *text != '0'))
			digits[count++] = *text;
	while (count > 0 && digits[count - 1] == '0')
		count--;
	return count;
}

/* Is there a decimal of so many digits that reads as this f32? Tries those around it. */
static bool
has_shorter(float value, int digits)
{
	char text[40];

	snprintf(text, sizeof text, "%.*e", digits - 1, (double)value);
	char *e = strchr(text, 'e');
	long exponent = strtol(e + 1, NULL, 10) - (digits - 1);
	*e = '\0';
	char joined[40];
	snprintf(joined, sizeof joined, "%c%s", text[0], digits > 1 ? text + 2 : "");
	long long middle = strtoll(joined, NULL, 10);
	for (long long n = middle - 1; n <= middle + 1; n++) {
		snprintf(text, sizeof text, "%llde%ld", n, exponent);
		if (strtof(text, NULL) == value)
			return true;
	}
	return false;
}

START_TEST(no_shorter_text_would_do)
{
	char buf[RPC_NUMBER_TEXT_MAX];
	uint64_t state = 7;

	for (int i = 0; i < 3000; i++) {
		/* Powers of two first: there the two neighbours are at different distances. */
		uint32_t bits =
		    i < 255 ? (uint32_t)i << 23 : (uint32_t)next_random(&state) & 0x7fffffff;
		float value;
		memcpy(&value, &bits, sizeof value);
		if (bits == 0 || !rpc_f32_is_finite(bits))
			continue;
		rpc_f32_print(bits, buf);
		if (strchr(buf, '.') == NULL && strchr(buf, 'e') == NULL)
			continue; /* a whole number, in full */
		int digits = digit_count(buf);
		ck_assert_msg(digits == 1 || !has_shorter(value, digits - 1), "%08" PRIx32 ": %s",
		              bits, buf);
	}
}
END_TEST

static const struct f64_text {
	const char *text;
	enum rpc_number_status want;
	uint64_t bits;
} f64_texts[] = {
	{ "0x1.8p3", RPC_NUMBER_OK, UINT64_C(0x4028000000000000) },
	{ "0x1p-1074", RPC_NUMBER_OK, 1 },
	{ "0x1p-1075", RPC_NUMBER_OK, 0 },
	{ "0x1.0000000000001p-1075", RPC_NUMBER_OK, 1 },
	{ "0x1.8p-1074", RPC_NUMBER_OK, 2 },
	{ "0x1p-99999999999", RPC_NUMBER_OK, 0 },
	{ "0x1.fffffffffffff8p-1023", RPC_NUMBER_OK, UINT64_C(0x0010000000000000) },
	{ "0x1.00000000000008p0", RPC_NUMBER_OK, UINT64_C(0x3ff0000000000000) },
	{ "0x1.000000000000080000000000000000000001p0", RPC_NUMBER_OK,
	  UINT64_C(0x3ff0000000000001) },
	{ "0x1.00000000000018p0", RPC_NUMBER_OK, UINT64_C(0x3ff0000000000002) },
	{ "0xffffffffffffffffffffffffp0", RPC_NUMBER_OK, UINT64_C(0x45f0000000000000) },
	{ "0x1.fffffffffffff7p1023", RPC_NUMBER_OK, UINT64_C(0x7fefffffffffffff) },
	{ "0x1.fffffffffffff8p1023", RPC_NUMBER_RANGE, 0 },
	{ "0x1p1024", RPC_NUMBER_RANGE, 0 },
	{ "-0x0p0", RPC_NUMBER_OK, UINT64_C(0x8000000000000000) },
	{ "0XAp0", RPC_NUMBER_OK, UINT64_C(0x4024000000000000) },
	{ "+1.5e1", RPC_NUMBER_OK, UINT64_C(0x402e000000000000) },
	{ "1.", RPC_NUMBER_OK, UINT64_C(0x3ff0000000000000) },
	{ "1E2", RPC_NUMBER_OK, UINT64_C(0x4059000000000000) },
	{ "-1e-400", RPC_NUMBER_OK, UINT64_C(0x8000000000000000) },
	{ "1e400", RPC_NUMBER_RANGE, 0 },
	{ "0e999999999999", RPC_NUMBER_OK, 0 },
	{ "nan:0x0", RPC_NUMBER_RANGE, 0 },
	{ "nan:0x10000000000000", RPC_NUMBER_RANGE, 0 },
	{ "", RPC_NUMBER_SYNTAX, 0 },
	{ "-", RPC_NUMBER_SYNTAX, 0 },
	{ ".5", RPC_NUMBER_SYNTAX, 0 },
	{ "1e", RPC_NUMBER_SYNTAX, 0 },
	{ "1e+", RPC_NUMBER_SYNTAX, 0 },
	{ "1.2.3", RPC_NUMBER_SYNTAX, 0 },
	{ "1p3", RPC_NUMBER_SYNTAX, 0 },
	{ "0x", RPC_NUMBER_SYNTAX, 0 },
	{ "0x1e3p", RPC_NUMBER_SYNTAX, 0 },
	{ " 1", RPC_NUMBER_SYNTAX, 0 },
	{ "1 ", RPC_NUMBER_SYNTAX, 0 },
	{ "1,5", RPC_NUMBER_SYNTAX, 0 },
	{ "infinity", RPC_NUMBER_SYNTAX, 0 },
	{ "NaN", RPC_NUMBER_SYNTAX, 0 },
	{ "nan:", RPC_NUMBER_SYNTAX, 0 },
	{ "nan:0x", RPC_NUMBER_SYNTAX, 0 },
	{ "nan:canonical", RPC_NUMBER_SYNTAX, 0 },
	{ "--1", RPC_NUMBER_SYNTAX, 0 },
};

START_TEST(f64_text_is_read_or_refused)
{
	const struct f64_text *c = &f64_texts[_i];
	uint64_t bits = 42;

	enum rpc_number_status st = rpc_f64_read(c->text, strlen(c->text), &bits);

	ck_assert_msg(st == c->want, "%s: got status %d, want %d", c->text, st, c->want);
	ck_assert_msg(bits == (st == RPC_NUMBER_OK ? c->bits : 42), "%s: got %" PRIx64, c->text,
	              bits);
}
END_TEST

static const struct f32_text {
	const char *text;
	enum rpc_number_status want;
	uint32_t bits;
} f32_texts[] = {
	/* By way of f64 this would be a tie, and go to even: 0x4b800000. */
	{ "16777217.0000001", RPC_NUMBER_OK, 0x4b800001 },
	{ "16777217", RPC_NUMBER_OK, 0x4b800000 },
	{ "0x1.000001000000000001p24", RPC_NUMBER_OK, 0x4b800001 },
	{ "3.4028235677973367e38", RPC_NUMBER_RANGE, 0 },
	{ "3.4028235677973366e38", RPC_NUMBER_OK, 0x7f7fffff },
	{ "0x1.ffffffp127", RPC_NUMBER_RANGE, 0 },
	{ "1e-46", RPC_NUMBER_OK, 0 },
	{ "nan:0x800000", RPC_NUMBER_RANGE, 0 },
	{ "nan:0x123456789012345678901", RPC_NUMBER_RANGE, 0 },
};

START_TEST(f32_text_is_rounded_once)
{
	const struct f32_text *c = &f32_texts[_i];
	uint32_t bits = 42;

	enum rpc_number_status st = rpc_f32_read(c->text, strlen(c->text), &bits);

	ck_assert_msg(st == c->want, "%s: got status %d, want %d", c->text, st, c->want);
	ck_assert_msg(bits == (st == RPC_NUMBER_OK ? c->bits : 42), "%s: got %" PRIx32, c->text,
	              bits);
}
END_TEST

/*
 * Hexadecimal floats against the processor: a long double holds any 64 bits, and its conversion
 * rounds once. (Not against strtof(), which is wrong for some subnormal numbers: 0x39a.1146p-136.)
 */
START_TEST(hexadecimal_floats_agree_with_the_processor)
{
	/* Around both ends of each type's range, and in the middle. */
	static const int centres[] = { -1074, -1022, -149, -126, 0, 127, 1023 };
	uint64_t state = 3;

	for (int i = 0; i < 20000 && LDBL_MANT_DIG >= 64; i++) {
		uint64_t a = next_random(&state);
		uint64_t significand = next_random(&state) >> (a % 64);
		int exponent = centres[a / 64 % 7] + (int)(a / 512 % 140) - 100;
		char text[80];
		int len = snprintf(text, sizeof text, "0x%" PRIx64 ".%" PRIx64 "p%d",
		                   significand >> 4, significand & 15, exponent);
		long double exact = ldexpl((long double)significand, exponent - 4);
		double d = (double)exact;
		float s = (float)exact;
		uint64_t want64;
		uint32_t want32;
		uint64_t got64 = 0;
		uint32_t got32 = 0;
		memcpy(&want64, &d, sizeof d);
		memcpy(&want32, &s, sizeof s);
		enum rpc_number_status st64 = rpc_f64_read(text, (size_t)len, &got64);
		enum rpc_number_status st32 = rpc_f32_read(text, (size_t)len, &got32);
		ck_assert_msg(rpc_f64_is_finite(want64) ? st64 == RPC_NUMBER_OK && got64 == want64
		                                        : st64 == RPC_NUMBER_RANGE,
		              "%s", text);
		ck_assert_msg(rpc_f32_is_finite(want32) ? st32 == RPC_NUMBER_OK && got32 == want32
		                                        : st32 == RPC_NUMBER_RANGE,
		              "%s", text);
	}
}
END_TEST

/* Decimal texts of numbers around the smallest normal one, again against the processor. */
START_TEST(subnormal_decimals_are_rounded_once)
{
	uint64_t state = 5;

	for (int i = 0; i < 300 && LDBL_MANT_DIG >= 64; i++) {
		char text[RPC_NUMBER_READ_MAX];
		uint64_t a = next_random(&state);
		uint64_t significand = next_random(&state) >> (a % 40);
		int below = (int)(a / 64 % 70);
		long double small32 = ldexpl((long double)significand, -149 - below);
		long double small64 = ldexpl((long double)significand, -1074 - below);
		double d = (double)small64;
		float s = (float)small32;
		uint64_t want64;
		uint32_t want32;
		uint64_t got64 = 0;
		uint32_t got32 = 0;
		memcpy(&want64, &d, sizeof d);
		memcpy(&want32, &s, sizeof s);
		int len = snprintf(text, sizeof text, "%.200Le", small32);
		ck_assert_int_eq(rpc_f32_read(text, (size_t)len, &got32), RPC_NUMBER_OK);
		ck_assert_msg(got32 == want32, "%s: got %" PRIx32, text, got32);
		len = snprintf(text, sizeof text, "%.860Le", small64);
		ck_assert_int_eq(rpc_f64_read(text, (size_t)len, &got64), RPC_NUMBER_OK);
		ck_assert_msg(got64 == want64, "%s: got %" PRIx64, text, got64);
	}
}
END_TEST

START_TEST(long_text_is_read_up_to_the_limit)
{
	char text[RPC_NUMBER_READ_MAX + 1];
	uint64_t bits;

	memset(text, '0', sizeof text);
	text[0] = '1';
	text[1] = '.';
	ck_assert_int_eq(rpc_f64_read(text, RPC_NUMBER_READ_MAX, &bits), RPC_NUMBER_OK);
	ck_assert_uint_eq(bits, UINT64_C(0x3ff0000000000000));
	ck_assert_int_eq(rpc_f64_read(text, sizeof text, &bits), RPC_NUMBER_SYNTAX);
	memset(text, '9', sizeof text);
	ck_assert_int_eq(rpc_f64_read(text, RPC_NUMBER_READ_MAX, &bits), RPC_NUMBER_RANGE);
}
END_TEST

START_TEST(the_locale_plays_no_part)
{
	static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", NULL };
	char buf[RPC_NUMBER_TEXT_MAX];
	uint64_t bits;

	/* Where none of these is installed, this repeats what other cases show. */
	for (size_t i = 0; names[i] != NULL && setlocale(LC_ALL, names[i]) == NULL; i++)
		;
	rpc_f64_print(UINT64_C(0x3ff8000000000000), buf);
	ck_assert_str_eq(buf, "1.5");
	ck_assert_int_eq(rpc_f64_read("1.5", 3, &bits), RPC_NUMBER_OK);
	ck_assert_uint_eq(bits, UINT64_C(0x3ff8000000000000));
	setlocale(LC_ALL, "C");
}
END_TEST

/* --- integers ------------------------------------------------------------------------------ */

static const struct int_case {
	const char *text;
	unsigned width;
	enum rpc_number_status want;
	uint64_t bits;
} int_cases[] = {
	{ "0", 32, RPC_NUMBER_OK, 0 },
	{ "-1", 32, RPC_NUMBER_OK, 0xffffffff },
	{ "4294967295", 32, RPC_NUMBER_OK, 0xffffffff },
	{ "4294967296", 32, RPC_NUMBER_RANGE, 0 },
	{ "-2147483648", 32, RPC_NUMBER_OK, 0x80000000 },
	{ "-2147483649", 32, RPC_NUMBER_RANGE, 0 },
	{ "0xFFffFFff", 32, RPC_NUMBER_OK, 0xffffffff },
	{ "-0x80000000", 32, RPC_NUMBER_OK, 0x80000000 },
	{ "0x100000000", 32, RPC_NUMBER_RANGE, 0 },
	{ "18446744073709551615", 64, RPC_NUMBER_OK, UINT64_MAX },
	{ "18446744073709551616", 64, RPC_NUMBER_RANGE, 0 },
	{ "99999999999999999999999999", 64, RPC_NUMBER_RANGE, 0 },
	{ "-9223372036854775808", 64, RPC_NUMBER_OK, UINT64_C(0x8000000000000000) },
	{ "-9223372036854775809", 64, RPC_NUMBER_RANGE, 0 },
	{ "0xffffffffffffffff", 64, RPC_NUMBER_OK, UINT64_MAX },
	{ "+7", 64, RPC_NUMBER_OK, 7 },
	{ "007", 64, RPC_NUMBER_OK, 7 },
	{ "-128", 8, RPC_NUMBER_OK, 0x80 },
	{ "255", 8, RPC_NUMBER_OK, 0xff },
	{ "256", 8, RPC_NUMBER_RANGE, 0 },
	{ "65535", 16, RPC_NUMBER_OK, 0xffff },
	{ "-32769", 16, RPC_NUMBER_RANGE, 0 },
	{ "", 32, RPC_NUMBER_SYNTAX, 0 },
	{ "-", 32, RPC_NUMBER_SYNTAX, 0 },
	{ "0x", 32, RPC_NUMBER_SYNTAX, 0 },
	{ "1.0", 32, RPC_NUMBER_SYNTAX, 0 },
	{ "1e3", 32, RPC_NUMBER_SYNTAX, 0 },
	{ "1_000", 32, RPC_NUMBER_SYNTAX, 0 },
	{ "ff", 32, RPC_NUMBER_SYNTAX, 0 },
	{ " 1", 32, RPC_NUMBER_SYNTAX, 0 },
	{ "99999999999999999999999999x", 64, RPC_NUMBER_SYNTAX, 0 },
};

START_TEST(integer_text_is_read_or_refused)
{
	const struct int_case *c = &int_cases[_i];
	uint64_t bits = 42;

	enum rpc_number_status st = rpc_int_read(c->text, strlen(c->text), c->width, &bits);

	ck_assert_msg(st == c->want, "%s: got status %d, want %d", c->text, st, c->want);
	ck_assert_msg(bits == (st == RPC_NUMBER_OK ? c->bits : 42), "%s: got %" PRIx64, c->text,
	              bits);
}
END_TEST

START_TEST(integers_are_printed_to_the_ends_of_their_range)
{
	char buf[RPC_NUMBER_TEXT_MAX];

	ck_assert_uint_eq(rpc_i64_print(INT64_MIN, buf), 20);
	ck_assert_str_eq(buf, "-9223372036854775808");
	rpc_u64_print(UINT64_MAX, buf);
	ck_assert_str_eq(buf, "18446744073709551615");
	rpc_i64_print(0, buf);
	ck_assert_str_eq(buf, "0");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("number");
	TCase *tcase = tcase_create("number");

	tcase_add_loop_test(tcase, f64_is_printed_and_read_back, 0,
	                    sizeof f64_cases / sizeof f64_cases[0]);
	tcase_add_loop_test(tcase, f32_is_printed_and_read_back, 0,
	                    sizeof f32_cases / sizeof f32_cases[0]);
	tcase_add_test(tcase, any_bits_survive_text);
	tcase_add_test(tcase, no_shorter_text_would_do);
	tcase_add_loop_test(tcase, f64_text_is_read_or_refused, 0,
	                    sizeof f64_texts / sizeof f64_texts[0]);
	tcase_add_loop_test(tcase, f32_text_is_rounded_once, 0,
	                    sizeof f32_texts / sizeof f32_texts[0]);
	tcase_add_test(tcase, hexadecimal_floats_agree_with_the_processor);
	tcase_add_test(tcase, subnormal_decimals_are_rounded_once);
	tcase_add_test(tcase, long_text_is_read_up_to_the_limit);
	tcase_add_test(tcase, the_locale_plays_no_part);
	tcase_add_loop_test(tcase, integer_text_is_read_or_refused, 0,
	                    sizeof int_cases / sizeof int_cases[0]);
	tcase_add_test(tcase, integers_are_printed_to_the_ends_of_their_range);
	suite_add_tcase(suite, tcase);
	return suite;
}
