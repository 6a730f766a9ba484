#include "tests/wasi/sandbox.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <check.h>
#include "vm/wasi/beneath.h"

/* A folder with root/ to preopen, and what no guest may reach beside it. */
static char *
make_root(void)
{
	char base[] = "/tmp/wasi-XXXXXX";
	char path[64];
	char *root = malloc(64);

	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(path, sizeof path, "%s/outside", base);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/secret", base);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs("secret", file);
	fclose(file);
	snprintf(root, 64, "%s/root", base);
	ck_assert_int_eq(mkdir(root, 0755), 0);
	return root;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
remove_root(char *root)
{
	*strrchr(root, '/') = '\0';
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(root);
}

void
sandbox_config(struct vm_wasi_config *config)
{
	*config = (struct vm_wasi_config){ 0 };
}

void
sandbox_open(struct sandbox *box, enum backend backend, bool read_only,
             const struct vm_wasi_config *base)
{
	const struct vm_memorytype type = { .min = MEMORY_BYTES / VM_PAGE_SIZE,
		                            .has_max = true,
		                            .max = MEMORY_BYTES / VM_PAGE_SIZE };
	struct vm_wasi_config config = { 0 };

	*box = (struct sandbox){ .backend = backend, .abi = &wasi_abi_preview1 };
	ck_assert_int_eq(vm_engine_new(NULL, &box->engine, NULL), VM_OK);
	ck_assert_int_eq(vm_store_new(box->engine, NULL, &box->store, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_new(box->store, &type, &box->memory, NULL), VM_OK);
	if (base != NULL)
		config = *base;
	struct vm_wasi_preopen preopen = { .guest_path = VM_STR("/"), .read_only = read_only };
	if (backend == MEMORY) {
		ck_assert_int_eq(vm_wasi_tree_new(1 << 20, &box->tree, NULL), VM_OK);
		preopen.tree = box->tree;
	} else {
		box->root = make_root();
		preopen.host_path = box->root;
	}
	config.preopens = &preopen;
	config.preopen_count = 1;
	wasi_beneath_walk_only = backend == HOST_WALK;
	enum vm_status st = vm_wasi_attach(box->store, &config, &box->err);
	ck_assert_msg(st == VM_OK, "%s", box->err.message);
}

void
sandbox_close(struct sandbox *box)
{
	vm_store_free(box->store);
	vm_wasi_tree_free(box->tree);
	vm_engine_unref(box->engine);
	if (box->root != NULL)
		remove_root(box->root);
}

void (*sandbox_around_call)(bool begins);

enum wasi_errno
sandbox_call(struct sandbox *box, wasi_handler handler, const uint64_t *args, size_t count)
{
	union vm_slot slots[16] = { 0 };
	struct wasi_call call = {
		.wasi = wasi_of_store(box->store),
		.abi = box->abi,
		.memory = box->memory,
		.args = slots,
		.task = { .store = box->store, .err = &box->err },
	};

	for (size_t i = 0; i < count; i++)
		slots[i].u64 = args[i];
	if (sandbox_around_call != NULL)
		sandbox_around_call(true);
	enum wasi_errno e = handler(&call);
	if (sandbox_around_call != NULL)
		sandbox_around_call(false);
	box->status = call.task.status;
	return e;
}

uint8_t *
at(struct sandbox *box, uint32_t address)
{
	return vm_memory_data(box->memory) + address;
}

uint32_t
out_u32(struct sandbox *box)
{
	return wasi_get_u32(at(box, OUT));
}

uint64_t
out_u64(struct sandbox *box)
{
	return wasi_get_u64(at(box, OUT));
}

uint32_t
put_path(struct sandbox *box, uint32_t address, const char *path)
{
	size_t len = strlen(path);

	ck_assert_uint_lt(len, PATH_B - PATH_A);
	memcpy(at(box, address), path, len);
	return (uint32_t)len;
}

enum wasi_errno
open_at(struct sandbox *box, uint32_t fd, const char *path, uint32_t lookup, uint32_t oflags,
        uint64_t rights, uint32_t fdflags, uint32_t *out_fd)
{
	uint32_t len = put_path(box, PATH_A, path);
	enum wasi_errno e = CALL(box, path_open, fd, lookup, PATH_A, len, oflags, rights,
	                         WASI_RIGHTS_ALL, fdflags, OUT);

	if (e == WASI_SUCCESS && out_fd != NULL)
		*out_fd = out_u32(box);
	else if (e == WASI_SUCCESS)
		ck_assert_int_eq(CALL(box, fd_close, out_u32(box)), WASI_SUCCESS);
	return e;
}

enum wasi_errno
mkdir_at(struct sandbox *box, uint32_t fd, const char *path)
{
	return CALL(box, path_create_directory, fd, PATH_A, put_path(box, PATH_A, path));
}

enum wasi_errno
rmdir_at(struct sandbox *box, uint32_t fd, const char *path)
{
	return CALL(box, path_remove_directory, fd, PATH_A, put_path(box, PATH_A, path));
}

enum wasi_errno
unlink_at(struct sandbox *box, uint32_t fd, const char *path)
{
	return CALL(box, path_unlink_file, fd, PATH_A, put_path(box, PATH_A, path));
}

enum wasi_errno
symlink_at(struct sandbox *box, const char *target, uint32_t fd, const char *path)
{
	return CALL(box, path_symlink, PATH_A, put_path(box, PATH_A, target), fd, PATH_B,
	            put_path(box, PATH_B, path));
}

enum wasi_errno
link_at(struct sandbox *box, const char *path, const char *new_path)
{
	return CALL(box, path_link, ROOT_FD, 0, PATH_A, put_path(box, PATH_A, path), ROOT_FD,
	            PATH_B, put_path(box, PATH_B, new_path));
}

enum wasi_errno
rename_at(struct sandbox *box, const char *path, const char *new_path)
{
	return CALL(box, path_rename, ROOT_FD, PATH_A, put_path(box, PATH_A, path), ROOT_FD, PATH_B,
	            put_path(box, PATH_B, new_path));
}

enum wasi_errno
stat_at(struct sandbox *box, const char *path, uint32_t lookup, struct wasi_stat *out)
{
	enum wasi_errno e =
	    CALL(box, path_filestat_get, ROOT_FD, lookup, PATH_A, put_path(box, PATH_A, path), OUT);
	const uint8_t *from = at(box, OUT);

	if (e == WASI_SUCCESS && out != NULL)
		*out = (struct wasi_stat){
			wasi_get_u64(from),      wasi_get_u64(from + 8),  from[16],
			wasi_get_u64(from + 24), wasi_get_u64(from + 32), wasi_get_u64(from + 40),
			wasi_get_u64(from + 48), wasi_get_u64(from + 56)
		};
	return e;
}

enum wasi_errno
write_fd(struct sandbox *box, uint32_t fd, const char *text)
{
	size_t len = strlen(text);

	memcpy(at(box, BUF), text, len);
	wasi_put_u32(at(box, IOVECS), BUF);
	wasi_put_u32(at(box, IOVECS + 4), (uint32_t)len);
	enum wasi_errno e = CALL(box, fd_write, fd, IOVECS, 1, OUT);
	if (e == WASI_SUCCESS)
		ck_assert_uint_eq(out_u32(box), len);
	return e;
}

enum wasi_errno
read_fd(struct sandbox *box, uint32_t fd, char out[4097])
{
	wasi_put_u32(at(box, IOVECS), BUF);
	wasi_put_u32(at(box, IOVECS + 4), 4096);
	enum wasi_errno e = CALL(box, fd_read, fd, IOVECS, 1, OUT);
	if (e == WASI_SUCCESS) {
		memcpy(out, at(box, BUF), out_u32(box));
		out[out_u32(box)] = '\0';
	}
	return e;
}

void
make_file(struct sandbox *box, const char *path, const char *text)
{
	uint32_t fd;

	EXPECT(open_at(box, ROOT_FD, path, 0, WASI_CREAT | WASI_TRUNC, RIGHTS_RW, 0, &fd),
	       WASI_SUCCESS);
	EXPECT(write_fd(box, fd, text), WASI_SUCCESS);
	EXPECT(CALL(box, fd_close, fd), WASI_SUCCESS);
}
