/*
 * storage.c - one open storage: a connection that writes and some that read.
 *
 * Whoever wants to write puts its change in a queue. The first to find nobody writing becomes the
 * writer: it takes what waits, its own change with it, into one transaction and commits it. The
 * others sleep until theirs is done, or until the writer has finished without it; the next of them
 * goes on. So there is no thread of our own, and under load one flush of the disk serves many.
 */
#include "plugins/storage/storage.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "plugins/storage/database.h"
#include "plugins/storage/path.h"

#define VALUE_BYTES_STANDARD ((size_t)16 * 1024 * 1024)
#define BUSY_MS_STANDARD 10000
#define READERS_KEPT 8
#define BATCH_MAX 256
#define BATCH_BYTES_MAX ((size_t)32 * 1024 * 1024)

/* A change that waits to be written; on the stack of who wants it. */
struct job {
	struct job *next;
	bool is_done;
	void (*run)(struct job *job, struct database *db, uint64_t *revision);
	const struct wasmedge_storage_name *name;
	const struct wasmedge_storage_value *value; /* NULL: delete */
	struct wasmedge_storage_condition condition;
	/* what came of it */
	enum wasmedge_storage_status status;
	struct wasmedge_storage_error err;
	struct wasmedge_storage_change change;
};

struct wasmedge_storage {
	char *path;
	pid_t pid; /* who opened it */
	size_t value_bytes_max;
	unsigned busy_ms;
	pthread_mutex_t lock; /* of all below, but the writer belongs to who set is_writing */
	pthread_cond_t written;
	bool is_writing;
	struct job *first;
	struct job **last;
	struct database writer;
	struct database *readers; /* idle ones */
	unsigned reader_count;    /* of these */
};

const char *
wasmedge_storage_status_text(enum wasmedge_storage_status status)
{
	switch (status) {
	case WASMEDGE_STORAGE_OK:
		return "success";
	case WASMEDGE_STORAGE_NOT_FOUND:
		return "not found";
	case WASMEDGE_STORAGE_CONFLICT:
		return "conflict";
	case WASMEDGE_STORAGE_ARGUMENT:
		return "not acceptable";
	case WASMEDGE_STORAGE_LIMIT:
		return "too large";
	case WASMEDGE_STORAGE_FULL:
		return "disk full";
	case WASMEDGE_STORAGE_BUSY:
		return "busy";
	case WASMEDGE_STORAGE_DAMAGED:
		return "no storage, or damaged";
	case WASMEDGE_STORAGE_IO:
		return "input/output error";
	case WASMEDGE_STORAGE_NOMEM:
		return "out of memory";
	}
	return "unknown status";
}

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- opening -------------------------------------------------------------------------------- */

/* Made here, because SQLite would let the group and others read it. */
static enum wasmedge_storage_status
make_file(const char *path, struct wasmedge_storage_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0)
		return wes_fail(err,
		                    errno == ENOSPC ? WASMEDGE_STORAGE_FULL : WASMEDGE_STORAGE_IO,
		                    "%s: cannot open it: %s", path, strerror(errno));
	close(fd);
	return WASMEDGE_STORAGE_OK;
}

static void
init_locks(struct wasmedge_storage *storage)
{
	pthread_mutex_init(&storage->lock, NULL);
	pthread_cond_init(&storage->written, NULL);
	storage->last = &storage->first;
}

enum wasmedge_storage_status
wasmedge_storage_open(const struct wasmedge_storage_options *options,
                      struct wasmedge_storage **out, struct wasmedge_storage_error *err)
{
	static const struct wasmedge_storage_options none;
	struct wasmedge_storage *storage = calloc(1, sizeof *storage);

	if (storage == NULL)
		return wes_fail(err, WASMEDGE_STORAGE_NOMEM, "out of memory");
	if (options == NULL)
		options = &none;
	init_locks(storage);
	storage->pid = getpid();
	storage->busy_ms = options->busy_ms != 0 ? options->busy_ms : BUSY_MS_STANDARD;
	storage->value_bytes_max =
	    options->value_bytes_max != 0 ? options->value_bytes_max : VALUE_BYTES_STANDARD;
	if (storage->value_bytes_max > WASMEDGE_STORAGE_VALUE_BYTES_MAX)
		storage->value_bytes_max = WASMEDGE_STORAGE_VALUE_BYTES_MAX;
	enum wasmedge_storage_status status = wes_find_path(options->path, &storage->path, err);
	if (status == WASMEDGE_STORAGE_OK)
		status = make_file(storage->path, err);
	if (status == WASMEDGE_STORAGE_OK)
		status = wes_db_open(&storage->writer, storage->path, storage->busy_ms, err);
	if (status != WASMEDGE_STORAGE_OK) {
		wasmedge_storage_close(storage);
		return status;
	}
	*out = storage;
	return WASMEDGE_STORAGE_OK;
}

