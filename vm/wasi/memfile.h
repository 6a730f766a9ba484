/*
 * memfile.h - open files and folders of an in-memory tree.
 *
 * Borrows: the tree, which outlives them
 */
#pragma once

#include "vm/wasi/memtree.h"

/* The root folder of a tree. WASI_ENOMEM. */
enum wasi_errno wasi_memdir_open(struct vm_wasi_tree *tree, struct wasi_file **out);
