#include "vm/rt/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vm/rt/image.h"
#include "vm/rt/pool.h"

enum {
	/* Wiping costs the same for every byte, dropping pages only for touched ones: see
	 * tests/vm/rt/measure_instance.c. */
	WIPE_BYTES_MAX = 512 << 10,
	/* Of larger ones at most so many pages are looked at. */
	DROP_PAGES_LOOK = 1024,
	DROP_RUNS_MAX = 16,
	/* Bulk operations look at run->stop this often. */
	BULK_BYTES = 1 << 20,
};

/* 64-bit memories that may need more than a slot get so much, or their minimum. */
#define RESERVATION_BYTES_MAX (UINT64_C(64) << 30)

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- reservations --------------------------------------------------------------------------- */

static bool
commit(uint8_t *base, uint64_t from, uint64_t to)
{
	if (from == to)
		return true;
	if (from < to)
		return mprotect(base + from, to - from, PROT_READ | PROT_WRITE) == 0;
	return mprotect(base + to, from - to, PROT_NONE) == 0;
}

static enum vm_status
refused(uint64_t size_bytes, struct vm_error *err)
{
	return vm_error_set(
	    err, VM_E_NOMEM, VM_NO_OFFSET,
	    "cannot reserve %llu bytes of address space for a memory: %s; check the "
	    "limit on address space (ulimit -v) and vm.max_map_count",
	    (unsigned long long)size_bytes, strerror(errno));
}

/* For a memory that may grow to so many pages. */
static uint64_t
reservation_bytes(const struct vm_memorytype *type, uint64_t pages_max)
{
	uint64_t least = type->min * VM_PAGE_SIZE; /* below 2^64: see pages_max_of */
	uint64_t most = pages_max * VM_PAGE_SIZE;

	if (!type->is_64 || most <= MEMORY_SLOT_BYTES)
		return MEMORY_SLOT_BYTES;
	if (most <= RESERVATION_BYTES_MAX)
		return most;
	return least > RESERVATION_BYTES_MAX ? least : RESERVATION_BYTES_MAX;
}

