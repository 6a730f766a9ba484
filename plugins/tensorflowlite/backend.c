#include "plugins/tensorflowlite/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugins/tensorflowlite/capi.h"

#define IDLE_MAX 4u

struct tflite_api tflite;

static const struct nn_symbol symbols[] = {
#define F(result, name, parameters) { "TfLite" #name, &tflite.name, false },
	TFLITE_FUNCTIONS(F)
#undef F
	{ NULL, NULL, false },
};
static const char *const library_names[] = { "libtensorflowlite_c.so", NULL };
const struct nn_library tflite_library = {
	.title = "TensorFlow Lite",
	.names = library_names,
	.how = "install its C library (libtensorflowlite_c.so; the npm package tfjs-tflite-node "
	       "has "
	       "one) or set the option library to its path",
	.symbols = symbols,
};

/* An interpreter and what it said last. */
struct runner {
	struct runner *next;
	struct tflite_interpreter *interpreter;
	char text[200];
};

struct model {
	struct nn_model base;
	struct tflite_model *model;
	uint8_t *bytes; /* that the model points into */
	pthread_mutex_t lock;
	struct runner *idle;
	uint32_t idle_count;
};

static enum vm_status
no_memory(const struct nn_models *models, struct vm_error *err)
{
	return vm_plugin_fail(models->host, err, VM_E_NOMEM, "out of memory");
}

/* --- interpreters --------------------------------------------------------------------------- */

static void
on_error(void *env, const char *format, va_list args)
{
	struct runner *runner = env;

	if (runner->text[0] == '\0') /* the first is nearest to the cause */
		vsnprintf(runner->text, sizeof runner->text, format, args);
}

static void
runner_free(struct runner *runner)
{
	if (runner->interpreter != NULL)
		tflite.InterpreterDelete(runner->interpreter);
	free(runner);
}

static enum vm_status
refused(const struct nn_models *models, const struct runner *runner, const char *what,
        struct vm_error *err)
{
	return vm_plugin_fail(models->host, err, VM_E_ARGUMENT, "TensorFlow Lite %s: %s", what,
	                      runner->text[0] != '\0' ? runner->text : "it does not say why");
}

static enum vm_status
runner_new(const struct nn_models *models, const struct model *model, struct runner **out,
           struct vm_error *err)
{
	struct runner *runner = calloc(1, sizeof *runner);
	struct tflite_options *options = tflite.InterpreterOptionsCreate();
	enum vm_status st = VM_OK;

	if (runner == NULL || options == NULL) {
		free(runner);
		if (options != NULL)
			tflite.InterpreterOptionsDelete(options);
		return no_memory(models, err);
	}
	tflite.InterpreterOptionsSetNumThreads(options, models->threads);
	tflite.InterpreterOptionsSetErrorReporter(options, on_error, runner);
	runner->interpreter = tflite.InterpreterCreate(model->model, options);
	tflite.InterpreterOptionsDelete(options);
	if (runner->interpreter == NULL)
		st = refused(models, runner, "cannot run the model", err);
	else if (tflite.InterpreterAllocateTensors(runner->interpreter) != 0)
		st = refused(models, runner, "cannot allocate the model's tensors", err);
	if (st != VM_OK) {
		runner_free(runner);
		return st;
	}
	*out = runner;
	return VM_OK;
}

static enum vm_status
runner_take(const struct nn_models *models, struct model *model, struct runner **out,
            struct vm_error *err)
{
	pthread_mutex_lock(&model->lock);
	struct runner *runner = model->idle;
	if (runner != NULL) {
		model->idle = runner->next;
		model->idle_count--;
	}
	pthread_mutex_unlock(&model->lock);
	if (runner == NULL)
		return runner_new(models, model, out, err);
	runner->text[0] = '\0';
	*out = runner;
	return VM_OK;
}

static void
runner_give(struct model *model, struct runner *runner)
{
	pthread_mutex_lock(&model->lock);
	if (model->idle_count < IDLE_MAX) {
		runner->next = model->idle;
		model->idle = runner;
		model->idle_count++;
		runner = NULL;
	}
	pthread_mutex_unlock(&model->lock);
	if (runner != NULL)
		runner_free(runner);
}

/* --- models --------------------------------------------------------------------------------- */

static void
model_free(struct nn_model *base)
{
	struct model *model = (struct model *)base;

	while (model->idle != NULL) {
		struct runner *next = model->idle->next;
		runner_free(model->idle);
		model->idle = next;
	}
	if (model->model != NULL)
		tflite.ModelDelete(model->model);
	nn_list_clear(&model->base.inputs);
	nn_list_clear(&model->base.outputs);
	pthread_mutex_destroy(&model->lock);
	free(model->bytes);
	free(model);
}

/* False: more dimensions than can be. */
static bool
tensor_shape(const struct tflite_tensor *tensor, struct nn_shape *out)
{
	out->rank = tflite.TensorNumDims(tensor);
	if (out->rank < 0 || out->rank > NN_RANK_MAX)
		return false;
	for (int32_t i = 0; i < out->rank; i++) {
		out->dims[i] = tflite.TensorDim(tensor, i);
		if (out->dims[i] < 0)
			return false;
	}
	return true;
}

