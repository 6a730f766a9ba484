/* What people read: escaped text, tables, sizes and times, YAML, values, exit codes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/answer.h"
#include "client/wasmedgectl/exitcode.h"
#include "client/wasmedgectl/output.h"
#include "tests/support/unit.h"

static char *memory_text;
static size_t memory_size;

static FILE *
memory_open(void)
{
	FILE *memory = open_memstream(&memory_text, &memory_size);

	ck_assert_ptr_nonnull(memory);
	return memory;
}

static void
memory_check(FILE *memory, const char *what, const char *want)
{
	fclose(memory);
	ck_assert_msg(strcmp(memory_text, want) == 0, "%s: got \"%s\", want \"%s\"", what,
	              memory_text, want);
	free(memory_text);
}

static const struct {
	const char *text;
	const char *want;       /* by output_text */
	const char *want_lines; /* by output_lines; NULL: the same */
} texts[] = {
	{ "plain", "plain", NULL },
	{ "", "", NULL },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", NULL },
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", NULL },
	{ "a\nb\tc", "a\\nb\\tc", "a\nb\tc" },
	{ "a\rb", "a\\rb", NULL },
	{ "\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m", NULL },
	{ "bell\a\x7f", "bell\\x07\\x7f", NULL },
	{ "\xc2\x9b"
	  "31m",
	  "\\u009b31m", NULL }, /* the C1 form of ESC [ */
	{ "a\xe2\x80\xae"
	  "b",
	  "a\\u202eb", NULL }, /* right to left from here */
	{ "a\xe2\x80\xa8"
	  "b",
	  "a\\u2028b", NULL },                      /* line separator */
	{ "\xff\xfe", "\\xff\\xfe", NULL },         /* not UTF-8 */
	{ "\xc3", "\\xc3", NULL },                  /* cut */
	{ "\xc0\x9b[31m", "\\xc0\\x9b[31m", NULL }, /* overlong */
	{ "back\\slash", "back\\slash", NULL },
};

START_TEST(text_cannot_steer_a_terminal)
{
	FILE *memory = memory_open();

	output_text(memory, texts[_i].text, strlen(texts[_i].text));
	memory_check(memory, "output_text", texts[_i].want);

	memory = memory_open();
	output_lines(memory, texts[_i].text, strlen(texts[_i].text));
	memory_check(memory, "output_lines",
	             texts[_i].want_lines != NULL ? texts[_i].want_lines : texts[_i].want);
}
END_TEST

START_TEST(a_nul_is_escaped_too)
{
	FILE *memory = memory_open();

	output_lines(memory, "a\0b", 3);
	memory_check(memory, "NUL", "a\\x00b");
}
END_TEST

static const struct output_column columns[] = {
	{ "NAME", OUTPUT_LEFT, true },
	{ "SIZE", OUTPUT_RIGHT, false },
	{ "TAGS", OUTPUT_LEFT, true },
};

static void
fill(struct output_table *table)
{
	output_table_init(table, columns, 3);
	output_table_add(table, "gr\xc3\xbc\xc3\x9f");
	output_table_add(table, "5 B");
	output_table_add(table, NULL);
	output_table_add(table, "evil\x1b[2J");
	output_table_add_format(table, "%d B", 12345);
	output_table_add(table, "a-very-long-tag-that-goes-on-and-on");
}

START_TEST(tables_are_aligned)
{
	struct output_table table;
	FILE *memory = memory_open();

	fill(&table);
	ck_assert(output_table_print(&table, memory, 0));
	memory_check(memory, "no limit",
	             "NAME            SIZE  TAGS\n"
	             "gr\xc3\xbc\xc3\x9f             5 B  -\n"
	             "evil\\x1b[2J  12345 B  a-very-long-tag-that-goes-on-and-on\n");
	output_table_clear(&table);
}
END_TEST

START_TEST(tables_fit_the_terminal_where_they_can)
{
	struct output_table table;
	FILE *memory = memory_open();

	fill(&table);
	ck_assert(output_table_print(&table, memory, 40));
	memory_check(memory, "40 columns",
	             "NAME            SIZE  TAGS\n"
	             "gr\xc3\xbc\xc3\x9f             5 B  -\n"
	             "evil\\x1b[2J  12345 B  a-very-long-tag...\n");
	memory = memory_open();
	ck_assert(output_table_print(&table, memory, 1));
	memory_check(memory, "1 column",
	             "NAME            SIZE  TAGS\n"
	             "gr\xc3\xbc\xc3\x9f             5 B  -\n"
	             "evil\\x1b[2J  12345 B  a-very-lo...\n");
	output_table_clear(&table);
}
END_TEST

