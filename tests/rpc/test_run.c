#include "rpc/run.h"

#include <stdio.h>
#include "tests/support/unit.h"

#define BYTES_MAX 1000000

static enum rpc_code
parse(const char *text, struct rpc_run *out, struct rpc_problem *problem)
{
	return rpc_run_parse(text, strlen(text), BYTES_MAX, out, problem);
}

START_TEST(an_empty_request_is_complete)
{
	struct rpc_problem problem = { 0 };
	struct rpc_run run;

	ck_assert_int_eq(parse("{}", &run, &problem), RPC_OK);
	ck_assert_uint_eq(run.arg_count + run.env_count + run.file_count + run.collect_count, 0);
	ck_assert_ptr_null(run.args[0]);
	ck_assert_ptr_null(run.env[0]);
	ck_assert(!run.has_stdin && !run.async);
	ck_assert_uint_eq(run.limits.time_ms, RPC_UNSET);
	ck_assert(!rpc_run_collects(&run, "/a"));
	rpc_run_clear(&run);
	rpc_run_clear(&run);
}
END_TEST

START_TEST(every_member_is_read)
{
	struct rpc_problem problem = { 0 };
	struct rpc_run run;

	enum rpc_code code = parse(
	    "{\"args\":[\"-r\",\"\"],\"env\":{\"TZ\":\"UTC\",\"E\":\"\"},"
	    "\"stdin\":{\"base64\":\"AP8=\"},\"files\":[{\"path\":\"/in/a.json\",\"text\":\"{}\"},"
	    "{\"path\":\"/b\",\"base64\":\"\"}],\"collect\":[\"/out/*\"],"
	    "\"limits\":{\"time_ms\":2000},\"async\":true}",
	    &run, &problem);
	ck_assert_msg(code == RPC_OK, "%s", problem.detail);
	ck_assert_uint_eq(run.arg_count, 2);
	ck_assert_str_eq(run.args[0], "-r");
	ck_assert_str_eq(run.args[1], "");
	ck_assert_ptr_null(run.args[2]);
	ck_assert_uint_eq(run.env_count, 2);
	ck_assert_str_eq(run.env[0], "TZ=UTC");
	ck_assert_str_eq(run.env[1], "E=");
	ck_assert_ptr_null(run.env[2]);
	ck_assert(run.has_stdin);
	ck_assert_uint_eq(run.stdin_bytes.len, 2);
	ck_assert_mem_eq(run.stdin_bytes.data, "\0\xff", 2);
	ck_assert_uint_eq(run.file_count, 2);
	ck_assert_str_eq(run.files[0].path, "/in/a.json");
	ck_assert_mem_eq(run.files[0].bytes.data, "{}", 2);
	ck_assert_uint_eq(run.files[1].bytes.len, 0);
	ck_assert(rpc_run_collects(&run, "/out/x"));
	ck_assert_uint_eq(run.limits.time_ms, 2000);
	ck_assert(run.async);
	rpc_run_clear(&run);
}
END_TEST

static const struct refused {
	const char *text;
	const char *pointer;
} refused[] = {
	{ "[]", "" },
	{ "{\"arg\":[]}", "/arg" },
	{ "{\"args\":\"x\"}", "/args" },
	{ "{\"args\":[\"a\",1]}", "/args/1" },
	{ "{\"env\":[]}", "/env" },
	{ "{\"env\":{\"A\":1}}", "/env/A" },
	{ "{\"env\":{\"\":\"x\"}}", "/env/" },
	{ "{\"env\":{\"A=B\":\"x\"}}", "/env/A=B" },
	{ "{\"stdin\":\"x\"}", "/stdin" },
	{ "{\"stdin\":{}}", "/stdin" },
	{ "{\"stdin\":{\"text\":\"x\",\"base64\":\"\"}}", "/stdin" },
	{ "{\"stdin\":{\"base64\":\"A\"}}", "/stdin/base64" },
	{ "{\"stdin\":{\"base64\":\"AA=A\"}}", "/stdin/base64" },
	{ "{\"stdin\":{\"txt\":\"x\"}}", "/stdin/txt" },
	{ "{\"files\":{}}", "/files" },
	{ "{\"files\":[1]}", "/files/0" },
	{ "{\"files\":[{\"text\":\"x\"}]}", "/files/0/path" },
	{ "{\"files\":[{\"path\":\"/a\"}]}", "/files/0" },
	{ "{\"files\":[{\"path\":\"a\",\"text\":\"\"}]}", "/files/0/path" },
	{ "{\"files\":[{\"path\":\"/\",\"text\":\"\"}]}", "/files/0/path" },
	{ "{\"files\":[{\"path\":\"/a/../b\",\"text\":\"\"}]}", "/files/0/path" },
	{ "{\"files\":[{\"path\":\"/a\",\"text\":\"\"},{\"path\":\"/a\",\"text\":\"\"}]}",
	  "/files/1/path" },
	{ "{\"files\":[{\"path\":\"/a\",\"text\":\"\",\"mode\":7}]}", "/files/0/mode" },
	{ "{\"collect\":[\"out\"]}", "/collect/0" },
	{ "{\"collect\":[\"\"]}", "/collect/0" },
	{ "{\"collect\":[\"/a\",7]}", "/collect/1" },
	{ "{\"limits\":{\"x\":1}}", "/limits/x" },
	{ "{\"async\":0}", "/async" },
};

