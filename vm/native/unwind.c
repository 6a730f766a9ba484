/*
 * unwind.c - frames of native code, from the .eh_frame that the compiler made.
 *
 * What is read was made by the compiler and has been vouched for; still every read is inside its
 * part or inside the stack, and whatever is not understood ends the backtrace.
 *
 * Spec: DWARF 5, section 6.4 (call frame information); System V ABI for x86-64, section 3.7
 */
#include "vm/native/unwind.h"

#include <string.h>
#include "vm/native/native.h"

enum { RSP = 7, RETURN = 16, REGISTERS = UNWIND_REGISTERS };

/* More are not walked: deeper recursion is cut, and costs no time. */
enum { FRAMES_MAX = 50000, SAVED_ROWS_MAX = 4 };

struct bytes {
	const uint8_t *next, *end;
	bool is_short;
};

/* How the caller's registers are found. */
struct row {
	uint8_t cfa_register;
	int64_t cfa_offset;
	uint32_t saved;             /* registers that lie in memory, as bits */
	int64_t offsets[REGISTERS]; /* from the canonical frame address */
};

struct table {
	struct bytes common, own; /* instructions of the common part, and of the function */
	uint64_t code_factor;
	int64_t data_factor;
	uint32_t text; /* where the function's begin */
	uint32_t size_bytes;
};

/* --- bytes ---------------------------------------------------------------------------------- */

static uint64_t
read_bytes(struct bytes *b, unsigned int count)
{
	uint64_t value = 0;

	if ((size_t)(b->end - b->next) < count) {
		b->is_short = true;
		b->next = b->end;
		return 0;
	}
	memcpy(&value, b->next, count);
	b->next += count;
	return value;
}

static uint64_t
read_uleb(struct bytes *b)
{
	uint64_t value = 0, byte = 0x80;

	for (unsigned int shift = 0; byte & 0x80; shift += 7) {
		byte = read_bytes(b, 1);
		if (shift < 64)
			value |= (byte & 0x7f) << shift;
	}
	return value;
}

static int64_t
read_sleb(struct bytes *b)
{
	uint64_t value = 0, byte = 0x80;
	unsigned int shift = 0;

	for (; byte & 0x80; shift += 7) {
		byte = read_bytes(b, 1);
		if (shift < 64)
			value |= (byte & 0x7f) << shift;
	}
	if (byte & 0x40 && shift < 64)
		value |= UINT64_MAX << shift;
	return (int64_t)value;
}

/* --- tables --------------------------------------------------------------------------------- */

/* The entry at an offset of .eh_frame, behind its length. */
static bool
entry_at(const struct artifact *a, uint64_t at, struct bytes *out)
{
	const struct artifact_range *part = &a->header.parts[ARTIFACT_UNWIND];
	struct bytes all = { a->bytes + part->offset, a->bytes + part->offset + part->size_bytes,
		             false };

	if (at > part->size_bytes)
		return false;
	all.next += at;
	uint64_t len = read_bytes(&all, 4);
	if (all.is_short || len > (size_t)(all.end - all.next))
		return false;
	*out = (struct bytes){ all.next, all.next + len, false };
	return true;
}

/* The common part: only the form that LLVM makes for code without handlers. */
static bool
common_read(const struct artifact *a, uint64_t at, struct table *out)
{
	enum { PC_RELATIVE_4_BYTES = 0x1b };
	struct bytes b;

	if (!entry_at(a, at, &b) || read_bytes(&b, 4) != 0 || read_bytes(&b, 1) != 1 ||
	    read_bytes(&b, 3) != ('z' | 'R' << 8))
		return false;
	out->code_factor = read_uleb(&b);
	out->data_factor = read_sleb(&b);
	if (read_bytes(&b, 1) != RETURN || read_uleb(&b) != 1 ||
	    read_bytes(&b, 1) != PC_RELATIVE_4_BYTES)
		return false;
	out->common = b;
	return !b.is_short;
}

