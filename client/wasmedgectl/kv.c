/*
 * kv.c - the verbs that read, store, remove and list values under keys.
 *
 * A key on the command line is text; one that begins with "hex:" is the bytes behind that in
 * hexadecimal digits, and so is written what is no text, or would be taken for digits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/list.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"
#include "rpc/guestvalue.h"
#include "rpc/ref.h"
#include "rpc/route.h"

#define HEX "hex:"
#define HEX_LEN (sizeof(HEX) - 1)
#define VALUE_MAX ((size_t)512 << 20)
#define LINE_MAX_BYTES 64

/* --- where a value is --- */

/* May the key stand in a path? There, parts between slashes are neither empty nor "." or "..". */
static bool
is_plain(const char *key)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_~.:@/";

	return key[0] != '\0' && key[0] != '/' && key[0] != '.' &&
	       strspn(key, plain) == strlen(key) && strstr(key, "//") == NULL &&
	       strstr(key, "/.") == NULL && key[strlen(key) - 1] != '/';
}

/* "/v1/kv/NS/KEY"; the caller frees it. */
static int
kv_path(struct ctl *ctl, const char *ns, const char *key, char **out)
{
	const bool is_hex = strncmp(key, HEX, HEX_LEN) == 0;
	const size_t len = strlen(key);
	char *ns_part = malloc(3 * strlen(ns) + 1);
	char *digits = malloc(2 * len + 1);
	int code;

	if (ns_part == NULL || digits == NULL) {
		code = ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
	} else {
		rpc_percent_encode(ns, strlen(ns), ns_part);
		rpc_hex_encode(key, len, digits);
		digits[2 * len] = '\0';
		if (!is_hex && is_plain(key))
			code = ctl_format(ctl, out, "/v1/kv/%s/%s?", ns_part, key);
		else if (!is_hex)
			code = ctl_format(ctl, out, "/v1/kv/%s/%s?encoding=hex&", ns_part, digits);
		else if (key[HEX_LEN] != '\0' &&
		         strspn(key + HEX_LEN, "0123456789abcdefABCDEF") == len - HEX_LEN)
			code = ctl_format(ctl, out, "/v1/kv/%s/%s?encoding=hex&", ns_part,
			                  key + HEX_LEN);
		else
			code = ctl_fail(ctl, EXIT_CODE_USAGE,
			                "%s: expected hexadecimal digits behind " HEX, key);
	}
	free(ns_part);
	free(digits);
	return code;
}

/* Cut off the '?' or '&' behind which more could come. */
static void
end_path(char *path)
{
	path[strlen(path) - 1] = '\0';
}

/* The header line of --if-revision, "" without it. */
static int
if_revision_line(struct ctl *ctl, const struct cli_args *args, char line[LINE_MAX_BYTES])
{
	const char *text = cli_value(args, "if-revision");
	uint64_t revision = 0;

	line[0] = '\0';
	if (text == NULL)
		return 0;
	int code = ctl_parse_uint(ctl, "if-revision", text, &revision);
	if (code == 0)
		snprintf(line, LINE_MAX_BYTES, "If-Match: \"%llu\"", (unsigned long long)revision);
	return code;
}

static int
guest_type(struct ctl *ctl, const char *option, const char *text, enum rpc_guest_type *out)
{
	if (rpc_guest_type_find(text, out))
		return 0;
	return ctl_fail(ctl, EXIT_CODE_USAGE, "--%s: expected one of %s, found %s", option,
	                RPC_GUEST_WORDS, text);
}

/* --- get --- */

static int
write_bytes(struct ctl *ctl, const struct cli_args *args, const char *bytes, size_t len)
{
	const char *name = cli_value(args, "out");
	const bool to_stdout = name == NULL || strcmp(name, "-") == 0;
	FILE *file = to_stdout ? ctl->out : fopen(name, "wbe");

	if (file == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", name, strerror(errno));
	if (to_stdout && ctl->out_is_terminal)
		output_lines(file, bytes, len);
	else
		fwrite(bytes, 1, len, file);
	bool is_written = !ferror(file);
	if (!to_stdout)
		is_written = fclose(file) == 0 && is_written;
	return is_written ? 0
	                  : ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s",
	                             to_stdout ? "standard output" : name, strerror(errno));
}

