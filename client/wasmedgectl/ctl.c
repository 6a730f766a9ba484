#include "client/wasmedgectl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "client/wasmedgectl/contexts.h"
#include "client/wasmedgectl/interrupt.h"
#include "client/wasmedgectl/output.h"
#include "rpc/ref.h"
#include "rpc/route.h"

#define TOKEN_BYTES_MAX 4096
#define PAGE_ITEMS 1000
#define PAGES_MAX 100000 /* a server that never ends its list must not keep us for ever */
#define PREFIX_DIGITS_MIN 12

/* --- saying things --- */

static void
say(FILE *err, const char *format, va_list ap)
{
	char *text = NULL;
	int len = vasprintf(&text, format, ap);

	fputs(CTL_NAME ": ", err);
	if (len < 0)
		fputs("out of memory", err);
	else
		output_text(err, text, (size_t)len);
	fputc('\n', err);
	if (len >= 0)
		free(text);
}

int
ctl_fail(struct ctl *ctl, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(ctl->err, format, ap);
	va_end(ap);
	return code;
}

void
ctl_note(struct ctl *ctl, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(ctl->err, format, ap);
	va_end(ap);
}

static int
no_memory(struct ctl *ctl)
{
	return ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
}

int
ctl_format(struct ctl *ctl, char **out, const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, format);
	int len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0)
		return no_memory(ctl);
	*out = text;
	return 0;
}

/* --- settings --- */

static int
parse_format(struct ctl *ctl, const char *text)
{
	static const struct {
		const char *name;
		enum ctl_format format;
	} formats[] = {
		{ "table", CTL_TABLE },
		{ "json", CTL_JSON },
		{ "yaml", CTL_YAML },
		{ "name", CTL_PLAIN_NAME },
	};

	if (text == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(text, formats[i].name) == 0) {
			ctl->format = formats[i].format;
			return 0;
		}
	return ctl_fail(ctl, EXIT_CODE_USAGE,
	                "--output: expected table, json, yaml or name, found %s", text);
}

int
ctl_parse_uint(struct ctl *ctl, const char *option, const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > INT64_MAX)
		return ctl_fail(ctl, EXIT_CODE_USAGE, "--%s: expected a whole number, found %s",
		                option, text);
	*out = value;
	return 0;
}

int
ctl_parse_duration(struct ctl *ctl, const char *option, const char *text, unsigned *out_ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "", 1e3 }, { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 3.6e6 } };
	size_t len = strspn(text, "0123456789.");
	char *end = NULL;
	double value = len > 0 && len < 20 ? strtod(text, &end) : -1;

	for (size_t i = 0; end == text + len && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(text + len, units[i].unit) == 0 && value * units[i].ms >= 1 &&
		    value * units[i].ms <= 86400e3) {
			*out_ms = (unsigned)(value * units[i].ms);
			return 0;
		}
	return ctl_fail(ctl, EXIT_CODE_USAGE,
	                "--%s: expected a time from 1ms to 24h such as 250ms, 10s or 2m, found %s",
	                option, text);
}

static size_t
terminal_width(FILE *file)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");

	if (!isatty(fileno(file)))
		return 0;
	if (columns != NULL && atoi(columns) > 0)
		return (size_t)atoi(columns);
	return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static int
set_text(struct ctl *ctl, char **out, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return no_memory(ctl);
	free(*out);
	*out = copy;
	return 0;
}

/* Host and token of a context; name NULL is the current one, which need not exist. */
static int
use_context(struct ctl *ctl, const char *name)
{
	struct contexts contexts;
	char message[CONTEXTS_MESSAGE_BYTES];
	int code = 0;

	if (!contexts_load(&contexts, message)) {
		/* Without a home there are no contexts; that matters only to who names one. */
		if (name == NULL && getenv("HOME") == NULL && getenv("XDG_CONFIG_HOME") == NULL)
			return 0;
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s", message);
	}
	const char *which = name != NULL ? name : contexts_current(&contexts);
	if (which != NULL && !contexts_has(&contexts, which)) {
		code =
		    ctl_fail(ctl, EXIT_CODE_USAGE,
		             "there is no context %s (" CTL_NAME " context ls lists them)", which);
	} else if (which != NULL) {
		const char *token_file = contexts_token_file(&contexts, which);

		code = set_text(ctl, &ctl->host, contexts_host(&contexts, which));
		if (code == 0 && token_file != NULL)
			code = set_text(ctl, &ctl->token_file, token_file);
		ctl->host_why = name != NULL ? "of the context given" : "of the current context";
	}
	contexts_clear(&contexts);
	return code;
}

