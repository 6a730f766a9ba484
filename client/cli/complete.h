/*
 * complete.h - completion scripts for bash, zsh and fish from a table of verbs and options.
 *
 * The scripts hold the whole table; only what a server knows (tags, jobs) is asked of the program
 * while the user types: PROGRAM __complete KIND [WORD...] prints one candidate a line. Such
 * candidates come from outside, so the scripts never let a shell evaluate them.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include "client/cli/cli.h"

#define CLI_SHELLS "bash zsh fish"

/* Returns false when there is no such shell; nothing is written then. */
bool cli_write_completion(FILE *out, const struct cli_program *program, const char *shell);
