#include "rpc/query.h"
#include "tests/support/unit.h"

static enum rpc_code
parse(enum rpc_route_id route, const char *text, struct rpc_query *out, struct rpc_problem *problem)
{
	return rpc_query_parse(route, rpc_str_make(text), out, problem);
}

START_TEST(parameters_are_read)
{
	struct rpc_problem problem;
	struct rpc_query query;

	ck_assert_int_eq(parse(RPC_ROUTE_MODULE_LIST,
	                       "limit=1000&tag=demo%2Fa+b&pretty&&export=", &query, &problem),
	                 RPC_BAD_QUERY); /* export is empty */
	ck_assert_int_eq(
	    parse(RPC_ROUTE_MODULE_LIST, "limit=1000&tag=demo%2Fa+b&pretty&", &query, &problem),
	    RPC_OK);
	ck_assert_uint_eq(query.count, 3);
	ck_assert_uint_eq(rpc_query_uint(&query, "limit", 5), 1000);
	ck_assert_str_eq(rpc_query_text(&query, "tag", NULL), "demo/a b");
	ck_assert(rpc_query_bool(&query, "pretty", false));
	ck_assert_ptr_null(rpc_query_find(&query, "cursor"));
	ck_assert_str_eq(rpc_query_text(&query, "cursor", "none"), "none");
	ck_assert_uint_eq(rpc_query_uint(&query, "cursor", 5), 5);
	rpc_query_clear(&query);
	rpc_query_clear(&query);
}
END_TEST

START_TEST(each_type_gives_its_value)
{
	struct rpc_problem problem;
	struct rpc_query query;

	ck_assert_int_eq(parse(RPC_ROUTE_MODULE_UPLOAD, "compile=best&tag=a/b:c", &query, &problem),
	                 RPC_OK);
	ck_assert_uint_eq(rpc_query_find(&query, "compile")->number, 2);
	ck_assert_str_eq(rpc_query_text(&query, "tag", NULL), "a/b:c");
	rpc_query_clear(&query);
	ck_assert_int_eq(parse(RPC_ROUTE_MODULE_DELETE, "force=false", &query, &problem), RPC_OK);
	ck_assert(!rpc_query_bool(&query, "force", true));
	rpc_query_clear(&query);
	ck_assert_int_eq(
	    parse(RPC_ROUTE_MODULE_RUN, "arg=a&env=A=B&arg=&arg=c%26d", &query, &problem), RPC_OK);
	ck_assert_uint_eq(query.count, 4);
	ck_assert_str_eq(query.entries[1].text.data, "A=B");
	ck_assert_str_eq(query.entries[2].text.data, "");
	ck_assert_str_eq(query.entries[3].text.data, "c&d");
	rpc_query_clear(&query);
	ck_assert_int_eq(parse(RPC_ROUTE_LIVEZ, "", &query, &problem), RPC_OK);
	ck_assert_uint_eq(query.count, 0);
	rpc_query_clear(&query);
}
END_TEST

