#include "vm/core/module.h"

#include "vm/base/str.h"

/* --- lifetime -------------------------------------------------------------------------------- */

struct vm_module *
vm_module_ref(struct vm_module *module)
{
	atomic_fetch_add_explicit(&module->refs, 1, memory_order_relaxed);
	return module;
}

static void
free_code(struct vm_module *module)
{
	for (unsigned tier = 0; tier < MODULE_TIERS_MAX; tier++) {
		for (unsigned variant = 0; variant < MODULE_VARIANTS; variant++) {
			struct module_code *slot = &module->code[tier][variant];
			void *code = atomic_load_explicit(&slot->code, memory_order_acquire);

			if (code != NULL)
				slot->free_fn(code);
		}
	}
}

static void
drop_types(struct vm_module *module)
{
	uint32_t i = 0;

	while (i < module->type_count) {
		struct rec_group *group = module->types[i]->group;

		i += rec_group_count(group);
		rec_group_unref(module->engine, group);
	}
}

void
vm_module_unref(struct vm_module *module)
{
	if (module == NULL ||
	    atomic_fetch_sub_explicit(&module->refs, 1, memory_order_acq_rel) > 1)
		return;
	struct vm_engine *engine = module->engine;
	free_code(module);
	drop_types(module);
	arena_free(module->arena);
	vm_engine_unref(engine);
}

/* --- what is in it --------------------------------------------------------------------------- */

const uint8_t *
vm_module_bytes(const struct vm_module *module, size_t *out_len)
{
	*out_len = module->size;
	return module->bytes;
}

vm_features
vm_module_features(const struct vm_module *module)
{
	return module->features_seen;
}

static void
extern_type(const struct vm_module *module, enum vm_extern_kind kind, uint32_t index,
            struct vm_externtype *out)
{
	out->kind = kind;
	switch (kind) {
	case VM_EXTERN_FUNC:
		out->of.func = module->funcs[index].type->func;
		break;
	case VM_EXTERN_TABLE:
		out->of.table = module->tables[index].type;
		break;
	case VM_EXTERN_MEMORY:
		out->of.memory = module->memories[index];
		break;
	case VM_EXTERN_GLOBAL:
		out->of.global = module->globals[index].type;
		break;
	case VM_EXTERN_TAG:
		out->of.func = module->tags[index]->func;
		break;
	}
}

uint32_t
vm_module_import_count(const struct vm_module *module)
{
	return module->import_count;
}

uint32_t
vm_module_export_count(const struct vm_module *module)
{
	return module->export_count;
}

void
vm_module_import(const struct vm_module *module, uint32_t index, struct vm_import *out)
{
	const struct module_import *import = &module->imports[index];

	out->module = import->module;
	out->name = import->name;
	extern_type(module, import->kind, import->index, &out->type);
}

void
vm_module_export(const struct vm_module *module, uint32_t index, struct vm_export *out)
{
	const struct module_export *entry = &module->exports[index];

	out->name = entry->name;
	extern_type(module, entry->kind, entry->index, &out->type);
}

bool
vm_module_find_export(const struct vm_module *module, struct vm_str name, uint32_t *out_index)
{
	uint32_t low = 0, high = module->export_count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		const uint32_t index = module->exports_by_name[middle];
		const int order = str_compare(name, module->exports[index].name);

		if (order == 0) {
			*out_index = index;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

uint32_t
vm_module_section_count(const struct vm_module *module)
{
	return module->section_count;
}

void
vm_module_section(const struct vm_module *module, uint32_t index, struct vm_section *out)
{
	*out = module->sections[index];
}

uint32_t
vm_module_function_count(const struct vm_module *module)
{
	return module->func_count;
}

struct vm_str
vm_module_function_name(const struct vm_module *module, uint32_t function)
{
	if (module->func_names != NULL && module->func_names[function].len > 0)
		return module->func_names[function];
	for (uint32_t i = 0; i < module->export_count; i++) {
		const struct module_export *entry = &module->exports[i];

		if (entry->kind == VM_EXTERN_FUNC && entry->index == function)
			return entry->name;
	}
	return (struct vm_str){ "", 0 };
}

struct vm_functype
vm_module_function_type(const struct vm_module *module, uint32_t function)
{
	return module->funcs[function].type->func;
}

void
vm_module_function_body(const struct vm_module *module, uint32_t function, uint64_t *out_offset,
                        uint64_t *out_size_bytes)
{
	*out_offset = module->funcs[function].body_offset;
	*out_size_bytes = module->funcs[function].body_size;
}
