#include "plugins/common/message.h"

#include <stdlib.h>
#include <string.h>

/* Which members a verb takes. */
static const struct member {
	const char *name;
	unsigned verbs; /* bits of enum nn_verb */
	json_type type;
} members[] = {
	{ "model", 1u << NN_LOAD | 1u << NN_INFER | 1u << NN_DESCRIBE | 1u << NN_UNLOAD,
	  JSON_STRING },
	{ "format", 1u << NN_LOAD, JSON_STRING },
	{ "path", 1u << NN_LOAD, JSON_STRING },
	{ "tags", 1u << NN_LOAD, JSON_ARRAY },
	{ "inputs", 1u << NN_INFER, JSON_ARRAY },
	{ "outputs", 1u << NN_INFER, JSON_ARRAY },
	{ "names", 1u << NN_DESCRIBE, JSON_ARRAY },
};

static enum vm_status
no_memory(const struct vm_plugin_host *host, struct vm_error *err)
{
	return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
}

static enum vm_status
check_members(const struct vm_plugin_host *host, enum nn_verb verb, json_t *json,
              struct vm_error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach (json, name, value) {
		const struct member *member = NULL;
		for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
			if (strcmp(members[i].name, name) == 0 &&
			    (members[i].verbs >> verb & 1) != 0)
				member = &members[i];
		}
		if (member == NULL)
			return vm_plugin_fail(host, err, VM_E_ARGUMENT,
			                      "the request has an unknown member \"%.64s\"", name);
		if (json_typeof(value) != member->type)
			return vm_plugin_fail(host, err, VM_E_ARGUMENT, "\"%s\" has to be %s", name,
			                      member->type == JSON_STRING ? "a text" : "an array");
	}
	return VM_OK;
}

/* --- tensors -------------------------------------------------------------------------------- */

static enum vm_status
read_shape(const struct vm_plugin_host *host, const json_t *json, const char *name,
           struct nn_shape *out, struct vm_error *err)
{
	if (json_is_null(json)) {
		out->rank = -1;
		return VM_OK;
	}
	if (!json_is_array(json) || json_array_size(json) > NN_RANK_MAX)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "\"shape\" of tensor %.80s has to be an array of at most %d "
		                      "numbers",
		                      name, NN_RANK_MAX);
	out->rank = (int32_t)json_array_size(json);
	for (int32_t i = 0; i < out->rank; i++) {
		const json_t *dim = json_array_get(json, (size_t)i);
		if (!json_is_integer(dim) || json_integer_value(dim) < -1)
			return vm_plugin_fail(host, err, VM_E_ARGUMENT,
			                      "\"shape\" of tensor %.80s has to be of numbers from "
			                      "0, or "
			                      "-1 for any", name);
		out->dims[i] = json_integer_value(dim);
	}
	return VM_OK;
}

/* The text member of a tensor, or NULL. */
static const char *
text_member(const json_t *tensor, const char *member)
{
	const char *text = json_string_value(json_object_get(tensor, member));

	return text != NULL && strlen(text) <= NN_NAME_MAX ? text : NULL;
}

static enum vm_status
read_tensor(const struct vm_plugin_host *host, const json_t *json, const char *member,
            bool is_name_only, struct nn_list *list, struct vm_error *err)
{
	struct nn_shape shape = { .rank = -1 };
	const char *name = text_member(json, "name");
	const char *word = text_member(json, "datatype");
	enum nn_datatype type = NN_INVALID;

	if (name == NULL)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "an entry of \"%s\" has no \"name\" of at most %u bytes",
		                      member,
		                      NN_NAME_MAX);
	if (json_object_size(json) != (is_name_only ? 1u : 3u))
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "tensor %.80s in \"%s\" has to have %s and nothing else",
		                      name,
		                      member, is_name_only ? "a name" : "name, datatype and shape");
	if (!is_name_only) {
		type = word != NULL ? nn_datatype_of_word(word) : NN_INVALID;
		if (type == NN_INVALID)
			return vm_plugin_fail(host, err, VM_E_ARGUMENT,
			                      "tensor %.80s has no known \"datatype\" (such as "
			                      "FP32)",
			                      name);
		const json_t *dims = json_object_get(json, "shape");
		enum vm_status st = dims != NULL ? read_shape(host, dims, name, &shape, err)
		                                 : vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                                                  "tensor %.80s has no \"shape\"",
		                                                  name);
		if (st != VM_OK)
			return st;
	}
	if (!nn_list_add(list, name, type, &shape))
		return no_memory(host, err);
	return VM_OK;
}

static enum vm_status
read_tensors(const struct vm_plugin_host *host, const json_t *array, const char *member,
             bool is_name_only, struct nn_list *out, struct vm_error *err)
{
	size_t count = json_array_size(array); /* 0 for NULL */

	if (count > NN_TENSORS_MAX - out->count)
		return vm_plugin_fail(host, err, VM_E_LIMIT, "\"%s\" has more than %u entries",
		                      member,
		                      NN_TENSORS_MAX);
	for (size_t i = 0; i < count; i++) {
		enum vm_status st = read_tensor(host, json_array_get(array, i), member,
		                                is_name_only,
		                                out, err);
		if (st != VM_OK)
			return st;
	}
	return VM_OK;
}

