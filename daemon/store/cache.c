#include "daemon/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "daemon/clock.h"
#include "daemon/store/db.h"

#define CHUNK_BYTES ((size_t)256 * 1024)
#define APPLICATION_ID 0x77736d63 /* "wsmc" */
#define SCHEMA_VERSION 1
#define ABI 1 /* of what is kept beside the artifact's own bytes */
#define TIER "llvm"
/* Options that shape the code and are not columns of their own; see vm_compile_options. */
#define CONFIGURATION "canonical_nans=0 relaxed_traps=0"
#define FREE_PAGES_KEPT 1024
#define VACUUM_PAGES "1024" /* given back at once */
#define FIND_TRIES 8 /* artifacts of one module and variant that turn out damaged in a row */
#define ARTIFACT_BYTES_MAX (UINT64_C(1) << 32) /* whatever a damaged row says */

static const char schema[] =
    "CREATE TABLE artifact ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " module BLOB NOT NULL,"
    " engine_build BLOB NOT NULL,"
    " abi INTEGER NOT NULL,"
    " tier TEXT NOT NULL,"
    " target TEXT NOT NULL,"
    " cpu_features INTEGER NOT NULL,"
    " config_hash BLOB NOT NULL,"
    " variant TEXT NOT NULL," /* plain, metered */
    " level TEXT NOT NULL,"   /* fast, best */
    " state TEXT NOT NULL,"   /* ok, quarantined */
    " size INTEGER NOT NULL,"
    " mac BLOB NOT NULL,"
    " compile_us INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL,"
    " used_us INTEGER NOT NULL,"
    " uses INTEGER NOT NULL,"
    " UNIQUE (module, engine_build, abi, tier, target, cpu_features, config_hash, variant,"
    " level)) STRICT;"
    "CREATE INDEX artifact_used ON artifact (used_us);"
    "CREATE TABLE artifact_chunk ("
    " id INTEGER NOT NULL REFERENCES artifact ON DELETE CASCADE,"
    " n INTEGER NOT NULL,"
    " data BLOB NOT NULL,"
    " PRIMARY KEY (id, n)) STRICT;";

/*
 * Two connections, so that a load does not wait for the writing of a large artifact. Who takes
 * both locks takes write_lock first.
 */
struct cache {
	char *path;
	struct cache_options options;
	struct utsname machine;
	struct digest configuration;
	_Atomic uint64_t bytes_max;
	pthread_mutex_t write_lock;
	struct db writer;
	pthread_mutex_t read_lock;
	struct db reader;
	bool is_open;           /* both connections are; under either lock */
	atomic_bool is_damaged; /* to be renewed */
	_Atomic uint64_t artifacts;
	_Atomic uint64_t bytes;
};

static void
tell(const struct cache *cache, enum cache_event_kind kind, const struct digest *module,
     const char *detail)
{
	const struct cache_event event = { kind, module, detail };

	if (cache->options.event_fn != NULL)
		cache->options.event_fn(cache->options.event_env, &event);
}

/* --- failures ----------------------------------------------------------------------------- */

/* Whether SQLite's failure says something about the file, and not about the machine or us. */
static bool
is_damage(const struct db *db)
{
	switch (db->rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_INTERRUPT:
	case SQLITE_NOMEM:
	case SQLITE_FULL:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return false;
	case SQLITE_IOERR:
		return db->rc == SQLITE_IOERR_CORRUPTFS;
	default:
		return true; /* also an index that does not fit its table, another schema */
	}
}

/* The lock of the connection is held. True when all went well. */
static bool
settle(struct cache *cache, struct db *db, const char *what)
{
	struct store_error err;

	if (!db_failed(db))
		return true;
	db_error(db, &err, what);
	if (is_damage(db))
		cache->is_damaged = true; /* renew() says so */
	else
		tell(cache, CACHE_FAILING, NULL, err.message);
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

/* --- opening ------------------------------------------------------------------------------ */

static bool
make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void
make_schema(struct db *db)
{
	char pragma[96];

	snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
	         APPLICATION_ID, SCHEMA_VERSION);
	db_exec(db, "BEGIN IMMEDIATE");
	db_exec(db, schema);
	db_exec(db, pragma);
	db_exec(db, "COMMIT");
}

