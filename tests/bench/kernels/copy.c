/* copy.c - records moved into another order and back: loads, stores, little else. */
#include "kernel.h"

#define COUNT 1024u

struct record {
	uint64_t key;
	uint32_t fields[4];
};

static struct record from[COUNT], to[COUNT];
static uint16_t order[COUNT];

static void
move_out(void)
{
	for (uint32_t i = 0; i < COUNT; i++)
		to[order[i]] = from[i];
}

static void
move_back(void)
{
	for (uint32_t i = 0; i < COUNT; i++)
		from[i] = to[i];
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < COUNT; i++) {
		from[i] = (struct record){ i * 31u, { i, i * 3, i * 5, i * 7 } };
		/* an odd multiplier modulo a power of two gives every place once */
		order[i] = (uint16_t)(i * 613u % COUNT);
	}
	for (uint32_t i = 0; i < n; i++) {
		move_out();
		move_back();
		sum = mix(sum, (uint32_t)from[i % COUNT].key + from[1].fields[3]);
	}
	return sum;
}
