/*
 * multipart.h - streaming parser of multipart/form-data bodies.
 *
 * Bytes go in as they arrive, in pieces of any size; parts come out through callbacks, each as a
 * beginning with its name, any number of data pieces, and an end. Nothing but the current
 * header lines is buffered, so memory is bounded whatever is sent.
 *
 * Stricter than the standard where that costs honest senders nothing: no preamble, each part has
 * a Content-Disposition with a name, header lines and parts are bounded in number and size.
 *
 * Spec:    RFC 7578, RFC 2046 section 5.1
 * Owns:    its buffers, inside the struct
 * Threads: a parser belongs to one thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define MULTIPART_BOUNDARY_MAX 70  /* RFC 2046, 5.1.1 */
#define MULTIPART_HEADERS_MAX 2048 /* bytes of one part's header lines */
#define MULTIPART_NAME_MAX 255     /* bytes of a name, a file name or a content type */
#define MULTIPART_PARTS_MAX 1000

/* STATUS(symbol, detail) */
#define MULTIPART_STATUSES(STATUS)                                                                 \
	STATUS(OK, "well formed so far")                                                           \
	STATUS(PREAMBLE, "the body has to start with the boundary")                                \
	STATUS(DELIMITER, "a boundary is followed by something else than a line end or '--'")      \
	STATUS(HEADER_SIZE, "the header lines of a part have more than 2048 bytes")                \
	STATUS(HEADER_SYNTAX, "a header line of a part is malformed")                              \
	STATUS(DISPOSITION, "a part has no 'Content-Disposition: form-data' with a name")          \
	STATUS(NAME_SIZE, "the name, file name or type of a part has more than 255 bytes")         \
	STATUS(PARTS, "the body has more than 1000 parts")                                         \
	STATUS(TRUNCATED, "the body ends before the closing boundary")                             \
	STATUS(STOPPED, "the receiver of the parts refused one")

enum multipart_status {
#define STATUS(symbol, detail) MULTIPART_##symbol,
	MULTIPART_STATUSES(STATUS)
#undef STATUS
};

struct multipart_part {
	char name[MULTIPART_NAME_MAX + 1];
	char filename[MULTIPART_NAME_MAX + 1]; /* "" when there is none */
	char type[MULTIPART_NAME_MAX + 1];     /* Content-Type, "" when there is none */
};

/* Receivers of what is found; each returns false to stop with MULTIPART_STOPPED. */
struct multipart_handler {
	bool (*begin)(void *env, const struct multipart_part *part);
	bool (*data)(void *env, const char *data, size_t len);
	bool (*end)(void *env);
	void *env;
};

enum multipart_state {
	MULTIPART_AT_START,   /* matching the first boundary, which has no line end before it */
	MULTIPART_IN_DATA,    /* in a part's bytes, matching line end and boundary */
	MULTIPART_BEHIND,     /* behind a boundary: "--", or padding and a line end */
	MULTIPART_IN_HEADERS, /* in a part's header lines */
	MULTIPART_AT_END,     /* behind the closing boundary: the rest is ignored */
};

struct multipart {
	struct multipart_handler handler;
	enum multipart_state state;
	enum multipart_status status;
	char delimiter[MULTIPART_BOUNDARY_MAX + 5]; /* CR LF - - boundary */
	size_t delimiter_len;
	size_t matched;    /* bytes of the delimiter seen */
	char behind[2];    /* bytes seen behind the boundary, padding left out */
	size_t behind_len;
	char headers[MULTIPART_HEADERS_MAX];
	size_t headers_len;
	size_t part_count;
	struct multipart_part part;
};

/*
 * Take the boundary out of a Content-Type value. Returns false when the type is not
 * multipart/form-data or has no acceptable boundary; out has room for
 * MULTIPART_BOUNDARY_MAX + 1 bytes.
 */
bool multipart_boundary(const char *content_type, char *out);

/* boundary as multipart_boundary gave it. */
void multipart_init(struct multipart *mp, const char *boundary,
                    const struct multipart_handler *handler);

/* Feed the next bytes. An error stays: later calls return it again and do nothing. */
enum multipart_status multipart_feed(struct multipart *mp, const char *data, size_t len);

/* The body is complete. Returns MULTIPART_TRUNCATED when the closing boundary is missing. */
enum multipart_status multipart_finish(struct multipart *mp);

/* A sentence for people. */
const char *multipart_status_detail(enum multipart_status status);
