#include "vm/llvm/chunk.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
chunk_init_llvm(void)
{
	static const char *const options[] = {
		"wasmedge-llvm",
		"-enable-tail-merge=false",
		"-align-all-nofallthru-blocks=4",
		"-experimental-debug-variable-locations=false",
	};

	LLVMInitializeX86TargetInfo();
	LLVMInitializeX86Target();
	LLVMInitializeX86TargetMC();
	LLVMInitializeX86AsmPrinter();
	/*
	 * Equal ends of blocks are not to be merged: nomerge does not reach trap instructions, and
	 * the position of what was merged is lost. Blocks that are only jumped to begin at
	 * multiples of 16 bytes: how fast an interpreter's loop of a switch runs was a matter of
	 * luck (from 0.9 to 2 times native), for 4 % more code. Following variables, of which there
	 * are none, through the code is done in the cheaper of two ways. There are no attributes
	 * for these, only options, which hold for all users of LLVM in the process.
	 */
	LLVMParseCommandLineOptions(sizeof options / sizeof options[0], options, NULL);
}

/* --- LLVM's types, attributes and metadata -------------------------------------------------- */

static void
types_make(struct emit_types *t, LLVMContextRef c)
{
	*t = (struct emit_types){
		.void_ = LLVMVoidTypeInContext(c),
		.i1 = LLVMInt1TypeInContext(c),
		.i8 = LLVMInt8TypeInContext(c),
		.i16 = LLVMInt16TypeInContext(c),
		.i32 = LLVMInt32TypeInContext(c),
		.i64 = LLVMInt64TypeInContext(c),
		.i128 = LLVMInt128TypeInContext(c),
		.f32 = LLVMFloatTypeInContext(c),
		.f64 = LLVMDoubleTypeInContext(c),
		.ptr = LLVMPointerTypeInContext(c, 0),
	};
	t->i8x16 = LLVMVectorType(t->i8, 16);
	t->i16x8 = LLVMVectorType(t->i16, 8);
	t->i32x4 = LLVMVectorType(t->i32, 4);
	t->i64x2 = LLVMVectorType(t->i64, 2);
	t->f32x4 = LLVMVectorType(t->f32, 4);
	t->f64x2 = LLVMVectorType(t->f64, 2);
	t->v128 = t->i64x2;
}

static LLVMAttributeRef
attribute(LLVMContextRef c, const char *name, uint64_t value)
{
	return LLVMCreateEnumAttribute(c, LLVMGetEnumAttributeKindForName(name, strlen(name)),
	                               value);
}

static void
attributes_make(struct emit_chunk *chunk, LLVMContextRef c)
{
	chunk->nounwind = attribute(c, "nounwind", 0);
	chunk->nomerge = attribute(c, "nomerge", 0);
	chunk->noinline = attribute(c, "noinline", 0);
	chunk->optnone = attribute(c, "optnone", 0);
	chunk->instance_size = attribute(c, "dereferenceable", chunk->plan->layout.size_bytes);
	chunk->instance_align = attribute(c, "align", sizeof(void *));
	chunk->instance_nonnull = attribute(c, "nonnull", 0);
	chunk->instance_noundef = attribute(c, "noundef", 0);
}

static LLVMMetadataRef
metadata_text(LLVMContextRef c, const char *text)
{
	return LLVMMDStringInContext2(c, text, strlen(text));
}

static LLVMMetadataRef
metadata_i32(LLVMContextRef c, uint32_t value)
{
	return LLVMValueAsMetadata(LLVMConstInt(LLVMInt32TypeInContext(c), value, false));
}

