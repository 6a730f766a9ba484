#include "vm/rt/keep.h"

#include <string.h>
#include "vm/rt/memory.h"
#include "vm/rt/pool.h"
#include "vm/rt/table.h"

/* Larger instances are not kept, with what they were: it is memory that lies idle. */
enum { KEEP_BYTES_MAX = 256 << 10 };

/* --- which ---------------------------------------------------------------------------------- */

static uint64_t
table_bytes(const struct vm_tabletype *type)
{
	return type->min * sizeof(void *);
}

/* Elements of a table and what they were; a table of the maximal size must not wrap. */
static bool
tables_are_small(const struct vm_module *module)
{
	uint64_t left = KEEP_BYTES_MAX;

	for (uint32_t i = 0; i < module->table_count; i++) {
		if (module->tables[i].type.min > left / (2 * sizeof(void *)))
			return false;
		left -= 2 * table_bytes(&module->tables[i].type);
	}
	return true;
}

/* Segments of expressions live in the store's blocks. */
static bool
elems_are_functions(const struct vm_module *module)
{
	for (uint32_t i = 0; i < module->elem_count; i++) {
		const struct module_elem *elem = &module->elems[i];

		if (elem->mode != SEGMENT_DECLARATIVE && elem->funcs == NULL)
			return false;
	}
	return true;
}

bool
keep_is_possible(const struct vm_program *program)
{
	const struct vm_module *module = program->module;
	const vm_features heap = VM_FEATURE_BIT(GC) | VM_FEATURE_BIT(THREADS);

	return program->host_count == module->import_count &&
	       program->layout.size_bytes + program->layout.funcs <= KEEP_BYTES_MAX &&
	       !(module->features_used & heap) && tables_are_small(module) &&
	       elems_are_functions(module);
}

/* --- noting what it was --------------------------------------------------------------------- */

static bool
memories_are_usual(const struct instance_keep *keep)
{
	for (uint32_t i = 0; i < keep->memory_count; i++) {
		if (keep->memories[i].is_broken ||
		    keep->memories[i].reserved_bytes != MEMORY_SLOT_BYTES)
			return false;
	}
	return true;
}

static void *
part(struct vm_instance *instance, size_t offset)
{
	return (char *)instance + offset;
}

/* The fixed part. */
static struct instance_keep
describe(struct vm_instance *instance)
{
	const struct instance_layout *at = &instance->program->layout;
	const struct vm_module *m = instance->module;

	return (struct instance_keep){
		.memories = part(instance, at->own_memories),
		.tables = part(instance, at->own_tables),
		.globals = part(instance, at->own_globals),
		.tags = part(instance, at->own_tags),
		.memory_count = m->memory_count - m->memory_import_count,
		.table_count = m->table_count - m->table_import_count,
		.global_count = m->global_count - m->global_import_count,
		.tag_count = m->tag_count - m->tag_import_count,
		.has_data = true,
		.head_bytes = at->funcs,
	};
}

/* Fill in was; the instance's own fields must be final. */
static void
note(struct instance_keep *keep, const struct vm_instance *instance)
{
	unsigned char *to = keep->was + keep->head_bytes;

	memcpy(keep->was, instance, keep->head_bytes);
	for (uint32_t i = 0; i < keep->table_count; i++) {
		const struct vm_table *table = &keep->tables[i];

		if (table->size > 0)
			memcpy(to, table->elems, table_bytes(&table->type));
		to += table_bytes(&table->type);
	}
}

void
keep_make(struct vm_instance *instance)
{
	struct vm_program *program = instance->program;
	struct vm_engine *engine = program->module->engine;
	struct instance_keep fixed = describe(instance);
	uint64_t elems_bytes = 0;

	if (!program->can_keep || !program_is_reused(program) || !memories_are_usual(&fixed))
		return;
	for (uint32_t i = 0; i < fixed.table_count; i++)
		elems_bytes += table_bytes(&fixed.tables[i].type);
	fixed.charged_bytes = elems_bytes;
	for (uint32_t i = 0; i < fixed.memory_count; i++)
		fixed.charged_bytes += fixed.memories[i].size;

	struct instance_keep *keep =
	    engine_alloc(engine, sizeof(*keep) + fixed.head_bytes + elems_bytes);
	if (keep == NULL)
		return;
	if (!pool_keep_reserve(engine, program, fixed.memory_count)) {
		engine_free(engine, keep);
		return;
	}
	*keep = fixed;
	for (uint32_t i = 0; i < keep->memory_count; i++)
		keep->memories[i].is_kept = true;
	for (uint32_t i = 0; i < keep->table_count; i++)
		keep->tables[i].is_kept = true;
	instance->keep = keep;
	note(keep, instance);
}

