#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>
#include "vm/core/opcode.h"

START_TEST(every_row_is_found_by_its_encoding)
{
	for (unsigned i = 0; i < VM_OP_COUNT; i++) {
		const struct opcode_info *row = &opcode_table[i];
		enum vm_op op;

		ck_assert_msg(opcode_find(row->prefix, row->code, &op) && op == (enum vm_op)i,
		              "%s is not found", row->text);
	}
}
END_TEST

START_TEST(what_is_no_opcode_is_not_found)
{
	static const struct {
		uint8_t prefix;
		uint32_t code;
	} none[] = {
		{ 0x00, 0x06 }, { 0x00, 0xfc }, { 0x00, 0x100 }, { 0xfb, 0x1f }, { 0xfb, 0x20 },
		{ 0xfc, 0x12 }, { 0xfc, UINT32_MAX }, { 0xfd, 0x9a }, { 0xfd, 0x114 },
		{ 0xfd, 0x120 }, { 0xfe, 0x00 }, { 0xff, 0x00 },
	};
	enum vm_op op;

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		ck_assert_msg(!opcode_find(none[i].prefix, none[i].code, &op),
		              "0x%02x 0x%x is an opcode", none[i].prefix, none[i].code);
}
END_TEST

static char
letter(uint8_t code)
{
	switch (code) {
	case VM_I32:
		return 'i';
	case VM_I64:
		return 'l';
	case VM_F32:
		return 'f';
	case VM_F64:
		return 'd';
	case VM_V128:
		return 'v';
	default:
		return 'a';
	}
}

START_TEST(signatures_say_what_the_rows_say)
{
	for (unsigned i = 0; i < VM_OP_COUNT; i++) {
		const struct opcode_sig *sig = &opcode_sig_table[i];
		char text[8] = "";
		size_t len = 0;

		ck_assert_uint_eq(sig->imm, opcode_table[i].imm);
		ck_assert_uint_eq(sig->feature, opcode_table[i].feature);
		if (sig->is_poly) {
			ck_assert_str_eq(opcode_table[i].sig, "poly");
			continue;
		}
		for (unsigned j = 0; j < sig->operand_count; j++)
			text[len++] = letter(sig->operands[j]);
		text[len++] = '_';
		if (sig->result != 0)
			text[len++] = letter(sig->result);
		ck_assert_str_eq(opcode_table[i].sig, text);
	}
}
END_TEST

/* A plain instruction takes its address type from its immediate, and lanes from its name. */
START_TEST(rows_fit_their_immediates)
{
	for (unsigned i = 0; i < VM_OP_COUNT; i++) {
		const struct opcode_info *row = &opcode_table[i];

		if (strcmp(row->sig, "poly") != 0 && strchr(row->sig, 'a') != NULL)
			ck_assert_msg(row->imm == IMM_MEMARG || row->imm == IMM_MEMARG_LANE ||
			                  row->imm == IMM_MEMORY || row->imm == IMM_DATA_MEMORY,
			              "%s has an address but no memory", row->text);
		if (row->imm != IMM_LANE && row->imm != IMM_MEMARG_LANE)
			continue;
		const unsigned lane_bits = 8u << row->width;
		char bits[4];

		snprintf(bits, sizeof bits, "%u", lane_bits);
		ck_assert_msg(strstr(row->text, bits) != NULL, "%s has lanes of %s bits", row->text,
		              bits);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("opcode");
	TCase *tc = tcase_create("table");

	tcase_add_test(tc, every_row_is_found_by_its_encoding);
	tcase_add_test(tc, what_is_no_opcode_is_not_found);
	tcase_add_test(tc, signatures_say_what_the_rows_say);
	tcase_add_test(tc, rows_fit_their_immediates);
	suite_add_tcase(suite, tc);
	return suite;
}
