#include "vm/linker.h"

#include <string.h>
#include "vm/rt/instance.h"
#include "vm/rt/match.h"
#include "vm/rt/names.h"
#include "vm/rt/program.h"
#include "vm/rt/store.h"
#include "vm/rt/value.h"

/* A definition: a host function, or an object of the store with that serial number. */
struct definition {
	struct name_entry names; /* first; the bytes lie behind the definition */
	struct host_def *host;   /* or NULL: */
	struct vm_extern ext;
	uint64_t store_serial;
};

struct vm_linker {
	struct vm_engine *engine;
	struct name_table names;
};

/* --- definitions ---------------------------------------------------------------------------- */

enum vm_status
vm_linker_new(struct vm_engine *engine, struct vm_linker **out_linker, struct vm_error *err)
{
	struct vm_linker *linker = engine_alloc(engine, sizeof(*linker));

	if (linker == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	linker->engine = vm_engine_ref(engine);
	names_init(&linker->names);
	*out_linker = linker;
	return VM_OK;
}

static void
definition_free(const struct vm_engine *engine, struct definition *def)
{
	if (def == NULL)
		return;
	host_def_unref(def->host);
	engine_free(engine, def);
}

void
vm_linker_free(struct vm_linker *linker)
{
	if (linker == NULL)
		return;

	struct vm_engine *engine = linker->engine;
	for (size_t i = 0; i < linker->names.room; i++)
		definition_free(engine, (struct definition *)linker->names.entries[i]);
	names_clear(&linker->names, engine);
	engine_free(engine, linker);
	vm_engine_unref(engine);
}

/* Takes template->host, also on failure. */
static enum vm_status
define(struct vm_linker *linker, struct vm_str module, struct vm_str name,
       const struct definition *template, struct vm_error *err)
{
	struct vm_engine *engine = linker->engine;
	struct name_entry *old = NULL;
	struct definition *def = NULL;

	if (module.len < SIZE_MAX / 4 && name.len < SIZE_MAX / 4)
		def = engine_alloc(engine, sizeof(*def) + module.len + name.len);
	if (def == NULL)
		goto failed;
	*def = *template;
	char *bytes = (char *)(def + 1);
	if (module.len > 0)
		memcpy(bytes, module.data, module.len);
	if (name.len > 0)
		memcpy(bytes + module.len, name.data, name.len);
	def->names.module = (struct vm_str){ bytes, module.len };
	def->names.name = (struct vm_str){ bytes + module.len, name.len };
	if (!names_put(&linker->names, engine, &def->names, &old))
		goto failed;
	definition_free(engine, (struct definition *)old);
	return VM_OK;
failed:
	engine_free(engine, def);
	host_def_unref(template->host);
	return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
}

static enum vm_status
functype_check(const struct vm_engine *engine, const struct vm_functype *type, struct vm_error *err)
{
	const struct vm_limits *limits = &engine->limits;

	if (type->param_count > limits->params_max || type->result_count > limits->results_max)
		return vm_error_set(
		    err, VM_E_LIMIT, VM_NO_OFFSET,
		    "host function with %u parameters and %u results: the limits are "
		    "%llu and %llu",
		    type->param_count, type->result_count, (unsigned long long)limits->params_max,
		    (unsigned long long)limits->results_max);
	for (uint32_t i = 0; i < type->param_count + type->result_count; i++) {
		bool is_param = i < type->param_count;
		vm_valtype t = is_param ? type->params[i] : type->results[i - type->param_count];

		if (!value_type_exists(t))
			return vm_error_set(
			    err, VM_E_ARGUMENT, VM_NO_OFFSET,
			    "host function with a %s of type 0x%x: there is no such type",
			    is_param ? "parameter" : "result", t);
	}
	return VM_OK;
}

enum vm_status
vm_linker_define_func(struct vm_linker *linker, struct vm_str module, struct vm_str name,
                      const struct vm_functype *type, vm_host_fn fn, void *env,
                      struct vm_error *err)
{
	const struct vm_type *canonical;
	enum vm_status st = functype_check(linker->engine, type, err);

	if (st == VM_OK)
		st = types_intern_func(linker->engine, type, &canonical, err);
	if (st != VM_OK)
		return st;
	struct host_def *host = host_def_new(linker->engine, canonical, fn, env);
	if (host == NULL) {
		rec_group_unref(linker->engine, canonical->group);
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	}
	const struct definition def = { .host = host };
	return define(linker, module, name, &def, err);
}

static struct vm_store *
store_of(const struct vm_extern *ext)
{
	switch (ext->kind) {
	case VM_EXTERN_FUNC:
		return ext->of.func->instance->store;
	case VM_EXTERN_TABLE:
		return ext->of.table->store;
	case VM_EXTERN_MEMORY:
		return ext->of.memory->store;
	case VM_EXTERN_GLOBAL:
		return ext->of.global->store;
	case VM_EXTERN_TAG:
		return ext->of.tag->store;
	}
	return NULL;
}

enum vm_status
vm_linker_define(struct vm_linker *linker, struct vm_str module, struct vm_str name,
                 const struct vm_extern *ext, struct vm_error *err)
{
	const struct vm_store *store = store_of(ext);

	if (store == NULL || store->engine != linker->engine)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "the definition does not belong to the linker's engine");
	const struct definition def = { .ext = *ext, .store_serial = store->serial };
	return define(linker, module, name, &def, err);
}

