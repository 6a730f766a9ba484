/*
 * jpegs.h - JPEG pictures of every kind, made and decoded in the plainest way the library has.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Make one of a pattern that has smooth and rough parts. Kinds: baseline (4:2:0), full (4:4:4),
 * progressive, grey, rgb, cmyk, cmyk-plain (no Adobe marker), ycck, restart, arithmetic, twelve (a
 * header that says 12 bits), scans (190 of them), edges (grey, of black
 * and white tiles). The program ends when there is no such kind. To be freed.
 */
uint8_t *jpegs_make(const char *kind, unsigned width, unsigned height, size_t *out_len);

/* All pixels, as the library gives them: of 3 components, or 4 for CMYK. To be freed. */
uint8_t *jpegs_decode(const uint8_t *bytes, size_t len, unsigned *out_width, unsigned *out_height,
                      unsigned *out_components);
