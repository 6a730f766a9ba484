#include "vm/rt/image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vm/rt/memory.h"

/* Less is copied. See tests/vm/rt/measure_instance.c. */
enum { IMAGE_BYTES_MIN = 32 << 10 };

/* Where a segment goes; false when that is not known or outside of the memory as it starts. */
static bool
segment_range(const struct vm_module *module, const struct module_data *data, uint64_t *out_at)
{
	const struct vm_memorytype *type = &module->memories[0];
	uint64_t at = type->is_64 ? data->offset.bits[0] : (uint32_t)data->offset.bits[0];
	uint64_t size;

	if (data->memory != 0 || data->offset.kind != CONST_VALUE ||
	    __builtin_mul_overflow(type->min, (uint64_t)VM_PAGE_SIZE, &size))
		return false;
	*out_at = at;
	return at <= size && data->size <= size - at;
}

bool
image_plan(const struct vm_module *module, uint64_t *out_start, uint64_t *out_size_bytes)
{
	uint64_t low = UINT64_MAX, high = 0, sum = 0, at;

	if (module->memory_import_count > 0 || module->memory_count == 0 ||
	    !memory_is_dropped(&module->memories[0]))
		return false;
	for (uint32_t i = 0; i < module->data_count; i++) {
		const struct module_data *data = &module->datas[i];

		if (data->mode != SEGMENT_ACTIVE)
			continue;
		if (!segment_range(module, data, &at))
			return false;
		if (data->size == 0)
			continue;
		low = at < low ? at : low;
		high = at + data->size > high ? at + data->size : high;
		sum += data->size;
	}
	/* A range that is mostly empty would make the file grow by what guests read of it. */
	if (sum < IMAGE_BYTES_MIN || (high - low) / 2 > sum)
		return false;
	*out_start = low / VM_PAGE_SIZE * VM_PAGE_SIZE;
	*out_size_bytes = (high + VM_PAGE_SIZE - 1) / VM_PAGE_SIZE * VM_PAGE_SIZE - *out_start;
	return true;
}

static bool
write_all(int fd, const uint8_t *bytes, uint64_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t done = pwrite(fd, bytes, len, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		len -= (uint64_t)done;
		at += (uint64_t)done;
	}
	return true;
}

/* Segments in order, as later ones may lie over earlier ones; then nobody may change it. */
static bool
fill(const struct vm_module *module, const struct memory_image *image)
{
	uint64_t at = 0;

	if (ftruncate(image->fd, (off_t)image->size_bytes) != 0)
		return false;
	for (uint32_t i = 0; i < module->data_count; i++) {
		const struct module_data *data = &module->datas[i];

		if (data->mode == SEGMENT_ACTIVE &&
		    (!segment_range(module, data, &at) ||
		     (data->size > 0 &&
		      !write_all(image->fd, data->bytes, data->size, at - image->start))))
			return false;
	}
	return fcntl(image->fd, F_ADD_SEALS,
	             F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0;
}

struct memory_image *
image_new(const struct vm_module *module)
{
	struct memory_image *image = engine_alloc(module->engine, sizeof(*image));

	if (image == NULL)
		return NULL;
	image->fd = -1;
	if (image_plan(module, &image->start, &image->size_bytes))
		image->fd = memfd_create("wasm memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (image->fd < 0 || !fill(module, image)) {
		image_free(module->engine, image);
		return NULL;
	}
	return image;
}

void
image_free(const struct vm_engine *engine, struct memory_image *image)
{
	if (image == NULL)
		return;
	if (image->fd >= 0)
		(void)close(image->fd);
	engine_free(engine, image);
}
