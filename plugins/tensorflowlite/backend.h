/*
 * backend.h - models that TensorFlow Lite's C library runs.
 *
 * A model has interpreters as many as there were inferences at a time; idle ones are kept.
 * Variables of a model are reset before each inference: no program sees what another one left.
 */
#pragma once

#include "plugins/common/models.h"

extern const struct nn_backend tflite_backend;
/* What nn_models_init wants. */
extern const struct nn_library tflite_library;
