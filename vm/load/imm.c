#include "vm/load/walker.h"

#include <string.h>

/* An index into one of the module's spaces. */
static enum vm_status
read_index(struct walker *w, const char *what, uint32_t count, uint32_t *out)
{
	enum vm_status st = input_u32(&w->in, what, out);

	if (st == VM_OK && *out >= count)
		st = walk_fail(w, VM_E_INVALID, "unknown %s %u, there are %u", what, (unsigned)*out,
		               (unsigned)count);
	return st;
}

/* Where later versions have an index, earlier ones have a zero byte. */
static enum vm_status
read_index_or_zero(struct walker *w, const char *what, enum vm_feature feature, uint32_t count,
                   uint32_t *out)
{
	uint8_t byte;

	if (input_has(&w->in, feature)) {
		enum vm_status st = read_index(w, what, count, out);

		if (st == VM_OK && *out > 0)
			w->in.used |= UINT64_C(1) << feature;
		return st;
	}
	enum vm_status st = input_u8(&w->in, what, &byte);
	if (st != VM_OK)
		return st;
	if (byte != 0)
		return walk_fail(w, VM_E_MALFORMED,
		                 "expected a zero byte for the %s, got 0x%02x; other ones need the "
		                 "feature %s", what, byte, vm_feature_name(feature));
	*out = 0;
	if (count == 0)
		return walk_fail(w, VM_E_INVALID, "unknown %s 0, there are none", what);
	return VM_OK;
}

static enum vm_status
read_func(struct walker *w, uint32_t *out)
{
	return read_index(w, "function", w->module->func_count, out);
}

static enum vm_status
read_type(struct walker *w, uint32_t *out)
{
	return read_index(w, "type", w->module->type_count, out);
}

static enum vm_status
read_table(struct walker *w, uint32_t *out, bool *out_is_64)
{
	enum vm_status st = read_index_or_zero(w, "table", VM_FEATURE_REFERENCE_TYPES,
	                                       w->module->table_count, out);

	if (st == VM_OK)
		*out_is_64 = w->module->tables[*out].type.is_64;
	return st;
}

static enum vm_status
read_memory(struct walker *w, uint32_t *out, bool *out_is_64)
{
	enum vm_status st = read_index_or_zero(w, "memory", VM_FEATURE_MULTI_MEMORY,
	                                       w->module->memory_count, out);

	if (st == VM_OK)
		*out_is_64 = w->module->memories[*out].is_64;
	return st;
}

static enum vm_status
read_elem(struct walker *w, uint32_t *out)
{
	return read_index(w, "element segment", w->module->elem_count, out);
}

/* The data section comes behind the code: the data count section says how many there will be. */
static enum vm_status
read_data(struct walker *w, uint32_t *out)
{
	if (!w->module->has_data_count)
		return walk_fail(w, VM_E_MALFORMED, "data count section required by %s",
		                 opcode_table[w->insn.op].text);
	return read_index(w, "data segment", w->module->data_count, out);
}

/* --- block types, labels --------------------------------------------------------------------- */

static enum vm_status
read_block_index(struct walker *w)
{
	const uint64_t offset = reader_offset(&w->in.r);
	int64_t index;
	enum vm_status st = reader_read_s33(&w->in.r, &index);

	if (st != VM_OK)
		return input_fail_read(&w->in, st, "a block type");
	if (index < 0)
		return input_fail(&w->in, VM_E_MALFORMED, offset, "malformed block type");
	st = input_use(&w->in, VM_FEATURE_MULTI_VALUE, offset, "a block type with an index");
	if (st != VM_OK)
		return st;
	if (index >= w->module->type_count)
		return walk_fail(w, VM_E_INVALID, "unknown type %lld, there are %u",
		                 (long long)index, (unsigned)w->module->type_count);
	const struct vm_type *type = w->module->types[index];
	if (type->kind != COMP_FUNC)
		return walk_fail(w, VM_E_INVALID, "block type %lld is not a function type",
		                 (long long)index);
	w->block_type = type->func;
	return VM_OK;
}

/* 0x40, a value type, or the index of a function type as a positive s33. */
static enum vm_status
read_block_type(struct walker *w)
{
	const struct type_scope scope = { .module = w->module };
	const uint8_t first = reader_left(&w->in.r) > 0 ? *w->in.r.next : 0;

	w->block_has_single = false;
	w->block_type = (struct vm_functype){ NULL, NULL, 0, 0 };
	if (first == 0x40) {
		w->in.r.next++;
		return VM_OK;
	}
	if ((first & 0xc0) != 0x40) /* not a one-byte negative number */
		return read_block_index(w);
	w->block_has_single = true;
	w->block_type.results = &w->block_single;
	w->block_type.result_count = 1;
	return type_read_value(&w->in, &scope, &w->block_single);
}

