/*
 * native.h - module files together with their native code.
 */
#pragma once

#include "vm/vm.h"

struct native_options {
	enum vm_tier_policy tier; /* interp: look for no code; native: compile if there is none */
	bool metered;             /* the variant that is wanted */
	bool verbose;             /* say on standard error what a file runs as, and why */
};

/*
 * Load a module file, and attach native code: what the file has, if the user's key (key.h)
 * vouches for it and it fits this build and processor; else, with the tier native, code that is
 * compiled now. Otherwise the module is interpreted, which is no failure.
 *
 * Returns as vm_module_load and, with the tier native, vm_compile; VM_E_IO.
 */
VM_MUST_CHECK enum vm_status native_load_file(struct vm_engine *engine, const char *path,
                                              const struct native_options *options,
                                              struct vm_module **out, struct vm_error *err);

/* Compile, with a progress bar on a terminal where it takes long. Returns as vm_compile. */
VM_MUST_CHECK enum vm_status native_compile(struct vm_module *module,
                                            struct vm_compile_options *options,
                                            struct vm_bytes *out, struct vm_error *err);
