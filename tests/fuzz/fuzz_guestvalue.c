/*
 * fuzz_guestvalue.c - values as guests store them.
 *
 * The first byte chooses the type. What is decoded, encoded and decoded again has to be the same
 * text; any text that can be encoded has to come back.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include "rpc/guestvalue.h"

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* The text, encoded and decoded; NULL: it cannot be. */
static char *
there_and_back(enum rpc_guest_type type, const char *text, size_t len, size_t *out_len)
{
	char error[RPC_GUEST_ERROR_MAX];
	uint8_t *bytes;
	char *again;
	size_t bytes_len;

	if (!rpc_guest_encode(type, text, len, &bytes, &bytes_len, error))
		return NULL;
	check(rpc_guest_decode(type, bytes, bytes_len, &again, out_len, error));
	free(bytes);
	return again;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[RPC_GUEST_ERROR_MAX];
	char *text;
	size_t len;
	size_t again_len;

	if (size < 1)
		return 0;
	const enum rpc_guest_type type = (enum rpc_guest_type)(data[0] % RPC_GUEST_TYPE_COUNT);
	if (rpc_guest_decode(type, data + 1, size - 1, &text, &len, error)) {
		char *again = there_and_back(type, text, len, &again_len);
		check(again != NULL && again_len == len && memcmp(again, text, len) == 0);
		free(again);
		free(text);
	}
	/* A second time: numbers may have been written in another way. */
	char *first = there_and_back(type, (const char *)data + 1, size - 1, &len);
	if (first != NULL) {
		char *second = there_and_back(type, first, len, &again_len);
		check(second != NULL && again_len == len && memcmp(first, second, len) == 0);
		free(second);
	}
	free(first);
	return 0;
}
