#include "client/cli/complete.h"

#include <string.h>

static bool
is_shown(const struct cli_verb *verb)
{
	return (verb->flags & CLI_HIDDEN) == 0;
}

/* The part of a '|' separated list; *rest moves behind it, to NULL after the last. */
static int
next_part(const char **rest, const char **out_part)
{
	int len = (int)strcspn(*rest, "|");

	*out_part = *rest;
	*rest = (*rest)[len] == '|' ? *rest + len + 1 : NULL;
	return len;
}

/*
 * The words that may follow a verb's beginning: first words of verbs after "", second words after
 * a first. A first word shared by several verbs is one candidate.
 */
static bool
first_with_its_word(const struct cli_program *program, size_t index)
{
	const char *name = program->verbs[index].name;
	size_t len = strcspn(name, " ");

	for (size_t i = 0; i < index; i++)
		if (is_shown(&program->verbs[i]) && strcspn(program->verbs[i].name, " ") == len &&
		    memcmp(program->verbs[i].name, name, len) == 0)
			return false;
	return is_shown(&program->verbs[index]) && len > 0;
}

static void
write_first_words(FILE *out, const struct cli_program *program)
{
	const char *gap = "";

	for (size_t i = 0; i < program->verb_count; i++) {
		const char *name = program->verbs[i].name;

		if (!first_with_its_word(program, i))
			continue;
		fprintf(out, "%s%.*s", gap, (int)strcspn(name, " "), name);
		gap = " ";
	}
}

static void
write_second_words(FILE *out, const struct cli_program *program, const char *first, size_t len)
{
	const char *gap = "";

	for (size_t i = 0; i < program->verb_count; i++) {
		const char *name = program->verbs[i].name;

		if (!is_shown(&program->verbs[i]) || strncmp(name, first, len) != 0 ||
		    name[len] != ' ')
			continue;
		fprintf(out, "%s%s", gap, name + len + 1);
		gap = " ";
	}
}

/* Calls write for the first word of every two-word verb, once each. */
static void
for_each_group(FILE *out, const struct cli_program *program,
               void (*write)(FILE *, const struct cli_program *, const char *, size_t))
{
	for (size_t i = 0; i < program->verb_count; i++) {
		const char *name = program->verbs[i].name;
		size_t len = strcspn(name, " ");

		if (name[len] == ' ' && first_with_its_word(program, i))
			write(out, program, name, len);
	}
}

static const struct cli_option no_options[] = { { 0 } };

static const struct cli_option *
options_or_none(const struct cli_option *options)
{
	return options != NULL ? options : no_options;
}

/* ---- bash ---- */

static void
write_bash_words(FILE *out, const struct cli_option *options)
{
	for (const struct cli_option *o = options_or_none(options); o->name != NULL; o++) {
		fprintf(out, " --%s", o->name);
		if (o->letter != 0)
			fprintf(out, " -%c", o->letter);
	}
}

static void
write_bash_values(FILE *out, const char *verb, const struct cli_option *options)
{
	for (const struct cli_option *o = options_or_none(options); o->name != NULL; o++) {
		if (o->value == NULL)
			continue;
		fprintf(out, "\t'%s --%s'", verb, o->name);
		if (o->letter != 0)
			fprintf(out, " | '%s -%c'", verb, o->letter);
		fprintf(out, ") kind='%s' ;;\n", o->complete);
	}
}

static void
write_bash_group(FILE *out, const struct cli_program *program, const char *first, size_t len)
{
	fprintf(out, "\t'%.*s') verbs='", (int)len, first);
	write_second_words(out, program, first, len);
	fputs("' ;;\n", out);
}

