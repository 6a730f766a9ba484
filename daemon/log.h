/*
 * log.h - what the daemon says: one line an event on standard error.
 *
 *	log_warning("catalogue unhealthy", LOG_STR("reason", reason), LOG_UINT("free", bytes));
 *
 * As logfmt:  time=2026-01-02T03:04:05.678Z level=warning msg="catalogue unhealthy" reason=...
 * As JSON:    {"time":"...","level":"warning","msg":"catalogue unhealthy","reason":"..."}
 *
 * Under the journal (JOURNAL_STREAM names our standard error) a line starts with its priority,
 * <4>, and has no time. Control bytes and invalid UTF-8 are escaped, so that no value can forge a
 * line or drive a terminal; values are cut at LOG_VALUE_MAX bytes. The same message many times in
 * a row of seconds is let through LOG_BURST times every ten seconds; how many were left out is
 * said with the next one. Never hand it a body, a secret or a guest's output.
 *
 * Owns:    nothing; standard error stays the process's
 * Threads: everything may be called from any thread; a line is written whole
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers of syslog. */
enum log_level {
	LEVEL_ERROR = 3,
	LEVEL_WARNING = 4,
	LEVEL_NOTICE = 5,
	LEVEL_INFO = 6,
	LEVEL_DEBUG = 7,
};

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

#define LOG_VALUE_MAX 1024 /* bytes of one value */
#define LOG_LINE_MAX 8192  /* bytes of a line; fields that do not fit are left out */
#define LOG_BURST 10

enum log_kind {
	LOG_KIND_END,
	LOG_KIND_STR,
	LOG_KIND_INT,
	LOG_KIND_UINT,
	LOG_KIND_BOOL,
	LOG_KIND_US
};

struct log_field {
	const char *key; /* [a-z0-9_] */
	enum log_kind kind;
	union {
		struct {
			const char *data;
			size_t size;
		} str;
		int64_t i;
		uint64_t u;
	} value;
};

/* NUL-terminated text; a NULL text leaves the field out. */
#define LOG_STR(name, text) log_str((name), (text))
#define LOG_STRN(name, bytes, count)                                                               \
	((struct log_field){                                                                       \
	    .key = (name), .kind = LOG_KIND_STR, .value.str = { (bytes), (count) } })
#define LOG_INT(name, number)                                                                      \
	((struct log_field){ .key = (name), .kind = LOG_KIND_INT, .value.i = (number) })
#define LOG_UINT(name, number)                                                                     \
	((struct log_field){ .key = (name), .kind = LOG_KIND_UINT, .value.u = (number) })
#define LOG_BOOL(name, truth)                                                                      \
	((struct log_field){ .key = (name), .kind = LOG_KIND_BOOL, .value.u = (truth) ? 1 : 0 })
/* A time span in microseconds, printed in milliseconds: 1.234. Name it with _ms. */
#define LOG_US(name, us) ((struct log_field){ .key = (name), .kind = LOG_KIND_US, .value.u = (us) })
#define LOG_END ((struct log_field){ .kind = LOG_KIND_END })

struct log_field log_str(const char *key, const char *text);

/* message is a constant text: lower case, no variable parts. Fields end with LOG_END. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define LOG_FIELDS(...) ((const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ) LOG_END })
#define log_error(message, ...) log_write(LEVEL_ERROR, message, LOG_FIELDS(__VA_ARGS__))
#define log_warning(message, ...) log_write(LEVEL_WARNING, message, LOG_FIELDS(__VA_ARGS__))
#define log_notice(message, ...) log_write(LEVEL_NOTICE, message, LOG_FIELDS(__VA_ARGS__))
#define log_info(message, ...) log_write(LEVEL_INFO, message, LOG_FIELDS(__VA_ARGS__))
#define log_debug(message, ...) log_write(LEVEL_DEBUG, message, LOG_FIELDS(__VA_ARGS__))

/* A request's line: message "access", level info, never rate-limited. */
#define log_access(...) log_write_access(LOG_FIELDS(__VA_ARGS__))
void log_write_access(const struct log_field *fields);

/*
 * Before the first call lines are logfmt, level info, on descriptor 2, without the journal's
 * priorities. May be called again, for a reload. Access lines are the caller's to leave out.
 */
void log_configure(enum log_level least, enum log_format format);
/* Look at JOURNAL_STREAM; call once, before other threads exist. */
void log_detect_journal(void);
/* Write elsewhere than to standard error, for tests. */
void log_set_descriptor(int fd);
/* Whether lines of this level are written, where gathering the fields costs. */
bool log_enabled(enum log_level level);
