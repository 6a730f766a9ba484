/*
 * compiler.h - between the library and the compiler, which is opened with dlopen.
 *
 * libwasmedge-llvm.so has copies of vm/base, vm/core and vm/load of its own, and exports one
 * object, vm_compiler. It is of use only to a library of the same build.
 */
#pragma once

#include "vm/native.h"

/* A relocatable ELF object in memory, made with malloc. */
struct native_object {
	uint8_t *bytes;
	size_t size_bytes;
};

struct native_objects {
	struct native_object *items; /* made with malloc */
	uint32_t count;
};

struct native_compiler {
	const char *build; /* as vm_build_text */
	/*
	 * Compile every function the module defines. Each is a global symbol of exactly one object.
	 * cpu_features is options->cpu resolved; jobs is at least 1. On failure *out is empty.
	 */
	enum vm_status (*compile)(const struct vm_module *module,
	                          const struct vm_compile_options *options, uint64_t cpu_features,
	                          struct native_objects *out, struct vm_error *err);
};

#define NATIVE_COMPILER_SYMBOL "vm_compiler"
