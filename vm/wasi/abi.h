/*
 * abi.h - constants and layouts of WASI's two generations.
 *
 * Everything a guest sees as a number is named here; wasi_abi holds what differs between
 * wasi_unstable and wasi_snapshot_preview1. Guest structures are read and written byte by byte
 * in little-endian order with the helpers below, whatever the host's order and alignment.
 */
#pragma once

#include <stdint.h>

enum wasi_errno {
	WASI_SUCCESS = 0,
#define ERRNO(name, value) WASI_##name = value,
#include "vm/def/wasi_errno.def"
#undef ERRNO
	WASI_ENOTCAPABLE = 76,
	/* Not seen by guests: the call ends the guest, as struct wasi_task tells. */
	WASI_ENDED = 0x10000,
};

/* The error number for a host's errno; WASI_EIO for those without one. */
enum wasi_errno wasi_errno_of_host(int host_errno);
/* What the host's errno of the same name is called: "No such file or directory". */
const char *wasi_errno_text(enum wasi_errno error);

enum wasi_filetype {
	WASI_UNKNOWN,
	WASI_BLOCK_DEVICE,
	WASI_CHARACTER_DEVICE,
	WASI_DIRECTORY,
	WASI_REGULAR_FILE,
	WASI_SOCKET_DGRAM,
	WASI_SOCKET_STREAM,
	WASI_SYMBOLIC_LINK,
};

enum wasi_right {
	WASI_RIGHT_FD_DATASYNC = 1 << 0,
	WASI_RIGHT_FD_READ = 1 << 1,
	WASI_RIGHT_FD_SEEK = 1 << 2,
	WASI_RIGHT_FD_FDSTAT_SET_FLAGS = 1 << 3,
	WASI_RIGHT_FD_SYNC = 1 << 4,
	WASI_RIGHT_FD_TELL = 1 << 5,
	WASI_RIGHT_FD_WRITE = 1 << 6,
	WASI_RIGHT_FD_ADVISE = 1 << 7,
	WASI_RIGHT_FD_ALLOCATE = 1 << 8,
	WASI_RIGHT_PATH_CREATE_DIRECTORY = 1 << 9,
	WASI_RIGHT_PATH_CREATE_FILE = 1 << 10,
	WASI_RIGHT_PATH_LINK_SOURCE = 1 << 11,
	WASI_RIGHT_PATH_LINK_TARGET = 1 << 12,
	WASI_RIGHT_PATH_OPEN = 1 << 13,
	WASI_RIGHT_FD_READDIR = 1 << 14,
	WASI_RIGHT_PATH_READLINK = 1 << 15,
	WASI_RIGHT_PATH_RENAME_SOURCE = 1 << 16,
	WASI_RIGHT_PATH_RENAME_TARGET = 1 << 17,
	WASI_RIGHT_PATH_FILESTAT_GET = 1 << 18,
	WASI_RIGHT_PATH_FILESTAT_SET_SIZE = 1 << 19,
	WASI_RIGHT_PATH_FILESTAT_SET_TIMES = 1 << 20,
	WASI_RIGHT_FD_FILESTAT_GET = 1 << 21,
	WASI_RIGHT_FD_FILESTAT_SET_SIZE = 1 << 22,
	WASI_RIGHT_FD_FILESTAT_SET_TIMES = 1 << 23,
	WASI_RIGHT_PATH_SYMLINK = 1 << 24,
	WASI_RIGHT_PATH_REMOVE_DIRECTORY = 1 << 25,
	WASI_RIGHT_PATH_UNLINK_FILE = 1 << 26,
	WASI_RIGHT_POLL_FD_READWRITE = 1 << 27,
	WASI_RIGHT_SOCK_SHUTDOWN = 1 << 28,
	WASI_RIGHT_SOCK_ACCEPT = 1 << 29,
};

#define WASI_RIGHTS_ALL UINT64_C(0x3fffffff)

