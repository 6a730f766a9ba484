#include "vm/rt/effect.h"
#include "vm/rt/store.h"
#include "vm/rt/thread.h"
#include "vm/rt/value.h"

/* --- calls ---------------------------------------------------------------------------------- */

/* Whether a function may be entered now. */
static enum vm_status
entry_check(const struct vm_run *run, struct vm_error *err)
{
	if (atomic_load_explicit(&run->stop, memory_order_relaxed) != VM_TRAP_NONE)
		return rt_stopped(run, err);
	if (!thread_prepare())
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET,
		                    "no memory for the thread's signal stack");
	if (run->depth >= RT_DEPTH_MAX)
		return vm_error_trap(
		    err, VM_TRAP_STACK_OVERFLOW,
		    "call stack exhausted: %d calls from host functions are nested", RT_DEPTH_MAX);
	if (thread_stack_is_low())
		return vm_error_trap(err, VM_TRAP_STACK_OVERFLOW,
		                     "call stack exhausted: the thread has less than %d bytes left",
		                     THREAD_STACK_RESERVE);
	return VM_OK;
}

enum vm_status
func_call(struct vm_func *func, union vm_slot *slots, struct vm_error *err)
{
	struct vm_run *run = func->instance->run;
	enum vm_status st = entry_check(run, err);

	if (st != VM_OK)
		return st;

	if (!run->is_touched)
		run->is_touched = func->instance->keep == NULL || effect_may_write(func);

	struct vm_error *outer_err = run->err;
	union vm_slot *outer_top = run->top;
	run->err = err != NULL ? err : &run->store->scratch;
	run->depth++;
	st = func->entry(func, run, slots);
	run->depth--;
	run->top = outer_top;
	run->err = outer_err;
	return st;
}

/* What a host function may end with; anything else is its mistake, and reported as a trap. */
static enum vm_status
host_failed(struct vm_run *run, enum vm_status st)
{
	struct vm_error *err = run->err;

	if ((st == VM_TRAP || st == VM_EXIT || st == VM_EXCEPTION) && err->status == st)
		return st;
	if (err->status == st)
		return vm_error_trap(err, VM_TRAP_HOST, "host function failed: %s",
		                     vm_status_text(st));
	if (st == VM_EXIT)
		return vm_error_exit(err, 1);
	return vm_error_trap(err, VM_TRAP_HOST, "host function failed without saying why (%s)",
	                     vm_status_name(st));
}

enum vm_status
host_entry(struct vm_func *func, struct vm_run *run, union vm_slot *slots)
{
	const struct host_func *host = func->code;
	struct vm_caller caller = { run->store, func->instance };

	if (thread_stack_is_low())
		return rt_trap(run, VM_TRAP_STACK_OVERFLOW);
	run->host_calls++;
	enum vm_status before = run->err->status;
	run->err->status = VM_OK; /* tells whether the function fills it in */
	enum vm_status st = host->fn(host->env, &caller, slots, run->err);
	if (st != VM_OK)
		return host_failed(run, st);
	run->err->status = before;
	if (atomic_load_explicit(&run->stop, memory_order_relaxed) != VM_TRAP_NONE)
		return rt_stopped(run, run->err);
	return VM_OK;
}

/* --- the embedder's side -------------------------------------------------------------------- */

struct vm_functype
vm_func_type(const struct vm_func *func)
{
	return func->type->func;
}

enum vm_status
vm_func_call_slots(struct vm_func *func, union vm_slot *slots, struct vm_error *err)
{
	return func_call(func, slots, err);
}

static enum vm_status
arguments_check(const struct vm_func *func, const struct vm_value *args, size_t arg_count,
                size_t result_count, struct vm_error *err)
{
	const struct vm_functype *type = &func->type->func;

	if (arg_count != type->param_count)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "wrong number of arguments: expected %u, got %zu",
		                    type->param_count, arg_count);
	if (result_count != type->result_count)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "wrong number of results: the function has %u, room is for %zu",
		                    type->result_count, result_count);
	for (uint32_t i = 0; i < type->param_count; i++) {
		if (!value_fits(func->instance->store, type->params[i], &args[i]))
			return value_misfit(type->params[i], &args[i], "argument", i, err);
	}
	return VM_OK;
}

enum vm_status
vm_func_call(struct vm_func *func, const struct vm_value *args, size_t arg_count,
             struct vm_value *results, size_t result_count, struct vm_error *err)
{
	const struct vm_type *type = func->type;
	struct vm_run *run = func->instance->run;
	enum vm_status st = arguments_check(func, args, arg_count, result_count, err);

	if (st != VM_OK)
		return st;

	/* Arguments and results travel on the guest's stack, below the callee's frame. */
	union vm_slot *slots = run->top;
	size_t needed =
	    type->param_slots > type->result_slots ? type->param_slots : type->result_slots;
	if (needed > (size_t)(run->stack_end - slots))
		return vm_error_trap(err, VM_TRAP_STACK_OVERFLOW, "%s",
		                     vm_trap_text(VM_TRAP_STACK_OVERFLOW));
	union vm_slot *to = slots;
	for (uint32_t i = 0; i < type->func.param_count; i++)
		to += value_to_slots(&args[i], to);

	run->top = slots + needed;
	st = func_call(func, slots, err);
	run->top = slots;
	if (st != VM_OK)
		return st;

	const union vm_slot *from = slots;
	for (uint32_t i = 0; i < type->func.result_count; i++)
		from += value_from_slots(type->func.results[i], from, &results[i]);
	return VM_OK;
}
