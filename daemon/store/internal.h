/*
 * internal.h - how the parts of the store work together.
 *
 * Inside, a request is an op and its reply an answer, which wraps the public struct store_reply.
 *
 *	caller --submit--> write queue --writer thread--> one transaction for many --> done()
 *	       --submit--> read queue  --reader threads-----------------------------> done()
 *
 * An op carries its answer from the start; parameters and results are copied into the answer's
 * arena, so everything goes with one store_reply_free(). A write op may be run more than once
 * (when a batch fails, each of it is tried alone): `run` must change nothing but the database and
 * the answer. What has to happen in memory waits for `committed`.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "daemon/store/db.h"

#define CHUNK_BYTES ((size_t)256 * 1024)
#define SEAL_BYTES 16

/* No stored module is larger, whatever its row says: a guard against damaged sizes. */
#define STORED_BYTES_MAX (UINT64_C(1) << 30)

/* ---- answer.c ---- */

struct arena_block;

struct answer {
	struct store_reply public; /* first, so that one pointer converts to the other */
	struct arena_block *blocks;
	bool nomem; /* an allocation failed: the status becomes STORE_E_NOMEM */
};

struct answer *answer_new(void);
/* As new for another run; the arena's memory stays, parameters live there. */
void answer_reset(struct answer *answer);
/* Zeroed and aligned for any object; NULL, noted in the answer, when there is no memory. */
void *answer_alloc(struct answer *answer, size_t size_bytes);
/* NULL for NULL, and when there is no memory. */
char *answer_copy(struct answer *answer, const char *text);
/* A text column; "" when it is null. */
const char *answer_text(struct answer *answer, struct db *db, sqlite3_stmt *statement, int column);
/*
 * Room for one more element at the end of an array of the answer that has count elements; the
 * array moves to a place twice as large when count is a power of two. NULL: no memory.
 */
void *answer_append(struct answer *answer, void **array, size_t count, size_t element_bytes);

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

/* ---- ops and their queues (op.c) ---- */

struct store;

struct op {
	struct op *next;
	/* Do it; fills the answer, whose status is the outcome. */
	void (*run)(struct store *store, struct db *db, struct op *op);
	/* Writes: called after the commit, before done. May be NULL. */
	void (*committed)(struct store *store, struct op *op);
	/* Called once, before the answer is given away, whatever the outcome. May be NULL. */
	void (*drop)(struct op *op);
	store_done_fn *done;
	void *arg;
	struct answer *answer;
	void *params;        /* in the answer's arena */
	size_t weight_bytes; /* that it will write, about: bounds a batch */
};

struct op_queue {
	pthread_mutex_t lock;
	pthread_cond_t filled; /* monotonic clock */
	struct op *first;
	struct op **last;
	unsigned count;
	unsigned count_max;
	bool closed;
};

bool op_queue_init(struct op_queue *queue, unsigned count_max);
void op_queue_clear(struct op_queue *queue); /* an empty one */
/* STORE_E_BUSY when full or closed; the op is then still the caller's. */
enum store_status op_queue_push(struct op_queue *queue, struct op *op);
/*
 * Wait until there is something, the queue is closed, or timeout_us have passed. Takes from the
 * front: at most count_max ops, no more than weight_max bytes but at least one. NULL: none.
 */
struct op *op_queue_take(struct op_queue *queue, unsigned count_max, size_t weight_max,
			 uint64_t timeout_us);
/* No more pushes; waiting threads wake up. */
void op_queue_close(struct op_queue *queue);
bool op_queue_is_closed(struct op_queue *queue);
unsigned op_queue_count(struct op_queue *queue);

/* An op whose params are size_bytes of zeroed arena. NULL: no memory. */
struct op *op_new(size_t params_bytes, store_done_fn *done, void *arg);
/* Drop, free, and free the answer too when done did not get it. */
void op_free(struct op *op);
/* Push; on any failure the op is freed and done will not be called. */
enum store_status op_submit(struct op_queue *queue, struct op *op);
/* Run on this connection, from a clean state, and settle the answer's status. */
void op_run(struct store *store, struct db *db, struct op *op);
/* Hand the answer to done, free the op. */
void op_answer(struct op *op);

/* ---- the store ---- */

struct totals {
	_Atomic uint64_t modules, module_bytes, models, model_bytes;
	_Atomic uint64_t tags, invocations, quarantined;
	_Atomic uint64_t database_bytes, wal_bytes, free_bytes;
	_Atomic uint64_t unfolded_bytes; /* of the log, not yet in the database */
	_Atomic uint64_t commits, commit_us, writes;
};

struct store {
	char *directory;
	char *path;  /* of the database */
	int lock_fd; /* -1: not locked */
	uint64_t module_bytes_max;
	uint64_t wal_target_bytes;
	_Atomic uint64_t floor_bytes;
	_Atomic uint64_t history_max;
	void (*health_fn)(void *arg, enum store_health health, const char *reason);
	void *health_arg;

	struct tagmap tags;
	struct op_queue writes;
	struct op_queue reads;
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
/* What the log holds that a checkpoint has yet to write into the database. On the writer. */
uint64_t store_unfolded_bytes(const struct store *store);
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

/* ---- what several kinds of op need ---- */

/* What a row costs besides its bytes, about. */
#define ROW_BYTES 4096

/* blob.c: bytes by their digest, which modules and models share. */
/* The bytes are what they are said to be, and there is room for them; or *err says why not. */
bool blob_check(struct store *store, const struct digest *said, const uint8_t *bytes, size_t size,
		struct store_error *err);
/* Keep them, unless they are there and intact. Check db_failed(). */
void blob_put(struct db *db, const struct digest *digest, const uint8_t *bytes, size_t size);
/* The verified bytes into the answer. False: damaged, or db_failed(), or no memory. */
bool blob_read(struct db *db, const struct digest *digest, uint64_t size_bytes,
	       struct answer *answer);

/* module.c: a module with its tags into answer->modules; false: none, or db_failed(). */
bool module_append(struct db *db, const struct digest *digest, struct answer *answer);
/* Mark a module as damaged, by a write op of its own; lossy when the queue is full. */
void module_quarantine(struct store *store, const struct digest *digest);
/* Counts for the totals, when the store opens. */
void module_count(struct store *store, struct db *db);
void model_count(struct store *store, struct db *db);

/* tag.c */
/* Whether what is there (NULL: nothing) fits what was asked for; a conflict goes into *err. */
bool condition_holds(const struct digest *now, const struct store_condition *condition,
		     const char *what, struct store_error *err);
bool tag_part_is_valid(const char *part);
bool tag_name_is_valid(const struct store_tag_name *name);
/* Copy a name's parts into the arena. */
struct store_tag_name tag_name_copy(struct answer *answer, const struct store_tag_name *name);
enum tag_found { TAG_NONE, TAG_FOUND, TAG_DAMAGED };

/* The tag as it stands into answer->tags, when found. TAG_NONE also when db_failed(). */
enum tag_found tag_append(struct db *db, const struct store_tag_name *name, struct answer *answer);
/* All tags of a module into answer->tags, damaged ones too. */
void tag_append_all_of(struct db *db, const struct digest *digest, struct answer *answer);

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
 * answer->tags; on a conflict fills the answer's error. *out_created: there was no such tag.
 */
void tag_point(struct store *store, struct db *db, struct tag_change *change, struct answer *answer,
	       bool *out_created);
/* After the commit. */
void tag_pointed(struct store *store, struct tag_change *change);
/* Remove the tag, which is as *tag says, and note it in the history. */
void tag_remove(struct store *store, struct db *db, const struct store_tag *tag, const char *by);
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
