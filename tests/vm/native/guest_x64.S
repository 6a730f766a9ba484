/*
 * guest_x64.S - native code of guest_module.h by hand, as the compiler might make it: see
 * vm/native/abi.h. Lines are offsets in the binary.
 */
#include "tests/vm/native/guest_layout.h"

	.file 1 "guest"

	.macro FUNCTION name
	.globl \name
	.hidden \name
	.type \name, @function
	.balign 16
\name:
	.cfi_startproc
	.endm

	.macro END name
	.cfi_endproc
	.size \name, . - \name
	.endm

	.text
FUNCTION f2 /* add */
	.loc 1 0xbd
	leal (%rsi, %rdx), %eax
	ret
END f2

FUNCTION f3 /* div */
	.loc 1 0xc5
	movl %edx, %ecx
	testl %ecx, %ecx
	je 1f
	movl %esi, %eax
	xorl %edx, %edx
	divl %ecx
	ret
1:	.byte 0x67, 0x0f, 0xb9, 0x40, TRAP_DIVIDE_BY_ZERO
END f3

FUNCTION f4 /* load */
	.loc 1 0xcb
	movq INSTANCE_MEMORY0(%rdi), %rax
	movl %esi, %esi
	movl (%rax, %rsi), %eax
	ret
END f4

/* A frame pointer, to have frames that are found by it. */
FUNCTION f5 /* recurse */
	.loc 1 0xd6
	pushq %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq %rsp, %rbp
	.cfi_def_cfa_register %rbp
	incl %esi
	call f5
	incl %eax
	popq %rbp
	.cfi_def_cfa %rsp, 8
	ret
END f5

	.section .text.more, "ax", @progbits
FUNCTION f6 /* spin */
	.loc 1 0xe0
1:	jmp 1b
END f6

FUNCTION f7 /* call */
	.loc 1 0xe8
	pushq %rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	movq INSTANCE_IMPORTED_FUNCS(%rdi), %rax
	movq (%rax), %rax
	movq FUNC_NATIVE_CONTEXT(%rax), %rdi
	movl $1, %ebx
	call *FUNC_NATIVE(%rax)
	addl %ebx, %eax
	popq %rbx
	.cfi_def_cfa_offset 8
	ret
END f7

/* What is in registers, and in run->extra, stays as it is. */
FUNCTION f8 /* many */
	.loc 1 0x104
	movq INSTANCE_IMPORTED_FUNCS(%rdi), %rax
	movq 8(%rax), %rax
	movq FUNC_NATIVE_CONTEXT(%rax), %rdi
	jmp *FUNC_NATIVE(%rax)
END f8

FUNCTION f9 /* grow */
	.loc 1 0x10b
	pushq %rax
	.cfi_def_cfa_offset 16
	movq INSTANCE_BUILTINS(%rdi), %rax
	movl %esi, %edx
	xorl %esi, %esi
	call *BUILTIN_MEMORY_GROW*8(%rax)
	popq %rcx
	.cfi_def_cfa_offset 8
	ret
END f9

FUNCTION f10 /* fill */
	.loc 1 0x117
	pushq %rax
	.cfi_def_cfa_offset 16
	movq INSTANCE_BUILTINS(%rdi), %rax
	movl %esi, %edx
	xorl %esi, %esi
	movl $7, %ecx
	movl $100, %r8d
	call *BUILTIN_MEMORY_FILL*8(%rax)
	popq %rcx
	.cfi_def_cfa_offset 8
	ret
END f10

FUNCTION f11 /* third */
	.loc 1 0x12f
	movsd .Lone(%rip), %xmm0
	divsd .Lthree(%rip), %xmm0
	ret
END f11

	.section .rodata.cst8, "aM", @progbits, 8
	.balign 8
.Lone:	.double 1.0
.Lthree: .double 3.0

	.section .note.GNU-stack, "", @progbits
