/*
 * tensor.h - what a tensor is: name, element type and shape; how many bytes it takes.
 *
 * Nothing here believes a number: products are checked, and a dimension may be unknown.
 *
 * Owns:    a list owns its tensors, a tensor its name
 * Threads: no state
 */
#pragma once

#include "vm/plugin.h"

#define NN_RANK_MAX 32
#define NN_TENSORS_MAX VM_PLUGIN_BUFFERS_MAX
#define NN_NAME_MAX 512u

enum nn_datatype {
	NN_INVALID,
#define DATATYPE(symbol, size, tensorflow, tflite, onnx) NN_##symbol,
#include "plugins/common/datatype.def"
#undef DATATYPE
	NN_DATATYPE_COUNT
};

/* Whose numbers for element types. */
enum nn_codes { NN_CODES_TENSORFLOW, NN_CODES_TFLITE, NN_CODES_ONNX };

/* "FP32"; "INVALID" for NN_INVALID. */
const char *nn_datatype_word(enum nn_datatype type);
/* NN_INVALID when there is none of that word, or number. */
enum nn_datatype nn_datatype_of_word(const char *word);
enum nn_datatype nn_datatype_of_code(enum nn_codes codes, int64_t code);
/* 0 when the library has no such type. */
int nn_datatype_code(enum nn_codes codes, enum nn_datatype type);
/* Bytes of an element; 0 for BYTES, whose elements differ. */
uint32_t nn_datatype_size(enum nn_datatype type);

struct nn_shape {
	int32_t rank;              /* -1: not even that is known; else at most NN_RANK_MAX */
	int64_t dims[NN_RANK_MAX]; /* -1: any */
};

#define NN_SHAPE_TEXT_MAX 256
/* "[1,-1,3]", cut when it is long; "[...]" for an unknown rank. Returns buf. */
const char *nn_shape_text(const struct nn_shape *shape, char *buf, size_t size);

struct nn_tensor {
	char *name;
	enum nn_datatype type;
	struct nn_shape shape;
};

/* Number of elements. False when a dimension is unknown or the product too large. */
bool nn_shape_count(const struct nn_shape *shape, uint64_t *out);
/* Is each known dimension of pattern that of shape? */
bool nn_shape_fits(const struct nn_shape *shape, const struct nn_shape *pattern);
/* Bytes of the data. False for an unknown shape, a product too large, and BYTES. */
bool nn_tensor_size(const struct nn_tensor *tensor, uint64_t *out_bytes);
/* Are these the bytes of such a tensor, no more and no less? */
bool nn_tensor_holds(const struct nn_tensor *tensor, const void *data, size_t len);

/* Take the next element of a BYTES tensor off *data. False at the end, or when it is cut. */
bool nn_bytes_next(struct vm_str *data, struct vm_str *out);

uint32_t nn_load_u32(const void *bytes);
void nn_store_u32(void *bytes, uint32_t value);
uint64_t nn_load_u64(const void *bytes);
void nn_store_u64(void *bytes, uint64_t value);

/* --- lists ---------------------------------------------------------------------------------- */

struct nn_list {
	struct nn_tensor *items;
	uint32_t count; /* at most NN_TENSORS_MAX */
};

/* Append a tensor; the name is copied. False: out of memory, or the list is full. */
bool nn_list_add(struct nn_list *list, const char *name, enum nn_datatype type,
                 const struct nn_shape *shape);
/* Index of the tensor of that name, or -1. */
int32_t nn_list_find(const struct nn_list *list, const char *name);
void nn_list_clear(struct nn_list *list);
