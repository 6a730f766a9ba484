#include "daemon/store/db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "daemon/clock.h"

#define BUSY_TIMEOUT_MS 1000 /* only other programs, or a checkpoint, make us wait */
#define PROGRESS_STEPS 10000 /* virtual machine instructions between looks at the deadline */

static const char *const sql_texts[SQL_COUNT] = {
#define SQL(symbol, text) [SQL_##symbol] = text,
#include "daemon/store/sql.def"
#include "daemon/store/cache_sql.def"
#undef SQL
};

enum store_status
store_fail(struct store_error *err, enum store_status status, const char *format, ...)
{
	va_list args;

	err->status = status;
	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	return status;
}

const char *
store_status_text(enum store_status status)
{
	switch (status) {
	case STORE_OK:
		return "success";
	case STORE_E_NOT_FOUND:
		return "not found";
	case STORE_E_CONFLICT:
		return "conflict";
	case STORE_E_FULL:
		return "disk full";
	case STORE_E_BUSY:
		return "too many requests wait for the catalogue";
	case STORE_E_DAMAGED:
		return "stored data is damaged";
	case STORE_E_IO:
		return "input/output error";
	case STORE_E_NOMEM:
		return "out of memory";
	case STORE_E_ARGUMENT:
		return "not acceptable";
	case STORE_E_LOCKED:
		return "directory in use";
	case STORE_E_VERSION:
		return "written by another version";
	}
	return "unknown status";
}

/* ---- failures ---- */

void
db_clear(struct db *db)
{
	db->rc = SQLITE_OK;
	db->os_errno = 0;
	db->text[0] = '\0';
}

bool
db_failed(const struct db *db)
{
	return db->rc != SQLITE_OK;
}

/*
 * The errno of a failed call on the log or the database. sqlite3_system_errno() is what errno was
 * when the failure reached the connection, often that of a later call.
 */
static int
find_errno(struct db *db)
{
	sqlite3_file *log = NULL;
	int found = 0;

	if (sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) ==
	        SQLITE_OK &&
	    log != NULL && log->pMethods != NULL)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &found);
	if (found == 0)
		sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_LAST_ERRNO, &found);
	return found;
}

