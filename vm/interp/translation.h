/*
 * translation.h - a translation in progress: its state, and what the translator's files offer
 * each other.
 *
 *     translate.c     the walker's back-end: functions, blocks, fuel
 *       instructions.c  what each instruction becomes
 *       calls.c         arguments, calls, tail calls
 *       branches.c      labels, distances to patch, branches, returns
 *         places.c        where the operands are
 *           emit.c          words of code
 *
 * The operand stack of the walk is a list of places where the values are: constants and locals
 * are not copied when they are pushed but used in place, and the result of the last instruction
 * stays in an accumulator if the next one wants it. Only when that does not hold (a merge of
 * control flow, a call, another result) does a value go to its canonical slot, and then the
 * instruction that made it is changed to put it there, so that nothing is added.
 *
 * Everything is linear in the size of the body: values further down than LAZY_MAX are constants
 * or in their slots, so that looking for pending ones looks at LAZY_MAX operands, and the size of
 * the code is bounded by the size of the body.
 *
 * No function here returns a status: the first failure is noted in the translation's failed, all
 * functions stay safe to call behind it, and the back-end reports it to the walker. Whoever reads
 * the code or the stack directly looks at failed before.
 *
 * Owns:    the arrays of the translation, which are kept from function to function
 * Threads: one translation of a module at a time (interp.c's lock)
 */
#pragma once

#include "vm/interp/handlers.h"
#include "vm/load/walk.h"

enum {
	LAZY_MAX = 64,
	NO_WORD = UINT32_MAX,
	NO_ENTRY = UINT32_MAX,
};

/* --- state --------------------------------------------------------------------------------- */

enum place {
	PLACE_SLOT,  /* in its canonical slot */
	PLACE_LOCAL, /* unchanged in the local's slot */
	PLACE_CONST,
	PLACE_ACC,   /* made by the instruction at acc.at */
	PLACE_VACC,
};

struct entry {
	uint8_t place;  /* enum place */
	char letter;    /* i l f d v; references are l */
	uint16_t slot;  /* canonical */
	uint32_t producer; /* instruction that writes it to word 1's d, or NO_WORD */
	union {
		uint64_t bits;  /* PLACE_CONST */
		uint16_t local; /* PLACE_LOCAL: its slot */
	};
};

/* What is in an accumulator. */
struct accumulator {
	uint32_t entry; /* operand it is, or NO_ENTRY */
	uint32_t at;    /* instruction that made it */
	handler to_slot; /* that instruction's handler with the result to slot d */
	enum vm_op op;  /* VM_OP_COUNT when it cannot be fused */
	uint8_t form;
};

struct control {
	enum vm_op op;
	uint32_t height;      /* operands below the parameters */
	uint32_t base_slot;   /* canonical slot of the first parameter and result */
	uint32_t start;       /* loop: word to branch to */
	uint32_t patches;     /* forward branches to the end: chain through the code */
	uint32_t table_patches; /* the same for words of br_tables */
	uint32_t else_patch;  /* if: the branch to the second arm, or NO_WORD */
	uint32_t table;       /* br_table that last made a landing for this label ... */
	uint32_t landing;     /* ... and where */
};

struct local {
	uint16_t slot;
	char letter;
};

struct translation {
	struct vm_backend base;
	const struct vm_engine *engine;
	struct walker *walker;
	struct interp_func *func;
	const struct vm_type *type;

	union word *code;
	uint32_t count, capacity, count_max;
	uint32_t count_limit; /* room without growing: the least of capacity and count_max */
	struct interp_position *positions;
	uint32_t position_count, position_capacity;

	struct entry *stack;
	uint32_t depth, stack_capacity;
	uint32_t depth_limit; /* pushes below are simple: the least of capacity and LAZY_MAX */
	struct control *controls;
	uint32_t control_depth, control_capacity;

	struct local *locals;
	uint32_t local_capacity;
	uint32_t link_slot;
	uint32_t first_slot; /* of operands */
	uint32_t frame_slots; /* most used so far */

	struct accumulator acc, vacc;
	uint32_t last;       /* last instruction emitted, or NO_WORD behind a label */
	uint32_t fuel_at;
	uint64_t offset;     /* of the instruction being translated */
	enum vm_status failed;
	union word scratch_words[4]; /* to write to after a failure */
	struct entry scratch_entry;
};

