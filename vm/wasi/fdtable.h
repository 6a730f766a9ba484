/*
 * fdtable.h - the guest's descriptors: which file, with which rights.
 *
 * Owns: the files in it
 */
#pragma once

#include "vm/wasi/file.h"

#define WASI_FDS_MAX 1024

struct wasi_fd {
	struct wasi_file *file; /* NULL: the number is free */
	uint64_t rights_base;
	uint64_t rights_inheriting;
	bool read_only; /* nothing reached through it may be changed */
	char *preopen;  /* name of a preopened folder (owned), or NULL */
	size_t preopen_len;
};

struct wasi_fds {
	struct wasi_fd *slots;
	uint32_t count;
	uint32_t capacity;
};

void wasi_fds_clear(struct wasi_fds *fds);

/*
 * Give the lowest free number to fd, whose file and name the table owns from then on.
 * Returns WASI_EMFILE, WASI_ENOMEM: fd is still the caller's.
 */
enum wasi_errno wasi_fds_add(struct wasi_fds *fds, const struct wasi_fd *fd, uint32_t *out_number);

/*
 * The descriptor, if it has all these rights.
 * Returns WASI_EBADF, WASI_EROFS a right to change and a read-only tree, WASI_ENOTCAPABLE
 */
enum wasi_errno wasi_fds_get(const struct wasi_fds *fds, uint32_t number, uint64_t rights,
                             struct wasi_fd **out);

/* WASI_EBADF. */
enum wasi_errno wasi_fds_close(struct wasi_fds *fds, uint32_t number);

/* Move a descriptor to a number in use, closing what had it. WASI_EBADF. */
enum wasi_errno wasi_fds_renumber(struct wasi_fds *fds, uint32_t from, uint32_t to);
