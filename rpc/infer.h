/*
 * infer.h - inference requests and replies on the wire: the open inference protocol, version 2.
 *
 *     {"id":"1","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}],
 *      "outputs":[{"name":"y","parameters":{"binary_data":true}}]}
 *
 * and its extension for binary tensors: an input whose parameters have binary_data_size has no
 * data; its bytes follow the JSON, in the order of the inputs, row-major, little-endian, without
 * padding.
 * A header field, Inference-Header-Content-Length, then says how long the JSON is.
 *
 *     datatype        element in JSON                          in binary
 *     BOOL            true, false                              a byte, 0 or 1
 *     INT.. UINT..    number, or string of decimal digits      so many bits
 *     FP32 FP64       number; string as in number.h, which     IEEE 754
 *                     also has "inf" "-inf" "nan"
 *     FP16 BF16       cannot be written                        two bytes
 *     BYTES           string, its UTF-8 bytes                  length in 4 bytes, bytes
 *
 * `data` holds all elements in one array, or arrays within arrays as the shape says. It never
 * becomes a tree: numbers are read from the text, once and exactly, straight into the tensor.
 *
 * Parameters that mean nothing here are ignored, as the protocol has it: they are for others.
 *
 * Owns:    a request its tree and the tensors that came as JSON; binary ones borrow the body
 */
#pragma once

#include "rpc/json.h"

#define RPC_TENSORS_MAX 64
#define RPC_TENSOR_RANK_MAX 32
#define RPC_TENSOR_NAME_MAX 512
#define RPC_INFER_ID_MAX 1024
#define RPC_INFER_HEAD_MAX 262144 /* bytes of the JSON besides the elements */

enum rpc_element { RPC_ELEMENT_BOOL, RPC_ELEMENT_UINT, RPC_ELEMENT_INT, RPC_ELEMENT_FLOAT,
	           RPC_ELEMENT_TEXT, RPC_ELEMENT_NONE };

enum rpc_datatype {
#define DATATYPE(symbol, size_bytes, kind) RPC_DATATYPE_##symbol,
#include "rpc/datatypes.def"
#undef DATATYPE
	RPC_DATATYPE_COUNT
};

/* "FP32", ... */
const char *rpc_datatype_text(enum rpc_datatype datatype);
/* Bytes of one element; 0 for BYTES. */
size_t rpc_datatype_size(enum rpc_datatype datatype);
/* False when no datatype has that name. */
RPC_MUST_CHECK bool rpc_datatype_find(const char *text, size_t len, enum rpc_datatype *out);

/* --- tensors ------------------------------------------------------------------------------- */

#define RPC_DIM_ANY (-1)        /* a dimension that requests may choose */
#define RPC_RANK_ANY UINT32_MAX /* so is the number of dimensions */

struct rpc_tensor {
	const char *name; /* in the tree */
	enum rpc_datatype datatype;
	uint32_t rank;
	int64_t shape[RPC_TENSOR_RANK_MAX];
	const uint8_t *data; /* elements in binary; NULL: only described */
	size_t size_bytes;
	uint8_t *owned; /* data, when it was made here */
	bool is_binary; /* is to be written as such */
};

struct rpc_tensors {
	size_t count;
	struct rpc_tensor items[RPC_TENSORS_MAX];
};

/*
 * The number of elements. False when a dimension is left open, or the elements would take more than
 * size_max bytes (of BYTES, their lengths).
 */
RPC_MUST_CHECK bool rpc_tensor_elements(const struct rpc_tensor *tensor, uint64_t size_max,
                                        uint64_t *out);
/* Whether data is as long as shape and datatype say; of BYTES, whether the lengths add up. */
RPC_MUST_CHECK bool rpc_tensor_fits(const struct rpc_tensor *tensor);

/* What a model takes and gives; shapes may have RPC_DIM_ANY, rank be RPC_RANK_ANY. */
struct rpc_model {
	json_t *tree;
	struct rpc_tensors inputs;
	struct rpc_tensors outputs;
};

/*
 * Read {"inputs":[{"name","datatype","shape"}],"outputs":[..]}; inputs may be absent, other members
 * are ignored.
 * Returns RPC_BAD_JSON, RPC_BAD_REQUEST, RPC_OUT_OF_MEMORY; *out is to be cleared in any case.
 */
RPC_MUST_CHECK enum rpc_code rpc_model_parse(const char *text, size_t len, struct rpc_model *out,
                                             struct rpc_problem *problem);
void rpc_model_clear(struct rpc_model *model);
/* Write what tensors are, as a member; and both members of a model. */
void rpc_tensors_write(struct rpc_writer *w, const char *key, const struct rpc_tensors *tensors);
void rpc_model_write(struct rpc_writer *w, const struct rpc_model *model);

/* --- requests ------------------------------------------------------------------------------ */

struct rpc_infer {
	json_t *tree;
	const char *id; /* NULL: none was given */
	struct rpc_tensors inputs;
	struct rpc_tensors outputs; /* names and is_binary; none: all */
	bool is_binary;             /* outputs that are not named are to be binary */
};

/*
 * Read a body. json_len says how much of it is JSON; RPC_UNSET: all. size_max bounds the tensors
 * together. *out is to be cleared in any case, and borrows the body.
 *
 * Returns RPC_BAD_JSON, RPC_BAD_REQUEST
 *         RPC_TENSOR_MISMATCH  elements are not what shape and datatype ask for; points at one
 *         RPC_BODY_TOO_LARGE   tensors are above size_max, or the rest above RPC_INFER_HEAD_MAX
 *         RPC_OUT_OF_MEMORY
 */
RPC_MUST_CHECK enum rpc_code rpc_infer_parse(const char *body, size_t len, uint64_t json_len,
                                             size_t size_max, struct rpc_infer *out,
                                             struct rpc_problem *problem);
void rpc_infer_clear(struct rpc_infer *infer);

/*
 * Compare it with what the model takes and gives, and complete the outputs: without any, all of
 * the model's, which then has to live as long. Returns RPC_TENSOR_MISMATCH, pointing at what does
 * not fit.
 */
RPC_MUST_CHECK enum rpc_code rpc_infer_match(struct rpc_infer *infer, const struct rpc_model *model,
                                             struct rpc_problem *problem);

/* --- replies ------------------------------------------------------------------------------- */

struct rpc_infer_reply {
	const char *model;
	const char *version; /* or NULL */
	const char *id;      /* or NULL */
	const struct rpc_tensors *outputs; /* with data that fits */
};

/*
 * Write the reply: the JSON, and behind it what is binary. *out_json_len gets the length of the
 * JSON, and RPC_UNSET when there is nothing behind it.
 *
 * Returns RPC_TENSOR_MISMATCH  an output that is asked for as JSON cannot be written as such
 */
RPC_MUST_CHECK enum rpc_code rpc_infer_write(struct rpc_writer *w,
                                             const struct rpc_infer_reply *reply,
                                             uint64_t *out_json_len, struct rpc_problem *problem);
