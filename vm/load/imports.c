#include "vm/load/decode.h"

/*
 * Index spaces begin with imports. Their arrays grow with the imports of their kind, and are made
 * anew when the space's own section says how many follow.
 */

/* Room for one more imported entity: capacities double from 8. */
static enum vm_status
grow_space(struct decoder *d, void **array, uint32_t count, size_t size_bytes)
{
	const bool is_full = count == 0 || (count >= 8 && (count & (count - 1)) == 0);

	if (!is_full)
		return VM_OK;
	void *grown = decode_extend(d, *array, count, count == 0 ? 8 : count, size_bytes);
	if (grown == NULL)
		return VM_E_NOMEM;
	*array = grown;
	return VM_OK;
}

static enum vm_status
import_func(struct decoder *d, uint32_t *out_index)
{
	struct vm_module *module = d->module;
	uint32_t type_index;
	const struct vm_type *type;
	enum vm_status st = decode_func_type(d, "function", &type_index, &type);

	if (st == VM_OK)
		st = grow_space(d, (void **)&module->funcs, module->func_count,
		                sizeof *module->funcs);
	if (st != VM_OK)
		return st;
	*out_index = module->func_import_count++;
	module->func_count++;
	module->funcs[*out_index] = (struct module_func){
		.type = type,
		.type_index = type_index,
		.slot = FUNC_NO_SLOT,
	};
	return VM_OK;
}

static enum vm_status
import_table(struct decoder *d, uint32_t *out_index)
{
	struct vm_module *module = d->module;
	struct vm_tabletype type;
	enum vm_status st = decode_table_type(d, &type);

	if (st == VM_OK)
		st = grow_space(d, (void **)&module->tables, module->table_count,
		                sizeof *module->tables);
	if (st != VM_OK)
		return st;
	*out_index = module->table_import_count++;
	module->table_count++;
	module->tables[*out_index].type = type;
	return VM_OK;
}

static enum vm_status
import_memory(struct decoder *d, uint32_t *out_index)
{
	struct vm_module *module = d->module;
	struct vm_memorytype type;
	enum vm_status st = decode_memory_type(d, &type);

	if (st == VM_OK)
		st = grow_space(d, (void **)&module->memories, module->memory_count,
		                sizeof *module->memories);
	if (st != VM_OK)
		return st;
	*out_index = module->memory_import_count++;
	module->memory_count++;
	module->memories[*out_index] = type;
	return VM_OK;
}

static enum vm_status
import_global(struct decoder *d, uint32_t *out_index)
{
	struct vm_module *module = d->module;
	struct vm_globaltype type;
	const uint64_t offset = reader_offset(&d->in.r);
	enum vm_status st = decode_global_type(d, &type);

	if (st == VM_OK && type.is_mutable)
		st = input_use(&d->in, VM_FEATURE_MUTABLE_GLOBALS, offset,
		               "import of a mutable global");
	if (st == VM_OK)
		st = grow_space(d, (void **)&module->globals, module->global_count,
		                sizeof *module->globals);
	if (st != VM_OK)
		return st;
	*out_index = module->global_import_count++;
	module->global_count++;
	module->globals[*out_index].type = type;
	return VM_OK;
}

static enum vm_status
import_tag(struct decoder *d, uint32_t *out_index)
{
	struct vm_module *module = d->module;
	const struct vm_type *type;
	enum vm_status st = decode_tag_type(d, &type);

	if (st == VM_OK)
		st = grow_space(d, (void **)&module->tags, module->tag_count, sizeof *module->tags);
	if (st != VM_OK)
		return st;
	*out_index = module->tag_import_count++;
	module->tag_count++;
	module->tags[*out_index] = type;
	return VM_OK;
}

static enum vm_status
read_import_name(struct decoder *d, const char *what, struct vm_str *out)
{
	const uint64_t offset = reader_offset(&d->in.r);
	enum vm_status st = input_name(&d->in, what, out);

	if (st == VM_OK && out->len > d->engine->limits.name_bytes_max)
		st = decode_fail(d, VM_E_LIMIT, offset, "%s of %zu bytes, the limit is %llu", what,
		                 out->len, (unsigned long long)d->engine->limits.name_bytes_max);
	return st;
}

static enum vm_status
read_import(struct decoder *d, struct module_import *out)
{
	uint8_t kind;
	enum vm_status st = read_import_name(d, "a module name", &out->module);

	if (st == VM_OK)
		st = read_import_name(d, "an import's name", &out->name);
	const uint64_t offset = reader_offset(&d->in.r);
	if (st == VM_OK)
		st = input_u8(&d->in, "an import kind", &kind);
	if (st != VM_OK)
		return st;
	out->kind = (enum vm_extern_kind)kind;
	switch (kind) {
	case VM_EXTERN_FUNC:
		return import_func(d, &out->index);
	case VM_EXTERN_TABLE:
		return import_table(d, &out->index);
	case VM_EXTERN_MEMORY:
		return import_memory(d, &out->index);
	case VM_EXTERN_GLOBAL:
		return import_global(d, &out->index);
	case VM_EXTERN_TAG:
		return import_tag(d, &out->index);
	default:
		return decode_fail(d, VM_E_MALFORMED, offset, "malformed import kind: 0x%02x",
		                   kind);
	}
}

/* Imports count towards the limits of the index spaces. */
static enum vm_status
check_limits(struct decoder *d, uint64_t offset)
{
	const struct vm_limits *limits = &d->engine->limits;
	const struct vm_module *module = d->module;
	const struct {
		const char *what;
		uint32_t count;
		uint64_t limit;
	} spaces[] = {
		{ "functions", module->func_count, limits->functions_max },
		{ "tables", module->table_count, limits->tables_max },
		{ "memories", module->memory_count, limits->memories_max },
		{ "globals", module->global_count, limits->globals_max },
		{ "tags", module->tag_count, limits->tags_max },
	};

	for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
		if (spaces[i].count > spaces[i].limit)
			return decode_fail(d, VM_E_LIMIT, offset,
			                   "%u %s imported, the limit is %llu",
			                   (unsigned)spaces[i].count, spaces[i].what,
			                   (unsigned long long)spaces[i].limit);
	}
	return decode_check_counts(d, offset);
}

enum vm_status
decode_imports(struct decoder *d)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct vm_module *module = d->module;
	uint32_t count;
	enum vm_status st = input_count(&d->in, "imports", d->engine->limits.imports_max, &count);

	if (st != VM_OK)
		return st;
	module->imports = decode_alloc(d, count, sizeof *module->imports);
	if (module->imports == NULL)
		return VM_E_NOMEM;
	for (; module->import_count < count && st == VM_OK; module->import_count++)
		st = read_import(d, &module->imports[module->import_count]);
	return st == VM_OK ? check_limits(d, offset) : st;
}
