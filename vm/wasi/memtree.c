/*
 * memtree.c - the structure of in-memory trees and the embedder's view of them.
 */
#include "vm/wasi/memtree.h"

#include <stdlib.h>
#include <string.h>
#include "vm/base/utf8.h"
#include "vm/wasi/glob.h"
#include "vm/wasi/walk.h"

/* --- accounting --------------------------------------------------------------------------- */

static bool
charge(struct vm_wasi_tree *tree, uint64_t size_bytes)
{
	if (size_bytes > tree->bytes_max - tree->bytes_used)
		return false;
	if (tree->store != NULL && !vm_store_memory_take(tree->store, size_bytes))
		return false;
	tree->bytes_used += size_bytes;
	return true;
}

static void
discharge(struct vm_wasi_tree *tree, uint64_t size_bytes)
{
	if (tree->store != NULL)
		vm_store_memory_give(tree->store, size_bytes);
	tree->bytes_used -= size_bytes;
}

bool
mem_tree_attach(struct vm_wasi_tree *tree, struct vm_store *store)
{
	if (!vm_store_memory_take(store, tree->bytes_used))
		return false;
	tree->store = store;
	return true;
}

void
mem_tree_detach(struct vm_wasi_tree *tree)
{
	vm_store_memory_give(tree->store, tree->bytes_used);
	tree->store = NULL;
}

/* --- entries of a folder ------------------------------------------------------------------ */

static int
compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* Where in by_name the name is or belongs. */
static size_t
find_slot(const struct mem_dir *dir, const char *name, size_t name_len, bool *found)
{
	size_t low = 0;
	size_t high = dir->count;

	*found = false;
	while (low < high && !*found) {
		size_t mid = low + (high - low) / 2;
		const struct mem_entry *entry = dir->by_name[mid];
		int order = compare_names(entry->name, entry->name_len, name, name_len);
		if (order < 0) {
			low = mid + 1;
		} else {
			*found = order == 0;
			high = mid;
		}
	}
	return high;
}

struct mem_node *
mem_find(const struct mem_node *dir, const char *name, size_t name_len)
{
	bool found;
	size_t slot = find_slot(&dir->of.dir, name, name_len, &found);

	return found ? dir->of.dir.by_name[slot]->node : NULL;
}

