/*
 * test_files.c - open files and folders, the same over every kind of tree.
 */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>
#include "tests/wasi/sandbox.h"

static uint32_t
open_new(struct sandbox *box, const char *path, uint32_t fdflags)
{
	uint32_t fd = 0;

	EXPECT(open_at(box, ROOT_FD, path, 0, WASI_CREAT | WASI_TRUNC, RIGHTS_RW, fdflags, &fd),
	       WASI_SUCCESS);
	return fd;
}

static enum wasi_errno
seek(struct sandbox *box, uint32_t fd, int64_t offset, uint32_t whence)
{
	return CALL(box, fd_seek, fd, (uint64_t)offset, whence, OUT);
}

static uint64_t
size_of(struct sandbox *box, const char *path)
{
	struct wasi_stat st;

	EXPECT(stat_at(box, path, 0, &st), WASI_SUCCESS);
	return st.size_bytes;
}

START_TEST(bytes_are_written_and_read_where_the_position_is)
{
	struct sandbox box;
	char text[4097];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	uint32_t fd = open_new(&box, "f", 0);
	EXPECT(write_fd(&box, fd, "hello world"), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_tell, fd, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u64(&box), 11);
	EXPECT(seek(&box, fd, -5, 2), WASI_SUCCESS);
	ck_assert_uint_eq(out_u64(&box), 6);
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "world");
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "");
	EXPECT(seek(&box, fd, 0, 0), WASI_SUCCESS);
	EXPECT(seek(&box, fd, 6, 1), WASI_SUCCESS);
	EXPECT(write_fd(&box, fd, "W"), WASI_SUCCESS);
	EXPECT(seek(&box, fd, -1, 0), WASI_EINVAL);
	EXPECT(seek(&box, fd, 0, 3), WASI_EINVAL);
	EXPECT(CALL(&box, fd_tell, fd, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u64(&box), 7); /* failed seeks move nothing */
	EXPECT(seek(&box, fd, 20, 0), WASI_SUCCESS);
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "");
	EXPECT(write_fd(&box, fd, "!"), WASI_SUCCESS); /* the gap is filled with zeros */
	ck_assert_uint_eq(size_of(&box, "f"), 21);
	EXPECT(seek(&box, fd, 0, 0), WASI_SUCCESS);
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
	ck_assert_mem_eq(text, "hello World\0\0\0\0\0\0\0\0\0!", 21);
	sandbox_close(&box);
}
END_TEST

