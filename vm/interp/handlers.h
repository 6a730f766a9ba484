/*
 * handlers.h - the handlers, for the translator.
 */
#pragma once

#include <stddef.h>
#include "vm/interp/code.h"

/*
 * Forms of an instruction of two operands: where each comes from. S slot, A accumulator,
 * I constant. Handler tables are [form][0 result to slot d, 1 result to the accumulator].
 */
enum form2 { FORM_SS, FORM_AS, FORM_SA, FORM_SI, FORM_AI, FORM_IS, FORM_IA, FORM2_COUNT };
enum form1 { FORM_S, FORM_A, FORM1_COUNT };
/* A conditional branch on a comparison: [form4][0 if true, 1 if false][0 forward, 1 backward]. */
enum form_branch { BRANCH_SS, BRANCH_AS, BRANCH_SI, BRANCH_AI, FORM_BRANCH_COUNT };
/* Loads: the address, or the sum of two operands. */
enum form_load { LOAD_S, LOAD_A, LOAD_SS, LOAD_AS, FORM_LOAD_COUNT };
/* Stores: address, value; the value of floats from vacc, of integers also a 16-bit constant. */
enum form_store { STORE_SS, STORE_SA, STORE_AS, STORE_SI, STORE_AI, STORE_AV, FORM_STORE_COUNT };

/* Which accumulator a result or operand of that letter uses. */
#define IS_VACC(letter) ((letter) == 'f' || (letter) == 'd')

/*
 * A handler in a table: its distance from here. Addresses would have to be relocated, all of them
 * and in every process, before the first one is used.
 */
struct handler_ref {
	int32_t distance;
};

static inline handler
handler_at(const struct handler_ref *ref)
{
	return (handler)((uintptr_t)ref + (uintptr_t)(intptr_t)ref->distance);
}

/* Handlers made from rows: result to a slot, or to the accumulator. */
struct handler_table {
#define ROW_COMPARE(symbol, A)                                                                     \
	struct handler_ref binary_##symbol[FORM2_COUNT][2];                                        \
	struct handler_ref branch_##symbol[FORM_BRANCH_COUNT][2][2];
#define ROW_BINARY(symbol, A, R) struct handler_ref binary_##symbol[FORM2_COUNT][2];
#define ROW_UNARY(symbol, A, R) struct handler_ref unary_##symbol[FORM1_COUNT][2];
#define ROW_LOAD(symbol, R)                                                                        \
	struct handler_ref load_##symbol[FORM_LOAD_COUNT][2];                                      \
	struct handler_ref load_any_##symbol;
#define ROW_STORE(symbol, A)                                                                       \
	struct handler_ref store_##symbol[FORM_STORE_COUNT];                                       \
	struct handler_ref store_any_##symbol;
#define ROW_VECTOR(symbol, imm, sig) struct handler_ref vector_##symbol;
#define ROW_OTHER(symbol)
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"
#undef OP
#undef ROW_COMPARE
#undef ROW_BINARY
#undef ROW_UNARY
#undef ROW_LOAD
#undef ROW_STORE
#undef ROW_VECTOR
#undef ROW_OTHER
	/* A branch on an integer: [is 64 bits][if not zero][in the accumulator][backward]. */
	struct handler_ref branch_value[2][2][2][2];
	struct handler_ref end; /* h_exit */
};

extern const struct handler_table handler_table;

/* A member's place in the table, counted in handlers. */
#define HANDLER_INDEX(member)                                                                      \
	(uint16_t)(offsetof(struct handler_table, member) / sizeof(struct handler_ref))

static inline const struct handler_ref *
handler_ref(uint32_t index)
{
	return (const struct handler_ref *)&handler_table + index;
}

/* Two handlers of an instruction: result to slot d, to the accumulator. */
struct handler_pair {
	handler to_slot, to_acc;
};

static inline struct handler_pair
handler_pair_at(const struct handler_ref *refs)
{
	return (struct handler_pair){ handler_at(refs), handler_at(refs + 1) };
}

/*
 * The rest: HANDLER_ROW(name, words, operands). d, a, b, e are the slots of word 1, imm its low
 * 32 bits, "->" the result; words beyond the second are named.
 */
