/*
 * tensorflow.c - a guest that calls all functions of wasmedge_tensorflow, of both generations.
 *
 * The argument is what to do: all; or one that ends in a trap. A second argument is the folder of
 * the SavedModel as the host knows it.
 */
#include "tests/plugins/nn/check.h"

#define NEW(name) IMPORT("wasmedge_tensorflow", name)
#define OLD(name) IMPORT("wasmedge_tensorflow", "wasmedge_tensorflow_" name)
#define FLOAT 1
#define TEXT 7

struct tag {
	const char *text;
	uint32_t len;
};

NEW("create_session") uint32_t create_session(const void *, uint32_t, uint32_t *);
NEW("create_session_saved_model")
uint32_t create_session_saved_model(const char *, uint32_t, const struct tag *, uint32_t,
                                    uint32_t *);
NEW("delete_session") uint32_t delete_session(uint32_t);
NEW("run_session") uint32_t run_session(uint32_t);
NEW("get_output_tensor") uint32_t get_output_tensor(uint32_t, const char *, uint32_t, uint32_t *);
NEW("get_tensor_len") uint32_t get_tensor_len(uint32_t, uint32_t, uint32_t *);
NEW("get_tensor_data")
uint32_t get_tensor_data(uint32_t, uint32_t, void *, uint32_t, uint32_t *);
NEW("append_input")
uint32_t append_input(uint32_t, const char *, uint32_t, const int64_t *, uint32_t, uint32_t,
                      const void *, uint32_t);
NEW("append_output") uint32_t append_output(uint32_t, const char *, uint32_t);
NEW("clear_input") uint32_t clear_input(uint32_t);
NEW("clear_output") uint32_t clear_output(uint32_t);

OLD("create_session") uint64_t old_create_session(const void *, uint32_t);
OLD("delete_session") void old_delete_session(uint64_t);
OLD("run_session") uint32_t old_run_session(uint64_t);
OLD("get_output_tensor") uint64_t old_get_output_tensor(uint64_t, const char *, uint32_t, uint32_t);
OLD("get_tensor_len") uint32_t old_get_tensor_len(uint64_t);
OLD("get_tensor_data") void old_get_tensor_data(uint64_t, void *);
OLD("append_input")
void old_append_input(uint64_t, const char *, uint32_t, uint32_t, const int64_t *, uint32_t,
                      uint32_t, const void *, uint32_t);
OLD("append_output") void old_append_output(uint64_t, const char *, uint32_t, uint32_t);
OLD("clear_input") void old_clear_input(uint64_t);
OLD("clear_output") void old_clear_output(uint64_t);

static const int64_t square[2] = { 2, 2 };
static const float numbers[4] = { 1, 2, 3, 4 };

static void
run_network(uint32_t session, const char *input, const char *output)
{
	static const int64_t dims[4] = { 1, 8, 8, 3 };
	struct bytes image = file("network.in");
	struct bytes expected = file("network.out");
	uint8_t answer[44];
	uint32_t tensor, len;

	IS(append_input(session, input, strlen(input), dims, 4, FLOAT, image.data, image.len), 0);
	IS(append_output(session, output, strlen(output)), 0);
	IS(append_output(session, output, strlen(output)), 0);
	IS(get_output_tensor(session, output, strlen(output), &tensor), 0);
	IS(tensor, 0);
	IS(get_tensor_len(session, tensor, &len), 0);
	IS(len, 0); /* there is none before a run */
	IS(get_tensor_data(session, tensor, answer, 40, &len), 0);
	IS(len, 0);
	for (int i = 0; i < 2; i++) {
		IS(run_session(session), 0);
		IS(get_tensor_len(session, tensor, &len), 0);
		IS(len, 40);
		IS(get_tensor_data(session, tensor, answer, sizeof answer, &len), 0);
		IS(len, 40);
		IS(is_near(answer, expected.data, 10), 1);
	}
	IS(get_tensor_data(session, tensor, answer, 7, &len), 0);
	IS(len, 7);
	IS(delete_session(session), 0);
}

