#include "vm/load/decode.h"

/* Flags of segments: passive, or (active) with an index; of elements also the form of items. */
enum { PASSIVE = 1, WITH_INDEX = 2, DECLARATIVE = 3, WITH_EXPRS = 4 };

static enum vm_status
read_offset(struct decoder *d, bool is_64, struct const_expr *out)
{
	return decode_const(d, is_64 ? VM_I64 : VM_I32, out);
}

/* --- element segments ------------------------------------------------------------------------ */

static enum vm_status
read_item_funcs(struct decoder *d, uint32_t count, struct module_elem *out)
{
	uint32_t *funcs = decode_alloc(d, count, sizeof *funcs);
	enum vm_status st = VM_OK;

	if (funcs == NULL)
		return VM_E_NOMEM;
	for (uint32_t i = 0; i < count && st == VM_OK; i++) {
		const uint64_t offset = reader_offset(&d->in.r);

		st = input_u32(&d->in, "a function", &funcs[i]);
		if (st == VM_OK && funcs[i] >= d->module->func_count)
			st = decode_fail(d, VM_E_INVALID, offset,
			                 "unknown function %u, there are %u", (unsigned)funcs[i],
			                 (unsigned)d->module->func_count);
		if (st == VM_OK)
			d->module->funcs[funcs[i]].is_declared = true;
	}
	out->funcs = funcs;
	return st;
}

static enum vm_status
read_item_exprs(struct decoder *d, uint32_t count, struct module_elem *out)
{
	struct const_expr *exprs = decode_alloc(d, count, sizeof *exprs);
	enum vm_status st = VM_OK;

	if (exprs == NULL)
		return VM_E_NOMEM;
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = decode_const(d, out->type, &exprs[i]);
	out->exprs = exprs;
	return st;
}

static enum vm_status
read_items(struct decoder *d, bool with_exprs, struct module_elem *out)
{
	uint32_t count;
	enum vm_status st = input_count(&d->in, "items of an element segment",
	                                d->engine->limits.elem_items_max, &count);

	if (st != VM_OK)
		return st;
	out->count = count;
	return with_exprs ? read_item_exprs(d, count, out) : read_item_funcs(d, count, out);
}

/* The type of the items: funcref where the flags do not leave room for it. */
static enum vm_status
read_item_type(struct decoder *d, uint32_t flags, struct module_elem *out)
{
	const struct type_scope scope = { .module = d->module };
	const uint64_t offset = reader_offset(&d->in.r);
	uint8_t kind;

	/* Items given as function indices are never null. */
	out->type = (flags & WITH_EXPRS) != 0 ? VM_FUNCREF : VM_REF(VM_HEAP_FUNC);
	if ((flags & (PASSIVE | WITH_INDEX)) == 0)
		return VM_OK;
	if ((flags & WITH_EXPRS) != 0)
		return type_read_ref(&d->in, &scope, &out->type);
	enum vm_status st = input_u8(&d->in, "an element kind", &kind);
	if (st == VM_OK && kind != 0)
		st = decode_fail(d, VM_E_MALFORMED, offset, "malformed element kind: 0x%02x", kind);
	return st;
}

/* The table of an active segment, and where in it. */
static enum vm_status
read_place(struct decoder *d, uint32_t flags, struct module_elem *out)
{
	const uint64_t offset = reader_offset(&d->in.r);
	enum vm_status st = VM_OK;

	if ((flags & WITH_INDEX) != 0)
		st = input_u32(&d->in, "a table", &out->table);
	if (st != VM_OK)
		return st;
	if (out->table >= d->module->table_count)
		return decode_fail(d, VM_E_INVALID, offset, "unknown table %u, there are %u",
		                   (unsigned)out->table, (unsigned)d->module->table_count);
	return read_offset(d, d->module->tables[out->table].type.is_64, &out->offset);
}

static enum vm_status
check_item_type(struct decoder *d, const struct module_elem *elem)
{
	const vm_valtype element = d->module->tables[elem->table].type.element;
	char item_text[VM_VALTYPE_TEXT_MAX], element_text[VM_VALTYPE_TEXT_MAX];

	if (valtype_is_subtype(d->engine, elem->type, element))
		return VM_OK;
	return decode_fail(d, VM_E_INVALID, elem->at,
	                   "type mismatch: an element segment of %s for a table of %s",
	                   type_text(d->module, elem->type, item_text, sizeof item_text),
	                   type_text(d->module, element, element_text, sizeof element_text));
}

