#include "rpc/infer.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "rpc/number.h"
#include "rpc/utf8.h"

_Static_assert(RPC_TENSOR_RANK_MAX + 8 <= RPC_JSON_DEPTH_MAX, "elements are not nested too deep");

#define LENGTH_BYTES 4 /* in front of each element of BYTES */

/* --- datatypes ----------------------------------------------------------------------------- */

static const struct {
	const char *text;
	uint8_t size;
	uint8_t element;
} datatypes[RPC_DATATYPE_COUNT] = {
#define DATATYPE(symbol, size_bytes, kind) { #symbol, size_bytes, RPC_ELEMENT_##kind },
#include "rpc/datatypes.def"
#undef DATATYPE
};

const char *
rpc_datatype_text(enum rpc_datatype datatype)
{
	return datatypes[datatype].text;
}

size_t
rpc_datatype_size(enum rpc_datatype datatype)
{
	return datatypes[datatype].size;
}

static enum rpc_element
element_of(const struct rpc_tensor *tensor)
{
	return (enum rpc_element)datatypes[tensor->datatype].element;
}

bool
rpc_datatype_find(const char *text, size_t len, enum rpc_datatype *out)
{
	for (unsigned i = 0; i < RPC_DATATYPE_COUNT; i++) {
		if (rpc_str_is((struct rpc_str){ text, len }, datatypes[i].text)) {
			*out = (enum rpc_datatype)i;
			return true;
		}
	}
	return false;
}

/* --- tensors ------------------------------------------------------------------------------- */

/* Bytes that an element takes at least. */
static size_t
element_min(const struct rpc_tensor *tensor)
{
	size_t size = rpc_datatype_size(tensor->datatype);

	return size > 0 ? size : LENGTH_BYTES;
}

bool
rpc_tensor_elements(const struct rpc_tensor *tensor, uint64_t size_max, uint64_t *out)
{
	uint64_t max = size_max / element_min(tensor);
	bool is_empty = false;
	uint64_t count = 1;

	if (tensor->rank == RPC_RANK_ANY)
		return false;
	/* An empty tensor has no size, whatever its other dimensions are. */
	for (uint32_t i = 0; i < tensor->rank; i++) {
		if (tensor->shape[i] < 0)
			return false;
		is_empty |= tensor->shape[i] == 0;
	}
	for (uint32_t i = 0; i < tensor->rank && !is_empty; i++) {
		if ((uint64_t)tensor->shape[i] > max / count)
			return false;
		count *= (uint64_t)tensor->shape[i];
	}
	count = is_empty ? 0 : count;
	if (count > max)
		return false;
	*out = count;
	return true;
}

static uint32_t
length_at(const uint8_t *p)
{
	uint32_t raw;

	memcpy(&raw, p, sizeof raw);
	return le32toh(raw);
}

/* Whether data is a row of `count` lengths, each with its bytes behind. */
static bool
lengths_add_up(const struct rpc_tensor *tensor, uint64_t count)
{
	const uint8_t *p = tensor->data;
	size_t left = tensor->size_bytes;

	for (; count > 0; count--) {
		if (left < LENGTH_BYTES || length_at(p) > left - LENGTH_BYTES)
			return false;
		size_t step = LENGTH_BYTES + length_at(p);
		p += step;
		left -= step;
	}
	return left == 0;
}

bool
rpc_tensor_fits(const struct rpc_tensor *tensor)
{
	size_t size = rpc_datatype_size(tensor->datatype);
	uint64_t count;

	if (!rpc_tensor_elements(tensor, tensor->size_bytes, &count))
		return false;
	return size > 0 ? count * size == tensor->size_bytes : lengths_add_up(tensor, count);
}

static void
tensors_clear(struct rpc_tensors *tensors)
{
	for (size_t i = 0; i < tensors->count; i++)
		free(tensors->items[i].owned);
	tensors->count = 0;
}

static const struct rpc_tensor *
tensors_find(const struct rpc_tensors *tensors, const char *name)
{
	for (size_t i = 0; i < tensors->count; i++)
		if (strcmp(tensors->items[i].name, name) == 0)
			return &tensors->items[i];
	return NULL;
}

/* "a, b, c", cut to size: for complaints. */
static void
list_names(const struct rpc_tensors *tensors, char *buf, size_t size)
{
	size_t used = 0;

	snprintf(buf, size, "%s", tensors->count == 0 ? "none" : "");
	for (size_t i = 0; i < tensors->count && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i == 0 ? "" : ", ",
		                         tensors->items[i].name);
}

/* "[2, -1]" */
static void
print_shape(const struct rpc_tensor *tensor, char *buf, size_t size)
{
	size_t used = (size_t)snprintf(buf, size, "[");

	for (uint32_t i = 0; i < tensor->rank && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%" PRId64, i == 0 ? "" : ", ",
		                         tensor->shape[i]);
	if (used < size)
		snprintf(buf + used, size - used, "]");
}

static void
write_shape(struct rpc_writer *w, const struct rpc_tensor *tensor)
{
	rpc_write_key(w, "shape");
	rpc_write_array_begin(w);
	for (uint32_t i = 0; i < tensor->rank; i++)
		rpc_write_int(w, tensor->shape[i]);
	rpc_write_array_end(w);
}

/* --- reading what a tensor is -------------------------------------------------------------- */

