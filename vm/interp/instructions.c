/*
 * instructions.c - what each instruction becomes, except blocks, branches and returns.
 *
 * Spec: Core 3.0, section 4.6 (what is to be computed)
 */
#include "vm/interp/translation.h"

#include <string.h>

/* --- rows of the opcode table -------------------------------------------------------------- */

enum row_kind { KIND_OTHER, KIND_BINARY, KIND_UNARY, KIND_LOAD, KIND_STORE, KIND_VECTOR };

struct row {
	uint8_t kind; /* enum row_kind */
	char in, out; /* letters */
	uint16_t at;  /* of its handlers in the table: [form][to slot, to acc]; stores [form] */
	uint16_t any; /* loads and stores: the handler for any memory */
};

#define ROW_COMPARE(symbol, A) ROW_BINARY(symbol, A, i)
#define ROW_BINARY(symbol, A, R)                                                                   \
	[VM_OP_##symbol] = { KIND_BINARY, #A[0], #R[0], HANDLER_INDEX(binary_##symbol), 0 },
#define ROW_UNARY(symbol, A, R)                                                                    \
	[VM_OP_##symbol] = { KIND_UNARY, #A[0], #R[0], HANDLER_INDEX(unary_##symbol), 0 },
#define ROW_LOAD(symbol, R)                                                                        \
	[VM_OP_##symbol] = { KIND_LOAD, 0, #R[0], HANDLER_INDEX(load_##symbol),                    \
		             HANDLER_INDEX(load_any_##symbol) },
#define ROW_STORE(symbol, A)                                                                       \
	[VM_OP_##symbol] = { KIND_STORE, #A[0], 0, HANDLER_INDEX(store_##symbol),                  \
		             HANDLER_INDEX(store_any_##symbol) },
#define ROW_VECTOR(symbol, imm, sig)                                                               \
	[VM_OP_##symbol] = { KIND_VECTOR, 0, 0, HANDLER_INDEX(vector_##symbol), 0 },
#define ROW_OTHER(symbol) [VM_OP_##symbol] = { KIND_OTHER, 0, 0, 0, 0 },

static const struct row rows[VM_OP_COUNT] = {
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"
};

/* --- numeric instructions ------------------------------------------------------------------ */

/* Whether a constant fits behind the slots of an instruction. */
static bool
fits_imm(const struct entry *e)
{
	return e->letter != 'l' || (int64_t)e->bits == (int32_t)e->bits;
}

static bool
is_imm(const struct entry *e)
{
	return e->place == PLACE_CONST && fits_imm(e);
}

static void
set_imm(union word *at, const struct entry *e)
{
	if (letter_is_float(e->letter))
		at[2].u64 = e->bits;
	else
		at[1].imm = (int32_t)e->bits;
}

/* The handlers of a row's form. */
static struct handler_pair
row_pair(const struct row *row, uint32_t form)
{
	return handler_pair_at(handler_ref(row->at) + 2 * form);
}

/* Note the position of the instruction whose result was pushed; that may have emitted behind. */
static void
result_position(struct translation *t, const struct row *row)
{
	uint32_t last = t->last;

	t->last = (letter_is_float(row->out) ? t->vacc : t->acc).at;
	emit_position(t);
	t->last = last;
}

static void
trap_position(struct translation *t, enum vm_op op, const struct row *row)
{
	if (opcode_table[op].flags & OPF_TRAP)
		result_position(t, row);
}

static void
binary(struct translation *t, enum vm_op op, const struct row *row)
{
	struct entry b = place_pop(t);
	struct entry a = place_pop(t);
	enum form2 form;
	uint32_t slot_a = 0, slot_b = 0;
	const struct entry *imm = NULL;

	if (is_imm(&a) && is_imm(&b))
		place_materialise(t, &a);
	if (is_imm(&b)) {
		imm = &b;
		form = place_is_acc(&a) ? FORM_AI : FORM_SI;
		if (form == FORM_SI)
			slot_a = place_in_slot(t, &a);
	} else if (is_imm(&a)) {
		imm = &a;
		form = place_is_acc(&b) ? FORM_IA : FORM_IS;
		if (form == FORM_IS)
			slot_a = place_in_slot(t, &b); /* the one slot is in a */
	} else if (place_is_acc(&a)) {
		form = FORM_AS;
		slot_b = place_in_slot(t, &b);
	} else if (place_is_acc(&b)) {
		form = FORM_SA;
		slot_a = place_in_slot(t, &a);
	} else {
		form = FORM_SS;
		slot_a = place_in_slot(t, &a);
		slot_b = place_in_slot(t, &b);
	}
	uint32_t words = imm != NULL && letter_is_float(imm->letter) ? 3 : 2;
	union word *at =
	    place_push_result(t, row_pair(row, form), words, row->out, op, (uint8_t)form);
	at[1].a = (uint16_t)slot_a;
	if (imm != NULL)
		set_imm(at, imm);
	else
		at[1].b = (uint16_t)slot_b;
	trap_position(t, op, row);
}

static void
unary(struct translation *t, enum vm_op op, const struct row *row)
{
	struct entry a = place_pop(t);
	enum form1 form = place_is_acc(&a) ? FORM_A : FORM_S;
	uint32_t slot = form == FORM_S ? place_in_slot(t, &a) : 0;
	union word *at =
	    place_push_result(t, row_pair(row, form), 2, row->out, op, (uint8_t)form);

	at[1].a = (uint16_t)slot;
	trap_position(t, op, row);
}

/* --- loads and stores ---------------------------------------------------------------------- */

/* Whether the access goes to memory 0 with 32-bit addresses and an offset of 32 bits. */
static bool
is_direct(const struct walk_insn *insn)
{
	const struct walk_memarg *memarg = &insn->imm.memarg;

	return memarg->memory == 0 && !memarg->is_64 && memarg->offset <= UINT32_MAX;
}

static void
load(struct translation *t, const struct walk_insn *insn, const struct row *row)
{
	const struct walk_memarg *memarg = &insn->imm.memarg;
	struct entry address = place_pop(t);

	if (!is_direct(insn)) {
		uint32_t slot = place_in_slot(t, &address);
		uint32_t to = place_top_slot(t);
		union word *at = emit_words(t, handler_at(handler_ref(row->any)), 4);

		at[1].d = (uint16_t)to;
		at[1].a = (uint16_t)slot;
		at[2].u64 = memarg->offset;
		at[3].u64 = memarg->memory;
		emit_position(t);
		place_push_written(t, row->out);
		return;
	}
	bool is_sum = place_is_acc(&address) && t->acc.op == VM_OP_I32_ADD &&
	              (t->acc.form == FORM_SS || t->acc.form == FORM_AS);
	uint8_t sum_form = t->acc.form;
	if (is_sum && place_take_back(t, &t->acc, &address)) {
		union word sum = t->code[t->count + 1]; /* still there */
		union word *at = place_push_result(
		    t, row_pair(row, sum_form == FORM_SS ? LOAD_SS : LOAD_AS), 3, row->out,
		    VM_OP_COUNT, 0);

		at[1].a = sum.a;
		at[1].b = sum.b;
		at[2].u64 = memarg->offset;
	} else {
		enum form_load form = place_is_acc(&address) ? LOAD_A : LOAD_S;
		uint32_t slot = form == LOAD_S ? place_in_slot(t, &address) : 0;
		union word *at =
		    place_push_result(t, row_pair(row, form), 2, row->out, VM_OP_COUNT, 0);

		at[1].a_ = (uint16_t)slot;
		at[1].imm = (int32_t)(uint32_t)memarg->offset;
	}
	result_position(t, row);
}

static void
store(struct translation *t, const struct walk_insn *insn, const struct row *row)
{
	const struct walk_memarg *memarg = &insn->imm.memarg;
	struct entry value = place_pop(t);
	struct entry address = place_pop(t);

	if (!is_direct(insn)) {
		uint32_t value_slot = place_in_slot(t, &value);
		uint32_t slot = place_in_slot(t, &address);
		union word *at = emit_words(t, handler_at(handler_ref(row->any)), 4);

		at[1].d = (uint16_t)value_slot;
		at[1].a = (uint16_t)slot;
		at[2].u64 = memarg->offset;
		at[3].u64 = memarg->memory;
		emit_position(t);
		return;
	}
	enum form_store form;
	uint32_t d = 0, a = 0;
	bool small = value.place == PLACE_CONST && !letter_is_float(row->in) &&
	             (row->in == 'i' ? (int32_t)value.bits == (int16_t)value.bits
	                             : (int64_t)value.bits == (int16_t)value.bits);
	if (small) {
		form = place_is_acc(&address) ? STORE_AI : STORE_SI;
		d = (uint16_t)value.bits;
	} else if (place_is_acc(&value)) {
		form = place_is_acc(&address) ? STORE_AV : STORE_SA;
	} else {
		form = place_is_acc(&address) ? STORE_AS : STORE_SS;
		d = place_in_slot(t, &value);
	}
	if (!place_is_acc(&address))
		a = place_in_slot(t, &address);
	union word *at = emit_words(t, handler_at(handler_ref(row->at) + form), 2);
	at[1].d_ = (uint16_t)d;
	at[1].a_ = (uint16_t)a;
	at[1].imm = (int32_t)(uint32_t)memarg->offset;
	emit_position(t);
}

/* --- vectors ------------------------------------------------------------------------------- */

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
		struct entry e = place_pop(t);

		slots[i] = place_in_slot(t, &e);
	}
	uint32_t to = place_top_slot(t);
	union word *at = emit_words(t, handler_at(handler_ref(row->at)), wide ? 4 : 2);
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
		emit_position(t);
	}
	if (result != '\0')
		place_push_written(t, result);
}

static void
vector_const(struct translation *t, const struct walk_insn *insn)
{
	uint32_t to = place_top_slot(t);
	union word *at = emit_words(t, h_const_v128, 4);

	at[1].d = (uint16_t)to;
	memcpy(&at[2], insn->imm.v128, 16);
	place_push_written(t, 'v');
}

/* --- locals, globals, select --------------------------------------------------------------- */

static void
local_set(struct translation *t, uint32_t index)
{
	uint32_t slot = t->locals[index].slot;
	struct entry e = place_pop(t);
	bool just_made = t->failed == VM_OK && e.producer != NO_WORD && e.producer == t->last;

	if (e.place == PLACE_LOCAL && e.local == slot)
		return;
	if (place_save_local(t, slot))
		just_made = false;
	if (!just_made) {
		place_copy(t, &e, slot);
		return;
	}
	/* The instruction that made the value writes the local itself. */
	if (place_is_acc(&e))
		t->code[t->last].fn = (e.place == PLACE_VACC ? &t->vacc : &t->acc)->to_slot;
	t->code[t->last + 1].d = (uint16_t)slot;
}

static void
global_get(struct translation *t, const struct walk_insn *insn)
{
	char letter = letter_of(insn->type);
	uint32_t index = insn->imm.index.index;

	if (letter == 'v') {
		uint32_t to = place_top_slot(t);

		emit_d_imm(t, h_global_get_v128, to, index);
		place_push_written(t, 'v');
		return;
	}
	struct handler_pair pair = { h_global_get_S,
		                     letter_is_float(letter) ? h_global_get_F : h_global_get_A };
	union word *at = place_push_result(t, pair, 2, letter, VM_OP_COUNT, 0);
	at[1].imm = (int32_t)index;
}

static void
global_set(struct translation *t, const struct walk_insn *insn)
{
	struct entry e = place_pop(t);
	uint32_t index = insn->imm.index.index;

	if (e.letter == 'v')
		emit_d_imm(t, h_global_set_v128, place_in_slot(t, &e), index);
	else if (e.place == PLACE_ACC)
		emit_d_imm(t, h_global_set_A, 0, index);
	else
		emit_d_imm(t, h_global_set_S, place_in_slot(t, &e), index);
}

static void
select_(struct translation *t)
{
	struct entry condition = place_pop(t);
	struct entry b = place_pop(t);
	struct entry a = place_pop(t);
	bool in_acc = condition.place == PLACE_ACC && a.letter != 'v';
	uint32_t e = in_acc ? 0 : place_in_slot(t, &condition);
	uint32_t slot_a = place_in_slot(t, &a);
	uint32_t slot_b = place_in_slot(t, &b);
	uint32_t to = place_top_slot(t);
	union word *at =
	    emit_words(t, a.letter == 'v' ? h_select_v128 : in_acc ? h_select_A : h_select_S, 2);

	at[1].d = (uint16_t)to;
	at[1].a = (uint16_t)slot_a;
	at[1].b = (uint16_t)slot_b;
	at[1].e = (uint16_t)e;
	place_push_written(t, a.letter);
}

/* --- memories, tables, references ---------------------------------------------------------- */

/* Pop three operands into d, a, b (in order of the stack), two further words. */
static void
three_operands(struct translation *t, handler fn, uint64_t word2, uint64_t word3)
{
	struct entry b = place_pop(t);
	struct entry a = place_pop(t);
	struct entry d = place_pop(t);
	uint32_t slot_d = place_in_slot(t, &d);
	uint32_t slot_a = place_in_slot(t, &a);
	uint32_t slot_b = place_in_slot(t, &b);
	/* h_memory_fill and h_table_fill have one word, the others two: see handlers.h */
	bool two = fn != h_memory_fill && fn != h_table_fill;
	union word *at = emit_words(t, fn, two ? 4 : 3);

	at[1].d = (uint16_t)slot_d;
	at[1].a = (uint16_t)slot_a;
	at[1].b = (uint16_t)slot_b;
	at[2].u64 = word2;
	if (two)
		at[3].u64 = word3;
	emit_position(t);
}

/* An instruction with a word for an index that pops one operand into a and pushes its result. */
static void
one_operand(struct translation *t, handler fn, uint64_t word2, char letter)
{
	struct entry a = place_pop(t);
	uint32_t slot = place_in_slot(t, &a);
	uint32_t to = place_top_slot(t);
	union word *at = emit_words(t, fn, 3);

	at[1].d = (uint16_t)to;
	at[1].a = (uint16_t)slot;
	at[2].u64 = word2;
	emit_position(t);
	place_push_written(t, letter);
}

static void
table_set(struct translation *t, uint32_t table)
{
	struct entry value = place_pop(t);
	struct entry index = place_pop(t);
	uint32_t d = place_in_slot(t, &index);
	uint32_t a = place_in_slot(t, &value);
	union word *at = emit_words(t, h_table_set, 3);

	at[1].d = (uint16_t)d;
	at[1].a = (uint16_t)a;
	at[2].u64 = table;
	emit_position(t);
}

static void
table_size(struct translation *t, const struct walk_insn *insn)
{
	uint32_t to = place_top_slot(t);
	union word *at = emit_words(t, h_table_size, 3);

	at[1].d = (uint16_t)to;
	at[2].u64 = insn->imm.index.index;
	place_push_written(t, insn->is_64 ? 'l' : 'i');
}

static void
table_grow_(struct translation *t, const struct walk_insn *insn)
{
	struct entry delta = place_pop(t);
	struct entry value = place_pop(t);
	uint32_t b = place_in_slot(t, &delta);
	uint32_t a = place_in_slot(t, &value);
	uint32_t to = place_top_slot(t);
	union word *at = emit_words(t, h_table_grow, 3);

	at[1].d = (uint16_t)to;
	at[1].a = (uint16_t)a;
	at[1].b = (uint16_t)b;
	at[2].u64 = insn->imm.index.index;
	place_push_written(t, insn->is_64 ? 'l' : 'i');
}

static void
ref_is_null(struct translation *t)
{
	struct entry e = place_pop(t);
	uint32_t slot = place_in_slot(t, &e);

	emit_da(t, h_ref_is_null, place_top_slot(t), slot);
	place_push_written(t, 'i');
}

static void
ref_as_non_null(struct translation *t)
{
	place_flush_top(t, 1);
	if (t->failed == VM_OK)
		emit_d_imm(t, h_trap_null, t->stack[t->depth - 1].slot, VM_TRAP_NULL_REFERENCE);
	emit_position(t);
}

/* --- the other rows, by family --------------------------------------------------------------- */

static void
unsupported(struct translation *t)
{
	t->failed = VM_E_UNSUPPORTED;
}

static void
local(struct translation *t, const struct walk_insn *insn)
{
	const uint32_t index = insn->imm.index.index;

	if (insn->op != VM_OP_LOCAL_GET)
		local_set(t, index);
	if (insn->op != VM_OP_LOCAL_SET)
		place_push_local(t, index);
}

static void
global(struct translation *t, const struct walk_insn *insn)
{
	if (insn->op == VM_OP_GLOBAL_GET)
		global_get(t, insn);
	else
		global_set(t, insn);
}

/* Calls, and what else has a function or a type as its immediate. */
static void
function(struct translation *t, const struct walk_insn *insn)
{
	switch ((unsigned)insn->op) {
	case VM_OP_CALL:
		call_direct(t, insn);
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
		call_tail(t, insn);
		break;
	case VM_OP_REF_FUNC:
		emit_d_imm(t, h_ref_func, place_top_slot(t), insn->imm.index.index);
		place_push_written(t, 'l');
		break;
	default:
		unsupported(t);
		break;
	}
}

static void
memory(struct translation *t, const struct walk_insn *insn)
{
	const uint32_t index = insn->imm.index.index;
	const uint32_t index2 = insn->imm.index.index2;
	const char address = insn->is_64 ? 'l' : 'i';

	switch ((unsigned)insn->op) {
	case VM_OP_MEMORY_SIZE:
		emit_d_imm(t, h_memory_size, place_top_slot(t), index);
		place_push_written(t, address);
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
	default:
		unsupported(t);
		break;
	}
}

static void
table(struct translation *t, const struct walk_insn *insn)
{
	const uint32_t index = insn->imm.index.index;
	const uint32_t index2 = insn->imm.index.index2;

	switch ((unsigned)insn->op) {
	case VM_OP_TABLE_GET:
		one_operand(t, h_table_get, index, 'l');
		break;
	case VM_OP_TABLE_SET:
		table_set(t, index);
		break;
	case VM_OP_TABLE_SIZE:
		table_size(t, insn);
		break;
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
	default:
		unsupported(t);
		break;
	}
}

/* No immediate, or only a type: what moves, drops or tests operands. */
static void
operand(struct translation *t, const struct walk_insn *insn)
{
	switch ((unsigned)insn->op) {
	case VM_OP_NOP:
		break;
	case VM_OP_UNREACHABLE:
		emit_d_imm(t, h_trap, 0, VM_TRAP_UNREACHABLE);
		emit_position(t);
		break;
	case VM_OP_DROP:
		(void)place_pop(t);
		break;
	case VM_OP_SELECT:
	case VM_OP_SELECT_T:
		select_(t);
		break;
	case VM_OP_REF_NULL:
		place_push_const(t, 'l', 0);
		break;
	case VM_OP_REF_IS_NULL:
		ref_is_null(t);
		break;
	case VM_OP_REF_AS_NON_NULL:
		ref_as_non_null(t);
		break;
	default:
		unsupported(t);
		break;
	}
}

/* Immediates tell the families apart. Instantiation refuses modules that use what is not here. */
static void
other(struct translation *t, const struct walk_insn *insn)
{
	switch ((unsigned)opcode_sig_table[insn->op].imm) {
	case IMM_LOCAL:
		local(t, insn);
		break;
	case IMM_I32:
		place_push_const(t, 'i', (uint32_t)insn->imm.i32);
		break;
	case IMM_I64:
		place_push_const(t, 'l', (uint64_t)insn->imm.i64);
		break;
	case IMM_F32:
		place_push_const(t, 'f', insn->imm.f32_bits);
		break;
	case IMM_F64:
		place_push_const(t, 'd', insn->imm.f64_bits);
		break;
	case IMM_V128:
		vector_const(t, insn);
		break;
	case IMM_GLOBAL:
		global(t, insn);
		break;
	case IMM_FUNC:
	case IMM_TYPE:
	case IMM_CALL_INDIRECT:
		function(t, insn);
		break;
	case IMM_MEMORY:
	case IMM_MEMORY_MEMORY:
	case IMM_DATA:
	case IMM_DATA_MEMORY:
		memory(t, insn);
		break;
	case IMM_TABLE:
	case IMM_TABLE_TABLE:
	case IMM_ELEM:
	case IMM_ELEM_TABLE:
		table(t, insn);
		break;
	case IMM_NONE:
	case IMM_SELECT_T:
	case IMM_HEAP:
		operand(t, insn);
		break;
	default:
		unsupported(t);
		break;
	}
}

void
instruction_translate(struct translation *t, const struct walk_insn *insn)
{
	const struct row *row = &rows[insn->op];

	switch ((enum row_kind)row->kind) {
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
}
