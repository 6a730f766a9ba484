#include "rpc/invoke.h"

#include <stdio.h>
#include "rpc/tag.h"
#include "tests/support/unit.h"

#define BYTES_MAX 100000

static enum rpc_code
parse(const char *text, struct rpc_invoke *out, struct rpc_problem *problem)
{
	return rpc_invoke_parse(text, strlen(text), BYTES_MAX, out, problem);
}

START_TEST(a_short_request_is_read)
{
	static const enum rpc_type types[] = { RPC_I32, RPC_I32 };
	struct rpc_problem problem = { 0 };
	struct rpc_value values[2];
	struct rpc_invoke invoke;

	ck_assert_int_eq(parse("{\"function\":\"add\",\"args\":[2,40]}", &invoke, &problem),
	                 RPC_OK);
	ck_assert_str_eq(invoke.function.data, "add");
	ck_assert_uint_eq(invoke.function.len, 3);
	ck_assert(!invoke.exact && !invoke.async);
	ck_assert_int_eq(invoke.lanes, RPC_I32X4);
	ck_assert_uint_eq(invoke.limits.time_ms, RPC_UNSET);
	ck_assert_uint_eq(invoke.limits.files_bytes, RPC_UNSET);
	ck_assert_int_eq(rpc_invoke_args(&invoke, types, 2, values, &problem), RPC_OK);
	ck_assert_uint_eq(values[1].of.bits, 40);
	ck_assert_int_eq(rpc_invoke_args(&invoke, types, 1, values, &problem), RPC_ARGUMENT_COUNT);
	ck_assert_str_eq(problem.items[0].pointer, "/args");
	rpc_invoke_clear(&invoke);
	rpc_invoke_clear(&invoke);
}
END_TEST

START_TEST(every_member_is_read)
{
	struct rpc_problem problem = { 0 };
	struct rpc_invoke invoke;

	ck_assert_int_eq(
	    parse("{\"function\":\"\",\"exact\":true,\"async\":true,\"lanes\":\"f64x2\","
	          "\"limits\":{\"time_ms\":200,\"fuel\":1000000,\"memory_pages\":16,"
	          "\"stdout_bytes\":0,\"stderr_bytes\":1,\"files_bytes\":4294967296}}",
	          &invoke, &problem),
	    RPC_OK);
	ck_assert_uint_eq(invoke.function.len, 0);
	ck_assert(invoke.exact && invoke.async);
	ck_assert_int_eq(invoke.lanes, RPC_F64X2);
	ck_assert_ptr_null(invoke.args);
	ck_assert_uint_eq(invoke.limits.time_ms, 200);
	ck_assert_uint_eq(invoke.limits.fuel, 1000000);
	ck_assert_uint_eq(invoke.limits.memory_pages, 16);
	ck_assert_uint_eq(invoke.limits.stdout_bytes, 0);
	ck_assert_uint_eq(invoke.limits.stderr_bytes, 1);
	ck_assert_uint_eq(invoke.limits.files_bytes, UINT64_C(4294967296));
	ck_assert_int_eq(rpc_invoke_args(&invoke, NULL, 0, NULL, &problem), RPC_OK);
	rpc_invoke_clear(&invoke);
}
END_TEST

static const struct refused {
	const char *text;
	enum rpc_code code;
	const char *pointer;
} refused[] = {
	{ "", RPC_BAD_JSON, "" },
	{ "{\"function\":\"a\"", RPC_BAD_JSON, "/function" },
	{ "[]", RPC_BAD_REQUEST, "" },
	{ "{}", RPC_BAD_REQUEST, "/function" },
	{ "{\"function\":1}", RPC_BAD_REQUEST, "/function" },
	{ "{\"function\":\"a\",\"arg\":[]}", RPC_BAD_REQUEST, "/arg" },
	{ "{\"function\":\"a\",\"args\":{}}", RPC_BAD_REQUEST, "/args" },
	{ "{\"function\":\"a\",\"args\":null}", RPC_BAD_REQUEST, "/args" },
	{ "{\"function\":\"a\",\"exact\":1}", RPC_BAD_REQUEST, "/exact" },
	{ "{\"function\":\"a\",\"async\":\"yes\"}", RPC_BAD_REQUEST, "/async" },
	{ "{\"function\":\"a\",\"lanes\":\"i4x32\"}", RPC_BAD_REQUEST, "/lanes" },
	{ "{\"function\":\"a\",\"limits\":[]}", RPC_BAD_REQUEST, "/limits" },
	{ "{\"function\":\"a\",\"limits\":null}", RPC_BAD_REQUEST, "/limits" },
	{ "{\"function\":\"a\",\"limits\":{\"time\":1}}", RPC_BAD_REQUEST, "/limits/time" },
	{ "{\"function\":\"a\",\"limits\":{\"time_ms\":0}}", RPC_BAD_REQUEST, "/limits/time_ms" },
	{ "{\"function\":\"a\",\"limits\":{\"time_ms\":86400001}}", RPC_BAD_REQUEST,
	  "/limits/time_ms" },
	{ "{\"function\":\"a\",\"limits\":{\"fuel\":\"1\"}}", RPC_BAD_REQUEST, "/limits/fuel" },
	{ "{\"function\":\"a\",\"limits\":{\"memory_pages\":65537}}", RPC_BAD_REQUEST,
	  "/limits/memory_pages" },
};

