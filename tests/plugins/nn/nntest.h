/*
 * nntest.h - what the tests of inference share: where models and libraries are, plug-ins with their
 * libraries, tensors as JSON.
 *
 * Models are made by models.py in the build folder; libraries are in the cache folder that
 * ./bootstrap libraries fills.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vm/plugins.h"

struct nn_file {
	uint8_t *data;
	size_t len;
};

/* A file of the models' folder. Ends the program when it is not there. */
struct nn_file nn_test_model(const char *name);
/* A file of that path; data is NULL when it cannot be read. */
struct nn_file nn_test_file(const char *path);
/* The folder of the libraries. */
const char *nn_test_libraries(void);
/* Is that library there? */
bool nn_test_has_library(const char *name);

/*
 * All plug-ins of the build folder, with the libraries of the cache. more are further settings.
 * Ends the program when that fails.
 */
struct vm_plugins *nn_test_plugins(const struct vm_plugins_setting *more, size_t more_count);

/* Ask for an operation with JSON and buffers. */
enum vm_status nn_test_operate(struct vm_plugins *plugins, const char *plugin,
                               const char *operation, const char *json,
                               const struct vm_str *buffers, uint32_t buffer_count,
                               struct vm_plugin_reply *reply, struct vm_error *err);
/* Load a model of the folder under the key "m". */
enum vm_status nn_test_load(struct vm_plugins *plugins, const char *plugin, const char *name,
                            struct vm_error *err);
/* The largest difference of two arrays of floats; infinity when one has a NaN. */
double nn_test_difference(const float *a, const float *b, size_t count);

/* fail of a struct vm_plugin_host. */
enum vm_status nn_test_fail(struct vm_error *err, enum vm_status status, const char *format, ...)
    VM_PRINTF(3, 4);

/* What LeakSanitizer is not to tell of: the libraries keep things until the process ends. */
VM_EXPORT const char *__lsan_default_suppressions(void);
