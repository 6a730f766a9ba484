/*
 * The registry of metrics: what is counted where, and the text that comes out.
 */
#include "daemon/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/support/unit.h"

static const char *const routes[] = { "invoke", NULL, "modules" };
static const char *const plugins[] = { "example" };

static void
make_registry(void)
{
	ck_assert(metrics_init(routes, 3, plugins, 1, "1.2.3"));
}

static char *
report(void)
{
	char *text = NULL;
	size_t size = 0;

	ck_assert(metrics_format(&text, &size));
	ck_assert_uint_eq(strlen(text), size);
	return text;
}

static void
expect(const char *want)
{
	char *text = report();

	ck_assert_msg(strstr(text, want) != NULL, "no \"%s\" in:\n%s", want, text);
	free(text);
}

START_TEST(counters_gauges_and_labels_come_out)
{
	metric_add(METRIC_HTTP_REQUESTS, 2, metrics_code(201), 3);
	metric_add(METRIC_INVOCATIONS, METRIC_outcome_TRAPPED, METRIC_tier_INTERP, 1);
	metric_add(METRIC_FUEL, 0, 0, UINT64_C(10000000000));
	metric_change(METRIC_CONNECTIONS, 0, 0, 5);
	metric_change(METRIC_CONNECTIONS, 0, 0, -7);
	metric_set(METRIC_WORKERS, METRIC_worker_IDLE, 0, 4);
	metric_set(METRIC_STORE_COMMIT_TIME, 0, 0, 1500001);
	expect("# HELP wasmedged_http_requests_total Requests answered.\n"
	       "# TYPE wasmedged_http_requests_total counter\n"
	       "wasmedged_http_requests_total{route=\"modules\",code=\"201\"} 3\n#");
	expect("\nwasmedged_invocations_total{outcome=\"trapped\",tier=\"interp\"} 1\n#");
	expect("\nwasmedged_fuel_total 10000000000\n");
	expect("\nwasmedged_connections -2\n");
	expect("\nwasmedged_workers{state=\"busy\"} 0\nwasmedged_workers{state=\"idle\"} 4\n");
	expect("\nwasmedged_store_commit_seconds_total 1.500001\n");
	expect("\nwasmedged_build_info{version=\"1.2.3\"} 1\n");
	ck_assert_int_eq(metric_get(METRIC_CONNECTIONS, 0, 0), -2);
}
END_TEST

START_TEST(a_histogram_is_cumulative)
{
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_EXECUTE, 0, 50);
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_EXECUTE, 0, 51);
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_EXECUTE, 0, 60000000);
	expect("wasmedged_invocation_seconds_bucket{phase=\"execute\",le=\"0.00005\"} 1\n"
	       "wasmedged_invocation_seconds_bucket{phase=\"execute\",le=\"0.0001\"} 2\n");
	expect("{phase=\"execute\",le=\"30\"} 2\n"
	       "wasmedged_invocation_seconds_bucket{phase=\"execute\",le=\"+Inf\"} 3\n"
	       "wasmedged_invocation_seconds_sum{phase=\"execute\"} 60.000101\n"
	       "wasmedged_invocation_seconds_count{phase=\"execute\"} 3\n");
	expect("le=\"1\"}");
	ck_assert_int_eq(metric_get(METRIC_INVOCATION_TIME, METRIC_phase_EXECUTE, 0), 3);
}
END_TEST

START_TEST(what_has_no_series_is_dropped)
{
	char *before = report();

	metric_add(METRIC_HTTP_REQUESTS, 3, METRIC_code_200, 1);
	metric_add(METRIC_HTTP_REQUESTS, UINT32_MAX, METRIC_code_200, 1);
	metric_add(METRIC_INVOCATIONS, METRIC_tier_INTERP, METRIC_tier_INTERP, 1);
	metric_add(METRIC_INVOCATIONS, METRIC_outcome_RETURNED, METRIC_outcome_RETURNED, 1);
	metric_add(METRIC_COUNT, 0, 0, 1);
	metric_add(METRIC_INVOCATION_TIME, METRIC_phase_QUEUE, 0, 1); /* a histogram */
	metric_observe_us(METRIC_FUEL, 0, 0, 1);                      /* none */
	char *after = report();
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
	ck_assert_int_eq(metric_get(METRIC_INVOCATIONS, METRIC_code_200, 0), 0);
}
END_TEST

