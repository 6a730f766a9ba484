/*
 * ops_ctrl.c - handlers of control flow, calls, moves, globals and references.
 *
 * Spec: Core 3.0, sections 4.6.1 to 4.6.9
 */
#include "vm/interp/ops.h"

/* --- moves ---------------------------------------------------------------------------------- */

HANDLER(h_move_S)
{
	fp[ip[1].d] = fp[ip[1].a];
	NEXT(2);
}

HANDLER(h_move_A)
{
	fp[ip[1].d].u64 = acc;
	NEXT(2);
}

HANDLER(h_move_F)
{
	TO_SLOT_f(ip[1].d, ACC_f);
	NEXT(2);
}

HANDLER(h_move_D)
{
	TO_SLOT_d(ip[1].d, ACC_d);
	NEXT(2);
}

HANDLER(h_move_v128)
{
	union vm_slot low = fp[ip[1].a];
	union vm_slot high = fp[ip[1].a + 1];

	fp[ip[1].d] = low;
	fp[ip[1].d + 1] = high;
	NEXT(2);
}

HANDLER(h_const_32)
{
	fp[ip[1].d_].u64 = (uint32_t)ip[1].imm;
	NEXT(2);
}

HANDLER(h_const_64)
{
	fp[ip[1].d].u64 = ip[2].u64;
	NEXT(3);
}

HANDLER(h_const_v128)
{
	fp[ip[1].d].u64 = ip[2].u64;
	fp[ip[1].d + 1].u64 = ip[3].u64;
	NEXT(4);
}

HANDLER(h_zero)
{
	union vm_slot *slot = fp + ip[1].d_;

	for (int32_t left = ip[1].imm; left > 0; left--)
		(slot++)->u64 = 0;
	NEXT(2);
}

/* --- branches ------------------------------------------------------------------------------- */

HANDLER(h_jump)
{
	GOTO(ip + ip[1].imm);
}

HANDLER(h_jump_back)
{
	if (STOPPED())
		TRAP((enum vm_trap)inst->run->stop);
	GOTO(ip + ip[1].imm);
}

