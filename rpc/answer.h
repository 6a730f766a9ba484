/*
 * answer.h - how an invocation ended, and the record of one.
 *
 * invoke and run answer with the same document. A guest that traps is not an error of the
 * service: the status is 200, and `outcome` says how it went.
 *
 *     {"id":"inv_01J...","outcome":"returned",
 *      "results":[{"type":"i64","value":"-1"}],
 *      "usage":{"wall_us":161,"fuel":7,"peak_pages":1,"host_calls":0},"tier":"interp"}
 *
 *     {"id":"inv_01J...","outcome":"trapped",
 *      "trap":{"code":"integer-divide-by-zero","message":"integer divide by zero","function":3,
 *              "offset":187,"backtrace":[{"function":3,"offset":187,"name":"div"}],"omitted":0},
 *      "usage":{...},"tier":"interp"}
 *
 *     {"id":"inv_01J...","outcome":"exited","exit_code":0,"stdout":{"text":"x\n"},
 *      "stderr":{"text":""},"files":[{"path":"/out/r.txt","size":12,"href":"/v1/..."}],
 *      "usage":{...},"tier":"interp"}
 */
#pragma once

#include "rpc/value.h"

enum rpc_state {
	RPC_QUEUED,
	RPC_RUNNING,
	/* the outcomes, all final */
	RPC_RETURNED,
	RPC_EXITED,
	RPC_TRAPPED,
	RPC_LIMITED,
	RPC_CANCELLED,
	RPC_LOST, /* the service went away meanwhile */
};

/* "queued", ..., also the value of the Wasm-Outcome field. */
const char *rpc_state_text(enum rpc_state state);
static inline bool
rpc_state_is_final(enum rpc_state state)
{
	return state >= RPC_RETURNED;
}

struct rpc_frame {
	uint32_t function; /* or RPC_NO_FUNCTION */
	uint64_t offset;   /* or RPC_UNSET */
	const char *name;  /* "" or NULL: unknown */
};

struct rpc_trap {
	const char *code; /* slug: "integer-divide-by-zero" */
	const char *message;
	uint32_t function;              /* or RPC_NO_FUNCTION */
	uint64_t offset;                /* or RPC_UNSET */
	const struct rpc_frame *frames; /* innermost first */
	size_t frame_count;
	uint32_t frames_omitted;
};

/* Members that are RPC_UNSET are left out. */
struct rpc_usage {
	uint64_t wall_us;
	uint64_t queue_us;
	uint64_t fuel;
	uint64_t peak_pages;
	uint64_t host_calls;
};

/* Bytes that a guest wrote: {"text":..} when they are UTF-8, else {"base64":..}. */
struct rpc_output {
	const void *data; /* what was kept */
	size_t len;
	uint64_t total_bytes; /* what it wrote; more than len: "truncated":true,"size":total */
};

struct rpc_file {
	const char *path; /* "/out/r.txt" */
	uint64_t size_bytes;
};

struct rpc_answer {
	const char *id;         /* "inv_..." */
	enum rpc_state outcome; /* final */
	bool exact;             /* as the request asked */
	enum rpc_lanes lanes;
	const struct rpc_value *results; /* when RPC_RETURNED, which is invoke only */
	size_t result_count;
	int32_t exit_code;            /* when RPC_EXITED */
	const struct rpc_trap *trap;  /* when trapped, limited, cancelled; may be NULL */
	const struct rpc_output *out; /* standard output and error; NULL leaves them out */
	const struct rpc_output *err;
	const struct rpc_file *files; /* collected; hrefs are made from id and path */
	size_t file_count;
	bool has_files; /* write the array also when it is empty */
	struct rpc_usage usage;
	const char *tier; /* "interp"; NULL leaves it out */
};

void rpc_answer_write(struct rpc_writer *w, const struct rpc_answer *answer);

/* Write {"text":..} or {"base64":..} as above. */
void rpc_output_write(struct rpc_writer *w, const struct rpc_output *output);

/* What GET /v1/invocations/{id} tells (schema Invocation). */
struct rpc_invocation {
	const char *id;
	enum rpc_state state;
	bool is_run;           /* "kind":"run", else "invoke" */
	const uint8_t *module; /* digest */
	const char *function;  /* invoke */
	const char *owner;     /* who asked; NULL leaves it out */
	int64_t created_us;    /* since 1970; 0 leaves a time out */
	int64_t started_us;
	int64_t done_us;
	const char *result; /* the answer's JSON once final, else NULL */
	size_t result_len;
};

void rpc_invocation_write(struct rpc_writer *w, const struct rpc_invocation *invocation);
