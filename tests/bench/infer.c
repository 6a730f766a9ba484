/*
 * infer.c - what an inference costs more by a plug-in's operation than by the C library itself.
 *
 *     infer [SECONDS]     for each library that is there
 *
 * Both run the same network with the same threads in one process, in turns of a few runs; medians
 * of a run are compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/plugins/nn/direct.h"
#include "tests/plugins/nn/nntest.h"

#define SIDE 96
#define CLASSES 10
#define RUNS_MAX 20000
#define TURN 5 /* runs of one kind at a time */

static const struct {
	const char *plugin, *model, *library;
} kinds[] = {
	{ "wasmedge_tensorflowlite", "wide.tflite", "libtensorflowlite_c.so" },
	{ "wasmedge_tensorflow", "wide.pb", "libtensorflow_cc.so.2" },
	{ "wasi_nn", "wide.onnx", "libonnxruntime.so.1" },
};

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec * 1e-6;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, compare);
	return values[count / 2];
}

static bool
measure(const char *plugin, const char *model, double seconds)
{
	static double times[2][RUNS_MAX];
	static const char json[] = "{\"model\":\"m\",\"inputs\":[{\"name\":\"image\",\"datatype\":"
		"\"FP32\",\"shape\":[1,96,96,3]}],\"outputs\":[{\"name\":\"classes\"}]}";
	const struct vm_plugins_setting setting = { .plugin = plugin, .option = "threads",
		                                    .value = "1" };
	struct vm_plugins *plugins = nn_test_plugins(&setting, 1);
	struct nn_file image = nn_test_model("wide.in");
	const struct vm_str data = { (const char *)image.data, image.len };
	struct vm_plugin_reply reply;
	struct direct direct;
	struct vm_error err;
	float answer[CLASSES];
	double difference = 0;
	size_t count = 0;

	if (!direct_open(&direct, plugin, model, SIDE, 1) ||
	    nn_test_load(plugins, plugin, model, &err) != VM_OK)
		return false;
	for (double end = now_ms() + seconds * 1e3; now_ms() < end && count + TURN < RUNS_MAX;) {
		for (int i = 0; i < TURN; i++) {
			double start = now_ms();
			if (!direct.run(&direct, (float *)(void *)image.data, answer, CLASSES))
				return false;
			times[0][count + (size_t)i] = now_ms() - start;
		}
		for (int i = 0; i < TURN; i++) {
			double start = now_ms();
			if (nn_test_operate(plugins, plugin, "infer", json, &data, 1, &reply,
			                    &err) !=
			    VM_OK)
				return false;
			times[1][count + (size_t)i] = now_ms() - start;
			double d = nn_test_difference(answer,
			                              (float *)(void *)reply.buffers[0].data,
			                              CLASSES);
			difference = d > difference ? d : difference;
			vm_plugins_reply_clear(&reply);
		}
		count += TURN;
	}
	double by_library = median(times[0], count);
	double by_plugin = median(times[1], count);
	printf("%-24s %8.3f ms %8.3f ms %+6.2f %%   %zu runs, answers differ by %.1e\n", plugin,
	       by_library, by_plugin, (by_plugin / by_library - 1) * 100, count, difference);
	vm_plugins_free(plugins);
	direct_close(&direct);
	free(image.data);
	return true;
}

int
main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	int status = 0;

	printf("%-24s %11s %11s %8s\n", "", "library", "plug-in", "more");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (!nn_test_has_library(kinds[i].library)) {
			printf("%-24s its library is not there: ./bootstrap libraries\n",
			       kinds[i].plugin);
		} else if (!measure(kinds[i].plugin, kinds[i].model, seconds)) {
			printf("%-24s failed\n", kinds[i].plugin);
			status = 1;
		}
	}
	return status;
}
