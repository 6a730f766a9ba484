#include "vm/rt/names.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

/* --- SipHash-1-3 ---------------------------------------------------------------------------- */

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t
rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static void
sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

/* A string, ended by a word that holds its last bytes and its length. */
static void
sip_string(struct sip *s, struct vm_str str)
{
	uint64_t word;
	size_t at = 0;

	for (; str.len - at >= 8; at += 8) {
		memcpy(&word, str.data + at, 8);
		sip_word(s, word);
	}
	word = 0;
	if (str.len > at)
		memcpy(&word, str.data + at, str.len - at);
	sip_word(s, word ^ (uint64_t)str.len << 56);
}

static uint64_t
hash_of(const struct name_table *table, struct vm_str module, struct vm_str name)
{
	struct sip s = {
		table->key[0] ^ 0x736f6d6570736575,
		table->key[1] ^ 0x646f72616e646f6d,
		table->key[0] ^ 0x6c7967656e657261,
		table->key[1] ^ 0x7465646279746573,
	};

	sip_string(&s, module);
	sip_string(&s, name);
	s.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* --- the table ------------------------------------------------------------------------------ */

void
names_init(struct name_table *table)
{
	*table = (struct name_table){ .room = 0 };
	if (getrandom(table->key, sizeof(table->key), GRND_NONBLOCK) != sizeof(table->key)) {
		/* Early at boot: a guess is still no use to a guest. */
		table->key[0] = (uintptr_t)table ^ (uint64_t)time(NULL) << 32;
		table->key[1] = (uint64_t)clock() * 0x9e3779b97f4a7c15;
	}
}

void
names_clear(struct name_table *table, const struct vm_engine *engine)
{
	engine_free(engine, table->entries);
	table->entries = NULL;
	table->room = table->count = 0;
}

static bool
str_equal(struct vm_str a, struct vm_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Where the names are, or would be. The table has room. */
static struct name_entry **
place_of(const struct name_table *table, uint64_t hash, struct vm_str module, struct vm_str name)
{
	size_t at = hash & (table->room - 1);

	for (;; at = (at + 1) & (table->room - 1)) {
		struct name_entry *entry = table->entries[at];

		if (entry == NULL || (entry->hash == hash && str_equal(entry->name, name) &&
		                      str_equal(entry->module, module)))
			return &table->entries[at];
	}
}

struct name_entry *
names_find(const struct name_table *table, struct vm_str module, struct vm_str name)
{
	if (table->room == 0)
		return NULL;
	return *place_of(table, hash_of(table, module, name), module, name);
}

static bool
enlarge(struct name_table *table, const struct vm_engine *engine)
{
	struct name_table more = *table;

	more.room = table->room > 0 ? table->room * 2 : 64;
	more.entries = engine_alloc_zeroed(engine, more.room, sizeof(*more.entries));
	if (more.entries == NULL)
		return false;
	for (size_t i = 0; i < table->room; i++) {
		struct name_entry *entry = table->entries[i];
		if (entry != NULL)
			*place_of(&more, entry->hash, entry->module, entry->name) = entry;
	}
	engine_free(engine, table->entries);
	*table = more;
	return true;
}

bool
names_put(struct name_table *table, const struct vm_engine *engine, struct name_entry *entry,
          struct name_entry **out_old)
{
	/* At most three quarters full: searches are short, and always end. */
	if (table->count >= table->room / 4 * 3 && !enlarge(table, engine))
		return false;
	entry->hash = hash_of(table, entry->module, entry->name);
	struct name_entry **place = place_of(table, entry->hash, entry->module, entry->name);
	*out_old = *place;
	table->count += *place == NULL;
	*place = entry;
	return true;
}
