#include "client/wasmedge/file.h"

#include <errno.h>
#include <fcntl.h>
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

enum vm_status
file_load_module(struct vm_engine *engine, const char *path, struct vm_module **out,
                 struct vm_error *err)
{
	struct vm_engine_config defaults;
	uint8_t *bytes;
	size_t len;

	vm_engine_config_init(&defaults);
	enum vm_status st = file_read(path, defaults.limits.module_bytes_max, &bytes, &len, err);
	if (st != VM_OK)
		return st;
	st = vm_module_load(engine, bytes, len, out, err);
	free(bytes);
	return st;
}
