#include "rpc/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/support/unit.h"

static json_t *
parse(const char *text)
{
	struct rpc_problem problem;
	json_t *json = NULL;

	enum rpc_code code = rpc_json_parse(text, strlen(text), 100000, &json, &problem);
	ck_assert_msg(code == RPC_OK, "%s: %s", text, problem.detail);
	return json;
}

static enum rpc_code
parse_value(const char *text, enum rpc_type type, struct rpc_value *out,
            struct rpc_problem *problem)
{
	struct rpc_at body = { 0 };
	struct rpc_at at = { &body, "v", 0 };
	json_t *json = parse(text);
	enum rpc_code code = rpc_value_parse(json, type, &at, out, problem);

	json_decref(json);
	return code;
}

static const struct good {
	enum rpc_type type;
	const char *text;
	uint64_t bits;
} good[] = {
	{ RPC_I32, "42", 42 },
	{ RPC_I32, "-1", 0xffffffff },
	{ RPC_I32, "-2147483648", 0x80000000 },
	{ RPC_I32, "4294967295", 0xffffffff },
	{ RPC_I32, "\"-2\"", 0xfffffffe },
	{ RPC_I32, "\"0xff\"", 0xff },
	{ RPC_I32, "{\"type\":\"i32\",\"value\":42}", 42 },
	{ RPC_I32, "{\"value\":\"7\",\"type\":\"i32\"}", 7 },
	{ RPC_I64, "9007199254740991", UINT64_C(9007199254740991) },
	{ RPC_I64, "-9007199254740991", (uint64_t)INT64_C(-9007199254740991) },
	{ RPC_I64, "\"9223372036854775808\"", UINT64_C(1) << 63 },
	{ RPC_I64, "\"18446744073709551615\"", UINT64_MAX },
	{ RPC_I64, "\"-9223372036854775808\"", UINT64_C(1) << 63 },
	{ RPC_I64, "{\"type\":\"i64\",\"value\":\"0xffffffffffffffff\"}", UINT64_MAX },
	{ RPC_F32, "0.1", 0x3dcccccd },
	{ RPC_F32, "2", 0x40000000 },
	{ RPC_F32, "16777219", 0x4b800002 },
	{ RPC_F32, "\"-0\"", 0x80000000 },
	{ RPC_F32, "-0.0", 0x80000000 },
	{ RPC_F32, "\"nan:0x200000\"", 0x7fa00000 },
	{ RPC_F32, "\"-inf\"", 0xff800000 },
	{ RPC_F32, "{\"type\":\"f32\",\"value\":\"0x1.8p3\"}", 0x41400000 },
	{ RPC_F64, "0.1", UINT64_C(0x3fb999999999999a) },
	{ RPC_F64, "-3", UINT64_C(0xc008000000000000) },
	{ RPC_F64, "1e308", UINT64_C(0x7fe1ccf385ebc8a0) },
	{ RPC_F64, "\"-nan\"", UINT64_C(0xfff8000000000000) },
	{ RPC_F64, "\"0x1.8p3\"", UINT64_C(0x4028000000000000) },
	{ RPC_FUNCREF, "null", 0 },
	{ RPC_EXTERNREF, "{\"type\":\"externref\",\"value\":null}", 0 },
	{ RPC_OTHERREF, "null", 0 },
};

START_TEST(values_are_read)
{
	const struct good *g = &good[_i];
	struct rpc_problem problem = { 0 };
	struct rpc_value value;

	enum rpc_code code = parse_value(g->text, g->type, &value, &problem);

	ck_assert_msg(code == RPC_OK, "%s: %s", g->text, problem.detail);
	ck_assert_int_eq(value.type, g->type);
	ck_assert_msg(value.of.bits == g->bits, "%s: got %" PRIx64, g->text, value.of.bits);
}
END_TEST

