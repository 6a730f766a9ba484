/*
 * fn_sock.c - functions on sockets, which the embedder opened or the guest accepted.
 */
#include "vm/wasi/fn.h"

/* Descriptor args[0], if it is a socket. */
static enum wasi_errno
get_socket(const struct wasi_call *call, uint64_t rights, struct wasi_fd **out)
{
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, 0, 0, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (fd->file->ops->sock == NULL)
		return WASI_ENOTSOCK;
	return wasi_call_fd(call, 0, rights, out);
}

enum wasi_errno
wasi_sock_accept(struct wasi_call *call)
{
	const uint32_t flags = call->args[1].u32;
	const uint32_t result = call->args[2].u32;
	struct wasi_fd *listener;
	struct wasi_fd fd = { .rights_base = WASI_RIGHTS_SOCKET };
	uint32_t number;
	enum wasi_errno e = get_socket(call, WASI_RIGHT_SOCK_ACCEPT, &listener);

	if (e != WASI_SUCCESS)
		return e;
	if (flags & ~(uint32_t)WASI_NONBLOCK)
		return WASI_EINVAL;
	if (wasi_guest_range(call, result, 4) == NULL)
		return WASI_EFAULT;
	e = listener->file->ops->sock->accept(listener->file, &call->task, (uint16_t)flags,
	                                      &fd.file);
	if (e != WASI_SUCCESS)
		return e;
	fd.rights_base &= listener->rights_inheriting;
	e = wasi_fds_add(&call->wasi->fds, &fd, &number);
	if (e != WASI_SUCCESS) {
		fd.file->ops->close(fd.file);
		return e;
	}
	return wasi_guest_put_u32(call, result, number);
}

enum wasi_errno
wasi_sock_recv(struct wasi_call *call)
{
	const uint32_t flags = call->args[3].u32;
	struct iovec iov[WASI_IOV_MAX];
	struct wasi_io io = { .iov = iov, .offset = WASI_AT_POSITION };
	struct wasi_fd *fd;
	uint8_t *out_flags = wasi_guest_range(call, call->args[5].u32, 2);
	uint16_t got;
	size_t len;
	enum wasi_errno e = get_socket(call, WASI_RIGHT_FD_READ, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (flags & ~(uint32_t)(WASI_RECV_PEEK | WASI_RECV_WAITALL))
		return WASI_EINVAL;
	if (out_flags == NULL || wasi_guest_range(call, call->args[4].u32, 4) == NULL)
		return WASI_EFAULT;
	e = wasi_guest_iovecs(call, call->args[1].u32, call->args[2].u32, iov, &io.iov_count);
	if (e == WASI_SUCCESS)
		e = fd->file->ops->sock->recv(fd->file, &call->task, &io, (uint16_t)flags, &len,
		                              &got);
	if (e != WASI_SUCCESS)
		return e;
	wasi_put_u16(out_flags, got);
	return wasi_guest_put_u32(call, call->args[4].u32, (uint32_t)len);
}

/* There are no flags yet for sending. */
enum wasi_errno
wasi_sock_send(struct wasi_call *call)
{
	const uint32_t result = call->args[4].u32;
	struct iovec iov[WASI_IOV_MAX];
	struct wasi_io io = { .iov = iov, .offset = WASI_AT_POSITION };
	struct wasi_fd *fd;
	size_t len;
	enum wasi_errno e = get_socket(call, WASI_RIGHT_FD_WRITE, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (call->args[3].u32 != 0)
		return WASI_EINVAL;
	if (wasi_guest_range(call, result, 4) == NULL)
		return WASI_EFAULT;
	e = wasi_guest_iovecs(call, call->args[1].u32, call->args[2].u32, iov, &io.iov_count);
	if (e == WASI_SUCCESS)
		e = fd->file->ops->write(fd->file, &call->task, &io, &len);
	return e != WASI_SUCCESS ? e : wasi_guest_put_u32(call, result, (uint32_t)len);
}

enum wasi_errno
wasi_sock_shutdown(struct wasi_call *call)
{
	const uint32_t how = call->args[1].u32;
	struct wasi_fd *fd;
	enum wasi_errno e = get_socket(call, WASI_RIGHT_SOCK_SHUTDOWN, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (how == 0 || (how & ~(uint32_t)(WASI_SHUT_RD | WASI_SHUT_WR)))
		return WASI_EINVAL;
	return fd->file->ops->sock->shutdown(fd->file, (uint8_t)how);
}
