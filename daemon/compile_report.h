/*
 * compile_report.h - reading what the compiling process says; see compile_wire.h.
 *
 * Threads: one at a time
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define COMPILE_LINE_MAX 320

struct compile_report {
	uint64_t done_bytes;
	uint64_t total_bytes;         /* 0: not known yet */
	char said[COMPILE_LINE_MAX];  /* the last words that were no progress, printable; or "" */

	/* its own */
	char line[COMPILE_LINE_MAX];
	size_t len;
};

void compile_report_init(struct compile_report *report);

/* Whatever has arrived. Lines that are too long are cut, a malformed progress is text. */
void compile_report_feed(struct compile_report *report, const char *data, size_t len);

/* Nothing more comes: a line without an end counts. */
void compile_report_end(struct compile_report *report);
