/*
 * wasi_nn.c - a plug-in that stands for wasi_nn in tests of the daemon: the same operations, and
 * models that say in a line what they do.
 *
 *     "\x08affine COLUMNS SCALE OFFSET\n"
 *
 * takes x, FP32 [-1, COLUMNS], and gives y = x * SCALE + OFFSET of the same shape, sum, FP64 [1],
 * the bytes of the line as text, BYTES [1], and half, FP16 [1]. Two models are kept at a time. A
 * first element of x below -1000 asks for what should not happen: see misbehave.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vm/plugin.h"

#define KEPT 2
#define LINE_MAX_BYTES 200

struct affine {
	char key[100];
	char line[LINE_MAX_BYTES + 1];
	unsigned columns;
	float scale;
	float offset;
	uint64_t used;
};

static struct {
	pthread_mutex_t lock;
	struct affine models[KEPT];
	uint64_t turns;
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

static enum vm_status
out_of_memory(const struct vm_plugin_host *host, struct vm_error *err)
{
	return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
}

/* The request's object, and its model's key. */
static json_t *
open_request(const struct vm_plugin_request *request, const char **out_key)
{
	json_t *tree = json_loadb(request->json.data, request->json.len, 0, NULL);

	*out_key = json_string_value(json_object_get(tree, "model"));
	if (*out_key != NULL && strlen(*out_key) < sizeof kept.models[0].key)
		return tree;
	json_decref(tree);
	return NULL;
}

static struct affine *
find(const char *key)
{
	for (size_t i = 0; i < KEPT; i++)
		if (strcmp(kept.models[i].key, key) == 0)
			return &kept.models[i];
	return NULL;
}

static bool
parse(struct vm_str bytes, struct affine *out)
{
	char end;

	if (bytes.len < 2 || bytes.len > LINE_MAX_BYTES || bytes.data[0] != 8)
		return false;
	memcpy(out->line, bytes.data, bytes.len);
	out->line[bytes.len] = '\0';
	return sscanf(out->line + 1, "affine %4u %20f %20f%c", &out->columns, &out->scale,
	              &out->offset, &end) == 4 && end == '\n' && out->columns > 0;
}

static enum vm_status
describe(const struct vm_plugin_host *host, const struct affine *model,
         struct vm_plugin_reply *reply, struct vm_error *err)
{
	char json[600];
	int len = snprintf(json, sizeof json,
	                   "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,%u]}],"
	                   "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1,%u]},"
	                   "{\"name\":\"sum\",\"datatype\":\"FP64\",\"shape\":[1]},"
	                   "{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[1]},"
	                   "{\"name\":\"half\",\"datatype\":\"FP16\",\"shape\":[1]}],"
	                   "\"size_bytes\":%zu}",
	                   model->columns, model->columns, sizeof *model);

	return vm_plugin_reply_json(host, reply, json, (size_t)len) ? VM_OK
	                                                            : out_of_memory(host, err);
}

static enum vm_status
load(const struct vm_plugin_host *host, void *plugin, const struct vm_plugin_request *request,
     struct vm_plugin_reply *reply, struct vm_error *err)
{
	struct affine model = { .columns = 0 };
	const char *key;
	json_t *tree = open_request(request, &key);

	(void)plugin;
	if (tree == NULL || request->buffer_count != 1) {
		json_decref(tree);
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "expected a model and its bytes");
	}
	strcpy(model.key, key);
	json_decref(tree);
	if (!parse(request->buffers[0], &model))
		return vm_plugin_fail(host, err, VM_E_DATA, "no line \"affine ...\" at offset 1");
	pthread_mutex_lock(&kept.lock);
	struct affine *place = find(model.key);
	for (size_t i = 0; place == NULL || (place->used > 0 && i < KEPT); i++)
		if (place == NULL || kept.models[i].used < place->used)
			place = &kept.models[i];
	model.used = ++kept.turns;
	*place = model;
	pthread_mutex_unlock(&kept.lock);
	return describe(host, &model, reply, err);
}

/* --- infer --------------------------------------------------------------------------------- */

/* The size that the nonsense answer has instead of the right one. */
static size_t
misbehave(float first, size_t size)
{
	if (first == -1001)
		abort();
	while (first == -1002)
		pause();
	if (first == -1003)
		return size / 2;
	return size;
}

struct call {
	const struct vm_plugin_host *host;
	struct affine model;
	const float *x;
	size_t count; /* elements of x */
	struct vm_plugin_reply *reply;
};

