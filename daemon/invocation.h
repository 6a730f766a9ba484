/*
 * invocation.h - one call of a guest: what is to be done, and how it went.
 *
 * Made and ended on the loop's thread. In between a worker runs it; from jobpool_submit until its
 * letter is opened all of it is the worker's, except what stands under its lock.
 *
 * Owns:    everything it points to, except the request that waits for it
 * Threads: see above
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "daemon/audience.h"
#include "daemon/daemon.h"
#include "daemon/ids.h"
#include "daemon/programs.h"
#include "rpc/answer.h"
#include "rpc/run.h"

struct request;

enum invocation_kind { INVOCATION_INVOKE, INVOCATION_RUN };

/* The least of what request, caller and configuration allow. */
struct invocation_limits {
	uint64_t time_ms;
	uint64_t fuel; /* 0: not counted */
	uint64_t memory_pages;
	uint64_t table_elements;
	uint64_t stdout_bytes;
	uint64_t stderr_bytes;
	uint64_t files_bytes;
};

/* What a guest wrote, as far as it is kept. */
struct output {
	char *data;
	size_t len;
	size_t capacity;
	uint64_t total_bytes;
	uint64_t limit_bytes;
	const char *event; /* name of its events */
	struct invocation *invocation;
	void (*on_news)(struct invocation *invocation);
};

struct kept_file {
	char *path;
	uint8_t *data;
	size_t len;
};

/* A file that came as a part of a form; its bytes stand in the body. */
struct form_file {
	char *path;
	size_t offset;
	size_t len;
};

struct invocation {
	struct letter letter;
	struct job job;
	struct program_waiter waiter;
	struct daemon *daemon;
	char id[IDS_TEXT_SIZE];
	enum invocation_kind kind;
	struct digest digest;
	char name[RPC_NAME_MAX + 1]; /* what the guest is told its program is called */
	struct auth_principal *owner;
	struct program *program;
	struct invocation_limits limits;
	struct rpc_invoke invoke;
	struct rpc_run run;
	struct rpc_query query; /* of a raw run, whose arguments point into it */
	char *body; /* of the request, as far as it is needed: standard input, files of a form */
	size_t body_len;
	size_t spec_offset; /* of a form's spec part in the body */
	size_t spec_len;
	bool has_spec;
	size_t stdin_offset;
	size_t stdin_len;
	bool has_stdin;
	struct form_file *form_files;
	size_t form_file_count;

	/* stopping: any thread */
	pthread_mutex_t lock;
	struct vm_store *store;     /* while the guest may run; under lock */
	enum vm_trap stop_reason;   /* VM_TRAP_NONE, or why it has to end; under lock */

	/* how it went */
	atomic_bool has_started;
	int64_t created_us; /* Unix time */
	int64_t started_us; /* Unix time, 0 before */
	int64_t done_us;
	uint64_t queued_at; /* CLOCK_MONOTONIC, in us */
	uint64_t started_at;
	struct {
		uint64_t queue_us, load_us, instantiate_us, execute_us, encode_us;
	} phase;
	struct rpc_problem *problem; /* it could not be begun: why; else NULL */
	enum rpc_state outcome;
	bool is_native; /* what ran it; else the interpreter, or nothing */
	int32_t exit_code;
	struct rpc_usage usage;
	char *answer; /* JSON; NULL when there was no memory for it */
	size_t answer_len;
	struct output out;
	struct output err;
	struct kept_file *files;
	size_t file_count;
	struct events *events; /* of an asynchronous one, or NULL */

	/* the registry's, on the loop's thread */
	struct invocation *prev;
	struct invocation *next;
	struct invocation *id_next;
	struct request *request; /* that waits, or NULL */
	bool wants_raw;          /* the request wants standard output alone */
	bool wants_events;       /* it wants the events as they come */
	bool wants_pretty;
	bool is_async;           /* recorded in the store */
	bool is_active;          /* queued or running */
	bool is_unsaved;         /* the store has not heard of the end yet */
	bool is_cancelled;
	bool is_detaching;       /* the store is recording it, the request still waits */
	bool has_wait;           /* answer if done in wait_s, else go asynchronous */
	uint32_t wait_s;
	uv_timer_t *wait_timer;
	size_t kept_bytes;
	struct letter news; /* events were added */
	atomic_bool news_posted;
	struct audience audience; /* requests that follow */
};

/*
 * Run the guest: what a worker does. Fills in everything under "how it went"; events go out, and
 * on_news is called, as they happen.
 */
void invocation_run(struct invocation *invocation,
                    void (*on_news)(struct invocation *invocation));

/* Ask it to end with that reason, from any thread; the first reason stays. */
void invocation_stop(struct invocation *invocation, enum vm_trap reason);

/*
 * Write the answer of an invocation that ended before it began: cancelled in the queue, or
 * refused for the reason that trap (may be NULL) gives. The outcome is set already.
 */
void invocation_answer(struct invocation *invocation, const struct rpc_trap *trap);

/* Free it. NULL is fine. */
void invocation_free(struct invocation *invocation);
