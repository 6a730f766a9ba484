/*
 * translate.h - from function bodies to interpreter code.
 */
#pragma once

#include "vm/interp/code.h"

/* What one function became. Both arrays are the translation's, until it is used again. */
struct translated {
	const union word *code;
	uint32_t word_count;
	const struct interp_position *positions;
	uint32_t position_count;
	uint32_t link_slot;
	uint32_t frame_slots;
};

/* The translator of a module: what it works with is kept from one function to the next. */
struct translation;

/* NULL when out of memory. */
struct translation *translation_new(struct interp_module *module);
void translation_free(struct translation *t); /* NULL is fine */

/*
 * Translate one function. Distances in the code are relative, so it can be copied anywhere.
 *
 * Returns VM_E_LIMIT the frame or the code would be too large, VM_E_UNSUPPORTED, VM_E_NOMEM
 */
VM_MUST_CHECK enum vm_status translation_run(struct translation *t, struct interp_func *func,
                                             struct translated *out, struct vm_error *err);
