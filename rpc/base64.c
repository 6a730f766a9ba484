#include "rpc/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { BAD = 0xff };

/* Value of a character, or BAD. Comparisons rather than a table: nothing to get out of step. */
static uint8_t
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 52);
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return BAD;
}

size_t
rpc_base64_encode(const void *bytes, size_t len, char *out)
{
	const uint8_t *in = bytes;
	char *p = out;

	for (; len >= 3; in += 3, len -= 3) {
		uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
		*p++ = alphabet[v >> 18];
		*p++ = alphabet[v >> 12 & 63];
		*p++ = alphabet[v >> 6 & 63];
		*p++ = alphabet[v & 63];
	}
	if (len > 0) {
		uint32_t v = (uint32_t)in[0] << 16 | (len == 2 ? (uint32_t)in[1] << 8 : 0);
		*p++ = alphabet[v >> 18];
		*p++ = alphabet[v >> 12 & 63];
		*p++ = len == 2 ? alphabet[v >> 6 & 63] : '=';
		*p++ = '=';
	}
	return (size_t)(p - out);
}

/* Decode the count (2 to 4) digits of one group; false stores the index of the wrong one. */
static bool
decode_group(const char *text, size_t count, uint8_t *out, size_t *out_bad)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		uint8_t digit = i < count ? digit_value(text[i]) : 0;
		if (digit == BAD) {
			*out_bad = i;
			return false;
		}
		v = v << 6 | digit;
	}
	/* Bits that no byte takes: with them, two texts would mean the same. */
	if ((count == 2 && (v & 0xffff) != 0) || (count == 3 && (v & 0xff) != 0)) {
		*out_bad = count - 1;
		return false;
	}
	out[0] = (uint8_t)(v >> 16);
	if (count > 2)
		out[1] = (uint8_t)(v >> 8);
	if (count > 3)
		out[2] = (uint8_t)v;
	return true;
}

bool
rpc_base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len, size_t *out_bad)
{
	size_t done = 0;
	size_t bad;

	for (size_t i = 0; i < len; i += 4) {
		size_t count = len - i < 4 ? len - i : 4;
		bool is_last = len - i <= 4;

		if (is_last && count == 4 && text[i + 3] == '=')
			count = text[i + 2] == '=' ? 2 : 3;
		if (!is_last || len % 4 == 0) {
			if (!decode_group(text + i, count, out + done, &bad)) {
				*out_bad = i + bad;
				return false;
			}
			done += count - 1;
			continue;
		}
		/* The text ends inside a group; a wrong character before that comes first. */
		for (bad = 0; bad < count && digit_value(text[i + bad]) != BAD; bad++)
			;
		*out_bad = i + bad;
		return false;
	}
	*out_len = done;
	return true;
}