static void
free_reader(struct database *reader)
{
	wes_db_close(reader);
	free(reader);
}

void
wasmedge_storage_close(struct wasmedge_storage *storage)
{
	if (storage == NULL)
		return;
	while (storage->readers != NULL) {
		struct database *reader = storage->readers;
		storage->readers = reader->next;
		free_reader(reader);
	}
	wes_db_close(&storage->writer);
	pthread_cond_destroy(&storage->written);
	pthread_mutex_destroy(&storage->lock);
	free(storage->path);
	free(storage);
}

const char *
wasmedge_storage_path(const struct wasmedge_storage *storage)
{
	return storage->path;
}

size_t
wasmedge_storage_value_bytes_max(const struct wasmedge_storage *storage)
{
	return storage->value_bytes_max;
}

/* --- names ---------------------------------------------------------------------------------- */

const char *
wasmedge_storage_key_text(struct wasmedge_storage_bytes key,
                          char out[WASMEDGE_STORAGE_KEY_TEXT_MAX])
{
	const unsigned char *bytes = key.data;
	bool is_text = true;
	size_t used = 0;

	for (size_t i = 0; i < key.len; i++)
		is_text = is_text && bytes[i] >= 0x20 && bytes[i] < 0x7f;
	if (is_text)
		out[used++] = '"';
	for (size_t i = 0; i < key.len; i++) {
		if (used + 6 > WASMEDGE_STORAGE_KEY_TEXT_MAX) {
			memcpy(out + used, "...", 3);
			used += 3;
			is_text = false;
			break;
		}
		if (is_text)
			out[used++] = (char)bytes[i];
		else
			used += (size_t)snprintf(out + used, 3, "%02x", bytes[i]);
	}
	if (is_text)
		out[used++] = '"';
	out[used] = '\0';
	return out;
}

static bool
is_ns(struct wasmedge_storage_bytes ns)
{
	const unsigned char *text = ns.data;

	if (ns.len == 0 || ns.len > WASMEDGE_STORAGE_NS_MAX)
		return false;
	for (size_t i = 0; i < ns.len; i++) {
		bool is_inside = i > 0 && i + 1 < ns.len;
		if (text[i] >= 0x80 ||
		    (!isalnum(text[i]) && !(is_inside && strchr("._-", text[i]) != NULL &&
		                            text[i] != '\0')))
			return false;
	}
	return true;
}

