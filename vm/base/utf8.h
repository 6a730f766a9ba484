/*
 * utf8.h - is this text?
 *
 * Spec: Core 3.0, section 5.2.4 (names); RFC 3629
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True for well-formed UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF. */
bool utf8_is_valid(const uint8_t *bytes, size_t len);

/*
 * The largest length of at most len at which the text can be cut without leaving a part of a
 * character. bytes[len] need not exist.
 */
size_t utf8_cut(const uint8_t *bytes, size_t len);