/* The three tables of the script: words after a verb's beginning, its options, their values. */
static void
write_bash_tables(FILE *out, const struct cli_program *program)
{
	fprintf(out,
	        "# Sets verbs (words that go on with the verb $1), options, kinds (of its words).\n"
	        "_%s_verb()\n{\n\tverbs='' options='--help",
	        program->name);
	write_bash_words(out, program->options);
	fputs("' kinds=()\n\tcase $1 in\n\t'') verbs='", out);
	write_first_words(out, program);
	fputs("' ;;\n", out);
	for_each_group(out, program, write_bash_group);
	fputs("\tesac\n\tcase $1 in\n", out);
	for (size_t i = 0; i < program->verb_count; i++) {
		const struct cli_verb *verb = &program->verbs[i];

		if (!is_shown(verb))
			continue;
		fprintf(out, "\t'%s') options+='", verb->name);
		write_bash_words(out, verb->options);
		fputs("' kinds=(", out);
		const char *rest = verb->complete, *part;
		for (const char *gap = ""; rest != NULL; gap = " ") {
			int len = next_part(&rest, &part);
			fprintf(out, "%s'%.*s'", gap, len, part);
		}
		fputs(") ;;\n", out);
	}
	fprintf(
	    out,
	    "\t*) return 1 ;;\n\tesac\n}\n\n"
	    "# Sets kind, of the value that option $2 of verb $1 takes; fails when it takes none.\n"
	    "_%s_value()\n{\n\tcase $2 in\n",
	    program->name);
	for (const struct cli_option *o = options_or_none(program->options); o->name != NULL; o++)
		if (o->value != NULL) {
			fprintf(out, "\t--%s", o->name);
			if (o->letter != 0)
				fprintf(out, " | -%c", o->letter);
			fprintf(out, ") kind='%s'; return ;;\n", o->complete);
		}
	fputs("\tesac\n\tcase \"$1 $2\" in\n", out);
	for (size_t i = 0; i < program->verb_count; i++)
		if (is_shown(&program->verbs[i]))
			write_bash_values(out, program->verbs[i].name, program->verbs[i].options);
	fputs("\t*) return 1 ;;\n\tesac\n}\n\n", out);
}

/*
 * Programs print candidates that others chose. compgen -W would evaluate them, so they are
 * compared here, and quoted before they reach the command line.
 */
static const char bash_body[] =
    "_~_offer()\n"
    "{\n"
    "\tlocal kind=$1 cur=$2 word\n"
    "\tshift 2\n"
    "\tcase $kind in\n"
    "\t@file | @folder)\n"
    "\t\tcompopt -o filenames 2>/dev/null\n"
    "\t\t[[ $kind == @file ]] && word=-f || word=-d\n"
    "\t\tmapfile -t COMPREPLY < <(compgen $word -- \"$cur\")\n"
    "\t\treturn\n"
    "\t\t;;\n"
    "\tesac\n"
    "\twhile IFS= read -r word; do\n"
    "\t\t[[ -n $word && $word == \"$cur\"* ]] && COMPREPLY+=(\"$(printf %q \"$word\")\")\n"
    "\tdone < <(\n"
    "\t\tcase $kind in\n"
    "\t\t@*) ~ __complete \"${kind#@}\" \"$@\" 2>/dev/null ;;\n"
    "\t\t*) # shellcheck disable=SC2086 # words of our own, one line each\n"
    "\t\t\tprintf '%s\\n' $kind ;;\n"
    "\t\tesac\n"
    "\t)\n"
    "}\n"
    "\n"
    "_~()\n"
    "{\n"
    "\tlocal line=${COMP_LINE:0:COMP_POINT} cur word verb='' next='' kind verbs options\n"
    "\tlocal -a words nouns=() kinds\n"
    "\tlocal i waiting='' ended=''\n"
    "\n"
    "\t# Split at blanks alone: the shell's own words end at ':', which names have inside.\n"
    "\tread -ra words <<<\"$line\"\n"
    "\t[[ $line == *[[:space:]] ]] && words+=('')\n"
    "\tcur=${words[${#words[@]} - 1]}\n"
    "\tCOMPREPLY=()\n"
    "\n"
    "\tfor ((i = 1; i < ${#words[@]} - 1; i++)); do\n"
    "\t\tword=${words[i]}\n"
    "\t\tif [[ -n $waiting ]]; then\n"
    "\t\t\twaiting=''\n"
    "\t\telif [[ -z $ended && $word == -- ]]; then\n"
    "\t\t\tended=1\n"
    "\t\telif [[ -z $ended && $word == -?* ]]; then\n"
    "\t\t\t_~_value \"$verb\" \"$word\" && waiting=1\n"
    "\t\telse\n"
    "\t\t\t_~_verb \"$verb\"\n"
    "\t\t\tnext=${verb:+$verb }$word\n"
    "\t\t\tif [[ ${#nouns[@]} -eq 0 && \" $verbs \" == *\" $word \"* ]]; then\n"
    "\t\t\t\tverb=$next\n"
    "\t\t\telse\n"
    "\t\t\t\tnouns+=(\"$word\")\n"
    "\t\t\tfi\n"
    "\t\tfi\n"
    "\tdone\n"
    "\n"
    "\t_~_verb \"$verb\"\n"
    "\tif [[ -n $waiting ]]; then\n"
    "\t\t_~_value \"$verb\" \"${words[${#words[@]} - 2]}\"\n"
    "\t\t_~_offer \"$kind\" \"$cur\" \"${nouns[@]}\"\n"
    "\telif [[ -z $ended && $cur == --*=* ]]; then\n"
    "\t\t_~_value \"$verb\" \"${cur%%=*}\" && _~_offer \"$kind\" \"${cur#*=}\" \"${nouns[@]}\"\n"
    "\telif [[ -z $ended && $cur == -* ]]; then\n"
    "\t\t_~_offer \"$options\" \"$cur\"\n"
    "\telif [[ -n $verbs && ${#nouns[@]} -eq 0 ]]; then\n"
    "\t\t_~_offer \"$verbs\" \"$cur\"\n"
    "\telif [[ ${#kinds[@]} -gt 0 ]]; then\n"
    "\t\ti=${#nouns[@]}\n"
    "\t\t((i >= ${#kinds[@]})) && i=$((${#kinds[@]} - 1))\n"
    "\t\t_~_offer \"${kinds[i]}\" \"$cur\" \"${nouns[@]}\"\n"
    "\tfi\n"
    "\n"
    "\t# The shell replaces only what follows the last ':' or '=' of the word.\n"
    "\tif [[ $cur == *[:=]* && ${#COMPREPLY[@]} -gt 0 ]]; then\n"
    "\t\tword=${cur%\"${cur##*[:=]}\"}\n"
    "\t\t[[ $cur == --*=* ]] && word=${word#*=}\n"
    "\t\tCOMPREPLY=(\"${COMPREPLY[@]#\"$word\"}\")\n"
    "\tfi\n"
    "}\n"
    "\n"
    "complete -F _~ ~\n";

