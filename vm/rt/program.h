/*
 * program.h - a module with its imports resolved.
 *
 * Owns:    the module and the host functions, both counted
 * Borrows: objects of the store with that serial number, if any are imported
 * Threads: counted, and immutable but for the image, when all imports are host functions
 */
#pragma once

#include "vm/rt/runtime.h"

/* A host function as defined in a linker; shared with programs, which keep it alive. */
struct host_def {
	atomic_uint refs;
	struct vm_engine *engine; /* borrowed: whoever counts holds it */
	struct host_func func;
};

struct program_import {
	struct host_def *host; /* or NULL: */
	struct vm_extern ext;
};

/* Where the parts of an instance lie in its allocation, in bytes. */
struct instance_layout {
	size_t own_memories, own_tables, own_globals, own_tags;
	size_t memories, tables, globals, tags; /* index spaces: arrays of pointers */
	size_t imported_funcs;
	size_t data_sizes, elems;
	size_t host_funcs; /* objects of imported host functions */
	size_t funcs;
	size_t size_bytes;
};

struct vm_program {
	atomic_uint refs;
	struct vm_module *module;
	uint64_t store_serial; /* of the store whose objects are imported; 0: of none */
	uint32_t host_count;   /* of imports that are host functions */
	bool has_image;        /* image_plan says so */
	atomic_uint uses;      /* instances made, for the first two */
	_Atomic(struct memory_image *) image; /* made with the second, or NULL */
	struct instance_layout layout;
	struct program_import imports[]; /* in the module's order */
};

/* A program for all imports unresolved, to be filled in; counts the module. NULL: no memory. */
struct vm_program *program_alloc(struct vm_module *module);
/* When the imports are known: where everything goes. */
void program_finish(struct vm_program *program);

/*
 * The image for one more instance, or NULL while data has to be copied: the first time, as most
 * programs of a command line run once.
 */
const struct memory_image *program_image(struct vm_program *program);

/* NULL when there is no memory. The type's group is held. */
struct host_def *host_def_new(struct vm_engine *engine, const struct vm_type *type, vm_host_fn fn,
                              void *env);
struct host_def *host_def_ref(struct host_def *def);
void host_def_unref(struct host_def *def); /* NULL is fine */
