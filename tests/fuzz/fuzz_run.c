/*
 * fuzz_run.c - hostile modules that load are linked, instantiated and run.
 *
 * Everything that a module imports is made for it. It runs twice, in fresh stores of one engine,
 * under fuel and a limit on memory: whatever it does, both runs have to come out the same.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "vm/vm.h"

enum { FUEL = 20000, PAGES_MAX = 20, ELEMENTS_MAX = 1000, CALLS_MAX = 12, VALUES_MAX = 32 };

static struct vm_engine *
the_engine(void)
{
	static struct vm_engine *engine;

	if (engine == NULL && vm_engine_new(NULL, &engine, NULL) != VM_OK)
		abort();
	return engine;
}

/* --- what is observed ----------------------------------------------------------------------- */

static void
observe(uint64_t *digest, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		*digest = (*digest ^ p[i]) * UINT64_C(0x100000001b3);
}

static void
observe_value(uint64_t *digest, const struct vm_value *value)
{
	observe(digest, &value->type, sizeof(value->type));
	if (vm_valtype_is_ref(value->type)) {
		bool is_null = value->of.ref == NULL; /* addresses differ between runs */
		observe(digest, &is_null, sizeof(is_null));
	} else {
		observe(digest, value->of.v128, sizeof(value->of.v128));
	}
}

/* --- imports -------------------------------------------------------------------------------- */

struct host {
	struct vm_functype type;
	uint32_t calls;
};

/* Traps, exits, calls back or returns numbers, by how often it was called. */
static enum vm_status
host_call(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	struct host *host = env;
	uint32_t turn = host->calls++ % 64;
	uint32_t at = 0;

	if (vm_store_charge(caller->store, 10, err) != VM_OK)
		return VM_TRAP;
	if (turn == 60)
		return vm_error_trap(err, VM_TRAP_HOST, "enough");
	if (turn == 61)
		return vm_error_exit(err, 1);
	for (uint32_t i = 0; i < host->type.result_count; i++) {
		vm_valtype type = host->type.results[i];

		/* Only null may come back where a reference is wanted: see is_served. */
		for (uint32_t k = 0; k < vm_valtype_slots(type); k++)
			slots[at++].u64 = vm_valtype_is_ref(type) ? 0 : turn;
	}
	return VM_OK;
}

/* A host function can be made up for the type: no result needs an object. */
static bool
is_served(const struct vm_functype *type)
{
	for (uint32_t i = 0; i < type->result_count; i++) {
		if ((type->results[i] & 0xff) == VM_CODE_REF)
			return false;
	}
	return true;
}

static bool
provide(struct vm_linker *linker, struct vm_store *store, const struct vm_import *import,
        struct host *host)
{
	struct vm_extern ext = { .kind = import->type.kind };
	struct vm_value zero = { .type = VM_I32 };

	switch (import->type.kind) {
	case VM_EXTERN_FUNC:
		host->type = import->type.of.func;
		return is_served(&host->type) &&
		       vm_linker_define_func(linker, import->module, import->name, &host->type,
		                             host_call, host, NULL) == VM_OK;
	case VM_EXTERN_TABLE:
		zero.type = import->type.of.table.element;
		if (vm_table_new(store, &import->type.of.table, &zero, &ext.of.table, NULL) !=
		    VM_OK)
			return false;
		break;
	case VM_EXTERN_MEMORY:
		if (vm_memory_new(store, &import->type.of.memory, &ext.of.memory, NULL) != VM_OK)
			return false;
		break;
	case VM_EXTERN_GLOBAL:
		zero.type = import->type.of.global.content;
		if (vm_global_new(store, &import->type.of.global, &zero, &ext.of.global, NULL) !=
		    VM_OK)
			return false;
		break;
	case VM_EXTERN_TAG:
		return false;
	}
	return vm_linker_define(linker, import->module, import->name, &ext, NULL) == VM_OK;
}

static bool
provide_all(struct vm_linker *linker, struct vm_store *store, const struct vm_module *module,
            struct host *hosts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct vm_import import;

		vm_module_import(module, i, &import);
		hosts[i].calls = 0;
		if (!provide(linker, store, &import, &hosts[i]))
			return false;
	}
	return true;
}

