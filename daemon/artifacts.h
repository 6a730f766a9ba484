/*
 * artifacts.h - native code between the cache, the compiler and the programs that use it.
 *
 * The one place where an artifact is authenticated on its way in, and checked on its way out. The
 * MAC's key is 32 random bytes in a file of their own, never in the database.
 *
 * Owns:    cache.db, the key, a thread for work that waits for the disk
 * Threads: as said; what is not said: any
 */
#pragma once

#include "daemon/cache.h"
#include "daemon/jobpool.h"
#include "daemon/programs.h"

struct daemon;
struct artifacts;

/* NULL: no memory, or the key cannot be had; that has been logged. */
struct artifacts *artifacts_new(struct daemon *daemon);
/* Finish the thread's work; nothing may be submitted afterwards. NULL is fine. */
void artifacts_stop(struct artifacts *artifacts);
void artifacts_free(struct artifacts *artifacts); /* after stop; NULL is fine */

/* Take over the settings of a reload. Loop's thread. */
void artifacts_configure(struct artifacts *artifacts);
/* Copy figures that are kept here into the metrics. */
void artifacts_report(const struct artifacts *artifacts);

/* Not on the loop's thread: it waits for the disk. */
struct cache *artifacts_cache(struct artifacts *artifacts);
/* Have a job run on the thread that may wait for it. False when too much waits already. */
bool artifacts_submit(struct artifacts *artifacts, struct job *job, void (*run)(struct job *job));

/* Plain code of a module that is not loaded yet: read, authenticated, and ready to be mapped. */
struct found_code {
	struct cache_artifact artifact;
	struct vm_code *code; /* NULL: there is none */
};

/*
 * Look for it, on whatever thread but the loop's, while another reads the module. What does not
 * stand the check is removed and counted.
 */
void artifacts_find_code(struct artifacts *artifacts, const struct digest *digest,
                         struct found_code *out);
void found_code_clear(struct found_code *found);

/*
 * vm_module_load, with the code if any was found: then there is less to look at. The digest is that
 * of the bytes, which the store has just computed. Not on the loop's thread.
 */
enum vm_status artifacts_load_module(struct artifacts *artifacts, const struct digest *digest,
                                     const uint8_t *bytes, size_t size_bytes,
                                     const struct found_code *found, struct vm_module **out,
                                     struct vm_error *err);
/*
 * Give a program the code that the cache has of its module, both variants. Not on the loop's
 * thread. What does not stand the check is removed and counted; the program is interpreted then.
 */
void artifacts_load(struct artifacts *artifacts, struct program *program);

/*
 * The same for one variant and a program that may not be loaded (NULL): whether there is code, and
 * (out_level may be NULL) of which level.
 */
enum cache_found artifacts_look(struct artifacts *artifacts, const struct digest *module,
                                bool is_metered, struct program *program,
                                enum vm_compile_level *out_level);

/* What a compiler made, and of what. */
struct artifact_offer {
	struct digest module;
	enum vm_compile_level level;
	bool is_metered;
	const uint8_t *bytes;
	size_t size_bytes;
	uint64_t compile_us;
	struct program *program; /* the module if it is loaded, or NULL */
};

/*
 * Check it, authenticate it, give it to the program, and keep it if there is room. Not on the
 * loop's thread. False, with the reason: it is not what was asked for, or cannot be used.
 */
bool artifacts_accept(struct artifacts *artifacts, const struct artifact_offer *offer,
                      struct vm_error *err);

/* These were called since the last time, and are evicted later than others. Takes uses over. */
void artifacts_used(struct artifacts *artifacts, struct cache_use *uses, size_t count);

/* The module was deleted: forget its artifacts, in a moment. Loop's thread. */
void artifacts_forget(struct artifacts *artifacts, const struct digest *module);

/*
 * Native code of a module gave another result than the interpreter: interpret it from now on, and
 * after restarts. Any thread.
 */
void artifacts_pin(struct artifacts *artifacts, struct program *program, bool is_metered);
