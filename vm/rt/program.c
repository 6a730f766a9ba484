#include "vm/rt/program.h"

#include "vm/rt/image.h"
#include "vm/rt/instance.h"
#include "vm/rt/keep.h"
#include "vm/rt/pool.h"

struct host_def *
host_def_new(struct vm_engine *engine, const struct vm_type *type, vm_host_fn fn, void *env)
{
	struct host_def *def = engine_alloc(engine, sizeof(*def));

	if (def == NULL)
		return NULL;
	atomic_init(&def->refs, 1);
	def->engine = engine;
	def->func = (struct host_func){ .type = type, .fn = fn, .env = env };
	return def;
}

struct host_def *
host_def_ref(struct host_def *def)
{
	(void)atomic_fetch_add_explicit(&def->refs, 1, memory_order_relaxed);
	return def;
}

void
host_def_unref(struct host_def *def)
{
	if (def == NULL || atomic_fetch_sub_explicit(&def->refs, 1, memory_order_acq_rel) != 1)
		return;
	rec_group_unref(def->engine, def->func.type->group);
	engine_free(def->engine, def);
}

struct vm_program *
program_alloc(struct vm_module *module)
{
	struct vm_program *program = engine_alloc_zeroed(
	    module->engine, 1,
	    sizeof(*program) + module->import_count * sizeof(program->imports[0]));

	if (program == NULL)
		return NULL;
	atomic_init(&program->refs, 1);
	program->module = vm_module_ref(module);
	return program;
}

void
program_finish(struct vm_program *program)
{
	for (uint32_t i = 0; i < program->module->import_count; i++)
		program->host_count += program->imports[i].host != NULL;
	instance_layout_make(&program->layout, program->module, program->host_count);

	uint64_t start, size_bytes;
	program->has_image = image_plan(program->module, &start, &size_bytes);
	program->can_keep = keep_is_possible(program);
}

bool
program_is_reused(struct vm_program *program)
{
	if (atomic_load_explicit(&program->was_made, memory_order_relaxed))
		return true;
	atomic_store_explicit(&program->was_made, true, memory_order_relaxed);
	return false;
}

/* The i-th place that the thread looks at. */
static _Atomic(struct vm_instance *) *
idle_place(struct vm_program *program, unsigned int i)
{
	return &program->idle[(pool_lane() + i) % PROGRAM_IDLE_MAX];
}

struct vm_instance *
program_take_idle(struct vm_program *program)
{
	for (unsigned int i = 0; i < PROGRAM_IDLE_MAX; i++) {
		_Atomic(struct vm_instance *) *place = idle_place(program, i);

		if (atomic_load_explicit(place, memory_order_relaxed) == NULL)
			continue;
		struct vm_instance *instance =
		    atomic_exchange_explicit(place, NULL, memory_order_acquire);
		if (instance == NULL)
			continue; /* another thread was quicker */
		if (!atomic_load_explicit(&program->was_taken, memory_order_relaxed))
			atomic_store_explicit(&program->was_taken, true, memory_order_relaxed);
		return instance;
	}
	return NULL;
}

bool
program_give_idle(struct vm_program *program, struct vm_instance *instance)
{
	for (unsigned int i = 0; i < PROGRAM_IDLE_MAX; i++) {
		_Atomic(struct vm_instance *) *place = idle_place(program, i);
		struct vm_instance *none = NULL;

		if (atomic_load_explicit(place, memory_order_relaxed) == NULL &&
		    atomic_compare_exchange_strong_explicit(place, &none, instance,
		                                            memory_order_release,
		                                            memory_order_relaxed))
			return true;
	}
	return false;
}

const struct memory_image *
program_image(struct vm_program *program)
{
	struct memory_image *image = atomic_load_explicit(&program->image, memory_order_acquire);

	if (image != NULL || !program->has_image ||
	    atomic_load_explicit(&program->uses, memory_order_relaxed) > 1)
		return image;
	/* Whoever is second makes it; others copy in the meantime. */
	if (atomic_fetch_add_explicit(&program->uses, 1, memory_order_relaxed) != 1)
		return NULL;
	image = image_new(program->module);
	atomic_store_explicit(&program->image, image, memory_order_release);
	return image;
}

struct vm_program *
vm_program_ref(struct vm_program *program)
{
	(void)atomic_fetch_add_explicit(&program->refs, 1, memory_order_relaxed);
	return program;
}

void
vm_program_unref(struct vm_program *program)
{
	if (program == NULL ||
	    atomic_fetch_sub_explicit(&program->refs, 1, memory_order_acq_rel) != 1)
		return;

	struct vm_module *module = program->module;
	pool_forget_program(module->engine, program);
	for (uint32_t i = 0; i < module->import_count; i++)
		host_def_unref(program->imports[i].host);
	image_free(module->engine, atomic_load_explicit(&program->image, memory_order_relaxed));
	engine_free(module->engine,
	            atomic_load_explicit(&program->effects, memory_order_relaxed));
	engine_free(module->engine, program);
	vm_module_unref(module);
}

struct vm_module *
vm_program_module(const struct vm_program *program)
{
	return program->module;
}
