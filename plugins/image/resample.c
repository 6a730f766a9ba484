#include "plugins/image/resample.h"

#include <stdlib.h>
#include <string.h>

/* Where a pixel of the result lies between two of the source, along one axis. */
struct place {
	uint32_t low;    /* the one before */
	uint32_t high;   /* the one behind, or the same at the edge */
	uint32_t weight; /* of high, of steps(): the rest is low's */
};

struct resampler {
	struct source *source;
	enum vm_status (*row)(struct resampler *resampler, uint8_t *rgb, struct vm_error *err);
	uint32_t width;
	uint32_t height;
	uint32_t y; /* the row of the result that comes next */

	/* The last two rows of the source: row n is in rows[n % 2], for n < row_count. */
	uint8_t *rows[2];
	uint32_t row_count;

	struct place *places; /* bilinear: of the columns */

	uint64_t *line;    /* area: a row of the source, summed up to columns of the result */
	uint64_t *sums;    /* the row of the result */
	uint64_t consumed; /* of the source's height, as row_area counts it */
};

/* Read on until row n of the source is there. */
static enum vm_status
rows_reach(struct resampler *r, uint32_t n, struct vm_error *err)
{
	enum vm_status st = VM_OK;

	while (st == VM_OK && r->row_count <= n) {
		st = source_row(r->source, r->rows[r->row_count % 2], err);
		r->row_count += st == VM_OK;
	}
	return st;
}

static enum vm_status
row_same(struct resampler *r, uint8_t *rgb, struct vm_error *err)
{
	return source_row(r->source, rgb, err);
}

/* --- bilinear ------------------------------------------------------------------------------- */

/* Into how many steps the way between two pixels of the source is divided. */
static uint32_t
steps(uint32_t size)
{
	return size > 1 ? size - 1 : 1;
}

static struct place
place_at(uint32_t d, uint32_t size, uint32_t source_size)
{
	uint64_t at = (uint64_t)d * (source_size - 1);
	uint32_t low = (uint32_t)(at / steps(size));

	return (struct place){ low, low + 1 < source_size ? low + 1 : low,
		               (uint32_t)(at % steps(size)) };
}

static enum vm_status
row_bilinear(struct resampler *r, uint8_t *rgb, struct vm_error *err)
{
	const struct place v = place_at(r->y, r->height, r->source->height);
	const uint32_t columns = steps(r->width);
	const uint32_t lines = steps(r->height);
	/*
	 * The sum is whole and below 2^40. Half a unit more, and the error of the product with an
	 * inverse cannot take it below a whole result; it cannot reach the next one either.
	 */
	const double inverse = 1.0 / ((double)columns * lines);

	enum vm_status st = rows_reach(r, v.high, err);
	if (st != VM_OK)
		return st;
	const uint8_t *top = r->rows[v.low % 2];
	const uint8_t *bottom = r->rows[v.high % 2];
	for (uint32_t x = 0; x < r->width; x++) {
		const struct place h = r->places[x];
		const double right = h.weight;
		const double left = columns - h.weight;

		for (size_t c = 0; c < 3; c++) {
			size_t i = (size_t)h.low * 3 + c;
			size_t k = (size_t)h.high * 3 + c;
			double above = top[i] * left + top[k] * right;
			double below = bottom[i] * left + bottom[k] * right;
			double sum = above * (lines - v.weight) + below * v.weight;

			*rgb++ = (uint8_t)((sum + 0.5) * inverse);
		}
	}
	return VM_OK;
}

/* --- area ----------------------------------------------------------------------------------- */

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Along an axis both pictures are as long as file size * scale * size: a pixel of the result then
 * measures file size * scale, one of the source 8 * size, the last one perhaps less.
 */
static uint64_t
extent(uint32_t file_size, const struct source *source)
{
	return (uint64_t)file_size * source->scale;
}

