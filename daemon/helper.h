/*
 * helper.h - where the programs are that the daemon starts.
 *
 * Threads: any
 */
#pragma once

#include <stddef.h>

/*
 * What the setting says; else beside our own program, which is where it was built; else where it
 * was installed. Nobody has looked whether it is there.
 */
void helper_find(const char *name, const char *setting, char *out, size_t size);
