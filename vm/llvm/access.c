/*
 * access.c - what native code reaches through its instance: memories, globals, tables, functions,
 * and the runtime's built-ins.
 *
 * What the module defines lies in the instance itself; what it imports is found through arrays of
 * pointers there.
 *
 * Spec: Core 3.0, sections 4.6.3 to 4.6.7
 */
#include "vm/llvm/chunk.h"

#include <string.h>

/* --- fields --------------------------------------------------------------------------------- */

static LLVMValueRef
address_at(const struct emit *e, LLVMBuilderRef builder, LLVMValueRef base, uint64_t offset)
{
	LLVMValueRef index = emit_i64(e, offset);

	if (offset == 0)
		return base;
	return LLVMBuildInBoundsGEP2(builder, e->t.i8, base, &index, 1, "");
}

LLVMValueRef
emit_address(struct emit *e, LLVMValueRef base, uint64_t offset)
{
	return address_at(e, e->builder, base, offset);
}

static LLVMValueRef
invariant_at(const struct emit *e, LLVMBuilderRef builder, LLVMTypeRef type, LLVMValueRef base,
             uint64_t offset, const char *name)
{
	const struct emit_chunk *chunk = e->chunk;
	LLVMValueRef load =
	    LLVMBuildLoad2(builder, type, address_at(e, builder, base, offset), name);

	emit_set_metadata(e, load, chunk->kind_invariant, chunk->empty);
	emit_set_metadata(e, load, chunk->kind_noundef, chunk->empty);
	return load;
}

LLVMValueRef
emit_invariant(struct emit *e, LLVMTypeRef type, LLVMValueRef base, uint64_t offset,
               const char *name)
{
	return invariant_at(e, e->builder, type, base, offset, name);
}

LLVMValueRef
emit_field(struct emit *e, LLVMTypeRef type, LLVMValueRef base, uint64_t offset,
           enum emit_region region)
{
	LLVMValueRef load = LLVMBuildLoad2(e->builder, type, emit_address(e, base, offset), "");

	emit_set_region(e, load, region);
	return load;
}

LLVMValueRef
emit_set_field(struct emit *e, LLVMValueRef value, LLVMValueRef base, uint64_t offset,
               enum emit_region region)
{
	LLVMValueRef store = LLVMBuildStore(e->builder, value, emit_address(e, base, offset));

	emit_set_region(e, store, region);
	return store;
}

/*
 * The pointer, just loaded, is to so many bytes that can be read at any time: so loops can load
 * what is there before they begin.
 */
static LLVMValueRef
points_to(const struct emit *e, LLVMValueRef load, uint64_t size_bytes)
{
	const struct emit_chunk *chunk = e->chunk;

	if (e->options->level == VM_COMPILE_FAST)
		return load; /* without metadata */
	LLVMMetadataRef size = LLVMValueAsMetadata(emit_i64(e, size_bytes));
	LLVMMetadataRef align = LLVMValueAsMetadata(emit_i64(e, sizeof(void *)));

	LLVMSetMetadata(load, chunk->kind_dereferenceable,
	                LLVMMetadataAsValue(e->context,
	                                    LLVMMDNodeInContext2(e->context, &size, 1)));
	LLVMSetMetadata(load, chunk->kind_align,
	                LLVMMetadataAsValue(e->context,
	                                    LLVMMDNodeInContext2(e->context, &align, 1)));
	return load;
}

LLVMValueRef
emit_run(struct emit *e)
{
	LLVMValueRef run = emit_invariant(e, e->t.ptr, e->instance,
	                                  offsetof(struct vm_instance, run), "run");

	return points_to(e, run, sizeof(struct vm_run));
}

/* The object of an index: in the instance, or found in an array of pointers. Never NULL. */
static LLVMValueRef
object_at(const struct emit *e, LLVMBuilderRef builder, uint32_t index, uint32_t import_count,
          size_t own, size_t own_size_bytes, size_t pointers)
{
	if (index >= import_count)
		return address_at(e, builder, e->instance,
		                  own + (index - import_count) * own_size_bytes);
	LLVMValueRef object = invariant_at(e, builder, e->t.ptr, e->instance,
	                                   pointers + index * sizeof(void *), "");
	emit_set_metadata(e, object, e->chunk->kind_nonnull, e->chunk->empty);
	return object;
}

/* --- memories ------------------------------------------------------------------------------- */

