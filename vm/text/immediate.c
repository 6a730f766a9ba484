/*
 * immediate.c - plain instructions: the opcode and what follows it.
 *
 * Spec: Core 3.0, sections 6.5.2 (plain instructions) and 5.4 (their encoding)
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "vm/text/parser.h"

/* --- names of instructions ------------------------------------------------------------------ */

static uint16_t by_text[VM_OP_COUNT];
static pthread_once_t by_text_once = PTHREAD_ONCE_INIT;

static int
compare_rows(const void *a, const void *b)
{
	const uint16_t x = *(const uint16_t *)a;
	const uint16_t y = *(const uint16_t *)b;
	const int order = strcmp(opcode_table[x].text, opcode_table[y].text);

	return order != 0 ? order : (x > y) - (x < y);
}

static void
sort_rows(void)
{
	for (uint16_t i = 0; i < VM_OP_COUNT; i++)
		by_text[i] = i;
	qsort(by_text, VM_OP_COUNT, sizeof *by_text, compare_rows);
}

/* Of rows that share a text, the first in the table. */
bool
find_instruction(const struct token *token, enum vm_op *out)
{
	char text[sizeof opcode_table[0].text];
	size_t low = 0;
	size_t high = VM_OP_COUNT;

	if (token->kind != TOKEN_KEYWORD || token->len >= sizeof text)
		return false;
	memcpy(text, token->text, token->len);
	text[token->len] = '\0';
	(void)pthread_once(&by_text_once, sort_rows);
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(opcode_table[by_text[middle]].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == VM_OP_COUNT || strcmp(opcode_table[by_text[low]].text, text) != 0)
		return false;
	*out = (enum vm_op)by_text[low];
	return true;
}

void
put_opcode(struct bytes *b, enum vm_op op)
{
	const struct opcode_info *row = &opcode_table[op];

	if (row->prefix != 0) {
		bytes_put_u8(b, row->prefix);
		bytes_put_u32(b, row->code);
	} else {
		bytes_put_u8(b, (uint8_t)row->code);
	}
}

/* --- indices -------------------------------------------------------------------------------- */

static bool
put_index(struct parser *p, enum space space, struct bytes *out)
{
	uint32_t index;

	if (!parse_index(p, space, &index))
		return false;
	bytes_put_u32(out, index);
	return true;
}

/* An index that is 0 when it is not written. */
static bool
optional_index(struct parser *p, enum space space, uint32_t *out)
{
	*out = 0;
	return !is_index(p) || parse_index(p, space, out);
}

static bool
put_optional_index(struct parser *p, enum space space, struct bytes *out)
{
	uint32_t index;

	if (!optional_index(p, space, &index))
		return false;
	bytes_put_u32(out, index);
	return true;
}

/* Two of a space, or none, which are 0 then. */
static bool
put_index_pair(struct parser *p, enum space space, struct bytes *out)
{
	uint32_t first = 0;
	uint32_t second = 0;

	if (is_index(p) && (!parse_index(p, space, &first) || !parse_index(p, space, &second)))
		return false;
	bytes_put_u32(out, first);
	bytes_put_u32(out, second);
	return true;
}

/*
 * memory.init x? y, table.init x? y: the segment comes last in the text and first in the binary.
 * The first index is of the other space only when there are two.
 */
static bool
put_segment_and(struct parser *p, enum space segments, enum space others, struct bytes *out)
{
	struct lexer before = p->lexer;
	uint32_t other = 0;
	uint32_t segment;

	if (!is_index(p))
		return fail_unexpected(p, "a segment");
	if (!next_token(p))
		return false;
	bool has_both = is_index(p);
	p->lexer = before;
	if ((has_both && !parse_index(p, others, &other)) || !parse_index(p, segments, &segment))
		return false;
	bytes_put_u32(out, segment);
	bytes_put_u32(out, other);
	return true;
}

static bool
put_type_and(struct parser *p, enum space space, struct bytes *out)
{
	return put_index(p, SPACE_TYPE, out) && put_index(p, space, out);
}

