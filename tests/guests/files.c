/*
 * files.c - works on the file tree it was given: files.wasm COMMAND PATH...
 *
 *   copy FROM TO    read one file whole, write the other
 *   upper FROM TO   the same with ASCII letters made capitals
 *   list FOLDER     names in a folder, sorted, folders with a slash behind
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
fail(const char *what, const char *path)
{
	fprintf(stderr, "files: cannot %s %s: %s\n", what, path, strerror(errno));
	return 1;
}

static int
copy(const char *from_path, const char *to_path, bool upper)
{
	FILE *from = fopen(from_path, "rb");

	if (from == NULL)
		return fail("read", from_path);
	FILE *to = fopen(to_path, "wb");
	if (to == NULL) {
		fclose(from);
		return fail("create", to_path);
	}
	int byte;
	while ((byte = getc(from)) != EOF)
		putc(upper ? toupper(byte) : byte, to);
	int status = ferror(from) ? fail("read", from_path) : 0;
	fclose(from);
	if (fclose(to) != 0)
		status = fail("write", to_path);
	return status;
}

static int
list(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	if (count < 0)
		return fail("list", path);
	for (int i = 0; i < count; i++) {
		if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
			printf("%s%s\n", entries[i]->d_name,
			       entries[i]->d_type == DT_DIR ? "/" : "");
		free(entries[i]);
	}
	free(entries);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (strcmp(command, "copy") == 0 && argc == 4)
		return copy(argv[2], argv[3], false);
	if (strcmp(command, "upper") == 0 && argc == 4)
		return copy(argv[2], argv[3], true);
	if (strcmp(command, "list") == 0 && argc == 3)
		return list(argv[2]);
	fputs("usage: files copy FROM TO | upper FROM TO | list FOLDER\n", stderr);
	return 2;
}
