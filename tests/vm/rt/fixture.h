/*
 * fixture.h - an engine, a store and a linker for the tests, and short forms of what they do most.
 */
#pragma once

#include "tests/support/unit.h"
#include "tests/vm/rt/modules.h"
#include "vm/rt/instance.h"
#include "vm/rt/names.h"
#include "vm/vm.h"

extern struct vm_engine *engine;
extern struct vm_store *store;
extern struct vm_linker *linker;
extern struct vm_error err; /* of the last call of these */

/* Fixtures: features as configured by fixture_config, the defaults unless changed. */
extern struct vm_engine_config fixture_config;
void fixture_setup(void);
void fixture_teardown(void);

struct vm_module *load(struct wasm wasm); /* must load */
/* Load, link with the linker, instantiate in the store, drop the module. */
enum vm_status try_instantiate(struct wasm wasm, struct vm_instance **out);
struct vm_instance *instantiate(struct wasm wasm); /* must succeed */
/* Instantiate, and define its exports under a module name. */
struct vm_instance *provide(const char *name, struct wasm wasm);

struct vm_extern export_of(struct vm_instance *instance, const char *name);
struct vm_func *func_of(struct vm_instance *instance, const char *name);
struct vm_value global_of(struct vm_instance *instance, const char *name);

/* Call an export with i32 arguments; its i32 result, if any, goes to *out (may be NULL). */
enum vm_status call_i32(struct vm_instance *instance, const char *name, const int32_t *args,
                        size_t arg_count, int32_t *out);
/* Must succeed. */
int32_t call1(struct vm_instance *instance, const char *name, int32_t arg);
