/* tag.c - the verbs that move, show, list and remove tags. */
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/list.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"

/* "NS/NAME:TAG" of a reply. */
static void
print_tag_name(FILE *out, const json_t *tag)
{
	const char *const parts[] = { ctl_text(tag, "ns"), "/", ctl_text(tag, "name"), ":",
		                      ctl_text(tag, "tag") };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		output_text(out, parts[i], strlen(parts[i]));
}

/* Where a tag points, as table and name formats show it. */
static int
show_tag(struct ctl *ctl, const struct http_response *response)
{
	json_t *json = NULL;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &json);
	if (code != 0)
		return code;
	const char *digest = ctl_text(json, "digest");
	if (ctl->format == CTL_TABLE) {
		print_tag_name(ctl->out, json);
		fputs(" -> ", ctl->out);
	}
	output_text(ctl->out, digest, strlen(digest));
	fputc('\n', ctl->out);
	json_decref(json);
	return 0;
}

/* The precondition that --if-match asks for as a header line, NULL without it. */
static int
if_match_line(struct ctl *ctl, const struct cli_args *args, char **out)
{
	const char *expected = cli_value(args, "if-match");
	char digest[CTL_DIGEST_MAX];

	if (expected == NULL)
		return 0;
	if (strcmp(expected, "none") == 0)
		return ctl_format(ctl, out, "If-None-Match: *");
	int code = ctl_module_digest(ctl, expected, digest);
	return code != 0 ? code : ctl_format(ctl, out, "If-Match: \"%s\"", digest);
}

int
verb_tag_set(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "PUT",
		                        .accept = "application/json",
		                        .content_type = "application/json" };
	char digest[CTL_DIGEST_MAX];
	char *path = NULL, *body = NULL, *line = NULL;
	int code = ctl_tag_path(ctl, args->words[0], true, &path);

	if (code == 0)
		code = ctl_module_digest(ctl, args->words[1], digest);
	if (code == 0)
		code = if_match_line(ctl, args, &line);
	if (code == 0)
		code = ctl_format(ctl, &body, "{\"digest\":\"%s\"}", digest);
	if (code == 0) {
		request.path = path;
		request.body = body;
		request.body_len = strlen(body);
		request.fields[0] = line;
		code = ctl_perform(ctl, &request, show_tag);
	}
	free(line);
	free(body);
	free(path);
	return code;
}

int
verb_tag_get(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .accept = "application/json" };
	char *path = NULL;
	int code = ctl_tag_path(ctl, args->words[0], true, &path);

	request.path = path;
	if (code == 0)
		code = ctl_perform(ctl, &request, show_tag);
	free(path);
	return code;
}

int
verb_tag_rm(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "DELETE" };
	char *path = NULL, *line = NULL;
	int code = ctl_tag_path(ctl, args->words[0], true, &path);

	if (code == 0)
		code = if_match_line(ctl, args, &line);
	request.path = path;
	request.fields[0] = line;
	if (code == 0)
		code = ctl_perform(ctl, &request, NULL);
	free(line);
	free(path);
	return code;
}

static void
add_tag(struct list *list, const json_t *tag)
{
	char text[OUTPUT_SHORT_MAX], shortened[24];

	output_table_add_format(&list->table, "%s/%s:%s", ctl_text(tag, "ns"),
	                        ctl_text(tag, "name"), ctl_text(tag, "tag"));
	output_table_add(&list->table, ctl_short_digest(ctl_text(tag, "digest"), shortened));
	output_table_add(&list->table, output_age(ctl_text(tag, "updated_at"), list->now_s, text));
	output_table_add(&list->table, ctl_text(tag, "updated_by"));
}

static const struct output_column tag_columns[] = {
	{ "TAG", OUTPUT_LEFT, true },
	{ "DIGEST", OUTPUT_LEFT, false },
	{ "MOVED", OUTPUT_LEFT, false },
	{ "BY", OUTPUT_LEFT, true },
};

static const struct list_kind tag_list = {
	.columns = tag_columns,
	.column_count = sizeof(tag_columns) / sizeof(tag_columns[0]),
	.print_name = print_tag_name,
	.add_row = add_tag,
};

int
verb_tag_ls(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	char *path = NULL;
	int code = ctl_format(ctl, &path, "/v1/tags?");

	if (code == 0 && args->word_count > 0)
		code = ctl_add_query(ctl, &path, "prefix", args->words[0]);
	if (code == 0)
		code = list_show(ctl, args, &tag_list, path);
	free(path);
	return code;
}

static int
show_history(struct ctl *ctl, const json_t *json)
{
	static const struct output_column columns[] = {
		{ "WHEN", OUTPUT_LEFT, false }, { "TAG", OUTPUT_LEFT, true },
		{ "FROM", OUTPUT_LEFT, false }, { "TO", OUTPUT_LEFT, false },
		{ "BY", OUTPUT_LEFT, true },
	};
	const json_t *history = json_object_get(json, "history");
	struct output_table table;
	char shortened[24];

	output_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < json_array_size(history); i++) {
		const json_t *item = json_array_get(history, i);

		output_table_add(&table, ctl_text(item, "at"));
		output_table_add(&table, ctl_text(item, "tag"));
		output_table_add(&table, ctl_short_digest(ctl_text(item, "old"), shortened));
		output_table_add(&table, ctl_short_digest(ctl_text(item, "new"), shortened));
		output_table_add(&table, ctl_text(item, "by"));
	}
	int code = ctl_table(ctl, &table);
	output_table_clear(&table);
	return code;
}

int
verb_tag_history(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_response response = { 0 };
	json_t *json = NULL;
	char *path = NULL, *url = NULL;
	int code = ctl_tag_path(ctl, args->words[0], false, &path);

	if (code == 0)
		code = ctl_format(ctl, &url, "%s?history=true", path);
	if (code == 0)
		code = ctl_get(ctl, url, &response, &json);
	if (code == 0 && ctl_wants_document(ctl))
		code = ctl_document(ctl, &response);
	else if (code == 0)
		code = show_history(ctl, json);
	json_decref(json);
	http_response_clear(&response);
	free(url);
	free(path);
	return code;
}
