/*
 * calls.c - calls and returns, by the convention of vm/native/abi.h.
 *
 * Spec: Core 3.0, section 4.6.10
 */
#include "vm/llvm/chunk.h"

/* --- how values travel ---------------------------------------------------------------------- */

/* Parameters or results seen so far. */
struct passage {
	uint32_t ints, floats; /* in registers */
	uint32_t extra;        /* in run->extra */
};

enum { REGISTER_PARAMS_MAX = 1 + NATIVE_INT_PARAMS + NATIVE_FLOAT_PARAMS };

/* Whether the next parameter travels in a register; else it is number extra - 1 of the others. */
static bool
pass_param(struct passage *p, vm_valtype type)
{
	bool is_float = type == VM_F32 || type == VM_F64 || type == VM_V128;

	if (is_float ? p->floats < NATIVE_FLOAT_PARAMS : p->ints < NATIVE_INT_PARAMS) {
		p->floats += is_float;
		p->ints += !is_float;
		return true;
	}
	p->extra++;
	return false;
}

static LLVMTypeRef
result_type(const struct emit *e, const struct vm_type *type)
{
	return type->func.result_count > 0 ? emit_type(e, type->func.results[0]) : e->t.void_;
}

/* --- types of functions ----------------------------------------------------------------------- */

/*
 * LLVM guarantees a tail call only where caller and callee are of the same type. So a function
 * that has tail calls takes all registers that can be parameters, as i64 and v128, and its tail
 * calls give all of them, most with any value. To the processor that is the same convention.
 */
static bool
takes_all_registers(const struct emit *e, uint32_t function)
{
	const struct chunk_function *known = chunk_function(e->chunk, function);

	return known != NULL && known->has_tail_calls;
}

static LLVMTypeRef
all_registers_type(const struct emit *e, const struct vm_type *type)
{
	LLVMTypeRef params[REGISTER_PARAMS_MAX] = { e->t.ptr };

	for (unsigned int i = 0; i < NATIVE_INT_PARAMS; i++)
		params[1 + i] = e->t.i64;
	for (unsigned int i = 0; i < NATIVE_FLOAT_PARAMS; i++)
		params[1 + NATIVE_INT_PARAMS + i] = e->t.v128;
	return LLVMFunctionType(result_type(e, type), params, REGISTER_PARAMS_MAX, false);
}

static LLVMTypeRef
plain_type(const struct emit *e, const struct vm_type *type)
{
	const struct vm_functype *func = &type->func;
	LLVMTypeRef params[REGISTER_PARAMS_MAX] = { e->t.ptr };
	unsigned int count = 1;
	struct passage passage = { 0, 0, 0 };

	for (uint32_t i = 0; i < func->param_count; i++)
		if (pass_param(&passage, func->params[i]))
			params[count++] = emit_type(e, func->params[i]);
	return LLVMFunctionType(result_type(e, type), params, count, false);
}

LLVMTypeRef
emit_function_type(const struct emit *e, uint32_t function)
{
	const struct vm_type *type = e->module->funcs[function].type;

	return takes_all_registers(e, function) ? all_registers_type(e, type)
	                                        : plain_type(e, type);
}

/* A value as what stands for its register, and back. */
static LLVMValueRef
to_register(struct emit *e, vm_valtype type, LLVMValueRef value)
{
	LLVMBuilderRef b = e->builder;

	switch (type) {
	case VM_I64:
	case VM_V128:
		return value;
	case VM_I32:
		return LLVMBuildZExt(b, value, e->t.i64, "");
	case VM_F32:
		value = LLVMBuildInsertElement(b, LLVMGetPoison(e->t.f32x4), value,
		                               emit_i32(e, 0), "");
		return LLVMBuildBitCast(b, value, e->t.v128, "");
	case VM_F64:
		value = LLVMBuildInsertElement(b, LLVMGetPoison(e->t.f64x2), value,
		                               emit_i32(e, 0), "");
		return LLVMBuildBitCast(b, value, e->t.v128, "");
	default:
		return LLVMBuildPtrToInt(b, value, e->t.i64, "");
	}
}

static LLVMValueRef
from_register(struct emit *e, vm_valtype type, LLVMValueRef value)
{
	LLVMBuilderRef b = e->builder;

	switch (type) {
	case VM_I64:
	case VM_V128:
		return value;
	case VM_I32:
		return LLVMBuildTrunc(b, value, e->t.i32, "");
	case VM_F32:
		value = LLVMBuildBitCast(b, value, e->t.f32x4, "");
		return LLVMBuildExtractElement(b, value, emit_i32(e, 0), "");
	case VM_F64:
		value = LLVMBuildBitCast(b, value, e->t.f64x2, "");
		return LLVMBuildExtractElement(b, value, emit_i32(e, 0), "");
	default:
		return LLVMBuildIntToPtr(b, value, e->t.ptr, "");
	}
}

/* Which of all registers the parameter is in that was passed last. */
static unsigned int
register_number(const struct passage *p, vm_valtype type)
{
	bool is_float = type == VM_F32 || type == VM_F64 || type == VM_V128;

	return is_float ? NATIVE_INT_PARAMS + p->floats : p->ints;
}

