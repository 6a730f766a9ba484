#include "daemon/mackey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIAL "cache-key"
#define OWN_FILE "cache.key"

/* Cut to what fits. */
static void VM_PRINTF(2, 3)
say(char message[MACKEY_MESSAGE_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, MACKEY_MESSAGE_MAX, format, args);
	va_end(args);
}

enum read_result { READ_OK, READ_MISSING, READ_BAD };

/* One byte more than there should be is asked for, so that a longer file is noticed. */
static enum read_result
read_key(const char *path, uint8_t out_key[VM_MAC_KEY_BYTES], char message[MACKEY_MESSAGE_MAX])
{
	uint8_t bytes[VM_MAC_KEY_BYTES + 1];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		say(message, "%s: %s", path, strerror(errno));
		return errno == ENOENT ? READ_MISSING : READ_BAD;
	}
	bool is_private = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) == 0;
	ssize_t len = is_private ? read(fd, bytes, sizeof bytes) : 0;
	close(fd);
	if (!is_private)
		say(message,
		    "%s: expected a file that only its owner can read; chmod 0600", path);
	else if (len != VM_MAC_KEY_BYTES)
		say(message,
		    "%s: expected a file of %d bytes; head -c %d /dev/urandom makes one", path,
		         VM_MAC_KEY_BYTES, VM_MAC_KEY_BYTES);
	else
		memcpy(out_key, bytes, VM_MAC_KEY_BYTES);
	return is_private && len == VM_MAC_KEY_BYTES ? READ_OK : READ_BAD;
}

/* Under its name the file is complete, or not there. */
static bool
write_key(const char *path, const uint8_t key[VM_MAC_KEY_BYTES])
{
	char partial[4096];
	bool ok = false;

	if (snprintf(partial, sizeof partial, "%s.partial", path) >= (int)sizeof partial)
		return false;
	unlink(partial);
	int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	ok = write(fd, key, VM_MAC_KEY_BYTES) == VM_MAC_KEY_BYTES && fsync(fd) == 0;
	ok = close(fd) == 0 && ok && rename(partial, path) == 0;
	if (!ok)
		unlink(partial);
	return ok;
}

static bool
load_own(const char *directory, uint8_t out_key[VM_MAC_KEY_BYTES],
         char message[MACKEY_MESSAGE_MAX])
{
	char path[4096];

	if (snprintf(path, sizeof path, "%s/" OWN_FILE, directory) >= (int)sizeof path) {
		say(message, "the path of the folder is too long");
		return false;
	}
	if (read_key(path, out_key, message) == READ_OK)
		return true;
	if (getrandom(out_key, VM_MAC_KEY_BYTES, 0) == VM_MAC_KEY_BYTES &&
	    write_key(path, out_key))
		return true;
	say(message, "%s: cannot make a key: %s", path, strerror(errno));
	return false;
}

bool
mackey_load(const char *path, const char *directory, uint8_t out_key[VM_MAC_KEY_BYTES],
            char message[MACKEY_MESSAGE_MAX])
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char credential[4096];

	if (path[0] != '\0')
		return read_key(path, out_key, message) == READ_OK;
	if (credentials != NULL && snprintf(credential, sizeof credential, "%s/" CREDENTIAL,
	                                    credentials) < (int)sizeof credential) {
		enum read_result result = read_key(credential, out_key, message);
		if (result != READ_MISSING)
			return result == READ_OK;
	}
	return load_own(directory, out_key, message);
}
