/*
 * glob.h - patterns of paths: '*' stands for any run without '/', "**" for any run.
 *
 * All ways in which the text so far may match are followed at once, one bit each, so that no
 * pattern takes longer than another: the time is linear in the text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GLOB_TOKENS_MAX 255
#define GLOB_WORDS 4

/* Bit i: the first i tokens match the text so far. */
struct glob_state {
	uint64_t bits[GLOB_WORDS];
};

struct glob {
	size_t count;                           /* tokens: bytes and stars */
	struct glob_state bytes[UINT8_MAX + 1]; /* tokens that take this byte, once */
	struct glob_state stars;                /* tokens that take any but '/' */
	struct glob_state deep_stars;           /* tokens that take any */
};

/* False when the pattern has more than GLOB_TOKENS_MAX tokens. */
bool glob_compile(struct glob *glob, const char *pattern, size_t len);

struct glob_state glob_start(const struct glob *glob);
void glob_step(const struct glob *glob, struct glob_state *state, const char *text, size_t len);
/* The text so far matches the whole pattern. */
bool glob_accepts(const struct glob *glob, const struct glob_state *state);
/* No text that begins with the text so far matches. */
bool glob_is_dead(const struct glob_state *state);
