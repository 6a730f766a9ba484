/*
 * thread.h - what a thread needs before guest code may run on it.
 *
 * An alternate signal stack, because a fault may come when the stack is used up, and the bounds
 * of its own stack, so that entries can be refused while host functions still have room.
 *
 * Owns:    the alternate stack, removed when the thread ends
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vm_run;

/* Bytes of the thread's stack that every entry and host function is sure to find. */
enum { THREAD_STACK_RESERVE = 256 * 1024 };

struct rt_thread {
	uint64_t serial; /* no other thread ever has it; 0 until the thread is ready */
	uintptr_t stack_low;
	struct vm_run *run; /* that the thread is in, innermost; NULL outside. Kept by rt_enter */
	int stop_signal; /* that native code on this thread can be ended with, or 0 */
	int number;      /* the system's, once there is a stop signal */
};

extern _Thread_local struct rt_thread rt_thread __attribute__((tls_model("initial-exec")));

/* Set the thread up; false when there is no memory for it. */
bool thread_prepare_slow(void);

/* Take the signal's block away, and find the thread's number. */
void thread_prepare_native(int stop_signal);

static inline bool
thread_prepare(void)
{
	return rt_thread.serial != 0 || thread_prepare_slow();
}

/*
 * True when less than the reserve is left. On a stack that is not the thread's: false, unless it
 * lies right behind the end of a stack smaller than the reserve.
 */
static inline bool
thread_stack_is_low(void)
{
	return (uintptr_t)__builtin_frame_address(0) - rt_thread.stack_low < THREAD_STACK_RESERVE;
}
