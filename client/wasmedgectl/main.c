/*
 * main.c - wasmedgectl: from the command line to the verb, and from the verb to the exit code.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "client/cli/cli.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/interrupt.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"
#include "config.h"

static int
run_verb(const struct cli_args *args)
{
	struct ctl ctl;
	int code = ctl_init(&ctl, args, stdout, stderr);

	if (code == 0)
		code = args->verb->run(&ctl, args);
	ctl_clear(&ctl);
	return code;
}

/* What was not written has to be known: a full disk, a closed pipe. */
static int
finish_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, CTL_NAME ": cannot write the output: %s\n", strerror(errno));
	return code != 0 ? code : EXIT_CODE_FAILED;
}

int
main(int argc, char **argv)
{
	char message[CLI_MESSAGE_BYTES];
	struct cli_args args;
	int code = 0;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts(CTL_NAME " " PACKAGE_VERSION);
		return finish_output(0);
	}
	if (!cli_parse(&verbs_program, argc, argv, &args, message)) {
		fputs(CTL_NAME ": ", stderr);
		output_text(stderr, message, strlen(message));
		fputc('\n', stderr);
		return EXIT_CODE_USAGE;
	}
	/* Without descriptors for the pipe there will be none for a socket either. */
	if (args.help)
		cli_write_help(stdout, &verbs_program, args.verb);
	else if (!interrupt_install())
		code = EXIT_CODE_FAILED;
	else
		code = run_verb(&args);
	cli_args_clear(&args);
	return finish_output(code);
}
