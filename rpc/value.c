#include "rpc/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include "rpc/number.h"
#include "rpc/ref.h"

static const char *const type_texts[] = {
	[RPC_I32] = "i32",
	[RPC_I64] = "i64",
	[RPC_F32] = "f32",
	[RPC_F64] = "f64",
	[RPC_V128] = "v128",
	[RPC_FUNCREF] = "funcref",
	[RPC_EXTERNREF] = "externref",
	[RPC_OTHERREF] = "ref",
};

const char *const rpc_lanes_texts[] = {
	[RPC_I8X16] = "i8x16",
	[RPC_I16X8] = "i16x8",
	[RPC_I32X4] = "i32x4",
	[RPC_I64X2] = "i64x2",
	[RPC_F32X4] = "f32x4",
	[RPC_F64X2] = "f64x2",
	NULL,
};

/* How a v128 is divided. */
static const struct shape {
	const char *lane; /* for messages */
	uint8_t width;    /* bits */
	bool is_float;
} shapes[] = {
	[RPC_I8X16] = { "an i8", 8, false },   [RPC_I16X8] = { "an i16", 16, false },
	[RPC_I32X4] = { "an i32", 32, false }, [RPC_I64X2] = { "an i64", 64, false },
	[RPC_F32X4] = { "an f32", 32, true },  [RPC_F64X2] = { "an f64", 64, true },
};

const char *
rpc_type_text(enum rpc_type type)
{
	return type_texts[type];
}

const char *
rpc_lanes_text(enum rpc_lanes lanes)
{
	return rpc_lanes_texts[lanes];
}

/* --- reading ------------------------------------------------------------------------------- */

/* The largest integer that survives a double: what any JSON library can be trusted with. */
#define INTEGER_SAFE_MAX ((INT64_C(1) << 53) - 1)

#define SHOWN_MAX 40 /* characters of a wrong string that a message repeats */

static enum rpc_code
fail_kind(struct rpc_problem *problem, const struct rpc_at *at, const struct shape *shape,
          json_t *json)
{
	const char *forms =
	    shape->is_float ? "a number, or a string like \"0.1\", \"0x1.8p3\", \"inf\", \"nan\""
			    : "an integer, or a string like \"-1\" or \"0xff\"";

	if (json_is_string(json))
		return rpc_problem_here(problem, RPC_ARGUMENT_TYPE, at,
		                        "expected %s (%s), found the string \"%.*s\"", shape->lane,
		                        forms, SHOWN_MAX, json_string_value(json));
	return rpc_problem_here(problem, RPC_ARGUMENT_TYPE, at, "expected %s (%s), found %s",
	                        shape->lane, forms, rpc_json_kind(json));
}

static enum rpc_code
fail_range(struct rpc_problem *problem, const struct rpc_at *at, const struct shape *shape,
           json_t *json)
{
	if (json_is_string(json))
		return rpc_problem_here(problem, RPC_ARGUMENT_RANGE, at,
		                        "%.*s is out of range for %s", SHOWN_MAX,
		                        json_string_value(json), shape->lane);
	return rpc_problem_here(problem, RPC_ARGUMENT_RANGE, at,
	                        "the number is out of range for %s", shape->lane);
}

static enum rpc_number_status
read_text(const struct shape *shape, const char *text, size_t len, uint64_t *out)
{
	uint32_t low = 0;

	if (!shape->is_float)
		return rpc_int_read(text, len, shape->width, out);
	if (shape->width == 64)
		return rpc_f64_read(text, len, out);
	enum rpc_number_status st = rpc_f32_read(text, len, &low);
	*out = low;
	return st;
}

/* Exact where the type is; an integer is rounded once. */
static uint64_t
float_bits(const struct shape *shape, json_t *json)
{
	bool is_integer = json_is_integer(json);
	uint64_t bits = 0;

	if (shape->width == 64) {
		double d = is_integer ? (double)json_integer_value(json) : json_real_value(json);
		memcpy(&bits, &d, sizeof d);
	} else {
		float s =
		    is_integer ? (float)json_integer_value(json) : (float)json_real_value(json);
		uint32_t low;
		memcpy(&low, &s, sizeof low);
		bits = low;
	}
	return bits;
}

static bool
integer_fits(unsigned width, int64_t value)
{
	return value >= -(INT64_C(1) << (width - 1)) && value < INT64_C(1) << width;
}

