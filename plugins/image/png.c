/*
 * png.c - PNG, by libpng. Only the chunks that make the pixels are looked at, and a wrong checksum
 * of any chunk is an error.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <png.h>
#include "plugins/image/source.h"

/*
 * What may come in the file behind the start of the last row, for each byte of it and besides: a
 * picture may end in chunks of a single byte. The library inflates all that comes, and 64 MiB
 * can become 64 GiB.
 */
#define TAIL_FACTOR 16
#define TAIL_BYTES (64u << 10)

struct png {
	struct source source;
	struct vm_str bytes;
	size_t at;  /* bytes that were read */
	size_t end; /* where reading has to stop: a tail's end */
	png_structp decoder;
	png_infop info;
	jmp_buf failed; /* where an error of the step under way goes */
	enum vm_status status;
	char message[128];
	uint8_t *rows;     /* one row as the library gives it; all, when interlaced */
	size_t row_bytes;  /* of one */
	uint8_t *row;      /* where the step reads to */
	unsigned channels; /* of rows */
	bool is_wide;      /* samples of 16 bits, the high byte first */
};

/* --- errors --------------------------------------------------------------------------------- */

static _Noreturn void
on_error(png_structp decoder, png_const_charp text)
{
	struct png *png = png_get_error_ptr(decoder);

	snprintf(png->message, sizeof png->message, "%s", text);
	longjmp(png->failed, 1);
}

/* Of chunks that are not looked at, and of what the standard forbids but does not matter. */
static void
on_warning(png_structp decoder, png_const_charp text)
{
	(void)decoder;
	(void)text;
}

static png_voidp
on_allocate(png_structp decoder, png_alloc_size_t size)
{
	struct png *png = png_get_mem_ptr(decoder);
	void *p = malloc(size);

	if (p == NULL)
		png->status = VM_E_NOMEM;
	return p;
}

static void
on_release(png_structp decoder, png_voidp p)
{
	(void)decoder;
	free(p);
}

static void
on_read(png_structp decoder, png_bytep out, size_t len)
{
	struct png *png = png_get_io_ptr(decoder);

	if (len > png->bytes.len - png->at)
		png_error(decoder, "the file ends too early");
	if (len > png->end - png->at)
		png_error(decoder, "more compressed data than the picture has");
	memcpy(out, png->bytes.data + png->at, len);
	png->at += len;
}

static enum vm_status
attempt(struct png *png, void (*step)(struct png *png), struct vm_error *err)
{
	png->status = VM_E_DATA;
	if (setjmp(png->failed) == 0) {
		step(png);
		return VM_OK;
	}
	return vm_plugin_fail(png->source.host, err, png->status, "PNG, near byte %zu of %zu: %s",
	                      png->at, png->bytes.len, png->message);
}

/* --- steps ---------------------------------------------------------------------------------- */

