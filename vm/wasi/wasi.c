/*
 * wasi.c - defines the functions in a linker and makes the state of a store.
 */
#include "vm/wasi.h"

#include <stdlib.h>
#include <string.h>
#include "vm/wasi/clock.h"
#include "vm/wasi/fn.h"
#include "vm/wasi/hostfile.h"
#include "vm/wasi/memfile.h"
#include "vm/wasi/stream.h"

/* --- functions ---------------------------------------------------------------------------- */

enum since { UNSTABLE, PREVIEW1 };

static const struct row {
	const char *name;
	const char *params;
	const char *results;
	enum since since;
	wasi_handler handler;
} rows[] = {
#define FN(name, params, results, since) { #name, params, results, since, wasi_##name },
#include "vm/def/wasi.def"
#undef FN
};

#define ROW_COUNT (sizeof rows / sizeof *rows)
#define PARAMS_MAX 9

/* A store's state is attached under this address. */
static const char attachment_key;

/* The memory the calling instance exports, remembered for the next call. */
static const struct vm_memory *
memory_of(struct wasi *wasi, struct vm_instance *instance)
{
	struct vm_extern memory;

	if (instance == NULL)
		return NULL;
	if (wasi->instance != instance) {
		wasi->memory = NULL;
		if (vm_instance_export(instance, VM_STR("memory"), &memory, NULL) == VM_OK &&
		    memory.kind == VM_EXTERN_MEMORY)
			wasi->memory = memory.of.memory;
		wasi->instance = instance;
	}
	return wasi->memory;
}

struct wasi *
wasi_of_store(const struct vm_store *store)
{
	return vm_store_attachment(store, &attachment_key);
}

static enum vm_status
call_row(const struct row *row, const struct wasi_abi *abi, const struct vm_caller *caller,
         union vm_slot *slots, struct vm_error *err)
{
	struct wasi *wasi = wasi_of_store(caller->store);

	if (wasi == NULL)
		return vm_error_trap(err, VM_TRAP_HOST, "%s.%s: the store was given no WASI state",
		                     abi->module, row->name);
	struct wasi_call call = {
		.wasi = wasi,
		.abi = abi,
		.memory = memory_of(wasi, caller->instance),
		.args = slots,
		.task = { .store = caller->store, .err = err },
	};
	enum wasi_errno e = row->handler(&call);
	if (e == WASI_ENDED)
		return call.task.status;
	if (e == WASI_EFAULT && call.memory == NULL)
		return vm_error_trap(err, VM_TRAP_HOST,
		                     "%s.%s: the calling module exports no memory \"memory\"",
		                     abi->module, row->name);
	slots[0].i32 = (int32_t)e;
	return VM_OK;
}

/* env is the number of the row. */
static enum vm_status
call_unstable(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	return call_row(&rows[(uintptr_t)env], &wasi_abi_unstable, caller, slots, err);
}

static enum vm_status
call_preview1(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	return call_row(&rows[(uintptr_t)env], &wasi_abi_preview1, caller, slots, err);
}

static uint32_t
parse_types(const char *letters, vm_valtype *out)
{
	uint32_t count = 0;

	for (; letters[count] != '\0'; count++)
		out[count] = letters[count] == 'l' ? VM_I64 : VM_I32;
	return count;
}

static enum vm_status
define_row(struct vm_linker *linker, size_t index, const struct wasi_abi *abi, vm_host_fn fn,
           struct vm_error *err)
{
	const struct row *row = &rows[index];
	vm_valtype params[PARAMS_MAX];
	vm_valtype results[1];
	const struct vm_functype type = {
		.params = params,
		.results = results,
		.param_count = parse_types(row->params, params),
		.result_count = parse_types(row->results, results),
	};

	return vm_linker_define_func(linker, (struct vm_str){ abi->module, strlen(abi->module) },
	                             (struct vm_str){ row->name, strlen(row->name) }, &type, fn,
	                             (void *)(uintptr_t)index, err);
}

enum vm_status
vm_wasi_define(struct vm_linker *linker, struct vm_error *err)
{
	enum vm_status st = VM_OK;

	for (size_t i = 0; i < ROW_COUNT && st == VM_OK; i++) {
		st = define_row(linker, i, &wasi_abi_preview1, call_preview1, err);
		if (st == VM_OK && rows[i].since == UNSTABLE)
			st = define_row(linker, i, &wasi_abi_unstable, call_unstable, err);
	}
	return st;
}

static bool
is_named(struct vm_str str, const char *name)
{
	return strlen(name) == str.len && memcmp(name, str.data, str.len) == 0;
}

/* Define the function of a generation that the import names, if there is one. */
static enum vm_status
define_import(struct vm_linker *linker, const struct vm_import *import, struct vm_error *err)
{
	bool is_preview1 = is_named(import->module, wasi_abi_preview1.module);

	if (!is_preview1 && !is_named(import->module, wasi_abi_unstable.module))
		return VM_OK;
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (!is_named(import->name, rows[i].name))
			continue;
		if (is_preview1)
			return define_row(linker, i, &wasi_abi_preview1, call_preview1, err);
		if (rows[i].since == UNSTABLE)
			return define_row(linker, i, &wasi_abi_unstable, call_unstable, err);
	}
	return VM_OK;
}