/* Type-based alias information: a scalar type for each region. */
static void
regions_make(struct emit_chunk *chunk, LLVMContextRef c)
{
	static const char *const names[REGION_COUNT] = {
		[REGION_GUEST] = "guest",       [REGION_GLOBAL] = "global",
		[REGION_IMPORTED_GLOBAL] = "imported global",
		[REGION_TABLE] = "table",       [REGION_INSTANCE] = "instance",
		[REGION_FUEL] = "fuel",         [REGION_EXTRA] = "extra",
	};
	LLVMMetadataRef root_name = metadata_text(c, "regions");
	LLVMMetadataRef root = LLVMMDNodeInContext2(c, &root_name, 1);
	LLVMMetadataRef zero =
	    LLVMValueAsMetadata(LLVMConstInt(LLVMInt64TypeInContext(c), 0, false));

	for (unsigned int i = 0; i < REGION_COUNT; i++) {
		LLVMMetadataRef of_type[] = { metadata_text(c, names[i]), root, zero };
		LLVMMetadataRef type = LLVMMDNodeInContext2(c, of_type, 3);
		LLVMMetadataRef of_tag[] = { type, type, zero };

		chunk->regions[i] =
		    LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, of_tag, 3));
	}
}

static void
weights_make(struct emit_chunk *chunk, LLVMContextRef c)
{
	LLVMMetadataRef parts[] = { metadata_text(c, "branch_weights"), metadata_i32(c, 1),
		                    metadata_i32(c, 1u << 20) };

	chunk->unlikely = LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, parts, 3));
}

static unsigned int
metadata_kind(LLVMContextRef c, const char *name)
{
	return LLVMGetMDKindIDInContext(c, name, (unsigned int)strlen(name));
}

static void
kinds_make(struct emit_chunk *chunk, LLVMContextRef c)
{
	chunk->empty = LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, NULL, 0));
	chunk->kind_tbaa = metadata_kind(c, "tbaa");
	chunk->kind_prof = metadata_kind(c, "prof");
	chunk->kind_invariant = metadata_kind(c, "invariant.load");
	chunk->kind_nonnull = metadata_kind(c, "nonnull");
	chunk->kind_noundef = metadata_kind(c, "noundef");
	chunk->kind_dereferenceable = metadata_kind(c, "dereferenceable");
	chunk->kind_align = metadata_kind(c, "align");
}

/* Only the table of lines is wanted: a line is an offset in the binary. */
static void
debug_make(struct emit_chunk *chunk, LLVMModuleRef module, LLVMContextRef c)
{
	LLVMAddModuleFlag(module, LLVMModuleFlagBehaviorWarning, "Debug Info Version", 18,
	                  metadata_i32(c, LLVMDebugMetadataVersion()));
	LLVMAddModuleFlag(module, LLVMModuleFlagBehaviorWarning, "Dwarf Version", 13,
	                  metadata_i32(c, 4));
	chunk->debug = LLVMCreateDIBuilder(module);
	chunk->debug_file = LLVMDIBuilderCreateFile(chunk->debug, "wasm", 4, "", 0);
	(void)LLVMDIBuilderCreateCompileUnit(
	    chunk->debug, LLVMDWARFSourceLanguageC99, chunk->debug_file, "", 0, true, "", 0, 0, "",
	    0, LLVMDWARFEmissionLineTablesOnly, 0, false, false, "", 0, "", 0);
	chunk->debug_type =
	    LLVMDIBuilderCreateSubroutineType(chunk->debug, chunk->debug_file, NULL, 0, 0);
}

/* --- target --------------------------------------------------------------------------------- */

static enum vm_status
machine_make(struct emit *e, struct vm_error *err)
{
	static const char triple[] = "x86_64-unknown-linux-gnu";
	const struct chunk_plan *plan = e->chunk->plan;
	LLVMTargetRef target;
	char *why = NULL;

	if (LLVMGetTargetFromTriple(triple, &target, &why)) {
		(void)vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                   "LLVM has no code generator for %s: %s", triple, why);
		LLVMDisposeMessage(why);
		return VM_E_UNSUPPORTED;
	}
	e->chunk->machine = LLVMCreateTargetMachine(
	    target, triple, "x86-64", plan->cpu_features_text,
	    pipeline_codegen_level(plan), LLVMRelocPIC, LLVMCodeModelSmall);
	if (e->chunk->machine == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	LLVMTargetDataRef data = LLVMCreateTargetDataLayout(e->chunk->machine);
	LLVMSetTarget(e->llvm, triple);
	LLVMSetModuleDataLayout(e->llvm, data);
	LLVMDisposeTargetData(data);
	return VM_OK;
}

