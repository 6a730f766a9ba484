/*
 * opcode.h - the opcode table as C.
 *
 * Spec: Core 3.0, section 5.4
 */
#pragma once

#include "vm/engine.h"
#include "vm/type.h"

enum vm_op {
#define OP(symbol, prefix, code, text, imm, sig, width, feature, flags) VM_OP_##symbol,
#include "vm/def/opcode.def"
#undef OP
	VM_OP_COUNT
};

/* What follows the opcode. One reader (load/imm.c), one printer a kind. */
enum imm_kind {
	IMM_NONE,
	IMM_BLOCK,         /* block type */
	IMM_LABEL,
	IMM_LABELS,        /* br_table: vector of labels and a default */
	IMM_FUNC,
	IMM_TYPE,
	IMM_CALL_INDIRECT, /* type, table */
	IMM_TAG,
	IMM_TRY_TABLE,     /* block type, catch clauses */
	IMM_SELECT_T,      /* vector of value types */
	IMM_LOCAL,
	IMM_GLOBAL,
	IMM_TABLE,
	IMM_TABLE_TABLE,   /* destination, source */
	IMM_ELEM,
	IMM_ELEM_TABLE,    /* segment, table */
	IMM_MEMORY,
	IMM_MEMORY_MEMORY, /* destination, source */
	IMM_MEMARG,
	IMM_MEMARG_LANE,
	IMM_DATA,
	IMM_DATA_MEMORY,   /* segment, memory */
	IMM_I32,
	IMM_I64,
	IMM_F32,
	IMM_F64,
	IMM_V128,
	IMM_SHUFFLE,       /* 16 lane indices */
	IMM_LANE,
	IMM_HEAP,          /* heap type */
	IMM_FIELD,         /* type, field */
	IMM_TYPE_N,        /* type, count */
	IMM_TYPE_DATA,     /* type, data segment */
	IMM_TYPE_ELEM,     /* type, element segment */
	IMM_TYPE_TYPE,     /* destination, source */
	IMM_CAST,          /* flags, label, two heap types */
};

enum op_flags {
	OPF_CONST = 1, /* legal in constant expressions */
	OPF_TRAP = 2,  /* may trap */
	OPF_CTRL = 4,  /* ends or starts a block */
};

/* Arrays rather than pointers, which every process would have to relocate when it starts. */
struct opcode_info {
	char text[36];
	char sig[6];
	uint16_t code;
	uint8_t prefix;
	uint8_t imm;     /* enum imm_kind */
	uint8_t width;   /* log2 of the bytes accessed, or of a lane's */
	uint8_t feature; /* enum vm_feature */
	uint8_t flags;   /* enum op_flags */
};

extern const struct opcode_info opcode_table[VM_OP_COUNT];

/* The row of an encoding; false when there is none. prefix is 0 for one-byte opcodes. */
bool opcode_find(uint8_t prefix, uint32_t code, enum vm_op *out);

/* The row of an opcode without prefix, plus 1; 0 where there is none. */
extern const uint16_t opcode_plain[];

/* What the walker needs of a row all the time, packed; the signature has types for letters. */
struct opcode_sig {
	bool is_poly;          /* no signature: validation needs code */
	uint8_t operand_count;
	uint8_t operands[3];   /* number types, or SIG_ADDRESS; the deepest first */
	uint8_t result;        /* likewise; 0 for none */
	uint8_t imm;           /* as in the row */
	uint8_t feature;
};

enum { SIG_ADDRESS = 1 };

extern const struct opcode_sig opcode_sig_table[VM_OP_COUNT];
