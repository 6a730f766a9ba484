/*
 * What a compiling process says: progress, last words, and whatever else a broken one sends.
 */
#include "daemon/compile_report.h"

#include <stdio.h>
#include <string.h>
#include "tests/support/unit.h"

#define LONG_LINE 5000

static const struct report_case {
	const char *text;
	uint64_t done;
	uint64_t total;
	const char *said;
} cases[] = {
	{ "", 0, 0, "" },
	{ "progress 1 2\n", 1, 2, "" },
	{ "progress 1 2\nprogress 2 2\n", 2, 2, "" },
	{ "progress 1 2\nerror function 7 is strange\n", 1, 2, "function 7 is strange" },
	{ "LLVM ERROR: out of memory\n", 0, 0, "LLVM ERROR: out of memory" },
	{ "error no end", 0, 0, "no end" },
	{ "\n\n\nerror x\n\n", 0, 0, "x" },
	{ "progress 3 2\n", 0, 0, "progress 3 2" },
	{ "progress -1 2\n", 0, 0, "progress -1 2" },
	{ "progress 1\n", 0, 0, "progress 1" },
	{ "progress 1 2 3\n", 0, 0, "progress 1 2 3" },
	{ "progress  \n", 0, 0, "progress  " },
	{ "progress 1 99999999999999999999999\n", 0, 0, "progress 1 99999999999999999999999" },
	{ "error \x1b[31mred\x80\n", 0, 0, "?[31mred?" },
};

START_TEST(lines_are_understood_however_they_come)
{
	const struct report_case *c = &cases[_i];
	size_t len = strlen(c->text);

	for (size_t step = 1; step <= len + 1; step += 3) {
		struct compile_report report;
		compile_report_init(&report);
		for (size_t at = 0; at < len; at += step)
			compile_report_feed(&report, c->text + at,
			                    len - at < step ? len - at : step);
		compile_report_end(&report);
		ck_assert_msg(report.done_bytes == c->done && report.total_bytes == c->total,
		              "%s: got %llu of %llu", c->text,
		              (unsigned long long)report.done_bytes,
		              (unsigned long long)report.total_bytes);
		ck_assert_str_eq(report.said, c->said);
	}
}
END_TEST

START_TEST(a_line_without_end_is_cut)
{
	struct compile_report report;
	char text[LONG_LINE];

	memset(text, 'x', sizeof text);
	compile_report_init(&report);
	for (int i = 0; i < 100; i++)
		compile_report_feed(&report, text, sizeof text);
	compile_report_end(&report);
	ck_assert_uint_eq(strlen(report.said), COMPILE_LINE_MAX - 1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("compile_report");
	TCase *tcase = tcase_create("compile_report");

	tcase_add_loop_test(tcase, lines_are_understood_however_they_come, 0,
	                    sizeof cases / sizeof cases[0]);
	tcase_add_test(tcase, a_line_without_end_is_cut);
	suite_add_tcase(suite, tcase);
	return suite;
}
