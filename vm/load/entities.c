/* Functions, tables, memories, tags, globals, exports, the start function. */
#include "vm/load/decode.h"

#include "vm/base/str.h"

/* --- types of entities (5.3) ----------------------------------------------------------------- */

enum vm_status
decode_func_type(struct decoder *d, const char *what, uint32_t *out_index,
                 const struct vm_type **out)
{
	const uint64_t offset = reader_offset(&d->in.r);
	uint32_t index;
	enum vm_status st = input_u32(&d->in, "a type index", &index);

	if (st != VM_OK)
		return st;
	if (index >= d->module->type_count)
		return decode_fail(d, VM_E_INVALID, offset, "unknown type %u of a %s, there are %u",
		                   (unsigned)index, what, (unsigned)d->module->type_count);
	*out = d->module->types[index];
	*out_index = index;
	if ((*out)->kind != COMP_FUNC)
		return decode_fail(d, VM_E_INVALID, offset,
		                   "type %u of a %s is not a function type", (unsigned)index, what);
	return VM_OK;
}

enum limit_flags { LIMIT_HAS_MAX = 1, LIMIT_SHARED = 2, LIMIT_64 = 4 };

struct limits {
	uint64_t min, max;
	uint8_t flags;
};

/* Since 64-bit memories there are, all limits are read as 64-bit numbers. */
static enum vm_status
read_limit(struct decoder *d, const char *what, uint64_t *out)
{
	uint32_t narrow;

	if (input_has(&d->in, VM_FEATURE_MEMORY64))
		return input_u64(&d->in, what, out);
	enum vm_status st = input_u32(&d->in, what, &narrow);
	if (st == VM_OK)
		*out = narrow;
	return st;
}

static enum vm_status
read_limits(struct decoder *d, uint8_t flags_known, struct limits *out)
{
	const uint64_t offset = reader_offset(&d->in.r);
	enum vm_status st = input_u8(&d->in, "limits", &out->flags);

	if (st != VM_OK)
		return st;
	if ((out->flags & ~flags_known) != 0)
		return decode_fail(d, VM_E_MALFORMED, offset, "malformed limits flags: 0x%02x",
		                   out->flags);
	if ((out->flags & LIMIT_64) != 0)
		st = input_use(&d->in, VM_FEATURE_MEMORY64, offset, "a 64-bit address type");
	if (st == VM_OK && (out->flags & LIMIT_SHARED) != 0)
		st = input_use(&d->in, VM_FEATURE_THREADS, offset, "a shared memory");
	if (st == VM_OK && (out->flags & LIMIT_SHARED) != 0 && (out->flags & LIMIT_HAS_MAX) == 0)
		st = decode_fail(d, VM_E_INVALID, offset, "shared memory must have maximum");
	if (st == VM_OK)
		st = read_limit(d, "a minimum", &out->min);
	out->max = 0;
	if (st == VM_OK && (out->flags & LIMIT_HAS_MAX) != 0)
		st = read_limit(d, "a maximum", &out->max);
	return st;
}

static enum vm_status
check_limits(struct decoder *d, const struct limits *limits, uint64_t most, const char *what,
             uint64_t offset)
{
	const bool has_max = (limits->flags & LIMIT_HAS_MAX) != 0;

	if (limits->min > most || (has_max && limits->max > most))
		return decode_fail(d, VM_E_INVALID, offset, "%s must be at most %llu", what,
		                   (unsigned long long)most);
	if (has_max && limits->min > limits->max)
		return decode_fail(d, VM_E_INVALID, offset,
		                   "size minimum must not be greater than maximum: %llu > %llu",
		                   (unsigned long long)limits->min,
		                   (unsigned long long)limits->max);
	return VM_OK;
}

enum vm_status
decode_table_type(struct decoder *d, struct vm_tabletype *out)
{
	const struct type_scope scope = { .module = d->module };
	struct limits limits;
	enum vm_status st = type_read_ref(&d->in, &scope, &out->element);
	const uint64_t offset = reader_offset(&d->in.r);

	if (st == VM_OK)
		st = read_limits(d, LIMIT_HAS_MAX | LIMIT_64, &limits);
	if (st != VM_OK)
		return st;
	out->is_64 = (limits.flags & LIMIT_64) != 0;
	out->has_max = (limits.flags & LIMIT_HAS_MAX) != 0;
	out->min = limits.min;
	out->max = limits.max;
	return check_limits(d, &limits, out->is_64 ? UINT64_MAX : UINT32_MAX, "table size", offset);
}

