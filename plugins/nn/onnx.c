#include "plugins/nn/onnx.h"

#include <stdlib.h>
#include <string.h>
#include "plugins/nn/capi.h"
#include "plugins/nn/external.h"

struct ort_api ort;

static const struct ort_base *(*get_base)(void);
/* Made once, when the library is opened, and kept as long as it is. */
static struct ort_env *env;
static struct ort_allocator *allocator;
static struct ort_memory_info *memory_info;

static const struct nn_symbol symbols[] = {
	{ "OrtGetApiBase", &get_base, false },
	{ NULL, NULL, false },
};
static const char *const library_names[] = { "libonnxruntime.so.1", "libonnxruntime.so", NULL };

/* Fail with what the library says, if it failed, and let go of it. */
static enum vm_status
status_of(const struct vm_plugin_host *host, ort_result result, enum vm_status failure,
          const char *what, struct vm_error *err)
{
	if (result == NULL)
		return VM_OK;
	enum vm_status st = vm_plugin_fail(host, err, failure, "ONNX Runtime %s: %.240s", what,
	                                   ort.GetErrorMessage(result));
	ort.ReleaseStatus(result);
	return st;
}

static enum vm_status
check_library(const struct vm_plugin_host *host, struct vm_error *err)
{
	const void *const *table = get_base()->get_api(ORT_VERSION);

	if (table == NULL)
		return vm_plugin_fail(host, err, VM_E_UNSUPPORTED, "it has no API of version %u",
		                      ORT_VERSION);
#define F(place, result, name, parameters) memcpy(&ort.name, &table[place], sizeof table[place]);
	ORT_FUNCTIONS(F)
#undef F
	enum vm_status st = status_of(host, ort.CreateEnv(ORT_LOG_FATAL, "wasmedge", &env),
	                              VM_E_UNSUPPORTED, "cannot start", err);
	if (st == VM_OK)
		st = status_of(host, ort.DisableTelemetryEvents(env), VM_E_UNSUPPORTED,
		               "cannot start", err);
	if (st == VM_OK)
		st = status_of(host, ort.GetAllocatorWithDefaultOptions(&allocator),
		               VM_E_UNSUPPORTED, "cannot start", err);
	if (st == VM_OK)
		st = status_of(host,
		               ort.CreateCpuMemoryInfo(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT,
		                                       &memory_info),
		               VM_E_UNSUPPORTED, "cannot start", err);
	return st;
}

static void
release_library(void)
{
	ort.ReleaseMemoryInfo(memory_info);
	ort.ReleaseEnv(env);
}

const struct nn_library onnx_library = {
	.title = "ONNX Runtime",
	.names = library_names,
	.how = "install its C library (libonnxruntime.so.1; the npm package onnxruntime-node has "
	       "one) or "
	       "set the option library to its path",
	.symbols = symbols,
	.check = check_library,
	.release = release_library,
};

struct model {
	struct nn_model base;
	struct ort_session *session;
};

static enum vm_status
no_memory(const struct nn_models *models, struct vm_error *err)
{
	return vm_plugin_fail(models->host, err, VM_E_NOMEM, "out of memory");
}

/* --- loading -------------------------------------------------------------------------------- */

static void
model_free(struct nn_model *base)
{
	struct model *model = (struct model *)base;

	if (model->session != NULL)
		ort.ReleaseSession(model->session);
	nn_list_clear(&model->base.inputs);
	nn_list_clear(&model->base.outputs);
	free(model);
}

/* Type and shape as the library has them. */
static enum vm_status
read_info(const struct nn_models *models, const struct ort_tensor_info *info, const char *name,
          struct nn_tensor *out, struct vm_error *err)
{
	size_t rank = 0;
	int code = 0;
	enum vm_status st = status_of(models->host, ort.GetTensorElementType(info, &code),
	                              VM_E_DATA,
	                              "has no type", err);

