/*
 * test_operations.c - load, infer, describe and unload, asked for directly, over the real
 * libraries.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/plugins/nn/direct.h"
#include "tests/plugins/nn/nntest.h"
#include "tests/support/unit.h"

#define IMAGE_FLOATS (8 * 8 * 3)
#define CLASSES 10

/* A plug-in, its library, and the names of its models. */
static const struct kind {
	const char *plugin;
	const char *library;
	const char *suffix;
	const char *texts; /* model, input, output, all of texts */
	const char *texts_in;
	const char *texts_out;
	const char *texts_shape; /* of the output */
	const char *failing; /* a model and inputs that make a run fail, and that let it succeed */
	const char *failing_input;
	struct vm_str bad, good;
	const char *bad_shape, *good_shape;
} kinds[] = {
	{ "wasmedge_tensorflowlite", "libtensorflowlite_c.so", "tflite", "texts", "texts", "column",
	  "[2,1]", "failing", "\"index\",\"datatype\":\"INT32\"", VM_STR("\x09\0\0\0"),
	  VM_STR("\4\0\0\0"), "[1]", "[1]" },
	{ "wasmedge_tensorflow", "libtensorflow_cc.so.2", "pb", "two", "texts", "capitals", "[2]",
	  "two", "\"any\",\"datatype\":\"FP32\"", VM_STR("abcdefghijkl"),
	  VM_STR("abcdefghijklmnop"), "[3]", "[4]" },
	{ "wasi_nn", "libonnxruntime.so.1", "onnx", "texts", "texts", "column", "[2,1]", "failing",
	  "\"index\",\"datatype\":\"INT64\"", VM_STR("\x09\0\0\0\0\0\0\0"),
	  VM_STR("\1\0\0\0\0\0\0\0"), "[1]", "[1]" },
};
#define KIND_COUNT ((int)(sizeof kinds / sizeof *kinds))

static struct vm_plugins *plugins;
static struct vm_plugin_reply reply;
static struct vm_error err;

/* False, counted as skipped, when the library is not there. */
static bool
start(const struct kind *kind, const char *test, const struct vm_plugins_setting *more,
      size_t count)
{
	char name[128];

	snprintf(name, sizeof name, "%s, %s", test, kind->plugin);
	if (!nn_test_has_library(kind->library)) {
		unit_skip(name, "its library is not there: ./bootstrap libraries");
		return false;
	}
	plugins = nn_test_plugins(more, count);
	return true;
}

static void
stop(void)
{
	vm_plugins_reply_clear(&reply);
	vm_plugins_free(plugins);
}

static struct nn_file
model_of(const struct kind *kind, const char *stem)
{
	char name[64];

	snprintf(name, sizeof name, "%s.%s", stem, kind->suffix);
	return nn_test_model(name);
}

/* Ask; what is in reply before is cleared. */
static enum vm_status
ask(const struct kind *kind, const char *operation, const char *json, const struct vm_str *buffers,
    uint32_t count)
{
	vm_plugins_reply_clear(&reply);
	err.message[0] = '\0';
	return nn_test_operate(plugins, kind->plugin, operation, json, buffers, count, &reply,
	                       &err);
}

static void
load(const struct kind *kind, const char *stem)
{
	struct nn_file model = model_of(kind, stem);
	const struct vm_str bytes = { (const char *)model.data, model.len };

	ck_assert_msg(ask(kind, "load", "{\"model\":\"m\"}", &bytes, 1) == VM_OK, "%s: %s",
	              kind->plugin, err.message);
	free(model.data);
}

/* --- what a network says ---------------------------------------------------------------------- */

START_TEST(a_network_gives_what_plain_loops_give)
{
	const struct kind *kind = &kinds[_i];
	struct nn_file image = nn_test_model("network.in");
	struct nn_file expected = nn_test_model("network.out");
	const struct vm_str data = { (const char *)image.data, image.len };

	if (!start(kind, "a_network_gives_what_plain_loops_give", NULL, 0))
		return;
	load(kind, "network");
	ck_assert_msg(strstr(reply.json.data, "\"name\":\"image\"") != NULL, "%s",
	              reply.json.data);
	ck_assert_msg(strstr(reply.json.data, "\"name\":\"classes\"") != NULL, "%s",
	              reply.json.data);
	for (int i = 0; i < 3; i++) {
		enum vm_status st = ask(kind, "infer",
		                        "{\"model\":\"m\",\"inputs\":[{\"name\":\"image\","
		                        "\"datatype\":\"FP32\",\"shape\":[1,8,8,3]}]}",
		                        &data, 1);
		ck_assert_msg(st == VM_OK, "%s: %s", kind->plugin, err.message);
		ck_assert_str_eq(reply.json.data,
		                 "{\"outputs\":[{\"name\":\"classes\",\"datatype\":\"FP32\","
		                 "\"shape\":[1,10]}]}");
		ck_assert_uint_eq(reply.buffer_count, 1);
		ck_assert_uint_eq(reply.buffers[0].len, CLASSES * sizeof(float));
		ck_assert_double_le(nn_test_difference((float *)(void *)reply.buffers[0].data,
		                                       (float *)(void *)expected.data, CLASSES),
		                    1e-5);
	}
	stop();
	free(image.data);
	free(expected.data);
}
END_TEST

