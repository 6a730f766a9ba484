#include "rpc/route.h"

#include <stdio.h>
#include <stdlib.h>
#include "tests/support/unit.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static enum rpc_code
match(const char *method, const char *target, struct rpc_match *out, struct rpc_problem *problem)
{
	return rpc_route_match(method, target, strlen(target), out, problem);
}

static const struct found {
	const char *method;
	const char *target;
	enum rpc_route_id id;
	const char *name; /* first parameter; NULL: none */
	const char *value;
	const char *query;
} found[] = {
	{ "GET", "/v1/modules", RPC_ROUTE_MODULE_LIST, NULL, NULL, "" },
	{ "HEAD", "/v1/modules", RPC_ROUTE_MODULE_LIST, NULL, NULL, "" },
	{ "POST", "/v1/modules?tag=demo/app:1", RPC_ROUTE_MODULE_UPLOAD, NULL, NULL,
	  "tag=demo/app:1" },
	{ "POST", "/v1/modules?", RPC_ROUTE_MODULE_UPLOAD, NULL, NULL, "" },
	{ "GET", "/v1/modules/sha256:" HEX, RPC_ROUTE_MODULE_GET, "ref", "sha256:" HEX, "" },
	{ "GET", "/v1/modules/sha256%3a" HEX, RPC_ROUTE_MODULE_GET, "ref", "sha256:" HEX, "" },
	{ "GET", "/v1/modules/demo/app:1?a=/?b", RPC_ROUTE_MODULE_GET, "ref", "demo/app:1",
	  "a=/?b" },
	{ "GET", "/v1/modules/demo%2Fapp:1", RPC_ROUTE_MODULE_GET, "ref", "demo/app:1", "" },
	{ "GET", "/v1/modules/demo/invoke", RPC_ROUTE_MODULE_GET, "ref", "demo/invoke", "" },
	{ "PUT", "/v1/modules/sha256:" HEX, RPC_ROUTE_MODULE_PUT, "digest", "sha256:" HEX, "" },
	{ "DELETE", "/v1/modules/demo/app", RPC_ROUTE_MODULE_DELETE, "ref", "demo/app", "" },
	{ "POST", "/v1/modules/demo/app:1/invoke", RPC_ROUTE_MODULE_INVOKE, "ref", "demo/app:1",
	  "" },
	{ "POST", "/v1/modules/demo%2fapp:1/invoke", RPC_ROUTE_MODULE_INVOKE, "ref", "demo/app:1",
	  "" },
	{ "POST", "/v1/modules/sha256:0/run", RPC_ROUTE_MODULE_RUN, "ref", "sha256:0", "" },
	{ "POST", "/v1/modules/run/run/run", RPC_ROUTE_MODULE_RUN, "ref", "run/run", "" },
	{ "POST", "/v1/validate", RPC_ROUTE_MODULE_VALIDATE, NULL, NULL, "" },
	{ "GET", "/v1/tags", RPC_ROUTE_TAG_LIST, NULL, NULL, "" },
	{ "GET", "/v1/tags/demo/app", RPC_ROUTE_TAG_NAME, "ns", "demo", "" },
	{ "GET", "/v1/tags/demo/app/1", RPC_ROUTE_TAG_GET, "ns", "demo", "" },
	{ "PUT", "/v1/tags/de%6do/app/1", RPC_ROUTE_TAG_PUT, "ns", "demo", "" },
	{ "DELETE", "/v1/tags/demo/app/1", RPC_ROUTE_TAG_DELETE, "ns", "demo", "" },
	{ "GET", "/v1/tags/a%2Fb/app", RPC_ROUTE_TAG_NAME, "ns", "a/b", "" },
	{ "GET", "/v1/invocations", RPC_ROUTE_INVOCATION_LIST, NULL, NULL, "" },
	{ "GET", "/v1/invocations/inv_1", RPC_ROUTE_INVOCATION_GET, "id", "inv_1", "" },
	{ "DELETE", "/v1/invocations/inv_1", RPC_ROUTE_INVOCATION_CANCEL, "id", "inv_1", "" },
	{ "GET", "/v1/invocations/inv_1/events", RPC_ROUTE_INVOCATION_EVENTS, "id", "inv_1", "" },
	{ "GET", "/v1/invocations/inv_1/stdout", RPC_ROUTE_INVOCATION_STDOUT, "id", "inv_1", "" },
	{ "GET", "/v1/invocations/inv_1/stderr", RPC_ROUTE_INVOCATION_STDERR, "id", "inv_1", "" },
	{ "GET", "/v1/invocations/i/files/out/a%20b", RPC_ROUTE_INVOCATION_FILE, "id", "i", "" },
	{ "GET", "/v1/activity", RPC_ROUTE_ACTIVITY, NULL, NULL, "" },
	{ "GET", "/livez", RPC_ROUTE_LIVEZ, NULL, NULL, "" },
	{ "GET", "/readyz?verbose", RPC_ROUTE_READYZ, NULL, NULL, "verbose" },
	{ "GET", "/metrics", RPC_ROUTE_METRICS, NULL, NULL, "" },
	{ "GET", "/v1/version", RPC_ROUTE_VERSION, NULL, NULL, "" },
	{ "GET", "/v1/openapi.json", RPC_ROUTE_OPENAPI, NULL, NULL, "" },
	{ "GET", "/problems/queue-full", RPC_ROUTE_PROBLEM, "slug", "queue-full", "" },
	{ "GET", "http://localhost:8737/livez", RPC_ROUTE_LIVEZ, NULL, NULL, "" },
	{ "GET", "HTTPS://h/v1/tags?x", RPC_ROUTE_TAG_LIST, NULL, NULL, "x" },
};

