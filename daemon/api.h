/*
 * api.h - from a request to its endpoint, and what endpoints share.
 *
 * A request is matched with its route, its caller is identified and checked against the route's
 * scope, its query is parsed; then its endpoint takes over. Every route has a row in the table of
 * api.c.
 *
 * Threads: everything on the loop's thread, but where said otherwise
 */
#pragma once

#include "daemon/daemon.h"
#include "daemon/server.h"
#include "rpc/accept.h"
#include "rpc/ref.h"
#include "vm/native.h"

/* Handlers of a route. */
struct endpoint {
	/* Before the body; NULL for routes without one. Calls request_expect_body, or replies. */
	void (*begin)(struct request *request);
	/* The body is there. Replies now, or later. */
	void (*finish)(struct request *request);
};

extern const struct server_app api_server_app; /* with env still to be set */

static inline struct daemon *
api_daemon(const struct request *request)
{
	return server_env(request->server);
}

/* Reply that a queue is full, and when there should be room again. */
void api_fail_full(struct request *request, struct jobpool *pool, const char *format, ...)
    RPC_PRINTF(3, 4);

/* A writer that breaks lines when the request asked for it with ?pretty. */
void api_writer_init(struct request *request, struct rpc_writer *writer);
/* Reply with what the writer wrote. */
void api_reply_json(struct request *request, unsigned status, struct rpc_writer *writer);

/*
 * The index of the request's Content-Type in types (lower case, without parameters); replies
 * with 415 and returns -1 when it is none of them. With optional set a missing field is type 0.
 */
int api_content_type(struct request *request, const char *const *types, size_t count,
                     bool is_optional);

/*
 * The index in offers of what Accept likes best; replies and returns -1 when it is none of them.
 */
int api_accept(struct request *request, const char *const *offers, size_t count);

/*
 * The {ref} of the path as a digest. Replies and returns false when it is malformed or names no
 * module. Touches memory only; that a digest is stored is not checked.
 */
bool api_resolve(struct request *request, struct rpc_ref *out_ref, struct digest *out_digest);

/*
 * What If-Match and If-None-Match ask of something whose entity tag is a digest; digest NULL: it
 * does not exist. Replies and returns false when they are malformed.
 */
struct api_conditions {
	bool match_holds;     /* If-Match is absent or holds */
	bool is_unchanged;    /* If-None-Match is there and names it: 304 to a GET */
};
bool api_conditions(struct request *request, const struct digest *digest,
                    struct api_conditions *out);

/* Reply with bytes, or the part of them that Range asks for; body_free(env) in any case. */
void api_reply_bytes(struct request *request, struct reply *reply, const char *type,
                     const void *bytes, uint64_t size, void (*body_free)(void *env), void *env);

/* --- calls of the store ------------------------------------------------------------------- */

/* A request that waits for the store; done is called on the loop's thread. */
struct store_call {
	struct letter letter;
	struct request *request;
	struct store_reply *reply; /* freed behind done; set to NULL to keep it */
	void (*done)(struct request *request, struct store_call *call);
};

/* Replies and returns NULL when there is no memory. */
struct store_call *store_call_new(struct request *request,
                                  void (*done)(struct request *request,
                                               struct store_call *call));
/* What the store is given: a store_done_fn whose arg is the call. */
void store_call_answer(void *arg, struct store_reply *reply);
/* Look at what the store's function returned: replies and frees the call when it refused. */
void store_call_check(struct store_call *call, enum store_status status);
/* Replies with the store's failure and returns false; true when there is none. */
bool store_call_ok(struct request *request, const struct store_reply *reply,
                   enum rpc_code not_found);

/* --- invocations -------------------------------------------------------------------------- */

struct invocation;

/* Reads into the invocation what it is to do, from its body, query or request. On any thread. */
typedef enum rpc_code api_parse_fn(struct invocation *invocation, struct rpc_problem *problem);

/* Whether that many bytes are parsed at once, where they are. */
bool api_parse_is_quick(size_t len);
/* Have len bytes parsed and start the invocation, now or a moment later; or reply why not. */
void api_parse_and_start(struct invocation *invocation, size_t len, api_parse_fn *parse);

