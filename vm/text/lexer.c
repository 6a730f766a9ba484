#include "vm/text/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "vm/base/utf8.h"

/* --- places --------------------------------------------------------------------------------- */

struct text_position
lexer_position(const struct lexer *lexer, const char *at)
{
	struct text_position position = { 1, 1 };

	for (const char *c = lexer->start; c < at; c++) {
		bool is_crlf = *c == '\r' && c + 1 < lexer->end && c[1] == '\n';
		if (*c == '\n' || (*c == '\r' && !is_crlf)) {
			position.line++;
			position.column = 1;
		} else if (((unsigned char)*c & 0xc0) != 0x80) {
			position.column++;
		}
	}
	return position;
}

enum vm_status
lexer_fail(const struct lexer *lexer, const char *at, enum vm_status status, struct vm_error *err,
           const char *format, ...)
{
	struct text_position position = lexer_position(lexer, at);
	char text[VM_ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return vm_error_set(err, status, (uint64_t)(at - lexer->start),
	                    "line %llu, column %llu: %s", (unsigned long long)position.line,
	                    (unsigned long long)position.column, text);
}

/* --- characters ----------------------------------------------------------------------------- */

static bool
is_idchar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-./:<=>?@\\^_`|~", c) != NULL);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
starts_with(const char *at, const char *end, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(end - at) >= len && memcmp(at, text, len) == 0;
}

/* --- strings -------------------------------------------------------------------------------- */

/* \u{...}: the code point, or -1; *at is moved behind it. */
static int64_t
read_code_point(const char **at, const char *end)
{
	const char *c = *at;
	uint32_t value = 0;
	bool has_digit = false;

	if (c == end || *c++ != '{')
		return -1;
	for (; c < end && *c != '}'; c++) {
		if (*c == '_' && has_digit && c + 1 < end && hex_value(c[1]) >= 0)
			continue;
		if (hex_value(*c) < 0)
			return -1;
		has_digit = true;
		value = value * 16 + (uint32_t)hex_value(*c);
		if (value > 0x10ffff)
			return -1;
	}
	if (c == end || !has_digit || (value >= 0xd800 && value < 0xe000))
		return -1;
	*at = c + 1;
	return value;
}

/* Behind a backslash: false when it is no escape; *at is moved behind it. */
static bool
skip_escape(const char **at, const char *end)
{
	const char *c = *at;

	if (c == end)
		return false;
	if (strchr("tnr\"'\\", *c) != NULL && *c != '\0') {
		*at = c + 1;
		return true;
	}
	if (*c == 'u') {
		*at = c + 1;
		return read_code_point(at, end) >= 0;
	}
	if (end - c < 2 || hex_value(c[0]) < 0 || hex_value(c[1]) < 0)
		return false;
	*at = c + 2;
	return true;
}

/* *at is at the opening quote, and moved behind the closing one. */
static enum vm_status
skip_string(const struct lexer *lexer, const char **at, struct vm_error *err)
{
	const char *open = *at;
	const char *c = open + 1;

	while (c < lexer->end && *c != '"') {
		const char *here = c;
		unsigned char byte = (unsigned char)*c++;
		if (byte < 0x20 || byte == 0x7f)
			return lexer_fail(lexer, here, VM_E_MALFORMED, err,
			                  "character 0x%02x in a string: write it as \\%02x", byte,
			                  byte);
		if (byte == '\\' && !skip_escape(&c, lexer->end))
			return lexer_fail(lexer, here, VM_E_MALFORMED, err,
			                  "unknown escape in a string");
	}
	if (c == lexer->end)
		return lexer_fail(lexer, open, VM_E_MALFORMED, err, "the string has no end");
	*at = c + 1;
	return VM_OK;
}

static uint8_t *
put_utf8(uint8_t *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (uint8_t)code;
	} else if (code < 0x800) {
		*to++ = (uint8_t)(0xc0 | code >> 6);
		*to++ = (uint8_t)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*to++ = (uint8_t)(0xe0 | code >> 12);
		*to++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		*to++ = (uint8_t)(0x80 | (code & 0x3f));
	} else {
		*to++ = (uint8_t)(0xf0 | code >> 18);
		*to++ = (uint8_t)(0x80 | (code >> 12 & 0x3f));
		*to++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		*to++ = (uint8_t)(0x80 | (code & 0x3f));
	}
	return to;
}

/* What follows a backslash; *at is moved behind it. */
static uint8_t *
put_escape(uint8_t *to, const char **at, const char *end)
{
	static const char from_letters[] = "tnr\"'\\";
	static const char to_bytes[] = "\t\n\r\"'\\";
	const char *c = *at;
	const char *letter = strchr(from_letters, *c);

	*at = c + 1;
	if (letter != NULL && *c != '\0') {
		*to++ = (uint8_t)to_bytes[letter - from_letters];
	} else if (*c == 'u') {
		to = put_utf8(to, (uint32_t)read_code_point(at, end));
	} else {
		*to++ = (uint8_t)(hex_value(c[0]) << 4 | hex_value(c[1]));
		*at = c + 2;
	}
	return to;
}

size_t
lexer_string_bytes(const struct token *token, uint8_t *out)
{
	const char *end = token->text + token->len - 1;
	uint8_t *to = out;

	for (const char *c = token->text + 1; c < end;) {
		if (*c == '\\') {
			c++;
			to = put_escape(to, &c, end);
		} else {
			*to++ = (uint8_t)*c++;
		}
	}
	return (size_t)(to - out);
}

/* --- words ---------------------------------------------------------------------------------- */

/*
 * Words are runs of identifier characters, strings and , ; [ ] { } without anything in between;
 * which kind of token one is, if any, is decided by the whole of it.
 */
static enum vm_status
read_word(struct lexer *lexer, const char *at, struct vm_error *err)
{
	const char *c = at;
	unsigned strings = 0;
	bool has_other = false;
	const char *first_string = NULL;
	bool is_string_last = false;

	while (c < lexer->end && !starts_with(c, lexer->end, ";;")) {
		if (*c == '"') {
			is_string_last = true;
			if (strings++ == 0)
				first_string = c;
			enum vm_status st = skip_string(lexer, &c, err);
			if (st != VM_OK)
				return st;
			continue;
		}
		if (!is_idchar(*c)) {
			if (*c == '\0' || strchr(",;[]{}", *c) == NULL)
				break;
			has_other = true;
		}
		is_string_last = false;
		c++;
	}
	if (c == at)
		return lexer_fail(lexer, at, VM_E_MALFORMED, err, "unexpected character");

	struct token *token = &lexer->token;
	token->text = at;
	token->len = (size_t)(c - at);
	lexer->next = c;
	if (has_other || strings > 1 || (strings == 1 && !is_string_last))
		token->kind = TOKEN_RESERVED;
	else if (strings == 1)
		token->kind = first_string == at                        ? TOKEN_STRING
		              : first_string == at + 1 && *at == '$' ? TOKEN_ID
		                                                       : TOKEN_RESERVED;
	else if (*at == '$')
		token->kind = token->len > 1 ? TOKEN_ID : TOKEN_RESERVED;
	else if (*at >= 'a' && *at <= 'z')
		token->kind = TOKEN_KEYWORD;
	else if ((*at >= '0' && *at <= '9') || *at == '+' || *at == '-')
		token->kind = TOKEN_NUMBER;
	else
		token->kind = TOKEN_RESERVED;
	return VM_OK;
}

/* --- what is passed over -------------------------------------------------------------------- */

static enum vm_status
skip_block_comment(const struct lexer *lexer, const char **at, struct vm_error *err)
{
	const char *open = *at;
	const char *c = open + 2;
	uint64_t depth = 1;

	while (depth > 0) {
		if (c == lexer->end)
			return lexer_fail(lexer, open, VM_E_MALFORMED, err,
			                  "the comment has no end");
		if (starts_with(c, lexer->end, "(;")) {
			depth++;
			c += 2;
		} else if (starts_with(c, lexer->end, ";)")) {
			depth--;
			c += 2;
		} else {
			c++;
		}
	}
	*at = c;
	return VM_OK;
}

/* White space and comments. */
static enum vm_status
skip_space(const struct lexer *lexer, const char **at, struct vm_error *err)
{
	const char *c = *at;
	enum vm_status st = VM_OK;

	while (c < lexer->end && st == VM_OK) {
		if (*c == ' ' || *c == '\t' || *c == '\n' || *c == '\r') {
			c++;
		} else if (starts_with(c, lexer->end, ";;")) {
			while (c < lexer->end && *c != '\n' && *c != '\r')
				c++;
		} else if (starts_with(c, lexer->end, "(;")) {
			st = skip_block_comment(lexer, &c, err);
		} else {
			break;
		}
	}
	*at = c;
	return st;
}

/* (@name ...), whose tokens may be any, parentheses balanced. */
static enum vm_status
skip_annotation(const struct lexer *lexer, const char **at, struct vm_error *err)
{
	struct lexer inner = *lexer;
	const char *open = *at;
	const char *c = open + 2;
	uint64_t depth = 1;

	if (c < lexer->end && *c == '"') {
		const char *quote = c;
		enum vm_status st = skip_string(lexer, &c, err);
		if (st != VM_OK)
			return st;
		if (c - quote == 2)
			return lexer_fail(lexer, open, VM_E_MALFORMED, err,
			                  "the annotation has an empty name");
	} else {
		while (c < lexer->end && is_idchar(*c))
			c++;
		if (c == open + 2)
			return lexer_fail(lexer, open, VM_E_MALFORMED, err,
			                  "the annotation has no name");
	}
	while (depth > 0) {
		enum vm_status st = skip_space(lexer, &c, err);
		if (st != VM_OK)
			return st;
		if (c == lexer->end)
			return lexer_fail(lexer, open, VM_E_MALFORMED, err,
			                  "the annotation has no end");
		if (*c == '(' || *c == ')') {
			depth = *c == '(' ? depth + 1 : depth - 1;
			c++;
			continue;
		}
		st = read_word(&inner, c, err);
		if (st != VM_OK)
			return st;
		c = inner.next;
	}
	*at = c;
	return VM_OK;
}

/* --- tokens --------------------------------------------------------------------------------- */

static bool
is_annotation(const struct lexer *lexer, const char *at)
{
	return starts_with(at, lexer->end, "(@");
}

enum vm_status
lexer_next(struct lexer *lexer, struct vm_error *err)
{
	const char *c = lexer->next;
	enum vm_status st = skip_space(lexer, &c, err);

	while (st == VM_OK && is_annotation(lexer, c)) {
		st = skip_annotation(lexer, &c, err);
		if (st == VM_OK)
			st = skip_space(lexer, &c, err);
	}
	if (st != VM_OK)
		return st;
	if (c < lexer->end && *c != '(' && *c != ')')
		return read_word(lexer, c, err);
	lexer->token.kind = c == lexer->end ? TOKEN_END : *c == '(' ? TOKEN_OPEN : TOKEN_CLOSE;
	lexer->token.text = c;
	lexer->token.len = c < lexer->end;
	lexer->next = c + lexer->token.len;
	return VM_OK;
}

/* Of a text that is not UTF-8: its first character that is none. */
static const char *
first_malformed(const struct lexer *lexer)
{
	const char *c = lexer->start;

	while (c < lexer->end) {
		unsigned char lead = (unsigned char)*c;
		size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
		if ((size_t)(lexer->end - c) < len || !utf8_is_valid((const uint8_t *)c, len))
			break;
		c += len;
	}
	return c;
}

enum vm_status
lexer_init(struct lexer *lexer, const char *text, size_t len, struct vm_error *err)
{
	*lexer = (struct lexer){ .start = text, .next = text, .end = text + len };
	if (!utf8_is_valid((const uint8_t *)text, len))
		return lexer_fail(lexer, first_malformed(lexer), VM_E_UTF8, err,
		                  "malformed UTF-8 encoding");
	return lexer_next(lexer, err);
}
