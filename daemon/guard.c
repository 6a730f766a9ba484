#include "daemon/guard.h"

#include <string.h>
#include <strings.h>

static const struct {
	enum rpc_code code;
	const char *detail;
} verdicts[] = {
#define VERDICT(symbol, problem, detail) [GUARD_##symbol] = { RPC_##problem, detail },
	GUARD_VERDICTS(VERDICT)
#undef VERDICT
};

enum rpc_code
guard_verdict_code(enum guard_verdict verdict)
{
	return verdicts[verdict].code;
}

const char *
guard_verdict_detail(enum guard_verdict verdict)
{
	return verdicts[verdict].detail;
}

bool
guard_str_is(struct guard_str str, const char *text)
{
	return strlen(text) == str.len && strncasecmp(str.data, text, str.len) == 0;
}

/* Equal without regard to case. */
static bool
str_equal(struct guard_str a, struct guard_str b)
{
	return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 9110, 5.6.2. */
static bool
is_token(struct guard_str str)
{
	if (str.len == 0)
		return false;
	for (size_t i = 0; i < str.len; i++) {
		char c = str.data[i];
		if (is_alpha(c) || is_digit(c))
			continue;
		if (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL)
			return false;
	}
	return true;
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that the escape at data[0] ('%') stands for, or -1. */
static int
escape_value(const char *data, size_t len)
{
	if (len < 3)
		return -1;
	int high = hex_value(data[1]);
	int low = hex_value(data[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

size_t
guard_unescape(struct guard_str str, bool is_query, char *out)
{
	size_t used = 0;

	for (size_t i = 0; i < str.len; i++) {
		int byte = str.data[i] == '%' ? escape_value(str.data + i, str.len - i) : -1;
		if (byte >= 0) {
			out[used++] = (char)byte;
			i += 2;
		} else if (is_query && str.data[i] == '+') {
			out[used++] = ' ';
		} else {
			out[used++] = str.data[i];
		}
	}
	out[used] = '\0';
	return used;
}

/* --- the request line --------------------------------------------------------------------- */

static enum guard_verdict
check_target_chars(struct guard_str target)
{
	for (size_t i = 0; i < target.len; i++) {
		unsigned char c = (unsigned char)target.data[i];
		if (c <= 0x20 || c >= 0x7f || c == '#')
			return GUARD_TARGET_CHARS;
		if (c != '%')
			continue;
		int byte = escape_value(target.data + i, target.len - i);
		if (byte < 0)
			return GUARD_TARGET_ESCAPE;
		/* A query may hold escaped line ends (arguments of programs), a path may not. */
		if (byte == 0)
			return GUARD_TARGET_NUL;
	}
	return GUARD_OK;
}

/* How many dots a segment consists of when it consists of dots only, escaped or not; else 0. */
static size_t
segment_dots(struct guard_str segment)
{
	size_t dots = 0;

	for (size_t i = 0; i < segment.len; i++, dots++) {
		if (segment.data[i] == '.')
			continue;
		if (segment.data[i] != '%' ||
		    escape_value(segment.data + i, segment.len - i) != '.')
			return 0;
		i += 2;
	}
	return dots;
}

static bool
segment_has_control(struct guard_str segment)
{
	for (size_t i = 0; i < segment.len; i++) {
		if (segment.data[i] != '%')
			continue;
		int byte = escape_value(segment.data + i, segment.len - i);
		if (byte < 0x20 || byte == 0x7f)
			return true;
	}
	return false;
}

static enum guard_verdict
check_path(struct guard_str path)
{
	size_t start = 1;

	while (start <= path.len) {
		const char *slash = memchr(path.data + start, '/', path.len - start);
		size_t end = slash == NULL ? path.len : (size_t)(slash - path.data);
		struct guard_str segment = { path.data + start, end - start };

		size_t dots = segment_dots(segment);
		if (dots == 1 || dots == 2)
			return GUARD_TARGET_SEGMENT;
		if (segment_has_control(segment))
			return GUARD_TARGET_NUL;
		start = end + 1;
	}
	return GUARD_OK;
}

/*
 * Take the scheme and authority off an absolute target (RFC 9112, 3.2.2), leaving the path on.
 * *out_authority stays empty for the usual form that starts with '/'.
 */
static enum guard_verdict
split_authority(struct guard_str *target, struct guard_str *out_authority)
{
	static const char scheme[] = "http://";
	const size_t scheme_len = sizeof scheme - 1;

	if (target->len > 0 && target->data[0] == '/')
		return GUARD_OK;
	if (target->len <= scheme_len || strncasecmp(target->data, scheme, scheme_len) != 0)
		return GUARD_TARGET_FORM;
	const char *start = target->data + scheme_len;
	size_t rest = target->len - scheme_len;
	const char *slash = memchr(start, '/', rest);
	if (slash == NULL || slash == start)
		return GUARD_TARGET_FORM;
	*out_authority = (struct guard_str){ start, (size_t)(slash - start) };
	*target = (struct guard_str){ slash, rest - out_authority->len };
	return GUARD_OK;
}

static enum guard_verdict
check_request_line(const struct guard_request *request, struct guard_facts *facts,
                   struct guard_str *out_authority)
{
	struct guard_str target = request->target;

	if (!guard_str_is(request->version, "HTTP/1.1") &&
	    !guard_str_is(request->version, "HTTP/1.0"))
		return GUARD_VERSION;
	if (!is_token(request->method))
		return GUARD_METHOD_CHARS;
	if (target.len > GUARD_TARGET_BYTES_MAX)
		return GUARD_TARGET_LENGTH;
	enum guard_verdict verdict = check_target_chars(target);
	if (verdict != GUARD_OK)
		return verdict;
	verdict = split_authority(&target, out_authority);
	if (verdict != GUARD_OK)
		return verdict;

	const char *mark = memchr(target.data, '?', target.len);
	facts->path = target;
	if (mark != NULL) {
		facts->path.len = (size_t)(mark - target.data);
		facts->query = (struct guard_str){ mark + 1, target.len - facts->path.len - 1 };
	}
	return check_path(facts->path);
}

/* --- the header fields -------------------------------------------------------------------- */

/* The fields that decide about framing, the host and the caller: at most one of each. */
struct once_fields {
	const struct guard_header *host;
	const struct guard_header *length;
	const struct guard_header *encoding;
	const struct guard_header *type;
	const struct guard_header *authorization;
	const struct guard_header *expect;
};

static const struct guard_header **
once_slot(struct once_fields *once, struct guard_str name)
{
	if (guard_str_is(name, "Host"))
		return &once->host;
	if (guard_str_is(name, "Content-Length"))
		return &once->length;
	if (guard_str_is(name, "Transfer-Encoding"))
		return &once->encoding;
	if (guard_str_is(name, "Content-Type"))
		return &once->type;
	if (guard_str_is(name, "Authorization"))
		return &once->authorization;
	if (guard_str_is(name, "Expect"))
		return &once->expect;
	return NULL;
}

static bool
value_has_control(struct guard_str value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.data[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

static enum guard_verdict
collect_headers(const struct guard_request *request, struct once_fields *once)
{
	size_t size_bytes = 0;

	if (request->header_count > GUARD_HEADERS_MAX)
		return GUARD_HEADER_COUNT;
	for (size_t i = 0; i < request->header_count; i++) {
		const struct guard_header *header = &request->headers[i];

		size_bytes += header->name.len + header->value.len;
		if (size_bytes > GUARD_HEADER_BYTES_MAX)
			return GUARD_HEADER_BYTES;
		if (!is_token(header->name))
			return GUARD_HEADER_NAME;
		if (value_has_control(header->value))
			return GUARD_HEADER_VALUE;
		const struct guard_header **slot = once_slot(once, header->name);
		if (slot == NULL)
			continue;
		if (*slot != NULL)
			return GUARD_HEADER_TWICE;
		*slot = header;
	}
	return GUARD_OK;
}

/* Split "name:port" and check both; *out_name loses the port, an address keeps its brackets. */
static bool
split_host(struct guard_str host, struct guard_str *out_name)
{
	size_t end = 0;

	if (host.len > 0 && host.data[0] == '[') {
		for (end = 1; end < host.len && host.data[end] != ']'; end++) {
			char c = host.data[end];
			if (hex_value(c) < 0 && c != ':' && c != '.')
				return false;
		}
		if (end >= host.len || end == 1)
			return false;
		end++;
	} else {
		while (end < host.len && (is_alpha(host.data[end]) || is_digit(host.data[end]) ||
		                          host.data[end] == '-' || host.data[end] == '.' ||
		                          host.data[end] == '_'))
			end++;
		if (end == 0)
			return false;
	}
	*out_name = (struct guard_str){ host.data, end };
	if (end == host.len)
		return true;
	if (host.data[end] != ':' || host.len - end > 6)
		return false;
	for (size_t i = end + 1; i < host.len; i++)
		if (!is_digit(host.data[i]))
			return false;
	return true;
}

/* A name that another site cannot have rebound: an address, which no resolver was asked for. */
static bool
is_address(struct guard_str name)
{
	if (name.data[0] == '[')
		return true;
	for (size_t i = 0; i < name.len; i++)
		if (!is_digit(name.data[i]) && name.data[i] != '.')
			return false;
	return true;
}

static enum guard_verdict
check_host(const struct guard_header *host, struct guard_str authority, bool is_http_1_0,
           const struct guard_policy *policy)
{
	struct guard_str name;

	if (host == NULL) {
		/* Without a name there is nothing that another site could have rebound. */
		return is_http_1_0 && authority.len == 0 ? GUARD_OK : GUARD_HOST_MISSING;
	}
	if (!split_host(host->value, &name))
		return GUARD_HOST_SYNTAX;
	if (authority.len > 0 && !str_equal(authority, host->value))
		return GUARD_HOST_CONFLICT;
	if (!policy->check_host || is_address(name) || guard_str_is(name, "localhost"))
		return GUARD_OK;
	for (size_t i = 0; i < policy->host_count; i++)
		if (guard_str_is(name, policy->hosts[i]))
			return GUARD_OK;
	return GUARD_HOST_UNKNOWN;
}

static enum guard_verdict
check_length(struct guard_str value, struct guard_facts *facts)
{
	uint64_t length = 0;

	if (value.len == 0 || value.len > 18)
		return GUARD_LENGTH_SYNTAX;
	for (size_t i = 0; i < value.len; i++) {
		if (!is_digit(value.data[i]))
			return GUARD_LENGTH_SYNTAX;
		length = length * 10 + (uint64_t)(value.data[i] - '0');
	}
	facts->has_length = true;
	facts->length = length;
	return GUARD_OK;
}

static enum guard_verdict
check_framing(const struct once_fields *once, bool is_http_1_0, struct guard_facts *facts)
{
	if (once->length != NULL && once->encoding != NULL)
		return GUARD_LENGTH_AND_CHUNKS;
	if (once->expect != NULL) {
		if (!guard_str_is(once->expect->value, "100-continue"))
			return GUARD_EXPECTATION;
		facts->expects_continue = true;
	}
	if (once->encoding != NULL) {
		if (is_http_1_0)
			return GUARD_ENCODING_VERSION;
		if (!guard_str_is(once->encoding->value, "chunked"))
			return GUARD_ENCODING;
		facts->is_chunked = true;
	}
	return once->length == NULL ? GUARD_OK : check_length(once->length->value, facts);
}

enum guard_verdict
guard_check(const struct guard_request *request, const struct guard_policy *policy,
            struct guard_facts *out)
{
	struct guard_facts facts = { .path = { "/", 1 }, .query = { "", 0 } };
	struct guard_str authority = { "", 0 };
	struct once_fields once = { 0 };
	const bool is_http_1_0 = guard_str_is(request->version, "HTTP/1.0");

	enum guard_verdict verdict = check_request_line(request, &facts, &authority);
	if (verdict == GUARD_OK)
		verdict = collect_headers(request, &once);
	if (verdict == GUARD_OK)
		verdict = check_host(once.host, authority, is_http_1_0, policy);
	if (verdict == GUARD_OK)
		verdict = check_framing(&once, is_http_1_0, &facts);
	if (verdict == GUARD_OK)
		*out = facts;
	return verdict;
}
