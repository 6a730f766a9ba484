#include "vm/load/decode.h"

#include <string.h>

static const uint8_t magic[4] = { 0x00, 'a', 's', 'm' };
static const uint8_t version[4] = { 0x01, 0x00, 0x00, 0x00 };

/* --- memory ---------------------------------------------------------------------------------- */

void *
decode_alloc(struct decoder *d, size_t count, size_t size_bytes)
{
	void *p = arena_alloc_array(d->module->arena, count, size_bytes);

	if (p == NULL)
		(void)input_no_memory(&d->in);
	return p;
}

void *
decode_extend(struct decoder *d, const void *old, size_t old_count, size_t added, size_t size_bytes)
{
	void *p = decode_alloc(d, old_count + added, size_bytes);

	if (p != NULL && old_count > 0)
		memcpy(p, old, old_count * size_bytes);
	return p;
}

enum vm_status
decode_space(struct decoder *d, const char *what, uint32_t before, uint64_t limit,
             uint32_t *out_added)
{
	return input_count(&d->in, what, limit > before ? limit - before : 0, out_added);
}

enum vm_status
decode_const(struct decoder *d, vm_valtype type, struct const_expr *out)
{
	d->walker->declares = d->module->funcs;
	return walker_run_const(d->walker, &d->in.r, type, out, d->in.err);
}

/* --- sections (5.5.2) ------------------------------------------------------------------------ */

/* Known sections in the order in which they have to come; ids are by history. */
static const struct section {
	uint8_t id;
	bool has_count; /* begins with the number of its entries */
	enum vm_feature feature;
	const char *name;
	enum vm_status (*decode)(struct decoder *d);
} sections[] = {
	{ 1, true, VM_FEATURE_MVP, "type", decode_types },
	{ 2, true, VM_FEATURE_MVP, "import", decode_imports },
	{ 3, true, VM_FEATURE_MVP, "function", decode_functions },
	{ 4, true, VM_FEATURE_MVP, "table", decode_tables },
	{ 5, true, VM_FEATURE_MVP, "memory", decode_memories },
	{ 13, true, VM_FEATURE_EXCEPTIONS, "tag", decode_tags },
	{ 6, true, VM_FEATURE_MVP, "global", decode_globals },
	{ 7, true, VM_FEATURE_MVP, "export", decode_exports },
	{ 8, false, VM_FEATURE_MVP, "start", decode_start },
	{ 9, true, VM_FEATURE_MVP, "element", decode_elems },
	{ 12, true, VM_FEATURE_BULK_MEMORY, "data count", decode_data_count },
	{ 10, true, VM_FEATURE_MVP, "code", decode_code },
	{ 11, true, VM_FEATURE_MVP, "data", decode_datas },
};

enum { SECTIONS_COUNT = sizeof sections / sizeof sections[0], SECTION_CODE = 10 };

/* Position in the order; SECTIONS_COUNT when the id is unknown. */
static unsigned
find_section(uint8_t id)
{
	unsigned position = 0;

	while (position < SECTIONS_COUNT && sections[position].id != id)
		position++;
	return position;
}

/* Note a section of the binary for the API. */
static enum vm_status
record_section(struct decoder *d, const struct vm_section *section)
{
	struct vm_module *module = d->module;

	if (module->section_count == d->section_count) {
		const uint32_t added = d->section_count > 0 ? d->section_count : 16;
		void *grown = decode_extend(d, module->sections, module->section_count, added,
		                            sizeof *module->sections);

		if (grown == NULL)
			return VM_E_NOMEM;
		module->sections = grown;
		d->section_count += added;
	}
	module->sections[module->section_count++] = *section;
	return VM_OK;
}

static enum vm_status
read_custom(struct decoder *d)
{
	struct vm_section section = { .id = 0 };
	enum vm_status st = input_name(&d->in, "a custom section's name", &section.name);

	if (st != VM_OK)
		return st;
	section.offset = reader_offset(&d->in.r);
	section.size_bytes = reader_left(&d->in.r);
	d->in.r.next = d->in.r.end;
	return record_section(d, &section);
}

