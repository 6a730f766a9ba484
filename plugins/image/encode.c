#include "plugins/image/encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <png.h>

/* Photographs become little smaller by more, and take several times as long. */
#define COMPRESSION_LEVEL 2

struct encoder {
	const struct vm_plugin_host *host;
	uint32_t width;
	uint32_t height;
	png_structp writer;
	png_infop info;
	const uint8_t *row; /* that the step writes */
	uint8_t *file;
	size_t len;
	size_t capacity;
	uint64_t size_bytes_max;
	jmp_buf failed; /* where an error of the step under way goes */
	enum vm_status status;
	char message[128];
};

static _Noreturn void
on_error(png_structp writer, png_const_charp text)
{
	struct encoder *encoder = png_get_error_ptr(writer);

	snprintf(encoder->message, sizeof encoder->message, "%s", text);
	longjmp(encoder->failed, 1);
}

static void
on_warning(png_structp writer, png_const_charp text)
{
	(void)writer;
	(void)text;
}

/* Make room for len more bytes. */
static bool
grow(struct encoder *encoder, size_t len)
{
	size_t capacity = encoder->capacity;

	if (len <= capacity - encoder->len)
		return true;
	if (len > SIZE_MAX / 2 - encoder->len)
		return false;
	capacity = (encoder->len + len) * 2;
	uint8_t *file = realloc(encoder->file, capacity);
	if (file == NULL)
		return false;
	encoder->file = file;
	encoder->capacity = capacity;
	return true;
}

static void
on_write(png_structp writer, png_bytep bytes, size_t len)
{
	struct encoder *encoder = png_get_io_ptr(writer);

	if (len > encoder->size_bytes_max - encoder->len) {
		encoder->status = VM_E_LIMIT;
		png_error(writer, "the file becomes larger than output_bytes_max");
	}
	if (!grow(encoder, len))
		png_error(writer, "out of memory");
	memcpy(encoder->file + encoder->len, bytes, len);
	encoder->len += len;
}

static void
on_flush(png_structp writer)
{
	(void)writer;
}

/* A step has nothing to release: what it makes hangs on the encoder. */
static enum vm_status
attempt(struct encoder *encoder, void (*step)(struct encoder *encoder), struct vm_error *err)
{
	encoder->status = VM_E_NOMEM; /* of a writer that is used rightly nothing else fails */
	if (setjmp(encoder->failed) == 0) {
		step(encoder);
		return VM_OK;
	}
	return vm_plugin_fail(encoder->host, err, encoder->status, "making the PNG file: %s",
	                      encoder->message);
}

static void
step_start(struct encoder *encoder)
{
	encoder->writer = png_create_write_struct(PNG_LIBPNG_VER_STRING, encoder, on_error,
	                                          on_warning);
	if (encoder->writer != NULL)
		encoder->info = png_create_info_struct(encoder->writer);
	if (encoder->info == NULL) {
		snprintf(encoder->message, sizeof encoder->message, "the library does not start");
		longjmp(encoder->failed, 1);
	}
	png_set_user_limits(encoder->writer, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_write_fn(encoder->writer, encoder, on_write, on_flush);
	png_set_compression_level(encoder->writer, COMPRESSION_LEVEL);
	png_set_IHDR(encoder->writer, encoder->info, encoder->width, encoder->height, 8,
	             PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
	             PNG_FILTER_TYPE_DEFAULT);
	png_write_info(encoder->writer, encoder->info);
}

static void
step_row(struct encoder *encoder)
{
	png_write_row(encoder->writer, encoder->row);
}

static void
step_end(struct encoder *encoder)
{
	png_write_end(encoder->writer, NULL);
}

enum vm_status
encoder_new(const struct vm_plugin_host *host, uint32_t width, uint32_t height,
            uint64_t size_bytes_max, struct encoder **out, struct vm_error *err)
{
	struct encoder *encoder = calloc(1, sizeof *encoder);

	if (encoder == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	encoder->host = host;
	encoder->width = width;
	encoder->height = height;
	encoder->size_bytes_max = size_bytes_max;
	enum vm_status st = attempt(encoder, step_start, err);
	if (st != VM_OK) {
		encoder_free(encoder);
		return st;
	}
	*out = encoder;
	return VM_OK;
}

void
encoder_free(struct encoder *encoder)
{
	if (encoder == NULL)
		return;
	if (encoder->writer != NULL)
		png_destroy_write_struct(&encoder->writer, &encoder->info);
	free(encoder->file);
	free(encoder);
}

enum vm_status
encoder_row(struct encoder *encoder, const uint8_t *rgb, struct vm_error *err)
{
	encoder->row = rgb;
	return attempt(encoder, step_row, err);
}

enum vm_status
encoder_end(struct encoder *encoder, struct vm_str *out_file, struct vm_error *err)
{
	enum vm_status st = attempt(encoder, step_end, err);

	if (st == VM_OK)
		*out_file = (struct vm_str){ (const char *)encoder->file, encoder->len };
	return st;
}
