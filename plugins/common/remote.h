/*
 * remote.h - a model as the host functions of a guest see it: its bytes, and the operations that
 * load and run it, wherever they do.
 *
 * What was loaded may be gone when it is needed (its process ended, others needed the memory): it
 * is then loaded again, once, without the guest noticing.
 *
 * Owns:    a copy of the bytes, charged to the guest
 * Threads: the guest's
 */
#pragma once

#include "plugins/common/message.h"

struct nn_remote {
	const char *plugin; /* whose operations; NULL: of the plug-in that asks */
	char key[NN_KEY_MAX + 1];
	char *load_json; /* the request that loads it */
	uint8_t *bytes;
	size_t len;
	bool has_bytes;
	uint64_t charged;
	uint32_t users;
	struct nn_list inputs;
	struct nn_list outputs;
};

/*
 * Load a model from bytes, which are copied. format may be NULL. Has one user.
 *
 * Returns VM_E_NOMEM also when it would be too much for the guest
 *         VM_TRAP    the guest was stopped
 *         what the operation returns
 */
VM_MUST_CHECK enum vm_status nn_remote_new(const struct vm_plugin_call *call, const char *plugin,
                                           const char *format, struct vm_str bytes,
                                           struct nn_remote **out, struct vm_error *err);
/* The same from a folder. tags is a JSON array, whose reference is taken. */
VM_MUST_CHECK enum vm_status nn_remote_new_saved(const struct vm_plugin_call *call,
                                                 const char *path, json_t *tags,
                                                 struct nn_remote **out, struct vm_error *err);
void nn_remote_ref(struct nn_remote *remote);
/* call may be NULL, when all charges are given back anyway. */
void nn_remote_unref(const struct vm_plugin_call *call, struct nn_remote *remote);

/* Run it. *reply is cleared by the caller, also after a failure; *out gets the tensors that its
 * buffers are. outputs are names. */
VM_MUST_CHECK enum vm_status nn_remote_infer(const struct vm_plugin_call *call,
                                             struct nn_remote *remote,
                                             const struct nn_list *inputs,
                                             const struct vm_str *data,
                                             const struct nn_list *outputs,
                                             struct vm_plugin_reply *reply, struct nn_list *out,
                                             struct vm_error *err);
/* Is there a tensor of that name? Fills in *out, without a name, when *out_is_there. */
VM_MUST_CHECK enum vm_status nn_remote_describe(const struct vm_plugin_call *call,
                                                struct nn_remote *remote, const char *name,
                                                bool *out_is_there, struct nn_tensor *out,
                                                struct vm_error *err);

/*
 * Tell the operator why something of a guest's failed, cut and made harmless, unless it has
 * happened too often. *count is how often it has.
 */
void nn_tell(const struct vm_plugin_call *call, uint32_t *count, const char *what,
             const struct vm_error *err);
