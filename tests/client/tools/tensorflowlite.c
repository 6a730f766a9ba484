/*
 * tensorflowlite.c - a plug-in named wasmedge_tensorflowlite for tests: its models are descriptions
 * of models, and its check says what it finds in the environment.
 */
#include <stdlib.h>
#include <string.h>
#include "vm/plugin.h"

static const struct vm_plugin_host *the_host;

static enum vm_status
load(const struct vm_plugin_host *host, void *plugin, const struct vm_plugin_request *request,
     struct vm_plugin_reply *reply, struct vm_error *err)
{
	static const char wanted[] = "{\"model\":\"shown\",\"format\":\"tflite\"}";

	(void)plugin;
	if (request->json.len != strlen(wanted) ||
	    memcmp(request->json.data, wanted, request->json.len) != 0 ||
	    request->buffer_count != 1)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "asked for something else");
	const struct vm_str model = request->buffers[0];
	if (model.len == 0 || model.data[0] != '{')
		return vm_plugin_fail(host, err, VM_E_DATA, "%zu bytes are no model", model.len);
	return vm_plugin_reply_json(host, reply, model.data, model.len)
	           ? VM_OK
	           : vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
}

static enum vm_status
plugin_open(const struct vm_plugin_host *host, const struct vm_plugin_value *values, void **out,
            struct vm_error *err)
{
	(void)values;
	(void)out;
	(void)err;
	the_host = host;
	return VM_OK;
}

static enum vm_status
check(void *plugin, struct vm_error *err)
{
	const char *level = getenv("TF_CPP_MIN_LOG_LEVEL");
	const char *verbose = getenv("TF_CPP_MIN_VLOG_LEVEL");

	(void)plugin;
	return vm_plugin_fail(the_host, err, VM_E_UNSUPPORTED, "log levels %s and %s",
	                      level != NULL ? level : "-", verbose != NULL ? verbose : "-");
}

static const struct vm_plugin_operation operations[] = {
	{ "load", "Describe a model", 0, "{}", "{}", NULL, "", load },
};

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasmedge_tensorflowlite",
	.version = "0.0.1",
	.summary = "For tests",
	.operations = operations,
	.operation_count = 1,
	.open = plugin_open,
	.check = check,
};

VM_PLUGIN(wasmedge_tensorflowlite)
{
	return &plugin;
}
