#include "tests/vm/llvm/lower.h"

#include <elf.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vm/llvm/emit.h"

struct code {
	struct emit e;
	struct vm_compile_options options;
	struct vm_memory memory; /* of 64-bit accesses: only the size counts */
	LLVMTargetMachineRef machine;
	LLVMOrcLLJITRef jit;
	LLVMValueRef trap_out, memory_base; /* parameters of the function being made */
	uint32_t count;
};

static struct code *
code_of(struct emit *e)
{
	return (struct code *)((char *)e - offsetof(struct code, e));
}

/* --- what the emit_ functions need of the rest of vm/llvm ------------------------------------ */

LLVMTypeRef
emit_type(const struct emit *e, vm_valtype type)
{
	switch (type) {
	case VM_I32:
		return e->t.i32;
	case VM_I64:
		return e->t.i64;
	case VM_F32:
		return e->t.f32;
	case VM_F64:
		return e->t.f64;
	default:
		return e->t.v128;
	}
}

LLVMBasicBlockRef
emit_block(struct emit *e, const char *name)
{
	return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

void
emit_trap(struct emit *e, enum vm_trap trap)
{
	(void)LLVMBuildStore(e->builder, emit_i32(e, trap), code_of(e)->trap_out);
	(void)LLVMBuildRetVoid(e->builder);
}

void
emit_unlikely(struct emit *e, LLVMValueRef condition, LLVMBasicBlockRef cold)
{
	LLVMBasicBlockRef next = emit_block(e, "");

	(void)LLVMBuildCondBr(e->builder, condition, cold, next);
	LLVMPositionBuilderAtEnd(e->builder, next);
}

void
emit_trap_if(struct emit *e, LLVMValueRef condition, enum vm_trap trap)
{
	LLVMBasicBlockRef cold = emit_block(e, "");

	emit_unlikely(e, condition, cold);
	LLVMBasicBlockRef next = LLVMGetInsertBlock(e->builder);
	LLVMPositionBuilderAtEnd(e->builder, cold);
	emit_trap(e, trap);
	LLVMPositionBuilderAtEnd(e->builder, next);
}

LLVMValueRef
emit_intrinsic(struct emit *e, const char *name, const LLVMTypeRef *overloads,
               unsigned int overload_count, LLVMValueRef *args, unsigned int arg_count)
{
	unsigned int id = LLVMLookupIntrinsicID(name, strlen(name));
	LLVMTypeRef types[4] = { NULL };

	for (unsigned int i = 0; i < overload_count; i++)
		types[i] = overloads[i];
	LLVMValueRef function = LLVMGetIntrinsicDeclaration(e->llvm, id, types, overload_count);
	return LLVMBuildCall2(e->builder,
	                      LLVMIntrinsicGetType(e->context, id, types, overload_count), function,
	                      args, arg_count, "");
}

static LLVMValueRef
address_constant(struct emit *e, const void *address)
{
	return LLVMConstIntToPtr(emit_i64(e, (uintptr_t)address), e->t.ptr);
}

LLVMValueRef
emit_memory_object(struct emit *e, uint32_t memory)
{
	(void)memory;
	return address_constant(e, &code_of(e)->memory);
}

LLVMValueRef
emit_memory_base(struct emit *e, uint32_t memory)
{
	(void)memory;
	return code_of(e)->memory_base;
}

LLVMValueRef
emit_field(struct emit *e, LLVMTypeRef type, LLVMValueRef base, uint64_t offset,
           enum emit_region region)
{
	LLVMValueRef by = emit_i64(e, offset);

	(void)region;
	LLVMValueRef at = LLVMBuildGEP2(e->builder, e->t.i8, base, &by, 1, "");
	LLVMValueRef value = LLVMBuildLoad2(e->builder, type, at, "");

	LLVMSetVolatile(value, true);
	return value;
}

void
emit_set_region(const struct emit *e, LLVMValueRef access, enum emit_region region)
{
	(void)e, (void)access, (void)region;
}

void
emit_set_effect(const struct emit *e, LLVMValueRef access)
{
	(void)e;
	LLVMSetVolatile(access, true);
}

#define ROUNDING(F, T, name)                                                                       \
	static T builtin_##F##_##name(T value)                                                     \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		return num_##F##_##name(value, &trap);                                             \
	}
