#include "daemon/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define VALUE_BYTES_MAX 4096
#define ENVIRONMENT_PREFIX "WASMEDGED_"
#define OPTION_SECTION "plugin"
#define OPTION_NAME_MAX 64

/* ---- the table ---- */

enum config_type { TEXT, PATH, LIST, ADDRESS, BOOL, COUNT, SIZE, TIME, MODE, CHOICE_TYPE };
enum config_context { STARTUP, RELOAD };

#define TYPE_TEXT TEXT
#define TYPE_PATH PATH
#define TYPE_LIST LIST
#define TYPE_ADDRESS ADDRESS
#define TYPE_BOOL BOOL
#define TYPE_COUNT COUNT
#define TYPE_SIZE SIZE
#define TYPE_TIME TIME
#define TYPE_MODE MODE
#define TYPE_CHOICE CHOICE_TYPE

static const struct row {
	struct config_row public;
	enum config_type type;
	uint64_t min;
	uint64_t max;
	size_t offset; /* of the field in struct config */
} rows[CONFIG_KEY_COUNT] = {
#define SETTING(section, key, type, default_text, min, max, context, doc)                          \
	{ { #section, #key, default_text, doc, context == STARTUP },                               \
	  TYPE_##type,                                                                             \
	  min,                                                                                     \
	  max,                                                                                     \
	  offsetof(struct config, section##_##key) },
#include "daemon/config.def"
};

static const struct choice {
	enum config_key key;
	const char *text;
} choices[] = {
#define CHOICE(section, key, symbol, text) { CONFIG_KEY_##section##_##key, text },
#include "daemon/config.def"
};
#define CHOICE_COUNT (sizeof choices / sizeof choices[0])

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "TiB", UINT64_C(1) << 40 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "B", 1 },
	{ NULL, 0 },
};
static const struct unit time_units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "min", 60000 },
	{ "s", 1000 },     { "ms", 1 },      { NULL, 0 },
};

struct config_private {
	atomic_uint references;
	char *texts[CONFIG_KEY_COUNT];   /* the values as written, unquoted */
	char *origins[CONFIG_KEY_COUNT]; /* NULL: built-in */
	char *words[CONFIG_KEY_COUNT];   /* what the items of a list point into */
	const char **items[CONFIG_KEY_COUNT];
};

/* ---- messages ---- */

/* Where a piece of text stands. */
struct place {
	const char *source; /* file, "--set", "environment" */
	unsigned line;      /* 0: the source has none */
	unsigned column;
};

static bool VM_PRINTF(3, 4)
    refuse(struct config_error *err, const struct place *place, const char *format, ...)
{
	size_t size = sizeof err->message;
	va_list args;

	if (place->line > 0)
		snprintf(err->message, size, "%s:%u:%u: ", place->source, place->line,
			 place->column);
	else
		snprintf(err->message, size, "%s: ", place->source);
	size_t used = strlen(err->message);
	va_start(args, format);
	vsnprintf(err->message + used, size - used, format, args);
	va_end(args);
	return false;
}

/* ---- values ---- */

static bool
parse_digits(const char *text, unsigned base, uint64_t *out, const char **out_end)
{
	uint64_t value = 0;
	const char *next = text;

	for (; *next >= '0' && *next < (char)('0' + base); next++) {
		unsigned digit = (unsigned)(*next - '0');

		if (value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*out = value;
	*out_end = next;
	return next > text;
}

bool
config_parse_count(const char *text, uint64_t *out)
{
	const char *end;
	uint64_t value;

	if (!parse_digits(text, 10, &value, &end) || *end != '\0')
		return false;
	*out = value;
	return true;
}

static bool
parse_mode(const char *text, uint64_t *out)
{
	const char *end;

	return parse_digits(text, 8, out, &end) && *end == '\0';
}

/* A number and a unit of the table; 0 is 0 in any unit. */
static bool
parse_units(const char *text, const struct unit *units, uint64_t *out)
{
	const char *end;
	uint64_t value;

	if (!parse_digits(text, 10, &value, &end))
		return false;
	if (value == 0 && *end == '\0') {
		*out = 0;
		return true;
	}
	while (units->name != NULL && strcmp(units->name, end) != 0)
		units++;
	if (units->name == NULL || value > UINT64_MAX / units->factor)
		return false;
	*out = value * units->factor;
	return true;
}

bool
config_parse_size(const char *text, uint64_t *out_bytes)
{
	return parse_units(text, size_units, out_bytes);
}

bool
config_parse_time(const char *text, uint64_t *out_ms)
{
	return parse_units(text, time_units, out_ms);
}

static bool
parse_bool(const char *text, uint64_t *out)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i % 2;
			return true;
		}
	return false;
}

static bool
parse_choice(const struct row *row, const char *text, uint64_t *out)
{
	for (unsigned i = 0; i < CHOICE_COUNT; i++)
		if (choices[i].key == (enum config_key)(row - rows) &&
		    strcmp(text, choices[i].text) == 0) {
			*out = i;
			return true;
		}
	return false;
}

static bool
parse_port(const char *text, in_port_t *out)
{
	uint64_t port;

	if (!config_parse_count(text, &port) || port > UINT16_MAX)
		return false;
	*out = htons((uint16_t)port);
	return true;
}

