/*
 * values.h - WebAssembly values as words of a command line, and back.
 *
 * Numbers are decimal: i32 and i64 signed or unsigned, f32 and f64 as strtod reads them, v128 as
 * one unsigned number of 128 bits. A reference can only be "null".
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include "vm/vm.h"

enum value_error { VALUE_OK, VALUE_MALFORMED, VALUE_OUT_OF_RANGE };

/* Read the whole word as a value of the type; *out is written on VALUE_OK only. */
enum value_error value_read(const char *word, vm_valtype type, struct vm_value *out);

/*
 * Write a value as results are printed: i32 and i64 signed or as unsigned numbers, floats with as
 * few digits as tell them apart, references as <funcref> or <null funcref>.
 */
void value_write(FILE *out, const struct vm_value *value, bool as_unsigned);