static void
read_name(struct rpc_object *obj, struct rpc_tensor *tensor)
{
	struct rpc_str name = { "", 0 };

	rpc_object_text(obj, "name", RPC_REQUIRED, 1, RPC_TENSOR_NAME_MAX, &name);
	tensor->name = name.data;
}

static void
read_datatype(struct rpc_object *obj, struct rpc_tensor *tensor)
{
	struct rpc_str text = { "", 0 };

	rpc_object_text(obj, "datatype", RPC_REQUIRED, 0, 32, &text);
	if (!rpc_datatype_find(text.data, text.len, &tensor->datatype))
		rpc_object_fail(obj, RPC_BAD_REQUEST, "datatype",
		                "no datatype is called %s; there are BOOL, UINT8 to UINT64, INT8 "
		                "to INT64, FP16, BF16, FP32, FP64, BYTES", text.data);
}

/* min is RPC_DIM_ANY where dimensions may be left open. */
static void
read_shape(struct rpc_object *obj, enum rpc_presence presence, int64_t min,
           struct rpc_tensor *tensor)
{
	json_t *shape = NULL;
	json_t *dim;
	size_t i;

	rpc_object_array(obj, "shape", presence, RPC_TENSOR_RANK_MAX, &shape);
	tensor->rank = shape == NULL ? RPC_RANK_ANY : (uint32_t)json_array_size(shape);
	json_array_foreach (shape, i, dim) {
		if (!json_is_integer(dim) || json_integer_value(dim) < min) {
			rpc_object_fail(obj, RPC_BAD_REQUEST, "shape",
			                "dimension %zu has to be an integer from %" PRId64 " up", i,
			                min);
			return;
		}
		tensor->shape[i] = json_integer_value(dim);
	}
}

/* Members of this object that nobody has asked for are nobody's mistake. */
static void
ignore_others(struct rpc_object *obj)
{
	if (obj->code == RPC_OK)
		obj->json = NULL;
}

/* An object and the place where it is, which outlives a call of rpc_object_close. */
struct item {
	struct rpc_object obj;
	struct rpc_at at;
};

static void
open_item(struct item *item, json_t *json, const struct rpc_at *list, size_t index,
          struct rpc_problem *problem)
{
	item->at = (struct rpc_at){ list, NULL, index };
	rpc_object_open(&item->obj, json, &item->at, problem);
}

/* --- models -------------------------------------------------------------------------------- */

static enum rpc_code
read_described(json_t *list, const struct rpc_at *at, struct rpc_tensors *out,
               struct rpc_problem *problem)
{
	struct item item;

	for (size_t i = 0; i < json_array_size(list); i++) {
		struct rpc_tensor *tensor = &out->items[i];

		*tensor = (struct rpc_tensor){ 0 };
		open_item(&item, json_array_get(list, i), at, i, problem);
		read_name(&item.obj, tensor);
		read_datatype(&item.obj, tensor);
		read_shape(&item.obj, RPC_OPTIONAL, RPC_DIM_ANY, tensor);
		ignore_others(&item.obj);
		enum rpc_code code = rpc_object_close(&item.obj);
		if (code != RPC_OK)
			return code;
		out->count++;
	}
	return RPC_OK;
}

enum rpc_code
rpc_model_parse(const char *text, size_t len, struct rpc_model *out, struct rpc_problem *problem)
{
	json_t *outputs = NULL;
	json_t *inputs = NULL;
	struct rpc_object obj;

	out->tree = NULL;
	out->inputs.count = 0;
	out->outputs.count = 0;
	enum rpc_code code = rpc_json_parse(text, len, RPC_INFER_HEAD_MAX, &out->tree, problem);
	if (code != RPC_OK)
		return code;
	rpc_object_open(&obj, out->tree, NULL, problem);
	rpc_object_array(&obj, "inputs", RPC_OPTIONAL, RPC_TENSORS_MAX, &inputs);
	rpc_object_array(&obj, "outputs", RPC_REQUIRED, RPC_TENSORS_MAX, &outputs);
	ignore_others(&obj);
	code = rpc_object_close(&obj);
	struct rpc_at inputs_at = { &obj.at, "inputs", 0 };
	struct rpc_at outputs_at = { &obj.at, "outputs", 0 };
	if (code == RPC_OK)
		code = read_described(inputs, &inputs_at, &out->inputs, problem);
	if (code == RPC_OK)
		code = read_described(outputs, &outputs_at, &out->outputs, problem);
	return code;
}

void
rpc_model_clear(struct rpc_model *model)
{
	json_decref(model->tree);
	model->tree = NULL;
	model->inputs.count = 0;
	model->outputs.count = 0;
}

