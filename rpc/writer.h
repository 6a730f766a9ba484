/*
 * writer.h - JSON written straight into a buffer.
 *
 * Replies are written, never built as a tree: one pass, one buffer that a worker keeps from
 * request to request. The writer puts the commas; the caller is responsible for matching begins
 * and ends and for a key before every value in an object. Strings that are not UTF-8 get U+FFFD
 * for each byte that does not belong; control characters are escaped.
 *
 * A writer that runs out of memory, or past bytes_max, drops everything from there on and says
 * so once, at the end: rpc_writer_ok() is false. No other call needs to be checked.
 *
 *     struct rpc_writer w;
 *     rpc_writer_init(&w);
 *     rpc_write_object_begin(&w);
 *     rpc_write_key(&w, "digest");
 *     rpc_write_text(&w, digest);
 *     rpc_member_uint(&w, "size", size);        // key and value in one
 *     rpc_write_object_end(&w);
 *     if (!rpc_writer_ok(&w)) ...
 *     send(w.data, w.len);
 *     rpc_writer_clear(&w);
 *
 * Owns:    data, until rpc_writer_take() or rpc_writer_clear()
 * Threads: a writer belongs to one thread
 */
#pragma once

#include "rpc/common.h"

struct rpc_writer {
	char *data; /* the text so far; not NUL-terminated */
	size_t len;
	size_t capacity;
	size_t bytes_max; /* SIZE_MAX from init; set it to bound the text */
	uint32_t depth;   /* objects and arrays that are open */
	bool failed;
	bool needs_comma;
	bool after_key;
	bool pretty; /* false from init; true breaks lines and indents by two spaces */
};

void rpc_writer_init(struct rpc_writer *w);
void rpc_writer_clear(struct rpc_writer *w);
/* Start a new text, keeping the memory and the settings. */
void rpc_writer_reset(struct rpc_writer *w);
bool rpc_writer_ok(const struct rpc_writer *w);
/* Hand over the malloc()ed text, NUL-terminated; NULL when the writer failed. Resets the writer. */
char *rpc_writer_take(struct rpc_writer *w, size_t *out_len);

void rpc_write_object_begin(struct rpc_writer *w);
void rpc_write_object_end(struct rpc_writer *w);
void rpc_write_array_begin(struct rpc_writer *w);
void rpc_write_array_end(struct rpc_writer *w);
void rpc_write_key(struct rpc_writer *w, const char *key);

void rpc_write_null(struct rpc_writer *w);
void rpc_write_bool(struct rpc_writer *w, bool value);
/* JSON numbers. For counts and sizes; 64-bit integers of guests travel as strings, see value.h. */
void rpc_write_int(struct rpc_writer *w, int64_t value);
void rpc_write_uint(struct rpc_writer *w, uint64_t value);
/* Strings. */
void rpc_write_text(struct rpc_writer *w, const char *text);
void rpc_write_string(struct rpc_writer *w, const char *data, size_t len);
void rpc_write_format(struct rpc_writer *w, const char *format, ...) RPC_PRINTF(2, 3);
void rpc_write_base64(struct rpc_writer *w, const void *bytes, size_t len);
/* "sha256:<64 hex>" */
void rpc_write_digest(struct rpc_writer *w, const uint8_t digest[static 32]);
/* Microseconds since 1970 as RFC 3339: "2026-11-22T14:23:05.000123Z". */
void rpc_write_time_us(struct rpc_writer *w, int64_t time_us);
/* One whole JSON value, already encoded. */
void rpc_write_raw(struct rpc_writer *w, const char *json, size_t len);

/* Text behind the JSON, for formats that wrap it ("data: ", newlines): no comma, no escaping. */
void rpc_write_verbatim(struct rpc_writer *w, const char *text, size_t len);

/* Key and value. text may be NULL, which writes nothing. */
void rpc_member_text(struct rpc_writer *w, const char *key, const char *text);
void rpc_member_uint(struct rpc_writer *w, const char *key, uint64_t value);
void rpc_member_int(struct rpc_writer *w, const char *key, int64_t value);
void rpc_member_bool(struct rpc_writer *w, const char *key, bool value);