START_TEST(targets_find_their_route)
{
	const struct found *f = &found[_i];
	struct rpc_problem problem;
	struct rpc_match m;

	enum rpc_code code = match(f->method, f->target, &m, &problem);

	ck_assert_msg(code == RPC_OK, "%s: %s", f->target, problem.detail);
	ck_assert_msg(m.route->id == f->id, "%s: got %s", f->target, m.route->name);
	ck_assert_int_eq(m.is_head, strcmp(f->method, "HEAD") == 0);
	ck_assert_msg(rpc_str_is(m.query, f->query), "%s: got %.*s", f->target, (int)m.query.len,
	              m.query.data);
	if (f->name != NULL) {
		struct rpc_str value = rpc_match_param(&m, f->name);
		ck_assert_msg(rpc_str_is(value, f->value), "%s: got %.*s", f->target,
		              (int)value.len, value.data);
	}
	ck_assert_ptr_null(rpc_match_param(&m, "other").data);
}
END_TEST

static const struct refused {
	const char *method;
	const char *target;
	enum rpc_code code;
	const char *allow;
} refused[] = {
	{ "GET", "/", RPC_NOT_FOUND, "" },
	{ "GET", "/v2/modules", RPC_NOT_FOUND, "" },
	{ "GET", "/V1/modules", RPC_NOT_FOUND, "" },
	{ "GET", "/v1/modules/", RPC_NOT_FOUND, "" },
	{ "GET", "//v1/modules", RPC_NOT_FOUND, "" },
	{ "GET", "/v1//modules", RPC_NOT_FOUND, "" },
	{ "GET", "/v1%2Fmodules", RPC_NOT_FOUND, "" },
	{ "GET", "/v1/modules/demo//invoke", RPC_NOT_FOUND, "" },
	{ "GET", "/v1/modules//app", RPC_NOT_FOUND, "" },
	{ "GET", "/v1/modules/demo/app/other", RPC_NOT_FOUND, "" },
	{ "GET", "/v1/modules/demo%2Fapp/x", RPC_NOT_FOUND, "" },
	{ "GET", "/v1/invocations/i/files", RPC_NOT_FOUND, "" },
	{ "GET", "/v1/invocations/i/files/", RPC_NOT_FOUND, "" },
	{ "GET", "/v1/invocations/i/files/a//b", RPC_NOT_FOUND, "" },
	{ "PATCH", "/v1/modules", RPC_METHOD_NOT_ALLOWED, "POST, GET, HEAD" },
	{ "get", "/livez", RPC_METHOD_NOT_ALLOWED, "GET, HEAD" },
	{ "POST", "/livez", RPC_METHOD_NOT_ALLOWED, "GET, HEAD" },
	{ "HEAD", "/v1/validate", RPC_METHOD_NOT_ALLOWED, "POST" },
	{ "GET", "/v1/modules/demo/app:1/invoke", RPC_METHOD_NOT_ALLOWED, "POST" },
	{ "POST", "/v1/modules/sha256:00", RPC_METHOD_NOT_ALLOWED, "GET, HEAD, PUT, DELETE" },
	{ "POST", "/v1/modules/demo/app", RPC_METHOD_NOT_ALLOWED, "GET, HEAD, DELETE" },
	{ "", "/v1/tags/a/b/c", RPC_METHOD_NOT_ALLOWED, "GET, HEAD, PUT, DELETE" },
	{ "GET", "", RPC_BAD_TARGET, "" },
	{ "GET", "*", RPC_BAD_TARGET, "" },
	{ "GET", "v1/modules", RPC_BAD_TARGET, "" },
	{ "GET", "http://host", RPC_BAD_TARGET, "" },
	{ "GET", "?x", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/../v1/modules", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/./modules", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/%2e%2E/modules", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/invocations/i/files/..%2f..%2fetc", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/invocations/i/files/a%2f.", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/modules%00", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/modules/%0a/x", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/modules/%7F/x", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/modules/%", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/modules/%2", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/modules/%zz", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/modules/%c3", RPC_BAD_TARGET, "" },
	{ "GET", "/v1/modules/%ed%a0%80", RPC_BAD_TARGET, "" },
};

