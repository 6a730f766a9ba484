/*
 * storage.h - values under keys, in one SQLite file that threads and processes share.
 *
 * A value lives under (tenant, namespace, key). Every change gives it a new revision, a number
 * that never comes again in this file, so that "change it only if it is still as I saw it" is one
 * call. A value may have a type (a media type, say) and a time after which it is gone.
 *
 * What put and delete have acknowledged survives a crash and a power cut. Any number of threads may
 * use one open storage and any number of processes the file: readers never wait for writers,
 * writers wait for one another, and writes of several threads that wait go to the disk together. An
 * open storage does not pass to a child process by fork(): calls there fail, open it anew.
 *
 *     struct wasmedge_storage *storage;
 *     struct wasmedge_storage_error err;
 *     struct wasmedge_storage_name name = { .ns = { "app", 3 }, .key = { "greeting", 8 } };
 *     struct wasmedge_storage_value value = { .bytes = { "hello", 5 } };
 *
 *     if (wasmedge_storage_open(NULL, &storage, &err) != WASMEDGE_STORAGE_OK ||
 *         wasmedge_storage_put(storage, &name, &value, NULL, NULL, &err) != WASMEDGE_STORAGE_OK)
 *             fprintf(stderr, "%s\n", err.message);
 *     wasmedge_storage_close(storage);
 *
 * Every fallible function returns a status, leaves its outputs as they were when it is not
 * WASMEDGE_STORAGE_OK, and says in *err (which may be NULL) what happened and what to do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum wasmedge_storage_status {
	WASMEDGE_STORAGE_OK,
	WASMEDGE_STORAGE_NOT_FOUND, /* no value there, or it has expired */
	WASMEDGE_STORAGE_CONFLICT,  /* the condition does not hold */
	WASMEDGE_STORAGE_ARGUMENT,  /* a name, type or path that cannot be */
	WASMEDGE_STORAGE_LIMIT,     /* the value is larger than value_bytes_max */
	WASMEDGE_STORAGE_FULL,      /* no room on the disk */
	WASMEDGE_STORAGE_BUSY,      /* another process held the file for longer than busy_ms */
	WASMEDGE_STORAGE_DAMAGED,   /* the file is no storage, of a newer version, or damaged */
	WASMEDGE_STORAGE_IO,
	WASMEDGE_STORAGE_NOMEM,
};

/* "not found", ... */
const char *wasmedge_storage_status_text(enum wasmedge_storage_status status);

#define WASMEDGE_STORAGE_MESSAGE_MAX 320

struct wasmedge_storage_error {
	enum wasmedge_storage_status status;
	char message[WASMEDGE_STORAGE_MESSAGE_MAX];
};

/* --- opening -------------------------------------------------------------------------------- */

#define WASMEDGE_STORAGE_VALUE_BYTES_MAX ((size_t)512 * 1024 * 1024) /* whatever is asked for */

struct wasmedge_storage_options {
	/*
	 * The file, which is made when there is none, readable by its owner only; for a folder,
	 * storage.db in it. NULL or "": $STORAGE_INTERFACE_DB_PATH; else wasmedge/storage.db in
	 * $XDG_STATE_HOME or ~/.local/state, whose folders are made.
	 */
	const char *path;
	size_t value_bytes_max; /* of one value; 0: 16 MiB */
	unsigned busy_ms;       /* how long to wait for other processes; 0: 10000 */
};

struct wasmedge_storage;

/* options may be NULL. */
enum wasmedge_storage_status wasmedge_storage_open(const struct wasmedge_storage_options *options,
                                                   struct wasmedge_storage **out,
                                                   struct wasmedge_storage_error *err);
/* When no call is under way any more. NULL is fine. */
void wasmedge_storage_close(struct wasmedge_storage *storage);

/* Path of the file; lives as long as the storage. */
const char *wasmedge_storage_path(const struct wasmedge_storage *storage);
size_t wasmedge_storage_value_bytes_max(const struct wasmedge_storage *storage);

/* --- names ---------------------------------------------------------------------------------- */

#define WASMEDGE_STORAGE_TENANT_MAX 255 /* bytes, any */
#define WASMEDGE_STORAGE_NS_MAX 64      /* of A-Z a-z 0-9 . _ -, first and last no sign */
#define WASMEDGE_STORAGE_KEY_MAX 512    /* bytes, any, at least one */
#define WASMEDGE_STORAGE_TYPE_MAX 255   /* visible ASCII and blanks */

struct wasmedge_storage_bytes {
	const void *data;
	size_t len;
};

struct wasmedge_storage_name {
	struct wasmedge_storage_bytes tenant; /* whose; empty where there is only one */
	struct wasmedge_storage_bytes ns;
	struct wasmedge_storage_bytes key;
};

