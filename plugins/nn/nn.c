/*
 * nn.c - the plug-in wasi_nn: the host module wasi_ephemeral_nn, over three libraries.
 *
 * ONNX models are this plug-in's own; those of TensorFlow and TensorFlow Lite are run by the
 * operations of the plug-ins for them. A graph is a model, a context a session of it that wants all
 * outputs.
 */
#include <stdlib.h>
#include <string.h>
#include "plugins/common/session.h"
#include "plugins/common/table.h"
#include "plugins/nn/onnx.h"
#include "plugins/nn/preload.h"

/* How functions of the interface fail. */
enum answer {
	SUCCESS,
	INVALID_ARGUMENT,
	INVALID_ENCODING,
	MISSING_MEMORY,
	BUSY,
	RUNTIME_ERROR,
	UNSUPPORTED,
	TOO_LARGE,
	NOT_FOUND,
};

enum target { TARGET_CPU, TARGET_GPU, TARGET_TPU, TARGET_AUTO };

/* What the plug-in's open makes. */
struct plugin_data {
	struct nn_models models;
	struct nn_preloads preloads;
};

/* What a program has. */
struct program {
	struct nn_table graphs;   /* of struct nn_remote */
	struct nn_table contexts; /* of struct nn_session */
	uint32_t messages;
};

static struct program *
program_of(const struct vm_plugin_call *call)
{
	return call->state;
}

static enum vm_status
answer(union vm_slot *slots, enum answer number)
{
	slots[0].u32 = number;
	return VM_OK;
}

/* The answer for how something ended; a guest that is to stop does. */
static enum vm_status
answer_for(const struct vm_plugin_call *call, union vm_slot *slots, const char *what,
           enum vm_status st, enum answer otherwise, struct vm_error *err)
{
	if (st == VM_TRAP || st == VM_EXIT)
		return st;
	if (st != VM_OK)
		nn_tell(call, &program_of(call)->messages, what, err);
	return answer(slots, st == VM_OK              ? SUCCESS
	                     : st == VM_E_NOMEM       ? MISSING_MEMORY
	                     : st == VM_E_UNSUPPORTED ? UNSUPPORTED
	                     : st == VM_E_LIMIT       ? TOO_LARGE
	                     : st == VM_E_NOT_FOUND   ? NOT_FOUND
	                                              : otherwise);
}

/* --- graphs --------------------------------------------------------------------------------- */

static enum vm_status
load_as(const struct vm_plugin_call *call, enum nn_encoding encoding, struct vm_str bytes,
        struct nn_remote **out, struct vm_error *err)
{
	switch ((int)encoding) {
	case NN_ENCODING_ONNX:
		return nn_remote_new(call, NULL, "onnx", bytes, out, err);
	case NN_ENCODING_TENSORFLOW:
		return nn_remote_new(call, "wasmedge_tensorflow", "graphdef", bytes, out, err);
	case NN_ENCODING_TFLITE:
		return nn_remote_new(call, "wasmedge_tensorflowlite", "tflite", bytes, out, err);
	case NN_ENCODING_AUTODETECT:
		break;
	default:
		return vm_plugin_fail(call->host, err, VM_E_UNSUPPORTED,
		                      "there is no library for models of encoding %d",
		                      (int)encoding);
	}
	/* TensorFlow Lite has a mark, ONNX and graphs do not. */
	if (bytes.len >= 8 && memcmp(bytes.data + 4, "TFL3", 4) == 0)
		return load_as(call, NN_ENCODING_TFLITE, bytes, out, err);
	enum vm_status st = load_as(call, NN_ENCODING_ONNX, bytes, out, err);
	if (st == VM_E_DATA)
		st = load_as(call, NN_ENCODING_TENSORFLOW, bytes, out, err);
	return st;
}

/* Load, and write the graph's number to the guest's memory, where there is room. */
static enum vm_status
load_graph(const struct vm_plugin_call *call, union vm_slot *slots, enum nn_encoding encoding,
           struct vm_str bytes, uint32_t out, struct vm_error *err)
{
	struct nn_remote *remote;
	uint32_t number;
	enum vm_status st = load_as(call, encoding, bytes, &remote, err);

	if (st == VM_OK && !nn_table_add(&program_of(call)->graphs, remote, &number)) {
		nn_remote_unref(call, remote);
		st = vm_plugin_fail(call->host, err, VM_E_LIMIT, "more than %u graphs",
		                    NN_TABLE_MAX);
	}
	if (st == VM_OK)
		nn_store_u32(vm_plugin_memory(call, out, 4), number);
	return answer_for(call, slots, "load", st, INVALID_ARGUMENT, err);
}

