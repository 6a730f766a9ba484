/*
 * file.c - waiting in a way that a stop of the store ends, and time stamps.
 */
#include "vm/wasi/file.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

enum wasi_errno
wasi_task_check(struct wasi_task *task)
{
	enum vm_trap reason = vm_store_stopped(task->store);

	if (reason == VM_TRAP_NONE)
		return WASI_SUCCESS;
	task->status = vm_error_trap(task->err, reason, "%s", vm_trap_text(reason));
	return WASI_ENDED;
}

enum wasi_errno
wasi_task_wait(struct wasi_task *task, int fd, short events, bool nonblock)
{
	/* Without a descriptor for the stop, look every few milliseconds. */
	const int stop_fd = nonblock ? -1 : vm_store_stop_fd(task->store);
	const int timeout_ms = nonblock ? 0 : stop_fd >= 0 ? -1 : 5;

	for (;;) {
		struct pollfd fds[2] = { { .fd = fd, .events = events },
			                 { .fd = stop_fd, .events = POLLIN } };
		int count = poll(fds, 2, timeout_ms);

		enum wasi_errno e = wasi_task_check(task);
		if (e != WASI_SUCCESS)
			return e;
		if (count < 0 && errno != EINTR)
			return wasi_errno_of_host(errno);
		if (count > 0 && fds[0].revents != 0)
			return fds[0].revents & POLLNVAL ? WASI_EBADF : WASI_SUCCESS;
		if (count == 0 && nonblock)
			return WASI_EAGAIN;
	}
}

uint64_t
wasi_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void
wasi_times_apply(const struct wasi_times *times, uint64_t *atim, uint64_t *mtim)
{
	uint64_t now = wasi_now();

	if (times->flags & (WASI_ATIM | WASI_ATIM_NOW))
		*atim = times->flags & WASI_ATIM_NOW ? now : times->atim;
	if (times->flags & (WASI_MTIM | WASI_MTIM_NOW))
		*mtim = times->flags & WASI_MTIM_NOW ? now : times->mtim;
}