static void
step_header(struct png *png)
{
	png->decoder = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, png, on_error, on_warning,
	                                        png, on_allocate, on_release);
	if (png->decoder != NULL)
		png->info = png_create_info_struct(png->decoder);
	if (png->info == NULL) {
		png->status = VM_E_NOMEM;
		snprintf(png->message, sizeof png->message, "the library does not start");
		longjmp(png->failed, 1);
	}
	png_set_read_fn(png->decoder, png, on_read);
	png_set_user_limits(png->decoder, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_crc_action(png->decoder, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
	/* -1: all chunks but IHDR, PLTE, tRNS, IDAT and IEND. */
	png_set_keep_unknown_chunks(png->decoder, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
	png_read_info(png->decoder, png->info);
}

static void
step_start(struct png *png)
{
	bool has_alpha = png->source.info.has_alpha;

	png_set_expand(png->decoder);
	/* With alpha the product is made of 16 bits, which are then rounded to 8 once. */
	if (png->source.info.depth == 16 && (!has_alpha || png->source.is_alpha_dropped))
		png_set_scale_16(png->decoder);
	(void)png_set_interlace_handling(png->decoder);
	png_read_update_info(png->decoder, png->info);
}

static void
step_row(struct png *png)
{
	png_read_row(png->decoder, png->row, NULL);
}

static void
step_end(struct png *png)
{
	png_read_end(png->decoder, NULL);
}

/* --- the source ----------------------------------------------------------------------------- */

static void
png_free_source(struct source *source)
{
	struct png *png = (struct png *)source;

	if (png->decoder != NULL)
		png_destroy_read_struct(&png->decoder, &png->info, NULL);
	free(png->rows);
	free(png);
}

static void
read_info(struct png *png)
{
	static const char *const names[] = {
		[PNG_COLOR_TYPE_GRAY] = "grey",   [PNG_COLOR_TYPE_GRAY_ALPHA] = "grey-alpha",
		[PNG_COLOR_TYPE_RGB] = "rgb",     [PNG_COLOR_TYPE_RGB_ALPHA] = "rgba",
		[PNG_COLOR_TYPE_PALETTE] = "palette",
	};
	unsigned colour = png_get_color_type(png->decoder, png->info);

	png->source.info = (struct picture_info){
		.format = PICTURE_PNG,
		.colour = names[colour],
		.width = png_get_image_width(png->decoder, png->info),
		.height = png_get_image_height(png->decoder, png->info),
		.depth = png_get_bit_depth(png->decoder, png->info),
		.has_alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0 ||
		             png_get_valid(png->decoder, png->info, PNG_INFO_tRNS) != 0,
		.is_progressive = png_get_interlace_type(png->decoder, png->info) != 0,
	};
}

/* Read a row; from the start of the last one on, only so much may come. */
static enum vm_status
read_row(struct png *png, uint8_t *row, bool is_last, struct vm_error *err)
{
	if (is_last) {
		size_t left = png->bytes.len - png->at;
		uint64_t tail = (uint64_t)png->row_bytes * TAIL_FACTOR + TAIL_BYTES;

		png->end = png->at + (tail < left ? (size_t)tail : left);
	}
	png->row = row;
	return attempt(png, step_row, err);
}

static enum vm_status
read_interlaced(struct png *png, struct vm_error *err)
{
	const uint32_t height = png->source.height;
	enum vm_status st = VM_OK;

	for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++)
		for (uint32_t y = 0; y < height && st == VM_OK; y++)
			st = read_row(png, png->rows + y * png->row_bytes,
			              pass == PNG_INTERLACE_ADAM7_PASSES - 1 && y == height - 1,
			              err);
	return st;
}

static enum vm_status
png_start(struct source *source, uint32_t width_min, uint32_t height_min, struct vm_error *err)
{
	struct png *png = (struct png *)source;
	const struct picture_info *info = &source->info;

	(void)width_min;
	(void)height_min;
	enum vm_status st = attempt(png, step_start, err);
	if (st != VM_OK)
		return st;
	source->width = info->width;
	source->height = info->height;
	source->scale = 8;
	png->channels = png_get_channels(png->decoder, png->info);
	png->is_wide = png_get_bit_depth(png->decoder, png->info) == 16;
	png->row_bytes = png_get_rowbytes(png->decoder, png->info);
	uint64_t size_bytes = (uint64_t)png->row_bytes * (info->is_progressive ? info->height : 1);
	/* Zeros: passes fill in what is their own. */
	png->rows = size_bytes <= SIZE_MAX ? calloc(1, (size_t)size_bytes) : NULL;
	if (png->rows == NULL)
		return vm_plugin_fail(source->host, err, VM_E_NOMEM,
		                      "out of memory for %u x %u pixels", info->width,
		                      info->height);
	return info->is_progressive ? read_interlaced(png, err) : VM_OK;
}

/* Of 8 or 16 bits, rounded. */
static uint8_t
sample_multiply(uint32_t sample, uint32_t alpha, bool is_wide)
{
	if (!is_wide)
		return (uint8_t)((sample * alpha + 127) / 255);
	sample = (uint32_t)(((uint64_t)sample * alpha + 32767) / 65535);
	return (uint8_t)((sample + 128) / 257);
}

static void
row_to_rgb(const struct png *png, const uint8_t *row, uint8_t *rgb)
{
	const unsigned size = png->is_wide ? 2 : 1;
	const unsigned colours = png->channels >= 3 ? 3 : 1;
	const bool has_alpha = png->channels > colours && !png->source.is_alpha_dropped;

	if (png->channels == 3) {
		memcpy(rgb, row, (size_t)png->source.width * 3);
		return;
	}
	for (uint32_t x = 0; x < png->source.width; x++, row += png->channels * size) {
		uint32_t values[4];

		for (unsigned c = 0; c < png->channels; c++)
			values[c] = png->is_wide ? (uint32_t)row[2 * c] << 8 | row[2 * c + 1]
			                         : row[c];
		for (unsigned c = 0; c < 3; c++) {
			uint32_t value = values[colours == 3 ? c : 0];

			*rgb++ = has_alpha ? sample_multiply(value, values[colours], png->is_wide)
			                   : (uint8_t)value;
		}
	}
}

static enum vm_status
png_row(struct source *source, uint8_t *rgb, struct vm_error *err)
{
	struct png *png = (struct png *)source;
	uint32_t y = source->row_next;
	enum vm_status st = VM_OK;

	if (source->info.is_progressive) {
		row_to_rgb(png, png->rows + y * png->row_bytes, rgb);
		return VM_OK;
	}
	st = read_row(png, png->rows, y == source->height - 1, err);
	if (st == VM_OK)
		row_to_rgb(png, png->rows, rgb);
	return st;
}

static enum vm_status
png_end(struct source *source, struct vm_error *err)
{
	struct png *png = (struct png *)source;

	png->end = png->bytes.len; /* what comes now is not inflated */
	return attempt(png, step_end, err);
}

static const struct source_kind png_kind = { png_start, png_row, png_end, png_free_source };

enum vm_status
png_open(const struct vm_plugin_host *host, struct vm_str bytes, struct source **out_source,
         struct vm_error *err)
{
	struct png *png = calloc(1, sizeof *png);

	if (png == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	png->source.kind = &png_kind;
	png->source.host = host;
	png->bytes = bytes;
	png->end = bytes.len;
	enum vm_status st = attempt(png, step_header, err);
	if (st != VM_OK) {
		png_free_source(&png->source);
		return st;
	}
	read_info(png);
	*out_source = &png->source;
	return VM_OK;
}