/* Whether the file holds what this program expects; makes it so in an empty one. */
static bool
check_schema(struct db *db)
{
	if (db_query_int(db, "SELECT count(*) FROM sqlite_schema") == 0)
		make_schema(db);
	bool is_ours = db_query_int(db, "PRAGMA application_id") == APPLICATION_ID &&
	               db_query_int(db, "PRAGMA user_version") == SCHEMA_VERSION;
	return is_ours && db_prepare_all(db);
}

static void
count(struct cache *cache)
{
	sqlite3_stmt *row = db_bind(&cache->writer, SQL_ARTIFACT_TOTALS, "");

	cache->artifacts = cache->bytes = 0;
	if (!db_row(&cache->writer, row))
		return;
	cache->artifacts = (uint64_t)sqlite3_column_int64(row, 0);
	cache->bytes = (uint64_t)sqlite3_column_int64(row, 1);
	db_end(row);
}

static void
close_both(struct cache *cache)
{
	db_close(&cache->reader);
	db_close(&cache->writer);
	cache->is_open = false;
}

/* Both locks are held, or nobody else knows the cache. False: damaged, or told. */
static bool
open_both(struct cache *cache)
{
	struct store_error err;

	if (!make_file(cache->path)) {
		tell(cache, CACHE_FAILING, NULL, strerror(errno));
		return false;
	}
	bool ok = db_open(&cache->writer, cache->path, DB_CACHE_WRITER, &err) == STORE_OK;
	if (ok) {
		bool is_expected = check_schema(&cache->writer);
		count(cache);
		ok = is_expected && !db_failed(&cache->writer);
		if (!is_expected && !db_failed(&cache->writer))
			cache->is_damaged = true; /* another version's, or somebody else's */
	}
	struct db *db = &cache->writer;
	if (ok) {
		db = &cache->reader;
		ok = db_open(db, cache->path, DB_CACHE_READER, &err) == STORE_OK &&
		     db_prepare(db, SQL_ARTIFACT_FIND) && db_prepare(db, SQL_ARTIFACT_CHUNKS);
	}
	if (!ok && db_failed(db))
		(void)settle(cache, db, "cannot open");
	if (!ok)
		close_both(cache);
	cache->is_open = ok;
	return ok;
}

/* The file, and what SQLite keeps beside it: the log of one must not go into another. */
static void
move_aside(struct cache *cache)
{
	static const char *const companions[] = { "-wal", "-shm" };
	char name[4096];

	if (snprintf(name, sizeof name, "%s.damaged", cache->path) >= (int)sizeof name ||
	    rename(cache->path, name) != 0)
		unlink(cache->path);
	for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++)
		if (snprintf(name, sizeof name, "%s%s", cache->path, companions[i]) <
		    (int)sizeof name)
			unlink(name);
}

/* No lock is held. Whoever first notices that the file is damaged begins it anew. */
static void
renew(struct cache *cache)
{
	if (!cache->is_damaged)
		return;
	pthread_mutex_lock(&cache->write_lock);
	pthread_mutex_lock(&cache->read_lock);
	if (cache->is_damaged) {
		tell(cache, CACHE_RENEWED, NULL, cache->path);
		close_both(cache);
		move_aside(cache);
		cache->is_damaged = false;
		if (!open_both(cache))
			cache->is_damaged = false; /* twice is enough: do without */
	}
	pthread_mutex_unlock(&cache->read_lock);
	pthread_mutex_unlock(&cache->write_lock);
}

