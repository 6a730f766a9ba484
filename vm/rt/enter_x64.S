/*
 * enter_x64.S - rt_enter for x86-64, System V convention.
 *
 *     enum vm_status rt_enter(struct vm_run *run, enum vm_status (*fn)(void *arg), void *arg)
 *
 * The frame of an entry, on the thread's own stack; run->exit_sp points at the lowest word while
 * guest code runs:
 *
 *     +88  return address
 *     +40  r15 r14 r13 r12 rbx rbp
 *     +32  run->guest_sp outside this entry
 *     +24  the thread's run outside this entry
 *     +16  run->exit_sp outside this entry
 *      +8  run
 *      +0  MXCSR; the default one if it was that, but for the flags that operations leave
 *
 * Guest code gets the default MXCSR; to read it takes as long as half of an entry, so that run says
 * whether the thread has another. It never touches the x87 unit. The fault handlers send the thread
 * to rt_enter_exit with rsp = run->exit_sp and eax = the status; code that is back on that stack by
 * itself goes to rt_enter_leave, which is where both meet. native_enter (vm/native/enter_x64.S) makes the same
 * frame and leaves by the same ways.
 */
#include "vm/rt/enter_x64.h"

	.section .rodata.cst4, "aM", @progbits, 4
	.globl rt_mxcsr_default
	.hidden rt_mxcsr_default
	.type rt_mxcsr_default, @object
	.balign 4
rt_mxcsr_default:
	.long MXCSR_DEFAULT
	.size rt_mxcsr_default, 4

	.text
	.globl rt_enter
	.hidden rt_enter
	.type rt_enter, @function
	.balign 16
rt_enter:
	.cfi_startproc
	movq rt_thread@gottpoff(%rip), %rcx
	ENTER_FRAME %rdi
	movq %rdx, %rdi
	call *%rsi

	.globl rt_enter_leave
	.hidden rt_enter_leave
rt_enter_leave:
	movq 8(%rsp), %rdx
	movq 16(%rsp), %rcx
	movq %rcx, RUN_EXIT_SP(%rdx)
	movq 32(%rsp), %rcx
	movq %rcx, RUN_GUEST_SP(%rdx)
	movq 24(%rsp), %rdx
	movq rt_thread@gottpoff(%rip), %rcx
	movq %rdx, %fs:THREAD_RUN(%rcx)

	cmpl $MXCSR_DEFAULT, (%rsp)
	je 1f
	ldmxcsr (%rsp)
1:
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
	ldmxcsr (%rsp)
	jmp rt_enter_leave
	.cfi_endproc
	.size rt_enter, . - rt_enter

	.section .note.GNU-stack, "", @progbits