void
rpc_tensors_write(struct rpc_writer *w, const char *key, const struct rpc_tensors *tensors)
{
	rpc_write_key(w, key);
	rpc_write_array_begin(w);
	for (size_t i = 0; i < tensors->count; i++) {
		const struct rpc_tensor *tensor = &tensors->items[i];
		rpc_write_object_begin(w);
		rpc_member_text(w, "name", tensor->name);
		rpc_member_text(w, "datatype", rpc_datatype_text(tensor->datatype));
		if (tensor->rank != RPC_RANK_ANY)
			write_shape(w, tensor);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

void
rpc_model_write(struct rpc_writer *w, const struct rpc_model *model)
{
	rpc_tensors_write(w, "inputs", &model->inputs);
	rpc_tensors_write(w, "outputs", &model->outputs);
}

/* --- where elements stand ------------------------------------------------------------------ */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Index behind the string that begins at i; len when it does not end. */
static size_t
skip_string(const char *text, size_t len, size_t i)
{
	for (i++; i < len && text[i] != '"'; i++)
		i += text[i] == '\\';
	return i < len ? i + 1 : len;
}

/* Index behind the array that begins at i; 0 when it does not end. */
static size_t
skip_array(const char *text, size_t len, size_t i)
{
	size_t depth = 0;

	while (i < len) {
		char c = text[i];
		if (c == '"') {
			i = skip_string(text, len, i);
			continue;
		}
		i++;
		depth += c == '[';
		if (c == ']' && --depth == 0)
			return i;
	}
	return 0;
}

/* The arrays of elements in a request's text, and whose they are. */
struct data {
	size_t count;
	struct rpc_json_cut cuts[RPC_TENSORS_MAX];
	size_t inputs[RPC_TENSORS_MAX]; /* indices */
};

/*
 * Find /inputs/<n>/data, as far as they are arrays, without understanding the rest: what is left
 * when they are cut out is parsed as JSON, and what was cut is checked when it is read, so a text
 * that misleads this search fails there.
 */
static enum rpc_code
find_data(const char *text, size_t len, struct data *out, struct rpc_problem *problem)
{
	struct rpc_str key = { "", 0 }; /* the last string */
	bool in_inputs = false;
	size_t depth = 0;
	size_t index = 0;
	char last = '\0';

	out->count = 0;
	for (size_t i = 0; i < len;) {
		char c = text[i];
		if (is_blank(c)) {
			i++;
			continue;
		}
		if (c == '"') {
			size_t end = skip_string(text, len, i);
			key = (struct rpc_str){ text + i, end - i };
			i = end;
		} else if (c == '[' && depth == 3 && in_inputs && last == ':' &&
		           rpc_str_is(key, "\"data\"") && out->count < RPC_TENSORS_MAX) {
			size_t end = skip_array(text, len, i);
			if (end == 0)
				return rpc_json_fail(problem, RPC_BAD_JSON, text, i,
				                     "the array that begins here has no end");
			out->cuts[out->count] = (struct rpc_json_cut){ i, end };
			out->inputs[out->count++] = index;
			i = end;
		} else {
			if (c == '[' && depth == 1 && last == ':' &&
			    rpc_str_is(key, "\"inputs\"")) {
				in_inputs = true;
				index = 0;
			}
			depth += c == '{' || c == '[';
			if ((c == '}' || c == ']') && depth > 0 && --depth == 1)
				in_inputs = false;
			index += c == ',' && depth == 2;
			i++;
		}
		last = c;
	}
	return RPC_OK;
}

/* --- elements in JSON ---------------------------------------------------------------------- */

/* Reads one array of elements. */
struct reader {
	const char *text; /* the whole JSON, for complaints */
	const char *next;
	const char *end;
	struct rpc_tensor *tensor;
	size_t size; /* of an element */
	uint8_t *to;
	uint64_t left; /* elements that are still to come */
	struct rpc_problem *problem;
	enum rpc_code code;
};

RPC_PRINTF(4, 5)
static bool
refuse(struct reader *r, enum rpc_code code, const char *at, const char *format, ...)
{
	char detail[RPC_PROBLEM_DETAIL_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	r->code = rpc_json_fail(r->problem, code, r->text, (size_t)(at - r->text), "%s", detail);
	return false;
}

static void
skip_blanks(struct reader *r)
{
	while (r->next < r->end && is_blank(*r->next))
		r->next++;
}

static bool
take(struct reader *r, char want)
{
	skip_blanks(r);
	if (r->next == r->end || *r->next != want)
		return false;
	r->next++;
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Pass over digits; false when there are none. */
static bool
pass_digits(const char **p, const char *end)
{
	const char *start = *p;

	while (*p < end && is_digit(**p))
		(*p)++;
	return *p > start;
}

/* Pass over a number of JSON. */
static bool
pass_number(const char **at, const char *end)
{
	const char *p = *at;

	if (p < end && *p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else if (!pass_digits(&p, end))
		return false;
	if (p < end && *p == '.') {
		p++;
		if (!pass_digits(&p, end))
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		if (!pass_digits(&p, end))
			return false;
	}
	*at = p;
	return true;
}

/* A number, or what is between the quotes of a string without escapes. */
static bool
take_number(struct reader *r, struct rpc_str *out)
{
	const char *start = r->next;

	if (r->next < r->end && *r->next == '"') {
		size_t len = skip_string(r->next, (size_t)(r->end - r->next), 0);
		r->next += len;
		*out = (struct rpc_str){ start + 1, len < 2 ? 0 : len - 2 };
		return true;
	}
	if (!pass_number(&r->next, r->end)) {
		bool is_other = r->next < r->end && memchr("tfn[{", *r->next, 5) != NULL;
		return refuse(r, is_other ? RPC_TENSOR_MISMATCH : RPC_BAD_JSON, start,
		              "expected a number for %s", rpc_datatype_text(r->tensor->datatype));
	}
	*out = (struct rpc_str){ start, (size_t)(r->next - start) };
	return true;
}

static bool
refuse_number(struct reader *r, struct rpc_str text, enum rpc_number_status status)
{
	char shown[48];

	rpc_text_copy(shown, sizeof shown, text.data, text.len);
	return refuse(r, RPC_TENSOR_MISMATCH, text.data,
	              status == RPC_NUMBER_RANGE ? "%s cannot hold %s"
	                                         : "expected a number for %s, found %s",
	              rpc_datatype_text(r->tensor->datatype), shown);
}

static void
put(struct reader *r, uint64_t bits)
{
	uint64_t little = htole64(bits);

	memcpy(r->to, &little, r->size);
	r->to += r->size;
}

/* Digits with an optional sign into the bits of the datatype. */
static enum rpc_number_status
read_int(struct rpc_str text, bool is_signed, unsigned width, uint64_t *out)
{
	bool is_negative = text.len > 0 && text.data[0] == '-';
	uint64_t max = UINT64_MAX >> (64 - width);
	uint64_t value = 0;

	if (text.len == is_negative)
		return RPC_NUMBER_SYNTAX;
	if (is_signed)
		max = (max >> 1) + is_negative;
	else if (is_negative)
		max = 0;
	for (size_t i = is_negative; i < text.len; i++) {
		if (!is_digit(text.data[i]))
			return RPC_NUMBER_SYNTAX;
		unsigned digit = (unsigned)(text.data[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return RPC_NUMBER_RANGE;
		value = value * 10 + digit;
	}
	*out = is_negative ? 0 - value : value;
	return value > max ? RPC_NUMBER_RANGE : RPC_NUMBER_OK;
}

static bool
take_int(struct reader *r)
{
	bool is_signed = element_of(r->tensor) == RPC_ELEMENT_INT;
	struct rpc_str text;
	uint64_t bits;

	if (!take_number(r, &text))
		return false;
	enum rpc_number_status status = read_int(text, is_signed, (unsigned)r->size * 8, &bits);
	if (status != RPC_NUMBER_OK)
		return refuse_number(r, text, status);
	put(r, bits);
	return true;
}

static bool
take_float(struct reader *r)
{
	enum rpc_number_status status;
	struct rpc_str text;
	uint64_t bits = 0;
	uint32_t low = 0;

	if (!take_number(r, &text))
		return false;
	if (r->size == sizeof low) {
		status = rpc_f32_read(text.data, text.len, &low);
		bits = low;
	} else {
		status = rpc_f64_read(text.data, text.len, &bits);
	}
	if (status != RPC_NUMBER_OK)
		return refuse_number(r, text, status);
	put(r, bits);
	return true;
}

static bool
take_word(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->next) < len || memcmp(r->next, word, len) != 0)
		return false;
	r->next += len;
	return true;
}

static bool
take_bool(struct reader *r)
{
	bool value = take_word(r, "true");

	if (!value && !take_word(r, "false"))
		return refuse(r, RPC_TENSOR_MISMATCH, r->next, "expected true or false for BOOL");
	put(r, value);
	return true;
}

/* A string, its escapes resolved by the parser of JSON. */
static bool
take_text(struct reader *r)
{
	const char *start = r->next;
	uint32_t little;

	if (r->next == r->end || *r->next != '"')
		return refuse(r, RPC_TENSOR_MISMATCH, start, "expected a string for BYTES");
	size_t len = skip_string(r->next, (size_t)(r->end - r->next), 0);
	r->next += len;
	uint8_t *body = r->to + LENGTH_BYTES;
	if (memchr(start, '\\', len) == NULL) {
		len -= 2;
		if (!rpc_utf8_valid(start + 1, len))
			return refuse(r, RPC_BAD_JSON, start, "the string is not UTF-8");
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)start[1 + i] < 0x20)
				return refuse(r, RPC_BAD_JSON, start + 1 + i,
				              "control characters in strings have to be escaped");
		memcpy(body, start + 1, len);
	} else {
		json_t *text = NULL;
		if (rpc_json_parse(start, len, SIZE_MAX, &text, NULL) != RPC_OK)
			return refuse(r, RPC_BAD_JSON, start, "the string is malformed");
		len = json_string_length(text);
		memcpy(body, json_string_value(text), len);
		json_decref(text);
	}
	little = htole32((uint32_t)len);
	memcpy(r->to, &little, sizeof little);
	r->to = body + len;
	return true;
}

static bool
take_element(struct reader *r)
{
	skip_blanks(r);
	if (r->left == 0)
		return refuse(r, RPC_TENSOR_MISMATCH, r->next,
		              "there are more elements than the shape has");
	r->left--;
	switch (element_of(r->tensor)) {
	case RPC_ELEMENT_BOOL:
		return take_bool(r);
	case RPC_ELEMENT_UINT:
	case RPC_ELEMENT_INT:
		return take_int(r);
	case RPC_ELEMENT_FLOAT:
		return take_float(r);
	case RPC_ELEMENT_TEXT:
		return take_text(r);
	case RPC_ELEMENT_NONE:
		break;
	}
	return refuse(r, RPC_TENSOR_MISMATCH, r->next, "%s has no form in JSON; send it as binary, "
	              "with binary_data_size", rpc_datatype_text(r->tensor->datatype));
}

/* One array: of elements, or of arrays as long as the shape says from dimension dim on. */
static bool
take_array(struct reader *r, uint32_t dim, bool is_nested)
{
	bool has_arrays = is_nested && dim + 1 < r->tensor->rank;
	const char *start = r->next;
	uint64_t count = 0;

	if (!take(r, '['))
		return refuse(r, RPC_TENSOR_MISMATCH, r->next,
		              "expected an array, as the shape says");
	if (!take(r, ']')) {
		do {
			skip_blanks(r);
			if (!(has_arrays ? take_array(r, dim + 1, true) : take_element(r)))
				return false;
			count++;
		} while (take(r, ','));
		if (!take(r, ']'))
			return refuse(r, RPC_BAD_JSON, r->next, "expected ',' or ']'");
	}
	if (is_nested && count != (uint64_t)r->tensor->shape[dim])
		return refuse(r, RPC_TENSOR_MISMATCH, start,
		              "the array has %" PRIu64 " elements, the shape says %" PRId64, count,
		              r->tensor->shape[dim]);
	return true;
}

/* Whether the array has arrays inside. */
static bool
is_nested(const struct reader *r)
{
	const char *p = r->next + 1;

	while (p < r->end && is_blank(*p))
		p++;
	return r->tensor->rank > 1 && p < r->end && *p == '[';
}

/* Room for what the text can hold; more elements than it has room for are not there. */
static bool
reader_room(struct reader *r, uint64_t count)
{
	size_t len = (size_t)(r->end - r->next);
	size_t bytes = (size_t)count * element_min(r->tensor);

	if (count > len / 2)
		return refuse(r, RPC_TENSOR_MISMATCH, r->next,
		              "the shape has %" PRIu64 " elements, here are fewer", count);
	if (r->size == 0)
		bytes += len; /* no string becomes longer */
	r->tensor->owned = malloc(bytes > 0 ? bytes : 1);
	if (r->tensor->owned != NULL)
		return true;
	r->code = rpc_problem_set(r->problem, RPC_OUT_OF_MEMORY, "no memory for %zu bytes", bytes);
	return false;
}

static enum rpc_code
read_data(const char *text, const struct rpc_json_cut *cut, uint64_t count,
          struct rpc_tensor *tensor, struct rpc_problem *problem)
{
	struct reader r = {
		.text = text,
		.next = text + cut->from,
		.end = text + cut->to,
		.tensor = tensor,
		.size = rpc_datatype_size(tensor->datatype),
		.left = count,
		.problem = problem,
	};

	if (!reader_room(&r, count))
		return r.code;
	r.to = tensor->owned;
	if (!take_array(&r, 0, is_nested(&r)))
		return r.code;
	skip_blanks(&r);
	if (r.next != r.end)
		(void)refuse(&r, RPC_BAD_JSON, r.next, "expected ',' or '}'");
	else if (r.left > 0)
		(void)refuse(&r, RPC_TENSOR_MISMATCH, text + cut->from,
		             "the shape has %" PRIu64 " elements, here are %" PRIu64, count,
		             count - r.left);
	tensor->data = tensor->owned;
	tensor->size_bytes = (size_t)(r.to - tensor->owned);
	return r.code;
}

/* --- requests ------------------------------------------------------------------------------ */

/* A body while it is read. */
struct parse {
	const char *body;
	size_t len;
	size_t json_len;
	size_t binary_at; /* where the next binary tensor begins */
	uint64_t size_left; /* that tensors may still have */
	struct data data;
	struct rpc_infer *out;
	struct rpc_problem *problem;
};

/* What parameters say here; the rest is not for us. */
struct parameters {
	bool has_size;
	uint64_t size;
	bool is_binary;
};

static enum rpc_code
read_parameters(struct rpc_object *owner, const char *size, const char *flag,
                struct parameters *out, struct rpc_problem *problem)
{
	json_t *json = NULL;
	struct rpc_object obj;

	rpc_object_any(owner, "parameters", RPC_OPTIONAL, &json);
	if (json == NULL || owner->code != RPC_OK)
		return owner->code;
	struct rpc_at at = { &owner->at, "parameters", 0 };
	rpc_object_open(&obj, json, &at, problem);
	out->size = RPC_UNSET;
	if (size != NULL)
		rpc_object_uint(&obj, size, RPC_OPTIONAL, 0, INT64_MAX, &out->size);
	if (flag != NULL)
		rpc_object_bool(&obj, flag, RPC_OPTIONAL, &out->is_binary);
	out->has_size = out->size != RPC_UNSET;
	ignore_others(&obj);
	owner->code = rpc_object_close(&obj);
	if (owner->code != RPC_OK)
		owner->json = NULL;
	return owner->code;
}

static enum rpc_code
take_binary(struct parse *p, const struct rpc_at *at, uint64_t size, struct rpc_tensor *tensor)
{
	if (size > p->len - p->binary_at)
		return rpc_problem_here(p->problem, RPC_TENSOR_MISMATCH, at,
		                        "binary_data_size is %" PRIu64 ", but %zu bytes are left "
		                        "behind the JSON%s",
		                        size, p->len - p->binary_at, p->json_len == p->len
		                        ? "; Inference-Header-Content-Length says where it ends"
		                        : "");
	tensor->data = (const uint8_t *)p->body + p->binary_at;
	tensor->size_bytes = (size_t)size;
	p->binary_at += (size_t)size;
	if (!rpc_tensor_fits(tensor))
		return rpc_problem_here(p->problem, RPC_TENSOR_MISMATCH, at,
		                        "%" PRIu64 " bytes are not what %s and the shape ask for",
		                        size, rpc_datatype_text(tensor->datatype));
	return RPC_OK;
}

static const struct rpc_json_cut *
cut_of(const struct data *data, size_t input)
{
	for (size_t i = 0; i < data->count; i++)
		if (data->inputs[i] == input)
			return &data->cuts[i];
	return NULL;
}

static enum rpc_code
take_data(struct parse *p, struct item *item, json_t *array, bool is_binary, uint64_t size,
          struct rpc_tensor *tensor)
{
	const struct rpc_json_cut *cut = cut_of(&p->data, item->at.index);
	struct rpc_at at = { &item->at, "data", 0 };
	uint64_t count;

	if (is_binary && array != NULL)
		return rpc_problem_here(p->problem, RPC_BAD_REQUEST, &at,
		                        "there is data and binary_data_size; only one can be");
	if (!is_binary && (array == NULL || cut == NULL))
		return rpc_problem_here(p->problem, RPC_BAD_REQUEST, &at,
		                        "expected an array of elements, or binary_data_size among "
		                        "the parameters");
	if (!rpc_tensor_elements(tensor, p->size_left, &count)) {
		at.key = "shape";
		return rpc_problem_here(p->problem, RPC_BODY_TOO_LARGE, &at,
		                        "the tensor would be larger than the %" PRIu64 " bytes "
		                        "that are left", p->size_left);
	}
	enum rpc_code code = is_binary ? take_binary(p, &item->at, size, tensor)
	                               : read_data(p->body, cut, count, tensor, p->problem);
	if (code != RPC_OK)
		return code;
	if (tensor->size_bytes > p->size_left)
		return rpc_problem_here(p->problem, RPC_BODY_TOO_LARGE, &at,
		                        "the tensor is larger than the %" PRIu64 " bytes that are "
		                        "left", p->size_left);
	p->size_left -= tensor->size_bytes;
	return RPC_OK;
}

static enum rpc_code
refuse_twice(struct parse *p, const struct item *item, const char *name)
{
	struct rpc_at at = { &item->at, "name", 0 };

	return rpc_problem_here(p->problem, RPC_TENSOR_MISMATCH, &at, "%s is there twice", name);
}

static enum rpc_code
read_input(struct parse *p, json_t *json, const struct rpc_at *list, size_t index)
{
	struct rpc_tensors *inputs = &p->out->inputs;
	struct rpc_tensor *tensor = &inputs->items[index];
	struct parameters parameters = { 0 };
	json_t *array = NULL;
	struct item item;

	*tensor = (struct rpc_tensor){ 0 };
	open_item(&item, json, list, index, p->problem);
	read_name(&item.obj, tensor);
	read_datatype(&item.obj, tensor);
	read_shape(&item.obj, RPC_REQUIRED, 0, tensor);
	rpc_object_array(&item.obj, "data", RPC_OPTIONAL, SIZE_MAX, &array);
	(void)read_parameters(&item.obj, "binary_data_size", NULL, &parameters, p->problem);
	enum rpc_code code = rpc_object_close(&item.obj);
	if (code != RPC_OK)
		return code;
	if (tensors_find(inputs, tensor->name) != NULL)
		return refuse_twice(p, &item, tensor->name);
	inputs->count++; /* from here on it is cleared */
	return take_data(p, &item, array, parameters.has_size, parameters.size, tensor);
}

static enum rpc_code
read_output(struct parse *p, json_t *json, const struct rpc_at *list, size_t index)
{
	struct rpc_tensors *outputs = &p->out->outputs;
	struct rpc_tensor *tensor = &outputs->items[index];
	struct parameters parameters = { .is_binary = p->out->is_binary };
	struct item item;

	*tensor = (struct rpc_tensor){ 0 };
	open_item(&item, json, list, index, p->problem);
	read_name(&item.obj, tensor);
	(void)read_parameters(&item.obj, NULL, "binary_data", &parameters, p->problem);
	enum rpc_code code = rpc_object_close(&item.obj);
	if (code != RPC_OK)
		return code;
	if (tensors_find(outputs, tensor->name) != NULL)
		return refuse_twice(p, &item, tensor->name);
	tensor->is_binary = parameters.is_binary;
	outputs->count++;
	return RPC_OK;
}

static enum rpc_code
read_members(struct parse *p)
{
	struct parameters parameters = { 0 };
	struct rpc_str name = { NULL, 0 };
	struct rpc_str id = { NULL, 0 };
	json_t *outputs = NULL;
	json_t *inputs = NULL;
	struct rpc_object obj;

	rpc_object_open(&obj, p->out->tree, NULL, p->problem);
	rpc_object_text(&obj, "id", RPC_OPTIONAL, 0, RPC_INFER_ID_MAX, &id);
	/* Some clients repeat what the path says. */
	rpc_object_text(&obj, "model_name", RPC_OPTIONAL, 0, RPC_TENSOR_NAME_MAX, &name);
	rpc_object_text(&obj, "model_version", RPC_OPTIONAL, 0, RPC_TENSOR_NAME_MAX, &name);
	rpc_object_array(&obj, "inputs", RPC_REQUIRED, RPC_TENSORS_MAX, &inputs);
	rpc_object_array(&obj, "outputs", RPC_OPTIONAL, RPC_TENSORS_MAX, &outputs);
	(void)read_parameters(&obj, NULL, "binary_data_output", &parameters, p->problem);
	enum rpc_code code = rpc_object_close(&obj);
	p->out->id = id.data;
	p->out->is_binary = parameters.is_binary;
	struct rpc_at inputs_at = { &obj.at, "inputs", 0 };
	struct rpc_at outputs_at = { &obj.at, "outputs", 0 };
	for (size_t i = 0; code == RPC_OK && i < json_array_size(inputs); i++)
		code = read_input(p, json_array_get(inputs, i), &inputs_at, i);
	for (size_t i = 0; code == RPC_OK && i < json_array_size(outputs); i++)
		code = read_output(p, json_array_get(outputs, i), &outputs_at, i);
	if (code == RPC_OK && p->binary_at != p->len)
		code = rpc_problem_set(p->problem, RPC_TENSOR_MISMATCH,
		                       "%zu bytes behind the JSON belong to no input",
		                       p->len - p->binary_at);
	return code;
}

enum rpc_code
rpc_infer_parse(const char *body, size_t len, uint64_t json_len, size_t size_max,
                struct rpc_infer *out, struct rpc_problem *problem)
{
	struct parse p = { .body = body, .len = len, .json_len = len, .size_left = size_max,
		           .out = out, .problem = problem };

	out->tree = NULL;
	out->id = NULL;
	out->inputs.count = 0;
	out->outputs.count = 0;
	out->is_binary = false;
	if (json_len != RPC_UNSET) {
		if (json_len > len)
			return rpc_problem_in(problem, RPC_BAD_HEADER,
			                      "Inference-Header-Content-Length",
			                      "it says %" PRIu64 ", but the body has %zu bytes",
			                      json_len, len);
		p.json_len = (size_t)json_len;
	}
	p.binary_at = p.json_len;
	enum rpc_code code = find_data(body, p.json_len, &p.data, problem);
	if (code == RPC_OK)
		code = rpc_json_parse_cut(body, p.json_len, p.data.cuts, p.data.count,
		                          RPC_INFER_HEAD_MAX, &out->tree, problem);
	return code == RPC_OK ? read_members(&p) : code;
}

void
rpc_infer_clear(struct rpc_infer *infer)
{
	tensors_clear(&infer->inputs);
	infer->outputs.count = 0;
	json_decref(infer->tree);
	infer->tree = NULL;
}

/* --- requests and models ------------------------------------------------------------------- */

static bool
shape_fits(const struct rpc_tensor *given, const struct rpc_tensor *wanted)
{
	if (wanted->rank == RPC_RANK_ANY)
		return true;
	if (given->rank != wanted->rank)
		return false;
	for (uint32_t i = 0; i < given->rank; i++)
		if (wanted->shape[i] >= 0 && wanted->shape[i] != given->shape[i])
			return false;
	return true;
}

/* A member of an input or output does not fit. */
RPC_PRINTF(5, 6)
static enum rpc_code
mismatch(struct rpc_problem *problem, const char *list, size_t index, const char *member,
         const char *format, ...)
{
	struct rpc_at body = { 0 };
	struct rpc_at list_at = { &body, list, 0 };
	struct rpc_at item_at = { &list_at, NULL, index };
	struct rpc_at at = { &item_at, member, 0 };
	char detail[RPC_PROBLEM_DETAIL_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	return rpc_problem_here(problem, RPC_TENSOR_MISMATCH, member == NULL ? &list_at : &at, "%s",
	                        detail);
}

static enum rpc_code
match_input(const struct rpc_tensor *given, size_t index, const struct rpc_tensors *model,
            struct rpc_problem *problem)
{
	const struct rpc_tensor *wanted = tensors_find(model, given->name);
	char names[RPC_PROBLEM_DETAIL_MAX / 2];

	if (wanted == NULL) {
		list_names(model, names, sizeof names);
		return mismatch(problem, "inputs", index, "name",
		                "the model has no input of this name; it has %s", names);
	}
	if (given->datatype != wanted->datatype)
		return mismatch(problem, "inputs", index, "datatype", "the model takes %s, not %s",
		                rpc_datatype_text(wanted->datatype),
		                rpc_datatype_text(given->datatype));
	if (shape_fits(given, wanted))
		return RPC_OK;
	print_shape(wanted, names, sizeof names);
	return mismatch(problem, "inputs", index, "shape", "the model takes %s", names);
}

enum rpc_code
rpc_infer_match(struct rpc_infer *infer, const struct rpc_model *model,
                struct rpc_problem *problem)
{
	char names[RPC_PROBLEM_DETAIL_MAX / 2];
	enum rpc_code code = RPC_OK;

	for (size_t i = 0; code == RPC_OK && i < infer->inputs.count; i++)
		code = match_input(&infer->inputs.items[i], i, &model->inputs, problem);
	for (size_t i = 0; code == RPC_OK && i < model->inputs.count; i++)
		if (tensors_find(&infer->inputs, model->inputs.items[i].name) == NULL)
			code = mismatch(problem, "inputs", 0, NULL, "the input %s is missing",
			                model->inputs.items[i].name);
	for (size_t i = 0; code == RPC_OK && i < infer->outputs.count; i++) {
		if (tensors_find(&model->outputs, infer->outputs.items[i].name) == NULL) {
			list_names(&model->outputs, names, sizeof names);
			code = mismatch(problem, "outputs", i, "name",
			                "the model has no output of this name; it has %s", names);
		}
	}
	if (code != RPC_OK || infer->outputs.count > 0)
		return code;
	infer->outputs = model->outputs;
	for (size_t i = 0; i < infer->outputs.count; i++)
		infer->outputs.items[i].is_binary = infer->is_binary;
	return RPC_OK;
}

/* --- replies ------------------------------------------------------------------------------- */

static uint64_t
bits_at(const uint8_t *p, size_t size)
{
	uint64_t little = 0;

	memcpy(&little, p, size);
	return le64toh(little);
}

static void
write_number(struct rpc_writer *w, const struct rpc_tensor *tensor, uint64_t bits, size_t size)
{
	bool is_float = element_of(tensor) == RPC_ELEMENT_FLOAT;
	unsigned unused = 64 - (unsigned)size * 8;
	char text[RPC_NUMBER_TEXT_MAX];
	bool is_number = true;
	size_t len;

	if (is_float && size == 4) {
		len = rpc_f32_print((uint32_t)bits, text);
		is_number = rpc_f32_is_finite((uint32_t)bits);
	} else if (is_float) {
		len = rpc_f64_print(bits, text);
		is_number = rpc_f64_is_finite(bits);
	} else if (element_of(tensor) == RPC_ELEMENT_INT) {
		len = rpc_i64_print((int64_t)(bits << unused) >> unused, text);
	} else {
		len = rpc_u64_print(bits, text);
	}
	if (is_number)
		rpc_write_raw(w, text, len);
	else
		rpc_write_string(w, text, len);
}

/* False when an element of BYTES is not text. */
static bool
write_texts(struct rpc_writer *w, const struct rpc_tensor *tensor)
{
	const uint8_t *end = tensor->data + tensor->size_bytes;

	for (const uint8_t *p = tensor->data; p < end;) {
		uint32_t len = length_at(p);
		const char *text = (const char *)p + LENGTH_BYTES;
		if (!rpc_utf8_valid(text, len))
			return false;
		rpc_write_string(w, text, len);
		p += LENGTH_BYTES + len;
	}
	return true;
}

static bool
write_elements(struct rpc_writer *w, const struct rpc_tensor *tensor)
{
	const uint8_t *end = tensor->data + tensor->size_bytes;
	size_t size = rpc_datatype_size(tensor->datatype);
	enum rpc_element element = element_of(tensor);
	bool ok = element != RPC_ELEMENT_NONE;

	rpc_write_array_begin(w);
	if (element == RPC_ELEMENT_TEXT)
		ok = write_texts(w, tensor);
	for (const uint8_t *p = tensor->data; ok && size > 0 && p < end; p += size) {
		if (element == RPC_ELEMENT_BOOL)
			rpc_write_bool(w, *p != 0);
		else
			write_number(w, tensor, bits_at(p, size), size);
	}
	rpc_write_array_end(w);
	return ok;
}

static bool
write_output(struct rpc_writer *w, const struct rpc_tensor *tensor)
{
	bool ok = true;

	rpc_write_object_begin(w);
	rpc_member_text(w, "name", tensor->name);
	rpc_member_text(w, "datatype", rpc_datatype_text(tensor->datatype));
	write_shape(w, tensor);
	if (tensor->is_binary) {
		rpc_write_key(w, "parameters");
		rpc_write_object_begin(w);
		rpc_member_uint(w, "binary_data_size", tensor->size_bytes);
		rpc_write_object_end(w);
	} else {
		rpc_write_key(w, "data");
		ok = write_elements(w, tensor);
	}
	rpc_write_object_end(w);
	return ok;
}

enum rpc_code
rpc_infer_write(struct rpc_writer *w, const struct rpc_infer_reply *reply, uint64_t *out_json_len,
                struct rpc_problem *problem)
{
	const struct rpc_tensors *outputs = reply->outputs;
	bool has_binary = false;

	rpc_write_object_begin(w);
	rpc_member_text(w, "model_name", reply->model);
	rpc_member_text(w, "model_version", reply->version);
	rpc_member_text(w, "id", reply->id);
	rpc_write_key(w, "outputs");
	rpc_write_array_begin(w);
	for (size_t i = 0; i < outputs->count; i++) {
		if (!write_output(w, &outputs->items[i]))
			return rpc_problem_set(problem, RPC_TENSOR_MISMATCH,
			                       "the output %s, %s, cannot be written as JSON; "
			                       "ask for it with \"parameters\": "
			                       "{\"binary_data\": true}",
			                       outputs->items[i].name,
			                       rpc_datatype_text(outputs->items[i].datatype));
		has_binary |= outputs->items[i].is_binary;
	}
	rpc_write_array_end(w);
	rpc_write_object_end(w);
	*out_json_len = has_binary ? w->len : RPC_UNSET;
	for (size_t i = 0; i < outputs->count; i++)
		if (outputs->items[i].is_binary)
			rpc_write_verbatim(w, (const char *)outputs->items[i].data,
			                   outputs->items[i].size_bytes);
	return RPC_OK;
}
