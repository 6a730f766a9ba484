#include "vm/core/opcode.h"

#include <pthread.h>

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

static struct opcode_sig sigs[VM_OP_COUNT];

static uint8_t
sig_type(char letter)
{
	switch (letter) {
	case 'i':
		return VM_I32;
	case 'l':
		return VM_I64;
	case 'f':
		return VM_F32;
	case 'd':
		return VM_F64;
	case 'v':
		return VM_V128;
	default:
		return SIG_ADDRESS;
	}
}

static void
decode_sigs(void)
{
	for (unsigned op = 0; op < VM_OP_COUNT; op++) {
		const char *at = opcode_table[op].sig;
		struct opcode_sig *sig = &sigs[op];

		sig->imm = opcode_table[op].imm;
		sig->feature = opcode_table[op].feature;
		sig->is_poly = at[0] == 'p';
		if (sig->is_poly)
			continue;
		for (; *at != '_'; at++)
			sig->operands[sig->operand_count++] = sig_type(*at);
		if (at[1] != '\0')
			sig->result = sig_type(at[1]);
	}
}

const struct opcode_sig *
opcode_sigs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, decode_sigs);
	return sigs;
}
