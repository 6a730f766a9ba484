/*
 * test_common.c - tensors, requests, handles and the look into models, without any library.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugins/common/digest.h"
#include "plugins/common/message.h"
#include "plugins/common/proto.h"
#include "plugins/common/table.h"
#include "plugins/nn/external.h"
#include "plugins/nn/preload.h"
#include "plugins/tensorflow/refused.h"
#include "tests/plugins/nn/nntest.h"
#include "tests/support/unit.h"

static const struct vm_plugin_host host = { .fail = nn_test_fail };
static struct vm_error err;

/* --- tensors -------------------------------------------------------------------------------- */

static const struct size_case {
	const char *name;
	enum nn_datatype type;
	struct nn_shape shape;
	bool is_known;
	uint64_t size;
} size_cases[] = {
	{ "a number", NN_FP32, { 0, { 0 } }, true, 4 },
	{ "an image", NN_UINT8, { 3, { 224, 224, 3 } }, true, 150528 },
	{ "nothing", NN_FP64, { 2, { 0, 5 } }, true, 0 },
	{ "nothing of too much", NN_FP64, { 3, { INT64_MAX, 0, INT64_MAX } }, true, 0 },
	{ "a dimension unknown", NN_FP32, { 2, { -1, 5 } }, false, 0 },
	{ "a dimension unknown beside none", NN_FP32, { 2, { 0, -1 } }, false, 0 },
	{ "a rank unknown", NN_FP32, { -1, { 0 } }, false, 0 },
	{ "most", NN_UINT8, { 1, { INT64_MAX } }, true, INT64_MAX },
	{ "more than most", NN_FP16, { 1, { INT64_MAX } }, false, 0 },
	{ "a product too large", NN_UINT8, { 2, { INT64_C(1) << 32, INT64_C(1) << 31 } }, false,
	  0 },
	{ "a product of 2^64", NN_UINT8, { 2, { INT64_C(1) << 32, INT64_C(1) << 32 } }, false, 0 },
	{ "texts", NN_BYTES, { 1, { 2 } }, false, 0 },
	{ "complex numbers", NN_COMPLEX128, { 1, { 2 } }, true, 32 },
};

START_TEST(sizes_are_right_or_refused)
{
	const struct size_case *c = &size_cases[_i];
	const struct nn_tensor tensor = { NULL, c->type, c->shape };
	uint64_t size = 77;

	ck_assert_msg(nn_tensor_size(&tensor, &size) == c->is_known, "%s", c->name);
	ck_assert_uint_eq(size, c->is_known ? c->size : 77);
}
END_TEST

static const struct texts_case {
	struct vm_str data;
	int64_t count;
	bool is_good;
} texts_cases[] = {
	{ VM_STR(""), 0, true },
	{ VM_STR(""), 1, false },
	{ VM_STR("\0\0\0\0"), 1, true },
	{ VM_STR("\1\0\0\0x\0\0\0\0"), 2, true },
	{ VM_STR("\1\0\0\0x\0\0\0\0"), 1, false },
	{ VM_STR("\1\0\0\0x\0\0\0"), 2, false },
	{ VM_STR("\2\0\0\0x"), 1, false },
	{ VM_STR("\xff\xff\xff\xffx"), 1, false },
};

START_TEST(tensors_of_texts_hold_as_many_as_their_shape_says)
{
	const struct texts_case *c = &texts_cases[_i];
	const struct nn_tensor tensor = { NULL, NN_BYTES, { 1, { c->count } } };

	ck_assert_int_eq(nn_tensor_holds(&tensor, c->data.data, c->data.len), c->is_good);
}
END_TEST

START_TEST(types_have_words_and_numbers)
{
	for (int i = NN_INVALID + 1; i < NN_DATATYPE_COUNT; i++) {
		enum nn_datatype type = (enum nn_datatype)i;
		ck_assert_int_eq(nn_datatype_of_word(nn_datatype_word(type)), type);
		for (int codes = NN_CODES_TENSORFLOW; codes <= NN_CODES_ONNX; codes++) {
			int code = nn_datatype_code((enum nn_codes)codes, type);
			ck_assert_int_eq(nn_datatype_of_code((enum nn_codes)codes, code),
			                 code == 0 ? NN_INVALID : type);
		}
	}
	ck_assert_int_eq(nn_datatype_of_word("FP31"), NN_INVALID);
	ck_assert_int_eq(nn_datatype_of_code(NN_CODES_TENSORFLOW, 20), NN_INVALID);
	ck_assert_int_eq(nn_datatype_of_code(NN_CODES_TENSORFLOW, INT64_MIN), NN_INVALID);
}
END_TEST

