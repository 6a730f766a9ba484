/*
 * verbs.h - the verbs of wasmedgectl; verbs.def says what each does.
 */
#pragma once

#include "client/cli/cli.h"

/* The table, for the parser, the help, the manual page and the completion scripts. */
extern const struct cli_program verbs_program;

/* Each takes a struct ctl and returns an exit code. */
#define VERB(symbol, name, usage, complete, words_min, words_max, flags, help)                     \
	int verb_##symbol(void *context, const struct cli_args *args);
#include "client/wasmedgectl/verbs.def"
