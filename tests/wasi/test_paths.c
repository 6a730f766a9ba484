/*
 * test_paths.c - what paths mean, the same over every kind of tree.
 *
 * Each test runs three times: over a host folder with the kernel's resolution, over a host folder
 * with the walk, and over an in-memory tree.
 */
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tests/wasi/sandbox.h"
#include "vm/wasi/beneath.h"

/*
 * The tree of the path table:
 *     file  dir/file  dir/sub/deep  to_file -> file  to_dir -> dir  up -> ../secret
 *     loop_a -> loop_b -> loop_a  dangling -> nowhere  dir/back -> ../file
 *     dir/out -> ../../secret
 */
static void
populate(struct sandbox *box)
{
	EXPECT(mkdir_at(box, ROOT_FD, "dir"), WASI_SUCCESS);
	EXPECT(mkdir_at(box, ROOT_FD, "dir/sub"), WASI_SUCCESS);
	make_file(box, "file", "top");
	make_file(box, "dir/file", "inner");
	make_file(box, "dir/sub/deep", "deep");
	EXPECT(symlink_at(box, "file", ROOT_FD, "to_file"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "dir", ROOT_FD, "to_dir"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "dir/", ROOT_FD, "to_dir_slash"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "../secret", ROOT_FD, "up"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "../outside", ROOT_FD, "up_dir"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "loop_b", ROOT_FD, "loop_a"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "loop_a", ROOT_FD, "loop_b"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "nowhere", ROOT_FD, "dangling"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "../file", ROOT_FD, "dir/back"), WASI_SUCCESS);
	EXPECT(symlink_at(box, "../../secret", ROOT_FD, "dir/out"), WASI_SUCCESS);
}

enum { FOLLOW = WASI_SYMLINK_FOLLOW };