/* The table that covers an offset of the text. */
static bool
table_find(const struct artifact *a, uint32_t text, struct table *out)
{
	uint32_t low = 0, high = a->unwind_index_count;
	struct bytes b;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (a->unwind_index[middle].text <= text)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	const struct artifact_frame *frame = &a->unwind_index[low - 1];
	if (!entry_at(a, frame->at, &b))
		return false;
	uint64_t back = read_bytes(&b, 4);
	if (back > (uint64_t)frame->at + 4 || !common_read(a, frame->at + 4 - back, out))
		return false;
	(void)read_bytes(&b, 4); /* where the code begins, as the index says */
	out->text = frame->text;
	out->size_bytes = (uint32_t)read_bytes(&b, 4);
	uint64_t augmentation = read_uleb(&b);
	if (b.is_short || augmentation > (size_t)(b.end - b.next) ||
	    text - out->text >= out->size_bytes)
		return false;
	b.next += augmentation;
	out->own = b;
	return true;
}

/* --- instructions --------------------------------------------------------------------------- */

/* In units of the table; odd tables wrap around and end the backtrace later. */
static int64_t
factored(const struct table *t, uint64_t units)
{
	return (int64_t)(units * (uint64_t)t->data_factor);
}

static bool
register_save(struct row *row, uint64_t reg, int64_t offset)
{
	if (reg >= REGISTERS)
		return false;
	row->saved |= UINT32_C(1) << reg;
	row->offsets[reg] = offset;
	return true;
}

static bool
register_restore(struct row *row, const struct row *initial, uint64_t reg)
{
	if (reg >= REGISTERS)
		return false;
	row->saved = (row->saved & ~(UINT32_C(1) << reg)) | (initial->saved & UINT32_C(1) << reg);
	row->offsets[reg] = initial->offsets[reg];
	return true;
}

static bool
cfa_define(struct row *row, uint64_t reg, int64_t offset)
{
	if (reg >= RETURN)
		return false;
	row->cfa_register = (uint8_t)reg;
	row->cfa_offset = offset;
	return true;
}

/* The states that remember and restore keep. */
struct states {
	struct row saved[SAVED_ROWS_MAX];
	unsigned int count;
};

/* Instructions with operands of their own. *advance is by how much the address goes forward. */
static bool
instruction_run(const struct table *t, struct bytes *b, uint8_t opcode, const struct row *initial,
                struct row *row, struct states *states, uint64_t *advance)
{
	uint64_t reg;

	switch (opcode) {
	case 0x00: /* nop */
		return true;
	case 0x02: /* advance_loc1, 2, 4 */
	case 0x03:
	case 0x04:
		*advance = read_bytes(b, 1u << (opcode - 2)) * t->code_factor;
		return true;
	case 0x05: /* offset_extended */
		reg = read_uleb(b);
		return register_save(row, reg, factored(t, read_uleb(b)));
	case 0x06: /* restore_extended */
		return register_restore(row, initial, read_uleb(b));
	case 0x08: /* same_value */
		reg = read_uleb(b);
		row->saved &= reg < REGISTERS ? ~(UINT32_C(1) << reg) : UINT32_MAX;
		return true;
	case 0x0a: /* remember_state */
		if (states->count == SAVED_ROWS_MAX)
			return false;
		states->saved[states->count++] = *row;
		return true;
	case 0x0b: /* restore_state */
		if (states->count == 0)
			return false;
		*row = states->saved[--states->count];
		return true;
	case 0x0c: /* def_cfa */
		reg = read_uleb(b);
		return cfa_define(row, reg, (int64_t)read_uleb(b));
	case 0x0d: /* def_cfa_register */
		return cfa_define(row, read_uleb(b), row->cfa_offset);
	case 0x0e: /* def_cfa_offset */
		return cfa_define(row, row->cfa_register, (int64_t)read_uleb(b));
	case 0x2e: /* GNU_args_size */
		(void)read_uleb(b);
		return true;
	default:
		return false;
	}
}

/* Run instructions up to the row of an address, relative to the function's start. */
static bool
instructions_run(const struct table *t, struct bytes b, uint64_t until, const struct row *initial,
                 struct row *row)
{
	struct states states = { .count = 0 };
	uint64_t at = 0;