#define INTERP_HANDLERS(X)                                                                         \
	/* moves and constants */                                                                  \
	X(move_S)          /* d <- a */                                                            \
	X(move_A)          /* d <- acc */                                                          \
	X(move_F)          /* d <- vacc, f32 */                                                    \
	X(move_D)          /* d <- vacc, f64 */                                                    \
	X(move_v128)       /* d <- a, two slots */                                                 \
	X(const_32)        /* d <- imm, zero-extended */                                           \
	X(const_64)        /* d <- word 2 */                                                       \
	X(const_v128)      /* d <- words 2, 3 */                                                   \
	X(zero)            /* imm slots from d <- 0 */                                             \
	/* control */                                                                              \
	X(jump)            /* imm */                                                               \
	X(jump_back)       /* imm, looks at the stop flag */                                       \
	X(branch_nz_S) X(branch_nz_A) X(branch_z_S) X(branch_z_A) /* d, imm; i32 */                \
	X(branch_nz_S_back) X(branch_nz_A_back)                                                    \
	X(branch_z_S_back) X(branch_z_A_back)                                                      \
	X(branch_nz64_S) X(branch_nz64_A) X(branch_z64_S) X(branch_z64_A) /* d, imm; i64, refs */  \
	X(branch_nz64_S_back) X(branch_nz64_A_back)                                                \
	X(branch_z64_S_back) X(branch_z64_A_back)                                                  \
	X(table_S) X(table_A) /* index d; imm targets, then words: one a target, default last */   \
	X(return_)         /* link at a */                                                         \
	X(return_S)        /* slot 0 <- d; link at a */                                            \
	X(return_A) X(return_F) X(return_D)                                                        \
	X(fuel)            /* imm units */                                                         \
	X(trap)            /* imm: enum vm_trap */                                                 \
	X(trap_null)       /* trap imm when reference d is null */                                 \
	/* calls: arguments, and the callee's frame, from slot d */                                \
	X(call)            /* word 2: function */                                                  \
	X(call_import)     /* imm: index of the import */                                          \
	X(call_indirect_S) X(call_indirect_A) /* index a; word 2: type; word 3: table, is_64 */    \
	X(call_ref)        /* reference a */                                                       \
	/* tail calls: a link slot of this frame, b parameter slots */                             \
	X(tail_call)       /* word 2: function */                                                  \
	X(tail_call_import) /* word 2: index of the import */                                      \
	X(tail_call_indirect) /* index e; word 2: type; word 3: table, is_64 */                    \
	X(tail_call_ref)   /* reference e */                                                       \
	/* choice: d <- e != 0 ? a : b */                                                          \
	X(select_S) X(select_A) X(select_v128)                                                     \
	/* globals: imm */                                                                         \
	X(global_get_S) X(global_get_A) X(global_get_F) X(global_get_v128) /* -> d */              \
	X(global_set_S) X(global_set_A) X(global_set_v128)                 /* d */                 \
	/* references */                                                                           \
	X(ref_func)        /* d <- function imm */                                                 \
	X(ref_is_null)     /* d <- a is null */                                                    \
	/* tables and memories: operands d, a, b, e in slots */                                    \
	X(table_get)       /* d <- table imm (word 2)[a] */                                        \
	X(table_set)       /* table word 2 [d] <- a */                                             \
	X(table_size)      /* d <- size of table word 2 */                                         \
	X(table_grow)      /* d <- grow table word 2 by b with a */                                \
	X(table_fill)      /* table word 2: from d, value a, b times */                            \
	X(table_copy)      /* tables words 2, 3: d, a, b */                                        \
	X(table_init)      /* table word 2, segment word 3: d, a, b */                             \
	X(elem_drop)       /* imm */                                                               \
	X(memory_size)     /* d <- pages of memory imm */                                          \
	X(memory_grow)     /* d <- grow memory word 2 by a; e: is_64 */                            \
	X(memory_fill)     /* memory word 2: from d, value a, b bytes */                           \
	X(memory_copy)     /* memories words 2, 3: d, a, b */                                      \
	X(memory_init)     /* memory word 2, segment word 3: d, a, b */                            \
	X(data_drop)       /* imm */                                                               \
	/* frames of C and of other instances */                                                   \
	X(exit)                                                                                    \
	X(resume)

#define DECLARE_HANDLER(name) handler_fn h_##name;
INTERP_HANDLERS(DECLARE_HANDLER)
#undef DECLARE_HANDLER