START_TEST(shapes_print_and_fit)
{
	struct nn_shape shape = { 3, { 1, -1, 3 } };
	const struct nn_shape given = { 3, { 1, 9, 3 } };
	const struct nn_shape other = { 3, { 2, 9, 3 } };
	const struct nn_shape any = { .rank = -1 };
	char text[NN_SHAPE_TEXT_MAX];
	char small[6];

	ck_assert_str_eq(nn_shape_text(&shape, text, sizeof text), "[1,-1,3]");
	ck_assert_str_eq(nn_shape_text(&any, text, sizeof text), "[...]");
	ck_assert_uint_lt(strlen(nn_shape_text(&shape, small, sizeof small)), sizeof small);
	ck_assert(nn_shape_fits(&given, &shape));
	ck_assert(!nn_shape_fits(&other, &shape));
	ck_assert(nn_shape_fits(&other, &any));
	shape.rank = NN_RANK_MAX;
	for (int i = 0; i < NN_RANK_MAX; i++)
		shape.dims[i] = INT64_MIN;
	ck_assert_uint_lt(strlen(nn_shape_text(&shape, text, sizeof text)), sizeof text);
	ck_assert(!nn_shape_fits(&given, &shape));
}
END_TEST

/* --- requests ------------------------------------------------------------------------------- */

#define LONG_NAME "0123456789012345678901234567890123456789012345678901234567890123"
#define TOO_LONG LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME "x"
#define TENSOR(members) "{\"model\":\"m\",\"inputs\":[{" members "}]}"

