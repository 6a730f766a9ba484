/*
 * beneath.c - openat2, and the walk for hosts without it.
 */
#include "vm/wasi/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "vm/wasi/walk.h"

bool wasi_beneath_walk_only;

/* --- the kernel's way --------------------------------------------------------------------- */

/* A folder moving while the kernel steps up makes it start over; it gives up with EAGAIN. */
#define KERNEL_TRIES 16

static int
kernel_open(int root, const char *path, int flags, mode_t mode)
{
	const struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	for (int tries = 0; tries < KERNEL_TRIES; tries++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (int)fd;
}

enum beneath_way
beneath_way_of(int root)
{
	if (wasi_beneath_walk_only)
		return BENEATH_WALK;
	int fd = kernel_open(root, ".", O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return BENEATH_WALK;
	close(fd);
	return BENEATH_KERNEL;
}

/* --- the walk ----------------------------------------------------------------------------- */

#define WALK_DEPTH_MAX 2048

/* A folder's identity. */
struct place {
	dev_t dev;
	ino_t ino;
};

struct host_walk {
	struct wasi_walk path;
	int root;
	int dir;                             /* where the walk is; root itself at depth 0 */
	unsigned depth;                      /* folders below root */
	struct place places[WALK_DEPTH_MAX]; /* those above dir, root first */
};

static void
walk_move(struct host_walk *walk, int dir)
{
	if (walk->dir != walk->root)
		close(walk->dir);
	walk->dir = dir;
}

static enum wasi_errno
place_of(int fd, struct place *out)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return wasi_errno_of_host(errno);
	*out = (struct place){ st.st_dev, st.st_ino };
	return WASI_SUCCESS;
}

/*
 * Step up to a folder the walk has come through. The kernel may name another one if this folder
 * has been moved meanwhile: that is refused.
 */
static enum wasi_errno
walk_up(struct host_walk *walk)
{
	struct place place = { 0 };

	if (walk->depth == 0)
		return WASI_EPERM;
	if (walk->depth == 1) {
		walk_move(walk, walk->root);
		walk->depth = 0;
		return WASI_SUCCESS;
	}
	int up = openat(walk->dir, "..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (up < 0)
		return wasi_errno_of_host(errno);
	enum wasi_errno e = place_of(up, &place);
	const struct place *want = &walk->places[walk->depth - 1];
	if (e == WASI_SUCCESS && (place.dev != want->dev || place.ino != want->ino))
		e = WASI_EPERM;
	if (e != WASI_SUCCESS) {
		close(up);
		return e;
	}
	walk_move(walk, up);
	walk->depth--;
	return WASI_SUCCESS;
}

/* Take over fd, a folder in the current one. */
static enum wasi_errno
walk_down(struct host_walk *walk, int fd)
{
	enum wasi_errno e = WASI_ENAMETOOLONG;

	if (walk->depth < WALK_DEPTH_MAX)
		e = place_of(walk->dir, &walk->places[walk->depth]);
	if (e != WASI_SUCCESS) {
		close(fd);
		return e;
	}
	walk_move(walk, fd);
	walk->depth++;
	return WASI_SUCCESS;
}

/* Go on with the target of a link: fd is the link itself, or the folder it is in and name. */
static enum wasi_errno
walk_link(struct host_walk *walk, int fd, const char *name)
{
	char target[WASI_PATH_MAX];
	ssize_t len = readlinkat(fd, name, target, sizeof target);

	if (len < 0)
		return wasi_errno_of_host(errno);
	return wasi_walk_link(&walk->path, target, (size_t)len);
}

/* The component last taken has others behind it: it is a folder or a link to one. */
static enum wasi_errno
walk_through(struct host_walk *walk)
{
	struct stat st;
	int fd = openat(walk->dir, walk->path.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	enum wasi_errno e;

	if (fd < 0)
		return wasi_errno_of_host(errno);
	if (fstat(fd, &st) != 0)
		e = wasi_errno_of_host(errno);
	else if (S_ISLNK(st.st_mode))
		e = walk_link(walk, fd, "");
	else if (S_ISDIR(st.st_mode))
		return walk_down(walk, fd);
	else
		e = WASI_ENOTDIR;
	close(fd);
	return e;
}

/*
 * Open the last component. *out_fd stays -1 when it was a link, which the walk then goes on with.
 * A link that appears between the look and the opening is not followed: O_NOFOLLOW.
 */
static enum wasi_errno
walk_finish(struct host_walk *walk, int flags, mode_t mode, int *out_fd)
{
	const char *name = walk->path.kind == WASI_WALK_NAME ? walk->path.name : ".";

	if (walk->path.kind == WASI_WALK_NAME) {
		bool follow = walk->path.slash || !(flags & O_NOFOLLOW);
		if ((flags & O_CREAT) && walk->path.slash)
			return WASI_EISDIR;
		if ((flags & O_CREAT) && (flags & O_EXCL))
			follow = false;
		if (follow) {
			enum wasi_errno e = walk_link(walk, walk->dir, name);
			if (e != WASI_EINVAL && e != WASI_ENOENT)
				return e;
			/*
			 * Not a link, or not there: unless the link's target was empty, which
			 * no file system stores.
			 */
		}
		if (walk->path.slash)
			flags |= O_DIRECTORY;
	}
	int fd = openat(walk->dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return wasi_errno_of_host(errno);
	*out_fd = fd;
	return WASI_SUCCESS;
}

static enum wasi_errno
walk_open(struct host_walk *walk, int flags, mode_t mode, int *out_fd)
{
	enum wasi_errno e = WASI_SUCCESS;

	while (e == WASI_SUCCESS && *out_fd < 0) {
		e = wasi_walk_next(&walk->path);
		if (e == WASI_SUCCESS && walk->path.kind == WASI_WALK_DOTDOT)
			e = walk_up(walk);
		if (e != WASI_SUCCESS)
			break;
		if (walk->path.kind == WASI_WALK_END)
			e = WASI_ENOENT;
		else if (walk->path.last)
			e = walk_finish(walk, flags, mode, out_fd);
		else if (walk->path.kind == WASI_WALK_NAME)
			e = walk_through(walk);
	}
	return e;
}

/* --- both --------------------------------------------------------------------------------- */

enum wasi_errno
beneath_open(enum beneath_way way, int root, const char *path, int flags, mode_t mode, int *out_fd)
{
	int fd = -1;

	if (way == BENEATH_KERNEL) {
		fd = kernel_open(root, path, flags, mode);
		if (fd >= 0) {
			*out_fd = fd;
			return WASI_SUCCESS;
		}
		if (errno != EAGAIN)
			return errno == EXDEV ? WASI_EPERM : wasi_errno_of_host(errno);
	}

	struct host_walk walk;
	walk.root = walk.dir = root;
	walk.depth = 0;
	enum wasi_errno e = wasi_walk_start(&walk.path, path);
	if (e != WASI_SUCCESS)
		return e;
	e = walk_open(&walk, flags, mode, &fd);
	walk_move(&walk, root);
	if (e == WASI_SUCCESS)
		*out_fd = fd;
	return e;
}

enum wasi_errno
beneath_parent_open(enum beneath_way way, int root, const char *path, struct beneath_parent *out)
{
	size_t end = strlen(path);
	char folder[WASI_PATH_MAX];

	if (end == 0)
		return WASI_ENOENT;
	if (path[0] == '/')
		return WASI_EPERM;
	if (end >= sizeof folder)
		return WASI_ENAMETOOLONG;
	while (path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;

	struct beneath_parent parent = { .fd = root, .name = path + start };
	if (end - start == 2 && path[start] == '.' && path[start + 1] == '.') {
		/* Its folder is itself: the calls refuse "." as they refuse "..". */
		parent.name = ".";
		start = end;
	}
	if (start > 0) {
		memcpy(folder, path, start);
		folder[start] = '\0';
		parent.owned = true;
		enum wasi_errno e =
		    beneath_open(way, root, folder, O_PATH | O_DIRECTORY, 0, &parent.fd);
		if (e != WASI_SUCCESS)
			return e;
	}
	*out = parent;
	return WASI_SUCCESS;
}

void
beneath_parent_close(struct beneath_parent *parent)
{
	if (parent->owned)
		close(parent->fd);
}
