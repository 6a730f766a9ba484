/*
 * linker.h - from a module and its imports to an instance.
 *
 * A linker is a table of definitions by module name and name. Host functions belong to no store,
 * so a module that imports nothing else can be linked once, into a vm_program, and instantiated
 * any number of times, by any thread, at almost no cost. Definitions that live in a store
 * (exports of other instances, memories of the embedder) make the linker usable with that
 * store only.
 *
 * A linker may be changed by one thread at a time; a program is immutable and counted.
 */
#pragma once

#include "vm/instance.h"

struct vm_linker;
struct vm_program;

/* What a host function sees of the call. */
struct vm_caller {
	struct vm_store *store;
	struct vm_instance *instance; /* that imported the function */
};

/*
 * A host function. Arguments are in slots in order; results are written over them from
 * slots[0] on (a v128 takes two slots). slots has room for the larger of the two.
 *
 * Returns VM_OK, or what vm_error_trap or vm_error_exit returned, with err filled in: that ends
 * the guest program. It may call back into the store.
 */
typedef enum vm_status (*vm_host_fn)(void *env, struct vm_caller *caller, union vm_slot *slots,
                                     struct vm_error *err);

VM_EXPORT VM_MUST_CHECK enum vm_status vm_linker_new(struct vm_engine *engine,
                                                     struct vm_linker **out_linker,
                                                     struct vm_error *err);
VM_EXPORT void vm_linker_free(struct vm_linker *linker); /* NULL is fine */

/*
 * Define a host function. Names and type are copied; env is handed to fn and has to outlive all
 * instances that use it. A definition of the same names is replaced.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_linker_define_func(struct vm_linker *linker,
                                                             struct vm_str module,
                                                             struct vm_str name,
                                                             const struct vm_functype *type,
                                                             vm_host_fn fn, void *env,
                                                             struct vm_error *err);
/* Define an object of a store; replaces a definition of the same names. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_linker_define(struct vm_linker *linker,
                                                        struct vm_str module, struct vm_str name,
                                                        const struct vm_extern *ext,
                                                        struct vm_error *err);
/* Define all exports of an instance under a module name. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_linker_define_instance(struct vm_linker *linker,
                                                                 struct vm_str module,
                                                                 struct vm_instance *instance,
                                                                 struct vm_error *err);

/*
 * Link and instantiate in one step: match imports, allocate, run segments and the start function.
 *
 * Returns VM_E_LINK        an import is missing or has another type: nothing has changed
 *         VM_E_LIMIT       a limit of the store
 *         VM_E_UNSUPPORTED the module uses a feature that no tier here runs
 *         VM_TRAP etc.     a segment did not fit or the start function failed; effects on
 *                          imported objects made before stay (Core 3.0, 4.7.3)
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_linker_instantiate(struct vm_linker *linker,
                                                             struct vm_store *store,
                                                             struct vm_module *module,
                                                             struct vm_instance **out_instance,
                                                             struct vm_error *err);

/* Link a module whose imports are all host functions. Returns VM_E_LINK, VM_E_NOMEM. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_program_new(struct vm_linker *linker,
                                                      struct vm_module *module,
                                                      struct vm_program **out_program,
                                                      struct vm_error *err);
VM_EXPORT struct vm_program *vm_program_ref(struct vm_program *program);
VM_EXPORT void vm_program_unref(struct vm_program *program); /* NULL is fine */
VM_EXPORT struct vm_module *vm_program_module(const struct vm_program *program);

/* As vm_linker_instantiate; the program may be unreferenced while the instance lives. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_program_instantiate(struct vm_program *program,
                                                              struct vm_store *store,
                                                              struct vm_instance **out_instance,
                                                              struct vm_error *err);
