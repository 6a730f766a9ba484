/*
 * host.h - what the kinds of host files share; private to them.
 *
 * Flags of the guest are not set on descriptors, which may be shared with others: appending and
 * synchronous writes are asked for with each write, and not to block is a matter of not waiting,
 * because anything that could block is waited for beforehand.
 */
#pragma once

#include <errno.h>
#include <sys/stat.h>
#include "vm/wasi/beneath.h"
#include "vm/wasi/file.h"

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

extern const struct wasi_file_ops wasi_hostfile_ops;
extern const struct wasi_file_ops wasi_hostdir_ops;
extern const struct wasi_file_ops wasi_hostsock_ops;

static inline struct host_file *
host_of(struct wasi_file *file)
{
	return (struct host_file *)file;
}

/* What the C library says happened to a call that returned result. */
static inline enum wasi_errno
host_answer(int result)
{
	return result == 0 ? WASI_SUCCESS : wasi_errno_of_host(errno);
}

/* Wrap a descriptor of any type; it is closed on failure unless it is borrowed. */
enum wasi_errno wasi_host_new(int fd, bool borrowed, struct host_file **out);

enum wasi_filetype wasi_host_type(mode_t mode);
void wasi_host_stat_of(const struct stat *st, struct wasi_stat *out);
/* The two times for utimensat(). */
void wasi_host_timespecs(const struct wasi_times *times, struct timespec out[2]);

/* Operations that all kinds have. */
void wasi_host_close(struct wasi_file *file);
enum wasi_errno wasi_host_stat(struct wasi_file *file, struct wasi_stat *out);
enum wasi_errno wasi_host_set_times(struct wasi_file *file, const struct wasi_times *times);
enum wasi_errno wasi_host_advise(struct wasi_file *file, uint64_t offset, uint64_t len, int advice);
enum wasi_errno wasi_host_sync(struct wasi_file *file, bool data_only);
enum wasi_errno wasi_host_poll(struct wasi_file *file, bool write, struct wasi_readiness *out);

/* Wait for POLLIN or POLLOUT if the file may block; errors of wasi_task_wait. */
enum wasi_errno wasi_host_wait(const struct host_file *host, struct wasi_task *task, short events);
/* Whether to try again after a call failed with errno; else *e says how it ended. */
bool wasi_host_try_again(const struct host_file *host, struct wasi_task *task, enum wasi_errno *e);