enum vm_status
decode_memory_type(struct decoder *d, struct vm_memorytype *out)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct limits limits;
	enum vm_status st = read_limits(d, LIMIT_HAS_MAX | LIMIT_SHARED | LIMIT_64, &limits);

	if (st != VM_OK)
		return st;
	out->is_64 = (limits.flags & LIMIT_64) != 0;
	out->is_shared = (limits.flags & LIMIT_SHARED) != 0;
	out->has_max = (limits.flags & LIMIT_HAS_MAX) != 0;
	out->min = limits.min;
	out->max = limits.max;
	return check_limits(d, &limits, UINT64_C(1) << (out->is_64 ? 48 : 16),
	                    "memory size in pages", offset);
}

static enum vm_status
read_mutability(struct decoder *d, bool *out)
{
	const uint64_t offset = reader_offset(&d->in.r);
	uint8_t flag;
	enum vm_status st = input_u8(&d->in, "mutability", &flag);

	if (st == VM_OK && flag > 1)
		st = decode_fail(d, VM_E_MALFORMED, offset, "malformed mutability: 0x%02x", flag);
	*out = st == VM_OK && flag == 1;
	return st;
}

enum vm_status
decode_global_type(struct decoder *d, struct vm_globaltype *out)
{
	const struct type_scope scope = { .module = d->module };
	enum vm_status st = type_read_value(&d->in, &scope, &out->content);

	return st == VM_OK ? read_mutability(d, &out->is_mutable) : st;
}

enum vm_status
decode_tag_type(struct decoder *d, const struct vm_type **out)
{
	const uint64_t offset = reader_offset(&d->in.r);
	uint8_t attribute;
	uint32_t index;
	enum vm_status st = input_use(&d->in, VM_FEATURE_EXCEPTIONS, offset, "a tag");

	if (st == VM_OK)
		st = input_u8(&d->in, "a tag's attribute", &attribute);
	if (st == VM_OK && attribute != 0)
		st = decode_fail(d, VM_E_MALFORMED, offset, "malformed tag attribute: 0x%02x",
		                 attribute);
	if (st == VM_OK)
		st = decode_func_type(d, "tag", &index, out);
	if (st == VM_OK && (*out)->func.result_count > 0)
		st = decode_fail(d, VM_E_INVALID, offset,
		                 "non-empty tag result type: type %u has %u results",
		                 (unsigned)index, (unsigned)(*out)->func.result_count);
	return st;
}

enum vm_status
decode_check_counts(struct decoder *d, uint64_t offset)
{
	const struct vm_module *module = d->module;
	enum vm_status st = VM_OK;

	if (module->table_count > 1) {
		st = input_use(&d->in, VM_FEATURE_REFERENCE_TYPES, offset,
		               "a module with multiple tables");
	}
	if (st == VM_OK && module->memory_count > 1)
		st = input_use(&d->in, VM_FEATURE_MULTI_MEMORY, offset,
		               "a module with multiple memories");
	return st;
}

/* --- sections -------------------------------------------------------------------------------- */

enum vm_status
decode_functions(struct decoder *d)
{
	struct vm_module *module = d->module;
	uint32_t added;
	enum vm_status st = decode_space(d, "functions", module->func_count,
	                                 d->engine->limits.functions_max, &added);

	if (st != VM_OK)
		return st;
	struct module_func *funcs = decode_extend(d, module->funcs, module->func_count, added,
	                                          sizeof *funcs);
	if (funcs == NULL)
		return VM_E_NOMEM;
	module->funcs = funcs;
	for (uint32_t i = 0; i < added && st == VM_OK; i++) {
		struct module_func *func = &funcs[module->func_count];

		func->slot = FUNC_NO_SLOT;
		st = decode_func_type(d, "function", &func->type_index, &func->type);
		if (st == VM_OK)
			module->func_count++;
	}
	return st;
}

/*
 * A table type, or 0x40 0x00 and a table type with the expression that its elements begin as.
 */
static enum vm_status
read_table(struct decoder *d, struct module_table *out)
{
	enum { WITH_INIT = 0x40 };
	const uint64_t offset = reader_offset(&d->in.r);
	char text[VM_VALTYPE_TEXT_MAX];
	uint8_t byte;
	enum vm_status st = VM_OK;

	out->has_init = reader_left(&d->in.r) > 0 && *d->in.r.next == WITH_INIT;
	if (out->has_init) {
		d->in.r.next++;
		st = input_use(&d->in, VM_FEATURE_FUNCTION_REFERENCES, offset,
		               "a table with an initializer");
		if (st == VM_OK)
			st = input_u8(&d->in, "a zero byte", &byte);
		if (st == VM_OK && byte != 0)
			st = decode_fail(d, VM_E_MALFORMED, offset,
			                 "zero byte expected in a table, got 0x%02x", byte);
	}
	if (st == VM_OK)
		st = decode_table_type(d, &out->type);
	if (st != VM_OK)
		return st;
	if (out->has_init)
		return decode_const(d, out->type.element, &out->init);
	if (!valtype_is_defaultable(out->type.element))
		return decode_fail(d, VM_E_INVALID, offset,
		                   "type mismatch: a table of %s, which has no default value, "
		                   "needs an initializer",
		                   type_text(d->module, out->type.element, text, sizeof text));
	return VM_OK;
}

