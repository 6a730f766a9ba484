/*
 * counters.h - loops over static arrays, counted as one would write them.
 *
 * Compilers to wasm like counters that end at zero: -4096, -4088, ... 0 added to where the array
 * ends, modulo 2^32. In 64 bits, as addresses are computed here, such a sum does not wrap, so each
 * access would have to cut it first. Counted from zero, no sum exceeds 32 bits, and LLVM finds
 * that out.
 */
#pragma once

#include "vm/llvm/emit.h"

/* Change the counters in all functions of the chunk whose start is a negative constant. */
void counters_rebase(const struct emit *e);
