#include "tests/support/unit.h"

#include <string.h>
#include "vm/base/utf8.h"

static const struct utf8_case {
	const char *name;
	const char *text;
	size_t len;
	bool is_valid;
} utf8_cases[] = {
	{ "empty", "", 0, true },
	{ "ASCII and NUL", "a\0bcdefghijkl", 13, true },
	{ "two bytes, first and last", "\xc2\x80\xdf\xbf", 4, true },
	{ "three bytes, first and last", "\xe0\xa0\x80\xef\xbf\xbf", 6, true },
	{ "around the surrogates", "\xed\x9f\xbf\xee\x80\x80", 6, true },
	{ "four bytes, first and last", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, true },
	{ "a continuation alone", "\x80", 1, false },
	{ "two bytes overlong", "\xc0\x80", 2, false },
	{ "two bytes overlong, largest", "\xc1\xbf", 2, false },
	{ "three bytes overlong", "\xe0\x9f\xbf", 3, false },
	{ "four bytes overlong", "\xf0\x8f\xbf\xbf", 4, false },
	{ "a surrogate", "\xed\xa0\x80", 3, false },
	{ "above U+10FFFF", "\xf4\x90\x80\x80", 4, false },
	{ "no lead byte", "\xf5\x80\x80\x80", 4, false },
	{ "ends inside two bytes", "abcdefgh\xc3", 9, false },
	{ "ends inside three bytes", "\xe2\x82", 2, false },
	{ "ends inside four bytes", "\xf0\x9f\x98", 3, false },
	{ "second byte is none", "\xe2\x28\xa1", 3, false },
	{ "third byte is none", "\xe2\x82\x28", 3, false },
	{ "wrong byte far behind ASCII", "0123456789abcde\xff", 16, false },
};

START_TEST(text_is_accepted_or_refused)
{
	const struct utf8_case *c = &utf8_cases[_i];

	ck_assert_msg(utf8_is_valid((const uint8_t *)c->text, c->len) == c->is_valid,
	              "%s: expected %s", c->name, c->is_valid ? "valid" : "invalid");
}
END_TEST

static const struct cut_case {
	const char *name;
	const char *text;
	size_t len;
	size_t want;
} cut_cases[] = {
	{ "nothing", "", 0, 0 },
	{ "ASCII", "abc", 2, 2 },
	{ "behind a character", "a\xc3\xa4", 3, 3 },
	{ "inside two bytes", "a\xc3\xa4", 2, 1 },
	{ "inside three bytes", "a\xe2\x82\xac", 3, 1 },
	{ "behind one byte of four", "\xf0\x9f\x98\x80", 1, 0 },
};

START_TEST(text_is_cut_between_characters)
{
	const struct cut_case *c = &cut_cases[_i];
	const size_t got = utf8_cut((const uint8_t *)c->text, c->len);

	ck_assert_msg(got == c->want, "%s: got %zu, want %zu", c->name, got, c->want);
}
END_TEST

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("utf8");
	TCase *tc = tcase_create("utf8");

	tcase_add_loop_test(tc, text_is_accepted_or_refused, 0, COUNT_OF(utf8_cases));
	tcase_add_loop_test(tc, text_is_cut_between_characters, 0, COUNT_OF(cut_cases));
	suite_add_tcase(suite, tc);
	return suite;
}
