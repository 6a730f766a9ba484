#include "tests/plugins/image/jpegs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>

static const struct kind {
	const char *name;
	int components;
	J_COLOR_SPACE in;
	J_COLOR_SPACE out;
	bool is_full; /* no subsampling */
	bool is_progressive;
	bool is_arithmetic;
	bool has_adobe;
	unsigned restart_rows;
	bool is_twelve;
	bool has_many_scans;
	bool has_edges;
} kinds[] = {
	{ .name = "baseline", 3, JCS_RGB, JCS_YCbCr },
	{ .name = "full", 3, JCS_RGB, JCS_YCbCr, .is_full = true },
	{ .name = "progressive", 3, JCS_RGB, JCS_YCbCr, .is_progressive = true },
	{ .name = "grey", 1, JCS_GRAYSCALE, JCS_GRAYSCALE },
	{ .name = "rgb", 3, JCS_RGB, JCS_RGB, .has_adobe = true },
	{ .name = "cmyk", 4, JCS_CMYK, JCS_CMYK, .has_adobe = true },
	{ .name = "cmyk-plain", 4, JCS_CMYK, JCS_CMYK },
	{ .name = "ycck", 4, JCS_CMYK, JCS_YCCK, .has_adobe = true },
	{ .name = "restart", 3, JCS_RGB, JCS_YCbCr, .restart_rows = 1 },
	{ .name = "arithmetic", 3, JCS_RGB, JCS_YCbCr, .is_arithmetic = true },
	{ .name = "twelve", 3, JCS_RGB, JCS_YCbCr, .is_twelve = true },
	{ .name = "scans", 3, JCS_RGB, JCS_YCbCr, .has_many_scans = true },
	{ .name = "edges", 1, JCS_GRAYSCALE, JCS_GRAYSCALE, .has_edges = true },
};

/* From 0 to 255 and back, every period pixels. */
static unsigned
wave(unsigned at, unsigned period)
{
	unsigned phase = at % period * 510 / period;

	return phase < 255 ? phase : 510 - phase;
}

static uint8_t
pattern(unsigned x, unsigned y, unsigned component)
{
	unsigned noise = (x * 2654435761u ^ y * 2246822519u ^ component * 3266489917u) >> 16;
	unsigned smooth = wave(x + y / 2, 301 + 50 * component) + wave(y + 77 * component, 211);
	unsigned fine = wave(x * 3 + y, 17 + component);

	return (uint8_t)((smooth * 6 + fine * 2 + (noise & 255)) / 15);
}

/* Black and white tiles, of sizes that fit no block. */
static uint8_t
tiles(unsigned x, unsigned y)
{
	return (((x / 37 * 2654435761u) ^ (y / 23 * 2246822519u)) >> 16 & 1) != 0 ? 255 : 0;
}

static const struct kind *
kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	fprintf(stderr, "no kind of JPEG is called %s\n", name);
	exit(EXIT_FAILURE);
}

/* One for each coefficient of each component: 190, where others have ten. */
static int
many_scans(jpeg_scan_info *scans)
{
	int count = 0;

	scans[count++] = (jpeg_scan_info){ 3, { 0, 1, 2 }, 0, 0, 0, 0 };
	for (int component = 0; component < 3; component++)
		for (int k = 1; k < DCTSIZE2; k++)
			scans[count++] = (jpeg_scan_info){ 1, { component }, k, k, 0, 0 };
	return count;
}

/* The header of a frame has the bits of a sample behind its marker and length. */
static void
say_twelve(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 4 < len; i++)
		if (bytes[i] == 0xff && bytes[i + 1] == 0xc0) {
			bytes[i + 1] = 0xc1;
			bytes[i + 4] = 12;
			return;
		}
}

uint8_t *
jpegs_make(const char *name, unsigned width, unsigned height, size_t *out_len)
{
	const struct kind *kind = kind_find(name);
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr manager;
	jpeg_scan_info scans[1 + 3 * (DCTSIZE2 - 1)];
	unsigned char *bytes = NULL;
	unsigned long len = 0;
	const unsigned components = (unsigned)kind->components;

	c.err = jpeg_std_error(&manager);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &bytes, &len);
	c.image_width = width;
	c.image_height = height;
	c.input_components = kind->components;
	c.in_color_space = kind->in;
	jpeg_set_defaults(&c);
	jpeg_set_colorspace(&c, kind->out);
	jpeg_set_quality(&c, 85, TRUE);
	c.write_Adobe_marker = kind->has_adobe;
	c.arith_code = kind->is_arithmetic;
	c.restart_in_rows = (int)kind->restart_rows;
	if (kind->is_full)
		c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = 1;
	if (kind->is_progressive)
		jpeg_simple_progression(&c);
	if (kind->has_many_scans) {
		c.num_scans = many_scans(scans);
		c.scan_info = scans;
	}
	jpeg_start_compress(&c, TRUE);
	uint8_t *row = malloc((size_t)width * 4);
	if (row == NULL)
		abort();
	for (unsigned y = 0; y < height; y++) {
		for (unsigned i = 0; i < width * components; i++)
			row[i] = kind->has_edges ? tiles(i, y)
			                         : pattern(i / components, y, i % components);
		(void)jpeg_write_scanlines(&c, &row, 1);
	}
	free(row);
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	if (kind->is_twelve)
		say_twelve(bytes, len);
	*out_len = len;
	return bytes;
}

uint8_t *
jpegs_decode(const uint8_t *bytes, size_t len, unsigned *out_width, unsigned *out_height,
             unsigned *out_components)
{
	struct jpeg_decompress_struct d;
	struct jpeg_error_mgr manager;

	d.err = jpeg_std_error(&manager);
	jpeg_create_decompress(&d);
	jpeg_mem_src(&d, bytes, len);
	jpeg_read_header(&d, TRUE);
	d.out_color_space = d.num_components == 4 ? JCS_CMYK : JCS_RGB;
	jpeg_start_decompress(&d);
	size_t row_bytes = (size_t)d.output_width * (unsigned)d.output_components;
	uint8_t *pixels = malloc(row_bytes * d.output_height);
	if (pixels == NULL)
		abort();
	*out_width = d.output_width;
	*out_height = d.output_height;
	*out_components = (unsigned)d.output_components;
	while (d.output_scanline < d.output_height) {
		uint8_t *row = pixels + d.output_scanline * row_bytes;

		(void)jpeg_read_scanlines(&d, &row, 1);
	}
	jpeg_finish_decompress(&d);
	jpeg_destroy_decompress(&d);
	return pixels;
}
