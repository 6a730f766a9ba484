/*
 * stream.h - standard streams, as the embedder configured them.
 */
#pragma once

#include "vm/wasi.h"
#include "vm/wasi/file.h"

/* Borrows what the stream borrows. WASI_ENOMEM, or what a bad descriptor gives. */
enum wasi_errno wasi_stream_new(const struct vm_wasi_stream *stream, struct wasi_file **out);
