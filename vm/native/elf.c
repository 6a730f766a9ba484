#include "vm/native/elf.h"

#include <string.h>

static enum vm_status
malformed(const struct elf_object *elf, struct vm_error *err, const char *what)
{
	return vm_error_set(err, VM_E_MALFORMED, VM_NO_OFFSET,
	                    "object %u of the compiler: %s", elf->number, what);
}

static bool
is_inside(const struct elf_object *elf, uint64_t offset, uint64_t size_bytes)
{
	return offset <= elf->size_bytes && size_bytes <= elf->size_bytes - offset;
}

/* An array in the object, aligned as its items are. NULL when it is not one. */
static const void *
array_at(const struct elf_object *elf, const Elf64_Shdr *section, size_t item_bytes,
         uint32_t *out_count)
{
	if (section->sh_entsize != item_bytes || section->sh_offset % 8 != 0 ||
	    section->sh_size % item_bytes != 0)
		return NULL;
	*out_count = (uint32_t)(section->sh_size / item_bytes);
	return elf->bytes + section->sh_offset;
}

/* A table of names; NULL when it does not end in NUL. */
static const char *
names_at(const struct elf_object *elf, uint32_t section, uint32_t *out_size_bytes)
{
	if (section >= elf->section_count)
		return NULL;
	const Elf64_Shdr *at = &elf->sections[section];
	if (at->sh_type != SHT_STRTAB || at->sh_size == 0 ||
	    elf->bytes[at->sh_offset + at->sh_size - 1] != '\0')
		return NULL;
	*out_size_bytes = (uint32_t)at->sh_size;
	return (const char *)elf->bytes + at->sh_offset;
}

static enum vm_status
header_check(struct elf_object *elf, struct vm_error *err)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)(const void *)elf->bytes;

	if (elf->size_bytes < sizeof(*h) || elf->size_bytes > UINT32_MAX)
		return malformed(elf, err, "has not the size of an ELF object");
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_REL || h->e_machine != EM_X86_64)
		return malformed(elf, err, "is not a relocatable ELF object of x86-64");
	if (h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shoff % 8 != 0 ||
	    !is_inside(elf, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr)))
		return malformed(elf, err, "the table of sections is not inside the object");
	elf->sections = (const Elf64_Shdr *)(const void *)(elf->bytes + h->e_shoff);
	elf->section_count = h->e_shnum;
	return VM_OK;
}

static enum vm_status
sections_check(struct elf_object *elf, struct vm_error *err)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)(const void *)elf->bytes;

	for (uint32_t i = 0; i < elf->section_count; i++) {
		const Elf64_Shdr *at = &elf->sections[i];

		if (at->sh_type != SHT_NULL && at->sh_type != SHT_NOBITS &&
		    !is_inside(elf, at->sh_offset, at->sh_size))
			return malformed(elf, err, "a section is not inside the object");
		if (at->sh_addralign > ELF_ALIGN_MAX ||
		    (at->sh_addralign & (at->sh_addralign - 1)) != 0)
			return malformed(elf, err, "a section is aligned to no power of two");
	}
	elf->section_names = names_at(elf, h->e_shstrndx, &elf->section_names_bytes);
	if (elf->section_names == NULL)
		return malformed(elf, err, "sections have no names");
	for (uint32_t i = 0; i < elf->section_count; i++) {
		if (elf->sections[i].sh_name >= elf->section_names_bytes)
			return malformed(elf, err, "the name of a section is not in their table");
	}
	return VM_OK;
}

static enum vm_status
symbols_check(struct elf_object *elf, struct vm_error *err)
{
	for (uint32_t i = 0; i < elf->section_count; i++) {
		const Elf64_Shdr *at = &elf->sections[i];

		if (at->sh_type != SHT_SYMTAB)
			continue;
		if (elf->symbols != NULL)
			return malformed(elf, err, "has two tables of symbols");
		elf->symbols = array_at(elf, at, sizeof(*elf->symbols), &elf->symbol_count);
		elf->symbol_names = names_at(elf, at->sh_link, &elf->symbol_names_bytes);
		if (elf->symbols == NULL || elf->symbol_names == NULL)
			return malformed(elf, err, "the table of symbols is damaged");
	}
	for (uint32_t i = 0; i < elf->symbol_count; i++) {
		const Elf64_Sym *symbol = &elf->symbols[i];

		if (symbol->st_name >= elf->symbol_names_bytes)
			return malformed(elf, err, "the name of a symbol is not in their table");
		if (symbol->st_shndx < SHN_LORESERVE && symbol->st_shndx >= elf->section_count)
			return malformed(elf, err, "a symbol is in no section");
		if (symbol->st_shndx == SHN_XINDEX)
			return malformed(elf, err, "has more sections than 65,000");
	}
	return VM_OK;
}

enum vm_status
elf_open(struct elf_object *out, uint32_t number, const uint8_t *bytes, size_t len,
         struct vm_error *err)
{
	struct elf_object elf = { .bytes = bytes, .size_bytes = len, .number = number };
	enum vm_status st = header_check(&elf, err);

	if (st == VM_OK)
		st = sections_check(&elf, err);
	if (st == VM_OK)
		st = symbols_check(&elf, err);
	if (st == VM_OK)
		*out = elf;
	return st;
}

const char *
elf_section_name(const struct elf_object *elf, uint32_t section)
{
	return elf->section_names + elf->sections[section].sh_name;
}

const uint8_t *
elf_section_bytes(const struct elf_object *elf, uint32_t section)
{
	return elf->bytes + elf->sections[section].sh_offset;
}

const char *
elf_symbol_name(const struct elf_object *elf, uint32_t symbol)
{
	return elf->symbol_names + elf->symbols[symbol].st_name;
}

enum vm_status
elf_relocations(const struct elf_object *elf, uint32_t section, const Elf64_Rela **out,
                uint32_t *out_count, uint32_t *out_target, struct vm_error *err)
{
	const Elf64_Shdr *at = &elf->sections[section];
	const Elf64_Rela *items = array_at(elf, at, sizeof(*items), out_count);

	if (items == NULL || at->sh_info >= elf->section_count)
		return malformed(elf, err, "a table of relocations is damaged");
	for (uint32_t i = 0; i < *out_count; i++) {
		if (ELF64_R_SYM(items[i].r_info) >= elf->symbol_count)
			return malformed(elf, err, "a relocation is for no symbol");
	}
	*out = items;
	*out_target = at->sh_info;
	return VM_OK;
}
