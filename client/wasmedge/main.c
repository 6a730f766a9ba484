/*
 * main.c - wasmedge, the stand-alone runner: wasmedge [run] [OPTION...] FILE [ARG...]
 *
 * It links the VM statically and does nothing that the command line does not ask for, so that a
 * small program is over within a millisecond.
 */
#include "client/wasmedge/options.h"
#include "client/wasmedge/runner.h"

int
main(int argc, char **argv)
{
	struct runner runner = { .program = &wasmedge_program };

	return runner_main(&runner, argc, argv);
}
