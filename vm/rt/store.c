#include "vm/rt/store.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "vm/rt/codespace.h"
#include "vm/rt/instance.h"
#include "vm/rt/memory.h"
#include "vm/rt/pool.h"
#include "vm/rt/table.h"
#include "vm/rt/thread.h"

enum {
	/* A stack is given back to the system, but for its start, each time it was used so often:
	 * a recursion of one tenant does not stay resident for ever. */
	STACK_USES_MAX = 32,
	STACK_KEPT_BYTES = 64 << 10,
	ATTACHMENTS_KEPT_MAX = 16,
};

/* --- making and freeing -------------------------------------------------------------------- */

void
vm_store_config_init(struct vm_store_config *config)
{
	*config = (struct vm_store_config){
		.memory_pages_max = 65536,
		.memory_bytes_max = UINT64_MAX,
		.table_elements_max = 10000000,
		.instances_max = 10000,
	};
}

/* A store with its stack, for the pool or for use. */
static enum vm_status
store_create(struct vm_engine *engine, struct vm_store **out_store, struct vm_error *err)
{
	struct vm_store *store = engine_alloc_zeroed(engine, 1, sizeof(*store));

	if (store == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	void *stack = mmap(NULL, engine->stack_bytes, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stack == MAP_FAILED) {
		engine_free(engine, store);
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET,
		                    "cannot map a guest stack of %u bytes: %s", engine->stack_bytes,
		                    strerror(errno));
	}
	/* One frame must not cost a huge page; where the advice is unknown nothing is lost. */
	(void)madvise(stack, engine->stack_bytes, MADV_NOHUGEPAGE);
	store->engine = engine;
	store->run.store = store;
	store->run.stop_signal = engine->stop_signal;
	store->run.stack = stack;
	store->run.stack_end = store->run.stack + engine->stack_bytes / sizeof(union vm_slot);
	atomic_init(&store->run.stop, VM_TRAP_NONE);
	atomic_init(&store->stop_fd, -1);
	store->serial = POOL_SERIALS - 1; /* used up: the first use takes some */
	*out_store = store;
	return VM_OK;
}

/* From the start of the mapping to the end of the stack. */
static size_t
guest_stack_bytes(const struct vm_store *store)
{
	return (size_t)GUEST_GUARD_BYTES + store->engine->stack_bytes;
}

/* Of values in no register, above the stack: as many as a function may have. */
static size_t
guest_extra_bytes(const struct vm_store *store)
{
	const struct vm_limits *limits = &store->engine->limits;
	uint64_t count =
	    limits->params_max > limits->results_max ? limits->params_max : limits->results_max;

	return (count < UINT32_MAX ? (size_t)count : UINT32_MAX) * 16;
}

bool
store_guest_stack(struct vm_store *store)
{
	size_t size_bytes = guest_stack_bytes(store) + guest_extra_bytes(store);

	if (store->guest_stack != NULL) {
		store->run.guest_sp = store->guest_stack + guest_stack_bytes(store);
		return true;
	}
	uint8_t *map = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (map == MAP_FAILED)
		return false;
	if (mprotect(map, GUEST_GUARD_BYTES, PROT_NONE) != 0) {
		(void)munmap(map, size_bytes);
		return false;
	}
	(void)madvise(map, size_bytes, MADV_NOHUGEPAGE); /* as for the other stack */
	store->guest_stack = map;
	store->run.guest_stack_low = (uintptr_t)map + GUEST_GUARD_BYTES;
	store->run.guest_sp = store->run.extra = map + guest_stack_bytes(store);
	return true;
}

void
store_destroy(struct vm_store *store)
{
	(void)munmap(store->run.stack, store->engine->stack_bytes);
	if (store->guest_stack != NULL)
		(void)munmap(store->guest_stack,
		             guest_stack_bytes(store) + guest_extra_bytes(store));
	engine_free(store->engine, store->attachments);
	engine_free(store->engine, store);
}

enum vm_status
vm_store_new(struct vm_engine *engine, const struct vm_store_config *config,
             struct vm_store **out_store, struct vm_error *err)
{
	struct vm_store *store = pool_take_store(engine);