/* The name as part of a variable's. */
static void
write_identifier(FILE *out, const char *name)
{
	for (; *name != '\0'; name++)
		fputc(*name == '-' ? '_' : *name, out);
}

/* Writes a script in which '~' stands for the program's name, and '`' for it in a variable's. */
static void
write_template(FILE *out, const char *text, const char *name)
{
	for (; *text != '\0'; text++)
		if (*text == '~')
			fputs(name, out);
		else if (*text == '`')
			write_identifier(out, name);
		else
			fputc(*text, out);
}

static void
write_bash(FILE *out, const struct cli_program *program)
{
	fprintf(out, "# bash completion for %s; written by the program from its table of verbs\n\n",
	        program->name);
	write_bash_tables(out, program);
	write_template(out, bash_body, program->name);
}

/* ---- zsh ---- */

/* In a specification of _arguments, ':', '[', ']' and '\' in texts are escaped. */
static void
write_zsh_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'') {
			fputs("'\\''", out);
			continue;
		}
		if (strchr(":[]\\", *text) != NULL)
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void
write_zsh_action(FILE *out, const struct cli_program *program, const char *kind, int len)
{
	if (len == 5 && memcmp(kind, "@file", 5) == 0)
		fputs("_files", out);
	else if (len == 7 && memcmp(kind, "@folder", 7) == 0)
		fputs("_files -/", out);
	else if (len > 0 && kind[0] == '@')
		fprintf(out, "_%s_ask %.*s", program->name, len - 1, kind + 1);
	else if (len > 0)
		fprintf(out, "(%.*s)", len, kind);
	else
		fputc(' ', out);
}