/* --- declarations --------------------------------------------------------------------------- */

LLVMValueRef
emit_declare(struct emit *e, uint32_t function)
{
	struct emit_chunk *chunk = e->chunk;
	LLVMValueRef *known = &chunk->functions[function];
	char name[16];

	if (*known != NULL)
		return *known;
	(void)snprintf(name, sizeof name, "f%u", function);
	*known = LLVMAddFunction(e->llvm, name, emit_function_type(e, function));
	LLVMSetVisibility(*known, LLVMHiddenVisibility);
	LLVMAddAttributeAtIndex(*known, LLVMAttributeFunctionIndex, chunk->nounwind);
	LLVMAddAttributeAtIndex(*known, 1, chunk->instance_size);
	LLVMAddAttributeAtIndex(*known, 1, chunk->instance_align);
	LLVMAddAttributeAtIndex(*known, 1, chunk->instance_nonnull);
	LLVMAddAttributeAtIndex(*known, 1, chunk->instance_noundef);
	return *known;
}

/* Attributes of functions with a body. */
static void
set_attributes(const struct emit *e, LLVMValueRef function)
{
	static const char *const texts[][2] = {
		{ "probe-stack", "inline-asm" },
		{ "stack-probe-size", "4096" },
		{ "no-builtins", "" },
		{ "no-realign-stack", "" },
		{ "prefer-vector-width", "256" },
	};
	LLVMContextRef c = e->context;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		LLVMAddTargetDependentFunctionAttr(function, texts[i][0], texts[i][1]);
	if (e->chunk->plan->cpu_tune != NULL)
		LLVMAddTargetDependentFunctionAttr(function, "tune-cpu", e->chunk->plan->cpu_tune);
	/* 2: valid at every instruction */
	LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, attribute(c, "uwtable", 2));
}

LLVMValueRef
emit_intrinsic(struct emit *e, const char *name, const LLVMTypeRef *overloads,
               unsigned int overload_count, LLVMValueRef *args, unsigned int arg_count)
{
	unsigned int id = LLVMLookupIntrinsicID(name, strlen(name));
	/* LLVM does not change the array; its C interface has no const. */
	LLVMTypeRef types[4] = { NULL };

	for (unsigned int i = 0; i < overload_count && i < 4; i++)
		types[i] = overloads[i];
	LLVMValueRef function = LLVMGetIntrinsicDeclaration(e->llvm, id, types, overload_count);
	LLVMTypeRef type = LLVMIntrinsicGetType(e->context, id, types, overload_count);
	return LLVMBuildCall2(e->builder, type, function, args, arg_count, "");
}

void
emit_set_metadata(const struct emit *e, LLVMValueRef insn, unsigned int kind, LLVMValueRef node)
{
	if (e->options->level != VM_COMPILE_FAST)
		LLVMSetMetadata(insn, kind, node);
}

void
emit_set_region(const struct emit *e, LLVMValueRef access, enum emit_region region)
{
	emit_set_metadata(e, access, e->chunk->kind_tbaa, e->chunk->regions[region]);
}

void
emit_set_effect(const struct emit *e, LLVMValueRef access)
{
	LLVMSetVolatile(access, !e->options->relaxed_traps);
}

void
emit_set_nounwind(const struct emit *e, LLVMValueRef call)
{
	LLVMAddCallSiteAttribute(call, LLVMAttributeFunctionIndex, e->chunk->nounwind);
}

/* --- the functions -------------------------------------------------------------------------- */

