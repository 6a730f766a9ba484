/*
 * tensorflowlite.c - the plug-in wasmedge_tensorflowlite: its host module and operations.
 *
 * A session wants all outputs of its model, in their order; a tensor is its place among them.
 */
#include <stdlib.h>
#include <string.h>
#include "plugins/common/guest.h"
#include "plugins/tensorflowlite/backend.h"

/* --- sessions ------------------------------------------------------------------------------- */

static enum vm_status
create(const struct vm_plugin_call *call, struct vm_str bytes, uint32_t *out_number,
       struct vm_error *err)
{
	struct nn_remote *remote;
	struct nn_session *session;
	enum vm_status st = nn_remote_new(call, NULL, NULL, bytes, &remote, err);

	if (st != VM_OK)
		return st;
	st = nn_guest_add(call, remote, out_number, &session, err);
	if (st != VM_OK)
		return st;
	for (uint32_t i = 0; st == VM_OK && i < remote->outputs.count; i++) {
		const struct nn_tensor *output = &remote->outputs.items[i];
		if (!nn_list_add(&session->wanted, output->name, output->type, &output->shape))
			st = vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
	}
	/* Inputs that are never given are zeros. */
	for (uint32_t i = 0; st == VM_OK && i < remote->inputs.count; i++) {
		const struct nn_tensor *input = &remote->inputs.items[i];
		uint64_t size = 0;
		if (!nn_tensor_size(input, &size) && !nn_shape_count(&input->shape, &size))
			continue;
		size = input->type == NN_BYTES ? 4 * size : size; /* empty texts */
		uint8_t *zeros = size < UINT32_MAX ? calloc(1, (size_t)size + 1) : NULL;
		st = zeros != NULL ? nn_session_give(call, session, input,
		                                     (struct vm_str){ (char *)zeros, (size_t)size },
		                                     err)
		                   : vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
		free(zeros);
	}
	if (st != VM_OK)
		nn_session_free(call->host, call,
		                nn_table_take(&nn_program_of(call)->sessions, *out_number));
	return st;
}

/* The bytes for an input, as large as it is. */
static enum vm_status
give(const struct vm_plugin_call *call, struct nn_session *session, const char *bytes, size_t len,
     struct vm_str data, struct vm_error *err)
{
	char name[NN_NAME_MAX + 1];
	const struct nn_list *inputs = &session->remote->inputs;
	int32_t index = nn_guest_name(bytes, len, name) ? nn_list_find(inputs, name) : -1;

	if (index < 0)
		return vm_plugin_fail(call->host, err, VM_E_ARGUMENT,
		                      "the model has no such input");
	if (!nn_tensor_holds(&inputs->items[index], data.data, data.len))
		return vm_plugin_fail(call->host, err, VM_E_ARGUMENT,
		                      "%zu bytes are not what input %.80s takes", data.len, name);
	return nn_session_give(call, session, &inputs->items[index], data, err);
}

static int32_t
find_output(const struct nn_session *session, const char *bytes, size_t len)
{
	char name[NN_NAME_MAX + 1];

	return nn_guest_name(bytes, len, name) ? nn_list_find(&session->wanted, name) : -1;
}

static struct nn_session *
session_of(const struct vm_plugin_call *call, union vm_slot slot)
{
	return nn_table_get(&nn_program_of(call)->sessions, slot.u32);
}

static struct nn_session *
session_of_handle(const struct vm_plugin_call *call, union vm_slot slot)
{
	uint32_t number;

	return nn_table_of_handle(&nn_program_of(call)->sessions, slot.u64, &number);
}

static void
tell(const struct vm_plugin_call *call, const char *what, const struct vm_error *err)
{
	nn_tell(call, &nn_program_of(call)->messages, what, err);
}

static enum vm_status
answer(union vm_slot *slots, enum nn_errno number)
{
	slots[0].u32 = number;
	return VM_OK;
}

/* --- short names ---------------------------------------------------------------------------- */

