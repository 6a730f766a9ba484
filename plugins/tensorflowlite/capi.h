/*
 * capi.h - the functions of TensorFlow Lite's C API that are used, looked up at run time.
 *
 * TFLITE_FUNCTIONS(F): F(result, name, parameters), of the function TfLite<name>.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct tflite_model;
struct tflite_options;
struct tflite_interpreter;
struct tflite_tensor;

#define TFLITE_FUNCTIONS(F)                                                                    \
	F(const char *, Version, (void))                                                       \
	F(struct tflite_model *, ModelCreate, (const void *bytes, size_t len))                 \
	F(void, ModelDelete, (struct tflite_model *))                                          \
	F(struct tflite_options *, InterpreterOptionsCreate, (void))                           \
	F(void, InterpreterOptionsDelete, (struct tflite_options *))                           \
	F(void, InterpreterOptionsSetNumThreads, (struct tflite_options *, int32_t))           \
	F(void, InterpreterOptionsSetErrorReporter,                                            \
	  (struct tflite_options *, void (*)(void *env, const char *format, va_list args),     \
	   void *env))                                                                         \
	F(struct tflite_interpreter *, InterpreterCreate,                                      \
	  (const struct tflite_model *, const struct tflite_options *))                        \
	F(void, InterpreterDelete, (struct tflite_interpreter *))                              \
	F(int, InterpreterAllocateTensors, (struct tflite_interpreter *))                      \
	F(int, InterpreterResetVariableTensors, (struct tflite_interpreter *))                 \
	F(int, InterpreterInvoke, (struct tflite_interpreter *))                               \
	F(int32_t, InterpreterGetInputTensorCount, (const struct tflite_interpreter *))        \
	F(int32_t, InterpreterGetOutputTensorCount, (const struct tflite_interpreter *))       \
	F(struct tflite_tensor *, InterpreterGetInputTensor,                                   \
	  (const struct tflite_interpreter *, int32_t))                                        \
	F(const struct tflite_tensor *, InterpreterGetOutputTensor,                            \
	  (const struct tflite_interpreter *, int32_t))                                        \
	F(int, TensorType, (const struct tflite_tensor *))                                     \
	F(int32_t, TensorNumDims, (const struct tflite_tensor *))                              \
	F(int32_t, TensorDim, (const struct tflite_tensor *, int32_t))                         \
	F(size_t, TensorByteSize, (const struct tflite_tensor *))                              \
	F(void *, TensorData, (const struct tflite_tensor *))                                  \
	F(const char *, TensorName, (const struct tflite_tensor *))                            \
	F(int, TensorCopyFromBuffer, (struct tflite_tensor *, const void *, size_t))           \
	F(void, TensorRealloc, (size_t, struct tflite_tensor *))

struct tflite_api {
#define F(result, name, parameters) result(*name) parameters;
	TFLITE_FUNCTIONS(F)
#undef F
};

/* Looked up when the library is opened. */
extern struct tflite_api tflite;