	if (store == NULL) {
		enum vm_status st = store_create(engine, &store, err);
		if (st != VM_OK)
			return st;
	}
	(void)vm_engine_ref(engine);
	if (++store->serial % POOL_SERIALS == 0)
		store->serial = pool_take_serials(engine);
	if (config != NULL)
		store->config = *config;
	else
		vm_store_config_init(&store->config);
	store->run.metered = store->config.metered;
	store->run.fuel = UINT64_MAX;
	store->run.top = store->run.stack;
	store->run.thread = RUN_NO_THREAD;
	store->fuel_limit = UINT64_MAX;
	*out_store = store;
	return VM_OK;
}

/* Latest first, as they may build on one another. */
static void
attachments_clear(struct vm_store *store)
{
	while (store->attachment_count > 0) {
		const struct attachment *last = &store->attachments[--store->attachment_count];

		if (last->free_fn != NULL)
			last->free_fn(last->data);
	}
	if (store->attachment_room > ATTACHMENTS_KEPT_MAX) {
		engine_free(store->engine, store->attachments);
		store->attachments = NULL;
		store->attachment_room = 0;
	}
}

static void
objects_clear(struct vm_store *store)
{
	struct vm_engine *engine = store->engine;
	struct vm_instance *next_instance;
	struct store_block *next;

	for (struct vm_memory *m = store->memories; m != NULL; m = m->next) {
		if (!m->is_kept)
			memory_clear(engine, m);
	}
	for (struct vm_table *t = store->tables; t != NULL; t = t->next) {
		if (!t->is_kept)
			table_clear(engine, t);
	}
	for (struct vm_global *g = store->globals; g != NULL; g = g->next) {
		if (g->group != NULL)
			rec_group_unref(engine, g->group);
	}
	/* Last of what uses them: another thread may have a kept instance at once. */
	for (struct vm_instance *i = store->instances; i != NULL; i = next_instance) {
		next_instance = i->next;
		instance_end(i);
	}
	for (struct store_block *block = store->blocks; block != NULL; block = next) {
		next = block->next;
		engine_free(engine, block);
	}
}

static void
stack_clear(struct vm_store *store)
{
	struct vm_run *run = &store->run;

	if (++store->stack_uses < STACK_USES_MAX && run->stop == VM_TRAP_NONE)
		return;
	store->stack_uses = 0;
	(void)madvise((char *)run->stack + STACK_KEPT_BYTES,
	              store->engine->stack_bytes - STACK_KEPT_BYTES, MADV_DONTNEED);
	if (store->guest_stack != NULL) /* which grows down */
		(void)madvise(store->guest_stack + GUEST_GUARD_BYTES,
		              store->engine->stack_bytes - STACK_KEPT_BYTES, MADV_DONTNEED);
}

static void
stop_fd_close(struct vm_store *store)
{
	int fd = atomic_load_explicit(&store->stop_fd, memory_order_relaxed);

	if (fd >= 0)
		(void)close(fd);
	atomic_store_explicit(&store->stop_fd, -1, memory_order_relaxed);
}

/* Make the store as good as new, for the next tenant. */
static void
store_clear(struct vm_store *store)
{
	attachments_clear(store);
	if (store->deadline_ns != 0 || vm_store_stopped(store) != VM_TRAP_NONE)
		watchdog_unset(&store->engine->pool->watchdog, store);
	objects_clear(store);
	stack_clear(store);
	stop_fd_close(store);

	struct vm_run *run = &store->run;
	atomic_store_explicit(&run->stop, VM_TRAP_NONE, memory_order_relaxed);
	run->err = NULL;
	run->exit_sp = NULL;
	run->guest_sp =
	    store->guest_stack != NULL ? store->guest_stack + guest_stack_bytes(store) : NULL;
	run->is_touched = false;
	run->host_calls = 0;
	run->depth = 0;
	store->instances = NULL;
	store->instance_count = 0;
	store->memories = NULL;
	store->tables = NULL;
	store->globals = NULL;
	store->blocks = NULL;
	store->memory_bytes = store->memory_bytes_peak = 0;
	store->pages = store->pages_peak = 0;
	store->fuel_spent = 0;
}

