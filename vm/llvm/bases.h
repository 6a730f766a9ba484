/*
 * bases.h - addresses of static objects, as loops should see them.
 *
 * A static array's element is memory + index + constant. LLVM's loop strength reduction adds the
 * constant to where a counter starts, finds that it is no longer the counter that the loop's end is
 * tested with, and keeps two. When memory + constant is one value that it cannot take apart, it
 * does not; the sum is taken apart again when instructions are selected, so that no register is
 * spent on it.
 */
#pragma once

#include "vm/llvm/emit.h"

/* Change the addresses in all functions of the chunk. After every pass that looks at addresses. */
void bases_hide(const struct emit *e);
