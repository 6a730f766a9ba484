#include "vm/core/engine.h"

#include <string.h>

void *
engine_alloc(const struct vm_engine *engine, size_t size_bytes)
{
	return engine->alloc.alloc_fn(engine->alloc.self, size_bytes > 0 ? size_bytes : 1);
}

void *
engine_alloc_zeroed(const struct vm_engine *engine, size_t count, size_t size_bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, size_bytes, &total))
		return NULL;
	void *p = engine_alloc(engine, total);
	if (p != NULL)
		memset(p, 0, total);
	return p;
}

void *
engine_realloc_array(const struct vm_engine *engine, void *old, size_t count, size_t size_bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, size_bytes, &total))
		return NULL;
	if (old == NULL)
		return engine_alloc(engine, total);
	return engine->alloc.realloc_fn(engine->alloc.self, old, total > 0 ? total : 1);
}

void
engine_free(const struct vm_engine *engine, void *old)
{
	if (old != NULL)
		engine->alloc.free_fn(engine->alloc.self, old);
}
