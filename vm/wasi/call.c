/*
 * call.c - reading arguments that point into guest memory.
 */
#include "vm/wasi/call.h"

#include <string.h>
#include "vm/base/utf8.h"

uint8_t *
wasi_guest_range(const struct wasi_call *call, uint32_t address, uint64_t len)
{
	return call->memory == NULL ? NULL : vm_memory_range(call->memory, address, len);
}

enum wasi_errno
wasi_guest_path(const struct wasi_call *call, uint32_t address, uint32_t len,
                char out[WASI_PATH_MAX])
{
	const uint8_t *text = wasi_guest_range(call, address, len);

	if (text == NULL)
		return WASI_EFAULT;
	if (len >= WASI_PATH_MAX)
		return WASI_ENAMETOOLONG;
	if (!utf8_is_valid(text, len))
		return WASI_EILSEQ;
	if (memchr(text, '\0', len) != NULL)
		return WASI_EINVAL;
	memcpy(out, text, len);
	out[len] = '\0';
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_guest_iovecs(const struct wasi_call *call, uint32_t address, uint32_t count,
                  struct iovec out[WASI_IOV_MAX], size_t *out_count)
{
	uint64_t total = 0;

	if (count > WASI_IOV_MAX)
		count = WASI_IOV_MAX;
	const uint8_t *iovecs = wasi_guest_range(call, address, (uint64_t)count * WASI_IOVEC_BYTES);
	if (iovecs == NULL)
		return WASI_EFAULT;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *iovec = iovecs + (size_t)i * WASI_IOVEC_BYTES;
		uint32_t len = wasi_get_u32(iovec + 4);
		out[i].iov_base = wasi_guest_range(call, wasi_get_u32(iovec), len);
		out[i].iov_len = len;
		if (out[i].iov_base == NULL)
			return WASI_EFAULT;
		total += len;
	}
	if (total > UINT32_MAX)
		return WASI_EINVAL;
	*out_count = count;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_guest_put_u32(const struct wasi_call *call, uint32_t address, uint32_t value)
{
	uint8_t *to = wasi_guest_range(call, address, 4);

	if (to == NULL)
		return WASI_EFAULT;
	wasi_put_u32(to, value);
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_guest_put_u64(const struct wasi_call *call, uint32_t address, uint64_t value)
{
	uint8_t *to = wasi_guest_range(call, address, 8);

	if (to == NULL)
		return WASI_EFAULT;
	wasi_put_u64(to, value);
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_call_fd(const struct wasi_call *call, unsigned index, uint64_t rights, struct wasi_fd **out)
{
	return wasi_fds_get(&call->wasi->fds, call->args[index].u32, rights, out);
}

enum wasi_errno
wasi_call_dir(const struct wasi_call *call, unsigned index, uint64_t rights, struct wasi_fd **out)
{
	struct wasi_fd *fd;
	enum wasi_errno e = wasi_call_fd(call, index, 0, &fd);

	if (e != WASI_SUCCESS)
		return e;
	if (fd->file->ops->dir == NULL)
		return WASI_ENOTDIR;
	return wasi_call_fd(call, index, rights, out);
}

enum wasi_errno
wasi_call_times(const struct wasi_call *call, unsigned index, struct wasi_times *out)
{
	const uint32_t flags = call->args[index + 2].u32;

	if ((flags & ~(uint32_t)WASI_FSTFLAGS_ALL) ||
	    ((flags & WASI_ATIM) && (flags & WASI_ATIM_NOW)) ||
	    ((flags & WASI_MTIM) && (flags & WASI_MTIM_NOW)))
		return WASI_EINVAL;
	*out = (struct wasi_times){ .atim = call->args[index].u64,
		                    .mtim = call->args[index + 1].u64,
		                    .flags = (uint16_t)flags };
	return WASI_SUCCESS;
}