/* Values that guests store by the functions wasmedge_storage_... are in this namespace. */
#define WASMEDGE_STORAGE_GUEST_NS "storage"

/* A key for people: in quotes when it is printable text, otherwise in hexadecimal; cut to fit. */
#define WASMEDGE_STORAGE_KEY_TEXT_MAX 140
const char *wasmedge_storage_key_text(struct wasmedge_storage_bytes key,
                                      char out[WASMEDGE_STORAGE_KEY_TEXT_MAX]);

/* --- writing -------------------------------------------------------------------------------- */

struct wasmedge_storage_value {
	struct wasmedge_storage_bytes bytes; /* may be empty */
	const char *type;                    /* kept with it; NULL: none */
	uint64_t ttl_ms;                     /* gone after that time; 0: never */
};

enum wasmedge_storage_match {
	WASMEDGE_STORAGE_ANY,      /* whatever is there */
	WASMEDGE_STORAGE_ABSENT,   /* only when nothing is there */
	WASMEDGE_STORAGE_PRESENT,  /* only when something is there */
	WASMEDGE_STORAGE_REVISION, /* only when this very revision is there */
};

struct wasmedge_storage_condition {
	enum wasmedge_storage_match match;
	uint64_t revision; /* of WASMEDGE_STORAGE_REVISION */
};

struct wasmedge_storage_change {
	uint64_t revision;
	bool created;       /* there was nothing before */
	int64_t updated_us; /* microseconds since 1970 */
	int64_t expires_us; /* the same; 0: never */
};

/* Store a value in the place of what is there. condition NULL: any. *out_change may be NULL. */
enum wasmedge_storage_status wasmedge_storage_put(
    struct wasmedge_storage *storage, const struct wasmedge_storage_name *name,
    const struct wasmedge_storage_value *value, const struct wasmedge_storage_condition *condition,
    struct wasmedge_storage_change *out_change, struct wasmedge_storage_error *err);

/* WASMEDGE_STORAGE_NOT_FOUND, or with a condition for something WASMEDGE_STORAGE_CONFLICT, when
 * nothing is there. */
enum wasmedge_storage_status wasmedge_storage_delete(
    struct wasmedge_storage *storage, const struct wasmedge_storage_name *name,
    const struct wasmedge_storage_condition *condition, struct wasmedge_storage_error *err);

/* --- reading -------------------------------------------------------------------------------- */

struct wasmedge_storage_entry {
	struct wasmedge_storage_bytes key;
	struct wasmedge_storage_bytes value; /* data is NULL where only its length was asked for */
	const char *type;                    /* "" for none */
	uint64_t revision;
	int64_t updated_us;
	int64_t expires_us; /* 0: never */
	void *memory;       /* of all that; the library's own */
};

/* The entry is to be cleared. head gives all but the value's bytes. */
enum wasmedge_storage_status wasmedge_storage_get(struct wasmedge_storage *storage,
                                                  const struct wasmedge_storage_name *name,
                                                  struct wasmedge_storage_entry *out,
                                                  struct wasmedge_storage_error *err);
enum wasmedge_storage_status wasmedge_storage_head(struct wasmedge_storage *storage,
                                                   const struct wasmedge_storage_name *name,
                                                   struct wasmedge_storage_entry *out,
                                                   struct wasmedge_storage_error *err);
/* An empty one (zero bytes) is fine; it is empty then. */
void wasmedge_storage_entry_clear(struct wasmedge_storage_entry *entry);

#define WASMEDGE_STORAGE_LIST_MAX 1000

struct wasmedge_storage_query {
	struct wasmedge_storage_bytes tenant;
	struct wasmedge_storage_bytes ns;
	struct wasmedge_storage_bytes prefix; /* that keys begin with; may be empty */
	struct wasmedge_storage_bytes after;  /* only keys behind this one; empty: from the first */
	unsigned limit;                       /* 1 to WASMEDGE_STORAGE_LIST_MAX */
};

struct wasmedge_storage_list {
	struct wasmedge_storage_entry *entries; /* without values, in the order of keys' bytes */
	size_t count;
	bool has_more; /* go on with the last key as `after` */
};

/* A namespace without values is an empty list. To be cleared. */
enum wasmedge_storage_status wasmedge_storage_list(struct wasmedge_storage *storage,
                                                   const struct wasmedge_storage_query *query,
                                                   struct wasmedge_storage_list *out,
                                                   struct wasmedge_storage_error *err);
void wasmedge_storage_list_clear(struct wasmedge_storage_list *list);

#ifdef __cplusplus
}
#endif
