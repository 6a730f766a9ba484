#include "rpc/route.h"

#include <stdio.h>
#include "rpc/utf8.h"

static const struct rpc_route routes[RPC_ROUTE_COUNT] = {
#define ROUTE(id, method, path, scope, summary)                                                    \
	[RPC_ROUTE_##id] = { RPC_ROUTE_##id, RPC_##method, #id, path, RPC_SCOPE_##scope, summary },
#include "rpc/routes.def"
};

static const char *const method_texts[RPC_METHOD_COUNT] = {
	[RPC_GET] = "GET",
	[RPC_POST] = "POST",
	[RPC_PUT] = "PUT",
	[RPC_DELETE] = "DELETE",
};

static const char *const scope_texts[RPC_SCOPE_COUNT] = {
#define SCOPE(symbol, text, meaning) [RPC_SCOPE_##symbol##_BIT] = text,
#include "rpc/scopes.def"
#undef SCOPE
};

const struct rpc_route *
rpc_route(enum rpc_route_id id)
{
	return &routes[id];
}

const char *
rpc_method_text(enum rpc_method method)
{
	return method_texts[method];
}

const char *
rpc_scope_text(enum rpc_scope bit)
{
	return scope_texts[bit];
}

unsigned
rpc_scope_find(const char *text, size_t len)
{
	struct rpc_str want = { text, len };

	for (unsigned bit = 0; bit < RPC_SCOPE_COUNT; bit++)
		if (rpc_str_is(want, scope_texts[bit]))
			return 1u << bit;
	return RPC_SCOPE_NONE;
}

/* --- percent-encoding ---------------------------------------------------------------------- */

bool
rpc_percent_decode(const char *text, size_t len, bool plus, char *out, size_t *out_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)text[i];
		if (byte == '%') {
			if (len - i < 3 || !rpc_hex_decode(text + i + 1, 2, &byte, 1))
				return false;
			i += 2;
		} else if (byte == '+' && plus) {
			byte = ' ';
		}
		out[n++] = (char)byte;
	}
	*out_len = n;
	return true;
}

size_t
rpc_percent_encode(const char *text, size_t len, char *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "-._~:@!$'()*,";
	char *p = out;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\0' && strchr(plain, text[i]) != NULL)
			*p++ = text[i];
		else
			p += sprintf(p, "%%%02X", (unsigned)(unsigned char)text[i]);
	}
	*p = '\0';
	return (size_t)(p - out);
}

/* --- targets ------------------------------------------------------------------------------- */

#define SEGMENTS_MAX 64

/* A path, decoded and divided. */
struct segments {
	size_t count;
	struct rpc_str at[SEGMENTS_MAX];
};

static enum rpc_code
fail_segment(struct rpc_problem *problem, size_t number, const char *why)
{
	return rpc_problem_set(problem, RPC_BAD_TARGET, "segment %zu of the path %s", number, why);
}

/* Does the text, between slashes of its own, have a part "." or ".."? */
static bool
has_dots(struct rpc_str text)
{
	size_t start = 0;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.data[i] != '/')
			continue;
		size_t len = i - start;
		const char *part = text.data + start;
		if ((len == 1 || len == 2) && part[0] == '.' && part[len - 1] == '.')
			return true;
		start = i + 1;
	}
	return false;
}

static bool
has_control(struct rpc_str text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
			return true;
	return false;
}

/* Check one decoded segment. */
static enum rpc_code
check_segment(struct rpc_str segment, size_t number, struct rpc_problem *problem)
{
	if (has_control(segment))
		return fail_segment(problem, number, "has a control character");
	if (!rpc_utf8_valid(segment.data, segment.len))
		return fail_segment(problem, number, "is not UTF-8");
	if (has_dots(segment))
		return fail_segment(problem, number, "is or has a part \".\" or \"..\"");
	return RPC_OK;
}

/*
 * Decode the path into out->path, each segment by itself, with '/' between them as before, so
 * that neighbours can be taken together.
 */
static enum rpc_code
split_path(struct rpc_str path, struct rpc_match *out, struct segments *segments,
           struct rpc_problem *problem)
{
	char *p = out->path;
	size_t i = 0;

	segments->count = 0;
	while (i < path.len) { /* path.data[i] is the '/' before a segment */
		const char *text = path.data + i + 1;
		const char *slash = memchr(text, '/', path.len - i - 1);
		size_t len = slash != NULL ? (size_t)(slash - text) : path.len - i - 1;
		size_t decoded_len;

		if (segments->count == SEGMENTS_MAX)
			return rpc_problem_set(problem, RPC_BAD_TARGET,
			                       "the path has more than %d segments", SEGMENTS_MAX);
		*p++ = '/';
		if (!rpc_percent_decode(text, len, false, p, &decoded_len))
			return fail_segment(problem, segments->count + 1,
			                    "has a '%' without two hexadecimal digits behind it");
		struct rpc_str segment = { p, decoded_len };
		enum rpc_code code = check_segment(segment, segments->count + 1, problem);
		if (code != RPC_OK)
			return code;
		segments->at[segments->count++] = segment;
		p += decoded_len;
		i += 1 + len;
	}
	*p = '\0';
	return RPC_OK;
}

/* Skip scheme and authority of a target in absolute form. */
static void
take_authority(struct rpc_str *target, struct rpc_match *out)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t len = strlen(schemes[i]);
		if (target->len < len || strncasecmp(target->data, schemes[i], len) != 0)
			continue;
		const char *start = target->data + len;
		size_t rest = target->len - len;
		size_t n = 0;
		while (n < rest && start[n] != '/' && start[n] != '?')
			n++;
		out->authority = (struct rpc_str){ start, n };
		*target = (struct rpc_str){ start + n, rest - n };
		return;
	}
}

