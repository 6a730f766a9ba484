#include "tests/spec/host.h"

#include <string.h>

static const struct host_global {
	const char *name;
	struct vm_value value;
} host_globals[] = {
	{ "global_i32", { .type = VM_I32, .of.i32 = 666 } },
	{ "global_i64", { .type = VM_I64, .of.i64 = 666 } },
	{ "global_f32", { .type = VM_F32, .of.f32_bits = 0x4426a666 } },
	{ "global_f64", { .type = VM_F64, .of.f64_bits = UINT64_C(0x4084d4cccccccccd) } },
};

static const struct host_table {
	const char *name;
	struct vm_tabletype type;
	vm_features feature;
} host_tables[] = {
	{ "table", { VM_FUNCREF, false, true, 10, 20 }, 0 },
	{ "table64", { VM_FUNCREF, true, true, 10, 20 }, VM_FEATURE_BIT(MEMORY64) },
};

static const struct host_memory {
	const char *name;
	struct vm_memorytype type;
	vm_features feature;
} host_memories[] = {
	{ "memory", { false, false, true, 1, 2 }, 0 },
	{ "shared_memory", { false, true, true, 1, 2 }, VM_FEATURE_BIT(THREADS) },
};

static const struct host_func {
	const char *name;
	uint32_t param_count;
	vm_valtype params[2];
} host_funcs[] = {
	{ "print", 0, { 0 } },
	{ "print_i32", 1, { VM_I32 } },
	{ "print_i64", 1, { VM_I64 } },
	{ "print_f32", 1, { VM_F32 } },
	{ "print_f64", 1, { VM_F64 } },
	{ "print_i32_f32", 2, { VM_I32, VM_F32 } },
	{ "print_f64_f64", 2, { VM_F64, VM_F64 } },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static enum vm_status
print(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	(void)env;
	(void)caller;
	(void)slots;
	(void)err;
	return VM_OK;
}

enum vm_status
host_make(struct vm_store *store, vm_features features, struct host *out, struct vm_error *err)
{
	const struct vm_value null = { .type = VM_FUNCREF };
	enum vm_status st = VM_OK;

	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < COUNT_OF(host_globals) && st == VM_OK; i++) {
		const struct vm_globaltype type = { host_globals[i].value.type, false };

		st = vm_global_new(store, &type, &host_globals[i].value, &out->globals[i], err);
	}
	for (size_t i = 0; i < COUNT_OF(host_tables) && st == VM_OK; i++) {
		if ((host_tables[i].feature & ~features) == 0)
			st = vm_table_new(store, &host_tables[i].type, &null, &out->tables[i], err);
	}
	for (size_t i = 0; i < COUNT_OF(host_memories) && st == VM_OK; i++) {
		if ((host_memories[i].feature & ~features) == 0)
			st = vm_memory_new(store, &host_memories[i].type, &out->memories[i], err);
	}
	return st;
}

static enum vm_status
define(struct vm_linker *linker, const char *name, const struct vm_extern *ext,
       struct vm_error *err)
{
	return vm_linker_define(linker, VM_STR("spectest"),
	                        (struct vm_str){ name, strlen(name) }, ext, err);
}

static enum vm_status
define_funcs(struct vm_linker *linker, struct vm_error *err)
{
	enum vm_status st = VM_OK;

	for (size_t i = 0; i < COUNT_OF(host_funcs) && st == VM_OK; i++) {
		const struct vm_functype type = {
			.params = host_funcs[i].params,
			.param_count = host_funcs[i].param_count,
		};
		const struct vm_str name = { host_funcs[i].name, strlen(host_funcs[i].name) };

		st = vm_linker_define_func(linker, VM_STR("spectest"), name, &type, print, NULL,
		                           err);
	}
	return st;
}

enum vm_status
host_define(struct vm_linker *linker, const struct host *host, struct vm_error *err)
{
	enum vm_status st = define_funcs(linker, err);

	for (size_t i = 0; i < COUNT_OF(host_globals) && st == VM_OK; i++) {
		const struct vm_extern ext = { VM_EXTERN_GLOBAL, { .global = host->globals[i] } };

		st = define(linker, host_globals[i].name, &ext, err);
	}
	for (size_t i = 0; i < COUNT_OF(host_tables) && st == VM_OK; i++) {
		const struct vm_extern ext = { VM_EXTERN_TABLE, { .table = host->tables[i] } };

		if (host->tables[i] != NULL)
			st = define(linker, host_tables[i].name, &ext, err);
	}
	for (size_t i = 0; i < COUNT_OF(host_memories) && st == VM_OK; i++) {
		const struct vm_extern ext = { VM_EXTERN_MEMORY, { .memory = host->memories[i] } };

		if (host->memories[i] != NULL)
			st = define(linker, host_memories[i].name, &ext, err);
	}
	return st;
}
