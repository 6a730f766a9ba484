/*
 * invocations.h - all invocations: admission, queue, end, record.
 *
 * A synchronous invocation lives as long as its request waits; one that left files is kept for a
 * while so that they can be fetched. An asynchronous one is recorded in the store before the
 * client hears of it and again when it ends; what it wrote is kept in memory as long as there is
 * room.
 *
 * Owns:    the invocations handed to it
 * Threads: everything on the loop's thread
 */
#pragma once

#include "daemon/invocation.h"
#include "daemon/server.h"

struct invocations;

/* NULL: no memory. */
struct invocations *invocations_new(struct daemon *daemon);
/* None may be active. NULL is fine. */
void invocations_free(struct invocations *invocations);

/* Make one for a request that is going to wait for it. Replies and returns NULL: no memory. */
struct invocation *invocation_new(struct request *request, enum invocation_kind kind,
                                  const struct rpc_ref *ref, const struct digest *digest);

/* Effective limits: the least of what request, caller and configuration say. */
void invocation_limit(struct invocation *invocation, const struct rpc_limits *asked);

/*
 * Everything is parsed: load the module if need be, and queue it. Takes the invocation over; the
 * request is replied to when it has ended, or with 202 when is_async is asked for.
 */
void invocation_start(struct invocation *invocation, bool is_async);

/* Drop one that was not started, because its request was replied to. */
void invocation_drop(struct invocation *invocation);

/* An invocation in memory that this caller may see, or NULL. */
struct invocation *invocations_find(struct invocations *invocations, const char *id,
                                    const struct auth_principal *caller);
/* Whether a caller may see what belongs to this owner. */
bool invocations_may_see(const struct auth_principal *caller, const char *owner);

/* The queued and the running, oldest first: follow next. */
struct invocation *invocations_active(const struct invocations *invocations);
size_t invocations_active_count(const struct invocations *invocations);

/* State as of now. */
enum rpc_state invocation_state(const struct invocation *invocation);

/* Cancel one that is active; it ends a moment later, or at once. */
void invocation_cancel_now(struct invocation *invocation);
void invocations_cancel_all(struct invocations *invocations);

/* Write the record of one (schema Invocation). */
void invocation_write_record(struct rpc_writer *w, const struct invocation *invocation);

/* Follow its events on a request; replies. */
void invocation_follow(struct invocation *invocation, struct request *request,
                       uint64_t last_id);
