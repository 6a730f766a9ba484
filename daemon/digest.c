#include "daemon/digest.h"

#include <string.h>

#define PREFIX "sha256:"
#define PREFIX_LEN (sizeof PREFIX - 1)

_Static_assert(DIGEST_BYTES == SHA256_DIGEST_SIZE, "a digest is a SHA-256");
_Static_assert(DIGEST_TEXT_SIZE == PREFIX_LEN + 2 * DIGEST_BYTES + 1, "room for the text");

void
digest_init(struct digest_state *state)
{
	sha256_init(&state->sha256);
}

void
digest_update(struct digest_state *state, const void *bytes, size_t size_bytes)
{
	sha256_update(&state->sha256, size_bytes, bytes);
}

void
digest_finish(struct digest_state *state, struct digest *out)
{
	sha256_digest(&state->sha256, DIGEST_BYTES, out->bytes);
}

void
digest_of(const void *bytes, size_t size_bytes, struct digest *out)
{
	struct digest_state state;

	digest_init(&state);
	digest_update(&state, bytes, size_bytes);
	digest_finish(&state, out);
}

bool
digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

char *
digest_format(const struct digest *digest, char text[DIGEST_TEXT_SIZE])
{
	memcpy(text, PREFIX, PREFIX_LEN);
	hex_encode(digest->bytes, DIGEST_BYTES, text + PREFIX_LEN);
	return text;
}

bool
digest_parse(const char *text, struct digest *out)
{
	return strncmp(text, PREFIX, PREFIX_LEN) == 0 &&
	       hex_decode(text + PREFIX_LEN, out->bytes, DIGEST_BYTES);
}

static const char hex_digits[] = "0123456789abcdef";

void
hex_encode(const uint8_t *bytes, size_t size_bytes, char *text)
{
	for (size_t i = 0; i < size_bytes; i++) {
		*text++ = hex_digits[bytes[i] >> 4];
		*text++ = hex_digits[bytes[i] & 15];
	}
	*text = '\0';
}

/* 0..15, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool
hex_decode(const char *text, uint8_t *bytes, size_t size_bytes)
{
	if (strspn(text, hex_digits) != 2 * size_bytes || text[2 * size_bytes] != '\0')
		return false;
	for (size_t i = 0; i < size_bytes; i++)
		bytes[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return true;
}
