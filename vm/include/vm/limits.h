/*
 * limits.h - what the engine refuses, whatever the specification would allow.
 *
 * LIMIT rows: every size that is read from a module meets its row before it meets an allocator.
 */
#pragma once

#include <stdint.h>

struct vm_limits {
#define LIMIT(name, value, text) uint64_t name;
#include "vm/limits.def"
#undef LIMIT
};
