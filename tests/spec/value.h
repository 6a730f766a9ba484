/*
 * value.h - values of command files: as arguments, and as what results have to be.
 *
 * Numbers are bit patterns written as decimal strings; nothing passes through a floating-point
 * register.
 */
#pragma once

#include <jansson.h>
#include "vm/vm.h"

/*
 * The argument for a parameter of the given type. False when the value cannot be made, saying why
 * in message.
 */
bool value_from_json(const json_t *json, vm_valtype type, struct vm_value *out, char *message,
                     size_t size);

/* Does the result fit the expected value? */
bool value_matches(const struct vm_value *value, const json_t *expected);

/* For messages: "i32 0x2a", "v128 00 01 ...", "externref null". Returns buf. */
#define VALUE_TEXT_MAX 120
const char *value_text(const struct vm_value *value, char *buf, size_t size);
