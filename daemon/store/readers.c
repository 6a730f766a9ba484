#include "daemon/store/internal.h"

#include <stdlib.h>
#include "daemon/clock.h"

/* A read that takes longer is given up: a filter over very many modules, say. */
#define READ_LIMIT_US 10000000
#define WAKE_US 60000000 /* nothing to do at a wake-up; the queue wakes us */

/* One read is one snapshot, however many statements it needs. */
static void
serve(struct reader *reader, struct op *op)
{
	struct db *db = &reader->db;

	db->deadline_us = clock_monotonic_us() + READ_LIMIT_US;
	sqlite3_exec(db->handle, "BEGIN", NULL, NULL, NULL);
	op_run(reader->store, db, op);
	sqlite3_exec(db->handle, "COMMIT", NULL, NULL, NULL);
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	op_answer(op);
}

/* What the first call after a start waits for is ready. */
static void
prepare(struct db *db)
{
	(void)(db_prepare(db, SQL_MODULE_GET) && db_prepare(db, SQL_CHUNK_LIST));
	db_clear(db);
}

static void *
reader_main(void *arg)
{
	struct reader *reader = arg;
	struct op_queue *queue = &reader->store->reads;

	prepare(&reader->db);
	for (;;) {
		struct op *op = op_queue_take(queue, 1, SIZE_MAX, WAKE_US);

		if (op != NULL)
			serve(reader, op);
		else if (op_queue_is_closed(queue))
			return NULL;
	}
}

enum store_status
readers_start(struct store *store, unsigned count, struct store_error *err)
{
	store->readers = calloc(count, sizeof *store->readers);
	if (store->readers == NULL)
		return store_fail(err, STORE_E_NOMEM, "out of memory");
	for (; store->reader_count < count; store->reader_count++) {
		struct reader *reader = &store->readers[store->reader_count];
		enum store_status status = db_open(&reader->db, store->path, DB_READER, err);

		reader->store = store;
		if (status == STORE_OK &&
		    pthread_create(&reader->thread, NULL, reader_main, reader) != 0)
			status = store_fail(err, STORE_E_NOMEM, "cannot start a reader thread");
		if (status != STORE_OK) {
			db_close(&reader->db);
			return status;
		}
		pthread_setname_np(reader->thread, "store-read");
	}
	return STORE_OK;
}

void
readers_stop(struct store *store)
{
	op_queue_close(&store->reads);
	for (unsigned i = 0; i < store->reader_count; i++) {
		pthread_join(store->readers[i].thread, NULL);
		db_close(&store->readers[i].db);
	}
	store->reader_count = 0;
	free(store->readers);
	store->readers = NULL;
}
