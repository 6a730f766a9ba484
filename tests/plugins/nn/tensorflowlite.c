/*
 * tensorflowlite.c - a guest that calls all functions of wasmedge_tensorflowlite, of both
 * generations.
 *
 * The argument is what to do: all; or one that ends in a trap.
 */
#include "tests/plugins/nn/check.h"

#define NEW(name) IMPORT("wasmedge_tensorflowlite", name)
#define OLD(name) IMPORT("wasmedge_tensorflowlite", "wasmedge_tensorflowlite_" name)

NEW("create_session") uint32_t create_session(const void *, uint32_t, uint32_t *);
NEW("delete_session") uint32_t delete_session(uint32_t);
NEW("run_session") uint32_t run_session(uint32_t);
NEW("get_output_tensor") uint32_t get_output_tensor(uint32_t, const char *, uint32_t, uint32_t *);
NEW("get_tensor_len") uint32_t get_tensor_len(uint32_t, uint32_t, uint32_t *);
NEW("get_tensor_data")
uint32_t get_tensor_data(uint32_t, uint32_t, void *, uint32_t, uint32_t *);
NEW("append_input")
uint32_t append_input(uint32_t, const char *, uint32_t, const void *, uint32_t);

OLD("create_session") uint64_t old_create_session(const void *, uint32_t);
OLD("delete_session") void old_delete_session(uint64_t);
OLD("run_session") uint32_t old_run_session(uint64_t);
OLD("get_output_tensor") uint64_t old_get_output_tensor(uint64_t, const char *, uint32_t);
OLD("get_tensor_len") uint32_t old_get_tensor_len(uint64_t);
OLD("get_tensor_data") void old_get_tensor_data(uint64_t, void *);
OLD("append_input")
void old_append_input(uint64_t, const char *, uint32_t, const void *, uint32_t);

static void
test_network(void)
{
	struct bytes model = file("network.tflite");
	struct bytes image = file("network.in");
	struct bytes expected = file("network.out");
	uint8_t answer[40];
	uint32_t session, again, tensor, len;

	IS(create_session(model.data, model.len, &session), 0);
	IS(session, 0);
	memset(model.data, 0, model.len); /* it has a copy */
	IS(append_input(session, "image", 5, image.data, image.len), 0);
	IS(get_output_tensor(session, "classes", 7, &tensor), 0);
	IS(get_tensor_len(session, tensor, &len), 0);
	IS(len, 40); /* known before a run, */
	IS(get_tensor_data(session, tensor, answer, 40, &len), 0);
	IS(*(float *)(void *)answer == 0.0f, 1); /* and zeros */
	for (int i = 0; i < 3; i++) {
		memset(answer, 0, sizeof answer);
		len = 0;
		IS(run_session(session), 0);
		IS(get_tensor_data(session, tensor, answer, 40, &len), 0);
		IS(len, 40);
		IS(is_near(answer, expected.data, 10), 1);
	}
	/* numbers are used again */
	model = file("network.tflite");
	IS(create_session(model.data, model.len, &again), 0);
	IS(again, 1);
	IS(delete_session(session), 0);
	IS(run_session(session), 1);
	IS(create_session(model.data, model.len, &session), 0);
	IS(session, 0);
	IS(delete_session(session), 0);
	IS(delete_session(again), 0);
	IS(delete_session(again), 0);
	IS(delete_session(77), 0);
}

static void
test_errors(void)
{
	struct bytes model = file("two.tflite");
	struct bytes unknown = file("unknown.tflite");
	static const float ones[4] = { 1, 1, 1, 1 };
	float out[4];
	uint32_t session, tensor = 9, len = 9;

	IS(create_session("no model at all", 15, &session), 1);
	IS(create_session("", 0, &session), 1);
	IS(create_session(unknown.data, unknown.len, &session), 4);
	IS(create_session(FAR, 100, &session), 3);
	IS(create_session(model.data, 0xffffffffu, &session), 3);
	IS(create_session(model.data, model.len, EDGE), 3);
	IS(create_session(model.data, model.len, &session), 0);
	/* no such session comes before all else */
	IS(append_input(session + 1, FAR, 5, FAR, 9), 1);
	IS(get_output_tensor(session + 1, FAR, 5, FAR), 1);
	IS(get_tensor_len(session + 1, 0, FAR), 1);
	IS(get_tensor_data(session + 1, 0, FAR, 5, FAR), 1);
	IS(run_session(session + 1), 1);
	IS(append_input(session, FAR, 1, ones, 16), 3);
	IS(append_input(session, "a", 1, FAR, 16), 3);
	IS(append_input(session, "x", 1, ones, 16), 1);
	IS(append_input(session, "a\0", 2, ones, 16), 1);
	IS(append_input(session, "a", 1, ones, 15), 1);
	IS(append_input(session, "a", 1, ones, 0), 1);
	IS(append_input(session, "a", 1, ones, 16), 0);
	IS(append_input(session, "b", 1, ones, 16), 0);
	IS(get_output_tensor(session, FAR, 3, &tensor), 3);
	IS(get_output_tensor(session, "sum", 3, EDGE), 3);
	IS(get_output_tensor(session, "summ", 4, &tensor), 1);
	IS(get_output_tensor(session, "sum", 2, &tensor), 1);
	IS(tensor, 9);
	IS(get_output_tensor(session, "sum", 3, &tensor), 0);
	IS(get_tensor_len(session, 2, &len), 1);
	IS(get_tensor_len(session, tensor, EDGE), 3);
	IS(run_session(session), 0);
	IS(get_tensor_data(session, tensor, FAR, 16, &len), 3);
	IS(get_tensor_data(session, tensor, out, 16, EDGE), 3);
	IS(get_tensor_data(session, tensor, out, 15, &len), 1);
	IS(get_tensor_data(session, 2, out, 16, &len), 1);
	IS(len, 9);
	IS(get_tensor_data(session, tensor, out, 16, &len), 0);
	IS(out[3] == 2.0f, 1);
	IS(delete_session(session), 0);
}

