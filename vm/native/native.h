/*
 * native.h - native code of a module, mapped and ready to run.
 *
 *     artifact.c   the format: checked before anything in it is used
 *     link.c       objects of the compiler to an artifact (elf.c reads them, lines.c their lines)
 *     attach.c     verified, mapped, and given to its module
 *     native.c     the tier: entering, and calls out
 *     enter_x64.S  the way in and out
 *     marshal.c    between slots and registers
 *     builtins.c   C functions that native code calls
 *     unwind.c     backtraces
 *     compile.c    opens the compiler
 *     debug.c      what profilers and debuggers want to know
 *
 * Owns:    the mapping of an artifact in the code space, as long as its module lives
 * Threads: immutable once attached
 */
#pragma once

#include "vm/native/artifact.h"

/* vm_module.code of this tier. */
struct native_module {
	const struct vm_module *module;
	const uint8_t *base; /* of the artifact, mapped */
	size_t size_bytes;
	struct artifact artifact; /* whose parts are in the mapping */
	struct debug_object *debug; /* debug.c's, or NULL */
	struct native_module *next; /* attach.c's list */
};

/* The module's digest, from who knows it; whoever comes first keeps his. */
void digest_keep(struct vm_module *module, const uint8_t digest[VM_DIGEST_BYTES]);

/* An address of the module's code, as an offset in the text; false for others. */
bool native_text_offset(const struct native_module *native, uintptr_t pc, uint32_t *out_offset);

/*
 * Add the frames of native code that was left, from run->fault outwards to the entry.
 * stack_high is where the entry's frames begin.
 */
void native_backtrace(const struct vm_run *run, uintptr_t stack_high, struct vm_error *err);

/*
 * The module whose code a program counter is in, NULL for none: calls lead from module to module.
 * It stays as long as the caller knows that an instance of it does.
 */
const struct native_module *native_find(uintptr_t pc);
