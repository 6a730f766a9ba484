#include "rpc/guestvalue.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "rpc/number.h"
#include "rpc/utf8.h"

#define WORD_BYTES 4
#define LENGTH_BYTES 8 /* in front of text */
#define THREE 1000000000u
#define TWO 2000000000u

static const char *const texts[RPC_GUEST_TYPE_COUNT] = {
#define GUEST_TYPE(symbol, text) [RPC_GUEST_##symbol] = text,
	RPC_GUEST_TYPES(GUEST_TYPE, GUEST_TYPE)
#undef GUEST_TYPE
};

const char *
rpc_guest_type_text(enum rpc_guest_type type)
{
	return texts[type];
}

bool
rpc_guest_type_find(const char *text, enum rpc_guest_type *out)
{
	for (unsigned i = 0; i < RPC_GUEST_TYPE_COUNT; i++)
		if (strcmp(texts[i], text) == 0) {
			*out = (enum rpc_guest_type)i;
			return true;
		}
	return false;
}

static bool RPC_PRINTF(2, 3)
fail(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, RPC_GUEST_ERROR_MAX, format, args);
	va_end(args);
	return false;
}

static uint64_t
load(const uint8_t *bytes, size_t size)
{
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++)
		number |= (uint64_t)bytes[i] << 8 * i;
	return number;
}

static void
save(uint64_t number, size_t size, uint8_t *out)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(number >> 8 * i);
}

/* Bytes of a number of that type; 0 for what is no number. */
static size_t
number_size(enum rpc_guest_type type)
{
	switch (type) {
	case RPC_GUEST_I8:
	case RPC_GUEST_U8:
		return 1;
	case RPC_GUEST_I16:
		return 2;
	case RPC_GUEST_I32:
	case RPC_GUEST_F32:
		return 4;
	case RPC_GUEST_I64:
	case RPC_GUEST_U64:
	case RPC_GUEST_F64:
		return 8;
	case RPC_GUEST_STRING:
	case RPC_GUEST_BOOL:
	case RPC_GUEST_CHAR:
	case RPC_GUEST_BYTES:
	case RPC_GUEST_I32_VECTOR:
	case RPC_GUEST_TYPE_COUNT:
		break;
	}
	return 0;
}

/* Exactly one character of UTF-8? */
static bool
is_char(const char *text, size_t len)
{
	size_t starts = 0;

	for (size_t i = 0; i < len; i++)
		starts += ((uint8_t)text[i] & 0xc0) != 0x80;
	return starts == 1 && rpc_utf8_valid(text, len);
}

/* --- decoding ------------------------------------------------------------------------------- */

/* The words of a stored value: behind their count. */
static bool
find_words(const uint8_t *stored, size_t stored_len, size_t *out_count, char *error)
{
	if (stored_len < WORD_BYTES || stored_len % WORD_BYTES != 0)
		return fail(error,
		            "the value has %zu bytes; what the library of guests stores is "
		            "words of 4 bytes, their count first",
		            stored_len);
	*out_count = stored_len / WORD_BYTES - 1;
	const uint64_t count = load(stored, WORD_BYTES);
	return count == *out_count ||
	       fail(error, "the value says that it has %llu words, and has %zu",
	            (unsigned long long)count, *out_count);
}

/* The bytes of one word, 1 to 3; 0: it has none. */
static size_t
unpack_word(uint32_t word, uint8_t out[3])
{
	const uint32_t parts[3] = { word / 1000000 % 1000, word / 1000 % 1000, word % 1000 };
	const size_t first = word >= TWO ? 1 : word >= THREE ? 0 : 2;

	if (word > TWO + 255255 || (word >= TWO && parts[0] != 0) || (word < THREE && word > 255))
		return 0;
	for (size_t i = first; i < 3; i++) {
		if (parts[i] > 255)
			return 0;
		out[i - first] = (uint8_t)parts[i];
	}
	return 3 - first;
}

/* All bytes of a value, malloc()ed with a NUL behind. */
static bool
unpack(const uint8_t *stored, size_t stored_len, char **out, size_t *out_len, char *error)
{
	size_t count = 0;
	size_t len = 0;

	if (!find_words(stored, stored_len, &count, error))
		return false;
	char *bytes = malloc(3 * count + 1);
	if (bytes == NULL)
		return fail(error, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const uint32_t word = (uint32_t)load(stored + WORD_BYTES * (i + 1), WORD_BYTES);
		const size_t got = unpack_word(word, (uint8_t *)bytes + len);
		if (got == 0) {
			free(bytes);
			return fail(error,
			            "word %zu is %u, which is no group of bytes; is it an "
			            "i32-vector?",
			            i, word);
		}
		len += got;
	}
	bytes[len] = '\0';
	*out = bytes;
	*out_len = len;
	return true;
}