enum vm_status
vm_linker_define_instance(struct vm_linker *linker, struct vm_str module,
                          struct vm_instance *instance, struct vm_error *err)
{
	for (uint32_t i = 0; i < instance->module->export_count; i++) {
		struct vm_extern ext;

		vm_instance_export_at(instance, i, &ext);
		enum vm_status st =
		    vm_linker_define(linker, module, instance->module->exports[i].name, &ext, err);
		if (st != VM_OK)
			return st;
	}
	return VM_OK;
}

/* --- linking -------------------------------------------------------------------------------- */

/* Objects of a store may only be linked for that store: NULL is for programs, where none may. */
static enum vm_status
resolve(const struct vm_linker *linker, const struct vm_store *store, struct vm_program *program,
        uint32_t index, struct vm_error *err)
{
	const struct vm_module *module = program->module;
	const struct module_import *import = &module->imports[index];
	const struct definition *def =
	    (const struct definition *)names_find(&linker->names, import->module, import->name);

	if (def == NULL)
		return match_failed(module, index, NULL, NULL, err);
	if (def->host != NULL) {
		if (!match_func(module, import, def->host->func.type))
			return match_failed(module, index, NULL, def->host->func.type, err);
		program->imports[index].host = host_def_ref(def->host);
		return VM_OK;
	}
	if (store == NULL || def->store_serial != store->serial)
		return vm_error_set(
		    err, VM_E_LINK, VM_NO_OFFSET,
		    "import %u \"%.*s\" \"%.*s\": the linker's definition lives in %s", index,
		    import->module.len < 60 ? (int)import->module.len : 60, import->module.data,
		    import->name.len < 60 ? (int)import->name.len : 60, import->name.data,
		    store == NULL ? "a store; a program takes host functions only"
				  : "another store, or one that has been freed");
	if (!match_extern(module, import, &def->ext))
		return match_failed(module, index, &def->ext, NULL, err);
	program->imports[index].ext = def->ext;
	program->store_serial = def->store_serial;
	return VM_OK;
}

static enum vm_status
link_module(const struct vm_linker *linker, const struct vm_store *store, struct vm_module *module,
            struct vm_program **out_program, struct vm_error *err)
{
	if (module->engine != linker->engine || (store != NULL && store->engine != linker->engine))
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "linker, module and store are not of one engine");

	struct vm_program *program = program_alloc(module);
	if (program == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	for (uint32_t i = 0; i < module->import_count; i++) {
		enum vm_status st = resolve(linker, store, program, i, err);
		if (st != VM_OK) {
			vm_program_unref(program);
			return st;
		}
	}
	program_finish(program);
	*out_program = program;
	return VM_OK;
}

enum vm_status
vm_program_new(struct vm_linker *linker, struct vm_module *module, struct vm_program **out_program,
               struct vm_error *err)
{
	return link_module(linker, NULL, module, out_program, err);
}

enum vm_status
vm_linker_instantiate(struct vm_linker *linker, struct vm_store *store, struct vm_module *module,
                      struct vm_instance **out_instance, struct vm_error *err)
{
	struct vm_program *program;
	enum vm_status st = link_module(linker, store, module, &program, err);

	if (st != VM_OK)
		return st;
	st = instance_make(program, store, instance_tier(module, store), out_instance, err);
	vm_program_unref(program);
	return st;
}

enum vm_status
vm_program_instantiate(struct vm_program *program, struct vm_store *store,
                       struct vm_instance **out_instance, struct vm_error *err)
{
	if (program->module->engine != store->engine)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "program and store are not of one engine");
	return instance_make(program, store, instance_tier(program->module, store), out_instance,
	                     err);
}
