#include "vm/load/decode.h"

#include <string.h>

enum {
	FORM_FUNC = 0x60,
	FORM_STRUCT = 0x5f,
	FORM_ARRAY = 0x5e,
	FORM_SUB = 0x50,
	FORM_SUB_FINAL = 0x4f,
	FORM_REC = 0x4e,
};

/* The array of one recursive group being read; its parts are in the scratch arena. */
static void *
scratch_alloc(struct decoder *d, size_t count, size_t size_bytes)
{
	void *p = arena_alloc_array(d->scratch, count, size_bytes);

	if (p == NULL)
		(void)input_no_memory(&d->in);
	return p;
}

static enum vm_status
read_valtypes(struct decoder *d, const struct type_scope *scope, const char *what, uint64_t limit,
              const vm_valtype **out, uint32_t *out_count)
{
	uint32_t count;
	enum vm_status st = input_count(&d->in, what, limit, &count);

	if (st != VM_OK)
		return st;
	vm_valtype *types = scratch_alloc(d, count, sizeof *types);
	if (types == NULL)
		return VM_E_NOMEM;
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = type_read_value(&d->in, scope, &types[i]);
	*out = types;
	*out_count = count;
	return st;
}

static enum vm_status
read_func(struct decoder *d, const struct type_scope *scope, struct type_source *out)
{
	const struct vm_limits *limits = &d->engine->limits;
	const uint64_t offset = reader_offset(&d->in.r);
	enum vm_status st = read_valtypes(d, scope, "parameters", limits->params_max,
	                                  &out->func.params, &out->func.param_count);

	if (st == VM_OK)
		st = read_valtypes(d, scope, "results", limits->results_max, &out->func.results,
		                   &out->func.result_count);
	if (st == VM_OK && out->func.result_count > 1)
		st = input_use(&d->in, VM_FEATURE_MULTI_VALUE, offset,
		               "a function with several results");
	return st;
}

static enum vm_status
read_field(struct decoder *d, const struct type_scope *scope, struct field_type *out)
{
	const uint8_t first = reader_left(&d->in.r) > 0 ? *d->in.r.next : 0;
	uint8_t flag;
	enum vm_status st = VM_OK;

	if (first == STORAGE_I8 || first == STORAGE_I16) {
		out->storage = first;
		d->in.r.next++;
	} else {
		st = type_read_value(&d->in, scope, &out->storage);
	}
	const uint64_t offset = reader_offset(&d->in.r);
	if (st == VM_OK)
		st = input_u8(&d->in, "mutability", &flag);
	if (st != VM_OK)
		return st;
	if (flag > 1)
		return decode_fail(d, VM_E_MALFORMED, offset, "malformed mutability: 0x%02x", flag);
	out->is_mutable = flag == 1;
	return VM_OK;
}

static enum vm_status
read_fields(struct decoder *d, const struct type_scope *scope, uint32_t count,
            struct type_source *out)
{
	struct field_type *fields = scratch_alloc(d, count, sizeof *fields);
	enum vm_status st = VM_OK;

	if (fields == NULL)
		return VM_E_NOMEM;
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = read_field(d, scope, &fields[i]);
	out->fields = fields;
	out->field_count = count;
	return st;
}

static enum vm_status
read_composite(struct decoder *d, const struct type_scope *scope, uint8_t form, uint64_t offset,
               struct type_source *out)
{
	uint32_t count = 1;
	enum vm_status st;

	if (form == FORM_FUNC) {
		out->kind = COMP_FUNC;
		return read_func(d, scope, out);
	}
	if (form != FORM_STRUCT && form != FORM_ARRAY)
		return decode_fail(d, VM_E_MALFORMED, offset, "malformed type: form 0x%02x", form);
	out->kind = form == FORM_STRUCT ? COMP_STRUCT : COMP_ARRAY;
	st = input_use(&d->in, VM_FEATURE_GC, offset, "the type");
	if (st == VM_OK && form == FORM_STRUCT)
		st = input_count(&d->in, "fields", d->engine->limits.fields_max, &count);
	return st == VM_OK ? read_fields(d, scope, count, out) : st;
}

/* The super types of a sub type: none or one, defined earlier. self is the type's own index. */
static enum vm_status
read_super(struct decoder *d, const struct type_scope *scope, uint32_t self,
           struct type_source *out)
{
	uint32_t count, index;
	enum vm_status st = input_count(&d->in, "super types", UINT32_MAX, &count);

	if (st != VM_OK)
		return st;
	const uint64_t offset = reader_offset(&d->in.r);
	if (count > 1)
		return decode_fail(d, VM_E_INVALID, offset,
		                   "sub type %u has %u super types, one is possible",
		                   (unsigned)self, (unsigned)count);
	if (count == 0)
		return VM_OK;
	struct reader ahead = d->in.r;
	st = reader_read_u32(&ahead, &index);
	if (st == VM_OK && index >= self)
		return decode_fail(d, VM_E_INVALID, offset,
		                   "unknown type %u: a super type comes before its sub type %u",
		                   (unsigned)index, (unsigned)self);
	out->has_super = true;
	return type_read_index(&d->in, scope, &out->super);
}

