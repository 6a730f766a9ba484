#include "tests/plugins/nn/direct.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugins/nn/capi.h"
#include "plugins/tensorflow/capi.h"
#include "plugins/tensorflowlite/capi.h"

struct tflite_api tflite;
struct tf_api tf;
struct ort_api ort;

static void *
library(const char *name)
{
	char path[4200];

	snprintf(path, sizeof path, "%s/%s", nn_test_libraries(), name);
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* --- TensorFlow Lite -------------------------------------------------------------------------- */

static bool
run_tflite(struct direct *direct, const float *input, float *output, size_t output_count)
{
	struct tflite_interpreter *it = direct->of[0];

	return tflite.TensorCopyFromBuffer(tflite.InterpreterGetInputTensor(it, 0), input,
	                                   direct->input_bytes) == 0 &&
	       tflite.InterpreterInvoke(it) == 0 &&
	       memcpy(output, tflite.TensorData(tflite.InterpreterGetOutputTensor(it, 0)),
	              output_count * sizeof *output) == output;
}

static void
close_tflite(struct direct *direct)
{
	tflite.InterpreterDelete(direct->of[0]);
	tflite.ModelDelete(direct->of[1]);
}

static bool
open_tflite(struct direct *direct, int threads)
{
	void *handle = library("libtensorflowlite_c.so");
	void *address;

	if (handle == NULL)
		return false;
#define F(result, name, parameters)         \
	address = dlsym(handle, "TfLite" #name); \
	memcpy(&tflite.name, &address, sizeof address);
	TFLITE_FUNCTIONS(F)
#undef F
	struct tflite_options *options = tflite.InterpreterOptionsCreate();
	tflite.InterpreterOptionsSetNumThreads(options, threads);
	direct->of[1] = tflite.ModelCreate(direct->model.data, direct->model.len);
	direct->of[0] = tflite.InterpreterCreate(direct->of[1], options);
	tflite.InterpreterOptionsDelete(options);
	direct->run = run_tflite;
	direct->close = close_tflite;
	return direct->of[0] != NULL && tflite.InterpreterAllocateTensors(direct->of[0]) == 0;
}

/* --- TensorFlow ------------------------------------------------------------------------------- */

static bool
run_tensorflow(struct direct *direct, const float *input, float *output, size_t output_count)
{
	struct tf_status *status = direct->of[2];
	const struct tf_output from = { tf.GraphOperationByName(direct->of[1], "image"), 0 };
	const struct tf_output to = { tf.GraphOperationByName(direct->of[1], "classes"), 0 };
	struct tf_tensor *in = tf.AllocateTensor(1, direct->shape, 4, direct->input_bytes);
	struct tf_tensor *out = NULL;

	memcpy(tf.TensorData(in), input, direct->input_bytes);
	tf.SessionRun(direct->of[0], NULL, &from, &in, 1, &to, &out, 1, NULL, 0, NULL, status);
	tf.DeleteTensor(in);
	if (tf.GetCode(status) != 0)
		return false;
	memcpy(output, tf.TensorData(out), output_count * sizeof *output);
	tf.DeleteTensor(out);
	return true;
}

static void
close_tensorflow(struct direct *direct)
{
	tf.DeleteSession(direct->of[0], direct->of[2]);
	tf.DeleteGraph(direct->of[1]);
	tf.DeleteStatus(direct->of[2]);
}

static bool
open_tensorflow(struct direct *direct, int threads)
{
	const uint8_t config[] = { 2 << 3, (uint8_t)threads, 5 << 3, (uint8_t)threads };
	const struct tf_buffer buffer = { direct->model.data, direct->model.len, NULL };
	void *handle = library("libtensorflow_cc.so.2");
	void *address;

	if (handle == NULL)
		return false;
#define F(result, name, parameters)     \
	address = dlsym(handle, "TF_" #name); \
	memcpy(&tf.name, &address, sizeof address);
	TF_FUNCTIONS(F)
#undef F
	struct tf_session_options *options = tf.NewSessionOptions();
	struct tf_import_options *import = tf.NewImportGraphDefOptions();
	direct->of[1] = tf.NewGraph();
	direct->of[2] = tf.NewStatus();
	tf.GraphImportGraphDef(direct->of[1], &buffer, import, direct->of[2]);
	tf.DeleteImportGraphDefOptions(import);
	tf.SetConfig(options, config, sizeof config, direct->of[2]);
	direct->of[0] = tf.NewSession(direct->of[1], options, direct->of[2]);
	tf.DeleteSessionOptions(options);
	direct->run = run_tensorflow;
	direct->close = close_tensorflow;
	return tf.GetCode(direct->of[2]) == 0;
}

/* --- ONNX Runtime ----------------------------------------------------------------------------- */

static bool
run_onnx(struct direct *direct, const float *input, float *output, size_t output_count)
{
	const char *from = "image";
	const char *to = "classes";
	struct ort_value *in = NULL;
	struct ort_value *out = NULL;
	void *data;

	if (ort.CreateTensorWithDataAsOrtValue(direct->of[1], (void *)(uintptr_t)input,
	                                       direct->input_bytes, direct->shape, 4, 1,
	                                       &in) != NULL ||
	    ort.Run(direct->of[0], NULL, &from, (const struct ort_value *const *)&in, 1, &to, 1,
	            &out) != NULL || ort.GetTensorMutableData(out, &data) != NULL)
		return false;
	memcpy(output, data, output_count * sizeof *output);
	ort.ReleaseValue(in);
	ort.ReleaseValue(out);
	return true;
}

static void
close_onnx(struct direct *direct)
{
	ort.ReleaseSession(direct->of[0]);
	ort.ReleaseMemoryInfo(direct->of[1]);
	ort.ReleaseEnv(direct->of[2]);
}

static bool
open_onnx(struct direct *direct, int threads)
{
	const struct ort_base *(*get_base)(void);
	struct ort_session_options *options;
	struct ort_memory_info *info;
	struct ort_session *session;
	struct ort_env *env;
	void *handle = library("libonnxruntime.so.1");
	void *address = handle != NULL ? dlsym(handle, "OrtGetApiBase") : NULL;

	if (address == NULL)
		return false;
	memcpy(&get_base, &address, sizeof address);
	const void *const *table = get_base()->get_api(ORT_VERSION);
#define F(place, result, name, parameters) memcpy(&ort.name, &table[place], sizeof *table);
	ORT_FUNCTIONS(F)
#undef F
	if (ort.CreateEnv(ORT_LOG_FATAL, "direct", &env) != NULL ||
	    ort.CreateSessionOptions(&options) != NULL ||
	    ort.SetIntraOpNumThreads(options, threads) != NULL ||
	    ort.CreateSessionFromArray(env, direct->model.data, direct->model.len, options,
	                               &session) != NULL ||
	    ort.CreateCpuMemoryInfo(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &info) != NULL)
		return false;
	ort.ReleaseSessionOptions(options);
	direct->of[0] = session;
	direct->of[1] = info;
	direct->of[2] = env;
	direct->run = run_onnx;
	direct->close = close_onnx;
	return true;
}

bool
direct_open(struct direct *direct, const char *plugin, const char *model, int64_t side, int threads)
{
	*direct = (struct direct){ .shape = { 1, side, side, 3 },
		                   .input_bytes = (size_t)(side * side * 3) * sizeof(float),
		                   .model = nn_test_model(model) };
	if (strcmp(plugin, "wasmedge_tensorflow") == 0)
		return open_tensorflow(direct, threads);
	if (strcmp(plugin, "wasi_nn") == 0)
		return open_onnx(direct, threads);
	return open_tflite(direct, threads);
}

void
direct_close(struct direct *direct)
{
	direct->close(direct);
	free(direct->model.data);
}
