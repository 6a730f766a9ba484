/*
 * store.h - the catalogue: modules, tags, models and asynchronous invocations, kept in SQLite.
 *
 * One directory holds catalog.db and belongs to one process (an exclusive lock says so). One
 * writer thread takes every change from a bounded queue, puts those that wait into one
 * transaction, commits it with synchronous=FULL and only then answers them: STORE_OK on a write
 * means durable. Reads run on a small pool of reader threads. No call below waits for SQLite
 * except store_open() and store_close(), so an event loop may use all the others.
 *
 * A call that returns STORE_OK will call its done function exactly once, on a thread of the
 * store; any other return value means that it will not be called. A done function must be quick
 * and must not call store_close(); it usually hands the reply to its own thread. done may be NULL
 * where nobody wants to know.
 *
 * Bytes read are verified against their digests, chunk by chunk and whole; rows carry a seal. What
 * does not verify is marked quarantined and reported as STORE_E_DAMAGED, never handed out. Putting
 * the same module again repairs it.
 *
 * Owns:    the directory's lock, the database, its threads, the map of tags
 * Threads: every function may be called from any thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vm/common.h"
#include "rpc/digest.h"

enum store_status {
	STORE_OK,
	STORE_E_NOT_FOUND, /* no such module, tag, model or invocation */
	STORE_E_CONFLICT,  /* a tag moved (compare-and-swap), a module is tagged, an id is taken */
	STORE_E_FULL,      /* the disk, or what is left above the free-space floor */
	STORE_E_BUSY,      /* the store's queue is full: try again later */
	STORE_E_DAMAGED,   /* stored bytes do not match their digest; nothing is handed out */
	STORE_E_IO,        /* the operating system or SQLite refused */
	STORE_E_NOMEM,
	STORE_E_ARGUMENT,  /* a name or a size that the store does not take */
	STORE_E_LOCKED,    /* another process uses the directory (open only) */
	STORE_E_VERSION,   /* the database is newer than this program (open only) */
};

/* "disk full" and the like; never NULL. */
const char *store_status_text(enum store_status status);

#define STORE_MESSAGE_MAX 320

struct store_error {
	enum store_status status;
	char message[STORE_MESSAGE_MAX]; /* what, where and what to do */
};

/* ---- opening ---- */

enum store_health {
	STORE_HEALTHY,
	STORE_DISK_FULL, /* writes fail for want of space; reads go on */
	STORE_FAILING,   /* writes fail for another reason */
};

struct store_options {
	const char *directory;           /* created with mode 0700 when missing */
	uint64_t free_space_floor_bytes; /* puts are refused below this much free disk */
	uint64_t module_bytes_max;       /* larger modules are refused */
	uint64_t wal_target_bytes;       /* checkpoint when the log is larger; 0: 16 MiB */
	unsigned readers;                /* reader threads; 0: 2 */
	uint64_t tag_history_max;        /* changes kept of each name; 0: 1000 */
	unsigned queue_length;           /* writes, and reads, that may wait; 0: 1024 */
	bool check;                      /* run SQLite's quick_check before anything else */
	/*
	 * Told on the writer thread, or within store_open(), when the health changes. While it is
	 * not STORE_HEALTHY the writer tries by itself every second whether writing works again.
	 * May be NULL.
	 */
	void (*health_fn)(void *arg, enum store_health health, const char *reason);
	void *health_arg;
};

struct store;

/* Set SQLite up for this process. Before anything else of it is used; afterwards without effect. */
void store_set_up(void);

/*
 * Lock the directory, bring the schema up to date (after a backup beside the database), mark
 * invocations that a previous process left unfinished as `lost`, load the map of tags and start
 * the threads. *err is filled on failure and may not be NULL.
 *
 * Returns STORE_E_LOCKED  another process has it; the message names its pid
 *         STORE_E_VERSION written by a newer wasmedged
 *         STORE_E_DAMAGED not a database, or quick_check failed
 *         STORE_E_IO, STORE_E_FULL, STORE_E_NOMEM, STORE_E_ARGUMENT
 */
VM_MUST_CHECK enum store_status store_open(const struct store_options *options,
                                           struct store **out_store, struct store_error *err);

/*
 * Finish everything that is queued (all done functions are called), fold the log into the
 * database, stop the threads, release the lock. NULL is fine. No other call may be running.
 */
void store_close(struct store *store);

/* For a reload. Names whose history has become too long are trimmed when they change next. */
void store_set_free_space_floor(struct store *store, uint64_t floor_bytes);
void store_set_tag_history_max(struct store *store, uint64_t changes_max);

