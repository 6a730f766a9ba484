#include "vm/base/arena.h"

#include <stdalign.h>
#include <string.h>

/* Blocks are half as large as all before them, within these bounds. */
enum { BLOCK_BYTES_MIN = 4096, BLOCK_BYTES_MAX = 1 << 20 };

struct arena_block {
	struct arena_block *next;
	size_t size_bytes; /* of the space behind this header */
	alignas(max_align_t) uint8_t space[];
};

struct arena {
	struct vm_allocator alloc;
	struct arena_block *blocks; /* the newest, from which memory is taken, first */
	size_t used;                /* bytes of that block's space */
	size_t bytes;
};

struct arena *
arena_new(const struct vm_allocator *alloc)
{
	struct arena *arena = alloc->alloc_fn(alloc->self, sizeof *arena);

	if (arena == NULL)
		return NULL;
	*arena = (struct arena){
		.alloc = *alloc,
		.bytes = sizeof *arena,
	};
	return arena;
}

static void
free_blocks(struct arena *arena, struct arena_block *block)
{
	while (block != NULL) {
		struct arena_block *next = block->next;

		arena->bytes -= sizeof *block + block->size_bytes;
		arena->alloc.free_fn(arena->alloc.self, block);
		block = next;
	}
}

void
arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	free_blocks(arena, arena->blocks);
	arena->alloc.free_fn(arena->alloc.self, arena);
}

static struct arena_block *
block_new(struct arena *arena, size_t size_bytes)
{
	struct arena_block *block =
	    arena->alloc.alloc_fn(arena->alloc.self, sizeof *block + size_bytes);

	if (block == NULL)
		return NULL;
	block->size_bytes = size_bytes;
	arena->bytes += sizeof *block + size_bytes;
	return block;
}

/* What is large gets a block of its own, behind the one from which memory goes on being taken. */
static void *
alloc_large(struct arena *arena, size_t size_bytes)
{
	struct arena_block *block = block_new(arena, size_bytes);

	if (block == NULL)
		return NULL;
	block->next = arena->blocks->next;
	arena->blocks->next = block;
	return block->space;
}

static void *
alloc_in_new_block(struct arena *arena, size_t size_bytes, size_t block_bytes)
{
	struct arena_block *block = block_new(arena, block_bytes);

	if (block == NULL)
		return NULL;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->used = size_bytes;
	return block->space;
}

static size_t
next_block_bytes(const struct arena *arena)
{
	size_t bytes = arena->bytes / 2;

	if (bytes < BLOCK_BYTES_MIN)
		return BLOCK_BYTES_MIN;
	return bytes < BLOCK_BYTES_MAX ? bytes : BLOCK_BYTES_MAX;
}

void *
arena_alloc(struct arena *arena, size_t size_bytes)
{
	const size_t align = alignof(max_align_t);

	if (size_bytes > SIZE_MAX / 2)
		return NULL;
	size_bytes = (size_bytes + align - 1) / align * align;
	struct arena_block *block = arena->blocks;
	if (block != NULL && size_bytes <= block->size_bytes - arena->used) {
		void *p = block->space + arena->used;

		arena->used += size_bytes;
		return p;
	}
	const size_t block_bytes = next_block_bytes(arena);
	if (block != NULL && size_bytes > block_bytes / 2)
		return alloc_large(arena, size_bytes);
	return alloc_in_new_block(arena, size_bytes,
	                          size_bytes > block_bytes ? size_bytes : block_bytes);
}

void *
arena_alloc_array(struct arena *arena, size_t count, size_t size_bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, size_bytes, &total))
		return NULL;
	void *p = arena_alloc(arena, total);
	if (p != NULL)
		memset(p, 0, total);
	return p;
}

void
arena_reset(struct arena *arena)
{
	if (arena->blocks == NULL)
		return;
	free_blocks(arena, arena->blocks->next);
	arena->blocks->next = NULL;
	arena->used = 0;
}

size_t
arena_bytes(const struct arena *arena)
{
	return arena->bytes;
}