#define BRANCH(name, condition)                                                                    \
	HANDLER(name)                                                                              \
	{                                                                                          \
		if (condition)                                                                     \
			GOTO(ip + ip[1].imm);                                                      \
		NEXT(2);                                                                           \
	}                                                                                          \
	HANDLER(name##_back)                                                                       \
	{                                                                                          \
		if (condition) {                                                                   \
			if (STOPPED())                                                             \
				TRAP((enum vm_trap)inst->run->stop);                               \
			GOTO(ip + ip[1].imm);                                                      \
		}                                                                                  \
		NEXT(2);                                                                           \
	}

BRANCH(h_branch_nz_S, fp[ip[1].d_].u32 != 0)
BRANCH(h_branch_nz_A, (uint32_t)acc != 0)
BRANCH(h_branch_z_S, fp[ip[1].d_].u32 == 0)
BRANCH(h_branch_z_A, (uint32_t)acc == 0)
BRANCH(h_branch_nz64_S, fp[ip[1].d_].u64 != 0)
BRANCH(h_branch_nz64_A, acc != 0)
BRANCH(h_branch_z64_S, fp[ip[1].d_].u64 == 0)
BRANCH(h_branch_z64_A, acc == 0)

/* br_table may go backward: it always looks at the stop flag. */
#define TABLE(name, index)                                                                         \
	HANDLER(name)                                                                              \
	{                                                                                          \
		uint32_t chosen = (index);                                                         \
		uint32_t count = (uint32_t)ip[1].imm;                                              \
                                                                                                   \
		if (STOPPED())                                                                     \
			TRAP((enum vm_trap)inst->run->stop);                                       \
		if (chosen > count)                                                                \
			chosen = count;                                                            \
		GOTO(ip + ip[2 + chosen].offset);                                                  \
	}

TABLE(h_table_S, fp[ip[1].d_].u32)
TABLE(h_table_A, (uint32_t)acc)

HANDLER(h_fuel)
{
	uint64_t cost = (uint32_t)ip[1].imm;
	struct vm_run *run = inst->run;

	if (unlikely(run->fuel < cost)) {
		run->fuel = 0;
		TRAP(VM_TRAP_FUEL);
	}
	run->fuel -= cost;
	NEXT(2);
}

HANDLER(h_trap)
{
	TRAP((enum vm_trap)ip[1].imm);
}

HANDLER(h_trap_null)
{
	if (unlikely(fp[ip[1].d_].ref == NULL))
		TRAP((enum vm_trap)ip[1].imm);
	NEXT(2);
}

/* --- returns -------------------------------------------------------------------------------- */

/* The accumulator carries the link to h_resume; it is dead otherwise. */
#define RETURN(link_slot)                                                                          \
	do {                                                                                       \
		union vm_slot *link_ = fp + (link_slot);                                           \
		const union word *to_return_ = link_[LINK_IP].ref;                                 \
		acc = (uintptr_t)link_;                                                            \
		fp = link_[LINK_FP].ref;                                                           \
		GOTO(to_return_);                                                                  \
	} while (0)

HANDLER(h_return_)
{
	RETURN(ip[1].a);
}

HANDLER(h_return_S)
{
	fp[0] = fp[ip[1].d];
	RETURN(ip[1].a);
}

HANDLER(h_return_A)
{
	fp[0].u64 = acc;
	RETURN(ip[1].a);
}

HANDLER(h_return_F)
{
	TO_SLOT_f(0, ACC_f);
	RETURN(ip[1].a);
}

HANDLER(h_return_D)
{
	TO_SLOT_d(0, ACC_d);
	RETURN(ip[1].a);
}

/* Back in a caller of another instance. */
HANDLER(h_resume)
{
	const union vm_slot *link = (const union vm_slot *)(uintptr_t)acc;

	inst = link[LINK_INSTANCE].ref;
	mem = inst->memory0;
	GOTO(link[LINK_RESUME].ref);
}

HANDLER(h_exit)
{
	LEAVE();
}

/* --- calls ---------------------------------------------------------------------------------- */

/* Translate on the first call. */
#define ENSURE_CODE(callee)                                                                        \
	do {                                                                                       \
		if (unlikely((callee)->code == NULL)) {                                            \
			enum vm_status status_ = interp_translate((callee), inst->run->err);       \
			if (status_ != VM_OK)                                                      \
				FAIL(status_);                                                     \
		}                                                                                  \
	} while (0)

/* The stop flag is looked at by every call, so that recursion is stopped like a loop. */
#define CHECK_STACK(frame, callee)                                                                 \
	do {                                                                                       \
		if (unlikely((frame) + (callee)->frame_slots > inst->run->stack_end))              \
			TRAP(VM_TRAP_STACK_OVERFLOW);                                              \
		if (STOPPED())                                                                     \
			TRAP((enum vm_trap)inst->run->stop);                                       \
	} while (0)

#define CALL_LOCAL(callee, frame, resume)                                                          \
	do {                                                                                       \
		struct interp_func *callee_ = (callee);                                            \
		union vm_slot *frame_ = (frame);                                                   \
		ENSURE_CODE(callee_);                                                              \
		CHECK_STACK(frame_, callee_);                                                      \
		union vm_slot *link_ = frame_ + callee_->link_slot;                                \
		link_[LINK_IP].u64 = (uintptr_t)(resume);                                          \
		link_[LINK_FP].ref = fp;                                                           \
		fp = frame_;                                                                       \
		GOTO(atomic_load_explicit(&callee_->code, memory_order_relaxed));                  \
	} while (0)

static const union word resume_code[2] = { { .fn = h_resume }, { .u64 = 0 } };

/* A function of another instance that the interpreter runs: go over there. */
#define CALL_ACROSS(func, frame, resume)                                                           \
	do {                                                                                       \
		struct interp_func *callee_ = (func)->code;                                        \
		union vm_slot *frame_ = (frame);                                                   \
		ENSURE_CODE(callee_);                                                              \
		CHECK_STACK(frame_, callee_);                                                      \
		union vm_slot *link_ = frame_ + callee_->link_slot;                                \
		link_[LINK_IP].u64 = (uintptr_t)resume_code;                                       \
		link_[LINK_FP].ref = fp;                                                           \
		link_[LINK_INSTANCE].ref = inst;                                                   \
		link_[LINK_RESUME].u64 = (uintptr_t)(resume);                                      \
		fp = frame_;                                                                       \
		inst = (func)->instance;                                                           \
		mem = inst->memory0;                                                               \
		GOTO(atomic_load_explicit(&callee_->code, memory_order_relaxed));                  \
	} while (0)

/*
 * Call something that is not the interpreter's through the uniform convention. The frames of
 * nested entries start behind its slots.
 */
static enum vm_status
call_out(struct vm_func *func, struct vm_instance *caller, union vm_slot *slots)
{
	struct vm_run *run = caller->run;
	union vm_slot *top = run->top;
	uint32_t used = func->type->param_slots > func->type->result_slots
	                    ? func->type->param_slots
	                    : func->type->result_slots;

	if (slots + used > run->stack_end)
		return vm_error_trap(run->err, VM_TRAP_STACK_OVERFLOW, "call stack exhausted");
	run->top = slots + used;
	enum vm_status status = func->entry(func, run, slots);
	run->top = top;
	if (status == VM_OK && run->stop != 0) {
		enum vm_trap stop = (enum vm_trap)run->stop;

		return vm_error_trap(run->err, stop, "%s", vm_trap_text(stop));
	}
	return status;
}

#define CALL_FUNC(func, frame, resume)                                                             \
	do {                                                                                       \
		if (likely((func)->entry == interp_entry)) {                                       \
			if (likely((func)->instance == inst))                                      \
				CALL_LOCAL((func)->code, frame, resume);                           \
			CALL_ACROSS(func, frame, resume);                                          \
		}                                                                                  \
		enum vm_status status_ = call_out((func), inst, (frame));                          \
		if (unlikely(status_ != VM_OK))                                                    \
			FAIL(status_);                                                             \
		GOTO(resume);                                                                      \
	} while (0)

HANDLER(h_call)
{
	CALL_LOCAL(ip[2].func, fp + ip[1].d, ip + 3);
}

HANDLER(h_call_import)
{
	struct vm_func *func = inst->imported_funcs[ip[1].imm];

	CALL_FUNC(func, fp + ip[1].d_, ip + 2);
}

/*
 * The function in a table, of a type. In word 3 the low half is the table's index, and the rest
 * tells 64-bit tables. Ends with a trap, or with func set.
 */
#define LOOK_UP(func, index_slot)                                                                  \
	do {                                                                                       \
		const struct vm_table *table_ = inst->tables[(uint32_t)ip[3].u64];                 \
		uint64_t index_ = ip[3].u64 >> 32 ? (index_slot).u64 : (index_slot).u32;           \
		if (unlikely(index_ >= table_->size))                                              \
			TRAP(VM_TRAP_UNDEFINED_ELEMENT);                                           \
		(func) = table_->elems[index_];                                                    \
		if (unlikely((func) == NULL))                                                      \
			TRAP(VM_TRAP_UNINITIALIZED);                                               \
		if (unlikely((func)->type != ip[2].type) &&                                        \
		    !type_is_subtype((func)->type, ip[2].type))                                    \
			TRAP(VM_TRAP_INDIRECT_TYPE);                                               \
	} while (0)

HANDLER(h_call_indirect_S)
{
	struct vm_func *func;

	LOOK_UP(func, fp[ip[1].a]);
	CALL_FUNC(func, fp + ip[1].d, ip + 4);
}

HANDLER(h_call_indirect_A)
{
	struct vm_func *func;

	LOOK_UP(func, (union vm_slot){ .u64 = acc });
	CALL_FUNC(func, fp + ip[1].d, ip + 4);
}

HANDLER(h_call_ref)
{
	struct vm_func *func = fp[ip[1].a].ref;

	if (unlikely(func == NULL))
		TRAP(VM_TRAP_NULL_FUNCTION);
	CALL_FUNC(func, fp + ip[1].d, ip + 2);
}

/* --- tail calls ------------------------------------------------------------------------------ */

/*
 * The callee's frame takes the place of this one: b slots of arguments move from slot d to slot
 * 0, and the link, read before they overwrite it, moves with them.
 */
static inline __attribute__((always_inline)) void
move_arguments(union vm_slot *frame, const union vm_slot *from, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		frame[i] = from[i];
}

#define TAIL_LOCAL(callee, new_link)                                                               \
	do {                                                                                       \
		struct interp_func *callee_ = (callee);                                            \
		ENSURE_CODE(callee_);                                                              \
		CHECK_STACK(fp, callee_);                                                          \
		move_arguments(fp, fp + ip[1].d, ip[1].b);                                         \
		memcpy(fp + callee_->link_slot, (new_link), sizeof(new_link));                     \
		GOTO(atomic_load_explicit(&callee_->code, memory_order_relaxed));                  \
	} while (0)

/* Replace the frame by one of another instance, which returns to where this one would have. */
static inline __attribute__((always_inline)) void
link_across(union vm_slot link[LINK_SLOTS], struct vm_instance *instance)
{
	if (link[LINK_IP].u64 == (uintptr_t)resume_code)
		return;
	link[LINK_INSTANCE].ref = instance;
	link[LINK_RESUME] = link[LINK_IP];
	link[LINK_IP].u64 = (uintptr_t)resume_code;
}

#define TAIL_FUNC(func)                                                                            \
	do {                                                                                       \
		union vm_slot link_copy_[LINK_SLOTS];                                              \
		memcpy(link_copy_, fp + ip[1].a, sizeof(link_copy_));                              \
		if (likely((func)->entry == interp_entry)) {                                       \
			if ((func)->instance != inst) {                                            \
				struct interp_func *to_func_ = (func)->code;                       \
				ENSURE_CODE(to_func_);                                             \
				CHECK_STACK(fp, to_func_);                                         \
				link_across(link_copy_, inst);                                     \
				move_arguments(fp, fp + ip[1].d, ip[1].b);                         \
				memcpy(fp + to_func_->link_slot, link_copy_, sizeof(link_copy_));  \
				inst = (func)->instance;                                           \
				mem = inst->memory0;                                               \
				GOTO(atomic_load_explicit(&to_func_->code, memory_order_relaxed)); \
			}                                                                          \
			TAIL_LOCAL((func)->code, link_copy_);                                      \
		}                                                                                  \
		enum vm_status status_ = call_out((func), inst, fp + ip[1].d);                     \
		if (unlikely(status_ != VM_OK))                                                    \
			FAIL(status_);                                                             \
		acc = (uintptr_t)(fp + ip[1].d + tail_results(func));                              \
		memcpy((union vm_slot *)(uintptr_t)acc, link_copy_, sizeof(link_copy_));           \
		move_arguments(fp, fp + ip[1].d, tail_results(func));                              \
		fp = link_copy_[LINK_FP].ref;                                                      \
		GOTO(link_copy_[LINK_IP].ref);                                                     \
	} while (0)

static uint32_t
tail_results(const struct vm_func *func)
{
	return func->type->result_slots;
}

HANDLER(h_tail_call)
{
	union vm_slot link[LINK_SLOTS];

	memcpy(link, fp + ip[1].a, sizeof(link));
	TAIL_LOCAL(ip[2].func, link);
}

HANDLER(h_tail_call_import)
{
	struct vm_func *func = inst->imported_funcs[ip[2].u64];

	TAIL_FUNC(func);
}

HANDLER(h_tail_call_indirect)
{
	struct vm_func *func;

	LOOK_UP(func, fp[ip[1].e]);
	TAIL_FUNC(func);
}

HANDLER(h_tail_call_ref)
{
	struct vm_func *func = fp[ip[1].e].ref;

	if (unlikely(func == NULL))
		TRAP(VM_TRAP_NULL_FUNCTION);
	TAIL_FUNC(func);
}

/* --- select ----------------------------------------------------------------------------------- */

HANDLER(h_select_S)
{
	fp[ip[1].d] = fp[fp[ip[1].e].u32 != 0 ? ip[1].a : ip[1].b];
	NEXT(2);
}

HANDLER(h_select_A)
{
	fp[ip[1].d] = fp[(uint32_t)acc != 0 ? ip[1].a : ip[1].b];
	NEXT(2);
}

HANDLER(h_select_v128)
{
	uint32_t from = fp[ip[1].e].u32 != 0 ? ip[1].a : ip[1].b;
	union vm_slot low = fp[from];
	union vm_slot high = fp[from + 1];

	fp[ip[1].d] = low;
	fp[ip[1].d + 1] = high;
	NEXT(2);
}

/* --- globals ---------------------------------------------------------------------------------- */

HANDLER(h_global_get_S)
{
	fp[ip[1].d_].u64 = inst->globals[ip[1].imm]->u64[0];
	NEXT(2);
}

HANDLER(h_global_get_A)
{
	acc = inst->globals[ip[1].imm]->u64[0];
	NEXT(2);
}

HANDLER(h_global_get_F)
{
	vacc = vec_of_f64(inst->globals[ip[1].imm]->slot.f64);
	NEXT(2);
}

HANDLER(h_global_get_v128)
{
	const union global_cell *cell = inst->globals[ip[1].imm];

	fp[ip[1].d_].u64 = cell->u64[0];
	fp[ip[1].d_ + 1].u64 = cell->u64[1];
	NEXT(2);
}

HANDLER(h_global_set_S)
{
	inst->globals[ip[1].imm]->u64[0] = fp[ip[1].d_].u64;
	NEXT(2);
}

HANDLER(h_global_set_A)
{
	inst->globals[ip[1].imm]->u64[0] = acc;
	NEXT(2);
}

HANDLER(h_global_set_v128)
{
	union global_cell *cell = inst->globals[ip[1].imm];

	cell->u64[0] = fp[ip[1].d_].u64;
	cell->u64[1] = fp[ip[1].d_ + 1].u64;
	NEXT(2);
}

/* --- references ------------------------------------------------------------------------------- */

HANDLER(h_ref_func)
{
	fp[ip[1].d_].ref = instance_func(inst, (uint32_t)ip[1].imm);
	NEXT(2);
}

HANDLER(h_ref_is_null)
{
	fp[ip[1].d].u64 = fp[ip[1].a].ref == NULL;
	NEXT(2);
}
