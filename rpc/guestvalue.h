/*
 * guestvalue.h - values as the storage library of guests writes them, and as text for people.
 *
 * That library turns a value into bytes (numbers little-endian; text with its length in 64 bits in
 * front; a char as UTF-8), packs three bytes, or at the end two or one, into the decimal digits of
 * a 32-bit word, and stores the number of words and the words:
 *
 *     a b c    1aaabbbccc
 *     a b      2000aaabbb
 *     a        aaa
 *
 * A vector of i32 is its count and its numbers, without packing.
 */
#pragma once

#include "rpc/common.h"

/* FIRST(symbol, text), and then GUEST_TYPE(symbol, text) for each of the others. */
#define RPC_GUEST_TYPES(FIRST, GUEST_TYPE)                                                       \
	FIRST(STRING, "string")                                                                  \
	GUEST_TYPE(BOOL, "bool")                                                                 \
	GUEST_TYPE(CHAR, "char")                                                                 \
	GUEST_TYPE(I8, "i8")                                                                     \
	GUEST_TYPE(I16, "i16")                                                                   \
	GUEST_TYPE(I32, "i32")                                                                   \
	GUEST_TYPE(I64, "i64")                                                                   \
	GUEST_TYPE(U8, "u8")                                                                     \
	GUEST_TYPE(U64, "u64")                                                                   \
	GUEST_TYPE(F32, "f32")                                                                   \
	GUEST_TYPE(F64, "f64")                                                                   \
	GUEST_TYPE(BYTES, "bytes")                                                               \
	GUEST_TYPE(I32_VECTOR, "i32-vector")

enum rpc_guest_type {
#define GUEST_TYPE(symbol, text) RPC_GUEST_##symbol,
	RPC_GUEST_TYPES(GUEST_TYPE, GUEST_TYPE)
#undef GUEST_TYPE
	RPC_GUEST_TYPE_COUNT
};

/* All names, separated by blanks. */
#define RPC_GUEST_WORD(symbol, text) text
#define RPC_GUEST_NEXT_WORD(symbol, text) " " text
#define RPC_GUEST_WORDS RPC_GUEST_TYPES(RPC_GUEST_WORD, RPC_GUEST_NEXT_WORD)

/* "i32-vector" */
const char *rpc_guest_type_text(enum rpc_guest_type type);
/* False when there is none of that name. */
RPC_MUST_CHECK bool rpc_guest_type_find(const char *text, enum rpc_guest_type *out);

#define RPC_GUEST_ERROR_MAX 160

/*
 * A stored value as text: text itself, numbers in decimal, true or false, bytes as they are, a
 * vector as [1,2,3]. *out is malloc()ed, with a NUL behind its *out_len bytes. False with the
 * reason when the value is not one of that type, or when there is no memory.
 */
RPC_MUST_CHECK bool rpc_guest_decode(enum rpc_guest_type type, const void *stored,
                                     size_t stored_len, char **out, size_t *out_len,
                                     char error[RPC_GUEST_ERROR_MAX]);

/* The other way round. Numbers of a vector may be separated by commas, blanks, and be in []. */
RPC_MUST_CHECK bool rpc_guest_encode(enum rpc_guest_type type, const char *text, size_t text_len,
                                     uint8_t **out, size_t *out_len,
                                     char error[RPC_GUEST_ERROR_MAX]);