static int
use_default(struct ctl *ctl)
{
	struct stat st;

	ctl->host_why = "the default";
	if (stat(CTL_SOCKET_DEFAULT, &st) == 0 && S_ISSOCK(st.st_mode))
		return set_text(ctl, &ctl->host, "unix:" CTL_SOCKET_DEFAULT);
	return set_text(ctl, &ctl->host, CTL_TCP_DEFAULT);
}

static int
settle_host(struct ctl *ctl, const struct cli_args *args)
{
	const char *host = cli_value(args, "host");
	const char *context = cli_value(args, "context");
	const char *variable = getenv("WASMEDGED_HOST");
	int code;

	if (host != NULL && context != NULL)
		return ctl_fail(ctl, EXIT_CODE_USAGE, "give --host or --context, not both");
	if (host != NULL) {
		ctl->host_why = "of --host";
		return set_text(ctl, &ctl->host, host);
	}
	if (context != NULL)
		return use_context(ctl, context);
	if (variable != NULL && variable[0] != '\0') {
		ctl->host_why = "of WASMEDGED_HOST";
		return set_text(ctl, &ctl->host, variable);
	}
	code = use_context(ctl, NULL);
	return code == 0 && ctl->host == NULL ? use_default(ctl) : code;
}

/* A token of a context goes to the host of that context only, so this comes after the host. */
static int
settle_token(struct ctl *ctl, const struct cli_args *args)
{
	const char *file = cli_value(args, "token-file");
	const char *variable = getenv("WASMEDGED_TOKEN_FILE");

	if (file == NULL && ctl->token_file == NULL && variable != NULL && variable[0] != '\0')
		file = variable;
	return file != NULL ? set_text(ctl, &ctl->token_file, file) : 0;
}

int
ctl_settle(struct ctl *ctl)
{
	int code = ctl->host == NULL ? settle_host(ctl, ctl->args) : 0;

	return code != 0 ? code : settle_token(ctl, ctl->args);
}

int
ctl_init(struct ctl *ctl, const struct cli_args *args, FILE *out, FILE *err)
{
	const char *timeout = cli_value(args, "timeout");
	int code;

	*ctl = (struct ctl){ .out = out, .err = err, .args = args };
	ctl->out_is_terminal = isatty(fileno(out));
	ctl->err_is_terminal = isatty(fileno(err));
	ctl->width = terminal_width(out);
	ctl->verbose = cli_has(args, "verbose");
	code = parse_format(ctl, cli_value(args, "output"));
	if (code == 0 && timeout != NULL)
		code = ctl_parse_duration(ctl, "timeout", timeout, &ctl->timeout_ms);
	return code;
}

void
ctl_clear(struct ctl *ctl)
{
	http_free(ctl->http);
	free(ctl->host);
	free(ctl->token_file);
	*ctl = (struct ctl){ 0 };
}

/* --- the connection --- */