/*
 * Whether size_bytes more (written twice, the log comes first) would stay above the floor, by a
 * figure at most a second old.
 */
bool store_has_room(struct store *store, uint64_t size_bytes);

/* reason may be NULL; it is "" while healthy. */
enum store_health store_health(struct store *store, char *reason, size_t reason_size);

/* CLOCK_MONOTONIC, in us, when the writer was last seen alive (at least every second). */
uint64_t store_writer_seen_us(const struct store *store);

/* Figures for metrics and listings: at most a second old. */
struct store_totals {
	uint64_t modules;
	uint64_t module_bytes;
	uint64_t models;
	uint64_t model_bytes; /* of all names, also where they share them */
	uint64_t tags;
	uint64_t invocations;
	uint64_t quarantined;      /* damage found since the start */
	uint64_t database_bytes;   /* the file */
	uint64_t wal_bytes;        /* its log */
	uint64_t free_bytes;       /* of the file system */
	uint64_t commits;          /* transactions since the start */
	uint64_t commit_us;        /* time spent committing since the start */
	uint64_t writes;           /* requests answered by them */
	uint32_t writes_waiting;
	uint32_t reads_waiting;
};

void store_get_totals(struct store *store, struct store_totals *out);

/* ---- names ---- */

#define STORE_NAME_MAX 128 /* bytes of each part of a tag's name */
#define STORE_ID_MAX 64    /* bytes of an invocation's id, a token's id */

/* ns/name:tag; each 1 to STORE_NAME_MAX bytes of [A-Za-z0-9._-], not starting with . or -. */
struct store_tag_name {
	const char *ns;
	const char *name;
	const char *tag;
};

/* Whether a model can be called so, or a part of a tag. */
bool store_name_is_valid(const char *text, size_t size);

/* Position in a list, newest first; opaque to clients. All zero: from the start. */
struct store_cursor {
	int64_t created_us;
	char key[STORE_ID_MAX + 8]; /* digest in hex, or an invocation's id */
};

#define STORE_LIST_MAX 1000 /* rows of one reply */

/* ---- replies ---- */

enum store_module_state { STORE_MODULE_OK, STORE_MODULE_QUARANTINED };

struct store_module {
	struct digest digest;
	uint64_t size_bytes;
	uint64_t features; /* as given on put */
	int64_t created_us; /* Unix time */
	enum store_module_state state;
	const char *info; /* JSON text as given on put */
	const char *tags; /* JSON array of "ns/name:tag" that point at it */
};

struct store_tag {
	const char *ns;
	const char *name;
	const char *tag;
	struct digest digest;
	int64_t rev; /* grows with every change of any tag */
	int64_t updated_us;
	const char *updated_by;
};

/* One line of history. */
struct store_tag_change {
	int64_t rev;
	const char *ns;
	const char *name;
	const char *tag;
	bool has_old, has_new; /* neither a first put nor a delete has both */
	struct digest old_digest;
	struct digest new_digest;
	int64_t at_us;
	const char *by;
};

struct store_model {
	const char *name;
	struct digest digest;
	uint64_t size_bytes;
	const char *format; /* as given on put */
	const char *info;   /* JSON text as given on put */
	int64_t created_us; /* when the name got this digest */
	bool is_damaged;    /* its row does not match its seal: nothing but the name is true */
};

struct store_invocation {
	const char *id;
	const char *token;    /* who asked; "" */
	struct digest digest; /* of the module */
	const char *function; /* "" for a command */
	const char *state;
	const char *spec;   /* JSON text as given */
	const char *result; /* JSON text, or NULL as long as there is none */
	int64_t created_us;
	int64_t done_us; /* 0 while not finished */
};

/*
 * What a request came to. It belongs to the done function, on whichever thread it ends up, and is
 * released with store_reply_free(). Which members are filled stands with each request; the others
 * are zero.
 */
struct store_reply {
	struct store_error error; /* error.status is the outcome; message is "" on success */
	bool created;             /* there was none before */
	struct store_module *modules;
	size_t module_count;
	uint8_t *bytes; /* malloc()ed: set to NULL to keep it */
	size_t size_bytes;
	struct store_tag *tags;
	size_t tag_count;
	struct store_tag_change *changes;
	size_t change_count;
	struct store_model *models;
	size_t model_count;
	struct store_invocation *invocations;
	size_t invocation_count;
	uint64_t affected; /* rows removed */
	bool has_next;     /* the list goes on at next */
	struct store_cursor next;
};

void store_reply_free(struct store_reply *reply); /* NULL is fine */

