/*
 * plugin.c - wasmedge_image: pictures become pixels.
 */
#include <stdlib.h>
#include "plugins/image/image.h"
#include "plugins/image/resample.h"

static const struct vm_plugin_option options[] = {
	{ "pixels_max", VM_PLUGIN_UINT, "67108864",
	  "Pixels that a picture may have, and a result; below 4294967296" },
	{ "input_bytes_max", VM_PLUGIN_SIZE, "64MiB", "Bytes of a picture's file" },
	{ "output_bytes_max", VM_PLUGIN_SIZE, "256MiB", "Bytes of a result" },
};

static enum vm_status
image_open(const struct vm_plugin_host *host, const struct vm_plugin_value *values,
           void **out_plugin, struct vm_error *err)
{
	struct image_limits *limits = malloc(sizeof *limits);

	if (values[0].number >= RESAMPLE_PIXELS_MAX) {
		free(limits);
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "pixels_max is %s, it has to be below %llu", values[0].text,
		                      (unsigned long long)RESAMPLE_PIXELS_MAX);
	}
	if (limits == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	*limits = (struct image_limits){ values[0].number, values[1].number, values[2].number };
	*out_plugin = limits;
	return VM_OK;
}

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasmedge_image",
	.version = "1.0.0",
	.summary = "JPEG and PNG pictures to pixels of any size",
	.options = options,
	.option_count = sizeof options / sizeof *options,
	.modules = image_modules,
	.module_count = IMAGE_MODULE_COUNT,
	.operations = image_operations,
	.operation_count = IMAGE_OPERATION_COUNT,
	.open = image_open,
	.close = free,
};

VM_PLUGIN(wasmedge_image)
{
	return &plugin;
}
