#include "daemon/store/internal.h"

#include <string.h>

void
seal_init(struct seal *seal)
{
	digest_init(&seal->state);
}

void
seal_bytes(struct seal *seal, const void *bytes, size_t size_bytes)
{
	seal_int(seal, (int64_t)size_bytes); /* so that no two lists of fields look alike */
	digest_update(&seal->state, bytes, size_bytes);
}

void
seal_int(struct seal *seal, int64_t number)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)((uint64_t)number >> (8 * i));
	digest_update(&seal->state, bytes, sizeof bytes);
}

void
seal_finish(struct seal *seal, uint8_t out[SEAL_BYTES])
{
	struct digest digest;

	digest_finish(&seal->state, &digest);
	memcpy(out, digest.bytes, SEAL_BYTES);
}

bool
seal_equals_column(const uint8_t seal[SEAL_BYTES], sqlite3_stmt *statement, int column)
{
	return sqlite3_column_type(statement, column) == SQLITE_BLOB &&
	       sqlite3_column_bytes(statement, column) == SEAL_BYTES &&
	       memcmp(sqlite3_column_blob(statement, column), seal, SEAL_BYTES) == 0;
}
