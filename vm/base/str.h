/*
 * str.h - order of byte strings.
 */
#pragma once

#include <stdbool.h>
#include <string.h>
#include "vm/common.h"

/* Negative, 0 or positive: by bytes first, then by length. */
static inline int
str_compare(struct vm_str a, struct vm_str b)
{
	const size_t common = a.len < b.len ? a.len : b.len;
	const int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The same as a text of C. */
static inline bool
str_is(struct vm_str str, const char *text)
{
	return str.len == strlen(text) && memcmp(str.data, text, str.len) == 0;
}

static inline bool
str_equal(struct vm_str a, struct vm_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
