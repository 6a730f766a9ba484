#include "daemon/store/internal.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 4096

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	max_align_t bytes[];
};

struct reply *
reply_new(void)
{
	return calloc(1, sizeof(struct reply));
}

void
reply_reset(struct reply *reply)
{
	free(reply->public.bytes);
	memset(&reply->public, 0, sizeof reply->public);
	reply->nomem = false;
}

void
store_reply_free(struct store_reply *public)
{
	struct reply *reply = (struct reply *)public;

	if (reply == NULL)
		return;
	free(public->bytes);
	while (reply->blocks != NULL) {
		struct arena_block *block = reply->blocks;

		reply->blocks = block->next;
		free(block);
	}
	free(reply);
}

static struct arena_block *
add_block(struct reply *reply, size_t size)
{
	size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
	struct arena_block *block = calloc(1, sizeof *block + room);

	if (block == NULL) {
		reply->nomem = true;
		return NULL;
	}
	block->size = room;
	block->next = reply->blocks;
	reply->blocks = block;
	return block;
}

void *
reply_alloc(struct reply *reply, size_t size_bytes)
{
	const size_t unit = sizeof(max_align_t);
	struct arena_block *block = reply->blocks;

	if (size_bytes > PTRDIFF_MAX - unit) {
		reply->nomem = true;
		return NULL;
	}
	size_t size = (size_bytes + unit - 1) / unit * unit;
	if (block == NULL || size > block->size - block->used)
		block = add_block(reply, size);
	if (block == NULL)
		return NULL;
	void *place = (uint8_t *)block->bytes + block->used;
	block->used += size;
	return place;
}

static char *
copy_bytes(struct reply *reply, const char *text, size_t size)
{
	char *copy = reply_alloc(reply, size + 1);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

char *
reply_copy(struct reply *reply, const char *text)
{
	return text != NULL ? copy_bytes(reply, text, strlen(text)) : NULL;
}

const char *
reply_text(struct reply *reply, struct db *db, sqlite3_stmt *statement, int column)
{
	size_t size;
	const char *text = db_column_text(db, statement, column, &size);
	const char *copy = size > 0 ? copy_bytes(reply, text, size) : "";

	return copy != NULL ? copy : "";
}

void *
reply_append(struct reply *reply, void **array, size_t count, size_t element_bytes)
{
	bool is_full = (count & (count - 1)) == 0; /* 0, 1, 2, 4, ... */

	if (is_full) {
		void *larger = reply_alloc(reply, (count > 0 ? 2 * count : 1) * element_bytes);

		if (larger == NULL)
			return NULL;
		if (count > 0)
			memcpy(larger, *array, count * element_bytes);
		*array = larger;
	}
	return (uint8_t *)*array + count * element_bytes;
}
