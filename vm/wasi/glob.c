/*
 * glob.c - a pattern as sets of bits, one bit a token.
 */
#include "vm/wasi/glob.h"

#include <string.h>

static void
set_bit(struct glob_state *state, size_t bit)
{
	state->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

bool
glob_compile(struct glob *glob, const char *pattern, size_t len)
{
	memset(glob, 0, sizeof *glob);
	for (size_t at = 0; at < len; glob->count++) {
		if (glob->count == GLOB_TOKENS_MAX)
			return false;
		if (pattern[at] != '*') {
			set_bit(&glob->bytes[(uint8_t)pattern[at++]], glob->count);
			continue;
		}
		/* A run of stars is one token, so no two of them are neighbours. */
		size_t first = at;
		while (at < len && pattern[at] == '*')
			at++;
		set_bit(at - first == 1 ? &glob->stars : &glob->deep_stars, glob->count);
	}
	return true;
}

/* A star may also stand for nothing. */
static void
pass_stars(const struct glob *glob, struct glob_state *state)
{
	uint64_t carry = 0;

	for (size_t i = 0; i < GLOB_WORDS; i++) {
		uint64_t at_star =
		    state->bits[i] & (glob->stars.bits[i] | glob->deep_stars.bits[i]);
		state->bits[i] |= at_star << 1 | carry;
		carry = at_star >> 63;
	}
}

struct glob_state
glob_start(const struct glob *glob)
{
	struct glob_state state = { { 1 } };

	pass_stars(glob, &state);
	return state;
}

static void
step_byte(const struct glob *glob, struct glob_state *state, uint8_t byte)
{
	uint64_t carry = 0;

	for (size_t i = 0; i < GLOB_WORDS; i++) {
		uint64_t taken = state->bits[i] & glob->bytes[byte].bits[i];
		uint64_t stays = glob->deep_stars.bits[i];
		if (byte != '/')
			stays |= glob->stars.bits[i];
		state->bits[i] = (state->bits[i] & stays) | taken << 1 | carry;
		carry = taken >> 63;
	}
	pass_stars(glob, state);
}

void
glob_step(const struct glob *glob, struct glob_state *state, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		step_byte(glob, state, (uint8_t)text[i]);
}

bool
glob_accepts(const struct glob *glob, const struct glob_state *state)
{
	return state->bits[glob->count / 64] >> glob->count % 64 & 1;
}

bool
glob_is_dead(const struct glob_state *state)
{
	uint64_t any = 0;

	for (size_t i = 0; i < GLOB_WORDS; i++)
		any |= state->bits[i];
	return any == 0;
}
