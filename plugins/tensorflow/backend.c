#include "plugins/tensorflow/backend.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugins/common/proto.h"
#include "plugins/tensorflow/capi.h"
#include "plugins/tensorflow/refused.h"

struct tf_api tf;

static const struct nn_symbol symbols[] = {
#define F(result, name, parameters) { "TF_" #name, &tf.name, false },
	TF_FUNCTIONS(F)
#undef F
	{ NULL, NULL, false },
};
static const char *const library_names[] = { "libtensorflow.so.2", "libtensorflow_cc.so.2", NULL };
const struct nn_library tf_library = {
	.title = "TensorFlow",
	.names = library_names,
	.how = "install its C library (libtensorflow.so.2, or libtensorflow_cc.so.2 of the Python "
	       "package "
	       "tensorflow-cpu) or set the option library to its path",
	.symbols = symbols,
};

/* A name of a signature, and the tensor that it stands for. */
struct alias {
	char *name;
	char *tensor;
};

struct model {
	struct nn_model base;
	struct tf_graph *graph;
	struct tf_session *session;
	struct alias *aliases;
	uint32_t alias_count;
};

static enum vm_status
no_memory(const struct nn_models *models, struct vm_error *err)
{
	return vm_plugin_fail(models->host, err, VM_E_NOMEM, "out of memory");
}

/* What the library says, if it failed. */
static enum vm_status
status_of(const struct nn_models *models, const struct tf_status *status, enum vm_status failure,
          const char *what, struct vm_error *err)
{
	if (tf.GetCode(status) == 0)
		return VM_OK;
	return vm_plugin_fail(models->host, err, failure, "TensorFlow %s: %.240s", what,
	                      tf.Message(status));
}

/* --- names ---------------------------------------------------------------------------------- */

static const char *
alias_of(const struct model *model, const char *name)
{
	for (uint32_t i = 0; i < model->alias_count; i++) {
		if (strcmp(model->aliases[i].name, name) == 0)
			return model->aliases[i].tensor;
	}
	return name;
}

/* The tensor of a name: "operation", "operation:index", or of the signature. */
static bool
find_output(const struct model *model, const char *name, struct tf_output *out)
{
	char operation[NN_NAME_MAX + 1];
	const char *tensor = alias_of(model, name);
	const char *colon = strchr(tensor, ':');
	size_t len = colon != NULL ? (size_t)(colon - tensor) : strlen(tensor);
	long index = 0;

	if (len > NN_NAME_MAX)
		return false;
	memcpy(operation, tensor, len);
	operation[len] = '\0';
	if (colon != NULL) {
		char *end;
		if (colon[1] < '0' || colon[1] > '9')
			return false;
		index = strtol(colon + 1, &end, 10);
		if (*end != '\0' || index > INT_MAX)
			return false;
	}
	out->operation = tf.GraphOperationByName(model->graph, operation);
	out->index = (int)index;
	return out->operation != NULL && index < tf.OperationNumOutputs(out->operation);
}

/* False: a type or a shape that cannot be given or got. */
static bool
describe_output(const struct model *model, struct tf_output output, struct nn_tensor *out)
{
	struct tf_status *status = tf.NewStatus();
	int code = tf.OperationOutputType(output);

	if (status == NULL)
		return false;
	/* Variables have their type with 100 added: they are read as values. */
	out->type = nn_datatype_of_code(NN_CODES_TENSORFLOW, code > 100 ? code - 100 : code);
	out->shape.rank = tf.GraphGetTensorNumDims(model->graph, output, status);
	bool is_good = out->type != NN_INVALID && out->shape.rank <= NN_RANK_MAX;
	if (tf.GetCode(status) != 0)
		out->shape.rank = -1;
	if (is_good && out->shape.rank > 0) {
		tf.GraphGetTensorShape(model->graph, output, out->shape.dims, out->shape.rank,
		                       status);
		if (tf.GetCode(status) != 0)
			out->shape.rank = -1;
	}
	tf.DeleteStatus(status);
	return is_good;
}

static bool
describe(struct nn_model *base, const char *name, struct nn_tensor *out)
{
	const struct model *model = (const struct model *)base;
	struct tf_output output;

	return find_output(model, name, &output) && describe_output(model, output, out);
}

/* --- loading -------------------------------------------------------------------------------- */