static size_t
print_number(enum rpc_guest_type type, uint64_t number, char out[RPC_NUMBER_TEXT_MAX])
{
	const unsigned spare = 64 - 8 * (unsigned)number_size(type);

	if (type == RPC_GUEST_F32)
		return rpc_f32_print((uint32_t)number, out);
	if (type == RPC_GUEST_F64)
		return rpc_f64_print(number, out);
	if (type == RPC_GUEST_U8 || type == RPC_GUEST_U64)
		return rpc_u64_print(number, out);
	return rpc_i64_print((int64_t)(number << spare) >> spare, out);
}

/* Turn bytes into text in their place, which has room for any number. */
static bool
bytes_to_text(enum rpc_guest_type type, char *bytes, size_t *len, char *error)
{
	const size_t size = type == RPC_GUEST_BOOL ? 1 : number_size(type);
	const uint8_t first = *len > 0 ? (uint8_t)bytes[0] : 0;

	if (type == RPC_GUEST_BYTES)
		return true;
	if (type == RPC_GUEST_CHAR)
		return is_char(bytes, *len) || fail(error, "the %zu bytes are no character", *len);
	if (type == RPC_GUEST_STRING) {
		if (*len < LENGTH_BYTES ||
		    load((const uint8_t *)bytes, LENGTH_BYTES) != *len - LENGTH_BYTES)
			return fail(error, "the %zu bytes are no text with its length in front",
			            *len);
		*len -= LENGTH_BYTES;
		memmove(bytes, bytes + LENGTH_BYTES, *len);
		bytes[*len] = '\0';
		return rpc_utf8_valid(bytes, *len) || fail(error, "the text is not UTF-8");
	}
	if (*len != size)
		return fail(error, "%s has %zu bytes, the value has %zu", texts[type], size, *len);
	if (type != RPC_GUEST_BOOL) {
		*len = print_number(type, load((const uint8_t *)bytes, size), bytes);
		return true;
	}
	if (first > 1)
		return fail(error, "a bool is 0 or 1, not %u", first);
	*len = (size_t)sprintf(bytes, "%s", first != 0 ? "true" : "false");
	return true;
}

static bool
decode_vector(const uint8_t *stored, size_t stored_len, char **out, size_t *out_len, char *error)
{
	size_t count = 0;

	if (!find_words(stored, stored_len, &count, error))
		return false;
	char *text = malloc(12 * count + 3);
	if (text == NULL)
		return fail(error, "out of memory");
	char *p = text;
	*p++ = '[';
	for (size_t i = 0; i < count; i++) {
		const int32_t number =
		    (int32_t)(uint32_t)load(stored + WORD_BYTES * (i + 1), WORD_BYTES);
		p += sprintf(p, "%s%d", i > 0 ? "," : "", number);
	}
	*p++ = ']';
	*p = '\0';
	*out = text;
	*out_len = (size_t)(p - text);
	return true;
}

bool
rpc_guest_decode(enum rpc_guest_type type, const void *stored, size_t stored_len, char **out,
                 size_t *out_len, char error[RPC_GUEST_ERROR_MAX])
{
	char *bytes = NULL;
	size_t len = 0;

	if (type == RPC_GUEST_I32_VECTOR)
		return decode_vector(stored, stored_len, out, out_len, error);
	if (!unpack(stored, stored_len, &bytes, &len, error))
		return false;
	char *roomy = realloc(bytes, len + RPC_NUMBER_TEXT_MAX);
	if (roomy == NULL) {
		free(bytes);
		return fail(error, "out of memory");
	}
	if (!bytes_to_text(type, roomy, &len, error)) {
		free(roomy);
		return false;
	}
	*out = roomy;
	*out_len = len;
	return true;
}

/* --- encoding ------------------------------------------------------------------------------- */

/* Bytes as a count and words. */
static bool
pack(const uint8_t *bytes, size_t len, uint8_t **out, size_t *out_len, char *error)
{
	const size_t count = len / 3 + (len % 3 != 0);

	if (count > INT32_MAX)
		return fail(error, "the value is too large");
	uint8_t *words = malloc(WORD_BYTES * (count + 1));
	if (words == NULL)
		return fail(error, "out of memory");
	save(count, WORD_BYTES, words);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *b = bytes + 3 * i;
		const size_t left = len - 3 * i;
		const uint32_t word = left >= 3   ? THREE + b[0] * 1000000u + b[1] * 1000u + b[2]
		                      : left == 2 ? TWO + b[0] * 1000u + b[1]
		                                  : b[0];
		save(word, WORD_BYTES, words + WORD_BYTES * (i + 1));
	}
	*out = words;
	*out_len = WORD_BYTES * (count + 1);
	return true;
}

