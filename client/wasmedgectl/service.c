/* service.c - the verbs about the daemon itself, and about this program. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "client/cli/complete.h"
#include "client/wasmedgectl/contexts.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"
#include "config.h"

#define CLOCK_SKEW_MAX_S 5

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int
verb_ping(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .path = "/livez", .accept = "application/json" };
	struct http_response response = { 0 };
	char took[OUTPUT_SHORT_MAX];

	(void)args;
	int code = ctl_connect(ctl);
	uint64_t start_us = now_us();
	if (code == 0)
		code = ctl_request(ctl, &request, &response);
	if (code == 0 && ctl_wants_document(ctl)) {
		code = ctl_document(ctl, &response);
	} else if (code == 0) {
		output_text(ctl->out, ctl->host, strlen(ctl->host));
		fprintf(ctl->out, " lives (%s)\n", output_duration(now_us() - start_us, took));
	}
	http_response_clear(&response);
	return code;
}

int
verb_openapi(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_request request = { .path = "/v1/openapi.json", .accept = "application/json" };
	struct http_response response = { 0 };

	(void)args;
	if (ctl->format != CTL_YAML)
		ctl->format = CTL_JSON;
	int code = ctl_request(ctl, &request, &response);
	if (code == 0)
		code = ctl_document(ctl, &response);
	http_response_clear(&response);
	return code;
}

int
verb_version(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct http_response response = { 0 };
	json_t *json = NULL;

	(void)args;
	if (!ctl_wants_document(ctl))
		fprintf(ctl->out, CTL_NAME " " PACKAGE_VERSION "\n");
	fflush(ctl->out);
	int code = ctl_get(ctl, "/v1/version", &response, &json);
	if (code == 0 && ctl_wants_document(ctl)) {
		code = ctl_document(ctl, &response);
	} else if (code == 0) {
		const char *name = ctl_text(json, "name"), *version = ctl_text(json, "version");

		output_text(ctl->out, name, strlen(name));
		fputc(' ', ctl->out);
		output_text(ctl->out, version, strlen(version));
		fputc('\n', ctl->out);
	}
	json_decref(json);
	http_response_clear(&response);
	return code;
}

/* --- doctor --- */

enum finding { FINE, DOUBTFUL, WRONG };

/* What was found so far; it ends up as lines, or as one document. */
struct examination {
	struct ctl *ctl;
	json_t *checks;
	int code; /* of the first thing that is wrong */
};