bool
config_parse_address(const char *text, struct sockaddr_storage *out, unsigned *out_size)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= sizeof host)
		return false;
	size_t size = (size_t)(colon - text);
	memcpy(host, text, size);
	host[size] = '\0';
	if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
		host[size - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1 ||
		    !parse_port(colon + 1, &v6.sin6_port))
			return false;
		memset(out, 0, sizeof *out);
		memcpy(out, &v6, sizeof v6);
		*out_size = sizeof v6;
		return true;
	}
	if (inet_pton(AF_INET, host, &v4.sin_addr) != 1 || !parse_port(colon + 1, &v4.sin_port))
		return false;
	memset(out, 0, sizeof *out);
	memcpy(out, &v4, sizeof v4);
	*out_size = sizeof v4;
	return true;
}

static bool
is_address(const char *text)
{
	struct sockaddr_storage address;
	unsigned size;

	return text[0] == '\0' || config_parse_address(text, &address, &size);
}

/* What a value of the type looks like, for messages. */
static const char *
expectation(enum config_type type)
{
	switch (type) {
	case TEXT:
	case LIST:
		return "a text";
	case PATH:
		return "an absolute path, or nothing";
	case ADDRESS:
		return "ADDRESS:PORT such as 127.0.0.1:8737 or [::1]:8737, or nothing";
	case BOOL:
		return "yes or no";
	case COUNT:
		return "a whole number";
	case SIZE:
		return "a size with its unit (B, KiB, MiB, GiB, TiB) such as 64MiB";
	case TIME:
		return "a time with its unit (ms, s, min, h, d) such as 30s";
	case MODE:
		return "an octal file mode such as 0660";
	case CHOICE_TYPE:
		return "one of:";
	}
	return "another value";
}

/* The words of a CHOICE setting: " a, b, c". */
static void
list_choices(const struct row *row, char *out, size_t out_size)
{
	const char *before = " ";

	out[0] = '\0';
	for (unsigned i = 0; i < CHOICE_COUNT; i++) {
		size_t used = strlen(out);

		if (choices[i].key != (enum config_key)(row - rows))
			continue;
		snprintf(out + used, out_size - used, "%s%s", before, choices[i].text);
		before = ", ";
	}
}

static bool
refuse_value(const struct row *row, const char *text, const struct place *place,
	     struct config_error *err)
{
	char words[128] = "";

	if (row->type == CHOICE_TYPE)
		list_choices(row, words, sizeof words);
	return refuse(err, place, "[%s] %s: expected %s%s, found \"%.60s\"", row->public.section,
		      row->public.key, expectation(row->type), words, text);
}

/* The number in the largest unit that divides it. */
static void
format_units(uint64_t value, const struct unit *units, char out[32])
{
	while (value > 0 && value % units->factor != 0)
		units++;
	if (value == 0)
		snprintf(out, 32, "0");
	else
		snprintf(out, 32, "%" PRIu64 "%s", value / units->factor, units->name);
}

static void
format_number(enum config_type type, uint64_t value, char out[32])
{
	if (type == SIZE)
		format_units(value, size_units, out);
	else if (type == TIME)
		format_units(value, time_units, out);
	else
		snprintf(out, 32, type == MODE ? "%04" PRIo64 : "%" PRIu64, value);
}

static bool
check_range(const struct row *row, uint64_t value, const char *text, const struct place *place,
	    struct config_error *err)
{
	char min[32], max[32];

	if (value >= row->min && value <= row->max)
		return true;
	format_number(row->type, row->min, min);
	format_number(row->type, row->max, max);
	return refuse(err, place, "[%s] %s: expected %s to %s, found \"%.60s\"",
		      row->public.section, row->public.key, min, max, text);
}

/* Check a value; numbers of any kind go into *out. */
static bool
parse_value(const struct row *row, const char *text, uint64_t *out, const struct place *place,
	    struct config_error *err)
{
	bool is_number = false;
	bool ok = true;

	*out = 0;
	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return refuse(err, place, "[%s] %s: control character 0x%02x",
				      row->public.section, row->public.key, (unsigned char)*at);
	switch (row->type) {
	case TEXT:
	case LIST:
		break;
	case PATH:
		ok = text[0] == '\0' || text[0] == '/';
		break;
	case ADDRESS:
		ok = is_address(text);
		break;
	case BOOL:
		ok = parse_bool(text, out);
		break;
	case CHOICE_TYPE:
		ok = parse_choice(row, text, out);
		break;
	case COUNT:
		ok = is_number = config_parse_count(text, out);
		break;
	case SIZE:
		ok = is_number = config_parse_size(text, out);
		break;
	case TIME:
		ok = is_number = config_parse_time(text, out);
		break;
	case MODE:
		ok = is_number = parse_mode(text, out);
		break;
	}
	if (!ok)
		return refuse_value(row, text, place, err);
	return !is_number || check_range(row, *out, text, place, err);
}

/* ---- fields ---- */

static void *
field_of(struct config *config, const struct row *row)
{
	return (char *)config + row->offset;
}

/* Split into items[]; words is the copy that they point into. Returns how many. */
static size_t
split_words(char *words, const char **items)
{
	static const char separators[] = ", \t";
	size_t count = 0;
	char *rest = words;

	for (char *word; (word = strtok_r(rest, separators, &rest)) != NULL;)
		items[count++] = word;
	return count;
}

