/*
 * section.h - native code in a module file: the custom section that "wasmedge compile" appends.
 *
 * The section is named "wasmedged.native" and is the last of the file, so that the module as it was
 * compiled, to which the code is bound, is the file without its end. Its contents are:
 *
 *     "\x01"              version of this layout
 *     one or more of
 *         u64             bytes of the artifact, little endian
 *         32 bytes        MAC of the artifact under the user's key (key.h)
 *         the artifact    vm/native.h
 *
 * A file with it stays a valid module, which other engines take as it is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "vm/vm.h"

#define NATIVE_SECTION_NAME "wasmedged.native"

struct native_section {
	size_t module_bytes;    /* of the file, in front of the section: all of it without one */
	const uint8_t *entries; /* points into the file; NULL when there is no such section */
	size_t entries_bytes;
};

/* Look for the section at the end of a file. Bytes that are no module have none. */
void native_section_find(const uint8_t *bytes, size_t len, struct native_section *out);

struct native_entry {
	const uint8_t *mac; /* VM_MAC_BYTES */
	const uint8_t *artifact;
	size_t artifact_bytes;
};

/*
 * Walk over the entries: start with *position 0. False after the last one, or where the contents
 * do not follow the layout.
 */
bool native_section_next(const struct native_section *section, size_t *position,
                         struct native_entry *out);

/*
 * The section for a list of entries, with its header; the caller frees *out.
 * Returns VM_E_NOMEM, VM_E_LIMIT when it would exceed what a section can hold.
 */
VM_MUST_CHECK enum vm_status native_section_make(const struct native_entry *entries, size_t count,
                                                 uint8_t **out, size_t *out_len,
                                                 struct vm_error *err);