static void found(struct examination *e, enum finding finding, int code, const char *what,
                  const char *advice, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

static void
found(struct examination *e, enum finding finding, int code, const char *what, const char *advice,
      const char *format, ...)
{
	static const char *const words[] = { "ok", "warning", "wrong" };
	FILE *out = e->ctl->out;
	char detail[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(detail, sizeof(detail), format, ap);
	va_end(ap);
	if (finding == WRONG && e->code == 0)
		e->code = code;
	if (ctl_wants_document(e->ctl)) {
		json_t *check = json_pack("{s:s, s:s, s:s}", "name", what, "result", words[finding],
		                          "detail", detail);
		if (finding != FINE && check != NULL)
			json_object_set_new(check, "advice", json_string(advice));
		json_array_append_new(e->checks, check);
		return;
	}
	fprintf(out, "%-8s %-10s ", words[finding], what);
	output_text(out, detail, strlen(detail));
	fputc('\n', out);
	if (finding != FINE)
		fprintf(out, "%-8s %-10s %s\n", "", "", advice);
}

/* A unix socket has to be there, to be one, and to be open to us. Returns false when it is not. */
static bool
examine_socket(struct examination *e, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		found(e, WRONG, EXIT_CODE_UNREACHABLE, "socket",
		      errno == EACCES
		          ? "you may not enter its folder: join the group of the socket"
		          : "start the daemon (systemctl start wasmedged.socket), or say where "
		            "it is with --host or WASMEDGED_HOST",
		      "%s: %s", path, strerror(errno));
		return false;
	}
	if (!S_ISSOCK(st.st_mode)) {
		found(e, WRONG, EXIT_CODE_UNREACHABLE, "socket",
		      "give --host the path that [listen] unix has in wasmedged.conf",
		      "%s is not a socket", path);
		return false;
	}
	if (access(path, R_OK | W_OK) != 0) {
		found(e, WRONG, EXIT_CODE_UNREACHABLE, "socket",
		      "join the group of the socket (usermod -aG), then log in again", "%s: %s",
		      path, strerror(errno));
		return false;
	}
	found(e, FINE, 0, "socket", "", "%s", path);
	return true;
}

/* A request whose failure is a finding, not an end. */
static enum http_result
probe(struct ctl *ctl, const char *path, struct http_response *out)
{
	const struct http_request request = {
		.path = path,
		.accept = "application/json",
		.timeout_ms = ctl->timeout_ms != 0 ? ctl->timeout_ms : HTTP_CONNECT_MS,
	};

	return http_perform(ctl->http, &request, out);
}

/* The detail of a problem document into buf, or the status alone. */
static const char *
why_refused(const struct http_response *response, char *buf, size_t size)
{
	json_t *problem = json_loadb(response->body, response->body_len, 0, NULL);
	const char *detail = ctl_text(problem, "detail");

	if (detail[0] == '\0')
		detail = ctl_text(problem, "title");
	snprintf(buf, size, "%s (status %ld)", detail[0] != '\0' ? detail : "no explanation",
	         response->status);
	json_decref(problem);
	return buf;
}

static void
examine_clock(struct examination *e, const struct http_response *response)
{
	const char *date = http_response_field(response, "Date");
	struct tm tm = { 0 };

	if (date == NULL || strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) == NULL) {
		found(e, DOUBTFUL, 0, "clock", "nothing to do, unless times look odd",
		      "the reply has no date to compare with");
		return;
	}
	int64_t skew_s = (int64_t)timegm(&tm) - (int64_t)time(NULL);
	bool is_far = skew_s > CLOCK_SKEW_MAX_S || skew_s < -CLOCK_SKEW_MAX_S;
	found(e, is_far ? DOUBTFUL : FINE, 0, "clock",
	      "let both machines set their clocks from the network; tokens and ages depend on them",
	      "the daemon's clock is %" PRId64 " s %s ours", skew_s < 0 ? -skew_s : skew_s,
	      skew_s < 0 ? "behind" : "ahead of");
}

/* Alive? Everything after it is pointless when not. */
static bool
examine_life(struct examination *e)
{
	struct http_response response;
	char took[OUTPUT_SHORT_MAX], why[256];
	uint64_t start_us = now_us();
	enum http_result result = probe(e->ctl, "/livez", &response);
	bool lives = result == HTTP_OK && response.status == 200;

	if (lives) {
		found(e, FINE, 0, "life", "", "it answers in %s",
		      output_duration(now_us() - start_us, took));
		examine_clock(e, &response);
	} else if (result == HTTP_OK) {
		found(e, WRONG, EXIT_CODE_FAILED, "life",
		      "something else may be listening there: check the address", "%s",
		      why_refused(&response, why, sizeof(why)));
	} else {
		found(
		    e, WRONG, EXIT_CODE_UNREACHABLE, "life",
		    "start the daemon (systemctl start wasmedged), look at its log (journalctl -u "
		    "wasmedged), or say where it is with --host or WASMEDGED_HOST",
		    "%s", response.message);
	}
	http_response_clear(&response);
	return lives;
}

static void
examine_readiness(struct examination *e)
{
	struct http_response response;
	char why[256];
	enum http_result result = probe(e->ctl, "/readyz?verbose=true", &response);

	if (result == HTTP_OK && response.status == 200)
		found(e, FINE, 0, "readiness", "", "it takes requests");
	else if (result == HTTP_OK)
		found(
		    e, WRONG, exit_code_of_status(response.status, ""), "readiness",
		    "wait if it starts or stops; else its log says more (journalctl -u wasmedged)",
		    "%s", why_refused(&response, why, sizeof(why)));
	else
		found(e, WRONG, EXIT_CODE_UNREACHABLE, "readiness", "run this again", "%s",
		      response.message);
	http_response_clear(&response);
}

static void
examine_version(struct examination *e)
{
	struct http_response response;
	enum http_result result = probe(e->ctl, "/v1/version", &response);
	json_t *json =
	    result == HTTP_OK ? json_loadb(response.body, response.body_len, 0, NULL) : NULL;
	const char *version = ctl_text(json, "version");

	if (version[0] == '\0')
		found(e, WRONG, EXIT_CODE_FAILED, "version",
		      "something else may be listening there: check the address",
		      "the reply has no version in it");
	else
		found(e, strcmp(version, PACKAGE_VERSION) == 0 ? FINE : DOUBTFUL, 0, "version",
		      "use the " CTL_NAME " that came with the daemon when something does not work",
		      "the daemon is %s, this program %s", version, PACKAGE_VERSION);
	json_decref(json);
	http_response_clear(&response);
}

