#include "vm/load/walker.h"

#include <string.h>

/* The forms that need no evaluation by code: one instruction and the end. */
static void
decode_single(const struct walk_insn *insn, struct const_expr *out)
{
	out->kind = CONST_VALUE;
	switch ((unsigned)insn->op) {
	case VM_OP_I32_CONST:
		out->bits[0] = (uint32_t)insn->imm.i32;
		return;
	case VM_OP_I64_CONST:
		out->bits[0] = (uint64_t)insn->imm.i64;
		return;
	case VM_OP_F32_CONST:
		out->bits[0] = insn->imm.f32_bits;
		return;
	case VM_OP_F64_CONST:
		out->bits[0] = insn->imm.f64_bits;
		return;
	case VM_OP_V128_CONST:
		for (unsigned i = 0; i < 16; i++)
			out->bits[i / 8] |= (uint64_t)insn->imm.v128[i] << (8 * (i % 8));
		return;
	case VM_OP_REF_NULL:
		return;
	case VM_OP_REF_FUNC:
		out->kind = CONST_REF_FUNC;
		out->index = insn->imm.index.index;
		return;
	case VM_OP_GLOBAL_GET:
		out->kind = CONST_GLOBAL_GET;
		out->index = insn->imm.index.index;
		return;
	default:
		out->kind = CONST_CODE;
		return;
	}
}

static void
prepare(struct walker *w, const struct reader *r, struct vm_error *err)
{
	w->in.r = *r;
	w->in.function = VM_NO_FUNCTION;
	w->in.err = err;
	w->backend = NULL;
	w->is_const = true;
	w->is_watched = true;
	walk_set_live(w, true);
	w->is_counting = false;
	w->func = (struct walk_func){ .module = w->module };
	w->has_unset = false;
	w->set_count = 0;
	w->insn_count = 0;
	w->insn.op = VM_OP_END;
	w->insn.offset = reader_offset(r);
	w->height = 0;
	w->height_peak = 0;
	w->height_max = w->in.engine->limits.frame_slots_max;
	w->frame_count = 0;
}

enum vm_status
walker_run_const(struct walker *w, struct reader *r, vm_valtype type, struct const_expr *out,
                 struct vm_error *err)
{
	const struct vm_functype result = { .results = &type, .result_count = 1 };
	const uint64_t offset = reader_offset(r);

	prepare(w, r, err);
	enum vm_status st = walk_push_frame(w, VM_OP_BLOCK, &result, true);
	if (st == VM_OK)
		st = walk_instructions(w);
	if (st != VM_OK)
		return st;
	const uint64_t size = reader_offset(&w->in.r) - offset;
	if (size > UINT32_MAX)
		return input_fail(&w->in, VM_E_LIMIT, offset, "constant expression is too long");
	*out = (struct const_expr){
		.kind = CONST_CODE,
		.type = type,
		.offset = offset,
		.size = (uint32_t)size,
	};
	if (w->insn_count == 2)
		decode_single(&w->first_insn, out);
	*r = w->in.r;
	return VM_OK;
}