static void
model_free(struct nn_model *base)
{
	struct model *model = (struct model *)base;
	struct tf_status *status = tf.NewStatus();

	if (model->session != NULL && status != NULL) {
		tf.CloseSession(model->session, status);
		tf.DeleteSession(model->session, status);
	}
	if (model->graph != NULL)
		tf.DeleteGraph(model->graph);
	if (status != NULL)
		tf.DeleteStatus(status);
	for (uint32_t i = 0; i < model->alias_count; i++) {
		free(model->aliases[i].name);
		free(model->aliases[i].tensor);
	}
	free(model->aliases);
	nn_list_clear(&model->base.inputs);
	nn_list_clear(&model->base.outputs);
	free(model);
}

/* ConfigProto: intra_op_parallelism_threads is 2, inter_op_parallelism_threads 5. */
static void
set_threads(struct tf_session_options *options, int threads, struct tf_status *status)
{
	const uint8_t config[] = { 2 << 3, (uint8_t)threads, 5 << 3, (uint8_t)threads };

	tf.SetConfig(options, config, sizeof config, status);
}

/* Operations whose results nothing in the graph uses, and placeholders; as many as fit. */
static bool
describe_graph(struct model *model)
{
	struct tf_operation *operation;
	size_t position = 0;

	while ((operation = tf.GraphNextOperation(model->graph, &position)) != NULL) {
		const char *name = tf.OperationName(operation);
		bool is_input = strncmp(tf.OperationOpType(operation), "Placeholder", 11) == 0;
		int count = tf.OperationNumOutputs(operation);
		bool is_used = false;
		for (int i = 0; i < count; i++)
			is_used = is_used ||
			          tf.OperationOutputNumConsumers((struct tf_output){ operation,
			                                                             i }) > 0;
		struct nn_list *list = is_input ? &model->base.inputs : &model->base.outputs;
		for (int i = 0; i < count && (is_input || !is_used); i++) {
			char text[NN_NAME_MAX + 16];
			struct nn_tensor tensor;
			if (list->count == NN_TENSORS_MAX || strlen(name) > NN_NAME_MAX - 8 ||
			    !describe_output(model, (struct tf_output){ operation, i }, &tensor))
				continue;
			snprintf(text, sizeof text, i > 0 ? "%s:%d" : "%s", name, i);
			if (!nn_list_add(list, text, tensor.type, &tensor.shape))
				return false;
		}
	}
	return true;
}

static enum vm_status
check_graph(const struct tf_models *models, struct vm_str bytes, struct vm_error *err)
{
	struct vm_str type;

	switch (tf_graph_look(bytes, &type)) {
	case TF_GRAPH_GOOD:
		break;
	case TF_GRAPH_MALFORMED:
		return vm_plugin_fail(models->base.host, err, VM_E_DATA,
		                      "%zu bytes are no GraphDef", bytes.len);
	case TF_GRAPH_REACHES_HOST:
		if (models->allows_host_operations)
			break;
		return vm_plugin_fail(models->base.host, err, VM_E_ARGUMENT,
		                      "the graph has an operation %.*s, which reaches beyond it; "
		                      "the option "
		                      "host_operations allows that",
		                      (int)(type.len < 80 ? type.len : 80), type.data);
	}
	return VM_OK;
}

static enum vm_status
load_graph(const struct nn_models *models, struct model *model, struct vm_str bytes,
           struct tf_session_options *options, struct tf_status *status, struct vm_error *err)
{
	const struct tf_buffer buffer = { bytes.data, bytes.len, NULL };
	struct tf_import_options *import = tf.NewImportGraphDefOptions();

	model->graph = tf.NewGraph();
	if (import == NULL || model->graph == NULL)
		return no_memory(models, err);
	tf.GraphImportGraphDef(model->graph, &buffer, import, status);
	tf.DeleteImportGraphDefOptions(import);
	enum vm_status st = status_of(models, status, VM_E_DATA, "cannot read the graph", err);
	if (st != VM_OK)
		return st;
	model->session = tf.NewSession(model->graph, options, status);
	st = status_of(models, status, VM_E_ARGUMENT, "cannot run the graph", err);
	if (st == VM_OK && !describe_graph(model))
		return no_memory(models, err);
	model->base.size_bytes = 2 * bytes.len;
	return st;
}

/* --- SavedModels ---------------------------------------------------------------------------- */