START_TEST(an_empty_table_has_its_titles)
{
	struct output_table table;
	FILE *memory = memory_open();

	output_table_init(&table, columns, 3);
	ck_assert(output_table_print(&table, memory, 80));
	memory_check(memory, "empty", "NAME  SIZE  TAGS\n");
	output_table_clear(&table);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *want;
} sizes[] = {
	{ 0, "0 B" },
	{ 1023, "1023 B" },
	{ 1024, "1.0 KiB" },
	{ 48211, "47.1 KiB" },
	{ 1048575, "1.0 MiB" },
	{ 3355443, "3.2 MiB" },
	{ UINT64_MAX, "16.0 EiB" },
};

static const struct {
	uint64_t us;
	const char *want;
} durations[] = {
	{ 0, "0 us" },
	{ 999, "999 us" },
	{ 2500, "2.5 ms" },
	{ 3100000, "3.1 s" },
	{ 125000000, "2 min 5 s" },
	{ 3661000000, "1 h 1 min" },
	{ UINT64_MAX, "5124095576 h 1 min" },
};

START_TEST(sizes_and_durations_are_short)
{
	char text[OUTPUT_SHORT_MAX];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		ck_assert_str_eq(output_size(sizes[i].bytes, text), sizes[i].want);
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		ck_assert_str_eq(output_duration(durations[i].us, text), durations[i].want);
}
END_TEST

static const struct {
	const char *time;
	const char *want; /* at 1970-01-10T00:00:00Z */
} ages[] = {
	{ "1970-01-09T23:59:59.500000Z", "1 s ago" },
	{ "1970-01-09T23:50:00Z", "10 min ago" },
	{ "1970-01-09T13:00:00Z", "11 h ago" },
	{ "1970-01-02T13:00:00Z", "1970-01-02" },
	{ "1970-02-01T00:00:00Z", "0 s ago" }, /* their clock is ahead */
	{ "1970-01-02T13:00:00", "1970-01-02T13:00:00" },
	{ "yesterday\n", "yesterday\\n" },
	{ "", "" },
};

START_TEST(ages_are_short)
{
	char text[OUTPUT_SHORT_MAX];

	ck_assert_str_eq(output_age(ages[_i].time, 9 * 86400, text), ages[_i].want);
}
END_TEST

static const struct {
	const char *json;
	const char *want;
} yamls[] = {
	{ "{\"a\":1,\"b\":[1,\"x\"],\"c\":{\"d\":null}}",
	  "a: 1\nb:\n  - 1\n  - \"x\"\nc:\n  d: null\n" },
	{ "[{\"a\":1,\"b\":2},[3,4],{}]", "- a: 1\n  b: 2\n- - 3\n  - 4\n- {}\n" },
	{ "{\"no\":\"yes\",\"1a\":true,\"x y\":[]}",
	  "\"no\": \"yes\"\n\"1a\": true\n\"x y\": []\n" },
	{ "\"a\\\"b\\\\c\\n\\u0000\\u0085\"", " \"a\\\"b\\\\c\\u000a\\u0000\\u0085\"\n" },
	{ "{}", " {}\n" },
};

