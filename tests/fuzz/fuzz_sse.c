/*
 * fuzz_sse.c - the client's reader of event streams.
 *
 * The first byte says how the rest is cut into pieces. Whatever the cuts, the same events have to
 * come out as when all comes at once.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/sse.h"

struct sum {
	uint64_t hash; /* FNV-1a over all events */
	size_t count;
};

static void
add(struct sum *sum, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum->hash = (sum->hash ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
}

static bool
take(void *context, const struct sse_event *event)
{
	struct sum *sum = context;

	sum->count++;
	add(sum, event->id, strlen(event->id) + 1);
	add(sum, event->type, strlen(event->type) + 1);
	add(sum, event->data, event->data_len + 1);
	return true;
}

static struct sum
read_all(const char *bytes, size_t len, size_t step)
{
	struct sum sum = { 0 };
	struct sse sse;

	sse_init(&sse, take, &sum);
	for (size_t at = 0; at < len; at += step)
		if (sse_feed(&sse, bytes + at, len - at < step ? len - at : step) != SSE_OK)
			break;
	sse_clear(&sse);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const char *bytes = (const char *)data + 1;
	struct sum whole = read_all(bytes, size - 1, size);
	struct sum parts = read_all(bytes, size - 1, (size_t)data[0] % 16 + 1);

	if (whole.hash != parts.hash || whole.count != parts.count)
		abort();
	return 0;
}
