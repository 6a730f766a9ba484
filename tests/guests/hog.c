/*
 * hog.c - takes memory page by page, and touches it, until it is refused: hog.wasm [PAGES]
 *
 * Prints how many pages the memory has in the end.
 */
#include <stdio.h>
#include <stdlib.h>

#define PAGE_SIZE 65536u

int
main(int argc, char **argv)
{
	unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 65536;

	for (unsigned long i = 0; i < wanted; i++) {
		size_t before = __builtin_wasm_memory_grow(0, 1);

		if (before == (size_t)-1)
			break;
		*(volatile unsigned char *)(before * PAGE_SIZE) = 1;
	}
	printf("%zu pages\n", __builtin_wasm_memory_size(0));
	return 0;
}