static const struct bad {
	enum rpc_type type;
	const char *text;
	enum rpc_code code;
	const char *pointer;
} bad[] = {
	{ RPC_I32, "4294967296", RPC_ARGUMENT_RANGE, "/v" },
	{ RPC_I32, "-2147483649", RPC_ARGUMENT_RANGE, "/v" },
	{ RPC_I32, "\"4294967296\"", RPC_ARGUMENT_RANGE, "/v" },
	{ RPC_I32, "1.0", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_I32, "\"forty\"", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_I32, "\"\"", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_I32, "null", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_I32, "true", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_I32, "[1]", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_I32, "{\"type\":\"i64\",\"value\":\"1\"}", RPC_ARGUMENT_TYPE, "/v/type" },
	{ RPC_I32, "{\"type\":7,\"value\":1}", RPC_ARGUMENT_TYPE, "/v/type" },
	{ RPC_I32, "{\"value\":1}", RPC_BAD_REQUEST, "/v/type" },
	{ RPC_I32, "{\"type\":\"i32\"}", RPC_BAD_REQUEST, "/v/value" },
	{ RPC_I32, "{\"type\":\"i32\",\"value\":1,\"bits\":\"0x1\"}", RPC_BAD_REQUEST, "/v/bits" },
	{ RPC_I32, "{\"type\":\"i32\",\"value\":\"x\"}", RPC_ARGUMENT_TYPE, "/v/value" },
	{ RPC_I32, "{\"type\":\"i32\",\"value\":{\"type\":\"i32\",\"value\":1}}", RPC_ARGUMENT_TYPE,
	  "/v/value" },
	{ RPC_I64, "9007199254740992", RPC_BAD_REQUEST, "/v" },
	{ RPC_I64, "-9007199254740992", RPC_BAD_REQUEST, "/v" },
	{ RPC_I64, "\"18446744073709551616\"", RPC_ARGUMENT_RANGE, "/v" },
	{ RPC_I64, "1e3", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_F32, "1e39", RPC_ARGUMENT_RANGE, "/v" },
	{ RPC_F32, "\"1e39\"", RPC_ARGUMENT_RANGE, "/v" },
	{ RPC_F32, "\"NaN\"", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_F32, "\"nan:0x800000\"", RPC_ARGUMENT_RANGE, "/v" },
	{ RPC_F64, "\"1e309\"", RPC_ARGUMENT_RANGE, "/v" },
	{ RPC_F64, "\"1,5\"", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_FUNCREF, "1", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_EXTERNREF, "\"ref:1\"", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_EXTERNREF, "{\"type\":\"funcref\",\"value\":null}", RPC_ARGUMENT_TYPE, "/v/type" },
	{ RPC_V128, "1", RPC_ARGUMENT_TYPE, "/v" },
	{ RPC_V128, "{}", RPC_BAD_REQUEST, "/v/lanes" },
	{ RPC_V128, "{\"lanes\":\"i32x4\"}", RPC_BAD_REQUEST, "/v/value" },
	{ RPC_V128, "{\"lanes\":\"i32x5\",\"value\":[1,2,3,4]}", RPC_BAD_REQUEST, "/v/lanes" },
	{ RPC_V128, "{\"lanes\":\"i32x4\",\"value\":[1,2,3]}", RPC_ARGUMENT_TYPE, "/v/value" },
	{ RPC_V128, "{\"lanes\":\"i32x4\",\"value\":4}", RPC_ARGUMENT_TYPE, "/v/value" },
	{ RPC_V128, "{\"lanes\":\"i8x16\",\"value\":[0,0,0,256,0,0,0,0,0,0,0,0,0,0,0,0]}",
	  RPC_ARGUMENT_RANGE, "/v/value/3" },
	{ RPC_V128, "{\"lanes\":\"f32x4\",\"value\":[0,\"x\",0,0]}", RPC_ARGUMENT_TYPE,
	  "/v/value/1" },
	{ RPC_V128, "{\"bytes\":\"00\"}", RPC_BAD_REQUEST, "/v/bytes" },
	{ RPC_V128, "{\"bytes\":\"0123456789abcdef0123456789abcdeg\"}", RPC_ARGUMENT_TYPE,
	  "/v/bytes" },
	{ RPC_V128, "{\"bytes\":\"00112233445566778899aabbccddeeff\",\"lanes\":\"i8x16\"}",
	  RPC_BAD_REQUEST, "/v/lanes" },
	{ RPC_V128, "{\"type\":\"i32\",\"bytes\":\"00112233445566778899aabbccddeeff\"}",
	  RPC_ARGUMENT_TYPE, "/v/type" },
};