static const struct request_case {
	enum nn_verb verb;
	const char *json;
	enum vm_status status;
	const char *message;
} request_cases[] = {
	{ NN_LOAD, "", VM_E_ARGUMENT, "a JSON object" },
	{ NN_LOAD, "[]", VM_E_ARGUMENT, "a JSON object" },
	{ NN_LOAD, "{\"model\":\"m\",\"model\":\"m\"}", VM_E_ARGUMENT, "duplicate" },
	{ NN_LOAD, "{}", VM_E_ARGUMENT, "\"model\" has to be a text" },
	{ NN_LOAD, "{\"model\":\"\"}", VM_E_ARGUMENT, "1 to 256 bytes" },
	{ NN_LOAD, "{\"model\":\"" TOO_LONG "\"}", VM_E_ARGUMENT, "1 to 256 bytes" },
	{ NN_LOAD, "{\"model\":\"m\\u0000n\"}", VM_E_ARGUMENT, "JSON" },
	{ NN_LOAD, "{\"model\":5}", VM_E_ARGUMENT, "\"model\" has to be a text" },
	{ NN_LOAD, "{\"model\":\"m\",\"names\":[]}", VM_E_ARGUMENT, "unknown member \"names\"" },
	{ NN_LOAD, "{\"model\":\"m\",\"tags\":\"serve\"}", VM_E_ARGUMENT, "an array" },
	{ NN_LOAD, "{\"model\":\"m\",\"tags\":[5]}", VM_E_ARGUMENT, "of texts" },
	{ NN_LOAD, "{\"model\":\"m\",\"tags\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
	  VM_E_LIMIT, "more than 16" },
	{ NN_LOAD, "{\"model\":\"m\",\"format\":\"tflite\",\"path\":\"p\",\"tags\":[\"t\"]}", VM_OK,
	  "" },
	{ NN_INFER, TENSOR("\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,2]"), VM_OK, "" },
	{ NN_INFER, TENSOR("\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":null"), VM_OK, "" },
	{ NN_INFER, TENSOR("\"name\":\"x\",\"datatype\":\"FP32\""), VM_E_ARGUMENT,
	  "name, datatype and shape" },
	{ NN_INFER, TENSOR("\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[]"),
	  VM_E_ARGUMENT, "nothing else" },
	{ NN_INFER, TENSOR("\"name\":\"x\",\"datatype\":\"float\",\"shape\":[1]"), VM_E_ARGUMENT,
	  "no known \"datatype\"" },
	{ NN_INFER, TENSOR("\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-2]"), VM_E_ARGUMENT,
	  "numbers from 0" },
	{ NN_INFER, TENSOR("\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1.5]"), VM_E_ARGUMENT,
	  "numbers from 0" },
	{ NN_INFER,
	  TENSOR("\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[0,0,0,0,0,0,0,0,0,0,0,0,0,"
	  "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"), VM_E_ARGUMENT, "at most 32" },
	{ NN_INFER, TENSOR("\"name\":\"" TOO_LONG "\",\"datatype\":\"FP32\",\"shape\":[]"),
	  VM_E_ARGUMENT, "at most 512" },
	{ NN_INFER, "{\"model\":\"m\",\"inputs\":[5]}", VM_E_ARGUMENT, "no \"name\"" },
	{ NN_INFER, "{\"model\":\"m\",\"outputs\":[{\"name\":\"a\",\"shape\":[]}]}", VM_E_ARGUMENT,
	  "a name and nothing else" },
	{ NN_DESCRIBE, "{\"model\":\"m\",\"names\":[\"a\",\"b\"]}", VM_OK, "" },
	{ NN_DESCRIBE, "{\"model\":\"m\",\"names\":[null]}", VM_E_ARGUMENT, "of texts" },
	{ NN_UNLOAD, "{\"model\":\"m\",\"inputs\":[]}", VM_E_ARGUMENT, "unknown member" },
};

START_TEST(requests_are_read_or_refused)
{
	const struct request_case *c = &request_cases[_i];
	struct nn_request request;

	err.message[0] = '\0';
	enum vm_status st = nn_request_read(&host, c->verb, (struct vm_str){ c->json,
	                                                                     strlen(c->json) },
	                                    &request, &err);
	ck_assert_msg(st == c->status && strstr(err.message, c->message) != NULL, "%s: %d %s",
	              c->json,
	              (int)st, err.message);
	nn_request_clear(&request);
}
END_TEST

START_TEST(more_tensors_than_can_be_are_refused)
{
	char text[8192] = "{\"model\":\"m\",\"outputs\":[";
	struct nn_request request;

	for (int i = 0; i <= (int)NN_TENSORS_MAX; i++)
		snprintf(text + strlen(text), 32, "{\"name\":\"n%d\"},", i);
	strcpy(text + strlen(text) - 1, "]}");
	ck_assert_int_eq(nn_request_read(&host, NN_INFER, (struct vm_str){ text, strlen(text) },
	                                 &request, &err), VM_E_LIMIT);
	nn_request_clear(&request);
}
END_TEST

START_TEST(a_list_written_is_read_again)
{
	const struct nn_shape shapes[] = { { 2, { 3, -1 } }, { -1, { 0 } }, { 0, { 0 } } };
	struct nn_list list = { 0 };
	struct nn_list again = { 0 };

	ck_assert(nn_list_add(&list, "a \"b\"\n\xc3\xa4", NN_INT64, &shapes[0]));
	ck_assert(nn_list_add(&list, "", NN_BYTES, &shapes[1]));
	ck_assert(nn_list_add(&list, "z", NN_BOOL, &shapes[2]));
	json_t *json = nn_list_json(&list);
	ck_assert_int_eq(nn_list_read(&host, json, "list", &again, &err), VM_OK);
	ck_assert_uint_eq(again.count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_str_eq(again.items[i].name, list.items[i].name);
		ck_assert_int_eq(again.items[i].type, list.items[i].type);
		ck_assert_int_eq(again.items[i].shape.rank, shapes[i].rank);
	}
	ck_assert_int_eq(again.items[0].shape.dims[1], -1);
	ck_assert_int_eq(nn_list_find(&list, "z"), 2);
	ck_assert_int_eq(nn_list_find(&list, "y"), -1);
	json_decref(json);
	nn_list_clear(&list);
	nn_list_clear(&again);
}
END_TEST

/* --- handles -------------------------------------------------------------------------------- */

START_TEST(handles_of_what_is_gone_are_none)
{
	struct nn_table table = { 0 };
	int objects[3];
	uint32_t number[3];
	uint32_t out = 77;

	for (int i = 0; i < 3; i++)
		ck_assert(nn_table_add(&table, &objects[i], &number[i]));
	uint64_t handle = nn_table_handle(&table, number[1]);
	ck_assert_ptr_eq(nn_table_of_handle(&table, handle, &out), &objects[1]);
	ck_assert_uint_eq(out, 1);
	ck_assert_ptr_eq(nn_table_of_part(&table, nn_table_part(handle, 9), &out), &objects[1]);
	ck_assert_uint_eq(out, 9);
	ck_assert_ptr_null(nn_table_of_part(&table, handle, &out));
	ck_assert_ptr_null(nn_table_of_handle(&table, nn_table_part(handle, 0), &out));
	ck_assert_ptr_eq(nn_table_take(&table, 1), &objects[1]);
	ck_assert_ptr_null(nn_table_take(&table, 1));
	ck_assert(nn_table_add(&table, &objects[0], &number[1]));
	ck_assert_uint_eq(number[1], 1);
	ck_assert_ptr_null(nn_table_of_handle(&table, handle, &out));
	ck_assert_ptr_null(nn_table_of_handle(&table, 0, &out));
	ck_assert_ptr_null(nn_table_of_handle(&table, UINT64_MAX, &out));
	ck_assert_ptr_null(nn_table_of_part(&table, UINT64_MAX, &out));
	ck_assert_ptr_null(nn_table_get(&table, UINT32_MAX));
	nn_table_clear(&table);
}
END_TEST

/* --- a look into models ------------------------------------------------------------------------
 */

START_TEST(fields_end_where_the_message_does)
{
	static const struct vm_str malformed[] = {
		VM_STR("\x08"), VM_STR("\x08\xff"), VM_STR("\x0a\x05" "abc"), VM_STR("\x00\x01"),
		VM_STR("\x0d\1\2\3"), VM_STR("\x09\1\2\3\4\5\6\7"), VM_STR("\x0b"), VM_STR("\x0c"),
		VM_STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		VM_STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"),
	};
	struct nn_field field;

	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		struct vm_str message = malformed[i];
		ck_assert_msg(!nn_proto_next(&message, &field) && message.len != 0, "%zu", i);
	}
	struct vm_str message = VM_STR("\x08\x96\x01\x12\x02hi");
	ck_assert(nn_proto_next(&message, &field));
	ck_assert_uint_eq(field.value, 150);
	ck_assert(nn_proto_next(&message, &field));
	ck_assert(field.is_bytes && field.number == 2 && field.bytes.len == 2);
	ck_assert(!nn_proto_next(&message, &field));
	ck_assert_uint_eq(message.len, 0);
}
END_TEST

static const struct look_case {
	const char *model;
	int verdict;
} graphs[] = { { "network.pb", TF_GRAPH_GOOD },       { "two.pb", TF_GRAPH_GOOD },
	       { "file.pb", TF_GRAPH_REACHES_HOST },  { "hidden-file.pb", TF_GRAPH_REACHES_HOST },
	       { "network.tflite", TF_GRAPH_MALFORMED } },
  onnx_models[] = { { "network.onnx", ONNX_GOOD }, { "external.onnx", ONNX_EXTERNAL },
	            { "network.tflite", ONNX_MALFORMED } };

START_TEST(what_reaches_out_of_a_model_is_found)
{
	for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
		struct nn_file file = nn_test_model(graphs[i].model);
		struct vm_str type;
		ck_assert_msg((int)tf_graph_look((struct vm_str){ (char *)file.data, file.len },
		                                 &type) ==
		              graphs[i].verdict, "%s", graphs[i].model);
		free(file.data);
	}
	for (size_t i = 0; i < sizeof onnx_models / sizeof *onnx_models; i++) {
		struct nn_file file = nn_test_model(onnx_models[i].model);
		ck_assert_msg((int)onnx_look((struct vm_str){ (char *)file.data, file.len }) ==
		              onnx_models[i].verdict, "%s", onnx_models[i].model);
		free(file.data);
	}
}
END_TEST