static bool
put_local(struct parser *p, struct bytes *out)
{
	uint32_t index;

	if (token_of(p)->kind == TOKEN_ID) {
		const struct symbol *symbol = symbol_of(p);
		if (symbol == NULL)
			return false;
		if (symbol->local_of != p->func_number || p->func_number == 0)
			return fail(p, "unknown local %.*s",
			            (int)(token_of(p)->len < 60 ? token_of(p)->len : 60),
			            token_of(p)->text);
		index = symbol->local;
		if (!next_token(p))
			return false;
	} else if (!parse_u32(p, "a local", &index)) {
		return false;
	}
	bytes_put_u32(out, index);
	return true;
}

static bool
parse_label(struct parser *p, uint32_t *out)
{
	if (token_of(p)->kind != TOKEN_ID)
		return parse_u32(p, "a label", out);
	const struct symbol *symbol = symbol_of(p);
	if (symbol == NULL)
		return false;
	if (symbol->label == 0)
		return fail(p, "unknown label %.*s",
		            (int)(token_of(p)->len < 60 ? token_of(p)->len : 60),
		            token_of(p)->text);
	*out = (uint32_t)p->labels.count - symbol->label;
	return next_token(p);
}

static bool
put_label(struct parser *p, struct bytes *out)
{
	uint32_t depth;

	if (!parse_label(p, &depth))
		return false;
	bytes_put_u32(out, depth);
	return true;
}

/* br_table: the count goes before what is only known to be so many afterwards. */
static bool
put_labels(struct parser *p, struct bytes *out)
{
	struct bytes labels;
	uint32_t count = 0;
	bool ok = true;

	bytes_init(&labels, p->engine);
	do {
		ok = put_label(p, &labels);
		count++;
	} while (ok && is_index(p));
	bytes_put_u32(out, count - 1);
	bytes_put(out, labels.data, labels.len);
	out->failed = out->failed || labels.failed;
	bytes_clear(&labels);
	return ok;
}

static bool
put_call_indirect(struct parser *p, struct bytes *out)
{
	struct type_use use;
	uint32_t table;

	if (!optional_index(p, SPACE_TABLE, &table) || !parse_type_use(p, false, &use))
		return false;
	bytes_put_u32(out, use.index);
	bytes_put_u32(out, table);
	return true;
}

static bool
put_field(struct parser *p, struct bytes *out)
{
	uint32_t type;
	uint32_t field;

	if (!parse_index(p, SPACE_TYPE, &type))
		return false;
	if (token_of(p)->kind == TOKEN_ID) {
		const struct symbol *symbol = symbol_of(p);
		if (symbol == NULL)
			return false;
		field = field_by_name(p, type, symbol);
		if (field == NO_INDEX)
			return fail(p, "unknown field of type %u", (unsigned)type);
		if (!next_token(p))
			return false;
	} else if (!parse_u32(p, "a field", &field)) {
		return false;
	}
	bytes_put_u32(out, type);
	bytes_put_u32(out, field);
	return true;
}

/* --- catch clauses -------------------------------------------------------------------------- */

bool
parse_catches(struct parser *p, struct bytes *out)
{
	static const struct {
		const char *keyword;
		bool has_tag;
	} kinds[] = { { "catch", true }, { "catch_ref", true }, { "catch_all", false },
		      { "catch_all_ref", false } };
	struct bytes clauses;
	uint32_t count = 0;
	bool ok = true;

	bytes_init(&clauses, p->engine);
	for (size_t kind = 0; ok && kind < 4;) {
		if (!at_form(p, kinds[kind].keyword)) {
			kind++;
			continue;
		}
		bytes_put_u8(&clauses, (uint8_t)kind);
		ok = enter_form(p) &&
		     (!kinds[kind].has_tag || put_index(p, SPACE_TAG, &clauses)) &&
		     put_label(p, &clauses) && expect_close(p, "the catch clause");
		count++;
		kind = 0;
	}
	bytes_put_u32(out, count);
	bytes_put(out, clauses.data, clauses.len);
	out->failed = out->failed || clauses.failed;
	bytes_clear(&clauses);
	return ok;
}

/* --- memory arguments ----------------------------------------------------------------------- */

