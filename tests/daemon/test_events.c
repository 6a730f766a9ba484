/*
 * Events of an invocation: numbers, replay, slow followers, the end.
 */
#include "daemon/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/unit.h"

/* All that a follower gives now, in pieces of step bytes; *out_last is what the last read gave. */
static char *
read_all(struct follower *follower, size_t step, ssize_t *out_last)
{
	char *text = calloc(1, 4 * EVENTS_BYTES_MAX);
	size_t used = 0;
	ssize_t len;

	while ((len = follower_read(follower, text + used, step)) > 0)
		used += (size_t)len;
	*out_last = len;
	return text;
}

START_TEST(events_come_out_in_order_however_they_are_read)
{
	struct events *events = events_new();

	events_add(events, "queued", "{}", 2, false);
	events_add(events, "stdout", "{\"text\":\"a\"}", 12, false);
	for (size_t step = 1; step < 80; step += 7) {
		struct follower *follower = follower_new(events, 0);
		ssize_t last;
		char *text = read_all(follower, step, &last);
		ck_assert_str_eq(text, "id: 1\nevent: queued\ndata: {}\n\n"
		                       "id: 2\nevent: stdout\ndata: {\"text\":\"a\"}\n\n");
		ck_assert_int_eq(last, 0);
		free(text);
		follower_free(follower);
	}
	events_unref(events);
}
END_TEST

START_TEST(a_follower_goes_on_where_it_was)
{
	struct events *events = events_new();
	struct follower *follower = follower_new(events, 1);
	ssize_t last;

	events_add(events, "queued", "{}", 2, false);
	char *text = read_all(follower, 100, &last);
	ck_assert_str_eq(text, "");
	free(text);
	events_add(events, "result", "{}", 2, true);
	text = read_all(follower, 100, &last);
	ck_assert_str_eq(text, "id: 2\nevent: result\ndata: {}\n\n");
	ck_assert_int_eq(last, -1);
	free(text);
	follower_free(follower);
	events_unref(events);
}
END_TEST

START_TEST(a_slow_follower_hears_how_much_it_missed)
{
	static char big[EVENTS_BYTES_MAX / 4];
	struct events *events = events_new();
	struct follower *follower = follower_new(events, 0);
	ssize_t last;

	memset(big, 'x', sizeof big);
	for (int i = 0; i < 10; i++)
		events_add(events, "stdout", big, sizeof big, false);
	events_add(events, "result", "{}", 2, true);
	char *text = read_all(follower, 5000, &last);
	ck_assert_ptr_nonnull(strstr(text, "event: overflow\ndata: {\"missed\":7}\n\n"));
	ck_assert_int_eq(memcmp(text, "id: 7\n", 6), 0);
	ck_assert_ptr_nonnull(strstr(text, "id: 8\nevent: stdout\n"));
	ck_assert_ptr_nonnull(strstr(text, "id: 11\nevent: result\n"));
	ck_assert_uint_lt(strlen(text), EVENTS_BYTES_MAX + 200);
	ck_assert_int_eq(last, -1);
	free(text);
	follower_free(follower);
	events_unref(events);
}
END_TEST

START_TEST(events_outlive_who_made_them)
{
	struct events *events = events_new();
	ssize_t last;

	events_add(events, "result", "{}", 2, true);
	struct follower *follower = follower_new(events, 0);
	events_unref(events);
	char *text = read_all(follower, 100, &last);
	ck_assert_str_eq(text, "id: 1\nevent: result\ndata: {}\n\n");
	free(text);
	follower_free(follower);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("events");
	TCase *tc = tcase_create("events");

	tcase_add_test(tc, events_come_out_in_order_however_they_are_read);
	tcase_add_test(tc, a_follower_goes_on_where_it_was);
	tcase_add_test(tc, a_slow_follower_hears_how_much_it_missed);
	tcase_add_test(tc, events_outlive_who_made_them);
	suite_add_tcase(suite, tc);
	return suite;
}