/* Positions of the function's instructions are lines in this scope. */
static void
debug_scope_make(struct emit *e, uint32_t function)
{
	struct emit_chunk *chunk = e->chunk;
	unsigned int line = (unsigned int)e->module->funcs[function].body_offset;
	char name[16];
	int len = snprintf(name, sizeof name, "f%u", function);

	e->scope = LLVMDIBuilderCreateFunction(chunk->debug, chunk->debug_file, name, (size_t)len,
	                                       "", 0, chunk->debug_file, line, chunk->debug_type,
	                                       false, true, line, LLVMDIFlagZero, true);
	LLVMSetSubprogram(e->function, e->scope);
}

static enum vm_status
functions_emit(struct emit *e, struct vm_error *err)
{
	enum vm_status st = VM_OK;

	for (uint32_t i = e->chunk->first; i < e->chunk->end && st == VM_OK; i++) {
		e->function = emit_declare(e, i);
		set_attributes(e, e->function);
		debug_scope_make(e, i);
		st = walker_run(e->walker, i, &e->base, err);
		LLVMDIBuilderFinalizeSubprogram(e->chunk->debug, e->scope);
	}
	LLVMDIBuilderFinalize(e->chunk->debug);
	return st;
}

/* --- what has to be known before ------------------------------------------------------------- */

const struct chunk_function *
chunk_function(const struct emit_chunk *chunk, uint32_t function)
{
	if (function < chunk->first || function >= chunk->end)
		return NULL;
	return &chunk->known[function - chunk->first];
}

struct scan {
	struct vm_backend base; /* first */
	struct chunk_function *out;
};

static struct chunk_function *
scan_out(struct vm_backend *b)
{
	return ((struct scan *)b)->out;
}

static enum vm_status
scan_begin(struct vm_backend *b, const struct walk_func *func, struct vm_error *err)
{
	(void)b;
	(void)func;
	(void)err;
	return VM_OK;
}

static enum vm_status
scan_op(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	(void)err;
	if (insn->op == VM_OP_RETURN_CALL || insn->op == VM_OP_RETURN_CALL_INDIRECT ||
	    insn->op == VM_OP_RETURN_CALL_REF)
		scan_out(b)->has_tail_calls = true;
	return VM_OK;
}

static enum vm_status
scan_enter(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
           struct vm_error *err)
{
	(void)label;
	(void)err;
	if (insn->op == VM_OP_LOOP)
		scan_out(b)->has_loops = true;
	return VM_OK;
}

static enum vm_status
scan_end(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
         bool live, struct vm_error *err)
{
	(void)b;
	(void)insn;
	(void)label;
	(void)live;
	(void)err;
	return VM_OK;
}

static enum vm_status
scan_branch(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	return scan_end(b, insn, NULL, false, err);
}

static enum vm_status
scan_end_function(struct vm_backend *b, struct vm_error *err)
{
	return scan_end(b, NULL, NULL, false, err);
}

static const struct vm_backend_ops scan_ops = {
	.begin = scan_begin,
	.op = scan_op,
	.enter = scan_enter,
	.else_ = scan_end,
	.end = scan_end,
	.branch = scan_branch,
	.return_ = scan_branch,
	.end_function = scan_end_function,
};

/*
 * How functions are called depends on whether they have tail calls, and in large modules on
 * whether they have loops; calls may come before them. No other chunk needs to be looked through.
 */
static enum vm_status
functions_scan(struct emit *e, struct vm_error *err)
{
	struct emit_chunk *chunk = e->chunk;
	struct scan scan = { .base = { .ops = &scan_ops } };
	enum vm_status st = VM_OK;

	if (!chunk->plan->is_large && !(e->module->features_used & VM_FEATURE_BIT(TAIL_CALL)))
		return VM_OK;
	for (uint32_t i = chunk->first; i < chunk->end && st == VM_OK; i++) {
		scan.out = &chunk->known[i - chunk->first];
		st = walker_run(e->walker, i, &scan.base, err);
	}
	return st;
}