static void
examine_rights(struct examination *e)
{
	struct http_response response;
	char why[256];
	enum http_result result = probe(e->ctl, "/v1/modules?limit=1", &response);

	if (result == HTTP_OK && response.status == 200)
		found(e, FINE, 0, "rights", "", "modules can be listed");
	else if (result == HTTP_OK && (response.status == 401 || response.status == 403))
		found(e, WRONG, EXIT_CODE_AUTH, "rights",
		      e->ctl->token_file != NULL
		          ? "the token is unknown, has ended or lacks a scope: ask for another one"
		          : "give a token with --token-file FILE, or keep it in a context",
		      "%s", why_refused(&response, why, sizeof(why)));
	else if (result == HTTP_OK)
		found(e, WRONG, exit_code_of_status(response.status, ""), "rights",
		      "the daemon's log says more (journalctl -u wasmedged)", "%s",
		      why_refused(&response, why, sizeof(why)));
	else
		found(e, WRONG, EXIT_CODE_UNREACHABLE, "rights", "run this again", "%s",
		      response.message);
	http_response_clear(&response);
}

static void
examine_token(struct examination *e, const char *file)
{
	struct stat st;

	if (file == NULL)
		return;
	if (stat(file, &st) != 0)
		found(e, WRONG, EXIT_CODE_AUTH, "token", "correct --token-file, or the context",
		      "%s: %s", file, strerror(errno));
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		found(e, DOUBTFUL, 0, "token", "chmod 600 keeps it to yourself",
		      "other users may have access to %s", file);
	else
		found(e, FINE, 0, "token", "", "%s", file);
}

static void
examine(struct examination *e)
{
	struct ctl *ctl = e->ctl;

	found(e, FINE, 0, "address", "", "%s, %s", ctl->host, ctl->host_why);
	if (strncmp(ctl->host, "unix:", 5) == 0 && !examine_socket(e, ctl->host + 5))
		return;
	examine_token(e, ctl->token_file);
	if (e->code != 0)
		return;
	int code = ctl_connect(ctl);
	if (code != 0) {
		e->code = code;
		return;
	}
	if (!examine_life(e))
		return;
	examine_readiness(e);
	examine_version(e);
	examine_rights(e);
}

static int
show_examination(struct examination *e)
{
	json_t *document = json_pack("{s:b, s:O}", "ok", e->code == 0, "checks", e->checks);
	bool ok = document != NULL;

	if (ok && e->ctl->format == CTL_YAML) {
		fputs("---\n", e->ctl->out);
		ok = output_yaml(e->ctl->out, document);
	} else if (ok) {
		ok = json_dumpf(document, e->ctl->out, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0;
		fputc('\n', e->ctl->out);
	}
	json_decref(document);
	return ok ? e->code : ctl_fail(e->ctl, EXIT_CODE_FAILED, "out of memory");
}

int
verb_doctor(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct examination e = { .ctl = ctl };
	int code = ctl_settle(ctl);

	(void)args;
	if (code != 0)
		return code;
	e.checks = json_array();
	if (e.checks == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
	examine(&e);
	code = ctl_wants_document(ctl) ? show_examination(&e) : e.code;
	json_decref(e.checks);
	return code;
}

/* --- this program --- */

int
verb_help(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	const struct cli_verb *verb = NULL;
	char name[64];

	if (args->word_count > 0) {
		snprintf(name, sizeof(name), "%s%s%s", args->words[0],
		         args->word_count > 1 ? " " : "",
		         args->word_count > 1 ? args->words[1] : "");
		verb = cli_find_verb(args->program, name);
		if (verb == NULL)
			return ctl_fail(ctl, EXIT_CODE_USAGE,
			                "there is no verb %s (see " CTL_NAME " --help)", name);
	}
	cli_write_help(ctl->out, args->program, verb);
	return 0;
}

int
verb_completion(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;

	if (!cli_write_completion(ctl->out, args->program, args->words[0]))
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "completion is made for " CLI_SHELLS ", not for %s",
		                args->words[0]);
	return 0;
}

int
verb_mdoc(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;

	cli_write_mdoc(ctl->out, args->program);
	return 0;
}
