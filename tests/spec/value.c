#include "tests/spec/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
json_text(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text != NULL ? text : "";
}

static bool
parse_bits(const char *text, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	return end != text && *end == '\0';
}

/* --- vectors --------------------------------------------------------------------------------- */

/* Bytes of a lane; 0 when the name is none. */
static size_t
lane_bytes(const char *lane_type)
{
	if (strcmp(lane_type, "i8") == 0)
		return 1;
	if (strcmp(lane_type, "i16") == 0)
		return 2;
	if (strcmp(lane_type, "i32") == 0 || strcmp(lane_type, "f32") == 0)
		return 4;
	if (strcmp(lane_type, "i64") == 0 || strcmp(lane_type, "f64") == 0)
		return 8;
	return 0;
}

static uint64_t
lane_get(const uint8_t *v128, size_t lane, size_t bytes)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < bytes; i++)
		bits |= (uint64_t)v128[lane * bytes + i] << (8 * i);
	return bits;
}

static bool
v128_from_json(const json_t *json, uint8_t *out)
{
	const json_t *lanes = json_object_get(json, "value");
	const size_t bytes = lane_bytes(json_text(json, "lane_type"));
	uint64_t bits;

	if (bytes == 0 || json_array_size(lanes) != 16 / bytes)
		return false;
	for (size_t lane = 0; lane < 16 / bytes; lane++) {
		const char *text = json_string_value(json_array_get(lanes, lane));

		if (text == NULL || !parse_bits(text, &bits))
			return false;
		for (size_t i = 0; i < bytes; i++)
			out[lane * bytes + i] = (uint8_t)(bits >> (8 * i));
	}
	return true;
}

/* --- arguments ------------------------------------------------------------------------------- */

/* The host reference of that identity: any address but NULL does. */
static void *
host_reference(uint64_t identity)
{
	return (void *)(uintptr_t)(identity + 1);
}

static bool
ref_from_json(const char *type_name, const char *text, struct vm_value *out)
{
	uint64_t identity;

	if (strcmp(text, "null") == 0) {
		out->of.ref = NULL;
		return true;
	}
	if (strcmp(type_name, "externref") != 0 || !parse_bits(text, &identity))
		return false;
	out->of.ref = host_reference(identity);
	return true;
}

bool
value_from_json(const json_t *json, vm_valtype type, struct vm_value *out, char *message,
                size_t size)
{
	const char *type_name = json_text(json, "type");
	const char *text = json_text(json, "value");
	uint64_t bits = 0;
	bool ok;

	memset(out, 0, sizeof *out);
	if (strcmp(type_name, "v128") == 0) {
		out->type = VM_V128;
		ok = v128_from_json(json, out->of.v128);
	} else if (strcmp(type_name, "i32") == 0) {
		out->type = VM_I32;
		ok = parse_bits(text, &bits);
		out->of.i32 = (int32_t)(uint32_t)bits;
	} else if (strcmp(type_name, "i64") == 0) {
		out->type = VM_I64;
		ok = parse_bits(text, &bits);
		out->of.i64 = (int64_t)bits;
	} else if (strcmp(type_name, "f32") == 0) {
		out->type = VM_F32;
		ok = parse_bits(text, &bits);
		out->of.f32_bits = (uint32_t)bits;
	} else if (strcmp(type_name, "f64") == 0) {
		out->type = VM_F64;
		ok = parse_bits(text, &bits);
		out->of.f64_bits = bits;
	} else {
		out->type = type; /* null takes the type of the parameter */
		ok = ref_from_json(type_name, text, out);
	}
	if (!ok)
		snprintf(message, size, "cannot make the argument %s %s", type_name, text);
	return ok;
}

/* --- results --------------------------------------------------------------------------------- */

/* Do the bits of a float (width 32 or 64) fit: a number, or a class of NaNs? */
static bool
float_matches(uint64_t bits, unsigned width, const char *expected)
{
	const uint64_t payload_top = UINT64_C(1) << (width == 32 ? 22 : 51);
	const uint64_t sign = UINT64_C(1) << (width - 1);
	const uint64_t quiet = (width == 32 ? UINT64_C(0x7f800000) : UINT64_C(0x7ff) << 52) |
	                       payload_top;
	uint64_t want;

	if (strcmp(expected, "nan:canonical") == 0)
		return (bits & ~sign) == quiet;
	if (strcmp(expected, "nan:arithmetic") == 0)
		return (bits & quiet) == quiet;
	return parse_bits(expected, &want) && bits == want;
}

static bool
v128_matches(const uint8_t *v128, const json_t *expected)
{
	const json_t *lanes = json_object_get(expected, "value");
	const char *lane_type = json_text(expected, "lane_type");
	const size_t bytes = lane_bytes(lane_type);
	uint64_t want;

	if (bytes == 0 || json_array_size(lanes) != 16 / bytes)
		return false;
	for (size_t lane = 0; lane < 16 / bytes; lane++) {
		const char *text = json_string_value(json_array_get(lanes, lane));
		const uint64_t bits = lane_get(v128, lane, bytes);

		if (text == NULL)
			return false;
		if (lane_type[0] == 'f' ? !float_matches(bits, (unsigned)bytes * 8, text)
		                        : !parse_bits(text, &want) || bits != want)
			return false;
	}
	return true;
}

