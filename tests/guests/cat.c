/*
 * cat.c - copies standard input, or the files given as arguments, to standard output.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int
copy(FILE *from, const char *name)
{
	char buffer[4096];
	size_t len;

	while ((len = fread(buffer, 1, sizeof buffer, from)) > 0)
		if (fwrite(buffer, 1, len, stdout) != len) {
			fprintf(stderr, "cat: cannot write: %s\n", strerror(errno));
			return 1;
		}
	if (ferror(from)) {
		fprintf(stderr, "cat: cannot read %s: %s\n", name, strerror(errno));
		return 1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	int status = 0;

	if (argc == 1)
		return copy(stdin, "standard input");
	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");

		if (file == NULL) {
			fprintf(stderr, "cat: cannot open %s: %s\n", argv[i], strerror(errno));
			status = 1;
			continue;
		}
		status |= copy(file, argv[i]);
		fclose(file);
	}
	return status;
}
