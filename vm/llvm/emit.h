/*
 * emit.h - one wasm function on its way to LLVM IR.
 *
 *     driver.c    a module: chunks of functions, threads, objects
 *     chunk.c     a chunk: LLVM's module, declarations, attributes, positions
 *     pipeline.c  passes over a chunk, and its object
 *     function.c  the walker's back-end: blocks, branches, locals, fuel
 *     calls.c     calls and returns, by the convention of vm/native/abi.h
 *     access.c    globals, tables, references, segments, built-ins
 *     memory.c    loads and stores, scalar and vector
 *     num.c       integer and floating-point instructions and conversions
 *     simd.c      vector instructions
 *
 * The operand stack holds SSA values; locals are allocas until mem2reg. v128 is <2 x i64> on the
 * stack and in locals, whatever lanes an instruction sees. References are ptr. i32 conditions
 * are i32.
 *
 * Everything that is an effect (guest memory, globals, tables, fuel) is a volatile access unless
 * options->relaxed_traps; what cannot change (addresses inside the instance, memory bases,
 * function objects) is an invariant load.
 */
#pragma once

#include <llvm-c/Core.h>
#include "vm/load/walk.h"
#include "vm/native.h"
#include "vm/native/abi.h"
#include "vm/rt/layout.h"

/* Types and constants of a chunk's LLVM module. */
struct emit_types {
	LLVMTypeRef void_, i1, i8, i16, i32, i64, i128, f32, f64, ptr;
	LLVMTypeRef v128; /* <2 x i64> */
	LLVMTypeRef i8x16, i16x8, i32x4, i64x2, f32x4, f64x2;
};

struct emit {
	struct vm_backend base; /* first */
	LLVMContextRef context;
	LLVMModuleRef llvm;
	LLVMBuilderRef builder;
	struct emit_types t;
	const struct vm_module *module;
	const struct vm_compile_options *options;
	uint64_t cpu_features;

	/* Of the function being emitted. */
	const struct walk_func *func;
	struct walker *walker;
	LLVMValueRef function;
	LLVMMetadataRef scope;   /* of positions */
	LLVMValueRef instance;   /* first parameter */
	LLVMBasicBlockRef entry; /* allocas and invariant loads of the prologue */

	LLVMBuilderRef prologue; /* at the end of the entry block */
	uint64_t offset;         /* in the binary, of the instruction being emitted */
	uint32_t loop_depth;     /* loops around it */

	struct emit_body *body;   /* function.c's: operand stack, blocks, locals */
	struct emit_chunk *chunk; /* chunk.c's: declarations, attributes, debug info */
	const struct instance_layout *layout;
	LLVMValueRef *memory_objects, *memory_bases; /* by memory, once the function uses it */
};

/* --- one function --------------------------------------------------------------------------- */

/* The back-end's functions. */
extern const struct vm_backend_ops emit_backend_ops;

/* Make room for the module's functions, release it. */
bool emit_body_init(struct emit *e);
void emit_body_clear(struct emit *e);

/* --- function.c ----------------------------------------------------------------------------- */

/* LLVM's type of a wasm value. */
LLVMTypeRef emit_type(const struct emit *e, vm_valtype type);

/*
 * Go on only if the condition (i1) is false; otherwise trap, in a cold block. The builder is at
 * the continuation afterwards. The position is the instruction's (set by the back-end).
 */
void emit_trap_if(struct emit *e, LLVMValueRef condition, enum vm_trap trap);
/* Trap here. No instruction may follow in the block. */
void emit_trap(struct emit *e, enum vm_trap trap);
/* Branch on a condition (i1) that is hardly ever true; the builder is at the other side then. */
void emit_unlikely(struct emit *e, LLVMValueRef condition, LLVMBasicBlockRef cold);
/* From here on instructions have the position e->offset. */
void emit_position(struct emit *e);
/* A new block at the end of the function. */
LLVMBasicBlockRef emit_block(struct emit *e, const char *name);

/* The operand stack. */
void emit_push(struct emit *e, LLVMValueRef value);
LLVMValueRef emit_pop(struct emit *e);
/* Take count operands off: they stay valid, the deepest first, until the next push. */
LLVMValueRef *emit_pop_many(struct emit *e, uint32_t count);

/* --- calls.c -------------------------------------------------------------------------------- */

/* LLVM's type of a function that the module defines, or imports. */
LLVMTypeRef emit_function_type(const struct emit *e, uint32_t function);
/* The parameters of the function being emitted, all of them, in order. */
void emit_load_params(struct emit *e, LLVMValueRef *out);
/* Return with the operands on top of the stack. */
void emit_return(struct emit *e, LLVMValueRef *results);
/* Calls and tail calls of all kinds. Returns false for other instructions. */
bool emit_call(struct emit *e, const struct walk_insn *insn);

/* --- chunk.c -------------------------------------------------------------------------------- */

