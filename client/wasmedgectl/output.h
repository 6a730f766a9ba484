/*
 * output.h - what people read: text that cannot harm a terminal, and aligned tables.
 *
 * Names, messages and guests' output come from elsewhere. A terminal obeys control characters,
 * so none of them gets there unescaped, nor do characters that reorder the text around them.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Write text so that it stays within its line: control characters, DEL, the C1 range and bidi
 * controls as \n, \x1b, \u202e; bytes that are not UTF-8 as \xNN; a backslash as it is.
 */
void output_text(FILE *out, const char *text, size_t len);

/* The same, but line feeds and tabs do what they say: for texts of several lines. */
void output_lines(FILE *out, const char *text, size_t len);

/* As output_text, into a buffer: cut at a character, NUL-terminated. */
void output_text_copy(char *buf, size_t size, const char *text);

/* "title     text", or the text alone, as a line, escaped; nothing when the text is empty. */
void output_field(FILE *out, const char *title, const char *text);

/* Columns that a text takes, one a character. */
size_t output_columns(const char *text, size_t len);

/* --- tables --- */

enum output_align { OUTPUT_LEFT, OUTPUT_RIGHT };

struct output_column {
	const char *title;
	enum output_align align;
	bool shrinks; /* is cut, with "...", when the table is wider than the terminal */
};

#define OUTPUT_COLUMNS_MAX 10

struct output_table {
	const struct output_column *columns;
	size_t column_count;
	char **cells; /* row after row; escaped */
	size_t cell_count;
	size_t capacity;
	bool failed;
};

void output_table_init(struct output_table *table, const struct output_column *columns,
                       size_t column_count);
/* Append the next cell (copied); NULL is "-". Memory trouble is reported by the print. */
void output_table_add(struct output_table *table, const char *text);
void output_table_add_format(struct output_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Print with titles; width 0 is no limit. Returns false when memory was short. */
bool output_table_print(const struct output_table *table, FILE *out, size_t width);
void output_table_clear(struct output_table *table);

/* --- small texts: buf is filled and returned --- */

#define OUTPUT_SHORT_MAX 32

/* "12 B", "47.1 KiB", "3.2 MiB" */
char *output_size(uint64_t bytes, char buf[static OUTPUT_SHORT_MAX]);
/* "161 us", "2.5 ms", "3.1 s", "2 min 5 s" */
char *output_duration(uint64_t us, char buf[static OUTPUT_SHORT_MAX]);
/* "12 s ago", "3 min ago", "5 h ago", "2026-11-22"; the text itself when it is no RFC 3339 time */
char *output_age(const char *rfc3339, int64_t now_s, char buf[static OUTPUT_SHORT_MAX]);
/* Seconds since 1970 of "2026-11-22T14:23:05[.frac]Z"; false for anything else. */
bool output_parse_time(const char *text, int64_t *out_s);

/* --- documents --- */

/*
 * Write a JSON tree as YAML 1.2, block style, keys in their order. Every string is quoted, so
 * that none is taken for a number, a boolean or a date. False when memory was short.
 */
bool output_yaml(FILE *out, const json_t *json);