/* --- values that travel in no register -------------------------------------------------------- */

/* Where the value of that number lies that travels in no register. */
static LLVMValueRef
extra_at(struct emit *e, uint32_t number)
{
	LLVMValueRef extra = emit_invariant(e, e->t.ptr, emit_run(e),
	                                    offsetof(struct vm_run, extra), "extra");

	return emit_address(e, extra, (uint64_t)number * NATIVE_EXTRA_BYTES);
}

static LLVMValueRef
load_extra(struct emit *e, vm_valtype type, uint32_t number)
{
	LLVMValueRef load =
	    LLVMBuildLoad2(e->builder, emit_type(e, type), extra_at(e, number), "");

	emit_set_region(e, load, REGION_EXTRA);
	return load;
}

static void
store_extra(struct emit *e, LLVMValueRef value, uint32_t number)
{
	LLVMValueRef store = LLVMBuildStore(e->builder, value, extra_at(e, number));

	emit_set_region(e, store, REGION_EXTRA);
}

/* --- the function's own parameters and results ----------------------------------------------- */

void
emit_load_params(struct emit *e, LLVMValueRef *out)
{
	const struct vm_functype *func = &e->func->type->func;
	bool takes_all = takes_all_registers(e, e->func->index);
	struct passage passage = { 0, 0, 0 };
	unsigned int number = 1;

	for (uint32_t i = 0; i < func->param_count; i++) {
		vm_valtype type = func->params[i];

		if (!pass_param(&passage, type))
			out[i] = load_extra(e, type, passage.extra - 1);
		else if (!takes_all)
			out[i] = LLVMGetParam(e->function, number++);
		else
			out[i] = from_register(
			    e, type,
			    LLVMGetParam(e->function, register_number(&passage, type)));
	}
}

void
emit_return(struct emit *e, LLVMValueRef *results)
{
	uint32_t count = e->func->type->func.result_count;

	for (uint32_t i = 1; i < count; i++)
		store_extra(e, results[i], i - 1);
	if (count == 0)
		(void)LLVMBuildRetVoid(e->builder);
	else
		(void)LLVMBuildRet(e->builder, results[0]);
}

/* --- callees -------------------------------------------------------------------------------- */

/* What to call, with which first argument. */
struct target {
	LLVMValueRef code, context;
	bool takes_all_registers; /* known to */
};

/* Through a function object, whoever runs it. */
static struct target
target_of_object(struct emit *e, LLVMValueRef func)
{
	return (struct target){
		.code = emit_invariant(e, e->t.ptr, func, offsetof(struct vm_func, native),
		                       "native"),
		.context = emit_invariant(e, e->t.ptr, func,
		                          offsetof(struct vm_func, native_context), "context"),
	};
}

static struct target
target_of_index(struct emit *e, uint32_t function)
{
	if (function >= e->module->func_import_count)
		return (struct target){ emit_declare(e, function), e->instance,
			                takes_all_registers(e, function) };
	return target_of_object(e, emit_function_object(e, function));
}

/*
 * A type that is not the expected one may still be a subtype: then it has that one in its display.
 */
static void
check_subtype(struct emit *e, LLVMValueRef actual, LLVMValueRef expected, uint32_t depth)
{
	LLVMBasicBlockRef slow = emit_block(e, "subtype");
	LLVMValueRef differs = LLVMBuildICmp(e->builder, LLVMIntNE, actual, expected, "");

	emit_unlikely(e, differs, slow);
	LLVMBasicBlockRef next = LLVMGetInsertBlock(e->builder);
	LLVMPositionBuilderAtEnd(e->builder, slow);
	LLVMValueRef actual_depth = emit_invariant(e, e->t.i32, actual,
	                                           offsetof(struct vm_type, depth), "depth");
	emit_trap_if(e,
	             LLVMBuildICmp(e->builder, LLVMIntULE, actual_depth, emit_i32(e, depth), ""),
	             VM_TRAP_INDIRECT_TYPE);
	LLVMValueRef display = emit_invariant(e, e->t.ptr, actual,
	                                      offsetof(struct vm_type, display), "display");
	LLVMValueRef at_depth = emit_invariant(e, e->t.ptr, display,
	                                       (uint64_t)depth * sizeof(void *), "");
	emit_trap_if(e, LLVMBuildICmp(e->builder, LLVMIntNE, at_depth, expected, ""),
	             VM_TRAP_INDIRECT_TYPE);
	(void)LLVMBuildBr(e->builder, next);
	LLVMPositionBuilderAtEnd(e->builder, next);
}

static void
check_type(struct emit *e, LLVMValueRef func, const struct walk_insn *insn)
{
	LLVMValueRef expected = emit_type_object(e, insn->imm.index.index);
	LLVMValueRef actual =
	    emit_invariant(e, e->t.ptr, func, offsetof(struct vm_func, type), "type");

	if (insn->callee->is_final)
		emit_trap_if(e, LLVMBuildICmp(e->builder, LLVMIntNE, actual, expected, ""),
		             VM_TRAP_INDIRECT_TYPE);
	else
		check_subtype(e, actual, expected, insn->callee->depth);
}

