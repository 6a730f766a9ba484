/*
 * route.h - which operations there are, and which one a request target means.
 *
 * routes.def is the only list: matching, the OpenAPI document, the manual's checks and the
 * scopes all read it. Templates have these kinds of segments:
 *
 *     literal      matches itself
 *     {name}       one segment
 *     {ref}        a module reference: one segment when that begins with "sha256:" or has a '/'
 *                  inside (sent as %2F, as generated clients do), otherwise two, "ns/name:tag"
 *     {name...}    one or more segments, to the end
 *
 * Matching works on the target as it came over the wire. Each segment is percent-decoded by
 * itself, so an encoded slash is data and never a separator; a segment that is "." or ".." or,
 * decoded, has such a part, is refused, and so are NUL, control characters and text that is
 * not UTF-8. No two templates match the same path; the tests see to it.
 *
 * Spec: RFC 9112, section 3.2; RFC 3986
 */
#pragma once

#include "rpc/ref.h"

enum rpc_method { RPC_GET, RPC_POST, RPC_PUT, RPC_DELETE, RPC_METHOD_COUNT };

enum rpc_scope {
#define SCOPE(symbol, text, meaning) RPC_SCOPE_##symbol##_BIT,
#include "rpc/scopes.def"
#undef SCOPE
	RPC_SCOPE_COUNT
};
enum {
	RPC_SCOPE_NONE = 0, /* open to everyone who can connect */
#define SCOPE(symbol, text, meaning) RPC_SCOPE_##symbol = 1 << RPC_SCOPE_##symbol##_BIT,
#include "rpc/scopes.def"
#undef SCOPE
};

/* RPC_ROUTE_MODULE_INVOKE, ...: see routes.def. */
enum rpc_route_id {
#define ROUTE(id, method, path, scope, summary) RPC_ROUTE_##id,
#include "rpc/routes.def"
	RPC_ROUTE_COUNT
};

struct rpc_route {
	enum rpc_route_id id;
	enum rpc_method method; /* RPC_GET answers HEAD too */
	const char *name;       /* "MODULE_INVOKE"; a stable label for logs and metrics */
	const char *path;       /* template */
	unsigned scope;         /* the RPC_SCOPE_ bit that is needed, or RPC_SCOPE_NONE */
	const char *summary;
};

/* id below RPC_ROUTE_COUNT. */
const struct rpc_route *rpc_route(enum rpc_route_id id);

/* "GET", ... */
const char *rpc_method_text(enum rpc_method method);

#define RPC_TARGET_MAX 16384 /* bytes of a request target, query included */
#define RPC_PATH_MAX 2048    /* bytes of its path */
#define RPC_PARAMS_MAX 3

struct rpc_match {
	const struct rpc_route *route; /* set on RPC_OK only */
	bool is_head;                  /* a HEAD request, matched to its GET route */
	size_t param_count;
	struct {
		struct rpc_str name;  /* as in the template: "ref" */
		struct rpc_str value; /* decoded, in path below */
	} params[RPC_PARAMS_MAX];
	struct rpc_str query;     /* behind '?', still encoded, in the caller's target; or empty */
	struct rpc_str authority; /* of a target in absolute form, likewise; else empty */
	char allow[40]; /* on RPC_METHOD_NOT_ALLOWED: the Allow field, "GET, HEAD, DELETE" */
	char path[RPC_PATH_MAX + 1]; /* decoded; ends in NUL */
};

/*
 * Find the route of a request. method is any token; target is the raw request target, in origin
 * form ("/v1/modules?limit=5") or absolute form. *out may be used while target lives, and must
 * not be moved (params point into it).
 *
 * Returns RPC_NOT_FOUND           no template matches
 *         RPC_METHOD_NOT_ALLOWED  some do, for other methods: out->allow
 *         RPC_BAD_TARGET          see above
 *         RPC_TARGET_TOO_LONG
 */
RPC_MUST_CHECK enum rpc_code rpc_route_match(const char *method, const char *target,
                                             size_t target_len, struct rpc_match *out,
                                             struct rpc_problem *problem);

/* A parameter of the path by name; {NULL, 0} when the template has none such. */
struct rpc_str rpc_match_param(const struct rpc_match *match, const char *name);

/* The {ref} of the path, parsed. Returns RPC_BAD_REF. */
RPC_MUST_CHECK enum rpc_code rpc_match_ref(const struct rpc_match *match, struct rpc_ref *out,
                                           struct rpc_problem *problem);

/*
 * Percent-decode text into out (room for len bytes; in place is fine). plus: '+' is a space, as
 * in queries. False when an escape is not % and two hexadecimal digits.
 */
RPC_MUST_CHECK bool rpc_percent_decode(const char *text, size_t len, bool plus, char *out,
                                       size_t *out_len);

/*
 * Percent-encode text so that it is one path segment or query value: all but letters, digits and
 * "-._~:@!$'()*," is escaped. out has room for 3 * len + 1 bytes; returns the length.
 */
size_t rpc_percent_encode(const char *text, size_t len, char *out);

/* "modules:read"; bit is below RPC_SCOPE_COUNT. */
const char *rpc_scope_text(enum rpc_scope bit);
/* The set with the one scope of that text in it, or RPC_SCOPE_NONE. */
unsigned rpc_scope_find(const char *text, size_t len);
/* Whether a caller with the scopes `has` may do what needs `needs`. ADMIN may do all. */
static inline bool
rpc_scope_allows(unsigned has, unsigned needs)
{
	return (has & needs) == needs || (has & RPC_SCOPE_ADMIN) != 0;
}
