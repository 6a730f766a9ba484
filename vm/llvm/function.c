/*
 * function.c - the walker's back-end: operands, blocks and branches, locals, fuel.
 *
 * The operand stack exists only here: a label that something branches to has a phi for each
 * value that it takes. They are made with the first branch, in the order of the values, and are
 * the first instructions of the label's block.
 *
 * Spec: Core 3.0, sections 3.4 and 4.6.8
 */
#include "vm/llvm/chunk.h"

#include <stdlib.h>
#include <string.h>

struct control {
	enum vm_op op;
	uint32_t height;              /* operands below the block's parameters */
	uint32_t saved_height;        /* of the saved ones */
	LLVMBasicBlockRef target;     /* where branches go, or NULL: none so far */
	LLVMBasicBlockRef else_block; /* of an if that had no else yet */
};

/*
 * A local is an alloca. What it holds is known besides until control flow meets: most uses need
 * no load that mem2reg would only take away again.
 */
struct local {
	LLVMValueRef slot, value;
	uint32_t epoch; /* in which the value holds */
};

struct emit_body {
	LLVMValueRef *operands;
	uint32_t depth, operand_capacity;
	LLVMValueRef *saved; /* parameters of ifs, for their second arms */
	uint32_t saved_depth, saved_capacity;
	struct control *controls;
	uint32_t control_depth, control_capacity;
	struct local *locals;
	uint32_t local_capacity;
	LLVMValueRef *params;
	uint32_t param_capacity;
	uint32_t epoch; /* ends where control flow meets */
	/* The basic block that is being counted: where its cost belongs. */
	LLVMValueRef fuel_test, fuel_left;
};

bool
emit_body_init(struct emit *e)
{
	size_t memories = (size_t)e->module->memory_count + 1;

	e->body = calloc(1, sizeof *e->body);
	e->memory_objects = calloc(memories, sizeof(LLVMValueRef));
	e->memory_bases = calloc(memories, sizeof(LLVMValueRef));
	return e->body != NULL && e->memory_objects != NULL && e->memory_bases != NULL;
}

void
emit_body_clear(struct emit *e)
{
	struct emit_body *body = e->body;

	free(e->memory_objects);
	free(e->memory_bases);
	if (body == NULL)
		return;
	free(body->operands);
	free(body->saved);
	free(body->controls);
	free(body->locals);
	free(body->params);
	free(body);
}

static struct emit *
emit_of(struct vm_backend *b)
{
	return (struct emit *)b; /* base is the first member */
}

/* --- operands ------------------------------------------------------------------------------- */

/* Make an array hold count elements. */
static bool
reserve(void **array, uint32_t *capacity, uint64_t count, size_t size_bytes)
{
	if (count <= *capacity)
		return true;
	uint64_t larger = count + count / 2 + 64;
	void *grown = larger > UINT32_MAX ? NULL : realloc(*array, (size_t)larger * size_bytes);
	if (grown == NULL)
		return false;
	*array = grown;
	*capacity = (uint32_t)larger;
	return true;
}

/* What a call of the back-end may push is reserved first, so that pushing cannot fail. */
static enum vm_status
prepare(struct emit *e, const struct walk_insn *insn, uint32_t pushes, struct vm_error *err)
{
	struct emit_body *body = e->body;

	if (insn != NULL)
		e->offset = insn->offset;
	if (reserve((void **)&body->operands, &body->operand_capacity,
	            (uint64_t)body->depth + pushes + 1, sizeof *body->operands) &&
	    reserve((void **)&body->saved, &body->saved_capacity,
	            (uint64_t)body->saved_depth + pushes, sizeof *body->saved) &&
	    reserve((void **)&body->controls, &body->control_capacity,
	            (uint64_t)body->control_depth + 1, sizeof *body->controls))
		return VM_OK;
	return vm_error_set(err, VM_E_NOMEM, e->offset, "out of memory compiling function %u",
	                    e->func->index);
}

void
emit_push(struct emit *e, LLVMValueRef value)
{
	e->body->operands[e->body->depth++] = value;
}

LLVMValueRef
emit_pop(struct emit *e)
{
	return e->body->operands[--e->body->depth];
}

LLVMValueRef *
emit_pop_many(struct emit *e, uint32_t count)
{
	e->body->depth -= count;
	return e->body->operands + e->body->depth;
}

