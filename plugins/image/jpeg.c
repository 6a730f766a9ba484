/*
 * jpeg.c - JPEG, by libjpeg-turbo.
 */
#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs it */
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#include "plugins/image/source.h"

/*
 * Scans of a progressive picture. Each may be a few bytes long and costs a pass over all of the
 * picture; encoders make about ten.
 */
#define SCANS_MAX 100

struct jpeg {
	struct source source;
	struct vm_str bytes;
	struct jpeg_decompress_struct decoder;
	struct jpeg_error_mgr manager;
	struct jpeg_progress_mgr progress;
	jmp_buf failed; /* where an error of the step under way goes */
	enum vm_status status;
	char message[JMSG_LENGTH_MAX];
	uint8_t *row;  /* where the step reads to */
	uint8_t *cmyk; /* a row of four components; NULL when the decoder gives RGB */
};

/* --- errors --------------------------------------------------------------------------------- */

static _Noreturn void
on_error(j_common_ptr decoder)
{
	struct jpeg *jpeg = decoder->client_data;

	jpeg->status = decoder->err->msg_code == JERR_OUT_OF_MEMORY ? VM_E_NOMEM : VM_E_DATA;
	decoder->err->format_message(decoder, jpeg->message);
	longjmp(jpeg->failed, 1);
}

/* Warnings have a level below 0. Those of missing data are errors here. */
static void
on_message(j_common_ptr decoder, int level)
{
	if (level >= 0)
		return;
	switch (decoder->err->msg_code) {
	case JWRN_ADOBE_XFORM:
	case JWRN_BOGUS_ICC:
	case JWRN_EXTRANEOUS_DATA:
	case JWRN_JFIF_MAJOR:
		return;
	default:
		on_error(decoder);
	}
}

static void
on_progress(j_common_ptr decoder)
{
	struct jpeg *jpeg = decoder->client_data;

	if (jpeg->decoder.input_scan_number <= SCANS_MAX)
		return;
	jpeg->status = VM_E_LIMIT;
	snprintf(jpeg->message, sizeof jpeg->message, "more than %d scans", SCANS_MAX);
	longjmp(jpeg->failed, 1);
}

/* How far the decoder has read; it is given an end of its own where the bytes end. */
static size_t
offset(const struct jpeg *jpeg)
{
	const struct jpeg_source_mgr *src = jpeg->decoder.src;
	uintptr_t start = (uintptr_t)jpeg->bytes.data;

	if (src == NULL)
		return 0;
	uintptr_t at = (uintptr_t)src->next_input_byte;
	return at >= start && at - start <= jpeg->bytes.len ? at - start : jpeg->bytes.len;
}

static enum vm_status
attempt(struct jpeg *jpeg, void (*step)(struct jpeg *jpeg), struct vm_error *err)
{
	if (setjmp(jpeg->failed) == 0) {
		step(jpeg);
		return VM_OK;
	}
	return vm_plugin_fail(jpeg->source.host, err, jpeg->status,
	                      "JPEG, near byte %zu of %zu: %s", offset(jpeg), jpeg->bytes.len,
	                      jpeg->message);
}

/* --- steps ---------------------------------------------------------------------------------- */

static void
step_header(struct jpeg *jpeg)
{
	jpeg_create_decompress(&jpeg->decoder);
	jpeg->decoder.progress = &jpeg->progress;
	jpeg_mem_src(&jpeg->decoder, (const unsigned char *)jpeg->bytes.data, jpeg->bytes.len);
	(void)jpeg_read_header(&jpeg->decoder, TRUE);
}

static void
step_start(struct jpeg *jpeg)
{
	(void)jpeg_start_decompress(&jpeg->decoder);
}

static void
step_row(struct jpeg *jpeg)
{
	(void)jpeg_read_scanlines(&jpeg->decoder, &jpeg->row, 1);
}

static void
step_end(struct jpeg *jpeg)
{
	(void)jpeg_finish_decompress(&jpeg->decoder);
}

/* --- the source ----------------------------------------------------------------------------- */

static void
jpeg_free(struct source *source)
{
	struct jpeg *jpeg = (struct jpeg *)source;

	jpeg_destroy_decompress(&jpeg->decoder); /* a step that releases and never fails */
	free(jpeg->cmyk);
	free(jpeg);
}

static const char *
colour_name(J_COLOR_SPACE colour)
{
	/* Not a switch: which other values there are depends on the library's version. */
	return colour == JCS_GRAYSCALE ? "grey"
	     : colour == JCS_RGB       ? "rgb"
	     : colour == JCS_YCbCr     ? "ycbcr"
	     : colour == JCS_CMYK      ? "cmyk"
	     : colour == JCS_YCCK      ? "ycck"
	                               : NULL;
}