static enum vm_status
read_label(struct walker *w)
{
	w->insn.imm.labels = (struct walk_labels){ &w->depth, 0 };
	return input_u32(&w->in, "a label", &w->depth);
}

static enum vm_status
read_labels(struct walker *w)
{
	uint32_t count;
	enum vm_status st = input_count(&w->in, "labels of a br_table",
	                                w->in.engine->limits.br_table_labels_max, &count);

	if (st == VM_OK)
		st = walk_reserve(w, (void **)&w->depths, &w->depth_capacity, (uint64_t)count + 1,
		                  sizeof *w->depths);
	if (st != VM_OK)
		return st;
	for (uint32_t i = 0; i <= count && st == VM_OK; i++)
		st = input_u32(&w->in, "a label", &w->depths[i]);
	w->insn.imm.labels = (struct walk_labels){ w->depths, count };
	return st;
}

static enum vm_status
read_catch(struct walker *w, struct walk_catch *out)
{
	const uint64_t offset = reader_offset(&w->in.r);
	uint8_t kind;
	enum vm_status st = input_u8(&w->in, "a catch clause", &kind);

	if (st != VM_OK)
		return st;
	if (kind > CATCH_ALL_REF)
		return input_fail(&w->in, VM_E_MALFORMED, offset,
		                  "malformed catch clause: kind 0x%02x", kind);
	out->kind = (enum walk_catch_kind)kind;
	out->tag = 0;
	if (kind == CATCH || kind == CATCH_REF)
		st = read_index(w, "tag", w->module->tag_count, &out->tag);
	return st == VM_OK ? input_u32(&w->in, "a label", &out->depth) : st;
}

static enum vm_status
read_try_table(struct walker *w)
{
	uint32_t count;
	enum vm_status st = read_block_type(w);

	if (st == VM_OK)
		st = input_count(&w->in, "catch clauses", w->in.engine->limits.br_table_labels_max,
		                 &count);
	if (st == VM_OK)
		st = walk_reserve(w, (void **)&w->catches, &w->catch_capacity, count,
		                  sizeof *w->catches);
	if (st != VM_OK)
		return st;
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = read_catch(w, &w->catches[i]);
	w->insn.imm.catches = (struct walk_catches){ w->catches, count };
	return st;
}

/* --- the rest -------------------------------------------------------------------------------- */

static enum vm_status
read_select_types(struct walker *w)
{
	const struct type_scope scope = { .module = w->module };
	uint32_t count;
	enum vm_status st = input_count(&w->in, "types of a select",
	                                w->in.engine->limits.results_max, &count);

	if (st != VM_OK)
		return st;
	if (count != 1)
		return walk_fail(w, VM_E_INVALID, "invalid result arity: select with %u types",
		                 (unsigned)count);
	return type_read_value(&w->in, &scope, &w->insn.type);
}

/*
 * Alignment, with a flag for a memory index behind it, and offset. Before 64-bit memories the
 * offset was 32 bits wide; since then it is read as 64 and has to fit the memory.
 */
enum { MEMARG_HAS_MEMORY = 0x40, MEMARG_ALIGN_MAX = 0x3f };

/* The flags say that there is an index of a memory: take that off them and read it. */
static enum vm_status
read_memarg_memory(struct walker *w, uint32_t *flags)
{
	if (*flags > (MEMARG_HAS_MEMORY | MEMARG_ALIGN_MAX))
		return walk_fail(w, VM_E_MALFORMED, "malformed memory operand flags: 0x%x",
		                 (unsigned)*flags);
	w->in.used |= VM_FEATURE_BIT(MULTI_MEMORY);
	*flags &= MEMARG_ALIGN_MAX;
	return input_u32(&w->in, "a memory", &w->insn.imm.memarg.memory);
}