LLVMValueRef
emit_memory_object(struct emit *e, uint32_t memory)
{
	LLVMValueRef *known = &e->memory_objects[memory];

	if (*known == NULL)
		*known = object_at(e, e->prologue, memory, e->module->memory_import_count,
		                   e->layout->own_memories, sizeof(struct vm_memory),
		                   e->layout->memories);
	return *known;
}

LLVMValueRef
emit_memory_base(struct emit *e, uint32_t memory)
{
	LLVMValueRef *known = &e->memory_bases[memory];

	if (*known != NULL)
		return *known;
	if (memory == 0)
		*known = invariant_at(e, e->prologue, e->t.ptr, e->instance,
		                      offsetof(struct vm_instance, memory0), "memory");
	else
		*known = invariant_at(e, e->prologue, e->t.ptr, emit_memory_object(e, memory),
		                      offsetof(struct vm_memory, base), "memory");
	return *known;
}

static LLVMValueRef
memory_pages(struct emit *e, const struct walk_insn *insn)
{
	LLVMValueRef memory = emit_memory_object(e, insn->imm.index.index);
	LLVMValueRef pages = emit_field(e, e->t.i64, memory, offsetof(struct vm_memory, pages),
	                                REGION_INSTANCE);

	return insn->is_64 ? pages : LLVMBuildTrunc(e->builder, pages, e->t.i32, "");
}

/* --- built-ins ------------------------------------------------------------------------------ */

static const char *const builtin_signatures[NATIVE_BUILTIN_COUNT] = {
#define BUILTIN(symbol, name, sig) [NATIVE_##symbol] = sig,
#include "vm/def/builtin.def"
#undef BUILTIN
};

static LLVMTypeRef
letter_type(const struct emit *e, char letter)
{
	switch (letter) {
	case 'i':
		return e->t.i32;
	case 'l':
		return e->t.i64;
	case 'f':
		return e->t.f32;
	case 'd':
		return e->t.f64;
	case 'p':
		return e->t.ptr;
	default:
		return e->t.void_;
	}
}

enum { BUILTIN_PARAMS_MAX = 6 };

LLVMValueRef
emit_builtin(struct emit *e, enum native_builtin builtin, LLVMValueRef *args,
             unsigned int arg_count)
{
	const char *sig = builtin_signatures[builtin];
	LLVMTypeRef types[BUILTIN_PARAMS_MAX] = { e->t.ptr };
	LLVMValueRef values[BUILTIN_PARAMS_MAX] = { e->instance };

	for (unsigned int i = 0; i < arg_count; i++) {
		types[1 + i] = letter_type(e, sig[2 + i]);
		values[1 + i] = args[i];
	}
	emit_position(e);
	LLVMValueRef table = emit_invariant(e, e->t.ptr, e->instance,
	                                    offsetof(struct vm_instance, builtins), "builtins");
	LLVMValueRef code =
	    emit_invariant(e, e->t.ptr, table, (uint64_t)builtin * sizeof(void *), "");
	LLVMTypeRef type = LLVMFunctionType(letter_type(e, sig[0]), types, 1 + arg_count, false);
	LLVMValueRef call = LLVMBuildCall2(e->builder, type, code, values, 1 + arg_count, "");
	LLVMSetTailCallKind(call, LLVMTailCallKindNoTail);
	emit_set_nounwind(e, call);
	return sig[0] == 'v' ? NULL : call;
}

/* Indices, lengths and addresses are i64 there. */
static LLVMValueRef
pop_i64(struct emit *e)
{
	return LLVMBuildZExt(e->builder, emit_pop(e), e->t.i64, "");
}

/* Bulk operations: two indices, then three operands. */
static void
bulk(struct emit *e, enum native_builtin builtin, uint32_t index, uint32_t index2)
{
	LLVMValueRef args[5] = { emit_i32(e, index), emit_i32(e, index2) };

	args[4] = pop_i64(e);
	args[3] = pop_i64(e);
	args[2] = pop_i64(e);
	(void)emit_builtin(e, builtin, args, 5);
}

/* Fill a memory or table: the value as it is. */
static void
fill(struct emit *e, enum native_builtin builtin, uint32_t index)
{
	LLVMValueRef args[4] = { emit_i32(e, index) };

	args[3] = pop_i64(e);
	args[2] = emit_pop(e);
	args[1] = pop_i64(e);
	(void)emit_builtin(e, builtin, args, 4);
}

static void
drop(struct emit *e, enum native_builtin builtin, uint32_t segment)
{
	LLVMValueRef args[1] = { emit_i32(e, segment) };

	(void)emit_builtin(e, builtin, args, 1);
}

