/*
 * lexer.h - tokens of the text format.
 *
 * White space, comments and annotations are passed over. A lexer is a plain value: a copy of it is
 * a place in the text to come back to.
 *
 * Spec:    Core 3.0, section 6.3; appendix "Custom Sections and Annotations" for (@...)
 * Owns:    nothing
 * Borrows: the text
 * Threads: one at a time
 */
#pragma once

#include "vm/error.h"

enum token_kind {
	TOKEN_END,      /* of the text */
	TOKEN_OPEN,     /* ( */
	TOKEN_CLOSE,    /* ) */
	TOKEN_KEYWORD,  /* starts with a small letter: also inf, nan, nan:0x..., offset=4 */
	TOKEN_ID,       /* $name, $"name" */
	TOKEN_STRING,   /* with its quotes */
	TOKEN_NUMBER,   /* starts with a digit or a sign; whether it is one is not yet known */
	TOKEN_RESERVED, /* any other word: no token of the grammar */
};

struct token {
	enum token_kind kind;
	const char *text; /* as it stands in the source */
	size_t len;
};

struct lexer {
	const char *start; /* of the source */
	const char *next;  /* behind the token */
	const char *end;
	struct token token; /* the current one */
};

/* Begin, with the first token. Fails as lexer_next does. */
VM_MUST_CHECK enum vm_status lexer_init(struct lexer *lexer, const char *text, size_t len,
                                        struct vm_error *err);

/*
 * Go on to the next token.
 *
 * Returns VM_E_UTF8      the text is not UTF-8
 *         VM_E_MALFORMED a character that may not be there; a comment, string or annotation
 *                        without its end
 */
VM_MUST_CHECK enum vm_status lexer_next(struct lexer *lexer, struct vm_error *err);

/* Where a place in the text is, counted from 1; columns are characters. */
struct text_position {
	uint64_t line;
	uint64_t column;
};

struct text_position lexer_position(const struct lexer *lexer, const char *at);

/* Fail at a place: "line 3, column 14: ..."; the offset is that of the place in the text. */
VM_COLD enum vm_status lexer_fail(const struct lexer *lexer, const char *at, enum vm_status status,
                                  struct vm_error *err, const char *format, ...)
    VM_PRINTF(5, 6);

/*
 * The bytes that a string token stands for; out has room for token->len bytes. Escapes were checked
 * when the token was read. Returns their number.
 */
size_t lexer_string_bytes(const struct token *token, uint8_t *out);

static inline bool
token_is(const struct token *token, struct vm_str keyword)
{
	return token->kind == TOKEN_KEYWORD && token->len == keyword.len &&
	       __builtin_memcmp(token->text, keyword.data, keyword.len) == 0;
}
