#include "rpc/openapi.h"

#include <stdio.h>

/* --- the tables ---------------------------------------------------------------------------- */

#define JSON(...) #__VA_ARGS__

static const struct schema {
	const char *name;
	const char *text;
} schemas[] = {
#define SCHEMA(name, text) { #name, text },
#include "rpc/schemas.def"
#undef SCHEMA
};

static const struct limit {
	const char *name;
	uint64_t min, max;
	const char *meaning;
} limits[] = {
#define LIMIT(name, min, max, meaning) { #name, min, max, meaning },
#include "rpc/limits.def"
#undef LIMIT
};

static const struct body {
	enum rpc_route_id route;
	const char *media, *schema, *meaning;
} bodies[] = {
#define BODY(id, media, schema, meaning) { RPC_ROUTE_##id, media, schema, meaning },
#include "rpc/routes.def"
};

static const struct request_header {
	enum rpc_route_id route;
	const char *name, *meaning;
} request_headers[] = {
#define TAKES(id, header, meaning) { RPC_ROUTE_##id, header, meaning },
#include "rpc/routes.def"
};

static const struct reply {
	enum rpc_route_id route;
	unsigned status;
	const char *media, *schema, *meaning;
} replies[] = {
#define REPLY(id, status, media, schema, meaning)                                                  \
	{ RPC_ROUTE_##id, status, media, schema, meaning },
#include "rpc/routes.def"
};

static const struct reply_header {
	enum rpc_route_id route;
	unsigned status;
	const char *name, *meaning;
} reply_headers[] = {
#define GIVES(id, status, header, meaning) { RPC_ROUTE_##id, status, header, meaning },
#include "rpc/routes.def"
};

#define FAILURES_MAX 32

/* Lists of problems end in RPC_OK. A row without a route is for all, or all with a scope. */
enum { ANY_ROUTE = -1, ANY_SCOPED_ROUTE = -2 };

static const struct failures {
	int route;
	enum rpc_code codes[FAILURES_MAX];
} failures[] = {
#define FAILS(id, ...) { RPC_ROUTE_##id, { __VA_ARGS__, RPC_OK } },
#define FAILS_ALWAYS(...) { ANY_ROUTE, { __VA_ARGS__, RPC_OK } },
#define FAILS_AUTH(...) { ANY_SCOPED_ROUTE, { __VA_ARGS__, RPC_OK } },
#include "rpc/routes.def"
};

static const struct example {
	enum rpc_route_id route;
	const char *target, *headers, *body, *body_base64;
	unsigned status;
	const char *expect, *expect_text;
} examples[] = {
#define EXAMPLE(id, target, headers, body, body_base64, status, expect, expect_text)               \
	{ RPC_ROUTE_##id, target, headers, body, body_base64, status, expect, expect_text },
#include "rpc/routes.def"
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- schemas ------------------------------------------------------------------------------- */

static void
write_raw(struct rpc_writer *w, const char *json)
{
	rpc_write_raw(w, json, strlen(json));
}

static void
begin_member(struct rpc_writer *w, const char *key)
{
	rpc_write_key(w, key);
	rpc_write_object_begin(w);
}

static void
write_schema_ref(struct rpc_writer *w, const char *name)
{
	rpc_write_object_begin(w);
	rpc_write_key(w, "$ref");
	rpc_write_format(w, "#/components/schemas/%s", name);
	rpc_write_object_end(w);
}

static void
write_integer_bounds(struct rpc_writer *w, uint64_t min, uint64_t max)
{
	rpc_member_text(w, "type", "integer");
	rpc_member_uint(w, "minimum", min);
	rpc_member_uint(w, "maximum", max);
}

static void
write_limits_schema(struct rpc_writer *w)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "type", "object");
	rpc_member_text(w, "description", "The least of these and the service's own limits counts");
	begin_member(w, "properties");
	for (size_t i = 0; i < COUNT(limits); i++) {
		begin_member(w, limits[i].name);
		write_integer_bounds(w, limits[i].min, limits[i].max);
		rpc_member_text(w, "description", limits[i].meaning);
		rpc_write_object_end(w);
	}
	rpc_write_object_end(w);
	rpc_member_bool(w, "additionalProperties", false);
	rpc_write_object_end(w);
}

bool
rpc_schema_write(struct rpc_writer *w, const char *name)
{
	if (strcmp(name, "Limits") == 0) {
		write_limits_schema(w);
		return true;
	}
	for (size_t i = 0; i < COUNT(schemas); i++) {
		if (strcmp(schemas[i].name, name) != 0)
			continue;
		write_raw(w, schemas[i].text);
		return true;
	}
	return false;
}

static void
write_components(struct rpc_writer *w)
{
	begin_member(w, "components");
	begin_member(w, "schemas");
	for (size_t i = 0; i < COUNT(schemas); i++) {
		rpc_write_key(w, schemas[i].name);
		write_raw(w, schemas[i].text);
	}
	rpc_write_key(w, "Limits");
	write_limits_schema(w);
	rpc_write_object_end(w);
	begin_member(w, "securitySchemes");
	begin_member(w, "token");
	rpc_member_text(w, "type", "http");
	rpc_member_text(w, "scheme", "bearer");
	rpc_member_text(
	    w, "description",
	    "Tokens have scopes. On the unix socket the peer's credentials can take their "
	    "place.");
	rpc_write_object_end(w);
	rpc_write_object_end(w);
	rpc_write_object_end(w);
}

/* --- parameters ---------------------------------------------------------------------------- */

static void
begin_parameter(struct rpc_writer *w, struct rpc_str name, const char *in, bool is_required,
                const char *meaning)
{
	rpc_write_object_begin(w);
	rpc_write_key(w, "name");
	rpc_write_string(w, name.data, name.len);
	rpc_member_text(w, "in", in);
	rpc_member_bool(w, "required", is_required);
	rpc_member_text(w, "description", meaning);
}

/* The length of the parameter's name in a template at '{': "{path...}" is path. */
static size_t
name_len(const char *brace)
{
	return strcspn(brace + 1, ".}");
}

static void
write_path_parameter(struct rpc_writer *w, struct rpc_str name)
{
	bool is_ref = rpc_str_is(name, "ref");
	bool is_path = rpc_str_is(name, "path");

	begin_parameter(w, name, "path", true,
	                is_ref ? "Which module; '/' may be sent as it is or as %2F"
	                : is_path
	                    ? "Path below the invocation's root; '/' may be sent as it is or as %2F"
	                : rpc_str_is(name, "key") ? "The key; '/' may be sent as it is or as %2F"
	                                          : NULL);
	rpc_write_key(w, "schema");
	if (is_ref)
		write_schema_ref(w, "Ref");
	else
		write_raw(w, "{\"type\":\"string\"}");
	rpc_write_object_end(w);
}

static void
write_words(struct rpc_writer *w, const char *words)
{
	rpc_write_key(w, "enum");
	rpc_write_array_begin(w);
	for (;;) {
		size_t len = strcspn(words, "|");
		rpc_write_string(w, words, len);
		if (words[len] == '\0')
			break;
		words += len + 1;
	}
	rpc_write_array_end(w);
}

static void
write_text_schema(struct rpc_writer *w, const struct rpc_query_param *param)
{
	rpc_member_text(w, "type", "string");
	rpc_member_uint(w, "minLength", param->min);
	rpc_member_uint(w, "maxLength", param->max);
}

static void
write_query_schema(struct rpc_writer *w, const struct rpc_query_param *param)
{
	rpc_write_object_begin(w);
	switch (param->type) {
	case RPC_QUERY_TEXT:
		write_text_schema(w, param);
		break;
	case RPC_QUERY_TEXTS:
		rpc_member_text(w, "type", "array");
		begin_member(w, "items");
		write_text_schema(w, param);
		rpc_write_object_end(w);
		break;
	case RPC_QUERY_UINT:
		write_integer_bounds(w, param->min, param->max);
		break;
	case RPC_QUERY_BOOL:
		rpc_member_text(w, "type", "boolean");
		break;
	case RPC_QUERY_CHOICE:
		write_words(w, param->words);
		break;
	case RPC_QUERY_OPEN:
		rpc_member_text(w, "type", "object");
		begin_member(w, "additionalProperties");
		write_text_schema(w, param);
		rpc_write_object_end(w);
		break;
	case RPC_QUERY_REF:
		rpc_write_key(w, "$ref");
		rpc_write_text(w, "#/components/schemas/Ref");
		break;
	}
	rpc_write_object_end(w);
}

/* path is the key of the path item, whose names count. */
static void
write_parameters(struct rpc_writer *w, const struct rpc_route *route, const char *path)
{
	size_t count;
	const struct rpc_query_param *params = rpc_query_params(&count);

	rpc_write_key(w, "parameters");
	rpc_write_array_begin(w);
	for (const char *p = strchr(path, '{'); p != NULL; p = strchr(p + 1, '{'))
		write_path_parameter(w, (struct rpc_str){ p + 1, name_len(p) });
	for (size_t i = 0; i < count; i++) {
		if (params[i].route != route->id)
			continue;
		begin_parameter(w, rpc_str_make(params[i].name), "query", false, params[i].meaning);
		rpc_write_key(w, "schema");
		write_query_schema(w, &params[i]);
		if (params[i].type == RPC_QUERY_OPEN) {
			/* each of its members is a parameter of its own */
			rpc_member_text(w, "style", "form");
			rpc_member_bool(w, "explode", true);
		}
		rpc_write_object_end(w);
	}
	for (size_t i = 0; i < COUNT(request_headers); i++) {
		if (request_headers[i].route != route->id)
			continue;
		begin_parameter(w, rpc_str_make(request_headers[i].name), "header", false,
		                request_headers[i].meaning);
		rpc_write_key(w, "schema");
		write_raw(w, "{\"type\":\"string\"}");
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

/* --- bodies -------------------------------------------------------------------------------- */

/* "media": {"schema": ...}; media types without a schema are bytes, which have none in 3.1. */
static void
write_media(struct rpc_writer *w, const char *media, const char *schema)
{
	begin_member(w, media);
	if (schema[0] != '\0') {
		rpc_write_key(w, "schema");
		write_schema_ref(w, schema);
	}
	rpc_write_object_end(w);
}

static void
write_request_body(struct rpc_writer *w, const struct rpc_route *route)
{
	bool any = false;

	for (size_t i = 0; i < COUNT(bodies); i++) {
		if (bodies[i].route != route->id)
			continue;
		if (!any) {
			begin_member(w, "requestBody");
			rpc_member_text(w, "description", bodies[i].meaning);
			rpc_member_bool(w, "required", true);
			begin_member(w, "content");
		}
		any = true;
		write_media(w, bodies[i].media, bodies[i].schema);
	}
	if (any) {
		rpc_write_object_end(w);
		rpc_write_object_end(w);
	}
}

static void
write_reply_headers(struct rpc_writer *w, const struct rpc_route *route, unsigned status)
{
	bool any = false;

	for (size_t i = 0; i < COUNT(reply_headers); i++) {
		const struct reply_header *header = &reply_headers[i];
		if (header->route != route->id || header->status != status)
			continue;
		if (!any)
			begin_member(w, "headers");
		any = true;
		begin_member(w, header->name);
		rpc_member_text(w, "description", header->meaning);
		rpc_write_key(w, "schema");
		write_raw(w, "{\"type\":\"string\"}");
		rpc_write_object_end(w);
	}
	if (any)
		rpc_write_object_end(w);
}

static void
begin_status(struct rpc_writer *w, unsigned status)
{
	char key[16];

	snprintf(key, sizeof key, "%u", status);
	begin_member(w, key);
}

/* Replies of one status stand together in the table; first is the first of them. */
static void
write_reply(struct rpc_writer *w, const struct rpc_route *route, size_t first)
{
	unsigned status = replies[first].status;

	begin_status(w, status);
	rpc_member_text(w, "description", replies[first].meaning);
	write_reply_headers(w, route, status);
	if (replies[first].media[0] != '\0') {
		begin_member(w, "content");
		for (size_t i = first; i < COUNT(replies) && replies[i].route == route->id &&
		                       replies[i].status == status;
		     i++)
			write_media(w, replies[i].media, replies[i].schema);
		rpc_write_object_end(w);
	}
	rpc_write_object_end(w);
}

/* Mark the problems that the route may answer with. */
static void
find_failures(const struct rpc_route *route, bool marks[static RPC_CODE_COUNT])
{
	memset(marks, 0, RPC_CODE_COUNT * sizeof marks[0]);
	for (size_t i = 0; i < COUNT(failures); i++) {
		int id = failures[i].route;
		if (id != (int)route->id && id != ANY_ROUTE &&
		    !(id == ANY_SCOPED_ROUTE && route->scope != RPC_SCOPE_NONE))
			continue;
		for (const enum rpc_code *code = failures[i].codes; *code != RPC_OK; code++)
			marks[*code] = true;
	}
}

/* All problems of one status as one reply. */
static void
write_failure(struct rpc_writer *w, const bool marks[static RPC_CODE_COUNT], unsigned status)
{
	char text[512];
	size_t len = 0;

	for (int code = RPC_OK + 1; code < RPC_CODE_COUNT; code++) {
		const struct rpc_problem_kind *kind = rpc_problem_kind((enum rpc_code)code);
		if (!marks[code] || kind->status != status)
			continue;
		int n = snprintf(text + len, sizeof text - len, "%s%s", len > 0 ? ", " : "",
		                 kind->slug);
		if (n > 0 && (size_t)n < sizeof text - len)
			len += (size_t)n;
	}
	if (len == 0)
		return;
	begin_status(w, status);
	rpc_write_key(w, "description");
	rpc_write_string(w, text, len);
	begin_member(w, "content");
	write_media(w, RPC_PROBLEM_TYPE, "Problem");
	rpc_write_object_end(w);
	rpc_write_object_end(w);
}

static void
write_replies(struct rpc_writer *w, const struct rpc_route *route)
{
	bool marks[RPC_CODE_COUNT];
	unsigned previous = 0;

	begin_member(w, "responses");
	for (size_t i = 0; i < COUNT(replies); i++) {
		if (replies[i].route != route->id || replies[i].status == previous)
			continue;
		previous = replies[i].status;
		write_reply(w, route, i);
	}
	find_failures(route, marks);
	for (unsigned status = 400; status < 600; status++)
		write_failure(w, marks, status);
	rpc_write_object_end(w);
}

/* --- operations ---------------------------------------------------------------------------- */

static void
member_raw(struct rpc_writer *w, const char *key, const char *json)
{
	if (json == NULL)
		return;
	rpc_write_key(w, key);
	write_raw(w, json);
}

static void
write_examples(struct rpc_writer *w, const struct rpc_route *route)
{
	rpc_write_key(w, "x-examples");
	rpc_write_array_begin(w);
	for (size_t i = 0; i < COUNT(examples); i++) {
		const struct example *example = &examples[i];
		if (example->route != route->id)
			continue;
		rpc_write_object_begin(w);
		rpc_member_uint(w, "x-order", i + 1);
		rpc_member_text(w, "method", rpc_method_text(route->method));
		rpc_member_text(w, "target", example->target);
		member_raw(w, "headers", example->headers);
		member_raw(w, "body", example->body);
		rpc_member_text(w, "body_base64", example->body_base64);
		rpc_member_uint(w, "status", example->status);
		member_raw(w, "expect", example->expect);
		rpc_member_text(w, "expect_text", example->expect_text);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

static void
write_security(struct rpc_writer *w, const struct rpc_route *route)
{
	rpc_write_key(w, "security");
	rpc_write_array_begin(w);
	for (unsigned bit = 0; bit < RPC_SCOPE_COUNT; bit++) {
		if (route->scope != 1u << bit)
			continue;
		rpc_write_object_begin(w);
		rpc_write_key(w, "token");
		rpc_write_array_begin(w);
		rpc_write_text(w, rpc_scope_text((enum rpc_scope)bit));
		rpc_write_array_end(w);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

static void
write_operation(struct rpc_writer *w, const struct rpc_route *route, const char *path)
{
	static const char *const keys[RPC_METHOD_COUNT] = {
		[RPC_GET] = "get",
		[RPC_POST] = "post",
		[RPC_PUT] = "put",
		[RPC_DELETE] = "delete",
	};

	begin_member(w, keys[route->method]);
	rpc_member_text(w, "operationId", route->name);
	rpc_member_text(w, "summary", route->summary);
	write_security(w, route);
	write_parameters(w, route, path);
	write_request_body(w, route);
	write_replies(w, route);
	write_examples(w, route);
	rpc_write_object_end(w);
}

/* Do two templates differ in nothing but the names of parameters? OpenAPI takes them for one. */
static bool
same_path(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		if (*a == '{') {
			a = strchr(a, '}');
			b = strchr(b, '}');
		}
		a++;
		b++;
	}
	return *a == *b;
}

/* The template as OpenAPI writes it: "{path...}" is {path}. */
static void
write_path_key(struct rpc_writer *w, const char *path)
{
	char key[128];
	size_t len = 0;

	for (const char *p = path; *p != '\0' && len + 1 < sizeof key;) {
		if (strncmp(p, "...}", 4) == 0)
			p += 3;
		key[len++] = *p++;
	}
	key[len] = '\0';
	rpc_write_key(w, key);
}

static void
write_paths(struct rpc_writer *w)
{
	bool done[RPC_ROUTE_COUNT] = { false };

	begin_member(w, "paths");
	for (unsigned i = 0; i < RPC_ROUTE_COUNT; i++) {
		const char *path = rpc_route((enum rpc_route_id)i)->path;
		if (done[i])
			continue;
		write_path_key(w, path);
		rpc_write_object_begin(w);
		for (unsigned k = i; k < RPC_ROUTE_COUNT; k++) {
			const struct rpc_route *route = rpc_route((enum rpc_route_id)k);
			if (!same_path(path, route->path))
				continue;
			done[k] = true;
			write_operation(w, route, path);
		}
		rpc_write_object_end(w);
	}
	rpc_write_object_end(w);
}

void
rpc_openapi_write(struct rpc_writer *w, const char *version)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "openapi", "3.1.0");
	begin_member(w, "info");
	rpc_member_text(w, "title", "wasmedged");
	rpc_member_text(w, "summary", "Stores WebAssembly modules and runs them");
	rpc_member_text(w, "version", version);
	rpc_write_object_end(w);
	rpc_write_key(w, "servers");
	write_raw(w, "[{\"url\":\"/\"}]");
	write_paths(w);
	write_components(w);
	rpc_write_object_end(w);
}