START_TEST(other_targets_are_refused)
{
	const struct refused *r = &refused[_i];
	struct rpc_problem problem;
	struct rpc_match m;

	enum rpc_code code = match(r->method, r->target, &m, &problem);

	ck_assert_msg(code == r->code, "%s: got %d, %s", r->target, code, problem.detail);
	ck_assert_ptr_null(m.route);
	ck_assert_msg(strcmp(m.allow, r->allow) == 0, "%s: got %s", r->target, m.allow);
}
END_TEST

START_TEST(paths_are_joined_and_decoded)
{
	struct rpc_problem problem;
	struct rpc_match m;
	struct rpc_ref ref;

	ck_assert_int_eq(match("GET", "/v1/invocations/i/files/out/%C3%A9%20+/...", &m, &problem),
	                 RPC_OK);
	ck_assert(rpc_str_is(rpc_match_param(&m, "path"), "out/\xc3\xa9 +/..."));
	ck_assert_int_eq(match("GET", "/v1/tags/demo/app/1.0", &m, &problem), RPC_OK);
	ck_assert(rpc_str_is(rpc_match_param(&m, "name"), "app"));
	ck_assert(rpc_str_is(rpc_match_param(&m, "tag"), "1.0"));
	ck_assert_int_eq(match("GET", "/v1/modules/demo/app:x", &m, &problem), RPC_OK);
	ck_assert_int_eq(rpc_match_ref(&m, &ref, &problem), RPC_OK);
	ck_assert_str_eq(ref.tag, "x");
	ck_assert_int_eq(match("GET", "/v1/modules/demo/App", &m, &problem), RPC_OK);
	ck_assert_int_eq(rpc_match_ref(&m, &ref, &problem), RPC_BAD_REF);
	ck_assert_int_eq(match("GET", "/v1/tags", &m, &problem), RPC_OK);
	ck_assert_int_eq(rpc_match_ref(&m, &ref, &problem), RPC_BAD_REF);
	ck_assert_int_eq(match("GET", "http://[::1]:80/livez", &m, &problem), RPC_OK);
	ck_assert(rpc_str_is(m.authority, "[::1]:80"));
}
END_TEST

START_TEST(targets_have_limits)
{
	static char target[RPC_TARGET_MAX + 2];
	struct rpc_problem problem;
	struct rpc_match m;

	memset(target, 'a', sizeof target);
	memcpy(target, "/livez?", 7);
	ck_assert_int_eq(rpc_route_match("GET", target, RPC_TARGET_MAX, &m, &problem), RPC_OK);
	ck_assert_int_eq(rpc_route_match("GET", target, RPC_TARGET_MAX + 1, &m, &problem),
	                 RPC_TARGET_TOO_LONG);
	target[6] = 'a';
	ck_assert_int_eq(rpc_route_match("GET", target, RPC_PATH_MAX, &m, &problem), RPC_NOT_FOUND);
	ck_assert_int_eq(rpc_route_match("GET", target, RPC_PATH_MAX + 1, &m, &problem),
	                 RPC_TARGET_TOO_LONG);
	for (size_t i = 0; i < 130; i += 2)
		memcpy(target + i, "/a", 2);
	ck_assert_int_eq(rpc_route_match("GET", target, 128, &m, &problem), RPC_NOT_FOUND);
	ck_assert_int_eq(rpc_route_match("GET", target, 130, &m, &problem), RPC_BAD_TARGET);
}
END_TEST

