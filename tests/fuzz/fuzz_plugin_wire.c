/*
 * What a process of the sandbox answers, from arbitrary bytes: a reply is refused, or is within its
 * bounds and can be shown to people; and what we write ourselves is read as the same.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/plugin_wire.h"

#define BYTES_MAX 65536

static int area = -1;

static void
check_texts(const struct vm_plugin_reply *reply, const struct vm_error *err,
            enum vm_status status, uint64_t size_bytes)
{
	uint64_t total = reply->json.len;

	for (uint32_t i = 0; i < reply->buffer_count; i++)
		total += reply->buffers[i].len;
	if (total > size_bytes || reply->buffer_count > VM_PLUGIN_BUFFERS_MAX)
		abort();
	if (reply->json.len > 0 && memchr(reply->json.data, '{', reply->json.len) == NULL)
		abort();
	if (status != VM_OK)
		for (const char *p = err->message; *p != '\0'; p++)
			if ((unsigned char)*p < ' ')
				abort();
}

/* The size that is claimed may be any; the file has what it has. */
static void
read_back(const uint8_t *data, size_t size, uint64_t claimed)
{
	struct vm_plugin_reply reply = { 0 };
	struct vm_error err = { .message = "" };
	enum vm_status status = VM_OK;

	if (ftruncate(area, 0) != 0 || pwrite(area, data, size, 0) != (ssize_t)size)
		abort();
	if (plugin_wire_read_reply(area, claimed, BYTES_MAX, &reply, &status, &err))
		check_texts(&reply, &err, status, claimed);
	vm_plugins_reply_clear(&reply);
}

/* As the helper writes it: the input is taken apart into texts and buffers. */
static void
write_and_read(const uint8_t *data, size_t size)
{
	struct vm_str buffers[4];
	struct plugin_wire_parts parts = { .buffers = buffers, .buffer_count = 4 };
	struct vm_plugin_reply reply = { 0 };
	struct vm_error err;
	enum vm_status status = VM_E_IO;
	size_t step = size / 4;

	for (uint32_t i = 0; i < 4; i++)
		buffers[i] = (struct vm_str){ (const char *)data + i * step, step };
	if (ftruncate(area, 0) != 0 || !plugin_wire_write(area, &parts) ||
	    !plugin_wire_read_reply(area, plugin_wire_size(&parts), UINT64_MAX, &reply, &status,
	                            &err) ||
	    status != VM_OK || reply.buffer_count != 4)
		abort();
	for (uint32_t i = 0; i < 4; i++)
		if (reply.buffers[i].len != step ||
		    (step > 0 && memcmp(reply.buffers[i].data, buffers[i].data, step) != 0))
			abort();
	vm_plugins_reply_clear(&reply);
}

static void
receive(const uint8_t *data, size_t size)
{
	struct plugin_wire_message message;
	int pair[2];

	if (size == 0 || size > BYTES_MAX ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	if (send(pair[0], data, size, 0) == (ssize_t)size &&
	    plugin_wire_receive(pair[1], &message) > 0 &&
	    message.text_len > sizeof message.text)
		abort();
	if (plugin_wire_receive(pair[1], &message) != 0)
		abort();
	close(pair[0]);
	if (plugin_wire_receive(pair[1], &message) != -1)
		abort();
	close(pair[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plugin_wire_head head = { .magic = PLUGIN_WIRE_MAGIC };
	uint8_t copy[sizeof head + 256];
	uint64_t claimed = size;

	if (area < 0)
		area = memfd_create("fuzz", MFD_CLOEXEC);
	if (area < 0 || size > BYTES_MAX)
		return 0;
	read_back(data, size, size);
	if (size >= sizeof claimed)
		memcpy(&claimed, data, sizeof claimed);
	read_back(data, size, claimed);
	/* With a head whose numbers are small and come from the input. */
	if (size > 8 && size < 256) {
		head.status = data[0] % 12;
		head.buffer_count = data[1] % 3;
		head.text_lens[PLUGIN_WIRE_NAME] = data[2] % 64;
		head.text_lens[PLUGIN_WIRE_JSON] = data[3] % 128;
		head.buffer_lens[0] = data[4];
		head.buffer_lens[1] = data[5];
		memcpy(copy, &head, sizeof head);
		memcpy(copy + sizeof head, data + 6, size - 6);
		read_back(copy, sizeof head + size - 6, sizeof head + size - 6);
	}
	write_and_read(data, size);
	receive(data, size);
	return 0;
}