static enum vm_status
read_info(struct jpeg *jpeg, struct vm_error *err)
{
	const struct jpeg_decompress_struct *decoder = &jpeg->decoder;

	jpeg->source.info = (struct picture_info){
		.format = PICTURE_JPEG,
		.colour = colour_name(decoder->jpeg_color_space),
		.width = decoder->image_width,
		.height = decoder->image_height,
		.depth = (uint32_t)decoder->data_precision,
		.is_progressive = decoder->progressive_mode,
	};
	/* Version 2 of the library says this by itself, version 3 decodes more than we can use. */
	if (decoder->data_precision != 8)
		return vm_plugin_fail(jpeg->source.host, err, VM_E_DATA,
		                      "JPEG: %d bits a sample, only 8 can be decoded",
		                      decoder->data_precision);
	if (jpeg->source.info.colour == NULL)
		return vm_plugin_fail(jpeg->source.host, err, VM_E_DATA,
		                      "JPEG: unknown colours of %d components",
		                      decoder->num_components);
	return VM_OK;
}

/* The smallest of the scales that the library has fast code for: eighths. */
static unsigned
scale_choose(const struct picture_info *info, uint32_t width_min, uint32_t height_min)
{
	unsigned scale = 8;

	if (width_min == 0 || height_min == 0)
		return 8;
	while (scale > 1 && (uint64_t)info->width * scale / 2 / 8 >= width_min &&
	       (uint64_t)info->height * scale / 2 / 8 >= height_min)
		scale /= 2;
	return scale;
}

static enum vm_status
jpeg_start(struct source *source, uint32_t width_min, uint32_t height_min, struct vm_error *err)
{
	struct jpeg *jpeg = (struct jpeg *)source;
	struct jpeg_decompress_struct *decoder = &jpeg->decoder;
	bool is_cmyk = decoder->num_components == 4;

	decoder->out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
	source->scale = scale_choose(&source->info, width_min, height_min);
	decoder->scale_num = source->scale;
	decoder->scale_denom = 8;
	enum vm_status st = attempt(jpeg, step_start, err);
	if (st != VM_OK)
		return st;
	source->width = decoder->output_width;
	source->height = decoder->output_height;
	if (is_cmyk)
		jpeg->cmyk = malloc((size_t)source->width * 4);
	if (is_cmyk && jpeg->cmyk == NULL)
		return vm_plugin_fail(source->host, err, VM_E_NOMEM, "out of memory");
	return VM_OK;
}

/* What is left of white behind both inks. */
static void
cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, size_t count, bool is_inverted)
{
	const uint8_t flip = is_inverted ? 0 : 0xff;

	for (size_t i = 0; i < count; i++) {
		unsigned black = cmyk[4 * i + 3] ^ flip;

		for (size_t c = 0; c < 3; c++)
			rgb[3 * i + c] =
			    (uint8_t)(((cmyk[4 * i + c] ^ flip) * black + 127) / 255);
	}
}

static enum vm_status
jpeg_row(struct source *source, uint8_t *rgb, struct vm_error *err)
{
	struct jpeg *jpeg = (struct jpeg *)source;

	jpeg->row = jpeg->cmyk != NULL ? jpeg->cmyk : rgb;
	enum vm_status st = attempt(jpeg, step_row, err);
	if (st == VM_OK && jpeg->cmyk != NULL)
		cmyk_to_rgb(jpeg->cmyk, rgb, source->width, jpeg->decoder.saw_Adobe_marker);
	return st;
}

static enum vm_status
jpeg_end(struct source *source, struct vm_error *err)
{
	return attempt((struct jpeg *)source, step_end, err);
}

static const struct source_kind jpeg_kind = { jpeg_start, jpeg_row, jpeg_end, jpeg_free };

enum vm_status
jpeg_open(const struct vm_plugin_host *host, struct vm_str bytes, struct source **out_source,
          struct vm_error *err)
{
	struct jpeg *jpeg = calloc(1, sizeof *jpeg);

	if (jpeg == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	jpeg->source.kind = &jpeg_kind;
	jpeg->source.host = host;
	jpeg->bytes = bytes;
	jpeg->decoder.err = jpeg_std_error(&jpeg->manager);
	jpeg->decoder.client_data = jpeg;
	jpeg->manager.error_exit = on_error;
	jpeg->manager.emit_message = on_message;
	jpeg->progress.progress_monitor = on_progress;
	enum vm_status st = attempt(jpeg, step_header, err);
	if (st == VM_OK)
		st = read_info(jpeg, err);
	if (st != VM_OK) {
		jpeg_free(&jpeg->source);
		return st;
	}
	*out_source = &jpeg->source;
	return VM_OK;
}