static bool
set_list(struct config *config, const struct row *row, const char *text)
{
	struct config_private *private = config->private;
	size_t index = (size_t)(row - rows);
	char *words = strdup(text);
	/* Each word takes two characters but the last. */
	const char **items = calloc(strlen(text) / 2 + 1, sizeof *items);

	if (words == NULL || items == NULL) {
		free(words);
		free(items);
		return false;
	}
	free(private->words[index]);
	free(private->items[index]);
	private->words[index] = words;
	private->items[index] = items;
	*(struct config_list *)field_of(config, row) =
	    (struct config_list){ split_words(words, items), items };
	return true;
}

static bool
set_field(struct config *config, const struct row *row, const char *text, uint64_t number)
{
	void *field = field_of(config, row);

	switch (row->type) {
	case TEXT:
	case PATH:
	case ADDRESS:
		*(const char **)field = text;
		return true;
	case LIST:
		return set_list(config, row, text);
	case BOOL:
		*(bool *)field = number != 0;
		return true;
	case CHOICE_TYPE:
		*(unsigned *)field = (unsigned)number;
		return true;
	case COUNT:
	case SIZE:
	case TIME:
	case MODE:
		*(uint64_t *)field = number;
		return true;
	}
	return false;
}

/* Check a value and make it the setting's; origin NULL: built-in. */
static bool
assign(struct config *config, enum config_key key, const char *text, const char *origin,
       const struct place *place, struct config_error *err)
{
	struct config_private *private = config->private;
	const struct row *row = &rows[key];
	uint64_t number;

	if (!parse_value(row, text, &number, place, err))
		return false;
	char *text_copy = strdup(text);
	char *origin_copy = origin != NULL ? strdup(origin) : NULL;
	if (text_copy == NULL || (origin != NULL && origin_copy == NULL) ||
	    !set_field(config, row, text_copy, number)) {
		free(text_copy);
		free(origin_copy);
		return refuse(err, place, "out of memory");
	}
	free(private->texts[key]);
	free(private->origins[key]);
	private->texts[key] = text_copy;
	private->origins[key] = origin_copy;
	return true;
}

/* ---- options of plug-ins ---- */

static struct config_option *
find_option(struct config *config, const char *plugin, const char *name)
{
	for (size_t i = 0; i < config->option_count; i++)
		if (strcmp(config->options[i].plugin, plugin) == 0 &&
		    strcmp(config->options[i].name, name) == 0)
			return &config->options[i];
	return NULL;
}

static void
option_free(struct config_option *option)
{
	free((char *)(uintptr_t)option->plugin);
	free((char *)(uintptr_t)option->name);
	free((char *)(uintptr_t)option->value);
	free((char *)(uintptr_t)option->origin);
}

/* Set an option, or set it anew. */
static bool
assign_option(struct config *config, const char *plugin, const char *name, const char *value,
	      const char *origin, const struct place *place, struct config_error *err)
{
	struct config_option made = { strdup(plugin), strdup(name), strdup(value), strdup(origin) };
	struct config_option *option = find_option(config, plugin, name);

	if (option == NULL) {
		struct config_option *larger = reallocarray(
		    config->options, config->option_count + 1, sizeof *config->options);

		if (larger != NULL)
			config->options = larger;
		option = larger != NULL ? &larger[config->option_count] : NULL;
	}
	if (option == NULL || made.plugin == NULL || made.name == NULL || made.value == NULL ||
	    made.origin == NULL) {
		option_free(&made);
		return refuse(err, place, "out of memory");
	}
	if (option == config->options + config->option_count)
		config->option_count++;
	else
		option_free(option);
	*option = made;
	return true;
}

/* Lower-case letters, digits and '_', as plug-ins and their options are called. */
static bool
is_option_name(const char *text, size_t size)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	for (size_t i = 0; i < size; i++)
		if (text[i] == '\0' || strchr(letters, text[i]) == NULL)
			return false;
	return size > 0 && size <= OPTION_NAME_MAX;
}

/* ---- names ---- */

/* size characters of text against a NUL-terminated name. */
static bool
is_name(const char *name, const char *text, size_t size)
{
	return strlen(name) == size && memcmp(name, text, size) == 0;
}

static bool
has_section(const char *text, size_t size)
{
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++)
		if (is_name(rows[i].public.section, text, size))
			return true;
	return false;
}

static bool
find_key(const char *section, const char *text, size_t size, enum config_key *out)
{
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++)
		if (strcmp(rows[i].public.section, section) == 0 &&
		    is_name(rows[i].public.key, text, size)) {
			*out = (enum config_key)i;
			return true;
		}
	return false;
}

/* "a, b, c": the keys of a section, or with section NULL the sections. */
static void
list_names(const char *section, char *out, size_t out_size)
{
	out[0] = '\0';
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_row *row = &rows[i].public;
		bool is_new_section =
		    i == 0 || strcmp(row->section, rows[i - 1].public.section) != 0;
		size_t used = strlen(out);

		if (section != NULL ? strcmp(row->section, section) == 0 : is_new_section)
			snprintf(out + used, out_size - used, "%s%s", used > 0 ? ", " : "",
				 section != NULL ? row->key : row->section);
	}
}

static bool
refuse_key(const char *section, const char *text, size_t size, const struct place *place,
	   struct config_error *err)
{
	char names[256];

	list_names(section, names, sizeof names);
	return refuse(err, place, "unknown key \"%.*s\" in [%s]; it has: %s",
		      (int)(size < 40 ? size : 40), text, section, names);
}

static bool
refuse_section(const char *text, size_t size, const struct place *place, struct config_error *err)
{
	char names[256];

	list_names(NULL, names, sizeof names);
	return refuse(err, place, "unknown section \"%.*s\"; expected one of: %s",
		      (int)(size < 40 ? size : 40), text, names);
}

