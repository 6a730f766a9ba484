#include "daemon/store/internal.h"

#include <stdio.h>
#include "daemon/clock.h"

/* What one transaction takes at most; a single larger module goes alone. */
#define BATCH_OPS 256
#define BATCH_BYTES ((size_t)16 << 20)
#define TICK_US 1000000
/* Free pages given back to the file system in one idle tick. */
#define VACUUM_PAGES "512"

/* ---- transactions ---- */

static void
rollback(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

/* One op of a transaction; one that is refused leaves no trace. False: SQLite failed. */
static bool
run_one(struct store *store, struct op *op)
{
	struct db *db = &store->writer;

	if (!db_exec(db, "SAVEPOINT one"))
		return false;
	op_run(store, db, op);
	if (db_failed(db))
		return false;
	if (op->answer->public.error.status != STORE_OK)
		db_exec(db, "ROLLBACK TO one");
	return db_exec(db, "RELEASE one");
}

static bool
commit(struct store *store)
{
	struct db *db = &store->writer;
	uint64_t start_us = clock_monotonic_us();

	if (!db_exec(db, "COMMIT"))
		return false;
	store->totals.commits++;
	store->totals.commit_us += clock_monotonic_us() - start_us;
	return true;
}

/* All ops in one transaction, or none of them: then the failure sticks to the writer's db. */
static bool
run_together(struct store *store, struct op *first)
{
	struct db *db = &store->writer;
	bool ok;

	db_clear(db);
	ok = db_exec(db, "BEGIN IMMEDIATE");
	for (struct op *r = first; ok && r != NULL; r = r->next)
		ok = run_one(store, r);
	ok = ok && commit(store);
	if (!ok)
		rollback(db);
	return ok;
}

/* ---- health ---- */

static void
note_failure(struct store *store, const struct store_error *err)
{
	if (err->status == STORE_E_FULL)
		store_set_health(store, STORE_DISK_FULL, err->message);
	else if (err->status == STORE_E_IO || err->status == STORE_E_DAMAGED)
		store_set_health(store, STORE_FAILING, err->message);
}

void
writer_probe(struct store *store)
{
	struct db *db = &store->writer;
	struct store_error err;

	db_clear(db);
	db_exec(db, "BEGIN IMMEDIATE");
	int64_t version = db_query_int(db, "PRAGMA user_version");
	char rewrite[64];
	snprintf(rewrite, sizeof rewrite, "PRAGMA user_version = %d", (int)version);
	db_exec(db, rewrite); /* writes the first page, whatever its value */
	if (store->recovery_due)
		invocation_recover(store, db);
	db_exec(db, "COMMIT");
	if (!db_failed(db)) {
		store->recovery_due = false;
		store_set_health(store, STORE_HEALTHY, "");
		return;
	}
	db_error(db, &err, "cannot write");
	rollback(db);
	note_failure(store, &err);
}

/* ---- batches ---- */

static void
succeed(struct store *store, struct op *op)
{
	if (op->answer->public.error.status == STORE_OK && op->committed != NULL)
		op->committed(store, op);
	store->totals.writes++;
	op_answer(op);
}

static void
fail(struct store *store, struct op *op)
{
	struct store_error err;

	db_error(&store->writer, &err, "not stored");
	note_failure(store, &err);
	answer_reset(op->answer); /* nothing that was found on the way holds */
	op->answer->public.error = err;
	op_answer(op);
}

/* Apply to each op of a list, which may free it. */
static void
for_each(struct store *store, struct op *first, void (*act)(struct store *store, struct op *op))
{
	while (first != NULL) {
		struct op *op = first;

		first = op->next;
		op->next = NULL;
		act(store, op);
	}
}

/* Another program holds the database: waiting for it once more for each op helps nobody. */
static bool
is_busy(const struct db *db)
{
	return (db->rc & 0xff) == SQLITE_BUSY;
}

static void
run_alone(struct store *store, struct op *op)
{
	if (run_together(store, op))
		succeed(store, op);
	else
		fail(store, op);
}

/* An op too large for the disk must not take those down that came with it. */
static void
run_batch(struct store *store, struct op *first)
{
	bool ok = run_together(store, first);

	if (ok && store->health != STORE_HEALTHY)
		writer_probe(store); /* it may have changed nothing, which proves nothing */
	if (ok)
		for_each(store, first, succeed);
	else if (first->next == NULL || is_busy(&store->writer))
		for_each(store, first, fail);
	else
		for_each(store, first, run_alone);
}

/* ---- housekeeping ---- */

static void
checkpoint(struct store *store, bool idle)
{
	struct db *db = &store->writer;
	uint64_t log_bytes = store_unfolded_bytes(store);
	int mode = SQLITE_CHECKPOINT_PASSIVE;
	int in_log, copied;

	if (log_bytes == 0 || (!idle && log_bytes < store->wal_target_bytes))
		return;
	if (log_bytes > 4 * store->wal_target_bytes)
		mode = SQLITE_CHECKPOINT_TRUNCATE; /* waits for readers */
	int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, &in_log, &copied);
	if (rc == SQLITE_OK && in_log == copied)
		db->wal_pages = 0; /* the next write starts the log anew */
}

/* Give pages that deleted modules left back to the file system, a few at a time. */
static void
shrink(struct store *store)
{
	struct db *db = &store->writer;

	db_clear(db);
	if (db_query_int(db, "PRAGMA freelist_count") > 0)
		db_exec(db, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")");
}

static void
tick(struct store *store, bool idle)
{
	store_measure(store);
	if (store->health != STORE_HEALTHY || store->recovery_due)
		writer_probe(store);
	if (idle && store->health == STORE_HEALTHY)
		shrink(store);
	checkpoint(store, idle);
}

static void *
writer_main(void *arg)
{
	struct store *store = arg;
	uint64_t next_tick_us = clock_monotonic_us() + TICK_US;

	for (;;) {
		uint64_t now_us = clock_monotonic_us();

		store->writer_seen_us = now_us;
		struct op *batch = op_queue_take(&store->writes, BATCH_OPS, BATCH_BYTES,
						 next_tick_us > now_us ? next_tick_us - now_us : 0);
		if (batch != NULL)
			run_batch(store, batch);
		else if (op_queue_is_closed(&store->writes))
			return NULL;
		if (clock_monotonic_us() >= next_tick_us) {
			tick(store, batch == NULL);
			next_tick_us = clock_monotonic_us() + TICK_US;
		}
	}
}

bool
writer_start(struct store *store)
{
	store->writer_seen_us = clock_monotonic_us();
	store->writer_started =
	    pthread_create(&store->writer_thread, NULL, writer_main, store) == 0;
	if (store->writer_started)
		pthread_setname_np(store->writer_thread, "store-write");
	return store->writer_started;
}

void
writer_stop(struct store *store)
{
	op_queue_close(&store->writes);
	if (!store->writer_started)
		return;
	pthread_join(store->writer_thread, NULL);
	store->writer_started = false;
	sqlite3_wal_checkpoint_v2(store->writer.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
				  NULL);
}
