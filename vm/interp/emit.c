/*
 * emit.c - words of code, and the arrays of a translation that grow.
 */
#include "vm/interp/translation.h"

bool
translation_grow(struct translation *t, void **array, uint32_t *capacity, uint64_t want,
                 size_t size)
{
	uint64_t larger = *capacity == 0 ? 64 : (uint64_t)*capacity * 2;
	if (larger < want)
		larger = want;
	void *grown = larger > UINT32_MAX
	                  ? NULL
	                  : engine_realloc_array(t->engine, *array, (size_t)larger, size);
	if (grown == NULL) {
		t->failed = VM_E_NOMEM;
		return false;
	}
	*array = grown;
	*capacity = (uint32_t)larger;
	return true;
}

bool
emit_room(struct translation *t, uint32_t words)
{
	const uint64_t want = (uint64_t)t->count + words;

	if (want > t->count_max)
		t->failed = VM_E_LIMIT;
	if (t->failed != VM_OK || !translation_reserve(t, (void **)&t->code, &t->capacity, want,
	                                               sizeof(*t->code)))
		return false;
	t->count_limit = t->capacity < t->count_max ? t->capacity : t->count_max;
	return true;
}

void
emit_position(struct translation *t)
{
	if (t->failed != VM_OK ||
	    !translation_reserve(t, (void **)&t->positions, &t->position_capacity,
	                         (uint64_t)t->position_count + 1, sizeof(*t->positions)))
		return;
	t->positions[t->position_count++] =
	    (struct interp_position){ .word = t->last, .offset = (uint32_t)t->offset };
}

void
emit_da(struct translation *t, handler fn, uint32_t d, uint32_t a)
{
	union word *at = emit_words(t, fn, 2);

	at[1].d = (uint16_t)d;
	at[1].a = (uint16_t)a;
}

void
emit_d_imm(struct translation *t, handler fn, uint32_t d, uint32_t imm)
{
	union word *at = emit_words(t, fn, 2);

	at[1].d_ = (uint16_t)d;
	at[1].imm = (int32_t)imm;
}

void
emit_const(struct translation *t, uint32_t slot, uint64_t bits)
{
	if (bits <= UINT32_MAX) {
		emit_d_imm(t, h_const_32, slot, (uint32_t)bits);
	} else {
		union word *at = emit_words(t, h_const_64, 3);

		at[1].d = (uint16_t)slot;
		at[2].u64 = bits;
	}
}

void
emit_move(struct translation *t, char letter, uint32_t to, uint32_t from)
{
	if (to != from)
		emit_da(t, letter == 'v' ? h_move_v128 : h_move_S, to, from);
}
