#include "vm/rt/pool.h"

#include <string.h>
#include <sys/mman.h>
#include "vm/rt/keep.h"
#include "vm/rt/store.h"

enum vm_status
pool_new(struct vm_engine *engine, struct vm_error *err)
{
	struct rt_pool *pool = engine_alloc_zeroed(engine, 1, sizeof(*pool));
	struct memory_slot *slots =
	    engine_alloc_zeroed(engine, (size_t)engine->memory_slots_kept + 1, sizeof(*slots));
	enum vm_status st;

	if (pool == NULL || slots == NULL) {
		st = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
		goto failed;
	}
	pool->slots = slots;
	atomic_init(&pool->next_serial, POOL_SERIALS);
	st = watchdog_init(&pool->watchdog, err);
	if (st != VM_OK)
		goto failed;
	int refused = pthread_mutex_init(&pool->lock, NULL);
	if (refused != 0) {
		watchdog_clear(&pool->watchdog);
		st = vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot make the pool's lock: %s",
		                  strerror(refused));
		goto failed;
	}
	engine->pool = pool;
	return VM_OK;
failed:
	engine_free(engine, slots);
	engine_free(engine, pool);
	return st;
}

static struct vm_store *
lane_take(struct pool_lane *lane)
{
	if (atomic_load_explicit(&lane->store, memory_order_relaxed) == NULL)
		return NULL;
	return atomic_exchange_explicit(&lane->store, NULL, memory_order_acquire);
}

void
pool_free(struct vm_engine *engine)
{
	struct rt_pool *pool = engine->pool;
	struct vm_store *next;

	if (pool == NULL)
		return;
	watchdog_clear(&pool->watchdog);
	for (unsigned int i = 0; i < POOL_LANES; i++) {
		struct vm_store *store = lane_take(&pool->lanes[i]);

		if (store != NULL)
			store_destroy(store);
	}
	for (struct vm_store *store = pool->idle_stores; store != NULL; store = next) {
		next = store->next_idle;
		store_destroy(store);
	}
	for (uint32_t i = 0; i < pool->slot_count; i++)
		(void)munmap(pool->slots[i].base, MEMORY_SLOT_BYTES + MEMORY_GUARD_BYTES);
	(void)pthread_mutex_destroy(&pool->lock);
	engine_free(engine, pool->slots);
	engine_free(engine, pool);
	engine->pool = NULL;
}

/* --- stores --------------------------------------------------------------------------------- */

unsigned int
pool_lane(void)
{
	static _Thread_local unsigned int lane __attribute__((tls_model("initial-exec")));
	static atomic_uint threads;

	if (lane == 0)
		lane = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) | 1u << 31;
	return lane & ~(1u << 31);
}

