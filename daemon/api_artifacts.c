/*
 * api_artifacts.c - native code of modules: what there is, what is being made, what happens.
 *
 * The cache is asked on the thread that may wait for it; before that the catalogue, whether the
 * module is there at all.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/artifacts.h"
#include "daemon/compile.h"
#include "daemon/feed.h"
#include "daemon/programs.h"

/* --- asking the cache --------------------------------------------------------------------- */

/* A request that waits for the cache. */
struct cache_call {
	struct letter letter;
	struct job job;
	struct request *request;
	struct digest module;
	int64_t id;
	struct cache_artifact *artifacts;
	size_t count;
	bool is_removal;
	uint64_t removed;
	api_artifacts_fn *listed;
};

static void
open_call(struct letter *letter)
{
	struct cache_call *call = (struct cache_call *)letter;
	struct request *r = call->request;
	struct reply reply;

	if (!call->is_removal) {
		call->listed(r, &call->module, call->artifacts, call->count);
	} else if (call->removed == 0 && call->id != 0) {
		request_fail(r, RPC_ARTIFACT_NOT_FOUND, "the module has no artifact %" PRId64,
		             call->id);
	} else {
		/* Who calls it next gets it without that code. */
		programs_drop(api_daemon(r)->programs, &call->module);
		reply_init(&reply, 204);
		request_reply(r, &reply);
	}
	free(call->artifacts);
	free(call);
}

static void
run_call(struct job *job)
{
	struct cache_call *call =
	    (struct cache_call *)((char *)job - offsetof(struct cache_call, job));
	struct daemon *daemon = api_daemon(call->request);
	struct cache *cache = artifacts_cache(daemon->artifacts);

	if (call->is_removal)
		call->removed = cache_remove(cache, &call->module, call->id);
	else
		(void)cache_list(cache, &call->module, &call->artifacts, &call->count);
	mailbox_post(&daemon->mailbox, &call->letter, open_call);
}

static void
ask(struct request *r, const struct cache_call *call)
{
	struct cache_call *copy = malloc(sizeof *copy);

	if (copy == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory to ask the cache");
		return;
	}
	*copy = *call;
	copy->request = r;
	if (artifacts_submit(api_daemon(r)->artifacts, &copy->job, run_call))
		return;
	free(copy);
	request_fail(r, RPC_QUEUE_FULL, "too many requests wait for the cache");
}

void
api_list_artifacts(struct request *request, const struct digest *module, api_artifacts_fn *listed)
{
	ask(request, &(struct cache_call){ .module = *module, .listed = listed });
}

/* --- writing ------------------------------------------------------------------------------ */

static const char *
state_of(const struct cache_artifact *artifact)
{
	if (!artifact->fits)
		return "stale";
	return artifact->is_pinned ? "pinned" : "ok";
}

static void
write_artifact(struct rpc_writer *w, const struct cache_artifact *artifact)
{
	char id[32];

	snprintf(id, sizeof id, "%" PRId64, artifact->id);
	rpc_write_object_begin(w);
	rpc_member_text(w, "id", id);
	rpc_member_text(w, "tier", "native");
	rpc_member_text(w, "variant", artifact->is_metered ? "metered" : "plain");
	rpc_member_text(w, "level", artifact->level == VM_COMPILE_FAST ? "fast" : "best");
	rpc_member_text(w, "state", state_of(artifact));
	rpc_member_uint(w, "size", artifact->size_bytes);
	rpc_member_uint(w, "compile_us", artifact->compile_us);
	rpc_write_key(w, "created_at");
	rpc_write_time_us(w, artifact->created_us);
	rpc_write_key(w, "used_at");
	rpc_write_time_us(w, artifact->used_us);
	rpc_member_uint(w, "uses", artifact->uses);
	rpc_write_object_end(w);
}

static void
write_artifacts(struct rpc_writer *w, const char *key, const struct cache_artifact *artifacts,
                size_t count)
{
	rpc_write_key(w, key);
	rpc_write_array_begin(w);
	for (size_t i = 0; i < count; i++)
		write_artifact(w, &artifacts[i]);
	rpc_write_array_end(w);
}