	if (st == VM_OK)
		st = status_of(models->host, ort.GetDimensionsCount(info, &rank), VM_E_DATA,
		               "has no shape", err);
	if (st != VM_OK)
		return st;
	out->type = nn_datatype_of_code(NN_CODES_ONNX, code);
	if (out->type == NN_INVALID || rank > NN_RANK_MAX)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "%.80s is of type %d and has %zu dimensions, which is not "
		                      "supported",
		                      name, code, rank);
	out->shape.rank = (int32_t)rank;
	st = status_of(models->host, ort.GetDimensions(info, out->shape.dims, rank), VM_E_DATA,
	               "has no shape", err);
	for (size_t i = 0; i < rank; i++)
		out->shape.dims[i] = out->shape.dims[i] < 0 ? -1 : out->shape.dims[i];
	return st;
}

static enum vm_status
describe_one(const struct nn_models *models, const char *name, const struct ort_type_info *type,
             struct nn_list *list, struct vm_error *err)
{
	const struct ort_tensor_info *info = NULL;
	struct nn_tensor tensor;
	enum vm_status st = status_of(models->host, ort.CastTypeInfoToTensorInfo(type, &info),
	                              VM_E_DATA, "cannot describe a tensor", err);

	if (st == VM_OK && info == NULL)
		st = vm_plugin_fail(models->host, err, VM_E_ARGUMENT, "%.80s is not a tensor",
		                    name);
	if (st == VM_OK)
		st = read_info(models, info, name, &tensor, err);
	if (st == VM_OK && !nn_list_add(list, name, tensor.type, &tensor.shape))
		st = vm_plugin_fail(models->host, err, VM_E_LIMIT,
		                    "more than %u inputs or outputs, or out of memory",
		                    NN_TENSORS_MAX);
	return st;
}

static enum vm_status
describe_all(const struct nn_models *models, struct model *model, bool is_input,
             struct vm_error *err)
{
	const struct vm_plugin_host *host = models->host;
	static const char what[] = "cannot describe the model";
	size_t count = 0;
	enum vm_status st =
	    status_of(host, (is_input ? ort.SessionGetInputCount : ort.SessionGetOutputCount)(
	                        model->session, &count), VM_E_DATA, what, err);

	for (size_t i = 0; st == VM_OK && i < count; i++) {
		struct ort_type_info *type = NULL;
		char *name = NULL;
		st = status_of(host,
		               (is_input ? ort.SessionGetInputName : ort.SessionGetOutputName)(
		                         model->session, i, allocator, &name),
		               VM_E_DATA, what, err);
		if (st == VM_OK)
			st = status_of(host,
			               (is_input ? ort.SessionGetInputTypeInfo
			                         : ort.SessionGetOutputTypeInfo)(model->session, i,
			                                                         &type),
			               VM_E_DATA, what, err);
		if (st == VM_OK)
			st = describe_one(models, name, type,
			                  is_input ? &model->base.inputs : &model->base.outputs,
			                  err);
		if (type != NULL)
			ort.ReleaseTypeInfo(type);
		if (name != NULL)
			(void)status_of(host, ort.AllocatorFree(allocator, name), VM_E_DATA, what,
			                NULL);
	}
	return st;
}

static enum vm_status
check_source(const struct nn_models *models, const struct nn_source *source, struct vm_error *err)
{
	if (source->path != NULL)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "a model for ONNX Runtime is given as bytes, not by its "
		                      "path");
	switch (onnx_look(source->bytes)) {
	case ONNX_GOOD:
		break;
	case ONNX_MALFORMED:
		return vm_plugin_fail(models->host, err, VM_E_DATA, "%zu bytes are no ONNX model",
		                      source->bytes.len);
	case ONNX_EXTERNAL:
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "the model has data in other files; put them into it");
	}
	return VM_OK;
}

static enum vm_status
load(struct nn_models *models, const struct nn_source *source, struct nn_model **out,
     struct vm_error *err)
{
	const struct vm_plugin_host *host = models->host;
	struct ort_session_options *options = NULL;
	enum vm_status st = check_source(models, source, err);

