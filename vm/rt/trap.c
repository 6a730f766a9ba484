#include "vm/rt/trap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include "vm/rt/codespace.h"
#include "vm/rt/store.h"
#include "vm/rt/thread.h"

/* Provided by the linker: the guest code of this very image, which is why they are hidden. */
extern const char __start_vm_guest_text[] __attribute__((visibility("hidden")));
extern const char __stop_vm_guest_text[] __attribute__((visibility("hidden")));

enum {
	TRAP_COUNT = 0
#define TRAP(symbol, name, text) +1
#include "vm/trap.def"
#undef TRAP
};

/* One a signal: whose handler was there before, to be called for what is not ours. */
static struct earlier {
	bool is_installed;
	struct sigaction action;
} earlier[_NSIG];

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;

/* Something is always in the section, so that its bounds exist. */
VM_GUEST_TEXT static void
guest_text_is_not_empty(void)
{
}

static bool
pc_is_interpreter(uintptr_t pc)
{
	return pc >= (uintptr_t)__start_vm_guest_text && pc < (uintptr_t)__stop_vm_guest_text;
}

/* Hand the signal to whoever had it before, or let it end the process. */
static void
chain(int number, siginfo_t *info, void *context)
{
	const struct sigaction *action = &earlier[number].action;

	if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
		/* A fault comes again on return, a signal that somebody sent does not. */
		(void)signal(number, SIG_DFL);
		if (info->si_code <= 0)
			(void)raise(number);
	} else if (action->sa_flags & SA_SIGINFO) {
		action->sa_sigaction(number, info, context);
	} else {
		action->sa_handler(number);
	}
}

/* --- what a fault means --------------------------------------------------------------------- */

/* SIGSEGV, SIGBUS. The store's list of memories is stable: this thread owns it, in guest code. */
static enum vm_trap
trap_of_access(const struct vm_run *run, const struct rt_fault *fault)
{
	bool is_native = codespace_contains(fault->pc);

	if (!is_native && !pc_is_interpreter(fault->pc))
		return VM_TRAP_NONE;
	if (store_owns_fault(run->store, fault->address))
		return VM_TRAP_MEMORY_BOUNDS;
	if (is_native && run->guest_stack_low - fault->address - 1 < GUEST_GUARD_BYTES)
		return VM_TRAP_STACK_OVERFLOW;
	return VM_TRAP_NONE;
}

/* SIGILL: native code says in an operand of ud1 why it traps. */
static enum vm_trap
trap_of_instruction(const struct rt_fault *fault)
{
	static const uint8_t ud1[] = { 0x67, 0x0f, 0xb9, 0x40 }; /* ud1l imm8(%eax), %eax */
	const uint8_t *at = (const uint8_t *)fault->pc;

	if (!codespace_contains(fault->pc))
		return VM_TRAP_NONE;
	/* One by one: what is not part of the instruction may not be mapped. */
	for (size_t i = 0; i < sizeof(ud1); i++) {
		if (at[i] != ud1[i])
			return VM_TRAP_NONE;
	}
	uint8_t number = at[sizeof(ud1)];
	return number < TRAP_COUNT ? (enum vm_trap)number : VM_TRAP_NONE;
}

static void
on_fault(int number, siginfo_t *info, void *context)
{
	struct vm_run *run = rt_thread.run;
	struct rt_fault fault;

	if (run != NULL && info->si_code > 0) {
		context_read(context, &fault);
		fault.address = (uintptr_t)info->si_addr;
		enum vm_trap trap = number == SIGILL ? trap_of_instruction(&fault)
		                                     : trap_of_access(run, &fault);
		if (trap != VM_TRAP_NONE) {
			run->fault = fault;
			run->trap = trap;
			context_leave(context, run);
			return;
		}
	}
	chain(number, info, context);
}

/*
 * Native code looks at nothing while it runs: this ends it. Anywhere else the stop is noticed when
 * native code is entered or returned to; what slips in between is sent again.
 */
static void
on_stop(int number, siginfo_t *info, void *context)
{
	struct vm_run *run = rt_thread.run;
	struct rt_fault fault;

	(void)number;
	(void)info;
	if (run == NULL)
		return;
	unsigned int why = atomic_load_explicit(&run->stop, memory_order_relaxed);
	context_read(context, &fault);
	if (why == VM_TRAP_NONE || !codespace_contains(fault.pc))
		return;
	fault.address = 0;
	run->fault = fault;
	run->trap = (enum vm_trap)why;
	context_leave(context, run);
}

/* --- installation --------------------------------------------------------------------------- */

static enum vm_status
install_locked(int number, void (*handler)(int, siginfo_t *, void *), int flags,
               struct vm_error *err)
{
	struct sigaction action = { .sa_sigaction = handler,
		                    .sa_flags = SA_SIGINFO | SA_ONSTACK | flags };

	if (earlier[number].is_installed)
		return VM_OK;
	(void)sigemptyset(&action.sa_mask);
	if (sigaction(number, NULL, &earlier[number].action) != 0 ||
	    sigaction(number, &action, NULL) != 0)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
		                    "cannot install a handler for signal %d (%s): %s", number,
		                    strsignal(number), strerror(errno));
	earlier[number].is_installed = true;
	return VM_OK;
}

enum vm_status
trap_install(struct vm_error *err)
{
	(void)guest_text_is_not_empty;
	(void)pthread_mutex_lock(&install_lock);
	enum vm_status st = install_locked(SIGSEGV, on_fault, 0, err);
	if (st == VM_OK)
		st = install_locked(SIGBUS, on_fault, 0, err);
	(void)pthread_mutex_unlock(&install_lock);
	return st;
}

enum vm_status
trap_install_native(int stop_signal, struct vm_error *err)
{
	(void)pthread_mutex_lock(&install_lock);
	enum vm_status st = install_locked(SIGILL, on_fault, 0, err);
	if (st == VM_OK)
		st = install_locked(stop_signal, on_stop, SA_RESTART, err);
	(void)pthread_mutex_unlock(&install_lock);
	return st;
}
