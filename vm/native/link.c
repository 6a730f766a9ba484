#include "vm/native/link.h"

#include <stdlib.h>
#include <string.h>
#include "vm/native/elf.h"
#include "vm/native/lines.h"

/* What becomes of a section. Those before OTHER are the artifact's. */
enum section_kind { TEXT, DATA, UNWIND, LINES, OTHER };

struct section {
	enum section_kind kind;
	uint32_t offset; /* in the text, data or unwind part */
};

struct object {
	struct elf_object elf;
	struct section *sections;
};

struct link {
	const struct vm_module *module;
	const struct vm_engine *engine;
	struct vm_error *err;
	struct object *objects;
	uint32_t object_count;
	uint32_t part_bytes[OTHER];       /* of TEXT, DATA and UNWIND */
	struct artifact_range *functions; /* by number; size 0: not defined yet */
	uint32_t *order;
	uint32_t func_count;
	struct line_rows rows;
	struct position_writer positions;
	struct artifact_frame *frames;
	uint32_t frame_count, frame_room;
	struct artifact_header header;
	uint8_t *image;
};

static enum vm_status
refuse(const struct link *l, const struct object *object, enum vm_status st, const char *what,
       const char *name)
{
	return vm_error_set(l->err, st, VM_NO_OFFSET, "object %u of the compiler: %s%.64s",
	                    object->elf.number, what, name);
}

static enum vm_status
no_memory(const struct link *l)
{
	return vm_error_set(l->err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
}

/* --- sections ------------------------------------------------------------------------------- */

static bool
starts_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static enum vm_status
section_classify(const struct link *l, const struct object *object, uint32_t index,
                 enum section_kind *out)
{
	const Elf64_Shdr *at = &object->elf.sections[index];
	const char *name = elf_section_name(&object->elf, index);

	*out = OTHER;
	if (strcmp(name, ".debug_line") == 0 && at->sh_type == SHT_PROGBITS)
		*out = LINES;
	if (!(at->sh_flags & SHF_ALLOC) || at->sh_size == 0 || at->sh_type == SHT_NOTE ||
	    at->sh_type == SHT_NULL)
		return VM_OK;
	if (at->sh_flags & (SHF_TLS | SHF_COMPRESSED) || at->sh_type == SHT_NOBITS ||
	    (at->sh_flags & SHF_WRITE && !starts_with(name, ".data.rel.ro")))
		return refuse(l, object, VM_E_MALFORMED,
		              "native code has no data to write: section ", name);
	if (at->sh_flags & SHF_EXECINSTR)
		*out = TEXT;
	else if (strcmp(name, ".eh_frame") == 0)
		*out = UNWIND;
	else if (at->sh_type == SHT_PROGBITS)
		*out = DATA;
	return VM_OK;
}

/* Room in the section's part, behind what is there. */
static enum vm_status
section_place(struct link *l, const struct object *object, uint32_t index, struct section *out)
{
	const Elf64_Shdr *at = &object->elf.sections[index];
	uint64_t align = at->sh_addralign > ARTIFACT_ALIGN ? at->sh_addralign : ARTIFACT_ALIGN;
	uint64_t offset = (l->part_bytes[out->kind] + align - 1) & ~(align - 1);

	if (offset + at->sh_size > ARTIFACT_BYTES_MAX / 4)
		return refuse(l, object, VM_E_LIMIT,
		              "there is more native code than fits an artifact", "");
	out->offset = (uint32_t)offset;
	l->part_bytes[out->kind] = (uint32_t)(offset + at->sh_size);
	return VM_OK;
}

static enum vm_status
object_place(struct link *l, struct object *object)
{
	const struct elf_object *elf = &object->elf;

	object->sections =
	    engine_alloc_zeroed(l->engine, elf->section_count, sizeof(*object->sections));
	if (object->sections == NULL)
		return no_memory(l);
	for (uint32_t i = 0; i < elf->section_count; i++) {
		struct section *section = &object->sections[i];
		enum vm_status st = section_classify(l, object, i, &section->kind);

		if (st == VM_OK && section->kind < LINES)
			st = section_place(l, object, i, section);
		if (st != VM_OK)
			return st;
	}
	return VM_OK;
}

/* --- functions ------------------------------------------------------------------------------ */

/* The number among the module's own functions that a symbol's name stands for. */
static bool
function_number(const struct link *l, const char *name, uint32_t *out)
{
	uint64_t index = 0;

	if (name[0] != 'f' || name[1] == '\0' || (name[1] == '0' && name[2] != '\0'))
		return false;
	for (const char *p = name + 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || index > UINT32_MAX)
			return false;
		index = index * 10 + (uint64_t)(*p - '0');
	}
	if (index < l->module->func_import_count || index >= l->module->func_count)
		return false;
	*out = (uint32_t)index - l->module->func_import_count;
	return true;
}

