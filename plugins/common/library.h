/*
 * library.h - a shared library that is opened when it is first needed.
 *
 * Owns:    the handle, until nn_library_clear. Inference libraries are never closed: they have
 *          threads of their own
 * Threads: any
 */
#pragma once

#include <pthread.h>
#include "vm/plugin.h"

/* One function that is looked up, and where its address goes: a pointer to a function pointer. */
struct nn_symbol {
	const char *name;
	void *slot;
	bool is_optional;
};

struct nn_library {
	const char *title;              /* "TensorFlow", for messages */
	const char *const *names;       /* of files, tried in order; ends with NULL */
	const char *how;                /* how to get it: a sentence's end */
	const struct nn_symbol *symbols; /* ends with a NULL name */
	/* Called once when all symbols are there, to look closer. May be NULL. */
	enum vm_status (*check)(const struct vm_plugin_host *host, struct vm_error *err);
	/* Called by nn_library_clear when check has succeeded: what it made goes. May be NULL. */
	void (*release)(void);

	char *path; /* option: a file, or a folder that has one of names; "" the system's search */
	pthread_mutex_t lock;
	enum { NN_LIBRARY_CLOSED, NN_LIBRARY_OPEN, NN_LIBRARY_MISSING } state;
	char why[VM_ERROR_MESSAGE_MAX]; /* when it is missing */
};

/* The members above path are set by the caller; the path is copied. Returns VM_E_NOMEM. */
VM_MUST_CHECK enum vm_status nn_library_init(struct nn_library *library,
                                             const struct vm_plugin_host *host, const char *path,
                                             struct vm_error *err);
void nn_library_clear(struct nn_library *library);
/* Open it unless it is. Returns VM_E_UNSUPPORTED: says what is missing and how to get it. */
VM_MUST_CHECK enum vm_status nn_library_open(struct nn_library *library,
                                             const struct vm_plugin_host *host,
                                             struct vm_error *err);