/* Keep the first failure. Returns whether rc is none. */
static bool
db_note(struct db *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	if (db->rc == SQLITE_OK) {
		db->rc = rc;
		db->os_errno =
		    db->handle != NULL && (rc & 0xff) == SQLITE_IOERR ? find_errno(db) : 0;
		snprintf(db->text, sizeof db->text, "%s",
		         db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
	}
	return false;
}

static enum store_status
status_of_io_error(const struct db *db)
{
	if (db->rc == SQLITE_IOERR_NOMEM)
		return STORE_E_NOMEM;
	if (db->rc == SQLITE_IOERR_CORRUPTFS)
		return STORE_E_DAMAGED;
	if (db->os_errno == ENOSPC || db->os_errno == EDQUOT || db->os_errno == EFBIG)
		return STORE_E_FULL;
	return STORE_E_IO;
}

static enum store_status
db_status(const struct db *db)
{
	switch (db->rc & 0xff) {
	case SQLITE_OK:
		return STORE_OK;
	case SQLITE_FULL:
		return STORE_E_FULL;
	case SQLITE_NOMEM:
		return STORE_E_NOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_INTERRUPT:
		return STORE_E_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return STORE_E_DAMAGED;
	case SQLITE_TOOBIG:
		return STORE_E_ARGUMENT;
	case SQLITE_IOERR:
		return status_of_io_error(db);
	default:
		return STORE_E_IO;
	}
}

static bool
is_cache(const struct db *db)
{
	return db->role == DB_CACHE_WRITER || db->role == DB_CACHE_READER;
}

enum store_status
db_error(const struct db *db, struct store_error *err, const char *what)
{
	return store_fail(err, db_status(db), "%s: %s: %s%s%s",
	                  is_cache(db) ? "cache" : "catalogue", what, db->text,
	                  db->os_errno != 0 ? ": " : "",
	                  db->os_errno != 0 ? strerror(db->os_errno) : "");
}

/* ---- opening ---- */

static int
check_deadline(void *arg)
{
	const struct db *db = arg;

	return db->deadline_us != 0 && clock_monotonic_us() > db->deadline_us;
}

static int
note_wal(void *arg, sqlite3 *handle, const char *schema, int pages)
{
	struct db *db = arg;

	(void)handle;
	(void)schema;
	db->wal_pages = pages;
	return SQLITE_OK;
}

/*
 * What only an empty file can be told (to an older one even saying the same again is a write), and
 * what each connection is told. The cache can be lost without harm, so it need not wait for the
 * disk, nor wipe what it drops.
 */
static const struct {
	const char *new_file;
	const char *connection;
} pragmas[] = {
	[DB_WRITER] = { "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;",
	                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	                "PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 0;"
	                "PRAGMA cache_size = -16384;" },
	[DB_READER] = { NULL, "PRAGMA query_only = ON; PRAGMA cache_size = -4096;" },
	[DB_CACHE_WRITER] = { "PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL;",
	                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
	                      "PRAGMA secure_delete = OFF; PRAGMA journal_size_limit = 16777216;"
	                      "PRAGMA cache_size = -4096;" },
	[DB_CACHE_READER] = { NULL, "PRAGMA query_only = ON; PRAGMA cache_size = -256;" },
};
static const char common_pragmas[] =
    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
    "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;";

static void
configure(struct db *db)
{
	const char *new_file = pragmas[db->role].new_file;

	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* The log is folded in when the store says so; a full disk cannot even take that. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_progress_handler(db->handle, PROGRESS_STEPS, check_deadline, db);
	db_exec(db, common_pragmas);
	if (new_file != NULL && db_query_int(db, "PRAGMA page_count") == 0)
		db_exec(db, new_file);
	db_exec(db, pragmas[db->role].connection);
	if (db->role == DB_WRITER)
		sqlite3_wal_hook(db->handle, note_wal, db);
}

/* Where memory cannot be shared between connections SQLite stays with another journal. */
static enum store_status
check_journal(struct db *db, const char *path, struct store_error *err)
{
	char mode[16];

	db_query_text(db, "PRAGMA journal_mode", mode, sizeof mode);
	if (db_failed(db))
		return db_error(db, err, path);
	if (strcmp(mode, "wal") != 0)
		return store_fail(err, STORE_E_IO,
		                  "%s: this file system cannot hold a write-ahead log; set another "
		                  "[store] directory, on a local disk",
		                  path);
	return STORE_OK;
}

enum store_status
db_open(struct db *db, const char *path, enum db_role role, struct store_error *err)
{
	memset(db, 0, sizeof *db);
	db->role = role;
	int rc =
	    sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (db->handle != NULL)
		sqlite3_extended_result_codes(db->handle, 1);
	if (!db_note(db, rc))
		return db_error(db, err, path);
	configure(db);
	return check_journal(db, path, err);
}

void
db_close(struct db *db)
{
	for (size_t i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->handle);
	memset(db, 0, sizeof *db);
}

/* ---- statements ---- */

bool
db_exec(struct db *db, const char *text)
{
	return !db_failed(db) && db_note(db, sqlite3_exec(db->handle, text, NULL, NULL, NULL));
}

/* A statement at its first row, to be finalized; NULL: no row, or a failure. */
static sqlite3_stmt *
first_row(struct db *db, const char *text)
{
	sqlite3_stmt *statement = NULL;

	if (db_failed(db) ||
	    !db_note(db, sqlite3_prepare_v2(db->handle, text, -1, &statement, NULL)))
		return NULL;
	int rc = sqlite3_step(statement);
	db_note(db, rc);
	if (rc == SQLITE_ROW)
		return statement;
	sqlite3_finalize(statement);
	return NULL;
}

int64_t
db_query_int(struct db *db, const char *text)
{
	sqlite3_stmt *row = first_row(db, text);
	int64_t value = row != NULL ? sqlite3_column_int64(row, 0) : 0;

	sqlite3_finalize(row);
	return value;
}

void
db_query_text(struct db *db, const char *text, char *out, size_t out_size)
{
	sqlite3_stmt *row = first_row(db, text);
	size_t size;

	snprintf(out, out_size, "%s", row != NULL ? db_column_text(db, row, 0, &size) : "");
	sqlite3_finalize(row);
}

static sqlite3_stmt *
db_statement(struct db *db, enum sql sql)
{
	if (db->statements[sql] == NULL && !db_failed(db))
		db_note(db,
		        sqlite3_prepare_v3(db->handle, sql_texts[sql], -1,
		                           SQLITE_PREPARE_PERSISTENT, &db->statements[sql], NULL));
	return db_failed(db) ? NULL : db->statements[sql];
}

bool
db_prepare(struct db *db, enum sql sql)
{
	return db_statement(db, sql) != NULL;
}

bool
db_prepare_all(struct db *db)
{
	unsigned first = is_cache(db) ? SQL_CATALOGUE_COUNT : 0;
	unsigned end = is_cache(db) ? SQL_COUNT : SQL_CATALOGUE_COUNT;

	for (unsigned i = first; i < end; i++)
		db_statement(db, (enum sql)i);
	return !db_failed(db);
}

static int
bind_digest(sqlite3_stmt *statement, int index, const struct digest *digest)
{
	if (digest == NULL)
		return sqlite3_bind_null(statement, index);
	return sqlite3_bind_blob(statement, index, digest->bytes, DIGEST_BYTES, SQLITE_STATIC);
}

static int
bind_next(sqlite3_stmt *statement, int index, char kind, va_list *args)
{
	const void *bytes;

	switch (kind) {
	case 't':
		return sqlite3_bind_text(statement, index, va_arg(*args, const char *), -1,
		                         SQLITE_STATIC);
	case 'i':
		return sqlite3_bind_int64(statement, index, va_arg(*args, int64_t));
	case 'd':
		return bind_digest(statement, index, va_arg(*args, const struct digest *));
	case 'b':
		bytes = va_arg(*args, const void *);
		return sqlite3_bind_blob64(statement, index, bytes, va_arg(*args, size_t),
		                           SQLITE_STATIC);
	default:
		return SQLITE_MISUSE;
	}
}

static sqlite3_stmt *
bind_all(struct db *db, enum sql sql, const char *format, va_list *args)
{
	sqlite3_stmt *statement = db_statement(db, sql);

	for (int i = 0; statement != NULL && format[i] != '\0'; i++)
		if (!db_note(db, bind_next(statement, i + 1, format[i], args))) {
			db_end(statement);
			return NULL;
		}
	return statement;
}

sqlite3_stmt *
db_bind(struct db *db, enum sql sql, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	sqlite3_stmt *statement = bind_all(db, sql, format, &args);
	va_end(args);
	return statement;
}

bool
db_row(struct db *db, sqlite3_stmt *statement)
{
	if (statement == NULL)
		return false;
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		return true;
	db_note(db, rc);
	db_end(statement);
	return false;
}

void
db_end(sqlite3_stmt *statement)
{
	if (statement == NULL)
		return;
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement); /* what was bound need not stay any longer */
}

bool
db_run(struct db *db, enum sql sql, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	sqlite3_stmt *statement = bind_all(db, sql, format, &args);
	va_end(args);
	while (db_row(db, statement))
		;
	return !db_failed(db);
}

bool
db_column_digest(sqlite3_stmt *statement, int column, struct digest *out)
{
	if (sqlite3_column_type(statement, column) != SQLITE_BLOB ||
	    sqlite3_column_bytes(statement, column) != DIGEST_BYTES)
		return false;
	memcpy(out->bytes, sqlite3_column_blob(statement, column), DIGEST_BYTES);
	return true;
}

const char *
db_column_text(struct db *db, sqlite3_stmt *statement, int column, size_t *out_size)
{
	bool is_null = sqlite3_column_type(statement, column) == SQLITE_NULL;
	const unsigned char *text = sqlite3_column_text(statement, column);

	if (text == NULL && !is_null)
		db_note(db, SQLITE_NOMEM);
	*out_size = text != NULL ? (size_t)sqlite3_column_bytes(statement, column) : 0;
	return text != NULL ? (const char *)text : "";
}
