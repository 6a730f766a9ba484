#include "vm/rt/instance.h"

#include <errno.h>
#include <string.h>
#include "vm/rt/image.h"
#include "vm/rt/keep.h"
#include "vm/rt/memory.h"
#include "vm/native.h"
#include "vm/rt/table.h"

/* --- the object ------------------------------------------------------------------------------- */

/* The object and its empty index spaces, in the store. */
static struct vm_instance *
instance_alloc(struct vm_program *program, struct vm_store *store, const struct vm_tier *tier)
{
	const struct instance_layout *at = &program->layout;
	struct vm_module *module = program->module;
	char *block = engine_alloc(store->engine, at->size_bytes);

	if (block == NULL)
		return NULL;
	memset(block, 0, at->funcs); /* functions are filled in whole */
	struct vm_instance *instance = (struct vm_instance *)(void *)block;
	instance->run = &store->run;
	instance->memories = (struct vm_memory **)(void *)(block + at->memories);
	instance->tables = (struct vm_table **)(void *)(block + at->tables);
	instance->globals = (union global_cell **)(void *)(block + at->globals);
	instance->imported_funcs = (struct vm_func **)(void *)(block + at->imported_funcs);
	instance->funcs = (struct vm_func *)(void *)(block + at->funcs);
	instance->data_sizes =
	    module->has_data_count ? (uint64_t *)(void *)(block + at->data_sizes) : NULL;
	instance->elems = (struct elem_instance *)(void *)(block + at->elems);
	instance->tags = (struct vm_tag **)(void *)(block + at->tags);
	instance->types = module->types;
	instance->module = module;
	instance->store = store;
	instance->tier = tier;
	instance->builtins = tier->builtins;
	instance->program = program;
	return instance;
}

/* From here on it ends with the store. */
static void
instance_join(struct vm_instance *instance, struct vm_store *store)
{
	(void)vm_program_ref(instance->program);
	instance->next = store->instances;
	store->instances = instance;
	store->instance_count++;
}

void
instance_end(struct vm_instance *instance)
{
	struct vm_program *program = instance->program;

	if (instance->keep != NULL)
		keep_give(instance);
	else
		engine_free(program->module->engine, instance);
	vm_program_unref(program);
}

/* --- imports and functions ------------------------------------------------------------------ */

static void
imports_fill(struct vm_instance *instance)
{
	const struct vm_program *program = instance->program;
	const struct vm_module *module = instance->module;
	struct vm_func *host_funcs =
	    (struct vm_func *)(void *)((char *)instance + program->layout.host_funcs);

	for (uint32_t i = 0; i < module->import_count; i++) {
		const struct program_import *from = &program->imports[i];
		uint32_t index = module->imports[i].index;

		if (from->host != NULL) {
			*host_funcs = (struct vm_func){
				.entry = host_entry,
				.type = from->host->func.type,
				.native = native_out,
				.native_context = host_funcs,
				.instance = instance,
				.code = &from->host->func,
				.index = index,
				.is_host = true,
				.call = func_call,
			};
			instance->imported_funcs[index] = host_funcs++;
			continue;
		}
		switch (from->ext.kind) {
		case VM_EXTERN_FUNC:
			instance->imported_funcs[index] = from->ext.of.func;
			break;
		case VM_EXTERN_TABLE:
			instance->tables[index] = from->ext.of.table;
			break;
		case VM_EXTERN_MEMORY:
			instance->memories[index] = from->ext.of.memory;
			break;
		case VM_EXTERN_GLOBAL:
			instance->globals[index] = &from->ext.of.global->cell;
			break;
		case VM_EXTERN_TAG:
			instance->tags[index] = from->ext.of.tag;
			break;
		}
	}
}

/* Function objects, for those that can be referenced. */
static void
funcs_fill(struct vm_instance *instance)
{
	const struct vm_module *module = instance->module;
	const struct vm_tier *tier = instance->tier;

	if (module->func_slot_count == 0)
		return;
	for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
		if (module->funcs[i].slot == FUNC_NO_SLOT)
			continue;
		struct vm_func *func = &instance->funcs[module->funcs[i].slot];
		bool is_native = tier->func_native != NULL;
		*func = (struct vm_func){
			.entry = tier->entry,
			.type = module->funcs[i].type,
			.native = is_native ? tier->func_native(instance->code, i) : native_out,
			.native_context = is_native ? (void *)instance : (void *)func,
			.instance = instance,
			.code = tier->func_code(instance->code, i),
			.index = i,
			.call = tier->func_caller != NULL
			            ? tier->func_caller(module->funcs[i].type)
			            : func_call,
		};
	}
}

