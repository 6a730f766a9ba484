/*
 * enter_x64.h - what the ways in and out of guest code share: layout, asserted in context_x64.c,
 * and for assembly the frame of every entry, drawn in enter_x64.S.
 */
#pragma once

#define RUN_EXIT_SP 0   /* offsetof(struct vm_run, exit_sp) */
#define RUN_GUEST_SP 8  /* guest_sp */
#define RUN_STOP 16     /* stop; 8 bytes with the next */
#define RUN_TRAP 20     /* trap */

#define MXCSR_DEFAULT 0x1f80 /* round to nearest, exceptions masked, nothing flushed */
#define MXCSR_CONTROL 0xffc0 /* without the flags that operations leave */

#ifdef __ASSEMBLER__

	.macro SAVE_REGISTER name
	pushq %\name
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %\name, 0
	.endm

/* Makes the frame and enters the run in rdi. Changes rax and rcx. */
	.macro ENTER_FRAME
	SAVE_REGISTER rbp
	SAVE_REGISTER rbx
	SAVE_REGISTER r12
	SAVE_REGISTER r13
	SAVE_REGISTER r14
	SAVE_REGISTER r15
	subq $40, %rsp
	.cfi_adjust_cfa_offset 40

	stmxcsr (%rsp)
	movq %rdi, 8(%rsp)
	movq RUN_EXIT_SP(%rdi), %rax
	movq %rax, 16(%rsp)
	movq rt_current@gottpoff(%rip), %rcx
	movq %fs:(%rcx), %rax
	movq %rax, 24(%rsp)
	movq RUN_GUEST_SP(%rdi), %rax
	movq %rax, 32(%rsp)
	movq %rsp, RUN_EXIT_SP(%rdi)
	movq %rdi, %fs:(%rcx)

	movl (%rsp), %eax
	andl $MXCSR_CONTROL, %eax
	cmpl $MXCSR_DEFAULT, %eax
	je .Lmxcsr_is_default\@
	ldmxcsr rt_mxcsr_default(%rip)
.Lmxcsr_is_default\@:
	.endm

#endif
