/*
 * internal.h - how the parts of the store work together.
 *
 *	caller --submit--> write queue --writer thread--> one transaction for many --> done()
 *	       --submit--> read queue  --reader threads-----------------------------> done()
 *
 * A request carries its reply from the start; parameters and results are copied into the reply's
 * arena, so everything goes with one store_reply_free(). A write request may be run more than once
 * (when a batch fails, each of it is tried alone): `run` must change nothing but the database and
 * the reply. What has to happen in memory waits for `committed`.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "daemon/store/db.h"

#define CHUNK_BYTES ((size_t)256 * 1024)
#define SEAL_BYTES 16

/* No stored module is larger, whatever its row says: a guard against damaged sizes. */
#define STORED_BYTES_MAX (UINT64_C(1) << 30)

/* ---- reply.c ---- */

struct arena_block;

struct reply {
	struct store_reply public; /* first, so that one pointer converts to the other */
	struct arena_block *blocks;
	bool nomem; /* an allocation failed: the reply becomes STORE_E_NOMEM */
};

struct reply *reply_new(void);
/* As new for another run; the arena's memory stays, parameters live there. */
void reply_reset(struct reply *reply);
/* Zeroed and aligned for any object; NULL, noted in the reply, when there is no memory. */
void *reply_alloc(struct reply *reply, size_t size_bytes);
/* NULL for NULL, and when there is no memory. */
char *reply_copy(struct reply *reply, const char *text);
/* A text column; "" when it is null. */
const char *reply_text(struct reply *reply, struct db *db, sqlite3_stmt *statement, int column);
/*
 * Room for one more element at the end of an array of the reply that has count elements; the
 * array moves to a place twice as large when count is a power of two. NULL: no memory.
 */
void *reply_append(struct reply *reply, void **array, size_t count, size_t element_bytes);

/* ---- tagmap.c ---- */

/* One tag in memory. An entry is made before its transaction and put in after it. */
struct tag_entry {
	struct tag_entry *next;
	struct digest digest;
	int64_t rev;
	bool damaged; /* its row does not match its seal */
	char name[];  /* "ns/name:tag" */
};

struct tagmap {
	pthread_rwlock_t lock;
	struct tag_entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	uint64_t seed;
};

bool tagmap_init(struct tagmap *map);
void tagmap_clear(struct tagmap *map);
/* NULL: no memory. Freed by free() as long as it has not been put into a map. */
struct tag_entry *tag_entry_new(const struct store_tag_name *name);
/* Takes the entry, replacing one of that name; cannot fail. Returns whether the name is new. */
bool tagmap_put(struct tagmap *map, struct tag_entry *entry);
bool tagmap_remove(struct tagmap *map, const struct store_tag_name *name);
enum store_status tagmap_find(struct tagmap *map, const struct store_tag_name *name,
                              struct digest *out_digest, int64_t *out_rev);

/* ---- requests and queues (queue.c) ---- */

struct store;

struct request {
	struct request *next;
	/* Do it; fills the reply, whose status is the outcome. */
	void (*run)(struct store *store, struct db *db, struct request *request);
	/* Writes: called after the commit, before done. May be NULL. */
	void (*committed)(struct store *store, struct request *request);
	/* Called once before the request is freed, done or not. May be NULL. */
	void (*drop)(struct request *request);
	store_done_fn *done;
	void *arg;
	struct reply *reply;
	void *params;        /* in the reply's arena */
	size_t weight_bytes; /* that it will write, about: bounds a batch */
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled; /* monotonic clock */
	struct request *first;
	struct request **last;
	unsigned count;
	unsigned count_max;
	bool closed;
};

bool queue_init(struct queue *queue, unsigned count_max);
void queue_clear(struct queue *queue); /* an empty one */
/* STORE_E_BUSY when full or closed; the request is then still the caller's. */
enum store_status queue_push(struct queue *queue, struct request *request);
/*
 * Wait until there is something, the queue is closed, or timeout_us have passed. Takes from the
 * front: at most count_max requests, no more than weight_max bytes but at least one. NULL: none.
 */
struct request *queue_take(struct queue *queue, unsigned count_max, size_t weight_max,
                           uint64_t timeout_us);
/* No more pushes; waiting threads wake up. */
void queue_close(struct queue *queue);
bool queue_is_closed(struct queue *queue);
unsigned queue_count(struct queue *queue);

/* A request whose params are size_bytes of zeroed arena. NULL: no memory. */
struct request *request_new(size_t params_bytes, store_done_fn *done, void *arg);
/* Drop, free, and free the reply too when done did not get it. */
void request_free(struct request *request);
/* Push; on any failure the request is freed and done will not be called. */
enum store_status request_submit(struct queue *queue, struct request *request);
/* Run on this connection, from a clean state, and settle the reply's status. */
void request_run(struct store *store, struct db *db, struct request *request);
/* Hand the reply to done, free the request. */
void request_answer(struct request *request);

