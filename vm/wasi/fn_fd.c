/*
 * fn_fd.c - functions on open descriptors.
 *
 * Each asks the table for the rights it needs, then the file for the operation. Folders have no
 * bytes: they answer EISDIR where the rights alone would not refuse.
 */
#include "vm/wasi/fn.h"

#include <string.h>

/* The answer of a file without the operation. */
static enum wasi_errno
missing(const struct wasi_file *file, enum wasi_errno otherwise)
{
	return file->type == WASI_DIRECTORY ? WASI_EISDIR : otherwise;
}

/* --- reading and writing ------------------------------------------------------------------ */

/* args[1] and args[2]: the array of buffers. args[3]: the offset, or where the result goes. */
static enum wasi_errno
transfer(struct wasi_call *call, uint64_t right, bool positioned)
{
	const bool writes = right == WASI_RIGHT_FD_WRITE;
	struct iovec iov[WASI_IOV_MAX];
	struct wasi_io io = { .iov = iov, .offset = WASI_AT_POSITION };
	struct wasi_fd *fd;
	size_t len = 0;
	enum wasi_errno e =
	    wasi_call_fd(call, 0, right | (positioned ? WASI_RIGHT_FD_SEEK : 0), &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (positioned && call->args[3].u64 > INT64_MAX)
		return WASI_EINVAL;
	if (positioned)
		io.offset = call->args[3].u64;
	const uint32_t result = call->args[positioned ? 4 : 3].u32;
	if (wasi_guest_range(call, result, 4) == NULL)
		return WASI_EFAULT; /* before any byte has moved */
	e = wasi_guest_iovecs(call, call->args[1].u32, call->args[2].u32, iov, &io.iov_count);
	if (e != WASI_SUCCESS)
		return e;

	struct wasi_file *file = fd->file;
	if ((writes ? file->ops->write : file->ops->read) == NULL)
		return missing(file, WASI_EBADF);
	e = (writes ? file->ops->write : file->ops->read)(file, &call->task, &io, &len);
	if (e != WASI_SUCCESS)
		return e;
	return wasi_guest_put_u32(call, result, (uint32_t)len);
}

enum wasi_errno
wasi_fd_read(struct wasi_call *call)
{
	return transfer(call, WASI_RIGHT_FD_READ, false);
}

enum wasi_errno
wasi_fd_pread(struct wasi_call *call)
{
	return transfer(call, WASI_RIGHT_FD_READ, true);
}

enum wasi_errno
wasi_fd_write(struct wasi_call *call)
{
	return transfer(call, WASI_RIGHT_FD_WRITE, false);
}

enum wasi_errno
wasi_fd_pwrite(struct wasi_call *call)
{
	return transfer(call, WASI_RIGHT_FD_WRITE, true);
}

/* --- position ----------------------------------------------------------------------------- */

static enum wasi_errno
seek(struct wasi_call *call, struct wasi_file *file, int64_t offset, enum wasi_whence whence,
     uint32_t result)
{
	uint64_t position;

	if (wasi_guest_range(call, result, 8) == NULL)
		return WASI_EFAULT;
	if (file->ops->seek == NULL)
		return missing(file, WASI_ESPIPE);
	enum wasi_errno e = file->ops->seek(file, offset, whence, &position);
	return e != WASI_SUCCESS ? e : wasi_guest_put_u64(call, result, position);
}

/* Asking for the position only needs the lesser right to tell; the right to seek implies it. */
static enum wasi_errno
get_for_tell(const struct wasi_call *call, struct wasi_fd **out)
{
	enum wasi_errno e = wasi_call_fd(call, 0, WASI_RIGHT_FD_TELL, out);

	return e == WASI_ENOTCAPABLE ? wasi_call_fd(call, 0, WASI_RIGHT_FD_SEEK, out) : e;
}

enum wasi_errno
wasi_fd_seek(struct wasi_call *call)
{
	const int64_t offset = call->args[1].i64;
	const uint32_t whence = call->args[2].u32;
	struct wasi_fd *fd;

	if (whence >= sizeof call->abi->whence / sizeof *call->abi->whence)
		return WASI_EINVAL;
	const bool tells = offset == 0 && call->abi->whence[whence] == WASI_SEEK_CUR;
	enum wasi_errno e =
	    tells ? get_for_tell(call, &fd) : wasi_call_fd(call, 0, WASI_RIGHT_FD_SEEK, &fd);
	if (e != WASI_SUCCESS)
		return e;
	return seek(call, fd->file, offset, call->abi->whence[whence], call->args[3].u32);
}

enum wasi_errno
wasi_fd_tell(struct wasi_call *call)
{
	struct wasi_fd *fd;
	enum wasi_errno e = get_for_tell(call, &fd);

	return e != WASI_SUCCESS ? e : seek(call, fd->file, 0, WASI_SEEK_CUR, call->args[1].u32);
}

/* --- contents and attributes -------------------------------------------------------------- */

enum wasi_errno
wasi_fd_advise(struct wasi_call *call)
{
	const uint32_t advice = call->args[3].u32;
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, WASI_RIGHT_FD_ADVISE, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (advice > 5)
		return WASI_EINVAL;
	if (fd->file->ops->advise == NULL)
		return WASI_ESPIPE;
	return fd->file->ops->advise(fd->file, call->args[1].u64, call->args[2].u64, (int)advice);
}

enum wasi_errno
wasi_fd_allocate(struct wasi_call *call)
{
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, WASI_RIGHT_FD_ALLOCATE, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (fd->file->ops->allocate == NULL)
		return missing(fd->file, WASI_ESPIPE);
	return fd->file->ops->allocate(fd->file, call->args[1].u64, call->args[2].u64);
}

static enum wasi_errno
synchronise(struct wasi_call *call, uint64_t right)
{
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, right, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (fd->file->ops->sync == NULL)
		return WASI_EINVAL;
	return fd->file->ops->sync(fd->file, right == WASI_RIGHT_FD_DATASYNC);
}

enum wasi_errno
wasi_fd_datasync(struct wasi_call *call)
{
	return synchronise(call, WASI_RIGHT_FD_DATASYNC);
}

enum wasi_errno
wasi_fd_sync(struct wasi_call *call)
{
	return synchronise(call, WASI_RIGHT_FD_SYNC);
}

enum wasi_errno
wasi_fd_filestat_get(struct wasi_call *call)
{
	uint8_t *to = wasi_guest_range(call, call->args[1].u32, call->abi->filestat_bytes);
	struct wasi_stat stat;
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, WASI_RIGHT_FD_FILESTAT_GET, &fd);

	if (e == WASI_SUCCESS && to == NULL)
		e = WASI_EFAULT;
	if (e == WASI_SUCCESS)
		e = fd->file->ops->stat(fd->file, &stat);
	if (e == WASI_SUCCESS)
		call->abi->filestat_put(to, &stat);
	return e;
}

