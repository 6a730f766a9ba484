/*
 * resample.h - a picture of another size, row by row, from the rows of a source.
 *
 * Both ways compute in integers, or in doubles that hold them, so that the result is the same
 * everywhere and is exactly what the formula says:
 *
 *   bilinear  the corners of both pictures lie on each other. Pixel d of D samples the source, of S
 *             pixels, at d * (S - 1) / (D - 1), at 0 when D is 1, between the four neighbours, cut
 *             to a whole number. What lies between samples does not count when shrinking
 *   area      pixel d is the mean of what lies under it, from d * S / D to (d + 1) * S / D, rounded
 *
 * No more than two rows of the source are held.
 *
 * Threads: a resampler belongs to one thread
 */
#pragma once

#include "plugins/image/source.h"

/* Source and result have to have less pixels than this; keeps all sums within their types. */
#define RESAMPLE_PIXELS_MAX (UINT64_C(1) << 32)

enum resample_method { RESAMPLE_BILINEAR, RESAMPLE_AREA };

struct resampler;

/*
 * For a source that was started, borrowed. Both sizes have at least one pixel and less than
 * RESAMPLE_PIXELS_MAX. Returns VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status resampler_new(struct source *source, enum resample_method method,
                                           uint32_t width, uint32_t height,
                                           struct resampler **out, struct vm_error *err);
/* NULL is fine. */
void resampler_free(struct resampler *resampler);
/* The next row, 3 * width bytes. Fails as source_row does. */
VM_MUST_CHECK enum vm_status resampler_row(struct resampler *resampler, uint8_t *rgb,
                                           struct vm_error *err);
/* To be called behind the last row: source_end. */
VM_MUST_CHECK enum vm_status resampler_end(struct resampler *resampler, struct vm_error *err);
