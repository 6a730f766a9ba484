/*
 * hostdir.c - folders of the host: paths are resolved beneath them, names made and removed.
 */
#include "vm/wasi/hostfile.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "vm/wasi/host.h"

enum wasi_errno
wasi_hostdir_open(const char *path, struct wasi_file **out)
{
	struct host_file *host;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return wasi_errno_of_host(errno);
	enum wasi_errno e = wasi_host_new(fd, false, &host);
	if (e != WASI_SUCCESS)
		return e;
	host->way = beneath_way_of(fd);
	*out = &host->base;
	return WASI_SUCCESS;
}

static enum wasi_filetype
type_of_entry(int dir_fd, const struct dirent64 *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return wasi_host_type(DTTOIF(entry->d_type));
	if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return WASI_UNKNOWN;
	return wasi_host_type(st.st_mode);
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
	enum wasi_errno e = beneath_open(parent->way, parent->fd, path, open_flags(how), 0666, &fd);

	if (e != WASI_SUCCESS)
		return e;
	e = wasi_host_new(fd, false, &host);
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
	e = host_answer(fstat(fd, &st));
	close(fd);
	if (e == WASI_SUCCESS)
		wasi_host_stat_of(&st, out);
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
	wasi_host_timespecs(times, ts);
	e = host_answer(utimensat(fd, "", ts, AT_EMPTY_PATH));
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
	e = host_answer(mkdirat(parent.fd, parent.name, 0777));
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
	e = host_answer(unlinkat(parent.fd, parent.name, flags));
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
	e = host_answer(symlinkat(target, parent.fd, parent.name));
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
		/* The kernel would follow a link here. Only a folder is acceptable, and not linked.
		 */
		struct wasi_stat st;
		e = host_path_stat(dir, path, false, &st);
		return e != WASI_SUCCESS ? e : WASI_EPERM;
	}
	e = beneath_parent_open(from->way, from->fd, path, &old_parent);
	if (e != WASI_SUCCESS)
		return e;
	e = beneath_parent_open(to->way, to->fd, new_path, &new_parent);
	if (e == WASI_SUCCESS) {
		e = host_answer(
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
		e = host_answer(
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

const struct wasi_file_ops wasi_hostdir_ops = {
	.close = wasi_host_close,
	.stat = wasi_host_stat,
	.set_times = wasi_host_set_times,
	.advise = wasi_host_advise,
	.sync = wasi_host_sync,
	.dir = &path_ops,
};
