#include "vm/rt/names.h"

#include "vm/base/str.h"

void
names_init(struct name_table *table)
{
	*table = (struct name_table){ .key = hash_key_new() };
}

void
names_clear(struct name_table *table, const struct vm_engine *engine)
{
	engine_free(engine, table->entries);
	table->entries = NULL;
	table->room = table->count = 0;
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
	return *place_of(table, hash_strings(&table->key, module, name), module, name);
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
	entry->hash = hash_strings(&table->key, entry->module, entry->name);
	struct name_entry **place = place_of(table, entry->hash, entry->module, entry->name);
	*out_old = *place;
	table->count += *place == NULL;
	*place = entry;
	return true;
}
