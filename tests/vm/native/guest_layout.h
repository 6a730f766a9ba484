/*
 * guest_layout.h - offsets that guest_x64.S knows; asserted in test_native.c.
 */
#pragma once

#define INSTANCE_MEMORY0 8
#define INSTANCE_IMPORTED_FUNCS 40
#define INSTANCE_BUILTINS 64
#define FUNC_NATIVE 16
#define FUNC_NATIVE_CONTEXT 24
#define BUILTIN_MEMORY_GROW 0
#define BUILTIN_MEMORY_FILL 1
#define TRAP_DIVIDE_BY_ZERO 2
