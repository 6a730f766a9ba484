/*
 * report.h - what wasmedge says on standard error when something fails.
 */
#pragma once

#include "vm/vm.h"

/* Exit codes. A guest that ends by itself gives its own. */
enum {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1,   /* the command line, a file, a module: nothing ran */
	EXIT_TRAPPED = 134, /* as a shell shows a program that aborted */
};

/* What the program is called; wasmedge, unless it is said. */
void report_name(const char *program);

/* The name that a message on standard error begins with, and ": ". */
void report_begin(void);

/* One line for the command line, and where there is help. */
void report_usage(const char *message);

/*
 * FILE: what failed, where in the binary, and for a trap the backtrace, innermost call first.
 * file may be NULL: then it is no file that is wrong. module may be NULL; it gives names to
 * functions.
 */
void report_error(const char *file, const struct vm_module *module, const struct vm_error *err);
