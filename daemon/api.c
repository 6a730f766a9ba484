#include "daemon/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/clock.h"
#include "daemon/errmap.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

static const struct endpoint endpoints[RPC_ROUTE_COUNT] = {
	[RPC_ROUTE_MODULE_UPLOAD] = { module_upload_begin, module_upload },
	[RPC_ROUTE_MODULE_LIST] = { NULL, module_list },
	[RPC_ROUTE_MODULE_PUT] = { module_put_begin, module_put },
	[RPC_ROUTE_MODULE_GET] = { NULL, module_get },
	[RPC_ROUTE_MODULE_DELETE] = { NULL, module_delete },
	[RPC_ROUTE_MODULE_VALIDATE] = { module_validate_begin, module_validate },
	[RPC_ROUTE_ARTIFACT_LIST] = { NULL, artifact_list },
	[RPC_ROUTE_ARTIFACT_GET] = { NULL, artifact_get },
	[RPC_ROUTE_ARTIFACT_CREATE] = { NULL, artifact_create },
	[RPC_ROUTE_ARTIFACT_DELETE] = { NULL, artifact_delete },
	[RPC_ROUTE_ARTIFACT_CLEAR] = { NULL, artifact_clear },
	[RPC_ROUTE_EVENTS] = { NULL, events },
	[RPC_ROUTE_TAG_LIST] = { NULL, tag_list },
	[RPC_ROUTE_TAG_NAME] = { NULL, tag_name },
	[RPC_ROUTE_TAG_GET] = { NULL, tag_get },
	[RPC_ROUTE_TAG_PUT] = { tag_put_begin, tag_put },
	[RPC_ROUTE_TAG_DELETE] = { NULL, tag_delete },
	[RPC_ROUTE_MODULE_INVOKE] = { module_invoke_begin, module_invoke },
	[RPC_ROUTE_MODULE_RUN] = { module_run_begin, module_run },
	[RPC_ROUTE_INVOCATION_LIST] = { NULL, invocation_list },
	[RPC_ROUTE_INVOCATION_GET] = { NULL, invocation_get },
	[RPC_ROUTE_INVOCATION_CANCEL] = { NULL, invocation_cancel },
	[RPC_ROUTE_INVOCATION_EVENTS] = { NULL, invocation_events },
	[RPC_ROUTE_INVOCATION_STDOUT] = { NULL, invocation_stdout },
	[RPC_ROUTE_INVOCATION_STDERR] = { NULL, invocation_stderr },
	[RPC_ROUTE_INVOCATION_FILE] = { NULL, invocation_file },
	[RPC_ROUTE_ACTIVITY] = { NULL, activity },
	[RPC_ROUTE_PLUGIN_LIST] = { NULL, plugins_list },
	[RPC_ROUTE_PLUGIN_GET] = { NULL, plugins_get },
	[RPC_ROUTE_PLUGIN_CALL] = { plugins_call_begin, plugins_call },
	[RPC_ROUTE_MODEL_LIST] = { NULL, model_list },
	[RPC_ROUTE_MODEL_PUT] = { model_put_begin, model_put },
	[RPC_ROUTE_MODEL_GET] = { NULL, model_get },
	[RPC_ROUTE_MODEL_DELETE] = { NULL, model_delete },
	[RPC_ROUTE_MODEL_INFER] = { model_infer_begin, model_infer },
	[RPC_ROUTE_V2_SERVER] = { NULL, v2_server },
	[RPC_ROUTE_V2_LIVE] = { NULL, livez },
	[RPC_ROUTE_V2_READY] = { NULL, readyz },
	[RPC_ROUTE_V2_MODEL] = { NULL, v2_model },
	[RPC_ROUTE_V2_MODEL_READY] = { NULL, v2_model_ready },
	[RPC_ROUTE_V2_INFER] = { model_infer_begin, model_infer },
	[RPC_ROUTE_V2_VERSION] = { NULL, v2_model },
	[RPC_ROUTE_V2_VERSION_READY] = { NULL, v2_model_ready },
	[RPC_ROUTE_V2_VERSION_INFER] = { model_infer_begin, model_infer },
	[RPC_ROUTE_KV_LIST] = { NULL, kv_list },
	[RPC_ROUTE_KV_GET] = { NULL, kv_get },
	[RPC_ROUTE_KV_PUT] = { kv_put_begin, kv_put },
	[RPC_ROUTE_KV_DELETE] = { NULL, kv_delete },
	[RPC_ROUTE_LIVEZ] = { NULL, livez },
	[RPC_ROUTE_READYZ] = { NULL, readyz },
	[RPC_ROUTE_METRICS] = { NULL, metrics_report },
	[RPC_ROUTE_VERSION] = { NULL, version },
	[RPC_ROUTE_OPENAPI] = { NULL, openapi },
	[RPC_ROUTE_PROBLEM] = { NULL, problem_kind },
};

