#include "client/wasmedgectl/output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "rpc/utf8.h"

/* Bytes of the character at text; 0 when it is not UTF-8. Stores its code point. */
static size_t
decode(const char *text, size_t len, uint32_t *out)
{
	static const unsigned char first_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned char c = (unsigned char)text[0];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

	if (n > len || rpc_utf8_prefix(text, n) != n)
		return 0;
	*out = c & first_mask[n];
	for (size_t i = 1; i < n; i++)
		*out = *out << 6 | ((unsigned char)text[i] & 0x3f);
	return n;
}

static bool
is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void
put_escape(FILE *out, uint32_t c)
{
	if (c == '\n')
		fputs("\\n", out);
	else if (c == '\t')
		fputs("\\t", out);
	else if (c == '\r')
		fputs("\\r", out);
	else if (c < 0x80)
		fprintf(out, "\\x%02" PRIx32, c);
	else
		fprintf(out, "\\u%04" PRIx32, c);
}

static void
put_text(FILE *out, const char *text, size_t len, const char *allowed)
{
	while (len > 0) {
		uint32_t c = 0;
		size_t n = decode(text, len, &c);

		if (n == 0) {
			fprintf(out, "\\x%02x", (unsigned)(unsigned char)*text);
			n = 1;
		} else if (is_unsafe(c) &&
		           (c == 0 || c >= 0x80 || strchr(allowed, (int)c) == NULL)) {
			put_escape(out, c);
		} else {
			fwrite(text, 1, n, out);
		}
		text += n;
		len -= n;
	}
}

void
output_text(FILE *out, const char *text, size_t len)
{
	put_text(out, text, len, "");
}

void
output_lines(FILE *out, const char *text, size_t len)
{
	put_text(out, text, len, "\n\t");
}

/* The text escaped, in new memory; NULL when that is short. */
static char *
escaped(const char *text, size_t len)
{
	char *bytes = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&bytes, &size);

	if (memory == NULL)
		return NULL;
	output_text(memory, text, len);
	if (fclose(memory) != 0) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

void
output_text_copy(char *buf, size_t size, const char *text)
{
	char *safe = escaped(text, strlen(text));
	size_t len = safe != NULL ? strlen(safe) : 0;

	if (len >= size)
		len = rpc_utf8_prefix(safe, size - 1);
	if (len > 0)
		memcpy(buf, safe, len);
	buf[len] = '\0';
	free(safe);
}

void
output_field(FILE *out, const char *title, const char *text)
{
	if (text[0] == '\0')
		return;
	if (title[0] != '\0')
		fprintf(out, "%-10s", title);
	output_text(out, text, strlen(text));
	fputc('\n', out);
}

size_t
output_columns(const char *text, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

/* Bytes of the first `columns` characters. */
static size_t
prefix_bytes(const char *text, size_t columns)
{
	size_t i = 0;

	for (; text[i] != '\0'; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80 && columns-- == 0)
			break;
	return i;
}

void
output_table_init(struct output_table *table, const struct output_column *columns,
                  size_t column_count)
{
	*table = (struct output_table){ .columns = columns, .column_count = column_count };
}

void
output_table_clear(struct output_table *table)
{
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct output_table){ 0 };
}

void
output_table_add(struct output_table *table, const char *text)
{
	if (text == NULL || *text == '\0')
		text = "-";
	if (table->cell_count == table->capacity) {
		size_t capacity = table->capacity == 0 ? 64 : 2 * table->capacity;
		char **grown = reallocarray(table->cells, capacity, sizeof(*grown));

		if (grown == NULL) {
			table->failed = true;
			return;
		}
		table->cells = grown;
		table->capacity = capacity;
	}
	char *cell = escaped(text, strlen(text));
	if (cell == NULL)
		table->failed = true;
	else
		table->cells[table->cell_count++] = cell;
}

void
output_table_add_format(struct output_table *table, const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, format);
	int len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0) {
		table->failed = true;
		return;
	}
	output_table_add(table, text);
	free(text);
}

#define GAP 2
#define SHRUNK_MIN 12

static size_t
cell_columns(const struct output_table *table, size_t index)
{
	return output_columns(table->cells[index], strlen(table->cells[index]));
}

