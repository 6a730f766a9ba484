/*
 * api_system.c - the service about itself: health, metrics, version, description, problems.
 */
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/artifacts.h"
#include "daemon/metrics.h"
#include "rpc/openapi.h"
#include "vm/vm.h"

/* --- health ------------------------------------------------------------------------------- */

void
livez(struct request *request)
{
	struct rpc_writer w;

	api_writer_init(request, &w);
	rpc_write_object_begin(&w);
	rpc_member_text(&w, "status", "ok");
	if (request->match.route->id == RPC_ROUTE_V2_LIVE)
		rpc_member_bool(&w, "live", true);
	rpc_write_object_end(&w);
	api_reply_json(request, 200, &w);
}

struct check {
	const char *name;
	bool is_ok;
	char detail[160];
};

enum { CHECK_PHASE, CHECK_STORE, CHECK_QUEUE, CHECK_COUNT };

static void
look(struct daemon *daemon, struct check checks[CHECK_COUNT])
{
	struct jobpool_figures pool;
	char reason[128];

	jobpool_get_figures(daemon->workers, &pool);
	checks[CHECK_PHASE] = (struct check){ .name = "phase",
	                                      .is_ok = daemon->phase == DAEMON_SERVING };
	if (!checks[CHECK_PHASE].is_ok)
		strcpy(checks[CHECK_PHASE].detail,
		       daemon->phase == DAEMON_STARTING ? "starting" : "shutting down");
	checks[CHECK_STORE] = (struct check){
		.name = "store",
		.is_ok = store_health(daemon->store, reason, sizeof reason) == STORE_HEALTHY,
	};
	if (!checks[CHECK_STORE].is_ok)
		strcpy(checks[CHECK_STORE].detail, reason);
	checks[CHECK_QUEUE] = (struct check){ .name = "queue",
	                                      .is_ok = pool.waiting_count < pool.queue_max };
	if (!checks[CHECK_QUEUE].is_ok)
		strcpy(checks[CHECK_QUEUE].detail, "the queue is full");
}