/* Divide the target into path and query. */
static enum rpc_code
split_target(struct rpc_str target, struct rpc_match *out, struct rpc_str *out_path,
             struct rpc_problem *problem)
{
	if (target.len > RPC_TARGET_MAX)
		return rpc_problem_set(problem, RPC_TARGET_TOO_LONG,
		                       "the target has %zu bytes, the limit is %d", target.len,
		                       RPC_TARGET_MAX);
	take_authority(&target, out);
	if (target.len == 0 || target.data[0] != '/')
		return rpc_problem_set(problem, RPC_BAD_TARGET,
		                       "the target does not begin with '/'");
	const char *mark = memchr(target.data, '?', target.len);
	size_t path_len = mark != NULL ? (size_t)(mark - target.data) : target.len;
	if (mark != NULL)
		out->query = (struct rpc_str){ mark + 1, target.len - path_len - 1 };
	if (path_len > RPC_PATH_MAX)
		return rpc_problem_set(problem, RPC_TARGET_TOO_LONG,
		                       "the path has %zu bytes, the limit is %d", path_len,
		                       RPC_PATH_MAX);
	*out_path = (struct rpc_str){ target.data, path_len };
	return RPC_OK;
}

/* --- matching ------------------------------------------------------------------------------ */

/* The next segment of a template, which *next points at ('/' first); moves behind it. */
static struct rpc_str
next_segment(const char **next)
{
	const char *start = *next + 1;
	size_t len = strcspn(start, "/");

	*next = start + len;
	return (struct rpc_str){ start, len };
}

/* Segments that a {ref} takes, beginning with this one. */
static size_t
ref_span(struct rpc_str first)
{
	bool is_whole = (first.len >= 7 && memcmp(first.data, "sha256:", 7) == 0) ||
	                memchr(first.data, '/', first.len) != NULL;

	return is_whole ? 1 : 2;
}

static bool
match_template(const char *template, const struct segments *segments, struct rpc_match *out)
{
	size_t i = 0;

	out->param_count = 0;
	while (*template != '\0') {
		struct rpc_str part = next_segment(&template);
		if (i >= segments->count)
			return false;
		if (part.data[0] != '{') {
			struct rpc_str have = segments->at[i++];
			if (part.len != have.len || memcmp(part.data, have.data, have.len) != 0)
				return false;
			continue;
		}
		struct rpc_str name = { part.data + 1, part.len - 2 };
		size_t span = 1;
		if (name.len > 3 && memcmp(name.data + name.len - 3, "...", 3) == 0) {
			span = segments->count - i;
			name.len -= 3;
		} else if (rpc_str_is(name, "ref")) {
			span = ref_span(segments->at[i]);
		}
		if (span > segments->count - i || out->param_count == RPC_PARAMS_MAX)
			return false;
		const struct rpc_str *last = &segments->at[i + span - 1];
		const char *start = segments->at[i].data;
		for (size_t k = i; k < i + span; k++)
			if (segments->at[k].len == 0)
				return false;
		out->params[out->param_count].name = name;
		out->params[out->param_count].value =
		    (struct rpc_str){ start, (size_t)(last->data + last->len - start) };
		out->param_count++;
		i += span;
	}
	return i == segments->count;
}

/* Whether the route answers the method; GET routes answer HEAD, too. */
static bool
serves(const struct rpc_route *route, const char *method, bool *out_is_head)
{
	*out_is_head = route->method == RPC_GET && strcmp(method, "HEAD") == 0;
	return *out_is_head || strcmp(method, method_texts[route->method]) == 0;
}

static void
add_allowed(char allow[static 40], enum rpc_method method)
{
	if (allow[0] != '\0')
		strcat(allow, ", ");
	strcat(allow, method == RPC_GET ? "GET, HEAD" : method_texts[method]);
}

enum rpc_code
rpc_route_match(const char *method, const char *target, size_t target_len, struct rpc_match *out,
                struct rpc_problem *problem)
{
	struct segments segments;
	struct rpc_str path = { NULL, 0 };

	out->route = NULL;
	out->is_head = false;
	out->param_count = 0;
	out->query = (struct rpc_str){ target + target_len, 0 };
	out->authority = out->query;
	out->allow[0] = '\0';
	enum rpc_code code =
	    split_target((struct rpc_str){ target, target_len }, out, &path, problem);
	if (code != RPC_OK)
		return code;
	code = split_path(path, out, &segments, problem);
	if (code != RPC_OK)
		return code;
	for (size_t i = 0; i < RPC_ROUTE_COUNT; i++) {
		if (!match_template(routes[i].path, &segments, out))
			continue;
		if (serves(&routes[i], method, &out->is_head)) {
			out->route = &routes[i];
			return RPC_OK;
		}
		add_allowed(out->allow, routes[i].method);
	}
	out->param_count = 0;
	if (out->allow[0] != '\0')
		return rpc_problem_set(problem, RPC_METHOD_NOT_ALLOWED, "%s has %s, not %.20s",
		                       out->path, out->allow, method);
	return rpc_problem_set(problem, RPC_NOT_FOUND, "there is nothing at %s", out->path);
}

struct rpc_str
rpc_match_param(const struct rpc_match *match, const char *name)
{
	for (size_t i = 0; i < match->param_count; i++)
		if (rpc_str_is(match->params[i].name, name))
			return match->params[i].value;
	return (struct rpc_str){ NULL, 0 };
}

enum rpc_code
rpc_match_ref(const struct rpc_match *match, struct rpc_ref *out, struct rpc_problem *problem)
{
	struct rpc_str ref = rpc_match_param(match, "ref");

	return rpc_ref_parse(ref.data, ref.len, out, problem);
}
