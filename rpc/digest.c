#include "rpc/digest.h"

_Static_assert(DIGEST_BYTES == SHA256_DIGEST_SIZE, "a digest is a SHA-256");

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
	rpc_digest_text(digest->bytes, text);
	return text;
}

char *
digest_hex(const struct digest *digest, char text[DIGEST_HEX_SIZE])
{
	rpc_hex_encode(digest->bytes, DIGEST_BYTES, text);
	text[DIGEST_HEX_SIZE - 1] = '\0';
	return text;
}

bool
digest_from_hex(const char *text, struct digest *out)
{
	size_t len = strlen(text);

	/* One digest, one spelling: the digits are lower-case. */
	return strspn(text, "0123456789abcdef") == len &&
	       rpc_hex_decode(text, len, out->bytes, DIGEST_BYTES);
}
