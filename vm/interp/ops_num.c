/*
 * ops_num.c - handlers of numeric instructions, made from the rows of the opcode table.
 *
 * Spec: Core 3.0, sections 4.3 and 4.4.1
 */
#include "vm/interp/ops.h"

/* --- one operand --------------------------------------------------------------------------- */

#define UNARY_FORM(symbol, form, src, IN, OUT)                                                     \
	HANDLER(h_##symbol##_##form##_S)                                                           \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		T_##OUT result = num_##symbol(src, &trap);                                         \
		if (unlikely(trap != VM_TRAP_NONE))                                                \
			TRAP(trap);                                                                \
		TO_SLOT_##OUT(ip[1].d, result);                                                    \
		NEXT(2);                                                                           \
	}                                                                                          \
	HANDLER(h_##symbol##_##form##_A)                                                           \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		T_##OUT result = num_##symbol(src, &trap);                                         \
		if (unlikely(trap != VM_TRAP_NONE))                                                \
			TRAP(trap);                                                                \
		TO_ACC_##OUT(0, result);                                                           \
		NEXT(2);                                                                           \
	}

#define UNARY(symbol, IN, OUT)                                                                     \
	UNARY_FORM(symbol, S, SLOT_##IN(ip[1].a), IN, OUT)                                         \
	UNARY_FORM(symbol, A, ACC_##IN, IN, OUT)

/* --- two operands -------------------------------------------------------------------------- */

#define BINARY_FORM(symbol, form, x, y, words, OUT)                                                \
	HANDLER(h_##symbol##_##form##_S)                                                           \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		T_##OUT result = num_##symbol(x, y, &trap);                                        \
		if (unlikely(trap != VM_TRAP_NONE))                                                \
			TRAP(trap);                                                                \
		TO_SLOT_##OUT(ip[1].d, result);                                                    \
		NEXT(words);                                                                       \
	}                                                                                          \
	HANDLER(h_##symbol##_##form##_A)                                                           \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		T_##OUT result = num_##symbol(x, y, &trap);                                        \
		if (unlikely(trap != VM_TRAP_NONE))                                                \
			TRAP(trap);                                                                \
		TO_ACC_##OUT(0, result);                                                           \
		NEXT(words);                                                                       \
	}

#define BINARY(symbol, IN, OUT)                                                                    \
	BINARY_FORM(symbol, SS, SLOT_##IN(ip[1].a), SLOT_##IN(ip[1].b), 2, OUT)                    \
	BINARY_FORM(symbol, AS, ACC_##IN, SLOT_##IN(ip[1].b), 2, OUT)                              \
	BINARY_FORM(symbol, SA, SLOT_##IN(ip[1].a), ACC_##IN, 2, OUT)                              \
	BINARY_FORM(symbol, SI, SLOT_##IN(ip[1].a), IMM_##IN, IMM_WORDS_##IN, OUT)                 \
	BINARY_FORM(symbol, AI, ACC_##IN, IMM_##IN, IMM_WORDS_##IN, OUT)                           \
	BINARY_FORM(symbol, IS, IMM_##IN, SLOT_##IN(ip[1].a), IMM_WORDS_##IN, OUT)                 \
	BINARY_FORM(symbol, IA, IMM_##IN, ACC_##IN, IMM_WORDS_##IN, OUT)

/* --- comparison and branch in one ----------------------------------------------------------- */

/*
 * Every instruction of two i32 that gives an i32 has these forms, not only comparisons: a branch
 * on i32.and or i32.sub is as common.
 *
 * The target is relative to the instruction. SS: d, a are the operands; AS: a; SI: d and a 16-bit
 * constant in a; AI: the constant in a. Floats have the constant in a third word. Backward
 * branches look at the stop flag, so that every loop does.
 */
#define BRANCH_ONE(symbol, name, x, y, words, sense, check)                                        \
	HANDLER(name)                                                                              \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		T_i result = num_##symbol(x, y, &trap);                                            \
		if (unlikely(trap != VM_TRAP_NONE))                                                \
			TRAP(trap);                                                                \
		if ((result != 0) == sense) {                                                      \
			if (check && STOPPED())                                                    \
				TRAP((enum vm_trap)inst->run->stop);                               \
			GOTO(ip + ip[1].imm);                                                      \
		}                                                                                  \
		NEXT(words);                                                                       \
	}

#define BRANCH_FORM(symbol, form, x, y, words)                                                     \
	BRANCH_ONE(symbol, hb_##symbol##_##form##_tf, x, y, words, 1, 0)                           \
	BRANCH_ONE(symbol, hb_##symbol##_##form##_tb, x, y, words, 1, 1)                           \
	BRANCH_ONE(symbol, hb_##symbol##_##form##_ff, x, y, words, 0, 0)                           \
	BRANCH_ONE(symbol, hb_##symbol##_##form##_fb, x, y, words, 0, 1)

#define IMM16_i ((uint32_t)(int16_t)ip[1].a_)
#define IMM16_l ((uint64_t)(int16_t)ip[1].a_)
#define IMM16_f IMM_f
#define IMM16_d IMM_d

#define COMPARE(symbol, IN)                                                                        \
	BINARY(symbol, IN, i)                                                                      \
	BRANCH_FORM(symbol, SS, SLOT_##IN(ip[1].d_), SLOT_##IN(ip[1].a_), 2)                       \
	BRANCH_FORM(symbol, AS, ACC_##IN, SLOT_##IN(ip[1].a_), 2)                                  \
	BRANCH_FORM(symbol, SI, SLOT_##IN(ip[1].d_), IMM16_##IN, IMM_WORDS_##IN)                   \
	BRANCH_FORM(symbol, AI, ACC_##IN, IMM16_##IN, IMM_WORDS_##IN)

/* --- rows ----------------------------------------------------------------------------------- */

#define ROW_COMPARE(symbol, A) COMPARE(symbol, A)
#define ROW_BINARY(symbol, A, R) BINARY(symbol, A, R)
#define ROW_UNARY(symbol, A, R) UNARY(symbol, A, R)
#define ROW_LOAD(symbol, R)
#define ROW_STORE(symbol, A)
#define ROW_VECTOR(symbol, imm, sig)
#define ROW_OTHER(symbol)
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"