	while (b.next < b.end) {
		uint8_t opcode = (uint8_t)read_bytes(&b, 1);
		uint8_t low = opcode & 0x3f;
		uint64_t advance = 0;
		bool is_known;

		switch (opcode >> 6) {
		case 1: /* advance_loc */
			advance = low * t->code_factor;
			is_known = true;
			break;
		case 2: /* offset */
			is_known = register_save(row, low, factored(t, read_uleb(&b)));
			break;
		case 3: /* restore */
			is_known = register_restore(row, initial, low);
			break;
		default:
			is_known = instruction_run(t, &b, low, initial, row, &states, &advance);
			break;
		}
		if (!is_known || b.is_short)
			return false;
		if (advance > until - at)
			return true;
		at += advance;
	}
	return true;
}

static bool
row_find(const struct table *t, uint32_t text, struct row *out)
{
	struct row initial = { .cfa_register = RSP }, row;

	if (!instructions_run(t, t->common, UINT64_MAX, &initial, &initial))
		return false;
	row = initial;
	if (!instructions_run(t, t->own, text - t->text, &initial, &row))
		return false;
	*out = row;
	return true;
}

/* --- walking -------------------------------------------------------------------------------- */

static bool
stack_read(const struct unwind *w, uintptr_t address, uintptr_t *out)
{
	if (address < w->stack_low || address > w->stack_high - sizeof(*out) ||
	    address % sizeof(*out) != 0)
		return false;
	memcpy(out, (const void *)address, sizeof(*out));
	return true;
}

bool
unwind_step(struct unwind *w, const struct artifact *a, uint32_t text)
{
	struct table table;
	struct row row;

	if (!table_find(a, text, &table) || !row_find(&table, text, &row) ||
	    !(row.saved & UINT32_C(1) << RETURN))
		return false;
	uintptr_t cfa = w->regs[row.cfa_register] + (uintptr_t)row.cfa_offset;
	/* Frames go upwards, or there is no end. */
	if (cfa <= w->regs[RSP] || cfa > w->stack_high)
		return false;
	for (int i = 0; i < REGISTERS; i++) {
		if (row.saved & UINT32_C(1) << i &&
		    !stack_read(w, cfa + (uintptr_t)row.offsets[i], &w->regs[i]))
			return false;
	}
	w->regs[RSP] = cfa;
	w->pc = w->regs[RETURN];
	w->is_call = true;
	return true;
}

/* The function whose body has the offset: after inlining not the one whose code it is in. */
static bool
function_of_position(const struct vm_module *module, uint32_t position, uint32_t *out)
{
	uint32_t low = module->func_import_count, high = module->func_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct module_func *func = &module->funcs[middle];

		if (position < func->body_offset)
			high = middle;
		else if (position - func->body_offset >= func->body_size)
			low = middle + 1;
		else {
			*out = middle;
			return true;
		}
	}
	return false;
}

static void
add_frame(const struct native_module *native, uint32_t text, struct vm_error *err)
{
	const struct vm_module *module = native->module;
	uint32_t position = artifact_position(&native->artifact, text);
	uint32_t function;

	if (position != 0 && function_of_position(module, position, &function)) {
		rt_add_frame(err, module, function, position);
	} else if (artifact_find_function(&native->artifact, text, &function)) {
		rt_add_frame(err, module, module->func_import_count + function, VM_NO_OFFSET);
	}
}

void
native_backtrace(const struct vm_run *run, uintptr_t stack_high, struct vm_error *err)
{
	/* The processor's order, as in the fault, to DWARF's. */
	static const uint8_t order[16] = { 0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct unwind w = { .stack_low = run->guest_stack_low,
		            .stack_high = stack_high,
		            .pc = run->fault.pc,
		            .is_call = run->fault.is_call };
	const struct native_module *native = NULL;

	for (int i = 0; i < 16; i++)
		w.regs[order[i]] = run->fault.regs[i];
	for (int i = 0; i < FRAMES_MAX; i++) {
		uint32_t text;
		uintptr_t at = w.pc - w.is_call; /* a return address may be the next function's */

		if (native == NULL || !native_text_offset(native, at, &text)) {
			native = native_find(at);
			if (native == NULL || !native_text_offset(native, at, &text))
				return;
		}
		add_frame(native, text, err);
		if (!unwind_step(&w, &native->artifact, text))
			return;
	}
}
