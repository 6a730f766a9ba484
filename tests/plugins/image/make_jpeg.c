/*
 * make_jpeg.c - make_jpeg KIND WIDTH HEIGHT: two lines of hexadecimal digits, the file, and the
 * pixels in it as the library decodes them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/plugins/image/jpegs.h"

static void
print(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
}

int
main(int argc, char **argv)
{
	unsigned width, height, components;
	size_t len;

	if (argc != 4) {
		fputs("usage: make_jpeg KIND WIDTH HEIGHT\n", stderr);
		return EXIT_FAILURE;
	}
	uint8_t *file = jpegs_make(argv[1], (unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), &len);
	print(file, len);
	if (strcmp(argv[1], "twelve") != 0) {
		uint8_t *pixels = jpegs_decode(file, len, &width, &height, &components);

		print(pixels, (size_t)width * height * components);
		free(pixels);
	}
	free(file);
	return EXIT_SUCCESS;
}
