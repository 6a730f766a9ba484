#include "tests/vm/rt/fixture.h"

#include <string.h>

struct vm_engine *engine;
struct vm_store *store;
struct vm_linker *linker;
struct vm_error err;
struct vm_engine_config fixture_config;

void
fixture_setup(void)
{
	if (fixture_config.stack_bytes == 0)
		vm_engine_config_init(&fixture_config);
	ck_assert_int_eq(vm_engine_new(&fixture_config, &engine, &err), VM_OK);
	ck_assert_int_eq(vm_store_new(engine, NULL, &store, &err), VM_OK);
	ck_assert_int_eq(vm_linker_new(engine, &linker, &err), VM_OK);
}

void
fixture_teardown(void)
{
	vm_linker_free(linker);
	vm_store_free(store);
	vm_engine_unref(engine);
}

static struct vm_str
str(const char *text)
{
	return (struct vm_str){ text, strlen(text) };
}

struct vm_module *
load(struct wasm wasm)
{
	struct vm_module *module = NULL;

	err.message[0] = '\0';
	ck_assert_msg(vm_module_load(engine, wasm.bytes, wasm.len, &module, &err) == VM_OK, "%s",
	              err.message);
	return module;
}

enum vm_status
try_instantiate(struct wasm wasm, struct vm_instance **out)
{
	struct vm_module *module = load(wasm);
	enum vm_status st = vm_linker_instantiate(linker, store, module, out, &err);

	vm_module_unref(module);
	return st;
}

struct vm_instance *
instantiate(struct wasm wasm)
{
	struct vm_instance *instance = NULL;

	ck_assert_msg(try_instantiate(wasm, &instance) == VM_OK, "%s", err.message);
	return instance;
}

struct vm_instance *
provide(const char *name, struct wasm wasm)
{
	struct vm_instance *instance = instantiate(wasm);

	ck_assert_int_eq(vm_linker_define_instance(linker, str(name), instance, &err), VM_OK);
	return instance;
}

struct vm_extern
export_of(struct vm_instance *instance, const char *name)
{
	struct vm_extern ext;

	ck_assert_msg(vm_instance_export(instance, str(name), &ext, &err) == VM_OK, "%s",
	              err.message);
	return ext;
}

struct vm_func *
func_of(struct vm_instance *instance, const char *name)
{
	struct vm_extern ext = export_of(instance, name);

	ck_assert_int_eq(ext.kind, VM_EXTERN_FUNC);
	return ext.of.func;
}

struct vm_value
global_of(struct vm_instance *instance, const char *name)
{
	struct vm_extern ext = export_of(instance, name);
	struct vm_value value;

	ck_assert_int_eq(ext.kind, VM_EXTERN_GLOBAL);
	vm_global_get(ext.of.global, &value);
	return value;
}

enum vm_status
call_i32(struct vm_instance *instance, const char *name, const int32_t *args, size_t arg_count,
         int32_t *out)
{
	struct vm_func *func = func_of(instance, name);
	struct vm_value values[8], result = { .type = VM_I32 };

	ck_assert_uint_le(arg_count, 8);
	for (size_t i = 0; i < arg_count; i++)
		values[i] = (struct vm_value){ .type = VM_I32, .of.i32 = args[i] };
	enum vm_status st =
	    vm_func_call(func, values, arg_count, &result, vm_func_type(func).result_count, &err);
	if (st == VM_OK && out != NULL)
		*out = result.of.i32;
	return st;
}

int32_t
call1(struct vm_instance *instance, const char *name, int32_t arg)
{
	int32_t result = -1;

	ck_assert_msg(call_i32(instance, name, &arg, 1, &result) == VM_OK, "%s", err.message);
	return result;
}
