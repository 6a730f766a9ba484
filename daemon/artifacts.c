#include "daemon/artifacts.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/daemon.h"
#include "daemon/feed.h"
#include "daemon/log.h"
#include "daemon/mackey.h"
#include "daemon/metrics.h"

#define QUEUE_MAX 1024
#define LOOK_TRIES 4

struct artifacts {
	struct daemon *daemon;
	struct cache *cache;
	struct jobpool *pool; /* of one thread: what is done to a module's rows is done in order */
	uint8_t key[VM_MAC_KEY_BYTES];
	uint8_t build[VM_DIGEST_BYTES];
	uint64_t cpu_features;
};

/* --- what is told ------------------------------------------------------------------------- */

static void
tell(struct artifacts *artifacts, const char *name, const struct digest *module)
{
	char digest[DIGEST_TEXT_SIZE];
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_write_object_begin(&w);
	if (module != NULL)
		rpc_member_text(&w, "module", digest_format(module, digest));
	rpc_write_object_end(&w);
	feed_add(artifacts->daemon->feed, name, &w);
}

/* On whatever thread uses the cache. */
static void
on_cache_event(void *env, const struct cache_event *event)
{
	struct artifacts *artifacts = env;
	char digest[DIGEST_TEXT_SIZE] = "";

	if (event->module != NULL)
		digest_format(event->module, digest);
	switch (event->kind) {
	case CACHE_EVICTED:
		metric_add(METRIC_CACHE_EVICTIONS, 0, 0, 1);
		log_debug("native code evicted", LOG_STR("module", digest));
		tell(artifacts, "artifact.evicted", event->module);
		break;
	case CACHE_DAMAGED:
		metric_add(METRIC_CACHE_CORRUPT, 0, 0, 1);
		log_warning("native code in the cache is damaged; it will be compiled again",
		            LOG_STR("module", digest), LOG_STR("reason", event->detail));
		tell(artifacts, "artifact.damaged", event->module);
		break;
	case CACHE_RENEWED:
		metric_add(METRIC_CACHE_CORRUPT, 0, 0, 1);
		log_warning("the cache of native code is not usable; moved aside and begun anew",
		            LOG_STR("file", event->detail));
		tell(artifacts, "cache.renewed", NULL);
		break;
	case CACHE_FAILING:
		log_warning("the cache of native code does not work",
		            LOG_STR("reason", event->detail));
		break;
	}
}

/* --- making and ending -------------------------------------------------------------------- */

static bool
open_cache(struct artifacts *artifacts)
{
	const struct config *config = artifacts->daemon->config;
	struct cache_options options = {
		.directory = config->store_directory,
		.bytes_max = config->cache_size,
		.cpu_features = artifacts->cpu_features,
		.event_fn = on_cache_event,
		.event_env = artifacts,
	};

	memcpy(options.build, artifacts->build, sizeof options.build);
	artifacts->cache = cache_open(&options);
	return artifacts->cache != NULL;
}

struct artifacts *
artifacts_new(struct daemon *daemon)
{
	static const struct jobpool_config pool = { .name = "cache",
		                                    .thread_count = 1,
		                                    .queue_max = QUEUE_MAX };
	struct artifacts *artifacts = calloc(1, sizeof *artifacts);
	char message[MACKEY_MESSAGE_MAX];

	if (artifacts == NULL)
		return NULL;
	artifacts->daemon = daemon;
	artifacts->cpu_features = vm_cpu_features();
	vm_build_digest(artifacts->build);
	if (!mackey_load(daemon->config->cache_key, daemon->config->store_directory,
	                 artifacts->key, message)) {
		log_error("cannot authenticate native code", LOG_STR("reason", message));
	} else if (!open_cache(artifacts) || (artifacts->pool = jobpool_new(&pool)) == NULL) {
		log_error("cannot start", LOG_STR("reason", "no memory for the cache"));
	} else {
		return artifacts;
	}
	artifacts_free(artifacts);
	return NULL;
}

void
artifacts_stop(struct artifacts *artifacts)
{
	if (artifacts == NULL)
		return;
	jobpool_free(artifacts->pool);
	artifacts->pool = NULL;
}

void
artifacts_free(struct artifacts *artifacts)
{
	if (artifacts == NULL)
		return;
	artifacts_stop(artifacts);
	cache_close(artifacts->cache);
	explicit_bzero(artifacts->key, sizeof artifacts->key);
	free(artifacts);
}

void
artifacts_configure(struct artifacts *artifacts)
{
	cache_set_bytes_max(artifacts->cache, artifacts->daemon->config->cache_size);
}

void
artifacts_report(const struct artifacts *artifacts)
{
	struct cache_totals totals;

	cache_get_totals(artifacts->cache, &totals);
	metric_set(METRIC_ARTIFACTS, 0, 0, (int64_t)totals.artifacts);
	metric_set(METRIC_ARTIFACT_BYTES, 0, 0, (int64_t)totals.bytes);
}

