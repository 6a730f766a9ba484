#include "daemon/store/internal.h"
#include "daemon/store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HISTORY_MAX 1000
#define WAL_TARGET_BYTES (UINT64_C(16) << 20)
#define READERS 2
#define QUEUE_LENGTH 1024

/* ---- figures ---- */

static uint64_t
file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

#define PAGE_BYTES 8192

uint64_t
store_unfolded_bytes(const struct store *store)
{
	int pages = store->writer.wal_pages;

	return pages > 0 ? (uint64_t)pages * PAGE_BYTES : 0;
}

void
store_measure(struct store *store)
{
	struct statvfs fs;
	char log[4096];

	if (statvfs(store->directory, &fs) == 0)
		store->totals.free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	store->totals.database_bytes = file_bytes(store->path);
	if (snprintf(log, sizeof log, "%s-wal", store->path) < (int)sizeof log)
		store->totals.wal_bytes = file_bytes(log);
	store->totals.unfolded_bytes = store_unfolded_bytes(store);
}

bool
store_has_room(struct store *store, uint64_t size_bytes)
{
	uint64_t free_bytes = store->totals.free_bytes;
	/* What waits in the log will be written once more, or no checkpoint could ever succeed. */
	uint64_t kept_bytes = store->floor_bytes + store->totals.unfolded_bytes;

	/* Twice: the bytes go into the log first. */
	return free_bytes >= kept_bytes && size_bytes <= (free_bytes - kept_bytes) / 2;
}

void
store_set_free_space_floor(struct store *store, uint64_t floor_bytes)
{
	store->floor_bytes = floor_bytes;
}

void
store_set_tag_history_max(struct store *store, uint64_t changes_max)
{
	store->history_max = changes_max > 0 ? changes_max : HISTORY_MAX;
}

uint64_t
store_writer_seen_us(const struct store *store)
{
	return store->writer_seen_us;
}

void
store_get_totals(struct store *store, struct store_totals *out)
{
	const struct totals *totals = &store->totals;

	*out = (struct store_totals){
		.modules = totals->modules,
		.module_bytes = totals->module_bytes,
		.models = totals->models,
		.model_bytes = totals->model_bytes,
		.tags = totals->tags,
		.invocations = totals->invocations,
		.quarantined = totals->quarantined,
		.database_bytes = totals->database_bytes,
		.wal_bytes = totals->wal_bytes,
		.free_bytes = totals->free_bytes,
		.commits = totals->commits,
		.commit_us = totals->commit_us,
		.writes = totals->writes,
		.writes_waiting = op_queue_count(&store->writes),
		.reads_waiting = op_queue_count(&store->reads),
	};
}

/* ---- health ---- */

void
store_set_health(struct store *store, enum store_health health, const char *reason)
{
	pthread_mutex_lock(&store->health_lock);
	bool changed = store->health != (int)health;
	store->health = (int)health;
	snprintf(store->health_reason, sizeof store->health_reason, "%s", reason);
	pthread_mutex_unlock(&store->health_lock);
	if (changed && store->health_fn != NULL)
		store->health_fn(store->health_arg, health, reason);
}

enum store_health
store_health(struct store *store, char *reason, size_t reason_size)
{
	pthread_mutex_lock(&store->health_lock);
	enum store_health health = (enum store_health)store->health;
	if (reason != NULL)
		snprintf(reason, reason_size, "%s", store->health_reason);
	pthread_mutex_unlock(&store->health_lock);
	return health;
}

/* ---- opening ---- */

static enum store_status
make_directory(const char *path, struct store_error *err)
{
	struct stat st;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return store_fail(err, errno == ENOSPC ? STORE_E_FULL : STORE_E_IO,
				  "%s: cannot create this folder: %s", path, strerror(errno));
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return store_fail(err, STORE_E_ARGUMENT, "%s: expected a folder", path);
	return STORE_OK;
}

/* Before SQLite does, so that nobody else can ever read it; its other files copy the mode. */
static enum store_status
make_file(const char *path, struct store_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fchmod(fd, 0600) != 0) {
		int saved = errno;

		if (fd >= 0)
			close(fd);
		return store_fail(err, saved == ENOSPC ? STORE_E_FULL : STORE_E_IO, "%s: %s", path,
				  strerror(saved));
	}
	close(fd);
	return STORE_OK;
}

/* The names of new files are durable too. */
static enum store_status
sync_directory(const char *path, struct store_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		store_fail(err, STORE_E_IO, "%s: %s", path, strerror(errno));
	else
		err->status = STORE_OK;
	if (fd >= 0)
		close(fd);
	return err->status;
}

static enum store_status
quick_check(struct db *db, const char *path, struct store_error *err)
{
	char text[160];

	db_query_text(db, "PRAGMA quick_check(1)", text, sizeof text);
	if (!db_failed(db) && strcmp(text, "ok") == 0)
		return STORE_OK;
	return store_fail(err, STORE_E_DAMAGED, "%s: damaged: %s; restore a copy", path,
			  db_failed(db) ? db->text : text);
}

