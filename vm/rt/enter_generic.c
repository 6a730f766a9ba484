/*
 * enter_generic.c - rt_enter in C, for processors without assembly of their own.
 *
 * setjmp does not save the signal mask, which would cost two system calls an entry: the way out
 * of a handler restores the mask that was interrupted, instead.
 */
#include "vm/rt/trap.h"

#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>
#include "vm/rt/thread.h"

/* run->exit_sp points at the innermost. */
struct entry {
	sigjmp_buf jump;
	void *outer_sp;
	struct vm_run *outer_run;
};

enum vm_status
rt_enter(struct vm_run *run, enum vm_status (*fn)(void *arg), void *arg)
{
	struct entry entry = { .outer_sp = run->exit_sp, .outer_run = rt_thread.run };
	struct vm_run *volatile kept = run;
	volatile enum vm_status st = VM_TRAP;

	run->exit_sp = &entry;
	rt_thread.run = run;
	if (sigsetjmp(entry.jump, 0) == 0)
		st = fn(arg);
	kept->exit_sp = entry.outer_sp;
	rt_thread.run = entry.outer_run;
	return st;
}

void
context_read(const void *context, struct rt_fault *out)
{
	const ucontext_t *uc = context;

	*out = (struct rt_fault){ 0 };
#if defined __aarch64__
	out->pc = (uintptr_t)uc->uc_mcontext.pc;
#elif defined __riscv
	out->pc = (uintptr_t)uc->uc_mcontext.__gregs[REG_PC];
#elif defined __x86_64__
	out->pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#else
#error "say here where this processor's program counter is in a ucontext_t"
#endif
}

/* Guests compute in whatever environment the thread has. */
bool
context_has_float_modes(void)
{
	return false;
}

void
context_leave(void *context, struct vm_run *run)
{
	const ucontext_t *uc = context;
	struct entry *entry = run->exit_sp;

	(void)pthread_sigmask(SIG_SETMASK, &uc->uc_sigmask, NULL);
	siglongjmp(entry->jump, 1);
}