enum wasi_errno
wasi_fd_filestat_set_size(struct wasi_call *call)
{
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, WASI_RIGHT_FD_FILESTAT_SET_SIZE, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (fd->file->ops->set_size == NULL)
		return missing(fd->file, WASI_EINVAL);
	return fd->file->ops->set_size(fd->file, call->args[1].u64);
}

enum wasi_errno
wasi_fd_filestat_set_times(struct wasi_call *call)
{
	struct wasi_times times;
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, WASI_RIGHT_FD_FILESTAT_SET_TIMES, &fd);

	if (e == WASI_SUCCESS)
		e = wasi_call_times(call, 1, &times);
	if (e != WASI_SUCCESS)
		return e;
	if (fd->file->ops->set_times == NULL)
		return WASI_EINVAL;
	return fd->file->ops->set_times(fd->file, &times);
}

/* --- the descriptor itself ---------------------------------------------------------------- */

enum wasi_errno
wasi_fd_close(struct wasi_call *call)
{
	return wasi_fds_close(&call->wasi->fds, call->args[0].u32);
}

enum wasi_errno
wasi_fd_renumber(struct wasi_call *call)
{
	return wasi_fds_renumber(&call->wasi->fds, call->args[0].u32, call->args[1].u32);
}

enum wasi_errno
wasi_fd_fdstat_get(struct wasi_call *call)
{
	uint8_t *to = wasi_guest_range(call, call->args[1].u32, WASI_FDSTAT_BYTES);
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, 0, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (to == NULL)
		return WASI_EFAULT;
	memset(to, 0, WASI_FDSTAT_BYTES);
	to[0] = (uint8_t)fd->file->type;
	wasi_put_u16(to + 2, fd->file->flags);
	wasi_put_u64(to + 8, fd->rights_base);
	wasi_put_u64(to + 16, fd->rights_inheriting);
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_fd_fdstat_set_flags(struct wasi_call *call)
{
	const uint32_t flags = call->args[1].u32;
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, WASI_RIGHT_FD_FDSTAT_SET_FLAGS, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (flags & ~(uint32_t)WASI_FDFLAGS_ALL)
		return WASI_EINVAL;
	fd->file->flags = (uint16_t)flags;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_fd_fdstat_set_rights(struct wasi_call *call)
{
	const uint64_t base = call->args[1].u64;
	const uint64_t inheriting = call->args[2].u64;
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, 0, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if ((base & ~fd->rights_base) || (inheriting & ~fd->rights_inheriting))
		return WASI_ENOTCAPABLE;
	fd->rights_base = base;
	fd->rights_inheriting = inheriting;
	return WASI_SUCCESS;
}

static enum wasi_errno
get_preopen(const struct wasi_call *call, struct wasi_fd **out)
{
	enum wasi_errno e = wasi_call_fd(call, 0, 0, out);

	return e == WASI_SUCCESS && (*out)->preopen == NULL ? WASI_EBADF : e;
}

enum wasi_errno
wasi_fd_prestat_get(struct wasi_call *call)
{
	uint8_t *to = wasi_guest_range(call, call->args[1].u32, WASI_PRESTAT_BYTES);
	struct wasi_fd *fd;
	enum wasi_errno e = get_preopen(call, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (to == NULL)
		return WASI_EFAULT;
	wasi_put_u32(to, WASI_PREOPEN_DIR);
	wasi_put_u32(to + 4, (uint32_t)fd->preopen_len);
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_fd_prestat_dir_name(struct wasi_call *call)
{
	const uint32_t len = call->args[2].u32;
	uint8_t *to = wasi_guest_range(call, call->args[1].u32, len);
	struct wasi_fd *fd;
	enum wasi_errno e = get_preopen(call, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (to == NULL)
		return WASI_EFAULT;
	if (len < fd->preopen_len)
		return WASI_ENAMETOOLONG;
	memcpy(to, fd->preopen, fd->preopen_len);
	return WASI_SUCCESS;
}

/* --- folders ------------------------------------------------------------------------------ */

/* Guest memory being filled with entries; the last one may be cut. */
struct dirent_sink {
	uint8_t *to;
	size_t size;
	size_t used;
};

static void
sink_put(struct dirent_sink *sink, const void *data, size_t len)
{
	size_t left = sink->size - sink->used;

	len = len < left ? len : left;
	memcpy(sink->to + sink->used, data, len);
	sink->used += len;
}

static bool
sink_entry(void *env, const struct wasi_dirent *entry)
{
	struct dirent_sink *sink = env;
	uint8_t head[WASI_DIRENT_BYTES] = { 0 };

	wasi_put_u64(head, entry->next);
	wasi_put_u64(head + 8, entry->ino);
	wasi_put_u32(head + 16, (uint32_t)entry->name_len);
	head[20] = (uint8_t)entry->type;
	sink_put(sink, head, sizeof head);
	sink_put(sink, entry->name, entry->name_len);
	return sink->used < sink->size;
}

enum wasi_errno
wasi_fd_readdir(struct wasi_call *call)
{
	const uint32_t result = call->args[4].u32;
	struct dirent_sink sink = { .size = call->args[2].u32 };
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_dir(call, 0, WASI_RIGHT_FD_READDIR, &fd);

	if (e != WASI_SUCCESS)
		return e;
	sink.to = wasi_guest_range(call, call->args[1].u32, sink.size);
	if (sink.to == NULL || wasi_guest_range(call, result, 4) == NULL)
		return WASI_EFAULT;
	if (sink.size > 0) {
		e = fd->file->ops->dir->readdir(fd->file, call->args[3].u64, sink_entry, &sink);
		if (e != WASI_SUCCESS)
			return e;
	}
	return wasi_guest_put_u32(call, result, (uint32_t)sink.used);
}