static bool
is_memarg(const struct token *token)
{
	return token->kind == TOKEN_KEYWORD &&
	       ((token->len > 7 && memcmp(token->text, "offset=", 7) == 0) ||
	        (token->len > 6 && memcmp(token->text, "align=", 6) == 0));
}

/* "offset=N" or "align=N", if it is the current token. */
static bool
parse_memarg_part(struct parser *p, struct vm_str prefix, uint64_t *out)
{
	const struct token *token = token_of(p);

	if (token->kind != TOKEN_KEYWORD || token->len <= prefix.len ||
	    memcmp(token->text, prefix.data, prefix.len) != 0)
		return true;
	if (!number_u64(token->text + prefix.len, token->len - prefix.len, UINT64_MAX, out))
		return fail(p, "%s: not a number without sign, or too large", prefix.data);
	return next_token(p);
}

/* of an instruction with a lane: a lone number is that. */
static bool
has_memory_index(struct parser *p, bool has_lane, bool *out)
{
	struct lexer before = p->lexer;

	*out = is_index(p);
	if (!*out || !has_lane || token_of(p)->kind == TOKEN_ID)
		return true;
	if (!next_token(p))
		return false;
	*out = token_of(p)->kind == TOKEN_NUMBER || is_memarg(token_of(p));
	p->lexer = before;
	return true;
}

static bool
put_memarg(struct parser *p, enum vm_op op, bool has_lane, struct bytes *out)
{
	const char *at;
	uint64_t align = UINT64_C(1) << opcode_table[op].width;
	uint64_t offset = 0;
	uint32_t memory = 0;
	uint32_t log2 = 0;
	bool has_index;

	if (!has_memory_index(p, has_lane, &has_index) ||
	    (has_index && !parse_index(p, SPACE_MEMORY, &memory)) ||
	    !parse_memarg_part(p, VM_STR("offset="), &offset))
		return false;
	at = token_of(p)->text;
	if (!parse_memarg_part(p, VM_STR("align="), &align))
		return false;
	if (align == 0 || (align & (align - 1)) != 0)
		return fail_at(p, at, "alignment must be a power of two");
	while (align >> log2 != 1)
		log2++;
	bytes_put_u32(out, log2 | (memory != 0 ? 0x40 : 0));
	if (memory != 0)
		bytes_put_u32(out, memory);
	bytes_put_u64(out, offset);
	return true;
}

/* --- constants ------------------------------------------------------------------------------ */

static bool
is_number_token(const struct token *token)
{
	return token->kind == TOKEN_NUMBER || token->kind == TOKEN_KEYWORD;
}

static bool
parse_int(struct parser *p, unsigned bits, uint64_t *out)
{
	const struct token *token = token_of(p);

	if (!is_number_token(token))
		return fail_unexpected(p, "an integer");
	if (!number_int(token->text, token->len, bits, out))
		return fail(p, "not an i%u, or out of its range", bits);
	return next_token(p);
}

static bool
check_float(struct parser *p, enum number_status status, const char *type)
{
	switch (status) {
	case NUMBER_OK:
		return next_token(p);
	case NUMBER_RANGE:
		return fail(p, "constant out of range of %s", type);
	case NUMBER_NO_MEMORY:
		return fail_memory(p);
	case NUMBER_MALFORMED:
		break;
	}
	return fail_unexpected(p, "a number");
}

static bool
put_f32(struct parser *p, struct bytes *out)
{
	const struct token *token = token_of(p);
	uint32_t bits = 0;

	if (!is_number_token(token))
		return fail_unexpected(p, "a number");
	enum number_status status = number_f32(token->text, token->len, &bits);
	bytes_put_fixed32(out, bits);
	return check_float(p, status, "f32");
}

static bool
put_f64(struct parser *p, struct bytes *out)
{
	const struct token *token = token_of(p);
	uint64_t bits = 0;

	if (!is_number_token(token))
		return fail_unexpected(p, "a number");
	enum number_status status = number_f64(token->text, token->len, &bits);
	bytes_put_fixed64(out, bits);
	return check_float(p, status, "f64");
}