/* --- definitions ---------------------------------------------------------------------------- */

static enum vm_status
memories_make(struct vm_instance *instance, struct vm_error *err)
{
	const struct vm_module *module = instance->module;
	struct vm_memory *own =
	    (struct vm_memory *)(void *)((char *)instance + instance->program->layout.own_memories);

	for (uint32_t i = module->memory_import_count; i < module->memory_count; i++) {
		enum vm_status st = memory_make(own, instance->store, &module->memories[i], err);
		if (st != VM_OK)
			return st;
		instance->memories[i] = own++;
	}
	if (module->memory_count > 0)
		instance->memory0 = instance->memories[0]->base;
	return VM_OK;
}

static enum vm_status
globals_make(struct vm_instance *instance, struct vm_error *err)
{
	const struct vm_module *module = instance->module;
	struct vm_global *own =
	    (struct vm_global *)(void *)((char *)instance + instance->program->layout.own_globals);

	for (uint32_t i = module->global_import_count; i < module->global_count; i++, own++) {
		const struct module_global *global = &module->globals[i];
		enum vm_status st = constexpr_eval(instance, &global->init, &own->cell, err);
		if (st != VM_OK)
			return st;
		own->type = global->type;
		own->store = instance->store;
		instance->globals[i] = &own->cell;
	}
	return VM_OK;
}

static enum vm_status
tables_make(struct vm_instance *instance, struct vm_error *err)
{
	const struct vm_module *module = instance->module;
	struct vm_table *own =
	    (struct vm_table *)(void *)((char *)instance + instance->program->layout.own_tables);

	for (uint32_t i = module->table_import_count; i < module->table_count; i++) {
		const struct module_table *table = &module->tables[i];
		union global_cell init = { .u64 = { 0, 0 } };
		enum vm_status st = VM_OK;

		if (table->has_init)
			st = constexpr_eval(instance, &table->init, &init, err);
		if (st == VM_OK)
			st = table_make(own, instance->store, &table->type, init.slot.ref, err);
		if (st != VM_OK)
			return st;
		instance->tables[i] = own++;
	}
	return VM_OK;
}

static void
tags_make(struct vm_instance *instance)
{
	const struct vm_module *module = instance->module;
	struct vm_tag *own =
	    (struct vm_tag *)(void *)((char *)instance + instance->program->layout.own_tags);

	for (uint32_t i = module->tag_import_count; i < module->tag_count; i++, own++) {
		*own = (struct vm_tag){ .type = module->tags[i], .store = instance->store };
		instance->tags[i] = own;
	}
}

/* The references of a segment that is written as expressions. */
static enum vm_status
elem_evaluate(struct vm_instance *instance, uint32_t segment, struct vm_error *err)
{
	const struct module_elem *elem = &instance->module->elems[segment];
	struct vm_store *store = instance->store;
	uint64_t size_bytes = (uint64_t)elem->count * sizeof(void *);

	if (!vm_store_memory_take(store, size_bytes))
		return vm_error_set(err, VM_E_LIMIT, elem->at,
		                    "element segment %u needs %llu bytes, %llu of %llu are in use",
		                    segment, (unsigned long long)size_bytes,
		                    (unsigned long long)store->memory_bytes,
		                    (unsigned long long)store->config.memory_bytes_max);
	void **elems = store_alloc(store, size_bytes);
	if (elems == NULL) {
		vm_store_memory_give(store, size_bytes);
		return vm_error_set(err, VM_E_NOMEM, elem->at, "out of memory");
	}
	for (uint32_t i = 0; i < elem->count; i++) {
		union global_cell value;
		enum vm_status st = constexpr_eval(instance, &elem->exprs[i], &value, err);
		if (st != VM_OK)
			return st;
		elems[i] = value.slot.ref;
	}
	instance->elems[segment].elems = elems;
	return VM_OK;
}

