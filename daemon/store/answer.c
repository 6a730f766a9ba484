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

struct answer *
answer_new(void)
{
	return calloc(1, sizeof(struct answer));
}

void
answer_reset(struct answer *answer)
{
	free(answer->public.bytes);
	memset(&answer->public, 0, sizeof answer->public);
	answer->nomem = false;
}

void
store_reply_free(struct store_reply *public)
{
	struct answer *answer = (struct answer *)public;

	if (answer == NULL)
		return;
	free(public->bytes);
	while (answer->blocks != NULL) {
		struct arena_block *block = answer->blocks;

		answer->blocks = block->next;
		free(block);
	}
	free(answer);
}

static struct arena_block *
add_block(struct answer *answer, size_t size)
{
	size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
	struct arena_block *block = calloc(1, sizeof *block + room);

	if (block == NULL) {
		answer->nomem = true;
		return NULL;
	}
	block->size = room;
	block->next = answer->blocks;
	answer->blocks = block;
	return block;
}

void *
answer_alloc(struct answer *answer, size_t size_bytes)
{
	const size_t unit = sizeof(max_align_t);
	struct arena_block *block = answer->blocks;

	if (size_bytes > PTRDIFF_MAX - unit) {
		answer->nomem = true;
		return NULL;
	}
	size_t size = (size_bytes + unit - 1) / unit * unit;
	if (block == NULL || size > block->size - block->used)
		block = add_block(answer, size);
	if (block == NULL)
		return NULL;
	void *place = (uint8_t *)block->bytes + block->used;
	block->used += size;
	return place;
}

static char *
copy_bytes(struct answer *answer, const char *text, size_t size)
{
	char *copy = answer_alloc(answer, size + 1);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

char *
answer_copy(struct answer *answer, const char *text)
{
	return text != NULL ? copy_bytes(answer, text, strlen(text)) : NULL;
}

const char *
answer_text(struct answer *answer, struct db *db, sqlite3_stmt *statement, int column)
{
	size_t size;
	const char *text = db_column_text(db, statement, column, &size);
	const char *copy = size > 0 ? copy_bytes(answer, text, size) : "";

	return copy != NULL ? copy : "";
}

void *
answer_append(struct answer *answer, void **array, size_t count, size_t element_bytes)
{
	bool is_full = (count & (count - 1)) == 0; /* 0, 1, 2, 4, ... */

	if (is_full) {
		void *larger = answer_alloc(answer, (count > 0 ? 2 * count : 1) * element_bytes);

		if (larger == NULL)
			return NULL;
		if (count > 0)
			memcpy(larger, *array, count * element_bytes);
		*array = larger;
	}
	return (uint8_t *)*array + count * element_bytes;
}
