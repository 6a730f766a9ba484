/*
 * external.h - does an ONNX model want data from other files?
 *
 * A model given as bytes has no folder; a library would look for such files where the process
 * happens to be, and they are not its caller's to read.
 */
#pragma once

#include "vm/common.h"

enum onnx_verdict { ONNX_GOOD, ONNX_MALFORMED, ONNX_EXTERNAL };

/* Look at all tensors of a ModelProto, also of those of attributes and functions. */
enum onnx_verdict onnx_look(struct vm_str model);
