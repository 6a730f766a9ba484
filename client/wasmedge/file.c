#include "client/wasmedge/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Read until the end of the file or until the block is full. */
static enum vm_status
read_block(int fd, uint8_t *block, size_t capacity, size_t *out_len, struct vm_error *err)
{
	size_t len = 0;

	while (len < capacity) {
		ssize_t n = read(fd, block + len, capacity - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot read the file: %s",
			                    strerror(errno));
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*out_len = len;
	return VM_OK;
}

/* The size is only known at the end where the file is a pipe: the block grows as it is filled. */
static enum vm_status
read_all(int fd, size_t size_hint, uint64_t bytes_max, uint8_t **out_bytes, size_t *out_len,
         struct vm_error *err)
{
	size_t capacity = size_hint + 1; /* one more byte shows the end */
	size_t len = 0;
	uint8_t *bytes = NULL;
	enum vm_status st;

	for (;;) {
		uint8_t *larger = realloc(bytes, capacity);
		if (larger == NULL) {
			st = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
			goto done;
		}
		bytes = larger;
		size_t got = 0;
		st = read_block(fd, bytes + len, capacity - len, &got, err);
		if (st != VM_OK)
			goto done;
		len += got;
		if (len > bytes_max) {
			st = vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
			                  "the file has more than %llu bytes",
			                  (unsigned long long)bytes_max);
			goto done;
		}
		if (len < capacity)
			break;
		capacity += capacity / 2 + 4096;
	}
	*out_bytes = bytes;
	*out_len = len;
	bytes = NULL;
done:
	free(bytes);
	return st;
}

bool
file_is_read_once(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

enum vm_status
file_read(const char *path, uint64_t bytes_max, uint8_t **out_bytes, size_t *out_len,
          struct vm_error *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot open the file: %s",
		                    strerror(errno));
	size_t size_hint = 65536;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= bytes_max)
		size_hint = (size_t)st.st_size;
	enum vm_status status = read_all(fd, size_hint, bytes_max, out_bytes, out_len, err);
	close(fd);
	return status;
}

/* --- text ----------------------------------------------------------------------------------- */

/* Its message says where; an offset would be taken for one in a binary. */
static enum vm_status
text_to_binary(struct vm_engine *engine, uint8_t **bytes, size_t *len, struct vm_error *err)
{
	uint8_t *binary;
	size_t binary_len;

	enum vm_status st = vm_text_parse(engine, (const char *)*bytes, *len, VM_TEXT_NAMES,
	                                  &binary, &binary_len, err);
	free(*bytes);
	*bytes = NULL;
	if (st != VM_OK) {
		err->offset = VM_NO_OFFSET;
		return st;
	}
	*bytes = malloc(binary_len);
	if (*bytes != NULL)
		memcpy(*bytes, binary, binary_len);
	else
		st = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	vm_text_free(engine, binary);
	*len = binary_len;
	return st;
}

enum vm_status
file_read_module(struct vm_engine *engine, const char *path, uint8_t **out_bytes, size_t *out_len,
                 struct vm_error *err)
{
	struct vm_engine_config defaults;
	uint8_t *bytes;
	size_t len;

	vm_engine_config_init(&defaults);
	enum vm_status st = file_read(path, defaults.limits.module_bytes_max, &bytes, &len, err);
	if (st == VM_OK && vm_text_is_likely(bytes, len))
		st = text_to_binary(engine, &bytes, &len, err);
	if (st != VM_OK)
		return st;
	*out_bytes = bytes;
	*out_len = len;
	return VM_OK;
}

enum vm_status
file_load_module(struct vm_engine *engine, const char *path, struct vm_module **out,
                 struct vm_error *err)
{
	uint8_t *bytes;
	size_t len;

	enum vm_status st = file_read_module(engine, path, &bytes, &len, err);
	if (st != VM_OK)
		return st;
	st = vm_module_load(engine, bytes, len, out, err);
	free(bytes);
	return st;
}

/* --- writing -------------------------------------------------------------------------------- */

static enum vm_status
failed_to(struct vm_error *err, const char *what)
{
	return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot %s: %s", what, strerror(errno));
}

static enum vm_status
write_all(int fd, struct vm_str part, struct vm_error *err)
{
	while (part.len > 0) {
		ssize_t n = write(fd, part.data, part.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed_to(err, "write the file");
		part.data += n;
		part.len -= (size_t)n;
	}
	return VM_OK;
}

/* The mode of the file that is there, or of one that the user would make. */
static mode_t
mode_for(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return st.st_mode & 0777;
	const mode_t mask = umask(0);
	umask(mask);
	return 0666 & ~mask;
}

enum vm_status
file_write(const char *path, const struct vm_str *parts, size_t count, struct vm_error *err)
{
	enum vm_status st = VM_OK;
	char *temporary;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		st = failed_to(err, "make a file in its folder");
		free(temporary);
		return st;
	}
	for (size_t i = 0; i < count && st == VM_OK; i++)
		st = write_all(fd, parts[i], err);
	if (st == VM_OK && fchmod(fd, mode_for(path)) != 0)
		st = failed_to(err, "set the mode of the file");
	if (close(fd) != 0 && st == VM_OK)
		st = failed_to(err, "write the file");
	if (st == VM_OK && rename(temporary, path) != 0)
		st = failed_to(err, "give the file its name");
	if (st != VM_OK)
		unlink(temporary);
	free(temporary);
	return st;
}
