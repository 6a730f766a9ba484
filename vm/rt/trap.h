/*
 * trap.h - memory faults in guest code become traps.
 *
 * The handlers of SIGSEGV and SIGBUS act only when the thread is in a run, its program counter in
 * guest code and the address in the reservation of a memory of that run's store. Everything else
 * goes to the handlers that were there before, or ends the process as it would have.
 */
#pragma once

#include "vm/rt/runtime.h"

/* Install the handlers, once a process. Returns VM_E_IO. */
VM_MUST_CHECK enum vm_status trap_install(struct vm_error *err);

/*
 * What the processor's file provides for the handlers (context_x64.c, enter_generic.c): read the
 * registers at the fault, and make the interrupted thread go on at the exit of the run's innermost
 * rt_enter with VM_TRAP. The latter may not return.
 */
void context_read(const void *context, struct rt_fault *out);
void context_leave(void *context, struct vm_run *run);
