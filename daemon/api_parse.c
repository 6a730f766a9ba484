/*
 * api_parse.c - from the body of a request to an invocation that starts.
 *
 * Small bodies are parsed where they are, on the loop; that takes some microseconds. Big ones go
 * to a helper.
 */
#include <stdlib.h>
#include "daemon/api.h"
#include "daemon/invocations.h"

#define PARSE_HERE_BYTES 16384

/* Whether the client wants to come back for the answer; notes how long it would wait first. */
static bool
prefers_async(struct invocation *inv)
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
	bool is_run = inv->kind == INVOCATION_RUN;

	if (code != RPC_OK) {
		request_problem(inv->request, problem);
		invocation_drop(inv);
		return;
	}
	if (!inv->has_stdin && inv->form_file_count == 0) {
		free(inv->body); /* the JSON has been read */
		inv->body = NULL;
	}
	invocation_limit(inv, is_run ? &inv->run.limits : &inv->invoke.limits);
	bool is_async = prefers_async(inv) || (is_run ? inv->run.async : inv->invoke.async);
	if (inv->wants_events)
		is_async = inv->has_wait = false; /* who asked for the stream gets it */
	invocation_start(inv, is_async);
}

struct big_parse {
	struct letter letter;
	struct job job;
	struct invocation *invocation;
	api_parse_fn *parse;
	enum rpc_code code;
	struct rpc_problem problem;
};

static void
open_parsed(struct letter *letter)
{
	struct big_parse *big = (struct big_parse *)letter;

	parsed(big->invocation, big->code, &big->problem);
	free(big);
}

/* On a helper. */
static void
run_parse(struct job *job)
{
	struct big_parse *big = (struct big_parse *)((char *)job - offsetof(struct big_parse, job));

	big->code = big->parse(big->invocation, &big->problem);
	mailbox_post(&big->invocation->daemon->mailbox, &big->letter, open_parsed);
}

static void
parse_elsewhere(struct invocation *inv, api_parse_fn *parse)
{
	struct big_parse *big = calloc(1, sizeof *big);

	if (big != NULL) {
		big->invocation = inv;
		big->parse = parse;
		if (jobpool_submit(inv->daemon->helpers, &big->job, run_parse))
			return;
		free(big);
	}
	api_fail_full(inv->request, inv->daemon->helpers, "too many big bodies wait to be parsed");
	invocation_drop(inv);
}

bool
api_parse_is_quick(size_t len)
{
	return len <= PARSE_HERE_BYTES;
}

void
api_parse_and_start(struct invocation *inv, size_t len, api_parse_fn *parse)
{
	struct rpc_problem problem;

	if (api_parse_is_quick(len))
		parsed(inv, parse(inv, &problem), &problem);
	else
		parse_elsewhere(inv, parse);
}
