/*
 * memfile.c - operations on in-memory trees, with the answers a host's file system gives.
 */
#include "vm/wasi/memfile.h"

#include <stdlib.h>
#include <string.h>

struct mem_open {
	struct wasi_file base;
	struct vm_wasi_tree *tree;
	struct mem_node *node; /* counted */
	uint64_t position;
};

static const struct wasi_file_ops file_ops;
static const struct wasi_file_ops dir_ops;

static struct mem_open *
mem_of(struct wasi_file *file)
{
	return (struct mem_open *)file;
}

static enum wasi_errno
mem_new(struct vm_wasi_tree *tree, struct mem_node *node, struct wasi_file **out)
{
	const bool is_dir = node->type == WASI_DIRECTORY;
	struct mem_open *open = calloc(1, sizeof *open);

	if (open == NULL)
		return WASI_ENOMEM;
	open->base.ops = is_dir ? &dir_ops : &file_ops;
	open->base.type = node->type;
	open->base.rights = is_dir ? WASI_RIGHTS_DIRECTORY : WASI_RIGHTS_REGULAR_FILE;
	open->tree = tree;
	open->node = node;
	mem_node_open(node);
	*out = &open->base;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_memdir_open(struct vm_wasi_tree *tree, struct wasi_file **out)
{
	return mem_new(tree, tree->root, out);
}

static void
mem_close(struct wasi_file *file)
{
	struct mem_open *open = mem_of(file);

	mem_node_close(open->tree, open->node);
	free(open);
}

/* --- files -------------------------------------------------------------------------------- */

static enum wasi_errno
mem_read(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io, size_t *out_len)
{
	struct mem_open *open = mem_of(file);
	const struct mem_file *data = &open->node->of.file;
	const bool positioned = io->offset != WASI_AT_POSITION;
	uint64_t at = positioned ? io->offset : open->position;
	size_t done = 0;

	(void)task;
	for (size_t i = 0; i < io->iov_count && at < data->size_bytes; i++) {
		size_t left = data->size_bytes - (size_t)at;
		size_t len = io->iov[i].iov_len < left ? io->iov[i].iov_len : left;
		memcpy(io->iov[i].iov_base, data->data + at, len);
		at += len;
		done += len;
	}
	if (!positioned)
		open->position += done;
	open->node->atim = wasi_now();
	*out_len = done;
	return WASI_SUCCESS;
}

static enum wasi_errno
mem_write(struct wasi_file *file, struct wasi_task *task, const struct wasi_io *io, size_t *out_len)
{
	struct mem_open *open = mem_of(file);
	struct mem_file *data = &open->node->of.file;
	const bool positioned = io->offset != WASI_AT_POSITION;
	uint64_t at = positioned ? io->offset : open->position;
	size_t total = 0;

	(void)task;
	if (!positioned && (file->flags & WASI_APPEND))
		at = data->size_bytes;
	for (size_t i = 0; i < io->iov_count; i++)
		total += io->iov[i].iov_len;
	*out_len = total;
	if (total == 0)
		return WASI_SUCCESS;
	if (at > INT64_MAX - total)
		return WASI_EFBIG;
	if (at + total > data->size_bytes) {
		enum wasi_errno e = mem_file_resize(open->tree, open->node, at + total);
		if (e != WASI_SUCCESS)
			return e;
	}
	for (size_t i = 0; i < io->iov_count; i++) {
		if (io->iov[i].iov_len == 0)
			continue;
		memcpy(data->data + at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
	if (!positioned)
		open->position = at;
	open->node->mtim = open->node->ctim = wasi_now();
	return WASI_SUCCESS;
}

static enum wasi_errno
mem_seek(struct wasi_file *file, int64_t offset, enum wasi_whence whence, uint64_t *out_position)
{
	struct mem_open *open = mem_of(file);
	uint64_t base = 0;
	int64_t position;

	if (whence == WASI_SEEK_CUR)
		base = open->position;
	else if (whence == WASI_SEEK_END)
		base = open->node->of.file.size_bytes;
	if (__builtin_add_overflow((int64_t)base, offset, &position))
		return WASI_EOVERFLOW;
	if (position < 0)
		return WASI_EINVAL;
	open->position = (uint64_t)position;
	*out_position = open->position;
	return WASI_SUCCESS;
}

static enum wasi_errno
mem_set_size(struct wasi_file *file, uint64_t size_bytes)
{
	return mem_file_resize(mem_of(file)->tree, mem_of(file)->node, size_bytes);
}

static enum wasi_errno
mem_allocate(struct wasi_file *file, uint64_t offset, uint64_t len)
{
	struct mem_open *open = mem_of(file);

	if (len == 0)
		return WASI_EINVAL;
	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return WASI_EFBIG;
	if (offset + len <= open->node->of.file.size_bytes)
		return WASI_SUCCESS;
	return mem_file_resize(open->tree, open->node, offset + len);
}

static enum wasi_errno
mem_advise(struct wasi_file *file, uint64_t offset, uint64_t len, int advice)
{
	(void)file, (void)advice;
	return offset > INT64_MAX || len > INT64_MAX ? WASI_EINVAL : WASI_SUCCESS;
}

static enum wasi_errno
mem_sync(struct wasi_file *file, bool data_only)
{
	(void)file, (void)data_only;
	return WASI_SUCCESS;
}

static enum wasi_errno
mem_poll(struct wasi_file *file, bool write, struct wasi_readiness *out)
{
	const struct mem_open *open = mem_of(file);
	const uint64_t size = open->node->of.file.size_bytes;

	*out = (struct wasi_readiness){ .host_fd = -1, .bytes = 1 };
	if (!write)
		out->bytes = size > open->position ? size - open->position : 0;
	return WASI_SUCCESS;
}

/* --- attributes --------------------------------------------------------------------------- */

static uint64_t
size_of_node(const struct mem_node *node)
{
	if (node->type == WASI_REGULAR_FILE)
		return node->of.file.size_bytes;
	return node->type == WASI_SYMBOLIC_LINK ? node->of.link.len : 0;
}

static void
stat_node(const struct mem_node *node, struct wasi_stat *out)
{
	*out = (struct wasi_stat){
		.dev = 1,
		.ino = node->ino,
		.type = node->type,
		.links = node->names,
		.size_bytes = size_of_node(node),
		.atim = node->atim,
		.mtim = node->mtim,
		.ctim = node->ctim,
	};
}

static void
set_node_times(struct mem_node *node, const struct wasi_times *times)
{
	wasi_times_apply(times, &node->atim, &node->mtim);
	node->ctim = wasi_now();
}

static enum wasi_errno
mem_stat(struct wasi_file *file, struct wasi_stat *out)
{
	stat_node(mem_of(file)->node, out);
	return WASI_SUCCESS;
}

static enum wasi_errno
mem_set_times(struct wasi_file *file, const struct wasi_times *times)
{
	set_node_times(mem_of(file)->node, times);
	return WASI_SUCCESS;
}

static const struct wasi_file_ops file_ops = {
	.close = mem_close,
	.read = mem_read,
	.write = mem_write,
	.seek = mem_seek,
	.stat = mem_stat,
	.set_size = mem_set_size,
	.set_times = mem_set_times,
	.allocate = mem_allocate,
	.advise = mem_advise,
	.sync = mem_sync,
	.poll = mem_poll,
};

/* --- folders ------------------------------------------------------------------------------ */

static enum wasi_errno
mem_readdir(struct wasi_file *file, uint64_t cookie, wasi_dirent_fn emit, void *env)
{
	const struct mem_node *dir = mem_of(file)->node;
	const struct mem_node *parent = dir->of.dir.parent;
	const struct wasi_dirent dots[] = {
		{ ".", 1, dir->ino, WASI_DIRECTORY, MEM_AGE_DOT },
		{ "..", 2, parent != NULL ? parent->ino : dir->ino, WASI_DIRECTORY,
		  MEM_AGE_DOTDOT },
	};
	const struct mem_entry *entry;

	for (; cookie < MEM_AGE_DOTDOT; cookie++) {
		if (!emit(env, &dots[cookie]))
			return WASI_SUCCESS;
	}
	for (; (entry = mem_entry_after(dir, cookie)) != NULL; cookie = entry->age) {
		const struct wasi_dirent out = { entry->name, entry->name_len, entry->node->ino,
			                         entry->node->type, entry->age };
		if (!emit(env, &out))
			break;
	}
	return WASI_SUCCESS;
}

static enum wasi_errno
resolve(struct wasi_file *dir, const char *path, enum mem_follow follow, struct mem_place *out)
{
	return mem_resolve(mem_of(dir)->node, path, follow, out);
}

/* Make a file at a place that has none. */
static enum wasi_errno
create(struct vm_wasi_tree *tree, struct mem_place *place, const struct wasi_open *how)
{
	if (!(how->oflags & WASI_CREAT))
		return WASI_ENOENT;
	if (place->slash)
		return WASI_EISDIR;
	return mem_node_new(tree, place->dir, place->name, place->name_len, WASI_REGULAR_FILE,
	                    &place->node);
}

/* Whether what exists may be opened like this. */
static enum wasi_errno
check_open(const struct mem_node *node, const struct wasi_open *how)
{
	if ((how->oflags & WASI_CREAT) && (how->oflags & WASI_EXCL))
		return WASI_EEXIST;
	if (node->type == WASI_DIRECTORY)
		return how->write || (how->oflags & (WASI_CREAT | WASI_TRUNC)) ? WASI_EISDIR
		                                                               : WASI_SUCCESS;
	if (how->oflags & WASI_OPEN_DIRECTORY)
		return WASI_ENOTDIR;
	return node->type == WASI_SYMBOLIC_LINK ? WASI_ELOOP : WASI_SUCCESS;
}

static enum wasi_errno
mem_open(struct wasi_file *dir, const char *path, const struct wasi_open *how,
         struct wasi_file **out)
{
	struct vm_wasi_tree *tree = mem_of(dir)->tree;
	const bool exclusive = (how->oflags & WASI_CREAT) && (how->oflags & WASI_EXCL);
	struct mem_place place;
	enum wasi_errno e = resolve(dir, path,
	                            exclusive     ? MEM_FOLLOW_NEVER
	                            : how->follow ? MEM_FOLLOW_ALWAYS
	                                          : MEM_FOLLOW_BEFORE_SLASH,
	                            &place);

	if (e != WASI_SUCCESS)
		return e;
	if (place.node == NULL) {
		e = create(tree, &place, how);
	} else {
		e = check_open(place.node, how);
		if (e == WASI_SUCCESS && (how->oflags & WASI_TRUNC))
			e = mem_file_resize(tree, place.node, 0);
	}
	if (e != WASI_SUCCESS)
		return e;
	e = mem_new(tree, place.node, out);
	if (e == WASI_SUCCESS)
		(*out)->flags = how->fdflags;
	return e;
}

static enum wasi_errno
resolve_existing(struct wasi_file *dir, const char *path, bool follow, struct mem_node **out)
{
	struct mem_place place;
	enum wasi_errno e =
	    resolve(dir, path, follow ? MEM_FOLLOW_ALWAYS : MEM_FOLLOW_BEFORE_SLASH, &place);

	if (e != WASI_SUCCESS)
		return e;
	if (place.node == NULL)
		return WASI_ENOENT;
	*out = place.node;
	return WASI_SUCCESS;
}

static enum wasi_errno
mem_path_stat(struct wasi_file *dir, const char *path, bool follow, struct wasi_stat *out)
{
	struct mem_node *node;
	enum wasi_errno e = resolve_existing(dir, path, follow, &node);

	if (e == WASI_SUCCESS)
		stat_node(node, out);
	return e;
}

static enum wasi_errno
mem_path_set_times(struct wasi_file *dir, const char *path, bool follow,
                   const struct wasi_times *times)
{
	struct mem_node *node;
	enum wasi_errno e = resolve_existing(dir, path, follow, &node);

	if (e == WASI_SUCCESS)
		set_node_times(node, times);
	return e;
}

static enum wasi_errno
mem_readlink(struct wasi_file *dir, const char *path, char *buf, size_t size, size_t *out_len)
{
	struct mem_node *node;
	enum wasi_errno e = resolve_existing(dir, path, false, &node);

	if (e != WASI_SUCCESS)
		return e;
	if (node->type != WASI_SYMBOLIC_LINK)
		return WASI_EINVAL;
	*out_len = node->of.link.len < size ? node->of.link.len : size;
	memcpy(buf, node->of.link.target, *out_len);
	return WASI_SUCCESS;
}

/* A place for a new name: there is none yet, and only a folder's may be followed by a slash. */
static enum wasi_errno
resolve_new(struct wasi_file *dir, const char *path, bool is_dir, struct mem_place *out)
{
	enum wasi_errno e = resolve(dir, path, MEM_FOLLOW_NEVER, out);

	if (e != WASI_SUCCESS)
		return e;
	if (out->node != NULL)
		return WASI_EEXIST;
	return out->slash && !is_dir ? WASI_ENOENT : WASI_SUCCESS;
}

static enum wasi_errno
mem_mkdir(struct wasi_file *dir, const char *path)
{
	struct mem_place place;
	struct mem_node *made;
	enum wasi_errno e = resolve_new(dir, path, true, &place);

	if (e != WASI_SUCCESS)
		return e;
	return mem_node_new(mem_of(dir)->tree, place.dir, place.name, place.name_len,
	                    WASI_DIRECTORY, &made);
}

static enum wasi_errno
mem_symlink(struct wasi_file *dir, const char *target, const char *path)
{
	struct mem_place place;
	enum wasi_errno e = resolve_new(dir, path, false, &place);

	if (e != WASI_SUCCESS)
		return e;
	return mem_link_new(mem_of(dir)->tree, place.dir, place.name, place.name_len, target);
}

static enum wasi_errno
mem_rmdir(struct wasi_file *dir, const char *path)
{
	struct mem_place place;
	enum wasi_errno e = resolve(dir, path, MEM_FOLLOW_NEVER, &place);

	if (e != WASI_SUCCESS)
		return e;
	if (place.node == NULL)
		return WASI_ENOENT;
	if (place.dir == NULL)
		return WASI_EINVAL;
	if (place.node->type != WASI_DIRECTORY)
		return WASI_ENOTDIR;
	if (place.node->of.dir.count > 0)
		return WASI_ENOTEMPTY;
	mem_name_remove(mem_of(dir)->tree, place.dir, place.name, place.name_len);
	return WASI_SUCCESS;
}

static enum wasi_errno
mem_unlink(struct wasi_file *dir, const char *path)
{
	struct mem_place place;
	enum wasi_errno e = resolve(dir, path, MEM_FOLLOW_NEVER, &place);

	if (e != WASI_SUCCESS)
		return e;
	if (place.node == NULL)
		return WASI_ENOENT;
	if (place.node->type == WASI_DIRECTORY)
		return WASI_EISDIR;
	if (place.slash)
		return WASI_ENOTDIR;
	mem_name_remove(mem_of(dir)->tree, place.dir, place.name, place.name_len);
	return WASI_SUCCESS;
}

static enum wasi_errno
mem_link(struct wasi_file *dir, const char *path, struct wasi_file *new_dir, const char *new_path)
{
	struct mem_place place;
	struct mem_node *node;
	enum wasi_errno e = resolve_existing(dir, path, false, &node);

	if (e != WASI_SUCCESS)
		return e;
	if (mem_of(dir)->tree != mem_of(new_dir)->tree)
		return WASI_EXDEV;
	e = resolve_new(new_dir, new_path, false, &place);
	if (e != WASI_SUCCESS)
		return e;
	if (node->type == WASI_DIRECTORY)
		return WASI_EPERM;
	return mem_name_add(mem_of(dir)->tree, place.dir, place.name, place.name_len, node);
}

static bool
is_inside(const struct mem_node *dir, const struct mem_node *folder)
{
	for (; dir != NULL; dir = dir->of.dir.parent) {
		if (dir == folder)
			return true;
	}
	return false;
}

/* Whether a node may take the place of what has the new name, if anything. */
static enum wasi_errno
check_rename(const struct mem_place *from, const struct mem_place *to)
{
	const bool is_dir = from->node->type == WASI_DIRECTORY;

	if ((from->slash || to->slash) && !is_dir)
		return WASI_ENOTDIR;
	if (is_dir && is_inside(to->dir, from->node))
		return WASI_EINVAL;
	if (to->node == NULL)
		return WASI_SUCCESS;
	if (to->node->type != WASI_DIRECTORY)
		return is_dir ? WASI_ENOTDIR : WASI_SUCCESS;
	if (!is_dir)
		return WASI_EISDIR;
	return to->node->of.dir.count > 0 ? WASI_ENOTEMPTY : WASI_SUCCESS;
}

static enum wasi_errno
mem_rename(struct wasi_file *dir, const char *path, struct wasi_file *new_dir, const char *new_path)
{
	struct vm_wasi_tree *tree = mem_of(dir)->tree;
	struct mem_place from;
	struct mem_place to;

	if (tree != mem_of(new_dir)->tree)
		return WASI_EXDEV;
	enum wasi_errno e = resolve(dir, path, MEM_FOLLOW_NEVER, &from);
	if (e == WASI_SUCCESS)
		e = resolve(new_dir, new_path, MEM_FOLLOW_NEVER, &to);
	if (e != WASI_SUCCESS)
		return e;
	if (from.dir == NULL || to.dir == NULL)
		return WASI_EBUSY;
	if (from.node == NULL)
		return WASI_ENOENT;
	if (from.node == to.node)
		return WASI_SUCCESS;
	e = check_rename(&from, &to);
	if (e != WASI_SUCCESS)
		return e;

	if (to.node != NULL)
		mem_name_replace(tree, to.dir, to.name, to.name_len, from.node);
	else
		e = mem_name_add(tree, to.dir, to.name, to.name_len, from.node);
	if (e == WASI_SUCCESS)
		mem_name_remove(tree, from.dir, from.name, from.name_len);
	return e;
}

static const struct wasi_dir_ops path_ops = {
	.readdir = mem_readdir,
	.open = mem_open,
	.stat = mem_path_stat,
	.set_times = mem_path_set_times,
	.mkdir = mem_mkdir,
	.rmdir = mem_rmdir,
	.unlink = mem_unlink,
	.symlink = mem_symlink,
	.readlink = mem_readlink,
	.link = mem_link,
	.rename = mem_rename,
};

static const struct wasi_file_ops dir_ops = {
	.close = mem_close,
	.stat = mem_stat,
	.set_times = mem_set_times,
	.advise = mem_advise,
	.sync = mem_sync,
	.dir = &path_ops,
};
