/*
 * nn.c - a guest that calls all functions of wasi_ephemeral_nn, with models of three encodings.
 *
 * Arguments: an encoding's number, and the suffix of its models; or "absent", or "named".
 */
#include "tests/plugins/nn/check.h"

#define NN(name) IMPORT("wasi_ephemeral_nn", name)

struct builder {
	const void *data;
	uint32_t len;
};

struct tensor {
	const uint32_t *dims;
	uint32_t dim_count;
	uint32_t type;
	const void *data;
	uint32_t len;
};

NN("load") uint32_t load(const struct builder *, uint32_t, uint32_t, uint32_t, uint32_t *);
NN("load_by_name") uint32_t load_by_name(const char *, uint32_t, uint32_t *);
NN("load_by_name_with_config")
uint32_t load_by_name_with_config(const char *, uint32_t, const char *, uint32_t, uint32_t *);
NN("init_execution_context") uint32_t init_execution_context(uint32_t, uint32_t *);
NN("set_input") uint32_t set_input(uint32_t, uint32_t, const struct tensor *);
NN("compute") uint32_t compute(uint32_t);
NN("get_output") uint32_t get_output(uint32_t, uint32_t, void *, uint32_t, uint32_t *);
NN("compute_single") uint32_t compute_single(uint32_t);
NN("get_output_single")
uint32_t get_output_single(uint32_t, uint32_t, void *, uint32_t, uint32_t *);
NN("fini_single") uint32_t fini_single(uint32_t);
NN("unload") uint32_t unload(uint32_t);
NN("finalize_execution_context") uint32_t finalize_execution_context(uint32_t);

enum { F16, F32, F64, U8, I32, I64 };
enum { CPU, GPU, TPU, AUTO };

static struct bytes
model_file(const char *stem, const char *suffix)
{
	char name[64];

	snprintf(name, sizeof name, "%s.%s", stem, suffix);
	return file(name);
}

static void
run_network(uint32_t graph)
{
	static const uint32_t dims[4] = { 1, 8, 8, 3 };
	struct bytes image = file("network.in");
	struct bytes expected = file("network.out");
	const struct tensor input = { dims, 4, F32, image.data, image.len };
	uint8_t answer[48];
	uint32_t context, other, len = 9;

	IS(init_execution_context(graph, &context), 0);
	IS(init_execution_context(graph, &other), 0);
	IS(context != other, 1);
	IS(unload(graph), 0); /* contexts go on */
	IS(get_output(context, 0, answer, 40, &len), 5); /* nothing was computed */
	IS(compute(context), 5); /* nothing was given */
	IS(set_input(context, 0, &input), 0);
	for (int i = 0; i < 2; i++) {
		IS(compute(context), 0);
		IS(get_output(context, 0, answer, 39, &len), 7);
		IS(get_output(context, 0, answer, sizeof answer, &len), 0);
		IS(len, 40);
		IS(is_near(answer, expected.data, 10), 1);
	}
	IS(get_output(other, 0, answer, 40, &len), 5);
	IS(finalize_execution_context(other), 0);
	IS(finalize_execution_context(context), 0);
	IS(finalize_execution_context(context), 1);
	IS(compute(context), 1);
}

static void
test_network(uint32_t encoding, const char *suffix)
{
	struct bytes model = model_file("network", suffix);
	const struct builder builder = { model.data, model.len };
	uint32_t graph = 9;

	IS(load(&builder, 1, encoding, CPU, &graph), 0);
	IS(graph, 0);
	run_network(graph);
	IS(load(&builder, 1, 5, AUTO, &graph), 0); /* recognised by its bytes */
	run_network(graph);
	IS(unload(graph), 1);
}

