/*
 * enter_x64.S - into native code and out of it, x86-64.
 *
 * Native code has a stack of its own, from run->guest_sp down. While it runs, run->exit_sp is the
 * frame of its entry on the thread's own stack (drawn in vm/rt/enter_x64.S), and what is below is
 * free: calls out of native code go there, with run->guest_sp where native code's frames end, so
 * that a nested entry goes on below.
 *
 * Nothing is passed on the stack: see vm/native/abi.h.
 */
#include "vm/native/enter.h"
#include "vm/rt/enter_x64.h"

/*
 * enum vm_status native_enter(run, code, context, regs, float_count)
 *
 *     rbx  regs    rbp  the frame of the entry
 */
	.text
	.globl native_enter
	.hidden native_enter
	.type native_enter, @function
	.balign 16
native_enter:
	.cfi_startproc
	movq %rcx, %r10
	movq %rsi, %r11
	movq rt_thread@gottpoff(%rip), %rcx
	ENTER_FRAME %rdi
	movq %rsp, %rbp
	.cfi_def_cfa %rbp, 96
	movq %r10, %rbx
	movq RUN_GUEST_SP(%rdi), %rax
	andq $-16, %rax
	movq %rax, %rsp

	testl %r8d, %r8d
	je 1f
	movaps REGS_FLOATS(%rbx), %xmm0
	movaps REGS_FLOATS+16(%rbx), %xmm1
	movaps REGS_FLOATS+32(%rbx), %xmm2
	movaps REGS_FLOATS+48(%rbx), %xmm3
	movaps REGS_FLOATS+64(%rbx), %xmm4
	movaps REGS_FLOATS+80(%rbx), %xmm5
	movaps REGS_FLOATS+96(%rbx), %xmm6
	movaps REGS_FLOATS+112(%rbx), %xmm7
1:	movq %rdx, %rdi
	movq REGS_INTS(%rbx), %rsi
	movq REGS_INTS+8(%rbx), %rdx
	movq REGS_INTS+16(%rbx), %rcx
	movq REGS_INTS+24(%rbx), %r8
	movq REGS_INTS+32(%rbx), %r9
	call *%r11

	movq %rax, REGS_INTS(%rbx)
	movaps %xmm0, REGS_FLOATS(%rbx)
	movq %rbp, %rsp
	xorl %eax, %eax
	jmp rt_enter_leave
	.cfi_endproc
	.size native_enter, . - native_enter

/*
 * enum vm_status native_call(func, slots, err)
 *
 * What is looked at is what func_call and native_entry look at; where something is not as usual,
 * they do the call. Only for the outermost entry, so that it is known what to restore. The stack:
 *
 *     +120  return address
 *     +112  not used: the frame is aligned to 16 bytes
 *     +104  func
 *      +96  run->top
 *      +88  .Lhas_failed, where rt_enter_exit goes
 *       +0  the frame of an entry
 *
 *     rbx  slots   r12  type   rbp  the frame
 */
	.globl native_call
	.hidden native_call, func_call, native_call_failed
	.type native_call, @function
	.balign 32