struct cache *
cache_open(const struct cache_options *options)
{
	struct cache *cache = calloc(1, sizeof *cache);

	if (cache == NULL)
		return NULL;
	if (asprintf(&cache->path, "%s/cache.db", options->directory) < 0) {
		free(cache);
		return NULL;
	}
	cache->options = *options;
	cache->options.directory = NULL;
	cache->bytes_max = options->bytes_max;
	uname(&cache->machine);
	digest_of(CONFIGURATION, strlen(CONFIGURATION), &cache->configuration);
	pthread_mutex_init(&cache->write_lock, NULL);
	pthread_mutex_init(&cache->read_lock, NULL);
	(void)open_both(cache);
	renew(cache);
	return cache;
}

void
cache_close(struct cache *cache)
{
	if (cache == NULL)
		return;
	db_close(&cache->reader);
	if (cache->is_open)
		sqlite3_wal_checkpoint_v2(cache->writer.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE,
		                          NULL, NULL);
	db_close(&cache->writer);
	pthread_mutex_destroy(&cache->read_lock);
	pthread_mutex_destroy(&cache->write_lock);
	free(cache->path);
	free(cache);
}

void
cache_set_bytes_max(struct cache *cache, uint64_t bytes_max)
{
	cache->bytes_max = bytes_max;
}

void
cache_get_totals(const struct cache *cache, struct cache_totals *out)
{
	*out = (struct cache_totals){ cache->artifacts, cache->bytes };
}

/* --- connections -------------------------------------------------------------------------- */

/* NULL: there is no cache. Else the lock is held until release(). */
static struct db *
acquire_reader(struct cache *cache)
{
	pthread_mutex_lock(&cache->read_lock);
	if (cache->is_open) {
		db_clear(&cache->reader);
		return &cache->reader;
	}
	pthread_mutex_unlock(&cache->read_lock);
	return NULL;
}

static bool
release_reader(struct cache *cache)
{
	bool ok = settle(cache, &cache->reader, "cannot read");

	pthread_mutex_unlock(&cache->read_lock);
	renew(cache);
	return ok;
}

static struct db *
acquire_writer(struct cache *cache)
{
	pthread_mutex_lock(&cache->write_lock);
	if (cache->is_open) {
		db_clear(&cache->writer);
		db_exec(&cache->writer, "BEGIN IMMEDIATE");
		return &cache->writer;
	}
	pthread_mutex_unlock(&cache->write_lock);
	return NULL;
}

/* What artifacts that went leave behind is used again; much of it goes back to the system. */
static void
shrink(struct db *db)
{
	if (db_query_int(db, "PRAGMA freelist_count") > FREE_PAGES_KEPT)
		db_exec(db, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")");
}

/* Commits. False: nothing has changed. */
static bool
release_writer(struct cache *cache)
{
	db_exec(&cache->writer, "COMMIT");
	bool ok = settle(cache, &cache->writer, "cannot write");
	if (ok) {
		count(cache);
		shrink(&cache->writer);
	}
	pthread_mutex_unlock(&cache->write_lock);
	renew(cache);
	return ok;
}

/* --- reading ------------------------------------------------------------------------------ */

static const char *
variant_of(bool is_metered)
{
	return is_metered ? "metered" : "plain";
}

static const char *
level_of(enum vm_compile_level level)
{
	return level == VM_COMPILE_FAST ? "fast" : "best";
}

/* The parameters ?1 to ?7 of a statement, which say what code of a module fits. */
#define FIT_FORMAT "dbittid"
#define FIT_ARGUMENTS(cache, module) \
	(module), (const void *)(cache)->options.build, sizeof(cache)->options.build, \
	    (int64_t)ABI, TIER, (cache)->machine.machine, (int64_t)(cache)->options.cpu_features, \
	    &(cache)->configuration

