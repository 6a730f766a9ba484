/*
 * samples.c - prints the OpenAPI document, and bodies made by the encoders, for tests in Python.
 *
 *     {"openapi":{...}, "samples":[{"schema":"Answer","value":{...}}, ...],
 *      "problems":["bad-json", ...], "scopes":["invoke", ...], "limits":["time_ms", ...]}
 */
#include <stdio.h>
#include <stdlib.h>
#include "rpc/answer.h"
#include "rpc/openapi.h"

static void
begin_sample(struct rpc_writer *w, const char *schema)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "schema", schema);
	rpc_write_key(w, "value");
}

static void
sample_problems(struct rpc_writer *w)
{
	struct rpc_problem problem;

	rpc_problem_set(&problem, RPC_MODULE_INVALID, "type mismatch");
	struct rpc_problem_item *item = rpc_problem_add(&problem, "operand 2");
	item->offset = 4711;
	item->function = 12;
	begin_sample(w, "Problem");
	rpc_problem_write(w, &problem, "req_1");
	rpc_write_object_end(w);
	rpc_problem_at(&problem, RPC_ARGUMENT_TYPE, "/args/1", "expected an i32");
	rpc_problem_in(&problem, RPC_BAD_QUERY, "limit", "expected a number");
	begin_sample(w, "Problem");
	rpc_problem_write(w, &problem, NULL);
	rpc_write_object_end(w);
	for (int code = RPC_OK + 1; code < RPC_CODE_COUNT; code++) {
		begin_sample(w, "ProblemKind");
		rpc_problem_kind_write(w, (enum rpc_code)code);
		rpc_write_object_end(w);
	}
}

static void
sample_answers(struct rpc_writer *w)
{
	struct rpc_value results[] = {
		{ .type = RPC_I32, .of.bits = 42 },
		{ .type = RPC_I64, .of.bits = UINT64_MAX },
		{ .type = RPC_F32, .of.bits = 0x7fa00000 },
		{ .type = RPC_F64, .of.bits = 1 },
		{ .type = RPC_V128, .of.bytes = { 1, 2, 3 } },
		{ .type = RPC_FUNCREF },
		{ .type = RPC_EXTERNREF, .of.bits = 1 },
	};
	struct rpc_frame frames[] = { { 3, 187, "div" }, { RPC_NO_FUNCTION, RPC_UNSET, "" } };
	struct rpc_trap trap = { "unreachable", "unreachable", 3, 187, frames, 2, 0 };
	struct rpc_output out = { "x\n", 2, 2 };
	struct rpc_output err = { "\xff", 1, 1000 };
	struct rpc_file file = { "/out/a b.txt", 12 };
	const struct rpc_usage usage = { 161, 12, 7, 1, 0 };
	struct rpc_answer answers[] = {
		{ .id = "inv_1",
		  .outcome = RPC_RETURNED,
		  .exact = true,
		  .results = results,
		  .result_count = sizeof results / sizeof results[0],
		  .usage = usage,
		  .tier = "interp" },
		{ .id = "inv_1",
		  .outcome = RPC_TRAPPED,
		  .trap = &trap,
		  .usage = usage,
		  .tier = "interp" },
		{ .id = "inv_1", .outcome = RPC_CANCELLED, .usage = usage },
		{ .id = "inv_1",
		  .outcome = RPC_EXITED,
		  .exit_code = 3,
		  .out = &out,
		  .err = &err,
		  .files = &file,
		  .file_count = 1,
		  .usage = usage },
	};

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		begin_sample(w, "Answer");
		rpc_answer_write(w, &answers[i]);
		rpc_write_object_end(w);
	}
}

static void
sample_invocations(struct rpc_writer *w)
{
	static const char result[] =
	    "{\"id\":\"inv_1\",\"outcome\":\"exited\",\"exit_code\":0,\"usage\":{}}";
	static const uint8_t digest[RPC_DIGEST_BYTES] = { 1 };
	struct rpc_invocation invocations[] = {
		{ .id = "inv_1",
		  .state = RPC_QUEUED,
		  .module = digest,
		  .function = "add",
		  .created_us = 1 },
		{ .id = "inv_1",
		  .state = RPC_EXITED,
		  .is_run = true,
		  .module = digest,
		  .owner = "me",
		  .created_us = 1,
		  .started_us = 2,
		  .done_us = 3,
		  .result = result,
		  .result_len = sizeof result - 1 },
	};

	for (size_t i = 0; i < sizeof invocations / sizeof invocations[0]; i++) {
		begin_sample(w, "Invocation");
		rpc_invocation_write(w, &invocations[i]);
		rpc_write_object_end(w);
	}
}

static void
list_names(struct rpc_writer *w)
{
	rpc_write_key(w, "problems");
	rpc_write_array_begin(w);
	for (int code = RPC_OK + 1; code < RPC_CODE_COUNT; code++)
		rpc_write_text(w, rpc_problem_kind((enum rpc_code)code)->slug);
	rpc_write_array_end(w);
	rpc_write_key(w, "scopes");
	rpc_write_array_begin(w);
	for (int bit = 0; bit < RPC_SCOPE_COUNT; bit++)
		rpc_write_text(w, rpc_scope_text((enum rpc_scope)bit));
	rpc_write_array_end(w);
	rpc_write_key(w, "limits");
	rpc_write_array_begin(w);
#define LIMIT(name, min, max, meaning) rpc_write_text(w, #name);
#include "rpc/limits.def"
#undef LIMIT
	rpc_write_array_end(w);
}

int
main(void)
{
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_write_object_begin(&w);
	rpc_write_key(&w, "openapi");
	rpc_openapi_write(&w, "0");
	rpc_write_key(&w, "samples");
	rpc_write_array_begin(&w);
	sample_problems(&w);
	sample_answers(&w);
	sample_invocations(&w);
	rpc_write_array_end(&w);
	list_names(&w);
	rpc_write_object_end(&w);
	bool ok = rpc_writer_ok(&w) && fwrite(w.data, 1, w.len, stdout) == w.len;
	rpc_writer_clear(&w);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