/* What a guest stored, as text and a newline; bytes as they are. */
static int
show_decoded(struct ctl *ctl, const struct cli_args *args, enum rpc_guest_type type,
             const struct http_response *response)
{
	char error[RPC_GUEST_ERROR_MAX];
	char *text = NULL;
	size_t len = 0;

	if (!rpc_guest_decode(type, response->body, response->body_len, &text, &len, error))
		return ctl_fail(ctl, EXIT_CODE_FAILED, "the value is no %s of a guest: %s",
		                rpc_guest_type_text(type), error);
	if (type != RPC_GUEST_BYTES)
		text[len++] = '\n'; /* in the place of the NUL */
	int code = write_bytes(ctl, args, text, len);
	free(text);
	return code;
}

int
verb_kv_get(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { 0 };
	struct http_response response = { 0 };
	const char *decode = cli_value(args, "decode");
	enum rpc_guest_type type = RPC_GUEST_BYTES;
	char *path = NULL;
	int code = decode != NULL ? guest_type(ctl, "decode", decode, &type) : 0;

	if (code == 0)
		code = kv_path(ctl, args->words[0], args->words[1], &path);
	if (code == 0) {
		end_path(path);
		request.path = path;
		code = ctl_request(ctl, &request, &response);
	}
	if (code == 0 && decode != NULL)
		code = show_decoded(ctl, args, type, &response);
	else if (code == 0)
		code = write_bytes(ctl, args, response.body, response.body_len);
	http_response_clear(&response);
	free(path);
	return code;
}

/* --- put --- */

/* The value's bytes: of the command line, or of a file; as a guest would store them if asked to. */
static int
read_value(struct ctl *ctl, const struct cli_args *args, char **out, size_t *out_len)
{
	const char *file = cli_value(args, "file");
	const char *encode = cli_value(args, "encode");
	enum rpc_guest_type type = RPC_GUEST_BYTES;
	char error[RPC_GUEST_ERROR_MAX];
	uint8_t *bytes = NULL;
	int code = 0;

	if ((file == NULL) == (args->word_count < 3))
		return ctl_fail(ctl, EXIT_CODE_USAGE, "give either a VALUE or --file FILE");
	if (encode != NULL)
		code = guest_type(ctl, "encode", encode, &type);
	if (code == 0 && file != NULL)
		code = ctl_read_file(ctl, file, VALUE_MAX, out, out_len);
	else if (code == 0)
		code = ctl_format(ctl, out, "%s", args->words[2]);
	if (code != 0)
		return code;
	if (file == NULL)
		*out_len = strlen(*out);
	if (encode == NULL)
		return 0;
	if (!rpc_guest_encode(type, *out, *out_len, &bytes, out_len, error))
		return ctl_fail(ctl, EXIT_CODE_USAGE, "%s", error);
	free(*out);
	*out = (char *)bytes;
	return 0;
}

static const char *
content_type(const struct cli_args *args)
{
	if (cli_has(args, "type"))
		return cli_value(args, "type");
	return cli_has(args, "encode") || cli_has(args, "file") ? "application/octet-stream"
	                                                        : "text/plain; charset=utf-8";
}

/* The new revision; for people also what became of it. */
static int
show_stored(struct ctl *ctl, const struct http_response *response)
{
	char size[OUTPUT_SHORT_MAX];
	json_t *json = NULL;

	if (ctl_wants_document(ctl))
		return ctl_document(ctl, response);
	int code = ctl_json(ctl, response, &json);
	if (code != 0)
		return code;
	const char *expires = ctl_text(json, "expires_at");
	fprintf(ctl->out, "%llu\n", (unsigned long long)ctl_uint(json, "revision"));
	if (ctl->format == CTL_TABLE)
		ctl_note(ctl, "%s, %s%s%s",
		         json_is_true(json_object_get(json, "created")) ? "stored" : "replaced",
		         output_size(ctl_uint(json, "size"), size),
		         expires[0] != '\0' ? ", expires " : "", expires);
	json_decref(json);
	return 0;
}

