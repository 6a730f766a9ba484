#include "daemon/invocations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/clock.h"
#include "daemon/compile.h"
#include "daemon/errmap.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

#define BUCKETS 1024              /* a power of two */
#define KEPT_MAX 1000             /* ended invocations in memory */
#define KEPT_BYTES_MAX 67108864   /* and their bytes */
#define HOUSEKEEPING_MS 1000
#define PRUNE_EVERY 60            /* rounds of housekeeping */
#define TELL_USED_EVERY 180

struct invocations {
	struct daemon *daemon;
	struct invocation *by_id[BUCKETS]; /* active and kept */
	struct invocation *active_first;
	struct invocation *active_last;
	struct invocation *kept_first; /* ended, oldest first */
	struct invocation *kept_last;
	size_t active_count;
	size_t async_count; /* of the active ones */
	size_t kept_count;
	uint64_t kept_bytes;
	uv_timer_t *timer;
	unsigned rounds;
};

/* --- the registry ------------------------------------------------------------------------- */

static struct invocation **
bucket_of(struct invocations *all, const char *id)
{
	uint32_t hash = 2166136261u;

	for (; *id != '\0'; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619u;
	return &all->by_id[hash & (BUCKETS - 1)];
}

static void
id_link(struct invocations *all, struct invocation *inv)
{
	struct invocation **bucket = bucket_of(all, inv->id);

	inv->id_next = *bucket;
	*bucket = inv;
}

static void
id_unlink(struct invocations *all, struct invocation *inv)
{
	struct invocation **link = bucket_of(all, inv->id);

	while (*link != inv)
		link = &(*link)->id_next;
	*link = inv->id_next;
}

static void
list_append(struct invocation **first, struct invocation **last, struct invocation *inv)
{
	inv->prev = *last;
	inv->next = NULL;
	if (*last != NULL)
		(*last)->next = inv;
	else
		*first = inv;
	*last = inv;
}

static void
list_remove(struct invocation **first, struct invocation **last, struct invocation *inv)
{
	if (inv->prev != NULL)
		inv->prev->next = inv->next;
	else
		*first = inv->next;
	if (inv->next != NULL)
		inv->next->prev = inv->prev;
	else
		*last = inv->prev;
}

static void
activate(struct invocations *all, struct invocation *inv)
{
	list_append(&all->active_first, &all->active_last, inv);
	id_link(all, inv);
	inv->is_active = true;
	all->active_count++;
	all->async_count += inv->is_async;
}

static void
deactivate(struct invocations *all, struct invocation *inv)
{
	list_remove(&all->active_first, &all->active_last, inv);
	id_unlink(all, inv);
	inv->is_active = false;
	all->active_count--;
	all->async_count -= inv->is_async;
}

bool
invocations_may_see(const struct auth_principal *caller, const char *owner)
{
	return strcmp(auth_principal_id(caller), owner) == 0 ||
	       auth_permits(caller, AUTH_ADMIN, NULL);
}

struct invocation *
invocations_find(struct invocations *invocations, const char *id,
                 const struct auth_principal *caller)
{
	struct invocation *inv = *bucket_of(invocations, id);

	while (inv != NULL && strcmp(inv->id, id) != 0)
		inv = inv->id_next;
	if (inv != NULL && !invocations_may_see(caller, auth_principal_id(inv->owner)))
		return NULL;
	return inv;
}

struct invocation *
invocations_active(const struct invocations *invocations)
{
	return invocations->active_first;
}

size_t
invocations_active_count(const struct invocations *invocations)
{
	return invocations->active_count;
}

enum rpc_state
invocation_state(const struct invocation *invocation)
{
	if (!invocation->is_active)
		return invocation->outcome;
	return atomic_load_explicit(&invocation->has_started, memory_order_acquire) ? RPC_RUNNING
	                                                                            : RPC_QUEUED;
}

void
invocation_write_record(struct rpc_writer *w, const struct invocation *invocation)
{
	struct rpc_invocation record = {
		.id = invocation->id,
		.state = invocation_state(invocation),
		.is_run = invocation->kind == INVOCATION_RUN,
		.module = invocation->digest.bytes,
		.function = invocation->invoke.function.data,
		.owner = auth_principal_id(invocation->owner),
		.created_us = invocation->created_us,
	};

	if (record.state != RPC_QUEUED)
		record.started_us = invocation->started_us;
	if (rpc_state_is_final(record.state)) {
		record.done_us = invocation->done_us;
		record.result = invocation->answer;
		record.result_len = invocation->answer_len;
	}
	rpc_invocation_write(w, &record);
}

/* --- followers ---------------------------------------------------------------------------- */

static void
open_news(struct letter *letter)
{
	struct invocation *inv =
	    (struct invocation *)((char *)letter - offsetof(struct invocation, news));

	atomic_store_explicit(&inv->news_posted, false, memory_order_release);
	audience_wake(&inv->audience);
}

/* On a worker: one letter stands for all events until it is opened. */
static void
post_news(struct invocation *inv)
{
	if (!atomic_exchange_explicit(&inv->news_posted, true, memory_order_acq_rel))
		mailbox_post(&inv->daemon->mailbox, &inv->news, open_news);
}

void
invocation_follow(struct invocation *invocation, struct request *request, uint64_t last_id)
{
	audience_join(&invocation->audience, invocation->events, request, last_id);
}

/* --- what is kept ------------------------------------------------------------------------- */

static void
free_timer(uv_handle_t *handle)
{
	free(handle);
}

static void
wait_timer_stop(struct invocation *inv)
{
	if (inv->wait_timer == NULL)
		return;
	uv_close((uv_handle_t *)inv->wait_timer, free_timer);
	inv->wait_timer = NULL;
}

static void
destroy(struct invocation *inv)
{
	wait_timer_stop(inv);
	audience_dismiss(&inv->audience);
	invocation_free(inv);
}

static void
forget(struct invocations *all, struct invocation *inv)
{
	list_remove(&all->kept_first, &all->kept_last, inv);
	id_unlink(all, inv);
	all->kept_count--;
	all->kept_bytes -= inv->kept_bytes;
	destroy(inv);
}

/* The longest ended goes first, but not before the store knows how it ended. */
static void
trim(struct invocations *all)
{
	struct invocation *next;

	for (struct invocation *inv = all->kept_first;
	     inv != NULL && (all->kept_count > KEPT_MAX || all->kept_bytes > KEPT_BYTES_MAX);
	     inv = next) {
		next = inv->next;
		if (!inv->is_unsaved && !inv->is_detaching)
			forget(all, inv);
	}
}

static void
keep(struct invocations *all, struct invocation *inv)
{
	inv->kept_bytes = sizeof *inv + inv->answer_len + inv->out.capacity + inv->err.capacity;
	for (size_t i = 0; i < inv->file_count; i++)
		inv->kept_bytes += inv->files[i].len;
	if (inv->events != NULL)
		inv->kept_bytes += EVENTS_BYTES_MAX / 4;
	/* What it was given is not needed any more. */
	free(inv->body);
	inv->body = NULL;
	program_unref(inv->program);
	inv->program = NULL;
	list_append(&all->kept_first, &all->kept_last, inv);
	id_link(all, inv);
	all->kept_count++;
	all->kept_bytes += inv->kept_bytes;
	trim(all);
}

/* --- the store's record ------------------------------------------------------------------- */

static void
save_end(struct invocation *inv)
{
	enum store_status status = store_invocation_update(
	    inv->daemon->store, inv->id, rpc_state_text(inv->outcome),
	    inv->answer == NULL ? "{}" : inv->answer, true, NULL, NULL);

	/* A full queue is tried again; what else the store refuses it would refuse again. */
	inv->is_unsaved = status == STORE_E_BUSY;
	if (status != STORE_OK && status != STORE_E_BUSY)
		log_warning("the end of an invocation was not recorded", LOG_STR("id", inv->id),
		            LOG_STR("reason", store_status_text(status)));
}

static void
housekeeping(uv_timer_t *timer)
{
	struct invocations *all = timer->data;
	struct daemon *daemon = all->daemon;

	for (struct invocation *inv = all->kept_first; inv != NULL; inv = inv->next)
		if (inv->is_unsaved)
			save_end(inv);
	trim(all);
	if (++all->rounds % TELL_USED_EVERY == 0)
		programs_tell_used(daemon->programs);
	if (all->rounds % PRUNE_EVERY != 0)
		return;
	int64_t kept_us = (int64_t)daemon->config->store_invocations_kept * 1000;
	int64_t before_us = clock_unix_us() - kept_us;
	if (store_invocation_prune(daemon->store, before_us, NULL, NULL) != STORE_OK)
		return; /* the next round comes */
}

/* --- the end ------------------------------------------------------------------------------ */

static unsigned
outcome_metric(const struct invocation *inv)
{
	switch (inv->outcome) {
	case RPC_RETURNED:
		return METRIC_outcome_RETURNED;
	case RPC_EXITED:
		return METRIC_outcome_EXITED;
	case RPC_TRAPPED:
		return METRIC_outcome_TRAPPED;
	case RPC_LIMITED:
		return METRIC_outcome_LIMITED;
	case RPC_CANCELLED:
		return METRIC_outcome_CANCELLED;
	case RPC_QUEUED:
	case RPC_RUNNING:
	case RPC_LOST:
		break;
	}
	return METRIC_outcome_FAILED;
}

static void
count(const struct invocation *inv)
{
	metric_add(METRIC_INVOCATIONS,
	           inv->problem != NULL ? (unsigned)METRIC_outcome_FAILED : outcome_metric(inv),
	           inv->is_native ? METRIC_tier_NATIVE : METRIC_tier_INTERP, 1);
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_QUEUE, 0, inv->phase.queue_us);
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_LOAD, 0, inv->phase.load_us);
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_INSTANTIATE, 0,
	                  inv->phase.instantiate_us);
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_EXECUTE, 0, inv->phase.execute_us);
	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_ENCODE, 0, inv->phase.encode_us);
	if (inv->usage.fuel != RPC_UNSET)
		metric_add(METRIC_FUEL, 0, 0, inv->usage.fuel);
}

