/*
 * common.h - attributes and small types shared by all public headers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined __GNUC__
#define VM_EXPORT __attribute__((visibility("default")))
#define VM_MUST_CHECK __attribute__((warn_unused_result))
#define VM_COLD __attribute__((cold)) /* rarely called: code that does so is kept apart */
#define VM_PRINTF(format_index, first_index) \
	__attribute__((format(printf, format_index, first_index)))
#else
#define VM_EXPORT
#define VM_MUST_CHECK
#define VM_COLD
#define VM_PRINTF(format_index, first_index)
#endif

/*
 * A byte string with its length. WebAssembly names are UTF-8, may hold NUL, and are never
 * normalised: they are compared byte by byte.
 */
struct vm_str {
	const char *data;
	size_t len;
};

/* A vm_str of a string literal. */
#define VM_STR(literal) ((struct vm_str){ "" literal, sizeof(literal) - 1 })