/* A sub type whose first byte has been read; a plain composite type is final. */
static enum vm_status
read_sub(struct decoder *d, const struct type_scope *scope, uint32_t self, uint8_t form,
         uint64_t offset, struct type_source *out)
{
	enum vm_status st = VM_OK;

	*out = (struct type_source){ .is_final = form != FORM_SUB };
	if (form == FORM_SUB || form == FORM_SUB_FINAL) {
		st = input_use(&d->in, VM_FEATURE_GC, offset, "a sub type");
		if (st == VM_OK)
			st = read_super(d, scope, self, out);
		offset = reader_offset(&d->in.r);
		if (st == VM_OK)
			st = input_u8(&d->in, "a type", &form);
	}
	return st == VM_OK ? read_composite(d, scope, form, offset, out) : st;
}

/* Make room for count more types; doubling, as groups do not say how many come. */
static enum vm_status
reserve_types(struct decoder *d, uint32_t count, uint32_t *capacity)
{
	struct vm_module *module = d->module;
	const uint64_t needed = (uint64_t)module->type_count + count;
	uint64_t wanted = *capacity;

	if (needed > d->engine->limits.types_max)
		return decode_fail(d, VM_E_LIMIT, reader_offset(&d->in.r),
		                   "%llu types, the limit is %llu", (unsigned long long)needed,
		                   (unsigned long long)d->engine->limits.types_max);
	if (needed <= wanted)
		return VM_OK;
	while (wanted < needed)
		wanted = wanted < 16 ? 16 : wanted * 2;
	void *types = decode_extend(d, module->types, module->type_count,
	                            wanted - module->type_count, sizeof *module->types);
	if (types == NULL)
		return VM_E_NOMEM;
	module->types = types;
	*capacity = (uint32_t)wanted;
	return VM_OK;
}

/* The error of types_intern knows neither the offset nor the module's numbering. */
static enum vm_status
fail_intern(struct decoder *d, enum vm_status st, uint64_t offset, uint32_t index,
            const struct vm_error *cause)
{
	if (st == VM_E_NOMEM)
		return input_no_memory(&d->in);
	return decode_fail(d, st, offset, "sub type %u: %s", (unsigned)index, cause->message);
}

static enum vm_status
intern_group(struct decoder *d, const struct type_source *sources, uint32_t count, uint64_t offset)
{
	struct vm_module *module = d->module;
	struct vm_error cause;
	uint32_t bad;
	enum vm_status st = types_intern(d->engine, sources, count,
	                                 module->types + module->type_count, &bad, &cause);

	if (st != VM_OK)
		return fail_intern(d, st, offset, module->type_count + bad, &cause);
	module->type_count += count;
	return VM_OK;
}

static enum vm_status
read_group(struct decoder *d, uint32_t *capacity)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct type_scope scope = { .module = d->module, .group_count = 1 };
	uint64_t at = offset;
	uint32_t count = 1;
	uint8_t form;
	enum vm_status st = input_u8(&d->in, "a type", &form);

	if (st == VM_OK && form == FORM_REC) {
		st = input_use(&d->in, VM_FEATURE_GC, offset, "a recursive group");
		if (st == VM_OK)
			st = input_count(&d->in, "types of a recursive group",
			                 d->engine->limits.rec_group_max, &count);
		scope.group_count = count;
	}
	if (st == VM_OK)
		st = reserve_types(d, count, capacity);
	if (st != VM_OK || count == 0)
		return st;
	/* Before types could be recursive, one that names itself names an unknown type. */
	if (!input_has(&d->in, VM_FEATURE_GC))
		scope.group_count = 0;
	arena_reset(d->scratch);
	struct type_source *sources = scratch_alloc(d, count, sizeof *sources);
	if (sources == NULL)
		return VM_E_NOMEM;
	for (uint32_t i = 0; i < count && st == VM_OK; i++) {
		if (i > 0 || form == FORM_REC) {
			at = reader_offset(&d->in.r);
			st = input_u8(&d->in, "a type", &form);
		}
		if (st == VM_OK)
			st = read_sub(d, &scope, d->module->type_count + i, form, at, &sources[i]);
		form = FORM_REC; /* each has a form of its own */
	}
	return st == VM_OK ? intern_group(d, sources, count, offset) : st;
}

enum vm_status
decode_types(struct decoder *d)
{
	uint32_t count, capacity = 0;
	enum vm_status st = input_count(&d->in, "types", d->engine->limits.types_max, &count);

	if (st == VM_OK)
		st = reserve_types(d, count, &capacity);
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = read_group(d, &capacity);
	return st;
}
