/*
 * crash_shim.c - preloaded: ends the process at its n-th change of a file.
 *
 * Counted are calls that change regular files and folders, or flush them. The call numbered
 * CRASH_AT (from 1) is not made any more: the process is gone, as by SIGKILL. With CRASH_TORN=1 a
 * write is half made first.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_ulong calls;

/* Whether this is the call at which the process ends. */
static bool
is_last(void)
{
	const char *at = getenv("CRASH_AT");

	return at != NULL && atomic_fetch_add(&calls, 1) + 1 == strtoul(at, NULL, 10);
}

static void
die(void)
{
	for (;;)
		kill(getpid(), SIGKILL);
}

static bool
is_torn(void)
{
	const char *torn = getenv("CRASH_TORN");

	return torn != NULL && torn[0] == '1';
}

static bool
is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* The function of that name that the process would have called without us. */
static void *
next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (function == NULL)
		die();
	return function;
}

#define NEXT(type, name) \
	type function; \
	void *found = next(name); \
	memcpy(&function, &found, sizeof function)

typedef ssize_t write_fn(int fd, const void *data, size_t size);
typedef ssize_t pwrite_fn(int fd, const void *data, size_t size, off_t offset);
typedef int fd_fn(int fd);
typedef int ftruncate_fn(int fd, off_t length);
typedef int rename_fn(const char *from, const char *to);
typedef int unlink_fn(const char *path);

ssize_t
write(int fd, const void *data, size_t size)
{
	NEXT(write_fn *, "write");

	if (is_file(fd) && is_last()) {
		if (is_torn())
			(void)!function(fd, data, size / 2);
		die();
	}
	return function(fd, data, size);
}

static ssize_t
write_at(const char *name, int fd, const void *data, size_t size, off_t offset)
{
	NEXT(pwrite_fn *, name);

	if (is_file(fd) && is_last()) {
		if (is_torn())
			(void)!function(fd, data, size / 2, offset);
		die();
	}
	return function(fd, data, size, offset);
}

ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return write_at("pwrite", fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t
pwrite64(int fd, const void *data, size_t size, off_t offset)
{
	return write_at("pwrite64", fd, data, size, offset);
}

static int
flush(const char *name, int fd)
{
	NEXT(fd_fn *, name);

	if (is_file(fd) && is_last())
		die();
	return function(fd);
}

int
fsync(int fd)
{
	return flush("fsync", fd);
}

int
fdatasync(int fd)
{
	return flush("fdatasync", fd);
}

static int
truncate_to(const char *name, int fd, off_t length)
{
	NEXT(ftruncate_fn *, name);

	if (is_last())
		die();
	return function(fd, length);
}

int
ftruncate(int fd, off_t length)
{
	return truncate_to("ftruncate", fd, length);
}

int ftruncate64(int fd, off_t length);
int
ftruncate64(int fd, off_t length)
{
	return truncate_to("ftruncate64", fd, length);
}

int
rename(const char *from, const char *to)
{
	NEXT(rename_fn *, "rename");

	if (is_last())
		die();
	return function(from, to);
}

int
unlink(const char *path)
{
	NEXT(unlink_fn *, "unlink");

	if (is_last())
		die();
	return function(path);
}