static void
write_headers(struct reply *reply, const struct invocation *inv)
{
	reply_header(reply, "Wasm-Outcome", "%s", rpc_state_text(inv->outcome));
	if (inv->outcome == RPC_EXITED)
		reply_header(reply, "Wasm-Exit-Code", "%d", inv->exit_code);
	reply_header(reply, "Server-Timing",
	             "queue;dur=%.3f, load;dur=%.3f, inst;dur=%.3f, exec;dur=%.3f",
	             (double)inv->phase.queue_us / 1000, (double)inv->phase.load_us / 1000,
	             (double)inv->phase.instantiate_us / 1000,
	             (double)inv->phase.execute_us / 1000);
}

/* Answer whoever waits. What is sent is taken out of the invocation unless that is kept. */
static void
reply_end(struct invocation *inv, bool is_kept)
{
	struct request *r = inv->request;
	struct reply reply;

	inv->request = NULL;
	r->state = NULL;
	r->on_gone = NULL;
	if (inv->problem != NULL) {
		request_problem(r, inv->problem);
		return;
	}
	char *body = inv->wants_raw ? inv->out.data : inv->answer;
	size_t len = inv->wants_raw ? inv->out.len : inv->answer_len;
	if (inv->answer == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the answer");
		return;
	}
	if (is_kept) {
		char *copy = malloc(len + 1);
		if (copy == NULL) {
			request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the answer");
			return;
		}
		memcpy(copy, body == NULL ? "" : body, len);
		body = copy;
	} else if (inv->wants_raw) {
		inv->out.data = NULL;
	} else {
		inv->answer = NULL;
	}
	reply_init(&reply, 200);
	reply_take(&reply, inv->wants_raw ? "application/octet-stream" : "application/json", body,
	           len);
	if (inv->wants_raw && inv->out.total_bytes > inv->out.len)
		reply_header(&reply, "Wasm-Stdout-Truncated", "%llu",
		             (unsigned long long)inv->out.total_bytes);
	write_headers(&reply, inv);
	request_reply(r, &reply);
}

