#include "daemon/store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* The holder's pid as it stands in the file; "unknown" when it does not. */
static void
read_holder(int fd, char out[32])
{
	ssize_t size = pread(fd, out, 31, 0);

	out[size > 0 ? size : 0] = '\0';
	out[strspn(out, "0123456789")] = '\0';
	if (out[0] == '\0')
		snprintf(out, 32, "unknown");
}

static bool
write_holder(int fd)
{
	char text[32];
	int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)size, 0) == size;
}

/* flock() rather than fcntl(): it ends with the process too, and also holds within one. */
static enum store_status
lock_file(int fd, const char *path, const char *directory, struct store_error *err)
{
	char holder[32];

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return STORE_OK;
	if (errno != EWOULDBLOCK)
		return store_fail(err, STORE_E_IO, "%s: cannot lock: %s", path, strerror(errno));
	read_holder(fd, holder);
	return store_fail(err, STORE_E_LOCKED,
			  "%s is in use by process %s; stop it or set another [store] directory",
			  directory, holder);
}

enum store_status
lock_take(const char *directory, int *out_fd, struct store_error *err)
{
	char *path = NULL;
	int fd = -1;
	enum store_status status;

	if (asprintf(&path, "%s/wasmedged.lock", directory) < 0)
		return store_fail(err, STORE_E_NOMEM, "out of memory");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		status = store_fail(err, STORE_E_IO, "%s: %s", path, strerror(errno));
		goto done;
	}
	status = lock_file(fd, path, directory, err);
	if (status != STORE_OK)
		goto done;
	(void)!write_holder(fd); /* on a full disk the message is poorer, the lock holds */
	*out_fd = fd;
	fd = -1;
done:
	if (fd >= 0)
		close(fd);
	free(path);
	return status;
}
