/*
 * loop.c - runs for ever: only a deadline, a fuel limit or a cancellation ends it.
 *
 * "spin" is a bare loop without calls or memory accesses, "fill" one long bulk operation after
 * another, the two ways in which a guest is hardest to stop. As a command it says that it has
 * begun, then spins.
 */
#include "guest.h"

#include <stdio.h>
#include <string.h>

EXPORT("spin")
void
spin(void)
{
	for (;;)
		__asm__ volatile("");
}

EXPORT("fill")
void
fill(void)
{
	static unsigned char block[16 << 20];

	for (unsigned char value = 0;; value++) {
		memset(block, value, sizeof block);
		__asm__ volatile("" : : "r"(block) : "memory");
	}
}

int
main(void)
{
	puts("spinning");
	fflush(stdout);
	spin();
}
