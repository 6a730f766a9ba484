/*
 * abi.h - what native code and the runtime agree on. vm/llvm emits it, vm/native runs it.
 *
 * A function of the module is a symbol "f<index>" with the C convention:
 *
 *     result = f(instance, value ...)
 *
 * - The instance (struct vm_instance *) is the first integer parameter. Its fields, those of its
 *   run and of whatever it points at are reached by their C offsets: an artifact fits one build of
 *   the library only. Own memories, tables and globals lie inside the instance, at offsets that
 *   instance_layout_make tells. Nothing else of the process is known to native code.
 * - Values are i32, i64, float, double, <2 x i64> for v128, ptr for references. The first five
 *   of integers and references, and the first eight of floats and vectors, travel in registers;
 *   the rest go to run->extra, 16 bytes each, in order: stored by the caller right before the
 *   call, loaded by the callee before anything else. So nothing is ever passed on the stack, a
 *   tail call is a jump, and vm/native can call any function knowing only its type. (LLVM's
 *   tailcc, made for tail calls, has callees pop 8 bytes that keep the stack aligned: measured,
 *   calls take twice as long.) The upper half of a register that holds an i32 is undefined.
 * - The first result is returned in a register, others come in run->extra, 16 bytes each, in
 *   order, stored right before the return.
 * - A call is marked notail unless the instruction is a tail call: recursion has to use stack.
 *
 * Any function, whoever runs it, is called through its object:
 *
 *     func->native(func->native_context, value ...)
 *
 * which is the function itself and its instance for native code of this very build, and
 * native_out (which takes the object itself) for everything else.
 *
 * Built-ins (vm/def/builtin.def) are C functions of the C convention whose first parameter is the
 * instance: called through instance->builtins[number]. They run on the thread's own stack and
 * return only when the guest may go on.
 *
 * Traps are the instruction that llvm.ubsantrap(enum vm_trap) makes (x86-64: ud1l code(%eax),%eax),
 * not to be merged with others; memory faults and an exhausted stack (frames are probed) are
 * recognised by the handlers of vm/rt/trap.c.
 *
 * Positions: the line of an instruction in the object's line table (DWARF 4) is the offset of the
 * wasm instruction in the binary. Everything that can trap, and every call, has one. Unwind
 * information is .eh_frame, valid at every instruction.
 *
 * Metered code subtracts a block's cost from run->fuel on entry. When it is less than the cost,
 * it sets the fuel to 0 and traps with VM_TRAP_FUEL.
 */
#pragma once

#include "vm/rt/runtime.h"

enum native_builtin {
#define BUILTIN(symbol, name, sig) NATIVE_##symbol,
#include "vm/def/builtin.def"
#undef BUILTIN
	NATIVE_BUILTIN_COUNT
};

enum cpu_feature {
#define CPU(symbol, name, level) CPU_##symbol,
#include "vm/def/cpu.def"
#undef CPU
	CPU_COUNT
};

#define CPU_BIT(symbol) (UINT64_C(1) << CPU_##symbol)

/* Parameters and results that travel in registers. */
enum { NATIVE_INT_PARAMS = 5, NATIVE_FLOAT_PARAMS = 8, NATIVE_EXTRA_BYTES = 16 };
