/*
 * programs.h - modules that are loaded and linked, kept for the next call.
 *
 * A digest that is known here is called without touching the store. One that is not is loaded
 * once, however many ask for it meanwhile. What nobody uses stays until its bytes are needed for
 * others, the longest unused going first.
 *
 * Owns:    one reference to each program in the cache
 * Threads: the cache belongs to the loop's thread; programs are immutable and counted
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/problem.h"
#include "rpc/digest.h"
#include "vm/vm.h"

struct daemon;
struct programs;

struct program {
	struct digest digest;
	struct vm_program *linked; /* NULL: its imports are not all provided; see problem */
	struct vm_module *module;
	bool imports_wasi;
	bool imports_plugins; /* something that is not WASI's, which plug-ins give */
	bool is_repeatable;  /* see shadow_is_repeatable */
	bool has_initialize; /* exports _initialize, which comes before any other call */
	size_t size_bytes;   /* of the binary */
	struct rpc_problem problem;
	atomic_bool is_pinned[2]; /* to the interpreter; plain, metered: see shadow.h */

	/* the cache's own */
	atomic_uint refs;
	bool is_cached;
	bool was_called[2]; /* since programs_tell_used; plain, metered */
	struct program *hash_next;
	struct program *newer; /* by last use */
	struct program *older;
};

struct program *program_ref(struct program *program);
void program_unref(struct program *program); /* NULL is fine */
/* Whether its calls of that variant are interpreted only because there is no code yet. */
bool program_wants_code(const struct program *program, bool is_metered);

/* Takes the linker over. Returns NULL when there is no memory. */
struct programs *programs_new(struct daemon *daemon, struct vm_linker *linker);
/* No load may be under way. NULL is fine. */
void programs_free(struct programs *programs);

/* A new reference when the module is loaded, else NULL. Counts as use. */
struct program *programs_find(struct programs *programs, const struct digest *digest);

/* The same without counting: for who does not run it. */
struct program *programs_peek(struct programs *programs, const struct digest *digest);

/*
 * Somebody who waits for a module. done is called on the loop's thread with a reference that is
 * the waiter's, or with NULL and a problem.
 */
struct program_waiter {
	struct program_waiter *next;
	void (*done)(struct program_waiter *waiter, struct program *program,
	             const struct rpc_problem *problem);
};

/*
 * Load a module that programs_find did not find. done may be called before this returns. It is
 * called in any case.
 */
void programs_load(struct programs *programs, const struct digest *digest,
                   struct program_waiter *waiter);

/*
 * Link a module, on any thread: what becomes of an upload. Returns NULL when there is no
 * memory; a module that does not link gives a program that says why.
 */
struct program *program_link(struct programs *programs, struct vm_module *module,
                             const struct digest *digest);
/* Keep a program in the cache, unless that digest is there already. Takes no reference over. */
void programs_keep(struct programs *programs, struct program *program);
/* Forget a module that was deleted. */
void programs_drop(struct programs *programs, const struct digest *digest);

/* A call of that variant begins. */
void program_note_call(struct program *program, bool is_metered);
/* Have the cache of native code know which programs were called since the last time. */
void programs_tell_used(struct programs *programs);

/* Make room for a changed bound. */
void programs_trim(struct programs *programs);

/* Whether somebody outside of the cache uses the module now. */
bool programs_in_use(struct programs *programs, const struct digest *digest);
