/*
 * number.c - numbers of the text format, exactly.
 *
 * Spec: Core 3.0, sections 6.3.1 (integers) and 6.3.2 (floating-point)
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "vm/text/parser.h"

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static bool
is_hex(const char *text, size_t len)
{
	return len > 2 && text[0] == '0' && text[1] == 'x';
}

/* Digits of a base, single underscores between them. Returns how many characters; 0 for none. */
static size_t
digits_len(const char *text, size_t len, int base)
{
	size_t i = 0;

	while (i < len) {
		if (digit_value(text[i]) < base)
			i++;
		else if (text[i] == '_' && i > 0 && text[i - 1] != '_' && i + 1 < len &&
		         digit_value(text[i + 1]) < base)
			i++;
		else
			break;
	}
	return i;
}

/* --- integers ------------------------------------------------------------------------------- */

bool
number_u64(const char *text, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t base = 10;
	uint64_t value = 0;

	if (is_hex(text, len)) {
		base = 16;
		text += 2;
		len -= 2;
	}
	if (len == 0 || digits_len(text, len, (int)base) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '_')
			continue;
		uint64_t digit = (uint64_t)digit_value(text[i]);
		if (value > (max - digit) / base || digit > max)
			return false;
		value = value * base + digit;
	}
	*out = value;
	return true;
}

bool
number_int(const char *text, size_t len, unsigned bits, uint64_t *out)
{
	const uint64_t mask = UINT64_MAX >> (64 - bits);
	const uint64_t sign_bit = UINT64_C(1) << (bits - 1);
	const bool is_signed = len > 0 && (text[0] == '+' || text[0] == '-');
	const bool is_negative = is_signed && text[0] == '-';
	uint64_t value;

	if (!number_u64(text + is_signed, len - is_signed, is_negative ? sign_bit : mask, &value))
		return false;
	if (is_signed && !is_negative && value > mask)
		return false;
	*out = (is_negative ? 0 - value : value) & mask;
	return true;
}

/* --- floats --------------------------------------------------------------------------------- */

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void
c_locale_make(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The form of a number: digits (. digits?)? (e sign? digits)?, all of it. */
static bool
has_float_form(const char *text, size_t len)
{
	const bool hex = is_hex(text, len);
	const int base = hex ? 16 : 10;
	const char exponent = hex ? 'p' : 'e';
	size_t at = hex ? 2 : 0;

	size_t digits = digits_len(text + at, len - at, base);
	if (digits == 0)
		return false;
	at += digits;
	if (at < len && text[at] == '.') {
		at++;
		at += digits_len(text + at, len - at, base);
	}
	if (at < len && (text[at] | 0x20) == exponent) {
		at++;
		at += at < len && (text[at] == '+' || text[at] == '-');
		digits = digits_len(text + at, len - at, 10);
		if (digits == 0)
			return false;
		at += digits;
	}
	return at == len;
}

/* A NaN's payload behind "nan:"; at least 1 and of payload_bits. */
static bool
nan_payload(const char *text, size_t len, unsigned payload_bits, uint64_t *out)
{
	return is_hex(text, len) &&
	       number_u64(text, len, (UINT64_C(1) << payload_bits) - 1, out) && *out > 0;
}

/* A copy without underscores, for the C library. */
static char *
plain_copy(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	size_t to = 0;

	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '_')
			copy[to++] = text[i];
	}
	copy[to] = '\0';
	return copy;
}

/*
 * The bits without the sign: of a float with so many bits of exponent and payload, of which the C
 * library converts those that are numbers.
 */
static enum number_status
magnitude(const char *text, size_t len, bool is_f32, uint64_t *out)
{
	const unsigned payload_bits = is_f32 ? 23 : 52;
	const uint64_t infinity = is_f32 ? UINT64_C(0x7f800000) : UINT64_C(0x7ff0000000000000);
	uint64_t payload;

	if (len == 3 && memcmp(text, "inf", 3) == 0) {
		*out = infinity;
		return NUMBER_OK;
	}
	if (len == 3 && memcmp(text, "nan", 3) == 0) {
		*out = infinity | UINT64_C(1) << (payload_bits - 1);
		return NUMBER_OK;
	}
	if (len > 4 && memcmp(text, "nan:", 4) == 0) {
		if (!nan_payload(text + 4, len - 4, payload_bits, &payload))
			return is_hex(text + 4, len - 4) ? NUMBER_RANGE : NUMBER_MALFORMED;
		*out = infinity | payload;
		return NUMBER_OK;
	}
	if (!has_float_form(text, len))
		return NUMBER_MALFORMED;
	(void)pthread_once(&c_locale_once, c_locale_make);
	char *copy = plain_copy(text, len);
	if (copy == NULL || c_locale == (locale_t)0) {
		free(copy);
		return NUMBER_NO_MEMORY;
	}
	bool is_finite;
	if (is_f32) {
		const float value = strtof_l(copy, NULL, c_locale);
		uint32_t bits;
		memcpy(&bits, &value, sizeof bits);
		*out = bits;
		is_finite = isfinite(value);
	} else {
		const double value = strtod_l(copy, NULL, c_locale);
		memcpy(out, &value, sizeof *out);
		is_finite = isfinite(value);
	}
	free(copy);
	return is_finite ? NUMBER_OK : NUMBER_RANGE;
}

enum number_status
number_f32(const char *text, size_t len, uint32_t *out)
{
	const bool is_signed = len > 0 && (text[0] == '+' || text[0] == '-');
	uint64_t bits;
	enum number_status st = magnitude(text + is_signed, len - is_signed, true, &bits);

	if (st == NUMBER_OK)
		*out = (uint32_t)bits | (is_signed && text[0] == '-' ? UINT32_C(1) << 31 : 0);
	return st;
}

enum number_status
number_f64(const char *text, size_t len, uint64_t *out)
{
	const bool is_signed = len > 0 && (text[0] == '+' || text[0] == '-');
	uint64_t bits;
	enum number_status st = magnitude(text + is_signed, len - is_signed, false, &bits);

	if (st == NUMBER_OK)
		*out = bits | (is_signed && text[0] == '-' ? UINT64_C(1) << 63 : 0);
	return st;
}

/* --- tokens --------------------------------------------------------------------------------- */

bool
parse_u64(struct parser *p, const char *what, uint64_t *out)
{
	const struct token *token = token_of(p);

	if (token->kind != TOKEN_NUMBER)
		return fail_unexpected(p, what);
	if (!number_u64(token->text, token->len, UINT64_MAX, out))
		return fail(p, "%s: not a number without sign, or too large", what);
	return next_token(p);
}

bool
parse_u32(struct parser *p, const char *what, uint32_t *out)
{
	const struct token *token = token_of(p);
	uint64_t value;

	if (token->kind != TOKEN_NUMBER)
		return fail_unexpected(p, what);
	if (!number_u64(token->text, token->len, UINT32_MAX, &value))
		return fail(p, "%s: not a number without sign, or too large", what);
	*out = (uint32_t)value;
	return next_token(p);
}
