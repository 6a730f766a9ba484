/*
 * enter_x64.S - rt_enter for x86-64, System V convention.
 *
 *     enum vm_status rt_enter(struct vm_run *run, enum vm_status (*fn)(void *arg), void *arg)
 *
 * Stack while fn runs; run->exit_sp points at the lowest word:
 *
 *     +88  return address
 *     +40  r15 r14 r13 r12 rbx rbp
 *     +32  (alignment)
 *     +24  the thread's run outside this entry
 *     +16  run->exit_sp outside this entry
 *      +8  run
 *      +4  x87 control word
 *      +0  MXCSR
 *
 * The fault handler sends the thread to rt_enter_exit with rsp = run->exit_sp and eax = the
 * status. Both ways out meet in .Lleave.
 */
#include "vm/rt/enter_x64.h"

	.text
	.globl rt_enter
	.hidden rt_enter
	.type rt_enter, @function
	.balign 16
rt_enter:
	.cfi_startproc
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq $40, %rsp
	.cfi_adjust_cfa_offset 40

	stmxcsr (%rsp)
	fnstcw 4(%rsp)
	movq %rdi, 8(%rsp)
	movq RUN_EXIT_SP(%rdi), %rax
	movq %rax, 16(%rsp)
	movq rt_current@gottpoff(%rip), %rcx
	movq %fs:(%rcx), %rax
	movq %rax, 24(%rsp)
	movq %rsp, RUN_EXIT_SP(%rdi)
	movq %rdi, %fs:(%rcx)

	movq %rdx, %rdi
	call *%rsi

.Lleave:
	movq 8(%rsp), %rdx
	movq 16(%rsp), %rcx
	movq %rcx, RUN_EXIT_SP(%rdx)
	movq 24(%rsp), %rdx
	movq rt_current@gottpoff(%rip), %rcx
	movq %rdx, %fs:(%rcx)

	addq $40, %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -40
	popq %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	ret

	.globl rt_enter_exit
	.hidden rt_enter_exit
rt_enter_exit:
	.cfi_restore_state
	cld
	fninit
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	jmp .Lleave
	.cfi_endproc
	.size rt_enter, . - rt_enter

	.section .note.GNU-stack, "", @progbits
