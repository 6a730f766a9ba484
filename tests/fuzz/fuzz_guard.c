/*
 * fuzz_guard.c - the request guard.
 *
 * Input: the request line "METHOD TARGET VERSION", then one "Name:value" a line. What is accepted
 * has to keep the guard's promises: a path that starts with '/', no '..' however it is spelt, and
 * escapes that all decode to something else than NUL.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/guard.h"

/* Take the text up to a byte off the front of *rest. */
static struct guard_str
take(struct guard_str *rest, char end)
{
	const char *mark = memchr(rest->data, end, rest->len);
	struct guard_str head = { rest->data,
		                  mark == NULL ? rest->len : (size_t)(mark - rest->data) };
	size_t used = head.len + (mark != NULL);

	rest->data += used;
	rest->len -= used;
	return head;
}

static void
check_path(struct guard_str path, char *room)
{
	if (path.len == 0 || path.data[0] != '/')
		abort();
	while (path.len > 0) {
		struct guard_str segment = take(&path, '/');
		size_t len = guard_unescape(segment, false, room);
		if (len > segment.len || strlen(room) != len || strcmp(room, "..") == 0 ||
		    strcmp(room, ".") == 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const hosts[] = { "example.org" };
	struct guard_header headers[GUARD_HEADERS_MAX + 1];
	struct guard_str rest = { (const char *)data, size };
	struct guard_policy policy = { .check_host = true, .hosts = hosts, .host_count = 1 };
	struct guard_request request = { .headers = headers };
	struct guard_facts facts;

	struct guard_str line = take(&rest, '\n');
	request.method = take(&line, ' ');
	request.target = take(&line, ' ');
	request.version = line;
	while (rest.len > 0 && request.header_count <= GUARD_HEADERS_MAX) {
		struct guard_header *header = &headers[request.header_count++];
		header->value = take(&rest, '\n');
		header->name = take(&header->value, ':');
	}
	enum guard_verdict verdict = guard_check(&request, &policy, &facts);
	if (guard_verdict_detail(verdict)[0] == '\0' ||
	    (guard_verdict_code(verdict) == RPC_OK) != (verdict == GUARD_OK))
		abort();
	if (verdict != GUARD_OK)
		return 0;

	char *room = malloc(size + 1);
	if (room == NULL)
		return 0;
	check_path(facts.path, room);
	size_t len = guard_unescape(facts.query, true, room);
	if (strlen(room) != len || (facts.is_chunked && facts.has_length))
		abort();
	free(room);
	return 0;
}
