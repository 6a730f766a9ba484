#include "daemon/reply.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sent when there is no memory left to write a better one. */
static const char no_memory[] =
    "{\"type\":\"/problems/out-of-memory\",\"title\":\"Out of memory\",\"status\":503,"
    "\"code\":\"out-of-memory\",\"retryable\":true}";

void
reply_init(struct reply *reply, unsigned status)
{
	/* The text area is left as it is: only what was written to it is read. */
	reply->status = status;
	reply->must_close = false;
	reply->header_count = 0;
	reply->text_used = 0;
	reply->body = NULL;
	reply->body_len = 0;
	reply->body_free = NULL;
	reply->body_env = NULL;
	reply->stream = NULL;
	reply->slug = NULL;
	reply->retry_after_s = 0;
}

void
reply_clear(struct reply *reply)
{
	if (reply->status == 0)
		return;
	if (reply->body_free != NULL)
		reply->body_free(reply->body_env);
	if (reply->stream != NULL)
		reply->stream->free(reply->stream->env);
	reply_init(reply, 0);
}

static bool
is_header_value(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

void
reply_header(struct reply *reply, const char *name, const char *format, ...)
{
	size_t room = REPLY_TEXT_MAX - reply->text_used;
	char *value = reply->text + reply->text_used;
	va_list args;

	if (reply->header_count == REPLY_HEADERS_MAX)
		return;
	va_start(args, format);
	int len = vsnprintf(value, room, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= room || !is_header_value(value))
		return;
	reply->names[reply->header_count] = name;
	reply->values[reply->header_count++] = reply->text_used;
	reply->text_used = (uint16_t)(reply->text_used + len + 1);
}

void
reply_hold(struct reply *reply, const char *type, const void *body, size_t len,
           void (*body_free)(void *env), void *env)
{
	reply_header(reply, "Content-Type", "%s", type);
	reply->body = body;
	reply->body_len = len;
	reply->body_free = body_free;
	reply->body_env = env;
}

void
reply_take(struct reply *reply, const char *type, char *body, size_t len)
{
	reply_hold(reply, type, body, len, free, body);
}

void
reply_borrow(struct reply *reply, const char *type, const void *body, size_t len)
{
	reply_hold(reply, type, body, len, NULL, NULL);
}

static void
fail_no_memory(struct reply *reply)
{
	reply_init(reply, 503);
	reply->slug = "out-of-memory";
	reply->retry_after_s = 1;
	reply_borrow(reply, RPC_PROBLEM_TYPE, no_memory, sizeof no_memory - 1);
}

void
reply_json(struct reply *reply, unsigned status, struct rpc_writer *writer)
{
	size_t len;

	if (writer->pretty)
		rpc_write_verbatim(writer, "\n", 1);
	char *text = rpc_writer_take(writer, &len);
	if (text == NULL) {
		fail_no_memory(reply);
		return;
	}
	reply_init(reply, status);
	reply_take(reply, "application/json", text, len);
}

void
reply_problem(struct reply *reply, const struct rpc_problem *problem, const char *request_id)
{
	const struct rpc_problem_kind *kind = rpc_problem_kind(problem->code);
	struct rpc_writer writer;
	size_t len;

	rpc_writer_init(&writer);
	rpc_problem_write(&writer, problem, request_id);
	char *text = rpc_writer_take(&writer, &len);
	if (text == NULL) {
		fail_no_memory(reply);
		return;
	}
	reply_init(reply, kind->status);
	reply->slug = kind->slug;
	reply_take(reply, RPC_PROBLEM_TYPE, text, len);
	if (kind->status == 401)
		reply_header(reply, "WWW-Authenticate", "Bearer realm=\"wasmedged\"");
	if (kind->status == 429 || kind->status == 503)
		reply->retry_after_s = 1; /* who knows better says so */
}

void
reply_fail(struct reply *reply, const char *request_id, enum rpc_code code, const char *format,
           ...)
{
	char detail[RPC_PROBLEM_DETAIL_MAX];
	struct rpc_problem problem;
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	rpc_problem_set(&problem, code, "%s", detail);
	reply_problem(reply, &problem, request_id);
}

void
reply_repeat_detail(struct reply *reply)
{
	json_t *tree = json_loadb(reply->body, reply->body_len, 0, NULL);
	json_t *detail = json_object_get(tree, "detail");
	char *text = NULL;

	if (detail != NULL && json_object_set(tree, "error", detail) == 0)
		text = json_dumps(tree, JSON_COMPACT);
	json_decref(tree);
	if (text == NULL)
		return; /* the document is as good as ever */
	if (reply->body_free != NULL)
		reply->body_free(reply->body_env);
	reply->body = reply->body_env = text;
	reply->body_len = strlen(text);
	reply->body_free = free;
}
