/*
 * call.h - one call of a WASI function: its arguments, the guest's memory, the store's state.
 *
 * Every address and size comes from the guest; the helpers here are the only way to its memory.
 *
 * Threads: a call belongs to the thread that owns the store
 */
#pragma once

#include "vm/instance.h"
#include "vm/wasi/fdtable.h"

/* Strings as args_get and environ_get hand them out. */
struct wasi_strings {
	char *bytes; /* each ends with NUL */
	uint32_t size_bytes;
	uint32_t count;
};

/* The state of a store. */
struct wasi {
	struct vm_store *store;
	struct wasi_fds fds;
	struct wasi_strings args;
	struct wasi_strings env;
	struct vm_wasi_tree **trees; /* charged to the store while the state exists */
	size_t tree_count;
	uint64_t cpu_start_ns; /* thread CPU time when the state was made */
	/* The memory of the instance that called last. */
	const struct vm_instance *instance;
	const struct vm_memory *memory;
};

/* NULL when the store was given none. */
struct wasi *wasi_of_store(const struct vm_store *store);

struct wasi_call {
	struct wasi *wasi;
	const struct wasi_abi *abi;
	const struct vm_memory *memory; /* NULL: the instance exports none */
	const union vm_slot *args;
	struct wasi_task task;
};

/* A function of wasi.def. WASI_ENDED ends the guest with call->task. */
typedef enum wasi_errno (*wasi_handler)(struct wasi_call *call);

/* len bytes of guest memory, or NULL: WASI_EFAULT. */
uint8_t *wasi_guest_range(const struct wasi_call *call, uint32_t address, uint64_t len);

/*
 * Copy a path, NUL-terminated.
 * Returns WASI_EFAULT, WASI_ENAMETOOLONG, WASI_EILSEQ not UTF-8, WASI_EINVAL it contains NUL
 */
enum wasi_errno wasi_guest_path(const struct wasi_call *call, uint32_t address, uint32_t len,
                                char out[WASI_PATH_MAX]);

/*
 * The buffers of an array of iovecs; of a longer array than WASI_IOV_MAX only the first, which
 * makes for a short read or write.
 * Returns WASI_EFAULT, WASI_EINVAL when the lengths add up to more than 32 bits hold
 */
#define WASI_IOV_MAX 1024
enum wasi_errno wasi_guest_iovecs(const struct wasi_call *call, uint32_t address, uint32_t count,
                                  struct iovec out[WASI_IOV_MAX], size_t *out_count);

/* Write a number at an address. WASI_EFAULT. */
enum wasi_errno wasi_guest_put_u32(const struct wasi_call *call, uint32_t address, uint32_t value);
enum wasi_errno wasi_guest_put_u64(const struct wasi_call *call, uint32_t address, uint64_t value);

/* Descriptor args[index] with these rights; errors of wasi_fds_get. */
enum wasi_errno wasi_call_fd(const struct wasi_call *call, unsigned index, uint64_t rights,
                             struct wasi_fd **out);
/* The same for a folder: WASI_ENOTDIR for others. */
enum wasi_errno wasi_call_dir(const struct wasi_call *call, unsigned index, uint64_t rights,
                              struct wasi_fd **out);

/* Times from args[index], args[index + 1] and flags from args[index + 2]. WASI_EINVAL. */
enum wasi_errno wasi_call_times(const struct wasi_call *call, unsigned index,
                                struct wasi_times *out);