/* What applies to each type of file; the rest is taken away when one is opened. */
#define WASI_RIGHTS_STREAM                                                                         \
	((uint64_t)(WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_FDSTAT_SET_FLAGS |    \
	            WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_FILESTAT_GET |     \
	            WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_POLL_FD_READWRITE))
#define WASI_RIGHTS_REGULAR_FILE                                                                   \
	(WASI_RIGHTS_STREAM |                                                                      \
	 (uint64_t)(WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL | WASI_RIGHT_FD_ADVISE |               \
	            WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE))
#define WASI_RIGHTS_DIRECTORY                                                                      \
	((uint64_t)(WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_DATASYNC | \
	            WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_READDIR | WASI_RIGHT_FD_FILESTAT_GET |    \
	            WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_PATH_CREATE_DIRECTORY |          \
	            WASI_RIGHT_PATH_CREATE_FILE | WASI_RIGHT_PATH_LINK_SOURCE |                    \
	            WASI_RIGHT_PATH_LINK_TARGET | WASI_RIGHT_PATH_OPEN |                           \
	            WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_RENAME_SOURCE |                     \
	            WASI_RIGHT_PATH_RENAME_TARGET | WASI_RIGHT_PATH_FILESTAT_GET |                 \
	            WASI_RIGHT_PATH_FILESTAT_SET_SIZE | WASI_RIGHT_PATH_FILESTAT_SET_TIMES |       \
	            WASI_RIGHT_PATH_SYMLINK | WASI_RIGHT_PATH_REMOVE_DIRECTORY |                   \
	            WASI_RIGHT_PATH_UNLINK_FILE))
#define WASI_RIGHTS_SOCKET                                                                         \
	((uint64_t)(WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_FDSTAT_SET_FLAGS |    \
	            WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_POLL_FD_READWRITE |                    \
	            WASI_RIGHT_SOCK_SHUTDOWN))
#define WASI_RIGHTS_LISTENER                                                                       \
	((uint64_t)(WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_FILESTAT_GET |                  \
	            WASI_RIGHT_FD_READ | WASI_RIGHT_POLL_FD_READWRITE | WASI_RIGHT_SOCK_ACCEPT))

/* Rights whose exercise changes a file or folder: refused with EROFS on a read-only tree. */
#define WASI_RIGHTS_CHANGE                                                                         \
	((uint64_t)(WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE |                                 \
	            WASI_RIGHT_FD_FILESTAT_SET_SIZE | WASI_RIGHT_FD_FILESTAT_SET_TIMES |           \
	            WASI_RIGHT_PATH_CREATE_DIRECTORY | WASI_RIGHT_PATH_CREATE_FILE |               \
	            WASI_RIGHT_PATH_LINK_SOURCE | WASI_RIGHT_PATH_LINK_TARGET |                    \
	            WASI_RIGHT_PATH_RENAME_SOURCE | WASI_RIGHT_PATH_RENAME_TARGET |                \
	            WASI_RIGHT_PATH_FILESTAT_SET_SIZE | WASI_RIGHT_PATH_FILESTAT_SET_TIMES |       \
	            WASI_RIGHT_PATH_SYMLINK | WASI_RIGHT_PATH_REMOVE_DIRECTORY |                   \
	            WASI_RIGHT_PATH_UNLINK_FILE))

/* fdflags */
enum {
	WASI_APPEND = 1 << 0,
	WASI_DSYNC = 1 << 1,
	WASI_NONBLOCK = 1 << 2,
	WASI_RSYNC = 1 << 3,
	WASI_SYNC = 1 << 4,
	WASI_FDFLAGS_ALL = (1 << 5) - 1,
};

/* oflags */
enum {
	WASI_CREAT = 1 << 0,
	WASI_OPEN_DIRECTORY = 1 << 1,
	WASI_EXCL = 1 << 2,
	WASI_TRUNC = 1 << 3,
	WASI_OFLAGS_ALL = (1 << 4) - 1,
};