enum vm_status
vm_wasi_define_imports(struct vm_linker *linker, const struct vm_module *module,
                       struct vm_error *err)
{
	uint32_t count = vm_module_import_count(module);
	enum vm_status st = VM_OK;

	for (uint32_t i = 0; i < count && st == VM_OK; i++) {
		struct vm_import import;

		vm_module_import(module, i, &import);
		st = define_import(linker, &import, err);
	}
	return st;
}

/* --- the state of a store ----------------------------------------------------------------- */

static enum vm_status
out_of_memory(struct vm_error *err)
{
	return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
}

static void
wasi_free(void *data)
{
	struct wasi *wasi = data;

	wasi_fds_clear(&wasi->fds);
	for (size_t i = 0; i < wasi->tree_count; i++)
		mem_tree_detach(wasi->trees[i]);
	free(wasi->trees);
	free(wasi->args.bytes);
	free(wasi->env.bytes);
	free(wasi);
}

/* Copy strings as the guest gets them. what names one in errors. */
static enum vm_status
copy_strings(const struct vm_str *strings, size_t count, bool need_equals, const char *what,
             struct wasi_strings *out, struct vm_error *err)
{
	uint64_t size = 0;

	for (size_t i = 0; i < count; i++) {
		size += (uint64_t)strings[i].len + 1;
		if (strings[i].len > 0 && memchr(strings[i].data, '\0', strings[i].len) != NULL)
			return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
			                    "%s %zu contains a NUL byte", what, i);
		if (need_equals &&
		    (strings[i].len == 0 || memchr(strings[i].data, '=', strings[i].len) == NULL))
			return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
			                    "%s %zu has no '=', expected NAME=value", what, i);
	}
	if (size > INT32_MAX || count > INT32_MAX)
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "each %s together: %llu bytes, the limit is %d", what,
		                    (unsigned long long)size, INT32_MAX);
	char *to = malloc(size > 0 ? (size_t)size : 1);
	if (to == NULL)
		return out_of_memory(err);
	*out = (struct wasi_strings){ to, (uint32_t)size, (uint32_t)count };
	for (size_t i = 0; i < count; i++) {
		if (strings[i].len > 0)
			memcpy(to, strings[i].data, strings[i].len);
		to[strings[i].len] = '\0';
		to += strings[i].len + 1;
	}
	return VM_OK;
}

/* Hand a descriptor to the table, or give it up. */
static enum vm_status
add_fd(struct wasi *wasi, struct wasi_fd *fd, struct vm_error *err)
{
	uint32_t number;

	switch ((int)wasi_fds_add(&wasi->fds, fd, &number)) {
	case WASI_SUCCESS:
		return VM_OK;
	case WASI_EMFILE:
		fd->file->ops->close(fd->file);
		free(fd->preopen);
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "more preopened folders and sockets than the %d descriptors "
		                    "a guest may have",
		                    WASI_FDS_MAX);
	default:
		fd->file->ops->close(fd->file);
		free(fd->preopen);
		return out_of_memory(err);
	}
}

/* A stream without the rights of the other direction. */
static enum vm_status
add_stream(struct wasi *wasi, const struct vm_wasi_stream *config, const char *name,
           uint64_t denied, struct vm_error *err)
{
	struct wasi_fd fd = { 0 };
	enum wasi_errno e = wasi_stream_new(config, &fd.file);

	if (e == WASI_ENOMEM)
		return out_of_memory(err);
	if (e != WASI_SUCCESS)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
		                    "%s: descriptor %d cannot be used: %s", name, config->fd,
		                    wasi_errno_text(e));
	fd.rights_base = fd.file->rights & ~denied;
	return add_fd(wasi, &fd, err);
}

static enum vm_status
attach_tree(struct wasi *wasi, struct vm_wasi_tree *tree, struct vm_error *err)
{
	for (size_t i = 0; i < wasi->tree_count; i++) {
		if (wasi->trees[i] == tree)
			return VM_OK;
	}
	if (tree->store != NULL)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "the file tree is attached to another store already");
	if (!mem_tree_attach(tree, wasi->store))
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "the file tree's %llu bytes exceed the store's memory limit",
		                    (unsigned long long)tree->bytes_used);
	wasi->trees[wasi->tree_count++] = tree;
	return VM_OK;
}

static enum vm_status
open_preopen(struct wasi *wasi, const struct vm_wasi_preopen *preopen, struct wasi_file **out,
             struct vm_error *err)
{
	enum wasi_errno e;

	if ((preopen->host_path == NULL) == (preopen->tree == NULL))
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "preopened folder \"%.*s\": expected either a host path or a "
		                    "file tree",
		                    (int)preopen->guest_path.len, preopen->guest_path.data);
	if (preopen->host_path != NULL) {
		e = wasi_hostdir_open(preopen->host_path, out);
		if (e != WASI_SUCCESS)
			return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot open folder %s: %s",
			                    preopen->host_path, wasi_errno_text(e));
		return VM_OK;
	}
	enum vm_status st = attach_tree(wasi, preopen->tree, err);
	if (st == VM_OK && wasi_memdir_open(preopen->tree, out) != WASI_SUCCESS)
		st = out_of_memory(err);
	return st;
}