/* ---- files ---- */

struct parser {
	struct config *config;
	struct place place;
	const char *line_start;
	const char *section;              /* NULL before the first */
	char plugin[OPTION_NAME_MAX + 1]; /* of [plugin.NAME], where section is OPTION_SECTION */
	unsigned lines[CONFIG_KEY_COUNT]; /* where this file sets a key; 0: nowhere */
	struct config_error *err;
};

static const struct place *
place_at(struct parser *parser, const char *at)
{
	parser->place.column = (unsigned)(at - parser->line_start) + 1;
	return &parser->place;
}

static const char *
skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static const char *
skip_name(const char *at, const char *end)
{
	while (at < end && (isalnum((unsigned char)*at) || *at == '_'))
		at++;
	return at;
}

/* Only blanks and a comment up to the end of the line. */
static bool
expect_end(struct parser *parser, const char *at, const char *end)
{
	at = skip_blanks(at, end);
	if (at == end || *at == '#')
		return true;
	return refuse(parser->err, place_at(parser, at), "expected the end of the line, found '%c'",
		      isprint((unsigned char)*at) ? *at : '?');
}

/* "NAME]" of [plugin.NAME]. */
static bool
parse_plugin_section(struct parser *parser, const char *name, const char *end)
{
	const char *name_end = skip_name(name, end);
	size_t size = (size_t)(name_end - name);

	if (name_end == end || *name_end != ']')
		return refuse(parser->err, place_at(parser, name_end), "expected \"[section]\"");
	if (!is_option_name(name, size))
		return refuse(parser->err, place_at(parser, name),
			      "expected the name of a plug-in, found \"%.*s\"",
			      (int)(size < 40 ? size : 40), name);
	parser->section = OPTION_SECTION;
	memcpy(parser->plugin, name, size);
	parser->plugin[size] = '\0';
	return expect_end(parser, name_end + 1, end);
}

static bool
parse_section(struct parser *parser, const char *at, const char *end)
{
	const char *name = at + 1;
	const char *name_end = skip_name(name, end);

	if (name_end < end && *name_end == '.' &&
	    is_name(OPTION_SECTION, name, (size_t)(name_end - name)))
		return parse_plugin_section(parser, name_end + 1, end);
	if (name_end == end || *name_end != ']')
		return refuse(parser->err, place_at(parser, name_end), "expected \"[section]\"");
	if (!has_section(name, (size_t)(name_end - name)))
		return refuse_section(name, (size_t)(name_end - name), place_at(parser, name),
				      parser->err);
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++)
		if (is_name(rows[i].public.section, name, (size_t)(name_end - name)))
			parser->section = rows[i].public.section;
	return expect_end(parser, name_end + 1, end);
}

/* "text" with \" and \\; *next is after the closing quote. */
static bool
read_quoted(struct parser *parser, const char **next, const char *end,
	    char out[VALUE_BYTES_MAX + 1])
{
	const char *at = *next + 1;
	size_t size = 0;

	for (; at < end && *at != '"'; at++) {
		if (*at == '\\' && ++at < end && *at != '"' && *at != '\\')
			return refuse(parser->err, place_at(parser, at),
				      "expected \\\" or \\\\, found another character after \\");
		if (at == end || size == VALUE_BYTES_MAX)
			break;
		out[size++] = *at;
	}
	if (at == end || *at != '"')
		return refuse(parser->err, place_at(parser, *next),
			      "expected a closing quote within %d bytes on this line",
			      VALUE_BYTES_MAX);
	out[size] = '\0';
	*next = at + 1;
	return true;
}