static const struct path_case {
	const char *path;
	uint32_t lookup;
	uint32_t oflags;
	enum wasi_errno want;
	const char *text; /* contents, for files */
} path_cases[] = {
	{ "file", 0, 0, WASI_SUCCESS, "top" },
	{ "./file", 0, 0, WASI_SUCCESS, "top" },
	{ "dir//file", 0, 0, WASI_SUCCESS, "inner" },
	{ "dir/./sub/.././/file", 0, 0, WASI_SUCCESS, "inner" },
	{ "dir/sub/../../file", 0, 0, WASI_SUCCESS, "top" },
	{ "dir/sub/../../dir/sub/deep", 0, 0, WASI_SUCCESS, "deep" },
	{ ".", 0, 0, WASI_SUCCESS, NULL },
	{ "./", 0, 0, WASI_SUCCESS, NULL },
	{ "dir", 0, 0, WASI_SUCCESS, NULL },
	{ "dir/", 0, 0, WASI_SUCCESS, NULL },
	{ "dir///", 0, WASI_OPEN_DIRECTORY, WASI_SUCCESS, NULL },
	{ "dir/..", 0, WASI_OPEN_DIRECTORY, WASI_SUCCESS, NULL },
	{ "", 0, 0, WASI_ENOENT, NULL },
	{ "missing", 0, 0, WASI_ENOENT, NULL },
	{ "missing/", 0, 0, WASI_ENOENT, NULL },
	{ "missing/file", 0, 0, WASI_ENOENT, NULL },
	{ "file/", 0, 0, WASI_ENOTDIR, NULL },
	{ "file/x", 0, 0, WASI_ENOTDIR, NULL },
	{ "file/..", 0, 0, WASI_ENOTDIR, NULL },
	{ "file", 0, WASI_OPEN_DIRECTORY, WASI_ENOTDIR, NULL },
	{ "file", 0, WASI_CREAT | WASI_EXCL, WASI_EEXIST, NULL },
	{ "dir", 0, WASI_CREAT | WASI_EXCL, WASI_EEXIST, NULL },
	{ "dir", 0, WASI_CREAT, WASI_EISDIR, NULL },
	{ "new/", 0, WASI_CREAT, WASI_EISDIR, NULL },
	{ "file", 0, WASI_CREAT | WASI_OPEN_DIRECTORY, WASI_EINVAL, NULL },
	{ "file", 0, 16, WASI_EINVAL, NULL },
	{ "file", 2, 0, WASI_EINVAL, NULL },
	/* Out of the folder. */
	{ "..", 0, 0, WASI_EPERM, NULL },
	{ "../", 0, 0, WASI_EPERM, NULL },
	{ "../secret", 0, 0, WASI_EPERM, NULL },
	{ "../root/file", 0, 0, WASI_EPERM, NULL },
	{ "dir/../../secret", 0, 0, WASI_EPERM, NULL },
	{ "dir/../../root/file", 0, 0, WASI_EPERM, NULL },
	{ "/", 0, 0, WASI_EPERM, NULL },
	{ "/file", 0, 0, WASI_EPERM, NULL },
	{ "/etc/passwd", 0, 0, WASI_EPERM, NULL },
	{ "up", FOLLOW, 0, WASI_EPERM, NULL },
	{ "up_dir/x", 0, 0, WASI_EPERM, NULL },
	{ "up_dir/", 0, 0, WASI_EPERM, NULL },
	{ "up_dir/../secret", 0, 0, WASI_EPERM, NULL },
	{ "dir/out", FOLLOW, 0, WASI_EPERM, NULL },
	{ "to_dir/out", FOLLOW, 0, WASI_EPERM, NULL },
	{ "up", FOLLOW, WASI_CREAT, WASI_EPERM, NULL },
	/* Links. */
	{ "to_file", FOLLOW, 0, WASI_SUCCESS, "top" },
	{ "to_file", 0, 0, WASI_ELOOP, NULL },
	{ "to_file/", FOLLOW, 0, WASI_ENOTDIR, NULL },
	{ "to_dir/file", 0, 0, WASI_SUCCESS, "inner" },
	{ "to_dir_slash/file", 0, 0, WASI_SUCCESS, "inner" },
	{ "to_dir", FOLLOW, WASI_OPEN_DIRECTORY, WASI_SUCCESS, NULL },
	{ "to_dir_slash", FOLLOW, WASI_OPEN_DIRECTORY, WASI_SUCCESS, NULL },
	{ "to_dir/", 0, 0, WASI_SUCCESS, NULL },
	{ "to_dir", 0, WASI_OPEN_DIRECTORY, WASI_ENOTDIR, NULL },
	{ "to_dir/../file", 0, 0, WASI_SUCCESS, "top" },
	{ "to_dir/back", FOLLOW, 0, WASI_SUCCESS, "top" },
	{ "dir/back", FOLLOW, 0, WASI_SUCCESS, "top" },
	{ "dangling", FOLLOW, 0, WASI_ENOENT, NULL },
	{ "dangling", FOLLOW, WASI_CREAT | WASI_EXCL, WASI_EEXIST, NULL },
	{ "to_file", FOLLOW, WASI_CREAT | WASI_EXCL, WASI_EEXIST, NULL },
	{ "loop_a", FOLLOW, 0, WASI_ELOOP, NULL },
	{ "loop_a/x", 0, 0, WASI_ELOOP, NULL },
};

#define CASE_COUNT (sizeof path_cases / sizeof *path_cases)

START_TEST(paths_lead_where_they_should)
{
	struct sandbox box;
	char text[4097];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	populate(&box);
	for (size_t i = 0; i < CASE_COUNT; i++) {
		const struct path_case *c = &path_cases[i];
		uint32_t fd = 0;
		int got =
		    (int)open_at(&box, ROOT_FD, c->path, c->lookup, c->oflags, RIGHTS_R, 0, &fd);
		ck_assert_msg(got == (int)c->want, "\"%s\" lookup %u oflags %u: got %d, want %d",
		              c->path, c->lookup, c->oflags, got, (int)c->want);
		if (got != WASI_SUCCESS)
			continue;
		if (c->text != NULL) {
			EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
			ck_assert_str_eq(text, c->text);
		}
		EXPECT(CALL(&box, fd_close, fd), WASI_SUCCESS);
	}
	sandbox_close(&box);
}
END_TEST