static void
write_zsh_option(FILE *out, const struct cli_program *program, const struct cli_option *o,
                 char letter)
{
	fputs(" \\\n\t\t'", out);
	if ((o->flags & CLI_REPEAT) != 0)
		fputc('*', out);
	else if (o->letter != 0)
		fprintf(out, "(-%c --%s)", o->letter, o->name);
	if (letter != 0)
		fprintf(out, "-%c%s[", letter, o->value != NULL ? "+" : "");
	else
		fprintf(out, "--%s%s[", o->name, o->value != NULL ? "=" : "");
	write_zsh_text(out, o->help);
	fputc(']', out);
	if (o->value != NULL) {
		fputc(':', out);
		write_zsh_text(out, o->value);
		fputc(':', out);
		write_zsh_action(out, program, o->complete, (int)strlen(o->complete));
	}
	fputc('\'', out);
}

static void
write_zsh_options(FILE *out, const struct cli_program *program, const struct cli_option *options)
{
	for (const struct cli_option *o = options_or_none(options); o->name != NULL; o++) {
		write_zsh_option(out, program, o, 0);
		if (o->letter != 0)
			write_zsh_option(out, program, o, o->letter);
	}
}

static void
write_zsh_verb(FILE *out, const struct cli_program *program, const struct cli_verb *verb)
{
	const char *rest = verb->complete, *part;

	fprintf(out, "\t'%s')\n\t\t_arguments -S $common", verb->name);
	write_zsh_options(out, program, verb->options);
	for (int n = 1; rest != NULL; n++) {
		int len = next_part(&rest, &part);

		if (rest != NULL || verb->words_max == (size_t)n)
			fprintf(out, " \\\n\t\t'%d: :", n);
		else
			fputs(" \\\n\t\t'*: :", out);
		write_zsh_action(out, program, part, len);
		fputc('\'', out);
	}
	fputs(" ;;\n", out);
}

static void
write_zsh_group(FILE *out, const struct cli_program *program, const char *first, size_t len)
{
	fprintf(out, "\t'%.*s') _arguments -S $common '1:verb:(", (int)len, first);
	write_second_words(out, program, first, len);
	fputs(")' ;;\n", out);
}

/* Options that take a value in the next word, as a pattern; those of all verbs together. */
static void
write_value_options(FILE *out, const struct cli_program *program, const char *gap)
{
	for (size_t i = 0; i <= program->verb_count; i++) {
		const struct cli_option *o = options_or_none(
		    i < program->verb_count ? program->verbs[i].options : program->options);

		for (; o->name != NULL; o++) {
			if (o->value == NULL)
				continue;
			fprintf(out, "--%s%s", o->name, gap);
			if (o->letter != 0)
				fprintf(out, "-%c%s", o->letter, gap);
		}
	}
}

static const char zsh_ask[] =
    "# Offers what the program knows, each line as it is: compadd evaluates nothing.\n"
    "_~_ask() {\n"
    "\tlocal -a found\n"
    "\tfound=(${(f)\"$(~ __complete $1 $line 2>/dev/null)\"})\n"
    "\tcompadd -a found\n"
    "}\n"
    "\n"
    "_~() {\n";

static const char zsh_verb[] = "\tlocal verb='' next word waiting='' curcontext=$curcontext\n"
			       "\tlocal -a line common\n"
			       "\tlocal -A opt_args\n"
			       "\tinteger i\n"
			       "\n"
			       "\t# Find the verb, and take its words out of the line.\n"
			       "\tfor ((i = 2; i < CURRENT; i++)); do\n"
			       "\t\tword=$words[i]\n"
			       "\t\tif [[ -n $waiting ]]; then\n"
			       "\t\t\twaiting=''\n"
			       "\t\telif [[ $word == -* ]]; then\n"
			       "\t\t\t[[ \" $takes_value \" == *\" $word \"* ]] && waiting=1\n"
			       "\t\telse\n"
			       "\t\t\tnext=${verb:+$verb }$word\n"
			       "\t\t\t(( ${verbs[(Ie)$next]} )) || break\n"
			       "\t\t\tverb=$next\n"
			       "\t\t\twords[i]=()\n"
			       "\t\t\t(( CURRENT--, i-- ))\n"
			       "\t\tfi\n"
			       "\tdone\n"
			       "\n";

/* The file is loaded as the function's body the first time, or sourced. */
static const char zsh_end[] = "\tesac\n"
			      "}\n"
			      "\n"
			      "if [[ ${funcstack[1]-} == _~ ]]; then\n"
			      "\t_~ \"$@\"\n"
			      "else\n"
			      "\tcompdef _~ ~\n"
			      "fi\n";

