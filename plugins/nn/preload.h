/*
 * preload.h - models that the operator gives guests by name.
 *
 * Each is a word NAME:ENCODING:TARGET:PATH of the option models. Files are read when a guest asks.
 *
 * Owns:    the table, not the texts
 * Threads: read-only after nn_preload_read
 */
#pragma once

#include "vm/plugin.h"

/* Numbers of the interface for what a model is. */
enum nn_encoding {
	NN_ENCODING_OPENVINO,
	NN_ENCODING_ONNX,
	NN_ENCODING_TENSORFLOW,
	NN_ENCODING_PYTORCH,
	NN_ENCODING_TFLITE,
	NN_ENCODING_AUTODETECT,
	NN_ENCODING_LAST = 14,
};

struct nn_preload {
	struct vm_str name;
	enum nn_encoding encoding;
	const char *path;
};

struct nn_preloads {
	struct nn_preload *items;
	uint32_t count;
};

/* Read the words of the option, which live on. Returns VM_E_ARGUMENT, naming the word; VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status nn_preload_read(const struct vm_plugin_host *host,
                                             const struct vm_plugin_value *words,
                                             struct nn_preloads *out, struct vm_error *err);
void nn_preload_clear(struct nn_preloads *preloads);
/* NULL when there is none of that name. */
const struct nn_preload *nn_preload_find(const struct nn_preloads *preloads, struct vm_str name);
/* The file's bytes, freed by the caller. Returns VM_E_IO, VM_E_LIMIT, VM_E_NOMEM. */
VM_MUST_CHECK enum vm_status nn_preload_bytes(const struct vm_plugin_host *host,
                                              const struct nn_preload *preload, char **out,
                                              size_t *out_len, struct vm_error *err);