START_TEST(positioned_calls_leave_the_position_alone)
{
	struct sandbox box;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	uint32_t fd = open_new(&box, "f", 0);
	EXPECT(write_fd(&box, fd, "0123456789"), WASI_SUCCESS);
	wasi_put_u32(at(&box, IOVECS), BUF);
	wasi_put_u32(at(&box, IOVECS + 4), 3);
	wasi_put_u32(at(&box, IOVECS + 8), BUF + 100);
	wasi_put_u32(at(&box, IOVECS + 12), 4);
	EXPECT(CALL(&box, fd_pread, fd, IOVECS, 2, 2, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 7);
	ck_assert_mem_eq(at(&box, BUF), "234", 3);
	ck_assert_mem_eq(at(&box, BUF + 100), "5678", 4);
	EXPECT(CALL(&box, fd_pread, fd, IOVECS, 2, 9, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 1);
	EXPECT(CALL(&box, fd_pread, fd, IOVECS, 2, 10, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 0);
	EXPECT(CALL(&box, fd_pwrite, fd, IOVECS, 1, 12, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(size_of(&box, "f"), 15);
	EXPECT(CALL(&box, fd_pread, fd, IOVECS, 1, UINT64_MAX, OUT), WASI_EINVAL);
	EXPECT(CALL(&box, fd_pwrite, fd, IOVECS, 1, UINT64_C(1) << 63, OUT), WASI_EINVAL);
	EXPECT(CALL(&box, fd_tell, fd, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u64(&box), 10);
	sandbox_close(&box);
}
END_TEST

START_TEST(appending_files_write_at_their_end)
{
	struct sandbox box;
	char text[4097];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	make_file(&box, "f", "abc");
	uint32_t fd;
	EXPECT(open_at(&box, ROOT_FD, "f", 0, 0, RIGHTS_RW, WASI_APPEND, &fd), WASI_SUCCESS);
	EXPECT(write_fd(&box, fd, "def"), WASI_SUCCESS);
	EXPECT(seek(&box, fd, 0, 0), WASI_SUCCESS);
	EXPECT(write_fd(&box, fd, "ghi"), WASI_SUCCESS);
	ck_assert_uint_eq(size_of(&box, "f"), 9);
	/* A positioned write goes where it says. */
	memcpy(at(&box, BUF), "A", 1);
	wasi_put_u32(at(&box, IOVECS + 4), 1);
	EXPECT(CALL(&box, fd_pwrite, fd, IOVECS, 1, 0, OUT), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_fdstat_set_flags, fd, 0), WASI_SUCCESS);
	EXPECT(seek(&box, fd, 1, 0), WASI_SUCCESS);
	EXPECT(write_fd(&box, fd, "B"), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_fdstat_set_flags, fd, WASI_APPEND | WASI_DSYNC), WASI_SUCCESS);
	EXPECT(write_fd(&box, fd, "!"), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_fdstat_set_flags, fd, 32), WASI_EINVAL);
	EXPECT(CALL(&box, fd_fdstat_get, fd, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(wasi_get_u16(at(&box, OUT + 2)), WASI_APPEND | WASI_DSYNC);
	EXPECT(seek(&box, fd, 0, 0), WASI_SUCCESS);
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "ABcdefghi!");
	sandbox_close(&box);
}
END_TEST

START_TEST(sizes_are_set_and_allocated)
{
	struct sandbox box;
	char text[4097];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	uint32_t fd = open_new(&box, "f", 0);
	EXPECT(write_fd(&box, fd, "0123456789"), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_filestat_set_size, fd, 4), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_filestat_set_size, fd, 6), WASI_SUCCESS);
	EXPECT(seek(&box, fd, 0, 0), WASI_SUCCESS);
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
	ck_assert_mem_eq(text, "0123\0\0", 6);
	ck_assert_uint_eq(size_of(&box, "f"), 6);
	EXPECT(CALL(&box, fd_allocate, fd, 0, 4), WASI_SUCCESS);
	ck_assert_uint_eq(size_of(&box, "f"), 6);
	EXPECT(CALL(&box, fd_allocate, fd, 4, 100), WASI_SUCCESS);
	ck_assert_uint_eq(size_of(&box, "f"), 104);
	EXPECT(CALL(&box, fd_allocate, fd, 0, 0), WASI_EINVAL);
	EXPECT(CALL(&box, fd_allocate, fd, UINT64_MAX, 1), WASI_EFBIG);
	EXPECT(CALL(&box, fd_allocate, fd, 1, INT64_MAX), WASI_EFBIG);
	enum wasi_errno e = CALL(&box, fd_filestat_set_size, fd, UINT64_MAX);
	ck_assert(e == WASI_EFBIG || e == WASI_ENOSPC);
	EXPECT(CALL(&box, fd_advise, fd, 0, 10, 4), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_advise, fd, 0, 10, 6), WASI_EINVAL);
	EXPECT(CALL(&box, fd_advise, fd, UINT64_MAX, 10, 0), WASI_EINVAL);
	sandbox_close(&box);
}
END_TEST

START_TEST(times_are_set_as_asked)
{
	struct sandbox box;
	struct wasi_stat st;
	const uint64_t second = 1000000000;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	uint32_t fd = open_new(&box, "f", 0);
	EXPECT(symlink_at(&box, "f", ROOT_FD, "l"), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_filestat_set_times, fd, 5 * second, 7 * second + 1,
	            WASI_ATIM | WASI_MTIM),
	       WASI_SUCCESS);
	EXPECT(stat_at(&box, "f", 0, &st), WASI_SUCCESS);
	ck_assert_uint_eq(st.atim, 5 * second);
	ck_assert_uint_eq(st.mtim, 7 * second + 1);
	EXPECT(CALL(&box, path_filestat_set_times, ROOT_FD, 0, PATH_A, put_path(&box, PATH_A, "f"),
	            9 * second, 0, WASI_ATIM),
	       WASI_SUCCESS);
	EXPECT(stat_at(&box, "f", 0, &st), WASI_SUCCESS);
	ck_assert_uint_eq(st.atim, 9 * second);
	ck_assert_uint_eq(st.mtim, 7 * second + 1);
	EXPECT(CALL(&box, path_filestat_set_times, ROOT_FD, WASI_SYMLINK_FOLLOW, PATH_A,
	            put_path(&box, PATH_A, "l"), 0, 3 * second, WASI_MTIM),
	       WASI_SUCCESS);
	EXPECT(CALL(&box, path_filestat_set_times, ROOT_FD, 0, PATH_A, put_path(&box, PATH_A, "l"),
	            0, 4 * second, WASI_MTIM | WASI_ATIM_NOW),
	       WASI_SUCCESS);
	EXPECT(stat_at(&box, "f", 0, &st), WASI_SUCCESS);
	ck_assert_uint_eq(st.mtim, 3 * second);
	EXPECT(stat_at(&box, "l", 0, &st), WASI_SUCCESS);
	ck_assert_uint_eq(st.mtim, 4 * second);
	ck_assert_uint_gt(st.atim, 1000 * second);
	EXPECT(CALL(&box, fd_filestat_set_times, fd, 0, 0, WASI_ATIM | WASI_ATIM_NOW), WASI_EINVAL);
	EXPECT(CALL(&box, fd_filestat_set_times, fd, 0, 0, WASI_MTIM | WASI_MTIM_NOW), WASI_EINVAL);
	EXPECT(CALL(&box, fd_filestat_set_times, fd, 0, 0, 16), WASI_EINVAL);
	sandbox_close(&box);
}
END_TEST

