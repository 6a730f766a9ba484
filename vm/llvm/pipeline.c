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

/* Calls away, loops in the form that versions_make expects. */
static const char early_passes[] =
    "function(sroa,early-cse,simplifycfg," COMBINE "),"
    "cgscc(inline,function(sroa,early-cse,simplifycfg," COMBINE ")),"
    "function(loop-mssa(loop-rotate,licm),simplifycfg," COMBINE ","
    "loop-simplify,lcssa)";

/*
 * versions_make comes before indvars, which makes counters wider, and hard to recognise. Loops of
 * a few rounds are unrolled in small modules only: most code of a large one runs seldom, and would
 * be a fifth larger, and as much slower to compile.
 */
#define LOOPS "loop(indvars,loop-deletion),gvn," COMBINE ",simplifycfg,"
#define LOOPS_UNROLLED "loop(indvars,loop-deletion,loop-unroll-full),gvn," COMBINE ",simplifycfg,"
#define VECTORS                                                                                    \
	"loop-simplify,lcssa,loop-vectorize," COMBINE ",simplifycfg,loop-mssa(licm),early-cse,"

enum { LARGE_MODULE_BYTES = 1 << 20 };

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

enum vm_status
pipeline_run(struct emit *e, struct vm_error *err)
{
	if (e->options->level == VM_COMPILE_FAST)
		return passes_run(e, fast_passes, err);
	enum vm_status st = passes_run(e, early_passes, err);
	if (st != VM_OK)
		return st;
	unused_instances_drop(e);
	counters_rebase(e);
	bool has_vectors = e->options->relaxed_traps || make_versions(e) > 0;
	bool is_large = e->chunk->plan->code_bytes > LARGE_MODULE_BYTES;
	st = passes_run(e, late_passes[is_large][has_vectors], err);
	if (st == VM_OK)
		bases_hide(e);
	return st;
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
