/*
 * guest.h - checks for the guest programs of these tests: the first that fails ends the program
 * with the line it stands in as exit status (modulo 126), after saying so.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: %s; errno is %d (%s)\n", __LINE__, #condition,   \
			        errno, strerror(errno));                                           \
			exit(1 + __LINE__ % 125);                                                  \
		}                                                                                  \
	} while (0)

/* The call has to fail with this errno. */
#define REFUSED(call, want)                                                                        \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK((call) == -1 && errno == (want));                                            \
	} while (0)
