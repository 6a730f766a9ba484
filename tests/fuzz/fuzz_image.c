/*
 * fuzz_image.c - pictures: the first byte says what is asked for, the rest is the file.
 *
 * What is decoded has the size that was asked for; what is not says why. Half of the PNG files get
 * right checksums before, so that damage is met behind them.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/plugins/image/repair.h"
#include "vm/vm.h"

const struct vm_plugin *vm_plugin_wasmedge_image(void);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static struct vm_plugins *
plugins_load(void)
{
	static const struct vm_plugins_setting settings[] = {
		{ .plugin = "wasmedge_image", .option = "pixels_max", .value = "262144" },
		{ .plugin = "wasmedge_image", .option = "output_bytes_max", .value = "1MiB" },
	};
	const struct vm_plugin *linked[] = { vm_plugin_wasmedge_image() };
	const struct vm_plugins_config config = { .path = "", .linked = linked, .linked_count = 1,
		                                  .settings = settings, .setting_count = 2 };
	struct vm_plugins *plugins = NULL;

	check(vm_plugins_load(&config, &plugins, NULL) == VM_OK);
	return plugins;
}

static void
operate(struct vm_plugins *plugins, const char *operation, const char *json, struct vm_str file,
        size_t want_bytes)
{
	const struct vm_plugin_request request = { .json = { json, strlen(json) },
		                                   .buffers = &file, .buffer_count = 1 };
	struct vm_plugin_reply reply;
	struct vm_error err;

	enum vm_status st = vm_plugins_operate_here(plugins, "wasmedge_image", operation, &request,
	                                            &reply, &err);
	check(st == VM_OK || st == VM_E_DATA || st == VM_E_LIMIT);
	if (st != VM_OK)
		check(err.message[0] != '\0');
	else if (want_bytes > 0)
		check(reply.buffer_count == 1 && reply.buffers[0].len == want_bytes);
	vm_plugins_reply_clear(&reply);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const layouts[] = { "rgb8", "bgr8", "rgb32f", "bgr32f" };
	static struct vm_plugins *plugins; /* lives as long as the process */
	char json[160];

	if (size == 0)
		return 0;
	if (plugins == NULL)
		plugins = plugins_load();
	const uint8_t how = data[0];
	const size_t len = size - 1;
	uint8_t *copy = malloc(len > 0 ? len : 1); /* of its size: reads beyond it are seen */
	check(copy != NULL);
	memcpy(copy, data + 1, len);
	if (how & 1)
		repair_png(copy, len);
	const struct vm_str file = { (const char *)copy, len };

	operate(plugins, "info", "{}", file, 0);
	snprintf(json, sizeof json, "{\"layout\":\"%s\",\"alpha\":\"%s\"}",
	         how & 2 ? "png" : "rgb8", how & 4 ? "drop" : "multiply");
	operate(plugins, "decode", json, file, 0);
	snprintf(json, sizeof json,
	         "{\"width\":7,\"height\":5,\"layout\":\"%s\",\"resize\":\"%s\"}",
	         layouts[how >> 4 & 3], how & 8 ? "area" : "bilinear");
	operate(plugins, "decode", json, file, how & 0x20 ? 7 * 5 * 12 : 7 * 5 * 3);
	free(copy);
	return 0;
}
