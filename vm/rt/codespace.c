#include "vm/rt/codespace.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096 };

/* Code for years of uploads; less where the address space is limited. */
#define RESERVATION_BYTES_MAX (UINT64_C(64) << 30)
#define RESERVATION_BYTES_MIN (UINT64_C(64) << 20)

/* Free ranges, by address; neighbours are joined, so there is always one between two used ones. */
struct range {
	struct range *next;
	uintptr_t start;
	size_t size_bytes;
};

atomic_uintptr_t codespace_start, codespace_end;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *free_ranges;

static struct range *
range_new(uintptr_t start, size_t size_bytes, struct range *next)
{
	struct range *range = malloc(sizeof(*range));

	if (range != NULL)
		*range = (struct range){ .next = next, .start = start, .size_bytes = size_bytes };
	return range;
}

static void *
map_nothing(void *at, size_t size_bytes, int flags)
{
	return mmap(at, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags,
	            -1, 0);
}

/* Make the reservation, as large as the system allows. */
static bool
reserve(void)
{
	for (uint64_t size = RESERVATION_BYTES_MAX; size >= RESERVATION_BYTES_MIN; size /= 4) {
		void *map = map_nothing(NULL, size, 0);

		if (map == MAP_FAILED)
			continue;
		free_ranges = range_new((uintptr_t)map, size, NULL);
		if (free_ranges == NULL) {
			(void)munmap(map, size);
			return false;
		}
		/* Handlers see nothing in between: no code runs there yet. */
		atomic_store(&codespace_start, (uintptr_t)map);
		atomic_store(&codespace_end, (uintptr_t)map + size);
		return true;
	}
	return false;
}

/* First fit, cut from the start. */
static uint8_t *
take_locked(size_t size_bytes)
{
	for (struct range **at = &free_ranges; *at != NULL; at = &(*at)->next) {
		struct range *range = *at;

		if (range->size_bytes < size_bytes)
			continue;
		uintptr_t start = range->start;
		range->start += size_bytes;
		range->size_bytes -= size_bytes;
		if (range->size_bytes == 0) {
			*at = range->next;
			free(range);
		}
		return (uint8_t *)start;
	}
	errno = ENOMEM;
	return NULL;
}

static size_t
whole_pages(size_t size_bytes)
{
	return (size_bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

uint8_t *
codespace_take(size_t size_bytes)
{
	uint8_t *start = NULL;

	if (size_bytes == 0 || size_bytes > RESERVATION_BYTES_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	(void)pthread_mutex_lock(&lock);
	if (codespace_is_used() || reserve())
		start = take_locked(whole_pages(size_bytes));
	(void)pthread_mutex_unlock(&lock);
	return start;
}

/* Without memory for the list the range is lost, which only costs addresses. */
static void
give_locked(uintptr_t start, size_t size_bytes)
{
	struct range **at = &free_ranges;
	struct range *before = NULL;

	while (*at != NULL && (*at)->start < start) {
		before = *at;
		at = &before->next;
	}
	struct range *after = *at;
	if (before != NULL && before->start + before->size_bytes == start) {
		before->size_bytes += size_bytes;
		if (after != NULL && start + size_bytes == after->start) {
			before->size_bytes += after->size_bytes;
			before->next = after->next;
			free(after);
		}
	} else if (after != NULL && start + size_bytes == after->start) {
		after->start = start;
		after->size_bytes += size_bytes;
	} else {
		struct range *range = range_new(start, size_bytes, after);

		if (range != NULL)
			*at = range;
	}
}

void
codespace_give(uint8_t *start, size_t size_bytes)
{
	size_t size = whole_pages(size_bytes);

	(void)pthread_mutex_lock(&lock);
	/* If the system refuses, the old mapping stays, and so must the range. */
	if (map_nothing(start, size, MAP_FIXED) != MAP_FAILED)
		give_locked((uintptr_t)start, size);
	(void)pthread_mutex_unlock(&lock);
}
