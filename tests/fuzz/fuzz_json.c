/*
 * fuzz_json.c - guarded JSON parsing, and the requests that are read from it.
 *
 * Whatever the bytes: a tree within the depth limit or a problem, whose document is JSON and
 * whose place lies inside the body.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include "rpc/run.h"
#include "rpc/tag.h"
#include "rpc/utf8.h"

#define BYTES_MAX 100000

static size_t
depth_of(json_t *json)
{
	size_t deepest = 0;
	const char *key;
	size_t index;
	json_t *value;

	if (!json_is_array(json) && !json_is_object(json))
		return 0;
	json_array_foreach (json, index, value) {
		size_t depth = depth_of(value);
		deepest = depth > deepest ? depth : deepest;
	}
	json_object_foreach (json, key, value) {
		size_t depth = depth_of(value);
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
check_problem(enum rpc_code code, const struct rpc_problem *problem, size_t size)
{
	struct rpc_writer w;

	if (code == RPC_OK)
		return;
	check(problem->code == code && problem->item_count <= RPC_PROBLEM_ITEMS_MAX);
	for (uint32_t i = 0; i < problem->item_count; i++) {
		const struct rpc_problem_item *item = &problem->items[i];
		check(item->offset == RPC_UNSET || item->offset <= size);
		check(rpc_utf8_valid(item->pointer, strlen(item->pointer)));
	}
	rpc_writer_init(&w);
	rpc_problem_write(&w, problem, "req");
	json_t *json = json_loadb(w.data, w.len, JSON_REJECT_DUPLICATES, NULL);
	check(json != NULL);
	json_decref(json);
	rpc_writer_clear(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	uint8_t digest[RPC_DIGEST_BYTES];
	struct rpc_problem problem;
	struct rpc_invoke invoke;
	struct rpc_run run;
	json_t *json;

	enum rpc_code code = rpc_json_parse(text, size, BYTES_MAX, &json, &problem);
	check_problem(code, &problem, size);
	if (code == RPC_OK) {
		check(depth_of(json) <= RPC_JSON_DEPTH_MAX);
		json_decref(json);
	}
	code = rpc_invoke_parse(text, size, BYTES_MAX, &invoke, &problem);
	check_problem(code, &problem, size);
	rpc_invoke_clear(&invoke);
	code = rpc_run_parse(text, size, BYTES_MAX, &run, &problem);
	check_problem(code, &problem, size);
	for (size_t i = 0; i < run.file_count; i++)
		check(rpc_run_path_ok(run.files[i].path, strlen(run.files[i].path)));
	if (code == RPC_OK && run.arg_count > 0)
		(void)rpc_run_collects(&run, run.args[0]);
	rpc_run_clear(&run);
	code = rpc_tag_parse(text, size, digest, &problem);
	check_problem(code, &problem, size);
	return 0;
}
