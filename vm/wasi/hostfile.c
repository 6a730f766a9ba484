/*
 * hostfile.c - operations on descriptors of the host.
 *
 * Flags of the guest are not set on descriptors, which may be shared with others: appending and
 * synchronous writes are asked for with each write (pwritev2), and not to block is a matter of
 * not waiting, because anything that could block is waited for beforehand.
 */
#include "vm/wasi/hostfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "vm/wasi/beneath.h"

struct host_file {
	struct wasi_file base;
	int fd;
	bool borrowed;
	bool may_block; /* no regular file, no folder: wait before reading and writing */
	/* Folders: */
	enum beneath_way way;
	dev_t root_dev; /* identity of the preopened folder this one was reached from */
	ino_t root_ino;
};

static const struct wasi_file_ops file_ops;
static const struct wasi_file_ops dir_ops;
static const struct wasi_file_ops sock_ops;

static struct host_file *
host_of(struct wasi_file *file)
{
	return (struct host_file *)file;
}

/* What the C library says happened to a call that returned result. */
static enum wasi_errno
answer(int result)
{
	return result == 0 ? WASI_SUCCESS : wasi_errno_of_host(errno);
}

/* --- attributes --------------------------------------------------------------------------- */

static enum wasi_filetype
type_of_mode(mode_t mode)
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

static void
stat_of(const struct stat *st, struct wasi_stat *out)
{
	*out = (struct wasi_stat){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.type = type_of_mode(st->st_mode),
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

static void
timespecs_of(const struct wasi_times *times, struct timespec out[2])
{
	out[0] = timespec_of(times->atim, times->flags & WASI_ATIM, times->flags & WASI_ATIM_NOW);
	out[1] = timespec_of(times->mtim, times->flags & WASI_MTIM, times->flags & WASI_MTIM_NOW);
}

static enum wasi_errno
host_stat(struct wasi_file *file, struct wasi_stat *out)
{
	struct stat st;

	if (fstat(host_of(file)->fd, &st) != 0)
		return wasi_errno_of_host(errno);
	stat_of(&st, out);
	out->type = file->type;
	return WASI_SUCCESS;
}

static enum wasi_errno
host_set_times(struct wasi_file *file, const struct wasi_times *times)
{
	struct timespec ts[2];

	timespecs_of(times, ts);
	return answer(futimens(host_of(file)->fd, ts));
}

/* --- making and closing ------------------------------------------------------------------- */

static void
host_close(struct wasi_file *file)
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

	base->type = type_of_mode(st->st_mode);
	base->ops = &file_ops;
	base->rights = WASI_RIGHTS_STREAM;
	host->may_block = true;
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)) {
		base->rights = WASI_RIGHTS_REGULAR_FILE;
		host->may_block = false;
	} else if (S_ISDIR(st->st_mode)) {
		base->ops = &dir_ops;
		base->rights = WASI_RIGHTS_DIRECTORY;
		host->may_block = false;
	} else if (S_ISSOCK(st->st_mode)) {
		base->ops = &sock_ops;
		base->type = type_of_socket(host->fd);
		base->rights = WASI_RIGHTS_SOCKET;
	} else if (S_ISCHR(st->st_mode) && !isatty(host->fd)) {
		/* C libraries take a device that cannot seek for a terminal. */
		base->rights = WASI_RIGHTS_STREAM | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL;
	}
}

