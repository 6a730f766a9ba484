/*
 * api_invoke.c - calls of exported functions.
 */
#include "daemon/api.h"
#include "daemon/invocations.h"

void
module_invoke_begin(struct request *request)
{
	static const char *const types[] = { "application/json" };

	if (api_content_type(request, types, 1, true) == 0)
		(void)request_expect_body(request, api_daemon(request)->config->limits_body_bytes);
}

static enum rpc_code
parse_call(struct invocation *inv, struct rpc_problem *problem)
{
	return rpc_invoke_parse(inv->body, inv->body_len, inv->body_len, &inv->invoke, problem);
}

/* A body that is parsed at once need not be moved. */
static enum rpc_code
parse_small_call(struct invocation *inv, struct rpc_problem *problem)
{
	const struct request *r = inv->request;

	return rpc_invoke_parse(r->body, r->body_len, r->body_len, &inv->invoke, problem);
}

void
module_invoke(struct request *request)
{
	size_t len = request->body_len;
	struct digest digest;
	struct rpc_ref ref;

	if (!api_resolve(request, &ref, &digest))
		return;
	struct invocation *inv = invocation_new(request, INVOCATION_INVOKE, &ref, &digest);
	if (inv == NULL)
		return;
	if (api_parse_is_quick(len)) {
		api_parse_and_start(inv, len, parse_small_call);
		return;
	}
	inv->body_len = len;
	inv->body = request_take_body(request);
	if (inv->body == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the body");
		invocation_drop(inv);
		return;
	}
	api_parse_and_start(inv, len, parse_call);
}
