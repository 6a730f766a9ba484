#include "vm/load/walker.h"

#include <string.h>

enum vm_status
walk_grow(struct walker *w, void **array, uint32_t *capacity, uint64_t count, size_t size_bytes)
{
	uint64_t wanted = *capacity < 32 ? 32 : *capacity;

	while (wanted < count)
		wanted *= 2;
	if (wanted > UINT32_MAX)
		return input_no_memory(&w->in);
	void *grown = engine_realloc_array(w->in.engine, *array, (size_t)wanted, size_bytes);
	if (grown == NULL)
		return input_no_memory(&w->in);
	*array = grown;
	*capacity = (uint32_t)wanted;
	return VM_OK;
}

/* --- operands -------------------------------------------------------------------------------- */

enum vm_status
walk_fail_type(struct walker *w, vm_valtype expected, vm_valtype got)
{
	char want_text[VM_VALTYPE_TEXT_MAX], got_text[VM_VALTYPE_TEXT_MAX];

	return walk_fail(w, VM_E_INVALID, "type mismatch: %s expected %s, got %s",
	                 opcode_table[w->insn.op].text,
	                 type_text(w->module, expected, want_text, sizeof want_text),
	                 type_text(w->module, got, got_text, sizeof got_text));
}

static enum vm_status
fail_empty(struct walker *w, vm_valtype expected)
{
	char text[VM_VALTYPE_TEXT_MAX];

	if (expected == VM_VALTYPE_BOTTOM)
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: %s expected an operand, but none is left",
		                 opcode_table[w->insn.op].text);
	return walk_fail(w, VM_E_INVALID,
	                 "type mismatch: %s expected %s, but the block has no operand left",
	                 opcode_table[w->insn.op].text,
	                 type_text(w->module, expected, text, sizeof text));
}

enum vm_status
walk_check_subtype(struct walker *w, vm_valtype sub, vm_valtype super)
{
	if (sub == w->known_sub && super == w->known_super)
		return VM_OK;
	if (!valtype_is_subtype(w->in.engine, sub, super))
		return walk_fail_type(w, super, sub);
	w->known_sub = sub;
	w->known_super = super;
	return VM_OK;
}

static inline bool
same_types(const vm_valtype *a, const vm_valtype *b, uint32_t count)
{
	if (count <= 1)
		return count == 0 || a[0] == b[0];
	return memcmp(a, b, count * sizeof *a) == 0;
}

/* Are these very types on top of the block's operands? */
static bool
has_on_top(const struct walker *w, const vm_valtype *types, uint32_t count)
{
	return w->height - w->floor >= count &&
	       same_types(w->operands + (w->height - count), types, count);
}

enum vm_status
walk_check_subtypes(struct walker *w, const vm_valtype *subs, const vm_valtype *supers,
                    uint32_t count)
{
	enum vm_status st = VM_OK;

	if (same_types(subs, supers, count))
		return VM_OK;
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = walk_check_subtype(w, subs[i], supers[i]);
	return st;
}

/* A push beyond the highest point so far: the only place where the stack grows. */
enum vm_status
walk_push_peak(struct walker *w, vm_valtype type)
{
	if (w->height == w->height_max)
		return walk_fail(w, VM_E_LIMIT, "locals and operands need more than %llu slots",
		                 (unsigned long long)w->in.engine->limits.frame_slots_max);
	enum vm_status st = walk_reserve(w, (void **)&w->operands, &w->operand_capacity,
	                                 (uint64_t)w->height + 1, sizeof *w->operands);
	if (st != VM_OK)
		return st;
	w->operands[w->height++] = type;
	w->height_peak = w->height;
	return VM_OK;
}

enum vm_status
walk_pop_any(struct walker *w, vm_valtype *out)
{
	if (w->height > w->floor) {
		*out = w->operands[--w->height];
		return VM_OK;
	}
	if (!walk_top(w)->is_polymorphic)
		return fail_empty(w, VM_VALTYPE_BOTTOM);
	*out = VM_VALTYPE_BOTTOM;
	return VM_OK;
}

enum vm_status
walk_pop_slow(struct walker *w, vm_valtype expected)
{
	if (w->height > w->floor)
		return walk_check_subtype(w, w->operands[--w->height], expected);
	return walk_top(w)->is_polymorphic ? VM_OK : fail_empty(w, expected);
}

enum vm_status
walk_pop_ref(struct walker *w, vm_valtype *out)
{
	char text[VM_VALTYPE_TEXT_MAX];
	enum vm_status st = walk_pop_any(w, out);

	if (st != VM_OK)
		return st;
	if (*out != VM_VALTYPE_BOTTOM && !vm_valtype_is_ref(*out))
		return walk_fail(w, VM_E_INVALID, "type mismatch: %s expected a reference, got %s",
		                 opcode_table[w->insn.op].text,
		                 type_text(w->module, *out, text, sizeof text));
	w->insn.type = *out;
	return VM_OK;
}

