/*
 * places.c - the operand stack of a translation: where each value is, and how it gets elsewhere.
 *
 * Between making a value in an accumulator and its use nothing that writes the accumulator is
 * emitted without place_spill first.
 */
#include "vm/interp/translation.h"

static handler
move_from_accumulator(char letter)
{
	return letter == 'f' ? h_move_F : letter == 'd' ? h_move_D : h_move_A;
}

void
place_materialise(struct translation *t, struct entry *e)
{
	struct accumulator *from = e->place == PLACE_VACC ? &t->vacc : &t->acc;

	switch ((enum place)e->place) {
	case PLACE_SLOT:
		return;
	case PLACE_LOCAL:
		emit_move(t, e->letter, e->slot, e->local);
		break;
	case PLACE_CONST:
		emit_const(t, e->slot, e->bits);
		break;
	case PLACE_ACC:
	case PLACE_VACC:
		if (t->failed == VM_OK)
			t->code[from->at].fn = from->to_slot;
		from->entry = NO_ENTRY;
		break;
	}
	e->place = PLACE_SLOT;
	e->producer = NO_WORD;
}

void
place_copy(struct translation *t, const struct entry *e, uint32_t slot)
{
	switch ((enum place)e->place) {
	case PLACE_SLOT:
		emit_move(t, e->letter, slot, e->slot);
		break;
	case PLACE_LOCAL:
		emit_move(t, e->letter, slot, e->local);
		break;
	case PLACE_CONST:
		emit_const(t, slot, e->bits);
		break;
	case PLACE_ACC:
	case PLACE_VACC:
		emit_da(t, move_from_accumulator(e->letter), slot, 0);
		break;
	}
}

uint32_t
place_in_slot(struct translation *t, struct entry *e)
{
	if (e->place == PLACE_LOCAL)
		return e->local;
	place_materialise(t, e);
	return e->slot;
}

/* --- pushing and popping ------------------------------------------------------------------- */

/*
 * Prepare for a push to a slot that is more than a write: let frame and stack grow, and bring the
 * operand that becomes too deep to be looked for into its slot. False after a failure.
 */
VM_COLD static bool
push_room(struct translation *t, uint32_t slot)
{
	place_need_frame(t, (uint64_t)slot + 2);
	if (t->failed != VM_OK ||
	    !translation_reserve(t, (void **)&t->stack, &t->stack_capacity,
	                         (uint64_t)t->depth + 1, sizeof(*t->stack)))
		return false;
	t->depth_limit = t->stack_capacity < LAZY_MAX ? t->stack_capacity : LAZY_MAX;
	if (t->depth >= LAZY_MAX) {
		struct entry *deep = &t->stack[t->depth - LAZY_MAX];

		if (deep->place != PLACE_CONST)
			place_materialise(t, deep);
	}
	return true;
}

static inline struct entry *
push(struct translation *t, enum place place, char letter)
{
	uint32_t slot = place_top_slot(t);

	if ((slot + 2 > t->frame_slots || t->depth >= t->depth_limit) && !push_room(t, slot))
		return &t->scratch_entry;
	struct entry *e = &t->stack[t->depth++];
	*e = (struct entry){
		.place = (uint8_t)place,
		.letter = letter,
		.slot = (uint16_t)slot,
		.producer = NO_WORD,
	};
	return e;
}

void
place_push_slot(struct translation *t, char letter)
{
	(void)push(t, PLACE_SLOT, letter);
}

void
place_push_written(struct translation *t, char letter)
{
	uint32_t producer = t->last;

	push(t, PLACE_SLOT, letter)->producer = producer;
}

void
place_push_local(struct translation *t, uint32_t index)
{
	const struct local *local = &t->locals[index];

	push(t, PLACE_LOCAL, local->letter)->local = local->slot;
}

void
place_push_const(struct translation *t, char letter, uint64_t bits)
{
	push(t, PLACE_CONST, letter)->bits = bits;
}

void
place_push_types(struct translation *t, const vm_valtype *types, uint32_t count)
{
	for (uint32_t i = 0; i < count && t->failed == VM_OK; i++)
		place_push_slot(t, letter_of(types[i]));
}

union word *
place_push_result(struct translation *t, struct handler_pair pair, uint32_t words, char letter,
                  enum vm_op op, uint8_t form)
{
	struct accumulator *acc = letter_is_float(letter) ? &t->vacc : &t->acc;

	if (acc->entry != NO_ENTRY)
		place_spill(t, acc);
	uint32_t slot = place_top_slot(t);
	union word *at = emit_words(t, pair.to_acc, words);
	at[1].d = (uint16_t)slot;
	uint32_t index = t->last;
	struct entry *e = push(t, letter_is_float(letter) ? PLACE_VACC : PLACE_ACC, letter);
	e->producer = index;
	*acc = (struct accumulator){
		.entry = t->depth - 1, .at = index, .to_slot = pair.to_slot, .op = op, .form = form
	};
	/* push may have emitted, and so moved the code. */
	return t->failed == VM_OK ? t->code + index : at;
}

bool
place_take_back(struct translation *t, const struct accumulator *acc, const struct entry *e)
{
	if (!place_is_acc(e) || t->failed != VM_OK || acc->at != t->last || acc->op == VM_OP_COUNT)
		return false;
	t->count = acc->at;
	t->last = NO_WORD;
	return true;
}

/* --- into their slots ---------------------------------------------------------------------- */

void
place_spill(struct translation *t, struct accumulator *acc)
{
	if (acc->entry != NO_ENTRY && t->failed == VM_OK)
		place_materialise(t, &t->stack[acc->entry]);
}

void
place_flush(struct translation *t)
{
	uint32_t from = t->depth > LAZY_MAX ? t->depth - LAZY_MAX - 1 : 0;

	for (uint32_t i = from; i < t->depth; i++)
		if (t->stack[i].place != PLACE_CONST)
			place_materialise(t, &t->stack[i]);
}

void
place_flush_top(struct translation *t, uint32_t count)
{
	for (uint32_t i = t->depth - count; t->failed == VM_OK && i < t->depth; i++)
		place_materialise(t, &t->stack[i]);
}

bool
place_save_local(struct translation *t, uint32_t slot)
{
	bool found = false;
	uint32_t from = t->depth > LAZY_MAX ? t->depth - LAZY_MAX - 1 : 0;

	for (uint32_t i = from; i < t->depth; i++) {
		struct entry *e = &t->stack[i];

		if (e->place == PLACE_LOCAL && e->local == slot) {
			place_materialise(t, e);
			found = true;
		}
	}
	return found;
}

void
place_cut(struct translation *t, uint32_t height)
{
	t->depth = height;
	t->acc.entry = NO_ENTRY;
	t->vacc.entry = NO_ENTRY;
}
