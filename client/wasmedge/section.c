#include "client/wasmedge/section.h"

#include <stdlib.h>
#include <string.h>

enum { LAYOUT_VERSION = 1, HEADER_BYTES = 8, SIZE_BYTES = 8, LEB32_BYTES_MAX = 5 };

static const uint8_t module_header[HEADER_BYTES] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
static const char section_name[] = NATIVE_SECTION_NAME;

enum { NAME_BYTES = sizeof section_name - 1 };

/* An unsigned LEB128 of 32 bits at *at; moves past it. */
static bool
read_leb(const uint8_t *bytes, size_t len, size_t *at, uint32_t *out)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < LEB32_BYTES_MAX && *at + i < len; i++) {
		const uint8_t byte = bytes[*at + i];

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*at += i + 1;
			*out = (uint32_t)value;
			return value <= UINT32_MAX;
		}
	}
	return false;
}

/* Are these the contents of our section? Leaves *at behind the version. */
static bool
is_ours(const uint8_t *bytes, size_t end, size_t *at)
{
	uint32_t name_bytes;

	if (!read_leb(bytes, end, at, &name_bytes) || name_bytes != NAME_BYTES ||
	    end - *at < (size_t)NAME_BYTES + 1 ||
	    memcmp(bytes + *at, section_name, NAME_BYTES) != 0)
		return false;
	*at += NAME_BYTES;
	return bytes[(*at)++] == LAYOUT_VERSION;
}

void
native_section_find(const uint8_t *bytes, size_t len, struct native_section *out)
{
	size_t at = HEADER_BYTES;

	*out = (struct native_section){ .module_bytes = len };
	if (len < HEADER_BYTES || memcmp(bytes, module_header, HEADER_BYTES) != 0)
		return;
	while (at < len) {
		const size_t start = at++;
		uint32_t size;

		if (!read_leb(bytes, len, &at, &size) || size > len - at)
			return;
		const size_t end = at + size;
		if (end == len && bytes[start] == 0 && is_ours(bytes, end, &at)) {
			*out = (struct native_section){ start, bytes + at, end - at };
			return;
		}
		at = end;
	}
}

static uint64_t
read_u64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < SIZE_BYTES; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

bool
native_section_next(const struct native_section *section, size_t *position,
                    struct native_entry *out)
{
	const size_t left = section->entries_bytes - *position;

	if (section->entries == NULL || left < SIZE_BYTES + VM_MAC_BYTES)
		return false;
	const uint8_t *at = section->entries + *position;
	const uint64_t size = read_u64(at);
	if (size > left - SIZE_BYTES - VM_MAC_BYTES)
		return false;
	*out =
	    (struct native_entry){ at + SIZE_BYTES, at + SIZE_BYTES + VM_MAC_BYTES, (size_t)size };
	*position += SIZE_BYTES + VM_MAC_BYTES + (size_t)size;
	return true;
}

/* --- making one ------------------------------------------------------------------------------ */

static uint8_t *
put_bytes(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

/* Always five bytes, so that the header's size is known. */
static uint8_t *
put_leb(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < LEB32_BYTES_MAX; i++)
		*at++ = (uint8_t)((value >> (7 * i) & 0x7f) | (i + 1 < LEB32_BYTES_MAX ? 0x80 : 0));
	return at;
}

static uint8_t *
put_u64(uint8_t *at, uint64_t value)
{
	for (unsigned i = 0; i < SIZE_BYTES; i++)
		*at++ = (uint8_t)(value >> (8 * i));
	return at;
}

enum vm_status
native_section_make(const struct native_entry *entries, size_t count, uint8_t **out,
                    size_t *out_len, struct vm_error *err)
{
	uint64_t size = 1 + NAME_BYTES + 1;

	for (size_t i = 0; i < count; i++)
		size += SIZE_BYTES + VM_MAC_BYTES + entries[i].artifact_bytes;
	if (size > UINT32_MAX)
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "native code has %llu bytes, a section holds %u at most",
		                    (unsigned long long)size, (unsigned)UINT32_MAX);
	uint8_t *bytes = malloc((size_t)size + 1 + LEB32_BYTES_MAX);
	if (bytes == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	uint8_t *at = bytes;
	*at++ = 0;
	at = put_leb(at, (uint32_t)size);
	*at++ = NAME_BYTES;
	at = put_bytes(at, section_name, NAME_BYTES);
	*at++ = LAYOUT_VERSION;
	for (size_t i = 0; i < count; i++) {
		at = put_u64(at, entries[i].artifact_bytes);
		at = put_bytes(at, entries[i].mac, VM_MAC_BYTES);
		at = put_bytes(at, entries[i].artifact, entries[i].artifact_bytes);
	}
	*out = bytes;
	*out_len = (size_t)(at - bytes);
	return VM_OK;
}
