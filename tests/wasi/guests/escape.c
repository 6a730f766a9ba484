/*
 * escape.c - tries to leave its folder through the C library. The host has put beside the folder
 * a file "secret" and a folder "outside", and into it links to both, relative and absolute.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guest.h"

int
main(void)
{
	static const char *const ways[] = {
		"/../secret",        "/a/../../secret",    "/up",
		"/up_dir/file",      "/absolute",          "/a/up",
		"/up_dir/../secret", "/proc/self/environ", "/./.././secret",
	};
	struct stat st;

	CHECK(mkdir("/a", 0777) == 0);
	CHECK(symlink("../../secret", "/a/up") == 0);
	REFUSED(symlink("/etc/passwd", "/a/absolute"), EPERM);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		errno = 0;
		CHECK(open(ways[i], O_RDONLY) == -1);
		CHECK(errno == EPERM || errno == ENOTCAPABLE || errno == ENOENT);
		CHECK(open(ways[i], O_WRONLY | O_CREAT | O_TRUNC, 0666) == -1);
		CHECK(stat(ways[i], &st) == -1);
		CHECK(truncate(ways[i], 0) == -1);
	}
	CHECK(opendir("/..") == NULL);
	CHECK(opendir("/up_dir") == NULL);
	CHECK(rename("/../secret", "/stolen") == -1);
	CHECK(link("/../secret", "/stolen") == -1);
	CHECK(unlink("/../secret") == -1);
	CHECK(unlink("/up_dir/file") == -1);
	CHECK(mkdir("/../made", 0777) == -1);
	CHECK(mkdir("/up_dir/made", 0777) == -1);
	CHECK(rmdir("/../outside") == -1);

	/* A folder that moves under an open descriptor does not become a way out. */
	CHECK(mkdir("/a/b", 0777) == 0);
	int b = open("/a/b", O_RDONLY | O_DIRECTORY);
	CHECK(b >= 0);
	CHECK(rename("/a/b", "/b") == 0);
	REFUSED(openat(b, "..", O_RDONLY), EPERM);
	REFUSED(openat(b, "../../secret", O_RDONLY), EPERM);

	/* Removing a link removes the link. */
	CHECK(unlink("/up") == 0);
	CHECK(unlink("/up_dir") == 0);
	puts("stayed inside");
	return 0;
}
