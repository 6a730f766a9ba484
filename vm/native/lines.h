/*
 * lines.h - line tables of the compiler's objects.
 *
 * The compiler uses lines for offsets in the wasm binary. Nothing else of the debugging
 * information is of interest.
 *
 * Spec: DWARF 2 to 5, section 6.2 (line number information)
 */
#pragma once

#include "vm/core/engine.h"

struct line_row {
	uint32_t text;
	uint32_t position; /* 0: none from here on */
};

struct line_rows {
	const struct vm_engine *engine;
	struct line_row *items;
	uint32_t count, room;
};

/*
 * Add the rows of a section .debug_line whose addresses are offsets in the text, of which
 * there are text_bytes. Returns VM_E_MALFORMED, VM_E_LIMIT, VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status lines_read(struct line_rows *rows, const uint8_t *bytes, size_t len,
                                        uint32_t text_bytes, struct vm_error *err);
/* By address, ends first. False when there is no memory. */
bool lines_sort(struct line_rows *rows);
void lines_clear(struct line_rows *rows);