START_TEST(a_folder_is_the_root_of_what_is_opened_through_it)
{
	struct sandbox box;
	uint32_t dir;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	populate(&box);
	EXPECT(open_at(&box, ROOT_FD, "dir", 0, WASI_OPEN_DIRECTORY, RIGHTS_DIR, 0, &dir),
	       WASI_SUCCESS);
	EXPECT(open_at(&box, dir, "file", 0, 0, RIGHTS_R, 0, NULL), WASI_SUCCESS);
	EXPECT(open_at(&box, dir, "sub/../file", 0, 0, RIGHTS_R, 0, NULL), WASI_SUCCESS);
	EXPECT(open_at(&box, dir, "..", 0, 0, RIGHTS_DIR, 0, NULL), WASI_EPERM);
	EXPECT(open_at(&box, dir, "../file", 0, 0, RIGHTS_R, 0, NULL), WASI_EPERM);
	EXPECT(open_at(&box, dir, "back", FOLLOW, 0, RIGHTS_R, 0, NULL), WASI_EPERM);
	EXPECT(mkdir_at(&box, dir, "../new"), WASI_EPERM);
	EXPECT(unlink_at(&box, dir, "../file"), WASI_EPERM);
	sandbox_close(&box);
}
END_TEST

/* Calls that make and remove names stay inside as well, whatever their last component is. */
START_TEST(names_are_changed_inside_only)
{
	static const char *const outside[] = { "../x", "up_dir/x",  "dir/../../x", "/tmp/x",
		                               "..",   "dir/../..", "up_dir/../x" };
	struct sandbox box;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	populate(&box);
	for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
		const char *path = outside[i];
		EXPECT(mkdir_at(&box, ROOT_FD, path), WASI_EPERM);
		EXPECT(rmdir_at(&box, ROOT_FD, path), WASI_EPERM);
		EXPECT(unlink_at(&box, ROOT_FD, path), WASI_EPERM);
		EXPECT(symlink_at(&box, "file", ROOT_FD, path), WASI_EPERM);
		EXPECT(link_at(&box, "file", path), WASI_EPERM);
		EXPECT(link_at(&box, path, "new"), WASI_EPERM);
		EXPECT(rename_at(&box, "file", path), WASI_EPERM);
		EXPECT(rename_at(&box, path, "new"), WASI_EPERM);
		EXPECT(stat_at(&box, path, 0, NULL), WASI_EPERM);
		EXPECT(stat_at(&box, path, FOLLOW, NULL), WASI_EPERM);
	}
	EXPECT(symlink_at(&box, "/etc/passwd", ROOT_FD, "absolute"), WASI_EPERM);
	EXPECT(symlink_at(&box, "", ROOT_FD, "empty"), WASI_ENOENT);
	sandbox_close(&box);
}
END_TEST

