/*
 * image_guest.c - decodes the picture that was put to image() by the first generation's function:
 * for the benchmark image.c.
 */
#include "tests/guests/guest.h"

#include <stdint.h>

#define SIZE 224

__attribute__((import_module("wasmedge_image"), import_name("wasmedge_image_load_jpg_to_rgb8")))
uint32_t load_jpg_to_rgb8(const void *image, uint32_t len, uint32_t w, uint32_t h, void *pixels);

static uint8_t image_bytes[16 << 20];
static uint8_t pixel_bytes[SIZE * SIZE * 3];

EXPORT("image")
uint8_t *
image(void)
{
	return image_bytes;
}

EXPORT("pixels")
uint8_t *
pixels(void)
{
	return pixel_bytes;
}

EXPORT("decode")
uint32_t
decode(uint32_t len)
{
	return load_jpg_to_rgb8(image_bytes, len, SIZE, SIZE, pixel_bytes);
}
