/*
 * database.h - one connection to the file of a storage, and what is said to it.
 *
 * The first failure sticks: after it every call does nothing until wes_db_clear_failure(), so a
 * sequence of statements is checked once, at its end.
 *
 * Owns:    the connection and its statements
 * Threads: a connection belongs to one thread at a time
 */
#pragma once

#include <sqlite3.h>
#include "plugins/storage/storage.h"

/*
 * SQL(symbol, text). What feeds an entry lists id, key, type, rev, updated_us, expires_us, the
 * value's length, in this order. ?1 to ?3 are tenant, namespace and key; ?4 is now.
 */
#define STORAGE_STATEMENTS(SQL)                                                                \
	SQL(BEGIN, "BEGIN IMMEDIATE")                                                          \
	SQL(COMMIT, "COMMIT")                                                                  \
	SQL(ROLLBACK, "ROLLBACK")                                                              \
	SQL(REVISION_GET, "SELECT rev FROM counter")                                           \
	SQL(REVISION_SET, "UPDATE counter SET rev = ?1")                                       \
	SQL(HEAD, "SELECT id, key, type, rev, updated_us, expires_us, length(value) "          \
	          "FROM entry WHERE tenant = ?1 AND ns = ?2 AND key = ?3 AND expires_us > ?4") \
	SQL(GET, "SELECT id, key, type, rev, updated_us, expires_us, length(value), value "    \
	         "FROM entry WHERE tenant = ?1 AND ns = ?2 AND key = ?3 AND expires_us > ?4")  \
	SQL(PUT, "INSERT INTO entry (tenant, ns, key, rev, updated_us, expires_us, type, value) " \
	         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (tenant, ns, key) "      \
	         "DO UPDATE SET rev = ?4, updated_us = ?5, expires_us = ?6, type = ?7, "       \
	         "value = ?8")                                                                 \
	SQL(DELETE, "DELETE FROM entry WHERE tenant = ?1 AND ns = ?2 AND key = ?3")            \
	SQL(SWEEP, "DELETE FROM entry WHERE id IN "                                            \
	           "(SELECT id FROM entry WHERE expires_us <= ?1 "                             \
	           "AND expires_us < 9223372036854775807 ORDER BY expires_us LIMIT 100)")      \
	SQL(LIST, "SELECT id, key, type, rev, updated_us, expires_us, length(value) "          \
	          "FROM entry WHERE tenant = ?1 AND ns = ?2 AND key >= ?3 AND key < ?5 "       \
	          "AND expires_us > ?4 ORDER BY key LIMIT ?6")

enum storage_sql {
#define SQL(symbol, text) STORAGE_SQL_##symbol,
	STORAGE_STATEMENTS(SQL)
#undef SQL
	STORAGE_SQL_COUNT
};

/* Columns of entries. */
enum { COLUMN_ID, COLUMN_KEY, COLUMN_TYPE, COLUMN_REVISION, COLUMN_UPDATED, COLUMN_EXPIRES,
       COLUMN_SIZE, COLUMN_VALUE };

struct database {
	sqlite3 *handle;
	sqlite3_stmt *statements[STORAGE_SQL_COUNT];
	unsigned busy_ms;
	uint64_t waiting_since_ms; /* for another process; 0: not */
	int rc;       /* the failure that stuck, an SQLite code; SQLITE_OK: none */
	int os_errno; /* that came with it, or 0 */
	char text[160];
	struct database *next; /* of a list of its owner */
};

/* Fill *err, which may be NULL; returns status. */
enum wasmedge_storage_status wes_fail(struct wasmedge_storage_error *err,
                                          enum wasmedge_storage_status status,
                                          const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Open a file that is there, make it a storage if it is empty, and look whether it is one. */
enum wasmedge_storage_status wes_db_open(struct database *db, const char *path, unsigned busy_ms,
                                           struct wasmedge_storage_error *err);
/* Also after a failed open, and for zeroed memory. */
void wes_db_close(struct database *db);

bool wes_db_failed(const struct database *db);
void wes_db_clear_failure(struct database *db);
/* Turn the failure that stuck into an error: "<what>: <reason>". */
enum wasmedge_storage_status wes_db_error(const struct database *db, const char *what,
                                            struct wasmedge_storage_error *err);

/*
 * A statement with its parameters, in order: i int64_t, b struct wasmedge_storage_bytes,
 * t const char * (NULL: null). NULL after a failure. What is bound must stay until it has ended.
 */
sqlite3_stmt *wes_db_bind(struct database *db, enum storage_sql sql, const char *format, ...);
/* Step to a row; false at the end or after a failure: it has ended then. */
bool wes_db_row(struct database *db, sqlite3_stmt *statement);
/* End a statement before its last row. NULL is fine. */
void wes_db_end(sqlite3_stmt *statement);
/* Run to the end; what it says is of no interest. */
bool wes_db_finish(struct database *db, sqlite3_stmt *statement);