/* A problem that no request waits for becomes the answer: of the record, of the last event. */
static void
answer_problem(struct invocation *inv)
{
	if (inv->problem == NULL || !(inv->is_async || inv->wants_events))
		return;
	struct rpc_trap trap = {
		.code = rpc_problem_kind(inv->problem->code)->slug,
		.message = inv->problem->detail,
		.function = RPC_NO_FUNCTION,
		.offset = RPC_UNSET,
	};
	invocation_answer(inv, &trap);
}

static void
end(struct invocation *inv)
{
	struct invocations *all = inv->daemon->invocations;

	wait_timer_stop(inv);
	deactivate(all, inv);
	count(inv);
	answer_problem(inv);
	bool is_kept = inv->is_async || inv->file_count > 0;
	if (inv->events != NULL && inv->answer != NULL)
		events_add(inv->events, "result", inv->answer, inv->answer_len, true);
	audience_wake(&inv->audience);
	if (inv->is_async)
		save_end(inv);
	if (inv->request != NULL && !inv->is_detaching)
		reply_end(inv, is_kept);
	if (is_kept)
		keep(all, inv);
	else
		destroy(inv);
}

static void
open_end(struct letter *letter)
{
	end((struct invocation *)letter);
}

/* On a worker. */
static void
run_job(struct job *job)
{
	struct invocation *inv =
	    (struct invocation *)((char *)job - offsetof(struct invocation, job));

	/* One that may yet go asynchronous is recorded when it does: the flag is the loop's. */
	if (!inv->has_wait && inv->is_async &&
	    store_invocation_update(inv->daemon->store, inv->id, "running", NULL, false, NULL,
	                            NULL) != STORE_OK)
		log_debug("the start of an invocation was not recorded", LOG_STR("id", inv->id));
	invocation_run(inv, post_news);
	mailbox_post(&inv->daemon->mailbox, &inv->letter, open_end);
}

