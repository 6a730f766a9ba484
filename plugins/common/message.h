/*
 * message.h - what the operations of inference say to each other: JSON of requests and replies.
 *
 *     load      {"model", "format"?, "path"?, "tags"?}           -> description
 *     infer     {"model", "inputs": [tensor], "outputs"?: [{"name"}]} -> {"outputs": [tensor]}
 *     describe  {"model", "names": [text]}                       -> {"tensors": [tensor or null]}
 *     unload    {"model"}                                        -> {}
 *     description = {"inputs": [tensor], "outputs": [tensor], "size_bytes": number}
 *     tensor      = {"name", "datatype", "shape": [number, -1 for any] or null}
 *
 * Unknown members are refused, and so is what is too long.
 */
#pragma once

#include <jansson.h>
#include "plugins/common/tensor.h"

#define NN_KEY_MAX 256u
#define NN_TAGS_MAX 16u

enum nn_verb { NN_LOAD, NN_INFER, NN_DESCRIBE, NN_UNLOAD };

/* Members that the verb does not have, or that were not given, are NULL or empty. */
struct nn_request {
	json_t *json; /* owns all texts but those of the lists */
	const char *model;
	const char *format;
	const char *path;
	const char *tags[NN_TAGS_MAX];
	uint32_t tag_count;
	struct nn_list inputs;
	struct nn_list outputs; /* names only, also of describe */
};

/* Read a request. Returns VM_E_ARGUMENT, naming the member; VM_E_NOMEM. Cleared by the caller,
 * also after a failure. */
VM_MUST_CHECK enum vm_status nn_request_read(const struct vm_plugin_host *host, enum nn_verb verb,
                                             struct vm_str text, struct nn_request *out,
                                             struct vm_error *err);
void nn_request_clear(struct nn_request *request);

/* The tensor as JSON, or NULL: out of memory. */
json_t *nn_tensor_json(const struct nn_tensor *tensor);
/* A JSON array of them. */
json_t *nn_list_json(const struct nn_list *list);
/* Set the reply's text, and drop the reference. False: out of memory, also when json is NULL. */
bool nn_reply_set(const struct vm_plugin_host *host, struct vm_plugin_reply *reply, json_t *json);

/* Read a reply's JSON object; NULL with *err filled when it is none. */
json_t *nn_reply_parse(const struct vm_plugin_host *host, struct vm_str text,
                       struct vm_error *err);
/* Append the tensors of an array, which may be NULL for none. */
VM_MUST_CHECK enum vm_status nn_list_read(const struct vm_plugin_host *host, const json_t *array,
                                          const char *member, struct nn_list *out,
                                          struct vm_error *err);
