/*
 * chatter.c - writes numbered lines, to standard output and error in turn: chatter.wasm [LINES]
 *
 * Without an argument it does not stop by itself.
 */
#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	unsigned long lines = argc > 1 ? strtoul(argv[1], NULL, 10) : (unsigned long)-1;

	for (unsigned long i = 0; i < lines; i++)
		if (fprintf(i % 2 == 0 ? stdout : stderr, "line %lu\n", i) < 0)
			return 1;
	return 0;
}