static enum vm_status
read_known(struct decoder *d, const struct section *known)
{
	struct vm_section section = {
		.id = known->id,
		.name = { known->name, strlen(known->name) },
		.offset = reader_offset(&d->in.r),
		.size_bytes = reader_left(&d->in.r),
	};
	struct reader ahead = d->in.r;
	enum vm_status st = VM_OK;

	if (known->has_count && reader_read_u32(&ahead, &section.count) != VM_OK)
		section.count = 0; /* an error that reading the section will tell */
	if (known->feature != VM_FEATURE_MVP)
		st = input_use(&d->in, known->feature, section.offset, "the section");
	if (st == VM_OK)
		st = known->decode(d);
	if (st != VM_OK)
		return st;
	if (reader_left(&d->in.r) > 0)
		return decode_fail(d, VM_E_MALFORMED, reader_offset(&d->in.r),
		                   "section size mismatch: %zu bytes left in the %s section",
		                   reader_left(&d->in.r), known->name);
	return record_section(d, &section);
}

/* Is a section with code still missing when there are functions? */
static enum vm_status
check_code_present(struct decoder *d, bool has_code)
{
	const struct vm_module *module = d->module;
	const uint32_t count = module->func_count - module->func_import_count;

	if (has_code || count == 0)
		return VM_OK;
	return decode_fail(d, VM_E_MALFORMED, reader_offset(&d->in.r),
	                   "function and code section have inconsistent lengths: %u, no code",
	                   (unsigned)count);
}

static enum vm_status
check_data_present(struct decoder *d, bool has_data)
{
	const struct vm_module *module = d->module;

	if (has_data || module->data_count == 0)
		return VM_OK;
	return decode_fail(d, VM_E_MALFORMED, reader_offset(&d->in.r),
	                   "data count and data section have inconsistent lengths: %u, no data",
	                   (unsigned)module->data_count);
}

/* All sections: custom ones anywhere, each other at most once and in order. */
static enum vm_status
read_sections(struct decoder *d)
{
	const uint8_t *const end = d->in.r.end;
	unsigned next = 0;
	uint8_t id;
	uint32_t size;

	while (d->in.r.next < end) {
		const uint64_t offset = reader_offset(&d->in.r);
		enum vm_status st = input_u8(&d->in, "a section", &id);

		if (st == VM_OK)
			st = input_u32(&d->in, "the size of a section", &size);
		if (st != VM_OK)
			return st;
		if (size > (size_t)(end - d->in.r.next))
			return decode_fail(d, VM_E_TRUNCATED, offset,
			                   "unexpected end: length out of bounds: a section of %u "
			                   "bytes, but only %zu follow", (unsigned)size,
			                   (size_t)(end - d->in.r.next));
		const unsigned position = find_section(id);
		d->in.r.end = d->in.r.next + size;
		if (id != 0 && position == SECTIONS_COUNT)
			return decode_fail(d, VM_E_MALFORMED, offset, "malformed section id: %u",
			                   id);
		if (id != 0 && position < next)
			return decode_fail(d, VM_E_MALFORMED, offset,
			                   "unexpected content: a %s section in the wrong place",
			                   sections[position].name);
		st = id == 0 ? read_custom(d) : read_known(d, &sections[position]);
		if (st != VM_OK)
			return st;
		if (id != 0)
			next = position + 1;
		d->in.r.end = end;
	}
	return VM_OK;
}

static bool
has_section(const struct vm_module *module, uint8_t id)
{
	for (uint32_t i = 0; i < module->section_count; i++) {
		if (module->sections[i].id == id)
			return true;
	}
	return false;
}

/* --- the whole ------------------------------------------------------------------------------- */

