/*
 * Log lines: their two forms, what cannot get into them, what happens to repeats.
 */
#include "daemon/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/support/unit.h"

static int reading;
static char text[1 << 20];

static void
open_pipe(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	reading = fds[0];
	log_set_descriptor(fds[1]);
	log_configure(LEVEL_INFO, LOG_FORMAT_LOGFMT);
}

/* What has been written since the last time. */
static const char *
lines(void)
{
	ssize_t got = read(reading, text, sizeof text - 1);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

static void
log_everything(void)
{
	log_warning("catalogue unhealthy", LOG_STR("reason", "no space"), LOG_STR("none", NULL),
		    LOG_INT("i", -5), LOG_UINT("u", INT64_MAX), LOG_BOOL("b", true),
		    LOG_US("took_ms", 1234005), LOG_STR("plain", "a.b-c"), LOG_STR("empty", ""));
}

START_TEST(logfmt_quotes_where_it_has_to)
{
	log_everything();
	ck_assert_ptr_nonnull(
	    strstr(lines(), "Z level=warning msg=\"catalogue unhealthy\" reason=\"no space\" i=-5 "
			    "u=9223372036854775807 b=true took_ms=1234.005 plain=a.b-c "
			    "empty=\"\"\n"));
	ck_assert_int_eq(strncmp(text, "time=20", 7), 0);
}
END_TEST

START_TEST(json_is_json)
{
	json_error_t error;

	log_configure(LEVEL_INFO, LOG_FORMAT_JSON);
	log_everything();
	json_t *object = json_loads(lines(), JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(object != NULL, "%s: %s", error.text, text);
	ck_assert_str_eq(json_string_value(json_object_get(object, "msg")), "catalogue unhealthy");
	ck_assert_str_eq(json_string_value(json_object_get(object, "level")), "warning");
	ck_assert_str_eq(json_string_value(json_object_get(object, "empty")), "");
	ck_assert_int_eq(json_integer_value(json_object_get(object, "i")), -5);
	ck_assert(json_is_true(json_object_get(object, "b")));
	ck_assert_ptr_null(json_object_get(object, "none"));
	json_decref(object);
}
END_TEST

static const struct escape_case {
	const char *value;
	size_t size;
	const char *want; /* within quotes */
} escape_cases[] = {
	{ "a\nlevel=error", 13, "a\\nlevel=error" },
	{ "a\"b\\c", 5, "a\\\"b\\\\c" },
	{ "\x1b[31m\x7f", 6, "\\u001b[31m\\u007f" },
	{ "zero\0end", 8, "zero\\u0000end" },
	{ "caf\xc3\xa9", 5, "caf\xc3\xa9" },
	{ "bad\xff!", 5, "bad\\ufffd!" },
	{ "cut\xc3", 4, "cut\\ufffd" },
	{ "long \xc0\xaf", 7, "long \\ufffd\\ufffd" },
	{ "c1 \xc2\x9b", 5, "c1 \\u009b" },
	{ "bidi\xe2\x80\xae", 7, "bidi\\u202e" },
	{ "\xed\xa0\x80", 3, "\\ufffd\\ufffd\\ufffd" },
	{ "\xf0\x9f\x98\x80 ", 5, "\xf0\x9f\x98\x80 " },
};

START_TEST(no_value_can_forge_a_line_or_drive_a_terminal)
{
	const struct escape_case *c = &escape_cases[_i];
	char want[200];
	json_error_t error;

	log_info("test", LOG_STRN("v", c->value, c->size));
	snprintf(want, sizeof want, " v=\"%s\"\n", c->want);
	ck_assert_msg(strstr(lines(), want) != NULL, "got %s, want %s", text, want);
	log_configure(LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("test", LOG_STRN("v", c->value, c->size));
	json_t *object = json_loads(lines(), JSON_ALLOW_NUL, &error);
	ck_assert_msg(object != NULL, "%s: %s", error.text, text);
	json_decref(object);
}
END_TEST

START_TEST(long_values_are_cut_and_long_lines_stay_whole)
{
	char *value = malloc(200000);
	json_error_t error;

	memset(value, 'x', 200000);
	log_configure(LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("test", LOG_STRN("v", value, 200000));
	json_t *object = json_loads(lines(), 0, &error);
	ck_assert_ptr_nonnull(object);
	ck_assert_uint_eq(strlen(json_string_value(json_object_get(object, "v"))),
			  LOG_VALUE_MAX + 3);
	json_decref(object);
	memset(value, '\x01', 200000); /* six bytes each: seven do not fit in a line */
	log_info("test", LOG_STRN("a", value, 1000), LOG_STRN("b", value, 1000),
		 LOG_INT("small", 1));
	object = json_loads(lines(), 0, &error);
	ck_assert_ptr_nonnull(object);
	ck_assert_ptr_nonnull(json_object_get(object, "a"));
	ck_assert_ptr_null(json_object_get(object, "b"));
	ck_assert_ptr_nonnull(json_object_get(object, "small"));
	json_decref(object);
	free(value);
}
END_TEST

START_TEST(levels_below_the_least_are_left_out)
{
	log_debug("quiet");
	ck_assert_str_eq(lines(), "");
	ck_assert(!log_enabled(LEVEL_DEBUG));
	log_configure(LEVEL_ERROR, LOG_FORMAT_LOGFMT);
	log_warning("quiet");
	log_access(LOG_INT("status", 200));
	ck_assert_str_eq(lines(), "");
	log_error("loud");
	ck_assert_ptr_nonnull(strstr(lines(), "level=error msg=loud\n"));
}
END_TEST

static size_t
count_lines(void)
{
	size_t count = 0;

	for (const char *at = lines(); (at = strchr(at, '\n')) != NULL; at++)
		count++;
	return count;
}

START_TEST(repeats_are_counted_instead_of_written)
{
	for (int i = 0; i < 1000; i++)
		log_info("again", LOG_INT("i", i));
	log_info("something else");
	ck_assert_uint_eq(count_lines(), LOG_BURST + 1);
	for (int i = 0; i < 1000; i++)
		log_access(LOG_INT("i", i));
	ck_assert_uint_eq(count_lines(), 1000);
}
END_TEST

static void *
log_much(void *arg)
{
	for (int i = 0; i < 1000; i++)
		log_access(LOG_STR("who", arg), LOG_STR("fill", "some more text to make it long"));
	return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix)
{
	pthread_t threads[4];
	static char names[4][8] = { "a a", "b b", "c c", "d d" };

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, log_much, names[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	const char *at = lines();
	size_t count = 0;
	while (*at != '\0') {
		const char *end = strchr(at, '\n');

		ck_assert_ptr_nonnull(end);
		ck_assert_int_eq(strncmp(at, "time=", 5), 0);
		ck_assert_int_eq(strncmp(end - 6, " long\"", 6), 0);
		at = end + 1;
		count++;
	}
	ck_assert_uint_eq(count, 4000);
}
END_TEST

START_TEST(the_journal_gets_priorities_instead_of_times)
{
	char stream[64];
	struct stat st;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	ck_assert_int_eq(fstat(fds[1], &st), 0);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", "1:2", 1);
	int saved = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	log_detect_journal();
	log_info("one");
	ck_assert_int_eq(strncmp(lines(), "time=", 5), 0);
	setenv("JOURNAL_STREAM", stream, 1);
	log_detect_journal();
	dup2(saved, STDERR_FILENO);
	log_error("two", LOG_STR("v", "ends with >"), LOG_STR("w", "x>"), LOG_INT("n", 1));
	ck_assert_str_eq(lines(), "<3>level=error msg=two v=\"ends with >\" w=x> n=1\n");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("daemon/log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, open_pipe, NULL);
	tcase_add_test(tcase, logfmt_quotes_where_it_has_to);
	tcase_add_test(tcase, json_is_json);
	tcase_add_loop_test(tcase, no_value_can_forge_a_line_or_drive_a_terminal, 0,
			    sizeof escape_cases / sizeof escape_cases[0]);
	tcase_add_test(tcase, long_values_are_cut_and_long_lines_stay_whole);
	tcase_add_test(tcase, levels_below_the_least_are_left_out);
	tcase_add_test(tcase, repeats_are_counted_instead_of_written);
	tcase_add_test(tcase, lines_of_several_threads_do_not_mix);
	tcase_add_test(tcase, the_journal_gets_priorities_instead_of_times);
	suite_add_tcase(suite, tcase);
	return suite;
}
