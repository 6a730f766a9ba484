/* job.c - the verbs that follow, show and stop invocations. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/wasmedgectl/answer.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/interrupt.h"
#include "client/wasmedgectl/list.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/sse.h"
#include "client/wasmedgectl/verbs.h"
#include "rpc/route.h"

/* "/v1/invocations/ID" and what follows. The caller frees it. */
static int
job_path(struct ctl *ctl, const char *id, const char *rest, char **out)
{
	char *encoded = malloc(3 * strlen(id) + 1);

	if (encoded == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
	encoded[rpc_percent_encode(id, strlen(id), encoded)] = '\0';
	int code = ctl_format(ctl, out, "/v1/invocations/%s%s", encoded, rest);
	free(encoded);
	return code;
}

/* --- list --- */

static void
print_id(FILE *out, const json_t *job)
{
	const char *id = ctl_text(job, "id");

	output_text(out, id, strlen(id));
}

static void
add_job(struct list *list, const json_t *job)
{
	char text[OUTPUT_SHORT_MAX], shortened[24];

	output_table_add(&list->table, ctl_text(job, "id"));
	output_table_add(&list->table, ctl_text(job, "state"));
	output_table_add(&list->table, ctl_text(job, "kind"));
	output_table_add(&list->table, ctl_short_digest(ctl_text(job, "module"), shortened));
	output_table_add(&list->table, ctl_text(job, "function"));
	output_table_add(&list->table, ctl_text(job, "owner"));
	output_table_add(&list->table, output_age(ctl_text(job, "created_at"), list->now_s, text));
}

static const struct output_column job_columns[] = {
	{ "ID", OUTPUT_LEFT, false },      { "STATE", OUTPUT_LEFT, false },
	{ "KIND", OUTPUT_LEFT, false },    { "MODULE", OUTPUT_LEFT, false },
	{ "FUNCTION", OUTPUT_LEFT, true }, { "OWNER", OUTPUT_LEFT, true },
	{ "ASKED", OUTPUT_LEFT, false },
};

static const struct list_kind job_list = {
	.columns = job_columns,
	.column_count = sizeof(job_columns) / sizeof(job_columns[0]),
	.print_name = print_id,
	.add_row = add_job,
};

int
verb_job_ls(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	char *path = NULL;
	int code = ctl_format(ctl, &path, "/v1/invocations?");

	if (code == 0)
		code = ctl_add_query(ctl, &path, "state", cli_value(args, "state"));
	if (code == 0)
		code = list_show(ctl, args, &job_list, path);
	free(path);
	return code;
}

static int
show_activity(struct ctl *ctl)
{
	struct http_response response = { 0 };
	struct list list;
	json_t *json = NULL;
	int code = ctl_get(ctl, "/v1/activity", &response, &json);

	list_init(&list, ctl, &job_list);
	if (code == 0 && ctl_wants_document(ctl)) {
		code = ctl_document(ctl, &response);
	} else if (code == 0) {
		const json_t *items = json_object_get(json, "items");

		for (size_t i = 0; i < json_array_size(items); i++)
			list_add(&list, json_array_get(items, i));
		if (ctl->format == CTL_TABLE)
			fprintf(ctl->out,
			        "%" PRIu64 " running, %" PRIu64 " queued, %" PRIu64 " workers\n",
			        ctl_uint(json, "running"), ctl_uint(json, "queued"),
			        ctl_uint(json, "workers"));
		code = list_print(&list);
	}
	list_clear(&list);
	json_decref(json);
	http_response_clear(&response);
	return code;
}

/* False when a signal came. */
static bool
wait_ms(unsigned ms)
{
	struct pollfd signal_fd = { .fd = interrupt_fd(), .events = POLLIN };

	return poll(&signal_fd, 1, (int)ms) == 0 && !interrupt_pending();
}

int
verb_top(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	const char *watch = cli_value(args, "watch");
	unsigned period_ms = 0;
	int code = watch != NULL ? ctl_parse_duration(ctl, "watch", watch, &period_ms) : 0;

	while (code == 0) {
		/* Home, and clear what the table before leaves. */
		if (watch != NULL && ctl->out_is_terminal && ctl->format == CTL_TABLE)
			fputs("\x1b[H\x1b[2J", ctl->out);
		code = show_activity(ctl);
		fflush(ctl->out);
		if (watch == NULL || ferror(ctl->out) || !wait_ms(period_ms))
			break;
	}
	return code == 0 && interrupt_pending() ? EXIT_CODE_INTERRUPTED : code;
}

/* --- one job --- */

static void
print_job(FILE *out, const json_t *job)
{
	static const struct {
		const char *title;
		const char *name;
	} members[] = {
		{ "id", "id" },
		{ "state", "state" },
		{ "kind", "kind" },
		{ "module", "module" },
		{ "function", "function" },
		{ "owner", "owner" },
		{ "asked", "created_at" },
		{ "started", "started_at" },
		{ "ended", "done_at" },
	};
	const json_t *result = json_object_get(job, "result");
	const json_t *usage = json_object_get(result, "usage");
	char text[OUTPUT_SHORT_MAX];

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		output_field(out, members[i].title, ctl_text(job, members[i].name));
	if (json_is_integer(json_object_get(result, "exit_code")))
		fprintf(out, "%-10s%" JSON_INTEGER_FORMAT "\n", "exit code",
		        json_integer_value(json_object_get(result, "exit_code")));
	output_field(out, "trap", ctl_text(json_object_get(result, "trap"), "message"));
	if (json_is_integer(json_object_get(usage, "wall_us")))
		output_field(out, "took", output_duration(ctl_uint(usage, "wall_us"), text));
}

static int
show_job_reply(struct ctl *ctl, const struct http_response *response)
{
	json_t *json = NULL;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &json);
	if (code != 0)
		return code;
	if (ctl->format == CTL_PLAIN_NAME)
		output_field(ctl->out, "", ctl_text(json, "state"));
	else
		print_job(ctl->out, json);
	json_decref(json);
	return 0;
}