static enum vm_status
read_preamble(struct decoder *d)
{
	const uint8_t *bytes;

	if (reader_read_bytes(&d->in.r, sizeof magic, &bytes) != VM_OK)
		return decode_fail(d, VM_E_TRUNCATED, 0,
		                   "unexpected end: %zu bytes are no WebAssembly module",
		                   reader_left(&d->in.r));
	if (memcmp(bytes, magic, sizeof magic) != 0)
		return decode_fail(d, VM_E_MAGIC, 0,
		                   "magic header not detected: expected 00 61 73 6d, got "
		                   "%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
	if (reader_read_bytes(&d->in.r, sizeof version, &bytes) != VM_OK)
		return decode_fail(d, VM_E_TRUNCATED, sizeof magic,
		                   "unexpected end: expected the version");
	if (memcmp(bytes, version, sizeof version) != 0)
		return decode_fail(d, VM_E_VERSION, sizeof magic,
		                   "unknown binary version: expected 01 00 00 00, got "
		                   "%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
	return VM_OK;
}

static enum vm_status
read_names(struct decoder *d)
{
	const struct vm_module *module = d->module;

	for (uint32_t i = 0; i < module->section_count; i++) {
		const struct vm_section *section = &module->sections[i];

		if (section->id != 0 || section->name.len != 4 ||
		    memcmp(section->name.data, "name", 4) != 0)
			continue;
		return decode_names(d, (struct reader){
			.start = module->bytes,
			.next = module->bytes + section->offset,
			.end = module->bytes + section->offset + section->size_bytes,
		});
	}
	return VM_OK;
}

/* Number the functions that an instance needs objects for. */
static void
number_slots(struct vm_module *module)
{
	if (module->has_start && module->start >= module->func_import_count)
		module->funcs[module->start].slot = 0;
	for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
		struct module_func *func = &module->funcs[i];

		if (func->is_declared || func->slot != FUNC_NO_SLOT)
			func->slot = module->func_slot_count++;
	}
}

/*
 * Types of objects, and tags, cost a tier nothing where no instruction makes any: null references
 * are the only values there are then.
 */
static void
note_features(struct decoder *d)
{
	const vm_features inert = VM_FEATURE_BIT(GC) | VM_FEATURE_BIT(EXCEPTIONS);
	const vm_features seen = d->in.used | d->walker->in.used;

	if (d->proof != NULL) {
		d->module->features_seen = d->proof->features_seen;
		d->module->features_used = d->proof->features_used;
		return;
	}
	d->module->features_seen = seen & ~VM_FEATURE_BIT(MVP);
	d->module->features_used =
	    d->module->features_seen & (~inert | d->walker->ops_used);
}

static enum vm_status
decode_module(struct decoder *d)
{
	enum vm_status st = read_preamble(d);

	if (st == VM_OK)
		st = read_sections(d);
	if (st == VM_OK)
		st = check_code_present(d, has_section(d->module, SECTION_CODE));
	if (st == VM_OK)
		st = check_data_present(d, d->module->datas != NULL);
	if (st == VM_OK)
		st = read_names(d);
	if (st != VM_OK)
		return st;
	number_slots(d->module);
	note_features(d);
	return VM_OK;
}

/* A module with nothing but a copy of its bytes; NULL when out of memory. */
static struct vm_module *
module_new(struct vm_engine *engine, const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_new(&engine->alloc);

	if (arena == NULL)
		return NULL;
	struct vm_module *module = arena_alloc_array(arena, 1, sizeof *module);
	uint8_t *copy = module != NULL ? arena_alloc(arena, len) : NULL;
	if (copy == NULL) {
		arena_free(arena);
		return NULL;
	}
	if (len > 0)
		memcpy(copy, bytes, len);
	module->arena = arena;
	module->bytes = copy;
	module->size = len;
	module->engine = vm_engine_ref(engine);
	atomic_init(&module->refs, 1);
	return module;
}

enum vm_status
load_module(struct vm_engine *engine, const uint8_t *bytes, size_t len,
            const struct load_proof *proof, struct vm_module **out_module, struct vm_error *err)
{
	struct vm_module *module = NULL;
	enum vm_status st = VM_E_NOMEM;

	if (len > engine->limits.module_bytes_max)
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "module has %zu bytes, the limit is %llu", len,
		                    (unsigned long long)engine->limits.module_bytes_max);
	module = module_new(engine, bytes, len);
	if (module == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	struct decoder d = {
		.in = {
			.r = reader_make(module->bytes, len),
			.engine = engine,
			.function = VM_NO_FUNCTION,
			.err = err,
		},
		.engine = engine,
		.module = module,
		.walker = walker_new(module),
		.proof = proof,
		.scratch = arena_new(&engine->alloc),
	};
	if (d.walker != NULL && d.scratch != NULL)
		st = decode_module(&d);
	else
		(void)input_no_memory(&d.in);
	arena_free(d.scratch);
	walker_free(d.walker);
	if (st != VM_OK) {
		vm_module_unref(module);
		return st;
	}
	*out_module = module;
	return VM_OK;
}

enum vm_status
vm_module_load(struct vm_engine *engine, const uint8_t *bytes, size_t len,
               struct vm_module **out_module, struct vm_error *err)
{
	return load_module(engine, bytes, len, NULL, out_module, err);
}
