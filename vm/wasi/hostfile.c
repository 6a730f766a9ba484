/*
 * hostfile.c - regular files and streams of the host, and what all host files do alike.
 */
#include "vm/wasi/hostfile.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "vm/wasi/host.h"

/* --- attributes --------------------------------------------------------------------------- */

enum wasi_filetype
wasi_host_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFBLK:
		return WASI_BLOCK_DEVICE;
	case S_IFCHR:
		return WASI_CHARACTER_DEVICE;
	case S_IFDIR:
		return WASI_DIRECTORY;
	case S_IFREG:
		return WASI_REGULAR_FILE;
	case S_IFLNK:
		return WASI_SYMBOLIC_LINK;
	case S_IFSOCK:
		return WASI_SOCKET_STREAM;
	default:
		return WASI_UNKNOWN;
	}
}

static enum wasi_filetype
type_of_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM)
		return WASI_SOCKET_DGRAM;
	return WASI_SOCKET_STREAM;
}

static uint64_t
time_of(struct timespec t)
{
	/* Times before 1970 have no form in WASI. */
	return t.tv_sec < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void
wasi_host_stat_of(const struct stat *st, struct wasi_stat *out)
{
	*out = (struct wasi_stat){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.type = wasi_host_type(st->st_mode),
		.links = st->st_nlink,
		.size_bytes = (uint64_t)st->st_size,
		.atim = time_of(st->st_atim),
		.mtim = time_of(st->st_mtim),
		.ctim = time_of(st->st_ctim),
	};
}

static struct timespec
timespec_of(uint64_t ns, bool set, bool now)
{
	if (now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (!set)
		return (struct timespec){ .tv_nsec = UTIME_OMIT };
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
		                  .tv_nsec = (long)(ns % 1000000000) };
}

void
wasi_host_timespecs(const struct wasi_times *times, struct timespec out[2])
{
	out[0] = timespec_of(times->atim, times->flags & WASI_ATIM, times->flags & WASI_ATIM_NOW);
	out[1] = timespec_of(times->mtim, times->flags & WASI_MTIM, times->flags & WASI_MTIM_NOW);
}

enum wasi_errno
wasi_host_stat(struct wasi_file *file, struct wasi_stat *out)
{
	struct stat st;

	if (fstat(host_of(file)->fd, &st) != 0)
		return wasi_errno_of_host(errno);
	wasi_host_stat_of(&st, out);
	out->type = file->type;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_host_set_times(struct wasi_file *file, const struct wasi_times *times)
{
	struct timespec ts[2];

	wasi_host_timespecs(times, ts);
	return host_answer(futimens(host_of(file)->fd, ts));
}

/* --- making and closing ------------------------------------------------------------------- */

void
wasi_host_close(struct wasi_file *file)
{
	struct host_file *host = host_of(file);

	if (!host->borrowed)
		close(host->fd);
	free(host);
}

/* Fill in what depends on the kind of file. Only terminals may not be seekable as a device. */
static void
classify(struct host_file *host, const struct stat *st)
{
	struct wasi_file *base = &host->base;

	base->type = wasi_host_type(st->st_mode);
	base->ops = &wasi_hostfile_ops;
	base->rights = WASI_RIGHTS_STREAM;
	host->may_block = true;
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)) {
		base->rights = WASI_RIGHTS_REGULAR_FILE;
		host->may_block = false;
	} else if (S_ISDIR(st->st_mode)) {
		base->ops = &wasi_hostdir_ops;
		base->rights = WASI_RIGHTS_DIRECTORY;
		host->may_block = false;
	} else if (S_ISSOCK(st->st_mode)) {
		base->ops = &wasi_hostsock_ops;
		base->type = type_of_socket(host->fd);
		base->rights = WASI_RIGHTS_SOCKET;
	} else if (S_ISCHR(st->st_mode) && !isatty(host->fd)) {
		/* C libraries take a device that cannot seek for a terminal. */
		base->rights = WASI_RIGHTS_STREAM | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL;
	}
}

