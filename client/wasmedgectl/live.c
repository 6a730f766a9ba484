#include "client/wasmedgectl/live.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/answer.h"
#include "client/wasmedgectl/sse.h"
#include "rpc/problem.h"

struct live {
	struct ctl *ctl;
	struct sse sse;
	enum sse_status status;
	uint64_t last_id;
	bool has_gap; /* an event is missing: the rest is shown at the end, from the answer */
	struct answer_shown shown;
	json_t *answer;
};

/* What is shown of a stream has no hole: the answer at the end has all of it. */
static void
show_piece(struct live *live, const struct sse_event *event, bool is_out)
{
	struct ctl *ctl = live->ctl;
	char *bytes = NULL;
	size_t len = 0;

	json_t *data = json_loadb(event->data, event->data_len, JSON_ALLOW_NUL, NULL);
	if (data != NULL && answer_bytes(ctl, data, &bytes, &len) == 0) {
		answer_write(is_out ? ctl->out : ctl->err,
		             is_out ? ctl->out_is_terminal : ctl->err_is_terminal, bytes, len);
		*(is_out ? &live->shown.stdout_bytes : &live->shown.stderr_bytes) += len;
	}
	free(bytes);
	json_decref(data);
}

static bool
take_event(void *context, const struct sse_event *event)
{
	struct live *live = context;
	uint64_t id = strtoull(event->id, NULL, 10);
	bool is_out = strcmp(event->type, "stdout") == 0;

	live->has_gap = live->has_gap || id != live->last_id + 1;
	live->last_id = id;
	if (is_out || strcmp(event->type, "stderr") == 0) {
		if (!live->has_gap)
			show_piece(live, event, is_out);
	} else if (strcmp(event->type, "result") == 0) {
		live->answer = json_loadb(event->data, event->data_len,
		                          JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
		return false;
	}
	return !ferror(live->ctl->out);
}

static bool
take_bytes(void *context, const char *bytes, size_t len)
{
	struct live *live = context;

	live->status = sse_feed(&live->sse, bytes, len);
	return live->status == SSE_OK;
}

/*
 * A run that was refused after its stream had begun ends in a trap with the name of the problem;
 * without a stream it would have been the problem itself. Returns 0 when it is another end.
 */
static int
refusal(struct ctl *ctl, const json_t *answer)
{
	const json_t *trap = json_object_get(answer, "trap");
	const char *slug = ctl_text(trap, "code");
	enum rpc_code code = rpc_problem_find(slug, strlen(slug));

	if (code == RPC_OK)
		return 0;
	int status = rpc_problem_kind(code)->status;
	return ctl_fail(ctl, (int)exit_code_of_status(status, slug), "%s (%d %s)",
	                ctl_text(trap, "message"), status, slug);
}

static int
show_end(struct live *live, const char *folder)
{
	struct ctl *ctl = live->ctl;

	if (live->status != SSE_OK && live->status != SSE_STOPPED)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "an event of the run is too large");
	if (ferror(ctl->out))
		return EXIT_CODE_FAILED; /* main says so */
	if (!json_is_object(live->answer))
		return ctl_fail(ctl, EXIT_CODE_UNREACHABLE,
		                "the daemon broke off before the run had ended");
	int code = refusal(ctl, live->answer);
	if (code != 0)
		return code;
	int files_code = folder != NULL ? answer_collect(ctl, live->answer, folder) : 0;
	code = answer_show_rest(ctl, live->answer, &live->shown);
	return files_code != 0 ? files_code : code;
}

int
live_run(struct ctl *ctl, const struct http_request *request, const char *folder)
{
	struct live live = { .ctl = ctl };
	struct http_request streamed = *request;
	struct http_response response = { 0 };

	streamed.accept = "text/event-stream";
	streamed.sink = take_bytes;
	streamed.sink_context = &live;
	sse_init(&live.sse, take_event, &live);
	int code = ctl_request(ctl, &streamed, &response);
	if (code == EXIT_CODE_INTERRUPTED)
		ctl_note(ctl, "the daemon stops the run");
	if (code == 0)
		code = show_end(&live, folder);
	sse_clear(&live.sse);
	json_decref(live.answer);
	http_response_clear(&response);
	return code;
}