static bool
give(struct call *call, const char *name)
{
	struct vm_plugin_reply *reply = call->reply;
	float first = call->count > 0 ? call->x[0] : 0;
	uint32_t len = (uint32_t)strlen(call->model.line);
	double sum = 0;

	if (strcmp(name, "y") == 0) {
		size_t size = misbehave(first, call->count * sizeof(float));
		float *y = (float *)vm_plugin_reply_buffer(call->host, reply, size);
		for (size_t i = 0; y != NULL && i < size / sizeof *y; i++)
			y[i] = call->x[i] * call->model.scale + call->model.offset;
		return y != NULL;
	}
	if (strcmp(name, "sum") == 0) {
		uint8_t *to = vm_plugin_reply_buffer(call->host, reply, sizeof sum);
		for (size_t i = 0; i < call->count; i++)
			sum += (double)call->x[i];
		return to != NULL && memcpy(to, &sum, sizeof sum);
	}
	if (strcmp(name, "text") == 0) {
		uint8_t *to = vm_plugin_reply_buffer(call->host, reply, sizeof len + len);
		return to != NULL && memcpy(to, &len, sizeof len) &&
		       memcpy(to + sizeof len, call->model.line, len);
	}
	return vm_plugin_reply_buffer(call->host, reply, 2) != NULL; /* half: zero */
}

/* All outputs that are asked for; NULL: no memory. */
static json_t *
give_all(struct call *call, const json_t *wanted, const json_t *shape)
{
	json_t *outputs = json_array();
	const json_t *output;
	size_t i;

	json_array_foreach (wanted, i, output) {
		const char *name = json_string_value(json_object_get(output, "name"));
		const char *type = strcmp(name, "y") == 0      ? "FP32"
		                   : strcmp(name, "sum") == 0  ? "FP64"
		                   : strcmp(name, "text") == 0 ? "BYTES"
		                                               : "FP16";
		json_t *one = json_pack("{s:s,s:s}", "name", name, "datatype", type);
		json_object_set_new(one, "shape", strcmp(name, "y") == 0 ? json_deep_copy(shape)
		                                                         : json_pack("[i]", 1));
		json_array_append_new(outputs, one);
		if (!give(call, name)) {
			json_decref(outputs);
			return NULL;
		}
	}
	return outputs;
}

static enum vm_status
run(struct call *call, const json_t *tree, const struct vm_plugin_request *request,
    struct vm_error *err)
{
	const json_t *input = json_array_get(json_object_get(tree, "inputs"), 0);
	const json_t *shape = json_object_get(input, "shape");

	if (request->buffer_count != 1 || json_array_size(shape) != 2)
		return vm_plugin_fail(call->host, err, VM_E_ARGUMENT,
		                      "expected x of two dimensions");
	call->x = (const float *)(const void *)request->buffers[0].data;
	call->count = request->buffers[0].len / sizeof *call->x;
	json_t *outputs = give_all(call, json_object_get(tree, "outputs"), shape);
	if (outputs == NULL)
		return out_of_memory(call->host, err);
	json_t *reply = json_pack("{s:o}", "outputs", outputs);
	char *text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	bool ok = text != NULL &&
	          vm_plugin_reply_json(call->host, call->reply, text, strlen(text));
	free(text);
	return ok ? VM_OK : out_of_memory(call->host, err);
}

static enum vm_status
infer(const struct vm_plugin_host *host, void *plugin, const struct vm_plugin_request *request,
      struct vm_plugin_reply *reply, struct vm_error *err)
{
	struct call call = { .host = host, .reply = reply };
	const char *key;
	json_t *tree = open_request(request, &key);
	enum vm_status st;

	(void)plugin;
	if (tree == NULL)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "expected a model");
	pthread_mutex_lock(&kept.lock);
	struct affine *model = find(key);
	if (model != NULL) {
		model->used = ++kept.turns;
		call.model = *model;
	}
	pthread_mutex_unlock(&kept.lock);
	if (model == NULL)
		st = vm_plugin_fail(host, err, VM_E_NOT_FOUND, "the model %.80s is not loaded",
		                    key);
	else
		st = run(&call, tree, request, err);
	json_decref(tree);
	return st;
}

static enum vm_status
unload(const struct vm_plugin_host *host, void *plugin, const struct vm_plugin_request *request,
       struct vm_plugin_reply *reply, struct vm_error *err)
{
	const char *key;
	json_t *tree = open_request(request, &key);

	(void)plugin;
	(void)reply;
	if (tree == NULL)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "expected a model");
	pthread_mutex_lock(&kept.lock);
	struct affine *model = find(key);
	if (model != NULL)
		*model = (struct affine){ .columns = 0 };
	pthread_mutex_unlock(&kept.lock);
	json_decref(tree);
	return VM_OK;
}

static const struct vm_plugin_operation operations[] = {
	{ "load", "Load a model", VM_PLUGIN_SANDBOX, "{}", "{}", NULL, "", load },
	{ "infer", "Have it infer", VM_PLUGIN_SANDBOX, "{}", "{}", NULL, NULL, infer },
	{ "unload", "Forget it", VM_PLUGIN_SANDBOX, "{}", "{}", "", "", unload },
};

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasi_nn",
	.version = "1.0.0",
	.summary = "Stands for wasi_nn in tests",
	.operations = operations,
	.operation_count = sizeof operations / sizeof operations[0],
};

VM_PLUGIN(wasi_nn)
{
	return &plugin;
}