/* A run that fails, between two that do not. */
static void
test_failed_run(void)
{
	struct bytes model = file("failing.tflite");
	const int32_t good = 4, bad = 5;
	uint32_t session, tensor, len;
	float value[4];

	IS(create_session(model.data, model.len, &session), 0);
	IS(get_output_tensor(session, "value", 5, &tensor), 0);
	for (int i = 0; i < 3; i++) {
		IS(append_input(session, "index", 5, &bad, 4), 0);
		IS(run_session(session), 4);
		IS(append_input(session, "index", 5, &good, 4), 0);
		IS(run_session(session), 0);
		IS(get_tensor_len(session, tensor, &len), 0);
		IS(len, 16);
		IS(get_tensor_data(session, tensor, value, 16, &len), 0);
		IS(value[3] == 4.5f, 1);
	}
	IS(delete_session(session), 0);
}

static void
test_old_functions(void)
{
	struct bytes model = file("two.tflite");
	static const float ones[4] = { 1, 2, 3, 4 };
	static const float twos[4] = { 2, 2, 2, 2 };
	float out[4] = { 0 };
	uint64_t stale = 0;

	IS(old_create_session("no model", 8), 0);
	for (int i = 0; i < 3; i++) {
		uint64_t session = old_create_session(model.data, model.len);
		IS(session != 0, 1);
		IS(session != stale, 1);
		IS(old_run_session(stale), 1); /* a number used again is another handle */
		IS(old_get_output_tensor(session, "none", 4), 0);
		old_append_input(session, "a", 1, ones, 16);
		old_append_input(session, "b", 1, ones, 16);
		old_append_input(session, "b", 1, twos, 16);
		old_append_input(session, "b", 1, ones, 15); /* told, and nothing else */
		old_append_input(session, "c", 1, ones, 16);
		old_append_input(stale, "b", 1, ones, 16);
		IS(old_run_session(session), 0);
		IS(old_run_session(session), 0);
		uint64_t tensor = old_get_output_tensor(session, "product", 7);
		IS(tensor != 0, 1);
		IS(old_get_tensor_len(tensor), 16);
		old_get_tensor_data(tensor, out);
		IS(out[3] == 8.0f, 1);
		IS(old_run_session(tensor), 1); /* not a session */
		IS(old_get_tensor_len(session), 0); /* not a tensor */
		IS(old_get_tensor_len(tensor + 5), 0);
		IS(old_get_tensor_len(0), 0);
		old_get_tensor_data(0, out);
		old_get_tensor_data(UINT64_MAX, out);
		old_delete_session(session);
		old_delete_session(session);
		old_delete_session(0);
		IS(old_get_tensor_len(tensor), 0);
		IS(old_run_session(session), 1);
		stale = session;
	}
}

/* Both generations work on the same sessions; a program may have many. */
static void
test_many_sessions(void)
{
	struct bytes model = file("two.tflite");
	uint32_t session, count = 0;

	while (create_session(model.data, model.len, &session) == 0)
		count++;
	IS(count, 1024);
	IS(create_session(model.data, model.len, &session), 3);
	for (uint32_t i = 0; i < count; i++)
		IS(delete_session(i), 0);
}

/* What a guest sees without the library. */
static void
test_absence(void)
{
	struct bytes model = file("two.tflite");
	uint32_t session;

	IS(create_session(model.data, model.len, &session), 5);
	IS(old_create_session(model.data, model.len), 0);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "all";
	struct bytes model = file("two.tflite");

	if (strcmp(what, "all") == 0) {
		test_network();
		test_errors();
		test_failed_run();
		test_old_functions();
		test_many_sessions();
	} else if (strcmp(what, "absent") == 0) {
		test_absence();
	} else if (strcmp(what, "trap-model") == 0) {
		old_create_session(FAR, 100);
	} else {
		uint64_t session = old_create_session(model.data, model.len);
		if (strcmp(what, "trap-name") == 0)
			old_get_output_tensor(session, FAR, 100);
		if (strcmp(what, "trap-input") == 0)
			old_append_input(session, "a", 1, FAR, 100);
		if (strcmp(what, "trap-data") == 0)
			old_get_tensor_data(old_get_output_tensor(session, "sum", 3), FAR);
		return 98;
	}
	return verdict();
}
