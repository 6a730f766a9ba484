/*
 * decode.h - from a binary to a struct vm_module, section by section.
 *
 * load.c goes through the sections in order and calls one function for each; entries are
 * validated as they are read, because everything that a rule needs comes before it. Function
 * bodies are walked when the code section is read, unless they were before (load.h). All that a
 * module keeps lives in its arena.
 *
 * Spec: Core 3.0, section 5.5 and 3.4
 */
#pragma once

#include "vm/core/module.h"
#include "vm/load/input.h"
#include "vm/load/load.h"
#include "vm/load/typeread.h"
#include "vm/load/walker.h"

struct decoder {
	struct input in; /* at the current section's contents */
	struct vm_engine *engine;
	struct vm_module *module;
	struct walker *walker;
	const struct load_proof *proof; /* NULL: bodies are to be validated */
	struct arena *scratch;  /* emptied now and then: what is decoded but not kept */
	uint32_t section_count; /* entries of module->sections that there is room for */
};

#define decode_fail(d, status, offset, ...) input_fail(&(d)->in, (status), (offset), __VA_ARGS__)

/* count zeroed elements in the module's arena; NULL has set the error. */
void *decode_alloc(struct decoder *d, size_t count, size_t size_bytes);
/* A longer copy of an array of the arena, the added elements zeroed. */
void *decode_extend(struct decoder *d, const void *old, size_t old_count, size_t added,
                    size_t size_bytes);
/*
 * The entries of a section that extends an index space: reads their number, which has to keep the
 * space within limit.
 */
VM_MUST_CHECK enum vm_status decode_space(struct decoder *d, const char *what, uint32_t before,
                                          uint64_t limit, uint32_t *out_added);

/* Read a constant expression of a subtype of type. */
VM_MUST_CHECK enum vm_status decode_const(struct decoder *d, vm_valtype type,
                                          struct const_expr *out);

/* Types of entities, for imports and their own sections. */
VM_MUST_CHECK enum vm_status decode_func_type(struct decoder *d, const char *what,
                                              uint32_t *out_index, const struct vm_type **out);
VM_MUST_CHECK enum vm_status decode_table_type(struct decoder *d, struct vm_tabletype *out);
VM_MUST_CHECK enum vm_status decode_memory_type(struct decoder *d, struct vm_memorytype *out);
VM_MUST_CHECK enum vm_status decode_global_type(struct decoder *d, struct vm_globaltype *out);
VM_MUST_CHECK enum vm_status decode_tag_type(struct decoder *d, const struct vm_type **out);
/* How many tables and memories there can be depends on the version. */
VM_MUST_CHECK enum vm_status decode_check_counts(struct decoder *d, uint64_t offset);

/* One function a section; each reads all of its contents but leaves checking that to load.c. */
VM_MUST_CHECK enum vm_status decode_types(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_imports(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_functions(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_tables(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_memories(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_tags(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_globals(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_exports(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_start(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_elems(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_data_count(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_code(struct decoder *d);
VM_MUST_CHECK enum vm_status decode_datas(struct decoder *d);

/*
 * The name section's contents. Damage in it is no error: what came before is kept. Returns
 * VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status decode_names(struct decoder *d, struct reader contents);