/* (model, len, out_session) */
static enum vm_status
create_session(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const char *bytes = vm_plugin_memory(call, slots[0].u32, slots[1].u32);
	uint32_t out = slots[2].u32;
	uint32_t number;

	if (bytes == NULL || vm_plugin_memory(call, out, 4) == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	enum vm_status st = create(call, (struct vm_str){ bytes, slots[1].u32 }, &number, err);
	if (nn_ends_guest(st))
		return st;
	if (st != VM_OK)
		tell(call, "create_session", err);
	if (st == VM_OK)
		nn_store_u32(vm_plugin_memory(call, out, 4), number);
	return answer(slots, st == VM_OK              ? NN_SUCCESS
	                     : st == VM_E_DATA        ? NN_INVALID_ARGUMENT
	                     : st == VM_E_NOMEM       ? NN_MISSING_MEMORY
	                     : st == VM_E_UNSUPPORTED ? NN_RUNTIME_ERROR
	                                              : NN_BUSY);
}

/* (session, name, len, out_tensor) */
static enum vm_status
get_output_tensor(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const struct nn_session *session = session_of(call, slots[0]);
	const char *name;
	uint8_t *out;

	(void)err;
	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	name = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	out = vm_plugin_memory(call, slots[3].u32, 4);
	if (name == NULL || out == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	int32_t index = find_output(session, name, slots[2].u32);
	if (index < 0)
		return answer(slots, NN_INVALID_ARGUMENT);
	nn_store_u32(out, (uint32_t)index);
	return answer(slots, NN_SUCCESS);
}

/* (session, tensor, buffer, len, out_written) */
static enum vm_status
get_tensor_data(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const struct nn_session *session = session_of(call, slots[0]);
	uint32_t index = slots[1].u32;
	uint32_t len = slots[3].u32;
	uint8_t *buffer;
	uint8_t *out;

	(void)err;
	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	buffer = vm_plugin_memory(call, slots[2].u32, len);
	out = vm_plugin_memory(call, slots[4].u32, 4);
	if (buffer == NULL || out == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	if (index >= session->wanted.count || nn_guest_tensor_len(session, index) != len)
		return answer(slots, NN_INVALID_ARGUMENT);
	nn_guest_tensor_copy(session, index, buffer, len);
	nn_store_u32(out, len);
	return answer(slots, NN_SUCCESS);
}

/* (session, name, len, data, len) */
static enum vm_status
append_input(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of(call, slots[0]);
	const char *name;
	const char *data;

	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	name = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	data = vm_plugin_memory(call, slots[3].u32, slots[4].u32);
	if (name == NULL || data == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	enum vm_status st = give(call, session, name, slots[2].u32,
	                         (struct vm_str){ data, slots[4].u32 }, err);
	if (st != VM_OK)
		tell(call, "append_input", err);
	return answer(slots, st == VM_OK           ? NN_SUCCESS
	                     : st == VM_E_ARGUMENT ? NN_INVALID_ARGUMENT
	                                           : NN_BUSY);
}

/* --- long names ----------------------------------------------------------------------------- */

static enum vm_status
old_create_session(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const char *bytes = vm_plugin_memory(call, slots[0].u32, slots[1].u32);
	uint32_t number;

	if (bytes == NULL)
		return vm_plugin_trap_memory(call, err, "model", slots[0].u32, slots[1].u32);
	enum vm_status st = create(call, (struct vm_str){ bytes, slots[1].u32 }, &number, err);
	if (nn_ends_guest(st))
		return st;
	if (st != VM_OK)
		tell(call, "create_session", err);
	slots[0].u64 = st == VM_OK ? nn_table_handle(&nn_program_of(call)->sessions, number) : 0;
	return VM_OK;
}

static enum vm_status
old_get_output_tensor(const struct vm_plugin_call *call, union vm_slot *slots,
                      struct vm_error *err)
{
	const struct nn_session *session = session_of_handle(call, slots[0]);
	const char *name = vm_plugin_memory(call, slots[1].u32, slots[2].u32);

	if (name == NULL)
		return vm_plugin_trap_memory(call, err, "name", slots[1].u32, slots[2].u32);
	int32_t index = session != NULL ? find_output(session, name, slots[2].u32) : -1;
	slots[0].u64 = index >= 0 ? nn_table_part(slots[0].u64, (uint32_t)index) : 0;
	return VM_OK;
}

static enum vm_status
old_append_input(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of_handle(call, slots[0]);
	const char *name = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	const char *data = vm_plugin_memory(call, slots[3].u32, slots[4].u32);
	enum vm_status st;

	if (name == NULL)
		return vm_plugin_trap_memory(call, err, "name", slots[1].u32, slots[2].u32);
	if (data == NULL)
		return vm_plugin_trap_memory(call, err, "tensor", slots[3].u32, slots[4].u32);
	st = session != NULL ? give(call, session, name, slots[2].u32,
	                            (struct vm_str){ data, slots[4].u32 }, err)
	                     : vm_plugin_fail(call->host, err, VM_E_ARGUMENT, "no such session");
	if (st != VM_OK)
		tell(call, "append_input", err);
	return VM_OK;
}

/* --- the plug-in ---------------------------------------------------------------------------- */

#define OLD(name) "wasmedge_tensorflowlite_" name

static const struct vm_plugin_func funcs[] = {
	{ "create_session", "iii", "i", create_session },
	{ "delete_session", "i", "i", nn_guest_delete_session },
	{ "run_session", "i", "i", nn_guest_run_session },
	{ "get_output_tensor", "iiii", "i", get_output_tensor },
	{ "get_tensor_len", "iii", "i", nn_guest_get_tensor_len },
	{ "get_tensor_data", "iiiii", "i", get_tensor_data },
	{ "append_input", "iiiii", "i", append_input },
	{ OLD("create_session"), "ii", "l", old_create_session },
	{ OLD("delete_session"), "l", "", nn_guest_old_delete_session },
	{ OLD("run_session"), "l", "i", nn_guest_old_run_session },
	{ OLD("get_output_tensor"), "lii", "l", old_get_output_tensor },
	{ OLD("get_tensor_len"), "l", "i", nn_guest_old_get_tensor_len },
	{ OLD("get_tensor_data"), "li", "", nn_guest_old_get_tensor_data },
	{ OLD("append_input"), "liiii", "", old_append_input },
};

static const struct vm_plugin_module modules[] = {
	{ "wasmedge_tensorflowlite", "Inference with TensorFlow Lite", funcs,
	  sizeof funcs / sizeof *funcs },
};

static const struct vm_plugin_option options[] = {
	NN_OPTIONS("Path of libtensorflowlite_c.so, or of a folder that has it; standard: where "
	           "the "
	           "system looks for libraries"),
};

static enum vm_status
open(const struct vm_plugin_host *host, const struct vm_plugin_value *values, void **out_plugin,
     struct vm_error *err)
{
	struct nn_models *models = calloc(1, sizeof *models);

	if (models == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	enum vm_status st =
	    nn_models_init(models, host, &tflite_backend, &tflite_library, values, err);
	if (st != VM_OK) {
		free(models);
		return st;
	}
	*out_plugin = models;
	return VM_OK;
}

static void
close(void *plugin)
{
	nn_models_clear(plugin);
	free(plugin);
}

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasmedge_tensorflowlite",
	.version = "1.0.0",
	.summary = "Inference with TensorFlow Lite",
	.options = options,
	.option_count = sizeof options / sizeof *options,
	.modules = modules,
	.module_count = 1,
	.operations = nn_operations,
	.operation_count = NN_OPERATION_COUNT,
	.open = open,
	.close = close,
	.check = nn_models_check,
	.state_new = nn_program_new,
	.state_free = nn_program_free,
};

VM_PLUGIN(wasmedge_tensorflowlite)
{
	return &plugin;
}