static void
test_errors(uint32_t encoding, const char *suffix)
{
	static const uint32_t dims[2] = { 2, 2 };
	static const float ones[4] = { 1, 1, 1, 1 };
	struct bytes model = model_file("two", suffix);
	const struct builder builder = { model.data, model.len };
	const struct builder junk = { "this is no model", 16 };
	const struct builder outside = { FAR, 100 };
	const struct builder both[2] = { builder, builder };
	uint32_t graph, context, len = 9;
	float out[4];

	IS(load(FAR, 1, encoding, CPU, &graph), 3);
	IS(load(&builder, 0x20000001u, encoding, CPU, &graph), 3);
	IS(load(&outside, 1, encoding, CPU, &graph), 3);
	IS(load(&builder, 1, encoding, CPU, EDGE), 3);
	IS(load(&junk, 1, encoding, CPU, &graph), 1);
	IS(load(both, 2, encoding, CPU, &graph), 1);
	IS(load(both, 0, encoding, CPU, &graph), 1);
	IS(load(&builder, 1, 15, CPU, &graph), 2);
	IS(load(&builder, 1, encoding, 4, &graph), 1);
	IS(load(&builder, 1, encoding, GPU, &graph), 6);
	IS(load(&builder, 1, encoding, TPU, &graph), 6);
	IS(load(&builder, 1, 0, CPU, &graph), 6); /* OpenVINO */
	IS(load(&builder, 1, 6, CPU, &graph), 6); /* GGML */
	IS(load(&builder, 1, encoding, CPU, &graph), 0);
	IS(init_execution_context(graph + 1, &context), 1);
	IS(init_execution_context(graph, EDGE), 3);
	IS(init_execution_context(graph, &context), 0);

	const struct tensor good = { dims, 2, F32, ones, 16 };
	const struct tensor bad[] = {
		{ dims, 2, U8, ones, 16 },  { dims, 2, F64, ones, 16 }, { dims, 2, I64, ones, 16 },
		{ dims, 2, 6, ones, 16 },   { dims, 2, F32, ones, 15 }, { dims, 33, F32, ones, 16 },
		{ dims, 2, F16, ones, 8 },  { dims, 2, I32, ones, 16 },
	};
	const struct tensor far_dims = { FAR, 5, F32, ones, 16 };
	const struct tensor many_dims = { dims, 0x40000001u, F32, ones, 16 };
	const struct tensor far_data = { dims, 2, F32, FAR, 17 };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		IS(set_input(context, 0, &bad[i]), 1);
	IS(set_input(context, 0, &far_dims), 3);
	IS(set_input(context, 0, &many_dims), 3);
	IS(set_input(context, 0, &far_data), 3);
	IS(set_input(context, 0, FAR), 3);
	IS(set_input(context + 1, 0, &good), 1);
	IS(set_input(context, 7, &good), 1);
	IS(set_input(context, 0, &good), 0);
	IS(set_input(context, 1, &good), 0);
	if (encoding != 2) { /* a graph's other outputs want other inputs */
		IS(compute(context), 0);
		IS(get_output(context, 0, out, 16, EDGE), 3);
		IS(get_output(context, 0, FAR, 17, &len), 3);
		IS(get_output(context, 7, out, 16, &len), 1);
		IS(get_output(context + 1, 0, out, 16, &len), 1);
		IS(len, 9);
		IS(get_output(context, 0, out, 16, &len), 0);
		IS(out[3] == 2.0f, 1);
	}
	IS(compute_single(context), 6);
	IS(get_output_single(context, 0, out, 16, &len), 6);
	IS(fini_single(context), 6);
	IS(compute_single(context + 1), 1);
	IS(load_by_name("nobody", 6, &graph), 8);
	IS(load_by_name_with_config("nobody", 6, "{}", 2, &graph), 8);
	IS(load_by_name_with_config("nobody", 6, "{\"a\":1}", 7, &graph), 6);
	IS(load_by_name_with_config("nobody", 6, FAR, 20, &graph), 3);
	IS(load_by_name(FAR, 20, &graph), 3);
	IS(load_by_name("nobody", 6, EDGE), 3);
}

/* int64 inputs, and a run that fails between two that do not. */
static void
test_failed_run(uint32_t encoding, const char *suffix)
{
	struct bytes model = model_file("failing", suffix);
	const struct builder builder = { model.data, model.len };
	static const uint32_t dims[1] = { 1 };
	const int64_t good = encoding == 1 ? 1 : 4, bad = 9;
	uint32_t width = encoding == 1 ? 8 : 4;
	uint32_t type = encoding == 1 ? I64 : I32;
	uint32_t graph, context, len;
	float out[4];

	IS(load(&builder, 1, encoding, CPU, &graph), 0);
	IS(init_execution_context(graph, &context), 0);
	for (int i = 0; i < 3; i++) {
		IS(set_input(context, 0, &(struct tensor){ dims, 1, type, &bad, width }), 0);
		IS(compute(context), 5);
		IS(get_output(context, 0, out, 16, &len), 5);
		IS(set_input(context, 0, &(struct tensor){ dims, 1, type, &good, width }), 0);
		IS(compute(context), 0);
		IS(get_output(context, 0, out, 16, &len), 0);
		IS(out[0] == (encoding == 1 ? 2.5f : 1.5f), 1);
	}
}

int
main(int argc, char **argv)
{
	uint32_t graph = 9;

	if (argc > 1 && strcmp(argv[1], "absent") == 0) {
		struct bytes model = file("two.onnx");
		const struct builder builder = { model.data, model.len };
		IS(load(&builder, 1, 1, CPU, &graph), 6);
	} else if (argc > 1 && strcmp(argv[1], "named") == 0) {
		IS(load_by_name("digits", 6, &graph), 0);
		run_network(graph);
		IS(load_by_name_with_config("digits", 6, "", 0, &graph), 0);
		run_network(graph);
		IS(load_by_name("gone", 4, &graph), 5);
	} else if (argc > 2) {
		uint32_t encoding = (uint32_t)atoi(argv[1]);
		test_network(encoding, argv[2]);
		test_errors(encoding, argv[2]);
		if (encoding != 2)
			test_failed_run(encoding, argv[2]);
		if (encoding == 1) {
			struct bytes model = file("external.onnx");
			const struct builder builder = { model.data, model.len };
			IS(load(&builder, 1, 1, CPU, &graph), 1);
		}
	} else {
		return 97;
	}
	return verdict();
}
