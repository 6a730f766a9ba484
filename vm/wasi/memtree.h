/*
 * memtree.h - files, folders and links in memory.
 *
 * A node is a file, folder or symbolic link; an entry is a name of a node in a folder. A folder
 * keeps its entries in two orders: by name, to find them, and by age, so that a place in the
 * list (a cookie: the age of the entry before it) keeps its meaning while names come and go.
 *
 * A node is freed when its last name and its last opener are gone. Every node, entry and byte is
 * counted against the tree's bound and, while the tree is attached, against the store's.
 *
 * Owns: all nodes
 * Threads: the tree belongs to the thread that owns the store, or to the embedder before and after
 */
#pragma once

#include "vm/wasi.h"
#include "vm/wasi/file.h"

/* What a name and a node cost beside their bytes; the room of a folder's orders is in it. */
#define MEM_ENTRY_BYTES 160
#define MEM_NODE_BYTES 256

struct mem_node;

struct mem_entry {
	struct mem_node *node;
	uint64_t age; /* unique in its folder, ascending */
	size_t name_len;
	char name[]; /* NUL-terminated */
};

/* A place in the list of entries, in which it stays when the entry goes. */
struct mem_age {
	uint64_t age;
	struct mem_entry *entry; /* NULL when it was removed */
};

struct mem_file {
	uint8_t *data;
	size_t size_bytes;
	size_t capacity; /* charged */
};

#define MEM_DIR_CAPACITY_MIN 4

struct mem_dir {
	struct mem_node *parent; /* NULL for the root and for a removed folder */
	struct mem_entry **by_name;
	struct mem_age *by_age;
	size_t count;
	size_t age_count; /* removed ones counted: at most as many as there are others */
	size_t capacity;  /* of both; at most MEM_DIR_CAPACITY_MIN or four times the count */
	uint64_t next_age;
};

struct mem_link {
	char *target; /* NUL-terminated */
	size_t len;
};

struct mem_node {
	enum wasi_filetype type; /* WASI_REGULAR_FILE, WASI_DIRECTORY or WASI_SYMBOLIC_LINK */
	uint64_t ino;
	uint64_t atim;
	uint64_t mtim;
	uint64_t ctim;
	uint64_t names; /* in folders; the root counts as one */
	uint64_t opens;
	union {
		struct mem_file file;
		struct mem_dir dir;
		struct mem_link link;
	} of;
};

struct vm_wasi_tree {
	struct mem_node *root;
	struct vm_store *store; /* that is charged, or NULL */
	uint64_t bytes_max;
	uint64_t bytes_used;
	uint64_t next_ino;
};

/* Ages of "." and "..", which are no entries; those of entries follow. */
enum { MEM_AGE_DOT = 1, MEM_AGE_DOTDOT = 2, MEM_AGE_FIRST = 3 };

/* Charge the tree to the store, or to none (NULL). False when its limit is exceeded. */
bool mem_tree_attach(struct vm_wasi_tree *tree, struct vm_store *store);
void mem_tree_detach(struct vm_wasi_tree *tree);

/* Where a path leads. */
struct mem_place {
	struct mem_node
	    *dir; /* that has or would have the name; NULL when the path ends in a dot */
	struct mem_node *node; /* or NULL: there is none of that name */
	char name[WASI_NAME_MAX + 1];
	size_t name_len;
	bool slash; /* slashes follow the name */
};

/* Whether a link at the end of the path is followed. */
enum mem_follow { MEM_FOLLOW_NEVER, MEM_FOLLOW_BEFORE_SLASH, MEM_FOLLOW_ALWAYS };

/*
 * Returns WASI_EPERM the path leads out of start
 *         WASI_ENOENT, WASI_ENOTDIR on the way; WASI_ENOTDIR also for a slash behind a followed
 *         non-folder; WASI_ELOOP, WASI_ENAMETOOLONG
 */
enum wasi_errno mem_resolve(struct mem_node *start, const char *path, enum mem_follow follow,
                            struct mem_place *out);

/*
 * Make a node of the type with a name in a folder that has none such.
 * Returns WASI_ENOSPC, WASI_ENOMEM, WASI_ENOENT when the folder was removed.
 */
enum wasi_errno mem_node_new(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name,
                             size_t name_len, enum wasi_filetype type, struct mem_node **out);
/* The same for a symbolic link. */
enum wasi_errno mem_link_new(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name,
                             size_t name_len, const char *target);
/* Give a node one more name. Errors as mem_node_new. */
enum wasi_errno mem_name_add(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name,
                             size_t name_len, struct mem_node *node);
/* Take away a name that exists. */
void mem_name_remove(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name,
                     size_t name_len);

/* Give a name that exists to another node. */
void mem_name_replace(struct vm_wasi_tree *tree, struct mem_node *dir, const char *name,
                      size_t name_len, struct mem_node *node);

struct mem_node *mem_find(const struct mem_node *dir, const char *name, size_t name_len);

/* The entry that follows the one of the given age, whether that still exists or not, or NULL. */
const struct mem_entry *mem_entry_after(const struct mem_node *dir, uint64_t age);

/* Count an opener, who has to close. */
void mem_node_open(struct mem_node *node);
void mem_node_close(struct vm_wasi_tree *tree, struct mem_node *node);

/* Change a file's size; new bytes are zero. Returns WASI_ENOSPC, WASI_ENOMEM. */
enum wasi_errno mem_file_resize(struct vm_wasi_tree *tree, struct mem_node *node,
                                uint64_t size_bytes);
