/*
 * example.c - a complete plug-in, to start from: see wasmedged-plugin(7).
 *
 * Guests import demo.shout(ptr, len), which makes the letters of a text in their memory upper-case,
 * and demo.count(), which says how many texts the program has sent. People use the operation shout.
 */
#include <stdlib.h>
#include "vm/plugin.h"

static void
shout(uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i];
}

static enum vm_status
guest_shout(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	uint8_t *text = vm_plugin_memory(call, slots[0].u32, slots[1].u32);

	if (text == NULL)
		return vm_plugin_trap_memory(call, err, "text", slots[0].u32, slots[1].u32);
	shout(text, slots[1].u32);
	++*(uint32_t *)call->state;
	return VM_OK;
}

static enum vm_status
guest_count(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	(void)err;
	slots[0].u32 = *(uint32_t *)call->state;
	return VM_OK;
}

static enum vm_status
state_new(const struct vm_plugin_call *call, void **out_state, struct vm_error *err)
{
	*out_state = calloc(1, sizeof(uint32_t));
	return *out_state != NULL ? VM_OK
	                          : vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
}

static void
state_free(void *plugin, void *state)
{
	(void)plugin;
	free(state);
}

static enum vm_status
operation_shout(const struct vm_plugin_host *host, void *plugin,
                const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                struct vm_error *err)
{
	(void)plugin;
	if (request->buffer_count != 1)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "expected one buffer, got %u",
		                      request->buffer_count);
	size_t len = request->buffers[0].len;
	uint8_t *text = vm_plugin_reply_buffer(host, reply, len);
	if (text == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	for (size_t i = 0; i < len; i++)
		text[i] = (uint8_t)request->buffers[0].data[i];
	shout(text, len);
	return VM_OK;
}

static const struct vm_plugin_func funcs[] = {
	{ "shout", "ii", "", guest_shout },
	{ "count", "", "i", guest_count },
};

static const struct vm_plugin_module modules[] = { { "demo", "Loud texts", funcs, 2 } };

static const struct vm_plugin_operation operations[] = {
	{ "shout", "Make the letters of a text upper-case", 0, "{\"type\":\"object\"}",
	  "{\"type\":\"object\"}", "text/plain", "text/plain", operation_shout },
};

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "example",
	.version = "1.0.0",
	.summary = "Makes texts loud",
	.modules = modules,
	.module_count = 1,
	.operations = operations,
	.operation_count = 1,
	.state_new = state_new,
	.state_free = state_free,
};

VM_PLUGIN(example)
{
	return &plugin;
}
