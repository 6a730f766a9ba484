/*
 * names.h - a table of definitions by two names.
 *
 * Exports of guest modules are put in under names that the guest chose, so the hash is keyed
 * (SipHash-1-3) and nobody can make it slow.
 *
 * Owns:    nothing but its array; entries belong to the linker
 */
#pragma once

#include "vm/base/hash.h"
#include "vm/core/engine.h"

/* Embedded first in what the table holds. */
struct name_entry {
	uint64_t hash;
	struct vm_str module;
	struct vm_str name;
};

struct name_table {
	struct name_entry **entries; /* open addressing; NULL is empty */
	size_t room;                 /* a power of two, or 0 */
	size_t count;
	struct hash_key key;
};

/* Chooses the key. */
void names_init(struct name_table *table);
void names_clear(struct name_table *table, const struct vm_engine *engine);

/* The entry of these names, or NULL. */
struct name_entry *names_find(const struct name_table *table, struct vm_str module,
                              struct vm_str name);
/*
 * Put an entry in, whose names are set and whose hash is filled in here. *out_old is the entry
 * of the same names that it replaces, or NULL. False when there is no memory: nothing has changed.
 */
bool names_put(struct name_table *table, const struct vm_engine *engine, struct name_entry *entry,
               struct name_entry **out_old);