static enum vm_status
function_define(struct link *l, const struct object *object, uint32_t symbol)
{
	const Elf64_Sym *at = &object->elf.symbols[symbol];
	const char *name = elf_symbol_name(&object->elf, symbol);
	const struct section *section = &object->sections[at->st_shndx];
	uint64_t section_bytes = object->elf.sections[at->st_shndx].sh_size;
	uint32_t number;

	if (!function_number(l, name, &number))
		return VM_OK;
	if (section->kind != TEXT || at->st_size == 0 || at->st_value > section_bytes ||
	    at->st_size > section_bytes - at->st_value)
		return refuse(l, object, VM_E_MALFORMED,
		              "no code lies where its symbol says: ", name);
	if (l->functions[number].size_bytes != 0)
		return refuse(l, object, VM_E_MALFORMED, "defined twice: ", name);
	l->functions[number] = (struct artifact_range){
		.offset = section->offset + (uint32_t)at->st_value,
		.size_bytes = (uint32_t)at->st_size,
	};
	return VM_OK;
}

static int
order_compare(const void *a, const void *b, void *arg)
{
	const struct artifact_range *functions = arg;
	uint32_t left = functions[*(const uint32_t *)a].offset;
	uint32_t right = functions[*(const uint32_t *)b].offset;

	return left < right ? -1 : left > right;
}

static enum vm_status
functions_find(struct link *l)
{
	l->functions = engine_alloc_zeroed(l->engine, l->func_count, sizeof(*l->functions));
	l->order = engine_alloc_zeroed(l->engine, l->func_count, sizeof(*l->order));
	if (l->functions == NULL || l->order == NULL)
		return no_memory(l);
	for (uint32_t i = 0; i < l->object_count; i++) {
		const struct object *object = &l->objects[i];

		for (uint32_t s = 0; s < object->elf.symbol_count; s++) {
			const Elf64_Sym *symbol = &object->elf.symbols[s];

			if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL ||
			    symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE)
				continue;
			enum vm_status st = function_define(l, object, s);
			if (st != VM_OK)
				return st;
		}
	}
	for (uint32_t i = 0; i < l->func_count; i++) {
		if (l->functions[i].size_bytes == 0)
			return vm_error_set(l->err, VM_E_MALFORMED, VM_NO_OFFSET,
			                    "the compiler left out function %u",
			                    l->module->func_import_count + i);
		l->order[i] = i;
	}
	qsort_r(l->order, l->func_count, sizeof(*l->order), order_compare, l->functions);
	return VM_OK;
}

/* --- relocations ---------------------------------------------------------------------------- */

static uint32_t
part_offset(const struct link *l, enum section_kind kind)
{
	static const enum artifact_part parts[] = {
		[TEXT] = ARTIFACT_TEXT,
		[DATA] = ARTIFACT_DATA,
		[UNWIND] = ARTIFACT_UNWIND,
	};

	return l->header.parts[parts[kind]].offset;
}