static enum vm_status
add_preopen(struct wasi *wasi, const struct vm_wasi_preopen *preopen, struct vm_error *err)
{
	struct wasi_fd fd = { .read_only = preopen->read_only,
		              .preopen_len = preopen->guest_path.len };
	enum vm_status st = VM_OK;

	fd.preopen = malloc(fd.preopen_len + 1);
	if (fd.preopen == NULL)
		return out_of_memory(err);
	if (fd.preopen_len > 0)
		memcpy(fd.preopen, preopen->guest_path.data, fd.preopen_len);
	st = open_preopen(wasi, preopen, &fd.file, err);
	if (st != VM_OK) {
		free(fd.preopen);
		return st;
	}
	fd.rights_base = fd.file->rights & (fd.read_only ? ~WASI_RIGHTS_CHANGE : UINT64_MAX);
	fd.rights_inheriting = WASI_RIGHTS_ALL;
	return add_fd(wasi, &fd, err);
}

static enum vm_status
add_listener(struct wasi *wasi, int host_fd, struct vm_error *err)
{
	struct wasi_fd fd = { .rights_inheriting = WASI_RIGHTS_SOCKET };
	enum wasi_errno e = wasi_hostlistener_new(host_fd, &fd.file);

	if (e != WASI_SUCCESS)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
		                    "descriptor %d cannot be used as a listening socket: %s",
		                    host_fd, wasi_errno_text(e));
	fd.rights_base = fd.file->rights;
	return add_fd(wasi, &fd, err);
}

/* Descriptors 0 to 2, then the folders, then the sockets. */
static enum vm_status
fill_fds(struct wasi *wasi, const struct vm_wasi_config *config, struct vm_error *err)
{
	enum vm_status st =
	    add_stream(wasi, &config->stdin_stream, "stdin", WASI_RIGHTS_CHANGE, err);

	if (st == VM_OK)
		st = add_stream(wasi, &config->stdout_stream, "stdout", WASI_RIGHT_FD_READ, err);
	if (st == VM_OK)
		st = add_stream(wasi, &config->stderr_stream, "stderr", WASI_RIGHT_FD_READ, err);
	for (size_t i = 0; i < config->preopen_count && st == VM_OK; i++)
		st = add_preopen(wasi, &config->preopens[i], err);
	for (size_t i = 0; i < config->listen_fd_count && st == VM_OK; i++)
		st = add_listener(wasi, config->listen_fds[i], err);
	return st;
}

enum vm_status
vm_wasi_attach(struct vm_store *store, const struct vm_wasi_config *config, struct vm_error *err)
{
	struct wasi *wasi = calloc(1, sizeof *wasi);
	enum vm_status st;

	if (wasi == NULL)
		return out_of_memory(err);
	wasi->store = store;
	wasi->cpu_start_ns = wasi_clock_cpu();
	wasi->trees = calloc(config->preopen_count + 1, sizeof *wasi->trees);
	if (wasi->trees == NULL) {
		st = out_of_memory(err);
		goto done;
	}
	st = copy_strings(config->args, config->arg_count, false, "argument", &wasi->args, err);
	if (st == VM_OK)
		st = copy_strings(config->env, config->env_count, true, "environment variable",
		                  &wasi->env, err);
	if (st == VM_OK)
		st = fill_fds(wasi, config, err);
	if (st == VM_OK)
		st = vm_store_attach(store, &attachment_key, wasi, wasi_free, err);
	if (st == VM_OK)
		wasi = NULL; /* the store's from here on */
done:
	if (wasi != NULL)
		wasi_free(wasi);
	return st;
}

/* --- for other host functions --------------------------------------------------------------- */

enum vm_status
vm_wasi_write(struct vm_store *store, int stream, const void *data, size_t len,
              struct vm_error *err)
{
	struct wasi *wasi = wasi_of_store(store);
	struct wasi_task task = { .store = store, .err = err };
	const char *next = data;
	struct wasi_fd *fd;

	if (wasi == NULL ||
	    wasi_fds_get(&wasi->fds, (uint32_t)stream, WASI_RIGHT_FD_WRITE, &fd) != WASI_SUCCESS ||
	    fd->file->ops->write == NULL)
		return VM_OK;
	while (len > 0) {
		const struct iovec piece = { (void *)(uintptr_t)next, len };
		const struct wasi_io io = { &piece, 1, WASI_AT_POSITION };
		size_t written = 0;

		enum wasi_errno e = fd->file->ops->write(fd->file, &task, &io, &written);
		if (e == WASI_ENDED)
			return task.status;
		if (e != WASI_SUCCESS || written == 0)
			return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
			                    "cannot write to descriptor %d: %s", stream,
			                    wasi_errno_text(e));
		next += written;
		len -= written;
	}
	return VM_OK;
}
