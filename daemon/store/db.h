/*
 * db.h - one connection to a database of ours and its prepared statements.
 *
 * The first failure sticks: after it every call here does nothing until db_clear(), so a sequence
 * of statements is checked once, at its end, by db_failed().
 *
 * Owns:    the connection
 * Threads: a connection belongs to one thread
 */
#pragma once

#include <sqlite3.h>
#include <stdarg.h>
#include "daemon/store.h"

enum sql {
#define SQL(symbol, text) SQL_##symbol,
#include "daemon/store/sql.def"
	SQL_CATALOGUE_COUNT,
	SQL_CATALOGUE_LAST = SQL_CATALOGUE_COUNT - 1, /* the cache's follow without a gap */
#include "daemon/store/cache_sql.def"
#undef SQL
	SQL_COUNT
};

/* Which database, and what for. */
enum db_role { DB_WRITER, DB_READER, DB_CACHE_WRITER, DB_CACHE_READER };

struct db {
	enum db_role role;
	sqlite3 *handle;
	sqlite3_stmt *statements[SQL_COUNT];
	int rc;               /* the failure that stuck, an SQLite code; SQLITE_OK: none */
	int os_errno;         /* that came with it, or 0 */
	char text[160];       /* SQLite's words for it */
	uint64_t deadline_us; /* monotonic; a statement is interrupted after it; 0: none */
	int wal_pages;        /* length of the log after the last commit */
};

enum store_status db_open(struct db *db, const char *path, enum db_role role,
			  struct store_error *err);
/* Now, and not when it is first used; a failure comes again then. */
bool db_prepare(struct db *db, enum sql sql);
/* All of its database; a statement that does not fit the schema fails. */
bool db_prepare_all(struct db *db);
void db_close(struct db *db); /* also after a failed db_open(), and for zeroed storage */

void db_clear(struct db *db);
bool db_failed(const struct db *db);
/* Turn the failure that stuck into an error: "<what>: <SQLite's words>". Returns its status. */
enum store_status db_error(const struct db *db, struct store_error *err, const char *what);

/* Run SQL text without results or parameters. */
bool db_exec(struct db *db, const char *text);
/* First column of the first row of SQL text, or 0. */
int64_t db_query_int(struct db *db, const char *text);
/* The same as text, cut to what fits; "" when there is none. */
void db_query_text(struct db *db, const char *text, char *out, size_t out_size);

/*
 * A statement with its parameters set, in order: t text (NULL: null), i int64_t, d const struct
 * digest * (NULL: null), b const void * and size_t. NULL after a failure. What is bound must stay
 * until the statement has ended.
 */
sqlite3_stmt *db_bind(struct db *db, enum sql sql, const char *format, ...);
/* Step to a row; false at the end, or after a failure. The statement has ended when false. */
bool db_row(struct db *db, sqlite3_stmt *statement);
/* End a statement before its last row. NULL is fine. */
void db_end(sqlite3_stmt *statement);
/* Bind, run to the end, no rows wanted. */
bool db_run(struct db *db, enum sql sql, const char *format, ...);

/* A blob column that is a digest; false when it has another size or type. */
bool db_column_digest(sqlite3_stmt *statement, int column, struct digest *out);
/* A text column's bytes without copying, valid until the next step; "" when it is null. */
const char *db_column_text(struct db *db, sqlite3_stmt *statement, int column, size_t *out_size);

/* Fill *err, return status. */
enum store_status store_fail(struct store_error *err, enum store_status status, const char *format,
			     ...) VM_PRINTF(3, 4);