START_TEST(other_requests_are_refused)
{
	const struct refused *r = &refused[_i];
	struct rpc_problem problem = { 0 };
	struct rpc_run run;

	enum rpc_code code = parse(r->text, &run, &problem);

	ck_assert_msg(code == RPC_BAD_REQUEST, "%s: got %d", r->text, code);
	ck_assert_msg(strcmp(problem.items[0].pointer, r->pointer) == 0, "%s: got %s, %s", r->text,
	              problem.items[0].pointer, problem.detail);
	rpc_run_clear(&run);
}
END_TEST

START_TEST(counts_have_limits)
{
	static char text[8 * RPC_RUN_ARGS_MAX];
	struct rpc_problem problem;
	struct rpc_run run;
	char *p = stpcpy(text, "{\"args\":[\"\"");

	for (int i = 1; i < RPC_RUN_ARGS_MAX; i++)
		p = stpcpy(p, ",\"\"");
	strcpy(p, "]}");
	ck_assert_int_eq(parse(text, &run, &problem), RPC_OK);
	ck_assert_uint_eq(run.arg_count, RPC_RUN_ARGS_MAX);
	rpc_run_clear(&run);
	strcpy(p, ",\"\"]}");
	ck_assert_int_eq(parse(text, &run, &problem), RPC_BAD_REQUEST);
}
END_TEST

START_TEST(a_raw_request_comes_from_the_query)
{
	struct rpc_problem problem;
	struct rpc_query query;
	struct rpc_run run;

	ck_assert_int_eq(
	    rpc_query_parse(RPC_ROUTE_MODULE_RUN,
	                    rpc_str_make("arg=-r&env=TZ=UTC&arg=.name&time_ms=5&fuel=7"), &query,
	                    &problem),
	    RPC_OK);
	ck_assert_int_eq(rpc_run_from_query(&query, &run, &problem), RPC_OK);
	ck_assert_uint_eq(run.arg_count, 2);
	ck_assert_str_eq(run.args[1], ".name");
	ck_assert_ptr_null(run.args[2]);
	ck_assert_str_eq(run.env[0], "TZ=UTC");
	ck_assert_uint_eq(run.limits.time_ms, 5);
	ck_assert_uint_eq(run.limits.fuel, 7);
	ck_assert_uint_eq(run.limits.memory_pages, RPC_UNSET);
	ck_assert_uint_eq(run.file_count + run.collect_count, 0);
	rpc_run_clear(&run);
	rpc_query_clear(&query);

	ck_assert_int_eq(
	    rpc_query_parse(RPC_ROUTE_MODULE_RUN, rpc_str_make("env=TZ"), &query, &problem),
	    RPC_OK);
	ck_assert_int_eq(rpc_run_from_query(&query, &run, &problem), RPC_BAD_QUERY);
	ck_assert_str_eq(problem.items[0].parameter, "env");
	rpc_run_clear(&run);
	rpc_query_clear(&query);
}
END_TEST

START_TEST(every_limit_can_be_in_the_query)
{
	static const struct {
		const char *name;
		uint64_t min, max;
	} limits[] = {
#define LIMIT(name, min, max, meaning) { #name, min, max },
#include "rpc/limits.def"
#undef LIMIT
	};
	size_t count;
	const struct rpc_query_param *params = rpc_query_params(&count);
	size_t found = 0;

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		for (size_t k = 0; k < count; k++)
			found += params[k].route == RPC_ROUTE_MODULE_RUN &&
			         params[k].min == limits[i].min && params[k].max == limits[i].max &&
			         strcmp(params[k].name, limits[i].name) == 0;
	ck_assert_uint_eq(found, sizeof limits / sizeof limits[0]);
}
END_TEST

static const struct path_case {
	const char *path;
	bool ok;
} path_cases[] = {
	{ "/a", true },     { "/a/b.c", true },    { "/...", true },    { "/.a", true },
	{ "/a..", true },   { "/\xc3\xa9", true }, { "", false },       { "/", false },
	{ "a", false },     { "/a/", false },      { "//a", false },    { "/a//b", false },
	{ "/.", false },    { "/..", false },      { "/a/./b", false }, { "/a/..", false },
	{ "/../a", false },
};

