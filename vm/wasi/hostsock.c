/*
 * hostsock.c - sockets of the host: listening ones are the embedder's, others were accepted.
 */
#include "vm/wasi/hostfile.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "vm/wasi/host.h"

enum wasi_errno
wasi_hostlistener_new(int fd, struct wasi_file **out)
{
	struct host_file *host;
	enum wasi_errno e = wasi_host_new(fd, true, &host);

	if (e != WASI_SUCCESS)
		return e;
	int flags = fcntl(fd, F_GETFL);
	if (host->base.ops != &wasi_hostsock_ops)
		e = WASI_ENOTSOCK;
	else if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		e = wasi_errno_of_host(errno);
	if (e != WASI_SUCCESS) {
		wasi_host_close(&host->base);
		return e;
	}
	host->base.rights = WASI_RIGHTS_LISTENER;
	*out = &host->base;
	return WASI_SUCCESS;
}

static enum wasi_errno
sock_accept(struct wasi_file *file, struct wasi_task *task, uint16_t fdflags,
            struct wasi_file **out)
{
	struct host_file *host = host_of(file);
	struct host_file *accepted;
	enum wasi_errno e;
	int fd;

	do {
		e = wasi_host_wait(host, task, POLLIN);
		if (e != WASI_SUCCESS)
			return e;
		fd = accept4(host->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && wasi_host_try_again(host, task, &e));
	if (fd < 0)
		return e;
	e = wasi_host_new(fd, false, &accepted);
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
		enum wasi_errno e = wasi_host_wait(host, task, POLLIN);
		if (e != WASI_SUCCESS)
			return e;
		ssize_t n =
		    recv(host->fd, (char *)iov->iov_base + got, iov->iov_len - got, MSG_DONTWAIT);
		if (n < 0) {
			if (!wasi_host_try_again(host, task, &e))
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
		e = wasi_host_wait(host, task, POLLIN);
		if (e != WASI_SUCCESS)
			return e;
		n = recvmsg(host->fd, &message, host_flags);
	} while (n < 0 && wasi_host_try_again(host, task, &e));
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
		e = wasi_host_wait(host, task, POLLOUT);
		if (e != WASI_SUCCESS)
			return e;
		n = sendmsg(host->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && wasi_host_try_again(host, task, &e));
	if (n >= 0)
		*out_len = (size_t)n;
	return n >= 0 ? WASI_SUCCESS : e;
}

static enum wasi_errno
sock_shutdown(struct wasi_file *file, uint8_t how)
{
	const int both = WASI_SHUT_RD | WASI_SHUT_WR;

	return host_answer(shutdown(host_of(file)->fd, how == both           ? SHUT_RDWR
	                                               : how == WASI_SHUT_RD ? SHUT_RD
	                                                                     : SHUT_WR));
}

static const struct wasi_sock_ops socket_ops = {
	.accept = sock_accept,
	.recv = sock_recv,
	.shutdown = sock_shutdown,
};

const struct wasi_file_ops wasi_hostsock_ops = {
	.close = wasi_host_close,
	.read = sock_read,
	.write = sock_write,
	.stat = wasi_host_stat,
	.poll = wasi_host_poll,
	.sock = &socket_ops,
};
