#include "daemon/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/clock.h"

#define WINDOW_US 10000000u
#define REPEATS_MAX 256 /* different messages that are counted; further ones are let through */

static atomic_int log_least = LEVEL_INFO;
static atomic_int log_form = LOG_FORMAT_LOGFMT;
static atomic_int log_fd = STDERR_FILENO;
static atomic_bool log_to_journal;

void
log_configure(enum log_level least, enum log_format format)
{
	log_least = (int)least;
	log_form = (int)format;
}

void
log_set_descriptor(int fd)
{
	log_fd = fd;
}

bool
log_enabled(enum log_level level)
{
	return (int)level <= log_least;
}

void
log_detect_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[64];

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return;
	snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	log_to_journal = strcmp(stream, own) == 0;
}

struct log_field
log_str(const char *key, const char *text)
{
	return (struct log_field){ .key = text != NULL ? key : NULL,
				   .kind = LOG_KIND_STR,
				   .value.str = { text, text != NULL ? strlen(text) : 0 } };
}

/* ---- a line being made ---- */

/* Full means that something did not fit; the caller goes back to where it fitted. */
struct line {
	char text[LOG_LINE_MAX];
	size_t size;
	unsigned fields;
	bool full;
};

/* Always kept free for the end of the line. */
#define LINE_TAIL 2

static void
line_add(struct line *line, const char *bytes, size_t size)
{
	if (size > sizeof line->text - LINE_TAIL - line->size) {
		line->full = true;
		return;
	}
	memcpy(line->text + line->size, bytes, size);
	line->size += size;
}

static void
line_add_text(struct line *line, const char *text)
{
	line_add(line, text, strlen(text));
}

static void __attribute__((format(printf, 2, 3)))
line_format(struct line *line, const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	int size = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	line_add(line, text, size < (int)sizeof text ? (size_t)size : sizeof text - 1);
}

/* Bytes of the UTF-8 character that starts at bytes, its code point in *out; 0: not one. */
static size_t
utf8_decode(const uint8_t *bytes, size_t size, uint32_t *out)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = bytes[0];
	size_t length = first < 0x80       ? 1
			: first >> 5 == 6  ? 2
			: first >> 4 == 14 ? 3
			: first >> 3 == 30 ? 4
					   : 0;

	if (length == 0 || length > size)
		return 0;
	uint32_t code = length == 1 ? first : first & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*out = code;
	return length;
}

/* Controls of both ASCII and Latin-1 drive terminals; separators and direction marks deceive. */
static bool
is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
	       code == 0x061c || code == 0x200e || code == 0x200f ||
	       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void
line_add_escaped_char(struct line *line, const char *bytes, size_t length, uint32_t code)
{
	if (code == '"' || code == '\\') {
		line_format(line, "\\%c", (char)code);
		return;
	}
	if (code == '\n')
		line_add_text(line, "\\n");
	else if (code == '\t')
		line_add_text(line, "\\t");
	else if (code == '\r')
		line_add_text(line, "\\r");
	else if (is_unsafe(code))
		line_format(line, "\\u%04" PRIx32, code);
	else
		line_add(line, bytes, length);
}

/* The inside of a quoted value; both formats use JSON's escapes. */
static void
line_add_escaped(struct line *line, const char *bytes, size_t size)
{
	size_t end = size < LOG_VALUE_MAX ? size : LOG_VALUE_MAX;

	for (size_t i = 0; i < end;) {
		uint32_t code;
		size_t length = utf8_decode((const uint8_t *)bytes + i, size - i, &code);

		if (length == 0) {
			line_add_text(line, "\\ufffd");
			i++;
			continue;
		}
		line_add_escaped_char(line, bytes + i, length, code);
		i += length;
	}
	if (end < size)
		line_add_text(line, "...");
}

/* Whether logfmt can do without quotes. */
static bool
is_plain(const char *bytes, size_t size)
{
	if (size == 0 || size > LOG_VALUE_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = bytes[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return true;
}

static void
line_add_string(struct line *line, enum log_format format, const char *bytes, size_t size)
{
	if (format == LOG_FORMAT_LOGFMT && is_plain(bytes, size)) {
		line_add(line, bytes, size);
		return;
	}
	line_add_text(line, "\"");
	line_add_escaped(line, bytes, size);
	line_add_text(line, "\"");
}

static void
line_add_value(struct line *line, enum log_format format, const struct log_field *field)
{
	switch (field->kind) {
	case LOG_KIND_STR:
		line_add_string(line, format, field->value.str.data, field->value.str.size);
		break;
	case LOG_KIND_INT:
		line_format(line, "%" PRId64, field->value.i);
		break;
	case LOG_KIND_UINT:
		line_format(line, "%" PRIu64, field->value.u);
		break;
	case LOG_KIND_BOOL:
		line_add_text(line, field->value.u != 0 ? "true" : "false");
		break;
	case LOG_KIND_US:
		line_format(line, "%" PRIu64 ".%03u", field->value.u / 1000,
			    (unsigned)(field->value.u % 1000));
		break;
	case LOG_KIND_END:
		break;
	}
}

/* One field whole, or none of it. */
static void
line_add_field(struct line *line, enum log_format format, struct log_field field)
{
	size_t before = line->size;

	if (field.key == NULL)
		return;
	if (format == LOG_FORMAT_JSON)
		line_format(line, "%s\"%.32s\":", line->fields > 0 ? "," : "", field.key);
	else
		line_format(line, "%s%.32s=", line->fields > 0 ? " " : "", field.key);
	line_add_value(line, format, &field);
	if (line->full) {
		line->size = before;
		line->full = false;
		return;
	}
	line->fields++;
}

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LEVEL_ERROR:
		return "error";
	case LEVEL_WARNING:
		return "warning";
	case LEVEL_NOTICE:
		return "notice";
	case LEVEL_INFO:
		return "info";
	case LEVEL_DEBUG:
		return "debug";
	}
	return "info";
}

