/* native.c - the verbs about native code: have a module compiled, see and remove what there is. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/bar.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/interrupt.h"
#include "client/wasmedgectl/list.h"
#include "client/wasmedgectl/verbs.h"

#define LOOK_MS 200

/* --- compile --- */

/* A member of an answer that is a number; 0 without it. */
static uint64_t
progress_of(const json_t *compile, const char *name)
{
	return ctl_uint(json_object_get(compile, "progress"), name);
}

static bool
is_under_way(const char *state)
{
	return strcmp(state, "queued") == 0 || strcmp(state, "running") == 0;
}

/* False when the user has had enough. */
static bool
pause_a_little(void)
{
	struct pollfd signal_fd = { .fd = interrupt_fd(), .events = POLLIN };

	return poll(&signal_fd, 1, LOOK_MS) == 0 && !interrupt_pending();
}

static int
report(struct ctl *ctl, const char *ref, const char *state, const char *detail)
{
	if (is_under_way(state) || strcmp(state, "ready") == 0) {
		output_field(ctl->out, "", state);
		return 0;
	}
	return ctl_fail(ctl, EXIT_CODE_FAILED, "%s is not compiled: %s%s%s", ref, state,
	                detail[0] == '\0' ? "" : ": ", detail);
}

/*
 * Look again and again until it is compiled, or has failed. The module tells of both variants;
 * one that is not mentioned has been compiled and is known from its artifacts.
 */
static int
wait_for(struct ctl *ctl, const struct cli_args *args, const char *path, struct bar *bar)
{
	const char *member = cli_has(args, "metered") ? "compile_metered" : "compile";

	for (;;) {
		struct http_response response = { 0 };
		json_t *module = NULL;
		int code = ctl_get(ctl, path, &response, &module);
		if (code != 0) {
			http_response_clear(&response);
			return code;
		}
		const json_t *compile = json_object_get(module, member);
		const char *state = ctl_text(compile, "state");
		bool goes_on = is_under_way(state);
		uint64_t total = progress_of(compile, "total_bytes");
		if (goes_on && total > 0)
			bar_draw(bar, progress_of(compile, "done_bytes"), total);
		if (!goes_on) {
			bar_end(bar);
			code = report(ctl, args->words[0], state, ctl_text(compile, "detail"));
		}
		json_decref(module);
		http_response_clear(&response);
		if (!goes_on)
			return code;
		if (!pause_a_little()) {
			bar_end(bar);
			return EXIT_CODE_INTERRUPTED;
		}
	}
}

static int
show_state(struct ctl *ctl, const char *ref, const struct http_response *response)
{
	json_t *json = NULL;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &json);
	if (code == 0)
		code = report(ctl, ref, ctl_text(json, "state"), ctl_text(json, "detail"));
	json_decref(json);
	return code;
}

int
verb_module_compile(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "POST", .accept = "application/json" };
	struct http_response response = { 0 };
	struct bar bar = { .name = args->words[0] };
	char *path = NULL, *url = NULL;
	int code = ctl_module_path(ctl, args->words[0], &path);

	if (code == 0)
		code = ctl_format(ctl, &url, "%s/artifacts?", path);
	if (code == 0)
		code = ctl_add_query(ctl, &url, "level", cli_value(args, "level"));
	if (code == 0)
		code = ctl_add_query(ctl, &url, "metered",
		                     cli_has(args, "metered") ? "true" : NULL);
	if (code != 0)
		goto done;
	url[strlen(url) - 1] = '\0'; /* '?' or '&' */
	request.path = url;
	code = ctl_request(ctl, &request, &response);
	if (code == 0 && cli_has(args, "wait")) {
		if (ctl->err_is_terminal && !cli_has(args, "no-progress"))
			bar.out = ctl->err;
		code = wait_for(ctl, args, path, &bar);
	} else if (code == 0) {
		code = show_state(ctl, args->words[0], &response);
	}
done:
	http_response_clear(&response);
	free(url);
	free(path);
	return code;
}

/* --- artifacts --- */

static void
print_id(FILE *out, const json_t *artifact)
{
	const char *id = ctl_text(artifact, "id");

	output_text(out, id, strlen(id));
}

static void
add_artifact(struct list *list, const json_t *artifact)
{
	struct output_table *table = &list->table;
	char text[OUTPUT_SHORT_MAX];

	output_table_add(table, ctl_text(artifact, "id"));
	output_table_add(table, ctl_text(artifact, "variant"));
	output_table_add(table, ctl_text(artifact, "level"));
	output_table_add(table, ctl_text(artifact, "state"));
	output_table_add(table, output_size(ctl_uint(artifact, "size"), text));
	output_table_add(table, output_duration(ctl_uint(artifact, "compile_us"), text));
	output_table_add(table, output_age(ctl_text(artifact, "used_at"), list->now_s, text));
}

static const struct output_column artifact_columns[] = {
	{ "ID", OUTPUT_RIGHT, false },   { "VARIANT", OUTPUT_LEFT, false },
	{ "LEVEL", OUTPUT_LEFT, false }, { "STATE", OUTPUT_LEFT, false },
	{ "SIZE", OUTPUT_RIGHT, false }, { "COMPILED IN", OUTPUT_RIGHT, false },
	{ "USED", OUTPUT_LEFT, false },
};

static const struct list_kind artifact_list = {
	.columns = artifact_columns,
	.column_count = sizeof(artifact_columns) / sizeof(artifact_columns[0]),
	.print_name = print_id,
	.add_row = add_artifact,
};

static int
remove_artifacts(struct ctl *ctl, const char *path, const char *which)
{
	struct http_request request = { .method = "DELETE" };
	char *url = NULL;
	int code;

	if (strcmp(which, "all") == 0)
		code = ctl_format(ctl, &url, "%s/artifacts", path);
	else if (which[0] != '\0' && strspn(which, "0123456789") == strlen(which))
		code = ctl_format(ctl, &url, "%s/artifacts/%s", path, which);
	else
		return ctl_fail(ctl, EXIT_CODE_USAGE, "--rm takes an id from the list, or all");
	request.path = url;
	if (code == 0)
		code = ctl_perform(ctl, &request, NULL);
	free(url);
	return code;
}

/* All there is, in one answer: a module has few. */
static int
list_artifacts(struct ctl *ctl, const char *path)
{
	struct http_response response = { 0 };
	json_t *json = NULL;
	struct list list;
	char *url = NULL;
	int code = ctl_format(ctl, &url, "%s/artifacts", path);

	if (code == 0)
		code = ctl_get(ctl, url, &response, &json);
	if (code == 0 && ctl_wants_document(ctl)) {
		code = ctl_document(ctl, &response);
	} else if (code == 0) {
		const json_t *items = json_object_get(json, "items");
		list_init(&list, ctl, &artifact_list);
		for (size_t i = 0; i < json_array_size(items); i++)
			list_add(&list, json_array_get(items, i));
		code = list_print(&list);
		list_clear(&list);
	}
	json_decref(json);
	http_response_clear(&response);
	free(url);
	return code;
}

int
verb_module_artifacts(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	char *path = NULL;
	int code = ctl_module_path(ctl, args->words[0], &path);

	if (code == 0 && cli_has(args, "rm"))
		code = remove_artifacts(ctl, path, cli_value(args, "rm"));
	else if (code == 0)
		code = list_artifacts(ctl, path);
	free(path);
	return code;
}