/* --- letters of types ---------------------------------------------------------------------- */

static inline char
letter_of(vm_valtype type)
{
	switch (type) {
	case VM_I32:
		return 'i';
	case VM_F32:
		return 'f';
	case VM_F64:
		return 'd';
	case VM_V128:
		return 'v';
	default: /* i64 and references */
		return 'l';
	}
}

static inline uint32_t
letter_slots(char letter)
{
	return letter == 'v' ? 2 : 1;
}

static inline bool
letter_is_float(char letter)
{
	return letter == 'f' || letter == 'd';
}

/* --- emit.c: words of code ----------------------------------------------------------------- */

VM_COLD bool translation_grow(struct translation *t, void **array, uint32_t *capacity,
                              uint64_t want, size_t size);

/*
 * Let an array of elements of size bytes have room for want of them. False, with failed set and
 * the array as it was, when it cannot.
 */
static inline bool
translation_reserve(struct translation *t, void **array, uint32_t *capacity, uint64_t want,
                    size_t size)
{
	return want <= *capacity || translation_grow(t, array, capacity, want, size);
}

/* Let there be room for so many words more, or fail. */
VM_COLD bool emit_room(struct translation *t, uint32_t words);

/*
 * Emit an instruction of words words (1 to 4), zero but for its handler; one word with no handler
 * is a word of a table. Returns them, valid until something else is emitted; after a failure
 * scratch ones, so that callers need not look.
 */
static inline union word *
emit_words(struct translation *t, handler fn, uint32_t words)
{
	if (words > t->count_limit - t->count && !emit_room(t, words))
		return t->scratch_words;
	union word *at = t->code + t->count;
	at[0].fn = fn;
	for (uint32_t i = 1; i < words; i++)
		at[i].u64 = 0;
	t->last = t->count;
	t->count += words;
	return at;
}

/* Note that the instruction at t->last can trap or call, and where in the binary it came from. */
void emit_position(struct translation *t);

/* Instructions of two words: slots d and a; slot d and a constant. */
void emit_da(struct translation *t, handler fn, uint32_t d, uint32_t a);
void emit_d_imm(struct translation *t, handler fn, uint32_t d, uint32_t imm);

/* Put a constant into a slot; copy a value from slot to slot, nothing if they are the same. */
void emit_const(struct translation *t, uint32_t slot, uint64_t bits);
void emit_move(struct translation *t, char letter, uint32_t to, uint32_t from);

/* --- places.c: where the operands are ------------------------------------------------------ */

static inline bool
place_is_acc(const struct entry *e)
{
	return e->place == PLACE_ACC || e->place == PLACE_VACC;
}

/* The first slot above the operands: the canonical slot of what is pushed next. */
static inline uint32_t
place_top_slot(const struct translation *t)
{
	if (t->depth == 0)
		return t->first_slot;
	const struct entry *top = &t->stack[t->depth - 1];
	return top->slot + letter_slots(top->letter);
}

/* Let the frame have that many slots, or fail with VM_E_LIMIT. */
static inline void
place_need_frame(struct translation *t, uint64_t slots)
{
	if (slots <= t->frame_slots)
		return;
	if (slots > t->engine->limits.frame_slots_max)
		t->failed = VM_E_LIMIT;
	else
		t->frame_slots = (uint32_t)slots;
}

/*
 * Push an operand: that is in its canonical slot; that the instruction emitted last wrote to the
 * canonical slot in its d; that is in a local; a constant; one in its slot for each type. A push
 * may emit, to bring the operand LAZY_MAX below into its slot.
 */
void place_push_slot(struct translation *t, char letter);
void place_push_written(struct translation *t, char letter);
void place_push_local(struct translation *t, uint32_t index);
void place_push_const(struct translation *t, char letter, uint64_t bits);
void place_push_types(struct translation *t, const vm_valtype *types, uint32_t count);

/*
 * Emit an instruction whose result goes to an accumulator, with the other choice kept for when it
 * must not stay there. op, form: what place_take_back finds, op VM_OP_COUNT for what is never
 * fused. The operands have been popped. Returns the words as emit_words does, with d filled in;
 * the instruction is at the accumulator's at.
 */
