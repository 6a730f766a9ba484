/*
 * file.h - the one interface behind which all files are alike.
 *
 * A struct wasi_file is an open file of whatever kind: a host's file, folder, stream or socket, a
 * file or folder of an in-memory tree, a stream of the embedder. A kind begins its own structure
 * with a struct wasi_file and fills in a table of operations; an operation that is NULL does not
 * apply. Rights are checked before operations are called, and so are flags: an operation sees
 * known bits only. Paths are UTF-8, without NUL, NUL-terminated, shorter than WASI_PATH_MAX;
 * resolving them beneath the folder they are given to is the kind's duty.
 *
 * Threads: a file belongs to the thread that owns the store.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>
#include "vm/store.h"
#include "vm/wasi/abi.h"

#define WASI_PATH_MAX 4096
#define WASI_NAME_MAX 255

/*
 * What an operation needs that may block or end the guest: it returns WASI_ENDED with status, and
 * the error that status comes with, filled in.
 */
struct wasi_task {
	struct vm_store *store;
	struct vm_error *err;
	enum vm_status status;
};

/* End the guest if its store was stopped: WASI_ENDED, else WASI_SUCCESS. */
enum wasi_errno wasi_task_check(struct wasi_task *task);

/*
 * Wait until the host's descriptor is ready for events (POLLIN, POLLOUT). With nonblock, does not
 * wait. Returns WASI_EAGAIN (nonblock only), WASI_ENDED, or an error of poll.
 */
enum wasi_errno wasi_task_wait(struct wasi_task *task, int fd, short events, bool nonblock);

/* Bytes moved by one call: at the file's position, or at a given offset. */
#define WASI_AT_POSITION UINT64_MAX
struct wasi_io {
	const struct iovec *iov;
	size_t iov_count;
	uint64_t offset; /* WASI_AT_POSITION, or at most INT64_MAX */
};

struct wasi_times {
	uint64_t atim;
	uint64_t mtim;
	uint16_t flags; /* WASI_ATIM etc., not both forms of one */
};

/* Whether reading or writing would not block now. */
struct wasi_readiness {
	int host_fd;    /* to be polled, or -1: ready at once */
	uint64_t bytes; /* when ready at once: how many may be read or written, as far as known */
};

struct wasi_dirent {
	const char *name;
	size_t name_len;
	uint64_t ino;
	enum wasi_filetype type;
	uint64_t next; /* cookie that continues behind this entry */
};

/* Takes one entry; false when no more are wanted. */
typedef bool (*wasi_dirent_fn)(void *env, const struct wasi_dirent *entry);

/* What path_open asks for. */
struct wasi_open {
	uint16_t oflags;
	uint16_t fdflags;
	bool follow; /* a symbolic link at the end of the path */
	bool read;
	bool write;
};

struct wasi_file;

/* Folders only. All paths are relative to the folder and may not lead out of it: WASI_EPERM. */
struct wasi_dir_ops {
	enum wasi_errno (*readdir)(struct wasi_file *dir, uint64_t cookie, wasi_dirent_fn emit,
	                           void *env);
	enum wasi_errno (*open)(struct wasi_file *dir, const char *path,
	                        const struct wasi_open *how, struct wasi_file **out);
	enum wasi_errno (*stat)(struct wasi_file *dir, const char *path, bool follow,
	                        struct wasi_stat *out);
	enum wasi_errno (*set_times)(struct wasi_file *dir, const char *path, bool follow,
	                             const struct wasi_times *times);
	enum wasi_errno (*mkdir)(struct wasi_file *dir, const char *path);
	enum wasi_errno (*rmdir)(struct wasi_file *dir, const char *path);
	enum wasi_errno (*unlink)(struct wasi_file *dir, const char *path);
	enum wasi_errno (*symlink)(struct wasi_file *dir, const char *target, const char *path);
	/* Writes at most size bytes, cutting the target. */
	enum wasi_errno (*readlink)(struct wasi_file *dir, const char *path, char *buf, size_t size,
	                            size_t *out_len);
	/* Both folders have the same operations. WASI_EXDEV when they are of different trees. */
	enum wasi_errno (*link)(struct wasi_file *dir, const char *path, struct wasi_file *new_dir,
	                        const char *new_path);
	enum wasi_errno (*rename)(struct wasi_file *dir, const char *path,
	                          struct wasi_file *new_dir, const char *new_path);
};

/* Sockets only. */
struct wasi_sock_ops {
	enum wasi_errno (*accept)(struct wasi_file *file, struct wasi_task *task, uint16_t fdflags,
	                          struct wasi_file **out);
	enum wasi_errno (*recv)(struct wasi_file *file, struct wasi_task *task,
	                        const struct wasi_io *io, uint16_t flags, size_t *out_len,
	                        uint16_t *out_flags);
	enum wasi_errno (*shutdown)(struct wasi_file *file, uint8_t how);
};

struct wasi_file_ops {
	void (*close)(struct wasi_file *file); /* frees it; never NULL */
	/* Zero bytes read mean the end of the file. */
	enum wasi_errno (*read)(struct wasi_file *file, struct wasi_task *task,
	                        const struct wasi_io *io, size_t *out_len);
	enum wasi_errno (*write)(struct wasi_file *file, struct wasi_task *task,
	                         const struct wasi_io *io, size_t *out_len);
	enum wasi_errno (*seek)(struct wasi_file *file, int64_t offset, enum wasi_whence whence,
	                        uint64_t *out_position);
	enum wasi_errno (*stat)(struct wasi_file *file, struct wasi_stat *out); /* never NULL */
	enum wasi_errno (*set_size)(struct wasi_file *file, uint64_t size_bytes);
	enum wasi_errno (*set_times)(struct wasi_file *file, const struct wasi_times *times);
	enum wasi_errno (*allocate)(struct wasi_file *file, uint64_t offset, uint64_t len);
	enum wasi_errno (*advise)(struct wasi_file *file, uint64_t offset, uint64_t len,
	                          int advice);
	enum wasi_errno (*sync)(struct wasi_file *file, bool data_only);
	enum wasi_errno (*poll)(struct wasi_file *file, bool write, struct wasi_readiness *out);
	const struct wasi_dir_ops *dir;
	const struct wasi_sock_ops *sock;
};

struct wasi_file {
	const struct wasi_file_ops *ops;
	enum wasi_filetype type;
	uint16_t flags;  /* fdflags, as the guest set them; reads and writes look at them */
	uint64_t rights; /* that make sense for it */
};

/* Nanoseconds of CLOCK_REALTIME. */
uint64_t wasi_now(void);
/* The times a change asks for: those not asked for stay as they are. */
void wasi_times_apply(const struct wasi_times *times, uint64_t *atim, uint64_t *mtim);