LLVMTypeRef
emit_type(const struct emit *e, vm_valtype type)
{
	switch (type) {
	case VM_I32:
		return e->t.i32;
	case VM_I64:
		return e->t.i64;
	case VM_F32:
		return e->t.f32;
	case VM_F64:
		return e->t.f64;
	case VM_V128:
		return e->t.v128;
	default:
		return e->t.ptr;
	}
}

/* --- positions, blocks, traps --------------------------------------------------------------- */

void
emit_position(struct emit *e)
{
	LLVMSetCurrentDebugLocation2(
	    e->builder, LLVMDIBuilderCreateDebugLocation(e->context, (unsigned int)e->offset, 0,
	                                                 e->scope, NULL));
}

LLVMBasicBlockRef
emit_block(struct emit *e, const char *name)
{
	return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

void
emit_trap(struct emit *e, enum vm_trap trap)
{
	LLVMValueRef code = LLVMConstInt(e->t.i8, trap, false);
	LLVMValueRef call = emit_intrinsic(e, "llvm.ubsantrap", NULL, 0, &code, 1);

	LLVMAddCallSiteAttribute(call, LLVMAttributeFunctionIndex, e->chunk->nomerge);
	(void)LLVMBuildUnreachable(e->builder);
}

void
emit_unlikely(struct emit *e, LLVMValueRef condition, LLVMBasicBlockRef cold)
{
	LLVMBasicBlockRef next = emit_block(e, "");
	LLVMValueRef branch = LLVMBuildCondBr(e->builder, condition, cold, next);

	emit_set_metadata(e, branch, e->chunk->kind_prof, e->chunk->unlikely);
	LLVMPositionBuilderAtEnd(e->builder, next);
}

void
emit_trap_if(struct emit *e, LLVMValueRef condition, enum vm_trap trap)
{
	LLVMBasicBlockRef cold = emit_block(e, "trap");

	emit_unlikely(e, condition, cold);
	LLVMBasicBlockRef next = LLVMGetInsertBlock(e->builder);
	LLVMPositionBuilderAtEnd(e->builder, cold);
	emit_trap(e, trap);
	LLVMPositionBuilderAtEnd(e->builder, next);
}

/* An i32 as a condition; what comparisons made is taken as it was. */
static LLVMValueRef
pop_condition(struct emit *e)
{
	LLVMValueRef value = emit_pop(e);

	if (LLVMIsAZExtInst(value) != NULL) {
		LLVMValueRef source = LLVMGetOperand(value, 0);

		if (LLVMTypeOf(source) == e->t.i1)
			return source;
	}
	return LLVMBuildICmp(e->builder, LLVMIntNE, value, emit_i32(e, 0), "");
}

/* --- labels --------------------------------------------------------------------------------- */

static struct control *
control_at(struct emit *e, uint32_t depth)
{
	return &e->body->controls[e->body->control_depth - 1 - depth];
}

/* Types of the values that a branch to the label takes along. */
static const vm_valtype *
label_types(const struct walk_label *label, uint32_t *out_count)
{
	*out_count = label->op == VM_OP_LOOP ? label->param_count : label->result_count;
	return label->op == VM_OP_LOOP ? label->params : label->results;
}

/* A block with a phi for each value. */
static LLVMBasicBlockRef
block_with_phis(struct emit *e, const char *name, const vm_valtype *types, uint32_t count)
{
	LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
	LLVMBasicBlockRef block = emit_block(e, name);

	LLVMPositionBuilderAtEnd(e->builder, block);
	for (uint32_t i = 0; i < count; i++)
		(void)LLVMBuildPhi(e->builder, emit_type(e, types[i]), "");
	LLVMPositionBuilderAtEnd(e->builder, here);
	return block;
}

/* An edge from here to the block takes the operands on top along. */
static void
add_edge(struct emit *e, LLVMBasicBlockRef to, uint32_t count)
{
	LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
	LLVMValueRef *values = e->body->operands + e->body->depth - count;
	LLVMValueRef phi = count > 0 ? LLVMGetFirstInstruction(to) : NULL;

	for (uint32_t i = 0; i < count; i++, phi = LLVMGetNextInstruction(phi))
		LLVMAddIncoming(phi, &values[i], &here, 1);
}

/* Where a branch to the label at that depth goes, with an edge from here. */
static LLVMBasicBlockRef
edge_to_label(struct emit *e, uint32_t depth)
{
	struct control *c = control_at(e, depth);
	uint32_t count;
	const vm_valtype *types = label_types(walker_label(e->walker, depth), &count);

	if (c->target == NULL)
		c->target = block_with_phis(e, "", types, count);
	add_edge(e, c->target, count);
	return c->target;
}

static void
push_phis(struct emit *e, LLVMBasicBlockRef block, uint32_t count)
{
	LLVMValueRef phi = count > 0 ? LLVMGetFirstInstruction(block) : NULL;

	for (uint32_t i = 0; i < count; i++, phi = LLVMGetNextInstruction(phi))
		emit_push(e, phi);
}

/* --- the function --------------------------------------------------------------------------- */

/* The first value of a local that is no parameter. */
static LLVMValueRef
zero_of(struct emit *e, vm_valtype type)
{
	LLVMTypeRef llvm_type = emit_type(e, type);
	LLVMValueRef zero = LLVMConstNull(llvm_type);

	/* A known zero would let LLVM drop additions that make NaNs canonical. */
	if (!e->options->canonical_nans || (type != VM_F32 && type != VM_F64))
		return zero;
	return emit_intrinsic(e, "llvm.arithmetic.fence", &llvm_type, 1, &zero, 1);
}

static enum vm_status
locals_make(struct emit *e, struct vm_error *err)
{
	const struct walk_func *func = e->func;
	struct emit_body *body = e->body;
	uint32_t params = func->type->func.param_count;

	if (!reserve((void **)&body->locals, &body->local_capacity, func->local_count + 1u,
	             sizeof *body->locals) ||
	    !reserve((void **)&body->params, &body->param_capacity, params + 1u,
	             sizeof *body->params))
		return vm_error_set(err, VM_E_NOMEM, e->offset,
		                    "out of memory compiling function %u", func->index);
	emit_load_params(e, body->params);
	body->epoch = 1;
	for (uint32_t i = 0; i < func->local_count; i++) {
		vm_valtype type = func->locals[i];
		LLVMValueRef value = i < params ? body->params[i] : zero_of(e, type);
		/* A zero of floats must not be seen before mem2reg: see lower.h. */
		bool is_known = i < params || type == VM_I32 || type == VM_I64;

		body->locals[i] = (struct local){
			.slot = LLVMBuildAlloca(e->builder, emit_type(e, type), ""),
			.value = value,
			.epoch = is_known ? body->epoch : 0,
		};
		(void)LLVMBuildStore(e->builder, value, body->locals[i].slot);
	}
	return VM_OK;
}

static enum vm_status
on_begin(struct vm_backend *b, const struct walk_func *func, struct vm_error *err)
{
	struct emit *e = emit_of(b);
	struct emit_body *body = e->body;

	e->func = func;
	e->offset = e->module->funcs[func->index].body_offset;
	e->instance = LLVMGetParam(e->function, 0);
	memset(e->memory_objects, 0, e->module->memory_count * sizeof e->memory_objects[0]);
	memset(e->memory_bases, 0, e->module->memory_count * sizeof e->memory_bases[0]);
	e->loop_depth = 0;
	body->depth = 0;
	body->saved_depth = 0;
	body->control_depth = 0;
	enum vm_status st = prepare(e, NULL, 0, err);
	if (st != VM_OK)
		return st;
	body->controls[body->control_depth++] = (struct control){ .op = VM_OP_BLOCK };

	e->entry = emit_block(e, "entry");
	LLVMPositionBuilderAtEnd(e->builder, e->entry);
	emit_position(e);
	st = locals_make(e, err);
	if (st != VM_OK)
		return st;
	LLVMBasicBlockRef start = emit_block(e, "");
	LLVMPositionBuilderBefore(e->prologue, LLVMBuildBr(e->builder, start));
	LLVMPositionBuilderAtEnd(e->builder, start);
	return VM_OK;
}

/* --- blocks --------------------------------------------------------------------------------- */

static void
enter_if(struct emit *e, struct control *c, uint32_t param_count)
{
	struct emit_body *body = e->body;
	LLVMBasicBlockRef then = emit_block(e, "");

	c->else_block = emit_block(e, "");
	for (uint32_t i = 0; i < param_count; i++)
		body->saved[body->saved_depth++] = body->operands[c->height + i];
	LLVMPositionBuilderAtEnd(e->builder, then);
}

static void
enter_loop(struct emit *e, struct control *c, const struct walk_label *label)
{
	e->loop_depth++;
	e->body->epoch++;
	c->target = block_with_phis(e, "loop", label->params, label->param_count);
	add_edge(e, c->target, label->param_count);
	(void)LLVMBuildBr(e->builder, c->target);
	LLVMPositionBuilderAtEnd(e->builder, c->target);
	e->body->depth = c->height;
	push_phis(e, c->target, label->param_count);
}

static enum vm_status
on_enter(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
         struct vm_error *err)
{
	struct emit *e = emit_of(b);
	struct emit_body *body = e->body;
	enum vm_status st = prepare(e, insn, label->param_count, err);

	if (st != VM_OK)
		return st;
	if (insn->op != VM_OP_BLOCK && insn->op != VM_OP_LOOP && insn->op != VM_OP_IF)
		return vm_error_set(err, VM_E_UNSUPPORTED, insn->offset,
		                    "function %u has an instruction that the native tier does "
		                    "not run",
		                    e->func->index);
	LLVMValueRef condition = insn->op == VM_OP_IF ? pop_condition(e) : NULL;
	struct control *c = &body->controls[body->control_depth++];
	*c = (struct control){
		.op = insn->op,
		.height = body->depth - label->param_count,
		.saved_height = body->saved_depth,
	};
	if (insn->op == VM_OP_LOOP)
		enter_loop(e, c, label);
	if (insn->op == VM_OP_IF) {
		LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);

		enter_if(e, c, label->param_count);
		LLVMBasicBlockRef then = LLVMGetInsertBlock(e->builder);
		LLVMPositionBuilderAtEnd(e->builder, here);
		(void)LLVMBuildCondBr(e->builder, condition, then, c->else_block);
		LLVMPositionBuilderAtEnd(e->builder, then);
	}
	return VM_OK;
}

