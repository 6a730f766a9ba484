/*
 * text.h - modules in the text format.
 *
 * Spec: Core 3.0, chapter 6
 */
#pragma once

#include "vm/engine.h"

enum vm_text_option {
	/* Keep the identifiers of functions and locals, in a name section. */
	VM_TEXT_NAMES = 1,
};

/*
 * Turn a module in the text format into the binary format. The text is a module in parentheses or
 * its fields alone; also (module binary "...") and (module quote "..."). The result is well-formed;
 * whether it is valid is what vm_module_load says.
 *
 * *out_bytes is freed with vm_text_free.
 *
 * Returns VM_E_MALFORMED not the grammar's; the message begins with line and column, the error's
 *                        offset is that of the place in the text
 *         VM_E_UTF8      the text is not UTF-8
 *         VM_E_LIMIT     more than the engine's limit module_bytes_max
 *         VM_E_NOMEM
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_text_parse(struct vm_engine *engine, const char *text,
                                                     size_t len, unsigned options,
                                                     uint8_t **out_bytes, size_t *out_len,
                                                     struct vm_error *err);
VM_EXPORT void vm_text_free(struct vm_engine *engine, uint8_t *bytes); /* NULL is fine */

/* Line and column, counted from 1, of an offset in a text; columns are characters. */
VM_EXPORT void vm_text_position(const char *text, size_t len, uint64_t offset, uint64_t *out_line,
                                uint64_t *out_column);

/*
 * Is it text rather than a binary? True for what begins with white space, a comment or a
 * parenthesis.
 */
VM_EXPORT bool vm_text_is_likely(const void *bytes, size_t len);