/* (builders, count, encoding, target, out_graph); a builder is an address and a length */
static enum vm_status
load(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const uint8_t *builders = vm_plugin_memory(call, slots[0].u32, 8 * (uint64_t)slots[1].u32);
	uint32_t out = slots[4].u32;

	if (builders == NULL || vm_plugin_memory(call, out, 4) == NULL)
		return answer(slots, MISSING_MEMORY);
	if (slots[2].u32 > NN_ENCODING_LAST)
		return answer(slots, INVALID_ENCODING);
	if (slots[1].u32 != 1 || slots[3].u32 > TARGET_AUTO)
		return answer(slots, INVALID_ARGUMENT);
	if (slots[3].u32 == TARGET_GPU || slots[3].u32 == TARGET_TPU)
		return answer(slots, UNSUPPORTED);
	uint32_t len = nn_load_u32(builders + 4);
	const char *bytes = vm_plugin_memory(call, nn_load_u32(builders), len);
	if (bytes == NULL)
		return answer(slots, MISSING_MEMORY);
	return load_graph(call, slots, (enum nn_encoding)slots[2].u32,
	                  (struct vm_str){ bytes, len }, out, err);
}

static enum vm_status
load_preloaded(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_str name,
               uint32_t out, struct vm_error *err)
{
	const struct plugin_data *data = call->plugin;
	const struct nn_preload *preload = nn_preload_find(&data->preloads, name);
	char *bytes = NULL;
	size_t len = 0;

	if (preload == NULL)
		return answer(slots, NOT_FOUND);
	enum vm_status st = nn_preload_bytes(call->host, preload, &bytes, &len, err);
	if (st != VM_OK)
		return answer_for(call, slots, "load_by_name", st, RUNTIME_ERROR, err);
	st = load_graph(call, slots, preload->encoding, (struct vm_str){ bytes, len }, out, err);
	free(bytes);
	return st;
}

/* (name, len, out_graph) */
static enum vm_status
load_by_name(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const char *name = vm_plugin_memory(call, slots[0].u32, slots[1].u32);
	uint32_t out = slots[2].u32;

	if (name == NULL || vm_plugin_memory(call, out, 4) == NULL)
		return answer(slots, MISSING_MEMORY);
	return load_preloaded(call, slots, (struct vm_str){ name, slots[1].u32 }, out, err);
}

/* (name, len, configuration, len, out_graph); none of the libraries takes a configuration */
static enum vm_status
load_by_name_with_config(const struct vm_plugin_call *call, union vm_slot *slots,
                         struct vm_error *err)
{
	const char *name = vm_plugin_memory(call, slots[0].u32, slots[1].u32);
	const char *config = vm_plugin_memory(call, slots[2].u32, slots[3].u32);
	uint32_t out = slots[4].u32;

	if (name == NULL || config == NULL || vm_plugin_memory(call, out, 4) == NULL)
		return answer(slots, MISSING_MEMORY);
	if (slots[3].u32 != 0 && (slots[3].u32 != 2 || memcmp(config, "{}", 2) != 0))
		return answer(slots, UNSUPPORTED);
	return load_preloaded(call, slots, (struct vm_str){ name, slots[1].u32 }, out, err);
}

/* (graph) */
static enum vm_status
unload(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_remote *remote = nn_table_take(&program_of(call)->graphs, slots[0].u32);

	(void)err;
	nn_remote_unref(call, remote); /* contexts of it go on */
	return answer(slots, remote != NULL ? SUCCESS : INVALID_ARGUMENT);
}

/* --- contexts ------------------------------------------------------------------------------- */

static struct nn_session *
context_of(const struct vm_plugin_call *call, union vm_slot slot)
{
	return nn_table_get(&program_of(call)->contexts, slot.u32);
}

/* (graph, out_context) */
static enum vm_status
init_execution_context(const struct vm_plugin_call *call, union vm_slot *slots,
                       struct vm_error *err)
{
	struct nn_remote *remote = nn_table_get(&program_of(call)->graphs, slots[0].u32);
	uint8_t *out = vm_plugin_memory(call, slots[1].u32, 4);
	struct nn_session *session;
	uint32_t number;
	uint32_t index;
	enum vm_status st = VM_OK;