/* False: the row is damaged, and *out is not to be used, but for its id. */
static bool
artifact_from_row(struct db *db, sqlite3_stmt *row, struct cache_artifact *out)
{
	size_t len;

	*out = (struct cache_artifact){ .id = sqlite3_column_int64(row, 0) };
	out->level = strcmp(db_column_text(db, row, 2, &len), "fast") == 0 ? VM_COMPILE_FAST
	                                                                   : VM_COMPILE_BEST;
	out->is_metered = strcmp(db_column_text(db, row, 3, &len), "metered") == 0;
	out->is_pinned = strcmp(db_column_text(db, row, 4, &len), "quarantined") == 0;
	out->size_bytes = (uint64_t)sqlite3_column_int64(row, 5);
	out->compile_us = (uint64_t)sqlite3_column_int64(row, 7);
	out->created_us = sqlite3_column_int64(row, 8);
	out->used_us = sqlite3_column_int64(row, 9);
	out->uses = (uint64_t)sqlite3_column_int64(row, 10);
	out->fits = sqlite3_column_int(row, 11) != 0;
	if (sqlite3_column_type(row, 6) != SQLITE_BLOB ||
	    sqlite3_column_bytes(row, 6) != VM_MAC_BYTES ||
	    !db_column_digest(row, 1, &out->module) || out->size_bytes > ARTIFACT_BYTES_MAX)
		return false;
	memcpy(out->mac, sqlite3_column_blob(row, 6), VM_MAC_BYTES);
	return true;
}

/* What became of one look: FOUND_DAMAGED names an artifact that has to go. */
enum found { FOUND_NONE, FOUND_PINNED, FOUND_HIT, FOUND_DAMAGED };

/* All chunks one behind the other. FOUND_DAMAGED: they do not make up that size. */
static enum found
read_chunks(struct db *db, int64_t id, size_t size_bytes, cache_take_fn *take_fn, void *env)
{
	sqlite3_stmt *row = db_bind(db, SQL_ARTIFACT_CHUNKS, "i", id);
	size_t at = 0;

	for (int64_t n = 0; db_row(db, row); n++) {
		size_t len = (size_t)sqlite3_column_bytes(row, 1);
		const void *data = sqlite3_column_blob(row, 1);
		bool fits = sqlite3_column_int64(row, 0) == n && data != NULL &&
		            len <= size_bytes - at;
		if (!fits || !take_fn(env, at, data, len)) {
			db_end(row);
			return fits ? FOUND_NONE : FOUND_DAMAGED;
		}
		at += len;
	}
	if (db_failed(db))
		return FOUND_NONE;
	return at == size_bytes ? FOUND_HIT : FOUND_DAMAGED;
}

static enum found
look(struct cache *cache, struct db *db, const struct digest *module, bool is_metered,
     struct cache_artifact *out, cache_take_fn *take_fn, void *env)
{
	sqlite3_stmt *row = db_bind(db, SQL_ARTIFACT_FIND, FIT_FORMAT "t",
	                            FIT_ARGUMENTS(cache, module), variant_of(is_metered));

	if (!db_row(db, row))
		return FOUND_NONE;
	bool ok = artifact_from_row(db, row, out);
	db_end(row);
	if (ok && out->is_pinned)
		return FOUND_PINNED;
	out->module = *module; /* as asked for; the row may say anything */
	if (!ok || out->size_bytes == 0)
		return db_failed(db) ? FOUND_NONE : FOUND_DAMAGED;
	return read_chunks(db, out->id, (size_t)out->size_bytes, take_fn, env);
}

enum cache_found
cache_find_into(struct cache *cache, const struct digest *module, bool is_metered,
                struct cache_artifact *out, cache_take_fn *take_fn, void *env)
{
	struct cache_artifact artifact;