/* Go on in the second arm of an if, with its parameters. */
static void
go_to_else(struct emit *e, struct control *c, uint32_t param_count)
{
	struct emit_body *body = e->body;

	LLVMPositionBuilderAtEnd(e->builder, c->else_block);
	c->else_block = NULL;
	body->epoch++;
	body->depth = c->height;
	for (uint32_t i = 0; i < param_count; i++)
		emit_push(e, body->saved[c->saved_height + i]);
	body->saved_depth = c->saved_height;
}

static enum vm_status
on_else(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
        bool live, struct vm_error *err)
{
	struct emit *e = emit_of(b);
	enum vm_status st = prepare(e, insn, label->param_count, err);

	if (st != VM_OK)
		return st;
	if (live)
		(void)LLVMBuildBr(e->builder, edge_to_label(e, 0));
	go_to_else(e, control_at(e, 0), label->param_count);
	return VM_OK;
}

static enum vm_status
on_end(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
       bool live, struct vm_error *err)
{
	struct emit *e = emit_of(b);
	struct control *c = control_at(e, 0);
	uint32_t pushes = label->result_count > label->param_count ? label->result_count
	                                                           : label->param_count;
	enum vm_status st = prepare(e, insn, pushes, err);

	if (st != VM_OK)
		return st;
	if (c->else_block != NULL) { /* an if without else: its parameters are its results */
		if (live)
			(void)LLVMBuildBr(e->builder, edge_to_label(e, 0));
		go_to_else(e, c, label->param_count);
		live = true;
	}
	if (c->op != VM_OP_LOOP && c->target != NULL) {
		if (live)
			(void)LLVMBuildBr(e->builder, edge_to_label(e, 0));
		LLVMPositionBuilderAtEnd(e->builder, c->target);
		e->body->epoch++;
		e->body->depth = c->height;
		push_phis(e, c->target, label->result_count);
	}
	e->loop_depth -= c->op == VM_OP_LOOP;
	e->body->control_depth--;
	return VM_OK;
}