/* Wrap a descriptor, which is closed on failure unless it is borrowed. */
static enum wasi_errno
host_new(int fd, bool borrowed, struct host_file **out)
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
wasi_hostdir_open(const char *path, struct wasi_file **out)
{
	struct host_file *host;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return wasi_errno_of_host(errno);
	enum wasi_errno e = host_new(fd, false, &host);
	if (e != WASI_SUCCESS)
		return e;
	host->way = beneath_way_of(fd);
	*out = &host->base;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_hoststream_new(int fd, struct wasi_file **out)
{
	struct host_file *host;
	enum wasi_errno e = host_new(fd, true, &host);

	if (e != WASI_SUCCESS)
		return e;
	if (host->base.ops == &dir_ops) {
		/* A stream only: nothing beneath the folder was granted. */
		host->base.ops = &file_ops;
		host->base.rights = WASI_RIGHTS_STREAM;
	}
	*out = &host->base;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_hostlistener_new(int fd, struct wasi_file **out)
{
	struct host_file *host;
	enum wasi_errno e = host_new(fd, true, &host);

	if (e != WASI_SUCCESS)
		return e;
	int flags = fcntl(fd, F_GETFL);
	if (host->base.ops != &sock_ops)
		e = WASI_ENOTSOCK;
	else if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		e = wasi_errno_of_host(errno);
	if (e != WASI_SUCCESS) {
		host_close(&host->base);
		return e;
	}
	host->base.rights = WASI_RIGHTS_LISTENER;
	*out = &host->base;
	return WASI_SUCCESS;
}

/* --- reading and writing ------------------------------------------------------------------ */

/* Whether to try again after a call failed with errno; else *e says how it ended. */
static bool
try_again(const struct host_file *host, struct wasi_task *task, enum wasi_errno *e)
{
	int host_errno = errno;

	*e = wasi_errno_of_host(host_errno);
	if (host_errno == EINTR || (host_errno == EAGAIN && !(host->base.flags & WASI_NONBLOCK))) {
		*e = wasi_task_check(task);
		return *e == WASI_SUCCESS;
	}
	return false;
}

static enum wasi_errno
wait_ready(const struct host_file *host, struct wasi_task *task, short events)
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
		e = wait_ready(host, task, POLLIN);
		if (e != WASI_SUCCESS)
			return e;
		n = io->offset == WASI_AT_POSITION
		        ? readv(host->fd, io->iov, (int)io->iov_count)
		        : preadv(host->fd, io->iov, (int)io->iov_count, (off_t)io->offset);
	} while (n < 0 && try_again(host, task, &e));
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
	} while (n < 0 && try_again(host, task, &e));
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
		enum wasi_errno e = wait_ready(host, task, POLLOUT);
		if (e != WASI_SUCCESS)
			return e;
		ssize_t n = write(host->fd, data, len < PIPE_BUF ? len : PIPE_BUF);
		if (n < 0) {
			if (!try_again(host, task, &e))
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
	static const int whences[] = { [WASI_SEEK_SET] = SEEK_SET,
		                       [WASI_SEEK_CUR] = SEEK_CUR,
		                       [WASI_SEEK_END] = SEEK_END };
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
	return answer(ftruncate(host_of(file)->fd, (off_t)size_bytes));
}

static enum wasi_errno
host_allocate(struct wasi_file *file, uint64_t offset, uint64_t len)
{
	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return WASI_EFBIG;
	return answer(fallocate(host_of(file)->fd, 0, (off_t)offset, (off_t)len));
}

static enum wasi_errno
host_advise(struct wasi_file *file, uint64_t offset, uint64_t len, int advice)
{
	static const int advices[] = { POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL,
		                       POSIX_FADV_RANDOM,   POSIX_FADV_WILLNEED,
		                       POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE };

	if (offset > INT64_MAX || len > INT64_MAX)
		return WASI_EINVAL;
	return wasi_errno_of_host(
	    posix_fadvise(host_of(file)->fd, (off_t)offset, (off_t)len, advices[advice]));
}

static enum wasi_errno
host_sync(struct wasi_file *file, bool data_only)
{
	int fd = host_of(file)->fd;
	enum wasi_errno e = answer(data_only ? fdatasync(fd) : fsync(fd));

	/* Pipes and terminals have nothing to synchronise. */
	return e == WASI_EINVAL || e == WASI_EROFS ? WASI_SUCCESS : e;
}

static enum wasi_errno
host_poll(struct wasi_file *file, bool write, struct wasi_readiness *out)
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

static const struct wasi_file_ops file_ops = {
	.close = host_close,
	.read = host_read,
	.write = host_write,
	.seek = host_seek,
	.stat = host_stat,
	.set_size = host_set_size,
	.set_times = host_set_times,
	.allocate = host_allocate,
	.advise = host_advise,
	.sync = host_sync,
	.poll = host_poll,
};

/* --- folders ------------------------------------------------------------------------------ */

static enum wasi_filetype
type_of_entry(int dir_fd, const struct dirent64 *entry)
{
	struct stat st;

	switch (entry->d_type) {
	case DT_UNKNOWN:
		if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return WASI_UNKNOWN;
		return type_of_mode(st.st_mode);
	default:
		return type_of_mode(DTTOIF(entry->d_type));
	}
}

/* The folder above a preopened one does not exist for the guest: there, ".." is ".". */
static uint64_t
ino_of_entry(const struct host_file *host, const struct dirent64 *entry)
{
	struct stat st;

	if (strcmp(entry->d_name, "..") == 0 && fstat(host->fd, &st) == 0 &&
	    st.st_dev == host->root_dev && st.st_ino == host->root_ino)
		return st.st_ino;
	return entry->d_ino;
}