/* Is the folder, all links followed, one that is allowed or below one? */
static bool
is_allowed(const struct tf_models *models, const char *path)
{
	const char *folder = models->saved_model_folders;

	for (uint64_t i = 0; i < models->saved_model_folder_count; i++) {
		char *real = realpath(folder, NULL);
		size_t len = real != NULL ? strlen(real) : 0;
		bool is_below = real != NULL && strncmp(path, real, len) == 0 &&
		                (path[len] == '\0' || path[len] == '/' || strcmp(real, "/") == 0);
		free(real);
		if (is_below)
			return true;
		folder += strlen(folder) + 1;
	}
	return false;
}

static char *
text_of(struct vm_str bytes)
{
	return memchr(bytes.data, '\0', bytes.len) == NULL ? strndup(bytes.data, bytes.len) : NULL;
}

/* An entry of SignatureDef.inputs or outputs: key 1, TensorInfo 2 (with its name in 1). */
static bool
add_alias(struct model *model, struct vm_str entry, struct nn_list *list)
{
	struct alias alias = { NULL, NULL };
	struct nn_field field;
	struct nn_tensor tensor;
	bool is_good = true;

	while (nn_proto_next(&entry, &field)) {
		struct vm_str info = field.bytes;
		if (field.number == 1 && field.is_bytes && alias.name == NULL)
			alias.name = text_of(field.bytes);
		while (field.number == 2 && field.is_bytes && nn_proto_next(&info, &field)) {
			if (field.number == 1 && field.is_bytes && alias.tensor == NULL)
				alias.tensor = text_of(field.bytes);
			field.number = 2;
			field.is_bytes = true;
		}
	}
	struct alias *grown = alias.name != NULL && alias.tensor != NULL
	                          ? realloc(model->aliases, (model->alias_count + (size_t)1) *
	                                                        sizeof *model->aliases)
	                          : NULL;
	if (grown == NULL) {
		free(alias.name);
		free(alias.tensor);
		return false;
	}
	model->aliases = grown;
	model->aliases[model->alias_count++] = alias;
	if (list->count < NN_TENSORS_MAX && describe(&model->base, alias.name, &tensor))
		is_good = nn_list_add(list, alias.name, tensor.type, &tensor.shape);
	return is_good;
}

/* SignatureDef: inputs are 1, outputs 2. */
static bool
read_signature(struct model *model, struct vm_str signature)
{
	struct nn_field field;
	bool is_good = true;

	while (is_good && nn_proto_next(&signature, &field)) {
		if ((field.number == 1 || field.number == 2) && field.is_bytes)
			is_good = add_alias(model, field.bytes, field.number == 1
			                                            ? &model->base.inputs
			                                            : &model->base.outputs);
	}
	return is_good;
}

/* MetaGraphDef.signature_def, 5, has entries of a key, 1, and a SignatureDef, 2. */
static struct vm_str
find_signature(struct vm_str meta_graph, struct vm_str wanted)
{
	struct nn_field field;

	while (nn_proto_next(&meta_graph, &field)) {
		struct vm_str entry = field.bytes;
		struct vm_str key = VM_STR("");
		struct vm_str signature = VM_STR("");
		if (field.number != 5 || !field.is_bytes)
			continue;
		while (nn_proto_next(&entry, &field)) {
			if (field.number == 1 && field.is_bytes)
				key = field.bytes;
			if (field.number == 2 && field.is_bytes)
				signature = field.bytes;
		}
		if (key.len == wanted.len && memcmp(key.data, wanted.data, wanted.len) == 0)
			return signature;
	}
	return VM_STR("");
}

static enum vm_status
load_saved(const struct tf_models *models, struct model *model, const struct nn_source *source,
           struct tf_session_options *options, struct tf_status *status, struct vm_error *err)
{
	const struct vm_plugin_host *host = models->base.host;
	static const char *const standard_tags[] = { "serve" };
	const char *const *tags = source->tag_count > 0 ? source->tags : standard_tags;
	int tag_count = source->tag_count > 0 ? (int)source->tag_count : 1;
	char *path;

	if (models->saved_model_folder_count == 0)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "no folders of SavedModels are allowed; the option "
		                      "saved_model_folders names them");
	path = realpath(source->path, NULL);
	if (path == NULL || !is_allowed(models, path)) {
		free(path);
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "%.160s is not below a folder that the option "
		                      "saved_model_folders "
		                      "allows", source->path);
	}
	struct tf_buffer *meta_graph = tf.NewBuffer();
	model->graph = tf.NewGraph();
	if (meta_graph == NULL || model->graph == NULL) {
		free(path);
		return no_memory(&models->base, err);
	}
	model->session = tf.LoadSessionFromSavedModel(options, NULL, path, tags, tag_count,
	                                              model->graph, meta_graph, status);
	free(path);
	enum vm_status st =
	    status_of(&models->base, status, VM_E_DATA, "cannot load the SavedModel", err);
	if (st == VM_OK) {
		const struct vm_str bytes = { meta_graph->data, meta_graph->len };
		struct vm_str signature = find_signature(bytes, VM_STR("serving_default"));
		if (signature.len > 0 ? !read_signature(model, signature) : !describe_graph(model))
			st = no_memory(&models->base, err);
		model->base.size_bytes = 2 * meta_graph->len;
	}
	tf.DeleteBuffer(meta_graph);
	return st;
}

