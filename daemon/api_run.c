/*
 * api_run.c - WASI commands, in three forms.
 *
 *	application/json          the whole request, as in rpc/run.h
 *	multipart/form-data       parts spec (that JSON), stdin, and file (its filename the path)
 *	application/octet-stream  standard input; arguments, environment and limits in the query
 *
 * The bytes of a form's parts stay in the request's body buffer, one after the other; what
 * belongs to which part is remembered by offset.
 */
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/invocations.h"
#include "daemon/multipart.h"

enum run_form { FORM_JSON, FORM_MULTIPART, FORM_RAW };

/* What the client wants to hear: the answer, standard output alone, or events as they come. */
enum run_offer { OFFER_JSON, OFFER_OUTPUT, OFFER_EVENTS, OFFER_COUNT };

/* A form while it arrives; afterwards it moves into the invocation. */
struct run_body {
	struct request *request;
	enum run_form form;
	struct multipart *parser;
	struct form_file *files; /* the last one may be arriving */
	size_t file_count;
	size_t spec_offset, spec_len;
	size_t stdin_offset, stdin_len;
	bool has_spec;
	bool has_stdin;
	size_t *part_len; /* of the part that is arriving */
	const char *complaint;
};

static void
run_body_free(void *state)
{
	struct run_body *body = state;

	if (body == NULL)
		return;
	for (size_t i = 0; i < body->file_count; i++)
		free(body->files[i].path);
	free(body->files);
	free(body->parser);
	free(body);
}

/* --- forms -------------------------------------------------------------------------------- */

static bool
complain(struct run_body *body, const char *text)
{
	body->complaint = text;
	return false;
}

static bool
begin_single(struct run_body *body, bool *has, size_t *offset, size_t *len)
{
	if (*has)
		return complain(body, "spec and stdin may come once");
	*has = true;
	*offset = body->request->body_len;
	body->part_len = len;
	return true;
}

static bool
begin_file(struct run_body *body, const char *path)
{
	struct form_file *files;

	if (!rpc_run_path_ok(path, strlen(path)))
		return complain(body, "a file's filename has to be an absolute path without "
		                      "'.', '..' or empty segments");
	files = realloc(body->files, (body->file_count + 1) * sizeof *files);
	if (files == NULL)
		return complain(body, "no memory for the files");
	body->files = files;
	files[body->file_count] = (struct form_file){
		.path = strdup(path),
		.offset = body->request->body_len,
	};
	if (files[body->file_count].path == NULL)
		return complain(body, "no memory for the files");
	body->part_len = &files[body->file_count++].len;
	return true;
}

static bool
on_part_begin(void *env, const struct multipart_part *part)
{
	struct run_body *body = env;

	if (strcmp(part->name, "spec") == 0)
		return begin_single(body, &body->has_spec, &body->spec_offset, &body->spec_len);
	if (strcmp(part->name, "stdin") == 0)
		return begin_single(body, &body->has_stdin, &body->stdin_offset,
		                    &body->stdin_len);
	if (strcmp(part->name, "file") == 0)
		return begin_file(body, part->filename);
	return complain(body, "the form may have the parts spec, stdin, and any number of file");
}

static bool
on_part_data(void *env, const char *data, size_t len)
{
	struct run_body *body = env;

	*body->part_len += len;
	return request_append(body->request, data, len);
}

static bool
on_part_end(void *env)
{
	(void)env;
	return true;
}

static bool
form_ok(struct run_body *body, enum multipart_status status)
{
	if (status == MULTIPART_OK)
		return true;
	request_fail(body->request, RPC_BAD_MULTIPART, "%s",
	             status == MULTIPART_STOPPED && body->complaint != NULL
	                 ? body->complaint
	                 : multipart_status_detail(status));
	return false;
}

static void
on_form_data(struct request *r, const char *data, size_t len)
{
	struct run_body *body = r->state;

	(void)form_ok(body, multipart_feed(body->parser, data, len));
}

