/* module.c - the verbs that upload, list, show, fetch, check and delete modules. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "client/wasmedgectl/bar.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/list.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"
#include "rpc/accept.h"
#include "rpc/digest.h"

#define WASM_TYPE "application/wasm"
#define WAT_TYPE "text/wat"
#define DIGEST_LINE_MAX (sizeof("Content-Digest: ") + RPC_CONTENT_DIGEST_MAX)

/* --- upload --- */

/*
 * The daemon computes the digest again and refuses an upload that was changed on its way. What can
 * be read only once goes without.
 */
static int
add_digest(struct ctl *ctl, const char *name, struct http_request *request,
           char line[static DIGEST_LINE_MAX])
{
	char buf[16384], field[RPC_CONTENT_DIGEST_MAX];
	struct digest_state state;
	struct digest digest;
	size_t len, i = 0;

	if (request->chunked)
		return 0;
	digest_init(&state);
	while ((len = fread(buf, 1, sizeof(buf), request->body_file)) > 0)
		digest_update(&state, buf, len);
	if (ferror(request->body_file) || fseek(request->body_file, 0, SEEK_SET) != 0)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", name, strerror(errno));
	digest_finish(&state, &digest);
	rpc_content_digest_text(digest.bytes, field);
	snprintf(line, DIGEST_LINE_MAX, "Content-Digest: %s", field);
	while (request->fields[i] != NULL)
		i++;
	request->fields[i] = line;
	return 0;
}

/* A binary begins with NUL; text with white space, a comment or a parenthesis. */
static const char *
module_type(FILE *file)
{
	int first = getc(file);

	if (first == EOF)
		return WASM_TYPE;
	ungetc(first, file);
	return first != '\0' && strchr(" \t\r\n(;", first) != NULL ? WAT_TYPE : WASM_TYPE;
}

/* Let the request's body be the module in a file ("-": standard input). */
static int
open_module(struct ctl *ctl, const char *name, struct http_request *request,
            char digest_line[static DIGEST_LINE_MAX])
{
	int code = ctl_open_body(ctl, name, WASM_TYPE, request);

	if (code != 0)
		return code;
	request->content_type = module_type(request->body_file);
	return add_digest(ctl, name, request, digest_line);
}

static int
push_path(struct ctl *ctl, const struct cli_args *args, char **out)
{
	int code = ctl_format(ctl, out, "/v1/modules?");

	if (code == 0)
		code = ctl_add_query(ctl, out, "tag", cli_value(args, "tag"));
	if (code == 0)
		code = ctl_add_query(ctl, out, "compile", cli_value(args, "compile"));
	if (code == 0)
		(*out)[strlen(*out) - 1] = '\0'; /* '?' or '&' */
	return code;
}

static int
show_pushed(struct ctl *ctl, const struct http_response *response)
{
	json_t *json = NULL;
	char size[OUTPUT_SHORT_MAX];

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &json);
	if (code != 0)
		return code;
	const char *digest = ctl_text(json, "digest"), *tag = ctl_text(json, "tag");
	output_text(ctl->out, digest, strlen(digest));
	fputc('\n', ctl->out);
	if (ctl->format == CTL_TABLE)
		ctl_note(ctl, "%s, %s%s%s",
		         json_is_true(json_object_get(json, "created")) ? "stored"
		                                                        : "known already",
		         output_size(ctl_uint(json, "size"), size),
		         tag[0] != '\0' ? ", tagged " : "", tag);
	json_decref(json);
	return 0;
}

