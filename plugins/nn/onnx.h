/*
 * onnx.h - models that ONNX Runtime's C library runs, on the processor.
 */
#pragma once

#include "plugins/common/models.h"

extern const struct nn_backend onnx_backend;
extern const struct nn_library onnx_library;
