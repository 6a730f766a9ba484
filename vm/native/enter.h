/*
 * enter.h - into native code and out of it: layout that enter_x64.S relies on, asserted in
 * native.c.
 */
#pragma once

#define FUNC_TYPE 8      /* offsetof(struct vm_func, type) */
#define TYPE_HAS_FLOATS 56 /* offsetof(struct vm_type, has_floats) */
#define FUNC_INSTANCE 32 /* offsetof(struct vm_func, instance) */
#define RUN_FAULT_PC 112 /* offsetof(struct vm_run, fault.pc) */
#define RUN_FAULT_REGS 128
#define RUN_FAULT_IS_CALL 256

#define FUNC_NATIVE 16
#define TYPE_PARAM_COUNT 40
#define TYPE_RESULT_COUNT 44
#define RUN_TOP 64
#define RUN_ERR 80
#define RUN_IS_TOUCHED 264
#define RUN_DEPTH 280
#define RUN_NATIVE_FOR 296
#define RUN_NATIVE_SELF 304
#define RUN_NATIVE_THREAD 308

#define STATUS_TRAP 16 /* VM_TRAP */

/* THREAD_STACK_RESERVE */
#define HOST_STACK_RESERVE 262144

/* struct native_regs */
#define REGS_INTS 0
#define REGS_FLOATS 48
#define REGS_BYTES 176

#ifndef __ASSEMBLER__

#include "vm/native/abi.h"

union native_float {
	_Alignas(16) uint64_t u64[2];
	float f32;
	double f64;
};

/* The values of a call that travel in registers; the first result lies in ints[0] or floats[0]. */
struct native_regs {
	uint64_t ints[NATIVE_INT_PARAMS + 1]; /* the last is not used */
	union native_float floats[NATIVE_FLOAT_PARAMS];
};

/*
 * Call native code with the registers given, on the store's stack for it. float_count is how many
 * of regs->floats are values, 0 if only the result may be one. Returns VM_OK with the result in
 * *regs; or what the code was left with, run->trap saying why and run->fault where, unless the
 * status came from a function it called.
 */
enum vm_status native_enter(struct vm_run *run, const void *code, void *context,
                            struct native_regs *regs, unsigned int float_count);

/*
 * func_call of native code whose arguments and result travel in registers of integers: does the
 * same when all is as it was at the last call, and leaves anything else to func_call.
 */
enum vm_status native_call(struct vm_func *func, union vm_slot *slots, struct vm_error *err);

/* What native_call calls when the code was left: back to what was before, and why. */
enum vm_status native_call_failed(struct vm_func *func, union vm_slot *top, enum vm_status st);

/*
 * What native_out calls: run the function, with arguments and result in *regs. Anything but VM_OK
 * ends the native code that called, and *run->err says why.
 */
enum vm_status native_call_out(struct vm_func *func, struct vm_run *run, struct native_regs *regs);

/* One for each built-in: what instances point at. */
extern const void *const native_builtins[NATIVE_BUILTIN_COUNT]
    __attribute__((visibility("hidden")));

#endif
