/*
 * translate.h - from a function body to interpreter code.
 */
#pragma once

#include "vm/interp/code.h"

struct translated {
	union word *code; /* both arrays belong to the caller now: engine_free */
	uint32_t word_count;
	struct interp_position *positions;
	uint32_t position_count;
	uint32_t link_slot;
	uint32_t frame_slots;
};

/*
 * Translate one function. Distances in the code are relative, so it can be copied anywhere.
 *
 * Returns VM_E_LIMIT the frame or the code would be too large, VM_E_UNSUPPORTED, VM_E_NOMEM
 */
VM_MUST_CHECK enum vm_status translate_function(struct interp_func *func, struct translated *out,
                                                struct vm_error *err);
