/*
 * fn_path.c - functions on paths.
 */
#include "vm/wasi/fn.h"

/* The folder and the path that most functions begin with. */
struct target {
	struct wasi_fd *fd;
	const struct wasi_dir_ops *ops;
	char path[WASI_PATH_MAX];
};

/* The folder is args[fd_index], the path args[path_index] and its length the next. */
static enum wasi_errno
get_target(const struct wasi_call *call, unsigned fd_index, unsigned path_index, uint64_t rights,
           struct target *out)
{
	enum wasi_errno e = wasi_call_dir(call, fd_index, rights, &out->fd);

	if (e != WASI_SUCCESS)
		return e;
	out->ops = out->fd->file->ops->dir;
	return wasi_guest_path(call, call->args[path_index].u32, call->args[path_index + 1].u32,
	                       out->path);
}

static enum wasi_errno
get_lookup(const struct wasi_call *call, unsigned index, bool *out_follow)
{
	if (call->args[index].u32 & ~(uint32_t)WASI_SYMLINK_FOLLOW)
		return WASI_EINVAL;
	*out_follow = call->args[index].u32 & WASI_SYMLINK_FOLLOW;
	return WASI_SUCCESS;
}

/* --- open --------------------------------------------------------------------------------- */

#define READ_RIGHTS ((uint64_t)(WASI_RIGHT_FD_READ | WASI_RIGHT_FD_READDIR))
#define WRITE_RIGHTS                                                                               \
	((uint64_t)(WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE))

/* What the folder's rights have to allow for these flags. */
static uint64_t
rights_for_open(uint32_t oflags)
{
	uint64_t rights = WASI_RIGHT_PATH_OPEN;

	if (oflags & WASI_CREAT)
		rights |= WASI_RIGHT_PATH_CREATE_FILE;
	if (oflags & WASI_TRUNC)
		rights |= WASI_RIGHT_PATH_FILESTAT_SET_SIZE;
	return rights;
}

/* Synchronous files need the right that the call of the same effect would. */
static uint64_t
rights_for_flags(uint32_t fdflags)
{
	uint64_t rights = 0;

	if (fdflags & WASI_DSYNC)
		rights |= WASI_RIGHT_FD_DATASYNC;
	if (fdflags & (WASI_RSYNC | WASI_SYNC))
		rights |= WASI_RIGHT_FD_SYNC;
	return rights;
}

/* args[4] oflags, args[5] and args[6] rights, args[7] fdflags. */
static enum wasi_errno
get_open(const struct wasi_call *call, struct wasi_open *out)
{
	const uint32_t oflags = call->args[4].u32;
	const uint64_t rights = call->args[5].u64;
	const uint32_t fdflags = call->args[7].u32;
	enum wasi_errno e = get_lookup(call, 1, &out->follow);

	if (e != WASI_SUCCESS)
		return e;
	if ((oflags & ~(uint32_t)WASI_OFLAGS_ALL) || (fdflags & ~(uint32_t)WASI_FDFLAGS_ALL))
		return WASI_EINVAL;
	if ((oflags & WASI_OPEN_DIRECTORY) && (oflags & (WASI_CREAT | WASI_TRUNC)))
		return WASI_EINVAL;
	out->oflags = (uint16_t)oflags;
	out->fdflags = (uint16_t)fdflags;
	out->read = rights & READ_RIGHTS;
	out->write = rights & WRITE_RIGHTS;
	return WASI_SUCCESS;
}

/* Whether the folder lets its files have what is asked for. */
static enum wasi_errno
check_inheriting(const struct wasi_call *call, const struct wasi_fd *dir,
                 const struct wasi_open *how)
{
	const uint64_t wanted =
	    call->args[5].u64 | call->args[6].u64 | rights_for_flags(how->fdflags);

	/* Bits without a meaning are not held against those who ask for everything. */
	if ((wanted & WASI_RIGHTS_ALL & ~dir->rights_inheriting) != 0)
		return WASI_ENOTCAPABLE;
	return dir->read_only && how->write ? WASI_EROFS : WASI_SUCCESS;
}

enum wasi_errno
wasi_path_open(struct wasi_call *call)
{
	const uint32_t result = call->args[8].u32;
	struct wasi_open how;
	struct target dir;
	struct wasi_fd fd = { 0 };
	uint32_t number;
	enum wasi_errno e = get_open(call, &how);

	if (e == WASI_SUCCESS)
		e = get_target(call, 0, 2, rights_for_open(how.oflags), &dir);
	if (e == WASI_SUCCESS)
		e = check_inheriting(call, dir.fd, &how);
	if (e == WASI_SUCCESS && wasi_guest_range(call, result, 4) == NULL)
		e = WASI_EFAULT;
	if (e == WASI_SUCCESS)
		e = dir.ops->open(dir.fd->file, dir.path, &how, &fd.file);
	if (e != WASI_SUCCESS)
		return e;

	fd.read_only = dir.fd->read_only;
	fd.rights_base = call->args[5].u64 & fd.file->rights;
	if (fd.read_only)
		fd.rights_base &= ~WASI_RIGHTS_CHANGE;
	fd.rights_inheriting = call->args[6].u64 & WASI_RIGHTS_ALL;
	e = wasi_fds_add(&call->wasi->fds, &fd, &number);
	if (e != WASI_SUCCESS) {
		fd.file->ops->close(fd.file);
		return e;
	}
	return wasi_guest_put_u32(call, result, number);
}

/* --- attributes --------------------------------------------------------------------------- */

