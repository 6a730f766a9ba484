/*
 * module.h - a decoded module.
 *
 * Immutable after vm_module_load, but for the code that tiers hang on to it. Everything lives in
 * one arena and is freed at once.
 *
 * Spec:    Core 3.0, chapters 2.5 and 5.5
 * Owns:    the arena, a copy of the binary, the engine, its types' groups
 * Threads: shared by all
 */
#pragma once

#include <stdatomic.h>
#include "vm/base/arena.h"
#include "vm/core/type.h"
#include "vm/module.h"

/*
 * A constant expression. The common single-instruction forms are decoded; anything longer is left
 * as bytes (validated) to be evaluated by rt/constexpr.c.
 */
enum const_kind {
	CONST_VALUE,      /* bits (i32, i64, f32, f64: zero-extended; v128: both halves; null: 0) */
	CONST_GLOBAL_GET, /* index */
	CONST_REF_FUNC,   /* index */
	CONST_CODE,       /* offset, size of the instructions in the binary, end included */
};

struct const_expr {
	enum const_kind kind;
	vm_valtype type; /* of the result */
	uint32_t index;
	uint32_t size;
	uint64_t offset; /* of the expression in the binary, for all kinds */
	uint64_t bits[2];
};

struct module_import {
	struct vm_str module;
	struct vm_str name;
	enum vm_extern_kind kind;
	uint32_t index; /* in the index space of its kind */
};

struct module_export {
	struct vm_str name;
	enum vm_extern_kind kind;
	uint32_t index;
};

struct module_func {
	const struct vm_type *type;
	uint32_t type_index;
	uint32_t slot;        /* number among functions that can be referenced, or FUNC_NO_SLOT */
	bool is_declared;     /* ref.func may name it: it occurs outside of bodies (3.4.7) */
	uint64_t body_offset; /* of the code entry's locals in the binary; 0 for imports */
	uint32_t body_size;   /* bytes from there, end included */
};

#define FUNC_NO_SLOT UINT32_MAX

struct module_table {
	struct vm_tabletype type;
	bool has_init;
	struct const_expr init;
};

struct module_global {
	struct vm_globaltype type;
	struct const_expr init; /* not for imports */
};

enum segment_mode { SEGMENT_ACTIVE, SEGMENT_PASSIVE, SEGMENT_DECLARATIVE };

struct module_elem {
	enum segment_mode mode;
	vm_valtype type;
	uint32_t table;
	uint32_t count;
	struct const_expr offset;       /* active */
	const uint32_t *funcs;          /* count function indices, or NULL: */
	const struct const_expr *exprs; /* count expressions */
	uint64_t at;                    /* of the segment in the binary, for messages */
};

struct module_data {
	enum segment_mode mode;
	uint32_t memory;
	struct const_expr offset; /* active */
	const uint8_t *bytes;
	uint64_t size;
	uint64_t at;
};

/* Code that a tier made for this module, in its plain and metered form. */
struct module_code {
	_Atomic(void *) code;
	void (*free_fn)(void *code);
};

enum { MODULE_TIERS_MAX = 3, MODULE_VARIANTS = 2 };

struct vm_module {
	atomic_uint refs;
	struct vm_engine *engine;
	struct arena *arena;
	const uint8_t *bytes;
	size_t size;
	vm_features features_used; /* what a tier has to know to run it */
	vm_features features_seen; /* besides, what is only declared: types of objects, tags */

	uint32_t type_count;
	const struct vm_type **types;

	uint32_t import_count;
	struct module_import *imports;
	uint32_t export_count;
	struct module_export *exports; /* in the binary's order */
	const uint32_t *exports_by_name; /* indices, sorted by name bytes */

	/* Index spaces: imported first. */
	uint32_t func_count, func_import_count;
	struct module_func *funcs;
	uint32_t func_slot_count; /* functions with a slot */
	uint32_t table_count, table_import_count;
	struct module_table *tables;
	uint32_t memory_count, memory_import_count;
	struct vm_memorytype *memories;
	uint32_t global_count, global_import_count;
	struct module_global *globals;
	uint32_t tag_count, tag_import_count;
	const struct vm_type **tags;

	uint32_t elem_count;
	struct module_elem *elems;
	uint32_t data_count;
	bool has_data_count; /* a data count section was there */
	struct module_data *datas;
	bool has_start;
	uint32_t start;

	uint32_t section_count;
	struct vm_section *sections;
	struct vm_str *func_names; /* func_count names from the name section, or NULL */

	struct module_code code[MODULE_TIERS_MAX][MODULE_VARIANTS];
	atomic_int digest_state; /* native/digest.c's: SHA-256 of the bytes, when wanted */
	uint8_t digest[32];
};

/* The field of a struct or the element type of an array etc. are looked up through types. */
static inline const struct vm_type *
module_func_type(const struct vm_module *module, uint32_t function)
{
	return module->funcs[function].type;
}