enum vm_status
nn_list_read(const struct vm_plugin_host *host, const json_t *array, const char *member,
             struct nn_list *out, struct vm_error *err)
{
	return read_tensors(host, array, member, false, out, err);
}

/* --- requests ------------------------------------------------------------------------------- */

static enum vm_status
read_tags(const struct vm_plugin_host *host, const json_t *array, struct nn_request *out,
          struct vm_error *err)
{
	size_t count = json_array_size(array);

	if (count > NN_TAGS_MAX)
		return vm_plugin_fail(host, err, VM_E_LIMIT, "\"tags\" has more than %u entries",
		                      NN_TAGS_MAX);
	for (size_t i = 0; i < count; i++) {
		out->tags[i] = json_string_value(json_array_get(array, i));
		if (out->tags[i] == NULL)
			return vm_plugin_fail(host, err, VM_E_ARGUMENT,
			                      "\"tags\" has to be of texts");
		out->tag_count++;
	}
	return VM_OK;
}

static enum vm_status
read_names(const struct vm_plugin_host *host, const json_t *array, struct nn_list *out,
           struct vm_error *err)
{
	const struct nn_shape unknown = { .rank = -1 };

	if (json_array_size(array) > NN_TENSORS_MAX)
		return vm_plugin_fail(host, err, VM_E_LIMIT, "\"names\" has more than %u entries",
		                      NN_TENSORS_MAX);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		if (name == NULL || strlen(name) > NN_NAME_MAX)
			return vm_plugin_fail(host, err, VM_E_ARGUMENT,
			                      "\"names\" has to be of texts of at most %u bytes",
			                      NN_NAME_MAX);
		if (!nn_list_add(out, name, NN_INVALID, &unknown))
			return no_memory(host, err);
	}
	return VM_OK;
}

enum vm_status
nn_request_read(const struct vm_plugin_host *host, enum nn_verb verb, struct vm_str text,
                struct nn_request *out, struct vm_error *err)
{
	json_error_t why;

	*out = (struct nn_request){ 0 };
	out->json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(out->json))
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "the request has to be a JSON object%s%.120s",
		                      out->json == NULL ? ": " : "",
		                      out->json == NULL ? why.text : "");
	enum vm_status st = check_members(host, verb, out->json, err);
	if (st != VM_OK)
		return st;
	out->model = json_string_value(json_object_get(out->json, "model"));
	if (out->model == NULL || *out->model == '\0' || strlen(out->model) > NN_KEY_MAX)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "\"model\" has to be a text of 1 to %u bytes", NN_KEY_MAX);
	out->format = json_string_value(json_object_get(out->json, "format"));
	out->path = json_string_value(json_object_get(out->json, "path"));
	st = read_tags(host, json_object_get(out->json, "tags"), out, err);
	if (st == VM_OK)
		st = read_tensors(host, json_object_get(out->json, "inputs"), "inputs", false,
		                  &out->inputs, err);
	if (st == VM_OK)
		st = read_tensors(host, json_object_get(out->json, "outputs"), "outputs", true,
		                  &out->outputs, err);
	if (st == VM_OK)
		st = read_names(host, json_object_get(out->json, "names"), &out->outputs, err);
	return st;
}

void
nn_request_clear(struct nn_request *request)
{
	nn_list_clear(&request->inputs);
	nn_list_clear(&request->outputs);
	json_decref(request->json);
	*request = (struct nn_request){ 0 };
}

/* --- writing -------------------------------------------------------------------------------- */

json_t *
nn_tensor_json(const struct nn_tensor *tensor)
{
	json_t *shape = tensor->shape.rank < 0 ? json_null() : json_array();
	json_t *json;

	for (int32_t i = 0; i < tensor->shape.rank; i++) {
		if (json_array_append_new(shape, json_integer(tensor->shape.dims[i])) != 0) {
			json_decref(shape);
			return NULL;
		}
	}
	json = json_object();
	if (json_object_set_new(json, "name", json_string(tensor->name)) != 0 ||
	    json_object_set_new(json, "datatype", json_string(nn_datatype_word(tensor->type))) !=
	        0) {
		json_decref(shape);
		json_decref(json);
		return NULL;
	}
	if (json_object_set_new(json, "shape", shape) != 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *
nn_list_json(const struct nn_list *list)
{
	json_t *array = json_array();

	for (uint32_t i = 0; array != NULL && i < list->count; i++) {
		if (json_array_append_new(array, nn_tensor_json(&list->items[i])) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

bool
nn_reply_set(const struct vm_plugin_host *host, struct vm_plugin_reply *reply, json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	bool is_set = text != NULL && vm_plugin_reply_json(host, reply, text, strlen(text));

	free(text);
	json_decref(json);
	return is_set;
}

json_t *
nn_reply_parse(const struct vm_plugin_host *host, struct vm_str text, struct vm_error *err)
{
	json_t *json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(json))
		return json;
	json_decref(json);
	(void)vm_plugin_fail(host, err, VM_E_IO, "the operation gave no JSON object");
	return NULL;
}
