#include "rpc/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What differs between f32 and f64. */
struct format {
	unsigned precision; /* bits of the significand, the implicit one included */
	int exponent_min;   /* of the smallest normal number */
	int exponent_max;   /* of the largest number */
	int digits_unique;  /* no two decimals of so many digits read as the same normal number */
	int digits_enough;  /* so many digits tell any two numbers apart */
	uint64_t sign;
	uint64_t infinity;  /* bits of +inf; also the mask of the exponent */
	uint64_t whole_max; /* whole numbers below are printed in full */
};

static const struct format f32_format = {
	24, -126, 127, 6, 9, UINT64_C(1) << 31, UINT64_C(0x7f800000), UINT64_C(1) << 24,
};
static const struct format f64_format = {
	53, -1022, 1023, 15, 17, UINT64_C(1) << 63, UINT64_C(0x7ff0000000000000), UINT64_C(1) << 53,
};

static double
magnitude_of(const struct format *f, uint64_t bits)
{
	double d;
	float s;

	bits &= ~f->sign;
	if (f == &f64_format) {
		memcpy(&d, &bits, sizeof d);
		return d;
	}
	uint32_t low = (uint32_t)bits;
	memcpy(&s, &low, sizeof s);
	return s;
}

/* --- from decimal to binary ---------------------------------------------------------------- */

/* A large natural number, lowest word first. Room for all that compare_decimal() makes. */
struct big {
	size_t count;
	uint32_t words[300];
};