static void
test_network(void)
{
	struct bytes model = file("network.pb");
	uint32_t session;

	IS(create_session(model.data, model.len, &session), 0);
	IS(session, 0);
	memset(model.data, 0, model.len);
	run_network(session, "image", "classes");
	model = file("network.pb");
	IS(create_session(model.data, model.len, &session), 0);
	run_network(session, "image:0", "classes:0");
}

static void
test_errors(void)
{
	struct bytes model = file("two.pb");
	struct bytes reader = file("file.pb");
	struct bytes hidden = file("hidden-file.pb");
	uint32_t session, tensor = 9, len = 9;
	float out[4];

	IS(create_session("no graph", 8, &session), 1);
	IS(create_session(reader.data, reader.len, &session), 1);
	IS(create_session(hidden.data, hidden.len, &session), 1);
	IS(create_session(FAR, 100, &session), 3);
	IS(create_session(model.data, model.len, EDGE), 3);
	IS(create_session(model.data, model.len, &session), 0);
	IS(append_input(session + 1, FAR, 9, FAR, 9, 99, FAR, 9), 1);
	IS(append_output(session + 1, FAR, 9), 1);
	IS(get_output_tensor(session + 1, FAR, 9, FAR), 1);
	IS(get_tensor_len(session + 1, 0, FAR), 1);
	IS(get_tensor_data(session + 1, 0, FAR, 9, FAR), 1);
	IS(clear_input(session + 1), 1);
	IS(clear_output(session + 1), 1);
	IS(run_session(session + 1), 1);
	IS(run_session(session), 4); /* no output is wanted */
	IS(append_input(session, FAR, 9, square, 2, FLOAT, numbers, 16), 3);
	IS(append_input(session, "a", 1, FAR, 2, FLOAT, numbers, 16), 3);
	IS(append_input(session, "a", 1, square, 0x20000001u, FLOAT, numbers, 16), 3);
	IS(append_input(session, "a", 1, square, 2, FLOAT, FAR, 17), 3);
	IS(append_input(session, "none", 4, square, 2, FLOAT, numbers, 16), 1);
	IS(append_input(session, "a:1", 3, square, 2, FLOAT, numbers, 16), 1);
	IS(append_input(session, "a:x", 3, square, 2, FLOAT, numbers, 16), 1);
	IS(append_input(session, "a:99999999999999999999", 22, square, 2, FLOAT, numbers, 16), 1);
	IS(append_input(session, "a", 1, square, 2, 99, numbers, 16), 1);
	IS(append_input(session, "a", 1, square, 2, FLOAT, numbers, 15), 1);
	IS(append_input(session, "a", 1, (const int64_t[]){ -2, -2 }, 2, FLOAT, numbers, 16), 1);
	IS(append_input(session, "a", 1, (const int64_t[]){ INT64_MAX, 8 }, 2, FLOAT, numbers, 0),
	   1);
	IS(append_output(session, FAR, 3), 3);
	IS(append_output(session, "none", 4), 1);
	IS(append_output(session, "sum:1", 5), 1);
	IS(append_output(session, "sum", 3), 0);
	IS(get_output_tensor(session, "product", 7, &tensor), 1); /* never appended */
	IS(get_output_tensor(session, FAR, 3, &tensor), 3);
	IS(get_output_tensor(session, "sum", 3, EDGE), 3);
	IS(tensor, 9);
	IS(run_session(session), 4); /* nothing is fed */
	IS(append_input(session, "a", 1, square, 2, FLOAT, numbers, 16), 0);
	IS(append_input(session, "b:0", 3, square, 2, FLOAT, numbers, 16), 0);
	IS(append_input(session, "b", 1, square, 2, FLOAT, numbers, 16), 0);
	IS(run_session(session), 0);
	IS(get_output_tensor(session, "sum:0", 5, &tensor), 0);
	IS(get_tensor_len(session, tensor, EDGE), 3);
	IS(get_tensor_len(session, tensor + 1, &len), 1);
	IS(get_tensor_data(session, tensor, FAR, 16, &len), 3);
	IS(get_tensor_data(session, tensor, out, 16, EDGE), 3);
	IS(get_tensor_data(session, tensor + 1, out, 16, &len), 1);
	IS(len, 9);
	IS(get_tensor_data(session, tensor, out, 16, &len), 0);
	IS(out[3] == 8.0f, 1);
	/* any tensor of the graph can be fed, but then not fetched */
	IS(clear_input(session), 0);
	IS(clear_output(session), 0);
	IS(get_tensor_len(session, tensor, &len), 1);
	IS(append_input(session, "sum", 3, square, 2, FLOAT, numbers, 16), 0);
	IS(append_output(session, "sum", 3), 0);
	IS(run_session(session), 4);
	IS(delete_session(session), 0);
	IS(delete_session(session), 0);
}

