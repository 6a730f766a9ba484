/*
 * runner.h - what a program that runs modules is: wasmedge, and those of client/tools.
 */
#pragma once

#include "client/cli/cli.h"
#include "vm/vm.h"

struct runner {
	const struct cli_program *program;
	const char *const *dummies; /* plug-ins whose functions do nothing and return 0 */
	size_t dummy_count;
	bool unsigned_results; /* print i32 and i64 so */
	/* NULL where the program is whole; else become the one that is (handover.c), or fail. */
	enum vm_status (*hand_over)(struct vm_error *err);
};

/* The whole program; returns its exit code. */
int runner_main(struct runner *runner, int argc, char *const *argv);

void runner_write_version(const struct runner *runner);