/* Sizes come back as i64, -1 for failure in both widths. */
static void
push_size(struct emit *e, LLVMValueRef size, bool is_64)
{
	emit_push(e, is_64 ? size : LLVMBuildTrunc(e->builder, size, e->t.i32, ""));
}

static void
grow_memory(struct emit *e, const struct walk_insn *insn)
{
	LLVMValueRef args[2] = { emit_i32(e, insn->imm.index.index) };

	args[1] = pop_i64(e);
	push_size(e, emit_builtin(e, NATIVE_MEMORY_GROW, args, 2), insn->is_64);
}

static void
grow_table(struct emit *e, const struct walk_insn *insn)
{
	LLVMValueRef args[3] = { emit_i32(e, insn->imm.index.index) };

	args[1] = pop_i64(e);
	args[2] = emit_pop(e);
	push_size(e, emit_builtin(e, NATIVE_TABLE_GROW, args, 3), insn->is_64);
}

/* --- globals -------------------------------------------------------------------------------- */

static LLVMValueRef
global_cell(struct emit *e, uint32_t global)
{
	return object_at(e, e->builder, global, e->module->global_import_count,
	                 e->layout->own_globals, sizeof(struct vm_global), e->layout->globals);
}

static enum emit_region
global_region(const struct emit *e, uint32_t global)
{
	return global < e->module->global_import_count ? REGION_IMPORTED_GLOBAL : REGION_GLOBAL;
}

/* Cells have the alignment of a slot, also those of vectors. */
enum { CELL_ALIGN = 8 };

static void
global_get(struct emit *e, const struct walk_insn *insn)
{
	uint32_t index = insn->imm.index.index;
	LLVMTypeRef type = emit_type(e, insn->type);
	LLVMValueRef cell = global_cell(e, index);
	LLVMValueRef value = e->module->globals[index].type.is_mutable
	                         ? emit_field(e, type, cell, 0, global_region(e, index))
	                         : emit_invariant(e, type, cell, 0, "");

	if (insn->type == VM_V128)
		LLVMSetAlignment(value, CELL_ALIGN);
	emit_push(e, value);
}

static void
global_set(struct emit *e, const struct walk_insn *insn)
{
	uint32_t index = insn->imm.index.index;
	LLVMValueRef store = emit_set_field(e, emit_pop(e), global_cell(e, index), 0,
	                                    global_region(e, index));

	if (insn->type == VM_V128)
		LLVMSetAlignment(store, CELL_ALIGN);
	emit_set_effect(e, store);
}

/* --- tables --------------------------------------------------------------------------------- */

static LLVMValueRef
table_object(struct emit *e, uint32_t table)
{
	return object_at(e, e->builder, table, e->module->table_import_count,
	                 e->layout->own_tables, sizeof(struct vm_table), e->layout->tables);
}

/* Whether the table has its declared size for ever. */
static bool
table_is_fixed(const struct emit *e, uint32_t table)
{
	const struct vm_tabletype *type = &e->module->tables[table].type;

	return type->has_max && type->max == type->min;
}

static LLVMValueRef
table_size(struct emit *e, uint32_t table)
{
	if (table_is_fixed(e, table))
		return emit_i64(e, e->module->tables[table].type.min);
	return emit_field(e, e->t.i64, table_object(e, table), offsetof(struct vm_table, size),
	                  REGION_INSTANCE);
}

static LLVMValueRef
table_elements(struct emit *e, uint32_t table)
{
	LLVMValueRef object = table_object(e, table);

	if (table_is_fixed(e, table))
		return emit_invariant(e, e->t.ptr, object, offsetof(struct vm_table, elems),
		                      "elems");
	return emit_field(e, e->t.ptr, object, offsetof(struct vm_table, elems), REGION_INSTANCE);
}

/* The address of an element, after a check of the bounds. */
static LLVMValueRef
table_element(struct emit *e, uint32_t table, LLVMValueRef index, enum vm_trap trap)
{
	LLVMValueRef wide = LLVMBuildZExt(e->builder, index, e->t.i64, "");
	LLVMValueRef size = table_size(e, table);

	emit_trap_if(e, LLVMBuildICmp(e->builder, LLVMIntUGE, wide, size, ""), trap);
	return LLVMBuildInBoundsGEP2(e->builder, e->t.ptr, table_elements(e, table), &wide, 1, "");
}

LLVMValueRef
emit_table_get(struct emit *e, uint32_t table, LLVMValueRef index, enum vm_trap trap)
{
	LLVMValueRef element = table_element(e, table, index, trap);

	return emit_field(e, e->t.ptr, element, 0, REGION_TABLE);
}