enum wasi_errno
wasi_path_filestat_get(struct wasi_call *call)
{
	uint8_t *to = wasi_guest_range(call, call->args[4].u32, call->abi->filestat_bytes);
	struct wasi_stat stat;
	struct target at;
	bool follow;
	enum wasi_errno e = get_lookup(call, 1, &follow);

	if (e == WASI_SUCCESS)
		e = get_target(call, 0, 2, WASI_RIGHT_PATH_FILESTAT_GET, &at);
	if (e == WASI_SUCCESS && to == NULL)
		e = WASI_EFAULT;
	if (e == WASI_SUCCESS)
		e = at.ops->stat(at.fd->file, at.path, follow, &stat);
	if (e == WASI_SUCCESS)
		call->abi->filestat_put(to, &stat);
	return e;
}

enum wasi_errno
wasi_path_filestat_set_times(struct wasi_call *call)
{
	struct wasi_times times;
	struct target at;
	bool follow;
	enum wasi_errno e = get_lookup(call, 1, &follow);

	if (e == WASI_SUCCESS)
		e = get_target(call, 0, 2, WASI_RIGHT_PATH_FILESTAT_SET_TIMES, &at);
	if (e == WASI_SUCCESS)
		e = wasi_call_times(call, 4, &times);
	if (e == WASI_SUCCESS)
		e = at.ops->set_times(at.fd->file, at.path, follow, &times);
	return e;
}

/* --- making and removing names ------------------------------------------------------------ */

enum wasi_errno
wasi_path_create_directory(struct wasi_call *call)
{
	struct target at;
	enum wasi_errno e = get_target(call, 0, 1, WASI_RIGHT_PATH_CREATE_DIRECTORY, &at);

	return e != WASI_SUCCESS ? e : at.ops->mkdir(at.fd->file, at.path);
}

enum wasi_errno
wasi_path_remove_directory(struct wasi_call *call)
{
	struct target at;
	enum wasi_errno e = get_target(call, 0, 1, WASI_RIGHT_PATH_REMOVE_DIRECTORY, &at);

	return e != WASI_SUCCESS ? e : at.ops->rmdir(at.fd->file, at.path);
}

enum wasi_errno
wasi_path_unlink_file(struct wasi_call *call)
{
	struct target at;
	enum wasi_errno e = get_target(call, 0, 1, WASI_RIGHT_PATH_UNLINK_FILE, &at);

	return e != WASI_SUCCESS ? e : at.ops->unlink(at.fd->file, at.path);
}

/* Both folders have to be of one kind, or there is no way from one to the other. */
static enum wasi_errno
check_same_kind(const struct target *a, const struct target *b)
{
	return a->ops == b->ops ? WASI_SUCCESS : WASI_EXDEV;
}

/* To follow a link at the end of the old path is refused, as other hosts do. */
enum wasi_errno
wasi_path_link(struct wasi_call *call)
{
	struct target from;
	struct target to;
	bool follow;
	enum wasi_errno e = get_lookup(call, 1, &follow);

	if (e == WASI_SUCCESS && follow)
		e = WASI_EINVAL;
	if (e == WASI_SUCCESS)
		e = get_target(call, 0, 2, WASI_RIGHT_PATH_LINK_SOURCE, &from);
	if (e == WASI_SUCCESS)
		e = get_target(call, 4, 5, WASI_RIGHT_PATH_LINK_TARGET, &to);
	if (e == WASI_SUCCESS)
		e = check_same_kind(&from, &to);
	if (e == WASI_SUCCESS)
		e = from.ops->link(from.fd->file, from.path, to.fd->file, to.path);
	return e;
}

enum wasi_errno
wasi_path_rename(struct wasi_call *call)
{
	struct target from;
	struct target to;
	enum wasi_errno e = get_target(call, 0, 1, WASI_RIGHT_PATH_RENAME_SOURCE, &from);

	if (e == WASI_SUCCESS)
		e = get_target(call, 3, 4, WASI_RIGHT_PATH_RENAME_TARGET, &to);
	if (e == WASI_SUCCESS)
		e = check_same_kind(&from, &to);
	if (e == WASI_SUCCESS)
		e = from.ops->rename(from.fd->file, from.path, to.fd->file, to.path);
	return e;
}

/*
 * No link that the guest makes may point to an absolute path: it would mean something to others
 * who share the folder, and nothing to the guest.
 */
enum wasi_errno
wasi_path_symlink(struct wasi_call *call)
{
	char contents[WASI_PATH_MAX];
	struct target at;
	enum wasi_errno e = get_target(call, 2, 3, WASI_RIGHT_PATH_SYMLINK, &at);

	if (e == WASI_SUCCESS)
		e = wasi_guest_path(call, call->args[0].u32, call->args[1].u32, contents);
	if (e != WASI_SUCCESS)
		return e;
	if (contents[0] == '\0')
		return WASI_ENOENT;
	if (contents[0] == '/')
		return WASI_EPERM;
	return at.ops->symlink(at.fd->file, contents, at.path);
}

enum wasi_errno
wasi_path_readlink(struct wasi_call *call)
{
	const uint32_t size = call->args[4].u32;
	const uint32_t result = call->args[5].u32;
	uint8_t *to = wasi_guest_range(call, call->args[3].u32, size);
	struct target at;
	size_t len;
	enum wasi_errno e = get_target(call, 0, 1, WASI_RIGHT_PATH_READLINK, &at);

	if (e == WASI_SUCCESS && (to == NULL || wasi_guest_range(call, result, 4) == NULL))
		e = WASI_EFAULT;
	if (e == WASI_SUCCESS)
		e = at.ops->readlink(at.fd->file, at.path, (char *)to, size, &len);
	if (e == WASI_SUCCESS)
		e = wasi_guest_put_u32(call, result, (uint32_t)len);
	return e;
}