/* Up to a comment or the end of the line, without the blanks at its end. */
static bool
read_plain(struct parser *parser, const char **next, const char *end, char out[VALUE_BYTES_MAX + 1])
{
	const char *start = *next;
	const char *at = start;

	while (at < end && !(*at == '#' && (at == start || at[-1] == ' ' || at[-1] == '\t')))
		at++;
	*next = at;
	while (at > start && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	if (at - start > VALUE_BYTES_MAX)
		return refuse(parser->err, place_at(parser, start), "value has more than %d bytes",
			      VALUE_BYTES_MAX);
	memcpy(out, start, (size_t)(at - start));
	out[at - start] = '\0';
	return true;
}

/* What stands behind the '='; start is where. */
static bool
read_value(struct parser *parser, const char *start, const char *end,
	   char out[VALUE_BYTES_MAX + 1])
{
	const char *next = start;

	if (start < end && *start == '"')
		return read_quoted(parser, &next, end, out) && expect_end(parser, next, end);
	return read_plain(parser, &next, end, out);
}

static bool
parse_assignment(struct parser *parser, enum config_key key, const char *at, const char *end)
{
	char value[VALUE_BYTES_MAX + 1];
	char origin[512];
	const char *start = skip_blanks(at, end);

	if (!read_value(parser, start, end, value))
		return false;
	snprintf(origin, sizeof origin, "%s:%u", parser->place.source, parser->place.line);
	return assign(parser->config, key, value, origin, place_at(parser, start), parser->err);
}

/* Of a plug-in: what it means is not known here. */
static bool
parse_option(struct parser *parser, const char *name, size_t size, const char *at, const char *end)
{
	char value[VALUE_BYTES_MAX + 1];
	char copy[OPTION_NAME_MAX + 1];
	char origin[512];

	if (!is_option_name(name, size))
		return refuse(parser->err, place_at(parser, name),
			      "expected an option of the plug-in, found \"%.*s\"",
			      (int)(size < 40 ? size : 40), name);
	memcpy(copy, name, size);
	copy[size] = '\0';
	const struct config_option *before = find_option(parser->config, parser->plugin, copy);
	size_t length = strlen(parser->place.source);
	if (before != NULL && strncmp(before->origin, parser->place.source, length) == 0 &&
	    before->origin[length] == ':')
		return refuse(parser->err, place_at(parser, name),
			      "[" OPTION_SECTION ".%s] %s is set already in line %s",
			      parser->plugin, copy, before->origin + length + 1);
	if (!read_value(parser, skip_blanks(at, end), end, value))
		return false;
	snprintf(origin, sizeof origin, "%s:%u", parser->place.source, parser->place.line);
	return assign_option(parser->config, parser->plugin, copy, value, origin,
			     place_at(parser, name), parser->err);
}

static bool
parse_key(struct parser *parser, const char *at, const char *end)
{
	const char *key_end = skip_name(at, end);
	const char *equals = skip_blanks(key_end, end);
	size_t size = (size_t)(key_end - at);
	enum config_key key;

	if (size == 0 || equals == end || *equals != '=')
		return refuse(parser->err, place_at(parser, size == 0 ? at : equals),
			      "expected \"key = value\", \"[section]\" or \"# comment\"");
	if (parser->section == NULL)
		return refuse(parser->err, place_at(parser, at),
			      "expected a [section] before the first key");
	if (strcmp(parser->section, OPTION_SECTION) == 0)
		return parse_option(parser, at, size, equals + 1, end);
	if (!find_key(parser->section, at, size, &key))
		return refuse_key(parser->section, at, size, place_at(parser, at), parser->err);
	if (parser->lines[key] != 0)
		return refuse(parser->err, place_at(parser, at),
			      "[%s] %s is set already in line %u", parser->section,
			      rows[key].public.key, parser->lines[key]);
	parser->lines[key] = parser->place.line;
	return parse_assignment(parser, key, equals + 1, end);
}

static bool
parse_line(struct parser *parser, const char *start, const char *end)
{
	parser->line_start = start;
	if (end > start && end[-1] == '\r')
		end--;
	for (const char *at = start; at < end; at++)
		if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
			return refuse(parser->err, place_at(parser, at), "control character 0x%02x",
				      (unsigned char)*at);
	const char *at = skip_blanks(start, end);
	if (at == end || *at == '#')
		return true;
	if (*at == '[')
		return parse_section(parser, at, end);
	return parse_key(parser, at, end);
}

static bool
parse_text(struct config *config, const char *name, const char *text, size_t size,
	   struct config_error *err)
{
	struct parser parser = { .config = config, .place = { .source = name }, .err = err };
	const char *end = text + size;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline != NULL ? newline : end;

		parser.place.line++;
		if (!parse_line(&parser, text, line_end))
			return false;
		text = newline != NULL ? newline + 1 : end;
	}
	return true;
}