void
api_fail_full(struct request *request, struct jobpool *pool, const char *format, ...)
{
	char detail[RPC_PROBLEM_DETAIL_MAX];
	struct reply reply;
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	reply_fail(&reply, request->id, RPC_QUEUE_FULL, "%s", detail);
	reply.retry_after_s = jobpool_wait_s(pool);
	request_reply(request, &reply);
}

/* --- who asks ----------------------------------------------------------------------------- */

static void
refuse(struct request *r, unsigned reason, enum rpc_code code, const char *detail)
{
	metric_add(METRIC_AUTH_FAILURES, reason, 0, 1);
	request_fail(r, code, "%s", detail);
}

/* The kernel knows who is at the other end; asked once a connection. */
static bool
identify_unix(struct request *r)
{
	if (request_peer_principal(r) != NULL) {
		r->principal = auth_principal_ref(request_peer_principal(r));
		return true;
	}
	r->principal = auth_peers_check(api_daemon(r)->peers, request_fd(r));
	if (r->principal == NULL) {
		refuse(r, METRIC_auth_PEER, RPC_FORBIDDEN,
		       "this user may not use the Unix socket; auth.unix_users and "
		       "auth.unix_groups say who may");
		return false;
	}
	request_set_peer_principal(r, r->principal);
	return true;
}

static bool
refuse_token(struct request *r, enum auth_result result)
{
	static const struct {
		unsigned metric;
		const char *detail;
	} reasons[] = {
		[AUTH_MISSING] = { METRIC_auth_MISSING,
		                   "this address wants a token: Authorization: Bearer <token>" },
		[AUTH_MALFORMED] = { METRIC_auth_MALFORMED,
		                     "the Authorization field is not Bearer <token>" },
		[AUTH_UNKNOWN] = { METRIC_auth_UNKNOWN, "the token is not known" },
		[AUTH_EXPIRED] = { METRIC_auth_EXPIRED, "the token has expired" },
	};

	if (result == AUTH_UNKNOWN || result == AUTH_EXPIRED)
		auth_limiter_failed(api_daemon(r)->limiter, request_peer(r), clock_monotonic_us());
	refuse(r, reasons[result].metric, RPC_UNAUTHENTICATED, reasons[result].detail);
	return false;
}

static bool
identify_tcp(struct request *r)
{
	struct daemon *daemon = api_daemon(r);

	if (daemon->config->auth_tcp == CONFIG_auth_tcp_NONE) {
		r->principal = auth_principal_ref(daemon->anonymous);
		return true;
	}
	unsigned wait_s =
	    auth_limiter_wait_s(daemon->limiter, request_peer(r), clock_monotonic_us());
	if (wait_s > 0) {
		struct reply reply;
		metric_add(METRIC_AUTH_FAILURES, METRIC_auth_LIMITED, 0, 1);
		reply_fail(&reply, r->id, RPC_RATE_LIMITED,
		           "too many wrong tokens came from this address; wait %u s", wait_s);
		reply.retry_after_s = wait_s;
		request_reply(r, &reply);
		return false;
	}
	enum auth_result result = auth_check_header(
	    daemon->tokens, request_header(r, "Authorization"), time(NULL), &r->principal);
	return result == AUTH_OK || refuse_token(r, result);
}

/* What a route's scope is called in token files. */
static enum auth_action
action_of(unsigned scope)
{
	if (scope == RPC_SCOPE_MODULES_READ)
		return AUTH_MODULES_READ;
	if (scope == RPC_SCOPE_MODULES_WRITE)
		return AUTH_MODULES_WRITE;
	if (scope == RPC_SCOPE_PLUGINS)
		return AUTH_PLUGINS;
	if (scope == RPC_SCOPE_KV_READ)
		return AUTH_KV_READ;
	if (scope == RPC_SCOPE_KV_WRITE)
		return AUTH_KV_WRITE;
	if (scope == RPC_SCOPE_MODELS_READ)
		return AUTH_MODELS_READ;
	if (scope == RPC_SCOPE_MODELS_WRITE)
		return AUTH_MODELS_WRITE;
	if (scope == RPC_SCOPE_INFER)
		return AUTH_INFER;
	return scope == RPC_SCOPE_INVOKE ? AUTH_INVOKE : AUTH_ADMIN;
}

