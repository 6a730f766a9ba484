/*
 * models.h - the models that a plug-in has loaded, and the operations on them: load, infer,
 * describe, unload over a back-end.
 *
 * A model is known by a key of the caller's choice, apart for each tenant. A key of the form
 * "sha256:..." is believed only when the bytes have that digest, so that nobody can pass off
 * another model under it. When more memory is taken than memory_max, models that were not used for
 * longest leave; one that is in use is freed when its last user is done.
 *
 * Owns:    the models
 * Threads: any; a back-end's infer is called by several at a time on one model
 */
#pragma once

#include <pthread.h>
#include "plugins/common/library.h"
#include "plugins/common/message.h"

/* What a model is made of. Borrowed. */
struct nn_source {
	const char *format; /* one of the back-end's */
	struct vm_str bytes;
	const char *path; /* of a folder, for the formats that have one; else NULL */
	const char *const *tags;
	uint32_t tag_count;
};

/* A loaded model: made by a back-end's load, which may embed it in more. */
struct nn_model {
	struct nn_list inputs; /* what has to be given, or is usually given */
	struct nn_list outputs;
	uint64_t size_bytes; /* what it keeps in memory, as far as known */
};

/* One inference. inputs were checked against the model's description. */
struct nn_inference {
	const struct nn_list *inputs;
	const struct vm_str *data; /* of each input */
	struct nn_list *outputs;   /* names; type and shape to be filled in */
};

struct nn_models;

struct nn_backend {
	const char *title;          /* "TensorFlow", for messages */
	const char *const *formats; /* the first is meant when none is given; ends with NULL */
	bool inputs_are_all_needed; /* those of the description, and no others are taken */
	/* Fails with VM_E_DATA when the bytes are no such model, VM_E_ARGUMENT when it cannot be
	 * run here. */
	enum vm_status (*load)(struct nn_models *models, const struct nn_source *source,
	                       struct nn_model **out, struct vm_error *err);
	void (*free)(struct nn_model *model);
	/*
	 * Append a reply buffer for each output, in order. The library may say what it likes about
	 * the result: sizes are checked against what it allocated.
	 */
	enum vm_status (*infer)(struct nn_models *models, struct nn_model *model,
	                        const struct nn_inference *inference,
	                        struct vm_plugin_reply *reply, struct vm_error *err);
	/* A tensor that the description does not have, by name: fill in type and shape. False:
	 * there is none. May be NULL. */
	bool (*describe)(struct nn_model *model, const char *name, struct nn_tensor *out);
};

/* Options that all such plug-ins have, first and in this order. */
enum nn_option { NN_OPTION_LIBRARY, NN_OPTION_MEMORY_MAX, NN_OPTION_THREADS, NN_OPTION_COUNT };
#define NN_OPTIONS(library_summary)                                                          \
	{ "library", VM_PLUGIN_TEXT, "", library_summary },                                  \
	{ "memory_max", VM_PLUGIN_SIZE, "1GiB", "Memory for models that are kept loaded" },  \
	{ "threads", VM_PLUGIN_UINT, "2", "Threads for one inference" }

struct nn_entry;

/* First member of what the plug-in's open makes. */
struct nn_models {
	const struct vm_plugin_host *host;
	const struct nn_backend *backend;
	struct nn_library library;
	uint64_t memory_max;
	int threads;
	pthread_mutex_t lock;
	struct nn_entry *entries; /* most recently used first */
	uint64_t memory;          /* of all entries */
};

/* library is what nn_library_init wants. values begin with NN_OPTIONS. Returns VM_E_ARGUMENT,
 * VM_E_NOMEM. */
VM_MUST_CHECK enum vm_status nn_models_init(struct nn_models *models,
                                            const struct vm_plugin_host *host,
                                            const struct nn_backend *backend,
                                            const struct nn_library *library,
                                            const struct vm_plugin_value *values,
                                            struct vm_error *err);
void nn_models_clear(struct nn_models *models);

/* The operations; the plug-in's object has to begin with a struct nn_models. */
#define NN_OPERATION_COUNT 4
extern const struct vm_plugin_operation nn_operations[NN_OPERATION_COUNT];
/* For check of a plug-in: is the library there? */
enum vm_status nn_models_check(void *plugin, struct vm_error *err);
