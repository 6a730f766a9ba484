#include "plugins/storage/database.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define APPLICATION_ID 0x77656b76 /* "wekv", in the file's header */
#define SCHEMA_VERSION 1
#define NAP_MS_MAX 5 /* how long a writer sleeps before it looks again */

/*
 * `value` comes last: what a list wants is then found without reading values. Nothing expires in
 * the year 294247, so that one comparison settles it.
 */
static const char schema[] =
    "CREATE TABLE entry (id INTEGER PRIMARY KEY, tenant BLOB NOT NULL, ns BLOB NOT NULL, "
    "key BLOB NOT NULL, rev INTEGER NOT NULL, updated_us INTEGER NOT NULL, "
    "expires_us INTEGER NOT NULL, type TEXT, value BLOB NOT NULL, "
    "UNIQUE (tenant, ns, key)) STRICT;"
    "CREATE INDEX entry_expires ON entry (expires_us) WHERE expires_us < 9223372036854775807;"
    "CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), rev INTEGER NOT NULL) STRICT;"
    "INSERT INTO counter VALUES (1, 0);"
    "PRAGMA application_id = 2003135350;"
    "PRAGMA user_version = 1;";

static const char *const texts[STORAGE_SQL_COUNT] = {
#define SQL(symbol, text) [STORAGE_SQL_##symbol] = text,
	STORAGE_STATEMENTS(SQL)
#undef SQL
};

enum wasmedge_storage_status
wes_fail(struct wasmedge_storage_error *err, enum wasmedge_storage_status status,
             const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return status;
	err->status = status;
	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	return status;
}

/* --- failures ------------------------------------------------------------------------------- */

bool
wes_db_failed(const struct database *db)
{
	return db->rc != SQLITE_OK;
}

void
wes_db_clear_failure(struct database *db)
{
	db->rc = SQLITE_OK;
	db->os_errno = 0;
	db->text[0] = '\0';
}

