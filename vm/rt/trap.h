/*
 * trap.h - faults in guest code become traps, and a signal ends native code.
 *
 * The handlers act only when the thread is in a run and its program counter in guest code. Of
 * SIGSEGV and SIGBUS the address has to be in the reservation of a memory of that run's store, or
 * in the guard of native code's stack; of SIGILL the instruction has to be the trap instruction
 * of native code. Everything else goes to the handlers that were there before, or ends the process
 * as it would have. The stop signal is for native code of a store that has been stopped.
 */
#pragma once

#include "vm/rt/runtime.h"

/* Install the handlers, once a process. Returns VM_E_IO. */
VM_MUST_CHECK enum vm_status trap_install(struct vm_error *err);
/*
 * Those that native code needs besides, before any is attached. A real-time signal; several
 * engines may have several. Returns VM_E_IO.
 */
VM_MUST_CHECK enum vm_status trap_install_native(int stop_signal, struct vm_error *err);

/*
 * What the processor's file provides (context_x64.c, enter_generic.c): read the
 * registers at the fault, and make the interrupted thread go on at the exit of the run's innermost
 * rt_enter with VM_TRAP. The latter may not return.
 */
void context_read(const void *context, struct rt_fault *out);
void context_leave(void *context, struct vm_run *run);
/* Whether the thread's floating-point environment is another than the one of guests. */
bool context_has_float_modes(void);
