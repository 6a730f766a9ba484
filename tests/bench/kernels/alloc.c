/* alloc.c - an allocator of its own with free lists by size, under a changing load. */
#include "kernel.h"

#define HEAP_BYTES (1u << 20)
#define CLASSES 8 /* 16, 32, ... 2048 bytes */
#define LIVE 256

struct block {
	struct block *next; /* while it is free */
	uint32_t class;
	uint32_t fill;
};

static _Alignas(16) uint8_t heap[HEAP_BYTES];
static uint32_t heap_used;
static struct block *free_blocks[CLASSES];

static struct block *
block_new(uint32_t size_bytes)
{
	uint32_t class = 0;

	while ((16u << class) < size_bytes + 16 && class < CLASSES - 1)
		class ++;
	struct block *block = free_blocks[class];
	if (block != NULL) {
		free_blocks[class] = block->next;
	} else {
		if (heap_used + (32u << class) > HEAP_BYTES)
			return NULL;
		block = (struct block *)(heap + heap_used);
		heap_used += 32u << class;
	}
	block->class = class;
	return block;
}

static void
block_free(struct block *block)
{
	block->next = free_blocks[block->class];
	free_blocks[block->class] = block;
}

uint32_t
run(uint32_t n)
{
	static struct block *live[LIVE];
	uint32_t seed = 11, sum = 0;

	heap_used = 0;
	for (int i = 0; i < CLASSES; i++)
		free_blocks[i] = NULL;
	for (int i = 0; i < LIVE; i++)
		live[i] = NULL;
	for (uint32_t i = 0; i < n * 200; i++) {
		uint32_t random = random_next(&seed);
		struct block **place = &live[random % LIVE];

		if (*place != NULL) {
			sum = mix(sum, (*place)->fill);
			block_free(*place);
		}
		*place = block_new((random >> 8) % 1500);
		if (*place != NULL)
			(*place)->fill = random;
	}
	return mix(sum, heap_used);
}
