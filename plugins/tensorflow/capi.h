/*
 * capi.h - the functions of TensorFlow's C API that are used, looked up at run time.
 *
 * TF_FUNCTIONS(F): F(result, name, parameters), of the function TF_<name>.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tf_status;
struct tf_graph;
struct tf_operation;
struct tf_session;
struct tf_session_options;
struct tf_import_options;
struct tf_tensor;

struct tf_buffer {
	const void *data;
	size_t len;
	void (*free)(void *data, size_t len);
};

struct tf_output {
	struct tf_operation *operation;
	int index;
};

/* A text within a tensor; only the functions know what is in it. */
struct tf_string {
	_Alignas(8) unsigned char bytes[24];
};

#define TF_FUNCTIONS(F)                                                                        \
	F(const char *, Version, (void))                                                       \
	F(struct tf_status *, NewStatus, (void))                                               \
	F(void, DeleteStatus, (struct tf_status *))                                            \
	F(int, GetCode, (const struct tf_status *))                                            \
	F(const char *, Message, (const struct tf_status *))                                   \
	F(struct tf_buffer *, NewBuffer, (void))                                               \
	F(void, DeleteBuffer, (struct tf_buffer *))                                            \
	F(struct tf_graph *, NewGraph, (void))                                                 \
	F(void, DeleteGraph, (struct tf_graph *))                                              \
	F(struct tf_import_options *, NewImportGraphDefOptions, (void))                        \
	F(void, DeleteImportGraphDefOptions, (struct tf_import_options *))                     \
	F(void, GraphImportGraphDef,                                                           \
	  (struct tf_graph *, const struct tf_buffer *, const struct tf_import_options *,      \
	   struct tf_status *))                                                                \
	F(struct tf_operation *, GraphOperationByName, (struct tf_graph *, const char *))      \
	F(struct tf_operation *, GraphNextOperation, (struct tf_graph *, size_t *position))    \
	F(int, GraphGetTensorNumDims, (struct tf_graph *, struct tf_output, struct tf_status *)) \
	F(void, GraphGetTensorShape,                                                           \
	  (struct tf_graph *, struct tf_output, int64_t *dims, int count, struct tf_status *)) \
	F(const char *, OperationName, (struct tf_operation *))                                \
	F(const char *, OperationOpType, (struct tf_operation *))                              \
	F(int, OperationNumOutputs, (struct tf_operation *))                                   \
	F(int, OperationOutputType, (struct tf_output))                                        \
	F(int, OperationOutputNumConsumers, (struct tf_output))                                \
	F(struct tf_session_options *, NewSessionOptions, (void))                              \
	F(void, DeleteSessionOptions, (struct tf_session_options *))                           \
	F(void, SetConfig,                                                                     \
	  (struct tf_session_options *, const void *proto, size_t len, struct tf_status *))    \
	F(struct tf_session *, NewSession,                                                     \
	  (struct tf_graph *, const struct tf_session_options *, struct tf_status *))          \
	F(struct tf_session *, LoadSessionFromSavedModel,                                      \
	  (const struct tf_session_options *, const struct tf_buffer *run_options,             \
	   const char *folder, const char *const *tags, int tag_count, struct tf_graph *,      \
	   struct tf_buffer *meta_graph, struct tf_status *))                                  \
	F(void, CloseSession, (struct tf_session *, struct tf_status *))                       \
	F(void, DeleteSession, (struct tf_session *, struct tf_status *))                      \
	F(void, SessionRun,                                                                    \
	  (struct tf_session *, const struct tf_buffer *run_options,                           \
	   const struct tf_output *inputs, struct tf_tensor *const *input_values,              \
	   int input_count, const struct tf_output *outputs, struct tf_tensor **output_values, \
	   int output_count, struct tf_operation *const *targets, int target_count,            \
	   struct tf_buffer *run_metadata, struct tf_status *))                                \
	F(struct tf_tensor *, AllocateTensor,                                                  \
	  (int type, const int64_t *dims, int count, size_t len))                              \
	F(struct tf_tensor *, NewTensor,                                                       \
	  (int type, const int64_t *dims, int count, void *data, size_t len,                   \
	   void (*free)(void *data, size_t len, void *env), void *env))                        \
	F(void, DeleteTensor, (struct tf_tensor *))                                            \
	F(int, TensorType, (const struct tf_tensor *))                                         \
	F(int, NumDims, (const struct tf_tensor *))                                            \
	F(int64_t, Dim, (const struct tf_tensor *, int))                                       \
	F(size_t, TensorByteSize, (const struct tf_tensor *))                                  \
	F(void *, TensorData, (const struct tf_tensor *))                                      \
	F(void, StringInit, (struct tf_string *))                                              \
	F(void, StringCopy, (struct tf_string *, const char *, size_t))                        \
	F(void, StringDealloc, (struct tf_string *))                                           \
	F(size_t, StringGetSize, (const struct tf_string *))                                   \
	F(const char *, StringGetDataPointer, (const struct tf_string *))

struct tf_api {
#define F(result, name, parameters) result(*name) parameters;
	TF_FUNCTIONS(F)
#undef F
};

/* Looked up when the library is opened. */
extern struct tf_api tf;
