/*
 * fuzz_multipart.c - the parser of forms.
 *
 * Input: a Content-Type line, then the body. The first byte of the body says how it is cut into
 * pieces. Whatever the cuts, the same parts have to come out as when all comes at once.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/multipart.h"

struct sum {
	uint64_t hash; /* FNV-1a over all that comes out */
	size_t parts;
	bool is_open; /* between a part's beginning and its end */
};

static void
add(struct sum *sum, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum->hash = (sum->hash ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
}

static bool
on_begin(void *env, const struct multipart_part *part)
{
	struct sum *sum = env;

	if (sum->is_open || part->name[0] == '\0')
		abort();
	sum->is_open = true;
	sum->parts++;
	add(sum, part->name, strlen(part->name) + 1);
	add(sum, part->filename, strlen(part->filename) + 1);
	add(sum, part->type, strlen(part->type) + 1);
	return true;
}

static bool
on_data(void *env, const char *data, size_t len)
{
	struct sum *sum = env;

	if (!sum->is_open || len == 0)
		abort();
	add(sum, data, len);
	return true;
}

static bool
on_end(void *env)
{
	struct sum *sum = env;

	if (!sum->is_open)
		abort();
	sum->is_open = false;
	add(sum, "", 1);
	return true;
}

static struct sum
parse(const char *boundary, const char *body, size_t len, size_t step)
{
	struct sum sum = { 0 };
	struct multipart_handler handler = { on_begin, on_data, on_end, &sum };
	struct multipart *mp = malloc(sizeof *mp);

	if (mp == NULL)
		return sum;
	multipart_init(mp, boundary, &handler);
	for (size_t at = 0; at < len; at += step)
		if (multipart_feed(mp, body + at, len - at < step ? len - at : step) !=
		    MULTIPART_OK)
			break;
	enum multipart_status status = multipart_finish(mp);
	if (status == MULTIPART_STOPPED || (status == MULTIPART_OK && sum.is_open))
		abort();
	sum.hash = sum.hash * 31 + (uint64_t)status;
	free(mp);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line_end = size == 0 ? NULL : memchr(data, '\n', size);
	char boundary[MULTIPART_BOUNDARY_MAX + 1];

	if (line_end == NULL || line_end + 1 == data + size)
		return 0;
	char *type = strndup((const char *)data, (size_t)(line_end - data));
	if (type == NULL)
		return 0;
	bool is_form = multipart_boundary(type, boundary);
	free(type);
	if (!is_form)
		return 0;
	const char *body = (const char *)line_end + 2;
	size_t len = size - (size_t)(line_end + 2 - data);
	struct sum whole = parse(boundary, body, len, len + 1);
	struct sum parts = parse(boundary, body, len, (size_t)line_end[1] % 16 + 1);
	if (whole.hash != parts.hash || whole.parts != parts.parts)
		abort();
	return 0;
}