/* A number of one lane's shape; scalars are lanes, too. */
static enum rpc_code
parse_number(json_t *json, const struct shape *shape, const struct rpc_at *at, uint64_t *out,
             struct rpc_problem *problem)
{
	if (json_is_string(json)) {
		switch (read_text(shape, json_string_value(json), json_string_length(json), out)) {
		case RPC_NUMBER_OK:
			return RPC_OK;
		case RPC_NUMBER_RANGE:
			return fail_range(problem, at, shape, json);
		case RPC_NUMBER_SYNTAX:
			return fail_kind(problem, at, shape, json);
		}
	}
	if (shape->is_float && json_is_number(json)) {
		uint64_t bits = float_bits(shape, json);
		/* JSON has no infinity: this one is a number that was too large for an f32. */
		if (shape->width == 32 && !rpc_f32_is_finite((uint32_t)bits))
			return fail_range(problem, at, shape, json);
		*out = bits;
		return RPC_OK;
	}
	if (!json_is_integer(json))
		return fail_kind(problem, at, shape, json);
	int64_t value = json_integer_value(json);
	if (shape->width == 64) {
		if (value < -INTEGER_SAFE_MAX || value > INTEGER_SAFE_MAX)
			return rpc_problem_here(
			    problem, RPC_BAD_REQUEST, at,
			    "integers beyond 2^53-1 lose digits in JSON; write \"%" PRId64
			    "\", a string",
			    value);
		*out = (uint64_t)value;
		return RPC_OK;
	}
	if (!integer_fits(shape->width, value))
		return fail_range(problem, at, shape, json);
	*out = (uint64_t)value & (UINT64_MAX >> (64 - shape->width));
	return RPC_OK;
}

/* Lanes are stored as in a guest's memory: low byte first. */
static void
put_lane(uint8_t *bytes, unsigned width, uint64_t bits)
{
	for (unsigned i = 0; i < width / 8; i++)
		bytes[i] = (uint8_t)(bits >> (8 * i));
}

static uint64_t
get_lane(const uint8_t *bytes, unsigned width)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < width / 8; i++)
		bits |= (uint64_t)bytes[i] << (8 * i);
	return bits;
}

static enum rpc_code
parse_lanes(json_t *array, enum rpc_lanes lanes, const struct rpc_at *at, uint8_t bytes[static 16],
            struct rpc_problem *problem)
{
	const struct shape *shape = &shapes[lanes];
	size_t count = 128u / shape->width;

	if (!json_is_array(array) || json_array_size(array) != count)
		return rpc_problem_here(problem, RPC_ARGUMENT_TYPE, at,
		                        "expected an array of %zu lanes, "
		                        "found %s of %zu",
		                        count, rpc_json_kind(array), json_array_size(array));
	for (size_t i = 0; i < count; i++) {
		struct rpc_at lane_at = { at, NULL, i };
		uint64_t bits;
		enum rpc_code code =
		    parse_number(json_array_get(array, i), shape, &lane_at, &bits, problem);
		if (code != RPC_OK)
			return code;
		put_lane(bytes + i * shape->width / 8, shape->width, bits);
	}
	return RPC_OK;
}

/* {"lanes":..,"value":..} or {"bytes":..}, with or without "type". */
static enum rpc_code
parse_v128(json_t *json, const struct rpc_at *at, struct rpc_value *out,
           struct rpc_problem *problem)
{
	struct rpc_object obj;
	struct rpc_str type = { NULL, 0 };
	struct rpc_str hex = { NULL, 0 };
	unsigned lanes = RPC_I32X4;
	json_t *value = NULL;
	uint8_t bytes[16];

	if (!json_is_object(json))
		return rpc_problem_here(problem, RPC_ARGUMENT_TYPE, at,
		                        "expected a v128 ({\"lanes\":\"i32x4\",\"value\":[...]} or "
		                        "{\"bytes\":\"<32 hex>\"}), found %s",
		                        rpc_json_kind(json));
	bool has_bytes = json_object_get(json, "bytes") != NULL;
	rpc_object_open(&obj, json, at, problem);
	rpc_object_text(&obj, "type", RPC_OPTIONAL, 0, SIZE_MAX, &type);
	if (has_bytes) {
		rpc_object_text(&obj, "bytes", RPC_REQUIRED, 32, 32, &hex);
	} else {
		rpc_object_choice(&obj, "lanes", RPC_REQUIRED, rpc_lanes_texts, &lanes);
		rpc_object_any(&obj, "value", RPC_REQUIRED, &value);
	}
	enum rpc_code code = rpc_object_close(&obj);
	if (code != RPC_OK)
		return code;
	if (has_bytes) {
		struct rpc_at bytes_at = { at, "bytes", 0 };
		if (!rpc_hex_decode(hex.data, hex.len, bytes, sizeof bytes))
			return rpc_problem_here(problem, RPC_ARGUMENT_TYPE, &bytes_at,
			                        "expected 32 hexadecimal digits, byte 0 first");
	} else {
		struct rpc_at value_at = { at, "value", 0 };
		code = parse_lanes(value, (enum rpc_lanes)lanes, &value_at, bytes, problem);
		if (code != RPC_OK)
			return code;
	}
	out->type = RPC_V128;
	memcpy(out->of.bytes, bytes, sizeof bytes);
	return RPC_OK;
}

