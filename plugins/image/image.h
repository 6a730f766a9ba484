/*
 * image.h - what the parts of the plug-in share.
 *
 * guest.c is for programs (host functions), operation.c for the sandbox and for people. Guests'
 * pictures are decoded by the operation `decode`, whose words the host functions use.
 */
#pragma once

#include "vm/plugin.h"

/* The plug-in's options. */
struct image_limits {
	uint64_t pixels_max; /* of a picture, and of a result */
	uint64_t input_bytes_max;
	uint64_t output_bytes_max;
};

/* How pixels lie in the result. Of the last one there is no fixed size. */
enum image_layout { LAYOUT_RGB8, LAYOUT_BGR8, LAYOUT_RGB32F, LAYOUT_BGR32F, LAYOUT_PNG };

#define LAYOUT_COUNT (LAYOUT_PNG + 1)

extern const char *const image_layout_names[LAYOUT_COUNT + 1]; /* ends with NULL */

/* Bytes of so many pixels, UINT64_MAX when that does not say it. Not for LAYOUT_PNG. */
uint64_t image_layout_bytes(enum image_layout layout, uint32_t width, uint32_t height);

#define IMAGE_MODULE_COUNT 1
#define IMAGE_OPERATION_COUNT 2

extern const struct vm_plugin_module image_modules[IMAGE_MODULE_COUNT];
extern const struct vm_plugin_operation image_operations[IMAGE_OPERATION_COUNT];
