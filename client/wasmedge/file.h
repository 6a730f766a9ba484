/*
 * file.h - module files.
 */
#pragma once

#include "vm/vm.h"

/* Is there a pipe or the like, whose contents are gone when they have been read? */
bool file_is_read_once(const char *path);

/*
 * Read a file of at most bytes_max bytes whole; the caller frees *out_bytes.
 * Returns VM_E_IO (saying why), VM_E_LIMIT, VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status file_read(const char *path, uint64_t bytes_max, uint8_t **out_bytes,
                                       size_t *out_len, struct vm_error *err);

/*
 * The same with the engine's default limit, of a module: what is in the text format becomes binary.
 * Returns as file_read and vm_text_parse; then the message says where.
 */
VM_MUST_CHECK enum vm_status file_read_module(struct vm_engine *engine, const char *path,
                                              uint8_t **out_bytes, size_t *out_len,
                                              struct vm_error *err);

/* Read and load a module of either format. */
VM_MUST_CHECK enum vm_status file_load_module(struct vm_engine *engine, const char *path,
                                              struct vm_module **out, struct vm_error *err);

/*
 * Write a file of these parts under a temporary name beside the final one, and rename: nobody ever
 * sees half a file, and it may be what was read. Returns VM_E_IO, saying why; VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status file_write(const char *path, const struct vm_str *parts, size_t count,
                                        struct vm_error *err);
