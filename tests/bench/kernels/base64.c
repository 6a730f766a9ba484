/* base64.c - encodes and decodes: byte shuffling and table look-ups. */
#include "kernel.h"

#define LEN 1536u

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static uint8_t bytes[LEN], text[LEN / 3 * 4];
static uint8_t value_of[256];

static void
encode(void)
{
	uint8_t *out = text;

	for (uint32_t i = 0; i < LEN; i += 3) {
		uint32_t group =
		    (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];

		*out++ = (uint8_t)digits[group >> 18];
		*out++ = (uint8_t)digits[group >> 12 & 63];
		*out++ = (uint8_t)digits[group >> 6 & 63];
		*out++ = (uint8_t)digits[group & 63];
	}
}

static void
decode(void)
{
	const uint8_t *in = text;

	for (uint32_t i = 0; i < LEN; i += 3, in += 4) {
		uint32_t group = (uint32_t)value_of[in[0]] << 18 | (uint32_t)value_of[in[1]] << 12 |
		                 (uint32_t)value_of[in[2]] << 6 | value_of[in[3]];

		bytes[i] = (uint8_t)(group >> 16);
		bytes[i + 1] = (uint8_t)(group >> 8) ^ 1;
		bytes[i + 2] = (uint8_t)group;
	}
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < 64; i++)
		value_of[(uint8_t)digits[i]] = (uint8_t)i;
	for (uint32_t i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i * i);
	for (uint32_t i = 0; i < n; i++) {
		encode();
		decode();
		sum = mix(sum, bytes[i % LEN] + text[i % sizeof text]);
	}
	return sum;
}