/* The namespace of the path; one that is too long is none, which its endpoint says. */
static const char *
copy_ns(const struct request *r, char *out, size_t size)
{
	struct rpc_str ns = rpc_match_param(&r->match, "ns");

	snprintf(out, size, "%.*s", (int)ns.len, ns.data);
	return out;
}

static bool
may(struct request *r)
{
	const struct rpc_route *route = r->match.route;
	enum auth_action action = action_of(route->scope);
	char reference[RPC_REF_TEXT_MAX];
	struct rpc_ref ref;
	const char *named = NULL;

	if (route->id == RPC_ROUTE_MODULE_INVOKE || route->id == RPC_ROUTE_MODULE_RUN) {
		/* A malformed one gets its own complaint, from callers that may invoke at all. */
		if (rpc_match_ref(&r->match, &ref, NULL) == RPC_OK) {
			rpc_ref_text(&ref, reference);
			named = reference;
		}
	} else if (route->id == RPC_ROUTE_PLUGIN_GET || route->id == RPC_ROUTE_PLUGIN_CALL ||
	           action == AUTH_INFER) {
		struct rpc_str name = rpc_match_param(&r->match, "name");
		if (name.len < sizeof reference) {
			memcpy(reference, name.data, name.len);
			reference[name.len] = '\0';
			named = reference;
		}
	}
	if (action == AUTH_KV_READ || action == AUTH_KV_WRITE)
		named = copy_ns(r, reference, sizeof reference);
	if (auth_permits(r->principal, action, named))
		return true;
	metric_add(METRIC_AUTH_FAILURES, METRIC_auth_SCOPE, 0, 1);
	request_fail(r, RPC_FORBIDDEN, "%s lacks the scope %s%s%s",
	             auth_principal_id(r->principal), auth_action_scope(action),
	             named == NULL ? "" : " for ", named == NULL ? "" : named);
	return false;
}

static bool
identify(struct request *r)
{
	if (r->match.route->scope == RPC_SCOPE_NONE)
		return true;
	return (r->is_unix ? identify_unix(r) : identify_tcp(r)) && may(r);
}

/* --- what is asked ------------------------------------------------------------------------ */

static bool
find_route(struct request *r)
{
	struct rpc_problem problem;
	struct reply reply;

	enum rpc_code code =
	    rpc_route_match(r->method, r->target.data, r->target.len, &r->match, &problem);
	if (code == RPC_OK)
		return true;
	r->match.route = NULL;
	reply_problem(&reply, &problem, r->id);
	if (code == RPC_METHOD_NOT_ALLOWED)
		reply_header(&reply, "Allow", "%s", r->match.allow);
	request_reply(r, &reply);
	return false;
}

static bool
parse_query(struct request *r)
{
	struct rpc_problem problem;

	if (rpc_query_parse(r->match.route->id, r->match.query, &r->query, &problem) == RPC_OK)
		return true;
	request_problem(r, &problem);
	return false;
}

/* Nothing new is begun while the daemon drains; looking is still allowed. */
static bool
is_open(struct request *r)
{
	if (api_daemon(r)->phase != DAEMON_DRAINING || r->match.route->method == RPC_GET ||
	    r->match.route->id == RPC_ROUTE_INVOCATION_CANCEL)
		return true;
	request_fail(r, RPC_DRAINING, "the service is shutting down");
	return false;
}

static void
begin(struct request *r)
{
	if (!find_route(r) || !identify(r) || !is_open(r) || !parse_query(r))
		return;
	const struct endpoint *endpoint = &endpoints[r->match.route->id];
	if (endpoint->begin != NULL)
		endpoint->begin(r);
	else if (r->expects_body)
		(void)request_expect_body(r, 0);
}

static void
finish(struct request *r)
{
	endpoints[r->match.route->id].finish(r);
}

/* --- what became of it -------------------------------------------------------------------- */

