#include "rpc/utf8.h"

/* Length of the valid sequence at s, 0 when there is none; s[0] is not ASCII. */
static size_t
sequence_len(const unsigned char *s, size_t len)
{
	unsigned char lead = s[0];
	/* The second byte's range rules out overlong forms, surrogates and what is too large. */
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t want;

	if (lead >= 0xc2 && lead <= 0xdf) {
		want = 2;
	} else if (lead >= 0xe0 && lead <= 0xef) {
		want = 3;
		low = lead == 0xe0 ? 0xa0 : 0x80;
		high = lead == 0xed ? 0x9f : 0xbf;
	} else if (lead >= 0xf0 && lead <= 0xf4) {
		want = 4;
		low = lead == 0xf0 ? 0x90 : 0x80;
		high = lead == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (len < want || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return want;
}

size_t
rpc_utf8_prefix(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t i = 0;

	while (i < len) {
		uint64_t chunk;

		/* Most text is ASCII: eight bytes at a time. */
		if (len - i >= sizeof chunk) {
			memcpy(&chunk, s + i, sizeof chunk);
			if ((chunk & UINT64_C(0x8080808080808080)) == 0) {
				i += sizeof chunk;
				continue;
			}
		}
		if (s[i] < 0x80) {
			i++;
			continue;
		}
		size_t n = sequence_len(s + i, len - i);
		if (n == 0)
			break;
		i += n;
	}
	return i;
}