START_TEST(documents_become_yaml)
{
	json_t *json = json_loads(yamls[_i].json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	FILE *memory = memory_open();

	ck_assert_ptr_nonnull(json);
	ck_assert(output_yaml(memory, json));
	memory_check(memory, yamls[_i].json, yamls[_i].want);
	json_decref(json);
}
END_TEST

static const struct {
	const char *json;
	bool exact;
	const char *want;
} values[] = {
	{ "{\"type\":\"i32\",\"value\":-42}", false, "-42\n" },
	{ "{\"type\":\"i64\",\"value\":\"-9223372036854775808\"}", false,
	  "-9223372036854775808\n" },
	{ "{\"type\":\"f64\",\"value\":0.1}", false, "0.1\n" },
	{ "{\"type\":\"f32\",\"value\":0.1}", false, "0.1\n" },
	{ "{\"type\":\"f32\",\"value\":16777216}", false, "16777216\n" },
	{ "{\"type\":\"f64\",\"value\":-0.0}", false, "-0.0\n" },
	{ "{\"type\":\"f64\",\"value\":\"nan:0x8000000000001\"}", false, "nan:0x8000000000001\n" },
	{ "{\"type\":\"i32\",\"value\":1,\"bits\":\"0x00000001\"}", true, "1\t0x00000001\n" },
	{ "{\"type\":\"i32\",\"value\":1,\"bits\":\"0x00000001\"}", false, "1\n" },
	{ "{\"type\":\"v128\",\"lanes\":\"i32x4\",\"value\":[\"1\",\"2\",\"3\",\"4\"],\"bytes\":"
	  "\"01\"}",
	  false, "i32x4 1 2 3 4\n" },
	{ "{\"type\":\"v128\",\"lanes\":\"f32x4\",\"value\":[0.1,1,2,3],\"bytes\":\"01\"}", true,
	  "f32x4 0.1 1 2 3\t01\n" },
	{ "{\"type\":\"externref\",\"value\":null}", false, "null\n" },
	{ "{\"type\":\"externref\",\"value\":\"ref:\\u001b\"}", false, "ref:\\x1b\n" },
	{ "{\"type\":\"i32\"}", false, "?\n" },
	{ "{\"type\":\"i32\",\"value\":{}}", false, "?\n" },
	{ "[]", false, "?\n" },
};

START_TEST(values_are_printed_as_the_text_format_has_them)
{
	json_t *json = json_loads(values[_i].json, 0, NULL);
	FILE *memory = memory_open();

	ck_assert_ptr_nonnull(json);
	answer_print_value(memory, json, values[_i].exact);
	memory_check(memory, values[_i].json, values[_i].want);
	json_decref(json);
}
END_TEST

static const struct {
	long status;
	const char *slug;
	int want;
} statuses[] = {
	{ 200, "", 0 },         { 202, "", 0 },           { 304, "", 1 },
	{ 400, "bad-json", 1 }, { 401, "", 4 },           { 403, "forbidden", 4 },
	{ 404, "", 3 },         { 405, "", 1 },           { 408, "", 124 },
	{ 409, "", 5 },         { 410, "", 3 },           { 412, "", 5 },
	{ 413, "", 1 },         { 422, "", 1 },           { 422, "function-not-found", 3 },
	{ 428, "", 5 },         { 429, "queue-full", 6 }, { 500, "", 1 },
	{ 502, "", 1 },         { 503, "", 6 },           { 504, "", 124 },
	{ 507, "", 6 },         { 200, "not-found", 0 },  { 302, "", 1 },
};

START_TEST(a_status_has_its_exit_code)
{
	ck_assert_msg((int)exit_code_of_status(statuses[_i].status, statuses[_i].slug) ==
	                  statuses[_i].want,
	              "status %ld %s", statuses[_i].status, statuses[_i].slug);
}
END_TEST

static const struct {
	const char *outcome;
	const char *limit;
	unsigned long guest_code;
	int want;
} outcomes[] = {
	{ "returned", "", 0, 0 },
	{ "exited", "", 0, 0 },
	{ "exited", "", 42, 42 },
	{ "exited", "", 255, 255 },
	{ "exited", "", 256, 255 }, /* never 0 */
	{ "exited", "", 0xffffffff, 255 },
	{ "trapped", "unreachable", 0, 134 },
	{ "limited", "deadline-exceeded", 0, 124 },
	{ "limited", "out-of-fuel", 0, 134 },
	{ "limited", "", 0, 124 },
	{ "cancelled", "cancelled", 0, 130 },
	{ "lost", "", 0, 1 },
	{ "unheard of", "", 0, 1 },
};

START_TEST(an_outcome_has_its_exit_code)
{
	ck_assert_int_eq(
	    exit_code_of_outcome(outcomes[_i].outcome, outcomes[_i].limit, outcomes[_i].guest_code),
	    outcomes[_i].want);
}
END_TEST

#define ADD_ROWS(test, rows) tcase_add_loop_test(tc, test, 0, sizeof(rows) / sizeof(rows[0]))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("output");
	TCase *tc = tcase_create("output");

	ADD_ROWS(text_cannot_steer_a_terminal, texts);
	tcase_add_test(tc, a_nul_is_escaped_too);
	tcase_add_test(tc, tables_are_aligned);
	tcase_add_test(tc, tables_fit_the_terminal_where_they_can);
	tcase_add_test(tc, an_empty_table_has_its_titles);
	tcase_add_test(tc, sizes_and_durations_are_short);
	ADD_ROWS(ages_are_short, ages);
	ADD_ROWS(documents_become_yaml, yamls);
	ADD_ROWS(values_are_printed_as_the_text_format_has_them, values);
	ADD_ROWS(a_status_has_its_exit_code, statuses);
	ADD_ROWS(an_outcome_has_its_exit_code, outcomes);
	suite_add_tcase(suite, tc);
	return suite;
}
