/*
 * server.h - HTTP: listeners, connections, requests.
 *
 * libmicrohttpd parses and sends, driven by the event loop through its epoll descriptor; this
 * file adds what it lacks: the request guard, absolute deadlines for headers and bodies, a bound
 * on all bodies together, and a watch on clients that leave while their request is being worked
 * on. What requests mean is the application's business, which is told through struct server_app.
 *
 * A request's way: begin (header complete, guard passed) -> [data] -> finish (body complete) ->
 * request_reply, at once or later -> end. While nothing has been replied after finish, the
 * connection is suspended. A body that is refused in begin is not read, or dropped.
 *
 * Owns:    connections and requests; listening descriptors handed to server_listen
 * Threads: everything on the loop's thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include "daemon/auth.h"
#include "daemon/config.h"
#include "daemon/guard.h"
#include "daemon/ids.h"
#include "daemon/reply.h"
#include "rpc/query.h"
#include "rpc/route.h"

struct MHD_Connection;
struct MHD_Response;
struct connection;
struct server;

enum request_stage {
	REQUEST_LINE,     /* the request line is there, the header is not */
	REQUEST_BEGIN,    /* in the application's begin */
	REQUEST_BODY,     /* the body is arriving */
	REQUEST_FINISH,   /* in the application's finish */
	REQUEST_PENDING,  /* the connection is suspended until a reply comes */
	REQUEST_REPLIED,  /* the reply is being sent */
};

#define REQUEST_SMALL_BODY 1024

struct request {
	/* for the application to read */
	struct server *server;
	char id[IDS_TEXT_SIZE];
	const char *method;
	struct guard_str target;
	struct guard_facts facts;
	bool is_unix;        /* came over the Unix socket */
	bool expects_body;
	uint64_t started_us; /* CLOCK_MONOTONIC, when the header was complete */
	char *body;          /* what has arrived, when it is buffered; with a NUL behind it */
	size_t body_len;
	uint64_t received_bytes;
	uint64_t sent_bytes; /* of the reply's body, as queued */
	unsigned status;     /* of the reply, 0 before; 499 when the client left without one */
	const char *slug;    /* of the problem replied, or NULL */

	bool must_close; /* the connection ends with the reply; set by anybody */

	/* for the application to write */
	struct rpc_match match;
	struct rpc_query query;
	struct auth_principal *principal;
	void *state; /* freed by state_free when the request ends; both may be NULL */
	void (*state_free)(void *state);
	/* The body's bytes are handed over as they arrive instead of being buffered. */
	void (*on_data)(struct request *request, const char *data, size_t len);
	/* The client left while the request is pending; a reply still has to be given. */
	void (*on_gone)(struct request *request);

	/* the server's own */
	struct connection *connection;
	struct MHD_Connection *mhd;
	struct MHD_Response *response; /* made, but not to be queued yet */
	enum request_stage stage;
	bool is_gone;
	bool is_stream_waiting;
	bool is_watched;
	bool is_counted;
	struct reply_stream stream; /* of the reply; .read is NULL when it has a body */
	uint64_t suspended_ms;
	struct request *prev; /* suspended and not watched yet, oldest first; or free */
	struct request *next;
	size_t body_capacity;
	uint64_t body_limit;
	size_t buffered_bytes; /* charged to the server */
	char small_body[REQUEST_SMALL_BODY];
	size_t target_capacity;
};

struct server_app {
	void *env;
	void (*begin)(struct request *request);
	void (*finish)(struct request *request);
	void (*end)(struct request *request); /* last look, before it is released */
	void (*refine)(struct request *request, struct reply *reply); /* before it is sent */
	void (*idle)(void *env);              /* all that had come in has been looked at */
};

struct server_options {
	uv_loop_t *loop;
	struct config *config; /* referenced */
	const struct server_app *app; /* outlives the server */
};

/* Returns NULL when there is no memory. */
struct server *server_new(const struct server_options *options);

/*
 * Serve a listening socket, which the server owns from here on, also on failure.
 * False with errno when the HTTP library refuses.
 */
VM_MUST_CHECK bool server_listen(struct server *server, int fd, bool is_unix);

/* Take over the settings of a reload. */
void server_set_config(struct server *server, struct config *config);

/* Accept no more connections; replies from here on close theirs. The listening sockets close. */
void server_quiesce(struct server *server);

/* Requests whose header is complete and whose reply has not been sent to the end. */
size_t server_request_count(const struct server *server);
size_t server_connection_count(const struct server *server);

/* The application's environment. */
void *server_env(const struct server *server);

/*
 * Close everything. Requests that are still pending end without a reply: who works on them must
 * have stopped before. The server itself is freed when the loop has run once more; NULL is fine.
 */
void server_close(struct server *server);

/* --- requests ----------------------------------------------------------------------------- */

/*
 * In begin: a body of at most limit bytes is expected. Replies itself, and returns false, when
 * it is announced to be larger, or when too much is buffered for others.
 */
bool request_expect_body(struct request *request, uint64_t limit);

/* The value of a header field, NUL-terminated, or NULL. Valid while the request lives. */
const char *request_header(struct request *request, const char *name);

/* Send the reply, and leave it empty. Only the first reply counts; later ones are cleared. */
void request_reply(struct request *request, struct reply *reply);

/* reply_fail and request_reply. */
void request_fail(struct request *request, enum rpc_code code, const char *format, ...)
    RPC_PRINTF(3, 4);
/* reply_problem and request_reply. */
void request_problem(struct request *request, const struct rpc_problem *problem);

/* True once request_reply was called. */
bool request_is_replied(const struct request *request);

/*
 * The body as malloc()ed memory that is the caller's from now on, also when it is empty; NULL:
 * no memory. It stays charged to the request.
 */
char *request_take_body(struct request *request);

/* From on_data: keep bytes in the buffer after all. Replies, and returns false, when there is no
 * room for them. */
bool request_append(struct request *request, const char *data, size_t len);

/* From a reply's stream: nothing to send now. Wake goes on with it; both may be called idly. */
void request_stream_wait(struct request *request);
void request_stream_wake(struct request *request);

/* Address of the client, for the limiter; NULL for the Unix socket. */
const struct sockaddr *request_peer(const struct request *request);
/* Descriptor of the connection, for peer credentials. */
int request_fd(const struct request *request);
/* One principal a connection, kept for its next requests; the connection holds it. */
struct auth_principal *request_peer_principal(const struct request *request);
void request_set_peer_principal(struct request *request, struct auth_principal *principal);
