/*
 * pipeline.c - what is done with a chunk's functions before and while they become machine code.
 */
#include "vm/llvm/bases.h"
#include "vm/llvm/chunk.h"
#include "vm/llvm/counters.h"
#include "vm/llvm/unused.h"
#include "vm/llvm/versions.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdlib.h>
#include <string.h>

/* Little more than what turns locals into values. */
static const char fast_passes[] = "function(mem2reg)";

/* LLVM ends the process when instcombine finds more to do than it did, unless told not to. */
#define COMBINE "instcombine<no-verify-fixpoint>"

/* Calls away, then loops in the form that versions_make expects. */
#define STRAIGHT "sroa,early-cse,simplifycfg," COMBINE
static const char early_passes[] = "function(" STRAIGHT "),cgscc(inline,function(" STRAIGHT "))";
static const char early_large_passes[] =
    "function(mem2reg),cgscc(inline,function(early-cse,simplifycfg," COMBINE "))";
static const char loop_passes[] =
    "function(loop-mssa(loop-rotate,licm),simplifycfg," COMBINE ",loop-simplify,lcssa)";

/*
 * versions_make comes before indvars, which makes counters wider, and hard to recognise. Loops of
 * a few rounds are not unrolled in large modules: most code of them runs seldom, and would be a
 * fifth larger, and as much slower to compile.
 */
#define LOOPS "loop(indvars,loop-deletion),gvn," COMBINE ",simplifycfg,"
#define LOOPS_UNROLLED "loop(indvars,loop-deletion,loop-unroll-full),gvn," COMBINE ",simplifycfg,"
#define VECTORS                                                                                    \
	"loop-simplify,lcssa,loop-vectorize," COMBINE ",simplifycfg,loop-mssa(licm),early-cse,"

static const char *const late_passes[2][2] = {
	{ "function(" LOOPS_UNROLLED "dse,adce)", "function(" LOOPS_UNROLLED VECTORS "dse,adce)" },
	{ "function(" LOOPS "adce)", "function(" LOOPS VECTORS "adce)" },
};

static enum vm_status
passes_run(struct emit *e, const char *passes, struct vm_error *err)
{
	LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
	LLVMErrorRef failed = LLVMRunPasses(e->llvm, passes, e->chunk->machine, options);
	enum vm_status st = VM_OK;

	LLVMDisposePassBuilderOptions(options);
	if (failed != NULL) {
		char *why = LLVMGetErrorMessage(failed);

		st = vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET, "LLVM's passes: %s", why);
		LLVMDisposeErrorMessage(why);
	}
	return st;
}

/* Two versions of every loop that allows it; how many. */
static unsigned int
make_versions(struct emit *e)
{
	unsigned int count = 0;

	for (LLVMValueRef f = LLVMGetFirstFunction(e->llvm); f != NULL; f = LLVMGetNextFunction(f))
		if (!LLVMIsDeclaration(f))
			count += versions_make(e, f);
	return count;
}

/*
 * Let passes leave the functions of a large module alone that have no loops, or no longer do so.
 * (Inlining gives them none, see calls.c.) Whatever is compiled by then has been simplified; what
 * else passes could do is worth it where code runs often.
 */
static void
set_rest(const struct emit *e, bool is_resting)
{
	const struct emit_chunk *chunk = e->chunk;
	unsigned int kind = LLVMGetEnumAttributeKind(chunk->optnone);

	for (uint32_t i = chunk->first; chunk->plan->is_large && i < chunk->end; i++) {
		LLVMValueRef function = chunk->functions[i];

		if (chunk_function(chunk, i)->has_loops)
			continue;
		if (is_resting)
			LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex,
			                        chunk->optnone);
		else
			LLVMRemoveEnumAttributeAtIndex(function, LLVMAttributeFunctionIndex,
			                               kind);
	}
}

static enum vm_status
best_run(struct emit *e, struct vm_error *err)
{
	bool is_large = e->chunk->plan->is_large;
	enum vm_status st = passes_run(e, is_large ? early_large_passes : early_passes, err);

	if (st != VM_OK)
		return st;
	set_rest(e, true);
	st = passes_run(e, loop_passes, err);
	if (st != VM_OK)
		return st;
	unused_instances_drop(e);
	counters_rebase(e);
	bool has_vectors = e->options->relaxed_traps || make_versions(e) > 0;
	st = passes_run(e, late_passes[is_large][has_vectors], err);
	if (st != VM_OK)
		return st;
	bases_hide(e);
	set_rest(e, false);
	return VM_OK;
}

enum vm_status
pipeline_run(struct emit *e, struct vm_error *err)
{
	return e->options->level == VM_COMPILE_FAST ? passes_run(e, fast_passes, err)
	                                            : best_run(e, err);
}

LLVMCodeGenOptLevel
pipeline_codegen_level(const struct chunk_plan *plan)
{
	if (plan->options->level == VM_COMPILE_FAST)
		return LLVMCodeGenLevelNone;
	return plan->is_large ? LLVMCodeGenLevelLess : LLVMCodeGenLevelDefault;
}

enum vm_status
pipeline_emit(struct emit *e, struct native_object *out, struct vm_error *err)
{
	LLVMMemoryBufferRef buffer = NULL;
	char *why = NULL;

	if (LLVMTargetMachineEmitToMemoryBuffer(e->chunk->machine, e->llvm, LLVMObjectFile, &why,
	                                        &buffer)) {
		enum vm_status st = vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                                 "LLVM's code generator: %s", why);

		LLVMDisposeMessage(why);
		return st;
	}
	size_t size_bytes = LLVMGetBufferSize(buffer);
	uint8_t *bytes = malloc(size_bytes);
	if (bytes != NULL)
		memcpy(bytes, LLVMGetBufferStart(buffer), size_bytes);
	LLVMDisposeMemoryBuffer(buffer);
	if (bytes == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	*out = (struct native_object){ .bytes = bytes, .size_bytes = size_bytes };
	return VM_OK;
}
