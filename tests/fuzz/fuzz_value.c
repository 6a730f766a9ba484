/*
 * fuzz_value.c - values and numbers.
 *
 * The first byte chooses type and lanes, the rest is JSON. What is read as a value and written
 * again has to be read as the same value; so do numbers printed as text.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include "rpc/number.h"
#include "rpc/value.h"

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static bool
is_nan(uint64_t bits, uint64_t infinity, uint64_t mask)
{
	return (bits & mask) > infinity;
}

/* Written and read again, the value is the same. */
static void
check_value(const struct rpc_value *value, enum rpc_lanes lanes)
{
	struct rpc_problem problem;
	struct rpc_value again;
	struct rpc_writer w;
	json_t *json;
	char text[RPC_VALUE_TEXT_MAX];

	rpc_writer_init(&w);
	rpc_value_write(&w, value, false, lanes);
	check(rpc_writer_ok(&w));
	check(rpc_json_parse(w.data, w.len, w.len, &json, &problem) == RPC_OK);
	if (value->type == RPC_V128) {
		/* An answer has both forms; a request has one. Each has to give the same. */
		json_t *other = json_copy(json);
		json_object_del(json, "bytes");
		json_object_del(other, "lanes");
		json_object_del(other, "value");
		check(rpc_value_parse(other, value->type, NULL, &again, &problem) == RPC_OK);
		check(memcmp(again.of.bytes, value->of.bytes, 16) == 0);
		json_decref(other);
	}
	check(rpc_value_parse(json, value->type, NULL, &again, &problem) == RPC_OK);
	check(again.type == value->type);
	if (value->type == RPC_V128)
		check(memcmp(again.of.bytes, value->of.bytes, 16) == 0);
	else
		check(again.of.bits == value->of.bits);
	json_decref(json);
	rpc_writer_clear(&w);
	rpc_value_text(value, lanes, text, sizeof text);
}

static void
check_numbers(const char *text, size_t len)
{
	char buf[RPC_NUMBER_TEXT_MAX];
	uint64_t bits = 0;
	uint64_t bits64 = 0;
	uint32_t bits32 = 0;

	if (rpc_f64_read(text, len, &bits64) == RPC_NUMBER_OK) {
		size_t n = rpc_f64_print(bits64, buf);
		check(n < sizeof buf && rpc_f64_read(buf, n, &bits) == RPC_NUMBER_OK &&
		      bits == bits64);
		check(rpc_f64_is_finite(bits64) ||
		      is_nan(bits64, UINT64_C(0x7ff0000000000000), UINT64_MAX >> 1) ==
		          (strstr(buf, "nan") != NULL));
	}
	if (rpc_f32_read(text, len, &bits32) == RPC_NUMBER_OK) {
		uint32_t again = ~bits32;
		size_t n = rpc_f32_print(bits32, buf);
		check(rpc_f32_read(buf, n, &again) == RPC_NUMBER_OK && again == bits32);
	}
	for (unsigned width = 8; width <= 64; width *= 2)
		if (rpc_int_read(text, len, width, &bits) == RPC_NUMBER_OK)
			check(width == 64 || bits >> width == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_problem problem;
	struct rpc_value value;
	json_t *json;

	if (size < 1)
		return 0;
	enum rpc_type type = (enum rpc_type)(data[0] % (RPC_OTHERREF + 1));
	enum rpc_lanes lanes = (enum rpc_lanes)(data[0] / 8 % (RPC_F64X2 + 1));
	const char *text = (const char *)data + 1;

	check_numbers(text, size - 1);
	if (rpc_json_parse(text, size - 1, 100000, &json, &problem) != RPC_OK)
		return 0;
	if (rpc_value_parse(json, type, NULL, &value, &problem) == RPC_OK)
		check_value(&value, lanes);
	if (json_is_string(json))
		check_numbers(json_string_value(json), json_string_length(json));
	json_decref(json);
	return 0;
}