/* The address of a symbol in the artifact, before its addend. */
static enum vm_status
symbol_address(const struct link *l, const struct object *object, uint32_t symbol, int64_t *out)
{
	const Elf64_Sym *at = &object->elf.symbols[symbol];
	const char *name = elf_symbol_name(&object->elf, symbol);
	uint32_t number;

	if (at->st_shndx == SHN_UNDEF) {
		if (!function_number(l, name, &number))
			return refuse(l, object, VM_E_MALFORMED,
			              "refers to what no object has: ", name);
		*out = (int64_t)part_offset(l, TEXT) + l->functions[number].offset;
		return VM_OK;
	}
	if (at->st_shndx >= SHN_LORESERVE || object->sections[at->st_shndx].kind >= LINES ||
	    at->st_value > object->elf.sections[at->st_shndx].sh_size)
		return refuse(l, object, VM_E_MALFORMED,
		              "refers to what is not in the artifact: ", name);
	const struct section *section = &object->sections[at->st_shndx];
	*out = (int64_t)part_offset(l, section->kind) + section->offset + (int64_t)at->st_value;
	return VM_OK;
}

/* place is where the section lies in the artifact. */
static enum vm_status
relocate(const struct link *l, const struct object *object, uint32_t target, uint64_t place,
         const Elf64_Rela *rela)
{
	uint64_t type = ELF64_R_TYPE(rela->r_info);
	uint32_t size_bytes = type == R_X86_64_PC64 ? 8 : 4;
	uint64_t section_bytes = object->elf.sections[target].sh_size;
	int64_t value;

	if (type == R_X86_64_NONE)
		return VM_OK;
	if (type != R_X86_64_PC32 && type != R_X86_64_PLT32 && type != R_X86_64_PC64)
		return vm_error_set(
		    l->err, VM_E_MALFORMED, VM_NO_OFFSET,
		    "object %u of the compiler: relocation of type %llu for "
		    "\"%.64s\" in %.64s: only relative ones can be resolved",
		    object->elf.number, (unsigned long long)type,
		    elf_symbol_name(&object->elf, (uint32_t)ELF64_R_SYM(rela->r_info)),
		    elf_section_name(&object->elf, target));
	if (rela->r_offset > section_bytes || section_bytes - rela->r_offset < size_bytes)
		return refuse(l, object, VM_E_MALFORMED, "a relocation is outside of ",
		              elf_section_name(&object->elf, target));
	enum vm_status st = symbol_address(l, object, (uint32_t)ELF64_R_SYM(rela->r_info), &value);
	if (st != VM_OK)
		return st;
	/* Addends of any size are harmless to compute with, and refused if they do not fit. */
	value = (int64_t)((uint64_t)value + (uint64_t)rela->r_addend - place - rela->r_offset);
	if (size_bytes == 4 && (value < INT32_MIN || value > INT32_MAX))
		return refuse(l, object, VM_E_MALFORMED, "a distance has more than 32 bits in ",
		              elf_section_name(&object->elf, target));
	memcpy(l->image + place + rela->r_offset, &value, size_bytes);
	return VM_OK;
}

static enum vm_status
object_relocate(const struct link *l, const struct object *object)
{
	const struct elf_object *elf = &object->elf;

	for (uint32_t i = 0; i < elf->section_count; i++) {
		const Elf64_Rela *items;
		uint32_t count, target;

		if (elf->sections[i].sh_type != SHT_RELA)
			continue;
		enum vm_status st = elf_relocations(elf, i, &items, &count, &target, l->err);
		if (st != VM_OK)
			return st;
		const struct section *section = &object->sections[target];
		if (section->kind >= LINES)
			continue;
		uint64_t place = (uint64_t)part_offset(l, section->kind) + section->offset;
		for (uint32_t r = 0; r < count; r++) {
			st = relocate(l, object, target, place, &items[r]);
			if (st != VM_OK)
				return st;
		}
	}
	return VM_OK;
}

/* --- positions ------------------------------------------------------------------------------ */

/* Addresses become offsets in the text; what is said of files and the like stays as it is. */
static void
lines_relocate(const struct object *object, uint8_t *bytes, uint32_t size_bytes,
               const Elf64_Rela *items, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const Elf64_Rela *rela = &items[i];
		const Elf64_Sym *symbol = &object->elf.symbols[ELF64_R_SYM(rela->r_info)];

		if (ELF64_R_TYPE(rela->r_info) != R_X86_64_64 || rela->r_offset > size_bytes ||
		    size_bytes - rela->r_offset < 8 || symbol->st_shndx >= SHN_LORESERVE ||
		    object->sections[symbol->st_shndx].kind != TEXT)
			continue;
		uint64_t value = object->sections[symbol->st_shndx].offset + symbol->st_value +
		                 (uint64_t)rela->r_addend;
		memcpy(bytes + rela->r_offset, &value, sizeof(value));
	}
}

