#include "plugins/common/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum vm_status
nn_library_init(struct nn_library *library, const struct vm_plugin_host *host, const char *path,
                struct vm_error *err)
{
	library->path = strdup(path);
	if (library->path == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	pthread_mutex_init(&library->lock, NULL);
	return VM_OK;
}

void
nn_library_clear(struct nn_library *library)
{
	if (library->path == NULL)
		return;
	if (library->state == NN_LIBRARY_OPEN && library->release != NULL)
		library->release();
	free(library->path);
	library->path = NULL;
	pthread_mutex_destroy(&library->lock);
}

static bool
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The first of the names that opens, in the folder; NULL with the last reason in why. */
static void *
open_by_name(struct nn_library *library, const char *folder)
{
	char path[4096];

	for (const char *const *name = library->names; *name != NULL; name++) {
		int len = snprintf(path, sizeof path, "%s%s%s", folder, *folder != '\0' ? "/" : "",
		                   *name);
		if (len < 0 || (size_t)len >= sizeof path)
			continue;
		void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (handle != NULL)
			return handle;
	}
	return NULL;
}

static enum vm_status
missing(struct nn_library *library, const char *reason)
{
	snprintf(library->why, sizeof library->why, "%s cannot be opened: %.160s; %s",
	         library->title, reason, library->how);
	library->state = NN_LIBRARY_MISSING;
	return VM_E_UNSUPPORTED;
}

static enum vm_status
open_now(struct nn_library *library, const struct vm_plugin_host *host)
{
	void *handle;

	if (*library->path == '\0' || is_folder(library->path))
		handle = open_by_name(library, library->path);
	else
		handle = dlopen(library->path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		const char *reason = dlerror();
		return missing(library, reason != NULL ? reason : "not found");
	}
	for (const struct nn_symbol *symbol = library->symbols; symbol->name != NULL; symbol++) {
		void *address = dlsym(handle, symbol->name);
		if (address == NULL && !symbol->is_optional) {
			char text[96];
			snprintf(text, sizeof text, "it has no function %s", symbol->name);
			dlclose(handle);
			return missing(library, text);
		}
		memcpy(symbol->slot, &address, sizeof address);
	}
	if (library->check != NULL) {
		struct vm_error why;
		if (library->check(host, &why) != VM_OK)
			return missing(library, why.message);
	}
	library->state = NN_LIBRARY_OPEN;
	return VM_OK;
}

enum vm_status
nn_library_open(struct nn_library *library, const struct vm_plugin_host *host,
                struct vm_error *err)
{
	enum vm_status st = VM_OK;

	pthread_mutex_lock(&library->lock);
	if (library->state == NN_LIBRARY_CLOSED)
		st = open_now(library, host);
	if (library->state == NN_LIBRARY_MISSING)
		st = vm_plugin_fail(host, err, VM_E_UNSUPPORTED, "%s", library->why);
	pthread_mutex_unlock(&library->lock);
	return st;
}
