#include "client/cli/cli.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option no_options[] = { { 0 } };

static const struct cli_option *
options_of(const struct cli_verb *verb)
{
	return verb != NULL && verb->options != NULL ? verb->options : no_options;
}

static const struct cli_option *
find_in(const struct cli_option *options, const char *name, size_t len)
{
	for (const struct cli_option *o = options; o->name != NULL; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static const struct cli_option *
find_letter_in(const struct cli_option *options, char letter)
{
	for (const struct cli_option *o = options; o->name != NULL; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

const struct cli_verb *
cli_find_verb(const struct cli_program *program, const char *name)
{
	for (size_t i = 0; i < program->verb_count; i++)
		if (strcmp(program->verbs[i].name, name) == 0)
			return &program->verbs[i];
	return NULL;
}

/* Finds "FIRST SECOND", without building the string. */
static const struct cli_verb *
find_two_words(const struct cli_program *program, const char *first, const char *second)
{
	size_t len = strlen(first);

	for (size_t i = 0; i < program->verb_count; i++) {
		const char *name = program->verbs[i].name;

		if (strncmp(name, first, len) == 0 && name[len] == ' ' &&
		    strcmp(name + len + 1, second) == 0)
			return &program->verbs[i];
	}
	return NULL;
}

static bool
begins_a_verb(const struct cli_program *program, const char *first)
{
	size_t len = strlen(first);

	for (size_t i = 0; i < program->verb_count; i++)
		if (strncmp(program->verbs[i].name, first, len) == 0 &&
		    program->verbs[i].name[len] == ' ')
			return true;
	return false;
}

struct parser {
	const struct cli_program *program;
	int argc;
	char *const *argv;
	int next;
	bool options_ended;
	struct cli_args args;
	char *message;
};

__attribute__((format(printf, 2, 3))) static bool
refuse(struct parser *p, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(p->message, CLI_MESSAGE_BYTES, format, ap);
	va_end(ap);
	return false;
}

static bool
looks_like_number(const char *word)
{
	if (word[1] == '.')
		return isdigit((unsigned char)word[2]);
	return isdigit((unsigned char)word[1]) || strcmp(word, "-inf") == 0 ||
	       strcmp(word, "-nan") == 0 || strncmp(word, "-nan:", 5) == 0;
}

static bool
is_option(const struct parser *p, const char *word)
{
	if (p->options_ended || word[0] != '-' || word[1] == '\0')
		return false;
	bool numbers = p->args.verb != NULL && (p->args.verb->flags & CLI_NUMBERS) != 0;

	return !(numbers && looks_like_number(word));
}

/* By letter when that is not 0, else by name; those of the verb come first. */
static const struct cli_option *
find_option(const struct parser *p, const char *name, size_t len, char letter)
{
	const struct cli_option *common = p->program->options;
	const struct cli_option *lists[] = { options_of(p->args.verb),
		                             common != NULL ? common : no_options };

	for (int i = 0; i < 2; i++) {
		const struct cli_option *o =
		    letter != 0 ? find_letter_in(lists[i], letter) : find_in(lists[i], name, len);
		if (o != NULL)
			return o;
	}
	return NULL;
}

static bool
take_option(struct parser *p, const struct cli_option *option, const char *value)
{
	for (size_t i = 0; i < p->args.given_count; i++)
		if (p->args.given[i].option == option && (option->flags & CLI_REPEAT) == 0)
			return refuse(p, "option --%s is given twice", option->name);
	p->args.given[p->args.given_count++] = (struct cli_given){ option, value };
	return true;
}

static bool
unknown_option(struct parser *p, const char *word, size_t len)
{
	if (p->args.verb == NULL)
		return refuse(p, "unknown option %.*s (options of a verb stand after it)", (int)len,
		              word);
	return refuse(p, "unknown option %.*s of \"%s\" (see %s %s --help)", (int)len, word,
	              p->args.verb->name, p->program->name, p->args.verb->name);
}

static bool
parse_long(struct parser *p, const char *word)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");
	const char *value = name[len] == '=' ? name + len + 1 : NULL;
	const struct cli_option *option = find_option(p, name, len, 0);

	if (option == NULL)
		return unknown_option(p, word, len > 64 ? 66 : len + 2);
	if (option->value == NULL) {
		if (value != NULL)
			return refuse(p, "option --%s takes no value", option->name);
		return take_option(p, option, "");
	}
	if (value == NULL) {
		if (p->next >= p->argc)
			return refuse(p, "option --%s needs a value: --%s %s", option->name,
			              option->name, option->value);
		value = p->argv[p->next++];
	}
	return take_option(p, option, value);
}

static bool
parse_short(struct parser *p, const char *word)
{
	for (const char *c = word + 1; *c != '\0'; c++) {
		const struct cli_option *option = find_option(p, NULL, 0, *c);

		if (option == NULL) {
			char shown[3] = { '-', *c, '\0' };
			return unknown_option(p, shown, 2);
		}
		if (option->value == NULL) {
			if (!take_option(p, option, ""))
				return false;
			continue;
		}
		if (c[1] != '\0')
			return take_option(p, option, c + 1);
		if (p->next >= p->argc)
			return refuse(p, "option -%c needs a value: -%c %s", *c, *c, option->value);
		return take_option(p, option, p->argv[p->next++]);
	}
	return true;
}

static bool
parse_verb(struct parser *p, const char *word)
{
	const struct cli_program *program = p->program;

	if (begins_a_verb(program, word)) {
		const char *second = p->next < p->argc ? p->argv[p->next] : NULL;

		p->args.verb = second != NULL ? find_two_words(program, word, second) : NULL;
		if (p->args.verb != NULL) {
			p->next++;
			return true;
		}
	}
	p->args.verb = cli_find_verb(program, word);
	if (p->args.verb != NULL)
		return true;
	p->args.verb = cli_find_verb(program, "");
	if (p->args.verb != NULL) {
		p->args.words[p->args.word_count++] = word;
		return true;
	}
	if (begins_a_verb(program, word))
		return refuse(p, "\"%.64s\" is not a whole verb (see %s --help)", word,
		              program->name);
	return refuse(p, "unknown verb \"%.64s\" (see %s --help)", word, program->name);
}

static bool
is_help(const struct parser *p, const char *word)
{
	return !p->options_ended && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

static bool
parse_words(struct parser *p)
{
	while (p->next < p->argc) {
		const char *word = p->argv[p->next++];
		bool ok = true;

		if (!p->options_ended && strcmp(word, "--") == 0)
			p->options_ended = true;
		else if (is_help(p, word))
			p->args.help = true;
		else if (is_option(p, word))
			ok = word[1] == '-' ? parse_long(p, word) : parse_short(p, word);
		else if (p->args.verb == NULL)
			ok = parse_verb(p, word);
		else
			p->args.words[p->args.word_count++] = word;
		if (!ok && !p->args.help)
			return false;
	}
	return true;
}

static bool
check_words(struct parser *p)
{
	const struct cli_verb *verb = p->args.verb;

	if (p->args.help)
		return true;
	if (verb == NULL)
		return refuse(p, "a verb is missing (see %s --help)", p->program->name);
	if (p->args.word_count < verb->words_min || p->args.word_count > verb->words_max)
		return refuse(
		    p, "%s%s%s: usage: %s %s%s%s", verb->name,
		    verb->name[0] != '\0' ? ": " : "",
		    p->args.word_count < verb->words_min ? "a word is missing" : "too many words",
		    p->program->name, verb->name, verb->name[0] != '\0' ? " " : "", verb->usage);
	return true;
}

bool
cli_parse(const struct cli_program *program, int argc, char *const *argv, struct cli_args *out_args,
          char message[CLI_MESSAGE_BYTES])
{
	struct parser p = {
		.program = program, .argc = argc, .argv = argv, .next = 1, .message = message
	};
	size_t letters = 1;

	message[0] = '\0';
	*out_args = (struct cli_args){ 0 };
	/* A bundle of short options has at most one option a byte. */
	for (int i = 1; i < argc; i++)
		letters += strlen(argv[i]) + 1;
	p.args.program = program;
	p.args.given = calloc(letters, sizeof(p.args.given[0]));
	p.args.words = calloc((size_t)(argc > 0 ? argc : 0) + 1, sizeof(p.args.words[0]));
	if (p.args.given == NULL || p.args.words == NULL) {
		refuse(&p, "out of memory");
		goto failed;
	}
	if (!parse_words(&p) || !check_words(&p))
		goto failed;
	*out_args = p.args;
	return true;
failed:
	cli_args_clear(&p.args);
	return false;
}

void
cli_args_clear(struct cli_args *args)
{
	free(args->given);
	free(args->words);
	*args = (struct cli_args){ 0 };
}

const char *
cli_next(const struct cli_args *args, const char *name, size_t *position)
{
	for (; *position < args->given_count; ++*position)
		if (strcmp(args->given[*position].option->name, name) == 0)
			return args->given[(*position)++].value;
	return NULL;
}

static bool
in_table(const struct cli_args *args, const char *name)
{
	size_t len = strlen(name);

	return find_in(options_of(args->verb), name, len) != NULL ||
	       (args->program->options != NULL &&
	        find_in(args->program->options, name, len) != NULL);
}

const char *
cli_value(const struct cli_args *args, const char *name)
{
	size_t position = 0;

	assert(in_table(args, name));
	return cli_next(args, name, &position);
}

bool
cli_has(const struct cli_args *args, const char *name)
{
	return cli_value(args, name) != NULL;
}

#define HELP_COLUMN 28
#define HELP_WIDTH 80

/* Writes a text from the current column on, broken at blanks, later lines indented. */
static void
write_wrapped(FILE *out, const char *text, int column)
{
	int at = column;

	while (*text != '\0') {
		int len = (int)strcspn(text, " ");

		if (at > column && at + 1 + len > HELP_WIDTH) {
			fprintf(out, "\n%*s", column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", len, text);
		at += len;
		text += len;
		while (*text == ' ')
			text++;
	}
	fputc('\n', out);
}

static void
write_row(FILE *out, const char *left, const char *help)
{
	int len = (int)strlen(left);

	if (len + 4 > HELP_COLUMN)
		fprintf(out, "  %s\n%*s", left, HELP_COLUMN, "");
	else
		fprintf(out, "  %-*s", HELP_COLUMN - 2, left);
	write_wrapped(out, help, HELP_COLUMN);
}

static void
write_options(FILE *out, const struct cli_option *options)
{
	for (const struct cli_option *o = options; o->name != NULL; o++) {
		char left[96];
		char letter[8] = "    ";

		if (o->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name,
		         o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
		write_row(out, left, o->help);
	}
}

static void
write_verb_help(FILE *out, const struct cli_program *program, const struct cli_verb *verb)
{
	fprintf(out, "Usage: %s%s%s%s%s%s\n\n", program->name, verb->name[0] != '\0' ? " " : "",
	        verb->name, options_of(verb)->name != NULL ? " [OPTION...]" : "",
	        verb->usage[0] != '\0' ? " " : "", verb->usage);
	/* The table has sentences without their beginning and end. */
	char sentence[512];
	snprintf(sentence, sizeof(sentence), "%c%s.", toupper((unsigned char)verb->help[0]),
	         verb->help + 1);
	write_wrapped(out, sentence, 0);
	if (options_of(verb)->name != NULL) {
		fputs("\nOptions:\n", out);
		write_options(out, verb->options);
	}
}

static void
write_program_help(FILE *out, const struct cli_program *program)
{
	fprintf(out, "Usage: %s [OPTION...] VERB [OPTION | WORD]...\n\n", program->name);
	write_wrapped(out, program->summary, 0);
	fputs("\nVerbs:\n", out);
	for (size_t i = 0; i < program->verb_count; i++) {
		const struct cli_verb *verb = &program->verbs[i];
		char left[128];

		if ((verb->flags & CLI_HIDDEN) != 0)
			continue;
		snprintf(left, sizeof(left), "%s%s%s", verb->name,
		         verb->usage[0] != '\0' ? " " : "", verb->usage);
		write_row(out, left, verb->help);
	}
}

void
cli_write_help(FILE *out, const struct cli_program *program, const struct cli_verb *verb)
{
	if (verb != NULL)
		write_verb_help(out, program, verb);
	else
		write_program_help(out, program);
	if (program->options != NULL && program->options->name != NULL) {
		fprintf(out, "\nOptions of %s:\n", verb != NULL ? "every verb" : "all verbs");
		write_options(out, program->options);
	}
	if (verb == NULL)
		fprintf(out, "\n%s VERB --help says more about one verb.\n", program->name);
}

#define ROFF_WIDTH 78

/* One word of an mdoc text line: no macro may start in it; hyphen and backslash are themselves. */
static void
write_roff_word(FILE *out, const char *word, int len)
{
	if (*word == '.' || *word == '\'')
		fputs("\\&", out);
	for (int i = 0; i < len; i++) {
		if (word[i] == '\\')
			fputs("\\e", out);
		else if (word[i] == '-')
			fputs("\\-", out);
		else
			fputc(word[i], out);
	}
}

/* A text of the table as text lines; the table has sentences without their beginning and end. */
static void
write_roff_sentence(FILE *out, const char *text)
{
	int at = 1;

	fputc(toupper((unsigned char)*text++), out);
	while (*text != '\0') {
		int len = (int)strcspn(text, " ");

		write_roff_word(out, text, len);
		at += len;
		text += len;
		if (*text != ' ')
			break;
		text++;
		bool fits = at + 1 + (int)strcspn(text, " ") < ROFF_WIDTH;
		fputc(fits ? ' ' : '\n', out);
		at = fits ? at + 1 : 0;
	}
	fputs(".\n", out);
}

/* One argument of an mdoc macro. */
static void
write_roff_argument(FILE *out, const char *text)
{
	fputs("\"", out);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			fputs("\\(dq", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
	fputs("\"", out);
}

static void
write_mdoc_options(FILE *out, const struct cli_option *options)
{
	if (options->name == NULL)
		return;
	fputs(".Bl -tag -width Ds\n", out);
	for (const struct cli_option *o = options; o->name != NULL; o++) {
		fputs(".It ", out);
		if (o->letter != 0) {
			fprintf(out, "Fl %c , ", o->letter);
		}
		fprintf(out, "Fl \\-%s", o->name);
		if (o->value != NULL) {
			fputs(" Ar ", out);
			write_roff_argument(out, o->value);
		}
		fputc('\n', out);
		write_roff_sentence(out, o->help);
	}
	fputs(".El\n", out);
}

void
cli_write_mdoc(FILE *out, const struct cli_program *program)
{
	if (program->options != NULL && program->options->name != NULL) {
		fputs(".Ss Options of every verb\n", out);
		write_mdoc_options(out, program->options);
	}
	fputs(".Ss Verbs\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < program->verb_count; i++) {
		const struct cli_verb *verb = &program->verbs[i];

		if ((verb->flags & CLI_HIDDEN) != 0)
			continue;
		fputs(".It Ic ", out);
		write_roff_argument(out, verb->name);
		if (verb->usage[0] != '\0') {
			fputs(" Ar ", out);
			write_roff_argument(out, verb->usage);
		}
		fputc('\n', out);
		write_roff_sentence(out, verb->help);
		write_mdoc_options(out, options_of(verb));
	}
	fputs(".El\n", out);
}
