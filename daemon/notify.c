#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/clock.h"

#define LISTEN_FIRST_FD 3
#define DATAGRAM_MAX 512

/* A decimal number and nothing else. */
static bool
parse_number(const char *text, uint64_t *out)
{
	char *end;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0')
		return false;
	*out = value;
	return true;
}

/* Whether a variable that names a process means this one; absent means any. */
static bool
is_own_pid(const char *text)
{
	uint64_t pid;

	return text == NULL || (parse_number(text, &pid) && pid == (uint64_t)getpid());
}

/* ---- telling ---- */

/* A path, or @name for the abstract name space, into a socket address. */
static bool
make_address(const char *name, struct sockaddr_un *out, socklen_t *out_size)
{
	size_t length = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || length < 2) {
		errno = EAFNOSUPPORT;
		return false;
	}
	if (length >= sizeof out->sun_path) {
		errno = ENAMETOOLONG;
		return false;
	}
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(out->sun_path, name, length);
	if (name[0] == '@')
		out->sun_path[0] = '\0'; /* an abstract name ends where the address does */
	else
		length++;
	*out_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return true;
}

static bool
connect_to(const char *name, int *out_fd)
{
	struct sockaddr_un address;
	socklen_t size;

	if (!make_address(name, &address, &size))
		return false;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)&address, size) != 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return false;
	}
	*out_fd = fd;
	return true;
}

bool
notify_open(struct notify *notify)
{
	const char *name = getenv("NOTIFY_SOCKET");
	bool ok = true;

	*notify = (struct notify){ .fd = -1 };
	if (is_own_pid(getenv("WATCHDOG_PID")) &&
	    !parse_number(getenv("WATCHDOG_USEC"), &notify->watchdog_us))
		notify->watchdog_us = 0;
	if (name != NULL)
		ok = connect_to(name, &notify->fd);
	int saved = errno;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	errno = saved;
	return ok;
}

void
notify_close(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

static bool
send_text(const struct notify *notify, const char *text)
{
	ssize_t sent;

	if (notify->fd < 0)
		return true;
	do
		sent = send(notify->fd, text, strlen(text), MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent >= 0;
}

/* "<state>\nSTATUS=<status>", the status cut at its first line's end. */
static bool
send_with_status(const struct notify *notify, const char *state, const char *status)
{
	char text[DATAGRAM_MAX];
	int line = status != NULL ? (int)strcspn(status, "\n") : 0;

	if (status == NULL)
		return send_text(notify, state);
	snprintf(text, sizeof text, "%s%sSTATUS=%.*s", state, state[0] != '\0' ? "\n" : "",
		 line < DATAGRAM_MAX ? line : DATAGRAM_MAX, status);
	return send_text(notify, text);
}

bool
notify_ready(const struct notify *notify, const char *status)
{
	return send_with_status(notify, "READY=1", status);
}

bool
notify_reloading(const struct notify *notify)
{
	char text[DATAGRAM_MAX];

	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_us());
	return send_text(notify, text);
}

bool
notify_stopping(const struct notify *notify, const char *status)
{
	return send_with_status(notify, "STOPPING=1", status);
}

bool
notify_status(const struct notify *notify, const char *status)
{
	return send_with_status(notify, "", status);
}

bool
notify_watchdog(const struct notify *notify)
{
	return send_text(notify, "WATCHDOG=1");
}

bool
notify_extend_timeout(const struct notify *notify, uint64_t us)
{
	char text[DATAGRAM_MAX];

	snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%" PRIu64, us);
	return send_text(notify, text);
}

/* ---- being handed sockets ---- */

/* The index-th of the colon-separated names, cut to what fits; "" when there are fewer. */
static void
copy_name(const char *names, int index, char *out, size_t out_size)
{
	for (; names != NULL && index > 0; index--) {
		names = strchr(names, ':');
		if (names != NULL)
			names++;
	}
	int length = names != NULL ? (int)strcspn(names, ":") : 0;
	snprintf(out, out_size, "%.*s", length, names != NULL ? names : "");
}

static bool
take_socket(int fd, const char *names, struct notify_listener *out, char *message,
	    size_t message_size)
{
	int type;
	socklen_t size = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
		snprintf(message, message_size,
			 "LISTEN_FDS: descriptor %d is expected to be a socket: %s", fd,
			 strerror(errno));
		return false;
	}
	int accepting = 0;
	size = sizeof accepting;
	if (type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) != 0 || !accepting) {
		snprintf(message, message_size,
			 "LISTEN_FDS: descriptor %d is expected to be a listening stream socket",
			 fd);
		return false;
	}
	int flags = fcntl(fd, F_GETFD);
	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
		snprintf(message, message_size, "LISTEN_FDS: descriptor %d: %s", fd,
			 strerror(errno));
		return false;
	}
	out->fd = fd;
	copy_name(names, fd - LISTEN_FIRST_FD, out->name, sizeof out->name);
	return true;
}

static int
take_sockets(struct notify_listener out[NOTIFY_LISTEN_MAX], char *message, size_t message_size)
{
	const char *fds = getenv("LISTEN_FDS");
	const char *pid = getenv("LISTEN_PID");
	uint64_t count;

	if (fds == NULL || pid == NULL || !is_own_pid(pid))
		return 0;
	if (!parse_number(fds, &count) || count > NOTIFY_LISTEN_MAX) {
		snprintf(message, message_size,
			 "LISTEN_FDS: expected a number up to %d, found \"%.20s\"",
			 NOTIFY_LISTEN_MAX, fds);
		return -1;
	}
	for (int i = 0; i < (int)count; i++)
		if (!take_socket(LISTEN_FIRST_FD + i, getenv("LISTEN_FDNAMES"), &out[i], message,
				 message_size))
			return -1;
	return (int)count;
}

int
notify_listeners(struct notify_listener out[NOTIFY_LISTEN_MAX], char *message, size_t message_size)
{
	message[0] = '\0';
	int count = take_sockets(out, message, message_size);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return count;
}