static void
log_request(struct request *r, uint64_t time_us)
{
	const struct config *config = api_daemon(r)->config;
	const struct rpc_route *route = r->match.route;

	if (config->log_access == CONFIG_log_access_NONE ||
	    (config->log_access == CONFIG_log_access_ERRORS && r->status < 400))
		return;
	log_access(LOG_STR("request", r->id), LOG_STR("method", r->method),
	           LOG_STRN("path", r->facts.path.data, r->facts.path.len),
	           LOG_STR("route", route == NULL ? NULL : route->name),
	           LOG_STR("by", r->principal == NULL ? NULL : auth_principal_id(r->principal)),
	           LOG_UINT("status", r->status), LOG_STR("problem", r->slug),
	           LOG_UINT("received", r->received_bytes), LOG_UINT("sent", r->sent_bytes),
	           LOG_US("time_ms", time_us));
}

static void
end(struct request *r)
{
	const struct rpc_route *route = r->match.route;
	uint64_t time_us = clock_monotonic_us() - r->started_us;
	/* Requests without a route are counted under the number behind the last. */
	unsigned number = route == NULL ? RPC_ROUTE_COUNT : (unsigned)route->id;

	if (r->is_gone)
		r->status = 499;
	metric_add(METRIC_HTTP_REQUESTS, number, metrics_code((int)r->status), 1);
	metric_observe_us(METRIC_HTTP_REQUEST_TIME, number, 0, time_us);
	metric_add(METRIC_HTTP_RECEIVED, 0, 0, r->received_bytes);
	metric_add(METRIC_HTTP_SENT, 0, 0, r->sent_bytes);
	log_request(r, time_us);
}

/* Clients of the open inference protocol look for `error`. */
static void
refine(struct request *r, struct reply *reply)
{
	static const char prefix[] = "/v2";
	struct guard_str path = r->facts.path;

	if (reply->slug != NULL && path.len >= sizeof prefix - 1 &&
	    memcmp(path.data, prefix, sizeof prefix - 1) == 0)
		reply_repeat_detail(reply);
}

static void
idle(void *env)
{
	struct daemon *daemon = env;

	jobpool_wake(daemon->workers);
}

const struct server_app api_server_app = { NULL, begin, finish, end, refine, idle };

/* --- what endpoints share ----------------------------------------------------------------- */

void
api_writer_init(struct request *request, struct rpc_writer *writer)
{
	rpc_writer_init(writer);
	writer->pretty = rpc_query_bool(&request->query, "pretty", false);
}

void
api_reply_json(struct request *request, unsigned status, struct rpc_writer *writer)
{
	struct reply reply;

	reply_json(&reply, status, writer);
	request_reply(request, &reply);
}

static void
refuse_type(struct request *r, const char *found, const char *const *types, size_t count)
{
	char list[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < count && used < sizeof list; i++)
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
		                         i == 0 ? "" : ", ", types[i]);
	request_fail(r, RPC_UNSUPPORTED_MEDIA_TYPE, "expected a body of type %s, found %s", list,
	             found);
}

int
api_content_type(struct request *request, const char *const *types, size_t count,
                 bool is_optional)
{
	const char *field = request_header(request, "Content-Type");
	struct rpc_media_type media;
	struct rpc_problem problem;

	if (field == NULL) {
		if (is_optional)
			return 0;
		refuse_type(request, "no Content-Type", types, count);
		return -1;
	}
	if (rpc_media_type_parse(field, &media, &problem) != RPC_OK) {
		request_problem(request, &problem);
		return -1;
	}
	for (size_t i = 0; i < count; i++)
		if (strcmp(media.type, types[i]) == 0)
			return (int)i;
	refuse_type(request, media.type, types, count);
	return -1;
}

int
api_accept(struct request *request, const char *const *offers, size_t count)
{
	struct rpc_problem problem;
	size_t index;

	if (rpc_accept_choose(request_header(request, "Accept"), offers, count, &index,
	                      &problem) == RPC_OK)
		return (int)index;
	request_problem(request, &problem);
	return -1;
}

