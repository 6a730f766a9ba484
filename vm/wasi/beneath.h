/*
 * beneath.h - opens host paths that cannot lead out of a folder.
 *
 * Two ways with the same answers: the kernel's openat2 with RESOLVE_BENEATH, and, where there is
 * none (an old kernel, a system-call filter), a walk that opens one component at a time without
 * following links, puts in the targets of links itself, and answers ".." only with a folder it
 * has come through. Both refuse absolute paths, links to absolute paths and the magic links of
 * /proc.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "vm/wasi/abi.h"

enum beneath_way { BENEATH_KERNEL, BENEATH_WALK };

/* For tests: take the walk although the kernel could. Read by beneath_way_of. */
extern bool wasi_beneath_walk_only;

/* Which way works beneath this folder. */
enum beneath_way beneath_way_of(int root);

/*
 * Open a path as open() does with these flags and mode (O_CLOEXEC is added), beneath root.
 *
 * Returns WASI_EPERM  the path leads out of the folder
 *         and what open() returns
 */
enum wasi_errno beneath_open(enum beneath_way way, int root, const char *path, int flags,
                             mode_t mode, int *out_fd);

/* The folder that holds the last component of a path, for calls that make or remove names. */
struct beneath_parent {
	int fd; /* opened with O_PATH, or root itself */
	bool owned;
	const char *name; /* in the path: last component with the slashes behind it; "." for ".." */
};

/* Errors as those of beneath_open. */
enum wasi_errno beneath_parent_open(enum beneath_way way, int root, const char *path,
                                    struct beneath_parent *out);
void beneath_parent_close(struct beneath_parent *parent);
