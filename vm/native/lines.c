#include "vm/native/lines.h"

#include <string.h>

enum { ROWS_MAX = 100 << 20 };

enum opcode {
	LNS_EXTENDED = 0,
	LNS_COPY = 1,
	LNS_ADVANCE_PC = 2,
	LNS_ADVANCE_LINE = 3,
	LNS_CONST_ADD_PC = 8,
	LNS_FIXED_ADVANCE_PC = 9,

	LNE_END_SEQUENCE = 1,
	LNE_SET_ADDRESS = 2,
};

/* Reading stops at the end: what is missing is 0, and is_short tells. */
struct cursor {
	const uint8_t *next, *end;
	bool is_short;
};

struct program {
	struct cursor in;
	uint8_t least_bytes; /* the unit that addresses advance by */
	int8_t line_base;
	uint8_t line_range;
	uint8_t opcode_base;
	const uint8_t *operand_counts; /* of opcodes 1 to opcode_base - 1 */
	/* The state machine's registers that matter. */
	uint64_t address;
	uint32_t line;
};

/* --- bytes ---------------------------------------------------------------------------------- */

static uint64_t
read_bytes(struct cursor *c, unsigned int count)
{
	uint64_t value = 0;

	if ((size_t)(c->end - c->next) < count) {
		c->is_short = true;
		c->next = c->end;
		return 0;
	}
	for (unsigned int i = 0; i < count; i++)
		value |= (uint64_t)c->next[i] << (8 * i);
	c->next += count;
	return value;
}

