/* call.c - the verbs that call functions and run commands. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "client/wasmedgectl/answer.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/live.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"
#include "rpc/utf8.h"
#include "rpc/writer.h"

/* A request's body has a limit on the other side, too; this one only keeps our memory bounded. */
#define INPUT_BYTES_MAX ((size_t)256 << 20)

/* --- limits --- */

/* Options that bound a call, and the members they become. */
static const struct {
	const char *option;
	const char *member;
	bool is_time;
} limit_options[] = {
	{ "time", "time_ms", true },
	{ "fuel", "fuel", false },
	{ "memory-pages", "memory_pages", false },
	{ "stdout-bytes", "stdout_bytes", false },
	{ "stderr-bytes", "stderr_bytes", false },
};

#define LIMIT_COUNT (sizeof(limit_options) / sizeof(limit_options[0]))

/* Calls with the limits in the order of the table; given[i] false leaves values[i] alone. */
static int
read_limits(struct ctl *ctl, const struct cli_args *args, bool given[static LIMIT_COUNT],
            uint64_t values[static LIMIT_COUNT])
{
	int code = 0;

	for (size_t i = 0; i < LIMIT_COUNT && code == 0; i++) {
		const char *option = limit_options[i].option;
		size_t position = 0;
		const char *text = cli_next(args, option, &position); /* some verbs lack some */
		unsigned ms = 0;

		given[i] = text != NULL;
		if (text == NULL)
			continue;
		if (limit_options[i].is_time) {
			code = ctl_parse_duration(ctl, option, text, &ms);
			values[i] = ms;
		} else {
			code = ctl_parse_uint(ctl, option, text, &values[i]);
		}
	}
	return code;
}

static int
write_limits(struct ctl *ctl, const struct cli_args *args, struct rpc_writer *w)
{
	bool given[LIMIT_COUNT] = { false };
	uint64_t values[LIMIT_COUNT] = { 0 };
	int code = read_limits(ctl, args, given, values);

	if (code != 0)
		return code;
	rpc_write_key(w, "limits");
	rpc_write_object_begin(w);
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		if (given[i])
			rpc_member_uint(w, limit_options[i].member, values[i]);
	rpc_write_object_end(w);
	return 0;
}

/* --- the exchange --- */

/* Says how to go on with a job that was only started. */
static int
show_job(struct ctl *ctl, const struct http_response *response, const json_t *json)
{
	const char *id = ctl_text(json, "id");

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	output_text(ctl->out, id, strlen(id));
	fputc('\n', ctl->out);
	fflush(ctl->out);
	if (ctl->format == CTL_TABLE) {
		ctl_note(ctl, "the job runs on; its end: " CTL_NAME " job wait %s", id);
		ctl_note(ctl, "what it writes: " CTL_NAME " job logs -f %s", id);
	}
	return 0;
}

/* The exit code of an answer that is printed as a document. */
static int
outcome_of(const json_t *answer)
{
	json_int_t exit_code = json_integer_value(json_object_get(answer, "exit_code"));

	return exit_code_of_outcome(ctl_text(answer, "outcome"),
	                            ctl_text(json_object_get(answer, "trap"), "code"),
	                            (unsigned long)(uint32_t)exit_code);
}

/* POST a call and show its answer; folder takes collected files, NULL when there are none. */
static int
exchange(struct ctl *ctl, const struct cli_args *args, const struct http_request *request,
         const char *folder)
{
	struct http_response response = { 0 };
	json_t *json = NULL;
	int code = ctl_request(ctl, request, &response);

	if (code == EXIT_CODE_INTERRUPTED)
		ctl_note(ctl, "the daemon stops the call");
	if (code == 0)
		code = ctl_json(ctl, &response, &json);
	if (code != 0)
		goto done;
	if (response.status == 202) {
		code = show_job(ctl, &response, json);
		goto done;
	}
	int files_code = folder != NULL ? answer_collect(ctl, json, folder) : 0;
	if (ctl_wants_document(ctl)) {
		code = ctl_document(ctl, &response);
		code = code != 0 ? code : outcome_of(json);
	} else {
		size_t position = 0;
		code = answer_show(ctl, json, cli_next(args, "exact", &position) != NULL);
	}
	code = files_code != 0 ? files_code : code;
done:
	json_decref(json);
	http_response_clear(&response);
	return code;
}

