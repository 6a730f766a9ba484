/*
 * compile_wire.h - between the daemon and the process that compiles for it.
 *
 * The helper is started as
 *
 *     wasmedged-compile --level=fast|best [--metered] --jobs=N --memory=BYTES --time=MS
 *
 * with the module to be read from descriptor 0 and an empty file to put the artifact into as
 * descriptor 1. On descriptor 2 it says, a line each,
 *
 *     progress DONE TOTAL     bytes of functions compiled, of how many
 *     error TEXT              why it could not be done
 *
 * and whatever a library has to say; the last such line is kept for the log. It is done when it
 * ends with COMPILE_EXIT_OK, and its output is then examined like anybody's.
 */
#pragma once

enum { COMPILE_IN_FD = 0, COMPILE_OUT_FD = 1, COMPILE_SAY_FD = 2 };

enum {
	COMPILE_EXIT_OK = 0,
	COMPILE_EXIT_FAILED = 1, /* this module: `error` says why */
	COMPILE_EXIT_USAGE = 2,
	COMPILE_EXIT_ABSENT = 3, /* there is no compiler, or none for this processor */
};