START_TEST(dots_and_slashes_at_the_end_are_refused_where_a_name_is_needed)
{
	struct sandbox box;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	populate(&box);
	EXPECT(mkdir_at(&box, ROOT_FD, "made/"), WASI_SUCCESS);
	EXPECT(mkdir_at(&box, ROOT_FD, "made"), WASI_EEXIST);
	EXPECT(mkdir_at(&box, ROOT_FD, "dir/."), WASI_EEXIST);
	EXPECT(mkdir_at(&box, ROOT_FD, "dir/.."), WASI_EEXIST);
	EXPECT(mkdir_at(&box, ROOT_FD, "to_dir"), WASI_EEXIST);
	EXPECT(mkdir_at(&box, ROOT_FD, "dangling"), WASI_EEXIST);
	EXPECT(rmdir_at(&box, ROOT_FD, "file"), WASI_ENOTDIR);
	EXPECT(rmdir_at(&box, ROOT_FD, "file/"), WASI_ENOTDIR);
	EXPECT(rmdir_at(&box, ROOT_FD, "dir"), WASI_ENOTEMPTY);
	EXPECT(rmdir_at(&box, ROOT_FD, "dir/."), WASI_EINVAL);
	EXPECT(rmdir_at(&box, ROOT_FD, "to_dir"), WASI_ENOTDIR);
	EXPECT(rmdir_at(&box, ROOT_FD, "to_dir/"), WASI_ENOTDIR);
	EXPECT(rmdir_at(&box, ROOT_FD, "made/"), WASI_SUCCESS);
	EXPECT(rmdir_at(&box, ROOT_FD, "made"), WASI_ENOENT);
	EXPECT(unlink_at(&box, ROOT_FD, "dir"), WASI_EISDIR);
	EXPECT(unlink_at(&box, ROOT_FD, "dir/"), WASI_EISDIR);
	EXPECT(unlink_at(&box, ROOT_FD, "file/"), WASI_ENOTDIR);
	EXPECT(unlink_at(&box, ROOT_FD, "to_dir/"), WASI_ENOTDIR);
	EXPECT(unlink_at(&box, ROOT_FD, "to_dir"), WASI_SUCCESS);
	EXPECT(symlink_at(&box, "x", ROOT_FD, "new/"), WASI_ENOENT);
	EXPECT(symlink_at(&box, "x", ROOT_FD, "dir/"), WASI_EEXIST);
	EXPECT(symlink_at(&box, "x", ROOT_FD, "file"), WASI_EEXIST);
	EXPECT(link_at(&box, "file", "new/"), WASI_ENOENT);
	EXPECT(link_at(&box, "file/", "new"), WASI_ENOTDIR);
	EXPECT(link_at(&box, "dir", "new"), WASI_EPERM);
	EXPECT(link_at(&box, "missing", "new"), WASI_ENOENT);
	EXPECT(link_at(&box, "file", "dir/file"), WASI_EEXIST);
	sandbox_close(&box);
}
END_TEST

START_TEST(renames_keep_to_the_rules)
{
	struct sandbox box;
	struct wasi_stat before;
	struct wasi_stat after;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	populate(&box);
	EXPECT(mkdir_at(&box, ROOT_FD, "empty"), WASI_SUCCESS);
	EXPECT(rename_at(&box, "missing", "new"), WASI_ENOENT);
	EXPECT(rename_at(&box, "file", "empty"), WASI_EISDIR);
	EXPECT(rename_at(&box, "empty", "file"), WASI_ENOTDIR);
	EXPECT(rename_at(&box, "empty", "dir"), WASI_ENOTEMPTY);
	EXPECT(rename_at(&box, "dir", "dir/sub/moved"), WASI_EINVAL);
	EXPECT(rename_at(&box, "file/", "new"), WASI_ENOTDIR);
	EXPECT(rename_at(&box, "file", "new/"), WASI_ENOTDIR);
	EXPECT(rename_at(&box, "dir/.", "new"), WASI_EBUSY);
	EXPECT(rename_at(&box, "file", "dir/.."), WASI_EBUSY);
	EXPECT(rename_at(&box, "file", "file"), WASI_SUCCESS);

	EXPECT(stat_at(&box, "file", 0, &before), WASI_SUCCESS);
	EXPECT(rename_at(&box, "file", "dir/file"), WASI_SUCCESS);
	EXPECT(stat_at(&box, "file", 0, NULL), WASI_ENOENT);
	EXPECT(stat_at(&box, "dir/file", 0, &after), WASI_SUCCESS);
	ck_assert_uint_eq(before.ino, after.ino);

	EXPECT(rename_at(&box, "dir/", "empty/"), WASI_SUCCESS);
	EXPECT(stat_at(&box, "empty/sub/deep", 0, NULL), WASI_SUCCESS);
	EXPECT(stat_at(&box, "empty/sub/..", 0, NULL), WASI_SUCCESS);
	EXPECT(stat_at(&box, "dir", 0, NULL), WASI_ENOENT);
	EXPECT(rename_at(&box, "empty/sub", "sub"), WASI_SUCCESS);
	EXPECT(stat_at(&box, "sub/../empty/file", 0, NULL), WASI_SUCCESS);
	EXPECT(rename_at(&box, "loop_a", "loop_c"), WASI_SUCCESS);
	EXPECT(stat_at(&box, "loop_c", 0, NULL), WASI_SUCCESS);
	sandbox_close(&box);
}
END_TEST