	for (int i = 0; i < FIND_TRIES; i++) {
		struct db *db = acquire_reader(cache);
		if (db == NULL)
			return CACHE_MISS;
		/* One snapshot for the row and its chunks. */
		db_exec(db, "BEGIN");
		enum found found = look(cache, db, module, is_metered, &artifact, take_fn, env);
		db_exec(db, "COMMIT");
		if (!release_reader(cache) && found == FOUND_HIT)
			found = FOUND_NONE;
		if (found == FOUND_HIT)
			*out = artifact;
		if (found != FOUND_DAMAGED)
			return found == FOUND_HIT      ? CACHE_HIT
			       : found == FOUND_PINNED ? CACHE_PINNED
			                               : CACHE_MISS;
		cache_discard(cache, &artifact, "its stored bytes are not complete");
	}
	return CACHE_MISS;
}

static bool
take_all(void *env, size_t at, const uint8_t *bytes, size_t size_bytes)
{
	uint8_t **all = env;
	uint8_t *more = realloc(*all, at + size_bytes + 1);

	if (more == NULL)
		return false;
	memcpy(more + at, bytes, size_bytes);
	*all = more;
	return true;
}

enum cache_found
cache_find(struct cache *cache, const struct digest *module, bool is_metered,
           struct cache_artifact *out, uint8_t **out_bytes)
{
	uint8_t *bytes = NULL;
	enum cache_found found =
	    cache_find_into(cache, module, is_metered, out, take_all, &bytes);

	if (found == CACHE_HIT)
		*out_bytes = bytes;
	else
		free(bytes);
	return found;
}

bool
cache_list(struct cache *cache, const struct digest *module,
           struct cache_artifact **out_artifacts, size_t *out_count)
{
	struct cache_artifact *artifacts = NULL;
	struct cache_artifact artifact;
	size_t count = 0;
	bool has_memory = true;
	struct db *db = acquire_reader(cache);

	*out_artifacts = NULL;
	*out_count = 0;
	if (db == NULL)
		return true;
	sqlite3_stmt *row =
	    db_bind(db, SQL_ARTIFACT_LIST, FIT_FORMAT, FIT_ARGUMENTS(cache, module));
	while (db_row(db, row)) {
		if (!artifact_from_row(db, row, &artifact))
			continue;
		struct cache_artifact *more = realloc(artifacts, (count + 1) * sizeof *more);
		has_memory = more != NULL;
		if (!has_memory) {
			db_end(row);
			break;
		}
		artifacts = more;
		artifacts[count++] = artifact;
	}
	if (release_reader(cache) && has_memory) {
		*out_artifacts = artifacts;
		*out_count = count;
		return true;
	}
	free(artifacts);
	return false;
}

/* --- writing ------------------------------------------------------------------------------ */

void
cache_touch(struct cache *cache, int64_t id)
{
	struct db *db = acquire_writer(cache);

	if (db == NULL)
		return;
	db_run(db, SQL_ARTIFACT_TOUCH, "ii", id, clock_unix_us());
	(void)release_writer(cache);
}