union word *place_push_result(struct translation *t, struct handler_pair pair, uint32_t words,
                              char letter, enum vm_op op, uint8_t form);

/* Take the top operand off; if it was in an accumulator that is free for others now. */
static inline struct entry
place_pop(struct translation *t)
{
	if (t->depth == 0) /* only after a failure */
		return (struct entry){ .letter = 'i' };
	struct entry e = t->stack[--t->depth];
	if (e.place == PLACE_ACC)
		t->acc.entry = NO_ENTRY;
	else if (e.place == PLACE_VACC)
		t->vacc.entry = NO_ENTRY;
	return e;
}

/*
 * If the popped value was just made by an instruction that can be fused, take that back: its words
 * are gone, but still there to be read from t->code + t->count until something is emitted.
 */
bool place_take_back(struct translation *t, const struct accumulator *acc, const struct entry *e);

/* Bring a value that is not there into its canonical slot. */
void place_materialise(struct translation *t, struct entry *e);

/* The slot in which a popped value is, having put it there if need be. */
uint32_t place_in_slot(struct translation *t, struct entry *e);

/* Copy a value, wherever it is, into any slot. It stays recorded where it is. */
void place_copy(struct translation *t, const struct entry *e, uint32_t slot);

/* Bring the operand that is in an accumulator, if one is, into its slot. */
void place_spill(struct translation *t, struct accumulator *acc);

/* Bring all operands that depend on locals or accumulators into their slots. */
void place_flush(struct translation *t);

/* Bring the top count operands into their slots, constants too. */
void place_flush_top(struct translation *t, uint32_t count);

/*
 * Save the operands that are in the slot of a local which is about to change. True when there
 * were some, that is, when something was emitted.
 */
bool place_save_local(struct translation *t, uint32_t slot);

/* Cut the stack to a block's start: what was there is gone, also from the accumulators. */
void place_cut(struct translation *t, uint32_t height);

/* --- branches.c: labels, branches, returns -------------------------------------------------- */

/* Behind here code can be reached from elsewhere: nothing may be fused across. */
void branch_bind(struct translation *t);

/*
 * Forward branches to a label are chained, from its *head on, through the field that will hold
 * the distance. Add the one at that word; let them all, and the same for words of tables, go to
 * the end of the code, which is bound.
 */
void branch_chain(struct translation *t, uint32_t *head, uint32_t at);
void branch_resolve(struct translation *t, uint32_t *head);
void branch_resolve_table(struct translation *t, uint32_t *head);

/* The control that a label of a branch means; valid until another is entered. */
struct control *branch_control(struct translation *t, uint32_t label);

/*
 * Emit a conditional branch that is taken when the popped i32 is non-zero (sense) or zero, fused
 * with the instruction that made it where possible. Returns where it is, to be chained or aimed.
 */
uint32_t branch_if(struct translation *t, struct entry *condition, bool sense, bool backward);

/* Return the top operands. */
void branch_return(struct translation *t);

/*
 * Branches to a label, with the values that it takes: br, br_if on a popped condition, br_table,
 * br_on_null and br_on_non_null.
 */
void branch_always(struct translation *t, uint32_t label);
void branch_conditional(struct translation *t, uint32_t label, struct entry *condition);
void branch_table(struct translation *t, const struct walk_labels *labels);
void branch_on_null(struct translation *t, uint32_t label, bool when_null);

/* --- calls.c -------------------------------------------------------------------------------- */

/* call, call_indirect, call_ref: the results are in slots. */
void call_direct(struct translation *t, const struct walk_insn *insn);
void call_indirect(struct translation *t, const struct walk_insn *insn);
void call_ref(struct translation *t, const struct walk_insn *insn);

/* return_call, return_call_indirect, return_call_ref. */
void call_tail(struct translation *t, const struct walk_insn *insn);

/* --- instructions.c ------------------------------------------------------------------------- */

/*
 * Translate an instruction that is not a block, branch or return. VM_E_UNSUPPORTED for those that
 * the interpreter does not run.
 */
void instruction_translate(struct translation *t, const struct walk_insn *insn);
