/*
 * modinfo.h - what a module is, as JSON.
 *
 * Threads: pure functions
 */
#pragma once

#include "rpc/writer.h"
#include "vm/module.h"

/*
 * Write the members features, imports, exports and ignored_sections of an object that the caller
 * has begun.
 */
void modinfo_write(struct rpc_writer *w, const struct vm_module *module);

/*
 * Write those members into an object whose other members are written already, from the text that
 * modinfo_write made inside of an object of its own.
 */
void modinfo_splice(struct rpc_writer *w, const char *info);