static enum vm_status
load(struct nn_models *base, const struct nn_source *source, struct nn_model **out,
     struct vm_error *err)
{
	const struct tf_models *models = (const struct tf_models *)base;
	bool is_saved = strcmp(source->format, "saved-model") == 0;
	enum vm_status st = VM_OK;

	if (is_saved != (source->path != NULL))
		return vm_plugin_fail(base->host, err, VM_E_ARGUMENT,
		                      is_saved ? "a SavedModel is given by the path of its folder"
		                               : "a graph is given as bytes, not by its path");
	if (!is_saved)
		st = check_graph(models, source->bytes, err);
	if (st != VM_OK)
		return st;
	struct model *model = calloc(1, sizeof *model);
	struct tf_status *status = tf.NewStatus();
	struct tf_session_options *options = tf.NewSessionOptions();
	if (model == NULL || status == NULL || options == NULL) {
		st = no_memory(base, err);
	} else {
		set_threads(options, base->threads, status);
		st = is_saved ? load_saved(models, model, source, options, status, err)
		              : load_graph(base, model, source->bytes, options, status, err);
	}
	if (options != NULL)
		tf.DeleteSessionOptions(options);
	if (status != NULL)
		tf.DeleteStatus(status);
	if (st != VM_OK) {
		if (model != NULL)
			model_free(&model->base);
		return st;
	}
	*out = &model->base;
	return VM_OK;
}

/* --- tensors -------------------------------------------------------------------------------- */

/* When the last use of a tensor of texts ends, which may be after the run. */
static void
free_texts(void *data, size_t len, void *env)
{
	struct tf_string *texts = data;

	(void)env;
	for (size_t i = 0; i < len / sizeof *texts; i++)
		tf.StringDealloc(&texts[i]);
	free(data);
}

/* NULL: out of memory. */
static struct tf_tensor *
texts_new(const struct nn_shape *shape, uint64_t count, struct vm_str data)
{
	struct tf_string *texts = calloc(count + 1, sizeof *texts);
	struct vm_str text;

	if (texts == NULL)
		return NULL;
	for (uint64_t i = 0; i < count; i++) {
		tf.StringInit(&texts[i]);
		if (nn_bytes_next(&data, &text))
			tf.StringCopy(&texts[i], text.data, text.len);
	}
	return tf.NewTensor(nn_datatype_code(NN_CODES_TENSORFLOW, NN_BYTES), shape->dims,
	                    shape->rank, texts, count * sizeof *texts, free_texts, NULL);
}

/* NULL: out of memory. */
static struct tf_tensor *
tensor_new(const struct nn_tensor *input, struct vm_str data)
{
	uint64_t count;

	if (input->type == NN_BYTES && nn_shape_count(&input->shape, &count))
		return texts_new(&input->shape, count, data);
	struct tf_tensor *tensor =
	    tf.AllocateTensor(nn_datatype_code(NN_CODES_TENSORFLOW, input->type),
	                      input->shape.dims, input->shape.rank, data.len);
	if (tensor != NULL && data.len > 0)
		memcpy(tf.TensorData(tensor), data.data, data.len);
	return tensor;
}

static enum vm_status
take_texts(const struct nn_models *models, const struct tf_tensor *tensor, uint64_t count,
           struct vm_plugin_reply *reply, struct vm_error *err)
{
	const struct tf_string *texts = tf.TensorData(tensor);
	uint64_t size = 0;

	for (uint64_t i = 0; i < count; i++) {
		size += 4 + tf.StringGetSize(&texts[i]);
		if (size > INT32_MAX)
			return vm_plugin_fail(models->host, err, VM_E_LIMIT,
			                      "an output has more than 2 GiB of texts");
	}
	uint8_t *out = vm_plugin_reply_buffer(models->host, reply, (size_t)size);
	if (out == NULL)
		return no_memory(models, err);
	for (uint64_t i = 0; i < count; i++) {
		size_t len = tf.StringGetSize(&texts[i]);
		nn_store_u32(out, (uint32_t)len);
		if (len > 0)
			memcpy(out + 4, tf.StringGetDataPointer(&texts[i]), len);
		out += 4 + len;
	}
	return VM_OK;
}