static void
table_set(struct emit *e, uint32_t table)
{
	LLVMValueRef value = emit_pop(e);
	LLVMValueRef element = table_element(e, table, emit_pop(e), VM_TRAP_TABLE_BOUNDS);

	emit_set_effect(e, emit_set_field(e, value, element, 0, REGION_TABLE));
}

/* --- functions and types -------------------------------------------------------------------- */

LLVMValueRef
emit_function_object(struct emit *e, uint32_t function)
{
	const struct vm_module *m = e->module;
	LLVMValueRef object;

	if (function >= m->func_import_count)
		return emit_address(e, e->instance,
		                    e->layout->funcs +
		                        m->funcs[function].slot * sizeof(struct vm_func));
	object = emit_invariant(e, e->t.ptr, e->instance,
	                        e->layout->imported_funcs + function * sizeof(struct vm_func *),
	                        "import");
	emit_set_metadata(e, object, e->chunk->kind_nonnull, e->chunk->empty);
	return object;
}

LLVMValueRef
emit_type_object(struct emit *e, uint32_t type)
{
	LLVMValueRef types = emit_invariant(e, e->t.ptr, e->instance,
	                                    offsetof(struct vm_instance, types), "types");

	(void)points_to(e, types, (uint64_t)e->module->type_count * sizeof(struct vm_type *));
	return emit_invariant(e, e->t.ptr, types, (uint64_t)type * sizeof(struct vm_type *), "");
}

static void
as_non_null(struct emit *e)
{
	LLVMValueRef ref = emit_pop(e);

	emit_trap_if(e, LLVMBuildIsNull(e->builder, ref, ""), VM_TRAP_NULL_REFERENCE);
	emit_push(e, ref);
}

static void
is_null(struct emit *e)
{
	LLVMValueRef result = LLVMBuildIsNull(e->builder, emit_pop(e), "");

	emit_push(e, LLVMBuildZExt(e->builder, result, e->t.i32, ""));
}

/* --- by opcode ------------------------------------------------------------------------------ */

bool
emit_access(struct emit *e, const struct walk_insn *insn)
{
	uint32_t index = insn->imm.index.index;
	uint32_t index2 = insn->imm.index.index2;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (insn->op) {
	case VM_OP_GLOBAL_GET:
		global_get(e, insn);
		return true;
	case VM_OP_GLOBAL_SET:
		global_set(e, insn);
		return true;
	case VM_OP_MEMORY_SIZE:
		emit_push(e, memory_pages(e, insn));
		return true;
	case VM_OP_MEMORY_GROW:
		grow_memory(e, insn);
		return true;
	case VM_OP_MEMORY_FILL:
		fill(e, NATIVE_MEMORY_FILL, index);
		return true;
	case VM_OP_MEMORY_COPY:
		bulk(e, NATIVE_MEMORY_COPY, index, index2);
		return true;
	case VM_OP_MEMORY_INIT:
		bulk(e, NATIVE_MEMORY_INIT, index, index2);
		return true;
	case VM_OP_DATA_DROP:
		drop(e, NATIVE_DATA_DROP, index);
		return true;
	case VM_OP_TABLE_GET:
		emit_push(e, emit_table_get(e, index, emit_pop(e), VM_TRAP_TABLE_BOUNDS));
		return true;
	case VM_OP_TABLE_SET:
		table_set(e, index);
		return true;
	case VM_OP_TABLE_SIZE:
		push_size(e, table_size(e, index), insn->is_64);
		return true;
	case VM_OP_TABLE_GROW:
		grow_table(e, insn);
		return true;
	case VM_OP_TABLE_FILL:
		fill(e, NATIVE_TABLE_FILL, index);
		return true;
	case VM_OP_TABLE_COPY:
		bulk(e, NATIVE_TABLE_COPY, index, index2);
		return true;
	case VM_OP_TABLE_INIT:
		bulk(e, NATIVE_TABLE_INIT, index, index2);
		return true;
	case VM_OP_ELEM_DROP:
		drop(e, NATIVE_ELEM_DROP, index);
		return true;
	case VM_OP_REF_NULL:
		emit_push(e, LLVMConstPointerNull(e->t.ptr));
		return true;
	case VM_OP_REF_FUNC:
		emit_push(e, emit_function_object(e, index));
		return true;
	case VM_OP_REF_IS_NULL:
		is_null(e);
		return true;
	case VM_OP_REF_AS_NON_NULL:
		as_non_null(e);
		return true;
	default:
		return false;
	}
#pragma GCC diagnostic pop
}