native_call:
	.cfi_startproc
	movq FUNC_INSTANCE(%rdi), %r9
	movq rt_thread@gottpoff(%rip), %rcx
	movq (%r9), %r8
	movq %fs:THREAD_SERIAL(%rcx), %rax
	cmpq RUN_NATIVE_FOR(%r8), %rax
	jne func_call
	movq %rsp, %rax
	subq %fs:THREAD_STACK_LOW(%rcx), %rax
	cmpq $HOST_STACK_RESERVE, %rax
	jb func_call
	movq RUN_GUEST_SP(%r8), %r10
	testq %r10, %r10
	je func_call
	cmpl $0, RUN_DEPTH(%r8)
	jne func_call
	cmpb $0, RUN_IS_TOUCHED(%r8)
	je func_call
	testq %rdx, %rdx
	je func_call

	/* First the number, then the look at the stop: see watchdog.h. */
	movl RUN_NATIVE_SELF(%r8), %eax
	movl %eax, RUN_NATIVE_THREAD(%r8)
	cmpl $0, RUN_STOP(%r8)
	jne .Lis_stopped
	movq %rdx, RUN_ERR(%r8)
	movl $1, RUN_DEPTH(%r8)

	leaq .Lhas_failed(%rip), %rax
	SAVE_WORD %rdx
	SAVE_WORD %rdi
	SAVE_WORD RUN_TOP(%r8)
	SAVE_WORD %rax
	ENTER_FRAME %r8
	movq %rsp, %rbp
	.cfi_def_cfa %rbp, 128
	movq %rsi, %rbx
	movq FUNC_TYPE(%rdi), %r12
	movq FUNC_NATIVE(%rdi), %r11
	movq %r10, %rsp
	movq %r9, %rdi

	movl TYPE_PARAM_COUNT(%r12), %eax
	testl %eax, %eax
	je 1f
	movq (%rbx), %rsi
	cmpl $2, %eax
	jb 1f
	movq 8(%rbx), %rdx
	je 1f
	movq 16(%rbx), %rcx
	cmpl $4, %eax
	jb 1f
	movq 24(%rbx), %r8
	je 1f
	movq 32(%rbx), %r9
1:	call *%r11

	/* What rt_enter_leave does, but for what native code keeps as it was. */
	movq 8(%rbp), %rdx
	movq 32(%rbp), %rcx
	cmpl $0, TYPE_RESULT_COUNT(%r12)
	je 2f
	movq %rax, (%rbx)
2:	movq 24(%rbp), %rsi
	movq %rcx, RUN_GUEST_SP(%rdx)
	movq rt_thread@gottpoff(%rip), %rax
	movl $0, RUN_DEPTH(%rdx)
	movl $0, RUN_NATIVE_THREAD(%rdx)
	movq %rsi, %fs:THREAD_RUN(%rax)
	cmpl $MXCSR_DEFAULT, (%rbp)
	je 3f
	ldmxcsr (%rbp)
3:	leaq 120(%rbp), %rsp
	.cfi_def_cfa %rsp, 8
	xorl %eax, %eax
	movq 64(%rbp), %r12
	.cfi_restore %r12
	movq 72(%rbp), %rbx
	.cfi_restore %rbx
	movq 80(%rbp), %rbp
	.cfi_restore %rbp
	ret

	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	.cfi_def_cfa %rsp, 32
.Lhas_failed:
	popq %rsi
	.cfi_adjust_cfa_offset -8
	popq %rdi
	.cfi_adjust_cfa_offset -8
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	movl %eax, %edx
	jmp native_call_failed
.Lis_stopped:
	movl $0, RUN_NATIVE_THREAD(%r8)
	jmp func_call
	.cfi_endproc
	.size native_call, . - native_call

/*
 * Leave native code that has called out, with the status in eax; rbx is the run and rcx what the
 * code had in rbx. The other registers that calls keep are the code's. run->guest_sp points at
 * where it was to return to.
 */
	.type native_leave, @function
native_leave:
	movq RUN_GUEST_SP(%rbx), %rdx
	movq (%rdx), %rsi
	addq $8, %rdx
	movq %rsi, RUN_FAULT_PC(%rbx)
	movq %rcx, RUN_FAULT_REGS+3*8(%rbx)
	movq %rdx, RUN_FAULT_REGS+4*8(%rbx)
	movq %rbp, RUN_FAULT_REGS+5*8(%rbx)
	movq %r12, RUN_FAULT_REGS+12*8(%rbx)
	movq %r13, RUN_FAULT_REGS+13*8(%rbx)
	movq %r14, RUN_FAULT_REGS+14*8(%rbx)
	movq %r15, RUN_FAULT_REGS+15*8(%rbx)
	movb $1, RUN_FAULT_IS_CALL(%rbx)
	movq RUN_EXIT_SP(%rbx), %rsp
	jmp rt_enter_exit
	.size native_leave, . - native_leave