/* A path that the template matches. */
static void
sample_path(const char *template, char *out)
{
	for (; *template != '\0'; template ++) {
		if (*template != '{') {
			*out++ = *template;
			continue;
		}
		out = stpcpy(out, strncmp(template, "{ref}", 5) == 0 ? "ns/name" : "x");
		template = strchr(template, '}');
	}
	*out = '\0';
}

START_TEST(each_template_matches_its_own_route_only)
{
	const struct rpc_route *route = rpc_route((enum rpc_route_id)_i);
	struct rpc_problem problem;
	struct rpc_match m;
	char path[200];

	sample_path(route->path, path);
	ck_assert_int_eq(match(rpc_method_text(route->method), path, &m, &problem), RPC_OK);
	ck_assert_msg(m.route == route, "%s: got %s", path, m.route->name);
	for (int i = 0; i < RPC_ROUTE_COUNT; i++) {
		const struct rpc_route *other = rpc_route((enum rpc_route_id)i);
		ck_assert(i == _i || other->method != route->method ||
		          strcmp(other->path, route->path) != 0);
	}
	ck_assert_uint_gt(strlen(route->summary), 5);
	ck_assert((route->scope & (route->scope - 1)) == 0);
}
END_TEST

START_TEST(scopes_have_names_and_admin_has_all)
{
	for (unsigned bit = 0; bit < RPC_SCOPE_COUNT; bit++) {
		const char *text = rpc_scope_text((enum rpc_scope)bit);
		ck_assert_uint_eq(rpc_scope_find(text, strlen(text)), 1u << bit);
		ck_assert(rpc_scope_allows(RPC_SCOPE_ADMIN, 1u << bit));
		ck_assert(rpc_scope_allows(1u << bit, 1u << bit));
		ck_assert(!rpc_scope_allows(0, 1u << bit));
		ck_assert(rpc_scope_allows(1u << bit, RPC_SCOPE_NONE));
	}
	ck_assert(!rpc_scope_allows(RPC_SCOPE_MODULES_READ, RPC_SCOPE_MODULES_WRITE));
	ck_assert_uint_eq(rpc_scope_find("modules", 7), RPC_SCOPE_NONE);
}
END_TEST

START_TEST(percent_encoding_survives)
{
	char all[256];
	char encoded[3 * 256 + 1];
	char back[3 * 256];
	size_t len;

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	size_t encoded_len = rpc_percent_encode(all, sizeof all, encoded);
	ck_assert_ptr_null(strpbrk(encoded, "/?#& \"+;=\\<>"));
	ck_assert(rpc_percent_decode(encoded, encoded_len, false, back, &len));
	ck_assert_uint_eq(len, 256);
	ck_assert_mem_eq(back, all, 256);
	ck_assert(rpc_percent_decode("a+b%2B", 6, true, back, &len));
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(back, "a b+", 4);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("route");
	TCase *tcase = tcase_create("route");

	tcase_add_loop_test(tcase, targets_find_their_route, 0, sizeof found / sizeof found[0]);
	tcase_add_loop_test(tcase, other_targets_are_refused, 0,
	                    sizeof refused / sizeof refused[0]);
	tcase_add_test(tcase, paths_are_joined_and_decoded);
	tcase_add_test(tcase, targets_have_limits);
	tcase_add_loop_test(tcase, each_template_matches_its_own_route_only, 0, RPC_ROUTE_COUNT);
	tcase_add_test(tcase, scopes_have_names_and_admin_has_all);
	tcase_add_test(tcase, percent_encoding_survives);
	suite_add_tcase(suite, tcase);
	return suite;
}