	if (remote == NULL)
		return answer(slots, INVALID_ARGUMENT);
	if (out == NULL)
		return answer(slots, MISSING_MEMORY);
	session = nn_session_new(remote);
	if (session == NULL)
		return answer(slots, MISSING_MEMORY);
	nn_remote_ref(remote);
	for (uint32_t i = 0; st == VM_OK && i < remote->outputs.count; i++)
		st = nn_session_want(call, session, remote->outputs.items[i].name, &index, err);
	if (st == VM_OK && !nn_table_add(&program_of(call)->contexts, session, &number))
		st = vm_plugin_fail(call->host, err, VM_E_LIMIT, "more than %u contexts",
		                    NN_TABLE_MAX);
	if (st == VM_OK)
		nn_store_u32(out, number);
	else
		nn_session_free(call->host, call, session);
	return answer_for(call, slots, "init_execution_context", st, RUNTIME_ERROR, err);
}

/* (context) */
static enum vm_status
finalize_execution_context(const struct vm_plugin_call *call, union vm_slot *slots,
                           struct vm_error *err)
{
	struct nn_session *session = nn_table_take(&program_of(call)->contexts, slots[0].u32);

	(void)err;
	nn_session_free(call->host, call, session);
	return answer(slots, session != NULL ? SUCCESS : INVALID_ARGUMENT);
}

/* Types of tensors by their numbers in the interface. */
static const enum nn_datatype types[] = { NN_FP16, NN_FP32, NN_FP64, NN_UINT8, NN_INT32, NN_INT64 };
#define TYPE_COUNT (sizeof types / sizeof *types)

static bool
has_number(enum nn_datatype type)
{
	for (size_t i = 0; i < TYPE_COUNT; i++) {
		if (types[i] == type)
			return true;
	}
	return false;
}

/*
 * The tensor as the model takes it. Types that the interface has no number for are given as bytes
 * (U8). A shape that is not the model's is let pass when the model's is known and the data fill it.
 */
static bool
read_tensor(const struct nn_tensor *wanted, uint32_t type, const uint8_t *dims, uint32_t dim_count,
            struct vm_str data, struct nn_tensor *out)
{
	if (type >= TYPE_COUNT || dim_count > NN_RANK_MAX)
		return false;
	*out = (struct nn_tensor){ wanted->name, types[type], { .rank = (int32_t)dim_count } };
	for (uint32_t i = 0; i < dim_count; i++)
		out->shape.dims[i] = nn_load_u32(dims + 4 * (size_t)i);
	if (out->type == NN_UINT8 && !has_number(wanted->type))
		out->type = wanted->type;
	if (out->type != wanted->type)
		return false;
	if (!nn_shape_fits(&out->shape, &wanted->shape) ||
	    !nn_tensor_holds(out, data.data, data.len))
		out->shape = wanted->shape;
	return nn_tensor_holds(out, data.data, data.len);
}

/* (context, index, tensor); a tensor is dims, dim_count, type, data, len: 20 bytes */
static enum vm_status
set_input(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = context_of(call, slots[0]);
	const uint8_t *given = vm_plugin_memory(call, slots[2].u32, 20);
	uint32_t index = slots[1].u32;
	struct nn_tensor tensor;

	if (session == NULL)
		return answer(slots, INVALID_ARGUMENT);
	if (given == NULL)
		return answer(slots, MISSING_MEMORY);
	uint32_t dim_count = nn_load_u32(given + 4);
	const uint8_t *dims =
	    vm_plugin_memory(call, nn_load_u32(given), 4 * (uint64_t)dim_count);
	uint32_t len = nn_load_u32(given + 16);
	const char *data = vm_plugin_memory(call, nn_load_u32(given + 12), len);
	if (dims == NULL || data == NULL)
		return answer(slots, MISSING_MEMORY);
	const struct nn_list *inputs = &session->remote->inputs;
	if (index >= inputs->count ||
	    !read_tensor(&inputs->items[index], nn_load_u32(given + 8), dims, dim_count,
	                 (struct vm_str){ data, len }, &tensor))
		return answer(slots, INVALID_ARGUMENT);
	enum vm_status st =
	    nn_session_give(call, session, &tensor, (struct vm_str){ data, len }, err);
	return answer_for(call, slots, "set_input", st, RUNTIME_ERROR, err);
}

/* (context) */
static enum vm_status
compute(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = context_of(call, slots[0]);

	if (session == NULL)
		return answer(slots, INVALID_ARGUMENT);
	enum vm_status st = nn_session_run(call, session, err);
	return answer_for(call, slots, "compute", st, RUNTIME_ERROR, err);
}

