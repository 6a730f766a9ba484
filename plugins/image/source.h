/*
 * source.h - a picture in a file's bytes, read row by row as RGB of 8 bits.
 *
 * Bytes are a stranger's. A picture's size is known, and checked against the limit, before anything
 * is allocated for its pixels. Damaged or incomplete bytes are errors, never half a picture:
 * what a decoder would only warn of counts too, when it means that data is missing.
 *
 * The libraries' errors are longjmp. Each call into one is a step (a function without anything to
 * release) run by attempt() in jpeg.c and png.c; all that a decoder holds hangs on its source,
 * which source_free releases.
 *
 * What a row has: grey is replicated; 16 bits become 8, rounded; palettes are looked up; alpha is
 * multiplied into the colours (transparent becomes black) or dropped; CMYK is multiplied out, and
 * taken as inverted when there is an Adobe marker, as that program writes it. Gamma, colour
 * profiles and the orientation in EXIF are ignored.
 *
 * Owns:    decoder and rows
 * Borrows: the bytes, which must outlive the source
 * Threads: a source belongs to one thread
 */
#pragma once

#include "vm/plugin.h"

enum picture_format { PICTURE_AUTO, PICTURE_JPEG, PICTURE_PNG };

/* What a file says about its picture. */
struct picture_info {
	enum picture_format format;
	const char *colour; /* "grey", "grey-alpha", "rgb", "rgba", "palette", "ycbcr", "cmyk",
	                       "ycck" */
	uint32_t width;
	uint32_t height;
	uint32_t depth;      /* bits of a sample, of an index into the palette */
	bool has_alpha;      /* a channel or a list of transparent colours */
	bool is_progressive; /* comes in several scans, or interlaced */
};

struct source;

/* What a decoder does; returns are those of the functions below. */
struct source_kind {
	enum vm_status (*start)(struct source *source, uint32_t width_min, uint32_t height_min,
	                        struct vm_error *err);
	enum vm_status (*row)(struct source *source, uint8_t *rgb, struct vm_error *err);
	enum vm_status (*end)(struct source *source, struct vm_error *err);
	void (*free)(struct source *source);
};

/* The first member of a decoder. Others read it. */
struct source {
	const struct source_kind *kind;
	const struct vm_plugin_host *host;
	struct picture_info info;
	bool is_alpha_dropped; /* set it before source_start */
	uint32_t width;        /* of the rows; after source_start */
	uint32_t height;
	unsigned scale; /* how large a pixel of the file is in them, in eighths: the last column and
	                   row of a smaller picture may stand for less than a whole pixel */
	uint32_t row_next;
};

/*
 * Read the header. Returns VM_E_DATA it is damaged, not of that format, or of a kind that cannot be
 *                                    decoded
 *                          VM_E_NOMEM
 */
VM_MUST_CHECK enum vm_status source_open(const struct vm_plugin_host *host, struct vm_str bytes,
                                         enum picture_format format, struct source **out_source,
                                         struct vm_error *err);
/* NULL is fine. */
void source_free(struct source *source);

/*
 * Prepare for rows. With a width_min and height_min above 0, the decoder may give a smaller
 * picture, of no less than that: the same one, as if made from the means of its blocks.
 *
 * Returns VM_E_LIMIT more pixels than pixels_max
 *         VM_E_DATA, VM_E_NOMEM
 */
VM_MUST_CHECK enum vm_status source_start(struct source *source, uint64_t pixels_max,
                                          uint32_t width_min, uint32_t height_min,
                                          struct vm_error *err);
/* The next row, 3 * width bytes. Not after the last one. Returns VM_E_DATA, VM_E_NOMEM. */
VM_MUST_CHECK enum vm_status source_row(struct source *source, uint8_t *rgb, struct vm_error *err);
/* Read whatever is left, so that all of it has been checked. scratch has room for a row. */
VM_MUST_CHECK enum vm_status source_end(struct source *source, uint8_t *scratch,
                                        struct vm_error *err);

/* The two decoders; source_open chooses. */
VM_MUST_CHECK enum vm_status jpeg_open(const struct vm_plugin_host *host, struct vm_str bytes,
                                       struct source **out_source, struct vm_error *err);
VM_MUST_CHECK enum vm_status png_open(const struct vm_plugin_host *host, struct vm_str bytes,
                                      struct source **out_source, struct vm_error *err);