static const struct refused {
	enum rpc_route_id route;
	const char *text;
	const char *parameter;
	const char *detail; /* a part of it */
} refused[] = {
	{ RPC_ROUTE_MODULE_LIST, "limit=0", "limit", "from 1 to 1000, found \"0\"" },
	{ RPC_ROUTE_MODULE_LIST, "limit=1001", "limit", "from 1 to 1000" },
	{ RPC_ROUTE_MODULE_LIST, "limit=-1", "limit", "from 1 to 1000" },
	{ RPC_ROUTE_MODULE_LIST, "limit=0x10", "limit", "from 1 to 1000" },
	{ RPC_ROUTE_MODULE_LIST, "limit=+5", "limit", "from 1 to 1000" },
	{ RPC_ROUTE_MODULE_LIST, "limit", "limit", "from 1 to 1000" },
	{ RPC_ROUTE_MODULE_LIST, "limit=99999999999999999999", "limit", "from 1 to 1000" },
	{ RPC_ROUTE_MODULE_LIST, "limit=5&limit=5", "limit", "given twice" },
	{ RPC_ROUTE_MODULE_LIST, "limti=5", "limti", "no such query parameter" },
	{ RPC_ROUTE_MODULE_LIST, "=5", "", "no such query parameter" },
	{ RPC_ROUTE_LIVEZ, "verbose", "verbose", "no such query parameter" },
	{ RPC_ROUTE_READYZ, "verbose=1", "verbose", "true or false" },
	{ RPC_ROUTE_READYZ, "pretty=maybe", "pretty", "true or false" },
	{ RPC_ROUTE_READYZ, "pretty&pretty", "pretty", "given twice" },
	{ RPC_ROUTE_MODULE_UPLOAD, "compile=slow", "compile", "none|fast|best" },
	{ RPC_ROUTE_MODULE_UPLOAD, "compile=", "compile", "none|fast|best" },
	{ RPC_ROUTE_MODULE_UPLOAD, "compile=none|fast", "compile", "none|fast|best" },
	{ RPC_ROUTE_MODULE_UPLOAD, "tag=App", "tag", "found no '/'" },
	{ RPC_ROUTE_MODULE_UPLOAD, "tag=a/b:-", "tag", "begin and end" },
	{ RPC_ROUTE_MODULE_LIST, "tag=%ff", "tag", "not UTF-8" },
	{ RPC_ROUTE_MODULE_LIST, "tag=a%00b", "tag", "NUL" },
	{ RPC_ROUTE_MODULE_LIST, "tag=%4", "", "'%'" },
	{ RPC_ROUTE_MODULE_LIST, "t%zzag=1", "", "'%'" },
	{ RPC_ROUTE_MODULE_RUN, "env=", "env", "2 to 65536 bytes" },
};

START_TEST(other_parameters_are_refused_by_name)
{
	const struct refused *r = &refused[_i];
	struct rpc_problem problem;
	struct rpc_query query;

	enum rpc_code code = parse(r->route, r->text, &query, &problem);

	ck_assert_msg(code == RPC_BAD_QUERY, "%s: got %d", r->text, code);
	ck_assert_msg(strstr(problem.detail, r->detail) != NULL, "%s: got %s", r->text,
	              problem.detail);
	if (problem.item_count > 0)
		ck_assert_str_eq(problem.items[0].parameter, r->parameter);
	rpc_query_clear(&query);
	ck_assert_int_eq(parse(r->route, r->text, &query, NULL), RPC_BAD_QUERY);
}
END_TEST

START_TEST(queries_have_a_limit)
{
	char text[2 * RPC_QUERY_ENTRIES_MAX + 1];
	struct rpc_problem problem;
	struct rpc_query query;

	memset(text, '&', sizeof text);
	ck_assert_int_eq(rpc_query_parse(RPC_ROUTE_LIVEZ,
	                                 (struct rpc_str){ text, RPC_QUERY_ENTRIES_MAX - 1 },
	                                 &query, &problem),
	                 RPC_OK);
	rpc_query_clear(&query);
	ck_assert_int_eq(rpc_query_parse(RPC_ROUTE_LIVEZ,
	                                 (struct rpc_str){ text, RPC_QUERY_ENTRIES_MAX }, &query,
	                                 &problem),
	                 RPC_BAD_QUERY);
}
END_TEST

START_TEST(the_table_makes_sense)
{
	size_t count;
	const struct rpc_query_param *params = rpc_query_params(&count);

	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_lt(params[i].route, RPC_ROUTE_COUNT);
		ck_assert_uint_gt(strlen(params[i].meaning), 5);
		ck_assert_int_eq(params[i].type == RPC_QUERY_CHOICE, params[i].words[0] != '\0');
		ck_assert_uint_le(params[i].min, params[i].max);
		ck_assert_str_ne(params[i].name, "pretty");
		for (size_t k = 0; k < i; k++)
			ck_assert(params[k].route != params[i].route ||
			          strcmp(params[k].name, params[i].name) != 0);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("query");
	TCase *tcase = tcase_create("query");

	tcase_add_test(tcase, parameters_are_read);
	tcase_add_test(tcase, each_type_gives_its_value);
	tcase_add_loop_test(tcase, other_parameters_are_refused_by_name, 0,
	                    sizeof refused / sizeof refused[0]);
	tcase_add_test(tcase, queries_have_a_limit);
	tcase_add_test(tcase, the_table_makes_sense);
	suite_add_tcase(suite, tcase);
	return suite;
}