bool
api_resolve(struct request *request, struct rpc_ref *out_ref, struct digest *out_digest)
{
	char text[RPC_REF_TEXT_MAX];
	struct rpc_problem problem;
	int64_t rev;

	if (rpc_match_ref(&request->match, out_ref, &problem) != RPC_OK) {
		request_problem(request, &problem);
		return false;
	}
	if (out_ref->is_digest) {
		memcpy(out_digest->bytes, out_ref->digest, DIGEST_BYTES);
		return true;
	}
	struct store_tag_name name = { out_ref->ns, out_ref->name, out_ref->tag };
	if (store_tag_resolve(api_daemon(request)->store, &name, out_digest, &rev) == STORE_OK)
		return true;
	rpc_ref_text(out_ref, text);
	request_fail(request, RPC_MODULE_NOT_FOUND, "no tag %s points at a module", text);
	return false;
}

/* Look for the tag in a field; false, with *out untouched, when the field is malformed. */
static bool
find_etag(struct request *r, const char *name, const char *etag, bool is_weak, bool *out)
{
	const char *field = request_header(r, name);
	struct rpc_problem problem;

	if (field == NULL)
		return true;
	switch (rpc_etag_find(field, etag, is_weak)) {
	case RPC_ETAG_YES:
		*out = true;
		return true;
	case RPC_ETAG_ANY:
		*out = etag != NULL;
		return true;
	case RPC_ETAG_NO:
		*out = false;
		return true;
	case RPC_ETAG_MALFORMED:
		break;
	}
	rpc_problem_in(&problem, RPC_BAD_HEADER, name,
	               "expected '*' or a list of entity tags, such as \"sha256:...\"");
	request_problem(r, &problem);
	return false;
}

bool
api_conditions(struct request *request, const struct digest *digest, struct api_conditions *out)
{
	char text[DIGEST_TEXT_SIZE];
	const char *etag = digest == NULL ? NULL : digest_format(digest, text);

	*out = (struct api_conditions){ .match_holds = true, .is_unchanged = false };
	return find_etag(request, "If-Match", etag, false, &out->match_holds) &&
	       find_etag(request, "If-None-Match", etag, true, &out->is_unchanged);
}

void
api_reply_bytes(struct request *request, struct reply *reply, const char *type,
                const void *bytes, uint64_t size, void (*body_free)(void *env), void *env)
{
	uint64_t first = 0;
	uint64_t len = size;

	reply_header(reply, "Accept-Ranges", "bytes");
	switch (rpc_range_parse(request_header(request, "Range"), size, &first, &len)) {
	case RPC_RANGE_ALL:
		first = 0;
		len = size;
		break;
	case RPC_RANGE_PART:
		reply->status = 206;
		reply_header(reply, "Content-Range", "bytes %llu-%llu/%llu",
		             (unsigned long long)first, (unsigned long long)(first + len - 1),
		             (unsigned long long)size);
		break;
	case RPC_RANGE_UNSATISFIABLE:
		if (body_free != NULL)
			body_free(env);
		reply_fail(reply, request->id, RPC_RANGE_NOT_SATISFIABLE,
		           "the content has %llu bytes", (unsigned long long)size);
		reply_header(reply, "Content-Range", "bytes */%llu", (unsigned long long)size);
		request_reply(request, reply);
		return;
	}
	reply_hold(reply, type, (const char *)bytes + first, (size_t)len, body_free, env);
	request_reply(request, reply);
}

/* --- calls of the store ------------------------------------------------------------------- */

struct store_call *
store_call_new(struct request *request,
               void (*done)(struct request *request, struct store_call *call))
{
	struct store_call *call = calloc(1, sizeof *call);

	if (call == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory to ask the store");
		return NULL;
	}
	call->request = request;
	call->done = done;
	return call;
}

static void
open_call(struct letter *letter)
{
	struct store_call *call = (struct store_call *)letter;

	call->done(call->request, call);
	store_reply_free(call->reply);
	free(call);
}

void
store_call_answer(void *arg, struct store_reply *reply)
{
	struct store_call *call = arg;

	call->reply = reply;
	mailbox_post(&api_daemon(call->request)->mailbox, &call->letter, open_call);
}

void
store_call_check(struct store_call *call, enum store_status status)
{
	struct rpc_problem problem;

	if (status == STORE_OK)
		return;
	errmap_store(status, NULL, RPC_NOT_FOUND, &problem);
	request_problem(call->request, &problem);
	free(call);
}

bool
store_call_ok(struct request *request, const struct store_reply *reply, enum rpc_code not_found)
{
	struct rpc_problem problem;

	if (reply->error.status == STORE_OK)
		return true;
	errmap_store(reply->error.status, reply->error.message, not_found, &problem);
	request_problem(request, &problem);
	return false;
}