START_TEST(hard_links_share_a_file)
{
	struct sandbox box;
	struct wasi_stat a;
	struct wasi_stat b;
	char text[4097];
	uint32_t fd;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	populate(&box);
	EXPECT(link_at(&box, "file", "dir/again"), WASI_SUCCESS);
	EXPECT(link_at(&box, "dangling", "link_to_link"), WASI_SUCCESS);
	EXPECT(stat_at(&box, "file", 0, &a), WASI_SUCCESS);
	EXPECT(stat_at(&box, "dir/again", 0, &b), WASI_SUCCESS);
	ck_assert_uint_eq(a.ino, b.ino);
	ck_assert_uint_eq(b.links, 2);
	EXPECT(open_at(&box, ROOT_FD, "dir/again", 0, 0, RIGHTS_RW, 0, &fd), WASI_SUCCESS);
	EXPECT(unlink_at(&box, ROOT_FD, "file"), WASI_SUCCESS);
	EXPECT(unlink_at(&box, ROOT_FD, "dir/again"), WASI_SUCCESS);
	EXPECT(read_fd(&box, fd, text), WASI_SUCCESS); /* open files outlive their names */
	ck_assert_str_eq(text, "top");
	EXPECT(CALL(&box, fd_close, fd), WASI_SUCCESS);
	EXPECT(stat_at(&box, "link_to_link", 0, &a), WASI_SUCCESS);
	ck_assert_int_eq((int)a.type, WASI_SYMBOLIC_LINK);
	EXPECT(CALL(&box, path_link, ROOT_FD, FOLLOW, PATH_A, put_path(&box, PATH_A, "to_file"),
	            ROOT_FD, PATH_B, put_path(&box, PATH_B, "n")),
	       WASI_EINVAL);
	sandbox_close(&box);
}
END_TEST

