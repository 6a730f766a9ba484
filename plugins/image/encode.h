/*
 * encode.h - pixels as a PNG file, row by row.
 */
#pragma once

#include "vm/plugin.h"

struct encoder;

/* For width x height pixels of RGB, and files of at most size_bytes_max. Returns VM_E_NOMEM. */
VM_MUST_CHECK enum vm_status encoder_new(const struct vm_plugin_host *host, uint32_t width,
                                         uint32_t height, uint64_t size_bytes_max,
                                         struct encoder **out, struct vm_error *err);
/* NULL is fine. */
void encoder_free(struct encoder *encoder);
/* Add a row, 3 * width bytes. Returns VM_E_LIMIT, VM_E_NOMEM. */
VM_MUST_CHECK enum vm_status encoder_row(struct encoder *encoder, const uint8_t *rgb,
                                         struct vm_error *err);
/* Behind the last row: the file, valid until encoder_free. Fails as encoder_row does. */
VM_MUST_CHECK enum vm_status encoder_end(struct encoder *encoder, struct vm_str *out_file,
                                         struct vm_error *err);
