#include "rpc/utf8.h"
#include "tests/support/unit.h"

static const struct prefix {
	const char *name;
	const char *text;
	size_t valid; /* bytes of the valid prefix */
} prefixes[] = {
	{ "nothing", "", 0 },
	{ "ASCII, longer than one word", "hello, world of bytes", 21 },
	{ "two, three and four bytes", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9 },
	{ "the ends of the ranges", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80",
	  15 },
	{ "the last character", "\xf4\x8f\xbf\xbf", 4 },
	{ "around the surrogates", "\xed\x9f\xbf\xee\x80\x80", 6 },
	{ "a continuation alone", "ab\x80", 2 },
	{ "overlong in two", "\xc0\xaf", 0 },
	{ "overlong in two, highest", "\xc1\xbf", 0 },
	{ "overlong in three", "\xe0\x9f\xbf", 0 },
	{ "overlong in four", "\xf0\x8f\xbf\xbf", 0 },
	{ "a surrogate", "x\xed\xa0\x80", 1 },
	{ "above the last character", "\xf4\x90\x80\x80", 0 },
	{ "a lead that never was", "\xf5\x80\x80\x80", 0 },
	{ "ends inside two", "abcdefgh\xc3", 8 },
	{ "ends inside three", "\xe2\x82", 0 },
	{ "ends inside four", "\xf0\x9f\x98", 0 },
	{ "third byte is no continuation", "\xe2\x82(", 0 },
};

START_TEST(the_valid_prefix_is_found)
{
	const struct prefix *p = &prefixes[_i];
	size_t len = strlen(p->text);

	size_t got = rpc_utf8_prefix(p->text, len);

	ck_assert_msg(got == p->valid, "%s: got %zu, want %zu", p->name, got, p->valid);
	ck_assert_int_eq(rpc_utf8_valid(p->text, len), p->valid == len);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("utf8");
	TCase *tcase = tcase_create("utf8");

	tcase_add_loop_test(tcase, the_valid_prefix_is_found, 0,
	                    sizeof prefixes / sizeof prefixes[0]);
	suite_add_tcase(suite, tcase);
	return suite;
}
