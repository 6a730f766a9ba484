#include "daemon/ids.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RANDOM_BYTES 10

/* The kernel is asked for many ids' worth at once. */
static void
take_random(uint8_t out[RANDOM_BYTES])
{
	static _Thread_local uint8_t pool[25 * RANDOM_BYTES];
	static _Thread_local size_t left;

	if (left < RANDOM_BYTES) {
		arc4random_buf(pool, sizeof pool); /* cannot fail */
		left = sizeof pool;
	}
	left -= RANDOM_BYTES;
	memcpy(out, pool + left, RANDOM_BYTES);
}

static uint64_t
unix_time_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Append count characters of 5 bits each, the highest first. */
static char *
put_bits(char *out, uint64_t bits, int count)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

	for (int i = count - 1; i >= 0; i--)
		*out++ = digits[bits >> (5 * i) & 31];
	return out;
}

static uint64_t
load_40(const uint8_t *bytes)
{
	uint64_t bits = 0;

	for (int i = 0; i < 5; i++)
		bits = bits << 8 | bytes[i];
	return bits;
}

const char *
ids_make(const char *prefix, char out[IDS_TEXT_SIZE])
{
	uint8_t random[RANDOM_BYTES];
	char *next = stpncpy(out, prefix, IDS_PREFIX_MAX);

	take_random(random);
	next = put_bits(next, unix_time_ms(), 10);
	next = put_bits(next, load_40(random), 8);
	next = put_bits(next, load_40(random + 5), 8);
	*next = '\0';
	return out;
}
