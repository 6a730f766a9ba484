/*
 * module.h - decoded and validated modules.
 *
 * A module is immutable, counted, and shared by all threads. Everything that is handed out
 * (names, types, byte ranges) belongs to the module and lives as long as it does.
 */
#pragma once

#include "vm/engine.h"
#include "vm/type.h"

struct vm_module;

/*
 * Decode and validate a binary module. The bytes are copied.
 *
 * On failure err->offset is the byte that gave offence, and err->function the function, if it
 * was in one. Returns the statuses VM_E_MAGIC to VM_E_UNSUPPORTED, VM_E_LIMIT, VM_E_NOMEM.
 * Spec: Core 3.0, chapters 3 and 5
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_module_load(struct vm_engine *engine,
                                                      const uint8_t *bytes, size_t len,
                                                      struct vm_module **out_module,
                                                      struct vm_error *err);
VM_EXPORT struct vm_module *vm_module_ref(struct vm_module *module);
VM_EXPORT void vm_module_unref(struct vm_module *module); /* NULL is fine */

/* The bytes as given to vm_module_load. */
VM_EXPORT const uint8_t *vm_module_bytes(const struct vm_module *module, size_t *out_len);

struct vm_import {
	struct vm_str module;
	struct vm_str name;
	struct vm_externtype type;
};

struct vm_export {
	struct vm_str name;
	struct vm_externtype type;
};

VM_EXPORT uint32_t vm_module_import_count(const struct vm_module *module);
VM_EXPORT uint32_t vm_module_export_count(const struct vm_module *module);
/* index below the count, in the order of the binary. */
VM_EXPORT void vm_module_import(const struct vm_module *module, uint32_t index,
                                struct vm_import *out);
VM_EXPORT void vm_module_export(const struct vm_module *module, uint32_t index,
                                struct vm_export *out);
/* Index of the export of that name; false when there is none. */
VM_EXPORT bool vm_module_find_export(const struct vm_module *module, struct vm_str name,
                                     uint32_t *out_index);

/* Features beyond the 1.0 core that the module uses. */
VM_EXPORT vm_features vm_module_features(const struct vm_module *module);

/* A section of the binary, custom ones too, in order. */
struct vm_section {
	uint8_t id;         /* 0 custom, 1 type, ... 13 tag */
	struct vm_str name; /* of a custom section; else the specification's name of the id */
	uint64_t offset;    /* of the contents in the binary (behind a custom section's name) */
	uint64_t size_bytes;
	uint32_t count;     /* entries of the vector inside; 0 for custom and start */
};

VM_EXPORT uint32_t vm_module_section_count(const struct vm_module *module);
VM_EXPORT void vm_module_section(const struct vm_module *module, uint32_t index,
                                 struct vm_section *out);

/* Functions, imports counted. Name from the name section, else an export's, else empty. */
VM_EXPORT uint32_t vm_module_function_count(const struct vm_module *module);
VM_EXPORT struct vm_str vm_module_function_name(const struct vm_module *module, uint32_t function);
VM_EXPORT struct vm_functype vm_module_function_type(const struct vm_module *module,
                                                     uint32_t function);
/* Offset and size of the code entry (0, 0 for an import). */
VM_EXPORT void vm_module_function_body(const struct vm_module *module, uint32_t function,
                                       uint64_t *out_offset, uint64_t *out_size_bytes);
