#include "plugins/common/session.h"

#include <stdlib.h>
#include <string.h>

struct nn_session *
nn_session_new(struct nn_remote *remote)
{
	struct nn_session *session = calloc(1, sizeof *session);

	if (session != NULL)
		session->remote = remote;
	return session;
}

static void
drop_results(const struct vm_plugin_host *host, const struct vm_plugin_call *call,
             struct nn_session *session)
{
	if (call != NULL)
		vm_plugin_give(call, session->charged);
	session->charged = 0;
	nn_list_clear(&session->results);
	vm_plugin_reply_clear(host, &session->reply);
}

static void
drop_inputs(const struct vm_plugin_call *call, struct nn_session *session)
{
	for (uint32_t i = 0; i < session->inputs.count; i++) {
		if (call != NULL)
			vm_plugin_give(call, session->sizes[i]);
		free(session->data[i]);
	}
	nn_list_clear(&session->inputs);
}

void
nn_session_free(const struct vm_plugin_host *host, const struct vm_plugin_call *call,
                struct nn_session *session)
{
	if (session == NULL)
		return;
	drop_results(host, call, session);
	drop_inputs(call, session);
	nn_list_clear(&session->wanted);
	nn_remote_unref(call, session->remote);
	free(session);
}

void
nn_session_clear_inputs(const struct vm_plugin_call *call, struct nn_session *session)
{
	drop_inputs(call, session);
}

void
nn_session_clear_outputs(const struct vm_plugin_call *call, struct nn_session *session)
{
	drop_results(call->host, call, session);
	nn_list_clear(&session->wanted);
}

/* --- inputs and outputs --------------------------------------------------------------------- */

enum vm_status
nn_session_give(const struct vm_plugin_call *call, struct nn_session *session,
                const struct nn_tensor *tensor, struct vm_str data, struct vm_error *err)
{
	int32_t index = nn_list_find(&session->inputs, tensor->name);
	uint8_t *copy;

	if (index < 0 && session->inputs.count == NN_TENSORS_MAX)
		return vm_plugin_fail(call->host, err, VM_E_LIMIT, "more than %u inputs",
		                      NN_TENSORS_MAX);
	if (!vm_plugin_take(call, data.len))
		return vm_plugin_fail(call->host, err, VM_E_NOMEM,
		                      "a tensor of %zu bytes exceeds the program's memory",
		                      data.len);
	copy = malloc(data.len + 1);
	if (copy == NULL || (index < 0 && !nn_list_add(&session->inputs, tensor->name, tensor->type,
	                                               &tensor->shape))) {
		free(copy);
		vm_plugin_give(call, data.len);
		return vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
	}
	if (index >= 0) {
		session->inputs.items[index].type = tensor->type;
		session->inputs.items[index].shape = tensor->shape;
		free(session->data[index]);
		vm_plugin_give(call, session->sizes[index]);
	} else {
		index = (int32_t)session->inputs.count - 1;
	}
	if (data.len > 0)
		memcpy(copy, data.data, data.len);
	session->data[index] = copy;
	session->sizes[index] = data.len;
	return VM_OK;
}

enum vm_status
nn_session_want(const struct vm_plugin_call *call, struct nn_session *session, const char *name,
                uint32_t *out_index, struct vm_error *err)
{
	const struct nn_shape unknown = { .rank = -1 };
	int32_t index = nn_list_find(&session->wanted, name);

	if (index < 0) {
		if (!nn_list_add(&session->wanted, name, NN_INVALID, &unknown))
			return vm_plugin_fail(call->host, err, VM_E_LIMIT,
			                      "more than %u outputs, or out of memory",
			                      NN_TENSORS_MAX);
		index = (int32_t)session->wanted.count - 1;
	}
	*out_index = (uint32_t)index;
	return VM_OK;
}

/* --- running -------------------------------------------------------------------------------- */

enum vm_status
nn_session_run(const struct vm_plugin_call *call, struct nn_session *session, struct vm_error *err)
{
	struct vm_str data[NN_TENSORS_MAX];
	uint64_t charge = 0;

	drop_results(call->host, call, session);
	if (session->wanted.count == 0)
		return vm_plugin_fail(call->host, err, VM_E_ARGUMENT, "no output is wanted");
	for (uint32_t i = 0; i < session->inputs.count; i++)
		data[i] = (struct vm_str){ (const char *)session->data[i], session->sizes[i] };
	enum vm_status st = nn_remote_infer(call, session->remote, &session->inputs, data,
	                                    &session->wanted, &session->reply, &session->results,
	                                    err);
	for (uint32_t i = 0; i < session->reply.buffer_count; i++)
		charge += session->reply.buffers[i].len;
	if (st == VM_OK && !vm_plugin_take(call, charge))
		st = vm_plugin_fail(call->host, err, VM_E_NOMEM,
		                    "results of %llu bytes exceed the program's memory",
		                    (unsigned long long)charge);
	else if (st == VM_OK)
		session->charged = charge;
	if (st != VM_OK)
		drop_results(call->host, call, session);
	return st;
}

bool
nn_session_result(const struct nn_session *session, uint32_t index, struct vm_str *out)
{
	if (index >= session->results.count)
		return false;
	const struct vm_plugin_bytes *bytes = &session->reply.buffers[index];
	*out = (struct vm_str){ (const char *)bytes->data, bytes->len };
	return true;
}