/* --- the chunk ------------------------------------------------------------------------------ */

/* LLVM's complaints would go to standard error otherwise. */
static void
on_diagnostic(LLVMDiagnosticInfoRef info, void *env)
{
	struct emit_chunk *chunk = env;

	if (LLVMGetDiagInfoSeverity(info) != LLVMDSError || chunk->diagnostic != NULL)
		return;
	char *text = LLVMGetDiagInfoDescription(info);
	chunk->diagnostic = strdup(text);
	LLVMDisposeMessage(text);
}

static enum vm_status
chunk_open(struct emit *e, struct vm_error *err)
{
	struct emit_chunk *chunk = e->chunk;

	e->walker = walker_new(e->module);
	chunk->functions = calloc((size_t)e->module->func_count + 1, sizeof *chunk->functions);
	chunk->known = calloc(chunk->end - chunk->first, sizeof *chunk->known);
	if (e->walker == NULL || chunk->functions == NULL || chunk->known == NULL ||
	    !emit_body_init(e))
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	e->context = LLVMContextCreate();
	LLVMContextSetDiagnosticHandler(e->context, on_diagnostic, chunk);
	LLVMContextSetDiscardValueNames(e->context, true);
	e->llvm = LLVMModuleCreateWithNameInContext("wasm", e->context);
	e->builder = LLVMCreateBuilderInContext(e->context);
	e->prologue = LLVMCreateBuilderInContext(e->context);
	types_make(&e->t, e->context);
	attributes_make(chunk, e->context);
	regions_make(chunk, e->context);
	weights_make(chunk, e->context);
	kinds_make(chunk, e->context);
	debug_make(chunk, e->llvm, e->context);
	return machine_make(e, err);
}

static void
chunk_close(struct emit *e)
{
	struct emit_chunk *chunk = e->chunk;

	if (chunk->machine != NULL)
		LLVMDisposeTargetMachine(chunk->machine);
	if (chunk->debug != NULL)
		LLVMDisposeDIBuilder(chunk->debug);
	if (e->context != NULL) {
		LLVMDisposeBuilder(e->prologue);
		LLVMDisposeBuilder(e->builder);
		LLVMDisposeModule(e->llvm);
		LLVMContextDispose(e->context);
	}
	emit_body_clear(e);
	walker_free(e->walker);
	free(chunk->functions);
	free(chunk->known);
	free(chunk->diagnostic);
}

/* Whether LLVM reported an error on the way. */
static enum vm_status
diagnostic_check(const struct emit_chunk *chunk, struct vm_error *err)
{
	if (chunk->diagnostic == NULL)
		return VM_OK;
	return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
	                    "LLVM cannot compile functions %u to %u: %s", chunk->first,
	                    chunk->end - 1, chunk->diagnostic);
}

enum vm_status
chunk_compile(const struct chunk_plan *plan, uint32_t first, uint32_t end,
              struct native_object *out, struct vm_error *err)
{
	struct emit_chunk chunk = { .plan = plan, .first = first, .end = end };
	struct emit e = {
		.base = { .ops = &emit_backend_ops, .wants_fuel = plan->options->metered },
		.module = plan->module,
		.options = plan->options,
		.cpu_features = plan->cpu_features,
		.chunk = &chunk,
		.layout = &plan->layout,
	};
	struct native_object object = { NULL, 0 };
	enum vm_status st = chunk_open(&e, err);

	if (st == VM_OK)
		st = functions_scan(&e, err);
	if (st == VM_OK)
		st = functions_emit(&e, err);
	if (st == VM_OK)
		st = pipeline_run(&e, err);
	if (st == VM_OK)
		st = pipeline_emit(&e, &object, err);
	if (st == VM_OK)
		st = diagnostic_check(&chunk, err);
	chunk_close(&e);
	if (st != VM_OK) {
		free(object.bytes);
		return st;
	}
	*out = object;
	return VM_OK;
}
