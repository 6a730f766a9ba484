#include "rpc/infer.h"

#include <stdio.h>
#include <stdlib.h>
#include "tests/support/unit.h"

#define SIZE_LIMIT 100000

static struct rpc_infer infer;
static struct rpc_problem problem;

/* Parse a body whose JSON is `text` and behind which `binary` stands, when it is not NULL. */
static enum rpc_code
parse(const char *text, const void *binary, size_t binary_len)
{
	static char body[200000];
	size_t len = strlen(text);

	memcpy(body, text, len);
	if (binary_len > 0)
		memcpy(body + len, binary, binary_len);
	problem = (struct rpc_problem){ 0 };
	return rpc_infer_parse(body, len + binary_len, binary == NULL ? RPC_UNSET : len, SIZE_LIMIT,
	                       &infer, &problem);
}

static const char *
pointer_of(void)
{
	return problem.item_count > 0 ? problem.items[0].pointer : "";
}

#define INPUT(datatype, shape, data)                                                        \
	"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"" datatype "\",\"shape\":" shape ",\"data\":" \
	data "}]}"

/* --- elements ------------------------------------------------------------------------------ */

static const struct element_case {
	const char *text;
	uint8_t bytes[32];
	size_t len;
} element_cases[] = {
	{ INPUT("BOOL", "[2]", "[true,false]"), { 1, 0 }, 2 },
	{ INPUT("UINT8", "[3]", "[0, 255 ,\"7\"]"), { 0, 255, 7 }, 3 },
	{ INPUT("INT8", "[2]", "[-128,127]"), { 0x80, 0x7f }, 2 },
	{ INPUT("INT16", "[1]", "[-2]"), { 0xfe, 0xff }, 2 },
	{ INPUT("UINT64", "[1]", "[18446744073709551615]"),
	  { 255, 255, 255, 255, 255, 255, 255, 255 }, 8 },
	{ INPUT("INT64", "[2]", "[9007199254740993,\"-9223372036854775808\"]"),
	  { 1, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0x80 }, 16 },
	/* rounded once: by way of a double it would be 0x4b800000 */
	{ INPUT("FP32", "[1]", "[16777217.0000000000000001]"), { 0x01, 0x00, 0x80, 0x4b }, 4 },
	{ INPUT("FP32", "[4]", "[1e-1,-0.0,\"inf\",\"nan\"]"),
	  { 0xcd, 0xcc, 0xcc, 0x3d, 0, 0, 0, 0x80, 0, 0, 0x80, 0x7f, 0, 0, 0xc0, 0x7f }, 16 },
	{ INPUT("FP64", "[1]", "[0.1]"), { 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f }, 8 },
	{ INPUT("UINT8", "[2,2]", "[[1,2],[3,4]]"), { 1, 2, 3, 4 }, 4 },
	{ INPUT("UINT8", "[2,2]", "[1,2,3,4]"), { 1, 2, 3, 4 }, 4 },
	{ INPUT("UINT8", "[1,2,1]", " [ [ [1] , [2] ] ] "), { 1, 2 }, 2 },
	{ INPUT("UINT8", "[]", "[9]"), { 9 }, 1 },
	{ INPUT("UINT8", "[0]", "[]"), { 0 }, 0 },
	{ INPUT("UINT8", "[2,0]", "[[],[]]"), { 0 }, 0 },
	{ INPUT("UINT8", "[0,4611686018427387904,4611686018427387904]", "[]"), { 0 }, 0 },
	{ INPUT("BYTES", "[3]", "[\"a\",\"\",\"\\u00e9\\n\"]"),
	  { 1, 0, 0, 0, 'a', 0, 0, 0, 0, 3, 0, 0, 0, 0xc3, 0xa9, '\n' }, 16 },
};

START_TEST(elements_become_exact_bytes)
{
	const struct element_case *c = &element_cases[_i];

	enum rpc_code code = parse(c->text, NULL, 0);

	ck_assert_msg(code == RPC_OK, "%s: %s", c->text, problem.detail);
	const struct rpc_tensor *tensor = &infer.inputs.items[0];
	ck_assert_msg(tensor->size_bytes == c->len, "%s: %zu bytes", c->text, tensor->size_bytes);
	for (size_t i = 0; i < c->len; i++)
		ck_assert_msg(tensor->data[i] == c->bytes[i], "%s: byte %zu is 0x%02x", c->text, i,
		              tensor->data[i]);
	ck_assert(rpc_tensor_fits(tensor));
	rpc_infer_clear(&infer);
}
END_TEST

