#include "rpc/problem.h"

#include <jansson.h>
#include <stdlib.h>
#include "rpc/utf8.h"
#include "tests/support/unit.h"

static char *
document(const struct rpc_problem *problem, const char *request_id)
{
	struct rpc_writer w;
	size_t len;

	rpc_writer_init(&w);
	rpc_problem_write(&w, problem, request_id);
	char *text = rpc_writer_take(&w, &len);
	ck_assert_ptr_nonnull(text);
	return text;
}

START_TEST(every_kind_is_complete_and_found_by_its_slug)
{
	const struct rpc_problem_kind *kind = rpc_problem_kind((enum rpc_code)_i);

	ck_assert_int_eq(rpc_problem_find(kind->slug, strlen(kind->slug)), _i);
	ck_assert_uint_ge(kind->status, 400);
	ck_assert_uint_lt(kind->status, 600);
	ck_assert_uint_gt(strlen(kind->title), 5);
	ck_assert_uint_gt(strlen(kind->explanation), 40);
	ck_assert_uint_eq(strspn(kind->slug, "abcdefghijklmnopqrstuvwxyz-"), strlen(kind->slug));
	ck_assert(kind->explanation[strlen(kind->explanation) - 1] == '.');
}
END_TEST

START_TEST(what_is_no_kind_is_internal_or_nothing)
{
	ck_assert_str_eq(rpc_problem_kind(RPC_OK)->slug, "internal");
	ck_assert_str_eq(rpc_problem_kind(RPC_CODE_COUNT)->slug, "internal");
	ck_assert_int_eq(rpc_problem_find("no-such", 7), RPC_OK);
	ck_assert_int_eq(rpc_problem_find("", 0), RPC_OK);
	ck_assert_int_eq(rpc_problem_find("queue-fullx", 10), RPC_QUEUE_FULL);
}
END_TEST

START_TEST(a_document_has_what_the_standard_asks_for)
{
	struct rpc_problem problem;

	ck_assert_int_eq(rpc_problem_set(&problem, RPC_MODULE_INVALID, "expected %s", "i32"),
	                 RPC_MODULE_INVALID);
	struct rpc_problem_item *item = rpc_problem_add(&problem, "operand %d", 2);
	item->offset = 4711;
	item->function = 12;
	char *text = document(&problem, "req_1");
	ck_assert_str_eq(text, "{\"type\":\"/problems/module-invalid\",\"title\":\"Module failed "
	                       "validation\",\"status\":422,\"detail\":\"expected i32\","
	                       "\"instance\":\"/v1/requests/req_1\",\"code\":\"module-invalid\","
	                       "\"retryable\":false,\"request_id\":\"req_1\",\"errors\":[{"
	                       "\"offset\":4711,\"function\":12,\"detail\":\"operand 2\"}]}");
	free(text);
}
END_TEST

START_TEST(items_say_only_what_is_known)
{
	struct rpc_problem problem;

	rpc_problem_at(&problem, RPC_BAD_REQUEST, "", "bad");
	char *text = document(&problem, NULL);
	ck_assert_ptr_nonnull(strstr(text, "\"errors\":[{\"pointer\":\"\",\"detail\":\"bad\"}]}"));
	ck_assert_ptr_null(strstr(text, "instance"));
	free(text);
	rpc_problem_in(&problem, RPC_BAD_QUERY, "limit", "bad %d", 7);
	text = document(&problem, NULL);
	ck_assert_ptr_nonnull(
	    strstr(text, "\"errors\":[{\"parameter\":\"limit\",\"detail\":\"bad 7\"}]}"));
	free(text);
}
END_TEST

START_TEST(no_problem_wanted_is_fine)
{
	ck_assert_int_eq(rpc_problem_set(NULL, RPC_CONFLICT, "x"), RPC_CONFLICT);
	ck_assert_int_eq(rpc_problem_at(NULL, RPC_CONFLICT, "/a", "x"), RPC_CONFLICT);
	ck_assert_int_eq(rpc_problem_in(NULL, RPC_CONFLICT, "a", "x"), RPC_CONFLICT);
	ck_assert_ptr_null(rpc_problem_add(NULL, "x"));
}
END_TEST

START_TEST(items_are_bounded)
{
	struct rpc_problem problem;

	rpc_problem_set(&problem, RPC_CONFLICT, "x");
	for (int i = 0; i < RPC_PROBLEM_ITEMS_MAX; i++)
		ck_assert_ptr_nonnull(rpc_problem_add(&problem, "%d", i));
	ck_assert_ptr_null(rpc_problem_add(&problem, "one more"));
	rpc_problem_set(&problem, RPC_CONFLICT, "y");
	ck_assert_uint_eq(problem.item_count, 0);
}
END_TEST

START_TEST(overlong_details_are_cut_at_a_character)
{
	char text[2 * RPC_PROBLEM_DETAIL_MAX];
	struct rpc_problem problem;

	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'a', shift);
		for (size_t i = shift; i + 4 < sizeof text; i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 5);
		rpc_problem_at(&problem, RPC_CONFLICT, text, "%s", text);
		size_t len = strlen(problem.detail);
		ck_assert_uint_gt(len, RPC_PROBLEM_DETAIL_MAX - 5);
		ck_assert(rpc_utf8_valid(problem.detail, len));
		ck_assert(
		    rpc_utf8_valid(problem.items[0].pointer, strlen(problem.items[0].pointer)));
	}
}
END_TEST

START_TEST(kinds_are_explained_in_two_forms)
{
	struct rpc_writer w;
	size_t len;

	rpc_writer_init(&w);
	rpc_problem_kind_write(&w, RPC_QUEUE_FULL);
	json_t *json = json_loadb(w.data, w.len, 0, NULL);
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(json_string_value(json_object_get(json, "type")), "/problems/queue-full");
	ck_assert_int_eq(json_integer_value(json_object_get(json, "status")), 429);
	ck_assert(json_is_true(json_object_get(json, "retryable")));
	json_decref(json);
	rpc_writer_reset(&w);
	rpc_problem_kind_write_text(&w, RPC_QUEUE_FULL);
	char *text = rpc_writer_take(&w, &len);
	ck_assert_ptr_nonnull(strstr(text, "queue-full: status 429"));
	ck_assert_int_eq(text[len - 1], '\n');
	free(text);
	rpc_writer_clear(&w);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("problem");
	TCase *tcase = tcase_create("problem");

	tcase_add_loop_test(tcase, every_kind_is_complete_and_found_by_its_slug, 1, RPC_CODE_COUNT);
	tcase_add_test(tcase, what_is_no_kind_is_internal_or_nothing);
	tcase_add_test(tcase, a_document_has_what_the_standard_asks_for);
	tcase_add_test(tcase, items_say_only_what_is_known);
	tcase_add_test(tcase, no_problem_wanted_is_fine);
	tcase_add_test(tcase, items_are_bounded);
	tcase_add_test(tcase, overlong_details_are_cut_at_a_character);
	tcase_add_test(tcase, kinds_are_explained_in_two_forms);
	suite_add_tcase(suite, tcase);
	return suite;
}