static void
ask_for_job(const struct cli_args *args, struct http_request *request, size_t field)
{
	if (cli_has(args, "async"))
		request->fields[field] = "Prefer: respond-async";
}

/* People see what a run writes at once; programs get the whole answer in the end. */
static bool
is_live(const struct ctl *ctl, const struct cli_args *args, const char *what)
{
	return strcmp(what, "run") == 0 && ctl->format == CTL_TABLE && !cli_has(args, "async");
}

/* POST what the writer holds to REF/what. */
static int
post_json(struct ctl *ctl, const struct cli_args *args, const char *what, struct rpc_writer *w,
          const char *folder)
{
	struct http_request request = { .method = "POST",
		                        .accept = "application/json",
		                        .content_type = "application/json" };
	char *module = NULL, *path = NULL, *body = NULL;
	int code = ctl_module_path(ctl, args->words[0], &module);

	if (code == 0)
		code = ctl_format(ctl, &path, "%s/%s", module, what);
	if (code != 0)
		goto done;
	body = rpc_writer_take(w, &request.body_len);
	if (body == NULL) {
		code = ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
		goto done;
	}
	request.path = path;
	request.body = body;
	ask_for_job(args, &request, 0);
	code = is_live(ctl, args, what) ? live_run(ctl, &request, folder)
	                                : exchange(ctl, args, &request, folder);
done:
	free(body);
	free(path);
	free(module);
	return code;
}

/* The writer would replace what is not UTF-8 in a word, and nobody would know. */
static int
check_utf8(struct ctl *ctl, const char *text)
{
	if (!rpc_utf8_valid(text, strlen(text)))
		return ctl_fail(ctl, EXIT_CODE_USAGE, "%s is not UTF-8, which JSON has to be",
		                text);
	return 0;
}

static int
write_word(struct ctl *ctl, struct rpc_writer *w, const char *text)
{
	int code = check_utf8(ctl, text);

	if (code == 0)
		rpc_write_text(w, text);
	return code;
}

/* --- invoke --- */

/*
 * Numbers travel as the text that was typed, which the daemon reads by the parameter's type,
 * exactly. Vectors and stated types are JSON already; null is a reference.
 */
static int
write_argument(struct ctl *ctl, struct rpc_writer *w, const char *text)
{
	json_error_t error;

	if (strcmp(text, "null") == 0) {
		rpc_write_null(w);
	} else if (text[0] == '{') {
		json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);

		if (json == NULL)
			return ctl_fail(ctl, EXIT_CODE_USAGE, "argument %s: column %d: %s", text,
			                error.column, error.text);
		json_decref(json);
		rpc_write_raw(w, text, strlen(text));
	} else {
		return write_word(ctl, w, text);
	}
	return 0;
}

int
verb_invoke(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct rpc_writer w;
	int code = 0;

	rpc_writer_init(&w);
	rpc_write_object_begin(&w);
	rpc_write_key(&w, "function");
	code = write_word(ctl, &w, args->words[1]);
	rpc_write_key(&w, "args");
	rpc_write_array_begin(&w);
	for (size_t i = 2; i < args->word_count && code == 0; i++)
		code = write_argument(ctl, &w, args->words[i]);
	rpc_write_array_end(&w);
	if (code == 0)
		code = write_limits(ctl, args, &w);
	if (cli_has(args, "exact"))
		rpc_member_bool(&w, "exact", true);
	rpc_member_text(&w, "lanes", cli_value(args, "lanes"));
	rpc_write_object_end(&w);
	if (code == 0)
		code = post_json(ctl, args, "invoke", &w, NULL);
	rpc_writer_clear(&w);
	return code;
}

/* --- run --- */