int
ctl_read_file(struct ctl *ctl, const char *name, size_t bytes_max, char **out, size_t *out_len)
{
	bool is_stdin = strcmp(name, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(name, "rbe");
	size_t len = 0, capacity = 65536;
	char *bytes = NULL;
	int code = 0;

	if (file == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", name, strerror(errno));
	for (;;) {
		char *grown = realloc(bytes, capacity + 1);

		if (grown == NULL) {
			code = no_memory(ctl);
			break;
		}
		bytes = grown;
		len += fread(bytes + len, 1, capacity - len, file);
		if (len < capacity)
			break;
		capacity *= 2;
		if (len > bytes_max)
			break;
	}
	if (code == 0 && interrupt_pending())
		code = ctl_fail(ctl, EXIT_CODE_INTERRUPTED, "interrupted");
	else if (code == 0 && ferror(file))
		code = ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", name, strerror(errno));
	else if (code == 0 && len > bytes_max)
		code =
		    ctl_fail(ctl, EXIT_CODE_FAILED, "%s has more than %zu bytes", name, bytes_max);
	if (!is_stdin)
		fclose(file);
	if (code != 0) {
		free(bytes);
		return code;
	}
	bytes[len] = '\0';
	*out = bytes;
	*out_len = len;
	return 0;
}

int
ctl_open_body(struct ctl *ctl, const char *name, const char *content_type,
              struct http_request *request)
{
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rbe");
	struct stat st;

	request->content_type = content_type;
	request->body_file = file;
	if (file == NULL || fstat(fileno(file), &st) != 0)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", name, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s is a folder; expected a file", name);
	/* A pipe has no size, and somebody may have read from a redirected file already. */
	request->chunked = !S_ISREG(st.st_mode) || lseek(fileno(file), 0, SEEK_CUR) != 0;
	request->body_len = request->chunked ? 0 : (size_t)st.st_size;
	return 0;
}

void
ctl_close_body(const struct http_request *request)
{
	if (request->body_file != NULL && request->body_file != stdin)
		fclose(request->body_file);
}

int
ctl_connect(struct ctl *ctl)
{
	char message[HTTP_MESSAGE_BYTES];
	char *token = NULL;
	size_t len;
	int code;

	if (ctl->http != NULL)
		return 0;
	code = ctl_settle(ctl);
	if (code != 0)
		return code;
	if (ctl->token_file != NULL) {
		code = ctl_read_file(ctl, ctl->token_file, TOKEN_BYTES_MAX, &token, &len);
		if (code != 0)
			return code;
		token[strcspn(token, "\r\n")] = '\0';
	}
	ctl->http = http_new(ctl->host, token, ctl->verbose ? ctl->err : NULL, message);
	if (token != NULL)
		explicit_bzero(token, len);
	free(token);
	if (ctl->http == NULL)
		return ctl_fail(ctl, EXIT_CODE_USAGE, "%s", message);
	return 0;
}

static int
no_reply(struct ctl *ctl, enum http_result result, const struct http_response *response)
{
	switch (result) {
	case HTTP_UNREACHABLE:
		return ctl_fail(ctl, EXIT_CODE_UNREACHABLE,
		                "cannot reach %s: %s (" CTL_NAME " doctor looks closer)", ctl->host,
		                response->message);
	case HTTP_BROKEN:
		return ctl_fail(ctl, EXIT_CODE_UNREACHABLE, "the exchange with %s broke off: %s",
		                ctl->host, response->message);
	case HTTP_TIMEOUT:
		return ctl_fail(ctl, EXIT_CODE_DEADLINE, "%s: %s", ctl->host, response->message);
	case HTTP_INTERRUPTED:
		return ctl_fail(ctl, EXIT_CODE_INTERRUPTED, "interrupted");
	case HTTP_TOO_LARGE:
	case HTTP_NO_MEMORY:
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", ctl->host, response->message);
	case HTTP_OK:
	case HTTP_STOPPED:
		break;
	}
	return 0;
}

/* What to do about a problem, by its code. */
static const struct {
	const char *slug;
	const char *hint;
} hints[] = {
	{ "module-not-found", CTL_NAME " module ls lists those that are known" },
	{ "tag-not-found", CTL_NAME " tag ls lists those that exist" },
	{ "invocation-not-found", CTL_NAME " job ls lists those that are kept" },
	{ "function-not-found", CTL_NAME " module inspect REF lists what a module exports" },
	{ "argument-count", CTL_NAME " module inspect REF shows the types of its functions" },
	{ "not-a-command", "call one of its functions with " CTL_NAME " invoke" },
	{ "unauthenticated", "name a file that holds a token: --token-file FILE" },
	{ "forbidden", "use a token whose scopes allow this: --token-file FILE" },
	{ "module-in-use", "--force removes its tags, too; " CTL_NAME " tag rm removes one" },
	{ "precondition-failed", "somebody changed it: look again, then decide anew" },
	{ "disk-full", "the operator of the daemon has to make room" },
};

/* "at /args/1: ", "function 3: offset 0xbb: " */
static void
say_where(FILE *err, const json_t *place)
{
	const char *pointer = ctl_text(place, "pointer"), *parameter = ctl_text(place, "parameter");

	if (pointer[0] != '\0' || parameter[0] != '\0') {
		fputs("at ", err);
		output_text(err, pointer, strlen(pointer));
		output_text(err, parameter, strlen(parameter));
		fputs(": ", err);
	}
	if (json_is_integer(json_object_get(place, "line")))
		fprintf(err, "line %" PRIu64 ", column %" PRIu64 ": ", ctl_uint(place, "line"),
		        ctl_uint(place, "column"));
	if (json_is_integer(json_object_get(place, "function")))
		fprintf(err, "function %" PRIu64 ": ", ctl_uint(place, "function"));
	if (json_is_integer(json_object_get(place, "offset")))
		fprintf(err, "offset 0x%" PRIx64 ": ", ctl_uint(place, "offset"));
}

/* The places of a problem, each on a line, but for one that the first line tells already. */
static void
say_places(struct ctl *ctl, const json_t *problem)
{
	const json_t *errors = json_object_get(problem, "errors");
	const char *told = ctl_text(problem, "detail");

	for (size_t i = 0; i < json_array_size(errors) && i < 16; i++) {
		const json_t *place = json_array_get(errors, i);
		const char *detail = ctl_text(place, "detail");

		if (strcmp(detail, told) == 0)
			continue;
		fputs("  ", ctl->err);
		say_where(ctl->err, place);
		output_text(ctl->err, detail, strlen(detail));
		fputc('\n', ctl->err);
	}
}

static void
say_hint(struct ctl *ctl, const struct http_response *response, const char *slug)
{
	const char *retry_after = http_response_field(response, "Retry-After");

	if (retry_after != NULL)
		ctl_note(ctl, "try again in %.20s s", retry_after);
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (strcmp(hints[i].slug, slug) == 0)
			fprintf(ctl->err, "  hint: %s\n", hints[i].hint);
}

static int
refused(struct ctl *ctl, const struct http_response *response)
{
	json_t *problem = NULL;
	char slug[64];

	if (http_response_is(response, "application/problem+json"))
		problem =
		    json_loadb(response->body, response->body_len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(problem)) {
		json_decref(problem);
		return ctl_fail(ctl, exit_code_of_status(response->status, ""),
		                "%s answered with status %ld and no explanation", ctl->host,
		                response->status);
	}
	snprintf(slug, sizeof(slug), "%s", ctl_text(problem, "code"));
	const char *detail = ctl_text(problem, "detail");
	if (detail[0] == '\0')
		detail = ctl_text(problem, "title");
	ctl_note(ctl, "%s (%ld %s)", detail, response->status, slug);
	say_places(ctl, problem);
	say_hint(ctl, response, slug);
	if (ctl->verbose && ctl_text(problem, "request_id")[0] != '\0')
		ctl_note(ctl, "the daemon's log knows it as %s", ctl_text(problem, "request_id"));
	json_decref(problem);
	return exit_code_of_status(response->status, slug);
}

int
ctl_check(struct ctl *ctl, enum http_result result, const struct http_response *response)
{
	int code = no_reply(ctl, result, response);

	bool is_good = response->status >= 200 && response->status < 300;

	return code == 0 && !is_good ? refused(ctl, response) : code;
}

int
ctl_request(struct ctl *ctl, const struct http_request *request, struct http_response *out_response)
{
	struct http_request timed = *request;
	int code = ctl_connect(ctl);

	*out_response = (struct http_response){ 0 };
	if (code != 0)
		return code;
	if (timed.timeout_ms == 0)
		timed.timeout_ms = ctl->timeout_ms;
	return ctl_check(ctl, http_perform(ctl->http, &timed, out_response), out_response);
}

int
ctl_perform(struct ctl *ctl, const struct http_request *request,
            int (*show)(struct ctl *ctl, const struct http_response *response))
{
	struct http_response response = { 0 };
	int code = ctl_request(ctl, request, &response);

	if (code == 0 && show != NULL)
		code = show(ctl, &response);
	http_response_clear(&response);
	return code;
}

int
ctl_json(struct ctl *ctl, const struct http_response *response, json_t **out)
{
	json_error_t error;
	json_t *json = json_loadb(response->body, response->body_len,
	                          JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

	if (json == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED,
		                "%s answered with bad JSON: line %d, column %d: %s", ctl->host,
		                error.line, error.column, error.text);
	*out = json;
	return 0;
}

int
ctl_get(struct ctl *ctl, const char *path, struct http_response *out_response, json_t **out_json)
{
	const struct http_request request = { .path = path, .accept = "application/json" };
	int code = ctl_request(ctl, &request, out_response);

	return code != 0 ? code : ctl_json(ctl, out_response, out_json);
}

static int
write_yaml(struct ctl *ctl, const struct http_response *response)
{
	json_t *json = NULL;
	int code = ctl_json(ctl, response, &json);

	if (code != 0)
		return code;
	fputs("---\n", ctl->out);
	if (!output_yaml(ctl->out, json))
		code = no_memory(ctl);
	json_decref(json);
	return code;
}

int
ctl_document(struct ctl *ctl, const struct http_response *response)
{
	if (ctl->format == CTL_YAML)
		return write_yaml(ctl, response);
	if (ctl->format != CTL_JSON || response->body_len == 0)
		return 0;
	if (ctl->out_is_terminal)
		output_lines(ctl->out, response->body, response->body_len);
	else
		fwrite(response->body, 1, response->body_len, ctl->out);
	if (response->body[response->body_len - 1] != '\n')
		fputc('\n', ctl->out);
	return 0;
}

int
ctl_table(struct ctl *ctl, const struct output_table *table)
{
	if (ctl->format != CTL_TABLE || output_table_print(table, ctl->out, ctl->width))
		return 0;
	return no_memory(ctl);
}

const char *
ctl_text(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL ? text : "";
}

uint64_t
ctl_uint(const json_t *json, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(json, name));

	return value > 0 ? (uint64_t)value : 0;
}

/* --- paths --- */

int
ctl_add_query(struct ctl *ctl, char **path, const char *key, const char *value)
{
	if (value == NULL)
		return 0;
	char *encoded = malloc(3 * strlen(value) + 1);
	if (encoded == NULL)
		return no_memory(ctl);
	encoded[rpc_percent_encode(value, strlen(value), encoded)] = '\0';
	char *longer = NULL;
	int code = ctl_format(ctl, &longer, "%s%s=%s&", *path, key, encoded);
	free(encoded);
	if (code == 0) {
		free(*path);
		*path = longer;
	}
	return code;
}

/* One page; *cursor is the next one's afterwards, NULL behind the last. Counts *done up. */
static int
list_page(struct ctl *ctl, const char *path, uint64_t limit, uint64_t *done, char **cursor,
          ctl_item *item, void *context)
{
	struct http_response response = { 0 };
	json_t *json = NULL;
	char *url = NULL;
	uint64_t ask = limit != 0 && limit - *done < PAGE_ITEMS ? limit - *done : PAGE_ITEMS;
	int code = ctl_format(ctl, &url, "%slimit=%" PRIu64 "&", path, ask);

	if (code == 0)
		code = ctl_add_query(ctl, &url, "cursor", *cursor);
	if (code != 0)
		goto done;
	url[strlen(url) - 1] = '\0'; /* the last '&' */
	code = ctl_get(ctl, url, &response, &json);
	if (code != 0)
		goto done;
	const json_t *items = json_object_get(json, "items");
	size_t count = json_array_size(items);
	if (ctl_wants_document(ctl))
		code = ctl_document(ctl, &response);
	else
		for (size_t i = 0; i < count && (limit == 0 || *done + i < limit); i++)
			item(context, json_array_get(items, i));
	*done += count;
	free(*cursor);
	*cursor = NULL;
	/* A page without items ends the list, whatever it says. */
	const char *next = ctl_text(json, "next_cursor");
	if (code == 0 && next[0] != '\0' && count > 0)
		code = set_text(ctl, cursor, next);
done:
	json_decref(json);
	http_response_clear(&response);
	free(url);
	return code;
}

int
ctl_list(struct ctl *ctl, const char *path, uint64_t limit, ctl_item *item, void *context)
{
	char *cursor = NULL;
	uint64_t done = 0;
	int code = 0;

	for (unsigned pages = 0; code == 0 && pages < PAGES_MAX; pages++) {
		code = list_page(ctl, path, limit, &done, &cursor, item, context);
		if (cursor == NULL || (limit != 0 && done >= limit))
			break;
	}
	free(cursor);
	return code;
}

/* --- names of modules --- */

struct prefix_search {
	const char *prefix; /* hexadecimal digits */
	char found[CTL_DIGEST_MAX];
	unsigned matches;
};

static void
match_prefix(void *context, const json_t *item)
{
	struct prefix_search *search = context;
	const char *digest = ctl_text(item, "digest");

	if (strncmp(digest, "sha256:", 7) != 0 ||
	    strncmp(digest + 7, search->prefix, strlen(search->prefix)) != 0)
		return;
	search->matches++;
	snprintf(search->found, sizeof(search->found), "%s", digest);
}

static int
find_prefix(struct ctl *ctl, const char *prefix, char out[static CTL_DIGEST_MAX])
{
	struct prefix_search search = { .prefix = prefix };
	enum ctl_format format = ctl->format;

	ctl->format = CTL_TABLE; /* the list is ours, not the answer */
	int code = ctl_list(ctl, "/v1/modules?", 0, match_prefix, &search);
	ctl->format = format;
	if (code != 0)
		return code;
	if (search.matches == 0)
		return ctl_fail(ctl, EXIT_CODE_NOT_FOUND,
		                "no module has a digest that begins with %s", prefix);
	if (search.matches > 1)
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "%u modules have a digest that begins with %s: give more digits",
		                search.matches, prefix);
	memcpy(out, search.found, CTL_DIGEST_MAX);
	return 0;
}

