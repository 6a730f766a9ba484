/*
 * backend.h - graphs and SavedModels that TensorFlow's C library runs.
 *
 * Any tensor of a graph can be fed and fetched, by "operation" or "operation:index"; a SavedModel's
 * also by the names of its signature. Described are a graph's placeholders and what nothing in it
 * uses, or the signature.
 */
#pragma once

#include "plugins/common/models.h"

/* What the plug-in's open makes. */
struct tf_models {
	struct nn_models base;
	const char *saved_model_folders; /* words, each ended by NUL */
	uint64_t saved_model_folder_count;
	bool allows_host_operations;
};

extern const struct nn_backend tf_backend;
extern const struct nn_library tf_library;
