/*
 * hash.h - a keyed hash of strings, for tables whose keys strangers choose (SipHash-1-3).
 */
#pragma once

#include "vm/common.h"

struct hash_key {
	uint64_t halves[2];
};

/* A key that nobody can guess. */
struct hash_key hash_key_new(void);

/* Of two strings, which may be told apart from any other two. */
uint64_t hash_strings(const struct hash_key *key, struct vm_str first, struct vm_str second);
