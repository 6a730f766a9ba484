/*
 * walk.h - takes a path apart, component by component, putting in the targets of links.
 *
 * Both file trees resolve paths with it (the host's where the kernel cannot), so that what a
 * path means is decided once: no absolute path and no link to one, at most WASI_LINKS_MAX links.
 * Keeping ".." beneath the folder is the caller's part, who knows where it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "vm/wasi/file.h"

#define WASI_LINKS_MAX 40

enum wasi_walk_kind { WASI_WALK_END, WASI_WALK_NAME, WASI_WALK_DOT, WASI_WALK_DOTDOT };

struct wasi_walk {
	/* The component last taken. */
	enum wasi_walk_kind kind;
	char name[WASI_NAME_MAX + 1];
	size_t name_len;
	bool last;  /* only slashes follow, if anything */
	bool slash; /* at least one slash follows */
	/* The rest, at the end of buf and NUL-terminated. */
	unsigned links;
	char *rest;
	char buf[2 * WASI_PATH_MAX];
};

/*
 * Begin with a path. Returns WASI_ENOENT    it is empty
 *                            WASI_EPERM     it is absolute
 *                            WASI_ENAMETOOLONG
 */
enum wasi_errno wasi_walk_start(struct wasi_walk *walk, const char *path);

/* Take the next component; kind is WASI_WALK_END when there is none. WASI_ENAMETOOLONG. */
enum wasi_errno wasi_walk_next(struct wasi_walk *walk);

/*
 * The component last taken is a link: go on with its target in its place.
 * Returns WASI_ELOOP too many links, and the errors of wasi_walk_start.
 */
enum wasi_errno wasi_walk_link(struct wasi_walk *walk, const char *target, size_t len);