/* Heap types that a type name of the command files covers. */
static const struct hierarchy {
	const char *name;
	uint32_t heaps[8];
	bool has_structs; /* concrete types that are no functions */
	bool has_funcs;
} hierarchies[] = {
	{ "externref", { VM_HEAP_EXTERN, VM_HEAP_NOEXTERN }, false, false },
	{ "nullexternref", { VM_HEAP_EXTERN, VM_HEAP_NOEXTERN }, false, false },
	{ "exnref", { VM_HEAP_EXN, VM_HEAP_NOEXN }, false, false },
	{ "nullexnref", { VM_HEAP_EXN, VM_HEAP_NOEXN }, false, false },
	{ "funcref", { VM_HEAP_FUNC, VM_HEAP_NOFUNC }, false, true },
	{ "nullfuncref", { VM_HEAP_FUNC, VM_HEAP_NOFUNC }, false, true },
	{ "anyref", { VM_HEAP_ANY, VM_HEAP_EQ, VM_HEAP_I31, VM_HEAP_STRUCT, VM_HEAP_ARRAY,
	              VM_HEAP_NONE }, true, false },
	{ "nullref", { VM_HEAP_ANY, VM_HEAP_EQ, VM_HEAP_I31, VM_HEAP_STRUCT, VM_HEAP_ARRAY,
	               VM_HEAP_NONE }, true, false },
	{ "eqref", { VM_HEAP_ANY, VM_HEAP_EQ, VM_HEAP_I31, VM_HEAP_STRUCT, VM_HEAP_ARRAY,
	             VM_HEAP_NONE }, true, false },
	{ "i31ref", { VM_HEAP_ANY, VM_HEAP_EQ, VM_HEAP_I31, VM_HEAP_NONE }, false, false },
	{ "structref", { VM_HEAP_ANY, VM_HEAP_EQ, VM_HEAP_STRUCT, VM_HEAP_NONE }, true, false },
	{ "arrayref", { VM_HEAP_ANY, VM_HEAP_EQ, VM_HEAP_ARRAY, VM_HEAP_NONE }, true, false },
};

/* Can a value of that static type be what the name says? The API does not tell more. */
static bool
type_fits(vm_valtype type, const char *name)
{
	const uint32_t heap = vm_valtype_heap(type);

	if (!vm_valtype_is_ref(type))
		return false;
	if (strcmp(name, "ref") == 0)
		return true;
	for (size_t i = 0; i < sizeof hierarchies / sizeof hierarchies[0]; i++) {
		const struct hierarchy *h = &hierarchies[i];

		if (strcmp(h->name, name) != 0)
			continue;
		if (heap >= VM_HEAP_CONCRETE)
			return h->has_structs || h->has_funcs;
		for (size_t j = 0; j < 8; j++) {
			if (h->heaps[j] == heap)
				return true;
		}
		return false;
	}
	return false;
}

static bool
ref_matches(const struct vm_value *value, const json_t *expected)
{
	const char *text = json_string_value(json_object_get(expected, "value"));
	uint64_t identity;

	if (!type_fits(value->type, json_text(expected, "type")))
		return false;
	if (text == NULL)
		return value->of.ref != NULL;
	if (strcmp(text, "null") == 0)
		return value->of.ref == NULL;
	return parse_bits(text, &identity) && value->of.ref == host_reference(identity);
}

bool
value_matches(const struct vm_value *value, const json_t *expected)
{
	const char *type_name = json_text(expected, "type");
	const char *text = json_text(expected, "value");
	uint64_t want;

	if (strcmp(type_name, "i32") == 0)
		return value->type == VM_I32 && parse_bits(text, &want) &&
		       (uint32_t)value->of.i32 == want;
	if (strcmp(type_name, "i64") == 0)
		return value->type == VM_I64 && parse_bits(text, &want) &&
		       (uint64_t)value->of.i64 == want;
	if (strcmp(type_name, "f32") == 0)
		return value->type == VM_F32 && float_matches(value->of.f32_bits, 32, text);
	if (strcmp(type_name, "f64") == 0)
		return value->type == VM_F64 && float_matches(value->of.f64_bits, 64, text);
	if (strcmp(type_name, "v128") == 0)
		return value->type == VM_V128 && v128_matches(value->of.v128, expected);
	return ref_matches(value, expected);
}

const char *
value_text(const struct vm_value *value, char *buf, size_t size)
{
	char type[VM_VALTYPE_TEXT_MAX];
	const uint8_t *b = value->of.v128;

	vm_valtype_text(value->type, type, sizeof type);
	switch (value->type) {
	case VM_I32:
	case VM_F32:
		snprintf(buf, size, "%s 0x%x", type, (unsigned)value->of.f32_bits);
		break;
	case VM_I64:
	case VM_F64:
		snprintf(buf, size, "%s 0x%llx", type, (unsigned long long)value->of.f64_bits);
		break;
	case VM_V128:
		snprintf(buf, size,
		         "%s %02x %02x %02x %02x %02x %02x %02x %02x "
		         "%02x %02x %02x %02x %02x %02x %02x %02x", type, b[0], b[1], b[2], b[3],
		         b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		         b[15]);
		break;
	default:
		snprintf(buf, size, "%s %p", type, value->of.ref);
		break;
	}
	return buf;
}
