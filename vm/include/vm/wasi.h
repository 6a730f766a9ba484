/*
 * wasi.h - WASI preview 1 for instances of a store.
 *
 * vm_wasi_define puts the functions into a linker, once. vm_wasi_attach gives one store its
 * arguments, environment, streams and file trees. Guests see nothing that was not given here.
 *
 * Both import module names are served: wasi_snapshot_preview1, and the older wasi_unstable with
 * its own layouts and constants.
 */
#pragma once

#include "vm/linker.h"

/* Define all functions of both module names. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_wasi_define(struct vm_linker *linker,
                                                      struct vm_error *err);
/*
 * Define only what the module imports: quicker than all, for a linker that serves one module.
 * Imports that are not WASI's are passed over.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_wasi_define_imports(struct vm_linker *linker,
                                                              const struct vm_module *module,
                                                              struct vm_error *err);

/*
 * Where a standard stream goes. Exactly one of the forms:
 *   VM_WASI_NULL    reads give end of file, writes vanish
 *   VM_WASI_FD      a descriptor of the host, borrowed, never closed, its flags left alone
 *   VM_WASI_BYTES   stdin only: bytes, borrowed until the store is freed
 *   VM_WASI_WRITER  stdout and stderr only: a callback gets each write; it returns VM_OK, or an
 *                   error from vm_error_trap (VM_TRAP_OUTPUT_LIMIT, say) that ends the guest
 *
 * Waiting for a descriptor ends when the store is stopped. Writing to a pipe that nobody reads
 * raises SIGPIPE, as in any program: a host that is to survive that ignores the signal.
 */
enum vm_wasi_stream_kind { VM_WASI_NULL, VM_WASI_FD, VM_WASI_BYTES, VM_WASI_WRITER };

struct vm_wasi_stream {
	enum vm_wasi_stream_kind kind;
	int fd;
	struct vm_str bytes;
	enum vm_status (*write)(void *env, const void *data, size_t len, struct vm_error *err);
	void *env;
};

struct vm_wasi_tree; /* an in-memory file tree */

/*
 * A folder of the host (host_path), or an in-memory tree, under a name for the guest. What is
 * below it is all that the guest can reach; with read_only, every change is refused (EROFS).
 */
struct vm_wasi_preopen {
	struct vm_str guest_path;
	const char *host_path;     /* NULL for a tree */
	struct vm_wasi_tree *tree; /* borrowed until the store is freed; of one store at a time */
	bool read_only;
};

/*
 * Everything is copied but what is said to be borrowed. The guest's descriptors are 0 to 2 for
 * the streams, then the preopened folders in order, then the sockets.
 */
struct vm_wasi_config {
	const struct vm_str *args; /* program name first */
	size_t arg_count;
	const struct vm_str *env;  /* "NAME=value" */
	size_t env_count;
	const struct vm_wasi_preopen *preopens;
	size_t preopen_count;
	struct vm_wasi_stream stdin_stream;
	struct vm_wasi_stream stdout_stream;
	struct vm_wasi_stream stderr_stream;
	const int *listen_fds;     /* listening sockets, borrowed, made non-blocking */
	size_t listen_fd_count;
};

/*
 * Give the store its WASI state, freed with it.
 *
 * Returns VM_E_IO       a folder or descriptor cannot be used: names it and says why
 *         VM_E_ARGUMENT NUL in an argument, a variable without '=', already attached
 *         VM_E_LIMIT    a tree exceeds the store's memory limit; too many descriptors
 *         VM_E_NOMEM
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_wasi_attach(struct vm_store *store,
                                                      const struct vm_wasi_config *config,
                                                      struct vm_error *err);

/*
 * Write all bytes to what the guest has as standard output (1) or error (2), as a write of the
 * guest would. Without WASI state, or when the guest has closed it, they go nowhere.
 *
 * Returns VM_TRAP as a writer of the embedder does, or when the store is stopped while it waits
 *         VM_E_IO the system refused
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_wasi_write(struct vm_store *store, int stream,
                                                     const void *data, size_t len,
                                                     struct vm_error *err);

/* --- in-memory trees ---------------------------------------------------------------------- */

/*
 * An empty tree. Its files' bytes and a fixed amount an entry are bounded by bytes_max and,
 * while it is attached, charged to the store. Returns VM_E_LIMIT, VM_E_NOMEM.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_wasi_tree_new(uint64_t bytes_max,
                                                        struct vm_wasi_tree **out,
                                                        struct vm_error *err);
VM_EXPORT void vm_wasi_tree_free(struct vm_wasi_tree *tree); /* NULL is fine */

/*
 * Add a file, making the folders above it; replaces a file of that path. The path is relative
 * to the root or starts with '/', is UTF-8 of less than 4095 bytes, has no '.' or '..' parts, no
 * empty part and no NUL. The bytes are copied. Returns VM_E_ARGUMENT, VM_E_LIMIT, VM_E_NOMEM.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_wasi_tree_put(struct vm_wasi_tree *tree,
                                                        struct vm_str path, const void *data,
                                                        size_t len, struct vm_error *err);

/*
 * Call visit for every regular file whose full path ("/out/a.txt") matches the pattern, folder by
 * folder in order of name; '*' stands for any run without '/', "**" for any run. Paths that are
 * longer than a path may be are passed over. visit's path (NUL-terminated) and data are valid
 * during the call; a status other than VM_OK ends the walk and is returned.
 *
 * Returns VM_E_ARGUMENT the pattern has more than 255 characters; VM_E_NOMEM; what visit did
 */
VM_EXPORT enum vm_status vm_wasi_tree_collect(
    const struct vm_wasi_tree *tree, struct vm_str pattern,
    enum vm_status (*visit)(void *env, struct vm_str path, const void *data, size_t len,
                            struct vm_error *err),
    void *env, struct vm_error *err);