static void
write_zsh_group_name(FILE *out, const struct cli_program *program, const char *first, size_t len)
{
	(void)program;
	fprintf(out, " '%.*s'", (int)len, first);
}

static void
write_zsh(FILE *out, const struct cli_program *program)
{
	fprintf(out,
	        "#compdef %s\n"
	        "# zsh completion for %s; written by the program from its table of verbs\n\n",
	        program->name, program->name);
	write_template(out, zsh_ask, program->name);
	fputs("\tlocal takes_value='", out);
	write_value_options(out, program, " ");
	fputs("'\n\tlocal -a verbs=(", out);
	for_each_group(out, program, write_zsh_group_name);
	for (size_t i = 0; i < program->verb_count; i++)
		if (is_shown(&program->verbs[i]) && program->verbs[i].name[0] != '\0')
			fprintf(out, " '%s'", program->verbs[i].name);
	fputs(")\n", out);
	write_template(out, zsh_verb, program->name);
	fputs("\tcommon=( \\\n\t\t'(- *)'{-h,--help}'[show help]'", out);
	write_zsh_options(out, program, program->options);
	fputs(")\n\tcase $verb in\n", out);
	if (cli_find_verb(program, "") == NULL) {
		fputs("\t'') _arguments -S $common '1:verb:(", out);
		write_first_words(out, program);
		fputs(")' ;;\n", out);
	}
	for_each_group(out, program, write_zsh_group);
	for (size_t i = 0; i < program->verb_count; i++)
		if (is_shown(&program->verbs[i]))
			write_zsh_verb(out, program, &program->verbs[i]);
	write_template(out, zsh_end, program->name);
}

/* ---- fish ---- */

static void
write_fish_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

static void
write_fish_values(FILE *out, const struct cli_program *program, const char *kind)
{
	if (strcmp(kind, "@file") == 0)
		fputs(" -r -F", out);
	else if (strcmp(kind, "@folder") == 0)
		fputs(" -x -a '(__fish_complete_directories)'", out);
	else if (kind[0] == '@')
		fprintf(out, " -x -a '(%s __complete %s (__%s_nouns) 2>/dev/null)'", program->name,
		        kind + 1, program->name);
	else if (kind[0] != '\0')
		fprintf(out, " -x -a '%s'", kind);
	else
		fputs(" -x", out);
}

static void
write_fish_options(FILE *out, const struct cli_program *program, const char *verb,
                   const struct cli_option *options)
{
	for (const struct cli_option *o = options_or_none(options); o->name != NULL; o++) {
		fprintf(out, "complete -c %s", program->name);
		if (verb != NULL)
			fprintf(out, " -n '__%s_verb \"%s\"'", program->name, verb);
		fprintf(out, " -l %s", o->name);
		if (o->letter != 0)
			fprintf(out, " -s %c", o->letter);
		if (o->value != NULL)
			write_fish_values(out, program, o->complete);
		fputs(" -d ", out);
		write_fish_quoted(out, o->help);
		fputc('\n', out);
	}
}

/* One line a noun: what completes the n-th word after the verb; the last goes on. */
static void
write_fish_nouns(FILE *out, const struct cli_program *program, const struct cli_verb *verb)
{
	const char *rest = verb->complete, *part;

	for (int n = 0; rest != NULL; n++) {
		int len = next_part(&rest, &part);
		bool last = rest == NULL && verb->words_max != (size_t)n + 1;

		if (len == 0)
			continue;
		fprintf(out, "complete -c %s -n '__%s_verb \"%s\" %d%s' ", program->name,
		        program->name, verb->name, n, last ? " more" : "");
		if (strncmp(part, "@file", 5) == 0)
			fputs("-F\n", out);
		else if (strncmp(part, "@folder", 7) == 0)
			fputs("-a '(__fish_complete_directories)'\n", out);
		else if (part[0] == '@')
			fprintf(out, "-a '(%s __complete %.*s (__%s_nouns) 2>/dev/null)'\n",
			        program->name, len - 1, part + 1, program->name);
		else
			fprintf(out, "-a '%.*s'\n", len, part);
	}
}