void
vm_store_free(struct vm_store *store)
{
	if (store == NULL)
		return;

	struct vm_engine *engine = store->engine;
	store_clear(store);
	if (!pool_give_store(engine, store))
		store_destroy(store);
	vm_engine_unref(engine);
}

struct vm_engine *
vm_store_engine(const struct vm_store *store)
{
	return store->engine;
}

void *
store_alloc(struct vm_store *store, size_t size_bytes)
{
	if (size_bytes > PTRDIFF_MAX - sizeof(struct store_block))
		return NULL;

	struct store_block *block = engine_alloc(store->engine, sizeof(*block) + size_bytes);
	if (block == NULL)
		return NULL;
	block->next = store->blocks;
	store->blocks = block;
	return block + 1;
}

/* --- stopping ------------------------------------------------------------------------------ */

static void
stop_fd_signal(int fd)
{
	const uint64_t one = 1;

	/* It can only fail when the counter is full, and then the descriptor is readable. */
	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return;
}

void
store_stop_request(struct vm_store *store, enum vm_trap reason)
{
	unsigned int none = VM_TRAP_NONE;

	/* Sequentially consistent with stop_fd: either this sees the descriptor, or its maker the
	 * reason. */
	(void)atomic_compare_exchange_strong(&store->run.stop, &none, (unsigned int)reason);
	int fd = atomic_load(&store->stop_fd);
	if (fd >= 0)
		stop_fd_signal(fd);
}

void
vm_store_stop(struct vm_store *store, enum vm_trap reason)
{
	if (reason == VM_TRAP_NONE)
		return;
	store_stop_request(store, reason);
	/* A host function that stops its own store is seen on return. */
	int thread = atomic_load_explicit(&store->run.native_thread, memory_order_relaxed);
	if (codespace_is_used() && (thread == 0 || thread != rt_thread.number))
		watchdog_insist(&store->engine->pool->watchdog, store);
}

enum vm_trap
vm_store_stopped(const struct vm_store *store)
{
	return (enum vm_trap)atomic_load_explicit(&store->run.stop, memory_order_relaxed);
}

int
vm_store_stop_fd(struct vm_store *store)
{
	int fd = atomic_load_explicit(&store->stop_fd, memory_order_relaxed);

	if (fd >= 0)
		return fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -1;
	atomic_store(&store->stop_fd, fd);
	if (atomic_load(&store->run.stop) != VM_TRAP_NONE)
		stop_fd_signal(fd);
	return fd;
}

enum vm_status
vm_store_set_deadline(struct vm_store *store, uint64_t monotonic_ns, struct vm_error *err)
{
	struct watchdog *watchdog = &store->engine->pool->watchdog;

	if (monotonic_ns != 0)
		return watchdog_set(watchdog, store, monotonic_ns, err);
	if (store->deadline_ns != 0)
		watchdog_unset(watchdog, store);
	return VM_OK;
}

enum vm_status
rt_stopped(const struct vm_run *run, struct vm_error *err)
{
	enum vm_trap why = vm_store_stopped(run->store);

	if (why == VM_TRAP_NONE)
		return VM_OK;
	return vm_error_trap(err, why, "%s", vm_trap_text(why));
}

enum vm_status
rt_trap(struct vm_run *run, enum vm_trap trap)
{
	return vm_error_trap(run->err, trap, "%s", vm_trap_text(trap));
}

void
rt_add_frame(struct vm_error *err, const struct vm_module *module, uint32_t function,
             uint64_t offset)
{
	if (err->frame_count == VM_ERROR_FRAMES_MAX) {
		err->frames_omitted++;
		return;
	}
	struct vm_frame *frame = &err->frames[err->frame_count++];
	struct vm_str name = vm_module_function_name(module, function);
	size_t len = name.len < VM_FRAME_NAME_MAX - 1 ? name.len : VM_FRAME_NAME_MAX - 1;

	frame->function = function;
	frame->offset = offset;
	memcpy(frame->name, name.data, len);
	frame->name[len] = '\0';
	if (err->frame_count == 1) {
		err->function = function;
		err->offset = offset;
	}
}

