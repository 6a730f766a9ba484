#include "vm/native/native.h"

#include <stdlib.h>
#include <string.h>
#include "vm/native/debug.h"
#include "vm/native/marshal.h"
#include "vm/rt/store.h"
#include "vm/rt/thread.h"

_Static_assert(offsetof(struct vm_func, instance) == FUNC_INSTANCE, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_func, type) == FUNC_TYPE, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_type, has_floats) == TYPE_HAS_FLOATS, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_instance, run) == 0, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, fault.pc) == RUN_FAULT_PC, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, fault.regs) == RUN_FAULT_REGS, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, fault.is_call) == RUN_FAULT_IS_CALL, "enter_x64.S knows");
_Static_assert(offsetof(struct native_regs, ints) == REGS_INTS, "enter_x64.S knows");
_Static_assert(offsetof(struct native_regs, floats) == REGS_FLOATS, "enter_x64.S knows");
_Static_assert(sizeof(struct native_regs) == REGS_BYTES, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_func, native) == FUNC_NATIVE, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_type, func.param_count) == TYPE_PARAM_COUNT, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_type, func.result_count) == TYPE_RESULT_COUNT,
               "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, top) == RUN_TOP, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, err) == RUN_ERR, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, is_touched) == RUN_IS_TOUCHED, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, depth) == RUN_DEPTH, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, native_for) == RUN_NATIVE_FOR, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, native_self) == RUN_NATIVE_SELF, "enter_x64.S knows");
_Static_assert(offsetof(struct vm_run, native_thread) == RUN_NATIVE_THREAD, "enter_x64.S knows");
_Static_assert(THREAD_STACK_RESERVE == HOST_STACK_RESERVE, "enter_x64.S knows");
_Static_assert(NATIVE_INT_PARAMS == 5, "enter_x64.S knows");
_Static_assert(VM_TRAP == STATUS_TRAP, "enter_x64.S knows");

/* Native code is entered only with so much of its stack left. */
enum { GUEST_STACK_RESERVE = 16 << 10 };

/* --- entering ------------------------------------------------------------------------------- */

static enum vm_status
exhausted(struct vm_run *run)
{
	return rt_trap(run, VM_TRAP_STACK_OVERFLOW);
}

/* The stack is not in use, or hardly any is left. */
static enum vm_status
stack_prepare(struct vm_run *run)
{
	if (run->guest_sp != NULL)
		return exhausted(run);
	if (!store_guest_stack(run->store))
		return vm_error_set(run->err, VM_E_NOMEM, VM_NO_OFFSET,
		                    "cannot map a stack of %u bytes for native code",
		                    run->store->engine->stack_bytes);
	return VM_OK;
}

/* Or missing. */
static inline bool
stack_is_low(const struct vm_run *run)
{
	return (uintptr_t)run->guest_sp < run->guest_stack_low + GUEST_STACK_RESERVE;
}

/* What has to be there before native code runs in this store and on this thread. */
static enum vm_status
prepare(struct vm_run *run)
{
	if (rt_thread.stop_signal != run->stop_signal)
		thread_prepare_native(run->stop_signal);
	run->native_self = rt_thread.number;
	run->native_for = rt_thread.serial;
	/* An entry of the interpreter's restores what it found: none, if there was none then. */
	return stack_is_low(run) ? stack_prepare(run) : VM_OK;
}

/* Fill in *run->err, unless a function that was called has; and add the frames. */
static void
describe_trap(struct vm_run *run, uintptr_t stack_high)
{
	struct vm_error *err = run->err;

	if (run->trap != VM_TRAP_NONE)
		(void)vm_error_trap(err, run->trap, "%s", vm_trap_text(run->trap));
	run->trap = VM_TRAP_NONE;
	native_backtrace(run, stack_high, err);
}

