/*
 * type.h - defined types, canonical in their engine.
 *
 * A recursive group is hash-consed when a module is loaded: two groups of equal structure are one
 * object, so that equality of defined types is equality of pointers (and of type numbers), also
 * across modules. Groups are counted by the modules that hold them; a group's types are freed
 * with its last holder. A struct vm_type never moves.
 *
 * Spec:    Core 3.0, sections 2.3, 3.1 (rolling, sub-typing), 3.3
 * Threads: the registry has its own lock; finding a type by number takes none
 */
#pragma once

#include "vm/core/engine.h"
#include "vm/type.h"

enum comp_kind { COMP_FUNC, COMP_STRUCT, COMP_ARRAY };

/* Storage types besides value types: the packed ones. */
enum { STORAGE_I8 = 0x78, STORAGE_I16 = 0x77 };

struct field_type {
	vm_valtype storage; /* a value type, STORAGE_I8 or STORAGE_I16 */
	bool is_mutable;
};

struct vm_type {
	uint32_t number; /* vm_valtype's heap type is VM_HEAP_CONCRETE + number */
	enum comp_kind kind;
	bool is_final;
	uint32_t depth; /* supertypes above this one */
	const struct vm_type *const *display; /* depth + 1 types: root ... this one */
	struct vm_functype func;          /* COMP_FUNC */
	uint32_t param_slots;             /* 8-byte slots of all parameters */
	uint32_t result_slots;
	bool has_floats;                  /* or vectors, among parameters and results */
	bool is_defaultable;              /* all fields have default values */
	uint32_t field_count;             /* COMP_STRUCT; 1 for COMP_ARRAY */
	const struct field_type *fields;
	struct rec_group *group;
};

/* A sub type as decoded, before its group is canonical. */
struct type_source {
	enum comp_kind kind;
	bool is_final;
	bool has_super;
	/*
	 * Concrete heap types, and super, are VM_HEAP_CONCRETE + number for types of earlier
	 * groups, and TYPE_IN_GROUP + index for types of the same group.
	 */
	uint32_t super;
	struct vm_functype func;
	const struct field_type *fields;
	uint32_t field_count;
};

/* The registry of an engine: made with it, freed with it, when no group is held any more. */
VM_MUST_CHECK enum vm_status types_registry_new(struct vm_engine *engine, struct vm_error *err);
void types_registry_free(struct vm_engine *engine);

#define TYPE_IN_GROUP 0x800000u /* heap types have 24 bits; numbers stay below this */

/*
 * Find or make the canonical group. Fills out_types with count pointers, and holds the group on
 * the caller's behalf. Checks that supertypes fit (VM_E_INVALID, with the index of the type in
 * *out_bad). Returns VM_E_NOMEM, VM_E_LIMIT.
 */
VM_MUST_CHECK enum vm_status types_intern(struct vm_engine *engine,
                                          const struct type_source *sources, uint32_t count,
                                          const struct vm_type **out_types, uint32_t *out_bad,
                                          struct vm_error *err);
void rec_group_ref(struct rec_group *group);
/* Drop the caller's hold on a type's group. */
void rec_group_unref(struct vm_engine *engine, struct rec_group *group);

/* How many types it has: they are held and dropped together. */
uint32_t rec_group_count(const struct rec_group *group);

/* The canonical type of that number, which has to be alive. */
const struct vm_type *type_by_number(const struct vm_engine *engine, uint32_t number);

static inline const struct vm_type *
type_of_heap(const struct vm_engine *engine, uint32_t heap)
{
	return type_by_number(engine, heap - VM_HEAP_CONCRETE);
}

/* Convenience for plain function types (host functions): a final type in a group of its own. */
VM_MUST_CHECK enum vm_status types_intern_func(struct vm_engine *engine,
                                               const struct vm_functype *func,
                                               const struct vm_type **out_type,
                                               struct vm_error *err);

/* Sub-typing, section 3.3. VM_VALTYPE_BOTTOM is below everything. */
#define VM_VALTYPE_BOTTOM 0u
bool heap_is_subtype(const struct vm_engine *engine, uint32_t sub, uint32_t super);
bool valtype_is_subtype(const struct vm_engine *engine, vm_valtype sub, vm_valtype super);

static inline bool
type_is_subtype(const struct vm_type *sub, const struct vm_type *super)
{
	return sub == super || (sub->depth > super->depth && sub->display[super->depth] == super);
}

/* The top of a heap type's hierarchy: VM_HEAP_ANY, _FUNC, _EXTERN or _EXN. */
uint32_t heap_top(const struct vm_engine *engine, uint32_t heap);
/* True for types with a default value: numbers, vectors, nullable references. */
static inline bool
valtype_is_defaultable(vm_valtype type)
{
	return (type & 0xff) != VM_CODE_REF;
}
