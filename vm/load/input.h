/*
 * input.h - a reader that can say what is wrong.
 *
 * The decoder and the walker each have one: where they are, which features the module may use
 * and has used, and where the error goes. Each function that returns a status has set the error
 * when it is not VM_OK.
 *
 * Threads: an input belongs to one thread
 */
#pragma once

#include "vm/core/engine.h"
#include "vm/load/reader.h"

struct input {
	struct reader r;
	const struct vm_engine *engine;
	vm_features used;   /* of the features so far */
	uint32_t function;  /* being read, or VM_NO_FUNCTION */
	struct vm_error *err;
};

/* Set the error: "function 12 at 0x2f3: ..." and return status. */
VM_COLD enum vm_status input_fail(struct input *in, enum vm_status status, uint64_t offset,
                                  const char *format, ...) VM_PRINTF(4, 5);

/* A read at the cursor has returned status: "... expected <what>: integer too large". */
VM_COLD enum vm_status input_fail_read(struct input *in, enum vm_status status, const char *what);

VM_COLD enum vm_status input_no_memory(struct input *in);

static inline bool
input_has(const struct input *in, enum vm_feature feature)
{
	return (in->engine->features >> feature & 1) != 0;
}

/*
 * The module uses a feature: VM_E_UNSUPPORTED when it is switched off, naming it and what it is
 * needed for.
 */
VM_MUST_CHECK enum vm_status input_use(struct input *in, enum vm_feature feature, uint64_t offset,
                                       const char *what);

/* Numbers and names; `what` is for the message. */
VM_MUST_CHECK static inline enum vm_status
input_u8(struct input *in, const char *what, uint8_t *out)
{
	enum vm_status st = reader_read_u8(&in->r, out);

	if (st != VM_OK)
		(void)input_fail_read(in, st, what);
	return st;
}

VM_MUST_CHECK static inline enum vm_status
input_u32(struct input *in, const char *what, uint32_t *out)
{
	enum vm_status st = reader_read_u32(&in->r, out);

	if (st != VM_OK)
		(void)input_fail_read(in, st, what);
	return st;
}

VM_MUST_CHECK static inline enum vm_status
input_u64(struct input *in, const char *what, uint64_t *out)
{
	enum vm_status st = reader_read_u64(&in->r, out);

	if (st != VM_OK)
		(void)input_fail_read(in, st, what);
	return st;
}

VM_MUST_CHECK enum vm_status input_name(struct input *in, const char *what, struct vm_str *out);

/*
 * The length of a vector of things that take at least one byte each. A count that the rest of the
 * input cannot hold is VM_E_TRUNCATED; one above limit is VM_E_LIMIT.
 */
VM_MUST_CHECK enum vm_status input_count(struct input *in, const char *what, uint64_t limit,
                                         uint32_t *out);