typedef void store_done_fn(void *arg, struct store_reply *reply);

/* ---- modules ---- */

/* What must hold for a tag before it is changed. */
enum store_match {
	STORE_MATCH_ANY,    /* nothing */
	STORE_MATCH_ABSENT, /* If-None-Match: * */
	STORE_MATCH_DIGEST, /* If-Match: it points at .digest now */
};

struct store_condition {
	enum store_match match;
	struct digest digest;
};

struct store_module_put {
	struct digest digest; /* of bytes; checked */
	const uint8_t *bytes; /* borrowed until done is called */
	size_t size_bytes;
	const char *info;          /* JSON object; copied */
	uint64_t features;         /* one bit for each feature used */
	struct store_tag_name tag; /* copied; tag.name NULL: none */
	struct store_condition tag_if;
	const char *by; /* who, for the history; copied; may be NULL */
};

/*
 * Keep a module and, in the same transaction, point a tag at it. The info of a module that is
 * already there is replaced (a newer program may know more about it); bytes that were damaged are
 * written anew.
 *
 * Reply: created, modules[0]; with a tag: tags[0]
 * Status: STORE_E_CONFLICT (tags[0] is the tag as it stands, if it exists; nothing is stored),
 *         STORE_E_FULL, STORE_E_ARGUMENT (digest or size), STORE_E_IO
 */
VM_MUST_CHECK enum store_status store_module_put(struct store *store,
                                                 const struct store_module_put *put,
                                                 store_done_fn *done, void *arg);

/*
 * Reply: modules[0]; with want_bytes: bytes, size_bytes (verified)
 * Status: STORE_E_NOT_FOUND; STORE_E_DAMAGED with modules[0] filled as far as known
 */
VM_MUST_CHECK enum store_status store_module_get(struct store *store, const struct digest *digest,
                                                 bool want_bytes, store_done_fn *done, void *arg);

/* All filters must hold; NULL or 0: no filter. Strings are copied. */
struct store_module_query {
	unsigned limit; /* 1..STORE_LIST_MAX */
	struct store_cursor cursor;
	const char *tag;    /* "ns", "ns/name" or "ns/name:tag" */
	const char *import; /* "module" or "module.name": $.imports[*].module and .name of info */
	const char *export; /* $.exports[*].name of info */
	uint64_t features;  /* uses all of these */
};

/* Reply: modules, has_next, next */
VM_MUST_CHECK enum store_status store_module_list(struct store *store,
                                                  const struct store_module_query *query,
                                                  store_done_fn *done, void *arg);

/*
 * With force the tags that point at it go too (into the history).
 *
 * Reply: modules[0] as it was; tags: those that pointed at it
 * Status: STORE_E_NOT_FOUND; STORE_E_CONFLICT when tagged and not forced (tags filled)
 */
VM_MUST_CHECK enum store_status store_module_delete(struct store *store,
                                                    const struct digest *digest, bool force,
                                                    const char *by, store_done_fn *done, void *arg);

/* ---- tags ---- */

/*
 * The module that a tag names, from memory: for the hot path. A change is visible here before its
 * done function is called, and never before it is durable.
 *
 * out_rev may be NULL.
 *
 * Returns STORE_OK, STORE_E_NOT_FOUND, STORE_E_DAMAGED
 */
VM_MUST_CHECK enum store_status store_tag_resolve(struct store *store,
                                                  const struct store_tag_name *name,
                                                  struct digest *out_digest, int64_t *out_rev);

/*
 * Point a tag at a module.
 *
 * Reply: created, tags[0]
 * Status: STORE_E_NOT_FOUND (the module), STORE_E_CONFLICT (tags[0] as it stands, if it exists)
 */
VM_MUST_CHECK enum store_status store_tag_put(struct store *store,
                                              const struct store_tag_name *name,
                                              const struct digest *digest,
                                              const struct store_condition *condition,
                                              const char *by, store_done_fn *done, void *arg);

/* Reply: tags[0] as it was. Status: STORE_E_NOT_FOUND, STORE_E_CONFLICT */
VM_MUST_CHECK enum store_status store_tag_delete(struct store *store,
                                                 const struct store_tag_name *name,
                                                 const struct store_condition *condition,
                                                 const char *by, store_done_fn *done, void *arg);

/* Reply: tags[0]. Status: STORE_E_NOT_FOUND */
VM_MUST_CHECK enum store_status store_tag_get(struct store *store,
                                              const struct store_tag_name *name,
                                              store_done_fn *done, void *arg);

/*
 * The tags of ns (NULL: of all), of ns/name (name not NULL), in the order of their names, after
 * `after` (its parts NULL: from the start).
 *
 * Reply: tags, has_next (go on after the last one)
 */
