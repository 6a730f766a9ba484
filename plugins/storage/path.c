#include "plugins/storage/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "plugins/storage/database.h"

#define FILE_NAME "storage.db"

/* Make the folders above the last part of a path, for their owner only. */
static bool
make_folders(char *path)
{
	for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		const bool is_there = mkdir(path, 0700) == 0 || errno == EEXIST;
		*p = '/';
		if (!is_there)
			return false;
	}
	return true;
}

static bool
is_folder(const char *path)
{
	struct stat found;

	return path[strlen(path) - 1] == '/' ||
	       (stat(path, &found) == 0 && S_ISDIR(found.st_mode));
}

static enum wasmedge_storage_status
use_asked(const char *asked, char **out, struct wasmedge_storage_error *err)
{
	if (asprintf(out, "%s%s", asked, is_folder(asked) ? "/" FILE_NAME : "") >= 0)
		return WASMEDGE_STORAGE_OK;
	*out = NULL;
	return wes_fail(err, WASMEDGE_STORAGE_NOMEM, "out of memory");
}

/* An absolute path from the environment; a program with privileges of its own has none. */
static const char *
environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value != NULL && value[0] == '/' ? value : NULL;
}

static enum wasmedge_storage_status
use_standard(char **out, struct wasmedge_storage_error *err)
{
	const char *state = environment("XDG_STATE_HOME");
	const char *home = environment("HOME");
	char *path = NULL;

	if (state == NULL && home == NULL)
		return wes_fail(err, WASMEDGE_STORAGE_ARGUMENT,
		                    "no place for the storage is known; set the option path, or "
		                    "STORAGE_INTERFACE_DB_PATH in the environment");
	if (asprintf(&path, "%s%s/wasmedge/" FILE_NAME, state != NULL ? state : home,
	             state != NULL ? "" : "/.local/state") < 0)
		return wes_fail(err, WASMEDGE_STORAGE_NOMEM, "out of memory");
	if (make_folders(path)) {
		*out = path;
		return WASMEDGE_STORAGE_OK;
	}
	wes_fail(err, WASMEDGE_STORAGE_IO, "%s: cannot make its folder: %s", path,
	             strerror(errno));
	free(path);
	return WASMEDGE_STORAGE_IO;
}

enum wasmedge_storage_status
wes_find_path(const char *asked, char **out, struct wasmedge_storage_error *err)
{
	if (asked == NULL || asked[0] == '\0')
		asked = secure_getenv("STORAGE_INTERFACE_DB_PATH");
	return asked != NULL && asked[0] != '\0' ? use_asked(asked, out, err)
	                                         : use_standard(out, err);
}