#define ROUNDINGS(F, T)                                                                            \
	ROUNDING(F, T, CEIL) ROUNDING(F, T, FLOOR) ROUNDING(F, T, TRUNC) ROUNDING(F, T, NEAREST)
ROUNDINGS(F32, float)
ROUNDINGS(F64, double)

typedef void (*any_fn)(void);

static const any_fn roundings[NATIVE_BUILTIN_COUNT] = {
#define ROW(F, name) [NATIVE_##F##_##name] = (any_fn)builtin_##F##_##name
	ROW(F32, CEIL), ROW(F32, FLOOR), ROW(F32, TRUNC), ROW(F32, NEAREST),
	ROW(F64, CEIL), ROW(F64, FLOOR), ROW(F64, TRUNC), ROW(F64, NEAREST),
#undef ROW
};

LLVMValueRef
emit_builtin(struct emit *e, enum native_builtin builtin, LLVMValueRef *args,
             unsigned int arg_count)
{
	LLVMTypeRef type = LLVMTypeOf(args[0]);
	LLVMTypeRef function = LLVMFunctionType(type, &type, 1, false);
	LLVMValueRef address = emit_i64(e, (uintptr_t)roundings[builtin]);

	return LLVMBuildCall2(e->builder, function, LLVMConstIntToPtr(address, e->t.ptr), args,
	                      arg_count, "");
}

/* --- setting up ----------------------------------------------------------------------------- */

static void
types_make(struct emit_types *t, LLVMContextRef c)
{
	t->void_ = LLVMVoidTypeInContext(c);
	t->i1 = LLVMInt1TypeInContext(c);
	t->i8 = LLVMInt8TypeInContext(c);
	t->i16 = LLVMInt16TypeInContext(c);
	t->i32 = LLVMInt32TypeInContext(c);
	t->i64 = LLVMInt64TypeInContext(c);
	t->i128 = LLVMInt128TypeInContext(c);
	t->f32 = LLVMFloatTypeInContext(c);
	t->f64 = LLVMDoubleTypeInContext(c);
	t->ptr = LLVMPointerTypeInContext(c, 0);
	t->i8x16 = LLVMVectorType(t->i8, 16);
	t->i16x8 = LLVMVectorType(t->i16, 8);
	t->i32x4 = LLVMVectorType(t->i32, 4);
	t->i64x2 = t->v128 = LLVMVectorType(t->i64, 2);
	t->f32x4 = LLVMVectorType(t->f32, 4);
	t->f64x2 = LLVMVectorType(t->f64, 2);
}

static const char *const cpu_names[CPU_COUNT] = {
#define CPU(symbol, name, level) [CPU_##symbol] = name,
#include "vm/def/cpu.def"
#undef CPU
};

/* The features of this machine that native code may use. */
static uint64_t
host_features(void)
{
	char *all = LLVMGetHostCPUFeatures();
	uint64_t features = 0;
	char *rest = all;

	for (char *word; (word = strtok_r(rest, ",", &rest)) != NULL;)
		for (unsigned int i = 0; i < CPU_COUNT; i++)
			if (word[0] == '+' && strcmp(word + 1, cpu_names[i]) == 0)
				features |= UINT64_C(1) << i;
	LLVMDisposeMessage(all);
	return features;
}

static LLVMTargetMachineRef
machine_make(uint64_t features)
{
	LLVMTargetRef target;
	char *triple = LLVMGetDefaultTargetTriple();
	char text[CPU_COUNT * 16] = "";
	size_t len = 0;
	LLVMTargetMachineRef machine = NULL;

	for (unsigned int i = 0; i < CPU_COUNT; i++)
		len +=
		    (size_t)snprintf(text + len, sizeof text - len, "%s%c%s", i == 0 ? "" : ",",
		                     (features & UINT64_C(1) << i) != 0 ? '+' : '-', cpu_names[i]);
	if (!LLVMGetTargetFromTriple(triple, &target, NULL))
		machine =
		    LLVMCreateTargetMachine(target, triple, "x86-64", text, LLVMCodeGenLevelDefault,
		                            LLVMRelocPIC, LLVMCodeModelSmall);
	LLVMDisposeMessage(triple);
	return machine;
}

