/*
 * image.c - decodes pictures by the functions of wasmedge_image: each step is a line on standard
 * input and the picture's bytes, without a newline behind them:
 *
 *     FUNCTION WIDTH HEIGHT TYPE PIXELS-BYTES IMAGE-BYTES IMAGE-AT PIXELS-AT
 *
 * An address (AT) of 0 is that of a buffer here. The answer is a line: the result, whether it is
 * "clean" (nothing outside of the pixels was written, nothing at all on failure) or "dirty", and
 * the pixels.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("wasmedge_image"), import_name(name)))
#define LEGACY(name) \
	IMPORT("wasmedge_image_" #name) \
	uint32_t name(const void *image, uint32_t len, uint32_t w, uint32_t h, void *pixels);
#define CURRENT(name) \
	IMPORT(#name) \
	uint32_t name(const void *image, uint32_t len, uint32_t w, uint32_t h, uint32_t type, \
	              void *pixels, uint32_t pixels_len);

#define FUNCTIONS(LEGACY, CURRENT) \
	LEGACY(load_jpg_to_rgb8) LEGACY(load_jpg_to_bgr8) \
	LEGACY(load_jpg_to_rgb32f) LEGACY(load_jpg_to_bgr32f) \
	LEGACY(load_png_to_rgb8) LEGACY(load_png_to_bgr8) \
	LEGACY(load_png_to_rgb32f) LEGACY(load_png_to_bgr32f) \
	CURRENT(load_jpg) CURRENT(load_png) CURRENT(load_image)

FUNCTIONS(LEGACY, CURRENT)

#define UNTOUCHED 0xaa

static uint8_t pixels[1 << 15];

struct step {
	char function[64];
	uint32_t width, height, type, pixels_len, image_len, image_at, pixels_at;
};

static uint32_t
call(const struct step *step, const void *image, void *to)
{
#define CALL_LEGACY(name) \
	if (strcmp(step->function, #name) == 0) \
		return name(image, step->image_len, step->width, step->height, to);
#define CALL_CURRENT(name) \
	if (strcmp(step->function, #name) == 0) \
		return name(image, step->image_len, step->width, step->height, step->type, to, \
		            step->pixels_len);
	FUNCTIONS(CALL_LEGACY, CALL_CURRENT)
	fprintf(stderr, "there is no function %s\n", step->function);
	exit(2);
}

int
main(void)
{
	struct step s;

	while (scanf("%63s %u %u %u %u %u %u %u", s.function, &s.width, &s.height, &s.type,
	             &s.pixels_len, &s.image_len, &s.image_at, &s.pixels_at) == 8) {
		uint8_t *image = malloc(s.image_len + 1);

		(void)getchar(); /* the newline */
		if (image == NULL || fread(image, 1, s.image_len, stdin) != s.image_len)
			return 3;
		memset(pixels, UNTOUCHED, sizeof pixels);
		uint32_t result = call(&s, s.image_at != 0 ? (void *)s.image_at : image,
		                       s.pixels_at != 0 ? (void *)s.pixels_at : pixels);
		size_t used = result == 0 && s.pixels_at == 0 ? s.pixels_len : 0;
		size_t i = used;
		while (i < sizeof pixels && pixels[i] == UNTOUCHED)
			i++;
		printf("%u %s ", result, i == sizeof pixels ? "clean" : "dirty");
		for (i = 0; i < used; i++)
			printf("%02x", pixels[i]);
		putchar('\n');
		free(image);
	}
	return 0;
}
