/*
 * effect.h - which functions leave memories as they are.
 *
 * Most of what a fresh instance costs is wiping its memory afterwards. A call that cannot have
 * written there needs no wiping: such are functions without stores, bulk operations, growth and
 * indirect calls, which call only others of that kind.
 *
 * Threads: any
 */
#pragma once

#include "vm/rt/runtime.h"

/*
 * Whether a call of the function could change a memory or its size; true also when that is not
 * easily told. The answer is found once for each function, and kept with its program.
 */
bool effect_may_write(const struct vm_func *func);