/* --- cancelling --------------------------------------------------------------------------- */

void
invocation_cancel_now(struct invocation *invocation)
{
	if (invocation->is_cancelled || !invocation->is_active)
		return;
	invocation->is_cancelled = true;
	invocation_stop(invocation, VM_TRAP_CANCELLED);
	if (!jobpool_remove(invocation->daemon->workers, &invocation->job))
		return; /* it runs, and ends in a moment */
	invocation->outcome = RPC_CANCELLED;
	invocation->done_us = clock_unix_us();
	invocation_answer(invocation, NULL);
	end(invocation);
}

void
invocations_cancel_all(struct invocations *invocations)
{
	struct invocation *next;

	for (struct invocation *inv = invocations->active_first; inv != NULL; inv = next) {
		next = inv->next;
		invocation_cancel_now(inv);
	}
}

static void
on_gone(struct request *r)
{
	struct invocation *inv = r->state;

	/* An asynchronous one goes on without its client. */
	if (inv != NULL && !inv->is_async)
		invocation_cancel_now(inv);
}

/* --- the beginning ------------------------------------------------------------------------ */

struct invocation *
invocation_new(struct request *request, enum invocation_kind kind, const struct rpc_ref *ref,
               const struct digest *digest)
{
	struct invocation *inv = calloc(1, sizeof *inv);

	if (inv == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the invocation");
		return NULL;
	}
	pthread_mutex_init(&inv->lock, NULL);
	inv->daemon = api_daemon(request);
	inv->kind = kind;
	inv->digest = *digest;
	inv->owner = auth_principal_ref(request->principal);
	inv->request = request;
	inv->wants_pretty = rpc_query_bool(&request->query, "pretty", false);
	strcpy(inv->name, ref->is_digest ? "module" : ref->name);
	ids_make("inv_", inv->id);
	request->state = inv;
	return inv;
}

void
invocation_drop(struct invocation *invocation)
{
	if (invocation->request != NULL) {
		invocation->request->state = NULL;
		invocation->request->on_gone = NULL;
	}
	destroy(invocation);
}

static uint64_t
least(uint64_t configured, uint64_t granted, uint64_t asked)
{
	/* 0 in what was granted means that the caller's token does not say. */
	if (granted != 0 && granted < configured)
		configured = granted;
	return asked != RPC_UNSET && asked < configured ? asked : configured;
}

void
invocation_limit(struct invocation *invocation, const struct rpc_limits *asked)
{
	const struct config *config = invocation->daemon->config;
	const struct auth_limits *granted = auth_principal_limits(invocation->owner);
	uint64_t fuel = least(config->limits_fuel == 0 ? UINT64_MAX : config->limits_fuel,
	                      granted->fuel, asked->fuel);

	invocation->limits = (struct invocation_limits){
		.time_ms = least(config->limits_time, granted->time_ms, asked->time_ms),
		.fuel = fuel == UINT64_MAX ? 0 : fuel,
		.memory_pages = least(config->limits_memory_pages, granted->memory_pages,
		                      asked->memory_pages),
		.table_elements = config->limits_table_elements,
		.stdout_bytes = least(config->limits_output_bytes, granted->output_bytes,
		                      asked->stdout_bytes),
		.stderr_bytes = least(config->limits_output_bytes, granted->output_bytes,
		                      asked->stderr_bytes),
		.files_bytes = least(config->limits_files_bytes, 0, asked->files_bytes),
	};
}

static void
fail(struct invocation *inv, const struct rpc_problem *problem)
{
	request_problem(inv->request, problem);
	invocation_drop(inv);
}