START_TEST(operations_that_compute_are_not_refused)
{
	static const char *const good[] = { "Conv2D", "MatMul", "Softmax", "Placeholder", "Const",
		"VariableV2", "VarHandleOp", "StatefulPartitionedCall", "NonMaxSuppressionV5",
		"DecodeJpeg", "TensorArrayReadV3", "ReadVariableOp", "LookupTableFindV2",
		"HashTableV2", "CropAndResize", "Where", "While", "If", "FusedBatchNormV3",
		    "Print" };
	static const char *const bad[] = { "ReadFile", "WriteFile", "MatchingFiles", "SaveV2",
		"RestoreV2", "TextLineDataset", "TFRecordDatasetV2",
		    "InitializeTableFromTextFileV2",
		"PyFunc", "EagerPyFunc", "ImmutableConst", "DebugIdentityV3", "PrintV2",
		"WholeFileReaderV2", "RpcCall", "_HostRecv", "DecodeProtoV2",
		    "MergeV2Checkpoints" };

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert_msg(!tf_operation_reaches_host((struct vm_str){ good[i],
		                                                          strlen(good[i]) }),
		              "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(tf_operation_reaches_host((struct vm_str){ bad[i], strlen(bad[i]) }),
		              "%s", bad[i]);
}
END_TEST

