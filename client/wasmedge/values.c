#include "client/wasmedge/values.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128;

#define UINT128_MAX (~(uint128)0)

/* Decimal digits up to the end of the word, at most max. */
static enum value_error
read_digits(const char *word, uint128 max, uint128 *out)
{
	uint128 value = 0;

	if (*word == '\0')
		return VALUE_MALFORMED;
	for (const char *c = word; *c != '\0'; c++)
		if (!isdigit((unsigned char)*c))
			return VALUE_MALFORMED;
	for (const char *c = word; *c != '\0'; c++) {
		unsigned digit = (unsigned)(*c - '0');

		if (value > (max - digit) / 10)
			return VALUE_OUT_OF_RANGE;
		value = value * 10 + digit;
	}
	*out = value;
	return VALUE_OK;
}

/* From -2^(bits-1) to 2^bits - 1, as two's complement. */
static enum value_error
read_integer(const char *word, unsigned bits, uint64_t *out)
{
	bool negative = *word == '-';
	uint128 max = negative ? (uint128)1 << (bits - 1) : ((uint128)1 << bits) - 1;
	uint128 value;

	enum value_error error = read_digits(word + (*word == '-' || *word == '+'), max, &value);
	if (error == VALUE_OK)
		*out = negative ? -(uint64_t)value : (uint64_t)value;
	return error;
}

/* strtod skips blanks and takes an empty word for 0: neither is a number here. */
static bool
is_number(const char *word, const char *end)
{
	return end != word && *end == '\0' && !isspace((unsigned char)word[0]);
}

static enum value_error
read_f32(const char *word, uint32_t *out_bits)
{
	char *end;

	errno = 0;
	float number = strtof(word, &end);
	if (!is_number(word, end))
		return VALUE_MALFORMED;
	if (errno == ERANGE && isinf(number))
		return VALUE_OUT_OF_RANGE;
	memcpy(out_bits, &number, sizeof number);
	return VALUE_OK;
}

static enum value_error
read_f64(const char *word, uint64_t *out_bits)
{
	char *end;

	errno = 0;
	double number = strtod(word, &end);
	if (!is_number(word, end))
		return VALUE_MALFORMED;
	if (errno == ERANGE && isinf(number))
		return VALUE_OUT_OF_RANGE;
	memcpy(out_bits, &number, sizeof number);
	return VALUE_OK;
}

static enum value_error
read_v128(const char *word, uint8_t bytes[16])
{
	uint128 value;
	enum value_error error = read_digits(word, UINT128_MAX, &value);

	if (error != VALUE_OK)
		return error;
	for (int i = 0; i < 16; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	return VALUE_OK;
}

enum value_error
value_read(const char *word, vm_valtype type, struct vm_value *out)
{
	struct vm_value value = { .type = type };
	enum value_error error = VALUE_MALFORMED;
	uint64_t bits;

	switch (type) {
	case VM_I32:
		error = read_integer(word, 32, &bits);
		if (error == VALUE_OK)
			value.of.i32 = (int32_t)(uint32_t)bits;
		break;
	case VM_I64:
		error = read_integer(word, 64, &bits);
		if (error == VALUE_OK)
			value.of.i64 = (int64_t)bits;
		break;
	case VM_F32:
		error = read_f32(word, &value.of.f32_bits);
		break;
	case VM_F64:
		error = read_f64(word, &value.of.f64_bits);
		break;
	case VM_V128:
		error = read_v128(word, value.of.v128);
		break;
	default:
		if (vm_valtype_is_nullable(type) && strcmp(word, "null") == 0)
			error = VALUE_OK; /* of.ref is NULL */
		break;
	}
	if (error == VALUE_OK)
		*out = value;
	return error;
}

/* --- writing -------------------------------------------------------------------------------- */

static void
write_f32(FILE *out, uint32_t bits)
{
	float number;
	char text[32];

	memcpy(&number, &bits, sizeof number);
	for (int digits = 1; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)number);
		float again = strtof(text, NULL);
		if (memcmp(&again, &number, sizeof number) == 0)
			break;
	}
	fputs(text, out);
}

static void
write_f64(FILE *out, uint64_t bits)
{
	double number;
	char text[32];

	memcpy(&number, &bits, sizeof number);
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, number);
		double again = strtod(text, NULL);
		if (memcmp(&again, &number, sizeof number) == 0)
			break;
	}
	fputs(text, out);
}

static void
write_v128(FILE *out, const uint8_t bytes[16])
{
	char digits[40]; /* 2^128 has 39 digits */
	char *first = digits + sizeof digits - 1;
	uint128 value = 0;

	for (int i = 15; i >= 0; i--)
		value = value << 8 | bytes[i];
	*first = '\0';
	do
		*--first = (char)('0' + (int)(value % 10));
	while ((value /= 10) != 0);
	fputs(first, out);
}

static void
write_ref(FILE *out, const struct vm_value *value)
{
	uint32_t heap = vm_valtype_heap(value->type);
	const char *name = "anyref";

	if (heap == VM_HEAP_FUNC || heap == VM_HEAP_NOFUNC)
		name = "funcref";
	else if (heap == VM_HEAP_EXTERN || heap == VM_HEAP_NOEXTERN)
		name = "externref";
	else if (heap == VM_HEAP_EXN || heap == VM_HEAP_NOEXN)
		name = "exnref";
	fprintf(out, value->of.ref == NULL ? "<null %s>" : "<%s>", name);
}

void
value_write(FILE *out, const struct vm_value *value, bool as_unsigned)
{
	switch (value->type) {
	case VM_I32:
		if (as_unsigned)
			fprintf(out, "%lu", (unsigned long)(uint32_t)value->of.i32);
		else
			fprintf(out, "%ld", (long)value->of.i32);
		break;
	case VM_I64:
		if (as_unsigned)
			fprintf(out, "%llu", (unsigned long long)value->of.i64);
		else
			fprintf(out, "%lld", (long long)value->of.i64);
		break;
	case VM_F32:
		write_f32(out, value->of.f32_bits);
		break;
	case VM_F64:
		write_f64(out, value->of.f64_bits);
		break;
	case VM_V128:
		write_v128(out, value->of.v128);
		break;
	default:
		write_ref(out, value);
		break;
	}
}
