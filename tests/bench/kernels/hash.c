/* hash.c - a hash table with open addressing: inserts, look-ups, deletions. */
#include "kernel.h"

#define SLOTS 8192u
#define KEYS 4000u
#define EMPTY 0u
#define DELETED 0xffffffffu

struct slot {
	uint32_t key;
	uint32_t value;
};

static struct slot slots[SLOTS];

static uint32_t
place_of(uint32_t key)
{
	return key * 2654435769u >> 19;
}

/* The slot of the key, or the one where it would go. */
static struct slot *
find(uint32_t key)
{
	struct slot *free_slot = NULL;

	for (uint32_t i = place_of(key);; i = (i + 1) % SLOTS) {
		if (slots[i].key == key)
			return &slots[i];
		if (slots[i].key == DELETED && free_slot == NULL)
			free_slot = &slots[i];
		if (slots[i].key == EMPTY)
			return free_slot != NULL ? free_slot : &slots[i];
	}
}

static uint32_t
fill_and_query(uint32_t seed)
{
	uint32_t sum = 0, insert_seed = seed;

	for (uint32_t i = 0; i < SLOTS; i++)
		slots[i].key = EMPTY;
	for (uint32_t i = 0; i < KEYS; i++) {
		uint32_t key = random_next(&insert_seed) | 2;

		*find(key) = (struct slot){ key, i };
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		struct slot *slot = find(random_next(&seed) | 2);

		sum = mix(sum, slot->value);
		if (i % 3 == 0)
			slot->key = DELETED;
	}
	return sum;
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum = mix(sum, fill_and_query(i * 2 + 1));
	return sum;
}