/* --- folders ------------------------------------------------------------------------------ */

/* Read entries from a cookie on; names are joined with spaces. Returns the last cookie. */
static uint64_t
list(struct sandbox *box, uint32_t fd, uint32_t size, uint64_t cookie, char *names, bool *end)
{
	EXPECT(CALL(box, fd_readdir, fd, BUF, size, cookie, OUT), WASI_SUCCESS);
	uint32_t used = out_u32(box);
	uint32_t pos = 0;

	*names = '\0';
	while (pos + 24 <= used) {
		const uint8_t *entry = at(box, BUF + pos);
		uint32_t len = wasi_get_u32(entry + 16);
		if (pos + 24 + len > used)
			break;
		strncat(names, (const char *)entry + 24, len);
		strcat(names, " ");
		cookie = wasi_get_u64(entry);
		pos += 24 + len;
	}
	*end = used < size;
	return cookie;
}

START_TEST(folders_are_read_in_pieces)
{
	struct sandbox box;
	char name[16];
	char names[2048];
	bool end = false;
	bool seen[60] = { false };
	uint32_t dir;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	EXPECT(mkdir_at(&box, ROOT_FD, "d"), WASI_SUCCESS);
	EXPECT(open_at(&box, ROOT_FD, "d", 0, WASI_OPEN_DIRECTORY, RIGHTS_DIR, 0, &dir),
	       WASI_SUCCESS);
	(void)!list(&box, dir, 500, 0, names, &end);
	ck_assert_str_eq(names, ". .. ");
	ck_assert(end);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "d/n%d", i);
		make_file(&box, name, "");
	}
	uint64_t cookie = 0;
	int count = 0;
	for (end = false; !end;) {
		cookie = list(&box, dir, 100, cookie, names, &end);
		for (char *save, *n = strtok_r(names, " ", &save); n;
		     n = strtok_r(NULL, " ", &save)) {
			int i = -1;
			if (sscanf(n, "n%d", &i) != 1)
				continue;
			ck_assert_msg(!seen[i], "%s twice", n);
			seen[i] = true;
			count++;
			/* Removing what was seen does not disturb the rest. */
			snprintf(name, sizeof name, "d/n%d", i);
			EXPECT(unlink_at(&box, ROOT_FD, name), WASI_SUCCESS);
		}
	}
	ck_assert_int_eq(count, 60);
	EXPECT(rmdir_at(&box, ROOT_FD, "d"), WASI_SUCCESS);
	EXPECT(mkdir_at(&box, dir, "x"), WASI_ENOENT); /* a removed folder stays empty */
	EXPECT(CALL(&box, fd_readdir, dir, BUF, 0, 0, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 0);
	EXPECT(CALL(&box, fd_readdir, dir, BUF, 0xffffffff, 0, OUT), WASI_EFAULT);
	EXPECT(CALL(&box, fd_readdir, 1, BUF, 10, 0, OUT), WASI_ENOTDIR);
	sandbox_close(&box);
}
END_TEST