static enum vm_status
describe_tensor(const struct nn_models *models, const struct tflite_tensor *tensor,
                struct nn_list *list, struct vm_error *err)
{
	struct nn_shape shape;
	const char *name = tensor != NULL ? tflite.TensorName(tensor) : NULL;

	if (name == NULL || !tensor_shape(tensor, &shape))
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "an input or output of the model has no name or no usable "
		                      "shape");
	enum nn_datatype type =
	    nn_datatype_of_code(NN_CODES_TFLITE, tflite.TensorType(tensor));
	if (type == NN_INVALID)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "tensor %.80s is of type %d, which is not supported", name,
		                      tflite.TensorType(tensor));
	return nn_list_add(list, name, type, &shape)
	           ? VM_OK
	           : vm_plugin_fail(models->host, err, VM_E_LIMIT,
	                            "more than %u inputs or outputs, or out of memory",
	                            NN_TENSORS_MAX);
}

static enum vm_status
describe_model(const struct nn_models *models, struct model *model, const struct runner *runner,
               struct vm_error *err)
{
	const struct tflite_interpreter *it = runner->interpreter;
	enum vm_status st = VM_OK;

	for (int32_t i = 0; st == VM_OK && i < tflite.InterpreterGetInputTensorCount(it); i++)
		st = describe_tensor(models, tflite.InterpreterGetInputTensor(it, i),
		                     &model->base.inputs, err);
	for (int32_t i = 0; st == VM_OK && i < tflite.InterpreterGetOutputTensorCount(it); i++)
		st = describe_tensor(models, tflite.InterpreterGetOutputTensor(it, i),
		                     &model->base.outputs, err);
	return st;
}

static uint64_t
list_size(const struct nn_list *list)
{
	uint64_t sum = 0;
	uint64_t size;

	for (uint32_t i = 0; i < list->count; i++) {
		if (nn_tensor_size(&list->items[i], &size) && size < UINT32_MAX)
			sum += size;
	}
	return sum;
}

static enum vm_status
load(struct nn_models *models, const struct nn_source *source, struct nn_model **out,
     struct vm_error *err)
{
	struct model *model;
	struct runner *runner;
	enum vm_status st;

	if (source->path != NULL)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "a model for TensorFlow Lite is given as bytes, not by its "
		                      "path");
	model = calloc(1, sizeof *model);
	if (model == NULL)
		return no_memory(models, err);
	pthread_mutex_init(&model->lock, NULL);
	model->bytes = malloc(source->bytes.len + 1);
	if (model->bytes == NULL) {
		model_free(&model->base);
		return no_memory(models, err);
	}
	if (source->bytes.len > 0)
		memcpy(model->bytes, source->bytes.data, source->bytes.len);
	/* No pointer of the format fits into less; libraries of old read it unseen. */
	if (source->bytes.len >= 8)
		model->model = tflite.ModelCreate(model->bytes, source->bytes.len);
	if (model->model == NULL) {
		model_free(&model->base);
		return vm_plugin_fail(models->host, err, VM_E_DATA,
		                      "%zu bytes are no model for TensorFlow Lite",
		                      source->bytes.len);
	}
	st = runner_new(models, model, &runner, err);
	if (st == VM_OK) {
		st = describe_model(models, model, runner, err);
		runner_give(model, runner);
	}
	if (st != VM_OK) {
		model_free(&model->base);
		return st;
	}
	model->base.size_bytes = 2 * source->bytes.len + list_size(&model->base.inputs) +
	                         list_size(&model->base.outputs);
	*out = &model->base;
	return VM_OK;
}

/* --- texts ---------------------------------------------------------------------------------- */

/*
 * A tensor of texts in TensorFlow Lite:  i32 count, i32 offset[count + 1], the bytes; offsets count
 * from the beginning. Tensors of BYTES have a length before each.
 */
static enum vm_status
give_texts(const struct nn_models *models, struct tflite_tensor *tensor, uint64_t count,
           struct vm_str data, struct vm_error *err)
{
	uint64_t head = 4 * (count + 2);
	uint64_t size = head + data.len - 4 * count;
	uint32_t offset = (uint32_t)head;
	struct vm_str text;

	if (size > INT32_MAX)
		return vm_plugin_fail(models->host, err, VM_E_LIMIT,
		                      "texts of %zu bytes are too much",
		                      data.len);
	uint8_t *bytes = malloc(size);
	if (bytes == NULL)
		return no_memory(models, err);
	nn_store_u32(bytes, (uint32_t)count);
	for (uint32_t i = 0; nn_bytes_next(&data, &text); i++) {
		nn_store_u32(bytes + 4 + 4 * (size_t)i, offset);
		memcpy(bytes + offset, text.data, text.len);
		offset += (uint32_t)text.len;
	}
	nn_store_u32(bytes + 4 + 4 * count, offset);
	tflite.TensorRealloc(size, tensor);
	int failed = tflite.TensorCopyFromBuffer(tensor, bytes, size);
	free(bytes);
	return failed == 0 ? VM_OK
	                   : vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
	                                    "TensorFlow Lite does not take the texts");
}