static int
show_job_of(struct ctl *ctl, const char *method, const char *id)
{
	struct http_request request = { .method = method, .accept = "application/json" };
	char *path = NULL;
	int code = job_path(ctl, id, "", &path);

	request.path = path;
	if (code == 0)
		code = ctl_perform(ctl, &request, show_job_reply);
	free(path);
	return code;
}

int
verb_job_status(void *context, const struct cli_args *args)
{
	return show_job_of(context, "GET", args->words[0]);
}

int
verb_job_cancel(void *context, const struct cli_args *args)
{
	return show_job_of(context, "DELETE", args->words[0]);
}

/* --- events --- */

#define RECONNECTS_MAX 20
#define RECONNECT_MS 500

/* Following the events of a job over as many connections as that takes. */
struct follower {
	struct ctl *ctl;
	void (*event)(struct ctl *ctl, const struct sse_event *event);
	struct sse sse;
	enum sse_status status;
	char last_id[SSE_NAME_MAX + 1];
	bool has_ended; /* the event "result" came */
};

static bool
take_event(void *context, const struct sse_event *event)
{
	struct follower *f = context;

	snprintf(f->last_id, sizeof(f->last_id), "%s", event->id);
	f->has_ended = strcmp(event->type, "result") == 0;
	f->event(f->ctl, event);
	return !f->has_ended;
}

static bool
take_bytes(void *context, const char *bytes, size_t len)
{
	struct follower *f = context;

	f->status = sse_feed(&f->sse, bytes, len);
	return f->status == SSE_OK;
}

/* One connection. Returns 0 also when it broke off, which *out_broke says. */
static int
follow_once(struct follower *f, const char *path, bool *out_broke)
{
	struct http_request request = { .path = path,
		                        .accept = "text/event-stream",
		                        .timeout_ms = f->ctl->timeout_ms,
		                        .sink = take_bytes,
		                        .sink_context = f };
	struct http_response response = { 0 };
	char resume[SSE_NAME_MAX + 24];

	if (f->last_id[0] != '\0') {
		snprintf(resume, sizeof(resume), "Last-Event-ID: %s", f->last_id);
		request.fields[0] = resume;
	}
	sse_init(&f->sse, take_event, f);
	f->status = SSE_OK;
	int code = ctl_connect(f->ctl);
	enum http_result result = HTTP_OK;
	if (code == 0)
		result = http_perform(f->ctl->http, &request, &response);
	*out_broke = result == HTTP_BROKEN || (result == HTTP_OK && response.status < 400);
	if (code == 0 && f->status != SSE_OK && f->status != SSE_STOPPED)
		code = ctl_fail(f->ctl, EXIT_CODE_FAILED, "an event of the job is too large");
	else if (code == 0 && !*out_broke)
		code = ctl_check(f->ctl, result, &response);
	sse_clear(&f->sse);
	http_response_clear(&response);
	return code;
}

/* Calls event for each event of the job until it has ended. */
static int
follow(struct ctl *ctl, const char *id, void (*event)(struct ctl *, const struct sse_event *))
{
	struct follower f = { .ctl = ctl, .event = event };
	char *path = NULL;
	bool broke = false;
	int code = job_path(ctl, id, "/events", &path);

	for (unsigned tries = 0; code == 0 && !f.has_ended; tries++) {
		if (tries > RECONNECTS_MAX)
			code = ctl_fail(ctl, EXIT_CODE_UNREACHABLE,
			                "the daemon breaks off again and again");
		else if (tries > 0 && !wait_ms(RECONNECT_MS))
			code = ctl_fail(ctl, EXIT_CODE_INTERRUPTED, "interrupted");
		else
			code = follow_once(&f, path, &broke);
	}
	if (code == EXIT_CODE_INTERRUPTED)
		ctl_note(ctl, "the job goes on");
	free(path);
	return code;
}