/* The file system's own offsets are the cookies: it keeps them valid while names come and go. */
static enum wasi_errno
host_readdir(struct wasi_file *file, uint64_t cookie, wasi_dirent_fn emit, void *env)
{
	struct host_file *host = host_of(file);
	_Alignas(struct dirent64) char buf[16384];
	ssize_t len;

	if (cookie > INT64_MAX || lseek(host->fd, (off_t)cookie, SEEK_SET) < 0)
		return WASI_EINVAL;
	while ((len = getdents64(host->fd, buf, sizeof buf)) > 0) {
		for (const char *at = buf; at < buf + len;) {
			const struct dirent64 *entry = (const void *)at;
			const struct wasi_dirent out = {
				.name = entry->d_name,
				.name_len = strlen(entry->d_name),
				.ino = ino_of_entry(host, entry),
				.type = type_of_entry(host->fd, entry),
				.next = (uint64_t)entry->d_off,
			};
			if (!emit(env, &out))
				return WASI_SUCCESS;
			at += entry->d_reclen;
		}
	}
	return len == 0 ? WASI_SUCCESS : wasi_errno_of_host(errno);
}

static int
open_flags(const struct wasi_open *how)
{
	/* Never wait for the other end of a pipe, never get a controlling terminal. */
	int flags = O_NONBLOCK | O_NOCTTY;

	flags |= how->write ? (how->read ? O_RDWR : O_WRONLY) : O_RDONLY;
	if (!how->follow)
		flags |= O_NOFOLLOW;
	if (how->oflags & WASI_CREAT)
		flags |= O_CREAT;
	if (how->oflags & WASI_OPEN_DIRECTORY)
		flags |= O_DIRECTORY;
	if (how->oflags & WASI_EXCL)
		flags |= O_EXCL;
	if (how->oflags & WASI_TRUNC)
		flags |= O_TRUNC;
	return flags;
}

static enum wasi_errno
host_open(struct wasi_file *dir, const char *path, const struct wasi_open *how,
          struct wasi_file **out)
{
	struct host_file *parent = host_of(dir);
	struct host_file *host;
	int fd;
	enum wasi_errno e =
	    beneath_open(parent->way, parent->fd, path, open_flags(how), 0666, &fd);

	if (e != WASI_SUCCESS)
		return e;
	e = host_new(fd, false, &host);
	if (e != WASI_SUCCESS)
		return e;
	host->way = parent->way;
	host->root_dev = parent->root_dev;
	host->root_ino = parent->root_ino;
	host->base.flags = how->fdflags;
	*out = &host->base;
	return WASI_SUCCESS;
}

/* Open what a path names only to look at it. */
static enum wasi_errno
open_path(struct wasi_file *dir, const char *path, bool follow, int *out_fd)
{
	struct host_file *host = host_of(dir);

	return beneath_open(host->way, host->fd, path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0,
	                    out_fd);
}

static enum wasi_errno
host_path_stat(struct wasi_file *dir, const char *path, bool follow, struct wasi_stat *out)
{
	struct stat st;
	int fd;
	enum wasi_errno e = open_path(dir, path, follow, &fd);

	if (e != WASI_SUCCESS)
		return e;
	e = answer(fstat(fd, &st));
	close(fd);
	if (e == WASI_SUCCESS)
		stat_of(&st, out);
	return e;
}

static enum wasi_errno
host_path_set_times(struct wasi_file *dir, const char *path, bool follow,
                    const struct wasi_times *times)
{
	struct timespec ts[2];
	int fd;
	enum wasi_errno e = open_path(dir, path, follow, &fd);

	if (e != WASI_SUCCESS)
		return e;
	timespecs_of(times, ts);
	e = answer(utimensat(fd, "", ts, AT_EMPTY_PATH));
	close(fd);
	return e;
}

static enum wasi_errno
host_mkdir(struct wasi_file *dir, const char *path)
{
	struct host_file *host = host_of(dir);
	struct beneath_parent parent;
	enum wasi_errno e = beneath_parent_open(host->way, host->fd, path, &parent);

	if (e != WASI_SUCCESS)
		return e;
	e = answer(mkdirat(parent.fd, parent.name, 0777));
	beneath_parent_close(&parent);
	return e;
}

static enum wasi_errno
remove_name(struct wasi_file *dir, const char *path, int flags)
{
	struct host_file *host = host_of(dir);
	struct beneath_parent parent;
	enum wasi_errno e = beneath_parent_open(host->way, host->fd, path, &parent);

	if (e != WASI_SUCCESS)
		return e;
	e = answer(unlinkat(parent.fd, parent.name, flags));
	beneath_parent_close(&parent);
	return e;
}

static enum wasi_errno
host_rmdir(struct wasi_file *dir, const char *path)
{
	return remove_name(dir, path, AT_REMOVEDIR);
}

