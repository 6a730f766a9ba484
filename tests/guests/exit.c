/*
 * exit.c - prints a line, then ends with the exit code given as argument: exit.wasm CODE
 */
#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	int code = argc > 1 ? atoi(argv[1]) : 0;

	printf("exiting with %d\n", code);
	exit(code);
}