static enum vm_status
read_memarg(struct walker *w)
{
	struct walk_memarg *out = &w->insn.imm.memarg;
	const uint8_t width = opcode_table[w->insn.op].width;
	uint32_t flags, offset_32;
	enum vm_status st = input_u32(&w->in, "an alignment", &flags);

	if (st != VM_OK)
		return st;
	out->memory = 0;
	out->lane = 0;
	if (flags > MEMARG_ALIGN_MAX && input_has(&w->in, VM_FEATURE_MULTI_MEMORY)) {
		st = read_memarg_memory(w, &flags);
		if (st != VM_OK)
			return st;
	}
	if (out->memory >= w->module->memory_count)
		return walk_fail(w, VM_E_INVALID, "unknown memory %u, there are %u",
		                 (unsigned)out->memory, (unsigned)w->module->memory_count);
	if (flags > width)
		return walk_fail(w, flags > 31 ? VM_E_MALFORMED : VM_E_INVALID,
		                 "alignment 2^%u must not be larger than natural, 2^%u",
		                 (unsigned)flags, (unsigned)width);
	out->align = flags;
	out->is_64 = w->module->memories[out->memory].is_64;
	w->insn.is_64 = out->is_64;
	if (!input_has(&w->in, VM_FEATURE_MEMORY64)) {
		st = input_u32(&w->in, "an offset", &offset_32);
		out->offset = st == VM_OK ? offset_32 : 0;
		return st;
	}
	st = input_u64(&w->in, "an offset", &out->offset);
	if (st == VM_OK && out->offset > UINT32_MAX && !out->is_64)
		st = walk_fail(w, VM_E_INVALID, "offset out of range for a 32-bit memory: %llu",
		               (unsigned long long)out->offset);
	return st;
}

/* A lane of a vector, whose lanes have 2^width bytes. */
static enum vm_status
read_lane(struct walker *w, uint8_t *out)
{
	const uint8_t count = (uint8_t)(16 >> opcode_table[w->insn.op].width);
	enum vm_status st = input_u8(&w->in, "a lane", out);

	if (st == VM_OK && *out >= count)
		st = walk_fail(w, VM_E_INVALID, "invalid lane index %u, there are %u", *out, count);
	return st;
}

static enum vm_status
read_v128(struct walker *w)
{
	const uint8_t *bytes;
	enum vm_status st = reader_read_bytes(&w->in.r, 16, &bytes);

	if (st != VM_OK)
		return input_fail_read(&w->in, st, "16 bytes");
	memcpy(w->insn.imm.v128, bytes, 16);
	return VM_OK;
}

static enum vm_status
read_shuffle(struct walker *w)
{
	enum vm_status st = read_v128(w);

	for (unsigned i = 0; i < 16 && st == VM_OK; i++) {
		if (w->insn.imm.v128[i] >= 32)
			st = walk_fail(w, VM_E_INVALID, "invalid lane index %u, there are 32",
			               w->insn.imm.v128[i]);
	}
	return st;
}

static enum vm_status
read_heap(struct walker *w, uint32_t *out)
{
	const struct type_scope scope = { .module = w->module };

	return type_read_heap(&w->in, &scope, out);
}

static enum vm_status
read_cast(struct walker *w)
{
	enum { FROM_NULL = 1, TO_NULL = 2 };
	uint8_t flags;
	enum vm_status st = input_u8(&w->in, "cast flags", &flags);

	if (st != VM_OK)
		return st;
	if (flags > (FROM_NULL | TO_NULL))
		return walk_fail(w, VM_E_MALFORMED, "malformed cast flags: 0x%02x", flags);
	w->insn.imm.cast.from_null = (flags & FROM_NULL) != 0;
	w->insn.imm.cast.to_null = (flags & TO_NULL) != 0;
	st = input_u32(&w->in, "a label", &w->insn.imm.cast.depth);
	if (st == VM_OK)
		st = read_heap(w, &w->insn.imm.cast.from);
	return st == VM_OK ? read_heap(w, &w->insn.imm.cast.to) : st;
}

static enum vm_status
read_constant(struct walker *w, enum imm_kind kind)
{
	union walk_imm *imm = &w->insn.imm;
	enum vm_status st;

	if (kind == IMM_I32)
		st = reader_read_s32(&w->in.r, &imm->i32);
	else if (kind == IMM_I64)
		st = reader_read_s64(&w->in.r, &imm->i64);
	else if (kind == IMM_F32)
		st = reader_read_le32(&w->in.r, &imm->f32_bits);
	else
		st = reader_read_le64(&w->in.r, &imm->f64_bits);
	return st == VM_OK ? VM_OK : input_fail_read(&w->in, st, "a constant");
}