static void
big_multiply_add(struct big *big, uint32_t factor, uint32_t addend)
{
	uint64_t carry = addend;

	for (size_t i = 0; i < big->count; i++) {
		carry += (uint64_t)big->words[i] * factor;
		big->words[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry != 0)
		big->words[big->count++] = (uint32_t)carry;
}

static int
big_compare(const struct big *a, const struct big *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	for (size_t i = a->count; i-- > 0;)
		if (a->words[i] != b->words[i])
			return a->words[i] < b->words[i] ? -1 : 1;
	return 0;
}

/* The sign of digits * 10^-scale_10 - factor * 2^-scale_2, exactly. */
static int
compare_decimal(const char *digits, size_t count, long scale_10, uint64_t factor, long scale_2)
{
	struct big left = { 0 };
	struct big right = { 2, { (uint32_t)factor, (uint32_t)(factor >> 32) } };

	/* Both times 10^scale_10 * 2^scale_2. */
	for (size_t i = 0; i < count; i++)
		big_multiply_add(&left, 10, (uint32_t)(digits[i] - '0'));
	for (; scale_2 > 0; scale_2--)
		big_multiply_add(&left, 2, 0);
	for (; scale_10 > 0; scale_10--)
		big_multiply_add(&right, 10, 0);
	while (right.count > 0 && right.words[right.count - 1] == 0)
		right.count--;
	return big_compare(&left, &right);
}

/*
 * Step to the neighbour if that is nearer. For numbers below the smallest normal one, where
 * strtod() and strtof() of some C libraries (glibc 2.36 for one) are off by one for every ten
 * thousandth text; bits is what they said.
 */
static uint64_t
correct_subnormal(const struct format *f, const char *digits, size_t count, long exponent,
                  uint64_t bits)
{
	long scale_2 = (long)f->precision - f->exponent_min; /* of half a unit */
	bool is_odd = (bits & 1) != 0;
	int side;

	if (bits > 0) {
		side = compare_decimal(digits, count, -exponent, 2 * bits - 1, scale_2);
		if (side < 0 || (side == 0 && is_odd))
			return bits - 1;
	}
	side = compare_decimal(digits, count, -exponent, 2 * bits + 1, scale_2);
	return side > 0 || (side == 0 && is_odd) ? bits + 1 : bits;
}

/*
 * The usual case without libc: both factors are doubles that are exact, so that there is one
 * rounding. An f32 is then rounded a second time, which is right unless the double lies in the
 * middle between two of them, where the first rounding may have put it. False: not so simple.
 */
static bool
nearest_quick(const struct format *f, const char *digits, size_t count, long exponent,
              uint64_t *out)
{
	static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
		                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
		                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	uint64_t whole = 0;
	uint64_t bits;

	if (FLT_EVAL_METHOD != 0 || count > 15 || exponent < -22 || exponent > 22)
		return false;
	for (size_t i = 0; i < count; i++)
		whole = whole * 10 + (uint64_t)(digits[i] - '0');
	double d = exponent < 0 ? (double)whole / powers[-exponent]
	                        : (double)whole * powers[exponent];
	memcpy(&bits, &d, sizeof bits);
	if (f == &f32_format) {
		const uint64_t below = (UINT64_C(1) << 29) - 1; /* bits that an f32 lacks */
		if ((bits & below) == UINT64_C(1) << 28 || d < FLT_MIN || d > FLT_MAX)
			return false;
		float s = (float)d;
		uint32_t low;
		memcpy(&low, &s, sizeof low);
		bits = low;
	}
	*out = bits;
	return true;
}

/*
 * The bits of the number nearest to digits * 10^exponent, ties to even; infinity when that is
 * beyond the largest. At most RPC_NUMBER_READ_MAX digits. libc gets a text without a point,
 * because what a point looks like depends on the locale.
 */
static uint64_t
nearest(const struct format *f, const char *digits, size_t count, long exponent)
{
	char text[RPC_NUMBER_READ_MAX + 32];
	uint64_t bits = 0;

	while (count > 0 && *digits == '0') {
		digits++;
		count--;
	}
	/* Nothing, or far below half of the smallest number. */
	if (count == 0 || (long)count + exponent < -400)
		return 0;
	if (nearest_quick(f, digits, count, exponent, &bits))
		return bits;
	snprintf(text, sizeof text, "%.*se%ld", (int)count, digits, exponent);
	if (f == &f32_format) {
		float s = strtof(text, NULL);
		uint32_t low;
		memcpy(&low, &s, sizeof low);
		bits = low;
	} else {
		double d = strtod(text, NULL);
		memcpy(&bits, &d, sizeof bits);
	}
	if (bits <= UINT64_C(1) << (f->precision - 1))
		return correct_subnormal(f, digits, count, exponent, bits);
	return bits;
}

/* --- printing ------------------------------------------------------------------------------ */

/* buf has room for 20 digits and NUL. */
static size_t
print_whole(uint64_t value, char *buf)
{
	char digits[20];
	size_t len = 0;

	do {
		digits[len++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	for (size_t i = 0; i < len; i++)
		buf[i] = digits[len - 1 - i];
	buf[len] = '\0';
	return len;
}

/* A decimal number: digits d0 d1 d2 ... mean d0.d1d2... times 10 to the exponent. */
struct decimal {
	char digits[20];
	int count;
	int exponent;
};

/*
 * Round to `count` digits. What the point looks like depends on the locale, so nothing is taken
 * from printf but digits and exponent.
 */
static void
round_decimal(double magnitude, int count, struct decimal *out)
{
	char text[64];
	const char *p = text;

	snprintf(text, sizeof text, "%.*e", count - 1, magnitude);
	out->count = 0;
	for (; *p != 'e' && *p != '\0'; p++)
		if (*p >= '0' && *p <= '9' && out->count < count)
			out->digits[out->count++] = *p;
	out->exponent = *p == 'e' ? atoi(p + 1) : 0;
}

/* Does the decimal read back as these bits, the sign apart? */
static bool
reads_back(const struct format *f, const struct decimal *decimal, uint64_t bits)
{
	return nearest(f, decimal->digits, (size_t)decimal->count,
	               decimal->exponent - (decimal->count - 1)) == (bits & ~f->sign);
}

/* Add one to the last digit. */
static void
step_up(struct decimal *decimal)
{
	int i = decimal->count - 1;

	while (i >= 0 && decimal->digits[i] == '9')
		decimal->digits[i--] = '0';
	if (i >= 0) {
		decimal->digits[i]++;
	} else {
		decimal->digits[0] = '1'; /* 99..9 became 100..0 */
		decimal->exponent++;
	}
}

/*
 * The fewest digits that read back. Up to digits_unique, the shortest decimal is the longest one
 * without its zeros, so normal numbers need no look at fewer. Above a power of two numbers lie
 * twice as far apart as below, so there the nearest decimal may fail while the next one up is
 * still good.
 */
static void
shortest_decimal(const struct format *f, uint64_t bits, struct decimal *out)
{
	double magnitude = magnitude_of(f, bits);
	bool is_normal = (bits & f->infinity) != 0;
	bool is_power = (bits & ~(f->sign | f->infinity)) == 0;

	for (int count = is_normal ? f->digits_unique : 1; count <= f->digits_enough; count++) {
		round_decimal(magnitude, count, out);
		if (reads_back(f, out, bits))
			break;
		if (is_power) {
			step_up(out);
			if (reads_back(f, out, bits))
				break;
		}
	}
	while (out->count > 1 && out->digits[out->count - 1] == '0')
		out->count--;
}

/* Lay the decimal out as a JSON number behind p; returns the end. */
static char *
layout_decimal(const struct decimal *d, char *p)
{
	int point = d->exponent + 1; /* digits before the point */

	if (point > 0 && point < d->count) {
		memcpy(p, d->digits, (size_t)point);
		p += point;
		*p++ = '.';
		memcpy(p, d->digits + point, (size_t)(d->count - point));
		return p + (d->count - point);
	}
	if (point <= 0 && point > -6) {
		*p++ = '0';
		*p++ = '.';
		memset(p, '0', (size_t)-point);
		p += -point;
		memcpy(p, d->digits, (size_t)d->count);
		return p + d->count;
	}
	*p++ = d->digits[0];
	if (d->count > 1) {
		*p++ = '.';
		memcpy(p, d->digits + 1, (size_t)(d->count - 1));
		p += d->count - 1;
	}
	return p + sprintf(p, "e%d", d->exponent);
}

static size_t
print_special(const struct format *f, uint64_t bits, char *buf)
{
	uint64_t payload = bits & ~(f->sign | f->infinity);
	const char *sign = bits & f->sign ? "-" : "";

	if (payload == 0)
		return (size_t)sprintf(buf, "%sinf", sign);
	if (payload == UINT64_C(1) << (f->precision - 2))
		return (size_t)sprintf(buf, "%snan", sign);
	return (size_t)sprintf(buf, "%snan:0x%llx", sign, (unsigned long long)payload);
}

static size_t
print_float(const struct format *f, uint64_t bits, char *buf)
{
	struct decimal decimal;
	char *p = buf;

	if ((bits & f->infinity) == f->infinity)
		return print_special(f, bits, buf);
	if (bits == f->sign) {
		memcpy(buf, "-0.0", 5);
		return 4;
	}
	if (bits & f->sign)
		*p++ = '-';
	double magnitude = magnitude_of(f, bits);
	if (magnitude < (double)f->whole_max && magnitude == (double)(uint64_t)magnitude)
		return (size_t)(p - buf) + print_whole((uint64_t)magnitude, p);
	shortest_decimal(f, bits, &decimal);
	p = layout_decimal(&decimal, p);
	*p = '\0';
	return (size_t)(p - buf);
}

size_t
rpc_f32_print(uint32_t bits, char buf[static RPC_NUMBER_TEXT_MAX])
{
	return print_float(&f32_format, bits, buf);
}

size_t
rpc_f64_print(uint64_t bits, char buf[static RPC_NUMBER_TEXT_MAX])
{
	return print_float(&f64_format, bits, buf);
}

bool
rpc_f32_is_finite(uint32_t bits)
{
	return (bits & f32_format.infinity) != f32_format.infinity;
}

bool
rpc_f64_is_finite(uint64_t bits)
{
	return (bits & f64_format.infinity) != f64_format.infinity;
}

size_t
rpc_u64_print(uint64_t value, char buf[static RPC_NUMBER_TEXT_MAX])
{
	return print_whole(value, buf);
}

size_t
rpc_i64_print(int64_t value, char buf[static RPC_NUMBER_TEXT_MAX])
{
	if (value >= 0)
		return rpc_u64_print((uint64_t)value, buf);
	buf[0] = '-';
	return 1 + print_whole(0 - (uint64_t)value, buf + 1);
}

/* --- reading ------------------------------------------------------------------------------- */

/* What is left of a text. */
struct cursor {
	const char *next;
	const char *end;
};

static bool
take(struct cursor *c, char want)
{
	if (c->next == c->end || *c->next != want)
		return false;
	c->next++;
	return true;
}

static bool
take_word(struct cursor *c, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(c->end - c->next) < len || memcmp(c->next, word, len) != 0)
		return false;
	c->next += len;
	return true;
}

/* An optional sign; true for minus. */
static bool
take_sign(struct cursor *c)
{
	if (take(c, '-'))
		return true;
	take(c, '+');
	return false;
}

static bool
take_hex_prefix(struct cursor *c)
{
	return take_word(c, "0x") || take_word(c, "0X");
}

/* The next digit of the base, or -1. */
static int
take_digit(struct cursor *c, unsigned base)
{
	int value;

	if (c->next == c->end)
		return -1;
	char ch = *c->next;
	if (ch >= '0' && ch <= '9')
		value = ch - '0';
	else if (base == 16 && ch >= 'a' && ch <= 'f')
		value = ch - 'a' + 10;
	else if (base == 16 && ch >= 'A' && ch <= 'F')
		value = ch - 'A' + 10;
	else
		return -1;
	c->next++;
	return value;
}

/* The rest of the text as digits. */
static enum rpc_number_status
take_magnitude(struct cursor *c, unsigned base, uint64_t *out)
{
	bool overflow = false;
	uint64_t value = 0;
	int digit;

	if (c->next == c->end)
		return RPC_NUMBER_SYNTAX;
	while ((digit = take_digit(c, base)) >= 0) {
		overflow |= value > (UINT64_MAX - (unsigned)digit) / base;
		value = value * base + (unsigned)digit;
	}
	if (c->next != c->end)
		return RPC_NUMBER_SYNTAX;
	*out = value;
	return overflow ? RPC_NUMBER_RANGE : RPC_NUMBER_OK;
}

enum rpc_number_status
rpc_int_read(const char *text, size_t len, unsigned width, uint64_t *out)
{
	struct cursor c = { text, text + len };
	bool is_negative = take_sign(&c);
	uint64_t magnitude;

	enum rpc_number_status st = take_magnitude(&c, take_hex_prefix(&c) ? 16 : 10, &magnitude);
	if (st != RPC_NUMBER_OK)
		return st;
	uint64_t mask = UINT64_MAX >> (64 - width);
	uint64_t max = is_negative ? UINT64_C(1) << (width - 1) : mask;
	if (magnitude > max)
		return RPC_NUMBER_RANGE;
	*out = (is_negative ? 0 - magnitude : magnitude) & mask;
	return RPC_NUMBER_OK;
}

/*
 * Round significand * 2^exponent (and a little more, if sticky) to the format, to nearest, ties to
 * even. A carry out of the significand runs into the exponent, as it should.
 */
static enum rpc_number_status
round_binary(const struct format *f, uint64_t significand, long exponent, bool sticky,
             uint64_t *out)
{
	if (significand == 0) {
		*out = 0;
		return RPC_NUMBER_OK;
	}
	int lead = __builtin_clzll(significand);
	significand <<= lead;
	long top = exponent - lead + 63; /* the number is in 2^top .. 2^(top+1) */
	if (top > f->exponent_max)
		return RPC_NUMBER_RANGE;
	long subnormal = top < f->exponent_min ? f->exponent_min - top : 0;
	long drop = 64 - (long)f->precision + subnormal; /* bits behind the last that is kept */
	uint64_t kept = 0;
	if (drop <= 64) {
		bool half = significand >> (drop - 1) & 1;
		bool rest = sticky || (significand & ((UINT64_C(1) << (drop - 1)) - 1)) != 0;
		kept = drop == 64 ? 0 : significand >> drop;
		kept += half && (rest || (kept & 1));
	}
	uint64_t biased = subnormal > 0 ? 0 : (uint64_t)(top - f->exponent_min);
	uint64_t bits = (biased << (f->precision - 1)) + kept;
	if (bits >= f->infinity)
		return RPC_NUMBER_RANGE;
	*out = bits;
	return RPC_NUMBER_OK;
}

#define EXPONENT_MAX 100000 /* beyond any effect, even of a text full of zeros */

/* The rest of the text: nothing, or the letter and an exponent. False when it is neither. */
static bool
take_exponent(struct cursor *c, const char *letters, long *out)
{
	int digit;

	*out = 0;
	if (c->next == c->end)
		return true;
	if (*c->next != letters[0] && *c->next != letters[1])
		return false;
	c->next++;
	bool is_negative = take_sign(c);
	if (c->next == c->end)
		return false;
	while ((digit = take_digit(c, 10)) >= 0)
		if (*out < EXPONENT_MAX)
			*out = *out * 10 + digit;
	if (is_negative)
		*out = -*out;
	return c->next == c->end;
}

static enum rpc_number_status
read_hex_float(const struct format *f, struct cursor *c, uint64_t *out)
{
	uint64_t significand = 0;
	bool sticky = false;
	bool in_fraction = false;
	bool any = false;
	long shift = 0;
	long exponent;
	int digit;

	for (;;) {
		if (!in_fraction && any && take(c, '.')) {
			in_fraction = true;
			continue;
		}
		if ((digit = take_digit(c, 16)) < 0)
			break;
		any = true;
		if (significand >> 60 == 0) {
			significand = significand << 4 | (unsigned)digit;
			shift -= in_fraction ? 4 : 0;
		} else {
			sticky |= digit != 0;
			shift += in_fraction ? 0 : 4;
		}
	}
	if (!any || !take_exponent(c, "pP", &exponent))
		return RPC_NUMBER_SYNTAX;
	return round_binary(f, significand, exponent + shift, sticky, out);
}

static enum rpc_number_status
read_decimal_float(const struct format *f, struct cursor *c, uint64_t *out)
{
	char digits[RPC_NUMBER_READ_MAX];
	size_t count = 0;
	bool in_fraction = false;
	long shift = 0;
	long exponent;
	int digit;

	for (;;) {
		if (!in_fraction && count > 0 && take(c, '.')) {
			in_fraction = true;
			continue;
		}
		if ((digit = take_digit(c, 10)) < 0)
			break;
		digits[count++] = (char)('0' + digit);
		shift -= in_fraction;
	}
	if (count == 0 || !take_exponent(c, "eE", &exponent))
		return RPC_NUMBER_SYNTAX;
	uint64_t bits = nearest(f, digits, count, exponent + shift);
	if (bits >= f->infinity)
		return RPC_NUMBER_RANGE;
	*out = bits;
	return RPC_NUMBER_OK;
}

/* Behind "nan": nothing, or ":0x" and a payload. */
static enum rpc_number_status
read_nan(const struct format *f, struct cursor *c, uint64_t *out)
{
	uint64_t payload = UINT64_C(1) << (f->precision - 2);

	if (c->next != c->end) {
		if (!take(c, ':') || !take_hex_prefix(c))
			return RPC_NUMBER_SYNTAX;
		enum rpc_number_status st = take_magnitude(c, 16, &payload);
		if (st != RPC_NUMBER_OK)
			return st;
		if (payload == 0 || payload >> (f->precision - 1) != 0)
			return RPC_NUMBER_RANGE;
	}
	*out = f->infinity | payload;
	return RPC_NUMBER_OK;
}

static enum rpc_number_status
read_float(const struct format *f, const char *text, size_t len, uint64_t *out)
{
	struct cursor c = { text, text + len };
	enum rpc_number_status st;
	uint64_t bits = 0;

	if (len > RPC_NUMBER_READ_MAX)
		return RPC_NUMBER_SYNTAX;
	bool is_negative = take_sign(&c);
	if (take_word(&c, "nan")) {
		st = read_nan(f, &c, &bits);
	} else if (take_word(&c, "inf")) {
		bits = f->infinity;
		st = c.next == c.end ? RPC_NUMBER_OK : RPC_NUMBER_SYNTAX;
	} else if (take_hex_prefix(&c)) {
		st = read_hex_float(f, &c, &bits);
	} else {
		st = read_decimal_float(f, &c, &bits);
	}
	if (st == RPC_NUMBER_OK)
		*out = bits | (is_negative ? f->sign : 0);
	return st;
}

enum rpc_number_status
rpc_f32_read(const char *text, size_t len, uint32_t *out)
{
	uint64_t bits;
	enum rpc_number_status st = read_float(&f32_format, text, len, &bits);

	if (st == RPC_NUMBER_OK)
		*out = (uint32_t)bits;
	return st;
}

enum rpc_number_status
rpc_f64_read(const char *text, size_t len, uint64_t *out)
{
	return read_float(&f64_format, text, len, out);
}