START_TEST(what_is_no_value_is_refused_at_its_place)
{
	const struct bad *b = &bad[_i];
	struct rpc_problem problem = { 0 };
	struct rpc_value value = { .type = RPC_I32, .of.bits = 99 };

	enum rpc_code code = parse_value(b->text, b->type, &value, &problem);

	ck_assert_msg(code == b->code, "%s: got %d, %s", b->text, code, problem.detail);
	ck_assert_msg(strcmp(problem.items[0].pointer, b->pointer) == 0, "%s: got %s, %s", b->text,
	              problem.items[0].pointer, problem.detail);
	ck_assert_uint_eq(value.of.bits, 99);
}
END_TEST

static const struct vector {
	const char *text;
	enum rpc_lanes lanes; /* how it is written */
	const char *value;    /* what "value" is then */
	const char *bytes;
} vectors[] = {
	{ "{\"lanes\":\"i32x4\",\"value\":[\"1\",2,-3,\"0xffffffff\"]}", RPC_I32X4, "[1,2,-3,-1]",
	  "0100000002000000fdffffffffffffff" },
	{ "{\"lanes\":\"i8x16\",\"value\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,-128,255]}", RPC_I8X16,
	  "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,-128,-1]", "000102030405060708090a0b0c0d80ff" },
	{ "{\"lanes\":\"i16x8\",\"value\":[1,65535,0,0,0,0,0,-2]}", RPC_I16X8,
	  "[1,-1,0,0,0,0,0,-2]", "0100ffff00000000000000000000feff" },
	{ "{\"type\":\"v128\",\"lanes\":\"i64x2\",\"value\":[\"-1\",5]}", RPC_I64X2,
	  "[\"-1\",\"5\"]", "ffffffffffffffff0500000000000000" },
	{ "{\"lanes\":\"f32x4\",\"value\":[0.1,\"nan\",\"-inf\",1]}", RPC_F32X4,
	  "[0.1,\"nan\",\"-inf\",1]", "cdcccc3d0000c07f000080ff0000803f" },
	{ "{\"lanes\":\"f64x2\",\"value\":[0.1,\"-0\"]}", RPC_F64X2, "[0.1,-0.0]",
	  "9a9999999999b93f0000000000000080" },
	{ "{\"bytes\":\"00112233445566778899AABBCCDDEEFF\"}", RPC_I64X2,
	  "[\"8603657889541918976\",\"-4822678189205112\"]", "00112233445566778899aabbccddeeff" },
};

START_TEST(vectors_are_read_and_written)
{
	const struct vector *v = &vectors[_i];
	struct rpc_problem problem = { 0 };
	struct rpc_value value;
	struct rpc_writer w;
	char want[400];

	enum rpc_code code = parse_value(v->text, RPC_V128, &value, &problem);
	ck_assert_msg(code == RPC_OK, "%s: %s", v->text, problem.detail);
	rpc_writer_init(&w);
	rpc_value_write(&w, &value, true, v->lanes);
	snprintf(want, sizeof want,
	         "{\"type\":\"v128\",\"lanes\":\"%s\",\"value\":%s,\"bytes\":\"%s\"}",
	         rpc_lanes_text(v->lanes), v->value, v->bytes);
	ck_assert_uint_eq(w.len, strlen(want));
	ck_assert_mem_eq(w.data, want, w.len);
	rpc_writer_clear(&w);
}
END_TEST

static const struct written {
	struct rpc_value value;
	const char *exact;
	const char *text;
} written[] = {
	{ { RPC_I32, { 42 } }, "{\"type\":\"i32\",\"value\":42,\"bits\":\"0x0000002a\"}", "42" },
	{ { RPC_I32, { 0xffffffff } },
	  "{\"type\":\"i32\",\"value\":-1,\"bits\":\"0xffffffff\"}",
	  "-1" },
	{ { RPC_I64, { UINT64_C(1) << 63 } },
	  "{\"type\":\"i64\",\"value\":\"-9223372036854775808\",\"bits\":\"0x8000000000000000\"}",
	  "-9223372036854775808" },
	{ { RPC_F32, { 0x3dcccccd } },
	  "{\"type\":\"f32\",\"value\":0.1,\"bits\":\"0x3dcccccd\"}",
	  "0.1" },
	{ { RPC_F32, { 0x7fa00000 } },
	  "{\"type\":\"f32\",\"value\":\"nan:0x200000\",\"bits\":\"0x7fa00000\"}",
	  "nan:0x200000" },
	{ { RPC_F64, { UINT64_C(0x8000000000000000) } },
	  "{\"type\":\"f64\",\"value\":-0.0,\"bits\":\"0x8000000000000000\"}",
	  "-0.0" },
	{ { RPC_F64, { UINT64_C(0x7ff0000000000000) } },
	  "{\"type\":\"f64\",\"value\":\"inf\",\"bits\":\"0x7ff0000000000000\"}",
	  "inf" },
	{ { RPC_FUNCREF, { 0 } }, "{\"type\":\"funcref\",\"value\":null}", "null" },
	{ { RPC_EXTERNREF, { 5 } },
	  "{\"type\":\"externref\",\"value\":\"ref:opaque\"}",
	  "ref:opaque" },
	{ { RPC_OTHERREF, { 0 } }, "{\"type\":\"ref\",\"value\":null}", "null" },
};