static bool
is_prefix(const char *hex)
{
	size_t len = strlen(hex);

	return len >= PREFIX_DIGITS_MIN && len < 64 && strspn(hex, "0123456789abcdef") == len;
}

int
ctl_module_path(struct ctl *ctl, const char *ref, char **out_path)
{
	const char *hex = strncmp(ref, "sha256:", 7) == 0 ? ref + 7 : ref;
	struct rpc_problem problem;
	struct rpc_ref parsed;
	char text[RPC_REF_TEXT_MAX];
	char digest[CTL_DIGEST_MAX];

	if (is_prefix(hex)) {
		int code = find_prefix(ctl, hex, digest);
		return code != 0 ? code : ctl_format(ctl, out_path, "/v1/modules/%s", digest);
	}
	if (strlen(hex) == 64 && hex == ref && strspn(hex, "0123456789abcdef") == 64)
		return ctl_format(ctl, out_path, "/v1/modules/sha256:%s", hex);
	if (rpc_ref_parse(ref, strlen(ref), &parsed, &problem) != RPC_OK)
		return ctl_fail(ctl, EXIT_CODE_USAGE, "%s: %s", ref, problem.detail);
	rpc_ref_text(&parsed, text);
	return ctl_format(ctl, out_path, "/v1/modules/%s", text);
}