/*
 * vm_func.native of functions that are not native code: called by native code with the function in
 * rdi and the arguments behind it. On the thread's own stack:
 *
 *     +176  rbx of native code
 *       +0  struct native_regs
 */
	.globl native_out
	.hidden native_out
	.type native_out, @function
	.balign 16
native_out:
	movq FUNC_INSTANCE(%rdi), %rax
	movq (%rax), %rax
	movq %rsp, RUN_GUEST_SP(%rax)
	movq RUN_EXIT_SP(%rax), %rsp
	subq $REGS_BYTES+16, %rsp
	movq %rbx, REGS_BYTES(%rsp)
	movq %rax, %rbx
	movq %rsi, REGS_INTS(%rsp)
	movq %rdx, REGS_INTS+8(%rsp)
	movq %rcx, REGS_INTS+16(%rsp)
	movq %r8, REGS_INTS+24(%rsp)
	movq %r9, REGS_INTS+32(%rsp)
	movq FUNC_TYPE(%rdi), %rax
	cmpb $0, TYPE_HAS_FLOATS(%rax)
	je 1f
	movaps %xmm0, REGS_FLOATS(%rsp)
	movaps %xmm1, REGS_FLOATS+16(%rsp)
	movaps %xmm2, REGS_FLOATS+32(%rsp)
	movaps %xmm3, REGS_FLOATS+48(%rsp)
	movaps %xmm4, REGS_FLOATS+64(%rsp)
	movaps %xmm5, REGS_FLOATS+80(%rsp)
	movaps %xmm6, REGS_FLOATS+96(%rsp)
	movaps %xmm7, REGS_FLOATS+112(%rsp)
1:	movq %rbx, %rsi
	movq %rsp, %rdx
	call native_call_out
	movq REGS_BYTES(%rsp), %rcx
	testl %eax, %eax
	jne native_leave
	movq REGS_INTS(%rsp), %rax
	movaps REGS_FLOATS(%rsp), %xmm0
	movq RUN_GUEST_SP(%rbx), %rsp
	movq %rcx, %rbx
	ret
	.size native_out, . - native_out

/*
 * Call the built-in in rax with the registers as they are. When it has set run->trap, or the store
 * was stopped meanwhile, the code that called is left.
 */
	.type builtin_out, @function
	.balign 16
builtin_out:
	movq (%rdi), %r10
	movq %rsp, RUN_GUEST_SP(%r10)
	movq RUN_EXIT_SP(%r10), %rsp
	subq $16, %rsp
	movq %rbx, (%rsp)
	movq %r10, %rbx
	call *%rax
	movq (%rsp), %rcx
	cmpq $0, RUN_STOP(%rbx)
	jne 1f
	movq RUN_GUEST_SP(%rbx), %rsp
	movq %rcx, %rbx
	ret
1:	movl RUN_TRAP(%rbx), %edx
	testl %edx, %edx
	jne 2f
	movl RUN_STOP(%rbx), %edx
	movl %edx, RUN_TRAP(%rbx)
2:	movl $STATUS_TRAP, %eax
	jmp native_leave
	.size builtin_out, . - builtin_out

/* One entry a row of builtin.def, and the table of them. */
#define BUILTIN(symbol, name, sig) BUILTIN_ENTRY name
	.macro BUILTIN_ENTRY name
	.type builtin_out_\name, @function
builtin_out_\name:
	leaq native_\name(%rip), %rax
	jmp builtin_out
	.size builtin_out_\name, . - builtin_out_\name
	.endm
#include "vm/def/builtin.def"
#undef BUILTIN

	.section .data.rel.ro, "aw", @progbits
	.globl native_builtins
	.hidden native_builtins
	.type native_builtins, @object
	.balign 8
native_builtins:
#define BUILTIN(symbol, name, sig) .quad builtin_out_##name
#include "vm/def/builtin.def"
#undef BUILTIN
	.size native_builtins, . - native_builtins

	.section .note.GNU-stack, "", @progbits
