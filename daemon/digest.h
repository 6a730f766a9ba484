/*
 * digest.h - SHA-256, the identity of a module and of every stored chunk.
 *
 * Written for people and in URLs as "sha256:" and 64 lower-case hexadecimal digits.
 *
 * Threads: all functions are reentrant; a digest_state belongs to one thread at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <nettle/sha2.h>

#define DIGEST_BYTES 32
/* "sha256:" + 64 digits + NUL. */
#define DIGEST_TEXT_SIZE 72

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
/* Accepts exactly the form that digest_format() writes; false leaves *out as it was. */
bool digest_parse(const char *text, struct digest *out);

/* Lower-case hexadecimal; text has room for 2 * size_bytes + 1 characters. */
void hex_encode(const uint8_t *bytes, size_t size_bytes, char *text);
/* Exactly 2 * size_bytes lower-case digits followed by NUL, or false. */
bool hex_decode(const char *text, uint8_t *bytes, size_t size_bytes);
