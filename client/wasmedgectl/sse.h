/*
 * sse.h - reader of server-sent events.
 *
 * Takes the bytes of a text/event-stream as they arrive and calls back with each whole event. An
 * event that the stream ends in the middle of is dropped, as the standard asks.
 *
 * Spec:    WHATWG HTML, section 9.2.6 (interpreting an event stream)
 * Owns:    its buffers, until sse_clear
 * Threads: a reader belongs to one thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A longer line, or longer data of one event, is an error: memory stays bounded. */
#define SSE_BYTES_MAX ((size_t)64 << 20)
#define SSE_NAME_MAX 64

struct sse_event {
	const char *id;   /* the last id the stream gave; "" before the first */
	const char *type; /* "message" when the stream names none */
	const char *data; /* lines joined by LF; NUL-terminated, may hold NULs */
	size_t data_len;
};

/* Returns false to stop. */
typedef bool sse_handler(void *context, const struct sse_event *event);

struct sse_text {
	char *bytes;
	size_t len;
	size_t capacity;
};

struct sse {
	sse_handler *handler;
	void *context;
	struct sse_text line;
	struct sse_text data;
	char id[SSE_NAME_MAX + 1];
	char type[SSE_NAME_MAX + 1];
	bool has_data;
	bool started;  /* the byte order mark can no longer come */
	bool after_cr; /* a LF now belongs to the line end before it */
};

enum sse_status {
	SSE_OK,
	SSE_STOPPED,  /* the handler wanted no more */
	SSE_TOO_LONG, /* over SSE_BYTES_MAX */
	SSE_NO_MEMORY,
};

void sse_init(struct sse *sse, sse_handler *handler, void *context);
void sse_clear(struct sse *sse);

/* After anything but SSE_OK the reader takes no more; clear it. */
enum sse_status sse_feed(struct sse *sse, const char *bytes, size_t len);
