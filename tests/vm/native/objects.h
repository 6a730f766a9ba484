/*
 * objects.h - objects for tests, assembled when they are built.
 */
#pragma once

#include "vm/native/compiler.h"

/* One object, read from the folder of this test in the build tree; ends the program if it fails. */
struct native_objects objects_read(const char *name);
/* Write another name of the same length over a symbol's. */
void objects_rename(struct native_objects *objects, const char *from, const char *to);
void objects_free(struct native_objects *objects);
