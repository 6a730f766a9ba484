/*
 * bar.h - how far something has come, drawn over itself on a terminal.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct bar {
	FILE *out; /* NULL draws nothing */
	const char *name;
	unsigned drawn; /* per cent, or MiB when the size is unknown, plus one; 0: never */
};

/* done of total bytes (0: unknown). context is the bar. */
void bar_draw(void *context, uint64_t done, uint64_t total);

/* Wipe it out, before anything else is said. */
void bar_end(const struct bar *bar);