START_TEST(before_init_and_after_free_nothing_happens)
{
	metrics_free();
	metric_add(METRIC_FUEL, 0, 0, 1);
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_QUEUE, 0, 1);
	ck_assert_int_eq(metric_get(METRIC_FUEL, 0, 0), 0);
	char *text = report();
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(codes_are_found_and_others_pooled)
{
	ck_assert_uint_eq(metrics_code(200), METRIC_code_200);
	ck_assert_uint_eq(metrics_code(507), METRIC_code_507);
	ck_assert_uint_eq(metrics_code(418), METRIC_code_OTHER);
	ck_assert_uint_eq(metrics_code(-1), METRIC_code_OTHER);
}
END_TEST

START_TEST(unused_routes_and_empty_pairs_are_left_out)
{
	metric_add(METRIC_HTTP_REQUESTS, 1, METRIC_code_200, 1); /* the route without a name */
	char *text = report();
	ck_assert_ptr_null(strstr(text, "wasmedged_http_requests_total{"));
	ck_assert_ptr_null(strstr(text, "wasmedged_http_request_seconds_bucket"));
	ck_assert_ptr_nonnull(strstr(text, "# TYPE wasmedged_http_request_seconds histogram\n"));
	free(text);
}
END_TEST

/* name{label="value",...} number, or a comment: the whole of what may occur. */
static bool
is_line(const char *at, const char *end)
{
	if (*at == '#')
		return strncmp(at, "# HELP wasmedged_", 17) == 0 ||
		       strncmp(at, "# TYPE wasmedged_", 17) == 0;
	while (at < end && (islower((unsigned char)*at) || *at == '_'))
		at++;
	if (*at == '{') {
		do {
			at++;
			while (islower((unsigned char)*at))
				at++;
			if (at[0] != '=' || at[1] != '"')
				return false;
			for (at += 2; at < end && *at != '"'; at++)
				;
			at++;
		} while (*at == ',');
		if (*at++ != '}')
			return false;
	}
	if (*at++ != ' ')
		return false;
	return at < end && strspn(at, "-0123456789.") == (size_t)(end - at);
}

START_TEST(every_line_of_the_report_has_the_form_it_must_have)
{
	metrics_collect_process();
	metric_add(METRIC_HTTP_REQUESTS, 0, METRIC_code_OTHER, 1);
	metric_observe_us(METRIC_HTTP_REQUEST_TIME, 0, 0, 1);
	char *text = report();
	for (const char *at = text; *at != '\0';) {
		const char *end = strchr(at, '\n');

		ck_assert_msg(end != NULL && is_line(at, end), "%.100s", at);
		at = end + 1;
	}
	free(text);
}
END_TEST

START_TEST(the_process_is_measured)
{
	metrics_collect_process();
	ck_assert_int_gt(metric_get(METRIC_PROCESS_RESIDENT, 0, 0), 100000);
	ck_assert_int_eq(metric_get(METRIC_PROCESS_THREADS, 0, 0), 1);
	int64_t fds = metric_get(METRIC_PROCESS_FDS, 0, 0);
	int fd = dup(0);
	metrics_collect_process();
	ck_assert_int_eq(metric_get(METRIC_PROCESS_FDS, 0, 0), fds + 1);
	close(fd);
	int64_t start_us = metric_get(METRIC_PROCESS_START, 0, 0);
	int64_t now_us = (int64_t)time(NULL) * 1000000;
	ck_assert_int_le(start_us, now_us + 1000000);
	ck_assert_int_gt(start_us, now_us - INT64_C(120000000));
}
END_TEST

static void *
count_much(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100000; i++) {
		metric_add(METRIC_FUEL, 0, 0, 1);
		metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_QUEUE, 0, 200);
	}
	return NULL;
}

START_TEST(no_count_is_lost_between_threads)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count_much, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(metric_get(METRIC_FUEL, 0, 0), 400000);
	ck_assert_int_eq(metric_get(METRIC_INVOCATION_TIME, METRIC_phase_QUEUE, 0), 400000);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("daemon/metrics");
	TCase *tcase = tcase_create("metrics");

	tcase_add_checked_fixture(tcase, make_registry, metrics_free);
	tcase_add_test(tcase, counters_gauges_and_labels_come_out);
	tcase_add_test(tcase, a_histogram_is_cumulative);
	tcase_add_test(tcase, what_has_no_series_is_dropped);
	tcase_add_test(tcase, before_init_and_after_free_nothing_happens);
	tcase_add_test(tcase, codes_are_found_and_others_pooled);
	tcase_add_test(tcase, unused_routes_and_empty_pairs_are_left_out);
	tcase_add_test(tcase, every_line_of_the_report_has_the_form_it_must_have);
	tcase_add_test(tcase, the_process_is_measured);
	tcase_add_test(tcase, no_count_is_lost_between_threads);
	suite_add_tcase(suite, tcase);
	return suite;
}
