/*
 * cli.h - a command line described by a table.
 *
 * A program states its verbs and options once, as rows. The parser, the help texts, the sections
 * of the manual page and the completion scripts of three shells are all made from those rows
 * (complete.h, cli_write_mdoc), so none of them can forget one.
 *
 * Grammar:  PROGRAM [OPTION...] VERB [OPTION | WORD]... [-- WORD...]
 *           A verb is one or two words. Options stand anywhere before "--", as "--name value",
 *           "--name=value", "-n value" or "-nvalue"; flags take no value. A lone "-" is a word.
 *           An option outside the CLI_REPEAT ones may be given once.
 *
 * Owns:     struct cli_args, until cli_args_clear
 * Borrows:  the table and argv, which must outlive the parsed arguments
 * Threads:  the table is constant; parsed arguments belong to one thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Flags of an option. */
#define CLI_REPEAT 1u /* may be given several times */

/* Flags of a verb. */
#define CLI_NUMBERS 1u /* words such as -2, -.5, -inf and -nan:0x1 are not options */
#define CLI_HIDDEN 2u  /* absent from help, manual page and completion */

/*
 * What completes a word: "" nothing; "@file" or "@folder" the shell's own file names; another
 * "@kind" is asked of the program itself (PROGRAM __complete KIND [WORD...]); anything else is
 * the list of values, separated by blanks.
 */
struct cli_option {
	const char *name;     /* without the dashes; NULL ends a list */
	char letter;          /* short form, 0 for none */
	const char *value;    /* what help calls the value; NULL for a flag */
	const char *complete; /* of the value */
	unsigned flags;
	const char *help;
};

struct cli_args;

struct cli_verb {
	const char *name;     /* "module push"; "" is the program without a verb */
	const char *usage;    /* its words, for people: "REF FUNCTION [ARG...]" */
	const char *complete; /* of each word in turn, separated by '|'; the last goes on */
	size_t words_min;
	size_t words_max; /* SIZE_MAX for no limit */
	unsigned flags;
	const char *help; /* one line without a full stop */
	const struct cli_option *options;
	int (*run)(void *context, const struct cli_args *args); /* returns an exit code */
};

struct cli_program {
	const char *name;
	const char *summary;
	const struct cli_option *options; /* accepted with every verb */
	const struct cli_verb *verbs;
	size_t verb_count;
};

struct cli_given {
	const struct cli_option *option;
	const char *value; /* "" for a flag */
};

struct cli_args {
	const struct cli_program *program;
	const struct cli_verb *verb; /* NULL when there is none and help was asked for */
	struct cli_given *given;     /* in the order of the command line */
	size_t given_count;
	const char **words; /* those after the verb */
	size_t word_count;
	bool help; /* --help or -h stood somewhere: nothing else was checked */
};

#define CLI_MESSAGE_BYTES 256

/*
 * Parse argv[1..argc). "--help" and "-h" are understood without being in the table.
 *
 * Returns false with a one-line message for people (what was found, what was expected) when the
 * command line does not follow the table, or memory is short; *out_args is then empty. Bytes of
 * argv are quoted in the message as they are: escape it before it meets a terminal.
 */
bool cli_parse(const struct cli_program *program, int argc, char *const *argv,
               struct cli_args *out_args, char message[CLI_MESSAGE_BYTES]);
void cli_args_clear(struct cli_args *args);

/* The value of an option, "" for a flag, NULL when it was not given. The table must have it. */
const char *cli_value(const struct cli_args *args, const char *name);
bool cli_has(const struct cli_args *args, const char *name);

/*
 * Walk over a repeated option: start with *position 0; returns the next value, NULL after the
 * last one.
 */
const char *cli_next(const struct cli_args *args, const char *name, size_t *position);

/* The verb of that name, hidden ones included; NULL when there is none. */
const struct cli_verb *cli_find_verb(const struct cli_program *program, const char *name);

/* Help for the whole program (verb NULL) or for one verb, as wide as a terminal of 80 columns. */
void cli_write_help(FILE *out, const struct cli_program *program, const struct cli_verb *verb);

/* The same facts as mdoc(7) list items, for the manual page: the options, then each verb. */
void cli_write_mdoc(FILE *out, const struct cli_program *program);
