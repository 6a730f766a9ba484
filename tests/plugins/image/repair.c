#include "tests/plugins/image/repair.h"

static uint32_t
checksum(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

void
repair_png(uint8_t *bytes, size_t len)
{
	/* Signature; then length, type, data, checksum. */
	for (size_t at = 8; at + 12 <= len;) {
		uint32_t size = (uint32_t)bytes[at] << 24 | (uint32_t)bytes[at + 1] << 16 |
		                (uint32_t)bytes[at + 2] << 8 | bytes[at + 3];

		if (size > len - at - 12)
			return;
		uint32_t crc = checksum(bytes + at + 4, size + (size_t)4);
		at += size + (size_t)8;
		for (int i = 0; i < 4; i++)
			bytes[at++] = (uint8_t)(crc >> (24 - 8 * i));
	}
}
