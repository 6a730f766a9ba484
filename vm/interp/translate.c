/*
 * translate.c - the walker's back-end that makes interpreter code.
 *
 * It keeps the operand stack of the walk as a list of places where the values are: constants and
 * locals are not copied when they are pushed but used in place, and the result of the last
 * instruction stays in an accumulator if the next one wants it. Only when that does not hold (a
 * merge of control flow, a call, another result) does a value go to its canonical slot, and
 * then the instruction that made it is changed to put it there, so that nothing is added.
 *
 * Everything is linear in the size of the body: values further down than LAZY_MAX are always in
 * their slots, so that looking for pending ones looks at LAZY_MAX operands, and the size of the
 * code is bounded by the size of the body.
 *
 * Spec:    Core 3.0, section 4.6 (what is to be computed)
 * Owns:    the translation in progress
 * Threads: one translation of a module at a time (interp.c's lock)
 */
#include "vm/interp/translate.h"

#include <string.h>
#include "vm/interp/handlers.h"
#include "vm/load/walk.h"

enum {
	LAZY_MAX = 64,
	WORDS_PER_BYTE_MAX = 8,
	WORDS_SPARE = 65536,
	NO_WORD = UINT32_MAX,
	NO_ENTRY = UINT32_MAX,
};

/* --- rows of the opcode table ---------------------------------------------------------------- */

enum row_kind { KIND_OTHER, KIND_COMPARE, KIND_BINARY, KIND_UNARY, KIND_LOAD, KIND_STORE,
	KIND_VECTOR };

struct row {
	uint8_t kind; /* enum row_kind */
	char in, out; /* letters */
	const handler *table;  /* [form][to slot, to accumulator]; stores [form] */
	const handler *branch; /* comparisons: [form][sense][backward] */
	const handler *any;    /* loads and stores of any memory */
};