struct code *
code_new(bool host_cpu, bool canonical_nans, uint64_t memory_bytes)
{
	LLVMInitializeX86TargetInfo();
	LLVMInitializeX86Target();
	LLVMInitializeX86TargetMC();
	LLVMInitializeX86AsmPrinter();
	struct code *code = calloc(1, sizeof *code);
	if (code == NULL)
		return NULL;
	struct emit *e = &code->e;
	code->options.canonical_nans = canonical_nans;
	code->memory.size = memory_bytes;
	e->options = &code->options;
	e->cpu_features = host_cpu ? host_features() : 0;
	e->context = LLVMContextCreate();
	e->llvm = LLVMModuleCreateWithNameInContext("lower", e->context);
	e->builder = LLVMCreateBuilderInContext(e->context);
	types_make(&e->t, e->context);
	code->machine = machine_make(e->cpu_features);
	LLVMErrorRef error = LLVMOrcCreateLLJIT(&code->jit, NULL);
	if (error != NULL)
		LLVMConsumeError(error);
	if (error != NULL || code->machine == NULL) {
		code_free(code);
		return NULL;
	}
	return code;
}

void
code_free(struct code *code)
{
	if (code->jit != NULL)
		LLVMConsumeError(LLVMOrcDisposeLLJIT(code->jit));
	if (code->machine != NULL)
		LLVMDisposeTargetMachine(code->machine);
	LLVMDisposeBuilder(code->e.builder);
	LLVMDisposeModule(code->e.llvm);
	LLVMContextDispose(code->e.context);
	free(code);
}

/* --- one function --------------------------------------------------------------------------- */

enum { NAME_BYTES = 64 };

/* Readable in what objdump says. */
static void
name_make(char out[NAME_BYTES], uint32_t i, enum vm_op op)
{
	(void)snprintf(out, NAME_BYTES, "%s.case%u", opcode_table[op].text, i);
}

static LLVMValueRef
slot(struct emit *e, LLVMValueRef array, unsigned int i)
{
	LLVMValueRef by = emit_i64(e, i);

	return LLVMBuildGEP2(e->builder, e->t.v128, array, &by, 1, "");
}

/* The operand that a const instruction in front of this one would make. */
static LLVMValueRef
constant_operand(struct emit *e, vm_valtype type, const union v128 *value)
{
	struct walk_insn insn = { .op = VM_OP_V128_CONST };

	switch (type) {
	case VM_I32:
		insn.op = VM_OP_I32_CONST;
		insn.imm.i32 = value->i32[0];
		break;
	case VM_I64:
		insn.op = VM_OP_I64_CONST;
		insn.imm.i64 = value->i64[0];
		break;
	case VM_F32:
		insn.op = VM_OP_F32_CONST;
		insn.imm.f32_bits = value->u32[0];
		break;
	case VM_F64:
		insn.op = VM_OP_F64_CONST;
		insn.imm.f64_bits = value->u64[0];
		break;
	default:
		memcpy(insn.imm.v128, value->u8, 16);
		return emit_simd(e, &insn, NULL);
	}
	return emit_num(e, &insn, NULL);
}

static bool
emit_any(struct emit *e, const struct lower_case *c, LLVMValueRef *operands, LLVMValueRef *out)
{
	struct walk_insn insn = { .op = c->op, .imm = c->imm };

	*out = emit_num(e, &insn, operands);
	if (*out == NULL)
		*out = emit_simd(e, &insn, operands);
	return *out != NULL || emit_memory(e, &insn, operands, out);
}

bool
code_add(struct code *code, const struct lower_case *c)
{
	struct emit *e = &code->e;
	LLVMTypeRef params[4] = { e->t.ptr, e->t.ptr, e->t.ptr, e->t.ptr };
	LLVMTypeRef type = LLVMFunctionType(e->t.void_, params, 4, false);
	LLVMValueRef operands[OPERANDS_MAX], result;
	char name[NAME_BYTES];

	name_make(name, code->count++, c->op);
	e->function = LLVMAddFunction(e->llvm, name, type);
	code->trap_out = LLVMGetParam(e->function, 2);
	code->memory_base = LLVMGetParam(e->function, 3);
	LLVMPositionBuilderAtEnd(e->builder, emit_block(e, "entry"));
	for (unsigned int i = 0; i < OPERANDS_MAX && case_operand(c, i) != 0; i++) {
		vm_valtype of = case_operand(c, i);

		operands[i] = (c->constants & 1u << i) != 0
		                  ? constant_operand(e, of, &c->values[i])
		                  : LLVMBuildLoad2(e->builder, emit_type(e, of),
		                                   slot(e, LLVMGetParam(e->function, 0), i), "");
	}
	if (!emit_any(e, c, operands, &result))
		return false;
	if (result != NULL)
		LLVMSetAlignment(LLVMBuildStore(e->builder, result, LLVMGetParam(e->function, 1)),
		                 1);
	(void)LLVMBuildRetVoid(e->builder);
	return true;
}

