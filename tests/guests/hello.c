/*
 * hello.c - the smallest ordinary program.
 */
#include <stdio.h>

int
main(void)
{
	puts("hello, world");
	return 0;
}