#define ROW_COMPARE(symbol, A)                                                                     \
	[VM_OP_##symbol] = { KIND_COMPARE, #A[0], 'i', &binary_##symbol[0][0],                     \
	                     &branch_##symbol[0][0][0], NULL },
#define ROW_BINARY(symbol, A, R)                                                                   \
	[VM_OP_##symbol] = { KIND_BINARY, #A[0], #R[0], &binary_##symbol[0][0], NULL, NULL },
#define ROW_UNARY(symbol, A, R)                                                                    \
	[VM_OP_##symbol] = { KIND_UNARY, #A[0], #R[0], &unary_##symbol[0][0], NULL, NULL },
#define ROW_LOAD(symbol, R)                                                                        \
	[VM_OP_##symbol] = { KIND_LOAD, 0, #R[0], &load_##symbol[0][0], NULL, &load_any_##symbol },
#define ROW_STORE(symbol, A)                                                                       \
	[VM_OP_##symbol] = { KIND_STORE, #A[0], 0, &store_##symbol[0], NULL, &store_any_##symbol },
#define ROW_VECTOR(symbol, imm, sig)                                                               \
	[VM_OP_##symbol] = { KIND_VECTOR, 0, 0, &vector_##symbol, NULL, NULL },
#define ROW_OTHER(symbol) [VM_OP_##symbol] = { KIND_OTHER, 0, 0, NULL, NULL, NULL },

static const struct row rows[VM_OP_COUNT] = {
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"
};

/* The comparison that gives the same with its operands exchanged; VM_OP_COUNT when none does. */
static enum vm_op
exchanged(enum vm_op op)
{
	static const enum vm_op pairs[][2] = {
		{ VM_OP_I32_EQ, VM_OP_I32_EQ },     { VM_OP_I32_NE, VM_OP_I32_NE },
		{ VM_OP_I32_LT_S, VM_OP_I32_GT_S }, { VM_OP_I32_LT_U, VM_OP_I32_GT_U },
		{ VM_OP_I32_LE_S, VM_OP_I32_GE_S }, { VM_OP_I32_LE_U, VM_OP_I32_GE_U },
		{ VM_OP_I64_EQ, VM_OP_I64_EQ },     { VM_OP_I64_NE, VM_OP_I64_NE },
		{ VM_OP_I64_LT_S, VM_OP_I64_GT_S }, { VM_OP_I64_LT_U, VM_OP_I64_GT_U },
		{ VM_OP_I64_LE_S, VM_OP_I64_GE_S }, { VM_OP_I64_LE_U, VM_OP_I64_GE_U },
		{ VM_OP_F32_EQ, VM_OP_F32_EQ },     { VM_OP_F32_NE, VM_OP_F32_NE },
		{ VM_OP_F32_LT, VM_OP_F32_GT },     { VM_OP_F32_LE, VM_OP_F32_GE },
		{ VM_OP_F64_EQ, VM_OP_F64_EQ },     { VM_OP_F64_NE, VM_OP_F64_NE },
		{ VM_OP_F64_LT, VM_OP_F64_GT },     { VM_OP_F64_LE, VM_OP_F64_GE },
		{ VM_OP_I32_ADD, VM_OP_I32_ADD },   { VM_OP_I32_AND, VM_OP_I32_AND },
		{ VM_OP_I32_OR, VM_OP_I32_OR },     { VM_OP_I32_XOR, VM_OP_I32_XOR },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (pairs[i][0] == op)
			return pairs[i][1];
		if (pairs[i][1] == op)
			return pairs[i][0];
	}
	return VM_OP_COUNT;
}

/* --- state ------------------------------------------------------------------------------------ */

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
	uint16_t local; /* PLACE_LOCAL: its slot */
	uint32_t producer; /* instruction that writes it to word 1's d, or NO_WORD */
	uint64_t bits;  /* PLACE_CONST */
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

struct translation {
	struct vm_backend base;
	const struct vm_engine *engine;
	struct walker *walker;
	struct interp_func *func;
	const struct vm_type *type;

	union word *code;
	uint32_t count, capacity, count_max;
	struct interp_position *positions;
	uint32_t position_count, position_capacity;

	struct entry *stack;
	uint32_t depth, stack_capacity;
	struct control *controls;
	uint32_t control_depth, control_capacity;

	uint16_t *local_slots;
	char *local_letters;
	uint32_t link_slot;
	uint32_t first_slot; /* of operands */
	uint32_t frame_slots; /* most used so far */

	struct accumulator acc, vacc;
	uint32_t last;       /* last instruction emitted, or NO_WORD behind a label */
	uint32_t fuel_at;
	uint64_t offset;     /* of the instruction being translated */
	enum vm_status failed;
};

static char
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

static uint32_t
slots_of(char letter)
{
	return letter == 'v' ? 2 : 1;
}

static bool
is_float(char letter)
{
	return letter == 'f' || letter == 'd';
}

/* --- growing arrays ---------------------------------------------------------------------------- */

static bool
reserve(struct translation *t, void **array, uint32_t *capacity, uint64_t want, size_t size)
{
	if (want <= *capacity)
		return true;
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

/* --- emitting ----------------------------------------------------------------------------------- */

/* The words of a new instruction, valid until the next; a scratch one after a failure. */
static union word *
emit(struct translation *t, handler fn, uint32_t words)
{
	static _Thread_local union word scratch[4];

	if ((uint64_t)t->count + words > t->count_max)
		t->failed = VM_E_LIMIT;
	if (t->failed != VM_OK ||
	    !reserve(t, (void **)&t->code, &t->capacity, (uint64_t)t->count + words, sizeof(*t->code)))
		return scratch;
	union word *at = t->code + t->count;
	memset(at, 0, words * sizeof(*at));
	at[0].fn = fn;
	t->last = t->count;
	t->count += words;
	return at;
}

/* Note that the instruction emitted last can trap or call. */
static void
note_position(struct translation *t)
{
	if (t->failed != VM_OK ||
	    !reserve(t, (void **)&t->positions, &t->position_capacity,
	             (uint64_t)t->position_count + 1, sizeof(*t->positions)))
		return;
	t->positions[t->position_count++] =
	    (struct interp_position){ .word = t->last, .offset = (uint32_t)t->offset };
}

static void
emit_da(struct translation *t, handler fn, uint32_t d, uint32_t a)
{
	union word *at = emit(t, fn, 2);

	at[1].d = (uint16_t)d;
	at[1].a = (uint16_t)a;
}

static void
emit_d_imm(struct translation *t, handler fn, uint32_t d, uint32_t imm)
{
	union word *at = emit(t, fn, 2);

	at[1].d_ = (uint16_t)d;
	at[1].imm = (int32_t)imm;
}

static void
emit_const(struct translation *t, uint32_t slot, uint64_t bits)
{
	if (bits <= UINT32_MAX) {
		emit_d_imm(t, h_const_32, slot, (uint32_t)bits);
	} else {
		union word *at = emit(t, h_const_64, 3);

		at[1].d = (uint16_t)slot;
		at[2].u64 = bits;
	}
}

static void
emit_move(struct translation *t, char letter, uint32_t to, uint32_t from)
{
	if (to != from)
		emit_da(t, letter == 'v' ? h_move_v128 : h_move_S, to, from);
}

/* --- the stack of places -------------------------------------------------------------------------- */

/* The first slot above the operands. */
static uint32_t
top_slot(const struct translation *t)
{
	if (t->depth == 0)
		return t->first_slot;
	const struct entry *top = &t->stack[t->depth - 1];
	return top->slot + slots_of(top->letter);
}

static void
note_frame(struct translation *t, uint64_t slots)
{
	if (slots > t->engine->limits.frame_slots_max)
		t->failed = VM_E_LIMIT;
	else if (slots > t->frame_slots)
		t->frame_slots = (uint32_t)slots;
}

static handler
move_from_accumulator(char letter)
{
	return letter == 'f' ? h_move_F : letter == 'd' ? h_move_D : h_move_A;
}

/* Bring a value that is not there into its canonical slot. */
static void
materialise(struct translation *t, struct entry *e)
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

static struct entry *
push(struct translation *t, enum place place, char letter)
{
	static _Thread_local struct entry scratch;
	uint32_t slot = top_slot(t);

	note_frame(t, (uint64_t)slot + 2);
	if (t->failed != VM_OK || !reserve(t, (void **)&t->stack, &t->stack_capacity,
	                                   (uint64_t)t->depth + 1, sizeof(*t->stack)))
		return &scratch;
	if (t->depth >= LAZY_MAX) {
		struct entry *deep = &t->stack[t->depth - LAZY_MAX];

		if (deep->place != PLACE_CONST)
			materialise(t, deep);
	}
	struct entry *e = &t->stack[t->depth++];
	*e = (struct entry){
		.place = (uint8_t)place, .letter = letter, .slot = (uint16_t)slot, .producer = NO_WORD
	};
	return e;
}

/* Take the top operand off; if it was in an accumulator that is free for others now. */
static struct entry
pop(struct translation *t)
{
	if (t->depth == 0) { /* only after a failure */
		return (struct entry){ .letter = 'i' };
	}
	struct entry e = t->stack[--t->depth];
	if (e.place == PLACE_ACC)
		t->acc.entry = NO_ENTRY;
	else if (e.place == PLACE_VACC)
		t->vacc.entry = NO_ENTRY;
	return e;
}

/* The slot in which a popped value is, having put it there if need be. */
static uint32_t
slot_operand(struct translation *t, struct entry *e)
{
	if (e->place == PLACE_LOCAL)
		return e->local;
	materialise(t, e);
	return e->slot;
}

static void
spill(struct translation *t, struct accumulator *acc)
{
	if (acc->entry != NO_ENTRY && t->failed == VM_OK)
		materialise(t, &t->stack[acc->entry]);
}

/* Bring the values that depend on locals or accumulators into their slots. */
static void
flush(struct translation *t)
{
	uint32_t from = t->depth > LAZY_MAX ? t->depth - LAZY_MAX - 1 : 0;

	for (uint32_t i = from; i < t->depth; i++)
		if (t->stack[i].place != PLACE_CONST)
			materialise(t, &t->stack[i]);
}

/* Bring the top count operands into their slots. */
static void
flush_top(struct translation *t, uint32_t count)
{
	for (uint32_t i = t->depth - count; t->failed == VM_OK && i < t->depth; i++)
		materialise(t, &t->stack[i]);
}

static void
push_slot(struct translation *t, char letter)
{
	(void)push(t, PLACE_SLOT, letter);
}

/* Push the result of the instruction emitted last, which wrote it to the canonical slot in d. */
static void
push_written(struct translation *t, char letter)
{
	uint32_t producer = t->last;

	push(t, PLACE_SLOT, letter)->producer = producer;
}

static void
push_const(struct translation *t, char letter, uint64_t bits)
{
	push(t, PLACE_CONST, letter)->bits = bits;
}

static void
push_types(struct translation *t, const vm_valtype *types, uint32_t count)
{
	for (uint32_t i = 0; i < count && t->failed == VM_OK; i++)
		push_slot(t, letter_of(types[i]));
}

/*
 * Emit an instruction whose result goes to an accumulator, with the other choice kept for when it
 * must not stay there. pair: handlers with the result to slot d, to the accumulator. The operands
 * have been popped. Returns the words, in which d is filled in.
 */
static union word *
emit_result(struct translation *t, const handler pair[2], uint32_t words, char letter,
            enum vm_op op, uint8_t form)
{
	struct accumulator *acc = is_float(letter) ? &t->vacc : &t->acc;

	spill(t, acc);
	uint32_t slot = top_slot(t);
	union word *at = emit(t, pair[1], words);
	at[1].d = (uint16_t)slot;
	uint32_t index = t->last;
	struct entry *e = push(t, is_float(letter) ? PLACE_VACC : PLACE_ACC, letter);
	e->producer = index;
	*acc = (struct accumulator){
		.entry = t->depth - 1, .at = index, .to_slot = pair[0], .op = op, .form = form
	};
	/* push may have emitted, and so moved the code. */
	return t->failed == VM_OK ? t->code + index : at;
}

/* --- numeric instructions ------------------------------------------------------------------------- */

/* Whether a constant fits behind the slots of an instruction. */
static bool
fits_imm(const struct entry *e)
{
	return e->letter != 'l' || (int64_t)e->bits == (int32_t)e->bits;
}

static bool
is_acc(const struct entry *e)
{
	return e->place == PLACE_ACC || e->place == PLACE_VACC;
}

static bool
is_imm(const struct entry *e)
{
	return e->place == PLACE_CONST && fits_imm(e);
}

static void
set_imm(union word *at, const struct entry *e)
{
	if (is_float(e->letter))
		at[2].u64 = e->bits;
	else
		at[1].imm = (int32_t)e->bits;
}

static void
binary(struct translation *t, enum vm_op op, const struct row *row)
{
	struct entry b = pop(t);
	struct entry a = pop(t);
	enum form2 form;
	uint32_t slot_a = 0, slot_b = 0;
	const struct entry *imm = NULL;

	if (is_imm(&a) && is_imm(&b))
		materialise(t, &a);
	if (is_imm(&b)) {
		imm = &b;
		form = is_acc(&a) ? FORM_AI : FORM_SI;
		if (form == FORM_SI)
			slot_a = slot_operand(t, &a);
	} else if (is_imm(&a)) {
		imm = &a;
		form = is_acc(&b) ? FORM_IA : FORM_IS;
		if (form == FORM_IS)
			slot_a = slot_operand(t, &b); /* the one slot is in a */
	} else if (is_acc(&a)) {
		form = FORM_AS;
		slot_b = slot_operand(t, &b);
	} else if (is_acc(&b)) {
		form = FORM_SA;
		slot_a = slot_operand(t, &a);
	} else {
		form = FORM_SS;
		slot_a = slot_operand(t, &a);
		slot_b = slot_operand(t, &b);
	}
	uint32_t words = imm != NULL && is_float(imm->letter) ? 3 : 2;
	union word *at = emit_result(t, row->table + 2 * form, words, row->out, op, (uint8_t)form);
	at[1].a = (uint16_t)slot_a;
	if (imm != NULL)
		set_imm(at, imm);
	else
		at[1].b = (uint16_t)slot_b;
}

static void
unary(struct translation *t, enum vm_op op, const struct row *row)
{
	struct entry a = pop(t);
	enum form1 form = is_acc(&a) ? FORM_A : FORM_S;
	uint32_t slot = form == FORM_S ? slot_operand(t, &a) : 0;

	emit_result(t, row->table + 2 * form, 2, row->out, op, (uint8_t)form)[1].a = (uint16_t)slot;
}

/* --- loads and stores -------------------------------------------------------------------------------- */

/* Whether the access goes to memory 0 with 32-bit addresses and an offset of 32 bits. */
static bool
is_direct(const struct walk_insn *insn)
{
	const struct walk_memarg *memarg = &insn->imm.memarg;

	return memarg->memory == 0 && !memarg->is_64 && memarg->offset <= UINT32_MAX;
}

/* If the value was just made by an instruction that can be fused, take that back. */
static bool
take_back(struct translation *t, const struct accumulator *acc, const struct entry *e)
{
	if (!is_acc(e) || t->failed != VM_OK || acc->at != t->last || acc->op == VM_OP_COUNT)
		return false;
	t->count = acc->at;
	t->last = NO_WORD;
	return true;
}

static void
load(struct translation *t, const struct walk_insn *insn, const struct row *row)
{
	const struct walk_memarg *memarg = &insn->imm.memarg;
	struct entry address = pop(t);

	if (!is_direct(insn)) {
		uint32_t slot = slot_operand(t, &address);
		uint32_t to = top_slot(t);
		union word *at = emit(t, *row->any, 4);

		at[1].d = (uint16_t)to;
		at[1].a = (uint16_t)slot;
		at[2].u64 = memarg->offset;
		at[3].u64 = memarg->memory;
		note_position(t);
		push_written(t, row->out);
		return;
	}
	bool is_sum = is_acc(&address) && t->acc.op == VM_OP_I32_ADD &&
	              (t->acc.form == FORM_SS || t->acc.form == FORM_AS);
	uint8_t sum_form = t->acc.form;
	if (is_sum && take_back(t, &t->acc, &address)) {
		union word sum = t->code[t->count + 1]; /* still there */
		union word *at = emit_result(
		    t, row->table + 2 * (sum_form == FORM_SS ? LOAD_SS : LOAD_AS), 3, row->out,
		    VM_OP_COUNT, 0);

		at[1].a = sum.a;
		at[1].b = sum.b;
		at[2].u64 = memarg->offset;
	} else {
		enum form_load form = is_acc(&address) ? LOAD_A : LOAD_S;
		uint32_t slot = form == LOAD_S ? slot_operand(t, &address) : 0;
		union word *at =
		    emit_result(t, row->table + 2 * form, 2, row->out, VM_OP_COUNT, 0);

		at[1].a_ = (uint16_t)slot;
		at[1].imm = (int32_t)(uint32_t)memarg->offset;
	}
	uint32_t last = t->last; /* the push may have emitted behind */
	t->last = (is_float(row->out) ? t->vacc : t->acc).at;
	note_position(t);
	t->last = last;
}

static void
store(struct translation *t, const struct walk_insn *insn, const struct row *row)
{
	const struct walk_memarg *memarg = &insn->imm.memarg;
	struct entry value = pop(t);
	struct entry address = pop(t);

	if (!is_direct(insn)) {
		uint32_t value_slot = slot_operand(t, &value);
		uint32_t slot = slot_operand(t, &address);
		union word *at = emit(t, *row->any, 4);

		at[1].d = (uint16_t)value_slot;
		at[1].a = (uint16_t)slot;
		at[2].u64 = memarg->offset;
		at[3].u64 = memarg->memory;
		note_position(t);
		return;
	}
	enum form_store form;
	uint32_t d = 0, a = 0;
	bool small = value.place == PLACE_CONST && !is_float(row->in) &&
	             (row->in == 'i' ? (int32_t)value.bits == (int16_t)value.bits
	                             : (int64_t)value.bits == (int16_t)value.bits);
	if (small) {
		form = is_acc(&address) ? STORE_AI : STORE_SI;
		d = (uint16_t)value.bits;
	} else if (is_acc(&value)) {
		form = is_acc(&address) ? STORE_AV : STORE_SA;
	} else {
		form = is_acc(&address) ? STORE_AS : STORE_SS;
		d = slot_operand(t, &value);
	}
	if (!is_acc(&address))
		a = slot_operand(t, &address);
	union word *at = emit(t, row->table[form], 2);
	at[1].d_ = (uint16_t)d;
	at[1].a_ = (uint16_t)a;
	at[1].imm = (int32_t)(uint32_t)memarg->offset;
	note_position(t);
}

/* --- vectors ------------------------------------------------------------------------------------------ */

/*
 * All operands are in slots: d result (or first operand where there is none), a, b, e operands in
 * order, a lane index in e. Memory accesses have the offset in word 2, and in word 3 the memory
 * and, 32 bits up, the lane; a shuffle its lanes in words 2 and 3.
 */
static void
vector(struct translation *t, const struct walk_insn *insn, const struct row *row)
{
	const struct opcode_info *info = &opcode_table[insn->op];
	uint32_t slots[3] = { 0, 0, 0 };
	size_t operands = strcspn(info->sig, "_");
	char result = info->sig[operands + 1];
	bool wide = info->imm == IMM_MEMARG || info->imm == IMM_MEMARG_LANE ||
	            info->imm == IMM_SHUFFLE;

	for (size_t i = operands; i-- > 0;) {
		struct entry e = pop(t);

		slots[i] = slot_operand(t, &e);
	}
	uint32_t to = top_slot(t);
	union word *at = emit(t, row->table[0], wide ? 4 : 2);
	at[1].d = (uint16_t)to;
	at[1].a = (uint16_t)slots[0];
	at[1].b = (uint16_t)slots[1];
	at[1].e = (uint16_t)slots[2];
	if (info->imm == IMM_LANE) {
		at[1].e = insn->imm.lane;
	} else if (info->imm == IMM_SHUFFLE) {
		memcpy(&at[2], insn->imm.v128, 16);
	} else if (wide) {
		at[2].u64 = insn->imm.memarg.offset;
		at[3].u64 = insn->imm.memarg.memory | (uint64_t)insn->imm.memarg.lane << 32;
		note_position(t);
	}
	if (result != '\0')
		push_written(t, result);
}

static void
vector_const(struct translation *t, const struct walk_insn *insn)
{
	uint32_t to = top_slot(t);
	union word *at = emit(t, h_const_v128, 4);

	at[1].d = (uint16_t)to;
	memcpy(&at[2], insn->imm.v128, 16);
	push_written(t, 'v');
}

/* --- locals, globals, select ---------------------------------------------------------------------------- */

/* Values on the stack that are in a local which is about to change must be saved. */
static bool
save_local(struct translation *t, uint32_t slot)
{
	bool found = false;
	uint32_t from = t->depth > LAZY_MAX ? t->depth - LAZY_MAX - 1 : 0;

	for (uint32_t i = from; i < t->depth; i++) {
		struct entry *e = &t->stack[i];

		if (e->place == PLACE_LOCAL && e->local == slot) {
			materialise(t, e);
			found = true;
		}
	}
	return found;
}

static void
local_get(struct translation *t, uint32_t index)
{
	push(t, PLACE_LOCAL, t->local_letters[index])->local = t->local_slots[index];
}

static void
local_set(struct translation *t, uint32_t index)
{
	uint32_t slot = t->local_slots[index];
	struct entry e = pop(t);
	bool just_made = t->failed == VM_OK && e.producer != NO_WORD && e.producer == t->last;

	if (e.place == PLACE_LOCAL && e.local == slot)
		return;
	if (save_local(t, slot))
		just_made = false;
	switch ((enum place)e.place) {
	case PLACE_SLOT:
	case PLACE_ACC:
	case PLACE_VACC:
		if (just_made) {
			if (is_acc(&e))
				t->code[t->last].fn =
				    (e.place == PLACE_VACC ? &t->vacc : &t->acc)->to_slot;
			t->code[t->last + 1].d = (uint16_t)slot;
		} else if (is_acc(&e)) {
			emit_da(t, move_from_accumulator(e.letter), slot, 0);
		} else {
			emit_move(t, e.letter, slot, e.slot);
		}
		break;
	case PLACE_LOCAL:
		emit_move(t, e.letter, slot, e.local);
		break;
	case PLACE_CONST:
		emit_const(t, slot, e.bits);
		break;
	}
}

static void
global_get(struct translation *t, const struct walk_insn *insn)
{
	static const handler to_acc[2] = { h_global_get_S, h_global_get_A };
	static const handler to_vacc[2] = { h_global_get_S, h_global_get_F };
	char letter = letter_of(insn->type);
	uint32_t index = insn->imm.index.index;

	if (letter == 'v') {
		uint32_t to = top_slot(t);

		emit_d_imm(t, h_global_get_v128, to, index);
		push_written(t, 'v');
		return;
	}
	emit_result(t, is_float(letter) ? to_vacc : to_acc, 2, letter, VM_OP_COUNT, 0)[1].imm =
	    (int32_t)index;
}

static void
global_set(struct translation *t, const struct walk_insn *insn)
{
	struct entry e = pop(t);
	uint32_t index = insn->imm.index.index;

	if (e.letter == 'v')
		emit_d_imm(t, h_global_set_v128, slot_operand(t, &e), index);
	else if (e.place == PLACE_ACC)
		emit_d_imm(t, h_global_set_A, 0, index);
	else
		emit_d_imm(t, h_global_set_S, slot_operand(t, &e), index);
}

static void
select_(struct translation *t)
{
	struct entry condition = pop(t);
	struct entry b = pop(t);
	struct entry a = pop(t);
	bool in_acc = condition.place == PLACE_ACC && a.letter != 'v';
	uint32_t e = in_acc ? 0 : slot_operand(t, &condition);
	uint32_t slot_a = slot_operand(t, &a);
	uint32_t slot_b = slot_operand(t, &b);
	uint32_t to = top_slot(t);
	union word *at =
	    emit(t, a.letter == 'v' ? h_select_v128 : in_acc ? h_select_A : h_select_S, 2);

	at[1].d = (uint16_t)to;
	at[1].a = (uint16_t)slot_a;
	at[1].b = (uint16_t)slot_b;
	at[1].e = (uint16_t)e;
	push_written(t, a.letter);
}

/* --- branches ------------------------------------------------------------------------------------------ */

/* Behind here code can be reached from elsewhere: nothing may be fused across. */
static void
bind_here(struct translation *t)
{
	t->last = NO_WORD;
}

/*
 * Forward branches to a label are chained through the field that will hold the distance.
 */
static void
chain(struct translation *t, uint32_t *head, uint32_t at)
{
	if (t->failed == VM_OK)
		t->code[at + 1].imm = (int32_t)*head;
	*head = at;
}

static void
resolve(struct translation *t, uint32_t *head)
{
	uint32_t at = *head;

	*head = NO_WORD;
	while (at != NO_WORD && t->failed == VM_OK) {
		uint32_t next = (uint32_t)t->code[at + 1].imm;

		t->code[at + 1].imm = (int32_t)(t->count - at);
		at = next;
	}
	bind_here(t);
}

/* Words of tables hold the previous one of their chain, and above it their instruction. */
static void
chain_table(struct translation *t, uint32_t *head, uint32_t table, uint32_t word)
{
	t->code[word].u64 = *head | (uint64_t)table << 32;
	*head = word;
}

static void
resolve_table(struct translation *t, uint32_t *head)
{
	uint32_t word = *head;

	*head = NO_WORD;
	while (word != NO_WORD && t->failed == VM_OK) {
		uint32_t next = (uint32_t)t->code[word].u64;
		uint32_t table = (uint32_t)(t->code[word].u64 >> 32);

		t->code[word].offset = (int64_t)t->count - table;
		word = next;
	}
	bind_here(t);
}

static struct control *
control_at(struct translation *t, uint32_t label)
{
	return &t->controls[t->control_depth - 1 - label];
}

/* Let the branch emitted last go to a label. */
static void
aim(struct translation *t, struct control *target, uint32_t at)
{
	if (target->op != VM_OP_LOOP)
		chain(t, &target->patches, at);
	else if (t->failed == VM_OK)
		t->code[at + 1].imm = (int32_t)(target->start - at);
}

/*
 * Emit a conditional branch that is taken when the popped i32 is non-zero (sense) or zero, fused
 * with the comparison that made it where possible. Returns where it is, to be aimed.
 */
static uint32_t
emit_branch_if(struct translation *t, struct entry *condition, bool sense, bool backward)
{
	static const handler plain[2][2][2] = {
		/* [sense][accumulator][backward] */
		{ { h_branch_z_S, h_branch_z_S_back }, { h_branch_z_A, h_branch_z_A_back } },
		{ { h_branch_nz_S, h_branch_nz_S_back }, { h_branch_nz_A, h_branch_nz_A_back } },
	};
	static const handler plain64[2][2][2] = {
		{ { h_branch_z64_S, h_branch_z64_S_back }, { h_branch_z64_A, h_branch_z64_A_back } },
		{ { h_branch_nz64_S, h_branch_nz64_S_back },
		  { h_branch_nz64_A, h_branch_nz64_A_back } },
	};
	enum vm_op op = t->acc.op;
	uint8_t form = t->acc.form;
	bool fresh = is_acc(condition) && t->failed == VM_OK && t->acc.at == t->last &&
	             op != VM_OP_COUNT && !(opcode_table[op].flags & OPF_TRAP);

	if (fresh && (op == VM_OP_I32_EQZ || op == VM_OP_I64_EQZ) &&
	    take_back(t, &t->acc, condition)) {
		uint16_t slot = t->code[t->count + 1].a;

		emit_d_imm(t, (op == VM_OP_I32_EQZ ? plain : plain64)[!sense][form == FORM_A][backward],
		           slot, 0);
		return t->last;
	}
	if (fresh && rows[op].kind == KIND_COMPARE) {
		bool swap = form == FORM_SA || form == FORM_IS || form == FORM_IA;
		enum vm_op used = swap ? exchanged(op) : op;
		union word made[3];
		memcpy(made, t->code + t->last, (t->count - t->last) * sizeof(made[0]));
		bool has_imm = form == FORM_SI || form == FORM_AI || form == FORM_IS || form == FORM_IA;
		bool is_wide = has_imm && is_float(rows[op].in);
		bool fits = !has_imm || is_wide || made[1].imm == (int16_t)made[1].imm;

		if (used != VM_OP_COUNT && fits && take_back(t, &t->acc, condition)) {
			bool from_acc =
			    form == FORM_AS || form == FORM_SA || form == FORM_AI || form == FORM_IA;
			enum form_branch kind = has_imm ? (from_acc ? BRANCH_AI : BRANCH_SI)
			                                : (from_acc ? BRANCH_AS : BRANCH_SS);
			union word *at = emit(t, rows[used].branch[kind * 4 + !sense * 2 + backward],
			                      is_wide ? 3 : 2);

			/* d and a: the operands in order; one slot is in a unless there is a constant */
			if (kind == BRANCH_SS) {
				at[1].d_ = made[1].a;
				at[1].a_ = made[1].b;
			} else if (kind == BRANCH_AS) {
				at[1].a_ = form == FORM_AS ? made[1].b : made[1].a;
			} else {
				at[1].d_ = made[1].a;
				if (is_wide)
					at[2] = made[2];
				else
					at[1].a_ = (uint16_t)made[1].imm;
			}
			return t->last;
		}
	}
	bool in_acc = condition->place == PLACE_ACC;
	uint32_t slot = in_acc ? 0 : slot_operand(t, condition);
	emit_d_imm(t, plain[sense][in_acc][backward], slot, 0);
	return t->last;
}

/* Types that a branch to the label carries. */
static uint32_t
label_arity(const struct walk_label *label)
{
	return label->op == VM_OP_LOOP ? label->param_count : label->result_count;
}

/* Put one value, wherever it is, into any slot. */
static void
emit_to_slot(struct translation *t, struct entry *e, uint32_t slot)
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

/*
 * Move the top arity operands down to slots from base on, for a branch. Nothing above is changed
 * for code that goes on (a br_if not taken): the stack is left as it is.
 */
static void
emit_transfer(struct translation *t, uint32_t arity, uint32_t base)
{
	if (arity == 0 || t->failed != VM_OK)
		return;
	if (arity > 1)
		flush_top(t, arity); /* several could overwrite one another */
	uint32_t slot = base;
	for (uint32_t i = t->depth - arity; i < t->depth && t->failed == VM_OK; i++) {
		emit_to_slot(t, &t->stack[i], slot);
		slot += slots_of(t->stack[i].letter);
	}
}

/* True when the top operands are, once flushed, where the label wants them. */
static bool
is_in_place(const struct translation *t, uint32_t arity, uint32_t base)
{
	return arity == 0 || t->failed != VM_OK || t->stack[t->depth - arity].slot == base;
}

static void
emit_return(struct translation *t)
{
	const struct vm_functype *type = &t->type->func;
	uint32_t link = t->link_slot;

	if (type->result_count == 1 && type->results[0] != VM_V128 && t->failed == VM_OK) {
		struct entry e = t->stack[t->depth - 1];

		if (is_acc(&e)) {
			emit_da(t, e.letter == 'f'   ? h_return_F
			           : e.letter == 'd' ? h_return_D
			                             : h_return_A,
			        0, link);
			return;
		}
		if (e.place == PLACE_CONST) {
			emit_const(t, e.slot, e.bits); /* its slot is free */
			emit_da(t, h_return_S, e.slot, link);
			return;
		}
		emit_da(t, h_return_S, e.place == PLACE_LOCAL ? e.local : e.slot, link);
		return;
	}
	emit_transfer(t, type->result_count, 0);
	emit_da(t, h_return_, 0, link);
}

static bool
is_function_label(const struct translation *t, uint32_t label)
{
	return label + 1 == t->control_depth;
}

static void
branch_always(struct translation *t, uint32_t label)
{
	if (is_function_label(t, label)) {
		emit_return(t);
		return;
	}
	struct control *target = control_at(t, label);
	uint32_t arity = label_arity(walker_label(t->walker, label));

	if (is_in_place(t, arity, target->base_slot))
		flush_top(t, arity);
	else
		emit_transfer(t, arity, target->base_slot);
	emit_d_imm(t, target->op == VM_OP_LOOP ? h_jump_back : h_jump, 0, 0);
	aim(t, target, t->last);
}

/*
 * Branch on a condition made by emit(), which is told the sense and direction: directly where
 * nothing has to move, else around the transfer.
 */
static void
branch_conditional(struct translation *t, uint32_t label, struct entry *condition, bool sense)
{
	struct control *target = control_at(t, label);
	uint32_t arity = label_arity(walker_label(t->walker, label));
	bool to_function = is_function_label(t, label);

	if (!to_function && is_in_place(t, arity, target->base_slot)) {
		flush_top(t, arity);
		uint32_t at = emit_branch_if(t, condition, sense, target->op == VM_OP_LOOP);

		aim(t, target, at);
		return;
	}
	/*
	 * What the transfer would change must be seen on both ways: several values are flushed, and
	 * one that is in an accumulator cannot be there for one way and in its slot for the other.
	 */
	if (arity > 1)
		flush_top(t, arity);
	else if (arity == 1 && t->failed == VM_OK && is_acc(&t->stack[t->depth - 1]))
		materialise(t, &t->stack[t->depth - 1]);
	uint32_t skip = NO_WORD;
	chain(t, &skip, emit_branch_if(t, condition, !sense, false));
	branch_always(t, label);
	resolve(t, &skip);
}

static void
branch_on_null(struct translation *t, uint32_t label, bool when_null)
{
	/*
	 * The reference stays for the way on (br_on_null) or goes along (br_on_non_null). All that
	 * moves is in its slot beforehand, so that both ways see it there.
	 */
	flush(t);
	flush_top(t, label_arity(walker_label(t->walker, label)) + when_null);
	if (t->failed != VM_OK)
		return;
	struct entry ref = t->stack[t->depth - 1];
	if (when_null)
		(void)pop(t);
	uint32_t skip = NO_WORD;
	emit_d_imm(t, when_null ? h_branch_nz64_S : h_branch_z64_S, ref.slot, 0);
	chain(t, &skip, t->last);
	branch_always(t, label);
	resolve(t, &skip);
	if (when_null)
		push_slot(t, 'l');
	else
		(void)pop(t);
}

/* Where a table's word for the label goes: straight to it, or to a landing that moves values. */
static void
aim_table(struct translation *t, uint32_t table, uint32_t word, uint32_t label)
{
	struct control *target = control_at(t, label);
	uint32_t arity = label_arity(walker_label(t->walker, label));

	if (t->failed != VM_OK)
		return;
	if (!is_function_label(t, label) && is_in_place(t, arity, target->base_slot)) {
		if (target->op == VM_OP_LOOP)
			t->code[word].offset = (int64_t)target->start - table;
		else
			chain_table(t, &target->table_patches, table, word);
		return;
	}
	if (target->table != table) {
		target->table = table;
		target->landing = t->count;
		bind_here(t);
		branch_always(t, label);
		if (t->failed != VM_OK)
			return;
	}
	t->code[word].offset = (int64_t)target->landing - table;
}

static void
branch_table(struct translation *t, const struct walk_labels *labels)
{
	struct entry index = pop(t);
	bool in_acc = index.place == PLACE_ACC;
	uint32_t slot = in_acc ? 0 : slot_operand(t, &index);
	uint32_t arity = label_arity(walker_label(t->walker, labels->depths[labels->count]));

	flush_top(t, arity);
	union word *at = emit(t, in_acc ? h_table_A : h_table_S, 2);
	at[1].d_ = (uint16_t)slot;
	at[1].imm = (int32_t)labels->count;
	uint32_t table = t->last;
	for (uint32_t i = 0; i <= labels->count && t->failed == VM_OK; i++) {
		(void)emit(t, NULL, 1);
	}
	for (uint32_t i = 0; i <= labels->count; i++)
		aim_table(t, table, table + 2 + i, labels->depths[i]);
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/* Arguments into their slots, everything else out of the accumulators. Returns the first slot. */
static uint32_t
place_arguments(struct translation *t, const struct vm_type *callee)
{
	uint32_t count = callee->func.param_count;
	uint32_t slots = callee->param_slots > callee->result_slots ? callee->param_slots
	                                                             : callee->result_slots;

	flush_top(t, count);
	spill(t, &t->acc);
	spill(t, &t->vacc);
	if (t->failed != VM_OK)
		return 0;
	t->depth -= count;
	uint32_t base = top_slot(t);
	note_frame(t, (uint64_t)base + slots + LINK_SLOTS);
	return base;
}

static void
call(struct translation *t, const struct walk_insn *insn)
{
	const struct vm_type *callee = insn->callee;
	uint32_t imports = t->func->module->module->func_import_count;
	uint32_t index = insn->imm.index.index;
	uint32_t base = place_arguments(t, callee);

	if (index < imports) {
		emit_d_imm(t, h_call_import, base, index);
	} else {
		union word *at = emit(t, h_call, 3);

		at[1].d = (uint16_t)base;
		at[2].func = &t->func->module->funcs[index - imports];
	}
	note_position(t);
	push_types(t, callee->func.results, callee->func.result_count);
}

static void
set_indirect(union word *at, const struct walk_insn *insn)
{
	at[2].type = insn->callee;
	at[3].u64 = insn->imm.index.index2 | (uint64_t)insn->is_64 << 32;
}

static void
call_indirect(struct translation *t, const struct walk_insn *insn)
{
	const struct vm_type *callee = insn->callee;
	struct entry index = pop(t);
	bool in_acc = index.place == PLACE_ACC;
	uint32_t slot = in_acc ? 0 : slot_operand(t, &index);
	uint32_t base = place_arguments(t, callee);
	union word *at = emit(t, in_acc ? h_call_indirect_A : h_call_indirect_S, 4);

	at[1].d = (uint16_t)base;
	at[1].a = (uint16_t)slot;
	set_indirect(at, insn);
	note_position(t);
	push_types(t, callee->func.results, callee->func.result_count);
}

static void
call_ref(struct translation *t, const struct walk_insn *insn)
{
	const struct vm_type *callee = insn->callee;
	struct entry ref = pop(t);
	uint32_t slot = slot_operand(t, &ref);
	uint32_t base = place_arguments(t, callee);

	emit_da(t, h_call_ref, base, slot);
	note_position(t);
	push_types(t, callee->func.results, callee->func.result_count);
}

static void
tail_call(struct translation *t, const struct walk_insn *insn)
{
	const struct vm_type *callee = insn->callee;
	uint32_t imports = t->func->module->module->func_import_count;
	struct entry target = { .letter = 'i' };
	uint32_t slot = 0;
	union word *at;

	if (insn->op != VM_OP_RETURN_CALL) {
		target = pop(t);
		slot = slot_operand(t, &target);
	}
	uint32_t base = place_arguments(t, callee);
	if (insn->op == VM_OP_RETURN_CALL_REF) {
		at = emit(t, h_tail_call_ref, 2);
	} else if (insn->op == VM_OP_RETURN_CALL_INDIRECT) {
		at = emit(t, h_tail_call_indirect, 4);
		set_indirect(at, insn);
	} else if (insn->imm.index.index < imports) {
		at = emit(t, h_tail_call_import, 3);
		at[2].u64 = insn->imm.index.index;
	} else {
		at = emit(t, h_tail_call, 3);
		at[2].func = &t->func->module->funcs[insn->imm.index.index - imports];
	}
	at[1].d = (uint16_t)base;
	at[1].a = (uint16_t)t->link_slot;
	at[1].b = (uint16_t)callee->param_slots;
	at[1].e = (uint16_t)slot;
	note_position(t);
}

/* --- everything else --------------------------------------------------------------------------------------- */

/* Pop three operands into d, a, b (in order of the stack), two further words. */
static void
three_operands(struct translation *t, handler fn, uint64_t word2, uint64_t word3)
{
	struct entry b = pop(t);
	struct entry a = pop(t);
	struct entry d = pop(t);
	uint32_t slot_d = slot_operand(t, &d);
	uint32_t slot_a = slot_operand(t, &a);
	uint32_t slot_b = slot_operand(t, &b);
	/* h_memory_fill and h_table_fill have one word, the others two: see handlers.h */
	bool two = fn != h_memory_fill && fn != h_table_fill;
	union word *at = emit(t, fn, two ? 4 : 3);

	at[1].d = (uint16_t)slot_d;
	at[1].a = (uint16_t)slot_a;
	at[1].b = (uint16_t)slot_b;
	at[2].u64 = word2;
	if (two)
		at[3].u64 = word3;
	note_position(t);
}

/* An instruction with a word for an index that pops one operand into a and pushes its result. */
static void
one_operand(struct translation *t, handler fn, uint64_t word2, char letter)
{
	struct entry a = pop(t);
	uint32_t slot = slot_operand(t, &a);
	uint32_t to = top_slot(t);
	union word *at = emit(t, fn, 3);

	at[1].d = (uint16_t)to;
	at[1].a = (uint16_t)slot;
	at[2].u64 = word2;
	note_position(t);
	push_written(t, letter);
}

static void
table_set(struct translation *t, uint32_t table)
{
	struct entry value = pop(t);
	struct entry index = pop(t);
	uint32_t d = slot_operand(t, &index);
	uint32_t a = slot_operand(t, &value);
	union word *at = emit(t, h_table_set, 3);

	at[1].d = (uint16_t)d;
	at[1].a = (uint16_t)a;
	at[2].u64 = table;
	note_position(t);
}

static void
table_grow_(struct translation *t, const struct walk_insn *insn)
{
	struct entry delta = pop(t);
	struct entry value = pop(t);
	uint32_t b = slot_operand(t, &delta);
	uint32_t a = slot_operand(t, &value);
	uint32_t to = top_slot(t);
	union word *at = emit(t, h_table_grow, 3);

	at[1].d = (uint16_t)to;
	at[1].a = (uint16_t)a;
	at[1].b = (uint16_t)b;
	at[2].u64 = insn->imm.index.index;
	push_written(t, insn->is_64 ? 'l' : 'i');
}

static void
other(struct translation *t, const struct walk_insn *insn)
{
	uint32_t index = insn->imm.index.index;
	uint32_t index2 = insn->imm.index.index2;
	char address = insn->is_64 ? 'l' : 'i';
	uint32_t to = top_slot(t);
	struct entry e;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum" /* rows with a kind of their own come elsewhere */
	switch (insn->op) {
	case VM_OP_NOP:
		break;
	case VM_OP_UNREACHABLE:
		emit_d_imm(t, h_trap, 0, VM_TRAP_UNREACHABLE);
		note_position(t);
		break;
	case VM_OP_DROP:
		(void)pop(t);
		break;
	case VM_OP_SELECT:
	case VM_OP_SELECT_T:
		select_(t);
		break;
	case VM_OP_LOCAL_GET:
		local_get(t, index);
		break;
	case VM_OP_LOCAL_SET:
		local_set(t, index);
		break;
	case VM_OP_LOCAL_TEE:
		local_set(t, index);
		local_get(t, index);
		break;
	case VM_OP_GLOBAL_GET:
		global_get(t, insn);
		break;
	case VM_OP_GLOBAL_SET:
		global_set(t, insn);
		break;
	case VM_OP_I32_CONST:
		push_const(t, 'i', (uint32_t)insn->imm.i32);
		break;
	case VM_OP_I64_CONST:
		push_const(t, 'l', (uint64_t)insn->imm.i64);
		break;
	case VM_OP_F32_CONST:
		push_const(t, 'f', insn->imm.f32_bits);
		break;
	case VM_OP_F64_CONST:
		push_const(t, 'd', insn->imm.f64_bits);
		break;
	case VM_OP_V128_CONST:
		vector_const(t, insn);
		break;
	case VM_OP_CALL:
		call(t, insn);
		break;
	case VM_OP_CALL_INDIRECT:
		call_indirect(t, insn);
		break;
	case VM_OP_CALL_REF:
		call_ref(t, insn);
		break;
	case VM_OP_RETURN_CALL:
	case VM_OP_RETURN_CALL_INDIRECT:
	case VM_OP_RETURN_CALL_REF:
		tail_call(t, insn);
		break;
	case VM_OP_REF_NULL:
		push_const(t, 'l', 0);
		break;
	case VM_OP_REF_FUNC:
		emit_d_imm(t, h_ref_func, to, index);
		push_written(t, 'l');
		break;
	case VM_OP_REF_IS_NULL:
		e = pop(t);
		{
			uint32_t slot = slot_operand(t, &e);

			emit_da(t, h_ref_is_null, top_slot(t), slot);
		}
		push_written(t, 'i');
		break;
	case VM_OP_REF_AS_NON_NULL:
		flush_top(t, 1);
		if (t->failed == VM_OK)
			emit_d_imm(t, h_trap_null, t->stack[t->depth - 1].slot,
			           VM_TRAP_NULL_REFERENCE);
		note_position(t);
		break;
	case VM_OP_MEMORY_SIZE:
		emit_d_imm(t, h_memory_size, to, index);
		push_written(t, address);
		break;
	case VM_OP_MEMORY_GROW:
		one_operand(t, h_memory_grow, index, address);
		break;
	case VM_OP_MEMORY_FILL:
		three_operands(t, h_memory_fill, index, 0);
		break;
	case VM_OP_MEMORY_COPY:
		three_operands(t, h_memory_copy, index, index2);
		break;
	case VM_OP_MEMORY_INIT: /* segment, memory */
		three_operands(t, h_memory_init, index2, index);
		break;
	case VM_OP_DATA_DROP:
		emit_d_imm(t, h_data_drop, 0, index);
		break;
	case VM_OP_TABLE_GET:
		one_operand(t, h_table_get, index, 'l');
		break;
	case VM_OP_TABLE_SET:
		table_set(t, index);
		break;
	case VM_OP_TABLE_SIZE: {
		union word *at = emit(t, h_table_size, 3);

		at[1].d = (uint16_t)to;
		at[2].u64 = index;
		push_written(t, address);
		break;
	}
	case VM_OP_TABLE_GROW:
		table_grow_(t, insn);
		break;
	case VM_OP_TABLE_FILL:
		three_operands(t, h_table_fill, index, 0);
		break;
	case VM_OP_TABLE_COPY:
		three_operands(t, h_table_copy, index, index2);
		break;
	case VM_OP_TABLE_INIT: /* segment, table */
		three_operands(t, h_table_init, index2, index);
		break;
	case VM_OP_ELEM_DROP:
		emit_d_imm(t, h_elem_drop, 0, index);
		break;
	default: /* instantiation refuses modules that use what is not here */
		t->failed = VM_E_UNSUPPORTED;
		break;
	}
#pragma GCC diagnostic pop
}

/* --- the back-end -------------------------------------------------------------------------------------------- */

static enum vm_status
finish(struct translation *t, struct vm_error *err)
{
	if (t->failed == VM_OK)
		return VM_OK;
	if (t->failed == VM_E_LIMIT)
		return vm_error_set(err, VM_E_LIMIT, t->offset,
		                    "function %u needs a frame of more than %llu slots, or too much code",
		                    t->func->index,
		                    (unsigned long long)t->engine->limits.frame_slots_max);
	if (t->failed == VM_E_UNSUPPORTED)
		return vm_error_set(err, VM_E_UNSUPPORTED, t->offset,
		                    "function %u has an instruction that the interpreter does not run",
		                    t->func->index);
	return vm_error_set(err, t->failed, t->offset, "out of memory translating function %u",
	                    t->func->index);
}

static struct translation *
translation_of(struct vm_backend *b)
{
	return (struct translation *)b; /* base is the first member */
}

static enum vm_status
on_begin(struct vm_backend *b, const struct walk_func *func, struct vm_error *err)
{
	struct translation *t = translation_of(b);
	uint64_t slot = 0;

	t->type = func->type;
	t->local_slots = engine_alloc_zeroed(t->engine, func->local_count + 1u, sizeof(uint16_t));
	t->local_letters = engine_alloc_zeroed(t->engine, func->local_count + 1u, 1);
	if (t->local_slots == NULL || t->local_letters == NULL) {
		t->failed = VM_E_NOMEM;
		return finish(t, err);
	}
	for (uint32_t i = 0; i < func->local_count; i++) {
		t->local_slots[i] = (uint16_t)slot;
		t->local_letters[i] = letter_of(func->locals[i]);
		slot += slots_of(t->local_letters[i]);
	}
	/* The caller's view of the frame: results come back in the slots of the arguments. */
	uint64_t link = slot > func->type->result_slots ? slot : func->type->result_slots;
	note_frame(t, link + LINK_SLOTS + 2);
	t->link_slot = (uint32_t)link;
	t->first_slot = (uint32_t)link + LINK_SLOTS;
	if (!reserve(t, (void **)&t->controls, &t->control_capacity, 1, sizeof(*t->controls)))
		return finish(t, err);
	t->controls[0] = (struct control){ .op = VM_OP_BLOCK, .patches = NO_WORD,
		                           .table_patches = NO_WORD, .else_patch = NO_WORD,
		                           .table = NO_WORD };
	t->control_depth = 1;
	uint32_t zeros = (uint32_t)slot - func->type->param_slots;
	if (zeros > 0 && t->failed == VM_OK)
		emit_d_imm(t, h_zero, func->type->param_slots, zeros);
	bind_here(t);
	return finish(t, err);
}

static enum vm_status
on_op(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	struct translation *t = translation_of(b);
	const struct row *row = &rows[insn->op];

	t->offset = insn->offset;
	switch ((enum row_kind)row->kind) {
	case KIND_COMPARE:
	case KIND_BINARY:
		binary(t, insn->op, row);
		break;
	case KIND_UNARY:
		unary(t, insn->op, row);
		break;
	case KIND_LOAD:
		load(t, insn, row);
		break;
	case KIND_STORE:
		store(t, insn, row);
		break;
	case KIND_VECTOR:
		vector(t, insn, row);
		break;
	case KIND_OTHER:
		other(t, insn);
		break;
	}
	if ((row->kind == KIND_BINARY || row->kind == KIND_COMPARE || row->kind == KIND_UNARY) &&
	    opcode_table[insn->op].flags & OPF_TRAP) {
		uint32_t last = t->last;

		t->last = (is_float(row->out) ? t->vacc : t->acc).at;
		note_position(t);
		t->last = last;
	}
	return finish(t, err);
}

static enum vm_status
on_enter(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
         struct vm_error *err)
{
	struct translation *t = translation_of(b);
	struct entry condition = { .letter = 'i' };
	uint32_t else_patch = NO_WORD;

	t->offset = insn->offset;
	if (insn->op == VM_OP_IF)
		condition = pop(t);
	flush(t);
	flush_top(t, label->param_count);
	if (t->failed != VM_OK ||
	    !reserve(t, (void **)&t->controls, &t->control_capacity, (uint64_t)t->control_depth + 1,
	             sizeof(*t->controls)))
		return finish(t, err);
	if (insn->op == VM_OP_IF)
		chain(t, &else_patch, emit_branch_if(t, &condition, false, false));
	else if (insn->op == VM_OP_LOOP)
		bind_here(t);
	else if (insn->op != VM_OP_BLOCK)
		t->failed = VM_E_UNSUPPORTED;
	uint32_t height = t->depth - label->param_count;
	t->controls[t->control_depth++] = (struct control){
		.op = insn->op,
		.height = height,
		.base_slot = label->param_count > 0 ? t->stack[height].slot : top_slot(t),
		.start = t->count,
		.patches = NO_WORD,
		.table_patches = NO_WORD,
		.else_patch = else_patch,
		.table = NO_WORD,
	};
	return finish(t, err);
}

/* Cut the stack to the block's start: what was there is gone, also from the accumulators. */
static void
cut_stack(struct translation *t, uint32_t height)
{
	t->depth = height;
	t->acc.entry = NO_ENTRY;
	t->vacc.entry = NO_ENTRY;
}

static enum vm_status
on_else(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
        bool live, struct vm_error *err)
{
	struct translation *t = translation_of(b);
	struct control *c = control_at(t, 0);

	t->offset = insn->offset;
	if (live) {
		flush_top(t, label->result_count);
		emit_d_imm(t, h_jump, 0, 0);
		chain(t, &c->patches, t->last);
	}
	resolve(t, &c->else_patch);
	cut_stack(t, c->height);
	push_types(t, label->params, label->param_count);
	return finish(t, err);
}

static enum vm_status
on_end(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
       bool live, struct vm_error *err)
{
	struct translation *t = translation_of(b);
	struct control *c = control_at(t, 0);
	bool merges = c->patches != NO_WORD || c->table_patches != NO_WORD ||
	              c->else_patch != NO_WORD;

	t->offset = insn->offset;
	if (live && !merges) { /* nobody else comes here: values may stay where they are */
		t->control_depth--;
		return finish(t, err);
	}
	if (live)
		flush_top(t, label->result_count);
	resolve(t, &c->patches);
	resolve_table(t, &c->table_patches);
	resolve(t, &c->else_patch);
	cut_stack(t, c->height);
	push_types(t, label->results, label->result_count);
	t->control_depth--;
	return finish(t, err);
}

static enum vm_status
on_branch(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	struct translation *t = translation_of(b);
	uint32_t label = insn->imm.labels.depths[0];

	t->offset = insn->offset;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (insn->op) {
	case VM_OP_BR:
		branch_always(t, label);
		break;
	case VM_OP_BR_IF: {
		struct entry condition = pop(t);

		branch_conditional(t, label, &condition, true);
		break;
	}
	case VM_OP_BR_TABLE:
		branch_table(t, &insn->imm.labels);
		break;
	case VM_OP_BR_ON_NULL:
	case VM_OP_BR_ON_NON_NULL:
		branch_on_null(t, label, insn->op == VM_OP_BR_ON_NULL);
		break;
	default:
		t->failed = VM_E_UNSUPPORTED;
		break;
	}
#pragma GCC diagnostic pop
	return finish(t, err);
}

static enum vm_status
on_return(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	struct translation *t = translation_of(b);

	t->offset = insn->offset;
	emit_return(t);
	return finish(t, err);
}

static enum vm_status
on_end_function(struct vm_backend *b, struct vm_error *err)
{
	return finish(translation_of(b), err);
}

static void
on_charge(struct vm_backend *b, uint32_t block)
{
	struct translation *t = translation_of(b);

	(void)block;
	emit_d_imm(t, h_fuel, 0, 0);
	t->fuel_at = t->last;
	note_position(t);
}

static void
on_charge_total(struct vm_backend *b, uint32_t block, uint32_t cost)
{
	struct translation *t = translation_of(b);

	(void)block;
	if (t->failed == VM_OK)
		t->code[t->fuel_at + 1].imm = (int32_t)cost;
}

static const struct vm_backend_ops backend_ops = {
	.begin = on_begin,
	.op = on_op,
	.enter = on_enter,
	.else_ = on_else,
	.end = on_end,
	.branch = on_branch,
	.return_ = on_return,
	.end_function = on_end_function,
	.charge = on_charge,
	.charge_total = on_charge_total,
};

enum vm_status
translate_function(struct interp_func *func, struct translated *out, struct vm_error *err)
{
	struct vm_module *module = func->module->module;
	const struct vm_engine *engine = module->engine;
	struct translation t = {
		.base = { .ops = &backend_ops, .wants_fuel = func->module->metered },
		.engine = engine,
		.func = func,
		.count_max = WORDS_SPARE + WORDS_PER_BYTE_MAX * module->funcs[func->index].body_size,
		.acc = { .entry = NO_ENTRY, .op = VM_OP_COUNT },
		.vacc = { .entry = NO_ENTRY, .op = VM_OP_COUNT },
		.last = NO_WORD,
		.failed = VM_OK,
	};
	enum vm_status st = VM_E_NOMEM;

	t.walker = walker_new(module);
	if (t.walker == NULL) {
		(void)vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
		goto done;
	}
	st = walker_run(t.walker, func->index, &t.base, err);
	if (st != VM_OK)
		goto done;
	*out = (struct translated){
		.code = t.code,
		.word_count = t.count,
		.positions = t.positions,
		.position_count = t.position_count,
		.link_slot = t.link_slot,
		.frame_slots = t.frame_slots + LINK_SLOTS,
	};
	t.code = NULL;
	t.positions = NULL;
done:
	walker_free(t.walker);
	engine_free(engine, t.code);
	engine_free(engine, t.positions);
	engine_free(engine, t.stack);
	engine_free(engine, t.controls);
	engine_free(engine, t.local_slots);
	engine_free(engine, t.local_letters);
	return st;
}
