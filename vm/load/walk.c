#include "vm/load/walker.h"

#include <string.h>

/* --- reports --------------------------------------------------------------------------------- */

enum vm_status
walk_report_branch(struct walker *w)
{
	struct vm_backend *b = w->listener;

	return b == NULL ? VM_OK : b->ops->branch(b, &w->insn, w->in.err);
}

enum vm_status
walk_report_return(struct walker *w)
{
	struct vm_backend *b = w->listener;

	return b == NULL ? VM_OK : b->ops->return_(b, &w->insn, w->in.err);
}

void
walk_count_begin(struct walker *w)
{
	if (w->listener == NULL || !w->listener->wants_fuel)
		return;
	w->is_counting = true;
	w->block++;
	w->block_cost = 0;
	w->backend->ops->charge(w->backend, w->block);
}

void
walk_count_end(struct walker *w)
{
	if (!w->is_counting)
		return;
	w->is_counting = false;
	w->backend->ops->charge_total(w->backend, w->block, w->block_cost);
}

/* Instructions that do nothing by themselves are free. */
static bool
costs(enum vm_op op)
{
	return op != VM_OP_NOP && op != VM_OP_BLOCK && op != VM_OP_LOOP && op != VM_OP_ELSE &&
	       op != VM_OP_END;
}

/* --- instructions on locals, the most frequent ones ------------------------------------------ */

/* The local's type becomes the instruction's. */
static inline uint32_t
note_local(struct walker *w)
{
	const uint32_t index = w->insn.imm.index.index;

	w->insn.type = walk_local_type(w, index);
	return index;
}

static inline enum vm_status
push_and_report(struct walker *w)
{
	enum vm_status st = walk_push(w, w->insn.type);

	return st == VM_OK ? walk_report_op(w) : st;
}

static inline enum vm_status
local_get(struct walker *w)
{
	const uint32_t index = note_local(w);

	if (w->has_unset && !w->is_set[index] && !valtype_is_defaultable(w->insn.type))
		return walk_fail(w, VM_E_INVALID,
		                 "uninitialized local %u: its type has no default value",
		                 (unsigned)index);
	return push_and_report(w);
}

static inline enum vm_status
local_set(struct walker *w)
{
	enum vm_status st = walk_set_local(w, note_local(w));

	if (st == VM_OK)
		st = walk_pop(w, w->insn.type);
	return st == VM_OK ? walk_report_op(w) : st;
}

static inline enum vm_status
local_tee(struct walker *w)
{
	enum vm_status st = walk_set_local(w, note_local(w));

	if (st == VM_OK)
		st = walk_pop(w, w->insn.type);
	return st == VM_OK ? push_and_report(w) : st;
}

/* --- the loop -------------------------------------------------------------------------------- */

/* Instructions that have a rule. */
static inline enum vm_status
walk_poly(struct walker *w)
{
	switch ((unsigned)w->insn.op) {
	case VM_OP_LOCAL_GET:
		return local_get(w);
	case VM_OP_LOCAL_SET:
		return local_set(w);
	case VM_OP_LOCAL_TEE:
		return local_tee(w);
#define X(symbol, rule)                                                                            \
	case VM_OP_##symbol:                                                                       \
		return walk_rule_##rule(w);
		WALK_RULES(X)
#undef X
	default:
		return walk_fail(w, VM_E_UNSUPPORTED, "instruction not supported");
	}
}

/* The type that a signature's code stands for. */
static inline vm_valtype
sig_type(const struct walker *w, uint8_t code)
{
	if (code != SIG_ADDRESS)
		return code;
	return w->insn.is_64 ? VM_I64 : VM_I32;
}

/* Instructions whose row says it all. */
static inline enum vm_status
walk_plain(struct walker *w, const struct opcode_sig *sig)
{
	enum vm_status st;

	for (unsigned i = sig->operand_count; i > 0; i--) {
		st = walk_pop(w, sig_type(w, sig->operands[i - 1]));
		if (st != VM_OK)
			return st;
	}
	if (sig->result != 0) {
		st = walk_push(w, sig_type(w, sig->result));
		if (st != VM_OK)
			return st;
	}
	return walk_report_op(w);
}