static const struct refused {
	const char *text;
	enum rpc_code code;
	const char *pointer;
} refused[] = {
	{ "", RPC_BAD_JSON, "" },
	{ "[]", RPC_BAD_REQUEST, "" },
	{ "{}", RPC_BAD_REQUEST, "/inputs" },
	{ "{\"inputs\":{}}", RPC_BAD_REQUEST, "/inputs" },
	{ "{\"inputs\":[],\"input\":1}", RPC_BAD_REQUEST, "/input" },
	{ "{\"inputs\":[1]}", RPC_BAD_REQUEST, "/inputs/0" },
	{ "{\"id\":7,\"inputs\":[]}", RPC_BAD_REQUEST, "/id" },
	{ INPUT("FLOAT", "[1]", "[1]"), RPC_BAD_REQUEST, "/inputs/0/datatype" },
	{ INPUT("FP32", "[-1]", "[1]"), RPC_BAD_REQUEST, "/inputs/0/shape" },
	{ INPUT("FP32", "[1.0]", "[1]"), RPC_BAD_REQUEST, "/inputs/0/shape" },
	{ INPUT("FP32", "[1]", "1"), RPC_BAD_REQUEST, "/inputs/0/data" },
	{ INPUT("FP32", "[1]", "{}"), RPC_BAD_REQUEST, "/inputs/0/data" },
	{ INPUT("FP32", "[1]", "[1"), RPC_BAD_JSON, "/inputs" },
	{ INPUT("FP32", "[1]", "[1 2]"), RPC_BAD_JSON, "/inputs/0/data/0" },
	{ INPUT("FP32", "[1]", "[01]"), RPC_BAD_JSON, "/inputs/0/data/0" },
	{ INPUT("FP32", "[1]", "[.5]"), RPC_BAD_JSON, "/inputs/0/data/0" },
	{ INPUT("FP32", "[1]", "[NaN]"), RPC_BAD_JSON, "/inputs/0/data/0" },
	{ INPUT("FP32", "[2]", "[1,]"), RPC_BAD_JSON, "/inputs/0/data/1" },
	{ INPUT("FP32", "[1]", "[1}]"), RPC_BAD_JSON, "/inputs/0/data/0" },
	{ INPUT("FP32", "[2]", "[1,true]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/1" },
	{ INPUT("FP32", "[1]", "[\"one\"]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("FP32", "[1]", "[1e39]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("INT8", "[3]", "[1,2,128]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/2" },
	{ INPUT("INT8", "[1]", "[-129]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("UINT8", "[1]", "[-1]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("INT32", "[1]", "[1.5]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("INT32", "[1]", "[\"\"]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("INT64", "[1]", "[9223372036854775808]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("UINT64", "[1]", "[18446744073709551616]"), RPC_TENSOR_MISMATCH,
	  "/inputs/0/data/0" },
	{ INPUT("BOOL", "[1]", "[1]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("BYTES", "[1]", "[1]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("BYTES", "[1]", "[\"\\x\"]"), RPC_BAD_JSON, "/inputs/0/data/0" },
	{ INPUT("BYTES", "[1]", "[\"\n\"]"), RPC_BAD_JSON, "/inputs/0/data/0" },
	{ INPUT("BYTES", "[1]", "[\"\xff\"]"), RPC_BAD_JSON, "/inputs/0/data/0" },
	{ INPUT("FP16", "[1]", "[1]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("UINT8", "[2,2]", "[1,2,3]"), RPC_TENSOR_MISMATCH, "/inputs/0/data" },
	{ INPUT("UINT8", "[2,2]", "[1,2,3,4,5]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/4" },
	{ INPUT("UINT8", "[2,2]", "[[1,2,3],[4]]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("UINT8", "[2,2]", "[[1,2],3]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/1" },
	{ INPUT("UINT8", "[2,2]", "[1,[2,3]]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/1" },
	{ INPUT("UINT8", "[1]", "[[1]]"), RPC_TENSOR_MISMATCH, "/inputs/0/data/0" },
	{ INPUT("UINT8", "[5000]", "[1]"), RPC_TENSOR_MISMATCH, "/inputs/0/data" },
	{ INPUT("UINT8", "[4294967296,4294967296]", "[1]"), RPC_BODY_TOO_LARGE,
	  "/inputs/0/shape" },
	{ INPUT("FP64", "[12501]", "[1]"), RPC_BODY_TOO_LARGE, "/inputs/0/shape" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1]}]}", RPC_BAD_REQUEST,
	  "/inputs/0/data" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"d\\u0061ta\":[1]}]}",
	  RPC_BAD_REQUEST, "/inputs/0/data" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1],"
	  "\"data\":[2]}]}", RPC_BAD_JSON, "/inputs/0/data" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1]},"
	  "{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1]}]}",
	  RPC_TENSOR_MISMATCH, "/inputs/1/name" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],"
	  "\"parameters\":{\"binary_data_size\":1}}]}", RPC_TENSOR_MISMATCH, "/inputs/0" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1],"
	  "\"parameters\":{\"binary_data_size\":1}}]}", RPC_BAD_REQUEST, "/inputs/0/data" },
	{ "{\"inputs\":[],\"parameters\":{\"binary_data_output\":1}}", RPC_BAD_REQUEST,
	  "/parameters/binary_data_output" },
	{ "{\"inputs\":[],\"outputs\":[{\"name\":\"y\"},{\"name\":\"y\"}]}", RPC_TENSOR_MISMATCH,
	  "/outputs/1/name" },
};

START_TEST(what_does_not_fit_is_pointed_at)
{
	const struct refused *c = &refused[_i];

	enum rpc_code code = parse(c->text, NULL, 0);

	ck_assert_msg(code == c->code, "%s: got %s, %s", c->text, rpc_problem_kind(code)->slug,
	              problem.detail);
	ck_assert_msg(strcmp(pointer_of(), c->pointer) == 0, "%s: points at %s", c->text,
	              pointer_of());
	rpc_infer_clear(&infer);
}
END_TEST

START_TEST(places_behind_data_are_those_of_the_body)
{
	const char *text = "{\"inputs\":[{\"data\":[1,\n2],\"name\":\"x\"!}]}";

	ck_assert_int_eq(parse(text, NULL, 0), RPC_BAD_JSON);
	ck_assert_uint_eq(problem.items[0].line, 2);
	ck_assert_uint_eq(problem.items[0].offset, (uint64_t)(strchr(text, '!') - text) + 1);
	rpc_infer_clear(&infer);
}
END_TEST

START_TEST(what_is_no_data_is_bounded)
{
	static char text[RPC_INFER_HEAD_MAX + 100];

	sprintf(text, "{\"inputs\":[],\"id\":\"%0*d\"}", RPC_INFER_HEAD_MAX, 0);
	ck_assert_int_eq(rpc_infer_parse(text, strlen(text), RPC_UNSET, SIZE_LIMIT, &infer,
	                                 &problem), RPC_BODY_TOO_LARGE);
	rpc_infer_clear(&infer);
}
END_TEST

START_TEST(a_million_numbers_are_read)
{
	enum { COUNT = 1000000 };
	char *text = malloc(COUNT * 10 + 200);
	char *p = text + sprintf(text, "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
	                               "\"shape\":[%d],\"data\":[", COUNT);

	for (int i = 0; i < COUNT; i++)
		p += sprintf(p, "0.%06d%s", i, i == COUNT - 1 ? "]}]}" : ",");
	ck_assert_int_eq(rpc_infer_parse(text, (size_t)(p - text), RPC_UNSET, 4 * COUNT, &infer,
	                                 &problem), RPC_OK);
	for (int i = 0; i < COUNT; i += 999) {
		float want = strtof(text + (strchr(text, '.') - text) - 1 + i * 9, NULL);
		ck_assert(memcmp(infer.inputs.items[0].data + 4 * i, &want, 4) == 0);
	}
	rpc_infer_clear(&infer);
	free(text);
}
END_TEST

/* --- binary -------------------------------------------------------------------------------- */

#define TWO_BINARY                                                                   \
	"{\"inputs\":[{\"name\":\"a\",\"datatype\":\"UINT16\",\"shape\":[2],"             \
	"\"parameters\":{\"binary_data_size\":4,\"content_type\":\"np\"}},"              \
	"{\"name\":\"b\",\"datatype\":\"BYTES\",\"shape\":[1],\"parameters\":"            \
	"{\"binary_data_size\":5}}],\"parameters\":{\"binary_data_output\":true},"       \
	"\"outputs\":[{\"name\":\"y\"},{\"name\":\"z\",\"parameters\":{\"binary_data\":false}}]}"

START_TEST(binary_tensors_follow_in_order)
{
	ck_assert_int_eq(parse(TWO_BINARY, "\1\0\2\0\1\0\0\0x", 9), RPC_OK);
	ck_assert_int_eq(memcmp(infer.inputs.items[0].data, "\1\0\2\0", 4), 0);
	ck_assert_int_eq(memcmp(infer.inputs.items[1].data, "\1\0\0\0x", 5), 0);
	ck_assert(infer.outputs.items[0].is_binary);
	ck_assert(!infer.outputs.items[1].is_binary);
	rpc_infer_clear(&infer);
	ck_assert_int_eq(parse(TWO_BINARY, "\1\0\2\0\1\0\0\0xy", 10), RPC_TENSOR_MISMATCH);
	rpc_infer_clear(&infer);
	ck_assert_int_eq(parse(TWO_BINARY, "\1\0\2\0\1\0\0\0", 8), RPC_TENSOR_MISMATCH);
	ck_assert_str_eq(pointer_of(), "/inputs/1");
	rpc_infer_clear(&infer);
	ck_assert_int_eq(parse(TWO_BINARY, "\1\0\2\0\2\0\0\0x", 9), RPC_TENSOR_MISMATCH);
	rpc_infer_clear(&infer);
	ck_assert_int_eq(rpc_infer_parse("{}", 2, 3, SIZE_LIMIT, &infer, &problem),
	                 RPC_BAD_HEADER);
	rpc_infer_clear(&infer);
}
END_TEST

/* --- models -------------------------------------------------------------------------------- */

static const char described[] =
	"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,2]},"
	"{\"name\":\"any\",\"datatype\":\"INT8\"}],"
	"\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1]}],\"size_bytes\":9}";

#define X "{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1,2]}"
#define ANY "{\"name\":\"any\",\"datatype\":\"INT8\",\"shape\":[1,1],\"data\":[1]}"

static const struct match_case {
	const char *text;
	const char *pointer; /* NULL: it matches */
} match_cases[] = {
	{ "{\"inputs\":[" X "," ANY "]}", NULL },
	{ "{\"inputs\":[" ANY "," X "],\"outputs\":[{\"name\":\"y\"}]}", NULL },
	{ "{\"inputs\":[" X "]}", "/inputs" },
	{ "{\"inputs\":[" X "," ANY "],\"outputs\":[{\"name\":\"x\"}]}", "/outputs/0/name" },
	{ "{\"inputs\":[{\"name\":\"w\",\"datatype\":\"FP32\",\"shape\":[0],\"data\":[]}]}",
	  "/inputs/0/name" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP64\",\"shape\":[0],\"data\":[]}]}",
	  "/inputs/0/datatype" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[0],\"data\":[]}]}",
	  "/inputs/0/shape" },
	{ "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[0,3],\"data\":[]}]}",
	  "/inputs/0/shape" },
};

START_TEST(a_request_is_compared_with_the_model)
{
	const struct match_case *c = &match_cases[_i];
	static struct rpc_model model;

	ck_assert_int_eq(rpc_model_parse(described, strlen(described), &model, &problem), RPC_OK);
	ck_assert_msg(parse(c->text, NULL, 0) == RPC_OK, "%s: %s", c->text, problem.detail);
	enum rpc_code code = rpc_infer_match(&infer, &model, &problem);
	ck_assert_int_eq(code, c->pointer == NULL ? RPC_OK : RPC_TENSOR_MISMATCH);
	if (c->pointer != NULL)
		ck_assert_str_eq(pointer_of(), c->pointer);
	else
		ck_assert_str_eq(infer.outputs.items[0].name, "y");
	rpc_infer_clear(&infer);
	rpc_model_clear(&model);
}
END_TEST

START_TEST(a_model_is_written_as_it_was_read)
{
	static struct rpc_model model;
	struct rpc_writer w;

	ck_assert_int_eq(rpc_model_parse(described, strlen(described), &model, &problem), RPC_OK);
	rpc_writer_init(&w);
	rpc_write_object_begin(&w);
	rpc_model_write(&w, &model);
	rpc_write_object_end(&w);
	ck_assert_uint_eq(w.len, strlen(described) - strlen(",\"size_bytes\":9"));
	ck_assert_int_eq(memcmp(w.data, described, w.len - 1), 0);
	rpc_writer_clear(&w);
	rpc_model_clear(&model);
	ck_assert_int_eq(rpc_model_parse("{\"inputs\":[]}", 13, &model, &problem),
	                 RPC_BAD_REQUEST);
	rpc_model_clear(&model);
}
END_TEST

/* --- replies ------------------------------------------------------------------------------- */

static const struct written {
	enum rpc_datatype datatype;
	uint8_t bytes[16];
	size_t len;
	int64_t count;
	const char *data; /* NULL: it cannot be written */
} written[] = {
	{ RPC_DATATYPE_BOOL, { 0, 1, 7 }, 3, 3, "[false,true,true]" },
	{ RPC_DATATYPE_INT8, { 0x80, 1 }, 2, 2, "[-128,1]" },
	{ RPC_DATATYPE_UINT64, { 255, 255, 255, 255, 255, 255, 255, 255 }, 8, 1,
	  "[18446744073709551615]" },
	{ RPC_DATATYPE_FP32, { 0xcd, 0xcc, 0xcc, 0x3d, 0, 0, 0x80, 0x7f }, 8, 2, "[0.1,\"inf\"]" },
	{ RPC_DATATYPE_FP64, { 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f }, 8, 1, "[0.1]" },
	{ RPC_DATATYPE_BYTES, { 1, 0, 0, 0, '"', 0, 0, 0, 0 }, 9, 2, "[\"\\\"\",\"\"]" },
	{ RPC_DATATYPE_BYTES, { 1, 0, 0, 0, 0xff }, 5, 1, NULL },
	{ RPC_DATATYPE_FP16, { 0, 0 }, 2, 1, NULL },
};

START_TEST(outputs_are_written_both_ways)
{
	const struct written *c = &written[_i];
	static struct rpc_tensors outputs;
	struct rpc_infer_reply reply = { "m", "v", "7", &outputs };
	struct rpc_writer w;
	uint64_t json_len;
	char want[300];

	outputs.count = 1;
	outputs.items[0] = (struct rpc_tensor){ .name = "y", .datatype = c->datatype, .rank = 1,
		                                .shape = { c->count }, .data = c->bytes,
		                                .size_bytes = c->len };
	ck_assert(rpc_tensor_fits(&outputs.items[0]));
	rpc_writer_init(&w);
	enum rpc_code code = rpc_infer_write(&w, &reply, &json_len, &problem);
	ck_assert_int_eq(code, c->data == NULL ? RPC_TENSOR_MISMATCH : RPC_OK);
	if (c->data != NULL) {
		int len = snprintf(want, sizeof want,
		                   "{\"model_name\":\"m\",\"model_version\":\"v\",\"id\":\"7\","
		                   "\"outputs\":[{\"name\":\"y\",\"datatype\":\"%s\","
		                   "\"shape\":[%d],\"data\":%s}]}",
		                   rpc_datatype_text(c->datatype), (int)c->count, c->data);
		ck_assert_uint_eq(json_len, RPC_UNSET);
		ck_assert_msg(w.len == (size_t)len && memcmp(w.data, want, w.len) == 0, "%.*s",
		              (int)w.len, w.data);
	}
	rpc_writer_reset(&w);
	outputs.items[0].is_binary = true;
	ck_assert_int_eq(rpc_infer_write(&w, &reply, &json_len, &problem), RPC_OK);
	ck_assert_uint_eq(json_len + c->len, w.len);
	ck_assert_int_eq(memcmp(w.data + json_len, c->bytes, c->len), 0);
	rpc_writer_clear(&w);
}
END_TEST

START_TEST(sizes_do_not_overflow)
{
	struct rpc_tensor tensor = { .datatype = RPC_DATATYPE_FP64, .rank = 3,
		                     .shape = { INT64_MAX, INT64_MAX, 3 } };
	uint64_t count;

	ck_assert(!rpc_tensor_elements(&tensor, UINT64_MAX, &count));
	tensor.shape[1] = 0;
	ck_assert(rpc_tensor_elements(&tensor, 0, &count));
	ck_assert_uint_eq(count, 0);
	tensor.shape[1] = -1;
	ck_assert(!rpc_tensor_elements(&tensor, UINT64_MAX, &count));
	tensor.rank = 0;
	ck_assert(!rpc_tensor_elements(&tensor, 7, &count));
	ck_assert(rpc_tensor_elements(&tensor, 8, &count));
	ck_assert_uint_eq(count, 1);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof(table)[0])

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("infer");
	TCase *tc = tcase_create("infer");

	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, elements_become_exact_bytes, 0, COUNT(element_cases));
	tcase_add_loop_test(tc, what_does_not_fit_is_pointed_at, 0, COUNT(refused));
	tcase_add_test(tc, places_behind_data_are_those_of_the_body);
	tcase_add_test(tc, what_is_no_data_is_bounded);
	tcase_add_test(tc, a_million_numbers_are_read);
	tcase_add_test(tc, binary_tensors_follow_in_order);
	tcase_add_loop_test(tc, a_request_is_compared_with_the_model, 0, COUNT(match_cases));
	tcase_add_test(tc, a_model_is_written_as_it_was_read);
	tcase_add_loop_test(tc, outputs_are_written_both_ways, 0, COUNT(written));
	tcase_add_test(tc, sizes_do_not_overflow);
	return suite;
}
