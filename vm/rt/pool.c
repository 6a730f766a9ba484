#include "vm/rt/pool.h"

#include <string.h>
#include <sys/mman.h>
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

void
pool_free(struct vm_engine *engine)
{
	struct rt_pool *pool = engine->pool;
	struct vm_store *next;

	if (pool == NULL)
		return;
	watchdog_clear(&pool->watchdog);
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

struct vm_store *
pool_take_store(struct vm_engine *engine, uint64_t *out_serial)
{
	struct rt_pool *pool = engine->pool;

	(void)pthread_mutex_lock(&pool->lock);
	struct vm_store *store = pool->idle_stores;
	if (store != NULL) {
		pool->idle_stores = store->next_idle;
		pool->idle_store_count--;
	}
	*out_serial = ++pool->next_serial;
	(void)pthread_mutex_unlock(&pool->lock);
	return store;
}

bool
pool_give_store(struct vm_engine *engine, struct vm_store *store)
{
	struct rt_pool *pool = engine->pool;
	bool has_room;

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
	has_room = pool->slot_count < engine->memory_slots_kept;
	if (has_room)
		pool->slots[pool->slot_count++] = slot;
	(void)pthread_mutex_unlock(&pool->lock);
	return has_room;
}
