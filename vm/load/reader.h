/*
 * reader.h - bounded cursor over a WebAssembly binary.
 *
 * Every byte the decoder sees passes through here, so this is the one file that has to be right
 * about the end of the input. Each read, on success, stores the value and moves past it; on
 * failure it leaves both the cursor and the output as they were.
 *
 * Spec:    Core 3.0, section 5.2 (values)
 * Owns:    nothing
 * Borrows: the byte range, which must outlive the reader
 * Threads: a reader belongs to one thread
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "vm/error.h"

struct reader {
	const uint8_t *start; /* of the whole binary: offsets count from here */
	const uint8_t *next;  /* start <= next <= end */
	const uint8_t *end;
};

static inline struct reader
reader_make(const uint8_t *bytes, size_t len)
{
	return (struct reader){ .start = bytes, .next = bytes, .end = bytes + len };
}

static inline uint64_t
reader_offset(const struct reader *r)
{
	return (uint64_t)(r->next - r->start);
}

static inline size_t
reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->next);
}

/* The slow halves of the reads below: numbers of more than one byte. */
VM_MUST_CHECK enum vm_status reader_read_u32_long(struct reader *r, uint32_t *out);
VM_MUST_CHECK enum vm_status reader_read_u64_long(struct reader *r, uint64_t *out);
VM_MUST_CHECK enum vm_status reader_read_s32_long(struct reader *r, int32_t *out);

/* Returns VM_E_TRUNCATED. */
VM_MUST_CHECK static inline enum vm_status
reader_read_u8(struct reader *r, uint8_t *out)
{
	if (r->next == r->end)
		return VM_E_TRUNCATED;
	*out = *r->next++;
	return VM_OK;
}

/*
 * An unsigned LEB128 of at most 32 bits (u32 in the spec).
 *
 * Returns VM_E_TRUNCATED     the input ends inside the number
 *         VM_E_LEB_TOO_LONG  more than five bytes
 *         VM_E_LEB_TOO_LARGE a fifth byte with bits above bit 31
 */
VM_MUST_CHECK static inline enum vm_status
reader_read_u32(struct reader *r, uint32_t *out)
{
	if (r->next < r->end && *r->next < 0x80) {
		*out = *r->next++;
		return VM_OK;
	}
	return reader_read_u32_long(r, out);
}

/* The same for u64: ten bytes, bit 63. */
VM_MUST_CHECK static inline enum vm_status
reader_read_u64(struct reader *r, uint64_t *out)
{
	if (r->next < r->end && *r->next < 0x80) {
		*out = *r->next++;
		return VM_OK;
	}
	return reader_read_u64_long(r, out);
}

/*
 * Signed LEB128s of 32, 33 and 64 bits. VM_E_LEB_TOO_LARGE: the last byte's unused bits do not
 * repeat the sign.
 */
VM_MUST_CHECK static inline enum vm_status
reader_read_s32(struct reader *r, int32_t *out)
{
	if (r->next < r->end && *r->next < 0x80) {
		*out = (int32_t)((uint32_t)*r->next++ << 25) >> 25;
		return VM_OK;
	}
	return reader_read_s32_long(r, out);
}

VM_MUST_CHECK enum vm_status reader_read_s33(struct reader *r, int64_t *out);
VM_MUST_CHECK enum vm_status reader_read_s64(struct reader *r, int64_t *out);

/* Little-endian numbers and plain bytes. Return VM_E_TRUNCATED. */
VM_MUST_CHECK enum vm_status reader_read_le32(struct reader *r, uint32_t *out);
VM_MUST_CHECK enum vm_status reader_read_le64(struct reader *r, uint64_t *out);
VM_MUST_CHECK enum vm_status reader_read_bytes(struct reader *r, uint64_t len,
                                               const uint8_t **out);

/*
 * A name: its length, then so many bytes of UTF-8, which *out borrows. Returns VM_E_UTF8 besides
 * what reading the length can.
 */
VM_MUST_CHECK enum vm_status reader_read_name(struct reader *r, struct vm_str *out);
