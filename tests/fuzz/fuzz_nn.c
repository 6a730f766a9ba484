/*
 * fuzz_nn.c - requests of inference, and the look into graphs and ONNX models.
 *
 * What is read as a list of tensors is written and has to be read as the same list.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "plugins/common/message.h"
#include "plugins/nn/external.h"
#include "plugins/tensorflow/refused.h"

static enum vm_status VM_PRINTF(3, 4)
fail(struct vm_error *err, enum vm_status status, const char *format, ...)
{
	(void)err;
	(void)format;
	return status;
}

static const struct vm_plugin_host host = { .fail = fail };

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
check_list(const struct nn_list *list)
{
	struct nn_list again = { 0 };
	json_t *json = nn_list_json(list);

	check(json != NULL && nn_list_read(&host, json, "again", &again, NULL) == VM_OK);
	check(again.count == list->count);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct nn_tensor *a = &list->items[i];
		const struct nn_tensor *b = &again.items[i];
		check(strcmp(a->name, b->name) == 0 && a->type == b->type &&
		      a->shape.rank == b->shape.rank);
		for (int32_t k = 0; k < a->shape.rank; k++)
			check(a->shape.dims[k] == b->shape.dims[k]);
	}
	json_decref(json);
	nn_list_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vm_str text = { (const char *)data, size };
	struct nn_request request;
	struct vm_str type;

	for (int verb = NN_LOAD; verb <= NN_UNLOAD; verb++) {
		if (nn_request_read(&host, (enum nn_verb)verb, text, &request, NULL) == VM_OK) {
			check_list(&request.inputs);
			for (uint32_t i = 0; i < request.inputs.count; i++)
				(void)nn_tensor_holds(&request.inputs.items[i], data, size);
		}
		nn_request_clear(&request);
	}
	(void)tf_graph_look(text, &type);
	(void)onnx_look(text);
	return 0;
}
