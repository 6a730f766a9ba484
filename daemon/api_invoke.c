/*
 * api_invoke.c - calls of exported functions.
 */
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/invocations.h"

/* Bodies up to this size are parsed where they are; that takes some microseconds. */
#define PARSE_HERE_BYTES 16384

void
module_invoke_begin(struct request *request)
{
	static const char *const types[] = { "application/json" };

	if (api_content_type(request, types, 1, true) == 0)
		(void)request_expect_body(request, api_daemon(request)->config->limits_body_bytes);
}

/* What the request prefers to be done about waiting. */
static bool
take_preference(struct invocation *inv)
{
	struct rpc_prefer prefer;

	rpc_prefer_parse(request_header(inv->request, "Prefer"), &prefer);
	inv->has_wait = prefer.has_wait;
	inv->wait_s = prefer.wait_s;
	/* wait=N alone, or with respond-async: inline if it is quick enough. */
	return prefer.respond_async && !prefer.has_wait;
}

static void
parsed(struct invocation *inv, enum rpc_code code, const struct rpc_problem *problem)
{
	if (code != RPC_OK) {
		request_problem(inv->request, problem);
		invocation_drop(inv);
		return;
	}
	invocation_limit(inv, &inv->invoke.limits);
	bool is_async = take_preference(inv);
	invocation_start(inv, is_async || inv->invoke.async);
}

/* A big body, on a helper. */
struct big_parse {
	struct letter letter;
	struct job job;
	struct invocation *invocation;
	char *body;
	size_t len;
	enum rpc_code code;
	struct rpc_problem problem;
};

static void
open_parsed(struct letter *letter)
{
	struct big_parse *parse = (struct big_parse *)letter;

	parsed(parse->invocation, parse->code, &parse->problem);
	free(parse->body);
	free(parse);
}

static void
run_parse(struct job *job)
{
	struct big_parse *parse =
	    (struct big_parse *)((char *)job - offsetof(struct big_parse, job));
	struct invocation *inv = parse->invocation;

	parse->code =
	    rpc_invoke_parse(parse->body, parse->len, parse->len, &inv->invoke, &parse->problem);
	mailbox_post(&inv->daemon->mailbox, &parse->letter, open_parsed);
}

static void
parse_elsewhere(struct invocation *inv)
{
	struct request *r = inv->request;
	struct big_parse *parse = calloc(1, sizeof *parse);

	if (parse != NULL) {
		parse->invocation = inv;
		parse->len = r->body_len;
		parse->body = request_take_body(r);
		if (parse->body != NULL &&
		    jobpool_submit(inv->daemon->helpers, &parse->job, run_parse))
			return;
		free(parse->body);
		free(parse);
	}
	request_fail(r, RPC_QUEUE_FULL, "too many big bodies wait to be parsed");
	invocation_drop(inv);
}

void
module_invoke(struct request *request)
{
	struct rpc_problem problem;
	struct digest digest;
	struct rpc_ref ref;

	if (!api_resolve(request, &ref, &digest))
		return;
	struct invocation *inv = invocation_new(request, INVOCATION_INVOKE, &ref, &digest);
	if (inv == NULL)
		return;
	if (request->body_len > PARSE_HERE_BYTES) {
		parse_elsewhere(inv);
		return;
	}
	enum rpc_code code = rpc_invoke_parse(request->body, request->body_len, PARSE_HERE_BYTES,
	                                      &inv->invoke, &problem);
	parsed(inv, code, &problem);
}
