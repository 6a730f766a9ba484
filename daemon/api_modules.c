/*
 * api_modules.c - modules that are stored: list, inspect, fetch, delete.
 */
#include <string.h>
#include "daemon/api.h"
#include "daemon/compile.h"
#include "daemon/modinfo.h"
#include "daemon/programs.h"
#include "vm/engine.h"

static void
write_members(struct rpc_writer *w, const struct store_module *module, bool with_info)
{
	char digest[DIGEST_TEXT_SIZE];

	rpc_member_text(w, "digest", digest_format(&module->digest, digest));
	rpc_member_uint(w, "size", module->size_bytes);
	rpc_write_key(w, "created_at");
	rpc_write_time_us(w, module->created_us);
	rpc_member_text(w, "state",
	                module->state == STORE_MODULE_QUARANTINED ? "quarantined" : "ok");
	rpc_write_key(w, "tags");
	rpc_write_raw(w, module->tags == NULL ? "[]" : module->tags,
	              module->tags == NULL ? 2 : strlen(module->tags));
	if (with_info)
		modinfo_splice(w, module->info);
}

static void
write_item(struct rpc_writer *w, const struct store_module *module)
{
	rpc_write_object_begin(w);
	write_members(w, module, false);
	rpc_write_object_end(w);
}

/* --- list --------------------------------------------------------------------------------- */

#define CURSOR_OF_MODULES 'm'

static void
on_listed(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	struct rpc_writer w;

	if (!store_call_ok(r, found, RPC_MODULE_NOT_FOUND))
		return;
	api_page_begin(r, &w);
	for (size_t i = 0; i < found->module_count; i++)
		write_item(&w, &found->modules[i]);
	api_keyset_end(r, &w, CURSOR_OF_MODULES, found);
}

/* The one feature to look for, as a set. */
static bool
take_feature(struct request *r, vm_features *out)
{
	const char *name = rpc_query_text(&r->query, "feature", NULL);
	struct rpc_problem problem;
	enum vm_feature feature;

	if (name == NULL)
		return true;
	if (!vm_feature_find((struct vm_str){ name, strlen(name) }, &feature)) {
		rpc_problem_in(&problem, RPC_BAD_QUERY, "feature",
		               "no feature is called %s; /v1/version lists them", name);
		request_problem(r, &problem);
		return false;
	}
	*out = UINT64_C(1) << feature;
	return true;
}

void
module_list(struct request *request)
{
	struct store_module_query query = {
		.limit = (unsigned)rpc_query_uint(&request->query, "limit", 100),
		.tag = rpc_query_text(&request->query, "tag", NULL),
		.import = rpc_query_text(&request->query, "import", NULL),
		.export = rpc_query_text(&request->query, "export", NULL),
	};

	if (!take_feature(request, &query.features) ||
	    !api_keyset_read(request, CURSOR_OF_MODULES, &query.cursor))
		return;
	struct store_call *call = store_call_new(request, on_listed);
	if (call != NULL)
		store_call_check(call, store_module_list(api_daemon(request)->store, &query,
		                                         store_call_answer, call));
}

/* --- inspect and fetch -------------------------------------------------------------------- */

enum { OFFER_JSON, OFFER_WASM, OFFER_COUNT };
static const char *const get_offers[OFFER_COUNT] = { "application/json", "application/wasm" };

static void
free_reply(void *reply)
{
	store_reply_free(reply);
}

static void
set_headers(struct reply *reply, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	reply_header(reply, "ETag", "\"%s\"", digest_format(digest, text));
	reply_header(reply, "Vary", "Accept");
}

/* Whether there is something to send; else it has been replied: missing, or unchanged. */
static bool
is_wanted(struct request *r, const struct store_reply *found)
{
	struct api_conditions conditions;
	struct reply reply;

	/* Only what is there can be unchanged. */
	if (!store_call_ok(r, found, RPC_MODULE_NOT_FOUND) ||
	    !api_conditions(r, &found->modules[0].digest, &conditions))
		return false;
	if (!conditions.is_unchanged)
		return true;
	reply_init(&reply, 304);
	set_headers(&reply, &found->modules[0].digest);
	request_reply(r, &reply);
	return false;
}