/* The opcode behind a prefix byte, or a byte that is no opcode. */
static enum vm_status
read_prefixed(struct walker *w, uint8_t byte)
{
	uint32_t code;

	if (byte < 0xfb)
		return walk_fail(w, VM_E_MALFORMED, "illegal opcode 0x%02x", byte);
	enum vm_status st = input_u32(&w->in, "an opcode behind its prefix", &code);
	if (st != VM_OK)
		return st;
	if (!opcode_find(byte, code, &w->insn.op))
		return walk_fail(w, VM_E_MALFORMED, "illegal opcode 0x%02x 0x%02x", byte,
		                 (unsigned)code);
	return VM_OK;
}

static inline enum vm_status
read_opcode(struct walker *w)
{
	uint8_t byte;

	w->insn.offset = reader_offset(&w->in.r);
	enum vm_status st = input_u8(&w->in, "an instruction", &byte);
	if (st != VM_OK)
		return st;
	if (opcode_plain[byte] == 0)
		return read_prefixed(w, byte);
	w->insn.op = (enum vm_op)(opcode_plain[byte] - 1);
	return VM_OK;
}

/* Is the instruction allowed in constant expressions (3.4.15)? */
static enum vm_status
check_const(struct walker *w)
{
	const struct opcode_info *row = &opcode_table[w->insn.op];

	if (w->insn_count++ == 0)
		w->first_insn = w->insn;
	if ((row->flags & OPF_CONST) == 0)
		return walk_fail(w, VM_E_INVALID, "constant expression required, got %s",
		                 row->text);
	if (row->imm == IMM_NONE && row->feature == VM_FEATURE_MVP && w->insn.op != VM_OP_END)
		return input_use(&w->in, VM_FEATURE_EXTENDED_CONST, w->insn.offset, row->text);
	if (w->insn.op != VM_OP_GLOBAL_GET)
		return VM_OK;
	const uint32_t index = w->insn.imm.index.index;
	if (w->module->globals[index].type.is_mutable)
		return walk_fail(w, VM_E_INVALID,
		                 "constant expression required, but global %u is mutable",
		                 (unsigned)index);
	if (index >= w->module->global_import_count)
		return input_use(&w->in, VM_FEATURE_GC, w->insn.offset,
		                 "a constant expression with a global that is not imported");
	return VM_OK;
}

/* Note the feature that the instruction came with. */
static enum vm_status
use_feature(struct walker *w, enum vm_feature feature)
{
	w->ops_used |= UINT64_C(1) << feature;
	return input_use(&w->in, feature, w->insn.offset, opcode_table[w->insn.op].text);
}

static enum vm_status
watch(struct walker *w)
{
	if (w->is_counting && costs(w->insn.op))
		w->block_cost++;
	return w->is_const ? check_const(w) : VM_OK;
}

/* Locals with numbers of one byte are the most frequent immediates by far. */
static inline bool
read_short_local(struct walker *w, const struct opcode_sig *sig)
{
	const uint8_t *next = w->in.r.next;

	if (sig->imm != IMM_LOCAL || next == w->in.r.end || *next >= 0x80 ||
	    *next >= w->func.local_count)
		return false;
	w->insn.imm.index.index = *next;
	w->in.r.next = next + 1;
	return true;
}

static inline enum vm_status
walk_instruction(struct walker *w)
{
	struct walk_insn *insn = &w->insn;
	enum vm_status st = read_opcode(w);

	if (st != VM_OK)
		return st;
	const struct opcode_sig *sig = &opcode_sig_table[insn->op];
	if (sig->feature != VM_FEATURE_MVP) {
		st = use_feature(w, (enum vm_feature)sig->feature);
		if (st != VM_OK)
			return st;
	}
	insn->type = 0;
	insn->is_64 = false;
	insn->is_64_source = false;
	insn->callee = NULL;
	if (sig->imm != IMM_NONE && !read_short_local(w, sig)) {
		st = walk_read_imm(w, (enum imm_kind)sig->imm);
		if (st != VM_OK)
			return st;
	}
	if (w->is_watched) {
		st = watch(w);
		if (st != VM_OK)
			return st;
	}
	return sig->is_poly ? walk_poly(w) : walk_plain(w, sig);
}