static enum vm_status
section_lines(struct link *l, const struct object *object, uint32_t index)
{
	const struct elf_object *elf = &object->elf;
	uint32_t size_bytes = (uint32_t)elf->sections[index].sh_size;
	uint8_t *bytes = engine_alloc(l->engine, size_bytes);
	enum vm_status st = VM_OK;

	if (bytes == NULL)
		return no_memory(l);
	memcpy(bytes, elf_section_bytes(elf, index), size_bytes);
	for (uint32_t i = 0; st == VM_OK && i < elf->section_count; i++) {
		const Elf64_Rela *items;
		uint32_t count, target;

		if (elf->sections[i].sh_type != SHT_RELA || elf->sections[i].sh_info != index)
			continue;
		st = elf_relocations(elf, i, &items, &count, &target, l->err);
		if (st == VM_OK)
			lines_relocate(object, bytes, size_bytes, items, count);
	}
	if (st == VM_OK)
		st = lines_read(&l->rows, bytes, size_bytes, l->part_bytes[TEXT], l->err);
	engine_free(l->engine, bytes);
	return st;
}

static enum vm_status
positions_make(struct link *l)
{
	for (uint32_t i = 0; i < l->object_count; i++) {
		const struct object *object = &l->objects[i];

		for (uint32_t s = 0; s < object->elf.section_count; s++) {
			if (object->sections[s].kind != LINES)
				continue;
			enum vm_status st = section_lines(l, object, s);
			if (st != VM_OK)
				return st;
		}
	}
	if (!lines_sort(&l->rows))
		return no_memory(l);
	for (uint32_t i = 0; i < l->rows.count; i++) {
		const struct line_row *row = &l->rows.items[i];

		if (!positions_add(&l->positions, row->text, row->position))
			return no_memory(l);
	}
	return VM_OK;
}

/* --- frames --------------------------------------------------------------------------------- */

static int
frame_compare(const void *a, const void *b)
{
	uint32_t left = ((const struct artifact_frame *)a)->text;
	uint32_t right = ((const struct artifact_frame *)b)->text;

	return left < right ? -1 : left > right;
}

static bool
frame_add(struct link *l, uint32_t text, uint32_t at)
{
	if (l->frame_count == l->frame_room) {
		uint32_t room = l->frame_room * 2 + 256;
		struct artifact_frame *more =
		    engine_realloc_array(l->engine, l->frames, room, sizeof(*more));

		if (more == NULL)
			return false;
		l->frames = more;
		l->frame_room = room;
	}
	l->frames[l->frame_count++] = (struct artifact_frame){ text, at };
	return true;
}

/*
 * An index of the frame descriptions of one section, from where their relocations say that code
 * begins. Each relocation of .eh_frame is for the first word of a description, behind its length
 * and the reference to what they have in common.
 */
static enum vm_status
section_frames(struct link *l, const struct object *object, uint32_t rela_section,
               const struct section *section)
{
	const Elf64_Rela *items;
	uint32_t count, target;
	enum vm_status st =
	    elf_relocations(&object->elf, rela_section, &items, &count, &target, l->err);

	for (uint32_t i = 0; st == VM_OK && i < count; i++) {
		int64_t address;

		st = symbol_address(l, object, (uint32_t)ELF64_R_SYM(items[i].r_info), &address);
		if (st != VM_OK)
			break;
		address += items[i].r_addend - part_offset(l, TEXT);
		if (items[i].r_offset < 8 ||
		    items[i].r_offset >= object->elf.sections[target].sh_size || address < 0 ||
		    address >= l->part_bytes[TEXT])
			st = refuse(l, object, VM_E_MALFORMED, "a frame describes no code", "");
		else if (!frame_add(l, (uint32_t)address,
		                    section->offset + (uint32_t)items[i].r_offset - 8))
			st = no_memory(l);
	}
	return st;
}

