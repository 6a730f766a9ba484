/*
 * repair.h - damage that a checksum would hide: PNG files get right ones.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Write the checksum of each chunk anew, as far as the chunks can be followed. */
void repair_png(uint8_t *bytes, size_t len);
