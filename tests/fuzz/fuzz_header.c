/*
 * fuzz_header.c - header fields that steer an answer.
 *
 * Every reader gets every input: all are total, and what they find lies within bounds.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include "rpc/accept.h"

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
check_range(const char *text, uint64_t size)
{
	uint64_t first = 0;
	uint64_t len = 0;

	if (rpc_range_parse(text, size, &first, &len) == RPC_RANGE_PART)
		check(len > 0 && first < size && len <= size - first);
}

static void
check_media_type(const char *text)
{
	struct rpc_problem problem;
	struct rpc_media_type media;

	if (rpc_media_type_parse(text, &media, &problem) != RPC_OK)
		return;
	check(strchr(media.type, '/') != NULL && media.param_count <= RPC_MEDIA_PARAMS_MAX);
	for (size_t i = 0; i < media.param_count; i++)
		check(rpc_media_type_param(&media, media.params[i].name) == media.params[i].value);
}

static void
check_etags(const char *text)
{
	char buf[80];

	if (rpc_etag_first(text, buf, sizeof buf))
		check(rpc_etag_find(text, buf, false) != RPC_ETAG_NO);
	(void)rpc_etag_find(text, "a", true);
	(void)rpc_etag_find(text, NULL, false);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const offers[] = { "application/json", "application/wasm",
		                              "text/plain" };
	struct rpc_problem problem;
	struct rpc_prefer prefer;
	uint8_t digest[32];
	bool present;
	size_t index = 99;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (rpc_accept_choose(text, offers, 3, &index, &problem) == RPC_OK)
		check(index < 3);
	check_media_type(text);
	rpc_prefer_parse(text, &prefer);
	check(prefer.wait_s <= 86400);
	check_range(text, 0);
	check_range(text, 1000);
	check_range(text, UINT64_MAX);
	check_etags(text);
	(void)!rpc_content_digest_parse(text, &present, digest, &problem);
	free(text);
	return 0;
}
