#include "client/wasmedge/key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/wasmedge"
#define NAME "/key"

/* Room for FOLDER, NAME and what mkostemp needs behind the folder of the user's state. */
enum { PATH_BYTES = PATH_MAX + 64 };

/* The folder in which programs keep a user's state. */
static enum vm_status
state_folder(char *out, size_t size, struct vm_error *err)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	int len;

	if (state != NULL && state[0] == '/')
		len = snprintf(out, size, "%s", state);
	else if (home != NULL && home[0] == '/')
		len = snprintf(out, size, "%s/.local/state", home);
	else
		return vm_error_set(err, VM_E_NOT_FOUND, VM_NO_OFFSET,
		                    "no place for the key of native code: neither XDG_STATE_HOME "
		                    "nor HOME is an absolute path");
	if (len < 0 || len >= PATH_MAX)
		return vm_error_set(
		    err, VM_E_NOT_FOUND, VM_NO_OFFSET,
		    "the path of the folder for the key of native code is too long");
	return VM_OK;
}

static enum vm_status
key_path(char out[PATH_BYTES], struct vm_error *err)
{
	enum vm_status st = state_folder(out, PATH_MAX, err);

	if (st == VM_OK)
		strcat(out, FOLDER NAME);
	return st;
}

/* Whether to believe an open key file. */
static enum vm_status
check_file(const char *path, const struct stat *st, struct vm_error *err)
{
	if (!S_ISREG(st->st_mode) || st->st_size != VM_MAC_KEY_BYTES)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "%s: expected a file of %d bytes; remove it, and compile again",
		                    path, VM_MAC_KEY_BYTES);
	if (st->st_uid != geteuid())
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "%s: the key belongs to user %u, not to %u", path,
		                    (unsigned)st->st_uid, (unsigned)geteuid());
	if ((st->st_mode & 077) != 0)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "%s: others may use the key: its mode is %03o, expected 600; "
		                    "remove it, and compile again", path,
		                    (unsigned)st->st_mode & 0777);
	return VM_OK;
}

static enum vm_status
read_file(const char *path, uint8_t out[VM_MAC_KEY_BYTES], struct vm_error *err)
{
	uint8_t key[VM_MAC_KEY_BYTES];
	struct stat stat;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return vm_error_set(err, errno == ENOENT ? VM_E_NOT_FOUND : VM_E_IO, VM_NO_OFFSET,
		                    "%s: %s", path, strerror(errno));
	enum vm_status st = VM_OK;
	if (fstat(fd, &stat) != 0)
		st = vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "%s: %s", path, strerror(errno));
	if (st == VM_OK)
		st = check_file(path, &stat, err);
	if (st == VM_OK && read(fd, key, sizeof key) != (ssize_t)sizeof key)
		st = vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "%s: cannot be read", path);
	if (st == VM_OK)
		memcpy(out, key, sizeof key);
	close(fd);
	return st;
}

enum vm_status
key_read(uint8_t out[VM_MAC_KEY_BYTES], struct vm_error *err)
{
	char path[PATH_BYTES];
	enum vm_status st = key_path(path, err);

	return st != VM_OK ? st : read_file(path, out, err);
}

/* --- making one ------------------------------------------------------------------------------ */

/* Make every folder of the path, for the user alone where there was none. */
static enum vm_status
make_folders(char *path, struct vm_error *err)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		const int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
		const int error = errno;
		if (slash != NULL)
			*slash = '/';
		/* A folder above that may not be changed, but is there, is no failure. */
		if (failed && slash == NULL)
			return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
			                    "cannot make the folder %s: %s", path, strerror(error));
		if (slash == NULL)
			return VM_OK;
	}
}

/* Fill a fresh file, of mode 0600 as mkostemp makes it, and give it the key's name. */
static enum vm_status
fill_file(int fd, const char *temporary, const char *path, struct vm_error *err)
{
	uint8_t key[VM_MAC_KEY_BYTES];

	if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key ||
	    write(fd, key, sizeof key) != (ssize_t)sizeof key || fsync(fd) != 0)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot write %s: %s", temporary,
		                    strerror(errno));
	/* Unlike a rename this leaves a key alone that another process made meanwhile. */
	if (link(temporary, path) != 0 && errno != EEXIST)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot make %s: %s", path,
		                    strerror(errno));
	return VM_OK;
}

static enum vm_status
make_file(const char *path, struct vm_error *err)
{
	char temporary[PATH_BYTES + 16];

	snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot make %s: %s", temporary,
		                    strerror(errno));
	enum vm_status st = fill_file(fd, temporary, path, err);
	close(fd);
	unlink(temporary);
	return st;
}

enum vm_status
key_read_or_make(uint8_t out[VM_MAC_KEY_BYTES], struct vm_error *err)
{
	char path[PATH_BYTES];
	enum vm_status st = key_path(path, err);

	if (st != VM_OK)
		return st;
	st = read_file(path, out, err);
	if (st != VM_E_NOT_FOUND)
		return st;
	char *name = path + strlen(path) - strlen(NAME);
	*name = '\0';
	st = make_folders(path, err);
	*name = '/';
	if (st == VM_OK)
		st = make_file(path, err);
	return st != VM_OK ? st : read_file(path, out, err);
}
