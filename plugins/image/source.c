#include "plugins/image/source.h"

#include <string.h>

/* Longer than either signature, for the message when it is neither. */
#define HEAD_BYTES 4

static enum picture_format
format_detect(struct vm_str bytes)
{
	static const uint8_t png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
	static const uint8_t jpeg[] = { 0xff, 0xd8, 0xff };

	if (bytes.len >= sizeof png && memcmp(bytes.data, png, sizeof png) == 0)
		return PICTURE_PNG;
	if (bytes.len >= sizeof jpeg && memcmp(bytes.data, jpeg, sizeof jpeg) == 0)
		return PICTURE_JPEG;
	return PICTURE_AUTO;
}

enum vm_status
source_open(const struct vm_plugin_host *host, struct vm_str bytes, enum picture_format format,
            struct source **out_source, struct vm_error *err)
{
	if (format == PICTURE_AUTO)
		format = format_detect(bytes);
	if (format == PICTURE_JPEG)
		return jpeg_open(host, bytes, out_source, err);
	if (format == PICTURE_PNG)
		return png_open(host, bytes, out_source, err);
	if (bytes.len < HEAD_BYTES)
		return vm_plugin_fail(host, err, VM_E_DATA,
		                      "%zu bytes are neither a JPEG nor a PNG picture", bytes.len);
	const uint8_t *head = (const uint8_t *)bytes.data;
	return vm_plugin_fail(host, err, VM_E_DATA,
	                      "neither a JPEG nor a PNG picture: it starts with "
	                      "%02x %02x %02x %02x",
	                      head[0], head[1], head[2], head[3]);
}

void
source_free(struct source *source)
{
	if (source != NULL)
		source->kind->free(source);
}

enum vm_status
source_start(struct source *source, uint64_t pixels_max, uint32_t width_min, uint32_t height_min,
             struct vm_error *err)
{
	uint64_t pixels = (uint64_t)source->info.width * source->info.height;

	if (pixels > pixels_max)
		return vm_plugin_fail(source->host, err, VM_E_LIMIT,
		                      "the picture has %u x %u pixels, the limit pixels_max is "
		                      "%llu",
		                      source->info.width, source->info.height,
		                      (unsigned long long)pixels_max);
	return source->kind->start(source, width_min, height_min, err);
}

enum vm_status
source_row(struct source *source, uint8_t *rgb, struct vm_error *err)
{
	enum vm_status st = source->kind->row(source, rgb, err);

	if (st == VM_OK)
		source->row_next++;
	return st;
}

enum vm_status
source_end(struct source *source, uint8_t *scratch, struct vm_error *err)
{
	enum vm_status st = VM_OK;

	while (st == VM_OK && source->row_next < source->height)
		st = source_row(source, scratch, err);
	return st == VM_OK ? source->kind->end(source, err) : st;
}
