/*
 * common.h - what every header of rpc/ shares.
 *
 * rpc/ is the wire: what requests and replies look like, and which of them there are. It knows
 * libc and jansson; no engine, no sockets, no clock. Nothing here keeps state between calls, so
 * every function may be used by any thread on its own objects.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RPC_MUST_CHECK __attribute__((warn_unused_result))
#define RPC_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* "The request did not say", for every optional number. */
#define RPC_UNSET UINT64_MAX

/* Text that need not end in NUL; a view of somebody else's bytes. */
struct rpc_str {
	const char *data;
	size_t len;
};

static inline struct rpc_str
rpc_str_make(const char *text)
{
	return (struct rpc_str){ text, strlen(text) };
}

static inline bool
rpc_str_is(struct rpc_str str, const char *text)
{
	return strlen(text) == str.len && (str.len == 0 || memcmp(str.data, text, str.len) == 0);
}
