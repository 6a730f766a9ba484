#include "vm/core/opcode.h"

#include <stddef.h>

const struct opcode_info opcode_table[VM_OP_COUNT] = {
#define OP(symbol, op_prefix, op_code, op_text, op_imm, op_sig, op_width, op_feature, op_flags)    \
	[VM_OP_##symbol] = {                                                                       \
		.text = op_text,                                                                   \
		.sig = #op_sig,                                                                    \
		.code = op_code,                                                                   \
		.prefix = op_prefix,                                                               \
		.imm = IMM_##op_imm,                                                               \
		.width = op_width,                                                                 \
		.feature = VM_FEATURE_##op_feature,                                                \
		.flags = op_flags,                                                                 \
	},
#include "vm/def/opcode.def"
#undef OP
};

#define OP(symbol, prefix, code, op_text, imm, op_sig, width, feature, flags)                      \
	_Static_assert(sizeof op_text <= sizeof((struct opcode_info *)NULL)->text &&               \
	                   sizeof #op_sig <= sizeof((struct opcode_info *)NULL)->sig,              \
	               "the strings of " op_text " fit");
#include "vm/def/opcode.def"
#undef OP

/* --- finding a row --------------------------------------------------------------------------- */

/* One array for all encodings: a page of codes for each prefix, the plain ones first. */
enum {
	PAGE_PLAIN = 0,
	PAGE_FB = 0x100,
	PAGE_FC = PAGE_FB + 0x20,
	PAGE_FD = PAGE_FC + 0x20,
	PAGES_END = PAGE_FD + 0x120,
};

#define PAGE_OF(prefix)                                                                            \
	((prefix) == 0x00 ? PAGE_PLAIN : (prefix) == 0xfb ? PAGE_FB :                              \
	 (prefix) == 0xfc ? PAGE_FC : PAGE_FD)

const uint16_t opcode_plain[PAGES_END] = {
#define OP(symbol, prefix, code, text, imm, sig, width, feature, flags)                            \
	[PAGE_OF(prefix) + (code)] = VM_OP_##symbol + 1,
#include "vm/def/opcode.def"
#undef OP
};

bool
opcode_find(uint8_t prefix, uint32_t code, enum vm_op *out)
{
	uint32_t page, end;

	switch (prefix) {
	case 0x00:
		page = PAGE_PLAIN, end = PAGE_FB;
		break;
	case 0xfb:
		page = PAGE_FB, end = PAGE_FC;
		break;
	case 0xfc:
		page = PAGE_FC, end = PAGE_FD;
		break;
	case 0xfd:
		page = PAGE_FD, end = PAGES_END;
		break;
	default:
		return false;
	}
	if (code >= end - page || opcode_plain[page + code] == 0)
		return false;
	*out = (enum vm_op)(opcode_plain[page + code] - 1);
	return true;
}

/* --- signatures ------------------------------------------------------------------------------ */

/* A letter of a signature, which has up to three operands; "poly" reads as if it had none. */
#define LETTER(sig, i) ((sig "\0\0\0")[i])
#define IS_POLY(sig) (LETTER(sig, 0) == 'p')
#define OPERAND_COUNT(sig)                                                                         \
	(LETTER(sig, 0) == '_' || IS_POLY(sig) ? 0 :                                               \
	 LETTER(sig, 1) == '_' ? 1 : LETTER(sig, 2) == '_' ? 2 : 3)
#define TYPE_OF(letter)                                                                            \
	((letter) == 'i' ? VM_I32 : (letter) == 'l' ? VM_I64 : (letter) == 'f' ? VM_F32 :          \
	 (letter) == 'd' ? VM_F64 : (letter) == 'v' ? VM_V128 :                                    \
	 (letter) == 'a' ? SIG_ADDRESS : 0)
#define OPERAND(sig, i) (OPERAND_COUNT(sig) > (i) ? TYPE_OF(LETTER(sig, i)) : 0)
#define RESULT(sig) (IS_POLY(sig) ? 0 : TYPE_OF(LETTER(sig, OPERAND_COUNT(sig) + 1)))

const struct opcode_sig opcode_sig_table[VM_OP_COUNT] = {
#define OP(symbol, prefix, code, text, op_imm, sig, width, op_feature, flags)                      \
	[VM_OP_##symbol] = {                                                                       \
		.is_poly = IS_POLY(#sig),                                                          \
		.operand_count = OPERAND_COUNT(#sig),                                              \
		.operands = { OPERAND(#sig, 0), OPERAND(#sig, 1), OPERAND(#sig, 2) },              \
		.result = RESULT(#sig),                                                            \
		.imm = IMM_##op_imm,                                                               \
		.feature = VM_FEATURE_##op_feature,                                                \
	},
#include "vm/def/opcode.def"
#undef OP
};