static struct vm_store *
list_take(struct rt_pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	struct vm_store *store = pool->idle_stores;
	if (store != NULL) {
		pool->idle_stores = store->next_idle;
		pool->idle_store_count--;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return store;
}

struct vm_store *
pool_take_store(struct vm_engine *engine)
{
	struct rt_pool *pool = engine->pool;
	unsigned int own = pool_lane();
	struct vm_store *store = lane_take(&pool->lanes[own % POOL_LANES]);

	if (store == NULL)
		store = list_take(pool);
	/* What other threads have left, before one is made. */
	for (unsigned int i = 1; store == NULL && i < POOL_LANES; i++)
		store = lane_take(&pool->lanes[(own + i) % POOL_LANES]);
	return store;
}

bool
pool_give_store(struct vm_engine *engine, struct vm_store *store)
{
	struct rt_pool *pool = engine->pool;
	struct pool_lane *lane = &pool->lanes[pool_lane() % POOL_LANES];
	struct vm_store *none = NULL;
	bool has_room;

	if (atomic_compare_exchange_strong_explicit(&lane->store, &none, store,
	                                            memory_order_release, memory_order_relaxed))
		return true;
	(void)pthread_mutex_lock(&pool->lock);
	has_room = pool->idle_store_count < POOL_STORES_MAX;
	if (has_room) {
		store->next_idle = pool->idle_stores;
		pool->idle_stores = store;
		pool->idle_store_count++;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return has_room;
}

uint64_t
pool_take_serials(struct vm_engine *engine)
{
	return atomic_fetch_add_explicit(&engine->pool->next_serial, POOL_SERIALS,
	                                 memory_order_relaxed);
}

/* --- slots ---------------------------------------------------------------------------------- */

bool
pool_take_slot(struct vm_engine *engine, uint64_t committed_bytes, struct memory_slot *out)
{
	struct rt_pool *pool = engine->pool;
	bool is_found = false;

	(void)pthread_mutex_lock(&pool->lock);
	if (pool->slot_count > 0) {
		uint32_t at = pool->slot_count - 1; /* the last one given back is warmest */

		for (uint32_t i = pool->slot_count; i-- > 0;) {
			if (pool->slots[i].committed_bytes == committed_bytes) {
				at = i;
				break;
			}
		}
		*out = pool->slots[at];
		pool->slots[at] = pool->slots[--pool->slot_count];
		is_found = true;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return is_found;
}

bool
pool_give_slot(struct vm_engine *engine, struct memory_slot slot)
{
	struct rt_pool *pool = engine->pool;
	bool has_room;

	(void)pthread_mutex_lock(&pool->lock);
	has_room = pool->slot_count + pool->kept_slots < engine->memory_slots_kept;
	if (has_room)
		pool->slots[pool->slot_count++] = slot;
	(void)pthread_mutex_unlock(&pool->lock);
	return has_room;
}

/* --- kept instances ------------------------------------------------------------------------- */

static void
list_remove(struct rt_pool *pool, struct vm_program *program)
{
	if (program->kept_previous != NULL)
		program->kept_previous->kept_next = program->kept_next;
	else
		pool->kept_first = program->kept_next;
	if (program->kept_next != NULL)
		program->kept_next->kept_previous = program->kept_previous;
	else
		pool->kept_last = program->kept_previous;
}

static void
list_append(struct rt_pool *pool, struct vm_program *program)
{
	program->kept_next = NULL;
	program->kept_previous = pool->kept_last;
	if (pool->kept_last != NULL)
		pool->kept_last->kept_next = program;
	else
		pool->kept_first = program;
	pool->kept_last = program;
}

static void
count(struct rt_pool *pool, struct vm_program *program, uint32_t slots)
{
	if (program->kept_count++ == 0)
		list_append(pool, program);
	pool->kept_instances++;
	pool->kept_slots += slots;
}

static void
uncount(struct rt_pool *pool, struct vm_program *program, uint32_t slots)
{
	if (--program->kept_count == 0)
		list_remove(pool, program);
	pool->kept_instances--;
	pool->kept_slots -= slots;
}

/*
 * A waiting instance of a program that was not used since it was looked at last, or of any in the
 * second round; no more counted. NULL: all are in use.
 */
static struct vm_instance *
victim_find(struct rt_pool *pool)
{
	/* At most POOL_INSTANCES_MAX programs have one. */
	for (unsigned int i = 0; i < 2 * POOL_INSTANCES_MAX && pool->kept_first != NULL; i++) {
		struct vm_program *program = pool->kept_first;
		struct vm_instance *instance = NULL;

		list_remove(pool, program);
		list_append(pool, program);
		if (!atomic_exchange_explicit(&program->was_taken, false, memory_order_relaxed))
			instance = program_take_idle(program);
		if (instance != NULL) {
			atomic_store_explicit(&program->was_taken, false, memory_order_relaxed);
			uncount(pool, program, instance->keep->memory_count);
			return instance;
		}
	}
	return NULL;
}

/* Whether there is room, or what to free for it; neither: all is in use. */
static bool
make_room(struct vm_engine *engine, uint32_t slots, struct memory_slot *out_slot,
          struct vm_instance **out_victim)
{
	struct rt_pool *pool = engine->pool;
	bool has_room = pool->kept_instances < POOL_INSTANCES_MAX;
	bool has_slots =
	    slots == 0 || (uint64_t)pool->slot_count + pool->kept_slots + slots <=
	                      engine->memory_slots_kept;

	if (has_room && has_slots)
		return true;
	if (has_room && pool->slot_count > 0)
		*out_slot = pool->slots[--pool->slot_count];
	else
		*out_victim = victim_find(pool);
	return false;
}

bool
pool_keep_reserve(struct vm_engine *engine, struct vm_program *program, uint32_t slots)
{
	struct rt_pool *pool = engine->pool;

	for (;;) {
		struct vm_instance *victim = NULL;
		struct memory_slot slot = { NULL, 0 };

		(void)pthread_mutex_lock(&pool->lock);
		bool has_room = make_room(engine, slots, &slot, &victim);
		if (has_room)
			count(pool, program, slots);
		(void)pthread_mutex_unlock(&pool->lock);
		if (has_room)
			return true;
		if (slot.base != NULL)
			(void)munmap(slot.base, MEMORY_SLOT_BYTES + MEMORY_GUARD_BYTES);
		else if (victim != NULL)
			keep_destroy(engine, victim);
		else
			return false;
	}
}

void
pool_keep_release(struct vm_engine *engine, struct vm_program *program, uint32_t slots)
{
	struct rt_pool *pool = engine->pool;

	(void)pthread_mutex_lock(&pool->lock);
	uncount(pool, program, slots);
	(void)pthread_mutex_unlock(&pool->lock);
}

void
pool_forget_program(struct vm_engine *engine, struct vm_program *program)
{
	struct rt_pool *pool = engine->pool;
	struct vm_instance *waiting[PROGRAM_IDLE_MAX];
	uint32_t waiting_count = 0;

	if (!program->can_keep)
		return;
	/* Under the lock, as another thread may be looking for something to free. */
	(void)pthread_mutex_lock(&pool->lock);
	while (waiting_count < PROGRAM_IDLE_MAX) {
		struct vm_instance *instance = program_take_idle(program);
		if (instance == NULL)
			break;
		uncount(pool, program, instance->keep->memory_count);
		waiting[waiting_count++] = instance;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	for (uint32_t i = 0; i < waiting_count; i++)
		keep_destroy(engine, waiting[i]);
}
