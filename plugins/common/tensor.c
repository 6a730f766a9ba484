#include "plugins/common/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct row {
	const char *word;
	uint32_t size_bytes;
	int codes[3];
} rows[NN_DATATYPE_COUNT] = {
	[NN_INVALID] = { "INVALID", 0, { 0, 0, 0 } },
#define DATATYPE(symbol, size, tensorflow, tflite, onnx) \
	[NN_##symbol] = { #symbol, size, { tensorflow, tflite, onnx } },
#include "plugins/common/datatype.def"
#undef DATATYPE
};

const char *
nn_datatype_word(enum nn_datatype type)
{
	return rows[type].word;
}

enum nn_datatype
nn_datatype_of_word(const char *word)
{
	for (int i = NN_INVALID + 1; i < NN_DATATYPE_COUNT; i++) {
		if (strcmp(rows[i].word, word) == 0)
			return (enum nn_datatype)i;
	}
	return NN_INVALID;
}

enum nn_datatype
nn_datatype_of_code(enum nn_codes codes, int64_t code)
{
	for (int i = NN_INVALID + 1; i < NN_DATATYPE_COUNT; i++) {
		if (code != 0 && rows[i].codes[codes] == code)
			return (enum nn_datatype)i;
	}
	return NN_INVALID;
}

int
nn_datatype_code(enum nn_codes codes, enum nn_datatype type)
{
	return rows[type].codes[codes];
}

uint32_t
nn_datatype_size(enum nn_datatype type)
{
	return rows[type].size_bytes;
}

/* --- shapes --------------------------------------------------------------------------------- */

const char *
nn_shape_text(const struct nn_shape *shape, char *buf, size_t size)
{
	size_t len = 0;

	if (shape->rank < 0) {
		snprintf(buf, size, "[...]");
		return buf;
	}
	snprintf(buf, size, "[");
	for (int32_t i = 0; i < shape->rank; i++) {
		len = strlen(buf);
		snprintf(buf + len, size - len, "%s%lld", i > 0 ? "," : "",
		         (long long)shape->dims[i]);
	}
	len = strlen(buf);
	snprintf(buf + len, size - len, "]");
	return buf;
}

bool
nn_shape_count(const struct nn_shape *shape, uint64_t *out)
{
	uint64_t count = 1;
	bool is_empty = false;

	if (shape->rank < 0)
		return false;
	for (int32_t i = 0; i < shape->rank; i++) {
		if (shape->dims[i] < 0)
			return false;
		is_empty = is_empty || shape->dims[i] == 0;
	}
	for (int32_t i = 0; i < shape->rank && !is_empty; i++) {
		/* Below 2^63, so that it fits every library's signed counts. */
		if (count > (uint64_t)INT64_MAX / (uint64_t)shape->dims[i])
			return false;
		count *= (uint64_t)shape->dims[i];
	}
	*out = is_empty ? 0 : count;
	return true;
}

bool
nn_shape_fits(const struct nn_shape *shape, const struct nn_shape *pattern)
{
	if (pattern->rank < 0)
		return true;
	if (shape->rank != pattern->rank)
		return false;
	for (int32_t i = 0; i < shape->rank; i++) {
		if (pattern->dims[i] >= 0 && shape->dims[i] != pattern->dims[i])
			return false;
	}
	return true;
}

bool
nn_tensor_size(const struct nn_tensor *tensor, uint64_t *out_bytes)
{
	uint32_t size = nn_datatype_size(tensor->type);
	uint64_t count;

	if (size == 0 || !nn_shape_count(&tensor->shape, &count) ||
	    count > (uint64_t)INT64_MAX / size)
		return false;
	*out_bytes = count * size;
	return true;
}

bool
nn_tensor_holds(const struct nn_tensor *tensor, const void *data, size_t len)
{
	struct vm_str rest = { data, len };
	struct vm_str element;
	uint64_t expected;
	uint64_t count = 0;

	if (tensor->type != NN_BYTES)
		return nn_tensor_size(tensor, &expected) && expected == len;
	if (!nn_shape_count(&tensor->shape, &expected))
		return false;
	while (nn_bytes_next(&rest, &element))
		count++;
	return rest.len == 0 && count == expected;
}

/* --- bytes ---------------------------------------------------------------------------------- */

uint32_t
nn_load_u32(const void *bytes)
{
	const uint8_t *b = bytes;

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

void
nn_store_u32(void *bytes, uint32_t value)
{
	uint8_t *b = bytes;

	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(value >> 8 * i);
}

uint64_t
nn_load_u64(const void *bytes)
{
	const uint8_t *b = bytes;

	return nn_load_u32(b) | (uint64_t)nn_load_u32(b + 4) << 32;
}

void
nn_store_u64(void *bytes, uint64_t value)
{
	uint8_t *b = bytes;

	nn_store_u32(b, (uint32_t)value);
	nn_store_u32(b + 4, (uint32_t)(value >> 32));
}

bool
nn_bytes_next(struct vm_str *data, struct vm_str *out)
{
	if (data->len < 4)
		return false;
	uint32_t len = nn_load_u32(data->data);
	if (len > data->len - 4)
		return false;
	*out = (struct vm_str){ data->data + 4, len };
	data->data += 4 + (size_t)len;
	data->len -= 4 + (size_t)len;
	return true;
}

/* --- lists ---------------------------------------------------------------------------------- */

bool
nn_list_add(struct nn_list *list, const char *name, enum nn_datatype type,
            const struct nn_shape *shape)
{
	if (list->count == NN_TENSORS_MAX)
		return false;
	struct nn_tensor *grown =
	    realloc(list->items, (list->count + (size_t)1) * sizeof *list->items);
	if (grown == NULL)
		return false;
	list->items = grown;
	char *copy = strdup(name);
	if (copy == NULL)
		return false;
	list->items[list->count++] = (struct nn_tensor){ copy, type, *shape };
	return true;
}

int32_t
nn_list_find(const struct nn_list *list, const char *name)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].name, name) == 0)
			return (int32_t)i;
	}
	return -1;
}

void
nn_list_clear(struct nn_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		free(list->items[i].name);
	free(list->items);
	*list = (struct nn_list){ 0 };
}