/* The first place in by_age of at least the given age. */
static size_t
find_age(const struct mem_dir *dir, uint64_t age)
{
	size_t low = 0;
	size_t high = dir->age_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (dir->by_age[mid].age < age)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct mem_entry *
mem_entry_after(const struct mem_node *node, uint64_t age)
{
	const struct mem_dir *dir = &node->of.dir;

	if (age == UINT64_MAX)
		return NULL;
	for (size_t at = find_age(dir, age + 1); at < dir->age_count; at++) {
		if (dir->by_age[at].entry != NULL)
			return dir->by_age[at].entry;
	}
	return NULL;
}

/* Take the removed entries out of by_age once they outnumber the others. */
static void
compact(struct mem_dir *dir)
{
	size_t to = 0;

	if (dir->age_count - dir->count <= dir->count)
		return;
	for (size_t from = 0; from < dir->age_count; from++) {
		if (dir->by_age[from].entry != NULL)
			dir->by_age[to++] = dir->by_age[from];
	}
	dir->age_count = to;
}

/* Make room for this many entries in both orders. */
static bool
set_dir_capacity(struct mem_dir *dir, size_t capacity)
{
	struct mem_entry **by_name = realloc(dir->by_name, capacity * sizeof *by_name);
	if (by_name == NULL)
		return false;
	dir->by_name = by_name;
	struct mem_age *by_age = realloc(dir->by_age, capacity * sizeof *by_age);
	if (by_age == NULL)
		return false;
	dir->by_age = by_age;
	dir->capacity = capacity;
	return true;
}

/* Room for one more entry. */
static bool
reserve_entry(struct mem_dir *dir)
{
	if (dir->age_count < dir->capacity)
		return true;
	return set_dir_capacity(dir, dir->capacity == 0 ? MEM_DIR_CAPACITY_MIN : dir->capacity * 2);
}

/* Give back room when little of it is used: it is not charged by itself. */
static void
trim(struct mem_dir *dir)
{
	compact(dir);
	if (dir->capacity <= MEM_DIR_CAPACITY_MIN || dir->count >= dir->capacity / 4)
		return;
	if (!set_dir_capacity(dir, dir->capacity / 2))
		return; /* keeping more is no error */
}

static void
insert_entry(struct mem_dir *dir, struct mem_entry *entry)
{
	bool found;
	size_t slot = find_slot(dir, entry->name, entry->name_len, &found);

	memmove(dir->by_name + slot + 1, dir->by_name + slot,
	        (dir->count - slot) * sizeof *dir->by_name);
	dir->by_name[slot] = entry;
	dir->count++;
	entry->age = dir->next_age++;
	dir->by_age[dir->age_count++] = (struct mem_age){ entry->age, entry };
}

static void
add_name_of(struct mem_node *dir, struct mem_node *node)
{
	node->names++;
	if (node->type == WASI_DIRECTORY)
		node->of.dir.parent = dir;
}

enum wasi_errno
mem_name_add(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name, size_t name_len,
             struct mem_node *node)
{
	const uint64_t cost = MEM_ENTRY_BYTES + name_len;

	if (dir->names == 0)
		return WASI_ENOENT;
	if (!charge(tree, cost))
		return WASI_ENOSPC;
	struct mem_entry *entry = malloc(sizeof *entry + name_len + 1);
	if (entry == NULL || !reserve_entry(&dir->of.dir)) {
		free(entry);
		discharge(tree, cost);
		return WASI_ENOMEM;
	}
	memcpy(entry->name, name, name_len);
	entry->name[name_len] = '\0';
	entry->name_len = name_len;
	entry->node = node;
	insert_entry(&dir->of.dir, entry);
	add_name_of(dir, node);
	dir->mtim = dir->ctim = node->ctim = wasi_now();
	return WASI_SUCCESS;
}

/* --- nodes -------------------------------------------------------------------------------- */

static void
free_node(struct vm_wasi_tree *tree, struct mem_node *node)
{
	uint64_t cost = MEM_NODE_BYTES;

	switch (node->type) {
	case WASI_REGULAR_FILE:
		cost += node->of.file.capacity;
		free(node->of.file.data);
		break;
	case WASI_DIRECTORY:
		free(node->of.dir.by_name);
		free(node->of.dir.by_age);
		break;
	case WASI_SYMBOLIC_LINK:
		cost += node->of.link.len;
		free(node->of.link.target);
		break;
	case WASI_UNKNOWN:
	case WASI_BLOCK_DEVICE:
	case WASI_CHARACTER_DEVICE:
	case WASI_SOCKET_DGRAM:
	case WASI_SOCKET_STREAM:
		break; /* there are none in memory */
	}
	discharge(tree, cost);
	free(node);
}

static void
free_if_unused(struct vm_wasi_tree *tree, struct mem_node *node)
{
	if (node->names == 0 && node->opens == 0)
		free_node(tree, node);
}

static void
drop_name_of(struct vm_wasi_tree *tree, struct mem_node *node)
{
	node->names--;
	if (node->type == WASI_DIRECTORY && node->names == 0)
		node->of.dir.parent = NULL;
	free_if_unused(tree, node);
}

void
mem_node_open(struct mem_node *node)
{
	node->opens++;
}

void
mem_node_close(struct vm_wasi_tree *tree, struct mem_node *node)
{
	node->opens--;
	free_if_unused(tree, node);
}

void
mem_name_remove(struct vm_wasi_tree *tree, struct mem_node *dir_node, const char *name,
                size_t name_len)
{
	struct mem_dir *dir = &dir_node->of.dir;
	bool found;
	size_t slot = find_slot(dir, name, name_len, &found);
	struct mem_entry *entry = dir->by_name[slot];
	struct mem_node *node = entry->node;

	dir->count--;
	memmove(dir->by_name + slot, dir->by_name + slot + 1,
	        (dir->count - slot) * sizeof *dir->by_name);
	dir->by_age[find_age(dir, entry->age)].entry = NULL;
	trim(dir);
	discharge(tree, MEM_ENTRY_BYTES + entry->name_len);
	free(entry);

	dir_node->mtim = dir_node->ctim = node->ctim = wasi_now();
	drop_name_of(tree, node);
}

void
mem_name_replace(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name, size_t name_len,
                 struct mem_node *node)
{
	bool found;
	struct mem_entry *entry =
	    dir->of.dir.by_name[find_slot(&dir->of.dir, name, name_len, &found)];
	struct mem_node *old = entry->node;

	entry->node = node;
	dir->mtim = dir->ctim = node->ctim = old->ctim = wasi_now();
	add_name_of(dir, node);
	drop_name_of(tree, old);
}

static struct mem_node *
alloc_node(struct vm_wasi_tree *tree, enum wasi_filetype type, enum wasi_errno *e)
{
	*e = WASI_ENOSPC;
	if (!charge(tree, MEM_NODE_BYTES))
		return NULL;
	struct mem_node *node = calloc(1, sizeof *node);
	if (node == NULL) {
		discharge(tree, MEM_NODE_BYTES);
		*e = WASI_ENOMEM;
		return NULL;
	}
	node->type = type;
	node->ino = tree->next_ino++;
	node->atim = node->mtim = node->ctim = wasi_now();
	if (type == WASI_DIRECTORY)
		node->of.dir.next_age = MEM_AGE_FIRST;
	*e = WASI_SUCCESS;
	return node;
}

enum wasi_errno
mem_node_new(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name, size_t name_len,
             enum wasi_filetype type, struct mem_node **out)
{
	enum wasi_errno e;
	struct mem_node *node = alloc_node(tree, type, &e);

	if (node == NULL)
		return e;
	e = mem_name_add(tree, dir, name, name_len, node);
	if (e != WASI_SUCCESS) {
		free_node(tree, node);
		return e;
	}
	*out = node;
	return WASI_SUCCESS;
}

enum wasi_errno
mem_link_new(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name, size_t name_len,
             const char *target)
{
	const size_t len = strlen(target);
	enum wasi_errno e;
	struct mem_node *node = alloc_node(tree, WASI_SYMBOLIC_LINK, &e);

	if (node == NULL)
		return e;
	e = WASI_ENOSPC;
	if (charge(tree, len)) {
		node->of.link.len = len;
		node->of.link.target = strdup(target);
		e = WASI_ENOMEM;
		if (node->of.link.target != NULL)
			e = mem_name_add(tree, dir, name, name_len, node);
	}
	if (e != WASI_SUCCESS)
		free_node(tree, node);
	return e;
}

/* --- bytes of a file ---------------------------------------------------------------------- */

/* Make the capacity exactly this; it may not be below the size. */
static enum wasi_errno
set_capacity(struct vm_wasi_tree *tree, struct mem_file *file, size_t capacity)
{
	const size_t old = file->capacity;

	if (capacity > old && !charge(tree, capacity - old))
		return WASI_ENOSPC;
	uint8_t *data = NULL;
	if (capacity == 0) {
		free(file->data);
	} else if ((data = realloc(file->data, capacity)) == NULL) {
		if (capacity > old)
			discharge(tree, capacity - old);
		return WASI_ENOMEM;
	}
	if (capacity < old)
		discharge(tree, old - capacity);
	file->data = data;
	file->capacity = capacity;
	return WASI_SUCCESS;
}

/* Grow by half, so that writing piecemeal stays linear, or as far as the bounds allow. */
static enum wasi_errno
grow(struct vm_wasi_tree *tree, struct mem_file *file, size_t size_bytes)
{
	size_t generous = file->capacity + file->capacity / 2;

	if (generous > size_bytes && set_capacity(tree, file, generous) == WASI_SUCCESS)
		return WASI_SUCCESS;
	return set_capacity(tree, file, size_bytes);
}

enum wasi_errno
mem_file_resize(struct vm_wasi_tree *tree, struct mem_node *node, uint64_t size_bytes)
{
	struct mem_file *file = &node->of.file;

	if (size_bytes > tree->bytes_max || size_bytes > SIZE_MAX / 4)
		return WASI_ENOSPC;
	if (size_bytes > file->capacity) {
		enum wasi_errno e = grow(tree, file, (size_t)size_bytes);
		if (e != WASI_SUCCESS)
			return e;
	}
	if (size_bytes > file->size_bytes)
		memset(file->data + file->size_bytes, 0, (size_t)size_bytes - file->size_bytes);
	file->size_bytes = (size_t)size_bytes;
	if (file->size_bytes < file->capacity / 2)
		(void)!set_capacity(tree, file, file->size_bytes); /* keeping more is no error */
	node->mtim = node->ctim = wasi_now();
	return WASI_SUCCESS;
}

/* --- paths -------------------------------------------------------------------------------- */

/* The path ends here: in a folder that has no name in the path, or at a name. */
static enum wasi_errno
arrive(const struct wasi_walk *walk, struct mem_node *dir, struct mem_node *node,
       enum mem_follow follow, struct mem_place *out)
{
	*out = (struct mem_place){ .node = dir };
	if (walk->kind != WASI_WALK_NAME)
		return WASI_SUCCESS;
	if (walk->slash && follow != MEM_FOLLOW_NEVER && node != NULL &&
	    node->type != WASI_DIRECTORY)
		return WASI_ENOTDIR;
	out->dir = dir;
	out->node = node;
	out->slash = walk->slash;
	out->name_len = walk->name_len;
	memcpy(out->name, walk->name, walk->name_len);
	return WASI_SUCCESS;
}

/* Go to what the component last taken names, from *dir. *done when the path ends there. */
static enum wasi_errno
follow_name(struct wasi_walk *walk, struct mem_node **dir, enum mem_follow follow,
            struct mem_place *out, bool *done)
{
	struct mem_node *node = mem_find(*dir, walk->name, walk->name_len);
	bool through = !walk->last || follow == MEM_FOLLOW_ALWAYS ||
	               (follow == MEM_FOLLOW_BEFORE_SLASH && walk->slash);

	if (node != NULL && node->type == WASI_SYMBOLIC_LINK && through)
		return wasi_walk_link(walk, node->of.link.target, node->of.link.len);
	if (walk->last) {
		*done = true;
		return arrive(walk, *dir, node, follow, out);
	}
	if (node == NULL)
		return WASI_ENOENT;
	if (node->type != WASI_DIRECTORY)
		return WASI_ENOTDIR;
	*dir = node;
	return WASI_SUCCESS;
}

enum wasi_errno
mem_resolve(struct mem_node *start, const char *path, enum mem_follow follow, struct mem_place *out)
{
	struct mem_node *dir = start;
	struct wasi_walk walk;
	enum wasi_errno e = wasi_walk_start(&walk, path);
	bool done = false;

	while (e == WASI_SUCCESS && !done) {
		e = wasi_walk_next(&walk);
		if (e != WASI_SUCCESS)
			break;
		if (walk.kind == WASI_WALK_NAME) {
			e = follow_name(&walk, &dir, follow, out, &done);
			continue;
		}
		if (walk.kind == WASI_WALK_DOTDOT) {
			if (dir == start)
				return WASI_EPERM;
			dir = dir->of.dir.parent;
		}
		if (walk.kind == WASI_WALK_END || walk.last) {
			done = true;
			e = arrive(&walk, dir, NULL, follow, out);
		}
	}
	return e;
}

/* --- the embedder's view ------------------------------------------------------------------ */

enum vm_status
vm_wasi_tree_new(uint64_t bytes_max, struct vm_wasi_tree **out, struct vm_error *err)
{
	enum wasi_errno e = WASI_ENOMEM;
	struct vm_wasi_tree *tree = calloc(1, sizeof *tree);

	if (tree != NULL) {
		tree->bytes_max = bytes_max;
		tree->next_ino = 1;
		tree->root = alloc_node(tree, WASI_DIRECTORY, &e);
	}
	if (e != WASI_SUCCESS) {
		free(tree);
		if (e == WASI_ENOSPC)
			return vm_error_set(
			    err, VM_E_LIMIT, VM_NO_OFFSET,
			    "a file tree needs at least %d bytes, the limit is %llu",
			    MEM_NODE_BYTES, (unsigned long long)bytes_max);
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	}
	tree->root->names = 1;
	*out = tree;
	return VM_OK;
}

/* Free all that is below a folder; depth costs no stack, because the deepest goes first. */
static void
empty_tree(struct vm_wasi_tree *tree)
{
	struct mem_node *dir = tree->root;

	for (;;) {
		struct mem_dir *entries = &dir->of.dir;
		if (entries->count == 0) {
			if (dir == tree->root)
				return;
			dir = entries->parent;
			entries = &dir->of.dir;
		}
		const struct mem_entry *last = entries->by_name[entries->count - 1];
		if (last->node->type == WASI_DIRECTORY && last->node->of.dir.count > 0)
			dir = last->node;
		else
			mem_name_remove(tree, dir, last->name, last->name_len);
	}
}

void
vm_wasi_tree_free(struct vm_wasi_tree *tree)
{
	if (tree == NULL)
		return;
	empty_tree(tree);
	free_node(tree, tree->root);
	free(tree);
}

static enum vm_status
put_error(struct vm_error *err, enum vm_status status, struct vm_str path, const char *why)
{
	return vm_error_set(err, status, VM_NO_OFFSET, "file \"%.*s\": %s",
	                    (int)(path.len < 200 ? path.len : 200), path.data, why);
}

/* Copy a path for resolution, without the slash it may begin with. */
static const char *
check_path(struct vm_str path, char buf[WASI_PATH_MAX])
{
	if (path.len > 0 && path.data[0] == '/') {
		path.data++;
		path.len--;
	}
	if (path.len == 0)
		return "the path is empty";
	if (path.len >= WASI_PATH_MAX)
		return "the path is too long";
	if (memchr(path.data, '\0', path.len) != NULL)
		return "the path contains NUL";
	if (!utf8_is_valid((const uint8_t *)path.data, path.len))
		return "the path is not UTF-8";
	memcpy(buf, path.data, path.len);
	buf[path.len] = '\0';
	for (const char *part = buf;; part++) {
		size_t len = strcspn(part, "/");
		if (len == 0)
			return "the path has an empty part";
		if (len > WASI_NAME_MAX)
			return "a part of the path is too long";
		if ((len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
			return "the path has a part \".\" or \"..\"";
		part += len;
		if (*part == '\0')
			return NULL;
	}
}

/* The folder for a part that others follow, made if need be. */
static enum wasi_errno
enter_folder(struct vm_wasi_tree *tree, struct mem_node **dir, const char *name, size_t len)
{
	struct mem_node *node = mem_find(*dir, name, len);
	enum wasi_errno e = WASI_SUCCESS;

	if (node == NULL)
		e = mem_node_new(tree, *dir, name, len, WASI_DIRECTORY, &node);
	else if (node->type != WASI_DIRECTORY)
		e = WASI_ENOTDIR;
	if (e == WASI_SUCCESS)
		*dir = node;
	return e;
}

static enum wasi_errno
put_file(struct vm_wasi_tree *tree, const char *path, const void *data, size_t len)
{
	struct mem_node *dir = tree->root;
	struct mem_node *node;
	enum wasi_errno e;
	size_t name_len;

	for (; name_len = strcspn(path, "/"), path[name_len] == '/'; path += name_len + 1) {
		e = enter_folder(tree, &dir, path, name_len);
		if (e != WASI_SUCCESS)
			return e;
	}
	node = mem_find(dir, path, name_len);
	bool made = node == NULL;
	e = WASI_SUCCESS;
	if (made)
		e = mem_node_new(tree, dir, path, name_len, WASI_REGULAR_FILE, &node);
	else if (node->type != WASI_REGULAR_FILE)
		e = WASI_EISDIR;
	if (e != WASI_SUCCESS)
		return e;
	e = mem_file_resize(tree, node, len);
	if (e == WASI_SUCCESS && len > 0)
		memcpy(node->of.file.data, data, len);
	else if (e != WASI_SUCCESS && made)
		mem_name_remove(tree, dir, path, name_len);
	return e;
}

enum vm_status
vm_wasi_tree_put(struct vm_wasi_tree *tree, struct vm_str path, const void *data, size_t len,
                 struct vm_error *err)
{
	char buf[WASI_PATH_MAX];
	const char *wrong = check_path(path, buf);

	if (wrong != NULL)
		return put_error(err, VM_E_ARGUMENT, path, wrong);
	switch ((int)put_file(tree, buf, data, len)) {
	case WASI_SUCCESS:
		return VM_OK;
	case WASI_ENOSPC:
		return put_error(err, VM_E_LIMIT, path, "exceeds the limit of the file tree");
	case WASI_ENOTDIR:
		return put_error(err, VM_E_ARGUMENT, path, "a part of the path is not a folder");
	case WASI_EISDIR:
		return put_error(err, VM_E_ARGUMENT, path, "is a folder already");
	default:
		return put_error(err, VM_E_NOMEM, path, "out of memory");
	}
}

/* A folder on the way down: where to go on in it, and what its path is. */
struct level {
	const struct mem_dir *dir;
	size_t at;
	size_t path_len;
	struct glob_state state;
};

struct collector {
	struct glob glob;
	struct level *levels;
	size_t depth; /* levels in use */
	size_t capacity;
	char path[WASI_PATH_MAX];
};

static bool
push_level(struct collector *c, const struct mem_node *node, size_t path_len,
           const struct glob_state *state)
{
	if (c->depth == c->capacity) {
		size_t capacity = c->capacity == 0 ? 16 : c->capacity * 2;
		struct level *levels = realloc(c->levels, capacity * sizeof *levels);
		if (levels == NULL)
			return false;
		c->levels = levels;
		c->capacity = capacity;
	}
	c->levels[c->depth++] = (struct level){ &node->of.dir, 0, path_len, *state };
	return true;
}

/*
 * The next entry in order whose path may match, with its path and the state behind that; NULL at
 * the end. A path that no call could name is passed over, and so is all below it.
 */
static const struct mem_entry *
next_entry(struct collector *c, size_t *out_path_len, struct glob_state *out_state)
{
	while (c->depth > 0) {
		struct level *level = &c->levels[c->depth - 1];
		if (level->at == level->dir->count) {
			c->depth--;
			continue;
		}
		const struct mem_entry *entry = level->dir->by_name[level->at++];
		const size_t end = level->path_len + 1 + entry->name_len;
		if (end >= sizeof c->path)
			continue;
		c->path[level->path_len] = '/';
		memcpy(c->path + level->path_len + 1, entry->name, entry->name_len + 1);
		*out_state = level->state;
		glob_step(&c->glob, out_state, c->path + level->path_len, end - level->path_len);
		*out_path_len = end;
		if (!glob_is_dead(out_state))
			return entry;
	}
	return NULL;
}

enum vm_status
vm_wasi_tree_collect(const struct vm_wasi_tree *tree, struct vm_str pattern,
                     enum vm_status (*visit)(void *env, struct vm_str path, const void *data,
                                             size_t len, struct vm_error *err),
                     void *env, struct vm_error *err)
{
	struct collector *c = calloc(1, sizeof *c);
	const struct mem_entry *entry;
	struct glob_state state;
	enum vm_status st = VM_OK;
	size_t len;

	if (c == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	if (!glob_compile(&c->glob, pattern.data, pattern.len)) {
		st = vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                  "a pattern of %zu bytes is too long, the limit is %d",
		                  pattern.len, GLOB_TOKENS_MAX);
		goto done;
	}
	state = glob_start(&c->glob);
	if (!push_level(c, tree->root, 0, &state))
		st = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	while (st == VM_OK && (entry = next_entry(c, &len, &state)) != NULL) {
		const struct mem_node *node = entry->node;
		if (node->type == WASI_DIRECTORY && !push_level(c, node, len, &state))
			st = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
		if (node->type == WASI_REGULAR_FILE && glob_accepts(&c->glob, &state))
			st = visit(env, (struct vm_str){ c->path, len },
			           node->of.file.data == NULL ? (const void *)""
			                                      : node->of.file.data,
			           node->of.file.size_bytes, err);
	}
done:
	free(c->levels);
	free(c);
	return st;
}
