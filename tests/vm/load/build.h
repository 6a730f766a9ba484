/*
 * build.h - small modules from bytes, section by section.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct build {
	uint8_t bytes[2048];
	size_t len;
};

static inline struct build
build_new(void)
{
	return (struct build){ .bytes = { 0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00 }, .len = 8 };
}

/* Sections here are shorter than 128 bytes, so that their sizes are one byte. */
static inline void
build_section(struct build *b, uint8_t id, const uint8_t *contents, size_t len)
{
	assert(len < 128 && b->len + len + 2 <= sizeof b->bytes);
	b->bytes[b->len++] = id;
	b->bytes[b->len++] = (uint8_t)len;
	memcpy(b->bytes + b->len, contents, len);
	b->len += len;
}

#define SECTION(b, id, ...)                                                                        \
	build_section((b), (id), (const uint8_t[]){ __VA_ARGS__ },                                 \
	              sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* A module of one function of type () -> () with these locals and instructions. */
#define BODY(b, ...)                                                                               \
	do {                                                                                       \
		const uint8_t body[] = { __VA_ARGS__ };                                            \
		uint8_t code[120] = { 1, (uint8_t)sizeof body };                                   \
		assert(sizeof body < 110);                                                         \
		memcpy(code + 2, body, sizeof body);                                               \
		build_section((b), 10, code, sizeof body + 2);                                     \
	} while (0)
