#include "vm/rt/trap.h"

#include <ucontext.h>
#include "vm/rt/codespace.h"
#include "vm/rt/enter_x64.h"
#include "vm/rt/thread.h"

#ifdef __SANITIZE_ADDRESS__
#define WITH_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

_Static_assert(offsetof(struct vm_run, exit_sp) == RUN_EXIT_SP, "enter_x64.S knows the offset");
_Static_assert(offsetof(struct vm_run, guest_sp) == RUN_GUEST_SP, "enter_x64.S knows the offset");
_Static_assert(offsetof(struct vm_run, stop) == RUN_STOP, "enter_x64.S knows the offset");
_Static_assert(offsetof(struct vm_run, trap) == RUN_TRAP, "enter_x64.S knows the offset");
_Static_assert(offsetof(struct vm_run, has_float_modes) == RUN_HAS_FLOAT_MODES,
               "enter_x64.S knows the offset");
_Static_assert(offsetof(struct rt_thread, serial) == THREAD_SERIAL, "enter_x64.S knows the offset");
_Static_assert(offsetof(struct rt_thread, stack_low) == THREAD_STACK_LOW,
               "enter_x64.S knows the offset");
_Static_assert(offsetof(struct rt_thread, run) == THREAD_RUN, "enter_x64.S knows the offset");
_Static_assert(sizeof(enum vm_trap) == 4 && RUN_TRAP == RUN_STOP + 4, "compared as 8 bytes");

extern const char rt_enter_exit[] __attribute__((visibility("hidden")));

void
context_read(const void *context, struct rt_fault *out)
{
	/* ucontext's order is the system's; rt_fault has the encoding's: rax, rcx, rdx, rbx ... */
	static const int order[16] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	const ucontext_t *uc = context;

	out->is_call = false;
	out->pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	for (int i = 0; i < 16; i++)
		out->regs[i] = (uintptr_t)uc->uc_mcontext.gregs[order[i]];
}

bool
context_has_float_modes(void)
{
	return (__builtin_ia32_stmxcsr() & MXCSR_CONTROL) != MXCSR_DEFAULT;
}

void
context_leave(void *context, struct vm_run *run)
{
	ucontext_t *uc = context;

#ifdef WITH_ASAN
	/* The frames that are skipped never clear their red zones. Native code has none here. */
	uintptr_t from = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
	if (!codespace_contains((uintptr_t)uc->uc_mcontext.gregs[REG_RIP]))
		__asan_unpoison_memory_region((void *)from, (uintptr_t)run->exit_sp - from);
#endif
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)rt_enter_exit;
	uc->uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)run->exit_sp;
	uc->uc_mcontext.gregs[REG_RAX] = VM_TRAP;
}