struct cache *
artifacts_cache(struct artifacts *artifacts)
{
	return artifacts->cache;
}

bool
artifacts_submit(struct artifacts *artifacts, struct job *job, void (*run)(struct job *job))
{
	return jobpool_submit(artifacts->pool, job, run);
}

/* --- small jobs --------------------------------------------------------------------------- */

/* Something to be done to the cache, of which nobody waits for the end. */
struct chore {
	struct job job;
	struct artifacts *artifacts;
	struct digest module;
	int64_t id;
	bool is_metered;
	struct cache_use *uses; /* malloc()ed, or NULL */
	size_t use_count;
};

static void
submit_chore(struct artifacts *artifacts, const struct chore *chore, void (*run)(struct job *job))
{
	struct chore *copy = malloc(sizeof *copy);

	if (copy == NULL) {
		free(chore->uses);
		return;
	}
	*copy = *chore;
	copy->artifacts = artifacts;
	if (!artifacts_submit(artifacts, &copy->job, run)) {
		free(chore->uses);
		free(copy);
	}
}

static void
run_touch(struct job *job)
{
	struct chore *chore = (struct chore *)job;

	cache_touch(chore->artifacts->cache, chore->id);
	free(chore);
}

static void
run_touch_used(struct job *job)
{
	struct chore *chore = (struct chore *)job;

	cache_touch_used(chore->artifacts->cache, chore->uses, chore->use_count);
	free(chore->uses);
	free(chore);
}

static void
run_forget(struct job *job)
{
	struct chore *chore = (struct chore *)job;

	(void)cache_remove(chore->artifacts->cache, &chore->module, 0);
	free(chore);
}

static void
run_pin(struct job *job)
{
	struct chore *chore = (struct chore *)job;

	(void)cache_pin(chore->artifacts->cache, &chore->module, chore->is_metered);
	free(chore);
}

void
artifacts_used(struct artifacts *artifacts, struct cache_use *uses, size_t count)
{
	submit_chore(artifacts, &(struct chore){ .uses = uses, .use_count = count },
	             run_touch_used);
}

void
artifacts_forget(struct artifacts *artifacts, const struct digest *module)
{
	submit_chore(artifacts, &(struct chore){ .module = *module }, run_forget);
}

void
artifacts_pin(struct artifacts *artifacts, struct program *program, bool is_metered)
{
	atomic_store_explicit(&program->is_pinned[is_metered], true, memory_order_relaxed);
	submit_chore(artifacts,
	             &(struct chore){ .module = program->digest, .is_metered = is_metered },
	             run_pin);
	tell(artifacts, "artifact.pinned", &program->digest);
}

/* --- from the cache ----------------------------------------------------------------------- */

/* An artifact could not be used. False: it has to go, and is gone. */
static bool
is_kept(struct artifacts *artifacts, const struct cache_artifact *artifact, enum vm_status status,
        const struct vm_error *err)
{
	if (status == VM_E_MALFORMED || status == VM_E_NOT_FOUND) {
		/* Its key said that it fits. */
		cache_discard(artifacts->cache, artifact, err->message);
		return false;
	}
	log_warning("native code cannot be loaded", LOG_STR("reason", err->message));
	return true;
}

/* What came of attaching an artifact. False: it has to go. */
static bool
attached(struct artifacts *artifacts, const struct vm_module *module,
         const struct cache_artifact *artifact, enum vm_status status, const struct vm_error *err)
{
	if (status == VM_OK) {
		submit_chore(artifacts, &(struct chore){ .id = artifact->id }, run_touch);
		return true;
	}
	if (vm_module_has_native(module, artifact->is_metered))
		return true; /* somebody else was quicker */
	return is_kept(artifacts, artifact, status, err);
}

static bool
attach(struct artifacts *artifacts, struct program *program, const struct cache_artifact *artifact,
       const uint8_t *bytes)
{
	struct vm_error err;

	enum vm_status status =
	    vm_module_attach(program->module, bytes, (size_t)artifact->size_bytes, artifact->mac,
	                     artifacts->key, &err);
	return attached(artifacts, program->module, artifact, status, &err);
}

/* An artifact on its way from the cache to where it is mapped from. */
struct way {
	struct artifacts *artifacts;
	struct vm_code *code; /* of what has come so far, or NULL */
	struct vm_error err;
};

static bool
take_code(void *env, size_t at, const uint8_t *bytes, size_t size_bytes)
{
	struct way *way = env;

	if (at == 0) {
		vm_code_free(way->code);
		way->code = NULL;
		if (vm_code_new(way->artifacts->daemon->engine, way->artifacts->key, &way->code,
		                &way->err) != VM_OK)
			return false;
	}
	return vm_code_add(way->code, bytes, size_bytes, &way->err) == VM_OK;
}

void
artifacts_find_code(struct artifacts *artifacts, const struct digest *digest,
                    struct found_code *out)
{
	struct way way = { .artifacts = artifacts };

