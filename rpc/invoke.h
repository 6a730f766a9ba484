/*
 * invoke.h - what a request to call a function says.
 *
 *     {"function":"add","args":["9223372036854775807",1],
 *      "limits":{"time_ms":200,"fuel":1000000,"memory_pages":16},
 *      "exact":true,"lanes":"i32x4","async":false}
 *
 * Only `function` is required. Reading has two steps, because the types of the arguments are
 * known only when the module is: rpc_invoke_parse() on the loop's thread, rpc_invoke_args() once
 * the function is found.
 */
#pragma once

#include "rpc/value.h"

/* What a request bounds; RPC_UNSET where it does not. */
struct rpc_limits {
#define LIMIT(name, min, max, meaning) uint64_t name;
#include "rpc/limits.def"
#undef LIMIT
};

/* All unset. */
void rpc_limits_init(struct rpc_limits *limits);

/* Read a `limits` object (NULL: none given). Returns RPC_BAD_REQUEST. */
RPC_MUST_CHECK enum rpc_code rpc_limits_parse(json_t *json, const struct rpc_at *at,
                                              struct rpc_limits *out, struct rpc_problem *problem);

#define RPC_FUNCTION_NAME_MAX 4096

struct rpc_invoke {
	json_t *body;            /* owns everything below */
	struct rpc_str function; /* ends in NUL */
	json_t *args;            /* array, or NULL */
	struct rpc_limits limits;
	enum rpc_lanes lanes; /* how v128 results are shown; i32x4 when not said */
	bool exact;
	bool async;
};

/*
 * Read a request body. *out is to be cleared after success, and may be after failure.
 *
 * Returns what rpc_json_parse() does, or RPC_BAD_REQUEST
 */
RPC_MUST_CHECK enum rpc_code rpc_invoke_parse(const char *text, size_t len, size_t bytes_max,
                                              struct rpc_invoke *out, struct rpc_problem *problem);
void rpc_invoke_clear(struct rpc_invoke *invoke);

/* The arguments, by the function's parameter types; values has room for count. */
RPC_MUST_CHECK enum rpc_code rpc_invoke_args(const struct rpc_invoke *invoke,
                                             const enum rpc_type *types, size_t count,
                                             struct rpc_value *values, struct rpc_problem *problem);
