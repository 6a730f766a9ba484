/*
 * cache.h - compiled code, kept in cache.db beside the catalogue.
 *
 * Everything here can be made again, so the file may be deleted at any time while the daemon is
 * stopped, and nothing in it is believed: an artifact is only used when its MAC fits, which the
 * caller checks. A file that turns out to be damaged is moved aside and begun anew. No failure
 * here is a failure of anybody's request: it is told to event_fn, and the answer is a miss.
 *
 * An artifact is found by its key: the module's digest, the build of the engine, the processor's
 * features, the machine, the options it was compiled with, level and variant. The least recently
 * used go when all together are larger than their bound.
 *
 * Owns:    the database
 * Threads: any, several at a time; every call may wait for the disk, so never the loop's
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/digest.h"
#include "vm/native.h"

struct cache;

enum cache_event_kind {
	CACHE_EVICTED, /* an artifact had to go, for room */
	CACHE_DAMAGED, /* an artifact is not what was put; it has been removed */
	CACHE_RENEWED, /* the file was damaged; it has been moved aside */
	CACHE_FAILING, /* the disk, or SQLite, refused something */
};

struct cache_event {
	enum cache_event_kind kind;
	const struct digest *module; /* EVICTED, DAMAGED; else NULL */
	const char *detail;
};

struct cache_options {
	const char *directory;  /* that exists */
	uint64_t bytes_max;     /* of all artifacts */
	uint8_t build[VM_DIGEST_BYTES]; /* vm_build_digest */
	uint64_t cpu_features;  /* vm_cpu_features */
	void (*event_fn)(void *env, const struct cache_event *event); /* on the calling thread */
	void *event_env;
};

/*
 * Open the cache, or make it. Works in any case: when the file cannot be used, everything is a
 * miss. NULL: no memory.
 */
struct cache *cache_open(const struct cache_options *options);
void cache_close(struct cache *cache); /* NULL is fine */

/* For a reload. What is too much goes with the next put. */
void cache_set_bytes_max(struct cache *cache, uint64_t bytes_max);

struct cache_totals {
	uint64_t artifacts;
	uint64_t bytes; /* of the artifacts */
};

/* From memory. */
void cache_get_totals(const struct cache *cache, struct cache_totals *out);

struct cache_artifact {
	int64_t id;
	struct digest module;
	enum vm_compile_level level;
	bool is_metered;
	bool is_pinned; /* it gave another result than the interpreter: there is no code */
	bool fits;      /* this engine, this processor */
	uint64_t size_bytes;
	uint8_t mac[VM_MAC_BYTES];
	uint64_t compile_us; /* time that it took */
	int64_t created_us;  /* Unix time */
	int64_t used_us;
	uint64_t uses;       /* how often it was loaded */
};

enum cache_found {
	CACHE_MISS,
	CACHE_HIT,
	CACHE_PINNED, /* the module is to be interpreted */
};

/*
 * The best artifact of a variant that fits. *out_bytes is malloc()ed and of out->size_bytes; the
 * MAC has yet to be checked. Outputs are untouched unless it is a hit.
 */
enum cache_found cache_find(struct cache *cache, const struct digest *module, bool is_metered,
                            struct cache_artifact *out, uint8_t **out_bytes);

/*
 * The same piece by piece. take_fn gets the bytes from offset `at` on, while they are there; false:
 * it cannot take them, which is a miss. At 0 it begins anew, as it does when what was read first
 * turned out damaged. Only after a hit it has had all.
 */
typedef bool cache_take_fn(void *env, size_t at, const uint8_t *bytes, size_t size_bytes);
enum cache_found cache_find_into(struct cache *cache, const struct digest *module, bool is_metered,
                                 struct cache_artifact *out, cache_take_fn *take_fn, void *env);

/* An artifact was put to use: it is evicted later than others. */
void cache_touch(struct cache *cache, int64_t id);

/* What cache_find gives is in use still: the same for many, without counting. */
struct cache_use {
	struct digest module;
	bool is_metered;
};
void cache_touch_used(struct cache *cache, const struct cache_use *uses, size_t count);

/* An artifact did not stand the check: it goes, and is counted as damaged. */
void cache_discard(struct cache *cache, const struct cache_artifact *artifact, const char *why);

/*
 * Keep an artifact; one of the same key is replaced. False: it is not kept (which event_fn has
 * heard of), or larger than all may be together. *out_id may be NULL.
 */
bool cache_put(struct cache *cache, const struct cache_artifact *artifact, const uint8_t *bytes,
               int64_t *out_id);

/* Have a module interpreted from now on; its artifacts of that variant go. */
bool cache_pin(struct cache *cache, const struct digest *module, bool is_metered);

/*
 * All artifacts of a module, those that do not fit too, malloc()ed. False: it cannot be read now,
 * or there is no memory.
 */
bool cache_list(struct cache *cache, const struct digest *module,
                struct cache_artifact **out_artifacts, size_t *out_count);

/* Remove one artifact of a module, or all (id 0). Returns how many. */
uint64_t cache_remove(struct cache *cache, const struct digest *module, int64_t id);
