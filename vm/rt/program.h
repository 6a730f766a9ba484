/*
 * program.h - a module with its imports resolved.
 *
 * Owns:    the module and the host functions, both counted
 * Borrows: objects of the store with that serial number, if any are imported
 * Threads: counted, and immutable but for the image, when all imports are host functions
 */
#pragma once

#include "vm/rt/layout.h"
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

/* Most instances that wait with one program. */
enum { PROGRAM_IDLE_MAX = 16 };

struct vm_program {
	atomic_uint refs;
	struct vm_module *module;
	uint64_t store_serial; /* of the store whose objects are imported; 0: of none */
	uint32_t host_count;   /* of imports that are host functions */
	bool has_image;        /* image_plan says so */
	atomic_uint uses;      /* instances made, for the first two */
	_Atomic(struct memory_image *) image; /* made with the second, or NULL */
	_Atomic(atomic_uchar *) effects;      /* rt/effect.c's, by function, or NULL */
	bool can_keep;                        /* keep_is_possible says so */
	atomic_bool was_made;                 /* an instance from scratch, once */
	/* Kept instances that wait; threads prefer a place of their own. */
	_Atomic(struct vm_instance *) idle[PROGRAM_IDLE_MAX];
	atomic_bool was_taken;   /* one of them, since the pool looked for some to free */
	/* The pool's, under its lock: the list of programs with kept instances, waiting or not. */
	uint32_t kept_count;
	struct vm_program *kept_next, *kept_previous;
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

/* False for the program's first instance: most programs of a command line have only that. */
bool program_is_reused(struct vm_program *program);

/*
 * Kept instances that nobody uses. NULL: there is none; false: there is no room, and the instance
 * stays the caller's.
 */
struct vm_instance *program_take_idle(struct vm_program *program);
bool program_give_idle(struct vm_program *program, struct vm_instance *instance);

/* NULL when there is no memory. The type's group is held. */
struct host_def *host_def_new(struct vm_engine *engine, const struct vm_type *type, vm_host_fn fn,
                              void *env);
struct host_def *host_def_ref(struct host_def *def);
void host_def_unref(struct host_def *def); /* NULL is fine */
