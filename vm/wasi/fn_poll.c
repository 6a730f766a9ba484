/*
 * fn_poll.c - poll_oneoff: wait for the first of many clocks and descriptors.
 *
 * Subscriptions are read and looked at once. If one is due at once (a file that never blocks, an
 * error) nothing is waited for; otherwise the host's descriptors are polled until the earliest
 * clock, and what is due then is reported.
 */
#include "vm/wasi/fn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include "vm/wasi/clock.h"

#define SUBSCRIPTIONS_MAX 4096

/* A wall clock may be set while it is waited for: look again after a while. */
#define WALL_CLOCK_LOOK_NS UINT64_C(500000000)
/* Without a descriptor for the stop, look every few milliseconds. */
#define STOP_LOOK_NS UINT64_C(5000000)

struct waiter {
	struct wasi_subscription sub;
	bool due;
	enum wasi_errno error;
	int host_fd; /* to be polled, or -1 */
	uint64_t bytes;
	uint16_t flags;
	uint64_t due_ns; /* of a clock, in its own time */
};

struct poll {
	struct wasi_call *call;
	struct waiter *waiters;
	struct pollfd *fds; /* one a waiter, and the stop's at the end */
	size_t count;
	bool any_due;
};

static void
set_due(struct poll *poll, struct waiter *waiter, enum wasi_errno error)
{
	waiter->due = true;
	waiter->error = error;
	poll->any_due = true;
}

/* --- subscribing -------------------------------------------------------------------------- */

static void
subscribe_clock(struct poll *poll, struct waiter *waiter)
{
	const struct wasi_subscription *sub = &waiter->sub;
	uint64_t now;
	enum wasi_errno e = wasi_clock_now(poll->call->wasi, sub->clock, &now);

	if (e == WASI_SUCCESS && (sub->clock_flags & ~WASI_CLOCK_ABSTIME))
		e = WASI_EINVAL;
	if (e == WASI_SUCCESS && sub->clock > WASI_CLOCK_MONOTONIC)
		e = WASI_ENOTSUP; /* processor time stands still while waiting */
	if (e != WASI_SUCCESS) {
		set_due(poll, waiter, e);
		return;
	}
	waiter->due_ns = sub->timeout_ns;
	if (!(sub->clock_flags & WASI_CLOCK_ABSTIME) &&
	    __builtin_add_overflow(now, sub->timeout_ns, &waiter->due_ns))
		waiter->due_ns = UINT64_MAX;
}

static void
subscribe_fd(struct poll *poll, struct waiter *waiter)
{
	const bool write = waiter->sub.tag == WASI_EVENT_FD_WRITE;
	const uint64_t right = write ? WASI_RIGHT_FD_WRITE : WASI_RIGHT_FD_READ;
	struct wasi_readiness readiness;
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_fds_get(&poll->call->wasi->fds, waiter->sub.fd,
	                                 right | WASI_RIGHT_POLL_FD_READWRITE, &fd);

	if (e == WASI_SUCCESS && fd->file->ops->poll == NULL)
		e = WASI_EBADF;
	if (e == WASI_SUCCESS)
		e = fd->file->ops->poll(fd->file, write, &readiness);
	if (e == WASI_SUCCESS && readiness.host_fd >= 0) {
		waiter->host_fd = readiness.host_fd;
		return;
	}
	if (e == WASI_SUCCESS)
		waiter->bytes = readiness.bytes;
	set_due(poll, waiter, e);
}

static void
subscribe(struct poll *poll, struct waiter *waiter, const uint8_t *from)
{
	poll->call->abi->subscription_get(from, &waiter->sub);
	waiter->host_fd = -1;
	switch (waiter->sub.tag) {
	case WASI_EVENT_CLOCK:
		subscribe_clock(poll, waiter);
		break;
	case WASI_EVENT_FD_READ:
	case WASI_EVENT_FD_WRITE:
		subscribe_fd(poll, waiter);
		break;
	default:
		set_due(poll, waiter, WASI_EINVAL);
	}
}

/* --- waiting ------------------------------------------------------------------------------ */

/* How long until the clock is due, but no longer than until the next look at it. */
static uint64_t
time_left(const struct poll *poll, const struct waiter *waiter)
{
	uint64_t now = 0;

	(void)!wasi_clock_now(poll->call->wasi, waiter->sub.clock, &now); /* it did before */
	if (now >= waiter->due_ns)
		return 0;
	uint64_t left = waiter->due_ns - now;
	if (waiter->sub.clock == WASI_CLOCK_REALTIME && left > WALL_CLOCK_LOOK_NS)
		return WALL_CLOCK_LOOK_NS;
	return left;
}

static bool
is_waiting_clock(const struct waiter *waiter)
{
	return !waiter->due && waiter->sub.tag == WASI_EVENT_CLOCK;
}

static uint64_t
timeout_of(const struct poll *poll)
{
	uint64_t timeout = poll->any_due ? 0 : UINT64_MAX;

	for (size_t i = 0; i < poll->count && timeout > 0; i++) {
		if (!is_waiting_clock(&poll->waiters[i]))
			continue;
		uint64_t left = time_left(poll, &poll->waiters[i]);
		timeout = left < timeout ? left : timeout;
	}
	return timeout;
}