static enum rpc_code
parse_reference(json_t *json, enum rpc_type type, const struct rpc_at *at, struct rpc_value *out,
                struct rpc_problem *problem)
{
	if (!json_is_null(json))
		return rpc_problem_here(problem, RPC_ARGUMENT_TYPE, at,
		                        "expected null, the only %s that can be sent, found %s",
		                        rpc_type_text(type), rpc_json_kind(json));
	*out = (struct rpc_value){ .type = type };
	return RPC_OK;
}

static enum rpc_code
parse_short(json_t *json, enum rpc_type type, const struct rpc_at *at, struct rpc_value *out,
            struct rpc_problem *problem)
{
	static const enum rpc_lanes lane_of[] = {
		[RPC_I32] = RPC_I32X4,
		[RPC_I64] = RPC_I64X2,
		[RPC_F32] = RPC_F32X4,
		[RPC_F64] = RPC_F64X2,
	};
	uint64_t bits;

	if (type == RPC_V128)
		return parse_v128(json, at, out, problem);
	if (type > RPC_V128)
		return parse_reference(json, type, at, out, problem);
	enum rpc_code code = parse_number(json, &shapes[lane_of[type]], at, &bits, problem);
	if (code != RPC_OK)
		return code;
	*out = (struct rpc_value){ .type = type, .of.bits = bits };
	return RPC_OK;
}

/* The long form says the type; it has to be the one that is expected. */
static enum rpc_code
check_type(json_t *json, enum rpc_type type, const struct rpc_at *at, struct rpc_problem *problem)
{
	struct rpc_at type_at = { at, "type", 0 };
	const json_t *stated = json_object_get(json, "type");

	if (stated == NULL)
		return RPC_OK;
	const char *text = json_string_value(stated);
	if (text != NULL && strcmp(text, rpc_type_text(type)) == 0)
		return RPC_OK;
	return rpc_problem_here(problem, RPC_ARGUMENT_TYPE, &type_at,
	                        "expected \"%s\", which the function's signature says, found %.*s",
	                        rpc_type_text(type), SHOWN_MAX,
	                        text != NULL ? text : rpc_json_kind(stated));
}

enum rpc_code
rpc_value_parse(json_t *json, enum rpc_type type, const struct rpc_at *at, struct rpc_value *out,
                struct rpc_problem *problem)
{
	struct rpc_object obj;
	struct rpc_str stated;
	json_t *value = NULL;

	if (!json_is_object(json))
		return parse_short(json, type, at, out, problem);
	enum rpc_code code = check_type(json, type, at, problem);
	if (code != RPC_OK)
		return code;
	if (type == RPC_V128)
		return parse_v128(json, at, out, problem);
	rpc_object_open(&obj, json, at, problem);
	rpc_object_text(&obj, "type", RPC_REQUIRED, 1, 16, &stated);
	rpc_object_any(&obj, "value", RPC_REQUIRED, &value);
	code = rpc_object_close(&obj);
	if (code != RPC_OK)
		return code;
	struct rpc_at value_at = { at, "value", 0 };
	return parse_short(value, type, &value_at, out, problem);
}

enum rpc_code
rpc_values_parse(json_t *args, const struct rpc_at *at, struct rpc_str function,
                 const enum rpc_type *types, size_t count, struct rpc_value *values,
                 struct rpc_problem *problem)
{
	size_t given = json_array_size(args); /* 0 for NULL */

	if (given != count)
		return rpc_problem_here(problem, RPC_ARGUMENT_COUNT, at,
		                        "function %.*s takes %zu argument%s, the request has %zu",
		                        (int)(function.len < 128 ? function.len : 128),
		                        function.data, count, count == 1 ? "" : "s", given);
	for (size_t i = 0; i < count; i++) {
		struct rpc_at value_at = { at, NULL, i };
		enum rpc_code code = rpc_value_parse(json_array_get(args, i), types[i], &value_at,
		                                     &values[i], problem);
		if (code != RPC_OK)
			return code;
	}
	return RPC_OK;
}

/* --- writing ------------------------------------------------------------------------------- */

/* Sign-extend the low `width` bits. */
static int64_t
signed_of(uint64_t bits, unsigned width)
{
	uint64_t sign = UINT64_C(1) << (width - 1);

	return (int64_t)((bits ^ sign) - sign);
}

