#include "rpc/json.h"

#include <stdio.h>
#include "tests/support/unit.h"

#define BYTES_MAX 100000

/* --- parsing ------------------------------------------------------------------------------- */

static const struct refused {
	const char *name;
	const char *text;
	size_t len; /* 0: up to NUL */
	const char *pointer;
	uint32_t line, column; /* 0: not checked */
	const char *detail;    /* a part of it */
} refused[] = {
	{ "nothing", "", 0, "", 1, 1, "" },
	{ "white space", " \n ", 0, "", 2, 0, "" },
	{ "not JSON", "hello", 0, "", 1, 0, "invalid token" },
	{ "two values", "{} {}", 0, "", 1, 0, "end of file" },
	{ "a comma too many", "{\"a\":[1,2,]}", 0, "/a", 1, 0, "" },
	{ "a colon missing", "{\"a\":{\"b\" 1}}", 0, "/a/b", 1, 0, "':' expected" },
	{ "ends early", "{\"a\":[{\"b\":1},{\"c\":", 0, "/a/1/c", 1, 0, "end of file" },
	{ "a name twice", "{\"x\":0,\n \"a/b\":1, \"a/b\":2}", 0, "/a~1b", 2, 0, "duplicate" },
	{ "a name twice, spelt in two ways", "{\"ab\":1,\"a\\u0062\":2}", 0, "/ab", 1, 0,
	  "duplicate" },
	{ "an integer too large", "[0,18446744073709551616]", 0, "/1", 1, 24, "as a string" },
	{ "a real too large", "{\"x\":1e400}", 0, "/x", 1, 11, "as a string" },
	{ "infinity", "[Infinity]", 0, "/0", 1, 0, "invalid token" },
	{ "a lone surrogate", "[\"\\ud800\"]", 0, "/0", 1, 0, "" },
	{ "a surrogate in bytes", "[\"\xed\xa0\x80\"]", 0, "/0", 1, 3, "byte 0xed" },
	{ "not UTF-8", "{\"k\":\"a\xff\"}", 0, "/k", 1, 8, "byte 0xff" },
	{ "NUL in the text", "{\"a\":1}\0", 8, "", 1, 0, "" },
	{ "NUL inside", "[1,\0 2]", 7, "/1", 1, 0, "" },
	{ "NUL escaped", "[\"\\u0000\"]", 0, "/0", 1, 0, "\\u0000" },
	{ "a control character", "[\"a\x01\"]", 0, "/0", 1, 0, "control character" },
	{ "octal", "[01]", 0, "/0", 1, 0, "" },
	{ "a comment", "{} // x", 0, "", 1, 0, "" },
	{ "single quotes", "{'a':1}", 0, "", 1, 0, "" },
};

START_TEST(bad_json_is_refused_with_its_place)
{
	const struct refused *r = &refused[_i];
	struct rpc_problem problem;
	json_t *json = NULL;

	enum rpc_code code = rpc_json_parse(r->text, r->len > 0 ? r->len : strlen(r->text),
	                                    BYTES_MAX, &json, &problem);

	ck_assert_msg(code == RPC_BAD_JSON, "%s: got %d", r->name, code);
	ck_assert_ptr_null(json);
	const struct rpc_problem_item *item = &problem.items[0];
	ck_assert_msg(strcmp(item->pointer, r->pointer) == 0, "%s: got pointer %s, want %s",
	              r->name, item->pointer, r->pointer);
	ck_assert_msg(item->line == r->line, "%s: got line %u", r->name, item->line);
	ck_assert_msg(r->column == 0 || item->column == r->column, "%s: got column %u", r->name,
	              item->column);
	ck_assert_msg(strstr(problem.detail, r->detail) != NULL, "%s: got %s", r->name,
	              problem.detail);
	ck_assert_int_eq(
	    rpc_json_parse(r->text, r->len > 0 ? r->len : strlen(r->text), BYTES_MAX, &json, NULL),
	    RPC_BAD_JSON);
}
END_TEST

/* "[[[...]]]" or, with keys, {"k":{"k":...}} */
static size_t
nest(char *text, size_t depth, bool objects)
{
	char *p = text;

	for (size_t i = 0; i < depth; i++)
		p += sprintf(p, "%s", objects ? "{\"k\":" : "[");
	*p++ = '1';
	for (size_t i = 0; i < depth; i++)
		*p++ = objects ? '}' : ']';
	return (size_t)(p - text);
}