static enum wasi_errno
wait(struct poll *poll)
{
	struct pollfd *stop = &poll->fds[poll->count];
	uint64_t timeout = timeout_of(poll);

	stop->events = POLLIN;
	stop->fd = timeout == 0 ? -1 : vm_store_stop_fd(poll->call->task.store);
	if (stop->fd < 0 && timeout > STOP_LOOK_NS)
		timeout = STOP_LOOK_NS;
	const struct timespec spec = { .tv_sec = (time_t)(timeout / 1000000000),
		                       .tv_nsec = (long)(timeout % 1000000000) };
	int n =
	    ppoll(poll->fds, (nfds_t)poll->count + 1, timeout == UINT64_MAX ? NULL : &spec, NULL);
	int host_errno = errno;

	enum wasi_errno e = wasi_task_check(&poll->call->task);
	if (e == WASI_SUCCESS && n < 0 && host_errno != EINTR)
		e = wasi_errno_of_host(host_errno);
	if (n < 0) {
		for (size_t i = 0; i <= poll->count; i++)
			poll->fds[i].revents = 0;
	}
	return e;
}

static void
note_fd(struct poll *poll, struct waiter *waiter, short revents)
{
	int available = 0;

	set_due(poll, waiter, revents & POLLNVAL ? WASI_EBADF : WASI_SUCCESS);
	if (revents & (POLLHUP | POLLRDHUP | POLLERR))
		waiter->flags |= WASI_EVENT_HANGUP;
	waiter->bytes = 1;
	if (waiter->sub.tag == WASI_EVENT_FD_READ) {
		/* Listening sockets do not say. */
		if (ioctl(waiter->host_fd, FIONREAD, &available) == 0)
			waiter->bytes = available > 0 ? (uint64_t)available : 0;
	}
}

static void
note_due(struct poll *poll)
{
	for (size_t i = 0; i < poll->count; i++) {
		struct waiter *waiter = &poll->waiters[i];
		if (waiter->host_fd >= 0 && poll->fds[i].revents != 0)
			note_fd(poll, waiter, poll->fds[i].revents);
		else if (is_waiting_clock(waiter) && time_left(poll, waiter) == 0)
			set_due(poll, waiter, WASI_SUCCESS);
	}
}

static void
prepare_fds(struct poll *poll)
{
	for (size_t i = 0; i < poll->count; i++) {
		const struct waiter *waiter = &poll->waiters[i];
		const bool write = waiter->sub.tag == WASI_EVENT_FD_WRITE;
		poll->fds[i] =
		    (struct pollfd){ .fd = waiter->host_fd, .events = write ? POLLOUT : POLLIN };
	}
}

/* --- reporting ---------------------------------------------------------------------------- */

static uint32_t
put_events(const struct poll *poll, uint8_t *to)
{
	uint32_t count = 0;

	for (size_t i = 0; i < poll->count; i++) {
		const struct waiter *waiter = &poll->waiters[i];
		if (!waiter->due)
			continue;
		uint8_t *event = to + (size_t)count++ * WASI_EVENT_BYTES;
		memset(event, 0, WASI_EVENT_BYTES);
		wasi_put_u64(event, waiter->sub.userdata);
		wasi_put_u16(event + 8, (uint16_t)waiter->error);
		event[10] = waiter->sub.tag;
		wasi_put_u64(event + 16, waiter->bytes);
		wasi_put_u16(event + 24, waiter->flags);
	}
	return count;
}

enum wasi_errno
wasi_poll_oneoff(struct wasi_call *call)
{
	const uint32_t count = call->args[2].u32;
	const uint32_t result = call->args[3].u32;
	struct poll poll = { .call = call, .count = count };
	enum wasi_errno e = WASI_SUCCESS;

	if (count == 0 || count > SUBSCRIPTIONS_MAX)
		return WASI_EINVAL;
	const uint8_t *in = wasi_guest_range(call, call->args[0].u32,
	                                     (uint64_t)count * call->abi->subscription_bytes);
	uint8_t *out =
	    wasi_guest_range(call, call->args[1].u32, (uint64_t)count * WASI_EVENT_BYTES);
	if (in == NULL || out == NULL || wasi_guest_range(call, result, 4) == NULL)
		return WASI_EFAULT;

	poll.waiters = calloc(count, sizeof *poll.waiters);
	poll.fds = calloc((size_t)count + 1, sizeof *poll.fds);
	if (poll.waiters == NULL || poll.fds == NULL) {
		e = WASI_ENOMEM;
		goto done;
	}
	for (uint32_t i = 0; i < count; i++)
		subscribe(&poll, &poll.waiters[i], in + (size_t)i * call->abi->subscription_bytes);
	prepare_fds(&poll);
	do {
		e = wait(&poll);
		if (e != WASI_SUCCESS)
			goto done;
		note_due(&poll);
	} while (!poll.any_due);
	e = wasi_guest_put_u32(call, result, put_events(&poll, out));
done:
	free(poll.fds);
	free(poll.waiters);
	return e;
}
