/*
 * base64.h - base64 with the standard alphabet, strictly.
 *
 * The decoder accepts exactly one text for every byte string: padding is required, nothing else
 * is skipped, and the unused bits of the last character are zero.
 *
 * Spec: RFC 4648, section 4
 */
#pragma once

#include "rpc/common.h"

/* Characters that len bytes encode to, without a NUL. len is at most SIZE_MAX / 2. */
static inline size_t
rpc_base64_encoded_len(size_t len)
{
	return (len / 3 + (len % 3 != 0)) * 4;
}

/* Bytes that decoding len characters can need at most. */
static inline size_t
rpc_base64_decoded_max(size_t len)
{
	return len / 4 * 3;
}

/* Write rpc_base64_encoded_len(len) characters, no NUL, and return their number. */
size_t rpc_base64_encode(const void *bytes, size_t len, char *out);

/*
 * Decode len characters into out, which has room for rpc_base64_decoded_max(len) bytes.
 *
 * Returns true and stores the number of bytes; false and stores in *out_bad the index of the
 * first character that is wrong (len when the text ends too early). *out_len and *out_bad may
 * be the same object; out's contents are unspecified after a failure.
 */
RPC_MUST_CHECK bool rpc_base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len,
                                      size_t *out_bad);
