/*
 * chunk.h - a range of functions on its way to one object.
 *
 * A chunk has an LLVM context, module and target machine of its own, so that chunks can be made
 * by many threads, and everything is given back with the chunk.
 *
 * Owns:    LLVM's objects
 * Borrows: the module and the options
 * Threads: one at a time
 */
#pragma once

#include <llvm-c/DebugInfo.h>
#include <llvm-c/TargetMachine.h>
#include "vm/llvm/emit.h"
#include "vm/native/compiler.h"

/* What all chunks of a compilation have in common. */
struct chunk_plan {
	const struct vm_module *module;
	const struct vm_compile_options *options;
	uint64_t cpu_features;
	char *cpu_features_text; /* "+sse3,-avx,...", for LLVM */
	const char *cpu_tune;    /* name of the processor to tune for */
	uint64_t code_bytes;     /* of all bodies */
	bool is_large;           /* of the level best; most code of a large module runs seldom */
	struct instance_layout layout;
};

/* What is known of a function before any is emitted. */
struct chunk_function {
	bool has_tail_calls, has_loops;
};

struct emit_chunk {
	const struct chunk_plan *plan;
	uint32_t first, end; /* functions */
	LLVMTargetMachineRef machine;
	LLVMValueRef *functions; /* by index: declared so far */
	struct chunk_function *known; /* by index - first */
	LLVMDIBuilderRef debug;
	LLVMMetadataRef debug_file, debug_type;
	LLVMValueRef regions[REGION_COUNT]; /* tags of accesses */
	LLVMValueRef unlikely;              /* branch weights */
	LLVMAttributeRef nounwind, nomerge, noinline, optnone, instance_size, instance_align;
	LLVMAttributeRef instance_nonnull, instance_noundef;
	LLVMValueRef empty;                 /* metadata that just has to be there */
	unsigned int kind_tbaa, kind_prof, kind_invariant, kind_nonnull, kind_noundef;
	unsigned int kind_dereferenceable, kind_align;
	char *diagnostic; /* the first error that LLVM reported, or NULL; malloc */
};

/* Once a process, before anything else. */
void chunk_init_llvm(void);

/*
 * Compile functions [first, end) of the module to an object.
 *
 * Returns VM_E_NOMEM; VM_E_UNSUPPORTED what the walk says; VM_E_STATE LLVM refused what we made,
 * with its reason
 */
VM_MUST_CHECK enum vm_status chunk_compile(const struct chunk_plan *plan, uint32_t first,
                                           uint32_t end, struct native_object *out,
                                           struct vm_error *err);

/* What is known of a function; NULL if it is not of this chunk. */
const struct chunk_function *chunk_function(const struct emit_chunk *chunk, uint32_t function);

/* --- pipeline.c ------------------------------------------------------------------------------ */

/* What the code generator is asked for. */
LLVMCodeGenOptLevel pipeline_codegen_level(const struct chunk_plan *plan);
/* Run the passes of the level. */
VM_MUST_CHECK enum vm_status pipeline_run(struct emit *e, struct vm_error *err);
/* Machine code. */
VM_MUST_CHECK enum vm_status pipeline_emit(struct emit *e, struct native_object *out,
                                           struct vm_error *err);