START_TEST(links_are_read_and_made_through)
{
	struct sandbox box;
	struct wasi_stat st;
	uint32_t len;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	populate(&box);
	len = put_path(&box, PATH_A, "up");
	EXPECT(CALL(&box, path_readlink, ROOT_FD, PATH_A, len, BUF, 100, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 9);
	ck_assert_mem_eq(at(&box, BUF), "../secret", 9);
	EXPECT(CALL(&box, path_readlink, ROOT_FD, PATH_A, len, BUF, 4, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 4);
	EXPECT(CALL(&box, path_readlink, ROOT_FD, PATH_A, len, BUF, 0, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 0);
	len = put_path(&box, PATH_A, "file");
	EXPECT(CALL(&box, path_readlink, ROOT_FD, PATH_A, len, BUF, 100, OUT), WASI_EINVAL);
	len = put_path(&box, PATH_A, "to_dir/");
	EXPECT(CALL(&box, path_readlink, ROOT_FD, PATH_A, len, BUF, 100, OUT), WASI_EINVAL);

	/* A dangling link is created through when it is followed. */
	EXPECT(open_at(&box, ROOT_FD, "dangling", FOLLOW, WASI_CREAT, RIGHTS_RW, 0, NULL),
	       WASI_SUCCESS);
	EXPECT(stat_at(&box, "nowhere", 0, &st), WASI_SUCCESS);
	ck_assert_int_eq((int)st.type, WASI_REGULAR_FILE);
	EXPECT(stat_at(&box, "to_dir", 0, &st), WASI_SUCCESS);
	ck_assert_int_eq((int)st.type, WASI_SYMBOLIC_LINK);
	ck_assert_uint_eq(st.size_bytes, 3);
	EXPECT(stat_at(&box, "to_dir", FOLLOW, &st), WASI_SUCCESS);
	ck_assert_int_eq((int)st.type, WASI_DIRECTORY);
	sandbox_close(&box);
}
END_TEST

START_TEST(forty_links_are_followed_and_no_more)
{
	struct sandbox box;
	char name[16];
	char target[16] = "file";

	sandbox_open(&box, (enum backend)_i, false, NULL);
	make_file(&box, "file", "x");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof name, "l%d", i);
		EXPECT(symlink_at(&box, target, ROOT_FD, name), WASI_SUCCESS);
		memcpy(target, name, sizeof target);
	}
	EXPECT(stat_at(&box, "l40", FOLLOW, NULL), WASI_SUCCESS);
	EXPECT(stat_at(&box, "l41", FOLLOW, NULL), WASI_ELOOP);
	sandbox_close(&box);
}
END_TEST

START_TEST(odd_names_are_refused)
{
	struct sandbox box;
	char longest[WASI_PATH_MAX + 8];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	memset(longest, 'a', sizeof longest);
	longest[256] = '\0';
	EXPECT(mkdir_at(&box, ROOT_FD, longest), WASI_ENAMETOOLONG);
	EXPECT(stat_at(&box, longest, 0, NULL), WASI_ENAMETOOLONG);
	longest[255] = '\0';
	EXPECT(mkdir_at(&box, ROOT_FD, longest), WASI_SUCCESS);
	for (size_t i = 0; i < WASI_PATH_MAX; i++)
		longest[i] = i % 2 ? '/' : '.';
	longest[WASI_PATH_MAX] = '\0';
	EXPECT(stat_at(&box, longest, 0, NULL), WASI_ENAMETOOLONG);
	longest[WASI_PATH_MAX - 1] = '\0';
	EXPECT(stat_at(&box, longest, 0, NULL), WASI_SUCCESS);
	EXPECT(mkdir_at(&box, ROOT_FD, "\xff\xfe"), WASI_EILSEQ);
	EXPECT(mkdir_at(&box, ROOT_FD, "gr\xc3\xbc\xc3\x9f"), WASI_SUCCESS);
	memcpy(at(&box, PATH_A), "file\0", 5);
	EXPECT(CALL(&box, path_create_directory, ROOT_FD, PATH_A, 5), WASI_EINVAL);
	EXPECT(CALL(&box, path_create_directory, ROOT_FD, MEMORY_BYTES - 2, 5), WASI_EFAULT);
	EXPECT(CALL(&box, path_create_directory, ROOT_FD, 0xfffffff0, 0xffffffff), WASI_EFAULT);
	EXPECT(mkdir_at(&box, 9, "x"), WASI_EBADF);
	EXPECT(mkdir_at(&box, 1, "x"), WASI_ENOTDIR);
	sandbox_close(&box);
}
END_TEST

/* What the host puts into the folder: links the guest could not make, other kinds of files. */
START_TEST(hostile_host_folders_stay_closed)
{
	struct sandbox box;
	char path[128];
	char target[128];

	sandbox_open(&box, (enum backend)_i, false, NULL);
	snprintf(path, sizeof path, "%s/absolute", box.root);
	snprintf(target, sizeof target, "%s/file", box.root);
	make_file(&box, "file", "x");
	ck_assert_int_eq(symlink(target, path), 0);
	EXPECT(open_at(&box, ROOT_FD, "absolute", FOLLOW, 0, RIGHTS_R, 0, NULL), WASI_EPERM);
	snprintf(path, sizeof path, "%s/proc", box.root);
	ck_assert_int_eq(symlink("/proc/self/root", path), 0);
	EXPECT(open_at(&box, ROOT_FD, "proc/etc/passwd", FOLLOW, 0, RIGHTS_R, 0, NULL), WASI_EPERM);
	snprintf(path, sizeof path, "%s/fifo", box.root);
	ck_assert_int_eq(mkfifo(path, 0666), 0);
	/* Nobody is at the other end: opening does not wait for it. */
	uint32_t fd;
	char text[4097];
	EXPECT(open_at(&box, ROOT_FD, "fifo", 0, 0, RIGHTS_R, WASI_NONBLOCK, &fd), WASI_SUCCESS);
	EXPECT(read_fd(&box, fd, text), WASI_EAGAIN);
	EXPECT(CALL(&box, fd_close, fd), WASI_SUCCESS);
	EXPECT(open_at(&box, ROOT_FD, "fifo", 0, 0, WASI_RIGHT_FD_WRITE, 0, &fd), WASI_ENXIO);
	sandbox_close(&box);
}
END_TEST

struct flipper {
	char inside[128];
	char link[128];
	atomic_bool done;
};

/* Exchange a folder and a link out of the root, over and over. */
static void *
flip(void *env)
{
	struct flipper *flipper = env;

	while (!atomic_load(&flipper->done))
		renameat2(AT_FDCWD, flipper->inside, AT_FDCWD, flipper->link, RENAME_EXCHANGE);
	return NULL;
}

/* Whatever the host does meanwhile, a path leads inside or nowhere. */
START_TEST(links_that_appear_on_the_way_are_no_way_out)
{
	static const char *const paths[] = { "door/file", "door/../door/file", "door/sub/../file" };
	struct flipper flipper;
	struct sandbox box;
	pthread_t thread;
	char path[128];
	char text[4097];
	int opened = 0;
	uint32_t fd;

	sandbox_open(&box, (enum backend)_i, false, NULL);
	EXPECT(mkdir_at(&box, ROOT_FD, "door"), WASI_SUCCESS);
	EXPECT(mkdir_at(&box, ROOT_FD, "door/sub"), WASI_SUCCESS);
	make_file(&box, "door/file", "inside");
	snprintf(path, sizeof path, "%s/../outside/sub", box.root);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/../outside/file", box.root);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs("outside", file);
	fclose(file);
	snprintf(flipper.inside, sizeof flipper.inside, "%s/door", box.root);
	snprintf(flipper.link, sizeof flipper.link, "%s/link", box.root);
	ck_assert_int_eq(symlink("../outside", flipper.link), 0);
	atomic_init(&flipper.done, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, flip, &flipper), 0);
	for (int i = 0; i < 6000; i++) {
		if (open_at(&box, ROOT_FD, paths[i % 3], WASI_SYMLINK_FOLLOW, 0, RIGHTS_R, 0,
		            &fd) != WASI_SUCCESS)
			continue;
		opened++;
		EXPECT(read_fd(&box, fd, text), WASI_SUCCESS);
		ck_assert_str_eq(text, "inside");
		EXPECT(CALL(&box, fd_close, fd), WASI_SUCCESS);
	}
	atomic_store(&flipper.done, true);
	pthread_join(thread, NULL);
	ck_assert_int_gt(opened, 0);
	sandbox_close(&box);
}
END_TEST

