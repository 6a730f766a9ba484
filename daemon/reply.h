/*
 * reply.h - an answer on its way to the client.
 *
 * Filled in by whoever has the answer, on any thread, and then given to the server, which sends
 * it. Header values are kept inside, so that the usual reply needs one allocation: its body.
 *
 * Owns:    its body, through body_free
 * Threads: one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "rpc/problem.h"
#include "rpc/writer.h"

#define REPLY_HEADERS_MAX 16
#define REPLY_TEXT_MAX 1536

/*
 * A body that comes bit by bit. read fills at most size bytes and returns how many; 0 when there
 * is nothing now (it has arranged to be woken), -1 at the end.
 */
struct reply_stream {
	ssize_t (*read)(void *env, char *data, size_t size);
	void (*free)(void *env);
	void *env;
};

struct reply {
	unsigned status; /* 0: nothing in it */
	bool must_close; /* the connection ends with this reply */
	unsigned header_count;
	const char *names[REPLY_HEADERS_MAX]; /* constant texts */
	uint16_t values[REPLY_HEADERS_MAX];   /* where in text */
	char text[REPLY_TEXT_MAX];
	uint16_t text_used;
	const void *body;
	size_t body_len;
	void (*body_free)(void *env); /* NULL: the body outlives everything */
	void *body_env;
	const struct reply_stream *stream; /* instead of a body; copied when sent */
	struct reply_stream stream_of;
	const char *slug; /* of the problem in the body, for the log; or NULL */
	unsigned retry_after_s; /* 0: the client is not told when to come back */
};

/* A reply without body and headers. */
void reply_init(struct reply *reply, unsigned status);

/* Free the body if there is one and leave the reply empty. */
void reply_clear(struct reply *reply);

/*
 * Add a header field. name is a constant text. A field that does not fit, or whose value holds
 * anything but visible ASCII and blanks, is left out: no value can end a line.
 */
void reply_header(struct reply *reply, const char *name, const char *format, ...)
    RPC_PRINTF(3, 4);

/* The body, taken over; body is malloc()ed. type is a constant text. */
void reply_take(struct reply *reply, const char *type, char *body, size_t len);
/* A body that outlives everything. */
void reply_borrow(struct reply *reply, const char *type, const void *body, size_t len);
/* A body that belongs to something else; body_free(env) is called when it was sent. */
void reply_hold(struct reply *reply, const char *type, const void *body, size_t len,
                void (*body_free)(void *env), void *env);

/*
 * What the writer wrote, as JSON; resets the writer. A writer that failed gives a problem
 * (out of memory) instead.
 */
void reply_json(struct reply *reply, unsigned status, struct rpc_writer *writer);

/* A problem document. request_id may be NULL. */
void reply_problem(struct reply *reply, const struct rpc_problem *problem,
                   const char *request_id);
/* Name the detail of a problem `error` besides, where a protocol of others has it so. */
void reply_repeat_detail(struct reply *reply);
/* reply_problem of one that is made up here. */
void reply_fail(struct reply *reply, const char *request_id, enum rpc_code code,
                const char *format, ...) RPC_PRINTF(4, 5);
