/*
 * guest.h - what the host modules wasmedge_tensorflow and wasmedge_tensorflowlite have in common:
 * sessions of a program, and the functions that are the same for both.
 *
 * Two generations of functions work on the same sessions. Those with a long name take and give
 * handles of 64 bits and trap for addresses outside of the memory; those with a short one take
 * small numbers and answer an errno.
 *
 * Threads: the guest's
 */
#pragma once

#include "plugins/common/session.h"
#include "plugins/common/table.h"

enum nn_errno {
	NN_SUCCESS,
	NN_INVALID_ARGUMENT,
	NN_INVALID_ENCODING,
	NN_MISSING_MEMORY,
	NN_BUSY,
	NN_RUNTIME_ERROR,
};

/* What a program has. */
struct nn_program {
	struct nn_table sessions;
	uint32_t messages; /* for nn_tell */
};

/* state_new and state_free of the plug-in. */
enum vm_status nn_program_new(const struct vm_plugin_call *call, void **out_state,
                              struct vm_error *err);
void nn_program_free(void *plugin, void *state);

static inline struct nn_program *
nn_program_of(const struct vm_plugin_call *call)
{
	return call->state;
}

/* Does this status end the guest, whatever its interface says about errors? */
static inline bool
nn_ends_guest(enum vm_status st)
{
	return st == VM_TRAP || st == VM_EXIT;
}

/* Make a session of a model, whose use is taken over. Returns VM_E_NOMEM, also for too many. */
VM_MUST_CHECK enum vm_status nn_guest_add(const struct vm_plugin_call *call,
                                          struct nn_remote *remote, uint32_t *out_number,
                                          struct nn_session **out, struct vm_error *err);

/* The functions with short names that are the same in both modules. */
enum vm_status nn_guest_delete_session(const struct vm_plugin_call *call, union vm_slot *slots,
                                       struct vm_error *err);
enum vm_status nn_guest_run_session(const struct vm_plugin_call *call, union vm_slot *slots,
                                    struct vm_error *err);
enum vm_status nn_guest_get_tensor_len(const struct vm_plugin_call *call, union vm_slot *slots,
                                       struct vm_error *err);
/* And with long ones. */
enum vm_status nn_guest_old_delete_session(const struct vm_plugin_call *call, union vm_slot *slots,
                                           struct vm_error *err);
enum vm_status nn_guest_old_run_session(const struct vm_plugin_call *call, union vm_slot *slots,
                                        struct vm_error *err);
enum vm_status nn_guest_old_get_tensor_len(const struct vm_plugin_call *call,
                                           union vm_slot *slots, struct vm_error *err);
enum vm_status nn_guest_old_get_tensor_data(const struct vm_plugin_call *call,
                                            union vm_slot *slots, struct vm_error *err);

/* Bytes of a wanted output: of the last run; before one, what is known about it, or 0. */
uint64_t nn_guest_tensor_len(const struct nn_session *session, uint32_t index);
/* Its first len bytes; zeros before a run. */
void nn_guest_tensor_copy(const struct nn_session *session, uint32_t index, void *out, size_t len);

/* A name out of a guest's memory, ended by NUL. False when it is too long or has a NUL inside. */
bool nn_guest_name(const char *bytes, size_t len, char out[NN_NAME_MAX + 1]);
