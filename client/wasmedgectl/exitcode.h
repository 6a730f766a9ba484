/*
 * exitcode.h - what the exit status of wasmedgectl means.
 *
 * Scripts depend on these numbers; wasmedgectl(1) lists them. `run` passes the guest's own exit
 * code through, so there they are only what a guest leaves free.
 */
#pragma once

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILED = 1,
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_NOT_FOUND = 3,
	EXIT_CODE_AUTH = 4,
	EXIT_CODE_CONFLICT = 5,    /* conflict or failed precondition */
	EXIT_CODE_BUSY = 6,        /* quota, queue, disk: the same request may succeed later */
	EXIT_CODE_UNREACHABLE = 7, /* no daemon, or the connection broke */
	EXIT_CODE_DEADLINE = 124,
	EXIT_CODE_INTERRUPTED = 130,
	EXIT_CODE_TRAP = 134,
};

/*
 * Of a reply with this HTTP status; 0 for 2xx alone, as no request here asks for a 3xx. slug is the
 * problem's code, "" when there is none: what is missing may also be part of a request that is
 * otherwise fine.
 */
enum exit_code exit_code_of_status(long status, const char *slug);

/*
 * Of a finished job: its state ("returned", "exited", "trapped", "limited", "cancelled", "lost"),
 * the slug of its trap and the guest's exit code. A limit without a slug counts as the deadline,
 * the likeliest one; a guest code above 255, which a process cannot return, becomes 255.
 */
int exit_code_of_outcome(const char *outcome, const char *limit, unsigned long guest_code);
