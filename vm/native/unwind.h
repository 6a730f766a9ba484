/*
 * unwind.h - one step from a frame of native code to its caller.
 */
#pragma once

#include "vm/native/artifact.h"

/* DWARF's numbers of registers: 3 rbx, 6 rbp, 7 rsp, 16 the return address. */
enum { UNWIND_REGISTERS = 17 };

struct unwind {
	uintptr_t stack_low, stack_high; /* what may be read */
	uintptr_t pc;
	bool is_call; /* pc is behind a call */
	uintptr_t regs[UNWIND_REGISTERS];
};

/*
 * To the caller of the frame that is at an offset of the artifact's text. False, leaving *w in any
 * state, where there is nothing that describes the frame, or only what is not understood.
 */
bool unwind_step(struct unwind *w, const struct artifact *artifact, uint32_t text);