START_TEST(the_folder_above_the_root_is_not_shown)
{
	struct sandbox box;
	struct wasi_stat st;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	EXPECT(stat_at(&box, ".", 0, &st), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_readdir, ROOT_FD, BUF, 500, 0, OUT), WASI_SUCCESS);
	for (uint32_t pos = 0; pos < out_u32(&box);) {
		const uint8_t *entry = at(&box, BUF + pos);
		ck_assert_uint_eq(wasi_get_u64(entry + 8), st.ino);
		pos += 24 + wasi_get_u32(entry + 16);
	}
	sandbox_close(&box);
}
END_TEST

/* --- descriptors and rights --------------------------------------------------------------- */

START_TEST(rights_are_kept)
{
	struct sandbox box;
	char text[4097];
	uint32_t fd;
	uint32_t dir;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	make_file(&box, "f", "abc");
	EXPECT(open_at(&box, ROOT_FD, "f", 0, 0, WASI_RIGHT_FD_READ, 0, &fd), WASI_SUCCESS);
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
	EXPECT(write_fd(&box, fd, "x"), WASI_ENOTCAPABLE);
	EXPECT(seek(&box, fd, 0, 0), WASI_ENOTCAPABLE);
	EXPECT(seek(&box, fd, 0, 1), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_pread, fd, IOVECS, 1, 0, OUT), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_filestat_get, fd, OUT), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_filestat_set_size, fd, 0), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_sync, fd), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_fdstat_set_rights, fd, RIGHTS_RW, 0), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_fdstat_set_rights, fd, 0, 0), WASI_SUCCESS);
	EXPECT(read_fd(&box, fd, text), WASI_ENOTCAPABLE);

	/* Telling is the lesser right. */
	EXPECT(open_at(&box, ROOT_FD, "f", 0, 0, WASI_RIGHT_FD_TELL, 0, &fd), WASI_SUCCESS);
	EXPECT(seek(&box, fd, 0, 1), WASI_SUCCESS);
	EXPECT(seek(&box, fd, 1, 1), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_tell, fd, OUT), WASI_SUCCESS);

	/* A folder passes on no more than it may. */
	EXPECT(mkdir_at(&box, ROOT_FD, "d"), WASI_SUCCESS);
	make_file(&box, "d/f", "abc");
	EXPECT(CALL(&box, path_open, ROOT_FD, 0, PATH_A, put_path(&box, PATH_A, "d"),
	            WASI_OPEN_DIRECTORY, WASI_RIGHT_PATH_OPEN, WASI_RIGHT_FD_READ, 0, OUT),
	       WASI_SUCCESS);
	dir = out_u32(&box);
	uint32_t len = put_path(&box, PATH_A, "f");
	EXPECT(CALL(&box, path_open, dir, 0, PATH_A, len, 0, WASI_RIGHT_FD_READ, 0, 0, OUT),
	       WASI_SUCCESS);
	EXPECT(CALL(&box, path_open, dir, 0, PATH_A, len, 0, RIGHTS_RW, 0, 0, OUT),
	       WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, path_open, dir, 0, PATH_A, len, 0, WASI_RIGHT_FD_READ, RIGHTS_RW, 0, OUT),
	       WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, path_open, dir, 0, PATH_A, len, 0, 0, 0, WASI_SYNC, OUT),
	       WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, path_open, dir, 0, PATH_A, len, WASI_CREAT, 0, 0, 0, OUT),
	       WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, path_open, dir, 0, PATH_A, len, WASI_TRUNC, 0, 0, 0, OUT),
	       WASI_ENOTCAPABLE);
	EXPECT(mkdir_at(&box, dir, "x"), WASI_ENOTCAPABLE);
	EXPECT(unlink_at(&box, dir, "f"), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_readdir, dir, BUF, 100, 0, OUT), WASI_ENOTCAPABLE);

	/* Rights that do not apply to the kind of file are not given. */
	EXPECT(open_at(&box, ROOT_FD, "f", 0, 0, WASI_RIGHTS_ALL, 0, &fd), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_fdstat_get, fd, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(at(&box, OUT)[0], WASI_REGULAR_FILE);
	ck_assert_uint_eq(wasi_get_u64(at(&box, OUT + 8)), WASI_RIGHTS_REGULAR_FILE);
	EXPECT(
	    open_at(&box, ROOT_FD, "d", 0, WASI_OPEN_DIRECTORY, UINT64_MAX & ~RIGHTS_RW, 0, &dir),
	    WASI_SUCCESS);
	EXPECT(CALL(&box, fd_fdstat_get, dir, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(wasi_get_u64(at(&box, OUT + 8)), WASI_RIGHTS_DIRECTORY & ~RIGHTS_RW);
	EXPECT(open_at(&box, ROOT_FD, "d", 0, WASI_OPEN_DIRECTORY, RIGHTS_DIR, 0, &dir),
	       WASI_SUCCESS);
	EXPECT(CALL(&box, fd_fdstat_get, dir, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(wasi_get_u64(at(&box, OUT + 8)), WASI_RIGHTS_DIRECTORY);
	EXPECT(open_at(&box, ROOT_FD, "d", 0, 0, RIGHTS_RW, 0, NULL), WASI_EISDIR);
	EXPECT(open_at(&box, ROOT_FD, "d", 0, WASI_OPEN_DIRECTORY, RIGHTS_RW, 0, NULL),
	       WASI_EISDIR);
	sandbox_close(&box);
}
END_TEST

START_TEST(folders_have_no_bytes)
{
	struct sandbox box;
	char text[4097];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	EXPECT(read_fd(&box, ROOT_FD, text), WASI_ENOTCAPABLE);
	EXPECT(write_fd(&box, ROOT_FD, "x"), WASI_ENOTCAPABLE);
	EXPECT(seek(&box, ROOT_FD, 0, 0), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, sock_shutdown, ROOT_FD, 1), WASI_ENOTSOCK);
	EXPECT(CALL(&box, sock_shutdown, 77, 1), WASI_EBADF);
	EXPECT(CALL(&box, fd_sync, ROOT_FD), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_datasync, ROOT_FD), WASI_SUCCESS);
	sandbox_close(&box);
}
END_TEST

START_TEST(descriptors_move_and_close)
{
	struct sandbox box;
	char text[4097];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	make_file(&box, "a", "A");
	make_file(&box, "b", "B");
	uint32_t a;
	uint32_t b;
	EXPECT(open_at(&box, ROOT_FD, "a", 0, 0, RIGHTS_R, 0, &a), WASI_SUCCESS);
	EXPECT(open_at(&box, ROOT_FD, "b", 0, 0, RIGHTS_R, 0, &b), WASI_SUCCESS);
	ck_assert_uint_eq(a, 4);
	ck_assert_uint_eq(b, 5);
	EXPECT(CALL(&box, fd_renumber, a, 9), WASI_EBADF);
	EXPECT(CALL(&box, fd_renumber, 9, a), WASI_EBADF);
	EXPECT(CALL(&box, fd_renumber, a, a), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_renumber, b, a), WASI_SUCCESS);
	EXPECT(read_fd(&box, a, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "B");
	EXPECT(read_fd(&box, b, text), WASI_EBADF);
	EXPECT(CALL(&box, fd_close, b), WASI_EBADF);
	EXPECT(open_at(&box, ROOT_FD, "a", 0, 0, RIGHTS_R, 0, &b), WASI_SUCCESS);
	ck_assert_uint_eq(b, 5);

	EXPECT(CALL(&box, fd_prestat_get, ROOT_FD, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(at(&box, OUT)[0], 0);
	ck_assert_uint_eq(wasi_get_u32(at(&box, OUT + 4)), 1);
	EXPECT(CALL(&box, fd_prestat_dir_name, ROOT_FD, OUT, 0), WASI_ENAMETOOLONG);
	EXPECT(CALL(&box, fd_prestat_dir_name, ROOT_FD, OUT, 10), WASI_SUCCESS);
	ck_assert_uint_eq(at(&box, OUT)[0], '/');
	EXPECT(CALL(&box, fd_prestat_get, a, OUT), WASI_EBADF);
	EXPECT(CALL(&box, fd_prestat_get, 0, OUT), WASI_EBADF);
	EXPECT(CALL(&box, fd_close, ROOT_FD), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_prestat_get, ROOT_FD, OUT), WASI_EBADF);
	EXPECT(mkdir_at(&box, ROOT_FD, "x"), WASI_EBADF);
	sandbox_close(&box);
}
END_TEST

START_TEST(there_is_an_end_to_descriptors)
{
	struct sandbox box;
	enum wasi_errno e = WASI_SUCCESS;
	uint32_t last = 0;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	make_file(&box, "f", "");
	for (int i = 0; i < 2000 && e == WASI_SUCCESS; i++)
		e = open_at(&box, ROOT_FD, "f", 0, 0, RIGHTS_R, 0, &last);
	EXPECT(e, WASI_EMFILE);
	EXPECT(CALL(&box, fd_close, last), WASI_SUCCESS);
	EXPECT(open_at(&box, ROOT_FD, "f", 0, 0, RIGHTS_R, 0, NULL), WASI_SUCCESS);
	sandbox_close(&box);
}
END_TEST

/* --- hostile buffers ---------------------------------------------------------------------- */

START_TEST(buffers_outside_of_memory_are_refused)
{
	static const struct {
		uint32_t address, count;
		uint32_t base, len;
		enum wasi_errno want;
	} cases[] = {
		{ IOVECS, 1, BUF, 8, WASI_SUCCESS },
		{ IOVECS, 0, 0, 0, WASI_SUCCESS },
		{ IOVECS, 1, MEMORY_BYTES, 0, WASI_SUCCESS },
		{ IOVECS, 1, MEMORY_BYTES - 8, 8, WASI_SUCCESS },
		{ IOVECS, 1, MEMORY_BYTES - 7, 8, WASI_EFAULT },
		{ IOVECS, 1, 0xffffffff, 1, WASI_EFAULT },
		{ IOVECS, 1, 0xffffffff, 0xffffffff, WASI_EFAULT },
		{ IOVECS, 1, 0, 0xffffffff, WASI_EFAULT },
		{ IOVECS, 0xffffffff, BUF, 8,
		  WASI_SUCCESS }, /* only the first 1024 are looked at */
		{ MEMORY_BYTES - 8, 1, BUF, 8, WASI_SUCCESS },
		{ MEMORY_BYTES - 7, 1, BUF, 8, WASI_EFAULT },
		{ 0xfffffff8, 1, BUF, 8, WASI_EFAULT },
	};
	struct sandbox box;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	uint32_t fd = open_new(&box, "f", 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(at(&box, 0), 0, MEMORY_BYTES);
		if (cases[i].address <= MEMORY_BYTES - 8) {
			wasi_put_u32(at(&box, cases[i].address), cases[i].base);
			wasi_put_u32(at(&box, cases[i].address + 4), cases[i].len);
		}
		int read = (int)CALL(&box, fd_read, fd, cases[i].address, cases[i].count, OUT);
		int write = (int)CALL(&box, fd_write, fd, cases[i].address, cases[i].count, OUT);
		ck_assert_msg(read == (int)cases[i].want && write == (int)cases[i].want,
		              "case %zu: read %d, write %d, want %d", i, read, write,
		              (int)cases[i].want);
	}
	EXPECT(CALL(&box, fd_write, fd, IOVECS, 1, MEMORY_BYTES - 3), WASI_EFAULT);
	EXPECT(CALL(&box, fd_fdstat_get, fd, MEMORY_BYTES - 23), WASI_EFAULT);
	EXPECT(CALL(&box, fd_filestat_get, fd, MEMORY_BYTES - 63), WASI_EFAULT);
	EXPECT(CALL(&box, fd_filestat_get, fd, MEMORY_BYTES - 64), WASI_SUCCESS);
	sandbox_close(&box);
}
END_TEST

/* --- wasi_unstable ------------------------------------------------------------------------ */

START_TEST(the_older_generation_has_its_own_numbers_and_layouts)
{
	struct sandbox box;
	char text[4097];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	uint32_t fd = open_new(&box, "f", 0);
	EXPECT(write_fd(&box, fd, "0123456789"), WASI_SUCCESS);
	EXPECT(link_at(&box, "f", "g"), WASI_SUCCESS);
	box.abi = &wasi_abi_unstable;
	EXPECT(seek(&box, fd, -4, 1), WASI_SUCCESS); /* END is 1 */
	ck_assert_uint_eq(out_u64(&box), 6);
	EXPECT(seek(&box, fd, -1, 0), WASI_SUCCESS); /* CUR is 0 */
	ck_assert_uint_eq(out_u64(&box), 5);
	EXPECT(seek(&box, fd, 8, 2), WASI_SUCCESS); /* SET is 2 */
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "89");
	memset(at(&box, OUT), 0xee, 64);
	EXPECT(CALL(&box, fd_filestat_get, fd, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(at(&box, OUT + 16)[0], WASI_REGULAR_FILE);
	ck_assert_uint_eq(wasi_get_u32(at(&box, OUT + 20)), 2);
	ck_assert_uint_eq(wasi_get_u64(at(&box, OUT + 24)), 10);
	ck_assert_uint_eq(at(&box, OUT + 56)[0], 0xee); /* 56 bytes and no more */
	EXPECT(CALL(&box, fd_filestat_set_times, fd, 1, 2, WASI_ATIM | WASI_MTIM), WASI_SUCCESS);
	EXPECT(CALL(&box, path_filestat_get, ROOT_FD, 0, PATH_A, put_path(&box, PATH_A, "g"), OUT),
	       WASI_SUCCESS);
	ck_assert_uint_eq(wasi_get_u64(at(&box, OUT + 32)), 1);
	ck_assert_uint_eq(wasi_get_u64(at(&box, OUT + 40)), 2);
	EXPECT(CALL(&box, fd_filestat_get, fd, MEMORY_BYTES - 56), WASI_SUCCESS);
	sandbox_close(&box);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("wasi files");
	TCase *all = tcase_create("every tree");

	tcase_add_loop_test(all, bytes_are_written_and_read_where_the_position_is, 0,
	                    BACKEND_COUNT);
	tcase_add_loop_test(all, positioned_calls_leave_the_position_alone, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, appending_files_write_at_their_end, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, sizes_are_set_and_allocated, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, times_are_set_as_asked, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, folders_are_read_in_pieces, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, the_folder_above_the_root_is_not_shown, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, rights_are_kept, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, folders_have_no_bytes, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, descriptors_move_and_close, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, there_is_an_end_to_descriptors, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, buffers_outside_of_memory_are_refused, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, the_older_generation_has_its_own_numbers_and_layouts, 0,
	                    BACKEND_COUNT);
	suite_add_tcase(suite, all);
	return suite;
}
