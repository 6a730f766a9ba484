/*
 * http.h - one HTTP request after another to one daemon, over a unix socket or TCP.
 *
 * Everything that comes back is bounded: header fields, error bodies, bodies kept in memory.
 * Redirects are not followed, proxies of the environment are not used: a token goes where the
 * user said and nowhere else. Ctrl-C (interrupt.h) ends a request at once, by closing its
 * connection, which the daemon takes as a cancellation.
 *
 * Owns:    struct http, until http_free; a response's memory, until http_response_clear
 * Threads: a client belongs to one thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HTTP_MESSAGE_BYTES 512
#define HTTP_BODY_MAX ((size_t)256 << 20) /* of a body kept in memory */
#define HTTP_ERROR_BODY_MAX ((size_t)1 << 20)
#define HTTP_CONNECT_MS 10000

struct http;

/*
 * host is "unix:/path", "http://host[:port]" or "https://host[:port]"; token goes into
 * Authorization, NULL for none. When trace is not NULL, a line per request and reply goes there.
 *
 * Returns NULL with a message when host has another form or memory is short.
 */
struct http *http_new(const char *host, const char *token, FILE *trace,
                      char message[HTTP_MESSAGE_BYTES]);
void http_free(struct http *http);

/* Is this a host that http_new takes? */
bool http_host_is_valid(const char *host);

enum http_result {
	HTTP_OK,          /* there is a response, of whatever status */
	HTTP_UNREACHABLE, /* no connection */
	HTTP_BROKEN,      /* the connection ended early, or what came is not HTTP */
	HTTP_TIMEOUT,     /* timeout_ms is over */
	HTTP_INTERRUPTED, /* a signal came */
	HTTP_TOO_LARGE,   /* the reply is above a limit */
	HTTP_STOPPED,     /* the sink wanted no more; the response is complete up to there */
	HTTP_NO_MEMORY,
};

/* Takes bytes of a body; false to stop. */
typedef bool http_sink(void *context, const char *bytes, size_t len);
/* A sink that writes to the FILE its context is. */
bool http_sink_file(void *context, const char *bytes, size_t len);
/* Bytes of the request's body sent so far, of total (0 when unknown). */
typedef void http_progress(void *context, uint64_t sent, uint64_t total);

#define HTTP_FIELDS_MAX 6

/* Everything unset is zero. */
struct http_request {
	const char *method; /* "GET" when NULL */
	const char *path;   /* "/v1/..." with its query, percent-encoded */
	const char *accept;
	const char *fields[HTTP_FIELDS_MAX]; /* more header lines, "Name: value" */
	unsigned timeout_ms;                 /* for everything; 0 for none */

	const char *content_type; /* of the body; NULL when there is none */
	const char *body;         /* in memory, body_len bytes; or */
	size_t body_len;
	FILE *body_file; /* from its position on, body_len bytes, */
	bool chunked;    /* or up to its end, as chunks */

	http_sink *sink; /* of a 2xx reply; NULL keeps the body in the response */
	void *sink_context;
	http_progress *progress;
	void *progress_context;
};

#define HTTP_REPLY_FIELDS_MAX 64

struct http_response {
	long status;
	char *body; /* NUL-terminated, may hold NULs; "" when a sink got it */
	size_t body_len;
	char *fields[HTTP_REPLY_FIELDS_MAX]; /* "Name: value", trailers included */
	size_t field_count;
	char message[HTTP_MESSAGE_BYTES]; /* why the result is not HTTP_OK, for people */
};

/* Perform. The response has to be cleared whatever the result. */
enum http_result http_perform(struct http *http, const struct http_request *request,
                              struct http_response *out_response);
void http_response_clear(struct http_response *response);

/* The value of a field, without white space around it; NULL when it did not come. */
const char *http_response_field(const struct http_response *response, const char *name);

/* Does the reply's media type equal this one, parameters aside? */
bool http_response_is(const struct http_response *response, const char *media_type);