/* fstflags */
enum {
	WASI_ATIM = 1 << 0,
	WASI_ATIM_NOW = 1 << 1,
	WASI_MTIM = 1 << 2,
	WASI_MTIM_NOW = 1 << 3,
	WASI_FSTFLAGS_ALL = (1 << 4) - 1,
};

enum { WASI_SYMLINK_FOLLOW = 1 << 0 }; /* lookupflags */
enum { WASI_PREOPEN_DIR = 0 };         /* preopentype */
enum { WASI_RECV_PEEK = 1 << 0, WASI_RECV_WAITALL = 1 << 1 };
enum { WASI_RECV_DATA_TRUNCATED = 1 << 0 };
enum { WASI_SHUT_RD = 1 << 0, WASI_SHUT_WR = 1 << 1 };
enum { WASI_EVENT_CLOCK = 0, WASI_EVENT_FD_READ = 1, WASI_EVENT_FD_WRITE = 2 };
enum { WASI_EVENT_HANGUP = 1 << 0 };
enum { WASI_CLOCK_ABSTIME = 1 << 0 };

enum {
	WASI_CLOCK_REALTIME,
	WASI_CLOCK_MONOTONIC,
	WASI_CLOCK_PROCESS_CPUTIME,
	WASI_CLOCK_THREAD_CPUTIME,
};

enum wasi_whence { WASI_SEEK_SET, WASI_SEEK_CUR, WASI_SEEK_END };

/* Sizes of guest structures that are the same in both generations. */
enum {
	WASI_IOVEC_BYTES = 8,
	WASI_FDSTAT_BYTES = 24,
	WASI_PRESTAT_BYTES = 8,
	WASI_DIRENT_BYTES = 24,
	WASI_EVENT_BYTES = 32,
	WASI_FILESTAT_BYTES_MAX = 64,
};

/* The attributes of a file, in the host's form. Times are nanoseconds since 1970. */
struct wasi_stat {
	uint64_t dev;
	uint64_t ino;
	enum wasi_filetype type;
	uint64_t links;
	uint64_t size_bytes;
	uint64_t atim;
	uint64_t mtim;
	uint64_t ctim;
};

/* One subscription of poll_oneoff. */
struct wasi_subscription {
	uint64_t userdata;
	uint8_t tag;    /* WASI_EVENT_x, or unknown */
	uint32_t fd;    /* WASI_EVENT_FD_x */
	uint32_t clock; /* WASI_EVENT_CLOCK, to the end */
	uint64_t timeout_ns;
	uint16_t clock_flags;
};

/* What differs between the generations. */
struct wasi_abi {
	const char *module;
	enum wasi_whence whence[3]; /* by the guest's number */
	uint32_t filestat_bytes;
	uint32_t subscription_bytes;
	void (*filestat_put)(uint8_t *to, const struct wasi_stat *stat);
	void (*subscription_get)(const uint8_t *from, struct wasi_subscription *out);
};

extern const struct wasi_abi wasi_abi_unstable;
extern const struct wasi_abi wasi_abi_preview1;

static inline void
wasi_put_u16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)value;
	to[1] = (uint8_t)(value >> 8);
}

static inline void
wasi_put_u32(uint8_t *to, uint32_t value)
{
	wasi_put_u16(to, (uint16_t)value);
	wasi_put_u16(to + 2, (uint16_t)(value >> 16));
}

static inline void
wasi_put_u64(uint8_t *to, uint64_t value)
{
	wasi_put_u32(to, (uint32_t)value);
	wasi_put_u32(to + 4, (uint32_t)(value >> 32));
}

static inline uint16_t
wasi_get_u16(const uint8_t *from)
{
	return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t
wasi_get_u32(const uint8_t *from)
{
	return wasi_get_u16(from) | (uint32_t)wasi_get_u16(from + 2) << 16;
}

static inline uint64_t
wasi_get_u64(const uint8_t *from)
{
	return wasi_get_u32(from) | (uint64_t)wasi_get_u32(from + 4) << 32;
}