START_TEST(a_network_gives_what_the_library_gives_itself)
{
	const struct kind *kind = &kinds[_i];
	struct nn_file image = nn_test_model("wide.in");
	const struct vm_str data = { (const char *)image.data, image.len };
	struct direct direct;
	float answer[CLASSES];
	char name[64];

	if (!start(kind, "a_network_gives_what_the_library_gives_itself", NULL, 0))
		return;
	snprintf(name, sizeof name, "wide.%s", kind->suffix);
	ck_assert(direct_open(&direct, kind->plugin, name, 96, 2));
	ck_assert(direct.run(&direct, (float *)(void *)image.data, answer, CLASSES));
	load(kind, "wide");
	enum vm_status st = ask(kind, "infer",
	                        "{\"model\":\"m\",\"inputs\":[{\"name\":\"image\",\"datatype\":"
	                        "\"FP32\",\"shape\":[1,96,96,3]}]}",
	                        &data, 1);
	ck_assert_msg(st == VM_OK, "%s: %s", kind->plugin, err.message);
	ck_assert_double_le(nn_test_difference((float *)(void *)reply.buffers[0].data, answer,
	                                       CLASSES), 1e-5);
	stop();
	direct_close(&direct);
	free(image.data);
}
END_TEST

#define TWO(name) "{\"name\":\"" name "\",\"datatype\":\"FP32\",\"shape\":[2,2]}"

START_TEST(outputs_come_in_the_order_asked_for)
{
	static const float numbers[2][4] = { { 1, 2, 3, 4 }, { 10, 20, 30, 40 } };
	static const float sum[4] = { 11, 22, 33, 44 };
	static const float product[4] = { 10, 40, 90, 160 };
	const struct vm_str data[2] = { { (const char *)numbers[1], 16 },
		                        { (const char *)numbers[0], 16 } };
	const struct kind *kind = &kinds[_i];

	if (!start(kind, "outputs_come_in_the_order_asked_for", NULL, 0))
		return;
	load(kind, "two");
	enum vm_status st =
	    ask(kind, "infer",
	        "{\"model\":\"m\",\"inputs\":[" TWO("b") "," TWO("a") "],"
	        "\"outputs\":[{\"name\":\"product\"},{\"name\":\"sum\"},{\"name\":\"product\"}]}",
	        data, 2);
	ck_assert_msg(st == VM_OK, "%s", err.message);
	ck_assert_uint_eq(reply.buffer_count, 3);
	ck_assert_mem_eq(reply.buffers[0].data, product, 16);
	ck_assert_mem_eq(reply.buffers[1].data, sum, 16);
	ck_assert_mem_eq(reply.buffers[2].data, product, 16);
	stop();
}
END_TEST

START_TEST(texts_come_through)
{
	static const char texts[] = "\4\0\0\0abcd\0\0\0\0";
	const struct vm_str data = { texts, sizeof texts - 1 };
	const struct kind *kind = &kinds[_i];
	char json[400];

	if (!start(kind, "texts_come_through", NULL, 0))
		return;
	load(kind, kind->texts);
	snprintf(json, sizeof json,
	         "{\"model\":\"m\",\"inputs\":[{\"name\":\"%s\",\"datatype\":\"BYTES\",\"shape\":"
	         "[2]}],\"outputs\":[{\"name\":\"%s\"}]}",
	         kind->texts_in, kind->texts_out);
	enum vm_status st = ask(kind, "infer", json, &data, 1);
	ck_assert_msg(st == VM_OK, "%s", err.message);
	ck_assert_msg(strstr(reply.json.data, kind->texts_shape) != NULL, "%s", reply.json.data);
	ck_assert_uint_eq(reply.buffers[0].len, sizeof texts - 1);
	for (size_t i = 0; i < sizeof texts - 1; i++) /* TensorFlow's are capitals */
		ck_assert_int_eq(tolower(reply.buffers[0].data[i]), texts[i]);
	stop();
}
END_TEST