/* --- accounts ------------------------------------------------------------------------------ */

void
vm_store_set_fuel(struct vm_store *store, uint64_t fuel)
{
	store->fuel_spent += store->fuel_limit - store->run.fuel;
	store->fuel_limit = fuel;
	store->run.fuel = fuel;
	if (fuel != UINT64_MAX)
		store->run.metered = true;
}

uint64_t
vm_store_fuel(const struct vm_store *store)
{
	return store->fuel_limit == UINT64_MAX ? UINT64_MAX : store->run.fuel;
}

uint64_t
vm_store_fuel_used(const struct vm_store *store)
{
	return store->fuel_spent + (store->fuel_limit - store->run.fuel);
}

enum vm_status
vm_store_charge(struct vm_store *store, uint64_t units, struct vm_error *err)
{
	struct vm_run *run = &store->run;

	if (!run->metered)
		return VM_OK;
	if (run->fuel < units) {
		run->fuel = 0;
		return vm_error_trap(err, VM_TRAP_FUEL, "%s", vm_trap_text(VM_TRAP_FUEL));
	}
	run->fuel -= units;
	return VM_OK;
}

bool
vm_store_memory_take(struct vm_store *store, uint64_t size_bytes)
{
	uint64_t max = store->config.memory_bytes_max;

	if (store->memory_bytes > max || size_bytes > max - store->memory_bytes)
		return false;
	store->memory_bytes += size_bytes;
	if (store->memory_bytes > store->memory_bytes_peak)
		store->memory_bytes_peak = store->memory_bytes;
	return true;
}

void
vm_store_memory_give(struct vm_store *store, uint64_t size_bytes)
{
	store->memory_bytes -= size_bytes < store->memory_bytes ? size_bytes : store->memory_bytes;
}

void
store_pages_add(struct vm_store *store, uint64_t pages)
{
	store->pages += pages;
	if (store->pages > store->pages_peak)
		store->pages_peak = store->pages;
}

void
vm_store_usage(const struct vm_store *store, struct vm_store_usage *out)
{
	*out = (struct vm_store_usage){
		.memory_bytes = store->memory_bytes,
		.memory_bytes_peak = store->memory_bytes_peak,
		.memory_pages_peak = store->pages_peak,
		.host_calls = store->run.host_calls,
	};
}

/* --- attachments --------------------------------------------------------------------------- */

enum vm_status
vm_store_attach(struct vm_store *store, const void *key, void *data, void (*free_fn)(void *data),
                struct vm_error *err)
{
	for (uint32_t i = 0; i < store->attachment_count; i++) {
		if (store->attachments[i].key == key)
			return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
			                    "the store has an attachment of this key already");
	}
	if (store->attachment_count == store->attachment_room) {
		uint32_t room = store->attachment_room * 2 + 4;
		struct attachment *more =
		    engine_realloc_array(store->engine, store->attachments, room, sizeof(*more));
		if (more == NULL)
			return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
		store->attachments = more;
		store->attachment_room = room;
	}
	store->attachments[store->attachment_count++] =
	    (struct attachment){ .key = key, .data = data, .free_fn = free_fn };
	return VM_OK;
}

void *
vm_store_attachment(const struct vm_store *store, const void *key)
{
	for (uint32_t i = 0; i < store->attachment_count; i++) {
		if (store->attachments[i].key == key)
			return store->attachments[i].data;
	}
	return NULL;
}

/* --- faults -------------------------------------------------------------------------------- */

bool
store_owns_fault(const struct vm_store *store, uintptr_t address)
{
	for (const struct vm_memory *m = store->memories; m != NULL; m = m->next) {
		uintptr_t at = address - (uintptr_t)m->base; /* wraps below the base */

		if (at >= m->size && at < m->reserved_bytes + MEMORY_GUARD_BYTES)
			return true;
	}
	return false;
}
