/*
 * reply.c - what operations answer.
 */
#include <stdlib.h>
#include <string.h>
#include "vm/plugins.h"

bool
vm_plugins_reply_json(struct vm_plugin_reply *reply, const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy == NULL)
		return false;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	free((char *)(uintptr_t)reply->json.data);
	reply->json = (struct vm_str){ copy, len };
	return true;
}

uint8_t *
vm_plugins_reply_buffer(struct vm_plugin_reply *reply, size_t len)
{
	if (reply->buffer_count == VM_PLUGIN_BUFFERS_MAX)
		return NULL;
	uint8_t *data = calloc(1, len > 0 ? len : 1);
	if (data != NULL)
		reply->buffers[reply->buffer_count++] = (struct vm_plugin_bytes){ data, len };
	return data;
}

void
vm_plugins_reply_clear(struct vm_plugin_reply *reply)
{
	free((char *)(uintptr_t)reply->json.data);
	for (uint32_t i = 0; i < reply->buffer_count; i++)
		free(reply->buffers[i].data);
	*reply = (struct vm_plugin_reply){ 0 };
}
