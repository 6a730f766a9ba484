/*
 * number.h - numbers as text, exactly.
 *
 * A guest's number never passes through a library that rounds it: floats travel here as bit
 * patterns, are printed with the fewest digits that read back to the same bits, and are read
 * with one correct rounding (text to f32 never by way of f64). The locale plays no part.
 *
 * Texts of floats that are not finite are those of the WebAssembly text format: inf, -inf, nan
 * (canonical), -nan, nan:0x200000 (any other payload), so that no bit of a NaN is lost.
 *
 * Spec: WebAssembly Core 3.0, section 6.3 (values in the text format)
 */
#pragma once

#include "rpc/common.h"

/* Room for any printed number, NUL included. */
#define RPC_NUMBER_TEXT_MAX 40

/* Longest text that is read as a number. Any float has an exact decimal form well below it. */
#define RPC_NUMBER_READ_MAX 1200

/*
 * Print a float. Finite numbers come out as JSON numbers: plain digits for whole numbers below
 * 2^53, so that no reader takes them for an integer too large, else a fraction or an exponent;
 * negative zero is -0.0, because many readers lose the sign of -0. Others come out as the
 * texts above, which JSON has to quote. Returns the length; buf is NUL-terminated.
 */
size_t rpc_f32_print(uint32_t bits, char buf[static RPC_NUMBER_TEXT_MAX]);
size_t rpc_f64_print(uint64_t bits, char buf[static RPC_NUMBER_TEXT_MAX]);

/* True when rpc_f32_print and rpc_f64_print give a JSON number. */
bool rpc_f32_is_finite(uint32_t bits);
bool rpc_f64_is_finite(uint64_t bits);

size_t rpc_i64_print(int64_t value, char buf[static RPC_NUMBER_TEXT_MAX]);
size_t rpc_u64_print(uint64_t value, char buf[static RPC_NUMBER_TEXT_MAX]);

enum rpc_number_status {
	RPC_NUMBER_OK,
	RPC_NUMBER_SYNTAX, /* not a number of that kind */
	RPC_NUMBER_RANGE,  /* a number, but the type cannot hold it */
};

/*
 * Read the whole text as an integer of `width` bits (8, 16, 32 or 64): decimal or 0x
 * hexadecimal, optional sign, from -2^(width-1) to 2^width - 1. *out gets the bits, zero-extended.
 */
RPC_MUST_CHECK enum rpc_number_status rpc_int_read(const char *text, size_t len, unsigned width,
                                                   uint64_t *out);

/*
 * Read the whole text as a float: decimal or 0x hexadecimal with optional fraction and exponent
 * (e for decimal, p for hexadecimal), rounded once to nearest, ties to even; or inf, nan,
 * nan:0x<payload>; optional sign. A finite text that rounds to infinity is RPC_NUMBER_RANGE, and
 * so is a payload of zero or of too many bits.
 */
RPC_MUST_CHECK enum rpc_number_status rpc_f32_read(const char *text, size_t len, uint32_t *out);
RPC_MUST_CHECK enum rpc_number_status rpc_f64_read(const char *text, size_t len, uint64_t *out);