	if (st != VM_OK)
		return st;
	struct model *model = calloc(1, sizeof *model);
	if (model == NULL)
		return no_memory(models, err);
	st = status_of(host, ort.CreateSessionOptions(&options), VM_E_NOMEM, "has no memory", err);
	if (st == VM_OK)
		st = status_of(host, ort.SetIntraOpNumThreads(options, models->threads),
		               VM_E_ARGUMENT, "does not take the threads", err);
	if (st == VM_OK)
		st = status_of(host,
		               ort.CreateSessionFromArray(env, source->bytes.data,
		                                          source->bytes.len,
		                                          options, &model->session),
		               VM_E_DATA, "cannot load the model", err);
	if (options != NULL)
		ort.ReleaseSessionOptions(options);
	if (st == VM_OK)
		st = describe_all(models, model, true, err);
	if (st == VM_OK)
		st = describe_all(models, model, false, err);
	if (st != VM_OK) {
		model_free(&model->base);
		return st;
	}
	model->base.size_bytes = 2 * source->bytes.len;
	*out = &model->base;
	return VM_OK;
}

/* --- texts ---------------------------------------------------------------------------------- */

/* The library takes texts that end with NUL, so none can be inside. */
static enum vm_status
give_texts(const struct nn_models *models, struct ort_value *value, uint64_t count,
           struct vm_str data, struct vm_error *err)
{
	const char **texts = calloc(count + 1, sizeof *texts);
	char *copy = malloc(data.len + count + 1);
	char *next = copy;
	struct vm_str text;
	enum vm_status st = VM_OK;

	if (texts == NULL || copy == NULL)
		st = no_memory(models, err);
	for (uint64_t i = 0; st == VM_OK && i < count && nn_bytes_next(&data, &text); i++) {
		if (memchr(text.data, '\0', text.len) != NULL)
			st = vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
			                    "a text for ONNX Runtime has a NUL inside");
		texts[i] = next;
		memcpy(next, text.data, text.len);
		next[text.len] = '\0';
		next += text.len + 1;
	}
	if (st == VM_OK)
		st = status_of(models->host, ort.FillStringTensor(value, texts, (size_t)count),
		               VM_E_ARGUMENT, "does not take the texts", err);
	free(texts);
	free(copy);
	return st;
}

static enum vm_status
take_texts(const struct nn_models *models, const struct ort_value *value, uint64_t count,
           struct vm_plugin_reply *reply, struct vm_error *err)
{
	static const char what[] = "does not give its texts";
	size_t len = 0;
	enum vm_status st = status_of(models->host, ort.GetStringTensorDataLength(value, &len),
	                              VM_E_DATA, what, err);

	if (st != VM_OK)
		return st;
	if (count > INT32_MAX || len > INT32_MAX)
		return vm_plugin_fail(models->host, err, VM_E_LIMIT,
		                      "an output has more than 2 GiB of texts");
	size_t *offsets = calloc((size_t)count + 1, sizeof *offsets);
	char *texts = malloc(len + 1);
	uint8_t *out = vm_plugin_reply_buffer(models->host, reply, len + 4 * (size_t)count);
	if (offsets == NULL || texts == NULL || out == NULL)
		st = no_memory(models, err);
	if (st == VM_OK)
		st = status_of(models->host,
		               ort.GetStringTensorContent(value, texts, len, offsets,
		                                          (size_t)count),
		               VM_E_DATA, what, err);
	for (uint64_t i = 0; st == VM_OK && i < count; i++) {
		size_t end = i + 1 < count ? offsets[i + 1] : len;
		if (offsets[i] > end || end > len) {
			st = vm_plugin_fail(models->host, err, VM_E_DATA, "texts are out of order");
			break;
		}
		nn_store_u32(out, (uint32_t)(end - offsets[i]));
		memcpy(out + 4, texts + offsets[i], end - offsets[i]);
		out += 4 + end - offsets[i];
	}
	free(offsets);
	free(texts);
	return st;
}

/* --- inference ------------------------------------------------------------------------------ */

static enum vm_status
give_input(const struct nn_models *models, const struct nn_tensor *input, struct vm_str data,
           struct ort_value **out, struct vm_error *err)
{
	static const char what[] = "does not take an input";
	int code = nn_datatype_code(NN_CODES_ONNX, input->type);
	size_t rank = (size_t)input->shape.rank;
	uint64_t count = 0;
	enum vm_status st;

	(void)nn_shape_count(&input->shape, &count);
	if (input->type != NN_BYTES) {
		/* It only reads it, and the request outlives the run. */
		void *bytes = (void *)(uintptr_t)data.data;
		return status_of(models->host,
		                 ort.CreateTensorWithDataAsOrtValue(memory_info, bytes, data.len,
		                                                    input->shape.dims, rank, code,
		                                                    out),
		                 VM_E_ARGUMENT, what, err);
	}
	st = status_of(models->host,
	               ort.CreateTensorAsOrtValue(allocator, input->shape.dims, rank, code, out),
	               VM_E_ARGUMENT, what, err);
	return st == VM_OK ? give_texts(models, *out, count, data, err) : st;
}