/* The width of each column, and their sum with the gaps. */
static size_t
measure(const struct output_table *table, size_t widths[OUTPUT_COLUMNS_MAX])
{
	size_t total = 0;

	for (size_t c = 0; c < table->column_count; c++) {
		widths[c] = strlen(table->columns[c].title);
		for (size_t i = c; i < table->cell_count; i += table->column_count)
			if (cell_columns(table, i) > widths[c])
				widths[c] = cell_columns(table, i);
		total += widths[c] + (c > 0 ? GAP : 0);
	}
	return total;
}

/* Takes from the widest column that may shrink until the table fits or none is left. */
static void
shrink(const struct output_table *table, size_t widths[OUTPUT_COLUMNS_MAX], size_t total,
       size_t width)
{
	while (total > width) {
		size_t widest = SIZE_MAX;

		for (size_t c = 0; c < table->column_count; c++)
			if (table->columns[c].shrinks && widths[c] > SHRUNK_MIN &&
			    (widest == SIZE_MAX || widths[c] > widths[widest]))
				widest = c;
		if (widest == SIZE_MAX)
			return;
		widths[widest]--;
		total--;
	}
}

static void
print_cell(const struct output_table *table, FILE *out, const char *text, size_t column,
           size_t width)
{
	size_t columns = output_columns(text, strlen(text));
	bool is_last = column + 1 == table->column_count;
	bool is_cut = columns > width;
	int padding = is_cut ? 0 : (int)(width - columns);

	if (column > 0)
		fprintf(out, "%*s", GAP, "");
	if (table->columns[column].align == OUTPUT_RIGHT)
		fprintf(out, "%*s", padding, "");
	if (is_cut)
		fprintf(out, "%.*s...", (int)prefix_bytes(text, width - 3), text);
	else
		fputs(text, out);
	if (table->columns[column].align == OUTPUT_LEFT && !is_last)
		fprintf(out, "%*s", padding, "");
	if (is_last)
		fputc('\n', out);
}

bool
output_table_print(const struct output_table *table, FILE *out, size_t width)
{
	size_t widths[OUTPUT_COLUMNS_MAX];

	if (table->failed)
		return false;
	size_t total = measure(table, widths);
	if (width > 0)
		shrink(table, widths, total, width);
	for (size_t c = 0; c < table->column_count; c++)
		print_cell(table, out, table->columns[c].title, c, widths[c]);
	for (size_t i = 0; i < table->cell_count; i++)
		print_cell(table, out, table->cells[i], i % table->column_count,
		           widths[i % table->column_count]);
	return true;
}

char *
output_size(uint64_t bytes, char buf[static OUTPUT_SHORT_MAX])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(buf, OUTPUT_SHORT_MAX, "%" PRIu64 " B", bytes);
		return buf;
	}
	for (; value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		value /= 1024;
	snprintf(buf, OUTPUT_SHORT_MAX, "%.1f %s", value, units[unit]);
	return buf;
}

char *
output_duration(uint64_t us, char buf[static OUTPUT_SHORT_MAX])
{
	if (us < 1000)
		snprintf(buf, OUTPUT_SHORT_MAX, "%" PRIu64 " us", us);
	else if (us < 1000000)
		snprintf(buf, OUTPUT_SHORT_MAX, "%.1f ms", (double)us / 1e3);
	else if (us < 60000000)
		snprintf(buf, OUTPUT_SHORT_MAX, "%.1f s", (double)us / 1e6);
	else if (us < UINT64_C(3600000000))
		snprintf(buf, OUTPUT_SHORT_MAX, "%" PRIu64 " min %" PRIu64 " s", us / 60000000,
		         us / 1000000 % 60);
	else
		snprintf(buf, OUTPUT_SHORT_MAX, "%" PRIu64 " h %" PRIu64 " min",
		         us / UINT64_C(3600000000), us / 60000000 % 60);
	return buf;
}

bool
output_parse_time(const char *text, int64_t *out_s)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (rest == NULL)
		return false;
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (strcmp(rest, "Z") != 0)
		return false;
	*out_s = timegm(&tm);
	return true;
}