/* Sum a row up to columns: each pixel counts by how much of it lies in a column. */
static void
line_sum(struct resampler *r, const uint8_t *row)
{
	const uint64_t column_size = extent(r->source->info.width, r->source);
	const uint64_t pixel_size = UINT64_C(8) * r->width;
	const uint64_t end = column_size * r->width;
	uint64_t column_end = column_size;
	uint64_t pixel_end = pixel_size;
	uint64_t *out = r->line;

	memset(r->line, 0, (size_t)r->width * 3 * sizeof *r->line);
	for (uint64_t at = 0; at < end;) {
		uint64_t next = smaller(column_end, pixel_end);

		for (size_t c = 0; c < 3; c++)
			out[c] += (next - at) * row[c];
		at = next;
		if (at == column_end) {
			column_end += column_size;
			out += 3;
		}
		if (at == pixel_end) {
			pixel_end += pixel_size;
			row += 3;
		}
	}
}

static enum vm_status
row_area(struct resampler *r, uint8_t *rgb, struct vm_error *err)
{
	const struct picture_info *info = &r->source->info;
	const uint64_t row_size = UINT64_C(8) * r->height;
	const uint64_t end = (r->y + UINT64_C(1)) * extent(info->height, r->source);
	const size_t count = (size_t)r->width * 3;
	const uint64_t whole = extent(info->width, r->source) * extent(info->height, r->source);

	memset(r->sums, 0, count * sizeof *r->sums);
	while (r->consumed < end) {
		uint32_t n = (uint32_t)(r->consumed / row_size);

		if (n == r->row_count) {
			enum vm_status st = rows_reach(r, n, err);
			if (st != VM_OK)
				return st;
			line_sum(r, r->rows[n % 2]);
		}
		uint64_t next = smaller(end, (n + UINT64_C(1)) * row_size);
		for (size_t i = 0; i < count; i++)
			r->sums[i] += (next - r->consumed) * r->line[i];
		r->consumed = next;
	}
	for (size_t i = 0; i < count; i++)
		rgb[i] = (uint8_t)((r->sums[i] + whole / 2) / whole);
	return VM_OK;
}

/* --- the resampler -------------------------------------------------------------------------- */

/* Memory for count of them, a number of which a size_t may know nothing. */
static void *
allocate(uint64_t count, size_t size_bytes)
{
	return count <= SIZE_MAX / size_bytes ? calloc((size_t)count, size_bytes) : NULL;
}

static bool
prepare_bilinear(struct resampler *r)
{
	r->row = row_bilinear;
	r->places = allocate(r->width, sizeof *r->places);
	if (r->places == NULL)
		return false;
	for (uint32_t x = 0; x < r->width; x++)
		r->places[x] = place_at(x, r->width, r->source->width);
	return true;
}

static bool
prepare_area(struct resampler *r)
{
	r->row = row_area;
	r->line = allocate((uint64_t)r->width * 3, sizeof *r->line);
	r->sums = allocate((uint64_t)r->width * 3, sizeof *r->sums);
	return r->line != NULL && r->sums != NULL;
}

enum vm_status
resampler_new(struct source *source, enum resample_method method, uint32_t width, uint32_t height,
              struct resampler **out, struct vm_error *err)
{
	struct resampler *r = calloc(1, sizeof *r);
	bool is_there = r != NULL;

	if (is_there) {
		r->source = source;
		r->width = width;
		r->height = height;
		for (int i = 0; i < 2; i++) {
			r->rows[i] = allocate((uint64_t)source->width * 3, 1);
			is_there = is_there && r->rows[i] != NULL;
		}
		if (width == source->width && height == source->height)
			r->row = row_same;
		else if (method == RESAMPLE_BILINEAR)
			is_there = is_there && prepare_bilinear(r);
		else
			is_there = is_there && prepare_area(r);
	}
	if (!is_there) {
		resampler_free(r);
		return vm_plugin_fail(source->host, err, VM_E_NOMEM, "out of memory");
	}
	*out = r;
	return VM_OK;
}

void
resampler_free(struct resampler *resampler)
{
	if (resampler == NULL)
		return;
	for (int i = 0; i < 2; i++)
		free(resampler->rows[i]);
	free(resampler->places);
	free(resampler->line);
	free(resampler->sums);
	free(resampler);
}

enum vm_status
resampler_row(struct resampler *resampler, uint8_t *rgb, struct vm_error *err)
{
	enum vm_status st = resampler->row(resampler, rgb, err);

	if (st == VM_OK)
		resampler->y++;
	return st;
}

enum vm_status
resampler_end(struct resampler *resampler, struct vm_error *err)
{
	return source_end(resampler->source, resampler->rows[0], err);
}
