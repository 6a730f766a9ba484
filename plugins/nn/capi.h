/*
 * capi.h - the functions of ONNX Runtime's C API that are used.
 *
 * The library exports one function, which gives a table of pointers; places in it never change, new
 * functions come last. ORT_FUNCTIONS(F): F(place, result, name, parameters). Functions that can
 * fail give a status, NULL for success.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ort_status;
struct ort_env;
struct ort_session;
struct ort_session_options;
struct ort_memory_info;
struct ort_value;
struct ort_type_info;
struct ort_tensor_info;
struct ort_allocator;

struct ort_base {
	const void *(*get_api)(uint32_t version);
	const char *(*get_version)(void);
};

/* The version that these places are of; later libraries give it, too. */
#define ORT_VERSION 1u

#define ORT_LOG_FATAL 4
#define ORT_ARENA_ALLOCATOR 1
#define ORT_MEMORY_DEFAULT 0

typedef struct ort_status *ort_result;

#define ORT_FUNCTIONS(F)                                                                       \
	F(2, const char *, GetErrorMessage, (const struct ort_status *))                       \
	F(3, ort_result, CreateEnv, (int level, const char *name, struct ort_env **))          \
	F(6, ort_result, DisableTelemetryEvents, (const struct ort_env *))                     \
	F(8, ort_result, CreateSessionFromArray,                                               \
	  (const struct ort_env *, const void *bytes, size_t len,                              \
	   const struct ort_session_options *, struct ort_session **))                         \
	F(9, ort_result, Run,                                                                  \
	  (struct ort_session *, const void *run_options, const char *const *input_names,      \
	   const struct ort_value *const *inputs, size_t input_count,                          \
	   const char *const *output_names, size_t output_count, struct ort_value **outputs))  \
	F(10, ort_result, CreateSessionOptions, (struct ort_session_options **))               \
	F(24, ort_result, SetIntraOpNumThreads, (struct ort_session_options *, int))           \
	F(30, ort_result, SessionGetInputCount, (const struct ort_session *, size_t *))        \
	F(31, ort_result, SessionGetOutputCount, (const struct ort_session *, size_t *))       \
	F(33, ort_result, SessionGetInputTypeInfo,                                             \
	  (const struct ort_session *, size_t, struct ort_type_info **))                       \
	F(34, ort_result, SessionGetOutputTypeInfo,                                            \
	  (const struct ort_session *, size_t, struct ort_type_info **))                       \
	F(36, ort_result, SessionGetInputName,                                                 \
	  (const struct ort_session *, size_t, struct ort_allocator *, char **))               \
	F(37, ort_result, SessionGetOutputName,                                                \
	  (const struct ort_session *, size_t, struct ort_allocator *, char **))               \
	F(48, ort_result, CreateTensorAsOrtValue,                                              \
	  (struct ort_allocator *, const int64_t *dims, size_t count, int type,                \
	   struct ort_value **))                                                               \
	F(49, ort_result, CreateTensorWithDataAsOrtValue,                                      \
	  (const struct ort_memory_info *, void *data, size_t len, const int64_t *dims,        \
	   size_t count, int type, struct ort_value **))                                       \
	F(50, ort_result, IsTensor, (const struct ort_value *, int *))                         \
	F(51, ort_result, GetTensorMutableData, (struct ort_value *, void **))                 \
	F(52, ort_result, FillStringTensor,                                                    \
	  (struct ort_value *, const char *const *texts, size_t count))                        \
	F(53, ort_result, GetStringTensorDataLength, (const struct ort_value *, size_t *))     \
	F(54, ort_result, GetStringTensorContent,                                              \
	  (const struct ort_value *, void *texts, size_t len, size_t *offsets, size_t count))  \
	F(55, ort_result, CastTypeInfoToTensorInfo,                                            \
	  (const struct ort_type_info *, const struct ort_tensor_info **))                     \
	F(60, ort_result, GetTensorElementType, (const struct ort_tensor_info *, int *))       \
	F(61, ort_result, GetDimensionsCount, (const struct ort_tensor_info *, size_t *))      \
	F(62, ort_result, GetDimensions, (const struct ort_tensor_info *, int64_t *, size_t))  \
	F(65, ort_result, GetTensorTypeAndShape,                                               \
	  (const struct ort_value *, struct ort_tensor_info **))                               \
	F(69, ort_result, CreateCpuMemoryInfo,                                                 \
	  (int allocator, int memory, struct ort_memory_info **))                              \
	F(76, ort_result, AllocatorFree, (struct ort_allocator *, void *))                     \
	F(78, ort_result, GetAllocatorWithDefaultOptions, (struct ort_allocator **))           \
	F(92, void, ReleaseEnv, (struct ort_env *))                                            \
	F(93, void, ReleaseStatus, (struct ort_status *))                                      \
	F(94, void, ReleaseMemoryInfo, (struct ort_memory_info *))                             \
	F(95, void, ReleaseSession, (struct ort_session *))                                    \
	F(96, void, ReleaseValue, (struct ort_value *))                                        \
	F(98, void, ReleaseTypeInfo, (struct ort_type_info *))                                 \
	F(99, void, ReleaseTensorTypeAndShapeInfo, (struct ort_tensor_info *))                 \
	F(100, void, ReleaseSessionOptions, (struct ort_session_options *))

struct ort_api {
#define F(place, result, name, parameters) result(*name) parameters;
	ORT_FUNCTIONS(F)
#undef F
};

/* Filled in when the library is opened. */
extern struct ort_api ort;