static bool
put_int(struct parser *p, unsigned bits, struct bytes *out)
{
	uint64_t value;

	if (!parse_int(p, bits, &value))
		return false;
	bytes_put_s64(out, bits == 32 ? (int32_t)(uint32_t)value : (int64_t)value);
	return true;
}

static bool
put_int_lanes(struct parser *p, unsigned bits, struct bytes *out)
{
	for (unsigned lane = 0; lane < 128 / bits; lane++) {
		uint64_t value;
		if (!parse_int(p, bits, &value))
			return false;
		for (unsigned at = 0; at < bits; at += 8)
			bytes_put_u8(out, (uint8_t)(value >> at));
	}
	return true;
}

static bool
put_v128(struct parser *p, struct bytes *out)
{
	static const struct {
		const char *shape;
		unsigned bits;
		bool is_float;
	} shapes[] = { { "i8x16", 8, false },  { "i16x8", 16, false }, { "i32x4", 32, false },
		       { "i64x2", 64, false }, { "f32x4", 32, true },  { "f64x2", 64, true } };
	size_t i = 0;

	while (i < 6 && !at_keyword(p, shapes[i].shape))
		i++;
	if (i == 6)
		return fail_unexpected(p, "a shape such as i32x4");
	if (!next_token(p))
		return false;
	if (!shapes[i].is_float)
		return put_int_lanes(p, shapes[i].bits, out);
	for (unsigned lane = 0; lane < 128 / shapes[i].bits; lane++) {
		if (!(shapes[i].bits == 32 ? put_f32(p, out) : put_f64(p, out)))
			return false;
	}
	return true;
}

static bool
put_lane(struct parser *p, struct bytes *out)
{
	const struct token *token = token_of(p);
	uint64_t lane;

	if (token->kind != TOKEN_NUMBER)
		return fail_unexpected(p, "a lane");
	if (!number_u64(token->text, token->len, UINT8_MAX, &lane))
		return fail(p, "malformed lane index: not a number without sign up to 255");
	bytes_put_u8(out, (uint8_t)lane);
	return next_token(p);
}

static bool
put_shuffle(struct parser *p, struct bytes *out)
{
	for (int i = 0; i < 16; i++) {
		if (!put_lane(p, out))
			return false;
	}
	return true;
}

/* --- instructions that are more than a row --------------------------------------------------- */

/* select, or select with its type. */
static bool
put_select(struct parser *p, struct bytes *out)
{
	if (!at_form(p, "result")) {
		put_opcode(out, VM_OP_SELECT);
		return true;
	}
	p->results.count = 0;
	while (at_form(p, "result")) {
		if (!enter_form(p))
			return false;
		while (token_of(p)->kind != TOKEN_CLOSE) {
			vm_valtype type;
			vm_valtype *item;
			if (!parse_valtype(p, &type) ||
			    (item = list_push(p, &p->results, sizeof *item)) == NULL)
				return false;
			*item = type;
		}
		if (!next_token(p))
			return false;
	}
	put_opcode(out, VM_OP_SELECT_T);
	bytes_put_u32(out, (uint32_t)p->results.count);
	for (size_t i = 0; i < p->results.count; i++)
		put_valtype(out, ((vm_valtype *)p->results.items)[i]);
	return true;
}

/* ref.test and ref.cast: another opcode for a nullable type. */
static bool
put_test(struct parser *p, enum vm_op op, struct bytes *out)
{
	const enum vm_op nullable =
	    op == VM_OP_REF_TEST ? VM_OP_REF_TEST_NULL : VM_OP_REF_CAST_NULL;
	vm_valtype type;

	if (!parse_reftype(p, &type))
		return false;
	put_opcode(out, vm_valtype_is_nullable(type) ? nullable : op);
	put_heaptype(out, vm_valtype_heap(type));
	return true;
}

static bool
put_cast_branch(struct parser *p, struct bytes *out)
{
	vm_valtype from;
	vm_valtype to;
	uint32_t label;

	if (!parse_label(p, &label) || !parse_reftype(p, &from) || !parse_reftype(p, &to))
		return false;
	bytes_put_u8(out, (uint8_t)(vm_valtype_is_nullable(from) |
	                            vm_valtype_is_nullable(to) << 1));
	bytes_put_u32(out, label);
	put_heaptype(out, vm_valtype_heap(from));
	put_heaptype(out, vm_valtype_heap(to));
	return true;
}