static enum wasi_errno
host_unlink(struct wasi_file *dir, const char *path)
{
	return remove_name(dir, path, 0);
}

static enum wasi_errno
host_symlink(struct wasi_file *dir, const char *target, const char *path)
{
	struct host_file *host = host_of(dir);
	struct beneath_parent parent;
	enum wasi_errno e = beneath_parent_open(host->way, host->fd, path, &parent);

	if (e != WASI_SUCCESS)
		return e;
	e = answer(symlinkat(target, parent.fd, parent.name));
	beneath_parent_close(&parent);
	return e;
}

static enum wasi_errno
host_readlink(struct wasi_file *dir, const char *path, char *buf, size_t size, size_t *out_len)
{
	struct stat st;
	int fd;
	enum wasi_errno e = open_path(dir, path, false, &fd);

	if (e != WASI_SUCCESS)
		return e;
	ssize_t n = -1;
	if (fstat(fd, &st) != 0)
		e = wasi_errno_of_host(errno);
	else if (!S_ISLNK(st.st_mode))
		e = WASI_EINVAL;
	else if (size == 0)
		n = 0;
	else if ((n = readlinkat(fd, "", buf, size)) < 0)
		e = wasi_errno_of_host(errno);
	close(fd);
	if (e == WASI_SUCCESS)
		*out_len = (size_t)n;
	return e;
}

static bool
ends_with_slash(const char *path)
{
	size_t len = strlen(path);

	return len > 0 && path[len - 1] == '/';
}

static enum wasi_errno
host_link(struct wasi_file *dir, const char *path, struct wasi_file *new_dir, const char *new_path)
{
	struct host_file *from = host_of(dir);
	struct host_file *to = host_of(new_dir);
	struct beneath_parent old_parent;
	struct beneath_parent new_parent;
	enum wasi_errno e;

	if (ends_with_slash(path)) {
		/* The kernel would follow a link here. Only a folder is acceptable, and not linked. */
		struct wasi_stat st;
		e = host_path_stat(dir, path, false, &st);
		return e != WASI_SUCCESS ? e : WASI_EPERM;
	}
	e = beneath_parent_open(from->way, from->fd, path, &old_parent);
	if (e != WASI_SUCCESS)
		return e;
	e = beneath_parent_open(to->way, to->fd, new_path, &new_parent);
	if (e == WASI_SUCCESS) {
		e = answer(
		    linkat(old_parent.fd, old_parent.name, new_parent.fd, new_parent.name, 0));
		beneath_parent_close(&new_parent);
	}
	beneath_parent_close(&old_parent);
	return e;
}

static enum wasi_errno
host_rename(struct wasi_file *dir, const char *path, struct wasi_file *new_dir,
            const char *new_path)
{
	struct host_file *from = host_of(dir);
	struct host_file *to = host_of(new_dir);
	struct beneath_parent old_parent;
	struct beneath_parent new_parent;
	enum wasi_errno e = beneath_parent_open(from->way, from->fd, path, &old_parent);

	if (e != WASI_SUCCESS)
		return e;
	e = beneath_parent_open(to->way, to->fd, new_path, &new_parent);
	if (e == WASI_SUCCESS) {
		e = answer(
		    renameat(old_parent.fd, old_parent.name, new_parent.fd, new_parent.name));
		beneath_parent_close(&new_parent);
	}
	beneath_parent_close(&old_parent);
	return e;
}

static const struct wasi_dir_ops path_ops = {
	.readdir = host_readdir,
	.open = host_open,
	.stat = host_path_stat,
	.set_times = host_path_set_times,
	.mkdir = host_mkdir,
	.rmdir = host_rmdir,
	.unlink = host_unlink,
	.symlink = host_symlink,
	.readlink = host_readlink,
	.link = host_link,
	.rename = host_rename,
};

static const struct wasi_file_ops dir_ops = {
	.close = host_close,
	.stat = host_stat,
	.set_times = host_set_times,
	.advise = host_advise,
	.sync = host_sync,
	.dir = &path_ops,
};

/* --- sockets ------------------------------------------------------------------------------ */

static enum wasi_errno
sock_accept(struct wasi_file *file, struct wasi_task *task, uint16_t fdflags,
            struct wasi_file **out)
{
	struct host_file *host = host_of(file);
	struct host_file *accepted;
	enum wasi_errno e;
	int fd;