static bool
read_tensor(const struct tf_tensor *tensor, struct nn_tensor *out, uint64_t *out_count)
{
	out->type = nn_datatype_of_code(NN_CODES_TENSORFLOW, tf.TensorType(tensor));
	out->shape.rank = tf.NumDims(tensor);
	if (out->type == NN_INVALID || out->shape.rank < 0 || out->shape.rank > NN_RANK_MAX)
		return false;
	for (int32_t i = 0; i < out->shape.rank; i++)
		out->shape.dims[i] = tf.Dim(tensor, i);
	return nn_shape_count(&out->shape, out_count);
}

static enum vm_status
take_output(const struct nn_models *models, const struct tf_tensor *tensor,
            struct nn_tensor *output,
            struct vm_plugin_reply *reply, struct vm_error *err)
{
	uint64_t count;
	uint64_t size;

	if (!read_tensor(tensor, output, &count))
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "output %.80s has a type or shape that is not supported",
		                      output->name);
	if (output->type == NN_BYTES)
		return take_texts(models, tensor, count, reply, err);
	if (!nn_tensor_size(output, &size) || tf.TensorByteSize(tensor) != size)
		return vm_plugin_fail(models->host, err, VM_E_DATA,
		                      "output %.80s has %zu bytes, which is not what its shape "
		                      "says",
		                      output->name, tf.TensorByteSize(tensor));
	uint8_t *bytes = vm_plugin_reply_buffer(models->host, reply, (size_t)size);
	if (bytes == NULL)
		return no_memory(models, err);
	if (size > 0)
		memcpy(bytes, tf.TensorData(tensor), size);
	return VM_OK;
}

/* --- inference ------------------------------------------------------------------------------ */

static enum vm_status
infer(struct nn_models *models, struct nn_model *base, const struct nn_inference *inference,
      struct vm_plugin_reply *reply, struct vm_error *err)
{
	const struct model *model = (const struct model *)base;
	const uint32_t input_count = inference->inputs->count;
	const uint32_t output_count = inference->outputs->count;
	struct tf_output feeds[NN_TENSORS_MAX];
	struct tf_output fetches[NN_TENSORS_MAX];
	struct tf_tensor *inputs[NN_TENSORS_MAX] = { NULL };
	struct tf_tensor *outputs[NN_TENSORS_MAX] = { NULL };
	struct tf_status *status = tf.NewStatus();
	enum vm_status st = status != NULL ? VM_OK : no_memory(models, err);

	for (uint32_t i = 0; st == VM_OK && i < input_count; i++) {
		const struct nn_tensor *input = &inference->inputs->items[i];
		if (!find_output(model, input->name, &feeds[i]))
			st = vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
			                    "there is no tensor %.80s",
			                    input->name);
		else if ((inputs[i] = tensor_new(input, inference->data[i])) == NULL)
			st = no_memory(models, err);
	}
	for (uint32_t i = 0; st == VM_OK && i < output_count; i++) {
		if (!find_output(model, inference->outputs->items[i].name, &fetches[i]))
			st = vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
			                    "there is no tensor %.80s",
			                    inference->outputs->items[i].name);
	}
	if (st == VM_OK) {
		tf.SessionRun(model->session, NULL, feeds, inputs, (int)input_count, fetches,
		              outputs, (int)output_count, NULL, 0, NULL, status);
		st = status_of(models, status, VM_E_ARGUMENT, "failed to run the model", err);
	}
	for (uint32_t i = 0; st == VM_OK && i < output_count; i++)
		st = take_output(models, outputs[i], &inference->outputs->items[i], reply, err);
	for (uint32_t i = 0; i < NN_TENSORS_MAX; i++) {
		if (inputs[i] != NULL)
			tf.DeleteTensor(inputs[i]);
		if (outputs[i] != NULL)
			tf.DeleteTensor(outputs[i]);
	}
	if (status != NULL)
		tf.DeleteStatus(status);
	return st;
}

static const char *const formats[] = { "graphdef", "saved-model", NULL };

const struct nn_backend tf_backend = {
	.title = "TensorFlow",
	.formats = formats,
	.inputs_are_all_needed = false,
	.load = load,
	.free = model_free,
	.infer = infer,
	.describe = describe,
};