START_TEST(nesting_has_a_limit)
{
	static char text[20000];
	struct rpc_problem problem;
	json_t *json;

	for (int objects = 0; objects < 2; objects++) {
		size_t len = nest(text, RPC_JSON_DEPTH_MAX, objects);
		ck_assert_int_eq(rpc_json_parse(text, len, BYTES_MAX, &json, &problem), RPC_OK);
		json_decref(json);
		len = nest(text, RPC_JSON_DEPTH_MAX + 1, objects);
		ck_assert_int_eq(rpc_json_parse(text, len, BYTES_MAX, &json, &problem),
		                 RPC_BAD_JSON);
		ck_assert_ptr_nonnull(strstr(problem.detail, "more than 64 deep"));
		len = nest(text, 2049, objects);
		ck_assert_int_eq(rpc_json_parse(text, len, BYTES_MAX, &json, &problem),
		                 RPC_BAD_JSON);
	}
	/* Brackets inside strings do not count. */
	size_t len = (size_t)sprintf(text, "[\"%0200d\\\"[[[{{{\"]", 0);
	ck_assert_int_eq(rpc_json_parse(text, len, BYTES_MAX, &json, &problem), RPC_OK);
	json_decref(json);
}
END_TEST

START_TEST(size_has_a_limit)
{
	struct rpc_problem problem;
	json_t *json = NULL;

	ck_assert_int_eq(rpc_json_parse("[1]", 3, 3, &json, &problem), RPC_OK);
	json_decref(json);
	ck_assert_int_eq(rpc_json_parse("[11]", 4, 3, &json, &problem), RPC_BODY_TOO_LARGE);
	ck_assert_str_eq(problem.detail, "the JSON has 4 bytes, the limit is 3");
}
END_TEST

START_TEST(long_pointers_are_cut)
{
	char text[2000];
	struct rpc_problem problem;
	json_t *json = NULL;
	int len = sprintf(text, "{\"%0300d\":{\"%0300d\":[1,2,x]}}", 1, 2);

	ck_assert_int_eq(rpc_json_parse(text, (size_t)len, BYTES_MAX, &json, &problem),
	                 RPC_BAD_JSON);
	const char *pointer = problem.items[0].pointer;
	ck_assert_uint_lt(strlen(pointer), RPC_PROBLEM_POINTER_MAX);
	ck_assert_str_eq(pointer + strlen(pointer) - 3, "...");
}
END_TEST

/* --- pointers ------------------------------------------------------------------------------ */

START_TEST(steps_become_a_pointer)
{
	struct rpc_at body = { 0 };
	struct rpc_at args = { &body, "args", 0 };
	struct rpc_at third = { &args, NULL, 3 };
	struct rpc_at odd = { &third, "a/b~c", 0 };
	char buf[64];

	rpc_at_pointer(NULL, buf, sizeof buf);
	ck_assert_str_eq(buf, "");
	rpc_at_pointer(&body, buf, sizeof buf);
	ck_assert_str_eq(buf, "");
	rpc_at_pointer(&odd, buf, sizeof buf);
	ck_assert_str_eq(buf, "/args/3/a~1b~0c");
	rpc_at_pointer(&odd, buf, 10);
	ck_assert_str_eq(buf, "/args/...");
}
END_TEST

/* --- objects ------------------------------------------------------------------------------- */

static const char *const colours[] = { "red", "green", NULL };

struct sample {
	struct rpc_str text;
	uint64_t number;
	bool flag;
	unsigned colour;
	json_t *list;
	json_t *map;
};

static enum rpc_code
read_sample(const char *text, struct sample *out, struct rpc_problem *problem)
{
	struct rpc_object obj;
	json_t *json;

	enum rpc_code code = rpc_json_parse(text, strlen(text), BYTES_MAX, &json, problem);
	if (code != RPC_OK)
		return code;
	*out = (struct sample){ .number = 7, .colour = 9 };
	rpc_object_open(&obj, json, NULL, problem);
	rpc_object_text(&obj, "text", RPC_REQUIRED, 1, 5, &out->text);
	rpc_object_uint(&obj, "number", RPC_OPTIONAL, 1, 10, &out->number);
	rpc_object_bool(&obj, "flag", RPC_OPTIONAL, &out->flag);
	rpc_object_choice(&obj, "colour", RPC_OPTIONAL, colours, &out->colour);
	rpc_object_array(&obj, "list", RPC_OPTIONAL, 2, &out->list);
	rpc_object_object(&obj, "map", RPC_OPTIONAL, 1, &out->map);
	code = rpc_object_close(&obj);
	json_decref(json);
	return code;
}

START_TEST(members_are_read)
{
	struct rpc_problem problem;
	struct sample sample;

	ck_assert_int_eq(
	    read_sample("{\"text\":\"abc\",\"number\":10,\"flag\":true,\"colour\":\"green\","
	                "\"list\":[1,2],\"map\":{\"a\":1}}",
	                &sample, &problem),
	    RPC_OK);
	ck_assert_uint_eq(sample.text.len, 3);
	ck_assert_uint_eq(sample.number, 10);
	ck_assert(sample.flag);
	ck_assert_uint_eq(sample.colour, 1);
	ck_assert_ptr_nonnull(sample.list);
	ck_assert_ptr_nonnull(sample.map);
	ck_assert_int_eq(read_sample("{\"text\":\"abc\"}", &sample, &problem), RPC_OK);
	ck_assert_uint_eq(sample.number, 7);
	ck_assert_uint_eq(sample.colour, 9);
}
END_TEST

