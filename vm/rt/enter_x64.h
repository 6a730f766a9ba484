/*
 * enter_x64.h - what the ways in and out of guest code share: layout, asserted in context_x64.c,
 * and for assembly the frame of every entry, drawn in enter_x64.S.
 */
#pragma once

#define RUN_EXIT_SP 0   /* offsetof(struct vm_run, exit_sp) */
#define RUN_GUEST_SP 8  /* guest_sp */
#define RUN_STOP 16     /* stop; 8 bytes with the next */
#define RUN_TRAP 20     /* trap */
#define RUN_HAS_FLOAT_MODES 25
#define THREAD_SERIAL 0 /* offsetof(struct rt_thread, serial) */
#define THREAD_STACK_LOW 8
#define THREAD_RUN 16

#define MXCSR_DEFAULT 0x1f80 /* round to nearest, exceptions masked, nothing flushed */
#define MXCSR_CONTROL 0xffc0 /* without the flags that operations leave */

#ifdef __ASSEMBLER__

	.macro SAVE_REGISTER name
	pushq %\name
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %\name, 0
	.endm

	.macro SAVE_WORD word:vararg
	pushq \word
	.cfi_adjust_cfa_offset 8
	.endm

/* Makes the frame and enters the run; rcx is where rt_thread lies. */
	.macro ENTER_FRAME run
	SAVE_REGISTER rbp
	SAVE_REGISTER rbx
	SAVE_REGISTER r12
	SAVE_REGISTER r13
	SAVE_REGISTER r14
	SAVE_REGISTER r15
	SAVE_WORD RUN_GUEST_SP(\run)
	SAVE_WORD %fs:THREAD_RUN(%rcx)
	SAVE_WORD RUN_EXIT_SP(\run)
	SAVE_WORD \run
	SAVE_WORD $MXCSR_DEFAULT
	movq %rsp, RUN_EXIT_SP(\run)
	movq \run, %fs:THREAD_RUN(%rcx)

	cmpb $0, RUN_HAS_FLOAT_MODES(\run)
	je .Lmxcsr_is_default\@
	stmxcsr (%rsp)
	ldmxcsr rt_mxcsr_default(%rip)
.Lmxcsr_is_default\@:
	.endm

#endif
