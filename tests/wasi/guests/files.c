/*
 * files.c - works with files as programs do: reads /in, makes folders, writes, lists, renames,
 * and leaves its results in /out.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guest.h"

static int
count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	CHECK(dir != NULL);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void
copy_upper(const char *from, const char *to)
{
	FILE *in = fopen(from, "r");
	FILE *out = fopen(to, "w");

	CHECK(in != NULL && out != NULL);
	for (int c; (c = getc(in)) != EOF;)
		putc(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c, out);
	CHECK(fclose(in) == 0 && fclose(out) == 0);
}

int
main(void)
{
	struct stat st;
	char buf[64];
	char name[32];

	CHECK(mkdir("/out", 0777) == 0);
	CHECK(mkdir("/tmp", 0777) == 0);
	copy_upper("/in/text", "/tmp/work");
	CHECK(rename("/tmp/work", "/out/text") == 0);
	CHECK(stat("/out/text", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 5);

	FILE *log = fopen("/out/log", "a+");
	CHECK(log != NULL);
	fputs("one\n", log);
	rewind(log);
	fputs("two\n", log); /* goes to the end all the same */
	CHECK(fclose(log) == 0);
	CHECK(stat("/out/log", &st) == 0 && st.st_size == 8);

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "/tmp/%d", i);
		CHECK(close(open(name, O_CREAT | O_EXCL | O_WRONLY, 0666)) == 0);
	}
	CHECK(count_entries("/tmp") == 300);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "/tmp/%d", i);
		CHECK(unlink(name) == 0);
	}
	CHECK(rmdir("/tmp") == 0);

	int fd = open("/out/sparse", O_CREAT | O_RDWR, 0666);
	CHECK(pwrite(fd, "end", 3, 1000) == 3);
	CHECK(pread(fd, buf, 4, 999) == 4 && memcmp(buf, "\0end", 4) == 0);
	CHECK(ftruncate(fd, 1001) == 0 && lseek(fd, 0, SEEK_END) == 1001);
	CHECK(link("/out/sparse", "/out/again") == 0 && unlink("/out/sparse") == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1);
	CHECK(symlink("again", "/out/link") == 0);
	CHECK(readlink("/out/link", buf, sizeof buf) == 5);
	CHECK(stat("/out/link", &st) == 0 && st.st_size == 1001);
	puts("files done");
	return 0;
}