/* What the compiler does not know, the cache may: code of a module that is not loaded. */
static struct compile_status
status_of(struct request *r, const struct digest *module, bool is_metered,
          const struct cache_artifact *artifacts, size_t count)
{
	struct compile_status status =
	    compiler_status(api_daemon(r)->compiler, module, is_metered);

	if (status.state != COMPILE_NONE && status.state != COMPILE_OFF)
		return status;
	for (size_t i = 0; i < count; i++)
		if (artifacts[i].fits && artifacts[i].is_metered == is_metered)
			return (struct compile_status){ .state = artifacts[i].is_pinned
				                                     ? COMPILE_PINNED
				                                     : COMPILE_READY };
	return status;
}

void
api_write_compile(struct request *request, struct rpc_writer *w, const struct digest *module,
                  const struct cache_artifact *artifacts, size_t count)
{
	struct compile_status plain = status_of(request, module, false, artifacts, count);
	struct compile_status metered = status_of(request, module, true, artifacts, count);

	rpc_write_key(w, "compile");
	compile_status_write(w, &plain);
	if (metered.state != COMPILE_NONE && metered.state != COMPILE_OFF) {
		rpc_write_key(w, "compile_metered");
		compile_status_write(w, &metered);
	}
	write_artifacts(w, "artifacts", artifacts, count);
}

/* --- endpoints ---------------------------------------------------------------------------- */

/* The {id} of the path. Replies and returns false when no artifact can have it. */
static bool
take_id(struct request *r, int64_t *out)
{
	struct rpc_str text = rpc_match_param(&r->match, "id");
	uint64_t id = 0;

	for (size_t i = 0; i < text.len && text.len <= 18; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			break;
		id = id * 10 + (uint64_t)(text.data[i] - '0');
		if (i + 1 == text.len && id > 0) {
			*out = (int64_t)id;
			return true;
		}
	}
	request_fail(r, RPC_ARTIFACT_NOT_FOUND, "the ids of artifacts are numbers");
	return false;
}

/* Resolve the module and see whether the catalogue has it; done then goes on. */
static void
find_module(struct request *r, void (*done)(struct request *r, struct store_call *call))
{
	struct digest digest;
	struct rpc_ref ref;

	if (!api_resolve(r, &ref, &digest))
		return;
	struct store_call *call = store_call_new(r, done);
	if (call != NULL)
		store_call_check(call, store_module_get(api_daemon(r)->store, &digest, false,
		                                        store_call_answer, call));
}

static const struct digest *
found_module(struct request *r, const struct store_call *call)
{
	return store_call_ok(r, call->reply, RPC_MODULE_NOT_FOUND) ? &call->reply->modules->digest
	                                                           : NULL;
}

static void
reply_list(struct request *r, const struct digest *module, const struct cache_artifact *artifacts,
           size_t count)
{
	struct rpc_writer w;

	(void)module;
	api_writer_init(r, &w);
	rpc_write_object_begin(&w);
	write_artifacts(&w, "items", artifacts, count);
	rpc_write_object_end(&w);
	api_reply_json(r, 200, &w);
}

static void
on_found_for_list(struct request *r, struct store_call *call)
{
	const struct digest *module = found_module(r, call);

	if (module != NULL)
		api_list_artifacts(r, module, reply_list);
}

void
artifact_list(struct request *request)
{
	find_module(request, on_found_for_list);
}

static void
reply_one(struct request *r, const struct digest *module, const struct cache_artifact *artifacts,
          size_t count)
{
	struct rpc_writer w;
	int64_t id;

	(void)module;
	if (!take_id(r, &id))
		return;
	for (size_t i = 0; i < count; i++) {
		if (artifacts[i].id != id)
			continue;
		api_writer_init(r, &w);
		write_artifact(&w, &artifacts[i]);
		api_reply_json(r, 200, &w);
		return;
	}
	request_fail(r, RPC_ARTIFACT_NOT_FOUND, "the module has no artifact %" PRId64, id);
}