static enum vm_status
segments_make(struct vm_instance *instance, struct vm_error *err)
{
	const struct vm_module *module = instance->module;

	for (uint32_t i = 0; i < module->elem_count; i++) {
		const struct module_elem *elem = &module->elems[i];

		if (elem->mode == SEGMENT_DECLARATIVE)
			continue;
		if (elem->funcs == NULL) {
			enum vm_status st = elem_evaluate(instance, i, err);
			if (st != VM_OK)
				return st;
		}
		instance->elems[i].count = elem->count;
	}
	for (uint32_t i = 0; instance->data_sizes != NULL && i < module->data_count; i++)
		instance->data_sizes[i] = module->datas[i].size;
	return VM_OK;
}

/* --- active segments ------------------------------------------------------------------------ */

static enum vm_status
offset_eval(struct vm_instance *instance, const struct const_expr *expr, bool is_64, uint64_t *out,
            struct vm_error *err)
{
	union global_cell cell;
	enum vm_status st = constexpr_eval(instance, expr, &cell, err);

	if (st == VM_OK)
		*out = is_64 ? cell.slot.u64 : cell.slot.u32;
	return st;
}

static enum vm_status
elem_misfit(uint32_t segment, const struct module_elem *elem, const struct vm_table *table,
            uint64_t index, enum vm_status st, struct vm_error *err)
{
	(void)vm_error_trap(
	    err, VM_TRAP_TABLE_BOUNDS,
	    "out of bounds table access: element segment %u has %u elements for index "
	    "%llu of table %u, which has %llu",
	    segment, elem->count, (unsigned long long)index, elem->table,
	    (unsigned long long)table->size);
	if (err != NULL) {
		err->status = st;
		err->trap = st == VM_TRAP ? VM_TRAP_TABLE_BOUNDS : VM_TRAP_NONE;
		err->offset = elem->at;
	}
	return st;
}

static enum vm_status
data_misfit(uint32_t segment, const struct module_data *data, const struct vm_memory *memory,
            uint64_t address, enum vm_status st, struct vm_error *err)
{
	(void)vm_error_trap(
	    err, VM_TRAP_MEMORY_BOUNDS,
	    "out of bounds memory access: data segment %u has %llu bytes for address "
	    "%llu of memory %u, which has %llu",
	    segment, (unsigned long long)data->size, (unsigned long long)address, data->memory,
	    (unsigned long long)memory->size);
	if (err != NULL) {
		err->status = st;
		err->trap = st == VM_TRAP ? VM_TRAP_MEMORY_BOUNDS : VM_TRAP_NONE;
		err->offset = data->at;
	}
	return st;
}

/* Version 1.0: a segment that does not fit is noticed before anything is written. */
static enum vm_status
segments_check(struct vm_instance *instance, struct vm_error *err)
{
	const struct vm_module *module = instance->module;
	uint64_t at = 0;
	enum vm_status st;

	for (uint32_t i = 0; i < module->elem_count; i++) {
		const struct module_elem *elem = &module->elems[i];
		const struct vm_table *table = instance->tables[elem->table];

		st = offset_eval(instance, &elem->offset, table->type.is_64, &at, err);
		if (st != VM_OK)
			return st;
		if (at > table->size || elem->count > table->size - at)
			return elem_misfit(i, elem, table, at, VM_E_LINK, err);
	}
	for (uint32_t i = 0; i < module->data_count; i++) {
		const struct module_data *data = &module->datas[i];
		const struct vm_memory *memory = instance->memories[data->memory];

		st = offset_eval(instance, &data->offset, memory->type.is_64, &at, err);
		if (st != VM_OK)
			return st;
		if (at > memory->size || data->size > memory->size - at)
			return data_misfit(i, data, memory, at, VM_E_LINK, err);
	}
	return VM_OK;
}