static bool
is_type(const char *type)
{
	size_t len = strnlen(type, WASMEDGE_STORAGE_TYPE_MAX + 1);

	if (len > WASMEDGE_STORAGE_TYPE_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (type[i] < 0x20 || type[i] > 0x7e)
			return false;
	return true;
}

/* What all calls look at first. */
static enum wasmedge_storage_status
check_call(const struct wasmedge_storage *storage, struct wasmedge_storage_bytes tenant,
           struct wasmedge_storage_bytes ns, struct wasmedge_storage_error *err)
{
	if (storage->pid != getpid())
		return wes_fail(err, WASMEDGE_STORAGE_IO,
		                    "%s: opened before fork(); open it anew in the child",
		                    storage->path);
	if (tenant.len > WASMEDGE_STORAGE_TENANT_MAX)
		return wes_fail(err, WASMEDGE_STORAGE_ARGUMENT,
		                    "the tenant has %zu bytes, at most %d are allowed", tenant.len,
		                    WASMEDGE_STORAGE_TENANT_MAX);
	if (!is_ns(ns))
		return wes_fail(err, WASMEDGE_STORAGE_ARGUMENT,
		                "a namespace has 1 to %d characters of A-Z, a-z, 0-9, '.', '_', "
		                "'-', and begins and ends with a letter or digit",
		                WASMEDGE_STORAGE_NS_MAX);
	return WASMEDGE_STORAGE_OK;
}

static enum wasmedge_storage_status
check_name(const struct wasmedge_storage *storage, const struct wasmedge_storage_name *name,
           struct wasmedge_storage_error *err)
{
	enum wasmedge_storage_status status = check_call(storage, name->tenant, name->ns, err);

	if (status == WASMEDGE_STORAGE_OK &&
	    (name->key.len == 0 || name->key.len > WASMEDGE_STORAGE_KEY_MAX))
		return wes_fail(err, WASMEDGE_STORAGE_ARGUMENT,
		                    "the key has %zu bytes; it needs 1 to %d", name->key.len,
		                    WASMEDGE_STORAGE_KEY_MAX);
	return status;
}

static enum wasmedge_storage_status
fail_absent(const struct wasmedge_storage_name *name, enum wasmedge_storage_status status,
            struct wasmedge_storage_error *err)
{
	char key[WASMEDGE_STORAGE_KEY_TEXT_MAX];

	return wes_fail(err, status, "there is no value under the key %s in namespace %.*s",
	                    wasmedge_storage_key_text(name->key, key), (int)name->ns.len,
	                    (const char *)name->ns.data);
}

/* --- entries -------------------------------------------------------------------------------- */

static int64_t
public_expiry(int64_t expires_us)
{
	return expires_us == INT64_MAX ? 0 : expires_us;
}

/* A row as an entry, in memory of its own. False: no memory, or the row is not as it should be. */
static bool
read_entry(sqlite3_stmt *row, bool with_value, struct wasmedge_storage_entry *out)
{
	const char *type = (const char *)sqlite3_column_text(row, COLUMN_TYPE);
	const void *key = sqlite3_column_blob(row, COLUMN_KEY);
	const void *value = with_value ? sqlite3_column_blob(row, COLUMN_VALUE) : NULL;
	const size_t key_len = (size_t)sqlite3_column_bytes(row, COLUMN_KEY);
	const size_t type_len = type != NULL ? strlen(type) : 0;
	const int64_t size = sqlite3_column_int64(row, COLUMN_SIZE);
	const size_t value_len = with_value ? (size_t)sqlite3_column_bytes(row, COLUMN_VALUE) : 0;

	if (key == NULL || size < 0 || (with_value && value_len != (size_t)size) ||
	    (value_len > 0 && value == NULL))
		return false;
	uint8_t *memory = malloc(value_len + key_len + type_len + 1);
	if (memory == NULL)
		return false;
	uint8_t *key_copy = memory + value_len;
	char *type_copy = (char *)key_copy + key_len;
	if (value_len > 0)
		memcpy(memory, value, value_len);
	memcpy(key_copy, key, key_len);
	memcpy(type_copy, type != NULL ? type : "", type_len + 1);
	*out = (struct wasmedge_storage_entry){
		.key = { key_copy, key_len },
		.value = { with_value ? memory : NULL, (size_t)size },
		.type = type_copy,
		.revision = (uint64_t)sqlite3_column_int64(row, COLUMN_REVISION),
		.updated_us = sqlite3_column_int64(row, COLUMN_UPDATED),
		.expires_us = public_expiry(sqlite3_column_int64(row, COLUMN_EXPIRES)),
		.memory = memory,
	};
	return true;
}

void
wasmedge_storage_entry_clear(struct wasmedge_storage_entry *entry)
{
	free(entry->memory);
	memset(entry, 0, sizeof *entry);
}

void
wasmedge_storage_list_clear(struct wasmedge_storage_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		wasmedge_storage_entry_clear(&list->entries[i]);
	free(list->entries);
	memset(list, 0, sizeof *list);
}

/* --- writing -------------------------------------------------------------------------------- */

/* The revision that is there; 0: nothing. */
static uint64_t
find_revision(struct job *job, struct database *db, int64_t now)
{
	const struct wasmedge_storage_name *name = job->name;
	sqlite3_stmt *row = wes_db_bind(db, STORAGE_SQL_HEAD, "bbbi", name->tenant, name->ns,
	                                  name->key, now);
	uint64_t revision = 0;

	if (wes_db_row(db, row)) {
		revision = (uint64_t)sqlite3_column_int64(row, COLUMN_REVISION);
		wes_db_end(row);
	}
	return revision;
}

/* Does what is there (0: nothing) fit the condition? Otherwise the job has its answer. */
static bool
check_condition(struct job *job, uint64_t revision)
{
	const struct wasmedge_storage_condition *condition = &job->condition;
	char key[WASMEDGE_STORAGE_KEY_TEXT_MAX];

	switch (condition->match) {
	case WASMEDGE_STORAGE_ANY:
		return true;
	case WASMEDGE_STORAGE_ABSENT:
		if (revision == 0)
			return true;
		break;
	case WASMEDGE_STORAGE_PRESENT:
		if (revision != 0)
			return true;
		break;
	case WASMEDGE_STORAGE_REVISION:
		if (revision != 0 && revision == condition->revision)
			return true;
		break;
	}
	if (revision == 0)
		job->status = fail_absent(job->name, WASMEDGE_STORAGE_CONFLICT, &job->err);
	else
		job->status =
		    wes_fail(&job->err, WASMEDGE_STORAGE_CONFLICT,
		                 "the key %s is at revision %llu",
		                 wasmedge_storage_key_text(job->name->key, key),
		                 (unsigned long long)revision);
	return false;
}

/* When a value that is written now goes. */
static int64_t
expiry_of(const struct wasmedge_storage_value *value, int64_t now)
{
	const uint64_t ms_max = (uint64_t)(INT64_MAX - 1 - now) / 1000;

	if (value->ttl_ms == 0)
		return INT64_MAX;
	return now + (int64_t)(value->ttl_ms < ms_max ? value->ttl_ms : ms_max) * 1000;
}

static void
run_put(struct job *job, struct database *db, uint64_t *revision)
{
	const struct wasmedge_storage_name *name = job->name;
	const struct wasmedge_storage_value *value = job->value;
	const int64_t now = now_us();
	const uint64_t found = find_revision(job, db, now);

	if (wes_db_failed(db) || !check_condition(job, found))
		return;
	const int64_t expires_us = expiry_of(value, now);
	wes_db_finish(db, wes_db_bind(db, STORAGE_SQL_PUT, "bbbiiitb", name->tenant, name->ns,
	                                  name->key, (int64_t)++*revision, now, expires_us,
	                                  value->type, value->bytes));
	job->change = (struct wasmedge_storage_change){
		.revision = *revision,
		.created = found == 0,
		.updated_us = now,
		.expires_us = public_expiry(expires_us),
	};
}

static void
run_delete(struct job *job, struct database *db, uint64_t *revision)
{
	const struct wasmedge_storage_name *name = job->name;
	const uint64_t found = find_revision(job, db, now_us());

	(void)revision;
	if (wes_db_failed(db) || !check_condition(job, found))
		return;
	if (found == 0)
		job->status = fail_absent(name, WASMEDGE_STORAGE_NOT_FOUND, &job->err);
	else
		wes_db_finish(db, wes_db_bind(db, STORAGE_SQL_DELETE, "bbb", name->tenant,
		                                  name->ns, name->key));
}

static bool
run_plain(struct database *db, enum storage_sql sql)
{
	return wes_db_finish(db, wes_db_bind(db, sql, ""));
}

static uint64_t
last_revision(struct database *db)
{
	sqlite3_stmt *row = wes_db_bind(db, STORAGE_SQL_REVISION_GET, "");
	uint64_t revision = 0;

	if (wes_db_row(db, row)) {
		revision = (uint64_t)sqlite3_column_int64(row, 0);
		wes_db_end(row);
	}
	return revision;
}

/* All of them in one transaction; what has expired goes with it. False, undone, on a failure. */
static bool
write_together(struct database *db, struct job *jobs)
{
	wes_db_clear_failure(db);
	if (!run_plain(db, STORAGE_SQL_BEGIN))
		return false;
	const uint64_t before = last_revision(db);
	uint64_t revision = before;
	for (struct job *job = jobs; job != NULL && !wes_db_failed(db); job = job->next) {
		job->status = WASMEDGE_STORAGE_OK;
		job->run(job, db, &revision);
	}
	wes_db_finish(db, wes_db_bind(db, STORAGE_SQL_SWEEP, "i", now_us()));
	if (revision != before)
		wes_db_finish(
		    db, wes_db_bind(db, STORAGE_SQL_REVISION_SET, "i", (int64_t)revision));
	if (!wes_db_failed(db) && run_plain(db, STORAGE_SQL_COMMIT))
		return true;
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

/* When they do not go together, each has its own success or failure. */
static void
write_jobs(struct database *db, struct job *jobs)
{
	if (write_together(db, jobs))
		return;
	for (struct job *job = jobs; job != NULL;) {
		struct job *next = job->next;
		job->next = NULL;
		if ((job == jobs && next == NULL) || !write_together(db, job))
			job->status = wes_db_error(db, "cannot write", &job->err);
		job->next = next;
		job = next;
	}
}

/* Some of those that wait, the oldest first. The lock is held. */
static struct job *
take_jobs(struct wasmedge_storage *storage)
{
	struct job *jobs = storage->first;
	struct job **end = &storage->first;
	size_t bytes = 0;

	for (unsigned count = 0; *end != NULL && count < BATCH_MAX; count++) {
		bytes += (*end)->value != NULL ? (*end)->value->bytes.len : 0;
		if (count > 0 && bytes > BATCH_BYTES_MAX)
			break;
		end = &(*end)->next;
	}
	storage->first = *end;
	*end = NULL;
	if (storage->first == NULL)
		storage->last = &storage->first;
	return jobs;
}

/* A job that is done may be gone as soon as the lock is released. */
static void
mark_done(struct job *jobs)
{
	while (jobs != NULL) {
		struct job *next = jobs->next;
		jobs->is_done = true;
		jobs = next;
	}
}

static enum wasmedge_storage_status
write_job(struct wasmedge_storage *storage, struct job *job, struct wasmedge_storage_error *err)
{
	pthread_mutex_lock(&storage->lock);
	*storage->last = job;
	storage->last = &job->next;
	while (!job->is_done) {
		if (storage->is_writing) {
			pthread_cond_wait(&storage->written, &storage->lock);
			continue;
		}
		storage->is_writing = true;
		struct job *jobs = take_jobs(storage);
		pthread_mutex_unlock(&storage->lock);
		write_jobs(&storage->writer, jobs);
		pthread_mutex_lock(&storage->lock);
		mark_done(jobs);
		storage->is_writing = false;
		pthread_cond_broadcast(&storage->written);
	}
	pthread_mutex_unlock(&storage->lock);
	if (job->status != WASMEDGE_STORAGE_OK && err != NULL)
		*err = job->err;
	return job->status;
}

enum wasmedge_storage_status
wasmedge_storage_put(struct wasmedge_storage *storage, const struct wasmedge_storage_name *name,
                     const struct wasmedge_storage_value *value,
                     const struct wasmedge_storage_condition *condition,
                     struct wasmedge_storage_change *out_change,
                     struct wasmedge_storage_error *err)
{
	struct job job = { .run = run_put, .name = name, .value = value };
	enum wasmedge_storage_status status = check_name(storage, name, err);

	if (status != WASMEDGE_STORAGE_OK)
		return status;
	if (value->bytes.len > storage->value_bytes_max)
		return wes_fail(err, WASMEDGE_STORAGE_LIMIT,
		                    "the value has %zu bytes, at most %zu are allowed",
		                    value->bytes.len, storage->value_bytes_max);
	if (value->type != NULL && !is_type(value->type))
		return wes_fail(err, WASMEDGE_STORAGE_ARGUMENT,
		                    "the type has to be at most %d characters of visible ASCII",
		                    WASMEDGE_STORAGE_TYPE_MAX);
	if (condition != NULL)
		job.condition = *condition;
	status = write_job(storage, &job, err);
	if (status == WASMEDGE_STORAGE_OK && out_change != NULL)
		*out_change = job.change;
	return status;
}

enum wasmedge_storage_status
wasmedge_storage_delete(struct wasmedge_storage *storage, const struct wasmedge_storage_name *name,
                        const struct wasmedge_storage_condition *condition,
                        struct wasmedge_storage_error *err)
{
	struct job job = { .run = run_delete, .name = name };
	enum wasmedge_storage_status status = check_name(storage, name, err);

	if (status != WASMEDGE_STORAGE_OK)
		return status;
	if (condition != NULL)
		job.condition = *condition;
	return write_job(storage, &job, err);
}

/* --- reading -------------------------------------------------------------------------------- */

/* A connection of one's own for a while: an idle one, or a new one. NULL with *err filled. */
static struct database *
take_reader(struct wasmedge_storage *storage, struct wasmedge_storage_error *err)
{
	pthread_mutex_lock(&storage->lock);
	struct database *reader = storage->readers;
	if (reader != NULL) {
		storage->readers = reader->next;
		storage->reader_count--;
	}
	pthread_mutex_unlock(&storage->lock);
	if (reader != NULL)
		return reader;
	reader = malloc(sizeof *reader);
	if (reader == NULL) {
		wes_fail(err, WASMEDGE_STORAGE_NOMEM, "out of memory");
		return NULL;
	}
	if (wes_db_open(reader, storage->path, storage->busy_ms, err) == WASMEDGE_STORAGE_OK)
		return reader;
	free_reader(reader);
	return NULL;
}

static void
give_reader(struct wasmedge_storage *storage, struct database *reader)
{
	const bool has_failed = wes_db_failed(reader);

	pthread_mutex_lock(&storage->lock);
	const bool is_kept = !has_failed && storage->reader_count < READERS_KEPT;
	if (is_kept) {
		reader->next = storage->readers;
		storage->readers = reader;
		storage->reader_count++;
	}
	pthread_mutex_unlock(&storage->lock);
	if (!is_kept)
		free_reader(reader);
}

static enum wasmedge_storage_status
read_one(struct database *db, const struct wasmedge_storage_name *name, bool with_value,
         struct wasmedge_storage_entry *out, struct wasmedge_storage_error *err)
{
	sqlite3_stmt *row = wes_db_bind(db, with_value ? STORAGE_SQL_GET : STORAGE_SQL_HEAD,
	                                  "bbbi", name->tenant, name->ns, name->key, now_us());

	if (!wes_db_row(db, row))
		return wes_db_failed(db)
		           ? wes_db_error(db, "cannot read", err)
		           : fail_absent(name, WASMEDGE_STORAGE_NOT_FOUND, err);
	const bool is_read = read_entry(row, with_value, out);
	wes_db_end(row);
	return is_read ? WASMEDGE_STORAGE_OK
	               : wes_fail(err, WASMEDGE_STORAGE_NOMEM, "out of memory for the value");
}

static enum wasmedge_storage_status
get(struct wasmedge_storage *storage, const struct wasmedge_storage_name *name, bool with_value,
    struct wasmedge_storage_entry *out, struct wasmedge_storage_error *err)
{
	enum wasmedge_storage_status status = check_name(storage, name, err);

	if (status != WASMEDGE_STORAGE_OK)
		return status;
	struct wasmedge_storage_error why = { WASMEDGE_STORAGE_IO, "" };
	struct database *reader = take_reader(storage, &why);
	if (reader == NULL) {
		if (err != NULL)
			*err = why;
		return why.status;
	}
	status = read_one(reader, name, with_value, out, err);
	give_reader(storage, reader);
	return status;
}

enum wasmedge_storage_status
wasmedge_storage_get(struct wasmedge_storage *storage, const struct wasmedge_storage_name *name,
                     struct wasmedge_storage_entry *out, struct wasmedge_storage_error *err)
{
	return get(storage, name, true, out, err);
}

enum wasmedge_storage_status
wasmedge_storage_head(struct wasmedge_storage *storage, const struct wasmedge_storage_name *name,
                      struct wasmedge_storage_entry *out, struct wasmedge_storage_error *err)
{
	return get(storage, name, false, out, err);
}

/* --- lists ---------------------------------------------------------------------------------- */

/* The keys of a list: those from low, and below high, which has one byte more than any key. */
struct range {
	uint8_t low[WASMEDGE_STORAGE_KEY_MAX + 1];
	uint8_t high[WASMEDGE_STORAGE_KEY_MAX + 1];
	size_t low_len;
	size_t high_len;
};

static int
compare(struct wasmedge_storage_bytes a, struct wasmedge_storage_bytes b)
{
	const size_t len = a.len < b.len ? a.len : b.len;
	const int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static void
set_range(const struct wasmedge_storage_query *query, struct range *out)
{
	const struct wasmedge_storage_bytes prefix = query->prefix;
	const struct wasmedge_storage_bytes after = query->after;
	const bool goes_on = after.len > 0 && compare(after, prefix) >= 0;
	const struct wasmedge_storage_bytes low = goes_on ? after : prefix;

	/* The first key behind another is that one and a zero byte. */
	out->low_len = low.len + goes_on;
	if (low.len > 0)
		memcpy(out->low, low.data, low.len);
	out->low[low.len] = 0;

	/* The first one behind a prefix: its last byte that is not 0xff, one higher. */
	out->high_len = prefix.len;
	if (prefix.len > 0)
		memcpy(out->high, prefix.data, prefix.len);
	while (out->high_len > 0 && out->high[out->high_len - 1] == 0xff)
		out->high_len--;
	if (out->high_len > 0) {
		out->high[out->high_len - 1]++;
	} else {
		out->high_len = sizeof out->high;
		memset(out->high, 0xff, sizeof out->high);
	}
}

static enum wasmedge_storage_status
check_query(const struct wasmedge_storage *storage, const struct wasmedge_storage_query *query,
            struct wasmedge_storage_error *err)
{
	enum wasmedge_storage_status status = check_call(storage, query->tenant, query->ns, err);

	if (status != WASMEDGE_STORAGE_OK)
		return status;
	if (query->prefix.len > WASMEDGE_STORAGE_KEY_MAX ||
	    query->after.len > WASMEDGE_STORAGE_KEY_MAX)
		return wes_fail(err, WASMEDGE_STORAGE_ARGUMENT,
		                    "a prefix has at most %d bytes, as keys have",
		                    WASMEDGE_STORAGE_KEY_MAX);
	if (query->limit < 1 || query->limit > WASMEDGE_STORAGE_LIST_MAX)
		return wes_fail(err, WASMEDGE_STORAGE_ARGUMENT,
		                    "a list has a limit of 1 to %d entries",
		                    WASMEDGE_STORAGE_LIST_MAX);
	return WASMEDGE_STORAGE_OK;
}

static enum wasmedge_storage_status
read_list(struct database *db, const struct wasmedge_storage_query *query,
          struct wasmedge_storage_list *list, struct wasmedge_storage_error *err)
{
	struct range range;

	set_range(query, &range);
	list->entries = calloc(query->limit, sizeof *list->entries);
	if (list->entries == NULL)
		return wes_fail(err, WASMEDGE_STORAGE_NOMEM, "out of memory for the list");
	sqlite3_stmt *row = wes_db_bind(
	    db, STORAGE_SQL_LIST, "bbbibi", query->tenant, query->ns,
	    (struct wasmedge_storage_bytes){ range.low, range.low_len }, now_us(),
	    (struct wasmedge_storage_bytes){ range.high, range.high_len },
	    (int64_t)query->limit + 1);
	while (!list->has_more && wes_db_row(db, row)) {
		if (list->count == query->limit) {
			list->has_more = true;
		} else if (!read_entry(row, false, &list->entries[list->count++])) {
			list->count--;
			wes_db_end(row);
			return wes_fail(err, WASMEDGE_STORAGE_NOMEM,
			                    "out of memory for the list");
		}
	}
	if (list->has_more)
		wes_db_end(row);
	return wes_db_failed(db) ? wes_db_error(db, "cannot list", err) : WASMEDGE_STORAGE_OK;
}

enum wasmedge_storage_status
wasmedge_storage_list(struct wasmedge_storage *storage, const struct wasmedge_storage_query *query,
                      struct wasmedge_storage_list *out, struct wasmedge_storage_error *err)
{
	struct wasmedge_storage_list list = { 0 };
	enum wasmedge_storage_status status = check_query(storage, query, err);

	if (status != WASMEDGE_STORAGE_OK)
		return status;
	struct wasmedge_storage_error why = { WASMEDGE_STORAGE_IO, "" };
	struct database *reader = take_reader(storage, &why);
	if (reader == NULL) {
		if (err != NULL)
			*err = why;
		return why.status;
	}
	status = read_list(reader, query, &list, err);
	give_reader(storage, reader);
	if (status == WASMEDGE_STORAGE_OK)
		*out = list;
	else
		wasmedge_storage_list_clear(&list);
	return status;
}
