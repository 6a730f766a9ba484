/*
 * tensorflow.c - the plug-in wasmedge_tensorflow: its host module and operations.
 *
 * A session feeds and fetches tensors by name. Whether there is such a one is asked when it is
 * appended; a long-named function that names one which is not there is told of it by the run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugins/common/guest.h"
#include "plugins/tensorflow/backend.h"

/* --- sessions ------------------------------------------------------------------------------- */

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

static enum vm_status
create(const struct vm_plugin_call *call, struct vm_str bytes, uint32_t *out_number,
       struct vm_error *err)
{
	struct nn_remote *remote;
	struct nn_session *session;
	enum vm_status st = nn_remote_new(call, NULL, "graphdef", bytes, &remote, err);

	return st == VM_OK ? nn_guest_add(call, remote, out_number, &session, err) : st;
}

/* "op" or "op:index" as it is known here: without an index that is 0, and without noughts. */
static bool
tensor_name(const char *bytes, size_t len, char out[NN_NAME_MAX + 1])
{
	char name[NN_NAME_MAX + 1];
	uint64_t index = 0;

	if (!nn_guest_name(bytes, len, name))
		return false;
	char *colon = strchr(name, ':');
	if (colon != NULL) {
		*colon = '\0';
		for (const char *digit = colon + 1; *digit != '\0'; digit++) {
			if (*digit < '0' || *digit > '9' || index > INT32_MAX)
				return false;
			index = index * 10 + (uint64_t)(*digit - '0');
		}
	}
	int size = index > 0 ? snprintf(out, NN_NAME_MAX + 1, "%s:%llu", name,
	                                (unsigned long long)index)
	                     : snprintf(out, NN_NAME_MAX + 1, "%s", name);
	return size <= (int)NN_NAME_MAX;
}

/* The same from a name and an index. */
static bool
old_tensor_name(const char *bytes, size_t len, uint32_t index, char out[NN_NAME_MAX + 1])
{
	char name[NN_NAME_MAX + 1];

	if (!nn_guest_name(bytes, len, name))
		return false;
	int size = index > 0 ? snprintf(out, NN_NAME_MAX + 1, "%s:%u", name, index)
	                     : snprintf(out, NN_NAME_MAX + 1, "%s", name);
	return size <= (int)NN_NAME_MAX;
}

/* Is there such a tensor in the model? VM_E_ARGUMENT when not. */
static enum vm_status
check(const struct vm_plugin_call *call, struct nn_session *session, const char *name,
      struct vm_error *err)
{
	struct nn_remote *remote = session->remote;
	struct nn_tensor known;
	bool is_there = nn_list_find(&remote->inputs, name) >= 0 ||
	                nn_list_find(&remote->outputs, name) >= 0;
	enum vm_status st =
	    is_there ? VM_OK : nn_remote_describe(call, remote, name, &is_there, &known, err);

	if (st == VM_OK && !is_there)
		st = vm_plugin_fail(call->host, err, VM_E_ARGUMENT,
		                    "the graph has no tensor %.120s", name);
	return st;
}

/* Shape and type as a guest gives them. dims are 64-bit numbers. */
static bool
read_tensor(const uint8_t *dims, uint32_t dim_count, uint32_t type, struct nn_tensor *out)
{
	out->type = nn_datatype_of_code(NN_CODES_TENSORFLOW, type);
	if (out->type == NN_INVALID || dim_count > NN_RANK_MAX)
		return false;
	out->shape.rank = (int32_t)dim_count;
	for (uint32_t i = 0; i < dim_count; i++)
		out->shape.dims[i] = (int64_t)nn_load_u64(dims + 8 * (size_t)i);
	return true;
}

static enum vm_status
give(const struct vm_plugin_call *call, struct nn_session *session, char *name,
     const uint8_t *dims, uint32_t dim_count, uint32_t type, struct vm_str data,
     struct vm_error *err)
{
	struct nn_tensor tensor = { .name = name };
	char shape[NN_SHAPE_TEXT_MAX];

	if (!read_tensor(dims, dim_count, type, &tensor))
		return vm_plugin_fail(call->host, err, VM_E_ARGUMENT,
		                      "input %.80s: there is no type %u, or there are too many "
		                      "dimensions "
		                      "(%u)", name, type, dim_count);
	if (!nn_tensor_holds(&tensor, data.data, data.len))
		return vm_plugin_fail(call->host, err, VM_E_ARGUMENT,
		                      "input %.80s: %zu bytes are not what %s of shape %.80s has",
		                      name,
		                      data.len, nn_datatype_word(tensor.type),
		                      nn_shape_text(&tensor.shape, shape, sizeof shape));
	return nn_session_give(call, session, &tensor, data, err);
}