static uint64_t
read_uleb(struct cursor *c)
{
	uint64_t value = 0;

	for (unsigned int shift = 0;; shift += 7) {
		uint64_t byte = read_bytes(c, 1);

		if (shift < 64)
			value |= (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
}

static uint64_t
read_sleb(struct cursor *c)
{
	uint64_t value = 0;

	for (unsigned int shift = 0;; shift += 7) {
		uint64_t byte = read_bytes(c, 1);

		if (shift < 64)
			value |= (byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (byte & 0x40 && shift < 57)
			value |= UINT64_MAX << (shift + 7);
		return value;
	}
}

/* The next bytes as a cursor of their own, passed over. */
static struct cursor
read_part(struct cursor *c, uint64_t size_bytes)
{
	if (size_bytes > (size_t)(c->end - c->next)) {
		c->is_short = true;
		size_bytes = 0;
	}
	struct cursor part = { c->next, c->next + size_bytes, false };
	c->next += size_bytes;
	return part;
}

/* --- rows ----------------------------------------------------------------------------------- */

static enum vm_status
malformed(struct vm_error *err, const char *what)
{
	return vm_error_set(err, VM_E_MALFORMED, VM_NO_OFFSET, "line table of the compiler: %s",
	                    what);
}

static enum vm_status
row_add(struct line_rows *rows, uint64_t address, uint32_t position, uint32_t text_bytes,
        struct vm_error *err)
{
	if (address > text_bytes)
		return malformed(err, "an address is behind the text");
	if (rows->count == rows->room) {
		uint32_t room = rows->room * 2 + 1024;

		if (room > ROWS_MAX)
			return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
			                    "line table of the compiler: more than %u rows",
			                    rows->count);
		struct line_row *more =
		    engine_realloc_array(rows->engine, rows->items, room, sizeof(*more));
		if (more == NULL)
			return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
		rows->items = more;
		rows->room = room;
	}
	rows->items[rows->count++] = (struct line_row){ (uint32_t)address, position };
	return VM_OK;
}

/* --- the program ---------------------------------------------------------------------------- */

static void
sequence_start(struct program *p)
{
	p->address = 0;
	p->line = 1;
}

static enum vm_status
extended(struct program *p, struct line_rows *rows, uint32_t text_bytes, struct vm_error *err)
{
	uint64_t len = read_uleb(&p->in);
	struct cursor operands = read_part(&p->in, len);
	enum vm_status st;

	switch (read_bytes(&operands, 1)) {
	case LNE_END_SEQUENCE:
		st = row_add(rows, p->address, 0, text_bytes, err);
		sequence_start(p);
		return st;
	case LNE_SET_ADDRESS:
		p->address = read_bytes(&operands, 8);
		break;
	default: /* names of files, discriminators */
		break;
	}
	return operands.is_short ? malformed(err, "an instruction is cut") : VM_OK;
}

static enum vm_status
standard(struct program *p, uint8_t opcode, struct line_rows *rows, uint32_t text_bytes,
         struct vm_error *err)
{
	switch (opcode) {
	case LNS_COPY:
		return row_add(rows, p->address, p->line, text_bytes, err);
	case LNS_ADVANCE_PC:
		p->address += read_uleb(&p->in) * p->least_bytes;
		break;
	case LNS_ADVANCE_LINE:
		p->line += (uint32_t)read_sleb(&p->in);
		break;
	case LNS_CONST_ADD_PC:
		p->address += (uint64_t)((255 - p->opcode_base) / p->line_range) * p->least_bytes;
		break;
	case LNS_FIXED_ADVANCE_PC:
		p->address += read_bytes(&p->in, 2);
		break;
	default: /* columns, statements: passed over by the number of operands */
		for (unsigned int i = 0; i < p->operand_counts[opcode - 1]; i++)
			(void)read_uleb(&p->in);
		break;
	}
	return VM_OK;
}

static enum vm_status
program_run(struct program *p, struct line_rows *rows, uint32_t text_bytes, struct vm_error *err)
{
	enum vm_status st = VM_OK;

	sequence_start(p);
	while (st == VM_OK && p->in.next < p->in.end) {
		uint8_t opcode = (uint8_t)read_bytes(&p->in, 1);

		if (opcode >= p->opcode_base) {
			int special = opcode - p->opcode_base;

			p->address += (uint64_t)(special / p->line_range) * p->least_bytes;
			p->line += (uint32_t)(p->line_base + special % p->line_range);
			st = row_add(rows, p->address, p->line, text_bytes, err);
		} else if (opcode == LNS_EXTENDED) {
			st = extended(p, rows, text_bytes, err);
		} else {
			st = standard(p, opcode, rows, text_bytes, err);
		}
	}
	if (st == VM_OK && p->in.is_short)
		st = malformed(err, "an instruction is cut");
	return st;
}

static enum vm_status
unit_read(struct cursor *unit, struct line_rows *rows, uint32_t text_bytes, struct vm_error *err)
{
	struct program p = { .line = 1 };
	uint64_t version = read_bytes(unit, 2);

	if (version < 2 || version > 5)
		return malformed(err, "a version that is not 2 to 5");
	if (version == 5)
		(void)read_bytes(unit, 2); /* sizes of addresses and segments */
	struct cursor header = read_part(unit, read_bytes(unit, 4));
	p.least_bytes = (uint8_t)read_bytes(&header, 1);
	if (version >= 4)
		(void)read_bytes(&header, 1); /* operations in an instruction */
	(void)read_bytes(&header, 1);     /* whether rows begin as statements */
	p.line_base = (int8_t)read_bytes(&header, 1);
	p.line_range = (uint8_t)read_bytes(&header, 1);
	p.opcode_base = (uint8_t)read_bytes(&header, 1);
	if (unit->is_short || header.is_short || p.line_range == 0 || p.opcode_base == 0)
		return malformed(err, "a header that makes no sense");
	struct cursor counts = read_part(&header, p.opcode_base - 1u);
	if (header.is_short)
		return malformed(err, "a header that is cut");
	p.operand_counts = counts.next;
	p.in = *unit;
	return program_run(&p, rows, text_bytes, err);
}

enum vm_status
lines_read(struct line_rows *rows, const uint8_t *bytes, size_t len, uint32_t text_bytes,
           struct vm_error *err)
{
	struct cursor in = { bytes, bytes + len, false };
	enum vm_status st = VM_OK;

	while (st == VM_OK && in.next < in.end) {
		uint64_t unit_bytes = read_bytes(&in, 4);
		struct cursor unit = read_part(&in, unit_bytes);

		if (in.is_short) /* 64-bit DWARF too: it announces more than there can be */
			return malformed(err, "a unit is cut");
		st = unit_read(&unit, rows, text_bytes, err);
	}
	return st;
}

/* --- order ---------------------------------------------------------------------------------- */

/* The end of one function does not hide the start of the next. */
static uint64_t
row_key(const struct line_row *row)
{
	return (uint64_t)row->text << 1 | (row->position != 0);
}

static bool
is_sorted(const struct line_rows *rows)
{
	for (uint32_t i = 1; i < rows->count; i++) {
		if (row_key(&rows->items[i]) < row_key(&rows->items[i - 1]))
			return false;
	}
	return true;
}

/* Merge the runs [low, middle) and [middle, high) of from. */
static void
merge(const struct line_row *from, struct line_row *to, uint32_t low, uint32_t middle,
      uint32_t high)
{
	uint32_t left = low, right = middle;

	for (uint32_t i = low; i < high; i++) {
		bool takes_left =
		    left < middle &&
		    (right >= high || row_key(&from[left]) <= row_key(&from[right]));

		to[i] = takes_left ? from[left++] : from[right++];
	}
}

bool
lines_sort(struct line_rows *rows)
{
	uint32_t count = rows->count;

	if (is_sorted(rows))
		return true;
	struct line_row *other = engine_realloc_array(rows->engine, NULL, rows->room,
	                                              sizeof(*other));
	if (other == NULL)
		return false;
	for (uint64_t width = 1; width < count; width *= 2) {
		for (uint64_t low = 0; low < count; low += 2 * width) {
			uint64_t middle = low + width < count ? low + width : count;
			uint64_t high = low + 2 * width < count ? low + 2 * width : count;

			merge(rows->items, other, (uint32_t)low, (uint32_t)middle, (uint32_t)high);
		}
		struct line_row *sorted = other;
		other = rows->items;
		rows->items = sorted;
	}
	engine_free(rows->engine, other);
	return true;
}

void
lines_clear(struct line_rows *rows)
{
	engine_free(rows->engine, rows->items);
}