static enum vm_status
take_output(const struct nn_models *models, struct ort_value *value, struct nn_tensor *output,
            struct vm_plugin_reply *reply, struct vm_error *err)
{
	struct ort_tensor_info *info = NULL;
	void *data = NULL;
	uint64_t count;
	uint64_t size;
	int is_tensor = 0;
	enum vm_status st = status_of(models->host, ort.IsTensor(value, &is_tensor), VM_E_DATA,
	                              "does not describe an output", err);

	if (st == VM_OK && is_tensor == 0)
		st = vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                    "output %.80s is not a tensor",
		                    output->name);
	if (st == VM_OK)
		st = status_of(models->host, ort.GetTensorTypeAndShape(value, &info), VM_E_DATA,
		               "does not describe an output", err);
	if (st == VM_OK)
		st = read_info(models, info, output->name, output, err);
	if (info != NULL)
		ort.ReleaseTensorTypeAndShapeInfo(info);
	if (st == VM_OK && !nn_shape_count(&output->shape, &count))
		st = vm_plugin_fail(models->host, err, VM_E_DATA,
		                    "output %.80s has no usable shape",
		                    output->name);
	if (st != VM_OK)
		return st;
	if (output->type == NN_BYTES)
		return take_texts(models, value, count, reply, err);
	if (!nn_tensor_size(output, &size))
		return vm_plugin_fail(models->host, err, VM_E_DATA, "output %.80s is too large",
		                      output->name);
	st = status_of(models->host, ort.GetTensorMutableData(value, &data), VM_E_DATA,
	               "does not give an output", err);
	if (st != VM_OK)
		return st;
	uint8_t *bytes = vm_plugin_reply_buffer(models->host, reply, (size_t)size);
	if (bytes == NULL)
		return no_memory(models, err);
	if (size > 0)
		memcpy(bytes, data, size);
	return VM_OK;
}

static enum vm_status
infer(struct nn_models *models, struct nn_model *base, const struct nn_inference *inference,
      struct vm_plugin_reply *reply, struct vm_error *err)
{
	const struct model *model = (const struct model *)base;
	const uint32_t input_count = inference->inputs->count;
	const uint32_t output_count = inference->outputs->count;
	const char *input_names[NN_TENSORS_MAX] = { NULL };
	const char *output_names[NN_TENSORS_MAX] = { NULL };
	struct ort_value *inputs[NN_TENSORS_MAX] = { NULL };
	struct ort_value *outputs[NN_TENSORS_MAX] = { NULL };
	enum vm_status st = VM_OK;

	for (uint32_t i = 0; st == VM_OK && i < input_count; i++) {
		input_names[i] = inference->inputs->items[i].name;
		st = give_input(models, &inference->inputs->items[i], inference->data[i],
		                &inputs[i],
		                err);
	}
	for (uint32_t i = 0; i < output_count; i++)
		output_names[i] = inference->outputs->items[i].name;
	if (st == VM_OK)
		st = status_of(models->host,
		               ort.Run(model->session, NULL, input_names,
		                       (const struct ort_value *const *)inputs, input_count,
		                       output_names, output_count, outputs),
		               VM_E_ARGUMENT, "failed to run the model", err);
	for (uint32_t i = 0; st == VM_OK && i < output_count; i++)
		st = take_output(models, outputs[i], &inference->outputs->items[i], reply, err);
	for (uint32_t i = 0; i < NN_TENSORS_MAX; i++) {
		if (inputs[i] != NULL)
			ort.ReleaseValue(inputs[i]);
		if (outputs[i] != NULL)
			ort.ReleaseValue(outputs[i]);
	}
	return st;
}

static const char *const formats[] = { "onnx", NULL };

const struct nn_backend onnx_backend = {
	.title = "ONNX Runtime",
	.formats = formats,
	.inputs_are_all_needed = true,
	.load = load,
	.free = model_free,
	.infer = infer,
};
