#include "plugins/common/guest.h"

#include <stdlib.h>
#include <string.h>
#include "plugins/common/models.h"

/* --- programs ------------------------------------------------------------------------------- */

enum vm_status
nn_program_new(const struct vm_plugin_call *call, void **out_state, struct vm_error *err)
{
	*out_state = calloc(1, sizeof(struct nn_program));
	return *out_state != NULL ? VM_OK
	                          : vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
}

void
nn_program_free(void *plugin, void *state)
{
	const struct nn_models *models = plugin;
	struct nn_program *program = state;

	for (uint32_t i = 0; i < program->sessions.slot_count; i++)
		nn_session_free(models->host, NULL, nn_table_get(&program->sessions, i));
	nn_table_clear(&program->sessions);
	free(program);
}

enum vm_status
nn_guest_add(const struct vm_plugin_call *call, struct nn_remote *remote, uint32_t *out_number,
             struct nn_session **out, struct vm_error *err)
{
	struct nn_session *session = nn_session_new(remote);

	if (session == NULL) {
		nn_remote_unref(call, remote);
		return vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
	}
	if (!nn_table_add(&nn_program_of(call)->sessions, session, out_number)) {
		nn_session_free(call->host, call, session);
		return vm_plugin_fail(call->host, err, VM_E_NOMEM, "more than %u sessions",
		                      NN_TABLE_MAX);
	}
	*out = session;
	return VM_OK;
}

bool
nn_guest_name(const char *bytes, size_t len, char out[NN_NAME_MAX + 1])
{
	if (len > NN_NAME_MAX || memchr(bytes, '\0', len) != NULL)
		return false;
	memcpy(out, bytes, len);
	out[len] = '\0';
	return true;
}

/* --- tensors -------------------------------------------------------------------------------- */

uint64_t
nn_guest_tensor_len(const struct nn_session *session, uint32_t index)
{
	struct vm_str result;
	uint64_t len;

	if (nn_session_result(session, index, &result))
		return result.len;
	if (index < session->wanted.count && nn_tensor_size(&session->wanted.items[index], &len))
		return len;
	return 0;
}

void
nn_guest_tensor_copy(const struct nn_session *session, uint32_t index, void *out, size_t len)
{
	struct vm_str result;

	if (len == 0)
		return;
	if (nn_session_result(session, index, &result))
		memcpy(out, result.data, len);
	else
		memset(out, 0, len);
}

/* --- short names ---------------------------------------------------------------------------- */

enum vm_status
nn_guest_delete_session(const struct vm_plugin_call *call, union vm_slot *slots,
                        struct vm_error *err)
{
	(void)err;
	nn_session_free(call->host, call,
	                nn_table_take(&nn_program_of(call)->sessions, slots[0].u32));
	slots[0].u32 = NN_SUCCESS;
	return VM_OK;
}

enum vm_status
nn_guest_run_session(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct nn_session *session = nn_table_get(&nn_program_of(call)->sessions, slots[0].u32);

	slots[0].u32 = NN_INVALID_ARGUMENT;
	if (session == NULL)
		return VM_OK;
	enum vm_status st = nn_session_run(call, session, err);
	if (nn_ends_guest(st))
		return st;
	if (st != VM_OK)
		nn_tell(call, &nn_program_of(call)->messages, "run_session", err);
	slots[0].u32 = st == VM_OK ? NN_SUCCESS : NN_BUSY;
	return VM_OK;
}

enum vm_status
nn_guest_get_tensor_len(const struct vm_plugin_call *call, union vm_slot *slots,
                        struct vm_error *err)
{
	const struct nn_session *session =
	    nn_table_get(&nn_program_of(call)->sessions, slots[0].u32);
	uint32_t index = slots[1].u32;
	uint32_t out = slots[2].u32;
	enum nn_errno answer = NN_SUCCESS;

	(void)err;
	uint8_t *bytes = session != NULL ? vm_plugin_memory(call, out, 4) : NULL;
	if (session == NULL)
		answer = NN_INVALID_ARGUMENT;
	else if (bytes == NULL)
		answer = NN_MISSING_MEMORY;
	else if (index >= session->wanted.count)
		answer = NN_INVALID_ARGUMENT;
	else
		nn_store_u32(bytes, (uint32_t)nn_guest_tensor_len(session, index));
	slots[0].u32 = answer;
	return VM_OK;
}

/* --- long names ----------------------------------------------------------------------------- */

enum vm_status
nn_guest_old_delete_session(const struct vm_plugin_call *call, union vm_slot *slots,
                            struct vm_error *err)
{
	struct nn_table *sessions = &nn_program_of(call)->sessions;
	uint32_t number;

	(void)err;
	if (nn_table_of_handle(sessions, slots[0].u64, &number) != NULL)
		nn_session_free(call->host, call, nn_table_take(sessions, number));
	return VM_OK;
}

enum vm_status
nn_guest_old_run_session(const struct vm_plugin_call *call, union vm_slot *slots,
                         struct vm_error *err)
{
	uint32_t number;
	struct nn_session *session =
	    nn_table_of_handle(&nn_program_of(call)->sessions, slots[0].u64, &number);

	slots[0].u32 = 1;
	if (session == NULL)
		return VM_OK;
	enum vm_status st = nn_session_run(call, session, err);
	if (nn_ends_guest(st))
		return st;
	if (st != VM_OK)
		nn_tell(call, &nn_program_of(call)->messages, "run_session", err);
	slots[0].u32 = st == VM_OK ? 0 : 1;
	return VM_OK;
}

enum vm_status
nn_guest_old_get_tensor_len(const struct vm_plugin_call *call, union vm_slot *slots,
                            struct vm_error *err)
{
	uint32_t index;
	const struct nn_session *session =
	    nn_table_of_part(&nn_program_of(call)->sessions, slots[0].u64, &index);

	(void)err;
	slots[0].u32 = session != NULL ? (uint32_t)nn_guest_tensor_len(session, index) : 0;
	return VM_OK;
}

enum vm_status
nn_guest_old_get_tensor_data(const struct vm_plugin_call *call, union vm_slot *slots,
                             struct vm_error *err)
{
	uint32_t index;
	const struct nn_session *session =
	    nn_table_of_part(&nn_program_of(call)->sessions, slots[0].u64, &index);
	uint64_t len = session != NULL ? nn_guest_tensor_len(session, index) : 0;
	void *out = vm_plugin_memory(call, slots[1].u32, len);

	if (out == NULL)
		return vm_plugin_trap_memory(call, err, "tensor", slots[1].u32, len);
	if (len > 0)
		nn_guest_tensor_copy(session, index, out, (size_t)len);
	return VM_OK;
}
