#include "rpc/answer.h"

#include <stdlib.h>
#include "tests/support/unit.h"

static void
check_answer(const struct rpc_answer *answer, const char *want)
{
	struct rpc_writer w;
	size_t len;

	rpc_writer_init(&w);
	rpc_answer_write(&w, answer);
	char *text = rpc_writer_take(&w, &len);
	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, want);
	free(text);
}

static const struct rpc_usage no_usage = { RPC_UNSET, RPC_UNSET, RPC_UNSET, RPC_UNSET, RPC_UNSET };

START_TEST(a_call_that_returned)
{
	struct rpc_value results[] = {
		{ .type = RPC_I64, .of.bits = UINT64_MAX },
		{ .type = RPC_F32, .of.bits = 0x3dcccccd },
	};
	struct rpc_answer answer = {
		.id = "inv_1",
		.outcome = RPC_RETURNED,
		.results = results,
		.result_count = 2,
		.usage = { 161, 12, 7, 1, 0 },
		.tier = "interp",
	};

	check_answer(&answer,
	             "{\"id\":\"inv_1\",\"outcome\":\"returned\",\"results\":[{\"type\":\"i64\","
	             "\"value\":\"-1\"},{\"type\":\"f32\",\"value\":0.1}],\"usage\":{"
	             "\"wall_us\":161,\"queue_us\":12,\"fuel\":7,\"peak_pages\":1,"
	             "\"host_calls\":0},\"tier\":\"interp\"}");
	answer.result_count = 0;
	answer.usage = no_usage;
	answer.tier = NULL;
	check_answer(&answer,
	             "{\"id\":\"inv_1\",\"outcome\":\"returned\",\"results\":[],\"usage\":{}}");
}
END_TEST

START_TEST(a_call_that_trapped)
{
	struct rpc_frame frames[] = { { 3, 187, "div" }, { RPC_NO_FUNCTION, RPC_UNSET, "" } };
	struct rpc_trap trap = {
		"integer-divide-by-zero", "integer divide by zero", 3, 187, frames, 2, 5
	};
	struct rpc_answer answer = {
		.id = "inv_1",
		.outcome = RPC_TRAPPED,
		.trap = &trap,
		.usage = no_usage,
	};

	check_answer(&answer,
	             "{\"id\":\"inv_1\",\"outcome\":\"trapped\",\"trap\":{"
	             "\"code\":\"integer-divide-by-zero\",\"message\":\"integer divide by zero\","
	             "\"function\":3,\"offset\":187,\"backtrace\":[{\"function\":3,"
	             "\"offset\":187,\"name\":\"div\"},{}],\"omitted\":5},\"usage\":{}}");
}
END_TEST

START_TEST(a_command_that_exited)
{
	struct rpc_output out = { "x\n", 2, 2 };
	struct rpc_output err = { "\xff", 1, 1000 };
	struct rpc_file files[] = { { "/out/r.txt", 12 }, { "/a b/\xc3\xa9%", 0 } };
	struct rpc_answer answer = {
		.id = "inv_1",
		.outcome = RPC_EXITED,
		.exit_code = -3,
		.out = &out,
		.err = &err,
		.files = files,
		.file_count = 2,
		.usage = no_usage,
	};

	check_answer(&answer,
	             "{\"id\":\"inv_1\",\"outcome\":\"exited\",\"exit_code\":-3,"
	             "\"stdout\":{\"text\":\"x\\n\"},"
	             "\"stderr\":{\"base64\":\"/w==\",\"truncated\":true,\"size\":1000},"
	             "\"files\":[{\"path\":\"/out/r.txt\",\"size\":12,"
	             "\"href\":\"/v1/invocations/inv_1/files/out/r.txt\"},"
	             "{\"path\":\"/a b/\xc3\xa9%\",\"size\":0,"
	             "\"href\":\"/v1/invocations/inv_1/files/a%20b/%C3%A9%25\"}],\"usage\":{}}");
	answer.file_count = 0;
	answer.has_files = true;
	answer.out = &(struct rpc_output){ NULL, 0, 0 };
	answer.err = NULL;
	check_answer(&answer, "{\"id\":\"inv_1\",\"outcome\":\"exited\",\"exit_code\":-3,"
	                      "\"stdout\":{\"text\":\"\"},\"files\":[],\"usage\":{}}");
}
END_TEST

START_TEST(an_invocation_has_a_record)
{
	static const uint8_t digest[32] = { 0xab };
	struct rpc_invocation invocation = {
		.id = "inv_1",
		.state = RPC_QUEUED,
		.module = digest,
		.function = "add",
		.created_us = 1000000,
	};
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_invocation_write(&w, &invocation);
	rpc_write_verbatim(&w, "", 1);
	ck_assert_str_eq(
	    w.data,
	    "{\"id\":\"inv_1\",\"state\":\"queued\",\"kind\":\"invoke\",\"module\":\"sha256:"
	    "ab00000000000000000000000000000000000000000000000000000000000000\","
	    "\"function\":\"add\",\"created_at\":\"1970-01-01T00:00:01.000000Z\"}");
	rpc_writer_reset(&w);
	invocation = (struct rpc_invocation){
		.id = "inv_2",
		.state = RPC_EXITED,
		.is_run = true,
		.owner = "me",
		.created_us = 1,
		.started_us = 2,
		.done_us = 3,
		.result = "{}",
		.result_len = 2,
	};
	rpc_invocation_write(&w, &invocation);
	rpc_write_verbatim(&w, "", 1);
	ck_assert_str_eq(w.data,
	                 "{\"id\":\"inv_2\",\"state\":\"exited\",\"kind\":\"run\",\"owner\":\"me\","
	                 "\"created_at\":\"1970-01-01T00:00:00.000001Z\","
	                 "\"started_at\":\"1970-01-01T00:00:00.000002Z\","
	                 "\"done_at\":\"1970-01-01T00:00:00.000003Z\",\"result\":{}}");
	rpc_writer_clear(&w);
}
END_TEST

START_TEST(states_have_names_and_ends)
{
	ck_assert_str_eq(rpc_state_text(RPC_LOST), "lost");
	ck_assert(!rpc_state_is_final(RPC_QUEUED));
	ck_assert(!rpc_state_is_final(RPC_RUNNING));
	for (int state = RPC_RETURNED; state <= RPC_LOST; state++)
		ck_assert(rpc_state_is_final((enum rpc_state)state));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("answer");
	TCase *tcase = tcase_create("answer");

	tcase_add_test(tcase, a_call_that_returned);
	tcase_add_test(tcase, a_call_that_trapped);
	tcase_add_test(tcase, a_command_that_exited);
	tcase_add_test(tcase, an_invocation_has_a_record);
	tcase_add_test(tcase, states_have_names_and_ends);
	suite_add_tcase(suite, tcase);
	return suite;
}
