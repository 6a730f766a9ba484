/*
 * elf.h - reading relocatable ELF objects of x86-64.
 *
 * Whatever lies outside of the bytes, or is not what a compiler makes of one function or many, is
 * refused when the object is opened; after that sections and symbols can be used as they are.
 *
 * Owns:    nothing: the bytes stay the caller's
 */
#pragma once

#include <elf.h>
#include "vm/error.h"

/* No section wants more: a vector register of the largest kind. */
enum { ELF_ALIGN_MAX = 64 };

struct elf_object {
	const uint8_t *bytes;
	size_t size_bytes;
	uint32_t number; /* for messages */
	const Elf64_Shdr *sections;
	uint32_t section_count;
	const char *section_names; /* ends in NUL */
	uint32_t section_names_bytes;
	const Elf64_Sym *symbols; /* NULL without */
	uint32_t symbol_count;
	const char *symbol_names; /* ends in NUL */
	uint32_t symbol_names_bytes;
};

/* bytes are aligned to 8. Returns VM_E_MALFORMED. */
VM_MUST_CHECK enum vm_status elf_open(struct elf_object *out, uint32_t number,
                                      const uint8_t *bytes, size_t len, struct vm_error *err);

/* Names and contents (not of SHT_NOBITS sections) are inside the object. */
const char *elf_section_name(const struct elf_object *elf, uint32_t section);
const uint8_t *elf_section_bytes(const struct elf_object *elf, uint32_t section);
const char *elf_symbol_name(const struct elf_object *elf, uint32_t symbol);

/*
 * The relocations of a section of type SHT_RELA, and the section that they are for. Returns
 * VM_E_MALFORMED.
 */
VM_MUST_CHECK enum vm_status elf_relocations(const struct elf_object *elf, uint32_t section,
                                             const Elf64_Rela **out, uint32_t *out_count,
                                             uint32_t *out_target, struct vm_error *err);