static bool
put_heap(struct parser *p, struct bytes *out)
{
	uint32_t heap;

	if (!parse_heaptype(p, &heap))
		return false;
	put_heaptype(out, heap);
	return true;
}

static bool
put_type_count(struct parser *p, struct bytes *out)
{
	uint32_t count;

	if (!put_index(p, SPACE_TYPE, out) || !parse_u32(p, "a count", &count))
		return false;
	bytes_put_u32(out, count);
	return true;
}

/* --- the table of kinds --------------------------------------------------------------------- */

static bool
put_immediates(struct parser *p, enum vm_op op, const char *at, struct bytes *out)
{
	switch ((enum imm_kind)opcode_table[op].imm) {
	case IMM_NONE:
		return true;
	case IMM_LABEL:
		return put_label(p, out);
	case IMM_LABELS:
		return put_labels(p, out);
	case IMM_FUNC:
		return put_index(p, SPACE_FUNC, out);
	case IMM_TYPE:
		return put_index(p, SPACE_TYPE, out);
	case IMM_CALL_INDIRECT:
		return put_call_indirect(p, out);
	case IMM_TAG:
		return put_index(p, SPACE_TAG, out);
	case IMM_LOCAL:
		return put_local(p, out);
	case IMM_GLOBAL:
		return put_index(p, SPACE_GLOBAL, out);
	case IMM_TABLE:
		return put_optional_index(p, SPACE_TABLE, out);
	case IMM_TABLE_TABLE:
		return put_index_pair(p, SPACE_TABLE, out);
	case IMM_ELEM:
		return put_index(p, SPACE_ELEM, out);
	case IMM_ELEM_TABLE:
		return put_segment_and(p, SPACE_ELEM, SPACE_TABLE, out);
	case IMM_MEMORY:
		return put_optional_index(p, SPACE_MEMORY, out);
	case IMM_MEMORY_MEMORY:
		return put_index_pair(p, SPACE_MEMORY, out);
	case IMM_MEMARG:
		return put_memarg(p, op, false, out);
	case IMM_MEMARG_LANE:
		return put_memarg(p, op, true, out) && put_lane(p, out);
	case IMM_DATA:
		p->needs_data_count = true;
		return put_index(p, SPACE_DATA, out);
	case IMM_DATA_MEMORY:
		p->needs_data_count = true;
		return put_segment_and(p, SPACE_DATA, SPACE_MEMORY, out);
	case IMM_I32:
		return put_int(p, 32, out);
	case IMM_I64:
		return put_int(p, 64, out);
	case IMM_F32:
		return put_f32(p, out);
	case IMM_F64:
		return put_f64(p, out);
	case IMM_V128:
		return put_v128(p, out);
	case IMM_SHUFFLE:
		return put_shuffle(p, out);
	case IMM_LANE:
		return put_lane(p, out);
	case IMM_HEAP:
		return put_heap(p, out);
	case IMM_FIELD:
		return put_field(p, out);
	case IMM_TYPE_N:
		return put_type_count(p, out);
	case IMM_TYPE_DATA:
		p->needs_data_count = true;
		return put_type_and(p, SPACE_DATA, out);
	case IMM_TYPE_ELEM:
		return put_type_and(p, SPACE_ELEM, out);
	case IMM_TYPE_TYPE:
		return put_type_and(p, SPACE_TYPE, out);
	case IMM_CAST:
		return put_cast_branch(p, out);
	case IMM_BLOCK:
	case IMM_TRY_TABLE:
	case IMM_SELECT_T:
		break; /* not plain, or handled by its opcode */
	}
	return fail_at(p, at, "%s does not stand here", opcode_table[op].text);
}

bool
parse_plain(struct parser *p, enum vm_op op, const char *at, struct bytes *out)
{
	if (op == VM_OP_SELECT)
		return put_select(p, out);
	if (op == VM_OP_REF_TEST || op == VM_OP_REF_CAST)
		return put_test(p, op, out);
	put_opcode(out, op);
	return put_immediates(p, op, at, out);
}