/* Types other than the operation's, shapes that fail within the library, and texts. */
static void
test_runs(void)
{
	static const char texts[] = "\1\0\0\0a\0\0\0\0\036\0\0\0abcdefghijklmnopqrstuvwxyz1234";
	struct bytes model = file("two.pb");
	uint32_t session, tensor, len;
	char out[64];

	IS(create_session(model.data, model.len, &session), 0);
	IS(append_output(session, "reshaped", 8), 0);
	IS(get_output_tensor(session, "reshaped", 8, &tensor), 0);
	for (int i = 0; i < 3; i++) {
		IS(append_input(session, "any", 3, (const int64_t[]){ 3 }, 1, FLOAT, numbers, 12),
		   0);
		IS(run_session(session), 4);
		IS(get_tensor_len(session, tensor, &len), 0);
		IS(len, 0);
		IS(append_input(session, "any", 3, (const int64_t[]){ 4 }, 1, 3, numbers, 16), 0);
		IS(run_session(session), 4); /* int32 for floats */
		IS(append_input(session, "any", 3, (const int64_t[]){ 4 }, 1, FLOAT, numbers, 16),
		   0);
		IS(run_session(session), 0);
		IS(get_tensor_data(session, tensor, out, 16, &len), 0);
		IS(memcmp(out, numbers, 16), 0);
	}
	IS(clear_input(session), 0);
	IS(clear_output(session), 0);
	IS(append_input(session, "texts", 5, (const int64_t[]){ 3 }, 1, TEXT, texts,
	                sizeof texts - 1), 0);
	IS(append_input(session, "texts", 5, (const int64_t[]){ 2 }, 1, TEXT, texts,
	                sizeof texts - 1), 1);
	IS(append_output(session, "capitals", 8), 0);
	IS(get_output_tensor(session, "capitals", 8, &tensor), 0);
	IS(run_session(session), 0);
	IS(get_tensor_data(session, tensor, out, sizeof out, &len), 0);
	IS(len, sizeof texts - 1);
	IS(memcmp(out, "\1\0\0\0A\0\0\0\0\036\0\0\0ABCDEFGHIJKLMNOPQRSTUVWXYZ1234", len), 0);
	IS(delete_session(session), 0);
}

static void
test_old_functions(void)
{
	struct bytes model = file("two.pb");
	float out[4] = { 0 };
	uint64_t stale = 0;

	IS(old_create_session("no model", 8), 0);
	for (int i = 0; i < 3; i++) {
		uint64_t session = old_create_session(model.data, model.len);
		IS(session != 0, 1);
		IS(session != stale, 1);
		IS(old_run_session(stale), 1);
		old_append_input(session, "a", 1, 0, square, 2, FLOAT, numbers, 16);
		old_append_input(session, "b", 1, 0, square, 2, FLOAT, numbers, 16);
		old_append_output(session, "sum", 3, 0);
		old_append_output(session, "product", 7, 0);
		IS(old_get_output_tensor(session, "sum", 3, 0), 0); /* before a run */
		IS(old_run_session(session), 0);
		IS(old_run_session(session), 0);
		uint64_t tensor = old_get_output_tensor(session, "product", 7, 0);
		IS(tensor != 0, 1);
		IS(old_get_output_tensor(session, "product", 7, 1), 0);
		IS(old_get_output_tensor(session, "none", 4, 0), 0);
		IS(old_get_tensor_len(tensor), 16);
		old_get_tensor_data(tensor, out);
		IS(out[3] == 16.0f, 1);
		IS(old_run_session(tensor), 1);
		/* a name that is not there lets the run fail, until it is cleared */
		old_append_output(session, "none", 4, 0);
		IS(old_run_session(session), 1);
		IS(old_get_tensor_len(tensor), 0);
		old_get_tensor_data(tensor, out);
		IS(old_run_session(session), 1);
		old_clear_output(session);
		old_append_output(session, "sum", 3, 0);
		IS(old_run_session(session), 0);
		old_append_input(session, "none", 4, 0, square, 2, FLOAT, numbers, 16);
		IS(old_run_session(session), 1);
		old_clear_input(session);
		IS(old_run_session(session), 1);
		old_append_input(session, "a", 1, 0, square, 2, FLOAT, numbers, 15);
		old_append_input(session, "a", 1, 0, square, 2, FLOAT, numbers, 16);
		old_append_input(session, "b", 1, 0, square, 2, FLOAT, numbers, 16);
		IS(old_run_session(session), 0);
		old_append_input(0, "b", 1, 0, square, 2, FLOAT, numbers, 16);
		old_append_output(1, "sum", 3, 0);
		old_clear_input(2);
		old_clear_output(3);
		IS(old_get_tensor_len(0), 0);
		old_delete_session(session);
		old_delete_session(session);
		stale = session;
	}
}

