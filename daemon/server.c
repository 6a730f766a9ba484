#include "daemon/server.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <microhttpd.h>
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

#define SWEEP_MS 200          /* how often deadlines are looked at */
#define LEFT_EVERY 5          /* every so many sweeps, connections that were left are looked for */
#define LEFT_AFTER_MS 1000
#define LEFT_BATCH 256
#define WATCH_AFTER_MS 10     /* a request that takes longer has its client watched */
#define REQUESTS_KEPT 128     /* released requests kept for reuse */
#define STREAM_BLOCK_BYTES 8192
#define BACKLOG 1024
#define SWALLOWED_BYTES_MAX 16777216 /* of a body that was refused for another reason than size */
#define SEND_BYTES_PER_MS 16  /* slowest reader: 16 KB/s, besides the body timeout */

/* What a connection is waiting for; each wait has a list, and a deadline of its own. */
enum wait_kind {
	WAIT_NONE,   /* for us */
	WAIT_IDLE,   /* for the first byte of a next request */
	WAIT_HEADER, /* for the rest of a header */
	WAIT_BODY,
	WAIT_SEND, /* for the client to read the reply */
	WAIT_COUNT,
};

/* Watches a connection's descriptor for the client's leaving. Outlives it until libuv lets go. */
struct watch {
	uv_poll_t poll;
	struct connection *connection; /* NULL once closed */
};

struct connection {
	struct listener *listener;
	struct MHD_Connection *mhd;
	int fd;
	enum wait_kind wait;
	uint64_t since_ms;
	uint64_t deadline_ms;
	struct connection *prev; /* in the list of its wait */
	struct connection *next;
	struct request *request; /* in progress, or NULL */
	struct watch *watch;     /* made when first needed */
	struct auth_principal *principal;
};

struct connection_list {
	struct connection *first;
	struct connection *last;
};

struct listener {
	struct server *server;
	struct listener *next;
	struct MHD_Daemon *mhd;
	bool is_unix;
	bool needs_run;
	uv_poll_t poll;
	uv_timer_t timer;
};

struct server {
	uv_loop_t *loop;
	const struct server_app *app;
	struct config *config;
	struct listener *listeners;
	uv_prepare_t prepare;
	uv_timer_t sweep_timer;
	uv_timer_t watch_timer;
	struct connection_list waits[WAIT_COUNT];
	struct request *suspended_first; /* not watched yet */
	struct request *suspended_last;
	struct request *released;
	size_t released_count;
	size_t connection_count;
	size_t request_count;
	uint64_t buffered_bytes;
	bool is_quiesced;
	bool is_closing;
	unsigned sweep_count;
	unsigned handle_count; /* libuv handles that are not closed yet */
};

/* --- what connections wait for ------------------------------------------------------------ */

static void
wait_unlink(struct server *server, struct connection *c)
{
	struct connection_list *list = &server->waits[c->wait];

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		list->first = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	else
		list->last = c->prev;
}

static void
wait_link(struct server *server, struct connection *c, enum wait_kind wait, uint64_t time_ms)
{
	struct connection_list *list = &server->waits[wait];

	c->wait = wait;
	c->since_ms = uv_now(server->loop);
	c->deadline_ms = c->since_ms + time_ms;
	c->next = NULL;
	c->prev = list->last;
	if (list->last != NULL)
		list->last->next = c;
	else
		list->first = c;
	list->last = c;
}

static void
wait_for(struct connection *c, enum wait_kind wait, uint64_t time_ms)
{
	struct server *server = c->listener->server;

	wait_unlink(server, c);
	wait_link(server, c, wait, time_ms);
}

#define LATE_BODY                                                                      \
	"{\"type\":\"/problems/request-timeout\",\"title\":\"Request arrived too slowly\"," \
	"\"status\":408,\"code\":\"request-timeout\",\"retryable\":true}"
_Static_assert(sizeof LATE_BODY - 1 == 128, "the length that the header below gives");

static const char late_answer[] = "HTTP/1.1 408 Request Timeout\r\n"
                                  "Content-Type: application/problem+json\r\n"
                                  "Content-Length: 128\r\n"
                                  "Connection: close\r\n"
                                  "\r\n" LATE_BODY;

/*
 * Tell a slow sender why, as far as its connection takes it, and end the connection. The HTTP
 * library then sees the end of the stream and cleans up.
 */
