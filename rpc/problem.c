#include "rpc/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include "rpc/utf8.h"

static const struct rpc_problem_kind kinds[RPC_CODE_COUNT] = {
#define PROBLEM(symbol, slug, status, retryable, title, explanation)                               \
	[RPC_##symbol] = { #symbol, slug, status, retryable, title, explanation },
#include "rpc/problems.def"
#undef PROBLEM
};

const struct rpc_problem_kind *
rpc_problem_kind(enum rpc_code code)
{
	if (code <= RPC_OK || code >= RPC_CODE_COUNT)
		code = RPC_INTERNAL;
	return &kinds[code];
}

enum rpc_code
rpc_problem_find(const char *slug, size_t len)
{
	struct rpc_str want = { slug, len };

	for (int code = RPC_OK + 1; code < RPC_CODE_COUNT; code++)
		if (rpc_str_is(want, kinds[code].slug))
			return (enum rpc_code)code;
	return RPC_OK;
}

void
rpc_text_copy(char *buf, size_t size, const char *text, size_t len)
{
	if (size == 0)
		return;
	if (len > size - 1) {
		len = size - 1;
		/* Do not leave half a character at the cut. */
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(buf, text, len);
	buf[len] = '\0';
}

/* vsnprintf() into a detail, cut at a character. */
RPC_PRINTF(2, 0)
static void
format_detail(char detail[static RPC_PROBLEM_DETAIL_MAX], const char *format, va_list args)
{
	int len = vsnprintf(detail, RPC_PROBLEM_DETAIL_MAX, format, args);

	if (len < 0)
		detail[0] = '\0';
	if (len < RPC_PROBLEM_DETAIL_MAX)
		return;
	/* Cut behind the last whole character; text that never was UTF-8 stays as it is. */
	size_t whole = rpc_utf8_prefix(detail, RPC_PROBLEM_DETAIL_MAX - 1);
	if (RPC_PROBLEM_DETAIL_MAX - 1 - whole < 4)
		detail[whole] = '\0';
}

static struct rpc_problem_item *
add_item(struct rpc_problem *problem)
{
	if (problem == NULL || problem->item_count >= RPC_PROBLEM_ITEMS_MAX)
		return NULL;
	struct rpc_problem_item *item = &problem->items[problem->item_count++];
	item->has_pointer = false;
	item->offset = RPC_UNSET;
	item->function = RPC_NO_FUNCTION;
	item->line = 0;
	item->column = 0;
	item->pointer[0] = '\0';
	item->parameter[0] = '\0';
	item->detail[0] = '\0';
	return item;
}

RPC_PRINTF(3, 0)
static struct rpc_problem_item *
set_with_item(struct rpc_problem *problem, enum rpc_code code, const char *format, va_list args)
{
	problem->code = code;
	problem->item_count = 0;
	format_detail(problem->detail, format, args);
	struct rpc_problem_item *item = add_item(problem);
	memcpy(item->detail, problem->detail, sizeof item->detail);
	return item;
}

enum rpc_code
rpc_problem_set(struct rpc_problem *problem, enum rpc_code code, const char *format, ...)
{
	va_list args;

	if (problem == NULL)
		return code;
	problem->code = code;
	problem->item_count = 0;
	va_start(args, format);
	format_detail(problem->detail, format, args);
	va_end(args);
	return code;
}

enum rpc_code
rpc_problem_at(struct rpc_problem *problem, enum rpc_code code, const char *pointer,
               const char *format, ...)
{
	va_list args;

	if (problem == NULL)
		return code;
	va_start(args, format);
	struct rpc_problem_item *item = set_with_item(problem, code, format, args);
	va_end(args);
	item->has_pointer = true;
	rpc_text_copy(item->pointer, sizeof item->pointer, pointer, strlen(pointer));
	return code;
}

enum rpc_code
rpc_problem_in(struct rpc_problem *problem, enum rpc_code code, const char *parameter,
               const char *format, ...)
{
	va_list args;

	if (problem == NULL)
		return code;
	va_start(args, format);
	struct rpc_problem_item *item = set_with_item(problem, code, format, args);
	va_end(args);
	rpc_text_copy(item->parameter, sizeof item->parameter, parameter, strlen(parameter));
	return code;
}

struct rpc_problem_item *
rpc_problem_add(struct rpc_problem *problem, const char *format, ...)
{
	struct rpc_problem_item *item = add_item(problem);
	va_list args;

	if (item == NULL)
		return NULL;
	va_start(args, format);
	format_detail(item->detail, format, args);
	va_end(args);
	return item;
}

static void
write_item(struct rpc_writer *w, const struct rpc_problem_item *item)
{
	rpc_write_object_begin(w);
	if (item->has_pointer)
		rpc_member_text(w, "pointer", item->pointer);
	if (item->parameter[0] != '\0')
		rpc_member_text(w, "parameter", item->parameter);
	if (item->offset != RPC_UNSET)
		rpc_member_uint(w, "offset", item->offset);
	if (item->function != RPC_NO_FUNCTION)
		rpc_member_uint(w, "function", item->function);
	if (item->line != 0)
		rpc_member_uint(w, "line", item->line);
	if (item->column != 0)
		rpc_member_uint(w, "column", item->column);
	rpc_member_text(w, "detail", item->detail);
	rpc_write_object_end(w);
}

static void
write_type(struct rpc_writer *w, const struct rpc_problem_kind *kind)
{
	rpc_write_key(w, "type");
	rpc_write_format(w, "/problems/%s", kind->slug);
	rpc_member_text(w, "title", kind->title);
	rpc_member_uint(w, "status", kind->status);
}

void
rpc_problem_write(struct rpc_writer *w, const struct rpc_problem *problem, const char *request_id)
{
	const struct rpc_problem_kind *kind = rpc_problem_kind(problem->code);

	rpc_write_object_begin(w);
	write_type(w, kind);
	rpc_member_text(w, "detail", problem->detail);
	if (request_id != NULL) {
		rpc_write_key(w, "instance");
		rpc_write_format(w, "/v1/requests/%s", request_id);
	}
	rpc_member_text(w, "code", kind->slug);
	rpc_member_bool(w, "retryable", kind->retryable);
	rpc_member_text(w, "request_id", request_id);
	if (problem->item_count > 0) {
		rpc_write_key(w, "errors");
		rpc_write_array_begin(w);
		for (uint32_t i = 0; i < problem->item_count; i++)
			write_item(w, &problem->items[i]);
		rpc_write_array_end(w);
	}
	rpc_write_object_end(w);
}

void
rpc_problem_kind_write(struct rpc_writer *w, enum rpc_code code)
{
	const struct rpc_problem_kind *kind = rpc_problem_kind(code);

	rpc_write_object_begin(w);
	write_type(w, kind);
	rpc_member_text(w, "code", kind->slug);
	rpc_member_bool(w, "retryable", kind->retryable);
	rpc_member_text(w, "explanation", kind->explanation);
	rpc_write_object_end(w);
}

static void
put_line(struct rpc_writer *w, const char *text, const char *end)
{
	rpc_write_verbatim(w, text, strlen(text));
	rpc_write_verbatim(w, end, strlen(end));
}

void
rpc_problem_kind_write_text(struct rpc_writer *w, enum rpc_code code)
{
	const struct rpc_problem_kind *kind = rpc_problem_kind(code);
	char line[128];

	put_line(w, kind->title, "\n\n");
	snprintf(line, sizeof line, "%s: status %u, %s", kind->slug, kind->status,
	         kind->retryable ? "worth trying again"
	                         : "will fail again unless something changes");
	put_line(w, line, "\n\n");
	put_line(w, kind->explanation, "\n");
}