static void
fail_full(struct invocation *inv)
{
	struct jobpool *workers = inv->daemon->workers;

	metric_add(METRIC_QUEUE_REJECTED, 0, 0, 1);
	api_fail_full(inv->request, workers,
	              "%zu invocations wait already, the most that limits.queue_length allows",
	              jobpool_waiting(workers));
	invocation_drop(inv);
}

static void
reply_accepted(struct invocation *inv)
{
	struct request *r = inv->request;
	struct rpc_writer w;
	struct reply reply;

	inv->request = NULL;
	r->state = NULL;
	r->on_gone = NULL;
	api_writer_init(r, &w);
	invocation_write_record(&w, inv);
	reply_json(&reply, 202, &w);
	reply_header(&reply, "Location", "/v1/invocations/%s", inv->id);
	reply.retry_after_s = jobpool_wait_s(inv->daemon->workers);
	reply_header(&reply, "Preference-Applied", "respond-async");
	request_reply(r, &reply);
}

static bool
make_events(struct invocation *inv)
{
	char text[IDS_TEXT_SIZE + 16];

	if (inv->events != NULL)
		return true;
	inv->events = events_new();
	if (inv->events == NULL)
		return false;
	int len = snprintf(text, sizeof text, "{\"id\":\"%s\"}", inv->id);
	events_add(inv->events, "queued", text, (size_t)len, false);
	return true;
}

static enum store_status
record(struct invocation *inv, store_done_fn *done, void *arg)
{
	struct store_invocation_new record = {
		.id = inv->id,
		.token = auth_principal_id(inv->owner),
		.digest = inv->digest,
		.function = inv->invoke.function.data,
		.state = "queued",
		.spec = "{}",
	};

	return store_invocation_add(inv->daemon->store, &record, done, arg);
}

/* --- waiting for a while ------------------------------------------------------------------ */

/* The record is durable, and the invocation may have ended in the meantime. */
static void
on_detached(struct request *r, struct store_call *call)
{
	struct invocation *inv = r->state;

	inv->is_detaching = false;
	if (!inv->is_active) {
		reply_end(inv, true);
	} else if (call->reply->error.status == STORE_OK) {
		reply_accepted(inv);
	} else {
		/* It stays what it was: the client goes on waiting. */
		inv->is_async = false;
		inv->daemon->invocations->async_count--;
	}
}

static void
on_waited(uv_timer_t *timer)
{
	struct invocation *inv = timer->data;

	wait_timer_stop(inv);
	if (inv->request == NULL || inv->is_async)
		return;
	struct store_call *call = calloc(1, sizeof *call);
	if (call == NULL)
		return;
	call->request = inv->request;
	call->done = on_detached;
	if (record(inv, store_call_answer, call) != STORE_OK) {
		free(call);
		return;
	}
	inv->is_async = inv->is_detaching = true;
	inv->daemon->invocations->async_count++;
}

static void
wait_timer_start(struct invocation *inv)
{
	inv->wait_timer = malloc(sizeof *inv->wait_timer);
	if (inv->wait_timer == NULL)
		return; /* then the client waits to the end */
	uv_timer_init(inv->daemon->loop, inv->wait_timer);
	inv->wait_timer->data = inv;
	uv_timer_start(inv->wait_timer, on_waited, (uint64_t)inv->wait_s * 1000, 0);
}

/* --- queueing ----------------------------------------------------------------------------- */

/*
 * False when the queue is full; nothing has changed then. The workers are woken when the loop is
 * about to sleep, once for all that came in meanwhile.
 */
static bool
enqueue(struct invocation *inv)
{
	activate(inv->daemon->invocations, inv);
	inv->queued_at = clock_monotonic_us();
	if (jobpool_submit_quietly(inv->daemon->workers, &inv->job, run_job))
		return true;
	deactivate(inv->daemon->invocations, inv);
	return false;
}

/* The only ones who see what it does have left. */
static void
on_deserted(struct audience *audience)
{
	invocation_cancel_now(
	    (struct invocation *)((char *)audience - offsetof(struct invocation, audience)));
}

/* From here on the request is the audience's: when it ends early, so does the invocation. */
static void
stream_events(struct invocation *inv)
{
	struct request *r = inv->request;

	inv->request = NULL;
	r->state = NULL;
	r->on_gone = NULL;
	inv->audience.on_deserted = on_deserted;
	audience_join(&inv->audience, inv->events, r, 0);
	if (inv->audience.seats == NULL)
		invocation_cancel_now(inv); /* no memory for it, as the client was told */
}