/* --- at the end ----------------------------------------------------------------------------- */

/* It holds all initial data of the module. */
static bool
has_image(const struct instance_keep *keep)
{
	return keep->memory_count > 0 && keep->memories[0].image_bytes > 0;
}

static bool
tables_reset(const struct instance_keep *keep)
{
	const unsigned char *from = keep->was + keep->head_bytes;

	for (uint32_t i = 0; i < keep->table_count; i++) {
		const struct vm_table *table = &keep->tables[i];

		if (table->capacity != table->type.min)
			return false; /* it has grown: other elements, other charge */
		if (table->capacity > 0)
			memcpy(table->elems, from, table_bytes(&table->type));
		from += table_bytes(&table->type);
	}
	return true;
}

static bool
memories_reset(struct instance_keep *keep)
{
	for (uint32_t i = 0; i < keep->memory_count; i++) {
		if (!memory_reset(&keep->memories[i]))
			return false;
	}
	keep->has_data = has_image(keep);
	return true;
}

static bool
reset(struct vm_instance *instance)
{
	struct instance_keep *keep = instance->keep;
	bool is_touched = instance->store->run.is_touched || !keep->has_data;

	if (!tables_reset(keep) || (is_touched && !memories_reset(keep)))
		return false;
	memcpy(instance, keep->was, keep->head_bytes);
	return true;
}

static void
discard(struct vm_engine *engine, struct vm_program *program, struct vm_instance *instance)
{
	pool_keep_release(engine, program, instance->keep->memory_count);
	keep_destroy(engine, instance);
}

void
keep_give(struct vm_instance *instance)
{
	struct vm_program *program = instance->program;

	if (!reset(instance) || !program_give_idle(program, instance))
		discard(program->module->engine, program, instance);
}

void
keep_destroy(struct vm_engine *engine, struct vm_instance *instance)
{
	struct instance_keep *keep = instance->keep;

	for (uint32_t i = 0; i < keep->memory_count; i++)
		memory_clear(engine, &keep->memories[i]);
	for (uint32_t i = 0; i < keep->table_count; i++)
		table_clear(engine, &keep->tables[i]);
	engine_free(engine, keep);
	engine_free(engine, instance);
}

/* --- at the beginning ----------------------------------------------------------------------- */

/* Whether it was made as one for this store would be. */
static bool
is_current(const struct vm_instance *instance, const struct vm_tier *tier, const void *code)
{
	/* The image may have come after it. */
	return instance->tier == tier && instance->code == code &&
	       (has_image(instance->keep) ||
	        atomic_load_explicit(&instance->program->image, memory_order_relaxed) == NULL);
}

/* Whether the limits allow it, and charge it. */
static bool
admit(const struct instance_keep *keep, struct vm_store *store)
{
	for (uint32_t i = 0; i < keep->memory_count; i++) {
		if (!memory_fits(&keep->memories[i], store))
			return false;
	}
	for (uint32_t i = 0; i < keep->table_count; i++) {
		if (!table_fits(&keep->tables[i], store))
			return false;
	}
	return vm_store_memory_take(store, keep->charged_bytes);
}

/* What points at the store, but for what joins it. */
static void
rebind(struct vm_instance *instance, struct vm_store *store)
{
	const struct instance_keep *keep = instance->keep;

	instance->store = store;
	instance->run = &store->run;
	for (uint32_t i = 0; i < keep->global_count; i++)
		keep->globals[i].store = store;
	for (uint32_t i = 0; i < keep->tag_count; i++)
		keep->tags[i].store = store;
}

struct vm_instance *
keep_take(struct vm_program *program, struct vm_store *store, const struct vm_tier *tier,
          const void *code)
{
	struct vm_instance *instance = program->can_keep ? program_take_idle(program) : NULL;

	if (instance == NULL)
		return NULL;
	if (!is_current(instance, tier, code)) {
		discard(store->engine, program, instance);
		return NULL;
	}
	const struct instance_keep *keep = instance->keep;
	if (!admit(keep, store)) {
		if (!program_give_idle(program, instance))
			discard(store->engine, program, instance);
		return NULL;
	}
	if (instance->store != store)
		rebind(instance, store);
	for (uint32_t i = 0; i < keep->memory_count; i++)
		memory_join(&keep->memories[i], store);
	for (uint32_t i = 0; i < keep->table_count; i++)
		table_join(&keep->tables[i], store);
	return instance;
}