/* --- lists -------------------------------------------------------------------------------- */

/*
 * Opaque positions in lists: any text of at most CURSOR_DATA_MAX bytes, with a MAC, in base64url.
 */
#define CURSOR_DATA_MAX 720
#define CURSOR_TEXT_MAX 1000

/* Take the request's `cursor`: "" when there is none. Replies and returns false on a bad one. */
bool api_cursor_read(struct request *request, char out[CURSOR_DATA_MAX + 1]);

/* A page: begin, write the items, end; which replies. next NULL: nothing comes behind it. */
void api_page_begin(struct request *request, struct rpc_writer *writer);
void api_page_end(struct request *request, struct rpc_writer *writer, const char *next);

/*
 * The same for lists whose positions are the store's; list is a letter that tells them apart.
 * Read leaves *out as it is when the list begins; replies and returns false on a bad cursor.
 */
bool api_keyset_read(struct request *request, char list, struct store_cursor *out);
void api_keyset_end(struct request *request, struct rpc_writer *writer, char list,
                    const struct store_reply *found);

/* --- native code -------------------------------------------------------------------------- */

struct cache_artifact;

/* Has the artifacts of a module, or as many as could be read; has to reply. */
typedef void api_artifacts_fn(struct request *request, const struct digest *module,
                              const struct cache_artifact *artifacts, size_t count);

/* Ask the cache; replies itself when that cannot be done now. */
void api_list_artifacts(struct request *request, const struct digest *module,
                        api_artifacts_fn *listed);
/* The members of a module that speak of native code. */
void api_write_compile(struct request *request, struct rpc_writer *w, const struct digest *module,
                       const struct cache_artifact *artifacts, size_t count);
/* What a query parameter says, which is not `none`, or else the settings. */
enum vm_compile_level api_compile_level(struct request *request, const char *parameter);

/* --- endpoints ---------------------------------------------------------------------------- */

/* api_modules.c */
void module_upload_begin(struct request *request);
void module_upload(struct request *request);
void module_put_begin(struct request *request);
void module_put(struct request *request);
void module_validate_begin(struct request *request);
void module_validate(struct request *request);
void module_list(struct request *request);
void module_get(struct request *request);
void module_delete(struct request *request);

/* api_artifacts.c */
void artifact_list(struct request *request);
void artifact_get(struct request *request);
void artifact_create(struct request *request);
void artifact_delete(struct request *request);
void artifact_clear(struct request *request);
void events(struct request *request);

/* api_tags.c */
void tag_list(struct request *request);
void tag_name(struct request *request);
void tag_get(struct request *request);
void tag_put_begin(struct request *request);
void tag_put(struct request *request);
void tag_delete(struct request *request);

/* api_invoke.c */
void module_invoke_begin(struct request *request);
void module_invoke(struct request *request);

/* api_run.c */
void module_run_begin(struct request *request);
void module_run(struct request *request);

/* api_invocations.c */
void invocation_list(struct request *request);
void invocation_get(struct request *request);
void invocation_cancel(struct request *request);
void invocation_events(struct request *request);
void invocation_stdout(struct request *request);
void invocation_stderr(struct request *request);
void invocation_file(struct request *request);
void activity(struct request *request);

/* api_plugins.c */
void plugins_list(struct request *request);
void plugins_get(struct request *request);
void plugins_call_begin(struct request *request);
void plugins_call(struct request *request);

/* api_models.c */
void model_list(struct request *request);
void model_put_begin(struct request *request);
void model_put(struct request *request);
void model_get(struct request *request);
void model_delete(struct request *request);
void model_infer_begin(struct request *request);
void model_infer(struct request *request);
void v2_server(struct request *request);
void v2_model(struct request *request);
void v2_model_ready(struct request *request);

/* api_kv.c */
void kv_list(struct request *request);
void kv_get(struct request *request);
void kv_put_begin(struct request *request);
void kv_put(struct request *request);
void kv_delete(struct request *request);

/* api_system.c */
void livez(struct request *request);
void readyz(struct request *request);
void metrics_report(struct request *request);
void version(struct request *request);
void openapi(struct request *request);
void problem_kind(struct request *request);