int
verb_module_push(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "POST", .accept = "application/json" };
	struct http_response response = { 0 };
	struct bar bar = { .name = args->words[0] };
	char digest_line[DIGEST_LINE_MAX];
	char *path = NULL;

	if (cli_has(args, "new") && !cli_has(args, "tag"))
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "--new says something about a tag: give --tag, too");
	if (cli_has(args, "new"))
		request.fields[0] = "If-None-Match: *";
	int code = push_path(ctl, args, &path);
	if (code == 0)
		code = open_module(ctl, args->words[0], &request, digest_line);
	if (code != 0)
		goto done;
	request.path = path;
	if (ctl->err_is_terminal && !cli_has(args, "no-progress"))
		bar.out = ctl->err;
	request.progress = bar_draw;
	request.progress_context = &bar;
	request.timeout_ms = ctl->timeout_ms;
	code = ctl_connect(ctl);
	if (code == 0) {
		enum http_result result = http_perform(ctl->http, &request, &response);

		bar_end(&bar); /* before anything else is said */
		code = ctl_check(ctl, result, &response);
	}
	if (code == 0)
		code = show_pushed(ctl, &response);
done:
	http_response_clear(&response);
	ctl_close_body(&request);
	free(path);
	return code;
}

static int
show_verdict(struct ctl *ctl, const char *name, const struct http_response *response)
{
	json_t *json = NULL;
	int code = ctl_json(ctl, response, &json);

	if (code != 0)
		return code;
	bool valid = json_is_true(json_object_get(json, "valid"));
	if (ctl_wants_document(ctl)) {
		code = ctl_document(ctl, response);
	} else if (valid) {
		fputs("valid\n", ctl->out);
	} else {
		/* The detail says where. */
		ctl_note(ctl, "%s: %s (%s)", name, ctl_text(json, "detail"),
		         ctl_text(json, "code"));
	}
	json_decref(json);
	return code != 0 || valid ? code : EXIT_CODE_FAILED;
}

int
verb_validate(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "POST",
		                        .path = "/v1/validate",
		                        .accept = "application/json" };
	struct http_response response = { 0 };
	char digest_line[DIGEST_LINE_MAX];
	int code = open_module(ctl, args->words[0], &request, digest_line);

	if (code == 0)
		code = ctl_request(ctl, &request, &response);
	if (code == 0)
		code = show_verdict(ctl, args->words[0], &response);
	http_response_clear(&response);
	ctl_close_body(&request);
	return code;
}

/* --- list --- */

/* "demo/app:1 demo/app:2" */
static void
add_tags(struct output_table *table, const json_t *tags)
{
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);

	if (memory == NULL) {
		table->failed = true;
		return;
	}
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));
		fprintf(memory, "%s%s", i > 0 ? " " : "", tag != NULL ? tag : "?");
	}
	if (fclose(memory) != 0)
		table->failed = true;
	else
		output_table_add(table, text);
	free(text);
}

static void
print_digest(FILE *out, const json_t *module)
{
	const char *digest = ctl_text(module, "digest");

	output_text(out, digest, strlen(digest));
}

static void
add_module(struct list *list, const json_t *module)
{
	char text[OUTPUT_SHORT_MAX], shortened[24];

	output_table_add(&list->table, ctl_short_digest(ctl_text(module, "digest"), shortened));
	output_table_add(&list->table, output_size(ctl_uint(module, "size"), text));
	output_table_add(&list->table,
	                 output_age(ctl_text(module, "created_at"), list->now_s, text));
	add_tags(&list->table, json_object_get(module, "tags"));
}

static const struct output_column module_columns[] = {
	{ "DIGEST", OUTPUT_LEFT, false },
	{ "SIZE", OUTPUT_RIGHT, false },
	{ "STORED", OUTPUT_LEFT, false },
	{ "TAGS", OUTPUT_LEFT, true },
};

static const struct list_kind module_list = {
	.columns = module_columns,
	.column_count = sizeof(module_columns) / sizeof(module_columns[0]),
	.print_name = print_digest,
	.add_row = add_module,
};

static int
list_path(struct ctl *ctl, const struct cli_args *args, char **out)
{
	static const char *const filters[] = { "tag", "import", "export", "feature" };
	int code = ctl_format(ctl, out, "/v1/modules?");

	for (size_t i = 0; code == 0 && i < sizeof(filters) / sizeof(filters[0]); i++)
		code = ctl_add_query(ctl, out, filters[i], cli_value(args, filters[i]));
	return code;
}

