/*
 * jsonfmt.c - reads JSON on standard input, prints it compactly or, with --pretty, indented.
 *
 * Numbers and strings are copied as they stand, so nothing loses precision. What is not JSON
 * (RFC 8259) is refused with its line and column, exit code 1.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 500

struct parser {
	const char *start;
	const char *next;
	const char *end;
	bool pretty;
	int depth;
};

static bool parse_value(struct parser *p);

static bool
refuse(const struct parser *p, const char *expected)
{
	int line = 1, column = 1;

	for (const char *at = p->start; at < p->next; at++) {
		column = *at == '\n' ? 1 : column + 1;
		line += *at == '\n';
	}
	if (p->next == p->end)
		fprintf(stderr, "jsonfmt: line %d, column %d: expected %s, got the end\n", line,
		        column, expected);
	else
		fprintf(stderr, "jsonfmt: line %d, column %d: expected %s, got '%c'\n", line,
		        column, expected, *p->next);
	return false;
}

static void
skip_space(struct parser *p)
{
	while (p->next < p->end && strchr(" \t\r\n", *p->next) != NULL && *p->next != '\0')
		p->next++;
}

static bool
at(const struct parser *p, char c)
{
	return p->next < p->end && *p->next == c;
}

static bool
take(struct parser *p, char c)
{
	if (!at(p, c))
		return false;
	p->next++;
	return true;
}

static void
line_break(const struct parser *p)
{
	if (p->pretty)
		printf("\n%*s", p->depth * 2, "");
}

static bool
parse_word(struct parser *p, const char *word)
{
	for (const char *c = word; *c != '\0'; c++)
		if (!take(p, *c))
			return refuse(p, word);
	fputs(word, stdout);
	return true;
}

static bool
parse_escape(struct parser *p)
{
	if (take(p, 'u')) {
		for (int i = 0; i < 4; i++, p->next++)
			if (p->next == p->end || !isxdigit((unsigned char)*p->next))
				return refuse(p, "a hexadecimal digit");
		return true;
	}
	if (p->next == p->end || *p->next == '\0' || strchr("\"\\/bfnrt", *p->next) == NULL)
		return refuse(p, "an escape");
	p->next++;
	return true;
}

static bool
parse_string(struct parser *p)
{
	const char *from = p->next;

	if (!take(p, '"'))
		return refuse(p, "a string");
	while (!take(p, '"')) {
		if (p->next == p->end || (unsigned char)*p->next < 0x20)
			return refuse(p, "'\"'");
		if (*p->next++ == '\\' && !parse_escape(p))
			return false;
	}
	fwrite(from, 1, (size_t)(p->next - from), stdout);
	return true;
}

static bool
skip_digits(struct parser *p)
{
	if (p->next == p->end || !isdigit((unsigned char)*p->next))
		return refuse(p, "a digit");
	while (p->next < p->end && isdigit((unsigned char)*p->next))
		p->next++;
	return true;
}

static bool
parse_number(struct parser *p)
{
	const char *from = p->next;

	take(p, '-');
	if (!take(p, '0') && !skip_digits(p))
		return false;
	if (take(p, '.') && !skip_digits(p))
		return false;
	if (take(p, 'e') || take(p, 'E')) {
		if (!take(p, '+'))
			take(p, '-');
		if (!skip_digits(p))
			return false;
	}
	fwrite(from, 1, (size_t)(p->next - from), stdout);
	return true;
}

static bool
parse_member(struct parser *p)
{
	if (!parse_string(p))
		return false;
	skip_space(p);
	if (!take(p, ':'))
		return refuse(p, "':'");
	fputs(p->pretty ? ": " : ":", stdout);
	return true;
}

/* An object or an array, behind its opening bracket. */
static bool
parse_items(struct parser *p, char open, char close)
{
	putchar(open);
	skip_space(p);
	if (take(p, close)) {
		putchar(close);
		return true;
	}
	if (++p->depth > DEPTH_MAX)
		return refuse(p, "less nesting");
	do {
		line_break(p);
		skip_space(p);
		if (open == '{' && !parse_member(p))
			return false;
		if (!parse_value(p))
			return false;
		skip_space(p);
		if (at(p, ','))
			putchar(',');
	} while (take(p, ','));
	p->depth--;
	if (!take(p, close))
		return refuse(p, close == '}' ? "',' or '}'" : "',' or ']'");
	line_break(p);
	putchar(close);
	return true;
}

static bool
parse_value(struct parser *p)
{
	skip_space(p);
	if (take(p, '{'))
		return parse_items(p, '{', '}');
	if (take(p, '['))
		return parse_items(p, '[', ']');
	if (at(p, '"'))
		return parse_string(p);
	if (at(p, 't'))
		return parse_word(p, "true");
	if (at(p, 'f'))
		return parse_word(p, "false");
	if (at(p, 'n'))
		return parse_word(p, "null");
	if (at(p, '-') || (p->next < p->end && isdigit((unsigned char)*p->next)))
		return parse_number(p);
	return refuse(p, "a value");
}

/* All of standard input, or NULL. */
static char *
read_all(size_t *out_len)
{
	size_t capacity = 1 << 16, len = 0;
	char *text = malloc(capacity);

	while (text != NULL) {
		len += fread(text + len, 1, capacity - len, stdin);
		if (len < capacity)
			break;
		char *larger = realloc(text, capacity *= 2);
		if (larger == NULL)
			free(text);
		text = larger;
	}
	*out_len = len;
	return text;
}

int
main(int argc, char **argv)
{
	bool pretty = argc == 2 && strcmp(argv[1], "--pretty") == 0;
	size_t len;

	if (argc > 1 && !pretty) {
		fputs("usage: jsonfmt [--pretty] <FILE\n", stderr);
		return 2;
	}
	char *text = read_all(&len);
	if (text == NULL) {
		fputs("jsonfmt: the input does not fit into memory\n", stderr);
		return 1;
	}
	struct parser p = { .start = text, .next = text, .end = text + len, .pretty = pretty };
	bool good = parse_value(&p);
	skip_space(&p);
	if (good && p.next < p.end)
		good = refuse(&p, "the end");
	putchar('\n');
	free(text);
	return good ? 0 : 1;
}