/* --- branches ------------------------------------------------------------------------------- */

/* Branch to the label if the condition is true, else go on. */
static void
branch_if(struct emit *e, uint32_t depth, LLVMValueRef condition)
{
	LLVMBasicBlockRef target = edge_to_label(e, depth);
	LLVMBasicBlockRef next = emit_block(e, "");

	(void)LLVMBuildCondBr(e->builder, condition, target, next);
	LLVMPositionBuilderAtEnd(e->builder, next);
}

static void
branch_table(struct emit *e, const struct walk_labels *labels)
{
	LLVMValueRef index = emit_pop(e);
	uint32_t otherwise = labels->depths[labels->count];
	LLVMValueRef table =
	    LLVMBuildSwitch(e->builder, index, edge_to_label(e, otherwise), labels->count);

	for (uint32_t i = 0; i < labels->count; i++)
		if (labels->depths[i] != otherwise)
			LLVMAddCase(table, emit_i32(e, i), edge_to_label(e, labels->depths[i]));
}

static void
branch_on_null(struct emit *e, uint32_t depth, bool is_null)
{
	LLVMValueRef ref = emit_pop(e);
	LLVMValueRef condition =
	    LLVMBuildICmp(e->builder, is_null ? LLVMIntEQ : LLVMIntNE, ref,
	                  LLVMConstPointerNull(e->t.ptr), "");

	/* The reference goes along where it is not null. */
	if (!is_null)
		emit_push(e, ref);
	branch_if(e, depth, condition);
	if (is_null)
		emit_push(e, ref);
	else
		(void)emit_pop(e);
}