static void
write_checks(struct rpc_writer *w, const struct check checks[CHECK_COUNT])
{
	rpc_write_key(w, "checks");
	rpc_write_array_begin(w);
	for (int i = 0; i < CHECK_COUNT; i++) {
		rpc_write_object_begin(w);
		rpc_member_text(w, "name", checks[i].name);
		rpc_member_bool(w, "ok", checks[i].is_ok);
		rpc_member_text(w, "detail", checks[i].detail[0] == '\0' ? NULL : checks[i].detail);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

void
readyz(struct request *request)
{
	struct check checks[CHECK_COUNT];
	struct rpc_writer w;

	look(api_daemon(request), checks);
	for (int i = 0; i < CHECK_COUNT; i++) {
		if (checks[i].is_ok)
			continue;
		request_fail(request, i == CHECK_PHASE ? RPC_DRAINING : RPC_NOT_READY, "%s: %s",
		             checks[i].name, checks[i].detail);
		return;
	}
	api_writer_init(request, &w);
	rpc_write_object_begin(&w);
	rpc_member_text(&w, "status", "ready");
	if (request->match.route->id == RPC_ROUTE_V2_READY)
		rpc_member_bool(&w, "ready", true);
	if (rpc_query_bool(&request->query, "verbose", false))
		write_checks(&w, checks);
	rpc_write_object_end(&w);
	api_reply_json(request, 200, &w);
}

/* --- metrics ------------------------------------------------------------------------------ */

static void
collect_pool(const struct daemon *daemon)
{
	struct jobpool_figures pool;

	jobpool_get_figures(daemon->workers, &pool);
	metric_set(METRIC_QUEUE_DEPTH, 0, 0, (int64_t)pool.waiting_count);
	metric_set(METRIC_WORKERS, METRIC_worker_BUSY, 0, pool.busy_count);
	metric_set(METRIC_WORKERS, METRIC_worker_IDLE, 0, pool.thread_count - pool.busy_count);
}

static void
collect_store(const struct daemon *daemon)
{
	struct store_totals totals;

	store_get_totals(daemon->store, &totals);
	metric_set(METRIC_STORE_MODULES, 0, 0, (int64_t)totals.modules);
	metric_set(METRIC_STORE_MODULE_BYTES, 0, 0, (int64_t)totals.module_bytes);
	metric_set(METRIC_STORE_MODELS, 0, 0, (int64_t)totals.models);
	metric_set(METRIC_STORE_MODEL_BYTES, 0, 0, (int64_t)totals.model_bytes);
	metric_set(METRIC_STORE_TAGS, 0, 0, (int64_t)totals.tags);
	metric_set(METRIC_STORE_QUARANTINED, 0, 0, (int64_t)totals.quarantined);
	metric_set(METRIC_STORE_HEALTHY, 0, 0,
	           store_health(daemon->store, NULL, 0) == STORE_HEALTHY);
	metric_set(METRIC_STORE_COMMITS, 0, 0, (int64_t)totals.commits);
	metric_set(METRIC_STORE_COMMIT_TIME, 0, 0, (int64_t)totals.commit_us);
	metric_set(METRIC_STORE_WRITES, 0, 0, (int64_t)totals.writes);
	metric_set(METRIC_STORE_WAITING, METRIC_access_READ, 0, totals.reads_waiting);
	metric_set(METRIC_STORE_WAITING, METRIC_access_WRITE, 0, totals.writes_waiting);
	metric_set(METRIC_STORE_DATABASE, 0, 0, (int64_t)totals.database_bytes);
	metric_set(METRIC_STORE_WAL, 0, 0, (int64_t)totals.wal_bytes);
	metric_set(METRIC_STORE_FREE, 0, 0, (int64_t)totals.free_bytes);
}

void
metrics_report(struct request *request)
{
	struct reply reply;
	char *text;
	size_t len;

	collect_pool(api_daemon(request));
	collect_store(api_daemon(request));
	artifacts_report(api_daemon(request)->artifacts);
	metrics_collect_process();
	if (!metrics_format(&text, &len)) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the report");
		return;
	}
	reply_init(&reply, 200);
	reply_take(&reply, "text/plain; version=0.0.4; charset=utf-8", text, len);
	request_reply(request, &reply);
}

/* --- descriptions ------------------------------------------------------------------------- */

void
version(struct request *request)
{
	vm_features features;
	struct vm_engine_config engine;
	struct rpc_writer w;

	vm_engine_config_init(&engine);
	features = engine.features;
	api_writer_init(request, &w);
	rpc_write_object_begin(&w);
	rpc_member_text(&w, "name", "wasmedged");
	rpc_member_text(&w, "version", vm_version());
	rpc_write_key(&w, "features");
	rpc_write_array_begin(&w);
	for (int i = 0; i < VM_FEATURE_COUNT; i++)
		if ((features >> i & 1) != 0)
			rpc_write_text(&w, vm_feature_name((enum vm_feature)i));
	rpc_write_array_end(&w);
	rpc_write_key(&w, "tiers");
	rpc_write_array_begin(&w);
	rpc_write_text(&w, "interp");
	if (vm_cpu_features() != 0)
		rpc_write_text(&w, "native");
	rpc_write_array_end(&w);
	rpc_write_object_end(&w);
	api_reply_json(request, 200, &w);
}

void
openapi(struct request *request)
{
	struct rpc_writer w;

	api_writer_init(request, &w);
	rpc_openapi_write(&w, vm_version());
	api_reply_json(request, 200, &w);
}

void
problem_kind(struct request *request)
{
	static const char *const offers[] = { "application/json", "text/plain" };
	struct rpc_str slug = rpc_match_param(&request->match, "slug");
	enum rpc_code code = rpc_problem_find(slug.data, slug.len);
	struct rpc_writer w;
	struct reply reply;
	size_t len;

	if (code == RPC_OK) {
		request_fail(request, RPC_PROBLEM_NOT_FOUND, "no problem is called %.*s",
		             (int)slug.len, slug.data);
		return;
	}
	int choice = api_accept(request, offers, 2);
	if (choice < 0)
		return;
	api_writer_init(request, &w);
	if (choice == 0) {
		rpc_problem_kind_write(&w, code);
		api_reply_json(request, 200, &w);
		return;
	}
	rpc_problem_kind_write_text(&w, code);
	char *text = rpc_writer_take(&w, &len);
	if (text == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the text");
		return;
	}
	reply_init(&reply, 200);
	reply_take(&reply, "text/plain; charset=utf-8", text, len);
	request_reply(request, &reply);
}
