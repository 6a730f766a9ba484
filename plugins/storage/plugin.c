/*
 * plugin.c - wasmedge_storage: values that outlive programs, for guests and for people.
 */
#include "plugins/storage/plugin.h"

#include <stdlib.h>
#include <string.h>

static const struct vm_plugin_option options[] = {
	{ "path", VM_PLUGIN_TEXT, "",
	  "The database file, or a folder for it; when empty $STORAGE_INTERFACE_DB_PATH, else "
	  "wasmedge/storage.db in $XDG_STATE_HOME or ~/.local/state" },
	{ "value_bytes_max", VM_PLUGIN_SIZE, "16MiB", "The largest value that may be stored" },
};

enum { OPTION_PATH, OPTION_VALUE_BYTES_MAX };

enum vm_status
storage_plugin_fail(const struct vm_plugin_host *host, const struct wasmedge_storage_error *why,
                    struct vm_error *err)
{
	static const enum vm_status statuses[] = {
		[WASMEDGE_STORAGE_OK] = VM_E_IO,
		[WASMEDGE_STORAGE_NOT_FOUND] = VM_E_NOT_FOUND,
		[WASMEDGE_STORAGE_CONFLICT] = VM_E_CONFLICT,
		[WASMEDGE_STORAGE_ARGUMENT] = VM_E_ARGUMENT,
		[WASMEDGE_STORAGE_LIMIT] = VM_E_LIMIT,
		[WASMEDGE_STORAGE_FULL] = VM_E_IO,
		[WASMEDGE_STORAGE_BUSY] = VM_E_IO,
		[WASMEDGE_STORAGE_DAMAGED] = VM_E_IO,
		[WASMEDGE_STORAGE_IO] = VM_E_IO,
		[WASMEDGE_STORAGE_NOMEM] = VM_E_NOMEM,
	};

	return vm_plugin_fail(host, err, statuses[why->status], "%s", why->message);
}

enum vm_status
storage_plugin_open(const struct vm_plugin_host *host, struct storage_plugin *plugin,
                    struct wasmedge_storage **out, struct vm_error *err)
{
	const struct wasmedge_storage_options how = {
		.path = plugin->path,
		.value_bytes_max = plugin->value_bytes_max,
	};
	struct wasmedge_storage_error why;
	enum wasmedge_storage_status status = WASMEDGE_STORAGE_OK;

	pthread_mutex_lock(&plugin->lock);
	if (plugin->storage == NULL)
		status = wasmedge_storage_open(&how, &plugin->storage, &why);
	*out = plugin->storage;
	pthread_mutex_unlock(&plugin->lock);
	return status == WASMEDGE_STORAGE_OK ? VM_OK : storage_plugin_fail(host, &why, err);
}

static enum vm_status
plugin_open(const struct vm_plugin_host *host, const struct vm_plugin_value *values,
            void **out_plugin, struct vm_error *err)
{
	const uint64_t value_bytes_max = values[OPTION_VALUE_BYTES_MAX].number;

	if (value_bytes_max < 1 || value_bytes_max > WASMEDGE_STORAGE_VALUE_BYTES_MAX)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "value_bytes_max: expected 1 to %zu bytes",
		                      WASMEDGE_STORAGE_VALUE_BYTES_MAX);
	struct storage_plugin *plugin = calloc(1, sizeof *plugin);
	if (plugin != NULL)
		plugin->path = strdup(values[OPTION_PATH].text);
	if (plugin == NULL || plugin->path == NULL) {
		free(plugin);
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	}
	plugin->value_bytes_max = (size_t)value_bytes_max;
	pthread_mutex_init(&plugin->lock, NULL);
	*out_plugin = plugin;
	return VM_OK;
}

static void
plugin_close(void *data)
{
	struct storage_plugin *plugin = data;

	wasmedge_storage_close(plugin->storage);
	pthread_mutex_destroy(&plugin->lock);
	free(plugin->path);
	free(plugin);
}

static const struct vm_plugin descriptor = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasmedge_storage",
	.version = "1.0.0",
	.summary = "Values under keys, kept in a database file",
	.options = options,
	.option_count = sizeof options / sizeof *options,
	.modules = storage_modules,
	.module_count = STORAGE_MODULE_COUNT,
	.operations = storage_operations,
	.operation_count = STORAGE_OPERATION_COUNT,
	.open = plugin_open,
	.close = plugin_close,
	.state_new = storage_state_new,
	.state_free = storage_state_free,
};

VM_PLUGIN(wasmedge_storage)
{
	return &descriptor;
}