static void
cut(struct connection *c)
{
	if (c->wait == WAIT_HEADER || c->wait == WAIT_BODY) {
		metric_add(METRIC_HTTP_REFUSED,
		           c->wait == WAIT_BODY ? METRIC_refusal_BODY_TIMEOUT
		                                : METRIC_refusal_HEADER_TIMEOUT,
		           0, 1);
		(void)send(c->fd, late_answer, sizeof late_answer - 1,
		           MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	shutdown(c->fd, SHUT_RDWR);
	wait_for(c, WAIT_NONE, 0);
}

/* All of a list but WAIT_SEND's come in the order of their deadlines. */
static void
cut_late(struct server *server, enum wait_kind wait)
{
	uint64_t now_ms = uv_now(server->loop);
	struct connection *next;

	for (struct connection *c = server->waits[wait].first; c != NULL; c = next) {
		next = c->next;
		if (c->deadline_ms <= now_ms)
			cut(c);
		else if (wait != WAIT_SEND)
			break;
	}
}

/* End those of a batch whose client has closed and has left nothing to be read. */
static void
end_left(struct connection *batch[LEFT_BATCH], struct pollfd fds[LEFT_BATCH], unsigned count)
{
	char byte;

	if (poll(fds, count, 0) <= 0)
		return;
	for (unsigned i = 0; i < count; i++)
		if (fds[i].revents != 0 &&
		    recv(fds[i].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
			shutdown(batch[i]->fd, SHUT_RDWR);
}

/*
 * The library reads what an edge announces and takes a short read for the end. A client's close
 * that comes in before that read shares its edge and goes unnoticed, and the connection would
 * stay until its deadline.
 */
static void
look_for_left(struct server *server, enum wait_kind wait)
{
	uint64_t now_ms = uv_now(server->loop);
	struct connection *batch[LEFT_BATCH];
	struct pollfd fds[LEFT_BATCH];
	unsigned count = 0;

	for (struct connection *c = server->waits[wait].first; c != NULL; c = c->next) {
		if (c->since_ms + LEFT_AFTER_MS > now_ms)
			break;
		batch[count] = c;
		fds[count++] = (struct pollfd){ .fd = c->fd, .events = POLLRDHUP };
		if (count == LEFT_BATCH) {
			end_left(batch, fds, count);
			count = 0;
		}
	}
	if (count > 0)
		end_left(batch, fds, count);
}

static void
sweep(uv_timer_t *timer)
{
	struct server *server = timer->data;

	if (++server->sweep_count % LEFT_EVERY == 0) {
		look_for_left(server, WAIT_IDLE);
		look_for_left(server, WAIT_HEADER);
		look_for_left(server, WAIT_BODY);
	}
	cut_late(server, WAIT_IDLE);
	cut_late(server, WAIT_HEADER);
	cut_late(server, WAIT_BODY);
	cut_late(server, WAIT_SEND);
}

/* --- clients that leave ------------------------------------------------------------------- */

static void
suspended_unlink(struct request *r)
{
	struct server *server = r->server;

	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		server->suspended_first = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	else
		server->suspended_last = r->prev;
	r->prev = r->next = NULL;
}

static void
client_gone(struct request *r)
{
	r->is_gone = true;
	if (r->is_stream_waiting)
		request_stream_wake(r);
	else if (r->stage == REQUEST_PENDING && r->on_gone != NULL)
		r->on_gone(r);
}

/*
 * The descriptor says that the client has closed its sending side, or all. An HTTP client may
 * close only half; whether that counts as leaving is a setting.
 */
static void
on_watch(uv_poll_t *poll_handle, int status, int events)
{
	struct watch *watch = poll_handle->data;
	struct connection *c = watch->connection;
	struct pollfd state;

	(void)events;
	if (c == NULL || c->request == NULL)
		return;
	state = (struct pollfd){ .fd = c->fd, .events = POLLRDHUP };
	bool is_reset = status < 0 || poll(&state, 1, 0) < 0 ||
	                (state.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
	unsigned policy = c->listener->server->config->run_on_disconnect;
	if (is_reset || policy == CONFIG_run_on_disconnect_CANCEL) {
		uv_poll_stop(poll_handle);
		client_gone(c->request);
		return;
	}
	/*
	 * Half closed: errors are still reported when no readiness is asked for.
	 *
	 * When the connection is resumed, libmicrohttpd 0.9.75 may read before it sends and close
	 * at the end of the stream, so such a client sometimes gets no reply: the library has
	 * nothing to tell it that only the reading side has ended, and sending past it would lose
	 * its count of what was sent.
	 */
	uv_poll_start(poll_handle, UV_PRIORITIZED, on_watch);
}

static bool
watch_make(struct connection *c)
{
	struct watch *watch = calloc(1, sizeof *watch);

	if (watch == NULL)
		return false;
	if (uv_poll_init(c->listener->server->loop, &watch->poll, c->fd) != 0) {
		free(watch);
		return false;
	}
	watch->poll.data = watch;
	watch->connection = c;
	c->watch = watch;
	return true;
}

/* Without memory for a watch the request simply runs to its end. */
static void
watch_start(struct request *r)
{
	struct connection *c = r->connection;

	suspended_unlink(r);
	r->is_watched = true;
	if (r->server->config->run_on_disconnect == CONFIG_run_on_disconnect_FINISH &&
	    !r->is_stream_waiting)
		return;
	if (c->watch == NULL && !watch_make(c))
		return;
	uv_poll_start(&c->watch->poll, UV_DISCONNECT, on_watch);
}

static void
watch_stop(struct request *r)
{
	if (!r->is_watched)
		suspended_unlink(r);
	else if (r->connection->watch != NULL)
		uv_poll_stop(&r->connection->watch->poll);
	r->is_watched = false;
}

static void
free_watch(uv_handle_t *handle)
{
	free(handle->data);
}

static void
watch_close(struct connection *c)
{
	if (c->watch == NULL)
		return;
	c->watch->connection = NULL;
	uv_close((uv_handle_t *)&c->watch->poll, free_watch);
	c->watch = NULL;
}

/* Most requests are done within a moment and never come to be watched. */
static void
watch_old(uv_timer_t *timer)
{
	struct server *server = timer->data;
	uint64_t now_ms = uv_now(server->loop);

	while (server->suspended_first != NULL &&
	       server->suspended_first->suspended_ms + WATCH_AFTER_MS <= now_ms)
		watch_start(server->suspended_first);
	if (server->suspended_first == NULL)
		uv_timer_stop(timer);
}

static void
suspend(struct request *r)
{
	struct server *server = r->server;

	MHD_suspend_connection(r->mhd);
	wait_for(r->connection, WAIT_NONE, 0);
	r->suspended_ms = uv_now(server->loop);
	r->next = NULL;
	r->prev = server->suspended_last;
	if (server->suspended_last != NULL)
		server->suspended_last->next = r;
	else
		server->suspended_first = r;
	server->suspended_last = r;
	if (!uv_is_active((uv_handle_t *)&server->watch_timer))
		uv_timer_start(&server->watch_timer, watch_old, WATCH_AFTER_MS, WATCH_AFTER_MS);
}

static void
resume(struct request *r)
{
	watch_stop(r); /* before the HTTP library may close the descriptor */
	MHD_resume_connection(r->mhd);
	r->connection->listener->needs_run = true;
}

/* --- requests ----------------------------------------------------------------------------- */

static struct request *
request_new(struct connection *c, const char *target, size_t target_len)
{
	struct server *server = c->listener->server;
	struct request *r = server->released;

	if (r != NULL) {
		server->released = r->next;
		server->released_count--;
	} else if ((r = malloc(sizeof *r)) == NULL) {
		return NULL;
	}
	memset(r, 0, sizeof *r);
	char *copy = malloc(target_len + 1);
	if (copy == NULL) {
		free(r);
		return NULL;
	}
	memcpy(copy, target, target_len + 1);
	r->target = (struct guard_str){ copy, target_len };
	r->server = server;
	r->connection = c;
	r->mhd = c->mhd;
	r->is_unix = c->listener->is_unix;
	r->body = r->small_body;
	c->request = r;
	return r;
}

static void
set_buffered(struct request *r, size_t bytes)
{
	r->server->buffered_bytes += bytes;
	r->server->buffered_bytes -= r->buffered_bytes;
	r->buffered_bytes = bytes;
}

static void
request_release(struct request *r)
{
	struct server *server = r->server;

	if (r->state_free != NULL)
		r->state_free(r->state);
	if (r->body != r->small_body)
		free(r->body);
	if (r->response != NULL)
		MHD_destroy_response(r->response);
	set_buffered(r, 0);
	rpc_query_clear(&r->query);
	auth_principal_unref(r->principal);
	free((void *)(uintptr_t)r->target.data);
	r->connection->request = NULL;
	if (server->released_count == REQUESTS_KEPT) {
		free(r);
		return;
	}
	r->next = server->released;
	server->released = r;
	server->released_count++;
}

const char *
request_header(struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

bool
request_is_replied(const struct request *request)
{
	return request->status != 0;
}

bool
request_expect_body(struct request *request, uint64_t limit)
{
	request->body_limit = limit;
	if (request->facts.length > limit) {
		request->must_close = true;
		request_fail(request, RPC_BODY_TOO_LARGE,
		             "the body has %llu bytes, this operation takes at most %llu",
		             (unsigned long long)request->facts.length, (unsigned long long)limit);
		return false;
	}
	if (request->server->buffered_bytes > request->server->config->limits_buffered_bytes) {
		request_fail(request, RPC_QUEUE_FULL,
		             "the bodies of other requests take up all of limits.buffered_bytes");
		return false;
	}
	return true;
}

/* False when it would be too much for all requests together. */
static bool
charge(struct request *r, size_t buffered_bytes)
{
	struct server *server = r->server;
	uint64_t others = server->buffered_bytes - r->buffered_bytes;

	if (buffered_bytes > r->buffered_bytes &&
	    others + buffered_bytes > server->config->limits_buffered_bytes)
		return false;
	set_buffered(r, buffered_bytes);
	return true;
}

/* Make room for len more bytes and a NUL; false: no memory, or too much for all requests. */
static bool
body_reserve(struct request *r, size_t len)
{
	size_t needed = r->body_len + len + 1;

	if (r->body == r->small_body) {
		if (needed <= sizeof r->small_body)
			return true;
		r->body_capacity = 0;
	}
	if (needed <= r->body_capacity)
		return true;
	/* Grow with what arrives, never by what was only announced. */
	size_t capacity = needed + needed / 2;
	if (capacity > r->body_limit + 1 && needed <= r->body_limit + 1)
		capacity = (size_t)r->body_limit + 1;
	if (!charge(r, capacity))
		return false;
	char *body = realloc(r->body == r->small_body ? NULL : r->body, capacity);
	if (body == NULL)
		return false;
	if (r->body == r->small_body)
		memcpy(body, r->small_body, r->body_len);
	r->body = body;
	r->body_capacity = capacity;
	return true;
}

char *
request_take_body(struct request *request)
{
	char *body = request->body;

	if (body == request->small_body) {
		body = malloc(request->body_len + 1);
		if (body == NULL)
			return NULL;
		memcpy(body, request->small_body, request->body_len);
		body[request->body_len] = '\0';
	}
	request->body = request->small_body;
	request->body_len = 0;
	request->body_capacity = 0;
	return body;
}

bool
request_append(struct request *request, const char *data, size_t len)
{
	if (!body_reserve(request, len)) {
		request_fail(request, RPC_QUEUE_FULL,
		             "the bodies of all requests take up all of limits.buffered_bytes");
		return false;
	}
	memcpy(request->body + request->body_len, data, len);
	request->body_len += len;
	request->body[request->body_len] = '\0';
	return true;
}

static void
take_data(struct request *r, const char *data, size_t len)
{
	r->received_bytes += len;
	if (request_is_replied(r))
		return; /* what is left of a refused body is dropped */
	if (r->received_bytes > r->body_limit) {
		metric_add(METRIC_HTTP_REFUSED, METRIC_refusal_TOO_LARGE, 0, 1);
		r->must_close = true;
		request_fail(r, RPC_BODY_TOO_LARGE,
		             "the body has more than the %llu bytes that this operation takes",
		             (unsigned long long)r->body_limit);
		return;
	}
	if (r->on_data != NULL) {
		r->on_data(r, data, len);
		return;
	}
	(void)request_append(r, data, len);
}

/* --- replies ------------------------------------------------------------------------------ */


static ssize_t
read_stream(void *env, uint64_t pos, char *data, size_t size)
{
	struct request *r = env;

	(void)pos;
	if (r->is_gone || r->server->is_closing)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	ssize_t len = r->stream.read(r->stream.env, data, size);
	if (len < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	r->sent_bytes += (uint64_t)len;
	return len;
}

static struct MHD_Response *
make_response(struct request *r, struct reply *reply)
{
	struct MHD_Response *response;
	char seconds[16];

	if (reply->stream != NULL) {
		r->stream = *reply->stream;
		reply->stream = NULL;
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
		                                             read_stream, r, NULL);
	} else {
		r->sent_bytes = reply->body_len;
		/* The library's buffers are not const, but it only reads them. */
		response = MHD_create_response_from_buffer_with_free_callback_cls(
		    reply->body_len, (void *)(uintptr_t)reply->body, reply->body_free,
		    reply->body_env);
		if (response != NULL)
			reply->body_free = NULL;
	}
	if (response == NULL)
		return NULL;
	for (unsigned i = 0; i < reply->header_count; i++)
		MHD_add_response_header(response, reply->names[i], reply->text + reply->values[i]);
	if (reply->retry_after_s > 0) {
		snprintf(seconds, sizeof seconds, "%u", reply->retry_after_s);
		MHD_add_response_header(response, "Retry-After", seconds);
	}
	if (r->must_close || r->server->is_quiesced)
		MHD_add_response_header(response, "Connection", "close");
	return response;
}

/* Hand the response over. False: the library does not take it and closes the connection. */
static bool
queue_response(struct request *r)
{
	struct MHD_Response *response = r->response;
	uint64_t time_ms = r->server->config->limits_body_timeout +
	                   r->sent_bytes / SEND_BYTES_PER_MS;

	r->response = NULL;
	r->stage = REQUEST_REPLIED;
	wait_for(r->connection, WAIT_SEND, time_ms);
	enum MHD_Result queued = MHD_queue_response(r->mhd, r->status, response);
	MHD_destroy_response(response); /* the connection holds it */
	return queued == MHD_YES;
}

/*
 * Whether a reply goes out before the body, which is then not read and ends the connection.
 * Many clients do not listen while they send and see nothing but a broken connection then, so a
 * body that is not too much is read and dropped first, unless its sender waits to be asked.
 */
static bool
refuses_body(const struct request *r)
{
	return r->stage == REQUEST_BEGIN && r->expects_body &&
	       (r->facts.expects_continue || r->facts.length > SWALLOWED_BYTES_MAX);
}

void
request_reply(struct request *request, struct reply *reply)
{
	if (request_is_replied(request)) {
		reply_clear(reply);
		return;
	}
	request->server->app->refine(request, reply);
	request->status = reply->status;
	request->slug = reply->slug;
	request->must_close |= reply->must_close || refuses_body(request);
	request->response = make_response(request, reply);
	reply_clear(reply);
	if (request->response == NULL) {
		shutdown(request->connection->fd, SHUT_RDWR);
		request->must_close = true;
	}
	if (request->stage != REQUEST_PENDING)
		return; /* on_access queues it when the library can take it */
	resume(request);
	if (request->response != NULL)
		(void)queue_response(request);
}

void
request_problem(struct request *request, const struct rpc_problem *problem)
{
	struct reply reply;

	reply_problem(&reply, problem, request->id);
	request_reply(request, &reply);
}

void
request_fail(struct request *request, enum rpc_code code, const char *format, ...)
{
	char detail[RPC_PROBLEM_DETAIL_MAX];
	struct rpc_problem problem;
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	rpc_problem_set(&problem, code, "%s", detail);
	request_problem(request, &problem);
}

void
request_stream_wait(struct request *request)
{
	if (request->is_stream_waiting || request->is_gone)
		return;
	request->is_stream_waiting = true;
	suspend(request);
}

void
request_stream_wake(struct request *request)
{
	if (!request->is_stream_waiting)
		return;
	request->is_stream_waiting = false;
	wait_for(request->connection, WAIT_SEND, request->server->config->limits_body_timeout);
	resume(request);
}

/* --- callbacks of the HTTP library -------------------------------------------------------- */

struct header_list {
	struct guard_header items[GUARD_HEADERS_MAX + 1];
	size_t count;
};

static enum MHD_Result
collect_header(void *env, enum MHD_ValueKind kind, const char *name, size_t name_len,
               const char *value, size_t value_len)
{
	struct header_list *list = env;

	(void)kind;
	/* One more than the guard takes is enough for it to see that there are too many. */
	if (list->count == sizeof list->items / sizeof list->items[0])
		return MHD_NO;
	list->items[list->count++] = (struct guard_header){
		.name = { name, name_len },
		.value = { value == NULL ? "" : value, value_len },
	};
	return MHD_YES;
}

static enum guard_verdict
guard(struct request *r, const char *method, const char *version)
{
	const struct config_list *hosts = &r->server->config->listen_hosts;
	struct guard_policy policy = {
		.check_host = !r->is_unix,
		.hosts = hosts->items,
		.host_count = hosts->count,
	};
	struct header_list list;
	struct guard_request request = {
		.method = { method, strlen(method) },
		.target = r->target,
		.version = { version, strlen(version) },
		.headers = list.items,
	};

	list.count = 0;
	MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, collect_header, &list);
	request.header_count = list.count;
	return guard_check(&request, &policy, &r->facts);
}

/* The header is complete. */
static void
begin(struct request *r, const char *method, const char *version)
{
	struct server *server = r->server;

	r->stage = REQUEST_BEGIN;
	r->method = method;
	r->started_us = clock_monotonic_us();
	r->is_counted = true;
	server->request_count++;
	ids_make("req_", r->id);
	enum guard_verdict verdict = guard(r, method, version);
	if (verdict != GUARD_OK) {
		metric_add(METRIC_HTTP_REFUSED,
		           verdict == GUARD_HOST_UNKNOWN ? METRIC_refusal_HOST
		                                         : METRIC_refusal_MALFORMED,
		           0, 1);
		r->must_close = true; /* nobody knows where a next request would begin */
		request_fail(r, guard_verdict_code(verdict), "%s", guard_verdict_detail(verdict));
		return;
	}
	r->expects_body = r->facts.is_chunked || r->facts.length > 0;
	server->app->begin(r);
}

static enum MHD_Result
on_begin(struct request *r, const char *method, const char *version)
{
	begin(r, method, version);
	if (request_is_replied(r)) {
		if (r->response == NULL)
			return MHD_NO;
		if (r->must_close)
			return queue_response(r) ? MHD_YES : MHD_NO;
	}
	/* To keep the connection the reply has to wait for the end of the request. */
	r->stage = REQUEST_BODY;
	wait_for(r->connection, r->expects_body ? WAIT_BODY : WAIT_NONE,
	         r->server->config->limits_body_timeout);
	return MHD_YES;
}

static enum MHD_Result
on_finish(struct request *r)
{
	r->stage = REQUEST_FINISH;
	wait_for(r->connection, WAIT_NONE, 0);
	if (!request_is_replied(r))
		r->server->app->finish(r);
	if (request_is_replied(r))
		return r->response != NULL && queue_response(r) ? MHD_YES : MHD_NO;
	r->stage = REQUEST_PENDING;
	suspend(r);
	return MHD_YES;
}

static enum MHD_Result
on_access(void *env, struct MHD_Connection *mhd, const char *url, const char *method,
          const char *version, const char *data, size_t *data_len, void **state)
{
	struct request *r = *state;

	(void)env;
	(void)mhd;
	(void)url;
	if (r == NULL)
		return MHD_NO; /* there was no memory for it */
	if (r->stage == REQUEST_LINE)
		return on_begin(r, method, version);
	if (*data_len > 0) {
		take_data(r, data, *data_len);
		*data_len = 0;
		return MHD_YES;
	}
	if (r->stage == REQUEST_BODY)
		return on_finish(r);
	return MHD_YES;
}

static void *
on_target(void *env, const char *target, struct MHD_Connection *mhd)
{
	struct listener *listener = env;
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct connection *c = info == NULL ? NULL : info->socket_context;

	if (c == NULL)
		return NULL;
	wait_for(c, WAIT_HEADER, listener->server->config->limits_header_timeout);
	return request_new(c, target, strlen(target));
}

static void
on_completed(void *env, struct MHD_Connection *mhd, void **state,
             enum MHD_RequestTerminationCode code)
{
	struct request *r = *state;

	(void)env;
	(void)mhd;
	*state = NULL;
	if (r == NULL)
		return;
	struct server *server = r->server;
	struct connection *c = r->connection;
	if (r->is_stream_waiting || r->stage == REQUEST_PENDING)
		watch_stop(r); /* only when the server closes */
	if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
		r->is_gone = true;
	if (r->status == 0)
		r->status = 499;
	if (r->is_counted) {
		server->app->end(r);
		server->request_count--;
	}
	if (r->stream.free != NULL)
		r->stream.free(r->stream.env);
	request_release(r);
	wait_for(c, WAIT_IDLE,
	         server->config->limits_idle_timeout + server->config->limits_header_timeout);
}

static void
connection_open(struct listener *listener, struct MHD_Connection *mhd, void **socket_context)
{
	struct server *server = listener->server;
	struct connection *c = calloc(1, sizeof *c);

	*socket_context = c;
	if (c == NULL)
		return;
	c->listener = listener;
	c->mhd = mhd;
	c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	wait_link(server, c, WAIT_HEADER, server->config->limits_header_timeout);
	server->connection_count++;
	metric_change(METRIC_CONNECTIONS, 0, 0, 1);
}

static void
connection_close(struct connection *c)
{
	struct server *server = c->listener->server;

	watch_close(c);
	wait_unlink(server, c);
	auth_principal_unref(c->principal);
	server->connection_count--;
	metric_change(METRIC_CONNECTIONS, 0, 0, -1);
	free(c);
}

static void
on_connection(void *env, struct MHD_Connection *mhd, void **socket_context,
              enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		connection_open(env, mhd, socket_context);
	else if (*socket_context != NULL)
		connection_close(*socket_context);
}

/* Nothing is decoded for us: the target and its query are routed from their raw form. */
static size_t
unescape_nothing(void *env, struct MHD_Connection *mhd, char *text)
{
	(void)env;
	(void)mhd;
	return strlen(text);
}

static void VM_PRINTF(2, 0)
on_log(void *env, const char *format, va_list args)
{
	char text[256];

	(void)env;
	vsnprintf(text, sizeof text, format, args);
	text[strcspn(text, "\r\n")] = '\0';
	log_debug("http library", LOG_STR("says", text));
}

/* --- the library inside the loop ---------------------------------------------------------- */

static void
on_timer(uv_timer_t *timer)
{
	struct listener *listener = timer->data;

	listener->needs_run = true;
}

static void
on_readable(uv_poll_t *poll_handle, int status, int events)
{
	struct listener *listener = poll_handle->data;

	(void)status;
	(void)events;
	listener->needs_run = true;
}

/*
 * The library's epoll set is edge-triggered: after every run its timeout says whether it has
 * more to do at once, and forgetting that would stall connections.
 */
static void
run(struct listener *listener)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	listener->needs_run = false;
	MHD_run(listener->mhd);
	if (MHD_get_timeout(listener->mhd, &timeout_ms) == MHD_YES)
		uv_timer_start(&listener->timer, on_timer, timeout_ms, 0);
	else
		uv_timer_stop(&listener->timer);
}

/* Just before the loop would sleep: one run serves what came from sockets and from workers. */
static void
run_all(uv_prepare_t *prepare)
{
	struct server *server = prepare->data;

	for (struct listener *l = server->listeners; l != NULL; l = l->next)
		if (l->needs_run && l->mhd != NULL)
			run(l);
	server->app->idle(server->app->env);
}

/* --- the server --------------------------------------------------------------------------- */

struct server *
server_new(const struct server_options *options)
{
	struct server *server = calloc(1, sizeof *server);

	if (server == NULL)
		return NULL;
	server->loop = options->loop;
	server->app = options->app;
	server->config = config_ref(options->config);
	/* These cannot fail. */
	uv_prepare_init(server->loop, &server->prepare);
	uv_timer_init(server->loop, &server->sweep_timer);
	uv_timer_init(server->loop, &server->watch_timer);
	server->prepare.data = server->sweep_timer.data = server->watch_timer.data = server;
	server->handle_count = 3;
	uv_prepare_start(&server->prepare, run_all);
	uv_timer_start(&server->sweep_timer, sweep, SWEEP_MS, SWEEP_MS);
	return server;
}

static struct MHD_Daemon *
start_library(struct listener *listener, int fd)
{
	const struct config *config = listener->server->config;
	unsigned flags = MHD_USE_EPOLL | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	return MHD_start_daemon(
	    flags, 0, NULL, NULL, on_access, listener,
	    MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, /* first, so that it hears of the others */
	    MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)BACKLOG,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->listen_connections,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)config->limits_header_bytes,
	    MHD_OPTION_CONNECTION_TIMEOUT, 0u,
	    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
	    MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL,
	    MHD_OPTION_URI_LOG_CALLBACK, on_target, listener,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, listener,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener, MHD_OPTION_END);
}

bool
server_listen(struct server *server, int fd, bool is_unix)
{
	struct listener *listener = calloc(1, sizeof *listener);

	if (listener == NULL) {
		close(fd);
		return false;
	}
	listener->server = server;
	listener->is_unix = is_unix;
	listener->mhd = start_library(listener, fd);
	if (listener->mhd == NULL) {
		int error = errno;
		close(fd);
		free(listener);
		errno = error;
		return false;
	}
	int epoll_fd = MHD_get_daemon_info(listener->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int error = uv_poll_init(server->loop, &listener->poll, epoll_fd);
	if (error != 0) {
		MHD_stop_daemon(listener->mhd); /* closes the socket */
		free(listener);
		errno = -error;
		return false;
	}
	uv_timer_init(server->loop, &listener->timer);
	listener->poll.data = listener->timer.data = listener;
	server->handle_count += 2;
	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	listener->needs_run = true;
	listener->next = server->listeners;
	server->listeners = listener;
	return true;
}

void
server_set_config(struct server *server, struct config *config)
{
	struct config *before = server->config;

	server->config = config_ref(config);
	config_unref(before);
}

void
server_quiesce(struct server *server)
{
	server->is_quiesced = true;
	for (struct listener *l = server->listeners; l != NULL; l = l->next) {
		MHD_socket fd = MHD_quiesce_daemon(l->mhd);
		if (fd != MHD_INVALID_SOCKET)
			close(fd);
	}
	/* Connections between two requests would only keep us waiting. */
	for (struct connection *c = server->waits[WAIT_IDLE].first; c != NULL; c = c->next)
		shutdown(c->fd, SHUT_RDWR);
}

size_t
server_request_count(const struct server *server)
{
	return server->request_count;
}

size_t
server_connection_count(const struct server *server)
{
	return server->connection_count;
}

void *
server_env(const struct server *server)
{
	return server->app->env;
}

static void
free_closed(struct server *server)
{
	struct listener *listener;
	struct request *r;

	while ((listener = server->listeners) != NULL) {
		server->listeners = listener->next;
		free(listener);
	}
	while ((r = server->released) != NULL) {
		server->released = r->next;
		free(r);
	}
	config_unref(server->config);
	free(server);
}

static void
on_server_handle_closed(uv_handle_t *handle)
{
	struct server *server = handle->data;

	if (--server->handle_count == 0)
		free_closed(server);
}

static void
on_listener_handle_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;

	handle->data = listener->server;
	on_server_handle_closed(handle);
}

/* Connections that were suspended have to be resumed before the library may stop. */
static void
resume_all(struct server *server)
{
	struct connection *next;

	for (struct connection *c = server->waits[WAIT_NONE].first; c != NULL; c = next) {
		next = c->next;
		struct request *r = c->request;
		if (r == NULL)
			continue;
		if (r->is_stream_waiting)
			request_stream_wake(r);
		else if (r->stage == REQUEST_PENDING) {
			resume(r);
			r->stage = REQUEST_REPLIED;
		}
	}
}

void
server_close(struct server *server)
{
	if (server == NULL)
		return;
	server->is_closing = true;
	resume_all(server);
	for (struct listener *l = server->listeners; l != NULL; l = l->next) {
		uv_poll_stop(&l->poll);
		MHD_stop_daemon(l->mhd);
		l->mhd = NULL;
		uv_close((uv_handle_t *)&l->poll, on_listener_handle_closed);
		uv_close((uv_handle_t *)&l->timer, on_listener_handle_closed);
	}
	uv_close((uv_handle_t *)&server->prepare, on_server_handle_closed);
	uv_close((uv_handle_t *)&server->sweep_timer, on_server_handle_closed);
	uv_close((uv_handle_t *)&server->watch_timer, on_server_handle_closed);
}

/* --- who is there ------------------------------------------------------------------------- */

const struct sockaddr *
request_peer(const struct request *request)
{
	if (request->is_unix)
		return NULL;
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return info == NULL ? NULL : info->client_addr;
}

int
request_fd(const struct request *request)
{
	return request->connection->fd;
}

struct auth_principal *
request_peer_principal(const struct request *request)
{
	return request->connection->principal;
}

void
request_set_peer_principal(struct request *request, struct auth_principal *principal)
{
	auth_principal_unref(request->connection->principal);
	request->connection->principal = auth_principal_ref(principal);
}