int
verb_module_ls(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	char *path = NULL;
	int code = list_path(ctl, args, &path);

	if (code == 0)
		code = list_show(ctl, args, &module_list, path);
	free(path);
	return code;
}

/* --- one module --- */

static void
print_types(FILE *out, const json_t *types)
{
	fputc('(', out);
	for (size_t i = 0; i < json_array_size(types); i++) {
		const char *type = json_string_value(json_array_get(types, i));

		fputs(i > 0 ? " " : "", out);
		if (type != NULL)
			output_text(out, type, strlen(type));
	}
	fputc(')', out);
}

/* "1 to 16", "1 or more"; i64 addresses and sharing behind it */
static void
print_bounds(FILE *out, const json_t *item)
{
	const char *address = ctl_text(item, "address");

	fprintf(out, "%" PRIu64, ctl_uint(item, "min"));
	if (json_is_integer(json_object_get(item, "max")))
		fprintf(out, " to %" PRIu64, ctl_uint(item, "max"));
	else
		fputs(" or more", out);
	if (address[0] != '\0') {
		fputs(", ", out);
		output_text(out, address, strlen(address));
	}
	if (json_is_true(json_object_get(item, "shared")))
		fputs(", shared", out);
}

/* "(i32 i32) -> (i32)", "1 or more funcref", "mutable i32" */
static void
print_extern_type(FILE *out, const json_t *item)
{
	const char *type = ctl_text(item, "type");

	if (json_is_array(json_object_get(item, "params")))
		print_types(out, json_object_get(item, "params"));
	if (json_is_array(json_object_get(item, "results"))) {
		fputs(" -> ", out);
		print_types(out, json_object_get(item, "results"));
	}
	if (json_is_integer(json_object_get(item, "min")))
		print_bounds(out, item);
	if (json_is_true(json_object_get(item, "mutable")))
		fputs("mutable", out);
	if (type[0] != '\0') {
		fputc(' ', out);
		output_text(out, type, strlen(type));
	}
}

/* "  func    add (i32 i32) -> (i32)" */
static void
print_extern(FILE *out, const json_t *item)
{
	const char *module = ctl_text(item, "module"), *name = ctl_text(item, "name");
	const char *kind = ctl_text(item, "kind");

	fputs("  ", out);
	output_text(out, kind, strlen(kind));
	fprintf(out, "%*s", strlen(kind) < 7 ? (int)(7 - strlen(kind)) : 1, "");
	if (module[0] != '\0') {
		output_text(out, module, strlen(module));
		fputc('.', out);
	}
	output_text(out, name, strlen(name));
	fputc(' ', out);
	print_extern_type(out, item);
	fputc('\n', out);
}

static void
print_externs(FILE *out, const char *title, const json_t *items)
{
	if (json_array_size(items) == 0)
		return;
	fprintf(out, "%s\n", title);
	for (size_t i = 0; i < json_array_size(items); i++)
		print_extern(out, json_array_get(items, i));
}

static void
print_words(FILE *out, const char *title, const json_t *words)
{
	if (json_array_size(words) == 0)
		return;
	fprintf(out, "%-10s", title);
	for (size_t i = 0; i < json_array_size(words); i++) {
		const char *word = json_string_value(json_array_get(words, i));

		fputs(i > 0 ? " " : "", out);
		if (word != NULL)
			output_text(out, word, strlen(word));
	}
	fputc('\n', out);
}

/* "native    failed: not done within 10 s" */
static void
print_compile(FILE *out, const char *title, const json_t *compile)
{
	const char *state = ctl_text(compile, "state"), *detail = ctl_text(compile, "detail");

	if (state[0] == '\0' || strcmp(state, "none") == 0)
		return;
	fprintf(out, "%-10s", title);
	output_text(out, state, strlen(state));
	if (detail[0] != '\0') {
		fputs(": ", out);
		output_text(out, detail, strlen(detail));
	}
	fputc('\n', out);
}