/* Let openat2 fail with this errno from here on. False when that cannot be arranged. */
static bool
forbid_openat2(unsigned with)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | with),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

START_TEST(the_walk_is_taken_where_there_is_no_openat2)
{
	static const unsigned errors[] = { ENOSYS, EPERM };
	struct sandbox box;

	if (!forbid_openat2(errors[_i])) {
		fputs("system calls cannot be filtered here\n", stderr);
		return;
	}
	sandbox_open(&box, HOST_KERNEL, false, NULL);
	ck_assert_int_eq(beneath_way_of(AT_FDCWD), BENEATH_WALK);
	populate(&box);
	EXPECT(open_at(&box, ROOT_FD, "to_dir/../file", 0, 0, RIGHTS_R, 0, NULL), WASI_SUCCESS);
	EXPECT(open_at(&box, ROOT_FD, "../secret", 0, 0, RIGHTS_R, 0, NULL), WASI_EPERM);
	sandbox_close(&box);
}
END_TEST

START_TEST(read_only_trees_are_not_changed)
{
	struct sandbox box;
	uint32_t fd;
	uint32_t dir;

	sandbox_open(&box, (enum backend)_i, true, NULL);
	if (box.backend == MEMORY) {
		ck_assert_int_eq(vm_wasi_tree_put(box.tree, VM_STR("/dir/file"), "x", 1, NULL),
		                 VM_OK);
	} else {
		char path[128];
		snprintf(path, sizeof path, "%s/dir", box.root);
		ck_assert_int_eq(mkdir(path, 0755), 0);
		strcat(path, "/file");
		FILE *file = fopen(path, "w");
		ck_assert_ptr_nonnull(file);
		fputs("x", file);
		fclose(file);
	}
	EXPECT(open_at(&box, ROOT_FD, "dir", 0, WASI_OPEN_DIRECTORY, RIGHTS_DIR, 0, &dir),
	       WASI_SUCCESS);
	for (int i = 0; i < 2; i++) {
		/* Through the preopened folder, and through one opened beneath it. */
		uint32_t at_fd = i == 0 ? ROOT_FD : dir;
		const char *file = i == 0 ? "dir/file" : "file";
		EXPECT(open_at(&box, at_fd, file, 0, 0, RIGHTS_RW, 0, NULL), WASI_EROFS);
		EXPECT(open_at(&box, at_fd, file, 0, WASI_TRUNC, RIGHTS_R, 0, NULL), WASI_EROFS);
		EXPECT(open_at(&box, at_fd, "new", 0, WASI_CREAT, RIGHTS_R, 0, NULL), WASI_EROFS);
		EXPECT(mkdir_at(&box, at_fd, "new"), WASI_EROFS);
		EXPECT(rmdir_at(&box, at_fd, "dir"), WASI_EROFS);
		EXPECT(unlink_at(&box, at_fd, file), WASI_EROFS);
		EXPECT(symlink_at(&box, "x", at_fd, "new"), WASI_EROFS);
		EXPECT(CALL(&box, path_filestat_set_times, at_fd, 0, PATH_A,
		            put_path(&box, PATH_A, file), 0, 0, WASI_MTIM),
		       WASI_EROFS);
		EXPECT(open_at(&box, at_fd, file, 0, 0, RIGHTS_R | WASI_RIGHT_FD_FILESTAT_SET_TIMES,
		               0, &fd),
		       WASI_SUCCESS);
		EXPECT(write_fd(&box, fd, "y"), WASI_EROFS);
		EXPECT(CALL(&box, fd_filestat_set_size, fd, 0), WASI_EROFS);
		EXPECT(CALL(&box, fd_filestat_set_times, fd, 0, 0, WASI_MTIM), WASI_EROFS);
		EXPECT(CALL(&box, fd_allocate, fd, 0, 10), WASI_EROFS);
		EXPECT(CALL(&box, fd_close, fd), WASI_SUCCESS);
	}
	EXPECT(link_at(&box, "dir/file", "new"), WASI_EROFS);
	EXPECT(rename_at(&box, "dir/file", "new"), WASI_EROFS);
	EXPECT(CALL(&box, fd_filestat_set_times, ROOT_FD, 0, 0, WASI_MTIM), WASI_EROFS);
	sandbox_close(&box);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("wasi paths");
	TCase *all = tcase_create("every tree");
	TCase *host = tcase_create("host folders");

	tcase_add_loop_test(all, paths_lead_where_they_should, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, a_folder_is_the_root_of_what_is_opened_through_it, 0,
	                    BACKEND_COUNT);
	tcase_add_loop_test(all, names_are_changed_inside_only, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, dots_and_slashes_at_the_end_are_refused_where_a_name_is_needed, 0,
	                    BACKEND_COUNT);
	tcase_add_loop_test(all, renames_keep_to_the_rules, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, hard_links_share_a_file, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, links_are_read_and_made_through, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, forty_links_are_followed_and_no_more, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, odd_names_are_refused, 0, BACKEND_COUNT);
	tcase_add_loop_test(all, read_only_trees_are_not_changed, 0, BACKEND_COUNT);
	tcase_add_loop_test(host, hostile_host_folders_stay_closed, HOST_KERNEL, MEMORY);
	tcase_add_loop_test(host, links_that_appear_on_the_way_are_no_way_out, HOST_KERNEL, MEMORY);
	tcase_add_loop_test(host, the_walk_is_taken_where_there_is_no_openat2, 0, 2);
	suite_add_tcase(suite, all);
	suite_add_tcase(suite, host);
	return suite;
}
