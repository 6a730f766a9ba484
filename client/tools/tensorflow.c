#include "client/tools/tensorflow.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/wasmedge/options.h"
#include "client/wasmedge/report.h"

static const struct cli_verb verbs[] = { RUNNER_VERBS };

/* TensorFlow writes much to standard error; it asks the environment, whatever that says now. */
static bool
silence_tensorflow(void)
{
	return setenv("TF_CPP_MIN_LOG_LEVEL", "3", 1) == 0 &&
	       setenv("TF_CPP_MIN_VLOG_LEVEL", "3", 1) == 0;
}

int
tensorflow_main(const char *name, const char *summary, const char *const *dummies,
                size_t dummy_count, int argc, char *const *argv)
{
	const struct cli_program program = {
		.name = name,
		.summary = summary,
		.options = program_option_rows,
		.verbs = verbs,
		.verb_count = sizeof verbs / sizeof *verbs,
	};
	struct runner runner = {
		.program = &program,
		.dummies = dummies,
		.dummy_count = dummy_count,
		.unsigned_results = true,
	};

	if (!silence_tensorflow()) {
		perror(name);
		return EXIT_REFUSED;
	}
	return runner_main(&runner, argc, argv);
}