enum vm_status
walk_instructions(struct walker *w)
{
	enum vm_status st = VM_OK;

	while (w->frame_count > 0 && st == VM_OK)
		st = walk_instruction(w);
	return st;
}

/* --- locals ---------------------------------------------------------------------------------- */

/* Locals whose types are in the array even when no back-end wants to see all. */
enum { LOCALS_DENSE = 256 };

vm_valtype
walk_run_type(const struct walker *w, uint32_t index)
{
	uint32_t low = 0, high = w->run_count - 1;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (index < w->runs[middle].end)
			high = middle;
		else
			low = middle + 1;
	}
	return w->runs[low].type;
}

/* Put the types of locals from local_dense on, up to end, into the array. */
static enum vm_status
fill_dense(struct walker *w, vm_valtype type, uint32_t end)
{
	enum vm_status st = walk_reserve(w, (void **)&w->locals, &w->local_capacity, end,
	                                 sizeof *w->locals);

	if (st != VM_OK)
		return st;
	while (w->local_dense < end)
		w->locals[w->local_dense++] = type;
	return VM_OK;
}

static enum vm_status
add_locals(struct walker *w, vm_valtype type, uint32_t count)
{
	const uint64_t total = (uint64_t)w->func.local_count + count;

	if (total > w->in.engine->limits.locals_max)
		return input_fail(&w->in, VM_E_LIMIT, reader_offset(&w->in.r),
		                  "too many locals: %llu, the limit is %llu",
		                  (unsigned long long)total,
		                  (unsigned long long)w->in.engine->limits.locals_max);
	enum vm_status st = walk_reserve(w, (void **)&w->runs, &w->run_capacity,
	                                 (uint64_t)w->run_count + 1, sizeof *w->runs);
	if (st != VM_OK)
		return st;
	w->runs[w->run_count++] = (struct local_run){ (uint32_t)total, type };
	w->local_slots += (uint64_t)count * vm_valtype_slots(type);
	w->func.local_count = (uint32_t)total;
	if (w->backend == NULL && total > LOCALS_DENSE)
		return w->local_dense < LOCALS_DENSE ? fill_dense(w, type, LOCALS_DENSE) : VM_OK;
	return fill_dense(w, type, (uint32_t)total);
}

static enum vm_status
read_local_group(struct walker *w, uint64_t *total)
{
	const struct type_scope scope = { .module = w->module };
	const uint64_t offset = reader_offset(&w->in.r);
	uint32_t count;
	vm_valtype type;
	enum vm_status st = input_u32(&w->in, "a number of locals", &count);

	if (st == VM_OK)
		st = type_read_value(&w->in, &scope, &type);
	if (st != VM_OK)
		return st;
	*total += count;
	if (*total > UINT32_MAX)
		return input_fail(&w->in, VM_E_MALFORMED, offset, "too many locals");
	if (!valtype_is_defaultable(type) && count > 0)
		w->has_unset = true;
	return add_locals(w, type, count);
}

/* Parameters are set; of the others those count that have no default value. */
static enum vm_status
mark_set_locals(struct walker *w)
{
	if (!w->has_unset)
		return VM_OK;
	enum vm_status st = walk_reserve(w, (void **)&w->is_set, &w->set_capacity,
	                                 w->func.local_count, sizeof *w->is_set);
	if (st != VM_OK)
		return st;
	memset(w->is_set, 0, w->func.local_count);
	memset(w->is_set, 1, w->func.type->func.param_count);
	return VM_OK;
}

static enum vm_status
read_locals(struct walker *w)
{
	const struct vm_functype *type = &w->func.type->func;
	uint64_t total = type->param_count;
	uint32_t groups;
	enum vm_status st = VM_OK;

	w->func.local_count = 0;
	w->local_dense = 0;
	w->local_slots = 0;
	w->run_count = 0;
	w->has_unset = false;
	w->set_count = 0;
	for (uint32_t i = 0; i < type->param_count && st == VM_OK; i++)
		st = add_locals(w, type->params[i], 1);
	if (st == VM_OK)
		st = input_count(&w->in, "groups of locals", UINT32_MAX, &groups);
	if (st != VM_OK)
		return st;
	for (uint32_t i = 0; i < groups && st == VM_OK; i++)
		st = read_local_group(w, &total);
	w->func.locals = w->locals;
	return st == VM_OK ? mark_set_locals(w) : st;
}