/* --- all of them ---------------------------------------------------------------------------- */

/* The passes that fold, as the pipeline has them, without those that cost time and do not. */
#define PASSES "function(instcombine,simplifycfg,instcombine)"

/* A symbol that the object needs and nobody has: a call of the C library, for instance. */
static char *
undefined_symbol(const uint8_t *object)
{
	Elf64_Ehdr header;
	Elf64_Shdr section, names;
	Elf64_Sym symbol;

	memcpy(&header, object, sizeof header);
	for (unsigned int i = 0; i < header.e_shnum; i++) {
		memcpy(&section, object + header.e_shoff + i * sizeof section, sizeof section);
		if (section.sh_type != SHT_SYMTAB)
			continue;
		memcpy(&names, object + header.e_shoff + section.sh_link * sizeof names,
		       sizeof names);
		for (uint64_t k = 1; k < section.sh_size / sizeof symbol; k++) {
			memcpy(&symbol, object + section.sh_offset + k * sizeof symbol,
			       sizeof symbol);
			if (symbol.st_shndx == SHN_UNDEF)
				return strdup((const char *)object + names.sh_offset +
				              symbol.st_name);
		}
	}
	return NULL;
}

static char *
error_text(LLVMErrorRef error)
{
	char *text = LLVMGetErrorMessage(error);
	char *copy = strdup(text);

	LLVMDisposeErrorMessage(text);
	return copy;
}

/* For objdump: LOWER_OBJECTS is what the files' names begin with. */
static void
object_keep(const struct code *code, LLVMMemoryBufferRef object)
{
	const char *start = getenv("LOWER_OBJECTS");
	char path[256];

	if (start == NULL)
		return;
	(void)snprintf(path, sizeof path, "%s%s%s.o", start,
	               code->e.cpu_features != 0 ? "host" : "any",
	               code->options.canonical_nans ? "-canonical" : "");
	FILE *file = fopen(path, "wb");
	if (file == NULL)
		return;
	(void)fwrite(LLVMGetBufferStart(object), 1, LLVMGetBufferSize(object), file);
	(void)fclose(file);
}

char *
code_finish(struct code *code)
{
	LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
	LLVMMemoryBufferRef object;
	char *why = NULL;

	if (LLVMVerifyModule(code->e.llvm, LLVMReturnStatusAction, &why)) {
		LLVMDisposePassBuilderOptions(options);
		return why;
	}
	LLVMDisposeMessage(why);
	LLVMErrorRef error = LLVMRunPasses(code->e.llvm, PASSES, code->machine, options);
	LLVMDisposePassBuilderOptions(options);
	if (error != NULL)
		return error_text(error);
	if (LLVMTargetMachineEmitToMemoryBuffer(code->machine, code->e.llvm, LLVMObjectFile, &why,
	                                        &object))
		return why;
	object_keep(code, object);
	why = undefined_symbol((const uint8_t *)LLVMGetBufferStart(object));
	if (why != NULL) {
		LLVMDisposeMemoryBuffer(object);
		return why;
	}
	error =
	    LLVMOrcLLJITAddObjectFile(code->jit, LLVMOrcLLJITGetMainJITDylib(code->jit), object);
	return error == NULL ? NULL : error_text(error);
}

code_fn
code_get(struct code *code, uint32_t i, enum vm_op op)
{
	LLVMOrcExecutorAddress address = 0;
	char name[NAME_BYTES];
	code_fn fn;

	name_make(name, i, op);
	LLVMErrorRef error = LLVMOrcLLJITLookup(code->jit, &address, name);
	if (error != NULL) {
		LLVMConsumeError(error);
		return NULL;
	}
	uintptr_t value = (uintptr_t)address;
	memcpy(&fn, &value, sizeof fn);
	return fn;
}