/* --- short names ---------------------------------------------------------------------------- */

static enum vm_status
created(const struct vm_plugin_call *call, union vm_slot *slots, uint32_t out, uint32_t number,
        enum vm_status st, struct vm_error *err)
{
	if (nn_ends_guest(st))
		return st;
	if (st != VM_OK)
		tell(call, "create_session", err);
	else
		nn_store_u32(vm_plugin_memory(call, out, 4), number);
	return answer(slots, st == VM_OK              ? NN_SUCCESS
	                     : st == VM_E_NOMEM       ? NN_MISSING_MEMORY
	                     : st == VM_E_UNSUPPORTED ? NN_RUNTIME_ERROR
	                                              : NN_INVALID_ARGUMENT);
}

/* (model, len, out_session) */
static enum vm_status
create_session(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const char *bytes = vm_plugin_memory(call, slots[0].u32, slots[1].u32);
	uint32_t out = slots[2].u32;
	uint32_t number = 0;

	if (bytes == NULL || vm_plugin_memory(call, out, 4) == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	enum vm_status st = create(call, (struct vm_str){ bytes, slots[1].u32 }, &number, err);
	return created(call, slots, out, number, st, err);
}

/* tags is NULL when a range is outside of the memory; the caller drops the reference. */
static json_t *
read_tags(const struct vm_plugin_call *call, uint32_t address, uint32_t count)
{
	const uint8_t *tags = vm_plugin_memory(call, address, 8 * (uint64_t)count);
	json_t *array = tags != NULL && count <= NN_TAGS_MAX ? json_array() : NULL;

	for (uint32_t i = 0; array != NULL && i < count; i++) {
		const uint32_t len = nn_load_u32(tags + 8 * (size_t)i + 4);
		const char *tag = vm_plugin_memory(call, nn_load_u32(tags + 8 * (size_t)i), len);
		if (tag == NULL || len > NN_NAME_MAX ||
		    json_array_append_new(array, json_stringn(tag, len)) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* (path, len, tags, tag_count, out_session) */
static enum vm_status
create_session_saved_model(const struct vm_plugin_call *call, union vm_slot *slots,
                           struct vm_error *err)
{
	const char *bytes = vm_plugin_memory(call, slots[0].u32, slots[1].u32);
	uint32_t out = slots[4].u32;
	char path[4096];
	struct nn_remote *remote;
	struct nn_session *session;
	uint32_t number = 0;

	if (bytes == NULL || vm_plugin_memory(call, slots[2].u32,
	                                      8 * (uint64_t)slots[3].u32) == NULL ||
	    vm_plugin_memory(call, out, 4) == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	if (slots[1].u32 >= sizeof path || memchr(bytes, '\0', slots[1].u32) != NULL ||
	    slots[3].u32 > NN_TAGS_MAX)
		return answer(slots, NN_INVALID_ARGUMENT);
	memcpy(path, bytes, slots[1].u32);
	path[slots[1].u32] = '\0';
	json_t *tags = read_tags(call, slots[2].u32, slots[3].u32);
	if (tags == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	enum vm_status st = nn_remote_new_saved(call, path, tags, &remote, err);
	if (st == VM_OK)
		st = nn_guest_add(call, remote, &number, &session, err);
	return created(call, slots, out, number, st, err);
}

/* (session, name, len, out_tensor) */
static enum vm_status
get_output_tensor(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const struct nn_session *session = session_of(call, slots[0]);
	char name[NN_NAME_MAX + 1];

	(void)err;
	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	const char *bytes = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	uint8_t *out = vm_plugin_memory(call, slots[3].u32, 4);
	if (bytes == NULL || out == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	int32_t index = tensor_name(bytes, slots[2].u32, name)
	                    ? nn_list_find(&session->wanted, name)
	                    : -1;
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
	uint64_t len = slots[3].u32;

	(void)err;
	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	uint8_t *buffer = vm_plugin_memory(call, slots[2].u32, len);
	uint8_t *out = vm_plugin_memory(call, slots[4].u32, 4);
	if (buffer == NULL || out == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	if (index >= session->wanted.count)
		return answer(slots, NN_INVALID_ARGUMENT);
	uint64_t size = nn_guest_tensor_len(session, index);
	len = size < len ? size : len;
	nn_guest_tensor_copy(session, index, buffer, (size_t)len);
	nn_store_u32(out, (uint32_t)len);
	return answer(slots, NN_SUCCESS);
}

static enum vm_status
appended(const struct vm_plugin_call *call, union vm_slot *slots, const char *what,
         enum vm_status st, struct vm_error *err)
{
	if (nn_ends_guest(st))
		return st;
	if (st != VM_OK)
		tell(call, what, err);
	return answer(slots, st == VM_OK           ? NN_SUCCESS
	                     : st == VM_E_ARGUMENT ? NN_INVALID_ARGUMENT
	                                           : NN_BUSY);
}

/* (session, name, len, dims, dim_count, type, data, len) */
static enum vm_status
append_input(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of(call, slots[0]);
	char name[NN_NAME_MAX + 1];

	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	const char *bytes = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	const uint8_t *dims = vm_plugin_memory(call, slots[3].u32, 8 * (uint64_t)slots[4].u32);
	const char *data = vm_plugin_memory(call, slots[6].u32, slots[7].u32);
	if (bytes == NULL || dims == NULL || data == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	if (!tensor_name(bytes, slots[2].u32, name))
		return answer(slots, NN_INVALID_ARGUMENT);
	enum vm_status st = check(call, session, name, err);
	if (st == VM_OK)
		st = give(call, session, name, dims, slots[4].u32, slots[5].u32,
		          (struct vm_str){ data, slots[7].u32 }, err);
	return appended(call, slots, "append_input", st, err);
}

/* (session, name, len) */
static enum vm_status
append_output(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of(call, slots[0]);
	char name[NN_NAME_MAX + 1];
	uint32_t index;

	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	const char *bytes = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	if (bytes == NULL)
		return answer(slots, NN_MISSING_MEMORY);
	if (!tensor_name(bytes, slots[2].u32, name))
		return answer(slots, NN_INVALID_ARGUMENT);
	enum vm_status st = check(call, session, name, err);
	if (st == VM_OK)
		st = nn_session_want(call, session, name, &index, err);
	return appended(call, slots, "append_output", st, err);
}

static enum vm_status
clear_input(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of(call, slots[0]);

	(void)err;
	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	nn_session_clear_inputs(call, session);
	return answer(slots, NN_SUCCESS);
}

static enum vm_status
clear_output(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of(call, slots[0]);

	(void)err;
	if (session == NULL)
		return answer(slots, NN_INVALID_ARGUMENT);
	nn_session_clear_outputs(call, session);
	return answer(slots, NN_SUCCESS);
}

/* --- long names ----------------------------------------------------------------------------- */

/* (model, len) -> session */
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

/* (session, name, len, index) -> tensor */
static enum vm_status
old_get_output_tensor(const struct vm_plugin_call *call, union vm_slot *slots,
                      struct vm_error *err)
{
	const struct nn_session *session = session_of_handle(call, slots[0]);
	const char *bytes = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	char name[NN_NAME_MAX + 1];
	struct vm_str result;
	int32_t index = -1;

	if (bytes == NULL)
		return vm_plugin_trap_memory(call, err, "name", slots[1].u32, slots[2].u32);
	if (session != NULL && old_tensor_name(bytes, slots[2].u32, slots[3].u32, name))
		index = nn_list_find(&session->wanted, name);
	bool is_there = index >= 0 && nn_session_result(session, (uint32_t)index, &result);
	slots[0].u64 = is_there ? nn_table_part(slots[0].u64, (uint32_t)index) : 0;
	return VM_OK;
}

/* A tensor that is not in the graph is taken all the same: it is the run that fails then. */
static enum vm_status
old_check(const struct vm_plugin_call *call, struct nn_session *session, const char *name,
          struct vm_error *err)
{
	enum vm_status st = check(call, session, name, err);

	if (st != VM_E_ARGUMENT)
		return st;
	tell(call, "append", err);
	return VM_OK;
}

/* (session, name, len, index, dims, dim_count, type, data, len) */
static enum vm_status
old_append_input(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of_handle(call, slots[0]);
	const char *bytes = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	const uint8_t *dims = vm_plugin_memory(call, slots[4].u32, 8 * (uint64_t)slots[5].u32);
	const char *data = vm_plugin_memory(call, slots[7].u32, slots[8].u32);
	char name[NN_NAME_MAX + 1];

	if (bytes == NULL)
		return vm_plugin_trap_memory(call, err, "name", slots[1].u32, slots[2].u32);
	if (dims == NULL)
		return vm_plugin_trap_memory(call, err, "dimensions", slots[4].u32,
		                             8 * (uint64_t)slots[5].u32);
	if (data == NULL)
		return vm_plugin_trap_memory(call, err, "tensor", slots[7].u32, slots[8].u32);
	if (session == NULL || !old_tensor_name(bytes, slots[2].u32, slots[3].u32, name))
		return VM_OK;
	enum vm_status st = old_check(call, session, name, err);
	if (st == VM_OK)
		st = give(call, session, name, dims, slots[5].u32, slots[6].u32,
		          (struct vm_str){ data, slots[8].u32 }, err);
	if (nn_ends_guest(st))
		return st;
	if (st != VM_OK)
		tell(call, "append_input", err);
	return VM_OK;
}

/* (session, name, len, index) */
static enum vm_status
old_append_output(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of_handle(call, slots[0]);
	const char *bytes = vm_plugin_memory(call, slots[1].u32, slots[2].u32);
	char name[NN_NAME_MAX + 1];
	uint32_t index;

	if (bytes == NULL)
		return vm_plugin_trap_memory(call, err, "name", slots[1].u32, slots[2].u32);
	if (session == NULL || !old_tensor_name(bytes, slots[2].u32, slots[3].u32, name))
		return VM_OK;
	enum vm_status st = old_check(call, session, name, err);
	if (st == VM_OK)
		st = nn_session_want(call, session, name, &index, err);
	if (nn_ends_guest(st))
		return st;
	if (st != VM_OK)
		tell(call, "append_output", err);
	return VM_OK;
}

static enum vm_status
old_clear_input(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of_handle(call, slots[0]);

	(void)err;
	if (session != NULL)
		nn_session_clear_inputs(call, session);
	return VM_OK;
}

static enum vm_status
old_clear_output(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = session_of_handle(call, slots[0]);

	(void)err;
	if (session != NULL)
		nn_session_clear_outputs(call, session);
	return VM_OK;
}

/* --- the plug-in ---------------------------------------------------------------------------- */

#define OLD(name) "wasmedge_tensorflow_" name

static const struct vm_plugin_func funcs[] = {
	{ "create_session", "iii", "i", create_session },
	{ "create_session_saved_model", "iiiii", "i", create_session_saved_model },
	{ "delete_session", "i", "i", nn_guest_delete_session },
	{ "run_session", "i", "i", nn_guest_run_session },
	{ "get_output_tensor", "iiii", "i", get_output_tensor },
	{ "get_tensor_len", "iii", "i", nn_guest_get_tensor_len },
	{ "get_tensor_data", "iiiii", "i", get_tensor_data },
	{ "append_input", "iiiiiiii", "i", append_input },
	{ "append_output", "iii", "i", append_output },
	{ "clear_input", "i", "i", clear_input },
	{ "clear_output", "i", "i", clear_output },
	{ OLD("create_session"), "ii", "l", old_create_session },
	{ OLD("delete_session"), "l", "", nn_guest_old_delete_session },
	{ OLD("run_session"), "l", "i", nn_guest_old_run_session },
	{ OLD("get_output_tensor"), "liii", "l", old_get_output_tensor },
	{ OLD("get_tensor_len"), "l", "i", nn_guest_old_get_tensor_len },
	{ OLD("get_tensor_data"), "li", "", nn_guest_old_get_tensor_data },
	{ OLD("append_input"), "liiiiiiii", "", old_append_input },
	{ OLD("append_output"), "liii", "", old_append_output },
	{ OLD("clear_input"), "l", "", old_clear_input },
	{ OLD("clear_output"), "l", "", old_clear_output },
};

static const struct vm_plugin_module modules[] = {
	{ "wasmedge_tensorflow", "Inference with TensorFlow", funcs, sizeof funcs / sizeof *funcs },
};

enum { OPTION_FOLDERS = NN_OPTION_COUNT, OPTION_HOST_OPERATIONS };

static const struct vm_plugin_option options[] = {
	NN_OPTIONS("Path of libtensorflow.so.2 or libtensorflow_cc.so.2, or of a folder that has "
	           "one; "
	           "standard: where the system looks for libraries"),
	{ "saved_model_folders", VM_PLUGIN_LIST, "",
	  "Folders of the host below which SavedModels may be loaded from; none when there are "
	  "none" },
	{ "host_operations", VM_PLUGIN_BOOL, "no",
	  "Whether graphs may have operations that reach files, the network or code of the host" },
};

static enum vm_status
open(const struct vm_plugin_host *host, const struct vm_plugin_value *values, void **out_plugin,
     struct vm_error *err)
{
	struct tf_models *models = calloc(1, sizeof *models);

	if (models == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	enum vm_status st =
	    nn_models_init(&models->base, host, &tf_backend, &tf_library, values, err);
	if (st != VM_OK) {
		free(models);
		return st;
	}
	models->saved_model_folders = values[OPTION_FOLDERS].text;
	models->saved_model_folder_count = values[OPTION_FOLDERS].number;
	models->allows_host_operations = values[OPTION_HOST_OPERATIONS].number != 0;
	/* It tells the terminal about itself, unless it is told not to before it is opened. */
	setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
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
	.name = "wasmedge_tensorflow",
	.version = "1.0.0",
	.summary = "Inference with TensorFlow",
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

VM_PLUGIN(wasmedge_tensorflow)
{
	return &plugin;
}
