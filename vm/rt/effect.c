#include "vm/rt/effect.h"

#include <string.h>
#include "vm/load/walk.h"
#include "vm/rt/program.h"

enum {
	/* More is not looked at: it will write somewhere, and looking costs time. */
	FUNCS_MAX = 16,
	BODY_BYTES_MAX = 4096,
};

enum { UNKNOWN, READS, WRITES };

/* A back-end that ends the walk at the first instruction that may write. */
struct search {
	struct vm_backend base; /* first */
	const struct vm_module *module;
	bool may_write;
	uint32_t func_count; /* found so far: those before index have been walked */
	uint32_t funcs[FUNCS_MAX];
};

/* --- one instruction ------------------------------------------------------------------------ */

/* Calls of a known function are not counted here. */
static bool
insn_may_write(enum vm_op op)
{
	const struct opcode_info *row = &opcode_table[op];
	bool is_load = row->prefix != 0xfe && strncmp(row->sig, "a_", 2) == 0;

	return (row->imm == IMM_MEMARG && !is_load) || row->imm == IMM_MEMARG_LANE ||
	       (row->imm == IMM_MEMORY && op != VM_OP_MEMORY_SIZE) ||
	       row->imm == IMM_MEMORY_MEMORY || row->imm == IMM_DATA_MEMORY ||
	       row->imm == IMM_CALL_INDIRECT || row->imm == IMM_TYPE;
}

/* A function that is called, or named: the latter is no harm. */
static bool
add_func(struct search *s, uint32_t function)
{
	for (uint32_t i = 0; i < s->func_count; i++) {
		if (s->funcs[i] == function)
			return true;
	}
	if (s->func_count == FUNCS_MAX || function < s->module->func_import_count ||
	    s->module->funcs[function].body_size > BODY_BYTES_MAX)
		return false;
	s->funcs[s->func_count++] = function;
	return true;
}

static enum vm_status
on_op(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	struct search *s = (struct search *)b;

	(void)err;
	s->may_write =
	    insn_may_write(insn->op) || (opcode_table[insn->op].imm == IMM_FUNC &&
	                                 !add_func(s, insn->imm.index.index));
	return s->may_write ? VM_E_LIMIT : VM_OK;
}

/* --- the rest of the walk ------------------------------------------------------------------- */

static enum vm_status
on_begin(struct vm_backend *b, const struct walk_func *func, struct vm_error *err)
{
	(void)b;
	(void)func;
	(void)err;
	return VM_OK;
}

static enum vm_status
on_enter(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
         struct vm_error *err)
{
	(void)b;
	(void)insn;
	(void)label;
	(void)err;
	return VM_OK;
}

static enum vm_status
on_end(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
       bool live, struct vm_error *err)
{
	(void)b;
	(void)insn;
	(void)label;
	(void)live;
	(void)err;
	return VM_OK;
}

static enum vm_status
on_jump(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	(void)b;
	(void)insn;
	(void)err;
	return VM_OK;
}

static enum vm_status
on_end_function(struct vm_backend *b, struct vm_error *err)
{
	(void)b;
	(void)err;
	return VM_OK;
}

static const struct vm_backend_ops search_ops = {
	.begin = on_begin,
	.op = on_op,
	.enter = on_enter,
	.else_ = on_end,
	.end = on_end,
	.branch = on_jump,
	.return_ = on_jump,
	.end_function = on_end_function,
};

static bool
search(const struct vm_module *module, uint32_t function)
{
	struct search s = { .base = { .ops = &search_ops }, .module = module };
	struct walker *walker = add_func(&s, function) ? walker_new(module) : NULL;
	bool may_write = walker == NULL;

	for (uint32_t i = 0; i < s.func_count && !may_write; i++)
		may_write = walker_run(walker, s.funcs[i], &s.base, NULL) != VM_OK;
	walker_free(walker);
	return may_write;
}

/* --- answers --------------------------------------------------------------------------------- */

/* One for each function, made on first use; NULL when there is no memory. */
static atomic_uchar *
answers(struct vm_program *program)
{
	const struct vm_module *module = program->module;
	atomic_uchar *found = atomic_load_explicit(&program->effects, memory_order_acquire);

	if (found != NULL)
		return found;
	atomic_uchar *made = engine_alloc_zeroed(module->engine, module->func_count, sizeof(*made));
	if (made == NULL || atomic_compare_exchange_strong(&program->effects, &found, made))
		return made;
	engine_free(module->engine, made); /* another thread was quicker */
	return found;
}

bool
effect_may_write(const struct vm_func *func)
{
	if (func->is_host)
		return true;

	atomic_uchar *known = answers(func->instance->program);
	if (known == NULL)
		return true;
	unsigned char answer = atomic_load_explicit(&known[func->index], memory_order_relaxed);
	if (answer == UNKNOWN) {
		answer = search(func->instance->module, func->index) ? WRITES : READS;
		atomic_store_explicit(&known[func->index], answer, memory_order_relaxed);
	}
	return answer == WRITES;
}