/*
 * Call an intrinsic: name as "llvm.ctpop", overloaded on the types given (for those that are
 * overloaded, one for each overloaded slot).
 */
LLVMValueRef emit_intrinsic(struct emit *e, const char *name, const LLVMTypeRef *overloads,
                            unsigned int overload_count, LLVMValueRef *args,
                            unsigned int arg_count);
/* The symbol of a function that the module defines. */
LLVMValueRef emit_declare(struct emit *e, uint32_t function);

/* What memory an access goes to. Accesses to different regions never overlap. */
enum emit_region {
	REGION_GUEST,           /* memories */
	REGION_GLOBAL,          /* globals of the module */
	REGION_IMPORTED_GLOBAL,
	REGION_TABLE,           /* elements */
	REGION_INSTANCE,        /* everything else that changes: sizes, table objects, segments */
	REGION_FUEL,
	REGION_EXTRA,           /* values that travel in no register */
	REGION_COUNT
};

/* Metadata that only passes look at: the level fast goes without. */
void emit_set_metadata(const struct emit *e, LLVMValueRef insn, unsigned int kind,
                       LLVMValueRef node);
void emit_set_region(const struct emit *e, LLVMValueRef access, enum emit_region region);
void emit_set_nounwind(const struct emit *e, LLVMValueRef call);
/* The access is an effect: it may not vanish, nor move across others. */
void emit_set_effect(const struct emit *e, LLVMValueRef access);

static inline bool
emit_has_cpu(const struct emit *e, uint64_t bit)
{
	return (e->cpu_features & bit) != 0;
}

static inline LLVMValueRef
emit_i32(const struct emit *e, uint32_t value)
{
	return LLVMConstInt(e->t.i32, value, false);
}

static inline LLVMValueRef
emit_i64(const struct emit *e, uint64_t value)
{
	return LLVMConstInt(e->t.i64, value, false);
}

/* --- access.c ------------------------------------------------------------------------------- */

/* A value at base + offset bytes that never changes while the instance lives. */
LLVMValueRef emit_invariant(struct emit *e, LLVMTypeRef type, LLVMValueRef base, uint64_t offset,
                            const char *name);
/* A value at base + offset bytes of the runtime's own memory: read anew, or set. */
LLVMValueRef emit_field(struct emit *e, LLVMTypeRef type, LLVMValueRef base, uint64_t offset,
                        enum emit_region region);
LLVMValueRef emit_set_field(struct emit *e, LLVMValueRef value, LLVMValueRef base, uint64_t offset,
                            enum emit_region region);
LLVMValueRef emit_address(struct emit *e, LLVMValueRef base, uint64_t offset);
/* struct vm_run * */
LLVMValueRef emit_run(struct emit *e);
/* struct vm_memory * of an index, and the first byte of it; found once a function. */
LLVMValueRef emit_memory_object(struct emit *e, uint32_t memory);
LLVMValueRef emit_memory_base(struct emit *e, uint32_t memory);
/* struct vm_func * of a function that can be referenced; struct vm_type * of the module's. */
LLVMValueRef emit_function_object(struct emit *e, uint32_t function);
LLVMValueRef emit_type_object(struct emit *e, uint32_t type);
/* An element of a table; with a trap when the index, of the table's type, is out of bounds. */
LLVMValueRef emit_table_get(struct emit *e, uint32_t table, LLVMValueRef index,
                            enum vm_trap trap);
/*
 * The instructions of globals, tables, references and segments, and those that need a built-in.
 * Returns false for others.
 */
bool emit_access(struct emit *e, const struct walk_insn *insn);
/* Call a built-in with its arguments behind the instance. NULL for those without result. */
LLVMValueRef emit_builtin(struct emit *e, enum native_builtin builtin, LLVMValueRef *args,
                          unsigned int arg_count);

/* --- num.c, simd.c, memory.c ------------------------------------------------------------------ */

/*
 * The value of an instruction whose row has a signature without memory access. operands are in
 * order, the deepest first, as many as the signature has. Returns NULL for an instruction that the
 * file does not know.
 */
LLVMValueRef emit_num(struct emit *e, const struct walk_insn *insn, LLVMValueRef *operands);
LLVMValueRef emit_simd(struct emit *e, const struct walk_insn *insn, LLVMValueRef *operands);

/*
 * A float constant (a scalar, or lanes of floats) as a value that LLVM does not look into: the
 * zero of a local, the value of an immutable global. LLVM would take x - 0 for x, even if x is a
 * signalling NaN, which arithmetic has to make quiet.
 */
LLVMValueRef emit_hidden(struct emit *e, LLVMValueRef constant);

/*
 * Loads and stores of every kind (rows with immediates MEMARG and MEMARG_LANE, not atomics).
 * *out_result is NULL for stores. Returns false for an instruction that the file does not know.
 */
bool emit_memory(struct emit *e, const struct walk_insn *insn, LLVMValueRef *operands,
                 LLVMValueRef *out_result);
