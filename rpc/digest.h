/*
 * digest.h - SHA-256, the identity of a module and of every stored chunk.
 *
 * Written for people and in URLs as "sha256:" and 64 lower-case hexadecimal digits (ref.h reads
 * that), and in the field Content-Digest in base64 (accept.h).
 *
 * Threads: all functions are reentrant; a digest_state belongs to one thread at a time
 */
#pragma once

#include <nettle/sha2.h>
#include "rpc/ref.h"

#define DIGEST_BYTES RPC_DIGEST_BYTES
/* "sha256:" + 64 digits + NUL. */
#define DIGEST_TEXT_SIZE RPC_DIGEST_TEXT_MAX
#define DIGEST_HEX_SIZE (2 * DIGEST_BYTES + 1)

struct digest {
	uint8_t bytes[DIGEST_BYTES];
};

/* Incremental form, for bytes that arrive in pieces. */
struct digest_state {
	struct sha256_ctx sha256;
};

void digest_init(struct digest_state *state);
void digest_update(struct digest_state *state, const void *bytes, size_t size_bytes);
/* Afterwards the state is as after digest_init(). */
void digest_finish(struct digest_state *state, struct digest *out);

void digest_of(const void *bytes, size_t size_bytes, struct digest *out);
/* Not in constant time: for names and caches, never for secrets. */
bool digest_equal(const struct digest *a, const struct digest *b);

/* Writes "sha256:<hex>" with its NUL and returns text. */
char *digest_format(const struct digest *digest, char text[DIGEST_TEXT_SIZE]);

/* The digits alone, with a NUL; returns text. */
char *digest_hex(const struct digest *digest, char text[DIGEST_HEX_SIZE]);
/* Exactly the form that digest_hex() writes; false leaves *out as it was. */
bool digest_from_hex(const char *text, struct digest *out);