static void
print_module(FILE *out, const json_t *module)
{
	char text[OUTPUT_SHORT_MAX];

	output_field(out, "digest", ctl_text(module, "digest"));
	output_field(out, "size", output_size(ctl_uint(module, "size"), text));
	output_field(out, "stored", ctl_text(module, "created_at"));
	print_words(out, "tags", json_object_get(module, "tags"));
	print_words(out, "features", json_object_get(module, "features"));
	print_words(out, "ignored", json_object_get(module, "ignored_sections"));
	print_compile(out, "native", json_object_get(module, "compile"));
	print_compile(out, "metered", json_object_get(module, "compile_metered"));
	print_externs(out, "imports", json_object_get(module, "imports"));
	print_externs(out, "exports", json_object_get(module, "exports"));
}

int
verb_module_inspect(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_response response = { 0 };
	json_t *json = NULL;
	char *path = NULL;
	int code = ctl_module_path(ctl, args->words[0], &path);

	if (code == 0)
		code = ctl_get(ctl, path, &response, &json);
	if (code == 0 && ctl_wants_document(ctl))
		code = ctl_document(ctl, &response);
	else if (code == 0 && ctl->format == CTL_PLAIN_NAME)
		output_field(ctl->out, "", ctl_text(json, "digest"));
	else if (code == 0)
		print_module(ctl->out, json);
	json_decref(json);
	http_response_clear(&response);
	free(path);
	return code;
}

/* Is it a file that can be replaced by another, or nothing yet? Not a device, say. */
static bool
is_replaceable(const char *name)
{
	struct stat st;

	return stat(name, &st) != 0 || S_ISREG(st.st_mode);
}

/* Performs the request with its body going to the file; the code of whatever failed first. */
static int
fetch_to(struct ctl *ctl, struct http_request *request, const char *name)
{
	struct http_response response = { 0 };
	FILE *file = fopen(name, "wbe");

	if (file == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", name, strerror(errno));
	request->sink = http_sink_file;
	request->sink_context = file;
	int code = ctl_request(ctl, request, &response);
	bool written = !ferror(file);
	if ((fclose(file) != 0 || !written) && code == 0)
		code =
		    ctl_fail(ctl, EXIT_CODE_FAILED, "cannot write %s: %s", name, strerror(errno));
	http_response_clear(&response);
	return code;
}

/* The same, but the file has all the bytes or stays as it was. */
static int
fetch_whole(struct ctl *ctl, struct http_request *request, const char *name)
{
	char *part = NULL;
	int code;

	if (!is_replaceable(name))
		return fetch_to(ctl, request, name);
	code = ctl_format(ctl, &part, "%s.part", name);
	if (code != 0)
		return code;
	code = fetch_to(ctl, request, part);
	if (code == 0 && rename(part, name) != 0)
		code = ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", name, strerror(errno));
	if (code != 0)
		unlink(part);
	free(part);
	return code;
}

int
verb_module_get(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .accept = WASM_TYPE };
	const char *name = cli_value(args, "out");
	char *path = NULL;

	if (name == NULL)
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "say where to put the module: -O FILE, or -O -");
	bool to_stdout = strcmp(name, "-") == 0;
	if (to_stdout && ctl->out_is_terminal)
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "a module is no text for a terminal: give -O FILE");
	int code = ctl_module_path(ctl, args->words[0], &path);
	request.path = path;
	if (code == 0 && to_stdout) {
		request.sink = http_sink_file;
		request.sink_context = ctl->out;
		code = ctl_perform(ctl, &request, NULL);
	} else if (code == 0) {
		code = fetch_whole(ctl, &request, name);
	}
	free(path);
	return code;
}

int
verb_module_rm(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "DELETE" };
	char *path = NULL, *url = NULL;
	int code = ctl_module_path(ctl, args->words[0], &path);

	if (code == 0)
		code = ctl_format(ctl, &url, "%s%s", path,
		                  cli_has(args, "force") ? "?force=true" : "");
	request.path = url;
	if (code == 0)
		code = ctl_perform(ctl, &request, NULL);
	free(url);
	free(path);
	return code;
}