static void
reply_module(struct request *r, const struct digest *digest,
             const struct cache_artifact *artifacts, size_t count)
{
	const struct store_reply *found = r->state;
	const struct store_module *module = found->modules;
	struct rpc_writer w;
	struct reply reply;

	api_writer_init(r, &w);
	rpc_write_object_begin(&w);
	write_members(&w, module, true);
	api_write_compile(r, &w, digest, artifacts, count);
	rpc_write_object_end(&w);
	reply_json(&reply, 200, &w);
	set_headers(&reply, &module->digest);
	request_reply(r, &reply);
}

/* What the catalogue knows; now what the cache has. */
static void
on_got(struct request *r, struct store_call *call)
{
	if (!is_wanted(r, call->reply))
		return;
	r->state = call->reply;
	r->state_free = free_reply;
	call->reply = NULL;
	api_list_artifacts(r, &((struct store_reply *)r->state)->modules->digest, reply_module);
}

static void
on_fetched(struct request *r, struct store_call *call)
{
	struct store_reply *found = call->reply;
	struct reply reply;

	if (!is_wanted(r, found))
		return;
	reply_init(&reply, 200);
	set_headers(&reply, &found->modules[0].digest);
	call->reply = NULL; /* the bytes are sent from where they are */
	api_reply_bytes(r, &reply, "application/wasm", found->bytes, found->size_bytes,
	                free_reply, found);
}

void
module_get(struct request *request)
{
	struct digest digest;
	struct rpc_ref ref;

	if (!api_resolve(request, &ref, &digest))
		return;
	int offer = api_accept(request, get_offers, OFFER_COUNT);
	if (offer < 0)
		return;
	bool wants_bytes = offer == OFFER_WASM;
	struct store_call *call = store_call_new(request, wants_bytes ? on_fetched : on_got);
	if (call != NULL)
		store_call_check(call, store_module_get(api_daemon(request)->store, &digest,
		                                        wants_bytes, store_call_answer, call));
}

/* --- delete ------------------------------------------------------------------------------- */

static void
on_deleted(struct request *r, struct store_call *call)
{
	const struct store_reply *gone = call->reply;
	struct reply reply;

	if (gone->error.status == STORE_E_CONFLICT) {
		const struct store_tag *tag = &gone->tags[0];
		request_fail(r, RPC_MODULE_IN_USE, "%zu tags point at it, among them %s/%s:%s",
		             gone->tag_count, gone->tag_count == 0 ? "" : tag->ns,
		             gone->tag_count == 0 ? "" : tag->name,
		             gone->tag_count == 0 ? "" : tag->tag);
		return;
	}
	if (!store_call_ok(r, gone, RPC_MODULE_NOT_FOUND))
		return;
	programs_drop(api_daemon(r)->programs, &gone->modules[0].digest);
	compiler_forget(api_daemon(r)->compiler, &gone->modules[0].digest);
	reply_init(&reply, 204);
	request_reply(r, &reply);
}

void
module_delete(struct request *request)
{
	struct daemon *daemon = api_daemon(request);
	bool force = rpc_query_bool(&request->query, "force", false);
	struct api_conditions conditions;
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;
	struct rpc_ref ref;

	if (!api_resolve(request, &ref, &digest) ||
	    !api_conditions(request, &digest, &conditions))
		return;
	if (!conditions.match_holds) {
		request_fail(request, RPC_PRECONDITION_FAILED, "the module is %s",
		             digest_format(&digest, text));
		return;
	}
	if (!force && programs_in_use(daemon->programs, &digest)) {
		request_fail(request, RPC_MODULE_IN_USE, "invocations of it are running");
		return;
	}
	struct store_call *call = store_call_new(request, on_deleted);
	if (call != NULL)
		store_call_check(call, store_module_delete(daemon->store, &digest, force,
		                                           auth_principal_id(request->principal),
		                                           store_call_answer, call));
}