int
verb_kv_put(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "PUT",
		                        .accept = "application/json",
		                        .content_type = content_type(args) };
	char line[LINE_MAX_BYTES];
	char *path = NULL, *value = NULL;

	if (cli_has(args, "new") && cli_has(args, "if-revision"))
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "--new and --if-revision exclude one another");
	int code = if_revision_line(ctl, args, line);
	if (code == 0)
		code = kv_path(ctl, args->words[0], args->words[1], &path);
	if (code == 0)
		code = ctl_add_query(ctl, &path, "ttl", cli_value(args, "ttl"));
	if (code == 0)
		code = read_value(ctl, args, &value, &request.body_len);
	if (code == 0) {
		end_path(path);
		request.path = path;
		request.body = value;
		if (cli_has(args, "new"))
			request.fields[0] = "If-None-Match: *";
		else if (line[0] != '\0')
			request.fields[0] = line;
		code = ctl_perform(ctl, &request, show_stored);
	}
	free(value);
	free(path);
	return code;
}

/* --- rm --- */

int
verb_kv_rm(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .method = "DELETE" };
	char line[LINE_MAX_BYTES];
	char *path = NULL;
	int code = if_revision_line(ctl, args, line);

	if (code == 0)
		code = kv_path(ctl, args->words[0], args->words[1], &path);
	if (code == 0) {
		end_path(path);
		request.path = path;
		request.fields[0] = line[0] != '\0' ? line : NULL;
		code = ctl_perform(ctl, &request, NULL);
	}
	free(path);
	return code;
}

/* --- ls --- */

static void
print_key(FILE *out, const json_t *item)
{
	const json_t *key = json_object_get(item, "key");
	const char *text = json_string_value(key);

	if (text == NULL) {
		fprintf(out, HEX "%s", ctl_text(key, "hex"));
	} else if (strncmp(text, HEX, HEX_LEN) == 0) {
		fputs(HEX, out);
		for (; *text != '\0'; text++)
			fprintf(out, "%02x", (unsigned)(unsigned char)*text);
	} else {
		output_text(out, text, json_string_length(key));
	}
}

static void
add_entry(struct list *list, const json_t *item)
{
	const json_t *key = json_object_get(item, "key");
	char text[OUTPUT_SHORT_MAX];

	if (json_is_string(key))
		output_table_add(&list->table, json_string_value(key));
	else
		output_table_add_format(&list->table, HEX "%s", ctl_text(key, "hex"));
	output_table_add(&list->table, output_size(ctl_uint(item, "size"), text));
	output_table_add_format(&list->table, "%llu",
	                        (unsigned long long)ctl_uint(item, "revision"));
	output_table_add(&list->table, output_age(ctl_text(item, "updated_at"), list->now_s, text));
	output_table_add(&list->table,
	                 json_object_get(item, "expires_at") != NULL ? ctl_text(item, "expires_at")
	                                                             : NULL);
	output_table_add(&list->table,
	                 json_object_get(item, "content_type") != NULL
	                     ? ctl_text(item, "content_type")
	                     : NULL);
}

static const struct output_column entry_columns[] = {
	{ "KEY", OUTPUT_LEFT, true },      { "SIZE", OUTPUT_RIGHT, false },
	{ "REVISION", OUTPUT_RIGHT, false }, { "STORED", OUTPUT_LEFT, false },
	{ "EXPIRES", OUTPUT_LEFT, false }, { "TYPE", OUTPUT_LEFT, true },
};

static const struct list_kind entry_list = {
	.columns = entry_columns,
	.column_count = sizeof(entry_columns) / sizeof(entry_columns[0]),
	.print_name = print_key,
	.add_row = add_entry,
};

int
verb_kv_ls(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	const char *prefix = args->word_count > 1 ? args->words[1] : NULL;
	char *ns = malloc(3 * strlen(args->words[0]) + 1);
	char *path = NULL;

	if (ns == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
	rpc_percent_encode(args->words[0], strlen(args->words[0]), ns);
	const bool is_hex = prefix != NULL && strncmp(prefix, HEX, HEX_LEN) == 0;
	int code = ctl_format(ctl, &path, "/v1/kv/%s?%s", ns, is_hex ? "encoding=hex&" : "");
	if (code == 0)
		code = ctl_add_query(ctl, &path, "prefix", is_hex ? prefix + HEX_LEN : prefix);
	if (code == 0)
		code = list_show(ctl, args, &entry_list, path);
	free(path);
	free(ns);
	return code;
}
