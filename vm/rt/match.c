#include "vm/rt/match.h"

#include <stdarg.h>
#include <stdio.h>
#include "vm/rt/store.h"

/* --- matching ------------------------------------------------------------------------------- */

static bool
limits_match(uint64_t size, bool has_max, uint64_t max, uint64_t want_min, bool want_has_max,
             uint64_t want_max)
{
	return size >= want_min && (!want_has_max || (has_max && max <= want_max));
}

static bool
table_matches(const struct vm_engine *engine, const struct vm_table *table,
              const struct vm_tabletype *want)
{
	const struct vm_tabletype *type = &table->type;

	return type->is_64 == want->is_64 &&
	       valtype_is_subtype(engine, type->element, want->element) &&
	       valtype_is_subtype(engine, want->element, type->element) &&
	       limits_match(table->size, type->has_max, type->max, want->min, want->has_max,
	                    want->max);
}

static bool
memory_matches(const struct vm_memory *memory, const struct vm_memorytype *want)
{
	const struct vm_memorytype *type = &memory->type;

	return type->is_64 == want->is_64 && type->is_shared == want->is_shared &&
	       limits_match(memory->pages, type->has_max, type->max, want->min, want->has_max,
	                    want->max);
}

static bool
global_matches(const struct vm_engine *engine, const struct vm_globaltype *type,
               const struct vm_globaltype *want)
{
	return type->is_mutable == want->is_mutable &&
	       valtype_is_subtype(engine, type->content, want->content) &&
	       (!want->is_mutable || valtype_is_subtype(engine, want->content, type->content));
}

bool
match_func(const struct vm_module *module, const struct module_import *import,
           const struct vm_type *found)
{
	return import->kind == VM_EXTERN_FUNC &&
	       type_is_subtype(found, module->funcs[import->index].type);
}

bool
match_extern(const struct vm_module *module, const struct module_import *import,
             const struct vm_extern *found)
{
	const struct vm_engine *engine = module->engine;

	if (import->kind != found->kind)
		return false;
	switch (found->kind) {
	case VM_EXTERN_FUNC:
		return match_func(module, import, found->of.func->type);
	case VM_EXTERN_TABLE:
		return table_matches(engine, found->of.table, &module->tables[import->index].type);
	case VM_EXTERN_MEMORY:
		return memory_matches(found->of.memory, &module->memories[import->index]);
	case VM_EXTERN_GLOBAL:
		return global_matches(engine, &found->of.global->type,
		                      &module->globals[import->index].type);
	case VM_EXTERN_TAG:
		return found->of.tag->type == module->tags[import->index];
	}
	return false;
}

/* --- saying what does not match -------------------------------------------------------------- */

struct text {
	char data[120];
	size_t len;
};

static void add(struct text *text, const char *format, ...) VM_PRINTF(2, 3);

static void
add(struct text *text, const char *format, ...)
{
	size_t room = sizeof(text->data) - text->len;
	va_list ap;

	va_start(ap, format);
	int len = vsnprintf(text->data + text->len, room, format, ap);
	va_end(ap);
	if (len > 0)
		text->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void
add_types(struct text *text, const vm_valtype *types, uint32_t count)
{
	char name[VM_VALTYPE_TEXT_MAX];

	add(text, "(");
	for (uint32_t i = 0; i < count && i < 8; i++)
		add(text, "%s%s", i > 0 ? ", " : "", vm_valtype_text(types[i], name, sizeof(name)));
	add(text, "%s)", count > 8 ? ", ..." : "");
}

static void
add_func(struct text *text, const struct vm_functype *type)
{
	add(text, "func ");
	add_types(text, type->params, type->param_count);
	add(text, " -> ");
	add_types(text, type->results, type->result_count);
}

static void
add_limits(struct text *text, bool is_64, uint64_t min, bool has_max, uint64_t max)
{
	add(text, "%s of %llu", is_64 ? " (64-bit)" : "", (unsigned long long)min);
	if (has_max)
		add(text, " to %llu", (unsigned long long)max);
	else
		add(text, " or more");
}

static void
add_type(struct text *text, const struct vm_externtype *type)
{
	char name[VM_VALTYPE_TEXT_MAX];

	switch (type->kind) {
	case VM_EXTERN_FUNC:
		add_func(text, &type->of.func);
		break;
	case VM_EXTERN_TABLE:
		add(text, "table of %s",
		    vm_valtype_text(type->of.table.element, name, sizeof(name)));
		add_limits(text, type->of.table.is_64, type->of.table.min, type->of.table.has_max,
		           type->of.table.max);
		add(text, " elements");
		break;
	case VM_EXTERN_MEMORY:
		add(text, "%smemory", type->of.memory.is_shared ? "shared " : "");
		add_limits(text, type->of.memory.is_64, type->of.memory.min,
		           type->of.memory.has_max, type->of.memory.max);
		add(text, " pages");
		break;
	case VM_EXTERN_GLOBAL:
		add(text, "%s global of %s", type->of.global.is_mutable ? "mutable" : "immutable",
		    vm_valtype_text(type->of.global.content, name, sizeof(name)));
		break;
	case VM_EXTERN_TAG:
		add(text, "tag ");
		add_types(text, type->of.func.params, type->of.func.param_count);
		break;
	}
}

enum vm_status
match_failed(const struct vm_module *module, uint32_t import, const struct vm_extern *found,
             const struct vm_type *found_func, struct vm_error *err)
{
	struct vm_import wanted;
	struct text expected = { .len = 0 }, got = { .len = 0 };

	vm_module_import(module, import, &wanted);
	add_type(&expected, &wanted.type);
	if (found_func != NULL) {
		add_func(&got, &found_func->func);
	} else if (found != NULL) {
		struct vm_externtype type;
		vm_extern_type(found, &type);
		add_type(&got, &type);
	} else {
		add(&got, "nothing: define it in the linker");
	}
	return vm_error_set(err, VM_E_LINK, VM_NO_OFFSET,
	                    "import %u \"%.*s\" \"%.*s\": expected %s, found %s", import,
	                    wanted.module.len < 40 ? (int)wanted.module.len : 40,
	                    wanted.module.data, wanted.name.len < 60 ? (int)wanted.name.len : 60,
	                    wanted.name.data, expected.data, got.data);
}