static enum vm_status
native_entry(struct vm_func *func, struct vm_run *run, union vm_slot *slots)
{
	struct native_regs regs;
	enum vm_status st = VM_OK;

	if (stack_is_low(run) || run->native_for != rt_thread.serial)
		st = prepare(run);
	if (st != VM_OK)
		return st;
	uintptr_t stack_high = (uintptr_t)run->guest_sp;
	int outer_thread = atomic_load_explicit(&run->native_thread, memory_order_relaxed);
	const struct vm_type *type = func->type;
	unsigned int floats = marshal_arguments(type, slots, &regs, run->extra);

	/* From here on the stop signal is for this thread. A stop that came a moment before, and
	 * did not see the number, is seen here, or comes again: see watchdog.h. */
	atomic_store_explicit(&run->native_thread, run->native_self, memory_order_relaxed);
	if (atomic_load_explicit(&run->stop, memory_order_relaxed) == VM_TRAP_NONE)
		st = native_enter(run, func->native, func->instance, &regs, floats);
	else
		st = rt_stopped(run, run->err);
	atomic_store_explicit(&run->native_thread, outer_thread, memory_order_relaxed);
	if (st == VM_TRAP)
		describe_trap(run, stack_high);
	if (st != VM_OK)
		return st;
	marshal_results_back(type, &regs, run->extra, slots);
	return VM_OK;
}

enum vm_status
native_call_failed(struct vm_func *func, union vm_slot *top, enum vm_status st)
{
	struct vm_run *run = func->instance->run;

	atomic_store_explicit(&run->native_thread, 0, memory_order_relaxed);
	run->depth = 0;
	run->top = top;
	if (st == VM_TRAP)
		describe_trap(run, (uintptr_t)run->guest_sp);
	return st;
}

static func_caller
func_caller_of(const struct vm_type *type)
{
	return marshal_is_plain(type) ? native_call : func_call;
}

enum vm_status
native_call_out(struct vm_func *func, struct vm_run *run, struct native_regs *regs)
{
	const struct vm_type *type = func->type;
	union vm_slot *slots = run->top;
	size_t needed =
	    type->param_slots > type->result_slots ? type->param_slots : type->result_slots;

	/* Whatever goes round between tiers comes by here; host functions look themselves. */
	if (needed > (size_t)(run->stack_end - slots) || (!func->is_host && thread_stack_is_low()))
		return exhausted(run);
	marshal_arguments_out(type, regs, run->extra, slots);
	run->top = slots + needed;
	enum vm_status st = func->entry(func, run, slots);
	run->top = slots;
	if (st == VM_OK && atomic_load_explicit(&run->stop, memory_order_relaxed) != VM_TRAP_NONE)
		st = rt_stopped(run, run->err);
	if (st == VM_OK)
		marshal_results(type, slots, regs, run->extra);
	return st;
}

/* --- the tier ------------------------------------------------------------------------------- */

static struct native_module *
attached(const struct vm_module *module, bool metered)
{
	return atomic_load_explicit(&module->code[vm_tier_native.number][metered].code,
	                            memory_order_acquire);
}

bool
vm_module_has_native(const struct vm_module *module, bool metered)
{
	return attached(module, metered) != NULL;
}

static enum vm_status
module_code(struct vm_module *module, bool metered, void **out_code, struct vm_error *err)
{
	struct native_module *native = attached(module, metered);

	if (native == NULL)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                    "the module has no native code %s fuel: compile and attach it, "
		                    "or allow the interpreter",
		                    metered ? "that counts" : "that does not count");
	*out_code = native;
	return VM_OK;
}

static const void *
func_native(void *code, uint32_t function)
{
	const struct native_module *native = code;
	const struct artifact *artifact = &native->artifact;
	uint32_t number = function - native->module->func_import_count;

	return native->base + artifact->header.parts[ARTIFACT_TEXT].offset +
	       artifact->functions[number].offset;
}

static void *
func_code(void *code, uint32_t function)
{
	(void)function;
	return code;
}

const struct vm_tier vm_tier_native = {
	.name = "native",
	.number = 1,
	.unsupported = VM_FEATURE_BIT(GC) | VM_FEATURE_BIT(EXCEPTIONS) | VM_FEATURE_BIT(THREADS) |
	               VM_FEATURE_BIT(LEGACY_EXCEPTIONS),
	.module_code = module_code,
	.func_code = func_code,
	.func_native = func_native,
	.entry = native_entry,
	.func_caller = func_caller_of,
	.builtins = native_builtins,
};

bool
native_text_offset(const struct native_module *native, uintptr_t pc, uint32_t *out_offset)
{
	const struct artifact_range *text = &native->artifact.header.parts[ARTIFACT_TEXT];
	uintptr_t offset = pc - (uintptr_t)native->base - text->offset;

	if (offset >= text->size_bytes)
		return false;
	*out_offset = (uint32_t)offset;
	return true;
}
