/*
 * utf8.h - is this UTF-8, and how far?
 *
 * Spec: RFC 3629 (no overlong forms, no surrogates, nothing above U+10FFFF)
 */
#pragma once

#include "rpc/common.h"

/* Bytes of the longest prefix of text that is whole, valid UTF-8: len when all of it is. */
size_t rpc_utf8_prefix(const char *text, size_t len);

static inline bool
rpc_utf8_valid(const char *text, size_t len)
{
	return rpc_utf8_prefix(text, len) == len;
}
