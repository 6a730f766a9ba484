#include "vm/text/bytes.h"

#include <string.h>

#define LEB_BYTES_MAX 10

void
bytes_init(struct bytes *b, const struct vm_engine *engine)
{
	*b = (struct bytes){ .engine = engine };
}

void
bytes_clear(struct bytes *b)
{
	engine_free(b->engine, b->data);
	bytes_init(b, b->engine);
}

static bool
reserve(struct bytes *b, size_t more)
{
	size_t room = b->room < 64 ? 64 : b->room;

	if (b->failed)
		return false;
	if (more <= b->room - b->len)
		return true;
	while (room - b->len < more) {
		if (room > SIZE_MAX / 2) {
			b->failed = true;
			return false;
		}
		room *= 2;
	}
	uint8_t *data = engine_realloc_array(b->engine, b->data, room, 1);
	if (data == NULL) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->room = room;
	return true;
}

void
bytes_put(struct bytes *b, const void *data, size_t len)
{
	if (len == 0 || !reserve(b, len))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void
bytes_put_u8(struct bytes *b, uint8_t byte)
{
	if (reserve(b, 1))
		b->data[b->len++] = byte;
}

void
bytes_put_u64(struct bytes *b, uint64_t value)
{
	uint8_t leb[LEB_BYTES_MAX];
	size_t len = 0;

	do {
		leb[len] = value & 0x7f;
		value >>= 7;
		leb[len++] |= value != 0 ? 0x80 : 0;
	} while (value != 0);
	bytes_put(b, leb, len);
}

void
bytes_put_u32(struct bytes *b, uint32_t value)
{
	bytes_put_u64(b, value);
}

void
bytes_put_s64(struct bytes *b, int64_t value)
{
	uint8_t leb[LEB_BYTES_MAX];
	size_t len = 0;
	bool is_done;

	do {
		uint8_t byte = value & 0x7f;
		value >>= 7; /* gcc and clang keep the sign */
		is_done = (value == 0 && (byte & 0x40) == 0) || (value == -1 && (byte & 0x40) != 0);
		leb[len++] = is_done ? byte : byte | 0x80;
	} while (!is_done);
	bytes_put(b, leb, len);
}

void
bytes_put_fixed32(struct bytes *b, uint32_t value)
{
	const uint8_t bytes[] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
		                  (uint8_t)(value >> 24) };

	bytes_put(b, bytes, sizeof bytes);
}

void
bytes_put_fixed64(struct bytes *b, uint64_t value)
{
	bytes_put_fixed32(b, (uint32_t)value);
	bytes_put_fixed32(b, (uint32_t)(value >> 32));
}

void
bytes_put_vec(struct bytes *b, const void *data, size_t len)
{
	bytes_put_u64(b, len);
	bytes_put(b, data, len);
}

void
bytes_put_str(struct bytes *b, struct vm_str str)
{
	bytes_put_vec(b, str.data, str.len);
}

void
bytes_insert(struct bytes *b, size_t offset, const void *data, size_t len)
{
	if (len == 0 || !reserve(b, len))
		return;
	memmove(b->data + offset + len, b->data + offset, b->len - offset);
	memcpy(b->data + offset, data, len);
	b->len += len;
}