enum vm_status
decode_tables(struct decoder *d)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct vm_module *module = d->module;
	uint32_t added;
	enum vm_status st = decode_space(d, "tables", module->table_count,
	                                 d->engine->limits.tables_max, &added);

	if (st != VM_OK)
		return st;
	struct module_table *tables = decode_extend(d, module->tables, module->table_count, added,
	                                            sizeof *tables);
	if (tables == NULL)
		return VM_E_NOMEM;
	module->tables = tables;
	for (uint32_t i = 0; i < added && st == VM_OK; i++) {
		st = read_table(d, &tables[module->table_count]);
		if (st == VM_OK)
			module->table_count++;
	}
	return st == VM_OK ? decode_check_counts(d, offset) : st;
}

enum vm_status
decode_memories(struct decoder *d)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct vm_module *module = d->module;
	uint32_t added;
	enum vm_status st = decode_space(d, "memories", module->memory_count,
	                                 d->engine->limits.memories_max, &added);

	if (st != VM_OK)
		return st;
	struct vm_memorytype *memories = decode_extend(d, module->memories, module->memory_count,
	                                               added, sizeof *memories);
	if (memories == NULL)
		return VM_E_NOMEM;
	module->memories = memories;
	for (uint32_t i = 0; i < added && st == VM_OK; i++) {
		st = decode_memory_type(d, &memories[module->memory_count]);
		if (st == VM_OK)
			module->memory_count++;
	}
	return st == VM_OK ? decode_check_counts(d, offset) : st;
}

enum vm_status
decode_tags(struct decoder *d)
{
	struct vm_module *module = d->module;
	uint32_t added;
	enum vm_status st = decode_space(d, "tags", module->tag_count, d->engine->limits.tags_max,
	                                 &added);

	if (st != VM_OK)
		return st;
	const struct vm_type **tags = decode_extend(d, module->tags, module->tag_count, added,
	                                            sizeof *tags);
	if (tags == NULL)
		return VM_E_NOMEM;
	module->tags = tags;
	for (uint32_t i = 0; i < added && st == VM_OK; i++) {
		st = decode_tag_type(d, &tags[module->tag_count]);
		if (st == VM_OK)
			module->tag_count++;
	}
	return st;
}

enum vm_status
decode_globals(struct decoder *d)
{
	struct vm_module *module = d->module;
	uint32_t added;
	enum vm_status st = decode_space(d, "globals", module->global_count,
	                                 d->engine->limits.globals_max, &added);

	if (st != VM_OK)
		return st;
	struct module_global *globals = decode_extend(d, module->globals, module->global_count,
	                                              added, sizeof *globals);
	if (globals == NULL)
		return VM_E_NOMEM;
	module->globals = globals;
	for (uint32_t i = 0; i < added && st == VM_OK; i++) {
		struct module_global *global = &globals[module->global_count];

		st = decode_global_type(d, &global->type);
		if (st == VM_OK)
			st = decode_const(d, global->type.content, &global->init);
		/* Counted only now: expressions see the globals before their own. */
		if (st == VM_OK)
			module->global_count++;
	}
	return st;
}

/* --- exports --------------------------------------------------------------------------------- */

/* Move the entry at root down until the heap of count entries is in order. */
static void
sift_down(const struct module_export *exports, uint32_t *heap, uint32_t root, uint32_t count)
{
	for (;;) {
		uint64_t child = 2 * (uint64_t)root + 1;

		if (child >= count)
			return;
		if (child + 1 < count && str_compare(exports[heap[child]].name,
		                                     exports[heap[child + 1]].name) < 0)
			child++;
		if (str_compare(exports[heap[root]].name, exports[heap[child]].name) >= 0)
			return;
		const uint32_t entry = heap[root];
		heap[root] = heap[child];
		heap[child] = entry;
		root = (uint32_t)child;
	}
}