START_TEST(a_digest_is_that_of_the_standard)
{
	char text[NN_DIGEST_TEXT_MAX];

	nn_digest_text(VM_STR("abc"), text);
	ck_assert_str_eq(text,
	                 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(models_by_name_are_read_or_refused)
{
	static const char *const bad[] = { "", "a", "a:onnx", "a:onnx:CPU", "a:onnx:CPU:",
		                           ":onnx:CPU:p", "a:ggml:CPU:p", "a:onnx:GPU:p" };
	static const char good[] = "a:ONNX:auto:/x:y\0bb:tensorflowlite:CPU:rel\0";
	struct nn_preloads preloads = { 0 };
	struct vm_plugin_value words = { .number = 1 };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		words.text = bad[i];
		ck_assert_msg(nn_preload_read(&host, &words, &preloads, &err) == VM_E_ARGUMENT,
		              "%s",
		              bad[i]);
		nn_preload_clear(&preloads);
	}
	words = (struct vm_plugin_value){ good, 2 };
	ck_assert_int_eq(nn_preload_read(&host, &words, &preloads, &err), VM_OK);
	const struct nn_preload *one = nn_preload_find(&preloads, VM_STR("a"));
	ck_assert_str_eq(one->path, "/x:y");
	ck_assert_int_eq(one->encoding, NN_ENCODING_ONNX);
	ck_assert_int_eq(nn_preload_find(&preloads, VM_STR("bb"))->encoding, NN_ENCODING_TFLITE);
	ck_assert_ptr_null(nn_preload_find(&preloads, VM_STR("b")));
	nn_preload_clear(&preloads);
}
END_TEST

#define LOOP(test, cases) tcase_add_loop_test(tc, test, 0, (int)(sizeof(cases) / sizeof *(cases)))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("inference, the common part");
	TCase *tc = tcase_create("common");

	LOOP(sizes_are_right_or_refused, size_cases);
	LOOP(tensors_of_texts_hold_as_many_as_their_shape_says, texts_cases);
	tcase_add_test(tc, types_have_words_and_numbers);
	tcase_add_test(tc, shapes_print_and_fit);
	LOOP(requests_are_read_or_refused, request_cases);
	tcase_add_test(tc, more_tensors_than_can_be_are_refused);
	tcase_add_test(tc, a_list_written_is_read_again);
	tcase_add_test(tc, handles_of_what_is_gone_are_none);
	tcase_add_test(tc, fields_end_where_the_message_does);
	tcase_add_test(tc, what_reaches_out_of_a_model_is_found);
	tcase_add_test(tc, operations_that_compute_are_not_refused);
	tcase_add_test(tc, a_digest_is_that_of_the_standard);
	tcase_add_test(tc, models_by_name_are_read_or_refused);
	suite_add_tcase(suite, tc);
	return suite;
}