START_TEST(a_failed_run_leaves_the_model_usable)
{
	const struct kind *kind = &kinds[_i];
	char json[400];

	if (!start(kind, "a_failed_run_leaves_the_model_usable", NULL, 0))
		return;
	load(kind, kind->failing);
	for (int i = 0; i < 4; i++) {
		const bool is_bad = i % 2 == 0;
		snprintf(json, sizeof json,
		         "{\"model\":\"m\",\"inputs\":[{\"name\":%s,\"shape\":%s}],\"outputs\":[{"
		         "\"name\":\"%s\"}]}",
		         kind->failing_input, is_bad ? kind->bad_shape : kind->good_shape,
		         strcmp(kind->suffix, "pb") == 0 ? "reshaped" : "value");
		enum vm_status st = ask(kind, "infer", json, is_bad ? &kind->bad : &kind->good, 1);
		ck_assert_msg(st == (is_bad ? VM_E_ARGUMENT : VM_OK), "%d: %s", i, err.message);
		ck_assert_uint_eq(reply.buffer_count, is_bad ? 0 : 1);
	}
	stop();
}
END_TEST

/* --- what is refused -------------------------------------------------------------------------- */

#define SUM "\"outputs\":[{\"name\":\"sum\"}]"

static const struct refusal {
	const char *json;
	uint32_t len; /* of each buffer */
	uint32_t count;
	enum vm_status status;
	const char *message;
} refusals[] = {
	{ "{\"model\":\"other\",\"inputs\":[]}", 0, 0, VM_E_NOT_FOUND, "other is not loaded" },
	{ "{\"model\":\"m\",\"inputs\":[" TWO("a") "," TWO("c") "]," SUM "}", 16, 2, VM_E_ARGUMENT,
	  "no input c" },
	{ "{\"model\":\"m\",\"inputs\":[" TWO("a") "," TWO("a") "]," SUM "}", 16, 2, VM_E_ARGUMENT,
	  "a is given twice" },
	{ "{\"model\":\"m\",\"inputs\":[" TWO("a") "," TWO("b") "],\"outputs\":[{\"name\":\"x\"}]}",
	  16, 2, VM_E_ARGUMENT, "no output x" },
	{ "{\"model\":\"m\",\"inputs\":[" TWO("a") "," TWO("b") "]," SUM "}", 15, 2, VM_E_ARGUMENT,
	  "a has 15 bytes" },
	{ "{\"model\":\"m\",\"inputs\":[" TWO("a") "," TWO("b") "]," SUM "}", 16, 1, VM_E_ARGUMENT,
	  "2 entries, but there are 1 buffers" },
	{ "{\"model\":\"m\",\"inputs\":[" TWO("b") ",{\"name\":\"a\",\"datatype\":\"INT32\","
	  "\"shape\":[2,2]}]," SUM "}", 16, 2, VM_E_ARGUMENT, "a is INT32, expected FP32" },
	{ "{\"model\":\"m\",\"inputs\":[" TWO("b") ",{\"name\":\"a\",\"datatype\":\"FP32\","
	  "\"shape\":[4]}]," SUM "}", 16, 2, VM_E_ARGUMENT, "the shape [4], expected [2,2]" },
	{ "{\"model\":\"m\",\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":"
	  "[4611686018427387904,4]}]," SUM "}", 0, 1, VM_E_ARGUMENT, "the shape" },
};

START_TEST(wrong_requests_are_refused_before_the_library_sees_them)
{
	static const char zeros[16];
	const struct kind *kind = &kinds[_i];
	struct vm_str data[2];

	if (!start(kind, "wrong_requests_are_refused_before_the_library_sees_them", NULL, 0))
		return;
	load(kind, "two");
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct refusal *refusal = &refusals[i];
		data[0] = data[1] = (struct vm_str){ zeros, refusal->len };
		enum vm_status st = ask(kind, "infer", refusal->json, data, refusal->count);
		ck_assert_msg(st == refusal->status && strstr(err.message,
		                                              refusal->message) != NULL,
		              "%s %zu: %d %s", kind->plugin, i, (int)st, err.message);
	}
	stop();
}
END_TEST

