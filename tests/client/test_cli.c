/* The command line from a table: what is understood, what is refused, what help says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/cli.h"
#include "client/cli/complete.h"
#include "tests/support/unit.h"

static const struct cli_option all_options[] = {
	{ "host", 'H', "HOST", "", 0, "where" },
	{ "verbose", 'v', NULL, "", 0, "say more" },
	{ 0 },
};
static const struct cli_option push_options[] = {
	{ "tag", 't', "TAG", "@tag", CLI_REPEAT, "name it" },
	{ "force", 'f', NULL, "", 0, "don't ask" },
	{ 0 },
};
static const struct cli_verb verbs[] = {
	{ "module push", "FILE", "@file", 1, 1, 0, "send a module", push_options, NULL },
	{ "module ls", "", "", 0, 0, 0, "list modules", NULL, NULL },
	{ "call", "REF [ARG...]", "@ref|one two", 1, SIZE_MAX, CLI_NUMBERS, "call it", NULL, NULL },
	{ "__secret", "", "", 0, 0, CLI_HIDDEN, "hidden", NULL, NULL },
};
static const struct cli_program program = { "prog", "Does things.", all_options, verbs, 4 };

struct line {
	int argc;
	char *argv[12];
};

static struct line
split(const char *text, char *memory, size_t size)
{
	struct line line = { .argc = 1, .argv = { memory } };

	ck_assert_uint_lt(strlen(text) + 6, size);
	memcpy(memory, "prog", 5);
	char *copy = strcpy(memory + 5, text);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		line.argv[line.argc++] = word;
	return line;
}

/* What was understood, as text: "VERB|option=value,...|word,..." or "refused: MESSAGE". */
static char *
parse(const char *text)
{
	static char out[1024];
	char memory[256], message[CLI_MESSAGE_BYTES];
	struct line line = split(text, memory, sizeof(memory));
	struct cli_args args;
	size_t n;

	if (!cli_parse(&program, line.argc, line.argv, &args, message)) {
		ck_assert_ptr_null(args.given);
		snprintf(out, sizeof(out), "refused: %s", message);
		return out;
	}
	n = (size_t)snprintf(out, sizeof(out), "%s|", args.verb != NULL ? args.verb->name : "-");
	for (size_t i = 0; i < args.given_count; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s=%s,",
		                      args.given[i].option->name, args.given[i].value);
	n += (size_t)snprintf(out + n, sizeof(out) - n, "|");
	for (size_t i = 0; i < args.word_count; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s,", args.words[i]);
	if (args.help)
		snprintf(out + n, sizeof(out) - n, " help");
	cli_args_clear(&args);
	return out;
}

static const struct {
	const char *line;
	const char *want;
} accepted[] = {
	{ "module push a.wasm", "module push||a.wasm," },
	{ "module push --tag x a.wasm", "module push|tag=x,|a.wasm," },
	{ "module push --tag=x --tag=y a.wasm", "module push|tag=x,tag=y,|a.wasm," },
	{ "module push --tag= a.wasm", "module push|tag=,|a.wasm," },
	{ "module push a.wasm -t x", "module push|tag=x,|a.wasm," },
	{ "module push a.wasm -tx", "module push|tag=x,|a.wasm," },
	{ "module push -fvtx a.wasm", "module push|force=,verbose=,tag=x,|a.wasm," },
	{ "-v module push --host h a.wasm", "module push|verbose=,host=h,|a.wasm," },
	{ "module push -", "module push||-," },
	{ "module push -- --tag", "module push||--tag," },
	{ "module push --tag -- a.wasm", "module push|tag=--,|a.wasm," },
	{ "module ls", "module ls||" },
	{ "call r -2 -.5 -inf -nan -nan:0x1 2", "call||r,-2,-.5,-inf,-nan,-nan:0x1,2," },
	{ "call r -- -v", "call||r,-v," },
	{ "__secret", "__secret||" },
	{ "--help", "-|| help" },
	{ "-h", "-|| help" },
	{ "module push --help", "module push|| help" },
	{ "module push --help --nonsense", "module push|| help" },
};

START_TEST(lines_that_follow_the_table_are_understood)
{
	ck_assert_str_eq(parse(accepted[_i].line), accepted[_i].want);
}
END_TEST

static const struct {
	const char *line;
	const char *part; /* of the message */
} refused[] = {
	{ "", "a verb is missing" },
	{ "nonsense", "unknown verb \"nonsense\"" },
	{ "module", "\"module\" is not a whole verb" },
	{ "module nonsense", "\"module\" is not a whole verb" },
	{ "module push", "a word is missing: usage: prog module push FILE" },
	{ "module push a b", "too many words" },
	{ "module push a --nonsense", "unknown option --nonsense of \"module push\"" },
	{ "module push a --tagg=x", "unknown option --tagg of" },
	{ "--tag x module push a", "options of a verb stand after it" },
	{ "module push a --force=yes", "option --force takes no value" },
	{ "module push a --tag", "option --tag needs a value: --tag TAG" },
	{ "module push a -t", "option -t needs a value: -t TAG" },
	{ "module push a -x", "unknown option -x" },
	{ "module push a --force --force", "option --force is given twice" },
	{ "module push a --host h -Hi", "option --host is given twice" },
	{ "module push -2", "unknown option -2" },
	{ "call r -i", "unknown option -i" },
	{ "call r -2 --x", "unknown option --x" },
};

START_TEST(other_lines_are_refused_with_a_reason)
{
	const char *got = parse(refused[_i].line);

	ck_assert_msg(strncmp(got, "refused: ", 9) == 0, "\"%s\" was understood: %s",
	              refused[_i].line, got);
	ck_assert_msg(strstr(got, refused[_i].part) != NULL,
	              "\"%s\": got \"%s\", want \"%s\" in it", refused[_i].line, got,
	              refused[_i].part);
}
END_TEST

START_TEST(a_huge_word_does_not_overflow_the_message)
{
	char message[CLI_MESSAGE_BYTES], word[5000];
	char name[] = "prog", *argv[] = { name, word };
	struct cli_args args;

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	ck_assert(!cli_parse(&program, 2, argv, &args, message));
	word[0] = word[1] = '-';
	ck_assert(!cli_parse(&program, 2, argv, &args, message));
	ck_assert_uint_lt(strlen(message), CLI_MESSAGE_BYTES);
}
END_TEST

START_TEST(repeated_options_are_walked_in_order)
{
	char memory[256], message[CLI_MESSAGE_BYTES];
	struct line line = split("module push --tag a f -t b --tag=c", memory, sizeof(memory));
	struct cli_args args;
	size_t position = 0;

	ck_assert(cli_parse(&program, line.argc, line.argv, &args, message));
	ck_assert_str_eq(cli_next(&args, "tag", &position), "a");
	ck_assert_str_eq(cli_next(&args, "tag", &position), "b");
	ck_assert_str_eq(cli_next(&args, "tag", &position), "c");
	ck_assert_ptr_null(cli_next(&args, "tag", &position));
	ck_assert_str_eq(cli_value(&args, "tag"), "a");
	ck_assert(!cli_has(&args, "force"));
	cli_args_clear(&args);
}
END_TEST

/* Everything that a writer writes, which the caller frees. */
static char *
text_of(const char *shell)
{
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(memory);
	if (strcmp(shell, "help") == 0)
		cli_write_help(memory, &program, NULL);
	else if (strcmp(shell, "mdoc") == 0)
		cli_write_mdoc(memory, &program);
	else
		ck_assert(cli_write_completion(memory, &program, shell));
	fclose(memory);
	return text;
}

START_TEST(help_manual_and_scripts_have_every_verb_and_option_but_the_hidden)
{
	static const char *const kinds[] = { "help", "mdoc", "bash", "zsh", "fish" };
	char *text = text_of(kinds[_i]);

	ck_assert_ptr_nonnull(strstr(text, "push"));
	ck_assert_ptr_nonnull(strstr(text, "call"));
	ck_assert_ptr_nonnull(strstr(text, "host"));
	if (_i > 0) /* the help of a verb is a text of its own */
		ck_assert_ptr_nonnull(strstr(text, "force"));
	ck_assert_ptr_null(strstr(text, "secret"));
	free(text);
}
END_TEST

START_TEST(there_is_no_script_for_other_shells)
{
	ck_assert(!cli_write_completion(stdout, &program, "tcsh"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("cli");
	TCase *tc = tcase_create("parse");

	tcase_add_loop_test(tc, lines_that_follow_the_table_are_understood, 0,
	                    sizeof(accepted) / sizeof(accepted[0]));
	tcase_add_loop_test(tc, other_lines_are_refused_with_a_reason, 0,
	                    sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(tc, a_huge_word_does_not_overflow_the_message);
	tcase_add_test(tc, repeated_options_are_walked_in_order);
	tcase_add_loop_test(tc, help_manual_and_scripts_have_every_verb_and_option_but_the_hidden,
	                    0, 5);
	tcase_add_test(tc, there_is_no_script_for_other_shells);
	suite_add_tcase(suite, tc);
	return suite;
}
