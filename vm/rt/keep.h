/*
 * keep.h - instances that are used again.
 *
 * Making an instance costs more than what most requests do with it. So when one ends it becomes
 * what it was when it began, and waits with its program for the next store: its memories wiped,
 * everything else that a guest can change copied back. What lies beyond that (function objects,
 * index spaces, types) never changes and is not made again.
 *
 * When the store was never touched by anything that could write to a memory (see effect.h), that
 * is left as it is.
 *
 * What it was is noted between the end of its making and the first thing that its guest does. Only
 * instances of programs that import nothing but host functions, and that are made for a second
 * time, are noted. Nothing is handed over that has not been reset, and an instance whose tables
 * have grown, or whose memory the system does not give back, is freed as any other.
 *
 * Owns:    the note; with it the instance's memories and tables, which the store's lists only show
 * Threads: an instance waits for any thread; while used it is its store's
 */
#pragma once

#include "vm/rt/program.h"
#include "vm/rt/store.h"

struct instance_keep {
	struct vm_memory *memories; /* own ones, and so on */
	struct vm_table *tables;
	struct vm_global *globals;
	struct vm_tag *tags;
	uint32_t memory_count, table_count, global_count, tag_count;
	uint64_t charged_bytes; /* to the store, for memories and tables as they begin */
	bool has_data;          /* memories have their initial contents, and are not all zero */
	size_t head_bytes;      /* of the instance, where guests can change something */
	/* What they were: the head, then the elements of the tables. */
	_Alignas(16) unsigned char was[];
};

/* Whether instances of a program, whose layout is known, may be kept. */
bool keep_is_possible(const struct vm_program *program);

/* Note what the instance is, if it is worth it and there is room; then it will be kept. */
void keep_make(struct vm_instance *instance);

/*
 * An instance of the program for the store, with its memories and tables in the store's lists and
 * accounts, but not in its list of instances. Unless keep->has_data, the memories are all zero,
 * and the caller sets it when they are not.
 * NULL when there is none, or the store's limits do not allow it.
 */
struct vm_instance *keep_take(struct vm_program *program, struct vm_store *store,
                              const struct vm_tier *tier, const void *code);

/* The end of an instance with a note: reset it for the next store, or free it. */
void keep_give(struct vm_instance *instance);

/* Free one that nobody uses; pool_keep_release has been called or is. */
void keep_destroy(struct vm_engine *engine, struct vm_instance *instance);
