/*
 * fuzz_route.c - request targets: paths and queries.
 *
 * The first byte chooses the method, the rest is the target. A path that matches has no "." or
 * ".." part, no control character and no NUL in it, and its parameters lie inside it.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include "rpc/run.h"
#include "rpc/utf8.h"

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
check_path(const char *path)
{
	check(rpc_utf8_valid(path, strlen(path)));
	for (const char *p = path; *p != '\0'; p++) {
		check((unsigned char)*p >= 0x20 && *p != 0x7f);
		if (*p != '/')
			continue;
		size_t len = strcspn(p + 1, "/");
		check(!(len == 1 && p[1] == '.') && !(len == 2 && p[1] == '.' && p[2] == '.'));
	}
}

static void
check_match(const struct rpc_match *match)
{
	const char *end = match->path + strlen(match->path);

	check_path(match->path);
	for (size_t i = 0; i < match->param_count; i++) {
		struct rpc_str value = match->params[i].value;
		check(value.len > 0 && value.data > match->path && value.data + value.len <= end);
	}
}

static void
check_query(const struct rpc_match *match)
{
	struct rpc_problem problem;
	struct rpc_query query;
	struct rpc_run run;

	if (rpc_query_parse(match->route->id, match->query, &query, &problem) != RPC_OK)
		return;
	for (size_t i = 0; i < query.count; i++) {
		const struct rpc_query_entry *entry = &query.entries[i];
		check(strlen(entry->text.data) == entry->text.len);
		check(entry->param->type != RPC_QUERY_UINT ||
		      (entry->number >= entry->param->min && entry->number <= entry->param->max));
	}
	if (match->route->id == RPC_ROUTE_MODULE_RUN &&
	    rpc_run_from_query(&query, &run, &problem) == RPC_OK)
		rpc_run_clear(&run);
	rpc_query_clear(&query);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH" };
	struct rpc_problem problem;
	struct rpc_match match;
	struct rpc_ref ref;

	if (size < 1)
		return 0;
	const char *method = methods[data[0] % 6];
	enum rpc_code code =
	    rpc_route_match(method, (const char *)data + 1, size - 1, &match, &problem);
	check((code == RPC_OK) == (match.route != NULL));
	check((code == RPC_METHOD_NOT_ALLOWED) == (match.allow[0] != '\0') || code == RPC_OK);
	if (code != RPC_OK)
		return 0;
	check_match(&match);
	check_query(&match);
	(void)!rpc_match_ref(&match, &ref, &problem);
	return 0;
}
