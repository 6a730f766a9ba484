/*
 * The request guard: what it lets through, and every kind of message that it refuses.
 */
#include "daemon/guard.h"

#include <string.h>
#include "tests/support/unit.h"

#define H_MAX 6

static const struct guard_case {
	const char *name;
	const char *line; /* "METHOD TARGET VERSION" */
	const char *headers[H_MAX]; /* "Name: value" */
	enum guard_verdict want;
} cases[] = {
	{ "plain", "GET /livez HTTP/1.1", { "Host: localhost" }, GUARD_OK },
	{ "old version without a host", "GET / HTTP/1.0", { NULL }, GUARD_OK },
	{ "absolute target", "GET http://localhost/x HTTP/1.1", { "Host: localhost" }, GUARD_OK },
	{ "address as host", "GET / HTTP/1.1", { "Host: 192.0.2.1:80" }, GUARD_OK },
	{ "bracketed address", "GET / HTTP/1.1", { "Host: [::1]:80" }, GUARD_OK },
	{ "listed host", "GET / HTTP/1.1", { "Host: API.example" }, GUARD_OK },
	{ "escaped slash", "GET /a%2fb HTTP/1.1", { "Host: localhost" }, GUARD_OK },
	{ "escaped line end in the query", "GET /?a=%0a HTTP/1.1", { "Host: localhost" },
	  GUARD_OK },
	{ "three dots", "GET /.../x HTTP/1.1", { "Host: localhost" }, GUARD_OK },
	{ "length", "PUT / HTTP/1.1", { "Host: localhost", "Content-Length: 12" }, GUARD_OK },
	{ "chunks", "PUT / HTTP/1.1", { "Host: localhost", "Transfer-Encoding: Chunked" },
	  GUARD_OK },
	{ "expectation", "PUT / HTTP/1.1", { "Host: localhost", "Expect: 100-continue" },
	  GUARD_OK },
	{ "tab in a value", "GET / HTTP/1.1", { "Host: localhost", "X: a\tb" }, GUARD_OK },

	{ "other version", "GET / HTTP/2.0", { "Host: localhost" }, GUARD_VERSION },
	{ "bad method", "G@T / HTTP/1.1", { "Host: localhost" }, GUARD_METHOD_CHARS },
	{ "no slash", "GET livez HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_FORM },
	{ "star", "OPTIONS * HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_FORM },
	{ "other scheme", "GET ftp://localhost/ HTTP/1.1", { "Host: localhost" },
	  GUARD_TARGET_FORM },
	{ "no authority", "GET http:///x HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_FORM },
	{ "fragment", "GET /a#b HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_CHARS },
	{ "not ASCII", "GET /\xc3\xa4 HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_CHARS },
	{ "cut escape", "GET /%2 HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_ESCAPE },
	{ "no digits", "GET /%zz HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_ESCAPE },
	{ "escaped NUL", "GET /a%00b HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_NUL },
	{ "NUL in the query", "GET /?a=%00 HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_NUL },
	{ "control in the path", "GET /a%0d HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_NUL },
	{ "dots", "GET /a/../b HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_SEGMENT },
	{ "dots at the end", "GET /a/.. HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_SEGMENT },
	{ "escaped dots", "GET /%2e%2E/b HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_SEGMENT },
	{ "one dot", "GET /./b HTTP/1.1", { "Host: localhost" }, GUARD_TARGET_SEGMENT },
	{ "blank in a name", "GET / HTTP/1.1", { "Host : localhost" }, GUARD_HEADER_NAME },
	{ "control in a value", "GET / HTTP/1.1", { "Host: localhost", "X: a\x01" },
	  GUARD_HEADER_VALUE },
	{ "two hosts", "GET / HTTP/1.1", { "Host: localhost", "host: localhost" },
	  GUARD_HEADER_TWICE },
	{ "two lengths", "PUT / HTTP/1.1",
	  { "Host: localhost", "Content-Length: 1", "Content-Length: 1" }, GUARD_HEADER_TWICE },
	{ "no host", "GET / HTTP/1.1", { NULL }, GUARD_HOST_MISSING },
	{ "bad port", "GET / HTTP/1.1", { "Host: localhost:x" }, GUARD_HOST_SYNTAX },
	{ "user", "GET / HTTP/1.1", { "Host: a@localhost" }, GUARD_HOST_SYNTAX },
	{ "open bracket", "GET / HTTP/1.1", { "Host: [::1" }, GUARD_HOST_SYNTAX },
	{ "empty host", "GET / HTTP/1.1", { "Host: " }, GUARD_HOST_SYNTAX },
	{ "other host", "GET / HTTP/1.1", { "Host: evil.example" }, GUARD_HOST_UNKNOWN },
	{ "host against target", "GET http://localhost/ HTTP/1.1", { "Host: 127.0.0.1" },
	  GUARD_HOST_CONFLICT },
	{ "length and chunks", "PUT / HTTP/1.1",
	  { "Host: localhost", "Content-Length: 1", "Transfer-Encoding: chunked" },
	  GUARD_LENGTH_AND_CHUNKS },
	{ "signed length", "PUT / HTTP/1.1", { "Host: localhost", "Content-Length: +1" },
	  GUARD_LENGTH_SYNTAX },
	{ "long length", "PUT / HTTP/1.1",
	  { "Host: localhost", "Content-Length: 1234567890123456789" }, GUARD_LENGTH_SYNTAX },
	{ "other encoding", "PUT / HTTP/1.1", { "Host: localhost", "Transfer-Encoding: xchunked" },
	  GUARD_ENCODING },
	{ "two encodings", "PUT / HTTP/1.1",
	  { "Host: localhost", "Transfer-Encoding: gzip, chunked" }, GUARD_ENCODING },
	{ "chunks in the old version", "PUT / HTTP/1.0", { "Transfer-Encoding: chunked" },
	  GUARD_ENCODING_VERSION },
	{ "other expectation", "PUT / HTTP/1.1", { "Host: localhost", "Expect: x" },
	  GUARD_EXPECTATION },
};

static struct guard_str
str(const char *text, size_t len)
{
	return (struct guard_str){ text, len };
}

static enum guard_verdict
judge(const struct guard_case *c, struct guard_facts *facts)
{
	static const char *const hosts[] = { "api.example" };
	struct guard_policy policy = { .check_host = true, .hosts = hosts, .host_count = 1 };
	struct guard_header headers[H_MAX];
	struct guard_request request = { .headers = headers };

	const char *target = strchr(c->line, ' ') + 1;
	const char *version = strchr(target, ' ') + 1;
	request.method = str(c->line, (size_t)(target - c->line) - 1);
	request.target = str(target, (size_t)(version - target) - 1);
	request.version = str(version, strlen(version));
	for (int i = 0; i < H_MAX && c->headers[i] != NULL; i++) {
		const char *value = strstr(c->headers[i], ": ");
		headers[request.header_count++] = (struct guard_header){
			.name = str(c->headers[i], (size_t)(value - c->headers[i])),
			.value = str(value + 2, strlen(value + 2)),
		};
	}
	return guard_check(&request, &policy, facts);
}

START_TEST(request_is_accepted_or_refused)
{
	const struct guard_case *c = &cases[_i];
	struct guard_facts facts = { .length = 77 };

	enum guard_verdict got = judge(c, &facts);

	ck_assert_msg(got == c->want, "%s: got %s, want %s", c->name, guard_verdict_detail(got),
	              guard_verdict_detail(c->want));
	if (c->want != GUARD_OK)
		ck_assert_uint_eq(facts.length, 77);
}
END_TEST

START_TEST(facts_say_what_follows)
{
	const struct guard_case c = { "facts", "POST http://localhost/a/b?c=d&e HTTP/1.1",
		                      { "Host: localhost", "Content-Length: 42",
		                        "Expect: 100-continue" }, GUARD_OK };
	struct guard_facts facts;

	ck_assert_int_eq(judge(&c, &facts), GUARD_OK);
	ck_assert_msg(facts.path.len == 4 && memcmp(facts.path.data, "/a/b", 4) == 0, "path");
	ck_assert_msg(facts.query.len == 5 && memcmp(facts.query.data, "c=d&e", 5) == 0, "query");
	ck_assert(facts.has_length && facts.length == 42);
	ck_assert(facts.expects_continue && !facts.is_chunked);
}
END_TEST

START_TEST(too_much_is_refused)
{
	static char big[GUARD_HEADER_BYTES_MAX + 1];
	struct guard_header headers[GUARD_HEADERS_MAX + 1];
	struct guard_policy policy = { .check_host = false };
	struct guard_request request = { str("GET", 3), str("/", 1), str("HTTP/1.1", 8), headers,
		                         2 };
	struct guard_facts facts;

	memset(big, 'x', sizeof big);
	headers[0] = (struct guard_header){ str("Host", 4), str("a", 1) };
	for (int i = 1; i <= GUARD_HEADERS_MAX; i++)
		headers[i] = (struct guard_header){ str("X", 1), str("y", 1) };
	request.header_count = GUARD_HEADERS_MAX;
	ck_assert_int_eq(guard_check(&request, &policy, &facts), GUARD_OK);
	request.header_count++;
	ck_assert_int_eq(guard_check(&request, &policy, &facts), GUARD_HEADER_COUNT);
	request.header_count = 2;
	headers[1].value = str(big, sizeof big);
	ck_assert_int_eq(guard_check(&request, &policy, &facts), GUARD_HEADER_BYTES);
	big[0] = '/';
	request.target = str(big, GUARD_TARGET_BYTES_MAX + 1);
	ck_assert_int_eq(guard_check(&request, &policy, &facts), GUARD_TARGET_LENGTH);
}
END_TEST

START_TEST(escapes_are_undone)
{
	char out[32];

	ck_assert_uint_eq(guard_unescape(str("a%2Fb+c", 7), false, out), 5);
	ck_assert_str_eq(out, "a/b+c");
	ck_assert_uint_eq(guard_unescape(str("a%2Fb+c", 7), true, out), 5);
	ck_assert_str_eq(out, "a/b c");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("guard");
	TCase *tc = tcase_create("guard");

	tcase_add_loop_test(tc, request_is_accepted_or_refused, 0,
	                    (int)(sizeof cases / sizeof cases[0]));
	tcase_add_test(tc, facts_say_what_follows);
	tcase_add_test(tc, too_much_is_refused);
	tcase_add_test(tc, escapes_are_undone);
	suite_add_tcase(suite, tc);
	return suite;
}
