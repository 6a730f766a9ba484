#include "vm/rt/trap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include "vm/rt/store.h"
#include "vm/rt/thread.h"

/* Provided by the linker: the guest code of this very image, which is why they are hidden. */
extern const char __start_vm_guest_text[] __attribute__((visibility("hidden")));
extern const char __stop_vm_guest_text[] __attribute__((visibility("hidden")));

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_installed;
static struct sigaction earlier_segv, earlier_bus;

/* Something is always in the section, so that its bounds exist. */
VM_GUEST_TEXT static void
guest_text_is_not_empty(void)
{
}

static bool
pc_is_guest(uintptr_t pc)
{
	return pc >= (uintptr_t)__start_vm_guest_text && pc < (uintptr_t)__stop_vm_guest_text;
}

/* Hand the signal to whoever had it before, or let it end the process. */
static void
chain(int number, siginfo_t *info, void *context)
{
	const struct sigaction *earlier = number == SIGBUS ? &earlier_bus : &earlier_segv;

	if (earlier->sa_handler == SIG_DFL || earlier->sa_handler == SIG_IGN) {
		/* A fault comes again on return, a signal that somebody sent does not. */
		(void)signal(number, SIG_DFL);
		if (info->si_code <= 0)
			(void)raise(number);
	} else if (earlier->sa_flags & SA_SIGINFO) {
		earlier->sa_sigaction(number, info, context);
	} else {
		earlier->sa_handler(number);
	}
}

static void
on_fault(int number, siginfo_t *info, void *context)
{
	struct vm_run *run = rt_current;
	uintptr_t address = (uintptr_t)info->si_addr;
	struct rt_fault fault;

	/* The store's list of memories is stable: this thread owns it and is in guest code. */
	if (run != NULL && info->si_code > 0) {
		context_read(context, &fault);
		fault.address = address;
		if (pc_is_guest(fault.pc) && store_owns_fault(run->store, address)) {
			run->fault = fault;
			run->trap = VM_TRAP_MEMORY_BOUNDS;
			context_leave(context, run);
			return;
		}
	}
	chain(number, info, context);
}

static bool
handler_install(int number, struct sigaction *out_earlier)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	(void)sigemptyset(&action.sa_mask);
	return sigaction(number, NULL, out_earlier) == 0 && sigaction(number, &action, NULL) == 0;
}

enum vm_status
trap_install(struct vm_error *err)
{
	enum vm_status st = VM_OK;

	(void)guest_text_is_not_empty;
	(void)pthread_mutex_lock(&install_lock);
	if (!is_installed) {
		is_installed = handler_install(SIGSEGV, &earlier_segv) &&
		               handler_install(SIGBUS, &earlier_bus);
		if (!is_installed)
			st = vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
			                  "cannot install the handlers for memory faults: %s",
			                  strerror(errno));
	}
	(void)pthread_mutex_unlock(&install_lock);
	return st;
}
