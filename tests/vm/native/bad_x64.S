/*
 * bad_x64.S - objects that must not be linked, one for each value of BAD.
 */
	.globl f2
	.type f2, @function
	.text
f2:
#if BAD == 1 /* an absolute address */
	movabsq $f2, %rax
#elif BAD == 2 /* somebody else's function */
	call puts
#elif BAD == 3 /* data to write */
	incl counter(%rip)
	.data
counter: .long 1
	.text
#elif BAD == 4 /* by way of a table of addresses */
	movq f2@GOTPCREL(%rip), %rax
#elif BAD == 5 /* data to write that is zero */
	incl counter(%rip)
	.local counter
	.comm counter, 4, 4
#elif BAD == 6 /* of a thread */
	movl %fs:counter@tpoff, %eax
	.section .tdata, "awT", @progbits
counter: .long 1
	.text
#endif
	ret
	.size f2, . - f2
	.section .note.GNU-stack, "", @progbits
