/*
 * unstable.c - a program of the older generation, without a C library: wasi_unstable with its
 * own numbers for whence and its own layouts. Exits with the line of the check that fails.
 */
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("wasi_unstable"), import_name(#name)))

IMPORT(args_sizes_get) int args_sizes_get(uint32_t *count, uint32_t *size);
IMPORT(clock_time_get) int clock_time_get(uint32_t clock, uint64_t precision, uint64_t *time);
IMPORT(fd_close) int fd_close(uint32_t fd);
IMPORT(fd_filestat_get) int fd_filestat_get(uint32_t fd, void *stat);
IMPORT(fd_read) int fd_read(uint32_t fd, const void *iovs, uint32_t count, uint32_t *n);
IMPORT(fd_seek) int fd_seek(uint32_t fd, int64_t offset, uint32_t whence, uint64_t *position);
IMPORT(fd_write) int fd_write(uint32_t fd, const void *iovs, uint32_t count, uint32_t *n);
IMPORT(path_filestat_get)
int path_filestat_get(uint32_t fd, uint32_t flags, const char *path, uint32_t len, void *stat);
IMPORT(path_open)
int path_open(uint32_t fd, uint32_t lookup, const char *path, uint32_t len, uint32_t oflags,
              uint64_t base, uint64_t inheriting, uint32_t fdflags, uint32_t *out);
IMPORT(poll_oneoff) int poll_oneoff(const void *in, void *out, uint32_t count, uint32_t *n);
IMPORT(proc_exit) _Noreturn void proc_exit(uint32_t code);

struct buffer {
	const void *base;
	uint32_t len;
};

struct filestat {
	uint64_t dev, ino;
	uint8_t type;
	uint32_t links;
	uint64_t size, atim, mtim, ctim;
};

struct subscription {
	uint64_t userdata;
	uint8_t tag;
	uint64_t clock_userdata;
	uint32_t clock;
	uint64_t timeout, precision;
	uint16_t flags;
};

struct event {
	uint64_t userdata;
	uint16_t error;
	uint8_t type;
	uint64_t bytes;
	uint16_t flags;
};

_Static_assert(sizeof(struct filestat) == 56 && sizeof(struct subscription) == 56 &&
                   sizeof(struct event) == 32,
               "layouts of wasi_unstable");

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			proc_exit(__LINE__ % 126);                                                 \
	} while (0)

enum { CUR, END, SET };

void
_start(void)
{
	static const char name[] = "unstable.txt";
	static const char text[] = "0123456789";
	struct buffer out = { text, 10 };
	char buf[16];
	struct buffer in = { buf, sizeof buf };
	struct filestat stat;
	struct event event;
	uint64_t position, before, after;
	uint32_t fd, n, count;

	CHECK(args_sizes_get(&count, &n) == 0 && count == 1);
	CHECK(path_open(3, 0, name, sizeof name - 1, 1, 0x600066, 0, 0, &fd) == 0);
	CHECK(fd_write(fd, &out, 1, &n) == 0 && n == 10);
	CHECK(fd_seek(fd, -4, END, &position) == 0 && position == 6);
	CHECK(fd_seek(fd, -1, CUR, &position) == 0 && position == 5);
	CHECK(fd_seek(fd, 8, SET, &position) == 0 && position == 8);
	CHECK(fd_seek(fd, 0, 3, &position) == 28);
	CHECK(fd_read(fd, &in, 1, &n) == 0 && n == 2 && buf[0] == '8');
	CHECK(fd_filestat_get(fd, &stat) == 0);
	CHECK(stat.type == 4 && stat.links == 1 && stat.size == 10 && stat.mtim != 0);
	CHECK(fd_close(fd) == 0 && fd_close(fd) == 8);
	CHECK(path_filestat_get(3, 0, name, sizeof name - 1, &stat) == 0 && stat.size == 10);

	const struct subscription sleep = { .userdata = 77, .clock = 1, .timeout = 10000000 };
	CHECK(clock_time_get(1, 0, &before) == 0);
	CHECK(poll_oneoff(&sleep, &event, 1, &n) == 0 && n == 1);
	CHECK(event.userdata == 77 && event.error == 0 && event.type == 0);
	CHECK(clock_time_get(1, 0, &after) == 0 && after - before >= 10000000);

	out = (struct buffer){ "unstable done\n", 14 };
	CHECK(fd_write(1, &out, 1, &n) == 0 && n == 14);
	proc_exit(0);
}