START_TEST(values_are_written_in_long_form)
{
	const struct written *c = &written[_i];
	char text[RPC_VALUE_TEXT_MAX];
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_value_write(&w, &c->value, true, RPC_I32X4);
	rpc_write_verbatim(&w, "", 1);
	ck_assert_str_eq(w.data, c->exact);
	rpc_writer_clear(&w);
	rpc_value_text(&c->value, RPC_I32X4, text, sizeof text);
	ck_assert_str_eq(text, c->text);
}
END_TEST

START_TEST(vectors_have_a_text_for_people)
{
	struct rpc_value value = { .type = RPC_V128,
		                   .of.bytes = { 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff } };
	char text[RPC_VALUE_TEXT_MAX];

	rpc_value_text(&value, RPC_I32X4, text, sizeof text);
	ck_assert_str_eq(text, "i32x4 1 -1 0 0");
	rpc_value_text(&value, RPC_I32X4, text, 8);
	ck_assert_str_eq(text, "i32x4 1");
	memset(value.of.bytes, 0x80, 16);
	rpc_value_text(&value, RPC_I8X16, text, sizeof text);
	ck_assert_uint_eq(strlen(text), 5 + 16 * 5);
}
END_TEST

START_TEST(arguments_are_counted)
{
	static const enum rpc_type types[] = { RPC_I32, RPC_F64 };
	struct rpc_str name = rpc_str_make("area");
	struct rpc_at body = { 0 };
	struct rpc_at at = { &body, "args", 0 };
	struct rpc_problem problem;
	struct rpc_value values[2];
	json_t *args = parse("[1,{\"type\":\"f64\",\"value\":2}]");

	ck_assert_int_eq(rpc_values_parse(args, &at, name, types, 2, values, &problem), RPC_OK);
	ck_assert_uint_eq(values[1].of.bits, UINT64_C(0x4000000000000000));
	ck_assert_int_eq(rpc_values_parse(args, &at, name, types, 1, values, &problem),
	                 RPC_ARGUMENT_COUNT);
	ck_assert_str_eq(problem.detail,
	                 "/args: function area takes 1 argument, the request has 2");
	ck_assert_int_eq(rpc_values_parse(NULL, &at, name, types, 2, values, &problem),
	                 RPC_ARGUMENT_COUNT);
	ck_assert_int_eq(rpc_values_parse(NULL, &at, name, types, 0, values, &problem), RPC_OK);
	json_decref(args);
	args = parse("[1,\"x\"]");
	ck_assert_int_eq(rpc_values_parse(args, &at, name, types, 2, values, &problem),
	                 RPC_ARGUMENT_TYPE);
	ck_assert_str_eq(problem.items[0].pointer, "/args/1");
	json_decref(args);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("value");
	TCase *tcase = tcase_create("value");

	tcase_add_loop_test(tcase, values_are_read, 0, sizeof good / sizeof good[0]);
	tcase_add_loop_test(tcase, what_is_no_value_is_refused_at_its_place, 0,
	                    sizeof bad / sizeof bad[0]);
	tcase_add_loop_test(tcase, vectors_are_read_and_written, 0,
	                    sizeof vectors / sizeof vectors[0]);
	tcase_add_loop_test(tcase, values_are_written_in_long_form, 0,
	                    sizeof written / sizeof written[0]);
	tcase_add_test(tcase, vectors_have_a_text_for_people);
	tcase_add_test(tcase, arguments_are_counted);
	suite_add_tcase(suite, tcase);
	return suite;
}
