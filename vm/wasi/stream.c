/*
 * stream.c - streams that are no descriptors of the host: nothing, bytes, a callback.
 */
#include "vm/wasi/stream.h"

#include <stdlib.h>
#include <string.h>
#include "vm/wasi/hostfile.h"

struct stream {
	struct wasi_file base;
	struct vm_wasi_stream config;
	size_t position; /* of VM_WASI_BYTES */
};

static struct stream *
stream_of(struct wasi_file *file)
{
	return (struct stream *)file;
}

static void
stream_close(struct wasi_file *file)
{
	free(stream_of(file));
}

static enum wasi_errno
stream_read(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io,
            size_t *out_len)
{
	struct stream *stream = stream_of(file);
	const struct vm_str *bytes = &stream->config.bytes;
	size_t done = 0;

	(void)task;
	if (io->offset != WASI_AT_POSITION)
		return WASI_ESPIPE;
	for (size_t i = 0; i < io->iov_count && stream->position < bytes->len; i++) {
		size_t left = bytes->len - stream->position;
		size_t len = io->iov[i].iov_len < left ? io->iov[i].iov_len : left;
		memcpy(io->iov[i].iov_base, bytes->data + stream->position, len);
		stream->position += len;
		done += len;
	}
	*out_len = done;
	return WASI_SUCCESS;
}

static enum wasi_errno
stream_write(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io,
             size_t *out_len)
{
	const struct vm_wasi_stream *config = &stream_of(file)->config;
	size_t done = 0;

	if (io->offset != WASI_AT_POSITION)
		return WASI_ESPIPE;
	for (size_t i = 0; i < io->iov_count; i++) {
		size_t len = io->iov[i].iov_len;
		if (config->kind == VM_WASI_WRITER && len > 0) {
			task->status =
			    config->write(config->env, io->iov[i].iov_base, len, task->err);
			if (task->status != VM_OK)
				return WASI_ENDED;
		}
		done += len;
	}
	*out_len = done;
	return WASI_SUCCESS;
}

static enum wasi_errno
stream_stat(struct wasi_file *file, struct wasi_stat *out)
{
	*out = (struct wasi_stat){ .type = file->type, .links = 1 };
	return WASI_SUCCESS;
}

static enum wasi_errno
stream_sync(struct wasi_file *file, bool data_only)
{
	(void)file, (void)data_only;
	return WASI_SUCCESS;
}

static enum wasi_errno
stream_poll(struct wasi_file *file, bool write, struct wasi_readiness *out)
{
	const struct stream *stream = stream_of(file);

	*out = (struct wasi_readiness){ .host_fd = -1, .bytes = 1 };
	if (!write)
		out->bytes = stream->config.bytes.len - stream->position;
	return WASI_SUCCESS;
}

static const struct wasi_file_ops stream_ops = {
	.close = stream_close,
	.read = stream_read,
	.write = stream_write,
	.stat = stream_stat,
	.sync = stream_sync,
	.poll = stream_poll,
};

enum wasi_errno
wasi_stream_new(const struct vm_wasi_stream *config, struct wasi_file **out)
{
	if (config->kind == VM_WASI_FD)
		return wasi_hoststream_new(config->fd, out);

	struct stream *stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		return WASI_ENOMEM;
	stream->base.ops = &stream_ops;
	stream->base.type = WASI_UNKNOWN;
	stream->base.rights = WASI_RIGHTS_STREAM;
	stream->config = *config;
	if (config->kind != VM_WASI_BYTES)
		stream->config.bytes.len = 0;
	*out = &stream->base;
	return WASI_SUCCESS;
}