static void
enqueue_sync(struct invocation *inv)
{
	inv->request->on_gone = on_gone;
	if (inv->request->is_gone) {
		request_fail(inv->request, RPC_INTERNAL, "the client is gone");
		invocation_drop(inv);
	} else if ((inv->has_wait || inv->wants_events) && !make_events(inv)) {
		request_fail(inv->request, RPC_OUT_OF_MEMORY, "no memory for the invocation");
		invocation_drop(inv);
	} else if (!enqueue(inv)) {
		fail_full(inv);
	} else if (inv->wants_events) {
		stream_events(inv);
	} else if (inv->has_wait) {
		wait_timer_start(inv);
	}
}

/* The record is durable: now it may be queued, and the client may know. */
static void
on_recorded(struct request *r, struct store_call *call)
{
	struct invocation *inv = r->state;

	if (!store_call_ok(r, call->reply, RPC_INVOCATION_NOT_FOUND)) {
		invocation_drop(inv);
	} else if (enqueue(inv)) {
		reply_accepted(inv);
	} else {
		/* Recorded as cancelled; the client is told to come back. */
		(void)!store_invocation_update(inv->daemon->store, inv->id,
		                               rpc_state_text(RPC_CANCELLED), NULL, true, NULL,
		                               NULL);
		fail_full(inv);
	}
}

static void
enqueue_async(struct invocation *inv)
{
	struct invocations *all = inv->daemon->invocations;
	struct jobpool_figures pool;

	jobpool_get_figures(inv->daemon->workers, &pool);
	if (all->async_count >= inv->daemon->config->limits_async_length ||
	    pool.waiting_count >= pool.queue_max) {
		fail_full(inv);
		return;
	}
	if (!make_events(inv)) {
		request_fail(inv->request, RPC_OUT_OF_MEMORY, "no memory for the invocation");
		invocation_drop(inv);
		return;
	}
	inv->is_async = true;
	struct store_call *call = store_call_new(inv->request, on_recorded);
	if (call == NULL) {
		invocation_drop(inv);
		return;
	}
	enum store_status status = record(inv, store_call_answer, call);
	store_call_check(call, status);
	if (status != STORE_OK)
		invocation_drop(inv);
}

static void
on_program(struct program_waiter *waiter, struct program *program,
           const struct rpc_problem *problem)
{
	struct invocation *inv =
	    (struct invocation *)((char *)waiter - offsetof(struct invocation, waiter));

	inv->phase.load_us = clock_monotonic_us() - inv->queued_at;
	inv->program = program;
	if (program != NULL)
		program_note_call(program, inv->limits.fuel != 0);
	if (program != NULL && program_wants_code(program, inv->limits.fuel != 0))
		compiler_used(inv->daemon->compiler, program, inv->limits.fuel != 0);
	if (program == NULL)
		fail(inv, problem);
	else if (program->linked == NULL)
		fail(inv, &program->problem);
	else if (inv->is_async)
		enqueue_async(inv);
	else
		enqueue_sync(inv);
}

void
invocation_start(struct invocation *invocation, bool is_async)
{
	struct programs *programs = invocation->daemon->programs;
	struct program *program = programs_find(programs, &invocation->digest);

	invocation->is_async = is_async;
	if (is_async || invocation->has_wait || invocation->wants_events)
		invocation->wants_pretty = false; /* an event is one line */
	invocation->created_us = clock_unix_us();
	invocation->queued_at = clock_monotonic_us();
	invocation->waiter.done = on_program;
	if (program != NULL)
		on_program(&invocation->waiter, program, NULL);
	else
		programs_load(programs, &invocation->digest, &invocation->waiter);
}

/* --- making and ending -------------------------------------------------------------------- */

struct invocations *
invocations_new(struct daemon *daemon)
{
	struct invocations *all = calloc(1, sizeof *all);
	uv_timer_t *timer = malloc(sizeof *timer);

	if (all == NULL || timer == NULL) {
		free(all);
		free(timer);
		return NULL;
	}
	all->daemon = daemon;
	all->timer = timer;
	uv_timer_init(daemon->loop, timer);
	timer->data = all;
	uv_timer_start(timer, housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
	return all;
}

void
invocations_free(struct invocations *invocations)
{
	if (invocations == NULL)
		return;
	while (invocations->kept_first != NULL)
		forget(invocations, invocations->kept_first);
	uv_close((uv_handle_t *)invocations->timer, free_timer);
	free(invocations);
}
