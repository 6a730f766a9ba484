/*
 * ids.h - names for requests and invocations: "inv_" and 26 characters that sort by time.
 *
 * 48 bits of Unix time in milliseconds and 80 random bits in Crockford's base 32 (a ULID), so an
 * id cannot be guessed and lists in order of time.
 *
 * Threads: each keeps random bits of its own
 */
#pragma once

#define IDS_PREFIX_MAX 4
#define IDS_TEXT_SIZE (IDS_PREFIX_MAX + 26 + 1)

/* prefix has at most IDS_PREFIX_MAX characters. Returns out. */
const char *ids_make(const char *prefix, char out[IDS_TEXT_SIZE]);
