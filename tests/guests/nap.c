/*
 * nap.c - sleeps: nap.wasm [MILLISECONDS], without an argument for an hour.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int
main(int argc, char **argv)
{
	long ms = argc > 1 ? strtol(argv[1], NULL, 10) : 3600 * 1000L;
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	puts("sleeping");
	fflush(stdout);
	if (nanosleep(&ts, NULL) != 0) {
		perror("nap");
		return 1;
	}
	puts("awake");
	return 0;
}