START_TEST(paths_of_files_are_plain)
{
	const struct path_case *c = &path_cases[_i];
	char longest[RPC_RUN_PATH_MAX + 1];

	ck_assert_msg(rpc_run_path_ok(c->path, strlen(c->path)) == c->ok, "%s", c->path);
	memset(longest, 'a', sizeof longest);
	longest[0] = '/';
	ck_assert(rpc_run_path_ok(longest, RPC_RUN_PATH_MAX));
	ck_assert(!rpc_run_path_ok(longest, RPC_RUN_PATH_MAX + 1));
	longest[5] = '\0';
	ck_assert(!rpc_run_path_ok(longest, 10));
}
END_TEST

static const struct pattern_case {
	const char *pattern;
	const char *path;
	bool want;
} pattern_cases[] = {
	{ "/a", "/a", true },
	{ "/a", "/ab", false },
	{ "/ab", "/a", false },
	{ "/out/*", "/out/x", true },
	{ "/out/*", "/out/", true },
	{ "/out/*", "/out/x/y", false },
	{ "/out/**", "/out/x/y", true },
	{ "/**", "/a/b/c", true },
	{ "/**/c", "/a/b/c", true },
	{ "/**/c", "/a/b/d", false },
	{ "/*/c", "/b/c", true },
	{ "/*/c", "/a/b/c", false },
	{ "/*.txt", "/a.txt.txt", true },
	{ "/*.txt", "/a.txt.tx", false },
	{ "/**b*d", "/aabbccdd", true },
	{ "/**x/*y", "/ax/bx/cy", true },
	{ "/**x/*y", "/ax/bx/c/y", false },
	{ "/*a*b*c", "/xaxbxc", true },
	{ "/*a*b*c", "/xaxbxd", false },
	{ "/?", "/a", true },
	{ "/?", "/", false },
	{ "/?", "/ab", false },
	{ "/a?b", "/a/b", false },
	{ "/?", "/\xc3\xa9", true },
	{ "/?", "/\xf0\x9f\x98\x80", true },
	{ "/[a]", "/a", false },
	{ "/[a]", "/[a]", true },
	{ "/***", "/a/b", true },
};

START_TEST(patterns_choose_files)
{
	const struct pattern_case *c = &pattern_cases[_i];
	const char *patterns[] = { "/never", c->pattern };
	struct rpc_run run = { .collect = patterns, .collect_count = 2 };

	ck_assert_msg(rpc_run_collects(&run, c->path) == c->want, "%s %s", c->pattern, c->path);
}
END_TEST

START_TEST(hostile_patterns_end_soon)
{
	char pattern[RPC_RUN_PATTERN_MAX + 1];
	char path[RPC_RUN_PATH_MAX + 1];
	const char *patterns[] = { pattern };
	struct rpc_run run = { .collect = patterns, .collect_count = 1 };

	for (int kind = 0; kind < 3; kind++) {
		for (size_t i = 0; i < RPC_RUN_PATTERN_MAX; i++)
			pattern[i] = "*a**a*aa"[(i % (kind == 0 ? 2 : kind == 1 ? 4 : 8))];
		pattern[0] = '/';
		pattern[RPC_RUN_PATTERN_MAX] = '\0';
		pattern[RPC_RUN_PATTERN_MAX - 1] = 'b';
		memset(path, 'a', RPC_RUN_PATH_MAX);
		path[0] = '/';
		path[RPC_RUN_PATH_MAX] = '\0';
		ck_assert(!rpc_run_collects(&run, path));
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("run");
	TCase *tcase = tcase_create("run");

	tcase_add_test(tcase, an_empty_request_is_complete);
	tcase_add_test(tcase, every_member_is_read);
	tcase_add_loop_test(tcase, other_requests_are_refused, 0,
	                    sizeof refused / sizeof refused[0]);
	tcase_add_test(tcase, counts_have_limits);
	tcase_add_test(tcase, a_raw_request_comes_from_the_query);
	tcase_add_test(tcase, every_limit_can_be_in_the_query);
	tcase_add_loop_test(tcase, paths_of_files_are_plain, 0,
	                    sizeof path_cases / sizeof path_cases[0]);
	tcase_add_loop_test(tcase, patterns_choose_files, 0,
	                    sizeof pattern_cases / sizeof pattern_cases[0]);
	tcase_add_test(tcase, hostile_patterns_end_soon);
	suite_add_tcase(suite, tcase);
	return suite;
}
