/*
 * query.h - the query of a request target, checked against routes.def.
 *
 * A parameter that the route does not have, one given twice that may not be, a value of the
 * wrong kind: all are refused by name, because a filter that is silently ignored gives a wrong
 * answer. Every route also takes `pretty`, which makes JSON answers easy on the eyes.
 */
#pragma once

#include "rpc/route.h"

enum rpc_query_type {
	RPC_QUERY_TEXT,   /* min to max bytes of UTF-8 without NUL */
	RPC_QUERY_TEXTS,  /* the same, any number of times */
	RPC_QUERY_UINT,   /* decimal, min to max */
	RPC_QUERY_BOOL,   /* true or false; the name alone is true */
	RPC_QUERY_CHOICE, /* one of the words */
	RPC_QUERY_REF,    /* ns/name or ns/name:tag */
	RPC_QUERY_OPEN,   /* any other name, any number of times; min to max bytes, as TEXT */
};

/* A QUERY row of routes.def. */
struct rpc_query_param {
	enum rpc_route_id route;
	const char *name;
	enum rpc_query_type type;
	uint64_t min, max;
	const char *words; /* CHOICE: "none|fast|best" */
	const char *meaning;
};

/* All rows, those of one route in one run, and their number. */
const struct rpc_query_param *rpc_query_params(size_t *out_count);

#define RPC_QUERY_ENTRIES_MAX 256

struct rpc_query_entry {
	const struct rpc_query_param *param;
	struct rpc_str name; /* of OPEN: the parameter's own, with a NUL behind it */
	struct rpc_str text; /* decoded, with a NUL behind it */
	uint64_t number;     /* UINT: the value; BOOL: 0 or 1; CHOICE: index of the word */
};

struct rpc_query {
	size_t count;
	struct rpc_query_entry *entries; /* in the order of the request */
	char *text;                      /* holds all decoded text */
};

/*
 * Parse and check a query (without '?'). *out is to be cleared with rpc_query_clear() after
 * success; it is left empty (and clearing it is fine) after a failure.
 *
 * Returns RPC_BAD_QUERY  naming the parameter; RPC_OUT_OF_MEMORY
 */
RPC_MUST_CHECK enum rpc_code rpc_query_parse(enum rpc_route_id route, struct rpc_str query,
                                             struct rpc_query *out, struct rpc_problem *problem);
void rpc_query_clear(struct rpc_query *query);

/* The (first) entry of that name, or NULL. */
const struct rpc_query_entry *rpc_query_find(const struct rpc_query *query, const char *name);

/* Shorthands that fall back when the parameter is absent. */
const char *rpc_query_text(const struct rpc_query *query, const char *name, const char *fallback);
uint64_t rpc_query_uint(const struct rpc_query *query, const char *name, uint64_t fallback);
bool rpc_query_bool(const struct rpc_query *query, const char *name, bool fallback);
