/*
 * run.h - what a request to run a WASI command says.
 *
 *     {"args":["-r",".name"],"env":{"TZ":"UTC"},"stdin":{"text":"{}"},
 *      "files":[{"path":"/in/a.json","base64":"..."}],"collect":["/out/r?.txt"],
 *      "limits":{"time_ms":2000,"stdout_bytes":1048576},"async":false}
 *
 * Nothing is required. args are those behind the program's name. A file has `text` or `base64`;
 * its path is absolute in the guest's tree, whose folders come into being with it.
 */
#pragma once

#include "rpc/invoke.h"
#include "rpc/query.h"

#define RPC_RUN_ARGS_MAX 4096
#define RPC_RUN_ENV_MAX 4096
#define RPC_RUN_FILES_MAX 4096
#define RPC_RUN_COLLECT_MAX 64
#define RPC_RUN_PATH_MAX 1024
#define RPC_RUN_PATTERN_MAX 256

struct rpc_bytes {
	const uint8_t *data;
	size_t len;
};

struct rpc_run_file {
	const char *path; /* "/in/a.json": begins with '/', no empty, "." or ".." segment */
	struct rpc_bytes bytes;
};

struct rpc_run {
	const char **args; /* arg_count, then NULL */
	size_t arg_count;
	const char **env; /* "NAME=value", env_count, then NULL */
	size_t env_count;
	struct rpc_bytes stdin_bytes;
	bool has_stdin;
	struct rpc_run_file *files;
	size_t file_count;
	const char **collect; /* collect_count patterns */
	size_t collect_count;
	struct rpc_limits limits;
	bool async;

	/* private */
	json_t *body;
	void **memory; /* everything else that the pointers above need */
	size_t memory_count;
	size_t memory_capacity;
};

/*
 * Read a request body. *out is to be cleared after success, and may be after failure.
 *
 * Returns what rpc_json_parse() does, RPC_BAD_REQUEST, or RPC_OUT_OF_MEMORY
 */
RPC_MUST_CHECK enum rpc_code rpc_run_parse(const char *text, size_t len, size_t bytes_max,
                                           struct rpc_run *out, struct rpc_problem *problem);

/*
 * The same for a raw request, whose body is standard input: arguments, environment and limits
 * come from the query (arg=, env=NAME=value, time_ms=, ...). stdin_bytes is left empty; the
 * caller sets it. query has to outlive *out.
 */
RPC_MUST_CHECK enum rpc_code rpc_run_from_query(const struct rpc_query *query, struct rpc_run *out,
                                                struct rpc_problem *problem);
void rpc_run_clear(struct rpc_run *run);

/*
 * Is it a path that a file may have (see above), at most RPC_RUN_PATH_MAX bytes? For parts of a
 * multipart body; their bytes stay the caller's.
 */
bool rpc_run_path_ok(const char *path, size_t len);

/*
 * Does one of the collect patterns match the path? '*' is any text without '/', '**' any text,
 * '?' one character but '/'; everything else is itself.
 */
bool rpc_run_collects(const struct rpc_run *run, const char *path);