static void
test_saved_model(const char *path)
{
	const struct tag serve = { "serve", 5 };
	const struct tag other = { "other", 5 };
	const struct tag outside = { FAR, 5 };
	uint32_t session;

	IS(create_session_saved_model("/etc", 4, &serve, 1, &session), 1);
	IS(create_session_saved_model("nowhere", 7, &serve, 1, &session), 1);
	if (path == NULL)
		return;
	IS(create_session_saved_model(FAR, 100, &serve, 1, &session), 3);
	IS(create_session_saved_model(path, strlen(path), FAR, 4, &session), 3);
	IS(create_session_saved_model(path, strlen(path), &outside, 1, &session), 3);
	IS(create_session_saved_model(path, strlen(path), &serve, 1, EDGE), 3);
	IS(create_session_saved_model(path, strlen(path), &serve, 17, &session), 1);
	IS(create_session_saved_model(path, strlen(path), &other, 1, &session), 1);
	IS(create_session_saved_model(path, strlen(path), &serve, 1, &session), 0);
	run_network(session, "picture", "answer");
	IS(create_session_saved_model(path, strlen(path), &serve, 1, &session), 0);
	run_network(session, "image:0", "classes:0");
}

static void
test_absence(void)
{
	struct bytes model = file("two.pb");
	uint32_t session;

	IS(create_session(model.data, model.len, &session), 5);
	IS(old_create_session(model.data, model.len), 0);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "all";
	struct bytes model = file("two.pb");

	if (strcmp(what, "all") == 0) {
		test_network();
		test_saved_model(argc > 2 ? argv[2] : NULL);
		test_errors();
		test_runs();
		test_old_functions();
	} else if (strcmp(what, "saved") == 0) {
		test_saved_model(NULL);
	} else if (strcmp(what, "absent") == 0) {
		test_absence();
	} else if (strcmp(what, "trap-model") == 0) {
		old_create_session(FAR, 100);
	} else {
		uint64_t session = strcmp(what, "trap-data") == 0
		                       ? old_create_session(model.data, model.len) : 0;
		if (strcmp(what, "trap-name") == 0)
			old_get_output_tensor(session, FAR, 100, 0);
		if (strcmp(what, "trap-dims") == 0)
			old_append_input(session, "a", 1, 0, FAR, 3, FLOAT, numbers, 16);
		if (strcmp(what, "trap-many-dims") == 0)
			old_append_input(session, "a", 1, 0, square, 0x20000000u, FLOAT, numbers,
			                 16);
		if (strcmp(what, "trap-input") == 0)
			old_append_input(session, "a", 1, 0, square, 2, FLOAT, FAR, 100);
		if (strcmp(what, "trap-output") == 0)
			old_append_output(session, FAR, 100, 0);
		old_append_input(session, "a", 1, 0, square, 2, FLOAT, numbers, 16);
		old_append_input(session, "b", 1, 0, square, 2, FLOAT, numbers, 16);
		old_append_output(session, "sum", 3, 0);
		old_run_session(session);
		if (strcmp(what, "trap-data") == 0)
			old_get_tensor_data(old_get_output_tensor(session, "sum", 3, 0), EDGE);
		return 98;
	}
	return verdict();
}