static enum vm_status
frames_find(struct link *l)
{
	for (uint32_t i = 0; i < l->object_count; i++) {
		const struct object *object = &l->objects[i];
		const struct elf_object *elf = &object->elf;

		for (uint32_t s = 0; s < elf->section_count; s++) {
			const Elf64_Shdr *at = &elf->sections[s];

			if (at->sh_type != SHT_RELA || at->sh_info >= elf->section_count ||
			    object->sections[at->sh_info].kind != UNWIND)
				continue;
			enum vm_status st =
			    section_frames(l, object, s, &object->sections[at->sh_info]);
			if (st != VM_OK)
				return st;
		}
	}
	if (l->frame_count > 0)
		qsort(l->frames, l->frame_count, sizeof(*l->frames), frame_compare);
	return VM_OK;
}

/* --- the image ------------------------------------------------------------------------------ */

static uint32_t
info_flags(const struct vm_artifact_info *info)
{
	return (info->level == VM_COMPILE_BEST ? ARTIFACT_BEST : 0u) |
	       (info->metered ? ARTIFACT_METERED : 0u) |
	       (info->canonical_nans ? ARTIFACT_CANONICAL_NANS : 0u) |
	       (info->relaxed_traps ? ARTIFACT_RELAXED_TRAPS : 0u);
}

/* Where everything goes. The number of frames is known before their addresses are. */
static enum vm_status
header_make(struct link *l, const struct vm_artifact_info *info, uint32_t frame_count)
{
	const uint64_t sizes[ARTIFACT_PARTS] = {
		[ARTIFACT_FUNCTIONS] = (uint64_t)l->func_count * sizeof(*l->functions),
		[ARTIFACT_ORDER] = (uint64_t)l->func_count * sizeof(*l->order),
		[ARTIFACT_POSITION_INDEX] =
		    (uint64_t)l->positions.index_count * sizeof(*l->positions.index),
		[ARTIFACT_POSITIONS] = l->positions.size_bytes,
		[ARTIFACT_UNWIND_INDEX] = (uint64_t)frame_count * sizeof(*l->frames),
		[ARTIFACT_UNWIND] = l->part_bytes[UNWIND],
		[ARTIFACT_DATA] = l->part_bytes[DATA],
		[ARTIFACT_TEXT] = l->part_bytes[TEXT],
	};
	uint64_t end = sizeof(l->header);

	l->header = (struct artifact_header){
		.magic = ARTIFACT_MAGIC,
		.version = ARTIFACT_VERSION,
		.flags = info_flags(info),
		.cpu_features = info->cpu_features,
		.func_count = l->func_count,
		.features_used = l->module->features_used,
		.features_seen = l->module->features_seen,
		.limits = l->module->engine->limits,
	};
	memcpy(l->header.build, info->build, sizeof(info->build));
	memcpy(l->header.module, info->module, sizeof(info->module));
	for (int i = 0; i < ARTIFACT_PARTS; i++) {
		/* Constants may want more than the other parts do. */
		uint64_t align = i == ARTIFACT_TEXT   ? ARTIFACT_PAGE_BYTES
		                 : i == ARTIFACT_DATA ? ELF_ALIGN_MAX
		                                      : ARTIFACT_ALIGN;

		end = (end + align - 1) & ~(align - 1);
		l->header.parts[i].offset = (uint32_t)end;
		l->header.parts[i].size_bytes = (uint32_t)sizes[i];
		end += sizes[i];
		if (end > ARTIFACT_BYTES_MAX)
			return vm_error_set(l->err, VM_E_LIMIT, VM_NO_OFFSET,
			                    "native code of more than %d bytes",
			                    ARTIFACT_BYTES_MAX);
	}
	l->header.size_bytes = (uint32_t)end;
	return VM_OK;
}

static uint32_t
frames_count(const struct link *l)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < l->object_count; i++) {
		const struct object *object = &l->objects[i];
		const struct elf_object *elf = &object->elf;

		for (uint32_t s = 0; s < elf->section_count; s++) {
			const Elf64_Shdr *at = &elf->sections[s];

			if (at->sh_type == SHT_RELA && at->sh_info < elf->section_count &&
			    object->sections[at->sh_info].kind == UNWIND)
				count += at->sh_size / sizeof(Elf64_Rela);
		}
	}
	return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

