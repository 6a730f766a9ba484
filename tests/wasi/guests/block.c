/*
 * block.c - blocks for good, in the way its argument says: read, poll, sleep or spin.
 */
#include <poll.h>
#include <unistd.h>
#include "guest.h"

int
main(int argc, char **argv)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	const char *way = argc > 1 ? argv[1] : "";
	char c;

	if (strcmp(way, "read") == 0)
		read(0, &c, 1);
	else if (strcmp(way, "poll") == 0)
		poll(&in, 1, -1);
	else if (strcmp(way, "sleep") == 0)
		sleep(3600);
	else if (strcmp(way, "spin") == 0)
		for (volatile int i = 0;; i++)
			;
	puts("went on");
	return 0;
}
