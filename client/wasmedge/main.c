/*
 * main.c - wasmedge, the stand-alone runner: wasmedge [run] [OPTION...] FILE [ARG...]
 *
 * It links the VM statically and does nothing that the command line does not ask for, so that a
 * small program is over within a millisecond.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wasmedge/options.h"
#include "client/wasmedge/report.h"
#include "vm/vm.h"

/* All verbs, then the options of the one that needs no name. */
static void
print_help(void)
{
	fputs("Usage: wasmedge [run] [OPTION...] FILE [ARG...]\n"
	      "       wasmedge VERB [OPTION...] WORD...\n\n",
	      stdout);
	printf("%s\n\nVerbs:\n", wasmedge_program.summary);
	for (size_t i = 0; i < wasmedge_program.verb_count; i++) {
		const struct cli_verb *verb = &wasmedge_program.verbs[i];
		int len = (int)strlen(verb->name);

		if (len > 0)
			printf("  %s %-*s%s\n", verb->name, 25 - len, verb->usage, verb->help);
	}
	fputs("\nEverything behind FILE belongs to the guest.\n\n", stdout);
	cli_write_help(stdout, &wasmedge_program, cli_find_verb(&wasmedge_program, "run"));
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
