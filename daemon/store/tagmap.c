#include "daemon/store/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "daemon/clock.h"

#define BUCKETS_FIRST 256

bool
tagmap_init(struct tagmap *map)
{
	*map = (struct tagmap){ .bucket_count = BUCKETS_FIRST };
	map->buckets = calloc(map->bucket_count, sizeof *map->buckets);
	if (map->buckets == NULL)
		return false;
	if (pthread_rwlock_init(&map->lock, NULL) != 0) {
		free(map->buckets);
		map->buckets = NULL;
		return false;
	}
	/* Clients choose the names; they should not be able to choose the bucket as well. */
	if (getrandom(&map->seed, sizeof map->seed, GRND_NONBLOCK) != sizeof map->seed)
		map->seed = clock_monotonic_us() ^ (uintptr_t)map;
	return true;
}

void
tagmap_clear(struct tagmap *map)
{
	if (map->buckets == NULL)
		return;
	for (size_t i = 0; i < map->bucket_count; i++)
		while (map->buckets[i] != NULL) {
			struct tag_entry *entry = map->buckets[i];

			map->buckets[i] = entry->next;
			free(entry);
		}
	free(map->buckets);
	map->buckets = NULL;
	pthread_rwlock_destroy(&map->lock);
}

#define NAME_SIZE (3 * (STORE_NAME_MAX + 1))

/* "ns/name:tag" of a valid name. */
static void
join(const struct store_tag_name *name, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "%s/%s:%s", name->ns, name->name, name->tag);
}

struct tag_entry *
tag_entry_new(const struct store_tag_name *name)
{
	char text[NAME_SIZE];

	join(name, text);
	size_t size = strlen(text) + 1;
	struct tag_entry *entry = calloc(1, sizeof *entry + size);
	if (entry != NULL)
		memcpy(entry->name, text, size);
	return entry;
}

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	return x;
}

static size_t
bucket_of(const struct tagmap *map, const char *name)
{
	uint64_t hash = map->seed;

	for (; *name != '\0'; name++)
		hash = mix(hash ^ (uint8_t)*name);
	return (size_t)hash & (map->bucket_count - 1);
}

/* Twice as many buckets; without memory the chains just get longer. */
static void
grow(struct tagmap *map)
{
	struct tagmap larger = *map;

	larger.bucket_count *= 2;
	larger.buckets = calloc(larger.bucket_count, sizeof *larger.buckets);
	if (larger.buckets == NULL)
		return;
	for (size_t i = 0; i < map->bucket_count; i++)
		while (map->buckets[i] != NULL) {
			struct tag_entry *entry = map->buckets[i];
			size_t bucket = bucket_of(&larger, entry->name);

			map->buckets[i] = entry->next;
			entry->next = larger.buckets[bucket];
			larger.buckets[bucket] = entry;
		}
	free(map->buckets);
	map->buckets = larger.buckets;
	map->bucket_count = larger.bucket_count;
}

/* The link that leads to the entry of that name, or the end of its chain. */
static struct tag_entry **
find_link(const struct tagmap *map, const char *name)
{
	struct tag_entry **link = &map->buckets[bucket_of(map, name)];

	while (*link != NULL && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

bool
tagmap_put(struct tagmap *map, struct tag_entry *entry)
{
	pthread_rwlock_wrlock(&map->lock);
	if (map->count >= map->bucket_count)
		grow(map);
	struct tag_entry **link = find_link(map, entry->name);
	struct tag_entry *old = *link;
	entry->next = old != NULL ? old->next : NULL;
	*link = entry;
	if (old == NULL)
		map->count++;
	pthread_rwlock_unlock(&map->lock);
	free(old);
	return old == NULL;
}

bool
tagmap_remove(struct tagmap *map, const struct store_tag_name *name)
{
	char text[NAME_SIZE];

	join(name, text);
	pthread_rwlock_wrlock(&map->lock);
	struct tag_entry **link = find_link(map, text);
	struct tag_entry *old = *link;
	if (old != NULL) {
		*link = old->next;
		map->count--;
	}
	pthread_rwlock_unlock(&map->lock);
	free(old);
	return old != NULL;
}

enum store_status
tagmap_find(struct tagmap *map, const struct store_tag_name *name, struct digest *out_digest,
	    int64_t *out_rev)
{
	enum store_status status = STORE_E_NOT_FOUND;
	char text[NAME_SIZE];

	join(name, text);
	pthread_rwlock_rdlock(&map->lock);
	const struct tag_entry *entry = *find_link(map, text);
	if (entry != NULL && entry->damaged) {
		status = STORE_E_DAMAGED;
	} else if (entry != NULL) {
		*out_digest = entry->digest;
		if (out_rev != NULL)
			*out_rev = entry->rev;
		status = STORE_OK;
	}
	pthread_rwlock_unlock(&map->lock);
	return status;
}
