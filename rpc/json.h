/*
 * json.h - JSON from outside: guarded parsing and strict reading.
 *
 * Parsing is jansson's, behind a scan that bounds size and depth and checks UTF-8 first. Objects
 * are then read through a struct rpc_object: typed getters, a JSON Pointer in every complaint,
 * and at the end a complaint about members that nobody asked for, because an unknown member is
 * a misspelt one.
 *
 *     struct rpc_object obj;
 *     rpc_object_open(&obj, json, NULL, problem);
 *     rpc_object_text(&obj, "function", RPC_REQUIRED, 1, 1000, &function);
 *     rpc_object_bool(&obj, "exact", RPC_OPTIONAL, &exact);
 *     return rpc_object_close(&obj);
 *
 * The first error wins; getters after it do nothing, so only rpc_object_close() is checked.
 *
 * A program with this file in it must not call json_set_alloc_funcs(): the file does so itself,
 * before main(), to notice when jansson gets no memory.
 */
#pragma once

#include <jansson.h>
#include "rpc/problem.h"

#define RPC_JSON_DEPTH_MAX 64

/*
 * Parse one JSON value (of any kind) that fills the text, white space aside.
 *
 * Stores a new tree in *out, which the caller frees with json_decref().
 *
 * Returns RPC_BODY_TOO_LARGE  len is above bytes_max
 *         RPC_BAD_JSON        not JSON, not UTF-8, a member named twice, a number out of range,
 *                             deeper than RPC_JSON_DEPTH_MAX; with pointer, offset, line, column
 *         RPC_OUT_OF_MEMORY
 */
RPC_MUST_CHECK enum rpc_code rpc_json_parse(const char *text, size_t len, size_t bytes_max,
                                            json_t **out, struct rpc_problem *problem);

/* A part of a text: text[from] up to before text[to]. */
struct rpc_json_cut {
	size_t from;
	size_t to;
};

/*
 * The same with an empty array in the place of each cut (they are in order and do not overlap), so
 * that what is large need not become a tree. bytes_max bounds what is left. Places in complaints
 * are those of the whole text.
 */
RPC_MUST_CHECK enum rpc_code rpc_json_parse_cut(const char *text, size_t len,
                                                const struct rpc_json_cut *cuts, size_t cut_count,
                                                size_t bytes_max, json_t **out,
                                                struct rpc_problem *problem);

/* Complain of what is at an offset of a text, with pointer, line and column. Returns code. */
enum rpc_code rpc_json_fail(struct rpc_problem *problem, enum rpc_code code, const char *text,
                            size_t offset, const char *format, ...) RPC_PRINTF(5, 6);

/* --- where we are -------------------------------------------------------------------------- */

/*
 * A step on the way from the body to a value; steps live on the stack of whoever descends.
 * key == NULL: an array element. up == NULL: the body itself, whose key and index do not count.
 */
struct rpc_at {
	const struct rpc_at *up;
	const char *key;
	size_t index;
};

/* Write the JSON Pointer into buf, NUL-terminated; one that does not fit ends in "...". */
void rpc_at_pointer(const struct rpc_at *at, char *buf, size_t size);

/* rpc_problem_at() for a place; at == NULL is the body itself. */
enum rpc_code rpc_problem_here(struct rpc_problem *problem, enum rpc_code code,
                               const struct rpc_at *at, const char *format, ...) RPC_PRINTF(4, 5);

/* "a string", "an integer", "null", ...: what a value is, for messages. */
const char *rpc_json_kind(const json_t *json);

/* --- objects ------------------------------------------------------------------------------- */

enum rpc_presence { RPC_OPTIONAL, RPC_REQUIRED };

#define RPC_OBJECT_MEMBERS_MAX 16

struct rpc_object {
	json_t *json; /* NULL once something went wrong */
	struct rpc_at at;
	struct rpc_problem *problem;
	enum rpc_code code;
	size_t known_count;
	const char *known[RPC_OBJECT_MEMBERS_MAX]; /* names that were asked for */
};

/*
 * Begin to read an object; anything else is RPC_BAD_REQUEST. at says where it is (NULL: the
 * body) and is copied. problem has to outlive the reading; it may be NULL.
 */
void rpc_object_open(struct rpc_object *obj, json_t *json, const struct rpc_at *at,
                     struct rpc_problem *problem);

/* The first error, or RPC_BAD_REQUEST for a member that no getter asked for, or RPC_OK. */
RPC_MUST_CHECK enum rpc_code rpc_object_close(struct rpc_object *obj);

/*
 * Getters. An optional member that is absent, and every member after an error, leaves *out as
 * it was. JSON null is a value, not absence. Results belong to the tree.
 */
void rpc_object_any(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                    json_t **out);
void rpc_object_array(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                      size_t count_max, json_t **out);
void rpc_object_object(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                       size_t count_max, json_t **out);
/* A string of len_min to len_max bytes; it has no NUL inside and one behind it. */
void rpc_object_text(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                     size_t len_min, size_t len_max, struct rpc_str *out);
/* An integer from min to max (at most INT64_MAX). */
void rpc_object_uint(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                     uint64_t min, uint64_t max, uint64_t *out);
void rpc_object_bool(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                     bool *out);
/* One of a list of words that ends in NULL; *out gets its index. */
void rpc_object_choice(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                       const char *const *words, unsigned *out);

/* Report a failure that a caller found out itself about a member; the first error wins. */
void rpc_object_fail(struct rpc_object *obj, enum rpc_code code, const char *name,
                     const char *format, ...) RPC_PRINTF(4, 5);