static void
write_fish_verb(FILE *out, const struct cli_program *program, const struct cli_verb *verb)
{
	const char *second = strchr(verb->name, ' ');

	if (verb->name[0] != '\0') {
		fprintf(out, "complete -c %s -n '__%s_verb \"%.*s\" 0' -a '%s' -d ", program->name,
		        program->name, second != NULL ? (int)(second - verb->name) : 0, verb->name,
		        second != NULL ? second + 1 : verb->name);
		write_fish_quoted(out, verb->help);
		fputc('\n', out);
	}
	write_fish_options(out, program, verb->name, verb->options);
	write_fish_nouns(out, program, verb);
}

static void
write_fish_group(FILE *out, const struct cli_program *program, const char *first, size_t len)
{
	fprintf(out, "complete -c %s -n '__%s_verb \"\" 0' -a '%.*s' -d '", program->name,
	        program->name, (int)len, first);
	write_second_words(out, program, first, len);
	fputs("'\n", out);
}

static const char fish_head[] =
    "# Prints the words typed so far, without options and their values.\n"
    "function __~_words\n"
    "\tset -l waiting 0\n"
    "\tset -l words (commandline -opc)\n"
    "\tfor word in $words[2..-1]\n"
    "\t\tif test $waiting = 1\n"
    "\t\t\tset waiting 0\n"
    "\t\telse if string match -q -- '-*' $word\n"
    "\t\t\tcontains -- $word $__`_takes_value; and set waiting 1\n"
    "\t\telse\n"
    "\t\t\techo -- $word\n"
    "\t\tend\n"
    "\tend\n"
    "end\n"
    "\n"
    "# The words after the verb.\n"
    "function __~_nouns\n"
    "\tset -l words (__~_words)\n"
    "\tset -l skip 1\n"
    "\tcontains -- \"$words[1] $words[2]\" $__`_verbs; and set skip 2\n"
    "\tif test (count $words) -gt $skip\n"
    "\t\tprintf '%s\\n' $words[(math $skip + 1)..-1]\n"
    "\tend\n"
    "end\n"
    "\n"
    "# VERB: it is the verb. VERB N: and N words follow it. VERB N more: N or more.\n"
    "function __~_verb\n"
    "\tset -l words (__~_words)\n"
    "\tset -l size (count (string split -n -- ' ' $argv[1]))\n"
    "\tset -l nouns (math (count $words) - $size)\n"
    "\ttest $nouns -lt 0; and return 1\n"
    "\tif test $size -gt 0\n"
    "\t\ttest \"$words[1..$size]\" = \"$argv[1]\"; or return 1\n"
    "\tend\n"
    "\ttest (count $argv) -lt 2; and return 0\n"
    "\ttest $nouns -eq $argv[2]; and return 0\n"
    "\ttest (count $argv) -eq 3 -a $nouns -gt $argv[2]\n"
    "end\n"
    "\n"
    "complete -c ~ -f\n";

static void
write_fish(FILE *out, const struct cli_program *program)
{
	fprintf(out, "# fish completion for %s; written by the program from its table of verbs\n\n",
	        program->name);
	write_template(out, "set -g __`_takes_value ", program->name);
	write_value_options(out, program, " ");
	write_template(out, "\nset -g __`_verbs", program->name);
	for (size_t i = 0; i < program->verb_count; i++)
		if (is_shown(&program->verbs[i]) && strchr(program->verbs[i].name, ' ') != NULL)
			fprintf(out, " '%s'", program->verbs[i].name);
	fputs("\n\n", out);
	write_template(out, fish_head, program->name);
	fprintf(out, "complete -c %s -s h -l help -d 'show help'\n", program->name);
	write_fish_options(out, program, NULL, program->options);
	for_each_group(out, program, write_fish_group);
	for (size_t i = 0; i < program->verb_count; i++)
		if (is_shown(&program->verbs[i]))
			write_fish_verb(out, program, &program->verbs[i]);
}

bool
cli_write_completion(FILE *out, const struct cli_program *program, const char *shell)
{
	if (strcmp(shell, "bash") == 0)
		write_bash(out, program);
	else if (strcmp(shell, "zsh") == 0)
		write_zsh(out, program);
	else if (strcmp(shell, "fish") == 0)
		write_fish(out, program);
	else
		return false;
	return true;
}