/* The whole of a file, or of a pipe. */
static bool
read_file(const char *path, char **out_text, size_t *out_size, struct config_error *err)
{
	const struct place place = { .source = path };
	char *text = malloc(FILE_BYTES_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t got = 1;

	if (text == NULL || fd < 0) {
		refuse(err, &place, "cannot read: %s", strerror(text == NULL ? ENOMEM : errno));
		goto failed;
	}
	while (got > 0 && size <= FILE_BYTES_MAX) {
		got = read(fd, text + size, FILE_BYTES_MAX + 1 - size);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			size += (size_t)got;
	}
	if (got < 0 || size > FILE_BYTES_MAX) {
		if (got < 0)
			refuse(err, &place, "cannot read: %s", strerror(errno));
		else
			refuse(err, &place, "file has more than %zu bytes", FILE_BYTES_MAX);
		goto failed;
	}
	close(fd);
	*out_text = text;
	*out_size = size;
	return true;
failed:
	if (fd >= 0)
		close(fd);
	free(text);
	return false;
}

static bool
load_file(struct config *config, const char *path, struct config_error *err)
{
	char *text;
	size_t size;

	if (!read_file(path, &text, &size, err))
		return false;
	bool ok = parse_text(config, path, text, size, err);
	free(text);
	return ok;
}

static int
is_conf_name(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return entry->d_name[0] != '.' && size > 5 &&
	       strcmp(entry->d_name + size - 5, ".conf") == 0;
}

/* By bytes, whatever the locale. */
static int
compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool
load_entry(struct config *config, const char *folder, const char *name, struct config_error *err)
{
	const struct place place = { .source = folder };
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return refuse(err, &place, "out of memory");
	bool ok = load_file(config, path, err);
	free(path);
	return ok;
}

/* The .conf files of a folder, which need not exist. */
static bool
load_folder(struct config *config, const char *folder, struct config_error *err)
{
	const struct place place = { .source = folder };
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_conf_name, compare_names);
	bool ok = true;

	if (count < 0)
		return errno == ENOENT || errno == ENOTDIR
			   ? true
			   : refuse(err, &place, "cannot read: %s", strerror(errno));
	for (int i = 0; i < count; i++) {
		ok = ok && load_entry(config, folder, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return ok;
}

static bool
load_files(struct config *config, const char *path, struct config_error *err)
{
	const struct place place = { .source = path };
	const char *slash = strrchr(path, '/');
	char *folder;

	if (!load_file(config, path, err))
		return false;
	if (asprintf(&folder, "%.*sconf.d", slash != NULL ? (int)(slash - path) + 1 : 0, path) < 0)
		return refuse(err, &place, "out of memory");
	bool ok = load_folder(config, folder, err);
	free(folder);
	return ok;
}

/* ---- environment and command line ---- */

/* Whether an upper-case name (size characters) is the lower-case one. */
static bool
is_upper_name(const char *lower, const char *upper, size_t size)
{
	size_t i = 0;

	while (i < size && lower[i] != '\0' && toupper((unsigned char)lower[i]) == upper[i])
		i++;
	return i == size && lower[i] == '\0';
}

/* SECTION_KEY (size characters) to its row; *out_section: the section fits at least. */
static bool
find_upper(const char *name, size_t size, enum config_key *out, bool *out_section)
{
	*out_section = false;
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		size_t section = strlen(rows[i].public.section);

		if (size <= section || name[section] != '_' ||
		    !is_upper_name(rows[i].public.section, name, section))
			continue;
		*out_section = true;
		if (is_upper_name(rows[i].public.key, name + section + 1, size - section - 1)) {
			*out = (enum config_key)i;
			return true;
		}
	}
	return false;
}

static bool
load_variable(struct config *config, const char *variable, struct config_error *err)
{
	const size_t prefix = strlen(ENVIRONMENT_PREFIX);
	const char *equals = strchr(variable, '=');
	char origin[128];
	enum config_key key;
	bool section_fits;

	if (strncmp(variable, ENVIRONMENT_PREFIX, prefix) != 0 || equals == NULL)
		return true;
	snprintf(origin, sizeof origin, "environment %.*s", (int)(equals - variable), variable);
	const struct place place = { .source = origin };
	if (find_upper(variable + prefix, (size_t)(equals - variable) - prefix, &key,
		       &section_fits))
		return assign(config, key, equals + 1, origin, &place, err);
	return !section_fits || refuse(err, &place, "there is no such setting");
}

/* "NAME.option=value", what stands behind "plugin." of a --set. */
static bool
load_option(struct config *config, const char *set, struct config_error *err)
{
	const struct place place = { .source = "--set" };
	const char *equals = strchr(set, '=');
	const char *dot = strchr(set, '.');
	char plugin[OPTION_NAME_MAX + 1];
	char name[OPTION_NAME_MAX + 1];

	if (equals == NULL || dot == NULL || dot > equals ||
	    !is_option_name(set, (size_t)(dot - set)) ||
	    !is_option_name(dot + 1, (size_t)(equals - dot) - 1))
		return refuse(err, &place,
			      "expected " OPTION_SECTION ".NAME.option=value, found \""
			      OPTION_SECTION ".%.60s\"", set);
	snprintf(plugin, sizeof plugin, "%.*s", (int)(dot - set), set);
	snprintf(name, sizeof name, "%.*s", (int)(equals - dot) - 1, dot + 1);
	for (const char *at = equals + 1; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return refuse(err, &place, "[" OPTION_SECTION ".%s] %s: control character "
				      "0x%02x", plugin, name, (unsigned char)*at);
	return assign_option(config, plugin, name, equals + 1, "--set", &place, err);
}

static bool
load_set(struct config *config, const char *set, struct config_error *err)
{
	static const char options[] = OPTION_SECTION ".";
	const struct place place = { .source = "--set" };
	const char *dot = strchr(set, '.');
	const char *equals = strchr(set, '=');
	char section[64];
	enum config_key key;

	if (strncmp(set, options, sizeof options - 1) == 0)
		return load_option(config, set + sizeof options - 1, err);
	if (dot == NULL || equals == NULL || dot > equals)
		return refuse(err, &place, "expected section.key=value, found \"%.60s\"", set);
	size_t size = (size_t)(dot - set);
	if (!has_section(set, size))
		return refuse_section(set, size, &place, err);
	snprintf(section, sizeof section, "%.*s", (int)size, set);
	if (!find_key(section, dot + 1, (size_t)(equals - dot) - 1, &key))
		return refuse_key(section, dot + 1, (size_t)(equals - dot) - 1, &place, err);
	return assign(config, key, equals + 1, "--set", &place, err);
}

/* ---- contradictions ---- */

static bool
is_loopback(const char *address)
{
	struct sockaddr_storage storage;
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	unsigned size;

	if (!config_parse_address(address, &storage, &size))
		return false;
	if (storage.ss_family == AF_INET6) {
		memcpy(&v6, &storage, sizeof v6);
		return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
	}
	memcpy(&v4, &storage, sizeof v4);
	return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
}

static bool
check_listeners(const struct config *config, struct config_error *err)
{
	const struct place tcp = { .source = config_origin(config, CONFIG_KEY_listen_tcp) };
	const struct place path = { .source = config_origin(config, CONFIG_KEY_listen_unix) };
	const struct sockaddr_un *address = NULL;

	if (strlen(config->listen_unix) >= sizeof address->sun_path)
		return refuse(err, &path, "[listen] unix: a socket's path has at most %zu bytes",
			      sizeof address->sun_path - 1);
	if (config->listen_tcp[0] == '\0')
		return true;
	if (config->auth_tcp == CONFIG_auth_tcp_TOKEN && config->auth_tokens_file[0] == '\0')
		return refuse(err, &tcp,
			      "[listen] tcp is set, but nobody could use it: set [auth] "
			      "tokens_file, or [auth] tcp = none to let everybody in");
	if (!config->listen_tcp_unencrypted && !is_loopback(config->listen_tcp))
		return refuse(err, &tcp,
			      "[listen] tcp: %s can be reached from other machines and nothing "
			      "is encrypted; use 127.0.0.1 or [::1] behind a proxy, or set "
			      "[listen] tcp_unencrypted = yes",
			      config->listen_tcp);
	return true;
}

static bool
check_sizes(const struct config *config, struct config_error *err)
{
	const struct place place = { .source =
					 config_origin(config, CONFIG_KEY_limits_buffered_bytes) };

	if (config->limits_buffered_bytes < config->limits_module_bytes ||
	    config->limits_buffered_bytes < config->limits_body_bytes)
		return refuse(err, &place,
			      "[limits] buffered_bytes must be at least module_bytes (%s) and "
			      "body_bytes (%s)",
			      config_text(config, CONFIG_KEY_limits_module_bytes),
			      config_text(config, CONFIG_KEY_limits_body_bytes));
	return true;
}

static bool
check_store(const struct config *config, struct config_error *err)
{
	const struct place place = { .source = config_origin(config, CONFIG_KEY_store_directory) };

	if (config->store_directory[0] == '\0')
		return refuse(err, &place, "[store] directory: expected a path, found nothing");
	return true;
}

/* Processes of plug-ins are told what they may read by absolute paths. */
static bool
check_plugins(const struct config *config, struct config_error *err)
{
	const struct place place = { .source = config_origin(config, CONFIG_KEY_plugins_path) };
	const struct place list = { .source = config_origin(config, CONFIG_KEY_plugins_readable) };

	for (const char *path = config->plugins_path; *path != '\0';) {
		size_t size = strcspn(path, ":");

		if (size > 0 && path[0] != '/')
			return refuse(err, &place, "[plugins] path: expected absolute paths, found "
				      "\"%.*s\"", (int)(size < 60 ? size : 60), path);
		path += size + (path[size] == ':');
	}
	for (size_t i = 0; i < config->plugins_readable.count; i++)
		if (config->plugins_readable.items[i][0] != '/')
			return refuse(err, &list,
				      "[plugins] readable: expected absolute paths, found "
				      "\"%.60s\"",
				      config->plugins_readable.items[i]);
	return true;
}

static bool
check_service(const struct config *config, struct config_error *err)
{
	const struct place place = { .source = config_origin(config, CONFIG_KEY_service_group) };

	if (config->service_group[0] != '\0' && config->service_user[0] == '\0')
		return refuse(err, &place, "[service] group is set, but not whose: set user, too");
	return true;
}

static bool
check_together(const struct config *config, struct config_error *err)
{
	return check_listeners(config, err) && check_sizes(config, err) &&
	       check_store(config, err) && check_plugins(config, err) &&
	       check_service(config, err);
}

/* ---- loading ---- */

struct config *
config_ref(struct config *config)
{
	atomic_fetch_add(&config->private->references, 1);
	return config;
}

void
config_unref(struct config *config)
{
	if (config == NULL || atomic_fetch_sub(&config->private->references, 1) > 1)
		return;
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		free(config->private->texts[i]);
		free(config->private->origins[i]);
		free(config->private->words[i]);
		free(config->private->items[i]);
	}
	for (size_t i = 0; i < config->option_count; i++)
		option_free(&config->options[i]);
	free(config->options);
	free(config->private);
	free(config);
}

/* All settings at their defaults. */
static struct config *
config_new(struct config_error *err)
{
	const struct place place = { .source = "built-in" };
	struct config *config = calloc(1, sizeof *config);

	if (config != NULL)
		config->private = calloc(1, sizeof *config->private);
	if (config == NULL || config->private == NULL) {
		refuse(err, &place, "out of memory");
		free(config);
		return NULL;
	}
	config->private->references = 1;
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++)
		if (!assign(config, (enum config_key)i, rows[i].public.default_text, NULL, &place,
			    err)) {
			config_unref(config);
			return NULL;
		}
	return config;
}