char *
output_age(const char *rfc3339, int64_t now_s, char buf[static OUTPUT_SHORT_MAX])
{
	int64_t then_s;

	if (!output_parse_time(rfc3339, &then_s)) {
		output_text_copy(buf, OUTPUT_SHORT_MAX, rfc3339);
		return buf;
	}
	int64_t age_s = now_s > then_s ? now_s - then_s : 0;
	if (age_s < 60)
		snprintf(buf, OUTPUT_SHORT_MAX, "%" PRId64 " s ago", age_s);
	else if (age_s < 3600)
		snprintf(buf, OUTPUT_SHORT_MAX, "%" PRId64 " min ago", age_s / 60);
	else if (age_s < 2 * 86400)
		snprintf(buf, OUTPUT_SHORT_MAX, "%" PRId64 " h ago", age_s / 3600);
	else
		snprintf(buf, OUTPUT_SHORT_MAX, "%.10s", rfc3339);
	return buf;
}

/* --- YAML --- */

static bool
is_plain_key(const char *key)
{
	static const char *const reserved[] = { "true", "false", "null", "yes", "no",
		                                "on",   "off",   "y",    "n" };

	if (key[0] < 'a' || key[0] > 'z' ||
	    strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(key))
		return false;
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(key, reserved[i]) == 0)
			return false;
	return true;
}

/* Double quotes with the escapes of both YAML and JSON. */
static void
yaml_string(FILE *out, const char *text, size_t len)
{
	fputc('"', out);
	while (len > 0) {
		uint32_t c = 0;
		size_t n = decode(text, len, &c);

		if (n == 0)
			n = 1; /* cannot be: jansson holds UTF-8 only */
		else if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (is_unsafe(c))
			fprintf(out, "\\u%04" PRIx32, c);
		else
			fwrite(text, 1, n, out);
		text += n;
		len -= n;
	}
	fputc('"', out);
}

static bool yaml_value(FILE *out, const json_t *json, int indent, bool after_dash);

static bool
yaml_object(FILE *out, const json_t *json, int indent, bool after_dash)
{
	const char *key;
	json_t *value;
	json_t *object = json_incref((json_t *)(uintptr_t)json); /* its iterator wants it mutable */
	bool ok = true;

	json_object_foreach (object, key, value) {
		if (!after_dash)
			fprintf(out, "%*s", indent, "");
		after_dash = false;
		if (is_plain_key(key))
			fputs(key, out);
		else
			yaml_string(out, key, strlen(key));
		fputc(':', out);
		ok = ok && yaml_value(out, value, indent + 2, false);
	}
	json_decref(object);
	return ok;
}

static bool
yaml_array(FILE *out, const json_t *json, int indent, bool after_dash)
{
	bool ok = true;

	for (size_t i = 0; i < json_array_size(json); i++) {
		fprintf(out, "%*s-", after_dash ? 0 : indent, "");
		after_dash = false;
		ok = ok && yaml_value(out, json_array_get(json, i), indent + 2, true);
	}
	return ok;
}

static bool
yaml_scalar(FILE *out, const json_t *json)
{
	fputc(' ', out);
	if (json_is_string(json)) {
		yaml_string(out, json_string_value(json), json_string_length(json));
	} else {
		char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);

		if (text == NULL)
			return false;
		fputs(text, out);
		free(text);
	}
	fputc('\n', out);
	return true;
}

/* What follows "key:" (a new line for a block) or "-" (the block begins beside the dash). */
static bool
yaml_value(FILE *out, const json_t *json, int indent, bool after_dash)
{
	bool is_block =
	    json_is_object(json) ? json_object_size(json) > 0 : json_array_size(json) > 0;

	if (!is_block)
		return yaml_scalar(out, json);
	fputc(after_dash ? ' ' : '\n', out);
	return json_is_object(json) ? yaml_object(out, json, indent, after_dash)
	                            : yaml_array(out, json, indent, after_dash);
}

bool
output_yaml(FILE *out, const json_t *json)
{
	if (json_is_object(json) && json_object_size(json) > 0)
		return yaml_object(out, json, 0, false);
	if (json_array_size(json) > 0)
		return yaml_array(out, json, 0, false);
	return yaml_scalar(out, json);
}