static void
part_copy(const struct link *l, enum artifact_part part, const void *from)
{
	if (l->header.parts[part].size_bytes > 0)
		memcpy(l->image + l->header.parts[part].offset, from,
		       l->header.parts[part].size_bytes);
}

static void
image_fill(const struct link *l)
{
	enum { INT3 = 0xcc };

	memcpy(l->image, &l->header, sizeof(l->header));
	part_copy(l, ARTIFACT_FUNCTIONS, l->functions);
	part_copy(l, ARTIFACT_ORDER, l->order);
	part_copy(l, ARTIFACT_POSITION_INDEX, l->positions.index);
	part_copy(l, ARTIFACT_POSITIONS, l->positions.rows);
	part_copy(l, ARTIFACT_UNWIND_INDEX, l->frames);
	memset(l->image + l->header.parts[ARTIFACT_TEXT].offset, INT3,
	       l->header.parts[ARTIFACT_TEXT].size_bytes);
	for (uint32_t i = 0; i < l->object_count; i++) {
		const struct object *object = &l->objects[i];

		for (uint32_t s = 0; s < object->elf.section_count; s++) {
			const struct section *section = &object->sections[s];

			if (section->kind < LINES)
				memcpy(l->image + part_offset(l, section->kind) + section->offset,
				       elf_section_bytes(&object->elf, s),
				       object->elf.sections[s].sh_size);
		}
	}
}

static enum vm_status
image_make(struct link *l, const struct vm_artifact_info *info)
{
	enum vm_status st = header_make(l, info, frames_count(l));

	if (st == VM_OK)
		st = frames_find(l);
	if (st != VM_OK)
		return st;
	l->image = calloc(1, l->header.size_bytes);
	if (l->image == NULL)
		return no_memory(l);
	image_fill(l);
	for (uint32_t i = 0; st == VM_OK && i < l->object_count; i++)
		st = object_relocate(l, &l->objects[i]);
	return st;
}

static enum vm_status
objects_open(struct link *l, const struct native_objects *objects)
{
	l->objects = engine_alloc_zeroed(l->engine, objects->count, sizeof(*l->objects));
	if (l->objects == NULL)
		return no_memory(l);
	l->object_count = objects->count;
	for (uint32_t i = 0; i < objects->count; i++) {
		const struct native_object *from = &objects->items[i];
		enum vm_status st =
		    elf_open(&l->objects[i].elf, i, from->bytes, from->size_bytes, l->err);

		if (st == VM_OK)
			st = object_place(l, &l->objects[i]);
		if (st != VM_OK)
			return st;
	}
	return VM_OK;
}

static void
link_clear(struct link *l)
{
	for (uint32_t i = 0; i < l->object_count; i++)
		engine_free(l->engine, l->objects[i].sections);
	engine_free(l->engine, l->objects);
	engine_free(l->engine, l->functions);
	engine_free(l->engine, l->order);
	engine_free(l->engine, l->frames);
	lines_clear(&l->rows);
	positions_clear(&l->positions);
	free(l->image);
}

enum vm_status
native_link(const struct vm_module *module, const struct native_objects *objects,
            const struct vm_artifact_info *info, struct vm_bytes *out, struct vm_error *err)
{
	struct link l = {
		.module = module,
		.engine = module->engine,
		.err = err,
		.func_count = module->func_count - module->func_import_count,
		.rows.engine = module->engine,
		.positions.engine = module->engine,
	};
	struct artifact check;
	enum vm_status st = objects_open(&l, objects);

	if (st == VM_OK)
		st = functions_find(&l);
	if (st == VM_OK)
		st = positions_make(&l);
	if (st == VM_OK)
		st = image_make(&l, info);
	if (st == VM_OK) /* what does not load should be noticed here */
		st = artifact_read(l.image, l.header.size_bytes, &check, err);
	if (st == VM_OK) {
		*out = (struct vm_bytes){ l.image, l.header.size_bytes };
		l.image = NULL;
	}
	link_clear(&l);
	return st;
}