START_TEST(what_is_no_model_is_refused)
{
	const struct vm_str junk[] = { VM_STR(""), VM_STR("\xff"),
	                               VM_STR("this is no model at all"),
		                       VM_STR("\0\0\0\0TFL3\0\0\0\0\0\0\0\0") };
	const struct kind *kind = &kinds[_i];

	if (!start(kind, "what_is_no_model_is_refused", NULL, 0))
		return;
	for (size_t i = 1; i < sizeof junk / sizeof *junk; i++) {
		enum vm_status st = ask(kind, "load", "{\"model\":\"m\"}", &junk[i], 1);
		ck_assert_msg(st == VM_E_DATA, "%s %zu: %d %s", kind->plugin, i, (int)st,
		              err.message);
	}
	ck_assert_int_eq(ask(kind, "load", "{\"model\":\"m\"}", NULL, 0), VM_E_ARGUMENT);
	ck_assert_int_eq(ask(kind, "load", "{\"model\":\"m\",\"format\":\"x\"}", junk, 1),
	                 VM_E_ARGUMENT);
	ck_assert_int_eq(ask(kind, "load", "{\"model\":\"\"}", junk, 1), VM_E_ARGUMENT);
	stop();
}
END_TEST

START_TEST(a_digest_has_to_be_that_of_the_bytes)
{
	static const char wrong[] = "{\"model\":\"sha256:"
		"0000000000000000000000000000000000000000000000000000000000000000\"}";
	const struct kind *kind = &kinds[_i];
	struct nn_file model = model_of(kind, "two");
	const struct vm_str bytes = { (const char *)model.data, model.len };
	char json[128];

	if (!start(kind, "a_digest_has_to_be_that_of_the_bytes", NULL, 0))
		return;
	ck_assert_int_eq(ask(kind, "load", wrong, &bytes, 1), VM_E_ARGUMENT);
	const char *digest = strstr(err.message, "sha256:");
	ck_assert_ptr_nonnull(digest);
	snprintf(json, sizeof json, "{\"model\":\"%.71s\"}", digest);
	ck_assert_int_eq(ask(kind, "load", json, &bytes, 1), VM_OK);
	stop();
	free(model.data);
}
END_TEST

/* --- what is kept ----------------------------------------------------------------------------- */

START_TEST(models_that_were_not_used_leave_when_memory_is_short)
{
	const struct kind *kind = &kinds[_i];
	const struct vm_plugins_setting settings[] = {
		{ .plugin = kind->plugin, .option = "memory_max", .value = "220KiB" },
	};
	struct nn_file model = model_of(kind, "two");
	const struct vm_str bytes = { (const char *)model.data, model.len };
	static const char *const left[] = { "a", "c", "d" };
	char json[64];

	if (!start(kind, "models_that_were_not_used_leave_when_memory_is_short", settings, 1))
		return;
	/* Three are kept: 64 KiB each and a little. a is used, so b leaves for d. */
	for (int i = 0; i < 4; i++) {
		snprintf(json, sizeof json, "{\"model\":\"%c\"}", 'a' + i);
		ck_assert_msg(ask(kind, "load", json, &bytes, 1) == VM_OK, "%s", err.message);
		if (i == 2)
			ck_assert_int_eq(ask(kind, "describe",
			                     "{\"model\":\"a\",\"names\":[\"a\"]}",
			                     NULL, 0), VM_OK);
	}
	ck_assert_int_eq(ask(kind, "describe", "{\"model\":\"b\",\"names\":[]}", NULL, 0),
	                 VM_E_NOT_FOUND);
	for (int i = 0; i < 3; i++) {
		snprintf(json, sizeof json, "{\"model\":\"%s\",\"names\":[]}", left[i]);
		ck_assert_msg(ask(kind, "describe", json, NULL, 0) == VM_OK, "%s", left[i]);
	}
	ck_assert_int_eq(ask(kind, "unload", "{\"model\":\"c\"}", NULL, 0), VM_OK);
	ck_assert_int_eq(ask(kind, "unload", "{\"model\":\"c\"}", NULL, 0), VM_E_NOT_FOUND);
	stop();
	free(model.data);
}
END_TEST