static const struct misfit {
	const char *text;
	const char *pointer;
	const char *detail; /* a part of it */
} misfits[] = {
	{ "[]", "", "expected an object, found an array" },
	{ "null", "", "expected an object, found null" },
	{ "{}", "/text", "required member is missing" },
	{ "{\"text\":1}", "/text", "expected a string, found an integer" },
	{ "{\"text\":null}", "/text", "expected a string, found null" },
	{ "{\"text\":\"\"}", "/text", "1 to 5 bytes, found 0" },
	{ "{\"text\":\"abcdef\"}", "/text", "1 to 5 bytes, found 6" },
	{ "{\"text\":\"a\",\"number\":\"1\"}", "/number", "expected an integer, found a string" },
	{ "{\"text\":\"a\",\"number\":1.0}", "/number", "found a number with a fraction" },
	{ "{\"text\":\"a\",\"number\":0}", "/number", "from 1 to 10, found 0" },
	{ "{\"text\":\"a\",\"number\":-1}", "/number", "from 1 to 10, found -1" },
	{ "{\"text\":\"a\",\"number\":11}", "/number", "from 1 to 10, found 11" },
	{ "{\"text\":\"a\",\"flag\":\"true\"}", "/flag", "expected true or false" },
	{ "{\"text\":\"a\",\"colour\":\"blue\"}", "/colour", "one of red, green; found blue" },
	{ "{\"text\":\"a\",\"colour\":3}", "/colour", "one of red, green; found an integer" },
	{ "{\"text\":\"a\",\"list\":{}}", "/list", "expected an array, found an object" },
	{ "{\"text\":\"a\",\"list\":[1,2,3]}", "/list", "has 3 elements, the limit is 2" },
	{ "{\"text\":\"a\",\"map\":[]}", "/map", "expected an object, found an array" },
	{ "{\"text\":\"a\",\"map\":{\"a\":1,\"b\":2}}", "/map", "has 2 members, the limit is 1" },
	{ "{\"text\":\"a\",\"nubmer\":1}", "/nubmer",
	  "unknown member; known here: text, number, flag" },
	{ "{\"text\":\"a\",\"~/\":1}", "/~0~1", "unknown member" },
	{ "{\"text\":\"\",\"number\":0}", "/text", "1 to 5 bytes" }, /* the first error wins */
};

START_TEST(what_does_not_fit_is_refused_by_name)
{
	const struct misfit *m = &misfits[_i];
	struct rpc_problem problem;
	struct sample sample;

	enum rpc_code code = read_sample(m->text, &sample, &problem);

	ck_assert_msg(code == RPC_BAD_REQUEST, "%s: got %d", m->text, code);
	ck_assert_msg(strcmp(problem.items[0].pointer, m->pointer) == 0, "%s: got %s", m->text,
	              problem.items[0].pointer);
	ck_assert_msg(strstr(problem.detail, m->detail) != NULL, "%s: got %s", m->text,
	              problem.detail);
	ck_assert_int_eq(read_sample(m->text, &sample, NULL), RPC_BAD_REQUEST);
}
END_TEST

START_TEST(many_members_are_read_in_no_time)
{
	static char text[3000000];
	struct rpc_problem problem;
	struct sample sample;
	char *p = text;

	*p++ = '{';
	for (int i = 0; i < 200000; i++)
		p += sprintf(p, "\"k%d\":1,", i);
	strcpy(p, "\"text\":\"a\"}");
	ck_assert_int_eq(read_sample(text, &sample, &problem), RPC_BODY_TOO_LARGE);
	json_t *json = NULL;
	ck_assert_int_eq(rpc_json_parse(text, strlen(text), sizeof text, &json, &problem), RPC_OK);
	json_decref(json);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("json");
	TCase *tcase = tcase_create("json");

	tcase_add_loop_test(tcase, bad_json_is_refused_with_its_place, 0,
	                    sizeof refused / sizeof refused[0]);
	tcase_add_test(tcase, nesting_has_a_limit);
	tcase_add_test(tcase, size_has_a_limit);
	tcase_add_test(tcase, long_pointers_are_cut);
	tcase_add_test(tcase, steps_become_a_pointer);
	tcase_add_test(tcase, members_are_read);
	tcase_add_loop_test(tcase, what_does_not_fit_is_refused_by_name, 0,
	                    sizeof misfits / sizeof misfits[0]);
	tcase_add_test(tcase, many_members_are_read_in_no_time);
	suite_add_tcase(suite, tcase);
	return suite;
}