START_TEST(other_requests_are_refused)
{
	const struct refused *r = &refused[_i];
	struct rpc_problem problem = { 0 };
	struct rpc_invoke invoke;

	enum rpc_code code = parse(r->text, &invoke, &problem);

	ck_assert_msg(code == r->code, "%s: got %d, %s", r->text, code, problem.detail);
	ck_assert_msg(strcmp(problem.items[0].pointer, r->pointer) == 0, "%s: got %s", r->text,
	              problem.items[0].pointer);
	rpc_invoke_clear(&invoke);
}
END_TEST

START_TEST(names_of_functions_have_a_limit)
{
	static char text[RPC_FUNCTION_NAME_MAX + 100];
	struct rpc_problem problem;
	struct rpc_invoke invoke;

	sprintf(text, "{\"function\":\"%0*d\"}", RPC_FUNCTION_NAME_MAX, 0);
	ck_assert_int_eq(parse(text, &invoke, &problem), RPC_OK);
	rpc_invoke_clear(&invoke);
	sprintf(text, "{\"function\":\"%0*d\"}", RPC_FUNCTION_NAME_MAX + 1, 0);
	ck_assert_int_eq(parse(text, &invoke, &problem), RPC_BAD_REQUEST);
	ck_assert_int_eq(rpc_invoke_parse(text, strlen(text), 10, &invoke, &problem),
	                 RPC_BODY_TOO_LARGE);
}
END_TEST

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct tag_case {
	const char *text;
	enum rpc_code code;
	const char *pointer;
} tag_cases[] = {
	{ "{\"digest\":\"sha256:" HEX "\"}", RPC_OK, NULL },
	{ "{}", RPC_BAD_REQUEST, "/digest" },
	{ "{\"digest\":\"demo/app:1\"}", RPC_BAD_REF, "/digest" },
	{ "{\"digest\":\"sha256:0\"}", RPC_BAD_REF, "/digest" },
	{ "{\"digest\":null}", RPC_BAD_REQUEST, "/digest" },
	{ "{\"digest\":\"sha256:" HEX "\",\"weights\":1}", RPC_BAD_REQUEST, "/weights" },
	{ "{", RPC_BAD_JSON, "" },
};

START_TEST(a_tag_request_is_read_or_refused)
{
	const struct tag_case *c = &tag_cases[_i];
	uint8_t digest[RPC_DIGEST_BYTES] = { 0 };
	struct rpc_problem problem = { 0 };

	enum rpc_code code = rpc_tag_parse(c->text, strlen(c->text), digest, &problem);

	ck_assert_msg(code == c->code, "%s: got %d, %s", c->text, code, problem.detail);
	ck_assert_uint_eq(digest[31], code == RPC_OK ? 0xff : 0);
	if (c->pointer != NULL)
		ck_assert_str_eq(problem.items[0].pointer, c->pointer);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("invoke");
	TCase *tcase = tcase_create("invoke");

	tcase_add_test(tcase, a_short_request_is_read);
	tcase_add_test(tcase, every_member_is_read);
	tcase_add_loop_test(tcase, other_requests_are_refused, 0,
	                    sizeof refused / sizeof refused[0]);
	tcase_add_test(tcase, names_of_functions_have_a_limit);
	tcase_add_loop_test(tcase, a_tag_request_is_read_or_refused, 0,
	                    sizeof tag_cases / sizeof tag_cases[0]);
	suite_add_tcase(suite, tcase);
	return suite;
}
