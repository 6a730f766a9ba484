/*
 * proto.h - bounded reader of protocol buffers' wire format, for a look into a model before a
 * library gets it.
 *
 * Stricter than libraries: groups, which models do not have, are malformed.
 *
 * Borrows: the bytes
 */
#pragma once

#include <stdbool.h>
#include "vm/common.h"

struct nn_field {
	uint32_t number;
	bool is_bytes;      /* else value is what there is */
	uint64_t value;
	struct vm_str bytes;
};

/* Take the next field off *message. False at its end, and when what follows is no field: then
 * message->len is not 0. */
bool nn_proto_next(struct vm_str *message, struct nn_field *out);