static bool
load_sources(struct config *config, const struct config_sources *sources, struct config_error *err)
{
	const char *const *next;

	if (sources->file != NULL && !load_files(config, sources->file, err))
		return false;
	for (next = sources->environment; next != NULL && *next != NULL; next++)
		if (!load_variable(config, *next, err))
			return false;
	for (next = sources->sets; next != NULL && *next != NULL; next++)
		if (!load_set(config, *next, err))
			return false;
	return true;
}

bool
config_load(const struct config_sources *sources, struct config **out_config,
	    struct config_error *err)
{
	struct config *config = config_new(err);

	if (config == NULL)
		return false;
	if (!load_sources(config, sources, err) || !check_together(config, err)) {
		config_unref(config);
		return false;
	}
	*out_config = config;
	return true;
}

bool
config_load_text(const char *name, const char *text, size_t size_bytes, struct config **out_config,
		 struct config_error *err)
{
	struct config *config = config_new(err);

	if (config == NULL)
		return false;
	if (!parse_text(config, name, text, size_bytes, err) || !check_together(config, err)) {
		config_unref(config);
		return false;
	}
	*out_config = config;
	return true;
}

static bool
same_words(const struct config_list *a, const struct config_list *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

/* "1min" and "60s" are the same value. */
static bool
same_value(const struct config *a, const struct config *b, enum config_key key)
{
	const struct row *row = &rows[key];
	const void *x = (const char *)a + row->offset;
	const void *y = (const char *)b + row->offset;

	switch (row->type) {
	case TEXT:
	case PATH:
	case ADDRESS:
		return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
	case LIST:
		return same_words(x, y);
	case BOOL:
		return *(const bool *)x == *(const bool *)y;
	case CHOICE_TYPE:
		return *(const unsigned *)x == *(const unsigned *)y;
	case COUNT:
	case SIZE:
	case TIME:
	case MODE:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	}
	return false;
}

/* What needs a restart stays as it runs. */
static bool
keep_startup_values(struct config *config, const struct config *running, bool *out_pending,
		    struct config_error *err)
{
	const struct place place = { .source = "running configuration" };

	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		enum config_key key = (enum config_key)i;

		out_pending[i] = rows[i].public.needs_restart && !same_value(config, running, key);
		if (out_pending[i] && !assign(config, key, running->private->texts[i],
					      running->private->origins[i], &place, err))
			return false;
	}
	return true;
}