VM_MUST_CHECK enum store_status store_tag_list(struct store *store, const char *ns,
                                               const char *name,
                                               const struct store_tag_name *after, unsigned limit,
                                               store_done_fn *done, void *arg);

/*
 * Changes of ns/name (tag NULL) or of one tag, newest first, below revision before (0: all).
 *
 * Reply: changes, has_next (go on before the last one's rev). An unknown name has no changes.
 */
VM_MUST_CHECK enum store_status store_tag_history(struct store *store,
                                                  const struct store_tag_name *name,
                                                  int64_t before, unsigned limit,
                                                  store_done_fn *done, void *arg);

/* ---- models ---- */

#define STORE_FORMAT_MAX 32

struct store_model_put {
	const char *name;     /* like a part of a tag's name */
	struct digest digest; /* of bytes; checked */
	const uint8_t *bytes; /* borrowed until done is called */
	size_t size_bytes;
	const char *format; /* copied */
	const char *info;   /* JSON object; copied */
	struct store_condition condition;
};

/*
 * Keep a model under a name, in the place of the one that has it. Bytes are shared by all that have
 * the same digest, and gone with the last.
 *
 * Reply: created, models[0]
 * Status: STORE_E_CONFLICT (models[0] as it stands, if it exists), STORE_E_FULL, STORE_E_ARGUMENT
 */
VM_MUST_CHECK enum store_status store_model_put(struct store *store,
                                                const struct store_model_put *put,
                                                store_done_fn *done, void *arg);
/*
 * Reply: models[0]; with want_bytes: bytes, size_bytes (verified)
 * Status: STORE_E_NOT_FOUND; STORE_E_DAMAGED with models[0] as far as known
 */
VM_MUST_CHECK enum store_status store_model_get(struct store *store, const char *name,
                                                bool want_bytes, store_done_fn *done, void *arg);
/* In the order of names, after one (NULL: from the start). Reply: models, has_next */
VM_MUST_CHECK enum store_status store_model_list(struct store *store, const char *after,
                                                 unsigned limit, store_done_fn *done, void *arg);
/* Reply: models[0] as it was. Status: STORE_E_NOT_FOUND, STORE_E_CONFLICT */
VM_MUST_CHECK enum store_status store_model_delete(struct store *store, const char *name,
                                                   const struct store_condition *condition,
                                                   store_done_fn *done, void *arg);

/* ---- asynchronous invocations ---- */

struct store_invocation_new {
	const char *id; /* 1..STORE_ID_MAX bytes of [A-Za-z0-9_-] */
	const char *token; /* may be NULL */
	struct digest digest;
	const char *function; /* NULL for a command */
	const char *state;    /* "queued" */
	const char *spec;     /* JSON text */
};

/*
 * Everything is copied. Reply: invocations[0].
 * Status: STORE_E_CONFLICT (the id is taken), STORE_E_FULL
 */
VM_MUST_CHECK enum store_status store_invocation_add(struct store *store,
                                                     const struct store_invocation_new *invocation,
                                                     store_done_fn *done, void *arg);

/*
 * Move to another state. result (JSON text; may be NULL) replaces what was there; finished sets
 * done_us, after which the row does not change any more.
 *
 * Status: STORE_E_NOT_FOUND, STORE_E_CONFLICT (already finished; invocations[0] tells how)
 */
VM_MUST_CHECK enum store_status store_invocation_update(struct store *store, const char *id,
                                                        const char *state, const char *result,
                                                        bool finished, store_done_fn *done,
                                                        void *arg);

/* Reply: invocations[0]. Status: STORE_E_NOT_FOUND */
VM_MUST_CHECK enum store_status store_invocation_get(struct store *store, const char *id,
                                                     store_done_fn *done, void *arg);

/* All filters must hold; NULL: no filter. Copied. */
struct store_invocation_query {
	unsigned limit; /* 1..STORE_LIST_MAX */
	struct store_cursor cursor;
	const char *state;
	const char *token;
	const struct digest *digest;
};

/* Reply: invocations without spec and result (both NULL), has_next, next */
VM_MUST_CHECK enum store_status store_invocation_list(struct store *store,
                                                      const struct store_invocation_query *query,
                                                      store_done_fn *done, void *arg);

/* Forget those that finished before done_before_us, at most 1000 a call. Reply: affected. */
VM_MUST_CHECK enum store_status store_invocation_prune(struct store *store,
                                                       int64_t done_before_us,
                                                       store_done_fn *done, void *arg);