/* Set base and reserved_bytes, with size_bytes committed. */
static enum vm_status
reserve(struct vm_memory *memory, uint64_t size_bytes, struct vm_error *err)
{
	struct vm_engine *engine = memory->store->engine;
	uint64_t reserved = reservation_bytes(&memory->type, memory->pages_max);
	struct memory_slot slot = { NULL, 0 };

	if (reserved > MEMORY_SLOT_BYTES || !pool_take_slot(engine, size_bytes, &slot)) {
		void *map = mmap(NULL, reserved + MEMORY_GUARD_BYTES, PROT_NONE,
		                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (map == MAP_FAILED)
			return refused(reserved + MEMORY_GUARD_BYTES, err);
		slot.base = map;
	}
	if (!commit(slot.base, slot.committed_bytes, size_bytes)) {
		enum vm_status st = refused(size_bytes, err);
		(void)munmap(slot.base, reserved + MEMORY_GUARD_BYTES);
		return st;
	}
	memory->base = slot.base;
	memory->reserved_bytes = reserved;
	return VM_OK;
}

/* Whether the page at *at is there as those behind it are, up to the new *at. */
static bool
next_run(const unsigned char *resident, size_t count, size_t *at)
{
	bool is_there = resident[*at] & 1;

	while (*at < count && (resident[*at] & 1) == is_there)
		++*at;
	return is_there;
}

/* True when few pages are there, in few runs. */
static bool
is_sparse(const unsigned char *resident, size_t count, size_t page_bytes)
{
	size_t pages = 0, runs = 0;

	for (size_t at = 0; at < count; runs++) {
		size_t from = at;

		if (next_run(resident, count, &at))
			pages += at - from;
	}
	return pages <= WIPE_BYTES_MAX / page_bytes && runs <= DROP_RUNS_MAX;
}

/*
 * Zero a range of whole pages. To drop a page and to get it again costs many times what wiping it
 * does: a few that are there are wiped, and all others dropped, which may have been swapped out.
 */
static bool
drop(uint8_t *base, uint64_t size_bytes)
{
	unsigned char resident[DROP_PAGES_LOOK];
	size_t page_bytes = (size_t)getpagesize();
	size_t count = (size_t)(size_bytes / page_bytes);
	bool ok = true;

	if (size_bytes == 0)
		return true;
	if (count > DROP_PAGES_LOOK || mincore(base, size_bytes, resident) != 0 ||
	    !is_sparse(resident, count, page_bytes))
		return madvise(base, size_bytes, MADV_DONTNEED) == 0;
	for (size_t at = 0; at < count && ok;) {
		uint8_t *from = base + at * page_bytes;
		bool is_there = next_run(resident, count, &at);
		size_t run_bytes = (size_t)(base + at * page_bytes - from);

		if (is_there)
			memset(from, 0, run_bytes);
		else
			ok = madvise(from, run_bytes, MADV_DONTNEED) == 0;
	}
	return ok;
}

/* Zero what the guest may have written. */
static bool
wipe(uint8_t *base, uint64_t size_bytes)
{
	if (size_bytes > WIPE_BYTES_MAX)
		return drop(base, size_bytes);
	memset(base, 0, size_bytes);
	return true;
}

/* The same, but what is mapped from an image becomes that again. */
static bool
rewind_bytes(const struct vm_memory *memory)
{
	uint8_t *image = memory->base + memory->image_start;
	uint64_t end = memory->image_start + memory->image_bytes;

	if (memory->image_bytes == 0)
		return wipe(memory->base, memory->size);
	return madvise(image, memory->image_bytes, MADV_DONTNEED) == 0 &&
	       drop(memory->base, memory->image_start) &&
	       drop(memory->base + end, memory->size - end);
}

/* Anonymous memory in place of the image, all zero; the rest is wiped. */
static bool
image_unmap(const struct vm_memory *memory)
{
	uint64_t end = memory->image_start + memory->image_bytes;

	if (memory->image_bytes == 0)
		return wipe(memory->base, memory->size);
	return mmap(memory->base + memory->image_start, memory->image_bytes, PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED &&
	       wipe(memory->base, memory->image_start) &&
	       wipe(memory->base + end, memory->size - end);
}

bool
memory_is_dropped(const struct vm_memorytype *type)
{
	return type->min > WIPE_BYTES_MAX / VM_PAGE_SIZE;
}

bool
memory_map_image(struct vm_memory *memory, const struct memory_image *image)
{
	uint8_t *at = memory->base + image->start;

	if (mmap(at, image->size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, image->fd,
	         0) != MAP_FAILED) {
		memory->image_start = image->start;
		memory->image_bytes = image->size_bytes;
		return true;
	}
	/* The system may have taken the pages away: nothing else must come to lie there. */
	(void)mmap(at, image->size_bytes, PROT_NONE,
	           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	memory->size = memory->pages = memory->pages_max = 0;
	memory->is_broken = true;
	return false;
}

void
memory_clear(struct vm_engine *engine, struct vm_memory *memory)
{
	const struct memory_slot slot = { memory->base, memory->size };
	bool is_whole = memory->reserved_bytes == MEMORY_SLOT_BYTES && !memory->is_broken;

	if (is_whole && image_unmap(memory) && pool_give_slot(engine, slot))
		return;
	(void)munmap(memory->base, memory->reserved_bytes + MEMORY_GUARD_BYTES);
}

bool
memory_reset(struct vm_memory *memory)
{
	uint64_t size_bytes = memory->type.min * VM_PAGE_SIZE;

	if (memory->is_broken || !rewind_bytes(memory) ||
	    !commit(memory->base, memory->size, size_bytes))
		return false;
	memory->size = size_bytes;
	memory->pages = memory->type.min;
	return true;
}

/* --- memories ------------------------------------------------------------------------------- */

/* What the type and the store allow; its bytes always fit in 63 bits. */
static uint64_t
pages_max_of(const struct vm_store *store, const struct vm_memorytype *type)
{
	uint64_t pages = type->is_64 ? UINT64_C(1) << 46 : 65536;

	if (type->has_max)
		pages = min_u64(pages, type->max);
	return min_u64(pages, store->config.memory_pages_max);
}

void
memory_join(struct vm_memory *memory, struct vm_store *store)
{
	memory->pages_max = pages_max_of(store, &memory->type);
	memory->store = store;
	memory->next = store->memories;
	store->memories = memory;
	store_pages_add(store, memory->pages);
}

enum vm_status
memory_make(struct vm_memory *memory, struct vm_store *store, const struct vm_memorytype *type,
            struct vm_error *err)
{
	uint64_t pages_max = pages_max_of(store, type);

	if (type->min > pages_max)
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "a memory needs %llu pages, the limit is %llu",
		                    (unsigned long long)type->min, (unsigned long long)pages_max);

	uint64_t size_bytes = type->min * VM_PAGE_SIZE;
	if (!vm_store_memory_take(store, size_bytes))
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "a memory needs %llu bytes, %llu of %llu are in use",
		                    (unsigned long long)size_bytes,
		                    (unsigned long long)store->memory_bytes,
		                    (unsigned long long)store->config.memory_bytes_max);
	*memory = (struct vm_memory){ .type = *type, .store = store, .pages_max = pages_max };
	enum vm_status st = reserve(memory, size_bytes, err);
	if (st != VM_OK) {
		vm_store_memory_give(store, size_bytes);
		return st;
	}
	memory->size = size_bytes;
	memory->pages = type->min;
	memory_join(memory, store);
	return VM_OK;
}

bool
memory_fits(const struct vm_memory *memory, const struct vm_store *store)
{
	uint64_t pages_max = pages_max_of(store, &memory->type);

	return memory->type.min <= pages_max &&
	       reservation_bytes(&memory->type, pages_max) == memory->reserved_bytes;
}

int64_t
memory_grow(struct vm_memory *memory, uint64_t delta_pages)
{
	struct vm_store *store = memory->store;
	uint64_t before = memory->pages;

	if (delta_pages > memory->pages_max - before)
		return -1;
	uint64_t size_bytes = (before + delta_pages) * VM_PAGE_SIZE;
	uint64_t delta_bytes = size_bytes - memory->size;
	if (size_bytes > memory->reserved_bytes || !vm_store_memory_take(store, delta_bytes))
		return -1;
	if (!commit(memory->base, memory->size, size_bytes)) {
		vm_store_memory_give(store, delta_bytes);
		return -1;
	}
	memory->size = size_bytes;
	memory->pages = before + delta_pages;
	store_pages_add(store, delta_pages);
	return (int64_t)before;
}

/* --- bulk operations ------------------------------------------------------------------------ */

static bool
is_outside(const struct vm_memory *memory, uint64_t address, uint64_t len)
{
	return address > memory->size || len > memory->size - address;
}

static enum vm_trap
stop_of(const struct vm_run *run)
{
	return (enum vm_trap)atomic_load_explicit(&run->stop, memory_order_relaxed);
}

enum vm_trap
memory_fill(struct vm_run *run, struct vm_memory *memory, uint64_t address, uint8_t value,
            uint64_t len)
{
	if (is_outside(memory, address, len))
		return VM_TRAP_MEMORY_BOUNDS;
	for (uint64_t done = 0; done < len;) {
		uint64_t now = min_u64(len - done, BULK_BYTES);

		memset(memory->base + address + done, value, now);
		done += now;
		if (done < len && stop_of(run) != VM_TRAP_NONE)
			return stop_of(run);
	}
	return VM_TRAP_NONE;
}

/* memmove in parts, from the end when the destination lies above. */
static enum vm_trap
copy_bytes(struct vm_run *run, uint8_t *dst, const uint8_t *src, uint64_t len)
{
	bool is_up = (uintptr_t)dst <= (uintptr_t)src;

	for (uint64_t done = 0; done < len;) {
		uint64_t now = min_u64(len - done, BULK_BYTES);
		uint64_t at = is_up ? done : len - done - now;

		memmove(dst + at, src + at, now);
		done += now;
		if (done < len && stop_of(run) != VM_TRAP_NONE)
			return stop_of(run);
	}
	return VM_TRAP_NONE;
}

enum vm_trap
memory_copy(struct vm_run *run, struct vm_memory *dst, uint64_t dst_address, struct vm_memory *src,
            uint64_t src_address, uint64_t len)
{
	if (is_outside(dst, dst_address, len) || is_outside(src, src_address, len))
		return VM_TRAP_MEMORY_BOUNDS;
	return copy_bytes(run, dst->base + dst_address, src->base + src_address, len);
}

enum vm_trap
memory_write(struct vm_run *run, struct vm_memory *memory, uint64_t address, const uint8_t *bytes,
             uint64_t len)
{
	if (is_outside(memory, address, len))
		return VM_TRAP_MEMORY_BOUNDS;
	if (len == 0)
		return VM_TRAP_NONE;
	return copy_bytes(run, memory->base + address, bytes, len);
}

enum vm_trap
memory_init(struct vm_instance *instance, uint32_t segment, struct vm_memory *memory,
            uint64_t address, uint64_t source, uint64_t len)
{
	uint64_t size = instance->data_sizes[segment];

	if (source > size || len > size - source)
		return VM_TRAP_MEMORY_BOUNDS;
	return memory_write(instance->run, memory, address,
	                    instance->module->datas[segment].bytes + source, len);
}

void
data_drop(struct vm_instance *instance, uint32_t segment)
{
	instance->data_sizes[segment] = 0;
}

/* --- the embedder's side -------------------------------------------------------------------- */

void
vm_memory_type(const struct vm_memory *memory, struct vm_memorytype *out)
{
	*out = memory->type;
	out->min = memory->pages;
}

uint8_t *
vm_memory_data(const struct vm_memory *memory)
{
	memory->store->run.is_touched = true;
	return memory->base;
}

uint64_t
vm_memory_size(const struct vm_memory *memory)
{
	return memory->size;
}

int64_t
vm_memory_grow(struct vm_memory *memory, uint64_t delta_pages)
{
	memory->store->run.is_touched = true;
	return memory_grow(memory, delta_pages);
}

enum vm_status
vm_memory_new(struct vm_store *store, const struct vm_memorytype *type, struct vm_memory **out,
              struct vm_error *err)
{
	uint64_t most = type->is_64 ? UINT64_C(1) << 48 : 65536;

	if (type->is_shared)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                    "shared memories are not supported");
	if (type->min > most || (type->has_max && (type->max > most || type->max < type->min)))
		return vm_error_set(
		    err, VM_E_ARGUMENT, VM_NO_OFFSET,
		    "memory type of %llu to %llu pages: expected at most %llu, in order",
		    (unsigned long long)type->min,
		    (unsigned long long)(type->has_max ? type->max : most),
		    (unsigned long long)most);

	struct vm_memory *memory = store_alloc(store, sizeof(*memory));
	if (memory == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	enum vm_status st = memory_make(memory, store, type, err);
	if (st == VM_OK)
		*out = memory;
	return st;
}
