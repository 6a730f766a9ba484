/*
 * fuzz_ref.c - module references and base64.
 *
 * A ref that is read and written has to be read as the same one. Base64 has one text for every
 * byte string, in both directions.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include "rpc/base64.h"
#include "rpc/ref.h"

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
check_ref(const char *text, size_t len)
{
	char full[RPC_REF_TEXT_MAX];
	char full_again[RPC_REF_TEXT_MAX];
	struct rpc_problem problem;
	struct rpc_ref ref;
	struct rpc_ref again;

	if (rpc_ref_parse(text, len, &ref, &problem) != RPC_OK)
		return;
	size_t full_len = rpc_ref_text(&ref, full);
	check(full_len < sizeof full && full_len >= len && memcmp(full, text, len) == 0);
	check(rpc_ref_parse(full, full_len, &again, &problem) == RPC_OK);
	check(again.is_digest == ref.is_digest && rpc_ref_text(&again, full_again) == full_len);
	check(memcmp(full, full_again, full_len) == 0);
}

static void
check_base64(const uint8_t *data, size_t size)
{
	char *text = malloc(rpc_base64_encoded_len(size) + 1);
	uint8_t *bytes = malloc(size + 3);
	size_t len;
	size_t bad;

	if (text == NULL || bytes == NULL)
		goto done;
	size_t text_len = rpc_base64_encode(data, size, text);
	check(text_len == rpc_base64_encoded_len(size));
	check(rpc_base64_decode(text, text_len, bytes, &len, &bad));
	check(len == size && (size == 0 || memcmp(bytes, data, size) == 0));
	/* The input as text: if it is base64, encoding gives it back. */
	if (rpc_base64_decode((const char *)data, size, bytes, &len, &bad)) {
		check(len <= rpc_base64_decoded_max(size));
		check(rpc_base64_encode(bytes, len, text) == size);
		check(size == 0 || memcmp(text, data, size) == 0);
	} else {
		check(bad <= size);
	}
done:
	free(bytes);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_ref((const char *)data, size);
	check_base64(data, size);
	return 0;
}