START_TEST(tenants_do_not_see_each_others_models)
{
	const struct kind *kind = &kinds[_i];
	struct nn_file model = model_of(kind, "two");
	const struct vm_str bytes = { (const char *)model.data, model.len };
	struct vm_plugin_request request = { .json = VM_STR("{\"model\":\"m\"}"), .buffers = &bytes,
		                             .buffer_count = 1, .tenant = VM_STR("ann") };

	if (!start(kind, "tenants_do_not_see_each_others_models", NULL, 0))
		return;
	ck_assert_int_eq(vm_plugins_operate(plugins, kind->plugin, "load", &request, &reply, &err),
	                 VM_OK);
	vm_plugins_reply_clear(&reply);
	request.buffer_count = 0;
	request.tenant = VM_STR("bob");
	ck_assert_int_eq(vm_plugins_operate(plugins, kind->plugin, "unload", &request, &reply,
	                                    &err),
	                 VM_E_NOT_FOUND);
	request.tenant = VM_STR("an");
	request.json = VM_STR("{\"model\":\"nm\"}");
	ck_assert_int_eq(vm_plugins_operate(plugins, kind->plugin, "unload", &request, &reply,
	                                    &err),
	                 VM_E_NOT_FOUND);
	request.tenant = VM_STR("ann");
	request.json = VM_STR("{\"model\":\"m\"}");
	ck_assert_int_eq(vm_plugins_operate(plugins, kind->plugin, "unload", &request, &reply,
	                                    &err),
	                 VM_OK);
	stop();
	free(model.data);
}
END_TEST

START_TEST(a_model_larger_than_all_memory_is_refused)
{
	const struct kind *kind = &kinds[_i];
	const struct vm_plugins_setting settings[] = {
		{ .plugin = kind->plugin, .option = "memory_max", .value = "1KiB" },
	};

	if (!start(kind, "a_model_larger_than_all_memory_is_refused", settings, 1))
		return;
	char name[64];
	snprintf(name, sizeof name, "two.%s", kind->suffix);
	ck_assert_int_eq(nn_test_load(plugins, kind->plugin, name, &err), VM_E_LIMIT);
	ck_assert_ptr_nonnull(strstr(err.message, "memory_max is 1024"));
	stop();
}
END_TEST

START_TEST(a_library_that_is_missing_is_named)
{
	const struct kind *kind = &kinds[_i];
	const struct vm_plugins_setting settings[] = {
		{ .plugin = kind->plugin, .option = "library", .value = "/nowhere/at/all.so" },
	};
	struct vm_plugins_info info;
	char name[64];

	plugins = nn_test_plugins(settings, 1);
	vm_plugins_info(plugins, (uint32_t)vm_plugins_find(plugins, kind->plugin), &info);
	ck_assert_ptr_nonnull(info.plugin);
	ck_assert_ptr_nonnull(info.why_not);
	ck_assert_msg(strstr(info.why_not, kind->library) != NULL &&
	              strstr(info.why_not, "set the option library") != NULL, "%s", info.why_not);
	snprintf(name, sizeof name, "two.%s", kind->suffix);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(nn_test_load(plugins, kind->plugin, name, &err), VM_E_UNSUPPORTED);
	ck_assert_str_eq(err.message, info.why_not);
	stop();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("inference");
	TCase *tc = tcase_create("operations");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_network_gives_what_plain_loops_give, 0, KIND_COUNT);
	tcase_add_loop_test(tc, a_network_gives_what_the_library_gives_itself, 0, KIND_COUNT);
	tcase_add_loop_test(tc, outputs_come_in_the_order_asked_for, 0, KIND_COUNT);
	tcase_add_loop_test(tc, texts_come_through, 0, KIND_COUNT);
	tcase_add_loop_test(tc, a_failed_run_leaves_the_model_usable, 0, KIND_COUNT);
	tcase_add_loop_test(tc, wrong_requests_are_refused_before_the_library_sees_them, 0,
	                    KIND_COUNT);
	tcase_add_loop_test(tc, what_is_no_model_is_refused, 0, KIND_COUNT);
	tcase_add_loop_test(tc, a_digest_has_to_be_that_of_the_bytes, 0, KIND_COUNT);
	tcase_add_loop_test(tc, models_that_were_not_used_leave_when_memory_is_short, 0,
	                    KIND_COUNT);
	tcase_add_loop_test(tc, tenants_do_not_see_each_others_models, 0, KIND_COUNT);
	tcase_add_loop_test(tc, a_model_larger_than_all_memory_is_refused, 0, KIND_COUNT);
	tcase_add_loop_test(tc, a_library_that_is_missing_is_named, 0, KIND_COUNT);
	suite_add_tcase(suite, tc);
	return suite;
}
