/*
 * runner.h - what a program that runs modules is: wasmedge, and those of client/tools.
 */
#pragma once

#include "client/cli/cli.h"

struct runner {
	const struct cli_program *program;
	const char *const *dummies; /* plug-ins whose functions do nothing and return 0 */
	size_t dummy_count;
	bool unsigned_results; /* print i32 and i64 so */
};

/* The whole program; returns its exit code. */
int runner_main(struct runner *runner, int argc, char *const *argv);
