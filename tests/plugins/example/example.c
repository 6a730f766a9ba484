/*
 * example.c - prints each of its words loud, and then how many they were.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("demo"), import_name(name)))

IMPORT("shout") void shout(char *text, size_t len);
IMPORT("count") uint32_t count(void);

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		shout(argv[i], strlen(argv[i]));
		puts(argv[i]);
	}
	printf("%u\n", count());
	return 0;
}
