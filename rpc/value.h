/*
 * value.h - WebAssembly values in JSON.
 *
 *     type       accepted                                             answered
 *     i32        integer -2^31 .. 2^32-1, string decimal or 0x        integer, signed
 *     i64        string decimal (-2^63 .. 2^64-1) or 0x; bare         string, signed
 *                integer within +-(2^53-1)
 *     f32 f64    number; string decimal, hexadecimal ("0x1.8p3"),     number when finite, else
 *                "inf" "-inf" "nan" "-nan" "nan:0x200000"             such a string
 *     v128       {"lanes":"i32x4","value":[..]} or                    both lanes and bytes
 *                {"bytes":"<32 hex, byte 0 first>"}
 *     references null                                                 null, or "ref:opaque"
 *
 * A value is given in short form (as above, typed by the function's signature) or in long form,
 * which states the type: {"type":"i64","value":"1"}, {"type":"v128","lanes":..,"value":..},
 * {"type":"funcref","value":null}. Answers are in long form; with `exact` each number also has
 * "bits":"0x...", 8 or 16 digits.
 *
 * A JSON number has been rounded to a double before it gets here, so a number meant for an f32
 * can be rounded twice, and -0 loses its sign. The string form is exact: "16777217.0000001".
 */
#pragma once

#include "rpc/json.h"

enum rpc_type {
	RPC_I32,
	RPC_I64,
	RPC_F32,
	RPC_F64,
	RPC_V128,
	RPC_FUNCREF,
	RPC_EXTERNREF,
	RPC_OTHERREF, /* any other reference type; its text is "ref" */
};

enum rpc_lanes { RPC_I8X16, RPC_I16X8, RPC_I32X4, RPC_I64X2, RPC_F32X4, RPC_F64X2 };

struct rpc_value {
	enum rpc_type type;
	union {
		uint64_t
		    bits; /* i32 and f32: the upper half is 0. References: 0 is null, else not */
		uint8_t bytes[16]; /* v128, byte 0 first, as in memory */
	} of;
};

/* "i32", ..., "funcref", "ref" */
const char *rpc_type_text(enum rpc_type type);
/* "i8x16", ... */
const char *rpc_lanes_text(enum rpc_lanes lanes);
/* The texts of all lane shapes in enum order, then NULL: for rpc_object_choice(). */
extern const char *const rpc_lanes_texts[];

/*
 * Read one value of a known type, in short or long form. at says where it is in the body.
 *
 * Returns RPC_ARGUMENT_TYPE   not a value of the type, or the long form states another type
 *         RPC_ARGUMENT_RANGE  a number the type cannot hold
 *         RPC_BAD_REQUEST     a bare integer beyond +-(2^53-1) for an i64; a malformed long form
 */
RPC_MUST_CHECK enum rpc_code rpc_value_parse(json_t *json, enum rpc_type type,
                                             const struct rpc_at *at, struct rpc_value *out,
                                             struct rpc_problem *problem);

/*
 * Read the arguments of a call: args is an array, or NULL, which is the same as an empty one.
 * values has room for count. function is for messages.
 *
 * Returns RPC_ARGUMENT_COUNT  saying how many it takes; otherwise as rpc_value_parse()
 */
RPC_MUST_CHECK enum rpc_code rpc_values_parse(json_t *args, const struct rpc_at *at,
                                              struct rpc_str function, const enum rpc_type *types,
                                              size_t count, struct rpc_value *values,
                                              struct rpc_problem *problem);

/* Write a value in long form. lanes is how a v128 is shown besides its bytes. */
void rpc_value_write(struct rpc_writer *w, const struct rpc_value *value, bool exact,
                     enum rpc_lanes lanes);

/*
 * The same value as plain text for people, as the text format writes it: "42", "0.1",
 * "nan:0x200000", "i32x4 1 2 3 4", "null". Cut to size, NUL-terminated.
 */
#define RPC_VALUE_TEXT_MAX 256
void rpc_value_text(const struct rpc_value *value, enum rpc_lanes lanes, char *buf, size_t size);