bool
config_reload(const struct config *running, const struct config_sources *sources,
	      struct config **out_config, bool *out_pending, struct config_error *err)
{
	bool pending[CONFIG_KEY_COUNT];
	struct config *config;

	if (!config_load(sources, &config, err))
		return false;
	if (!keep_startup_values(config, running, pending, err) || !check_together(config, err)) {
		config_unref(config);
		return false;
	}
	if (out_pending != NULL)
		memcpy(out_pending, pending, sizeof pending);
	*out_config = config;
	return true;
}

/* ---- looking and printing ---- */

const struct config_row *
config_row(enum config_key key)
{
	return &rows[key].public;
}

const char *
config_text(const struct config *config, enum config_key key)
{
	return config->private->texts[key];
}

const char *
config_origin(const struct config *config, enum config_key key)
{
	const char *origin = config->private->origins[key];

	return origin != NULL ? origin : "built-in";
}

/* Whether a value reads back as it is without quotes. */
static bool
is_plain(const char *text)
{
	size_t size = strlen(text);

	if (size == 0)
		return true;
	return text[0] != '"' && text[0] != '#' && text[0] != ' ' && text[0] != '\t' &&
	       text[size - 1] != ' ' && text[size - 1] != '\t' && strstr(text, " #") == NULL &&
	       strstr(text, "\t#") == NULL;
}

static void
print_value(FILE *out, const char *text)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/* A comment after a value; a file's name may hold anything. */
static void
print_origin(FILE *out, const char *origin)
{
	fputs(" # ", out);
	for (; *origin != '\0'; origin++)
		fputc((unsigned char)*origin < ' ' || *origin == 0x7f ? '?' : *origin, out);
	fputc('\n', out);
}

/* Before the first key of each section. */
static void
print_section(FILE *out, unsigned index)
{
	const char *section = rows[index].public.section;

	if (index == 0 || strcmp(section, rows[index - 1].public.section) != 0)
		fprintf(out, "%s[%s]\n", index > 0 ? "\n" : "", section);
}

/* Those of one plug-in stand together. */
static void
print_options(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config->option_count; i++) {
		const char *plugin = config->options[i].plugin;
		bool is_first = true;

		for (size_t k = 0; k < i; k++)
			is_first = is_first && strcmp(config->options[k].plugin, plugin) != 0;
		if (!is_first)
			continue;
		fprintf(out, "\n[" OPTION_SECTION ".%s]\n", plugin);
		for (size_t k = i; k < config->option_count; k++) {
			const struct config_option *option = &config->options[k];

			if (strcmp(option->plugin, plugin) != 0)
				continue;
			fprintf(out, "%s = ", option->name);
			print_value(out, option->value);
			print_origin(out, option->origin);
		}
	}
}

bool
config_print(const struct config *config, FILE *out)
{
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		print_section(out, i);
		fprintf(out, "%s = ", rows[i].public.key);
		print_value(out, config->private->texts[i]);
		print_origin(out, config_origin(config, (enum config_key)i));
	}
	print_options(config, out);
	return fflush(out) == 0 && !ferror(out);
}

/* "# ..." lines of at most 80 characters, broken at blanks. */
static void
print_comment(FILE *out, const char *text)
{
	const size_t width = 78;

	while (*text != '\0') {
		size_t size = strlen(text);

		if (size > width) {
			size = width;
			while (size > 0 && text[size] != ' ')
				size--;
			if (size == 0)
				size = width;
		}
		fprintf(out, "# %.*s\n", (int)size, text);
		text += size;
		while (*text == ' ')
			text++;
	}
}

bool
config_print_sample(FILE *out)
{
	fputs("# Settings of wasmedged; wasmedged.conf(5) explains them at length.\n"
	      "# Those that are commented out show what is built in. `wasmedged -t` tests this "
	      "file;\n"
	      "# settings marked (restart) are not changed by a reload.\n\n",
	      out);
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_row *row = &rows[i].public;
		char comment[512];

		print_section(out, i);
		snprintf(comment, sizeof comment, "%s%s", row->doc,
			 row->needs_restart ? " (restart)" : "");
		print_comment(out, comment);
		fprintf(out, "#%s =%s", row->key, row->default_text[0] != '\0' ? " " : "");
		print_value(out, row->default_text);
		fputc('\n', out);
	}
	return fflush(out) == 0 && !ferror(out);
}