static enum vm_status
read_elem(struct decoder *d, struct module_elem *out)
{
	uint32_t flags;

	out->at = reader_offset(&d->in.r);
	enum vm_status st = input_u32(&d->in, "an element segment", &flags);
	if (st != VM_OK)
		return st;
	if (!input_has(&d->in, VM_FEATURE_BULK_MEMORY) && flags != 0)
		return decode_fail(d, VM_E_INVALID, out->at, "unknown table %u", (unsigned)flags);
	if (flags > 7)
		return decode_fail(d, VM_E_MALFORMED, out->at,
		                   "malformed element segment: flags 0x%x", (unsigned)flags);
	if ((flags & PASSIVE) == 0)
		st = read_place(d, flags, out);
	else
		out->mode = (flags & 3) == DECLARATIVE ? SEGMENT_DECLARATIVE : SEGMENT_PASSIVE;
	if (st == VM_OK && flags != 0)
		st = input_use(&d->in, VM_FEATURE_BULK_MEMORY, out->at, "the element segment");
	if (st == VM_OK)
		st = read_item_type(d, flags, out);
	if (st == VM_OK && out->mode == SEGMENT_ACTIVE)
		st = check_item_type(d, out);
	return st == VM_OK ? read_items(d, (flags & WITH_EXPRS) != 0, out) : st;
}

enum vm_status
decode_elems(struct decoder *d)
{
	struct vm_module *module = d->module;
	uint32_t count;
	enum vm_status st = input_count(&d->in, "element segments",
	                                d->engine->limits.elem_segments_max, &count);

	if (st != VM_OK)
		return st;
	module->elems = decode_alloc(d, count, sizeof *module->elems);
	if (module->elems == NULL)
		return VM_E_NOMEM;
	for (; module->elem_count < count && st == VM_OK; module->elem_count++)
		st = read_elem(d, &module->elems[module->elem_count]);
	return st;
}

/* --- data segments --------------------------------------------------------------------------- */

static enum vm_status
read_data_place(struct decoder *d, uint32_t flags, struct module_data *out)
{
	const uint64_t offset = reader_offset(&d->in.r);
	enum vm_status st = VM_OK;

	if ((flags & WITH_INDEX) != 0)
		st = input_u32(&d->in, "a memory", &out->memory);
	if (st != VM_OK)
		return st;
	if (out->memory >= d->module->memory_count)
		return decode_fail(d, VM_E_INVALID, offset, "unknown memory %u, there are %u",
		                   (unsigned)out->memory, (unsigned)d->module->memory_count);
	return read_offset(d, d->module->memories[out->memory].is_64, &out->offset);
}

static enum vm_status
read_data(struct decoder *d, struct module_data *out)
{
	uint32_t flags, size;

	out->at = reader_offset(&d->in.r);
	enum vm_status st = input_u32(&d->in, "a data segment", &flags);
	if (st != VM_OK)
		return st;
	if (!input_has(&d->in, VM_FEATURE_BULK_MEMORY) && flags != 0)
		return decode_fail(d, VM_E_INVALID, out->at, "unknown memory %u", (unsigned)flags);
	if (flags > WITH_INDEX)
		return decode_fail(d, VM_E_MALFORMED, out->at, "malformed data segment: flags 0x%x",
		                   (unsigned)flags);
	if ((flags & PASSIVE) == 0)
		st = read_data_place(d, flags, out);
	else
		out->mode = SEGMENT_PASSIVE;
	if (st == VM_OK && flags != 0)
		st = input_use(&d->in, VM_FEATURE_BULK_MEMORY, out->at, "the data segment");
	if (st == VM_OK)
		st = input_u32(&d->in, "the size of a data segment", &size);
	if (st != VM_OK)
		return st;
	out->size = size;
	st = reader_read_bytes(&d->in.r, size, &out->bytes);
	return st == VM_OK ? VM_OK : input_fail_read(&d->in, st, "a data segment's bytes");
}

enum vm_status
decode_data_count(struct decoder *d)
{
	const uint64_t offset = reader_offset(&d->in.r);
	uint32_t count;
	enum vm_status st = input_u32(&d->in, "the number of data segments", &count);

	if (st != VM_OK)
		return st;
	if (count > d->engine->limits.data_segments_max)
		return decode_fail(d, VM_E_LIMIT, offset, "%u data segments, the limit is %llu",
		                   (unsigned)count,
		                   (unsigned long long)d->engine->limits.data_segments_max);
	d->module->has_data_count = true;
	d->module->data_count = count; /* for the code, which comes before the segments */
	return VM_OK;
}

enum vm_status
decode_datas(struct decoder *d)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct vm_module *module = d->module;
	uint32_t count;
	enum vm_status st = input_count(&d->in, "data segments",
	                                d->engine->limits.data_segments_max, &count);

	if (st != VM_OK)
		return st;
	if (module->has_data_count && module->data_count != count)
		return decode_fail(d, VM_E_MALFORMED, offset,
		                   "data count and data section have inconsistent lengths: %u, %u",
		                   (unsigned)module->data_count, (unsigned)count);
	module->datas = decode_alloc(d, count, sizeof *module->datas);
	if (module->datas == NULL)
		return VM_E_NOMEM;
	module->data_count = count;
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = read_data(d, &module->datas[i]);
	return st;
}