int
ctl_module_digest(struct ctl *ctl, const char *ref, char out[static CTL_DIGEST_MAX])
{
	static const char digest_path[] = "/v1/modules/sha256:";
	struct http_response response = { 0 };
	json_t *json = NULL;
	char *path = NULL;
	int code = ctl_module_path(ctl, ref, &path);

	if (code == 0 && strncmp(path, digest_path, strlen(digest_path)) == 0) {
		snprintf(out, CTL_DIGEST_MAX, "%s", path + strlen("/v1/modules/"));
	} else if (code == 0) {
		code = ctl_get(ctl, path, &response, &json);
		if (code == 0)
			snprintf(out, CTL_DIGEST_MAX, "%s", ctl_text(json, "digest"));
	}
	json_decref(json);
	http_response_clear(&response);
	free(path);
	return code;
}

int
ctl_tag_path(struct ctl *ctl, const char *text, bool with_tag, char **out_path)
{
	struct rpc_problem problem;
	struct rpc_ref ref;

	if (rpc_ref_parse_tag(text, strlen(text), &ref, &problem) != RPC_OK)
		return ctl_fail(ctl, EXIT_CODE_USAGE, "%s: %s", text, problem.detail);
	return ctl_format(ctl, out_path, "/v1/tags/%s/%s%s%s", ref.ns, ref.name,
	                  with_tag ? "/" : "", with_tag ? ref.tag : "");
}

const char *
ctl_short_digest(const char *digest, char buf[static 24])
{
	snprintf(buf, 24, "%.19s", digest);
	return buf;
}

/* Complete under its name, or not there at all. */
static int
write_whole(struct ctl *ctl, const char *name, const char *bytes, size_t len)
{
	char *part = NULL;

	int code = ctl_format(ctl, &part, "%s.part", name);
	if (code != 0)
		return code;
	FILE *file = fopen(part, "we");
	bool ok = file != NULL && fwrite(bytes, 1, len, file) == len;
	if (file != NULL && fclose(file) != 0)
		ok = false;
	if (!ok || rename(part, name) != 0) {
		code = ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", name, strerror(errno));
		unlink(part);
	}
	free(part);
	return code;
}

int
ctl_write_file(struct ctl *ctl, const char *name, const char *bytes, size_t len)
{
	if (strcmp(name, "-") != 0)
		return write_whole(ctl, name, bytes, len);
	if (fwrite(bytes, 1, len, ctl->out) != len)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s", strerror(errno));
	return 0;
}