	*out = (struct found_code){ .code = NULL };
	if (artifacts->cpu_features == 0)
		return;
	enum cache_found found = cache_find_into(artifacts->cache, digest, false, &out->artifact,
	                                         take_code, &way);
	if (found == CACHE_HIT) {
		enum vm_status status = vm_code_seal(way.code, out->artifact.mac, &way.err);

		if (status == VM_OK) {
			out->code = way.code;
			return;
		}
		(void)is_kept(artifacts, &out->artifact, status, &way.err);
	} else if (way.err.status != VM_OK) {
		log_warning("native code cannot be loaded", LOG_STR("reason", way.err.message));
	}
	vm_code_free(way.code); /* not all of it, or not right */
}

void
found_code_clear(struct found_code *found)
{
	vm_code_free(found->code);
	found->code = NULL;
}

enum vm_status
artifacts_load_module(struct artifacts *artifacts, const struct digest *digest,
                      const uint8_t *bytes, size_t size_bytes, const struct found_code *found,
                      struct vm_module **out, struct vm_error *err)
{
	struct vm_engine *engine = artifacts->daemon->engine;
	struct vm_error misfit;

	if (found->code == NULL)
		return vm_module_load(engine, bytes, size_bytes, out, err);
	enum vm_status status = vm_module_load_code(engine, bytes, size_bytes, digest->bytes,
	                                            found->code, out, &misfit, err);
	if (status == VM_OK && attached(artifacts, *out, &found->artifact, misfit.status, &misfit))
		metric_add(METRIC_CACHE_HITS, 0, 0, 1);
	return status;
}

enum cache_found
artifacts_look(struct artifacts *artifacts, const struct digest *module, bool is_metered,
               struct program *program, enum vm_compile_level *out_level)
{
	struct cache_artifact artifact;
	uint8_t *bytes = NULL;
	enum cache_found found = CACHE_MISS;
	bool is_usable = false;

	if (artifacts->cpu_features == 0)
		return CACHE_MISS; /* no native tier on this machine */
	/* Where what is damaged cannot even be removed, it stays a miss. */
	for (int i = 0; i < LOOK_TRIES && !is_usable; i++) {
		found = cache_find(artifacts->cache, module, is_metered, &artifact, &bytes);
		is_usable = found != CACHE_HIT || program == NULL ||
		            attach(artifacts, program, &artifact, bytes);
		if (found == CACHE_HIT)
			free(bytes);
	}
	if (!is_usable)
		found = CACHE_MISS;
	metric_add(found == CACHE_HIT ? METRIC_CACHE_HITS : METRIC_CACHE_MISSES, 0, 0, 1);
	if (found == CACHE_HIT && out_level != NULL)
		*out_level = artifact.level;
	if (found == CACHE_PINNED && program != NULL)
		atomic_store_explicit(&program->is_pinned[is_metered], true,
		                      memory_order_relaxed);
	return found;
}

void
artifacts_load(struct artifacts *artifacts, struct program *program)
{
	for (int is_metered = 0; is_metered < 2; is_metered++)
		if (program_wants_code(program, is_metered))
			(void)artifacts_look(artifacts, &program->digest, is_metered, program,
			                     NULL);
}

/* --- from the compiler -------------------------------------------------------------------- */

/* Whether it says of itself what was asked for: a good MAC is not given to anything else. */
static bool
is_as_asked(const struct artifacts *artifacts, const struct artifact_offer *offer,
            struct vm_error *err)
{
	struct vm_artifact_info info;

	if (vm_artifact_describe(offer->bytes, offer->size_bytes, &info, err) != VM_OK)
		return false;
	if (memcmp(info.build, artifacts->build, sizeof info.build) == 0 &&
	    memcmp(info.module, offer->module.bytes, DIGEST_BYTES) == 0 &&
	    info.level == offer->level && info.metered == offer->is_metered)
		return true;
	(void)!vm_error_set(err, VM_E_NOT_FOUND, VM_NO_OFFSET,
	                    "the compiler made code of something else than it was asked for");
	return false;
}

bool
artifacts_accept(struct artifacts *artifacts, const struct artifact_offer *offer,
                 struct vm_error *err)
{
	struct cache_artifact artifact = {
		.module = offer->module,
		.level = offer->level,
		.is_metered = offer->is_metered,
		.size_bytes = offer->size_bytes,
		.compile_us = offer->compile_us,
	};

	if (!is_as_asked(artifacts, offer, err))
		return false;
	vm_artifact_mac(artifacts->key, offer->bytes, offer->size_bytes, artifact.mac);
	if (offer->program != NULL &&
	    !vm_module_has_native(offer->program->module, offer->is_metered) &&
	    vm_module_attach(offer->program->module, offer->bytes, offer->size_bytes, artifact.mac,
	                     artifacts->key, err) != VM_OK &&
	    !vm_module_has_native(offer->program->module, offer->is_metered))
		return false;
	(void)cache_put(artifacts->cache, &artifact, offer->bytes, NULL);
	return true;
}
