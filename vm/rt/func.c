#include "vm/rt/effect.h"
#include "vm/rt/store.h"
#include "vm/rt/thread.h"
#include "vm/rt/trap.h"
#include "vm/rt/value.h"

/* --- calls ---------------------------------------------------------------------------------- */

/* Whether this thread may enter a function now, as it did before. */
static inline bool
entry_is_clear(const struct vm_run *run)
{
	return run->thread == rt_thread.serial &&
	       atomic_load_explicit(&run->stop, memory_order_relaxed) == VM_TRAP_NONE &&
	       run->depth < RT_DEPTH_MAX && !thread_stack_is_low();
}

/* The same, with what has to be made first, and why not. */
static enum vm_status
entry_prepare(struct vm_run *run, struct vm_error *err)
{
	if (atomic_load_explicit(&run->stop, memory_order_relaxed) != VM_TRAP_NONE)
		return rt_stopped(run, err);
	if (!thread_prepare())
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET,
		                    "no memory for the thread's signal stack");
	if (run->thread != rt_thread.serial) {
		run->thread = rt_thread.serial;
		run->has_float_modes = context_has_float_modes();
		run->native_for = RUN_NO_THREAD;
	}
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
	enum vm_status st = entry_is_clear(run) ? VM_OK : entry_prepare(run, err);

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
	return func->call(func, slots, err);
}

static enum vm_status
counts_misfit(const struct vm_functype *type, size_t arg_count, size_t result_count,
              struct vm_error *err)
{
	if (arg_count != type->param_count)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "wrong number of arguments: expected %u, got %zu",
		                    type->param_count, arg_count);
	return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
	                    "wrong number of results: the function has %u, room is for %zu",
	                    type->result_count, result_count);
}

/* A call whose counts are right, with slots for its arguments and results. */
static enum vm_status
call_values(struct vm_func *func, const struct vm_value *args, struct vm_value *results,
            union vm_slot *slots, struct vm_error *err)
{
	const struct vm_functype *type = &func->type->func;
	union vm_slot *to = slots;

	for (uint32_t i = 0; i < type->param_count; i++) {
		if (!value_fits(func->instance->store, type->params[i], &args[i]))
			return value_misfit(type->params[i], &args[i], "argument", i, err);
		to += value_to_slots(&args[i], to);
	}
	enum vm_status st = func->call(func, slots, err);
	if (st != VM_OK)
		return st;
	for (uint32_t i = 0; i < type->result_count; i++)
		slots += value_from_slots(type->results[i], slots, &results[i]);
	return VM_OK;
}

/* Arguments and results are on the guest's stack, below the callee's frame. */
static enum vm_status
call_checked(struct vm_func *func, const struct vm_value *args, size_t arg_count,
             struct vm_value *results, size_t result_count, struct vm_error *err)
{
	const struct vm_type *type = func->type;
	struct vm_run *run = func->instance->run;
	union vm_slot *slots = run->top;

	if (arg_count != type->func.param_count || result_count != type->func.result_count)
		return counts_misfit(&type->func, arg_count, result_count, err);
	size_t needed =
	    type->param_slots > type->result_slots ? type->param_slots : type->result_slots;
	if (needed > (size_t)(run->stack_end - slots))
		return vm_error_trap(err, VM_TRAP_STACK_OVERFLOW, "%s",
		                     vm_trap_text(VM_TRAP_STACK_OVERFLOW));
	run->top = slots + needed;
	enum vm_status st = call_values(func, args, results, slots, err);
	run->top = slots;
	return st;
}

/* To take what most calls are in one go makes them a third cheaper. */
enum { ARGS_FEW = 4 };

enum vm_status
vm_func_call(struct vm_func *func, const struct vm_value *args, size_t arg_count,
             struct vm_value *results, size_t result_count, struct vm_error *err)
{
	const struct vm_functype *type = &func->type->func;
	union vm_slot slots[ARGS_FEW];

	if (arg_count != type->param_count || result_count != type->result_count ||
	    arg_count > ARGS_FEW || result_count > 1)
		return call_checked(func, args, arg_count, results, result_count, err);
	for (size_t i = 0; i < arg_count; i++) {
		if (args[i].type != type->params[i])
			return call_checked(func, args, arg_count, results, result_count, err);
		if (args[i].type == VM_I32)
			slots[i].u64 = (uint32_t)args[i].of.i32;
		else if (args[i].type == VM_I64)
			slots[i].i64 = args[i].of.i64;
		else
			return call_checked(func, args, arg_count, results, result_count, err);
	}
	enum vm_status st = func->call(func, slots, err);
	if (st != VM_OK || result_count == 0)
		return st;
	vm_valtype given = type->results[0];
	if (given == VM_I32)
		*results = (struct vm_value){ .type = VM_I32, .of.i32 = slots[0].i32 };
	else
		(void)value_from_slots(given, slots, results);
	return VM_OK;
}
