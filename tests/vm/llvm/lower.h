/*
 * lower.h - single instructions, lowered by vm/llvm and as they should be.
 *
 *     lower_code.c  functions of one instruction each, made by the emit_ functions of vm/llvm
 *     lower_ref.c   what the instruction computes, by vm/rt/num.h, vm/rt/simd.h and its name
 *     test_lower.c  every row of the opcode table, on values that matter
 */
#pragma once

#include "vm/load/walk.h"
#include "vm/rt/simd.h"

enum { OPERANDS_MAX = 3 };

/* One instruction with its immediates, and with some operands constant. */
struct lower_case {
	enum vm_op op;
	union walk_imm imm;
	unsigned int constants; /* bit i: operand i is */
	union v128 values[OPERANDS_MAX];
};

/* Types of the operands and of the result: VM_I32 ..., 0 for none. */
vm_valtype case_operand(const struct lower_case *c, unsigned int i);
vm_valtype case_result(const struct lower_case *c);
size_t value_bytes(vm_valtype type);

/* --- as it should be ------------------------------------------------------------------------ */

/* Whether an instruction computes something that can be tested alone. */
bool reference_has(enum vm_op op);
enum vm_trap reference_run(const struct lower_case *c, const union v128 *in, union v128 *out,
                           uint8_t *memory);
/* The bytes that it accesses; 0 when it is no load or store. */
size_t reference_access(enum vm_op op);
/* Bits of the floats whose NaNs it makes, 0 when it makes none. */
unsigned int reference_nan_bits(enum vm_op op);

/* --- as it is ------------------------------------------------------------------------------- */

/* Of 64-bit memories: memory is what generated code finds at CODE_MEMORY_SIZE. */
struct code;

typedef void (*code_fn)(const union v128 *in, union v128 *out, uint32_t *trap, uint8_t *memory);

/* NULL when LLVM is unable to. */
struct code *code_new(bool host_cpu, bool canonical_nans, uint64_t memory_bytes);
void code_free(struct code *code);
/* False when no emit_ function knows the instruction. */
bool code_add(struct code *code, const struct lower_case *c);
/* Compile what was added. NULL, or what is wrong, made with malloc. */
char *code_finish(struct code *code);
/* The i-th that was added, an instruction op. */
code_fn code_get(struct code *code, uint32_t i, enum vm_op op);
