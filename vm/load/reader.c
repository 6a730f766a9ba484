#include "vm/load/reader.h"

#include <stdbool.h>
#include <string.h>
#include "vm/base/utf8.h"

/*
 * A LEB128 of the given width. The last byte that the width allows carries the remaining bits;
 * those above have to be zero, or copies of the sign.
 */
static inline enum vm_status
read_leb(struct reader *r, unsigned width_bits, bool is_signed, uint64_t *out)
{
	const uint8_t *at = r->next;
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		if (at == r->end)
			return VM_E_TRUNCATED;
		byte = *at++;
		const unsigned left = width_bits - shift;
		if (left < 7) {
			/* Bits of this byte that the number has no room for, and the sign below. */
			const uint8_t unused = 0x7f & (0x7f << left);
			const uint8_t sign = is_signed ? (uint8_t)(1u << (left - 1)) : 0;
			const uint8_t high = byte & unused;

			if ((byte & 0x80) != 0)
				return VM_E_LEB_TOO_LONG;
			if (high != ((byte & sign) != 0 ? unused : 0))
				return VM_E_LEB_TOO_LARGE;
		}
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) != 0);

	if (is_signed && shift < 64 && (byte & 0x40) != 0)
		value |= UINT64_MAX << shift;
	r->next = at;
	*out = value;
	return VM_OK;
}

enum vm_status
reader_read_u32_long(struct reader *r, uint32_t *out)
{
	uint64_t value;
	enum vm_status st = read_leb(r, 32, false, &value);

	if (st == VM_OK)
		*out = (uint32_t)value;
	return st;
}

enum vm_status
reader_read_s32_long(struct reader *r, int32_t *out)
{
	uint64_t value;
	enum vm_status st = read_leb(r, 32, true, &value);

	if (st == VM_OK)
		*out = (int32_t)(uint32_t)value;
	return st;
}

enum vm_status
reader_read_u64_long(struct reader *r, uint64_t *out)
{
	return read_leb(r, 64, false, out);
}

enum vm_status
reader_read_s33(struct reader *r, int64_t *out)
{
	uint64_t value;
	enum vm_status st = read_leb(r, 33, true, &value);

	if (st == VM_OK)
		*out = (int64_t)value;
	return st;
}

enum vm_status
reader_read_s64(struct reader *r, int64_t *out)
{
	uint64_t value;
	enum vm_status st = read_leb(r, 64, true, &value);

	if (st == VM_OK)
		*out = (int64_t)value;
	return st;
}

enum vm_status
reader_read_le32(struct reader *r, uint32_t *out)
{
	const uint8_t *at;
	enum vm_status st = reader_read_bytes(r, 4, &at);

	if (st == VM_OK)
		*out = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
		       (uint32_t)at[3] << 24;
	return st;
}

enum vm_status
reader_read_le64(struct reader *r, uint64_t *out)
{
	const uint8_t *at;
	enum vm_status st = reader_read_bytes(r, 8, &at);

	if (st != VM_OK)
		return st;
	uint64_t value = 0;
	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)at[i] << (8 * i);
	*out = value;
	return VM_OK;
}

enum vm_status
reader_read_bytes(struct reader *r, uint64_t len, const uint8_t **out)
{
	if (len > reader_left(r))
		return VM_E_TRUNCATED;
	*out = r->next;
	r->next += len;
	return VM_OK;
}

enum vm_status
reader_read_name(struct reader *r, struct vm_str *out)
{
	struct reader ahead = *r;
	uint32_t len;
	const uint8_t *bytes;
	enum vm_status st = reader_read_u32(&ahead, &len);

	if (st == VM_OK)
		st = reader_read_bytes(&ahead, len, &bytes);
	if (st != VM_OK)
		return st;
	if (!utf8_is_valid(bytes, len))
		return VM_E_UTF8;
	*r = ahead;
	*out = (struct vm_str){ (const char *)bytes, len };
	return VM_OK;
}
