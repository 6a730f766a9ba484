/*
 * digestd.c - a plain server that answers a body with its SHA-256: digestd PORT
 *
 * What wasmedged's "run" is compared with. Its structure is the daemon's: libmicrohttpd driven by
 * libuv's loop, a connection suspended while a worker thread does the work, and resumed with the
 * answer. It has no limits, no routes and no guests.
 */
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "tests/bench/kernels/sha256.h"

enum { BODY_BYTES_MAX = 1 << 20 };

struct request {
	uv_work_t work; /* its data is the request */
	struct MHD_Connection *connection;
	size_t len;
	bool is_done;
	char hex[65];
	uint8_t body[BODY_BYTES_MAX];
};

static struct MHD_Daemon *server;
static uv_timer_t timer;

static void
run_server(void)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(server);
	if (MHD_get_timeout(server, &timeout_ms) == MHD_YES)
		uv_timer_start(&timer, timer.timer_cb, timeout_ms, 0);
}

static void
on_timer(uv_timer_t *handle)
{
	(void)handle;
	run_server();
}

static void
on_readable(uv_poll_t *handle, int status, int events)
{
	(void)handle;
	(void)status;
	(void)events;
	run_server();
}

/* On a worker. */
static void
work(uv_work_t *work)
{
	struct request *request = work->data;

	sha256_hex(request->body, request->len, request->hex);
}

/* On the loop. */
static void
after_work(uv_work_t *work, int status)
{
	struct request *request = work->data;

	(void)status;
	request->is_done = true;
	MHD_resume_connection(request->connection);
	run_server();
}

static enum MHD_Result
answer(struct request *request)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(64, request->hex, MHD_RESPMEM_MUST_COPY);
	const enum MHD_Result result =
	    MHD_queue_response(request->connection, MHD_HTTP_OK, response);

	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
on_request(void *env, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *data, size_t *data_len, void **state)
{
	struct request *request = *state;

	(void)env;
	(void)url;
	(void)method;
	(void)version;
	if (request == NULL) {
		*state = request = malloc(sizeof *request);
		if (request == NULL)
			return MHD_NO;
		request->work.data = request;
		request->connection = connection;
		request->len = 0;
		request->is_done = false;
		return MHD_YES;
	}
	if (*data_len > 0) {
		if (*data_len > BODY_BYTES_MAX - request->len)
			return MHD_NO;
		memcpy(request->body + request->len, data, *data_len);
		request->len += *data_len;
		*data_len = 0;
		return MHD_YES;
	}
	if (request->is_done)
		return answer(request);
	MHD_suspend_connection(connection);
	return uv_queue_work(uv_default_loop(), &request->work, work, after_work) == 0 ? MHD_YES
	                                                                               : MHD_NO;
}

static void
on_completed(void *env, struct MHD_Connection *connection, void **state,
             enum MHD_RequestTerminationCode code)
{
	(void)env;
	(void)connection;
	(void)code;
	free(*state);
	*state = NULL;
}

int
main(int argc, char **argv)
{
	uv_poll_t poll;

	if (argc != 2) {
		fprintf(stderr, "usage: %s PORT\n", argv[0]);
		return 2;
	}
	uv_timer_init(uv_default_loop(), &timer);
	timer.timer_cb = on_timer;
	server = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME,
	                          (uint16_t)strtoul(argv[1], NULL, 10), NULL, NULL, on_request,
	                          NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
	                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)128 * 1024,
	                          MHD_OPTION_END);
	if (server == NULL) {
		fputs("digestd: cannot listen\n", stderr);
		return 1;
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_EPOLL_FD);
	uv_poll_init(uv_default_loop(), &poll, info->epoll_fd);
	uv_poll_start(&poll, UV_READABLE, on_readable);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