static int
write_env(struct ctl *ctl, const struct cli_args *args, struct rpc_writer *w)
{
	size_t position = 0;
	const char *text;
	int code = 0;

	rpc_write_key(w, "env");
	rpc_write_object_begin(w);
	while (code == 0 && (text = cli_next(args, "env", &position)) != NULL) {
		const char *equals = strchr(text, '=');
		char *name = NULL;

		if (equals == NULL || equals == text)
			return ctl_fail(ctl, EXIT_CODE_USAGE,
			                "--env: expected NAME=VALUE, found %s", text);
		code = check_utf8(ctl, text);
		if (code == 0)
			code = ctl_format(ctl, &name, "%.*s", (int)(equals - text), text);
		if (code == 0)
			rpc_member_text(w, name, equals + 1);
		free(name);
	}
	rpc_write_object_end(w);
	return code;
}

/* Bytes as "text" or "base64", inside an object that is open. */
static void
write_content(struct rpc_writer *w, const char *bytes, size_t len)
{
	if (rpc_utf8_valid(bytes, len) && memchr(bytes, '\0', len) == NULL) {
		rpc_write_key(w, "text");
		rpc_write_string(w, bytes, len);
	} else {
		rpc_write_key(w, "base64");
		rpc_write_base64(w, bytes, len);
	}
}

static int
write_stdin(struct ctl *ctl, const struct cli_args *args, struct rpc_writer *w)
{
	const char *name = cli_value(args, "stdin");
	char *bytes = NULL;
	size_t len;

	if (name == NULL)
		return 0;
	int code = ctl_read_file(ctl, name, INPUT_BYTES_MAX, &bytes, &len);
	if (code != 0)
		return code;
	rpc_write_key(w, "stdin");
	rpc_write_object_begin(w);
	write_content(w, bytes, len);
	rpc_write_object_end(w);
	free(bytes);
	return 0;
}

static int
write_file(struct ctl *ctl, struct rpc_writer *w, const char *option)
{
	const char *equals = strchr(option, '=');
	char *bytes = NULL, *guest = NULL;
	size_t len;

	if (equals == NULL || option[0] != '/' || equals[1] == '\0')
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "--file: expected /PATH/OF/THE/GUEST=FILE-HERE, found %s", option);
	int code = check_utf8(ctl, option);
	if (code == 0)
		code = ctl_read_file(ctl, equals + 1, INPUT_BYTES_MAX, &bytes, &len);
	if (code == 0)
		code = ctl_format(ctl, &guest, "%.*s", (int)(equals - option), option);
	if (code == 0) {
		rpc_write_object_begin(w);
		rpc_member_text(w, "path", guest);
		write_content(w, bytes, len);
		rpc_write_object_end(w);
	}
	free(guest);
	free(bytes);
	return code;
}

static int
write_files(struct ctl *ctl, const struct cli_args *args, struct rpc_writer *w)
{
	size_t position = 0;
	const char *option;
	int code = 0;

	rpc_write_key(w, "files");
	rpc_write_array_begin(w);
	while (code == 0 && (option = cli_next(args, "file", &position)) != NULL)
		code = write_file(ctl, w, option);
	rpc_write_array_end(w);
	return code;
}

static int
write_collect(struct ctl *ctl, const struct cli_args *args, struct rpc_writer *w)
{
	size_t position = 0;
	const char *pattern;
	int code = 0;

	rpc_write_key(w, "collect");
	rpc_write_array_begin(w);
	while (code == 0 && (pattern = cli_next(args, "collect", &position)) != NULL)
		code = write_word(ctl, w, pattern);
	rpc_write_array_end(w);
	return code;
}

static int
run_json(struct ctl *ctl, const struct cli_args *args)
{
	struct rpc_writer w;
	int code = 0;

	rpc_writer_init(&w);
	rpc_write_object_begin(&w);
	rpc_write_key(&w, "args");
	rpc_write_array_begin(&w);
	for (size_t i = 1; i < args->word_count && code == 0; i++)
		code = write_word(ctl, &w, args->words[i]);
	rpc_write_array_end(&w);
	if (code == 0)
		code = write_env(ctl, args, &w);
	if (code == 0)
		code = write_stdin(ctl, args, &w);
	if (code == 0)
		code = write_files(ctl, args, &w);
	if (code == 0)
		code = write_limits(ctl, args, &w);
	if (code == 0 && cli_has(args, "collect"))
		code = write_collect(ctl, args, &w);
	rpc_write_object_end(&w);
	if (code == 0)
		code = post_json(ctl, args, "run", &w, cli_value(args, "out"));
	rpc_writer_clear(&w);
	return code;
}