static void
ignore_event(struct ctl *ctl, const struct sse_event *event)
{
	(void)ctl;
	(void)event;
}

/* {"id":"1","event":"started","data":{...}}: data as it came when it is JSON, else as text. */
static void
print_event_json(struct ctl *ctl, const struct sse_event *event)
{
	json_t *data =
	    json_loadb(event->data, event->data_len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	if (data == NULL)
		data = json_stringn(event->data, event->data_len);
	json_t *line =
	    json_pack("{s:s, s:s, s:o?}", "id", event->id, "event", event->type, "data", data);
	if (line != NULL) {
		json_dumpf(line, ctl->out, JSON_COMPACT | JSON_ENSURE_ASCII);
		fputc('\n', ctl->out);
	}
	json_decref(line);
}

static void
print_event(struct ctl *ctl, const struct sse_event *event)
{
	if (ctl->format == CTL_JSON) {
		print_event_json(ctl, event);
	} else {
		output_text(ctl->out, event->type, strlen(event->type));
		if (ctl->format != CTL_PLAIN_NAME) {
			fputc('\t', ctl->out);
			output_text(ctl->out, event->data, event->data_len);
		}
		fputc('\n', ctl->out);
	}
	fflush(ctl->out);
}

int
verb_job_events(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;

	if (ctl->format == CTL_YAML)
		return ctl_fail(ctl, EXIT_CODE_USAGE, "events are printed as table, json or name");
	return follow(ctl, args->words[0], print_event);
}

/* --- output --- */

static void
print_log(struct ctl *ctl, const struct sse_event *event)
{
	bool is_out = strcmp(event->type, "stdout") == 0;
	char *bytes = NULL;
	size_t len = 0;

	if (strcmp(event->type, "overflow") == 0)
		ctl_note(ctl,
		         "part of the output was dropped: it came faster than it could be sent");
	if (!is_out && strcmp(event->type, "stderr") != 0)
		return;
	json_t *data = json_loadb(event->data, event->data_len, JSON_ALLOW_NUL, NULL);
	if (data != NULL && answer_bytes(ctl, data, &bytes, &len) == 0)
		answer_write(is_out ? ctl->out : ctl->err,
		             is_out ? ctl->out_is_terminal : ctl->err_is_terminal, bytes, len);
	free(bytes);
	json_decref(data);
}

struct log_stream {
	FILE *out;
	bool is_terminal;
};

static bool
take_log(void *context, const char *bytes, size_t len)
{
	const struct log_stream *stream = context;

	answer_write(stream->out, stream->is_terminal, bytes, len);
	return !ferror(stream->out);
}

static int
fetch_log(struct ctl *ctl, const char *id, const char *name, struct log_stream *stream)
{
	struct http_request request = { .accept = "application/octet-stream",
		                        .sink = take_log,
		                        .sink_context = stream };
	struct http_response response = { 0 };
	char *path = NULL;
	int code = job_path(ctl, id, name, &path);

	request.path = path;
	if (code == 0)
		code = ctl_request(ctl, &request, &response);
	http_response_clear(&response);
	free(path);
	return code;
}

int
verb_job_logs(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct log_stream out = { ctl->out, ctl->out_is_terminal };
	struct log_stream err = { ctl->err, ctl->err_is_terminal };

	if (cli_has(args, "follow"))
		return follow(ctl, args->words[0], print_log);
	int code = fetch_log(ctl, args->words[0], "/stdout", &out);
	return code != 0 ? code : fetch_log(ctl, args->words[0], "/stderr", &err);
}

/* --- the end --- */

static int
show_end(struct ctl *ctl, const struct http_response *response, const json_t *job, bool exact)
{
	const json_t *result = json_object_get(job, "result");
	const char *state = ctl_text(job, "state");
	json_int_t exit_code = json_integer_value(json_object_get(result, "exit_code"));

	if (ctl_wants_document(ctl)) {
		int code = ctl_document(ctl, response);
		return code != 0
		           ? code
		           : exit_code_of_outcome(state,
		                                  ctl_text(json_object_get(result, "trap"), "code"),
		                                  (unsigned long)(uint32_t)exit_code);
	}
	if (json_is_object(result))
		return answer_show(ctl, result, exact);
	return answer_outcome(ctl, state, "", 0);
}

int
verb_job_wait(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_response response = { 0 };
	json_t *json = NULL;
	char *path = NULL;
	int code = follow(ctl, args->words[0], ignore_event);

	if (code == 0)
		code = job_path(ctl, args->words[0], "", &path);
	if (code == 0)
		code = ctl_get(ctl, path, &response, &json);
	if (code == 0)
		code = show_end(ctl, &response, json, cli_has(args, "exact"));
	json_decref(json);
	http_response_clear(&response);
	free(path);
	return code;
}
