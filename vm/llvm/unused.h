/*
 * unused.h - functions that only compute need no instance.
 *
 * Every function takes the instance, and has to keep it across calls if it makes any. Where it
 * would only be handed on, to functions that do the same, callers give no value instead.
 */
#pragma once

#include "vm/llvm/emit.h"

/* Change the calls of all functions of the chunk that do not need their instance. */
void unused_instances_drop(const struct emit *e);