void
cache_touch_used(struct cache *cache, const struct cache_use *uses, size_t count)
{
	int64_t now_us = clock_unix_us();
	struct db *db = acquire_writer(cache);

	if (db == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		db_run(db, SQL_ARTIFACT_USED, FIT_FORMAT "ti",
		       FIT_ARGUMENTS(cache, &uses[i].module), variant_of(uses[i].is_metered),
		       now_us);
	(void)release_writer(cache);
}

void
cache_discard(struct cache *cache, const struct cache_artifact *artifact, const char *why)
{
	tell(cache, CACHE_DAMAGED, &artifact->module, why);
	struct db *db = acquire_writer(cache);
	if (db == NULL)
		return;
	db_run(db, SQL_ARTIFACT_REMOVE, "id", artifact->id, (const struct digest *)NULL);
	(void)release_writer(cache);
}

/* Make room for size_bytes more; within the transaction. */
static void
evict(struct cache *cache, struct db *db, uint64_t size_bytes)
{
	uint64_t bytes_max = cache->bytes_max;
	struct digest module;

	for (;;) {
		sqlite3_stmt *totals = db_bind(db, SQL_ARTIFACT_TOTALS, "");
		if (!db_row(db, totals))
			return;
		uint64_t bytes = (uint64_t)sqlite3_column_int64(totals, 1);
		db_end(totals);
		if (bytes <= bytes_max && size_bytes <= bytes_max - bytes)
			return;
		sqlite3_stmt *oldest = db_bind(db, SQL_ARTIFACT_OLDEST, "");
		if (!db_row(db, oldest))
			return;
		int64_t id = sqlite3_column_int64(oldest, 0);
		bool has_module = db_column_digest(oldest, 1, &module);
		db_end(oldest);
		if (!db_run(db, SQL_ARTIFACT_REMOVE, "id", id, (const struct digest *)NULL))
			return;
		tell(cache, CACHE_EVICTED, has_module ? &module : NULL, "");
	}
}

/* Returns the new row's id. */
static int64_t
insert(struct cache *cache, struct db *db, const struct cache_artifact *artifact,
       const uint8_t *bytes)
{
	size_t size = (size_t)artifact->size_bytes;
	int64_t n = 0;

	db_run(db, SQL_ARTIFACT_INSERT, FIT_FORMAT "tttibii",
	       FIT_ARGUMENTS(cache, &artifact->module), variant_of(artifact->is_metered),
	       level_of(artifact->level), artifact->is_pinned ? "quarantined" : "ok",
	       (int64_t)size, (const void *)artifact->mac, (size_t)VM_MAC_BYTES,
	       (int64_t)artifact->compile_us, clock_unix_us());
	int64_t id = sqlite3_last_insert_rowid(db->handle);
	for (size_t at = 0; at < size && !db_failed(db); at += CHUNK_BYTES)
		db_run(db, SQL_ARTIFACT_CHUNK_INSERT, "iib", id, n++, (const void *)(bytes + at),
		       size - at < CHUNK_BYTES ? size - at : CHUNK_BYTES);
	return id;
}

/* level NULL: of whatever level. */
static void
remove_variant(struct cache *cache, struct db *db, const struct digest *module, bool is_metered,
               const char *level)
{
	db_run(db, SQL_ARTIFACT_REPLACE, FIT_FORMAT "tt", FIT_ARGUMENTS(cache, module),
	       variant_of(is_metered), level);
}

bool
cache_put(struct cache *cache, const struct cache_artifact *artifact, const uint8_t *bytes,
          int64_t *out_id)
{
	if (artifact->size_bytes == 0 || artifact->size_bytes > cache->bytes_max)
		return false;
	struct db *db = acquire_writer(cache);
	if (db == NULL)
		return false;
	remove_variant(cache, db, &artifact->module, artifact->is_metered,
	               level_of(artifact->level));
	evict(cache, db, artifact->size_bytes);
	int64_t id = insert(cache, db, artifact, bytes);
	if (out_id != NULL)
		*out_id = id;
	return release_writer(cache);
}

bool
cache_pin(struct cache *cache, const struct digest *module, bool is_metered)
{
	const struct cache_artifact pin = {
		.module = *module,
		.level = VM_COMPILE_BEST,
		.is_metered = is_metered,
		.is_pinned = true,
	};
	struct db *db = acquire_writer(cache);

	if (db == NULL)
		return false;
	remove_variant(cache, db, module, is_metered, NULL);
	(void)insert(cache, db, &pin, NULL);
	return release_writer(cache);
}

uint64_t
cache_remove(struct cache *cache, const struct digest *module, int64_t id)
{
	struct db *db = acquire_writer(cache);

	if (db == NULL)
		return 0;
	if (id != 0)
		db_run(db, SQL_ARTIFACT_REMOVE, "id", id, module);
	else
		db_run(db, SQL_ARTIFACT_REMOVE_ALL, "d", module);
	uint64_t removed = db_failed(db) ? 0 : (uint64_t)sqlite3_changes64(db->handle);
	return release_writer(cache) ? removed : 0;
}
