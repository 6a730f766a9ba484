/*
 * handlers.c - the table of the handlers that are made from rows.
 *
 * It is written for the assembler, because C has no constant for how far apart two functions are.
 * Its layout is struct handler_table.
 */
#include "vm/interp/handlers.h"

#define REF(name) "\t.long " #name " - .\n"
#define NONE "\t.long 0\n"

/* Result to a slot, to the accumulator. */
#define PAIR(symbol, form) REF(h_##symbol##_##form##_S) REF(h_##symbol##_##form##_A)

#define UNARY_FORMS(symbol) PAIR(symbol, S) PAIR(symbol, A)
#define BINARY_FORMS(symbol)                                                                       \
	PAIR(symbol, SS) PAIR(symbol, AS) PAIR(symbol, SA) PAIR(symbol, SI) PAIR(symbol, AI)       \
	PAIR(symbol, IS) PAIR(symbol, IA)

/* If true forward, backward; if false. */
#define SENSES(symbol, form)                                                                       \
	REF(hb_##symbol##_##form##_tf) REF(hb_##symbol##_##form##_tb)                              \
	REF(hb_##symbol##_##form##_ff) REF(hb_##symbol##_##form##_fb)
#define BRANCH_FORMS(symbol)                                                                       \
	SENSES(symbol, SS) SENSES(symbol, AS) SENSES(symbol, SI) SENSES(symbol, AI)

#define LOAD_FORMS(symbol) PAIR(symbol, S) PAIR(symbol, A) PAIR(symbol, SS) PAIR(symbol, AS)

#define STORE_INTEGER_FORMS(symbol)                                                                \
	REF(h_##symbol##_SS) REF(h_##symbol##_SA) REF(h_##symbol##_AS) REF(h_##symbol##_SI)        \
	REF(h_##symbol##_AI) NONE
#define STORE_FLOAT_FORMS(symbol)                                                                  \
	REF(h_##symbol##_SS) REF(h_##symbol##_SA) REF(h_##symbol##_AS) NONE NONE                   \
	REF(h_##symbol##_AV)
#define STORE_FORMS_i(symbol) STORE_INTEGER_FORMS(symbol)
#define STORE_FORMS_l(symbol) STORE_INTEGER_FORMS(symbol)
#define STORE_FORMS_f(symbol) STORE_FLOAT_FORMS(symbol)
#define STORE_FORMS_d(symbol) STORE_FLOAT_FORMS(symbol)

#define BRANCH_VALUE(test)                                                                         \
	REF(h_branch_##test##_S) REF(h_branch_##test##_S_back)                                     \
	REF(h_branch_##test##_A) REF(h_branch_##test##_A_back)

#define ROW_COMPARE(symbol, A) BINARY_FORMS(symbol) BRANCH_FORMS(symbol)
#define ROW_BINARY(symbol, A, R) BINARY_FORMS(symbol)
#define ROW_UNARY(symbol, A, R) UNARY_FORMS(symbol)
#define ROW_LOAD(symbol, R) LOAD_FORMS(symbol) REF(h_##symbol##_any)
#define ROW_STORE(symbol, A) STORE_FORMS_##A(symbol) REF(h_##symbol##_any)
#define ROW_VECTOR(symbol, imm, sig) REF(h_##symbol)
#define ROW_OTHER(symbol)

__asm__("\t.pushsection .rodata\n"
	"\t.balign 4\n"
	"\t.globl handler_table\n"
	"\t.hidden handler_table\n"
	"\t.type handler_table, %object\n"
	"handler_table:\n"
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"
	BRANCH_VALUE(z) BRANCH_VALUE(nz) BRANCH_VALUE(z64) BRANCH_VALUE(nz64)
	REF(h_exit)
	"\t.size handler_table, . - handler_table\n"
	"\t.popsection\n");
