/*
 * plugin_reply.c - reading what a helper answers: what only the daemon needs of plugin_wire.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "daemon/plugin_wire.h"
#include "rpc/json.h"
#include "rpc/utf8.h"

static bool
read_at(int fd, void *out, uint64_t len, uint64_t at)
{
	char *next = out;

	while (len > 0) {
		ssize_t got = pread(fd, next, len < INT32_MAX ? (size_t)len : INT32_MAX, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		next += got;
		at += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return true;
}

/* What an operation may return. */
static bool
is_status(uint32_t number)
{
	switch (number) {
	case VM_OK:
	case VM_E_ARGUMENT:
	case VM_E_DATA:
	case VM_E_NOT_FOUND:
	case VM_E_CONFLICT:
	case VM_E_LIMIT:
	case VM_E_UNSUPPORTED:
	case VM_E_NOMEM:
	case VM_E_IO:
		return true;
	default:
		return false;
	}
}

/* A failure's text goes into logs and documents: characters that can be seen. */
static bool
read_failure(int fd, const struct plugin_wire_head *head, const struct plugin_wire_layout *layout,
             struct vm_error *err)
{
	char text[VM_ERROR_MESSAGE_MAX];
	uint64_t len = head->text_lens[PLUGIN_WIRE_ERROR];

	if (len >= sizeof text || head->buffer_count > 0 || head->text_lens[PLUGIN_WIRE_JSON] > 0 ||
	    !read_at(fd, text, len, layout->texts[PLUGIN_WIRE_ERROR]) ||
	    !rpc_utf8_valid(text, (size_t)len))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = ' ';
	(void)vm_error_set(err, (enum vm_status)head->status, VM_NO_OFFSET, "%.*s", (int)len, text);
	return true;
}

/* Embedded in documents of ours as it is, so it has to be an object. */
static bool
check_object(const char *text, size_t len, enum vm_status *out_status)
{
	json_t *tree = NULL;

	enum rpc_code code = rpc_json_parse(text, len, len, &tree, NULL);
	bool is_right = code == RPC_OK && json_is_object(tree);
	json_decref(tree);
	if (code != RPC_OUT_OF_MEMORY)
		return is_right;
	*out_status = VM_E_NOMEM;
	return true;
}

static bool
read_json(int fd, uint64_t len, uint64_t at, struct vm_plugin_reply *reply,
          enum vm_status *out_status)
{
	bool is_read = true;

	if (len == 0)
		return true;
	char *text = malloc((size_t)len);
	if (text == NULL)
		*out_status = VM_E_NOMEM;
	else
		is_read = read_at(fd, text, len, at) && check_object(text, (size_t)len, out_status);
	if (is_read && *out_status == VM_OK && !vm_plugins_reply_json(reply, text, (size_t)len))
		*out_status = VM_E_NOMEM;
	free(text);
	return is_read;
}

bool
plugin_wire_read_reply(int fd, uint64_t size_bytes, uint64_t bytes_max,
                       struct vm_plugin_reply *reply, enum vm_status *out_status,
                       struct vm_error *err)
{
	struct plugin_wire_layout layout;
	struct plugin_wire_head head;

	if (size_bytes > bytes_max || !read_at(fd, &head, sizeof head, 0) ||
	    !plugin_wire_layout(&head, size_bytes, &layout) || !is_status(head.status))
		return false;
	*out_status = (enum vm_status)head.status;
	if (head.status != VM_OK)
		return read_failure(fd, &head, &layout, err);
	if (!read_json(fd, head.text_lens[PLUGIN_WIRE_JSON], layout.texts[PLUGIN_WIRE_JSON], reply,
	               out_status))
		return false;
	for (uint32_t i = 0; i < head.buffer_count && *out_status == VM_OK; i++) {
		uint8_t *data = vm_plugins_reply_buffer(reply, (size_t)head.buffer_lens[i]);
		if (data == NULL)
			*out_status = VM_E_NOMEM;
		else if (!read_at(fd, data, head.buffer_lens[i], layout.buffers[i]))
			return false;
	}
	if (*out_status == VM_E_NOMEM)
		(void)vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "no memory for the answer");
	return true;
}