/* The text of a number; true when it can stand in JSON without quotes. */
static bool
print_number(const struct shape *shape, uint64_t bits, char buf[static RPC_NUMBER_TEXT_MAX],
             size_t *out_len)
{
	if (!shape->is_float) {
		*out_len = rpc_i64_print(signed_of(bits, shape->width), buf);
		return shape->width < 64;
	}
	if (shape->width == 64) {
		*out_len = rpc_f64_print(bits, buf);
		return rpc_f64_is_finite(bits);
	}
	*out_len = rpc_f32_print((uint32_t)bits, buf);
	return rpc_f32_is_finite((uint32_t)bits);
}

static void
write_number(struct rpc_writer *w, const struct shape *shape, uint64_t bits)
{
	char buf[RPC_NUMBER_TEXT_MAX];
	size_t len;

	if (print_number(shape, bits, buf, &len))
		rpc_write_raw(w, buf, len);
	else
		rpc_write_string(w, buf, len);
}

static void
write_v128(struct rpc_writer *w, const uint8_t bytes[static 16], enum rpc_lanes lanes)
{
	const struct shape *shape = &shapes[lanes];
	char hex[32];

	rpc_member_text(w, "lanes", rpc_lanes_text(lanes));
	rpc_write_key(w, "value");
	rpc_write_array_begin(w);
	for (unsigned i = 0; i < 128; i += shape->width)
		write_number(w, shape, get_lane(bytes + i / 8, shape->width));
	rpc_write_array_end(w);
	rpc_hex_encode(bytes, 16, hex);
	rpc_write_key(w, "bytes");
	rpc_write_string(w, hex, sizeof hex);
}

static void
write_scalar(struct rpc_writer *w, enum rpc_lanes lane, uint64_t bits, bool exact)
{
	const struct shape *shape = &shapes[lane];

	rpc_write_key(w, "value");
	write_number(w, shape, bits);
	if (exact) {
		rpc_write_key(w, "bits");
		rpc_write_format(w, "0x%0*" PRIx64, shape->width / 4, bits);
	}
}

void
rpc_value_write(struct rpc_writer *w, const struct rpc_value *value, bool exact,
                enum rpc_lanes lanes)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "type", rpc_type_text(value->type));
	switch (value->type) {
	case RPC_I32:
		write_scalar(w, RPC_I32X4, value->of.bits & UINT32_MAX, exact);
		break;
	case RPC_I64:
		write_scalar(w, RPC_I64X2, value->of.bits, exact);
		break;
	case RPC_F32:
		write_scalar(w, RPC_F32X4, value->of.bits & UINT32_MAX, exact);
		break;
	case RPC_F64:
		write_scalar(w, RPC_F64X2, value->of.bits, exact);
		break;
	case RPC_V128:
		write_v128(w, value->of.bytes, lanes);
		break;
	case RPC_FUNCREF:
	case RPC_EXTERNREF:
	case RPC_OTHERREF:
		rpc_write_key(w, "value");
		if (value->of.bits == 0)
			rpc_write_null(w);
		else
			rpc_write_text(w, "ref:opaque");
		break;
	}
	rpc_write_object_end(w);
}

static void
v128_text(const uint8_t bytes[static 16], enum rpc_lanes lanes, char *buf, size_t size)
{
	const struct shape *shape = &shapes[lanes];
	int len = snprintf(buf, size, "%s", rpc_lanes_text(lanes));

	for (unsigned i = 0; i < 128 && len > 0 && (size_t)len < size; i += shape->width) {
		char number[RPC_NUMBER_TEXT_MAX];
		size_t number_len;
		print_number(shape, get_lane(bytes + i / 8, shape->width), number, &number_len);
		int n = snprintf(buf + len, size - (size_t)len, " %s", number);
		len = n < 0 ? n : len + n;
	}
}

void
rpc_value_text(const struct rpc_value *value, enum rpc_lanes lanes, char *buf, size_t size)
{
	static const enum rpc_lanes lane_of[] = {
		[RPC_I32] = RPC_I32X4,
		[RPC_I64] = RPC_I64X2,
		[RPC_F32] = RPC_F32X4,
		[RPC_F64] = RPC_F64X2,
	};
	char number[RPC_NUMBER_TEXT_MAX];
	size_t len;

	if (value->type == RPC_V128) {
		v128_text(value->of.bytes, lanes, buf, size);
	} else if (value->type > RPC_V128) {
		snprintf(buf, size, "%s", value->of.bits == 0 ? "null" : "ref:opaque");
	} else {
		print_number(&shapes[lane_of[value->type]], value->of.bits, number, &len);
		snprintf(buf, size, "%s", number);
	}
}
