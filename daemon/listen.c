#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/config.h"

#define BACKLOG 1024

static int
fail(char message[LISTEN_MESSAGE_MAX], int fd, const char *what, const char *where)
{
	snprintf(message, LISTEN_MESSAGE_MAX, "cannot %s %s: %s", what, where, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * Whether the path is free, after removing a socket that nobody listens at. A connection tells:
 * it is refused when there is no listener behind the name.
 */
static bool
clear_path(const struct sockaddr_un *address, char message[LISTEN_MESSAGE_MAX])
{
	struct stat status;

	if (lstat(address->sun_path, &status) != 0)
		return true; /* bind has its own complaint, if there is one */
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(message, LISTEN_MESSAGE_MAX, "%s is there and is no socket; move it away",
		         address->sun_path);
		return false;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true;
	int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
	int error = errno;
	close(fd);
	if (result == 0 || error == EAGAIN) {
		snprintf(message, LISTEN_MESSAGE_MAX, "somebody listens at %s already",
		         address->sun_path);
		return false;
	}
	if (error == ECONNREFUSED)
		unlink(address->sun_path);
	return true;
}

int
listen_unix(const char *path, mode_t mode, char message[LISTEN_MESSAGE_MAX])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof address.sun_path) {
		snprintf(message, LISTEN_MESSAGE_MAX,
		         "the path of a Unix socket has at most %zu bytes, %s has %zu",
		         sizeof address.sun_path - 1, path, strlen(path));
		return -1;
	}
	strcpy(address.sun_path, path);
	if (!clear_path(&address, message))
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(message, fd, "make a socket for", path);
	/* Nobody may come in before the mode is what it should be. */
	mode_t before = umask(0777);
	int result = bind(fd, (const struct sockaddr *)&address, sizeof address);
	umask(before);
	if (result != 0)
		return fail(message, fd, "bind", path);
	if (chmod(path, mode) != 0 || listen(fd, BACKLOG) != 0)
		return fail(message, fd, "listen at", path);
	return fd;
}

int
listen_tcp(const char *address, char message[LISTEN_MESSAGE_MAX])
{
	struct sockaddr_storage storage;
	unsigned size;
	int on = 1;

	if (!config_parse_address(address, &storage, &size)) {
		errno = EINVAL;
		return fail(message, -1, "understand the address", address);
	}
	int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(message, fd, "make a socket for", address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&storage, size) != 0)
		return fail(message, fd, "bind", address);
	if (listen(fd, BACKLOG) != 0)
		return fail(message, fd, "listen at", address);
	return fd;
}

bool
listen_adopt(int fd, bool *out_is_unix)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	int listening = 0;
	socklen_t listening_size = sizeof listening;

	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) != 0)
		return false;
	if (listening == 0) {
		errno = ENOTCONN;
		return false;
	}
	*out_is_unix = address.ss_family == AF_UNIX;
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}