static bool
begin_form(struct run_body *body)
{
	struct request *r = body->request;
	struct multipart_handler handler = { on_part_begin, on_part_data, on_part_end, body };
	char boundary[MULTIPART_BOUNDARY_MAX + 1];

	if (!multipart_boundary(request_header(r, "Content-Type"), boundary)) {
		request_fail(r, RPC_BAD_MULTIPART, "the Content-Type has no acceptable boundary");
		return false;
	}
	body->parser = malloc(sizeof *body->parser);
	if (body->parser == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory to read the form");
		return false;
	}
	multipart_init(body->parser, boundary, &handler);
	r->on_data = on_form_data;
	return true;
}

void
module_run_begin(struct request *request)
{
	static const char *const types[] = { "application/json", "multipart/form-data",
		                             "application/octet-stream" };
	int form = api_content_type(request, types, 3, true);
	struct run_body *body;

	if (form < 0)
		return;
	body = calloc(1, sizeof *body);
	if (body == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the request");
		return;
	}
	body->request = request;
	body->form = (enum run_form)form;
	request->state = body;
	request->state_free = run_body_free;
	if (form == FORM_MULTIPART && !begin_form(body))
		return;
	(void)request_expect_body(request, api_daemon(request)->config->limits_body_bytes);
}

/* --- the request is there ----------------------------------------------------------------- */

/* The JSON of the request: all of the body, or a form's part; absent, it asks for nothing. */
static enum rpc_code
parse_spec(struct invocation *inv, struct rpc_problem *problem)
{
	const char *text = "{}";
	size_t len = 2;

	if (inv->has_spec) {
		text = inv->body + inv->spec_offset;
		len = inv->spec_len;
	}
	return rpc_run_parse(text, len, len, &inv->run, problem);
}

static enum rpc_code
parse_query(struct invocation *inv, struct rpc_problem *problem)
{
	return rpc_run_from_query(&inv->query, &inv->run, problem);
}

/* Move what has arrived into the invocation. */
static bool
take_body(struct invocation *inv, struct run_body *body)
{
	struct request *r = body->request;

	inv->body_len = r->body_len;
	inv->body = request_take_body(r);
	if (inv->body == NULL)
		return false;
	switch (body->form) {
	case FORM_JSON:
		inv->has_spec = inv->body_len > 0;
		inv->spec_len = inv->body_len;
		break;
	case FORM_RAW:
		inv->has_stdin = true;
		inv->stdin_len = inv->body_len;
		break;
	case FORM_MULTIPART:
		inv->has_spec = body->has_spec;
		inv->spec_offset = body->spec_offset;
		inv->spec_len = body->spec_len;
		inv->has_stdin = body->has_stdin;
		inv->stdin_offset = body->stdin_offset;
		inv->stdin_len = body->stdin_len;
		inv->form_files = body->files;
		inv->form_file_count = body->file_count;
		body->files = NULL;
		body->file_count = 0;
		break;
	}
	return true;
}

static void
start(struct request *r, struct run_body *body, enum run_offer offer)
{
	enum run_form form = body->form;
	struct digest digest;
	struct rpc_ref ref;

	if (!api_resolve(r, &ref, &digest))
		return;
	struct invocation *inv = invocation_new(r, INVOCATION_RUN, &ref, &digest);
	if (inv == NULL)
		return;
	inv->wants_raw = offer == OFFER_OUTPUT;
	inv->wants_events = offer == OFFER_EVENTS;
	if (!take_body(inv, body)) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the body");
		invocation_drop(inv);
		return;
	}
	if (form == FORM_RAW) {
		inv->query = r->query; /* the arguments point into it */
		memset(&r->query, 0, sizeof r->query);
		api_parse_and_start(inv, 0, parse_query);
	} else {
		api_parse_and_start(inv, inv->spec_len, parse_spec);
	}
}

void
module_run(struct request *request)
{
	static const char *const offers[OFFER_COUNT] = {
		[OFFER_JSON] = "application/json",
		[OFFER_OUTPUT] = "application/octet-stream",
		[OFFER_EVENTS] = "text/event-stream",
	};
	struct run_body *body = request->state;

	if (body->form == FORM_MULTIPART && !form_ok(body, multipart_finish(body->parser)))
		return;
	int offer = api_accept(request, offers, OFFER_COUNT);
	if (offer < 0)
		return;
	/* The request's state is the invocation from here on. */
	request->state = NULL;
	request->state_free = NULL;
	start(request, body, (enum run_offer)offer);
	run_body_free(body);
}
