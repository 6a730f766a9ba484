/*
 * bytes.h - a growing buffer of bytes, and the binary format's numbers.
 *
 * Running out of memory is remembered: what is put afterwards is dropped, and one look at
 * `failed` in the end is enough.
 *
 * Spec:    Core 3.0, section 5.2 (values)
 * Owns:    its array, until bytes_clear
 * Threads: one at a time
 */
#pragma once

#include "vm/core/engine.h"

struct bytes {
	const struct vm_engine *engine; /* whose memory it is */
	uint8_t *data;
	size_t len;
	size_t room;
	bool failed;
};

void bytes_init(struct bytes *b, const struct vm_engine *engine);
void bytes_clear(struct bytes *b);

void bytes_put(struct bytes *b, const void *data, size_t len);
void bytes_put_u8(struct bytes *b, uint8_t byte);
void bytes_put_u32(struct bytes *b, uint32_t value); /* LEB128 */
void bytes_put_u64(struct bytes *b, uint64_t value);
void bytes_put_s64(struct bytes *b, int64_t value); /* also for s32 and s33 */
void bytes_put_fixed32(struct bytes *b, uint32_t value); /* little-endian */
void bytes_put_fixed64(struct bytes *b, uint64_t value);
/* A vector of bytes: its length and itself. */
void bytes_put_vec(struct bytes *b, const void *data, size_t len);
void bytes_put_str(struct bytes *b, struct vm_str str);
/* Put something in between, at an offset below len. */
void bytes_insert(struct bytes *b, size_t offset, const void *data, size_t len);