static enum vm_status
elems_apply(struct vm_instance *instance, struct vm_error *err)
{
	const struct vm_module *module = instance->module;

	for (uint32_t i = 0; i < module->elem_count; i++) {
		const struct module_elem *elem = &module->elems[i];
		uint64_t at = 0;

		if (elem->mode != SEGMENT_ACTIVE)
			continue;
		struct vm_table *table = instance->tables[elem->table];
		enum vm_status st =
		    offset_eval(instance, &elem->offset, table->type.is_64, &at, err);
		if (st != VM_OK)
			return st;
		enum vm_trap trap = table_init(instance, i, table, at, 0, elem->count);
		if (trap == VM_TRAP_TABLE_BOUNDS)
			return elem_misfit(i, elem, table, at, VM_TRAP, err);
		if (trap != VM_TRAP_NONE)
			return rt_stopped(instance->run, err);
		elem_drop(instance, i);
	}
	return VM_OK;
}

/* All at once: the image has been planned so that no segment can fail. */
static enum vm_status
datas_map(struct vm_instance *instance, const struct memory_image *image, struct vm_error *err)
{
	const struct vm_module *module = instance->module;

	if (!memory_map_image(instance->memories[0], image))
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET,
		                    "cannot map the initial contents of a memory: %s",
		                    strerror(errno));
	for (uint32_t i = 0; instance->data_sizes != NULL && i < module->data_count; i++) {
		if (module->datas[i].mode == SEGMENT_ACTIVE)
			data_drop(instance, i);
	}
	return VM_OK;
}

static enum vm_status
datas_apply(struct vm_instance *instance, struct vm_error *err)
{
	const struct vm_module *module = instance->module;
	const struct memory_image *image = program_image(instance->program);

	if (image != NULL)
		return datas_map(instance, image, err);
	for (uint32_t i = 0; i < module->data_count; i++) {
		const struct module_data *data = &module->datas[i];
		uint64_t at = 0;

		if (data->mode != SEGMENT_ACTIVE)
			continue;
		struct vm_memory *memory = instance->memories[data->memory];
		enum vm_status st =
		    offset_eval(instance, &data->offset, memory->type.is_64, &at, err);
		if (st != VM_OK)
			return st;
		enum vm_trap trap =
		    memory_write(instance->run, memory, at, data->bytes, data->size);
		if (trap == VM_TRAP_MEMORY_BOUNDS)
			return data_misfit(i, data, memory, at, VM_TRAP, err);
		if (trap != VM_TRAP_NONE)
			return rt_stopped(instance->run, err);
		if (instance->data_sizes != NULL)
			data_drop(instance, i);
	}
	return VM_OK;
}

/* --- the whole ------------------------------------------------------------------------------ */

const struct vm_tier *
instance_tier(const struct vm_module *module, const struct vm_store *store)
{
	switch (store->config.tier) {
	case VM_TIER_INTERP:
		return &vm_tier_interp;
	case VM_TIER_NATIVE:
		return &vm_tier_native;
	case VM_TIER_BEST:
		break;
	}
	return vm_module_has_native(module, store->run.metered) ? &vm_tier_native : &vm_tier_interp;
}

static enum vm_status
features_check(const struct vm_module *module, const struct vm_tier *tier, struct vm_error *err)
{
	vm_features missing = module->features_used & tier->unsupported;

	for (unsigned int i = 0; i < VM_FEATURE_COUNT; i++) {
		if (missing >> i & 1)
			return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
			                    "the module uses %s, which the %s tier does not run",
			                    vm_feature_name((enum vm_feature)i), tier->name);
	}
	return VM_OK;
}

static enum vm_status
start_call(struct vm_instance *instance, struct vm_error *err)
{
	if (!instance->module->has_start)
		return VM_OK;

	union vm_slot none = { .u64 = 0 };
	return func_call(instance_func(instance, instance->module->start), &none, err);
}

/* Everything that may have effects or fail half-way. */
static enum vm_status
instance_build(struct vm_instance *instance, struct vm_error *err)
{
	const vm_features features = instance->store->engine->features;
	enum vm_status st;

	imports_fill(instance);
	funcs_fill(instance);
	tags_make(instance);
	st = memories_make(instance, err);
	if (st == VM_OK)
		st = globals_make(instance, err);
	if (st == VM_OK)
		st = tables_make(instance, err);
	if (st == VM_OK)
		st = segments_make(instance, err);
	if (st == VM_OK && !(features & VM_FEATURE_BIT(BULK_MEMORY)))
		st = segments_check(instance, err);
	if (st == VM_OK)
		st = elems_apply(instance, err);
	return st;
}