/* Heap sort: no memory of its own, and no input makes it slow. */
static void
sort_by_name(const struct module_export *exports, uint32_t *indices, uint32_t count)
{
	for (uint32_t root = count / 2; root > 0; root--)
		sift_down(exports, indices, root - 1, count);
	for (uint32_t last = count; last > 1; last--) {
		const uint32_t largest = indices[0];

		indices[0] = indices[last - 1];
		indices[last - 1] = largest;
		sift_down(exports, indices, 0, last - 1);
	}
}

static enum vm_status
index_exports(struct decoder *d, uint64_t offset)
{
	struct vm_module *module = d->module;
	uint32_t *indices = decode_alloc(d, module->export_count, sizeof *indices);

	if (indices == NULL)
		return VM_E_NOMEM;
	for (uint32_t i = 0; i < module->export_count; i++)
		indices[i] = i;
	sort_by_name(module->exports, indices, module->export_count);
	module->exports_by_name = indices;
	for (uint32_t i = 1; i < module->export_count; i++) {
		const struct vm_str name = module->exports[indices[i]].name;

		if (str_compare(module->exports[indices[i - 1]].name, name) == 0)
			return decode_fail(d, VM_E_INVALID, offset,
			                   "duplicate export name \"%.*s\"",
			                   (int)(name.len < 100 ? name.len : 100), name.data);
	}
	return VM_OK;
}

static uint32_t
space_count(const struct vm_module *module, enum vm_extern_kind kind)
{
	switch (kind) {
	case VM_EXTERN_FUNC:
		return module->func_count;
	case VM_EXTERN_TABLE:
		return module->table_count;
	case VM_EXTERN_MEMORY:
		return module->memory_count;
	case VM_EXTERN_GLOBAL:
		return module->global_count;
	case VM_EXTERN_TAG:
		return module->tag_count;
	default:
		return 0;
	}
}

static enum vm_status
read_export(struct decoder *d, struct module_export *out)
{
	uint8_t kind;
	enum vm_status st = input_name(&d->in, "an export's name", &out->name);
	uint64_t offset = reader_offset(&d->in.r);

	if (st == VM_OK && out->name.len > d->engine->limits.name_bytes_max)
		return decode_fail(d, VM_E_LIMIT, offset,
		                   "an export's name of %zu bytes, the limit is %llu",
		                   out->name.len,
		                   (unsigned long long)d->engine->limits.name_bytes_max);
	if (st == VM_OK)
		st = input_u8(&d->in, "an export kind", &kind);
	if (st != VM_OK)
		return st;
	if (kind > VM_EXTERN_TAG)
		return decode_fail(d, VM_E_MALFORMED, offset, "malformed export kind: 0x%02x",
		                   kind);
	out->kind = (enum vm_extern_kind)kind;
	offset = reader_offset(&d->in.r);
	st = input_u32(&d->in, "an index", &out->index);
	if (st != VM_OK)
		return st;
	if (out->index >= space_count(d->module, out->kind))
		return decode_fail(d, VM_E_INVALID, offset, "export of unknown %s %u, there are %u",
		                   vm_extern_kind_text(out->kind), (unsigned)out->index,
		                   (unsigned)space_count(d->module, out->kind));
	if (out->kind == VM_EXTERN_FUNC)
		d->module->funcs[out->index].is_declared = true;
	if (out->kind == VM_EXTERN_GLOBAL && d->module->globals[out->index].type.is_mutable)
		st = input_use(&d->in, VM_FEATURE_MUTABLE_GLOBALS, offset,
		               "export of a mutable global");
	return st;
}

enum vm_status
decode_exports(struct decoder *d)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct vm_module *module = d->module;
	uint32_t count;
	enum vm_status st = input_count(&d->in, "exports", d->engine->limits.exports_max, &count);

	if (st != VM_OK)
		return st;
	module->exports = decode_alloc(d, count, sizeof *module->exports);
	if (module->exports == NULL)
		return VM_E_NOMEM;
	for (; module->export_count < count && st == VM_OK; module->export_count++)
		st = read_export(d, &module->exports[module->export_count]);
	return st == VM_OK ? index_exports(d, offset) : st;
}

enum vm_status
decode_start(struct decoder *d)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct vm_module *module = d->module;
	enum vm_status st = input_u32(&d->in, "the start function", &module->start);

	if (st != VM_OK)
		return st;
	if (module->start >= module->func_count)
		return decode_fail(d, VM_E_INVALID, offset,
		                   "start function: unknown function %u, there are %u",
		                   (unsigned)module->start, (unsigned)module->func_count);
	const struct vm_functype *type = &module->funcs[module->start].type->func;
	if (type->param_count > 0 || type->result_count > 0)
		return decode_fail(d, VM_E_INVALID, offset,
		                   "start function %u has parameters or results",
		                   (unsigned)module->start);
	module->has_start = true;
	return VM_OK;
}
