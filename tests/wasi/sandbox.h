/*
 * sandbox.h - a guest without code: a store with WASI state and a memory, whose functions are
 * called directly.
 *
 * Guest memory is laid out by hand: PATH_A and PATH_B hold paths, BUF data, OUT results.
 */
#pragma once

#include "vm/vm.h"
#include "vm/wasi/fn.h"
#include "vm/wasi/memtree.h"

/* What is preopened as "/" (descriptor 3). */
enum backend {
	HOST_KERNEL, /* a fresh folder, paths resolved by openat2 */
	HOST_WALK,   /* the same, by the walk */
	MEMORY,      /* an in-memory tree */
	BACKEND_COUNT,
};

struct sandbox {
	enum backend backend;
	struct vm_engine *engine;
	struct vm_store *store;
	struct vm_memory *memory;
	struct vm_wasi_tree *tree; /* MEMORY */
	char *root; /* the others: the folder; beside it are "outside" and a secret */
	const struct wasi_abi *abi;
	struct vm_error err;
	enum vm_status status; /* of the last call that ended the guest */
};

enum {
	PATH_A = 0x1000,
	PATH_B = 0x3000,
	IOVECS = 0x5000,
	OUT = 0x6000,
	BUF = 0x8000,
	MEMORY_BYTES = 4 * 65536,
	ROOT_FD = 3,
};

/* Streams are VM_WASI_NULL and may be changed in config before sandbox_open. */
void sandbox_config(struct vm_wasi_config *config);
/* config may be NULL. Fails the test when something goes wrong. */
void sandbox_open(struct sandbox *box, enum backend backend, bool read_only,
                  const struct vm_wasi_config *config);
void sandbox_close(struct sandbox *box);

/* Call a function; the arguments are given as 64-bit numbers. */
enum wasi_errno sandbox_call(struct sandbox *box, wasi_handler handler, const uint64_t *args,
                             size_t count);
#define CALL(box, name, ...)                                                                       \
	sandbox_call(box, wasi_##name, (const uint64_t[]){ __VA_ARGS__ },                          \
	             sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

/* If set, called before (true) and after (false) each function of the guest. */
extern void (*sandbox_around_call)(bool begins);

uint8_t *at(struct sandbox *box, uint32_t address);
uint32_t out_u32(struct sandbox *box);
uint64_t out_u64(struct sandbox *box);
/* Put a path into guest memory; returns its length. */
uint32_t put_path(struct sandbox *box, uint32_t address, const char *path);

/* Shorter forms of what tests do most; paths relative to the folder fd. */
enum wasi_errno open_at(struct sandbox *box, uint32_t fd, const char *path, uint32_t lookup,
                        uint32_t oflags, uint64_t rights, uint32_t fdflags, uint32_t *out_fd);
enum wasi_errno mkdir_at(struct sandbox *box, uint32_t fd, const char *path);
enum wasi_errno rmdir_at(struct sandbox *box, uint32_t fd, const char *path);
enum wasi_errno unlink_at(struct sandbox *box, uint32_t fd, const char *path);
enum wasi_errno symlink_at(struct sandbox *box, const char *target, uint32_t fd, const char *path);
enum wasi_errno link_at(struct sandbox *box, const char *path, const char *new_path);
enum wasi_errno rename_at(struct sandbox *box, const char *path, const char *new_path);
enum wasi_errno stat_at(struct sandbox *box, const char *path, uint32_t lookup,
                        struct wasi_stat *out);
enum wasi_errno write_fd(struct sandbox *box, uint32_t fd, const char *text);
/* Read at most 4096 bytes as text. */
enum wasi_errno read_fd(struct sandbox *box, uint32_t fd, char out[4097]);
void make_file(struct sandbox *box, const char *path, const char *text);

#define RIGHTS_RW                                                                                  \
	((uint64_t)(WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_SEEK |                \
	            WASI_RIGHT_FD_TELL | WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_ADVISE |       \
	            WASI_RIGHT_FD_FILESTAT_SET_SIZE | WASI_RIGHT_FD_ALLOCATE |                     \
	            WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_POLL_FD_READWRITE |                \
	            WASI_RIGHT_FD_FILESTAT_SET_TIMES))
#define RIGHTS_R ((uint64_t)(WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL))
#define RIGHTS_DIR WASI_RIGHTS_DIRECTORY

/* ck_assert for error numbers, which says what was called. */
#define EXPECT(call, want)                                                                         \
	do {                                                                                       \
		int got_ = (int)(call);                                                            \
		ck_assert_msg(got_ == (int)(want), "%s: got %d, want %d (%s)", #call, got_,        \
		              (int)(want), #want);                                                 \
	} while (0)
