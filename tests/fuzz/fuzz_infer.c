/*
 * fuzz_infer.c - inference requests and descriptions of models.
 *
 * The input is a body; the JSON goes as far as its first NUL, binary tensors follow behind that.
 * What is accepted has tensors that fit their shapes, and comes out again when it is written as a
 * reply and that is read as a request.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include "rpc/infer.h"

#define SIZE_LIMIT 1000000

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static bool
can_be_json(const struct rpc_tensors *tensors)
{
	for (size_t i = 0; i < tensors->count; i++)
		if (tensors->items[i].datatype == RPC_DATATYPE_FP16 ||
		    tensors->items[i].datatype == RPC_DATATYPE_BF16 ||
		    tensors->items[i].datatype == RPC_DATATYPE_BYTES)
			return false;
	return true;
}

/* A reply's outputs are inputs of a request when they are called so. */
static void
check_writing(struct rpc_infer *infer, bool is_binary)
{
	static const char from[] = "\"outputs\":[";
	static struct rpc_infer again;
	struct rpc_infer_reply reply = { "m", NULL, infer->id, &infer->inputs };
	struct rpc_problem problem;
	struct rpc_writer w;
	uint64_t json_len;

	for (size_t i = 0; i < infer->inputs.count; i++)
		infer->inputs.items[i].is_binary = is_binary;
	rpc_writer_init(&w);
	check(rpc_infer_write(&w, &reply, &json_len, &problem) == RPC_OK && rpc_writer_ok(&w));
	char *key = memmem(w.data, w.len, from, sizeof from - 1);
	memcpy(key, "\"inputs\": [", sizeof from - 1);
	check(rpc_infer_parse(w.data, w.len, json_len, SIZE_LIMIT, &again, &problem) == RPC_OK);
	check(again.inputs.count == infer->inputs.count);
	for (size_t i = 0; i < again.inputs.count; i++) {
		const struct rpc_tensor *a = &infer->inputs.items[i];
		const struct rpc_tensor *b = &again.inputs.items[i];
		check(a->size_bytes == b->size_bytes && a->rank == b->rank);
		check(a->datatype == RPC_DATATYPE_BOOL || a->size_bytes == 0 ||
		      memcmp(a->data, b->data, a->size_bytes) == 0);
	}
	rpc_infer_clear(&again);
	rpc_writer_clear(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *body = (const char *)data;
	const void *nul = size > 0 ? memchr(data, '\0', size) : NULL;
	static struct rpc_infer infer;
	static struct rpc_model model;
	struct rpc_problem problem;
	char *text = NULL;
	uint64_t json_len = RPC_UNSET;

	if (nul != NULL) {
		/* The NUL itself belongs to nothing. */
		json_len = (size_t)((const char *)nul - body);
		text = malloc(size);
		check(text != NULL);
		memcpy(text, body, json_len);
		memcpy(text + json_len, body + json_len + 1, size - json_len - 1);
		body = text;
		size--;
	}
	enum rpc_code code = rpc_infer_parse(body, size, json_len, SIZE_LIMIT, &infer, &problem);
	for (size_t i = 0; code == RPC_OK && i < infer.inputs.count; i++)
		check(rpc_tensor_fits(&infer.inputs.items[i]));
	if (code == RPC_OK) {
		check_writing(&infer, true);
		if (can_be_json(&infer.inputs))
			check_writing(&infer, false);
	}
	if (rpc_model_parse(body, json_len == RPC_UNSET ? size : json_len, &model, &problem) ==
	        RPC_OK && code == RPC_OK)
		check(rpc_infer_match(&infer, &model, &problem) != RPC_OK ||
		      infer.outputs.count > 0 || model.outputs.count == 0);
	rpc_model_clear(&model);
	rpc_infer_clear(&infer);
	free(text);
	return 0;
}