/* Range of text i; false when the tensor is not what it should be. */
static bool
text_at(const uint8_t *bytes, size_t len, uint32_t i, struct vm_str *out)
{
	uint32_t start = nn_load_u32(bytes + 4 + 4 * (size_t)i);
	uint32_t end = nn_load_u32(bytes + 8 + 4 * (size_t)i);

	if (start > end || end > len)
		return false;
	*out = (struct vm_str){ (const char *)bytes + start, end - start };
	return true;
}

static enum vm_status
take_texts(const struct nn_models *models, const struct tflite_tensor *tensor,
           struct vm_plugin_reply *reply, struct vm_error *err)
{
	const uint8_t *bytes = tflite.TensorData(tensor);
	size_t len = tflite.TensorByteSize(tensor);
	const bool has_head = bytes != NULL && len >= 8;
	uint32_t count = has_head ? nn_load_u32(bytes) : 0;
	uint64_t size = 0;
	struct vm_str text;
	bool is_good = has_head && count < (len - 4) / 4;

	for (uint32_t i = 0; is_good && i < count; i++) {
		is_good = text_at(bytes, len, i, &text);
		size += 4 + (uint64_t)text.len;
	}
	if (!is_good || size > INT32_MAX)
		return vm_plugin_fail(models->host, err, VM_E_DATA,
		                      "the model made a tensor of texts that is damaged");
	uint8_t *out = vm_plugin_reply_buffer(models->host, reply, (size_t)size);
	if (out == NULL)
		return no_memory(models, err);
	for (uint32_t i = 0; i < count && text_at(bytes, len, i, &text); i++) {
		nn_store_u32(out, (uint32_t)text.len);
		memcpy(out + 4, text.data, text.len);
		out += 4 + text.len;
	}
	return VM_OK;
}

/* --- inference ------------------------------------------------------------------------------ */

static enum vm_status
give_input(const struct nn_models *models, const struct runner *runner, uint32_t index,
           const struct nn_tensor *input, struct vm_str data, struct vm_error *err)
{
	struct tflite_tensor *tensor =
	    tflite.InterpreterGetInputTensor(runner->interpreter, (int32_t)index);
	uint64_t count;

	if (input->type == NN_BYTES && nn_shape_count(&input->shape, &count))
		return give_texts(models, tensor, count, data, err);
	if (tflite.TensorCopyFromBuffer(tensor, data.data, data.len) != 0)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "TensorFlow Lite does not take %zu bytes for input %.80s",
		                      data.len, input->name);
	return VM_OK;
}

static enum vm_status
take_output(const struct nn_models *models, const struct model *model,
            const struct runner *runner, struct nn_tensor *output, struct vm_plugin_reply *reply,
            struct vm_error *err)
{
	int32_t index = nn_list_find(&model->base.outputs, output->name);
	const struct tflite_tensor *tensor =
	    tflite.InterpreterGetOutputTensor(runner->interpreter, index);
	uint64_t size;

	output->type = model->base.outputs.items[index].type;
	if (!tensor_shape(tensor, &output->shape))
		return vm_plugin_fail(models->host, err, VM_E_DATA,
		                      "output %.80s has no usable shape", output->name);
	if (output->type == NN_BYTES)
		return take_texts(models, tensor, reply, err);
	const void *data = tflite.TensorData(tensor);
	if (!nn_tensor_size(output, &size) || tflite.TensorByteSize(tensor) != size ||
	    (data == NULL && size > 0))
		return vm_plugin_fail(models->host, err, VM_E_DATA,
		                      "output %.80s has %zu bytes, which is not what its shape "
		                      "says",
		                      output->name, tflite.TensorByteSize(tensor));
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
	struct model *model = (struct model *)base;
	struct runner *runner;
	enum vm_status st = runner_take(models, model, &runner, err);

	if (st != VM_OK)
		return st;
	if (tflite.InterpreterResetVariableTensors(runner->interpreter) != 0)
		st = refused(models, runner, "cannot reset the model", err);
	for (uint32_t i = 0; st == VM_OK && i < model->base.inputs.count; i++) {
		int32_t at = nn_list_find(inference->inputs, model->base.inputs.items[i].name);
		st = give_input(models, runner, i, &inference->inputs->items[at],
		                inference->data[at], err);
	}
	if (st == VM_OK && tflite.InterpreterInvoke(runner->interpreter) != 0)
		st = refused(models, runner, "failed to run the model", err);
	for (uint32_t i = 0; st == VM_OK && i < inference->outputs->count; i++)
		st = take_output(models, model, runner, &inference->outputs->items[i], reply, err);
	if (st == VM_OK)
		runner_give(model, runner);
	else
		runner_free(runner); /* whatever state it is in */
	return st;
}

static const char *const formats[] = { "tflite", NULL };

const struct nn_backend tflite_backend = {
	.title = "TensorFlow Lite",
	.formats = formats,
	.inputs_are_all_needed = true,
	.load = load,
	.free = model_free,
	.infer = infer,
};