	do {
		e = wait_ready(host, task, POLLIN);
		if (e != WASI_SUCCESS)
			return e;
		fd = accept4(host->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && try_again(host, task, &e));
	if (fd < 0)
		return e;
	e = host_new(fd, false, &accepted);
	if (e != WASI_SUCCESS)
		return e;
	accepted->base.flags = fdflags;
	*out = &accepted->base;
	return WASI_SUCCESS;
}

/* Receive until a buffer is full or the other side has ended; *out_len grows. */
static enum wasi_errno
recv_buffer(struct host_file *host, struct wasi_task *task, const struct iovec *iov,
            size_t *out_len, bool *out_ended)
{
	for (size_t got = 0; got < iov->iov_len && !*out_ended;) {
		enum wasi_errno e = wait_ready(host, task, POLLIN);
		if (e != WASI_SUCCESS)
			return e;
		ssize_t n = recv(host->fd, (char *)iov->iov_base + got, iov->iov_len - got,
		                 MSG_DONTWAIT);
		if (n < 0) {
			if (!try_again(host, task, &e))
				return e;
			continue;
		}
		*out_ended = n == 0;
		got += (size_t)n;
		*out_len += (size_t)n;
	}
	return WASI_SUCCESS;
}

/* WASI_RECV_WAITALL: only an end, an error or a wish not to block makes it less. */
static enum wasi_errno
recv_all(struct host_file *host, struct wasi_task *task, const struct wasi_io *io, size_t *out_len)
{
	enum wasi_errno e = WASI_SUCCESS;
	size_t done = 0;
	bool ended = false;

	for (size_t i = 0; i < io->iov_count && e == WASI_SUCCESS; i++)
		e = recv_buffer(host, task, &io->iov[i], &done, &ended);
	if (e == WASI_ENDED || (e != WASI_SUCCESS && done == 0))
		return e;
	*out_len = done;
	return WASI_SUCCESS;
}

static enum wasi_errno
sock_recv(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io, uint16_t flags,
          size_t *out_len, uint16_t *out_flags)
{
	struct host_file *host = host_of(file);
	struct msghdr message = { .msg_iovlen = io->iov_count };
	int host_flags = MSG_DONTWAIT | (flags & WASI_RECV_PEEK ? MSG_PEEK : 0);
	enum wasi_errno e;
	ssize_t n;

	if (flags == WASI_RECV_WAITALL && file->type == WASI_SOCKET_STREAM) {
		*out_flags = 0;
		return recv_all(host, task, io, out_len);
	}
	memcpy(&message.msg_iov, &io->iov, sizeof message.msg_iov); /* recvmsg only reads it */
	do {
		e = wait_ready(host, task, POLLIN);
		if (e != WASI_SUCCESS)
			return e;
		n = recvmsg(host->fd, &message, host_flags);
	} while (n < 0 && try_again(host, task, &e));
	if (n < 0)
		return e;
	*out_len = (size_t)n;
	*out_flags = message.msg_flags & MSG_TRUNC ? WASI_RECV_DATA_TRUNCATED : 0;
	return WASI_SUCCESS;
}

static enum wasi_errno
sock_read(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io, size_t *out_len)
{
	uint16_t flags;

	if (io->offset != WASI_AT_POSITION)
		return WASI_ESPIPE;
	return sock_recv(file, task, io, 0, out_len, &flags);
}

static enum wasi_errno
sock_write(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io,
           size_t *out_len)
{
	struct host_file *host = host_of(file);
	struct msghdr message = { .msg_iovlen = io->iov_count };
	enum wasi_errno e;
	ssize_t n;

	if (io->offset != WASI_AT_POSITION)
		return WASI_ESPIPE;
	memcpy(&message.msg_iov, &io->iov, sizeof message.msg_iov); /* sendmsg only reads it */
	do {
		e = wait_ready(host, task, POLLOUT);
		if (e != WASI_SUCCESS)
			return e;
		n = sendmsg(host->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && try_again(host, task, &e));
	if (n >= 0)
		*out_len = (size_t)n;
	return n >= 0 ? WASI_SUCCESS : e;
}

static enum wasi_errno
sock_shutdown(struct wasi_file *file, uint8_t how)
{
	const int both = WASI_SHUT_RD | WASI_SHUT_WR;

	return answer(shutdown(host_of(file)->fd, how == both            ? SHUT_RDWR
	                                          : how == WASI_SHUT_RD ? SHUT_RD
	                                                                : SHUT_WR));
}

static const struct wasi_sock_ops socket_ops = {
	.accept = sock_accept,
	.recv = sock_recv,
	.shutdown = sock_shutdown,
};

static const struct wasi_file_ops sock_ops = {
	.close = host_close,
	.read = sock_read,
	.write = sock_write,
	.stat = host_stat,
	.poll = host_poll,
	.sock = &socket_ops,
};
