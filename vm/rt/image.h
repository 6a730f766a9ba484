/*
 * image.h - the initial contents of a memory, mapped copy-on-write into each instance.
 *
 * Copying a megabyte of data and touching its pages costs a hundred times what mapping it does.
 * So a program whose module has much data gets a sealed memory file of it when it is instantiated
 * for the second time. Small data is copied: pages of small memories stay with their slot.
 *
 * Owns:    the file
 * Threads: immutable once made
 */
#pragma once

#include "vm/rt/runtime.h"

struct memory_image {
	int fd;
	uint64_t start; /* address and size in the memory, multiples of VM_PAGE_SIZE */
	uint64_t size_bytes;
};

/*
 * Plan an image: true when all active data segments go to a memory that the module defines, at
 * constant addresses where they fit, and mapping them pays. Then instantiation cannot fail at
 * one of them, and *out_start and *out_size_bytes are the range.
 */
bool image_plan(const struct vm_module *module, uint64_t *out_start, uint64_t *out_size_bytes);

/* Make the image of a module for which image_plan was true; NULL when the system refuses. */
struct memory_image *image_new(const struct vm_module *module);
void image_free(const struct vm_engine *engine, struct memory_image *image); /* NULL is fine */
