#include "daemon/store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says that a database is ours, whatever file name it has: "wsmd". */
#define APPLICATION_ID 0x77736d64

/*
 * Bytes are kept apart from what is known about them, in chunks small enough for one buffer. A
 * seal is a truncated SHA-256 over the row's other columns: SQLite has no page checksums.
 */
const struct migration schema_migrations[] = {
	{ "CREATE TABLE blob ("
	  " digest BLOB PRIMARY KEY CHECK (length(digest) = 32),"
	  " size INTEGER NOT NULL,"
	  " chunk_size INTEGER NOT NULL,"
	  " created_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

	  "CREATE TABLE chunk ("
	  " digest BLOB NOT NULL REFERENCES blob ON DELETE CASCADE,"
	  " n INTEGER NOT NULL,"
	  " sha256 BLOB NOT NULL,"
	  " data BLOB NOT NULL,"
	  " PRIMARY KEY (digest, n)) STRICT;"

	  "CREATE TABLE module ("
	  " digest BLOB PRIMARY KEY REFERENCES blob,"
	  " info TEXT NOT NULL,"
	  " features INTEGER NOT NULL,"
	  " state TEXT NOT NULL," /* ok, quarantined */
	  " created_us INTEGER NOT NULL,"
	  " seal BLOB NOT NULL) STRICT;"
	  "CREATE INDEX module_order ON module (created_us, digest);"

	  "CREATE TABLE tag ("
	  " ns TEXT NOT NULL,"
	  " name TEXT NOT NULL,"
	  " tag TEXT NOT NULL,"
	  " digest BLOB NOT NULL REFERENCES module,"
	  " rev INTEGER NOT NULL,"
	  " updated_us INTEGER NOT NULL,"
	  " updated_by TEXT NOT NULL,"
	  " seal BLOB NOT NULL,"
	  " PRIMARY KEY (ns, name, tag)) STRICT, WITHOUT ROWID;"
	  "CREATE INDEX tag_digest ON tag (digest);"

	  "CREATE TABLE tag_history ("
	  " rev INTEGER PRIMARY KEY,"
	  " ns TEXT NOT NULL,"
	  " name TEXT NOT NULL,"
	  " tag TEXT NOT NULL,"
	  " old BLOB,"
	  " new BLOB,"
	  " at_us INTEGER NOT NULL,"
	  " by TEXT NOT NULL) STRICT;"
	  "CREATE INDEX tag_history_name ON tag_history (ns, name, rev);"

	  "CREATE TABLE invocation ("
	  " id TEXT PRIMARY KEY,"
	  " token TEXT NOT NULL,"
	  " digest BLOB NOT NULL,"
	  " function TEXT NOT NULL,"
	  " state TEXT NOT NULL,"
	  " spec TEXT NOT NULL,"
	  " result TEXT,"
	  " created_us INTEGER NOT NULL,"
	  " done_us INTEGER) STRICT;"
	  "CREATE INDEX invocation_order ON invocation (created_us, id);"
	  "CREATE INDEX invocation_done ON invocation (done_us);" },

	{ "CREATE TABLE model ("
	  " name TEXT PRIMARY KEY,"
	  " digest BLOB NOT NULL REFERENCES blob,"
	  " format TEXT NOT NULL,"
	  " info TEXT NOT NULL," /* what it takes and gives, JSON */
	  " created_us INTEGER NOT NULL,"
	  " seal BLOB NOT NULL) STRICT, WITHOUT ROWID;"
	  "CREATE INDEX model_digest ON model (digest);" },
};
const size_t schema_migration_count = sizeof schema_migrations / sizeof schema_migrations[0];

/* Flush a file or folder to the disk. */
static bool
sync_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return false;
	bool ok = fsync(fd) == 0;
	close(fd);
	return ok;
}

/* An empty file that nobody else can read; SQLite alone would make it readable. */
static bool
make_empty(const char *path)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static enum store_status
fail_with_errno(struct store_error *err, const char *path)
{
	return store_fail(err, errno == ENOSPC ? STORE_E_FULL : STORE_E_IO, "%s: %s", path,
			  strerror(errno));
}

/* VACUUM INTO a new file, complete under its name or not there at all. */
static enum store_status
copy_to(struct db *db, const char *partial, const char *final, struct store_error *err)
{
	if (!make_empty(partial))
		return fail_with_errno(err, partial);
	char *sql = sqlite3_mprintf("VACUUM INTO %Q", partial);
	if (sql == NULL)
		return store_fail(err, STORE_E_NOMEM, "out of memory");
	db_exec(db, sql);
	sqlite3_free(sql);
	if (db_failed(db))
		return db_error(db, err, "copy before migration");
	if (!sync_path(partial, O_RDONLY) || rename(partial, final) != 0)
		return fail_with_errno(err, final);
	return STORE_OK;
}

static enum store_status
copy_before(struct db *db, const char *path, int64_t version, struct store_error *err)
{
	char *partial = NULL, *final = NULL;
	enum store_status status;

	if (asprintf(&final, "%s.version-%" PRId64, path, version) < 0)
		return store_fail(err, STORE_E_NOMEM, "out of memory");
	if (asprintf(&partial, "%s.partial", final) < 0) {
		status = store_fail(err, STORE_E_NOMEM, "out of memory");
		goto done;
	}
	status = copy_to(db, partial, final, err);
	unlink(partial);
done:
	free(partial);
	free(final);
	return status;
}

static enum store_status
apply(struct db *db, const struct migration *migration, size_t version, struct store_error *err)
{
	char pragma[96];

	snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %zu;",
		 APPLICATION_ID, version);
	db_exec(db, "BEGIN IMMEDIATE");
	db_exec(db, migration->text);
	db_exec(db, pragma);
	db_exec(db, "COMMIT");
	if (!db_failed(db))
		return STORE_OK;
	enum store_status status = db_error(db, err, "migration");
	sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

enum store_status
schema_migrate(struct db *db, const char *path, const struct migration *all, size_t count,
	       struct store_error *err)
{
	int64_t version = db_query_int(db, "PRAGMA user_version");
	int64_t application = db_query_int(db, "PRAGMA application_id");
	bool empty = db_query_int(db, "SELECT count(*) FROM sqlite_schema") == 0;

	if (db_failed(db))
		return db_error(db, err, path);
	if (!empty && (application != APPLICATION_ID || version < 1))
		return store_fail(err, STORE_E_DAMAGED,
				  "%s: a database, but not a catalogue of wasmedged; "
				  "move it away or set another [store] directory",
				  path);
	if (version > (int64_t)count)
		return store_fail(err, STORE_E_VERSION,
				  "%s: version %" PRId64 ", this program knows up to %zu; "
				  "use the newer wasmedged, or go back to a copy",
				  path, version, count);
	if (!empty && version < (int64_t)count) {
		enum store_status status = copy_before(db, path, version, err);

		if (status != STORE_OK)
			return status;
	}
	for (size_t next = (size_t)version; next < count; next++) {
		enum store_status status = apply(db, &all[next], next + 1, err);

		if (status != STORE_OK)
			return status;
	}
	return STORE_OK;
}