static void
check_null(struct emit *e, LLVMValueRef func, enum vm_trap trap)
{
	emit_trap_if(e, LLVMBuildIsNull(e->builder, func, ""), trap);
}

static struct target
target_of_table(struct emit *e, const struct walk_insn *insn)
{
	LLVMValueRef index = emit_pop(e);
	LLVMValueRef func =
	    emit_table_get(e, insn->imm.index.index2, index, VM_TRAP_UNDEFINED_ELEMENT);

	check_null(e, func, VM_TRAP_UNINITIALIZED);
	check_type(e, func, insn);
	return target_of_object(e, func);
}

static struct target
target_of_reference(struct emit *e)
{
	LLVMValueRef func = emit_pop(e);

	check_null(e, func, VM_TRAP_NULL_FUNCTION);
	return target_of_object(e, func);
}

/* --- calls ---------------------------------------------------------------------------------- */

/* The call itself, with the operands on top as arguments. */
static LLVMValueRef
build_call(struct emit *e, const struct vm_type *type, const struct target *target,
           bool gives_all)
{
	const struct vm_functype *func = &type->func;
	LLVMValueRef *operands = emit_pop_many(e, func->param_count);
	LLVMValueRef args[REGISTER_PARAMS_MAX] = { target->context };
	unsigned int count = 1;
	struct passage passage = { 0, 0, 0 };
	LLVMTypeRef llvm_type =
	    gives_all ? all_registers_type(e, type) : plain_type(e, type);

	if (gives_all) {
		for (; count < REGISTER_PARAMS_MAX; count++)
			args[count] = LLVMGetPoison(count <= NATIVE_INT_PARAMS ? e->t.i64
			                                                       : e->t.v128);
	}
	for (uint32_t i = 0; i < func->param_count; i++) {
		vm_valtype param = func->params[i];

		if (!pass_param(&passage, param))
			store_extra(e, operands[i], passage.extra - 1);
		else if (gives_all)
			args[register_number(&passage, param)] =
			    to_register(e, param, operands[i]);
		else
			args[count++] = operands[i];
	}
	LLVMValueRef call =
	    LLVMBuildCall2(e->builder, llvm_type, target->code, args, count, "");
	emit_set_nounwind(e, call);
	return call;
}

static LLVMValueRef
call(struct emit *e, const struct vm_type *type, struct target target)
{
	LLVMValueRef result = build_call(e, type, &target, target.takes_all_registers);

	LLVMSetTailCallKind(result, LLVMTailCallKindNoTail);
	if (type->func.result_count > 0)
		emit_push(e, result);
	for (uint32_t i = 1; i < type->func.result_count; i++)
		emit_push(e, load_extra(e, type->func.results[i], i - 1));
	return result;
}

/*
 * In a large module only what loops call is inlined as LLVM likes, and elsewhere what is hardly
 * longer than the call: whoever made the module has inlined what was worth it, and two fifths of
 * the time was spent on what this leaves out. What has no loops gets none by inlining.
 */
static bool
may_inline(const struct emit *e, uint32_t function)
{
	enum { SHORT_BYTES = 40 };
	const struct chunk_function *known = chunk_function(e->chunk, function);

	return !e->chunk->plan->is_large || e->loop_depth > 0 || known == NULL ||
	       (!known->has_loops && e->module->funcs[function].body_size <= SHORT_BYTES);
}

static void
call_direct(struct emit *e, const struct walk_insn *insn)
{
	uint32_t function = insn->imm.index.index;
	LLVMValueRef result = call(e, insn->callee, target_of_index(e, function));

	if (!may_inline(e, function))
		LLVMAddCallSiteAttribute(result, LLVMAttributeFunctionIndex, e->chunk->noinline);
}

/* The caller's frame is gone when the callee begins. */
static void
tail_call(struct emit *e, const struct vm_type *type, struct target target)
{
	LLVMValueRef result = build_call(e, type, &target, true);

	LLVMSetTailCallKind(result, LLVMTailCallKindMustTail);
	if (type->func.result_count > 0)
		(void)LLVMBuildRet(e->builder, result);
	else
		(void)LLVMBuildRetVoid(e->builder);
}

bool
emit_call(struct emit *e, const struct walk_insn *insn)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (insn->op) {
	case VM_OP_CALL:
		call_direct(e, insn);
		return true;
	case VM_OP_CALL_INDIRECT:
		(void)call(e, insn->callee, target_of_table(e, insn));
		return true;
	case VM_OP_CALL_REF:
		(void)call(e, insn->callee, target_of_reference(e));
		return true;
	case VM_OP_RETURN_CALL:
		tail_call(e, insn->callee, target_of_index(e, insn->imm.index.index));
		return true;
	case VM_OP_RETURN_CALL_INDIRECT:
		tail_call(e, insn->callee, target_of_table(e, insn));
		return true;
	case VM_OP_RETURN_CALL_REF:
		tail_call(e, insn->callee, target_of_reference(e));
		return true;
	default:
		return false;
	}
#pragma GCC diagnostic pop
}