/* --- running -------------------------------------------------------------------------------- */

static void
call(struct vm_func *func, uint32_t turn, uint64_t *digest)
{
	const struct vm_functype type = vm_func_type(func);
	struct vm_value args[VALUES_MAX], results[VALUES_MAX];
	struct vm_error err;

	if (type.param_count > VALUES_MAX || type.result_count > VALUES_MAX)
		return;
	for (uint32_t i = 0; i < type.param_count; i++) {
		args[i] = (struct vm_value){ .type = type.params[i] };
		if (!vm_valtype_is_ref(type.params[i]))
			args[i].of.i64 = (int64_t)turn * 65531 - (int64_t)i;
	}
	enum vm_status st =
	    vm_func_call(func, args, type.param_count, results, type.result_count, &err);
	observe(digest, &st, sizeof(st));
	if (st == VM_TRAP)
		observe(digest, &err.trap, sizeof(err.trap));
	for (uint32_t i = 0; st == VM_OK && i < type.result_count; i++)
		observe_value(digest, &results[i]);
}

static void
use_export(const struct vm_extern *ext, uint32_t turn, uint64_t *digest)
{
	struct vm_value value;

	switch (ext->kind) {
	case VM_EXTERN_FUNC:
		call(ext->of.func, turn, digest);
		break;
	case VM_EXTERN_TABLE:
		for (uint64_t i = 0; i < vm_table_size(ext->of.table); i++) {
			if (vm_table_get(ext->of.table, i, &value, NULL) == VM_OK)
				observe_value(digest, &value);
		}
		break;
	case VM_EXTERN_MEMORY:
		observe(digest, vm_memory_data(ext->of.memory), vm_memory_size(ext->of.memory));
		break;
	case VM_EXTERN_GLOBAL:
		vm_global_get(ext->of.global, &value);
		observe_value(digest, &value);
		break;
	case VM_EXTERN_TAG:
		break;
	}
}

static uint64_t
run(struct vm_module *module, struct host *hosts, uint32_t import_count)
{
	uint64_t digest = UINT64_C(0xcbf29ce484222325);
	struct vm_instance *instance = NULL;
	struct vm_linker *linker = NULL;
	struct vm_store *store = NULL;
	struct vm_store_config config;
	struct vm_error err;

	vm_store_config_init(&config);
	config.memory_pages_max = PAGES_MAX;
	config.memory_bytes_max = 3 * PAGES_MAX * VM_PAGE_SIZE;
	config.table_elements_max = ELEMENTS_MAX;
	if (vm_store_new(the_engine(), &config, &store, NULL) != VM_OK ||
	    vm_linker_new(the_engine(), &linker, NULL) != VM_OK)
		abort();
	vm_store_set_fuel(store, FUEL);
	if (!provide_all(linker, store, module, hosts, import_count))
		goto done;
	enum vm_status st = vm_linker_instantiate(linker, store, module, &instance, &err);
	observe(&digest, &st, sizeof(st));
	if (st != VM_OK)
		goto done;
	uint32_t exports = vm_module_export_count(module);
	for (uint32_t i = 0; i < exports && i < CALLS_MAX; i++) {
		struct vm_extern ext;

		vm_instance_export_at(instance, i, &ext);
		use_export(&ext, i, &digest);
	}
	uint64_t used = vm_store_fuel_used(store);
	observe(&digest, &used, sizeof(used));
done:
	vm_linker_free(linker);
	vm_store_free(store);
	return digest;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_module *module;

	if (vm_module_load(the_engine(), data, size, &module, NULL) != VM_OK)
		return 0;
	uint32_t import_count = vm_module_import_count(module);
	struct host *hosts = calloc((size_t)import_count + 1, sizeof(*hosts));
	if (hosts == NULL)
		abort();
	uint64_t first = run(module, hosts, import_count);
	if (run(module, hosts, import_count) != first)
		abort(); /* something of the first run has reached the second */
	free(hosts);
	vm_module_unref(module);
	return 0;
}
