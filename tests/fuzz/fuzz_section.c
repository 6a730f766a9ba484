/*
 * fuzz_section.c - native code at the end of a module file: the section and its entries.
 *
 * What is found lies inside the file, in order, and a section made anew of the same entries is
 * read back as the same.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "client/wasmedge/section.h"

enum { ENTRIES_MAX = 64 };

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* Append a section of these entries to the module, and read it back. */
static void
check_again(const uint8_t *data, size_t module_bytes, const struct native_entry *entries,
            size_t count)
{
	struct native_section section;
	struct native_entry entry;
	struct vm_error err;
	uint8_t *made;
	size_t len, position = 0;

	check(native_section_make(entries, count, &made, &len, &err) == VM_OK);
	uint8_t *file = malloc(module_bytes + len);
	check(file != NULL);
	memcpy(file, data, module_bytes);
	memcpy(file + module_bytes, made, len);
	native_section_find(file, module_bytes + len, &section);
	check(section.entries != NULL && section.module_bytes == module_bytes);
	for (size_t i = 0; i < count; i++) {
		check(native_section_next(&section, &position, &entry));
		check(entry.artifact_bytes == entries[i].artifact_bytes);
		check(memcmp(entry.artifact, entries[i].artifact, entry.artifact_bytes) == 0);
		check(memcmp(entry.mac, entries[i].mac, VM_MAC_BYTES) == 0);
	}
	check(!native_section_next(&section, &position, &entry));
	free(file);
	free(made);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct native_entry entries[ENTRIES_MAX];
	struct native_section section;
	size_t count = 0, position = 0;

	native_section_find(data, size, &section);
	check(section.module_bytes <= size);
	if (section.entries == NULL) {
		check(section.module_bytes == size);
		return 0;
	}
	check(section.entries > data + section.module_bytes &&
	      section.entries + section.entries_bytes == data + size);
	const uint8_t *end = section.entries;
	while (count < ENTRIES_MAX && native_section_next(&section, &position, &entries[count])) {
		check(entries[count].mac >= end);
		end = entries[count].artifact + entries[count].artifact_bytes;
		check(end <= data + size);
		count++;
	}
	check_again(data, section.module_bytes, entries, count);
	return 0;
}