/* ---- the store ---- */

struct totals {
	_Atomic uint64_t modules, module_bytes, tags, invocations, quarantined;
	_Atomic uint64_t database_bytes, wal_bytes, free_bytes;
	_Atomic uint64_t commits, commit_us, writes;
};

struct store {
	char *directory;
	char *path;  /* of the database */
	int lock_fd; /* -1: not locked */
	uint64_t module_bytes_max;
	uint64_t wal_target_bytes;
	_Atomic uint64_t floor_bytes;
	void (*health_fn)(void *arg, enum store_health health, const char *reason);
	void *health_arg;

	struct tagmap tags;
	struct queue writes;
	struct queue reads;
	struct db writer;
	bool recovery_due; /* the writer has still to do invocation_recover() */
	pthread_t writer_thread;
	bool writer_started;
	struct reader *readers;
	unsigned reader_count; /* whose threads run */

	struct totals totals;
	_Atomic uint64_t writer_seen_us;
	_Atomic int health;
	pthread_mutex_t health_lock; /* of the reason */
	char health_reason[STORE_MESSAGE_MAX];
};

/* ---- writer.c, readers.c ---- */

bool writer_start(struct store *store);
void writer_stop(struct store *store); /* after the last write has been answered */
/* Free space and file sizes into the totals. */
void store_measure(struct store *store);
void store_set_health(struct store *store, enum store_health health, const char *reason);
/* Try whether writing works again; does recovery that is due. */
void writer_probe(struct store *store);

struct reader {
	struct store *store;
	struct db db;
	pthread_t thread;
};

enum store_status readers_start(struct store *store, unsigned count, struct store_error *err);
void readers_stop(struct store *store);

/* ---- lock.c ---- */

/* Hold <directory>/wasmedged.lock. STORE_E_LOCKED names the process that does. */
enum store_status lock_take(const char *directory, int *out_fd, struct store_error *err);

/* ---- what several kinds of request need ---- */

/* module.c: a module with its tags into reply->modules; false: none, or db_failed(). */
bool module_append(struct db *db, const struct digest *digest, struct reply *reply);
/* Mark a module as damaged, by a write request of its own; lossy when the queue is full. */
void module_quarantine(struct store *store, const struct digest *digest);
/* Counts for the totals, when the store opens. */
void module_count(struct store *store, struct db *db);

/* tag.c */
bool tag_name_is_valid(const struct store_tag_name *name);
/* Copy a name's parts into the arena. */
struct store_tag_name tag_name_copy(struct reply *reply, const struct store_tag_name *name);
enum tag_found { TAG_NONE, TAG_FOUND, TAG_DAMAGED };

/* The tag as it stands into reply->tags, when found. TAG_NONE also when db_failed(). */
enum tag_found tag_append(struct db *db, const struct store_tag_name *name, struct reply *reply);
/* All tags of a module into reply->tags, damaged ones too. */
void tag_append_all_of(struct db *db, const struct digest *digest, struct reply *reply);

/* A change of one tag: what is asked, and the entry that the map gets after the commit. */
struct tag_change {
	struct store_tag_name name;
	struct digest digest;
	struct store_condition condition;
	const char *by;
	struct tag_entry *entry; /* owned until it is in the map */
};

/*
 * Point the tag at a module if the condition holds. Leaves the tag as it now stands, alone, in
 * reply->tags; on a conflict fills the reply's error. *out_created: there was no such tag.
 */
void tag_point(struct db *db, struct tag_change *change, struct reply *reply, bool *out_created);
/* After the commit. */
void tag_pointed(struct store *store, struct tag_change *change);
/* Remove the tag, which is as *tag says, and note it in the history. */
void tag_remove(struct db *db, const struct store_tag *tag, const char *by);
/* Fill the map when the store opens. False: no memory, or db_failed(). */
bool tag_load_all(struct store *store, struct db *db);

/* invocation.c: mark what an earlier process left unfinished, count. */
void invocation_recover(struct store *store, struct db *db);

/* Truncated SHA-256 over fields, each with its length in front. */
struct seal {
	struct digest_state state;
};

void seal_init(struct seal *seal);
void seal_bytes(struct seal *seal, const void *bytes, size_t size_bytes);
void seal_int(struct seal *seal, int64_t number);
void seal_finish(struct seal *seal, uint8_t out[SEAL_BYTES]);
bool seal_equals_column(const uint8_t seal[SEAL_BYTES], sqlite3_stmt *statement, int column);
