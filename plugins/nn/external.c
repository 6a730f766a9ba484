#include "plugins/nn/external.h"

#include "plugins/common/proto.h"

enum kind { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, TRAINING };

/* The members that lead to tensors, by field number. */
static const struct path {
	enum kind within;
	uint32_t number;
	enum kind what;
} paths[] = {
	{ MODEL, 7, GRAPH },      /* graph */
	{ MODEL, 20, TRAINING },  /* training_info */
	{ MODEL, 25, FUNCTION },  /* functions */
	{ TRAINING, 1, GRAPH },   /* initialization */
	{ TRAINING, 2, GRAPH },   /* algorithm */
	{ FUNCTION, 7, NODE },    /* node */
	{ FUNCTION, 11, ATTRIBUTE }, /* attribute_proto */
	{ GRAPH, 1, NODE },       /* node */
	{ GRAPH, 5, TENSOR },     /* initializer */
	{ GRAPH, 15, SPARSE },    /* sparse_initializer */
	{ NODE, 5, ATTRIBUTE },   /* attribute */
	{ ATTRIBUTE, 5, TENSOR }, /* t */
	{ ATTRIBUTE, 6, GRAPH },  /* g */
	{ ATTRIBUTE, 10, TENSOR }, /* tensors */
	{ ATTRIBUTE, 11, GRAPH }, /* graphs */
	{ ATTRIBUTE, 22, SPARSE }, /* sparse_tensor */
	{ ATTRIBUTE, 23, SPARSE }, /* sparse_tensors */
	{ SPARSE, 1, TENSOR },    /* values */
	{ SPARSE, 2, TENSOR },    /* indices */
};

#define DEPTH_MAX 200u /* graphs within graphs; libraries stop at 100 messages */

static enum onnx_verdict
look(enum kind kind, struct vm_str message, unsigned depth)
{
	struct nn_field field;

	if (depth > DEPTH_MAX)
		return ONNX_MALFORMED;
	while (nn_proto_next(&message, &field)) {
		/* TensorProto: external_data is 13, data_location 14. */
		if (kind == TENSOR &&
		    (field.number == 13 || (field.number == 14 && field.value != 0)))
			return ONNX_EXTERNAL;
		for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
			if (paths[i].within != kind || paths[i].number != field.number ||
			    !field.is_bytes)
				continue;
			enum onnx_verdict verdict = look(paths[i].what, field.bytes, depth + 1);
			if (verdict != ONNX_GOOD)
				return verdict;
		}
	}
	return message.len == 0 ? ONNX_GOOD : ONNX_MALFORMED;
}

enum onnx_verdict
onnx_look(struct vm_str model)
{
	return look(MODEL, model, 0);
}