enum wasi_errno
wasi_host_new(int fd, bool borrowed, struct host_file **out)
{
	enum wasi_errno e = WASI_SUCCESS;
	struct stat st;
	struct host_file *host = calloc(1, sizeof *host);

	if (host == NULL)
		e = WASI_ENOMEM;
	else if (fstat(fd, &st) != 0)
		e = wasi_errno_of_host(errno);
	if (e != WASI_SUCCESS) {
		free(host);
		if (!borrowed)
			close(fd);
		return e;
	}
	host->fd = fd;
	host->borrowed = borrowed;
	host->root_dev = st.st_dev;
	host->root_ino = st.st_ino;
	classify(host, &st);
	*out = host;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_hoststream_new(int fd, struct wasi_file **out)
{
	struct host_file *host;
	enum wasi_errno e = wasi_host_new(fd, true, &host);

	if (e != WASI_SUCCESS)
		return e;
	if (host->base.ops == &wasi_hostdir_ops) {
		/* A stream only: nothing beneath the folder was granted. */
		host->base.ops = &wasi_hostfile_ops;
		host->base.rights = WASI_RIGHTS_STREAM;
	}
	*out = &host->base;
	return WASI_SUCCESS;
}

/* --- reading and writing ------------------------------------------------------------------ */

bool
wasi_host_try_again(const struct host_file *host, struct wasi_task *task, enum wasi_errno *e)
{
	int host_errno = errno;

	*e = wasi_errno_of_host(host_errno);
	if (host_errno == EINTR || (host_errno == EAGAIN && !(host->base.flags & WASI_NONBLOCK))) {
		*e = wasi_task_check(task);
		return *e == WASI_SUCCESS;
	}
	return false;
}

enum wasi_errno
wasi_host_wait(const struct host_file *host, struct wasi_task *task, short events)
{
	if (!host->may_block)
		return WASI_SUCCESS;
	return wasi_task_wait(task, host->fd, events, host->base.flags & WASI_NONBLOCK);
}

static enum wasi_errno
host_read(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io, size_t *out_len)
{
	struct host_file *host = host_of(file);
	enum wasi_errno e;
	ssize_t n;

	do {
		e = wasi_host_wait(host, task, POLLIN);
		if (e != WASI_SUCCESS)
			return e;
		n = io->offset == WASI_AT_POSITION
		        ? readv(host->fd, io->iov, (int)io->iov_count)
		        : preadv(host->fd, io->iov, (int)io->iov_count, (off_t)io->offset);
	} while (n < 0 && wasi_host_try_again(host, task, &e));
	if (n >= 0)
		*out_len = (size_t)n;
	return n >= 0 ? WASI_SUCCESS : e;
}

/* The flags of the guest that apply to a write. */
static int
write_flags(const struct host_file *host, const struct wasi_io *io)
{
	int flags = 0;

	if (host->base.type != WASI_REGULAR_FILE)
		return 0;
	if ((host->base.flags & WASI_APPEND) && io->offset == WASI_AT_POSITION)
		flags |= RWF_APPEND;
	if (host->base.flags & WASI_SYNC)
		flags |= RWF_SYNC;
	if (host->base.flags & WASI_DSYNC)
		flags |= RWF_DSYNC;
	return flags;
}

static ssize_t
write_some(const struct host_file *host, const struct wasi_io *io)
{
	const int count = (int)io->iov_count;
	const int flags = write_flags(host, io);
	const off_t offset = io->offset == WASI_AT_POSITION ? -1 : (off_t)io->offset;

	if (flags != 0)
		return pwritev2(host->fd, io->iov, count, offset, flags);
	if (offset >= 0)
		return pwritev(host->fd, io->iov, count, offset);
	return writev(host->fd, io->iov, count);
}

static enum wasi_errno
file_write(struct host_file *host, struct wasi_task *task, const struct wasi_io *io,
           size_t *out_len)
{
	enum wasi_errno e;
	ssize_t n;

	do {
		n = write_some(host, io);
	} while (n < 0 && wasi_host_try_again(host, task, &e));
	if (n >= 0)
		*out_len = (size_t)n;
	return n >= 0 ? WASI_SUCCESS : e;
}

/*
 * Write one buffer to something that may block, all of it unless an error or a wish not to block
 * comes between. A pipe that is ready takes PIPE_BUF bytes without blocking.
 */
static enum wasi_errno
write_all(struct host_file *host, struct wasi_task *task, const uint8_t *data, size_t len,
          size_t *done)
{
	while (len > 0) {
		enum wasi_errno e = wasi_host_wait(host, task, POLLOUT);
		if (e != WASI_SUCCESS)
			return e;
		ssize_t n = write(host->fd, data, len < PIPE_BUF ? len : PIPE_BUF);
		if (n < 0) {
			if (!wasi_host_try_again(host, task, &e))
				return e;
			continue;
		}
		data += n;
		len -= (size_t)n;
		*done += (size_t)n;
	}
	return WASI_SUCCESS;
}

static enum wasi_errno
host_write(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io,
           size_t *out_len)
{
	struct host_file *host = host_of(file);
	size_t done = 0;

	if (!host->may_block)
		return file_write(host, task, io, out_len);
	if (io->offset != WASI_AT_POSITION)
		return WASI_ESPIPE;
	enum wasi_errno e = WASI_SUCCESS;
	for (size_t i = 0; i < io->iov_count && e == WASI_SUCCESS; i++)
		e = write_all(host, task, io->iov[i].iov_base, io->iov[i].iov_len, &done);
	if (e == WASI_ENDED || (e != WASI_SUCCESS && done == 0))
		return e;
	*out_len = done;
	return WASI_SUCCESS;
}

static enum wasi_errno
host_seek(struct wasi_file *file, int64_t offset, enum wasi_whence whence, uint64_t *out_position)
{
	static const int whences[] = {
		[WASI_SEEK_SET] = SEEK_SET, [WASI_SEEK_CUR] = SEEK_CUR, [WASI_SEEK_END] = SEEK_END
	};
	off_t position = lseek(host_of(file)->fd, offset, whences[whence]);

	if (position < 0)
		return wasi_errno_of_host(errno);
	*out_position = (uint64_t)position;
	return WASI_SUCCESS;
}

static enum wasi_errno
host_set_size(struct wasi_file *file, uint64_t size_bytes)
{
	if (size_bytes > INT64_MAX)
		return WASI_EFBIG;
	return host_answer(ftruncate(host_of(file)->fd, (off_t)size_bytes));
}

static enum wasi_errno
host_allocate(struct wasi_file *file, uint64_t offset, uint64_t len)
{
	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return WASI_EFBIG;
	return host_answer(fallocate(host_of(file)->fd, 0, (off_t)offset, (off_t)len));
}

enum wasi_errno
wasi_host_advise(struct wasi_file *file, uint64_t offset, uint64_t len, int advice)
{
	static const int advices[] = { POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL,
		                       POSIX_FADV_RANDOM,   POSIX_FADV_WILLNEED,
		                       POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE };

	if (offset > INT64_MAX || len > INT64_MAX)
		return WASI_EINVAL;
	return wasi_errno_of_host(
	    posix_fadvise(host_of(file)->fd, (off_t)offset, (off_t)len, advices[advice]));
}

enum wasi_errno
wasi_host_sync(struct wasi_file *file, bool data_only)
{
	int fd = host_of(file)->fd;
	enum wasi_errno e = host_answer(data_only ? fdatasync(fd) : fsync(fd));

	/* Pipes and terminals have nothing to synchronise. */
	return e == WASI_EINVAL || e == WASI_EROFS ? WASI_SUCCESS : e;
}

enum wasi_errno
wasi_host_poll(struct wasi_file *file, bool write, struct wasi_readiness *out)
{
	struct host_file *host = host_of(file);
	struct stat st;

	if (host->may_block) {
		*out = (struct wasi_readiness){ .host_fd = host->fd };
		return WASI_SUCCESS;
	}
	*out = (struct wasi_readiness){ .host_fd = -1, .bytes = 1 };
	off_t position = write ? -1 : lseek(host->fd, 0, SEEK_CUR);
	if (position >= 0 && fstat(host->fd, &st) == 0)
		out->bytes = st.st_size > position ? (uint64_t)(st.st_size - position) : 0;
	return WASI_SUCCESS;
}

const struct wasi_file_ops wasi_hostfile_ops = {
	.close = wasi_host_close,
	.read = host_read,
	.write = host_write,
	.seek = host_seek,
	.stat = wasi_host_stat,
	.set_size = host_set_size,
	.set_times = wasi_host_set_times,
	.allocate = host_allocate,
	.advise = wasi_host_advise,
	.sync = wasi_host_sync,
	.poll = wasi_host_poll,
};