static enum vm_status
unsupported(const struct emit *e, const struct walk_insn *insn, struct vm_error *err)
{
	return vm_error_set(err, VM_E_UNSUPPORTED, insn->offset,
	                    "function %u has %s, which the native tier does not run",
	                    e->func->index, opcode_table[insn->op].text);
}

static enum vm_status
on_branch(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	struct emit *e = emit_of(b);
	uint32_t depth = insn->imm.labels.depths[0];
	enum vm_status st = prepare(e, insn, 1, err);

	if (st != VM_OK)
		return st;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (insn->op) {
	case VM_OP_BR:
		(void)LLVMBuildBr(e->builder, edge_to_label(e, depth));
		return VM_OK;
	case VM_OP_BR_IF:
		branch_if(e, depth, pop_condition(e));
		return VM_OK;
	case VM_OP_BR_TABLE:
		branch_table(e, &insn->imm.labels);
		return VM_OK;
	case VM_OP_BR_ON_NULL:
	case VM_OP_BR_ON_NON_NULL:
		branch_on_null(e, depth, insn->op == VM_OP_BR_ON_NULL);
		return VM_OK;
	default:
		return unsupported(e, insn, err);
	}
#pragma GCC diagnostic pop
}

static enum vm_status
on_return(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	struct emit *e = emit_of(b);
	uint32_t outermost = e->body->control_depth - 1;
	enum vm_status st = prepare(e, insn, 0, err);

	if (st != VM_OK)
		return st;
	if (insn->op == VM_OP_END && control_at(e, outermost)->target == NULL)
		emit_return(e, emit_pop_many(e, e->func->type->func.result_count));
	else
		(void)LLVMBuildBr(e->builder, edge_to_label(e, outermost));
	return VM_OK;
}

static enum vm_status
on_end_function(struct vm_backend *b, struct vm_error *err)
{
	struct emit *e = emit_of(b);
	uint32_t results = e->func->type->func.result_count;
	LLVMBasicBlockRef target = e->body->controls[0].target;
	enum vm_status st = prepare(e, NULL, results, err);

	if (st != VM_OK || target == NULL)
		return st;
	LLVMPositionBuilderAtEnd(e->builder, target);
	push_phis(e, target, results);
	emit_return(e, emit_pop_many(e, results));
	return VM_OK;
}

/* --- fuel ----------------------------------------------------------------------------------- */

/* The cost is known when the block ends: until then 1 stands for it. */
static void
on_charge(struct vm_backend *b, uint32_t block)
{
	struct emit *e = emit_of(b);
	LLVMValueRef run = emit_run(e);
	LLVMValueRef cost = emit_i64(e, 1);
	LLVMValueRef fuel =
	    emit_field(e, e->t.i64, run, offsetof(struct vm_run, fuel), REGION_FUEL);

	(void)block;
	emit_set_effect(e, fuel);
	emit_position(e);
	e->body->fuel_test = LLVMBuildICmp(e->builder, LLVMIntULT, fuel, cost, "");
	LLVMBasicBlockRef cold = emit_block(e, "fuel");
	emit_unlikely(e, e->body->fuel_test, cold);
	LLVMBasicBlockRef next = LLVMGetInsertBlock(e->builder);
	LLVMPositionBuilderAtEnd(e->builder, cold);
	emit_set_field(e, emit_i64(e, 0), run, offsetof(struct vm_run, fuel), REGION_FUEL);
	emit_trap(e, VM_TRAP_FUEL);
	LLVMPositionBuilderAtEnd(e->builder, next);
	e->body->fuel_left = LLVMBuildSub(e->builder, fuel, cost, "");
	emit_set_effect(e, emit_set_field(e, e->body->fuel_left, run,
	                                  offsetof(struct vm_run, fuel), REGION_FUEL));
}

