/* The reader of server-sent events, whole and one byte at a time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/sse.h"
#include "tests/support/unit.h"

struct seen {
	char text[1024]; /* "type#id:data;" an event */
	size_t len;
	int stop_after; /* events; 0 never stops */
};

static bool
see(void *context, const struct sse_event *event)
{
	struct seen *seen = context;

	ck_assert_uint_eq(event->data[event->data_len], 0);
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
	                              "%s#%s:%s;", event->type, event->id, event->data);
	return --seen->stop_after != 0;
}

static const struct {
	const char *name;
	const char *stream;
	const char *want;
} cases[] = {
	{ "one event", "data: x\n\n", "message#:x;" },
	{ "no space", "data:x\n\n", "message#:x;" },
	{ "two spaces", "data:  x\n\n", "message#: x;" },
	{ "several lines", "data: a\ndata: b\ndata\n\n", "message#:a\nb\n;" },
	{ "type and id", "event: stdout\nid: 7\ndata: x\n\n", "stdout#7:x;" },
	{ "the id stays, the type does not", "event: t\nid: 7\ndata: x\n\ndata: y\n\n",
	  "t#7:x;message#7:y;" },
	{ "an empty id resets", "id: 7\ndata: x\n\nid\ndata: y\n\n", "message#7:x;message#:y;" },
	{ "comments and unknown fields", ": ping\nretry: 5\nfoo: bar\ndata: x\n\n", "message#:x;" },
	{ "no data, no event", "event: t\n\ndata: x\n\n", "message#:x;" },
	{ "empty data is an event", "data:\n\n", "message#:;" },
	{ "CR ends lines", "data: x\r\rdata: y\r\r", "message#:x;message#:y;" },
	{ "CR LF ends lines", "data: x\r\n\r\ndata: y\r\n\r\n", "message#:x;message#:y;" },
	{ "mixed ends", "data: a\rdata: b\ndata: c\r\n\n", "message#:a\nb\nc;" },
	{ "byte order mark",
	  "\xef\xbb\xbf"
	  "data: x\n\n",
	  "message#:x;" },
	{ "a mark later is text",
	  "data: x\n\n\xef\xbb\xbf"
	  "data: y\n\n",
	  "message#:x;" },
	{ "unfinished event", "data: x\n\ndata: y\n", "message#:x;" },
	{ "unfinished line", "data: x\n\ndata: y", "message#:x;" },
	{ "colon first", ":data: x\n\n", "" },
	{ "nothing", "", "" },
};

START_TEST(events_come_whole_however_the_bytes_come)
{
	for (size_t step = 1; step <= 64; step = step < 8 ? step + 1 : step * 8) {
		struct seen seen = { 0 };
		struct sse sse;
		const char *stream = cases[_i].stream;
		size_t len = strlen(stream);

		sse_init(&sse, see, &seen);
		for (size_t at = 0; at < len; at += step)
			ck_assert_int_eq(
			    sse_feed(&sse, stream + at, len - at < step ? len - at : step), SSE_OK);
		ck_assert_msg(strcmp(seen.text, cases[_i].want) == 0,
		              "%s, %zu at a time: got \"%s\"", cases[_i].name, step, seen.text);
		sse_clear(&sse);
	}
}
END_TEST

START_TEST(a_nul_in_an_id_makes_it_ignored)
{
	static const char stream[] = "id: a\0b\ndata: x\n\n";
	struct seen seen = { 0 };
	struct sse sse;

	sse_init(&sse, see, &seen);
	ck_assert_int_eq(sse_feed(&sse, stream, sizeof(stream) - 1), SSE_OK);
	ck_assert_str_eq(seen.text, "message#:x;");
	sse_clear(&sse);
}
END_TEST

START_TEST(the_handler_can_stop_it)
{
	static const char stream[] = "data: x\n\ndata: y\n\ndata: z\n\n";
	struct seen seen = { .stop_after = 2 };
	struct sse sse;

	sse_init(&sse, see, &seen);
	ck_assert_int_eq(sse_feed(&sse, stream, sizeof(stream) - 1), SSE_STOPPED);
	ck_assert_str_eq(seen.text, "message#:x;message#:y;");
	sse_clear(&sse);
}
END_TEST

START_TEST(long_names_are_cut)
{
	struct seen seen = { 0 };
	struct sse sse;
	char name[200];

	memset(name, 'n', sizeof(name));
	sse_init(&sse, see, &seen);
	ck_assert_int_eq(sse_feed(&sse, "event: ", 7), SSE_OK);
	ck_assert_int_eq(sse_feed(&sse, name, sizeof(name)), SSE_OK);
	ck_assert_int_eq(sse_feed(&sse, "\ndata: x\n\n", 10), SSE_OK);
	ck_assert_uint_eq(strcspn(seen.text, "#"), SSE_NAME_MAX);
	sse_clear(&sse);
}
END_TEST

/* Feeds a text until the reader says something else than SSE_OK, or too much went in. */
static enum sse_status
feed_forever(const char *text)
{
	struct seen seen = { 0 };
	enum sse_status status = SSE_OK;
	struct sse sse;

	sse_init(&sse, see, &seen);
	for (size_t fed = 0; status == SSE_OK && fed < 3 * SSE_BYTES_MAX; fed += strlen(text))
		status = sse_feed(&sse, text, strlen(text));
	sse_clear(&sse);
	return status;
}

START_TEST(memory_is_bounded)
{
	char text[4097];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(feed_forever(text), SSE_TOO_LONG);
	memcpy(text, "data: ", 6);
	text[sizeof(text) - 2] = '\n';
	ck_assert_int_eq(feed_forever(text), SSE_TOO_LONG);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("sse");
	TCase *tc = tcase_create("feed");

	tcase_add_loop_test(tc, events_come_whole_however_the_bytes_come, 0,
	                    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, a_nul_in_an_id_makes_it_ignored);
	tcase_add_test(tc, the_handler_can_stop_it);
	tcase_add_test(tc, long_names_are_cut);
	tcase_add_test(tc, memory_is_bounded);
	suite_add_tcase(suite, tc);
	return suite;
}