/* Keep the first failure. Returns whether rc is none. */
static bool
note(struct database *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	if (db->rc == SQLITE_OK) {
		db->rc = rc;
		db->os_errno = db->handle != NULL ? sqlite3_system_errno(db->handle) : 0;
		snprintf(db->text, sizeof db->text, "%s",
		         db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
	}
	return false;
}

static enum wasmedge_storage_status
status_of(const struct database *db)
{
	switch (db->rc & 0xff) {
	case SQLITE_FULL:
		return WASMEDGE_STORAGE_FULL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return WASMEDGE_STORAGE_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return WASMEDGE_STORAGE_DAMAGED;
	case SQLITE_NOMEM:
		return WASMEDGE_STORAGE_NOMEM;
	case SQLITE_IOERR:
		if (db->rc == SQLITE_IOERR_NOMEM)
			return WASMEDGE_STORAGE_NOMEM;
		if (db->os_errno == ENOSPC || db->os_errno == EDQUOT || db->os_errno == EFBIG)
			return WASMEDGE_STORAGE_FULL;
		return WASMEDGE_STORAGE_IO;
	default:
		return WASMEDGE_STORAGE_IO;
	}
}

enum wasmedge_storage_status
wes_db_error(const struct database *db, const char *what, struct wasmedge_storage_error *err)
{
	enum wasmedge_storage_status status = status_of(db);

	switch (status) {
	case WASMEDGE_STORAGE_BUSY:
		return wes_fail(err, status,
		                "%s: another process has been writing for %u ms; try again", what,
		                db->busy_ms);
	case WASMEDGE_STORAGE_FULL:
		return wes_fail(err, status, "%s: the disk is full", what);
	case WASMEDGE_STORAGE_OK:
	case WASMEDGE_STORAGE_NOT_FOUND:
	case WASMEDGE_STORAGE_CONFLICT:
	case WASMEDGE_STORAGE_ARGUMENT:
	case WASMEDGE_STORAGE_LIMIT:
	case WASMEDGE_STORAGE_DAMAGED:
	case WASMEDGE_STORAGE_IO:
	case WASMEDGE_STORAGE_NOMEM:
		break;
	}
	return wes_fail(err, status, "%s: %s%s%s", what, db->text,
	                    db->os_errno != 0 ? ": " : "",
	                    db->os_errno != 0 ? strerror(db->os_errno) : "");
}

/* --- waiting for other processes ------------------------------------------------------------ */

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
nap(unsigned ms)
{
	struct timespec time = { 0, (long)ms * 1000000 };

	nanosleep(&time, NULL);
}

/* SQLite's own handler sleeps up to 100 ms; a transaction of ours takes a few. */
static int
on_busy(void *env, int count)
{
	struct database *db = env;

	if (count == 0)
		db->waiting_since_ms = now_ms();
	else if (now_ms() - db->waiting_since_ms >= db->busy_ms)
		return 0;
	nap(count < NAP_MS_MAX ? (unsigned)count + 1 : NAP_MS_MAX);
	return 1;
}

/* --- opening -------------------------------------------------------------------------------- */

static bool
execute(struct database *db, const char *text)
{
	return !wes_db_failed(db) &&
	       note(db, sqlite3_exec(db->handle, text, NULL, NULL, NULL));
}

/* First column of the first row of a query as a number; 0 without one. */
static int64_t
query_int(struct database *db, const char *text)
{
	sqlite3_stmt *statement = NULL;
	int64_t value = 0;

	if (wes_db_failed(db) ||
	    !note(db, sqlite3_prepare_v2(db->handle, text, -1, &statement, NULL)))
		return 0;
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	note(db, rc);
	sqlite3_finalize(statement);
	return value;
}

/*
 * Processes that open a new file at the same time are in each other's way when the journal is
 * chosen, without SQLite waiting for it.
 */
static bool
choose_journal(struct database *db)
{
	const uint64_t since_ms = now_ms();

	for (;;) {
		if (execute(db, "PRAGMA journal_mode = WAL;"))
			return true;
		if ((db->rc & 0xff) != SQLITE_BUSY || now_ms() - since_ms >= db->busy_ms)
			return false;
		wes_db_clear_failure(db);
		nap(NAP_MS_MAX);
	}
}

static bool
has_wal(struct database *db)
{
	return query_int(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode") == 1;
}

static enum wasmedge_storage_status
check_identity(struct database *db, const char *path, struct wasmedge_storage_error *err)
{
	int64_t application = query_int(db, "PRAGMA application_id");
	int64_t version = query_int(db, "PRAGMA user_version");

	if (wes_db_failed(db))
		return wes_db_error(db, path, err);
	if (application != APPLICATION_ID)
		return wes_fail(err, WASMEDGE_STORAGE_DAMAGED,
		                "%s: this is no storage but another database; give another path",
		                path);
	if (version != SCHEMA_VERSION)
		return wes_fail(err, WASMEDGE_STORAGE_DAMAGED,
		                "%s: written by a newer version (schema %lld, expected %d)", path,
		                (long long)version, SCHEMA_VERSION);
	return WASMEDGE_STORAGE_OK;
}

static bool
is_empty(struct database *db)
{
	return query_int(db, "SELECT count(*) FROM sqlite_schema") == 0 &&
	       query_int(db, "PRAGMA application_id") == 0;
}

/* Of several processes the first makes it, the others find it made. */
static void
make_schema(struct database *db)
{
	if (!execute(db, "BEGIN IMMEDIATE"))
		return;
	if (is_empty(db))
		execute(db, schema);
	if (execute(db, "COMMIT"))
		return;
	sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

enum wasmedge_storage_status
wes_db_open(struct database *db, const char *path, unsigned busy_ms,
              struct wasmedge_storage_error *err)
{
	memset(db, 0, sizeof *db);
	db->busy_ms = busy_ms;
	int rc =
	    sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (db->handle != NULL) {
		sqlite3_extended_result_codes(db->handle, 1);
		sqlite3_busy_handler(db->handle, on_busy, db);
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	}
	note(db, rc);
	execute(db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
	            "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cache_size = -2048;"
	            "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
	            "PRAGMA journal_size_limit = 16777216;");
	if (is_empty(db) && choose_journal(db))
		make_schema(db);
	enum wasmedge_storage_status status = check_identity(db, path, err);
	if (status != WASMEDGE_STORAGE_OK)
		return status;
	if (!has_wal(db))
		return wes_fail(err, WASMEDGE_STORAGE_IO,
		                "%s: this file system cannot hold a write-ahead log; give a path "
		                "on a local disk",
		                path);
	return wes_db_failed(db) ? wes_db_error(db, path, err) : WASMEDGE_STORAGE_OK;
}

void
wes_db_close(struct database *db)
{
	for (size_t i = 0; i < STORAGE_SQL_COUNT; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->handle);
	memset(db, 0, sizeof *db);
}

/* --- statements ----------------------------------------------------------------------------- */

static sqlite3_stmt *
statement_of(struct database *db, enum storage_sql sql)
{
	if (db->statements[sql] == NULL && !wes_db_failed(db))
		note(db, sqlite3_prepare_v3(db->handle, texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
		                            &db->statements[sql], NULL));
	return wes_db_failed(db) ? NULL : db->statements[sql];
}

static int
bind_bytes(sqlite3_stmt *statement, int index, struct wasmedge_storage_bytes bytes)
{
	/* A NULL pointer would be a null, and no bytes are a value. */
	return sqlite3_bind_blob64(statement, index, bytes.len > 0 ? bytes.data : "", bytes.len,
	                           SQLITE_STATIC);
}

static int
bind_next(sqlite3_stmt *statement, int index, char kind, va_list *args)
{
	switch (kind) {
	case 'i':
		return sqlite3_bind_int64(statement, index, va_arg(*args, int64_t));
	case 't':
		return sqlite3_bind_text(statement, index, va_arg(*args, const char *), -1,
		                         SQLITE_STATIC);
	default:
		return bind_bytes(statement, index, va_arg(*args, struct wasmedge_storage_bytes));
	}
}

sqlite3_stmt *
wes_db_bind(struct database *db, enum storage_sql sql, const char *format, ...)
{
	sqlite3_stmt *statement = statement_of(db, sql);
	va_list args;

	va_start(args, format);
	for (int i = 0; statement != NULL && format[i] != '\0'; i++)
		if (!note(db, bind_next(statement, i + 1, format[i], &args))) {
			wes_db_end(statement);
			statement = NULL;
		}
	va_end(args);
	return statement;
}

bool
wes_db_row(struct database *db, sqlite3_stmt *statement)
{
	if (statement == NULL)
		return false;
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		return true;
	note(db, rc);
	wes_db_end(statement);
	return false;
}

void
wes_db_end(sqlite3_stmt *statement)
{
	if (statement == NULL)
		return;
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

bool
wes_db_finish(struct database *db, sqlite3_stmt *statement)
{
	while (wes_db_row(db, statement))
		;
	return !wes_db_failed(db);
}
