/*
 * compile.c - from a module to an artifact, by the compiler in libwasmedge-llvm.so.
 *
 * The library is opened when something is compiled for the first time, and stays: LLVM cannot be
 * unloaded safely.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "vm/native/build.h"
#include "vm/native/link.h"
#include "vm/rt/runtime.h"

#define LIBRARY "libwasmedge-llvm.so"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct native_compiler *compiler;

/* --- the compiler --------------------------------------------------------------------------- */

static enum vm_status
not_opened(struct vm_error *err)
{
	const char *why = dlerror();

	return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET, "cannot open the compiler: %s",
	                    why != NULL ? why : "unknown error");
}

/*
 * The one that the environment names; else the installed one, or what the system's search finds. A
 * program with privileges of its own does not listen to the environment.
 */
static void *
library_open(void)
{
	const char *path = secure_getenv("WASMEDGE_LLVM_LIBRARY");
	void *library;

	if (path != NULL && path[0] != '\0')
		return dlopen(path, RTLD_NOW | RTLD_LOCAL);
	library = dlopen(BUILD_LIBRARY_DIR "/" LIBRARY, RTLD_NOW | RTLD_LOCAL);
	return library != NULL ? library : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

static enum vm_status
compiler_open_locked(struct vm_error *err)
{
	if (compiler != NULL)
		return VM_OK;
	void *library = library_open();
	if (library == NULL)
		return not_opened(err);
	const struct native_compiler *found = dlsym(library, NATIVE_COMPILER_SYMBOL);
	if (found == NULL)
		return not_opened(err);
	if (strcmp(found->build, BUILD_TEXT) != 0)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                    "the compiler in " LIBRARY " is of another build (%.12s) than "
		                    "this library (%.12s): install both from one",
		                    found->build, BUILD_TEXT);
	compiler = found;
	return VM_OK;
}

static enum vm_status
compiler_open(struct vm_error *err)
{
	(void)pthread_mutex_lock(&lock);
	enum vm_status st = compiler_open_locked(err);
	(void)pthread_mutex_unlock(&lock);
	return st;
}

/* --- options -------------------------------------------------------------------------------- */

static uint32_t
processor_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	int count = CPU_COUNT(&set);
	return count > 0 ? (uint32_t)count : 1;
}

static enum vm_status
features_check(const struct vm_module *module, struct vm_error *err)
{
	vm_features missing = module->features_used & vm_tier_native.unsupported;

	if (missing == 0)
		return VM_OK;
	return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
	                    "the module uses %s, which is not compiled to native code",
	                    vm_feature_name((enum vm_feature)__builtin_ctzll(missing)));
}

/* What is to be made, and what has to be known to use it. */
static enum vm_status
info_make(struct vm_module *module, const struct vm_compile_options *options,
          struct vm_artifact_info *out, struct vm_error *err)
{
	if (options->relaxed_traps && options->metered)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "code that counts fuel cannot have relaxed traps: what was "
		                    "counted would not be what was run");
	if (options->level != VM_COMPILE_FAST && options->level != VM_COMPILE_BEST)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "level %d of compilation: there are only %d and %d",
		                    (int)options->level, VM_COMPILE_FAST, VM_COMPILE_BEST);
	*out = (struct vm_artifact_info){
		.level = options->level,
		.metered = options->metered,
		.canonical_nans = options->canonical_nans,
		.relaxed_traps = options->relaxed_traps,
	};
	if (!vm_cpu_find(options->cpu, &out->cpu_features))
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "unknown processor \"%.*s\": expected host, baseline, "
		                    "x86-64-v2, x86-64-v3 or x86-64-v4",
		                    options->cpu.len < 60 ? (int)options->cpu.len : 60,
		                    options->cpu.data);
	vm_build_digest(out->build);
	vm_module_digest(module, out->module);
	return VM_OK;
}

/* --- compiling ------------------------------------------------------------------------------ */

static void
objects_free(struct native_objects *objects)
{
	for (uint32_t i = 0; i < objects->count; i++)
		free(objects->items[i].bytes);
	free(objects->items);
}

enum vm_status
vm_compile(struct vm_module *module, const struct vm_compile_options *options,
           struct vm_bytes *out_artifact, struct vm_error *err)
{
	struct vm_compile_options resolved;
	struct native_objects objects = { NULL, 0 };
	struct vm_artifact_info info;

	vm_compile_options_init(&resolved);
	if (options != NULL)
		resolved = *options;
	if (resolved.jobs == 0)
		resolved.jobs = processor_count();
	enum vm_status st = info_make(module, &resolved, &info, err);
	if (st == VM_OK)
		st = features_check(module, err);
	if (st == VM_OK)
		st = compiler_open(err);
	if (st == VM_OK)
		st = compiler->compile(module, &resolved, info.cpu_features, &objects, err);
	if (st != VM_OK)
		return st;
	st = native_link(module, &objects, &info, out_artifact, err);
	objects_free(&objects);
	return st;
}
