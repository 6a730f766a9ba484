/*
 * readonly.c - in a folder that may only be read: reading works, every change is refused.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guest.h"

int
main(void)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char buf[16];
	int fd = open("/in/text", O_RDONLY);

	CHECK(fd >= 0 && read(fd, buf, sizeof buf) == 5 && memcmp(buf, "hello", 5) == 0);
	REFUSED(write(fd, "x", 1), EROFS);
	REFUSED(ftruncate(fd, 0), EROFS);
	REFUSED(futimens(fd, times), EROFS);
	REFUSED(open("/in/text", O_WRONLY), EROFS);
	REFUSED(open("/in/text", O_RDWR | O_APPEND), EROFS);
	REFUSED(open("/in/text", O_RDONLY | O_TRUNC), EROFS);
	REFUSED(open("/new", O_RDONLY | O_CREAT, 0666), EROFS);
	REFUSED(mkdir("/new", 0777), EROFS);
	REFUSED(rmdir("/in"), EROFS);
	REFUSED(unlink("/in/text"), EROFS);
	REFUSED(rename("/in/text", "/new"), EROFS);
	REFUSED(link("/in/text", "/new"), EROFS);
	REFUSED(symlink("in", "/new"), EROFS);
	REFUSED(utimensat(AT_FDCWD, "/in/text", times, 0), EROFS);

	DIR *dir = opendir("/in");
	CHECK(dir != NULL);
	REFUSED(unlinkat(dirfd(dir), "text", 0), EROFS);
	REFUSED(openat(dirfd(dir), "text", O_WRONLY), EROFS);
	puts("nothing changed");
	return 0;
}
