#include "daemon/store/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/clock.h"

/* ---- writing ---- */

bool
blob_check(struct store *store, const struct digest *said, const uint8_t *bytes, size_t size,
	   struct store_error *err)
{
	struct digest digest;
	char expected[DIGEST_TEXT_SIZE], found[DIGEST_TEXT_SIZE];

	digest_of(bytes, size, &digest);
	if (!digest_equal(&digest, said)) {
		store_fail(err, STORE_E_ARGUMENT, "bytes are %s, expected %s",
			   digest_format(&digest, found), digest_format(said, expected));
		return false;
	}
	store_measure(store);
	if (!store_has_room(store, size)) {
		store_fail(err, STORE_E_FULL,
			   "%s: %" PRIu64 " bytes free, %zu wanted above a floor of %" PRIu64
			   "; free some space, or lower [store] free_space_floor",
			   store->directory, (uint64_t)store->totals.free_bytes, size,
			   (uint64_t)store->floor_bytes);
		return false;
	}
	return true;
}

static void
write_chunks(struct db *db, const struct digest *digest, const uint8_t *bytes, size_t size)
{
	int64_t n = 0;

	for (size_t at = 0; at < size && !db_failed(db); at += CHUNK_BYTES) {
		size_t left = size - at;
		size_t part = left < CHUNK_BYTES ? left : CHUNK_BYTES;
		struct digest of_part;

		digest_of(bytes + at, part, &of_part);
		db_run(db, SQL_CHUNK_INSERT, "didb", digest, n++, &of_part,
		       (const void *)(bytes + at), part);
	}
}

/* What is stored is exactly these bytes, in chunks that verify. False also when db_failed(). */
static bool
is_intact(struct db *db, const struct digest *digest, const uint8_t *bytes, size_t size)
{
	sqlite3_stmt *row = db_bind(db, SQL_CHUNK_LIST, "d", digest);
	size_t at = 0;
	bool same = true;

	for (int64_t n = 0; same && db_row(db, row); n++) {
		size_t part = (size_t)sqlite3_column_bytes(row, 2);
		struct digest expected, found;

		same = sqlite3_column_int64(row, 0) == n && part > 0 && part <= size - at &&
		       db_column_digest(row, 1, &expected);
		if (!same)
			break;
		digest_of(bytes + at, part, &found);
		const void *data = sqlite3_column_blob(row, 2);
		same = data != NULL && digest_equal(&expected, &found) &&
		       memcmp(data, bytes + at, part) == 0;
		at += part;
	}
	if (!same)
		db_end(row);
	return same && !db_failed(db) && at == size;
}

void
blob_put(struct db *db, const struct digest *digest, const uint8_t *bytes, size_t size)
{
	db_run(db, SQL_BLOB_INSERT, "diii", digest, (int64_t)size, (int64_t)CHUNK_BYTES,
	       clock_unix_us());
	if (db_failed(db))
		return;
	if (sqlite3_changes64(db->handle) == 0) {
		db_run(db, SQL_BLOB_RENEW, "dii", digest, (int64_t)size, (int64_t)CHUNK_BYTES);
		if (is_intact(db, digest, bytes, size))
			return;
		db_run(db, SQL_CHUNK_DELETE, "d", digest);
	}
	write_chunks(db, digest, bytes, size);
}

/* ---- reading ---- */

/* One chunk to its place. False: damaged. */
static bool
copy_chunk(sqlite3_stmt *row, int64_t n, uint8_t *bytes, size_t size, size_t *at)
{
	struct digest expected, found;
	size_t chunk = (size_t)sqlite3_column_bytes(row, 2);
	size_t left = size - *at;

	/* Its own size counts, not CHUNK_BYTES, which may have been another when it was written. */
	if (sqlite3_column_int64(row, 0) != n || !db_column_digest(row, 1, &expected) ||
	    chunk == 0 || chunk > left)
		return false;
	const void *data = sqlite3_column_blob(row, 2);
	if (data == NULL)
		return false;
	digest_of(data, chunk, &found);
	if (!digest_equal(&expected, &found))
		return false;
	memcpy(bytes + *at, data, chunk);
	*at += chunk;
	return true;
}

/* All chunks of a blob. False: damaged, or db_failed(). */
static bool
read_chunks(struct db *db, const struct digest *digest, uint8_t *bytes, size_t size)
{
	sqlite3_stmt *row = db_bind(db, SQL_CHUNK_LIST, "d", digest);
	size_t at = 0;

	for (int64_t n = 0; db_row(db, row); n++)
		if (!copy_chunk(row, n, bytes, size, &at)) {
			db_end(row);
			return false;
		}
	return !db_failed(db) && at == size;
}

bool
blob_read(struct db *db, const struct digest *digest, uint64_t size_bytes, struct answer *answer)
{
	struct digest found;

	if (size_bytes == 0 || size_bytes > STORED_BYTES_MAX)
		return false;
	size_t size = (size_t)size_bytes;
	uint8_t *bytes = malloc(size);
	if (bytes == NULL) {
		answer->nomem = true;
		return false;
	}
	bool ok = read_chunks(db, digest, bytes, size);
	if (ok) {
		digest_of(bytes, size, &found);
		ok = digest_equal(&found, digest);
	}
	if (!ok) {
		free(bytes);
		return false;
	}
	answer->public.bytes = bytes;
	answer->public.size_bytes = size;
	return true;
}