static bool
read_number(enum rpc_guest_type type, const char *text, size_t len, uint64_t *out, char *error)
{
	const unsigned width = 8 * (unsigned)number_size(type);
	const bool is_unsigned = type == RPC_GUEST_U8 || type == RPC_GUEST_U64;
	enum rpc_number_status status;
	uint32_t bits = 0;

	if (type == RPC_GUEST_F32) {
		status = rpc_f32_read(text, len, &bits);
		*out = bits;
	} else if (type == RPC_GUEST_F64) {
		status = rpc_f64_read(text, len, out);
	} else {
		status = rpc_int_read(text, len, width, out);
		/* Of the signed ones -1 is the same as all ones, but not for people. */
		if (status == RPC_NUMBER_OK && len > 0 && text[0] != '-' && !is_unsigned &&
		    *out >> (width - 1) != 0)
			status = RPC_NUMBER_RANGE;
		if (status == RPC_NUMBER_OK && is_unsigned && text[0] == '-')
			status = RPC_NUMBER_RANGE;
	}
	if (status == RPC_NUMBER_OK)
		return true;
	return fail(error, status == RPC_NUMBER_RANGE ? "%.*s does not fit %s" : "%.*s is no %s",
	            len < 60 ? (int)len : 60, text, texts[type]);
}

static bool
encode_text(const char *text, size_t len, uint8_t **out, size_t *out_len, char *error)
{
	if (!rpc_utf8_valid(text, len))
		return fail(error, "the text is not UTF-8");
	uint8_t *bytes = malloc(LENGTH_BYTES + len);
	if (bytes == NULL)
		return fail(error, "out of memory");
	save(len, LENGTH_BYTES, bytes);
	if (len > 0)
		memcpy(bytes + LENGTH_BYTES, text, len);
	const bool is_packed = pack(bytes, LENGTH_BYTES + len, out, out_len, error);
	free(bytes);
	return is_packed;
}

static bool
encode_vector(const char *text, size_t len, uint8_t **out, size_t *out_len, char *error)
{
	static const char between[] = "[], \t\r\n";
	uint8_t *words = malloc(WORD_BYTES * (len / 2 + 2));
	size_t count = 0;
	uint64_t number = 0;

	if (words == NULL)
		return fail(error, "out of memory");
	for (size_t i = 0; i < len;) {
		size_t end = i;
		while (end < len && (text[end] == '\0' || strchr(between, text[end]) == NULL))
			end++;
		if (end > i) {
			if (!read_number(RPC_GUEST_I32, text + i, end - i, &number, error)) {
				free(words);
				return false;
			}
			save(number, WORD_BYTES, words + WORD_BYTES * ++count);
		}
		i = end + 1;
	}
	if (count > INT32_MAX) {
		free(words);
		return fail(error, "the vector is too long");
	}
	save(count, WORD_BYTES, words);
	*out = words;
	*out_len = WORD_BYTES * (count + 1);
	return true;
}

bool
rpc_guest_encode(enum rpc_guest_type type, const char *text, size_t text_len, uint8_t **out,
                 size_t *out_len, char error[RPC_GUEST_ERROR_MAX])
{
	const struct rpc_str value = { text, text_len };
	uint8_t bytes[8];
	uint64_t number = 0;

	switch (type) {
	case RPC_GUEST_BYTES:
		return pack((const uint8_t *)text, text_len, out, out_len, error);
	case RPC_GUEST_STRING:
		return encode_text(text, text_len, out, out_len, error);
	case RPC_GUEST_I32_VECTOR:
		return encode_vector(text, text_len, out, out_len, error);
	case RPC_GUEST_CHAR:
		return is_char(text, text_len)
		           ? pack((const uint8_t *)text, text_len, out, out_len, error)
		           : fail(error, "expected one character");
	case RPC_GUEST_BOOL:
		bytes[0] = rpc_str_is(value, "true");
		return bytes[0] != 0 || rpc_str_is(value, "false")
		           ? pack(bytes, 1, out, out_len, error)
		           : fail(error, "expected true or false");
	case RPC_GUEST_I8:
	case RPC_GUEST_I16:
	case RPC_GUEST_I32:
	case RPC_GUEST_I64:
	case RPC_GUEST_U8:
	case RPC_GUEST_U64:
	case RPC_GUEST_F32:
	case RPC_GUEST_F64:
	case RPC_GUEST_TYPE_COUNT:
		break;
	}
	if (!read_number(type, text, text_len, &number, error))
		return false;
	save(number, sizeof bytes, bytes);
	return pack(bytes, number_size(type), out, out_len, error);
}