enum vm_status
walk_pop_some(struct walker *w, const vm_valtype *types, uint32_t count)
{
	enum vm_status st = VM_OK;

	/* Signatures can be long, and most often their types are there as they are. */
	if (has_on_top(w, types, count)) {
		w->height -= count;
		return VM_OK;
	}
	while (count > 0 && st == VM_OK && !walk_is_bottomless(w))
		st = walk_pop(w, types[--count]);
	return st;
}

enum vm_status
walk_push_some(struct walker *w, const vm_valtype *types, uint32_t count)
{
	enum vm_status st = VM_OK;

	if (count <= w->height_peak - w->height) {
		memcpy(w->operands + w->height, types, count * sizeof *types);
		w->height += count;
		return VM_OK;
	}
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = walk_push(w, types[i]);
	return st;
}

enum vm_status
walk_peek_many(struct walker *w, const vm_valtype *types, uint32_t count)
{
	uint32_t height = w->height;

	if (has_on_top(w, types, count))
		return VM_OK;
	while (count > 0) {
		const vm_valtype expected = types[--count];

		if (height == w->floor)
			return walk_top(w)->is_polymorphic ? VM_OK : fail_empty(w, expected);
		enum vm_status st = walk_check_subtype(w, w->operands[--height], expected);
		if (st != VM_OK)
			return st;
	}
	return VM_OK;
}

/* --- blocks ---------------------------------------------------------------------------------- */

/* Results that point into a frame follow it when the frames move. */
static void
repoint_singles(struct walker *w)
{
	for (uint32_t i = 0; i < w->frame_count; i++) {
		if (w->frames[i].has_single)
			w->frames[i].label.results = &w->frames[i].single;
	}
}

enum vm_status
walk_push_frame(struct walker *w, enum vm_op op, const struct vm_functype *type, bool has_single)
{
	const struct walk_frame *before = w->frames;

	if (w->frame_count > w->in.engine->limits.nesting_max)
		return walk_fail(w, VM_E_LIMIT, "blocks nest deeper than %llu",
		                 (unsigned long long)w->in.engine->limits.nesting_max);
	enum vm_status st = walk_reserve(w, (void **)&w->frames, &w->frame_capacity,
	                                 (uint64_t)w->frame_count + 1, sizeof *w->frames);
	if (st != VM_OK)
		return st;
	if (w->frames != before)
		repoint_singles(w);
	struct walk_frame *frame = &w->frames[w->frame_count++];
	*frame = (struct walk_frame){
		.label = {
			.op = op,
			.height = w->height,
			.params = type->params,
			.param_count = type->param_count,
			.results = type->results,
			.result_count = type->result_count,
		},
		.has_single = has_single,
		.is_reported = w->is_live,
		.set_height = w->set_count,
	};
	w->floor = w->height;
	if (has_single) {
		frame->single = type->results[0];
		frame->label.results = &frame->single;
	}
	return walk_push_many(w, type->params, type->param_count);
}

enum vm_status
walk_close_frame(struct walker *w)
{
	const struct walk_frame *frame = walk_top(w);
	enum vm_status st = walk_pop_many(w, frame->label.results, frame->label.result_count);

	if (st != VM_OK)
		return st;
	if (w->height != frame->label.height)
		return walk_fail(w, VM_E_INVALID,
		                 "type mismatch: %u operands too many at the end of the block",
		                 (unsigned)(w->height - frame->label.height));
	walk_unset_locals(w);
	return VM_OK;
}

void
walk_pop_frame(struct walker *w)
{
	w->frame_count--;
	w->floor = w->frame_count > 0 ? walk_top(w)->label.height : 0;
}

void
walk_set_dead(struct walker *w)
{
	walk_count_end(w);
	w->height = w->floor;
	walk_top(w)->is_polymorphic = true;
	walk_set_live(w, false);
}

enum vm_status
walk_find_label(struct walker *w, uint32_t depth, struct walk_frame **out)
{
	if (depth >= w->frame_count)
		return walk_fail(w, VM_E_INVALID, "unknown label %u, there are %u", (unsigned)depth,
		                 (unsigned)w->frame_count);
	*out = &w->frames[w->frame_count - 1 - depth];
	return VM_OK;
}

const struct walk_label *
walker_label(const struct walker *w, uint32_t depth)
{
	return &w->frames[w->frame_count - 1 - depth].label;
}

uint32_t
walker_label_count(const struct walker *w)
{
	return w->frame_count;
}

/* --- locals without a default value (3.4.14) ------------------------------------------------- */

enum vm_status
walk_set_local(struct walker *w, uint32_t index)
{
	if (!w->has_unset || w->is_set[index])
		return VM_OK;
	enum vm_status st = walk_reserve(w, (void **)&w->set_log, &w->log_capacity,
	                                 (uint64_t)w->set_count + 1, sizeof *w->set_log);
	if (st != VM_OK)
		return st;
	w->is_set[index] = 1;
	w->set_log[w->set_count++] = index;
	return VM_OK;
}

void
walk_unset_locals(struct walker *w)
{
	const uint32_t keep = walk_top(w)->set_height;

	while (w->set_count > keep)
		w->is_set[w->set_log[--w->set_count]] = 0;
}
