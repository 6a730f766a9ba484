/*
 * problem.h - what went wrong, for people and for programs.
 *
 * Every error reply is a problem document. problems.def has one row a kind; a struct rpc_problem
 * is one occurrence: its kind, a sentence, and the places in the request that gave offence.
 *
 * A fallible function of rpc/ returns an enum rpc_code (RPC_OK is 0) and takes a struct
 * rpc_problem last, which may be NULL. The problem is plain data owned by the caller: it needs
 * no initialisation, holds no pointers, and is written only when the function fails. Outputs
 * are untouched on failure.
 *
 *     {"type":"/problems/module-invalid","title":"Module failed validation","status":422,
 *      "detail":"type mismatch: expected i32, found i64","instance":"/v1/requests/req_01J...",
 *      "code":"module-invalid","retryable":false,"request_id":"req_01J...",
 *      "errors":[{"offset":4711,"function":12,"detail":"i32.add operand 2"}]}
 *
 * Spec: RFC 9457
 */
#pragma once

#include "rpc/writer.h"

/* RPC_BAD_JSON, RPC_NOT_FOUND, ...: see problems.def. */
enum rpc_code {
	RPC_OK = 0,
#define PROBLEM(symbol, slug, status, retryable, title, explanation) RPC_##symbol,
#include "rpc/problems.def"
#undef PROBLEM
	RPC_CODE_COUNT
};

#define RPC_PROBLEM_TYPE "application/problem+json"
#define RPC_PROBLEM_DETAIL_MAX 480
#define RPC_PROBLEM_POINTER_MAX 256
#define RPC_PROBLEM_ITEMS_MAX 4
#define RPC_NO_FUNCTION UINT32_MAX

/* One place that gave offence. Members that are unset are left out of the document. */
struct rpc_problem_item {
	bool has_pointer;  /* a JSON Pointer (RFC 6901) into the body; "" is the whole body */
	uint64_t offset;   /* byte offset in the body or module, or RPC_UNSET */
	uint32_t function; /* function index in the module, or RPC_NO_FUNCTION */
	uint32_t line;     /* 1-based line and column in a text body, or 0 */
	uint32_t column;
	char pointer[RPC_PROBLEM_POINTER_MAX];
	char parameter[64]; /* name of the query parameter or header field, or "" */
	char detail[RPC_PROBLEM_DETAIL_MAX];
};

struct rpc_problem {
	enum rpc_code code;
	char detail[RPC_PROBLEM_DETAIL_MAX]; /* UTF-8 */
	uint32_t item_count;
	struct rpc_problem_item items[RPC_PROBLEM_ITEMS_MAX];
};

/* A row of problems.def. */
struct rpc_problem_kind {
	const char *symbol; /* "MODULE_INVALID" */
	const char *slug;   /* "module-invalid" */
	uint16_t status;    /* HTTP status */
	bool retryable;     /* the same request may succeed later */
	const char *title;
	const char *explanation; /* what it means and what to do, for /problems/{slug} */
};

/* The row of a code; for RPC_OK and unknown values that of RPC_INTERNAL. Never NULL. */
const struct rpc_problem_kind *rpc_problem_kind(enum rpc_code code);
/* The code of a slug, or RPC_OK when there is none. */
enum rpc_code rpc_problem_find(const char *slug, size_t len);

/*
 * Fill *problem (which may be NULL) without items and return code, so that a function can fail
 * in one line. Overlong text is cut at a character.
 */
enum rpc_code rpc_problem_set(struct rpc_problem *problem, enum rpc_code code, const char *format,
                              ...) RPC_PRINTF(3, 4);

/* The same with one item that points into the JSON body, with the same detail. */
enum rpc_code rpc_problem_at(struct rpc_problem *problem, enum rpc_code code, const char *pointer,
                             const char *format, ...) RPC_PRINTF(4, 5);

/* The same with one item that names a query parameter or a header field. */
enum rpc_code rpc_problem_in(struct rpc_problem *problem, enum rpc_code code, const char *parameter,
                             const char *format, ...) RPC_PRINTF(4, 5);

/*
 * Append an item with everything unset and return it to be filled in; NULL when problem is NULL
 * or full, which callers have to expect.
 */
struct rpc_problem_item *rpc_problem_add(struct rpc_problem *problem, const char *format, ...)
    RPC_PRINTF(2, 3);

/* Copy text into buf, cut at a character if it has to be, NUL-terminated. For the fields above. */
void rpc_text_copy(char *buf, size_t size, const char *text, size_t len);

/* Write the document. request_id may be NULL: then it and the instance are left out. */
void rpc_problem_write(struct rpc_writer *w, const struct rpc_problem *problem,
                       const char *request_id);

/* Write what GET /problems/{slug} answers: as JSON (schema ProblemKind), and as plain text. */
void rpc_problem_kind_write(struct rpc_writer *w, enum rpc_code code);
void rpc_problem_kind_write_text(struct rpc_writer *w, enum rpc_code code);
