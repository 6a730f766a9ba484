/*
 * ctl.h - what every verb of wasmedgectl works with: settings, streams, the connection.
 *
 * A verb is a function int verb(void *context, const struct cli_args *args); context is a struct
 * ctl, the result an exit code (exitcode.h). Whoever finds out that something failed says so, on
 * standard error, and returns the code; callers pass it on without a word of their own.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "client/cli/cli.h"
#include "client/wasmedgectl/exitcode.h"
#include "client/wasmedgectl/http.h"

#define CTL_NAME "wasmedgectl"
#define CTL_TCP_DEFAULT "http://127.0.0.1:8737"
#define CTL_SOCKET_DEFAULT "/run/wasmedged/api.sock"

enum ctl_format { CTL_TABLE, CTL_JSON, CTL_YAML, CTL_PLAIN_NAME };

struct ctl {
	FILE *out;
	FILE *err;
	bool out_is_terminal;
	bool err_is_terminal;
	size_t width; /* of the terminal of out; 0 when it is none */
	enum ctl_format format;
	bool verbose;
	unsigned timeout_ms; /* of one request; 0 for none */
	const struct cli_args *args;
	char *host;           /* NULL until ctl_settle */
	const char *host_why; /* where it comes from, for people */
	char *token_file;     /* NULL: no token */
	struct http *http;    /* made by the first request */
};

/* Read the options of every verb, which args, borrowed, may have. Once, before the verb runs. */
int ctl_init(struct ctl *ctl, const struct cli_args *args, FILE *out, FILE *err);
void ctl_clear(struct ctl *ctl);

/*
 * Find out host and token, unless that is done: from options, environment, contexts, defaults, in
 * that order. Done by ctl_connect; only verbs that speak of the host call it themselves.
 */
int ctl_settle(struct ctl *ctl);

/* Say "wasmedgectl: ..." on standard error, made safe for a terminal, and return code. */
int ctl_fail(struct ctl *ctl, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same without a code, for what is no failure. */
void ctl_note(struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Get ready for requests, unless that is done. */
int ctl_connect(struct ctl *ctl);

/*
 * Perform a request; its timeout is the user's unless it has one. Returns 0 when the reply is
 * 2xx; else the failure has been reported, with the problem document if there is one.
 * The response has to be cleared in any case.
 */
int ctl_request(struct ctl *ctl, const struct http_request *request,
                struct http_response *out_response);

/*
 * The same, and show(ctl, response) when there is something to show (show may be NULL); the
 * response is cleared.
 */
int ctl_perform(struct ctl *ctl, const struct http_request *request,
                int (*show)(struct ctl *ctl, const struct http_response *response));

/* The second half of ctl_request, for who performs the request himself. */
int ctl_check(struct ctl *ctl, enum http_result result, const struct http_response *response);

/*
 * The tree of a reply's JSON, which the caller frees with json_decref(). Guests' output may have
 * NULs in its strings. *out is untouched on failure.
 */
int ctl_json(struct ctl *ctl, const struct http_response *response, json_t **out);

/* GET a path and parse the reply; both outputs are valid only on 0, the response always cleared. */
int ctl_get(struct ctl *ctl, const char *path, struct http_response *out_response,
            json_t **out_json);

/* With -o json or yaml: write the document (json: byte by byte as it came); else do nothing. */
int ctl_document(struct ctl *ctl, const struct http_response *response);
static inline bool
ctl_wants_document(const struct ctl *ctl)
{
	return ctl->format == CTL_JSON || ctl->format == CTL_YAML;
}

/*
 * GET a list page by page and call item for each item until limit (0: all). With -o json or yaml
 * the pages are written instead, each as a document. path ends in '?' or '&'.
 */
typedef void ctl_item(void *context, const json_t *item);
int ctl_list(struct ctl *ctl, const char *path, uint64_t limit, ctl_item *item, void *context);

/*
 * With -o table: print a table as wide as the terminal. With -o name nothing is printed here: the
 * names have been, one by one.
 */
struct output_table;
int ctl_table(struct ctl *ctl, const struct output_table *table);

/* Members of a reply; absent or of another kind: "" and 0. Texts belong to the tree. */
const char *ctl_text(const json_t *json, const char *name);
uint64_t ctl_uint(const json_t *json, const char *name);

/* --- values of options --- */

/* "250ms", "10s", "2m", "1h", "10" (seconds): a code and a message when it is none of these. */
int ctl_parse_duration(struct ctl *ctl, const char *option, const char *text, unsigned *out_ms);
int ctl_parse_uint(struct ctl *ctl, const char *option, const char *text, uint64_t *out);

/* --- names of modules --- */

/*
 * The path "/v1/modules/REF" for what a user calls a module: a tag, a digest, or a unique
 * beginning of a digest (12 digits or more, with or without "sha256:"), which is looked up. The
 * caller frees it.
 */
int ctl_module_path(struct ctl *ctl, const char *ref, char **out_path);

/* The digest of a module so called, asked of the daemon unless it is one. */
#define CTL_DIGEST_MAX 72
int ctl_module_digest(struct ctl *ctl, const char *ref, char out[static CTL_DIGEST_MAX]);

/* "/v1/tags/NS/NAME[/TAG]" of a tag; with_tag false leaves out the last part. */
int ctl_tag_path(struct ctl *ctl, const char *text, bool with_tag, char **out_path);

/* asprintf that reports memory trouble. The caller frees *out. */
int ctl_format(struct ctl *ctl, char **out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "key=PERCENT-ENCODED&" appended to a path; value NULL appends nothing. *path may move. */
int ctl_add_query(struct ctl *ctl, char **path, const char *key, const char *value);

/* A digest short enough for tables: "sha256:" and 12 digits, or what the text is. */
const char *ctl_short_digest(const char *digest, char buf[static 24]);

/*
 * Read a whole file ("-": standard input) of at most bytes_max into *out, NUL-terminated, which
 * the caller frees.
 */
int ctl_read_file(struct ctl *ctl, const char *name, size_t bytes_max, char **out, size_t *out_len);

/* Write a whole file ("-": standard output); one that fails leaves nothing behind. */
int ctl_write_file(struct ctl *ctl, const char *name, const char *bytes, size_t len);

/* Let a request's body be a file ("-": standard input), sent as it is read. */
int ctl_open_body(struct ctl *ctl, const char *name, const char *content_type,
                  struct http_request *request);
void ctl_close_body(const struct http_request *request);