static void
on_found_for_one(struct request *r, struct store_call *call)
{
	const struct digest *module = found_module(r, call);

	if (module != NULL)
		api_list_artifacts(r, module, reply_one);
}

void
artifact_get(struct request *request)
{
	find_module(request, on_found_for_one);
}

static void
on_found_for_removal(struct request *r, struct store_call *call)
{
	const struct digest *module = found_module(r, call);
	int64_t id = 0;

	if (module == NULL || (r->match.route->id == RPC_ROUTE_ARTIFACT_DELETE && !take_id(r, &id)))
		return;
	ask(r, &(struct cache_call){ .module = *module, .id = id, .is_removal = true });
}

void
artifact_delete(struct request *request)
{
	find_module(request, on_found_for_removal);
}

void
artifact_clear(struct request *request)
{
	find_module(request, on_found_for_removal);
}

/* --- making ------------------------------------------------------------------------------- */

enum vm_compile_level
api_compile_level(struct request *request, const char *parameter)
{
	const struct config *config = api_daemon(request)->config;
	const char *word = rpc_query_text(&request->query, parameter, NULL);

	if (word != NULL)
		return strcmp(word, "fast") == 0 ? VM_COMPILE_FAST : VM_COMPILE_BEST;
	return config->compile_level == CONFIG_compile_level_FAST ? VM_COMPILE_FAST
	                                                          : VM_COMPILE_BEST;
}

static void
reply_status(struct request *r, const struct digest *module, const struct compile_status *status)
{
	bool waits = status->state == COMPILE_QUEUED || status->state == COMPILE_RUNNING;
	char digest[DIGEST_TEXT_SIZE];
	struct rpc_writer w;
	struct reply reply;

	api_writer_init(r, &w);
	compile_status_write(&w, status);
	reply_json(&reply, waits ? 202 : 200, &w);
	if (waits)
		reply_header(&reply, "Location", "/v1/modules/%s", digest_format(module, digest));
	request_reply(r, &reply);
}

/* Only what the cache does not have is asked for. */
static void
on_listed_for_compile(struct request *r, const struct digest *module,
                      const struct cache_artifact *artifacts, size_t count)
{
	bool is_metered = rpc_query_bool(&r->query, "metered", false);
	enum vm_compile_level level = api_compile_level(r, "level");
	struct compile_status status = { .state = COMPILE_READY };

	for (size_t i = 0; i < count; i++) {
		const struct cache_artifact *a = &artifacts[i];
		if (a->fits && !a->is_pinned && a->is_metered == is_metered && a->level >= level) {
			reply_status(r, module, &status);
			return;
		}
	}
	status = compiler_ask(api_daemon(r)->compiler, module, is_metered, level, true);
	if (status.state == COMPILE_OFF)
		request_fail(r, RPC_NOT_IMPLEMENTED, "%s", status.detail);
	else if (status.state == COMPILE_PINNED)
		request_fail(r, RPC_CONFLICT,
		             "native code of this module gave another result than the "
		             "interpreter; remove its artifacts to have it tried again");
	else if (status.state == COMPILE_NONE)
		request_fail(r, RPC_QUEUE_FULL, "%s",
		             status.detail == NULL ? "too many modules wait" : status.detail);
	else
		reply_status(r, module, &status);
}

static void
on_found_for_compile(struct request *r, struct store_call *call)
{
	const struct digest *module = found_module(r, call);

	if (module != NULL)
		api_list_artifacts(r, module, on_listed_for_compile);
}

void
artifact_create(struct request *request)
{
	find_module(request, on_found_for_compile);
}

/* --- events ------------------------------------------------------------------------------- */

void
events(struct request *request)
{
	static const char *const offers[] = { "text/event-stream" };
	const char *last = request_header(request, "Last-Event-ID");

	if (api_accept(request, offers, 1) < 0)
		return;
	/* What is not a number is no event's: begin with the first that is kept. */
	feed_follow(api_daemon(request)->feed, request,
	            last == NULL ? 0 : strtoull(last, NULL, 10),
	            rpc_query_bool(&request->query, "follow", true));
}
