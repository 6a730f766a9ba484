/*
 * walk.c - the rest of the path stands at the end of a buffer; links grow it to the front.
 */
#include "vm/wasi/walk.h"

#include <string.h>

/* Put a path in front of the rest, which is empty or begins with a slash. */
static enum wasi_errno
prepend(struct wasi_walk *walk, const char *path, size_t len)
{
	if (len == 0)
		return WASI_ENOENT;
	if (path[0] == '/')
		return WASI_EPERM;
	if (len >= WASI_PATH_MAX || len > (size_t)(walk->rest - walk->buf))
		return WASI_ENAMETOOLONG;
	walk->rest -= len;
	memcpy(walk->rest, path, len);
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_walk_start(struct wasi_walk *walk, const char *path)
{
	walk->links = 0;
	walk->kind = WASI_WALK_END;
	walk->rest = walk->buf + sizeof walk->buf - 1;
	*walk->rest = '\0';
	return prepend(walk, path, strlen(path));
}

static enum wasi_walk_kind
kind_of(const char *name, size_t len)
{
	if (len == 1 && name[0] == '.')
		return WASI_WALK_DOT;
	if (len == 2 && name[0] == '.' && name[1] == '.')
		return WASI_WALK_DOTDOT;
	return WASI_WALK_NAME;
}

enum wasi_errno
wasi_walk_next(struct wasi_walk *walk)
{
	const char *name = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(name, "/");

	if (len == 0) {
		walk->kind = WASI_WALK_END;
		return WASI_SUCCESS;
	}
	if (len > WASI_NAME_MAX)
		return WASI_ENAMETOOLONG;
	memcpy(walk->name, name, len);
	walk->name[len] = '\0';
	walk->name_len = len;
	walk->kind = kind_of(name, len);
	walk->rest += (size_t)(name - walk->rest) + len;
	walk->slash = *walk->rest == '/';
	walk->last = walk->rest[strspn(walk->rest, "/")] == '\0';
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_walk_link(struct wasi_walk *walk, const char *target, size_t len)
{
	if (++walk->links > WASI_LINKS_MAX)
		return WASI_ELOOP;
	return prepend(walk, target, len);
}