static int
raw_path(struct ctl *ctl, const struct cli_args *args, char **out)
{
	bool given[LIMIT_COUNT] = { false };
	uint64_t values[LIMIT_COUNT] = { 0 };
	char *module = NULL;
	const char *text;
	size_t position = 0;
	int code = ctl_module_path(ctl, args->words[0], &module);

	if (code == 0)
		code = ctl_format(ctl, out, "%s/run?", module);
	for (size_t i = 1; code == 0 && i < args->word_count; i++)
		code = ctl_add_query(ctl, out, "arg", args->words[i]);
	while (code == 0 && (text = cli_next(args, "env", &position)) != NULL)
		code = ctl_add_query(ctl, out, "env", text);
	if (code == 0)
		code = read_limits(ctl, args, given, values);
	for (size_t i = 0; code == 0 && i < LIMIT_COUNT; i++) {
		char number[24];

		snprintf(number, sizeof(number), "%llu", (unsigned long long)values[i]);
		code = ctl_add_query(ctl, out, limit_options[i].member, given[i] ? number : NULL);
	}
	if (code == 0)
		(*out)[strlen(*out) - 1] = '\0'; /* '?' or '&' */
	free(module);
	return code;
}

static bool
write_out(void *context, const char *bytes, size_t len)
{
	bool ok = fwrite(bytes, 1, len, context) == len;

	return fflush(context) == 0 && ok;
}

static int
show_raw(struct ctl *ctl, const struct http_response *response)
{
	const char *outcome = http_response_field(response, "Wasm-Outcome");
	const char *exit_code = http_response_field(response, "Wasm-Exit-Code");

	if (outcome == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "the reply does not say how the run ended");
	if (strcmp(outcome, "exited") != 0)
		ctl_note(ctl, "the run did not end by itself: %s (without --raw more is shown)",
		         outcome);
	return answer_outcome(ctl, outcome, "",
	                      exit_code != NULL ? strtoul(exit_code, NULL, 10) & 0xffffffff : 0);
}

static int
run_raw(struct ctl *ctl, const struct cli_args *args)
{
	struct http_request request = { .method = "POST",
		                        .accept = "application/octet-stream",
		                        .content_type = "application/octet-stream",
		                        .sink = write_out,
		                        .sink_context = ctl->out };
	struct http_response response = { 0 };
	char *path = NULL;

	if (cli_has(args, "file") || cli_has(args, "collect") || cli_has(args, "async"))
		return ctl_fail(
		    ctl, EXIT_CODE_USAGE,
		    "--raw carries standard input and output only: no --file, --collect, --async");
	int code = raw_path(ctl, args, &path);
	if (code == 0 && cli_has(args, "stdin"))
		code = ctl_open_body(ctl, cli_value(args, "stdin"), request.content_type, &request);
	request.path = path;
	if (code == 0)
		code = ctl_request(ctl, &request, &response);
	if (code == EXIT_CODE_INTERRUPTED)
		ctl_note(ctl, "the daemon stops the run");
	if (code == 0)
		code = show_raw(ctl, &response);
	http_response_clear(&response);
	ctl_close_body(&request);
	free(path);
	return code;
}

int
verb_run(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct stat st;
	const char *folder = cli_value(args, "out");

	if (cli_has(args, "collect") != (folder != NULL))
		return ctl_fail(
		    ctl, EXIT_CODE_USAGE,
		    "--collect says which files, --out where to put them: give both or none");
	if (folder != NULL && cli_has(args, "async"))
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "--out needs the end of the run: not with --async");
	if (folder != NULL && (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode)))
		return ctl_fail(ctl, EXIT_CODE_USAGE, "--out: %s is not a folder", folder);
	return cli_has(args, "raw") ? run_raw(ctl, args) : run_json(ctl, args);
}