/* (context, index, buffer, len, out_written) */
static enum vm_status
get_output(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const struct nn_session *session = context_of(call, slots[0]);
	uint32_t len = slots[3].u32;
	uint8_t *buffer = vm_plugin_memory(call, slots[2].u32, len);
	uint8_t *out = vm_plugin_memory(call, slots[4].u32, 4);
	struct vm_str result;

	(void)err;
	if (session == NULL || slots[1].u32 >= session->wanted.count)
		return answer(slots, INVALID_ARGUMENT);
	if (buffer == NULL || out == NULL)
		return answer(slots, MISSING_MEMORY);
	if (!nn_session_result(session, slots[1].u32, &result))
		return answer(slots, RUNTIME_ERROR);
	if (result.len > len)
		return answer(slots, TOO_LARGE);
	if (result.len > 0)
		memcpy(buffer, result.data, result.len);
	nn_store_u32(out, (uint32_t)result.len);
	return answer(slots, SUCCESS);
}

/* compute_single, get_output_single, fini_single: for models that answer piece by piece, which none
 * of the libraries has. */
static enum vm_status
single(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	(void)err;
	return answer(slots, context_of(call, slots[0]) != NULL ? UNSUPPORTED : INVALID_ARGUMENT);
}

/* --- programs ------------------------------------------------------------------------------- */

static enum vm_status
state_new(const struct vm_plugin_call *call, void **out_state, struct vm_error *err)
{
	*out_state = calloc(1, sizeof(struct program));
	return *out_state != NULL ? VM_OK
	                          : vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
}

static void
state_free(void *plugin, void *state)
{
	const struct plugin_data *data = plugin;
	struct program *program = state;

	for (uint32_t i = 0; i < program->contexts.slot_count; i++)
		nn_session_free(data->models.host, NULL, nn_table_get(&program->contexts, i));
	for (uint32_t i = 0; i < program->graphs.slot_count; i++)
		nn_remote_unref(NULL, nn_table_get(&program->graphs, i));
	nn_table_clear(&program->contexts);
	nn_table_clear(&program->graphs);
	free(program);
}

/* --- the plug-in ---------------------------------------------------------------------------- */

static const struct vm_plugin_func funcs[] = {
	{ "load", "iiiii", "i", load },
	{ "load_by_name", "iii", "i", load_by_name },
	{ "load_by_name_with_config", "iiiii", "i", load_by_name_with_config },
	{ "init_execution_context", "ii", "i", init_execution_context },
	{ "set_input", "iii", "i", set_input },
	{ "compute", "i", "i", compute },
	{ "get_output", "iiiii", "i", get_output },
	{ "compute_single", "i", "i", single },
	{ "get_output_single", "iiiii", "i", single },
	{ "fini_single", "i", "i", single },
	{ "unload", "i", "i", unload },
	{ "finalize_execution_context", "i", "i", finalize_execution_context },
};

static const struct vm_plugin_module modules[] = {
	{ "wasi_ephemeral_nn", "Inference with ONNX Runtime, TensorFlow and TensorFlow Lite", funcs,
	  sizeof funcs / sizeof *funcs },
};

enum { OPTION_MODELS = NN_OPTION_COUNT };

static const struct vm_plugin_option options[] = {
	NN_OPTIONS("Path of libonnxruntime.so.1, or of a folder that has it; standard: where the "
	           "system "
	           "looks for libraries"),
	{ "models", VM_PLUGIN_LIST, "",
	  "Models that programs load by name, each NAME:ENCODING:TARGET:PATH" },
};

static void
close(void *plugin)
{
	struct plugin_data *data = plugin;

	nn_preload_clear(&data->preloads);
	nn_models_clear(&data->models);
	free(data);
}

static enum vm_status
open(const struct vm_plugin_host *host, const struct vm_plugin_value *values, void **out_plugin,
     struct vm_error *err)
{
	struct plugin_data *data = calloc(1, sizeof *data);

	if (data == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	enum vm_status st =
	    nn_models_init(&data->models, host, &onnx_backend, &onnx_library, values, err);
	if (st != VM_OK) {
		free(data);
		return st;
	}
	st = nn_preload_read(host, &values[OPTION_MODELS], &data->preloads, err);
	if (st != VM_OK) {
		close(data);
		return st;
	}
	*out_plugin = data;
	return VM_OK;
}

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasi_nn",
	.version = "1.0.0",
	.summary = "Inference with ONNX Runtime, TensorFlow and TensorFlow Lite",
	.options = options,
	.option_count = sizeof options / sizeof *options,
	.modules = modules,
	.module_count = 1,
	.operations = nn_operations,
	.operation_count = NN_OPERATION_COUNT,
	.open = open,
	.close = close,
	.check = nn_models_check,
	.state_new = state_new,
	.state_free = state_free,
};

VM_PLUGIN(wasi_nn)
{
	return &plugin;
}
