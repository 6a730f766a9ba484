/*
 * main.c - wasmedge, the stand-alone runner: wasmedge [run] [OPTION...] FILE [ARG...]
 *
 * It links the VM statically and does nothing that the command line does not ask for, so that a
 * small program is over within a millisecond.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/complete.h"
#include "client/wasmedge/options.h"
#include "client/wasmedge/report.h"
#include "vm/vm.h"

static void
print_help(void)
{
	const struct cli_verb *run = cli_find_verb(&wasmedge_program, "run");

	cli_write_help(stdout, &wasmedge_program, NULL);
	fputc('\n', stdout);
	cli_write_help(stdout, &wasmedge_program, run);
}

int
verb_completion(void *context, const struct cli_args *args)
{
	(void)context;
	if (cli_write_completion(stdout, &wasmedge_program, args->words[0]))
		return EXIT_DONE;
	report_usage("completion: expected one of " CLI_SHELLS);
	return EXIT_REFUSED;
}

static int
run_command_line(int argc, char *const *argv)
{
	char message[CLI_MESSAGE_BYTES];
	struct cli_args args;

	if (!cli_parse(&wasmedge_program, argc, argv, &args, message)) {
		report_usage(message);
		return EXIT_REFUSED;
	}
	int code = EXIT_DONE;
	if (args.help)
		cli_write_help(stdout, &wasmedge_program, args.verb);
	else
		code = args.verb->run(NULL, &args);
	cli_args_clear(&args);
	return code;
}

/* What was printed has to have arrived before we claim success. */
static int
flush_output(int code)
{
	if (fflush(stdout) == 0)
		return code;
	perror("wasmedge: cannot write to standard output");
	return code == EXIT_DONE ? EXIT_REFUSED : code;
}

int
main(int argc, char **argv)
{
	int code = EXIT_REFUSED;

	switch (options_question(argc, argv)) {
	case OPTIONS_HELP:
		print_help();
		return flush_output(EXIT_DONE);
	case OPTIONS_VERSION:
		printf("wasmedge version %s\n", vm_version());
		return flush_output(EXIT_DONE);
	case OPTIONS_NONE:
		break;
	}
	char **words = calloc((size_t)argc + 3, sizeof *words);
	if (words == NULL) {
		report_usage("out of memory");
		return EXIT_REFUSED;
	}
	int count = options_normalise(argc, argv, words);
	code = run_command_line(count, words);
	free(words);
	return flush_output(code);
}
