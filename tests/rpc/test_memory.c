/*
 * test_memory.c - every allocation gets to fail.
 *
 * The program is linked so that malloc() and its relatives in rpc/ come here; jansson's calls do
 * by way of rpc/json.c. The n-th allocation fails, for n = 1, 2, ... until the whole scenario
 * succeeds; each time the failure has to be reported as one, and nothing may be left behind.
 */
#include <stdlib.h>
#include "rpc/answer.h"
#include "rpc/openapi.h"
#include "rpc/run.h"
#include "rpc/tag.h"
#include "tests/support/unit.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static long until_failure; /* allocations left; negative: none fails */
static long live;          /* blocks that are allocated */
static bool counting;

static bool
fails(void)
{
	return counting && until_failure >= 0 && until_failure-- == 0;
}

static void *
note(void *block)
{
	live += counting && block != NULL;
	return block;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : note(__real_malloc(size));
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : note(__real_calloc(count, size));
}

void *
__wrap_realloc(void *block, size_t size)
{
	if (fails())
		return NULL;
	void *moved = __real_realloc(block, size);
	return block == NULL ? note(moved) : moved;
}

void
__wrap_free(void *block)
{
	live -= counting && block != NULL;
	__real_free(block);
}

/* --- scenarios ----------------------------------------------------------------------------- */

static enum rpc_code
parse_invoke(struct rpc_problem *problem)
{
	static const char body[] =
	    "{\"function\":\"add\",\"args\":[2,{\"type\":\"v128\",\"lanes\":\"i64x2\","
	    "\"value\":[\"1\",0.5]}],\"limits\":{\"time_ms\":5}}";
	static const enum rpc_type types[] = { RPC_I32, RPC_I32 };
	struct rpc_value values[2];
	struct rpc_invoke invoke;

	enum rpc_code code = rpc_invoke_parse(body, sizeof body - 1, SIZE_MAX, &invoke, problem);
	if (code == RPC_OK && rpc_invoke_args(&invoke, types, 2, values, problem) == RPC_OK)
		code = RPC_INTERNAL; /* a v128 is no i32 */
	rpc_invoke_clear(&invoke);
	return code;
}

static enum rpc_code
parse_run(struct rpc_problem *problem)
{
	static const char body[] =
	    "{\"args\":[\"a\",\"b\"],\"env\":{\"A\":\"1\",\"B\":\"2\"},\"stdin\":{\"base64\":"
	    "\"AAAA\"},"
	    "\"files\":[{\"path\":\"/a\",\"base64\":\"AA==\"},{\"path\":\"/b\",\"text\":\"x\"}],"
	    "\"collect\":[\"/out/*\"]}";
	struct rpc_run run;

	enum rpc_code code = rpc_run_parse(body, sizeof body - 1, SIZE_MAX, &run, problem);
	rpc_run_clear(&run);
	return code;
}

static enum rpc_code
parse_raw_run(struct rpc_problem *problem)
{
	struct rpc_query query;
	struct rpc_run run = { 0 };

	enum rpc_code code = rpc_query_parse(
	    RPC_ROUTE_MODULE_RUN, rpc_str_make("arg=a&env=A=B&arg=c&fuel=5"), &query, problem);
	if (code == RPC_OK)
		code = rpc_run_from_query(&query, &run, problem);
	rpc_run_clear(&run);
	rpc_query_clear(&query);
	return code;
}

static enum rpc_code
parse_tag(struct rpc_problem *problem)
{
	static const char body[] =
	    "{\"digest\":\"sha256:"
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}";
	uint8_t digest[RPC_DIGEST_BYTES];

	return rpc_tag_parse(body, sizeof body - 1, digest, problem);
}

static enum rpc_code
write_answer(struct rpc_problem *problem)
{
	struct rpc_output out = { "\xff", 1, 1 };
	struct rpc_file files[] = { { "/a/b", 1 }, { "/c", 2 } };
	struct rpc_answer answer = { .id = "inv_1",
		                     .outcome = RPC_EXITED,
		                     .out = &out,
		                     .err = &out,
		                     .files = files,
		                     .file_count = 2 };
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_answer_write(&w, &answer);
	bool ok = rpc_writer_ok(&w);
	rpc_writer_clear(&w);
	return ok ? RPC_OK : rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "the writer says so");
}

static enum rpc_code
write_openapi(struct rpc_problem *problem)
{
	struct rpc_writer w;
	size_t len;

	rpc_writer_init(&w);
	rpc_openapi_write(&w, "1");
	char *text = rpc_writer_take(&w, &len);
	bool ok = text != NULL;
	free(text);
	rpc_writer_clear(&w);
	return ok ? RPC_OK : rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "the writer says so");
}

static const struct scenario {
	const char *name;
	enum rpc_code (*run)(struct rpc_problem *problem);
} scenarios[] = {
	{ "invoke", parse_invoke }, { "run", parse_run },       { "raw run", parse_raw_run },
	{ "tag", parse_tag },       { "answer", write_answer }, { "openapi", write_openapi },
};

START_TEST(a_failed_allocation_is_reported_and_leaves_nothing)
{
	const struct scenario *s = &scenarios[_i];
	struct rpc_problem problem;
	long n = 0;

	json_object_seed(1);
	for (;; n++) {
		until_failure = n;
		live = 0;
		counting = true;
		enum rpc_code code = s->run(&problem);
		counting = false;
		ck_assert_msg(live == 0, "%s: %ld blocks are left after failure %ld", s->name, live,
		              n);
		if (code == RPC_OK)
			break;
		ck_assert_msg(code == RPC_OUT_OF_MEMORY, "%s, failure %ld: %s", s->name, n,
		              problem.detail);
		ck_assert_int_lt(n, 1000);
	}
	ck_assert_int_gt(n, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("memory");
	TCase *tcase = tcase_create("memory");

	tcase_add_loop_test(tcase, a_failed_allocation_is_reported_and_leaves_nothing, 0,
	                    sizeof scenarios / sizeof scenarios[0]);
	suite_add_tcase(suite, tcase);
	return suite;
}
