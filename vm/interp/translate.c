/*
 * translate.c - the walker's back-end that makes interpreter code: functions, blocks and fuel.
 *
 * Spec:    Core 3.0, section 4.6 (what is to be computed)
 * Owns:    the translation in progress
 * Threads: one translation of a module at a time (interp.c's lock)
 */
#include "vm/interp/translate.h"

#include "vm/interp/translation.h"

enum {
	WORDS_PER_BYTE_MAX = 8,
	WORDS_SPARE = 65536,
};

static enum vm_status
report_failure(const struct translation *t, struct vm_error *err)
{
	if (t->failed == VM_E_LIMIT)
		return vm_error_set(err, VM_E_LIMIT, t->offset,
		                    "function %u needs a frame of more than %llu slots, "
		                    "or too much code",
		                    t->func->index,
		                    (unsigned long long)t->engine->limits.frame_slots_max);
	if (t->failed == VM_E_UNSUPPORTED)
		return vm_error_set(err, VM_E_UNSUPPORTED, t->offset,
		                    "function %u has an instruction that the interpreter does "
		                    "not run",
		                    t->func->index);
	return vm_error_set(err, t->failed, t->offset, "out of memory translating function %u",
	                    t->func->index);
}

/* Report the first failure, if there was one. */
static inline enum vm_status
finish(const struct translation *t, struct vm_error *err)
{
	return t->failed == VM_OK ? VM_OK : report_failure(t, err);
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
	if (!translation_reserve(t, (void **)&t->locals, &t->local_capacity, func->local_count,
	                         sizeof(*t->locals)) ||
	    !translation_reserve(t, (void **)&t->controls, &t->control_capacity, 1,
	                         sizeof(*t->controls)))
		return finish(t, err);
	for (uint32_t i = 0; i < func->local_count; i++) {
		char letter = letter_of(func->locals[i]);

		t->locals[i] = (struct local){ (uint16_t)slot, letter };
		slot += letter_slots(letter);
	}
	/* The caller's view of the frame: results come back in the slots of the arguments. */
	uint64_t link = slot > func->type->result_slots ? slot : func->type->result_slots;
	place_need_frame(t, link + LINK_SLOTS + 2);
	t->link_slot = (uint32_t)link;
	t->first_slot = (uint32_t)link + LINK_SLOTS;
	t->controls[0] = (struct control){ .op = VM_OP_BLOCK, .patches = NO_WORD,
		                           .table_patches = NO_WORD, .else_patch = NO_WORD,
		                           .table = NO_WORD };
	t->control_depth = 1;
	uint32_t zeros = (uint32_t)slot - func->type->param_slots;
	if (zeros > 0 && t->failed == VM_OK)
		emit_d_imm(t, h_zero, func->type->param_slots, zeros);
	branch_bind(t);
	return finish(t, err);
}

static enum vm_status
on_op(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	struct translation *t = translation_of(b);

	t->offset = insn->offset;
	instruction_translate(t, insn);
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
		condition = place_pop(t);
	place_flush(t);
	place_flush_top(t, label->param_count);
	if (t->failed != VM_OK ||
	    !translation_reserve(t, (void **)&t->controls, &t->control_capacity,
	                         (uint64_t)t->control_depth + 1, sizeof(*t->controls)))
		return finish(t, err);
	if (insn->op == VM_OP_IF)
		branch_chain(t, &else_patch, branch_if(t, &condition, false, false));
	else if (insn->op == VM_OP_LOOP)
		branch_bind(t);
	else if (insn->op != VM_OP_BLOCK)
		t->failed = VM_E_UNSUPPORTED;
	uint32_t height = t->depth - label->param_count;
	t->controls[t->control_depth++] = (struct control){
		.op = insn->op,
		.height = height,
		.base_slot = label->param_count > 0 ? t->stack[height].slot : place_top_slot(t),
		.start = t->count,
		.patches = NO_WORD,
		.table_patches = NO_WORD,
		.else_patch = else_patch,
		.table = NO_WORD,
	};
	return finish(t, err);
}

static enum vm_status
on_else(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
        bool live, struct vm_error *err)
{
	struct translation *t = translation_of(b);
	struct control *c = branch_control(t, 0);

	t->offset = insn->offset;
	if (live) {
		place_flush_top(t, label->result_count);
		emit_d_imm(t, h_jump, 0, 0);
		branch_chain(t, &c->patches, t->last);
	}
	branch_resolve(t, &c->else_patch);
	place_cut(t, c->height);
	place_push_types(t, label->params, label->param_count);
	return finish(t, err);
}

static enum vm_status
on_end(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
       bool live, struct vm_error *err)
{
	struct translation *t = translation_of(b);
	struct control *c = branch_control(t, 0);
	bool merges = c->patches != NO_WORD || c->table_patches != NO_WORD ||
	              c->else_patch != NO_WORD;

	t->offset = insn->offset;
	if (live && !merges) { /* nobody else comes here: values may stay where they are */
		t->control_depth--;
		return finish(t, err);
	}
	if (live)
		place_flush_top(t, label->result_count);
	branch_resolve(t, &c->patches);
	branch_resolve_table(t, &c->table_patches);
	branch_resolve(t, &c->else_patch);
	place_cut(t, c->height);
	place_push_types(t, label->results, label->result_count);
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
		struct entry condition = place_pop(t);

		branch_conditional(t, label, &condition);
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
	branch_return(t);
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
	emit_position(t);
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

struct translation *
translation_new(struct interp_module *module)
{
	const struct vm_engine *engine = module->module->engine;
	struct translation *t = engine_alloc_zeroed(engine, 1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->base = (struct vm_backend){ .ops = &backend_ops, .wants_fuel = module->metered };
	t->engine = engine;
	t->walker = walker_new(module->module);
	if (t->walker == NULL) {
		engine_free(engine, t);
		return NULL;
	}
	return t;
}

void
translation_free(struct translation *t)
{
	if (t == NULL)
		return;
	walker_free(t->walker);
	engine_free(t->engine, t->code);
	engine_free(t->engine, t->positions);
	engine_free(t->engine, t->stack);
	engine_free(t->engine, t->controls);
	engine_free(t->engine, t->locals);
	engine_free(t->engine, t);
}

/* Forget the function before; only the arrays stay. Code most often has a word for each byte. */
static void
start(struct translation *t, struct interp_func *func)
{
	const struct vm_module *module = func->module->module;

	t->func = func;
	t->count = 0;
	t->count_max = WORDS_SPARE + WORDS_PER_BYTE_MAX * module->funcs[func->index].body_size;
	t->position_count = 0;
	t->depth = 0;
	t->control_depth = 0;
	t->frame_slots = 0;
	t->acc = (struct accumulator){ .entry = NO_ENTRY, .op = VM_OP_COUNT };
	t->vacc = t->acc;
	t->last = NO_WORD;
	t->offset = module->funcs[func->index].body_offset;
	t->failed = VM_OK;
	t->count_limit = 0;
	(void)emit_room(t, module->funcs[func->index].body_size);
}

enum vm_status
translation_run(struct translation *t, struct interp_func *func, struct translated *out,
                struct vm_error *err)
{
	start(t, func);
	enum vm_status st = walker_run(t->walker, func->index, &t->base, err);
	if (st != VM_OK)
		return st;
	*out = (struct translated){
		.code = t->code,
		.word_count = t->count,
		.positions = t->positions,
		.position_count = t->position_count,
		.link_slot = t->link_slot,
		.frame_slots = t->frame_slots + LINK_SLOTS,
	};
	return VM_OK;
}