/* Two indices or counts. */
static enum vm_status
read_two(struct walker *w, enum imm_kind kind)
{
	struct walk_insn *insn = &w->insn;
	uint32_t *const first = &insn->imm.index.index;
	uint32_t *const second = &insn->imm.index.index2;
	enum vm_status st;

	switch ((unsigned)kind) {
	case IMM_CALL_INDIRECT:
		st = read_type(w, first);
		return st == VM_OK ? read_table(w, second, &insn->is_64) : st;
	case IMM_TABLE_TABLE:
		st = read_table(w, first, &insn->is_64);
		return st == VM_OK ? read_table(w, second, &insn->is_64_source) : st;
	case IMM_ELEM_TABLE:
		st = read_elem(w, first);
		return st == VM_OK ? read_table(w, second, &insn->is_64) : st;
	case IMM_MEMORY_MEMORY:
		st = read_memory(w, first, &insn->is_64);
		return st == VM_OK ? read_memory(w, second, &insn->is_64_source) : st;
	case IMM_DATA_MEMORY:
		st = read_data(w, first);
		return st == VM_OK ? read_memory(w, second, &insn->is_64) : st;
	case IMM_FIELD:
		st = read_type(w, first);
		return st == VM_OK ? input_u32(&w->in, "a field", second) : st;
	case IMM_TYPE_N:
		st = read_type(w, first);
		return st == VM_OK ? input_u32(&w->in, "a count", second) : st;
	case IMM_TYPE_DATA:
		st = read_type(w, first);
		return st == VM_OK ? read_data(w, second) : st;
	case IMM_TYPE_ELEM:
		st = read_type(w, first);
		return st == VM_OK ? read_elem(w, second) : st;
	case IMM_TYPE_TYPE:
		st = read_type(w, first);
		return st == VM_OK ? read_type(w, second) : st;
	default:
		return walk_fail(w, VM_E_UNSUPPORTED, "instruction not supported");
	}
}

static enum vm_status
read_memarg_lane(struct walker *w)
{
	enum vm_status st = read_memarg(w);

	return st == VM_OK ? read_lane(w, &w->insn.imm.memarg.lane) : st;
}

enum vm_status
walk_read_imm(struct walker *w, enum imm_kind kind)
{
	struct walk_insn *insn = &w->insn;
	uint32_t *const index = &insn->imm.index.index;

	switch (kind) {
	case IMM_NONE:
		return VM_OK;
	case IMM_BLOCK:
		return read_block_type(w);
	case IMM_LABEL:
		return read_label(w);
	case IMM_LABELS:
		return read_labels(w);
	case IMM_FUNC:
		return read_func(w, index);
	case IMM_TYPE:
		return read_type(w, index);
	case IMM_TAG:
		return read_index(w, "tag", w->module->tag_count, index);
	case IMM_TRY_TABLE:
		return read_try_table(w);
	case IMM_SELECT_T:
		return read_select_types(w);
	case IMM_LOCAL:
		return read_index(w, "local", w->func.local_count, index);
	case IMM_GLOBAL:
		return read_index(w, "global", w->module->global_count, index);
	case IMM_TABLE:
		return read_table(w, index, &insn->is_64);
	case IMM_ELEM:
		return read_elem(w, index);
	case IMM_MEMORY:
		return read_memory(w, index, &insn->is_64);
	case IMM_DATA:
		return read_data(w, index);
	case IMM_MEMARG:
		return read_memarg(w);
	case IMM_MEMARG_LANE:
		return read_memarg_lane(w);
	case IMM_I32:
	case IMM_I64:
	case IMM_F32:
	case IMM_F64:
		return read_constant(w, kind);
	case IMM_V128:
		return read_v128(w);
	case IMM_SHUFFLE:
		return read_shuffle(w);
	case IMM_LANE:
		return read_lane(w, &insn->imm.lane);
	case IMM_HEAP:
		return read_heap(w, &insn->imm.heap);
	case IMM_CAST:
		return read_cast(w);
	case IMM_CALL_INDIRECT:
	case IMM_TABLE_TABLE:
	case IMM_ELEM_TABLE:
	case IMM_MEMORY_MEMORY:
	case IMM_DATA_MEMORY:
	case IMM_FIELD:
	case IMM_TYPE_N:
	case IMM_TYPE_DATA:
	case IMM_TYPE_ELEM:
	case IMM_TYPE_TYPE:
		return read_two(w, kind);
	default:
		return walk_fail(w, VM_E_UNSUPPORTED, "instruction not supported");
	}
}
