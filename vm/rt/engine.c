#include "vm/core/engine.h"

#include <signal.h>
#include <stdlib.h>
#include "vm/core/type.h"
#include "vm/rt/pool.h"
#include "vm/rt/trap.h"

enum {
	STACK_BYTES_DEFAULT = 4 << 20,
	STACK_BYTES_MIN = 64 << 10,
	STACK_BYTES_MAX = 1 << 30,
	MEMORY_SLOTS_DEFAULT = 64,
	MEMORY_SLOTS_MAX = 16384, /* 8 GiB each: all of a 47-bit address space */
};

static void *
default_alloc(void *self, size_t size_bytes)
{
	(void)self;
	return malloc(size_bytes);
}

static void *
default_realloc(void *self, void *old, size_t size_bytes)
{
	(void)self;
	return realloc(old, size_bytes);
}

static void
default_free(void *self, void *old)
{
	(void)self;
	free(old);
}

static const struct vm_allocator default_allocator = {
	.alloc_fn = default_alloc,
	.realloc_fn = default_realloc,
	.free_fn = default_free,
};

void
vm_engine_config_init(struct vm_engine_config *config)
{
	*config = (struct vm_engine_config){
		.features = vm_features_of_version(30),
		.limits = {
#define LIMIT(name, value, text) .name = (value),
#include "vm/limits.def"
#undef LIMIT
		},
		.stack_bytes = STACK_BYTES_DEFAULT,
		.memory_slots_kept = MEMORY_SLOTS_DEFAULT,
	};
}

static enum vm_status
config_check(const struct vm_engine_config *config, struct vm_error *err)
{
	const struct vm_allocator *alloc = config->allocator;

	if (config->features >> VM_FEATURE_COUNT != 0)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "features 0x%llx: there are only %d",
		                    (unsigned long long)config->features, VM_FEATURE_COUNT);
	if (config->stack_bytes < STACK_BYTES_MIN || config->stack_bytes > STACK_BYTES_MAX)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "guest stack of %u bytes: expected %d to %d",
		                    config->stack_bytes, STACK_BYTES_MIN, STACK_BYTES_MAX);
	if (config->memory_slots_kept > MEMORY_SLOTS_MAX)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "%u idle memories to keep: expected at most %d",
		                    config->memory_slots_kept, MEMORY_SLOTS_MAX);
	if (config->stop_signal != 0 &&
	    (config->stop_signal < SIGRTMIN || config->stop_signal > SIGRTMAX))
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "stop signal %d: expected a real-time signal, %d to %d, or 0",
		                    config->stop_signal, SIGRTMIN, SIGRTMAX);
	if (alloc != NULL &&
	    (alloc->alloc_fn == NULL || alloc->realloc_fn == NULL || alloc->free_fn == NULL))
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "allocator without all three of its functions");
	return VM_OK;
}

static void
engine_destroy(struct vm_engine *engine)
{
	const struct vm_allocator alloc = engine->alloc;

	pool_free(engine);
	if (engine->types != NULL)
		types_registry_free(engine);
	alloc.free_fn(alloc.self, engine);
}

enum vm_status
vm_engine_new(const struct vm_engine_config *config, struct vm_engine **out_engine,
              struct vm_error *err)
{
	struct vm_engine_config defaults;
	enum vm_status st;

	vm_engine_config_init(&defaults);
	if (config == NULL)
		config = &defaults;
	st = config_check(config, err);
	if (st != VM_OK)
		return st;

	const struct vm_allocator *alloc =
	    config->allocator != NULL ? config->allocator : &default_allocator;
	struct vm_engine *engine = alloc->alloc_fn(alloc->self, sizeof(*engine));
	if (engine == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	*engine = (struct vm_engine){
		.features = config->features,
		.limits = config->limits,
		.alloc = *alloc,
		.stack_bytes = config->stack_bytes & ~UINT32_C(4095),
		.memory_slots_kept = config->memory_slots_kept,
		.stop_signal = config->stop_signal != 0 ? config->stop_signal : SIGRTMIN + 5,
	};
	atomic_init(&engine->refs, 1);

	st = trap_install(err);
	if (st == VM_OK)
		st = types_registry_new(engine, err);
	if (st == VM_OK)
		st = pool_new(engine, err);
	if (st != VM_OK) {
		engine_destroy(engine);
		return st;
	}
	*out_engine = engine;
	return VM_OK;
}

struct vm_engine *
vm_engine_ref(struct vm_engine *engine)
{
	(void)atomic_fetch_add_explicit(&engine->refs, 1, memory_order_relaxed);
	return engine;
}

void
vm_engine_unref(struct vm_engine *engine)
{
	if (engine == NULL ||
	    atomic_fetch_sub_explicit(&engine->refs, 1, memory_order_acq_rel) != 1)
		return;
	engine_destroy(engine);
}