static void
on_charge_total(struct vm_backend *b, uint32_t block, uint32_t cost)
{
	struct emit *e = emit_of(b);

	(void)block;
	LLVMSetOperand(e->body->fuel_test, 1, emit_i64(e, cost));
	LLVMSetOperand(e->body->fuel_left, 1, emit_i64(e, cost));
}

/* --- instructions --------------------------------------------------------------------------- */

static void
select_value(struct emit *e)
{
	LLVMValueRef condition = pop_condition(e);
	LLVMValueRef otherwise = emit_pop(e);
	LLVMValueRef value = emit_pop(e);

	emit_push(e, LLVMBuildSelect(e->builder, condition, value, otherwise, ""));
}

static LLVMValueRef
local_get(struct emit *e, const struct walk_insn *insn)
{
	struct local *local = &e->body->locals[insn->imm.index.index];

	if (local->epoch != e->body->epoch) {
		local->value =
		    LLVMBuildLoad2(e->builder, emit_type(e, insn->type), local->slot, "");
		local->epoch = e->body->epoch;
	}
	return local->value;
}

static void
local_set(struct emit *e, const struct walk_insn *insn, LLVMValueRef value)
{
	struct local *local = &e->body->locals[insn->imm.index.index];

	(void)LLVMBuildStore(e->builder, value, local->slot);
	local->value = value;
	local->epoch = e->body->epoch;
}

/* Instructions that concern operands and locals only. */
static bool
operand_instruction(struct emit *e, const struct walk_insn *insn)
{
	struct emit_body *body = e->body;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (insn->op) {
	case VM_OP_NOP:
		return true;
	case VM_OP_UNREACHABLE:
		emit_trap(e, VM_TRAP_UNREACHABLE);
		return true;
	case VM_OP_DROP:
		(void)emit_pop(e);
		return true;
	case VM_OP_SELECT:
	case VM_OP_SELECT_T:
		select_value(e);
		return true;
	case VM_OP_LOCAL_GET:
		emit_push(e, local_get(e, insn));
		return true;
	case VM_OP_LOCAL_SET:
		local_set(e, insn, emit_pop(e));
		return true;
	case VM_OP_LOCAL_TEE:
		local_set(e, insn, body->operands[body->depth - 1]);
		return true;
	default:
		return false;
	}
#pragma GCC diagnostic pop
}

/* Instructions whose row says how many operands they have. */
static bool
row_instruction(struct emit *e, const struct walk_insn *insn)
{
	const struct opcode_sig *sig = &opcode_sig_table[insn->op];
	LLVMValueRef *operands = emit_pop_many(e, sig->operand_count);
	LLVMValueRef result = NULL;

	if (sig->imm == IMM_MEMARG || sig->imm == IMM_MEMARG_LANE) {
		if (!emit_memory(e, insn, operands, &result))
			return false;
	} else {
		bool is_vector = opcode_table[insn->op].prefix == 0xfd;

		result = is_vector ? emit_simd(e, insn, operands) : emit_num(e, insn, operands);
		if (result == NULL)
			return false;
	}
	if (result != NULL)
		emit_push(e, result);
	return true;
}

static enum vm_status
on_op(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	struct emit *e = emit_of(b);
	uint32_t pushes = insn->callee != NULL ? insn->callee->func.result_count : 0;
	enum vm_status st = prepare(e, insn, pushes + 1, err);

	if (st != VM_OK)
		return st;
	if (opcode_table[insn->op].flags & OPF_TRAP)
		emit_position(e);
	if (operand_instruction(e, insn) || emit_access(e, insn) || emit_call(e, insn) ||
	    (!opcode_sig_table[insn->op].is_poly && row_instruction(e, insn)))
		return VM_OK;
	return unsupported(e, insn, err);
}

const struct vm_backend_ops emit_backend_ops = {
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
