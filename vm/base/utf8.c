#include "vm/base/utf8.h"

#include <string.h>

/* Bytes of the character that starts with lead, and the range of its second byte; 0 for none. */
static size_t
character_len(uint8_t lead, uint8_t *out_low, uint8_t *out_high)
{
	*out_low = 0x80;
	*out_high = 0xbf;
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2) /* a continuation, or an overlong form */
		return 0;
	if (lead < 0xe0)
		return 2;
	if (lead < 0xf0) {
		if (lead == 0xe0)
			*out_low = 0xa0; /* shorter forms exist below */
		if (lead == 0xed)
			*out_high = 0x9f; /* surrogates are above */
		return 3;
	}
	if (lead < 0xf5) {
		if (lead == 0xf0)
			*out_low = 0x90;
		if (lead == 0xf4)
			*out_high = 0x8f; /* U+10FFFF */
		return 4;
	}
	return 0;
}

/* Bytes of the well-formed character at bytes, 0 when there is none. */
static size_t
character_at(const uint8_t *bytes, size_t len)
{
	uint8_t low, high;
	size_t want = character_len(bytes[0], &low, &high);

	if (want == 0 || want > len)
		return 0;
	if (want > 1 && (bytes[1] < low || bytes[1] > high))
		return 0;
	for (size_t i = 2; i < want; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	}
	return want;
}

bool
utf8_is_valid(const uint8_t *bytes, size_t len)
{
	const uint64_t high_bits = UINT64_C(0x8080808080808080);
	size_t at = 0;

	while (at < len) {
		uint64_t eight;

		/* Names are nearly always ASCII. */
		if (len - at >= sizeof eight) {
			memcpy(&eight, bytes + at, sizeof eight);
			if ((eight & high_bits) == 0) {
				at += sizeof eight;
				continue;
			}
		}
		size_t step = character_at(bytes + at, len - at);
		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

size_t
utf8_cut(const uint8_t *bytes, size_t len)
{
	uint8_t low, high;

	/* Look back for the character that the last byte belongs to. */
	for (size_t back = 1; back <= 4 && back <= len; back++) {
		uint8_t byte = bytes[len - back];

		if ((byte & 0xc0) == 0x80)
			continue;
		return character_len(byte, &low, &high) > back ? len - back : len;
	}
	return len;
}
