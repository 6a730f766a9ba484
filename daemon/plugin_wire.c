#include "daemon/plugin_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define PARTS_MAX (2 + PLUGIN_WIRE_TEXTS + 2 * VM_PLUGIN_BUFFERS_MAX)
#define HEADER_BYTES offsetof(struct plugin_wire_message, text)

/* --- layout ------------------------------------------------------------------------------- */

/* Move *at behind len bytes; false when that is more than there are. */
static bool
skip(uint64_t *at, uint64_t len, uint64_t size_bytes)
{
	if (len > size_bytes - *at)
		return false;
	*at += len;
	return true;
}

static uint64_t
padding(uint64_t at)
{
	return (PLUGIN_WIRE_ALIGN - at % PLUGIN_WIRE_ALIGN) % PLUGIN_WIRE_ALIGN;
}

bool
plugin_wire_layout(const struct plugin_wire_head *head, uint64_t size_bytes,
                   struct plugin_wire_layout *out)
{
	uint64_t at = sizeof *head;

	if (size_bytes < at || head->magic != PLUGIN_WIRE_MAGIC ||
	    head->buffer_count > VM_PLUGIN_BUFFERS_MAX)
		return false;
	for (uint32_t i = 0; i < PLUGIN_WIRE_TEXTS; i++) {
		out->texts[i] = at;
		if (!skip(&at, head->text_lens[i], size_bytes))
			return false;
	}
	for (uint32_t i = 0; i < head->buffer_count; i++) {
		if (!skip(&at, padding(at), size_bytes))
			return false;
		out->buffers[i] = at;
		if (!skip(&at, head->buffer_lens[i], size_bytes))
			return false;
	}
	out->size_bytes = at;
	return at == size_bytes;
}

/* --- writing ------------------------------------------------------------------------------ */

uint64_t
plugin_wire_size(const struct plugin_wire_parts *parts)
{
	uint64_t at = sizeof(struct plugin_wire_head);

	for (uint32_t i = 0; i < PLUGIN_WIRE_TEXTS; i++)
		if (!skip(&at, parts->texts[i].len, INT64_MAX))
			return UINT64_MAX;
	for (uint32_t i = 0; i < parts->buffer_count; i++)
		if (!skip(&at, padding(at), INT64_MAX) ||
		    !skip(&at, parts->buffers[i].len, INT64_MAX))
			return UINT64_MAX;
	return at;
}

static void
add_piece(struct iovec *pieces, int *count, const void *data, size_t len)
{
	/* Only read from. */
	if (len > 0)
		pieces[(*count)++] = (struct iovec){ (void *)(uintptr_t)data, len };
}

static bool
write_pieces(int fd, struct iovec *pieces, int count)
{
	off_t at = 0;

	while (count > 0) {
		ssize_t put = pwritev(fd, pieces, count, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		at += put;
		for (size_t left = (size_t)put; count > 0 && left > 0;) {
			size_t taken = left < pieces->iov_len ? left : pieces->iov_len;
			pieces->iov_base = (char *)pieces->iov_base + taken;
			pieces->iov_len -= taken;
			left -= taken;
			if (pieces->iov_len == 0) {
				pieces++;
				count--;
			}
		}
	}
	return true;
}

bool
plugin_wire_write(int fd, const struct plugin_wire_parts *parts)
{
	static const char zeros[PLUGIN_WIRE_ALIGN];
	struct plugin_wire_head head = {
		.magic = PLUGIN_WIRE_MAGIC,
		.status = (uint32_t)parts->status,
		.buffer_count = parts->buffer_count,
	};
	struct iovec pieces[PARTS_MAX];
	uint64_t at = sizeof head;
	int count = 0;

	add_piece(pieces, &count, &head, sizeof head);
	for (uint32_t i = 0; i < PLUGIN_WIRE_TEXTS; i++) {
		head.text_lens[i] = parts->texts[i].len;
		add_piece(pieces, &count, parts->texts[i].data, parts->texts[i].len);
		at += parts->texts[i].len;
	}
	for (uint32_t i = 0; i < parts->buffer_count; i++) {
		head.buffer_lens[i] = parts->buffers[i].len;
		add_piece(pieces, &count, zeros, padding(at));
		at += padding(at);
		add_piece(pieces, &count, parts->buffers[i].data, parts->buffers[i].len);
		at += parts->buffers[i].len;
	}
	return write_pieces(fd, pieces, count);
}

/* --- messages ----------------------------------------------------------------------------- */

bool
plugin_wire_send(int fd, const struct plugin_wire_message *message, const char *text)
{
	struct plugin_wire_message copy = *message;
	size_t len = text == NULL ? 0 : strlen(text);
	ssize_t put;

	copy.magic = PLUGIN_WIRE_MAGIC;
	copy.text_len = (uint32_t)(len < sizeof copy.text ? len : sizeof copy.text);
	if (copy.text_len > 0)
		memcpy(copy.text, text, copy.text_len);
	/* Not send(): the helper has no right to calls of sockets any more. SIGPIPE is ignored. */
	do
		put = write(fd, &copy, HEADER_BYTES + copy.text_len);
	while (put < 0 && errno == EINTR);
	return put == (ssize_t)(HEADER_BYTES + copy.text_len);
}

int
plugin_wire_receive(int fd, struct plugin_wire_message *out)
{
	ssize_t got;

	do
		got = recv(fd, out, sizeof *out, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (got < (ssize_t)HEADER_BYTES || out->magic != PLUGIN_WIRE_MAGIC ||
	    out->text_len != (size_t)got - HEADER_BYTES)
		return -1;
	if (out->text_len < sizeof out->text)
		out->text[out->text_len] = '\0';
	return 1;
}
