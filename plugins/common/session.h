/*
 * session.h - what a guest does with a model between the calls: inputs that were given, outputs
 * that are wanted, and what the last run gave.
 *
 * Owns:    all of it, charged to the guest, and one use of the model
 * Threads: the guest's
 */
#pragma once

#include "plugins/common/remote.h"

struct nn_session {
	struct nn_remote *remote;
	struct nn_list inputs; /* that have data */
	uint8_t *data[NN_TENSORS_MAX];
	size_t sizes[NN_TENSORS_MAX];
	struct nn_list wanted;  /* outputs, names only */
	struct nn_list results; /* as many as wanted when the last run was well, else none */
	struct vm_plugin_reply reply; /* their data */
	uint64_t charged; /* for the reply */
};

/* Takes over a use of the model. NULL: out of memory. */
struct nn_session *nn_session_new(struct nn_remote *remote);
/* call may be NULL, when all charges are given back anyway; host must not be. */
void nn_session_free(const struct vm_plugin_host *host, const struct vm_plugin_call *call,
                     struct nn_session *session);

/* Give an input its data, copied; replaces what was given for that name. Returns VM_E_NOMEM,
 * VM_E_LIMIT. */
VM_MUST_CHECK enum vm_status nn_session_give(const struct vm_plugin_call *call,
                                             struct nn_session *session,
                                             const struct nn_tensor *tensor, struct vm_str data,
                                             struct vm_error *err);
/* Want an output; *out_index is its place, also when it was wanted before. Returns VM_E_LIMIT. */
VM_MUST_CHECK enum vm_status nn_session_want(const struct vm_plugin_call *call,
                                             struct nn_session *session, const char *name,
                                             uint32_t *out_index, struct vm_error *err);
void nn_session_clear_inputs(const struct vm_plugin_call *call, struct nn_session *session);
void nn_session_clear_outputs(const struct vm_plugin_call *call, struct nn_session *session);

/* Run the model. Earlier results are gone, also when it fails. */
VM_MUST_CHECK enum vm_status nn_session_run(const struct vm_plugin_call *call,
                                            struct nn_session *session, struct vm_error *err);
/* The bytes of the result at that place; false when there are none. */
bool nn_session_result(const struct nn_session *session, uint32_t index, struct vm_str *out);
