#include "client/wasmedge/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wasmedge/options.h"
#include "client/wasmedge/plugins.h"
#include "client/wasmedge/report.h"
#include "vm/vm.h"

/* All verbs, then the options of the one that needs no name; or that one, where it has none. */
static void
print_help(const struct cli_program *program)
{
	if (program->verbs[0].name[0] == '\0') {
		cli_write_help(stdout, program, &program->verbs[0]);
		return;
	}
	printf("Usage: %s [run] [OPTION...] FILE [ARG...]\n"
	       "       %s VERB [OPTION...] WORD...\n\n%s\n\nVerbs:\n",
	       program->name, program->name, program->summary);
	for (size_t i = 0; i < program->verb_count; i++) {
		const struct cli_verb *verb = &program->verbs[i];
		int len = (int)strlen(verb->name);

		if (len > 0)
			printf("  %s %-*s%s\n", verb->name, 25 - len, verb->usage, verb->help);
	}
	fputs("\nEverything behind FILE belongs to the guest.\n\n", stdout);
	cli_write_help(stdout, program, &program->verbs[0]);
}

static int
run_command_line(struct runner *runner, int argc, char *const *argv)
{
	char message[CLI_MESSAGE_BYTES];
	struct cli_args args;

	if (!cli_parse(runner->program, argc, argv, &args, message)) {
		report_usage(message);
		return EXIT_REFUSED;
	}
	int code = EXIT_DONE;
	if (args.help)
		cli_write_help(stdout, runner->program, args.verb);
	else
		code = args.verb->run(runner, &args);
	cli_args_clear(&args);
	return code;
}

void
runner_write_version(const struct runner *runner)
{
	printf("%s version %s\n", runner->program->name, vm_version());
}

/* What was printed has to have arrived before we claim success. */
static int
flush_output(int code)
{
	if (fflush(stdout) == 0)
		return code;
	report_begin();
	perror("cannot write to standard output");
	return code == EXIT_DONE ? EXIT_REFUSED : code;
}

int
runner_main(struct runner *runner, int argc, char *const *argv)
{
	const struct cli_program *program = runner->program;
	const char *plugin_path = NULL;
	int code = EXIT_REFUSED;

	report_name(program->name);
	switch (options_question(program, argc, argv, &plugin_path)) {
	case OPTIONS_HELP:
		print_help(program);
		return flush_output(EXIT_DONE);
	case OPTIONS_VERSION:
		return flush_output(plugins_write_versions(runner, plugin_path));
	case OPTIONS_NONE:
		break;
	}
	char **words = calloc((size_t)argc + 3, sizeof *words);
	if (words == NULL) {
		report_usage("out of memory");
		return EXIT_REFUSED;
	}
	int count = options_normalise(program, argc, argv, words);
	code = run_command_line(runner, count, words);
	free(words);
	return flush_output(code);
}