static enum vm_status
fail_slots(struct walker *w)
{
	return input_fail(&w->in, VM_E_LIMIT, reader_offset(&w->in.r),
	                  "locals and operands need more than %llu slots",
	                  (unsigned long long)w->in.engine->limits.frame_slots_max);
}

static enum vm_status
limit_height(struct walker *w)
{
	const uint64_t slots_max = w->in.engine->limits.frame_slots_max;

	if (w->local_slots > slots_max)
		return fail_slots(w);
	w->height_max = slots_max - w->local_slots;
	return VM_OK;
}

/*
 * A vector takes two slots. Where there may have been any, each operand counts as one, so that
 * nothing has to be counted while walking.
 */
static enum vm_status
check_height(struct walker *w)
{
	const vm_features used = w->in.used | w->module->features_seen;

	if ((used & VM_FEATURE_BIT(SIMD)) != 0 && 2 * (uint64_t)w->height_peak > w->height_max)
		return fail_slots(w);
	return VM_OK;
}

/* --- a function ------------------------------------------------------------------------------ */

static enum vm_status
walk_body(struct walker *w)
{
	enum vm_status st = read_locals(w);

	if (st == VM_OK)
		st = limit_height(w);
	if (st != VM_OK)
		return st;
	walk_set_live(w, true);
	/* The function's own frame has its results; its parameters are locals. */
	struct vm_functype type = w->func.type->func;
	type.param_count = 0;
	w->insn.op = VM_OP_BLOCK;
	w->insn.offset = reader_offset(&w->in.r);
	st = walk_push_frame(w, VM_OP_BLOCK, &type, false);
	if (st == VM_OK && w->backend != NULL)
		st = w->backend->ops->begin(w->backend, &w->func, w->in.err);
	if (st != VM_OK)
		return st;
	walk_count_begin(w);
	st = walk_instructions(w);
	if (st != VM_OK)
		return st;
	if (reader_left(&w->in.r) > 0)
		return input_fail(&w->in, VM_E_MALFORMED, reader_offset(&w->in.r),
		                  "END opcode expected as the last byte, but %zu bytes follow it",
		                  reader_left(&w->in.r));
	st = check_height(w);
	if (st == VM_OK && w->backend != NULL)
		st = w->backend->ops->end_function(w->backend, w->in.err);
	return st;
}

enum vm_status
walker_run(struct walker *w, uint32_t function, struct vm_backend *backend, struct vm_error *err)
{
	const struct module_func *func = &w->module->funcs[function];

	w->in.r = (struct reader){
		.start = w->module->bytes,
		.next = w->module->bytes + func->body_offset,
		.end = w->module->bytes + func->body_offset + func->body_size,
	};
	w->in.function = function;
	w->in.err = err;
	w->backend = backend;
	w->is_const = false;
	w->is_watched = backend != NULL && backend->wants_fuel;
	w->func = (struct walk_func){ w->module, function, func->type, NULL, 0 };
	w->height = 0;
	w->height_peak = 0;
	w->frame_count = 0;
	w->is_counting = false;
	w->block = UINT32_MAX; /* the first one is number 0 */
	return walk_body(w);
}

struct walker *
walker_new(const struct vm_module *module)
{
	const struct vm_engine *engine = module->engine;
	struct walker *w = engine_alloc_zeroed(engine, 1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->in.engine = engine;
	w->in.function = VM_NO_FUNCTION;
	w->module = module;
	return w;
}

void
walker_free(struct walker *w)
{
	if (w == NULL)
		return;
	const struct vm_engine *engine = w->in.engine;
	engine_free(engine, w->operands);
	engine_free(engine, w->frames);
	engine_free(engine, w->locals);
	engine_free(engine, w->runs);
	engine_free(engine, w->is_set);
	engine_free(engine, w->set_log);
	engine_free(engine, w->depths);
	engine_free(engine, w->catches);
	engine_free(engine, w);
}