/* The contents of memories, and what the guest does first. */
static enum vm_status
instance_begin(struct vm_instance *instance, struct vm_error *err)
{
	struct instance_keep *keep = instance->keep;

	if (keep == NULL || !keep->has_data) {
		enum vm_status st = datas_apply(instance, err);
		if (st != VM_OK)
			return st;
	}
	if (keep != NULL)
		keep->has_data = true;
	else
		keep_make(instance);
	return start_call(instance, err);
}

enum vm_status
instance_make(struct vm_program *program, struct vm_store *store, const struct vm_tier *tier,
              struct vm_instance **out_instance, struct vm_error *err)
{
	void *code = NULL;
	enum vm_status st = rt_stopped(&store->run, err);

	if (st == VM_OK)
		st = features_check(program->module, tier, err);
	if (st != VM_OK)
		return st;
	if (store->instance_count >= store->config.instances_max)
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "the store has %u instances, its limit", store->instance_count);
	st = tier->module_code(program->module, store->run.metered, &code, err);
	if (st != VM_OK)
		return st;

	struct vm_instance *instance = keep_take(program, store, tier, code);
	bool is_new = instance == NULL;
	if (is_new)
		instance = instance_alloc(program, store, tier);
	if (instance == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	instance->code = code;
	instance_join(instance, store);
	if (is_new)
		st = instance_build(instance, err);
	if (st == VM_OK)
		st = instance_begin(instance, err);
	if (st == VM_OK)
		*out_instance = instance;
	return st;
}

/* --- the embedder's side -------------------------------------------------------------------- */

/* Of a cell, the global around it: the cell is its first member. */
static struct vm_global *
global_of_cell(union global_cell *cell)
{
	return (struct vm_global *)(void *)cell;
}

void
vm_instance_export_at(struct vm_instance *instance, uint32_t index, struct vm_extern *out)
{
	const struct module_export *export = &instance->module->exports[index];

	out->kind = export->kind;
	switch (export->kind) {
	case VM_EXTERN_FUNC:
		out->of.func = instance_func(instance, export->index);
		break;
	case VM_EXTERN_TABLE:
		out->of.table = instance->tables[export->index];
		break;
	case VM_EXTERN_MEMORY:
		out->of.memory = instance->memories[export->index];
		break;
	case VM_EXTERN_GLOBAL:
		out->of.global = global_of_cell(instance->globals[export->index]);
		break;
	case VM_EXTERN_TAG:
		out->of.tag = instance->tags[export->index];
		break;
	}
}

enum vm_status
vm_instance_export(struct vm_instance *instance, struct vm_str name, struct vm_extern *out,
                   struct vm_error *err)
{
	uint32_t index;

	if (!vm_module_find_export(instance->module, name, &index))
		return vm_error_set(err, VM_E_NOT_FOUND, VM_NO_OFFSET,
		                    "the module has no export \"%.*s\"",
		                    name.len < 100 ? (int)name.len : 100, name.data);
	vm_instance_export_at(instance, index, out);
	return VM_OK;
}

struct vm_module *
vm_instance_module(const struct vm_instance *instance)
{
	return instance->module;
}

const char *
vm_instance_tier(const struct vm_instance *instance)
{
	return instance->tier->name;
}

struct vm_store *
vm_instance_store(const struct vm_instance *instance)
{
	return instance->store;
}

struct vm_memory *
vm_instance_memory(const struct vm_instance *instance, uint32_t index)
{
	return index < instance->module->memory_count ? instance->memories[index] : NULL;
}

void
vm_extern_type(const struct vm_extern *ext, struct vm_externtype *out)
{
	out->kind = ext->kind;
	switch (ext->kind) {
	case VM_EXTERN_FUNC:
		out->of.func = ext->of.func->type->func;
		break;
	case VM_EXTERN_TABLE:
		vm_table_type(ext->of.table, &out->of.table);
		break;
	case VM_EXTERN_MEMORY:
		vm_memory_type(ext->of.memory, &out->of.memory);
		break;
	case VM_EXTERN_GLOBAL:
		out->of.global = ext->of.global->type;
		break;
	case VM_EXTERN_TAG:
		out->of.func = ext->of.tag->type->func;
		break;
	}
}