/* A full disk must not keep the daemon from starting: what is stored can be read and run. */
static enum store_status
recover(struct store *store, struct store_error *err)
{
	struct db *db = &store->writer;

	db_clear(db);
	invocation_recover(store, db);
	if (!db_failed(db))
		return STORE_OK;
	enum store_status status = db_error(db, err, "recovery");
	if (status != STORE_E_FULL)
		return status;
	store->recovery_due = true;
	store_set_health(store, STORE_DISK_FULL, err->message);
	return STORE_OK;
}

static enum store_status
open_database(struct store *store, const struct store_options *options, struct store_error *err)
{
	struct db *db = &store->writer;
	char limit[64];
	enum store_status status = make_file(store->path, err);

	if (status == STORE_OK)
		status = db_open(db, store->path, DB_WRITER, err);
	if (status == STORE_OK && options->check)
		status = quick_check(db, store->path, err);
	if (status == STORE_OK)
		status =
		    schema_migrate(db, store->path, schema_migrations, schema_migration_count, err);
	if (status != STORE_OK)
		return status;
	snprintf(limit, sizeof limit, "PRAGMA journal_size_limit = %" PRIu64,
		 store->wal_target_bytes);
	db_exec(db, limit);
	db_prepare_all(db);
	module_count(store, db);
	model_count(store, db);
	if (!tag_load_all(store, db) && !db_failed(db))
		return store_fail(err, STORE_E_NOMEM, "out of memory for the tags");
	if (db_failed(db))
		return db_error(db, err, store->path);
	return recover(store, err);
}

static bool
init(struct store *store, const struct store_options *options)
{
	unsigned length = options->queue_length > 0 ? options->queue_length : QUEUE_LENGTH;

	if (!tagmap_init(&store->tags))
		return false;
	if (!op_queue_init(&store->writes, length))
		goto no_writes;
	if (!op_queue_init(&store->reads, length))
		goto no_reads;
	if (pthread_mutex_init(&store->health_lock, NULL) == 0)
		return true;
	op_queue_clear(&store->reads);
no_reads:
	op_queue_clear(&store->writes);
no_writes:
	tagmap_clear(&store->tags);
	return false;
}

static struct store *
store_new(const struct store_options *options)
{
	struct store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return NULL;
	if (!init(store, options)) {
		free(store);
		return NULL;
	}
	store->lock_fd = -1;
	store->module_bytes_max = options->module_bytes_max < STORED_BYTES_MAX
				      ? options->module_bytes_max
				      : STORED_BYTES_MAX;
	store->wal_target_bytes =
	    options->wal_target_bytes > 0 ? options->wal_target_bytes : WAL_TARGET_BYTES;
	store->floor_bytes = options->free_space_floor_bytes;
	store_set_tag_history_max(store, options->tag_history_max);
	store->health_fn = options->health_fn;
	store->health_arg = options->health_arg;
	store->directory = strdup(options->directory);
	if (store->directory != NULL &&
	    asprintf(&store->path, "%s/catalog.db", store->directory) < 0)
		store->path = NULL;
	if (store->directory == NULL || store->path == NULL) {
		store_close(store);
		return NULL;
	}
	return store;
}

/* Without its statistics SQLite allocates without one lock for all connections. */
void
store_set_up(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum store_status
store_open(const struct store_options *options, struct store **out_store, struct store_error *err)
{
	if (options->directory == NULL || options->directory[0] == '\0')
		return store_fail(err, STORE_E_ARGUMENT, "no directory is given");
	struct store *store = store_new(options);
	if (store == NULL)
		return store_fail(err, STORE_E_NOMEM, "out of memory");

	enum store_status status = make_directory(store->directory, err);
	if (status == STORE_OK)
		status = lock_take(store->directory, &store->lock_fd, err);
	if (status == STORE_OK)
		status = open_database(store, options, err);
	if (status == STORE_OK)
		status = sync_directory(store->directory, err);
	if (status == STORE_OK)
		status =
		    readers_start(store, options->readers > 0 ? options->readers : READERS, err);
	store_measure(store);
	if (status == STORE_OK && !writer_start(store))
		status = store_fail(err, STORE_E_NOMEM, "cannot start the writer thread");
	if (status != STORE_OK) {
		store_close(store);
		return status;
	}
	*out_store = store;
	return STORE_OK;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	readers_stop(store); /* first: they may still ask the writer for something */
	writer_stop(store);
	db_close(&store->writer);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_mutex_destroy(&store->health_lock);
	op_queue_clear(&store->reads);
	op_queue_clear(&store->writes);
	tagmap_clear(&store->tags);
	free(store->path);
	free(store->directory);
	free(store);
}
