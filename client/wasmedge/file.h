/*
 * file.h - module files.
 */
#pragma once

#include "vm/vm.h"

/*
 * Read a file of at most bytes_max bytes whole; the caller frees *out_bytes.
 * Returns VM_E_IO (saying why), VM_E_LIMIT, VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status file_read(const char *path, uint64_t bytes_max, uint8_t **out_bytes,
                                       size_t *out_len, struct vm_error *err);

/* Read and load a module with the engine's default limit on its size. */
VM_MUST_CHECK enum vm_status file_load_module(struct vm_engine *engine, const char *path,
                                              struct vm_module **out, struct vm_error *err);
