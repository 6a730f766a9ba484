/*
 * debug.h - native code as profilers and debuggers want to see it, when vm_native_set_debug says.
 *
 * Threads: any
 */
#pragma once

struct native_module;

/* Announce the functions of mapped code. Without memory or permission nothing happens. */
void debug_add(struct native_module *native);
/* Take back what was announced, before the code goes away. */
void debug_remove(struct native_module *native);
