/*
 * plugin.h - what the parts of the plug-in wasmedge_storage share.
 */
#pragma once

#include <pthread.h>
#include "plugins/storage/storage.h"
#include "vm/plugin.h"

/* The plug-in, open. */
struct storage_plugin {
	char *path; /* the option; "" for the standard one */
	size_t value_bytes_max;
	pthread_mutex_t lock; /* of the rest */
	struct wasmedge_storage *storage; /* NULL until it is first needed */
};

/* The process's storage, opened when it is first asked for, and asked for again after a failure. */
VM_MUST_CHECK enum vm_status storage_plugin_open(const struct vm_plugin_host *host,
                                                 struct storage_plugin *plugin,
                                                 struct wasmedge_storage **out,
                                                 struct vm_error *err);

/* An error of the storage as one of the VM. */
enum vm_status storage_plugin_fail(const struct vm_plugin_host *host,
                                   const struct wasmedge_storage_error *why, struct vm_error *err);

static inline struct wasmedge_storage_bytes
storage_bytes(struct vm_str text)
{
	return (struct wasmedge_storage_bytes){ text.data, text.len };
}

/* --- guest.c -------------------------------------------------------------------------------- */

#define STORAGE_MODULE_COUNT 2
extern const struct vm_plugin_module storage_modules[STORAGE_MODULE_COUNT];

enum vm_status storage_state_new(const struct vm_plugin_call *call, void **out_state,
                                 struct vm_error *err);
void storage_state_free(void *plugin, void *state);

/* --- operation.c ---------------------------------------------------------------------------- */

#define STORAGE_OPERATION_COUNT 4
extern const struct vm_plugin_operation storage_operations[STORAGE_OPERATION_COUNT];