/* 2026-01-02T03:04:05.678Z */
static void
line_add_time(struct line *line, enum log_format format)
{
	struct timespec now;
	struct tm tm;
	char text[40];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + size, sizeof text - size, ".%03ldZ", now.tv_nsec / 1000000);
	line_add_field(line, format, LOG_STR("time", text));
}

/* Write whole; a reader that is gone or does not keep up loses lines, the daemon goes on. */
static void
write_line(struct line *line)
{
	const char *next = line->text;
	size_t left = line->size;

	while (left > 0) {
		ssize_t written = write(log_fd, next, left);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		next += written;
		left -= (size_t)written;
	}
}

static void
emit(enum log_level level, const char *message, const struct log_field *fields, uint64_t suppressed)
{
	enum log_format format = (enum log_format)atomic_load(&log_form);
	struct line line;

	line.size = 0; /* the text needs no clearing */
	line.fields = 0;
	line.full = false;
	if (log_to_journal)
		line_format(&line, "<%d>", (int)level);
	if (format == LOG_FORMAT_JSON)
		line_add_text(&line, "{");
	if (!log_to_journal)
		line_add_time(&line, format);
	line_add_field(&line, format, LOG_STR("level", level_name(level)));
	line_add_field(&line, format, LOG_STR("msg", message));
	if (suppressed > 0)
		line_add_field(&line, format, LOG_UINT("suppressed", suppressed));
	for (; fields->kind != LOG_KIND_END; fields++)
		line_add_field(&line, format, *fields);
	if (format == LOG_FORMAT_JSON)
		line.text[line.size++] = '}';
	line.text[line.size++] = '\n';
	write_line(&line);
}

/* ---- repeats ---- */

/* Messages are constant texts, so there are few, and their address identifies them. */
struct repeat {
	const char *message;
	uint64_t window_us; /* when the window began */
	unsigned count;     /* let through in it */
	uint64_t suppressed;
};

static pthread_mutex_t repeats_lock = PTHREAD_MUTEX_INITIALIZER;
static struct repeat repeats[REPEATS_MAX];

/* NULL when the table is full of others. */
static struct repeat *
repeat_find(const char *message)
{
	size_t start = ((uintptr_t)message >> 3) % REPEATS_MAX;

	for (size_t i = 0; i < REPEATS_MAX; i++) {
		struct repeat *repeat = &repeats[(start + i) % REPEATS_MAX];

		if (repeat->message == NULL)
			repeat->message = message;
		if (repeat->message == message)
			return repeat;
	}
	return NULL;
}

/* Whether to write; *out_suppressed is how many were not since the last one that was. */
static bool
repeat_admit(const char *message, uint64_t *out_suppressed)
{
	bool admit = true;

	*out_suppressed = 0;
	pthread_mutex_lock(&repeats_lock);
	struct repeat *repeat = repeat_find(message);
	if (repeat != NULL) {
		uint64_t now = clock_monotonic_us();

		if (now - repeat->window_us >= WINDOW_US) {
			repeat->window_us = now;
			repeat->count = 0;
		}
		admit = repeat->count < LOG_BURST;
		if (admit) {
			repeat->count++;
			*out_suppressed = repeat->suppressed;
			repeat->suppressed = 0;
		} else {
			repeat->suppressed++;
		}
	}
	pthread_mutex_unlock(&repeats_lock);
	return admit;
}

void
log_write(enum log_level level, const char *message, const struct log_field *fields)
{
	uint64_t suppressed;

	if (!log_enabled(level) || !repeat_admit(message, &suppressed))
		return;
	int saved = errno; /* so that logging a failure does not change what is reported next */
	emit(level, message, fields, suppressed);
	errno = saved;
}

void
log_write_access(const struct log_field *fields)
{
	if (log_enabled(LEVEL_INFO))
		emit(LEVEL_INFO, "access", fields, 0);
}
